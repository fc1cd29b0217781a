"""The state of a net: what it has learned and how far it has come, as JSON and tensors, and back into a net."""

import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

import torch
from skorch.history import History
from torch import Tensor, nn

from sklearnloss.exceptions import LoadError
from sklearnloss.training.codec import Decoder, Encoder, Unstorable
from sklearnloss.training.criterion import Criterion
from sklearnloss.training.net import LossNet

__all__ = [
    "check_weights",
    "load_net",
    "load_object",
    "net_state",
    "object_state",
    "random_states",
    "set_random_states",
]

SCALARS = ("lr", "loss_lr", "weight_decay", "max_epochs", "max_grad_norm", "autocast", "base_rates_", "epoch_", "step_")
# what torch keeps on every module besides what its author put there
OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def net_state(encode: Encoder, net: LossNet) -> dict[str, Any]:
    """Return the state of a net.

    Parameters
    ----------
    encode : Encoder
        Collects the tensors.
    net : LossNet
        The net, between two epochs.

    Raises
    ------
    Unstorable
        If a loss, the optimizer or the mode keeps something that cannot be stored.
    """
    return {
        "module": encode.encode(net.module_.state_dict(), "module"),
        "frozen": [name for name, p in net.module_.named_parameters() if not p.requires_grad],
        "criterion": encode.encode(net.criterion_.state_dict(), "criterion"),
        "losses": {
            key: object_state(encode, part, type(part).__name__) for key, part in _stateful(net.criterion_).items()
        },
        "optimizer": encode.encode(net.optimizer_.state_dict(), "optimizer"),
        "mode": object_state(encode, net.mode, "mode"),
        "history": encode.encode([dict(row) for row in net.history], "history"),
        "scalars": {name: encode.encode(getattr(net, name), name) for name in SCALARS},
    }


def load_net(net: LossNet, state: Mapping[str, Any], decode: Decoder) -> None:
    """Bring a net that was made in the same way to a state.

    Raises
    ------
    LoadError
        If the net has other weights than the state.
    """
    _load_weights(net.module_, decode.decode(state["module"]), "the module")
    for name, parameter in net.module_.named_parameters():
        parameter.requires_grad_(name not in state["frozen"])
    _load_weights(net.criterion_, decode.decode(state["criterion"]), "the loss")
    parts = _stateful(net.criterion_)
    if parts.keys() != state["losses"].keys():
        raise LoadError(f"the loss has the parts {sorted(parts)}, the file holds {sorted(state['losses'])}")
    for name, part in parts.items():
        load_object(part, state["losses"][name], decode)
    net.optimizer_.load_state_dict(decode.decode(state["optimizer"]))
    load_object(net.mode, state["mode"], decode)
    net.history = History(decode.decode(state["history"]))
    for name in SCALARS:
        setattr(net, name, decode.decode(state["scalars"][name]))


def check_weights(module: nn.Module, weights: Mapping[str, Tensor], who: str) -> None:
    """See that weights and buffers are those of a module.

    Raises
    ------
    LoadError
        With the first that does not fit.
    """
    has = module.state_dict()
    for name in sorted(has.keys() ^ weights.keys()):
        place, other = ("the file", who) if name in weights else (who, "the file")
        raise LoadError(f"{who} is not what was saved: {place} has {name!r}, and {other} has not")
    for name, own in has.items():
        if isinstance(own, Tensor) and own.shape != weights[name].shape:
            shape, stored = tuple(own.shape), tuple(weights[name].shape)
            raise LoadError(f"{who} is not what was saved: {name!r} is {shape}, and {stored} in the file")


def object_state(encode: Encoder, thing: Any, path: str) -> Any:
    """Return the attributes of an object that has state: a loss, a reduction, a sampler, a mode, a callback.

    One with ``state_dict`` and ``load_state_dict``, other than a module, is asked for its state. A function has none,
    and attributes that are functions or classes belong to the code that makes the object.
    """
    holder = _holder(thing)
    if holder is None:
        return None
    if not isinstance(holder, nn.Module) and hasattr(holder, "load_state_dict"):
        return {"state_dict": encode.encode(holder.state_dict(), path)}
    if not hasattr(holder, "__dict__"):  # attributes in slots
        raise Unstorable(path, holder)
    attributes = {name: encode.encode(value, f"{path}.{name}") for name, value in _attributes(holder).items()}
    return {"attributes": attributes}


def load_object(thing: Any, state: Any, decode: Decoder) -> None:
    """Put the attributes of an object back."""
    holder = _holder(thing)
    if state is None or holder is None:
        return
    if "state_dict" in state:
        holder.load_state_dict(decode.decode(state["state_dict"]))
        return
    for name, value in state["attributes"].items():
        if name in OF_EVERY_MODULE or callable(getattr(type(holder), name, None)):
            raise LoadError(f"{type(holder).__name__} has {name!r} itself; a state cannot replace it")
        vars(holder)[name] = decode.decode(value)


def random_states(device: str) -> dict[str, Tensor]:
    """Return where torch's global generators stand."""
    states = {"cpu": torch.get_rng_state()}
    if torch.device(device).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: Mapping[str, Tensor], device: str) -> None:
    """Set torch's global generators."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def _load_weights(module: nn.Module, weights: Mapping[str, Tensor], who: str) -> None:
    check_weights(module, weights, who)
    module.load_state_dict(dict(weights))


def _stateful(criterion: Criterion) -> dict[str, nn.Module]:
    """Return the modules that losses and reductions are made of, by their place."""
    return {
        f"{number}.{place}.{inner}": module
        for number, term in enumerate(criterion.terms)
        for place, part in (("modules_", getattr(term, "modules_", None)), ("reduction", term.reduction))
        if isinstance(part, nn.Module)
        for inner, module in part.named_modules()
        if not isinstance(module, nn.ModuleList)
    }


def _holder(thing: Any) -> Any:
    """Return the object behind a partial or a bound method; None for a function, which has no state."""
    if isinstance(thing, functools.partial):
        return _holder(thing.func)
    if isinstance(thing, types.MethodType):
        return _holder(thing.__self__)
    return None if inspect.isroutine(thing) or isinstance(thing, type) else thing


def _attributes(thing: Any) -> dict[str, Any]:
    """Return what an object holds that is data."""
    skipped = OF_EVERY_MODULE if isinstance(thing, nn.Module) else frozenset[str]()
    return {
        name: value
        for name, value in vars(thing).items()
        if name not in skipped and (isinstance(value, nn.Module) or not (callable(value) or inspect.ismodule(value)))
    }

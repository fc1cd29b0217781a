"""What a network is made of, in words; and a network from the words, without weights of its own."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sklearnloss.exceptions import LoadError
from sklearnloss.training.backbone import ACTIVATIONS, Network, Standardize, user_module
from sklearnloss.training.heads import CosineHead, HiddenHead, LinearHead, NoHead, ScoreHead
from sklearnloss.training.implicit import ImplicitHead
from sklearnloss.training.state import check_weights

__all__ = ["blueprint", "build"]

HEADS: dict[str, type[nn.Module]] = {
    kind.__name__: kind for kind in (LinearHead, ScoreHead, HiddenHead, CosineHead, NoHead, ImplicitHead)
}
MADE_WITH = {"n_features", "n_outputs", "n_classes", "random_state"}
NAMES = {kind: name for name, kind in ACTIVATIONS.items()}


def blueprint(network: Network) -> dict[str, Any]:
    """Return what a network is made of; a user's module and head only by what they were made with."""
    own_module, own_head = network.module_from is not None, network.head_from is not None
    return {
        "dtype": str(network.dtype).removeprefix("torch."),
        "backbone": None if own_module else [_described(layer) for layer in network.backbone.children()],
        "head": None if own_head or network.complete else _described(network.head),
        "module_from": network.module_from,
        "head_from": None if network.head_from is None else list(network.head_from),
        "complete": network.complete,
        "squeeze": network.squeeze,
        "embeds": network.embeds,
    }


def build(
    plan: Mapping[str, Any], weights: Mapping[str, Tensor], *, module: Any, head: Callable[[int, int], nn.Module]
) -> Network:
    """Make a network from its blueprint and its weights; built-in layers take the weights as their memory.

    Parameters
    ----------
    plan : mapping
        What `blueprint` returned.
    weights : mapping of str to Tensor
        The network's ``state_dict``.
    module, head : object
        The user's, used where the network was made with them.

    Raises
    ------
    LoadError
        If module or head are not those that were saved.
    """
    _check_made_with(plan["module_from"])
    dtype = getattr(torch, plan["dtype"])
    if plan["module_from"] is None:
        backbone: nn.Module = nn.Sequential(*(_layer(*words) for words in plan["backbone"]))
    else:
        backbone = _users(module, plan)
    if plan["complete"]:
        last: nn.Module = nn.Identity()
    else:
        last = _layer(*plan["head"]) if plan["head_from"] is None else head(*plan["head_from"])
    head_from = None if plan["head_from"] is None else tuple(plan["head_from"])
    kept = {name: plan[name] for name in ("complete", "squeeze", "embeds", "module_from")}
    network = Network(backbone, last, head_from=head_from, **kept).to(dtype)
    check_weights(network, weights, "the network" if plan["module_from"] is None else "the module")
    for name, own in (("backbone", plan["module_from"]), ("head", head_from)):
        part = {key.partition(".")[2]: value for key, value in weights.items() if key.startswith(f"{name}.")}
        getattr(network, name).load_state_dict(part, assign=own is None)  # a user's tied weights stay tied
    return network


def _check_made_with(facts: Any) -> None:
    """Refuse what no fit gives to a user's factory."""
    if facts is None:
        return
    if facts.keys() != MADE_WITH or not all(type(value) is int for value in facts.values()):
        raise LoadError(f"a module is made with {', '.join(sorted(MADE_WITH))}, the file has {facts}")


def _users(module: Any, plan: Mapping[str, Any]) -> nn.Module:
    backbone, complete = user_module(module, plan["module_from"])
    if complete != plan["complete"]:
        named, was = ("names", "did not") if complete else ("does not name", "did")
        raise LoadError(f"the module {named} n_outputs, and the one that was saved {was}; hand back the same one")
    if any(is_lazy(p) for p in backbone.parameters()):  # one pass gives lazy layers their widths
        with torch.no_grad():
            backbone.eval()(torch.zeros(2, plan["module_from"]["n_features"]))
    return backbone


def _described(layer: nn.Module) -> list[Any]:
    kind = type(layer)
    if kind in NAMES:
        return [NAMES[kind]]
    if isinstance(layer, nn.Dropout):
        return ["Dropout", layer.p]
    if isinstance(layer, Standardize):
        return ["Standardize", len(layer.mean)]
    assert isinstance(layer, nn.Linear | CosineHead | NoHead | ImplicitHead), "the perceptron has no other layers"
    return [kind.__name__, layer.in_features, layer.out_features]


def _layer(name: str, *numbers: Any) -> nn.Module:
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]()
    if name == "Dropout":
        return nn.Dropout(*numbers)
    with torch.device("meta"):
        if name == "Standardize":
            return Standardize(torch.empty(*numbers), torch.empty(*numbers))
        return nn.Linear(*numbers) if name == "Linear" else HEADS[name](*numbers)

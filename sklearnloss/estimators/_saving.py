"""Saving an estimator that holds a net: what goes into the file, and an estimator from it."""

import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, ClassVar

import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearnloss import registry
from sklearnloss.exceptions import LoadError, SaveError
from sklearnloss.facts import FACTS
from sklearnloss.spec import Choice, as_spec, choose, named_terms
from sklearnloss.training.archive import write_archive
from sklearnloss.training.blueprint import blueprint, build
from sklearnloss.training.codec import Decoder, Encoder, Unstorable
from sklearnloss.training.criterion import Criterion, Term
from sklearnloss.training.implicit import ImplicitHead
from sklearnloss.training.mixing import is_within
from sklearnloss.training.net import LossNet
from sklearnloss.training.schedules import schedule
from sklearnloss.training.seeds import seeded
from sklearnloss.training.state import load_net, net_state

__all__ = ["Saving", "components_of", "fitted_state", "restored", "saved", "versions"]

# what scikit-learn's callbacks leave, and what is stored in a way of its own
ELSEWHERE = frozenset(
    {"net_", "_metadata_request", "_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx"}
)


class Saving:
    """A mixin of estimators that hold a net: ``save``."""

    _records: ClassVar[tuple[type, ...]] = ()  # dataclasses among the fitted attributes

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file, which `sklearnloss.load` reads back.

        The file holds parameters, classes, weights, history, and all that ``partial_fit`` and ``warm_start`` need to go
        on as if nothing had happened: the state of losses, optimizer and random generators. It is a safetensors file
        with a checksum; it holds no code, and reading it runs none. What is code of yours (a module, a function, a
        callback) is left out, and ``load`` says what to hand back. Callbacks given to ``set_callbacks`` are not kept.

        Parameters
        ----------
        path : str or path
            Where to; a file that is there is replaced, whole or not at all.

        Raises
        ------
        NotFittedError
            If there is nothing learned yet; parameters alone are in ``get_params``.
        SaveError
            If a loss, mode or attribute keeps something that cannot be stored, or parameters that the net was made
            with were changed since ``fit``.
        OutputError
            If the file could not be written; what stood there before is unchanged.

        See Also
        --------
        sklearnloss.load : Read it back.
        """
        try:
            check_is_fitted(self)
        except NotFittedError as error:
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted, so there is nothing to save; call fit first (a search "
                "keeps its fitted estimator in best_estimator_)"
            ) from error
        write_archive(path, *saved(self))


def versions() -> dict[str, str]:
    """Return the versions that results may depend on."""
    libraries = ("sklearnloss", "torch", "numpy", "scikit-learn", "skorch")
    return {"python": platform.python_version(), **{name: version(name) for name in libraries}}


# -- saving -----------------------------------------------------------------------------------------------------------


def saved(estimator: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what the file of a fitted estimator holds: JSON and tensors.

    Raises
    ------
    SaveError
        If it could not be restored.
    """
    who = type(estimator).__name__
    if changed := _changed(estimator):
        raise SaveError(
            f"{who}: {changed} was changed since fit, so the net in it is not what its parameters say; fit again, or "
            "set it back"
        )
    encode = Encoder(estimator._records)
    params = estimator.get_params(deep=False)
    try:
        content: dict[str, Any] = {
            "kind": "estimator",
            "class": _place(type(estimator)),
            "versions": versions(),
            "params": {n: encode.encode_parameter(n, v, estimator._spec_kinds.get(n)) for n, v in params.items()},
            "components": list(components_of(estimator)),
            "requests": _requests(estimator),
            **fitted_state(encode, estimator),
        }
    except Unstorable as left:
        raise SaveError(
            f"{who}: {left}, which cannot be stored; a loss keeps its state in buffers, parameters and plain numbers, "
            "a mode may have state_dict and load_state_dict"
        ) from left
    content["given"] = {key: given.about for key, given in encode.given.items()}
    content["generators"] = encode.generator_states()
    return content, encode.tensors


def fitted_state(encode: Encoder, estimator: Any) -> dict[str, Any]:
    """Return what an estimator has learned: attributes, network, losses.

    Raises
    ------
    Unstorable
        If something in it cannot be stored.
    """
    params = estimator.get_params(deep=False)
    attributes = {n: v for n, v in vars(estimator).items() if n not in params and n not in ELSEWHERE}
    return {
        "attributes": {name: encode.encode(value, name) for name, value in attributes.items()},
        "network": blueprint(estimator.net_.module_),
        "terms": [_bound(encode, term) for term in estimator.net_.criterion_.terms],
        "net": net_state(encode, estimator.net_),
    }


def _changed(estimator: Any) -> str:
    """Return the parameter that the net was made with and that is another one now, or nothing."""
    net: LossNet = estimator.net_
    optimizer = choose("optimizer", estimator.optimizer)
    mode = type(None) if estimator.mode is None else choose("mode", estimator.mode).component.obj
    reduction = choose("reduction", estimator.reduction)
    now = {name: (c.component.full_name, repr(c.all_params()), c.coef) for name, c in estimator._terms().items()}
    then = {term.name: (*term.built_from[:2], term.coef) for term in net.criterion_.terms}
    same = {
        "module": (estimator.module is None) == (net.module_.module_from is None),
        "head": net.module_.complete
        or _head(estimator.head) == (net.module_.head_from is not None, isinstance(net.module_.head, ImplicitHead)),
        "loss": now == then,
        "reduction": all(term.reduction_from == reduction.source for term in net.criterion_.terms),
        "optimizer": (net.optimizer.func, net.optimizer.keywords) == (optimizer.component.obj, dict(optimizer.params)),
        "miner, mixup, distance or memory": _mining(estimator) == getattr(net.criterion_.mining, "built_from", None),
        "mixup": _mixing(estimator) == getattr(net.criterion_.mixing, "built_from", None),
        "mode": isinstance(net.mode, mode),
        "lr_schedule": net.lr_schedule is schedule(estimator.lr_schedule),
    }
    return next((name for name, is_same in same.items() if not is_same), "")


def _head(given: Any) -> tuple[bool, bool]:
    return callable(given), given == "implicit"


def _mining(estimator: Any) -> str | None:
    mining = estimator._mining()
    return None if mining is None else str(mining.built_from)


def _mixing(estimator: Any) -> str | None:
    mixup = estimator._row_mixup()
    return mixup.source if mixup is not None and is_within(mixup) else None


def _place(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _bound(encode: Encoder, term: Term) -> dict[str, Any]:
    """Return what a term was bound to, besides the facts that the estimator keeps."""
    return {
        "name": term.name,
        "role": term.role,
        "supplied": sorted({*term.facts, *term.data, *term.reduction_facts}),
        "by_label": encode.encode(term.by_label, f"{term.name}.by_label"),
    }


def components_of(estimator: Any) -> Iterator[dict[str, Any]]:
    """Yield the registered components that the parameters name."""
    distributions = {plugin.name: plugin.distribution for plugin in registry.plugins()}
    for given, choice in _choices(estimator):
        component = choice.component
        if component.plugin:
            yield {
                "kind": component.kind,
                "given": given if isinstance(given, str) else None,
                "name": component.name,
                "plugin": component.plugin,
                "version": component.version,
                "distribution": distributions.get(component.plugin, ""),
                "params": sorted(choice.params),
            }


def _choices(estimator: Any) -> Iterator[tuple[Any, Choice]]:
    """Yield name or callable, and choice, of each component that the parameters name."""
    for parameter, kind in estimator._spec_kinds.items():
        value = getattr(estimator, parameter)
        if value is None:
            continue
        specs = named_terms(value).values() if kind == "loss" else [as_spec(kind, value)]
        for spec in specs:
            yield spec.spec, spec.choose()


def _requests(estimator: Any) -> dict[str, dict[str, Any]]:
    """Return what ``set_fit_request`` and its like were told."""
    request = vars(estimator).get("_metadata_request")
    return {} if request is None else {method: dict(asked) for method, asked in request._serialize().items()}


# -- restoring --------------------------------------------------------------------------------------------------------


def restored(
    cls: Any, content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], *, given: Mapping[str, Any],
    names: Mapping[tuple[str, str], str], device: str | None,
) -> Any:  # fmt: skip
    """Return the estimator of a file.

    Parameters
    ----------
    cls : type
        Its class.
    content, tensors : mapping
        What `saved` returned.
    given : mapping of str to object
        What the user handed back.
    names : mapping of (kind, name) to str
        Names of components that are written in full now.
    device : str or None
        Instead of the one that was saved.

    Raises
    ------
    LoadError
        If what was handed back is not what was saved, or the device is not there.
    """
    estimator = _unfitted(cls, content, tensors, given, names)
    if device is not None:
        estimator.device = device
    place = _there(estimator)
    decode = Decoder(
        tensors, records=cls._records, generators=content["generators"], given=given, names=names, device=place
    )
    for name, value in content["attributes"].items():
        if hasattr(cls, name) or name in content["params"]:
            raise LoadError(f"{cls.__name__} has {name!r} itself; the file was written by another version")
        setattr(estimator, name, decode.decode(value))
    plan, weights = content["network"], decode.decode(content["net"]["module"])
    with seeded(0):  # a user's module may draw weights; the global generator stays as it was found
        network = build(plan, weights, module=estimator.module, head=estimator.head)
        implicit = isinstance(network.head, ImplicitHead)
        criterion = _criterion(estimator, content["terms"], decode, implicit=implicit).to(network.dtype)
        estimator.net_ = estimator._make_net(network, criterion)
    load_net(estimator.net_, content["net"], decode)
    estimator.net_._set_training(False)
    decode.wind_generators()
    return estimator


def _unfitted(
    cls: Any, content: Mapping[str, Any], tensors: Mapping[str, Any], given: Mapping[str, Any], names: Mapping[Any, str]
) -> Any:
    known = cls._get_param_names()
    if strange := sorted(content["params"].keys() - set(known)):
        raise LoadError(
            f"{cls.__name__} has no parameter {strange[0]!r} in sklearnloss {version('sklearnloss')}; the file was "
            f"saved by {content['versions']['sklearnloss']}"
        )
    decode = Decoder(tensors, given=given, names=names)
    params = {name: decode.decode(value) for name, value in content["params"].items()}
    for name, kind in cls._spec_kinds.items():
        if isinstance(params.get(name), str):
            params[name] = names.get((kind, params[name]), params[name])
    estimator = cls(**params)
    estimator._validate_params()
    if content["requests"]:
        request = estimator._get_metadata_request()
        for method, asked in content["requests"].items():
            for name, alias in asked.items():
                getattr(request, method).add_request(param=name, alias=alias)
        estimator._metadata_request = request
    return estimator


def _there(estimator: Any) -> str:
    """Return the device, if it is there."""
    place: str = estimator._device()
    try:
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        first = str(error).splitlines()[0]
        raise LoadError(
            f"the estimator has device={estimator.device!r}, which is not here ({first}); load(path, device='cpu')"
        ) from error
    return place


def _criterion(estimator: Any, bound: list[Mapping[str, Any]], decode: Decoder, *, implicit: bool) -> Criterion:
    terms = estimator._terms()
    then = [one["name"] for one in bound]
    if len(terms) != len(then) or (len(terms) > 1 and list(terms) != then):  # a single function may have a new name
        raise LoadError(f"the loss has the terms {list(terms)}, in the file they are {then}")
    needs = choose("reduction", estimator.reduction).component.needs
    supplied = {*needs, *(fact for one in bound for fact in one["supplied"])}
    made = []
    for one, (name, term) in zip(bound, terms.items(), strict=True):
        if term.component.role != one["role"]:
            raise LoadError(
                f"{term.component.title} works on {term.component.role or 'no data'}, the one that was saved on "
                f"{one['role'] or 'no data'}; hand back the same one"
            )
        made.append(
            estimator._bind_term(
                name,
                term,
                supplied=supplied,
                fit_facts=estimator._kept_facts,
                by_label=decode.decode(one["by_label"]),
                weighted=False,
                implicit=implicit,
            )
        )
    given = {n for n in FACTS if FACTS[n].scope == "row"}  # facts of rows come with the next fit
    return Criterion(made, estimator._mining(), estimator._mixing(estimator._kept_facts, given))

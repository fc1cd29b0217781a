"""Specs: a component plus hyperparameters, which scikit-learn can clone, search and print.

``Loss("ldr", lam=2.0)`` names a component and what differs from its defaults. Whatever an estimator takes as ``loss=``,
``sampler=``, ... may be a name, any callable that fits, a mapping ``{"spec": "ldr", "lam": 2.0}``, or a spec.
Nothing is looked up before it is used.
"""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn

from sklearnloss import registry
from sklearnloss.component import Component, describe
from sklearnloss.exceptions import (
    ComponentError,
    MissingFactError,
    ParameterError,
    TaskError,
    did_you_mean,
    with_article,
)
from sklearnloss.facts import FACTS, ROLES

__all__ = [
    "SPECS", "Calibrator", "Callback", "Choice", "Diagnostic", "Distance", "Loss", "Metric", "Miner", "Mixup", "Mode",
    "Optimizer", "Reduction", "Sampler", "Selection", "Spec", "Strategy", "Sum", "View", "as_spec", "choose",
    "choose_terms", "named_terms", "promote",
]  # fmt: skip

SpecLike = Any


@dataclass(frozen=True)
class Choice:
    """A component that was looked up, with hyperparameters that were checked."""

    component: Component
    params: Mapping[str, Any] = field(default_factory=dict)
    coef: float = 1.0
    instance: nn.Module | None = None

    def build(self, facts: Mapping[str, Any] | None = None) -> Callable[..., Any]:
        """Return something to call: the function with its hyperparameters, or a new instance of the class.

        Parameters
        ----------
        facts : mapping, default=None
            Fit facts; a class takes those that its ``__init__`` names.
        """
        if self.instance is not None:
            return copy.deepcopy(self.instance)
        if not self.component.is_class:
            return functools.partial(self.component.obj, **self.params) if self.params else self.component.obj
        needed = {name: (facts or {}).get(name) for name in self.component.fit_needs}
        missing = [name for name, value in needed.items() if value is None]
        if missing:
            raise MissingFactError(
                f"{self.component.title} needs {', '.join(map(repr, missing))} when it is built; "
                "an estimator supplies them, a call on bare tensors takes them as keywords"
            )
        return self.component.obj(**needed, **self.params)

    @property
    def source(self) -> str:
        """What is built, and from which hyperparameters: ``core:ldr({'lam': 2.0, ...})``."""
        return f"{self.component.full_name}({self.all_params()})"

    def all_params(self) -> dict[str, Any]:
        """Return every hyperparameter with its value, the defaults included."""
        return {p.name: p.default for p in self.component.parameters} | dict(self.params)


class Spec:
    """A component by name, or a callable, plus hyperparameters.

    Parameters
    ----------
    spec : str or callable
        A registered name such as ``"ldr"`` or ``"acme:ldr"``, or the function or class itself.
    **params
        Hyperparameters that differ from the defaults.

    Examples
    --------
    >>> Loss("ldr", lam=0.5)
    Loss('ldr', lam=0.5)
    >>> Loss("ldr", lam=0.5).set_params(lam=2.0).get_params()
    {'spec': 'ldr', 'coef': 1.0, 'lam': 2.0}
    """

    kind: ClassVar[str] = ""

    def __init__(self, spec: str | Callable[..., Any], /, **params: Any) -> None:
        self.spec = spec
        self.params = params

    def choose(self) -> Choice:
        """Look the component up and check the hyperparameters.

        Returns
        -------
        Choice

        Raises
        ------
        UnknownNameError, AmbiguousNameError
            If the name says nothing, or too much.
        ParameterError
            If a hyperparameter is unknown or out of range.
        """
        found = _component(self.kind, self.spec)
        params = {**found.params, **self.params}
        check_params(found.component, params)
        return Choice(found.component, params, instance=found.instance)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what was given, as scikit-learn wants it."""
        return {"spec": self.spec, **self.params}

    def set_params(self, **params: Any) -> Self:
        """Change the component (``spec``) or its hyperparameters in place.

        Raises
        ------
        ParameterError
            If the component has no such hyperparameter, left-over ones included.
        """
        if "spec" in params:
            self.spec = params.pop("spec")
        unknown = [p for p in (*self.params, *params) if "__" in p]
        if unknown:
            raise ParameterError(f"{type(self).__name__}({self.spec!r}) has no nested parameter {unknown[0]!r}")
        self.params = {**self.params, **params}
        _check_names(_component(self.kind, self.spec).component, self.params)
        return self

    @property
    def name(self) -> str:
        """The short name of the component."""
        if isinstance(self.spec, str):
            return self.spec.rpartition(":")[2]
        declared = getattr(self.spec, "component", None)
        return declared.name if isinstance(declared, Component) else _callable_name(self.spec)

    def __sklearn_clone__(self) -> Self:
        params = self.get_params(deep=False)
        return type(self)(params.pop("spec"), **copy.deepcopy(params))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        spec = repr(self.spec) if isinstance(self.spec, str) else _callable_name(self.spec)
        given = [f"{key}={value!r}" for key, value in self._shown().items()]
        return f"{type(self).__name__}({', '.join([spec, *given])})"

    def _shown(self) -> dict[str, Any]:
        return self.params


class Loss(Spec):
    """A loss plus hyperparameters; callable on bare tensors, and a term of a `Sum`.

    Parameters
    ----------
    spec : str or callable
        A registered name, or the function or class itself.
    coef : float, default=1.0
        Factor of the term in a `Sum`.
    **params
        Hyperparameters that differ from the defaults.

    Examples
    --------
    >>> Loss("cross_entropy") + 0.1 * Loss("focal", gamma=1.0)
    Loss('cross_entropy') + 0.1 * Loss('focal', gamma=1.0)
    >>> Loss("ldr", lam=0.5)(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([-0.4778])
    """

    kind = "loss"

    def __init__(self, spec: str | Callable[..., Any], /, *, coef: float = 1.0, **params: Any) -> None:
        super().__init__(spec, **params)
        self.coef = coef

    def choose(self) -> Choice:
        """Look the loss up and check the hyperparameters."""
        choice = super().choose()
        return Choice(choice.component, choice.params, float(self.coef), choice.instance)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what was given, as scikit-learn wants it."""
        return {"spec": self.spec, "coef": self.coef, **self.params}

    def set_params(self, **params: Any) -> Self:
        """Change the loss (``spec``), its factor (``coef``) or its hyperparameters in place."""
        if "coef" in params:
            self.coef = params.pop("coef")
        return super().set_params(**params)

    def __call__(self, *data: Tensor, **facts: Any) -> Any:
        """Return what the component returns; a loss with state is built anew from the fit facts given by keyword."""
        choice = self.choose()
        built = choice.build(facts)
        used = {k: v for k, v in facts.items() if not (choice.component.is_class and k in choice.component.fit_needs)}
        return built(*data, **used)

    def _shown(self) -> dict[str, Any]:
        return self.params if self.coef == 1.0 else {"coef": self.coef, **self.params}

    def __add__(self, other: "Loss | Sum | str") -> "Sum":
        return Sum([self.__sklearn_clone__()]) + other

    def __radd__(self, other: "str | int") -> "Sum":
        return Sum([self.__sklearn_clone__()]) if other == 0 else Sum([as_loss(other)]) + self

    def __mul__(self, factor: float) -> "Loss":
        return Loss(self.spec, **{**self.params, "coef": self.coef * factor})

    __rmul__ = __mul__


class Sum:
    """A sum of losses: each term is reduced to a scalar, multiplied by its ``coef``, and added.

    Parameters
    ----------
    terms : list of Loss
        At least one; the first gives link and task.

    Examples
    --------
    >>> total = Loss("cross_entropy") + 0.1 * Loss("focal")
    >>> total.set_params(focal__coef=0.5, focal__gamma=1.0)
    Loss('cross_entropy') + 0.5 * Loss('focal', gamma=1.0)
    """

    def __init__(self, terms: Iterable[Loss]) -> None:
        self.terms = terms if isinstance(terms, list) else list(terms)

    def named(self) -> dict[str, Loss]:
        """Return the terms by name; a second of a name is ``name_2``."""
        names: dict[str, Loss] = {}
        for term in self.terms:
            name, count = term.name, 2
            while name in names:
                name, count = f"{term.name}_{count}", count + 1
            names[name] = term
        return names

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the terms, and with ``deep`` their parameters as ``name__parameter``."""
        params: dict[str, Any] = {"terms": self.terms}
        if deep:
            for name, term in self.named().items():
                params[name] = term
                params |= {f"{name}__{key}": value for key, value in term.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Change the terms, a term by its name, or a term's parameter ``name__parameter``."""
        if "terms" in params:
            self.terms = list(params.pop("terms"))
        names = self.named()
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, _, parameter = key.partition("__")
            if name not in names:
                raise ParameterError(
                    f"the sum has no term {name!r}{did_you_mean(name, names)}; it has {', '.join(names)}"
                )
            if parameter:
                nested.setdefault(name, {})[parameter] = value
            else:
                self.terms[list(names).index(name)] = as_loss(value)
        names = dict(zip(names, self.terms, strict=True))
        for name, changes in nested.items():
            names[name].set_params(**changes)
        return self

    def __call__(self, *data: Tensor, **facts: Any) -> Tensor:
        """Return the scalar sum on bare tensors; every term takes the same data, and the facts that it names."""
        total = torch.zeros((), dtype=data[0].dtype, device=data[0].device)
        for term in self.terms:
            component = term.choose().component
            named = {*component.needs, *component.wishes, *component.fit_needs}
            values = term(*data, **{k: v for k, v in facts.items() if k in named})
            if isinstance(values, tuple):
                total = total + term.coef * values[0].sum() / values[1].sum().clamp(min=1)
            else:
                total = total + term.coef * values.mean()
        return total

    def __sklearn_clone__(self) -> Self:
        return type(self)([term.__sklearn_clone__() for term in self.terms])

    def __add__(self, other: "Loss | Sum | str") -> "Sum":
        terms = other.terms if isinstance(other, Sum) else [as_loss(other)]
        return Sum([term.__sklearn_clone__() for term in (*self.terms, *terms)])  # the user's own terms stay apart

    def __radd__(self, other: "str | int") -> "Sum":
        return self if other == 0 else Sum([as_loss(other), *self.terms])

    def __mul__(self, factor: float) -> "Sum":
        return Sum([factor * term for term in self.terms])

    __rmul__ = __mul__

    def __iter__(self) -> Iterator[Loss]:
        return iter(self.terms)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        if len(self.terms) == 1:
            return f"Sum([{self.terms[0]!r}])"
        parts = []
        for term in self.terms:
            bare = repr(Loss(term.spec, **term.params))
            parts.append(bare if term.coef == 1.0 else f"{term.coef!r} * {bare}")
        return " + ".join(parts)


class Sampler(Spec):
    """A sampler plus hyperparameters: which rows make a batch."""

    kind = "sampler"


class Miner(Spec):
    """A miner plus hyperparameters: which pairs or triplets of a batch count."""

    kind = "miner"


class Distance(Spec):
    """A distance plus hyperparameters."""

    kind = "distance"


class Mixup(Spec):
    """A mixup plus hyperparameters: how rows are mixed."""

    kind = "mixup"


class View(Spec):
    """A view plus hyperparameters: a random version of each row."""

    kind = "view"


class Reduction(Spec):
    """A reduction plus hyperparameters: from one value per row to a scalar."""

    kind = "reduction"


class Optimizer(Spec):
    """An optimizer plus hyperparameters; ``lr`` and ``weight_decay`` are the estimator's."""

    kind = "optimizer"


class Mode(Spec):
    """A mode of training plus hyperparameters."""

    kind = "mode"


class Strategy(Spec):
    """A query strategy plus hyperparameters."""

    kind = "strategy"


class Selection(Spec):
    """A selection rule plus hyperparameters."""

    kind = "selection"


class Calibrator(Spec):
    """A calibrator plus hyperparameters."""

    kind = "calibrator"


class Metric(Spec):
    """A metric plus hyperparameters."""

    kind = "metric"


class Diagnostic(Spec):
    """A diagnostic plus hyperparameters."""

    kind = "diagnostic"


class Callback(Spec):
    """A callback plus hyperparameters."""

    kind = "callback"


SPECS: dict[str, type[Spec]] = {
    cls.kind: cls
    for cls in (
        Loss, Sampler, Miner, Distance, Mixup, View, Reduction, Optimizer, Mode, Strategy, Selection, Calibrator,
        Metric, Diagnostic, Callback,
    )
}  # fmt: skip

S = TypeVar("S", bound=Spec)


def as_loss(spec: SpecLike) -> Loss:
    """Return a `Loss` from whatever names one."""
    loss = as_spec("loss", spec)
    assert isinstance(loss, Loss)
    return loss


def as_spec(kind: str, spec: SpecLike) -> Spec:
    """Return a spec of that kind from a name, a callable, a mapping or a spec.

    Raises
    ------
    TaskError
        If it is a spec of another kind.
    ComponentError
        If it is nothing that could name a component.
    """
    cls = SPECS[kind]
    if isinstance(spec, Spec):
        if not isinstance(spec, cls):
            raise TaskError(
                f"{spec!r} is {with_article(spec.kind)}; {with_article(kind)} is wanted here, such as "
                f"{cls.__name__}('...')"
            )
        return spec
    if isinstance(spec, Mapping):
        rest = dict(spec)
        if "spec" not in rest:
            raise ComponentError(f"the mapping {rest!r} names no {kind}; write {{'spec': 'name', 'parameter': value}}")
        return cls(rest.pop("spec"), **rest)
    if isinstance(spec, str) or callable(spec):
        return cls(spec)
    raise ComponentError(f"{spec!r} is no {kind}; give a name, a callable, a mapping or {cls.__name__}('name', ...)")


def choose(kind: str, spec: SpecLike) -> Choice:
    """Look up whatever names a component of that kind, and check its hyperparameters."""
    return as_spec(kind, spec).choose()


def choose_terms(spec: SpecLike) -> dict[str, Choice]:
    """Look up a loss or a `Sum` of losses: the terms by name.

    Examples
    --------
    >>> list(choose_terms(Loss("cross_entropy") + Loss("focal") + Loss("focal", gamma=1.0)))
    ['cross_entropy', 'focal', 'focal_2']
    """
    return {name: term.choose() for name, term in named_terms(spec).items()}


def named_terms(spec: SpecLike) -> dict[str, Loss]:
    """Return a loss, or the terms of a `Sum`, by name.

    Raises
    ------
    ComponentError
        If the sum is empty.
    """
    total = spec if isinstance(spec, Sum) else Sum([as_loss(spec)])
    if not total.terms:
        raise ComponentError("a Sum needs at least one term")
    return total.named()


def promote(kind: str, spec: SpecLike) -> Spec | Sum:
    """Return a spec whose parameters can be set: a plain name becomes ``Loss(name)``, a spec is copied."""
    if isinstance(spec, Sum):
        return spec.__sklearn_clone__()
    return as_spec(kind, spec).__sklearn_clone__()


def check_params(component: Component, params: Mapping[str, Any]) -> None:
    """Refuse hyperparameters that are unknown or out of range.

    Raises
    ------
    ParameterError
        With the name, what was given and what is allowed.
    """
    _check_names(component, params)
    for parameter in component.parameters:
        if parameter.name in params and not parameter.constraint.allows(params[parameter.name]):
            raise ParameterError(
                f"{component.title}: {parameter.name} must be {parameter.constraint}, got {params[parameter.name]!r}"
            )


def _check_names(component: Component, params: Mapping[str, Any]) -> None:
    known = [p.name for p in component.parameters]
    for name in params:
        if name in known:
            continue
        has = f"it has {', '.join(known)}" if known else "it has none"
        more = ""
        if component.kind == "optimizer" and name in ("lr", "weight_decay"):
            more = f"; {name} is a parameter of the estimator"
        elif name in FACTS:
            more = f"; {name} is a fact, which the trainer or fit supplies"
        raise ParameterError(f"{component.title} has no parameter {name!r}; {has}{more}")


# what a function that declares nothing is taken for
UNDECLARED: dict[str, dict[str, Any]] = {
    "loss": {"task": "any", "unit": "row"},
    "miner": {"unit": "pair"},
    "strategy": {"unit": "pool"},  # utilities that may look at all rows
}


def _component(kind: str, spec: str | Callable[..., Any]) -> Choice:
    """Find the component behind a name or a callable, with the hyperparameters that a partial carries."""
    if isinstance(spec, str):
        return Choice(registry.lookup(kind, spec))
    if isinstance(spec, functools.partial):
        if spec.args:
            raise ComponentError(f"{kind} {_callable_name(spec)!r}: a partial may only fix keywords")
        inner = _component(kind, spec.func)
        return Choice(inner.component, {**inner.params, **spec.keywords}, instance=inner.instance)
    declared = getattr(spec, "component", None)
    if isinstance(declared, Component):
        if declared.kind != kind:
            raise TaskError(f"{declared.title} is no {kind}")
        return Choice(declared, instance=spec if isinstance(spec, nn.Module) else None)
    if kind == "loss" and isinstance(spec, nn.Module):
        return _adapt_module(spec)
    unit = UNDECLARED.get(kind, {})
    return Choice(describe(kind, spec, name=_identifier(_callable_name(spec)), **unit))


# torch's own losses say (input, target); what the input is follows from the class
TORCH_ROLES: dict[type[nn.Module], str] = {
    nn.CrossEntropyLoss: "logits",
    nn.MultiMarginLoss: "logits",
    nn.BCEWithLogitsLoss: "scores",
    nn.MultiLabelSoftMarginLoss: "label_logits",
    nn.MSELoss: "prediction",
    nn.L1Loss: "prediction",
    nn.SmoothL1Loss: "prediction",
    nn.HuberLoss: "prediction",
}


class TorchLoss(nn.Module):
    """One of torch's ``(input, target)`` losses, with one value per row."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(module)
        vars(self.module)["reduction"] = "none"

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return one value per row, the mean over what else there is."""
        if target.is_floating_point() or isinstance(self.module, (nn.CrossEntropyLoss, nn.MultiMarginLoss)):
            values = self.module(output, target)
        else:
            values = self.module(output, target.to(output.dtype))
        return values.flatten(1).mean(1) if values.ndim > 1 else values


def _adapt_module(module: nn.Module) -> Choice:
    """Adapt an instance: torch's own losses by class, others by the names in ``forward``."""
    name = _identifier(type(module).__name__)
    role = next((role for cls, role in TORCH_ROLES.items() if isinstance(module, cls)), "")
    if not role:
        component = describe("loss", module.forward, name=name, task="any", unit="row")
        return Choice(component, instance=module)
    link = "none" if isinstance(module, nn.MultiMarginLoss) else None
    component = Component(
        "loss",
        name,
        TorchLoss,
        task="any",
        role=role,
        unit="row",
        data=(role, "y"),
        link=link,
        summary=f"torch's {name}.",
    )
    return Choice(component, instance=TorchLoss(module))


def _callable_name(obj: Any) -> str:
    if isinstance(obj, functools.partial):
        return _callable_name(obj.func)
    return str(getattr(obj, "__name__", type(obj).__name__))


def _identifier(name: str) -> str:
    cleaned = "".join(c if c.isalnum() else "_" for c in name).strip("_")
    while "__" in cleaned:
        cleaned = cleaned.replace("__", "_")
    return cleaned or "unnamed"


assert set(ROLES) >= set(TORCH_ROLES.values())

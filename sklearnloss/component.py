"""Components: plain functions and classes whose signature declares what they need.

=============================================== =======================================================
in the signature                                is
=============================================== =======================================================
positional                                      data; the first of a loss is its role, more are facts
keyword-only, named like a fact, no default     a need
keyword-only, named like a fact, ``= None``     a wish: supplied if it is there
any other keyword with a default                a hyperparameter, its range in the annotation
=============================================== =======================================================

A decorator of each kind (`loss`, `sampler`, `reduction`, ...) reads the signature, attaches the result as
``.component`` and returns the object itself. It registers nothing: a plugin's hook lists what the plugin has.
"""

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from sklearnloss.constraints import Constraint, constraint_of
from sklearnloss.exceptions import ComponentError, did_you_mean
from sklearnloss.facts import FACTS, ROLES, UNITS
from sklearnloss.functional.links import LINKS

__all__ = [
    "KINDS", "Component", "Kind", "Parameter", "calibrator", "callback", "describe", "diagnostic", "distance",
    "estimator", "loss", "metric", "miner", "mixup", "mode", "optimizer", "reduction", "sampler", "selection",
    "strategy", "view",
]  # fmt: skip

T = TypeVar("T", bound=Callable[..., Any])
Status = Literal["verified", "known", "guess"]
RESERVED = frozenset({"spec", "coef", "terms"})


@dataclass(frozen=True)
class Kind:
    """What a kind of component looks like."""

    name: str
    first: tuple[str, ...] = ()  # allowed first arguments; empty: any
    data: tuple[str, ...] = ()  # further positional names besides the facts
    facts: bool = True  # keywords named like facts are needs and wishes


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("loss", first=tuple(ROLES), data=("view_b",)),
            Kind("reduction", first=("values",), data=("weights",)),
            Kind(
                "sampler",
                first=("y", "X", "index", "bag", "embeddings", *sorted(f for f in FACTS if FACTS[f].scope == "row")),
            ),
            Kind("miner", first=("block", "embeddings")),
            Kind("distance", first=("a",), data=("b",)),
            Kind("mixup", first=("X", "embeddings", "bag")),
            Kind("view", first=("X",)),
            Kind(
                "strategy",
                first=(
                    "proba",
                    "label_proba",
                    "prediction",
                    "committee",
                    "committee_prediction",
                    "X_pool",
                    "embeddings",
                ),
            ),
            Kind("selection", facts=False),
            Kind("calibrator", facts=False),
            Kind("metric", facts=False),
            Kind("diagnostic", facts=False),
            Kind("callback", facts=False),
            Kind("optimizer", facts=False),
            Kind("mode"),
            Kind("estimator", facts=False),
        )
    }
)


@dataclass(frozen=True)
class Parameter:
    """A hyperparameter: name, default, what is allowed, and its line in the docstring."""

    name: str
    default: Any
    constraint: Constraint
    about: str = ""


@dataclass(frozen=True)
class Component:
    """Everything the package knows about a component, read once from its signature and docstring.

    Attributes
    ----------
    kind, name, plugin, version : str
        What it is, what it is called, and the distribution it came from.
    task : str
        What a loss is for; empty for other kinds.
    role : str
        Name of the first positional argument; empty if there is none.
    data, needs, wishes, fit_needs : tuple of str
        Positional arguments; facts it must have and may have at a call; facts its ``__init__`` must have.
    parameters : tuple of Parameter
        Hyperparameters with their ranges.
    obj : callable
        The function or class itself.
    """

    kind: str
    name: str
    obj: Any = field(repr=False, compare=False)
    task: str = ""
    role: str = ""
    unit: str = ""
    data: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()
    fit_needs: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = field(default=(), compare=False)
    link: Any = None
    outputs: Callable[..., int] | None = field(default=None, repr=False, compare=False)
    moments: Callable[..., Any] | None = field(default=None, repr=False, compare=False)
    sampler: str | None = None
    ordered: bool = False
    proper: bool = False
    keeps_order: bool = True
    target: str = "standardize"
    gradient: str = "exact"
    static: bool = True
    monitor: bool = True
    greater_is_better: bool = True
    status: Status = "verified"
    aliases: tuple[str, ...] = ()
    plugin: str = ""
    version: str = ""
    summary: str = ""
    references: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """``plugin:name``, which no other component of the kind has."""
        return f"{self.plugin}:{self.name}" if self.plugin else self.name

    @property
    def title(self) -> str:
        """``loss 'ldr'``, as messages begin."""
        return f"{self.kind} {self.name!r}"

    @property
    def is_class(self) -> bool:
        """Whether it must be built before it is called."""
        return inspect.isclass(self.obj)

    @property
    def prediction_link(self) -> str | Callable[..., Any]:
        """The link from the head's output: the declared one, else that of the role."""
        if self.link is not None:
            return self.link
        return ROLES[self.role].link if self.role in ROLES else "none"

    @property
    def gives_probabilities(self) -> bool:
        """Whether the link leads to probabilities; one that the loss brings itself does."""
        link = self.prediction_link
        return LINKS[link].probability if isinstance(link, str) and link in LINKS else True

    @property
    def facts(self) -> frozenset[str]:
        """All facts it may take at a call: positional ones, needs and wishes."""
        return frozenset(name for name in (*self.data, *self.needs, *self.wishes) if name in FACTS)

    def owned_by(self, plugin: str, version: str) -> "Component":
        """Return the same component with its plugin written in."""
        return replace(self, plugin=plugin, version=version)


def loss(
    name: str,
    *,
    task: str,
    unit: str = "row",
    link: str | Callable[..., Any] | None = None,
    outputs: Callable[..., int] | None = None,
    moments: Callable[..., Any] | None = None,
    sampler: str | None = None,
    ordered: bool = False,
    proper: bool = False,
    keeps_order: bool = True,
    target: Literal["standardize", "raw", "positive", "nonnegative"] = "standardize",
    gradient: Literal["exact", "surrogate"] = "exact",
    static: bool = True,
    monitor: bool = True,
    status: Status = "verified",
    aliases: Iterable[str] = (),
) -> Callable[[T], T]:
    """Declare a loss: a function, or an ``nn.Module`` class where it has state.

    Parameters
    ----------
    name : str
        The key that users type.
    task : str
        ``multiclass, binary, multilabel, ordinal, embedding, regression, bag`` or ``any``.
    unit : {"row", "anchor", "pair", "triplet", "bag", "batch"}, default="row"
        What one value of the result stands for; it decides how rows are weighted.
    link : str, callable or None, default=None
        From the head's output to a prediction; None is the role's own, ``"none"`` says that there is none. A Module
        loss may name one of its methods.
    outputs : callable, default=None
        ``outputs(*, hyperparameters) -> int``: width of the head per class or target.
    moments : callable, default=None
        ``moments(true, mean, square, k, *, hyperparameters) -> (n,)``: the same loss from the true score, the mean and
        the mean square of a row's scores, each (n,), and their number, so that ``head="implicit"`` can train it.
    sampler : str, default=None
        The sampler that the loss wants, supplied unless the user chose one.
    ordered : bool, default=False
        Whether the classes must have an order.
    proper : bool, default=False
        Whether the linked prediction estimates the class probabilities, or the distribution of the targets.
    keeps_order : bool, default=True
        Whether the link gives the largest score the largest probability; otherwise scores of ``decision_function`` are
        log probabilities.
    target : {"standardize", "raw", "positive", "nonnegative"}, default="standardize"
        How a regression sees its targets: standardised; as they are; or divided by their mean, where they must be
        positive, or not negative.
    gradient : {"exact", "surrogate"}, default="exact"
        ``"surrogate"`` where the gradient is meant to differ from that of the value.
    static : bool, default=True
        Whether shapes and branches do not depend on the data.
    monitor : bool, default=True
        Whether the value says something about progress.
    status : {"verified", "known", "guess"}, default="verified"
        How sure the formula is.
    aliases : iterable of str, default=()
        Further names.

    Returns
    -------
    callable
        A decorator that returns its argument with ``.component`` attached.

    Raises
    ------
    ComponentError
        If the declaration cannot work.

    Examples
    --------
    >>> @loss("zero", task="multiclass")
    ... def zero(logits, y, *, scale: float = 1.0):
    ...     return logits.sum(1) * 0 * scale
    >>> zero.component.role, zero.component.parameters[0].name
    ('logits', 'scale')
    """
    declared = {key: value for key, value in locals().items() if key != "name"}
    return _decorator("loss", name, declared)


def reduction(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a reduction ``f(values, weights, *, ...) -> scalar``; weights have mean one over the training rows."""
    return _decorator("reduction", name, {"status": status, "aliases": aliases})


def sampler(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a sampler ``f(y, *, batch_size, rng, ...) -> iterator of index arrays``, one epoch a call."""
    return _decorator("sampler", name, {"status": status, "aliases": aliases})


def miner(
    name: str,
    *,
    unit: Literal["pair", "window", "triplet"] = "pair",
    static: bool = True,
    status: Status = "verified",
    aliases: Iterable[str] = (),
) -> Callable[[T], T]:
    """Declare a miner ``f(block, *, ...)``, which keeps pairs or triplets of a block, or ``f(embeddings, y, *, ...)``.

    Parameters
    ----------
    name : str
        The key that users type.
    unit : {"pair", "window", "triplet"}, default="pair"
        What a miner of blocks returns: a mask of pairs (b, n), a `Window` of distances, or a mask of triplets (b, m, n)
        for the partners of `Block`.
    static : bool, default=True
        Whether shapes do not depend on the data.
    status : {"verified", "known", "guess"}, default="verified"
        How sure the formula is.
    aliases : iterable of str, default=()
        Further names.
    """
    return _decorator("miner", name, {"unit": unit, "static": static, "status": status, "aliases": aliases})


def distance(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a distance ``f(a, b) -> (n, m)``."""
    return _decorator("distance", name, {"status": status, "aliases": aliases})


def mixup(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a mixup; its first argument (``X``, ``embeddings`` or ``bag``) says where it acts.

    One of ``X`` that names ``module`` acts within the network: it returns what the head sees in place of X, and may
    return a fifth value, terms (n,) that are added to the loss. It may be an ``nn.Module`` with parameters.
    """
    return _decorator("mixup", name, {"status": status, "aliases": aliases})


def view(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a view ``f(X, *, rng, ...) -> X``: one random view of each row."""
    return _decorator("view", name, {"status": status, "aliases": aliases})


def strategy(
    name: str,
    *,
    unit: Literal["row", "pool", "batch"] = "row",
    status: Status = "verified",
    aliases: Iterable[str] = (),
) -> Callable[[T], T]:
    """Declare a query strategy ``f(proba, *, ...) -> utilities`` in numpy.

    Parameters
    ----------
    name : str
        The key that users type.
    unit : {"row", "pool", "batch"}, default="row"
        ``"row"``: utilities (n,), higher is asked first, each of which looks at its own row only, so that a large pool
        comes in chunks. ``"pool"``: utilities (n,) that look at the whole pool. ``"batch"``: numbers of the ``n`` rows
        to ask, in order; or these and the weights (n,) with which they are to be learned from.
    status : {"verified", "known", "guess"}, default="verified"
        How sure the formula is.
    aliases : iterable of str, default=()
        Further names.
    """
    return _decorator("strategy", name, {"unit": unit, "status": status, "aliases": aliases})


def selection(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a selection rule: a scikit-learn estimator."""
    return _decorator("selection", name, {"status": status, "aliases": aliases})


def calibrator(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a calibrator: a scikit-learn estimator from outputs to probabilities."""
    return _decorator("calibrator", name, {"status": status, "aliases": aliases})


def metric(
    name: str, *, greater_is_better: bool = True, status: Status = "verified", aliases: Iterable[str] = ()
) -> Callable[[T], T]:
    """Declare a metric; with ``greater_is_better=False`` scorers turn its sign."""
    return _decorator("metric", name, {"greater_is_better": greater_is_better, "status": status, "aliases": aliases})


def diagnostic(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a diagnostic: a function that returns a small result with ``.plot()``."""
    return _decorator("diagnostic", name, {"status": status, "aliases": aliases})


def callback(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a skorch callback."""
    return _decorator("callback", name, {"status": status, "aliases": aliases})


def optimizer(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a torch optimizer; ``lr`` and ``weight_decay`` come with the parameter groups."""
    return _decorator("optimizer", name, {"status": status, "aliases": aliases})


def mode(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare a mode: a class with any of these methods.

    ``batch(X, batch)`` may return another batch; ``step(closure, optimizer)`` takes a step itself; ``epoch(net)`` comes
    after each epoch; ``around_fit(fit, net, batches)`` calls ``fit()``, which trains for all epochs.
    """
    return _decorator("mode", name, {"status": status, "aliases": aliases})


def estimator(name: str, *, status: Status = "verified", aliases: Iterable[str] = ()) -> Callable[[T], T]:
    """Declare an estimator that has a short name of its own."""
    return _decorator("estimator", name, {"status": status, "aliases": aliases})


def _decorator(kind: str, name: str, declared: dict[str, Any]) -> Callable[[T], T]:
    def attach(obj: T) -> T:
        obj.component = describe(kind, obj, name=name, **declared)  # type: ignore[attr-defined]
        return obj

    return attach


def describe(kind: str, obj: Any, *, name: str, **declared: Any) -> Component:
    """Read a component from the signature and docstring of ``obj``.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    obj : callable
        A function, or a class.
    name : str
        Its name.
    **declared
        What the decorator was given.

    Returns
    -------
    Component

    Raises
    ------
    ComponentError
        If the declaration cannot work; the message names the argument.
    """
    who = f"{kind} {name!r}"
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or "__" in name:
        raise ComponentError(f"{who}: a name must be an identifier without '__'")
    rule = KINDS[kind]
    called = _call_signature(kind, obj)
    data, needs, wishes, parameters = _split(who, rule, called, obj)
    fit_needs: tuple[str, ...] = ()
    if inspect.isclass(obj):
        if kind == "loss" and parameters:
            raise ComponentError(f"{who}: {parameters[0].name} belongs in __init__, forward takes facts only")
        fit_needs, parameters = _read_init(who, rule, obj)
    unit = declared.get("unit") or ""
    if kind == "loss":
        _check_loss(who, data, unit, declared, obj, parameters)
    return Component(
        kind,
        name,
        obj,
        role=data[0] if data else "",
        data=data,
        needs=needs,
        wishes=wishes,
        fit_needs=fit_needs,
        parameters=parameters,
        summary=_summary(obj),
        references=_references(obj),
        **{**declared, "aliases": tuple(declared.get("aliases", ()))},
    )


def _call_signature(kind: str, obj: Any) -> list[inspect.Parameter]:
    """Return the arguments that arrive at each call; a class is called through ``forward``, if it has one."""
    if not inspect.isclass(obj):
        return list(_signature(obj).parameters.values())
    forward = getattr(obj, "forward", None)
    if kind in ("loss", "reduction", "mixup") and forward is not None:
        return list(_signature(forward).parameters.values())[1:]
    return []


def _signature(obj: Any) -> inspect.Signature:
    try:
        return inspect.signature(obj)
    except (TypeError, ValueError) as error:
        raise ComponentError(f"{obj!r} has no signature to read: {error}") from None


def _split(
    who: str, rule: Kind, arguments: list[inspect.Parameter], obj: Any
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[Parameter, ...]]:
    positional: list[str] = []
    needs: list[str] = []
    wishes: list[str] = []
    parameters: list[Parameter] = []
    hints = _hints(obj.forward if inspect.isclass(obj) and hasattr(obj, "forward") else obj)
    about = _parameter_docs(obj)
    for argument in arguments:
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            raise ComponentError(f"{who}: *args and **kwargs declare nothing; write each argument out")
        if argument.kind is not argument.KEYWORD_ONLY:
            positional.append(argument.name)
        elif rule.facts and argument.name in FACTS:
            (needs if _is_need(who, argument) else wishes).append(argument.name)
        else:
            parameters.append(_parameter(who, rule, argument, hints, about))
    if rule.first and positional and positional[0] not in rule.first:
        near = did_you_mean(positional[0], rule.first)
        raise ComponentError(
            f"{who}: the first argument {positional[0]!r} must be one of {', '.join(rule.first)}{near}"
        )
    if rule.first:
        for later in positional[1:]:
            if later not in FACTS and later not in rule.data:
                raise ComponentError(f"{who}: {later!r} is no fact; hyperparameters come after '*'")
    return tuple(positional), tuple(needs), tuple(wishes), tuple(parameters)


def _is_need(who: str, argument: inspect.Parameter) -> bool:
    if argument.default is argument.empty:
        return True
    if argument.default is None:
        return False
    raise ComponentError(
        f"{who}: {argument.name!r} is a fact; leave its default out (a need) or write '= None' (a wish), "
        f"got {argument.default!r}"
    )


def _parameter(
    who: str, rule: Kind, argument: inspect.Parameter, hints: dict[str, Any], about: dict[str, str]
) -> Parameter:
    name = argument.name
    if name in RESERVED or "__" in name or (rule.facts and name in FACTS):
        raise ComponentError(f"{who}: a hyperparameter cannot be called {name!r}")
    if argument.default is argument.empty:
        raise ComponentError(f"{who}: {name!r} is neither a fact nor has it a default{did_you_mean(name, FACTS)}")
    constraint = constraint_of(hints.get(name, Any))
    if not constraint.allows(argument.default):
        raise ComponentError(f"{who}: the default of {name} must be {constraint}, got {argument.default!r}")
    return Parameter(name, argument.default, constraint, about.get(name, ""))


def _read_init(who: str, rule: Kind, cls: type) -> tuple[tuple[str, ...], tuple[Parameter, ...]]:
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return (), ()
    facts, parameters = [], []
    hints, about = _hints(cls.__init__), _parameter_docs(cls)  # type: ignore[misc]
    skipped = 2 if rule.name == "optimizer" else 1  # self, and an optimizer's params
    for argument in list(_signature(cls.__init__).parameters.values())[skipped:]:  # type: ignore[misc]
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            if rule.facts or rule.name == "optimizer":
                raise ComponentError(f"{who}: *args and **kwargs declare nothing; write each argument out")
            continue
        if rule.facts and argument.name in FACTS:
            if FACTS[argument.name].scope != "fit":
                raise ComponentError(
                    f"{who}: __init__ cannot have {argument.name!r}, which changes with the batch; "
                    "name it in forward instead"
                )
            facts.append(argument.name)
        elif argument.default is argument.empty and not rule.facts:
            continue  # positional data of an estimator, such as a wrapped estimator
        else:
            parameters.append(_parameter(who, rule, argument, hints, about))
    return tuple(facts), tuple(parameters)


def _check_loss(
    who: str,
    data: tuple[str, ...],
    unit: str,
    declared: dict[str, Any],
    obj: Any,
    parameters: tuple[Parameter, ...],
) -> None:
    if unit not in UNITS:
        raise ComponentError(f"{who}: unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if not data and unit != "batch":
        raise ComponentError(f"{who}: without data it is a regularizer, whose unit must be 'batch', got {unit!r}")
    if data and data[0] == "view_a" and data[1:2] != ("view_b",):
        raise ComponentError(f"{who}: 'view_a' must be followed by 'view_b'")
    link = declared.get("link")
    if isinstance(link, str) and link not in LINKS and not (inspect.isclass(obj) and hasattr(obj, link)):
        raise ComponentError(f"{who}: link {link!r} is neither a method nor one of {', '.join(LINKS)}")
    moments = declared.get("moments")
    if moments is not None:
        named = [p.name for p in inspect.signature(moments).parameters.values() if p.kind is p.KEYWORD_ONLY]
        if data != ("logits", "y") or sorted(named) != sorted(p.name for p in parameters):
            raise ComponentError(
                f"{who}: moments is for a loss of logits and y, with the same hyperparameters, got {named}"
            )
    outputs = declared.get("outputs")
    if outputs is not None:
        unknown = set(inspect.signature(outputs).parameters) - {p.name for p in parameters}
        if unknown:
            raise ComponentError(f"{who}: outputs asks for {sorted(unknown)}, which are no hyperparameters")


def _hints(obj: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(obj, include_extras=True)
    except (NameError, TypeError):  # forward references that only a type checker sees
        return dict(getattr(obj, "__annotations__", {}))


def _summary(obj: Any) -> str:
    return (inspect.getdoc(obj) or "").strip().split("\n\n")[0].replace("\n", " ").strip()


def _section(obj: Any, title: str) -> list[str]:
    """Return the lines of a numpydoc section."""
    lines = (inspect.getdoc(obj) or "").splitlines()
    for number, line in enumerate(lines[:-1]):
        if line.strip() == title and set(lines[number + 1].strip()) == {"-"}:
            rest = lines[number + 2 :]
            ends = [i for i in range(1, len(rest)) if rest[i].strip() and set(rest[i].strip()) == {"-"}]
            return rest[: ends[0] - 1] if ends else rest
    return []


def _references(obj: Any) -> tuple[str, ...]:
    text = " ".join(line.strip() for line in _section(obj, "References"))
    return tuple(part.strip() for part in re.split(r"\.\. \[\d+\]", text) if part.strip())


def _parameter_docs(obj: Any) -> dict[str, str]:
    docs: dict[str, str] = {}
    names: list[str] = []
    for line in _section(obj, "Parameters"):
        if line and not line.startswith(" "):
            names = [n.strip() for n in line.split(":")[0].split(",")]
        elif line.strip():
            for name in names:
                docs[name] = f"{docs.get(name, '')} {line.strip()}".strip()
    return docs

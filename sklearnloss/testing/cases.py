"""Cases: inputs on which every component must behave, made from its role and the facts that it names."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from sklearnloss.component import Component
from sklearnloss.facts import FACTS
from sklearnloss.functional.bags import BagParts
from sklearnloss.spec import Choice, choose
from sklearnloss.training.criterion import Term, binary_target
from sklearnloss.training.seeds import seeded

__all__ = [
    "NUMBERS", "SIGNED", "Case", "build", "call", "cases", "ordinary", "output_gradient", "term", "total",
]  # fmt: skip

WIDTH = 5  # of X, features and embeddings
CLASSES = 4
SEED = 20
NUMBERS = ("prediction", "columns")  # roles of which each target is a number
SIGNED = ("positive", "nonnegative")


@dataclass(frozen=True)
class Case:
    """Inputs of one call of a loss.

    Attributes
    ----------
    name : str
        What is special about it.
    output : Tensor
        The first argument.
    y : Tensor
        Targets as this role takes them.
    facts : dict
        Every other fact it names, batch and row facts.
    fit : dict
        Fit facts.
    """

    name: str
    output: Tensor
    y: Tensor
    facts: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> Tensor:
        """What the network gives: the first argument, or both views below each other."""
        return torch.cat([self.output, self.facts["view_b"]]) if "view_b" in self.facts else self.output

    def with_inputs(self, inputs: Tensor) -> "Case":
        """Return the case with these outputs of the network."""
        if "view_b" not in self.facts:
            return replace(self, output=inputs)
        view_a, view_b = inputs.chunk(2)
        return replace(self, output=view_a, facts={**self.facts, "view_b": view_b})

    def rows(self, index: Tensor) -> "Case":
        """Return the case with these rows only, or in this order."""
        n = len(self.output)
        facts = {k: v[index] if isinstance(v, Tensor) and v.shape[:1] == (n,) else v for k, v in self.facts.items()}
        y = self.y[index] if len(self.y) == n else self.y  # what is known of bags stays
        return replace(self, output=self.output[index], y=y, facts=facts)

    def to(self, dtype: torch.dtype) -> "Case":
        """Return the case in another precision."""

        def cast(value: Any) -> Any:
            if isinstance(value, nn.Module):
                return _network(value.in_features, value.out_features).to(dtype)  # type: ignore[arg-type]
            if isinstance(value, BagParts):
                return BagParts(*map(cast, value))
            return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

        return replace(
            self,
            output=cast(self.output),
            y=cast(self.y),
            facts={k: cast(v) for k, v in self.facts.items()},
            fit={k: cast(v) for k, v in self.fit.items()},
        )


def cases(component: Component, dtype: torch.dtype = torch.float64) -> Iterator[Case]:
    """Yield the cases of a loss: an ordinary one and those on which formulas break."""
    yield ordinary(component, dtype)
    generator = torch.Generator().manual_seed(SEED + 1)
    far = 1.0 if component.role == "cosines" else 200.0
    n, columns = 8, _columns(component)

    def make(name: str, output: Tensor, labels: Tensor) -> Case:
        return _case(component, name, output.to(dtype), labels, generator)

    signs = torch.randint(2, (n, *columns), generator=generator) * 2 - 1
    mixed = _labels(component, n, generator)
    yield make("outputs of ±200", far * signs.double(), mixed)
    yield make("rows at +200", torch.full((n, *columns), far, dtype=torch.float64), mixed)
    yield make("all zero", torch.zeros(n, *columns, dtype=torch.float64), mixed)
    some = 0.3 * torch.randn(n, *columns, generator=generator, dtype=torch.float64)
    yield make("duplicates", some[:1].expand(n, *columns).clone(), mixed)
    yield make("one row", some[:1], mixed[:1])
    if component.unit == "bag":
        yield from (make(name, some, y) for name, y in _bag_labels(component, mixed))
        return
    yield make("one class", some, torch.ones_like(mixed))
    yield make("a class missing", some, mixed.clamp(max=1 if component.role in ("scores", "label_logits") else 2))
    if component.role in ("embeddings", "view_a"):
        yield make("labels all distinct", some, torch.arange(n).to(mixed.dtype).view(n, *mixed.shape[1:]))
    if binary_target(component.role):
        yield make("no positives", some, torch.zeros_like(mixed))
    if component.role in NUMBERS:
        yield make("one target", some[:, :1], mixed[:, :1])
        steps = (torch.arange(n) % 3 + 1.0).double()[:, None].expand(n, 2)
        yield make("few targets, predictions near each other", 0.05 * some, steps)
        yield make("targets far out", some, mixed.exp() if component.target in SIGNED else 100 * mixed)


def ordinary(component: Component, dtype: torch.dtype = torch.float64, n: int = 12) -> Case:
    """Return a case with nothing special about it."""
    generator = torch.Generator().manual_seed(SEED)
    output = torch.randn(n, *_columns(component), generator=generator, dtype=torch.float64)
    if component.role == "cosines":
        output = torch.tanh(output)
    return _case(component, "ordinary", output.to(dtype), _labels(component, n, generator), generator)


def _columns(component: Component) -> tuple[int, ...]:
    per_class = CLASSES - 1 if component.role == "thresholds" else 1
    if component.outputs is not None:
        defaults = {p.name: p.default for p in component.parameters}
        per_class = component.outputs(**{k: defaults[k] for k in _argument_names(component.outputs)})
    match component.role:
        case "scores":
            return ()
        case "prediction":
            return (2,)
        case "columns":
            return (2, per_class)
        case "thresholds":
            return (per_class,)
        case "embeddings" | "view_a" | "hidden" | "":
            return (WIDTH,)
        case _:
            return (CLASSES * per_class,)


def _argument_names(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def _labels(component: Component, n: int, generator: torch.Generator) -> Tensor:
    """Return labels in which every class comes up, if there are rows enough."""
    if component.unit == "bag":
        return _known_of_bags(component, n, generator)
    match component.role:
        case "scores":
            return (torch.arange(n) % 2)[torch.randperm(n, generator=generator)]
        case "label_logits":
            return torch.randint(2, (n, CLASSES), generator=generator)
        case "prediction" | "columns":
            return _in_range(component, torch.randn(n, 2, generator=generator, dtype=torch.float64))
        case "embeddings" if component.task == "regression":
            return torch.randn(n, 1, generator=generator, dtype=torch.float64)
        case _:
            return (torch.arange(n) % CLASSES)[torch.randperm(n, generator=generator)]


def _known_of_bags(component: Component, n: int, generator: Generator) -> Tensor:
    """Return what is known of bags of three rows: proportions, or means."""
    numbers = torch.randn(bags_of(n), *_columns(component), generator=generator, dtype=torch.float64)
    return numbers if component.role in NUMBERS else torch.softmax(numbers, 1)


def _bag_labels(component: Component, known: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield what may be known of bags besides the usual."""
    if component.role in NUMBERS:
        yield "means far out", 100 * known
        return
    pure = torch.zeros_like(known)
    pure[:, 1] = 1
    yield "pure bags of one class", pure
    few = known.clone()
    few[:, -1] = 0
    yield "a class missing", few / few.sum(1, keepdim=True)


def bags_of(n: int) -> int:
    """Return in how many bags of three rows n rows are."""
    return (n + 2) // 3


def _in_range(component: Component, numbers: Tensor) -> Tensor:
    """Return targets that the loss can have, made of normal numbers; its own units make their mean about one."""
    if component.target == "positive":
        return (numbers - 0.5).exp()
    return (numbers + 0.8).clamp(min=0) if component.target == "nonnegative" else numbers


def _case(component: Component, name: str, output: Tensor, y: Tensor, generator: torch.Generator) -> Case:
    dtype = output.dtype
    if binary_target(component.role) or y.is_floating_point():
        y = y.to(dtype)
    names = {*component.data[1:], *component.needs, *component.wishes, *component.fit_needs} - {"y"}
    classes = CLASSES if component.role == "thresholds" else None
    values = {f: _fact(f, output, y, generator, classes) for f in sorted(names)}
    fit = {k: v for k, v in values.items() if k in FACTS and FACTS[k].scope == "fit"}
    return Case(name, output, y, {k: v for k, v in values.items() if k not in fit}, fit)


def _network(n_inputs: int, n_outputs: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return nn.Linear(n_inputs, n_outputs)


def _fact(name: str, output: Tensor, y: Tensor, generator: torch.Generator, classes: int | None = None) -> Any:
    """Make a value of a fact that suits the output, which is as wide as there are classes unless they are given."""
    n, dtype = len(output), output.dtype
    k = output.shape[1] if output.ndim > 1 else 2
    if classes is not None and name in ("teacher", "target_proba", "priors", "class_counts", "class_values"):
        k = classes

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    match name:
        case "view_b":
            return (output + 0.1 * normal(*output.shape)).to(dtype)
        case "X" | "features":
            return normal(n, WIDTH)
        case "module":
            return _network(WIDTH, k).to(dtype)
        case "index":
            return torch.arange(n)
        case "epoch" | "step":
            return 0
        case "rng" | "generator":
            return torch.Generator().manual_seed(SEED)
        case "teacher":
            return 2 * normal(n, k)
        case "target_proba":
            return torch.softmax(normal(n, k), 1)
        case "group" | "domain" | "annotator":
            return torch.arange(n) % 2
        case "distances":
            points = torch.randn(n + 3, WIDTH, generator=generator, dtype=torch.float64)
            return torch.cdist(points[:n], points).to(dtype)
        case "equations":  # any basis of one variable will do
            return 0.5 + torch.rand(n, 1, k, generator=generator, dtype=torch.float64).to(dtype)
        case "sample_weight":
            return torch.ones(n, dtype=dtype)
        case "observed":  # every third label was looked at
            return (torch.arange(y.numel(), device=y.device).view_as(y) % 3 == 0).to(y.dtype)
        case "prototypes" | "head_weight":
            return normal(k, WIDTH)
        case "head_bias":
            return normal(k)
        case "bag":
            return torch.arange(n) // 3
        case "n_bags":
            return bags_of(n)
        case "bag_index":
            return torch.arange(bags_of(n))
        case "bag_weight":
            return torch.ones(bags_of(n), dtype=dtype)
        case "bag_parts":  # every second bag is one that was merged
            merged = (torch.arange(bags_of(n)) % 2).to(dtype)
            taken = torch.full_like(merged, 3)
            return BagParts(y, y.roll(1, 0), taken, 3 * merged, taken + 3 * merged, 2 * taken)
        case "bag_proportions":
            return torch.cat([y, y[:1]])
        case "bag_sizes":
            return torch.full((bags_of(n) + 1,), 3, dtype=dtype)
        case "n_samples":
            return n + 3
        case "n_classes":
            return classes or (k if y.is_floating_point() else max(k, int(y.max()) + 1))
        case "n_targets":
            return y.shape[1] if y.ndim > 1 else 1
        case "n_groups":
            return 2
        case "n_features" | "embedding_dim":
            return WIDTH
        case "priors":
            return torch.softmax(normal(k), 0) if output.ndim > 1 else torch.tensor([0.7, 0.3], dtype=dtype)
        case "class_counts":
            return torch.arange(1, k + 1, dtype=dtype) * 7
        case "class_values":
            return torch.arange(k, dtype=dtype)
        case "x_scale":
            return torch.ones(WIDTH, dtype=dtype)
        case "y_train":
            return torch.cat([y, y[:3]])
        case "pairs" | "mixed" | "distance":
            return None  # the loss's own
        case "triplets":
            return torch.tensor([[0, 1, 2]]) % n
        case _:  # a plugin's row fact, or one between zero and one
            return torch.rand(n, generator=generator, dtype=torch.float64).to(dtype) * 0.8 + 0.1


def build(component: Component, case: Case, **params: Any) -> Callable[..., Any]:
    """Build a loss as a trainer does, torch's global generator seeded; what it draws is the same each time."""
    with seeded(SEED):
        function = Choice(component, params).build(case.fit)
    return function.to(case.output.dtype) if isinstance(function, nn.Module) else function


def call(component: Component, case: Case, *, built: Any = None, **params: Any) -> Any:
    """Call a loss on a case and return what it returns; random losses start from the same seed each time."""
    function = build(component, case, **params) if built is None else built
    facts = dict(case.facts)
    if "rng" in facts:
        facts["rng"] = torch.Generator().manual_seed(SEED)
    data: list[Any] = [case.output] if component.role else []
    for name in component.data[1:]:
        data.append(case.y if name == "y" else case.fit[name] if name in case.fit else facts[name])
    named = {n: facts[n] if n in facts else case.fit[n] for n in (*component.needs, *component.wishes) if n != "y"}
    if "y" in (*component.needs, *component.wishes):
        named["y"] = case.y
    return function(*data, **named)


def total(values: Any) -> Tensor:
    """Return the sum of what a loss returned, to take gradients of."""
    result: Tensor = values[0] if isinstance(values, tuple) else values
    return result.sum()


def output_gradient(component: Component, case: Case, **params: Any) -> tuple[Any, Tensor]:
    """Return the values and the gradient of their sum with respect to the inputs."""
    leaf = case.inputs.detach().clone().requires_grad_()
    values = call(component, case.with_inputs(leaf), **params)
    summed = total(values)
    if not summed.requires_grad:
        return values, torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(summed, leaf, allow_unused=True)
    return values, torch.zeros_like(leaf) if gradient is None else gradient


def term(component: Component, case: Case, *, weights: Tensor | None = None) -> Tensor:
    """Return the reduced value of a loss on a case, as an estimator computes it."""
    facts: dict[str, Any] = {**case.facts, "y": case.y}
    facts.setdefault("X", case.output)
    if component.role in ("embeddings", "hidden", "view_a"):
        facts["features"] = case.inputs
    if weights is not None:
        facts["sample_weight"] = weights
    if "rng" in facts:
        facts["rng"] = torch.Generator().manual_seed(SEED)
    bound = Term(
        component.name,
        Choice(component),
        fit_facts=case.fit,
        supplied=set(facts),
        reduction=choose("reduction", "mean").build(),
        weighted=weights is not None,
    ).to(case.output.dtype)
    return bound(case.output, facts)

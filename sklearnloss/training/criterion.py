"""The criterion: which fact goes where is planned once, at bind; a batch then only looks its facts up."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sklearnloss.exceptions import MissingFactError, TaskError, TrainingError
from sklearnloss.facts import FACTS, ROLES
from sklearnloss.spec import Choice
from sklearnloss.training.mining import Mining
from sklearnloss.training.mixing import Mixing

__all__ = ["Criterion", "Facts", "Term", "binary_target", "missing_fact"]

Facts = dict[str, Any]
BY_ROW = frozenset({"X", "y", "index", "sample_weight"})  # besides what users give by row


def binary_target(role: str) -> bool:
    """Whether losses of this role take y as numbers 0. and 1. rather than as class indices."""
    return role in ("scores", "label_logits")


def missing_fact(title: str, name: str, who: str) -> str:
    """Say that a component needs a fact, and who could give it."""
    if FACTS[name].scope == "row":
        return f"{title} needs {name!r}, an array with one row per sample: fit(X, y, {name}=...)"
    return f"{title} needs {name!r} ({FACTS[name].about}), which {who} does not supply"


class Term(nn.Module):
    """One loss of a criterion, with everything it is called with.

    Parameters
    ----------
    name : str
        Its name in the sum.
    choice : Choice
        The loss and its hyperparameters.
    fit_facts : mapping
        Facts known before the first batch.
    supplied : iterable of str
        Facts that each batch brings.
    reduction : callable
        ``reduction(values, weights) -> scalar``.
    reduction_facts : tuple of str
        Row facts that the reduction names.
    reduction_from : str
        What the reduction was built from; one with state goes on in a later fit if this is the same.
    plain_mean : bool
        Whether the reduction is the plain mean, which needs no weights where there are none.
    by_label : sequence of mapping, default=()
        If given, a binary loss is applied to as many columns and averaged; the fit facts of each label's own problem of
        two classes.
    weighted : bool, default=False
        Whether the rows have weights.
    head : nn.Module, default=None
        The loss's own head on the features, where the network ends with another; its weight is the proxies.
    implicit : bool, default=False
        Whether the network ends with an `ImplicitHead`, of which the loss takes the moments.
    who : str
        Name of the estimator, for messages.
    """

    def __init__(
        self,
        name: str,
        choice: Choice,
        *,
        fit_facts: Mapping[str, Any],
        supplied: Iterable[str],
        reduction: Callable[..., Tensor],
        reduction_facts: tuple[str, ...] = (),
        reduction_from: str = "",
        plain_mean: bool = True,
        by_label: Sequence[Mapping[str, Any]] = (),
        weighted: bool = False,
        head: nn.Module | None = None,
        implicit: bool = False,
        who: str = "the estimator",
    ) -> None:
        super().__init__()
        component = choice.component
        self.name, self.coef = name, choice.coef
        self.title, self.role, self.unit = component.title, component.role, component.unit
        self.binary, self.labelwise = binary_target(component.role), len(by_label)
        named = {*component.fit_needs, *component.needs, *component.wishes}
        self.by_label = [{n: value for n, value in problem.items() if n in named} for problem in by_label]
        self.reduction, self.reduction_from, self.plain_mean = reduction, reduction_from, plain_mean
        self.reduction_facts = reduction_facts if component.unit in ("row", "anchor") else ()
        problems = by_label or (fit_facts,)
        built = [choice.build(facts) for facts in (problems if component.is_class else problems[:1])]
        self.stateful = isinstance(built[0], nn.Module)
        if self.stateful:
            self.modules_ = nn.ModuleList(built)  # type: ignore[arg-type]
        else:
            self.function = built[0]
        used = {n: fit_facts.get(n) for n in component.fit_needs if n != "generator"}
        self.built_from = (component.full_name, repr(choice.all_params()), used)
        self.data = component.data[1:]
        self.constants = self._constants(component.needs + component.wishes, problems)
        self.head = head
        self.of_moments = partial(component.moments, **choice.params) if implicit and component.moments else None
        self.facts = self._plan(component, supplied if head is None else {*supplied, "prototypes"}, who)
        whole = {"batch": "the whole batch", "bag": "whole bags"}.get(self.unit)
        if weighted and whole and component.data and "sample_weight" not in self.facts:
            raise TaskError(
                f"{self.title} looks at {whole} and does not take sample_weight; leave the weights out "
                "(class_weight too), or choose a loss whose unit is 'row': sklearnloss info"
            )
        # a binary loss whose rows are independent sees all columns of a multilabel y in one call
        self.flat = (
            self.labelwise > 0
            and self.unit == "row"
            and not self.stateful
            and self.facts == self.constants == ()
            and self.data == ("y",)
        )
        self.checked = False

    def _constants(self, names: tuple[str, ...], problems: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """Keep the fit facts it names for each problem, tensors as buffers so that they move with the module."""
        kept = [n for n in names if FACTS[n].scope == "fit" and problems[0].get(n) is not None]
        self.values = {}
        for number, facts in enumerate(problems):
            for name in kept:
                key, value = f"fact_{name}_{number}", facts[name]
                if isinstance(value, Tensor):
                    self.register_buffer(key, value.clone(), persistent=False)
                else:
                    self.values[key] = value
        return tuple(kept)

    def _plan(self, component: Any, supplied: Iterable[str], who: str) -> tuple[str, ...]:
        """Return the batch facts to pass by keyword; a need that nobody supplies is an error."""
        supplied = set(supplied)
        have = supplied | set(self.constants)
        for name in (*component.data[1:], *component.needs):
            if name not in have and name != "view_b":
                raise MissingFactError(missing_fact(self.title, name, who))
        return tuple(n for n in (*component.needs, *component.wishes) if n in supplied and n not in self.constants)

    def take_state(self, other: "Term") -> None:
        """Go on with the state of an earlier fit, if it was built from the same parameters and facts."""
        if isinstance(other.reduction, nn.Module) and self.reduction_from == other.reduction_from:
            self.reduction = other.reduction
        if self.head is not None and other.head is not None and _shapes(self.head) == _shapes(other.head):
            self.head = other.head
        if not (self.stateful and other.stateful and type(self.modules_[0]) is type(other.modules_[0])):
            return
        (name, params, facts), (other_name, other_params, other_facts) = self.built_from, other.built_from
        if (name, params) == (other_name, other_params) and all(_same(facts[n], other_facts[n]) for n in facts):
            self.modules_ = other.modules_

    def linked(self, link: str, output: Tensor) -> Any:
        """Apply a link that is a method of the loss, label by label where the loss is."""
        place = next((t.device for t in (*self.modules_.parameters(), *self.modules_.buffers())), output.device)
        moved = output.to(place)
        if self.labelwise:
            columns = [getattr(module, link)(moved[:, j]) for j, module in enumerate(self.modules_)]
            return torch.stack(columns, dim=1).to(output.device)
        linked = getattr(self.modules_[0], link)(moved)
        return linked.to(output.device) if isinstance(linked, Tensor) else linked

    @property
    def names(self) -> frozenset[str]:
        """Batch facts that it takes."""
        names = {*self.facts, *self.reduction_facts, *(n for n in self.data if n in FACTS)}
        if self.head is not None or (self.role and ROLES[self.role].head in ("none", "hidden")):
            names.add("features")
        if self.of_moments is not None:
            names |= {"features", "implicit_head"}
        return frozenset(names)

    def forward(self, output: Tensor, facts: Facts) -> Tensor:
        """Return the reduced value of this term, without its ``coef``."""
        if self.role == "view_a":
            facts = _first_views(facts)
        if self.head is not None:
            output, facts = self.head(facts["features"]), {**facts, "prototypes": self.head.weight}
        values = self._blend(output, facts) if "lam" in facts else self._measured(output, facts, facts.get("y"))
        return self._reduce(values, facts, output)

    def per_row(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the values of rows that have these targets, of a loss that looks at nothing else (``facts`` is empty).

        Parameters
        ----------
        output : Tensor
            What the network gave, on the loss's own device.
        y : Tensor of shape (n,)
            Encoded targets.
        """
        values = self._values(output, {"features": output}, y)
        values = values[0] if isinstance(values, tuple) else values
        return values if values.ndim == 1 else values.mean(1)

    def _blend(self, output: Tensor, facts: Facts) -> Any:
        """Blend the values for the two labels of a mixed row; state moves at the first call only."""
        first = self._measured(output, facts, facts["y"])
        was_training = self.training
        self.eval()
        second = self._measured(output, facts, facts["y_b"])
        self.train(was_training)
        lam = facts["lam"]
        if lam.ndim:  # a share a row, for values (n,) or (n, k)
            lam = lam.reshape(-1, *[1] * (first.ndim - 1))
        return lam * first + (1 - lam) * second

    def _measured(self, output: Tensor, facts: Facts, y: Tensor | None) -> Any:
        """Return the values, by way of the moments of the scores if the head is implicit."""
        if self.of_moments is None or y is None:
            return self._values(output, facts, y)
        head = facts["implicit_head"]
        return self.of_moments(*head.moments(facts["features"], y), head.out_features)

    def _values(self, output: Tensor, facts: Facts, y: Tensor | None) -> Any:
        if not self.role:  # a regularizer
            return self._call(0, (), facts)
        if self.role == "view_a":
            return self._call(0, facts["features"].chunk(2), facts, y)
        value = facts["features"] if ROLES[self.role].head in ("none", "hidden") else output
        if self.binary and y is not None:
            y = y.to(value.dtype)
        if self.role == "columns" and y is not None:
            value = value.reshape(len(value), y.shape[1], -1)
        if self.labelwise:
            return self._by_label(value, facts, y)
        if self.role == "label_logits":  # two classes are one label
            value = value[:, None] if value.ndim == 1 else value
            y = y[:, None] if y is not None and y.ndim == 1 else y
        return self._call(0, (value,), facts, y)

    def _by_label(self, scores: Tensor, facts: Facts, y: Tensor | None) -> Tensor:
        assert y is not None
        if self.flat:
            return self._call(0, (scores.flatten(),), facts, y.flatten()).view_as(scores).mean(1)
        columns = []
        wide = [n for n in self.facts if FACTS[n].scope == "row" and facts[n].ndim == 2]  # one column per label
        for j in range(self.labelwise):
            own = {**facts, **{n: facts[n][:, j] for n in wide}} if wide else facts
            values = self._call(j, (scores[:, j],), own, y[:, j])
            if isinstance(values, tuple):
                total, valid = values
                values = total / valid.clamp(min=1)
            columns.append(values)
        return torch.stack(columns, dim=-1).mean(-1)

    def _call(self, which: int, data: tuple[Tensor, ...], facts: Facts, y: Tensor | None = None) -> Any:
        function = self.modules_[which] if self.stateful else self.function
        rest = [y if n == "y" else facts[n] for n in self.data if n != "view_b"]
        named = {n: facts[n] for n in self.facts}
        for n in self.constants:
            key = f"fact_{n}_{which}"
            named[n] = self.values[key] if key in self.values else getattr(self, key)
        return function(*data, *rest, **named)

    def _reduce(self, values: Any, facts: Facts, output: Tensor) -> Tensor:
        valid = None
        if isinstance(values, tuple):
            values, valid = values
        if not self.checked:
            self._check(values, facts, output)
        if values.dtype in (torch.float16, torch.bfloat16):
            values = values.float()
        if self.unit == "batch":
            return values
        if not values.numel():  # no triplet, no bag
            return values.sum()
        if values.ndim == 2 and self.unit != "pair":
            values = values.mean(1)
        weights = self._unit_weights(facts)
        if valid is None:
            if weights is None and self.plain_mean:
                return values.mean()
            weights = torch.ones_like(values) if weights is None else weights.to(values.dtype)
            return self._reduced(values, weights, facts)
        # entries stand for `valid` units each: average within, and weigh so that the mean counts every unit once
        count = valid.to(values.dtype)
        share = count * (count.numel() / count.sum().clamp(min=1))
        share = share if weights is None else share * weights.to(values.dtype)
        return self._reduced(values / count.clamp(min=1), share, facts)

    def _reduced(self, values: Tensor, weights: Tensor, facts: Facts) -> Tensor:
        named = {n: facts[n] for n in self.reduction_facts}
        return self.reduction(values.flatten(), weights.flatten(), **named)

    def _unit_weights(self, facts: Facts) -> Tensor | None:
        weights: Tensor | None = facts.get("bag_weight" if self.unit == "bag" else "sample_weight")
        if weights is None or self.unit in ("row", "anchor", "bag"):
            return weights
        return weights[:, None] * weights if self.unit == "pair" else weights[facts["triplets"]].prod(1)

    def _check(self, values: Any, facts: Facts, output: Tensor) -> None:
        """See once that the result has the shape that the unit promises."""
        if not isinstance(values, Tensor):
            raise TrainingError(f"{self.title} must return a tensor, got {type(values).__name__}")
        rows = len(facts["X"]) if "X" in facts else None
        wanted = {
            "batch": values.ndim == 0,
            "pair": values.ndim == 2,
            "triplet": values.ndim == 1,
            "bag": values.ndim == 1,
        }
        # (n,) against (n, 1) broadcasts to (n, n) without a word
        square = values.ndim == 2 and values.shape[0] == values.shape[1] > 1 and values.shape != output.shape
        per_row = values.ndim in (1, 2) and not square and (rows is None or len(values) == rows)
        if not wanted.get(self.unit, per_row):
            raise TrainingError(
                f"{self.title} returned a tensor of shape {tuple(values.shape)} for {rows} rows, but its unit is "
                f"{self.unit!r}; return one value per {self.unit}, or declare the unit: "
                f"@sklearnloss.loss(name, task=..., unit=...)"
            )
        self.checked = True


def _first_views(facts: Facts) -> Facts:
    """Return the facts of the rows once, where a batch holds two views of each; the features stay twice as many."""
    n = len(facts["features"]) // 2
    by_row = [name for name in facts if name in BY_ROW or (name in FACTS and FACTS[name].scope == "row")]
    return facts | {name: facts[name][:n] for name in by_row}


def _shapes(module: nn.Module) -> list[torch.Size]:
    return [p.shape for p in module.parameters()]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.equal(one.cpu(), other.cpu())
    return bool(one == other)


class Criterion(nn.Module):
    """The terms of a loss; calling it on a batch gives the scalar to descend, and keeps the terms apart.

    Parameters
    ----------
    terms : list of Term
        At least one; the first gives link and role.
    mining : Mining or None, default=None
        What finds the pairs of a batch, for losses on embeddings.
    mixing : Mixing or None, default=None
        A mixup that acts within the network; what it adds to the loss is a part of its name.

    Attributes
    ----------
    parts : dict of str to Tensor
        The terms' values at the last call, before their ``coef``.
    """

    def __init__(self, terms: list[Term], mining: Mining | None = None, mixing: Mixing | None = None) -> None:
        super().__init__()
        self.terms: Sequence[Term] = nn.ModuleList(terms)  # type: ignore[assignment]
        self.mixing = mixing
        self.names = frozenset().union(*(term.names for term in terms))
        self.mining = mining
        if mining is not None:
            mining.takes = self.names
            self.names |= mining.names
        self.parts: dict[str, Tensor] = {}

    def forward(self, output: Tensor, facts: Facts) -> Tensor:
        """Return the sum of the terms, and keep them apart in ``parts``."""
        parts = self.split(output, facts)
        self.parts = {name: value.detach() for name, value in parts.items()}
        return self.total(parts)

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the terms, each times its ``coef``."""
        total = None
        for term in self.terms:
            value = parts[term.name] if term.coef == 1.0 else term.coef * parts[term.name]
            total = value if total is None else total + value
        assert total is not None
        if self.mixing is not None and self.mixing.name in parts:
            total = total + parts[self.mixing.name]
        return total

    @property
    def by_name(self) -> dict[str, Term]:
        """The terms by name."""
        return {term.name: term for term in self.terms}

    def take_state(self, other: "Criterion") -> None:
        """Go on with the state of an earlier fit, term by term, where a term is the same."""
        for name in self.by_name.keys() & other.by_name.keys():
            self.by_name[name].take_state(other.by_name[name])
        if self.mining is not None:
            self.mining.take_state(other.mining)
        if self.mixing is not None:
            self.mixing.take_state(other.mixing)

    def split(self, output: Tensor, facts: Facts) -> dict[str, Tensor]:
        """Return the terms by name, before their ``coef``."""
        if self.mining is not None:
            facts = facts | self.mining(facts["features"], facts)
        parts = {term.name: term.forward(output, facts) for term in self.terms}
        if self.mixing is not None and "mixing_terms" in facts:
            parts[self.mixing.name] = self.mixing.mean(facts)
        return parts

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "parts": {}}

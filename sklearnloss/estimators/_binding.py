"""Which fact goes where: from the losses that were chosen to a bound criterion."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from sklearnloss.component import Component
from sklearnloss.estimators._rows import Rows
from sklearnloss.exceptions import MissingFactError, TaskError
from sklearnloss.functional.links import LINKS
from sklearnloss.spec import Choice, choose
from sklearnloss.training.backbone import Network
from sklearnloss.training.criterion import Criterion, Term, missing_fact
from sklearnloss.training.heads import head_kind
from sklearnloss.training.implicit import ImplicitHead
from sklearnloss.training.mining import Mining
from sklearnloss.training.mixing import Mixing, is_within

__all__ = ["MIXUP_FACTS", "NET_FACTS", "READING_FACTS", "SAMPLER_FACTS", "Binding", "common_role", "keywords_of"]

# batch facts that every net supplies; the rest is up to the estimator
NET_FACTS = frozenset({"y", "X", "features", "index", "epoch", "step", "module", "rng"})
# what samplers and mixups may name besides the facts that users give by row
SAMPLER_FACTS = frozenset({"y", "X", "index", "epoch", "batch_size", "rng"})
READING_FACTS = frozenset({"block", "buffer_size"})  # of rows that are read from files
MIXUP_FACTS = frozenset({"y", "X", "index", "rng", "module"})


def common_role(terms: Mapping[str, Choice], who: str) -> str:
    """Return the role whose head all terms share; if none has a head, that of the first with a link of its own.

    Raises
    ------
    TaskError
        If no term leads to a prediction, or two want different heads.
    """
    headed = {name: c for name, c in terms.items() if c.component.role and head_kind(c.component.role) != "none"}
    headed = headed or {name: c for name, c in terms.items() if has_own_link(c.component)}
    if not headed:
        first = next(iter(terms.values())).component
        raise TaskError(
            f"{first.title} works on {first.role or 'no data'} and makes no prediction; {who} needs a term with a "
            f"head, for example Loss('cross_entropy') + Loss({first.name!r})"
        )
    names = list(headed)
    for name in names[1:]:
        if headed[name].component.role != headed[names[0]].component.role:
            raise TaskError(
                f"the terms of a sum share one head: {names[0]!r} wants {headed[names[0]].component.role}, "
                f"{name!r} wants {headed[name].component.role}"
            )
    return headed[names[0]].component.role


def has_own_link(component: Component) -> bool:
    """Whether a loss brings its way from the network's output to a prediction along, as a method."""
    return component.is_class and isinstance(component.link, str) and component.link not in LINKS


def keywords_of(function: Callable[..., Any]) -> list[str]:
    """Return the names of the keyword-only arguments of a link; a builtin such as ``torch.exp`` has none."""
    if inspect.isbuiltin(function):
        return []
    return [n for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY]


class Binding:
    """A mixin of estimators with a net: what their components name, and where it comes from."""

    reduction: Any
    mixup: Any
    _terms: Callable[[], dict[str, Choice]]

    # what differs between estimators

    def _label_facts(self, rows: Rows, facts: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the fit facts of each label by itself, where there are several."""
        return []

    def _named_by_link(self) -> set[str]:
        """Return the fit facts that the link names."""
        return set()

    def _facts_of_batches(self) -> set[str]:
        """Return the facts that batches bring besides those of every net."""
        return set()

    def _mining(self) -> Mining | None:
        """Return what finds the pairs of a batch, where losses look at pairs."""
        return None

    def _row_mixup(self) -> Choice | None:
        """Return the mixup of rows."""
        return None if self.mixup is None else choose("mixup", self.mixup)

    def _fed_components(self) -> list[Component]:
        """Return the components besides losses and reduction that take fit facts."""
        mixup = self._row_mixup()
        return [] if mixup is None else [mixup.component]

    def _term_head(self, term: Choice) -> torch.nn.Module | None:
        """Return the head that a term brings along, because the network has another."""
        return None

    # what they share

    def _head_term(self) -> tuple[str, Choice]:
        """Return name and choice of the term that gives link and task: the first with a head, or a link of its own."""
        terms = self._terms()
        role = common_role(terms, type(self).__name__)
        headless = head_kind(role) == "none"
        return next(
            (name, c)
            for name, c in terms.items()
            if c.component.role == role and (has_own_link(c.component) or not headless)
        )

    def _named_facts(self, terms: Mapping[str, Choice]) -> set[str]:
        """Return the facts that losses, reduction, views and link name."""
        components = [
            *(c.component for c in terms.values()),
            choose("reduction", self.reduction).component,
            *self._fed_components(),
        ]
        return {n for c in components for n in (*c.fit_needs, *c.needs, *c.wishes)} | self._named_by_link()

    def _facts_of(self, component: Component, supplied: set[str]) -> tuple[str, ...]:
        """Return the facts that a component takes by keyword; a need that is not supplied is an error."""
        for need in (*component.data, *component.needs):
            if need not in supplied:
                raise MissingFactError(missing_fact(component.title, need, type(self).__name__))
        return tuple(f for f in (*component.needs, *component.wishes) if f in supplied)

    def _bind(
        self,
        terms: Mapping[str, Choice],
        *,
        rows: Rows,
        fit_facts: Mapping[str, Any],
        network: Network,
        by_label: Sequence[Mapping[str, Any]] = (),
    ) -> Criterion:
        """Plan which fact goes where."""
        reduction = choose("reduction", self.reduction).component
        if reduction.full_name != "core:mean" and all(term.component.unit == "batch" for term in terms.values()):
            titles = " and ".join(term.component.title for term in terms.values())
            raise TaskError(
                f"{reduction.title} joins the values of rows, but {titles} has one value for the whole batch; use "
                "reduction='mean', or a loss with a value per row"
            )
        supplied = {*NET_FACTS, *rows.facts, *network.head_facts} | (set() if network.embeds else {"output"})
        if rows.weights is not None:
            supplied |= {"sample_weight"}
        supplied |= self._facts_of_batches()
        mining = self._mining()
        if mining is not None:
            supplied |= mining.gives
        return Criterion(
            [
                self._bind_term(
                    name,
                    term,
                    supplied=supplied,
                    fit_facts=fit_facts,
                    by_label=by_label if term.component.role == "scores" else (),
                    weighted=rows.weights is not None,
                    implicit=isinstance(network.head, ImplicitHead),
                )
                for name, term in terms.items()
            ],
            mining,
            self._mixing(fit_facts, {*rows.facts, *({"sample_weight"} & supplied)}, complete=network.complete),
        )

    def _bind_term(
        self,
        name: str,
        term: Choice,
        *,
        supplied: set[str],
        fit_facts: Mapping[str, Any],
        by_label: Sequence[Mapping[str, Any]],
        weighted: bool,
        implicit: bool,
    ) -> Term:
        choice = choose("reduction", self.reduction)
        for need in choice.component.needs:
            if need not in supplied:
                raise MissingFactError(missing_fact(choice.component.title, need, type(self).__name__))
            if term.component.unit in ("pair", "triplet", "bag"):
                raise TaskError(
                    f"{choice.component.title} looks at {need!r} of each row, but {term.component.title} has a value "
                    f"per {term.component.unit}; use reduction='mean', or a loss with a value per row"
                )
        return Term(
            name,
            term,
            fit_facts=fit_facts,
            supplied=supplied,
            reduction=choice.build(fit_facts),
            reduction_facts=tuple(n for n in choice.component.facts if n in supplied),
            reduction_from=choice.source,
            plain_mean=choice.component.full_name == "core:mean",
            by_label=by_label,
            weighted=weighted,
            head=self._term_head(term),
            implicit=implicit,
            who=type(self).__name__,
        )

    def _mixing(self, fit_facts: Mapping[str, Any], supplied: set[str], *, complete: bool = False) -> Mixing | None:
        """Return the mixup that acts within the network."""
        mixup = self._row_mixup()
        if mixup is None or not is_within(mixup):
            return None
        if complete:
            raise TaskError(
                f"{mixup.component.title} mixes what the head sees, but the module is complete (it takes n_outputs); "
                "give a backbone without n_outputs, or use mixup='mixup'"
            )
        facts = self._facts_of(mixup.component, {*MIXUP_FACTS, *supplied})
        return Mixing(mixup, fit_facts=fit_facts, facts=tuple(f for f in facts if f != "module"))

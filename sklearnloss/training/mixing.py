"""Mixups of rows: with which losses they go, and those that act within the network."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sklearnloss.exceptions import TaskError, TrainingError
from sklearnloss.facts import FACTS
from sklearnloss.spec import Choice

__all__ = ["Mixing", "check_mixup", "is_within"]


def is_within(choice: Choice) -> bool:
    """Whether a mixup of X acts within the network, because it names ``module``."""
    return choice.component.role == "X" and "module" in choice.component.facts


def check_mixup(choice: Choice, terms: Iterable[Any]) -> None:
    """Refuse a mixup together with a loss that is not made of independent rows, or counts on its rows.

    Raises
    ------
    TaskError
        With the loss's name and its unit.
    """
    first, title = choice.component.role, choice.component.title
    if first != "X":
        raise TaskError(f"a mixup of {first!r} belongs to an estimator that trains on {first}; use one of 'X' here")
    unmixed = ("X", "module") if is_within(choice) else ()
    for term in terms:
        names = (*term.facts, *term.reduction_facts)
        by_row = [n for n in names if n == "index" or FACTS[n].scope == "row"]
        if term.unit != "row" or by_row:
            reason = f"names {by_row[0]!r}, a value per row," if by_row else f"has the unit {term.unit!r}"
            raise TaskError(f"{term.title} {reason} and cannot be trained on mixed rows; leave mixup out")
        if looks := [n for n in names if n in unmixed]:
            raise TaskError(
                f"{term.title} names {looks[0]!r}, but {title} mixes within the network and leaves X as it is; use "
                "mixup='mixup', which mixes X itself"
            )


class Mixing(nn.Module):
    """A mixup that acts within the network, at each pass.

    Parameters
    ----------
    choice : Choice
        The mixup.
    fit_facts : mapping
        Facts known before the first batch.
    facts : tuple of str
        Those of a batch that it takes by keyword, besides ``module``.
    """

    def __init__(self, choice: Choice, *, fit_facts: Mapping[str, Any], facts: tuple[str, ...]) -> None:
        super().__init__()
        self.name, self.title, self.built_from = choice.component.name, choice.component.title, choice.source
        self.facts = facts
        self.mix = choice.build(fit_facts)

    def forward(self, network: nn.Module, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Return what the head sees (n, h), and the batch with mixed labels."""
        named = {name: batch[name] for name in self.facts}
        features, y_a, y_b, lam, *terms = self.mix(batch["X"], batch["y"], module=network, **named)
        if len(features) != len(y_a):
            raise TrainingError(f"{self.title} returned {len(features)} rows for {len(y_a)} labels")
        mixed = {"y": y_a, "y_b": y_b, "lam": lam} | ({"mixing_terms": terms[0]} if terms else {})
        return features, batch | mixed

    def mean(self, facts: Mapping[str, Any]) -> Tensor:
        """Return the mean of what the mixup adds for each row, by the weights of the rows."""
        terms: Tensor = facts["mixing_terms"]
        terms = terms.to(torch.promote_types(terms.dtype, torch.float32))
        weights = facts.get("sample_weight")
        return (terms if weights is None else terms * weights).mean()

    def take_state(self, other: "Mixing | None") -> None:
        """Go on with the parameters of an earlier fit, if it is the same mixup on the same network."""
        if other is None or not isinstance(self.mix, nn.Module) or self.built_from != other.built_from:
            return
        if [p.shape for p in self.parameters()] == [p.shape for p in other.parameters()]:
            self.mix = other.mix

"""A block: some anchors compared with every column, as miners and losses over pairs see it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from sklearnloss.functional.mined import Kept, Window

__all__ = ["Block", "Compare", "Distance", "OnPartners", "Rule"]

Distance = Callable[[Tensor, Tensor], Tensor]
Compare = Literal["cosine", "dot", "euclidean"] | Distance


class Surroundings(Protocol):
    """What a block asks of the batch that it is cut from."""

    rule: "Rule"
    compare: Compare
    scale: Any
    padded: bool

    @property
    def class_size(self) -> Tensor:
        """How many columns the class of each column has, (N,)."""

    def partners(self, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return the columns of each anchor's class, which of them are no padding, and which are positives: (b, m)."""

    def cosines(self, rows: slice) -> Tensor:
        """Return the cosines of some anchors, where the loss compares by something else."""


class Block:
    """Some anchors, compared with every column.

    Attributes
    ----------
    values : Tensor of shape (b, n)
        How near each column is: cosines or dot products times the rule's scale, or distances. Behind the columns stand
        the further negatives of each anchor, where a miner made some. A gradient written by hand may overwrite it.
    rows : slice
        The anchors.
    columns, further : Tensor of shape (N, d), and (b, s, d) or None
        What they are compared with: the columns, and the further negatives of each anchor.
    partners : LongTensor of shape (b, m)
        Columns of the anchor's class, itself among them; padded.
    is_positive : BoolTensor of shape (b, m)
        Which partners are positives: neither itself, nor padding, nor left out by the miner.
    triplets : BoolTensor of shape (b, m, n), Window or None
        Negatives that a miner kept for each partner; None is all.
    """

    def __init__(
        self, values: Tensor, rows: slice, batch: Surroundings, columns: Tensor, further: Tensor | None = None
    ) -> None:
        self.values, self.rows, self.batch = values, rows, batch
        self.columns, self.further = columns, further
        self.partners, self.in_class, self.is_positive = batch.partners(rows)
        self._all_positive = self.is_positive
        self.triplets: Tensor | Window | None = None
        self._kept: Tensor | None = None  # (b, n), where a miner chose

    def keep(self, kept: Kept) -> None:
        """Leave out what a miner did not keep."""
        pairs = kept.pairs
        self.triplets = kept.triplets
        if pairs is not None:
            self.is_positive = self.is_positive & pairs.gather(1, self.partners)
        self._kept = pairs
        if kept.triplets is not None and not self.batch.rule.triplets:  # a pair is kept if a triplet has it
            triples = self.triples()
            self.is_positive = self.is_positive & triples.any(2)
            self._kept = triples.any(1)

    # -- positives and negatives --------------------------------------------------------------------------------------

    @property
    def n_positives(self) -> Tensor:
        """Positives of each anchor, (b,)."""
        return self.is_positive.sum(1)

    @property
    def had_positive(self) -> Tensor:
        """Whether the anchor has a positive, kept by the miner or not, (b,)."""
        return self._all_positive.any(1)

    @property
    def n_negatives(self) -> Tensor:
        """Negatives of each anchor, (b,)."""
        if self._kept is None:
            return self.values.shape[1] - self.in_class.sum(1)
        return self.is_negative.sum(1)

    @property
    def is_negative(self) -> Tensor:
        """Which columns are negatives, (b, n)."""
        everything = self._kept
        if everything is None:
            everything = torch.ones(self.values.shape, dtype=torch.bool, device=self.values.device)
        return self._with_partners(everything, torch.zeros_like(self.in_class))

    def positives(self, fill: float) -> Tensor:
        """Return the values of the partners, (b, m), with ``fill`` for those that are no positives."""
        values = self.values.gather(1, self.partners)
        return values.masked_fill(~self.is_positive, fill)

    def negatives(self, fill: float) -> Tensor:
        """Return the values of the columns, (b, n), with ``fill`` for those that are no negatives."""
        values = self.values if self._kept is None else self.values.masked_fill(~self._kept, fill)
        return self._with_partners(values, torch.full_like(self.partners, fill, dtype=values.dtype))

    def others(self, fill: float) -> Tensor:
        """Return the values of positives and negatives, (b, n), with ``fill`` for all else."""
        values = self.values if self._kept is None else self.values.masked_fill(~self._kept, fill)
        return self._with_partners(values, self.positives(fill))

    def negatives_(self, fill: float) -> Tensor:
        """Return `negatives`, written over the values."""
        if self._kept is not None:
            self.values.masked_fill_(~self._kept, fill)
        partners = torch.full_like(self.partners, fill, dtype=self.values.dtype)
        self.values.scatter_(1, self.partners, self._padded(self.values, partners))
        return self.values

    def others_(self, fill: float) -> Tensor:
        """Return `others`, written over the values."""
        positives = self.positives(fill)
        if self._kept is not None:
            self.values.masked_fill_(~self._kept, fill)
        self.values.scatter_(1, self.partners, self._padded(self.values, positives))
        return self.values

    def add_to_partners_(self, target: Tensor, values: Tensor) -> Tensor:
        """Add values (b, m) of positives to a target (b, n), in place."""
        return target.scatter_add_(1, self.partners, torch.where(self.is_positive, values, 0).to(target.dtype))

    def _with_partners(self, values: Tensor, partners: Tensor) -> Tensor:
        return values.scatter(1, self.partners, self._padded(values, partners))

    def _padded(self, values: Tensor, partners: Tensor) -> Tensor:
        """Return what to write at the partners, (b, m), so that padding changes nothing."""
        # padding repeats the first of the class; without a column of the class that is column 0, which stays. Only the
        # first of equal entries may carry a gradient: each would be given the whole of it
        if not self.batch.padded:
            return partners
        first = torch.where(self.in_class[:, :1], partners[:, :1], values.gather(1, self.partners[:, :1]))
        return torch.cat([first, torch.where(self.in_class[:, 1:], partners[:, 1:], first.detach())], dim=1)

    def triples(self) -> Tensor:
        """Return which (anchor, partner, negative) exist and are kept, (b, m, n)."""
        some = self.is_positive[:, :, None] & self.is_negative[:, None]
        if isinstance(self.triplets, Window):
            gap = self.distances[:, None] - self.distances.gather(1, self.partners)[:, :, None]  # (b, m, n)
            return some & (gap > self.triplets.low) & (gap < self.triplets.high)
        return some if self.triplets is None else some & self.triplets

    @property
    def partner_values(self) -> Tensor:
        """How near each partner is to the columns, and to the further negatives of the anchor, (b, m, n).

        Cosines or dot products times the rule's scale, with a gradient in rules that say ``inner``.
        """
        partners = self.columns[self.partners] * self.batch.scale  # (b, m, d)
        near = partners @ self.columns.T
        if self.further is None:
            return near
        return torch.cat([near, torch.einsum("bmd,bsd->bms", partners, self.further)], dim=2)

    # -- what miners look at ------------------------------------------------------------------------------------------

    @cached_property
    def cosines(self) -> Tensor:
        """Cosines between anchors and columns, (b, n), without a gradient."""
        if self.batch.compare == "cosine":
            return self.values.detach() / self.batch.scale
        if self.batch.compare == "euclidean":
            return 1 - self.values.detach().square() / 2
        return self.batch.cosines(self.rows)

    @cached_property
    def distances(self) -> Tensor:
        """Distances between anchors and columns, (b, n): the loss's own, else those of unit vectors; no gradient."""
        if self.batch.compare not in ("cosine", "dot"):
            return self.values.detach()
        return (2 - 2 * self.cosines).clamp_min(0).sqrt()


class OnPartners(NamedTuple):
    """A slope that is zero but at the positives.

    Attributes
    ----------
    values : Tensor of shape (b, m)
        The derivative with respect to the value of each partner, zero for those that are no positives.
    """

    values: Tensor


class Rule(NamedTuple):
    """What a loss makes of a block.

    Attributes
    ----------
    value : callable
        ``value(block) -> (totals, counts)``, each (b,) or (b, parts): the sum over an anchor's units, and how many they
        are; without any it is zero. Plain torch, differentiable in ``block.values``.
    slope : callable or None
        ``slope(block) -> (totals, counts, slopes)`` without autograd: the same, and for each part the derivative of its
        totals with respect to ``block.values``, (b, n), which may stand in ``block.values`` itself, or `OnPartners`.
    parts : int
        How many sums are kept apart.
    scale : float
        Factor of cosines or dot products.
    triplets : bool
        Whether the rule looks at ``block.triplets`` itself; else a miner of triplets keeps the pairs in them.
    arrays : bool
        Whether the rule makes arrays (b, m, n), so that blocks must be lower.
    inner : bool
        Whether the rule has a gradient through ``block.partner_values``.
    """

    value: Callable[[Block], tuple[Tensor, Tensor]]
    slope: Callable[[Block], tuple[Tensor, Tensor, Sequence[Tensor | OnPartners]]] | None = None
    parts: int = 1
    scale: Any = 1.0
    triplets: bool = False
    arrays: bool = False
    inner: bool = False

"""Losses over pairs: each anchor against all columns, a block of anchors at a time, in memory of a block.

A loss over pairs is a `Rule`: from a `Block` (some anchors, compared with every column) to one value per anchor. The
rule is plain torch; `per_anchor` runs it block by block and keeps of each block no more than the gradient with respect
to the embeddings, so that memory is O(block x n) whatever the rule does. A rule may bring the gradient of its values
written by hand, which saves passes over the block.

Positives are an index list (b, m), m the size of the largest class; no mask (n, n), no (anchor, positive, negative)
array of a whole batch is made.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import threshold

from sklearnloss.functional.vectors import unit_rows

__all__ = [
    "Block",
    "Compare",
    "Distance",
    "Extra",
    "Kept",
    "Mined",
    "Mixed",
    "OnPartners",
    "Rule",
    "Window",
    "per_anchor",
    "softmax_",
]

Distance = Callable[[Tensor, Tensor], Tensor]
Compare = Literal["cosine", "dot", "euclidean"] | Distance

ENTRIES = {"cpu": 2**19, "cuda": 2**26}  # of a block: a few caches' worth, or enough to keep a GPU busy
HIGHEST = {"cpu": 256, "cuda": 4096}  # rows of a block


# -- what miners give -------------------------------------------------------------------------------------------------


class Window(NamedTuple):
    """Triplets whose negative lies farther than the positive by something in ``(low, high)``."""

    low: float
    high: float


@dataclass(frozen=True)
class Kept:
    """What a miner keeps of a block: pairs, or negatives for each positive.

    Attributes
    ----------
    pairs : BoolTensor of shape (b, n) or None
        Pairs that are kept, positive and negative ones; None is all.
    triplets : BoolTensor of shape (b, m, n), Window or None
        Negatives kept for each entry of ``block.partners``; None is all.
    """

    pairs: Tensor | None = None
    triplets: Tensor | Window | None = None


@dataclass(frozen=True)
class Extra:
    """What a miner or a memory adds to a batch.

    Attributes
    ----------
    embeddings : Tensor of shape (q, d) or (n, s, d)
        Further columns for all anchors; or further negatives for each anchor.
    y : LongTensor of shape (q,) or None
        Class of each column; None where there are negatives for each anchor.
    index : LongTensor of shape (q,) or None
        Row numbers of the columns: a column is no partner of the anchor that it was made from.
    """

    embeddings: Tensor
    y: Tensor | None = None
    index: Tensor | None = None


@dataclass(frozen=True)
class Mined:
    """The fact ``pairs``: what miner and memory say about the pairs of a batch.

    Attributes
    ----------
    select : callable or None
        ``select(block) -> Kept``.
    unit : {"pair", "window", "triplet"}
        Of what ``select`` keeps: pairs, a `Window`, or negatives of each positive.
    extra : tuple of Extra
        What is added to the batch.
    index : LongTensor of shape (n,) or None
        Row numbers of the batch.
    """

    select: Callable[["Block"], Kept] | None = None
    unit: Literal["pair", "window", "triplet"] = "pair"
    extra: tuple[Extra, ...] = ()
    index: Tensor | None = None


@dataclass(frozen=True)
class Mixed:
    """The fact ``mixed``: what a mixup of embeddings made for each anchor.

    Attributes
    ----------
    embeddings : Tensor of shape (n, s, d)
        Mixed vectors; they carry a gradient.
    lam : Tensor of shape (n, s)
        How much of each is a positive of the anchor, in [0, 1]; the rest is a negative.
    exists : BoolTensor of shape (n, s)
        Which there are: an anchor without a positive has none.
    weight : float
        Of the terms of mixed vectors beside those of clean pairs.
    """

    embeddings: Tensor
    lam: Tensor
    exists: Tensor
    weight: float = 1.0


# -- a block ----------------------------------------------------------------------------------------------------------


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
        self, values: Tensor, rows: slice, batch: "Batch", columns: Tensor, further: Tensor | None = None
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


def per_anchor(
    rule: Rule,
    embeddings: Tensor,
    y: Tensor,
    *,
    compare: Compare = "cosine",
    pairs: Mined | None = None,
    columns: Tensor | None = None,
    y_columns: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Apply a rule to every anchor.

    Parameters
    ----------
    rule : Rule
        What is made of a block.
    embeddings : Tensor of shape (n, d)
        The anchors, of any length.
    y : LongTensor of shape (n,)
        Class of each.
    compare : {"cosine", "dot", "euclidean"} or callable, default="cosine"
        Cosines, dot products, distances of unit vectors, or ``distance(a, b) -> (n, m)``; dot products and the last are
        of the embeddings as they are.
    pairs : Mined or None, default=None
        What a miner said.
    columns : Tensor of shape (N, d) or None, default=None
        What the anchors are compared with; None is the anchors themselves, each left out for itself.
    y_columns : LongTensor of shape (N,) or None, default=None
        Class of each column.

    Returns
    -------
    totals, counts : Tensor of shape (n,), or (n, parts) where a rule has several
        In the precision of the embeddings. Counts have no gradient.

    Raises
    ------
    ValueError
        If y has not one class per row.

    Notes
    -----
    Values and gradients are computed together, block by block, for anchors of equal weight; where a later reduction
    weighs them differently, the blocks are computed once more. Second derivatives and ``vmap`` go through the rule's
    ``value`` applied to all anchors at once.
    """
    kept = embeddings.dtype
    if y.shape != embeddings.shape[:1]:
        raise ValueError(f"y must have one class per row, got {tuple(y.shape)} for {len(embeddings)} embeddings")
    working = torch.promote_types(kept, torch.float32)
    anchors = _prepared(embeddings, working, compare)
    sources = [anchors] if columns is None else [_prepared(columns, working, compare)]
    labels = [y if y_columns is None else y_columns]
    negatives = None
    rows = [torch.full_like(labels[0], -1)]  # row numbers of the columns, -1 where they are not known
    known = False
    for extra in () if pairs is None else pairs.extra:
        added = _prepared(extra.embeddings.to(anchors.device), working, compare)
        if extra.y is None:
            negatives = added if negatives is None else torch.cat([negatives, added], dim=1)
            continue
        sources.append(added)
        labels.append(extra.y)
        rows.append(torch.full_like(extra.y, -1) if extra.index is None else extra.index)
        known = known or extra.index is not None
    batch = Batch(
        rule,
        y,
        torch.cat(labels) if len(labels) > 1 else labels[0],
        compare=compare,
        pairs=pairs,
        alone=columns is None,
        row_numbers=torch.cat(rows) if known and pairs is not None and pairs.index is not None else None,
    )
    everything = torch.cat(sources) if len(sources) > 1 else sources[0]
    if torch._C._functorch.is_functorch_wrapped_tensor(anchors):  # the Function below has no rule for vmap
        totals, counts = batch.at_once(anchors, everything, negatives)
    else:
        totals, counts = _Blockwise.apply(batch, anchors, everything, negatives)  # type: ignore[no-untyped-call]
    if rule.parts == 1:
        totals, counts = totals.squeeze(1), counts.squeeze(1)
    return totals.to(kept), counts.to(kept)


def _prepared(embeddings: Tensor, dtype: torch.dtype, compare: Compare) -> Tensor:
    embeddings = embeddings.to(dtype)
    return unit_rows(embeddings) if compare in ("cosine", "euclidean") else embeddings


# -- a batch ----------------------------------------------------------------------------------------------------------


class Batch:
    """Labels and miner of a batch, and the walk over its blocks."""

    def __init__(
        self,
        rule: Rule,
        y: Tensor,
        y_columns: Tensor,
        *,
        compare: Compare,
        pairs: Mined | None,
        alone: bool,
        row_numbers: Tensor | None,
    ) -> None:
        self.rule, self.compare, self.pairs, self.alone = rule, compare, pairs, alone
        self.scale = rule.scale
        self.row_numbers = row_numbers  # (N,) of columns, -1 for those of the batch
        self.tensors: tuple[Tensor, Tensor, Tensor | None] | None = None
        self.order = y_columns.argsort(stable=True)  # columns of a class stand together
        found, counts = y_columns[self.order].unique_consecutive(return_counts=True)  # type: ignore[no-untyped-call]
        place = torch.searchsorted(found, y).clamp(max=len(found) - 1)  # (n,)
        self.size = torch.where(found[place] == y, counts[place], 0)  # (n,) columns of the anchor's class
        self.first = (counts.cumsum(0) - counts)[place]  # (n,)
        self.counts = counts  # (classes,)
        smallest, self.largest = (int(count) for count in counts.aminmax())
        self.padded = smallest < self.largest or not alone  # whether a class may have fewer columns than the largest

    @cached_property
    def class_size(self) -> Tensor:
        """How many columns the class of each column has, (N,)."""
        return torch.empty_like(self.order).scatter_(0, self.order, self.counts.repeat_interleave(self.counts))

    def partners(self, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return the columns of each anchor's class, which of them are no padding, and which are positives: (b, m)."""
        slots = torch.arange(self.largest, device=self.order.device)
        size, first = self.size[rows, None], self.first[rows, None]
        in_class = slots < size  # (b, m)
        partners = torch.where(size > 0, self.order[first + torch.where(in_class, slots, 0)], 0)
        positive = in_class
        if self.alone:
            itself = torch.arange(len(self.size), device=self.order.device)[rows, None]
            positive = positive & (partners != itself)
        if self.row_numbers is not None:
            assert self.pairs is not None
            assert self.pairs.index is not None
            positive = positive & (self.row_numbers[partners] != self.pairs.index[rows, None])
        return partners, in_class, positive

    def at_once(self, anchors: Tensor, columns: Tensor, negatives: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return totals and counts (n, parts) in plain torch, all anchors in one block."""
        self.tensors = anchors, columns, negatives
        rows = slice(0, len(self.size))
        values = self.values(anchors, columns, negatives)
        totals, counts = self.rule.value(self.block(rows, values, columns, negatives))
        return totals.reshape(-1, self.rule.parts), counts.reshape(-1, self.rule.parts).to(totals.dtype)

    def block(self, rows: slice, values: Tensor, columns: Tensor | None = None, further: Tensor | None = None) -> Block:
        """Return a block with what the miner keeps of it."""
        assert self.tensors is not None
        _, all_columns, negatives = self.tensors
        if columns is None:
            columns, further = all_columns, None if negatives is None else negatives[rows]
        block = Block(values, rows, self, columns, further)
        if self.pairs is not None and self.pairs.select is not None:
            with torch.no_grad():
                block.keep(self.pairs.select(block))
        return block

    def values(self, a: Tensor, columns: Tensor, negatives: Tensor | None, out: Tensor | None = None) -> Tensor:
        """Return how near anchors are to columns and to their further negatives, (b, n)."""
        if callable(self.compare):
            near = self.compare(a, columns)
            if negatives is None:
                return near
            own = [self.compare(row[None], theirs) for row, theirs in zip(a, negatives, strict=True)]
            return torch.cat([near, torch.cat(own)], dim=1)
        if self.compare in ("cosine", "dot"):
            a = a if self._unscaled else a * self.scale
            near = a @ columns.T if out is None else torch.matmul(a, columns.T, out=out)
            return near if negatives is None else torch.cat([near, torch.einsum("bd,bsd->bs", a, negatives)], dim=1)
        lengths = columns.square().sum(1)  # (N,); 1, or 0 of a zero vector
        squares = torch.addmm(lengths, a, columns.T, alpha=-2) if out is None else torch.addmm(
            lengths, a, columns.T, alpha=-2, out=out
        )  # fmt: skip
        if negatives is not None:
            theirs = negatives.square().sum(2) - 2 * torch.einsum("bd,bsd->bs", a, negatives)
            squares = torch.cat([squares, theirs], dim=1)
        length = a.square().sum(1, keepdim=True)
        if out is None:
            return (squares + length).clamp_min(self._tiny(a)).sqrt()
        return squares.add_(length).clamp_min_(self._tiny(a)).sqrt_()

    @property
    def _unscaled(self) -> bool:
        return isinstance(self.scale, float) and self.scale == 1.0

    @staticmethod
    def _tiny(a: Tensor) -> float:
        # the square of a distance is known to eps only; below, the gradient is 0 and not 0 / 0
        return float(torch.finfo(a.dtype).eps ** 2)

    @torch.no_grad()
    def cosines(self, rows: slice) -> Tensor:
        """Return the cosines of some anchors, where the loss compares by something else."""
        assert self.tensors is not None
        anchors, columns, negatives = self.tensors
        a = unit_rows(anchors[rows])
        near = a @ unit_rows(columns).T
        if negatives is None:
            return near
        return torch.cat([near, torch.einsum("bd,bsd->bs", a, unit_rows(negatives[rows]))], dim=1)

    # -- block by block -----------------------------------------------------------------------------------------------

    def slices(self, n_columns: int, device: torch.device) -> Iterator[slice]:
        """Yield the rows of each block."""
        unit = "pair" if self.pairs is None else self.pairs.unit
        arrays = self.rule.arrays or unit == "triplet" or (unit == "window" and not self.rule.triplets)
        entries = n_columns * (self.largest if arrays else 1)
        height = min(HIGHEST.get(device.type, 4096), max(1, ENTRIES.get(device.type, 2**26) // max(1, entries)))
        n = len(self.size)
        return (slice(start, min(start + height, n)) for start in range(0, n, height))

    @torch.no_grad()
    def run(
        self,
        anchors: Tensor,
        columns: Tensor,
        negatives: Tensor | None,
        *,
        slopes: bool,
        weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, list[list[Tensor]]]:
        """Walk over the blocks.

        Parameters
        ----------
        anchors, columns, negatives : Tensor
            (n, d), (N, d), and (n, s, d) or None.
        slopes : bool
            Whether gradients are wanted.
        weights : Tensor of shape (n, parts) or None
            Of each anchor's totals; then the parts' gradients are added up.

        Returns
        -------
        totals, counts : Tensor of shape (n, parts)
        gradients : list of lists of Tensor
            For each part, or for their weighted sum, those of anchors, columns and negatives.
        """
        self.tensors = anchors, columns, negatives
        parts = self.rule.parts
        totals, counts = (anchors.new_zeros(len(anchors), parts) for _ in range(2))
        inputs = [t for t in (anchors, columns, negatives) if t is not None]
        apart = 0 if not slopes else 1 if weights is not None else parts
        gradients = [[torch.zeros_like(t) for t in inputs] for _ in range(apart)]
        plain = not callable(self.compare) and negatives is None
        buffer = None
        for rows in self.slices(columns.shape[0], anchors.device):
            theirs = None if negatives is None else negatives[rows]
            weight = None if weights is None else weights[rows]
            if callable(self.compare):
                totals[rows], counts[rows] = self._through_distance(rows, theirs, gradients, weight)
                continue
            if self.rule.inner:
                totals[rows], counts[rows] = self._throughout(rows, theirs, gradients, weight)
                continue
            out = None
            if plain:
                height = rows.stop - rows.start
                buffer = anchors.new_empty(height, len(columns)) if buffer is None else buffer
                out = buffer[:height]
            values = self.values(anchors[rows], columns, theirs, out)
            totals[rows], counts[rows], found = self._slopes(rows, values, apart, weight)
            for into, slope in zip(gradients, found, strict=True):
                self._pull_back(into, rows, slope)
        return totals, counts, gradients

    def _slopes(self, rows: slice, values: Tensor, apart: int, weight: Tensor | None) -> tuple[Tensor, Tensor, Any]:
        """Return totals and counts of a block, and what the gradients with respect to its values are."""
        parts = self.rule.parts
        if self.rule.slope is not None:
            # a distance is needed again after the rule has written over it
            kept = _divisor(values) if self.compare == "euclidean" and apart else values
            block = self.block(rows, values)
            totals, counts, found = self.rule.slope(block)
            slopes = self._combined(block, found, weight) if apart else []
        elif apart:
            with torch.enable_grad():
                leaf = values.detach().requires_grad_()
                totals, counts = self.rule.value(self.block(rows, leaf))
                slopes = [slope for (slope,) in _gradients(totals.reshape(-1, parts), [leaf], weight)]
            kept = _divisor(values) if self.compare == "euclidean" else values
        else:
            totals, counts = self.rule.value(self.block(rows, values))
            kept, slopes = values, []
        if self.compare == "euclidean":
            slopes = [self._by_half_squares(slope, kept, rows) for slope in slopes]
        return totals.detach().reshape(-1, parts), counts.reshape(-1, parts), slopes

    def _combined(
        self, block: Block, slopes: Sequence[Tensor | OnPartners], weight: Tensor | None
    ) -> list[Tensor | OnPartners]:
        """Return the slopes of the parts, or their weighted sum; those of partners stay so where that saves work."""
        assert self.tensors is not None
        m, n, d = block.partners.shape[1], block.values.shape[1], self.tensors[0].shape[1]
        if weight is None and not callable(self.compare) and m * d <= 4 * n:
            return list(slopes)
        zeros = block.values.new_zeros(len(block.values), n)
        apart = [
            block.add_to_partners_(zeros.clone(), slope.values) if isinstance(slope, OnPartners) else slope
            for slope in slopes
        ]
        if weight is None:
            return [*apart]
        return [torch.stack([slope * weight[:, [k]] for k, slope in enumerate(apart)]).sum(0)]

    def _by_half_squares(self, slope: Tensor | OnPartners, divisor: Tensor, rows: slice) -> Tensor | OnPartners:
        """Turn a slope with respect to distances into one with respect to half their squares."""
        if isinstance(slope, OnPartners):
            return OnPartners(slope.values / divisor.gather(1, self.partners(rows)[0]))
        return slope.div_(divisor)

    def _pull_back(self, into: list[Tensor], rows: slice, slope: Tensor | OnPartners) -> None:
        """Add the gradients with respect to the embeddings, from those with respect to the values."""
        assert self.tensors is not None
        anchors, columns, negatives = self.tensors
        a = anchors[rows]
        factor = 1.0 if self.compare == "euclidean" else self.scale
        sign = -1 if self.compare == "euclidean" else 1
        if isinstance(slope, OnPartners):
            self._pull_partners(into, rows, sign * factor * slope.values, slope.values)
            return
        near = slope[:, : columns.shape[0]]
        into[0][rows] += sign * factor * (near @ columns)
        into[1].addmm_(near.T, a if self._unscaled else a * factor, alpha=sign)
        if self.compare == "euclidean":
            into[0][rows] += slope.sum(1, keepdim=True) * a
            into[1].addcmul_(near.sum(0)[:, None], columns)
        if negatives is not None:
            theirs, own = negatives[rows], slope[:, columns.shape[0] :, None]  # (b, s, d), (b, s, 1)
            into[0][rows] += sign * factor * (own * theirs).sum(1)
            into[2][rows] += sign * factor * own * a[:, None]
            if self.compare == "euclidean":
                into[2][rows] += own * theirs

    def _pull_partners(self, into: list[Tensor], rows: slice, across: Tensor, along: Tensor) -> None:
        """Do the same from the slopes of partners, (b, m), without a matrix product."""
        assert self.tensors is not None
        anchors, columns, _ = self.tensors
        a, partners = anchors[rows], self.partners(rows)[0]
        theirs = columns[partners]  # (b, m, d)
        to_columns = across[:, :, None] * a[:, None]
        if self.compare == "euclidean":
            into[0][rows] += along.sum(1, keepdim=True) * a
            to_columns += along[:, :, None] * theirs
        into[0][rows] += torch.einsum("bm,bmd->bd", across, theirs)
        into[1].index_add_(0, partners.flatten(), to_columns.flatten(0, 1))

    def _through_distance(
        self, rows: slice, theirs: Tensor | None, gradients: list[list[Tensor]], weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Do a block whose distance autograd goes through."""
        assert self.tensors is not None
        anchors, columns, _ = self.tensors
        inputs = [t for t in (anchors[rows], columns, theirs) if t is not None]
        with torch.set_grad_enabled(bool(gradients)):
            leaves = [t.detach().requires_grad_(bool(gradients)) for t in inputs]
            values = self.values(leaves[0], leaves[1], None if theirs is None else leaves[2])
        totals, counts, slopes = self._slopes(rows, values.detach().clone(), len(gradients), weight)
        for k, (into, slope) in enumerate(zip(gradients, slopes, strict=True)):
            assert isinstance(slope, Tensor)
            found = torch.autograd.grad(values, leaves, slope, retain_graph=k + 1 < len(slopes))
            into[0][rows] += found[0]
            into[1] += found[1]
            if theirs is not None:
                into[2][rows] += found[2]
        return totals, counts

    def _throughout(
        self, rows: slice, theirs: Tensor | None, gradients: list[list[Tensor]], weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Do a block that autograd goes through from end to end."""
        assert self.tensors is not None
        anchors, columns, _ = self.tensors
        with torch.set_grad_enabled(bool(gradients)):
            leaves = [
                t.detach().requires_grad_(bool(gradients)) for t in (anchors[rows], columns, theirs) if t is not None
            ]
            further = None if theirs is None else leaves[2]
            values = self.values(leaves[0], leaves[1], further)
            totals, counts = self.rule.value(self.block(rows, values, leaves[1], further))
            totals = totals.reshape(-1, self.rule.parts)
            found = _gradients(totals, leaves, weight) if gradients else []
        for into, slopes in zip(gradients, found, strict=True):
            into[0][rows] += slopes[0]
            into[1] += slopes[1]
            if theirs is not None:
                into[2][rows] += slopes[2]
        return totals.detach(), counts.reshape(-1, self.rule.parts)


def _divisor(distances: Tensor) -> Tensor:
    """Return by what a slope with respect to distances is divided, to be one with respect to half their squares."""
    return threshold(distances, 2 * torch.finfo(distances.dtype).eps, torch.inf)  # duplicates have no direction


def _gradients(totals: Tensor, leaves: list[Tensor], weight: Tensor | None) -> list[list[Tensor]]:
    """Return the gradients of each part's sum; with weights, those of the weighted sum of all."""
    n_parts = totals.shape[1]
    if not totals.requires_grad:  # nothing in the block depends on its values
        return [[torch.zeros_like(leaf) for leaf in leaves] for _ in range(n_parts if weight is None else 1)]
    sums = [totals[:, k].sum() for k in range(n_parts)] if weight is None else [(totals * weight).sum()]
    return [
        list(torch.autograd.grad(s, leaves, retain_graph=k + 1 < len(sums), materialize_grads=True))
        for k, s in enumerate(sums)
    ]


def softmax_(logits: Tensor) -> Tensor:
    """Turn rows of logits into their softmax, in place, and return the log of the sum of exponentials, (b,).

    A row of ``-inf`` becomes a row of zeros, with the result ``-inf``.
    """
    top = logits.amax(1, keepdim=True).clamp_min_(torch.finfo(logits.dtype).min)
    total = logits.sub_(top).exp_().sum(1, keepdim=True)
    logits.div_(total.clamp_min(torch.finfo(logits.dtype).tiny))
    return (top + total.log()).squeeze(1)


class _Blockwise(torch.autograd.Function):
    """The totals of a batch, whose gradients are made with them where there are few parts."""

    @staticmethod
    def forward(ctx: Any, batch: Batch, anchors: Tensor, columns: Tensor, negatives: Tensor | None) -> Any:
        wanted = any(ctx.needs_input_grad)
        ctx.batch, ctx.negatives = batch, negatives is not None
        with torch.autocast(anchors.device.type, enabled=False):
            totals, counts, gradients = batch.run(
                anchors.detach(),
                columns.detach(),
                None if negatives is None else negatives.detach(),
                slopes=wanted and batch.rule.parts <= 2,
            )
        batch.tensors = None
        ctx.gradients = gradients
        ctx.save_for_backward(anchors, columns, counts, *(() if negatives is None else (negatives,)))
        ctx.mark_non_differentiable(counts)
        return totals, counts

    @staticmethod
    def backward(ctx: Any, weights: Tensor, _: Any) -> Any:
        anchors, columns, counts, *rest = ctx.saved_tensors
        inputs = (anchors, columns, *rest)
        if torch.is_grad_enabled():  # a second derivative is wanted
            needed = [t for t in inputs if t.requires_grad]
            totals, _ = ctx.batch.at_once(*inputs, *(() if ctx.negatives else (None,)))
            found = iter(torch.autograd.grad(totals, needed, weights, create_graph=True, allow_unused=True))
            gradients = [next(found) if t.requires_grad else None for t in inputs]
        elif (common := _common(weights, counts) if ctx.gradients else None) is not None:
            gradients = [_weighted(common, parts) for parts in zip(*ctx.gradients, strict=True)]
        else:
            with torch.autocast(anchors.device.type, enabled=False):
                detached = [t.detach() for t in inputs]
                _, _, found = ctx.batch.run(
                    *detached, *(() if ctx.negatives else (None,)), slopes=True, weights=weights
                )
            (gradients,) = found
        ctx.batch.tensors = None
        return None, *gradients, *(() if ctx.negatives else (None,))


def _weighted(weights: Tensor, parts: Sequence[Tensor]) -> Tensor:
    total = weights[0] * parts[0]
    for weight, part in zip(weights[1:], parts[1:], strict=True):
        total.addcmul_(weight, part)
    return total


def _common(weights: Tensor, counts: Tensor) -> Tensor | None:
    """Return the weight of each part that all its anchors share, up to rounding; else None."""
    if weights.stride(0) == 0:  # a sum or a mean of all, expanded
        return weights[0]
    exists = counts > 0
    high = torch.where(exists, weights, -torch.inf).amax(0)
    low = torch.where(exists, weights, torch.inf).amin(0)
    none = ~exists.any(0)
    tolerance = 8 * torch.finfo(weights.dtype).eps
    same = none | (high - low <= tolerance * torch.maximum(high.abs(), low.abs()))
    return torch.where(none, 0.0, high) if bool(same.all()) else None

"""Losses over pairs: each anchor against all columns, a block of anchors at a time, in memory of a block.

A loss over pairs is a `Rule`: from a `Block` (some anchors, compared with every column) to one value per anchor. The
rule is plain torch; `per_anchor` runs it block by block and keeps of each block no more than the gradient with respect
to the embeddings, so that memory is O(block x n) whatever the rule does. A rule may bring the gradient of its values
written by hand, which saves passes over the block.

Positives are an index list (b, m), m the size of the largest class; no mask (n, n), no (anchor, positive, negative)
array of a whole batch is made.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import threshold

from sklearnloss.functional.block import Block, Compare, Distance, OnPartners, Rule
from sklearnloss.functional.mined import Extra, Kept, Mined, Mixed, Window
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

ENTRIES = {"cpu": 2**19, "cuda": 2**26}  # of a block: a few caches' worth, or enough to keep a GPU busy
HIGHEST = {"cpu": 256, "cuda": 4096}  # rows of a block


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

"""What miners of blocks are written with, and a way to see what one keeps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sklearnloss.functional.pairs import Block, Compare, Extra, Kept, Mined, Rule, Window, per_anchor
from sklearnloss.functional.vectors import unit_rows

__all__ = ["as_pairs", "at_farthest", "at_nearest", "mine", "of_negatives", "of_positives", "unit_columns"]


def of_positives(block: Block, values: Tensor, fill: float) -> Tensor:
    """Return the values (b, n) of the partners, (b, m), with ``fill`` for those that are no positives."""
    return values.gather(1, block.partners).masked_fill(~block.is_positive, fill)


def of_negatives(block: Block, values: Tensor, fill: float) -> Tensor:
    """Return the values (b, n) with ``fill`` for columns that are no negatives."""
    return values.masked_fill(~block.is_negative, fill)


def at_farthest(values: Tensor) -> Tensor:
    """Return a mask of the largest value of each row, the first of equal ones; of rows of ``-inf`` there is none."""
    top, place = values.max(1, keepdim=True)
    return torch.zeros_like(values, dtype=torch.bool).scatter_(1, place, top > -torch.inf)


def at_nearest(values: Tensor) -> Tensor:
    """Return a mask of the smallest value of each row, the first of equal ones; of rows of ``inf`` there is none."""
    least, place = values.min(1, keepdim=True)
    return torch.zeros_like(values, dtype=torch.bool).scatter_(1, place, least < torch.inf)


def as_pairs(block: Block, positive: Tensor, negative: Tensor) -> Tensor:
    """Return the mask of pairs (b, n) of these partners (b, m) and these columns (b, n), without any that are neither.

    Examples
    --------
    >>> embeddings = torch.eye(3)
    >>> def only_positives(block):
    ...     return as_pairs(block, block.is_positive, torch.zeros_like(block.is_negative))
    >>> mine(only_positives, embeddings, torch.tensor([0, 0, 1])).int().tolist()
    [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    """
    chosen = (negative & block.is_negative).view(torch.uint8)
    # padding repeats a partner, so that positives are added and not written; no sum is above 1
    return block.add_to_partners_(chosen, positive.view(torch.uint8)).view(torch.bool)


def unit_columns(block: Block) -> tuple[Tensor, Tensor | None]:
    """Return the columns (n, d), and the further negatives of each anchor (b, s, d) or None, with length one."""
    further = None if block.further is None else unit_rows(block.further.detach())
    return unit_rows(block.columns.detach()), further


def mine(
    miner: Callable[..., Any],
    embeddings: Tensor,
    y: Tensor,
    *,
    unit: str = "pair",
    compare: Compare = "euclidean",
    extra: tuple[Extra, ...] = (),
    **params: Any,
) -> Any:
    """Return what a miner of blocks says of every anchor of a batch.

    Parameters
    ----------
    miner : callable
        ``miner(block, **params)``.
    embeddings : Tensor of shape (n, d)
        Of any length.
    y : LongTensor of shape (n,)
        Class of each row.
    unit : {"pair", "window", "triplet"}, default="pair"
        What it returns.
    compare : {"cosine", "euclidean"} or callable, default="euclidean"
        How the loss compares.
    extra : tuple of Extra, default=()
        What is added to the batch.
    **params
        Hyperparameters and facts of the miner.

    Returns
    -------
    BoolTensor of shape (n, N) or (n, m, N), or Window
        For all N columns, and the partners of each anchor.

    Examples
    --------
    >>> mine(lambda block: block.is_negative, torch.eye(3), torch.tensor([0, 0, 1])).int().tolist()
    [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    """
    found: list[Any] = []

    def select(block: Block) -> Kept:
        found.append(miner(block, **params))
        return Kept()

    def nothing(block: Block) -> tuple[Tensor, Tensor]:
        return block.values.new_zeros(len(block.values)), block.n_positives

    pairs = Mined(select, unit, extra)  # type: ignore[arg-type]
    per_anchor(Rule(nothing), embeddings.detach(), y, compare=compare, pairs=pairs)
    return found[0] if isinstance(found[0], Window) else torch.cat(found)

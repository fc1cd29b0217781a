"""What miners, memories and mixups say about the pairs of a batch, and hand to losses as facts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

__all__ = ["Extra", "Kept", "Mined", "Mixed", "Window"]


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

    select: Callable[..., Kept] | None = None
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

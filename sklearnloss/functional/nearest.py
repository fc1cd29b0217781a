"""Nearest rows by cosine, a block of rows at a time, in memory of a block."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["draw", "nearest_rows"]

ENTRIES = {"cpu": 2**22, "cuda": 2**27}  # of a block of cosines


@torch.no_grad()
def nearest_rows(embeddings: Tensor, k: int, *, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Find the rows of largest cosine with each row: other rows, or rows of another class.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Of any length.
    k : int
        How many.
    y : LongTensor of shape (n,) or None, default=None
        Class of each row: only rows of another class are found. None finds all rows but the row itself.

    Returns
    -------
    index : LongTensor of shape (n, min(k, n))
        Row numbers, the nearest first.
    count : LongTensor of shape (n,)
        How many of a row's numbers are meant; behind them stand others.

    Notes
    -----
    O(n^2 d) time, O(block x n) memory. Cosines are computed in float32 at least.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    >>> nearest_rows(embeddings, 1)[0].tolist()
    [[1], [0], [1]]
    >>> nearest_rows(embeddings, 2, y=torch.tensor([0, 0, 1]))[1].tolist()
    [1, 1, 2]
    """
    n, device = len(embeddings), embeddings.device
    unit = normalize(embeddings.detach().to(torch.promote_types(embeddings.dtype, torch.float32)), dim=1)
    rows = torch.arange(n, device=device)
    index = torch.empty(n, min(k, n), dtype=torch.int64, device=device)
    count = torch.empty(n, dtype=torch.int64, device=device)
    height = max(1, ENTRIES.get(device.type, 2**22) // max(1, n))
    for start in range(0, n, height):
        block = rows[start : start + height]
        excluded = block[:, None] == rows if y is None else y[block, None] == y  # (b, n)
        near = (unit[block] @ unit.T).masked_fill_(excluded, -torch.inf)
        index[block] = near.topk(min(k, n), dim=1).indices
        count[block] = (n - excluded.sum(1)).clamp(max=k)
    return index, count


def draw(index: Tensor, count: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Draw from each row's numbers with replacement.

    Parameters
    ----------
    index : LongTensor of shape (n, k)
        Numbers of each row.
    count : LongTensor of shape (n,)
        How many of them are meant, at least one.
    size : int
        How many are drawn.
    rng : torch.Generator
        Source of the draws.

    Returns
    -------
    LongTensor of shape (n, size)
        Some of the numbers.

    Examples
    --------
    >>> draw(torch.tensor([[7, 0]]), torch.tensor([1]), 3, torch.Generator())
    tensor([[7, 7, 7]])
    """
    uniform = torch.rand(len(index), size, generator=rng, device=index.device)
    return index.gather(1, torch.minimum((uniform * count[:, None]).long(), count[:, None] - 1))

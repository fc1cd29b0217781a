"""What the distances share."""

import torch
from torch import Tensor

from sklearnloss.functional.vectors import unit_rows


def prepared(a: Tensor, b: Tensor, *, normalize: bool) -> tuple[Tensor, Tensor]:
    """Return both in float32 at least, with length one if they are to be normalized."""
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    a, b = a.to(dtype), b.to(dtype)
    return (unit_rows(a), unit_rows(b)) if normalize else (a, b)


def squares(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return squared distances, (n, m), and what they are known to: below it they are rounding."""
    centre = b.detach().mean(0)  # differences do not see it; far from the origin squares would lose all digits
    a, b = a - centre, b - centre
    lengths = a.square().sum(1)[:, None] + b.square().sum(1)  # (n, m)
    return (lengths - 2 * (a @ b.T)).clamp_min(0), torch.finfo(a.dtype).eps * lengths.detach()

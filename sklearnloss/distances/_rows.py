"""What the distances share."""

import torch
from torch import Tensor

from sklearnloss.functional.vectors import unit_rows


def prepared(a: Tensor, b: Tensor, *, normalize: bool) -> tuple[Tensor, Tensor]:
    """Return both in float32 at least, with length one if they are to be normalized."""
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    a, b = a.to(dtype), b.to(dtype)
    return (unit_rows(a), unit_rows(b)) if normalize else (a, b)

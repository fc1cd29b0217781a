"""Cross entropy of a linear head class chunk by class chunk, without the matrix of logits."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["chunked_cross_entropy", "dense_cross_entropy"]


def dense_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, y: Tensor, softcap: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the cross entropy of each row and the log-sum-exp of its logits, both (n,), by all logits at once.

    Examples
    --------
    >>> loss, lse = dense_cross_entropy(torch.ones(1, 2), torch.eye(2), torch.zeros(2), torch.tensor([0]))
    >>> loss, lse
    (tensor([0.6931]), tensor([1.6931]))
    """
    logits = _capped(F.linear(hidden, weight, bias), softcap)
    lse = logits.logsumexp(1)
    return lse - logits.gather(1, y[:, None]).squeeze(1), lse


def chunked_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, y: Tensor, *, chunk: int, softcap: float = 0.0, skip: float = 0.0
) -> tuple[Tensor, Tensor]:
    r"""Return the cross entropy of each row and the log-sum-exp of its logits, both (n,).

    Parameters
    ----------
    hidden : Tensor of shape (n, d)
        What the head sees.
    weight : Tensor of shape (k, d)
        Weights of the head.
    bias : Tensor of shape (k,)
        Bias of the head.
    y : LongTensor of shape (n,)
        Classes.
    chunk : int in [1, inf)
        Classes at a time.
    softcap : float in [0, inf), default=0.0
        Where logits level off, ``c tanh(z / c)``; zero leaves them.
    skip : float in [0, 1), default=0.0
        A chunk in which no probability is above this gives no gradient but that of the true classes; zero is exact.

    Notes
    -----
    Forward, a running maximum m and sum s of each row: :math:`m' = \max(m, \max z)`,
    :math:`s' = s e^{m - m'} + \sum e^{z - m'}`. Backward the logits of a chunk are made again, so that the memory is
    O(n chunk + k d) and the time three products instead of two. Second derivatives and ``vmap`` go through all logits.

    Examples
    --------
    >>> hidden, weight = torch.ones(1, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> chunked_cross_entropy(hidden, weight, torch.zeros(3), torch.tensor([0]), chunk=2)[0]
    tensor([0.8620])
    """
    tensors = (hidden, weight, bias)
    if any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in tensors):
        return dense_cross_entropy(hidden, weight, bias, y, softcap)
    found: tuple[Tensor, Tensor] = _Chunked.apply(*tensors, y, chunk, softcap, skip)  # type: ignore[no-untyped-call]
    return found


class _Chunked(torch.autograd.Function):
    """The values, whose gradient makes the logits anew."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, y: Tensor, chunk: int, softcap: float, skip: float
    ) -> tuple[Tensor, Tensor]:
        n, k = len(hidden), len(weight)
        work = torch.float32 if hidden.dtype in (torch.float16, torch.bfloat16) else hidden.dtype
        top = torch.full((n,), -torch.inf, dtype=work, device=hidden.device)
        total = torch.zeros(n, dtype=work, device=hidden.device)
        for start in range(0, k, chunk):
            logits = _logits(hidden, weight, bias, start, chunk, softcap, work)
            higher = torch.maximum(top, logits.amax(1))
            total.mul_((top - higher).exp_()).add_(logits.sub_(higher[:, None]).exp_().sum(1))
            top = higher
        lse = top + total.log()
        own = (hidden.to(work) * weight[y].to(work)).sum(1) + bias[y].to(work)
        values = lse - _capped(own, softcap)
        ctx.save_for_backward(hidden, weight, bias, y, lse)
        ctx.chunk, ctx.softcap, ctx.skip = chunk, softcap, skip
        return values.to(hidden.dtype), lse.to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, slope: Tensor, slope_lse: Tensor) -> Any:
        hidden, weight, bias, y, lse = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            outputs = dense_cross_entropy(hidden, weight, bias, y, ctx.softcap)
            found = torch.autograd.grad(outputs, (hidden, weight, bias), (slope, slope_lse), create_graph=True)
            return *found, None, None, None, None
        work = lse.dtype
        own, both = slope.to(work), (slope + slope_lse).to(work)  # the true logit hangs on the first alone
        wide = hidden.to(work)
        to_hidden = torch.zeros_like(wide)
        to_weight, to_bias = torch.zeros_like(weight, dtype=work), torch.zeros_like(bias, dtype=work)
        for start in range(0, len(weight), ctx.chunk):
            end = start + ctx.chunk
            logits = _logits(hidden, weight, bias, start, ctx.chunk, ctx.softcap, work)
            bend = 1 - (logits / ctx.softcap).square() if ctx.softcap else None
            share = logits.sub_(lse[:, None]).exp_()
            if ctx.skip and float(share.max()) < ctx.skip:
                continue
            share.mul_(both[:, None])
            if bend is not None:
                share.mul_(bend)
            torch.mm(share.T, wide, out=to_weight[start:end])
            to_hidden.addmm_(share, weight[start:end].to(work))
            to_bias[start:end] = share.sum(0)
        true = weight[y].to(work)
        if ctx.softcap:
            logit = (wide * true).sum(1) + bias[y].to(work)
            own = own * (1 - (_capped(logit, ctx.softcap) / ctx.softcap).square())
        to_weight.index_add_(0, y, wide * -own[:, None])
        to_bias.index_add_(0, y, -own)
        to_hidden.sub_(true * own[:, None])
        return to_hidden.to(hidden.dtype), to_weight.to(weight.dtype), to_bias.to(bias.dtype), None, None, None, None


def _logits(
    hidden: Tensor, weight: Tensor, bias: Tensor, start: int, chunk: int, softcap: float, work: torch.dtype
) -> Tensor:
    """Return the logits of some classes, (n, chunk)."""
    part = slice(start, start + chunk)
    return _capped(torch.addmm(bias[part], hidden, weight[part].T).to(work), softcap)


def _capped(logits: Tensor, softcap: float) -> Tensor:
    return softcap * torch.tanh(logits / softcap) if softcap else logits

"""A linear head whose weights are never made in training: steps on very many classes at the cost of a few."""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["ImplicitHead"]

REFRESH = 1000  # steps after which the factors are made anew, so that rounding does not add up


class ImplicitHead(nn.Module):
    r"""A linear head with bias for losses of the true score, the sum and the sum of squares of all scores.

    The gradient of such a loss by the weights W (k, d), the bias among them, is

    .. math:: G = 1 p^\top + W M + \sum_i g_i e_{y_i} h_i^\top

    of rank one, a product with a small matrix, and rows of the classes in the batch. With
    :math:`W = (V + 1 c^\top) U` a step of gradient descent changes c, U and a few rows of V, and :math:`W^\top W` and
    :math:`W^\top 1` are kept along, so that its cost does not depend on k: O(n d^2 + d^3).

    Parameters
    ----------
    in_features, out_features : int
        Width of the features; number of classes.

    Notes
    -----
    Weights change by `step` only, by plain gradient descent with weight decay; the factors are parameters without
    gradient, so that they are moved, saved and counted with the network. Where a step is too large for U to stay
    invertible, and after 1,000 steps, the weights are made once, which takes O(k d^2).

    References
    ----------
    .. [1] Vincent, de Brébisson, Bouthillier. "Efficient exact gradient update for training deep networks with very
       large sparse targets". NeurIPS 2015.

    Examples
    --------
    >>> head = ImplicitHead(2, 5)
    >>> features, y = torch.ones(1, 2), torch.tensor([3])
    >>> torch.allclose(head.moments(features, y)[:, 0], head(features)[:, 3])
    True
    """

    age: Tensor
    rows: nn.Parameter
    shared: nn.Parameter
    factor: nn.Parameter
    inverse: nn.Parameter
    squares: nn.Parameter
    total: nn.Parameter

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        start = nn.Linear(in_features, out_features)
        width = in_features + 1
        sizes = {
            "rows": (out_features, width),  # V
            "shared": (width,),  # c
            "factor": (width, width),  # U
            "inverse": (width, width),  # of U
            "squares": (width, width),  # W'W
            "total": (width,),  # W'1
        }
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(size), requires_grad=False))
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))  # steps since the factors were made
        self.forget()
        if not self.rows.is_meta:
            self._take(torch.cat([start.weight.detach(), start.bias.detach()[:, None]], 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return all scores (n, k), as prediction needs them."""
        inner = _with_one(features) @ self.factor.T
        return inner @ self.rows.T + (inner @ self.shared)[:, None]

    @property
    def weight(self) -> Tensor:
        """The weights (k, d + 1), the last column the bias."""
        return (self.rows + self.shared) @ self.factor

    def moments(self, features: Tensor, y: Tensor) -> Tensor:
        """Return the true score, the mean and the mean square of all scores of each row, (n, 3).

        Going backward keeps what `step` needs.
        """
        if torch.is_grad_enabled() and not features.requires_grad:  # raw columns: only the head is trained
            features = features.detach().requires_grad_()
        found: Tensor = _Moments.apply(features, y, self)  # type: ignore[no-untyped-call]
        return found

    def forget(self) -> None:
        """Forget the gradient."""
        self.pending: list[tuple[Tensor, ...]] = []

    def step(self, lr: float, weight_decay: float = 0.0) -> None:
        """Take a step of gradient descent, exactly that of the dense weights.

        Parameters
        ----------
        lr : float
            The rate.
        weight_decay : float, default=0.0
            Added to the gradient, times the weights.
        """
        with torch.no_grad():
            if self.pending:
                passes = list(zip(*self.pending, strict=True))
                self._move(*(p[0] if len(p) == 1 else torch.cat(p) for p in passes), lr=lr, decay=lr * weight_decay)
        self.forget()

    def _move(
        self,
        h: Tensor,
        y: Tensor,
        own: Tensor,
        by_true: Tensor,
        by_each: Tensor,
        by_score: Tensor,
        *,
        lr: float,
        decay: float,
    ) -> None:
        """Move along the gradient, whose entries of row i are by_each + by_score * score, and by_true at the class.

        ``own`` (n, d) has the weights of the classes of the rows.
        """
        k, width = self.rows.shape
        change = (h * (lr * by_score)[:, None]).T @ h  # (d, d), lr M
        change.diagonal().add_(decay)
        to_all = (-lr * by_each) @ h  # (d,)
        classes, place = y.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        new = h.new_zeros(len(classes), width).index_add_(0, place, h * (-lr * by_true)[:, None])  # (u, d)
        size = float(change.norm())
        self.age += 1
        if self.age > REFRESH or not size < 0.5:  # U might lose its inverse
            weight = self.weight
            weight = (weight - weight @ change).add_(to_all)
            self._take(weight.index_add_(0, classes, new))
            return
        keep = -change
        keep.diagonal().add_(1)  # symmetric
        where = torch.empty_like(classes).scatter_(0, place, torch.arange(len(y), device=y.device))  # a row of each
        old = torch.addmm(to_all, own[where], keep)  # (u, d), before what their own rows add
        total = keep @ self.total
        both = torch.outer(total + k / 2 * to_all, to_all).addmm_((old + new / 2).T, new)
        self.squares.copy_(torch.addmm(both + both.T, keep @ self.squares, keep))
        self.total.copy_(total + k * to_all + new.sum(0))
        self.factor.copy_(self.factor @ keep)
        self.inverse.copy_(_divided(self.inverse, change, size))
        self.shared.add_(to_all @ self.inverse)
        self.rows.index_add_(0, classes, new @ self.inverse)

    def _take(self, weight: Tensor) -> None:
        """Make the factors of these weights."""
        with torch.no_grad():
            self.rows.copy_(weight)
            self.shared.zero_()
            for eye in (self.factor, self.inverse):
                eye.copy_(torch.eye(len(eye), dtype=weight.dtype, device=weight.device))
            self.squares.copy_(weight.T @ weight)
            self.total.copy_(weight.sum(0))
        self.age.zero_()

    def _apply(self, fn: Any, recurse: bool = True) -> "ImplicitHead":
        """Move to another device or precision; another precision makes the factors anew, so that they agree."""
        before = self.rows.dtype
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.rows.dtype != before and not self.rows.is_meta:
            self._take(self.weight.detach())
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "pending": []}


class _Moments(torch.autograd.Function):
    """The moments, whose gradient goes to the features, and to the head itself."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, y: Tensor, head: ImplicitHead) -> Tensor:
        h = _with_one(features.to(head.rows.dtype))
        by_squares = h @ head.squares  # (n, d)
        own = (head.rows[y] + head.shared) @ head.factor  # (n, d), the weights of the true class
        ctx.save_for_backward(h, y, by_squares, own)
        ctx.head, ctx.dtype = head, features.dtype
        k = head.out_features
        moments = [(own * h).sum(1), h @ head.total / k, (by_squares * h).sum(1) / k]
        return torch.stack(moments, 1).to(features.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        h, y, by_squares, own = ctx.saved_tensors
        head, k = ctx.head, ctx.head.out_features
        by_true, by_mean, by_square = grad.to(h.dtype).unbind(1)
        by_each, by_score = by_mean / k, 2 * by_square / k
        head.pending.append((h, y, own, by_true, by_each, by_score))
        slope = by_true[:, None] * own + by_each[:, None] * head.total + by_score[:, None] * by_squares
        return slope[:, :-1].to(ctx.dtype), None, None


def _divided(matrix: Tensor, change: Tensor, size: float) -> Tensor:
    """Return ``inv(I - change) @ matrix``, for a change of this norm, below one half.

    The inverse is the product of ``I + change ** (2 ** i)``, of which a few make it exact.
    """
    left = torch.finfo(matrix.dtype).eps
    while size > left:
        matrix = torch.addmm(matrix, change, matrix)
        size = size * size
        if size > left:
            change = change @ change
    return matrix


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], 1)

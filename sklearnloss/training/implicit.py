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

    of rank one, a product with a small matrix, and rows of the classes in the batch. With :math:`W = V U`, where the
    last column of V (k, d + 1) is ones, a step of gradient descent changes U (d + 1, d) and a few rows of V: first
    :math:`U (I - \eta M)`, then its last row by p, then the rows. :math:`V^\top V` is kept along, so that the cost of
    a step does not depend on k: O(n d^2 + d^3).

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
    >>> torch.allclose(head.moments(features, y)[0], head(features)[:, 3])
    True
    """

    age: Tensor
    rows: nn.Parameter
    factor: nn.Parameter
    inverse: nn.Parameter
    squares: nn.Parameter

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        start = nn.Linear(in_features, out_features)
        width = in_features + 1
        sizes = {
            "rows": (out_features, width + 1),  # V, its last column ones
            "factor": (width + 1, width),  # U
            "inverse": (width, width + 1),  # inverse @ U = I, its last column zeros
            "squares": (width + 1, width + 1),  # V'V / k
        }
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(size), requires_grad=False))
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))  # steps since the factors were made
        self.forget()
        if not self.rows.is_meta:
            self._take(torch.cat([start.weight.detach(), start.bias.detach()[:, None]], 1))

    def forward(self, features: Tensor) -> Tensor:
        """Return all scores (n, k), as prediction needs them."""
        return _with_one(features) @ self.factor.T @ self.rows.T

    @property
    def weight(self) -> Tensor:
        """The weights (k, d), the last column the bias."""
        return self.rows @ self.factor

    def moments(self, features: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the true score, the mean and the mean square of all scores of each row, each (n,).

        Going backward keeps what `step` needs.
        """
        # from raw columns nothing would go backward
        start = None if features.requires_grad else torch.empty(0, requires_grad=True)
        found: tuple[Tensor, Tensor, Tensor] = _Moments.apply(features, y, self, start)  # type: ignore[no-untyped-call]
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
        by_mean: Tensor,
        by_square: Tensor,
        *,
        lr: float,
        decay: float,
    ) -> None:
        """Move against the gradient of rows h (n, d), given by their moments.

        ``own`` (n, d + 1) has the rows of V of their classes. Overwrites h and own.
        """
        k = self.out_features
        to_true = -lr * by_true  # (n,)
        change = (h * (2 * lr / k * by_square)[:, None]).T @ h  # (d, d), lr M
        if decay:
            change.diagonal().add_(decay)
        size = float(torch.linalg.vector_norm(change))
        if int(self.age.add_(1)) > REFRESH or not size < 0.5:  # U might lose its inverse
            weight = self.weight
            weight = (weight - weight @ change).add_((-lr / k * by_mean) @ h)
            self._take(weight.index_add_(0, y, h * to_true[:, None]))
            return
        self.factor.sub_(self.factor @ change)
        self.factor[-1].addmv_(h.T, by_mean, alpha=-lr / k)  # to all classes
        _divide_(self.inverse, change, size)
        added = h.mul_(to_true[:, None]) @ self.inverse  # (n, d + 1)
        self.rows.index_add_(0, y, added)
        # new new' - old old' = half + half' with half = (old + new) / 2 (new - old)', also where rows share a class
        both = own.add_(self.rows.index_select(0, y))
        half = both.T @ added
        self.squares.add_(half, alpha=0.5 / k).add_(half.T, alpha=0.5 / k)

    def _take(self, weight: Tensor) -> None:
        """Make the factors of these weights."""
        with torch.no_grad():
            self.rows[:, :-1] = weight
            self.rows[:, -1] = 1
            for eye in (self.factor, self.inverse):
                eye.copy_(torch.eye(*eye.shape, dtype=weight.dtype, device=weight.device))
            self.squares.copy_(self.rows.T @ self.rows / self.out_features)
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
    def forward(ctx: Any, features: Tensor, y: Tensor, head: ImplicitHead, start: Tensor | None) -> Any:
        h = _with_one(features.to(head.rows.dtype))
        inner = h @ head.factor.T  # (n, d + 1)
        by_squares = inner @ head.squares
        own = head.rows.index_select(0, y)
        ctx.save_for_backward(h, y, by_squares, own, head.factor, head.squares)
        ctx.head, ctx.dtype = head, features.dtype
        moments = [(own * inner).sum(1), by_squares[:, -1], (by_squares * inner).sum(1)]
        return tuple(moment.to(features.dtype) for moment in moments)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, None, None, None]:
        h, y, by_squares, own, factor, squares = ctx.saved_tensors
        by_true, by_mean, by_square = (g.to(h.dtype) for g in grad)
        ctx.head.pending.append((h, y, own, by_true, by_mean, by_square))
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        slope = (by_mean[:, None] * squares[-1]).addcmul_(by_true[:, None], own)
        slope.addcmul_(by_square[:, None], by_squares, value=2)
        return (slope @ factor[:, :-1]).to(ctx.dtype), None, None, None


def _divide_(matrix: Tensor, change: Tensor, size: float) -> None:
    """Make ``matrix`` be ``inv(I - change) @ matrix``, for a change of this norm, below one half.

    The inverse is the product of ``I + change ** (2 ** i)``, of which a few make it exact.
    """
    left = torch.finfo(matrix.dtype).eps
    while size > left:
        matrix.add_(change @ matrix)
        size = size * size
        if size > left:
            change = change @ change


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], 1)

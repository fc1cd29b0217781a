"""Maximum optimality margin of linear programs."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.exceptions import FactError
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("optimality_margin", task="regression", target="raw")
def optimality_margin(prediction: Prediction, y: Targets, *, equations: Tensor) -> PerRow:
    r"""Predict costs of linear programs from decisions that were best, where the costs were never seen.

    Parameters
    ----------
    prediction : Tensor of shape (n, d)
        Costs c of the variables of each row's program: minimize c.x subject to A x = b, x >= 0.
    y : Tensor of shape (n, d)
        1 for the m variables of the basis that was optimal, else 0.
    equations : Tensor of shape (n, m, d)
        The matrix A of each row. What b is does not matter once the basis is known.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not negative; zero where every other variable would cost at least one more than it saves.

    Raises
    ------
    FactError
        If the shapes of A and y do not belong together, or the variables of a basis are not independent in A.

    Notes
    -----
    With the columns B of the basis and N of the rest, the reduced costs and the loss are

    .. math:: r = c_N - A_N^\top A_B^{-\top} c_B, \qquad \ell = \sum_j \max(0, 1 - r_j)

    The scale of costs is free, hence the margin of one; weight decay keeps it small. On the simplex, where one of d
    alternatives is chosen, it is the Weston-Watkins hinge loss of the negative costs. O(n (m**3 + m**2 d)).

    References
    ----------
    .. [1] Sun, Liu, Li. "Maximum optimality margin: a unified approach for contextual linear programming and inverse
       linear programming". ICML 2023.

    Examples
    --------
    >>> costs, chosen = torch.tensor([[1.0, 1.5, 4.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    >>> optimality_margin(costs, chosen, equations=torch.ones(1, 1, 3))
    tensor([0.5000])
    """
    n, d = prediction.shape
    if equations.ndim != 3 or equations.shape[::2] != (n, d):
        raise FactError(
            f"loss 'optimality_margin': equations must have the shape (n, m, {d}), a matrix for each row over the {d} "
            f"columns of y, got {tuple(equations.shape)}"
        )
    m = equations.shape[1]
    order = y.argsort(dim=1, descending=True, stable=True)  # (n, d), the basis first
    dtype = torch.promote_types(prediction.dtype, torch.float32)  # no solver knows bfloat16
    costs = prediction.to(dtype).gather(1, order)
    columns = equations.to(dtype).gather(2, order[:, None].expand(-1, m, -1))  # (n, m, d)
    basis, rest = columns[..., :m], columns[..., m:]
    prices = _solve(basis.transpose(1, 2), costs[:, :m, None])  # (n, m, 1)
    reduced: Tensor = costs[:, m:] - (rest.transpose(1, 2) @ prices)[..., 0]  # (n, d - m)
    return (1 - reduced).clamp(min=0).sum(1).to(prediction.dtype)


def _solve(basis: Tensor, costs: Tensor) -> Tensor:
    try:
        return torch.linalg.solve(basis, costs)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        raise FactError(
            "loss 'optimality_margin': the variables of a basis must be independent in equations, and those of some "
            "row are not; y must be 1 for those that the solver calls basic, also where they are zero"
        ) from None

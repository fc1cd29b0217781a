"""What earth mover distance optimisation promises beyond the common checks."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sklearnloss.losses.multiclass.emo import emo

WEIGHT = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)


def gradient(logits: Tensor, y: Tensor, **facts: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(emo(logits, y, **facts).sum(), logits)[0]


def gradient_of_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    return torch.softmax(logits, dim=1) - F.one_hot(y, logits.shape[1])


def cosine(a: list[float], b: list[float]) -> float:
    return sum(u * v for u, v in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def parts(z: list[float], true: int, weight: list[list[float]]) -> tuple[float, float, float]:
    """Cross entropy, mean cost and probability of the true class of one row, from lists."""
    total = sum(math.exp(s) for s in z)
    p = [math.exp(s) / total for s in z]
    mean_cost = sum(p[j] * (1 - cosine(weight[j], weight[true])) for j in range(len(z)))
    return -math.log(p[true]), mean_cost, p[true]


def slope(f: Callable[[list[float]], float], z: list[float], j: int, step: float = 1e-6) -> float:
    up, down = list(z), list(z)
    up[j] += step
    down[j] -= step
    return (f(up) - f(down)) / (2 * step)


@pytest.fixture
def rows() -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(6, 4, generator=g, dtype=torch.float64)
    weight = torch.randn(4, 3, generator=g, dtype=torch.float64)
    return logits, torch.tensor([0, 1, 2, 3, 0, 1]), weight


def test_worked_numbers_of_value_and_gradient() -> None:
    logits, y = torch.tensor([[2.0, 1.0, 0.0]], dtype=torch.float64), torch.tensor([0])
    p = torch.tensor([0.66524096, 0.24472847, 0.09003057], dtype=torch.float64)
    cost = torch.tensor([0.0, 1.0, 0.4], dtype=torch.float64)
    pull = p - torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    expected = 0.5 * (pull + 0.4076060 / 0.9459817 * p * (cost - 0.2807407))

    assert emo(logits, y, head_weight=WEIGHT).item() == pytest.approx(0.4076060, abs=1e-7)
    torch.testing.assert_close(gradient(logits, y, head_weight=WEIGHT)[0], expected, rtol=0, atol=1e-7)


def test_value_is_that_of_cross_entropy(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, y, weight = rows
    torch.testing.assert_close(emo(logits, y, head_weight=weight), F.cross_entropy(logits, y, reduction="none"))


def test_plain_loops_agree(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, y, weight = rows
    value = emo(logits, y, head_weight=weight)
    for i, (z, true) in enumerate(zip(logits.tolist(), y.tolist(), strict=True)):
        ce, mean_cost, p_true = parts(z, true, weight.tolist())
        shifted = mean_cost + p_true
        assert value[i].item() == pytest.approx(0.5 * (ce + ce / (shifted + 1e-10) * shifted), rel=1e-12)


def test_gradient_is_the_numeric_one_with_the_ratio_held_still(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    # gradcheck in float64 would move the ratio too: it differentiates the value, which is cross entropy.
    logits, y, weight = rows
    found = gradient(logits, y, head_weight=weight)
    for i, (z, true) in enumerate(zip(logits.tolist(), y.tolist(), strict=True)):
        ce, mean_cost, p_true = parts(z, true, weight.tolist())
        ratio = ce / (mean_cost + p_true + 1e-10)

        def frozen(s: list[float], true: int = true, ratio: float = ratio) -> float:
            ce, mean_cost, _ = parts(s, true, weight.tolist())
            return 0.5 * (ce + ratio * mean_cost)

        for j in range(len(z)):
            assert found[i, j].item() == pytest.approx(slope(frozen, z, j), abs=1e-8)


def test_equal_classes_leave_half_the_gradient_of_cross_entropy(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, y, _ = rows
    found = gradient(logits, y, head_weight=torch.ones(4, 3, dtype=torch.float64))
    torch.testing.assert_close(found, 0.5 * gradient_of_cross_entropy(logits, y))


@pytest.mark.parametrize(
    "facts", [{}, {"head_weight": 3 * torch.eye(4, dtype=torch.float64)}], ids=["none", "orthogonal"]
)
def test_orthogonal_classes_rescale_the_gradient_of_cross_entropy(
    rows: tuple[Tensor, Tensor, Tensor], facts: dict[str, Tensor]
) -> None:
    logits, y, _ = rows
    ce = F.cross_entropy(logits, y, reduction="none")[:, None]
    expected = 0.5 * (1 + ce * torch.exp(-ce)) * gradient_of_cross_entropy(logits, y)
    torch.testing.assert_close(gradient(logits, y, **facts), expected)


def test_length_of_an_embedding_does_not_matter(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, y, weight = rows
    stretched = weight * torch.tensor([[0.1], [1.0], [7.0], [30.0]], dtype=torch.float64)
    torch.testing.assert_close(gradient(logits, y, head_weight=stretched), gradient(logits, y, head_weight=weight))


def test_similar_wrong_class_is_pushed_down_less() -> None:
    logits, y = torch.zeros(1, 3, dtype=torch.float64), torch.tensor([0])
    _, far, near = gradient(logits, y, head_weight=WEIGHT)[0]
    assert near < far


def test_no_gradient_reaches_the_embeddings(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, y, weight = rows
    weight.requires_grad_()
    total = emo(logits.requires_grad_(), y, head_weight=weight).sum()
    (found,) = torch.autograd.grad(total, weight, allow_unused=True)
    assert found is None


@pytest.mark.parametrize("lead", [10.0, 20.0, 30.0])
def test_gradient_of_a_nearly_perfect_row_is_half_that_of_cross_entropy(lead: float) -> None:
    # With the bare mean cost in the ratio the second half would stay as large as the first.
    logits, y = torch.tensor([[lead, 0.0, 0.0]], dtype=torch.float64), torch.tensor([0])
    found = gradient(logits, y, head_weight=WEIGHT)
    torch.testing.assert_close(found, 0.5 * gradient_of_cross_entropy(logits, y), rtol=1e-3, atol=1e-14)


@pytest.mark.parametrize("weight", [torch.ones(3, 2), -torch.ones(3, 2), torch.zeros(3, 2), torch.full((3, 7), 0.1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hopeless_row_with_equal_or_missing_embeddings_stays_finite(weight: Tensor, dtype: torch.dtype) -> None:
    logits, y = torch.tensor([[-200.0, 200.0, 0.0]], dtype=dtype), torch.tensor([0])
    assert torch.isfinite(emo(logits, y, head_weight=weight)).all()
    assert gradient(logits, y, head_weight=weight).abs().max() <= 1


def test_embeddings_of_zeros_are_equally_distant(rows: tuple[Tensor, Tensor, Tensor]) -> None:
    # A head that starts at zero has no directions; a class must cost itself nothing even then.
    logits, y, weight = rows
    torch.testing.assert_close(gradient(logits, y, head_weight=torch.zeros_like(weight)), gradient(logits, y))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rounding_of_nearly_equal_embeddings_cannot_lift_the_gradient_past_its_bound(seed: int) -> None:
    # |p_j (D_j - mean)| <= V, so no entry exceeds (1 + CE) / 2; a cosine above 1 would break that.
    g = torch.Generator().manual_seed(seed)
    weight = 1 + 1e-4 * torch.randn(50, 20, generator=g)
    logits, y = 20 * torch.randn(2000, 50, generator=g), torch.randint(0, 50, (2000,), generator=g)
    bound = 0.5 * (1 + F.cross_entropy(logits, y, reduction="none"))
    assert (gradient(logits, y, head_weight=weight).abs() <= bound[:, None] * (1 + 1e-5)).all()

import math

import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.mixups._beta import symmetric_beta
from sklearnloss.mixups.mixup import mixup
from sklearnloss.reductions.mean import mean
from sklearnloss.spec import choose
from sklearnloss.training.criterion import Term


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=20, dtype=torch.float64):
    return torch.randn(n, 3, generator=generator(9), dtype=dtype), torch.arange(n)


def shares(alpha, n=4000, seed=0):
    return symmetric_beta(alpha, generator(seed), device=torch.device("cpu"), size=(n,))


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_share_follows_the_beta_distribution(alpha, seed):
    drawn = shares(alpha, seed=seed)
    grid = torch.linspace(0.001, 0.999, 500, dtype=torch.float64)  # nearer to the ends doubles are rounded to 0 and 1
    found = (drawn[:, None] <= grid).double().mean(0)
    gap = (found - torch.as_tensor(stats.beta(alpha, alpha).cdf(grid.numpy()))).abs().max()
    assert gap < 1.95 / math.sqrt(len(drawn))  # the 0.1 % quantile of Kolmogorov's statistic
    assert drawn.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, 1e3, 1e6])
def test_the_share_lies_between_zero_and_one_at_every_strength(alpha):
    drawn = shares(alpha, n=200)
    assert ((drawn >= 0) & (drawn <= 1)).all()


def test_a_weak_mixup_leaves_rows_alone_and_a_strong_one_halves():
    assert (torch.minimum(shares(1e-6, 200), 1 - shares(1e-6, 200)) < 1e-6).all()
    assert_close(shares(1e6, 200), torch.full((200,), 0.5, dtype=torch.float64), atol=0.01, rtol=0)


def test_rows_lie_on_the_line_to_their_partner():
    X, y = batch()
    mixed, y_a, y_b, lam = mixup(X, y, rng=generator(), alpha=1.0)
    assert lam.shape == ()
    assert torch.equal(y_a, y)
    assert sorted(y_b.tolist()) == y.tolist()
    assert_close(mixed, lam * X + (1 - lam) * X[y_b])


def test_leaves_its_inputs_as_they_were():
    X, y = batch()
    before = X.clone(), y.clone()
    mixup(X, y, rng=generator())
    assert torch.equal(X, before[0])
    assert torch.equal(y, before[1])


def test_draws_follow_the_generator():
    X, y = batch()
    first, again, other = (mixup(X, y, rng=generator(seed), alpha=1.0)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_dtype_and_shape(dtype):
    X, y = batch(dtype=dtype)
    mixed, _, _, lam = mixup(X[:, :, None], y, rng=generator())
    assert mixed.dtype == lam.dtype == dtype
    assert mixed.shape == (20, 3, 1)


def test_takes_the_strength_as_a_tensor():
    X, y = batch()
    ours, wanted = (mixup(X, y, rng=generator(), alpha=alpha)[0] for alpha in (torch.tensor(0.5), 0.5))
    assert_close(ours, wanted)


def test_blending_two_calls_is_cross_entropy_of_soft_targets():
    logits = torch.randn(20, 4, generator=generator(3), dtype=torch.float64)
    X, y = torch.zeros(20, 2, dtype=torch.float64), torch.arange(20) % 4
    _, y_a, y_b, lam = mixup(X, y, rng=generator(), alpha=1.0)
    term = Term("cross_entropy", choose("loss", "cross_entropy"), fit_facts={}, supplied={"y"}, reduction=mean)
    blended = term(logits, {"X": X, "y": y_a, "y_b": y_b, "lam": lam})
    soft = lam * F.one_hot(y_a, 4) + (1 - lam) * F.one_hot(y_b, 4)
    assert_close(blended, F.cross_entropy(logits, soft))


def test_a_share_a_row_blends_rows_of_several_targets():
    def squares(prediction, y):
        return (prediction - y) ** 2

    rng = generator()
    prediction, y_a, y_b = torch.randn(3, 2, 2, generator=rng, dtype=torch.float64)  # as many rows as targets
    lam = torch.tensor([0.2, 0.9], dtype=torch.float64)
    term = Term("squares", choose("loss", squares), fit_facts={}, supplied={"y"}, reduction=mean)
    blended = term(prediction, {"X": y_a, "y": y_a, "y_b": y_b, "lam": lam})
    rows = [lam[i] * squares(prediction[i], y_a[i]) + (1 - lam[i]) * squares(prediction[i], y_b[i]) for i in (0, 1)]
    assert_close(blended, torch.stack(rows).mean())


def test_trains_by_name():
    X, y = load_digits(return_X_y=True)
    assert LossClassifier(mixup="mixup", max_epochs=10, random_state=0).fit(X, y).score(X, y) > 0.9


def test_repeats_to_the_bit_with_a_seed():
    X, y = load_digits(return_X_y=True)
    fits = [LossClassifier(mixup="mixup", max_epochs=2, random_state=0).fit(X, y) for _ in range(2)]
    assert (fits[0].decision_function(X) == fits[1].decision_function(X)).all()

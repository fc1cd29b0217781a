import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import scale
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.exceptions import MissingFactError
from sklearnloss.losses.binary.pu_sar import pu_sar
from sklearnloss.losses.binary.upu import upu


def batch(n=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(n, generator=generator, dtype=torch.float64)
    return scores, (torch.arange(n) % 3 == 0).double(), torch.rand(n, generator=generator, dtype=torch.float64)


def naive(scores, y, propensity, clip, nonneg):
    gain = rest = 0.0
    for s, label, e in zip(scores.tolist(), y.tolist(), propensity.tolist(), strict=True):
        as_positive, as_negative, e = math.log1p(math.exp(-s)), math.log1p(math.exp(s)), max(e, clip)
        gain += label * as_positive / e
        rest += label * (1 - 1 / e) * as_negative + (1 - label) * as_negative
    return (gain + (max(rest, 0.0) if nonneg else rest)) / len(y)


@pytest.mark.parametrize("nonneg", [False, True])
@pytest.mark.parametrize("clip", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("sign", [-1, 1])
def test_equals_the_formula_in_plain_loops(nonneg, clip, sign):
    scores, y, propensity = batch()
    scores = sign * 3 * (2 * y - 1) + scores  # with the one sign the part of the negatives is negative
    value = pu_sar(scores, y, propensity=propensity, clip=clip, nonneg=nonneg).item()
    assert value == pytest.approx(naive(scores, y, propensity, clip, nonneg))


def test_a_labeled_row_counts_twice_as_positive_and_once_less_as_negative_at_one_half():
    score, half = torch.tensor([1.3], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)
    wanted = 2 * F.softplus(-score) - F.softplus(score)
    assert_close(pu_sar(score, torch.ones(1).double(), propensity=half, nonneg=False), wanted[0])


@pytest.mark.parametrize("e", [0.1, 0.5, 0.9])
def test_its_expectation_for_a_positive_is_the_loss_of_a_positive(e):
    score, given = torch.tensor([0.7], dtype=torch.float64), torch.tensor([e], dtype=torch.float64)
    labeled, not_labeled = (
        pu_sar(score, torch.tensor([y]).double(), propensity=given, nonneg=False).item() for y in (1.0, 0.0)
    )
    assert e * labeled + (1 - e) * not_labeled == pytest.approx(F.softplus(-score).item())


def test_a_propensity_of_one_gives_binary_cross_entropy():
    scores, y, _ = batch()
    wanted = F.binary_cross_entropy_with_logits(scores, y)
    assert_close(pu_sar(scores, y, propensity=torch.ones(20)), wanted)


def test_equal_propensities_give_the_unbiased_risk_of_positive_and_all_rows():
    scores, y, _ = batch()
    e = 0.5  # 7 labels, so that 14 of 20 rows are positive
    all_rows = torch.cat([scores[y == 1], scores]), torch.cat([torch.ones(7), torch.zeros(20)]).double()
    wanted = upu(*all_rows, prior=14 / 20)
    assert_close(pu_sar(scores, y, propensity=torch.full((20,), e), nonneg=False), wanted)


def test_rows_of_negative_weight_count_where_liblinear_leaves_them_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    truth = rng.random(400) < 1 / (1 + np.exp(-(X @ [1.0, -1.0] + 0.5)))
    e = 1 / (1 + np.exp(-(X[:, 0] + 0.5)))
    s = (truth & (rng.random(400) < e)).astype(int)
    rows = np.vstack([X[s == 1], X])
    label = np.r_[np.ones(s.sum()), np.zeros(400)]
    weight = np.r_[1 / e[s == 1], np.where(s == 1, 1 - 1 / e, 1.0)]
    assert (weight < 0).sum() > 50

    def liblinear(kept):
        model = LogisticRegression(solver="liblinear", C=1e6, tol=1e-8, random_state=0)
        model.fit(rows[kept], label[kept], sample_weight=weight[kept])
        return np.r_[model.coef_[0], model.intercept_]

    theirs = liblinear(weight != 0)
    np.testing.assert_allclose(theirs, liblinear(weight > 0), atol=1e-6)

    inputs = torch.from_numpy(np.c_[X, np.ones(400)])
    found = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = pu_sar(inputs @ found, torch.from_numpy(s).double(), propensity=torch.from_numpy(e), nonneg=False)
        value.backward()
        return value

    optimizer.step(closure)
    assert found.grad.abs().max() < 1e-4
    ours, true = found.detach().numpy(), np.array([1.0, -1.0, 0.5])
    assert np.abs(ours - theirs).max() > 0.2
    assert np.abs(ours - true).max() < np.abs(theirs - true).max()


def test_a_weight_is_a_repetition():
    scores, y, propensity = batch()
    weight = torch.arange(20) % 3
    repeated = [t.repeat_interleave(weight) for t in (scores, y, propensity)]
    weighted = pu_sar(scores, y, propensity=propensity, sample_weight=weight / weight.double().mean())
    assert_close(weighted, pu_sar(*repeated[:2], propensity=repeated[2]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(dtype):
    scores = torch.tensor([-200.0, 200.0, 0.0, 20.0], dtype=dtype, requires_grad=True)
    value = pu_sar(scores, torch.tensor([1.0, 0, 1, 0], dtype=dtype), propensity=torch.tensor([1e-6, 0.5, 1.0, 0.2]))
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("nonneg", [False, True])
def test_has_the_gradient_of_its_value(nonneg):
    scores, y, propensity = batch()
    assert torch.autograd.gradcheck(
        lambda s: pu_sar(s, y, propensity=propensity, nonneg=nonneg), scores.requires_grad_()
    )


@pytest.mark.parametrize("seed", range(3))
def test_by_name_it_finds_positives_that_seldom_have_a_label(seed):
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    propensity = np.where(X[:, 1] > 0, 0.2, 0.9)
    s = y * (np.random.default_rng(seed).random(len(y)) < propensity)

    def score(e):
        model = LossClassifier("pu_sar", max_epochs=15, lr=1e-2, random_state=0).fit(X, s, propensity=e)
        return f1_score(y, model.predict(X))

    assert score(propensity) > score(np.ones(len(y))) + 0.05


def test_asks_for_the_propensities():
    with pytest.raises(MissingFactError, match="propensity"):
        LossClassifier("pu_sar", max_epochs=1).fit([[0.0], [1.0]] * 4, [0, 1] * 4)

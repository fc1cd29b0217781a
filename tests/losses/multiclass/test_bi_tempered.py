import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.bi_tempered import bi_tempered, tempered_softmax
from sklearnloss.losses.multiclass.brier import brier

SCORES = torch.tensor([[-0.5, 0.1, 2.0], [0.1, 1.5, -5.0], [4.0, -3.0, -6.0]], dtype=torch.float64)


def log_t(x, t):
    return math.log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def exp_t(x, t):
    return math.exp(x) if t == 1 else max(1 + (1 - t) * x, 0.0) ** (1 / (1 - t))


def naive_shares(row, t2):
    """Return probabilities whose normalising constant a bracketing root finder has found."""
    high = max(row)
    while sum(exp_t(z - high, t2) for z in row) > 1:
        high += 1 + abs(high - max(row))
    norm = brentq(lambda c: sum(exp_t(z - c, t2) for z in row) - 1, max(row) - 1e-9, high, xtol=1e-15, rtol=1e-14)
    return [exp_t(z - norm, t2) for z in row]


def naive(logits, y, t1, t2):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        p = naive_shares(row, t2)
        labels = [float(j == label) for j in range(len(row))]
        terms = [
            (t * (log_t(t, t1) - log_t(q, t1)) if t else 0.0) - (t ** (2 - t1) - q ** (2 - t1)) / (2 - t1)
            for t, q in zip(labels, p, strict=True)
        ]
        values.append(sum(terms))
    return torch.tensor(values, dtype=logits.dtype)


def of_soft_labels(logits, labels, t1, t2):
    """Return the divergence from soft labels, of which the loss of each hard label is a part."""
    k = logits.shape[1]
    each = torch.stack([bi_tempered(logits, torch.full((len(logits),), j), t1=t1, t2=t2) for j in range(k)], 1)
    logs = labels.clamp(min=1e-300).log() if t1 == 1 else (labels ** (1 - t1) - 1) / (1 - t1)
    own = (labels * logs).sum(1) + (1 - (labels ** (2 - t1)).sum(1)) / (2 - t1)
    return (labels * each).sum(1) + own


@pytest.mark.parametrize("t1", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("t2", [1.0, 1.2, 2.0, 4.0])
def test_equals_the_formula_in_plain_loops(three_rows, t1, t2):
    assert_close(bi_tempered(*three_rows, t1=t1, t2=t2), naive(*three_rows, t1, t2), atol=1e-10, rtol=1e-8)


def test_gives_the_numbers_of_the_authors_tests():
    labels = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.2, 0.8, 0.0]], dtype=torch.float64)
    wanted = torch.tensor([0.02301914, 0.18972909, 0.93874922], dtype=torch.float64)
    assert_close(of_soft_labels(SCORES, labels, 0.5, 1.5), wanted, atol=1e-6, rtol=0)
    labels = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)
    wanted = [1.6583576, 0.45677936, 0.34298314, 0.26295574]
    for value, t1, t2 in zip(wanted, (1.0, 0.9, 0.8, 0.7), (1.0, 1.1, 1.2, 1.3), strict=True):
        entropy = (labels * labels.log()).sum().item() if t1 == 1 else 0.0  # theirs is cross entropy there
        assert of_soft_labels(SCORES[:1], labels, t1, t2).item() - entropy == pytest.approx(value, abs=2e-5)


def test_the_probabilities_are_those_of_the_authors_tests_where_these_sum_to_one():
    wanted = [[0.3205458, 0.32714278, 0.3523402], [0.3430056, 0.36491093, 0.29220778]]
    shares = tempered_softmax(SCORES, t2=4.0)
    assert_close(shares[:2], torch.tensor(wanted, dtype=torch.float64), atol=2e-4, rtol=0)
    # of the third row, theirs after five iterations sum to 1.0020
    theirs = torch.tensor([0.41369352, 0.30534995, 0.28299212], dtype=torch.float64)
    assert_close(shares[2], theirs / theirs.sum(), atol=1e-3, rtol=0)
    assert_close(tempered_softmax(SCORES, t2=1.0), torch.softmax(SCORES, 1))


def test_is_cross_entropy_at_temperatures_of_one_in_value_and_gradient(three_rows):
    logits, y = three_rows
    results = []
    for function in (lambda z: bi_tempered(z, y, t1=1.0, t2=1.0), lambda z: F.cross_entropy(z, y, reduction="none")):
        leaf = (3 * logits).requires_grad_()
        value = function(leaf)
        results.append((value.detach(), *torch.autograd.grad(value.sum(), leaf)))
    assert_close(results[0], results[1])


def test_nears_cross_entropy_as_the_temperatures_near_one(three_rows):
    logits, y = three_rows
    exact = F.cross_entropy(logits, y, reduction="none")
    for step in (1e-3, 1e-6, 1e-12):
        assert_close(bi_tempered(logits, y, t1=1 - step, t2=1 + step), exact, atol=10 * step, rtol=0)


def test_is_half_the_brier_score_at_zero_and_one(three_rows):
    assert_close(bi_tempered(*three_rows, t1=0.0, t2=1.0), brier(*three_rows) / 2)


@pytest.mark.parametrize("t2", [1.0, 1.001, 1.2, 2.0, 10.0])
@pytest.mark.parametrize("k", [2, 10, 1000])
@pytest.mark.parametrize("spread", [0.0, 1.0, 20.0, 200.0])
def test_the_probabilities_sum_to_one(spread, k, t2):
    logits = spread * torch.randn(20, k, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total = tempered_softmax(logits, t2=t2).sum(1)
    assert_close(total, torch.ones(20, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("t2", [1.0, 1.5, 4.0])
def test_a_shift_of_all_scores_means_nothing_and_the_order_is_kept(three_rows, t2):
    logits = three_rows[0]
    shares = tempered_softmax(logits, t2=t2)
    assert_close(tempered_softmax(logits + 50, t2=t2), shares)
    assert torch.equal(shares.argsort(1), logits.argsort(1))


def test_tails_are_the_heavier_the_larger_the_second_temperature():
    row = torch.tensor([[8.0, 0.0, 0.0]], dtype=torch.float64)
    tails = [tempered_softmax(row, t2=t)[0, 1].item() for t in (1.0, 1.2, 2.0, 4.0)]
    assert tails == sorted(tails)
    assert tails[0] < 1e-3 < 0.1 < tails[-1]


@pytest.mark.parametrize("t1", [0.0, 0.5, 0.8])
def test_an_outlier_costs_at_most_a_bounded_amount(t1):
    far = torch.tensor([[-1e6, 1e6]], dtype=torch.float64)
    assert bi_tempered(far, torch.tensor([0]), t1=t1, t2=1.0).item() == pytest.approx(1 / (1 - t1))


@pytest.mark.parametrize(("t1", "t2"), [(0.8, 1.2), (0.0, 4.0), (1.0, 2.0), (0.3, 1.0)])
def test_the_expected_loss_is_least_where_the_probabilities_are_the_truth(t1, t2):
    truth = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    scores = torch.tensor([log_t(p, t2) for p in truth.tolist()], dtype=torch.float64)
    assert_close(tempered_softmax(scores[None], t2=t2)[0], truth)
    leaf = scores.expand(4, 4).clone().requires_grad_()
    (gradient,) = torch.autograd.grad((truth * bi_tempered(leaf, torch.arange(4), t1=t1, t2=t2)).sum(), leaf)
    assert gradient.abs().sum() > 1e-3
    assert_close(gradient.sum(0), torch.zeros(4, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize(("t1", "t2"), [(0.8, 1.2), (0.2, 4.0), (1.0, 1.0)])
def test_gradient_is_that_of_the_value(three_rows, t1, t2):
    logits, y = three_rows
    leaf = (2 * logits).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: bi_tempered(z, y, t1=t1, t2=t2), leaf)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("t1", "t2"), [(0.8, 1.2), (0.0, 10.0), (1.0, 1.0)])
def test_value_and_gradient_are_finite_for_large_scores(t1, t2, dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 200.0]], dtype=dtype, requires_grad=True)
    value = bi_tempered(leaf, torch.tensor([0, 0]), t1=t1, t2=t2)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_takes_temperatures_as_tensors(three_rows):
    t1, t2 = torch.tensor(0.6, dtype=torch.float64), torch.tensor(1.4, dtype=torch.float64)
    assert_close(bi_tempered(*three_rows, t1=t1, t2=t2), bi_tempered(*three_rows, t1=0.6, t2=1.4))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_from_wrong_labels_better_than_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=400, stratify=y, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = np.where(rng.random(len(y)) < 0.4, rng.integers(10, size=len(y)), y)

    def score(loss):
        return LossClassifier(loss, max_epochs=20, lr=5e-3, random_state=seed).fit(X, wrong).score(X_test, y_test)

    assert score(Loss("bi_tempered", t1=0.2)) > score("cross_entropy")


def test_predicts_with_the_link_of_its_temperature():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(Loss("bi_tempered", t2=2.0), max_epochs=4, lr=5e-3, random_state=0).fit(X[:400], y[:400])
    scores = torch.as_tensor(model.decision_function(X[:20]))
    assert_close(torch.as_tensor(model.predict_proba(X[:20])), tempered_softmax(scores, t2=2.0))
    assert (model.predict_proba(X[:20]).argmax(1) == model.predict(X[:20])).all()

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.dice import dice

PROBABILITIES = [0.9, 0.2, 0.6]
SCORES = torch.logit(torch.tensor(PROBABILITIES, dtype=torch.float64))
Y = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)


def naive(p, y, smooth, squared):
    n = len(p)
    hits = sum(a * b for a, b in zip(p, y, strict=True))
    size = sum((a * a if squared else a) + b for a, b in zip(p, y, strict=True))
    return 1 - (2 * hits + smooth * n) / (size + smooth * n)


@pytest.mark.parametrize("smooth", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("squared", [False, True])
def test_equals_the_formula_in_plain_loops(smooth, squared):
    got = dice(SCORES, Y, smooth=smooth, squared=squared)
    assert got.item() == pytest.approx(naive(PROBABILITIES, Y.tolist(), smooth, squared))


def test_gives_the_worked_number():
    assert dice(SCORES, Y, smooth=1e-4 / 3).item() == pytest.approx(0.1891841, abs=1e-7)


def test_sure_and_right_costs_nothing_sure_and_wrong_one():
    sure = 100 * (2 * Y - 1)
    assert dice(sure, Y).item() == pytest.approx(0)
    assert dice(-sure, Y, smooth=0.0).item() == pytest.approx(1)


def test_of_large_scores_it_is_one_minus_the_f1_score():
    generator = torch.Generator().manual_seed(0)
    scores = 1e4 * torch.randn(100, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (100,), generator=generator).double()
    assert dice(scores, y, smooth=0.0).item() == pytest.approx(1 - f1_score(y, scores > 0))


def test_easy_negatives_count_for_nothing():
    many = torch.cat([SCORES, torch.full((1000,), -60.0, dtype=torch.float64)])
    labels = torch.cat([Y, torch.zeros(1000, dtype=torch.float64)])
    assert_close(dice(many, labels, smooth=0.0), dice(SCORES, Y, smooth=0.0))


@pytest.mark.parametrize("smooth", [0.0, 0.01])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_without_positives_is_finite(smooth, dtype):
    for level in (-200.0, 0.0, 200.0):
        leaf = torch.full((4,), level, dtype=dtype, requires_grad=True)
        value = dice(leaf, torch.zeros(4, dtype=dtype), smooth=smooth)
        (gradient,) = torch.autograd.grad(value, leaf)
        assert value.isfinite()
        assert gradient.isfinite().all()
    assert dice(torch.zeros(4), torch.zeros(4), smooth=0.0).item() == 1


@pytest.mark.parametrize("squared", [False, True])
def test_pulls_positives_up_and_negatives_down(squared):
    for p in np.linspace(0.02, 0.98, 13):
        leaf = torch.logit(torch.tensor([p, p, 0.5, 0.3], dtype=torch.float64)).requires_grad_()
        y = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
        (gradient,) = torch.autograd.grad(dice(leaf, y, squared=squared), leaf)
        assert gradient[0] < 0 < gradient[1]


@pytest.mark.parametrize("squared", [False, True])
def test_gradient_is_that_of_the_value(squared):
    assert torch.autograd.gradcheck(lambda s: dice(s, Y, squared=squared), SCORES.clone().requires_grad_())


def test_weights_count_rows_and_their_size_means_nothing():
    weight = torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64)
    times = torch.tensor([0, 0, 1, 2, 2, 2])
    assert_close(dice(SCORES, Y, sample_weight=weight), dice(SCORES[times], Y[times]))
    assert_close(dice(SCORES, Y, sample_weight=7 * weight), dice(SCORES, Y, sample_weight=weight))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_a_rare_class_by_name_sooner_than_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    X = X + 4 * rng.normal(size=X.shape)
    rows = np.concatenate([np.flatnonzero(y != 8)[:1200], np.flatnonzero(y == 8)[:60]])
    X, X_test, y, y_test = train_test_split(
        X[rows], y[rows] == 8, test_size=0.5, stratify=y[rows] == 8, random_state=seed
    )

    def score(loss):
        return f1_score(y_test, LossClassifier(loss, max_epochs=8, random_state=seed).fit(X, y).predict(X_test))

    assert score("dice") > score("bce")


def test_serves_two_classes_several_labels_and_by_one_vs_rest_several_classes():
    how = {"max_epochs": 10, "lr": 5e-3, "random_state": 0}
    X, y = load_breast_cancer(return_X_y=True)
    assert LossClassifier("dice", **how).fit(X, y).score(X, y) > 0.95
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y % 2, y > 6], axis=1).astype(int)
    assert LossClassifier("dice", **how).fit(X, labels).score(X, labels) > 0.9
    X, y = X[y < 3], y[y < 3]
    assert OneVsRestClassifier(LossClassifier("dice", **how)).fit(X, y).score(X, y) > 0.95


def test_takes_the_weights_of_the_estimator():
    X, y = load_breast_cancer(return_X_y=True)
    how = {"max_epochs": 2, "random_state": 0}
    plain = LossClassifier("dice", **how).fit(X, y).loss_curve_
    assert LossClassifier("dice", **how).fit(X, y, np.ones(len(y))).loss_curve_ == pytest.approx(plain)
    assert LossClassifier(Loss("dice"), class_weight="balanced", **how).fit(X, y).loss_curve_ != pytest.approx(plain)

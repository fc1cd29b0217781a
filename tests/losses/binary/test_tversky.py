import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import jaccard_score, precision_score, recall_score
from sklearn.model_selection import train_test_split
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.dice import dice
from sklearnloss.losses.binary.tversky import tversky

PROBABILITIES = [0.9, 0.2, 0.6]
SCORES = torch.logit(torch.tensor(PROBABILITIES, dtype=torch.float64))
Y = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)


def naive(p, y, alpha, beta, smooth):
    pairs = list(zip(p, y, strict=True))
    hits = sum(a * b for a, b in pairs)
    alarms, misses = sum(a * (1 - b) for a, b in pairs), sum((1 - a) * b for a, b in pairs)
    g = smooth * len(p)
    return 1 - (hits + g) / (hits + alpha * alarms + beta * misses + g)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (1.0, 1.0), (0.0, 2.0)])
@pytest.mark.parametrize("smooth", [0.0, 0.1])
def test_equals_the_formula_in_plain_loops(alpha, beta, smooth):
    got = tversky(SCORES, Y, alpha=alpha, beta=beta, smooth=smooth)
    assert got.item() == pytest.approx(naive(PROBABILITIES, Y.tolist(), alpha, beta, smooth))


@pytest.mark.parametrize("smooth", [0.0, 0.05])
def test_is_dice_at_halves(smooth):
    assert_close(tversky(SCORES, Y, alpha=0.5, beta=0.5, smooth=smooth), dice(SCORES, Y, smooth=2 * smooth))


def test_of_large_scores_at_ones_it_is_one_minus_the_jaccard_index():
    generator = torch.Generator().manual_seed(0)
    scores = 1e4 * torch.randn(100, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (100,), generator=generator).double()
    assert tversky(scores, y, alpha=1.0, beta=1.0, smooth=0.0).item() == pytest.approx(1 - jaccard_score(y, scores > 0))


def test_without_a_price_of_misses_it_is_one_minus_precision_and_without_one_of_alarms_one_minus_recall():
    y = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    scores = 100 * torch.tensor([1.0, 1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    both = [tversky(scores, y, alpha=a, beta=b, smooth=0.0).item() for a, b in ((1.0, 0.0), (0.0, 1.0))]
    assert both == pytest.approx([1 - precision_score(y, scores > 0), 1 - recall_score(y, scores > 0)])


@pytest.mark.parametrize("smooth", [0.0, 0.01])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_without_positives_is_finite(smooth, dtype):
    for level in (-200.0, 0.0, 200.0):
        leaf = torch.full((4,), level, dtype=dtype, requires_grad=True)
        value = tversky(leaf, torch.zeros(4, dtype=dtype), smooth=smooth)
        (gradient,) = torch.autograd.grad(value, leaf)
        assert value.isfinite()
        assert gradient.isfinite().all()


def test_gradient_is_that_of_the_value():
    assert torch.autograd.gradcheck(lambda s: tversky(s, Y), SCORES.clone().requires_grad_())


def test_weights_count_rows():
    weight = torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64)
    times = torch.tensor([0, 0, 1, 2, 2, 2])
    assert_close(tversky(SCORES, Y, sample_weight=weight), tversky(SCORES[times], Y[times]))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_dear_misses_raise_recall_and_dear_alarms_precision(seed):
    X, y = load_digits(return_X_y=True)
    X = X + 6 * np.random.default_rng(seed).normal(size=X.shape)
    X, X_test, y, y_test = train_test_split(X, y == 8, test_size=0.5, stratify=y, random_state=seed)

    def judged(alpha, beta):
        loss = Loss("tversky", alpha=alpha, beta=beta)
        found = LossClassifier(loss, hidden_layer_sizes=(), max_epochs=25, lr=1e-2, random_state=seed)
        found = found.fit(X, y).predict(X_test)
        return precision_score(y_test, found), recall_score(y_test, found)

    (precision, recall), (low_precision, high_recall) = judged(0.9, 0.1), judged(0.1, 0.9)
    assert precision > low_precision
    assert recall < high_recall


def test_serves_two_classes_and_several_labels_by_name():
    how = {"max_epochs": 10, "lr": 5e-3, "random_state": 0}
    X, y = load_breast_cancer(return_X_y=True)
    assert LossClassifier("tversky", **how).fit(X, y).score(X, y) > 0.95
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y % 2, y > 6], axis=1).astype(int)
    assert LossClassifier("tversky", **how).fit(X, labels).score(X, labels) > 0.9

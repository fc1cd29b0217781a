import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.normalized_logistic import NormalizedLogistic

SCORES = torch.tensor([0.5, -2.0, 3.0, -0.1], dtype=torch.float64)
Y = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)


def made(momentum=0.0):
    return NormalizedLogistic(momentum=momentum).double()


def naive(scores, y, weights=None):
    """Return values and gradients of their sum, the factor being a constant."""
    margins = [s if label else -s for s, label in zip(scores, y, strict=True)]
    errors = [1 / (1 + math.exp(m)) for m in margins]
    weights = weights or [1.0] * len(errors)
    mean = sum(w * e for w, e in zip(weights, errors, strict=True)) / sum(weights)
    values = [math.log1p(math.exp(-m)) / mean for m in margins]
    gradients = [(-e if label else e) / mean for e, label in zip(errors, y, strict=True)]
    return torch.tensor(values, dtype=torch.float64), torch.tensor(gradients, dtype=torch.float64)


def with_gradient(function, scores):
    leaf = scores.clone().requires_grad_()
    value = function(leaf)
    return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


def test_equals_the_formula_in_plain_loops_in_value_and_gradient():
    value, gradient = with_gradient(lambda s: made()(s, Y), SCORES)
    wanted = naive(SCORES.tolist(), Y.tolist())
    assert_close(value, wanted[0])
    assert_close(gradient, wanted[1])


def test_weights_count_rows_in_the_mean_error():
    weights = [2.0, 0.5, 1.0, 0.5]
    value, gradient = with_gradient(lambda s: made()(s, Y, sample_weight=torch.tensor(weights)), SCORES)
    wanted = naive(SCORES.tolist(), Y.tolist(), weights)
    assert_close(value, wanted[0])
    assert_close(gradient, wanted[1])


def test_scores_of_zero_are_multiplied_by_two():
    zero = torch.zeros(4, dtype=torch.float64)
    for momentum in (0.0, 0.9):
        assert_close(made(momentum)(zero, Y), torch.full((4,), 2 * math.log(2), dtype=torch.float64))


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e4])
def test_the_gradient_of_a_linear_model_is_no_longer_than_the_longest_row(scale):
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    y = (torch.arange(30) % 2).double()
    w = scale * torch.randn(3, generator=generator, dtype=torch.float64)
    _, gradient = with_gradient(lambda w: made()(X @ w, y).mean()[None], w)
    assert gradient.norm() <= X.norm(dim=1).max()


def test_large_scores_make_a_step_of_the_perceptron_over_the_misclassified_rows():
    generator = torch.Generator().manual_seed(1)
    X = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    y = (torch.arange(40) % 2).double()
    w = 1e5 * torch.randn(3, generator=generator, dtype=torch.float64)
    _, gradient = with_gradient(lambda w: made()(X @ w, y).mean()[None], w)
    signs = 2 * y - 1
    wrong = signs * (X @ w) < 0
    assert 5 < wrong.sum() < 35
    assert_close(gradient, -(signs[:, None] * X)[wrong].mean(0), atol=1e-3, rtol=0)


def steps_to_separate(loss, step, limit):
    """Return how many steps of gradient descent it takes until the set of the paper's table is separated."""
    X = torch.tensor([[0.5, -1.0]] + 999 * [[-0.5, -1.0]], dtype=torch.float64)
    y = torch.tensor([1.0] + 999 * [0.0], dtype=torch.float64)
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    for taken in range(limit):
        scores = X @ w
        if (((scores > 0) == (y > 0)) & (scores != 0)).all():
            return taken
        (gradient,) = torch.autograd.grad(loss(scores, y).mean(), w)
        with torch.no_grad():
            w -= step * gradient
    return None


@pytest.mark.parametrize(("step", "steps"), [(0.1, 157), (1.0, 16), (10.0, 2), (100.0, 2)])
def test_separates_the_hard_set_in_the_steps_of_the_papers_table(step, steps):
    assert steps_to_separate(made(), step, 200) == steps


@pytest.mark.parametrize(("step", "steps"), [(10.0, 729), (100.0, 308)])
def test_the_plain_loss_takes_the_many_steps_of_the_papers_table(step, steps):
    def logistic(scores, y):
        return F.binary_cross_entropy_with_logits(scores, y, reduction="none")

    assert steps_to_separate(logistic, step, 1000) == steps


def test_the_factor_is_at_most_a_million():
    sure = torch.tensor([40.0, -40.0], dtype=torch.float64)
    value = made()(sure, torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert_close(value, torch.full((2,), 1e6 * math.log1p(math.exp(-40)), dtype=torch.float64))


def test_the_mean_error_is_a_moving_average_that_moves_in_training_only():
    loss = made(0.9)
    batch = naive(SCORES.tolist(), Y.tolist())
    error = (torch.sigmoid(-(2 * Y - 1) * SCORES)).mean()
    value = loss(SCORES, Y)
    assert_close(loss.error, 0.9 * 0.5 + 0.1 * error)
    assert_close(value, batch[0] * error / loss.error)
    loss.eval()
    kept = loss.error.clone()
    assert_close(loss(SCORES, Y), value)
    assert torch.equal(loss.error, kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_large_scores_right_or_wrong(dtype):
    for y in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]):
        y = torch.tensor(y, dtype=dtype)
        value, gradient = with_gradient(
            lambda s, y=y: made().to(dtype)(s, y), torch.tensor([200.0, -200.0], dtype=dtype)
        )
        assert value.dtype == dtype
        assert value.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_a_rare_class_faster_than_logistic_loss(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y == 8, test_size=0.4, stratify=y, random_state=seed)

    def score(loss):
        model = LossClassifier(loss, max_epochs=15, random_state=seed).fit(X, y)
        return f1_score(y_test, model.predict(X_test))

    assert score("normalized_logistic") > score("bce")


def test_the_alias_finds_it_and_labels_have_their_own_errors():
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y % 2, y > 8], axis=1).astype(int)
    model = LossClassifier(Loss("normalized_lr", momentum=0.5), max_epochs=5, random_state=0).fit(X, labels)
    errors = [b.item() for name, b in model.net_.criterion_.named_buffers() if name.endswith("error")]
    assert len(set(errors)) == 2
    assert model.score(X, labels) > 0.8

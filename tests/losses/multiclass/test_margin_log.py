import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import MissingFactError, TaskError
from sklearnloss.losses.multiclass.margin_log import margin_log
from sklearnloss.metrics.ece import ece


def penalty(logits, **params):
    """Return the penalty of these scores: features are the scores, the head changes nothing."""
    return margin_log(features=logits, head_weight=torch.eye(logits.shape[1], dtype=logits.dtype), **params)


def sizes(logits):
    found = []
    for row in logits.tolist():
        total = sum(math.exp(z) for z in row)
        found.append(sum((math.exp(z) / total) ** 2 for z in row))
    return found


def test_equals_the_formula_in_plain_loops(three_rows):
    found = sizes(three_rows[0])
    assert penalty(three_rows[0]).item() == pytest.approx(math.log(1 + sum(found)))
    wanted = sum(math.log(1 + s) for s in found) / 3
    assert penalty(three_rows[0], per_row=True).item() == pytest.approx(wanted)


def test_gives_the_worked_number():
    assert penalty(torch.tensor([[2.0, 0.0], [0.0, 0.0]])).item() == pytest.approx(0.828557, abs=1e-6)


def test_the_scores_are_those_of_the_linear_head():
    generator = torch.Generator().manual_seed(0)
    features, weight = (torch.randn(*shape, generator=generator) for shape in ((6, 4), (3, 4)))
    bias = torch.randn(3, generator=generator)
    wanted = penalty(features @ weight.T + bias)
    assert_close(margin_log(features=features, head_weight=weight, head_bias=bias), wanted)
    assert_close(margin_log(features=features, head_weight=weight), penalty(features @ weight.T))


@pytest.mark.parametrize("n", [1, 5, 64])
def test_equal_probabilities_cost_least_and_have_no_gradient(n):
    leaf = torch.full((n, 4), 0.7, dtype=torch.float64, requires_grad=True)
    for per_row, wanted in ((False, math.log(1 + n / 4)), (True, math.log(1 + 1 / 4))):
        value = penalty(leaf, per_row=per_row)
        (gradient,) = torch.autograd.grad(value, leaf)
        assert value.item() == pytest.approx(wanted)
        assert_close(gradient, torch.zeros(n, 4, dtype=torch.float64), atol=1e-15, rtol=0)


@pytest.mark.parametrize("n", [1, 5, 64])
def test_certainty_costs_most(n):
    sure = 1000 * F.one_hot(torch.arange(n) % 4, 4).double()
    assert penalty(sure).item() == pytest.approx(math.log(1 + n))
    assert penalty(sure, per_row=True).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("per_row", [False, True])
def test_gradient_is_that_of_the_value(three_rows, per_row):
    leaf = three_rows[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: penalty(z, per_row=per_row), leaf)


def test_the_pull_on_a_row_goes_with_one_over_the_number_of_rows():
    # as that of a mean does; the one in the logarithm counts in small batches only
    row = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    size = sizes(row)[0]
    pulls = {}
    for n in (1, 10, 1000):
        leaf = row.repeat(n, 1).requires_grad_()
        (gradient,) = torch.autograd.grad(penalty(leaf), leaf)
        pulls[n] = n * gradient[0, 0].item()
    assert pulls[10] / pulls[1] == pytest.approx(10 * (1 + size) / (1 + 10 * size))
    assert pulls[1000] / pulls[10] == pytest.approx(100 * (1 + 10 * size) / (1 + 1000 * size))
    assert pulls[1000] / pulls[10] < 1.3


def test_of_each_row_the_pull_does_not_depend_on_the_others():
    row = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64)
    gradients = []
    for other in (torch.zeros(1, 3), torch.tensor([[9.0, 0.0, 0.0]])):
        leaf = torch.cat([row, other.double()]).requires_grad_()
        gradients.append(torch.autograd.grad(penalty(leaf, per_row=True), leaf)[0][0])
    assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("per_row", [False, True])
def test_weights_count_rows(three_rows, per_row):
    logits = three_rows[0]
    ones = penalty(logits, per_row=per_row, sample_weight=torch.ones(3, dtype=torch.float64))
    assert_close(ones, penalty(logits, per_row=per_row))
    weights = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64)
    repeated = penalty(logits[[1, 1, 2]], per_row=per_row)
    assert_close(penalty(logits, per_row=per_row, sample_weight=weights), repeated)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("per_row", [False, True])
def test_value_and_gradient_are_finite_for_large_scores(per_row, dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [200.0, 200.0, 200.0]], dtype=dtype, requires_grad=True)
    value = penalty(leaf, per_row=per_row)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert value.dtype == dtype
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_beside_cross_entropy_it_is_less_sure_and_better_calibrated_on_noisy_labels(seed):
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    noisy = np.where(rng.random(len(y)) < 0.3, rng.integers(10, size=len(y)), y)
    X, X_test, y, y_test = train_test_split(X, noisy, train_size=500, random_state=seed)
    how = {"max_epochs": 30, "lr": 5e-3, "random_state": seed}
    plain = LossClassifier("cross_entropy", **how).fit(X, y).predict_proba(X_test)
    calm = LossClassifier(Loss("cross_entropy") + 0.3 * Loss("margin_log"), **how).fit(X, y).predict_proba(X_test)
    assert calm.max(1).mean() < plain.max(1).mean()
    assert ece(y_test, calm) < ece(y_test, plain)


def test_its_factor_zero_leaves_cross_entropy(blobs):
    how = {"max_epochs": 3, "random_state": 0}
    both = LossClassifier(Loss("cross_entropy") + 0.0 * Loss("margin_log"), **how).fit(*blobs)
    alone = LossClassifier("cross_entropy", **how).fit(*blobs)
    np.testing.assert_allclose(both.predict_proba(blobs[0]), alone.predict_proba(blobs[0]))


def test_alone_it_is_refused_with_the_sum_to_write(blobs):
    with pytest.raises(TaskError, match=r"'margin_log' .* makes no prediction; .* \+ Loss\('margin_log'\)"):
        LossClassifier("margin_log").fit(*blobs)


def test_a_head_of_one_score_and_one_of_cosines_are_refused(blobs):
    X, y = blobs
    with pytest.raises(TaskError, match=r"loss 'margin_log' .* needs a head of two scores or more, got 1"):
        LossClassifier(Loss("bce") + Loss("margin_log")).fit(X, y > 0)
    with pytest.raises(MissingFactError, match="loss 'margin_log' needs 'head_weight'"):
        LossClassifier(Loss("arcface") + Loss("margin_log")).fit(X, y)

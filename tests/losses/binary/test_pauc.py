import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.mann_whitney import mann_whitney
from sklearnloss.losses.binary.pauc import pauc

SURROGATES = {
    "logistic": lambda t: math.log1p(math.exp(-t)),
    "squared_hinge": lambda t: max(1 - t, 0.0) ** 2,
    "hinge": lambda t: max(1 - t, 0.0),
}


def batch(n=60, share=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = (torch.arange(n) < share * n).double()
    return torch.randn(n, generator=generator, dtype=torch.float64) + y, y


def in_loops(scores, y, fraction, surrogate, tau=1.0, weight=None):
    """Take the worst pairs of each positive until their weight is the fraction of all negatives'."""
    weight = [1.0] * len(y) if weight is None else weight.tolist()
    rows = list(zip(scores.tolist(), y.tolist(), weight, strict=True))
    total = sum(v for _, label, v in rows if not label)
    value = 0.0
    for s, label, u in rows:
        if not label:
            continue
        worst = sorted(((SURROGATES[surrogate]((s - r) / tau), v) for r, other, v in rows if not other), reverse=True)
        left = fraction * total
        for cost, v in worst:
            taken = min(v, left)
            value, left = value + u * taken * cost, left - taken
    return value / (fraction * total * sum(u for _, label, u in rows if label))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.33, 1.0])
def test_equals_the_worst_pairs_of_each_positive_in_plain_loops(surrogate, fraction):
    scores, y = batch()
    given = {"fraction": fraction, "surrogate": surrogate, "tau": 0.7}
    assert pauc(scores, y, **given).item() == pytest.approx(in_loops(scores, y, **given))
    weight = torch.arange(len(y)).double() % 3
    found = pauc(scores, y, sample_weight=weight, **given).item()
    assert found == pytest.approx(in_loops(scores, y, weight=weight, **given))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_equals_the_conditional_value_at_risk_of_each_positive(surrogate):
    scores, y = batch()
    fraction = 0.15
    wanted = []
    for s in scores[y == 1].tolist():
        costs = np.array([SURROGATES[surrogate](s - r) for r in scores[y == 0].tolist()])
        thresholds = [eta + np.maximum(costs - eta, 0).mean() / fraction for eta in costs]  # one of these is best
        wanted.append(min(thresholds))
    assert pauc(scores, y, fraction=fraction, surrogate=surrogate).item() == pytest.approx(np.mean(wanted))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_fraction_of_one_is_the_whole_area(surrogate):
    scores, y = batch()
    assert_close(pauc(scores, y, fraction=1.0, surrogate=surrogate), mann_whitney(scores, y, surrogate=surrogate))


def test_a_small_fraction_leaves_the_hardest_negative():
    scores, y = batch()
    gap = 1 - (scores[y == 1] - scores[y == 0].max())
    assert_close(pauc(scores, y, fraction=1e-6), gap.relu().square().mean())


def test_grows_as_the_fraction_falls():
    scores, y = batch()
    values = [pauc(scores, y, fraction=f).item() for f in (1.0, 0.5, 0.2, 0.05)]
    assert values == sorted(values)


def test_bounds_the_partial_area_above_the_curve():
    scores, y = batch()
    fraction = 0.2
    negatives = scores[y == 0].sort(descending=True).values
    worst = negatives[: round(fraction * len(negatives))]
    above = (scores[y == 1][:, None] <= worst).double().mean()  # of the rectangle up to that rate
    assert above <= pauc(scores, y, fraction=len(worst) / len(negatives))


def test_easy_negatives_have_no_gradient():
    scores, y = batch()
    scores.requires_grad_()
    (gradient,) = torch.autograd.grad(pauc(scores, y, fraction=0.2), scores)
    cut = scores[y == 0].sort(descending=True).values[int(0.2 * (y == 0).sum())]
    assert (gradient[(y == 0) & (scores < cut)] == 0).all()
    assert (gradient[(y == 0) & (scores > cut)] > 0).all()


def test_equal_negatives_have_equal_gradients():
    scores = torch.tensor([1.0, 0.0, 0.5, 0.5, 0.5, -1.0], requires_grad=True)
    pauc(scores, torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), fraction=0.5).backward()
    assert_close(scores.grad[2:5], scores.grad[2].expand(3))
    assert scores.grad[2] > 0
    assert scores.grad[5] == 0


def test_has_the_gradient_of_its_value():
    scores, y = batch(14)
    weight = torch.linspace(0.5, 2, 14, dtype=torch.float64)
    for surrogate in SURROGATES:
        assert torch.autograd.gradcheck(
            lambda s, surrogate=surrogate: pauc(s, y, fraction=0.4, surrogate=surrogate, sample_weight=weight),
            scores.clone().requires_grad_(),
        )


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_constant_added_to_all_scores_changes_nothing(surrogate):
    scores, y = batch()
    assert_close(pauc(scores + 1000, y, surrogate=surrogate), pauc(scores, y, surrogate=surrogate))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 4])
def test_a_missing_class_gives_zero_with_a_valid_gradient(surrogate, label, n):
    scores = torch.linspace(-200, 200, n, requires_grad=True)
    value = pauc(scores, torch.full((n,), label), surrogate=surrogate)
    value.backward()
    assert value == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(surrogate, dtype):
    scores = torch.tensor([-200.0, 200.0, 0.0, 200.0, -200.0, 20.0], dtype=dtype, requires_grad=True)
    value = pauc(scores, torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0], dtype=dtype), surrogate=surrogate)
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert scores.grad.isfinite().all()


def test_a_weight_is_a_repetition():
    scores, y = batch()
    weight = torch.arange(len(y)) % 3
    repeated = scores.repeat_interleave(weight), y.repeat_interleave(weight)
    assert_close(pauc(scores, y, sample_weight=weight.double()), pauc(*repeated))


def test_takes_hyperparameters_as_tensors():
    fraction, tau = torch.tensor(0.3, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    assert_close(pauc(*batch(), fraction=fraction, tau=tau), pauc(*batch(), fraction=0.3, tau=0.5))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_orders_rare_positives_by_name(surrogate):
    X, y = make_classification(600, weights=[0.9], class_sep=1.5, random_state=0)
    model = LossClassifier(loss=Loss("pauc", surrogate=surrogate), max_epochs=15, random_state=0).fit(X, y)
    assert roc_auc_score(y, model.decision_function(X), max_fpr=0.2) > 0.9
    assert not hasattr(model, "predict_proba")

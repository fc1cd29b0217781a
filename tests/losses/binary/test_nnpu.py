import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.binary.nnpu import nnpu

SURROGATES = {
    "logistic": lambda m: math.log1p(math.exp(-m)),
    "sigmoid": lambda m: 1 / (1 + math.exp(m)),
}


def batch(n=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(n, generator=generator, dtype=torch.float64)
    return scores, (torch.arange(n) % 3 == 0).double()


def parts(scores, y, prior, surrogate, weight=None):
    phi, weight = SURROGATES[surrogate], torch.ones_like(y) if weight is None else weight
    rows = [(s, w, t) for s, w, t in zip(scores.tolist(), weight.tolist(), y.tolist(), strict=True) if w]

    def mean(function, kind):
        own = [(w, function(s)) for s, w, t in rows if t == kind]
        return sum(w * v for w, v in own) / (sum(w for w, _ in own) or 1)

    gain = prior * mean(phi, 1)
    return gain, mean(lambda s: phi(-s), 0) - prior * mean(lambda s: phi(-s), 1)


def labeled_and_unlabeled(seed):
    X, y = load_breast_cancer(return_X_y=True)
    X, labeled = scale(X), np.zeros(len(y), dtype=int)
    labeled[np.random.default_rng(seed).choice(np.flatnonzero(y == 1), 100, replace=False)] = 1
    return X, y, labeled, y[labeled == 0].mean()


@pytest.mark.parametrize("seed", range(3))
def test_by_name_it_finds_unlabeled_positives_that_cross_entropy_takes_for_negatives(seed):
    X, y, labeled, prior = labeled_and_unlabeled(seed)
    hidden = labeled == 0

    def score(loss):
        model = LossClassifier(loss, max_epochs=15, lr=1e-2, random_state=0).fit(X, labeled)
        return (model.predict(X)[hidden] == y[hidden]).mean()

    assert score(Loss("nnpu", prior=float(prior))) > score("bce") + 0.05


@pytest.mark.parametrize("prior", [None, 0.0, 1.0])
def test_refuses_a_prior_that_is_none(prior):
    with pytest.raises(ParameterError, match="prior must be"):
        LossClassifier(Loss("nnpu", prior=prior), max_epochs=1).fit([[0.0], [1.0]] * 4, [0, 1] * 4)


def test_rows_without_weight_may_have_any_score_and_a_weight_is_a_repetition():
    scores, y = batch()
    weight = torch.arange(20) % 3
    repeated = nnpu(scores.repeat_interleave(weight), y.repeat_interleave(weight), prior=0.3)
    wild = torch.where(weight > 0, scores, torch.inf)
    assert_close(nnpu(wild, y, prior=0.3, sample_weight=weight.double()), repeated)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_batch_without_positives_or_unlabeled_rows_has_a_finite_value(surrogate, label):
    scores = torch.linspace(-3, 3, 5, requires_grad=True)
    value = nnpu(scores, torch.full((5,), label), surrogate=surrogate)
    value.backward()
    assert value.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(surrogate, dtype):
    scores = torch.tensor([-200.0, 200.0, 0.0, 20.0], dtype=dtype, requires_grad=True)
    value = nnpu(scores, torch.tensor([1.0, 0, 1, 0], dtype=dtype), surrogate=surrogate)
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert scores.grad.isfinite().all()


def risky(prior=0.6):
    """Return scores of a model that knows the positives by heart, so that the risk of the negatives is negative."""
    y = (torch.arange(12) % 2).double()
    scores = 4 * y - 2 + 0.1 * torch.arange(12).double()
    assert parts(scores, y, prior, "sigmoid")[1] < -0.1
    return scores, y


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("beta", [0.0, 0.05])
@pytest.mark.parametrize("make", [batch, risky])
def test_equals_the_formula_in_plain_loops(surrogate, beta, make):
    scores, y = make()
    gain, rest = parts(scores, y, 0.6, surrogate)
    value = nnpu(scores, y, prior=0.6, surrogate=surrogate, beta=beta).item()
    assert value == pytest.approx(gain + max(rest, -beta))


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_below_the_bound_the_gradient_climbs_and_above_it_is_that_of_the_value(gamma):
    scores, y = risky()
    for beta in (0.0, 10.0):
        leaf = scores.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(nnpu(leaf, y, prior=0.6, beta=beta, gamma=gamma), leaf)
        for i in range(12):
            step = torch.zeros(12, dtype=torch.float64)
            step[i] = 1e-6
            (up_gain, up), (down_gain, down) = (parts(scores + s, y, 0.6, "sigmoid") for s in (step, -step))
            wanted = up_gain - down_gain + up - down if beta else -gamma * (up - down)
            assert gradient[i].item() == pytest.approx(wanted / 2e-6, abs=1e-8)


def test_is_never_negative_without_beta():
    scores, y = risky()
    for factor in (0.1, 1.0, 10.0):
        assert nnpu(factor * scores, y, prior=0.6, surrogate="logistic") >= 0

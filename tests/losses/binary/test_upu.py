import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.binary.upu import upu

SURROGATES = {
    "logistic": lambda m: math.log1p(math.exp(-m)),
    "sigmoid": lambda m: 1 / (1 + math.exp(m)),
    "double_hinge": lambda m: max(-m, max(0.0, 1 - m) / 2),
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

    assert score(Loss("upu", prior=float(prior))) > score("bce") + 0.05


@pytest.mark.parametrize("prior", [None, 0.0, 1.0])
def test_refuses_a_prior_that_is_none(prior):
    with pytest.raises(ParameterError, match="prior must be"):
        LossClassifier(Loss("upu", prior=prior), max_epochs=1).fit([[0.0], [1.0]] * 4, [0, 1] * 4)


def test_rows_without_weight_may_have_any_score_and_a_weight_is_a_repetition():
    scores, y = batch()
    weight = torch.arange(20) % 3
    repeated = upu(scores.repeat_interleave(weight), y.repeat_interleave(weight), prior=0.3)
    wild = torch.where(weight > 0, scores, torch.inf)
    assert_close(upu(wild, y, prior=0.3, sample_weight=weight.double()), repeated)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_batch_without_positives_or_unlabeled_rows_has_a_finite_value(surrogate, label):
    scores = torch.linspace(-3, 3, 5, requires_grad=True)
    value = upu(scores, torch.full((5,), label), surrogate=surrogate)
    value.backward()
    assert value.isfinite()
    assert (scores.grad <= 0).all() if label else (scores.grad >= 0).all()


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(surrogate, dtype):
    scores = torch.tensor([-200.0, 200.0, 0.0, 20.0], dtype=dtype, requires_grad=True)
    value = upu(scores, torch.tensor([1.0, 0, 1, 0], dtype=dtype), surrogate=surrogate)
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("prior", [0.1, 0.6])
def test_equals_the_formula_in_plain_loops(surrogate, prior):
    scores, y = batch()
    weight = torch.arange(20).double() % 3
    given = {"prior": prior, "surrogate": surrogate}
    assert upu(scores, y, **given).item() == pytest.approx(sum(parts(scores, y, **given)))
    assert upu(scores, y, sample_weight=weight, **given).item() == pytest.approx(
        sum(parts(scores, y, weight=weight, **given))
    )


@pytest.mark.parametrize("surrogate", ["logistic", "double_hinge"])
def test_with_a_convex_surrogate_positives_enter_by_their_mean_score(surrogate):
    scores, y = batch()
    without = upu(scores[y == 0], y[y == 0], surrogate=surrogate)
    assert_close(upu(scores, y, prior=0.4, surrogate=surrogate), without - 0.4 * scores[y == 1].mean())


def test_with_the_sigmoid_it_is_twice_the_risk_of_the_positives_less_the_prior():
    scores, y = batch()
    wanted = 0.6 * torch.sigmoid(-scores[y == 1]).mean() + torch.sigmoid(scores[y == 0]).mean() - 0.3
    assert_close(upu(scores, y, prior=0.3, surrogate="sigmoid"), wanted)


def test_where_the_unlabeled_rows_hold_the_positives_it_is_the_risk_of_all_labels():
    scores, y = batch()
    both = torch.cat([scores[y == 1], scores]), torch.cat([torch.ones(7), torch.zeros(20)]).double()
    assert_close(upu(*both, prior=7 / 20), F.binary_cross_entropy_with_logits(scores, y))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_has_the_gradient_of_its_value(surrogate):
    scores, y = batch()
    assert torch.autograd.gradcheck(lambda s: upu(s, y, prior=0.3, surrogate=surrogate), scores.requires_grad_())

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import MissingFactError, ParameterError
from sklearnloss.losses.binary.ipw_pu import ipw_pu


def batch(n=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(n, generator=generator, dtype=torch.float64)
    return scores, (torch.arange(n) % 3 == 0).double(), torch.rand(n, generator=generator, dtype=torch.float64)


def naive(scores, y, propensity, surrogate, clip, weight, nonneg):
    gain = rest = 0.0
    for s, label, theta in zip(scores.tolist(), y.tolist(), propensity.tolist(), strict=True):
        p, theta = 1 / (1 + math.exp(-s)), max(theta, clip)
        relevant, other = ((1 - p) ** 2, p**2) if surrogate == "squared" else (-math.log(p), -math.log(1 - p))
        gain += label / theta * relevant
        rest += (1 - label / theta) * other
    return (gain + weight * (max(rest, 0) if nonneg else rest)) / len(y)


@pytest.mark.parametrize(("surrogate", "nonneg"), [("squared", False), ("squared", True), ("logistic", True)])
@pytest.mark.parametrize("clip", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_equals_the_formula_in_plain_loops(surrogate, nonneg, clip, weight, sign):
    scores, y, propensity = batch()
    scores = sign * 3 * (2 * y - 1) + scores  # with the one sign the part of the other rows is negative
    given = {"surrogate": surrogate, "clip": clip, "weight": weight, "nonneg": nonneg}
    value = ipw_pu(scores, y, propensity=propensity, **given).item()
    assert value == pytest.approx(naive(scores, y, propensity, **given))


def test_its_expectation_is_the_risk_for_relevance():
    theta, relevant, p = 0.4, 0.3, 0.6
    score, propensity = torch.logit(torch.tensor([p], dtype=torch.float64)), torch.tensor([theta], dtype=torch.float64)
    click, none = (ipw_pu(score, torch.tensor([y]).double(), propensity=propensity, nonneg=False) for y in (1.0, 0.0))
    expected = theta * relevant * click.item() + (1 - theta * relevant) * none.item()
    assert expected == pytest.approx(relevant * (1 - p) ** 2 + (1 - relevant) * p**2)
    assert expected == pytest.approx(0.3)


@pytest.mark.parametrize("given", [{"propensity": torch.ones(20)}, {"propensity": batch()[2], "clip": 1.0}])
def test_propensities_of_one_give_the_plain_loss(given):
    scores, y, _ = batch()
    assert_close(ipw_pu(scores, y, **given), F.mse_loss(torch.sigmoid(scores), y))
    wanted = F.binary_cross_entropy_with_logits(scores, y)
    assert_close(ipw_pu(scores, y, surrogate="logistic", **given), wanted)


def test_more_clipping_gives_less_variance_and_more_bias():
    theta, relevant, p = 0.05, 0.5, 0.6
    score, propensity = torch.logit(torch.tensor([p], dtype=torch.float64)), torch.tensor([theta], dtype=torch.float64)
    chance, truth = theta * relevant, relevant * (1 - p) ** 2 + (1 - relevant) * p**2
    biases, variances = [], []
    for clip in (0.0, 0.1, 0.3, 1.0):
        click, none = (
            ipw_pu(score, torch.tensor([y]).double(), propensity=propensity, clip=clip, nonneg=False).item()
            for y in (1.0, 0.0)
        )
        biases.append(abs(chance * click + (1 - chance) * none - truth))
        variances.append(chance * (1 - chance) * (click - none) ** 2)
    assert biases == sorted(biases)
    assert biases[0] == pytest.approx(0)
    assert variances == sorted(variances, reverse=True)


def test_refuses_the_logistic_surrogate_without_a_lower_bound():
    scores, y, propensity = batch()
    with pytest.raises(ParameterError, match="no lower bound"):
        ipw_pu(scores, y, propensity=propensity, surrogate="logistic", nonneg=False)


def test_a_weight_is_a_repetition():
    scores, y, propensity = batch()
    weight = torch.arange(20) % 3
    repeated = [t.repeat_interleave(weight) for t in (scores, y, propensity)]
    weighted = ipw_pu(scores, y, propensity=propensity, sample_weight=weight / weight.double().mean())
    assert_close(weighted, ipw_pu(*repeated[:2], propensity=repeated[2]))


@pytest.mark.parametrize("surrogate", ["squared", "logistic"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(surrogate, dtype):
    scores = torch.tensor([-200.0, 200.0, 0.0, 20.0], dtype=dtype, requires_grad=True)
    y, propensity = torch.tensor([1.0, 0, 1, 0], dtype=dtype), torch.tensor([1e-6, 0.5, 1.0, 0.2])
    value = ipw_pu(scores, y, propensity=propensity, surrogate=surrogate)
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("nonneg", [False, True])
def test_has_the_gradient_of_its_value(nonneg):
    scores, y, propensity = batch()
    assert torch.autograd.gradcheck(
        lambda s: ipw_pu(s, y, propensity=propensity, nonneg=nonneg), scores.requires_grad_()
    )


@pytest.mark.parametrize("seed", range(3))
def test_by_name_it_finds_relevant_rows_that_were_seldom_seen(seed):
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    propensity = np.where(X[:, 1] > 0, 0.2, 0.9)
    clicks = y * (np.random.default_rng(seed).random(len(y)) < propensity)

    def score(loss):
        model = LossClassifier(loss, max_epochs=15, lr=1e-2, random_state=0).fit(X, clicks, propensity=propensity)
        return model.score(X, y)

    assert score("ipw_pu") > score(Loss("ipw_pu", clip=1.0)) + 0.05


def test_asks_for_the_propensities_and_answers_to_its_other_name():
    with pytest.raises(MissingFactError, match="propensity"):
        LossClassifier("rel_mf", max_epochs=1).fit([[0.0], [1.0]] * 4, [0, 1] * 4)

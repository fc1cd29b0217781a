import math

import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import f1_score, fbeta_score
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.anyloss import anyloss
from sklearnloss.losses.binary.soft_f1 import soft_f1

P = torch.tensor([0.8, 0.3, 0.4, 0.7], dtype=torch.float64)
Y = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)


def batch(n=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(n, generator=generator, dtype=torch.float64)
    y = (scores + 2 * torch.randn(n, generator=generator, dtype=torch.float64) > 1).double()
    return scores, y


def in_loops(scores, y, beta=1.0, average="binary", tau=1.0, weight=None):
    counts = {(label, said): 0.0 for label in (0, 1) for said in (0, 1)}
    weight = [1.0] * len(y) if weight is None else weight.tolist()
    for s, label, w in zip(scores.tolist(), y.tolist(), weight, strict=True):
        p = 1 / (1 + math.exp(-s / tau))
        counts[int(label), 1] += w * p
        counts[int(label), 0] += w * (1 - p)

    def score(own):
        tp, fn, fp = counts[own, own], counts[own, 1 - own], counts[1 - own, own]
        return (1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp)

    return 1 - score(1) if average == "binary" else 1 - (score(0) + score(1)) / 2


@pytest.mark.parametrize("average", ["binary", "macro"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_equals_the_formula_in_plain_loops(average, beta):
    scores, y = batch()
    weight = 0.5 + torch.arange(len(y)).double() % 3
    given = {"beta": beta, "average": average, "tau": 0.6}
    assert soft_f1(scores, y, **given).item() == pytest.approx(in_loops(scores, y, **given))
    found = soft_f1(scores, y, sample_weight=weight, **given).item()
    assert found == pytest.approx(in_loops(scores, y, weight=weight, **given))


def test_gives_numbers_that_can_be_counted_by_hand():
    scores = torch.logit(P)  # tp 1.2, fp 1.0, fn 0.8, tn 1.0
    assert soft_f1(scores, Y).item() == pytest.approx(1 - 2.4 / 4.2)
    assert soft_f1(scores, Y, average="macro").item() == pytest.approx(1 - (2.4 / 4.2 + 2 / 3.8) / 2)


def test_is_one_minus_the_dice_coefficient_of_probabilities():
    scores, y = batch()
    p = torch.sigmoid(scores)
    assert_close(soft_f1(scores, y), 1 - 2 * (p * y).sum() / (p.sum() + y.sum()))


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_a_small_temperature_gives_the_score_of_hard_predictions(beta):
    scores, y = batch()
    hard = (scores > 0).double().numpy()
    assert soft_f1(scores, y, beta=beta, tau=1e-4).item() == pytest.approx(1 - fbeta_score(y.numpy(), hard, beta=beta))
    macro = f1_score(y.numpy(), hard, average="macro")
    assert soft_f1(scores, y, average="macro", tau=1e-4).item() == pytest.approx(1 - macro)


def test_is_anyloss_without_its_second_sigmoid():
    scores, y = batch()
    steepness = 30.0
    undone = torch.logit(0.5 + scores / steepness)  # what the steep sigmoid of anyloss turns into the probability
    assert_close(anyloss(undone, y, metric="f1", sharpness=steepness), soft_f1(scores, y))
    assert (anyloss(scores, y, metric="f1") - soft_f1(scores, y)).abs() > 0.01


def test_rows_that_are_sure_and_right_still_have_a_gradient_that_anyloss_gives_up():
    scores = torch.tensor([5.0, -5.0, 0.5, -0.5], requires_grad=True)
    y = torch.tensor([1.0, 0.0, 0.0, 1.0])
    ours = torch.autograd.grad(soft_f1(scores, y), scores)[0]
    theirs = torch.autograd.grad(anyloss(scores, y, metric="f1"), scores)[0]
    assert (ours[:2].abs() > 2 * theirs[:2].abs()).all()


def test_exchanging_the_classes_leaves_the_macro_average():
    scores, y = batch()
    assert_close(soft_f1(-scores, 1 - y, average="macro"), soft_f1(scores, y, average="macro"))


@pytest.mark.parametrize("average", ["binary", "macro"])
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_missing_class_gives_finite_values_and_gradients(average, label, n, dtype):
    scores = torch.linspace(-200, 200, n, dtype=dtype, requires_grad=True)
    value = soft_f1(scores, torch.full((n,), label, dtype=dtype), average=average)
    value.backward()
    assert value.dtype == dtype
    assert 0 <= value <= 1
    assert scores.grad.isfinite().all()


def test_without_positives_only_the_score_of_the_negatives_has_a_gradient():
    scores, y = torch.tensor([-1.0, 2.0], requires_grad=True), torch.zeros(2)
    value = soft_f1(scores, y)
    assert value == 1
    assert (torch.autograd.grad(value, scores)[0] == 0).all()
    assert (torch.autograd.grad(soft_f1(scores, y, average="macro"), scores)[0] > 0).all()


@pytest.mark.parametrize("average", ["binary", "macro"])
def test_without_weights_it_is_finite(average):
    scores = torch.tensor([-1.0, 2.0], requires_grad=True)
    value = soft_f1(scores, torch.tensor([0.0, 1.0]), average=average, sample_weight=torch.zeros(2))
    value.backward()
    assert value == 1
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("average", ["binary", "macro"])
def test_a_weight_is_a_repetition(average):
    scores, y = batch()
    weight = torch.arange(len(y)) % 3
    repeated = scores.repeat_interleave(weight), y.repeat_interleave(weight)
    weighted = soft_f1(scores, y, average=average, sample_weight=weight.double())
    assert_close(weighted, soft_f1(*repeated, average=average))


@pytest.mark.parametrize("average", ["binary", "macro"])
def test_has_the_gradient_of_its_value(average):
    scores, y = batch(8)
    weight = torch.linspace(0.5, 2, 8, dtype=torch.float64)
    given = {"average": average, "beta": 2.0, "tau": 0.7, "sample_weight": weight}
    assert torch.autograd.gradcheck(lambda s: soft_f1(s, y, **given), scores.requires_grad_())


def test_takes_hyperparameters_as_tensors():
    two, half = torch.tensor(2.0, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    assert_close(soft_f1(*batch(), beta=two, tau=half), soft_f1(*batch(), beta=2.0, tau=0.5))


@pytest.mark.parametrize("average", ["binary", "macro"])
def test_trains_by_name(average):
    X, y = load_breast_cancer(return_X_y=True)
    model = LossClassifier(loss=Loss("soft_f1", average=average), max_epochs=20, random_state=0).fit(X, y)
    assert f1_score(y, model.predict(X)) > 0.95
    assert model.predict_proba(X).shape == (len(y), 2)

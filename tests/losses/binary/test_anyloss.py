import math

import numpy as np
import pytest
import torch
from sklearn import metrics
from sklearn.datasets import load_breast_cancer
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.anyloss import anyloss

NAMES = ["accuracy", "f1", "balanced_accuracy", "g_mean", "mcc", "youden"]
THREE = torch.logit(torch.tensor([0.9, 0.6, 0.2], dtype=torch.float64)), torch.tensor([1.0, 0, 0], dtype=torch.float64)


def batch(n=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(n, generator=generator, dtype=torch.float64)
    y = (scores + 2 * torch.randn(n, generator=generator, dtype=torch.float64) > 1).double()
    return scores, y


def g_mean_without_root(tp, fp, fn, tn):
    return tp * tn / ((tp + fn) * (tn + fp))


def kappa(tp, fp, fn, tn):
    n = tp + fp + fn + tn
    chance = ((tp + fp) * (tp + fn) + (tn + fp) * (tn + fn)) / n**2
    return ((tp + tn) / n - chance) / (1 - chance)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("accuracy", 0.265490),
        ("f1", 0.288524),
        ("balanced_accuracy", 0.203614),
        ("g_mean", 0.225550),
        (g_mean_without_root, 0.400227),
    ],
)
def test_gives_the_worked_numbers(metric, value):
    assert anyloss(*THREE, metric=metric).item() == pytest.approx(value, abs=1e-6)


def test_counts_as_the_formula_in_plain_loops_says():
    counts = dict.fromkeys(("tp", "fp", "fn", "tn"), 0.0)
    scores, y = batch()
    for s, label in zip(scores.tolist(), y.tolist(), strict=True):
        p = 1 / (1 + math.exp(-s))
        accepted = 1 / (1 + math.exp(-7.0 * (p - 0.5)))
        counts["tp" if label else "fp"] += accepted
        counts["fn" if label else "tn"] += 1 - accepted
    seen = []
    anyloss(scores, y, metric=lambda *given: seen.extend(given) or given[0], sharpness=7.0)
    assert_close(torch.stack(seen), torch.tensor(list(counts.values()), dtype=torch.float64))


@pytest.mark.parametrize(
    ("metric", "peer"),
    [
        ("accuracy", metrics.accuracy_score),
        ("f1", metrics.f1_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
        ("mcc", metrics.matthews_corrcoef),
        (kappa, metrics.cohen_kappa_score),
        ("g_mean", lambda y, z: math.sqrt(metrics.recall_score(y, z) * metrics.recall_score(1 - y, 1 - z))),
        ("youden", lambda y, z: metrics.balanced_accuracy_score(y, z, adjusted=True)),
    ],
)
def test_tends_to_the_score_of_hard_predictions(metric, peer):
    scores, y = batch()
    wanted = 1 - peer(y.numpy(), (scores > 0).double().numpy())
    assert anyloss(scores, y, metric=metric, sharpness=1e6).item() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_f1_with_another_beta_is_the_f_beta_score(beta):
    scores, y = batch()
    wanted = 1 - metrics.fbeta_score(y.numpy(), (scores > 0).double().numpy(), beta=beta)
    assert anyloss(scores, y, metric="f1", beta=beta, sharpness=1e6).item() == pytest.approx(wanted, abs=1e-6)


def test_a_score_of_zero_is_half_accepted():
    assert anyloss(torch.zeros(4), torch.tensor([1.0, 1, 0, 0]), metric="accuracy").item() == 0.5


@pytest.mark.parametrize("metric", ["balanced_accuracy", "g_mean", "youden"])
def test_does_not_change_if_one_class_comes_twice(metric):
    scores, y = batch()
    twice = torch.cat([scores, scores[y == 0]]), torch.cat([y, y[y == 0]])
    assert_close(anyloss(*twice, metric=metric), anyloss(scores, y, metric=metric))


@pytest.mark.parametrize("metric", [*NAMES, kappa])
def test_a_weight_is_a_repetition(metric):
    scores, y = batch()
    weight = torch.arange(len(y)) % 3
    repeated = scores.repeat_interleave(weight), y.repeat_interleave(weight)
    assert_close(anyloss(scores, y, metric=metric, sample_weight=weight.double()), anyloss(*repeated, metric=metric))


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_missing_class_gives_finite_values_and_gradients(metric, label, dtype):
    scores = torch.tensor([-200.0, -1.0, 0.0, 2.0, 200.0], dtype=dtype, requires_grad=True)
    value = anyloss(scores, torch.full_like(scores, label).detach(), metric=metric)
    value.backward()
    assert value.dtype == dtype
    assert 0 <= value <= 2
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("metric", ["balanced_accuracy", "accuracy"])
def test_a_missing_class_does_not_stop_the_other(metric):
    scores = torch.tensor([-1.0, 2.0], requires_grad=True)
    anyloss(scores, torch.zeros(2), metric=metric).backward()
    assert (scores.grad > 0).all()


@pytest.mark.parametrize("metric", NAMES)
def test_the_gradient_is_finite_where_the_score_is_zero(metric):
    scores = torch.tensor([-200.0, -200.0, 200.0, 200.0], requires_grad=True)
    value = anyloss(scores, torch.tensor([1.0, 1, 0, 0]), metric=metric, sharpness=1000.0)  # everything is wrong
    value.backward()
    assert value >= 1 - 2e-5
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("metric", [*NAMES, kappa])
def test_has_the_gradient_of_its_value(metric):
    scores, y = batch(8)
    weight = torch.linspace(0.5, 2, 8, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda s: anyloss(s, y, metric=metric, beta=2.0, sample_weight=weight), scores.clone().requires_grad_()
    )


def test_takes_hyperparameters_as_tensors():
    two, five = torch.tensor(2.0, dtype=torch.float64), torch.tensor(5.0, dtype=torch.float64)
    assert_close(anyloss(*THREE, beta=two, sharpness=five), anyloss(*THREE, beta=2.0, sharpness=5.0))


@pytest.mark.parametrize("metric", ["f1", "balanced_accuracy", "mcc"])
def test_trains_by_name(metric):
    X, y = load_breast_cancer(return_X_y=True)
    model = LossClassifier(loss=Loss("anyloss", metric=metric), max_epochs=20, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.95
    assert model.predict_proba(X).shape == (len(y), 2)


def test_trains_with_weights():
    X, y = load_breast_cancer(return_X_y=True)
    weight = np.where(y == 1, 3.0, 1.0)
    model = LossClassifier(loss="anyloss", max_epochs=20, random_state=0).fit(X, y, sample_weight=weight)
    assert model.score(X, y) > 0.95

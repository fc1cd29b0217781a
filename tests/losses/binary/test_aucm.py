import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.aucm import AUCMargin

H = torch.tensor([0.9, 0.4, 0.3, 0.1], dtype=torch.float64)
Y = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)


def closed(h, y, margin=1.0, weight=None):
    return AUCMargin(margin=margin)(torch.logit(h), y, sample_weight=weight)


def min_max(margin=1.0, **values):
    model = AUCMargin(mode="min_max", margin=margin).double()
    with torch.no_grad():
        for name, value in values.items():
            getattr(model, name).fill_(value)
    return model


def batch(n=30, share=0.2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = (torch.arange(n) < share * n).double()
    return torch.randn(n, generator=generator, dtype=torch.float64) + y, y


def naive(h, y, a, b, alpha, margin):
    pos = [v for v, label in zip(h.tolist(), y.tolist(), strict=True) if label == 1]
    neg = [v for v, label in zip(h.tolist(), y.tolist(), strict=True) if label == 0]
    value = sum((v - a) ** 2 for v in pos) / len(pos) + sum((v - b) ** 2 for v in neg) / len(neg)
    return value + 2 * alpha * (margin + sum(neg) / len(neg) - sum(pos) / len(pos)) - alpha**2


def test_closed_form_gives_the_worked_number():
    assert closed(H, Y).item() == pytest.approx(0.375, abs=1e-12)


def test_closed_form_is_the_mean_square_over_pairs_within_the_margin():
    scores, y = batch()
    h = torch.sigmoid(scores)
    pairs = [(1 - (p - q)) ** 2 for p, q in itertools.product(h[y == 1].tolist(), h[y == 0].tolist())]
    assert AUCMargin()(scores, y).item() == pytest.approx(sum(pairs) / len(pairs))


def test_min_max_equals_the_formula_in_plain_loops():
    scores, y = batch()
    model = min_max(margin=0.8, a=0.7, b=0.1, alpha=0.3)
    wanted = naive(torch.sigmoid(scores), y, 0.7, 0.1, 0.3, 0.8)
    assert model(scores, y).item() == pytest.approx(wanted)


def test_averages_negatives_over_negatives_and_not_over_the_batch():
    # with the difference of means inside one mean over the batch the value would be 0.265
    model = min_max(a=0.65, b=0.2, alpha=0.55)
    assert model(torch.logit(H), Y).item() == pytest.approx(0.375, abs=1e-12)


@pytest.mark.parametrize("mode", ["closed", "min_max"])
def test_does_not_change_if_all_negatives_come_twice(mode):
    scores, y = batch()
    model = AUCMargin(mode=mode).double()
    twice = torch.cat([scores, scores[y == 0]]), torch.cat([y, y[y == 0]])
    assert_close(model(*twice), model(scores, y))


def test_a_row_that_hits_the_class_mean_counts_in_the_variance():
    h = torch.tensor([0.5, 0.9, 0.1, 0.2], dtype=torch.float64)
    y = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    assert closed(h, y).item() == pytest.approx(2 * 0.16 / 3 + (1 + 0.2 - 0.5) ** 2)


def test_closed_form_is_the_saddle_of_the_formula():
    scores, y = batch()
    h = torch.sigmoid(scores)
    a, b = h[y == 1].mean().item(), h[y == 0].mean().item()
    best = AUCMargin()(scores, y).item()
    assert naive(h, y, a, b, 1 + b - a, 1.0) == pytest.approx(best)
    for shift in (-0.1, 0.1):
        assert naive(h, y, a + shift, b, 1 + b - a, 1.0) > best
        assert naive(h, y, a, b + shift, 1 + b - a, 1.0) > best
        assert naive(h, y, a, b, 1 + b - a + shift, 1.0) < best


def test_min_max_has_the_gradient_of_the_closed_form_at_the_saddle():
    scores, y = batch()
    h = torch.sigmoid(scores)
    a, b = h[y == 1].mean().item(), h[y == 0].mean().item()
    scores.requires_grad_()
    (ours,) = torch.autograd.grad(min_max(a=a, b=b, alpha=1 + b - a)(scores, y), scores)
    (wanted,) = torch.autograd.grad(AUCMargin()(scores, y), scores)
    assert_close(ours, wanted)


def test_descent_finds_the_saddle():
    scores, y = batch()
    h, model = torch.sigmoid(scores), min_max(a=0.0, b=0.0, alpha=0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        model(scores, y).backward()
        optimizer.step()
    a, b = h[y == 1].mean(), h[y == 0].mean()
    assert_close(torch.stack([model.a, model.b, model.alpha]).detach(), torch.stack([a, b, 1 + b - a]))


def test_min_max_starts_at_the_saddle_of_scores_of_zero():
    y = batch()[1]
    model, zeros = min_max(margin=0.75), torch.zeros_like(y)
    model(zeros, y).backward()
    assert [p.grad.item() for p in model.parameters()] == pytest.approx([0.0] * 3)
    assert_close(model(zeros, y), AUCMargin(margin=0.75)(zeros, y))


def test_an_alpha_of_zero_leaves_the_variances():
    model = min_max(a=0.65, b=0.2, alpha=0.0)
    assert model(torch.logit(H), Y).item() == pytest.approx(0.0625 + 0.01)


def test_an_alpha_below_zero_counts_as_zero_and_comes_back():
    model = min_max(a=0.65, b=0.2, alpha=-0.5)
    scores = torch.logit(H).requires_grad_()
    value = model(scores, Y)
    value.backward()
    assert value.item() == pytest.approx(0.0625 + 0.01)
    assert model.alpha.grad < 0  # a descent raises it


def test_alpha_does_not_run_away_where_the_margin_is_kept():
    h = torch.tensor([0.9, 0.8, 0.2, 0.1], dtype=torch.float64)
    model = min_max(margin=0.3)
    optimizer = torch.optim.SGD([model.alpha], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        model(torch.logit(h), Y).backward()
        optimizer.step()
    assert -1 < model.alpha < 0


@pytest.mark.parametrize("model", [AUCMargin(margin=0.3), min_max(margin=0.3, a=0.85, b=0.15, alpha=0.0)])
def test_beyond_the_margin_only_the_variances_are_left(model):
    h = torch.tensor([0.9, 0.8, 0.2, 0.1], dtype=torch.float64)
    scores = torch.logit(h).requires_grad_()
    value = model(scores, Y)
    value.backward()
    assert value.item() == pytest.approx(2 * 0.0025)
    assert scores.grad[0] > 0  # nothing is left that would push a good positive further up
    assert scores.grad[3] < 0


@pytest.mark.parametrize("mode", ["closed", "min_max"])
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_missing_class_gives_zero_with_a_valid_gradient(mode, label, dtype):
    scores = torch.tensor([-200.0, 0.0, 200.0], dtype=dtype, requires_grad=True)
    value = AUCMargin(mode=mode)(scores, torch.full((3,), label, dtype=dtype))
    value.backward()
    assert value.dtype == dtype
    assert value == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("mode", ["closed", "min_max"])
def test_a_weight_is_a_repetition(mode):
    scores, y = batch()
    weight = torch.arange(len(y)) % 3
    model = AUCMargin(mode=mode).double()
    repeated = scores.repeat_interleave(weight), y.repeat_interleave(weight)
    assert_close(model(scores, y, sample_weight=weight.double()), model(*repeated))


def test_a_class_without_weight_is_missing():
    assert closed(H, Y, weight=1 - Y) == 0


@pytest.mark.parametrize("mode", ["closed", "min_max"])
@pytest.mark.parametrize("margin", [0.05, 1.0])
def test_has_the_gradient_of_its_value(mode, margin):
    scores, y = batch(10)
    weight = torch.linspace(0.5, 2, 10, dtype=torch.float64)
    model = AUCMargin(mode=mode, margin=margin).double()
    assert torch.autograd.gradcheck(lambda s: model(s, y, sample_weight=weight), scores.clone().requires_grad_())


def test_has_parameters_only_where_it_learns_them():
    assert list(AUCMargin().parameters()) == []
    assert [name for name, _ in AUCMargin(mode="min_max").named_parameters()] == ["a", "b", "alpha"]


@pytest.mark.parametrize("mode", ["closed", "min_max"])
def test_trains_by_name_on_rare_positives(mode):
    X, y = make_classification(800, weights=[0.95], class_sep=1.5, random_state=0)
    model = LossClassifier(loss=Loss("aucm", mode=mode), loss_lr=10.0, max_epochs=20, random_state=0)
    assert roc_auc_score(y, model.fit(X, y).decision_function(X)) > 0.95
    assert not hasattr(model, "predict_proba")


def test_learned_values_follow_the_class_means():
    X, y = make_classification(800, weights=[0.8], class_sep=1.5, random_state=0)
    model = LossClassifier(loss=Loss("aucm", mode="min_max"), loss_lr=10.0, max_epochs=20, random_state=0).fit(X, y)
    h = 1 / (1 + np.exp(-model.decision_function(X)))
    a, b, alpha = (p.item() for p in model.net_.criterion_.parameters())
    assert [a, b] == pytest.approx([h[y == 1].mean(), h[y == 0].mean()], abs=0.15)
    assert alpha == pytest.approx(1 + b - a, abs=0.15)

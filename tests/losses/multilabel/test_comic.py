import math

import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import label_ranking_average_precision_score
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multilabel.comic import Comic

COUNTS = torch.tensor([100.0, 50.0, 10.0], dtype=torch.float64)
PLAIN = {"gamma_neg": 0.0, "power": 0.0, "margin": 0.0, "shift": 0.0}


def made(n_classes=3, **params):
    return Comic(n_classes=n_classes, **{"warmup": 1, **params}).double()


def batch(n=12, labels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return logits, (torch.rand(n, labels, generator=generator) < 0.3).double()


def naive(logits, y, counts, epoch, *, gamma=3.0, power=1 / 6, margin=1.0, shift=0.05, threshold=0.7, focus=None):
    """Return values, recalled entries and focusing factors; those given are constants."""
    p = [
        [1 / (1 + math.exp(-(z - margin * t))) for z, t in zip(*r, strict=True)]
        for r in zip(logits.tolist(), y.tolist(), strict=True)
    ]
    mean = [sum(column) / len(p) for column in zip(*p, strict=True)]
    recalled = [
        [not t and epoch >= 1 and q > max(threshold, m) for q, t, m in zip(row, labels, mean, strict=True)]
        for row, labels in zip(p, y.tolist(), strict=True)
    ]
    counts = [c + sum(row[k] for row in recalled) for k, c in enumerate(counts)]
    weight = [(1 - math.log(c / max(counts))) ** power for c in counts]
    values, factors = [], []
    for i, row in enumerate(p):
        value, own = 0.0, []
        for k, q in enumerate(row):
            shifted = max(q - shift, 0.0)
            own.append(shifted ** (gamma + weight[k]) if focus is None else focus[i][k])
            positive = y[i, k] or recalled[i][k]
            value -= weight[k] * (math.log(q) if positive else own[-1] * math.log(1 - shifted))
        values.append(value / len(row))
        factors.append(own)
    return torch.tensor(values, dtype=torch.float64), recalled, factors


@pytest.mark.parametrize("epoch", [0, 1])
def test_equals_the_formula_in_plain_loops(epoch):
    logits, y = batch()
    values, recalled, _ = naive(logits, y, COUNTS.tolist(), epoch)
    assert any(map(any, recalled)) == (epoch > 0)
    model = made()
    assert_close(model(logits, y, class_counts=COUNTS, epoch=epoch), values)
    assert model.recalled.tolist() == [sum(column) for column in zip(*recalled, strict=True)]


def test_has_the_gradient_of_the_formula_with_constant_factors():
    logits, y = batch(4)
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(made()(leaf, y, class_counts=COUNTS, epoch=0).sum(), leaf)
    focus = naive(logits, y, COUNTS.tolist(), 0)[2]
    for i in range(4):
        for k in range(3):
            step = torch.zeros_like(logits)
            step[i, k] = 1e-6
            up, down = (naive(logits + s, y, COUNTS.tolist(), 0, focus=focus)[0].sum() for s in (step, -step))
            assert gradient[i, k].item() == pytest.approx(((up - down) / 2e-6).item(), abs=1e-7)


@pytest.mark.parametrize(("power", "weights"), [(1 / 3, [1.0, 1.191877, 1.489194]), (1 / 6, [1.0, 1.091731, 1.220325])])
def test_gives_the_worked_weights(power, weights):
    logits = torch.zeros(1, 3, dtype=torch.float64)
    for k, weight in enumerate(weights):
        y = F.one_hot(torch.tensor([k]), 3).double()
        with_label, without = (
            made(power=power, margin=0.0, gamma_neg=500.0)(logits, t, class_counts=COUNTS, epoch=0) for t in (y, 0 * y)
        )
        assert 3 * (with_label - without).item() / math.log(2) == pytest.approx(weight, abs=1e-6)


def test_equal_counts_weigh_nothing():
    logits, y = batch()
    equal = torch.full((3,), 7.0, dtype=torch.float64)
    weighted, unweighted = (made(power=p)(logits, y, class_counts=equal, epoch=0) for p in (1.0, 0.0))
    assert_close(weighted, unweighted)


def test_a_label_without_rows_weighs_as_much_as_the_rarest():
    logits, y = batch()
    some, filled = (torch.tensor([100.0, 10.0, last], dtype=torch.float64) for last in (0.0, 10.0))
    assert_close(made()(logits, y, class_counts=some, epoch=0), made()(logits, y, class_counts=filled, epoch=0))


def test_positives_are_those_of_cross_entropy_without_weights_and_margin():
    logits, y = batch()
    ones = torch.ones_like(y)
    wanted = F.binary_cross_entropy_with_logits(logits, ones, reduction="none").mean(1)
    assert_close(made(**PLAIN)(logits, ones, class_counts=COUNTS, epoch=0), wanted)
    # without weights the power of the negatives is still one, as one is added to it
    zeros = torch.sigmoid(logits) * F.binary_cross_entropy_with_logits(logits, 0 * y, reduction="none")
    assert_close(made(**PLAIN)(logits, 0 * y, class_counts=COUNTS, epoch=0), zeros.mean(1))


def test_a_confident_label_is_recalled_after_the_warm_up_only():
    logits = torch.full((5, 1), torch.logit(torch.tensor(0.15, dtype=torch.float64)).item(), dtype=torch.float64)
    logits[0] = torch.logit(torch.tensor(0.9, dtype=torch.float64))
    counts, y = torch.tensor([7.0], dtype=torch.float64), torch.zeros(5, 1, dtype=torch.float64)
    assert torch.sigmoid(logits).mean().item() == pytest.approx(0.3)
    for epoch, recalled in ((0, False), (1, True)):
        model = made(1)
        value = model(logits, y, class_counts=counts, epoch=epoch)[0].item()
        assert model.recalled.item() == recalled
        assert (value == pytest.approx(-math.log(0.9))) == recalled


def test_an_easy_negative_has_neither_value_nor_gradient():
    logits = torch.full((1, 3), -3.0, dtype=torch.float64, requires_grad=True)
    value = made()(logits, torch.zeros(1, 3).double(), class_counts=COUNTS, epoch=0)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.item() == 0
    assert (gradient == 0).all()


def test_counts_of_recalled_labels_grow_within_an_epoch_in_training_and_start_anew_in_the_next():
    logits, y = batch()
    model = made()
    seen = []
    for epoch, training in ((1, True), (1, True), (1, False), (2, True)):
        model.train(training)(logits, y, class_counts=COUNTS, epoch=epoch)
        seen.append(model.recalled.clone())
    assert seen[0].sum() > 0
    assert_close(seen[1], 2 * seen[0])
    assert_close(seen[2], seen[1])
    assert_close(seen[3], seen[0])


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(epoch, dtype):
    logits = torch.tensor([[-200.0, 200.0, 0.0], [200.0, -200.0, 20.0]], dtype=dtype, requires_grad=True)
    values = Comic(n_classes=3, warmup=1)(
        logits, torch.tensor([[1.0, 0, 1], [0, 1, 0]], dtype=dtype), class_counts=COUNTS, epoch=epoch
    )
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert gradient.isfinite().all()


def test_trains_by_name():
    X, y = make_multilabel_classification(200, n_classes=5, n_labels=2, random_state=0)
    model = LossClassifier("comic", max_epochs=15, lr=1e-2, random_state=0).fit(X, y)
    assert label_ranking_average_precision_score(y, model.predict_proba(X)) > 0.85

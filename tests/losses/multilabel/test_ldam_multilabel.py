import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, make_multilabel_classification
from sklearn.metrics import recall_score
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multilabel.ldam_multilabel import ldam_multilabel

COUNTS = torch.tensor([16.0, 81.0, 1.0], dtype=torch.float64)


def batch(n=8, labels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return logits, torch.randint(2, (n, labels), generator=generator).double()


def naive(logits, y, counts, margin):
    values = []
    for row, labels in zip(logits.tolist(), y.tolist(), strict=True):
        for z, label, n in zip(row, labels, counts, strict=True):
            shifted = z - margin / max(n, 1) ** 0.25 if label else z
            p = 1 / (1 + math.exp(-shifted))
            values.append(-math.log(p if label else 1 - p))
    return torch.tensor(values, dtype=logits.dtype).reshape(logits.shape)


@pytest.mark.parametrize("margin", [0.0, 0.5, 3.0, 5.0])
def test_equals_the_formula_in_plain_loops(margin):
    logits, y = batch()
    got = ldam_multilabel(logits, y, class_counts=COUNTS, margin=margin)
    assert_close(got, naive(logits, y, COUNTS.tolist(), margin))


def test_margins_are_the_worked_ones():
    zero, ones = torch.zeros(1, 3, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
    got = ldam_multilabel(zero, ones, class_counts=COUNTS, margin=3.0)
    assert_close(torch.expm1(got).log(), torch.tensor([[1.5, 1.0, 3.0]], dtype=torch.float64))


def test_a_label_without_positives_has_the_whole_margin():
    zero, ones = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    got = ldam_multilabel(zero, ones, class_counts=torch.zeros(1), margin=3.0)
    assert got.item() == pytest.approx(math.log1p(math.exp(3)))


def test_is_binary_cross_entropy_without_margin():
    logits, y = batch()
    wanted = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    assert_close(ldam_multilabel(logits, y, class_counts=COUNTS, margin=0.0), wanted)


def test_moves_positives_only():
    logits, y = batch()
    plain = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    moved = ldam_multilabel(logits, y, class_counts=COUNTS)
    assert_close(moved[y == 0], plain[y == 0])
    assert (moved[y == 1] > plain[y == 1]).all()


def test_the_rarer_label_costs_more_at_equal_scores():
    zero, ones = torch.zeros(1, 3, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
    common, commoner, rare = ldam_multilabel(zero, ones, class_counts=COUNTS)[0].tolist()
    assert commoner < common < rare


def test_grows_with_the_margin():
    logits, y = batch()
    values = [ldam_multilabel(logits, y, class_counts=COUNTS, margin=m).sum() for m in (0.0, 1.0, 3.0, 5.0)]
    assert values == sorted(values)
    assert values[0] < values[1]


def test_of_two_classes_the_positive_one_has_the_margin():
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    got = ldam_multilabel(zero, one, class_counts=torch.tensor([10_000.0, 16.0]), margin=2.0)
    assert got.item() == pytest.approx(math.log1p(math.exp(1)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(dtype):
    logits = torch.tensor([[-200.0, 200.0, 0.0], [200.0, -200.0, 20.0]], dtype=dtype, requires_grad=True)
    values = ldam_multilabel(logits, torch.tensor([[1.0, 0, 1], [0, 1, 0]], dtype=dtype), class_counts=COUNTS)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values >= 0).all()
    assert logits.grad.isfinite().all()


def test_has_the_gradient_of_its_value():
    logits, y = batch(3)
    assert torch.autograd.gradcheck(lambda z: ldam_multilabel(z, y, class_counts=COUNTS), logits.requires_grad_())


@pytest.mark.parametrize("seed", range(3))
def test_by_name_it_finds_more_of_a_rare_label_than_cross_entropy(seed):
    X, y = make_multilabel_classification(600, n_classes=5, n_labels=2, random_state=seed)
    rng = np.random.default_rng(seed)
    rare = (y[:, 0] == 1) & (rng.random(600) < 0.85)
    X, y = X[~rare], y[~rare]
    assert y[:, 0].mean() < 0.15

    def recall(loss):
        model = LossClassifier(loss, max_epochs=15, lr=1e-2, random_state=0).fit(X[::2], y[::2])
        return recall_score(y[1::2, 0], model.predict(X[1::2])[:, 0])

    assert recall("ldam_multilabel") > recall("bce")


def test_trains_on_two_classes_as_one_label():
    X, y = load_breast_cancer(return_X_y=True)
    assert LossClassifier("ldam_multilabel", max_epochs=20, lr=1e-2, random_state=0).fit(X, y).score(X, y) > 0.95

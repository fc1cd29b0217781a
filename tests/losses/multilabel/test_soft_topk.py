import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from sklearn.datasets import make_multilabel_classification
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multilabel.soft_topk import soft_topk

ROW = torch.tensor([[2.0, 1.0, 0.0, -1.0]], dtype=torch.float64)
BOTH = torch.tensor([[1.0, 1.0, 0, 0]], dtype=torch.float64)


def batch(n=8, labels=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return logits, (torch.rand(n, labels, generator=generator) < 0.4).double()


def shares(row, places, alpha):
    def sigmoids(t):
        return 1 / (1 + np.exp(-alpha * (np.asarray(row) + t)))

    return sigmoids(brentq(lambda t: sigmoids(t).sum() - places, -25, 25, xtol=1e-14))


def naive(logits, y, k, alpha):
    values = []
    for row, labels in zip(logits.tolist(), y.tolist(), strict=True):
        positives = [j for j, label in enumerate(labels) if label]
        if len(positives) in (0, len(row)):
            values.append(0.0)
            continue
        places = len(positives) if k == "n_pos" else min(max(k, len(positives)), len(row) - 1)
        p = shares(row, places, alpha)
        values.append(-sum(math.log(p[j]) for j in positives) / len(positives))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("k", [1, 3, 5, 50, "n_pos"])
@pytest.mark.parametrize("alpha", [0.5, 2.0, 7.0])
def test_equals_the_formula_in_plain_loops(k, alpha):
    logits, y = batch(20)
    assert_close(soft_topk(logits, y, k=k, alpha=alpha), naive(logits, y, k, alpha))


def test_gives_the_worked_numbers():
    assert soft_topk(ROW, BOTH, k=2).item() == pytest.approx(0.180925, abs=1e-6)
    singles = [soft_topk(ROW, torch.eye(4)[[j]].double(), k=2).exp().reciprocal().item() for j in range(4)]
    assert singles == pytest.approx([0.952574, 0.731059, 0.268941, 0.047426], abs=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_probabilities_of_a_row_sum_to_the_places(k):
    logits = batch()[0]
    p = torch.stack([soft_topk(logits, torch.eye(6)[[j] * 8].double(), k=k).neg().exp() for j in range(6)])
    assert_close(p.sum(0), torch.full((8,), float(k), dtype=torch.float64))


def test_the_gradient_of_a_row_sums_to_zero():
    logits, y = batch()
    soft_topk(logits.requires_grad_(), y, k=3).sum().backward()
    assert logits.grad.abs().max() > 0.01
    assert_close(logits.grad.sum(1), torch.zeros(8, dtype=torch.float64))


@pytest.mark.parametrize("k", [1, 3, "n_pos"])
def test_has_the_gradient_of_its_value(k):
    logits, y = batch(6, 5)
    y[0], y[1] = 0, 1
    assert torch.autograd.gradcheck(lambda z: soft_topk(z, y, k=k, alpha=1.3), logits.requires_grad_())


def test_has_the_gradient_of_the_implicit_function():
    leaf = ROW.clone().requires_grad_()
    soft_topk(leaf, BOTH, k=2).sum().backward()
    p, alpha = shares(ROW[0].tolist(), 2, 2.0), 2.0
    u = np.array([-0.5, -0.5, 0, 0]) * alpha * (1 - p)
    v = alpha * p * (1 - p)
    np.testing.assert_allclose(leaf.grad[0], u - v * u.sum() / v.sum(), atol=1e-12)


def test_a_large_alpha_chooses_the_first_k():
    def chosen(j):
        return math.exp(-soft_topk(ROW, torch.eye(4)[[j]].double(), k=2, alpha=200.0).item())

    assert [chosen(j) for j in range(4)] == pytest.approx([1, 1, 0, 0], abs=1e-9)


def test_a_row_with_more_positives_than_places_has_a_place_for_each():
    logits, y = batch(20)
    crowded = y.sum(1) > 1
    assert crowded.any()
    assert_close(soft_topk(logits, y, k=1)[crowded], soft_topk(logits, y, k="n_pos")[crowded])


def test_does_not_see_the_level_of_a_row():
    logits, y = batch()
    assert_close(soft_topk(logits + 1000, y), soft_topk(logits, y))


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("k", [5, "n_pos"])
def test_a_row_without_positives_or_negatives_gives_zero_with_a_valid_gradient(label, k):
    logits = ROW.clone().requires_grad_()
    value = soft_topk(logits, torch.full_like(ROW, label), k=k)
    value.sum().backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("alpha", [0.01, 2.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(alpha, dtype):
    logits = torch.tensor([[-200.0, 200.0, 0.0, -200.0], [200.0] * 4, [200.0, 199.0, -20.0, 20.0]], dtype=dtype)
    logits.requires_grad_()
    y = torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 0]], dtype=dtype)
    values = soft_topk(logits, y, alpha=alpha, k=2)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values >= 0).all()
    assert logits.grad.isfinite().all()


def test_holds_for_tens_of_thousands_of_labels_too():
    # a bracket of fixed width would miss the threshold: all sigmoids at its end sum to more than one place
    logits = torch.zeros(1, 50_000, dtype=torch.float64)
    y = torch.zeros_like(logits)
    y[0, 0] = 1
    assert soft_topk(logits, y, k=1).item() == pytest.approx(math.log(50_000))


def test_takes_alpha_as_a_tensor():
    logits, y = batch()
    assert_close(soft_topk(logits, y, alpha=torch.tensor(3.0, dtype=torch.float64)), soft_topk(logits, y, alpha=3.0))


@pytest.mark.parametrize("k", [2, "n_pos"])
def test_trains_by_name(k):
    X, y = make_multilabel_classification(300, n_classes=6, n_labels=2, random_state=0)
    model = LossClassifier(Loss("soft_topk", k=k), max_epochs=20, lr=1e-2, random_state=0).fit(X, y)
    rows = y.any(1)
    assert y[rows, model.decision_function(X)[rows].argmax(1)].mean() > 0.8
    assert not hasattr(model, "predict_proba")


def test_refuses_a_single_label():
    with pytest.raises(TaskError, match="needs two or more, got 1"):
        soft_topk(ROW[:, :1], BOTH[:, :1])

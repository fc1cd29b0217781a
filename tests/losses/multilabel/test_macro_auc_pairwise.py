import math

import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.mann_whitney import mann_whitney
from sklearnloss.losses.multilabel.macro_auc_pairwise import macro_auc_pairwise

SURROGATES = {
    "logistic": lambda t: math.log1p(math.exp(-t)),
    "squared_hinge": lambda t: max(1 - t, 0.0) ** 2,
    "hinge": lambda t: max(1 - t, 0.0),
}
ONE = torch.tensor([[1.0], [0.0], [2.0]], dtype=torch.float64), torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.float64)


def batch(n=30, labels=4, seed=0):
    """Return scores with ties, and labels of which the last is rare."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.linspace(0.6, 0.1, labels)
    y = (torch.rand(n, labels, generator=generator) < shares).double()
    return (2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)).round() / 2, y


def in_loops(scores, y, surrogate, weight=None):
    weight = torch.ones(len(y)) if weight is None else weight
    values = []
    for column, there in zip(scores.T, y.T, strict=True):
        rows = [r for r in zip(column.tolist(), there.tolist(), weight.tolist(), strict=True) if r[2]]
        pairs = [(v * w, s - r) for s, label, v in rows if label for r, other, w in rows if not other]
        if pairs:
            values.append(sum(w * SURROGATES[surrogate](t) for w, t in pairs) / sum(w for w, _ in pairs))
    return sum(values) / len(values)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_equals_the_formula_in_plain_loops(surrogate):
    scores, y = batch()
    assert macro_auc_pairwise(scores, y, surrogate=surrogate).item() == pytest.approx(in_loops(scores, y, surrogate))
    weight = torch.arange(len(y)).double() % 3
    found = macro_auc_pairwise(scores, y, surrogate=surrogate, sample_weight=weight).item()
    assert found == pytest.approx(in_loops(scores, y, surrogate, weight))


@pytest.mark.parametrize(("surrogate", "value"), [("logistic", 0.813262), ("hinge", 1.0)])
def test_gives_the_worked_numbers(surrogate, value):
    assert macro_auc_pairwise(*ONE, surrogate=surrogate).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_is_the_mean_of_the_labels_by_themselves(surrogate):
    scores, y = batch()
    each = [mann_whitney(scores[:, k], y[:, k], surrogate=surrogate) for k in range(4)]
    assert_close(macro_auc_pairwise(scores, y, surrogate=surrogate), torch.stack(each).mean())


def test_bounds_one_minus_the_macro_averaged_area():
    scores, y = batch()
    area = roc_auc_score(y.numpy(), scores.numpy(), average="macro")
    assert 1 - area <= macro_auc_pairwise(scores, y).item() / math.log(2)
    assert 1 - area <= macro_auc_pairwise(scores, y, surrogate="hinge").item()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_constant_added_to_a_label_changes_nothing(surrogate):
    scores, y = batch()
    moved = scores + torch.tensor([1000.0, -3.0, 0.0, 7.0])
    assert_close(macro_auc_pairwise(moved, y, surrogate=surrogate), macro_auc_pairwise(scores, y, surrogate=surrogate))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_vanishes_as_the_gap_of_a_perfect_order_grows(surrogate):
    _, y = batch()
    values = [macro_auc_pairwise(gap * y, y, surrogate=surrogate).item() for gap in (0.1, 3.0, 40.0)]
    assert values[0] > values[1] >= values[2]
    assert values[2] < 1e-15


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_labels_with_one_class_do_not_exist(surrogate):
    scores, y = batch()
    more = torch.cat([scores, scores[:, :2]], 1).requires_grad_()
    labels = torch.cat([y, torch.zeros(30, 1), torch.ones(30, 1)], 1)
    value = macro_auc_pairwise(more, labels, surrogate=surrogate)
    assert_close(value, macro_auc_pairwise(scores, y, surrogate=surrogate))
    (gradient,) = torch.autograd.grad(value, more)
    assert (gradient[:, 4:] == 0).all()
    assert (gradient[:, :4] != 0).any(0).all()


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 4])
def test_without_pairs_it_is_zero_with_a_valid_gradient(surrogate, label, n):
    scores = torch.linspace(-200, 200, 2 * n).view(n, 2).requires_grad_()
    value = macro_auc_pairwise(scores, torch.full((n, 2), label), surrogate=surrogate)
    value.backward()
    assert value == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(surrogate, dtype):
    scores = torch.tensor([[-200.0, 200.0], [200.0, 0.0], [20.0, -200.0]], dtype=dtype, requires_grad=True)
    value = macro_auc_pairwise(scores, torch.tensor([[1.0, 0], [0, 1], [1, 0]], dtype=dtype), surrogate=surrogate)
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_weight_is_a_repetition(surrogate):
    scores, y = batch()
    weight = torch.arange(len(y)) % 3
    repeated = scores.repeat_interleave(weight, 0), y.repeat_interleave(weight, 0)
    weighted = macro_auc_pairwise(scores, y, surrogate=surrogate, sample_weight=weight.double())
    assert_close(weighted, macro_auc_pairwise(*repeated, surrogate=surrogate))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_has_the_gradient_of_its_value(surrogate):
    scores, y = batch(8, 3, seed=1)
    scores = scores + 0.013 * torch.arange(24).view(8, 3)  # no lead is one
    assert torch.autograd.gradcheck(lambda s: macro_auc_pairwise(s, y, surrogate=surrogate), scores.requires_grad_())


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_orders_labels_by_name(surrogate):
    X, y = make_multilabel_classification(300, n_classes=5, n_labels=2, random_state=0)
    model = LossClassifier(loss=Loss("macro_auc_pairwise", surrogate=surrogate), max_epochs=20, random_state=0)
    assert roc_auc_score(y, model.fit(X, y).decision_function(X), average="macro") > 0.85
    assert not hasattr(model, "predict_proba")


def test_two_classes_are_one_label():
    X, y = make_multilabel_classification(300, n_classes=5, n_labels=2, random_state=0)
    model = LossClassifier(loss="macro_auc_pairwise", max_epochs=20, random_state=0).fit(X, y[:, 0])
    assert roc_auc_score(y[:, 0], model.decision_function(X)) > 0.85

import math

import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multilabel.macro_auc_pairwise import macro_auc_pairwise
from sklearnloss.losses.multilabel.macro_auc_reweighted import macro_auc_reweighted
from sklearnloss.losses.multilabel.macro_auc_univariate import macro_auc_univariate

SURROGATES = {
    "logistic": lambda t: math.log1p(math.exp(-t)),
    "squared_hinge": lambda t: max(1 - t, 0.0) ** 2,
    "hinge": lambda t: max(1 - t, 0.0),
}
ONE = torch.tensor([[1.0], [0.0], [2.0]], dtype=torch.float64), torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.float64)


def batch(n=30, labels=4, seed=0):
    """Return scores and labels, of which the last is rare."""
    generator = torch.Generator().manual_seed(seed)
    y = (torch.rand(n, labels, generator=generator) < torch.linspace(0.6, 0.1, labels)).double()
    return torch.randn(n, labels, generator=generator, dtype=torch.float64), y


def in_loops(scores, y, surrogate, weight=None):
    weight = torch.ones(len(y)) if weight is None else weight
    values = []
    for column, there in zip(scores.T, y.T, strict=True):
        rows = [r for r in zip(column.tolist(), there.tolist(), weight.tolist(), strict=True) if r[2]]
        sides = [[(w, SURROGATES[surrogate](s if label else -s)) for s, label, w in rows if label == k] for k in (0, 1)]
        if all(sides):
            values.append(sum(sum(w * v for w, v in side) / sum(w for w, _ in side) for side in sides))
    return sum(values) / len(values)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("counts", ["dataset", "batch"])
def test_equals_the_formula_in_plain_loops(surrogate, counts):
    scores, y = batch()
    given = {"surrogate": surrogate, "counts": counts}  # without the shares of all rows those of the batch are taken
    assert macro_auc_reweighted(scores, y, **given).item() == pytest.approx(in_loops(scores, y, surrogate))
    weight = torch.arange(len(y)).double() % 3
    found = macro_auc_reweighted(scores, y, sample_weight=weight, **given).item()
    assert found == pytest.approx(in_loops(scores, y, surrogate, weight))


def test_gives_the_worked_number():
    assert macro_auc_reweighted(*ONE).item() == pytest.approx(1.723299, abs=1e-6)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_balanced_label_has_twice_the_univariate_value(surrogate):
    scores, _ = batch()
    y = (torch.arange(30) % 2).double()[:, None].expand(30, 4)
    twice = 2 * macro_auc_univariate(scores, y, surrogate=surrogate).mean()
    assert_close(macro_auc_reweighted(scores, y, surrogate=surrogate), twice)


@pytest.mark.parametrize(("surrogate", "times"), [("logistic", 1), ("hinge", 1), ("squared_hinge", 2)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_bounds_the_pairs(surrogate, times, scale):
    scores, y = batch()
    pairs = macro_auc_pairwise(scale * scores, y, surrogate=surrogate)
    assert pairs <= times * macro_auc_reweighted(scale * scores, y, surrogate=surrogate)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_the_shares_of_all_rows_are_those_of_a_batch_of_all_rows(surrogate):
    scores, y = batch()
    given = {"surrogate": surrogate, "priors": y.mean(0)}
    assert_close(macro_auc_reweighted(scores, y, **given), macro_auc_reweighted(scores, y, counts="batch", **given))


def test_with_the_shares_of_all_rows_batches_average_to_all_rows():
    scores, y = batch()
    whole = macro_auc_reweighted(scores, y)
    parts = [macro_auc_reweighted(s, t, priors=y.mean(0)) for s, t in zip(scores.split(3), y.split(3), strict=True)]
    assert_close(torch.stack(parts).mean(), whole)
    parts = [macro_auc_reweighted(s, t, counts="batch") for s, t in zip(scores.split(3), y.split(3), strict=True)]
    assert (torch.stack(parts).mean() - whole).abs() > 0.05


def test_of_two_classes_the_share_of_the_second_counts():
    scores, y = batch(labels=1)
    share = y.mean()
    assert_close(
        macro_auc_reweighted(scores, y, priors=torch.stack([1 - share, share])),
        macro_auc_reweighted(scores, y, priors=share[None]),
    )


def test_in_the_shares_of_a_batch_labels_with_one_class_do_not_exist():
    scores, y = batch()
    more = torch.cat([scores, scores[:, :2]], 1).requires_grad_()
    labels = torch.cat([y, torch.zeros(30, 1), torch.ones(30, 1)], 1)
    value = macro_auc_reweighted(more, labels, counts="batch")
    assert_close(value, macro_auc_reweighted(scores, y, counts="batch"))
    assert (torch.autograd.grad(value, more)[0][:, 4:] == 0).all()


def test_in_the_shares_of_all_rows_a_batch_without_positives_counts_with_its_negatives():
    scores = torch.tensor([[0.5], [-1.0]], dtype=torch.float64)
    value = macro_auc_reweighted(scores, torch.zeros(2, 1), priors=torch.tensor([0.2])).item()
    assert value == pytest.approx((math.log1p(math.exp(0.5)) + math.log1p(math.exp(-1.0))) / 2 / 0.8)


def test_a_label_that_no_row_or_every_row_has_does_not_exist():
    scores, y = batch(labels=3)
    labels = torch.stack([y[:, 0], torch.zeros(30), torch.ones(30)], 1)
    shares = torch.stack([y[:, 0].mean(), *torch.tensor([0.0, 1.0]).double()])
    scores.requires_grad_()
    value = macro_auc_reweighted(scores, labels, priors=shares)
    assert_close(value, macro_auc_reweighted(scores[:, :1], y[:, :1], priors=shares[:1]))
    (gradient,) = torch.autograd.grad(value, scores)
    assert gradient.isfinite().all()
    assert (gradient[:, 1:] == 0).all()


@pytest.mark.parametrize("counts", ["dataset", "batch"])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_without_both_classes_it_is_zero_with_a_valid_gradient(counts, label):
    scores = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    value = macro_auc_reweighted(scores, torch.full((1, 2), label), counts=counts)
    value.backward()
    assert value == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(surrogate, dtype):
    scores = torch.tensor([[-200.0, 200.0], [200.0, 0.0], [20.0, -200.0]], dtype=dtype, requires_grad=True)
    value = macro_auc_reweighted(scores, torch.tensor([[1.0, 0], [0, 1], [1, 0]], dtype=dtype), surrogate=surrogate)
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("counts", ["dataset", "batch"])
def test_a_weight_is_a_repetition(counts):
    scores, y = batch()
    weight = 1 + torch.arange(len(y)) % 3
    repeated = scores.repeat_interleave(weight, 0), y.repeat_interleave(weight, 0)
    given = {"counts": counts, "priors": torch.tensor([0.5, 0.4, 0.3, 0.2])}
    weighted = macro_auc_reweighted(scores, y, sample_weight=weight / weight.double().mean(), **given)
    assert_close(weighted, macro_auc_reweighted(*repeated, **given))


def test_a_row_without_weight_may_have_any_score():
    scores, y = batch()
    weight = torch.arange(len(y)).double() % 3
    wild = torch.where(weight[:, None] > 0, scores, torch.inf).requires_grad_()
    value = macro_auc_reweighted(wild, y, sample_weight=weight)
    assert_close(value, macro_auc_reweighted(scores, y, sample_weight=weight))
    assert torch.autograd.grad(value, wild)[0].isfinite().all()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_has_the_gradient_of_its_value(surrogate):
    scores, y = batch(8, 3, seed=1)
    given = {"surrogate": surrogate, "priors": torch.tensor([0.5, 0.3, 0.1])}
    assert torch.autograd.gradcheck(lambda s: macro_auc_reweighted(s, y, **given), scores.requires_grad_())


@pytest.mark.parametrize("counts", ["dataset", "batch"])
def test_orders_labels_by_name_as_pairs_do(counts):
    X, y = make_multilabel_classification(300, n_classes=5, n_labels=2, random_state=0)

    def area(loss):
        model = LossClassifier(loss=loss, max_epochs=20, random_state=0).fit(X, y)
        assert not hasattr(model, "predict_proba")
        return roc_auc_score(y, model.decision_function(X), average="macro")

    found = area(Loss("macro_auc_reweighted", counts=counts))
    assert found > 0.85
    assert found == pytest.approx(area("macro_auc_pairwise"), abs=0.05)


def test_two_classes_are_one_label():
    X, y = make_multilabel_classification(300, n_classes=5, n_labels=2, random_state=0)
    model = LossClassifier(loss="macro_auc_reweighted", max_epochs=20, random_state=0).fit(X, y[:, 0])
    assert model.score(X, y[:, 0]) > 0.8

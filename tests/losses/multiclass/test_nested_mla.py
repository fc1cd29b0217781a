import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multiclass.nested_mla import NestedLevels


def made(n_classes=4, **params):
    return NestedLevels(n_classes=n_classes, **params).double()


def at(score, n_classes=4):
    """Return outputs of the head whose means are these scores."""
    score = torch.as_tensor(score, dtype=torch.float64)
    noise = torch.randn(len(score), n_classes - 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return score[:, None] + noise - noise.mean(1, keepdim=True)


def naive(scores, y, thresholds, sharpness):
    values = []
    for x, label in zip(scores, y, strict=True):
        q = [1 / (1 + math.exp(-sharpness * (x - h))) for h in thresholds]
        values.append(-sum(math.log(p if label >= j else 1 - p) for j, p in enumerate(q, start=1)))
    return torch.tensor(values, dtype=torch.float64)


SCORES, Y = [-1.3, -0.2, 0.1, 0.7, 2.0], torch.tensor([0, 1, 3, 2, 3])


@pytest.mark.parametrize("sharpness", [1.0, 3.0, 20.0])
def test_equals_the_formula_in_plain_loops(sharpness):
    wanted = naive(SCORES, Y.tolist(), [-0.5, 0.0, 0.5], sharpness)
    assert_close(made(sharpness=sharpness)(at(SCORES), Y).detach(), wanted)


def test_equals_the_formula_at_thresholds_that_have_moved():
    nested = made()
    nested.lowest.data.fill_(-1.1)
    nested.gaps.data.copy_(torch.tensor([0.3, -2.0]))
    thresholds = [-1.1, -1.1 + math.log1p(math.exp(0.3)), -1.1 + math.log1p(math.exp(0.3)) + math.log1p(math.exp(-2.0))]
    assert_close(nested(at(SCORES), Y).detach(), naive(SCORES, Y.tolist(), thresholds, 3.0))


@pytest.mark.parametrize("gaps", [[0.0, 0.0], [-30.0, 5.0], [-400.0, -400.0]])
def test_levels_are_nested_and_probabilities_sum_to_one_wherever_thresholds_are(gaps):
    nested = made()
    nested.gaps.data.copy_(torch.tensor(gaps))
    proba = nested.proba(at(np.linspace(-80, 80, 501))).detach()
    assert (proba >= 0).all()
    assert_close(proba.sum(1), torch.ones(501, dtype=torch.float64))


def test_the_most_probable_class_is_the_number_of_levels_that_are_more_likely_than_not():
    scores = np.linspace(-2, 2, 400)  # none of them at a threshold
    nested = made(sharpness=10.0)
    passed = sum((scores > h).astype(int) for h in (-0.5, 0.0, 0.5))
    apart = np.min([np.abs(scores - h) for h in (-0.5, 0.0, 0.5)], axis=0) > 0.01
    found = nested.proba(at(scores)).argmax(1).numpy()
    assert (found[apart] == passed[apart]).all()


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_two_classes_give_the_logistic_loss(sharpness):
    scores = torch.tensor(SCORES, dtype=torch.float64)
    y = torch.tensor([0, 1, 1, 0, 1])
    wanted = F.binary_cross_entropy_with_logits(sharpness * scores, y.double(), reduction="none")
    nested = made(2, sharpness=sharpness)
    assert_close(nested(scores[:, None], y).detach(), wanted)
    assert_close(nested.proba(scores[:, None]).detach()[:, 1], torch.sigmoid(sharpness * scores))


def test_shifting_score_and_thresholds_together_changes_nothing():
    nested = made()
    before = nested(at(SCORES), Y).detach()
    nested.lowest.data.add_(0.8)
    assert_close(nested(at(SCORES) + 0.8, Y).detach(), before)
    assert (nested(at(SCORES), Y).detach() - before).abs().min() > 0.01


def test_only_the_mean_of_the_columns_counts():
    nested = made()
    flat = torch.tensor(SCORES, dtype=torch.float64)[:, None].expand(-1, 3)
    assert_close(nested(flat, Y), nested(at(SCORES), Y))


def test_a_farther_miss_costs_more():
    nested = made()
    values = torch.stack([nested(at([-2.0]), torch.tensor([label])) for label in range(4)]).detach()
    assert (values.diff(dim=0) > 1).all()


def test_gradient_is_that_of_the_value_for_scores_and_thresholds():
    nested = made()

    def value(outputs, lowest, gaps):
        return torch.func.functional_call(nested, {"lowest": lowest, "gaps": gaps}, (outputs, Y))

    leaves = [t.detach().clone().requires_grad_() for t in (at(SCORES), nested.lowest, nested.gaps)]
    assert torch.autograd.gradcheck(value, leaves)


def test_thresholds_that_are_not_learnt_have_no_gradient():
    assert [p.requires_grad for p in made(learn_thresholds=False).parameters()] == [False, False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_large_scores(dtype):
    leaf = torch.tensor([[200.0] * 3, [-200.0] * 3], dtype=dtype, requires_grad=True)
    value = made().to(dtype)(leaf, torch.tensor([0, 3]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert_close(value.detach(), torch.full((2,), 9 * 200.0, dtype=dtype))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_errs_less_far_than_cross_entropy_on_ordered_classes_and_never_breaks_their_order(seed):
    X, y = load_diabetes(return_X_y=True)
    y = np.digitize(y, np.quantile(y, np.arange(1, 10) / 10))
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed)
    how = {"max_epochs": 15, "lr": 5e-3, "random_state": seed}
    model = LossClassifier("nested_mla", **how).fit(X, y)
    plain = LossClassifier("cross_entropy", **how).fit(X, y)
    assert np.abs(model.predict(X_test) - y_test).mean() < np.abs(plain.predict(X_test) - y_test).mean()
    assert (model.predict_proba(X_test) >= 0).all()


def test_the_estimator_moves_the_thresholds_unless_told_not_to():
    X, y = load_diabetes(return_X_y=True)
    y = np.digitize(y, np.quantile(y, [0.25, 0.5, 0.75]))

    def lowest(**params):
        model = LossClassifier(Loss("nested_mla", **params), max_epochs=3, random_state=0).fit(X, y)
        (found,) = [p for name, p in model.net_.criterion_.named_parameters() if name.endswith("lowest")]
        return found.item()

    assert lowest(learn_thresholds=False) == -0.5
    assert lowest() != -0.5


def test_names_need_an_order_and_two_classes_have_their_own():
    X, y = load_breast_cancer(return_X_y=True)
    assert LossClassifier("nested_mla", max_epochs=20, lr=5e-3, random_state=0).fit(X, y).score(X, y) > 0.95
    names = np.array(["mild", "grave"])[y]
    with pytest.raises(TaskError, match="loss 'nested_mla' needs classes with an order; give class_order="):
        LossClassifier("nested_mla").fit(X, names)

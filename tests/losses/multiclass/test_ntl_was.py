import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from sklearn.datasets import load_diabetes
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multiclass.ntl_was import ntl_was

VALUES = torch.tensor([-1.0, 0.5, 4.0], dtype=torch.float64)


def probabilities(*p):
    """Return the scores of one row with these probabilities."""
    return torch.tensor([p], dtype=torch.float64).log()


def naive(logits, y, values, normalize):
    unit = max(values) - min(values) if normalize else 1.0
    results = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        results.append(
            sum(math.exp(z) / total * abs(v - values[label]) / unit for z, v in zip(row, values, strict=True))
        )
    return torch.tensor(results, dtype=logits.dtype)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("values", [[-1.0, 0.5, 4.0], [30.0, 10.0, 20.0]])
def test_equals_the_formula_in_plain_loops(three_rows, values, normalize):
    got = ntl_was(*three_rows, class_values=torch.tensor(values, dtype=torch.float64), normalize=normalize)
    assert_close(got, naive(*three_rows, values, normalize))


def test_gives_the_worked_number():
    row = probabilities(0.1, 0.0, 0.2, 0.3, 0.4)
    assert ntl_was(row, torch.tensor([2]), normalize=False).item() == pytest.approx(1.3)
    assert ntl_was(row, torch.tensor([2])).item() == pytest.approx(1.3 / 4)


def test_probability_on_both_sides_of_the_true_class_costs():
    row = probabilities(0.0, 0.5, 0.0, 0.5, 0.0)
    assert ntl_was(row, torch.tensor([2]), normalize=False).item() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_wasserstein_distance_from_the_label(seed):
    rng = np.random.default_rng(seed)
    values, p = 10 * rng.normal(size=6), rng.dirichlet(np.ones(6))
    for label in range(6):
        wanted = wasserstein_distance(values, values[[label]], p)
        got = ntl_was(probabilities(*p), torch.tensor([label]), class_values=torch.from_numpy(values), normalize=False)
        assert got.item() == pytest.approx(wanted)


def test_is_the_distance_of_the_distribution_functions():
    p, values = np.array([0.1, 0.0, 0.2, 0.3, 0.4]), np.arange(5.0)
    apart = np.abs(np.cumsum(p) - (np.arange(5) >= 2))[:-1] @ np.diff(values)
    assert ntl_was(probabilities(*p), torch.tensor([2]), normalize=False).item() == pytest.approx(apart)


def test_two_classes_give_the_probability_of_the_other():
    logits = torch.tensor([[0.3, -1.0], [2.0, 2.5]], dtype=torch.float64)
    y = torch.tensor([0, 1])
    p = torch.softmax(logits, 1)[torch.arange(2), y]
    assert_close(ntl_was(logits, y), 1 - p)


def test_is_zero_only_where_the_true_class_has_all_probability():
    assert ntl_was(probabilities(0.0, 1.0, 0.0), torch.tensor([1])).item() == 0
    assert ntl_was(probabilities(0.0, 1 - 1e-9, 1e-9), torch.tensor([1])).item() == pytest.approx(0.5e-9)


def test_the_names_of_the_classes_do_not_matter_only_their_numbers(three_rows):
    logits, y = three_rows
    order = torch.tensor([2, 0, 1])
    place = torch.argsort(order)
    moved = ntl_was(logits[:, order], place[y], class_values=VALUES[order])
    assert_close(moved, ntl_was(logits, y, class_values=VALUES))
    assert (ntl_was(logits, y, class_values=VALUES[order]) - moved).abs().max() > 0.01


@pytest.mark.parametrize("change", [lambda v: 1000 * v, lambda v: v - 70, lambda v: -v])
def test_unit_origin_and_direction_of_the_numbers_mean_nothing_if_normalised(three_rows, change):
    assert_close(ntl_was(*three_rows, class_values=change(VALUES)), ntl_was(*three_rows, class_values=VALUES))


def test_beside_cross_entropy_its_factor_zero_leaves_cross_entropy(three_rows):
    logits, y = three_rows
    total = Loss("cross_entropy") + 0.0 * Loss("ntl_was")
    assert_close(total(logits, y, class_values=VALUES), F.cross_entropy(logits, y))


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: ntl_was(z, y, class_values=VALUES), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_and_bounded_for_large_scores(dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], dtype=dtype, requires_grad=True)
    value = ntl_was(leaf, torch.tensor([0, 2]), class_values=VALUES)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert (value <= 1).all()
    assert gradient.isfinite().all()


def binned(seed):
    X, y = load_diabetes(return_X_y=True)
    y = np.digitize(y, np.quantile(y, np.arange(1, 10) / 10))
    return train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_beside_cross_entropy_it_errs_less_far_and_agrees_more(seed):
    X, X_test, y, y_test = binned(seed)

    def judged(loss):
        found = LossClassifier(loss, max_epochs=15, lr=5e-3, random_state=seed).fit(X, y).predict(X_test)
        return np.abs(found - y_test).mean(), cohen_kappa_score(found, y_test, weights="quadratic")

    error, kappa = judged(Loss("cross_entropy") + 10 * Loss("ntl_was"))
    plain, plain_kappa = judged("cross_entropy")
    assert error < plain
    assert kappa > plain_kappa


def test_the_numbers_of_the_classes_reach_it_from_the_estimator():
    X, _, y, _ = binned(0)
    curves = [
        LossClassifier("ntl_was", max_epochs=3, random_state=0).fit(X, codes).loss_curve_
        for codes in (y, 10 * y - 3, y**3)
    ]
    assert curves[0] == pytest.approx(curves[1])
    assert curves[0] != pytest.approx(curves[2], rel=1e-2)


def test_names_with_an_order_are_counted_and_without_one_refused():
    X, _, y, _ = binned(0)
    names = np.array(["poor", "fair", "best"])[y // 4]
    ordered = LossClassifier("ntl_was", class_order=["poor", "fair", "best"], max_epochs=5, random_state=0)
    plain = LossClassifier("ntl_was", max_epochs=5, random_state=0)
    assert ordered.fit(X, names).loss_curve_ == pytest.approx(plain.fit(X, y // 4).loss_curve_)
    with pytest.raises(TaskError, match="loss 'ntl_was' needs classes with an order; give class_order="):
        plain.fit(X, names)

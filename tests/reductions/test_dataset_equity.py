import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from torch.testing import assert_close

from sklearnloss import LossClassifier, MetricEmbedder, Reduction, load
from sklearnloss.exceptions import MissingFactError, ParameterError, TaskError
from sklearnloss.reductions.dataset_equity import DatasetEquity
from sklearnloss.reductions.mean import mean


def weight_of(share, **params):
    """Return the weight of a row of a group with this share, from a batch of 1000 rows."""
    group = (torch.arange(1000) >= round(1000 * share)).long()
    values = torch.zeros(1000, dtype=torch.float64)
    values[0 if share else 1] = 1000.0
    if not share:  # a group that was never counted
        ours = DatasetEquity(**params)
        ours(values, torch.ones_like(values), group=group)
        return ours.eval()(values, torch.ones_like(values), group=group + 7).item()
    return DatasetEquity(**params)(values, torch.ones_like(values), group=group).item()


def in_loops(all_batches, eta, gamma):
    """Return the value of each batch; shares are those of the weight so far."""
    counts, found = {}, []
    for values, weights, group in all_batches:
        for g, w in zip(group, weights, strict=True):
            counts[g] = counts.get(g, 0.0) + w
        total = sum(counts.values())
        terms = [
            w * v * (eta + (1 - counts[g] / total) ** gamma) / (eta + 1)
            for v, w, g in zip(values, weights, group, strict=True)
        ]
        found.append(sum(terms) / len(terms))
    return found


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.1, 0.795245), (0.5, 0.515625), (1.0, 0.5)])
def test_gives_the_worked_numbers(share, expected):
    assert weight_of(share) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_without_a_floor_the_weight_is_a_power(share):
    assert weight_of(share, eta=0.0, gamma=3.0) == pytest.approx((1 - share) ** 3)


@pytest.mark.parametrize("params", [{"eta": 1e9}, {"gamma": 0.0}])
def test_a_high_floor_or_no_power_is_the_mean(params):
    values, weights = torch.tensor([1.0, 5.0, 2.0]), torch.tensor([2.0, 0.5, 0.5])
    assert_close(DatasetEquity(**params)(values, weights, group=torch.tensor([0, 0, 1])), mean(values, weights))


@pytest.mark.parametrize("eta", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("share", [0.1, 0.7, 1.0])
def test_no_weight_falls_below_the_floor(eta, share):
    assert weight_of(share, eta=eta) >= eta / (1 + eta) - 1e-12


@pytest.mark.parametrize(("eta", "gamma"), [(1.0, 5.0), (0.2, 2.0)])
def test_shares_are_counted_as_batches_come(eta, gamma):
    rng = np.random.default_rng(0)
    given = [(rng.normal(size=7), rng.gamma(1.0, size=7), rng.integers(0, 4, size=7) * 10) for _ in range(5)]
    ours = DatasetEquity(eta=eta, gamma=gamma)
    for batch, expected in zip(given, in_loops(given, eta, gamma), strict=True):
        values, weights, group = map(torch.tensor, batch)
        assert ours(values, weights, group=group).item() == pytest.approx(expected)


def test_a_row_of_no_group_is_a_group_of_its_own():
    values, group = torch.zeros(100, dtype=torch.float64), torch.zeros(100, dtype=torch.int64)
    group[:5], values[0] = -1, 100.0
    ours = DatasetEquity()
    assert ours(values, torch.ones_like(values), group=group).item() == pytest.approx((1 + 0.99**5) / 2)
    assert ours.groups == [0]
    assert ours.counted == [95]


def test_evaluation_counts_nothing():
    ours = DatasetEquity()
    values, weights = torch.ones(4), torch.ones(4)
    ours(values, weights, group=torch.tensor([0, 0, 0, 1]))
    first = ours.eval()(values, weights, group=torch.tensor([1, 1, 1, 1]))
    assert first.item() == pytest.approx((1 + 0.75**5) / 2)
    assert ours.total == 4


@pytest.mark.parametrize("wild", [math.inf, -math.inf, math.nan])
def test_a_value_of_weight_zero_counts_for_nothing(wild):
    values = torch.tensor([1.0, wild, 3.0], requires_grad=True)
    value = DatasetEquity()(values, torch.tensor([1.0, 0.0, 1.0]), group=torch.tensor([0, 0, 1]))
    value.backward()
    assert value.item() == pytest.approx(0.515625 * 4 / 3)
    assert values.grad[[0, 2]].tolist() == pytest.approx([0.515625 / 3] * 2)


def test_a_batch_without_weight_is_zero_with_a_valid_gradient():
    values = torch.ones(3, requires_grad=True)
    value = DatasetEquity()(values, torch.zeros(3), group=torch.tensor([0, 0, -1]))
    value.backward()
    assert value == 0
    assert (values.grad == 0).all()


def test_the_gradient_is_that_of_the_value():
    values = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    group, weights = torch.tensor([0, 0, 1]), torch.tensor([1.0, 0.5, 1.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: DatasetEquity()(v, weights, group=group), values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype_and_takes_groups_of_any_number(dtype):
    group = torch.tensor([0.5, 2.0])
    assert DatasetEquity()(torch.ones(2, dtype=dtype), torch.ones(2, dtype=dtype), group=group).dtype == dtype


@pytest.mark.parametrize("params", [{"eta": -1.0}, {"gamma": -1.0}])
def test_values_out_of_range_are_refused(params):
    with pytest.raises(ParameterError, match=r"must be a float in \[0, inf\)"):
        Reduction("dataset_equity", **params).choose()


def test_after_an_epoch_the_shares_are_those_of_the_training_rows_and_a_file_keeps_them(tmp_path):
    X, y = load_iris(return_X_y=True)
    group = np.repeat(["a", "b", "c"], [30, 75, 45])  # names are numbered
    model = LossClassifier(reduction="dataset_equity", max_epochs=60, random_state=0).fit(X, y, group=group)
    assert model.score(X, y) > 0.9
    ours = model.net_.criterion_.terms[0].reduction
    shares = dict(zip(ours.groups, np.divide(ours.counted, ours.total), strict=True))
    assert shares == pytest.approx({0: 0.2, 1: 0.5, 2: 0.3})
    model.save(tmp_path / "model")
    kept = load(tmp_path / "model").net_.criterion_.terms[0].reduction
    assert (kept.groups, kept.counted, kept.total) == (ours.groups, ours.counted, ours.total)


def test_groups_are_asked_for():
    with pytest.raises(MissingFactError, match=r"'dataset_equity' needs 'group'.*fit\(X, y, group=\.\.\.\)"):
        LossClassifier(reduction="dataset_equity", max_epochs=1).fit(*load_iris(return_X_y=True))


def test_values_of_pairs_have_no_group():
    X, y = load_iris(return_X_y=True)
    model = MetricEmbedder("hyperbolic_stress", reduction="dataset_equity", max_epochs=1)
    with pytest.raises(TaskError, match="'group' of each row, but loss 'hyperbolic_stress' has a value per pair"):
        model.fit(X, y, group=y)


def test_rows_cannot_be_mixed():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(TaskError, match="names 'group'"):
        LossClassifier(reduction="dataset_equity", mixup="mixup", max_epochs=1).fit(X, y, group=y)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_small_group_is_learned_better(seed):
    rng = np.random.default_rng(seed)
    group = (rng.random(600) < 0.08).astype(int)
    y = rng.integers(0, 2, size=600)
    X = rng.normal(size=(600, 2)) + np.c_[1.5 * y * (1 - 2 * group), 1.0 * y]  # a column that misleads for the few
    losses = []
    for reduction in ("mean", Reduction("dataset_equity", eta=0.0)):
        model = LossClassifier(reduction=reduction, max_epochs=40, lr=0.02, random_state=seed).fit(X, y, group=group)
        losses.append(-np.log(model.predict_proba(X)[np.arange(600), y])[group == 1].mean())
    assert losses[1] < losses[0]

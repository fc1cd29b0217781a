import math

import numpy as np
import pytest
import torch

from sklearnloss.functional import loss_prediction as module
from sklearnloss.functional.loss_prediction import pair_ranking_loss, predicted_losses


def naive(predicted, losses, objective, margin=1.0):
    values = []
    for r, l in zip(predicted, losses, strict=True):  # noqa: E741
        for r_, l_ in zip(predicted, losses, strict=True):
            if l > l_:
                lead = r - r_
                values.append(math.log1p(math.exp(-lead)) if objective == "logistic" else max(0.0, margin - lead))
    return sum(values) / len(values)


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(0)
    losses = torch.randint(0, 6, (20,), generator=generator).double()  # with ties
    return torch.randn(20, generator=generator, dtype=torch.float64), losses


@pytest.mark.parametrize(("objective", "margin"), [("logistic", 1.0), ("hinge", 1.0), ("hinge", 0.3)])
def test_is_the_mean_over_pairs_of_different_loss(pairs, objective, margin):
    found = pair_ranking_loss(*pairs, objective=objective, margin=margin)
    assert found.item() == pytest.approx(naive(*(p.tolist() for p in pairs), objective, margin))


def test_is_the_cross_entropy_of_which_of_two_loses_more(pairs):
    predicted, losses = pairs
    i, j = (losses[:, None] != losses).nonzero(as_tuple=True)
    expected = torch.nn.functional.binary_cross_entropy(
        torch.sigmoid(predicted[i] - predicted[j]), (losses[i] > losses[j]).double()
    )
    assert pair_ranking_loss(*pairs, objective="logistic").item() == pytest.approx(expected.item())


def test_constant_predictions_have_log_2_or_the_margin(pairs):
    constant = torch.full((20,), 3.0, dtype=torch.float64)
    assert pair_ranking_loss(constant, pairs[1], objective="logistic").item() == pytest.approx(0.693147, abs=1e-6)
    assert pair_ranking_loss(constant, pairs[1], objective="hinge", margin=0.7).item() == pytest.approx(0.7)


def test_predictions_in_the_order_of_the_losses_have_less_than_log_2_in_each_pair():
    losses = torch.rand(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for predicted in (losses, losses.exp(), losses.pow(3), 50 * losses):
        for i in range(12):
            for j in range(i):
                two = torch.tensor([i, j])
                assert pair_ranking_loss(predicted[two], losses[two], objective="logistic") < math.log(2)


@pytest.mark.parametrize("objective", ["logistic", "hinge"])
def test_only_the_order_of_the_losses_counts_but_the_size_of_predictions_does(pairs, objective):
    predicted, losses = pairs
    plain = pair_ranking_loss(predicted, losses, objective=objective)
    for scaled in (1e-9 * losses, 1e6 * losses, losses.exp()):
        assert torch.equal(pair_ranking_loss(predicted, scaled, objective=objective), plain)
    assert pair_ranking_loss(2 * predicted, losses, objective=objective) != plain


@pytest.mark.parametrize("objective", ["logistic", "hinge"])
def test_is_zero_where_all_losses_are_equal(objective):
    predicted = torch.randn(5, requires_grad=True)
    value = pair_ranking_loss(predicted, torch.ones(5), objective=objective)
    value.backward()
    assert value == 0
    assert torch.equal(predicted.grad, torch.zeros(5))


def test_far_predictions_stay_finite():
    predicted = torch.tensor([-200.0, 200.0, 0.0], requires_grad=True)
    value = pair_ranking_loss(predicted, torch.tensor([2.0, 1.0, 3.0]), objective="logistic")
    value.backward()
    assert value.item() == pytest.approx((400 + 200 + 0) / 3)
    assert torch.isfinite(predicted.grad).all()


@pytest.mark.parametrize("objective", ["logistic", "hinge"])
def test_gradients_are_those_of_differences(pairs, objective):
    predicted, losses = pairs
    assert torch.autograd.gradcheck(
        lambda r: pair_ranking_loss(r, losses, objective=objective), predicted.clone().requires_grad_()
    )


# -- the network ------------------------------------------------------------------------------------------------------


def predict(pool, labeled, losses, seed=0, **params):
    params = {"objective": "logistic", "hidden": 16, "epochs": 60, "lr": 0.02} | params
    return predicted_losses(pool, labeled, losses, np.random.default_rng(seed), **params)


@pytest.mark.parametrize("objective", ["logistic", "hinge"])
def test_learns_an_order_that_is_not_linear(objective):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 2))
    losses = np.abs(rows[:, 0])
    found = predict(rows[150:], rows[:150], losses[:150], objective=objective)
    order = np.argsort(np.argsort(found)), np.argsort(np.argsort(losses[150:]))
    assert np.corrcoef(*order)[0, 1] > 0.8


def test_a_row_twice_and_a_constant_column_do_no_harm():
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=40), np.full(40, 5.0)])
    rows[1] = rows[0]
    found = predict(rows, rows, np.exp(rows[:, 0]))
    assert np.isfinite(found).all()
    assert found[0] == found[1]
    assert np.isfinite(predict(rows, rows[:1], np.ones(1))).all()


def test_of_many_labels_pairs_are_drawn(monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 2))
    whole = predict(rows, rows, rows[:, 0])
    monkeypatch.setattr(module, "PAIRS", 900)
    some = predict(rows, rows, rows[:, 0])
    assert not np.array_equal(some, whole)
    assert np.corrcoef(some, rows[:, 0])[0, 1] > 0.9


def test_takes_no_other_generator_and_follows_its_own():
    rows = np.random.default_rng(0).normal(size=(30, 2))
    state = torch.get_rng_state()
    first, again, other = (predict(rows, rows, rows[:, 0], seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)

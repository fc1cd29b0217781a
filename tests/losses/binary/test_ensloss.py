import math

import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.ensloss import EnsembleOfLosses, assign, inverse_box_cox

LAMS = [-1.0, -0.4, 0.0, 0.4, 1.0]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=60, spread=3.0, seed=0):
    scores = spread * torch.randn(n, generator=generator(seed), dtype=torch.float64)
    y = torch.randint(2, (n,), generator=generator(seed + 1)).double()
    return scores.requires_grad_(), y


def slopes(scores, y, model=None, seed=2, epoch=0):
    """Derivative of each row's value by its margin."""
    values = (model or EnsembleOfLosses())(scores, y, epoch=epoch, rng=generator(seed))
    (gradient,) = torch.autograd.grad(values.sum(), scores)
    return gradient * (2 * y - 1)


def with_lam(lam):
    model = EnsembleOfLosses().double()
    model.lam.fill_(lam)
    return model


def test_assigns_the_derivatives_of_the_logistic_loss_as_that_loss_has_them():
    scores, y = batch()
    margins = (2 * y - 1) * scores
    draws = -torch.sigmoid(-margins.detach())
    shuffled = draws[torch.randperm(len(draws), generator=generator(5))]
    (ours,) = torch.autograd.grad((assign(shuffled, margins.detach()) * margins).mean(), scores, retain_graph=True)
    (theirs,) = torch.autograd.grad(F.binary_cross_entropy_with_logits(scores, y), scores)
    assert_close(ours, theirs)


def test_gives_the_smallest_draw_to_the_smallest_margin():
    draws, margins = torch.tensor([-0.1, -0.9, -0.5, 0.0]), torch.tensor([3.0, -1.0, 0.5, -2.0])
    assert assign(draws, margins).tolist() == pytest.approx([0.0, -0.5, -0.1, -0.9])


def test_makes_a_linear_loss_of_equal_draws():
    scores, y = batch()
    margins = (2 * y - 1) * scores
    (gradient,) = torch.autograd.grad((assign(-torch.ones_like(scores), margins.detach()) * margins).sum(), scores)
    assert_close(gradient, -(2 * y - 1))


@pytest.mark.parametrize("lam", LAMS)
def test_draws_equal_the_inverse_box_cox_transform_in_plain_loops(lam):
    wanted = []
    noise = torch.linspace(-4, 4, 33, dtype=torch.float64)
    for e in noise.tolist():
        base = max(1 + lam * e, 0.0)
        if lam == 0:
            value = math.exp(e)
        elif base == 0:
            value = math.inf if lam < 0 else 0.0
        else:
            value = base ** (1 / lam)
        wanted.append(-min(value, 1.0))
    got = inverse_box_cox(noise, torch.tensor(lam, dtype=torch.float64))
    assert_close(got, torch.tensor(wanted, dtype=torch.float64))


def test_draws_are_continuous_in_the_shape():
    noise = torch.linspace(-3, 0, 7, dtype=torch.float64)
    for lam in (1e-5, -1e-5, 1e-7):
        assert_close(inverse_box_cox(noise, torch.tensor(lam, dtype=torch.float64)), -noise.exp(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("lam", LAMS)
def test_every_derivative_is_negative_and_none_is_below_minus_one(lam):
    scores, y = batch(400)
    g = slopes(scores, y, with_lam(lam))
    assert (g < 0).all()
    assert (g >= -1 - 1e-6).all()


@pytest.mark.parametrize("lam", LAMS)
def test_derivatives_never_fall_as_the_margin_grows(lam):
    scores, y = batch(400)
    order = ((2 * y - 1) * scores).argsort()
    assert (slopes(scores, y, with_lam(lam))[order].diff() >= 0).all()


def test_derivatives_fall_off_beyond_a_margin_of_one():
    scores, y = batch(400, spread=20.0)
    margins = ((2 * y - 1) * scores).detach()
    assert (slopes(scores, y).abs() <= 1 / margins.clamp(min=1) + 1e-6).all()


def test_the_gradient_of_the_mean_is_the_derivative_over_the_number_of_rows():
    scores, y = batch()
    EnsembleOfLosses()(scores, y, epoch=0, rng=generator(2)).mean().backward()
    assert_close(scores.grad, slopes(scores, y) * (2 * y - 1) / len(y))


def test_shape_is_zero_in_the_first_period_and_new_in_each_later_one():
    model, (scores, y), rng, lams = EnsembleOfLosses(period=3), batch(), generator(), []
    for epoch in range(9):
        for _ in range(2):
            model(scores, y, epoch=epoch, rng=rng)
            lams.append(model.lam.item())
    assert lams[:6] == [0.0] * 6
    assert lams[6:12] == [lams[6]] * 6
    assert lams[12:] == [lams[12]] * 6
    assert len({0.0, lams[6], lams[12]}) == 3
    assert all(-1 < lam < 1 for lam in lams)


def test_shape_stays_with_period_zero():
    model, (scores, y) = EnsembleOfLosses(period=0), batch()
    model(scores, y, epoch=50, rng=generator())
    assert model.lam == 0


def test_state_moves_in_training_only():
    model, (scores, y) = EnsembleOfLosses(period=1).eval(), batch()
    model(scores, y, epoch=5, rng=generator())
    assert model.lam == 0
    assert model.round == 0


def test_state_travels_with_the_state_dict():
    model, other, (scores, y) = EnsembleOfLosses(period=1), EnsembleOfLosses(period=1), batch()
    model(scores, y, epoch=5, rng=generator())
    other.load_state_dict(model.state_dict())
    assert_close(slopes(scores, y, other, epoch=5), slopes(scores, y, model, epoch=5))


def test_draws_follow_the_generator():
    scores, y = batch()
    assert_close(slopes(scores, y, seed=7), slopes(scores, y, seed=7))
    assert not torch.equal(slopes(scores, y, seed=7), slopes(scores, y, seed=8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lam", LAMS)
def test_is_finite_at_wild_scores(dtype, lam):
    scores = torch.tensor([-200.0, 200.0, 0.0, 0.0], dtype=dtype, requires_grad=True)
    model = with_lam(lam).to(dtype)
    values = model(scores, torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=dtype), epoch=0, rng=generator())
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_trains_by_name(optimizer):
    X, y = load_breast_cancer(return_X_y=True)
    model = LossClassifier(loss=Loss("ensloss", period=5), optimizer=optimizer, lr=0.01, max_epochs=20, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.95
    assert not hasattr(model, "predict_proba")

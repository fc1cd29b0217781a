"""The head of very many classes, whose weights are never made in training."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, Mode, load
from sklearnloss.component import loss, mode
from sklearnloss.exceptions import ComponentError, TaskError
from sklearnloss.losses.multiclass.spherical_softmax import spherical_of_moments, spherical_softmax
from sklearnloss.losses.multiclass.taylor_softmax import taylor_of_moments, taylor_softmax
from sklearnloss.losses.multiclass.z_loss import z_loss, z_of_moments
from sklearnloss.training.implicit import ImplicitHead

X, y = load_digits(return_X_y=True)
FAMILY = [(z_loss, z_of_moments), (spherical_softmax, spherical_of_moments), (taylor_softmax, taylor_of_moments)]
LINEAR = {"hidden_layer_sizes": (), "head": "implicit", "random_state": 0, "loss_lr": 300.0}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def head_and_weights(d, k):
    torch.manual_seed(0)
    head = ImplicitHead(d, k).double()
    return head, head.weight.detach().clone().requires_grad_()


def with_one(h):
    return torch.cat([h, torch.ones(len(h), 1, dtype=h.dtype)], 1)


@pytest.mark.parametrize(("dense", "of_moments"), FAMILY)
def test_each_loss_has_the_value_and_gradient_of_its_moments(dense, of_moments):
    logits, labels = (2 * normal(5, 7)).requires_grad_(), torch.tensor([0, 6, 3, 3, 1])
    true = logits.gather(1, labels[:, None]).squeeze(1)
    by_moments = of_moments(true, logits.mean(1), logits.square().mean(1), 7)
    value = dense(logits, labels)
    assert_close(by_moments, value)
    gradients = [torch.autograd.grad(v.sum(), logits, retain_graph=True)[0] for v in (by_moments, value)]
    assert_close(*gradients)


def test_moments_are_those_of_the_scores_and_so_is_their_gradient():
    head, weight = head_and_weights(4, 9)
    h, labels = normal(6, 4).requires_grad_(), torch.arange(6)
    scores = with_one(h) @ weight.T
    assert_close(head(h), scores.detach())
    expected = torch.stack([scores[torch.arange(6), labels], scores.mean(1), scores.square().mean(1)], 1)
    moments = torch.stack(head.moments(h, labels), 1)
    assert_close(moments, expected.detach())
    upstream = normal(6, 3, seed=1)
    assert_close(*(torch.autograd.grad(m, h, upstream, retain_graph=True)[0] for m in (moments, expected)))


@pytest.mark.parametrize(("dense", "of_moments"), FAMILY)
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_three_hundred_steps_are_those_of_gradient_descent_on_all_weights(dense, of_moments, weight_decay):
    head, weight = head_and_weights(8, 50)
    rate = 0.05 if dense is spherical_softmax else 0.3  # its gradient is steep where a score is near zero
    generator = torch.Generator().manual_seed(1)
    for _ in range(300):
        h = torch.randn(16, 8, generator=generator, dtype=torch.float64)
        labels = torch.randint(50, (16,), generator=generator)
        weights = torch.rand(16, generator=generator, dtype=torch.float64)
        one, other = h.clone().requires_grad_(), h.clone().requires_grad_()
        value = (weights * of_moments(*head.moments(one, labels), 50)).mean()
        expected = (weights * dense(with_one(other) @ weight.T, labels)).mean()
        value.backward()
        expected.backward()
        assert_close(value, expected, atol=1e-10, rtol=0)
        assert_close(one.grad, other.grad, atol=1e-10, rtol=0)
        head.step(rate, weight_decay)
        with torch.no_grad():
            weight -= rate * (weight.grad + weight_decay * weight)
        weight.grad = None
    assert int(head.age) == 300  # the weights were never made
    assert_close(head.weight.detach(), weight.detach(), atol=1e-10, rtol=0)
    squares = head.factor.T @ head.squares @ head.factor
    assert (head.rows[:, -1] == 1).all()
    assert_close(50 * squares.data, (weight.T @ weight).detach(), atol=1e-9, rtol=0)
    assert_close(50 * (head.squares[-1] @ head.factor).data, weight.sum(0).detach(), atol=1e-9, rtol=0)
    assert_close((head.inverse @ head.factor).data, torch.eye(9, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("rate", [30.0, 1000.0])
def test_a_step_too_large_for_the_factors_is_taken_on_the_weights(rate):
    head, weight = head_and_weights(3, 5)
    h, labels = 5 * normal(8, 3), torch.arange(8) % 5
    spherical_of_moments(*head.moments(h.requires_grad_(), labels), 5).sum().backward()
    spherical_softmax(with_one(h.detach()) @ weight.T, labels).sum().backward()
    head.step(rate)
    assert int(head.age) == 0
    assert_close(head.weight.detach(), (weight - rate * weight.grad).detach())
    assert_close(head.squares[:-1, :-1].data, (head.weight.T @ head.weight).detach() / 5)
    assert_close(head.squares[-1, :-1].data, head.weight.mean(0).detach())


def test_features_that_need_no_gradient_move_the_head_the_same():
    heads = [head_and_weights(3, 5)[0] for _ in range(2)]
    for head, needed in zip(heads, (True, False), strict=True):
        h = normal(4, 3).requires_grad_(needed)
        z_of_moments(*head.moments(h, torch.arange(4)), 5).mean().backward()
        assert (h.grad is not None) == needed
        head.step(0.1)
        assert int(head.age) == 1
    assert torch.equal(heads[0].weight, heads[1].weight)


def test_after_a_step_a_pass_of_before_cannot_go_backward():
    head, _ = head_and_weights(3, 5)
    first, second = (sum(head.moments(normal(4, 3).requires_grad_(), torch.arange(4))) for _ in range(2))
    first.sum().backward()
    head.step(0.01)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        second.sum().backward()


def test_the_factors_are_made_anew_after_many_steps(monkeypatch):
    monkeypatch.setattr("sklearnloss.training.implicit.REFRESH", 3)
    head, _ = head_and_weights(3, 5)
    ages = []
    for seed in range(6):
        z_of_moments(*head.moments(normal(4, 3, seed=seed).requires_grad_(), torch.arange(4)), 5).mean().backward()
        head.step(0.1)
        ages.append(int(head.age))
    assert ages == [1, 2, 3, 0, 1, 2]


def test_in_single_precision_many_steps_drift_little():
    torch.manual_seed(0)
    head = ImplicitHead(16, 200)
    start = head.weight.detach().double()
    exact = ImplicitHead(16, 200).double()
    exact._take(start)
    generator = torch.Generator().manual_seed(2)
    for _ in range(300):
        h, labels = torch.randn(32, 16, generator=generator), torch.randint(200, (32,), generator=generator)
        for one, rows in ((head, h), (exact, h.double())):
            z_of_moments(*one.moments(rows.requires_grad_(), labels), 200).mean().backward()
            one.step(0.5)
    change = (exact.weight - start).norm()
    assert (head.weight.double() - exact.weight).norm() < 1e-4 * change


@pytest.mark.parametrize("name", ["z_loss", "spherical_softmax", "taylor_softmax"])
def test_an_estimator_takes_the_steps_of_plain_gradient_descent(name):
    shared = {"hidden_layer_sizes": (), "lr": 0.05, "max_epochs": 3, "batch_size": 200, "random_state": 0}
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    shared["weight_decay"] = 0.01
    dense = LossClassifier(name, optimizer=torch.optim.SGD, **shared).fit(X, y, sample_weight=weights)
    implicit = LossClassifier(name, head="implicit", **shared).fit(X, y, sample_weight=weights)
    assert implicit.loss_curve_ == pytest.approx(dense.loss_curve_, rel=1e-9)
    np.testing.assert_allclose(implicit.decision_function(X), dense.decision_function(X), atol=1e-9)


def test_learns_with_a_hidden_layer_and_adam_below():
    model = LossClassifier("z_loss", head="implicit", loss_lr=300.0, max_epochs=15, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95


def test_mixups_and_added_terms_train_too():
    sum_of_two = Loss("z_loss") + 0.01 * Loss("center")
    for more in ({"mixup": "mixup"}, {"mixup": "manifold_mixup"}, {"loss": sum_of_two}):
        model = LossClassifier(**({"loss": "z_loss", "max_epochs": 10} | LINEAR | more)).fit(X, y)
        assert model.score(X, y) > 0.85


def test_saves_goes_on_and_starts_anew(tmp_path):
    model = LossClassifier("z_loss", max_epochs=4, warm_start=True, **LINEAR).fit(X, y)
    model.save(tmp_path / "model.sklearnloss")
    again = load(tmp_path / "model.sklearnloss")
    assert np.array_equal(again.decision_function(X), model.decision_function(X))
    again.fit(X, y)
    model.fit(X, y)
    assert again.n_iter_ == 8
    assert np.array_equal(again.decision_function(X), model.decision_function(X))
    assert clone(model).set_params(max_epochs=4).fit(X, y).n_iter_ == 4


def test_the_exported_module_and_many_passes_of_a_step_agree():
    class Twice(torch.optim.SGD):
        def step(self, closure):
            closure()
            closure()
            super().step()

    once = LossClassifier("z_loss", optimizer=torch.optim.SGD, max_epochs=2, **LINEAR).fit(X, y)
    twice = LossClassifier("z_loss", optimizer=Twice, max_epochs=2, **LINEAR).fit(X, y)
    assert np.array_equal(once.decision_function(X), twice.decision_function(X))
    np.testing.assert_allclose(once.to_torch("scores")(torch.tensor(X)).detach(), once.decision_function(X))


def test_what_it_cannot_do_is_refused():
    class Complete(nn.Module):
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.layer = nn.Linear(n_features, n_outputs)

        def forward(self, X):
            return self.layer(X)

    @mode("steps")
    class Steps:
        def step(self, closure, optimizer):
            optimizer.step(closure)

    for given, message in (
        ({"loss": "cross_entropy"}, "looks at every score"),
        ({"loss": Loss("z_loss") + Loss("cross_entropy")}, "looks at every score"),
        ({"loss": "arcface"}, "looks at every score"),
        ({"loss": Loss("taylor_softmax", order=4)}, "order=4"),
        ({"max_grad_norm": 1.0}, "max_grad_norm"),
        ({"mode": Mode(Steps)}, "mode 'steps' takes steps"),
        ({"module": Complete}, "module is complete"),
    ):
        with pytest.raises(TaskError, match=message):
            LossClassifier(**({"loss": "z_loss", "max_epochs": 1} | LINEAR | given)).fit(X, y)


def test_moments_are_declared_with_the_hyperparameters_of_the_loss():
    def moments(true, mean, square, k, *, other=1.0):
        return true

    with pytest.raises(ComponentError, match="same hyperparameters"):

        @loss("wrong", task="multiclass", moments=moments)
        def wrong(logits, y, *, scale: float = 1.0):
            return F.cross_entropy(scale * logits, y, reduction="none")

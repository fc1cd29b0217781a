import functools
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, LossClassifier, loss
from sklearnloss.exceptions import TaskError
from sklearnloss.training.schedules import SCHEDULES


@loss("seeing", task="multiclass")
class Seeing(nn.Module):
    """Cross entropy that notes which rows it saw, and has a parameter of its own that no gradient moves."""

    def __init__(self, *, n_samples: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(n_samples))
        self.idle = nn.Parameter(torch.ones(3))
        self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, logits, y, *, index):
        if self.training:
            self.seen[index] += 1
        return cross_entropy(logits + self.shift + 0 * self.idle, y, reduction="none")


def loss_of(model):
    return model.net_.criterion_.terms[0].modules_[0]


def parameters(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()])


class Peaked:
    """A scorer that is best at one epoch."""

    def __init__(self, peak):
        self.peak = peak

    def __call__(self, estimator, X, y):
        estimator.predict(X)
        return -abs(estimator.net_.epoch_ - self.peak)


# -- early stopping ---------------------------------------------------------------------------------------------------


def test_early_stopping_goes_back_to_the_weights_of_the_best_score(quick, overlapping):
    X, y = overlapping
    stopped = quick(early_stopping=True, scoring=Peaked(4), n_iter_no_change=3, max_epochs=50).fit(X, y)
    assert stopped.n_iter_ == 7
    assert [row["valid_score"] for row in stopped.history_] == [-3, -2, -1, 0, -1, -2, -3]
    short = quick(early_stopping=True, scoring=Peaked(4), max_epochs=4).fit(X, y)
    assert torch.equal(parameters(stopped), parameters(short))


def test_a_fit_that_never_stopped_also_ends_at_its_best(quick, overlapping):
    X, y = overlapping
    scoring = Peaked(2)
    whole = quick(early_stopping=True, scoring=scoring, n_iter_no_change=100, max_epochs=9).fit(X, y)
    assert whole.n_iter_ == 9
    assert torch.equal(
        parameters(whole), parameters(quick(early_stopping=True, scoring=scoring, max_epochs=2).fit(X, y))
    )


def test_early_stopping_watches_a_score_and_not_the_loss(quick, overlapping):
    X, y = overlapping

    @loss("falling", task="multiclass")
    def falling(logits, y, *, epoch):
        return 0 * logits.sum(1) - epoch

    model = quick(falling, early_stopping=True, n_iter_no_change=2, max_epochs=50).fit(X, y)
    assert model.n_iter_ == 3  # the loss falls for ever, accuracy does not move


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "roc_auc_ovr", "f1_macro"])
def test_early_stopping_takes_the_scores_of_scikit_learn(quick, overlapping, scoring):
    model = quick(early_stopping=True, scoring=scoring, validation_fraction=0.2).fit(*overlapping)
    assert all(math.isfinite(row["valid_score"]) for row in model.history_)


def test_rows_held_out_for_stopping_calibration_and_training_are_disjoint(quick, overlapping):
    X, y = overlapping
    scored = []

    def scoring(estimator, X, y):
        scored.append(X)
        return estimator.score(X, y)

    params = {"validation_fraction": 0.2, "max_epochs": 3}
    model = quick(Seeing, early_stopping=True, calibrate="sigmoid", scoring=scoring, **params).fit(X, y)
    trained = loss_of(model).seen > 0
    assert int(trained.sum()) == 180
    assert len(scored[0]) == 60
    watched = np.array([(X == row).all(1).argmax() for row in scored[0]])
    assert not trained[watched].any()
    alone = loss_of(quick(Seeing, early_stopping=True, **params).fit(X, y)).seen > 0
    assert int(alone.sum()) == 240  # the last 60 rows are for calibration


def test_held_out_rows_have_every_class_and_move_no_moment(quick, overlapping):
    X, y = overlapping
    model = quick(Seeing, early_stopping=True, validation_fraction=0.1, max_epochs=1).fit(X, y)
    trained = loss_of(model).seen.numpy() > 0
    np.testing.assert_allclose(model.net_.module_.backbone[0].mean, X[trained].mean(0), rtol=1e-9)
    assert set(y[~trained]) == {0, 1, 2}


def test_too_few_rows_to_hold_out_are_named(quick, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match=r"^early_stopping needs rows to hold out, but there are only 2$"):
        quick(early_stopping=True, validation_fraction=0.99).fit(X[[0, 1]], y[[0, 1]])


# -- rates, norms, decay ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_a_schedule_multiplies_the_rate_as_a_function_of_progress(quick, blobs, name):
    model = quick(lr_schedule=name, lr=0.2, max_epochs=10).fit(*blobs)
    rates = [row["lr"] for row in model.history_]
    np.testing.assert_allclose(rates, [0.2 * SCHEDULES[name](epoch / 10) for epoch in range(10)])
    assert min(rates) >= 0
    assert rates[-1] < max(rates)


def test_a_schedule_may_be_any_function(quick, blobs):
    model = quick(Seeing, lr_schedule=lambda progress: 1 - progress, lr=0.2, loss_lr=0.1, max_epochs=4).fit(*blobs)
    assert [row["lr"] for row in model.history_] == pytest.approx([0.2, 0.15, 0.1, 0.05])
    assert [group["lr"] for group in model.net_.optimizer_.param_groups] == pytest.approx([0.05, 0.005])


@pytest.mark.parametrize("limit", [1e-3, 0.1])
def test_the_norm_of_a_step_is_bounded(quick, blobs, limit):
    X, y = blobs
    params = {"optimizer": "sgd", "batch_size": 1000, "max_epochs": 1}
    start = parameters(quick(lr=1e-12, **params).fit(X, y))
    step = parameters(quick(lr=0.5, max_grad_norm=limit, **params).fit(X, y)) - start
    assert step.norm() == pytest.approx(0.5 * limit, rel=1e-3)
    free = parameters(quick(lr=0.5, **params).fit(X, y)) - start
    assert free.norm() > step.norm()
    torch.testing.assert_close(step / step.norm(), free / free.norm(), rtol=1e-4, atol=1e-6)


def test_a_small_gradient_is_not_stretched(quick, blobs):
    X, y = blobs
    clipped = quick(max_grad_norm=1e6).fit(X, y)
    np.testing.assert_array_equal(clipped.predict_proba(X), quick().fit(X, y).predict_proba(X))


def test_weight_decay_shrinks_the_network_and_not_the_loss(quick, blobs):
    X, y = blobs
    params = {"optimizer": "sgd", "max_epochs": 30}
    decayed, free = (quick(Seeing, weight_decay=decay, **params).fit(X, y) for decay in (0.5, 0.0))
    assert parameters(decayed).norm() < 0.5 * parameters(free).norm()
    assert torch.equal(loss_of(decayed).idle, torch.ones(3, dtype=torch.float64))
    groups = decayed.net_.optimizer_.param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]


def test_the_parameters_of_a_loss_have_their_own_rate(quick, blobs):
    X, y = blobs
    still = quick(Seeing, loss_lr=0.0).fit(X, y)
    assert torch.equal(loss_of(still).shift, torch.zeros(3, dtype=torch.float64))
    moved = quick(Seeing, loss_lr=10.0).fit(X, y)
    assert loss_of(moved).shift.abs().sum() > 0
    assert [group["lr"] for group in moved.net_.optimizer_.param_groups] == [0.05, 0.5]


def test_a_cosine_head_belongs_to_the_parameters_of_the_loss(quick, blobs):
    model = quick("arcface", loss_lr=2.0, weight_decay=0.1).fit(*blobs)
    network, own = model.net_.optimizer_.param_groups
    assert [p is model.net_.module_.head.weight for p in own["params"]] == [True]
    assert (own["lr"], own["weight_decay"]) == (0.1, 0.0)
    assert all(p is not model.net_.module_.head.weight for p in network["params"])
    assert model.score(*blobs) > 0.9


@pytest.mark.parametrize(
    "optimizer",
    ["adam", "adamw", "sgd", torch.optim.RMSprop, functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True)],
)
def test_optimizers_learn(quick, blobs, optimizer):
    model = quick(optimizer=optimizer, max_epochs=60, batch_size=30).fit(*blobs)
    assert model.score(*blobs) > 0.9


def test_an_optimizer_that_calls_its_closure_many_times_learns(quick, blobs):
    model = quick(optimizer=torch.optim.LBFGS, lr=1.0, batch_size=1000, max_epochs=3).fit(*blobs)
    assert model.score(*blobs) > 0.95


class Twice(torch.optim.SGD):
    """An optimizer that asks for the loss twice a step."""

    def step(self, closure):
        closure()
        return super().step(closure)


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_state_of_a_loss_moves_once_a_step_whatever_the_optimizer(quick, blobs, epochs):
    model = quick(Seeing, optimizer=Twice, max_epochs=epochs).fit(*blobs)
    assert torch.equal(loss_of(model).seen, torch.full((90,), float(epochs), dtype=torch.float64))
    assert model.net_.step_ == epochs


def test_the_state_of_a_loss_does_not_move_in_prediction(quick, blobs):
    model = quick(Seeing, max_epochs=2).fit(*blobs)
    model.predict_proba(blobs[0])
    model.score(*blobs)
    assert (loss_of(model).seen == 2).all()


# -- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 89, 90, 1000])
def test_every_row_is_trained_on_once_an_epoch(quick, blobs, batch_size):
    model = quick(Seeing, batch_size=batch_size, max_epochs=2).fit(*blobs)
    assert (loss_of(model).seen == 2).all()
    assert model.net_.step_ == 2 * math.ceil(90 / batch_size)


def test_the_step_and_the_epoch_are_told_to_a_loss_that_asks(quick, blobs):
    seen = []

    @loss("clocked", task="multiclass")
    def clocked(logits, y, *, epoch, step):
        seen.append((epoch, step))
        return cross_entropy(logits, y, reduction="none")

    quick(clocked, batch_size=45, max_epochs=2).fit(*blobs)
    assert seen == [(0, 0), (0, 1), (1, 2), (1, 3)]


def test_a_sampler_decides_what_is_in_a_batch(quick, blobs):
    X, y = blobs
    seen = []

    @loss("batchwise", task="multiclass", sampler="per_class")
    def batchwise(logits, y):
        seen.append(torch.bincount(y, minlength=3).tolist())
        return cross_entropy(logits, y, reduction="none")

    quick(batchwise, batch_size=12, max_epochs=1).fit(X, y)
    assert set(map(tuple, seen)) == {(4, 4, 4)}  # the loss's wish
    seen.clear()
    quick(batchwise, batch_size=12, max_epochs=1, sampler="shuffle").fit(X, y)
    assert len({tuple(counts) for counts in seen}) > 1  # the user's


def test_terms_add_with_their_factors(quick, overlapping):
    X, y = overlapping
    params = {"optimizer": "sgd", "max_epochs": 5}
    one = quick(Loss("cross_entropy", coef=0.75), **params).fit(X, y)
    two = quick(0.5 * Loss("cross_entropy") + 0.25 * Loss("cross_entropy"), **params).fit(X, y)
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), rtol=1e-9)
    none = quick(Loss("cross_entropy") + 0.0 * Loss("ldr"), **params).fit(X, y)
    np.testing.assert_allclose(none.predict_proba(X), quick(**params).fit(X, y).predict_proba(X), rtol=1e-9)


def test_the_network_may_be_compiled(quick, blobs):
    X, y = blobs
    compiled = quick(compile="eager", max_epochs=5).fit(X, y)
    assert compiled.net_.module_._compiled_call_impl is not None
    np.testing.assert_allclose(compiled.predict_proba(X), quick(max_epochs=5).fit(X, y).predict_proba(X), rtol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(compiled)).predict(X), compiled.predict(X))


def test_a_reduction_is_refused_where_no_value_is_of_a_row():
    X, y = load_iris(return_X_y=True)
    binary = (y > 0).astype(int)
    with pytest.raises(TaskError, match="'cvar' joins the values of rows, but loss 'dice' has one value for the whole"):
        LossClassifier("dice", reduction="cvar", max_epochs=1).fit(X, binary)
    LossClassifier(Loss("bce") + Loss("dice"), reduction="cvar", max_epochs=1).fit(X, binary)

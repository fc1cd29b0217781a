import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, MetricEmbedder, loss
from sklearnloss.exceptions import NonFiniteLossError, TrainingError


def plain(logits, y):
    return cross_entropy(logits, y, reduction="none")


def steps_of(n, raise_at, error):
    """Return a loss that raises ``error`` at a step (from 1)."""

    @loss("raising", task="multiclass")
    def raising(logits, y, *, step):
        if step + 1 == raise_at:
            raise error
        return plain(logits, y)

    return raising


@loss("bad_formula", task="multiclass")
def bad_formula(logits, y, *, epoch):
    """Infinite from the third epoch on."""
    return plain(logits, y) - torch.log(torch.zeros(()) if epoch >= 2 else torch.ones(()))


@loss("bad_gradient", task="multiclass")
def bad_gradient(logits, y, *, epoch):
    """Finite, with an infinite slope from the third epoch on."""
    return plain(logits, y) + (0 * logits.sum(1) + (epoch < 2)).sqrt()


def parameters(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()])


def failing(model, X, y):
    with pytest.raises(NonFiniteLossError) as caught:
        model.fit(X, y)
    assert isinstance(caught.value, FloatingPointError)
    return str(caught.value)


# -- numbers that are lost --------------------------------------------------------------------------------------------


def test_a_formula_that_leaves_the_numbers_is_named_with_epoch_and_batch(quick, blobs):
    message = failing(quick(bad_formula, batch_size=30), *blobs)
    assert message.startswith(
        "epoch 3, batch 1 of 3: term 'bad_formula' is inf. Likely cause: loss 'bad_formula' itself "
    )
    assert "itself is inf on this batch at finite outputs" in message
    assert message.endswith("check its parameters and its facts. The weights of epoch 2 were kept.")


def test_only_the_term_at_fault_is_named(quick, blobs):
    message = failing(quick(Loss("cross_entropy") + 0.1 * Loss(bad_formula)), *blobs)
    assert "term 'bad_formula' is inf" in message
    assert "'cross_entropy'" not in message


def test_an_infinite_gradient_is_named(quick, blobs):
    message = failing(quick(bad_gradient, batch_size=30), *blobs)
    assert message.startswith("epoch 3, batch ")
    assert "Likely cause: the gradient of loss 'bad_gradient' is not finite on batch 1." in message
    assert message.endswith("The weights of epoch 2 were kept.")


def test_a_rate_that_is_too_high_is_named(quick, overlapping):
    message = failing(quick(optimizer="sgd", lr=1e200, batch_size=30, hidden_layer_sizes=(8, 8)), *overlapping)
    assert "Likely cause: divergence (the last losses were " in message
    assert "lower lr (now 1e+200), or set max_grad_norm, for example to 1." in message


@pytest.mark.parametrize("given", [{"miner": "hard"}, {"memory": 40}, {"mixup": "metrix"}, {"distance": "squared"}])
def test_what_finds_pairs_does_not_hide_a_failure(blobs, given):
    chosen = "multi_similarity" if "mixup" in given else "contrastive"
    model = MetricEmbedder(chosen, **given, optimizer="sgd", lr=1e200, batch_size=30, max_epochs=5, random_state=0)
    with pytest.raises(NonFiniteLossError, match="Likely cause"):
        model.fit(*blobs)


def test_a_failure_at_the_last_batch_of_an_epoch_is_seen_in_the_weights(quick, blobs):
    message = failing(quick(bad_gradient, batch_size=1000), *blobs)
    assert message.startswith(
        "epoch 3, batch 1 of 1: the weights are no longer finite. Likely cause: the gradient of loss"
    )


def test_inputs_that_overflow_in_the_net_are_named(quick, blobs):
    X, y = blobs
    message = failing(quick(precision="fp32", standardize=False, hidden_layer_sizes=()), X * 1e100, y)
    assert "Likely cause: X holds values that are not finite in this precision; scale it." in message


@pytest.mark.parametrize("spec", [bad_formula, bad_gradient])
def test_the_last_good_weights_are_kept_and_the_estimator_goes_on(quick, blobs, spec):
    X, y = blobs
    model = quick(spec, batch_size=30)
    failing(model, X, y)
    good = quick(plain, batch_size=30, max_epochs=2).fit(X, y)
    assert torch.equal(parameters(model), parameters(good))
    assert model.n_iter_ == len(model.loss_curve_) == len(model.history_) == 2
    np.testing.assert_array_equal(model.predict_proba(X), good.predict_proba(X))
    model.set_params(loss=plain).partial_fit(X, y)
    assert model.n_iter_ == 3
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_fit_that_fails_in_its_first_epoch_leaves_an_estimator_that_can_be_fitted(quick, blobs):
    X, y = blobs
    model = quick(optimizer="sgd", lr=1e200, hidden_layer_sizes=(8, 8), batch_size=30)
    assert "The weights of the start were kept." in failing(model, X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert model.set_params(lr=0.1, max_epochs=60).fit(X, y).score(X, y) > 0.9


def test_huge_finite_values_are_no_failure(quick, blobs):
    X, y = blobs
    model = quick(Loss("cross_entropy", coef=1e30), optimizer="adam", max_epochs=3).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------


class Interrupt(Callback):
    def __init__(self, hook, at):
        self.hook, self.at, self.count = hook, at, 0

    def strike(self, hook):
        if hook == self.hook:
            self.count += 1
            if self.count == self.at:
                raise KeyboardInterrupt

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.strike("batch")

    def on_epoch_begin(self, net, **kwargs):
        self.strike("epoch")


@pytest.mark.parametrize(
    "way",
    [
        lambda: {"loss": steps_of(3, 8, KeyboardInterrupt)},
        lambda: {"callbacks": [Interrupt("batch", 8)]},
        lambda: {"callbacks": [Interrupt("epoch", 3)]},
    ],
    ids=["loss", "batch", "epoch"],
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_an_interruption_keeps_the_last_finished_epoch_and_is_raised_again(quick, blobs, way, optimizer):
    X, y = blobs
    params = {"batch_size": 30, "optimizer": optimizer}  # three batches an epoch
    model = quick(**{**params, **way()})
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert torch.equal(parameters(model), parameters(quick(**params, max_epochs=2).fit(X, y)))
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert model.predict(X).shape == (90,)
    assert model.set_params(loss="cross_entropy", callbacks=None).partial_fit(X, y).n_iter_ == 3
    assert model.fit(X, y).n_iter_ == 20


def test_an_interruption_takes_the_state_of_a_loss_back_too(quick, blobs):
    @loss("counting_up", task="multiclass")
    class CountingUp(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

        def forward(self, logits, y):
            self.calls += 1
            if self.calls == 8:
                raise KeyboardInterrupt
            return plain(logits, y)

    model = quick(CountingUp, batch_size=30)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*blobs)
    assert model.net_.criterion_.terms[0].modules_[0].calls == 6


def test_an_error_of_a_loss_is_raised_as_it_is_and_keeps_the_last_epoch_too(quick, blobs):
    X, y = blobs
    model = quick(steps_of(3, 8, ZeroDivisionError("mine")), batch_size=30)
    with pytest.raises(ZeroDivisionError, match=r"^mine$"):
        model.fit(X, y)
    assert torch.equal(parameters(model), parameters(quick(batch_size=30, max_epochs=2).fit(X, y)))


def test_a_warm_start_after_an_interruption_goes_on(quick, blobs):
    X, y = blobs
    model = quick(steps_of(3, 8, KeyboardInterrupt), batch_size=30, warm_start=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    model.set_params(loss="cross_entropy", max_epochs=3).fit(X, y)
    assert model.n_iter_ == 5


# -- losses that break their promise ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda logits, y: cross_entropy(logits, y),
            r"returned a tensor of shape \(\) for 90 rows, but its unit is 'row'; ",
        ),
        (lambda logits, y: logits.sum(1)[:5], r"returned a tensor of shape \(5,\) for 90 rows"),
        (lambda logits, y: 1.0, "must return a tensor, got float"),
    ],
)
def test_a_loss_that_returns_another_shape_than_it_promised_is_named(quick, blobs, function, message):
    with pytest.raises(TrainingError, match="^loss 'lambda' " + message):
        quick(function).fit(*blobs)

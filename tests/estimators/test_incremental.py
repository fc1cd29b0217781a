import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, Reduction, loss, reduction
from sklearnloss.exceptions import TaskError


@loss("indexed", task="multiclass")
def indexed(logits, y, *, index):
    return cross_entropy(logits, y, reduction="none")


@loss("counting", task="multiclass")
class Counting(nn.Module):
    """Cross entropy that counts its calls and has a parameter of its own."""

    def __init__(self, *, priors, shift: float = 0.0):
        super().__init__()
        self.priors = priors
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, logits, y):
        if self.training:
            self.calls += 1
        return cross_entropy(self.scale * logits, y, reduction="none")


@reduction("slow")
class Slow(nn.Module):
    """The mean, which counts its calls."""

    def __init__(self, *, keep: float = 0.5):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, values, weights):
        self.calls += int(self.training)
        return (values * weights).mean()


@loss("remembering", task="multiclass")
class Remembering(nn.Module):
    """It keeps something for each row."""

    def __init__(self, *, n_samples):
        super().__init__()

    def forward(self, logits, y):
        return cross_entropy(logits, y, reduction="none")


def test_partial_fit_is_an_epoch_of_fit(quick, blobs):
    X, y = blobs
    stepwise = quick(batch_size=1000)
    for _ in range(7):
        stepwise.partial_fit(X, y)
    at_once = quick(batch_size=1000, max_epochs=7).fit(X, y)
    np.testing.assert_allclose(stepwise.predict_proba(X), at_once.predict_proba(X), rtol=1e-6)
    np.testing.assert_allclose(stepwise.loss_curve_, at_once.loss_curve_, rtol=1e-6)


def test_partial_fit_knows_the_classes_it_was_told(quick, blobs):
    X, y = blobs
    order = np.argsort(y, kind="stable")
    model = quick(lr=0.05)
    for _ in range(15):
        for start in range(0, 90, 30):
            rows = order[start : start + 30]  # one class at a time
            model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(X).shape == (90, 3)
    assert model.n_iter_ == 45


def test_partial_fit_learns_in_pieces_what_fit_learns_at_once(quick, blobs):
    X, y = blobs
    model = quick()
    for _ in range(20):
        for rows in np.array_split(np.arange(90), 3):
            model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    assert model.score(X, y) > 0.95


@pytest.mark.parametrize("params", [{"early_stopping": True}, {"calibrate": "sigmoid"}])
def test_partial_fit_refuses_to_hold_rows_out(quick, blobs, params):
    with pytest.raises(ValueError, match=f"^partial_fit cannot hold rows out; leave {next(iter(params))} off$"):
        quick(**params).partial_fit(*blobs)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (indexed, "^loss 'indexed' names 'index', which counts the rows of one fit"),
        (Remembering, "^loss 'remembering' names 'n_samples', which counts the rows of one fit"),
        (Loss("cross_entropy") + Loss(indexed), "^loss 'indexed' names 'index'"),
    ],
)
def test_partial_fit_refuses_a_loss_that_counts_the_rows_of_one_fit(quick, blobs, spec, message):
    with pytest.raises(TaskError, match=message):
        quick(spec).partial_fit(*blobs)
    assert quick(spec, max_epochs=1).fit(*blobs).n_iter_ == 1


def test_partial_fit_refuses_classes_and_columns_that_the_first_call_did_not_have(quick, blobs):
    X, y = blobs
    model = quick().partial_fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match=r"y holds \[2\], which are not among the classes \[0, 1\]"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2\] are not those of the first call, \[0, 1\]"):
        model.partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    with pytest.raises(ValueError, match="X has 3 features, but LossClassifier is expecting 4"):
        model.partial_fit(X[y < 2, :3], y[y < 2])
    with pytest.raises(ValueError, match=r"y holds \[2\], which are not in classes \[0, 1\]"):
        quick().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="at least two classes"):
        quick().partial_fit(X[y == 0], y[y == 0])


def test_a_refused_call_leaves_the_fitted_estimator_as_it_was(quick, blobs):
    X, y = blobs
    model = quick().fit(X, y)
    before = model.predict_proba(X)
    for bad in (lambda: model.partial_fit(X, y + 5), lambda: model.partial_fit(X, y, sample_weight=-np.ones(90))):
        with pytest.raises(ValueError, match=r"."):
            bad()
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("first", ["float32", "float64"])
def test_later_rows_may_have_another_precision(quick, blobs, first):
    X, y = blobs
    model = quick().partial_fit(X.astype(first), y)
    for later in ("float32", "float64"):
        model.partial_fit(X.astype(later), y)
        assert model.predict_proba(X.astype(later)).dtype == first


def test_rows_are_standardized_as_at_the_first_call(quick, blobs):
    X, y = blobs
    model = quick().partial_fit(X, y)
    mean = model.net_.module_.backbone[0].mean.clone()
    model.partial_fit(X + 100, y)
    assert torch.equal(model.net_.module_.backbone[0].mean, mean)


def test_warm_start_goes_on_from_the_last_weights(quick, blobs):
    X, y = blobs
    model = quick(warm_start=True, max_epochs=5).fit(X, y)
    first = model.loss_curve_
    model.fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 10
    assert model.loss_curve_[:5] == first
    assert model.loss_curve_[5] < first[-1]
    assert [row["epoch"] for row in model.history_] == list(range(1, 11))


def test_without_warm_start_a_fit_begins_anew(quick, blobs):
    X, y = blobs
    model = quick(max_epochs=5).fit(X, y)
    first = model.predict_proba(X)
    model.fit(X, y)
    assert model.n_iter_ == 5
    np.testing.assert_array_equal(model.predict_proba(X), first)


def test_warm_start_takes_the_parameters_of_now(quick, blobs):
    X, y = blobs
    model = quick(warm_start=True, max_epochs=3).fit(X, y)
    weights = model.net_.module_.head.weight.detach().clone()
    model.set_params(lr=1e-12, max_epochs=1).fit(X, y)
    torch.testing.assert_close(model.net_.module_.head.weight.detach(), weights)
    assert model.history_[-1]["lr"] == 1e-12
    assert model.n_iter_ == 4


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_loss_that_was_changed_between_two_calls_is_the_one_that_trains(quick, blobs, call):
    X, y = blobs
    model = quick(warm_start=True, max_epochs=1)
    getattr(model, call)(X, y)
    assert model.loss_curve_[-1] > 0.5
    getattr(model.set_params(loss="ldr", loss__margin=500.0), call)(X, y)
    assert model.loss_curve_[-1] > 100  # the margin is in the value


def test_warm_start_refuses_a_loss_with_another_head(quick, two_blobs):
    X, y = two_blobs
    model = quick(warm_start=True).fit(X, y)
    wanted = (
        r"^loss 'bce' wants 1 scores, but the network was trained for 2 logits; set warm_start=False to begin anew$"
    )
    with pytest.raises(TaskError, match=wanted):
        model.set_params(loss="bce").fit(X, y)


def test_a_loss_keeps_its_state_over_calls(quick, blobs):
    X, y = blobs
    model = quick(Counting, warm_start=True, max_epochs=2, batch_size=1000).fit(X, y)
    state = model.net_.criterion_.terms[0].modules_[0]
    scale = state.scale.item()
    model.fit(X, y)
    assert model.net_.criterion_.terms[0].modules_[0] is state
    assert state.calls == 4
    assert state.scale.item() != scale
    model.partial_fit(X, y)
    assert state.calls == 5


def test_a_reduction_keeps_its_state_over_calls(quick, blobs):
    X, y = blobs
    model = quick(reduction=Reduction(Slow, keep=0.5), batch_size=1000).partial_fit(X, y).partial_fit(X, y)
    assert model.net_.criterion_.terms[0].reduction.calls == 2
    model.set_params(reduction__keep=0.25).partial_fit(X, y)
    assert model.net_.criterion_.terms[0].reduction.calls == 1


def test_a_loss_with_other_parameters_or_facts_begins_anew(quick, blobs):
    X, y = blobs
    model = quick(Loss(Counting), warm_start=True, max_epochs=2, batch_size=1000).fit(X, y)
    model.set_params(loss__shift=1.0).fit(X, y)
    assert model.net_.criterion_.terms[0].modules_[0].calls == 2
    model.fit(np.vstack([X, X[y == 0]]), np.append(y, y[y == 0]))  # other priors
    assert model.net_.criterion_.terms[0].modules_[0].calls == 2


def test_partial_fit_keeps_the_fit_facts_of_the_first_call(quick, blobs):
    X, y = blobs
    model = quick(Counting, batch_size=1000).partial_fit(X, y)
    first = model.net_.criterion_.terms[0].modules_[0].priors.clone()
    model.partial_fit(X[y != 2], y[y != 2])
    state = model.net_.criterion_.terms[0].modules_[0]
    assert torch.equal(state.priors, first)
    assert state.calls == 2


def test_the_optimizer_goes_on_over_calls_of_partial_fit(quick, blobs):
    X, y = blobs
    model = quick().partial_fit(X, y)
    optimizer = model.net_.optimizer_
    model.partial_fit(X, y)
    assert model.net_.optimizer_ is optimizer
    assert model.net_.step_ == 2


def test_history_has_a_row_for_each_epoch_with_the_terms_apart(quick, blobs):
    X, y = blobs
    model = quick(Loss("cross_entropy") + 0.5 * Loss("ldr") + Loss("ldr", lam=2.0), max_epochs=4, batch_size=30).fit(
        X, y
    )
    assert len(model.history_) == len(model.loss_curve_) == model.n_iter_ == 4
    for number, row in enumerate(model.history_, start=1):
        parts = (row["train_loss_cross_entropy"], row["train_loss_ldr"], row["train_loss_ldr_2"])
        assert row["train_loss"] == pytest.approx(parts[0] + 0.5 * parts[1] + parts[2])
        assert row["epoch"] == number
        assert row["dur"] > 0
        assert row["lr"] == 0.05
    assert model.loss_curve_ == [row["train_loss"] for row in model.history_]


def test_one_loss_is_not_written_twice_into_the_history(quick, blobs):
    assert [k for k in quick().fit(*blobs).history_[0] if k.startswith("train_loss")] == ["train_loss"]


def test_the_training_loss_is_the_mean_over_rows_whatever_the_batches(quick, blobs):
    X, y = blobs
    frozen = {"lr": 1e-12, "max_epochs": 1}
    losses = [quick(batch_size=size, **frozen).fit(X, y).loss_curve_[0] for size in (1000, 30, 40, 7)]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_feature_names_are_kept_and_checked_at_later_calls(quick, blobs, call):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = getattr(quick(warm_start=True, max_epochs=1), call)(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(model, call)(frame.rename(columns={"a": "z"}), y)


def test_a_clone_is_not_fitted(quick, blobs):
    model = clone(quick().fit(*blobs))
    assert not hasattr(model, "net_")
    assert not model.__sklearn_is_fitted__()

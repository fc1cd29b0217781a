import re
import time

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
)

from sklearnloss import Loss


class Recorder(Callback):
    """Count the calls of each hook."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, net, **kwargs):
        self.calls.append("train_begin")

    def on_epoch_begin(self, net, **kwargs):
        self.calls.append("epoch_begin")

    def on_batch_end(self, net, batch, training, **kwargs):
        X, y = batch
        self.calls.append(("batch", len(X), len(y), training, kwargs["loss"].ndim))

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.calls.append(("grad", sum(p.grad is not None for _, p in named_parameters)))

    def on_epoch_end(self, net, **kwargs):
        self.calls.append(("epoch_end", round(net.history[-1, "train_loss"], 6)))

    def on_train_end(self, net, **kwargs):
        self.calls.append("train_end")


# -- verbose ----------------------------------------------------------------------------------------------------------


def test_verbose_prints_exactly_one_line_per_epoch(quick, blobs, capsys):
    model = quick(verbose=1, max_epochs=12).fit(*blobs)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    for number, (line, loss) in enumerate(zip(lines, model.loss_curve_, strict=True), start=1):
        found = re.fullmatch(r"epoch +(\d+)  loss (\S+)  \d+\.\d\d s", line)
        assert int(found[1]) == number
        assert float(found[2]) == pytest.approx(loss, abs=1e-5)


def test_verbose_shows_the_score_where_there_is_one(quick, blobs, capsys):
    model = quick(verbose=1, max_epochs=4, early_stopping=True).fit(*blobs)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_
    for line, row in zip(lines, model.history_, strict=True):
        assert f"score {row['valid_score']:.4f}" in line


def test_nothing_is_printed_unless_asked_for(quick, blobs, capsys):
    quick(early_stopping=True).fit(*blobs)
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


# -- skorch's callbacks -----------------------------------------------------------------------------------------------


def test_a_callback_of_skorch_is_called_at_each_hook(quick, blobs):
    recorder = Recorder()
    model = quick(callbacks=[recorder], max_epochs=2, batch_size=45).fit(*blobs)
    loss = [round(value, 6) for value in model.loss_curve_]
    one = [("grad", 4), ("batch", 45, 45, True, 0)]
    assert recorder.calls == [
        "train_begin", "epoch_begin", *one, *one, ("epoch_end", loss[0]), "epoch_begin", *one, *one,
        ("epoch_end", loss[1]), "train_end",
    ]  # fmt: skip


def test_a_callback_changes_no_weight(quick, blobs):
    X, y = blobs
    watched = quick(callbacks=[Recorder()], batch_size=16).fit(X, y)
    np.testing.assert_array_equal(watched.predict_proba(X), quick(batch_size=16).fit(X, y).predict_proba(X))


def test_early_stopping_of_skorch_stops_a_fit(quick, blobs):
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=10.0)  # no epoch improves by a factor of ten
    model = quick(callbacks=[("stop", stopping)]).fit(*blobs)
    assert model.n_iter_ == 3
    assert model.score(*blobs) > 0.3


def test_early_stopping_of_skorch_may_watch_the_score(quick, blobs):
    stopping = EarlyStopping(monitor="valid_score", patience=2, lower_is_better=False)
    assert quick(early_stopping=True, callbacks=[stopping], max_epochs=50, lr=1e-9).fit(*blobs).n_iter_ == 3


def test_what_a_callback_watches_in_vain_is_named(quick, blobs):
    with pytest.raises(KeyError, match="'valid_loss' was not found in history"):
        quick(callbacks=[EarlyStopping()]).fit(*blobs)


def test_a_schedule_of_skorch_sets_the_rate(quick, blobs):
    schedule = LRScheduler(policy="StepLR", step_size=1, gamma=0.5)
    model = quick(callbacks=[schedule], max_epochs=4).fit(*blobs)
    assert [row["lr"] for row in model.history_] == [0.05, 0.025, 0.0125, 0.00625]
    by_batch = LRScheduler(policy="StepLR", step_size=1, gamma=0.5, step_every="batch")
    model = quick(callbacks=[by_batch], max_epochs=2, batch_size=30).fit(*blobs)
    assert model.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(0.05 / 2**6)


def test_a_callback_may_clip_gradients_and_freeze_layers(quick, blobs):
    X, y = blobs
    clipped = quick(callbacks=[GradientNormClipping(1e-3)], optimizer="sgd", lr=1.0, max_epochs=1).fit(X, y)
    start = quick(optimizer="sgd", lr=1e-12, max_epochs=1).fit(X, y)
    moved = [
        (a - b).norm() for a, b in zip(clipped.net_.module_.parameters(), start.net_.module_.parameters(), strict=True)
    ]
    assert torch.stack(moved).norm() <= 1.001e-3
    frozen = quick(callbacks=[Freezer("backbone*")], max_epochs=5).fit(X, y)
    torch.testing.assert_close(frozen.net_.module_.backbone[1].weight, start.net_.module_.backbone[1].weight)
    assert not torch.equal(frozen.net_.module_.head.weight, start.net_.module_.head.weight)


def test_a_checkpoint_of_skorch_writes_files_that_load(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(callbacks=[Checkpoint(monitor=None, dirname=str(tmp_path))]).fit(X, y)
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, value in model.net_.module_.state_dict().items():
        assert torch.equal(saved[name], value)


def test_a_callback_that_scores_the_bare_net_is_refused_with_what_to_use(quick, blobs):
    wanted = r"^EpochScoring scores the bare net, which knows no classes; use early_stopping=True with scoring=, or set"
    with pytest.raises(TypeError, match=wanted):
        quick(callbacks=[EpochScoring("accuracy")]).fit(*blobs)


@pytest.mark.parametrize("given", ["nonsense", 3, object])
def test_what_is_no_callback_is_refused(quick, blobs, given):
    with pytest.raises(
        TypeError, match=r"^callbacks must be skorch callbacks, got .*; scikit-learn's own are given to"
    ):
        quick(callbacks=[given]).fit(*blobs)


# -- scikit-learn's callbacks -----------------------------------------------------------------------------------------


@pytest.fixture
def sklearn_callback():
    return pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks since 1.9")


class Counter:
    """A callback of scikit-learn's that counts its tasks and may ask to stop."""

    def __init__(self, stop_after=None):
        self.stop_after, self.begun, self.ended, self.scores = stop_after, [], [], []

    def setup(self, estimator, context):
        self.scores.clear()

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.ended.append(context.task_name)
        self.scores.append(fitted_estimator.score(X, y))
        return len(self.ended) == self.stop_after


def test_a_callback_of_scikit_learn_sees_each_epoch_with_an_estimator_that_predicts(quick, blobs, sklearn_callback):
    counter = Counter()
    model = quick(max_epochs=3).set_callbacks(counter).fit(*blobs)
    assert counter.begun == ["fit", "epoch 1", "epoch 2", "epoch 3"]
    assert counter.ended == ["epoch 1", "epoch 2", "epoch 3", "fit"]
    assert counter.scores[-1] == model.score(*blobs)


def test_a_callback_of_scikit_learn_may_stop_a_fit(quick, blobs, sklearn_callback):
    counter = Counter(stop_after=4)
    assert quick().set_callbacks(counter).fit(*blobs).n_iter_ == 4


def test_a_callback_of_scikit_learn_changes_no_weight(quick, blobs, sklearn_callback):
    X, y = blobs
    watched = quick(dropout=0.2).set_callbacks(Counter()).fit(X, y)
    np.testing.assert_array_equal(watched.predict_proba(X), quick(dropout=0.2).fit(X, y).predict_proba(X))


def test_the_progress_bar_of_scikit_learn_counts_epochs(quick, blobs, sklearn_callback, capsys):
    quick(max_epochs=3).set_callbacks(sklearn_callback.ProgressBar()).fit(*blobs)
    assert "LossClassifier" in capsys.readouterr().out


def test_the_progress_bar_of_a_grid_search_reaches_the_epochs(quick, blobs, sklearn_callback, capsys):
    search = GridSearchCV(quick(max_epochs=2), {"loss": ["cross_entropy", Loss("ldr")]}, cv=2, error_score="raise")
    if not hasattr(search, "set_callbacks"):
        return  # this version of scikit-learn passes no callback on
    search.set_callbacks(sklearn_callback.ProgressBar(max_propagation_depth=None)).fit(*blobs)
    assert "LossClassifier" in capsys.readouterr().out


def test_the_scoring_monitor_of_scikit_learn_logs_every_epoch(quick, blobs, sklearn_callback):
    monitor = sklearn_callback.ScoringMonitor(scoring="accuracy")
    model = quick(max_epochs=5).set_callbacks(monitor).fit(*blobs)
    for _ in range(100):
        log = monitor.get_logs()
        if len(log.data) == 6:
            break
        time.sleep(0.01)  # it is written by another thread
    scores = [row["accuracy"] for row in log.data if row["task_name"].startswith("epoch")]
    assert len(scores) == 5
    assert scores[-1] == model.score(*blobs)

"""A fit that is killed goes on from its checkpoint, and ends as if it had not been."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from scipy.sparse import csr_array, csr_matrix
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from sklearnloss import Loss, LossClassifier, load, loss, mode
from sklearnloss.estimators import _fingerprint
from sklearnloss.exceptions import CheckpointWarning, DataError, LoadError, OutputError, SaveError
from sklearnloss.training.archive import read_archive
from sklearnloss.training.checkpoints import Checkpoint
from sklearnloss.training.net import LossNet


class Stop(Exception):
    """What ends a fit here; a power cut does not wait for ``finally`` either, see the test with SIGKILL."""


def interrupt(monkeypatch, epoch):
    """Let the next fits end in an epoch, from outside, so that no parameter differs."""
    step = LossNet.train_step

    def stopping(net, batch, **kwargs):
        if net.epoch_ == epoch:
            raise Stop
        return step(net, batch, **kwargs)

    monkeypatch.setattr(LossNet, "train_step", stopping)


def interrupted(monkeypatch, model, epoch, X, y, **facts):
    """Fit until an epoch and no further."""
    with monkeypatch.context() as patch:
        interrupt(patch, epoch)
        with pytest.raises(Stop):
            model.fit(X, y, **facts)


def done_in(folder):
    return sorted(read_archive(p)[0]["done"] for p in Path(folder).glob("*.ckpt"))


def epochs_run(monkeypatch):
    """Return a list to which each epoch that is run adds its number."""
    seen, run = [], LossNet.run_single_epoch

    def noting(net, *args, **kwargs):
        seen.append(net.epoch_ + 1)
        return run(net, *args, **kwargs)

    monkeypatch.setattr(LossNet, "run_single_epoch", noting)
    return seen


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_fits_killed_by_sigkill_at_random_moments_end_with_the_same_weights_to_the_bit(tmp_path):
    script = Path(__file__).parent / "killed.py"
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    stories = json.loads(done.stdout)
    print(*stories, sep="\n")
    assert sum(len(story["done"]) for story in stories) >= 10
    for story in stories:
        assert story["same_words"], story["setting"]
        assert story["same_tensors"], story["setting"]
        assert story["done"] == sorted(story["done"])
        assert story["left"] == ([] if story["setting"] == "a seed of the system" else [".ckpt"])
    assert sum(0 < epochs < 40 for story in stories for epochs in story["done"]) >= 5


@loss("drawing", task="multiclass")
def drawing(logits, y, *, generator):
    weights = torch.rand(len(y), generator=generator, dtype=logits.dtype)
    return weights * cross_entropy(logits, y, reduction="none")


@loss("keeping", task="multiclass")
class Keeping(nn.Module):
    """A loss with a generator of the fit's, a number and a buffer."""

    def __init__(self, *, generator, n_classes):
        super().__init__()
        self.generator, self.calls = generator, 0
        self.register_buffer("bias", torch.zeros(n_classes))

    def forward(self, logits, y):
        if self.training:
            self.calls += 1
            self.bias += torch.rand(len(self.bias), generator=self.generator, dtype=self.bias.dtype) / self.calls
        return cross_entropy(logits + self.bias, y, reduction="none")


@mode("alternating")
class Alternating:
    """Step at full and at half rate by turns."""

    def __init__(self):
        self.turn = 0

    def step(self, closure, optimizer):
        self.turn += 1
        rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] *= 1 - self.turn % 2 / 2
        optimizer.step(closure)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


SETTINGS = {
    "plain": {},
    "a function that draws": {"loss": drawing},
    "a loss that keeps": {"loss": Keeping},
    "a mode that keeps": {"mode": Alternating},
    "a callback that keeps": {"callbacks": [EarlyStopping(monitor="train_loss", patience=3, threshold=0.9)]},
    "batch norm": {"module": lambda n_features: nn.Sequential(nn.Linear(n_features, 6), nn.BatchNorm1d(6))},
    "stopped early": {"early_stopping": True, "n_iter_no_change": 2, "validation_fraction": 0.2, "max_epochs": 30},
    "calibrated": {"calibrate": "isotonic", "validation_fraction": 0.3, "precision": "fp32"},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_fit_goes_on_from_the_last_finished_epoch(quick, overlapping, tmp_path, monkeypatch, setting):
    X, y = overlapping
    params = {"max_epochs": 8, "dropout": 0.2, "checkpoint": tmp_path / "made" / "here"} | SETTINGS[setting]
    whole = quick(**{**params, "checkpoint": None}).fit(X, y)
    interrupted(monkeypatch, quick(**params), 3, X, y)
    assert done_in(params["checkpoint"]) == [3]
    seen = epochs_run(monkeypatch)
    again = quick(**params).fit(X, y)
    assert seen == list(range(4, whole.n_iter_ + 1))
    assert torch.equal(weights(whole), weights(again))
    np.testing.assert_array_equal(whole.decision_function(X), again.decision_function(X))
    assert whole.loss_curve_ == again.loss_curve_
    assert whole._rng.bit_generator.state == again._rng.bit_generator.state
    averages = zip(whole.net_.optimizer_.state.values(), again.net_.optimizer_.state.values(), strict=True)
    assert all(torch.equal(a[k], b[k]) for a, b in averages for k in a)
    if setting == "calibrated":
        np.testing.assert_array_equal(whole.predict_proba(X), again.predict_proba(X))


def test_a_fit_whose_error_is_kept_goes_on_in_the_same_process(quick, overlapping, tmp_path, monkeypatch):
    X, y = overlapping
    model = quick(max_epochs=6, checkpoint=tmp_path)
    with monkeypatch.context() as patch:
        interrupt(patch, 3)
        try:
            model.fit(X, y)
        except Stop as error:
            kept = error  # as a notebook keeps the last traceback
    seen = epochs_run(monkeypatch)
    quick(max_epochs=6, checkpoint=tmp_path).fit(X, y)
    assert (seen, type(kept)) == ([4, 5, 6], Stop)


class Rated:
    """A loss with a number, a property and a static method of its class."""

    rate = 1.0

    @property
    def twice(self):
        return 2 * self.rate

    @staticmethod
    def power():
        return 2


def test_all_of_a_class_counts(monkeypatch):
    def name():
        mark = _fingerprint.Fingerprint()
        mark.add_object(Rated)
        return mark.name()

    before = name()
    assert name() == before
    for member, value in [
        ("rate", 5.0),
        ("twice", property(lambda self: 3 * self.rate)),
        ("power", staticmethod(lambda: 3)),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(Rated, member, value)
            assert name() != before
    assert name() == before


SCALE = 1.0


def scaled_error(logits, y):
    return SCALE * cross_entropy(logits, y, reduction="none")


def test_what_a_function_takes_from_its_module_counts(monkeypatch):
    def name():
        mark = _fingerprint.Fingerprint()
        mark.add_object(scaled_error)
        return mark.name()

    before = name()
    monkeypatch.setitem(scaled_error.__globals__, "SCALE", 2.0)
    assert name() != before


def kept_as(form, X, folder):
    """Return rows as a CSR matrix, or from a file that is larger than the limit."""
    if form == "CSR":
        return csr_matrix(X)
    if form == "npy":
        np.save(folder / "X.npy", X)
        return folder / "X.npy"
    parquet.write_table(
        pa.table({f"x{j}": X[:, j] for j in range(X.shape[1])}), folder / "X.parquet", row_group_size=20
    )
    return folder / "X.parquet"


@pytest.mark.parametrize("form", ["CSR", "npy", "parquet"])
def test_rows_that_are_sparse_or_read_from_files_go_on_too(quick, overlapping, tmp_path, monkeypatch, form):
    X, y = kept_as(form, overlapping[0], tmp_path), overlapping[1]
    params = {"max_epochs": 6, "memory_limit": 8 * 20 * overlapping[0].shape[1] * 16, "checkpoint": tmp_path / "kept"}
    whole = quick(**{**params, "checkpoint": None}).fit(X, y)
    interrupted(monkeypatch, quick(**params), 3, X, y)
    seen = epochs_run(monkeypatch)
    again = quick(**params).fit(X, y)
    assert seen == [4, 5, 6]
    assert torch.equal(weights(whole), weights(again))


def test_a_file_that_was_written_anew_is_other_rows(quick, overlapping, tmp_path, monkeypatch):
    X, y = kept_as("npy", overlapping[0], tmp_path), overlapping[1]
    params = {"max_epochs": 4, "memory_limit": 2000, "checkpoint": tmp_path / "kept"}
    interrupted(monkeypatch, quick(**params), 2, X, y)
    kept_as("npy", overlapping[0] + 1, tmp_path)
    seen = epochs_run(monkeypatch)
    quick(**params).fit(X, y)
    assert seen == [1, 2, 3, 4]


def test_a_dataset_that_cannot_be_known_again_is_refused(quick, overlapping, tmp_path):
    rows = TensorDataset(torch.from_numpy(overlapping[0]))
    with pytest.raises(DataError, match="checkpoint needs rows that are known again in another process"):
        quick(checkpoint=tmp_path / "kept").fit(rows, overlapping[1])


def test_a_warm_start_that_is_interrupted_goes_on(quick, overlapping, tmp_path, monkeypatch):
    X, y = overlapping
    first = quick(max_epochs=2, warm_start=True).fit(X, y)
    first.save(tmp_path / "first")
    whole = load(tmp_path / "first").set_params(max_epochs=5).fit(X, y)
    folder = tmp_path / "checkpoints"
    interrupted(monkeypatch, load(tmp_path / "first").set_params(max_epochs=5, checkpoint=folder), 5, X, y)
    assert done_in(folder) == [3]
    again = load(tmp_path / "first").set_params(max_epochs=5, checkpoint=folder).fit(X, y)
    assert torch.equal(weights(whole), weights(again))
    assert (again.n_iter_, again.loss_curve_) == (7, whole.loss_curve_)


def test_a_finished_fit_is_taken_again_where_names_and_a_seed_say_all(
    quick, overlapping, tmp_path, monkeypatch, capsys
):
    X, y = overlapping
    first = quick("ldr", max_epochs=3, checkpoint=str(tmp_path), calibrate="sigmoid", validation_fraction=0.2).fit(X, y)
    seen = epochs_run(monkeypatch)
    again = quick(
        "ldr", max_epochs=3, checkpoint=str(tmp_path), calibrate="sigmoid", validation_fraction=0.2, verbose=1
    )
    again.fit(X, y)
    assert seen == []
    assert capsys.readouterr().out.startswith("checkpoint: goes on after epoch 3 (")
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    assert again.history_ == first.history_


@pytest.mark.parametrize(
    "params",
    [{"loss": drawing}, {"random_state": None}, {"callbacks": [Callback()]}, {"lr_schedule": lambda p: 1.0}],
    ids=["a function", "no seed", "a callback", "a schedule"],
)
def test_a_finished_fit_with_code_of_the_users_or_without_a_seed_leaves_no_file(quick, blobs, tmp_path, params):
    quick(max_epochs=2, checkpoint=tmp_path).set_params(**params).fit(*blobs)
    assert list(tmp_path.iterdir()) == []


CHANGES = {
    "a parameter": ({"lr": 0.01}, lambda X, y: (X, y, None)),
    "more epochs": ({"max_epochs": 7}, lambda X, y: (X, y, None)),
    "a seed": ({"random_state": 1}, lambda X, y: (X, y, None)),
    "a loss's parameter": ({"loss__lam": 2.0}, lambda X, y: (X, y, None)),
    "a value of X": ({}, lambda X, y: (X + np.eye(*X.shape) * 1e-9, y, None)),
    "the type of X": ({}, lambda X, y: (X.astype(np.float32), y, None)),
    "a label": ({}, lambda X, y: (X, np.where(np.arange(len(y)) == 0, (y + 1) % 3, y), None)),
    "weights": ({}, lambda X, y: (X, y, np.linspace(1, 2, len(y)))),
    "sparse rows": ({}, lambda X, y: (csr_array(X), y, None)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_fit_that_differs_in_anything_starts_anew(quick, overlapping, tmp_path, monkeypatch, change):
    X, y = overlapping
    params, data = CHANGES[change]
    interrupted(monkeypatch, quick(Loss("ldr"), max_epochs=5, checkpoint=tmp_path), 2, X, y)
    seen = epochs_run(monkeypatch)
    X, y, sample_weight = data(X, y)
    quick(Loss("ldr"), max_epochs=5, checkpoint=tmp_path).set_params(**params).fit(X, y, sample_weight=sample_weight)
    assert seen[0] == 1
    assert len(done_in(tmp_path)) == 2


def test_another_version_of_a_library_starts_anew(quick, blobs, tmp_path, monkeypatch):
    interrupted(monkeypatch, quick(max_epochs=5, checkpoint=tmp_path), 2, *blobs)
    monkeypatch.setattr(_fingerprint, "versions", lambda: {"torch": "99"})
    seen = epochs_run(monkeypatch)
    quick(max_epochs=5, checkpoint=tmp_path).fit(*blobs)
    assert seen[0] == 1


def closing_over(number):
    def scaled(logits, y):
        return number * cross_entropy(logits, y, reduction="none")

    return scaled


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, logits, y):
        return self.factor * cross_entropy(logits, y, reduction="none")


def edited():
    def scaled(logits, y):
        return 3.0 * cross_entropy(logits, y, reduction="none")

    return scaled


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (closing_over(1.0), closing_over(2.0)),
        (closing_over(3.0), edited()),
        (Scaled(1.0), Scaled(2.0)),
        (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1)),
    ],
    ids=["what it closes over", "its code", "an attribute", "a setting of torch's"],
)
def test_code_of_the_users_is_known_by_what_it_says(quick, blobs, tmp_path, monkeypatch, one, other):
    seen = epochs_run(monkeypatch)
    for given in (one, other, one):
        interrupted(monkeypatch, quick(given, max_epochs=5, checkpoint=tmp_path), 2, *blobs)
    assert seen == [1, 2, 3, 1, 2, 3, 3]


def test_what_is_printed_and_the_folders_name_change_nothing(quick, blobs, tmp_path, monkeypatch):
    interrupted(monkeypatch, quick(max_epochs=5, checkpoint=tmp_path / "a"), 2, *blobs)
    (tmp_path / "a").rename(tmp_path / "b")
    seen = epochs_run(monkeypatch)
    quick(max_epochs=5, checkpoint=tmp_path / "b", verbose=1, warm_start=True).fit(*blobs)
    assert seen == [3, 4, 5]


# -- many fits in one folder ------------------------------------------------------------------------------------------


def test_candidates_of_a_search_share_a_folder_and_a_second_search_takes_their_results(
    quick, overlapping, tmp_path, monkeypatch
):
    X, y = overlapping
    grid = {"loss": ["cross_entropy", "focal"], "lr": [0.05, 0.01]}
    plain = GridSearchCV(quick(max_epochs=3), grid, cv=2).fit(X, y)
    kept = GridSearchCV(quick(max_epochs=3, checkpoint=tmp_path), grid, cv=2).fit(X, y)
    assert len(done_in(tmp_path)) == 9
    seen = epochs_run(monkeypatch)
    again = GridSearchCV(quick(max_epochs=3, checkpoint=tmp_path), grid, cv=2).fit(X, y)
    assert seen == []
    for search in (kept, again):
        np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])


def test_two_fits_of_the_same_at_the_same_time_get_a_file_each(tmp_path):
    first = Checkpoint(tmp_path, "fit")
    second = Checkpoint(tmp_path, "fit")
    third = Checkpoint(tmp_path, "fit")
    assert [c.path.name for c in (first, second, third)] == ["fit.ckpt", "fit-2.ckpt", "fit-3.ckpt"]
    second.release(remove=True)
    assert Checkpoint(tmp_path, "fit").path.name == "fit-2.ckpt"
    del first
    assert Checkpoint(tmp_path, "fit").path.name == "fit.ckpt"


def test_a_fit_that_fails_lets_go_of_its_file(quick, blobs, tmp_path, monkeypatch):
    for epoch in (2, 3):
        interrupted(monkeypatch, quick(max_epochs=5, checkpoint=tmp_path), epoch, *blobs)
        assert done_in(tmp_path) == [epoch]


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: raw[:300] + b"?" + raw[301:]])
def test_a_damaged_checkpoint_is_warned_of_and_training_starts_anew(quick, overlapping, tmp_path, monkeypatch, spoil):
    X, y = overlapping
    whole = quick(max_epochs=4).fit(X, y)
    interrupted(monkeypatch, quick(max_epochs=4, checkpoint=tmp_path), 2, X, y)
    (place,) = tmp_path.glob("*.ckpt")
    place.write_bytes(spoil(place.read_bytes()))
    seen = epochs_run(monkeypatch)
    with pytest.warns(CheckpointWarning, match=rf"^'{place}' is .*; training starts anew$"):
        again = quick(max_epochs=4, checkpoint=tmp_path).fit(X, y)
    assert seen == [1, 2, 3, 4]
    assert torch.equal(weights(whole), weights(again))


def test_a_saved_model_in_its_place_is_no_checkpoint_and_a_checkpoint_is_no_saved_model(
    quick, blobs, tmp_path, monkeypatch
):
    model = quick(max_epochs=3, checkpoint=tmp_path)
    interrupted(monkeypatch, model, 2, *blobs)
    (place,) = tmp_path.glob("*.ckpt")
    with pytest.raises(
        LoadError, match="it is the checkpoint of a fit, which fit with the same parameters and data goes"
    ):
        load(place)
    quick(max_epochs=1).fit(*blobs).save(place)
    with pytest.warns(CheckpointWarning, match="is no checkpoint; training starts anew"):
        model.fit(*blobs)


def test_a_full_disk_is_warned_of_once_and_training_goes_on(quick, overlapping, tmp_path, monkeypatch):
    X, y = overlapping
    whole = quick(max_epochs=5).fit(X, y)
    interrupted(monkeypatch, quick(max_epochs=5, checkpoint=tmp_path), 2, X, y)

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(
            CheckpointWarning, match="No space left on device; training goes on, and the checkpoint"
        ) as caught:
            again = quick(max_epochs=5, checkpoint=tmp_path).fit(X, y)
    assert len(caught) == 1
    assert torch.equal(weights(whole), weights(again))
    assert done_in(tmp_path) == [2]


def test_a_folder_that_cannot_be_made_is_an_error_before_training(quick, blobs, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    seen = epochs_run(monkeypatch)
    with pytest.raises(OutputError, match=r"could not write '.*file.folder'"):
        quick(checkpoint=tmp_path / "file" / "folder").fit(*blobs)
    assert seen == []


def test_a_half_written_file_of_a_killed_process_is_swept_away(quick, blobs, tmp_path, monkeypatch):
    interrupted(monkeypatch, quick(max_epochs=3, checkpoint=tmp_path), 2, *blobs)
    (place,) = tmp_path.glob("*.ckpt")
    (tmp_path / f".{place.name}.abc.tmp").write_bytes(b"half")
    quick(max_epochs=3, checkpoint=tmp_path).fit(*blobs)
    assert [p.name for p in tmp_path.iterdir()] == [place.name]


@mode("wrapping")
class Wrapping:
    def around_fit(self, fit, net, batches):
        fit()


@mode("hoarding")
class Hoarding:
    def __init__(self):
        self.kept = object()

    def step(self, closure, optimizer):
        optimizer.step(closure)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"mode": Wrapping},
            r"^mode Wrapping wraps the whole fit, and what it does between its calls cannot be stored; leave",
        ),
        (
            {"mode": Hoarding},
            r"^checkpoint: mode\.kept is an instance of object of builtins, which cannot be stored; check",
        ),
        (
            {"callbacks": [LRScheduler()]},
            r"^checkpoint: callback LRScheduler\.\w+ is an instance of .*, which cannot be st",
        ),
    ],
)
def test_a_part_whose_state_cannot_be_kept_is_refused_before_training(
    quick, blobs, tmp_path, monkeypatch, params, message
):
    seen = epochs_run(monkeypatch)
    with pytest.raises(SaveError, match=message):
        quick(checkpoint=tmp_path, **params).fit(*blobs)
    assert seen == []


@mode("remembering")
class Remembering:
    """A mode that says itself what its state is."""

    def __init__(self):
        self.kept = nn.Linear(1, 1)

    def step(self, closure, optimizer):
        optimizer.step(closure)
        with torch.no_grad():
            self.kept.weight.add_(1)

    def state_dict(self):
        return dict(self.kept.state_dict())

    def load_state_dict(self, state):
        self.kept.load_state_dict(state)


def test_a_mode_with_a_state_dict_is_asked_for_it(quick, blobs, tmp_path, monkeypatch):
    interrupted(monkeypatch, quick(mode=Remembering, max_epochs=4, checkpoint=tmp_path), 2, *blobs)
    (place,) = tmp_path.glob("*.ckpt")
    stored = read_archive(place)[1]
    (kept,) = (tensor for name, tensor in stored.items() if name.startswith("mode.weight"))
    again = quick(mode=Remembering, max_epochs=4, checkpoint=tmp_path).fit(*blobs)
    assert again.net_.mode.kept.weight.item() == pytest.approx(kept.item() + 2)  # one batch an epoch


class Turns:
    """A sampler that is a method of an object with state."""

    def __init__(self):
        self.turn = 0

    def draw(self, y, *, batch_size, rng):
        self.turn += 1
        yield from np.array_split(np.roll(rng.permutation(len(y)), self.turn), -(-len(y) // batch_size))


def test_a_sampler_with_state_goes_on_with_it(quick, overlapping, tmp_path, monkeypatch):
    X, y = overlapping
    whole = quick(sampler=Turns().draw, max_epochs=6).fit(X, y)
    interrupted(monkeypatch, quick(sampler=Turns().draw, max_epochs=6, checkpoint=tmp_path), 3, X, y)
    turns = Turns()
    again = quick(sampler=turns.draw, max_epochs=6, checkpoint=tmp_path).fit(X, y)
    assert turns.turn == 6
    assert torch.equal(weights(whole), weights(again))


@mode("slotted")
class Slotted:
    __slots__ = ("turn",)

    def step(self, closure, optimizer):
        optimizer.step(closure)


def test_state_in_slots_is_refused_and_not_lost(quick, blobs, tmp_path):
    with pytest.raises(SaveError, match=r"^checkpoint: mode is an instance of Slotted of .*, which cannot be stored"):
        quick(mode=Slotted, checkpoint=tmp_path).fit(*blobs)


class Tilted(LossClassifier):
    """A subclass of a user's, whose code is known only in part."""

    def _weights(self, X, y, sample_weight):
        return np.linspace(1, 2, len(y))


def test_a_subclass_of_the_users_goes_on_but_leaves_no_file(blobs, tmp_path, monkeypatch):
    params = {"hidden_layer_sizes": (4,), "max_epochs": 4, "random_state": 0}
    whole = Tilted(**params).fit(*blobs)
    interrupted(monkeypatch, Tilted(**params, checkpoint=tmp_path), 2, *blobs)
    assert done_in(tmp_path) == [2]
    again = Tilted(**params, checkpoint=tmp_path).fit(*blobs)
    assert torch.equal(weights(whole), weights(again))
    assert list(tmp_path.iterdir()) == []


def test_partial_fit_has_no_use_for_a_checkpoint(quick, blobs, tmp_path):
    with pytest.raises(
        ValueError, match=r"^checkpoint guards a fit of many epochs; between calls of partial_fit, use save"
    ):
        quick(checkpoint=tmp_path).partial_fit(*blobs)


def test_a_number_is_no_folder(quick, blobs):
    with pytest.raises(ValueError, match="'checkpoint' parameter of LossClassifier must be"):
        quick(checkpoint=3).fit(*blobs)

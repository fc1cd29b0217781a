"""What is saved comes back the same, and goes on the same."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, LossClassifier, Sampler, load, loss, mode, reduction
from sklearnloss.exceptions import LoadError, OutputError, SaveError
from sklearnloss.spec import Sum
from sklearnloss.training.archive import pack


@loss("unlinked", task="multiclass", link="none")
def unlinked(logits, y):
    return cross_entropy(logits, y, reduction="none")


@loss("counting", task="multiclass")
class Counting(nn.Module):
    """Cross entropy whose temperature is what it has seen: a plain number, a buffer, and a generator."""

    def __init__(self, *, generator, n_samples):
        super().__init__()
        self.generator, self.seen = generator, 0
        self.register_buffer("noise", torch.zeros(n_samples))

    def forward(self, logits, y, *, index):
        if self.training:
            self.seen += len(y)
            self.noise[index] = torch.rand(len(y), generator=self.generator, dtype=self.noise.dtype)
        scale = 1 + self.noise[index].to(logits.dtype) / (1 + self.seen)
        return cross_entropy(logits * scale[:, None], y, reduction="none")


@loss("drawing", task="multiclass")
def drawing(logits, y, *, generator):
    """Cross entropy with weights drawn from a generator that the fit hands over."""
    weights = torch.rand(len(y), generator=generator, dtype=logits.dtype)
    return weights * cross_entropy(logits, y, reduction="none")


@reduction("smoothed")
class Smoothed(nn.Module):
    """A mean that remembers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(()))

    def forward(self, values, weights):
        value = (values * weights).mean()
        if self.training:
            self.last.copy_(value.detach())
        return value + 0.1 * self.last


@mode("tallying")
class Tallying:
    """Count steps."""

    def __init__(self):
        self.steps = 0

    def step(self, closure, optimizer):
        self.steps += 1
        optimizer.step(closure)


def code_of(**given):
    """Return what has to be handed back for these parameters."""
    return {key: value for key, value in given.items() if callable(value)}


def reloaded(model, tmp_path, **given):
    model.save(tmp_path / "model")
    return load(tmp_path / "model", **given)


def everything(model):
    """Return all tensors of a net: weights, buffers, the optimizer's averages."""
    averages = [t for s in model.net_.optimizer_.state.values() for t in s.values() if isinstance(t, torch.Tensor)]
    return [*model.net_.module_.state_dict().values(), *model.net_.criterion_.state_dict().values(), *averages]


def assert_same(one, other, X):
    """See that two estimators say the same to the bit, and stand at the same place."""
    for method in ("predict", "decision_function", "predict_proba", "predict_log_proba"):
        assert hasattr(one, method) == hasattr(other, method)
        if hasattr(one, method):
            mine, yours = getattr(one, method)(X), getattr(other, method)(X)
            assert mine.dtype == yours.dtype
            np.testing.assert_array_equal(mine, yours)
    assert len(everything(one)) == len(everything(other))
    assert all(
        torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(everything(one), everything(other), strict=True)
    )
    assert (one.n_iter_, one.loss_curve_, one.history_) == (other.n_iter_, other.loss_curve_, other.history_)
    assert one._rng.bit_generator.state == other._rng.bit_generator.state
    assert one.classes_.dtype == other.classes_.dtype
    np.testing.assert_array_equal(one.classes_, other.classes_)


PROBLEMS = {
    "three classes": ("blobs", {}),
    "two logits": ("two_blobs", {}),
    "a score": ("two_blobs", {"loss": "bce"}),
    "one label": ("two_blobs", {"loss": "asl", "class_order": [1, 0]}),
    "labels": ("labels", {"loss": "bce"}),
    "labels, each with a loss of its own": ("labels", {"loss": "aucm", "loss__mode": "min_max"}),
    "cosines": ("blobs", {"loss": "arcface", "loss_lr": 2.0}),
    "no probabilities": ("blobs", {"loss": "hinge"}),
    "scores of scale one": ("blobs", {"loss": "z_loss", "calibrate": "temperature", "validation_fraction": 0.3}),
    "a sum": ("blobs", {"loss": Loss("aldr", lam=2.0) + 0.1 * Loss("supcon") + Loss("focal") + Loss("focal")}),
    "priors in the link's loss": ("blobs", {"loss": "logit_adjusted"}),
    "margins by class": ("blobs", {"loss": {"spec": "ldam", "margin": 0.3}}),
    "a loss that draws": ("two_blobs", {"loss": "ensloss", "optimizer": "adamw", "weight_decay": 0.1}),
    "sigmoid": ("blobs", {"calibrate": "sigmoid", "validation_fraction": 0.3}),
    "isotonic": ("blobs", {"calibrate": "isotonic", "validation_fraction": 0.3}),
    "isotonic labels": ("labels", {"loss": "bce", "calibrate": "isotonic", "validation_fraction": 0.4}),
    "stopped early": ("blobs", {"early_stopping": True, "n_iter_no_change": 2, "scoring": "neg_log_loss"}),
    "all else": ("blobs", {
        "activation": "gelu", "batch_size": 16, "class_order": [2, 0, 1], "class_weight": {0: 1.0, 1: 2.0, 2: 0.5},
        "dropout": 0.2, "hidden_layer_sizes": (7, 5), "lr_schedule": "cosine", "max_grad_norm": 1.0, "mixup": "mixup",
        "optimizer": {"spec": "sgd", "momentum": 0.9}, "sampler": Sampler("per_class", n_per_class=3),
        "reduction": "sum", "standardize": False,
    }),
    "linear": ("blobs", {"hidden_layer_sizes": ()}),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_loaded_model_predicts_the_same_to_the_bit(quick, request, tmp_path, problem, dtype):
    data, params = PROBLEMS[problem]
    X, y = request.getfixturevalue(data)
    X = X.astype(dtype)
    model = quick(max_epochs=3).set_params(**params).fit(X, y)
    again = reloaded(model, tmp_path)
    assert_same(model, again, X)
    assert again.net_.dtype is getattr(torch, dtype)
    assert repr(again) == repr(model)
    assert type(again) is LossClassifier


@pytest.mark.parametrize(
    "classes",
    [
        np.array([3, -1, 7]),
        np.array([3, 1, 7], dtype=np.uint8),
        np.array([-1.0, 1.0, 2.0]),
        np.array(["a", "b", "ccc"]),
        np.array(["a", "b", "c"], dtype=object),
    ],
    ids=str,
)
def test_classes_of_every_type_come_back(quick, blobs, tmp_path, classes):
    X, y = blobs
    model = quick(max_epochs=1).fit(X, classes[y])
    assert_same(model, reloaded(model, tmp_path), X)


def test_two_classes_may_be_truth_values(quick, two_blobs, tmp_path):
    X, y = two_blobs
    model = quick("bce", max_epochs=1).fit(X, y == 1)
    assert_same(model, reloaded(model, tmp_path), X)


GOING_ON = {
    "adam": ("blobs", {"dropout": 0.3}),
    "sgd with momentum": ("blobs", {"optimizer": {"spec": "sgd", "momentum": 0.9}, "mixup": "mixup"}),
    "a loss with parameters": ("two_blobs", {"loss": "aucm", "loss__mode": "min_max", "lr_schedule": "linear"}),
    "a loss that draws": ("two_blobs", {"loss": "ensloss", "loss__period": 1}),
    "labels": ("labels", {"loss": "aucm", "loss__mode": "min_max"}),
    "a seed of the system": ("blobs", {"random_state": None, "dropout": 0.2}),
    "a drawing function": ("blobs", {"loss": drawing}),
    "a reduction that remembers": ("blobs", {"reduction": Smoothed}),
    "a mode that counts": ("blobs", {"mode": Tallying}),
}


@pytest.mark.parametrize("case", GOING_ON)
def test_partial_fit_goes_on_after_loading_as_if_nothing_had_happened(quick, request, tmp_path, case):
    data, params = GOING_ON[case]
    X, y = request.getfixturevalue(data)
    model = quick().set_params(**params)
    for _ in range(2):
        model.partial_fit(X, y)
    again = reloaded(model, tmp_path, components=code_of(**params))
    for _ in range(2):
        assert_same(model, again, X)
        model.partial_fit(X, y)
        again.partial_fit(X, y)
        for row in (model.history_[-1], again.history_[-1]):
            row.pop("dur")
    if case == "a mode that counts":
        assert model.net_.mode.steps == again.net_.mode.steps == 4


@pytest.mark.parametrize("case", [*GOING_ON, "a loss that counts its rows"])
def test_a_warm_start_goes_on_after_loading_as_if_nothing_had_happened(quick, request, tmp_path, case):
    data, params = GOING_ON.get(case, ("blobs", {"loss": Counting}))
    X, y = request.getfixturevalue(data)
    model = quick(max_epochs=2, warm_start=True).set_params(**params).fit(X, y)
    again = reloaded(model, tmp_path, components=code_of(**params))
    one, other = model.fit(X, y), again.fit(X, y)
    for row in (*one.history_, *other.history_):
        row.pop("dur")
    assert_same(one, other, X)
    if case == "a loss that counts its rows":
        assert one.net_.criterion_.terms[0].modules_[0].seen == 4 * len(y)
        assert other.net_.criterion_.terms[0].modules_[0].seen == 4 * len(y)


def test_a_loss_and_the_fit_share_their_generator_after_loading_too(quick, blobs, tmp_path):
    again = reloaded(quick(Counting, max_epochs=1).fit(*blobs), tmp_path, components={"loss": Counting})
    assert again.net_.criterion_.terms[0].modules_[0].generator is again._kept_facts["generator"]


def test_saving_changes_nothing(quick, blobs, tmp_path):
    X, y = blobs
    untouched, asked = (quick(Counting, max_epochs=2, warm_start=True, dropout=0.2).fit(X, y) for _ in range(2))
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    reloaded(asked, tmp_path, components={"loss": Counting})
    assert torch.equal(state[0], torch.get_rng_state())
    np.testing.assert_array_equal(state[1], np.random.get_state()[1])
    for row in (*untouched.fit(X, y).history_, *asked.fit(X, y).history_):
        row.pop("dur")
    assert_same(untouched, asked, X)


def test_the_same_model_makes_the_same_file(quick, blobs, tmp_path):
    model = quick(max_epochs=1).fit(*blobs)
    model.save(tmp_path / "one")
    model.save(tmp_path / "two")
    load(tmp_path / "one").save(tmp_path / "three")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes()


def test_data_frames_sparse_rows_and_row_facts_come_back(quick, blobs, tmp_path):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = quick(max_epochs=2).fit(frame, y)
    again = reloaded(model, tmp_path)
    assert again.feature_names_in_.tolist() == list("abcd")
    assert_same(model, again, frame)
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(frame[["b", "a", "c", "d"]])
    model = quick("kd", max_epochs=2).fit(csr_array(X), y, teacher=np.eye(3)[y])
    again = reloaded(model, tmp_path)
    assert_same(model, again, csr_array(X))
    again.partial_fit(X, y, teacher=np.eye(3)[y])


def test_what_fit_was_told_to_request_comes_back(quick, blobs, tmp_path):
    with config_context(enable_metadata_routing=True):
        model = quick(max_epochs=1).set_fit_request(sample_weight=True, teacher="logits").fit(*blobs)
        again = reloaded(model, tmp_path)
        assert again.get_metadata_routing().fit.requests == model.get_metadata_routing().fit.requests
        assert again.get_metadata_routing().fit.requests["teacher"] == "logits"


def test_frozen_layers_stay_frozen(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(max_epochs=1).fit(X, y)
    model.net_.module_.backbone.requires_grad_(False)
    again = reloaded(model, tmp_path)
    assert [p.requires_grad for p in again.net_.module_.parameters()] == [False, False, True, True]


def test_a_generator_as_random_state_comes_back(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(max_epochs=1, random_state=np.random.RandomState(3)).fit(X, y)
    again = reloaded(model, tmp_path)
    assert again.random_state is not model.random_state
    np.testing.assert_array_equal(again.random_state.get_state()[1], model.random_state.get_state()[1])
    model.fit(X, y)
    again.fit(X, y)
    for row in (*model.history_, *again.history_):
        row.pop("dur")
    assert_same(model, again, X)


def test_a_loaded_model_is_saved_and_cloned_like_any_other(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(Loss("ldr", lam=0.5), max_epochs=2).fit(X, y)
    again = reloaded(reloaded(model, tmp_path), tmp_path)
    assert_same(model, again, X)
    assert again.set_params(loss__lam=2.0).loss == Loss("ldr", lam=2.0)


def test_a_compiled_network_comes_back(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(max_epochs=1, compile="eager").fit(X, y)
    assert_same(model, reloaded(model, tmp_path), X)


# -- places that cannot be written ------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file(quick, blobs, tmp_path, monkeypatch):
    old, new = (quick(max_epochs=n).fit(*blobs) for n in (1, 2))
    old.save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"^could not write '.*model': No space left on device$"):
        new.save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model").read_bytes() == before
    assert load(tmp_path / "model").n_iter_ == 1


def test_a_place_that_cannot_be_written_is_named(quick, blobs, tmp_path):
    model = quick(max_epochs=1).fit(*blobs)
    with pytest.raises(OutputError, match=r"nowhere.model': No such file or directory"):
        model.save(tmp_path / "nowhere" / "model")


# -- what cannot be saved is told at once -----------------------------------------------------------------------------


def test_an_estimator_that_has_learned_nothing_is_refused(quick, tmp_path):
    with pytest.raises(
        NotFittedError, match=r"^this LossClassifier is not fitted, so there is nothing to save; call fit"
    ):
        quick().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "focal"),
        ("loss", Loss("cross_entropy", coef=2.0)),
        ("module", nn.Linear(4, 3)),
        ("head", nn.Linear),
        ("reduction", "sum"),
        ("optimizer", "sgd"),
        ("mode", Tallying),
        ("lr_schedule", "cosine"),
    ],
)
def test_a_parameter_changed_since_fit_is_refused_by_name(quick, blobs, tmp_path, name, value):
    model = quick(max_epochs=1).fit(*blobs).set_params(**{name: value})
    with pytest.raises(
        SaveError, match=rf"^LossClassifier: {name} was changed since fit, so the net in it is not what"
    ):
        model.save(tmp_path / "model")


def test_parameters_that_matter_to_the_next_fit_only_may_change(quick, blobs, tmp_path):
    model = quick(max_epochs=1).fit(*blobs).set_params(lr=0.5, max_epochs=7, verbose=1)
    again = reloaded(model, tmp_path)
    assert (again.lr, again.max_epochs, again.net_.lr) == (0.5, 7, 0.05)


def test_a_loss_that_keeps_what_cannot_be_stored_is_told_at_saving(quick, blobs, tmp_path):
    class Hoarding(nn.Module):
        def __init__(self):
            super().__init__()
            self.kept = json.JSONDecoder()

        def forward(self, logits, y):
            return cross_entropy(logits, y, reduction="none")

    with pytest.raises(SaveError, match=r"kept is an instance of JSONDecoder of json.decoder, which cannot be stored"):
        quick(loss("hoarding", task="multiclass")(Hoarding), max_epochs=1).fit(*blobs).save(tmp_path / "model")


def test_an_attribute_of_the_users_is_kept_or_told_of(quick, blobs, tmp_path):
    model = quick(max_epochs=1).fit(*blobs)
    model.note = {"tried": ("a", 1.5)}
    assert reloaded(model, tmp_path).note == {"tried": ("a", 1.5)}
    model.note = object()
    with pytest.raises(SaveError, match=r"^LossClassifier: note is an instance of object of builtins, which cannot be"):
        model.save(tmp_path / "model")


# -- devices ----------------------------------------------------------------------------------------------------------


def test_a_device_that_is_not_there_is_an_error_that_says_what_to_do(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(max_epochs=1).fit(X, y).set_params(device="cuda:7")
    model.save(tmp_path / "model")
    with pytest.raises(LoadError, match=r"device='cuda:7', which is not here \(.*\); load\(path, device='cpu'\)$"):
        load(tmp_path / "model")
    again = load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_generators_of_an_accelerator_start_from_their_seed_on_a_cpu(quick, blobs, tmp_path):
    from sklearnloss.estimators._saving import saved

    model = quick(Counting, max_epochs=1).fit(*blobs)
    content, tensors = saved(model)
    (stood,) = content["generators"]
    stood["device"] = "cuda"  # as a file from a machine with one says
    (tmp_path / "model").write_bytes(pack(content, tensors))
    again = load(tmp_path / "model", components={"loss": Counting})
    again.fit(*blobs)
    assert again._kept_facts["generator"].device.type == "cpu"


def test_loading_needs_nothing_of_the_process_that_saved(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(Sum([Loss("ldr"), Loss("aldr")]), max_epochs=1, calibrate="isotonic", validation_fraction=0.3)
    model.fit(X, y).save(tmp_path / "model")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, numpy, pickle, torch\n"
        "from sklearnloss import load\n"
        "load(sys.argv[1])\n"  # imports modules that derive from what is refused next
        "def refuse(*args, **kwargs): raise RuntimeError('unpickled')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = torch.load = refuse\n"
        "model = load(sys.argv[1])\n"
        "print(model.predict_proba(numpy.load(sys.argv[2])).tobytes().hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model", tmp_path / "X.npy"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == model.predict_proba(X).tobytes().hex()

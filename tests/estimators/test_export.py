"""Exported models say what the estimator says, without it."""

import builtins
import errno
import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, LossClassifier, loss
from sklearnloss.exceptions import OutputError, TaskError

NAMES = np.array(["setosa", "versicolor", "virginica"])


@loss("shifted", task="multiclass", link=lambda logits, *, priors: torch.softmax(logits - priors.log(), dim=1))
def shifted(logits, y):
    return cross_entropy(logits, y, reduction="none")


@loss("scaled_binary", task="binary", link="to_unit")
class ScaledBinary(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, scores, y):
        return nn.functional.binary_cross_entropy_with_logits(self.log_scale.exp() * scores, y, reduction="none")

    def to_unit(self, scores):
        return torch.sigmoid(self.log_scale.exp() * scores)


class Net(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.layer, self.norm, self.drop = nn.Linear(n_features, 6), nn.BatchNorm1d(6), nn.Dropout(0.5)

    def forward(self, X):
        return self.drop(self.norm(self.layer(X)).relu())


def iris(kind="int"):
    X, y = load_iris(return_X_y=True)
    return X, {"int": y, "str": NAMES[y], "object": NAMES.astype(object)[y], "float": y - 1.0, "bool": y > 0}[kind]


HELD = {"validation_fraction": 0.3}
CASES = {
    "iris": (iris(), {}),
    "names in another order": (iris("str"), {"class_order": ["virginica", "setosa", "versicolor"]}),
    "names as objects": (iris("object"), {"loss": "aldr"}),
    "classes that are floats": (iris("float"), {"loss": "hinge"}),
    "truth values": (iris("bool"), {"loss": "bce"}),
    "two logits": (iris("bool"), {"loss": "ldr", "class_order": [True, False]}),
    "one label of two classes": (iris("bool"), {"loss": "asl", "class_order": [True, False]}),
    "a link with priors": (iris(), {"loss": shifted, "class_weight": {0: 3.0, 1: 1.0, 2: 1.0}}),
    "a link of the loss's own": (iris("bool"), {"loss": ScaledBinary, "loss_lr": 10.0}),
    "cosines": (iris(), {"loss": "arcface"}),
    "standardised scores": (iris(), {"loss": "z_loss"}),
    "sigmoid": (iris("str"), {"calibrate": "sigmoid", **HELD}),
    "isotonic": (iris(), {"calibrate": "isotonic", "loss": "hinge", **HELD}),
    "temperature of two": (iris("bool"), {"calibrate": "temperature", **HELD}),
    "temperature": (iris(), {"calibrate": "temperature", "loss": "z_loss", **HELD}),
    "a module": (iris("str"), {"module": Net}),
    "float32": ((load_iris().data.astype(np.float32), iris()[1]), {"dropout": 0.5}),
}  # fmt: skip


def fitted(params, X, y):
    small = {"hidden_layer_sizes": (8,), "lr": 0.05, "max_epochs": 5, "random_state": 0}
    return LossClassifier(**(small | params)).fit(X, y)


def said(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.decision_function(X)


@pytest.mark.parametrize("case", CASES)
def test_a_torch_module_gives_probabilities_and_scores_of_raw_rows(case):
    (X, y), params = CASES[case]
    model = fitted(params, X, y)
    module, rows = model.to_torch(), torch.tensor(X)
    with torch.no_grad():
        np.testing.assert_allclose(module(rows), said(model, X), rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(model.to_torch("scores")(rows), model.decision_function(X))
    assert not any(part.training for part in module.modules())


@pytest.mark.parametrize("case", ["labels", "isotonic labels", "labels with losses of their own"])
def test_a_torch_module_gives_a_probability_of_each_label(labels, case):
    X, Y = labels
    params = {"labels": {"loss": "bce"}, "isotonic labels": {"loss": "asl", "calibrate": "isotonic", **HELD}}
    model = fitted(params.get(case, {"loss": ScaledBinary, "loss_lr": 10.0}), X, Y)
    with torch.no_grad():
        np.testing.assert_array_equal(model.to_torch()(torch.tensor(X)), model.predict_proba(X))


@pytest.mark.parametrize("case", ["iris", "isotonic", "temperature of two", "a link of the loss's own", "a module"])
def test_torch_export_takes_the_module_with_any_number_of_rows(case):
    (X, y), params = CASES[case]
    model = fitted(params, X, y)
    rows = torch.tensor(X)
    program = torch.export.export(model.to_torch(), (rows[:5],), dynamic_shapes=({0: torch.export.Dim("n")},))
    for part in (rows[:1], rows[7:20], rows):
        np.testing.assert_allclose(program.module()(part).detach(), said(model, part.numpy()), rtol=1e-12)


def test_a_torch_module_stands_alone():
    X, y = iris()
    model = fitted({"loss": "aldr", "calibrate": "temperature", **HELD}, X, y)
    module, before = model.to_torch(), model.predict_proba(X)
    theirs = {p.data_ptr() for part in (model.net_.module_, model.net_.criterion_) for p in part.state_dict().values()}
    assert theirs.isdisjoint(p.data_ptr() for p in module.state_dict().values())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(model.predict_proba(X), before)
    module, gone = model.to_torch(), weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    with torch.no_grad():
        np.testing.assert_allclose(module(torch.tensor(X)), before, rtol=1e-12, atol=1e-15)


def test_a_torch_module_takes_rows_of_another_precision():
    X, y = iris()
    model = fitted({}, X, y)
    assert model.to_torch()(torch.tensor(X, dtype=torch.float32)).dtype == torch.float64


def test_probabilities_that_there_are_none_of_are_refused_with_the_reason():
    model = fitted({"loss": "hinge"}, *iris())
    assert model.to_torch()(torch.zeros(2, 4)).shape == (2, 3)
    with pytest.raises(TaskError, match=r"^LossClassifier\.to_torch: loss 'hinge' has no link to probabilities; set"):
        model.to_torch("proba")
    with pytest.raises(ValueError, match=r"^output must be 'proba', 'scores' or None, got 'labels'$"):
        model.to_torch("labels")


@pytest.mark.parametrize("method", ["to_torch", "to_onnx"])
def test_what_has_learned_nothing_is_not_exported(tmp_path, method):
    with pytest.raises(NotFittedError):
        getattr(LossClassifier(), method)(*([tmp_path / "a"] if method == "to_onnx" else []))


# -- ONNX -------------------------------------------------------------------------------------------------------------


def run(place, X):
    """Return the outputs of a file by name."""
    session = onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert entry.name == "X"
    return dict(zip((o.name for o in session.get_outputs()), session.run(None, {"X": X}), strict=True))


# torch's exporter takes a second or two of each
ONNX = ["iris", "names in another order", "classes that are floats", "truth values", "a link of the loss's own",
        "isotonic", "temperature of two", "a module", "float32"]  # fmt: skip


@pytest.mark.parametrize("case", ONNX)
def test_onnxruntime_agrees_on_labels_and_probabilities(tmp_path, capfd, case):
    (X, y), params = CASES[case]
    model = fitted(params, X, y)
    model.to_onnx(tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    for rows in (X, X[:1]):
        found = run(tmp_path / "model.onnx", rows)
        values = "probabilities" if hasattr(model, "predict_proba") else "scores"
        assert list(found) == ["label", values]
        np.testing.assert_array_equal(found["label"], model.predict(rows))
        tolerance = 1e-6 if X.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(found[values], said(model, rows), rtol=tolerance, atol=tolerance)
    kinds = {"U": object, "f": np.float64, "b": np.bool_, "i": np.int64}
    assert found["label"].dtype == kinds[y.dtype.kind]


def test_onnxruntime_agrees_on_digits(tmp_path):
    X, y = load_digits(return_X_y=True)
    model = fitted({"loss": Loss("ldr") + 0.1 * Loss("supcon"), "hidden_layer_sizes": (100,)}, X, y)
    model.to_onnx(tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", X)
    np.testing.assert_array_equal(found["label"], model.predict(X))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("params", [{"loss": "bce"}, {"loss": "bce", "calibrate": "sigmoid", **HELD}])
def test_onnxruntime_agrees_on_several_labels(tmp_path, labels, params):
    X, Y = labels
    model = fitted(params, X, Y)
    model.to_onnx(tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", X)
    np.testing.assert_array_equal(found["label"], model.predict(X))
    assert found["label"].dtype == np.int64
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-12)


def test_an_onnx_file_passes_the_checker_and_needs_no_other_file(tmp_path):
    X, y = iris("str")
    fitted({}, X, y).to_onnx(tmp_path / "model.onnx")
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").stat().st_size < 20_000


def test_an_onnx_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    model = fitted({}, *iris())
    (tmp_path / "model.onnx").write_bytes(b"before")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"^could not write '.*model\.onnx': No space left on device$"):
        model.to_onnx(tmp_path / "model.onnx")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, missing):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    model = fitted({}, *iris())
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'^to_onnx needs onnx and onnxscript: pip install "sklearnloss\[onnx\]"$'):
        model.to_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_cannot_be_exported_is_an_error_of_its_own_and_writes_nothing(tmp_path):
    class Deciding(nn.Module):
        def __init__(self, n_features):
            super().__init__()
            self.layer = nn.Linear(n_features, 4)

        def forward(self, X):
            return self.layer(X) * (2.0 if X.sum().item() > 0 else 1.0)

    model = fitted({"module": Deciding}, *iris())
    with pytest.raises(torch.onnx.errors.OnnxExporterError):
        model.to_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_predicting_needs_no_onnx():
    code = (
        "import sys; sys.modules['onnx'] = sys.modules['onnxscript'] = None\n"
        "from sklearnloss import LossClassifier\n"
        "import numpy as np\n"
        "model = LossClassifier(max_epochs=1).fit(np.eye(4), [0, 1, 0, 1])\n"
        "model.to_torch()\n"
        "try: model.to_onnx('model.onnx')\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'to_onnx needs onnx and onnxscript: pip install "sklearnloss[onnx]"'

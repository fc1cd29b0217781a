import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.datasets import make_blobs

COLUMNS = ["a", "b", "c", "d"]


def frames(X):
    return {
        "pandas": pd.DataFrame(X, columns=COLUMNS),
        "polars": pl.DataFrame(X, schema=COLUMNS),
    }


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_gives_the_fit_of_its_array_and_leaves_its_names(quick, blobs, library):
    X, y = blobs
    frame = frames(X)[library]
    from_frame, from_array = quick().fit(frame, y), quick().fit(X, y)
    assert from_frame.feature_names_in_.tolist() == COLUMNS
    assert not hasattr(from_array, "feature_names_in_")
    np.testing.assert_array_equal(from_frame.predict_proba(frame), from_array.predict_proba(X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_other_column_names_at_prediction_are_refused(quick, blobs, library):
    X, y = blobs
    frame = frames(X)[library]
    model = quick().fit(frame, y)
    renamed = frame.rename(columns={"a": "z"}) if library == "pandas" else frame.rename({"a": "z"})
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(renamed)


def test_targets_may_be_a_series(quick, blobs):
    X, y = blobs
    names = np.array(["low", "mid", "high"])[y]
    wanted = quick().fit(X, names).predict(X)
    for series in (pd.Series(names), pl.Series(names), names.tolist(), names.astype(object)):
        np.testing.assert_array_equal(quick().fit(X, series).predict(X), wanted)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array, sparse.coo_array])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_sparse_matrix_gives_the_fit_of_its_dense_form(quick, blobs, container, standardize):
    X, y = blobs
    X = np.where(np.abs(X) < 1, 0, X)
    model, dense = (quick(standardize=standardize, batch_size=16).fit(form, y) for form in (container(X), X))
    np.testing.assert_allclose(model.predict_proba(container(X)), dense.predict_proba(X), rtol=1e-9)


def test_a_sparse_matrix_is_never_made_dense_whole(quick, monkeypatch):
    n, d = 3000, 2000
    X = sparse.random_array((n, d), density=1e-3, format="csr", rng=np.random.default_rng(0))
    y = np.arange(n) % 2
    seen, to_dense = [], sparse.csr_array.toarray

    def counting(self, *args, **kwargs):
        seen.append(self.shape[0])
        return to_dense(self, *args, **kwargs)

    monkeypatch.setattr(sparse.csr_array, "toarray", counting)
    monkeypatch.setattr(sparse.csr_array, "todense", None)
    model = quick(hidden_layer_sizes=(), batch_size=500, max_epochs=1).fit(X, y)
    assert sum(seen) >= 2 * n  # the moments and the epoch saw every row
    assert max(seen) < n
    seen.clear()
    model.predict_proba(X)
    assert sum(seen) == n
    assert max(seen) < n


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_net_and_its_probabilities_keep_the_precision_of_X(quick, blobs, dtype):
    X, y = blobs
    model = quick().fit(X.astype(dtype), y)
    assert {t.dtype for t in model.net_.state_tensors() if t.is_floating_point()} == {getattr(torch, dtype.__name__)}
    assert model.predict_proba(X.astype(dtype)).dtype == dtype
    assert model.decision_function(X.astype(dtype)).dtype == dtype


def test_integers_are_taken_as_float64(quick, blobs):
    X, y = blobs
    model = quick().fit((10 * X).astype(np.int32), y)
    assert model.predict_proba((10 * X).astype(np.int32)).dtype == np.float64


@pytest.mark.parametrize(
    ("precision", "kept"), [("fp64", torch.float64), ("fp32", torch.float32), ("bf16", torch.float32)]
)
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_precision_overrides_the_dtype_of_X(quick, blobs, precision, kept, given):
    X, y = blobs
    model = quick(precision=precision).fit(X.astype(given), y)
    assert {p.dtype for p in model.net_.module_.parameters()} == {kept}
    assert torch.from_numpy(model.predict_proba(X.astype(given))).dtype == kept
    assert model.score(X.astype(given), y) > 0.9


def test_the_module_runs_in_bfloat16_only_where_it_was_asked_for(quick, blobs):
    X, y = blobs
    seen = {}

    class Spy(torch.nn.Linear):
        def forward(self, X):
            seen[torch.is_autocast_enabled("cpu")] = super().forward(X).dtype
            return super().forward(X)

    quick(module=Spy(4, 8), precision="bf16", max_epochs=1).fit(X, y)
    assert seen[True] == torch.bfloat16
    seen.clear()
    quick(module=Spy(4, 8), max_epochs=1).fit(X, y)
    assert seen == {False: torch.float64}


@pytest.mark.parametrize(
    "classes", [["cat", "dog", "eel"], [1, 2, 7], [-1.0, 0.0, 1.0], np.array(["a", "b", "c"], dtype=object)]
)
def test_classes_of_any_type_come_back_as_they_were(quick, blobs, classes):
    X, y = blobs
    given = np.asarray(classes)[y]
    model = quick().fit(X, given)
    assert model.classes_.tolist() == sorted(classes)
    assert model.predict(X).dtype == given.dtype
    assert model.score(X, given) > 0.9


@pytest.mark.parametrize("classes", [[1, 2], [False, True], ["no", "yes"], [-1, 1]])
@pytest.mark.parametrize("loss", ["cross_entropy", "ldr"])
def test_two_classes_of_any_type_have_one_score_that_points_to_the_second(quick, two_blobs, classes, loss):
    X, y = two_blobs
    given = np.asarray(classes)[y]
    model = quick(loss=loss).fit(X, given)
    assert model.classes_.tolist() == classes
    assert model.predict(X).dtype == given.dtype
    assert model.decision_function(X).shape == (80,)
    np.testing.assert_array_equal(model.predict(X) == classes[1], model.decision_function(X) > 0)
    assert model.score(X, given) > 0.9


def test_one_row_can_be_predicted(quick, blobs, two_blobs):
    for (X, y), k in ((blobs, 3), (two_blobs, 2)):
        model = quick().fit(X, y)
        assert model.predict(X[:1]).shape == (1,)
        assert model.predict_proba(X[:1]).shape == (1, k)
        np.testing.assert_allclose(model.predict_proba(X[:1]), model.predict_proba(X)[:1], rtol=1e-12)


def test_a_read_only_memory_map_is_trained_on_without_a_warning(quick, blobs, tmp_path):
    X, y = blobs
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    mapped, labels = np.load(tmp_path / "X.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # a warning is an error here, and this one would come only once
    try:
        model = quick().fit(mapped, labels, sample_weight=np.load(tmp_path / "y.npy", mmap_mode="r") + 1)
        proba = model.predict_proba(mapped)
    finally:
        torch.set_warn_always(before)
    np.testing.assert_array_equal(proba, quick().fit(X, y, sample_weight=y + 1).predict_proba(X))
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)


@pytest.mark.parametrize(
    "view",
    [lambda X: X[::-1], lambda X: X[:, ::-1], lambda X: np.asfortranarray(X), lambda X: np.hstack([X, X])[:, ::2]],
)
def test_rows_may_lie_in_memory_in_any_order(quick, blobs, view):
    X, y = blobs
    shown = view(X)
    model, plain = quick().fit(shown, y), quick().fit(np.array(shown, order="C"), y)
    np.testing.assert_array_equal(model.predict_proba(shown), plain.predict_proba(shown))


@pytest.mark.parametrize("value", [0.0, 1.0, 1e6, -1e-6])
def test_constant_columns_are_let_be(quick, blobs, value):
    X, y = blobs
    widened = np.hstack([X, np.full((len(X), 1), value)])
    model = quick().fit(widened, y)
    assert model.net_.module_.backbone[0].factor[-1] == 1
    assert model.score(widened, y) > 0.9


def test_raw_columns_of_any_scale_are_learned_because_they_are_standardized(quick):
    X, y = make_blobs(90, n_features=4, centers=3, random_state=0)
    raw = X * [1e-4, 1, 1e4, 1e6] + [0, 1, 1e5, -1e6]
    assert quick().fit(raw, y).score(raw, y) > 0.9
    plain = quick(standardize=False).fit(raw, y)
    assert plain.score(raw, y) < 0.9


def test_inputs_are_standardized_by_the_weighted_moments_of_the_rows_that_weigh(quick, blobs):
    X, y = blobs
    weights = np.random.default_rng(0).uniform(size=90)
    weights[:10] = 0
    wild = X.copy()
    wild[:10] = 1e12
    scaler = quick(max_epochs=1).fit(wild, y, sample_weight=weights).net_.module_.backbone[0]
    mean = np.average(X, axis=0, weights=weights)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(scaler.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(1 / scaler.factor, scale, rtol=1e-9)


def test_data_is_left_as_it_was(quick, blobs):
    X, y = blobs
    weights = np.arange(90.0)
    kept = X.copy(), y.copy(), weights.copy()
    quick().fit(X, y, sample_weight=weights).predict(X)
    for now, before in zip((X, y, weights), kept, strict=True):
        np.testing.assert_array_equal(now, before)

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from sklearnloss import Loss, LossClassifier, sampler
from sklearnloss.estimators._data import bytes_of
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.samplers.shuffle_blocks import shuffle_blocks
from sklearnloss.training.mapped import MappedRows
from sklearnloss.training.sources import FileRows

LIMIT = 8_000  # bytes: a window is 62 of the 400 rows, which are 12,800 bytes
COLUMNS = ["a", "b", "c", "d"]


@sampler("as_they_lie")
def as_they_lie(index, *, batch_size, rng):
    for start in range(0, len(index), batch_size):
        yield np.arange(start, min(start + batch_size, len(index)))


@pytest.fixture
def data():
    """Three overlapping classes, 400 rows of 4 columns in float64."""
    X, y = make_blobs(400, n_features=4, centers=3, cluster_std=4.0, random_state=0)
    return X, np.array(["low", "mid", "top"])[y]


@pytest.fixture
def streamed(tmp_path):
    """Return X and y in another form, larger than ``LIMIT``."""

    def make(kind, X, y):
        if kind in ("map", "npy"):
            np.save(tmp_path / "X.npy", X)
            return (np.load(tmp_path / "X.npy", mmap_mode="r") if kind == "map" else tmp_path / "X.npy"), y
        if kind == "parquet":
            (tmp_path / "rows").mkdir(exist_ok=True)
            for number, (start, stop) in enumerate(pairwise([0, 150, 170, len(X)])):
                table = pa.table({n: X[start:stop, j] for j, n in enumerate(COLUMNS)})
                table = table.add_column(2, "target", pa.array(y[start:stop])) if y.ndim == 1 else table
                parquet.write_table(table, tmp_path / "rows" / f"{number}.parquet", row_group_size=20)
            return tmp_path / "rows", ("target" if y.ndim == 1 else y)
        return TensorDataset(torch.from_numpy(X)), y

    return make


@pytest.fixture
def model(quick):
    """Return a small classifier of few epochs that streams what is larger than ``LIMIT``."""

    def make(loss="cross_entropy", **params):
        return quick(loss, **({"memory_limit": LIMIT, "max_epochs": 2, "batch_size": 40} | params))

    return make


KINDS = ["map", "npy", "parquet", "dataset"]


def weights(model):
    return [t.numpy() for t in model.net_.state_tensors()]


def assert_same(one, two):
    assert len(weights(one)) == len(weights(two))
    for ours, theirs in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# -- streamed and in memory are one -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [as_they_lie, "shuffle", "stratified", "per_class"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_order_of_rows_gives_the_same_weights_to_the_bit(streamed, model, data, kind, order):
    X, y = data
    given = streamed(kind, X, y)
    from_source, from_array = model(sampler=order, dropout=0.2).fit(*given), model(sampler=order, dropout=0.2).fit(X, y)
    assert_same(from_source, from_array)
    assert from_source.loss_curve_ == from_array.loss_curve_
    for method in ("predict", "predict_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(from_source, method)(given[0]), getattr(from_array, method)(X))
    assert from_source.score(*given) == from_array.score(X, y)


OPTIONS = {
    "float32": ({}, {}, lambda X: X.astype(np.float32)),
    "integers": ({}, {}, lambda X: (10 * X).astype(np.int16)),
    "precision": ({"precision": "fp32"}, {}, None),
    "raw": ({"standardize": False}, {}, None),
    "module": ({"module": torch.nn.Linear(4, 3)}, {}, None),
    "class_weight": ({"class_weight": "balanced"}, {}, None),
    "early_stopping": ({"early_stopping": True, "n_iter_no_change": 1, "scoring": "neg_log_loss"}, {}, None),
    "calibrate": ({"calibrate": "sigmoid", "validation_fraction": 0.3}, {}, None),
    "mixup": ({"mixup": "mixup"}, {}, None),
    "sum": ({"loss": Loss("cross_entropy") + 0.1 * Loss("supcon")}, {}, None),
    "kd": ({"loss": Loss("kd")}, {"teacher": np.random.default_rng(0).normal(size=(400, 3))}, None),
    "sample_weight": ({}, {"sample_weight": np.arange(400) % 3}, None),
    "large batches": ({"batch_size": 300}, {}, None),
}


@pytest.mark.parametrize("kind", ["map", "parquet", "dataset"])
@pytest.mark.parametrize("name", OPTIONS)
def test_everything_that_works_in_memory_works_on_what_is_streamed(streamed, model, data, kind, name):
    params, facts, cast = OPTIONS[name]
    X, y = data if cast is None else (cast(data[0]), data[1])
    given, made = streamed(kind, X, y), {"sampler": "shuffle", "memory_limit": 6399} | params
    from_source, from_array = model(**made).fit(*given, **facts), model(**made).fit(X, y, **facts)
    assert_same(from_source, from_array)
    np.testing.assert_array_equal(from_source.predict_proba(given[0]), from_array.predict_proba(X))
    assert from_source.predict_proba(given[0]).dtype == from_array.predict_proba(X).dtype


@pytest.mark.parametrize("kind", KINDS)
def test_several_labels_may_be_streamed(streamed, model, data, kind):
    X, y = data[0], (data[0][:, :3] > 0).astype(int)
    given = streamed(kind, X, y)
    from_source, from_array = (model("bce", sampler="shuffle").fit(*pair) for pair in (given, (X, y)))
    assert_same(from_source, from_array)
    np.testing.assert_array_equal(from_source.predict(given[0]), from_array.predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_with_streamed_rows(streamed, model, data, kind):
    X, y = data
    given = streamed(kind, X, y)
    from_source, from_array = model(sampler="shuffle"), model(sampler="shuffle")
    for _ in range(2):
        assert_same(from_source.partial_fit(*given), from_array.partial_fit(X, y))
    from_source, from_array = model(sampler="shuffle", warm_start=True), model(sampler="shuffle", warm_start=True)
    for _ in range(2):
        assert_same(from_source.fit(*given), from_array.fit(X, y))
    assert from_source.n_iter_ == 4


# -- the order --------------------------------------------------------------------------------------------------------


def test_files_are_shuffled_by_blocks_unless_a_sampler_is_chosen(streamed, model, data):
    X, y = data
    mapped, _ = streamed("map", X, y)
    source = MappedRows(mapped, limit=LIMIT)

    @sampler("same_blocks")
    def same_blocks(index, *, batch_size, rng):
        facts = {"block": source.block[index], "buffer_size": source.buffer_size}
        return shuffle_blocks(index, batch_size=batch_size, rng=rng, **facts)

    assert_same(model().fit(mapped, y), model(sampler=same_blocks).fit(X, y))
    held_out = {"early_stopping": True, "n_iter_no_change": 5}
    assert_same(model(**held_out).fit(mapped, y), model(sampler=same_blocks, **held_out).fit(X, y))


def test_what_the_loss_wishes_goes_before_blocks(streamed, model, data):
    X, y = data
    wishing = Loss("cross_entropy") + Loss("supcon")
    assert_same(model(wishing).fit(streamed("map", X, y)[0], y), model(wishing).fit(X, y))


def test_a_dataset_is_shuffled_whole(streamed, model, data):
    X, y = data
    assert_same(model().fit(streamed("dataset", X, y)[0], y), model().fit(X, y))


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_follows_random_state(streamed, model, data, kind):
    given = streamed(kind, *data)
    first, again, other = (model(random_state=seed).fit(*given) for seed in (0, 0, 1))
    assert_same(first, again)
    assert any((a != b).any() for a, b in zip(weights(first), weights(other), strict=True))


def test_every_row_is_trained_on_once_an_epoch(streamed, model, data):
    seen = []

    def noting(logits, y, *, index):
        seen.extend(index.tolist())
        return torch.nn.functional.cross_entropy(logits, y, reduction="none")

    model(noting, max_epochs=1).fit(*streamed("parquet", *data))
    assert sorted(seen) == list(range(400))


@sampler("looks_at_X")
def looks_at_X(X, *, batch_size, rng):
    yield np.argsort(X[:, 0])


def test_a_sampler_that_looks_at_X_is_refused_for_want_of_memory_only(streamed, model, data):
    X, y = data
    mapped, _ = streamed("map", X, y)
    with pytest.raises(DataError, match=r"needs all of it in memory.*raise memory_limit"):
        model(sampler=looks_at_X).fit(mapped, y)
    assert_same(model(sampler=looks_at_X, memory_limit="1GB").fit(mapped, y), model(sampler=looks_at_X).fit(X, y))


# -- what is streamed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["map", "npy", "parquet"])
@pytest.mark.parametrize(
    ("limit", "reads"), [(LIMIT, True), (12_799, True), (12_800, False), ("1GB", False), (None, False)]
)
def test_what_fits_in_the_limit_is_read_into_memory(streamed, model, data, monkeypatch, kind, limit, reads):
    read, plain = [], FileRows.stream
    monkeypatch.setattr(FileRows, "stream", lambda self, *args, **kw: read.append(1) or plain(self, *args, **kw))
    given = streamed(kind, *data)
    fitted = model(memory_limit=limit, sampler="shuffle").fit(*given)
    assert bool(read) == reads
    read.clear()
    fitted.predict(given[0])
    assert bool(read) == reads


@pytest.mark.parametrize("limit", ["", "2XB", "-1MB", "1 2", "GB", "1e9"])
def test_a_limit_that_is_no_number_of_bytes_is_refused(model, data, limit):
    with pytest.raises(ParameterError, match="memory_limit must be bytes, a string such as '500MB'"):
        model(memory_limit=limit).fit(*data)


@pytest.mark.parametrize(
    ("limit", "count"), [(7, 7), ("7", 7), ("7B", 7), ("2kb", 2000), ("0.5 GB", 5 * 10**8), ("3GiB", 3 * 2**30)]
)
def test_limits_are_read_as_bytes(limit, count):
    assert bytes_of(limit) == count


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_streamed_rows_is_pickled_without_them(streamed, model, data, kind):
    X, y = data
    given = streamed(kind, X, y)
    fitted = model().fit(*given)
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.predict(given[0]), fitted.predict(given[0]))
    of_an_array = model().fit(pd.DataFrame(X, columns=COLUMNS) if kind == "parquet" else X, y)
    assert len(pickle.dumps(fitted)) == pytest.approx(len(pickle.dumps(of_an_array)), abs=500)
    assert clone(fitted).memory_limit == LIMIT


def test_a_grid_is_searched_over_the_rows_of_a_map(streamed, model, data):
    mapped, y = streamed("map", *data)
    search = GridSearchCV(model(), {"loss": ["cross_entropy", "ldr"]}, cv=2, error_score="raise").fit(mapped, y)
    np.testing.assert_array_equal(search.predict(mapped), search.predict(data[0]))


def test_an_array_and_the_rows_of_a_file_may_change_places(streamed, model, data):
    X, y = data
    given = streamed("npy", X, y)
    fitted = model().fit(X, y)
    np.testing.assert_array_equal(fitted.predict(given[0]), fitted.predict(X))
    assert fitted.partial_fit(*given).n_iter_ == 3


@pytest.mark.parametrize("kind", ["map", "npy", "dataset"])
def test_another_number_of_columns_or_rows_is_noticed(streamed, model, data, kind):
    X, y = data
    rows, _ = streamed(kind, X, y)
    fitted = model().fit(X[:, :3], y)
    with pytest.raises(ValueError, match="4 features, but LossClassifier is expecting 3"):
        fitted.predict(rows)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[400, 399\]"):
        model().fit(rows, y[1:])


def test_integers_count_as_the_float64_that_they_become(streamed, model, data, monkeypatch):
    X, y = (10 * data[0]).astype(np.int8), data[1]
    read, plain = [], FileRows.stream
    monkeypatch.setattr(FileRows, "stream", lambda self, *args, **kw: read.append(1) or plain(self, *args, **kw))
    model(memory_limit=8 * X.nbytes).fit(*streamed("map", X, y))
    assert not read
    model(memory_limit=8 * X.nbytes - 1).fit(*streamed("map", X, y))
    assert read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("standardize", [True, False])
def test_missing_values_stop_the_fit_and_the_prediction(streamed, model, data, kind, standardize):
    X, y = data
    fitted = model().fit(X, y)
    X[333, 2] = np.nan
    given = streamed(kind, X, y)
    with pytest.raises(DataError, match=r"Input X contains NaN: row 333, column 2"):
        model(standardize=standardize).fit(*given)
    if kind != "parquet":  # its names would be new
        with pytest.raises(DataError, match=r"Input X contains NaN: row 333, column 2"):
            fitted.predict(given[0])


# -- Parquet ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [LIMIT, None])
def test_parquet_gives_names_and_its_target_and_is_predicted_by_the_columns_trained_on(
    streamed, model, data, tmp_path, limit
):
    X, y = data
    folder, target = streamed("parquet", X, y)
    fitted = model(memory_limit=limit).fit(folder, target)
    assert fitted.feature_names_in_.tolist() == COLUMNS
    assert fitted.classes_.tolist() == ["low", "mid", "top"]
    wanted = fitted.predict(pd.DataFrame(X, columns=COLUMNS))
    np.testing.assert_array_equal(fitted.predict(folder), wanted)
    np.testing.assert_array_equal(fitted.predict(str(folder)), wanted)
    assert fitted.score(folder, "target") == fitted.score(folder, y) == np.mean(wanted == y)
    turned = pa.table(
        {"id": [f"row {i}" for i in range(400)], **{n: X[:, j] for j, n in reversed([*enumerate(COLUMNS)])}}
    )
    parquet.write_table(turned, tmp_path / "turned.parquet", row_group_size=20)
    np.testing.assert_array_equal(fitted.predict(tmp_path / "turned.parquet"), wanted)
    parquet.write_table(turned.drop_columns("c"), tmp_path / "less.parquet")
    with pytest.raises(DataError, match=r"less.parquet' has no column 'c'.*; it has 'id', 'd', 'b', 'a'"):
        fitted.predict(tmp_path / "less.parquet")


@pytest.mark.parametrize("kind", ["text", "categories", "numbers"])
def test_a_target_of_any_type_is_read(model, data, tmp_path, kind):
    X, y = data
    given = {"text": y, "categories": pd.Categorical(y), "numbers": np.unique(y, return_inverse=True)[1]}[kind]
    frame = pd.DataFrame(X, columns=COLUMNS).assign(target=given)
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "X.parquet", row_group_size=30)  # keeps its index, too
    fitted = model().fit(tmp_path / "X.parquet", "target")
    assert fitted.feature_names_in_.tolist() == COLUMNS
    assert fitted.classes_.tolist() == sorted(set(np.asarray(given).tolist()))


def test_columns_that_are_no_numbers_and_targets_that_are_missing_are_refused(streamed, model, data, tmp_path):
    folder, _ = streamed("parquet", *data)
    with pytest.raises(DataError, match=r"column 'target' is string, and X must be numbers.*fit\(path, 'target'\)"):
        model().fit(folder, data[1])
    with pytest.raises(DataError, match=r"has no column 'targe'; did you mean 'target'\?"):
        model().fit(folder, "targe")
    table = pa.table({"a": [1.0, 2.0, 3.0], "target": ["x", None, "y"]})
    parquet.write_table(table, tmp_path / "missing.parquet")
    with pytest.raises(DataError, match="the target 'target' is missing in 1 rows"):
        model().fit(tmp_path / "missing.parquet", "target")


# -- datasets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_dataset_of_pairs_brings_its_targets(model, data, num_workers):
    X, y = data[0], np.unique(data[1], return_inverse=True)[1]
    pairs = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    fitted = model(num_workers=num_workers, max_epochs=1).fit(pairs)
    in_memory = model(max_epochs=1).fit(X, y)
    assert_same(fitted, in_memory)
    np.testing.assert_array_equal(fitted.predict(pairs), in_memory.predict(X))
    assert fitted.score(pairs) == in_memory.score(X, y)
    assert_same(model(max_epochs=1).fit(pairs, y), in_memory)


def test_a_dataset_without_targets_needs_y(model, data):
    with pytest.raises(DataError, match=r"y is None.*no pairs \(x, y\); give y"):
        model().fit(TensorDataset(torch.from_numpy(data[0])))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_a_dataset_draws_at_random_follows_random_state_and_differs_by_epoch(model, data, num_workers):
    class Noisy(TensorDataset):
        def __getitem__(self, i):
            return super().__getitem__(i)[0] + torch.randn(4)

    rows = Noisy(torch.from_numpy(data[0]))
    params = {"num_workers": num_workers, "standardize": False, "sampler": as_they_lie, "lr": 1e-9, "batch_size": 400}
    first, again = (model(**params).fit(rows, data[1]) for _ in range(2))
    assert first.loss_curve_ == again.loss_curve_
    assert abs(first.loss_curve_[0] - first.loss_curve_[1]) > 1e-6  # the weights hardly move, the noise does


def test_reading_a_dataset_leaves_the_global_generators_alone(streamed, model, data):
    rows, y = streamed("dataset", *data)
    before = torch.get_rng_state().clone()
    model(max_epochs=1).fit(rows, y).predict(rows)
    assert torch.equal(torch.get_rng_state(), before)


# -- refusals ---------------------------------------------------------------------------------------------------------


class Endless(IterableDataset):
    def __iter__(self):
        yield torch.zeros(4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda X: {"a": X, "b": X}, r"a dict of 2 entries; several inputs are not taken.*np.hstack.*torch Dataset"),
        (lambda X: [X, X], "a list of 2 arrays; several inputs"),
        (lambda X: (X, X[:, :2]), "a tuple of 2 arrays; several inputs"),
        (lambda X: [torch.from_numpy(X)] * 3, "a list of 3 arrays; several inputs"),
        (lambda X: (pd.DataFrame(X),), "a tuple of 1 arrays; several inputs"),
        (lambda X: (row for row in X), r"a generator, which gives its rows only once.*np.stack\(list\(X\)\)"),
        (lambda X: iter(X.tolist()), "a list_iterator, which gives its rows only once"),
        (lambda X: DataLoader(TensorDataset(torch.from_numpy(X))), r"a DataLoader; give its dataset"),
        (lambda X: Endless(), "an IterableDataset, whose rows have no numbers"),
        (lambda X: "nowhere.npy", "the path 'nowhere.npy', where nothing is"),
    ],
)
def test_what_is_no_rows_is_refused_with_what_to_do(model, data, given, message):
    X, y = data
    with pytest.raises(DataError, match=message):
        model().fit(given(X), y)
    fitted = model(max_epochs=1).fit(X, y)
    with pytest.raises(DataError, match=message):
        fitted.predict(given(X))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("X.csv", b"1,2\n", r"a text file, .*pandas.read_csv.*to_parquet"),
        ("X.csv.gz", b"", "a text file"),
        ("X.npz", b"", r"it may be a .npy file, a Parquet file or a folder of Parquet files"),
        ("X.npy", b"nothing", "cannot be read"),
        ("X.npy", b"", "cannot be read"),
        ("X.parquet", b"nothing", "cannot be read as Parquet"),
    ],
)
def test_files_that_cannot_be_streamed_are_refused(model, data, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        model().fit(tmp_path / name, data[1])
    with pytest.raises(DataError, match=message):
        model().fit(str(tmp_path / name), data[1])


def test_a_folder_without_parquet_is_refused(model, data, tmp_path):
    with pytest.raises(DataError, match=r"it may be a .npy file, a Parquet file or a folder of Parquet"):
        model().fit(tmp_path, data[1])


@pytest.mark.parametrize("kind", ["npy", "dataset"])
def test_only_parquet_has_a_column_for_y(streamed, model, data, kind):
    with pytest.raises(DataError, match="y='target' would be the name of a column, which only Parquet has"):
        model().fit(streamed(kind, *data)[0], "target")


@pytest.mark.parametrize("form", [list, tuple, lambda X: X.tolist(), lambda X: [torch.from_numpy(row) for row in X]])
def test_a_list_of_rows_is_data(model, data, form):
    X, y = data
    assert_same(model().fit(form(X), y), model().fit(X, y))
    np.testing.assert_array_equal(model().fit(X, y).predict(form(X)), model().fit(X, y).predict(X))


def test_y_may_be_left_out_only_of_a_dataset():
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        LossClassifier().fit(np.zeros((4, 2)))

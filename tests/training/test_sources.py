import pickle

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from scipy import sparse
from torch.utils.data import TensorDataset

from sklearnloss.exceptions import DataError
from sklearnloss.samplers.shuffle_blocks import shuffle_blocks
from sklearnloss.training.dataset import DatasetRows
from sklearnloss.training.mapped import MappedRows, memory_map
from sklearnloss.training.parquet import ParquetRows
from sklearnloss.training.sources import FileRows, Part, SparseRows, row_chunks

N, D, LIMIT = 500, 6, 20_000  # a window is 104 rows of float64, a buffer 52


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(N, D))


def mapped(tmp_path, X, view=lambda X: X):
    np.save(tmp_path / "X.npy", X)
    return view(np.load(tmp_path / "X.npy", mmap_mode="r"))


def in_parquet(path, X, **options):
    parquet.write_table(pa.table({f"x{j}": X[:, j] for j in range(X.shape[1])}), path, **options)


def folder_of(tmp_path, X):
    (tmp_path / "folder").mkdir()
    for number, (start, stop) in enumerate([(0, 90), (90, 91), (91, 333), (333, len(X))]):
        in_parquet(tmp_path / "folder" / f"part-{number}.parquet", X[start:stop], row_group_size=40)
    return tmp_path / "folder"


def parquet_file(tmp_path, X):
    in_parquet(tmp_path / "X.parquet", X, row_group_size=37)
    return tmp_path / "X.parquet"


SOURCES = {
    "map": lambda tmp_path, X: MappedRows(mapped(tmp_path, X), limit=LIMIT),
    "array view of a map": lambda tmp_path, X: MappedRows(np.asarray(mapped(tmp_path, X)), limit=LIMIT),
    "rows of a map": lambda tmp_path, X: MappedRows(
        mapped(tmp_path, np.vstack([X[:7], X]), lambda M: M[7:]), limit=LIMIT
    ),
    "every other row": lambda tmp_path, X: MappedRows(mapped(tmp_path, X.repeat(2, 0), lambda M: M[1::2]), limit=LIMIT),
    "backwards": lambda tmp_path, X: MappedRows(mapped(tmp_path, X[::-1].copy(), lambda M: M[::-1]), limit=LIMIT),
    "some columns": lambda tmp_path, X: MappedRows(
        mapped(tmp_path, np.hstack([X, X]), lambda M: M[:, 2 : 2 + D]), limit=LIMIT
    ),
    "big-endian": lambda tmp_path, X: MappedRows(mapped(tmp_path, X.astype(">f8")), limit=LIMIT),
    "parquet file": lambda tmp_path, X: ParquetRows(parquet_file(tmp_path, X), limit=LIMIT),
    "parquet folder": lambda tmp_path, X: ParquetRows(folder_of(tmp_path, X), limit=LIMIT),
    "dataset": lambda tmp_path, X: DatasetRows(TensorDataset(torch.from_numpy(X))),
    "dataset, workers": lambda tmp_path, X: DatasetRows(TensorDataset(torch.from_numpy(X)), workers=2),
    "sparse": lambda tmp_path, X: SparseRows(sparse.csr_array(X)),
    "part": lambda tmp_path, X: Part(
        MappedRows(mapped(tmp_path, X[::-1].copy()), limit=LIMIT), np.arange(len(X) - 1, -1, -1)
    ),
}


def wanted(X, name):
    return np.hstack([X, X])[:, 2 : 2 + D] if name == "some columns" else X


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_gives_the_rows_of_its_array(tmp_path, X, name):
    source, array = SOURCES[name](tmp_path, X), wanted(X, name)
    assert source.shape == array.shape
    assert len(source) == N
    assert source.dtype == np.float64
    index = np.array([7, 8, 9, 499, 0, 7])
    np.testing.assert_array_equal(source[index], array[index])
    np.testing.assert_array_equal(source[20:300], array[20:300])
    assert source.sample().shape == (1, D)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_streams_batches_in_the_order_asked_for(tmp_path, X, name):
    source, array = SOURCES[name](tmp_path, X), wanted(X, name)
    rng = np.random.default_rng(1)
    batches = [rng.integers(N, size=size) for size in (30, 1, 200, 30, 30, 30)]
    streamed = list(source.stream(iter(batches)))
    assert len(streamed) == len(batches)
    for (index, rows), batch in zip(streamed, batches, strict=True):
        np.testing.assert_array_equal(index, batch)
        np.testing.assert_array_equal(rows, array[batch])


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_walked_in_the_chunks_of_its_array(tmp_path, X, name):
    source, array = SOURCES[name](tmp_path, X), wanted(X, name)
    from_source, from_array = list(row_chunks(source, 300)), list(row_chunks(array, 300))
    assert [rows for rows, _ in from_source] == [rows for rows, _ in from_array]
    for (_, ours), (_, theirs) in zip(from_source, from_array, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("given", "read"),
    [("f4", "f4"), ("f8", "f8"), ("f2", "f8"), ("i1", "f8"), ("u2", "f8"), ("i8", "f8"), ("?", "f8")],
)
@pytest.mark.parametrize("kind", ["map", "parquet", "dataset"])
def test_float32_is_read_as_it_is_and_other_numbers_as_float64(tmp_path, X, given, read, kind):
    array = (10 * X).astype(given)
    source = {
        "map": lambda: MappedRows(mapped(tmp_path, array), limit=LIMIT),
        "parquet": lambda: ParquetRows(parquet_file(tmp_path, array), limit=LIMIT),
        "dataset": lambda: DatasetRows(TensorDataset(torch.from_numpy(array))),
    }[kind]()
    assert source.dtype == read
    assert source[:10].dtype == read
    np.testing.assert_array_equal(source[:10], array[:10].astype(read))


# -- how files are read -----------------------------------------------------------------------------------------------


class Counted(FileRows):
    """An array that notes what is read of it."""

    files = ()

    def __init__(self, X, *, limit, block):
        super().__init__(X.shape, X.dtype, limit=limit)
        self.X, self.blocks, self.reads = X, block, []

    @property
    def block(self):
        return self.blocks

    def read(self, index):
        self.reads.append(index)
        return self.X[index]


def test_rows_are_read_in_the_order_of_the_file_and_no_more_at_once_than_a_window_holds(X):
    source = Counted(X, limit=LIMIT, block=np.zeros(N, int))
    order = np.random.default_rng(0).permutation(N)
    assert sum(len(rows) for _, rows in source.stream(np.split(order, 50))) == N
    assert len(source.reads) == 5  # windows of ten batches of ten
    for read in source.reads:
        assert (np.diff(read) > 0).all()
        assert len(read) <= source.window


def test_what_a_window_holds_takes_a_quarter_of_the_limit(X):
    source = Counted(X, limit=LIMIT, block=np.zeros(N, int))
    assert source.window * D * 8 <= LIMIT / 4
    assert source.buffer_size <= source.window // 2


def test_every_block_is_read_once_an_epoch_if_its_rows_come_together(X):
    block = np.arange(N) // 12
    source = Counted(X, limit=LIMIT, block=block)
    facts = {"block": block, "buffer_size": source.buffer_size}
    batches = shuffle_blocks(np.arange(N), batch_size=10, rng=np.random.default_rng(0), **facts)
    assert sum(len(rows) for _, rows in source.stream(batches)) == N
    touched = np.concatenate([np.unique(block[read]) for read in source.reads])
    assert sorted(touched.tolist()) == list(range(block[-1] + 1))


@pytest.mark.parametrize("name", ["map", "parquet file", "parquet folder"])
def test_blocks_ascend_and_several_fill_a_buffer(tmp_path, X, name):
    source = SOURCES[name](tmp_path, X)
    assert source.block.shape == (N,)
    assert set(np.diff(source.block)) <= {0, 1}
    assert np.bincount(source.block).max() <= source.buffer_size


def test_a_row_group_is_decoded_once_an_epoch(tmp_path, X, monkeypatch):
    source, decoded = SOURCES["parquet folder"](tmp_path, X), []
    plain = ParquetRows._decoded
    monkeypatch.setattr(ParquetRows, "_decoded", lambda self, number: decoded.append(number) or plain(self, number))
    facts = {"block": source.block, "buffer_size": source.buffer_size}
    batches = shuffle_blocks(np.arange(N), batch_size=10, rng=np.random.default_rng(0), **facts)
    assert sum(len(rows) for _, rows in source.stream(batches)) == N
    assert sorted(decoded) == list(range(len(source.sizes)))


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_can_be_pickled(tmp_path, X, name):
    source = SOURCES[name](tmp_path, X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))[:9], source[:9])


@pytest.mark.parametrize("name", ["map", "parquet file", "dataset"])
@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_a_value_that_is_no_number_is_found_with_its_place(tmp_path, X, name, value, what):
    X[417, 3] = value
    source = SOURCES[name](tmp_path, X)
    source[:417]
    with pytest.raises(DataError, match=rf"Input X contains {what}: row 417, column 3"):
        list(source.stream(iter([np.arange(400), np.array([3, 417])])))


def test_large_numbers_whose_sum_overflows_are_numbers(tmp_path, X):
    X[:, 0] = 1e308
    np.testing.assert_array_equal(SOURCES["map"](tmp_path, X)[:50], X[:50])


def test_a_null_in_parquet_is_a_missing_value(tmp_path):
    parquet.write_table(pa.table({"a": pa.array([1, None, 3]), "b": pa.array([True, False, True])}), tmp_path / "X.pq")
    source = ParquetRows(tmp_path / "X.pq", limit=LIMIT)
    with pytest.raises(DataError, match="NaN: row 1, column 0"):
        source[:3]


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_only_a_map_or_a_view_of_one_is_a_map(tmp_path, X):
    M = mapped(tmp_path, X)
    assert all(memory_map(view) is not None for view in (M, M[3:], np.asarray(M)[:, 1:], M.T))
    assert all(memory_map(other) is None for other in (X, X[3:], np.array(M), M[[1, 2]], M + 0.0, X.tolist()))


@pytest.mark.parametrize(
    "view", [lambda M: M.T, lambda M: M[:, ::2], lambda M: M[:, ::-1]], ids=["Fortran", "every other", "backwards"]
)
def test_a_map_whose_rows_do_not_lie_in_one_piece_is_refused(tmp_path, X, view):
    with pytest.raises(DataError, match=r"rows do not lie in one piece .*raise memory_limit, or save X anew"):
        MappedRows(mapped(tmp_path, X, view), limit=LIMIT)


def test_a_map_whose_values_are_not_those_of_its_file_is_refused(tmp_path, X):
    np.save(tmp_path / "X.npy", X)
    private = np.load(tmp_path / "X.npy", mmap_mode="c")
    with pytest.raises(DataError, match="copy-on-write"):
        MappedRows(private, limit=LIMIT)
    shared = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.save(tmp_path / "other.npy", X + 1)
    (tmp_path / "other.npy").replace(tmp_path / "X.npy")
    with pytest.raises(DataError, match="another one by now"):
        MappedRows(shared, limit=LIMIT)
    (tmp_path / "X.npy").unlink()
    with pytest.raises(DataError, match="its file is gone"):
        MappedRows(shared, limit=LIMIT)


def test_a_file_that_is_cut_while_it_is_read_is_an_error(tmp_path, X):
    source = SOURCES["map"](tmp_path, X)
    with open(tmp_path / "X.npy", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(DataError, match="ended before row"):
        source[100:200]


def test_row_groups_larger_than_a_buffer_are_refused_with_what_to_do(tmp_path, X):
    in_parquet(tmp_path / "X.parquet", X)
    source = ParquetRows(tmp_path / "X.parquet", limit=LIMIT)
    with pytest.raises(DataError, match=r"a row group of 500 rows, of which .* allows 52; .*row_group_size=52"):
        source.check_groups()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (torch.zeros(3, 4), r"must be a row of numbers \(d,\).*nn.Unflatten\(1, \(3, 4\)\)"),
        (np.array(["a", "b"]), "must be a row of numbers"),
        ({"image": torch.zeros(3)}, "got a dict of 1; put the inputs side by side"),
        ((torch.zeros(3), torch.zeros(2), 1), "got a tuple of 3"),
    ],
)
def test_items_of_a_dataset_that_are_no_rows_are_refused(item, message):
    class Items(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return item

    with pytest.raises(DataError, match=message):
        DatasetRows(Items())


def test_items_of_different_length_are_refused():
    class Growing(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return [1.0] * (i + 1)

    source = DatasetRows(Growing())
    with pytest.raises(DataError, match=r"differ in shape: \[\(2,\), \(3,\)\]"):
        source[1:3]
    with pytest.raises(DataError, match=r"the first is \(1,\), another \(3,\)"):
        source[2:3]


def test_a_copy_of_a_map_and_the_maps_of_joblib_are_arrays(tmp_path):
    mapped = np.memmap(tmp_path / "X.bin", np.float64, "w+", shape=(5, 3))
    assert memory_map(mapped) is mapped
    assert memory_map(mapped[1:]) is mapped
    for copied in (mapped.copy(), mapped.astype(np.float32), np.sort(mapped), mapped.take([0, 1], axis=0)):
        assert memory_map(copied) is None
    (tmp_path / "joblib_memmapping_folder_1").mkdir()
    sent = np.memmap(tmp_path / "joblib_memmapping_folder_1" / "X.pkl", np.float64, "w+", shape=(5, 3))
    assert memory_map(sent) is None


def test_chunks_of_wide_rows_are_no_larger_than_others():
    sizes = [part.shape[0] for _, part in row_chunks(np.zeros((40, 100_000), np.float32))]
    assert max(sizes) * 100_000 <= 1 << 19
    assert sum(sizes) == 40

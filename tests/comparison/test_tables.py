import bz2
import gzip
import io
import lzma
import os
import warnings
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_digits, load_iris

from sklearnloss.comparison.tables import BUNDLED, load_table
from sklearnloss.exceptions import DataWarning

HEADER = "size,weight,color"
TEXT = "\n".join([HEADER, *(f"{i * 1.5},{i % 7},{'red' if i % 2 else 'blue'}" for i in range(1, 31)), ""])
X = pd.DataFrame({"size": [i * 1.5 for i in range(1, 31)], "weight": [i % 7 for i in range(1, 31)]})
Y = ["red" if i % 2 else "blue" for i in range(1, 31)]


def zipped(text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__MACOSX/._data.csv", "")
        archive.writestr("data.csv", text)
    return packed.getvalue()


def written(tmp_path, content, name="data.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(header, row, n=20):
    return "\n".join([header, *(row(i) for i in range(n)), ""])


WAYS = {
    "commas": ("data.csv", TEXT.encode()),
    "semicolons": ("data.csv", TEXT.replace(",", ";").encode()),
    "tabs": ("data.tsv", TEXT.replace(",", "\t").encode()),
    "bars": ("data.txt", TEXT.replace(",", "|").encode()),
    "semicolons and decimal commas": ("data.csv", TEXT.replace(",", ";").replace(".", ",").encode()),
    "quoted fields": ("data.csv", TEXT.replace("red", '"red"').replace("size", '"size"').encode()),
    "spaces around fields": ("data.csv", TEXT.replace(",", " , ").encode()),
    "lines of Windows": ("data.csv", TEXT.replace("\n", "\r\n").encode()),
    "blank lines": ("data.csv", ("\n" + TEXT.replace("\n", "\n\n") + "  \n").encode()),
    "a separator at the end of each line": ("data.csv", TEXT.replace("\n", ",\n").encode()),
    "no newline at the end": ("data.csv", TEXT.rstrip().encode()),
    "a byte order mark": ("data.csv", b"\xef\xbb\xbf" + TEXT.encode()),
    "UTF-16, as Excel writes Unicode text": ("data.txt", TEXT.replace(",", "\t").encode("utf-16")),
    "gzip": ("data.csv.gz", gzip.compress(TEXT.encode())),
    "bz2": ("data.csv.bz2", bz2.compress(TEXT.encode())),
    "xz": ("data.csv.xz", lzma.compress(TEXT.encode())),
    "zip": ("data.zip", zipped(TEXT)),
    "gzip under another name": ("data.csv", gzip.compress(TEXT.encode())),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_text_table_is_the_same_however_it_is_written(tmp_path, way):
    name, content = WAYS[way]
    table = load_table(written(tmp_path, content, name), "color")
    pd.testing.assert_frame_equal(table.X, X)
    assert table.y.tolist() == Y
    assert (table.groups, table.times, table.name) == (None, None, name)


def test_a_parquet_file_a_folder_of_them_and_a_frame_are_the_same_as_the_text(tmp_path):
    frame = pd.read_csv(io.StringIO(TEXT))
    (tmp_path / "parts").mkdir()
    frame[:10].to_parquet(tmp_path / "parts" / "0.parquet", index=False)
    frame[10:].to_parquet(tmp_path / "parts" / "1.parquet", index=False)
    frame.to_parquet(tmp_path / "whole.parquet")
    frame.to_parquet(tmp_path / "no_suffix")
    sources = [*(tmp_path / name for name in ("parts", "whole.parquet", "no_suffix")), frame, pl.from_pandas(frame)]
    for source in sources:
        table = load_table(source, "color")
        pd.testing.assert_frame_equal(table.X, X)
        assert table.y.tolist() == Y


def test_a_named_index_of_a_parquet_file_is_a_column(tmp_path):
    pd.read_csv(io.StringIO(TEXT)).set_index("color").to_parquet(tmp_path / "a.parquet")
    assert load_table(tmp_path / "a.parquet", "color").y.tolist() == Y


def test_letters_beyond_ascii_are_read_from_unicode_and_from_the_old_code_page(tmp_path):
    text = TEXT.replace("red", "rött").replace("size", "größe")
    for encoding in ("utf-8", "latin-1"):
        table = load_table(written(tmp_path, text.encode(encoding)), "color")
        assert set(table.y) == {"rött", "blue"}
        assert table.X.columns[0] == "größe"
    assert load_table(written(tmp_path, TEXT.encode() + b"1,2,\x81\n1,2,\x81\n"), "color").y.nunique() == 3


def test_a_table_of_thousands_of_columns_is_read(tmp_path):
    wide = pd.DataFrame(np.arange(12_000).reshape(4, 3000) % 7, columns=[str(j) for j in range(3000)]).assign(
        y=[0, 1, 0, 1]
    )
    table = load_table(written(tmp_path, wide.to_csv(index=False)), "y")
    assert table.X.shape == (4, 3000)


def test_a_separator_that_is_given_is_taken(tmp_path):
    text = rows("a|b,color|x", lambda i: f"{i % 5}|{i % 3},{i % 2}|{i % 4}")
    table = load_table(written(tmp_path, text), "x", separator="|")
    assert table.X.columns.tolist() == ["a", "b,color"]
    assert table.source == f"load_table({str(tmp_path / 'data.csv')!r}, target='x', separator='|')"


NUMBERS = {
    "thousands": ("1,234.5", 1234.5),
    "thousands apart": ("1 234.5", 1234.5),
    "thousands apart by a narrow space": ("1\u202f234.5", 1234.5),
    "continental": ("1.234,5", 1234.5),
    "dollars": ("$1,200", 1200),
    "minus euros": ("-7.5 €", -7.5),
    "percent": ("12 %", 12),
    "power of ten": ("1e3", 1000),
}


@pytest.mark.parametrize("what", NUMBERS)
def test_numbers_are_read_as_people_write_them(tmp_path, what):
    text, value = NUMBERS[what]
    table = load_table(
        written(tmp_path, rows("a,b,y", lambda i: f'"{text}",{i % 3},{i % 2}')[: -len("\n")] + '\n"7",1,1\n'), "y"
    )
    assert table.X["a"].tolist() == [value] * 20 + [7]


def test_texts_that_are_no_numbers_stay_texts(tmp_path):
    text = rows("a,b,c,y", lambda i: f"{i % 9}.{i % 9}.1,+49 {i % 7}1,{i % 5}a,{i % 2}")
    assert load_table(written(tmp_path, text), "y").X["a"].tolist()[:2] == ["0.0.1", "1.1.1"]


def test_what_is_missing_is_missing_and_rows_without_a_target_are_left_out_and_counted(tmp_path):
    text = rows(
        "a,b,y",
        lambda i: (
            f"{['?', 'NA', '', ' ? '][i] if i < 4 else i},{'x?'[i == 5]},{'yes no'.split()[i % 2] if i > 7 else ' '}"
        ),
    )
    with pytest.warns(DataWarning, match=r"^data.csv: left out 8 of 20 rows, in which target 'y' is missing$"):
        table = load_table(written(tmp_path, text), "y", drop="b")
    assert table.X["a"].tolist() == list(range(8, 20))
    assert table.y.tolist() == ["yes", "no"] * 6
    text = rows("a,y", lambda i: f"{['?', 'NA', '', ' ? '][i] if i < 4 else i},{i % 2}")
    table = load_table(written(tmp_path, text), "y")
    assert table.X["a"].isna().tolist() == [True] * 4 + [False] * 16


def test_a_word_among_numbers_is_taken_for_missing_with_a_warning(tmp_path):
    text = rows("a,y", lambda i: f"{'unknown' if i == 3 else i * 2},{i % 2}")
    with pytest.warns(
        DataWarning, match=r"column 'a' holds numbers, but 1 of 20 values are no numbers \('unknown'\); they"
    ):
        table = load_table(written(tmp_path, text), "y")
    assert table.X["a"].isna().sum() == 1
    text = rows("a,y", lambda i: f"{f'code{i}' if i < 5 else i % 11 * 2},{i % 2}", n=60)
    with pytest.warns(
        DataWarning,
        match=r"column 'a' is used as texts because 5 of 60 values are no numbers \('code0', 'code1', 'code2' and 2",
    ):
        table = load_table(written(tmp_path, text), "y")
    assert table.X["a"].iloc[0] == "code0"


@pytest.mark.parametrize(
    "day",
    [
        "2024-01-{d:02d}",
        "2024-01-{d:02d}T00:00",
        "2024-01-{d:02d} 00:00:00+00:00",
        "2024/1/{d}",
        "{d}.1.2024",
        "{d}/1/2024",
        "1/{d}/2024 00:00",
    ],
)
def test_dates_are_dates_where_only_one_reading_is_possible(tmp_path, day):
    text = rows("when,y", lambda i: f"{day.format(d=i + 1)},{i % 2}")
    with pytest.warns(DataWarning, match=r"column 'when' holds dates; it is used as a number of days"):
        table = load_table(written(tmp_path, text), "y")
    assert table.X["when"].tolist() == list(pd.date_range("2024-01-01", periods=20))


def test_dates_with_two_readings_stay_texts_with_a_warning(tmp_path):
    text = rows("when,y", lambda i: f"{i % 3 + 1}/{i % 4 + 1}/2024,{i % 2}")
    with pytest.warns(DataWarning, match="column 'when' looks like dates, but the day cannot be told from the month"):
        table = load_table(written(tmp_path, text), "y")
    assert table.X["when"].iloc[1] == "2/2/2024"


def test_columns_that_teach_nothing_are_left_out_with_a_warning(tmp_path):
    frame = pd.DataFrame(
        {
            "id": range(1, 21),
            "name": [f"n{i}" for i in range(20)],
            "same": 7,
            "a": np.arange(20) * 0.7,
            "y": [0, 0, 1, 1] * 5,
        }
    )
    with pytest.warns(DataWarning) as warned:
        table = load_table(written(tmp_path, frame.to_csv()), "y")
    assert table.X.columns.tolist() == ["a"]
    assert [str(w.message) for w in warned] == [
        "data.csv: left out 'Unnamed: 0', 'id': a number for each row says nothing about it",
        "data.csv: left out 'name': 20 rows have 20 different texts, which can only be learnt by heart",
        "data.csv: left out 'same': the same value in every row",
    ]
    assert table.notes == tuple(str(w.message).removeprefix("data.csv: ") for w in warned)
    assert {w.filename for w in warned} == {__file__}


def test_a_column_that_may_count_the_rows_is_kept_with_a_warning(tmp_path):
    text = rows("step,a,y", lambda i: f"{i},{i % 3},{i % 2}")
    with pytest.warns(
        DataWarning, match="'step' counts the rows one by one; if it is only their number, leave it out with"
    ):
        assert load_table(written(tmp_path, text), "y").X.columns.tolist() == ["step", "a"]


def test_a_column_that_is_the_target_is_kept_with_a_warning(tmp_path):
    text = rows("a,code,almost,y", lambda i: f"{i * 0.5},{i % 3 * 10},{i % 3 if i < 19 else 0},{'uvw'[i % 3]}")
    with pytest.warns(DataWarning) as warned:
        table = load_table(written(tmp_path, text), "y")
    assert table.X.columns.tolist() == ["a", "code", "almost"]
    (message,) = (str(w.message) for w in warned)
    assert message.startswith("data.csv: column 'code' is the target 'y' under another name")


def test_infinite_numbers_are_taken_for_missing_with_a_warning(tmp_path):
    with pytest.warns(DataWarning, match="infinite numbers in 'size' are taken for missing, 1 in all"):
        table = load_table(written(tmp_path, TEXT.replace("\n3.0,", "\n-inf,")), "color")
    assert table.X["size"].isna().tolist() == [False, True] + [False] * 28


@pytest.mark.parametrize(
    ("values", "classes", "dtype"),
    [
        (["True", "False"], {True, False}, "bool"),
        (["1.0", "2.0"], {1, 2}, "int64"),
        (["0.5", "1.5", "2"], {"0.5", "1.5", "2.0"}, None),
        (["yes", "no"], {"yes", "no"}, None),
        (["1", "b"], {"1", "b"}, None),
    ],
)
def test_classes_are_what_they_are(tmp_path, values, classes, dtype):
    table = load_table(written(tmp_path, rows("a,y", lambda i: f"{i * 0.5},{values[i % len(values)]}")), "y")
    assert set(table.y) == classes
    assert dtype is None or table.y.dtype == dtype


@pytest.mark.parametrize(
    "y",
    [
        pd.Series([1, 0] * 5, dtype="Int64"),
        pd.Series([True, False] * 5, dtype="boolean"),
        pd.Series([True, False] * 5, dtype=object),
        pd.Series([1, 0] * 5, dtype="category"),
        pd.Series([1, 0] * 5, dtype="uint8"),
        pd.Series([1, 0] * 5, dtype="int64[pyarrow]"),
    ],
    ids=lambda y: str(y.dtype),
)
def test_targets_of_pandas_own_types_become_plain_ones(y):
    table = load_table(pd.DataFrame({"a": np.arange(10) * 0.5, "y": y}), "y")
    assert table.y.dtype in (np.dtype("int64"), np.dtype(bool))
    assert table.y.tolist() == [1, 0] * 5


def test_a_target_of_texts_and_numbers_is_texts():
    with pytest.warns(DataWarning, match="left out 3 of 9 rows"):
        table = load_table(
            pd.DataFrame({"a": np.arange(9) * 0.5, "y": pd.Series([1, "b", None] * 3, dtype=object)}), "y"
        )
    assert table.y.tolist() == ["1", "b"] * 3


@pytest.mark.parametrize("target", ["u, v", ["u", "v"], ("u", "v")])
def test_several_targets_are_labels(tmp_path, target):
    text = rows("a,u,v", lambda i: f"{i * 0.5},{i % 2 == 0},{float(i % 3 == 0)}")
    table = load_table(written(tmp_path, text), target)
    pd.testing.assert_frame_equal(
        table.y, pd.DataFrame({"u": [1 - i % 2 for i in range(20)], "v": [int(i % 3 == 0) for i in range(20)]})
    )
    assert table.X.columns.tolist() == ["a"]


def test_a_name_with_a_comma_is_a_column_before_it_is_a_list(tmp_path):
    text = rows('a;b;"a,b"', lambda i: f"{i * 0.7};{i % 3};{i % 2}")
    table = load_table(written(tmp_path, text), "a,b")
    assert table.y.name == "a,b"
    assert table.X.columns.tolist() == ["a", "b"]


def test_group_and_time_are_not_predicted_from(tmp_path):
    text = rows("who,when,a,y", lambda i: f"p{i % 4},2024-01-{i + 1:02d},{i * 0.5},{i % 2}")
    table = load_table(written(tmp_path, text), "y", group="who", time="when")
    assert table.X.columns.tolist() == ["a"]
    assert table.groups.tolist() == [f"p{i % 4}" for i in range(20)]
    assert table.times.tolist() == list(range(19723, 19743))  # days since 1970
    assert table.notes == ()


def test_times_with_a_zone_and_numbers_order_rows():
    frame = pd.DataFrame(
        {"t": pd.date_range("2024", periods=8, tz="Europe/Rome"), "n": [5, 3, 4, 2] * 2, "a": 0.5, "y": [0, 1] * 4}
    )
    frame["a"] = np.arange(8) * 0.5
    assert load_table(frame, "y", time="t").times[0] == pytest.approx(19723 - 1 / 24)  # midnight in Rome
    assert load_table(frame, "y", time="n", drop="t").times.tolist() == [5, 3, 4, 2] * 2


def test_rows_without_a_target_leave_no_trace_in_groups_and_times():
    frame = pd.DataFrame({"g": [1, 1, 2, 2], "t": [4, 3, 2, 1], "a": [0.5, 1, 2, 4], "y": ["u", None, "v", "u"]})
    with pytest.warns(DataWarning, match="left out 1 of 4 rows"):
        table = load_table(frame, "y", group="g", time="t")
    assert (table.groups.tolist(), table.times.tolist()) == ([1, 2, 2], [4, 2, 1])
    assert table.X.index.tolist() == table.y.index.tolist() == [0, 1, 2]


def test_the_positive_class_makes_a_target_of_true_and_false(tmp_path):
    path = written(tmp_path, TEXT)
    table = load_table(path, "color", positive="blue")
    assert table.y.tolist() == [color == "blue" for color in Y]
    assert table.y.name == "color is blue"
    numbers = load_table(written(tmp_path, rows("a,y", lambda i: f"{i * 0.5},{i % 2}")), "y", positive="0")
    assert numbers.y.tolist() == [True, False] * 10


@pytest.mark.parametrize("name", BUNDLED)
def test_a_set_of_scikit_learn_is_loaded_by_name_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = load_table(name)
        same = load_table(f"sklearn:{name}", "target")
    pd.testing.assert_frame_equal(table.X, same.X)
    assert (table.name, table.source) == (name, f"load_table({name!r})")


def test_a_set_of_scikit_learn_holds_what_scikit_learn_gives():
    X, y = load_digits(return_X_y=True)
    table = load_table("digits")
    assert np.array_equal(table.X, X)
    assert np.array_equal(table.y, y)
    assert load_table("iris", drop="sepal length (cm)").X.shape == (150, 3)


def test_a_file_called_like_a_set_is_given_with_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, TEXT, "iris")
    with pytest.warns(
        DataWarning, match=r"^iris: this is the set of scikit-learn; the file of that name in this folder is"
    ):
        assert load_table("iris").X.shape == (150, 4)
    assert load_table(os.path.join(".", "iris"), "color").X.shape == (30, 2)


def test_the_source_gives_the_same_table_again(tmp_path):
    path = written(tmp_path, rows("who,a,b,y", lambda i: f"p{i % 4},{i * 0.5},{i % 5},{i % 2}"))
    table = load_table(path, "y", group="who", drop=["b"], positive=1)
    again = eval(table.source, {"load_table": load_table})
    assert table.source == f"load_table({str(path)!r}, target='y', group='who', drop=['b'], positive=1)"
    pd.testing.assert_frame_equal(again.X, table.X)
    frame = load_iris(as_frame=True).frame
    assert load_table(frame, "target").source == "load_table(frame, target='target')"


def test_a_frame_is_left_as_it_was():
    frame = pd.DataFrame({7: [0.5, np.inf, 2.0, 1.0], "y": ["u", None, "v", "u"]}, index=[3, 1, 2, 0])
    before = frame.copy()
    with pytest.warns(DataWarning, match="left out 1 of 4 rows"):
        table = load_table(frame, "y")
    assert table.X.columns.tolist() == ["7"]
    pd.testing.assert_frame_equal(frame, before)


def test_texts_of_a_frame_are_taken_at_their_word():
    frame = pd.DataFrame({"zip": ["01234", "00501"] * 10, "a": np.arange(20) * 0.3, "y": [0, 0, 1, 1] * 5})
    assert load_table(frame, "y").X["zip"].tolist() == ["01234", "00501"] * 10


def test_a_frame_with_numbers_for_names_is_asked_for_by_them():
    table = load_table(pd.DataFrame(np.array([[1.5, 0], [2.5, 1], [2.0, 1], [7.5, 0]])), 1)
    assert table.y.tolist() == [0, 1, 1, 0]
    assert table.source == "load_table(frame, target=1)"


def test_groups_and_times_of_pandas_own_types_become_plain_arrays():
    frame = pd.DataFrame({"a": np.arange(4) * 0.5, "y": [0, 1, 1, 0]})
    frame["g"], frame["t"] = pd.Series([1, 1, 2, 2], dtype="Int64"), pd.Series([4, 3, 2, 1], dtype="int64[pyarrow]")
    table = load_table(frame, "y", group="g", time="t")
    assert (table.groups.dtype, table.times.dtype) == (np.int64, np.int64)


def test_a_row_of_tabs_is_a_row_of_missing_values(tmp_path):
    text = "a\tb\ty\n" + "".join(f"{i * 0.5}\t{i % 3}\t{i % 2}\n" for i in range(10)) + "\t\t\n"
    with pytest.warns(DataWarning, match="left out 1 of 11 rows"):
        assert load_table(written(tmp_path, text), "y").X.shape == (10, 2)


def test_fields_in_quotation_marks_hold_separators_and_lines(tmp_path):
    text = rows("a,b,y", lambda i: f'"x, ""{i % 4}""\nz",{i % 3},{i % 2}')
    assert load_table(written(tmp_path, text), "y").X["a"].iloc[1] == 'x, "1"\nz'

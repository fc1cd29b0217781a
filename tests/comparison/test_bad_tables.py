"""What is wrong with a table is said in one line that names it and says what to do."""

import builtins
import bz2
import gzip
import io
import lzma
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearnloss.comparison.tables import check_rows, load_table
from sklearnloss.exceptions import DataError

ROWS = [f"{i * 1.5},{i % 7},{'red' if i % 2 else 'blue'}" for i in range(1, 31)]
GOOD = "\n".join(["size,weight,color", *ROWS, ""])
THIRD = "3.0,2,blue"  # the second row, on line 3


def zipped(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
    return packed.getvalue()


def rows(header, row, n=20):
    return "\n".join([header, *(row(i) for i in range(n)), ""])


# name of the file, what it holds (None: it is not there), what load_table is given, how the message begins
FILES = {
    "a name that is nearly that of a file": (
        "daat.csv",
        None,
        {},
        "there is no file '{}/daat.csv'; did you mean 'data.csv'?",
    ),
    "a name like no file": ("zzzzzz", None, {}, "there is no file '{}/zzzzzz' in '{}'"),
    "a folder that does not exist": (
        "no/data.csv",
        None,
        {},
        "there is no file '{}/no/data.csv': its folder '{}/no' does not exist",
    ),
    "a PNG image": ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", {}, "'a.csv' is no text table: it is a PNG image"),
    "binary data": ("a.csv", b"a,b\n\x00\x01\x02", {}, "'a.csv' is no text table: it holds binary data"),
    "an Excel workbook": (
        "a.xlsx",
        zipped(**{"[Content_Types]__xml": "", "x": ""}),
        {},
        "'a.xlsx' is no text table: it is an Excel workbook",
    ),
    "an empty file": ("a.csv", b"", {}, "'a.csv' is empty; a table has a line of column names"),
    "blank lines": ("a.csv", " \n\n", {}, "'a.csv' is empty; a table has a line of column names"),
    "a header alone": ("a.csv", "size,weight,color\n", {}, "'a.csv' has a header of 3 columns and no rows"),
    "no header": (
        "a.csv",
        "5.1,3.5,red\n" * 5,
        {},
        "'a.csv' seems to have no header, its first line is data: '5.1', '3.5', 'red'; put",
    ),
    "no header, whole numbers": (
        "a.csv",
        "6,148,72,1\n" * 5,
        {},
        "'a.csv' seems to have no header, its first line is data",
    ),
    "two columns of one name": (
        "a.csv",
        GOOD.replace("weight", "size"),
        {},
        "'a.csv': the header has 'size' more than once; each",
    ),
    "a line that is too long": (
        "a.csv",
        GOOD.replace(THIRD, THIRD + ",9"),
        {},
        "'a.csv', line 3: 4 fields, but the header has 3 (separated by commas); put fields",
    ),
    "a line that is too short": (
        "a.csv",
        GOOD.replace(THIRD, "3.0,2"),
        {},
        "'a.csv', line 3: 2 fields, but the header has 3 (separated by commas)",
    ),
    "numbered rows without a name in the header": (
        "a.csv",
        GOOD.replace("\n1.5,", "\n0,1.5,"),
        {},
        "'a.csv', line 2: 4 fields, but the header has 3 (separated by commas); if the first field numbers the rows",
    ),
    "a quotation mark left open": (
        "a.csv",
        GOOD.replace(THIRD, '3.0,2,"blue'),
        {},
        "'a.csv', line 3: a quotation mark is left open",
    ),
    "a quotation mark open over a line": (
        "a.csv",
        GOOD.replace(THIRD, '3.0,"2,blue') + '"\n',
        {},
        "'a.csv', line 3: 2 fields, but the header has 3 (separated by commas); is a quotation mark left open",
    ),
    "a quotation mark open for too long": (
        "a.csv",
        GOOD.replace(THIRD, '3.0,2,"blue') + "x" * 140_000,
        {},
        "'a.csv', line 3: field larger than field limit (131072); is a quotation mark left open?",
    ),
    "two separators that fit": (
        "a.csv",
        rows("a|b,color|x", lambda i: f"{i}|{i},{i % 2}|1"),
        {},
        "'a.csv': commas and bars both split every line evenly; say which are meant: separator=',' (--separator ',')",
    ),
    "a long separator": ("a.csv", GOOD, {"separator": "::"}, "separator must be one character, got '::'"),
    "half of a gzip file": (
        "a.csv.gz",
        gzip.compress(GOOD.encode())[:60],
        {},
        "'a.csv.gz' is damaged: it could not be unpacked (",
    ),
    "half of an xz file": (
        "a.csv.xz",
        lzma.compress(GOOD.encode())[:60],
        {},
        "'a.csv.xz' is damaged: it could not be unpacked (",
    ),
    "half of a bz2 file": (
        "a.csv.bz2",
        bz2.compress(GOOD.encode())[:60],
        {},
        "'a.csv.bz2' is damaged: it could not be unpacked (",
    ),
    "half of a zip file": ("a.zip", zipped(a__csv=GOOD)[:60], {}, "'a.zip' is damaged: it could not be unpacked ("),
    "two files in a zip": (
        "a.zip",
        zipped(a__csv=GOOD, b__csv=GOOD),
        {},
        "'a.zip' must hold one file, it holds 2: 'a.csv', 'b.csv'",
    ),
    "a Parquet file that is damaged": ("a.parquet", b"PAR1....PAR1", {}, "'a.parquet' is no readable Parquet file: "),
    "a text called Parquet": ("a.parquet", GOOD, {}, "'a.parquet' is no readable Parquet file: "),
    "no target": (
        "a.csv",
        GOOD,
        {"target": None},
        "'a.csv': which column is to be predicted? Say target=... (--target ...); columns: 'size', 'weight', 'color'",
    ),
    "a target that is nearly a column": (
        "a.csv",
        GOOD,
        {"target": "colour"},
        "'a.csv' has no column 'colour', given as target; did you mean 'color'? (columns: 'size', 'weight', 'color')",
    ),
    "a target like none of many columns": (
        "a.csv",
        ",".join(f"c{i}" for i in range(3000)) + "\n" + ",".join(["1"] * 3000),
        {"target": "zz"},
        "'a.csv' has no column 'zz', given as target (columns: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', "
        "'c9' and 2990 more)",
    ),
    "a group that is no column": (
        "a.csv",
        GOOD,
        {"group": "sise"},
        "'a.csv' has no column 'sise', given as group; did you mean 'size'?",
    ),
    "a time that is no column": (
        "a.csv",
        GOOD,
        {"time": "sise"},
        "'a.csv' has no column 'sise', given as time; did you mean 'size'?",
    ),
    "a dropped column that is none": (
        "a.csv",
        GOOD,
        {"drop": "sise"},
        "'a.csv' has no column 'sise', given as drop; did you mean 'size'?",
    ),
    "a column named twice": ("a.csv", GOOD, {"drop": "size,size"}, "'a.csv': drop names 'size' twice"),
    "a target that is the group": (
        "a.csv",
        GOOD,
        {"group": "color"},
        "'a.csv': column 'color' is given as target and as group; it can be one of them",
    ),
    "a target that is the time": (
        "a.csv",
        GOOD,
        {"time": "color"},
        "'a.csv': column 'color' is given as target and as time; it can be one of them",
    ),
    "a target that is dropped": (
        "a.csv",
        GOOD,
        {"drop": "color"},
        "'a.csv': column 'color' is given as target and as drop; it can be one of them",
    ),
    "a group with missing values": (
        "a.csv",
        GOOD.replace(THIRD, "3.0,,blue"),
        {"group": "weight"},
        "'a.csv': column 'weight', given as group, is missing in 1 of 30 rows; fill them",
    ),
    "a time with missing values": (
        "a.csv",
        GOOD.replace(THIRD, "3.0,,blue"),
        {"time": "weight"},
        "'a.csv': column 'weight', given as time, is missing in 1 of 30 rows; fill them",
    ),
    "a time of texts": (
        "a.csv",
        rows("t,a,color", lambda i: f"z{i % 4},{i * 0.3},{i % 2}"),
        {"time": "t"},
        "'a.csv': column 't', given as time, holds 'z0', 'z1', 'z2' and 1 more; it must hold numbers, or dates",
    ),
    "one class": (
        "a.csv",
        GOOD.replace("red", "blue"),
        {},
        "'a.csv': target 'color' has one class, 'blue', in all 30 rows",
    ),
    "a target of quantities": (
        "a.csv",
        GOOD,
        {"target": "size"},
        "'a.csv': target 'size' looks continuous: 30 different numbers in 30 rows",
    ),
    "a target of prices": (
        "a.csv",
        rows("a,y", lambda i: f"{i % 3},{i * 10}", n=60),
        {"target": "y"},
        "'a.csv': target 'y' looks continuous: 60 different numbers in 60 rows",
    ),
    "a target that names the rows": (
        "a.csv",
        rows("a,y", lambda i: f"{i * 0.3},n{i}"),
        {"target": "y"},
        "'a.csv': target 'y' names the rows: 20 different values in 20 rows",
    ),
    "a target of dates": (
        "a.csv",
        rows("a,y", lambda i: f"{i * 0.3},2024-01-0{i % 4 + 1}"),
        {"target": "y"},
        "'a.csv': target 'y' holds dates; it must hold classes",
    ),
    "a target that is missing everywhere": (
        "a.csv",
        rows("a,y", lambda i: f"{i * 0.3},?"),
        {"target": "y"},
        "'a.csv': target 'y' is missing in every row",
    ),
    "columns without any value": (
        "a.csv",
        rows("a,b,c,y", lambda i: f"{i * 0.3},,NA,{i % 2}"),
        {"target": "y"},
        "'a.csv': no value at all in 'b', 'c'; leave them out: drop='b,c' (--drop 'b,c')",
    ),
    "nothing beside the target": (
        "a.csv",
        rows("y,z", lambda i: f"{i % 2},{i}"),
        {"target": "y", "drop": "z"},
        "'a.csv' has no column left to predict from, beside the target",
    ),
    "nothing but names of rows": (
        "a.csv",
        rows("a,y", lambda i: f"n{i},{i % 2}"),
        {"target": "y"},
        "'a.csv': no column is left to predict from; left out 'a': 20 rows have 20 different texts",
    ),
    "labels that are no labels": (
        "a.csv",
        rows("a,b,y", lambda i: f"{i * 0.5},x{i % 3},{i % 2}"),
        {"target": "b,y"},
        "'a.csv': of several targets each must hold zeros and ones, 'b' holds 'x0', 'x1', 'x2'; give one target",
    ),
    "a label that is always there": (
        "a.csv",
        rows("a,b,y", lambda i: f"{i * 0.5},1,{i % 2}"),
        {"target": "b,y"},
        "'a.csv': target 'b' is 1 in every row; leave it out of the targets",
    ),
    "a positive class that is none": (
        "a.csv",
        GOOD,
        {"positive": "green"},
        "positive='green' is no class of target 'color': 'red' and 'blue'",
    ),
    "a positive class of several": (
        "a.csv",
        GOOD,
        {"target": "weight", "positive": 1},
        "positive=1 is for two classes; target 'weight' has 7",
    ),
    "a positive class of labels": (
        "a.csv",
        rows("a,b,y", lambda i: f"{i * 0.5},{i % 3 // 2},{i % 2}"),
        {"target": "b,y", "positive": 1},
        "positive=1 is for one target of two classes; 'a.csv' has 2 targets",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, what):
    name, content, options, message = FILES[what]
    (tmp_path / "data.csv").write_text(GOOD)
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as error:
        load_table(tmp_path / name, **{"target": "color", **options})
    assert str(error.value).startswith(message.replace("{}", str(tmp_path)))
    assert "\n" not in str(error.value)


NO_TABLE = "a table is a file, a set of scikit-learn (breast_cancer, digits, iris, wine) or a DataFrame, got "
SOURCES = {
    "an address": ("https://example.org/a.csv", "'https://example.org/a.csv' is an address; download the file"),
    "a set that is nearly one": (
        "sklearn:iri",
        "unknown set of scikit-learn 'iri'; did you mean 'iris'? (there are breast_cancer",
    ),
    "a set that was meant": ("digts", "there is no file 'digts'; did you mean 'digits'?"),
    "a lazy frame": (
        pl.LazyFrame({"a": [1]}),
        NO_TABLE + "LazyFrame; call .collect()",
    ),
    "an array": (
        np.zeros((3, 2)),
        NO_TABLE + "ndarray; arrays go to",
    ),
    "a frame with two columns of one name": (
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "the DataFrame has columns 'a' more than once",
    ),
    "a frame without rows": (pd.DataFrame({"a": [], "y": []}), "the DataFrame has no rows"),
    "a frame with lists": (
        pd.DataFrame({"a": [[1], [2]] * 3, "y": [0, 1] * 3}),
        "columns 'a' hold complex numbers, lists or other containers",
    ),
}


@pytest.mark.parametrize("what", SOURCES)
def test_a_source_that_is_no_table_is_refused_in_one_line(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    source, message = SOURCES[what]
    with pytest.raises(DataError) as error:
        load_table(source, "y")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_folder_without_parquet_files_is_refused(tmp_path):
    (tmp_path / "data.csv").write_text(GOOD)
    with pytest.raises(DataError, match=r"is a folder without \.parquet files; give a CSV or Parquet file"):
        load_table(tmp_path, "color")


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "data.csv"
    path.write_text(GOOD)

    def refuse(file, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(DataError) as error:
        load_table(path, "color")
    assert str(error.value) == f"could not read {str(path)!r}: Permission denied"


@pytest.mark.parametrize(("module", "name"), [("pandas", "data.csv"), ("pyarrow", "data.parquet")])
def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch, module, name):
    pd.DataFrame({"a": [1.5, 2.0], "y": [0, 1]}).to_parquet(tmp_path / "data.parquet")
    Path(tmp_path / "data.csv").write_text(GOOD)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'needs py?.*: pip install "sklearnloss\[data\]"'):
        load_table(tmp_path / name, "color")


@pytest.mark.parametrize(
    ("y", "n_splits", "groups", "message"),
    [
        ("ab", 3, None, "2 rows cannot be split into 3 parts; give more rows, or at most 2 splits"),
        (
            "aabbc",
            2,
            None,
            "only one row of class 'c'; a class needs two, to learn from one and judge by another: add rows",
        ),
        ([3, 3, 1, 2, 1, 4], 2, None, "only one row of class 2, 4; a class needs two"),
        ([*range(15), *range(3)], 2, None, "only one row of class 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 2 more; a class"),
        ("aabb", 3, [1, 1, 2, 2], "2 groups, each kept whole, cannot be split into 3 parts; give at most 2 splits"),
        (
            [[1, 0], [1, 1], [1, 0]],
            2,
            None,
            "labels '0', '1' (counted from 0) have fewer than two ones or zeros; leave them out",
        ),
    ],
)
def test_rows_that_cannot_be_split_are_refused(y, n_splits, groups, message):
    y = list(y) if isinstance(y, str) else y
    with pytest.raises(DataError) as error:
        check_rows(y, n_splits, groups=groups)
    assert str(error.value).startswith(message)


def test_rows_that_can_be_split_pass():
    check_rows(["a", "a", "b", "b"], 4, groups=[1, 2, 3, 4])
    check_rows(np.array([[1, 0], [1, 1], [0, 1], [0, 0]]), 3)

"""``sklearnloss compare``."""

import csv
import errno
import gzip
import json
import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs

from sklearnloss.cli.compare import stem

pytestmark = pytest.mark.filterwarnings("always::sklearnloss.exceptions.SklearnLossWarning")  # printed, as for users

QUICK = ("--losses", "cross_entropy,gce", "--epochs", "2", "--folds", "2", "--repeats", "1", "--jobs", "1")


def rows(n=40, classes=2):
    """Return a table of two numbers and a class."""
    X, y = make_blobs(n, n_features=2, centers=classes, random_state=0)
    return pd.DataFrame(X, columns=["a", "b"]).assign(y=np.array(["no", "yes", "maybe"])[y])


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A good table, in an empty folder that commands run in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    rows().to_csv(tmp_path / "data.csv", index=False)
    return tmp_path / "data.csv"


def text(content):
    return lambda path: path.write_text(content)


def frame(change):
    return lambda path: change(rows()).to_csv(path, index=False)


def header_twice(path):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["a", "a", "y"], *[[i, i, i % 2] for i in range(20)]])


BAD_DATA = {
    "missing file": (None, [], "there is no file"),
    "a directory": (lambda path: path.mkdir(), [], "is a folder without .parquet files"),
    "a picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4), [], "is no text"),
    "an empty file": (text(""), [], "is empty"),
    "a header only": (text("a,b,y\n"), [], "no rows"),
    "a ragged line": (text("a,b,y\n1,2,no\n1,2,3,4\n1,2,yes\n"), [], "line 3"),
    "a missing target": (frame(lambda f: f), ["--target", "yy"], "did you mean 'y'"),
    "duplicate columns": (header_twice, [], "'a'"),
    "one class": (frame(lambda f: f.assign(y="no")), [], "one class"),
    "a continuous target": (frame(lambda f: f.assign(y=np.linspace(0, 1, 40))), [], "looks continuous"),
    "a column that is all missing": (frame(lambda f: f.assign(a=np.nan)), [], "'a'"),
    "fewer rows than folds": (
        frame(lambda f: f.iloc[[0, 1, 2, 3]]),
        ["--folds", "5"],
        "4 rows cannot be split into 5 parts",
    ),
    "a class with one row": (frame(lambda f: f.assign(y=["x", *f["y"][1:]])), [], "'x'"),
    "a missing group": (frame(lambda f: f), ["--group", "patient"], "patient"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_one_line_on_stderr_and_nothing_is_written(run, tmp_path, monkeypatch, case):
    make, arguments, message = BAD_DATA[case]
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    path = tmp_path / "data.csv"
    if make is not None:
        make(path)
    result = run("compare", path, "--target", "y", *QUICK, *arguments)
    errors = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert (result.exit_code, result.stdout, len(errors)) == (2, "", 1), result.output
    assert errors[0].startswith("error: ")
    assert message in errors[0]
    assert list(work.iterdir()) == []


BAD_ARGUMENTS = {
    "unknown loss": (["--losses", "cross_entropy,lrd"], "unknown loss 'lrd'; did you mean 'ldr'?"),
    "loss of another task": (["--losses", "asl,supcon"], "supcon"),
    "no loss": (["--losses", ","], "losses is empty"),
    "grid that is missing": (["--losses", "grid.toml"], "grid file 'grid.toml' does not exist"),
    "unknown scorer": (["--scoring", "acuracy"], "did you mean 'accuracy'?"),
    "unknown baseline": (["--baseline", "lrd"], "did you mean 'ldr'?"),
    "budget": (["--budget", "soon"], "budget must be a positive time such as '10m'"),
    "epochs": (["--epochs", "0"], "--epochs must be an int in [1, inf), got 0"),
    "folds": (["--folds", "1"], "number of folds in [2, inf)"),
    "repeats": (["--repeats", "0"], "repeats must be an int in [1, inf), got 0"),
    "rope": (["--rope", "-1"], "rope must be a float in [0, inf)"),
    "seed": (["--seed", "-1"], "random_state must be an int in [0, 2**31)"),
    "large seed": (["--seed", "99999999999"], "random_state must be an int in [0, 2**31)"),
    "jobs": (["--jobs", "0"], "n_jobs must not be 0"),
    "more folds than rows of a class": (["--folds", "30"], "30 folds, but the largest class has 20 rows"),
    "dropped column": (["--drop", "c"], "'c'"),
    "time that repeats": (["--time", "a"], "with times it must be 1"),
    "folder under a file": (["--out", "/dev/null/x"], "could not write '/dev/null/x'"),
    "folder of something else": (["--out", "/etc"], "holds no comparison, but other files"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_a_bad_argument_is_one_line_on_stderr_and_nothing_is_written(run, data, case):
    arguments, message = BAD_ARGUMENTS[case]
    repeats = ["--repeats", "2"] if case == "time that repeats" else []
    result = run("compare", data, "--target", "y", *QUICK, *repeats, *arguments)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1), result.output
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert list(Path.cwd().iterdir()) == []


def test_a_table_is_printed_and_the_last_line_names_the_report(run, data):
    result = run("compare", data, "--target", "y", *QUICK)
    assert result.exit_code == 0, result.output
    assert result.lines[0].split()[:2] == ["loss", "accuracy"]
    assert {line.split()[0] for line in result.lines[1:3]} == {"cross_entropy", "gce"}
    assert result.lines[-1] == "report: compare-data/report.html"
    folder = Path("compare-data")
    assert sorted(p.name for p in folder.iterdir()) == ["comparison.json", "fits.jsonl", "report.html", "result.json"]
    assert (folder / "report.html").read_text().startswith("<!")


def test_the_same_command_does_nothing_twice(run, data):
    first = run("compare", data, "--target", "y", *QUICK)
    before = Path("compare-data/fits.jsonl").read_bytes()
    again = run("compare", data, "--target", "y", *QUICK)
    assert again.stdout == first.stdout
    assert "found 4 of 4 fits" in again.stderr
    assert Path("compare-data/fits.jsonl").read_bytes() == before


def test_other_settings_get_a_folder_of_their_own_unless_it_was_named(run, data):
    for folder, seed in [("compare-data", 0), ("compare-data-2", 1), ("compare-data", 0), ("compare-data-3", 2)]:
        result = run("compare", data, "--target", "y", *QUICK, "--seed", seed)
        assert result.lines[-1] == f"report: {folder}/report.html"
    named = run("compare", data, "--target", "y", *QUICK, "--seed", "3", "--out", "compare-data")
    assert (named.exit_code, named.stdout) == (2, "")
    assert "holds a comparison with another splits" in named.stderr


def test_json_is_all_there_is_on_stdout(run, data):
    result = run("compare", data, "--target", "y", *QUICK, "--json")
    found = json.loads(result.stdout)
    assert {row["loss"] for row in found["rows"]} == {"cross_entropy", "gce"}
    assert found == json.loads(Path("compare-data/result.json").read_text())


def test_the_code_that_is_kept_prints_the_score_again(run, data, capsys):
    for arguments in (("--losses", "gce,mae_proba,focal"), ("--losses", "gce", "--time", "a")):
        repeats = () if "--time" in arguments else ("--repeats", "2")
        common = ("--epochs", "2", "--folds", "2", "--jobs", "1", "--out", f"out{len(arguments)}", "--json")
        result = run("compare", data, "--target", "y", *arguments, *common, *repeats)
        found = json.loads(result.stdout)
        exec(compile(found["code"], "<code>", "exec"), {})
        assert capsys.readouterr().out.strip() == f"{found['rows'][0]['score']:.4f}"


def test_suggested_losses_come_with_their_reasons(run, data):
    common = ("--epochs", "2", "--folds", "2", "--repeats", "1", "--jobs", "1", "--losses", "suggested")
    result = run("compare", data, "--target", "y", *common)
    assert result.exit_code == 0, result.output
    assert any(line.startswith("cross_entropy: the one to beat") for line in result.lines)


def test_a_set_of_scikit_learn_a_grid_file_and_a_score(run, data):
    Path("grid.toml").write_text("cross_entropy = {}\n[gce]\nq = [0.4, 0.7]\n")
    arguments = ("--losses", "grid.toml", "--scoring", "balanced_accuracy,accuracy", "--folds", "2", "--epochs", "2")
    result = run("compare", "iris", *arguments, "--repeats", "1", "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert result.lines[0].split()[:3] == ["loss", "balanced", "accuracy"]
    assert {line.split()[0] for line in result.lines[1:4]} == {"cross_entropy", "gce(q=0.4)", "gce(q=0.7)"}


def test_groups_times_and_several_labels(run, tmp_path, data):
    table = rows().assign(when=range(40), who=[i // 4 for i in range(40)], z=[i % 2 for i in range(40)])
    table["y"] = (table["y"] == "yes").astype(int)
    table.to_csv(tmp_path / "more.csv", index=False)
    common = ("--epochs", "2", "--folds", "2", "--jobs", "1", "--json")
    for arguments, plan in [
        (("--target", "y", "--group", "who"), "2 stratified folds, groups kept whole, repeated twice"),
        (("--target", "y", "--time", "when"), "2 folds forward in time"),
        (("--target", "y,z"), "2 folds, repeated twice"),
    ]:
        losses = "bce" if "," in arguments[1] else "gce"
        result = run("compare", tmp_path / "more.csv", *arguments, "--losses", losses, *common)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["settings"]["plan"] == plan


def test_a_budget_that_ends_it_is_said(run, data):
    result = run("compare", data, "--target", "y", *QUICK, "--budget", "0.000001")
    assert result.exit_code == 0
    assert "not finished: the same command goes on from here" in result.stderr
    assert "not run" in result.stdout


def test_if_no_loss_has_a_score_the_status_is_one(run, data):
    result = run("compare", data, "--target", "y", *QUICK, "--scoring", "f1")  # it asks which of the words is positive
    assert result.exit_code == 1
    assert "failed: ValueError" in result.stdout
    assert "0 of 2 splits" in result.stdout


def test_on_a_narrow_terminal_columns_give_way(run, data):
    wide = run("compare", data, "--target", "y", *QUICK, columns=200)
    narrow = run("compare", data, "--target", "y", *QUICK, columns=70)
    assert max(len(line) for line in narrow.lines[:3]) <= 70 < max(len(line) for line in wide.lines[:3])


@pytest.mark.parametrize("room", [0, 2, 4, 6], ids=["at the start", "first fit", "third fit", "at the end"])
def test_a_full_disk_is_one_line_and_costs_no_fit_that_was_kept(run, data, monkeypatch, room):
    true_sync, calls = os.fsync, iter(range(1000))

    def full(handle):
        if next(calls) >= room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        true_sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        result = run("compare", data, "--target", "y", *QUICK)
    assert result.exit_code == 2
    assert bool(result.stdout) == (room == 6)  # the table comes before what is written at the end
    assert result.stderr.splitlines()[-1].startswith("error: could not write 'compare-data/")
    assert result.stderr.splitlines()[-1].endswith("No space left on device")
    after = run("compare", data, "--target", "y", *QUICK)
    assert after.exit_code == 0
    assert len(Path("compare-data/fits.jsonl").read_bytes().splitlines()) == 4


def test_a_report_that_cannot_be_written_is_said_after_the_table(run, data):
    Path("compare-data").mkdir()
    run("compare", data, "--target", "y", *QUICK)
    Path("compare-data/report.html").unlink()
    Path("compare-data/report.html").mkdir()
    result = run("compare", data, "--target", "y", *QUICK)
    assert result.exit_code == 2
    assert result.lines[0].startswith("loss")
    assert result.stderr.splitlines()[-1] == "error: could not write 'compare-data/report.html': it is a directory"


@pytest.mark.parametrize(
    "write",
    [
        lambda table, path: table.to_csv(path, index=False, sep=";"),
        lambda table, path: table.to_csv(path, index=False, encoding="utf-8-sig"),
        lambda table, path: table.assign(y=table["y"].replace("no", "näö")).to_csv(
            path, index=False, encoding="latin-1"
        ),
        lambda table, path: path.write_bytes(gzip.compress(table.to_csv(index=False).encode())),
        lambda table, path: table.to_parquet(path),
    ],
    ids=["semicolons", "BOM", "latin-1", "gzip", "parquet"],
)
def test_files_as_people_have_them(run, data, tmp_path, write, request):
    name = {"gzip": "x.csv.gz", "parquet": "x.parquet"}.get(request.node.callspec.id, "x.csv")
    write(rows(), tmp_path / name)
    result = run("compare", tmp_path / name, "--target", "y", *QUICK)
    assert result.exit_code == 0, result.output
    assert result.lines[-1] == "report: compare-x/report.html"


def test_folders_are_called_like_the_data():
    names = ["data.csv", "a.b.csv.gz", "digits", "set.parquet", "no.ending", "."]
    assert [stem(name) for name in names] == ["data", "a.b", "digits", "set", "no.ending", "."]


def test_the_folder_is_for_the_user_as_others_are(run, data):
    run("compare", data, "--target", "y", *QUICK)
    (Path.cwd() / "plain").mkdir()
    assert stat.S_IMODE(Path("compare-data").stat().st_mode) == stat.S_IMODE(Path("plain").stat().st_mode)

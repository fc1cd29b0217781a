"""``sklearnloss compare --bags``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs

pytestmark = pytest.mark.filterwarnings("always::sklearnloss.exceptions.SklearnLossWarning")  # printed, as for users

QUICK = ("--losses", "proportion_ce,em_llp", "--epochs", "2", "--folds", "2", "--repeats", "1", "--jobs", "1")
PARTIES = ("--target", "right,left,none", "--drop", "vote,state,day")


def votes():
    """Return 12 precincts of 6 rows in 4 states: two numbers, the shares of three parties, and the vote of each row."""
    X, y = make_blobs(72, n_features=2, centers=3, random_state=0)
    precinct = np.random.default_rng(0).permutation(72) // 6
    shares = np.array([np.bincount(y[precinct == p], minlength=3) / 6 for p in range(12)])[precinct]
    table = pd.DataFrame(X, columns=["a", "b"]).assign(precinct=[f"P{p}" for p in precinct], state=precinct % 4)
    table[["right", "left", "none"]] = shares
    return table.assign(vote=np.array(["right", "left", "none"])[y], day=range(72))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A good table, in an empty folder that commands run in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    votes().to_csv(tmp_path / "votes.csv", index=False)
    return tmp_path / "votes.csv"


def test_a_table_is_printed_and_the_last_line_names_the_report(run, data):
    result = run("compare", data, "--bags", "precinct", *PARTIES, *QUICK)
    assert result.exit_code == 0, result.output
    assert result.lines[0].split()[:4] == ["loss", "negative", "bag", "KL"]
    assert {line.split()[0] for line in result.lines[1:3]} == {"proportion_ce", "em_llp"}
    assert "votes.csv: 72 rows in 12 bags, llp; 2 stratified folds of whole bags, all splits" in result.lines
    assert result.lines[-1] == "report: compare-votes/report.html"
    names = ["comparison.json", "fits.jsonl", "report.html", "result.json"]
    assert sorted(p.name for p in Path("compare-votes").iterdir()) == names
    again = run("compare", data, "--bags", "precinct", *PARTIES, *QUICK, "--task", "llp")
    assert again.stdout == result.stdout
    assert "found 4 of 4 fits" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "classes"),
    [
        (PARTIES, ["left", "none", "right"]),
        (("--target", "left", "--drop", "right,none,vote,state,day"), ["0", "1"]),
        (("--target", "vote", "--drop", "right,left,none,day", "--group", "state"), ["left", "none", "right"]),
    ],
    ids=["shares", "share", "classes and groups"],
)
def test_the_code_that_is_kept_prints_the_score_again(run, data, capsys, arguments, classes):
    result = run("compare", data, "--bags", "precinct", *arguments, *QUICK, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found == json.loads(Path("compare-votes/result.json").read_text())
    assert found["data"]["class_names"] == classes
    assert "LLPClassifier(max_epochs=2)" in found["code"]
    exec(compile(found["code"], "<code>", "exec"), {})
    assert capsys.readouterr().out.strip() == f"{found['rows'][0]['score']:.4f}"


def test_grids_scores_and_suggestions_work_as_for_other_tasks(run, data):
    Path("grid.toml").write_text("proportion_ce = {}\n[bag_interp]\nrho = [0.1, 0.3]\n")
    common = ("--bags", "precinct", *PARTIES, "--folds", "2", "--epochs", "2", "--repeats", "1", "--jobs", "1")
    result = run("compare", data, *common, "--losses", "grid.toml", "--scoring", "bag_l1,bag_kl", "--rope", "0.02")
    assert result.exit_code == 0, result.output
    assert {line.split()[0] for line in result.lines[1:4]} == {
        "proportion_ce",
        "bag_interp(rho=0.1)",
        "bag_interp(rho=0.3)",
    }
    assert "closer than 0.02 is equivalent" in result.stdout
    suggested = run("compare", data, *common, "--losses", "suggested")
    assert suggested.exit_code == 0, suggested.output
    assert any(line.startswith("em_llp: half of the bags have at most 6 rows") for line in suggested.lines)


def test_labels_of_rows_are_used_for_a_column_that_says_so(run, data):
    arguments = ("--target", "vote", "--drop", "right,left,none,state,day")
    result = run("compare", data, "--bags", "precinct", *arguments, *QUICK)
    assert "row accuracy" in result.lines[0]
    assert any(line.startswith("row accuracy looks at labels of the rows held out") for line in result.lines)


BAD = {
    "no bags": ([*PARTIES, "--task", "llp"], "task='llp' learns from bags of rows; say which row is of which"),
    "another task": (["--bags", "precinct", *PARTIES, "--task", "multiclass"], "learns from labels of rows"),
    "a misspelled column": (["--bags", "precint", *PARTIES], "given as bags; did you mean 'precinct'?"),
    "a misspelled share": (["--bags", "precinct", "--target", "right,letf,none"], "did you mean 'left'?"),
    "bags without a target": (["--bags", "precinct"], "which column is to be predicted?"),
    "a column of two roles": (["--bags", "left", *PARTIES], "column 'left' is given as target and as bags"),
    "shares that do not sum to one": (["--bags", "precinct", "--target", "left,none"], "not to 1 (within 0.001)"),
    "shares that differ in a bag": (["--bags", "state", *PARTIES[:2]], "has different proportions on its rows"),
    "numbers that differ in a bag": (["--bags", "precinct", "--target", "a"], "has different proportions on its rows"),
    "fewer bags than folds": (["--bags", "precinct", *PARTIES, "--folds", "13"], "12 bags, each kept whole, cannot be"),
    "one bag to train on": (["--bags", "three", "--target", "vote"], "trains on one bag"),
    "percent": (["--bags", "precinct", "--target", "percent"], "shares lie in [0, 1]"),
    "missing bags": (["--bags", "gaps", *PARTIES], "column 'gaps', given as bags, is missing in 18 of 72 rows"),
    "missing shares": (["--bags", "state", "--target", "torn"], "is missing in 1 of the 18 rows of bag 0"),
    "groups that cut bags": (["--bags", "precinct", *PARTIES, "--group", "b"], "has rows of several groups"),
    "times": (["--bags", "precinct", "--target", "left", "--time", "day"], "splits forward in time cut bags apart"),
    "a loss of rows": (["--bags", "precinct", *PARTIES, "--losses", "focal"], "'focal' needs the label of each row"),
    "a loss of bags without them": (["--target", "vote"], "'proportion_ce' learns from bags of rows; say which row is"),
    "a score of rows": (["--bags", "precinct", *PARTIES, "--scoring", "accuracy"], "judges rows by their labels"),
    "a misspelled score": (["--bags", "precinct", *PARTIES, "--scoring", "bag_k"], "did you mean 'bag_kl'?"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_one_line_on_stderr_and_nothing_is_written(run, data, case):
    arguments, message = BAD[case]
    table = votes()
    three, torn = table["state"] % 3, np.where(table["state"] == 3, 0.4, 0.2)
    torn[table["state"].eq(0).argmax()] = np.nan
    gaps = table["precinct"].where(table["state"] != 1)
    more = {
        "three": three,
        "torn": torn,
        "gaps": gaps,
        "percent": 100 * table["left"],
    }
    table.assign(**more).to_csv(data, index=False)
    result = run("compare", data, *QUICK, *arguments)
    errors = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert (result.exit_code, result.stdout, len(errors)) == (2, "", 1), result.output
    assert errors[0].startswith("error: ")
    assert message in errors[0]
    assert list(Path.cwd().iterdir()) == []

"""Comparing query strategies: what is run, what is kept, and what the numbers say."""

import json
import os
import re
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.sparse import csr_matrix
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

from sklearnloss import Strategy, compare_strategies, rank, simulate, strategy
from sklearnloss.active.simulate import seeds_of, split_pool
from sklearnloss.comparison.report.files import read
from sklearnloss.comparison.statistics import holm
from sklearnloss.comparison.strategies import usual_strategies
from sklearnloss.comparison.strategy_findings import penalty_matrix, rounds_won
from sklearnloss.comparison.strategy_result import COLORS
from sklearnloss.diagnostics.al_vs_passive import al_vs_passive
from sklearnloss.exceptions import (
    ComparisonInterrupted,
    DataError,
    DataWarning,
    LoadError,
    ParameterError,
    TaskError,
    UnknownNameError,
)

X, Y = load_digits(return_X_y=True)
X = X[:600, 26:38] / 16
Y = Y[:600]
QUICK = {"n_rounds": 3, "n_seeds": 2}


def compared(strategies=("margin",), *, model=None, rows=(X, Y), **arguments):
    return compare_strategies(model or GaussianNB(), *rows, strategies=strategies, **QUICK | arguments)


@strategy("broken_in_a_test")
def broken(proba):
    """Fail."""
    raise RuntimeError("this strategy\nis broken")


# -- runs -------------------------------------------------------------------------------------------------------------


def test_each_curve_is_that_of_the_simulation_on_the_split_of_its_seed():
    result = compared(["margin", "coreset"], batch_size=7)
    assert result.n_labels.tolist() == [20, 27, 34, 41]
    for i, seed in enumerate(seeds_of(0, 2)):
        pool, test = split_pool(Y, 0.3, seed, classes=True)
        for name in ("margin", "coreset", "random"):
            run = simulate(
                GaussianNB(), X[pool], Y[pool], X[test], Y[test],
                strategy=name, batch_size=7, n_rounds=3, random_state=seed,
            )  # fmt: skip
            assert result.curves[name][i].tolist() == run.scores.tolist()
            assert result.scores[name][i] == run.area


def test_the_curves_are_those_of_the_diagnostic_of_the_same_seed():
    result, found = compared(), al_vs_passive(GaussianNB(), X, Y, **QUICK)
    assert result.curves["margin"].tolist() == found.active.tolist()
    assert result.curves["random"].tolist() == found.passive.tolist()
    assert result.full_score == pytest.approx(found.full_score)


def test_pool_and_test_rows_have_the_classes_in_their_proportions_and_are_all_rows():
    y = np.repeat(["a", "b", "c", "d"], [60, 30, 9, 1])
    for seed in range(3):
        pool, test = split_pool(y, 0.3, seed, classes=True)
        assert sorted([*pool, *test]) == list(range(100))
        assert {c: int((y[test] == c).sum()) for c in "abd"} == {"a": 18, "b": 9, "d": 0}
    assert len(split_pool(np.arange(10.0), 0.3, 0, classes=False)[1]) == 3


def test_chance_is_always_among_them_and_begins_with_the_same_rows():
    result = compared(["margin", "entropy"])
    assert result.names == ["random", "margin", "entropy"]
    assert len({tuple(curve[:, 0]) for curve in result.curves.values()}) == 1
    assert compared(["margin", "random"]).names == ["margin", "random"]
    named = compared({"chance": "random", "mine": Strategy("entropy")}, n_seeds=1)
    assert named.names == ["chance", "mine"]
    assert named.settings.baseline == "chance"


def test_a_baseline_of_another_name_is_added_and_tested_against():
    result = compared(["margin"], baseline=Strategy("typiclust", n_neighbors=5))
    assert result.names == ["typiclust(n_neighbors=5)", "random", "margin"]
    assert result.settings.baseline == "typiclust(n_neighbors=5)"
    assert {row.strategy for row in result.rows if np.isnan(row.p)} == {"typiclust(n_neighbors=5)"}
    assert not np.isnan(result.full_score)


def test_the_same_numbers_come_whatever_the_number_of_jobs():
    @strategy("local_to_a_test")
    def local(proba, *, rng):
        return proba.max(axis=1) + 1e-3 * rng.random(len(proba))

    one, two = (compared(["margin", local, "qbc"], committee=3, n_jobs=n) for n in (None, 2))
    assert {name: c.tolist() for name, c in one.curves.items()} == {name: c.tolist() for name, c in two.curves.items()}


def test_seeds_that_a_model_leaves_open_are_those_of_the_run():
    model = MLPClassifier((4,), max_iter=5)
    a, b = (compared(model=model, n_rounds=1) for _ in range(2))
    assert a.curves["margin"].tolist() == b.curves["margin"].tolist()
    assert a.curves["margin"][:, 0].tolist() == a.curves["random"][:, 0].tolist()
    assert model.random_state is None


def test_a_strategy_that_fails_is_a_row_and_costs_no_other():
    result = compared({"broken": broken, "margin": "margin"})
    row = result.rows[-1]
    assert (row.strategy, row.status, row.reason) == ("broken", "failed", "RuntimeError: this strategy")
    assert list(result.curves) == ["random", "margin"]
    assert len(result.records["broken"]) == 1  # it was not tried again
    assert result.finished
    assert "broken  failed: RuntimeError: this strategy" in result.to_text()


def test_a_score_that_is_no_number_is_a_failure_that_says_where():
    result = compared(scoring=lambda model, X, y: np.nan, n_seeds=1)
    assert {row.status for row in result.rows} == {"failed"}
    assert result.rows[0].reason == "ValueError: the score '<lambda>' is nan with 20 labels"
    assert repr(result) == "<StrategyComparison on data: no strategy has a learning curve>"
    with pytest.raises(DataError, match="no strategy has a learning curve; random: ValueError"):
        _ = result.best


def test_a_regression_several_labels_and_a_model_without_probabilities_have_strategies_of_their_own():
    sugar = load_diabetes(return_X_y=True)
    result = compare_strategies(Ridge(), *sugar, n_seeds=1, n_rounds=1)
    assert result.names == ["random", "greedy_x", "greedy_xy", "qbc_variance"]
    assert (result.settings.metric, result.settings.classes) == ("R²", 0)
    assert [row.status for row in result.rows] == ["ok"] * 4
    X_many, Y_many = make_multilabel_classification(150, n_features=6, n_classes=3, random_state=0)
    many = OneVsRestClassifier(LogisticRegression())
    result = compare_strategies(many, X_many, Y_many, n_seeds=1, n_rounds=1)
    assert result.names == list(usual_strategies(many, Y_many))
    assert [row.status for row in result.rows] == ["ok"] * 4
    assert usual_strategies(RidgeClassifier(), Y) == ("random", "coreset", "typiclust", "probcover")


def test_tables_of_every_kind_are_replayed():
    array = compared(n_seeds=1)
    frame = compared(rows=(pd.DataFrame(X, columns=[f"x{i}" for i in range(12)]), pd.Series(Y)), n_seeds=1)
    words = compared(rows=(X.tolist(), [f"class {label}" for label in Y]), n_seeds=1)
    assert array.curves["margin"].tolist() == frame.curves["margin"].tolist() == words.curves["margin"].tolist()
    model = LogisticRegression(max_iter=500)
    dense, thin = (compared(model=model, rows=(rows, Y), n_seeds=1) for rows in (X, csr_matrix(X)))
    np.testing.assert_allclose(dense.curves["margin"], thin.curves["margin"], atol=0.02)


def test_another_score_is_looked_at_and_called_by_its_name():
    result = compared(scoring="neg_log_loss", n_seeds=1, n_initial=40)
    assert result.settings.metric == "neg log loss"
    assert (result.curves["margin"] < 0).all()
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9]}, cv=2, scoring="f1_macro")
    assert compared(model=search, n_seeds=1, n_rounds=1).settings.metric == "score"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"strategies": ["margn"]}, UnknownNameError, "unknown strategy 'margn'; did you mean 'margin'"),
        ({"strategies": ["greedy_y"]}, TaskError, "asks by predictions of numbers, but GaussianNB is a classifier"),
        ({"strategies": [Strategy("typiclust", n_neighbors=0)]}, ParameterError, "n_neighbors must be"),
        ({"strategies": ["margin", Strategy("margin")]}, DataError, "strategies holds 'margin' twice"),
        ({"strategies": {"random": "margin"}}, DataError, "strategies holds 'random' twice"),
        ({"baseline": "chance"}, UnknownNameError, "unknown strategy 'chance'"),
        ({"comittee": 3}, ParameterError, "has no parameter 'comittee'; did you mean 'committee'"),
        ({"committee": 1}, ValueError, "'committee' parameter"),
        ({"n_seeds": 0}, ParameterError, r"n_seeds must be an int in \[1, inf\), got 0"),
        ({"batch_size": 2.0}, ParameterError, r"batch_size must be an int in \[1, inf\), got 2.0"),
        ({"test_size": 1.0}, ParameterError, r"test_size must be a float in \(0, 1\), got 1.0"),
        ({"random_state": None}, ParameterError, r"random_state must be an int in \[0, 2\*\*31\), got None"),
        ({"n_jobs": 0}, ParameterError, "n_jobs must not be 0"),
        ({"scoring": "acuracy"}, ValueError, "acuracy"),
        ({"n_initial": 415}, DataError, "of 600 rows 420 are the pool and 180 judge, too few for n_initial=415"),
        ({"rows": (X, np.where(Y > 3, np.nan, Y))}, DataError, "y lacks 3.. of 600; leave these rows out"),
        ({"rows": (X[:9], Y)}, ValueError, "inconsistent numbers of samples"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        compared(**{"store": tmp_path / "store"} | arguments)
    assert not (tmp_path / "store" / "fits.jsonl").exists()


# -- what is kept -----------------------------------------------------------------------------------------------------


def lines(folder):
    return [json.loads(line) for line in (folder / "fits.jsonl").read_bytes().splitlines()]


def test_what_was_run_is_not_run_again_and_more_is_added(tmp_path):
    first = compared(store=tmp_path)
    before = (tmp_path / "fits.jsonl").read_bytes()
    again = compared(store=tmp_path)
    assert (tmp_path / "fits.jsonl").read_bytes() == before
    assert again.curves["margin"].tolist() == first.curves["margin"].tolist()
    assert again.full_score == first.full_score
    more = compared(["margin", "entropy"], n_seeds=3, store=tmp_path)
    done = lines(tmp_path)
    assert [(r["strategy"], r["repeat"]) for r in done[4:]] == [
        ("entropy", 0), ("entropy", 1), ("random", 2), ("margin", 2), ("entropy", 2),
    ]  # fmt: skip
    assert more.curves["margin"][:2].tolist() == first.curves["margin"].tolist()


def test_a_strategy_whose_code_or_parameters_have_changed_is_run_anew(tmp_path):
    def make(sign):
        @strategy("mine_of_a_test")
        def mine(proba):
            return sign * proba.max(axis=1)

        return mine

    for spec, runs in ((make(1), 2), (make(1), 2), (make(-1), 3), (Strategy("probcover", radius=0.5), 4),
                       (Strategy("probcover", radius=0.6), 5)):  # fmt: skip
        compared({"mine": spec}, n_seeds=1, n_rounds=1, store=tmp_path)
        assert len(lines(tmp_path)) == runs


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"rows": (X + 1, Y)}, "data"),
        ({"model": GaussianNB(var_smoothing=1e-3)}, "estimator"),
        ({"n_rounds": 2}, "settings"),
        ({"test_size": 0.4}, "settings"),
        ({"random_state": 1}, "settings"),
        ({"committee": 3}, "settings"),
        ({"scoring": "f1_macro"}, "scoring"),
    ],
)
def test_a_store_of_another_comparison_is_refused(tmp_path_factory, changes, what):
    folder = tmp_path_factory.getbasetemp() / "kept_strategies"
    compared(n_seeds=1, store=folder)
    with pytest.raises(LoadError, match=f"holds a comparison with another {what}; name another folder"):
        compared(n_seeds=1, store=folder, **changes)


SCRIPT = """
import sys, time
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearnloss import compare_strategies
from sklearnloss.comparison import strategy_runs
true = strategy_runs._replayed

def slow(*arguments):
    time.sleep(0.15)  # so that it is killed within a run
    return true(*arguments)

strategy_runs._replayed = slow
compare_strategies(GaussianNB(), *load_iris(return_X_y=True), strategies=["margin", "coreset"],
                   n_initial=6, n_rounds=3, n_seeds=4, store=sys.argv[1])
"""


def test_killed_it_goes_on_from_the_runs_that_had_ended_and_ends_as_if_undisturbed(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    path = tmp_path / "fits.jsonl"
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < 4):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before = path.read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    assert 4 <= whole.count(b"\n") < 12
    arguments = {"strategies": ["margin", "coreset"], "n_initial": 6, "n_rounds": 3, "n_seeds": 4}
    resumed = compare_strategies(GaussianNB(), *load_iris(return_X_y=True), **arguments, store=tmp_path)
    undisturbed = compare_strategies(GaussianNB(), *load_iris(return_X_y=True), **arguments)
    assert path.read_bytes().startswith(whole)
    assert len(lines(tmp_path)) == 12  # none was done twice
    for name, curves in undisturbed.curves.items():
        assert resumed.curves[name].tolist() == curves.tolist()


def test_broken_off_it_hands_back_what_was_finished(tmp_path):
    calls = []

    @strategy("interrupting")
    def interrupting(proba, *, rng):
        calls.append(1)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return rng.random(len(proba))

    with pytest.raises(ComparisonInterrupted, match=r"after 3 of 4 runs; the same call goes on from") as caught:
        compared({"odd": interrupting}, store=tmp_path)
    result = caught.value.result
    assert not result.finished
    assert {name: len(curve) for name, curve in result.curves.items()} == {"random": 1, "odd": 1}
    assert "1 of 2 seeds" in result.to_text()


def test_progress_is_told_of_strategies_and_runs(capsys):
    compared(n_seeds=1, progress=True)
    assert re.search(r"split 1 of 1: \w+ accuracy 0\.\d{4} is ahead  \(2 of 2 runs", capsys.readouterr().err)


# -- numbers ----------------------------------------------------------------------------------------------------------

BASE = 0.5 + np.array([[0.0, 0.1, 0.2, 0.3]] * 4) + 0.01 * np.random.default_rng(0).normal(size=(4, 4))
BASE[:, 0] = 0.5
NOISE = 0.004 * np.random.default_rng(1).normal(size=(4, 4))
NOISE[:, 0] = 0.0
AHEAD, BEHIND, LEVEL = BASE + NOISE + [0, 0.06, 0.06, 0.0], BASE - NOISE - [0, 0.0, 0.06, 0.06], BASE + NOISE
THREE = {"random": BASE, "good": AHEAD, "bad": BEHIND, "same": LEVEL}


def test_rounds_are_won_by_paired_t_tests():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 200))
    expected = []
    for x, y in zip(a.T, b.T, strict=True):
        t = np.sqrt(5) * (x - y).mean() / (x - y).std(ddof=1)
        expected.append(int(np.sign(t)) if abs(t) > stats.t.ppf(0.975, 4) else 0)
    assert rounds_won(a, b).tolist() == expected
    assert {-1, 0, 1} == set(expected)
    assert rounds_won(b, a).tolist() == [-e for e in expected]


def test_a_round_is_tied_where_scores_are_the_same_and_won_where_all_seeds_differ_alike():
    same = np.full((3, 2), 0.7)
    assert rounds_won(same, same).tolist() == [0, 0]
    assert rounds_won(same + 0.125, same).tolist() == [1, 1]
    assert rounds_won(same[:1] + 0.1, same[:1]).tolist() == [0, 0]  # one seed proves nothing


def test_the_penalty_of_a_row_is_the_share_of_rounds_in_which_the_column_beats_it():
    curves = [BASE[:, 1:], AHEAD[:, 1:], BEHIND[:, 1:]]
    found = penalty_matrix(curves)
    expected = [[(rounds_won(b, a) > 0).sum() / 3 for b in curves] for a in curves]
    np.testing.assert_allclose(found, expected)
    assert found[0, 1] == pytest.approx(2 / 3)  # good beats random in two of three rounds
    assert found[0, 2] == 0
    assert found[2, 0] == pytest.approx(2 / 3)
    assert np.diag(found).tolist() == [0, 0, 0]


def test_rows_are_ranked_by_area_and_tested_against_the_baseline(made_strategies):
    result = made_strategies(THREE)
    assert [row.strategy for row in result.rows][::3] == ["good", "bad"]
    rows = {row.strategy: row for row in result.rows}
    areas = {name: ((c[:, 1:] + c[:, :-1]) / 2).mean(axis=1) for name, c in THREE.items()}
    p = {name: stats.ttest_rel(areas[name], areas["random"]).pvalue for name in ("good", "bad", "same")}
    adjusted = dict(zip(p, holm(list(p.values())), strict=True))
    for name in p:
        assert rows[name].area == pytest.approx(areas[name].mean())
        assert rows[name].difference == pytest.approx((areas[name] - areas["random"]).mean())
        assert rows[name].p == pytest.approx(p[name])
        assert rows[name].p_holm == pytest.approx(adjusted[name])
        assert rows[name].wins + rows[name].ties + rows[name].losses == 3
    assert (rows["good"].wins, rows["bad"].losses) == (2, 2)
    assert np.isnan(rows["random"].p)


def test_intervals_are_enlarged_for_the_rows_that_seeds_share(made_strategies):
    result = made_strategies(THREE)
    areas = result.scores["good"]
    half = stats.t.ppf(0.975, 3) * np.sqrt(areas.var(ddof=1) * (1 / 4 + 0.3 / 0.7))
    row = result.rows[0]
    assert (row.low, row.high) == (pytest.approx(areas.mean() - half), pytest.approx(areas.mean() + half))
    low, high = result.interval("good")
    half = stats.t.ppf(0.975, 3) * np.sqrt(AHEAD.var(axis=0, ddof=1) * (1 / 4 + 0.3 / 0.7))
    np.testing.assert_allclose(high - low, 2 * half, atol=1e-12)
    top = made_strategies({"random": [[0.9, 1.0], [0.8, 0.9]]})
    assert top.interval("random")[1].max() <= 1


def test_labels_to_reach_the_last_score_of_the_baseline(made_strategies):
    result = made_strategies(
        {
            "random": [[0.5, 0.6, 0.7], [0.5, 0.8, 0.9]],
            "fast": [[0.5, 0.8, 0.7], [0.5, 0.8, 0.7]],
            "slow": [[0.5] * 3] * 2,
        }
    )
    assert {row.strategy: row.labels for row in result.rows} == {"random": 40, "fast": 30, "slow": np.inf}
    assert "> 40" in result.to_text()


def test_a_single_seed_has_no_intervals_and_no_tests(made_strategies):
    result = made_strategies({"random": [0.5, 0.6], "good": [0.5, 0.9]})
    row = result.rows[0]
    assert np.isnan([row.low, row.p, row.p_holm]).all()
    assert (row.wins, row.ties, row.losses) == (0, 1, 0)
    assert np.isnan(result.interval("good")).all()


def test_the_table_is_over_seeds_that_all_were_run_with(made_strategies):
    result = made_strategies(THREE, failed={"broken": "no"}, unscored=["late"], finished=False)
    del result.records["good"][3]
    assert {name: len(curve) for name, curve in result.curves.items()} == dict.fromkeys(THREE, 3)
    assert [(row.strategy, row.status) for row in result.rows[4:]] == [("broken", "failed"), ("late", "not run")]
    assert "3 of 4 seeds" in result.to_text()


def test_fewer_labels_than_columns_are_warned_of_unless_the_gain_is_clear(made_strategies):
    few = made_strategies(THREE, columns=60)
    assert few.warning.startswith("50 labels for 60 columns: below one label a column 'same' and 'bad' may be behind ")
    assert "careful: 50 labels for 60 columns" in few.to_text()
    assert not made_strategies(THREE, columns=50).warning
    assert not made_strategies({"random": BASE, "good": AHEAD}, columns=60).warning
    wide = np.random.default_rng(0).normal(size=(300, 80))
    with pytest.warns(DataWarning, match="50 labels for 80 columns: below one label a column 'margin' may be"):
        compared(rows=(wide, (wide[:, 0] > 0).astype(int)), n_seeds=1)


def test_margin_learns_faster_than_chance_on_digits():
    rows = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=300)
    result = compare_strategies(model, rows[0] / 16, rows[1], strategies=["margin"], n_rounds=8, n_seeds=3)
    assert result.best == "margin"
    assert result.rows[0].difference > 0
    assert result.rows[0].final > result.rows[1].final
    assert result.full_score > result.rows[0].final


# -- views ------------------------------------------------------------------------------------------------------------


def test_the_table_in_words_has_a_line_for_each_strategy_and_gives_way(made_strategies):
    result = made_strategies(THREE)
    head, *body = result.to_text().splitlines()[:5]
    assert re.split(r"  +", head) == [
        "strategy", "area", "95 % interval", "to random", "p (Holm)", "verdict", "won/tied/lost", "at 50 labels",
        f"labels to {result.rows[[r.strategy for r in result.rows].index('random')].final:.3f}", "query",
    ]  # fmt: skip
    assert [line.split()[0] for line in body] == [row.strategy for row in result.rows]
    assert "  better  " in body[0]
    assert str(result) == result.to_text()
    narrow = result.to_text(70)
    assert max(map(len, narrow.splitlines()[:5])) <= 70
    assert narrow.startswith("strategy")


def test_a_frame_has_a_row_for_each_strategy(made_strategies):
    frame = made_strategies(THREE, failed={"broken": "no"}).to_frame()
    assert list(frame.index)[::4] == ["good", "broken"]
    assert {"area", "low", "high", "p_holm", "wins", "labels", "query_seconds"} <= set(frame.columns)


def test_a_result_says_what_it_is(made_strategies):
    result = made_strategies(THREE)
    good, base = result.rows[0].area, result.scores["random"].mean()
    assert repr(result) == (
        f"<StrategyComparison of 4 strategies on made up, 4 seeds: best good {good:.4f}, random {base:.4f} (mean "
        "accuracy from 20 to 50 labels)>"
    )
    assert result._repr_html_().startswith("<pre>strategy")


def test_results_of_several_data_sets_can_be_ranked(made_strategies):
    a, b = (made_strategies({k: v + d for k, v in THREE.items()}, name=n) for n, d in (("a", 0.0), ("b", 0.1)))
    ranking = rank([a, b])
    assert next(iter(ranking.ranks)) == "good"


def test_a_picture_shows_every_curve_and_bands_of_those_that_stand_out(made_strategies):
    many = {"random": BASE} | {f"s{i}": AHEAD + 0.01 * i for i in range(6)}
    result = made_strategies(many, columns=30)
    ax = result.plot()
    curves = {line.get_label(): line for line in ax.lines}
    assert set(curves) == {*many, "a label a column", "all labels"}
    np.testing.assert_allclose(curves["s5"].get_ydata(), result.curves["s5"].mean(axis=0))
    assert len(ax.collections) == 4  # three and the baseline
    assert curves["s5"].get_color() == COLORS[0]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [*(row.strategy for row in result.rows), "a label a column", "all labels"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("labels", "accuracy")
    plt.close(ax.figure)


def test_a_picture_has_the_colors_of_the_page():
    css = read("page.css")
    assert COLORS == tuple(re.findall(r"--c\d: light-dark\((#\w+)", css))

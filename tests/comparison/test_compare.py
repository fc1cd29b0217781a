"""Comparing losses: the same splits and seeds for all, whatever happens meanwhile."""

import contextlib
import io
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris, make_blobs, make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklearnloss
from sklearnloss import Loss, LossClassifier, compare, make_preprocessor
from sklearnloss.comparison.progress import Quiet
from sklearnloss.exceptions import (
    ComparisonInterrupted,
    DataError,
    DataWarning,
    LoadError,
    ParameterError,
    SklearnLossError,
    TaskError,
    UnknownNameError,
)

TWO = ["cross_entropy", "gce"]


class Counter(Quiet):
    """Count the fits; break off after some."""

    def __init__(self, until=math.inf):
        self.fits, self.until = [], until

    def fitted(self, candidate, record):
        self.fits.append((candidate.name, record["repeat"], record["fold"]))
        if len(self.fits) >= self.until:
            raise KeyboardInterrupt


def printed(code, **space):
    """Return what a script prints, and what it leaves."""
    output, threads = io.StringIO(), torch.get_num_threads()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "<code>", "exec"), space)
    torch.set_num_threads(threads)
    return output.getvalue().strip(), space


def test_scores_are_those_of_scikit_learn_with_the_same_splits_and_seeds(result, blobs, quick):
    for name, loss in [("ce", "cross_entropy"), ("gce(q=0.4)", Loss("gce", q=0.4))]:
        scores = []
        for seed in (0, 1):
            model = make_pipeline(make_preprocessor(), LossClassifier(**quick.get_params()))
            model[-1].set_params(loss=loss, random_state=seed)
            folds = StratifiedKFold(3, shuffle=True, random_state=seed)
            scores.extend(cross_val_score(model, *blobs, cv=folds))
        assert result.scores[name].tolist() == scores


def test_the_table_is_ranked_and_every_loss_has_a_row(result):
    rows = {row.loss: row for row in result.rows}
    assert rows.keys() == {"ce", "gce(q=0.4)", "gce(q=0.7)", "broken"}
    scored = [row.score for row in result.rows if row.status == "ok"]
    assert scored == sorted(scored, reverse=True)
    assert result.rows[-1].loss == "broken"
    assert result.best == result.rows[0].loss
    for name in ("ce", "gce(q=0.4)"):
        row = rows[name]
        assert row.fits == 6
        assert row.score == pytest.approx(np.mean(result.scores[name]))
        assert row.low <= row.score <= row.high
        assert 0 <= row.ece <= 1
        assert row.nll > 0
        assert row.fit_seconds > row.predict_seconds > 0
    assert (rows["ce"].proper, rows["gce(q=0.4)"].proper) == (True, False)
    assert math.isnan(rows["ce"].p)
    assert rows["gce(q=0.4)"].difference == pytest.approx(rows["gce(q=0.4)"].score - rows["ce"].score)
    assert rows["gce(q=0.4)"].p <= rows["gce(q=0.4)"].p_holm <= 1
    assert rows["gce(q=0.4)"].worse + rows["gce(q=0.4)"].equivalent + rows["gce(q=0.4)"].better == pytest.approx(1)


def test_a_loss_that_fails_says_why_and_costs_one_fit(result):
    row = result.rows[-1]
    assert (row.status, row.reason) == ("failed", "RuntimeError: this loss")
    assert len(result.records["broken"]) == 1
    assert "broken  failed: RuntimeError: this loss" in str(result)
    assert "in broken" in result.records["broken"][0]["traceback"]


def test_calibration_and_confusion_are_those_of_the_rows_held_out(blobs, quick):
    X, y = blobs
    train, test = np.arange(80), np.arange(80, 120)
    result = compare(X, y, losses="cross_entropy", estimator=quick, cv=[(train, test)])
    (record,) = result.records["cross_entropy"]
    model = result.pipeline("cross_entropy").fit(X[train], y[train])
    proba, predicted = model.predict_proba(X[test]), model.predict(X[test])
    by_hand = -np.log(proba[np.arange(40), y[test]]).mean()
    assert record["calibration"]["nll"] == pytest.approx(by_hand)
    squares = ((proba - np.eye(3)[y[test]]) ** 2).sum(1).mean()
    assert record["calibration"]["brier"] == pytest.approx(squares)
    assert sum(record["calibration"]["bins"]["count"]) == 40
    sure, right = proba.max(1), proba.argmax(1) == y[test]
    assert record["calibration"]["ks"] >= abs(sure.mean() - right.mean())
    assert 0 < record["calibration"]["ece"] < 1
    assert 0 < record["calibration"]["ece_classwise"] < 1
    assert 0 < record["calibration"]["ece_equal_mass"] < 1
    table = np.zeros((3, 3), int)
    np.add.at(table, (y[test], predicted), 1)
    assert record["confusion"] == table.tolist()
    curve = record["curve"]
    assert curve["epoch"] == [1, 2, 3, 4, 5, 6]
    assert curve["loss"] == model[-1].loss_curve_
    assert curve["score"][-1] == record["scores"]["accuracy"]


def test_the_learning_curve_changes_nothing(blobs, quick, result):
    X, y = blobs
    split = next(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y))
    model = result.pipeline("ce").fit(X[split[0]], y[split[0]])
    assert model[-1].loss_curve_ == result.records["ce"][0]["curve"]["loss"]


def test_results_do_not_depend_on_the_number_of_jobs(result, blobs, quick):
    arguments = {"losses": {"gce": {"q": [0.4]}, "ce": "cross_entropy"}, "estimator": quick, "cv": 3}
    side_by_side = compare(*blobs, **arguments, n_jobs=2)
    for name in ("ce", "gce(q=0.4)"):
        assert side_by_side.scores[name].tolist() == result.scores[name].tolist()
        losses = [[r["curve"]["loss"] for r in kept.records[name]] for kept in (side_by_side, result)]
        assert losses[0] == losses[1]


def test_a_loss_that_kills_its_process_is_a_row(blobs, quick):
    def deadly(logits, y):
        import os

        os._exit(9)

    result = compare(*blobs, losses={"a": "cross_entropy", "b": deadly}, estimator=quick, cv=2, repeats=1, n_jobs=2)
    assert [(row.loss, row.status) for row in result.rows] == [("a", "ok"), ("b", "failed")]
    assert "ended without a word" in result.rows[1].reason
    assert result.rows[0].fits == 2


# -- the choices --------------------------------------------------------------------------------------------------


def test_frames_with_missing_values_and_words_are_taken_as_they_are(quick):
    rng = np.random.default_rng(0)
    y = rng.choice(["no", "yes"], 90)
    X = pd.DataFrame({"a": rng.normal(size=90) + (y == "yes"), "b": rng.choice(["u", "v", None], 90)})
    X.loc[::7, "a"] = np.nan
    result = compare(X, y, losses=TWO, estimator=quick, cv=3, repeats=1)
    assert [row.status for row in result.rows] == ["ok", "ok"]
    assert result.settings.task == "binary"
    assert set(result.best_estimator().predict(X)) <= {"no", "yes"}


def test_two_columns_of_one_name_are_refused(blobs, quick):
    frame = pd.DataFrame(blobs[0], columns=["a", "b", "a", "c"])
    with pytest.raises(DataError, match="X has the column 'a' more than once"):
        compare(frame, blobs[1], losses=["gce"], estimator=quick)


def test_several_labels(quick):
    X, y = make_multilabel_classification(90, n_features=6, n_classes=3, random_state=0)
    result = compare(X, y, losses=["bce", "asl"], estimator=quick, cv=3, repeats=1)
    assert result.settings.task == "multilabel"
    assert result.metric == "f1_micro"
    train, test = next(
        __import__("sklearn.model_selection").model_selection.KFold(3, shuffle=True, random_state=0).split(X)
    )
    model = result.pipeline("bce").fit(X[train], y[train])
    assert result.scores["bce"][0] == f1_score(y[test], model.predict(X[test]), average="micro")
    assert compare(X, csr_matrix(y), losses=["bce"], estimator=quick, cv=2, repeats=1).settings.task == "multilabel"


def test_sparse_rows(blobs, quick):
    result = compare(csr_matrix(blobs[0]), blobs[1], losses=TWO, estimator=quick, cv=2, repeats=1)
    assert [row.status for row in result.rows] == ["ok", "ok"]


def test_uneven_classes_are_ranked_by_balanced_accuracy_and_the_table_says_so(uneven, quick):
    result = compare(*uneven, losses=TWO, estimator=quick, cv=3, repeats=1)
    assert result.metric == "balanced_accuracy"
    assert "ranked by balanced accuracy, as the largest class has 12 times the rows of the smallest" in str(result)
    assert compare(*uneven, losses=TWO, scoring="accuracy", estimator=quick, cv=3, repeats=1).metric == "accuracy"


def test_scores_of_ones_own_and_of_scikit_learn(blobs, quick):
    def share_of_zeros(model, X, y):
        return float((model.predict(X) == 0).mean())

    scoring = [share_of_zeros, "neg_log_loss", make_scorer(f1_score, average="macro")]
    result = compare(*blobs, losses=["cross_entropy", "hinge"], scoring=scoring, estimator=quick, cv=3, repeats=1)
    assert result.metric == "share_of_zeros"
    rows = {row.loss: row for row in result.rows}
    assert len(rows["cross_entropy"].scores) == 3
    assert rows["cross_entropy"].scores["neg_log_loss"] == pytest.approx(-rows["cross_entropy"].nll, rel=1e-5)
    assert math.isnan(rows["hinge"].scores["neg_log_loss"])  # it has no probabilities
    assert math.isnan(rows["hinge"].ece)


def test_a_loss_without_the_score_to_rank_by_is_a_row_that_says_so(blobs, quick):
    result = compare(
        *blobs, losses=["cross_entropy", "hinge"], scoring="neg_log_loss", estimator=quick, cv=3, repeats=1
    )
    assert result.rows[1].status == "failed"
    assert "predict_proba" in result.rows[1].reason
    assert result.rows[0].high <= 0


def test_weights_and_row_facts_reach_the_losses(blobs, quick):
    X, y = blobs
    seen = []

    def spy(logits, y, *, sample_weight=None, teacher=None):
        seen.append((sample_weight is not None, teacher is not None))
        return logits.sum(1) * 0

    teacher, weights = np.eye(3)[y], np.ones(len(y))
    result = compare(
        X,
        y,
        losses=["kd", spy],
        row_facts={"teacher": teacher},
        sample_weight=weights,
        estimator=quick,
        cv=2,
        repeats=1,
    )
    assert {row.status for row in result.rows} == {"ok"}
    assert set(seen) == {(True, True)}
    assert result.settings.fit_facts == ("teacher", "sample_weight")
    result.best_estimator()


def test_in_time_a_class_that_comes_late_is_known_from_the_start(quick):
    X, y = make_blobs(90, n_features=3, centers=3, random_state=0)
    order = np.argsort(y, kind="stable")
    result = compare(X[order], y[order], times=np.arange(90), losses=TWO, estimator=quick, cv=3)
    assert [row.status for row in result.rows] == ["ok", "ok"]
    assert all(len(r["confusion"]) == 3 for r in result.records["gce"])


def test_the_baseline_is_the_tasks_the_first_or_the_one_that_is_named(blobs, quick):
    def baseline(losses, **more):
        found = compare(*blobs, losses=losses, estimator=quick, cv=2, repeats=1, **more)
        return found.settings.baseline, len(found.rows)

    assert baseline(["gce", "cross_entropy"]) == ("cross_entropy", 2)
    assert baseline(["gce", "focal"]) == ("gce", 2)
    assert baseline(["gce", "focal"], baseline="focal") == ("focal", 2)
    assert baseline(["gce", "focal"], baseline=Loss("ldr", lam=2.0)) == ("ldr(lam=2.0)", 3)


def test_epochs_make_about_as_many_steps_whatever_the_size():
    X, y = load_iris(return_X_y=True)
    assert "max_epochs" not in compare(X, y, losses=["cross_entropy"], cv=2, repeats=1).settings.estimator  # 100
    from sklearnloss.comparison.compare import _model
    from sklearnloss.comparison.protocols import PROTOCOLS
    from sklearnloss.comparison.splitting import plan_splits

    y = np.tile([0, 1], 10_000)
    model = _model(None, PROTOCOLS["binary"], plan_splits(y[:, None], y))
    assert model.max_epochs == 32  # 125 batches an epoch


def test_a_preprocessor_of_ones_own_or_none(blobs, quick):
    for given, written in [(StandardScaler(), "StandardScaler()"), (None, "FunctionTransformer()")]:
        result = compare(*blobs, losses=TWO, preprocessor=given, estimator=quick, cv=2, repeats=1)
        assert result.settings.preprocessor == written
        assert result.rows[0].status == "ok"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"task": "multilable"}, UnknownNameError, "unknown task 'multilable'; did you mean 'multilabel'"),
        ({"task": "binary"}, TaskError, "task='binary', but y is multiclass"),
        ({"losses": ["lrd"]}, UnknownNameError, "did you mean 'ldr'"),
        ({"losses": ["aucm"]}, TaskError, "Only binary classification"),
        ({"baseline": "supcon"}, TaskError, "makes no prediction"),
        ({"scoring": "acuracy"}, UnknownNameError, "unknown scorer 'acuracy'; did you mean 'accuracy'"),
        ({"scoring": []}, ParameterError, "scoring is empty"),
        ({"rope": -1}, ParameterError, r"rope must be a float in \[0, inf\), got -1"),
        ({"budget": "soon"}, ParameterError, "budget must be a positive time"),
        ({"random_state": None}, ParameterError, "random_state must be an int"),
        ({"estimator": LogisticRegression()}, TaskError, "estimator must be a LossClassifier"),
        ({"estimator": LossClassifier(warm_start=True)}, ParameterError, "leave checkpoint and warm_start off"),
        ({"preprocessor": "scale"}, ParameterError, "preprocessor must be 'auto', a transformer or None"),
        ({"progress": "loud"}, ParameterError, "progress must be a bool or 'auto'"),
        ({"cv": 1}, DataError, "cv must be a number of folds"),
        ({"row_facts": {"teacher": np.zeros(3)}}, DataError, "teacher must have one row per row of X, 120"),
        ({"groups": np.zeros(5)}, ValueError, "inconsistent numbers of samples"),
        ({"n_jobs": 0}, ParameterError, "n_jobs must not be 0"),
        ({"times": np.full(120, np.nan)}, DataError, "times is missing in 120 of 120 rows"),
        ({"row_facts": {"teachr": np.zeros(120)}}, DataError, "no loss asks for; did you mean 'teacher'"),
        ({"scoring": [make_scorer(f1_score), make_scorer(f1_score)]}, ParameterError, "two of the name '_Scorer'"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_fit(blobs, arguments, error, message):
    counter = Counter()
    with pytest.raises(error, match=message):
        compare(*blobs, **({"progress": counter} | arguments))
    assert counter.fits == []


# -- budget, interrupts, the store --------------------------------------------------------------------------------


def test_a_budget_ends_it_and_the_table_is_over_the_splits_that_all_have(blobs, quick, monkeypatch):
    counter = Counter()
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    with pytest.warns(DataWarning, match=r"the budget ended the comparison after \d+ of 12 fits"):
        result = compare(*blobs, losses=TWO, estimator=quick, cv=3, budget=6, progress=counter)
    assert not result.finished
    assert len(counter.fits) < 12
    rounds = len(counter.fits) // 2
    assert rounds > 0
    assert [row.fits for row in result.rows] == [rounds, rounds]
    assert f"{rounds} of 6 splits" in str(result)
    assert f"over {rounds} of these 6 splits" in result.code()


def test_splits_are_done_one_after_the_other_so_that_losses_stay_level(blobs, quick):
    counter = Counter()
    compare(*blobs, losses=TWO, estimator=quick, cv=2, progress=counter)
    assert counter.fits == [(loss, repeat, fold) for repeat in (0, 1) for fold in (0, 1) for loss in TWO]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_keeps_what_was_finished_and_the_same_call_goes_on(blobs, quick, tmp_path, n_jobs):
    arguments = {"losses": TWO, "estimator": quick, "cv": 3, "repeats": 1, "store": tmp_path / "s", "n_jobs": n_jobs}
    with pytest.raises(ComparisonInterrupted, match="after 3 of 6 fits; the same call goes on from") as stopped:
        compare(*blobs, **arguments, progress=Counter(until=3))
    assert sum(row.fits for row in stopped.value.result.rows) >= 2
    rest = Counter()
    again = compare(*blobs, **arguments, progress=rest)
    assert len(rest.fits) == 3
    assert again.finished
    undisturbed = compare(*blobs, **(arguments | {"store": None}))
    for loss in TWO:
        assert again.scores[loss].tolist() == undisturbed.scores[loss].tolist()


def test_more_losses_and_more_repeats_use_what_is_there(blobs, quick, tmp_path):
    arguments = {"estimator": quick, "cv": 2, "store": tmp_path / "s"}
    compare(*blobs, losses=["gce"], repeats=1, **arguments)
    more = Counter()
    compare(*blobs, losses=["gce", "ldr"], repeats=2, **arguments, progress=more)
    assert sorted(more.fits) == sorted([("gce", 1, 0), ("gce", 1, 1), *(("ldr", r, f) for r in (0, 1) for f in (0, 1))])


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"scoring": "balanced_accuracy"}, "scoring"),
        ({"cv": 3}, "splits"),
        ({"random_state": 1}, "splits"),
        ({"preprocessor": None}, "preprocessor"),
        ({"estimator": LossClassifier(max_epochs=2)}, "estimator"),
        ({"sample_weight": np.ones(120)}, "data"),
        ({"preprocessor": FunctionTransformer(np.abs)}, "preprocessor"),
        ({"estimator": LossClassifier(hidden_layer_sizes=(8,), lr=0.05, max_epochs=6, dropout=0.1)}, "estimator"),
        ({"threads": 2}, "threads"),
    ],
)
def test_a_store_of_something_else_is_not_mixed_in(blobs, quick, tmp_path, changed, what):
    arguments = {"losses": ["gce"], "estimator": quick, "cv": 2, "repeats": 1, "store": tmp_path / "s"}
    compare(*blobs, **arguments)
    with pytest.raises(LoadError, match=f"another .*{what}"):
        compare(*blobs, **(arguments | changed))


def test_scorers_are_known_by_what_they_do_not_by_their_names(blobs, quick, tmp_path):
    arguments = {"losses": ["gce"], "estimator": quick, "cv": 2, "repeats": 1, "store": tmp_path / "s"}
    compare(*blobs, scoring={"mine": make_scorer(f1_score, average="macro")}, **arguments)
    with pytest.raises(LoadError, match="another scoring"):
        compare(*blobs, scoring={"mine": make_scorer(f1_score, average="micro")}, **arguments)


def test_with_splits_of_ones_own_the_seed_still_counts(blobs, quick, tmp_path):
    arguments = {"losses": ["gce"], "estimator": quick, "cv": KFold(2), "store": tmp_path / "s"}
    compare(*blobs, random_state=0, **arguments)
    with pytest.raises(LoadError, match="another splits"):
        compare(*blobs, random_state=1, **arguments)


def test_dates_order_rows_and_are_part_of_the_store(blobs, quick, tmp_path):
    days = np.datetime64("2024-01-01") + np.arange(120)
    arguments = {"losses": ["gce"], "estimator": quick, "cv": 2, "store": tmp_path / "s"}
    compare(*blobs, times=days, **arguments)
    with pytest.raises(LoadError, match="another data"):
        compare(*blobs, times=days[::-1], **arguments)


def test_rows_of_one_time_on_both_sides_are_warned_of(blobs, quick):
    with pytest.warns(DataWarning, match="rows of one time are on both sides of a fold"):
        compare(*blobs, times=np.repeat(np.arange(4), 30), losses=["gce"], estimator=quick, cv=2)


def test_a_scorer_that_only_this_process_knows_reaches_the_workers(blobs, quick):
    scoring = {"mine": make_scorer(lambda truth, predicted: float((truth == predicted).mean()))}
    frame = pd.DataFrame(blobs[0], columns=list("abcd"))
    arguments = {"losses": ["gce"], "estimator": quick, "cv": 2, "repeats": 1, "scoring": scoring}
    alone, together = (compare(frame, blobs[1], **arguments, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert alone.scores["gce"].tolist() == together.scores["gce"].tolist()


# -- what it gives ------------------------------------------------------------------------------------------------


def test_the_best_estimator_is_the_pipeline_on_all_rows(result, blobs):
    model = result.best_estimator()
    assert [name for name, _ in model.steps] == ["prepare", "model"]
    assert model.predict(blobs[0]).shape == (120,)
    other = result.best_estimator("ce")
    assert other[-1].loss == "cross_entropy"
    with pytest.raises(DataError, match="the comparison has no loss 'ldr'; it has"):
        result.best_estimator("ldr")


def test_the_code_prints_the_same_score(result, blobs):
    text, space = printed(result.code().replace("X, y = ...", "X, y = given"), given=blobs)
    assert text == f"{result.rows[0].score:.4f}"
    assert np.array_equal(space["best"].predict(blobs[0]), result.best_estimator().predict(blobs[0]))


@pytest.mark.parametrize("how", ["groups", "times", "weights"])
def test_the_code_knows_groups_times_and_weights(quick, how):
    X, y = make_blobs(90, n_features=3, centers=3, cluster_std=4.0, random_state=0)
    frame = pd.DataFrame(X, columns=list("abc"))
    values = {"groups": np.arange(90) // 3, "times": -np.arange(90), "weights": np.linspace(0.5, 2, 90)}[how]
    name = {"weights": "sample_weight"}.get(how, how)
    result = compare(frame, y, losses=["gce"], estimator=quick, cv=3, source=f"X, y, {name} = given", **{name: values})
    text, _ = printed(result.code(), given=(frame, y, values))
    assert text == f"{result.rows[0].score:.4f}"


def test_the_code_brings_weights_into_the_order_of_time(quick):
    X, y = make_blobs(90, n_features=3, centers=3, cluster_std=4.0, random_state=0)
    times, weights = -np.arange(90), np.linspace(0.1, 5, 90)
    arguments = {"times": times, "sample_weight": weights, "source": "X, y, times, sample_weight = given"}
    result = compare(X, y, losses=["gce"], estimator=quick, cv=3, scoring="neg_brier_score", **arguments)
    text, _ = printed(result.code(), given=(X, y, times, weights))
    assert text == f"{result.rows[0].score:.4f}"


def mine(logits, y):
    """Cross entropy of one's own."""
    return torch.nn.functional.cross_entropy(logits, y, reduction="none")


def share_right(model, X, y):
    """Accuracy of one's own."""
    return float((model.predict(X) == y).mean())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"losses": [mine]}, "mine = ...  # yours: the loss"),
        ({"losses": [Loss(mine) + 0.1 * Loss("gce")]}, "mine = ...  # yours: the loss"),
        ({"losses": {"l": lambda logits, y: mine(logits, y)}}, "loss = ...  # yours: the loss"),
        ({"scoring": share_right}, "scorer = ...  # yours: share_right"),
        ({"preprocessor": FunctionTransformer(np.abs)}, "preprocessor = ...  # yours: FunctionTransformer(func="),
        ({"cv": KFold(2).split(np.zeros(120))}, "splitter = ...  # yours: <generator object"),
    ],
)
def test_what_python_cannot_write_is_a_line_to_fill_in(blobs, quick, arguments, line):
    result = compare(*blobs, **({"losses": ["gce"], "estimator": quick, "cv": 2} | arguments))
    code = result.code().replace("X, y = ...", "X, y = given")
    (left_out,) = [text for text in code.splitlines() if "# yours: " in text]
    assert left_out.startswith(line)
    bring = {
        "mine": mine,
        "loss": mine,
        "scorer": share_right,
        "preprocessor": FunctionTransformer(np.abs),
        "splitter": list(KFold(2).split(np.zeros(120))),
    }
    code = re.sub(r"^(\w+) = \.\.\.  # yours: .*$", r"\1 = bring['\1']", code, flags=re.M)
    assert printed(code, given=blobs, bring=bring)[0] == f"{result.rows[0].score:.4f}"


def test_a_frame_has_a_row_per_loss_and_every_number(result):
    frame = result.to_frame()
    assert list(frame.index) == [row.loss for row in result.rows]
    assert frame.loc["ce", "score"] == frame.loc["ce", "mean_accuracy"] == np.mean(result.scores["ce"])
    assert frame.loc["broken", "reason"] == "RuntimeError: this loss"


def test_json_is_standard_and_whole(result, tmp_path):
    import json

    text = result.to_json(tmp_path / "result.json")
    assert (tmp_path / "result.json").read_text() == text
    found = json.loads(text, parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))
    assert [row["loss"] for row in found["rows"]] == [row.loss for row in result.rows]
    assert len(found["fits"]["ce"]) == 6
    assert found["settings"]["versions"]["sklearnloss"] == sklearnloss.__version__


def test_the_table_gives_way_on_a_narrow_terminal(result):
    from sklearnloss.comparison.text import table

    wide, narrow = str(result), table(result, width=60)
    assert max(map(len, narrow.splitlines()[:4])) <= 60
    assert {"loss", "accuracy", "verdict"} <= set(narrow.splitlines()[0].split())
    assert "balanced accuracy" in wide
    assert "balanced accuracy" not in narrow


def test_a_picture_has_a_row_per_loss(result):
    import matplotlib

    matplotlib.use("agg")
    ax = result.plot()
    assert [text.get_text() for text in ax.get_yticklabels()] == [r.loss for r in result.rows if r.status == "ok"][::-1]
    import matplotlib.pyplot as plt

    plt.close(ax.figure)


def test_without_a_score_there_is_no_best(blobs, quick):
    def wrong(logits, y):
        raise ValueError("no")

    result = compare(*blobs, losses=[wrong], estimator=quick, cv=2, repeats=1)
    assert str(result).startswith("wrong  failed: ValueError: no")
    assert repr(result) == "<Comparison on data: no loss has a score>"
    with pytest.raises(DataError, match="no loss has a score; wrong: ValueError: no"):
        result.best_estimator()


def test_warnings_of_a_fit_are_kept_not_shown(blobs, quick):
    def grumbling(logits, y):
        warnings.warn("it rains", UserWarning, stacklevel=1)
        return logits.sum(1) * 0

    result = compare(*blobs, losses=[grumbling], estimator=quick, cv=2, repeats=1)
    assert result.rows[0].warnings == ("UserWarning: it rains",)


def test_global_settings_are_left_as_they_were(blobs, quick):
    torch.set_num_threads(1)
    state = torch.get_rng_state()
    compare(*blobs, losses=["gce"], estimator=quick, cv=ShuffleSplit(1, random_state=0), threads=2)
    assert torch.get_num_threads() == 1
    assert torch.equal(state, torch.get_rng_state())


def test_an_error_is_of_ours(blobs):
    with pytest.raises(SklearnLossError):
        compare(*blobs, losses=["lrd"])

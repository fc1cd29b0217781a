"""Comparing losses of learning from label proportions: whole bags, judged by their proportions."""

import contextlib
import io
import json
import math

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearnloss import (
    BagKFold,
    LLPClassifier,
    Loss,
    LossClassifier,
    StratifiedBagKFold,
    bag_kl_scorer,
    bag_l1_scorer,
    bag_targets,
    compare,
    loss,
    make_preprocessor,
    rank,
    suggest_losses,
)
from sklearnloss.bags.targets import mean_by_bag
from sklearnloss.comparison.fits import Problem, run_fit
from sklearnloss.comparison.given import read_target
from sklearnloss.comparison.progress import Quiet
from sklearnloss.comparison.protocols import PROTOCOLS
from sklearnloss.comparison.scoring import find_scorers
from sklearnloss.comparison.splitting import plan_splits
from sklearnloss.exceptions import (
    ComparisonInterrupted,
    DataError,
    LoadError,
    MissingFactError,
    ParameterError,
    SklearnLossError,
    TaskError,
    UnknownNameError,
)

N, BAGS = 120, 15
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
IDS = np.random.default_rng(0).permutation(N) // 8
SHARES = mean_by_bag(np.eye(3)[Y], IDS, BAGS, None)[IDS]  # (n, 3), those of the row's bag
QUICK = LLPClassifier(hidden_layer_sizes=(8,), lr=0.05, max_epochs=3)


def compared(y, losses=("proportion_ce",), *, X=X, **arguments):
    return compare(X, y, losses=losses, **({"bags": IDS, "estimator": QUICK, "cv": 3, "repeats": 1} | arguments))


@loss("mine", task="bag", unit="bag")
def mine(logits, y, *, bag, n_bags):
    """Squared error of the proportions."""
    sums = torch.zeros(n_bags, logits.shape[1], dtype=logits.dtype).index_add(0, bag, torch.softmax(logits, 1))
    return (sums / torch.bincount(bag, minlength=n_bags)[:, None] - y).square().sum(1)


@loss("fair", task="bag", unit="bag")
def fair(logits, y, *, bag, n_bags, group):
    """Look at groups too."""
    return mine(logits, y, bag=bag, n_bags=n_bags)


@pytest.fixture(scope="module")
def result():
    """Two names, parameters, a sum and a function, on two times three folds."""
    losses = [
        "proportion_ce",
        "llp_ot",
        Loss("bag_interp", rho=0.1),
        Loss("proportion_l2") + 0.1 * Loss("em_llp"),
        mine,
    ]
    return compared(Y, losses, repeats=2, name="votes")


class Counter(Quiet):
    """Count the fits; break off after some."""

    def __init__(self, until=math.inf):
        self.fits, self.until = 0, until

    def fitted(self, candidate, record):
        self.fits += 1
        if self.fits >= self.until:
            raise KeyboardInterrupt


def printed(code, **space):
    """Return what a script prints, and what it leaves."""
    output, threads = io.StringIO(), torch.get_num_threads()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "<code>", "exec"), space)
    torch.set_num_threads(threads)
    return output.getvalue().strip(), space


# -- the numbers --------------------------------------------------------------------------------------------------


def test_names_parameters_sums_and_functions_of_ones_own_are_rows(result):
    assert {row.loss: row.status for row in result.rows} == {
        "proportion_ce": "ok",
        "llp_ot": "ok",
        "bag_interp(rho=0.1)": "ok",
        "proportion_l2 + 0.1 * em_llp": "ok",
        "mine": "ok",
    }
    assert (result.settings.task, result.settings.baseline, result.settings.rope) == ("llp", "proportion_ce", 0.001)
    assert result.settings.scoring == ("bag_kl", "bag_l1", "bag_interval", "row_accuracy")
    assert all(row.low <= row.score <= row.high <= 0 for row in result.rows)
    assert result.settings.plan == "3 stratified folds of whole bags, repeated twice"


def test_scores_are_those_of_scikit_learn_with_the_same_splits_and_seeds(result):
    y, scores, others = bag_targets(SHARES, IDS), [], []
    for seed in (0, 1):
        model = make_pipeline(make_preprocessor(), LLPClassifier(**QUICK.get_params()))
        model[-1].set_params(loss="llp_ot", random_state=seed)
        folds = StratifiedBagKFold(3, shuffle=True, random_state=seed)
        scores.extend(cross_val_score(model, X, y, cv=folds, scoring=bag_kl_scorer))
        others.extend(cross_val_score(model, X, y, cv=folds, scoring=bag_l1_scorer))
    assert result.scores["llp_ot"].tolist() == scores
    assert [r["scores"]["bag_l1"] for r in result.records["llp_ot"]] == others
    assert result.records["llp_ot"][0]["curve"]["score"][-1] == scores[0]


def test_shares_classes_of_rows_and_targets_that_carry_their_bags_are_the_same(result):
    for y, bags in ((SHARES, IDS), (bag_targets(SHARES, IDS), None), (np.array(list("abc"))[Y], IDS)):
        other = compared(y, ["llp_ot"], bags=bags, repeats=2)
        assert other.scores["llp_ot"].tolist() == result.scores["llp_ot"].tolist()


def test_the_share_of_the_positive_class_is_enough():
    share = SHARES[:, 1]
    one, two = compared(share), compared(np.column_stack([1 - share, share]))
    assert one.scores["proportion_ce"] == pytest.approx(two.scores["proportion_ce"])
    assert one.settings.scoring == ("bag_kl", "bag_l1", "bag_interval")


def test_which_row_of_a_bag_has_which_label_changes_nothing_but_the_row_accuracy(result):
    shuffled = Y.copy()
    for bag in range(BAGS):
        rows = np.flatnonzero(IDS == bag)
        shuffled[rows] = Y[np.roll(rows, 3)]
    other = compared(shuffled, ["llp_ot"], repeats=2)
    for name in ("bag_kl", "bag_l1", "bag_interval"):
        assert other.rows[0].scores[name] == {row.loss: row for row in result.rows}["llp_ot"].scores[name]
    assert [r["curve"] for r in other.records["llp_ot"]] == [r["curve"] for r in result.records["llp_ot"]]
    assert (
        other.rows[0].scores["row_accuracy"] < {row.loss: row for row in result.rows}["llp_ot"].scores["row_accuracy"]
    )


def test_the_row_accuracy_is_that_of_the_rows_held_out():
    names = np.array(["red", "blue", "green"])[Y]
    result = compared(names, ["llp_ot"])
    train, test = next(StratifiedBagKFold(3, shuffle=True, random_state=0).split(X, bag_targets(SHARES, IDS)))
    model = result.pipeline().fit(X[train], names[train], model__bags=IDS[train])
    assert result.records["llp_ot"][0]["scores"]["row_accuracy"] == (model.predict(X[test]) == names[test]).mean()
    assert "row accuracy looks at labels of the rows held out" in str(result)


def test_nothing_else_is_judged_by_labels_of_rows(result):
    assert all(r["calibration"] is None and r["confusion"] is None for kept in result.records.values() for r in kept)
    assert all(math.isnan(row.ece) and math.isnan(row.nll) for row in result.rows)


def test_rows_that_a_worker_maps_from_a_file_give_the_same_scores(result, tmp_path):
    y = read_target(Y, IDS)
    splits = plan_splits(X, y.values, cv=3).splits
    scorers, _, _ = find_scorers(None, PROTOCOLS["llp"], y.values)
    problem = Problem(X, y.values, splits, None, {"classes": y.names}, scorers, PROTOCOLS["llp"])
    joblib.dump(problem, tmp_path / "problem.joblib")  # as the engine does for its workers
    template = result.pipeline("llp_ot")
    record = run_fit(tmp_path / "problem.joblib", 4, template, "llp_ot", "llp_ot")
    assert record["scores"] == result.records["llp_ot"][4]["scores"]


def test_frames_with_words_and_sparse_rows_are_taken_as_they_are():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(town=np.where(np.arange(N) % 3, "Rome", None))
    for rows in (frame, csr_matrix(X)):
        assert compared(SHARES, X=rows, cv=2).rows[0].status == "ok"


def test_bags_held_out_inside_a_fit_are_whole_too():
    early = LLPClassifier(hidden_layer_sizes=(8,), max_epochs=4, early_stopping=True, validation_fraction=0.2)
    result = compared(SHARES, estimator=early, cv=2)
    assert result.rows[0].status == "ok"
    model = result.best_estimator()[-1]
    assert all(0 <= row["valid_score"] <= 1 for row in model.history_)


def test_noise_of_the_proportions_reaches_the_fits():
    plain = compared(SHARES)
    noisy = compared(SHARES, row_facts={"noise_scale": np.linspace(0, 1, BAGS)[IDS]})
    assert noisy.scores["proportion_ce"].tolist() != plain.scores["proportion_ce"].tolist()


# -- which losses -------------------------------------------------------------------------------------------------


def test_every_loss_that_applies_is_compared_and_the_others_are_named_with_the_reason():
    result = compared(SHARES, None, cv=2, estimator=LLPClassifier(hidden_layer_sizes=(4,), max_epochs=1))
    assert {row.status for row in result.rows} == {"ok"}
    found = {row.loss for row in result.rows}
    assert {"proportion_ce", "proportion_l1", "easy_llp", "em_llp", "llp_ot", "llp_vat", "mean_map", "llp_fc"} <= found
    assert not {"bag_interp_mse", "cross_entropy", "supcon"} & found
    assert "left out: bag_interp_mse, which works on prediction; LLPClassifier takes losses on logits" in str(result)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        ("cross_entropy", TaskError, "'cross_entropy' needs the label of each row; of bags only the proportions"),
        (Loss("proportion_ce") + Loss("supcon"), TaskError, "'supcon' needs the label of each row"),
        ("bag_interp_mse", TaskError, "works on prediction; LLPClassifier takes losses on logits"),
        ("proportion_c", UnknownNameError, "did you mean 'proportion_ce'"),
        (Loss("bag_interp", rho=2.0), ParameterError, "rho must be"),
        (lambda logits, y, *, bag, n_bags: logits, TaskError, "needs the label of each row"),  # no word of bags
        (fair, MissingFactError, "needs 'group', an array with one row per sample"),
    ],
)
def test_a_named_loss_that_cannot_be_trained_is_refused_with_the_reason(loss, error, message):
    with pytest.raises(error, match=message):
        compared(SHARES, {"l": loss})


def test_a_loss_of_bags_is_refused_where_there_are_none():
    with pytest.raises(
        TaskError, match=r"'proportion_ce' learns from bags of rows; say which row is of which with bags"
    ):
        compare(X, Y, losses=["proportion_ce"])


# -- splits -------------------------------------------------------------------------------------------------------


def held_out(result):
    """Return the numbers of rows that were held out, fold by fold."""
    return [r["n_test"] for r in result.records[result.rows[0].loss]]


def test_groups_of_bags_stay_together():
    groups = IDS // 3
    result = compared(SHARES, groups=groups, repeats=2)
    assert result.settings.plan == "3 folds, groups kept whole, repeated twice"
    wanted = [
        len(test) for seed in (0, 1) for _, test in GroupKFold(3, shuffle=True, random_state=seed).split(X, Y, groups)
    ]
    assert held_out(result) == wanted
    text, _ = printed(
        result.code().replace("X, y, bags = ...", "X, y, bags, groups = given"), given=(X, SHARES, IDS, groups)
    )
    assert text == f"{result.rows[0].score:.4f}"


def test_splits_of_ones_own_are_taken_if_they_keep_bags_whole():
    result = compared(SHARES, cv=BagKFold(5), repeats=None)
    assert held_out(result) == [24] * 5
    text, _ = printed(result.code().replace("X, y, bags = ...", "X, y, bags = given"), given=(X, SHARES, IDS))
    assert text == f"{result.rows[0].score:.4f}"


FIVE = np.repeat(np.arange(5), N // 5)
RARE = np.where(FIVE == 4, 0.5, 0.0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"bags": None, "task": "llp"}, TaskError, r"task='llp' learns from bags of rows; say .* \(--bags COL"),
        ({"task": "multiclass"}, TaskError, "task='multiclass' learns from labels of rows; with bags the task is"),
        ({"task": "embedding"}, TaskError, "task='embedding' learns from labels of rows; with bags the task is 'llp'"),
        ({"task": "lp"}, UnknownNameError, "unknown task 'lp'; did you mean 'llp'"),
        ({"y": bag_targets(SHARES, IDS)}, DataError, "y carries its bags already"),
        ({"y": SHARES[:, :2]}, DataError, "bag [0-9]+ has proportions that sum to 0.[0-9]+, not to 1"),
        ({"y": bag_targets(SHARES[:, :2], IDS), "bags": None}, DataError, "proportions that sum to"),
        ({"y": 100 * SHARES[:, 0]}, DataError, r"has the share [0-9.]+ of the positive class; shares lie in \[0, 1\]"),
        ({"y": np.round(100 * SHARES[:, 0]).astype(int)}, DataError, r"shares lie in \[0, 1\]"),
        ({"y": np.linspace(0, 1, N)}, DataError, "has different proportions on its rows: 0.[0-9]+ and"),
        ({"y": np.where(IDS[:, None] == 3, np.nan, SHARES)}, DataError, "bag 3 has NaN or infinite proportions"),
        ({"y": np.full((N, 2), "a")}, DataError, "y must hold numbers, the share of a class in each column"),
        ({"y": np.repeat("a", N)}, SklearnLossError, "class"),
        ({"y": pd.DataFrame(SHARES, columns=["a", "b", "a"])}, DataError, "two columns of one name"),
        ({"bags": np.where(IDS == 2, np.nan, IDS)}, DataError, r"bags lacks the id of row [0-9]+ \(8 rows in all\)"),
        ({"bags": IDS[1:]}, DataError, "bags must have an id for each of the 120 rows of y, got 119"),
        ({"bags": np.zeros(N, int), "y": Y}, DataError, "there is one bag"),
        ({"cv": 16}, DataError, "15 bags, each kept whole, cannot be split into 16 parts; give at most 15 splits"),
        ({"bags": IDS % 3, "y": Y, "cv": 2}, DataError, r"trains on one bag, [012], .* give more bags \(there are 3\)"),
        ({"bags": FIVE, "y": RARE}, DataError, "trains on no bag with class '1', which is in 1 of 5 bags; join it"),
        ({"cv": KFold(3)}, DataError, "of the 8 rows of bag [0-9]+; what is known of a bag says nothing of a part"),
        ({"groups": np.arange(N)}, DataError, "bag [0-9]+ has rows of several groups; bags and groups are kept whole"),
        ({"times": np.arange(N)}, DataError, "times has no place in task='llp': splits forward in time cut bags apart"),
        ({"sample_weight": np.ones(N)}, DataError, "sample_weight has no place in task='llp'"),
        ({"estimator": LossClassifier()}, TaskError, "estimator must be a LLPClassifier for the task llp"),
        ({"estimator": LLPClassifier(warm_start=True)}, ParameterError, "leave checkpoint and warm_start off"),
        ({"scoring": "accuracy"}, TaskError, "scoring='accuracy' judges rows by their labels, and of bags only"),
        ({"scoring": "bag_ki"}, UnknownNameError, "unknown scorer 'bag_ki'; did you mean 'bag_kl'"),
        ({"scoring": "row_accuracy"}, ParameterError, "row_accuracy looks at labels of rows, by which nothing"),
        ({"scoring": ["bag_kl", "row_accuracy"]}, ParameterError, "row_accuracy needs the class of each row"),
        ({"scoring": ["bag_kl", bag_kl_scorer]}, ParameterError, "two of the name 'bag_kl'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_before_any_fit(arguments, error, message):
    counter = Counter()
    given = {"y": SHARES, "progress": counter, "cv": 5} | arguments
    if not isinstance(given["cv"], int):
        given["repeats"] = None
    with pytest.raises(error, match=message) as refused:
        compared(**given)
    assert counter.fits == 0
    assert "\n" not in str(refused.value)


# -- scores, resuming -----------------------------------------------------------------------------------------------


def share_of_certain_rows(model, X, y):
    """Score by how sure rows are."""
    return float((model.predict_proba(X).max(axis=1) > 0.9).mean())


def test_scores_are_named_given_or_of_ones_own():
    result = compared(Y, scoring=["bag_l1", bag_kl_scorer, share_of_certain_rows, "row_accuracy"])
    assert result.settings.scoring == ("bag_l1", "bag_kl", "share_of_certain_rows", "row_accuracy")
    assert result.settings.rope == 0.01
    assert "scoring=bag_l1_scorer" in result.code()
    assert str(result).split("95 %")[0].split() == ["loss", "negative", "bag", "L1"]


def test_ctrl_c_keeps_what_was_finished_and_the_same_call_goes_on(tmp_path):
    arguments = {"losses": ["proportion_ce", "llp_ot"], "store": tmp_path / "s"}
    with pytest.raises(ComparisonInterrupted, match="after 3 of 6 fits; the same call goes on from"):
        compared(Y, **arguments, progress=Counter(until=3))
    rest = Counter()
    again = compared(Y, **arguments, progress=rest)
    assert rest.fits == 3
    undisturbed = compared(Y, ["proportion_ce", "llp_ot"])
    assert {n: s.tolist() for n, s in again.scores.items()} == {n: s.tolist() for n, s in undisturbed.scores.items()}


def test_a_store_of_something_else_is_not_mixed_in(tmp_path):
    compared(SHARES, store=tmp_path / "s")
    other = IDS.copy()
    other[IDS == 3] = 99  # the same bags, but one has another name
    for changed, what in [
        ({"bags": other}, "data"),
        ({"cv": 2}, "splits"),
        ({"scoring": "bag_l1"}, "scoring"),
        ({"estimator": LLPClassifier(bag_weight="equal")}, "estimator"),
    ]:
        with pytest.raises(LoadError, match=f"another .*{what}"):
            compared(SHARES, store=tmp_path / "s", **changed)


# -- how it reads -------------------------------------------------------------------------------------------------


def test_the_table_has_the_columns_of_bags(result):
    head, *_, place, accuracy, verdict = str(result).splitlines()
    for name in ("negative bag KL", "negative bag L1", "bag interval", "row accuracy", "predict"):
        assert name in head
    for name in ("ECE", "NLL", "transform"):
        assert name not in head
    assert place == "votes: 120 rows in 15 bags, llp; 3 stratified folds of whole bags, repeated twice, all splits"
    assert accuracy.startswith("row accuracy looks at labels of the rows held out; no loss was trained on such labels")
    assert verdict == "verdict: against proportion_ce, closer than 0.001 is equivalent, 95 % sure"


def test_small_scores_have_intervals_of_as_many_digits_as_matter(result):
    row = result.rows[0]
    assert f"{row.low:.4f} to {row.high:.4f}" in str(result)


@pytest.mark.parametrize(
    ("y", "bags"),
    [
        (Y, IDS),
        (np.array(["rep", "dem", "other"])[Y], np.array([f"P{b}" for b in IDS])),
        (SHARES, IDS),
        (SHARES[:, 1], IDS),
        (pd.DataFrame(SHARES, columns=["rep", "dem", "other"]), IDS),
        (bag_targets(SHARES, IDS), None),
    ],
    ids=["classes", "words", "shares", "share", "named", "targets"],
)
def test_the_code_prints_the_same_score_and_fits_the_same_model(y, bags):
    result = compared(y, [Loss("bag_interp", rho=0.1)], bags=bags, repeats=2)
    given = (X, y) if bags is None else (X, y, bags)
    names = "X, y = ..." if bags is None else "X, y, bags = ..."
    assert names in result.code()
    text, space = printed(result.code().replace(names, names.replace("...", "given")), given=given)
    assert text == f"{result.rows[0].score:.4f}"
    assert isinstance(space["best"][-1], LLPClassifier)
    assert np.array_equal(space["best"].predict_proba(X), result.best_estimator().predict_proba(X))
    assert ("bag_targets(" in result.code()) == (bags is not None)


def test_columns_of_a_frame_name_the_classes():
    frame = pd.DataFrame(SHARES, columns=["rep", "dem", "other"])
    result = compared(frame, estimator=LLPClassifier(hidden_layer_sizes=(8,), lr=0.05, max_epochs=20))
    model = result.best_estimator()
    assert model.classes_.tolist() == ["dem", "other", "rep"]
    assert (model.predict(X) == np.array(["rep", "dem", "other"])[Y]).mean() > 0.6  # no column was mistaken for another
    assert result.data["class_names"] == ["dem", "other", "rep"]
    numbered = compared(pd.DataFrame(SHARES))
    assert numbered.settings.fit_facts == ()
    assert numbered.data["class_names"] == ["0", "1", "2"]


def test_the_facts_of_the_data_are_those_of_bags(result):
    data = result.data
    assert data["bags"] == {
        "count": 15,
        "smallest": 8,
        "median": 8.0,
        "largest": 8,
        "mean_kl": pytest.approx(-np.mean([(p[p > 0] * np.log(3 * p[p > 0])).sum() for p in SHARES])),
    }
    assert "imbalance" not in data
    assert data["duplicates"] == {"rows": 0}
    for found in data["classes"]:
        column = SHARES[:, int(found["name"])]
        assert (found["share"], found["low"], found["high"]) == pytest.approx((1 / 3, column.min(), column.max()))
        assert "count" not in found
    assert json.loads(result.to_json())["data"]["bags"]["count"] == 15


def test_a_picture_and_ranks_over_data_sets(result):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    ax = result.plot()
    assert ax.get_xlabel().startswith("negative bag KL, mean and 95 % interval")
    plt.close(ax.figure)
    other = compared(SHARES[:, 0], ["proportion_ce", "llp_ot"], name="others")
    with pytest.warns(UserWarning, match="leaves losses out"):
        assert set(rank([result, other]).ranks) == {"proportion_ce", "llp_ot"}


# -- suggestions --------------------------------------------------------------------------------------------------


def reasons(shares, sizes, columns=1):
    bags = np.repeat(np.arange(len(sizes)), sizes)
    X = np.random.default_rng(0).normal(size=(len(bags), columns))
    found = suggest_losses(X, bag_targets(np.asarray(shares)[bags], bags))
    return {suggestion.loss: str(suggestion) for suggestion in found}


def test_bags_without_anything_special_have_the_baseline_alone():
    found = reasons(np.linspace(0.2, 0.8, 20), np.repeat(200, 20))
    assert list(found) == ["proportion_ce"]
    p = np.linspace(0.2, 0.8, 20)
    kl = -(p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))).mean()
    assert found["proportion_ce"] == (
        "proportion_ce: the one to beat; the mean proportions of the 20 bags as the prediction for each have a "
        f"negative bag KL of {kl:.4f}"
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bags_as_if_put_together_at_random_are_noticed(seed):
    counts = np.random.default_rng(seed).binomial(16, 0.4, 60)
    found = reasons(counts / 16, np.repeat(16, 60))
    assert "differ no more than if rows were put together at random" in found["easy_llp"]
    assert found["easy_llp"].startswith("easy_llp(nonnegative=True): ")
    assert "easy_llp" not in reasons(np.where(np.arange(60) % 2, 0.2, 0.6), np.repeat(16, 60))


def test_small_bags_different_bags_and_few_bags_have_losses_of_their_own():
    pure = np.arange(40) % 2 * 0.9
    found = reasons(pure, np.repeat(10, 40), columns=8)
    assert "half of the bags have at most 10 rows" in found["em_llp"]
    assert "% of the variance of the classes lies between bags" in found["llp_fc"]
    assert found["llp_vat"].startswith("llp_vat: 40 bags for 8 columns")
    assert not {"llp_fc", "em_llp"} & reasons(pure, np.repeat(200, 40)).keys()  # a batch does not hold two such bags


def test_suggested_losses_are_compared_with_their_reasons():
    result = compared(SHARES, "suggested")
    assert result.candidates[0].name == "proportion_ce"
    assert any(note.startswith("em_llp: half of the bags have at most 8 rows") for note in result.settings.notes)


def test_suggestions_for_labels_are_not_those_for_bags():
    with pytest.raises(TaskError, match="task='llp', but y is multiclass"):
        suggest_losses(X, Y, task="llp")
    with pytest.raises(TaskError, match="task='embedding', but y is llp"):
        suggest_losses(X, bag_targets(SHARES, IDS), task="embedding")
    assert suggest_losses(X, bag_targets(SHARES, IDS), task="llp")[0].loss == "proportion_ce"

"""Comparing losses on embeddings: judged by retrieval among the rows held out."""

import contextlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearnloss import (
    Loss,
    LossClassifier,
    MetricEmbedder,
    compare,
    embedding_scorer,
    make_preprocessor,
    rank,
    suggest_losses,
)
from sklearnloss.comparison.candidates import applicable, left_out
from sklearnloss.comparison.fits import CURVE_POINTS, PAIRED_ROWS, _points_of_pairs
from sklearnloss.comparison.progress import Quiet
from sklearnloss.comparison.protocols import PROTOCOLS
from sklearnloss.exceptions import (
    DataError,
    LoadError,
    MissingFactError,
    ParameterError,
    TaskError,
    UnknownNameError,
)
from sklearnloss.metrics.map_at_r import map_at_r
from sklearnloss.metrics.recall_at_k import recall_at_k

VIEWS = {"am_bidirectional_ranking", "barlow_twins", "focal_infonce", "multiple_negatives", "vicreg"}


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def embedder(**params):
    """Return what makes a fit take a few hundredths of a second."""
    small = {"embedding_dim": 4, "hidden_layer_sizes": (16,), "lr": 0.01, "max_epochs": 3}
    return MetricEmbedder(**(small | params))


def compared(X, y, losses, **arguments):
    return compare(
        X, y, losses=losses, **({"task": "embedding", "estimator": embedder(), "cv": 2, "repeats": 1} | arguments)
    )


def mine(embeddings, y):
    """Mean squared distance to the rows of the class."""
    same = y[:, None] == y
    return (torch.cdist(embeddings, embeddings).square() * same).mean(1)


@pytest.fixture(scope="module")
def result(iris):
    """Two names, parameters, a sum and a function, on two folds of iris."""
    losses = ["multi_similarity", "proxy_anchor", Loss("triplet", margin=0.3), Loss("supcon") + 0.1 * Loss("tcm"), mine]
    return compared(*iris, losses, name="iris")


def check(**params):
    """Return what says whether a loss fits."""
    y, row_facts = np.array([0, 1, 2]), params.pop("row_facts", ())
    return lambda spec: PROTOCOLS["embedding"].check(spec, y, MetricEmbedder(**params), row_facts)


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
        "multi_similarity": "ok",
        "proxy_anchor": "ok",
        "triplet(margin=0.3)": "ok",
        "supcon + 0.1 * tcm": "ok",
        "mine": "ok",
    }
    assert (result.settings.task, result.settings.baseline) == ("embedding", "multi_similarity")
    assert result.settings.scoring == ("map_at_r", "recall_at_1")
    assert all(0 < row.score <= row.high <= 1 for row in result.rows)


def test_rows_held_out_are_retrieved_among_themselves(iris, result):
    X, y = iris
    train, test = next(StratifiedKFold(2, shuffle=True, random_state=0).split(X, y))
    embedded = result.pipeline("proxy_anchor").fit(X[train], y[train]).transform(X[test])
    first = result.records["proxy_anchor"][0]
    assert first["scores"] == {"map_at_r": map_at_r(embedded, y[test]), "recall_at_1": recall_at_k(embedded, y[test])}
    assert first["curve"]["score"][-1] == first["scores"]["map_at_r"]


def test_scores_are_those_of_scikit_learn_with_the_same_splits_and_seeds(iris, result):
    model = make_pipeline(make_preprocessor(), embedder(loss=Loss("triplet", margin=0.3), random_state=0))
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    by_hand = cross_val_score(model, *iris, cv=folds, scoring=embedding_scorer("map_at_r"))
    assert result.scores["triplet(margin=0.3)"].tolist() == by_hand.tolist()


def test_an_embedding_has_neither_probabilities_nor_confusions(result):
    assert all(r["calibration"] is None and r["confusion"] is None for kept in result.records.values() for r in kept)
    assert all(math.isnan(row.ece) and math.isnan(row.nll) and not row.proper for row in result.rows)


def test_many_rows_held_out_are_looked_at_in_fewer_epochs():
    assert _points_of_pairs(10) == _points_of_pairs(PAIRED_ROWS) == CURVE_POINTS
    assert _points_of_pairs(2 * PAIRED_ROWS) == CURVE_POINTS // 4
    assert _points_of_pairs(10**6) == 2


# -- which losses -------------------------------------------------------------------------------------------------


def test_every_loss_that_applies_is_compared_and_the_others_are_named_with_the_reason(iris):
    result = compared(*iris, None, estimator=embedder(max_epochs=1), cv=[(np.arange(0, 150, 2), np.arange(1, 150, 2))])
    found = {row.loss for row in result.rows}
    assert {row.status for row in result.rows} == {"ok"}
    assert {"multi_similarity", "triplet", "proxy_anchor", "supcon"} <= found
    assert not (VIEWS | {"hyperbolic_stress", "supremix", "icnn", "cross_entropy"}) & found
    assert "hyperbolic_stress, which needs 'distances' between all rows of a fit" in str(result)
    views = next(line for line in result.settings.notes if "vicreg" in line)
    assert views.startswith("left out: am_bidirectional_ranking, barlow_twins, ")
    assert views.endswith("each of which compares two views of each row; set views='noise' (sklearnloss list view)")


def test_losses_of_two_views_belong_in_where_the_estimator_has_views(iris):
    protocol = PROTOCOLS["embedding"]
    without, having = ({c.name for c in applicable(protocol, check(views=v))} for v in (None, "noise"))
    assert having - without >= VIEWS
    result = compared(*iris, ["vicreg", "multi_similarity"], estimator=embedder(views="noise"))
    assert {row.status for row in result.rows} == {"ok"}


def test_what_the_estimator_chose_decides_which_losses_fit(iris):
    protocol = PROTOCOLS["embedding"]
    mined = {c.name for c in applicable(protocol, check(miner="hard"))}
    assert {"triplet", "contrastive"} <= mined
    assert not {"proxy_anchor", "soft_triple"} & mined
    (line,) = (line for line in left_out(protocol, check(miner="hard")) if "proxy_anchor" in line)
    assert "soft_triple: miner 'hard' makes 'pairs', which no term of the loss takes; choose a loss over pairs" in line
    assert {c.name for c in applicable(protocol, check(memory=64))} == mined
    apart = {c.name for c in applicable(protocol, check(distance="euclidean"))}
    assert "triplet" in apart
    assert "supcon" not in apart
    result = compared(*iris, ["triplet", "contrastive"], estimator=embedder(miner="hard", max_epochs=5))
    assert {row.status for row in result.rows} == {"ok"}
    assert "MetricEmbedder(" in result.code()
    assert "miner='hard'" in result.code()


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        ("vicreg", TaskError, "'vicreg' compares two views of each row; set views='noise'"),
        ("supremix", TaskError, "'supremix' learns from numbers; losses on embeddings are compared on classes"),
        ("hyperbolic_stress", TaskError, "needs 'distances' between all rows of a fit, which the splits"),
        ("cross_entropy", TaskError, "works on logits; MetricEmbedder takes losses on embeddings"),
        (Loss("supcon") + Loss("vicreg"), TaskError, "'vicreg' compares two views"),
        ("tripelt", UnknownNameError, "did you mean 'triplet'"),
    ],
)
def test_a_named_loss_that_cannot_be_trained_is_refused_with_the_reason(loss, error, message):
    with pytest.raises(error, match=message):
        compared(np.eye(8), np.arange(8) % 2, [loss])


def test_a_loss_whose_row_fact_is_not_given_is_refused(iris):
    def graded(embeddings, y, *, group):
        return mine(embeddings, y)

    with pytest.raises(
        MissingFactError, match=r"needs 'group', an array with one row per sample: row_facts={'group': "
    ):
        compared(*iris, [graded])
    assert compared(*iris, [graded], row_facts={"group": iris[1]}).rows[0].status == "ok"


# -- what is refused ----------------------------------------------------------------------------------------------


class NoFit(Quiet):
    """Fail as soon as a fit ends."""

    def fitted(self, candidate, record):
        pytest.fail("nothing should be fitted")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": np.tile([[0, 1], [1, 1]], (75, 1))}, TaskError, "one class per row, y of shape .n,.; y holds 2 labels"),
        ({"y": np.linspace(0, 1, 150)}, DataError, "looks continuous"),
        ({"task": "embeding"}, UnknownNameError, "unknown task 'embeding'; did you mean 'embedding'"),
        ({"task": "auto"}, TaskError, "estimator must be a LossClassifier for the task multiclass"),
        ({"estimator": LossClassifier()}, TaskError, "estimator must be a MetricEmbedder for the task embedding"),
        ({"estimator": embedder(warm_start=True)}, ParameterError, "leave checkpoint and warm_start off"),
        ({"scoring": "accuracy"}, TaskError, "scoring='accuracy' judges predictions, and an embedding makes none"),
        ({"scoring": "eer"}, UnknownNameError, "unknown scorer 'eer'; did you mean 'neg_eer'"),
        ({"scoring": "recall_at_0"}, UnknownNameError, "unknown scorer 'recall_at_0'; did you mean 'recall_at_1'"),
        ({"scoring": ["map_at_r", embedding_scorer("map_at_r")]}, ParameterError, "two of the name 'map_at_r'"),
        ({"row_facts": {"distances": np.zeros((150, 150))}}, DataError, "row_facts holds 'distances'"),
        ({"cv": 3, "groups": np.repeat([0, 1, 2], 50)}, DataError, "holds out rows of one class, [0-2]: there is"),
        ({"cv": [(np.arange(50), np.arange(50, 150))]}, DataError, "fold 1 of repeat 1 trains on rows of one class, 0"),
        ({"cv": [(np.arange(50, 150), [0, 50, 100])]}, DataError, "holds out 3 rows, each of another class"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_fit(iris, arguments, error, message):
    given = {"X": iris[0], "y": iris[1], "losses": ["triplet"], "progress": NoFit()} | arguments
    if isinstance(given.get("cv"), list):
        given["repeats"] = None
    with pytest.raises(error, match=message):
        compared(**given)


# -- scores, groups, resuming ---------------------------------------------------------------------------------------


def share_of_unit_vectors(model, X, y):
    """Score embeddings by their length."""
    return float(np.isclose(np.linalg.norm(model.transform(X), axis=1), 1).mean())


def test_scores_are_named_given_or_of_ones_own(iris):
    scoring = ["recall_at_5", "neg_eer", embedding_scorer("nmi", n_init=1), share_of_unit_vectors]
    result = compared(*iris, ["triplet"], scoring=scoring)
    assert result.settings.scoring == ("recall_at_5", "neg_eer", "nmi(n_init=1)", "share_of_unit_vectors")
    (row,) = result.rows
    assert row.scores["share_of_unit_vectors"] == 1
    assert -1 <= row.scores["neg_eer"] <= 0
    assert 'scoring=embedding_scorer("recall_at_k", k=5)' in result.code()
    assert str(result).splitlines()[0].split()[:2] == ["loss", "recall@5"]
    own = compared(*iris, ["triplet"], scoring=share_of_unit_vectors)
    assert "scorer = ...  # yours: share_of_unit_vectors" in own.code()


def test_classes_that_were_not_trained_on_are_retrieved_with_the_classes_as_groups():
    rng = np.random.default_rng(0)
    y = np.repeat(list("abcdef"), 10)
    X = rng.normal(size=(60, 5)) + 3 * rng.normal(size=(6, 5))[np.arange(60) // 10]
    result = compared(X, y, ["proxy_anchor", "triplet"], cv=3, groups=y, source="X, y = given\ngroups = y")
    assert {row.status for row in result.rows} == {"ok"}
    assert result.settings.fit_facts == ("classes",)
    text, _ = printed(result.code(), given=(X, y))
    assert text == f"{result.rows[0].score:.4f}"


def test_the_same_comparison_goes_on_and_another_is_refused(iris, tmp_path):
    arguments = {"store": tmp_path / "s"}
    first = compared(*iris, ["triplet"], **arguments)
    again = compared(*iris, ["triplet"], progress=NoFit(), **arguments)
    assert again.scores["triplet"].tolist() == first.scores["triplet"].tolist()
    for changed, what in [
        ({"estimator": embedder(miner="hard")}, "estimator"),
        ({"scoring": "recall_at_1"}, "scoring"),
        ({"task": "auto", "estimator": LossClassifier()}, "estimator|scoring"),
    ]:
        with pytest.raises(LoadError, match=f"another .*{what}"):
            compared(*iris, ["gce"] if "task" in changed else ["triplet"], **(arguments | changed))


# -- how it reads -------------------------------------------------------------------------------------------------


def test_the_table_has_the_columns_of_an_embedding(result):
    head, *_, place, scores, verdict = str(result).splitlines()
    for name in ("MAP@R", "recall@1", "verdict", "transform"):
        assert name in head
    for name in ("ECE", "NLL", "predict"):
        assert name not in head
    assert place == "iris: 150 rows, embedding; 2 stratified folds, all splits"
    assert scores == "each row held out is looked for among the others held out with it"
    assert verdict == "verdict: against multi_similarity, closer than 0.01 is equivalent, 95 % sure"


def test_the_code_prints_the_same_score_and_names_the_embedder(iris, result):
    code = result.code().replace("X, y = ...", "X, y = given")
    for line in code.splitlines():
        if "# yours: the loss" in line:
            code = code.replace(line, "mine = given_loss")
    text, space = printed(code, given=iris, given_loss=mine)
    assert text == f"{result.rows[0].score:.4f}"
    assert isinstance(space["best"][-1], MetricEmbedder)
    assert np.array_equal(space["best"].transform(iris[0]), result.best_estimator().transform(iris[0]))


def test_the_report_speaks_of_retrieval_and_not_of_probabilities(result, tmp_path):
    page = result.report(tmp_path / "report.html").read_text()
    for words in (
        "MAP@R with 95 % intervals",
        "<b>Retrieval.</b>",
        "Fit and transform",
        "A metric learning reality check",
    ):
        assert words in page
    for words in ("ECE", "confusion matrix", "calibration-chart", "log loss", "Guo", "Confusions", "map at r", "Map@r"):
        assert words not in page


def test_equal_rows_of_two_classes_are_told_apart_by_no_embedding(iris, tmp_path):
    X, y = np.r_[iris[0], iris[0][:3]], np.r_[iris[1], [1, 1, 2]]
    page = compared(X, y, ["triplet"]).report(tmp_path / "report.html").read_text()
    assert "have equals of another class, which no embedding tells apart" in page
    assert "must be predicted wrong" not in page


def test_a_picture_and_ranks_over_data_sets(iris, result):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    ax = result.plot()
    assert ax.get_xlabel().startswith("MAP@R, mean and 95 % interval")
    plt.close(ax.figure)
    X, y = iris
    other = compared(X[:, :2], y, [c.spec for c in result.candidates], name="sepals")
    ranking = rank([result, other])
    assert set(ranking.ranks) == {row.loss for row in result.rows}


# -- suggestions --------------------------------------------------------------------------------------------------


def reasons(X, y):
    return {suggestion.loss: suggestion.reason for suggestion in suggest_losses(X, y, task="embedding")}


def blobs(counts, centers=1, seed=0):
    """Rows of classes that lie far apart, each in so many places."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    places = 9 * rng.normal(size=(len(counts), centers, 4))
    return places[y, rng.integers(0, centers, len(y))] + 0.1 * rng.normal(size=(len(y), 4)), y


def test_clear_classes_give_no_reason_but_the_baseline(iris):
    assert reasons(*blobs([40] * 4)) == {
        "multi_similarity": "the one to beat; as the columns are, the nearest other row is of the class in 100% of the "
        "rows"
    }
    with pytest.raises(TaskError, match="task='embedding', but y is multilabel"):
        suggest_losses(iris[0], np.tile([[0, 1], [1, 1]], (75, 1)), task="embedding")


def test_few_rows_say_how_many_classes_there_are():
    assert reasons(*blobs([6] * 3)) == {"multi_similarity": "the one to beat; 3 classes"}


def test_classes_in_several_places_want_several_centers():
    found = reasons(*blobs([60] * 4, centers=5))
    assert found["soft_triple"].startswith(
        "the nearest other row is of the class in 100% of 240 rows, the nearest class"
    )


def test_many_classes_want_proxies_and_small_ones_pairs():
    found = reasons(*blobs([3] * 50))
    assert found["proxy_anchor"] == (
        "50 classes, of which a batch of 128 rows holds 32; its proxies stand for all of them"
    )
    assert found["npairs"] == "100% of the 50 classes have fewer than 4 rows; it needs one pair of each"


def test_wrong_labels_want_proxies_and_none_of_the_losses_of_classifiers():
    X, y = blobs([100] * 3)
    wrong = np.random.default_rng(0).random(300) < 0.25
    found = reasons(X, np.where(wrong, (y + 1) % 3, y))
    assert "carry another label" in found["proxy_anchor"]
    assert not {"gce", "ldr", "label_smoothing", "cross_entropy"} & found.keys()


def test_suggested_losses_are_compared_with_their_reasons():
    result = compared(*blobs([60] * 4, centers=5), "suggested")
    assert [c.name for c in result.candidates] == ["multi_similarity", "soft_triple"]
    assert any(note.startswith("soft_triple: the nearest other row") for note in result.settings.notes)
    mined = compared(*blobs([60] * 4, centers=5), "suggested", estimator=embedder(miner="hard"))
    assert [c.name for c in mined.candidates] == ["multi_similarity"]  # soft_triple takes no pairs


# -- the command --------------------------------------------------------------------------------------------------


def test_the_command_compares_prints_and_keeps_the_code(tmp_path, monkeypatch, capsys):
    from typer.testing import CliRunner

    from sklearnloss.cli.app import app

    monkeypatch.chdir(tmp_path)
    losses = ["--losses", "triplet,multi_similarity", "--scoring", "map_at_r,recall_at_5"]
    common = ["--task", "embedding", "--epochs", "2", "--folds", "2", "--repeats", "1", "--jobs", "1"]
    done = CliRunner().invoke(app, ["compare", "iris", *losses, *common])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["loss", "MAP@R"]
    assert lines[-1] == "report: compare-iris/report.html"
    found = json.loads(Path("compare-iris/result.json").read_text())
    assert "MetricEmbedder(max_epochs=2)" in found["code"]
    assert printed(found["code"])[0] == f"{found['rows'][0]['score']:.4f}"

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import ActiveLearner, LossClassifier, MetricEmbedder, Strategy
from sklearnloss.active.learner import is_labeled
from sklearnloss.component import strategy
from sklearnloss.exceptions import DataError, ParameterError, TaskError, TrainingError, UnknownNameError
from sklearnloss.strategies.margin import margin

X, y = load_iris(return_X_y=True)
SEEN = [0, 1, 60, 61, 120, 121]


def partly(y=y, seen=SEEN, hidden=-1):
    known = np.full(len(y), hidden, dtype=np.asarray(y).dtype if hidden == -1 else object)
    known[seen] = np.asarray(y)[seen]
    return known


def learner(strategy="margin", estimator=None, **params):
    estimator = LogisticRegression(max_iter=1000) if estimator is None else estimator
    return ActiveLearner(estimator, strategy, random_state=0, **params)


# -- which rows have labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "unlabeled", "expected"),
    [
        ([0, -1, 2], -1, [1, 0, 1]),
        ([0.0, np.nan, -1.0], -1, [1, 0, 0]),
        (["a", None, "b"], -1, [1, 0, 1]),
        (["a", "?", "b"], "?", [1, 0, 1]),
        (["-1", "b", "c"], -1, [1, 1, 1]),
        ([0, -1, 2], None, [1, 1, 1]),
        (pd.Series(["a", np.nan, "b"]), -1, [1, 0, 1]),
        ([[0, 1], [-1, 1], [0, 0]], -1, [1, 0, 1]),
        ([True, None, False], -1, [1, 0, 1]),
    ],
)
def test_a_missing_value_or_the_mark_is_no_label(values, unlabeled, expected):
    assert is_labeled(values, unlabeled).tolist() == [bool(e) for e in expected]


def test_of_numbers_only_missing_ones_are_no_label():
    assert is_labeled([0.5, -1.0, np.nan], numbers=True).tolist() == [True, True, False]


# -- the loop ---------------------------------------------------------------------------------------------------------


def test_asks_the_rows_that_the_strategy_puts_first():
    model = learner(batch_size=4).fit(X, partly())
    asked = model.query()
    fitted = LogisticRegression(max_iter=1000).fit(X[SEEN], y[SEEN])
    utilities = margin(fitted.predict_proba(X))
    utilities[SEEN] = -1
    assert asked.tolist() == np.argsort(-utilities)[:4].tolist()
    assert np.isnan(model.utilities_[SEEN]).all()
    rest = np.setdiff1d(np.arange(150), SEEN)
    np.testing.assert_allclose(model.utilities_[rest], utilities[rest])


def test_is_fitted_to_exactly_what_it_was_taught():
    model = learner(batch_size=5).fit(X, partly())
    rows = [*SEEN]
    for _ in range(3):
        asked = model.query()
        assert not set(asked.tolist()) & set(rows)
        rows += asked.tolist()
        model.teach(X[asked], y[asked])
    alone = LogisticRegression(max_iter=1000).fit(X[rows], y[rows])
    np.testing.assert_array_equal(model.X_labeled_, X[rows])
    np.testing.assert_array_equal(model.y_labeled_, y[rows])
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("name", ["margin", "coreset", "random"])
def test_no_row_is_asked_twice_until_nothing_is_left(name):
    model, asked = learner(name, batch_size=40).fit(X, partly()), []
    while len(asked) < 144:
        rows = model.query()
        asked += rows.tolist()
        model.teach(X[rows], y[rows])
    assert sorted([*asked, *SEEN]) == list(range(150))
    with pytest.raises(DataError, match="nothing is left to label, all rows of X have one"):
        model.query()


def test_a_row_that_was_skipped_may_be_asked_again():
    model = learner(batch_size=3).fit(X, partly())
    rows = model.query()
    answers = np.array([y[rows[0]], -1, y[rows[2]]])
    model.teach(X[rows], answers)
    assert len(model.y_labeled_) == 8
    assert rows[1] in model.query(n=142)


def test_rows_from_elsewhere_are_learned_and_leave_the_pool_as_it_is():
    model = learner().fit(X, partly())
    model.teach(X[:5] + 0.01, y[:5])
    assert len(model.y_labeled_) == 11
    assert len(model.query(n=144)) == 144


def test_rows_of_the_pool_taught_in_any_order_leave_it():
    model = learner().fit(X, partly())
    model.teach(X[[33, 7, 99]], y[[33, 7, 99]])
    assert not {33, 7, 99} & set(model.query(n=141).tolist())


def test_each_of_several_equal_rows_is_asked_once():
    rows = np.repeat(X[:20], 3, axis=0)
    labels = np.repeat(y[[*range(10), *range(60, 70)]], 3)
    model = learner("random", batch_size=7).fit(rows, partly(labels, [0, 59]))
    asked = []
    for _ in range(8):
        found = model.query()
        model.teach(rows[found], labels[found])
        asked += found.tolist()
    assert len(set(asked)) == 56


def test_the_model_of_the_user_stays_as_it_was():
    given = LogisticRegression()
    model = ActiveLearner(given, random_state=0).fit(X, partly())
    model.teach(X[70:75], y[70:75])
    assert not hasattr(given, "coef_")
    assert model.estimator is given


def test_another_pool_is_asked_without_the_rows_that_have_labels():
    model = learner(batch_size=3).fit(X[SEEN], y[SEEN])
    pool = X[[0, 5, 60, 70, 80, 121]]
    asked = model.query(pool)
    assert set(asked.tolist()) == {1, 3, 4}
    assert np.isnan(model.utilities_[[0, 2, 5]]).all()
    with pytest.raises(DataError, match="n=4, but only 3 rows of X_pool have no label"):
        model.query(pool, n=4)


def test_the_same_seed_asks_the_same_rows_and_another_others():
    asked = [learner("random").set_params(random_state=s).fit(X, partly()).query().tolist() for s in (1, 1, 2)]
    assert asked[0] == asked[1] != asked[2]


def test_ties_are_broken_at_random_but_not_against_the_order():
    flat = np.zeros((100, 1))
    flat[:2] = [[-5.0], [5.0]]
    known = np.full(100, -1)
    known[:2] = [0, 1]
    asked = [set(learner().set_params(random_state=s).fit(flat, known).query().tolist()) for s in range(3)]
    assert asked[0] != asked[1]
    assert asked[1] != asked[2]


def test_of_a_large_pool_only_a_sample_is_looked_at():
    model = learner(subsample=30, batch_size=5).fit(X, partly())
    asked = model.query()
    assert np.isfinite(model.utilities_).sum() == 30
    assert np.isfinite(model.utilities_[asked]).all()


def test_teaches_with_weights():
    model = learner(Strategy("margin")).fit(X, partly(), sample_weight=np.arange(150.0) + 1)
    model.teach(X[[30, 90]], y[[30, 90]], sample_weight=[2.0, 5.0])
    rows, weights = [*SEEN, 30, 90], [*(np.array(SEEN) + 1.0), 2.0, 5.0]
    alone = LogisticRegression(max_iter=1000).fit(X[rows], y[rows], sample_weight=weights)
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))


def test_a_failed_lesson_changes_nothing():
    model = learner(estimator=KNeighborsClassifier(3)).fit(X, partly())
    before = model.predict_proba(X)
    wrong = X[:3].copy()
    wrong[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.teach(wrong, y[:3])
    assert len(model.y_labeled_) == 6
    np.testing.assert_array_equal(model.predict_proba(X), before)


# -- kinds of data and models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csr", "frame", "map", "float32", "list"])
@pytest.mark.parametrize("name", ["margin", "coreset"])
def test_every_form_of_a_pool_is_asked_alike(form, name, tmp_path):
    forms = {
        "csr": lambda: sparse.csr_array(X),
        "frame": lambda: pd.DataFrame(X, columns=list("abcd")),
        "map": lambda: _mapped(tmp_path),
        "float32": lambda: X.astype(np.float32),
        "list": lambda: X.tolist(),
    }
    pool, plain = forms[form](), learner(name, batch_size=5).fit(X, partly())
    model = learner(name, batch_size=5).fit(pool, partly())
    for _ in range(3):
        rows = plain.query()
        assert model.query().tolist() == rows.tolist()
        some = pool.iloc[rows] if form == "frame" else [pool[r] for r in rows] if form == "list" else pool[rows]
        plain.teach(X[rows], y[rows])
        model.teach(some, y[rows])
    assert model.n_features_in_ == 4


def _mapped(folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def test_a_pool_in_chunks_is_asked_like_one_in_a_piece(monkeypatch):
    whole = learner(batch_size=9).fit(X, partly()).query()
    monkeypatch.setattr("sklearnloss.active.learner.CHUNK", 7)
    assert learner(batch_size=9).fit(X, partly()).query().tolist() == whole.tolist()


@pytest.mark.parametrize("labels", [["no", "maybe", "yes"], [True, False, True], [2.0, 5.0, 7.0]])
def test_classes_of_any_kind_come_back(labels):
    named = np.array(labels, dtype=object)[y]
    known = np.array([None] * 150, dtype=object)
    known[SEEN] = named[SEEN]
    model = learner(batch_size=4).fit(X, known)
    rows = model.query()
    model.teach(X[rows], named[rows].tolist())
    assert set(model.predict(X).tolist()) <= set(labels)
    assert (model.predict(X) == named.astype(model.classes_.dtype)).mean() > 0.6


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianNB(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        LossClassifier("focal", max_epochs=60, random_state=0),
        RandomForestClassifier(5, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("name", ["margin", "coreset"])
def test_any_classifier_learns_actively(estimator, name):
    model = learner(name, estimator, batch_size=15).fit(X, partly())
    for _ in range(2):
        rows = model.query()
        model.teach(X[rows], y[rows])
    assert model.score(X, y) > 0.6
    assert is_classifier(model)


def test_a_regressor_keeps_minus_one_as_a_number():
    X, y = load_diabetes(return_X_y=True)
    y = y - y[3] - 1  # the fourth target is -1
    known = np.full(len(y), np.nan)
    known[:20] = y[:20]
    model = ActiveLearner(Ridge(), "coreset", random_state=0).fit(X, known)
    assert len(model.y_labeled_) == 20
    rows = model.query()
    assert len(model.teach(X[rows], y[rows]).y_labeled_) == 30
    assert is_regressor(model)


def test_several_labels_a_row():
    X, Y = make_multilabel_classification(200, n_classes=4, random_state=0)
    known = np.full(Y.shape, -1)
    known[:40] = Y[:40]
    model = learner("coreset", LossClassifier("bce", max_epochs=2, random_state=0)).fit(X, known)
    rows = model.query()
    assert model.teach(X[rows], Y[rows]).y_labeled_.shape == (50, 4)


@pytest.mark.parametrize("name", ["margin", "entropy", "badge", "bald", "egl", "loki_next_class"])
def test_what_looks_at_one_class_a_row_refuses_several_labels_before_the_fit(name):
    X, Y = make_multilabel_classification(60, n_classes=4, random_state=0)
    with pytest.raises(TaskError, match=f"'{name}' looks at one class a row, y has several labels; use 'max_loss'"):
        learner(name, LossClassifier("bce", max_epochs=1)).fit(X, Y)


@pytest.mark.parametrize("name", ["max_loss", "min_confidence"])
def test_what_looks_at_several_labels_refuses_one(name):
    with pytest.raises(TaskError, match=f"'{name}' looks at several labels a row, y has one; use 'margin'"):
        learner(name).fit(X, partly())


def test_a_function_that_declares_nothing_gives_utilities_of_the_whole_pool():
    sizes = []

    def doubt(proba):
        sizes.append(len(proba))
        return 1 - proba.max(axis=1)

    own, named = (learner(s).fit(X, partly()).query().tolist() for s in (doubt, "least_confidence"))
    assert own == named
    assert sizes == [144]


def test_a_network_measures_distances_where_its_head_does():
    seen = {}

    @strategy("peek", unit="pool")
    def peek(embeddings, *, embeddings_labeled):
        seen["shapes"] = embeddings.shape, embeddings_labeled.shape
        seen["rows"] = embeddings
        return embeddings[:, 0]

    net = LossClassifier(hidden_layer_sizes=(7,), max_epochs=2, random_state=0)
    model = learner(peek, net).fit(X, partly())
    model.query()
    assert seen["shapes"] == ((144, 7), (6, 7))
    head = model.estimator_.net_.module_.head
    logits = seen["rows"] @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    rest = np.setdiff1d(np.arange(150), SEEN)
    np.testing.assert_allclose(logits, model.decision_function(X[rest]), atol=1e-9)
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    learner(peek, scaled).fit(X, partly()).query()
    np.testing.assert_allclose(seen["rows"], StandardScaler().fit(X[SEEN]).transform(X[rest]))
    embedded = make_pipeline(MetricEmbedder(embedding_dim=3, max_epochs=2, random_state=0), KNeighborsClassifier(1))
    learner(peek, embedded).fit(X, partly()).query()
    assert seen["shapes"] == ((144, 3), (6, 3))


@pytest.mark.parametrize(
    ("estimator", "members"),
    [
        (RandomForestClassifier(6, random_state=0), 6),
        (BaggingClassifier(LogisticRegression(), 4, max_features=0.5, random_state=0), 4),
        (VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())]), 2),
        (LogisticRegression(), 3),
        (LossClassifier(max_epochs=1, random_state=0), 3),
    ],
    ids=lambda e: type(e).__name__,
)
def test_a_committee_has_the_members_of_an_ensemble_or_clones(estimator, members):
    seen = {}

    @strategy("vote", unit="row")
    def vote(committee):
        seen["committee"] = committee
        return committee.std(axis=0).sum(axis=1)

    named = np.array(["a", "b", "c"])[y]
    known = np.array([None] * 150, dtype=object)
    known[SEEN] = named[SEEN]
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = learner(vote, estimator, committee=3).fit(frame, known)
    model.query()
    votes = seen["committee"]
    assert votes.shape == (members, 144, 3)
    np.testing.assert_allclose(votes.sum(axis=2), 1)
    assert votes.std(axis=0).max() > 0
    if isinstance(estimator, RandomForestClassifier):
        rest = np.setdiff1d(np.arange(150), SEEN)
        np.testing.assert_allclose(votes.mean(axis=0), model.predict_proba(frame.iloc[rest]))


# -- beginnings -------------------------------------------------------------------------------------------------------


def test_begins_without_any_label_where_no_model_is_asked():
    model = learner("coreset", batch_size=6).fit(X, np.full(150, -1))
    rows = model.query()
    model.teach(X[rows], y[rows])
    assert len(model.classes_) >= 2


@pytest.mark.parametrize(
    ("seen", "why"), [([], "no row has a label"), ([0, 1], "the 2 labeled rows are all of one class")]
)
def test_says_why_there_is_no_model_yet(seen, why):
    model = learner().fit(X, partly(seen=seen))
    with pytest.raises(DataError, match=f"strategy 'margin' asks by probabilities.*{why}.*'coreset'"):
        model.query()
    with pytest.raises(DataError, match=f"there is no model yet, as .*{why[-9:]}"):
        model.classes_  # noqa: B018
    if seen:
        assert model.predict(X).tolist() == [0] * 150
    else:
        with pytest.raises(DataError, match="there is no model yet, as no row has a label"):
            model.predict(X)
    model.set_params(strategy="random")
    assert len(model.query()) == 10


# -- bad input --------------------------------------------------------------------------------------------------------


def test_a_model_without_probabilities_is_refused_with_what_to_do():
    model = learner(estimator=LinearSVC()).fit(X, partly())
    with pytest.raises(TaskError, match="which LinearSVC does not give; wrap it in CalibratedClassifierCV, or"):
        model.query()
    assert not hasattr(model, "predict_proba")
    assert hasattr(model, "decision_function")


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_a_number_of_rows_that_is_none_is_refused(n):
    with pytest.raises(ParameterError, match=r"n must be an int in \[1, inf\)"):
        learner().fit(X, partly()).query(n=n)


def test_more_rows_than_there_are_is_refused():
    with pytest.raises(DataError, match="n=145, but only 144 rows of X have no label"):
        learner().fit(X, partly()).query(n=145)


def test_probabilities_that_are_no_numbers_are_refused_by_row():
    class Broken(GaussianNB):
        def predict_proba(self, X):
            proba = super().predict_proba(X)
            proba[3] = np.nan
            return proba

    with pytest.raises(DataError, match="predict_proba of Broken is NaN or infinite in 1 of 144 rows, first in row 3"):
        learner(estimator=Broken()).fit(X, partly()).query()


def test_distances_of_missing_values_are_refused_by_row():
    holes = X.copy()
    holes[50, 2] = np.nan
    with pytest.raises(DataError, match="strategy 'coreset': X is NaN or infinite in 1 of 150 rows, first in row 50"):
        learner("coreset").fit(holes, np.full(150, -1)).query()


def test_a_strategy_of_classes_is_not_for_a_regressor():
    with pytest.raises(TaskError, match="strategy 'margin' asks by probabilities of classes, but Ridge is a regressor"):
        ActiveLearner(Ridge(), "margin").fit(X, y.astype(float))


def test_an_unknown_strategy_is_refused_before_any_fit():
    with pytest.raises(UnknownNameError, match="unknown strategy 'marign'; did you mean 'margin'"):
        ActiveLearner(LogisticRegression(), "marign").fit(X, partly())


def test_rows_of_another_width_are_refused():
    model = learner().fit(X, partly())
    with pytest.raises(DataError, match=r"like those of fit, \(4,\), got an X of \(2, 3\)"):
        model.teach(X[:2, :3], y[:2])
    with pytest.raises(DataError, match=r"like those of fit, \(4,\), got an X_pool of \(2, 3\)"):
        model.query(X[:2, :3])


def test_a_strategy_that_answers_wrongly_is_named():
    @strategy("twice", unit="batch")
    def twice(X_pool, *, n):
        return np.zeros(n, dtype=int)

    @strategy("nothing")
    def nothing(X_pool):
        return np.full(len(X_pool), np.nan)

    with pytest.raises(TrainingError, match="strategy 'twice' chose 10 rows, 1 different ones, of 10"):
        learner(twice).fit(X, partly()).query()
    with pytest.raises(TrainingError, match="strategy 'nothing' gave NaN for 144 of 144 rows"):
        learner(nothing).fit(X, partly()).query()


# -- a scikit-learn estimator -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [LogisticRegression(), Ridge()], ids=lambda e: type(e).__name__)
def test_passes_every_check_of_scikit_learn(estimator):
    strategy = "margin" if is_classifier(estimator) else "random"
    results = check_estimator(
        ActiveLearner(estimator, strategy, unlabeled=None),
        expected_failed_checks={"check_supervised_y_no_nan": "a missing target is a row without a label"},
        on_fail=None,
        on_skip=None,
    )
    assert {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"} == {}


def test_nested_parameters_reach_model_and_strategy():
    model = learner().set_params(estimator__C=3.0, strategy="margin")
    assert model.estimator.C == 3.0
    again = clone(model)
    assert again.get_params()["estimator__C"] == 3.0
    assert again.estimator is not model.estimator


def test_a_learner_goes_on_after_a_pickle():
    model = learner("random", batch_size=3).fit(X, partly())
    rows = model.query()
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.teach(X[rows], y[rows])
    assert model.query().tolist() == again.query().tolist()


def test_learns_faster_than_at_random():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    gains = []
    for seed in range(3):
        start = np.random.default_rng(seed).choice(len(y), 40, replace=False)
        scores = {}
        for name in ("margin", "random"):
            model = ActiveLearner(LogisticRegression(max_iter=200), name, batch_size=20, random_state=seed)
            model.fit(X, partly(y, start))
            for _ in range(6):
                rows = model.query()
                model.teach(X[rows], y[rows])
            scores[name] = model.score(X, y)
        gains.append(scores["margin"] - scores["random"])
    assert all(gain > 0 for gain in gains)

import pickle
import sys
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import ttest_1samp
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss import FewShotEvaluator, FewShotResult, PrototypeClassifier, embedding_scorer
from sklearnloss.exceptions import DataError, FactError, ParameterError, TaskError

matplotlib.use("Agg")

X, Y = load_digits(return_X_y=True)
NAMES = np.array([f"digit {i}" for i in range(10)])[Y]


class Counting(TransformerMixin, BaseEstimator):
    """Passes rows on, and counts how often it is asked."""

    asked = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        type(self).asked += 1
        return X


class Watching(PrototypeClassifier):
    """Keeps what it was given."""

    seen = []  # noqa: RUF012

    def fit(self, X, y):
        self.seen.append([X, y])
        return super().fit(X, y)

    def predict(self, X):
        self.seen[-1].append(X)
        return super().predict(X)


@pytest.fixture
def watched():
    """Return the shots, their labels and the queries of the episodes of an evaluation."""

    def run(evaluator, X, y):
        Watching.seen.clear()
        evaluator.set_params(classifier=Watching()).evaluate(None, X, y)
        return [tuple(episode) for episode in Watching.seen]

    return run


def test_episodes_hold_shots_and_queries_of_so_many_classes_without_a_row_twice(watched):
    rows = np.arange(len(Y), dtype=float)[:, None] + [1.0, 2.0]  # a row tells its place
    episodes = watched(FewShotEvaluator(4, 3, queries=7, episodes=30, random_state=0), rows, Y)
    assert len(episodes) == 30
    for shots, labels, queries in episodes:
        places = [(x[:, 0] - 1).astype(int) for x in (shots, queries)]
        assert len(np.unique(np.concatenate(places))) == 4 * (3 + 7)
        np.testing.assert_array_equal(Y[places[0]], labels)
        classes, count = np.unique(labels, return_counts=True)
        assert (len(classes), set(count)) == (4, {3})
        told, count = np.unique(Y[places[1]], return_counts=True)
        assert told.tolist() == classes.tolist()
        assert set(count) == {7}


def test_every_class_and_every_row_is_as_likely(watched):
    rows, y = np.arange(30, dtype=float)[:, None] + 1.0, np.repeat([0, 1, 2], [5, 10, 15])
    episodes = watched(FewShotEvaluator(2, 1, queries=1, episodes=800, random_state=0), rows, y)
    drawn = np.bincount(np.concatenate([x[:, 0] - 1 for x, _, _ in episodes]).astype(int), minlength=30)
    for c in range(3):
        assert drawn[y == c].sum() == pytest.approx(800 * 2 / 3, rel=0.1)
        assert drawn[y == c] == pytest.approx(800 * 2 / 3 / (y == c).sum(), rel=0.6)


def test_rows_are_embedded_once():
    Counting.asked = 0
    FewShotEvaluator(episodes=20, random_state=0).evaluate(Counting(), X, Y)
    assert Counting.asked == 1


def test_accuracies_are_those_of_the_classifier_on_each_episode(watched):
    evaluator = FewShotEvaluator(3, 2, queries=5, episodes=10, random_state=1)
    accuracies = evaluator.evaluate(None, X, NAMES).accuracies
    by_hand = []
    for shots, labels, queries in watched(clone(evaluator), X, NAMES):
        truth = [NAMES[(query == X).all(axis=1)][0] for query in queries]
        by_hand.append(PrototypeClassifier().fit(shots, labels).score(queries, truth))
    assert accuracies == pytest.approx(by_hand)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_is_told_by_chance_and_separated_classes_always(seed):
    rng = np.random.default_rng(seed)
    y = np.repeat(range(8), 20)
    evaluator = FewShotEvaluator(4, 1, queries=10, episodes=200, random_state=seed)
    noise = evaluator.evaluate(None, rng.normal(size=(160, 40)), y)
    assert noise.mean == pytest.approx(1 / 4, abs=0.04)
    assert evaluator.evaluate(None, np.eye(8)[y] + 0.01 * rng.normal(size=(160, 8)), y).mean == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_more_shots_help_and_more_ways_hurt(seed):
    def mean(ways, shots):
        return FewShotEvaluator(ways, shots, episodes=60, random_state=seed).evaluate(None, X, Y).mean

    assert mean(5, 5) > mean(5, 1) > mean(10, 1)


def test_the_interval_is_that_of_a_t_test_of_scipy():
    result = FewShotEvaluator(episodes=40, random_state=0).evaluate(None, X, Y)
    expected = ttest_1samp(result.accuracies, 0).confidence_interval(0.95)
    assert result.interval == pytest.approx(tuple(expected))
    assert result.mean == np.mean(result.accuracies)


def test_a_result_says_what_was_done():
    accuracies = np.array([0.8, 0.9, 1.0])
    result = FewShotResult(accuracies, 5, 1, 15, "PrototypeClassifier()")
    assert repr(result) == (
        "FewShotResult: 5-way 1-shot accuracy 90.0 % ± 24.8 (95 % interval of the mean of 3 episodes; "
        "15 queries a class; PrototypeClassifier())"
    )
    one = FewShotResult(accuracies[:1], 5, 1, 15, "PrototypeClassifier()")
    assert "±" not in repr(one)
    assert np.isnan(one.half_width)


@pytest.mark.parametrize("accuracies", [[0.8, 0.9, 1.0], [1.0, 1.0], [0.4]])
def test_a_plot_shows_every_episode_the_mean_and_chance(accuracies):
    ax = Figure().add_subplot()
    result = FewShotResult(np.array(accuracies), 5, 1, 15, "PrototypeClassifier()")
    assert result.plot(ax, label="episodes") is ax
    assert sum(bar.get_height() for bar in ax.patches if bar.get_width() < 0.2 and bar.get_height() >= 1) >= len(
        accuracies
    )
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([np.mean(accuracies), 0.2])
    ax.figure.savefig(BytesIO(), format="png")


def test_without_matplotlib_a_plot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'FewShotResult.plot needs matplotlib: pip install "sklearnloss\[report\]"'):
        FewShotResult(np.array([1.0]), 5, 1, 15, "").plot()


@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), KNeighborsClassifier(1), make_pipeline(StandardScaler(), PrototypeClassifier("euclidean"))],
    ids=repr,
)
def test_any_classifier_is_fitted_on_the_shots(classifier):
    result = FewShotEvaluator(3, 5, episodes=10, classifier=classifier, random_state=0).evaluate(None, X, NAMES)
    assert result.mean > 0.7
    assert result.classifier == repr(classifier)


def test_one_row_for_each_of_many_classes_raises_no_warning():
    y = np.repeat(range(40), 3)
    rows = np.eye(40)[y]
    assert FewShotEvaluator(30, 1, queries=2, episodes=3, random_state=0).evaluate(None, rows, y).mean == 1


def test_the_seed_decides():
    one, two, other = (
        FewShotEvaluator(episodes=5, random_state=seed).evaluate(None, X, Y).accuracies for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_it_is_a_scorer_of_a_grid():
    evaluator = FewShotEvaluator(3, 1, queries=5, episodes=30, random_state=0)
    folds = StratifiedKFold(3)
    search = GridSearchCV(PCA(), {"n_components": [1, 20]}, scoring=evaluator, cv=folds).fit(X, Y)
    assert search.best_params_ == {"n_components": 20}
    train, test = next(folds.split(X, Y))
    by_hand = evaluator.evaluate(PCA(20).fit(X[train]), X[test], Y[test]).mean
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(by_hand)


def test_it_scores_beside_others_on_classes_that_were_not_trained_on():
    scoring = {"few": FewShotEvaluator(2, 1, episodes=20, random_state=0), "map": embedding_scorer("map_at_r")}
    result = cross_validate(PCA(10), X, Y, groups=Y, cv=GroupKFold(3), scoring=scoring)
    assert (result["test_few"] > 0.6).all()


def test_weights_are_refused_and_under_routing_an_error_until_they_are_said_to_be_for_others():
    class Weighted(PCA):
        def fit(self, X, y=None, sample_weight=None):
            return super().fit(X)

    evaluator = FewShotEvaluator(2, 1, episodes=3, random_state=0)
    weights = np.ones(len(Y))
    with pytest.raises(FactError, match="takes no sample_weight"):
        evaluator(PCA(2).fit(X), X, Y, sample_weight=weights)
    search = GridSearchCV(Weighted(), {"n_components": [2]}, scoring=evaluator, cv=StratifiedKFold(2))
    with pytest.warns(UserWarning, match="does not support sample_weight"):
        search.fit(X, Y, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        search.set_params(estimator=Weighted().set_fit_request(sample_weight=True))
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            search.fit(X, Y, sample_weight=weights)
        search.set_params(scoring=evaluator.set_score_request(sample_weight=False)).fit(X, Y, sample_weight=weights)
        assert search.best_score_ > 0.5


def test_it_is_cloned_pickled_and_printed_with_its_parameters():
    evaluator = FewShotEvaluator(20, 5, episodes=10, random_state=0)
    assert repr(evaluator) == "FewShotEvaluator(episodes=10, random_state=0, shots=5, ways=20)"
    for twin in (clone(evaluator), pickle.loads(pickle.dumps(evaluator))):
        assert twin.get_params() == evaluator.get_params()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ways": 11}, DataError, "y has 10 classes, too few for 11 ways; lower ways"),
        ({"ways": 1}, ParameterError, r"ways must be an int in \[2, inf\), got 1"),
        ({"shots": 0}, ParameterError, r"shots must be an int in \[1, inf\), got 0"),
        ({"queries": 2.0}, ParameterError, r"queries must be an int in \[1, inf\), got 2.0"),
        ({"episodes": 0}, ParameterError, r"episodes must be an int in \[1, inf\), got 0"),
        (
            {"shots": 160},
            DataError,
            r"needs 175 rows of each class \(shots \+ queries\), too few has 'digit 8' \(174\); lower shots or queries",
        ),
        ({"shots": 200}, DataError, r"'digit 0' \(178\), .* and 5 more"),
        (
            {"classifier": "knn"},
            TaskError,
            "classifier must be a scikit-learn classifier with fit and predict, got 'knn'",
        ),
    ],
)
def test_what_makes_no_episode_is_refused_with_the_reason(options, error, message):
    with pytest.raises(error, match=message):
        FewShotEvaluator(**options).evaluate(None, X, NAMES)


def test_an_estimator_without_transform_is_refused():
    with pytest.raises(TaskError, match="LogisticRegression has no transform"):
        FewShotEvaluator().evaluate(LogisticRegression(), X, Y)
    with pytest.raises(DataError, match="X and y must have the same number of rows"):
        FewShotEvaluator().evaluate(None, X, Y[1:])

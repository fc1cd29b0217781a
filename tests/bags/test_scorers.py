import math
import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import sklearnloss
from sklearnloss import (
    AggregateRegressor,
    BagKFold,
    BagScorer,
    LLPClassifier,
    bag_interval_scorer,
    bag_kl_scorer,
    bag_l1_scorer,
    bag_mse_scorer,
    bag_targets,
)
from sklearnloss.exceptions import DataError, FactError, ParameterError, TaskError

OF_PROPORTIONS = [bag_l1_scorer, bag_kl_scorer, bag_interval_scorer]
ALL = [*OF_PROPORTIONS, bag_mse_scorer]


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose rows are the probabilities themselves."""

    def __init__(self, k=3):
        self.k = k

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.arange(self.k)
        return self

    def predict_proba(self, X):
        return X


class Column(RegressorMixin, BaseEstimator):
    """A regressor whose rows are the responses themselves, times a factor."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y, sample_weight=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.factor * X


def rows_and_bags(seed, k=3):
    """Return probabilities, proportions, ids of bags of 1, 4 and 7 rows in mixed order, and weights."""
    rng = np.random.default_rng(seed)
    bags = rng.permutation(np.repeat([3, 5, 9], [1, 4, 7]))
    P = {b: rng.dirichlet(np.ones(k)) for b in (3, 5, 9)}
    return rng.dirichlet(np.ones(k), size=12), P, bags, rng.uniform(0.5, 2, size=12)


def naive(name, q, P, bags, w):
    """Return a score, written with loops."""
    total, scores = 0.0, []
    for b in sorted(P):
        rows = [i for i in range(len(bags)) if bags[i] == b]
        W = sum(w[i] for i in rows)
        total += W
        mean = [sum(w[i] * q[i][c] for i in rows) / W for c in range(len(P[b]))]
        if name == "bag_l1_scorer":
            scores.append(-W * sum(abs(p - m) for p, m in zip(P[b], mean, strict=True)))
        elif name == "bag_kl_scorer":
            scores.append(-W * sum(p * math.log(p / m) for p, m in zip(P[b], mean, strict=True)))
        elif name == "bag_mse_scorer":
            scores.append(-W * sum((p - m) ** 2 for p, m in zip(P[b], mean, strict=True)) / len(mean))
        else:
            for c, (p, m) in enumerate(zip(P[b], mean, strict=True)):
                v = max(sum(w[i] * q[i][c] * (1 - q[i][c]) for i in rows), 1 / 12)
                scores.append(-math.log(math.sqrt(2 * math.pi * v)) - (W * (p - m)) ** 2 / (2 * v))
    return sum(scores) / (len(scores) if name == "bag_interval_scorer" else total)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scorer", ALL, ids=repr)
def test_is_the_formula_written_with_loops(scorer, weighted):
    for seed in range(3):
        q, P, bags, w = rows_and_bags(seed)
        model = (Column() if scorer is bag_mse_scorer else Given()).fit(q, None)
        found = scorer(model, q, bag_targets(P, bags), w if weighted else None)
        assert found == pytest.approx(naive(scorer.name, q, P, bags, w if weighted else np.ones(12)), rel=1e-12)


def test_worked_numbers():
    q, bags = np.array([[0.5, 0.5], [0.7, 0.3], [1.0, 0.0], [1.0, 0.0]]), np.array([0, 0, 1, 1])
    y = bag_targets({0: [0.5, 0.5], 1: [0.5, 0.5]}, bags)
    model = Given(2).fit(q, None)
    assert bag_l1_scorer(model, q, y) == pytest.approx(-(0.2 + 1) / 2)
    first = 0.5 * math.log(0.5 / 0.6) + 0.5 * math.log(0.5 / 0.4)
    second = 0.5 * math.log(0.5) + 0.5 * math.log(0.5 / 1e-7)  # by the floor of a proportion
    assert bag_kl_scorer(model, q, y) == pytest.approx(-(first + second) / 2)
    first = -math.log(2 * math.pi * 0.46) / 2 - 0.2**2 / (2 * 0.46)
    second = -math.log(2 * math.pi / 12) / 2 - 12 / 2  # by the floor of a variance
    assert bag_interval_scorer(model, q, y) == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("scorer", OF_PROPORTIONS, ids=repr)
def test_the_share_of_the_positive_class_is_as_good_as_two_columns(scorer):
    q, P, bags, w = rows_and_bags(0, k=2)
    one = scorer(Given(2).fit(q, None), q, bag_targets({b: p[1] for b, p in P.items()}, bags), w)
    assert one == pytest.approx(scorer(Given(2).fit(q, None), q, bag_targets(P, bags), w))


def test_exact_predictions_have_zero_and_nothing_is_above():
    bags = np.arange(4)
    for P in (np.eye(4), np.random.default_rng(0).dirichlet(np.ones(4), size=4)):
        model, y = Given(4).fit(P, None), bag_targets(P, bags)
        for scorer in (bag_l1_scorer, bag_kl_scorer):
            assert scorer(model, P, y) == 0
            assert scorer(model, np.eye(4)[[1, 2, 3, 0]], y) < -0.5
    tiny = bag_targets(np.array([[1 - 1e-8, 1e-8]]), [0])
    assert bag_kl_scorer(Given(2), np.array([[1.0, 0.0]]), tiny) == 0  # the floor is above what is known
    assert bag_l1_scorer(Given(2), np.array([[1.0, 0.0]]), bag_targets(np.array([[0.0, 1.0]]), [0])) == -2


@pytest.mark.parametrize("scorer", ALL, ids=repr)
def test_a_row_of_weight_two_is_two_rows_and_one_of_weight_zero_none(scorer):
    q, P, bags, _ = rows_and_bags(1)
    counts = np.array([0, 1, 2, 3, 1, 0, 1, 2, 1, 1, 1, 2])
    counts[bags == 3] = 0  # a bag that is not there at all
    model = (Column() if scorer is bag_mse_scorer else Given()).fit(q, None)
    y = bag_targets(P, bags)
    again = np.repeat(np.arange(12), counts)
    assert scorer(model, q, y, counts) == pytest.approx(scorer(model, q[again], y[again]), rel=1e-12)


@pytest.mark.parametrize("scorer", [bag_l1_scorer, bag_kl_scorer, bag_mse_scorer], ids=repr)
def test_the_scale_of_weights_matters_to_counts_only(scorer):
    q, P, bags, w = rows_and_bags(1)
    model = (Column() if scorer is bag_mse_scorer else Given()).fit(q, None)
    y = bag_targets(P, bags)
    assert scorer(model, q, y, w) == pytest.approx(scorer(model, q, y, 10 * w))
    assert bag_interval_scorer(Given(), q, y, w) != pytest.approx(bag_interval_scorer(Given(), q, y, 10 * w))


@pytest.mark.parametrize("size", [1, 4, 30])
def test_counts_are_likeliest_under_the_true_probabilities_for_bags_of_any_size(size):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        logit = 2 * rng.normal(size=6000)
        bags = np.repeat(np.arange(6000 // size), size)
        labels = rng.uniform(size=6000) < 1 / (1 + np.exp(-logit))
        y = bag_targets((np.bincount(bags, weights=labels) / size)[bags], bags)

        def score(slope, shift=0.0, y=y, logit=logit):
            p = 1 / (1 + np.exp(-slope * logit - shift))
            q = np.stack([1 - p, p], axis=1)
            return bag_interval_scorer(Given(2).fit(q, None), q, y)

        best = score(1.0)
        assert best > max(score(0.4), score(2.5), score(1.0, 0.7), score(1.0, -0.7))


def test_counts_tell_rows_apart_where_means_of_bags_do_not():
    """Two models have the means of all bags right; only one of them knows the rows, and counts are sure."""
    q = np.tile([[0.98, 0.02], [0.02, 0.98]], (50, 1))
    flat = np.full_like(q, 0.5)
    y = bag_targets(np.full((100, 2), 0.5), np.repeat(np.arange(25), 4))
    for scorer in (bag_l1_scorer, bag_kl_scorer):
        assert scorer(Given(2), q, y) == pytest.approx(scorer(Given(2), flat, y))
    assert bag_interval_scorer(Given(2), q, y) > bag_interval_scorer(Given(2), flat, y) + 0.3


def test_means_of_several_targets_are_judged_together():
    X, bags = np.arange(12.0).reshape(6, 2), np.array([0, 0, 0, 1, 1, 1])
    means = np.array([[2.0, 3.0], [8.0, 10.0]])[bags]
    assert bag_mse_scorer(Column().fit(X, None), X, bag_targets(means, bags)) == pytest.approx(-0.25)
    column = bag_targets(means[:, 1], bags)
    assert bag_mse_scorer(Column().fit(X, None), X[:, 1], column) == pytest.approx(-0.5)


def test_any_classifier_and_any_pipeline_is_judged():
    rng = np.random.default_rng(0)
    X, bags = 3 + 10 * rng.normal(size=(200, 2)), np.repeat(np.arange(20), 10)
    labels = (X[:, 0] > X[:, 1]).astype(int)
    y = bag_targets(np.bincount(bags, weights=labels)[bags] / 10, bags)
    good = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, labels)
    bad = LogisticRegression().fit(X, rng.permutation(labels))
    for scorer in OF_PROPORTIONS:
        assert scorer(good, X, y) > scorer(bad, X, y)
    response = bag_targets((np.bincount(bags, weights=X @ [1.0, 2.0]) / 10)[bags], bags)
    assert bag_mse_scorer(LinearRegression().fit(X, X @ [1.0, 2.0]), X, response) == pytest.approx(0, abs=1e-20)


def easy(n_bags=40, size=8, seed=0):
    """Return rows, targets of bags and labels of a problem that a line solves."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_bags * size, 2))
    labels, bags = (X[:, 0] > 0).astype(int), np.repeat(np.arange(n_bags), size)
    P = {b: np.bincount(labels[bags == b], minlength=2) / size for b in range(n_bags)}
    return X, bag_targets(P, bags), labels


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("scorer", OF_PROPORTIONS, ids=repr)
def test_a_search_by_bags_finds_the_model_that_is_better_for_rows(scorer, routing):
    X, y, labels = easy()
    model = LLPClassifier(hidden_layer_sizes=(), max_epochs=15, batch_size=64, random_state=0)
    with config_context(enable_metadata_routing=routing):
        search = GridSearchCV(model, {"lr": [1e-4, 0.05]}, cv=BagKFold(5), scoring=scorer).fit(X, y)
    assert search.best_params_ == {"lr": 0.05}
    assert search.best_estimator_.score(X, labels) > 0.9
    assert search.score(X, y) == scorer(search.best_estimator_, X, y)
    worse = model.set_params(lr=1e-4).fit(X, y)
    assert scorer(search, X, y) > scorer(worse, X, y)


@pytest.mark.parametrize("routing", [False, True])
def test_a_search_of_pipelines_runs_in_two_processes(routing):
    X, y, labels = easy(n_bags=20)
    model = make_pipeline(StandardScaler(), LLPClassifier(hidden_layer_sizes=(), max_epochs=15, random_state=0))
    with config_context(enable_metadata_routing=routing):
        grid = {"llpclassifier__lr": [1e-4, 0.1]}
        search = GridSearchCV(model, grid, cv=BagKFold(5), scoring=bag_kl_scorer, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"llpclassifier__lr": 0.1}
    assert search.score(X, y) > -0.2
    assert search.best_estimator_.score(X, labels) > 0.9


def test_several_scorers_serve_one_search():
    X, y, _ = easy(n_bags=20)
    model = LLPClassifier(hidden_layer_sizes=(), max_epochs=2, random_state=0)
    scoring = {scorer.name: scorer for scorer in OF_PROPORTIONS}
    found = cross_validate(model, X, y, cv=BagKFold(4), scoring=scoring)
    for name in scoring:
        assert np.isfinite(found[f"test_{name}"]).all()


def test_a_search_of_regressors_finds_the_better():
    rng = np.random.default_rng(0)
    X, bags = rng.normal(size=(240, 2)), np.repeat(np.arange(40), 6)
    response = X @ [1.0, -2.0]
    y = bag_targets((np.bincount(bags, weights=response) / 6)[bags], bags)
    model = AggregateRegressor(hidden_layer_sizes=(), max_epochs=20, batch_size=48, random_state=0)
    search = GridSearchCV(model, {"lr": [1e-4, 0.05]}, cv=BagKFold(4), scoring=bag_mse_scorer).fit(X, y)
    assert search.best_params_ == {"lr": 0.05}
    assert search.best_estimator_.score(X, response) > model.set_params(lr=1e-4).fit(X, y).score(X, response) + 0.5


def test_early_stopping_watches_a_scorer_of_bags():
    X, y, _ = easy()
    scores = []

    def watching(*args):
        scores.append(bag_kl_scorer(*args))
        return scores[-1]

    model = LLPClassifier(max_epochs=6, early_stopping=True, scoring=watching, lr=0.01, random_state=0).fit(X, y)
    assert [row["valid_score"] for row in model.history_] == scores


def test_weights_are_used_without_routing_and_with_it_if_requested():
    q, P, bags, w = rows_and_bags(0)
    y, halves = bag_targets(P, bags), [bags == 9, bags != 9]
    cv = [(np.flatnonzero(~half), np.flatnonzero(half)) for half in halves]
    expected = np.mean([bag_l1_scorer(Given(), q[half], y[half], w[half]) for half in halves])
    plain = GridSearchCV(Given(), {"k": [3]}, cv=cv, scoring=bag_l1_scorer).fit(q, y, sample_weight=w)
    assert plain.best_score_ == pytest.approx(expected)
    with config_context(enable_metadata_routing=True):
        model = Given().set_fit_request(sample_weight=True)
        weighed = bag_l1_scorer.set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"k": [3]}, cv=cv, scoring=weighed).fit(q, y, sample_weight=w)
        ignored = bag_l1_scorer.set_score_request(sample_weight=False)
        other = cross_validate(model, q, y, cv=cv, scoring=ignored, params={"sample_weight": w})
        with pytest.raises(ValueError, match="sample_weight"):
            GridSearchCV(model, {"k": [3]}, cv=cv, scoring=bag_l1_scorer).fit(q, y, sample_weight=w)
    assert search.best_score_ == pytest.approx(expected)
    assert other["test_score"].mean() != pytest.approx(expected)


@pytest.mark.parametrize("scorer", ALL, ids=repr)
def test_a_scorer_is_its_name_and_can_be_pickled(scorer):
    assert repr(scorer) == scorer.name
    assert getattr(sklearnloss, scorer.name) is scorer
    again = pickle.loads(pickle.dumps(scorer))
    assert again == scorer == BagScorer(scorer.name)
    assert hash(again) == hash(scorer)
    assert scorer.set_score_request(sample_weight=True) is not scorer
    assert sum(scorer == other for other in ALL) == 1
    assert scorer != scorer.name


@pytest.mark.parametrize(
    ("judge", "error", "words"),
    [
        (lambda q, y: bag_kl_scorer(Given(), q, np.zeros(12, int)), DataError, r"make it with bag_targets\(proportion"),
        (lambda q, y: bag_kl_scorer(Given(), q, y["p"]), DataError, "y does not say which row is of which"),
        (
            lambda q, y: bag_l1_scorer(Given(), q, y, bags=y),
            FactError,
            "takes sample_weight and nothing else, got bags",
        ),
        (
            lambda q, y: bag_l1_scorer(LinearSVC(), q, y),
            TaskError,
            "needs predict_proba, which LinearSVC does not have",
        ),
        (lambda q, y: bag_l1_scorer(Given(), q[:, :2], y), DataError, "of 3 classes, and Given predicts 2$"),
        (lambda q, y: bag_mse_scorer(Column(), q[:, :2], y), DataError, "of 3 targets, and Column predicts 2$"),
        (lambda q, y: bag_l1_scorer(Given(), q, y, np.zeros(12)), ValueError, "zero"),
        (lambda q, y: bag_l1_scorer(Given(), q, y, -np.ones(12)), ValueError, "[Nn]egative values"),
        (
            lambda q, y: BagScorer("bag_l2_scorer"),
            ParameterError,
            "must be one of bag_l1_scorer, bag_kl_scorer, bag_int",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(judge, error, words):
    q, P, bags, _ = rows_and_bags(0)
    with pytest.raises(error, match=words):
        judge(q, bag_targets(P, bags))

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_score, cross_validate
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss import EmbeddingScorer, Metric, components, embedding_scorer, metric
from sklearnloss.exceptions import DataError, FactError, ParameterError, TaskError, UnknownNameError
from sklearnloss.metrics.eer import eer
from sklearnloss.metrics.map_at_r import map_at_r
from sklearnloss.metrics.uniformity import uniformity

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
FOLDS = StratifiedKFold(3)
OF_EMBEDDINGS = [c.name for c in components("metric") if c.role == "embeddings"]


@metric("spread", greater_is_better=False)
def spread(embeddings, *, scale: float = 1.0):
    """Say how wide embeddings are."""
    return scale * float(np.std(embeddings))


def first_column(embeddings, y):
    """Say how large the first column is; declared nowhere."""
    return embeddings[:, 0].mean()


def pca(n=2):
    return make_pipeline(StandardScaler(), PCA(n)).fit(X)


def test_it_is_the_metric_of_what_the_transformer_gives():
    model = pca()
    scorer = embedding_scorer("map_at_r", distance="euclidean")
    assert scorer(model, X, NAMES) == map_at_r(model.transform(X), NAMES, distance="euclidean")
    assert scorer(None, X, Y) == map_at_r(X, Y, distance="euclidean")


@pytest.mark.parametrize("name", OF_EMBEDDINGS)
def test_of_every_metric_greater_is_better(name):
    rng = np.random.default_rng(0)
    y = np.repeat(range(4), 15)
    noise = rng.normal(size=(60, 4))
    good, bad = 9 * np.eye(4)[y] + 0.1 * noise, noise
    if name == "uniformity":
        good, bad = noise, good
    scorer = embedding_scorer(name)
    assert scorer(None, good, y) >= scorer(None, bad, y)
    if name != "opis":  # it is about equal treatment, good or bad
        assert scorer(None, good, y) > scorer(None, bad, y)


def test_the_sign_is_turned_where_less_is_better():
    assert embedding_scorer("eer")(None, X, Y) == -eer(X, Y)
    assert {n: embedding_scorer(n).sign for n in OF_EMBEDDINGS} == {
        "eer": -1, "map_at_r": 1, "nmi": 1, "opis": -1, "r_precision": 1, "recall_at_k": 1, "tolerance": 1,
        "uniformity": -1, "utilization": -1,
    }  # fmt: skip


def test_a_function_of_ones_own_is_taken_with_the_sign_it_declares():
    assert embedding_scorer(spread, scale=2.0)(None, X) == -2 * np.std(X)
    assert embedding_scorer(first_column)(None, X, Y) == X[:, 0].mean()
    assert repr(embedding_scorer(spread, scale=2.0)) == "embedding_scorer(spread, scale=2.0)"


def test_searches_a_grid_in_two_processes():
    grid = {"pca__n_components": [1, 2, 3], "pca__whiten": [False, True]}
    model = make_pipeline(StandardScaler(), PCA())
    search = GridSearchCV(model, grid, scoring=embedding_scorer("map_at_r", distance="euclidean"), cv=FOLDS, n_jobs=2)
    search.fit(X, NAMES)
    by_hand = [
        np.mean([
            map_at_r(clone(model).set_params(**point).fit(X[train]).transform(X[test]), Y[test], distance="euclidean")
            for train, test in FOLDS.split(X, Y)
        ])
        for point in search.cv_results_["params"]
    ]  # fmt: skip
    assert search.cv_results_["mean_test_score"] == pytest.approx(by_hand)


def test_a_search_prefers_an_embedding_that_has_learnt_the_classes():
    model = make_pipeline(StandardScaler(), NeighborhoodComponentsAnalysis(2, init="pca", random_state=0))
    grid = {"neighborhoodcomponentsanalysis__max_iter": [1, 60]}
    scorer = embedding_scorer("eer", distance="euclidean")
    search = GridSearchCV(model, grid, scoring=scorer, cv=FOLDS).fit(X, Y)
    assert search.best_params_ == {"neighborhoodcomponentsanalysis__max_iter": 60}
    assert -0.5 < search.best_score_ < 0


def test_classes_that_were_not_trained_on_are_judged_with_groups():
    D, d = load_digits(return_X_y=True)
    scores = cross_val_score(
        PCA(8), D[:500], d[:500], groups=d[:500], cv=GroupKFold(3), scoring=embedding_scorer("eer")
    )
    assert (scores > -0.5).all()


def test_several_scorers_judge_side_by_side():
    scoring = {"map": embedding_scorer("map_at_r"), "recall": embedding_scorer("recall_at_k", k=5)}
    result = cross_validate(PCA(2), X, Y, cv=FOLDS, scoring=scoring)
    assert result["test_recall"].mean() > result["test_map"].mean()


def test_metrics_without_classes_need_no_y():
    assert embedding_scorer("uniformity")(pca(), X) == -uniformity(pca().transform(X))
    assert embedding_scorer("utilization")(pca(), X, Y) == embedding_scorer("utilization")(pca(), X)


def test_it_is_pickled_cloned_compared_and_printed_as_it_is_made():
    scorer = embedding_scorer("recall_at_k", k=3, distance="euclidean")
    assert repr(scorer) == "embedding_scorer('recall_at_k', k=3, distance='euclidean')"
    for twin in (eval(repr(scorer)), pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
        assert twin == scorer
        assert hash(twin) == hash(scorer)
        assert twin(None, X, Y) == scorer(None, X, Y)
    assert scorer != embedding_scorer("recall_at_k", k=4, distance="euclidean")
    assert scorer != "recall_at_k"
    assert embedding_scorer(Metric("recall_at_k", k=3), distance="euclidean") == scorer
    assert EmbeddingScorer(Metric("recall_at_k", k=3, distance="euclidean")) == scorer


def test_a_transformer_that_gives_a_frame_is_judged_by_its_numbers():
    plain, framed = PCA(2).fit(X), PCA(2).set_output(transform="pandas").fit(X)
    assert embedding_scorer("map_at_r")(framed, X, Y) == embedding_scorer("map_at_r")(plain, X, Y)


def test_weights_are_refused_in_a_call():
    scorer = embedding_scorer("map_at_r")
    with pytest.raises(
        FactError, match=r"embedding_scorer\('map_at_r'\) takes no sample_weight: it judges rows against"
    ):
        scorer(None, X, Y, sample_weight=np.ones(150))


@pytest.mark.parametrize("several", [False, True])
def test_weights_of_a_search_are_warned_of(several):
    class Weighted(PCA):
        def fit(self, X, y=None, sample_weight=None):
            return super().fit(X)

    scorer = embedding_scorer("map_at_r")
    scoring = {"a": scorer, "b": embedding_scorer("eer")} if several else scorer
    search = GridSearchCV(Weighted(), {"n_components": [2]}, scoring=scoring, cv=FOLDS, refit="a" if several else True)
    with pytest.warns(UserWarning, match="does not support sample_weight"):
        search.fit(X, Y, sample_weight=np.ones(150))
    assert search.best_score_ > 0.5


def test_under_routing_weights_are_an_error_until_they_are_said_to_be_for_others():
    class Weighted(PCA):
        def fit(self, X, y=None, sample_weight=None):
            return super().fit(X)

    scorer = embedding_scorer("map_at_r")
    with config_context(enable_metadata_routing=True):
        model = Weighted().set_fit_request(sample_weight=True)
        search = GridSearchCV(model, {"n_components": [2, 3]}, scoring=scorer, cv=FOLDS)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            search.fit(X, Y, sample_weight=np.ones(150))
        search.set_params(scoring=scorer.set_score_request(sample_weight=False)).fit(X, Y, sample_weight=np.ones(150))
        assert search.best_score_ > 0.5
        assert search.fit(X, Y).best_score_ > 0.5
    with pytest.raises(FactError, match="takes no sample_weight; set_score_request takes False or None, got True"):
        scorer.set_score_request(sample_weight=True)


def test_folds_of_one_class_say_what_to_do():
    with pytest.raises(
        DataError, match=r"cannot judge these 50 rows: y has one class.*StratifiedKFold\(3, shuffle=True\)"
    ):
        cross_val_score(PCA(2), X, Y, cv=3, scoring=embedding_scorer("map_at_r"), error_score="raise")


def test_what_cannot_be_scored_is_refused_with_the_reason():
    with pytest.raises(
        TaskError, match=r"metric 'ece' judges y_true, not embeddings; embedding_scorer takes eer, map_at_r"
    ):
        embedding_scorer("ece")
    with pytest.raises(UnknownNameError, match="unknown metric 'map_at_k'; did you mean 'map_at_r'"):
        embedding_scorer("map_at_k")
    with pytest.raises(ParameterError, match="metric 'map_at_r' has no parameter 'k'; it has distance"):
        embedding_scorer("map_at_r", k=3)
    with pytest.raises(ParameterError, match=r"k must be an int in \[1, inf\), got 0"):
        embedding_scorer("recall_at_k", k=0)
    with pytest.raises(TaskError, match="LogisticRegression has no transform, so it gives no embeddings"):
        embedding_scorer("map_at_r")(LogisticRegression(max_iter=200).fit(X, Y), X, Y)
    with pytest.raises(TaskError, match="Pipeline has no transform"):
        embedding_scorer("map_at_r")(make_pipeline(PCA(), LogisticRegression(max_iter=200)).fit(X, Y), X, Y)
    with pytest.raises(DataError, match="metric 'map_at_r' needs the classes of the rows"):
        embedding_scorer("map_at_r")(pca(), X)
    with pytest.raises(DataError, match="same number of rows, got 150 and 149"):
        embedding_scorer("map_at_r")(pca(), X, Y[1:])

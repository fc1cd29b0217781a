import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

from sklearnloss import simulate
from sklearnloss.active.simulate import first_rows
from sklearnloss.component import strategy
from sklearnloss.exceptions import DataError, ParameterError

DIGITS, LABELS = load_digits(return_X_y=True)
POOL, TEST = (DIGITS[:600] / 16, LABELS[:600]), (DIGITS[1200:] / 16, LABELS[1200:])
MODEL = LogisticRegression(max_iter=500)


def run(name="margin", model=MODEL, seed=0, **params):
    params = {"n_rounds": 4, **params}
    return simulate(model, *POOL, *TEST, strategy=name, random_state=seed, **params)


def test_the_curve_is_that_of_models_fitted_by_hand():
    curve = run()
    rows = np.empty(0, dtype=int)
    for asked, n, score in zip(curve.asked, curve.n_labels, curve.scores, strict=True):
        rows = np.concatenate([rows, asked])
        assert len(rows) == n
        assert MODEL.fit(POOL[0][rows], POOL[1][rows]).score(*TEST) == score
    assert len(np.unique(rows)) == len(rows)
    assert curve.n_labels.tolist() == [20, 30, 40, 50, 60]
    assert len(curve.seconds) == 4


def test_strategies_with_one_seed_begin_with_the_same_rows():
    starts = [set(run(name, seed=1, n_rounds=1).asked[0].tolist()) for name in ("margin", "random", "coreset")]
    assert starts[0] == starts[1] == starts[2]
    assert starts[0] != set(run(seed=2, n_rounds=1).asked[0].tolist())


def test_the_same_seed_gives_the_same_curve():
    assert np.array_equal(run("random").scores, run("random").scores)


def test_begins_with_the_rows_that_the_user_names():
    curve = run(n_initial=[5, 6, 7, 8], n_rounds=1)
    assert curve.asked[0].tolist() == [5, 6, 7, 8]
    assert curve.n_labels.tolist() == [4, 14]


def test_ends_where_the_pool_does():
    curve = simulate(MODEL, POOL[0][:45], POOL[1][:45], *TEST, random_state=0)
    assert curve.n_labels.tolist() == [20, 30, 40, 45]
    assert sorted(np.concatenate(curve.asked).tolist()) == list(range(45))


def test_the_area_is_the_mean_height():
    curve = run()
    heights = (curve.scores[1:] + curve.scores[:-1]) / 2
    assert curve.area == pytest.approx(heights.mean())
    assert curve.labels_to_reach(0.0) == 20
    assert curve.labels_to_reach(1.1) is None


def test_another_score_and_a_look_at_each_round():
    seen = []
    curve = run(scoring="neg_log_loss", on_round=lambda learner: seen.append(len(learner.y_labeled_)))
    assert (curve.scores < 0).all()
    assert curve.scoring == "neg_log_loss"
    assert seen == [30, 40, 50, 60]


def test_a_regressor_is_replayed_too():
    X, y = load_diabetes(return_X_y=True)
    curve = simulate(Ridge(0.1), X[:300], y[:300], X[300:], y[300:], strategy="coreset", n_rounds=5, random_state=0)
    assert curve.n_labels[-1] == 70
    assert curve.scores[-1] > 0


def test_weights_of_a_strategy_are_learned_with_where_the_model_takes_them():
    @strategy("weighing", unit="batch")
    def weighing(X_pool, *, n):
        return np.arange(n), np.linspace(1, 3, n)

    curve = run(weighing, n_rounds=1, n_initial=np.arange(590, 600))
    rows = np.concatenate(curve.asked)
    weights = np.concatenate([np.ones(10), np.linspace(1, 3, 10)])
    assert MODEL.fit(POOL[0][rows], POOL[1][rows], weights).score(*TEST) == curve.scores[-1]
    assert run(weighing, KNeighborsClassifier(1), n_rounds=1, n_initial=np.arange(590, 600)).scores[-1] > 0


@pytest.mark.parametrize("name", ["n_initial", "batch_size", "n_rounds"])
@pytest.mark.parametrize("value", [0, 2.5, True])
def test_a_number_out_of_range_is_refused(name, value):
    with pytest.raises(ParameterError, match=rf"{name} must be an int in \[1, inf\)"):
        run(**{name: value})


def test_more_first_rows_than_there_are_is_refused():
    with pytest.raises(DataError, match="n_initial=601, but the pool has 600 rows"):
        run(n_initial=601)


def test_the_curve_can_be_drawn():
    ax = run().plot()
    assert ax.lines[0].get_xdata().tolist() == [20, 30, 40, 50, 60]
    assert ax.get_xlabel() == "labels"


# -- the first rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 4, 10, 57])
@pytest.mark.parametrize("seed", range(5))
def test_the_first_rows_have_every_class_in_its_proportion(n, seed):
    y = np.repeat(["a", "b", "c"], [60, 30, 10])
    rows = first_rows(y, n, np.random.default_rng(seed), classes=True)
    assert len(np.unique(rows)) == n
    counts = np.array([(y[rows] == c).sum() for c in "abc"])
    assert counts.min() >= 1
    assert np.abs(counts - n * np.array([0.6, 0.3, 0.1])).max() <= 2


def test_the_first_rows_of_fewer_than_there_are_classes_are_as_many():
    y = np.arange(10)
    assert len(np.unique(first_rows(y, 4, np.random.default_rng(0), classes=True))) == 4


def test_each_row_of_a_class_comes_first_as_often():
    y = np.repeat([0, 1], [8, 4])
    counts = np.zeros(12)
    rng = np.random.default_rng(0)
    for _ in range(3000):
        counts[first_rows(y, 3, rng, classes=True)] += 1
    assert np.abs(counts[:8] / 3000 - 2 / 8).max() < 0.03
    assert np.abs(counts[8:] / 3000 - 1 / 4).max() < 0.03

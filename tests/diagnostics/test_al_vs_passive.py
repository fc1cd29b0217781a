import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from sklearnloss import Strategy, simulate
from sklearnloss.component import strategy
from sklearnloss.diagnostics.al_vs_passive import ActiveVersusPassive, al_vs_passive
from sklearnloss.exceptions import DataError, DataWarning

X, Y = load_digits(return_X_y=True)
FEW = X[:, 26:38]


def result(active, passive, dimension=10, full=0.9):
    n = np.arange(1, np.shape(active)[1] + 1) * 10
    return ActiveVersusPassive(n, np.array(active), np.array(passive), dimension, full, "margin")


def test_figures_are_those_of_the_curves():
    found = result([[0.5, 0.6, 0.7], [0.5, 0.8, 0.7]], [[0.5, 0.7, 0.6], [0.5, 0.9, 0.6]], dimension=60)
    np.testing.assert_allclose(found.gain, [0, -0.1, 0.1])
    assert found.share_passive_better == 0.5
    assert found.labels_per_dimension == 0.5
    assert "30 labels for 60 columns" in found.warning


def test_warns_only_where_labels_are_few_and_the_gain_is_not_clear():
    rising, flat = [[0.5, 0.6, 0.7], [0.5, 0.61, 0.71]], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    assert not result(rising, flat, dimension=60).warning  # clearly ahead
    assert not result(flat, rising, dimension=20).warning  # labels enough
    assert "overlap" in result(flat, rising, dimension=60, full=0.7).warning
    assert "well apart" in result(flat, rising, dimension=60, full=0.99).warning


def test_a_strategy_that_asks_at_random_is_level_with_random_rows():
    @strategy("also_random")
    def also_random(X_pool, *, rng):
        return rng.random(X_pool.shape[0])

    found = al_vs_passive(GaussianNB(), FEW, Y, strategy=also_random, n_rounds=2, n_seeds=2)
    np.testing.assert_array_equal(found.active, found.passive)


def test_curves_are_those_of_the_simulation_whatever_the_jobs():
    one, two = (al_vs_passive(GaussianNB(), FEW, Y, n_rounds=2, n_seeds=2, n_jobs=n) for n in (None, 2))
    np.testing.assert_array_equal(one.active, two.active)
    assert one.active.shape == (2, 3)
    assert one.full_score > one.active.max()


def test_margin_is_ahead_on_digits():
    found = al_vs_passive(LogisticRegression(max_iter=300), X / 16, Y, n_seeds=3, n_rounds=8)
    assert found.gain[1:].mean() > 0
    assert not found.warning


def test_even_the_true_boundary_is_behind_random_rows_with_fewer_labels_than_columns():
    rng = np.random.default_rng(0)
    gains = []
    for seed in range(3):
        y = rng.integers(2, size=3000)
        rows = rng.normal(size=(3000, 500))
        rows[:, 0] += 4 * y - 2
        oracle = LogisticRegression(C=100, max_iter=500).fit(rows, y)
        scores = [
            simulate(
                LogisticRegression(C=1e3, max_iter=500), rows[:2000], y[:2000], rows[2000:], y[2000:],
                strategy=name, n_initial=10, batch_size=30, n_rounds=4, random_state=seed,
            ).scores[-1]
            for name in (Strategy("margin_oracle", oracle=oracle), "random")
        ]  # fmt: skip
        gains.append(scores[0] - scores[1])
    assert max(gains) < 0


def test_says_so_where_it_should_not_be_used():
    wide, y = make_classification(300, n_features=200, n_informative=5, flip_y=0.2, random_state=0)
    with pytest.warns(DataWarning, match="50 labels for 200 columns"):
        al_vs_passive(GaussianNB(), wide, y, n_rounds=3, n_seeds=2)


def test_too_few_rows_are_refused():
    with pytest.raises(DataError, match="of 30 rows 70% are the pool, too few for n_initial=20"):
        al_vs_passive(GaussianNB(), X[:30], Y[:30])


def test_can_be_drawn_and_printed():
    found = result([[0.5, 0.6, 0.7]], [[0.5, 0.5, 0.6]], dimension=20)
    ax = found.plot()
    assert {"margin", "random", "a label a column", "all labels"} == {t.get_text() for t in ax.get_legend().get_texts()}
    assert "random ahead at 0 % of the budgets; 1.5 labels a column" in repr(found)
    plt.close(ax.figure)

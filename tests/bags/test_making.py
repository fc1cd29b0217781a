import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs

from sklearnloss import LLPClassifier, bag_targets, make_bags, privatize
from sklearnloss.bags.making import onto_simplex
from sklearnloss.exceptions import DataError, ParameterError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(203, 3))
Y = RNG.choice(["a", "b", "c"], p=[0.5, 0.3, 0.2], size=203)


def shares(bags, labels):
    """Return the proportions of bags, (b, k), counted."""
    classes = np.unique(labels)
    return np.array([[np.mean(labels[bags == b] == c) for c in classes] for b in np.unique(bags)])


# -- bags -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["random", "feature", "cluster", "label_dependent"])
def test_every_row_is_in_a_bag_and_bags_are_numbered_without_gaps(how):
    bags = make_bags(X, Y, bag_size=8, how=how, random_state=0)
    assert bags.shape == (203,)
    assert np.unique(bags).tolist() == list(range(bags.max() + 1))
    assert abs(np.bincount(bags).mean() - 8) < 1


@pytest.mark.parametrize("how", ["random", "feature", "label_dependent"])
@pytest.mark.parametrize(("n", "bag_size", "sizes"), [(64, 16, {16}), (203, 16, {15, 16}), (5, 16, {5}), (5, 1, {1})])
def test_sizes_differ_by_one_at_most(how, n, bag_size, sizes):
    bags = make_bags(X[:n], Y[:n], bag_size=bag_size, how=how, random_state=0)
    assert set(np.bincount(bags).tolist()) == sizes


@pytest.mark.parametrize("how", ["random", "feature", "cluster", "label_dependent"])
def test_the_seed_decides_and_the_global_generator_does_not_move(how):
    table = np.column_stack([np.round(X[:, 0]), X[:, 1:]])  # with ties, which are broken at random
    before = np.random.get_state()[1].copy()
    first, again, other = (make_bags(table, Y, how=how, random_state=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    state = np.random.RandomState(0)
    assert (make_bags(table, Y, how=how, random_state=state) != make_bags(table, Y, how=how, random_state=state)).any()
    assert (np.random.get_state()[1] == before).all()


def test_random_bags_know_nothing_of_rows():
    n = 4000
    values, labels = np.arange(n)[:, None], np.arange(n) % 2
    bags = make_bags(values, bag_size=10, random_state=0)
    p = shares(bags, labels)[:, 0]
    expected = 0.25 / 10 * (n - 10) / (n - 1)  # of a draw without replacement
    assert p.var() == pytest.approx(expected, rel=0.2)


def test_a_column_of_numbers_is_sorted_and_cut():
    bags = make_bags(X, bag_size=10, how="feature", column=1)
    order = np.argsort(X[:, 1])
    assert (np.diff(bags[order]) >= 0).all()
    assert len(np.unique(bags)) == 20
    assert (make_bags(X, bag_size=10, how="feature", column=-2) == bags).all()


def test_rows_of_one_value_share_bags_with_no_other():
    rng = np.random.default_rng(0)
    city = rng.choice(["x", "y", "z"], p=[0.7, 0.25, 0.05], size=200)
    frame = pd.DataFrame({"size": rng.normal(size=200), "city": city, "code": np.unique(city, return_inverse=True)[1]})
    for column in ("city", "code", 1):  # numbers with few values are values too
        bags = make_bags(frame, bag_size=16, how="feature", column=column, random_state=0)
        for b in np.unique(bags):
            assert len(set(city[bags == b])) == 1
        for value in "xyz":
            sizes = np.bincount(bags[city == value])
            sizes = sizes[sizes > 0]
            assert len(sizes) == max(1, round((city == value).sum() / 16))
            assert sizes.max() - sizes.min() <= 1
    category = frame.astype({"city": "category"})
    words = make_bags(frame, how="feature", column="city", random_state=0)
    assert (make_bags(category, how="feature", column="city", random_state=0) == words).all()


def test_numbers_with_many_values_are_sorted_although_some_are_equal():
    table = np.repeat(np.arange(50.0), 2)[:, None]
    bags = make_bags(table, bag_size=4, how="feature", random_state=0)
    assert set(np.bincount(bags)) == {4}
    assert (np.diff(bags) >= 0).all()


def test_bags_of_clusters_are_alike_in_all_columns_whatever_the_units():
    rows, blob = make_blobs(200, centers=[[0, 0], [9, 0], [0, 9], [9, 9]], random_state=0)
    units = [1, 1000]
    bags = make_bags(rows * units, bag_size=12, how="cluster", random_state=0)  # 17 bags: 4 clusters
    assert all(len(set(blob[bags == b])) == 1 for b in np.unique(bags))
    sparse = make_bags(csr_matrix(rows * units), bag_size=12, how="cluster", random_state=0)
    assert all(len(set(blob[sparse == b])) == 1 for b in np.unique(sparse))


def test_sparse_rows_have_columns_too():
    assert (make_bags(csr_matrix(X), how="feature", column=2) == make_bags(X, how="feature", column=2)).all()


def test_proportions_vary_more_than_those_of_random_bags_and_as_those_of_the_draw():
    rng = np.random.default_rng(0)
    for seed in range(3):
        labels = rng.integers(2, size=4000)
        drawn = shares(make_bags(labels, labels, bag_size=20, how="label_dependent", random_state=seed), labels)[:, 1]
        chance = shares(make_bags(labels, bag_size=20, random_state=seed), labels)[:, 1]
        assert drawn.var() > 4 * chance.var()
        uniform = 1 / 12 + 1 / 6 / 20  # of a share drawn uniformly, and of counts given it
        assert drawn.var() == pytest.approx(uniform, rel=0.3)
        assert abs(np.corrcoef(drawn, np.arange(200))[0, 1]) < 0.25  # bags with what is left come anywhere


def test_a_rare_class_is_shared_out_to_the_last_row():
    labels = np.r_[np.zeros(150, int), np.ones(3, int)]
    bags = make_bags(labels, labels, bag_size=8, how="label_dependent", random_state=0)
    assert set(np.bincount(bags)) == {8, 9}


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"how": "rows"}, ParameterError, "^how must be one of random, feature, cluster, label_dependent; got 'rows'$"),
        ({"bag_size": 0}, ParameterError, r"^bag_size must be an int in \[1, inf\), got 0$"),
        ({"bag_size": 2.5}, ParameterError, "bag_size must be an int"),
        ({"column": 1}, ParameterError, "^column is for how='feature'; leave it out with how='random'$"),
        ({"how": "feature", "column": 3}, DataError, r"column must be an int in \[0, 3\) or a name, got 3"),
        ({"how": "feature", "column": "age"}, DataError, "X has no column 'age'"),
        ({"how": "label_dependent"}, DataError, "needs y, the class of each row"),
        ({"how": "label_dependent", "y": Y[:5]}, DataError, r"y must have shape \(203,\)"),
    ],
)
def test_what_makes_no_bags_is_refused(how, error, words):
    with pytest.raises(error, match=words):
        make_bags(X, **how)


def test_data_that_make_no_bags_are_refused():
    with pytest.raises(DataError, match=r"^X has no rows$"):
        make_bags(np.empty((0, 2)))
    with pytest.raises(DataError, match="the column holds NaN or infinite values"):
        make_bags(np.full((4, 1), np.nan), how="feature")


# -- privacy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "moved"), [(2, 1), (3, 2), (5, 2)])  # what replacing a row moves, in rows
def test_noise_has_the_scale_that_the_guarantee_needs(k, moved):
    P = np.full((20000, k), 1 / k)
    noisy, spread = privatize(P, 2.0, sizes=np.full(20000, 5000), random_state=0)  # nothing leaves the simplex
    np.testing.assert_allclose(spread, np.sqrt(2) * moved / (5000 * 2.0))
    off = noisy - P
    kept = 1 if k == 2 else 1 - 1 / k  # of the variance: the projection takes the mean over the classes off
    assert off.std() == pytest.approx(spread[0] * np.sqrt(kept), rel=0.03)
    assert abs(off.mean(axis=0)).max() < 5 * spread[0] / np.sqrt(20000)


def test_noise_is_that_of_a_laplace_distribution():
    noisy, _ = privatize(np.full(20000, 0.5), 2.0, sizes=np.full(20000, 5000), random_state=0)
    assert np.abs(noisy - 0.5).mean() == pytest.approx(1 / (5000 * 2.0), rel=0.03)


@pytest.mark.parametrize("size", [1, 4])
def test_outcomes_of_data_sets_that_differ_in_a_row_differ_by_the_factor_at_most(size):
    shares, epsilon = (0.0, 1 / size), 1.0
    counts = []
    for seed, share in enumerate(shares):
        noisy, _ = privatize(np.full(400000, share), epsilon, sizes=np.full(400000, size), random_state=seed)
        counts.append(np.histogram(noisy, [0, 1e-9, 0.25, 0.5, 0.75, 1 - 1e-9, 1])[0])
    factor = np.abs(np.log(counts[0] / counts[1]))
    assert factor.max() < epsilon + 0.05
    assert factor.max() > epsilon - 0.05  # no noise is wasted


def test_less_epsilon_and_fewer_rows_are_more_noise():
    P = np.array([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]])
    _, spread = privatize(P, 1.0, sizes=[10, 100])
    assert spread[0] == pytest.approx(10 * spread[1])
    assert privatize(P, 0.1, sizes=[10, 100])[1] == pytest.approx(10 * spread)


def test_noisy_proportions_are_proportions():
    P = np.random.default_rng(0).dirichlet(np.ones(4), size=500)
    noisy, _ = privatize(P, 0.1, sizes=np.full(500, 3), random_state=0)
    assert (noisy >= 0).all()
    np.testing.assert_allclose(noisy.sum(axis=1), 1)
    share, _ = privatize(P[:, 0], 0.1, sizes=np.full(500, 3), random_state=0)
    assert share.shape == (500,)
    assert ((share >= 0) & (share <= 1)).all()


def test_one_share_and_two_columns_are_the_same():
    p = np.random.default_rng(0).uniform(size=30)
    share, spread = privatize(p, 1.0, sizes=np.full(30, 20), random_state=5)
    columns, also = privatize(np.stack([1 - p, p], axis=1), 1.0, sizes=np.full(30, 20), random_state=5)
    np.testing.assert_allclose(columns[:, 1], share)
    assert (spread == also).all()


def test_mappings_give_mappings():
    P = {"x": [0.2, 0.3, 0.5], "w": [1.0, 0.0, 0.0]}
    noisy, spread = privatize(P, 1.0, sizes={"w": 10, "x": 100}, random_state=0)
    rows, scales = privatize(list(P.values()), 1.0, sizes=[100, 10], random_state=0)
    assert list(noisy) == list(spread) == ["x", "w"]
    np.testing.assert_array_equal(list(noisy.values()), rows)
    assert list(spread.values()) == scales.tolist()


def test_the_seed_of_the_noise_decides():
    P = np.full((4, 3), 1 / 3)
    first, again, other = (privatize(P, 1.0, sizes=[50] * 4, random_state=s)[0] for s in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_model_is_fitted_on_noisy_proportions_and_their_noise():
    bags = make_bags(X, Y, how="label_dependent", random_state=0)
    P = dict(enumerate(shares(bags, Y)))
    noisy, spread = privatize(P, 5.0, sizes=dict(enumerate(np.bincount(bags))), random_state=0)
    model = LLPClassifier(hidden_layer_sizes=(), max_epochs=2, random_state=0)
    model.fit(X, bag_targets(noisy, bags), noise_scale=[spread[b] for b in bags])
    assert np.isfinite(model.predict_proba(X)).all()


def test_the_nearest_point_of_the_simplex_is_the_one_that_a_solver_finds():
    rng = np.random.default_rng(0)
    for row in rng.normal(size=(5, 4)):
        whole = {"type": "eq", "fun": lambda p: p.sum() - 1}
        start = np.full(4, 0.25)
        found = minimize(
            lambda p, row=row: ((p - row) ** 2).sum(), start, bounds=[(0, 1)] * 4, constraints=whole, tol=1e-12
        ).x
        np.testing.assert_allclose(onto_simplex(row[None])[0], found, atol=1e-5)
    inside = rng.dirichlet(np.ones(4), size=5)
    np.testing.assert_allclose(onto_simplex(inside), inside)


@pytest.mark.parametrize(
    ("P", "epsilon", "sizes", "error", "words"),
    [
        ([[0.5, 0.5]], 0.0, [9], ParameterError, r"^epsilon must be a float in \(0, inf\), got 0.0$"),
        ([[0.5, 0.5]], np.inf, [9], ParameterError, "epsilon"),
        ([[0.5, 0.5]], "1", [9], ParameterError, "epsilon"),
        ([[0.5, 0.5]], 1.0, [9, 9], DataError, r"^sizes must have shape \(1,\), the rows of each bag, at least one$"),
        ([[0.5, 0.5]], 1.0, [0], DataError, "at least one"),
        ([[1.0, 0.0], [0.5, 0.6]], 1.0, [9, 9], DataError, r"^bag 1 has proportions that sum to 1\.1, not to 1"),
        ([[1.5, -0.5]], 1.0, [9], DataError, r"^bag 0 has a negative proportion: \[1\.5, -0\.5\]"),
        ([0.5, np.nan], 1.0, [9, 9], DataError, "^bag 1 has NaN or infinite proportions"),
        ([0.5, 1.2], 1.0, [9, 9], DataError, r"^bag 1 has the share 1\.2 of the positive class"),
        ([[1.0]], 1.0, [9], DataError, r"must have shape \(b, k\), or \(b,\) for the positive class, got \(1, 1\)"),
        ({"a": [0.5, 0.5]}, 1.0, {"b": 9}, DataError, "^sizes must be a mapping with the same bags as proportions$"),
        ({"a": [0.5, 0.5]}, 1.0, [9], DataError, "sizes must be a mapping"),
    ],
)
def test_what_cannot_be_made_private_is_refused(P, epsilon, sizes, error, words):
    with pytest.raises(error, match=words):
        privatize(P, epsilon, sizes=sizes)

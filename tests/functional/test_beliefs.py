import itertools

import numpy as np
import pytest
from scipy.special import expit
from sklearn.neighbors import NearestNeighbors

from sklearnloss.functional import beliefs
from sklearnloss.functional.beliefs import Edges, Links, propagate

NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture
def patient(monkeypatch):
    """Let messages go on until they stand still."""
    monkeypatch.setattr(beliefs, "SETTLED", 1e-14)


def no_links(n):
    return Links(NONE, NONE, np.zeros(0), n)


def energy(y, links, bag, counts, bag_strength, neighbor_strength, center, prior):
    """Return the logarithm of how likely labels are, up to a constant."""
    found = sum(prior[i] * y[i] for i in range(len(y)))
    for b in range(len(counts)):
        found -= bag_strength[b] * (sum(y[i] for i in range(len(y)) if bag[i] == b) - counts[b]) ** 2
    for i, j, w in zip(links.first, links.second, links.weight, strict=True):
        found += 2 * neighbor_strength * w * (y[i] - center) * (y[j] - center)
    return found


def by_enumeration(n, log_likelihood):
    """Return the probability of each of n rows being positive, from all labelings."""
    labels = np.array(list(itertools.product([0, 1], repeat=n)))
    values = np.array([log_likelihood(y) for y in labels])
    weight = np.exp(values - values.max())
    return weight @ labels / weight.sum()


def tree(seed, strength=1.0):
    """Return eight rows in four bags, of which links make one tree."""
    rng = np.random.default_rng(seed)
    links = Links(np.array([0, 1, 4]), np.array([3, 5, 6]), rng.uniform(0.2, 1, 3), 8)
    bag = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    counts = np.array([1.0, 0.6, 0.3, 2.0])
    return links, bag, counts, strength * rng.uniform(0.3, 1.5, 4), rng.normal(size=8)


@pytest.mark.parametrize("center", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_exact_on_a_tree(seed, center, patient):
    links, bag, counts, strength, prior = tree(seed)
    wanted = by_enumeration(8, lambda y: energy(y, links, bag, counts, strength, 1.3, center, prior))
    how = {"bag_strength": strength, "neighbor_strength": 1.3, "center": center, "prior": prior}
    found = propagate(links, bag, counts, iterations=50, damping=0.0, **how)
    np.testing.assert_allclose(found, wanted, atol=1e-10)
    damped = propagate(links, bag, counts, iterations=200, damping=0.5, **how)
    np.testing.assert_allclose(damped, wanted, atol=1e-10)


def test_ends_where_messages_hardly_move(monkeypatch):
    links, bag, counts, strength, prior = tree(0)
    rounds, messages = [], beliefs._Counts.messages
    monkeypatch.setattr(beliefs._Counts, "messages", lambda self, odds: rounds.append(1) or messages(self, odds))
    wanted = by_enumeration(8, lambda y: energy(y, links, bag, counts, strength, 1.3, 0.5, prior))
    how = {"bag_strength": strength, "neighbor_strength": 1.3, "center": 0.5, "prior": prior}
    found = propagate(links, bag, counts, iterations=200, damping=0.5, **how)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert len(rounds) < 40


def test_is_exact_on_a_chain_of_neighbours_alone(patient):
    rng = np.random.default_rng(0)
    links = Links(np.arange(5), np.arange(1, 6), rng.uniform(0.2, 1, 5), 6)
    bag, nothing, prior = np.arange(6), np.zeros(6), rng.normal(size=6)
    wanted = by_enumeration(6, lambda y: energy(y, links, bag, nothing, nothing, 2.0, 0.5, prior))
    found = propagate(
        links, bag, nothing, bag_strength=nothing, neighbor_strength=2.0, center=0.5, prior=prior, iterations=50,
        damping=0.0,
    )  # fmt: skip
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_on_a_loop_is_near_enumeration():
    links, bag, counts, strength, prior = tree(0)
    looped = Links(np.append(links.first, 2), np.append(links.second, 7), np.append(links.weight, 0.7), 8)
    wanted = by_enumeration(8, lambda y: energy(y, looped, bag, counts, strength, 0.5, 0.5, prior))
    how = {"bag_strength": strength, "neighbor_strength": 0.5, "center": 0.5, "prior": prior}
    found = propagate(looped, bag, counts, iterations=200, damping=0.5, **how)
    np.testing.assert_allclose(found, wanted, atol=0.02)
    far = propagate(links, bag, counts, iterations=200, damping=0.5, **how)
    assert np.abs(found - wanted).max() < np.abs(far - wanted).max() / 2


def test_agreement_about_one_half_is_the_squared_difference(patient):
    links, bag, counts, strength, prior = tree(0)

    def squared(y):
        agreement = sum(w * (y[i] - y[j]) ** 2 for i, j, w in zip(links.first, links.second, links.weight, strict=True))
        return energy(y, links, bag, counts, strength, 0.0, 0.5, prior) - 0.8 * agreement

    found = propagate(
        links, bag, counts, bag_strength=strength, neighbor_strength=0.8, center=0.5, prior=prior, iterations=50,
        damping=0.0,
    )  # fmt: skip
    np.testing.assert_allclose(found, by_enumeration(8, squared), atol=1e-10)


def test_pairwise_potentials_of_the_paper_are_the_same_field(patient):
    links, bag, counts, _, _ = tree(1)
    lam_b, lam_s = 0.7, 0.8

    def pairwise(y):
        value = 0.0
        degree = np.zeros(8)
        for i, j, w in zip(links.first, links.second, links.weight, strict=True):
            value += 2 * lam_s * w * y[i] * y[j]
            degree[[i, j]] += w
        for i in range(8):
            value += y[i] * (-lam_b * (1 - 2 * counts[bag[i]]) - lam_s * degree[i])
            value -= sum(2 * lam_b * y[i] * y[j] for j in range(i) if bag[i] == bag[j])
        return value

    found = propagate(
        links, bag, counts, bag_strength=np.full(4, lam_b), neighbor_strength=lam_s, center=0.5, iterations=50,
        damping=0.0,
    )  # fmt: skip
    np.testing.assert_allclose(found, by_enumeration(8, pairwise), atol=1e-10)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0, 1000.0])
def test_without_neighbours_the_rows_of_a_bag_are_alike_and_near_their_share(strength):
    bag = np.repeat([0, 1, 2], [4, 10, 300])
    counts = np.array([1.0, 7.0, 31.0])
    how = {"neighbor_strength": 10.0, "center": 0.5, "iterations": 100, "damping": 0.5}
    found = propagate(no_links(314), bag, counts, bag_strength=np.full(3, strength), **how)
    for b in range(3):
        rows = found[bag == b]
        assert np.ptp(rows) < 1e-9
        if strength >= 10:
            assert rows[0] == pytest.approx(counts[b] / len(rows), abs=1e-3)


def test_sums_approach_the_counts_as_the_strength_grows():
    links, bag, counts, _, prior = tree(2)
    counts, off = np.array([1.0, 1.0, 0.0, 2.0]), []
    for strength in (0.1, 1.0, 3.0, 10.0, 100.0):
        found = propagate(
            links, bag, counts, bag_strength=np.full(4, strength), neighbor_strength=0.5, center=0.5, prior=prior,
            iterations=200, damping=0.0,
        )  # fmt: skip
        off.append(np.abs(np.bincount(bag, weights=found) - counts).max())
    assert off == sorted(off, reverse=True)
    assert off[0] > 0.3
    assert off[-1] < 1e-9


def test_a_count_that_is_not_whole_is_met_in_the_mean():
    bag, counts = np.zeros(9, dtype=np.int64), np.array([2.5])
    found = propagate(
        no_links(9), bag, counts, bag_strength=np.array([10.0]), neighbor_strength=0.0, center=0.5,
        prior=np.zeros(9), iterations=10, damping=0.0,
    )  # fmt: skip
    # 2 and 3 are as near; 36 and 84 labelings have them
    assert found[0] == pytest.approx((36 * 2 + 84 * 3) / 120 / 9, abs=1e-3)


@pytest.mark.parametrize("strength", [0.5, 3.0, 10.0, 50.0])
@pytest.mark.parametrize("count", [0.0, 1.0])
def test_a_bag_of_one_row_has_its_label(strength, count):
    found = propagate(
        no_links(1), np.array([0]), np.array([count]), bag_strength=np.array([strength]), neighbor_strength=0.0,
        center=0.5, iterations=3, damping=0.0,
    )  # fmt: skip
    assert found[0] == pytest.approx(expit(strength * (2 * count - 1)), rel=1e-9)


def test_without_bags_nothing_tells_the_classes_apart():
    links, bag, counts, _, _ = tree(0)
    how = {"neighbor_strength": 3.0, "center": 0.5, "iterations": 100, "damping": 0.5}
    np.testing.assert_allclose(propagate(links, bag, counts, bag_strength=np.zeros(4), **how), 0.5)
    np.testing.assert_allclose(propagate(links, bag, counts, bag_strength=np.full(4, 1e-9), **how), 0.5, atol=1e-6)


def test_classes_that_change_their_names_change_their_probabilities(patient):
    links, bag, counts, strength, prior = tree(0)
    how = {"bag_strength": strength, "neighbor_strength": 0.8, "iterations": 100, "damping": 0.0}
    found = propagate(links, bag, counts, center=0.3, prior=prior, **how)
    other = propagate(links, bag, np.bincount(bag) - counts, center=0.7, prior=-prior, **how)
    np.testing.assert_allclose(found, 1 - other, atol=1e-10)


def test_rows_that_are_sure_stay_finite_and_positive():
    bag = np.repeat([0, 1], [3, 4])
    links = Links(np.array([0, 1, 2]), np.array([3, 4, 5]), np.ones(3), 7)
    prior = np.array([1e4, 1e4, -1e4, 1e4, -1e4, -1e4, 0.0])
    found = propagate(
        links, bag, np.array([1.0, 4.0]), bag_strength=np.full(2, 1e3), neighbor_strength=1e3, center=0.5, prior=prior,
        iterations=100, damping=0.5,
    )  # fmt: skip
    assert np.isfinite(found).all()
    assert ((found > 0) & (found <= 1)).all()


def test_large_bags_are_whole_in_number():
    rng = np.random.default_rng(0)
    bag, counts = np.repeat([0, 1], [1000, 500]), np.array([300.0, 20.0])
    prior = rng.normal(size=1500)
    found = propagate(
        no_links(1500), bag, counts, bag_strength=np.full(2, 10.0), neighbor_strength=0.0, center=0.5, prior=prior,
        iterations=5, damping=0.0,
    )  # fmt: skip
    np.testing.assert_allclose(np.bincount(bag, weights=found), counts, atol=0.01)
    for b in range(2):
        np.testing.assert_array_equal(found[bag == b].argsort(), prior[bag == b].argsort())


# -- neighbours -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [None, 70])
def test_neighbours_are_those_of_scikit_learn(block, monkeypatch):
    if block is not None:
        monkeypatch.setattr(beliefs, "BLOCK", block)
    rows = np.random.default_rng(0).normal(size=(60, 4))
    edges = Edges.between(rows, 5, 2.0)
    peer = NearestNeighbors(n_neighbors=6, metric="cosine").fit(rows).kneighbors(return_distance=False)[:, :5]
    np.testing.assert_array_equal(edges.neighbors, peer)
    apart = np.linalg.norm(rows[:, None] - rows[edges.neighbors], axis=2)
    np.testing.assert_allclose(edges.weight, np.exp(-apart / 2))
    median = Edges.between(rows, 5, "median")
    np.testing.assert_allclose(median.weight, np.exp(-apart / np.median(apart)))
    assert edges.kept.all()


def test_there_are_no_more_neighbours_than_rows():
    rows = np.random.default_rng(0).normal(size=(3, 2))
    assert Edges.between(rows, 20, "median").neighbors.shape == (3, 2)
    for scale in ("median", 1.0):
        alone = Edges.between(rows[:1], 20, scale)
        assert alone.neighbors.shape == alone.weight.shape == (1, 0)
        assert len(alone.undirected().first) == 0


def test_equal_rows_and_rows_of_zeros_have_weights():
    for rows in (np.ones((5, 2)), np.zeros((5, 2))):
        edges = Edges.between(rows, 2, "median")
        np.testing.assert_array_equal(edges.weight, 1)
        assert (edges.neighbors != np.arange(5)[:, None]).all()


def test_each_pair_is_linked_once_if_one_of_it_is_kept_and_finds_the_other():
    rows = np.random.default_rng(1).normal(size=(30, 3))
    edges = Edges.between(rows, 4, "median")
    kept = np.random.default_rng(2).random(30) < 0.5
    for chosen, links in ((np.ones(30, bool), edges.undirected()), (kept, edges.of_sources(kept).undirected())):
        wanted = {
            (min(i, j), max(i, j)): edges.weight[i, q]
            for i in range(30)
            if chosen[i]
            for q, j in enumerate(edges.neighbors[i].tolist())
        }
        found = dict(zip(zip(links.first.tolist(), links.second.tolist(), strict=True), links.weight, strict=True))
        assert len(found) == len(links.first)
        assert found.keys() == wanted.keys()
        assert all(found[pair] == pytest.approx(wanted[pair]) for pair in wanted)
    assert len(edges.of_sources(np.zeros(30, bool)).undirected().first) == 0

from itertools import product

import numpy as np
import pytest

from sklearnloss.functional.frechet import farthest_class, frechet_choice, reachable


def path(n):
    return np.abs(np.subtract.outer(np.arange(float(n)), np.arange(float(n))))


def tree(n, rng):
    """Return the parents of a random tree, and distances by its edges."""
    parents = [-1, *(int(rng.integers(v)) for v in range(1, n))]

    def up(v):
        return [v] if v == 0 else [v, *up(parents[v])]

    distances = np.zeros((n, n))
    for a, b in product(range(n), repeat=2):
        shared = len(set(up(a)) & set(up(b)))
        distances[a, b] = len(up(a)) + len(up(b)) - 2 * shared
    return distances


def between(distances, seen):
    """Return the rows on the paths between seen ones: those through which a way is not longer."""
    on_way = [distances[a] + distances[b] == distances[a, b] for a, b in product(seen, repeat=2)]
    return np.any(on_way, axis=0)


# -- the mean ---------------------------------------------------------------------------------------------------------


def test_the_middle_of_a_path_may_be_better_than_the_most_probable_class():
    proba = np.array([[0.4, 0.25, 0.35]])
    np.testing.assert_allclose(proba @ path(3) ** 2, [[1.65, 0.75, 1.85]])
    assert frechet_choice(proba, path(3)).tolist() == [1]
    assert proba.argmax() == 0


def test_with_distances_of_zero_and_one_it_is_the_most_probable_class():
    proba = np.random.default_rng(0).dirichlet(np.ones(6), size=100)
    assert frechet_choice(proba, 1 - np.eye(6)).tolist() == proba.argmax(axis=1).tolist()


def test_a_certain_class_is_its_own_mean_in_any_metric():
    points = np.random.default_rng(0).normal(size=(9, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    assert frechet_choice(np.eye(9), distances).tolist() == list(range(9))
    assert frechet_choice(np.eye(3), distances[[8, 2, 5]]).tolist() == [8, 2, 5]


def test_is_the_class_of_the_least_expected_square_by_the_definition():
    rng = np.random.default_rng(0)
    proba, distances = rng.dirichlet(np.ones(4), size=30), rng.random((4, 11))
    for p, found in zip(proba, frechet_choice(proba, distances), strict=True):
        cost = [sum(p[k] * distances[k, y] ** 2 for k in range(4)) for y in range(11)]
        assert found == cost.index(min(cost))


# -- what can be predicted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [7, 500])
def test_of_a_path_all_between_two_seen_classes_can_be_predicted(n):
    seen = np.array([2, n - 2])
    assert reachable(path(n), seen).tolist() == [2 <= y <= n - 2 for y in range(n)]


def test_the_center_of_a_star_can_be_predicted_and_leaves_that_were_not_seen_cannot():
    star = np.full((6, 6), 2.0)
    star[0], star[:, 0] = 1, 1
    np.fill_diagonal(star, 0)
    assert reachable(star, np.array([1, 4])).tolist() == [True, True, False, False, True, False]


@pytest.mark.parametrize("seed", range(3))
def test_of_a_tree_they_are_the_paths_between_seen_classes(seed):
    rng = np.random.default_rng(seed)
    distances = tree(40, rng)
    seen = np.sort(rng.choice(40, 5, replace=False))
    assert reachable(distances, seen).tolist() == between(distances, seen).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_in_any_metric_they_are_what_some_mixture_of_two_predicts(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(30, 2))
    distances, seen = np.linalg.norm(points[:, None] - points, axis=2), np.array([0, 7, 20])
    share = np.linspace(0, 1, 20_001)[:, None]
    predicted = set()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        mixtures = np.zeros((len(share), 3))
        mixtures[:, [a]], mixtures[:, [b]] = share, 1 - share
        predicted |= set(frechet_choice(mixtures, distances[seen]).tolist())
    assert set(np.flatnonzero(reachable(distances, seen)).tolist()) == predicted


def test_classes_that_are_as_near_are_all_means():
    square = np.array([[0, 1, 2, 1], [1, 0, 1, 2], [2, 1, 0, 1], [1, 2, 1, 0.0]])  # a cycle of four
    assert reachable(square, np.array([0, 2])).all()


def test_units_of_the_distances_change_nothing():
    distances = tree(30, np.random.default_rng(0))
    seen = np.array([3, 11, 29])
    for unit in (1e-6, 1e6):
        assert reachable(unit * distances, seen).tolist() == reachable(distances, seen).tolist()


def test_one_seen_class_reaches_itself_alone():
    assert np.flatnonzero(reachable(path(5), np.array([3]))).tolist() == [3]


# -- the next class ---------------------------------------------------------------------------------------------------


def test_the_next_class_is_the_farthest_from_all_that_can_be_predicted():
    assert farthest_class(path(9), np.array([1, 4])) == 8
    assert farthest_class(path(9), np.array([3, 8])) == 0
    assert farthest_class(path(9), np.array([0, 8])) is None
    distances = tree(30, np.random.default_rng(5))
    seen = np.array([4, 19])
    can = np.flatnonzero(between(distances, seen))
    away = [min(distances[y, c] for c in can) for y in range(30)]
    assert farthest_class(distances, seen) == away.index(max(away))


@pytest.mark.parametrize("seed", range(3))
def test_so_more_classes_of_a_tree_can_be_predicted_than_after_random_ones(seed):
    rng = np.random.default_rng(seed)
    gained = []
    for _ in range(20):
        distances = tree(20, rng)
        chosen = at_random = np.sort(rng.choice(20, 3, replace=False))
        for _ in range(3):
            following = farthest_class(distances, chosen)
            chosen = chosen if following is None else np.sort([*chosen, following])
            at_random = np.sort([*at_random, rng.choice(np.setdiff1d(np.arange(20), at_random))])
        gained.append(int(reachable(distances, chosen).sum()) - int(reachable(distances, at_random).sum()))
    assert np.mean(gained) > 0

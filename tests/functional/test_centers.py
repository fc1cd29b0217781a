import numpy as np
import pytest

from sklearnloss.functional import centers
from sklearnloss.functional.centers import farthest_points, nearest_squared


def greedy(points, n, start):
    """Follow the definition: the distance of every point to every center, each time."""
    chosen, known = [], [np.asarray(c) for c in start]
    while len(chosen) < n:
        distance = [min(((p - c) ** 2).sum() for c in known) if i not in chosen else -1 for i, p in enumerate(points)]
        chosen.append(int(np.argmax(distance)))
        known.append(points[chosen[-1]])
    return chosen


@pytest.mark.parametrize("size", [3, 10, 2048])
@pytest.mark.parametrize("block", [16, 8192])
def test_chooses_as_the_definition_does(size, block, monkeypatch):
    monkeypatch.setattr(centers, "LIST", size)
    monkeypatch.setattr(centers, "BLOCK", block)
    points = np.random.default_rng(0).normal(size=(120, 3))
    found = farthest_points(points, 40, centers=points[:4], rng=np.random.default_rng(0))
    assert found.tolist() == greedy(points, 40, points[:4])


def test_begins_at_a_random_point_where_there_is_no_center():
    points = np.random.default_rng(1).normal(size=(50, 2))
    first = {int(farthest_points(points, 5, rng=np.random.default_rng(s))[0]) for s in range(5)}
    found = farthest_points(points, 5, rng=np.random.default_rng(3)).tolist()
    assert len(first) > 1
    assert found[1:] == greedy(points, 4, points[found[:1]])


@pytest.mark.parametrize("size", [2, 7, 2048])
def test_returns_every_point_once_though_many_are_equal(size, monkeypatch):
    monkeypatch.setattr(centers, "LIST", size)
    points = np.repeat(np.random.default_rng(0).normal(size=(5, 2)), 6, axis=0)
    found = farthest_points(points, 30, centers=points[:1], rng=np.random.default_rng(0))
    assert sorted(found.tolist()) == list(range(30))
    assert len(np.unique(points[found[:4]], axis=0)) == 4  # each kind before any comes twice


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_keeps_its_digits_far_from_the_origin(offset):
    points = np.random.default_rng(2).normal(size=(80, 3))
    plain, moved = (
        farthest_points(points + o, 30, centers=points[:2] + o, rng=np.random.default_rng(0)) for o in (0, offset)
    )
    assert plain.tolist() == moved.tolist()


def test_takes_single_precision_and_leaves_its_inputs():
    points = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    before = points.copy()
    single = farthest_points(points, 10, centers=points[:1].astype(np.float64), rng=np.random.default_rng(0))
    double = farthest_points(points.astype(np.float64), 10, centers=points[:1], rng=np.random.default_rng(0))
    assert single.tolist() == double.tolist()
    assert np.array_equal(points, before)


def test_distances_to_the_nearest_center_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    points, middles = rng.normal(size=(30, 4)), rng.normal(size=(6, 4))
    expected = ((points[:, None] - middles) ** 2).sum(-1).min(1)
    np.testing.assert_allclose(nearest_squared(points, middles), expected, atol=1e-12)
    assert np.isinf(nearest_squared(points, middles[:0])).all()

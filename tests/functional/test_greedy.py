import numpy as np
import pytest

from sklearnloss.functional import greedy as module
from sklearnloss.functional.greedy import greedy_rows, standardized


def naive(pool, labeled, n):
    """Follow the definition: the product of distances to each row that is known, each time."""
    chosen, known = [], list(zip(*labeled, strict=True))
    while len(chosen) < n:
        products = []
        for i, row in enumerate(zip(*pool, strict=True)):
            away = [np.prod([np.linalg.norm(a - b) for a, b in zip(row, other, strict=True)]) for other in known]
            products.append(-1 if i in chosen else min(away))
        chosen.append(int(np.argmax(products)))
        known.append(tuple(space[chosen[-1]] for space in pool))
    return chosen


@pytest.fixture
def spaces():
    rng = np.random.default_rng(0)
    return tuple(tuple(rng.normal(size=(n, d)) for d in (3, 1)) for n in (40, 5))


@pytest.mark.parametrize("block", [7, 2**21])
@pytest.mark.parametrize("used", [slice(0, 1), slice(0, 2)])
def test_takes_the_row_with_the_largest_least_product(spaces, block, used, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    pool, labeled = (space[used] for space in spaces)
    assert greedy_rows(pool, labeled, 12, np.random.default_rng(0)).tolist() == naive(pool, labeled, 12)


def test_begins_at_a_random_row_where_none_has_a_label(spaces):
    pool, none = spaces[0], tuple(space[:0] for space in spaces[1])
    rows = [greedy_rows(pool, none, 6, np.random.default_rng(s)).tolist() for s in range(5)]
    assert len({first for first, *_ in rows}) > 1
    for first, *rest in rows:
        assert rest == naive(pool, tuple(space[[first]] for space in pool), 5)


def test_returns_every_row_once_though_all_are_equal():
    pool = (np.ones((9, 2)), np.ones((9, 1)))
    labeled = (np.ones((2, 2)), np.ones((2, 1)))
    assert sorted(greedy_rows(pool, labeled, 9, np.random.default_rng(0)).tolist()) == list(range(9))


def test_takes_single_precision_and_leaves_its_inputs(spaces):
    single = tuple(tuple(space.astype(np.float32) for space in side) for side in spaces)
    before = [space.copy() for side in single for space in side]
    wide = tuple(tuple(space.astype(np.float64) for space in side) for side in single)
    rows = [greedy_rows(*sides, 12, np.random.default_rng(0)).tolist() for sides in (single, wide)]
    assert rows[0] == rows[1]
    assert all(map(np.array_equal, before, [space for side in single for space in side]))


def test_columns_get_the_variance_one_over_all_rows_and_constant_ones_stay():
    rng = np.random.default_rng(0)
    pool, labeled = rng.normal(size=(30, 3)) * [1, 50, 0], rng.normal(size=(9, 3)) * [1, 50, 0]
    rows, all_ = np.concatenate(standardized(pool, labeled)), np.concatenate([pool, labeled])
    np.testing.assert_allclose(rows.var(axis=0), [1, 1, 0])
    np.testing.assert_allclose(rows * all_.std(axis=0), all_)

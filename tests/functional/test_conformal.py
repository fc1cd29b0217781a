import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.functional.conformal import cqr_shifts, needed_rows, one_sided_shifts, shifted

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def drawn(rng, n):
    """Return outcomes and quantiles that are wrong, cross, and are too narrow."""
    scale = rng.uniform(0.5, 2, size=n)
    wrong = np.array([-0.4, -0.6, 0.3, 0.1, 0.5])
    return scale * rng.normal(size=n), scale[:, None] * wrong + rng.normal(size=(n, 5)) / 5


def simulated(find, draws=500, n=41, m=50):
    """Return intervals' and bounds' mean coverage of new rows, over draws of the calibration rows."""
    rng = np.random.default_rng(0)
    covered, below, above = [], [], []
    for _ in range(draws):
        shifts = find(*drawn(rng, n), LEVELS)
        y, quantiles = drawn(rng, m)
        moved = shifted(quantiles, shifts, LEVELS, ordered=True)
        assert (np.diff(moved, axis=1) >= 0).all()
        covered.append([((moved[:, j] <= y) & (y <= moved[:, -1 - j])).mean() for j in range(2)])
        below.append((y[:, None] <= moved).mean(axis=0))
        above.append((y[:, None] >= moved).mean(axis=0))
    return np.mean(covered, axis=0), np.mean(below, axis=0), np.mean(above, axis=0)


def test_central_intervals_cover_in_finite_samples():
    covered, _, _ = simulated(cqr_shifts)
    assert (covered >= np.array([0.8, 0.5]) - 0.01).all()


def test_bounds_on_one_side_cover_in_finite_samples():
    _, below, above = simulated(one_sided_shifts)
    assert (above[:2] >= np.array([0.9, 0.75]) - 0.01).all()
    assert (below[2:] >= np.array([0.5, 0.75, 0.9]) - 0.01).all()


def test_an_interval_covers_as_exactly_as_ranks_allow():
    # without ties a new score is at most the k-th smallest of n with probability k / (n + 1)
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(2000):
        y, z = rng.normal(size=12), rng.normal(size=20)
        low, high = np.zeros(2) + cqr_shifts(y, np.zeros((12, 2)), np.array([0.1, 0.9]))
        covered.append(((low <= z) & (z <= high)).mean())
    assert np.mean(covered) == pytest.approx(11 / 13, abs=0.01)


def test_the_rank_worked_by_hand():
    # n = 9, a = .2: the 8th smallest of max(low - y, y - high) = y - 2, of y = 1..9
    y = np.arange(1.0, 10.0)
    shifts = cqr_shifts(y, np.tile([0.0, 2.0], (9, 1)), np.array([0.1, 0.9]))
    assert shifts.tolist() == [-6.0, 6.0]
    # one-sided, n = 9: the 9th largest of low - y = -y; the 9th smallest of y - 2
    assert one_sided_shifts(y, np.tile([0.0, 2.0], (9, 1)), np.array([0.1, 0.9])).tolist() == [1.0, 7.0]


def test_the_median_of_pairs_stays():
    y, quantiles = drawn(np.random.default_rng(0), 50)
    shifts = cqr_shifts(y, quantiles, LEVELS)
    assert shifts[2] == 0
    assert (shifts[:2] == -shifts[:2:-1]).all()


@pytest.mark.parametrize(("miss", "needed"), [(0.1, 9), (0.05, 19), (0.2, 4), (0.5, 1), (0.3, 3), (0.01, 99)])
def test_as_many_rows_as_needed_suffice_and_one_less_does_not(miss, needed):
    assert needed_rows(miss) == needed
    levels = np.array([miss / 2, 1 - miss / 2])
    cqr_shifts(np.zeros(needed), np.zeros((needed, 2)), levels)
    with pytest.raises(DataError, match=f"needs at least {needed} calibration rows, got {needed - 1}"):
        cqr_shifts(np.zeros(needed - 1), np.zeros((needed - 1, 2)), levels)


@pytest.mark.parametrize("levels", [LEVELS, LEVELS[[0, 1, 3, 4]], LEVELS[2:], LEVELS[:2], LEVELS[2:3], LEVELS[3:]])
def test_ordering_after_a_shift_only_widens(levels):
    values = np.random.default_rng(0).normal(size=(100, len(levels)))
    moved = shifted(values, np.zeros(len(levels)), levels, ordered=True)
    assert (np.diff(moved, axis=1) >= 0).all()
    assert (moved[:, levels < 0.5] <= values[:, levels < 0.5]).all()
    assert (moved[:, levels > 0.5] >= values[:, levels > 0.5]).all()
    assert (moved[:, levels == 0.5] == values[:, levels == 0.5]).all()
    assert (shifted(values, np.ones(len(levels)), levels, ordered=False) == values + 1).all()

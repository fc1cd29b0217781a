"""Axes, curves, bins and labels of the charts."""

import math
from itertools import pairwise

import numpy as np
import pytest

from sklearnloss.comparison.report.calibration import merged_bins
from sklearnloss.comparison.report.cost import ANCHORS, HEIGHT, NARROW, place_labels
from sklearnloss.comparison.report.learning import mean_curve
from sklearnloss.comparison.report.plot import label_width
from sklearnloss.comparison.report.scales import linear, seconds_axis, typical
from sklearnloss.comparison.report.series import series_of


@pytest.mark.parametrize("seed", range(3))
def test_an_axis_holds_all_values_and_has_a_few_round_ticks(seed):
    rng = np.random.default_rng(seed)
    for _ in range(50):
        values = rng.normal(rng.normal(), 10.0 ** rng.integers(-4, 4), size=4)
        axis = linear(values)
        assert all(axis.holds(v) for v in values)
        assert 2 <= len(axis.ticks) <= 7
        places = [axis.at(v) for v, _ in axis.ticks]
        assert places == sorted(places)
        assert 0 <= places[0]
        assert places[-1] <= 100
        assert [float(label.replace("\u2212", "-")) for _, label in axis.ticks] == pytest.approx(
            [v for v, _ in axis.ticks]
        )


def test_an_axis_of_one_value_or_none_still_is_an_axis():
    for values in ([0.0], [0.9], [-3.0, -3.0], [math.nan], []):
        axis = linear(values)
        assert axis.low < axis.high
        assert axis.at((axis.low + axis.high) / 2) == pytest.approx(50)


def test_epochs_are_whole_numbers():
    assert [label for _, label in linear([1, 3], whole=True).ticks] == ["1", "2", "3"]
    assert all(float(label) % 1 == 0 for _, label in linear([1, 12], whole=True).ticks)


@pytest.mark.parametrize(
    "values", [[0.52, 0.98], [0.001, 0.002], [0.004, 3], [1, 4000], [30, 90_000], [0.5, 0.5], [0.0, 1]]
)
def test_an_axis_of_durations_has_ticks_with_different_labels(values):
    axis = seconds_axis(values)
    labels = [label for _, label in axis.ticks]
    assert len(labels) >= 2
    assert len(set(labels)) == len(labels)
    assert all(axis.holds(v) for v, _ in axis.ticks)


def test_equal_ratios_are_equal_distances_on_a_logarithmic_axis():
    axis = seconds_axis([0.1, 10])
    assert axis.at(1) - axis.at(0.1) == pytest.approx(axis.at(10) - axis.at(1), abs=0.02)


def test_only_a_loss_far_below_the_others_is_left_out_of_an_axis():
    scores = [0.95, 0.94, 0.94, 0.93, 0.92, 0.91]
    assert typical(scores) < min(scores)
    assert 0.3 < typical([*scores, 0.3])
    assert typical([0.9, 0.1]) < 0.1
    assert typical([-0.2, -0.21, -0.22, -5.0]) > -5.0


def test_a_loss_like_the_baseline_is_on_every_axis_however_good_the_others_are(made):
    good = {name: 0.95 for name in "abcdef"}
    shown = series_of(made({"base": 0.8, "like it": 0.8, "below": 0.5, **good}, baseline="base"))
    assert {one.name for one in shown if one.far} == {"below"}


def curve(epochs, scores):
    return {"curve": {"epoch": epochs, "score": scores}}


def test_a_split_that_stopped_early_keeps_its_last_score():
    assert mean_curve([curve([1, 2], [0.5, 0.7]), curve([1, 2, 4], [0.7, 0.9, 0.9])]) == [(1, 0.6), (2, 0.8), (4, 0.8)]


def test_scores_that_do_not_exist_are_no_points():
    assert mean_curve([curve([1, 2], [None, 0.7]), curve([1, 2], [None, None])]) == [(2, 0.7)]
    assert mean_curve([curve([1, 2], [None, None])]) == []


def test_bins_of_all_splits_are_those_of_all_rows_together():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.3, 1, 3000)
    right = (rng.uniform(size=3000) < sure).astype(float)
    splits = []
    for part in np.split(np.arange(3000), 3):
        place = np.ceil(sure[part] * 15).astype(int)
        kept = [part[place == j] for j in np.unique(place)]
        bins = {
            "confidence": [sure[k].mean() for k in kept],
            "accuracy": [right[k].mean() for k in kept],
            "count": [float(len(k)) for k in kept],
        }
        splits.append({"calibration": {"bins": bins}})
    place = np.ceil(sure * 15).astype(int)
    expected = [(sure[place == j].mean(), right[place == j].mean(), (place == j).mean()) for j in np.unique(place)]
    np.testing.assert_allclose(merged_bins(splits), expected)


def test_a_bin_of_a_few_rows_is_not_drawn_unless_there_is_no_other():
    bins = {"confidence": [0.2, 0.9], "accuracy": [0.0, 0.9], "count": [2.0, 98.0]}
    assert merged_bins([{"calibration": {"bins": bins}}]) == [(0.9, 0.9, 0.98)]
    bins["count"] = [2.0, 3.0]
    assert len(merged_bins([{"calibration": {"bins": bins}}])) == 2
    assert merged_bins([{"calibration": None}]) == []


@pytest.mark.parametrize("width", [NARROW, 1.7 * NARROW, 3 * NARROW])
def test_names_beside_dots_meet_neither_each_other_nor_a_dot(of_kind, width):
    shown = series_of(of_kind("many losses"))
    rng = np.random.default_rng(0)
    points = [(one, *rng.uniform(5, 95, 2)) for one in shown]
    placed = place_labels(points)
    assert len(placed) >= 5
    boxes = []
    for one, across, up in points:
        x, y = width * across / 100, HEIGHT * (1 - up / 100)
        boxes.append((x - 5, y - 5, x + 5, y + 5))
        if one.place in placed:
            dx, dy, anchor = placed[one.place]
            left = x + dx - label_width(one.name) * ANCHORS[anchor]
            boxes.append((left, y + dy - 11, left + label_width(one.name), y + dy + 4))
    meeting = [
        (a, b)
        for i, a in enumerate(boxes)
        for b in boxes[:i]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]
    between_dots = [(a, b) for a, b in meeting if a[2] - a[0] == b[2] - b[0] == 10]
    assert len(meeting) == len(between_dots)


def test_losses_that_stand_beside_each_other_differ_in_colour_and_dashes(of_kind):
    looks = [one.look.split() for one in series_of(of_kind("many losses")) if not one.baseline]
    assert len({tuple(look[1:3]) for look in looks}) == len(looks)
    assert all(a[1] != b[1] and a[2] != b[2] for a, b in pairwise(looks))

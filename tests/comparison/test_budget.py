"""Durations as people write them."""

import pytest

from sklearnloss.comparison.budget import duration, seconds_of
from sklearnloss.exceptions import ParameterError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", 600), ("1h30m", 5400), ("90s", 90), ("0.5m", 30), ("45", 45), (45, 45), (" 2H ", 7200)],
)
def test_a_budget_is_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "10x", "m10", "10m!", "ten", "1h 30", 0, -5, None, "nan", "1e3"])
def test_what_says_no_time_is_refused(text):
    with pytest.raises(ParameterError, match="budget must be a positive time"):
        seconds_of(text)


def test_a_duration_is_short_and_true():
    assert [duration(s) for s in (0.0004, 0.02, 0.5, 59, 60, 3599, 3600)] == [
        "0.4 ms", "20 ms", "0.5 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min",
    ]  # fmt: skip

"""How a comparison goes."""

import io
import sys
from types import SimpleNamespace

import pytest

from sklearnloss import compare
from sklearnloss.comparison.progress import Lines, LiveTable, Quiet, Tally, watcher_for


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def engine(losses=("a", "b"), splits=2, deadline=None, stored=None):
    """Return what watchers look at."""
    stored = stored or {}
    return SimpleNamespace(
        candidates=[SimpleNamespace(name=name) for name in losses],
        problem=SimpleNamespace(scorers={"accuracy": None, "f1": None}, splits=[None] * splits),
        records=lambda candidate: stored.get(candidate.name, []),
        deadline=deadline,
        named="loss",
        counted="fits",
    )


def fit(score=0.5, error=None):
    return {"error": error} if error else {"error": None, "scores": {"accuracy": score}}


def named(name):
    return SimpleNamespace(name=name)


def test_a_tally_counts_fits_rounds_and_what_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tally = Tally(engine(("a", "b", "c"), splits=4, stored={"a": [fit(0.9)]}))
    assert (tally.done, tally.total, tally.rounds(), tally.best(), tally.remaining()) == (1, 12, 0, "a", None)
    now[0] += 6
    tally.add("b", fit(0.95))
    assert tally.remaining() is None  # a worker started before it
    now[0] += 3
    tally.add("c", fit(error="no"))
    assert (tally.done, tally.rounds(), tally.best()) == (6, 1, "b")  # c has no more to do
    assert tally.remaining() == pytest.approx(3 * 6)
    assert tally.summary() == "6 of 12 fits, 9 s, about 18 s left"


def test_what_is_left_is_never_more_than_the_budget(monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    tally = Tally(engine(splits=50, deadline=103.0))
    tally.add("a", fit())
    monkeypatch.setattr("time.monotonic", lambda: 101.0)
    tally.add("a", fit())
    assert tally.remaining() == pytest.approx(2.0)


def test_lines_tell_of_splits_and_failures(capsys):
    lines = Lines()
    lines.begin(engine(splits=2, losses=("a", "b", "c")))
    for name, record in [("a", fit(0.5)), ("b", fit(0.75)), ("c", fit(error="it is broken")), ("a", fit(0.5))]:
        lines.fitted(named(name), record)
    lines.fitted(named("b"), fit(0.25))
    lines.end()
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("  (")[0] for line in said] == [
        "c failed: it is broken",
        "split 1 of 2: b accuracy 0.7500 is ahead",
        "split 2 of 2: a accuracy 0.5000 is ahead",
    ]


def test_what_was_found_is_said(capsys):
    Lines().begin(engine(stored={"a": [fit(), fit()]}))
    assert capsys.readouterr().err == "found 2 of 4 fits\n"


def test_a_live_table_shows_every_loss_and_goes_away(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    table = LiveTable()
    table.begin(engine(("first", "second"), splits=3))
    table.fitted(named("first"), fit(0.8125))
    table.fitted(named("second"), fit(error="[bold]no[/bold] markup"))
    table.live.refresh()
    table.end()
    shown = screen.getvalue()
    assert "0.8125" in shown
    assert "failed: [bold]no[/bold] markup" in shown
    assert "4 of 6 fits" in shown


def test_on_a_low_terminal_the_best_are_shown(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("LINES", "9")
    monkeypatch.setenv("COLUMNS", "80")
    table = LiveTable()
    table.begin(engine([f"loss{i}" for i in range(9)]))
    for i in range(9):
        table.fitted(named(f"loss{i}"), fit(i / 10))
    assert table._shown() == ["loss8", "loss7", "loss6", "loss5", "loss4"]
    table.end()


@pytest.mark.parametrize(
    ("progress", "terminal", "kind"),
    [
        (True, True, LiveTable),
        (True, False, Lines),
        ("auto", True, LiveTable),
        ("auto", False, Quiet),
        (False, True, Quiet),
    ],
)
def test_who_shows_it(monkeypatch, progress, terminal, kind):
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    assert type(watcher_for(progress)) is kind


def test_without_rich_there_are_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr("sklearnloss.comparison.progress.find_spec", lambda name: None)
    assert isinstance(watcher_for(True), Lines)


def test_nothing_is_said_unless_it_is_asked_for(blobs, quick, capsys):
    compare(*blobs, losses=["gce"], estimator=quick, cv=2, repeats=1)
    assert capsys.readouterr() == ("", "")

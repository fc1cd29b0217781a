"""How a comparison goes: a live table on a terminal, else a line for each loss that is done."""

import sys
import time
from importlib.util import find_spec
from typing import Any

import numpy as np

from sklearnloss.comparison.budget import duration
from sklearnloss.comparison.engine import Compared, Engine, Watcher
from sklearnloss.comparison.fits import Record
from sklearnloss.exceptions import ParameterError

__all__ = ["Lines", "LiveTable", "Quiet", "watcher_for"]


class Quiet:
    """Tell nobody."""

    def begin(self, engine: Engine) -> None:
        """Do nothing."""

    def fitted(self, candidate: Compared, record: Record) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Tally:
    """What was finished of each loss.

    Attributes
    ----------
    scores : dict of str to list of float
        The ranked score of each finished fit.
    errors : dict of str to str
        Of losses that failed.
    """

    def __init__(self, engine: Engine) -> None:
        self.metric = next(iter(engine.problem.scorers))
        self.splits = len(engine.problem.splits)
        self.names = [c.name for c in engine.candidates]
        self.scores: dict[str, list[float]] = {name: [] for name in self.names}
        self.errors: dict[str, str] = {}
        self.started = time.monotonic()
        self.deadline = engine.deadline
        self.named, self.counted = engine.named, engine.counted
        self.fresh = 0  # fits of this run
        for candidate in engine.candidates:
            for record in engine.records(candidate):
                self._note(candidate.name, record)

    def add(self, name: str, record: Record) -> None:
        """Take notice of a fit."""
        self._note(name, record)
        if not self.fresh:
            self.first_ended = time.monotonic()
        self.fresh += 1

    def _note(self, name: str, record: Record) -> None:
        if record["error"]:
            self.errors[name] = record["error"]
        else:
            self.scores[name].append(record["scores"][self.metric])

    def rounds(self) -> int:
        """Return how many splits every loss that has not failed was fitted on."""
        return min((len(self.scores[n]) for n in self.names if n not in self.errors), default=0)

    def best(self) -> str | None:
        """Return the loss with the highest mean so far, or None before there is any."""
        means = {n: float(np.mean(s)) for n, s in self.scores.items() if s and n not in self.errors}
        return max(means, key=means.__getitem__, default=None)

    @property
    def done(self) -> int:
        """Finished fits, those that a failed loss will not have included."""
        return sum(self.splits if n in self.errors else len(self.scores[n]) for n in self.names)

    @property
    def total(self) -> int:
        """Fits of the whole comparison."""
        return self.splits * len(self.names)

    def remaining(self) -> float | None:
        """Return the seconds that are probably left, or None before anything is known.

        The first fit does not count: a worker starts before it.
        """
        if self.fresh < 2:
            return None
        left = (time.monotonic() - self.first_ended) / (self.fresh - 1) * (self.total - self.done)
        return left if self.deadline is None else min(left, max(0.0, self.deadline - time.monotonic()))

    def summary(self) -> str:
        """Return one line: how far, how long."""
        left = self.remaining()
        ahead = "" if left is None or self.done == self.total else f", about {duration(left)} left"
        return f"{self.done} of {self.total} {self.counted}, {duration(time.monotonic() - self.started)}{ahead}"


class Lines:
    """A line on stderr for each split that all losses were fitted on, and for each loss that failed."""

    def begin(self, engine: Engine) -> None:
        """Say what there is already."""
        self.tally = Tally(engine)
        self.rounds = self.tally.rounds()
        if self.tally.done:
            self._say(f"found {self.tally.done} of {self.tally.total} {self.tally.counted}")

    def fitted(self, candidate: Compared, record: Record) -> None:
        """Print a line if that was the last fit of a split, or failed."""
        tally = self.tally
        tally.add(candidate.name, record)
        if record["error"]:
            self._say(f"{candidate.name} failed: {record['error']}")
        if tally.rounds() > self.rounds and (best := tally.best()):
            self.rounds = tally.rounds()
            ahead = f"{best} {tally.metric} {np.mean(tally.scores[best]):.4f}"
            self._say(f"split {self.rounds} of {tally.splits}: {ahead} is ahead  ({tally.summary()})")

    def end(self) -> None:
        """Say nothing more."""

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class LiveTable:
    """A table on the terminal that changes as fits end: losses, how far each is, its mean score so far."""

    def begin(self, engine: Engine) -> None:
        """Show the table."""
        from rich.console import Console
        from rich.live import Live

        self.tally, self.console = Tally(engine), Console(stderr=True)
        self.live = Live(console=self.console, get_renderable=self._table, refresh_per_second=2, transient=True)
        self.live.start()

    def fitted(self, candidate: Compared, record: Record) -> None:
        """Change the loss's row."""
        self.tally.add(candidate.name, record)

    def end(self) -> None:
        """Take the table away; the result follows."""
        self.live.stop()

    def _table(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        tally = self.tally
        table = Table(box=None, header_style="dim", pad_edge=False)
        table.add_column(tally.named, no_wrap=True)
        table.add_column(tally.counted, justify="right")
        table.add_column(tally.metric, justify="right")
        table.add_column("", ratio=1, no_wrap=True)
        best = tally.best()
        for name in self._shown():
            scores, error = tally.scores[name], tally.errors.get(name)
            mean = float(np.mean(scores)) if scores else None
            shown = "" if mean is None or error else f"{mean:.4f}"
            what = Text(f"failed: {error}", style="red") if error else Text(self._bar(len(scores)), style="cyan")
            table.add_row(
                Text(name), f"{len(scores)}/{tally.splits}", shown, what, style="bold" if name == best else ""
            )
        return Group(table, Text(tally.summary(), style="dim"))

    def _shown(self) -> list[str]:
        """Return the losses that fit on the screen: in their own order, the best of them if there are too many."""
        room = max(3, self.console.height - 4)
        if len(self.tally.names) <= room:
            return self.tally.names
        scores = self.tally.scores
        return sorted(self.tally.names, key=lambda n: -float(np.mean(scores[n])) if scores[n] else 0.0)[:room]

    def _bar(self, done: int) -> str:
        return "━" * round(20 * done / self.tally.splits)


def watcher_for(progress: bool | str | Watcher) -> Watcher:
    """Return who shows the progress.

    Parameters
    ----------
    progress : bool, "auto" or Watcher
        True is a table on a terminal, else lines; ``"auto"`` nothing unless stderr is a terminal.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    if hasattr(progress, "fitted"):
        return progress  # type: ignore[return-value]
    if progress not in (True, False, "auto"):
        raise ParameterError(f"progress must be a bool or 'auto', got {progress!r}")
    terminal = sys.stderr.isatty()
    if not progress or (progress == "auto" and not terminal):
        return Quiet()
    return LiveTable() if terminal and find_spec("rich") else Lines()

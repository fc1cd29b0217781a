"""The order of the fits, and who runs them: split by split over all losses, side by side, until the budget is spent."""

import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import joblib
from joblib import Parallel, delayed, wrap_non_picklable_objects
from sklearn.base import clone

from sklearnloss.comparison.fits import Record, run_fit
from sklearnloss.comparison.splitting import Split
from sklearnloss.comparison.store import MemoryStore
from sklearnloss.estimators._fingerprint import Fingerprint

__all__ = ["Compared", "Engine", "Shared", "Watcher", "fit_key"]

DIED = "the process that trained it ended without a word, most likely for want of memory; try a smaller batch_size"


class Compared(Protocol):
    """What is compared: a name in tables, and what is tried under it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def spec(self) -> Any:
        """What it is."""


class Shared(Protocol):
    """A dataclass of everything that is the same for all that is compared."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """What to try each on."""

    @property
    def scorers(self) -> Mapping[str, Any]:
        """The first is what is ranked by."""


class Watcher(Protocol):
    """Who is told how a comparison goes."""

    def begin(self, engine: "Engine") -> None:
        """Look at what there is to do."""

    def fitted(self, candidate: Compared, record: Record) -> None:
        """Take notice of a fit that has ended."""

    def end(self) -> None:
        """Stop, however the comparison ended."""


def fit_key(model: Any, spec: Any) -> str:
    """Return what the fits of a loss are kept under: a hash of all that decides them, code of the user's included."""
    mark = Fingerprint()
    mark.add_parameters(clone(model).set_params(loss=spec))
    return mark.name()


class Engine:
    """Fits of a comparison.

    Parameters
    ----------
    problem : Problem
        Rows, splits and scores.
    candidates : sequence of Candidate
        The losses.
    template : Pipeline
        Unfitted, with the steps ``prepare`` and ``model``.
    store : MemoryStore
        Where finished fits are kept; those in it are not done again.
    n_jobs : int or None
        As in joblib.
    threads : int
        Of each fit.
    deadline : float or None
        Value of ``time.monotonic()`` after which no fit begins.
    """

    named: ClassVar[str] = "loss"  # what is compared, in records and tables
    counted: ClassVar[str] = "fits"  # what is done of it

    def __init__(
        self,
        problem: Shared,
        candidates: Sequence[Compared],
        template: Any,
        store: MemoryStore,
        *,
        n_jobs: int | None = None,
        threads: int = 1,
        deadline: float | None = None,
    ) -> None:
        self.problem, self.candidates, self.template, self.store = problem, candidates, template, store
        self.n_jobs, self.threads, self.deadline = n_jobs, threads, deadline
        self.keys = {c.name: self._key(c) for c in candidates}
        self.by_name = {c.name: c for c in candidates}
        self.failed: set[str] = set()
        self.numbers = {(split.repeat, split.fold): number for number, split in enumerate(problem.splits)}

    def _key(self, candidate: Compared) -> str:
        """Return what finished fits of a candidate are kept under."""
        return fit_key(self.template["model"], candidate.spec)

    def records(self, candidate: Compared) -> list[Record]:
        """Return the finished fits of a loss, in the order of the splits."""
        key, stored = self.keys[candidate.name], self.store.records
        places = ((key, split.repeat, split.fold) for split in self.problem.splits)
        return [{**stored[place], self.named: candidate.name} for place in places if place in stored]

    @property
    def missing(self) -> int:
        """Fits that are still to do; a loss that failed has none."""
        return sum(1 for _ in self._missing())

    def how_far(self) -> str:
        """Say how much of the comparison is done."""
        done = sum(len(self.records(c)) for c in self.candidates)
        where = "" if self.store.path is None else f"; the same call goes on from {str(self.store.path)!r}"
        return f"after {done} of {done + self.missing} {self.counted}{where}"

    def run(self, watcher: Watcher) -> None:
        """Do the fits that are missing; whatever is raised meanwhile, the finished ones are in the store."""
        watcher.begin(self)
        try:
            if not self.missing:
                return
            with tempfile.TemporaryDirectory(prefix="sklearnloss-") as folder:
                shared = self._shared(Path(folder))
                while not self._ran_to_the_end(shared, watcher):
                    self._try_alone(shared, watcher)
        finally:
            watcher.end()

    def _ran_to_the_end(self, shared: Shared | Path, watcher: Watcher) -> bool:
        """Do all fits side by side; return False if a worker died, which takes the others in flight with it."""
        self.in_flight: set[tuple[int, str]] = set()
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)
        records = parallel(self._jobs(shared))
        try:
            for record in records:
                self._take(record, watcher)
        except BrokenProcessPool:
            if not self.in_flight:
                raise
            return False
        finally:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", r"\d+ tasks which were still being processed")  # on purpose
                records.close()
        return True

    def _try_alone(self, shared: Shared | Path, watcher: Watcher) -> None:
        """Do the fits that were in flight one by one, so that the loss that kills its worker is found."""
        for number, name in sorted(self.in_flight):
            if name in self.failed or self._late:
                continue
            try:
                [record] = Parallel(n_jobs=2)([self._job(shared, number, self.by_name[name])])
            except BrokenProcessPool:
                split = self.problem.splits[number]
                record = {self.named: name, "repeat": split.repeat, "fold": split.fold, "error": DIED, "warnings": []}
            self._take(record, watcher)

    def _take(self, record: Record, watcher: Watcher) -> None:
        """Keep what a fit gave."""
        candidate = self.by_name[record[self.named]]
        self.in_flight.discard((self.numbers[record["repeat"], record["fold"]], candidate.name))
        if record["error"]:
            self.failed.add(candidate.name)
        self.store.add(self.keys[candidate.name], record)
        watcher.fitted(candidate, record)

    def _shared(self, folder: Path) -> Shared | Path:
        """Put the rows where each worker loads them once, rather than sending them with every fit."""
        if joblib.effective_n_jobs(self.n_jobs) == 1:
            return self.problem
        scorers = {name: wrap_non_picklable_objects(scorer) for name, scorer in self.problem.scorers.items()}
        problem: Any = self.problem
        joblib.dump(replace(problem, scorers=scorers), folder / "problem.joblib")
        return folder / "problem.joblib"

    def _jobs(self, shared: Shared | Path) -> Iterator[Any]:
        """Yield the fits one after the other; joblib asks for the next when a worker is free."""
        for number, candidate in self._missing():
            if self._late:
                return
            self.in_flight.add((number, candidate.name))
            yield self._job(shared, number, candidate)

    @property
    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _job(self, shared: Shared | Path, number: int, candidate: Compared) -> Any:
        return delayed(run_fit)(shared, number, self.template, candidate.name, candidate.spec, threads=self.threads)

    def _missing(self) -> Iterator[tuple[int, Compared]]:
        """Yield split by split the losses without a fit on it; a loss that failed is not tried again."""
        for number, split in enumerate(self.problem.splits):
            for candidate in self.candidates:
                place = (self.keys[candidate.name], split.repeat, split.fold)
                if candidate.name not in self.failed and place not in self.store.records:
                    yield number, candidate

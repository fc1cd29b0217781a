"""A session of labeling: what was answered, what comes next, and a model that learns beside."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_score

from sklearnloss.active.keys import row_keys
from sklearnloss.active.learner import ActiveLearner
from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.exceptions import DataError
from sklearnloss.labeling.features import numbers_of
from sklearnloss.labeling.journal import Journal
from sklearnloss.spec import choose

__all__ = ["Progress", "Session"]

QUEUE = 20  # rows that are chosen at a time
FIRST = "typiclust"  # what asks before there is a model
EPOCHS = 60
FOLDS = 5


@dataclass(frozen=True)
class Progress:
    """How a session goes.

    Attributes
    ----------
    labeled, skipped, rows : int
        Rows with a label, rows that were passed over, and all.
    accuracy : float or None
        Cross-validated accuracy of the model on the labeled rows; None while there are too few.
    trained_on : int
        Labels that the model knows.
    """

    labeled: int
    skipped: int
    rows: int
    accuracy: float | None
    trained_on: int


@dataclass
class _Learned:
    """What the background made of the labels."""

    queue: list[int] = field(default_factory=list)
    proba: np.ndarray | None = None
    classes: list[Any] = field(default_factory=list)
    accuracy: float | None = None
    trained_on: int = 0


class Session:
    """Rows of a table that want a label, the most useful first.

    Parameters
    ----------
    shown : DataFrame of shape (n, d)
        Rows as the user sees them.
    labels : sequence of length n
        Known labels as texts; None where there is none.
    classes : sequence of str, default=()
        Labels that are offered, besides those that occur.
    path : Path
        The file of the answers; a session goes on where it was.
    target : str
        Name of the column, for the file.
    strategy : str or Strategy, default="margin"
        What is asked by once there is a model.
    loss : str or Loss, default="cross_entropy"
        What the model is trained by.
    drop : sequence of str, default=()
        Columns of ``shown`` that the model does not look at.
    random_state : int, default=0
        Seed.

    Raises
    ------
    DataError
        If the file is of another table, or a label has no name.
    """

    def __init__(
        self,
        shown: Any,
        labels: Sequence[str | None],
        *,
        path: Path,
        target: str,
        classes: Sequence[str] = (),
        strategy: Any = "margin",
        loss: Any = "cross_entropy",
        drop: Sequence[str] = (),
        random_state: int = 0,
    ) -> None:
        choose("strategy", strategy), choose("loss", loss)  # a wrong name costs no answer
        self.shown, self.given, self.drop = shown, list(labels), list(drop)
        self.strategy, self.loss, self.random_state = strategy, loss, random_state
        self.rows = len(self.given)
        known = {label for label in self.given if label is not None}
        self.classes = [*dict.fromkeys([*classes, *sorted(known)])]
        digest = hashlib.blake2b(row_keys(shown).tobytes(), digest_size=8).hexdigest()
        self.journal = Journal(path, {"target": target, "rows": self.rows, "table": digest})
        self.answers: dict[int, str | None] = {}  # None: passed over
        self._order: list[int] = []  # answered rows, the latest last
        for entry in self.journal.entries:
            self._take(entry)
        self._features: np.ndarray | None = None
        self._learned = _Learned()
        self._changed = threading.Condition()
        self._version, self._closed, self._busy = 0, False, False
        self.failure: BaseException | None = None
        self._worker = threading.Thread(target=self._learn_forever, daemon=True, name="labeling")
        self._worker.start()

    # -- answers ------------------------------------------------------------------------------------------------------

    def label_of(self, row: int) -> str | None:
        """Return the label of a row, given or answered."""
        answer = self.answers.get(row)
        return self.given[row] if answer is None else answer

    def answer(self, row: int, label: str) -> None:
        """Keep a label; when this returns it is on the disk."""
        if not label.strip():
            raise DataError("a label must have a name")
        self._keep({"row": row, "label": label})

    def skip(self, row: int) -> None:
        """Pass a row over: it comes again when no other is left."""
        self._keep({"row": row, "skip": True})

    def undo(self) -> int | None:
        """Take the latest answer back, and return its row; None if there is none."""
        if not self._order:
            return None
        row = self._order[-1]
        self._keep({"undo": True})
        return row

    def _keep(self, entry: dict[str, Any]) -> None:
        with self._changed:
            self.journal.append(entry)
            self._take(entry)
            self._version += 1
            self._changed.notify_all()

    def _take(self, entry: dict[str, Any]) -> None:
        if entry.get("undo"):
            if self._order:
                self.answers.pop(self._order.pop(), None)
            return
        row, label = entry.get("row"), entry.get("label")
        if not isinstance(row, int) or not 0 <= row < self.rows or not (entry.get("skip") or isinstance(label, str)):
            raise DataError(f"{str(self.journal.path)!r} holds an answer that is none: {entry}")
        self.answers[row] = label
        self._order = [*(r for r in self._order if r != row), row]
        if label is not None and label not in self.classes:
            self.classes.append(label)

    # -- questions ----------------------------------------------------------------------------------------------------

    def next_row(self) -> int | None:
        """Return the row to ask; None if every row has a label."""
        with self._changed:
            for row in self._learned.queue:
                if row not in self.answers and self.given[row] is None:
                    return row
        rest = [row for row in range(self.rows) if self.label_of(row) is None]
        fresh = [row for row in rest if row not in self.answers]
        return min(fresh or rest, default=None)

    def guess(self, row: int) -> list[tuple[str, float]]:
        """Return what the model says of a row, the most probable label first; empty before there is a model."""
        with self._changed:
            learned = self._learned
        if learned.proba is None:
            return []
        order = np.argsort(-learned.proba[row], kind="stable")
        return [(learned.classes[j], float(learned.proba[row, j])) for j in order.tolist()]

    def progress(self) -> Progress:
        """Return how the session goes."""
        with self._changed:
            labeled = sum(self.label_of(row) is not None for row in range(self.rows))
            skipped = sum(answer is None for answer in self.answers.values())
            return Progress(labeled, skipped, self.rows, self._learned.accuracy, self._learned.trained_on)

    def labels(self) -> list[str | None]:
        """Return the labels of all rows."""
        return [self.label_of(row) for row in range(self.rows)]

    # -- learning beside ----------------------------------------------------------------------------------------------

    def wait(self, timeout: float = 60.0) -> bool:
        """Wait until the model knows all answers; False if it took too long, or failed."""
        with self._changed:
            return (
                self._changed.wait_for(
                    lambda: (not self._busy and self._seen == self._version) or self.failure is not None, timeout
                )
                and self.failure is None
            )

    def close(self) -> None:
        """End the session; every answer is kept."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self.journal.close()

    _seen = -1

    def _learn_forever(self) -> None:
        try:
            self._features = numbers_of(self.shown.drop(columns=self.drop), self.random_state)
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._seen != self._version)
                    if self._closed:
                        return
                    self._busy, version = True, self._version
                    labels = [self.label_of(row) for row in range(self.rows)]
                    passed = {row for row, answer in self.answers.items() if answer is None}
                self._learn(labels, passed)
                with self._changed:
                    self._busy, self._seen = False, version
                    self._changed.notify_all()
        except BaseException as error:  # asking goes on in the order of the table
            with self._changed:
                self.failure = error
                self._changed.notify_all()

    def _learn(self, labels: list[str | None], passed: set[int]) -> None:
        assert self._features is not None
        known = np.array([label is not None for label in labels])
        rows = np.flatnonzero(known | ~np.isin(np.arange(self.rows), list(passed)))
        y = np.array([labels[row] for row in rows.tolist()], dtype=object)
        model = LossClassifier(
            self.loss, standardize=False, max_epochs=EPOCHS, batch_size=32, random_state=self.random_state
        )
        several = len({label for label in labels if label is not None}) > 1
        learner = ActiveLearner(
            model, self.strategy if several else FIRST, unlabeled=None, random_state=self.random_state
        )
        features = self._features
        learner.fit(features[rows], y)
        open_ = int((~known[rows]).sum())
        learned = _Learned(trained_on=int(known.sum()), accuracy=self._learned.accuracy)
        if several:
            learned.proba = np.asarray(learner.predict_proba(features))
            learned.classes = [str(label) for label in learner.classes_]
        if open_:
            learned.queue = rows[learner.query(n=min(QUEUE, open_))].tolist()
        self._publish(learned)
        if several:
            learned.accuracy = _accuracy(model, features[known], y[known[rows]])
            self._publish(learned)

    def _publish(self, learned: _Learned) -> None:
        with self._changed:
            self._learned = learned


def _accuracy(model: Any, X: np.ndarray, y: np.ndarray) -> float | None:
    """Return the cross-validated accuracy; None where a class has one row."""
    names, counts = np.unique(y.astype(str), return_counts=True)
    folds = min(FOLDS, int(counts.min()))
    if folds < 2 or len(y) < 2 * len(names):
        return None
    return float(cross_val_score(model, X, y.astype(str), cv=StratifiedKFold(folds)).mean())

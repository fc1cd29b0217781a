"""The result of a comparison: its table, pictures and report, and the best estimator."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearnloss.comparison.candidates import Candidate
from sklearnloss.comparison.code import reproduction
from sklearnloss.comparison.findings import Findings, Settings
from sklearnloss.comparison.fits import Record
from sklearnloss.comparison.frames import require_pandas
from sklearnloss.comparison.plots import plot_scores
from sklearnloss.comparison.report import render
from sklearnloss.comparison.shown import Shown
from sklearnloss.comparison.text import table
from sklearnloss.exceptions import DataError
from sklearnloss.files import write_atomically

__all__ = ["Comparison"]

NAN = math.nan


class Comparison(Shown, Findings):
    """Result of `compare`.

    Attributes
    ----------
    settings : Settings
        How it was done.
    data : dict
        What the data are like: rows, columns, classes, missing values, duplicates.
    rows : list of Row
        The table: best first, losses without a score last.
    records : dict of str to list of dict
        Every finished fit of each loss, in the order of the splits.
    finished : bool
        Whether every fit was done; not so if the budget ended it, or an interrupt.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearnloss import LossClassifier, compare
    >>> X, y = load_iris(return_X_y=True)
    >>> result = compare(X, y, losses=["cross_entropy", "gce"], estimator=LossClassifier(max_epochs=5), cv=3, repeats=1)
    >>> sorted(row.loss for row in result.rows)
    ['cross_entropy', 'gce']
    """

    def __init__(
        self,
        settings: Settings,
        candidates: Sequence[Candidate],
        records: Mapping[str, Sequence[Record]],
        *,
        data: Mapping[str, Any],
        finished: bool,
        template: Pipeline,
        given: tuple[Any, Any, Mapping[str, Any]],
    ) -> None:
        super().__init__(settings, candidates, records, data=data, finished=finished)
        self._template = template
        self._given = given

    def pipeline(self, loss: str | None = None) -> Pipeline:
        """Return the unfitted pipeline of a loss: preprocessing and estimator.

        Parameters
        ----------
        loss : str, default=None
            Its name in the table; None is the best.

        Raises
        ------
        DataError
            If the table has no such loss.
        """
        loss = self.best if loss is None else loss
        spec = next((c.spec for c in self.candidates if c.name == loss), None)
        if spec is None:
            raise DataError(f"the comparison has no loss {loss!r}; it has {', '.join(c.name for c in self.candidates)}")
        fresh = clone(self._template)
        fresh["model"].set_params(loss=spec, random_state=self.settings.random_state)
        return fresh

    def best_estimator(self, loss: str | None = None) -> Pipeline:
        """Return the pipeline of the best loss, fitted on all rows.

        Parameters
        ----------
        loss : str, default=None
            Another loss of the table; None is the best.

        Returns
        -------
        Pipeline
        """
        X, y, facts = self._given
        return self.pipeline(loss).fit(X, y, **{f"model__{name}": values for name, values in facts.items()})

    # -- views --------------------------------------------------------------------------------------------------------

    def to_frame(self) -> Any:
        """Return the table as a DataFrame, one row per loss, all scores as columns."""
        pandas = require_pandas("Comparison.to_frame")
        records = []
        for row in self.rows:
            plain = asdict(row)
            scores = plain.pop("scores")
            records.append(plain | {f"mean_{name}": scores.get(name, NAN) for name in self.settings.scoring})
        return pandas.DataFrame(records).set_index("loss")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers, strings and lists; a number that does not exist is None."""
        return _plain(
            {
                "settings": asdict(self.settings),
                "finished": self.finished,
                "data": self.data,
                "rows": [asdict(row) for row in self.rows],
                "fits": {name: [_without(r, "traceback") for r in kept] for name, kept in self.records.items()},
                "code": self.code() if self.scores else None,
            }
        )

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return everything as JSON, and write it if a path is given."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        if path is not None:
            write_atomically(path, text.encode())
        return text

    def code(self) -> str:
        """Return Python that reproduces the score of the best loss with scikit-learn alone, and fits it on all rows."""
        return reproduction(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw the scores with their intervals, best on top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        matplotlib Axes
        """
        return plot_scores(self, ax)

    def to_text(self, width: int | None = None) -> str:
        """Return the table as text; columns give way where it is wider than ``width``."""
        return table(self, width)

    def __repr__(self) -> str:
        done = sum(row.status == "ok" for row in self.rows)
        if not done:
            return f"<Comparison on {self.name}: no loss has a score>"
        return f"<Comparison of {done} losses on {self.name}: best {self.rows[0].loss} {self.rows[0].score:.4f}>"

    def _page(self) -> str:
        return render(self)


def _without(record: Record, name: str) -> Record:
    return {k: v for k, v in record.items() if k != name}


def _plain(value: Any) -> Any:
    """Return the value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""One fit of a comparison: train a loss on a split, judge it, and write down what happened as plain numbers."""

import multiprocessing
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import brier_score_loss, confusion_matrix, log_loss
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits

from sklearnloss import registry
from sklearnloss.comparison.protocols import Protocol
from sklearnloss.comparison.splitting import Split
from sklearnloss.functional.probabilities import binned, top_label

__all__ = ["Problem", "Record", "first_line", "load_problem", "pinned", "run_fit"]

Record = dict[str, Any]

CURVE_POINTS = 25  # epochs at which the learning curve looks at held-out rows
PAIRED_ROWS = 2000  # of which a score of pairs takes a tenth of a second; more are looked at in fewer epochs
CONFUSED = 40  # classes up to which the confusion matrix is kept
N_BINS = 15  # of the expected calibration error
MESSAGE = 400  # characters of an error


@dataclass(frozen=True)
class Problem:
    """Everything that is the same for all losses.

    Attributes
    ----------
    X, y : array or DataFrame
        All rows.
    splits : tuple of Split
        What to fit on.
    classes : array of shape (k,) or None
        All classes; None for several labels, and for bags.
    fit_facts : mapping of str to array
        Given to ``fit``: the rows of the split, and ``classes`` as they are.
    scorers : mapping of str to callable
        The first is what the losses are ranked by.
    protocol : Protocol
        Of the task.
    """

    X: Any
    y: np.ndarray
    splits: tuple[Split, ...]
    classes: np.ndarray | None
    fit_facts: Mapping[str, np.ndarray]
    scorers: Mapping[str, Any]
    protocol: Protocol


@lru_cache(maxsize=1)
def load_problem(path: Path) -> Problem:
    """Load a problem that the main process put into a file; a worker does so once."""
    if multiprocessing.parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends its workers
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    return joblib.load(path, mmap_mode="r")


def _end_with_parent(parent: int) -> None:
    """End this worker when the main process is gone, killed for example: nobody would take its results."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def run_fit(
    problem: Problem | Path, number: int, template: Pipeline, name: str, spec: Any, *, threads: int = 1
) -> Record:
    """Fit a loss on a split and judge it on the rows held out; an error becomes a record that says what it was.

    Parameters
    ----------
    problem : Problem or Path
        The problem, or the file that it is in.
    number : int
        Which split.
    template : Pipeline
        Unfitted, with the steps ``prepare`` and ``model``.
    name : str
        Of the loss in the record.
    spec : loss
        What ``model`` takes.
    threads : int, default=1
        Of torch and of numerical libraries, so that fits side by side do not wait for each other, and that a result
        does not depend on how many there are.

    Returns
    -------
    dict
        Plain numbers, strings and lists; ``error`` is None, or says what went wrong.
    """
    problem = load_problem(problem) if isinstance(problem, Path) else problem
    split = problem.splits[number]
    record: Record = {"loss": name, "repeat": split.repeat, "fold": split.fold, "error": None}
    with warnings.catch_warnings(record=True) as caught, pinned(threads):
        warnings.simplefilter("always")
        try:
            record |= _fit_and_judge(problem, split, clone(template), spec)
        except Exception as error:  # a loss may raise anything; it must not cost the others
            record |= {"error": first_line(error), "traceback": traceback.format_exc(limit=-8)}
    shown = {first_line(w.message) for w in caught if not issubclass(w.category, DeprecationWarning | FutureWarning)}
    return record | {"warnings": sorted(shown)}


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Let torch and numerical libraries use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def _fit_and_judge(problem: Problem, split: Split, pipeline: Pipeline, spec: Any) -> Record:
    prepare, model, judged = pipeline["prepare"], pipeline["model"], problem.protocol.judged
    model.set_params(loss=spec, random_state=split.seed)
    X, y = _rows(problem.X, split.train), _rows(problem.y, split.train)
    X_test, y_test = _rows(problem.X, split.test), _rows(problem.y, split.test)
    facts = {n: values if n == "classes" else _rows(values, split.train) for n, values in problem.fit_facts.items()}

    started = time.perf_counter()
    prepared = prepare.fit_transform(X, y)
    prepared_test = prepare.transform(X_test)
    points = _points_of_pairs(len(split.test)) if judged == "embeddings" else CURVE_POINTS
    curve = HeldOutCurve(model, next(iter(problem.scorers.values())), prepared_test, y_test, points=points)
    callbacks = model.callbacks
    model.set_params(callbacks=[*(callbacks or []), ("held_out_curve", curve)])
    model.fit(prepared, y, **facts)
    model.callbacks = callbacks
    fit_seconds = time.perf_counter() - started - curve.seconds

    started = time.perf_counter()
    made = getattr(pipeline, problem.protocol.method)(X_test)
    predict_seconds = time.perf_counter() - started
    return {
        "scores": _scores(pipeline, problem.scorers, X_test, y_test),
        "fit_seconds": fit_seconds,
        "predict_seconds": predict_seconds,
        "n_train": len(split.train),
        "n_test": len(split.test),
        "epochs": int(model.n_iter_),
        "curve": curve.points(model.loss_curve_),
        "calibration": _calibration(pipeline, X_test, y_test) if judged == "predictions" else None,
        "confusion": _confusion(problem.classes, y_test, made) if judged == "predictions" else None,
    }


def _points_of_pairs(rows: int) -> int:
    """Return at how many epochs held-out rows are looked at where a score compares each with each."""
    return int(np.clip(CURVE_POINTS * (PAIRED_ROWS / rows) ** 2, 2, CURVE_POINTS))


def _rows(X: Any, rows: np.ndarray) -> Any:
    part = _safe_indexing(X, rows)
    return np.asarray(part) if isinstance(part, np.ndarray) else part  # rows of a memory map are in memory now


def _scores(pipeline: Pipeline, scorers: Mapping[str, Any], X: Any, y: np.ndarray) -> dict[str, float | None]:
    """Return every score; one that does not exist for these rows is None, but the first must exist."""
    values: dict[str, float | None] = {}
    for name, scorer in scorers.items():
        try:
            value = float(scorer(pipeline, X, y))
        except Exception as error:
            if values:
                values[name] = None
                continue
            if isinstance(error, AttributeError):
                pipeline["model"].predict_proba  # noqa: B018 - if it is this that is missing, it says why
            raise
        if not np.isfinite(value) and not values:
            raise ValueError(f"the score {name!r} is {value} on the rows held out")
        values[name] = value if np.isfinite(value) else None
    return values


def _calibration(pipeline: Pipeline, X: Any, y: np.ndarray) -> Record | None:
    """Return how good the probabilities are, by several measures, and the bins of a reliability diagram."""
    if not hasattr(pipeline, "predict_proba"):
        return None
    proba = pipeline.predict_proba(X).astype(float)
    if y.ndim == 2:  # each label is a problem of two classes, and all of them are judged together
        codes = y.ravel().astype(int)
        proba = np.stack([1 - proba.ravel(), proba.ravel()], axis=1)
    else:
        codes = np.searchsorted(pipeline.classes_, y)
        proba /= proba.sum(axis=1, keepdims=True)  # float32 rows sum to one to six digits only
    columns = range(proba.shape[1])
    ece, ks_error = (registry.lookup("metric", f"core:{name}").obj for name in ("ece", "ks_error"))
    two = proba[:, 1] if len(columns) == 2 else proba
    bins = binned(*top_label(two, codes), np.ones(len(codes)), n_bins=N_BINS, strategy="uniform")
    return {
        "nll": float(log_loss(codes, proba, labels=columns)),
        "brier": float(brier_score_loss(codes, two, labels=columns)),
        "ece": ece(codes, two, n_bins=N_BINS),
        "ece_equal_mass": ece(codes, two, n_bins=N_BINS, strategy="quantile"),
        "ece_classwise": ece(codes, proba, n_bins=N_BINS, classwise=True),
        "ks": ks_error(codes, two),
        "bins": {n: values.tolist() for n, values in zip(("confidence", "accuracy", "count"), bins, strict=True)},
    }


def _confusion(classes: np.ndarray | None, y: np.ndarray, predicted: np.ndarray) -> list[list[int]] | None:
    if classes is None or len(classes) > CONFUSED:
        return None
    return confusion_matrix(y, predicted, labels=classes).tolist()


def first_line(error: Any) -> str:
    """Return what an error says in its first line that has words, after its kind unless it is one of ours."""
    lines = (line.strip() for line in str(error).splitlines())
    words = next((line for line in lines if line), "")
    ours = type(error).__module__.startswith("sklearnloss")
    text = words if ours and words else ": ".join(part for part in (type(error).__name__, words) if part)
    return text if len(text) <= MESSAGE else text[: MESSAGE - 1] + "…"


class HeldOutCurve(Callback):  # type: ignore[misc]
    """Score the rows held out at some of the epochs; the time it takes is not the loss's."""

    def __init__(self, model: Any, scorer: Any, X: Any, y: np.ndarray, *, points: int) -> None:
        self.model, self.scorer, self.X, self.y = model, scorer, X, y
        self.epochs: list[int] = []
        self.scores: list[float | None] = []
        self.seconds = 0.0
        last = model.max_epochs
        self.wanted = {round(e) for e in np.linspace(1, last, min(last, points))}

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Look at the epochs that are wanted."""
        if net.epoch_ not in self.wanted:
            return
        started = time.perf_counter()
        try:
            value = float(self.scorer(self.model, self.X, self.y))
        except Exception:  # a score that needs what only a finished fit has, such as calibrated probabilities
            value = np.nan
        self.epochs.append(int(net.epoch_))
        self.scores.append(value if np.isfinite(value) else None)
        self.seconds += time.perf_counter() - started

    def points(self, losses: list[float]) -> Record:
        """Return epochs with the held-out score and the training loss of each."""
        kept = [losses[e - 1] for e in self.epochs]
        return {"epoch": self.epochs, "score": self.scores, "loss": kept}

"""The splits that every loss is fitted on: repeated and stratified, by group, or forward in time."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit, check_cv

from sklearnloss.bags.splitters import StratifiedBagKFold
from sklearnloss.bags.targets import is_bag_targets
from sklearnloss.comparison.given import Target
from sklearnloss.exceptions import DataError, DataWarning, ParameterError

__all__ = ["Plan", "Split", "check_retrieval", "check_whole_bags", "plan_splits", "seed_of"]


@dataclass(frozen=True)
class Split:
    """Row numbers to train on and to judge by, and the seed of everything random in the fit."""

    repeat: int
    fold: int
    seed: int
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Plan:
    """The splits of a comparison.

    Attributes
    ----------
    splits : tuple of Split
        Repeat by repeat.
    words : str
        What a reader is told.
    code : str
        Python that makes the splitter of one repeat from ``seed``; what it is called with is ``X, y, groups``.
    identity : str
        What decides the splits of a repeat, besides the data.
    """

    splits: tuple[Split, ...]
    words: str
    code: str
    identity: str

    @property
    def test_share(self) -> float:
        """Share of the rows of a split that are held out, on average: what resampled tests are corrected by."""
        return float(np.mean([len(s.test) / (len(s.train) + len(s.test)) for s in self.splits]))


def plan_splits(
    X: Any,
    y: np.ndarray,
    *,
    cv: Any = 5,
    repeats: int | None = None,
    groups: np.ndarray | None = None,
    times: np.ndarray | None = None,
    random_state: int = 0,
) -> Plan:
    """Choose the splitter and split.

    Parameters
    ----------
    X : array or DataFrame
        Rows.
    y : array of shape (n,) or (n, n_labels)
        Targets; those that `bag_targets` makes carry bags, which are kept whole.
    cv : int, splitter or iterable of (train, test), default=5
        A number of folds, stratified by class or proportions; whole groups stay together; with times no row that a fold
        is judged by is earlier than one it was trained on. Anything else is taken as it is.
    repeats : int, default=None
        Each with other folds and another seed; None is 2, or 1 for times and for splits of one's own.
    groups : array of shape (n,), default=None
        Rows of a group stay on one side.
    times : array of shape (n,), default=None
        What the rows are ordered by.
    random_state : int, default=0
        Repeat ``r`` has the seed ``random_state + r``, for its folds and for its models.

    Raises
    ------
    DataError
        If the rows cannot be split like that.
    """
    if groups is not None and times is not None:
        raise DataError("give groups or times, not both; splits by group have no order")
    whole = isinstance(cv, int | np.integer) and not isinstance(cv, bool)
    if whole and cv < 2:
        raise DataError(f"cv must be a number of folds in [2, inf), a splitter or splits, got {cv}")
    fixed = times is not None or not whole
    if repeats is None:
        repeats = 1 if fixed else 2
    if repeats < 1:
        raise DataError(f"repeats must be an int in [1, inf), got {repeats}")
    if fixed and repeats > 1:
        given = "times" if times is not None else "splits of your own"
        raise DataError(f"repeats={repeats} would repeat the same folds: with {given} it must be 1")
    if whole:
        _check_size(len(y), int(cv), groups, times)
    labels, bagged = _labels(y), is_bag_targets(y)
    if bagged and groups is not None:
        _check_nested(y["bag"], groups)
    if times is not None and whole:
        _warn_of_ties(times, int(cv))
    if whole and times is None and groups is None and labels is not None:
        _warn_of_rare_classes(labels, int(cv))
    splits: list[Split] = []
    for repeat in range(repeats):
        seed = random_state + repeat
        splitter, code = _splitter(cv if not whole else int(cv), y, groups, times, seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # said above, in words of ours
            parts = list(_parts(splitter, X, y, groups, times))
        splits += [Split(repeat, fold, seed, train, test) for fold, (train, test) in enumerate(parts)]
    empty = [s for s in splits if not len(s.train) or not len(s.test)]
    if empty or not splits:
        raise DataError("a split has no rows to train on or to judge by; choose other splits")
    folds = len(splits) // repeats
    words = _words(
        folds,
        repeats,
        own=not whole,
        stratified=labels is not None or (bagged and groups is None),
        bagged=bagged,
        grouped=groups is not None,
        ordered=times is not None,
    )
    identity = f"{code if whole else joblib.hash([(s.train, s.test) for s in splits])} {random_state}"
    return Plan(tuple(splits), words, code, identity)


def check_retrieval(target: Target, splits: tuple[Split, ...]) -> None:
    """Refuse splits on which nothing can be learnt, or nothing be found among the rows held out.

    Parameters
    ----------
    target : Target
        Classes of rows.
    splits : tuple of Split
        What to train on, and what is held out.

    Raises
    ------
    DataError
        If a part has one class, or rows held out are each of another class.
    """
    y = target.values
    for split in splits:
        which = f"fold {split.fold + 1} of repeat {split.repeat + 1}"
        for rows, what in ((split.train, "trains on"), (split.test, "holds out")):
            if len(found := np.unique(y[rows])) < 2:
                raise DataError(
                    f"{which} {what} rows of one class, {found[0]!s}: there is nothing to tell apart; give fewer "
                    "folds, or other groups"
                )
        if np.unique(y[split.test], return_counts=True)[1].max() < 2:
            raise DataError(
                f"{which} holds out {len(split.test)} rows, each of another class: there is nothing to find; give "
                "fewer folds"
            )


def check_whole_bags(target: Target, splits: tuple[Split, ...]) -> None:
    """Refuse splits that cut a bag, or on which nothing can be learnt from bags.

    Parameters
    ----------
    target : Target
        Of bags.
    splits : tuple of Split
        What to train on, and what is held out.

    Raises
    ------
    DataError
        If rows of a bag are on both sides, or are missing, or a fit gets one bag or misses a class.
    """
    table = target.table
    for split in splits:
        which = f"fold {split.fold + 1} of repeat {split.repeat + 1}"
        for rows, what in ((split.train, "trains on"), (split.test, "holds out")):
            found = np.bincount(table.code[rows], minlength=len(table.ids))
            if cut := np.flatnonzero((found > 0) & (found < table.sizes)).tolist():
                raise DataError(
                    f"{which} {what} {found[cut[0]]} of the {table.sizes[cut[0]]} rows of bag "
                    f"{table.ids[cut[0]].item()!r}; what is known of a bag says nothing of a part of it, give splits "
                    "of whole bags, such as BagKFold"
                )
        trained = np.unique(table.code[split.train])
        if len(trained) < 2:
            raise DataError(
                f"{which} trains on one bag, {table.ids[trained[0]].item()!r}, whose proportions do not tell its rows "
                f"apart; give more bags (there are {len(table.ids)}), or more folds"
            )
        if lost := np.flatnonzero(~(table.values[trained] > 0).any(axis=0)).tolist():
            among = int((table.values[:, lost[0]] > 0).sum())
            raise DataError(
                f"{which} trains on no bag with class {target.name_of(lost[0])!r}, which is in {among} of "
                f"{len(table.ids)} bags; join it with another class"
            )


def _check_nested(bags: np.ndarray, groups: np.ndarray) -> None:
    """Refuse groups that cut bags."""
    _, number = np.unique(groups, return_inverse=True)
    ids, first, code = np.unique(bags, return_index=True, return_inverse=True)
    if (cut := number != number[first][code]).any():
        bag = ids[code[int(cut.argmax())]].item()
        raise DataError(f"bag {bag!r} has rows of several groups; bags and groups are kept whole, so a bag lies in one")


def _check_size(n: int, folds: int, groups: np.ndarray | None, times: np.ndarray | None) -> None:
    if groups is not None and (count := len(np.unique(groups))) < folds:
        raise DataError(f"{folds} folds need as many groups, got {count}; lower cv")
    wanted = folds + (times is not None)
    if n < wanted:
        raise DataError(f"{folds} folds need at least {wanted} rows, got {n}; lower cv")


def _warn_of_rare_classes(y: np.ndarray, folds: int) -> None:
    classes, counts = np.unique(y, return_counts=True)
    if counts.max() < folds:
        raise DataError(f"{folds} folds, but the largest class has {counts.max()} rows; lower cv")
    if counts.min() < folds:
        rare = f"class {classes[counts.argmin()]!s} has {counts.min()} rows, fewer than the {folds} folds"
        warnings.warn(f"{rare}; some folds are judged without it", DataWarning, stacklevel=4)


def _warn_of_ties(times: np.ndarray, folds: int) -> None:
    ordered = np.sort(times)
    if len(times) > folds and any(
        ordered[train[-1]] == ordered[test[0]] for train, test in TimeSeriesSplit(folds).split(ordered)
    ):
        warnings.warn("rows of one time are on both sides of a fold; give finer times", DataWarning, stacklevel=4)


def _labels(y: np.ndarray) -> np.ndarray | None:
    """Return classes of rows; None for several labels, and for bags."""
    return None if y.ndim == 2 or is_bag_targets(y) else y


def _splitter(
    cv: Any, y: np.ndarray, groups: np.ndarray | None, times: np.ndarray | None, seed: int
) -> tuple[Any, str]:
    labels = _labels(y)
    if not isinstance(cv, int):
        return check_cv(cv, labels, classifier=True), repr(cv)
    if times is not None:
        return TimeSeriesSplit(cv), f"TimeSeriesSplit({cv})"
    if groups is not None:
        cls: Any = GroupKFold if labels is None else StratifiedGroupKFold
    elif is_bag_targets(y):
        cls = StratifiedBagKFold
    else:
        cls = KFold if labels is None else StratifiedKFold
    return cls(cv, shuffle=True, random_state=seed), f"{cls.__name__}({cv}, shuffle=True, random_state=seed)"


def _parts(
    splitter: Any, X: Any, y: np.ndarray, groups: np.ndarray | None, times: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if times is None:
        yield from splitter.split(X, y, groups)
        return
    order = np.argsort(times, kind="stable")
    for train, test in splitter.split(order):
        yield order[train], order[test]


def _words(folds: int, repeats: int, *, own: bool, stratified: bool, bagged: bool, grouped: bool, ordered: bool) -> str:
    if own:
        return f"{folds} splits of the user's own"
    if ordered:
        return f"{folds} folds forward in time"
    how = "stratified " if stratified else ""
    kept = ", groups kept whole" if grouped else " of whole bags" if bagged else ""
    again = f", repeated {repeats} times" if repeats > 2 else ", repeated twice" if repeats == 2 else ""
    return f"{folds} {how}folds{kept}{again}"


def seed_of(random_state: Any, compared: str) -> int:
    """Return the seed that all that is compared shares.

    Raises
    ------
    ParameterError
        If it is not an int in [0, 2**31).
    """
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if not whole or not 0 <= random_state < 2**31:
        raise ParameterError(
            f"random_state must be an int in [0, 2**31), got {random_state!r}; every {compared} is given the same seeds"
        )
    return int(random_state)

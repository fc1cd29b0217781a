"""What a linear model, judged on rows it has not learnt from, says about the labels; and how bags differ."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.stats import chi2
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.utils import check_random_state

from sklearnloss.bags.targets import check_proportions, read_bags
from sklearnloss.comparison.preprocessing import make_preprocessor

__all__ = [
    "BagProbe", "ClassProbe", "ClusterProbe", "LabelProbe", "probe_bags", "probe_classes", "probe_clusters",
    "probe_labels",
]  # fmt: skip

MAX_ROWS = 2000
MAX_LABELS = 20
N_SPLITS = 3
MIN_ROWS = 50  # fewer say nothing that chance would not
MAX_CELLS = 2_000_000  # of a dense table; wide ones are looked at in fewer rows
WORK = 2e9  # multiplications of all fits together, one or two seconds; the more there are, the fewer iterations each
SURE = 1 / 5  # share of the rows about which the model is surest
EASY = 0.9  # probability from which a class counts as predicted well
EASY_NEGATIVE = 0.05  # probability up to which a label's absence does


@dataclass(frozen=True)
class ClassProbe:
    """Out-of-fold probabilities of one class per row.

    Attributes
    ----------
    proba : array of shape (n, k)
        Probabilities; columns are the classes that have rows enough.
    codes : array of shape (n,)
        Class of each row, a column of ``proba``.
    """

    proba: np.ndarray
    codes: np.ndarray

    @property
    def rows(self) -> int:
        """Number of rows looked at."""
        return len(self.codes)

    @property
    def right(self) -> np.ndarray:
        """Whether each row is given its own class (n,)."""
        return self.proba.argmax(axis=1) == self.codes

    @property
    def commonest_share(self) -> float:
        """Share of the most frequent class."""
        return float(np.bincount(self.codes).max() / self.rows)

    def sure_and_wrong(self) -> tuple[int, int]:
        """Return how many of the rows about which the model is surest carry another class, and how many these are.

        Where classes overlap, errors lie near their borders, where the model is unsure; labels that were mixed up are
        as frequent where it is sure.
        """
        surest = np.argsort(-self.proba.max(axis=1), kind="stable")[: round(SURE * self.rows)]
        return int((~self.right[surest]).sum()), len(surest)

    def easy_share(self) -> float:
        """Return the share of rows whose own class has a probability of at least 0.9."""
        return float((self.proba[np.arange(self.rows), self.codes] >= EASY).mean())


@dataclass(frozen=True)
class LabelProbe:
    """Out-of-fold probabilities of several labels per row.

    Attributes
    ----------
    proba, truth : array of shape (n, n_labels)
        Probabilities, and zeros and ones, of the labels looked at.
    """

    proba: np.ndarray
    truth: np.ndarray

    def easy_negative_share(self) -> float:
        """Return the share of zeros whose label has a probability below 0.05."""
        return float((self.proba[self.truth == 0] < EASY_NEGATIVE).mean())


@dataclass(frozen=True)
class ClusterProbe:
    """How the class of a row is found in the columns as they are.

    Attributes
    ----------
    by_neighbour, by_mean : array of bool of shape (n,)
        Whether the nearest row of the other folds is of its class, and whether the nearest class mean is its own.
    """

    by_neighbour: np.ndarray
    by_mean: np.ndarray


@dataclass(frozen=True)
class BagProbe:
    """How the proportions of bags differ.

    Attributes
    ----------
    sizes : array of shape (b,)
        Rows of each bag.
    between : float in [0, 1]
        Share of the variance of the classes that lies between bags: one if each bag has one class, about the number of
        bags over that of rows if rows were put together at random.
    p : float in [0, 1]
        Chance that proportions of bags of rows put together at random differ as much (chi-squared test).
    """

    sizes: np.ndarray
    between: float
    p: float


def probe_bags(y: np.ndarray) -> BagProbe:
    """Look at what is known of bags.

    Parameters
    ----------
    y : structured array of shape (n,)
        As `bag_targets` makes it.
    """
    table = check_proportions(read_bags(y["p"], y["bag"]))
    sizes, known = table.sizes, table.values
    shares = sizes @ known / sizes.sum()
    apart = sizes @ np.square(known - shares)  # (k,)
    statistic, freedom = float((apart / shares).sum()), (len(sizes) - 1) * (len(shares) - 1)
    between = apart.sum() / (sizes.sum() * (shares * (1 - shares)).sum())
    return BagProbe(sizes, float(between), float(chi2.sf(statistic, freedom)))


def probe_clusters(X: Any, y: np.ndarray, *, random_state: Any = 0) -> ClusterProbe | None:
    """Look for the rows of `probe_classes` by distance; None if there are too few.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame of shape (n, d)
        Features as they come.
    y : array of shape (n,)
        Classes; those with fewer than three rows among the rows drawn are left out.
    random_state : int, RandomState or None, default=0
        Draws rows and folds.
    """
    drawn = _drawn_classes(X, y, check_random_state(random_state))
    if drawn is None:
        return None
    rows, codes, folds = drawn
    Z = _prepared(X, rows)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "self.within_class_std_dev_")  # of columns that are constant within classes
        by_mean = cross_val_predict(NearestCentroid(), Z, codes, cv=folds) == codes
    return ClusterProbe(cross_val_predict(KNeighborsClassifier(1), Z, codes, cv=folds) == codes, by_mean)


def probe_classes(X: Any, y: np.ndarray, *, random_state: Any = 0) -> ClassProbe | None:
    """Fit on parts of at most 2,000 rows and predict the others; None if there are too few rows.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame of shape (n, d)
        Features as they come.
    y : array of shape (n,)
        Classes; those with fewer than three rows among the rows drawn are left out.
    random_state : int, RandomState or None, default=0
        Draws rows and folds.
    """
    drawn = _drawn_classes(X, y, check_random_state(random_state))
    if drawn is None:
        return None
    rows, codes, folds = drawn
    Z = _prepared(X, rows)
    return ClassProbe(_out_of_fold(Z, codes, folds, _steps(Z, len(np.unique(codes)))), codes)


def probe_labels(X: Any, y: np.ndarray, *, random_state: Any = 0) -> LabelProbe | None:
    """Fit one model per label, of at most 20 labels, as `probe_classes` does.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame of shape (n, d)
        Features as they come.
    y : array of shape (n, n_labels)
        Zeros and ones.
    random_state : int, RandomState or None, default=0
        Draws rows, labels and folds.
    """
    rng = check_random_state(random_state)
    rows = _draw(X, rng)
    truth = y[rows]
    common = np.minimum(truth.sum(axis=0), (1 - truth).sum(axis=0))
    labels = rng.permutation(np.flatnonzero(common >= N_SPLITS))[:MAX_LABELS]
    if not labels.size or len(rows) < MIN_ROWS:
        return None
    Z = _prepared(X, rows)
    folds = StratifiedKFold(N_SPLITS, shuffle=True, random_state=rng.randint(2**31 - 1))
    steps = _steps(Z, 2 * len(labels))
    columns = [_out_of_fold(Z, truth[:, j], folds, steps)[:, 1] for j in labels]
    return LabelProbe(np.column_stack(columns), truth[:, labels])


def _drawn_classes(
    X: Any, y: np.ndarray, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray, StratifiedKFold] | None:
    """Return the rows to look at, their classes as numbers, and the folds; None if there are too few rows."""
    rows = _draw(X, rng)
    _, codes, counts = np.unique(y[rows], return_inverse=True, return_counts=True)
    rows = rows[counts[codes] >= N_SPLITS]
    if (counts >= N_SPLITS).sum() < 2 or len(rows) < MIN_ROWS:
        return None
    codes = np.unique(y[rows], return_inverse=True)[1]
    return rows, codes, StratifiedKFold(N_SPLITS, shuffle=True, random_state=rng.randint(2**31 - 1))


def _draw(X: Any, rng: np.random.RandomState) -> np.ndarray:
    """Return the rows to look at, in their order."""
    most = MAX_ROWS if issparse(X) else min(MAX_ROWS, max(MAX_CELLS // max(X.shape[1], 1), 4 * MIN_ROWS))
    return np.sort(rng.permutation(X.shape[0])[:most])


def _prepared(X: Any, rows: np.ndarray) -> Any:
    """Return these rows as numbers; no label is looked at, so all of them may be seen at once."""
    some = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
    return make_preprocessor().fit_transform(some)


def _steps(Z: Any, outputs: int) -> int:
    """Return how many iterations a fit may have."""
    stored = Z.nnz if issparse(Z) else Z.size
    return int(np.clip(WORK / max(N_SPLITS * stored * outputs, 1), 20, 100))


def _out_of_fold(Z: Any, codes: np.ndarray, folds: StratifiedKFold, steps: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early only makes it less sure
        return cross_val_predict(LogisticRegression(max_iter=steps), Z, codes, cv=folds, method="predict_proba")

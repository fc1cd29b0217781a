"""Which labels of a table are wrong: one door to all ways of finding them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearnloss.active.pool import as_table
from sklearnloss.exceptions import ParameterError, did_you_mean
from sklearnloss.noise._judge import RowJudge
from sklearnloss.noise.aum import AreaUnderMargin
from sklearnloss.noise.confident_learning import ConfidentLearning
from sklearnloss.noise.cv_margin import CrossValidatedMargin
from sklearnloss.noise.forgetting import Forgetting
from sklearnloss.noise.knn import NeighborDisagreement
from sklearnloss.noise.loss_mixture import LossMixture

__all__ = ["METHODS", "LabelNoiseDetector", "NoiseReport"]

METHODS: Mapping[str, type[RowJudge]] = {
    "aum": AreaUnderMargin,
    "confident_learning": ConfidentLearning,
    "loss_mixture": LossMixture,
    "knn": NeighborDisagreement,
    "forgetting": Forgetting,
    "cv_margin": CrossValidatedMargin,
}


@dataclass(frozen=True)
class NoiseReport:
    """The most doubtful rows of a table.

    Attributes
    ----------
    method : str
        How they were found.
    rows : int array of shape (r,)
        Row numbers, the most doubtful first.
    labels : array of shape (r,)
        Their labels.
    suggested : array of shape (r,) or None
        The labels that they should rather have, where the method says so.
    scores : array of shape (r,)
        How doubtful they are.
    doubted : bool array of shape (r,)
        Whether they are beyond the threshold.
    n_rows, n_doubted : int
        Rows of the table, and those of them that are doubted.
    by_class : list of (label, int, int)
        Of each class the rows, and those of them that are doubted.
    """

    method: str
    rows: np.ndarray
    labels: np.ndarray
    suggested: np.ndarray | None
    scores: np.ndarray
    doubted: np.ndarray
    n_rows: int
    n_doubted: int
    by_class: list[tuple[Any, int, int]] = field(default_factory=list)

    def to_frame(self) -> Any:
        """Return the rows as a pandas DataFrame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("NoiseReport.to_frame needs pandas: pip install 'sklearnloss[data]'") from error
        columns = {"row": self.rows, "label": self.labels, "score": self.scores, "doubted": self.doubted}
        if self.suggested is not None:
            columns["suggested"] = self.suggested
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        share = self.n_doubted / self.n_rows
        lines = [f"{self.n_doubted} of {self.n_rows} labels doubted ({share:.1%}) by {self.method}"]
        names = [str(label) for label, _, _ in self.by_class]
        width = max(map(len, [*names, "class"]))
        lines.append(f"{'class':<{width}}  {'rows':>6}  {'doubted':>7}")
        lines += [
            f"{name:<{width}}  {rows:>6}  {doubted:>7}"
            for name, (_, rows, doubted) in zip(names, self.by_class, strict=True)
        ]
        lines.append("")
        head = f"{'row':>7}  {'label':<{width}}" + ("" if self.suggested is None else f"  {'rather':<{width}}")
        lines.append(f"{head}  {'score':>8}")
        for i, row in enumerate(self.rows.tolist()):
            rather = "" if self.suggested is None else f"  {self.suggested[i]!s:<{width}}"
            mark = " *" if self.doubted[i] else ""
            lines.append(f"{row:>7}  {self.labels[i]!s:<{width}}{rather}  {self.scores[i]:>8.3f}{mark}")
        return "\n".join(lines)


class LabelNoiseDetector(BaseEstimator):  # type: ignore[misc]
    """Find the labels of a table that are wrong, for a person to look at, or for `Cleaned` to leave out.

    Parameters
    ----------
    method : str or estimator, default="aum"
        ======================= ======================================================================
        ``"aum"``               margins while a network learns, against rows with a class that does not exist
        ``"confident_learning"`` classes that rows confidently belong to, by models that did not see them
        ``"loss_mixture"``      the higher of two groups of losses after a short training
        ``"knn"``               labels of the neighbors
        ``"forgetting"``        rows that a network loses again, or never learns
        ``"cv_margin"``         another class leads, by models that did not see the row
        ======================= ======================================================================

        Or one of the classes in ``sklearnloss.noise`` with parameters of its own, such as
        ``AreaUnderMargin(percentile=95)``, or any estimator whose ``fit(X, y)`` gives ``scores_`` and ``noisy_mask_``.
    estimator : estimator or None, default=None
        The model that the method learns by; None leaves the method's own. ``"aum"`` and ``"forgetting"`` take a
        `LossClassifier`.
    contamination : float in (0, 1) or None, default=None
        Share of the rows to doubt, those with the largest scores; None takes the method's own threshold.
    random_state : int, RandomState or None, default=None
        Seed of what the method draws; None leaves the method's own.

    Attributes
    ----------
    scores_ : array of shape (n,)
        The larger, the more doubtful.
    noisy_mask_ : bool array of shape (n,)
        Which rows are doubted.
    suggested_ : array of shape (n,) or None
        The labels that rows should rather have, where the method says so.
    method_ : estimator
        The fitted method.
    classes_ : array of shape (k,)
        The classes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y[[7, 77]] = 2, 0
    >>> LabelNoiseDetector("knn").fit(X, y).report(3)
    8 of 150 labels doubted (5.3%) by knn
    class    rows  doubted
    0          50        1
    1          49        2
    2          51        5
    <BLANKLINE>
        row  label  rather     score
          7  2      0         1.000 *
         77  0      1         1.000 *
        106  2      1         0.800 *
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "method": [str, HasMethods(["fit"])],
        "estimator": [HasMethods(["fit"]), None],
        "contamination": [Interval(Real, 0, 1, closed="neither"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        method: Any = "aum",
        estimator: Any = None,
        *,
        contamination: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.estimator = estimator
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Doubt the labels of rows.

        Parameters
        ----------
        X : array, sparse matrix or DataFrame of shape (n, d)
            Rows.
        y : array of shape (n,)
            Their labels.

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            If the method is unknown.
        DataError, TaskError
            If the rows, or the model, are not what the method needs.
        """
        self._validate_params()
        X = as_table(X, "LabelNoiseDetector")
        validate_data(self, X, skip_check_array=True)  # learns number and names of the columns
        if isinstance(self.method, str):
            if self.method not in METHODS:
                raise ParameterError(
                    f"LabelNoiseDetector: unknown method {self.method!r}{did_you_mean(self.method, METHODS)}; it has "
                    f"{', '.join(METHODS)}"
                )
            method = METHODS[self.method]()
        else:
            method = clone(self.method)
        given = {"estimator": self.estimator, "random_state": self.random_state}
        given = {name: value for name, value in given.items() if value is not None}
        if unknown := sorted(given.keys() - method.get_params(deep=False).keys()):
            raise ParameterError(f"LabelNoiseDetector: {method!r} has no {unknown[0]}; leave it out")
        self.method_ = method.set_params(**given).fit(X, y)
        self.scores_ = np.asarray(self.method_.scores_, dtype=np.float64)
        self.noisy_mask_ = np.asarray(self.method_.noisy_mask_, dtype=bool)
        if self.contamination is not None:
            worst = np.argsort(-self.scores_, kind="stable")[: round(self.contamination * len(self.scores_))]
            self.noisy_mask_ = np.zeros(len(self.scores_), dtype=bool)
            self.noisy_mask_[worst] = True
        self.suggested_ = getattr(self.method_, "suggested_", None)
        self._y = np.asarray(y).ravel()
        self.classes_ = np.unique(self._y)
        return self

    def report(self, n: int = 20) -> NoiseReport:
        """Return the most doubtful rows.

        Parameters
        ----------
        n : int, default=20
            How many, at most.

        Returns
        -------
        NoiseReport
            It prints as a table; ``to_frame()`` gives one of pandas.
        """
        check_is_fitted(self, "scores_")
        rows = np.argsort(-self.scores_, kind="stable")[:n]
        by_class = [
            (label, int((self._y == label).sum()), int((self.noisy_mask_ & (self._y == label)).sum()))
            for label in self.classes_.tolist()
        ]
        return NoiseReport(
            self.method if isinstance(self.method, str) else repr(self.method),
            rows,
            self._y[rows],
            None if self.suggested_ is None else self.suggested_[rows],
            self.scores_[rows],
            self.noisy_mask_[rows],
            len(self._y),
            int(self.noisy_mask_.sum()),
            by_class,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True  # as far as the model takes it
        return tags

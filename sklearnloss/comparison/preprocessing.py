"""The preprocessing that a comparison puts in front of every loss."""

from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from sklearnloss.comparison.frames import select_columns, to_numbers, to_texts
from sklearnloss.exceptions import ParameterError

__all__ = ["Numbers", "Texts", "make_preprocessor"]


def make_preprocessor(
    *, max_categories: int = 50, min_frequency: int = 3, dtype: Literal["float64", "float32"] = "float64"
) -> ColumnTransformer:
    """Return an unfitted transformer from a table as it comes to numbers that a network can learn from.

    It finds out at ``fit``, from the types of the columns, what each of them needs:

    - numbers: the median where they are missing, mean zero and variance one, and a column of zeros and ones for each
      column that had missing values, so that being missing can mean something;
    - dates and time spans: days, then as numbers;
    - texts, booleans, pandas categories: a column of zeros and ones per level. Missing is a level of its own, rare
      levels share one, and levels that were never seen go to it;
    - sparse columns: divided by their standard deviation, never centred, and the result is sparse.

    Parameters
    ----------
    max_categories : int in [1, inf), default=50
        Most columns that one column of levels becomes; the rarest levels share one.
    min_frequency : int in [1, inf), default=3
        Rows that a level needs to have a column of its own.
    dtype : {"float64", "float32"}, default="float64"
        Precision of the result; float32 halves the memory, from the first step on.

    Returns
    -------
    ColumnTransformer
        It takes pandas and polars DataFrames, arrays and sparse matrices of shape (n, d). Its parts are ``number``,
        ``category`` and ``sparse``, each with parameters of its own, such as
        ``number__scaled__simpleimputer__strategy``.

    Raises
    ------
    ParameterError
        If ``dtype`` is another.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"age": [20.0, None, 40.0, 30.0], "town": ["Rome", "Rome", None, "Oslo"]})
    >>> preprocessor = make_preprocessor(min_frequency=2)
    >>> preprocessor.fit_transform(X).shape
    (4, 4)
    >>> preprocessor.get_feature_names_out().tolist()
    ['age', 'age is missing', 'town=Rome', 'town=rare']
    """
    if dtype not in ("float64", "float32"):
        raise ParameterError(f"make_preprocessor: dtype must be one of 'float64', 'float32', got {dtype!r}")
    scaled = make_pipeline(Numbers(dtype), SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    # the marks of what is missing are not scaled: those of one row in a thousand would be thirty times a usual value
    numbers = FeatureUnion([("scaled", scaled), ("missing", Marks(dtype))], verbose_feature_names_out=False)
    levels = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=max_categories,
        min_frequency=min_frequency,
        sparse_output=False,
        dtype=np.dtype(dtype).type,
        feature_name_combiner=level_name,
    )
    divided = clone(scaled).set_params(standardscaler__with_mean=False)
    return ColumnTransformer(
        [
            ("number", numbers, number_columns),
            ("category", make_pipeline(Texts(), levels), category_columns),
            ("sparse", divided, sparse_columns),
        ],
        sparse_threshold=1.0,
        verbose_feature_names_out=False,
    )


def number_columns(X: Any) -> list[Any]:
    """Return the columns of numbers and dates."""
    return select_columns(X, ("number", "date"))


def category_columns(X: Any) -> list[Any]:
    """Return the columns of levels."""
    return select_columns(X, ("category",))


def sparse_columns(X: Any) -> list[Any]:
    """Return the sparse columns."""
    return select_columns(X, ("sparse",))


def level_name(column: str, level: Any) -> str:
    """Return the name of the column of zeros and ones of a level."""
    return f"{column}={'rare' if level == 'infrequent_sklearn' else level}"


class Numbers(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of numbers or dates as floats, NaN where they are missing; dates become days since 1970.

    Parameters
    ----------
    dtype : {"float64", "float32"}, default="float64"
        Precision of the result.
    """

    def __init__(self, dtype: str = "float64") -> None:
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the columns."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: Any) -> Any:
        """Return floats (n, d), sparse where X is."""
        validate_data(self, X, reset=False, skip_check_array=True)
        return to_numbers(X).astype(self.dtype, copy=False)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")


class Marks(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A column of zeros and ones for each column of numbers or dates in which something was missing at ``fit``.

    Parameters
    ----------
    dtype : {"float64", "float32"}, default="float64"
        Precision of the result.
    """

    def __init__(self, dtype: str = "float64") -> None:
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the columns in which something is missing."""
        validate_data(self, X, skip_check_array=True)
        self.features_ = np.flatnonzero(np.isnan(to_numbers(X)).any(axis=0))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the marks (n, number of these columns)."""
        check_is_fitted(self)
        validate_data(self, X, reset=False, skip_check_array=True)
        return np.isnan(to_numbers(X)[:, self.features_]).astype(self.dtype)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``"age is missing"`` and the like."""
        names = _check_feature_names_in(self, input_features)
        return np.array([f"{name} is missing" for name in names[self.features_]], dtype=object)


class Texts(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of anything as texts, ``"missing"`` where they are missing."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the columns."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return texts (n, d)."""
        validate_data(self, X, reset=False, skip_check_array=True)
        return to_texts(X)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

"""From a table as it comes to the numbers that the model behind a session learns from."""

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from sklearnloss.comparison.columns import leave_out
from sklearnloss.comparison.preprocessing import make_preprocessor
from sklearnloss.exceptions import DataError, DataWarning

__all__ = ["free_texts", "numbers_of"]

WORDS = 3  # on average, from which on different texts are sentences and not names
DIFFERENT = 0.5  # share of rows with a text of their own
TOPICS = 100  # columns that a column of texts becomes, at most; one for
ROWS = 10  # rows, or the last ones are chance


def free_texts(X: Any) -> list[str]:
    """Return the columns that hold sentences: texts of several words that hardly ever come twice.

    Examples
    --------
    >>> import pandas as pd
    >>> free_texts(pd.DataFrame({"mail": ["win a prize now", "see you at lunch"], "town": ["New York", "New York"]}))
    ['mail']
    """
    found = []
    for name, column in X.items():
        texts = [value for value in column.tolist() if isinstance(value, str)]
        if texts and len(set(texts)) >= DIFFERENT * len(column):
            found += [name] if np.mean([len(text.split()) for text in texts]) >= WORDS else []
    return found


def numbers_of(X: Any, random_state: int = 0) -> np.ndarray:
    """Return a table as numbers.

    Parameters
    ----------
    X : DataFrame of shape (n, d)
        Columns as they come. Those that number or name rows, or hold one value, are left out; sentences become their
        main topics (TF-IDF, then singular values); others are prepared by `make_preprocessor`.
    random_state : int, default=0
        Seed of the topics.

    Returns
    -------
    array of shape (n, p)

    Raises
    ------
    DataError
        If there is nothing to learn from.
    """
    texts = free_texts(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        rest, _ = leave_out(X.drop(columns=texts))
    parts = [_topics(X[name], random_state) for name in texts]
    if rest.shape[1]:
        prepared = make_preprocessor().fit_transform(rest)
        parts.append(prepared.toarray() if sparse.issparse(prepared) else prepared)
    parts = [part for part in parts if part.shape[1]]
    if not parts:
        raise DataError("there is no column to learn from: each numbers the rows, names them, or holds one value")
    return np.hstack(parts)


def _topics(column: Any, random_state: int) -> np.ndarray:
    texts = [value if isinstance(value, str) else "" for value in column.tolist()]
    try:
        words = TfidfVectorizer(sublinear_tf=True, min_df=2 if len(texts) > 50 else 1).fit_transform(texts)
    except ValueError:  # nothing but signs
        return np.empty((len(texts), 0))
    size = min(TOPICS, max(2, len(texts) // ROWS), *(n - 1 for n in words.shape))
    if size < 1:
        return np.empty((len(texts), 0))
    topics = TruncatedSVD(size, random_state=random_state).fit_transform(words)
    topics -= topics.mean(axis=0)
    spread = topics.std(axis=0).max()  # one for all: what says little stays small
    return np.asarray(topics / spread) if spread > 0 else np.empty((len(texts), 0))

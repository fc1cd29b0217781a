"""The rows of a fit, and row facts: what users give beside X and y, with or without scikit-learn's metadata routing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import sklearn
from sklearn.utils.validation import check_consistent_length

from sklearnloss.exceptions import FactError, did_you_mean
from sklearnloss.facts import FACTS, row_facts

__all__ = ["RowFacts", "Rows", "check_row_facts"]

BY_CLASS = frozenset({"teacher", "target_proba"})  # one column per class


def check_row_facts(given: Mapping[str, Any], named: Iterable[str], n_samples: int, who: str) -> dict[str, np.ndarray]:
    """Return the row facts that a component names, as arrays; known ones that nobody names are left out.

    Raises
    ------
    FactError
        If a name is unknown, or is a fact that the trainer supplies.
    ValueError
        If an array has another number of rows.
    """
    named, known = set(named), row_facts()
    kept = {}
    for name, value in given.items():
        if name in FACTS and FACTS[name].scope != "row":
            raise FactError(f"{who}.fit: {name!r} is supplied by the trainer; leave it out")
        if name not in known | named:
            near = did_you_mean(name, known | named)
            raise FactError(f"{who}.fit: unknown argument {name!r}{near}; row facts are {', '.join(sorted(known))}")
        if value is None or name not in named:
            continue
        array = np.asarray(value)
        if array.ndim == 0 or len(array) != n_samples:
            check_consistent_length(np.empty(n_samples), np.atleast_1d(array))
        if array.dtype.kind not in "fiub":  # names of groups or annotators
            array = np.unique(array, return_inverse=True)[1].reshape(array.shape)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{who}.fit: {name} holds NaN or infinite values")
        kept[name] = array
    return kept


@dataclass
class Rows:
    """The rows of a fit, validated and encoded."""

    X: Any
    y: np.ndarray | None
    train: np.ndarray  # row numbers to train on
    weights: np.ndarray | None = None  # (n,)
    facts: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def drawn(self) -> np.ndarray:
        """Row numbers that batches are drawn from: the training rows that weigh anything."""
        return self.train if self.weights is None else self.train[self.weights[self.train] > 0]

    def mean_one_weights(self) -> np.ndarray | None:
        """Return the weights (n,) with mean one over the rows that are drawn."""
        return None if self.weights is None else self.weights / self.weights[self.drawn].mean()

    def scaling_weights(self) -> np.ndarray | None:
        """Return weights (n,) that are zero for rows that are not trained on, for the moments of X."""
        if self.weights is None and len(self.train) == self.X.shape[0]:
            return None
        weights = np.zeros(self.X.shape[0])
        weights[self.drawn] = 1.0 if self.weights is None else self.weights[self.drawn]
        return weights


class RowFacts:
    """A mixin in front of ``BaseEstimator``: row facts of the vocabulary and of the spec are requested by default."""

    def _named_row_facts(self) -> set[str]:
        """Names that the components of this estimator may take from ``fit``."""
        raise NotImplementedError

    def get_metadata_routing(self) -> Any:
        """Return the metadata request, with every row fact of the vocabulary and of the spec requested by ``fit``.

        Returns
        -------
        MetadataRequest
        """
        request = super().get_metadata_routing()  # type: ignore[misc]
        for name in sorted(row_facts() | self._named_row_facts()):
            if name not in request.fit.requests:
                request.fit.add_request(param=name, alias=True)
        return request

    def set_fit_request(self, **requests: bool | str | None) -> Self:
        """Say which arguments of ``fit`` a meta-estimator should pass on; any name is allowed.

        Parameters
        ----------
        **requests
            ``name=True`` to have it passed, False to not, a string for another name, None to forbid it.

        Returns
        -------
        self

        Raises
        ------
        RuntimeError
            If metadata routing is off.
        """
        if not sklearn.get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_fit_request needs metadata routing: sklearn.set_config(enable_metadata_routing=True)"
            )
        request = super().get_metadata_routing()  # type: ignore[misc]
        for name, alias in requests.items():
            request.fit.add_request(param=name, alias=alias)
        self._metadata_request = request
        return self

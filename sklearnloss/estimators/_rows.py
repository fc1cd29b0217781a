"""Row facts: arrays that users give to ``fit`` beside X and y, with or without scikit-learn's metadata routing."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
import sklearn
from sklearn.utils.validation import check_consistent_length

from sklearnloss.exceptions import FactError, did_you_mean
from sklearnloss.facts import FACTS, row_facts

__all__ = ["RowFacts", "check_row_facts"]

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

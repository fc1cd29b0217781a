"""What scorers share: those that use weights of rows, and those that refuse them instead of ignoring them."""

import copy
from typing import Any, Self

from sklearn.utils.metadata_routing import MetadataRequest

from sklearnloss.exceptions import FactError

__all__ = ["UnweightedScorer", "WeightedScorer"]


class UnweightedScorer:
    """A scorer ``scorer(estimator, X, y)`` without weights: a call with some is an error, and searches warn.

    Under metadata routing it is an error to give weights to a search unless ``set_score_request(sample_weight=False)``
    says that they are meant for others.
    """

    _weights_are_for_others = False

    def set_score_request(self, *, sample_weight: bool | None = None) -> Self:
        """Return a copy that lets weights pass by.

        Parameters
        ----------
        sample_weight : {False, None}, default=None
            False: weights given to a search are for others. None: they are an error.

        Raises
        ------
        FactError
            If weights are asked for.
        """
        if sample_weight not in (False, None):
            raise FactError(
                f"{self!r} takes no sample_weight; set_score_request takes False or None, got {sample_weight}"
            )
        scorer = copy.copy(self)
        scorer._weights_are_for_others = sample_weight is False
        return scorer

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what scikit-learn asks of a scorer under metadata routing."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=False if self._weights_are_for_others else None)
        return request

    def _accept_sample_weight(self) -> bool:
        """Tell searches without routing, which warn then."""
        return False

    def _refuse(self, facts: dict[str, Any]) -> None:
        """Refuse what a scorer of rows that are judged against each other cannot use."""
        if facts:
            raise FactError(
                f"{self!r} takes no {', '.join(facts)}: it judges rows against each other, each the same; "
                "leave out, or repeat, rows instead"
            )


class WeightedScorer:
    """A scorer ``scorer(estimator, X, y, sample_weight=None)`` that uses weights of rows.

    Under metadata routing it wants them if ``set_score_request(sample_weight=True)`` says so.
    """

    _request: bool | None = None  # of sample_weight, under metadata routing

    def set_score_request(self, *, sample_weight: bool | None = None) -> Self:
        """Return a copy that wants weights, or lets them pass by, under metadata routing.

        Parameters
        ----------
        sample_weight : {True, False, None}, default=None
            True: weights given to a search are used. False: they are for others. None: they are an error.
        """
        scorer = copy.copy(self)
        scorer._request = sample_weight
        return scorer

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what scikit-learn asks of a scorer under metadata routing."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=self._request)
        return request

    def _accept_sample_weight(self) -> bool:
        """Tell searches without routing that weights are used."""
        return True

    def _refuse(self, facts: dict[str, Any]) -> None:
        """Refuse whatever else is handed on."""
        if facts:
            raise FactError(f"{self!r} takes sample_weight and nothing else, got {', '.join(facts)}")

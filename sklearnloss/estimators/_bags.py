"""What estimators share that learn from bags: targets by bag, batches of whole bags, bags held out."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight

from sklearnloss.bags.targets import BagTable, bag_targets, check_bags, is_bag_targets, mean_by_bag
from sklearnloss.component import Component
from sklearnloss.estimators._base import NetEstimator
from sklearnloss.estimators._rows import Rows
from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.spec import Choice, Sampler, choose
from sklearnloss.training.bags import BagBatches

__all__ = ["BagEstimator", "split_targets"]

BAG_FACTS = frozenset({"n_bags", "bag_index", "bag_weight"})  # beside bag itself


def split_targets(y: Any, bags: Any) -> tuple[Any, Any]:
    """Return what is known once per row, and the ids of bags or None; both from y where it carries its bags.

    Raises
    ------
    DataError
        If there are ids twice, or what is known of a bag is no finite number; the bag is named.
    """
    if not is_bag_targets(y):
        known = np.asarray(y)
        if bags is not None and known.dtype.kind == "f" and known.ndim and len(known) == np.size(bags):
            finite = np.isfinite(known).reshape(len(known), -1).all(axis=1)
            if not finite.all():
                raise DataError(f"bag {np.asarray(bags)[~finite][:1].tolist()[0]!r} has NaN or infinite values in y")
        return y, bags
    if bags is not None:
        raise DataError("y carries its bags already (it was made by bag_targets); leave bags= out")
    return y["p"], y["bag"]


class BagEstimator(NetEstimator):
    """Base of the estimators that learn from what is known of bags."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = NetEstimator._parameter_constraints | {
        "bag_weight": [StrOptions({"size", "equal"})],
        "max_bag_rows": [Interval(Integral, 1, None, closed="left"), None],
    }

    bag_weight: str
    max_bag_rows: int | None
    _table: BagTable  # of the fit that is running
    _whole: bool  # whether these are all bags, not a piece of them
    _trained: np.ndarray  # numbers in the table of the bags that are trained on

    def _fit_bags(self, X: Any, y: Any, sample_weight: Any, bags: Any, row_facts: Mapping[str, Any], **how: Any) -> Any:
        """Fit, and forget the bags afterwards, whatever happens."""
        y, self._given_bags = split_targets(y, bags)
        self._given_weight, self._whole = sample_weight, not how.get("same_net", False)
        try:
            return self._fit(X, y, sample_weight, row_facts, **how)
        finally:
            for name in ("_given_bags", "_given_weight", "_whole", "_table", "_trained"):
                self.__dict__.pop(name, None)

    # -- what the base asks for ---------------------------------------------------------------------------------------

    def _named_row_facts(self) -> set[str]:
        return super()._named_row_facts() | {"noise_scale"}

    def get_metadata_routing(self) -> Any:
        """Return the metadata request; ``bags`` is requested by ``fit`` and ``score`` unless the user said otherwise.

        Returns
        -------
        MetadataRequest
        """
        request = super().get_metadata_routing()
        for method in (request.fit, request.score, request.partial_fit):
            if method.requests.get("bags", True) is None:
                method.add_request(param="bags", alias=True)
        return request

    def _by_code(self, facts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Add the number of each row's bag."""
        return {**super()._by_code(facts), "bag": self._table.code}

    def _hold_out(self, rows: Rows, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Hold whole bags out."""
        parts: dict[str, np.ndarray] = {}
        code, n_bags = self._table.code, len(self._table.ids)
        for name in self._parts():
            left = np.unique(code[rows.train])
            size = max(1, round(self.validation_fraction * n_bags))
            if size > len(left) - 2:
                raise ValueError(f"{name} needs bags to hold out, and two to learn from; there are only {len(left)}")
            out = np.isin(code, rng.permutation(left)[:size])
            parts[name] = np.flatnonzero(out)
            rows.train = rows.train[~out[rows.train]]
        return parts

    def _settle(self, rows: Rows, terms: Mapping[str, Choice], *, resume: bool) -> None:
        """Give the bags that are trained on numbers without gaps."""
        super()._settle(rows, terms, resume=resume)
        self._trained = np.unique(self._table.code[rows.drawn])
        number = np.full(len(self._table.ids), -1)
        number[self._trained] = np.arange(len(self._trained))
        rows.facts["bag"] = number[self._table.code]

    def _scorer(self, given: tuple[Any, Any], part: np.ndarray) -> Any:
        values = bag_targets(self._table.values[self._table.code[part]], self._table.code[part])
        everything = np.empty(len(self._table.code), dtype=values.dtype)
        everything[part] = values
        return super()._scorer((given[0], everything), part)

    def _sampler(self, wish: str, rows: Rows) -> Choice:
        chosen = choose(
            "sampler", Sampler("whole_bags", max_bag_rows=self.max_bag_rows) if self.sampler is None else self.sampler
        )
        if chosen.component.role != "bag":
            raise TaskError(
                f"{chosen.component.title} draws rows, but {type(self).__name__} trains on whole bags; take "
                "'whole_bags', or a sampler whose first argument is bag"
            )
        if self.sampler is not None and self.max_bag_rows is not None:
            raise TaskError("max_bag_rows belongs to the default sampler; give it to yours: sampler__max_bag_rows")
        return chosen

    def _row_mixup(self) -> Choice | None:
        return None

    def _bag_mixup(self) -> Choice | None:
        if self.mixup is None:
            return None
        chosen = choose("mixup", self.mixup)
        if chosen.component.role != "bag":
            raise TaskError(
                f"{chosen.component.title} mixes {chosen.component.role}; {type(self).__name__} takes mixups of bags, "
                "such as 'mixbag'"
            )
        return chosen

    def _facts_of_batches(self) -> set[str]:
        return {*BAG_FACTS} | (set() if self.mixup is None else {"bag_parts"})

    def _bag_weights(self, rows: Rows) -> np.ndarray:
        """Return the weights of the bags that are trained on, with mean one."""
        drawn = rows.drawn
        weight = np.ones(len(drawn)) if rows.weights is None else rows.weights[drawn]
        code = rows.facts["bag"][drawn]
        size = np.bincount(code, weights=weight)
        found = size if self.bag_weight == "size" else np.ones(len(size))
        if "noise_scale" in rows.facts:
            noise = mean_by_bag(rows.facts["noise_scale"][drawn].astype(float), code, len(size), None)
            if (noise < 0).any():
                raise ValueError(f"noise_scale must not be negative, got {noise.min():g}")
            found = found * self._trust(noise, np.bincount(code))
        if not found.any():
            raise ValueError("noise_scale leaves no bag any weight")
        return found / found.mean()

    def _trust(self, noise: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Return by how much a bag counts less for the noise of what is known of it, in (0, 1]."""
        raise NotImplementedError

    def _batches(self, data: Rows, *args: Any, **kwargs: Any) -> BagBatches:
        mixup = self._bag_mixup()
        dtype, device = kwargs["dtype"], kwargs["device"]
        assert data.y is not None
        first = np.unique(data.facts["bag"][data.drawn], return_index=True)[1]
        return BagBatches(
            *args,
            bag_values=self._tensor(data.y[data.drawn][first], dtype, device),
            bag_weights=torch.as_tensor(self._bag_weights(data), dtype=dtype, device=device),
            bag_mixup=None if mixup is None else mixup.build(),
            **kwargs,
        )

    def _fed_components(self) -> list[Component]:
        mixup = self._bag_mixup()
        return [] if mixup is None else [mixup.component]

    def _facts_of_bags(self, rows: Rows, dtype: torch.dtype) -> dict[str, Any]:
        """Return the fit facts of the bags that are trained on."""
        assert rows.y is not None
        code = rows.facts["bag"][rows.drawn]
        first = np.unique(code, return_index=True)[1]
        return {
            "bag_proportions": torch.as_tensor(rows.y[rows.drawn][first], dtype=dtype),
            "bag_sizes": torch.as_tensor(np.bincount(code), dtype=dtype),
        }

    # -- prediction ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _mean(values: np.ndarray, bags: Any, sample_weight: Any) -> np.ndarray:
        """Return the mean of predictions over each bag, sorted by id."""
        ids = check_bags(bags)
        if ids.shape != (len(values),):
            raise DataError(f"bags must have shape ({len(values)},), one id for each row, got {ids.shape}")
        known, code = np.unique(ids, return_inverse=True)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, values, dtype=np.float64)
        return mean_by_bag(values, code, len(known), weight)

"""Batches of whole bags: what is known of each, and a mixup that merges them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sklearnloss.training.batches import Batch, Batches

__all__ = ["BagBatches"]


class BagBatches(Batches):
    """Batches in which ``y`` is what is known of each bag, (b, k), with the facts of bags.

    Parameters
    ----------
    *args
        Of `Batches`; among ``rows`` is ``bag``, the number of each row's bag among all bags.
    bag_values : Tensor of shape (B, k)
        What is known of each bag.
    bag_weights : Tensor of shape (B,)
        Weights of the bags.
    bag_mixup : callable or None
        ``mixup(bag, y, *, rng) -> (index, bag, y, bag_parts)``, with the rows of the batch that it takes.
    **kwargs
        Of `Batches`.
    """

    def __init__(
        self,
        *args: Any,
        bag_values: Tensor,
        bag_weights: Tensor,
        bag_mixup: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.bag_values, self.bag_weights, self.bag_mixup = bag_values, bag_weights, bag_mixup

    def _batch(self, index: Tensor, X: Tensor) -> Batch:
        batch = super()._batch(index, X)
        own, bag = torch.unique(batch["bag"], return_inverse=True)
        batch |= {"bag": bag, "n_bags": len(own), "bag_index": own}
        batch |= {"bag_weight": self.bag_weights[own], "y": self.bag_values[own]}
        return batch if self.bag_mixup is None else self._merged(batch)

    def _merged(self, batch: Batch) -> Batch:
        """Return the batch with bags that a mixup made of those in it; each has number and weight of its place."""
        assert self.bag_mixup is not None
        rows, bag, y, parts = self.bag_mixup(batch["bag"], batch["y"], rng=self.torch_rng)
        taken = {name: batch[name].index_select(0, rows) for name in (*self.rows, "X", "index") if name != "bag"}
        return batch | taken | {"bag": bag, "y": y, "bag_parts": parts}

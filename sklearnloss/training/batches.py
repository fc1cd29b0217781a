"""The batch stage: rows of a resident tensor or of a source, sampler, views, mixup."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearnloss.exceptions import TrainingError
from sklearnloss.training.backbone import as_tensor
from sklearnloss.training.sources import Source

__all__ = ["Batch", "Batches"]

Batch = dict[str, Any]


class Batches:
    """The training rows; each iteration is one epoch of batches, dictionaries of facts.

    Parameters
    ----------
    X : Tensor or Source
        A tensor is resident on the device; of a source only the rows of a batch are moved there.
    y : Tensor or None
        Encoded targets; None stands for the row numbers.
    rows : mapping of str to Tensor
        Further facts with one row per sample, ``sample_weight`` among them.
    sampler : callable
        ``sampler(y, *, batch_size, rng)`` -> iterator of index arrays.
    sampler_on : str, default="y"
        What the sampler's first argument is: ``y``, ``X``, ``index``, ``embeddings`` or one of
        ``rows``.
    batch_size : int
        Upper limit of a batch.
    seed : int
        Of both generators.
    sampler_facts : tuple of str, default=()
        Further ones that the sampler names.
    sampler_refresh : int, default=1
        Every how many epochs the embeddings are made anew for a sampler of ``embeddings``.
    searcher : object or None
        A miner that searches all rows: ``due(epoch)``, ``refresh(embeddings, y)``, ``companions(index, y, *, rng)``.
    drawn : array of int or None
        Rows to draw from; None is all. Rows of weight zero are left out here: a value, however wild, that is never
        computed can spoil no gradient.
    epoch : int, default=0
        Epochs finished before the first of these.
    mixup : callable or None
        ``mixup(X, y, *, rng) -> (X, y_a, y_b, lam)``.
    mixup_facts : tuple of str, default=()
        Further facts of the batch that the mixup names.
    views : sequence of callables
        None, or two: ``view(X, *, rng) -> X``.
    dtype : torch.dtype
        Of batches that come from a source.
    device : str
        Where batches go.
    """

    def __init__(
        self,
        X: Any,
        y: Tensor | None,
        *,
        rows: Mapping[str, Tensor],
        sampler: Callable[..., Iterable[np.ndarray]],
        batch_size: int,
        seed: int,
        sampler_on: str = "y",
        sampler_facts: tuple[str, ...] = (),
        sampler_refresh: int = 1,
        searcher: Any = None,
        drawn: np.ndarray | None = None,
        epoch: int = 0,
        mixup: Callable[..., Any] | None = None,
        mixup_facts: tuple[str, ...] = (),
        views: tuple[Callable[..., Tensor], ...] = (),
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        self.X: Any = X
        self.rows = dict(rows)
        self.y = torch.arange(X.shape[0], device=device) if y is None else y
        self.sampler, self.batch_size = sampler, batch_size
        self.epoch, self.seed = epoch, seed
        self.mixup, self.mixup_facts, self.views = mixup, mixup_facts, views
        self.dtype, self.device = dtype, device
        self.rng = np.random.default_rng(seed)
        self.torch_rng = torch.Generator(device=device).manual_seed(seed)
        self.drawn = drawn
        self.sampler_refresh, self.searcher = sampler_refresh, searcher
        self.sampler_looks = sampler_on == "embeddings"
        self.embeddings: Tensor | None = None  # (N, d), of the rows that are drawn from
        self.sampler_data = None if self.sampler_looks else self._for_sampler(sampler_on)
        self.sampler_facts = {name: self._for_sampler(name) for name in sampler_facts if name != "epoch"}
        self.sampler_counts = "epoch" in sampler_facts
        self.last_rows: list[Tensor] = []

    def _for_sampler(self, name: str) -> Any:
        """Return a fact of the rows that are drawn from, on the host."""
        if name == "buffer_size":
            return self.X.buffer_size
        known = {**self.rows, "y": self.y, "X": self.X, "index": torch.arange(len(self))}
        values = self.X.block if name == "block" else known[name]
        values = values.whole if isinstance(values, Source) else values
        values = values.cpu().numpy() if isinstance(values, Tensor) else values
        return values if self.drawn is None else values[self.drawn]

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def look_around(self, embed: Callable[[Any], Tensor]) -> None:
        """Before an epoch, give samplers and miners that look at all embeddings those of now, if it is time."""
        due = self.sampler_looks and (self.embeddings is None or self.epoch % self.sampler_refresh == 0)
        searching = self.searcher is not None and self.searcher.due(self.epoch)
        if not due and not searching:
            return
        now = embed(self.X)
        now = now if self.drawn is None else now[torch.as_tensor(self.drawn)]
        if due:
            self.embeddings = now
        if searching:
            y = self.y.cpu() if self.drawn is None else self.y.cpu()[torch.as_tensor(self.drawn)]
            self.searcher.refresh(now, y)

    def __iter__(self) -> Iterator[Batch]:
        self.last_rows = []
        facts = self.sampler_facts | ({"epoch": self.epoch} if self.sampler_counts else {})
        data = self.embeddings.numpy() if self.sampler_looks and self.embeddings is not None else self.sampler_data
        batches = self.sampler(data, batch_size=self.batch_size, rng=self.rng, **facts)
        self.epoch += 1
        numbers = (rows if self.drawn is None else self.drawn[rows] for rows in batches if len(rows))
        for index, X in self._resident(numbers) if isinstance(self.X, Tensor) else self._streamed(numbers):
            self.last_rows.append(index)
            yield self._batch(index, X)
        if not self.last_rows:
            raise TrainingError("the sampler gave no batch")

    def _resident(self, numbers: Iterable[Any]) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in numbers:
            index = torch.as_tensor(rows, dtype=torch.int64, device=self.device)
            yield index, self.X.index_select(0, index)

    def _streamed(self, numbers: Iterable[Any]) -> Iterator[tuple[Tensor, Tensor]]:
        for rows, X in self.X.stream(map(np.asarray, numbers), seed=self.seed + self.epoch):
            index = torch.as_tensor(rows, dtype=torch.int64, device=self.device)
            yield index, as_tensor(X, self.dtype, self.device)

    def batch(self, index: Tensor) -> Batch:
        """Return the batch of these rows, with views and mixup applied."""
        if isinstance(self.X, Tensor):
            return self._batch(index, self.X.index_select(0, index))
        return self._batch(index, as_tensor(self.X[index.cpu().numpy()], self.dtype, self.device))

    def _batch(self, index: Tensor, X: Tensor) -> Batch:
        batch: Batch = {name: values.index_select(0, index) for name, values in self.rows.items()}
        batch["X"], batch["y"] = X, self.y.index_select(0, index)
        batch["index"], batch["rng"] = index, self.torch_rng
        if self.searcher is not None:
            batch |= self._companions(index, batch["y"])
        if self.views:
            batch = self._two_views(batch)
        if self.mixup is not None:
            named = {name: batch[name] for name in self.mixup_facts}
            X, y_a, y_b, lam = self.mixup(batch["X"], batch["y"], rng=self.torch_rng, **named)
            batch |= {"X": X, "y": y_a, "y_b": y_b, "lam": lam}
        return batch

    def _companions(self, index: Tensor, y: Tensor) -> Batch:
        """Return the rows that a miner found for each row of the batch, (n, q, ...), if it has looked already."""
        places = index.cpu()
        if self.drawn is not None:
            places = torch.searchsorted(torch.as_tensor(self.drawn), places)
        found = self.searcher.companions(places, y.cpu(), rng=self.torch_rng)
        if found is None:
            return {}
        rows = found if self.drawn is None else torch.as_tensor(self.drawn)[found]
        if isinstance(self.X, Tensor):
            X = self.X.index_select(0, rows.flatten().to(self.device))
        else:
            X = as_tensor(self.X[rows.flatten().numpy()], self.dtype, self.device)
        return {"companions": X.reshape(*rows.shape, *X.shape[1:])}

    def _two_views(self, batch: Batch) -> Batch:
        """Return twice as many rows: the first view of each, then the second; one module call serves both."""
        first, second = (view(batch["X"], rng=self.torch_rng) for view in self.views)
        doubled = {name: torch.cat([v, v]) if isinstance(v, Tensor) else v for name, v in batch.items()}
        return doubled | {"X": torch.cat([first, second])}

"""What finds the pairs of a batch: a miner, a memory of earlier batches, and a mixup of embeddings.

Together they make the facts ``pairs``, ``mixed``, ``triplets`` and ``distance`` of a batch from its embeddings.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sklearnloss.exceptions import TaskError, TrainingError
from sklearnloss.functional.pairs import Block, Extra, Kept, Mined, Mixed, Rule, per_anchor
from sklearnloss.spec import Choice

__all__ = ["Memory", "Mining", "listed_triplets", "not_taken"]

Facts = dict[str, Any]


class Memory(nn.Module):
    """The embeddings of the last rows that were trained on, as further columns of the batches to come.

    Parameters
    ----------
    size : int
        How many rows it holds; the oldest make room.
    width : int
        Length of an embedding.

    References
    ----------
    .. [1] Wang, Zhang, Huang, Scott. "Cross-batch memory for embedding learning". CVPR 2020.
    """

    embeddings: Tensor
    y: Tensor
    index: Tensor
    written: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("embeddings", torch.zeros(size, width))
        self.register_buffer("y", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("index", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    def columns(self) -> Extra | None:
        """Return what it holds, or None at the start."""
        filled = min(int(self.written), self.size)
        if not filled:
            return None
        # copies: the batch is written into the memory before its gradient is taken
        return Extra(self.embeddings[:filled].clone(), self.y[:filled].clone(), self.index[:filled].clone())

    @torch.no_grad()
    def write(self, embeddings: Tensor, y: Tensor, index: Tensor) -> None:
        """Put the last rows of a batch in the place of the oldest."""
        kept = slice(max(0, len(y) - self.size), None)
        places = (self.written + torch.arange(len(y), device=y.device))[kept] % self.size
        self.embeddings[places] = embeddings[kept].to(self.embeddings.dtype)
        self.y[places], self.index[places] = y[kept], index[kept]
        self.written += len(y)


class Mining(nn.Module):
    """Makes the facts about pairs from the embeddings of a batch.

    Parameters
    ----------
    miner, mixup, distance : Choice or None
        A miner, a mixup of embeddings, a distance.
    memory : int
        Rows of earlier batches to compare with.
    width : int
        Length of an embedding.
    """

    def __init__(
        self, *, miner: Choice | None, mixup: Choice | None, distance: Choice | None, memory: int, width: int
    ) -> None:
        super().__init__()
        self.built_from = repr([None if c is None else c.source for c in (miner, mixup, distance)] + [memory])
        self.titles = {kind: c.component.title for kind, c in (("miner", miner), ("mixup", mixup)) if c is not None}
        self.miner, self.mixup = (None if c is None else c.build() for c in (miner, mixup))
        self.distance = None if distance is None else distance.build()
        self.memory = Memory(memory, width) if memory else None
        self.held: Extra | None = None  # of the memory, before the batch that was trained on last was written
        self.unit = "pair" if miner is None else miner.component.unit or "pair"
        self.by_block = miner is not None and miner.component.role == "block"
        # a miner that is a class searches all rows, and has given its companions before the network was called
        self.searches = miner is not None and miner.component.is_class
        self.named = {
            kind: tuple(n for n in (*c.component.needs, *c.component.wishes) if n != "y")
            for kind, c in (("miner", miner), ("mixup", mixup))
            if c is not None
        }
        self.takes: Collection[str] = ()  # what the terms of the loss name

    @property
    def names(self) -> frozenset[str]:
        """Batch facts that it takes."""
        return frozenset({"features", "y", "index"}.union(*self.named.values()))

    @property
    def gives(self) -> frozenset[str]:
        """Facts that it may make."""
        pairs = self.miner is not None or self.mixup is not None or self.memory is not None
        made = {
            "pairs": pairs,
            "triplets": True,
            "mixed": self.mixup is not None,
            "distance": self.distance is not None,
        }
        return frozenset(name for name, there in made.items() if there)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "held": None}

    def take_state(self, other: "Mining | None") -> None:
        """Go on with the memory of an earlier fit, if everything is the same."""
        # row numbers were those of that fit, and these rows may be others: a miner that searches does so anew
        if other is not None and other.built_from == self.built_from:
            self.memory = other.memory
            if self.memory is not None:
                self.memory.index.fill_(-1)

    def forward(self, embeddings: Tensor, facts: Facts) -> Facts:
        """Return ``pairs`` and what else the loss may take."""
        y, index = facts["y"], facts["index"]
        made: Facts = {**dict.fromkeys(self.gives - {"triplets"}), "distance": self.distance}
        extra: list[Extra] = []
        select, unit = self._mine(embeddings, y, facts, extra)
        if extra:  # listed triplets are of the rows of the batch
            self._check_taken("miner", "pairs")
        if self.mixup is not None:
            mixed = self.mixup(embeddings, y, **self._facts("mixup", facts))
            if isinstance(mixed, Mixed):
                self._check_taken("mixup", "mixed")
                made["mixed"] = mixed
            else:
                self._check_taken("mixup", "pairs")
                extra.append(mixed)
        if self.memory is not None:
            if self.training:  # an optimizer that looks at a batch again sees what it saw at first
                self.held = self.memory.columns()
                self.memory.write(embeddings.detach(), y, index)
            extra += [] if self.held is None else [self.held]
        if select is not None:
            self._check_taken("miner", "pairs", "triplets")
        if select is not None or extra:
            made["pairs"] = Mined(select=select, unit=unit, extra=tuple(extra), index=index)
        if "triplets" in self.takes:
            made["triplets"] = listed_triplets(embeddings, y, Mined(select=select, unit=unit))
        return made

    def _mine(
        self, embeddings: Tensor, y: Tensor, facts: Facts, extra: list[Extra]
    ) -> tuple[Callable[[Block], Kept] | None, Any]:
        """Return how a block's pairs are chosen, and of what; what the miner adds goes into ``extra``."""
        if self.searches:
            companions = facts.get("companions")
            extra += [] if companions is None else [Extra(companions)]
            return None, "pair"
        if self.miner is None:
            return None, "pair"
        named = self._facts("miner", facts)
        if self.by_block and "rng" in named:
            # a block may be computed once more for its gradient, and must then keep the same pairs
            seed = int(torch.randint(2**62, (), generator=named.pop("rng"), device=embeddings.device))
            return partial(_drawn_of_block, partial(self.miner, **named), seed), self.unit
        if self.by_block:
            return partial(_kept_of_block, partial(self.miner, **named)), self.unit
        found = self.miner(embeddings, y, **named)
        if isinstance(found, Extra):
            extra.append(found)
            return None, "pair"
        return self._select(found, y)

    def _select(self, found: Any, y: Tensor) -> tuple[Callable[[Block], Kept], Any]:
        n = len(y)
        if not isinstance(found, Tensor):
            raise TrainingError(f"{self.titles['miner']} returned {type(found).__name__}; {_FORMS}")
        if found.dtype == torch.bool and found.shape == (n, n):
            return partial(_kept_of_mask, found), "pair"
        if found.ndim == 2 and found.shape[1] == 2:
            mask = torch.zeros(n, n, dtype=torch.bool, device=found.device)
            mask[found[:, 0], found[:, 1]] = True
            return partial(_kept_of_mask, mask), "pair"
        if found.ndim == 2 and found.shape[1] == 3:
            self._check_triplets(found, y)
            return partial(_kept_of_triplets, found), "triplet"
        raise TrainingError(
            f"{self.titles['miner']} returned a tensor of shape {tuple(found.shape)} for {n} rows; {_FORMS}"
        )

    def _check_triplets(self, triplets: Tensor, y: Tensor) -> None:
        """Refuse rows that are not in the batch, a positive of another class, a negative of the same."""
        inside = ((triplets >= 0) & (triplets < len(y))).all(1)
        anchor, positive, negative = y[torch.where(inside[:, None], triplets, 0)].unbind(1)
        right = inside & (anchor == positive) & (anchor != negative) & (triplets[:, 0] != triplets[:, 1])
        if not bool(right.all()):
            raise TrainingError(
                f"{self.titles['miner']} gave the triplet {triplets[~right][0].tolist()} for {len(y)} rows; a triplet "
                "is the numbers, in the batch, of an anchor, another row of its class, and a row of another class"
            )

    def _facts(self, kind: str, facts: Facts) -> Facts:
        return {name: facts.get(name) for name in self.named[kind]}

    def _check_taken(self, kind: str, *names: str) -> None:
        if not set(names) & set(self.takes):
            raise TaskError(not_taken(self.titles.get(kind, "the memory"), names[0]))


def not_taken(who: str, made: str) -> str:
    """Say that no loss takes what a miner, a mixup or the memory makes."""
    return (
        f"{who} makes {made!r}, which no term of the loss takes; choose a loss over pairs, such as "
        "'multi_similarity', 'triplet' or 'contrastive'"
    )


_FORMS = "a miner of embeddings gives a mask (n, n), pairs (p, 2), triplets (t, 3) or Extra"


def _kept_of_block(miner: Callable[[Block], Any], block: Block) -> Kept:
    found = miner(block)
    if isinstance(found, Kept):
        return found
    if isinstance(found, Tensor) and found.ndim == 2:
        return Kept(pairs=found)
    return Kept(triplets=found)


def _drawn_of_block(miner: Callable[..., Any], seed: int, block: Block) -> Kept:
    """Return what a miner that draws keeps of a block: the same each time."""
    rng = torch.Generator(device=block.values.device).manual_seed(seed + block.rows.start)
    return _kept_of_block(partial(miner, rng=rng), block)


def _kept_of_mask(mask: Tensor, block: Block) -> Kept:
    """Return rows of a mask (n, n); columns from elsewhere are all kept."""
    return Kept(pairs=pad(mask[block.rows], (0, block.values.shape[1] - mask.shape[1]), value=True))


def _kept_of_triplets(triplets: Tensor, block: Block) -> Kept:
    """Return the triplets of some anchors as a mask (b, m, n)."""
    first = block.rows.start
    here = triplets[(triplets[:, 0] >= first) & (triplets[:, 0] < block.rows.stop)]
    anchor = here[:, 0] - first
    slot = (block.partners[anchor] == here[:, 1, None]).int().argmax(1)
    shape = (*block.partners.shape, block.values.shape[1])
    kept = torch.zeros(shape, dtype=torch.bool, device=triplets.device)
    kept[anchor, slot, here[:, 2]] = True
    return Kept(triplets=kept)


def listed_triplets(embeddings: Tensor, y: Tensor, pairs: Mined | None = None) -> Tensor:
    """Return the triplets (t, 3) of anchor, positive and negative that a miner keeps, or all there are."""
    found: list[Tensor] = []

    def value(block: Block) -> tuple[Tensor, Tensor]:
        anchor, slot, negative = block.triples().nonzero(as_tuple=True)
        found.append(torch.stack([anchor + block.rows.start, block.partners[anchor, slot], negative], dim=1))
        nothing = torch.zeros_like(block.values[:, 0])
        return nothing, nothing

    with torch.no_grad():
        per_anchor(Rule(value, triplets=True, arrays=True), embeddings, y, compare="euclidean", pairs=pairs)
    return torch.cat(found)

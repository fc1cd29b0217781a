"""Checks of what feeds losses over pairs: miners, distances, mixups of embeddings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearnloss.component import Component
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Block, Extra, Kept, Mined, Mixed, Window
from sklearnloss.registry import lookup
from sklearnloss.spec import Choice
from sklearnloss.testing.cases import SEED
from sklearnloss.testing.common import alternatives

__all__ = ["CHECKS"]

Batch = tuple[Tensor, Tensor]
LATE = 100  # an epoch after any warm-up


def _embeddings(n: int = 60, width: int = 5) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)


def _batches() -> dict[str, Batch]:
    """Return batches on which miners break."""
    some, labels = _embeddings(12), torch.arange(12) % 3
    return {
        "ordinary": (some, labels),
        "classes of different size": (some, torch.tensor([0] * 6 + [1] * 3 + [2] * 2 + [3])),
        "all zero": (torch.zeros_like(some), labels),
        "duplicates": (some[:1].repeat(12, 1), labels),
        "far apart": (200 * some.sign(), labels),
        "one row": (some[:1], labels[:1]),
        "one class": (some, torch.zeros_like(labels)),
        "labels all distinct": (some, torch.arange(12)),
    }


def _many(component: Component) -> Batch:
    """Return a batch of more rows than a miner ranks by default; one with state ranks those of all batches."""
    n = 300 if component.is_class else 60
    return _embeddings(n), torch.arange(n) % 3


def _facts(component: Component, seed: int, epoch: int) -> dict[str, Any]:
    known = {"rng": torch.Generator().manual_seed(seed), "epoch": epoch}
    return {name: known[name] for name in (*component.needs, *component.wishes) if name in known}


def _random(component: Component) -> bool:
    return "rng" in (*component.needs, *component.wishes)


@contextmanager
def _global_generators_untouched() -> Iterator[None]:
    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone()  # type: ignore[index]
    yield
    assert np.array_equal(np.random.get_state()[1], before[0]), "numpy's global generator was used"  # type: ignore[index]
    assert torch.equal(torch.get_rng_state(), before[1]), "torch's global generator was used"


def _same(one: Any, other: Any) -> bool:
    """Whether two results are the same, tensor by tensor."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, Extra):
        return _same(one.embeddings, other.embeddings)
    if isinstance(one, Mixed):
        return all(_same(getattr(one, n), getattr(other, n)) for n in ("embeddings", "lam", "exists", "weight"))
    if isinstance(one, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


# -- miners -----------------------------------------------------------------------------------------------------------


def _mine(
    component: Component, batch: Batch, *, seed: int = SEED, epoch: int = LATE, params: Any = None, **how: Any
) -> Any:
    function = Choice(component, params or {}).build()
    facts = _facts(component, seed, epoch)
    if component.role == "block":
        embeddings, y = batch
        return mine(function, embeddings, y, unit=component.unit, **how, **facts)
    return function(*batch, **facts)


def _companions(component: Component, batch: Batch, *, seed: int = SEED, params: Any = None) -> list[Any]:
    """Return what a miner with state does in a few epochs: whether it is due, and what it gives."""
    embeddings, y = batch
    miner: Any = Choice(component, params or {}).build()
    seen: list[Any] = []
    for epoch in range(6):
        seen.append(miner.due(epoch))
        if seen[-1]:
            miner.refresh(embeddings.roll(epoch, dims=1), y)
        seen.append(miner.companions(torch.arange(len(y)), y, rng=torch.Generator().manual_seed(seed + epoch)))
    return seen


def _results(component: Component, batch: Batch, **given: Any) -> Any:
    if component.is_class:
        return _companions(component, batch, **given)
    return [_mine(component, batch, epoch=epoch, **given) for epoch in (0, 10, LATE)]


def _further(batch: Batch) -> dict[str, tuple[Extra, ...]]:
    embeddings, y = batch
    own = embeddings.roll(1, 0)[:, None].repeat(1, 2, 1)
    return {
        "no more columns": (),
        "more columns": (Extra(-embeddings, y),),
        "further negatives of each anchor": (Extra(own),),
    }


def miner_gives_what_its_unit_promises(component: Component) -> None:
    """A mask, a window, or a list of what exists, on every batch, whatever the loss compares by."""
    for name, batch in _batches().items():
        if component.is_class:
            _check_companions(name, batch[1], _companions(component, batch))
        elif component.role == "block":
            for compare in ("euclidean", "cosine", torch.cdist):
                for more, extra in _further(batch).items():
                    _check_mask(
                        f"{name}, {more}",
                        component.unit,
                        batch,
                        extra,
                        _mine(component, batch, compare=compare, extra=extra),
                    )
        else:
            _check_list(name, batch, _mine(component, batch))


def _check_mask(name: str, unit: str, batch: Batch, extra: tuple[Extra, ...], kept: Any) -> None:
    if unit == "window":
        assert isinstance(kept, Window) and kept.low < kept.high, f"{name}: {kept!r} is no Window (low, high)"
        return
    assert isinstance(kept, Tensor) and kept.dtype == torch.bool, (
        f"{name}: returned {kept!r:.60}, not a mask of booleans"
    )
    y = batch[1]
    labels = torch.cat([y, *(e.y for e in extra if e.y is not None)])
    further = sum(e.embeddings.shape[1] for e in extra if e.y is None)
    shape = [len(y), len(labels) + further]
    if unit == "triplet":
        shape.insert(1, int(labels.bincount().max()))
    assert list(kept.shape) == shape, f"{name}: shape {tuple(kept.shape)}, not {tuple(shape)}"


def _check_list(name: str, batch: Batch, found: Any) -> None:
    y = batch[1]
    n = len(y)
    if isinstance(found, Extra):
        return _check_extra(name, batch, found)
    assert isinstance(found, Tensor), f"{name}: returned {type(found).__name__}"
    if found.dtype == torch.bool:
        assert found.shape == (n, n), f"{name}: a mask of shape {tuple(found.shape)} for {n} rows"
        return None
    assert found.dtype == torch.int64 and found.ndim == 2 and found.shape[1] in (2, 3), (
        f"{name}: {found.dtype} of shape {tuple(found.shape)} is neither pairs (p, 2) nor triplets (t, 3)"
    )
    assert bool(((found >= 0) & (found < n)).all()), f"{name}: a row number does not exist"
    assert bool((found[:, 0] != found[:, 1]).all()), f"{name}: a row is paired with itself"
    if found.shape[1] == 3:
        anchor, positive, negative = y[found].T
        assert bool((anchor == positive).all()), f"{name}: a positive is of another class"
        assert bool((anchor != negative).all()), f"{name}: a negative is of the same class"
    return None


def _check_extra(name: str, batch: Batch, extra: Extra) -> None:
    embeddings, y = batch
    shape, d = extra.embeddings.shape, embeddings.shape[1]
    if extra.y is None:
        assert len(shape) == 3 and shape[0] == len(y) and shape[2] == d, f"{name}: {tuple(shape)}, not (n, s, {d})"
    else:
        assert shape == (len(extra.y), d), f"{name}: columns {tuple(shape)} for {len(extra.y)} labels"
        assert extra.y.dtype == torch.int64, f"{name}: labels are {extra.y.dtype}"
    assert extra.embeddings.dtype == embeddings.dtype, f"{name}: {embeddings.dtype} in, {extra.embeddings.dtype} out"
    assert bool(extra.embeddings.isfinite().all()), f"{name}: a vector is not finite"


def _check_companions(name: str, y: Tensor, seen: list[Any]) -> None:
    assert any(due for due in seen[::2]), f"{name}: never due"
    first = seen[::2].index(True)
    assert all(found is None for found in seen[1 : 2 * first : 2]), f"{name}: rows were given before the first refresh"
    for found in seen[2 * first + 1 :: 2]:
        if found is None:
            assert name in ("one class", "one row"), f"{name}: nothing was given after a refresh"
            continue
        assert found.dtype == torch.int64 and found.ndim == 2 and len(found) == len(y), (
            f"{name}: {found.dtype} of shape {tuple(found.shape)}, not row numbers (n, n_neg)"
        )
        assert bool(((found >= 0) & (found < len(y))).all()), f"{name}: a row number does not exist"
        assert bool((y[found] != y[:, None]).all()), f"{name}: a negative is of the anchor's class"


def miner_leaves_a_loss_finite(component: Component) -> None:
    """With the miner, losses over pairs and over triplets are finite, and so are their gradients, on every batch."""
    for name, (embeddings, y) in _batches().items():
        for key in ("contrastive", "triplet", "multi_similarity"):
            leaf = embeddings.clone().requires_grad_()
            values = lookup("loss", key).obj(leaf, y, pairs=_mined(component, (leaf, y)))
            total = (values[0] if isinstance(values, tuple) else values).sum()
            (gradient,) = torch.autograd.grad(total, leaf)
            assert bool(total.isfinite()), f"{name}: {key} is {float(total.detach())}"
            assert bool(gradient.isfinite().all()), f"{name}: the gradient of {key} is not finite"


def _mined(component: Component, batch: Batch) -> Mined:
    facts = _facts(component, SEED, LATE)
    function = Choice(component).build()
    if component.role == "block":

        def select(block: Block) -> Kept:
            kept = function(block, **facts)
            return Kept(pairs=kept) if component.unit == "pair" else Kept(triplets=kept)

        return Mined(select, component.unit)  # type: ignore[arg-type]
    found = function(*batch, **facts)
    if isinstance(found, Extra):
        return Mined(extra=(found,))
    n = len(batch[1])
    mask = _dense(found, n) if found.dtype != torch.bool else found
    pairs = mask.any(1) | mask.any(2) if mask.ndim == 3 else mask
    return Mined(lambda block: Kept(pairs=pairs[block.rows]))


def _dense(found: Tensor, n: int) -> Tensor:
    """Return a list of pairs or triplets as a mask."""
    mask = torch.zeros((n,) * found.shape[1], dtype=torch.bool)
    mask[tuple(found.T)] = True
    return mask


def miner_follows_its_generator(component: Component) -> None:
    """The same seed gives the same result, another seed another; global generators are left alone."""
    batch = _many(component)
    with _global_generators_untouched():
        first, again, other = (_results(component, batch, seed=seed) for seed in (1, 1, 2))
    assert _same(first, again), "the same seed gave another result"
    if _random(component) or component.is_class:
        assert not _same(first, other), "another seed gave the same result"


def miner_leaves_its_inputs(component: Component) -> None:
    """Embeddings, labels and the values of a block are as they were."""
    batch = _embeddings(), torch.arange(60) % 3
    before = tuple(t.clone() for t in batch)
    _results(component, batch)
    assert _same(list(batch), list(before)), "the embeddings or labels were changed in place"
    if component.role != "block":
        return
    function, facts = Choice(component).build(), _facts(component, SEED, LATE)

    def unchanged(block: Block) -> Any:
        seen = {name: getattr(block, name) for name in ("values", "cosines", "distances", "partners", "is_positive")}
        copies = {name: value.clone() for name, value in seen.items()}
        kept = function(block, **facts)
        changed = [name for name, value in seen.items() if not torch.equal(value, copies[name])]
        assert not changed, f"{', '.join(changed)} of the block changed in place"
        return kept

    mine(unchanged, *batch, unit=component.unit)


def miner_parameters_matter(component: Component) -> None:
    """Each hyperparameter changes what is kept or added."""
    batch = _many(component)
    _check_parameters(component, lambda params: _results(component, batch, params=params))


def miner_ignores_the_names_of_classes(component: Component) -> None:
    """Other numbers for the same classes change nothing."""
    embeddings, y = _embeddings(), torch.arange(60) % 3
    plain, renamed = (_results(component, (embeddings, labels)) for labels in (y, torch.tensor([7, 2, 5])[y]))
    assert _same(plain, renamed), "other numbers for the same classes gave another result"


def miner_permutes_with_rows(component: Component) -> None:
    """In another order of the rows the same pairs or triplets are kept."""
    embeddings, y = _embeddings(20), torch.arange(20) % 3
    order = torch.randperm(20, generator=torch.Generator().manual_seed(SEED))
    plain, moved = (_as_mask(component, (e, labels)) for e, labels in ((embeddings, y), (embeddings[order], y[order])))
    for axis in range(plain.ndim):
        plain = plain.index_select(axis, order)
    assert torch.equal(plain, moved), "the rows were permuted, what is kept was not"


def _as_mask(component: Component, batch: Batch) -> Tensor:
    """Return what is kept as a mask of rows: (n, n) of pairs, (n, n, n) of triplets."""
    found, n = _mine(component, batch), len(batch[1])
    if component.unit == "triplet" and component.role == "block":
        partners = mine(lambda block: block.partners, *batch, unit="triplet")  # (n, m)
        places = found.nonzero()  # (t, 3) of anchor, slot, negative
        return _dense(torch.stack([places[:, 0], partners[places[:, 0], places[:, 1]], places[:, 2]], dim=1), n)
    return found if found.dtype == torch.bool else _dense(found, n)


def _check_parameters(component: Component, results: Callable[[dict[str, Any]], Any]) -> None:
    plain = results({})
    for parameter in component.parameters:
        assert any(_changes(plain, results, {parameter.name: v}) for v in alternatives(parameter)), (
            f"{parameter.name} changes nothing"
        )


def _changes(plain: Any, results: Callable[[dict[str, Any]], Any], params: dict[str, Any]) -> bool:
    try:
        return not _same(plain, results(params))
    except ParameterError:  # not with the defaults of the others
        return False


# -- distances --------------------------------------------------------------------------------------------------------


def _vectors() -> Batch:
    rows = _embeddings(12)
    return rows[:5], rows[5:]


def distance_gives_a_table(component: Component) -> None:
    """A table (n, m) in the precision given, finite with its gradient for zero vectors, duplicates and wild ones."""
    distance = Choice(component).build()
    degenerate = torch.tensor(
        [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [200.0, -200.0], [-200.0, 200.0], [1.0, 0.9]]
    )
    for a, b in (_vectors(), (degenerate, degenerate[1:])):
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            left, right = (x.to(dtype).clone().requires_grad_() for x in (a, b))
            before = left.detach().clone(), right.detach().clone()
            table = distance(left, right)
            assert table.shape == (len(a), len(b)), f"shape {tuple(table.shape)} for {len(a)} and {len(b)} vectors"
            assert table.dtype == dtype, f"{dtype} in, {table.dtype} out"
            gradients = torch.autograd.grad(table.sum(), (left, right))
            assert bool(table.isfinite().all()), f"{dtype}: the value is not finite"
            assert all(bool(g.isfinite().all()) for g in gradients), f"{dtype}: the gradient is not finite"
            assert _same([left.detach(), right.detach()], list(before)), "the vectors were changed in place"


def distance_has_the_gradient_of_its_value(component: Component) -> None:
    """In float64 the gradient equals that of finite differences."""
    distance = Choice(component).build()
    inputs = tuple(x.clone().requires_grad_() for x in _vectors())
    same = torch.autograd.gradcheck(distance, inputs, raise_exception=False)
    assert same, "the gradient with respect to the vectors is not that of the value"


def distance_looks_at_two_vectors_only(component: Component) -> None:
    """An entry does not change when other vectors are left out or come in another order."""
    distance = Choice(component).build()
    a, b = _vectors()
    rows, columns = torch.tensor([3, 0]), torch.tensor([6, 1, 2])
    alone = distance(a[rows], b[columns])
    torch.testing.assert_close(
        alone, distance(a, b)[rows][:, columns], msg=lambda m: f"other vectors change a distance: {m}"
    )


def distance_is_smallest_to_itself(component: Component) -> None:
    """Of vectors of one length none is nearer than the vector itself."""
    unit = torch.nn.functional.normalize(_embeddings(), dim=1)
    table = Choice(component).build()(unit, unit)
    nearer = table < table.diagonal()[:, None] - 1e-9
    assert not bool(nearer.any()), "a vector is nearer to another of the same length than to itself; smaller is nearer"


def distance_parameters_matter(component: Component) -> None:
    """Each hyperparameter changes a distance."""
    _check_parameters(component, lambda params: Choice(component, params).build()(*_vectors()))


# -- mixups of embeddings ---------------------------------------------------------------------------------------------


def _mix(component: Component, batch: Batch, seed: int = SEED, params: Any = None) -> Any:
    return Choice(component, params or {}).build()(*batch, **_facts(component, seed, LATE))


def embedding_mixup_gives_vectors(component: Component) -> None:
    """An Extra or a Mixed of the shapes they promise, finite with its gradient on every batch; inputs as they were."""
    for name, (embeddings, y) in _batches().items():
        leaf, before = embeddings.clone().requires_grad_(), y.clone()
        made = _mix(component, (leaf, y))
        assert _same([leaf.detach(), y], [embeddings, before]), f"{name}: an input was changed in place"
        if isinstance(made, Mixed):
            _check_mixed(name, (embeddings, y), made)
        else:
            assert isinstance(made, Extra), f"{name}: returned {type(made).__name__}, not Extra or Mixed"
            _check_extra(name, (embeddings, y), made)
        if made.embeddings.requires_grad:
            (gradient,) = torch.autograd.grad(made.embeddings.sum(), leaf)
            assert bool(gradient.isfinite().all()), f"{name}: the gradient is not finite"


def _check_mixed(name: str, batch: Batch, made: Mixed) -> None:
    embeddings, y = batch
    shape = made.embeddings.shape
    assert len(shape) == 3 and shape[0] == len(y) and shape[2] == embeddings.shape[1], (
        f"{name}: vectors {tuple(shape)} for embeddings {tuple(embeddings.shape)}"
    )
    assert made.lam.shape == made.exists.shape == shape[:2], f"{name}: lam {tuple(made.lam.shape)} for {tuple(shape)}"
    assert made.exists.dtype == torch.bool, f"{name}: exists is {made.exists.dtype}"
    assert made.embeddings.dtype == embeddings.dtype, f"{name}: {embeddings.dtype} in, {made.embeddings.dtype} out"
    assert bool(((made.lam >= 0) & (made.lam <= 1)).all()), f"{name}: lam leaves [0, 1]"
    assert bool(made.embeddings.isfinite().all()), f"{name}: a vector is not finite"
    lonely = (y[:, None] == y).sum(1) == 1
    assert not bool(made.exists[lonely].any()), f"{name}: an anchor without a positive has mixed vectors"


def embedding_mixup_follows_its_generator(component: Component) -> None:
    """The same seed gives the same vectors, another seed others; global generators are left alone."""
    batch = _embeddings(), torch.arange(60) % 3
    with _global_generators_untouched():
        first, again, other = (_mix(component, batch, seed) for seed in (1, 1, 2))
    assert _same(first, again), "the same seed gave other vectors"
    assert not _same(first, other), "another seed gave the same vectors"


def embedding_mixup_parameters_matter(component: Component) -> None:
    """Each hyperparameter changes what is made, or its classes."""
    batch = _embeddings(), torch.arange(60) % 3

    def made(params: dict[str, Any]) -> Any:
        found = _mix(component, batch, params=params)
        return [found, getattr(found, "y", None)]

    _check_parameters(component, made)


def embedding_mixup_ignores_the_names_of_classes(component: Component) -> None:
    """Other numbers for the same classes change no vector."""
    embeddings, y = _embeddings(), torch.arange(60) % 3
    plain, renamed = (_mix(component, (embeddings, labels)) for labels in (y, torch.tensor([7, 2, 5])[y]))
    assert _same(plain, renamed), "other numbers for the same classes gave other vectors"


def _miner(component: Component) -> bool:
    return component.kind == "miner"


def _stateless(component: Component) -> bool:
    return component.kind == "miner" and not component.is_class


def _determined(component: Component) -> bool:
    return _stateless(component) and not _random(component) and component.unit != "window"


def _distance(component: Component) -> bool:
    return component.kind == "distance"


def _embedding_mixup(component: Component) -> bool:
    return component.kind == "mixup" and component.role == "embeddings"


CHECKS: dict[str, tuple[Callable[[Component], None], Callable[[Component], bool]]] = {
    "miner_gives_what_its_unit_promises": (miner_gives_what_its_unit_promises, _miner),
    "miner_leaves_a_loss_finite": (miner_leaves_a_loss_finite, _stateless),
    "miner_follows_its_generator": (miner_follows_its_generator, _miner),
    "miner_leaves_its_inputs": (miner_leaves_its_inputs, _miner),
    "miner_parameters_matter": (miner_parameters_matter, _miner),
    "miner_ignores_the_names_of_classes": (miner_ignores_the_names_of_classes, _miner),
    "miner_permutes_with_rows": (miner_permutes_with_rows, _determined),
    "distance_gives_a_table": (distance_gives_a_table, _distance),
    "distance_has_the_gradient_of_its_value": (distance_has_the_gradient_of_its_value, _distance),
    "distance_looks_at_two_vectors_only": (distance_looks_at_two_vectors_only, _distance),
    "distance_is_smallest_to_itself": (distance_is_smallest_to_itself, _distance),
    "distance_parameters_matter": (distance_parameters_matter, _distance),
    "embedding_mixup_gives_vectors": (embedding_mixup_gives_vectors, _embedding_mixup),
    "embedding_mixup_follows_its_generator": (embedding_mixup_follows_its_generator, _embedding_mixup),
    "embedding_mixup_parameters_matter": (embedding_mixup_parameters_matter, _embedding_mixup),
    "embedding_mixup_ignores_the_names_of_classes": (embedding_mixup_ignores_the_names_of_classes, _embedding_mixup),
}

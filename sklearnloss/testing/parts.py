"""Checks of the other kinds: reductions, samplers, mixups, views, optimizers."""

import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.component import Component
from sklearnloss.exceptions import TaskError
from sklearnloss.facts import FACTS
from sklearnloss.functional.bags import BagParts, bag_mean
from sklearnloss.spec import Choice
from sklearnloss.testing.cases import SEED
from sklearnloss.testing.common import alternatives
from sklearnloss.training.backbone import Network
from sklearnloss.training.seeds import seeded
from sklearnloss.typing import Targets

__all__ = ["CHECKS"]


# -- reductions -------------------------------------------------------------------------------------------------------


def _reduce(component: Component, values: Tensor, weights: Tensor) -> Tensor:
    named = {n: torch.arange(len(values)) % 2 for n in component.needs}
    return Choice(component).build()(values, weights, **named)


def reduction_gives_a_scalar(component: Component) -> None:
    """The result is one number of the same precision, with a finite gradient, whatever the order of the values."""
    values = torch.tensor([0.3, 2.0, -1.0, 4.0, 0.0, 0.7], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, 0.5, 1.5, 1.0, 1.0, 1.0], dtype=torch.float64)
    result = _reduce(component, values, weights)
    assert (result.shape, result.dtype) == ((), torch.float64), f"got {result}"
    (gradient,) = torch.autograd.grad(result, values)
    assert bool(torch.isfinite(gradient).all()), f"the gradient is {gradient}"
    if not component.needs:
        torch.testing.assert_close(_reduce(component, values.flip(0), weights.flip(0)), result)


def reduction_ignores_weight_zero(component: Component) -> None:
    """A value of weight zero counts for nothing, even if it is infinite."""
    values = torch.tensor([1.0, 2.0, torch.inf, 3.0], dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0], dtype=torch.float64)
    result = _reduce(component, values, weights)
    calm = _reduce(component, torch.where(weights == 0, 0.0, values), weights)
    assert bool(torch.isfinite(result)), f"an infinite value of weight zero gave {float(result)}"
    torch.testing.assert_close(result, calm)


# -- samplers ---------------------------------------------------------------------------------------------------------


def _draw(
    component: Component, y: np.ndarray, batch_size: int, seed: int = SEED, *, given: Any = None, **params: Any
) -> list[np.ndarray]:
    known = {"y": y, "epoch": 0, "embeddings": _embedded(len(y)), "bag": np.arange(len(y)) // 3, **(given or {})}
    third = np.arange(len(y)) % 3
    asked = [n for n in (*component.needs, *component.wishes) if n in known or FACTS[n].scope == "row"]
    named: dict[str, Any] = {n: known.get(n, third) for n in asked}
    data = [known.get(n, third) for n in component.data]
    batches = Choice(component, params).build()(*data, batch_size=batch_size, rng=np.random.default_rng(seed), **named)
    return [np.asarray(rows) for rows in batches]


def _embedded(n: int) -> np.ndarray:
    """Return embeddings with duplicates and zero vectors among them."""
    embeddings = np.random.default_rng(SEED).normal(size=(n, 4))
    embeddings[1::10] = embeddings[::10]
    embeddings[2::10] = 0
    return embeddings


def sampler_gives_rows_that_exist(component: Component) -> None:
    """Batches hold row numbers that exist, not many more than asked, about an epoch's worth."""
    y = (np.arange(50) % 3 == 0).astype(np.int64)
    for size in (1, 7, 16, 64):
        batches = _draw(component, y, size)
        assert batches, f"batch_size={size}: no batch"
        for rows in batches:
            assert rows.dtype.kind in "iu", f"row numbers are {rows.dtype}"
            assert rows.min() >= 0 and rows.max() < len(y), "a row number does not exist"
            assert len(rows) <= max(size, 16), f"batch_size={size}, but a batch has {len(rows)} rows"
    assert len(np.unique(np.concatenate(batches))) >= len(y) // 4, "most rows never come up"


def sampler_follows_its_generator(component: Component) -> None:
    """The same seed gives the same batches, another seed others; global generators are left alone."""
    y = (np.arange(60) % 2).astype(np.int64)
    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone()  # type: ignore[index]
    first, again, other = (_draw(component, y, 8, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)), "the same seed gave other batches"
    same = len(first) == len(other) and all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert not same, "another seed gave the same batches"
    assert np.array_equal(np.random.get_state()[1], before[0]), "numpy's global generator was used"  # type: ignore[index]
    assert torch.equal(torch.get_rng_state(), before[1]), "torch's global generator was used"


def sampler_parameters_matter(component: Component) -> None:
    """Each hyperparameter changes the batches; ``refresh`` says to the trainer when to compute embeddings anew."""
    on_embeddings = component.role == "embeddings"
    n = 300 if on_embeddings else 60
    for parameter in component.parameters:
        if on_embeddings and parameter.name == "refresh":
            continue
        values = list(alternatives(parameter))
        changed = [
            _other_batches(component, (np.arange(n) % k).astype(np.int64), parameter.name, values) for k in (2, 6)
        ]
        assert any(changed), f"{parameter.name} changes nothing"


def _other_batches(component: Component, y: np.ndarray, name: str, values: list[Any]) -> bool:
    """Whether one of the values gives other batches."""
    try:
        plain = _draw(component, y, 32)
    except TaskError:  # not for so many classes
        return False
    others = [_draw(component, y, 32, **{name: value}) for value in values]
    return any(
        len(o) != len(plain) or any(not np.array_equal(a, b) for a, b in zip(o, plain, strict=True)) for o in others
    )


def sampler_leaves_its_inputs(component: Component) -> None:
    """What a sampler looks at is as it was when the epoch is over."""
    y = (np.arange(60) % 2).astype(np.int64)
    embeddings, third = _embedded(60), np.arange(60) % 3
    given = {n: {"y": y, "embeddings": embeddings}.get(n, third) for n in component.data}
    before = {n: values.copy() for n, values in given.items()}
    _draw(component, y, 16, given=given)
    for name, values in given.items():
        assert np.array_equal(values, before[name]), f"{name} was changed in place"


# -- mixups of rows ---------------------------------------------------------------------------------------------------


def _rows() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(10, 4, generator=generator, dtype=torch.float64), torch.arange(10) % 3


def _rows_to_mix(component: Component) -> tuple[Tensor, Tensor]:
    """Return rows with classes, or with numbers if the mixup says that its targets are some."""
    X, y = _rows()
    numbers = typing.get_type_hints(component.obj, include_extras=True).get("y") == Targets
    return X, y.to(X.dtype)[:, None] if numbers else y


def _mix(component: Component, seed: int = SEED) -> Any:
    X, y = _rows_to_mix(component)
    named: dict[str, Any] = {n: torch.arange(10) % 2 for n in component.needs if FACTS[n].scope == "row"}
    with seeded(SEED):
        if "module" in component.facts:
            named["module"] = Network(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), nn.Linear(5, 3)).to(X.dtype)
        mix = Choice(component).build({"embedding_dim": 5, "n_classes": 3})
        mix = mix.to(X.dtype) if isinstance(mix, nn.Module) else mix
    return mix(X, y, rng=torch.Generator().manual_seed(seed), **named)


def mixup_blends_rows(component: Component) -> None:
    """The result is (X, y_a, y_b, lam) of the shapes given, lam in [0, 1]; global generators are untouched.

    One that acts within the network returns what the head sees instead of X, and perhaps terms (n,) as well.
    """
    state = torch.get_rng_state().clone()
    mixed, y_a, y_b, lam, *terms = _mix(component)
    X, y = _rows_to_mix(component)
    within = "module" in component.facts
    shape = (len(X), 5) if within else X.shape
    assert mixed.shape == shape and mixed.dtype == X.dtype, f"X became {tuple(mixed.shape)}, {mixed.dtype}"
    assert not terms or (within and terms[0].shape == (len(X),)), (
        "only a mixup within the network adds terms, one a row"
    )
    assert y_a.shape == y.shape and y_b.shape == y.shape, "the labels changed shape"
    lam = torch.as_tensor(lam)
    assert lam.shape in ((), (10,)), f"lam has shape {tuple(lam.shape)}"
    assert bool(((lam >= 0) & (lam <= 1)).all()), f"lam leaves [0, 1]: {lam}"
    assert torch.equal(torch.get_rng_state(), state), "torch's global generator was used"
    torch.testing.assert_close(_mix(component)[0], mixed, msg=lambda m: f"the same seed gave another mix: {m}")
    assert not torch.equal(_mix(component, SEED + 1)[0], mixed), "another seed gave the same mix"


# -- mixups of bags ---------------------------------------------------------------------------------------------------

BAG_SIZES = (1, 2, 3, 6, 8, 8)
DRAWS = 500  # by which the expected proportions are told
FAR_OFF = 5.0  # standard errors


def _bags(sizes: tuple[int, ...] = BAG_SIZES, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Return bags in mixed order with their proportions of 3 classes, and the class of each row, one column each."""
    generator = torch.Generator().manual_seed(SEED)
    bag = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    labels = torch.eye(3, dtype=dtype)[torch.arange(len(bag)) % 7 % 3]
    order = torch.randperm(len(bag), generator=generator)
    bag, labels = bag[order], labels[order]
    return bag, bag_mean(labels, bag, len(sizes)), labels


def _merge(component: Component, bag: Tensor, y: Tensor, seed: int = SEED, **params: Any) -> Any:
    return Choice(component, params).build()(bag, y, rng=torch.Generator().manual_seed(seed))


def bag_mixup_gives_bags(component: Component) -> None:
    """The result is (index, bag, y, bag_parts): rows that exist, as many bags as before, and parts that add up."""
    for sizes in ((4,), (1, 1), BAG_SIZES):
        for dtype in (torch.float32, torch.float64):
            bag, y, _ = _bags(sizes, dtype)
            before = bag.clone(), y.clone()
            for seed in range(20):
                _check_merged(bag, y, *_merge(component, bag, y, seed))
            assert torch.equal(bag, before[0]) and torch.equal(y, before[1]), "an input was changed in place"


def _check_merged(bag: Tensor, y: Tensor, index: Tensor, new_bag: Tensor, new_y: Tensor, parts: Any) -> None:
    n_bags = len(y)
    assert index.dtype == new_bag.dtype == torch.int64, f"row numbers are {index.dtype}, bags {new_bag.dtype}"
    assert index.ndim == 1 and index.shape == new_bag.shape, f"{tuple(new_bag.shape)} bags of {tuple(index.shape)} rows"
    assert bool(((index >= 0) & (index < len(bag))).all()), "a row does not exist"
    assert bool(((new_bag >= 0) & (new_bag < n_bags)).all()), "a bag does not exist"
    size = torch.bincount(new_bag, minlength=n_bags)
    assert bool((size > 0).all()), "a bag has no rows"
    assert len(torch.unique(torch.stack([index, new_bag]), dim=1)[0]) == len(index), "a row is twice in a bag"
    assert new_y.shape == y.shape and new_y.dtype == y.dtype, f"y became {tuple(new_y.shape)}, {new_y.dtype}"
    torch.testing.assert_close(new_y.sum(1), torch.ones_like(new_y[:, 0]), msg=lambda m: f"the sums of y: {m}")
    assert isinstance(parts, BagParts), f"bag_parts is {type(parts).__name__}, not BagParts"
    for name, value in parts._asdict().items():
        wanted = y.shape if name in ("first", "second") else y.shape[:1]
        assert value.shape == wanted and value.dtype == y.dtype, f"{name} is {tuple(value.shape)}, {value.dtype}"
    torch.testing.assert_close(parts.n_first + parts.n_second, size.to(y.dtype), msg=lambda m: f"rows of parts: {m}")
    own = torch.bincount(new_bag[bag[index] == new_bag], minlength=n_bags).to(y.dtype)
    assert torch.equal(own, parts.n_first), "n_first is not the number of rows of the bag of that number"
    torch.testing.assert_close(parts.first, y, msg=lambda m: f"first is not the bag of that number: {m}")
    assert bool((parts.n_second <= parts.size_second).all()), "more rows were taken than the second bag has"
    assert torch.equal(parts.size_first, torch.bincount(bag, minlength=n_bags).to(y.dtype)), "size_first is wrong"
    whole = parts.n_second == 0
    assert torch.equal(parts.n_first[whole], parts.size_first[whole]), "a bag was not merged, but lacks rows"


def bag_mixup_expects_the_right_proportions(component: Component) -> None:
    """Over draws the true proportions of merged bags are in the mean those that are given."""
    bag, y, labels = _bags()
    off = []
    for seed in range(DRAWS):
        index, new_bag, new_y, _ = _merge(component, bag, y, seed)
        off.append(bag_mean(labels[index], new_bag, len(y)) - new_y)
    apart = torch.stack(off)  # (draws, b, k)
    error = (apart.std(0) / DRAWS**0.5).clamp(min=1e-9)
    worst = float((apart.mean(0) / error).abs().max())
    assert worst < FAR_OFF, f"true proportions are {worst:.1f} standard errors off those given"


def bag_mixup_follows_its_generator(component: Component) -> None:
    """The same seed gives the same bags, another seed others; global generators are left alone."""
    bag, y, _ = _bags()
    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone()  # type: ignore[index]
    first, again, other = (_merge(component, bag, y, seed) for seed in (1, 1, 2))
    assert _same_bags(first, again), "the same seed gave other bags"
    assert not _same_bags(first, other), "another seed gave the same bags"
    assert np.array_equal(np.random.get_state()[1], before[0]), "numpy's global generator was used"  # type: ignore[index]
    assert torch.equal(torch.get_rng_state(), before[1]), "torch's global generator was used"


def bag_mixup_parameters_matter(component: Component) -> None:
    """Each hyperparameter changes the bags."""
    bag, y, _ = _bags()
    plain = _merge(component, bag, y)
    for parameter in component.parameters:
        others = [_merge(component, bag, y, **{parameter.name: v}) for v in alternatives(parameter)]
        assert any(not _same_bags(plain, o) for o in others), f"{parameter.name} changes nothing"


def _same_bags(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


# -- views ------------------------------------------------------------------------------------------------------------


def view_is_a_random_version(component: Component) -> None:
    """A view keeps shape and precision, follows its generator, and leaves its input alone."""
    X, _ = _rows()
    before, state = X.clone(), torch.get_rng_state().clone()
    views = [Choice(component).build()(X, rng=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert views[0].shape == X.shape and views[0].dtype == X.dtype, "shape or precision changed"
    torch.testing.assert_close(views[0], views[1], msg=lambda m: f"the same seed gave another view: {m}")
    assert not torch.equal(views[0], views[2]), "another seed gave the same view"
    assert torch.equal(X, before), "X was changed in place"
    assert torch.equal(torch.get_rng_state(), state), "torch's global generator was used"


def view_parameters_matter(component: Component) -> None:
    """Each hyperparameter that may take another value here changes the view."""
    X, _ = _rows()

    def seen(params: dict[str, Any]) -> Tensor:
        return Choice(component, params).build()(X, rng=torch.Generator().manual_seed(SEED))

    for parameter in component.parameters:
        others = [seen({parameter.name: v}) for v in alternatives(parameter)]
        assert others or parameter.default is None, f"{parameter.name}: no other value to try; give it a range"
        assert not others or any(not torch.equal(o, seen({})) for o in others), f"{parameter.name} changes nothing"


# -- optimizers -------------------------------------------------------------------------------------------------------


def optimizer_descends(component: Component) -> None:
    """It lowers a quadratic, calling its closure at least once a step, and keeps to the groups' rates."""
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    moved, still = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizer = component.obj([{"params": [moved], "lr": 0.05}, {"params": [still], "lr": 0.0}])

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = moved.square().sum() + still.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    for _ in range(50):
        optimizer.step(closure)
    assert float(moved.detach().square().sum()) < float(start.square().sum()), "the quadratic did not fall"
    torch.testing.assert_close(still.detach(), start, msg=lambda m: f"a group with rate zero moved: {m}")


def _of(kind: str, first: str = "") -> Callable[[Component], bool]:
    return lambda component: component.kind == kind and first in ("", component.role)


CHECKS: dict[str, tuple[Callable[[Component], None], Callable[[Component], bool]]] = {
    "reduction_gives_a_scalar": (reduction_gives_a_scalar, _of("reduction")),
    "reduction_ignores_weight_zero": (reduction_ignores_weight_zero, _of("reduction")),
    "sampler_gives_rows_that_exist": (sampler_gives_rows_that_exist, _of("sampler")),
    "sampler_follows_its_generator": (sampler_follows_its_generator, _of("sampler")),
    "sampler_parameters_matter": (sampler_parameters_matter, _of("sampler")),
    "sampler_leaves_its_inputs": (sampler_leaves_its_inputs, _of("sampler")),
    "mixup_blends_rows": (mixup_blends_rows, _of("mixup", "X")),
    "bag_mixup_gives_bags": (bag_mixup_gives_bags, _of("mixup", "bag")),
    "bag_mixup_expects_the_right_proportions": (bag_mixup_expects_the_right_proportions, _of("mixup", "bag")),
    "bag_mixup_follows_its_generator": (bag_mixup_follows_its_generator, _of("mixup", "bag")),
    "bag_mixup_parameters_matter": (bag_mixup_parameters_matter, _of("mixup", "bag")),
    "view_is_a_random_version": (view_is_a_random_version, _of("view")),
    "view_parameters_matter": (view_parameters_matter, _of("view")),
    "optimizer_descends": (optimizer_descends, _of("optimizer")),
}

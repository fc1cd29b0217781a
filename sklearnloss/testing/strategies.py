"""Checks of query strategies: on pools with ties, certain rows and duplicates, and few rows with labels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.naive_bayes import GaussianNB

from sklearnloss.component import Component
from sklearnloss.spec import Choice
from sklearnloss.testing.cases import SEED
from sklearnloss.testing.common import alternatives

__all__ = ["CHECKS"]

Array = np.ndarray
POOL, LABELED, WANTED, CLASSES, WIDTH = 60, 12, 7, 4, 3
NUMBERS = frozenset({"prediction", "committee_prediction"})


class _Facts(dict[str, Any]):
    """Everything that a strategy may name; ``moved`` has the same pool in another order."""

    ROWS = ("X_pool", "embeddings", "proba", "label_proba", "prediction", "gradient_norms")

    def moved(self, order: Array) -> "_Facts":
        facts = _Facts(self)
        facts |= {name: self[name][order] for name in self.ROWS}
        facts |= {name: self[name][:, order] for name in ("committee", "committee_prediction")}
        return facts

    def copied(self) -> "_Facts":
        return _Facts({k: v.copy() if isinstance(v, np.ndarray) else v for k, v in self.items()})


def _facts(
    component: Component, seed: int = SEED, *, pool: int = POOL, n: int = WANTED, labeled: int = LABELED
) -> _Facts:
    """Return a pool among whose rows are certain ones, even ones and duplicates."""
    rng = np.random.default_rng(SEED)
    centers = rng.normal(size=(CLASSES, WIDTH)) * 3
    X = centers[np.arange(pool) % CLASSES] + rng.normal(size=(pool, WIDTH))
    X_labeled = centers[np.arange(labeled) % CLASSES] + rng.normal(size=(labeled, WIDTH))
    proba = rng.dirichlet(np.ones(CLASSES), size=pool)
    committee = rng.dirichlet(np.ones(CLASSES), size=(5, pool))
    prediction = rng.normal(size=pool)
    label_proba = np.random.default_rng(SEED).random((pool, CLASSES))
    if pool > 3:
        proba[0], proba[1] = np.eye(CLASSES)[0], 1 / CLASSES
        label_proba[0], label_proba[1] = np.eye(CLASSES)[0], 0.5
        committee[:, 0], committee[:, 1] = proba[0], proba[1]
        for values in (X, proba, label_proba, prediction):
            values[3] = values[2]
        committee[:, 3] = committee[:, 2]
    y: Array = np.arange(labeled) % CLASSES
    on_numbers = component.role in NUMBERS
    model = GaussianNB().fit(X_labeled, y) if labeled >= CLASSES else None
    return _Facts(
        X_pool=X,
        X_labeled=X_labeled,
        y_labeled=rng.normal(size=labeled) if on_numbers else y,
        embeddings=X,
        embeddings_labeled=X_labeled,
        proba=proba,
        label_proba=label_proba,
        prediction=prediction,
        committee=committee,
        committee_prediction=rng.normal(size=(5, pool)),
        gradient_norms=rng.random((pool, CLASSES)),
        losses_labeled=rng.exponential(size=labeled),
        estimator=model,
        n=n,
        rng=np.random.default_rng(seed),
    )


def _ask(component: Component, facts: _Facts, params: Any = None) -> Any:
    data = [facts[name] for name in component.data]
    model = facts["estimator"]
    bare = [p for p in component.parameters if not list(alternatives(p))]
    objects = {p.name: model for p in bare if model is not None and p.constraint.allows(model)}
    return Choice(component, objects | (params or {})).build()(
        *data, **{n: facts[n] for n in (*component.needs, *component.wishes)}
    )


def _rows(answer: Any) -> Array:
    return np.asarray(answer[0] if isinstance(answer, tuple) else answer)


def strategy_gives_what_its_unit_promises(component: Component) -> None:
    """A finite number for each row, or so many different rows as are wanted; from one row to the whole pool."""
    for pool, n in ((POOL, WANTED), (POOL, 1), (POOL, POOL), (1, 1), (5, 3)):
        answer = _ask(component, _facts(component, pool=pool, n=n))
        if component.unit == "batch":
            rows = _rows(answer)
            assert rows.shape == (n,) and rows.dtype.kind in "iu", f"pool {pool}, n={n}: gave {rows!r}"
            assert len(np.unique(rows)) == n, f"pool {pool}, n={n}: a row comes twice: {rows}"
            assert rows.min() >= 0 and rows.max() < pool, f"pool {pool}, n={n}: a row number does not exist"
            if isinstance(answer, tuple):
                weights = np.asarray(answer[1])
                assert weights.shape == (n,) and bool((weights > 0).all()), f"weights {weights}"
        else:
            utilities = np.asarray(answer)
            assert utilities.shape == (pool,), f"pool {pool}: shape {utilities.shape}"
            assert bool(np.isfinite(utilities).all()), f"pool {pool}: {utilities} is not finite"


def strategy_leaves_its_inputs(component: Component) -> None:
    """What it was given is as it was."""
    facts = _facts(component)
    before = facts.copied()
    _ask(component, facts)
    for name, value in before.items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, facts[name], equal_nan=True), f"{name} was changed in place"


def strategy_follows_its_generator(component: Component) -> None:
    """The same seed gives the same answer, and no global generator is used."""
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state().clone()  # type: ignore[index]
    first, again = (_ask(component, _facts(component, seed)) for seed in (1, 1))
    assert np.array_equal(_rows(first), _rows(again)), "the same seed gave another answer"
    assert np.array_equal(np.random.get_state()[1], numpy_state), "numpy's global generator was used"  # type: ignore[index]
    assert torch.equal(torch.get_rng_state(), torch_state), "torch's global generator was used"


def strategy_permutes_with_rows(component: Component) -> None:
    """In another order of the pool each row has the same utility, or the same rows are chosen."""
    facts = _facts(component)
    facts["X_pool"], facts["embeddings"] = (facts[k].copy() for k in ("X_pool", "embeddings"))
    for name in ("X_pool", "embeddings"):
        facts[name][3] += 1e-3  # of two equal rows either may be chosen
    order = np.random.default_rng(SEED + 1).permutation(POOL)
    plain, moved = _ask(component, facts), _ask(component, facts.moved(order))
    if component.unit == "batch":
        same = set(order[_rows(moved)]) == set(_rows(plain).tolist())
        assert same, "the rows came in another order, and others were chosen"
    else:
        np.testing.assert_allclose(np.asarray(moved), np.asarray(plain)[order], atol=1e-9, err_msg="rows were permuted")


def strategy_looks_at_single_rows(component: Component) -> None:
    """A row's utility does not change when others leave the pool, so that a pool may come in chunks."""
    facts = _facts(component)
    some = np.arange(10, 30)
    alone = np.asarray(_ask(component, facts.moved(some)))
    np.testing.assert_allclose(alone, np.asarray(_ask(component, facts))[some], atol=1e-9, err_msg="others matter")


def strategy_parameters_matter(component: Component) -> None:
    """Each hyperparameter changes what is asked."""
    plain = _ask(component, _facts(component))
    for parameter in component.parameters:
        values = list(alternatives(parameter))
        if not values:
            continue
        changed = (_ask(component, _facts(component), {parameter.name: value}) for value in values)
        assert any(_differs(plain, other) for other in changed), f"{parameter.name} changes nothing"


def _differs(one: Any, other: Any) -> bool:
    ones, others = (answer if isinstance(answer, tuple) else (answer,) for answer in (one, other))
    return len(ones) != len(others) or not all(map(np.array_equal, ones, others))


def strategy_begins_without_labels(component: Component) -> None:
    """One that looks at no model and no label begins where there is none."""
    answer = _ask(component, _facts(component, labeled=0))
    assert len(_rows(answer)) == (WANTED if component.unit == "batch" else POOL)


MODEL = frozenset(
    {
        "proba", "label_proba", "prediction", "committee", "committee_prediction", "gradient_norms", "losses_labeled",
        "estimator", "y_labeled",
    }
)  # fmt: skip


def _strategy(component: Component) -> bool:
    return component.kind == "strategy"


def _determined(component: Component) -> bool:
    return _strategy(component) and "rng" not in component.facts


def _by_row(component: Component) -> bool:
    return _determined(component) and component.unit == "row"


def _free(component: Component) -> bool:
    named = {component.role, *component.data, *component.needs}
    return _strategy(component) and not named & MODEL and not _needs_object(component)


def _needs_object(component: Component) -> bool:
    return any(p.default is None and not list(alternatives(p)) for p in component.parameters)


CHECKS: dict[str, tuple[Callable[[Component], None], Callable[[Component], bool]]] = {
    "strategy_gives_what_its_unit_promises": (strategy_gives_what_its_unit_promises, _strategy),
    "strategy_leaves_its_inputs": (strategy_leaves_its_inputs, _strategy),
    "strategy_follows_its_generator": (strategy_follows_its_generator, _strategy),
    "strategy_permutes_with_rows": (strategy_permutes_with_rows, _determined),
    "strategy_looks_at_single_rows": (strategy_looks_at_single_rows, _by_row),
    "strategy_parameters_matter": (strategy_parameters_matter, _strategy),
    "strategy_begins_without_labels": (strategy_begins_without_labels, _free),
}

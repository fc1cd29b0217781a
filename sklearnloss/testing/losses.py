"""Checks of losses: shape, numbers, gradients, weights, state, and that they teach something."""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import label_ranking_average_precision_score
from torch import Tensor, nn

from sklearnloss.component import Component, Parameter
from sklearnloss.facts import FACTS, ROLES
from sklearnloss.functional.distributions import Distribution
from sklearnloss.functional.links import LINKS
from sklearnloss.spec import Loss
from sklearnloss.testing.cases import (
    NUMBERS,
    SEED,
    SIGNED,
    Case,
    build,
    call,
    cases,
    ordinary,
    output_gradient,
    term,
    total,
)
from sklearnloss.testing.common import alternatives
from sklearnloss.testing.distributions import check_distribution
from sklearnloss.training.seeds import seeded

__all__ = ["CHECKS"]

SHAPES = {"row": (1, 2), "anchor": (1,), "pair": (2,), "triplet": (1,), "bag": (1,), "batch": (0,)}
OUTCOMES = 4000  # by which the expected loss of a distribution is told


def shape_is_that_of_the_unit(component: Component) -> None:
    """The result has the shape that the unit promises, and ``valid`` counts."""
    for case in cases(component):
        values = call(component, case)
        valid = None
        if isinstance(values, tuple):
            values, valid = values
        assert isinstance(values, Tensor), f"{case.name}: returned {type(values).__name__}, not a tensor"
        assert values.ndim in SHAPES[component.unit], (
            f"{case.name}: shape {tuple(values.shape)}, unit {component.unit!r}"
        )
        if component.unit in ("row", "anchor", "pair"):
            rows = len(case.output)
            assert len(values) == rows, f"{case.name}: {len(values)} values for {rows} rows"
        if component.unit == "row" and values.ndim == 2:
            square = values.shape[0] == values.shape[1] > 1 and values.shape != case.output.shape
            assert not square, f"{case.name}: a table of {tuple(values.shape)}; did (n,) meet (n, 1)?"
        if valid is not None:
            assert valid.shape == values.shape, f"{case.name}: valid has shape {tuple(valid.shape)}"
            assert bool((valid >= 0).all()), f"{case.name}: valid is negative"


def dtype_is_kept(component: Component) -> None:
    """float32 gives float32, float64 gives float64, and they agree."""
    results = {}
    for dtype in (torch.float32, torch.float64):
        values = call(component, ordinary(component).to(dtype))
        values = values[0] if isinstance(values, tuple) else values
        assert values.dtype == dtype, f"{dtype} in, {values.dtype} out"
        results[dtype] = values.double()
    if not _random(component):  # generators draw other numbers in another precision
        torch.testing.assert_close(results[torch.float32], results[torch.float64], atol=1e-4, rtol=1e-3)


def value_and_gradient_are_finite(component: Component) -> None:
    """On every case value and gradient are finite, in both precisions."""
    for dtype in (torch.float32, torch.float64):
        for case in cases(component, dtype):
            values, gradient = output_gradient(component, case)
            assert bool(torch.isfinite(total(values))), f"{case.name}, {dtype}: the value is not finite"
            assert bool(torch.isfinite(gradient).all()), f"{case.name}, {dtype}: the gradient is not finite"


def gradient_is_that_of_the_value(component: Component) -> None:
    """In float64 the gradient equals that of finite differences."""
    case = ordinary(component, n=6)

    def value(inputs: Tensor) -> Tensor:
        return total(call(component, case.with_inputs(inputs)))

    gradient = output_gradient(component, case)[1]
    flat = case.inputs.flatten()
    step = 1e-6
    with torch.no_grad():
        shifts = step * torch.eye(len(flat), dtype=flat.dtype)
        differences = [(value((flat + s).view_as(gradient)) - value((flat - s).view_as(gradient))) for s in shifts]
    wanted = (torch.stack(differences) / (2 * step)).view_as(gradient)
    worst = float((gradient - wanted).abs().max())
    assert torch.allclose(gradient, wanted, atol=1e-5, rtol=1e-3), (
        f"the gradient is not that of the value, it differs by up to {worst:.2g}; if that is meant, as with a detached "
        "weight, declare gradient='surrogate'"
    )


def gradient_reaches_the_output(component: Component) -> None:
    """The gradient is not identically zero: that of the output, or of the features, where the loss takes them."""
    largest = max(_largest_gradient(component, case) for case in cases(component))
    assert largest > 1e-12, "the gradient is zero on every case, up to rounding"


def _largest_gradient(component: Component, case: Case) -> float:
    """Return the largest slope towards what the network makes."""
    gradient = output_gradient(component, case)[1]
    if "features" not in case.facts:
        return float(gradient.abs().max())
    features = case.facts["features"].clone().requires_grad_()
    summed = total(call(component, replace(case, facts={**case.facts, "features": features})))
    others = torch.autograd.grad(summed, features, allow_unused=True)[0] if summed.requires_grad else None
    return max(float(g.abs().max()) for g in (gradient, others) if g is not None)


def order_of_rows_does_not_matter(component: Component) -> None:
    """Permuting the rows permutes the values, or leaves a batch's value as it is."""
    case = ordinary(component)
    order = torch.randperm(len(case.output), generator=torch.Generator().manual_seed(SEED))
    if component.sampler == "episodic":  # which tells support from query by the order of rows within each class
        order = _in_order_within_classes(order, case.y)
    plain, moved = (_values(call(component, c)) for c in (case, case.rows(order)))
    wanted = plain if component.unit in ("batch", "bag") else plain[order]
    if component.unit == "pair":
        wanted = wanted[:, order]
    torch.testing.assert_close(moved, wanted, msg=_after("the rows were permuted, the values not"))


def _in_order_within_classes(order: Tensor, y: Tensor) -> Tensor:
    """Return an order of the rows in which classes mix as in the one given, and rows of a class never overtake."""
    places, rows = y[order].argsort(stable=True), y.argsort(stable=True)  # both class by class
    return torch.empty_like(order).scatter(0, places, rows)


def rows_are_independent(component: Component) -> None:
    """The value of a row does not change when other rows are left out."""
    case = ordinary(component)
    kept = torch.arange(0, len(case.output), 2)
    values = _values(call(component, case))
    alone = _values(call(component, case.rows(kept)))
    torch.testing.assert_close(alone, values[kept], msg=_after("unit 'row', but rows are coupled"))


def weight_is_repetition(component: Component) -> None:
    """Weight two for a row equals the row twice."""
    case = ordinary(component, n=6)
    counts = torch.tensor([2, 1, 1, 2, 1, 1])
    repeated = case.rows(torch.repeat_interleave(torch.arange(6), counts))
    weights = counts.to(case.output.dtype)
    if component.unit in ("batch", "bag"):
        case = replace(case, facts={**case.facts, "sample_weight": weights / weights.mean()})
        repeated.facts["sample_weight"] = torch.ones(len(repeated.output), dtype=case.output.dtype)
        weighted, plain = call(component, case), call(component, repeated)
    else:
        weighted, plain = term(component, case, weights=weights / weights.mean()), term(component, repeated)
    torch.testing.assert_close(weighted, plain, msg=_after("a weight of two is not two rows"))


def weight_zero_silences_a_row(component: Component) -> None:
    """A row of weight zero counts for nothing, even if its value is infinite."""
    case = ordinary(component)
    wild = case.output.clone()
    wild[0] = math.inf
    weights = torch.ones(len(wild), dtype=wild.dtype)
    weights[0] = 0
    value = term(component, replace(case, output=wild), weights=weights)
    assert bool(torch.isfinite(value)), f"a row of weight zero made the loss {float(value)}"
    torch.testing.assert_close(value, term(component, case, weights=weights))


def inputs_are_untouched(component: Component) -> None:
    """No input is written to."""
    case = ordinary(component)
    before = {k: v.clone() for k, v in _tensors(case).items()}
    call(component, case)
    for name, value in _tensors(case).items():
        torch.testing.assert_close(value, before[name], msg=_after(f"{name} was changed in place"))


def nothing_valid_gives_zero(component: Component) -> None:
    """Where no unit exists the loss is zero, with a valid gradient of zero."""
    for case in cases(component):
        leaf = case.inputs.clone().requires_grad_()
        case = case.with_inputs(leaf)
        _, valid = call(component, case)
        if valid.sum() == 0:
            value = term(component, case)
            (gradient,) = torch.autograd.grad(value, leaf)
            assert float(value.detach()) == 0, f"{case.name}: nothing is valid, but the loss is {float(value)}"
            assert float(gradient.abs().max()) == 0, f"{case.name}: nothing is valid, but there is a gradient"


def every_parameter_matters(component: Component) -> None:
    """Each hyperparameter changes a value or a gradient somewhere, or the link or the width of the head."""
    elsewhere = _named_by(component.outputs) | _named_by(_link_function(component))
    for parameter in component.parameters:
        if parameter.name in elsewhere:
            continue
        values = list(alternatives(parameter))
        assert values or callable(parameter.default), f"{parameter.name}: no other value to try; give it a range"
        assert any(
            _differs(component, among, {**among, parameter.name: v})
            for among in _settings(component, parameter)
            for v in values
        ), f"{parameter.name} changes nothing at {values}"


def _settings(component: Component, parameter: Parameter) -> Iterator[dict[str, Any]]:
    """Yield the defaults, then each other choice of the other parameters: some matter under one of them only."""
    yield {}
    for other in component.parameters:
        if other.name != parameter.name:
            yield from ({other.name: choice} for choice in other.constraint.choices if choice != other.default)


def _differs(component: Component, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether several steps of training see a difference between two settings."""
    for case in cases(component):
        a, b = (_trace(component, case, params) for params in (one, other))
        if len(a) != len(b) or any(
            x.shape != y.shape or not torch.allclose(x, y, rtol=1e-9, atol=1e-12) for x, y in zip(a, b, strict=True)
        ):
            return True
    return False


def _trace(component: Component, case: Case, params: dict[str, Any]) -> list[Tensor]:
    """Return values, gradients and gradients of what the loss itself learns, at several epochs."""
    built = build(component, case, **params)
    learnt = _learnt(built)
    seen = []
    for number, epoch in enumerate((0, 1, 10, 30)):
        # every second batch is a part, so that what follows the batches moves
        halved = number % 2 and component.is_class and component.unit in ("row", "anchor")
        batch = case.rows(torch.arange((len(case.output) + 1) // 2)) if halved else case
        leaf = batch.inputs.clone().requires_grad_()
        facts = {**batch.facts, **{k: v for k, v in {"epoch": epoch, "step": epoch}.items() if k in batch.facts}}
        if "features" in facts:
            facts["features"] = facts["features"].clone().requires_grad_()
        leaves = [leaf, *([facts["features"]] if "features" in facts else []), *learnt]
        values = call(component, replace(batch, facts=facts).with_inputs(leaf), built=built)
        summed = total(values)
        seen.append(summed.detach())
        seen += [values[1].detach()] if isinstance(values, tuple) else []
        if summed.requires_grad:
            seen += torch.autograd.grad(summed, leaves, allow_unused=True)
    return [t if t is not None else torch.zeros(()) for t in seen]


def parameters_may_be_tensors(component: Component) -> None:
    """A number given as a 0-d tensor gives the same result, so that many candidates can train at once."""
    case = ordinary(component)
    for parameter in component.parameters:
        if isinstance(parameter.default, float):
            tensor = torch.tensor(parameter.default, dtype=case.output.dtype)
            other = _values(call(component, case, **{parameter.name: tensor}))
            torch.testing.assert_close(other, _values(call(component, case)), msg=_after(parameter.name))


def state_moves_in_training_only(component: Component) -> None:
    """State moves in training, not in evaluation, and a value per row only for the rows given."""
    case = ordinary(component, n=6)
    built = build(component, case)
    assert isinstance(built, nn.Module), "a loss that is a class must be an nn.Module"
    before = _state(built)
    built.eval()
    call(component, case, built=built)
    _same_state(before, _state(built), "state moved in evaluation")
    built.train()
    few = case if component.unit == "bag" else case.rows(torch.arange(3))
    call(component, few, built=built)
    for name, value in _state(built).items():
        if "index" in component.facts and value.shape[:1] == (case.fit.get("n_samples"),):
            rest = slice(3, None)
            torch.testing.assert_close(value[rest], before[name][rest], msg=_after(f"{name}, other rows"))


def function_keeps_no_state(component: Component) -> None:
    """Called twice with the same seed, a function gives the same."""
    case = ordinary(component)
    first, second = (_values(call(component, case)) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def link_gives_what_it_promises(component: Component) -> None:
    """The link resolves; probabilities lie in [0, 1], those of classes sum to one, distributions are some."""
    for case in cases(component):
        result = _linked(component, case)
        if isinstance(result, Distribution):
            check_distribution(result, case.y.double().numpy(), case.name, exact=case.name == "ordinary")
            continue
        assert bool(torch.isfinite(result).all()), f"{case.name}: the link is not finite"
        if component.role in NUMBERS:
            wanted = case.output.shape if component.unit == "bag" else case.y.shape
            assert result.shape == wanted, f"{case.name}: the link gives {tuple(result.shape)}, not a point each"
            continue
        if not component.gives_probabilities:
            continue
        assert bool(((result >= 0) & (result <= 1)).all()), f"{case.name}: the link leaves [0, 1]"
        if component.role in ("logits", "cosines"):
            torch.testing.assert_close(result.sum(1), torch.ones(len(result), dtype=result.dtype))


def _linked(component: Component, case: Case) -> Any:
    """Return what the link makes of the output, as an estimator predicts it."""
    link = component.prediction_link
    if isinstance(link, str) and link not in LINKS:
        with torch.no_grad():
            return getattr(build(component, case), link)(case.output)
    function = LINKS[link].function if isinstance(link, str) else link
    known = {p.name: p.default for p in component.parameters} | case.fit
    return function(case.output, **{name: known[name] for name in _named_by(function) if name in known})


def proper_loss_is_least_at_the_truth(component: Component) -> None:
    """The expected loss has no gradient where the linked prediction is the true distribution."""
    if component.role == "columns":
        _least_at_the_distribution(component)
        return
    if component.unit == "bag":
        _least_at_the_proportions(component)
        return
    generator = torch.Generator().manual_seed(SEED)
    facts: dict[str, Any] = {}
    fit: dict[str, Any] = {}
    if component.role in ("logits", "cosines", "hidden"):
        truth = torch.softmax(torch.randn(4, generator=generator, dtype=torch.float64), 0)
        scale = {p.name: p.default for p in component.parameters}.get("scale", 1.0)
        output, outcomes = _output_of(component, truth), torch.arange(4)
        output = output / scale if component.role == "cosines" else output  # the link multiplies by it
        rows = output.expand(4, 4)
        if component.role == "hidden":  # a head that passes on what it sees
            facts = {"head_weight": torch.eye(4, dtype=torch.float64), "head_bias": torch.zeros_like(truth)}
    elif component.role == "thresholds":  # not every distribution is one of its own
        case = ordinary(component, n=1)
        truth = _linked(component, case)[0].detach()
        outcomes, rows, facts, fit = torch.arange(len(truth)), case.output.expand(len(truth), -1), case.facts, case.fit
    else:
        share = torch.tensor(0.3, dtype=torch.float64)
        truth, output = torch.stack([1 - share, share]), torch.logit(share)
        outcomes, rows = torch.tensor([0.0, 1.0], dtype=torch.float64), output.expand(2)
        if component.role == "label_logits":
            rows, outcomes = rows[:, None], outcomes[:, None]
    leaf = rows.clone().requires_grad_()
    values = _values(call(component, Case("truth", leaf, outcomes, facts, fit)))
    (gradient,) = torch.autograd.grad((truth * values.reshape(len(truth))).sum(), leaf)
    near = 1e-9 if component.prediction_link in LINKS else 1e-6  # a search ends somewhere
    assert float(gradient.sum(0).abs().max()) < near, "the expected loss is not least at the true probabilities"


def _output_of(component: Component, truth: Tensor) -> Tensor:
    """Return scores whose link is the true distribution; for a link of the loss's own they have to be searched."""
    link = component.prediction_link
    if isinstance(link, str) and link in LINKS:
        return truth.log()
    scores = truth.log().requires_grad_()
    search = torch.optim.LBFGS(
        [scores], max_iter=500, tolerance_grad=1e-15, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def distance() -> Tensor:
        search.zero_grad()
        linked = _linked(component, Case("truth", scores[None], torch.arange(1)))[0]
        value = (truth * (truth / linked).log()).sum()
        value.backward()
        return value

    search.step(distance)  # type: ignore[no-untyped-call]
    linked = _linked(component, Case("truth", scores.detach()[None], torch.arange(1)))[0]
    torch.testing.assert_close(linked, truth, atol=1e-6, rtol=0, msg=_after("the link does not reach the truth"))
    return scores.detach()


def _least_at_the_proportions(component: Component) -> None:
    """See that rows which all predict the proportions of their bag are left where they are."""
    case = ordinary(component)
    case = case.with_inputs(case.y.log()[case.facts["bag"]])
    worst = float(output_gradient(component, case)[1].abs().max())
    assert worst < 1e-9, "the loss is not least where every row of a bag predicts its proportions"


def _least_at_the_distribution(component: Component) -> None:
    """See that outcomes of the linked distribution, evenly spread over its quantiles, leave the output where it is."""
    case = ordinary(component, n=3)
    case = case.with_inputs(
        case.output.sort(dim=-1).values
    )  # quantiles in order; as parameters they are as good as any
    linked, shares = _linked(component, case), (np.arange(OUTCOMES) + 0.5) / OUTCOMES
    outcomes = torch.from_numpy(linked.ppf(shares[:, None, None]))  # (OUTCOMES, 3, 2)
    leaf = case.output.expand(OUTCOMES, *case.output.shape).clone().requires_grad_()
    built = build(component, case)
    many = replace(case, output=leaf.flatten(0, 1), y=outcomes.flatten(0, 1))
    (gradient,) = torch.autograd.grad(total(call(component, many, built=built)), leaf)
    pull, usual = gradient.mean(0), gradient.square().mean(0).sqrt()
    worst = float((pull.abs() / usual.clamp(min=1e-6)).max())
    assert worst < 0.02, f"outcomes of the predicted distribution pull at it with {worst:.0%} of a usual gradient"


def moments_say_the_same(component: Component) -> None:
    """From the moments of the scores the value is the same."""
    assert component.moments is not None
    for case in (ordinary(component), ordinary(component, n=1)):
        scores, k = case.output, case.output.shape[1]
        true = scores.gather(1, case.y[:, None]).squeeze(1)
        value = component.moments(true, scores.mean(1), scores.square().mean(1), k)
        torch.testing.assert_close(value, call(component, case), msg=_after("the moments give another value: "))


def runs_without_gradients(component: Component) -> None:
    """Under ``no_grad`` the value is the same."""
    case = ordinary(component)
    with torch.no_grad():
        silent = _values(call(component, case))
    torch.testing.assert_close(silent, _values(call(component, case)).detach())


def runs_in_bfloat16(component: Component) -> None:
    """bfloat16 outputs give a value near that of float32 under autocast, and finite slopes; the rest stays float32."""
    case = ordinary(component).to(torch.float32)
    built = build(component, case) if component.is_class else None
    leaf = case.inputs.bfloat16().requires_grad_()
    wanted = total(call(component, case.with_inputs(leaf.detach().float())))
    with torch.autocast("cpu", torch.bfloat16):
        value = total(call(component, case.with_inputs(leaf), built=built))
    torch.testing.assert_close(value.float(), wanted, atol=0.3, rtol=0.1)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert gradient.isfinite().all(), "the gradient of bfloat16 outputs is not finite"


def maps_over_stacked_inputs(component: Component) -> None:
    """``torch.func.vmap`` over stacked inputs equals a loop."""
    case = ordinary(component)
    stacked = torch.stack([case.output, case.output.flip(0), 0.5 * case.output])

    def value(output: Tensor) -> Tensor:
        return total(call(component, replace(case, output=output)))

    torch.testing.assert_close(torch.func.vmap(value)(stacked), torch.stack([value(o) for o in stacked]))


def learns_a_separable_problem(component: Component) -> None:
    """By name, in the estimator of its role, it learns a tiny problem that can be learnt."""
    if component.unit == "bag":
        _learns_bags(component)
    elif ROLES[component.role].head == "none":
        _learns_embeddings(component)
    elif component.role in NUMBERS:
        _learns_numbers(component)
    else:
        _learns_classes(component)


def _learns_classes(component: Component) -> None:
    from sklearnloss.estimators.classifier import LossClassifier

    multilabel = component.role == "label_logits"
    two = component.role == "scores"
    X, y = make_blobs(90, centers=[[-4, 0], [4, 0]] if two else [[-4, 0], [4, 0], [0, 6]], random_state=3)
    if multilabel:
        y = np.stack([X[:, 0] > 0, X[:, 1] > 3, X[:, 0] < 0], axis=1).astype(int)
    facts: dict[str, Any] = {}
    for name in {*component.needs} & {f.name for f in FACTS.values() if f.scope == "row"}:
        rng = np.random.default_rng(0)
        facts[name] = 4.0 * np.eye(3)[y] if name in ("teacher", "target_proba") else rng.uniform(0.5, 1, len(X))
    model = LossClassifier(component.obj, max_epochs=60, lr=0.02, random_state=0, batch_size=32).fit(X, y, **facts)
    if multilabel:
        score = label_ranking_average_precision_score(y, model.decision_function(X))
    else:
        score = model.score(X, y)
    assert score >= 0.9, f"after 60 epochs the score on a separable problem is {score:.2f}"


def _learns_bags(component: Component) -> None:
    """Learn rows from bags of six."""
    from sklearnloss.estimators.aggregate import AggregateRegressor
    from sklearnloss.estimators.llp import LLPClassifier

    how: dict[str, Any] = {"max_epochs": 30, "lr": 0.05, "random_state": 0, "batch_size": 48}
    rng = np.random.default_rng(SEED)
    bags = rng.permutation(np.arange(240) // 6)
    if component.role in NUMBERS:
        X = rng.normal(size=(240, 2))
        y = X @ np.array([1.0, -0.5])
        means = np.bincount(bags, weights=y)[bags] / 6
        found = AggregateRegressor(component.obj, **how).fit(X, means, bags=bags).predict(X)
        score = float(np.corrcoef(found, y)[0, 1])
    else:
        X, y = make_blobs(240, centers=[[-4, 0], [4, 0], [0, 6]], random_state=3)
        score = LLPClassifier(component.obj, **how).fit(X, y, bags=bags).score(X, y)
    assert score >= 0.9, f"after 30 epochs the score of rows on a separable problem of bags is {score:.2f}"


def _learns_numbers(component: Component) -> None:
    from sklearnloss.estimators.regressor import LossRegressor

    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(120, 3))
    y = X @ np.array([[1.0, 0.5], [0.5, -1.0], [0.0, 0.5]]) + 0.05 * rng.normal(size=(120, 2))
    y = np.exp(0.5 * y) if component.target in SIGNED else y
    facts = {name: rng.uniform(0.5, 1, len(X)) for name in sorted(_row_facts(component))}
    loss: Any = Loss(component.obj)
    if _largest_output_gradient(component) == 0:  # it works on features: a term beside one that predicts
        loss = Loss("mse") + loss
    model = LossRegressor(loss, max_epochs=60, lr=0.02, random_state=0, batch_size=32).fit(X, y, **facts)
    predicted = model.predict(X)
    score = min(float(np.corrcoef(predicted[:, j], y[:, j])[0, 1]) for j in range(2))
    assert score >= 0.9, f"after 60 epochs predictions of a linear problem correlate with the targets by {score:.2f}"


def _largest_output_gradient(component: Component) -> float:
    return float(output_gradient(component, ordinary(component))[1].abs().max())


def _row_facts(component: Component) -> set[str]:
    return {name for name in component.needs if FACTS[name].scope == "row"}


def _learns_embeddings(component: Component) -> None:
    """Train; then look for each row's neighbour among the other rows, or among the other views."""
    if component.role == "view_a":
        _learns_views(component)
        return
    case = ordinary(component, torch.float32, n=32)
    noise = torch.randn(32, 4, generator=torch.Generator().manual_seed(SEED))
    told = case.y if component.task == "regression" else nn.functional.one_hot(case.y).float()
    X = torch.cat([told, noise], dim=1)  # a network has to find out which columns matter
    with seeded(SEED):
        network = nn.Linear(X.shape[1], case.output.shape[1])
    unit = nn.functional.normalize(_trained(component, case, network, X), dim=1)
    nearest = (unit @ unit.T).fill_diagonal_(-math.inf).argmax(1)
    if component.task == "regression":
        near, all_pairs = (case.y[nearest] - case.y).abs().mean(), (case.y - case.y.T).abs().mean()
        assert near < all_pairs / 2, (
            f"after 150 steps the target of a neighbour is off by {near:.2f}, that of any row by {all_pairs:.2f}"
        )
        return
    score = float((case.y[nearest] == case.y).float().mean())
    assert score >= 0.9, f"after 150 steps {score:.0%} of the embeddings have a neighbour of their class"


def _learns_views(component: Component) -> None:
    case = ordinary(component, torch.float32, n=16)
    free = nn.Linear(32, case.output.shape[1], bias=False)
    start = torch.cat([case.output, case.facts["view_b"].roll(1, 0)])  # at first the views are those of other rows
    free.weight.data.copy_(start.T)
    view_a, view_b = nn.functional.normalize(_trained(component, case, free, torch.eye(32)), dim=1).chunk(2)
    score = float(((view_a @ view_b.T).argmax(1) == torch.arange(16)).float().mean())
    assert score >= 0.9, f"after 150 steps {score:.0%} of free embeddings have their other view as neighbour"


def _trained(component: Component, case: Case, network: nn.Module, X: Tensor) -> Tensor:
    """Return the embeddings of X after 150 steps in which the network, and what the loss learns, follow the loss."""
    built = build(component, case)
    optimizer = torch.optim.Adam([*network.parameters(), *_learnt(built)], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        total(call(component, case.with_inputs(network(X)), built=built)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network(X).detach()


# -- what the checks share --------------------------------------------------------------------------------------------


def _values(values: Any) -> Tensor:
    return values[0] if isinstance(values, tuple) else values


def _after(words: str) -> Callable[[str], str]:
    """Return what puts words before the message of a failed comparison."""
    return lambda message: f"{words}: {message}"


def _tensors(case: Case) -> dict[str, Tensor]:
    everything = {"output": case.output, "y": case.y, **case.facts, **case.fit}
    return {k: v for k, v in everything.items() if isinstance(v, Tensor)}


def _learnt(built: Any) -> list[nn.Parameter]:
    return [p for p in built.parameters() if p.requires_grad] if isinstance(built, nn.Module) else []


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in (*module.named_parameters(), *module.named_buffers())}


def _same_state(a: dict[str, Tensor], b: dict[str, Tensor], words: str) -> None:
    for name, value in a.items():
        torch.testing.assert_close(b[name], value, msg=_after(f"{words}: {name}"))


def _link_function(component: Component) -> Callable[..., Tensor] | None:
    link = component.prediction_link
    if not isinstance(link, str):
        return link
    return LINKS[link].function if link in LINKS else None


def _named_by(function: Callable[..., Any] | None) -> set[str]:
    if function is None:
        return set()
    try:
        arguments = inspect.signature(function).parameters.items()
    except ValueError:  # a function in C, such as torch.exp
        return set()
    return {n for n, p in arguments if p.kind is p.KEYWORD_ONLY}


def _is_loss(component: Component) -> bool:
    return component.kind == "loss" and bool(component.role)


def _random(component: Component) -> bool:
    return "rng" in component.facts or "generator" in component.fit_needs


def _when(*conditions: Callable[[Component], bool]) -> Callable[[Component], bool]:
    return lambda component: _is_loss(component) and all(condition(component) for condition in conditions)


def _returns_valid(component: Component) -> bool:
    return isinstance(call(component, ordinary(component)), tuple)


def _pure(component: Component) -> bool:
    return not component.is_class


def _per_row(component: Component) -> bool:
    return component.unit == "row" and not _random(component)


def _weighable(component: Component) -> bool:
    # repeating a row changes the negatives of coupled losses, and a random one draws anew
    batch = component.unit in ("batch", "bag") and "sample_weight" in component.facts
    return (_per_row(component) or batch) and "index" not in component.facts and _pure(component)


def _trainable(component: Component) -> bool:
    from sklearnloss.estimators._binding import NET_FACTS

    # a linear program has to be given with its optimal basis as y
    rows = {f.name for f in FACTS.values() if f.scope == "row"} - {"equations"}
    supplied = NET_FACTS | rows | {"sample_weight", "prototypes", "head_weight", "head_bias"}
    headed = component.role in ("logits", "scores", "label_logits", "cosines", "thresholds", "hidden", *NUMBERS)
    supplied |= {"bag", "n_bags", "bag_index", "bag_weight"} if component.unit == "bag" else set()
    fit = {f for f in component.needs if FACTS[f].scope == "fit"}
    embeddings = component.role == "view_a" or (component.role == "embeddings" and "y" in component.facts)
    return (headed or embeddings) and set(component.needs) - fit <= supplied


CHECKS: dict[str, tuple[Callable[[Component], None], Callable[[Component], bool]]] = {
    "shape_is_that_of_the_unit": (shape_is_that_of_the_unit, _when()),
    "dtype_is_kept": (dtype_is_kept, _when()),
    "value_and_gradient_are_finite": (value_and_gradient_are_finite, _when()),
    "gradient_is_that_of_the_value": (gradient_is_that_of_the_value, _when(lambda c: c.gradient == "exact")),
    "gradient_reaches_the_output": (gradient_reaches_the_output, _when()),
    "order_of_rows_does_not_matter": (
        order_of_rows_does_not_matter,
        _when(lambda c: "X" not in c.facts or not _random(c)),
    ),
    "rows_are_independent": (rows_are_independent, _when(_per_row)),
    "weight_is_repetition": (weight_is_repetition, _when(_weighable)),
    "weight_zero_silences_a_row": (weight_zero_silences_a_row, _when(_per_row, _pure)),
    "inputs_are_untouched": (inputs_are_untouched, _when()),
    "nothing_valid_gives_zero": (nothing_valid_gives_zero, _when(_returns_valid)),
    "every_parameter_matters": (every_parameter_matters, _when()),
    "parameters_may_be_tensors": (parameters_may_be_tensors, _when(_pure, lambda c: c.static)),
    "state_moves_in_training_only": (state_moves_in_training_only, _when(lambda c: c.is_class)),
    "function_keeps_no_state": (function_keeps_no_state, _when(_pure)),
    "link_gives_what_it_promises": (link_gives_what_it_promises, _when()),
    "proper_loss_is_least_at_the_truth": (proper_loss_is_least_at_the_truth, _when(lambda c: c.proper)),
    "moments_say_the_same": (moments_say_the_same, _when(lambda c: c.moments is not None)),
    "runs_without_gradients": (runs_without_gradients, _when(_pure)),
    "runs_in_bfloat16": (runs_in_bfloat16, _when(lambda c: not _random(c))),
    "maps_over_stacked_inputs": (maps_over_stacked_inputs, _when(_pure, lambda c: c.static, lambda c: not _random(c))),
    "learns_a_separable_problem": (learns_a_separable_problem, _when(_trainable)),
}

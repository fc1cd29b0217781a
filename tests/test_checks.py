"""Each check of the conformance suite catches a component that is wrong in its way, and passes one that is right."""

import functools
import sys
from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from torch import nn

from sklearnloss.component import Component, describe, loss
from sklearnloss.constraints import Positive, PositiveInt
from sklearnloss.functional.bags import BagParts
from sklearnloss.functional.distributions import Normal
from sklearnloss.functional.pairs import Extra, Window
from sklearnloss.registry import lookup
from sklearnloss.testing import CHECKS, check_component, checks_for, parametrize_components

cross = functools.partial(nn.functional.cross_entropy, reduction="none")


def declared(kind, obj, name="wrong", **extra):
    """Return the component of ``obj`` without marking it."""
    if kind == "loss":
        extra = {"task": "multiclass", "unit": "row", **extra}
    return describe(kind, obj, name=name, **extra)


# -- declaration ------------------------------------------------------------------------------------------------------


def unbounded(logits, y, *, lam=1.0):
    return lam * cross(logits, y)


def local_function():
    def hidden(logits, y, *, lam: Positive = 1.0):
        return lam * cross(logits, y)

    return hidden


def lenient(logits, y, *, lam: Positive = 1.0):
    return lam * cross(logits, y)


def undocumented(logits, y, *, lam: Positive = 1.0):
    return lam * cross(logits, y)


def lying_example(logits, y):
    """Say something.

    Examples
    --------
    >>> 1 + 1
    3
    """
    return cross(logits, y)


# -- losses -----------------------------------------------------------------------------------------------------------


def scalar(logits, y):
    return cross(logits, y).mean()


def in_double(logits, y):
    return cross(logits.double(), y)


def exploding(logits, y):
    return logits.exp().sum(1).square() - logits.gather(1, y[:, None])[:, 0]


def detached_weight(logits, y):
    p = torch.softmax(logits, 1).gather(1, y[:, None])[:, 0]
    return (1 - p).detach() * cross(logits, y)


def spread_of_scores(logits, y):
    return logits.var(1, correction=0) - logits.gather(1, y[:, None])[:, 0]


def mean_square(true, mean, square, k):
    return square - true


def constant(logits, y):
    return (torch.nn.functional.one_hot(y, logits.shape[1]) - torch.softmax(logits, 1)).sum(1)


def by_position(logits, y):
    return cross(logits, y) * (1 + torch.arange(len(y)))


def coupled(logits, y):
    values = cross(logits, y)
    return values / (1 + values.mean())


def weights_ignored(scores, y, *, sample_weight=None):
    return nn.functional.binary_cross_entropy_with_logits(scores, y)


def spoilt_by_a_row(logits, y):
    # a nan anywhere spreads to every row
    return cross(logits, y) + 0 * logits.sum()


def in_place(logits, y):
    logits.data.clamp_(-1, 1)
    return cross(logits, y)


def divides_by_nothing(embeddings, y):
    same = (y[:, None] == y) & ~torch.eye(len(y), dtype=torch.bool)
    return (embeddings @ embeddings.T * same).sum(1) / same.sum(1), same.any(1)


def useless_parameter(logits, y, *, lam: Positive = 1.0):
    return cross(logits, y)


def branching_parameter(logits, y, *, lam: Positive = 1.0):
    return cross(logits, y) * (lam if isinstance(lam, float) else 2.0)


class MovesInEvaluation(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, logits, y):
        self.calls += 1
        return cross(logits, y)


class MovesOtherRows(nn.Module):
    def __init__(self, *, n_samples):
        super().__init__()
        self.register_buffer("memory", torch.zeros(n_samples))

    def forward(self, logits, y, *, index):
        if self.training:
            self.memory += 1
        return cross(logits, y)


def detached_view(view_a, view_b):
    return (view_a - view_b.detach()).square().sum(1)


def pushes_views_apart(view_a, view_b):
    return nn.functional.cosine_similarity(view_a, view_b)


def draws_far_targets_together(embeddings, y):
    return (torch.cdist(y, y) * torch.cdist(embeddings, embeddings).square()).mean(1)


def first_row_is_special(embeddings, y):
    return embeddings.square().sum(1) * (1 + (torch.arange(len(y)) == 0))


def first_of_its_class_is_special(embeddings, y):
    earlier = (y[:, None] == y).tril(-1).any(1)
    return embeddings.square().sum(1) * (1 + earlier)


def power_of_one_mode(logits, y, *, mode: Literal["plain", "power"] = "plain", gamma: Positive = 2.0):
    values = cross(logits, y)
    return values if mode == "plain" else values.pow(gamma)


class LearntTemperature(nn.Module):
    def __init__(self, *, learn: bool = True):
        super().__init__()
        self.tau = nn.Parameter(torch.ones(()), requires_grad=learn)

    def forward(self, logits, y):
        return cross(logits / self.tau, y)


class DrawnProxies(nn.Module):
    def __init__(self, *, n_classes, embedding_dim):
        super().__init__()
        self.proxies = nn.Parameter(torch.randn(n_classes, embedding_dim))

    def forward(self, embeddings, y):
        return cross(embeddings @ self.proxies.T, y)


COUNT = [0]


def counting(logits, y):
    COUNT[0] += 1
    return cross(logits, y) * COUNT[0]


def not_normalised(logits):
    return torch.sigmoid(logits)


def improper(logits, y):
    return 2 * (1 - torch.softmax(logits, 1).gather(1, y[:, None])[:, 0])


def wants_a_gradient(logits, y):
    (gradient,) = torch.autograd.grad(cross(logits, y).sum(), logits, create_graph=True)
    return gradient.square().sum(1)


def single_precision_only(logits, y):
    if logits.dtype == torch.bfloat16:
        raise RuntimeError("not implemented for 'BFloat16'")
    return cross(logits, y)


def inverts_its_values(logits, y):
    return torch.stack([torch.tensor(float(v.item())) for v in cross(logits, y).detach()]).to(logits.dtype) + 0 * (
        logits.sum(1)
    )


def teaches_the_opposite(logits, y):
    return torch.log1p(torch.exp(logits.gather(1, y[:, None])[:, 0].clamp(max=30)))


# -- losses of regression ---------------------------------------------------------------------------------------------


def deaf_to_the_target(prediction, y):
    return prediction.square() + 0 * y


def wants_positive_targets(prediction, y):
    return (prediction - y.log()).square()


def first_target_only(prediction, y):
    return (prediction - y).square()[:, :1] if prediction.shape[1] > 1 else (prediction - y)[:, 5]


def of_features(prediction, y, *, features):
    """Draw features of rows with near targets together; it makes no prediction."""
    near = (-torch.cdist(y, y)).exp()
    return (near * torch.cdist(features, features).square()).mean(1) + 0 * prediction.detach().sum(1)


def likelihood(columns, y):
    mu, log_sigma = columns.unbind(-1)
    log_sigma = log_sigma.clamp(-7, 7)
    return log_sigma + 0.5 * ((y - mu) / log_sigma.exp()).square()


def half_as_wide(columns, y):
    mu, log_sigma = columns.unbind(-1)
    log_sigma = log_sigma.clamp(-7, 7)
    return log_sigma + 2.0 * ((y - mu) / log_sigma.exp()).square()


def normal(columns) -> Normal:
    mu, log_sigma = columns.double().unbind(-1)
    return Normal(mu.numpy(), log_sigma.clamp(-7, 7).exp().numpy())


def linked_to(distribution):
    """Return a link to another class of distributions."""

    def link(columns) -> Normal:
        right = normal(columns)
        return distribution(right.mu, right.scale)

    return link


class WithoutMean(Normal):
    def mean(self):
        return np.full(self.shape, np.nan)


class Falling(Normal):
    def ppf(self, q):
        return super().ppf(1 - np.asarray(q))


class HalfReached(Normal):
    def cdf(self, y):
        return 0.5 * super().cdf(y)


class NotItsInverse(Normal):
    def cdf(self, y):
        return np.sqrt(super().cdf(y))


class KeepsItsScale(Normal):
    def scaled(self, loc, scale):
        return Normal(loc + scale * self.mu, self.scale)


class DrawsWider(Normal):
    def sample(self, size, random_state=None):
        return self.mu + 3 + super().sample(size, random_state)


class ScoresHalf(Normal):
    def crps(self, y):
        return 0.5 * super().crps(y)


class ScoresBelowZero(Normal):
    def crps(self, y):
        return -super().crps(y)


class OfOneTarget(Normal):
    @property
    def shape(self):
        return self.mu.shape[:1]


# -- other kinds ------------------------------------------------------------------------------------------------------


def vector_reduction(values, weights):
    return values * weights


def multiplying_reduction(values, weights):
    return (values * weights).sum()


def rows_that_do_not_exist(y, *, batch_size, rng):
    yield np.arange(len(y)) + 1


def unseeded(y, *, batch_size, rng):
    yield from np.array_split(np.random.permutation(len(y)), -(-len(y) // batch_size))


def deaf_sampler(y, *, batch_size, rng, n_rows: PositiveInt = 3):
    yield from np.array_split(rng.permutation(len(y)), -(-len(y) // batch_size))


def sorting_sampler(y, *, batch_size, rng):
    y.sort()
    yield from np.array_split(rng.permutation(len(y)), -(-len(y) // batch_size))


def outside_mixup(X, y, *, rng):
    order = torch.randperm(len(X), generator=rng)
    return 2 * X - X[order], y, y[order], 2.0


def with_the_next(bag, y):
    """Return each bag with all rows of the next one."""
    other = torch.arange(1, len(y) + 1) % len(y)
    bags = torch.arange(len(y))[:, None]
    new_bag, index = ((bag == bags) | (bag == other[:, None])).nonzero(as_tuple=True)
    size = torch.bincount(bag).to(y.dtype)
    parts = BagParts(y, y[other], size, (other != bags[:, 0]) * size[other], size, size[other])
    a = (parts.n_first / (parts.n_first + parts.n_second))[:, None]
    return index, new_bag, a * y + (1 - a) * y[other], parts


def loses_a_bag(bag, y, *, rng):
    index, new_bag, y, parts = with_the_next(bag, y)
    return index[new_bag > 0], new_bag[new_bag > 0], y, parts


def takes_a_row_twice(bag, y, *, rng):
    index, new_bag, y, parts = with_the_next(bag, y)
    return torch.cat([index[1:], index[-1:]]), torch.cat([new_bag[1:], new_bag[-1:]]), y, parts


def says_nothing_of_parts(bag, y, *, rng):
    return *with_the_next(bag, y)[:3], None


def counts_both_bags_alike(bag, y, *, rng):
    index, new_bag, _, parts = with_the_next(bag, y)
    return index, new_bag, (parts.first + parts.second) / 2, parts


def prefers_the_first_rows(bag, y, *, rng):
    rows = torch.stack([(bag == b).nonzero()[0, 0] for b in range(len(y))])
    size, one = torch.bincount(bag).to(y.dtype), torch.ones_like(y[:, 0])
    return rows, torch.arange(len(y)), y, BagParts(y, y, one, 0 * one, size, size)


def unseeded_bag_mixup(bag, y, *, rng):
    return torch.randperm(len(bag)), *with_the_next(bag, y)[1:]


def deaf_bag_mixup(bag, y, *, rng, share: Positive = 0.5):
    return with_the_next(bag, y)


def fixed_view(X, *, rng):
    return X + 1


def deaf_view(X, *, rng, sigma: Positive = 0.1):
    return X + torch.randn(X.shape, generator=rng)


class Climbs(torch.optim.SGD):
    def __init__(self, params):
        super().__init__(params, maximize=True)


# -- miners, distances, mixups of embeddings --------------------------------------------------------------------------


def graded_miner(block):
    return block.cosines


def bottomless_miner(embeddings, y):
    return Extra(embeddings.log(), y)


def unseeded_miner(block, *, rng):
    return torch.rand(block.distances.shape) < 0.5


def writing_miner(block):
    return block.distances.neg_() < -1


def deaf_miner(block, *, margin: Positive = 0.1):
    return block.is_negative


def miner_by_name(embeddings, y):
    return y[:, None] < y


def miner_by_place(embeddings, y):
    return torch.ones(len(y), len(y), dtype=torch.bool).triu()


def upside_down_window(block):
    return Window(0.5, 0.1)


def triplets_of_strangers(embeddings, y):
    return torch.tensor([[0, 1, 2]])


class NegativesOfTheClass:
    def due(self, epoch):
        return epoch == 0

    def refresh(self, embeddings, y):
        self.ready = True

    def companions(self, index, y, *, rng):
        return index[:, None]


def bare_norm(a, b):
    return (a[:, None] - b).square().sum(2).sqrt()


def one_sided_gradient(a, b):
    return torch.cdist(a, b.detach())


def relative_distance(a, b):
    distances = torch.cdist(a, b)
    return distances / distances.mean()


def similarity(a, b):
    return a @ b.T


def deaf_distance(a, b, *, power: Positive = 2.0):
    return torch.cdist(a, b)


def narrow_mixup(embeddings, y, *, rng):
    return Extra(embeddings[:, 1:], y)


def unseeded_embedding_mixup(embeddings, y, *, rng):
    return Extra(embeddings[torch.randperm(len(y))], y)


def deaf_embedding_mixup(embeddings, y, *, rng, alpha: Positive = 1.0):
    return Extra(embeddings[torch.randperm(len(y), generator=rng)], y)


def mixup_by_name(embeddings, y, *, rng):
    return Extra(embeddings * y[:, None], y)


# -- calibrators ------------------------------------------------------------------------------------------------------


class Cooled(ClassifierMixin, BaseEstimator):
    """A calibrator that is right: scores divided by the best of a few temperatures."""

    def fit(self, X, y, sample_weight=None):
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        self.classes_, codes = np.unique(y, return_inverse=True)
        rows, grid = np.arange(len(y)), np.linspace(0.5, 5.0, 10)
        values = [-(weights * np.log(self._softmax(X, t)[rows, codes])).sum() for t in grid]
        self.temperature_ = float(grid[np.argmin(values)])
        return self

    def _softmax(self, X, temperature):
        logits = np.hstack([0 * X, X]) if X.shape[1] == 1 else X
        powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
        return powers / powers.sum(1, keepdims=True)

    def predict_proba(self, X):
        return self._softmax(X, self.temperature_)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(1)]


class StartsWithState(Cooled):
    def __init__(self):
        self.rows_seen = 0


class SumsToLess(Cooled):
    def predict_proba(self, X):
        return 0.9 * super().predict_proba(X)


class Sharpens(Cooled):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y)
        self.temperature_ = 0.5
        return self


class DeafToWeights(Cooled):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y)
        self.temperature_ *= 1 + len(y) / 1000
        return self


class UselessPenalty(Cooled):
    def __init__(self, *, l2: Positive = 1.0):
        self.l2 = l2


class KeepsAModel(Cooled):
    def fit(self, X, y, sample_weight=None):
        self.model_ = LogisticRegression().fit(X, y, sample_weight)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


class HidesItsState(Cooled):
    def fit(self, X, y, sample_weight=None):
        self._hidden = super().fit(X, y, sample_weight).temperature_
        return self

    def predict_proba(self, X):
        return self._softmax(X, self._hidden)


# -- strategies -------------------------------------------------------------------------------------------------------


def short_answer(proba):
    return proba.max(axis=1)[:-1]


def writing_strategy(proba):
    proba -= proba.mean()
    return proba.max(axis=1)


def unseeded_strategy(X_pool, *, rng):
    return np.random.default_rng().random(len(X_pool))


def strategy_by_place(proba):
    return proba.max(axis=1) + np.arange(len(proba))


def relative_strategy(proba):
    return proba.max(axis=1) / proba.max()


def deaf_strategy(proba, *, power: Positive = 1.0):
    return proba.max(axis=1)


def wants_labels(X_pool, *, X_labeled, n):
    assert len(X_labeled)
    return np.arange(n)


WRONG = {
    "declaration_holds_each_fact_once": declared("loss", unbounded),
    "spec_is_cloned_pickled_and_printed": declared("loss", local_function()),
    "bad_values_are_refused_by_name_and_range": None,  # see below: it needs a spec that forgets to check
    "docstring_is_complete": declared("loss", undocumented),
    "example_runs": declared("loss", lying_example),
    "shape_is_that_of_the_unit": declared("loss", scalar),
    "dtype_is_kept": declared("loss", in_double),
    "value_and_gradient_are_finite": declared("loss", exploding),
    "gradient_is_that_of_the_value": declared("loss", detached_weight),
    "gradient_reaches_the_output": declared("loss", constant),
    "order_of_rows_does_not_matter": declared("loss", by_position),
    "rows_are_independent": declared("loss", coupled),
    "weight_is_repetition": declared("loss", weights_ignored, task="binary", unit="batch"),
    "weight_zero_silences_a_row": declared("loss", spoilt_by_a_row),
    "inputs_are_untouched": declared("loss", in_place),
    "nothing_valid_gives_zero": declared("loss", divides_by_nothing, task="embedding", unit="anchor"),
    "every_parameter_matters": declared("loss", useless_parameter),
    "parameters_may_be_tensors": declared("loss", branching_parameter),
    "state_moves_in_training_only": declared("loss", MovesInEvaluation),
    "function_keeps_no_state": declared("loss", counting),
    "link_gives_what_it_promises": declared("loss", scalar, link=not_normalised),
    "proper_loss_is_least_at_the_truth": declared("loss", improper, proper=True),
    "moments_say_the_same": declared("loss", spread_of_scores, moments=mean_square),
    "runs_without_gradients": declared("loss", wants_a_gradient),
    "runs_in_bfloat16": declared("loss", single_precision_only),
    "maps_over_stacked_inputs": declared("loss", inverts_its_values),
    "learns_a_separable_problem": declared("loss", teaches_the_opposite),
    "reduction_gives_a_scalar": declared("reduction", vector_reduction),
    "reduction_ignores_weight_zero": declared("reduction", multiplying_reduction),
    "sampler_gives_rows_that_exist": declared("sampler", rows_that_do_not_exist),
    "sampler_follows_its_generator": declared("sampler", unseeded),
    "sampler_parameters_matter": declared("sampler", deaf_sampler),
    "sampler_leaves_its_inputs": declared("sampler", sorting_sampler),
    "mixup_blends_rows": declared("mixup", outside_mixup),
    "bag_mixup_gives_bags": declared("mixup", loses_a_bag),
    "bag_mixup_expects_the_right_proportions": declared("mixup", counts_both_bags_alike),
    "bag_mixup_follows_its_generator": declared("mixup", unseeded_bag_mixup),
    "bag_mixup_parameters_matter": declared("mixup", deaf_bag_mixup),
    "view_is_a_random_version": declared("view", fixed_view),
    "view_parameters_matter": declared("view", deaf_view),
    "miner_gives_what_its_unit_promises": declared("miner", graded_miner, unit="pair"),
    "miner_leaves_a_loss_finite": declared("miner", bottomless_miner, unit="pair"),
    "miner_follows_its_generator": declared("miner", unseeded_miner, unit="pair"),
    "miner_leaves_its_inputs": declared("miner", writing_miner, unit="pair"),
    "miner_parameters_matter": declared("miner", deaf_miner, unit="pair"),
    "miner_ignores_the_names_of_classes": declared("miner", miner_by_name, unit="pair"),
    "miner_permutes_with_rows": declared("miner", miner_by_place, unit="pair"),
    "distance_gives_a_table": declared("distance", bare_norm),
    "distance_has_the_gradient_of_its_value": declared("distance", one_sided_gradient),
    "distance_looks_at_two_vectors_only": declared("distance", relative_distance),
    "distance_is_smallest_to_itself": declared("distance", similarity),
    "distance_parameters_matter": declared("distance", deaf_distance),
    "embedding_mixup_gives_vectors": declared("mixup", narrow_mixup),
    "embedding_mixup_follows_its_generator": declared("mixup", unseeded_embedding_mixup),
    "embedding_mixup_parameters_matter": declared("mixup", deaf_embedding_mixup),
    "embedding_mixup_ignores_the_names_of_classes": declared("mixup", mixup_by_name),
    "optimizer_descends": declared("optimizer", Climbs),
    "strategy_gives_what_its_unit_promises": declared("strategy", short_answer, unit="row"),
    "strategy_leaves_its_inputs": declared("strategy", writing_strategy, unit="row"),
    "strategy_follows_its_generator": declared("strategy", unseeded_strategy, unit="row"),
    "strategy_permutes_with_rows": declared("strategy", strategy_by_place, unit="row"),
    "strategy_looks_at_single_rows": declared("strategy", relative_strategy, unit="row"),
    "strategy_parameters_matter": declared("strategy", deaf_strategy, unit="row"),
    "strategy_begins_without_labels": declared("strategy", wants_labels, unit="batch"),
    "calibrator_is_an_estimator": declared("calibrator", StartsWithState),
    "calibrator_gives_probabilities": declared("calibrator", SumsToLess),
    "calibrator_fits_its_rows": declared("calibrator", Sharpens),
    "calibrator_weight_is_repetition": declared("calibrator", DeafToWeights),
    "calibrator_parameters_matter": declared("calibrator", UselessPenalty),
    "calibrator_state_is_plain": declared("calibrator", KeepsAModel),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_catches_the_component_that_is_wrong_in_its_way(check, monkeypatch):
    component = WRONG[check.name]
    if check.name == "bad_values_are_refused_by_name_and_range":
        component = declared("loss", lenient)
        monkeypatch.setattr("sklearnloss.spec.check_params", lambda component, params: None)
    with pytest.raises((AssertionError, RuntimeError, AttributeError)):
        check(component)


def test_every_check_has_its_wrong_component():
    assert {check.name for check in CHECKS} == WRONG.keys()


def broadcasts(scores, y):
    return nn.functional.softplus(-(2 * y[:, None] - 1) * scores)


def test_rows_broadcast_against_rows_are_caught():
    check = next(c for c in CHECKS if c.name == "shape_is_that_of_the_unit")
    with pytest.raises(AssertionError, match=r"did \(n,\) meet \(n, 1\)"):
        check(declared("loss", broadcasts, task="binary"))


def test_state_of_other_rows_is_caught():
    check = next(c for c in CHECKS if c.name == "state_moves_in_training_only")
    with pytest.raises(AssertionError, match="other rows"):
        check(declared("loss", MovesOtherRows))


def check_named(name):
    return next(check for check in CHECKS if check.name == name)


def test_a_second_view_without_its_gradient_is_caught():
    component = declared("loss", detached_view, task="embedding")
    with pytest.raises(AssertionError, match="the gradient is not that of the value"):
        check_named("gradient_is_that_of_the_value")(component)
    check_named("value_and_gradient_are_finite")(component)


def test_views_that_move_apart_are_caught():
    with pytest.raises(AssertionError, match="have their other view as neighbour"):
        check_named("learns_a_separable_problem")(declared("loss", pushes_views_apart, task="embedding"))


def test_neighbours_with_far_targets_are_caught():
    component = declared("loss", draws_far_targets_together, task="regression", unit="anchor")
    with pytest.raises(AssertionError, match="the target of a neighbour is off by"):
        check_named("learns_a_separable_problem")(component)


DECLARED = {"task": "regression", "outputs": lambda: 2}


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        (OfOneTarget, "distributions of shape"),
        (WithoutMean, "mean is not finite"),
        (Falling, "quantiles fall as the level rises"),
        (HalfReached, "less than q lies at or below the quantile at q"),
        (NotItsInverse, "cdf is not the inverse of ppf"),
        (KeepsItsScale, "scaled has other quantiles"),
        (DrawsWider, "of the draws lie at or below the quantile at 0.7"),
        (ScoresHalf, "crps is not that of the quantiles"),
        (ScoresBelowZero, "crps is negative"),
    ],
)
def test_a_distribution_that_contradicts_itself_is_caught(distribution, message):
    component = declared("loss", likelihood, link=linked_to(distribution), **DECLARED)
    with pytest.raises(AssertionError, match=message):
        check_named("link_gives_what_it_promises")(component)


def test_a_distribution_that_is_right_passes_and_one_that_is_too_narrow_is_not_proper():
    right = loss("likelihood", link=normal, proper=True, **DECLARED)(likelihood).component
    for name in ("link_gives_what_it_promises", "proper_loss_is_least_at_the_truth", "learns_a_separable_problem"):
        check_named(name)(right)
    with pytest.raises(AssertionError, match="outcomes of the predicted distribution pull at it"):
        check_named("proper_loss_is_least_at_the_truth")(
            declared("loss", half_as_wide, link=normal, proper=True, **DECLARED)
        )


def test_a_link_to_points_gives_one_for_each_target():
    component = declared("loss", half_as_wide, **DECLARED)
    with pytest.raises(AssertionError, match=r"the link gives \(12, 2, 2\), not a point each"):
        check_named("link_gives_what_it_promises")(component)


def test_predictions_that_do_not_follow_the_targets_are_caught():
    with pytest.raises(AssertionError, match="correlate with the targets by"):
        check_named("learns_a_separable_problem")(declared("loss", deaf_to_the_target, task="regression"))


def test_targets_suit_what_the_loss_says_of_them():
    check = check_named("value_and_gradient_are_finite")
    check(declared("loss", wants_positive_targets, task="regression", target="positive"))
    for target in ("standardize", "nonnegative"):
        with pytest.raises(AssertionError, match="is not finite"):
            check(declared("loss", wants_positive_targets, task="regression", target=target))


def test_a_loss_is_tried_on_a_single_target():
    with pytest.raises(IndexError):
        check_named("value_and_gradient_are_finite")(declared("loss", first_target_only, task="regression"))


def test_a_term_on_features_reaches_the_network_and_learns_beside_one_that_predicts():
    component = loss("of_features", task="regression", unit="anchor")(of_features).component
    check_named("gradient_reaches_the_output")(component)
    check_named("learns_a_separable_problem")(component)


def test_the_order_of_rows_within_a_class_may_matter_to_episodes_only():
    check = check_named("order_of_rows_does_not_matter")
    declaration = {"task": "embedding", "unit": "anchor"}
    check(declared("loss", first_of_its_class_is_special, sampler="episodic", **declaration))
    for wrong, sampler in ((first_of_its_class_is_special, "per_class"), (first_row_is_special, "episodic")):
        with pytest.raises(AssertionError, match="the rows were permuted, the values not"):
            check(declared("loss", wrong, sampler=sampler, **declaration))


def test_a_parameter_may_matter_under_one_choice_only_or_through_what_the_loss_learns():
    check_named("every_parameter_matters")(declared("loss", power_of_one_mode))
    check_named("every_parameter_matters")(declared("loss", LearntTemperature))


def test_a_loss_that_draws_its_start_is_drawn_alike_in_every_check():
    state = torch.get_rng_state()
    for name in ("dtype_is_kept", "order_of_rows_does_not_matter", "gradient_is_that_of_the_value"):
        check_named(name)(declared("loss", DrawnProxies, task="embedding"))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("miner", "unit", "message"),
    [
        (upside_down_window, "window", r"Window\(low=0.5, high=0.1\) is no Window"),
        (triplets_of_strangers, "pair", "a positive is of another class"),
        (NegativesOfTheClass, "pair", "a negative is of the anchor's class"),
    ],
)
def test_each_form_of_a_miner_is_looked_into(miner, unit, message):
    check = next(c for c in CHECKS if c.name == "miner_gives_what_its_unit_promises")
    with pytest.raises(AssertionError, match=message):
        check(declared("miner", miner, unit=unit))


def rising_triplets(embeddings, y):
    """Return each anchor with positives and negatives whose first numbers rise, as a list."""
    same, rising = y[:, None] == y, embeddings[:, None, 0] < embeddings[:, 0]
    return ((same & rising)[:, :, None] & ~same[:, None] & rising).nonzero()


@pytest.mark.parametrize("width", [2, 3])
def test_a_miner_that_gives_a_list_passes_the_checks_of_miners(width):
    def lists(embeddings, y):
        return rising_triplets(embeddings, y)[:, :width].unique(dim=0)

    for check in checks_for(declared("miner", lists, unit="pair")):
        if check.name.startswith("miner_"):
            check(declared("miner", lists, unit="pair"))


@pytest.mark.parametrize(
    ("mixup", "name", "message"),
    [
        (loses_a_bag, "gives_bags", "a bag has no rows"),
        (takes_a_row_twice, "gives_bags", "a row is twice in a bag"),
        (says_nothing_of_parts, "gives_bags", "bag_parts is NoneType, not BagParts"),
        (prefers_the_first_rows, "gives_bags", "a bag was not merged, but lacks rows"),
        (counts_both_bags_alike, "expects_the_right_proportions", "standard errors off"),
        (prefers_the_first_rows, "expects_the_right_proportions", "standard errors off"),
    ],
)
def test_each_fault_of_a_mixup_of_bags_is_named(mixup, name, message):
    with pytest.raises(AssertionError, match=message):
        check_named(f"bag_mixup_{name}")(declared("mixup", mixup))


def test_bags_merged_whole_are_right():
    def whole(bag, y, *, rng):
        return with_the_next(bag, y)

    for name in ("bag_mixup_gives_bags", "bag_mixup_expects_the_right_proportions"):
        check_named(name)(declared("mixup", whole))


def test_state_that_is_not_public_is_caught():
    check = next(c for c in CHECKS if c.name == "calibrator_state_is_plain")
    with pytest.raises(AssertionError, match="the attributes that end in _ are not enough to predict"):
        check(declared("calibrator", HidesItsState))


def test_a_calibrator_that_is_right_passes_the_checks_of_calibrators():
    for check in CHECKS:
        if check.name.startswith("calibrator_"):
            check(declared("calibrator", Cooled))


def test_a_right_component_passes_all():
    check_component("ldr")
    check_component(lookup("sampler", "per_class"))
    check_component(lookup("miner", "hard"))
    check_component(lookup("mixup", "mixbag"))


def test_a_wrong_component_is_named_with_its_check():
    with pytest.raises(AssertionError, match=r"loss 'wrong' fails .*: "):
        check_component(declared("loss", undocumented))


def test_every_loss_has_the_checks_of_its_shape():
    names = {c.name for c in checks_for(lookup("loss", "ldr"))}
    assert {"rows_are_independent", "maps_over_stacked_inputs", "gradient_is_that_of_the_value"} <= names
    assert all(isinstance(c, Component) for c in WRONG.values() if c is not None)


def test_a_test_of_components_without_pytest_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(ImportError, match="parametrize_components makes tests for pytest: pip install pytest"):
        parametrize_components(plugin="core", kind="reduction")

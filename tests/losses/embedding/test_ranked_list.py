"""Ranked list: the formula in loops, the peer's numbers, constant weights, its limits, its miner, another distance."""

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss.losses.embedding.ranked_list import ranked_list

DEFAULTS = {"boundary": 1.2, "margin": 0.4, "pos_sharpness": 0.0, "neg_sharpness": 10.0, "neg_weight": 0.5}


def naive(distances, y, boundary, margin, pos_sharpness, neg_sharpness, neg_weight, detach=False, kept=None):
    n, values = len(y), []
    for i in range(n):
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        total = 0 * distances[i].sum()
        for own, sharpness, weight in ((True, pos_sharpness, 1 - neg_weight), (False, neg_sharpness, neg_weight)):
            costs = [
                distances[i][j] - (boundary - margin) if own else boundary - distances[i][j]
                for j in chosen
                if (y[j] == y[i]) == own
            ]
            costs = torch.stack([c for c in costs if c > 0]) if any(c > 0 for c in costs) else torch.zeros(1).double()
            weights = torch.exp(sharpness * (costs.detach() if detach else costs))
            total = total + weight * (weights * costs).sum() / weights.sum()
        values.append(total)
    return torch.stack(values)


def unit_distances(embeddings):
    unit = normalize(embeddings, dim=1)
    return ((unit[:, None] - unit).square().sum(2) + 1e-300).sqrt()


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize(
    "params", [{}, {"boundary": 0.9, "margin": 0.7, "pos_sharpness": 2.0, "neg_sharpness": 0.0, "neg_weight": 0.2}]
)
def test_equals_the_formula_in_plain_loops(sizes, params, waves):
    embeddings, y = waves(*sizes)
    values, valid = ranked_list(embeddings, y, **params)
    assert_close(values, naive(unit_distances(embeddings), y, **{**DEFAULTS, **params}))
    assert (valid == 1).all()


# pytorch-metric-learning 2.9.0, RankedListLoss(0.4, 10, alpha=1.2); it adds 1e-5 a row to each sum of weights
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((4, 4, 4, 4), (0.640351054233, -0.0413698291895, 0.190168686775)),
        ((5, 2, 3), (0.525942948419, -0.15228215781, 0.316915369237)),
    ],
)
def test_agrees_with_the_peer(sizes, expected, measured):
    found = measured(ranked_list, sizes)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=0)


def test_weights_are_constants_to_the_gradient_if_detached(waves):
    embeddings, y = waves(4, 3, 2)
    embeddings.requires_grad_()
    params = {**DEFAULTS, "pos_sharpness": 2.0, "detach": True}
    values, _ = ranked_list(embeddings, y, **params)
    wanted = naive(unit_distances(embeddings), y, **params)
    assert_close(values, wanted)
    assert_close(*(torch.autograd.grad(v.sum(), embeddings)[0] for v in (values, wanted)))


def test_a_large_sharpness_leaves_the_largest_cost(waves):
    embeddings, y = waves(4, 3, 2)
    values, _ = ranked_list(embeddings, y, neg_sharpness=1e5, neg_weight=1.0)
    nearest = unit_distances(embeddings).masked_fill(y[:, None] == y, torch.inf).amin(1)
    assert_close(values, (1.2 - nearest).clamp_min(0), atol=1e-4, rtol=0)


def test_positives_inside_and_negatives_outside_cost_nothing():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.3], [-1.0, 0.0], [-1.0, 0.3]], requires_grad=True)
    values, _ = ranked_list(embeddings, torch.tensor([0, 0, 1, 1]))
    values.sum().backward()
    assert (values == 0).all()
    assert (embeddings.grad == 0).all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    values, _ = ranked_list(embeddings, y, pairs=keeping(mask))
    assert_close(values, naive(unit_distances(embeddings), y, **DEFAULTS, kept=mask))


def test_takes_another_distance(waves):
    embeddings, y = waves(4, 3)
    values, _ = ranked_list(embeddings, y, distance=torch.cdist)
    assert_close(values, naive(torch.cdist(embeddings, embeddings), y, **DEFAULTS))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: ranked_list(e, y, pos_sharpness=1.0)[0], embeddings)

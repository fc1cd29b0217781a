"""Circle: the formula in loops, weights without a gradient, its boundary, its miner."""

import math

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss.losses.embedding.circle import circle


def naive(embeddings, y, margin, scale, kept=None):
    """Values and validity; weights are constants to autograd."""
    unit, n = normalize(embeddings, dim=1), len(y)
    values, valid = [], []
    for i in range(n):
        pull, push = [], []
        for j in range(n):
            if i == j or (kept is not None and not kept[i, j]):
                continue
            s = unit[i] @ unit[j]
            if y[i] == y[j]:
                pull.append(torch.exp(-scale * max(0.0, 1 + margin - s.item()) * (s - (1 - margin))))
            else:
                push.append(torch.exp(scale * max(0.0, s.item() + margin) * (s - margin)))
        values.append(torch.log(1 + sum(pull) * sum(push)) if pull and push else 0 * embeddings.sum())
        valid.append(float(bool(pull and push)))
    return torch.stack(values), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize(("margin", "scale"), [(0.4, 20.0), (0.0, 1.0)])
def test_equals_the_formula_in_plain_loops_in_value_and_gradient(sizes, margin, scale, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    found, wanted = circle(embeddings, y, margin=margin, scale=scale), naive(embeddings, y, margin, scale)
    assert_close(found, wanted)
    weights = torch.linspace(0, 1, len(y), dtype=torch.float64)
    for weight in (torch.ones_like(weights), weights):
        gradients = [torch.autograd.grad((weight * v[0]).sum(), embeddings, retain_graph=True) for v in (found, wanted)]
        assert_close(*gradients)


def test_is_log_two_on_its_boundary():
    margin, angle = 0.4, 0.7
    radius = margin * math.sqrt(2)
    s_n, s_p = radius * math.cos(angle), 1 - radius * math.sin(angle)
    rows = [(1.0, 0.0), (s_p, math.sqrt(1 - s_p**2)), (s_n, math.sqrt(1 - s_n**2))]
    values, _ = circle(torch.tensor(rows, dtype=torch.float64), torch.tensor([0, 0, 1]), margin=margin)
    assert values[0].item() == pytest.approx(math.log(2))


def test_an_anchor_without_a_negative_or_without_a_positive_does_not_count():
    values, valid = circle(torch.eye(3), torch.tensor([0, 0, 0]))
    assert (values == 0).all()
    assert (valid == 0).all()
    assert circle(torch.eye(3), torch.tensor([0, 0, 1]))[1].tolist() == [1, 1, 0]


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert_close(circle(embeddings, y, scale=8.0, pairs=keeping(mask)), naive(embeddings, y, 0.4, 8.0, mask))

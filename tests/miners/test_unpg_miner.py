"""Negatives without outliers: the worked values, the rule in loops, nothing to rank."""

import pytest
import torch

from sklearnloss.miners.unpg_miner import unpg_miner


def naive(embeddings, y, width):
    unit, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    s = [[float(unit[min(i, j)] @ unit[max(i, j)]) for j in range(n)] for i in range(n)]
    values = sorted(s[i][j] for i in range(n) for j in range(i + 1, n) if y[i] != y[j])
    low, high = values[len(values) // 4], values[3 * len(values) // 4]
    reach = width * (high - low)
    return torch.tensor(
        [
            [i != j and (bool(y[i] == y[j]) or low - reach <= s[i][j] <= high + reach) for j in range(n)]
            for i in range(n)
        ]
    )


@pytest.mark.parametrize("width", [0.1, 0.5, 1.5])
def test_equals_the_rule_in_plain_loops(scattered, width):
    assert torch.equal(unpg_miner(*scattered, width=width), naive(*scattered, width))


def test_drops_the_outlier_of_the_worked_values():
    # one row against seven of another class, whose cosines with it are the values
    values = torch.tensor([-0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.95], dtype=torch.float64)
    others = torch.stack([values, (1 - values**2).sqrt()], dim=1)
    embeddings = torch.cat([torch.tensor([[1.0, 0.0]], dtype=torch.float64), others])
    kept = unpg_miner(embeddings, torch.tensor([1] + [0] * 7))
    assert kept[0].tolist() == [False] + [True] * 6 + [False]


def test_positives_stay_however_far(scattered):
    embeddings, y = scattered
    same = (y[:, None] == y) & ~torch.eye(14, dtype=torch.bool)
    assert (unpg_miner(embeddings, y, width=0.0) & same).equal(same)


def test_a_wide_reach_keeps_everything(scattered):
    assert torch.equal(unpg_miner(*scattered, width=100.0), ~torch.eye(14, dtype=torch.bool))


@pytest.mark.parametrize("n", [1, 4])
def test_one_class_or_one_row_has_no_negatives(arc, n):
    kept = unpg_miner(arc[0][:n], torch.zeros(n, dtype=torch.int64))
    assert torch.equal(kept, ~torch.eye(n, dtype=torch.bool))

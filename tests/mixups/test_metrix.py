"""Metrix: what is mixed with what, which anchors have none, no loop over anchors."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from sklearnloss.mixups.metrix import metrix


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=12, classes=3, seed=0):
    return torch.randn(n, 4, generator=rng(seed), dtype=torch.float64), torch.arange(n) % classes


def unit(x):
    return torch.nn.functional.normalize(x, dim=-1)


def parts(embeddings, y, mixed, lam, n_mixed):
    """Return which row stands for the positive of each mixed vector, by search."""
    rows, found = unit(embeddings), []
    for i in range(len(y)):
        others = [j for j in range(len(y)) if y[j] != y[i]]
        hardest = sorted(others, key=lambda j: -float(rows[i] @ rows[j]))[:n_mixed]
        for slot, k in enumerate(hardest):
            x = (mixed[i, slot] - (1 - lam) * rows[k]) / lam
            found.append((i, int((rows - x).norm(dim=1).argmin())))
            assert_close(x, rows[found[-1][1]])
    return found


@pytest.mark.parametrize("seed", range(8))
def test_each_anchor_gets_its_hardest_negatives_mixed_with_positives_or_with_itself(seed):
    embeddings, y = batch()
    mixed = metrix(embeddings, y, rng=rng(seed), n_mixed=3)
    assert mixed.embeddings.shape == (12, 3, 4)
    assert mixed.exists.all()
    assert mixed.lam.unique().numel() == 1
    found = parts(embeddings, y, mixed.embeddings, float(mixed.lam[0, 0]), 3)
    assert all(y[i] == y[j] for i, j in found)
    itself = {i == j for i, j in found}
    assert len(itself) == 1  # one draw for the batch


def test_positives_and_the_anchor_itself_are_equally_likely():
    embeddings, y = batch(4, 2)
    own = 0
    for seed in range(200):
        mixed = metrix(embeddings, y, rng=rng(seed), n_mixed=1)
        found = parts(embeddings, y, mixed.embeddings, float(mixed.lam[0, 0]), 1)
        own += found[0][0] == found[0][1]
    assert 70 < own < 130  # four standard deviations


def test_all_other_rows_of_the_class_come_up_as_positives():
    embeddings, y = batch()
    seen = set()
    for seed in range(60):
        mixed = metrix(embeddings, y, rng=rng(seed), n_mixed=2)
        seen |= set(parts(embeddings, y, mixed.embeddings, float(mixed.lam[0, 0]), 2))
    assert seen == {(i, j) for i in range(12) for j in range(12) if y[i] == y[j]}


def test_an_anchor_without_a_positive_or_a_negative_has_none():
    embeddings, _ = batch(4)
    assert metrix(embeddings, torch.tensor([0, 0, 1, 2]), rng=rng()).exists.any(1).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert not metrix(embeddings, torch.zeros(4, dtype=torch.int64), rng=rng()).exists.any()
    assert not metrix(embeddings, torch.arange(4), rng=rng()).exists.any()


def test_fewer_negatives_than_asked_for_leave_slots_empty():
    embeddings, _ = batch(4)
    mixed = metrix(embeddings, torch.tensor([0, 0, 0, 1]), rng=rng(), n_mixed=3)
    assert mixed.exists.sum(1).tolist() == [1, 1, 1, 0]


def test_the_gradient_reaches_both_parts():
    embeddings, y = batch()
    leaf = embeddings.requires_grad_()
    mixed = metrix(leaf, y, rng=rng(), n_mixed=1)
    (gradient,) = torch.autograd.grad(mixed.embeddings[0].square().sum() + mixed.embeddings[0].sum(), leaf)
    seen = gradient.abs().sum(1) > 0
    assert set(y[seen].tolist()) > {0}


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_no_loop_over_anchors_as_in_the_authors_code():
    counts = []
    for n in (12, 120):
        with Operations() as seen:
            metrix(*batch(n), rng=rng())
        counts.append(seen.count)
    assert counts[0] == counts[1]


def test_draws_follow_the_generator():
    first, again, other = (metrix(*batch(), rng=rng(seed)).embeddings for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)

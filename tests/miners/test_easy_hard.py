"""Easy, hard, semi-hard: the peer's pairs, the search in loops, what cannot be combined."""

import itertools
from functools import partial

import pytest
import torch

from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.mining import mine
from sklearnloss.miners.easy_hard import easy_hard
from sklearnloss.miners.hard import hard

# of each anchor of the arc, from pytorch_metric_learning.miners.BatchEasyHardMiner(*strategies) 2.9.0
PEER = {
    ("easy", "semihard"): [(1, 5), (0, 8), (1, 6), (2, 7), (5, 7), (4, 0), (5, 1), (8, 0), (7, 5), None],
    ("semihard", "easy"): [(2, 9), (3, 9), (3, 9), (1, 4), (6, 3), (6, 9), (4, 0), (8, 9), (7, 9), None],
    ("hard", "easy"): [(3, 9), (3, 9), (3, 9), (0, 4), (6, 3), (6, 9), (4, 0), (8, 9), (7, 9), None],
    ("hard", "semihard"): [None, (3, 9), (3, 9), None, (6, 9), (6, 3), (4, 0), (8, 0), (7, 5), None],
}
SINGLE = ("easy", "hard", "semihard")


def columns(kept):
    return [tuple(row.nonzero().flatten().tolist()) for row in kept]


@pytest.mark.parametrize("strategies", PEER)
def test_keeps_the_pairs_of_the_peer(arc, strategies):
    positive, negative = strategies
    wanted = [tuple(sorted(pair)) if pair else () for pair in PEER[strategies]]
    assert columns(mine(easy_hard, *arc, positive=positive, negative=negative)) == wanted


def naive(embeddings, y, positive, negative):
    unit, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    kept = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        d = [float((unit[i] - unit[j]).norm()) for j in range(n)]
        positives = [j for j in range(n) if j != i and y[j] == y[i]]
        negatives = [j for j in range(n) if y[j] != y[i]]
        if not positives or not negatives:
            continue
        nearest, farthest = partial(min, key=d.__getitem__), partial(max, key=d.__getitem__)
        pick = {
            "positive": {"easy": nearest, "hard": farthest},
            "negative": {"easy": farthest, "hard": nearest},
        }
        if positive == "semihard":
            k = pick["negative"][negative](negatives)
            nearer = [j for j in positives if d[j] < d[k]]
            if nearer:
                kept[i, [pick["positive"]["hard"](nearer), k]] = True
        elif negative == "semihard":
            j = pick["positive"][positive](positives)
            farther = [k for k in negatives if d[k] > d[j]]
            if farther:
                kept[i, [j, pick["negative"]["hard"](farther)]] = True
        else:
            kept[i, [pick["positive"][positive](positives), pick["negative"][negative](negatives)]] = True
    return kept


@pytest.mark.parametrize(
    "strategies", [s for s in itertools.product(SINGLE, SINGLE) if s != ("semihard", "semihard")], ids="-".join
)
def test_equals_the_search_in_plain_loops(scattered, strategies):
    positive, negative = strategies
    kept = mine(easy_hard, *scattered, positive=positive, negative=negative)
    assert torch.equal(kept, naive(*scattered, positive, negative))


def test_the_hardest_of_both_is_batch_hard(scattered):
    assert torch.equal(mine(easy_hard, *scattered, positive="hard", negative="hard"), mine(hard, *scattered))


@pytest.mark.parametrize("one", ["easy", "hard"])
def test_all_of_one_side_stand_beside_one_of_the_other(scattered, one):
    embeddings, y = scattered
    same = (y[:, None] == y) & ~torch.eye(14, dtype=torch.bool)
    positives = mine(easy_hard, embeddings, y, positive="all", negative=one)
    negatives = mine(easy_hard, embeddings, y, positive=one, negative="all")
    assert torch.equal(positives & (y[:, None] == y), same)
    assert (positives & (y[:, None] != y)).sum(1).tolist() == [1] * 14
    assert torch.equal(negatives & (y[:, None] != y), y[:, None] != y)
    assert (negatives & same).sum(1).tolist() == [1] * 13 + [0]


def test_all_of_both_sides_are_all_pairs(scattered):
    kept = mine(easy_hard, *scattered, positive="all", negative="all")
    assert torch.equal(kept, ~torch.eye(14, dtype=torch.bool))


@pytest.mark.parametrize("strategies", [("semihard", "semihard"), ("all", "semihard"), ("semihard", "all")])
def test_a_semihard_side_needs_one_pair_to_be_measured_by(arc, strategies):
    positive, negative = strategies
    with pytest.raises(ParameterError, match=f"positive='{positive}', negative='{negative}'"):
        mine(easy_hard, *arc, positive=positive, negative=negative)


def test_duplicates_have_no_semihard_pair():
    assert not mine(easy_hard, torch.ones(4, 2), torch.tensor([0, 0, 1, 1])).any()

"""Nearest negatives of all rows: brute force, limits, staleness, warm-up."""

import pytest
import torch

from sklearnloss.miners.ance import NearestNegatives
from sklearnloss.spec import Miner


def rows(n=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=generator), torch.arange(n) % 3


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def hardest_first(embeddings, y, i):
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    others = [j for j in range(len(y)) if y[j] != y[i]]
    return sorted(others, key=lambda j: -float(unit[i] @ unit[j]))


def drawn(embeddings, y, index=None, seed=0, **params):
    miner = NearestNegatives(**{"warmup_epochs": 0, **params})
    miner.refresh(embeddings, y)
    index = torch.arange(len(y)) if index is None else index
    return miner.companions(index, y[index], rng=rng(seed))


@pytest.mark.parametrize(("depth", "exclude_top"), [(5, 0), (3, 2), (8, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_negative_is_among_the_nearest_of_other_classes(depth, exclude_top, seed):
    embeddings, y = rows()
    found = drawn(embeddings, y, depth=depth, exclude_top=exclude_top, n_neg=3, seed=seed)
    assert found.shape == (60, 3)
    for i in range(60):
        assert set(found[i].tolist()) <= set(hardest_first(embeddings, y, i)[exclude_top : exclude_top + depth])


def test_a_depth_of_one_gives_the_single_hardest():
    embeddings, y = rows()
    assert drawn(embeddings, y, depth=1).flatten().tolist() == [hardest_first(embeddings, y, i)[0] for i in range(60)]


def test_a_depth_above_the_number_of_rows_gives_random_negatives():
    embeddings, y = rows()
    counts = torch.zeros(60)
    for seed in range(300):
        counts[drawn(embeddings, y, index=torch.zeros(1, dtype=torch.int64), depth=1000, seed=seed)] += 1
    assert (counts[y == 0] == 0).all()
    assert (counts[y != 0] > 0).all()


def test_no_negative_comes_twice_unless_there_are_too_few():
    embeddings, y = rows()
    few = drawn(embeddings, y, depth=4, n_neg=6)
    enough = drawn(embeddings, y, depth=4, n_neg=4)
    assert all(len(set(row)) == 4 for row in enough.tolist())
    assert all(len(set(row)) == 4 for row in few.tolist())


def test_the_table_stays_as_it_was_between_two_looks():
    embeddings, y = rows()
    miner = NearestNegatives(depth=1, warmup_epochs=0)
    miner.refresh(embeddings, y)
    index = torch.arange(60)
    before = miner.companions(index, y, rng=rng())
    embeddings.neg_()
    assert torch.equal(miner.companions(index, y, rng=rng()), before)
    miner.refresh(rows(seed=1)[0], y)
    assert not torch.equal(miner.companions(index, y, rng=rng()), before)


def test_is_due_after_the_warm_up_and_then_every_few_epochs():
    miner = NearestNegatives(refresh=3, warmup_epochs=2)
    due = []
    for epoch in range(10):
        due.append(miner.due(epoch))
        if due[-1]:
            miner.refresh(*rows())
    assert due == [False, False, True, False, False, True, False, False, True, False]


def test_a_fit_that_goes_on_in_the_middle_looks_up_at_once():
    assert NearestNegatives(refresh=1000, warmup_epochs=2).due(7)


def test_a_refresh_beyond_all_epochs_is_static():
    miner = NearestNegatives(refresh=10**9, warmup_epochs=0)
    miner.refresh(*rows())
    assert not any(miner.due(epoch) for epoch in range(1, 100))


def test_before_the_first_look_there_is_nothing():
    assert NearestNegatives().companions(torch.arange(3), torch.zeros(3), rng=rng()) is None


def test_one_class_has_no_negatives():
    embeddings, y = rows()
    assert drawn(embeddings, torch.zeros_like(y)) is None


def test_follows_its_generator_and_reads_embeddings_of_any_precision():
    embeddings, y = rows()
    first, again, other = (drawn(embeddings, y, seed=seed, n_neg=4) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert drawn(embeddings.bfloat16(), y).shape == (60, 1)


def test_is_built_by_its_name():
    built = Miner("ance", depth=1, warmup_epochs=0).choose().build()
    assert isinstance(built, NearestNegatives)

import numpy as np
import pytest

from sklearnloss.samplers.hierarchical import hierarchical

Y = np.repeat(np.arange(10), 12)
GROUP = Y // 3  # of 3, 3, 3 and 1 classes


def epoch(y=Y, group=GROUP, size=32, seed=0, **params):
    return list(hierarchical(y, batch_size=size, rng=np.random.default_rng(seed), group=group, **params))


@pytest.mark.parametrize("groups_per_batch", [1, 2, 3])
def test_a_batch_holds_classes_of_a_few_super_classes(groups_per_batch):
    for rows in epoch(groups_per_batch=groups_per_batch):
        assert len(set(GROUP[rows])) == groups_per_batch
        assert len(rows) <= 32


def test_each_super_class_brings_as_many_classes_as_fit():
    for rows in epoch(size=16, groups_per_batch=2, n_per_class=4):
        for g in set(GROUP[rows]):
            classes, counts = np.unique(Y[rows][GROUP[rows] == g], return_counts=True)
            assert len(classes) == (1 if g == 3 else 2)
            assert set(counts) == ({8} if g == 3 else {4})


def test_there_are_at_most_all_super_classes_and_one_alone_is_legal():
    assert {len(set(GROUP[rows])) for rows in epoch(groups_per_batch=9)} == {4}
    assert {len(set(Y[rows])) for rows in epoch(group=np.zeros_like(Y), size=32)} == {8}


def test_a_class_and_its_super_class_come_even_if_the_batch_is_too_small():
    for rows in epoch(size=2):
        assert len(rows) == 8
        assert len(set(GROUP[rows])) == 2


def test_negatives_are_more_often_of_the_same_super_class_than_in_random_batches():
    rng = np.random.default_rng(0)
    shares = []
    for batches in (epoch(), [rng.permutation(120)[:32] for _ in range(4)]):
        same = [(GROUP[rows][:, None] == GROUP[rows])[Y[rows][:, None] != Y[rows]].mean() for rows in batches]
        shares.append(np.mean(same))
    assert shares[0] > shares[1] + 0.1


def test_super_classes_and_rows_are_dealt_out_before_they_come_again():
    batches = epoch(size=24)
    assert {g for rows in batches[:2] for g in GROUP[rows]} == {0, 1, 2, 3}
    counts = np.bincount(np.concatenate(batches), minlength=120)
    for label in range(10):
        mine = counts[label * 12 : label * 12 + 12]
        assert mine.max() - mine.min() <= 1


def test_batches_follow_the_generator():
    first, again, other = (np.concatenate(epoch(seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()

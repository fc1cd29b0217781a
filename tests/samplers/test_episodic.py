import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.samplers.episodic import episodic

Y = np.repeat(np.arange(6), [20, 20, 20, 20, 3, 1])


def epoch(y=Y, size=24, seed=0, **params):
    params = {"n_support": 4, "n_query": 4, **params}
    return list(episodic(y, batch_size=size, rng=np.random.default_rng(seed), **params))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_class_has_its_support_first_and_then_other_rows_to_ask_for(seed):
    for rows in epoch(seed=seed, n_support=2, n_query=4):
        for shots in rows.reshape(-1, 6):
            assert len(set(Y[shots])) == 1
            assert not set(shots[:2]) & set(shots[2:])
            if Y[shots[0]] < 4:
                assert len(set(shots)) == 6
        assert len(set(Y[rows])) == len(rows) // 6


@pytest.mark.parametrize(("size", "ways"), [(24, 3), (8, 2), (1, 2), (1000, 5)])
def test_without_ways_as_many_classes_come_as_fit(size, ways):
    assert {len(set(Y[rows])) for rows in epoch(size=size)} == {ways}


def test_ways_are_what_the_user_says_at_most_all_classes():
    assert {len(set(Y[rows])) for rows in epoch(ways=4)} == {4}
    assert {len(set(Y[rows])) for rows in epoch(ways=50)} == {5}


def test_a_class_of_one_row_is_left_out_and_small_classes_repeat_on_their_side():
    rows = np.concatenate([shots for rows in epoch() for shots in rows.reshape(-1, 8) if Y[shots[0]] == 4])
    assert 83 not in np.concatenate(epoch())
    for shots in rows.reshape(-1, 8):
        assert set(shots) == {80, 81, 82}
        assert not set(shots[:4]) & set(shots[4:])


def test_an_epoch_has_as_many_episodes_as_fill_the_rows():
    assert len(epoch(ways=3)) == -(-len(Y) // 24)


def test_two_classes_with_two_rows_are_needed():
    with pytest.raises(DataError, match="needs two classes with two rows or more, y has 1"):
        epoch(np.array([0, 0, 0, 1]))


def test_episodes_follow_the_generator():
    first, again, other = (np.concatenate(epoch(seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()

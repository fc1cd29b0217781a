from itertools import product

import numpy as np
import pytest

from sklearnloss.strategies import batch_bald as module
from sklearnloss.strategies.bald import bald
from sklearnloss.strategies.batch_bald import batch_bald


def information(committee, rows):
    """Return the mutual information of the classes of some rows and the member, over all combinations of classes."""
    members, _, k = committee.shape
    joint = own = 0.0
    for classes in product(range(k), repeat=len(rows)):
        by_member = [np.prod([committee[m, r, c] for r, c in zip(rows, classes, strict=True)]) for m in range(members)]
        p = np.mean(by_member)
        joint -= p * np.log(p)
        own -= np.mean([q * np.log(q) for q in by_member])
    return joint - own


def greedy(committee, n):
    chosen = []
    while len(chosen) < n:
        free = [i for i in range(committee.shape[1]) if i not in chosen]
        chosen.append(max(free, key=lambda i: information(committee, [*chosen, i])))
    return chosen


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rows", "k"), [(3, 2), (5, 3)])
def test_each_row_adds_most_to_the_joint_information(seed, rows, k):
    committee = np.random.default_rng(seed).dirichlet(np.ones(k) * 0.7, size=(4, rows))
    assert batch_bald(committee, n=3, rng=np.random.default_rng(0)).tolist() == greedy(committee, 3)


def test_of_a_pair_of_equal_rows_the_second_says_nothing_new():
    disputed = [[1.0, 0.0], [1.0, 0.0], [0.3, 0.7]]  # the first two are one row twice
    other = [[0.0, 1.0], [0.0, 1.0], [0.3, 0.7]]
    third, fourth = [*disputed[:2], [0.7, 0.3]], [*other[:2], [0.7, 0.3]]
    committee = np.array([disputed, other, third, fourth])
    assert np.argsort(-bald(committee), kind="stable")[:2].tolist() == [0, 1]
    assert batch_bald(committee, n=2, rng=np.random.default_rng(0)).tolist() == [0, 2]


def test_the_first_row_is_that_of_bald():
    committee = np.random.default_rng(0).dirichlet(np.ones(3), size=(5, 200))
    for n in (1, 4):
        assert batch_bald(committee, n=n, rng=np.random.default_rng(0))[0] == bald(committee).argmax()


def test_only_the_candidates_of_bald_are_looked_at_but_never_fewer_than_are_wanted():
    committee = np.random.default_rng(0).dirichlet(np.ones(3), size=(5, 60))
    order = np.argsort(-bald(committee))
    for candidates in (1, 6):
        found = batch_bald(committee, n=6, rng=np.random.default_rng(0), candidates=candidates)
        assert set(found.tolist()) == set(order[:6].tolist())


def test_combinations_that_are_drawn_give_the_entropy_on_average():
    committee = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 5))
    joint, scale = np.ones((4, 1)), np.ones(1)
    for row in range(3):
        joint = (joint[:, :, None] * committee[:, row, None, :]).reshape(4, -1)
        scale = np.repeat(scale, 3)
    exact = module._joint_entropy(joint, scale, committee)
    rng = np.random.default_rng(0)
    draws = np.array([module._joint_entropy(*module._drawn(joint, scale, 9, rng), committee) for _ in range(3000)])
    error = np.abs(draws.mean(axis=0) - exact) / (draws.std(axis=0) / np.sqrt(3000))
    assert (error < 4).all()


def test_few_combinations_suffice_for_most_of_the_information():
    committee = np.random.default_rng(1).dirichlet(np.ones(2) * 0.5, size=(6, 12))
    exact = information(committee, batch_bald(committee, n=4, rng=np.random.default_rng(0)).tolist())
    for seed in range(3):
        rows = batch_bald(committee, n=4, rng=np.random.default_rng(seed), max_configurations=4).tolist()
        assert information(committee, rows) > 0.9 * exact


def test_blocks_of_candidates_change_nothing(monkeypatch):
    committee = np.random.default_rng(0).dirichlet(np.ones(3), size=(5, 60))
    whole = batch_bald(committee, n=5, rng=np.random.default_rng(0))
    monkeypatch.setattr(module, "BLOCK", 7)
    assert batch_bald(committee, n=5, rng=np.random.default_rng(0)).tolist() == whole.tolist()


def test_a_learner_asks_by_its_name(asked):
    found = asked("batch_bald", "digits", committee=4)
    votes = np.stack([member.predict_proba(found.pool) for member in found.learner._committee()])
    assert found.rows[0] == found.rest[bald(votes).argmax()]
    found.teach()

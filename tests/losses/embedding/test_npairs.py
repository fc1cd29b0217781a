"""N-pairs: the formula in loops, the peer's value on pairs of equal rows, NT-Xent, its limits, its miner."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from sklearnloss.functional.pairs import Extra, Mined
from sklearnloss.losses.embedding.npairs import npairs


def naive(embeddings, y, reg_weight, kept=None):
    rows, n, labels = embeddings.tolist(), len(y), y.tolist()
    values, valid = [], []
    for i in range(n):
        s = [sum(p * q for p, q in zip(rows[i], other, strict=True)) for other in rows]
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        rivals = sum(math.exp(s[k]) / labels.count(labels[k]) for k in chosen if labels[k] != labels[i])
        terms = [math.log(1 + rivals / math.exp(s[j])) for j in chosen if labels[j] == labels[i]]
        values.append(sum(terms) / len(terms) + reg_weight * s[i] if terms else 0.0)
        valid.append(float(bool(terms)))
    return torch.tensor(values, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("reg_weight", [0.0, 0.1])
def test_equals_the_formula_in_plain_loops(sizes, reg_weight, waves):
    embeddings, y = waves(*sizes)
    assert_close(npairs(embeddings, y, reg_weight=reg_weight), naive(embeddings, y, reg_weight))


def test_is_the_cross_entropy_of_the_paper_where_both_rows_of_a_class_are_equal(waves):
    rows, _ = waves(5)
    values, valid = npairs(rows.repeat(2, 1), torch.arange(5).repeat(2), reg_weight=0.0)
    wanted = cross_entropy(rows @ rows.T, torch.arange(5), reduction="none")  # as pytorch-metric-learning has it
    assert_close(values, wanted.repeat(2))
    assert (valid == 1).all()


def test_a_row_that_is_there_twice_is_no_stronger_a_rival(waves):
    embeddings, y = waves(2, 1)
    twice = torch.cat([embeddings, embeddings[2:]])
    values, _ = npairs(twice, torch.tensor([0, 0, 1, 1]), reg_weight=0.0)
    assert_close(values[:2], npairs(embeddings, y, reg_weight=0.0)[0][:2])


def test_a_further_negative_of_an_anchor_is_a_class_of_its_own(waves):
    embeddings, y = waves(2, 2)
    own, _ = waves(8)
    values, _ = npairs(embeddings, y, reg_weight=0.0, pairs=Mined(extra=(Extra(own.reshape(4, 2, 4)),)))
    classes = torch.cat([y, torch.tensor([7, 8])])
    for i in range(4):
        alone = npairs(torch.cat([embeddings, own.reshape(4, 2, 4)[i]]), classes, reg_weight=0.0)[0]
        assert_close(values[i], alone[i])


def test_is_zero_without_negatives_or_without_positives():
    for y, count in ((torch.zeros(3, dtype=torch.long), 1), (torch.arange(3), 0)):
        values, valid = npairs(torch.eye(3), y, reg_weight=0.0)
        assert (values == 0).all()
        assert (valid == count).all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    assert_close(npairs(embeddings, y, pairs=keeping(mask)), naive(embeddings, y, 0.002, mask))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2, 1)])
def test_has_the_gradient_of_its_value_to_the_second_order(sizes, waves):
    embeddings, y = waves(*sizes)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: npairs(e, y)[0], embeddings)

import torch

from sklearnloss.functional.mining import (
    as_pairs,
    at_farthest,
    at_nearest,
    mine,
    of_negatives,
    of_positives,
    unit_columns,
)
from sklearnloss.functional.pairs import Extra


def rows(n=300, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=generator), torch.arange(n) % classes


def test_a_mask_of_partners_and_columns_holds_each_pair_and_no_padding():
    embeddings, y = rows(7, 3)  # classes of 3, 2 and 2 rows: partners are padded

    def everything(block):
        return as_pairs(block, block.is_positive, torch.ones_like(block.is_negative))

    assert torch.equal(mine(everything, embeddings, y), ~torch.eye(7, dtype=torch.bool))


def test_an_extreme_is_the_first_of_equal_ones_and_none_where_there_is_no_value():
    inf = torch.inf
    assert at_farthest(torch.tensor([[1.0, -inf, 3.0], [2.0, 2.0, 1.0], [-inf, -inf, -inf]])).int().tolist() == [
        [0, 0, 1],
        [1, 0, 0],
        [0, 0, 0],
    ]
    assert at_nearest(torch.tensor([[1.0, inf, 3.0], [2.0, 1.0, 1.0], [inf, inf, inf]])).int().tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 0],
    ]


def test_the_blocks_of_a_batch_are_put_together_in_order():
    embeddings, y = rows(1500)
    assert torch.equal(mine(lambda block: block.is_negative, embeddings, y), y[:, None] != y)


def test_values_of_positives_and_negatives_are_those_of_the_block():
    embeddings, y = rows(9)

    def agree(block):
        assert torch.equal(of_positives(block, block.values, -1.0), block.positives(-1.0))
        assert torch.equal(of_negatives(block, block.values, -1.0), block.negatives(-1.0))
        return block.is_negative

    mine(agree, embeddings, y)


def test_columns_come_with_length_one_and_without_a_gradient():
    embeddings, y = rows(9)
    further = embeddings[:, None] * 3

    def lengths(block):
        columns, negatives = unit_columns(block)
        assert not columns.requires_grad
        torch.testing.assert_close(columns.norm(dim=1), torch.ones(9))
        torch.testing.assert_close(negatives.norm(dim=2), torch.ones(9, 1))
        return block.is_negative

    assert mine(lengths, embeddings.requires_grad_(), y, compare=torch.cdist, extra=(Extra(further),)).shape == (9, 10)

"""All: a loss does what it does without a miner."""

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Extra, Kept, Mined
from sklearnloss.losses.embedding.contrastive import contrastive
from sklearnloss.losses.embedding.supcon import supcon
from sklearnloss.losses.embedding.triplet import triplet
from sklearnloss.miners.all import all as every

MINED = Mined(select=lambda block: Kept(pairs=every(block)))


@pytest.mark.parametrize("loss", [contrastive, supcon, triplet])
def test_a_loss_does_what_it_does_without_a_miner(loss, scattered):
    assert_close(loss(*scattered, pairs=MINED), loss(*scattered))


def test_columns_that_were_added_are_kept_as_well(scattered):
    embeddings, y = scattered
    assert mine(every, embeddings, y, extra=(Extra(embeddings[:3], y[:3]),)).shape == (14, 17)
    assert mine(every, embeddings, y, extra=(Extra(embeddings[:3, None].expand(3, 2, 5)[[0] * 14]),)).all()


def test_a_batch_of_one_row_is_legal():
    assert mine(every, torch.ones(1, 2), torch.zeros(1, dtype=torch.int64)).tolist() == [[True]]

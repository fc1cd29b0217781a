"""The hardest share of all pairs: the peer's pairs, limits, one kind missing."""

import pytest
import torch

from sklearnloss.miners.hdc import hdc

# from pytorch_metric_learning.miners.HDCMiner(0.2), 2.9.0, on the arc
POSITIVES = {(0, 3), (1, 3), (3, 0), (3, 1)}
NEGATIVES = {
    (0, 4), (1, 4), (1, 5), (2, 5), (2, 7), (4, 0), (4, 1), (5, 1), (5, 2), (5, 7), (6, 8), (7, 2), (7, 5), (8, 6),
}  # fmt: skip


def test_keeps_the_pairs_of_the_peer(arc):
    found = set(map(tuple, hdc(*arc, fraction=0.2).nonzero().tolist()))
    assert found == POSITIVES | NEGATIVES


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.7])
def test_keeps_the_share_of_each_kind_and_nothing_easier(scattered, fraction):
    embeddings, y = scattered
    kept = hdc(embeddings, y, fraction=fraction)
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    cosines, first = unit @ unit.T, torch.ones(14, 14, dtype=torch.bool).triu(1)
    assert torch.equal(kept, kept.T)
    for kind, sign in ((y[:, None] == y, -1), (y[:, None] != y, 1)):
        chosen, left = sign * cosines[kind & first & kept], sign * cosines[kind & first & ~kept]
        assert len(chosen) == -(-int((kind & first).sum()) * fraction // 1)
        assert chosen.min() > left.max()


def test_the_whole_share_is_every_pair(scattered):
    assert torch.equal(hdc(*scattered, fraction=1.0), ~torch.eye(14, dtype=torch.bool))


def test_equally_hard_pairs_stay_together():
    assert torch.equal(hdc(torch.ones(4, 2), torch.tensor([0, 0, 1, 1]), fraction=0.1), ~torch.eye(4, dtype=torch.bool))


@pytest.mark.parametrize("labels", [torch.zeros(4, dtype=torch.int64), torch.arange(4)])
def test_a_batch_without_one_kind_keeps_of_the_other(arc, labels):
    kept = hdc(arc[0][:4], labels, fraction=0.5)
    assert kept.sum() == 6
    assert not kept.diagonal().any()

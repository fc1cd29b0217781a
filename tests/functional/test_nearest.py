import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from sklearnloss.functional import nearest
from sklearnloss.functional.nearest import draw, nearest_rows


def rows(n=30, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64), torch.arange(n) % 3


def test_finds_the_rows_that_a_search_by_brute_force_finds():
    embeddings, _ = rows()
    peer = NearestNeighbors(n_neighbors=6, metric="cosine", algorithm="brute").fit(embeddings.numpy())
    index, count = nearest_rows(embeddings, 5)
    assert np.array_equal(index.numpy(), peer.kneighbors(return_distance=False)[:, :5])
    assert count.tolist() == [5] * 30


def test_with_classes_finds_the_nearest_of_other_classes():
    embeddings, y = rows()
    index, _ = nearest_rows(embeddings, 30, y=y)
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    for i in range(30):
        others = [j for j in range(30) if y[j] != y[i]]
        assert index[i, :20].tolist() == sorted(others, key=lambda j: -float(unit[i] @ unit[j]))


@pytest.mark.parametrize(("k", "found"), [(9, [2, 1, 1]), (2, [2, 1, 1]), (1, [1, 1, 1]), (0, [0, 0, 0])])
def test_counts_how_many_there_are(k, found):
    index, count = nearest_rows(rows(3)[0], k, y=torch.tensor([0, 1, 1]))
    assert index.shape == (3, min(k, 3))
    assert count.tolist() == found


def test_the_height_of_blocks_changes_nothing(monkeypatch):
    embeddings, y = rows()
    whole = nearest_rows(embeddings, 4, y=y)
    monkeypatch.setitem(nearest.ENTRIES, "cpu", 100)
    for part, wanted in zip(nearest_rows(embeddings, 4, y=y), whole, strict=True):
        assert torch.equal(part, wanted)


def test_zero_vectors_and_half_precision_are_legal():
    index, count = nearest_rows(torch.zeros(3, 2, dtype=torch.bfloat16), 2)
    assert [sorted(row) for row in index.tolist()] == [[1, 2], [0, 2], [0, 1]]
    assert count.tolist() == [2, 2, 2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draws_all_that_are_meant_equally_often_and_nothing_else(seed):
    index, count = torch.tensor([[4, 5, 6], [7, 8, 9]]), torch.tensor([3, 2])
    drawn = draw(index, count, 3000, torch.Generator().manual_seed(seed))
    for row, numbers in zip(drawn, ([4, 5, 6], [7, 8]), strict=True):
        found, counts = row.unique(return_counts=True)
        assert found.tolist() == numbers
        assert (counts / 3000 - 1 / len(numbers)).abs().max() < 0.04

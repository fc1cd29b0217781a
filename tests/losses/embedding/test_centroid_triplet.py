import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.centroid_triplet import centroid_triplet


def batch(labels=(0, 0, 0, 1, 1, 2), d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(labels), d, dtype=torch.float64, generator=generator), torch.tensor(labels)


def naive(embeddings, y, margin=0.5, smooth=False):
    n, rows, labels = len(y), embeddings.tolist(), y.tolist()

    def mean(members):
        return [sum(rows[i][j] for i in members) / len(members) for j in range(len(rows[0]))]

    totals, valid = [], []
    for i in range(n):
        others = [j for j in range(n) if labels[j] == labels[i] and j != i]
        wrong = [
            math.dist(rows[i], mean([j for j in range(n) if labels[j] == c])) for c in set(labels) if c != labels[i]
        ]
        if not others or not wrong:
            totals.append(0.0)
            valid.append(0.0)
            continue
        gap = math.dist(rows[i], mean(others)) - min(wrong) + margin
        totals.append(math.log1p(math.exp(gap)) if smooth else max(0.0, gap))
        valid.append(1.0)
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("labels", [(0, 0, 0, 1, 1, 2), (3, 1, 3, 1, 1), (0, 0, 1, 1, 2, 2, 2)])
def test_equals_the_formula_in_plain_loops(labels, smooth):
    embeddings, y = batch(labels=labels)
    assert_close(centroid_triplet(embeddings, y, smooth=smooth), naive(embeddings, y, smooth=smooth))


def test_of_two_rows_a_class_the_other_row_is_the_positive():
    embeddings, y = batch(labels=(0, 0, 1, 1))
    totals, _ = centroid_triplet(embeddings, y, margin=2.0)
    means = torch.stack(
        [embeddings[2:].mean(0), embeddings[2:].mean(0), embeddings[:2].mean(0), embeddings[:2].mean(0)]
    )
    wanted = torch.nn.functional.triplet_margin_loss(
        embeddings, embeddings[[1, 0, 3, 2]], means, margin=2.0, reduction="none", eps=0.0
    )
    assert_close(totals, wanted)


def test_a_row_is_no_part_of_its_own_centroid():
    embeddings = torch.tensor([[0.0], [2.0], [2.0], [50.0]], dtype=torch.float64, requires_grad=True)
    totals, _ = centroid_triplet(embeddings, torch.tensor([0, 0, 0, 1]), margin=100.0)
    (gradient,) = torch.autograd.grad(totals[0], embeddings)
    assert_close(totals[0].detach(), torch.tensor(2.0 - 50.0 + 100.0, dtype=torch.float64))
    assert_close(gradient[:, 0], torch.tensor([-1.0 + 1.0, 0.5, 0.5, -1.0], dtype=torch.float64))


def test_equal_embeddings_cost_the_margin():
    totals, _ = centroid_triplet(torch.ones(6, 3), torch.tensor([0, 0, 1, 1, 2, 2]), margin=0.3)
    assert_close(totals, torch.full((6,), 0.3))


def test_is_zero_for_tight_classes_farther_apart_than_the_margin():
    embeddings = torch.tensor([[0.0, 0.0], [0.1, 0.0], [3.0, 0.0], [3.1, 0.0]])
    assert centroid_triplet(embeddings, torch.tensor([0, 0, 1, 1]))[0].abs().max() == 0


def test_a_class_of_one_row_is_no_anchor_but_a_rival():
    embeddings, y = batch(labels=(0, 0, 1))
    totals, valid = centroid_triplet(embeddings, y)
    assert valid.tolist() == [1.0, 1.0, 0.0]
    assert_close(totals, naive(embeddings, y)[0])


@pytest.mark.parametrize("labels", [(0, 0, 0), (0, 1, 2), (0,)])
def test_nothing_valid_gives_zero_with_a_valid_gradient(labels):
    embeddings, y = batch(labels=labels)
    totals, valid = centroid_triplet(embeddings.requires_grad_(), y)
    (gradient,) = torch.autograd.grad(totals.sum(), embeddings)
    assert totals.abs().max() == valid.max() == gradient.abs().max() == 0


def test_gradients_agree_with_differences():
    embeddings, y = batch()
    assert torch.autograd.gradcheck(lambda e: centroid_triplet(e, y, margin=2.0)[0], embeddings.requires_grad_())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_wrong_label_costs_its_own_row_only(seed):
    generator = torch.Generator().manual_seed(seed)
    embeddings = 0.1 * torch.randn(20, 2, generator=generator, dtype=torch.float64)
    embeddings[10:] += 5
    y = torch.tensor([0] * 9 + [1] * 11)  # row 9 lies among class 0 and is said to be 1
    totals, _ = centroid_triplet(embeddings, y)
    assert totals[9] > 4
    assert (totals[torch.arange(20) != 9] == 0).all()

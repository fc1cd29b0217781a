"""Multi-similarity: worked numbers, the formula in loops, the limits, anchors without a positive."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.multi_similarity import multi_similarity

PRESETS = {"paper": (2.0, 50.0, 1.0), "authors' code": (2.0, 40.0, 0.5), "pytorch-metric-learning": (2.0, 50.0, 0.5)}


def anchor_with(positives, negatives):
    """Row 0 has exactly these cosines with the others."""
    rows = [(1.0, 0.0)] + [(s, math.sqrt(1 - s * s)) for s in (*positives, *negatives)]
    labels = [0] * (1 + len(positives)) + [1] * len(negatives)
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(labels)


def random_batch(labels=(0, 0, 0, 1, 1, 2, 2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(labels), 4, dtype=torch.float64, generator=generator), torch.tensor(labels)


def naive(embeddings, y, alpha, beta, lam, kept=None):
    totals, valid = [], []
    for i in range(len(y)):
        pull = push = 0.0
        positives = 0
        for j in range(len(y)):
            if i == j:
                continue
            a, b = embeddings[i].tolist(), embeddings[j].tolist()
            s = sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
            positives += int(y[i] == y[j])
            if kept is not None and not kept[i, j]:
                continue
            if y[i] == y[j]:
                pull += math.exp(-alpha * (s - lam))
            else:
                push += math.exp(beta * (s - lam))
        totals.append(math.log1p(pull) / alpha + math.log1p(push) / beta if positives else 0.0)
        valid.append(1.0 if positives else 0.0)
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("preset", PRESETS)
def test_equals_the_formula_in_plain_loops(preset):
    alpha, beta, lam = PRESETS[preset]
    embeddings, y = random_batch(labels=(0, 0, 0, 1, 1, 2))
    assert_close(
        multi_similarity(embeddings, y, alpha=alpha, beta=beta, lam=lam), naive(embeddings, y, *PRESETS[preset])
    )


@pytest.mark.parametrize(
    ("positives", "negatives", "lam", "expected"),
    [
        ((0.8, 0.6), (0.7, 0.3), 0.5, 0.630927),
        ((0.6,), (0.7,), 0.5, 0.499070),  # the pairs that the paper's miner keeps of those above
        ((0.6,), (0.7,), 1.0, 0.585550),
    ],
)
def test_gives_the_worked_numbers(positives, negatives, lam, expected):
    totals, _ = multi_similarity(*anchor_with(positives, negatives), alpha=2.0, beta=50.0, lam=lam)
    assert totals[0].item() == pytest.approx(expected, abs=1e-6)


def test_the_defaults_are_the_constants_of_the_paper():
    batch = random_batch()
    assert_close(multi_similarity(*batch), naive(*batch, 2.0, 50.0, 0.5))


def test_the_three_sets_of_constants_differ():
    batch = anchor_with((0.8, 0.6), (0.51, 0.3))
    values = {round(multi_similarity(*batch, alpha=a, beta=b, lam=c)[0][0].item(), 4) for a, b, c in PRESETS.values()}
    assert len(values) == 3


@pytest.mark.parametrize(("lam", "hinge"), [(0.5, 0.2), (0.9, 0.0)])
def test_large_beta_leaves_the_hinge_of_the_hardest_negative(lam, hinge):
    totals, _ = multi_similarity(*anchor_with((0.8,), (0.7, 0.3)), beta=1e6, lam=lam)
    pull = math.log1p(math.exp(-2.0 * (0.8 - lam))) / 2.0
    assert totals[0].item() == pytest.approx(pull + hinge, abs=1e-5)


@pytest.mark.parametrize(("lam", "hinge"), [(0.9, 0.3), (0.5, 0.0)])
def test_large_alpha_leaves_the_hinge_of_the_hardest_positive(lam, hinge):
    totals, _ = multi_similarity(*anchor_with((0.8, 0.6), (-0.9,)), alpha=1e6, lam=lam)
    assert totals[0].item() == pytest.approx(hinge, abs=1e-5)


def test_negatives_weigh_like_a_softmax_with_an_added_zero():
    s = torch.tensor([0.7, 0.3], dtype=torch.float64)
    embeddings, y = anchor_with((0.8,), s.tolist())
    embeddings.requires_grad_()
    (gradient,) = torch.autograd.grad(multi_similarity(embeddings, y, beta=5.0, lam=0.5)[0][0], embeddings)
    pairs = torch.exp(5.0 * (s - 0.5))
    expected = pairs / (1 + pairs.sum())
    tangent = torch.stack([1 - s.square(), -s * (1 - s.square()).sqrt()], dim=1)  # of the cosine on the unit circle
    assert_close(gradient[2:], expected[:, None] * tangent)


def test_an_anchor_without_a_positive_is_skipped_and_pushes_nothing():
    embeddings, y = random_batch(labels=(0, 0, 1))
    embeddings.requires_grad_()
    totals, valid = multi_similarity(embeddings, y)
    assert valid.tolist() == [1.0, 1.0, 0.0]
    assert totals[2] == 0
    (gradient,) = torch.autograd.grad(totals[2], embeddings)
    assert_close(gradient, torch.zeros_like(gradient))


def test_a_batch_without_any_positive_gives_zero_with_a_valid_graph():
    embeddings, y = random_batch(labels=(0, 1, 2))
    embeddings.requires_grad_()
    totals, valid = multi_similarity(embeddings, y)
    assert_close(totals, torch.zeros_like(totals))
    assert valid.sum() == 0
    totals.sum().backward()
    assert_close(embeddings.grad, torch.zeros_like(embeddings))


def test_an_anchor_without_a_negative_keeps_its_pull():
    embeddings, y = random_batch(labels=(0, 0, 0))
    totals, valid = multi_similarity(embeddings, y, lam=1.0)
    assert_close((totals, valid), naive(embeddings, y, *PRESETS["paper"]))
    assert (totals > 0).all()


def test_an_exact_duplicate_is_a_positive_unlike_in_the_authors_code():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    totals, valid = multi_similarity(embeddings, torch.tensor([0, 0, 1]), lam=1.0)
    assert valid.tolist() == [1.0, 1.0, 0.0]
    assert totals[0].item() == pytest.approx(math.log(2) / 2, abs=1e-12)


def test_the_length_of_the_embeddings_does_not_matter():
    embeddings, y = random_batch()
    lengths = torch.linspace(0.1, 30.0, len(y), dtype=torch.float64)[:, None]
    assert_close(multi_similarity(lengths * embeddings, y), multi_similarity(embeddings, y))


def test_gradients_agree_with_differences():
    embeddings, y = random_batch(labels=(0, 0, 0, 1, 1, 2))
    assert torch.autograd.gradcheck(
        lambda e: multi_similarity(e, y, alpha=2.0, beta=10.0, lam=0.5)[0], embeddings.requires_grad_()
    )


def test_keeps_the_pairs_of_a_miner_and_counts_anchors_left_without_any(coins, keeping):
    embeddings, y = random_batch()
    mask = coins(7, 7)
    mask[0] = False
    totals, valid = multi_similarity(embeddings, y, lam=0.5, pairs=keeping(mask))
    assert_close((totals, valid), naive(embeddings, y, 2.0, 50.0, 0.5, mask))
    assert totals[0] == 0
    assert valid[0] == 1


@pytest.mark.parametrize("sizes", [(3, 3), (4, 2, 1)])
def test_has_second_derivatives(sizes, waves):
    embeddings, y = waves(*sizes, d=3)
    assert torch.autograd.gradgradcheck(
        lambda e: multi_similarity(e, y, beta=10.0, lam=0.5)[0], embeddings.requires_grad_()
    )

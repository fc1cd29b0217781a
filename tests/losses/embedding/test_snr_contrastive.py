"""SNR contrastive: worked distances, the formula in loops, the peer's numbers, what the distance does not see."""

import statistics

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss.functional.vectors import signal_to_noise
from sklearnloss.losses.embedding.snr_contrastive import snr_contrastive


def naive(embeddings, y, pos_margin, neg_margin, reg_weight, kept=None):
    """The reduced value."""
    rows, n = embeddings.tolist(), len(y)
    pull, push = [], []
    for i in range(n):
        for j in range(n):
            if i == j or (kept is not None and not kept[i, j]):
                continue
            noise = statistics.variance([a - b for a, b in zip(rows[i], rows[j], strict=True)])
            d = noise / statistics.variance(rows[i])
            if y[i] == y[j]:
                pull.append(max(0.0, d - pos_margin))
            else:
                push.append(max(0.0, neg_margin - d))
    means = [sum(terms) / max(1, sum(t > 0 for t in terms)) for terms in (pull, push)]
    return sum(means) + reg_weight * statistics.mean(abs(sum(row)) for row in rows)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 3, 1)])
@pytest.mark.parametrize("params", [(0.0, 1.0, 0.005), (0.5, 2.0, 0.0)])
def test_equals_the_formula_in_plain_loops(sizes, params, waves):
    embeddings, y = waves(*sizes)
    names = ("pos_margin", "neg_margin", "reg_weight")
    value = snr_contrastive(embeddings, y, **dict(zip(names, params, strict=True))).mean()
    assert value.item() == pytest.approx(naive(embeddings, y, *params))


# pytorch-metric-learning 2.9.0, SignalToNoiseRatioContrastiveLoss(pos_margin, neg_margin), which makes unit vectors
@pytest.mark.parametrize(
    ("sizes", "margins", "expected"),
    [
        ((4, 4, 4, 4), (0.0, 1.0), (3.30164713877, 7.45600396517, 4.54266637728)),
        ((5, 2, 3), (0.0, 1.0), (2.37947065429, 2.40447692295, 2.07997264458)),
        ((4, 4, 4, 4), (0.2, 1.5), (3.41388867002, 7.48482604562, 4.5907785371)),
        ((5, 2, 3), (0.2, 1.5), (2.43921432092, 2.10377105067, 1.87665365125)),
    ],
)
def test_agrees_with_the_peer_on_unit_vectors(sizes, margins, expected, measured):
    def on_unit_vectors(embeddings, y):
        unit = normalize(embeddings, dim=1)
        return snr_contrastive(unit, y, pos_margin=margins[0], neg_margin=margins[1], reg_weight=0.0)

    found = measured(on_unit_vectors, sizes)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_gives_the_worked_distances():
    rows = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 6.0]], dtype=torch.float64)
    assert_close(signal_to_noise(rows, rows), torch.tensor([[0.0, 0.6], [3 / 14, 0.0]]).double(), atol=1e-6, rtol=0)


def test_the_distance_sees_neither_a_common_factor_nor_a_constant(waves):
    a, _ = waves(4)
    assert_close(signal_to_noise(7 * a, 7 * a), signal_to_noise(a, a))
    assert_close(signal_to_noise(a, a + 3.0), signal_to_noise(a, a))


def test_the_regularizer_sees_the_constant_that_the_distance_does_not(waves):
    embeddings, y = waves(3, 3)
    centered = embeddings - embeddings.mean(1, keepdim=True)
    moved = centered + 0.5
    assert_close(snr_contrastive(moved, y, reg_weight=0.0), snr_contrastive(centered, y, reg_weight=0.0))
    difference = snr_contrastive(moved, y, reg_weight=0.1) - snr_contrastive(centered, y, reg_weight=0.1)
    assert_close(difference, torch.full((6,), 0.1 * 4 * 0.5, dtype=torch.float64))


def test_a_constant_row_is_at_distance_zero_without_a_gradient():
    rows = torch.tensor([[1.0, 1.0, 1.0], [0.0, 2.0, -2.0]], requires_grad=True)
    distances = signal_to_noise(rows, rows)
    assert (distances[0] == 0).all()
    (gradient,) = torch.autograd.grad(distances[0].sum(), rows)
    assert (gradient == 0).all()


def test_keeps_the_pairs_of_a_miner(waves, coins, keeping):
    embeddings, y = waves(4, 3, 2)
    mask = coins(9, 9)
    value = snr_contrastive(embeddings, y, pairs=keeping(mask)).mean()
    assert value.item() == pytest.approx(naive(embeddings, y, 0.0, 1.0, 0.005, mask))


def test_has_the_gradient_of_its_value_to_the_second_order(waves):
    embeddings, y = waves(3, 2, 1)
    embeddings.requires_grad_()
    for function in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert function(lambda e: snr_contrastive(e, y, pos_margin=0.2, neg_margin=1.5), embeddings)

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.icnn import icnn


def batch(labels=(0, 0, 0, 1, 1, 1, 1, 2), d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(labels), d, dtype=torch.float64, generator=generator), torch.tensor(labels)


def naive(embeddings, y, k=5, p=1.0, q=1.0, r=1.0, eps=1e-6):
    n, rows, totals, valid = len(y), embeddings.tolist(), [], []
    for i in range(n):
        others = sorted((math.dist(rows[i], rows[j]), j) for j in range(n) if j != i)
        own = [d for d, j in others if y[j] == y[i]]
        wrong = [d for d, j in others if y[j] != y[i]]
        if not own or not wrong:
            totals.append(0.0)
            valid.append(0.0)
            continue
        wanted = min(k, len(own))
        a = sum(own[:wanted]) / wanted
        b = sum(wrong[:wanted]) / len(wrong[:wanted])
        mean = sum(own) / len(own)
        spread = math.sqrt(sum((d - mean) ** 2 for d in own) / len(own))
        separation, evenness = b / (a + b + eps), 1 - spread / (max(own) + eps)
        purity = sum(int(y[j] == y[i]) for _, j in others[:wanted]) / wanted
        totals.append(-p * math.log(separation + eps) - q * math.log(evenness + eps) - r * math.log(purity + eps))
        valid.append(1.0)
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize(("k", "p", "q", "r"), [(5, 1.0, 1.0, 1.0), (1, 1.0, 1.0, 1.0), (2, 0.5, 2.0, 0.0)])
def test_equals_the_formula_in_plain_loops(k, p, q, r):
    embeddings, y = batch()
    assert_close(icnn(embeddings, y, k=k, p=p, q=q, r=r), naive(embeddings, y, k, p, q, r))


def test_goes_to_zero_where_the_rows_of_a_class_coincide():
    for distance in (1e-1, 1e-3, 0.0):
        embeddings = torch.tensor([[0.0], [distance], [5.0], [5.0 + distance]], dtype=torch.float64)
        totals, _ = icnn(embeddings, torch.tensor([0, 0, 1, 1]))
        assert (totals <= distance / 4 + 1e-5).all()


def test_is_the_logarithm_of_two_where_own_and_other_neighbours_are_as_near():
    embeddings = torch.tensor([[0.0], [1.0], [-1.0]], dtype=torch.float64)
    totals, _ = icnn(embeddings, torch.tensor([0, 0, 1]), p=1.0, q=0.0, r=0.0)
    assert totals[0].item() == pytest.approx(0.693147, abs=2e-6)


def test_a_row_with_wrong_neighbours_only_still_has_a_gradient():
    embeddings = torch.tensor([[0.0], [0.1], [5.0]], dtype=torch.float64, requires_grad=True)
    totals, valid = icnn(embeddings, torch.tensor([0, 1, 0]))
    (gradient,) = torch.autograd.grad(totals[0], embeddings)
    assert valid.tolist() == [1.0, 0.0, 1.0]
    assert totals[0] > -math.log(1e-5)
    assert gradient[2] > 0  # its own class comes nearer
    assert gradient[1] < 0  # the other one goes away, over it


def test_shift_and_scale_of_embeddings_do_not_matter():
    embeddings, y = batch()
    assert_close(icnn(7 * embeddings + 3, y), icnn(embeddings, y), atol=1e-4, rtol=0)


@pytest.mark.parametrize("labels", [(0, 0, 0), (0, 1, 2), (0,)])
def test_nothing_valid_gives_zero_with_a_valid_gradient(labels):
    embeddings, y = batch(labels=labels)
    totals, valid = icnn(embeddings.requires_grad_(), y)
    (gradient,) = torch.autograd.grad(totals.sum(), embeddings)
    assert totals.abs().max() == valid.max() == gradient.abs().max() == 0


def test_gradients_agree_with_differences():
    embeddings, y = batch()
    assert torch.autograd.gradcheck(lambda e: icnn(e, y)[0], embeddings.requires_grad_())

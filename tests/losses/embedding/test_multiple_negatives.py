import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.multiple_negatives import multiple_negatives


def views(n=6, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, n, d, dtype=torch.float64, generator=generator)


def naive(a, b, scale, symmetric):
    def cosine(p, q):
        return sum(x * y for x, y in zip(p, q, strict=True)) / (math.hypot(*p) * math.hypot(*q))

    a, b, values = a.tolist(), b.tolist(), []
    for i in range(len(a)):
        own = scale * cosine(a[i], b[i])
        value = math.log(sum(math.exp(scale * cosine(a[i], b[j])) for j in range(len(b)))) - own
        if symmetric:
            value += math.log(sum(math.exp(scale * cosine(a[j], b[i])) for j in range(len(a)))) - own
        values.append(value)
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_equals_the_formula_in_plain_loops(scale, symmetric):
    a, b = views()
    assert_close(multiple_negatives(a, b, scale=scale, symmetric=symmetric), naive(a, b, scale, symmetric))


def test_is_infonce_with_a_temperature_of_one_over_scale():
    a, b = views()
    table = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2) / 0.05
    assert_close(multiple_negatives(a, b, scale=20.0), -torch.log_softmax(table, 1).diagonal())


def test_one_pair_has_nothing_to_lose():
    a, b = views(n=1)
    assert multiple_negatives(a, b, symmetric=True).item() == 0


def test_is_about_zero_where_pairs_agree_and_others_are_orthogonal():
    values = multiple_negatives(torch.eye(5), torch.eye(5))
    assert_close(values, torch.full((5,), 4 * math.exp(-20.0)), atol=1e-6, rtol=0)


def test_is_the_log_of_the_batch_for_equal_embeddings():
    assert_close(multiple_negatives(torch.ones(7, 3), torch.ones(7, 3)), torch.full((7,), math.log(7)))


def test_only_the_symmetric_one_lets_views_change_places():
    a, b = views()
    assert_close(multiple_negatives(a, b, symmetric=True), multiple_negatives(b, a, symmetric=True))
    assert not torch.allclose(multiple_negatives(a, b), multiple_negatives(b, a))


def test_does_not_see_the_length_of_embeddings():
    a, b = views()
    assert_close(multiple_negatives(1e-3 * a, 1e3 * b), multiple_negatives(a, b))


@pytest.mark.parametrize("symmetric", [False, True])
def test_gradients_agree_with_differences(symmetric):
    a, b = views()
    assert torch.autograd.gradcheck(
        lambda a, b: multiple_negatives(a, b, scale=5.0, symmetric=symmetric), (a.requires_grad_(), b.requires_grad_())
    )


def test_a_row_of_zeros_has_no_gradient_and_does_no_harm():
    a, b = views()
    a[0] = 0
    a.requires_grad_()
    (gradient,) = torch.autograd.grad(multiple_negatives(a, b).sum(), a)
    assert gradient[0].abs().max() == 0
    assert torch.isfinite(gradient).all()

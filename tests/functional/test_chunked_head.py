import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss.functional.chunked_head import chunked_cross_entropy, dense_cross_entropy


def batch(n=7, k=23, d=5, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tensors = [
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype) for shape in ((n, d), (k, d), (k,))
    ]
    return [t.requires_grad_() for t in tensors], torch.randint(k, (n,), generator=generator)


@pytest.mark.parametrize("chunk", [1, 4, 23, 100])
@pytest.mark.parametrize("softcap", [0.0, 2.0])
@pytest.mark.parametrize("of", ["value", "lse", "both"])
def test_equals_all_logits_at_once_in_value_and_gradient(chunk, softcap, of):
    tensors, y = batch()
    found, wanted = [], []
    for store, function in (
        (found, lambda: chunked_cross_entropy(*tensors, y, chunk=chunk, softcap=softcap)),
        (wanted, lambda: dense_cross_entropy(*tensors, y, softcap)),
    ):
        values, lse = function()
        scale = torch.arange(1.0, 8.0, dtype=torch.float64)
        total = {"value": (scale * values).sum(), "lse": (scale * lse.square()).sum(), "both": (values + lse**2).sum()}
        store += [values, lse, *torch.autograd.grad(total[of], tensors)]
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b, atol=1e-12, rtol=1e-12)


def test_is_the_cross_entropy_of_torch():
    (hidden, weight, bias), y = batch()
    values = chunked_cross_entropy(hidden, weight, bias, y, chunk=6)[0]
    assert_close(values, F.cross_entropy(F.linear(hidden, weight, bias), y, reduction="none"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keeps_precision_and_extremes(dtype):
    (hidden, weight, bias), y = batch(dtype=dtype)
    far = (200 * hidden.detach()).requires_grad_()
    values, lse = chunked_cross_entropy(far, weight, bias, y, chunk=5)
    gradients = torch.autograd.grad(values.sum(), (far, weight, bias))
    assert values.dtype == lse.dtype == dtype
    assert all(g.dtype == dtype and bool(g.isfinite().all()) for g in gradients)
    assert (values.float() >= -1).all()


def test_second_derivatives_and_vmap_are_those_of_all_logits():
    tensors, y = batch(3, 6, 2)
    assert torch.autograd.gradcheck(lambda *t: chunked_cross_entropy(*t, y, chunk=2)[0], tensors)
    assert torch.autograd.gradgradcheck(lambda *t: chunked_cross_entropy(*t, y, chunk=2)[0], tensors)
    stacked = torch.stack([tensors[0].detach(), 2 * tensors[0].detach()])
    mapped = torch.vmap(lambda h: chunked_cross_entropy(h, tensors[1], tensors[2], y, chunk=2)[0])(stacked)
    assert_close(mapped[1], dense_cross_entropy(stacked[1], tensors[1], tensors[2], y)[0])


def test_chunks_of_improbable_classes_are_skipped():
    (hidden, weight, bias), y = batch()
    low = bias.detach().clone()
    low[10:20] = -40.0  # one chunk that nobody is of
    y = y % 10
    exact, skipped = (
        torch.autograd.grad(chunked_cross_entropy(hidden, weight, low, y, chunk=10, skip=s)[0].sum(), (hidden, weight))
        for s in (0.0, 1e-9)
    )
    assert_close(exact, skipped, atol=1e-12, rtol=1e-9)
    assert (skipped[1][10:20] == 0).all()
    assert (exact[1][10:20] != 0).all()


def test_no_tensor_as_large_as_all_logits_is_made():
    (hidden, weight, bias), y = batch(64, 4000, 3)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            largest = max(
                [largest, *(t.numel() for t in torch.utils._pytree.tree_leaves(result) if hasattr(t, "numel"))]
            )
            return result

    with Watch():
        chunked_cross_entropy(hidden, weight, bias, y, chunk=100)[0].sum().backward()
    assert largest <= 4000 * 3  # the gradient of the weights; all logits would be 256,000

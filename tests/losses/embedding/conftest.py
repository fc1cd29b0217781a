"""Batches that are the same on every machine, and miners that keep what a test says."""

import pytest
import torch

from sklearnloss.functional.pairs import Kept, Mined


def waves_of(*sizes, d=4):
    """Rows without any chance in them, classes of these sizes."""
    n = sum(sizes)
    steps = torch.arange(1, n * d + 1, dtype=torch.float64).reshape(n, d)
    y = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return torch.sin(steps.square() / 7) + 0.3 * torch.cos(3.0 * y[:, None] + steps % d), y


def mean_of(result):
    """Return a loss as it is reduced: the sum over the units by their number."""
    if not isinstance(result, tuple):
        return result.mean()
    totals, valid = result
    return totals.sum() / valid.sum().clamp(min=1)


@pytest.fixture
def waves():
    """``waves(4, 2, 3)``: embeddings (9, 4) of three classes, and their labels."""
    return waves_of


@pytest.fixture
def mean():
    """``mean(loss(...))``: the reduced value."""
    return mean_of


@pytest.fixture
def measured():
    """``measured(loss, (4, 2), **parameters)``: the reduced value on waves, a slope along fixed steps, and the length
    of the gradient."""

    def measure(loss, sizes, **params):
        embeddings, y = waves_of(*sizes)
        embeddings.requires_grad_()
        value = mean_of(loss(embeddings, y, **params))
        (gradient,) = torch.autograd.grad(value, embeddings)
        along = torch.cos(torch.arange(gradient.numel(), dtype=torch.float64)).view_as(gradient)
        return torch.stack([value.detach(), (gradient * along).sum(), gradient.norm()])

    return measure


@pytest.fixture
def keeping():
    """``keeping(mask)``: a miner that keeps the pairs (anchor, column) of a matrix."""
    return lambda mask: Mined(lambda block: Kept(pairs=mask[block.rows]))


@pytest.fixture
def coins():
    """``coins(6, 6)``: a fixed mask that keeps about two thirds."""

    def toss(*shape):
        return torch.sin(torch.arange(1, 1 + torch.Size(shape).numel()).square() * 1.3).reshape(shape) < 0.4

    return toss

"""Vectors that the tests of distances share."""

import pytest
import torch


@pytest.fixture
def vectors():
    """Five and seven vectors in four dimensions."""
    generator = torch.Generator().manual_seed(1)
    return tuple(3 * torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (5, 7))


@pytest.fixture
def degenerate():
    """Zero vectors, duplicates, constants, and wild ones."""
    return torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [200.0, -200.0], [1.0, 0.999]])

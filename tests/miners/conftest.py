"""Batches that the tests of miners share."""

import pytest
import torch


@pytest.fixture
def arc():
    """Rows on the unit circle at these angles, and their classes; the last is alone in its own."""
    angles = torch.tensor([0.0, 0.5, 1.3, 2.9, 0.3, 0.9, 2.2, 1.0, 1.83, 4.0], dtype=torch.float64)
    return torch.stack([angles.cos(), angles.sin()], dim=1), torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 3])


@pytest.fixture
def scattered():
    """Rows of any length in five dimensions, and their classes; the last is alone in its own."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.linspace(0.1, 30, 14, dtype=torch.float64)[:, None]
    embeddings = lengths * torch.randn(14, 5, generator=generator, dtype=torch.float64)
    return embeddings, torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 1, 1, 3])

"""Bags of different sizes with weights, for comparisons with plain loops."""

import pytest
import torch


@pytest.fixture
def bags():
    """Return logits of 3 classes, proportions, bags of 1, 4 and 7 rows in mixed order, and weights of rows."""

    def make(seed, n_classes=3):
        generator = torch.Generator().manual_seed(seed)
        bag = torch.repeat_interleave(torch.arange(3), torch.tensor([1, 4, 7]))
        bag = bag[torch.randperm(12, generator=generator)]
        logits = torch.randn(12, n_classes, generator=generator, dtype=torch.float64)
        y = torch.softmax(torch.randn(3, n_classes, generator=generator, dtype=torch.float64), 1)
        weight = torch.rand(12, generator=generator, dtype=torch.float64) + 0.1
        return logits, y, bag, weight

    return make

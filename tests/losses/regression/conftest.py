import pytest
import torch


@pytest.fixture
def numbers():
    """Return predictions and targets of seven rows and two targets."""
    generator = torch.Generator().manual_seed(0)
    prediction, y = torch.randn(2, 7, 2, dtype=torch.float64, generator=generator)
    return prediction, y

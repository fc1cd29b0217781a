"""Rows and proxies that are the same on every machine, and cross entropy of cosines in plain Python."""

import math

import pytest
import torch
from torch.nn.functional import normalize


def rows_and_proxies(n=12, k=4, d=5):
    """Embeddings (n, d) and proxies (k, d) without any chance in them, and labels that take turns."""
    steps = torch.arange(1, (n + k) * d + 1, dtype=torch.float64).reshape(n + k, d)
    waves = torch.sin(steps.square() / 7) + torch.cos(3 * steps)
    return 2 * waves[:n], waves[n:], torch.arange(n) % k


def cosines_of(embeddings, proxies):
    """Cosines between rows, by the definition."""
    return normalize(embeddings, dim=1) @ normalize(proxies, dim=1).T


def in_loops(cosines, y, scale, target):
    """Cross entropy of each row; ``target(cosine, row)`` is what becomes of that of its own class."""
    values = []
    for i, (row, label) in enumerate(zip(cosines.tolist(), y.tolist(), strict=True)):
        logits = [scale * (target(c, i) if j == label else c) for j, c in enumerate(row)]
        top = max(logits)
        values.append(top + math.log(sum(math.exp(z - top) for z in logits)) - logits[label])
    return torch.tensor(values, dtype=cosines.dtype)


@pytest.fixture
def sphere():
    """``sphere(n, k, d)``: embeddings, proxies, labels."""
    return rows_and_proxies


@pytest.fixture
def cosine():
    """``cosine(embeddings, proxies)``."""
    return cosines_of


@pytest.fixture
def loops():
    """``loops(cosines, y, scale, target)``."""
    return in_loops

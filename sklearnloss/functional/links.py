"""Links: from the head's output to what is predicted.

A link is ``link(output, *, names of hyperparameters or fit facts)``. ``simplex`` says that its rows are class
probabilities; a link that is not gives the values of ``decision_function``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

__all__ = ["LINKS", "Link", "scaled_softmax", "sigmoid", "softmax", "standardized"]


@dataclass(frozen=True)
class Link:
    """A link and what its result is."""

    function: Callable[..., Tensor]
    probability: bool


def softmax(logits: Tensor) -> Tensor:
    """Return class probabilities (n, k) from scores (n, k)."""
    return torch.softmax(logits, dim=1)


def sigmoid(scores: Tensor) -> Tensor:
    """Return probabilities of the positive class, elementwise."""
    return torch.sigmoid(scores)


def scaled_softmax(cosines: Tensor, *, scale: float = 1.0) -> Tensor:
    """Return class probabilities from cosines, without any margin."""
    return torch.softmax(scale * cosines, dim=1)


def identity(output: Tensor) -> Tensor:
    """Return the output itself."""
    return output


def standardized(logits: Tensor) -> Tensor:
    """Return scores with mean zero and variance one in each row: what is left of scale-free logits."""
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-12).sqrt()


LINKS: Mapping[str, Link] = MappingProxyType(
    {
        "softmax": Link(softmax, probability=True),
        "sigmoid": Link(sigmoid, probability=True),
        "scaled_softmax": Link(scaled_softmax, probability=True),
        "identity": Link(identity, probability=False),
        "standardized": Link(standardized, probability=False),
        "none": Link(identity, probability=False),
    }
)

"""Names for the tensors that components take and give; the note in each is its shape."""

from typing import Annotated, Protocol

from torch import Generator, Tensor, nn

__all__ = [
    "Columns", "Cosines", "Embeddings", "Features", "FitScalar", "Generator", "Hidden", "Index", "LabelLogits",
    "LabelMatrix", "Labels", "Layered", "Logits", "Means", "Network", "PerAnchor", "PerBag", "PerPair", "PerRow",
    "Prediction", "Priors", "Proportions", "Prototypes", "Scalar", "Scores", "Targets", "Teacher", "Weights",
]  # fmt: skip

Logits = Annotated[Tensor, "(n, k)"]
Scores = Annotated[Tensor, "(n,)"]
LabelLogits = Annotated[Tensor, "(n, n_labels)"]
Cosines = Annotated[Tensor, "(n, k * m)"]
Hidden = Annotated[Tensor, "(n, d)"]
Embeddings = Annotated[Tensor, "(n, d)"]
Features = Annotated[Tensor, "(n, h)"]
Prediction = Annotated[Tensor, "(n, n_targets)"]
Columns = Annotated[Tensor, "(n, n_targets, w)"]

Labels = Annotated[Tensor, "(n,) of 0..k-1, or of {0, 1} for scores"]
LabelMatrix = Annotated[Tensor, "(n, n_labels) of {0, 1}"]
Targets = Annotated[Tensor, "(n, n_targets)"]
Proportions = Annotated[Tensor, "(b, k), rows sum to one"]
Means = Annotated[Tensor, "(b, n_targets)"]

Index = Annotated[Tensor, "(n,) row numbers"]
Weights = Annotated[Tensor, "(n,) with mean one over the training rows"]
Priors = Annotated[Tensor, "(k,) summing to one"]
Prototypes = Annotated[Tensor, "(k * m, h)"]
Teacher = Annotated[Tensor, "(n, k)"]
Network = nn.Module


class Layered(Protocol):
    """A network that shows what lies between X and its output."""

    backbone: nn.Module  # from X to what the head sees

    @property
    def blocks(self) -> list[list[nn.Module]]:
        """The backbone piece by piece."""

    def top(self, features: Tensor) -> Tensor:
        """Return the output from what the head sees."""


FitScalar = int

PerRow = Annotated[Tensor, "(n,), independent"]
PerAnchor = Annotated[Tensor, "(n,), coupled"] | tuple[Tensor, Tensor]
PerPair = Annotated[Tensor, "(n, n)"] | tuple[Tensor, Tensor]
PerBag = Annotated[Tensor, "(b,)"]
Scalar = Annotated[Tensor, "()"]

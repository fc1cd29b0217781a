"""From the head's output to scores, probabilities and classes: one way for the estimator and for what it exports."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.estimators._targets import ClassTargets
from sklearnloss.training.criterion import Term

__all__ = ["ClassDecoder", "LossLink", "standalone"]


class LossLink:
    """A link that is a method of a Module loss.

    Parameters
    ----------
    find : callable
        Returns the bound term; asked for at each call, since a fit may change it.
    method : str
        Name of the method.
    """

    def __init__(self, find: Callable[[], Term], method: str) -> None:
        self.find, self.method = find, method

    def __call__(self, output: Tensor) -> Tensor:
        """Apply it."""
        return self.find().linked(self.method, output)


class _CopiedLossLink(nn.Module):
    """A copy of a loss that is there for its link."""

    def __init__(self, term: Term, method: str) -> None:
        super().__init__()
        self.losses = copy.deepcopy(term.modules_)
        self.method, self.labelwise = method, term.labelwise > 0

    def forward(self, output: Tensor) -> Tensor:
        """Apply the link, label by label where the loss is."""
        if not self.labelwise:
            return getattr(self.losses[0], self.method)(output)
        return torch.stack([getattr(one, self.method)(output[:, j]) for j, one in enumerate(self.losses)], dim=1)


class _FunctionLink(nn.Module):
    """A function with what it is called with; tensors are buffers, so that they move with the module."""

    def __init__(self, function: Callable[..., Tensor], **named: Any) -> None:
        super().__init__()
        self.function, self.numbers = function, {}
        for name, value in named.items():
            if isinstance(value, Tensor):
                self.register_buffer(f"fact_{name}", value.detach().clone())
                continue
            self.numbers[name] = value
        self.facts = tuple(name for name in named if name not in self.numbers)

    def forward(self, output: Tensor) -> Tensor:
        """Apply it."""
        return self.function(output, **self.numbers, **{name: getattr(self, f"fact_{name}") for name in self.facts})


def standalone(function: Callable[..., Tensor]) -> nn.Module:
    """Return a link as a module that shares nothing with the estimator."""
    if isinstance(function, LossLink):
        return _CopiedLossLink(function.find(), function.method)
    if isinstance(function, functools.partial):
        return _FunctionLink(function.func, **function.keywords)
    return _FunctionLink(function)


class ClassDecoder(nn.Module):
    """From the head's output to what a classifier says.

    Parameters
    ----------
    targets : ClassTargets
        The classes.
    link : callable
        From the output to probabilities, or to scores where it leads to none.
    scores_linked : bool
        Whether scores are taken after the link.
    logged : bool, default=False
        Whether they are then the logarithms of what it gives: log probabilities, which differ from the logits of a
        softmax by a constant of the row only.
    calibrated : callable or None
        From scores to probabilities, in place of the link.
    """

    place: Tensor

    def __init__(
        self,
        targets: ClassTargets,
        link: Callable[[Tensor], Tensor],
        *,
        scores_linked: bool,
        logged: bool = False,
        calibrated: Callable[[Tensor], Tensor] | None,
    ) -> None:
        super().__init__()
        self.kind, self.link, self.scores_linked, self.logged = targets.kind, link, scores_linked, logged
        self.reordered = targets.kind != "multilabel" and bool(np.any(np.diff(targets.order) < 0))
        self.register_buffer("place", torch.as_tensor(np.argsort(targets.order)))
        self.calibrated = calibrated

    def scores(self, output: Tensor) -> Tensor:
        """Return one score of two classes (n,), positive for the second; else one per class or label (n, k)."""
        columns = self.link(output) if self.scores_linked else output
        if self.logged:
            columns = columns.clamp(min=torch.finfo(columns.dtype).tiny).log()
        if self.kind == "multilabel":
            return columns
        if columns.ndim == 2 and columns.shape[1] == 1:
            columns = columns[:, 0]
        if columns.ndim == 1:
            return -columns if self.reordered else columns
        columns = self._by_class(columns)
        return columns[:, 1] - columns[:, 0] if self.kind == "binary" else columns

    def probabilities(self, output: Tensor) -> Tensor:
        """Return probabilities (n, k)."""
        if self.calibrated is not None:
            return self.calibrated(self.scores(output))
        columns = self.link(output)
        if self.kind == "multilabel":
            return columns
        if columns.ndim == 1 or columns.shape[1] == 1:
            columns = columns.reshape(-1, 1)
            columns = torch.cat([1 - columns, columns], dim=1)
        return self._by_class(columns)

    def labels(self, output: Tensor) -> Tensor:
        """Return the place of each row's class in ``classes_`` (n,), or zeros and ones (n, n_labels); int64."""
        calibrated = self.calibrated is not None
        values = self.probabilities(output) if calibrated else self.scores(output)
        if self.kind == "multilabel":
            return (values > (0.5 if calibrated else 0.0)).to(torch.int64)
        return (values > 0).to(torch.int64) if values.ndim == 1 else values.argmax(dim=1)

    def _by_class(self, columns: Tensor) -> Tensor:
        return columns.index_select(1, self.place) if self.reordered else columns

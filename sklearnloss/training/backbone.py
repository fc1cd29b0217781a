"""The network: standardised input, backbone, head; and how a user's module becomes one."""

import copy
import inspect
import warnings
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.exceptions import ModuleError
from sklearnloss.training.heads import CosineHead, HiddenHead, make_head
from sklearnloss.training.implicit import ImplicitHead
from sklearnloss.training.sources import row_chunks

__all__ = [
    "ACTIVATIONS",
    "Network",
    "Standardize",
    "as_tensor",
    "build_network",
    "moments",
    "user_module",
]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
}


class Standardize(nn.Module):
    """Subtract a mean and multiply by one over a scale; both are buffers, so raw columns work."""

    mean: Tensor
    factor: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("factor", 1 / scale)

    def forward(self, X: Tensor) -> Tensor:
        """Return X standardised by column."""
        return (X - self.mean).mul_(self.factor)  # in place: one block of memory less


class Network(nn.Module):
    """From X to the head's output.

    Parameters
    ----------
    backbone : nn.Module
        From X to features; for a complete module, from X to the output.
    head : nn.Module
        From features to the output; ``nn.Identity`` for a complete module.
    squeeze : bool, default=False
        Whether a complete module's single column becomes (n,).
    embeds : bool, default=False
        Whether the output is an embedding, and so what losses on features look at.
    module_from : dict, default=None
        What a user's class or factory could name; None if the backbone is the built-in perceptron.
    head_from : (int, int), default=None
        Widths of the features and of the output, with which a user's head was made; None if the head is built in.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        complete: bool = False,
        squeeze: bool = False,
        embeds: bool = False,
        module_from: dict[str, Any] | None = None,
        head_from: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.module_from, self.head_from = module_from, head_from
        self.backbone = backbone
        self.head = head
        self.complete = complete
        self.squeeze = squeeze
        self.embeds = embeds

    def forward(self, X: Tensor, with_features: bool = False) -> Any:
        """Return the output, or (features, output); a hidden head is applied only in the first case."""
        features = self.backbone(X)
        return self.seen(features) if with_features else self.top(features)

    def top(self, features: Tensor) -> Tensor:
        """Return the output from what the head sees."""
        output: Tensor = self.head(features)
        if self.squeeze:
            return output.squeeze(1) if output.ndim == 2 else output
        return output[:, None] if output.ndim == 1 and self.complete else output  # one output, of another role

    def seen(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return what losses see of features: these and the output; a hidden head is not applied."""
        if isinstance(self.head, HiddenHead | ImplicitHead):
            return features, features
        output = self.top(features)
        return (output, output) if self.embeds else (features, output)

    @property
    def blocks(self) -> list[list[nn.Module]]:
        """The backbone piece by piece: a layer with weights and those after it that have none.

        A backbone that is no plain ``nn.Sequential`` is one piece.
        """
        if type(self.backbone) is not nn.Sequential:
            return [[self.backbone]]
        pieces: list[list[nn.Module]] = [[]]
        weighs = False
        for layer in self.backbone:
            if next(layer.parameters(), None) is not None:
                if weighs:
                    pieces.append([])
                weighs = True
            pieces[-1].append(layer)
        return pieces

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        # a loss that predicts from raw columns leaves the network without weights
        return next(chain(self.parameters(), self.buffers(), [torch.empty(())])).dtype

    @property
    def head_facts(self) -> dict[str, Any]:
        """What the head can tell: its proxies, or weight and bias; an implicit one is there itself."""
        if isinstance(self.head, ImplicitHead):
            return {"implicit_head": self.head}
        if isinstance(self.head, CosineHead):
            return {"prototypes": self.head.weight}
        weight = getattr(self.head, "weight", None)
        if isinstance(weight, Tensor):
            return {"head_weight": weight, "head_bias": getattr(self.head, "bias", None)}
        return {}

    def loss_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that belong to the loss's optimiser group: those of a cosine or an implicit head."""
        return list(self.head.parameters()) if isinstance(self.head, CosineHead | ImplicitHead) else []


def mlp(n_features: int, hidden: Sequence[int], activation: str, dropout: float) -> nn.Sequential:
    """Return a multilayer perceptron without its last layer."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(n_features, width), ACTIVATIONS[activation]()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        n_features = width
    return nn.Sequential(*layers)


def build_network(
    module: Any,
    *,
    role: str,
    n_outputs: int,
    facts: dict[str, Any],
    example: Tensor,
    scaler: tuple[np.ndarray, np.ndarray] | None = None,
    hidden: Sequence[int] = (100,),
    activation: str = "relu",
    dropout: float = 0.0,
    head: Callable[..., nn.Module] | Literal["implicit"] | None = None,
    embeds: bool = False,
) -> Network:
    """Make the network of an estimator.

    Parameters
    ----------
    module : None, nn.Module, class or factory
        None is the built-in perceptron. A class or factory gets those of ``n_features, n_outputs, n_classes,
        random_state`` that it names; naming ``n_outputs`` makes it complete. Anything else is a backbone and gets the
        loss's head.
    role : str
        Role of the loss, which decides the head.
    n_outputs : int
        Width of the head.
    facts : dict
        What a class or factory may name.
    example : Tensor of shape (m, d)
        A few rows, to find the width of a backbone by one pass; it also gives the dtype.
    scaler : pair of arrays or None
        Mean and scale of the columns, used by the built-in perceptron only.
    head : callable, "implicit" or None
        ``head(in_features, n_outputs) -> nn.Module`` instead of the role's own; or an `ImplicitHead`.
    embeds : bool, default=False
        Whether the output is an embedding.

    Raises
    ------
    ModuleError
        If the module cannot be built, fails on the example, or gives another shape.
    """
    dtype = example.dtype
    if module is None:
        layers = mlp(example.shape[1], hidden, activation, dropout)
        width = hidden[-1] if len(hidden) else example.shape[1]
        if scaler is not None:
            mean, scale = (torch.as_tensor(part, dtype=dtype) for part in scaler)
            layers.insert(0, Standardize(mean, scale))
        return _with_head(layers, head, role, width, n_outputs, embeds).to(dtype)
    made_with = {**facts, "n_outputs": n_outputs}
    backbone, complete = user_module(module, made_with)
    backbone = backbone.to(dtype)
    output = _try(backbone, example)
    if complete:
        wanted = [(len(example), n_outputs)] + ([(len(example),)] if n_outputs == 1 else [])
        if tuple(output.shape) not in wanted:
            raise ModuleError(
                f"module {_name(module)} takes n_outputs={n_outputs} and so must return {wanted[0]} for "
                f"{len(example)} rows, but returned {tuple(output.shape)}"
            )
        squeeze = role == "scores" and n_outputs == 1
        return Network(backbone, nn.Identity(), complete=True, squeeze=squeeze, embeds=embeds, module_from=made_with)
    if output.ndim != 2:
        raise ModuleError(
            f"module {_name(module)} must return features of shape (n, h), got {tuple(output.shape)} for "
            f"{len(example)} rows; end it with nn.Flatten(), or name n_outputs to make it complete"
        )
    return _with_head(backbone, head, role, output.shape[1], n_outputs, embeds, module_from=made_with).to(dtype)


def _with_head(
    backbone: nn.Module,
    head: Callable[..., nn.Module] | Literal["implicit"] | None,
    role: str,
    width: int,
    n_outputs: int,
    embeds: bool,
    module_from: dict[str, Any] | None = None,
) -> Network:
    if head is None or head == "implicit":
        made = make_head(role, width, n_outputs) if head is None else ImplicitHead(width, n_outputs)
        return Network(backbone, made, embeds=embeds, module_from=module_from)
    made = head(width, n_outputs)
    return Network(backbone, made, embeds=embeds, module_from=module_from, head_from=(width, n_outputs))


def user_module(module: Any, facts: dict[str, Any]) -> tuple[nn.Module, bool]:
    """Return what a user's instance, class or factory gives, and whether it is complete.

    Raises
    ------
    ModuleError
        If it gives no module.
    """
    if isinstance(module, nn.Module):
        return copy.deepcopy(module), False
    if not callable(module):
        raise ModuleError(f"module must be None, an nn.Module, or a class or factory of one, got {module!r}")
    named = inspect.signature(module).parameters
    built = module(**{name: value for name, value in facts.items() if name in named})
    if not isinstance(built, nn.Module):
        raise ModuleError(f"module {_name(module)} must make an nn.Module, got {type(built).__name__}")
    return built, "n_outputs" in named


def _try(module: nn.Module, example: Tensor) -> Tensor:
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            output = module(example)
    except Exception as error:
        raise ModuleError(
            f"module {type(module).__name__} failed on {len(example)} rows of shape {tuple(example.shape[1:])}: {error}"
        ) from error
    module.train(was_training)
    if not isinstance(output, Tensor):
        raise ModuleError(f"module {type(module).__name__} must return a tensor, got {type(output).__name__}")
    return output


def _name(module: Any) -> str:
    return str(getattr(module, "__name__", type(module).__name__))


def as_tensor(array: np.ndarray, dtype: torch.dtype, device: str = "cpu") -> Tensor:
    """Return an array as a tensor that nobody writes to; it shares the array's memory where dtype and order allow.

    Rows that lie apart, in Fortran's order or backwards, are copied together: batches are gathered by rows.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # a memory map; it is only read
        return torch.as_tensor(np.ascontiguousarray(array), dtype=dtype, device=device)


def moments(X: Any, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted mean and standard deviation of each column, chunk by chunk.

    A constant column has the scale 1. X is an array or a source.
    """
    n, d = X.shape
    # products run in the precision of X, sums over chunks in float64
    weights = np.ones(n, X.dtype) if weights is None else np.asarray(weights).astype(X.dtype)
    mean, variance, total = np.zeros(d), np.zeros(d), weights.sum(dtype=np.float64)
    for rows, part in row_chunks(X):
        mean += weights[rows] @ part
    mean /= total
    centre = mean.astype(X.dtype)
    for rows, part in row_chunks(X):
        difference = part - centre
        difference[weights[rows] == 0] = 0.0  # its square may overflow, and zero times infinity is no number
        variance += weights[rows] @ np.square(difference, out=difference)
    scale = np.sqrt(variance / total)
    # what rounding leaves of a constant column is not a scale
    constant = scale <= 10 * np.finfo(X.dtype).eps * np.abs(mean)
    return mean, np.where(constant, 1.0, scale)

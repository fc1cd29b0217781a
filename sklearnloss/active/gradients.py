"""How far a row would move the last layer of a model, class by class."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.training.heads import CosineHead

__all__ = ["gradient_norms"]


def gradient_norms(estimator: Any, X: Any, proba: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """Return the norm of the gradient of a row's loss by weight and bias of the last layer, if it had each class.

    Parameters
    ----------
    estimator : fitted classifier
        A `LossClassifier` has the gradient of the loss that it was trained by; of any other, that of the log loss of a
        linear last step is taken.
    X : array, sparse matrix or DataFrame of shape (n, d)
        Rows.
    proba : array of shape (n, k)
        Probabilities of the classes.
    embeddings : array of shape (n, h)
        What the last layer sees.

    Returns
    -------
    array of shape (n, k)
        A column for each of ``classes_``.

    Raises
    ------
    TaskError
        If the loss looks at more than a row's output and class, there are several labels a row, or the network shows no
        last layer.

    Notes
    -----
    The gradient by the weight is the outer product of that by the output and the embedding, so that its norm is the
    product of theirs; the bias adds one to the square of the embedding's. Cosines to proxies move these across
    themselves only: by the sine over the proxy's length.
    """
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if isinstance(last, LossClassifier):
        return _of_loss(last, X if last is estimator else estimator[:-1].transform(X), embeddings)
    squares = np.einsum("ij,ij->i", proba, proba)[:, None]
    outputs = np.sqrt(np.maximum(squares - 2 * proba + 1, 0))  # of p - e_c
    return np.asarray(outputs * _reach(embeddings)[:, None])


def _reach(embeddings: np.ndarray, bias: bool = True) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings) + bias)


def _of_loss(estimator: LossClassifier, X: Any, embeddings: np.ndarray) -> np.ndarray:
    """Return the norms of the gradients of the loss of the first term."""
    name, choice = estimator._head_term()
    title = choice.component.title
    term = next(t for t in estimator.net_.criterion_.terms if t.name == name)
    if estimator._targets.kind == "multilabel":
        raise TaskError(
            f"expected gradients look at one class a row, {title} was trained on several labels; use 'max_loss' or "
            "'min_confidence'"
        )
    if term.unit != "row" or term.facts or term.role not in ("logits", "scores", "cosines", "thresholds"):
        raise TaskError(
            f"expected gradients look at rows one by one, but {title} looks at more than a row's output and class; use "
            "another strategy, such as 'margin', or another loss"
        )
    head = estimator.net_.module_.head
    codes = estimator._targets.encode(estimator.classes_).tolist()  # they follow class_order, the columns do not
    device = estimator.net_.device
    if isinstance(head, CosineHead):
        length = head.weight.detach().norm(dim=1)

        def finish(gradient: Tensor, cosines: Tensor) -> Tensor:
            return (gradient.square() * (1 - cosines.square()).clamp(min=0) / length.square()).sum(1).sqrt()

        return estimator._from_output(X, _by_class(term, codes, device, finish))
    if not isinstance(head, nn.Linear):
        raise TaskError(
            f"expected gradients are those of a last layer, which {type(estimator).__name__} with its own "
            f"{'module' if estimator.net_.module_.complete else 'head'} does not show; give a module without "
            "n_outputs, and leave head out, or use another strategy, such as 'margin'"
        )
    outputs = estimator._from_output(X, _by_class(term, codes, device, lambda gradient, _: gradient.norm(dim=1)))
    return np.asarray(outputs * _reach(embeddings, head.bias is not None)[:, None])


def _by_class(
    term: Any, codes: list[int], device: Any, finish: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor], np.ndarray]:
    """Return what makes norms (n, k) of outputs, from the loss's gradient by them for each class."""

    def norms(output: Tensor) -> np.ndarray:
        columns = []
        with torch.inference_mode(False), torch.enable_grad():
            leaf = output.to(device, copy=True).requires_grad_()
            for code in codes:
                y = torch.full((len(leaf),), code, device=device)
                (gradient,) = torch.autograd.grad(term.per_row(leaf, y).sum(), leaf)
                columns.append(finish(gradient.reshape(len(leaf), -1), leaf.detach().reshape(len(leaf), -1)))
        return torch.stack(columns, dim=1).double().cpu().numpy()

    return norms

"""How far a row would move the last layer of a model, class by class."""

from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline

from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.exceptions import TaskError

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

    Notes
    -----
    The gradient by the weight is the outer product of that by the output and the embedding, so that its norm is the
    product of theirs; the bias adds one to the square of the embedding's.
    """
    reach = np.sqrt(1 + np.einsum("ij,ij->i", embeddings, embeddings))
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if isinstance(last, LossClassifier):
        outputs = _by_output(last, X if last is estimator else estimator[:-1].transform(X))
    else:
        squares = np.einsum("ij,ij->i", proba, proba)[:, None]
        outputs = np.sqrt(np.maximum(squares - 2 * proba + 1, 0))  # of p - e_c
    return np.asarray(outputs * reach[:, None])


def _by_output(estimator: LossClassifier, X: Any) -> np.ndarray:
    """Return the norm of the loss's gradient by the network's output, for each class (n, k)."""
    name, choice = estimator._head_term()
    term = next(t for t in estimator.net_.criterion_.terms if t.name == name)
    if term.unit != "row" or term.facts or term.role not in ("logits", "scores", "cosines", "thresholds"):
        raise TaskError(
            f"expected gradients look at rows one by one, but {choice.component.title} looks at more than a row's "
            "output and class; use another strategy, such as 'margin', or another loss"
        )
    device = estimator.net_.device

    def norms(output: torch.Tensor) -> np.ndarray:
        columns = []
        with torch.inference_mode(False), torch.enable_grad():
            leaf = output.to(device, copy=True).requires_grad_()
            for c in range(len(estimator.classes_)):
                y = torch.full((len(leaf),), c, device=device)
                (gradient,) = torch.autograd.grad(term.per_row(leaf, y).sum(), leaf)
                columns.append(gradient.reshape(len(leaf), -1).norm(dim=1))
        return torch.stack(columns, dim=1).double().cpu().numpy()

    return estimator._from_output(X, norms)

"""What an estimator does around each epoch, and which callbacks it takes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EpochScoring

from sklearnloss.estimators._progress import Progress
from sklearnloss.training.batches import Batches
from sklearnloss.training.net import LossNet

__all__ = ["Watch", "checked_callbacks"]


def checked_callbacks(callbacks: Sequence[Any]) -> list[Any]:
    """Refuse what is no skorch callback, and one that predicts with the bare net.

    Raises
    ------
    TypeError
        With what to use instead.
    """
    for given in callbacks:
        callback = given[1] if isinstance(given, tuple) else given
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise TypeError(
                f"callbacks must be skorch callbacks, got {callback!r}; scikit-learn's own are given to set_callbacks"
            )
        if issubclass(kind, EpochScoring):
            raise TypeError(
                f"{kind.__name__} scores the bare net, which knows no classes; use early_stopping=True with scoring=, "
                "or set_callbacks(sklearn.callback.ScoringMonitor(scoring=...))"
            )
    return list(callbacks)


class Watch:
    """What the estimator does around each epoch: scikit-learn's callbacks, the printed line, early stopping."""

    def __init__(
        self,
        estimator: Any,
        epochs: int,
        X: Any,
        y: Any,
        context: Any,
        score: Callable[[], float] | None,
        progress: Progress | None = None,
    ) -> None:
        self.estimator, self.epochs, self.X, self.y = estimator, epochs, X, y
        self.context, self.score, self.progress = context, score, progress
        self.task: Any = None
        self.best, self.waited = -np.inf, 0
        self.best_state: list[torch.Tensor] | None = None

    def begin(self, net: LossNet, batches: Batches) -> int:
        """Go on from the checkpoint, if there is one; return the number of epochs done."""
        return 0 if self.progress is None else self.progress.begin(self, net, batches)

    def end_epoch(self, net: LossNet, batches: Batches, *, done: int, last: bool) -> None:
        """Write the checkpoint."""
        if self.progress is not None:
            self.progress.end_epoch(self, net, batches, done=done, last=last)

    def before_epoch(self, net: LossNet) -> None:
        """Open the epoch's task."""
        if self.context is not None:
            self.task = self.context.subcontext(task_name=f"epoch {net.epoch_ + 1}")
            self.task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def after_epoch(self, net: LossNet, row: dict[str, Any]) -> bool:
        """Score, print, and say whether to stop."""
        stop = False
        if self.score is not None:
            stop = self._improve(net, row)
        if self.estimator.verbose:
            score = f"  score {row['valid_score']:.4f}" if "valid_score" in row else ""
            print(
                f"epoch {net.epoch_:{len(str(self.epochs))}d}  loss {row['train_loss']:.5f}{score}  {row['dur']:.2f} s",
                flush=True,
            )
        if self.task is not None:
            stop |= bool(
                self.task.call_on_fit_task_end(
                    estimator=self.estimator, X=self.X, y=self.y, reconstruction_attributes=self.estimator._state
                )
            )
        return stop

    def _improve(self, net: LossNet, row: dict[str, Any]) -> bool:
        assert self.score is not None
        value = self.score()
        net.history.record("valid_score", value)
        if value > self.best:
            self.best, self.waited = value, 0
            self.best_state = [t.clone() for t in net.state_tensors()]
            return False
        self.waited += 1
        return self.waited >= self.estimator.n_iter_no_change

    def restore_best(self, net: LossNet) -> None:
        """Go back to the weights of the best score."""
        if self.best_state is not None:
            for kept, now in zip(self.best_state, net.state_tensors(), strict=True):
                now.copy_(kept)

"""Adversarial training in which hard rows weigh exponentially more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from sklearnloss.component import mode
from sklearnloss.constraints import Fraction, NonNegative, Positive, PositiveInt, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.gradients import pgd
from sklearnloss.spec import Reduction
from sklearnloss.training.backbone import Standardize
from sklearnloss.training.batches import Batch
from sklearnloss.training.criterion import Criterion, Term
from sklearnloss.training.net import Closure, LossNet

__all__ = ["KLDROAdversarialTraining"]

WHO = "mode 'kl_dro_at'"


# 1. The paper solves a bilevel problem with a log-barrier by implicit gradients. This is its inner objective, the mean
#    over the worst distribution near that of the rows, with the attack of ordinary adversarial training.
@mode("kl_dro_at", status="known")
class KLDROAdversarialTraining:
    r"""Train on rows moved to where their loss is large, and weigh those most that are hurt most.

    Before each step the batch is attacked in a box around its rows. The step then descends the soft maximum `kl_dro` of
    the losses there, in place of their mean. For estimators whose loss has one value per row, such as `LossClassifier`
    and `LossRegressor`, with their ``reduction`` left as it is.

    Parameters
    ----------
    lam : float in (0, inf), default=1.0
        Temperature of the weights, in units of the loss: ``lam -> inf`` is plain adversarial training. Useful values
        are 0.5 to 10 for cross entropy.
    decay : float in [0, 1), default=0.9
        Share of earlier batches in the normalizer of the weights.
    eps : float in [0, inf), default=0.1
        Largest change of a column, in standard deviations where the network standardizes its columns, else in the
        units of X. 0 trains with `kl_dro` on the rows as they are. For images in [0, 1] the paper has 8 / 255.
    steps : int in [1, inf), default=10
        Steps of projected ascent, each of ``2.5 * eps / steps``.

    Notes
    -----
    .. math:: \min_\theta \lambda \log \frac{\sum_i w_i e^{\ell(x_i + \delta_i, y_i) / \lambda}}{\sum_i w_i},
        \qquad \delta_i \approx \arg\max_{|\delta_j| \le \epsilon \sigma_j} \ell(x_i + \delta, y_i)

    with the weights w of the rows; over small batches the normalizer is a running mean, see
    `sklearnloss.reductions.kl_dro.KLDRO`. ``loss_curve_`` has this value. The attack is for the estimator's own loss,
    row by row, with dropout off and batch statistics still; it starts at a random place in the box. Rows that a mixup
    of X has mixed are attacked as they are, for both labels. Columns are moved alike, those of 0 and 1 too. State: the
    running normalizer. Cost: ``steps`` further passes, forward and backward, for each batch.

    References
    ----------
    .. [1] Sow, Lin, Wang, Liang. "Doubly robust instance-reweighted adversarial training". ICLR 2024.
    .. [2] Madry, Makelov, Schmidt, Tsipras, Vladu. "Towards deep learning models resistant to adversarial attacks".
       ICLR 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearnloss import LossClassifier, Mode
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LossClassifier(mode=Mode("kl_dro_at", eps=0.2), lr=0.01, max_epochs=20, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        *,
        lam: Annotated[Positive, Search(0.5, 10, log=True)] = 1.0,
        decay: Fraction = 0.9,
        eps: Annotated[NonNegative, Search(0.01, 1, log=True)] = 0.1,
        steps: PositiveInt = 10,
    ) -> None:
        self.lam, self.decay, self.eps, self.steps = lam, decay, eps, steps
        dro = Reduction("core:kl_dro", lam=lam, decay=decay).choose().build()
        assert isinstance(dro, nn.Module)
        self._dro = dro

    def step(self, closure: Closure, optimizer: torch.optim.Optimizer) -> None:
        """Attack the batch, and descend the soft maximum of its losses."""
        net = closure.net
        term = _term_of_rows(net.criterion_)
        closure.batch = closure.batch | {"X": self._attacked(net, term, closure.batch)}
        dro = self._dro.to(net.device, net.dtype)
        with _reduced(term, lambda values, weights: dro.train(term.training)(values, weights)):
            optimizer.step(closure)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Return the running normalizer."""
        return dict(self._dro.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` returned, in its precision."""
        self._dro.to(state["log_sum"].dtype).load_state_dict(state)

    def _attacked(self, net: LossNet, term: Term, batch: Batch) -> Tensor:
        """Return rows in the box around those of a batch."""
        X: Tensor = batch["X"]
        first = next(net.module_.backbone.children(), None)
        x_scale = 1 / first.factor if isinstance(first, Standardize) else X.new_ones(())
        with _reduced(term, lambda values, weights: values.sum()):
            return pgd(
                _Harm(net, term, batch), X, lambda harm: harm, x_scale=x_scale, eps=self.eps, steps=self.steps,
                rng=batch["rng"],
            )  # fmt: skip


class _Harm(nn.Module):
    """From rows to what their loss is, with all that it is told of them."""

    def __init__(self, net: LossNet, term: Term, batch: Batch) -> None:
        super().__init__()
        self.network, self.term = net.module_, term  # parts of it, which are put into evaluation mode with it
        self.net, self.batch = net, batch

    def forward(self, X: Tensor) -> Tensor:
        output, facts = self.net.outputs(self.batch | {"X": X})
        if "lam" in facts and "lam" not in self.batch:
            raise TaskError(f"{WHO} attacks single rows, and this mixup mixes them within the network; leave mixup out")
        return self.term.forward(output, facts)


@contextmanager
def _reduced(term: Term, reduction: Callable[[Tensor, Tensor], Tensor]) -> Iterator[None]:
    """Reduce the values of rows in another way for the while."""
    kept = term.reduction, term.plain_mean
    term.reduction, term.plain_mean = reduction, False
    try:
        yield
    finally:
        term.reduction, term.plain_mean = kept


def _term_of_rows(criterion: Criterion) -> Term:
    """Return the one term that looks at data.

    Raises
    ------
    TaskError
        If there are several, or it has no value per row, or the user has a reduction.
    """
    term, *more = [term for term in criterion.terms if term.role]
    if more:
        raise TaskError(f"{WHO} weighs rows by one loss, here are {term.title} and {more[0].title}; use one of them")
    if term.unit != "row":
        raise TaskError(f"{WHO} weighs rows by their loss, but {term.title} has a value per {term.unit}")
    if not term.plain_mean:
        raise TaskError(f"{WHO} reduces by 'kl_dro' itself; leave reduction='mean', and set the mode's lam and decay")
    return term

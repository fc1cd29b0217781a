"""Positive and unlabeled rows whose chances of a label are not known, by expectation maximization."""

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import mode
from sklearnloss.constraints import NonNegative, Numbers, Positive, PositiveInt
from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.functional.gradients import evaluating
from sklearnloss.training.backbone import moments
from sklearnloss.training.batches import Batch
from sklearnloss.training.net import Closure, LossNet

__all__ = ["SAREM"]

WHO = "mode 'sar_em'"
WINDOW = 10  # rounds that the rule for the end looks back on
RESULTS = ("coef_", "intercept_", "log_likelihoods_", "converged_")
PROGRESS = ("_epochs", "_labeled", "_total", "_models")


# 1. A round is an epoch: the network goes on from where it is, where the authors fit a new classifier until it has
#    converged. Its targets are computed when a batch comes, from the network of that moment.
# 2. The authors' rule looks at the expected log likelihood of labels and classes together, which expectation
#    maximization may well lower; here it is the likelihood of the labels, which the rounds climb.
# 3. Without attributes the authors divide the labels by all rows; here by the expected positives.
@mode("sar_em")
class SAREM:
    r"""Learn classes from labels of some of the positives, and how likely which of them has got one.

    Each epoch the network learns how likely each row is positive, given that it has a label or none; then a logistic
    regression on some of the columns learns the chance of a label, the propensity, from rows weighted by that. For
    `LossClassifier` with ``loss="bce"``, fitted with y = 1 for labeled positives and 0 for all other rows;
    ``predict_proba`` is of the classes.

    Parameters
    ----------
    attributes : sequence of int or None, default=None
        Columns of X on which the chance of a label depends. None is all, and then nothing tells a row that is seldom
        labeled from one that is seldom positive: the split between the two is not identified. An empty sequence gives
        all positives the same chance.
    warmup : int in [1, inf), default=10
        Epochs before the first round, which learn the labels as if rows without one were negative, with weights that
        make both equally common.
    C : float in (0, inf), default=1.0
        Inverse strength of the penalty of the logistic regression, on standardized columns.
    tol : float in [0, inf), default=1e-4
        Rounds end when over ten of them the mean log likelihood gains less than this, and the propensities of rows
        without a label change by less than this per round on average. Then the propensities stay, and the network goes
        on. 0 goes on to the last epoch.

    Attributes
    ----------
    coef_ : array of shape (n_attributes,), or None
        Slopes of the log odds of a label along the attributes, in the units of X; None before the first round.
    intercept_ : float
        Log odds of a label where all attributes are zero.
    log_likelihoods_ : list of float
        Mean log likelihood of the labels in each round, up to the end of rounds.
    converged_ : bool
        Whether rounds have ended before the epochs.

    Notes
    -----
    With :math:`f = P(y = 1 \mid x)` of the network and :math:`e = P(s = 1 \mid y = 1, x)` of the regression, a round
    has

    .. math:: q = s + (1 - s) \frac{f (1 - e)}{1 - f e}, \qquad
        \max_f \sum_i w_i [q_i \log f_i + (1 - q_i) \log(1 - f_i)], \qquad
        \max_e \sum_i w_i q_i [s_i \log e_i + (1 - s_i) \log(1 - e_i)] .

    As q is that of the network of the moment, a step of the network climbs the likelihood of the labels,
    :math:`s \log f e + (1 - s) \log(1 - f e)`, at the propensities of the last round.

    That likelihood is highest where :math:`f` tells labels and :math:`e = 1`, so a network that can learn rows by heart
    ends there, as if rows without a label were negative. Take a linear one (``hidden_layer_sizes=()``), or few
    epochs. The sampler has to draw all rows alike, some with a label and some without in each epoch. Leave
    ``class_weight`` out: it would weigh labels, not classes. Early stopping and calibration look at held-out labels,
    not at classes. A warm start begins with the warm-up; a checkpoint and ``partial_fit`` go on with the rounds. Cost:
    one more pass forward per batch, and memory for the attributes of an epoch's rows.

    The authors then fit a classifier anew with the unbiased risk at these propensities, which has more variance::

        e = model.net_.mode.propensity(X)
        LossClassifier("pu_sar").fit(X, s, propensity=e)

    References
    ----------
    .. [1] Bekker, Robberechts, Davis. "Beyond the selected completely at random assumption for learning from positive
       and unlabeled data". ECML PKDD 2019.

    Examples
    --------
    >>> from sklearnloss import LossClassifier, Mode
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = X[:, 0] + 0.5 * rng.normal(size=1000) > 0
    >>> s = y & (rng.random(1000) < np.where(X[:, 1] > 0, 0.8, 0.2))  # labels are seldom where the second column is low
    >>> how = dict(hidden_layer_sizes=(), lr=0.02, max_epochs=60, random_state=0)
    >>> model = LossClassifier("bce", mode=Mode("sar_em", attributes=[1]), **how).fit(X, s.astype(int))
    >>> e = model.net_.mode.propensity(X)
    >>> bool((model.predict(X) == y).mean() > 0.85), bool(e[X[:, 1] > 1].mean() > 0.6 > 0.3 > e[X[:, 1] < -1].mean())
    (True, True)
    """

    def __init__(
        self,
        *,
        attributes: Numbers | None = None,
        warmup: PositiveInt = 10,
        C: Positive = 1.0,
        tol: NonNegative = 1e-4,
    ) -> None:
        self.attributes, self.warmup, self.C, self.tol = attributes, warmup, C, tol
        self.coef_: np.ndarray | None = None
        self.intercept_ = 0.0
        self.log_likelihoods_: list[float] = []
        self.converged_ = False
        self._epochs = 0
        self._labeled, self._total = 1.0, 2.0  # weights seen in the warm-up, and one row of each label before the first
        self._models: list[np.ndarray] = []  # slopes and intercept of the last rounds
        self._rows: list[tuple[Tensor, ...]] = []  # of this epoch
        self._entry = -1  # of the history, to which these rows belong
        self._checked = False

    def propensity(self, X: Any) -> np.ndarray:
        """Return the chance of a label of each row, if it is positive.

        Parameters
        ----------
        X : array, sparse array or table of shape (n, d)
            Rows, of the fit or others, with its columns.

        Returns
        -------
        array of shape (n,)
        """
        if self.coef_ is None:
            raise AttributeError(f"{WHO} knows no propensities yet; its first round comes after {self.warmup} epochs")
        columns = self._columns(X.shape[1])
        chosen = X[:, columns].toarray() if issparse(X) else np.asarray(X)[:, columns]
        chances: np.ndarray = expit(chosen.astype(np.float64) @ self.coef_ + self.intercept_)
        return chances

    def step(self, closure: Closure, optimizer: torch.optim.Optimizer) -> None:
        """Learn the classes as they now are likely, and keep what the propensities are learned from."""
        net, batch = closure.net, closure.batch
        with evaluating(net.module_), torch.no_grad():
            scores, facts = net.outputs(batch)
        if not self._checked:
            self._check(net, batch, facts)
        s = batch["y"].to(scores.dtype)
        weights = batch.get("sample_weight", torch.ones_like(scores))
        chosen = batch["X"][:, torch.as_tensor(self._columns(batch["X"].shape[1]), device=scores.device)]
        if self.coef_ is None:
            q = torch.where(s > 0, 1.0, scores.sigmoid())
            likelihood = torch.zeros_like(q)
            closure.batch = batch | {"sample_weight": weights * self._balance(s, weights)}
        else:
            slopes = torch.as_tensor(self.coef_, dtype=chosen.dtype, device=chosen.device)
            log_odds = chosen @ slopes + self.intercept_
            q, likelihood = posterior(scores, log_odds, s), log_likelihood(scores, log_odds, s)
            ones = torch.ones_like(batch["y"])
            closure.batch = batch | {"y": ones, "y_b": torch.zeros_like(ones), "lam": q}
        if not self.converged_:
            if self._entry != len(net.history):  # the warm-up and epochs that were broken off leave rows behind
                self._rows, self._entry = [], len(net.history)
            self._rows.append((chosen, s, weights, q, likelihood))
        optimizer.step(closure)  # type: ignore[arg-type]

    def epoch(self, net: LossNet) -> None:
        """Learn the propensities from the rows of an epoch, unless it was of the warm-up."""
        self._epochs += 1
        if self.converged_ or self._epochs < self.warmup:
            return
        X, s, weights, q, likelihood = (
            torch.cat(part).cpu().double().numpy() for part in zip(*self._rows, strict=True)
        )
        self._rows = []
        if self._epochs > self.warmup:
            self.log_likelihoods_.append(float(weights @ likelihood / weights.sum()))
        self._learn(X, s, weights, q)
        self.converged_ = self._stands_still(X[s == 0], weights[s == 0])

    def state_dict(self) -> dict[str, Any]:
        """Return what was learned, and how far the rounds have come."""
        return {name: getattr(self, name) for name in (*RESULTS, *PROGRESS)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` returned."""
        for name in (*RESULTS, *PROGRESS):
            setattr(self, name, state[name])

    def _columns(self, n_columns: int) -> np.ndarray:
        return np.arange(n_columns) if self.attributes is None else np.asarray(self.attributes, dtype=np.int64)

    def _balance(self, s: Tensor, weights: Tensor) -> Tensor:
        """Return factors (n,) that make both labels equally common, by their shares in the rows seen so far."""
        self._labeled += float((weights * s).sum())
        self._total += float(weights.sum())
        share = self._labeled / self._total
        return torch.where(s > 0, 0.5 / share, 0.5 / (1 - share)).to(weights.dtype)

    def _learn(self, X: np.ndarray, s: np.ndarray, weights: np.ndarray, q: np.ndarray) -> None:
        """Fit the logistic regression of labels, with rows that count as much as they are positive."""
        if s.min() == s.max():
            raise DataError(
                f"{WHO} needs rows with a label and rows without one in each epoch, but all have s={s[0]:g}"
            )
        mean, scale = moments(X, weights) if X.shape[1] else (np.zeros(0), np.ones(0))
        inputs = np.c_[np.zeros(len(X)), (X - mean) / scale]  # the first column is for no attributes
        model = LogisticRegression(C=self.C, tol=1e-6, max_iter=1000).fit(inputs, s, sample_weight=weights * q)
        self.coef_ = model.coef_[0, 1:] / scale
        self.intercept_ = float(model.intercept_[0] - self.coef_ @ mean)
        self._models = [*self._models, np.r_[self.coef_, self.intercept_]][-WINDOW:]

    def _stands_still(self, X: np.ndarray, weights: np.ndarray) -> bool:
        """Whether neither likelihood nor propensities of these rows have moved much in the last rounds."""
        if len(self.log_likelihoods_) <= WINDOW:
            return False
        last = self.log_likelihoods_[-WINDOW:]
        chances = expit(np.c_[X, np.ones(len(X))] @ np.stack(self._models, axis=1))  # (n, WINDOW)
        time = np.arange(WINDOW) - (WINDOW - 1) / 2
        slopes = chances @ time / (time @ time)
        return bool(max(last) - last[0] < self.tol and np.average(abs(slopes), weights=weights) < self.tol)

    def _check(self, net: LossNet, batch: Batch, facts: Batch) -> None:
        """Refuse what soft labels of two classes do not go with.

        Raises
        ------
        TaskError, DataError
            With what to do.
        """
        term, *more = net.criterion_.terms
        advice = "use LossClassifier with loss='bce', on two classes"
        if term.role != "scores" or term.unit != "row":
            what = f"works on {term.role or 'no data'}, with a value per {term.unit}"
            raise TaskError(f"{WHO} needs a score and a loss for each row, and {term.title} {what}; {advice}")
        if term.labelwise:
            raise TaskError(
                f"{WHO} learns one class from labels that some of its rows have, and y has several; {advice}"
            )
        named = [name for name in (*term.facts, *term.data) if name != "y"]
        if more or named:
            what = more[0].title if more else f"a loss that looks at {named[0]!r}"
            raise TaskError(f"{WHO} blends the losses of both classes, which does not go with {what}; {advice}")
        if "lam" in facts:
            raise TaskError(f"{WHO} has soft labels of its own, which a mixup would replace; leave mixup out")
        with evaluating(term), torch.enable_grad():
            scores = torch.tensor([-2.0, 0.3, 1.5], dtype=net.dtype, device=net.device, requires_grad=True)
            q, ones = scores.detach().sigmoid(), torch.ones_like(scores)
            value = q * term.per_row(scores, ones) + (1 - q) * term.per_row(scores, 0 * ones)
            (slope,) = torch.autograd.grad(value.sum(), scores)
        if float(slope.abs().max()) > 1e-3:
            raise TaskError(f"{WHO} needs scores that are log odds, which {term.title} does not lead to; {advice}")
        if batch["X"].ndim != 2 or self._columns(0).max(initial=-1) >= batch["X"].shape[1]:
            raise DataError(
                f"{WHO}: attributes must be columns of X of shape (n, d), got {self.attributes} for rows of shape "
                f"{tuple(batch['X'].shape[1:])}"
            )
        self._checked = True


def posterior(scores: Tensor, log_odds: Tensor, s: Tensor) -> Tensor:
    """Return how likely rows are positive, (n,), given their label.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Log odds of the positive class.
    log_odds : Tensor of shape (n,)
        Log odds of a label of positives.
    s : Tensor of shape (n,)
        1. for labeled rows, else 0.

    Examples
    --------
    >>> posterior(torch.zeros(2), torch.zeros(2), torch.tensor([0.0, 1.0]))
    tensor([0.3333, 1.0000])
    """
    return torch.where(s > 0, 1.0, torch.sigmoid(scores - F.softplus(log_odds)))  # odds f / (1 - f) times 1 - e


def log_likelihood(scores: Tensor, log_odds: Tensor, s: Tensor) -> Tensor:
    """Return the log likelihood (n,) of labels: of ``f e`` where there is one, else of ``1 - f e``.

    Examples
    --------
    >>> log_likelihood(torch.zeros(2), torch.zeros(2), torch.tensor([0.0, 1.0])).exp()
    tensor([0.7500, 0.2500])
    """
    labeled = F.logsigmoid(scores) + F.logsigmoid(log_odds)
    unlabeled = torch.logaddexp(F.logsigmoid(-scores), F.logsigmoid(scores) - F.softplus(log_odds))
    return torch.where(s > 0, labeled, unlabeled)

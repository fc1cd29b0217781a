"""A regressor that learns from the mean responses of bags."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.metrics import r2_score

from sklearnloss.bags.targets import BagTable, check_bags, counted, own_bags, read_bags, rows_from_bags
from sklearnloss.estimators._bags import BagEstimator, split_targets
from sklearnloss.estimators._base import Output, with_callbacks
from sklearnloss.estimators._numbers import as_numbers
from sklearnloss.estimators._rows import Rows
from sklearnloss.estimators.regressor import LossRegressor
from sklearnloss.exceptions import TaskError
from sklearnloss.spec import Choice
from sklearnloss.training.backbone import Network

__all__ = ["AggregateRegressor"]


class AggregateRegressor(BagEstimator, LossRegressor):
    """A neural regressor of rows, learnt from bags of which only the mean response is known.

    Parameters
    ----------
    loss : str, callable, mapping, Loss or Sum, default="bag_interp_mse"
        A loss of bags on ``prediction``, or a sum that has one.
    bag_weight : {"size", "equal"}, default="size"
        Whether a bag counts by the weight of its rows, or each the same.
    max_bag_rows : int in [1, inf) or None, default=None
        Rows that are drawn at most of a bag in an epoch, anew each time and each as likely.
    sampler : str, callable or Sampler, default=None
        Which bags make a batch; None is ``"whole_bags"``.
    mixup : str, callable or Mixup, default=None
        How bags are merged.
    module : None, nn.Module, class or factory, default=None
        None is a perceptron. A class or factory gets those of ``n_features, n_outputs, random_state`` that
        it names; naming ``n_outputs`` makes it complete, anything else is a backbone and gets a linear head.
    hidden_layer_sizes : sequence of int, default=(100,)
        Widths of the perceptron; empty for a linear model.
    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="relu"
        Activation of the perceptron.
    dropout : float in [0, 1), default=0.0
        Dropout after each hidden layer of the perceptron.
    standardize : bool, default=True
        Whether the perceptron standardises its inputs; the moments are those of the training rows, with their weights.
    reduction : str, callable or Reduction, default="mean"
        From one value per bag to a scalar.
    mode : str, class or Mode, default=None
        A mode of training.
    optimizer : str, class or Optimizer, default="adam"
        ``"adam"``, ``"adamw"``, ``"sgd"`` or a torch optimizer.
    lr : float in (0, inf), default=1e-3
        Learning rate.
    loss_lr : float in [0, inf), default=1.0
        Factor of ``lr`` for the parameters of a loss.
    weight_decay : float in [0, inf), default=0.0
        Weight decay of the network; parameters of losses have none.
    lr_schedule : {"cosine", "linear", "step", "warmup_cosine"}, callable or None, default=None
        Factor of ``lr`` as a function of progress in [0, 1).
    max_grad_norm : float in (0, inf) or None, default=None
        Limit of the gradient's norm.
    batch_size : int in [1, inf), default=256
        Upper limit of the rows of a batch; a bag that is larger is a batch of its own.
    max_epochs : int in [1, inf), default=100
        Epochs.
    early_stopping : bool, default=False
        Whether to hold bags out, watch their score, and go back to the best weights.
    validation_fraction : float in (0, 1), default=0.1
        Share of the bags held out for early stopping.
    n_iter_no_change : int in [1, inf), default=10
        Epochs without a better score before stopping.
    scoring : str, callable or None, default=None
        What early stopping watches; None is ``score``.
    checkpoint : str, path or None, default=None
        A directory in which ``fit`` keeps its state after every epoch, as `LossClassifier` does.
    head : "auto" or callable, default="auto"
        ``head(in_features, n_outputs) -> nn.Module`` in place of the linear head.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last weights.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ...; ``"auto"`` is an accelerator if there is one.
    precision : {"auto", "fp64", "fp32", "bf16"}, default="auto"
        ``"auto"`` is the dtype of X on a CPU and float32 elsewhere.
    compile : bool or str, default=False
        Whether to compile the network; a string is the backend.
    memory_limit : int, str or None, default="1GB"
        Bytes that X may take where it is a memory map or a path, as for `LossClassifier`.
    num_workers : int in [0, inf), default=0
        Processes that read a torch Dataset; 0 reads in this one.
    callbacks : list or None, default=None
        skorch callbacks. scikit-learn's own are given to ``set_callbacks``.
    random_state : int, RandomState or None, default=None
        Seed of weights, batches, dropout and losses; global generators are left as they were.
    verbose : int, default=0
        Whether to print a line per epoch.

    Attributes
    ----------
    net_ : LossNet
        The skorch net, with ``module_`` and ``criterion_``.
    n_iter_ : int
        Epochs trained, over all calls of ``partial_fit`` and warm starts.
    loss_curve_ : list of float
        Mean training loss of each epoch, in units of the standardised means.
    history_ : list of dict
        A row per epoch: ``train_loss``, ``train_loss_<term>`` for each term of a sum, ``valid_score``, ``dur``, ``lr``.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    See Also
    --------
    bag_targets : Targets that carry their bag, for folds and searches.
    LLPClassifier : The same for proportions of classes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, bags = rng.normal(size=(300, 2)), np.repeat(np.arange(60), 5)
    >>> y = X @ [1.0, -2.0]
    >>> means = np.bincount(bags, weights=y) / 5
    >>> model = AggregateRegressor(lr=1e-2, random_state=0).set_params(loss__rho=0.05)
    >>> model = model.fit(X, means[bags], bags=bags)
    >>> model.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        loss: Any = "bag_interp_mse",
        *,
        bag_weight: str = "size",
        max_bag_rows: int | None = None,
        sampler: Any = None,
        mixup: Any = None,
        module: Any = None,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str = "relu",
        dropout: float = 0.0,
        standardize: bool = True,
        reduction: Any = "mean",
        mode: Any = None,
        optimizer: Any = "adam",
        lr: float = 1e-3,
        loss_lr: float = 1.0,
        weight_decay: float = 0.0,
        lr_schedule: str | Callable[[float], float] | None = None,
        max_grad_norm: float | None = None,
        batch_size: int = 256,
        max_epochs: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        scoring: Any = None,
        checkpoint: str | PathLike[str] | None = None,
        head: str | Callable[[int, int], torch.nn.Module] = "auto",
        warm_start: bool = False,
        device: str = "auto",
        precision: str = "auto",
        compile: bool | str = False,
        memory_limit: int | str | None = "1GB",
        num_workers: int = 0,
        callbacks: list[Any] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.loss = loss
        self.bag_weight = bag_weight
        self.max_bag_rows = max_bag_rows
        self.sampler = sampler
        self.mixup = mixup
        self.module = module
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.standardize = standardize
        self.reduction = reduction
        self.mode = mode
        self.optimizer = optimizer
        self.lr = lr
        self.loss_lr = loss_lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.checkpoint = checkpoint
        self.head = head
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.compile = compile
        self.memory_limit = memory_limit
        self.num_workers = num_workers
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    # -- fit ----------------------------------------------------------------------------------------------------------

    @with_callbacks
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, bags: ArrayLike | None = None, **row_facts: Any
    ) -> Self:
        """Train on rows and the mean responses of their bags.

        Parameters
        ----------
        X : array, DataFrame, CSR matrix, memory map, path or Dataset of n rows and d columns
            Rows, as `LossClassifier.fit` takes them.
        y : structured array of shape (n,), or array of shape (n,) or (n, n_targets)
            What `bag_targets` makes. With ``bags`` the mean response of each row's bag; or, where rows of a bag differ,
            their own responses, of which only the means are used. Without ``bags`` each row is its own bag.
        sample_weight : array of shape (n,), default=None
            Weights of rows, not negative: their shares within their bag, and together its size.
        bags : array of shape (n,), default=None
            Id of each row's bag.
        **row_facts : arrays with one row per sample
            ``noise_scale``, the standard deviation of the noise in the mean of the row's bag, which then counts less.
            And what a loss asks for.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If an id is missing or a mean is not finite; the bag is named.
        ValueError
            If other data or parameters are refused; each message says why and what is allowed.
        NonFiniteLossError
            If the loss left the numbers; the weights of the last good epoch are kept.
        """
        self._validate_params()
        resume = self.warm_start and hasattr(self, "net_")
        return self._fit_bags(X, y, sample_weight, bags, row_facts, epochs=self.max_epochs, resume=resume)

    def fit_bags(self, X_bags: Sequence[Any], means: ArrayLike, **row_facts: Any) -> Self:
        """Train on a list of bags.

        Parameters
        ----------
        X_bags : sequence of array-like of shape (n_b, d)
            The rows of each bag.
        means : array-like of shape (b,) or (b, n_targets)
            Their mean responses.
        **row_facts : arrays with one row per sample
            As in `fit`, bag after bag.

        Returns
        -------
        self
        """
        return self.fit(*rows_from_bags(X_bags, means), **row_facts)

    @with_callbacks
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, bags: ArrayLike | None = None, **row_facts: Any
    ) -> Self:
        """Train for one epoch on these bags, from where the last call ended.

        Parameters
        ----------
        X, y, sample_weight, bags
            As in `fit`; a bag is whole within a call. The first call fixes the moments of X and y.
        **row_facts : arrays with one row per sample
            As in `fit`.

        Returns
        -------
        self
        """
        self._validate_params()
        self._check_incremental()
        resume = hasattr(self, "net_")
        return self._fit_bags(X, y, sample_weight, bags, row_facts, epochs=1, resume=resume, same_net=True)

    # -- what the base asks for ---------------------------------------------------------------------------------------

    def _encode(self, y: Any, *, resume: bool, classes: Any = None, order: Any = None) -> np.ndarray:
        """Return the mean response of each row's bag, (n, n_targets)."""
        values = super()._encode(y, resume=resume)
        ids = self._given_bags
        self._table = own_bags(values) if ids is None else means_of_bags(values, ids, self._given_weight)
        return self._table.values[self._table.code]

    def _output(self, terms: Mapping[str, Choice], rows: Rows) -> Output:
        for choice in terms.values():
            component = choice.component
            if component.role not in ("", "prediction"):
                raise TaskError(
                    f"{component.title} works on {component.role}; AggregateRegressor takes losses of bags on "
                    "prediction, such as 'bag_interp_mse'; LLPClassifier takes those on logits"
                )
            if component.unit != "bag" and "y" in component.data:
                raise TaskError(
                    f"{component.title} needs the response of each row; AggregateRegressor takes losses of bags, such "
                    "as 'bag_interp_mse'"
                )
        return super()._output(terms, rows)

    def _fit_facts(self, rows: Rows, network: Network, x_scale: np.ndarray | None, seed: int) -> dict[str, Any]:
        return super()._fit_facts(rows, network, x_scale, seed) | self._facts_of_bags(rows, network.dtype)

    def _trust(self, noise: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        spread = self._table.values[self._trained].var(axis=0).mean()  # of the means themselves
        return spread / (spread + noise**2) if spread > 0 else 1 / (1 + noise**2)

    # -- prediction ---------------------------------------------------------------------------------------------------

    def predict_means(self, X: Any, bags: ArrayLike, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """Return the mean response of bags.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.
        bags : array of shape (n,)
            Id of each row's bag.
        sample_weight : array of shape (n,), default=None
            Weights of rows within their bag.

        Returns
        -------
        array of shape (b,) or (b, n_targets)
            The mean of `predict` over each bag, in the order of ``np.unique(bags)``.
        """
        return self._mean(self.predict(X), bags, sample_weight)

    def score(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None, *, bags: ArrayLike | None = None
    ) -> float:
        """Return the coefficient of determination, of rows or of the means of bags.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.
        y : array of shape (n,) or (n, n_targets), or what `bag_targets` makes
            Responses of rows; or, with bags, what `fit` takes.
        sample_weight : array of shape (n,), default=None
            Weights of rows.
        bags : array of shape (n,), default=None
            Id of each row's bag.

        Returns
        -------
        float
            1 is exact; 0 is as good as the mean. Bags count by the weight of their rows.
        """
        y, ids = split_targets(y, bags)
        if ids is None:
            return float(super().score(X, y, sample_weight))
        table = means_of_bags(as_numbers(y), ids, sample_weight)
        weight = table.sizes if sample_weight is None else np.bincount(table.code, weights=np.asarray(sample_weight))
        found = self.predict_means(X, check_bags(ids), sample_weight).reshape(table.values.shape)
        return float(r2_score(table.values, found, sample_weight=weight))


def means_of_bags(values: np.ndarray, bags: Any, sample_weight: Any) -> BagTable:
    """Return the table of means of bags, given once per row or by the responses of rows."""
    found = counted(values, bags, sample_weight)
    first = np.unique(found.code, return_index=True)[1]
    same = (values == values[first][found.code]).all()
    return read_bags(values, check_bags(bags)) if same else found

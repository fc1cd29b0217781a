"""A classifier that learns from the proportions of classes in bags."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import type_of_target

from sklearnloss.bags.targets import (
    BagTable,
    check_bags,
    check_proportions,
    counted,
    own_bags,
    read_bags,
    rows_from_bags,
)
from sklearnloss.estimators._bags import BagEstimator, split_targets
from sklearnloss.estimators._base import Output, with_callbacks
from sklearnloss.estimators._binding import common_role
from sklearnloss.estimators._decoding import ClassDecoder
from sklearnloss.estimators._rows import Rows
from sklearnloss.estimators._targets import ClassTargets
from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.functional.links import LINKS
from sklearnloss.registry import components
from sklearnloss.spec import Choice
from sklearnloss.training.backbone import Network
from sklearnloss.training.net import LossNet

__all__ = ["LLPClassifier"]


class LLPClassifier(ClassifierMixin, BagEstimator):  # type: ignore[misc]
    """A neural classifier of rows, learnt from bags of which only the proportions of the classes are known.

    Learning from label proportions (LLP): precincts with vote shares, clinics with rates, reports with totals. Nothing
    here needs the label of a row: fitting, early stopping, choosing (`bag_kl_scorer`, `BagKFold`) and judging work from
    bags.

    Parameters
    ----------
    loss : str, callable, mapping, Loss or Sum, default="proportion_ce"
        A loss of bags (``sklearnloss list --task bag``), or a sum that has one.
    bag_weight : {"size", "equal"}, default="size"
        Whether a bag counts by the weight of its rows, or each the same.
    max_bag_rows : int in [1, inf) or None, default=None
        Rows that are drawn at most of a bag in an epoch, anew each time and each as likely.
    sampler : str, callable or Sampler, default=None
        Which bags make a batch; None is ``"whole_bags"``.
    mixup : str, callable or Mixup, default=None
        How bags are merged, such as ``"mixbag"``.
    module : None, nn.Module, class or factory, default=None
        None is a perceptron. A class or factory gets those of ``n_features, n_outputs, n_classes, random_state`` that
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
        A mode of training, such as ``"llp_bp"``.
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
    classes_ : array of shape (n_classes,)
        Sorted classes; the columns of ``predict_proba``.
    net_ : LossNet
        The skorch net, with ``module_`` and ``criterion_``.
    n_iter_ : int
        Epochs trained, over all calls of ``partial_fit`` and warm starts.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    history_ : list of dict
        A row per epoch: ``train_loss``, ``train_loss_<term>`` for each term of a sum, ``valid_score``, ``dur``, ``lr``.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    See Also
    --------
    bag_targets : Targets that carry their bag, for folds and searches.
    AggregateRegressor : The same for mean responses.
    LossClassifier : From labels of rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearnloss import bag_targets
    >>> X, y = load_iris(return_X_y=True)
    >>> bags = np.random.default_rng(0).integers(15, size=150)
    >>> shares = np.eye(3)[y]  # of one row; of a bag they are averaged
    >>> proportions = {b: shares[bags == b].mean(axis=0) for b in range(15)}
    >>> model = LLPClassifier(batch_size=32, lr=1e-2, random_state=0).fit(X, bag_targets(proportions, bags))
    >>> model.score(X, y) > 0.9
    True
    """

    _records: ClassVar[tuple[type, ...]] = (ClassTargets,)

    classes_: np.ndarray
    net_: LossNet
    _targets: ClassTargets

    def __init__(
        self,
        loss: Any = "proportion_ce",
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
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        bags: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        **row_facts: Any,
    ) -> Self:
        """Train on rows and what is known of their bags.

        Parameters
        ----------
        X : array, DataFrame, CSR matrix, memory map, path or Dataset of n rows and d columns
            Rows, as `LossClassifier.fit` takes them.
        y : structured array of shape (n,), or array of shape (n, k) or (n,)
            What `bag_targets` makes. With ``bags``: proportions of each row's bag (n, k); the share of the positive
            class (n,), a number in [0, 1] that is the same in a bag; or classes of rows (n,), of which only the
            proportions in each bag are used. Classes without ``bags``: each row is its own bag.
        sample_weight : array of shape (n,), default=None
            Weights of rows, not negative: their shares within their bag, and together its size.
        bags : array of shape (n,), default=None
            Id of each row's bag.
        classes : array of shape (k,), default=None
            Names of the columns of proportions, sorted; None is 0..k-1. Of classes of rows all that there are.
        **row_facts : arrays with one row per sample
            ``noise_scale``, the standard deviation of the noise in the proportions of the row's bag: a bag counts less
            by how much larger it is than what chance leaves of a bag of its size. And what a loss asks for.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If proportions are negative, do not sum to one, or differ within a bag, if an id is missing, there is one
            bag, or a class is absent from all; the bag is named.
        ValueError
            If other data or parameters are refused; each message says why and what is allowed.
        NonFiniteLossError
            If the loss left the numbers; the weights of the last good epoch are kept.
        """
        self._validate_params()
        resume = self.warm_start and hasattr(self, "net_")
        return self._fit_bags(
            X, y, sample_weight, bags, row_facts, epochs=self.max_epochs, resume=resume, classes=classes
        )

    def fit_bags(
        self, X_bags: Sequence[Any], proportions: ArrayLike, *, classes: ArrayLike | None = None, **row_facts: Any
    ) -> Self:
        """Train on a list of bags.

        Parameters
        ----------
        X_bags : sequence of array-like of shape (n_b, d)
            The rows of each bag.
        proportions : array-like of shape (b, k) or (b,)
            What is known of each.
        classes : array of shape (k,), default=None
            Names of the columns of proportions, sorted.
        **row_facts : arrays with one row per sample
            As in `fit`, bag after bag.

        Returns
        -------
        self
        """
        X, y = rows_from_bags(X_bags, proportions)
        return self.fit(X, y, classes=classes, **row_facts)

    @with_callbacks
    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        bags: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        **row_facts: Any,
    ) -> Self:
        """Train for one epoch on these bags, from where the last call ended.

        Parameters
        ----------
        X, y, sample_weight, bags
            As in `fit`; a bag is whole within a call. The first call fixes the classes and the moments of X.
        classes : array, default=None
            All classes; needed at the first call if y has classes of rows and lacks some.
        **row_facts : arrays with one row per sample
            As in `fit`.

        Returns
        -------
        self
        """
        self._validate_params()
        self._check_incremental()
        resume = hasattr(self, "net_")
        return self._fit_bags(
            X, y, sample_weight, bags, row_facts, epochs=1, resume=resume, same_net=True, classes=classes
        )

    # -- what the base asks for ---------------------------------------------------------------------------------------

    def _encode(self, y: Any, *, resume: bool, classes: Any = None, order: Any = None) -> np.ndarray:
        """Return the proportions of each row's bag, (n, k)."""
        ids = self._given_bags
        if ids is None and np.ndim(y) == 2 and np.shape(y)[1] > 1 and np.asarray(y).dtype.kind == "f":
            raise DataError(
                f"y has {np.shape(y)[1]} columns of proportions and no bags; give bags=, or make y with bag_targets"
            )
        if ids is None or not _are_proportions(y, ids):
            codes = self._learnt_classes(y, resume=resume, classes=classes)
            values = np.eye(self._targets.n_classes)[codes]
            if ids is None:
                self._table = own_bags(values)
            else:
                found = counted(values, ids, self._given_weight)
                self._table = check_proportions(found, self._targets.classes, whole=self._whole)
        else:
            table = read_bags(np.asarray(y, dtype=np.float64), ids)
            width = table.values.shape[1] if table.values.ndim == 2 else 2
            known = np.arange(width) if classes is None else np.asarray(classes)
            if known.ndim != 1 or len(known) != width or len(np.unique(known)) != width:
                raise DataError(f"classes must name each of the {width} columns of proportions, got {known.tolist()}")
            if (np.sort(known) != known).any():
                raise DataError(f"classes must be sorted, as the columns of predict_proba are, got {known.tolist()}")
            self._learnt_classes(known, resume=resume, classes=known)
            self._table = check_proportions(table, known, whole=self._whole)
        return self._table.values[self._table.code]

    def _learnt_classes(self, y: Any, *, resume: bool, classes: Any) -> np.ndarray:
        if resume:
            self._targets.check_same(classes)
        else:
            self._targets = ClassTargets.of(y, classes=classes)
            if self._targets.kind == "multilabel":
                raise TaskError(
                    "LLPClassifier: y has several labels per row; give proportions of classes with bags=, or train a "
                    "model for each label"
                )
        return self._targets.encode(y)

    def _target_identity(self) -> dict[str, Any]:
        return {"classes": self._targets.classes, "bag_weight": self.bag_weight}

    def _output(self, terms: Mapping[str, Choice], rows: Rows) -> Output:
        for choice in terms.values():
            component = choice.component
            if component.unit != "bag" and "y" in component.data:
                known = ", ".join(c.name for c in components("loss") if c.unit == "bag" and c.role == "logits")
                raise TaskError(
                    f"{component.title} needs the label of each row; LLPClassifier takes losses of bags: {known}"
                )
        role = common_role(terms, "LLPClassifier")
        if role != "logits":
            title = self._head_term()[1].component.title
            raise TaskError(f"{title} works on {role}; LLPClassifier takes losses on logits")
        return role, self._targets.n_classes

    def _network(self, rows: Rows, output: Output, scaler: Any, seed: int) -> Network:
        self.classes_ = self._targets.classes
        return self._built(rows, output, scaler, seed, n_classes=self._targets.n_classes)

    def _fit_facts(self, rows: Rows, network: Network, x_scale: np.ndarray | None, seed: int) -> dict[str, Any]:
        assert rows.y is not None
        weights = None if rows.weights is None else rows.weights[rows.drawn]
        facts: dict[str, Any] = {
            "n_samples": rows.X.shape[0],
            "n_features": rows.X.shape[1],
            "n_classes": self._targets.n_classes,
            "embedding_dim": getattr(network.head, "in_features", None),
            "priors": torch.as_tensor(np.average(rows.y[rows.drawn], axis=0, weights=weights), dtype=network.dtype),
            "generator": torch.Generator(device=self._device()).manual_seed(seed),
            **self._facts_of_bags(rows, network.dtype),
        }
        if x_scale is not None:
            facts["x_scale"] = torch.as_tensor(x_scale, dtype=network.dtype)
        return facts

    def _trust(self, noise: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        p = self._table.values[self._trained]
        chance = (p * (1 - p)).sum(axis=1) / sizes  # what a sample of that size leaves open
        chance = np.maximum(chance, (1 - 1 / p.shape[1]) / sizes**2)  # a pure bag is as good as one row's doubt
        return chance / (chance + p.shape[1] * noise**2)

    # -- prediction ---------------------------------------------------------------------------------------------------

    def _decoder(self) -> ClassDecoder:
        return ClassDecoder(self._targets, LINKS["softmax"].function, scores_linked=False, calibrated=None)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return scores: for two classes one (n,), positive for ``classes_[1]``; else one per class (n, k)."""
        return self._from_output(X, self._decide)

    @torch.inference_mode()
    def _decide(self, output: torch.Tensor) -> np.ndarray:
        return self._decoder().scores(output).numpy()

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes of each row.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.

        Returns
        -------
        array of shape (n, k)
            Rows that sum to one.
        """
        return self._from_output(X, self._probabilities)

    @torch.inference_mode()
    def _probabilities(self, output: torch.Tensor) -> np.ndarray:
        return self._decoder().probabilities(output).numpy()

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row (n,)."""
        return self._from_output(X, self._choose)

    @torch.inference_mode()
    def _choose(self, output: torch.Tensor) -> np.ndarray:
        chosen: np.ndarray = self.classes_[self._decoder().labels(output).numpy()]
        return chosen

    def predict_proportions(self, X: Any, bags: ArrayLike, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """Return the proportions of the classes in bags.

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
        array of shape (b, k)
            The mean of `predict_proba` over each bag, in the order of ``np.unique(bags)``; where the rows of a bag
            weigh nothing together the plain one.
        """
        return self._mean(self.predict_proba(X), bags, sample_weight)

    def score(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None, *, bags: ArrayLike | None = None
    ) -> float:
        """Return the accuracy of rows, or how near proportions of bags are.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.
        y : array of shape (n,), or what `bag_targets` makes
            Classes of rows; or, with bags, what `fit` takes.
        sample_weight : array of shape (n,), default=None
            Weights of rows.
        bags : array of shape (n,), default=None
            Id of each row's bag.

        Returns
        -------
        float
            Without bags the share of rows that are predicted right. With bags one minus half the sum of absolute errors
            of the proportions, bags by the weight of their rows: 1 is exact.
        """
        y, ids = split_targets(y, bags)
        if ids is None:
            return float(super().score(X, y, sample_weight))
        table = self._known_proportions(y, ids, sample_weight)
        off = np.abs(self.predict_proportions(X, check_bags(ids), sample_weight) - table.values).sum(axis=1) / 2
        weight = table.sizes if sample_weight is None else np.bincount(table.code, weights=np.asarray(sample_weight))
        return float(1 - np.average(off, weights=weight))

    def _known_proportions(self, y: Any, ids: Any, sample_weight: Any) -> BagTable:
        if not _are_proportions(y, ids):
            return counted(np.eye(self._targets.n_classes)[self._targets.encode(y)], ids, sample_weight)
        table = check_proportions(read_bags(np.asarray(y, dtype=np.float64), ids), self.classes_, whole=False)
        if table.values.shape[1] != len(self.classes_):
            raise DataError(f"y must have proportions of the {len(self.classes_)} classes, got {table.values.shape[1]}")
        return table

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _are_proportions(y: Any, bags: Any) -> bool:
    """Whether y holds what is known of bags, not classes of rows: several columns, or shares that agree in each bag."""
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] > 1:
        return True
    if values.dtype.kind != "f":
        return False
    if type_of_target(values.ravel()).startswith("continuous"):
        return True
    ids = np.asarray(bags)
    _, first, code = np.unique(ids, return_index=True, return_inverse=True)
    inside = bool(((values >= 0) & (values <= 1)).all())
    return inside and len(values) == len(ids) and bool((values.ravel() == values.ravel()[first][code]).all())

"""A classifier whose loss is a hyperparameter."""

import functools
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight

from sklearnloss.estimators._base import NetEstimator, Output, with_callbacks
from sklearnloss.estimators._binding import keywords_of
from sklearnloss.estimators._calibration import Calibration
from sklearnloss.estimators._classes import check_terms, count_outputs, fit_facts, label_facts
from sklearnloss.estimators._data import open_data, some_rows
from sklearnloss.estimators._decoding import ClassDecoder, LossLink
from sklearnloss.estimators._export import ClassExport
from sklearnloss.estimators._rows import BY_CLASS, Rows
from sklearnloss.estimators._targets import ClassTargets
from sklearnloss.exceptions import FactError, SklearnLossError, TaskError
from sklearnloss.functional.links import LINKS, Link
from sklearnloss.spec import Choice, choose
from sklearnloss.training.backbone import Network
from sklearnloss.training.heads import head_kind
from sklearnloss.training.net import LossNet

__all__ = ["LossClassifier"]


def _link(estimator: "LossClassifier") -> Link:
    """Return the link of the first term, with the hyperparameters that it names."""
    name, choice = estimator._head_term()
    link = choice.component.prediction_link
    if isinstance(link, str) and link not in LINKS:
        return Link(LossLink(lambda: estimator.net_.criterion_.by_name[name], link), probability=True)
    known = LINKS[link] if isinstance(link, str) else Link(link, probability=True)
    values = choice.all_params() | getattr(estimator, "_kept_facts", {})
    named = {n: values[n] for n in keywords_of(known.function) if n in values}
    return Link(functools.partial(known.function, **named), known.probability) if named else known


def _has_probabilities(estimator: "LossClassifier") -> bool:
    if _link(estimator).probability:
        return True
    unfinished = getattr(estimator, "calibration_", True) is None  # while it trains, or where training was interrupted
    if estimator.calibrate is not None and not unfinished:
        return True
    title = estimator._head_term()[1].component.title
    if estimator.calibrate is not None:
        raise AttributeError(f"{title} has no link to probabilities, and calibrate is fitted when training has ended")
    raise AttributeError(
        f"{title} has no link to probabilities; set calibrate='temperature' or another (sklearnloss list "
        "calibrator), or use decision_function"
    )


class LossClassifier(ClassifierMixin, ClassExport, NetEstimator):  # type: ignore[misc]
    """A neural classifier whose loss is a hyperparameter.

    Parameters
    ----------
    loss : str, callable, mapping, Loss or Sum, default="cross_entropy"
        A registered name (``sklearnloss list``), any function whose first argument is a role (``logits, scores,
        label_logits, cosines, ...``), one of torch's loss modules, or a sum: ``Loss("ldr") + 0.1 * Loss("supcon")``.
    module : None, nn.Module, class or factory, default=None
        None is a perceptron. A class or factory gets those of ``n_features, n_outputs, n_classes, random_state`` that
        it names; naming ``n_outputs`` makes it complete, anything else is a backbone and gets the loss's head.
    hidden_layer_sizes : sequence of int, default=(100,)
        Widths of the perceptron; empty for a linear model.
    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="relu"
        Activation of the perceptron.
    dropout : float in [0, 1), default=0.0
        Dropout after each hidden layer of the perceptron.
    standardize : bool, default=True
        Whether the perceptron standardises its inputs; the moments are those of the training rows, with their weights.
    sampler : str, callable or Sampler, default=None
        Which rows make a batch; None is the loss's wish, else ``"shuffle"``, or ``"shuffle_blocks"`` where X is read
        from files piece by piece.
    mixup : str, callable or Mixup, default=None
        How rows are mixed; for losses made of independent rows.
    reduction : str, callable or Reduction, default="mean"
        From one value per row to a scalar.
    mode : str, class or Mode, default=None
        A mode of training.
    optimizer : str, class or Optimizer, default="adam"
        ``"adam"``, ``"adamw"``, ``"sgd"`` or a torch optimizer.
    lr : float in (0, inf), default=1e-3
        Learning rate.
    loss_lr : float in [0, inf), default=1.0
        Factor of ``lr`` for the parameters of a loss and of a cosine head.
    weight_decay : float in [0, inf), default=0.0
        Weight decay of the network; parameters of losses and cosine heads have none.
    lr_schedule : {"cosine", "linear", "step", "warmup_cosine"}, callable or None, default=None
        Factor of ``lr`` as a function of progress in [0, 1).
    max_grad_norm : float in (0, inf) or None, default=None
        Limit of the gradient's norm.
    batch_size : int in [1, inf), default=128
        Upper limit of a batch; the batches of an epoch differ by at most one row.
    max_epochs : int in [1, inf), default=100
        Epochs.
    early_stopping : bool, default=False
        Whether to hold rows out, watch their score, and go back to the best weights.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows held out for early stopping, and again for ``calibrate``.
    n_iter_no_change : int in [1, inf), default=10
        Epochs without a better score before stopping.
    scoring : str, callable or None, default=None
        What early stopping watches; None is ``score``.
    class_weight : dict, "balanced" or None, default=None
        Weights of classes, multiplied into ``sample_weight``.
    class_order : sequence or None, default=None
        The classes from lowest to highest, for losses that know an order. None is the order of an ordered pandas
        Categorical, or of numbers.
    calibrate : str, class or Calibrator, default=None
        How scores of held-out rows become probabilities: ``"temperature"``, ``"sigmoid"``, ``"isotonic"``,
        ``"vector"``, ``"matrix"``, ... (``sklearnloss list calibrator``); one for each of several labels.
    checkpoint : str, path or None, default=None
        A directory, made if need be, in which ``fit`` keeps its state after every epoch. If the process is killed, the
        same ``fit`` goes on from the last finished epoch and ends with the same weights, to the bit. Its file is named
        by parameters, data and versions, so other fits, and the candidates of a search, may use the same directory, and
        whatever differs starts anew. The file of a finished fit stays, and the same fit takes its result again, if
        ``random_state`` is a number and no parameter is code of yours; else it is removed.
    head : "auto", "implicit" or callable, default="auto"
        ``head(in_features, n_outputs) -> nn.Module`` in place of the head that the loss's role asks for. ``"implicit"``
        is a linear head for very many classes, whose step costs the same for any number of them: for losses of the
        spherical family (``z_loss``, ``spherical_softmax``, ``taylor_softmax``). It moves by plain gradient descent of
        rate ``lr * loss_lr``, with ``weight_decay``; the optimizer has the rest of the network.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last weights.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ...; ``"auto"`` is an accelerator if there is one.
    precision : {"auto", "fp64", "fp32", "bf16"}, default="auto"
        ``"auto"`` is the dtype of X on a CPU and float32 elsewhere.
    compile : bool or str, default=False
        Whether to compile the network; a string is the backend.
    memory_limit : int, str or None, default="1GB"
        Bytes that X may take, such as ``"500MB"``, where it is a memory map or a path. What fits is read into memory;
        of what does not, pieces are read from its files, and fit and predict take no more than this. None reads
        everything into memory. An array is in memory already; y, row facts and the network come on top.
    num_workers : int in [0, inf), default=0
        Processes that read a torch Dataset; 0 reads in this one.
    callbacks : list or None, default=None
        skorch callbacks. scikit-learn's own are given to ``set_callbacks``.
    random_state : int, RandomState or None, default=None
        Seed of weights, batches, dropout and losses; torch's and numpy's global generators are left as they were.
    verbose : int, default=0
        Whether to print a line per epoch.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted classes; the columns of ``predict_proba``. For several labels their numbers.
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
    sklearn.neural_network.MLPClassifier : The same perceptron with the log loss only.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LossClassifier(loss="ldr", random_state=0).set_params(loss__lam=0.5).fit(X, y)
    >>> model.predict(X[:2])
    array([0, 0])
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = NetEstimator._parameter_constraints | {
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "head": [StrOptions({"auto", "implicit"}), callable],
        "class_order": ["array-like", None],
    }

    _spec_kinds: ClassVar[dict[str, str]] = NetEstimator._spec_kinds | {"calibrate": "calibrator"}
    _records: ClassVar[tuple[type, ...]] = (ClassTargets, Calibration)

    classes_: np.ndarray
    net_: LossNet
    calibration_: Calibration | None
    _targets: ClassTargets

    def __init__(
        self,
        loss: Any = "cross_entropy",
        *,
        module: Any = None,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str = "relu",
        dropout: float = 0.0,
        standardize: bool = True,
        sampler: Any = None,
        mixup: Any = None,
        reduction: Any = "mean",
        mode: Any = None,
        optimizer: Any = "adam",
        lr: float = 1e-3,
        loss_lr: float = 1.0,
        weight_decay: float = 0.0,
        lr_schedule: str | Callable[[float], float] | None = None,
        max_grad_norm: float | None = None,
        batch_size: int = 128,
        max_epochs: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        scoring: Any = None,
        class_weight: Any = None,
        class_order: Sequence[Any] | None = None,
        calibrate: Any = None,
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
        self.module = module
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.standardize = standardize
        self.sampler = sampler
        self.mixup = mixup
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
        self.class_weight = class_weight
        self.class_order = class_order
        self.calibrate = calibrate
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
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, classes: Any = None, **row_facts: Any) -> Self:
        """Train on rows and their classes.

        Parameters
        ----------
        X : array, DataFrame, CSR matrix, memory map, path or Dataset of n rows and d columns
            Rows; float32 and float64 keep their precision, a sparse matrix is made dense batch by batch. A path is
            that of a ``.npy`` file, a Parquet file, or a folder of Parquet files in the order of their names; it and a
            memory map are read piece by piece if they are larger than ``memory_limit``. A torch Dataset of ``x`` or
            ``(x, y)`` is read through a DataLoader.
        y : array of shape (n,) or (n, n_labels), or str, default=None
            Classes of any type, or zeros and ones for several labels. For Parquet it may be the name of the column;
            for a Dataset of pairs None reads it, in one pass more.
        sample_weight : array of shape (n,), default=None
            Weights, not negative, not all zero.
        classes : array, default=None
            All classes, where y may lack some; they fix the columns of ``teacher``.
        **row_facts : arrays with one row per sample
            What a loss asks for: ``teacher``, ``group``, ... A known fact that nobody names is ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data or the parameters are refused; each message says why and what is allowed.
        MissingFactError
            If the loss needs a row fact that was not given.
        NonFiniteLossError
            If the loss left the numbers; the weights of the last good epoch are kept.
        """
        self._validate_params()
        resume = self.warm_start and hasattr(self, "net_")
        return self._fit(X, y, sample_weight, row_facts, epochs=self.max_epochs, resume=resume, classes=classes)

    @with_callbacks
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, classes: Any = None, **row_facts: Any
    ) -> Self:
        """Train for one epoch on these rows, from where the last call ended.

        The first call fixes the classes and the moments by which X is standardised.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array of shape (n,), default=None
            Weights.
        classes : array, default=None
            All classes; needed at the first call if y lacks some.
        **row_facts : arrays with one row per sample
            What a loss asks for.

        Returns
        -------
        self
        """
        self._validate_params()
        self._check_incremental()
        resume = hasattr(self, "net_")
        return self._fit(X, y, sample_weight, row_facts, epochs=1, resume=resume, same_net=True, classes=classes)

    # -- what the base asks for ---------------------------------------------------------------------------------------

    def _check_choices(self) -> None:
        if self.calibrate is not None:
            choose("calibrator", self.calibrate)

    def _encode(self, y: Any, *, resume: bool, classes: Any = None, order: Any = None) -> np.ndarray:
        if resume:
            self._targets.check_same(classes)
        else:
            self._targets = ClassTargets.of(y, classes=classes, class_order=self.class_order, categories=order)
        return self._targets.encode(y)

    def _target_identity(self) -> dict[str, Any]:
        return {"classes": self._targets.classes, "order": self._targets.order}

    def _weights(self, X: Any, y: Any, sample_weight: Any) -> np.ndarray | None:
        if self.class_weight is None:
            return super()._weights(X, y, sample_weight)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        weights = weights * compute_sample_weight(self.class_weight, y)
        if not weights.any():
            raise ValueError("sample_weight times class_weight is zero for every row; there is nothing to learn from")
        return weights

    def _by_code(self, facts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Put the columns of facts by class in the order of codes, and check their number."""
        for name in BY_CLASS & facts.keys():
            wanted = self._targets.n_classes
            if facts[name].shape[1:] != (wanted,):
                raise FactError(
                    f"{name} must have one column for each of the {wanted} classes {self._targets.classes.tolist()}, "
                    f"got shape {facts[name].shape}; classes= fixes them where y lacks some"
                )
            facts[name] = self._targets.by_code(facts[name])
        return facts

    def _parts(self) -> list[str]:
        return super()._parts() + (["calibrate"] if self.calibrate is not None else [])

    def _output(self, terms: Mapping[str, Choice], rows: Rows) -> Output:
        role = check_terms(terms, self._targets, ordered=self._targets.ordered)
        if self.head == "implicit":
            self._check_implicit(terms)
        return role, count_outputs(role, terms, self._targets)

    def _check_implicit(self, terms: Mapping[str, Choice]) -> None:
        """Refuse what needs more than the moments of the scores, or gradients of the head."""
        for component in (choice.component for choice in terms.values()):
            headed = head_kind(component.role) != "none" if component.role else False
            if "output" in component.facts or (headed and component.moments is None):
                raise TaskError(
                    f"{component.title} looks at every score of a row, and head='implicit' shows the true one and the "
                    "moments of all; use 'z_loss', 'spherical_softmax' or 'taylor_softmax', or head='auto' "
                    "('cut_cross_entropy' is for many classes too)"
                )
        if self.max_grad_norm is not None:
            raise TaskError("head='implicit' has no gradient to limit; leave max_grad_norm out")
        if self.mode is not None and hasattr(choose("mode", self.mode).component.obj, "step"):
            raise TaskError(
                f"{choose('mode', self.mode).component.title} takes steps by gradients of all weights, which "
                "head='implicit' never has; use head='auto'"
            )

    def _network(self, rows: Rows, output: Output, scaler: Any, seed: int) -> Network:
        self.classes_ = self._targets.classes
        network = self._built(rows, output, scaler, seed, n_classes=self._targets.n_classes)
        if self.head == "implicit" and network.complete:
            raise TaskError(
                "the module is complete (it takes n_outputs) and has its own head; leave head='implicit' out"
            )
        return network

    def _fit_facts(self, rows: Rows, network: Network, x_scale: np.ndarray | None, seed: int) -> dict[str, Any]:
        generator = torch.Generator(device=self._device()).manual_seed(seed)
        return fit_facts(self._targets, rows, network, x_scale=x_scale, generator=generator)

    def _label_facts(self, rows: Rows, facts: dict[str, Any]) -> list[dict[str, Any]]:
        return label_facts(rows, facts) if self._targets.kind == "multilabel" else []

    def _named_by_link(self) -> set[str]:
        link = self._head_term()[1].component.prediction_link
        return set() if isinstance(link, str) else {*keywords_of(link)}

    def _begin(self) -> None:
        self.calibration_ = None

    def _finish(self, given: tuple[Any, Any], y: Any, rows: Rows, held_out: dict[str, np.ndarray]) -> None:
        if self.calibrate is None:
            return
        part = held_out["calibrate"]
        outputs = self.decision_function(some_rows(given[0], part))
        truth: Any = rows.y if self._targets.kind == "multilabel" else y  # a sparse y is dense as codes
        weights = None if rows.weights is None else rows.weights[part]
        calibrator = choose("calibrator", self.calibrate)
        self.calibration_ = Calibration.fit(calibrator, outputs, truth[part], self.classes_, weights)

    # -- prediction ---------------------------------------------------------------------------------------------------

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores before the link.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows; of Parquet the columns that were trained on are read.

        Returns
        -------
        array of shape (n,) or (n, k)
            For two classes one score, positive for ``classes_[1]``; else one per class or label.
        """
        return self._from_output(X, self._decide)

    def _decoder(self) -> ClassDecoder:
        link, (role, width) = _link(self), self._role_and_width
        # thresholds, features, and several proxies of a class, are no scores of classes before the link
        other = role == "thresholds" or head_kind(role) == "none" or width not in (1, self._targets.n_classes)
        logged = not other and not self._head_term()[1].component.keeps_order
        linked = other or logged or not link.probability
        calibrated = None if self.calibration_ is None else self.calibration_.on_tensors
        return ClassDecoder(self._targets, link.function, scores_linked=linked, logged=logged, calibrated=calibrated)

    @torch.inference_mode()
    def _decide(self, output: torch.Tensor) -> np.ndarray:
        return self._decoder().scores(output).numpy()

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities; there only if the loss has a link to them, or ``calibrate`` is set.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.

        Returns
        -------
        array of shape (n, k)
            Rows that sum to one; for several labels the probability of each.
        """
        return self._from_output(X, self._probabilities)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @torch.inference_mode()
    def _probabilities(self, output: torch.Tensor) -> np.ndarray:
        return self._decoder().probabilities(output).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row, or its labels.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.

        Returns
        -------
        array of shape (n,) or (n, n_labels)
        """
        return self._from_output(X, self._choose)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the share of rows, or of rows of labels, that are predicted right.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array of shape (n,), default=None
            Weights.
        """
        X, y = open_data(self, X, y, names=getattr(self, "feature_names_in_", None))
        return super().score(X, y, sample_weight)

    @torch.inference_mode()
    def _choose(self, output: torch.Tensor) -> np.ndarray:
        """Return the classes of some rows."""
        labels = self._decoder().labels(output).numpy()
        return labels if self._targets.kind == "multilabel" else self.classes_[labels]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        try:
            role = self._head_term()[1].component.role
        except SklearnLossError:  # fit will say what is wrong with the loss
            return tags
        tags.classifier_tags.multi_label = role in ("scores", "label_logits")
        tags.classifier_tags.multi_class = not tags.classifier_tags.multi_label
        return tags

"""A regressor whose loss is a hyperparameter: points, quantiles or whole distributions."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from sklearnloss.component import Component
from sklearnloss.estimators._base import NetEstimator, Output, with_callbacks
from sklearnloss.estimators._binding import common_role, keywords_of
from sklearnloss.estimators._data import open_data
from sklearnloss.estimators._numbers import SIGNS, NumberTargets, as_numbers, check_sign
from sklearnloss.estimators._rows import Rows
from sklearnloss.exceptions import ParameterError, SklearnLossError, TaskError
from sklearnloss.functional.distributions import Distribution
from sklearnloss.functional.links import LINKS
from sklearnloss.spec import Choice
from sklearnloss.training.backbone import Network

__all__ = ["LossRegressor"]


def _distribution_of(component: Component) -> type[Distribution] | None:
    """Return the distributions that a loss's link is annotated to give, or None where it gives points."""
    link: Any = component.prediction_link
    if isinstance(link, str):
        link = None if link in LINKS else getattr(component.obj, link)
    if link is None:
        return None
    result = typing.get_type_hints(link).get("return")
    return result if inspect.isclass(result) and issubclass(result, Distribution) else None


def _knows_distribution(estimator: "LossRegressor") -> bool:
    component = estimator._head_term()[1].component
    if _distribution_of(component) is not None:
        return True
    raise AttributeError(
        f"{component.title} predicts points and knows no distribution; choose a loss that does, such as 'pinball' or "
        "'gaussian_nll' (sklearnloss list loss)"
    )


class LossRegressor(RegressorMixin, NetEstimator):  # type: ignore[misc]
    """A neural regressor whose loss is a hyperparameter.

    Targets are brought to mean zero and variance one inside, unless the loss wants them as they are; predictions are in
    the units of y.

    Parameters
    ----------
    loss : str, callable, mapping, Loss or Sum, default="mse"
        A registered name (``sklearnloss list loss``), any function whose first argument is ``prediction`` (one number
        per target) or ``columns`` (several), one of torch's loss modules, or a sum.
    sampler : str, callable or Sampler, default=None
        Which rows make a batch; None is the loss's wish, else ``"shuffle"``.
    mixup : str, callable or Mixup, default=None
        How rows are mixed; for losses made of independent rows.
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
    reduction : str, callable or Reduction, default="mean"
        From one value per row to a scalar.
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
    batch_size : int in [1, inf), default=128
        Upper limit of a batch; the batches of an epoch differ by at most one row.
    max_epochs : int in [1, inf), default=100
        Epochs.
    early_stopping : bool, default=False
        Whether to hold rows out, watch their score, and go back to the best weights.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows held out for early stopping.
    n_iter_no_change : int in [1, inf), default=10
        Epochs without a better score before stopping.
    scoring : str, callable or None, default=None
        What early stopping watches; None is ``score``, the coefficient of determination.
    checkpoint : str, path or None, default=None
        A directory in which ``fit`` keeps its state after every epoch, as `LossClassifier` does.
    head : "auto" or callable, default="auto"
        ``head(in_features, n_outputs) -> nn.Module`` in place of the head that the loss's role asks for.
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
        Mean training loss of each epoch, in units of the standardised targets.
    history_ : list of dict
        A row per epoch: ``train_loss``, ``train_loss_<term>`` for each term of a sum, ``valid_score``, ``dur``, ``lr``.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The same perceptron with the squared error.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LossRegressor("gaussian_nll", max_epochs=30, random_state=0).fit(X, y)
    >>> model.predict(X[:2]).shape, model.predict_interval(X[:2], coverage=0.9).shape
    ((2,), (2, 2))
    >>> bool((model.predict_dist(X[:2]).cdf(model.predict(X[:2])) == 0.5).all())
    True
    """

    _records: ClassVar[tuple[type, ...]] = (NumberTargets,)

    _targets: NumberTargets
    _flat: bool

    def __init__(
        self,
        loss: Any = "mse",
        *,
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
        batch_size: int = 128,
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
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **row_facts: Any) -> Self:
        """Train on rows and their targets.

        Parameters
        ----------
        X : array, DataFrame, CSR matrix, memory map, path or Dataset of n rows and d columns
            Rows, as `LossClassifier.fit` takes them.
        y : array of shape (n,) or (n, n_targets), or str, default=None
            Finite numbers. For Parquet it may be the name of the column; for a Dataset of pairs None reads it.
        sample_weight : array of shape (n,), default=None
            Weights, not negative, not all zero.
        **row_facts : arrays with one row per sample
            What a loss asks for: ``group``, ``noise_scale``, ... A known fact that nobody names is ignored.

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
        return self._fit(X, y, sample_weight, row_facts, epochs=self.max_epochs, resume=resume)

    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None, **row_facts: Any) -> Self:
        """Train for one epoch on these rows, from where the last call ended.

        Parameters
        ----------
        X, y
            As in `fit`; the first call fixes the moments by which X and y are standardised.
        sample_weight : array of shape (n,), default=None
            Weights.
        **row_facts : arrays with one row per sample
            What a loss asks for.

        Returns
        -------
        self
        """
        self._validate_params()
        self._check_incremental()
        resume = hasattr(self, "net_")
        return self._fit(X, y, sample_weight, row_facts, epochs=1, resume=resume, same_net=True)

    # -- what the base asks for ---------------------------------------------------------------------------------------

    def _encode(self, y: Any, *, resume: bool, classes: Any = None, order: Any = None) -> np.ndarray:
        values = as_numbers(y)
        if resume and values.shape[1] != self._targets.n_targets:
            raise ValueError(
                f"y has {values.shape[1]} targets, but the network was trained for {self._targets.n_targets}"
            )
        self._flat = np.ndim(y) == 1
        return values

    def _settle(self, rows: Rows, terms: Mapping[str, Choice], *, resume: bool) -> None:
        """Bring the targets to the units of the training rows."""
        assert rows.y is not None
        component = self._head_term()[1].component
        check_sign(rows.y[rows.drawn], component.target, component.title)
        if not resume:
            self._targets = NumberTargets.of(
                rows.y, how=component.target, weights=rows.scaling_weights(), flat=self._flat
            )
        rows.y = self._targets.encode(rows.y)

    def _output(self, terms: Mapping[str, Choice], rows: Rows) -> Output:
        role = common_role(terms, type(self).__name__)
        name, choice = self._head_term()
        if role not in ("prediction", "columns"):
            raise TaskError(
                f"{choice.component.title} works on {role} and is for {choice.component.task}; use LossClassifier. "
                "LossRegressor takes losses on prediction or columns, such as 'mse', 'pinball' or 'gaussian_nll'"
            )
        per_target = 1
        if role == "columns":
            widths = {name: self._width(c) for name, c in terms.items() if c.component.role == "columns"}
            if len(set(widths.values())) > 1:
                raise TaskError(f"the terms of a sum share one head, but want different numbers of columns: {widths}")
            per_target = widths[name]
        return role, per_target * self._targets.n_targets

    @staticmethod
    def _width(choice: Choice) -> int:
        outputs = choice.component.outputs
        if outputs is None:
            raise TaskError(
                f"{choice.component.title} works on columns and does not say how many; declare "
                "@loss(..., outputs=lambda *, levels: len(levels))"
            )
        values = choice.all_params()
        return outputs(**{n: values[n] for n in inspect.signature(outputs).parameters})

    def _network(self, rows: Rows, output: Output, scaler: Any, seed: int) -> Network:
        return self._built(rows, output, scaler, seed)

    def _fit_facts(self, rows: Rows, network: Network, x_scale: np.ndarray | None, seed: int) -> dict[str, Any]:
        assert rows.y is not None
        facts: dict[str, Any] = {
            "n_samples": rows.X.shape[0],
            "n_features": rows.X.shape[1],
            "n_targets": self._targets.n_targets,
            "embedding_dim": getattr(network.head, "in_features", None),
            "y_train": torch.as_tensor(rows.y[rows.drawn], dtype=network.dtype),
            "generator": torch.Generator(device=self._device()).manual_seed(seed),
        }
        if x_scale is not None:
            facts["x_scale"] = torch.as_tensor(x_scale, dtype=network.dtype)
        if "group" in rows.facts:
            facts["n_groups"] = int(rows.facts["group"].max()) + 1
        return facts

    def _named_by_link(self) -> set[str]:
        link = self._head_term()[1].component.prediction_link
        return set() if isinstance(link, str) else {*keywords_of(link)}

    # -- prediction ---------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def _linked(self, output: torch.Tensor) -> Distribution | torch.Tensor:
        """Return what the loss makes of the head's output: distributions, or points (n, n_targets)."""
        name, choice = self._head_term()
        link, d = choice.component.prediction_link, self._targets.n_targets
        value = output.reshape(len(output), d, -1) if choice.component.role == "columns" else output.reshape(-1, d)
        if isinstance(link, str) and link not in LINKS:
            return self.net_.criterion_.by_name[name].linked(link, value)
        function: Callable[..., Any] = LINKS[link].function if isinstance(link, str) else link
        known = choice.all_params() | self._kept_facts
        return function(value, **{n: known[n] for n in keywords_of(function) if n in known})

    def _points(self, output: torch.Tensor) -> np.ndarray:
        linked = self._linked(output)
        points = linked.point() if isinstance(linked, Distribution) else linked.double().numpy()
        return self._targets.decode(points).astype(str(output.dtype).removeprefix("torch."))

    def predict(self, X: Any) -> np.ndarray:
        """Return the loss's point forecast: a mean, a median, or what else its best constant prediction is.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.

        Returns
        -------
        array of shape (n,) or (n, n_targets)
            In the units of y.
        """
        return self._from_output(X, self._points)

    @available_if(_knows_distribution)
    def predict_dist(self, X: Any) -> Distribution:
        """Return the predictive distribution of each row; there only if the loss knows one.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.

        Returns
        -------
        Distribution
            Of shape (n,) or (n, n_targets), in the units of y, with ``mean, cdf, ppf, quantiles, sample, crps``.
        """
        output = self._from_output(X, lambda chunk: chunk.numpy())
        linked = self._linked(torch.from_numpy(output))
        assert isinstance(linked, Distribution)
        found = linked.scaled(self._targets.loc, self._targets.scale)
        return found.squeezed() if self._targets.flat else found

    @available_if(_knows_distribution)
    def predict_quantiles(self, X: Any, levels: ArrayLike = (0.05, 0.25, 0.5, 0.75, 0.95)) -> np.ndarray:
        """Return quantiles, which never cross; there only if the loss knows a distribution.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.
        levels : sequence of float in (0, 1), default=(0.05, 0.25, 0.5, 0.75, 0.95)
            Levels, in any order.

        Returns
        -------
        array of shape (n, len(levels)) or (n, n_targets, len(levels))
        """
        asked = np.atleast_1d(np.asarray(levels, dtype=float))
        if asked.ndim != 1 or not ((asked > 0) & (asked < 1)).all():
            raise ParameterError(f"levels must be numbers in (0, 1), got {levels!r}")
        return self.predict_dist(X).quantiles(asked)

    @available_if(_knows_distribution)
    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Return central intervals; there only if the loss knows a distribution.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.
        coverage : float in (0, 1), default=0.9
            Share of outcomes that should lie inside.

        Returns
        -------
        array of shape (n, 2) or (n, n_targets, 2)
            Lower and upper ends.
        """
        if not 0 < coverage < 1:
            raise ParameterError(f"coverage must be a number in (0, 1), got {coverage!r}")
        return self.predict_quantiles(X, ((1 - coverage) / 2, (1 + coverage) / 2))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the coefficient of determination of `predict`.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array of shape (n,), default=None
            Weights.
        """
        X, y = open_data(self, X, y, names=getattr(self, "feature_names_in_", None))
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        try:
            target = self._head_term()[1].component.target
        except SklearnLossError:  # fit will say what is wrong with the loss
            return tags
        tags.target_tags.positive_only = target in SIGNS
        return tags

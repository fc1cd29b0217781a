"""A transformer that learns embeddings; its loss is a hyperparameter."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import r2_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import Tags, check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import column_or_1d
from torch.nn.functional import normalize

from sklearnloss.component import Component
from sklearnloss.estimators._base import NetEstimator, Output, with_callbacks
from sklearnloss.estimators._classes import count_outputs, fit_facts
from sklearnloss.estimators._data import open_data
from sklearnloss.estimators._embedding_terms import check_embedding_terms
from sklearnloss.estimators._rows import Rows
from sklearnloss.estimators._targets import ClassTargets
from sklearnloss.exceptions import MissingFactError, TaskError
from sklearnloss.facts import FACTS
from sklearnloss.spec import Choice, choose, choose_terms
from sklearnloss.training.backbone import Network
from sklearnloss.training.heads import make_head
from sklearnloss.training.mining import Mining

__all__ = ["MetricEmbedder"]


class MetricEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetEstimator):  # type: ignore[misc]
    """A neural transformer that puts rows of a class near each other; its loss is a hyperparameter.

    With y it learns from classes, or from numbers if the loss does; without y from two random views of each row.

    Parameters
    ----------
    loss : str, callable, mapping, Loss or Sum, default=None
        A loss on embeddings (``sklearnloss list loss``), by name or a function whose first argument is ``embeddings``,
        or ``view_a, view_b``; or one on ``cosines``, which then learns a proxy for each class, such as ``"arcface"``;
        or a sum: ``Loss("multi_similarity") + 0.5 * Loss("tcm")``. None is ``"multi_similarity"`` with y, and
        ``"ntxent"`` on two views of ``"noise"`` without.
    embedding_dim : int in [1, inf), default=64
        Length of an embedding.
    sampler : str, callable or Sampler, default="per_class"
        Which rows make a batch; None is the loss's wish. ``"per_class"`` needs classes: without y, or with numbers,
        rows are shuffled.
    miner : str, callable or Miner, default=None
        Which pairs or triplets of a batch the loss sees (``sklearnloss list miner``); None is all.
    distance : str, callable or Distance, default=None
        For losses on distances; None is the loss's own.
    memory : int in [0, inf), default=0
        How many rows of earlier batches a loss over pairs sees besides those of the batch, as their embeddings were
        then: cross-batch memory.
    mixup : str, callable or Mixup, default=None
        A mixup of embeddings, or one of X for losses made of independent rows.
    views : str, callable or View, default=None
        A random version of a row. Each batch then holds two of every row, and rows without y learn that the two belong
        together.
    module : None, nn.Module, class or factory, default=None
        None is a perceptron. A class or factory gets those of ``n_features, n_outputs, n_classes, random_state`` that
        it names (``n_outputs`` is the length of an embedding); naming ``n_outputs`` makes it complete, anything else is
        a backbone and gets a linear layer.
    hidden_layer_sizes : sequence of int, default=(256,)
        Widths of the perceptron below the last, linear layer; empty for a linear map.
    activation : {"relu", "gelu", "silu", "tanh", "logistic", "identity"}, default="relu"
        Activation of the perceptron.
    dropout : float in [0, 1), default=0.0
        Dropout after each hidden layer of the perceptron.
    standardize : bool, default=True
        Whether the perceptron standardises its inputs; the moments are those of the training rows, with their weights.
    normalize : bool, default=True
        Whether `transform` gives vectors of length one. The loss sees them as the network makes them.
    reduction : str, callable or Reduction, default="mean"
        From one value per row or anchor to a scalar.
    mode : str, class or Mode, default=None
        A mode of training.
    optimizer : str, class or Optimizer, default="adam"
        ``"adam"``, ``"adamw"``, ``"sgd"`` or a torch optimizer.
    lr : float in (0, inf), default=1e-3
        Learning rate.
    loss_lr : float in [0, inf), default=1.0
        Factor of ``lr`` for the parameters of a loss, such as proxies.
    weight_decay : float in [0, inf), default=0.0
        Weight decay of the network; parameters of losses have none.
    lr_schedule : {"cosine", "linear", "step", "warmup_cosine"}, callable or None, default=None
        Factor of ``lr`` as a function of progress in [0, 1).
    max_grad_norm : float in (0, inf) or None, default=None
        Limit of the gradient's norm.
    batch_size : int in [1, inf), default=128
        Upper limit of a batch, in rows of X.
    max_epochs : int in [1, inf), default=30
        Epochs.
    early_stopping : bool, default=False
        Whether to hold rows out, watch their score, and go back to the best weights.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows held out for early stopping.
    n_iter_no_change : int in [1, inf), default=10
        Epochs without a better score before stopping.
    scoring : str, callable or None, default=None
        What early stopping watches; None is `score`. See `embedding_scorer`.
    checkpoint : str, path or None, default=None
        A directory in which ``fit`` keeps its state after every epoch, as `LossClassifier` does.
    head : "auto" or callable, default="auto"
        ``head(in_features, n_outputs) -> nn.Module`` in place of the last, linear layer.
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
        Seed of weights, batches, views and losses; global generators are left as they were.
    verbose : int, default=0
        Whether to print a line per epoch.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted classes; only where y holds classes.
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
    LossClassifier : A classifier whose loss is a hyperparameter.
    embedding_scorer : Scorers of retrieval and verification, for searches.
    sklearn.neighbors.NeighborhoodComponentsAnalysis : A linear map by one loss.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MetricEmbedder(embedding_dim=2, max_epochs=10, random_state=0).fit(X, y)
    >>> model.transform(X).shape
    (150, 2)
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = NetEstimator._parameter_constraints | {
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "memory": [Interval(Integral, 0, None, closed="left")],
        "normalize": ["boolean"],
    }

    _spec_kinds: ClassVar[dict[str, str]] = NetEstimator._spec_kinds | {
        "miner": "miner",
        "distance": "distance",
        "views": "view",
    }
    _records: ClassVar[tuple[type, ...]] = (ClassTargets,)

    classes_: np.ndarray
    _targets: ClassTargets | None  # None: y holds numbers, or there is none
    _labelled: bool

    def __init__(
        self,
        loss: Any = None,
        *,
        embedding_dim: int = 64,
        sampler: Any = "per_class",
        miner: Any = None,
        distance: Any = None,
        memory: int = 0,
        mixup: Any = None,
        views: Any = None,
        module: Any = None,
        hidden_layer_sizes: Sequence[int] = (256,),
        activation: str = "relu",
        dropout: float = 0.0,
        standardize: bool = True,
        normalize: bool = True,
        reduction: Any = "mean",
        mode: Any = None,
        optimizer: Any = "adam",
        lr: float = 1e-3,
        loss_lr: float = 1.0,
        weight_decay: float = 0.0,
        lr_schedule: str | Callable[[float], float] | None = None,
        max_grad_norm: float | None = None,
        batch_size: int = 128,
        max_epochs: int = 30,
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
        self.embedding_dim = embedding_dim
        self.sampler = sampler
        self.miner = miner
        self.distance = distance
        self.memory = memory
        self.mixup = mixup
        self.views = views
        self.module = module
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.standardize = standardize
        self.normalize = normalize
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
    def fit(self, X: Any, y: Any = None, *, classes: Any = None, **row_facts: Any) -> Self:
        """Learn an embedding.

        Parameters
        ----------
        X : array, DataFrame, CSR matrix, memory map, path or Dataset of n rows and d columns
            Rows, as `LossClassifier.fit` takes them.
        y : array of shape (n,), or str, default=None
            Classes of any type, or numbers for a loss that learns from numbers. Without y, two views of a row are all
            that belongs together.
        classes : array, default=None
            All classes, where y may lack some; for losses with proxies that go on with ``partial_fit``.
        **row_facts : arrays with one row per sample
            ``sample_weight``, the weight of a row's own terms, not negative, not all zero; and what a loss or a
            sampler asks for: ``group``, ``distances``, ... A weight of two is not a row twice, which would be a pair
            of its own.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data or the parameters are refused; each message says why and what is allowed.
        MissingFactError
            If the loss needs y, views or a row fact that was not given.
        NonFiniteLossError
            If the loss left the numbers; the weights of the last good epoch are kept.
        """
        self._validate_params()
        resume = self.warm_start and hasattr(self, "net_")
        sample_weight = row_facts.pop("sample_weight", None)
        return self._fit(X, y, sample_weight, row_facts, epochs=self.max_epochs, resume=resume, classes=classes)

    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, *, classes: Any = None, **row_facts: Any) -> Self:
        """Train for one epoch on these rows, from where the last call ended.

        Parameters
        ----------
        X, y
            As in `fit`; the first call fixes the classes and the moments by which X is standardised.
        classes : array, default=None
            All classes; needed at the first call if y lacks some.
        **row_facts : arrays with one row per sample
            As in `fit`.

        Returns
        -------
        self
        """
        self._validate_params()
        self._check_incremental()
        sample_weight = row_facts.pop("sample_weight", None)
        return self._fit(
            X, y, sample_weight, row_facts, epochs=1, resume=hasattr(self, "net_"), same_net=True, classes=classes
        )

    def get_metadata_routing(self) -> Any:
        """Return the metadata request; ``fit`` asks for ``sample_weight`` and every row fact by default.

        Returns
        -------
        MetadataRequest
        """
        request = super().get_metadata_routing()
        if "sample_weight" not in request.fit.requests:
            request.fit.add_request(param="sample_weight", alias=True)
        return request

    # -- what the parameters say --------------------------------------------------------------------------------------

    def _terms(self) -> dict[str, Choice]:
        if self.loss is not None:
            return choose_terms(self.loss)
        return choose_terms("multi_similarity" if getattr(self, "_labelled", True) else "ntxent")

    def _view(self) -> Choice | None:
        if self.views is not None:
            return choose("view", self.views)
        alone = self.loss is None and not getattr(self, "_labelled", True)
        return choose("view", "noise") if alone else None

    def _views(self) -> tuple[Callable[..., torch.Tensor], ...]:
        view = self._view()
        if view is None:
            return ()
        named = {n: self._kept_facts[n] for n in self._fit_facts_of(view.component)}
        facts = {n: v.to(self._device()) if isinstance(v, torch.Tensor) else v for n, v in named.items()}
        return partial(view.build(), **facts), partial(view.build(), **facts)

    def _fed_components(self) -> list[Component]:
        view = self._view()
        return super()._fed_components() + ([] if view is None else [view.component])

    def _fit_facts_of(self, component: Component) -> list[str]:
        names = (*component.needs, *component.wishes)
        return [n for n in names if FACTS[n].scope == "fit" and n in self._kept_facts]

    def _mixup_of(self, first: str) -> Choice | None:
        mixup = None if self.mixup is None else choose("mixup", self.mixup)
        return (
            mixup if mixup is not None and (mixup.component.role == "embeddings") == (first == "embeddings") else None
        )

    def _row_mixup(self) -> Choice | None:
        return self._mixup_of("X")

    def _mining(self) -> Mining | None:
        miner, distance, mixup = (
            None if self.miner is None else choose("miner", self.miner),
            None if self.distance is None else choose("distance", self.distance),
            self._mixup_of("embeddings"),
        )
        listed = any("triplets" in c.component.needs for c in self._terms().values())
        if miner is distance is mixup is None and not self.memory and not listed:
            return None
        return Mining(miner=miner, mixup=mixup, distance=distance, memory=self.memory, width=self._role_and_width[1])

    def _sampler(self, wish: str, rows: Rows) -> Choice:
        classes = rows.y is not None and rows.y.ndim == 1
        if self.sampler is None or (self.sampler == "per_class" and not classes):
            return choose("sampler", wish)
        return choose("sampler", self.sampler)

    def _named_row_facts(self) -> set[str]:
        names = super()._named_row_facts()
        miner = None if self.miner is None else choose("miner", self.miner).component
        return names if miner is None else names | self._row_facts_of([miner])

    # -- what the base asks for ---------------------------------------------------------------------------------------

    def _check_choices(self) -> None:
        for name in ("miner", "distance", "views"):
            if getattr(self, name) is not None:
                choose(self._spec_kinds[name], getattr(self, name))
        searches = self.miner is not None and choose("miner", self.miner).component.is_class
        if searches and self.views is not None:
            raise TaskError(
                f"{choose('miner', self.miner).component.title} searches the rows as they are, and a batch of views "
                "holds none; leave views or miner out"
            )

    def _encode(self, y: Any, *, resume: bool, classes: Any = None, order: Any = None) -> np.ndarray | None:
        labelled = y is not None
        if resume and labelled != self._labelled:
            now, before = ("with", "without") if labelled else ("without", "with")
            raise ValueError(f"MetricEmbedder was trained {before} y and cannot go on {now} it; begin anew")
        self._labelled = labelled
        terms = self._terms()
        numbers = [c.component for c in terms.values() if c.component.task == "regression"]
        if y is None:
            if self.early_stopping and self.scoring is None:
                raise ValueError(
                    "early_stopping watches recall@1, which needs y; give y, or scoring= a scorer that does without"
                )
            self._targets = None
            self._check_unlabelled(terms, numbers)
            return None
        if numbers:
            self._targets = None
            return self._numbers(y)
        if not resume:
            self._targets = self._classes(y, classes)
            self.classes_ = self._targets.classes
        assert self._targets is not None
        self._targets.check_same(classes)
        return self._targets.encode(y)

    def _check_unlabelled(self, terms: Mapping[str, Choice], numbers: list[Component]) -> None:
        """Refuse losses that cannot do without y.

        Raises
        ------
        MissingFactError
            With what to give.
        """
        for component in (c.component for c in terms.values()):
            proxies = sorted(
                {"n_classes", "priors", "class_counts", "y_train"} & {*component.fit_needs, *component.needs}
            )
            if component in numbers or proxies or component.role == "cosines":
                raise MissingFactError(f"{component.title} learns from y, which is missing: fit(X, y)")
            paired = "y" in (*component.data, *component.needs)
            if paired and self._view() is None:
                raise MissingFactError(
                    f"{component.title} learns from y, which is missing: fit(X, y); or set views='noise' (sklearnloss "
                    "list view), and two views of a row are a class of their own"
                )

    @staticmethod
    def _numbers(y: Any) -> np.ndarray:
        values: np.ndarray = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        return values[:, None] if values.ndim == 1 else values

    @staticmethod
    def _classes(y: Any, classes: Any) -> ClassTargets:
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            raise ValueError(f"MetricEmbedder takes one class per row, y of shape (n,); got {np.shape(y)}")
        y = column_or_1d(y, warn=True)
        if classes is None and len(found := np.unique(y)) < 2:
            raise ValueError(
                f"MetricEmbedder needs rows of at least two classes, got one class: {found.tolist()}; without labels, "
                "leave y out: rows then learn from views"
            )
        return ClassTargets.of(y, classes=classes)

    def _target_identity(self) -> dict[str, Any]:
        return {} if self._targets is None else {"classes": self._targets.classes}

    def _output(self, terms: Mapping[str, Choice], rows: Rows) -> Output:
        check_embedding_terms(
            terms,
            viewed=self._view() is not None,
            distance=self.distance,
            miner=self.miner,
            memory=self.memory,
        )
        return "embeddings", self.embedding_dim

    def _term_head(self, term: Choice) -> torch.nn.Module | None:
        if term.component.role != "cosines" or self._targets is None:
            return None
        proxies = count_outputs("cosines", {term.component.name: term}, self._targets)
        return make_head("cosines", self._role_and_width[1], proxies)

    def _network(self, rows: Rows, output: Output, scaler: Any, seed: int) -> Network:
        n_classes = 0 if self._targets is None else self._targets.n_classes
        return self._built(rows, ("prediction", output[1]), scaler, seed, n_classes=n_classes, embeds=True)

    def _fit_facts(self, rows: Rows, network: Network, x_scale: np.ndarray | None, seed: int) -> dict[str, Any]:
        generator = torch.Generator(device=self._device()).manual_seed(seed)
        facts: dict[str, Any] = {
            "n_samples": rows.X.shape[0],
            "n_features": rows.X.shape[1],
            "generator": generator,
        }
        if self._targets is not None:
            facts |= fit_facts(self._targets, rows, network, x_scale=x_scale, generator=generator)
        elif x_scale is not None:
            facts["x_scale"] = torch.as_tensor(x_scale, dtype=network.dtype)
        return facts | {"embedding_dim": self._role_and_width[1]}

    # -- use ----------------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Return the embeddings of rows.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.

        Returns
        -------
        array of shape (n, embedding_dim)
            Of length one, if ``normalize``.
        """
        return self._from_output(X, self._embeddings)

    @torch.inference_mode()
    def _embeddings(self, output: torch.Tensor) -> np.ndarray:
        return (normalize(output, dim=1) if self.normalize else output).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """Return how well the nearest other row tells y.

        Of classes it is recall@1, the share of rows whose nearest other row is of their class; of numbers the
        coefficient of determination of taking the nearest other row's.

        Parameters
        ----------
        X : as in `fit`, of n rows and d columns
            Rows.
        y : array of shape (n,)
            Their classes or numbers. A row without another of its class is left out.
        """
        X, y = open_data(self, X, y, names=getattr(self, "feature_names_in_", None))
        if y is None:
            raise ValueError("score compares a row with its nearest neighbour and needs y; scoring= takes others")
        embeddings = self.transform(X)
        if self._labelled and self._targets is None:
            numbers = self._numbers(y)
            nearest = NearestNeighbors(n_neighbors=1).fit(embeddings).kneighbors(return_distance=False)[:, 0]
            return float(r2_score(numbers, numbers[nearest]))
        return float(choose("metric", "recall_at_k").component.obj(embeddings, column_or_1d(y, warn=True)))

    @property
    def _n_features_out(self) -> int:
        return self._role_and_width[1]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

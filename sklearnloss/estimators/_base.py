"""What the estimators that hold a net share: from parameters to a bound criterion, a net and a finished fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback, EpochScoring

from sklearnloss.component import Component
from sklearnloss.estimators._params import SpecParams
from sklearnloss.estimators._progress import Progress
from sklearnloss.estimators._rows import RowFacts
from sklearnloss.estimators._saving import Saving
from sklearnloss.exceptions import MissingFactError, TaskError
from sklearnloss.facts import FACTS
from sklearnloss.spec import Choice, choose, choose_terms
from sklearnloss.training.backbone import Network, as_tensor
from sklearnloss.training.batches import Batches, check_mixup
from sklearnloss.training.criterion import Criterion, Term, missing_fact
from sklearnloss.training.heads import head_kind
from sklearnloss.training.net import LossNet
from sklearnloss.training.schedules import schedule
from sklearnloss.training.seeds import seeded
from sklearnloss.training.sources import FileRows, Source

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method):  # type: ignore[no-untyped-def]
        """Return the method itself."""
        return method


__all__ = ["NetEstimator", "Rows", "Watch", "common_role", "with_callbacks"]

# batch facts that every net supplies; the rest is up to the estimator
NET_FACTS = frozenset({"y", "X", "features", "index", "epoch", "step", "module", "rng"})
# what samplers and mixups may name besides the facts that users give by row
SAMPLER_FACTS = frozenset({"y", "X", "index", "epoch", "batch_size", "rng"})
READING_FACTS = frozenset({"block", "buffer_size"})  # of rows that are read from files
MIXUP_FACTS = frozenset({"y", "X", "index", "rng"})


@dataclass
class Rows:
    """The rows of a fit, validated and encoded."""

    X: Any
    y: np.ndarray | None
    train: np.ndarray  # row numbers to train on
    weights: np.ndarray | None = None  # (n,)
    facts: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def drawn(self) -> np.ndarray:
        """Row numbers that batches are drawn from: the training rows that weigh anything."""
        return self.train if self.weights is None else self.train[self.weights[self.train] > 0]

    def mean_one_weights(self) -> np.ndarray | None:
        """Return the weights (n,) with mean one over the rows that are drawn."""
        return None if self.weights is None else self.weights / self.weights[self.drawn].mean()

    def scaling_weights(self) -> np.ndarray | None:
        """Return weights (n,) that are zero for rows that are not trained on, for the moments of X."""
        if self.weights is None and len(self.train) == self.X.shape[0]:
            return None
        weights = np.zeros(self.X.shape[0])
        weights[self.drawn] = 1.0 if self.weights is None else self.weights[self.drawn]
        return weights


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


def common_role(terms: Mapping[str, Choice], who: str) -> str:
    """Return the role whose head all terms share.

    Raises
    ------
    TaskError
        If no term has a head, or two want different ones.
    """
    headed = {name: c for name, c in terms.items() if c.component.role and head_kind(c.component.role) != "none"}
    if not headed:
        first = next(iter(terms.values())).component
        raise TaskError(
            f"{first.title} works on {first.role or 'no data'} and makes no prediction; {who} needs a term with a "
            f"head, for example Loss('cross_entropy') + Loss({first.name!r})"
        )
    names = list(headed)
    for name in names[1:]:
        if headed[name].component.role != headed[names[0]].component.role:
            raise TaskError(
                f"the terms of a sum share one head: {names[0]!r} wants {headed[names[0]].component.role}, "
                f"{name!r} wants {headed[name].component.role}"
            )
    return headed[names[0]].component.role


class Watch:
    """What the estimator does around each epoch: scikit-learn's callbacks, the printed line, early stopping."""

    def __init__(
        self,
        estimator: "NetEstimator",
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


class NetEstimator(SpecParams, RowFacts, Saving, CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the estimators that hold a net."""

    _spec_kinds: ClassVar[dict[str, str]] = {
        "loss": "loss",
        "sampler": "sampler",
        "mixup": "mixup",
        "reduction": "reduction",
        "mode": "mode",
        "optimizer": "optimizer",
    }

    # -- what the parameters say --------------------------------------------------------------------------------------

    def _terms(self) -> dict[str, Choice]:
        return choose_terms(self.loss)

    def _named_row_facts(self) -> set[str]:
        components: list[Component] = [c.component for c in self._terms().values()]
        for name in ("sampler", "reduction", "mixup"):
            if getattr(self, name) is not None:
                components.append(choose(self._spec_kinds[name], getattr(self, name)).component)
        return {f for c in components for f in (*c.data, *c.needs, *c.wishes) if f in FACTS and FACTS[f].scope == "row"}

    def _device(self) -> str:
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return str(self.device)

    def _dtype(self, X: Any) -> torch.dtype:
        """Return the precision of the net: on a CPU that of X, on an accelerator float32, unless the user chose."""
        if self.precision == "auto":
            double = torch.device(self._device()).type == "cpu" and X.dtype == np.float64
            return torch.float64 if double else torch.float32
        return torch.float64 if self.precision == "fp64" else torch.float32

    def _seeds(self, *, reset: bool) -> np.random.Generator:
        """Return the generator that all seeds of a fit come from; it goes on over calls of partial_fit."""
        if reset or not hasattr(self, "_rng"):
            state = self.random_state
            if isinstance(state, np.random.RandomState):
                state = state.randint(2**31)
            self._rng = np.random.default_rng(state)
        return self._rng

    def _progress(
        self, rows: Rows, rng: np.random.Generator, *, epochs: int, resume: bool, **more: Any
    ) -> Progress | None:
        """Return the checkpoint of this fit; a fit that goes on has its generator wound back to its start."""
        if self.checkpoint is None:
            return None
        X = rows.X.identity() if isinstance(rows.X, Source) else rows.X
        data = {"X": X, "y": rows.y, "train": rows.train, "weights": rows.weights, "facts": dict(rows.facts)}
        return Progress(self, {**data, "epochs": epochs, "device": self._device(), **more}, rng, resume=resume)

    # -- binding ------------------------------------------------------------------------------------------------------

    def _bind(
        self,
        terms: Mapping[str, Choice],
        *,
        rows: Rows,
        fit_facts: Mapping[str, Any],
        network: Network,
        by_label: Sequence[Mapping[str, Any]] = (),
    ) -> Criterion:
        """Plan which fact goes where."""
        supplied = {*NET_FACTS, *rows.facts, *network.head_facts}
        if rows.weights is not None:
            supplied |= {"sample_weight"}
        return Criterion(
            [
                self._bind_term(
                    name,
                    term,
                    supplied=supplied,
                    fit_facts=fit_facts,
                    by_label=by_label if term.component.role == "scores" else (),
                    weighted=rows.weights is not None,
                )
                for name, term in terms.items()
            ]
        )

    def _bind_term(
        self,
        name: str,
        term: Choice,
        *,
        supplied: set[str],
        fit_facts: Mapping[str, Any],
        by_label: Sequence[Mapping[str, Any]],
        weighted: bool,
    ) -> Term:
        choice = choose("reduction", self.reduction)
        for need in choice.component.needs:
            if need not in supplied:
                raise MissingFactError(missing_fact(choice.component.title, need, type(self).__name__))
        return Term(
            name,
            term,
            fit_facts=fit_facts,
            supplied=supplied,
            reduction=choice.build(fit_facts),
            reduction_facts=tuple(n for n in choice.component.facts if n in supplied),
            reduction_from=choice.source,
            plain_mean=choice.component.full_name == "core:mean",
            by_label=by_label,
            weighted=weighted,
            who=type(self).__name__,
        )

    def _make_net(self, network: Any, criterion: Criterion) -> LossNet:
        optimizer = choose("optimizer", self.optimizer)
        mode = None if self.mode is None else choose("mode", self.mode).build()
        if self.compile:
            network.compile(**({} if self.compile is True else {"backend": self.compile}))
        net = LossNet(
            network,
            criterion,
            optimizer=partial(optimizer.component.obj, **optimizer.params),
            lr=self.lr,
            loss_lr=self.loss_lr,
            weight_decay=self.weight_decay,
            max_epochs=self.max_epochs,
            lr_schedule=schedule(self.lr_schedule),
            max_grad_norm=self.max_grad_norm,
            autocast=self.precision == "bf16",
            mode=mode,
            callbacks=checked_callbacks(self.callbacks or []),
            device=self._device(),
            verbose=0,
        )
        return net.initialize()

    def _make_batches(self, rows: Rows, terms: Mapping[str, Choice], net: LossNet, seed: int) -> Batches:
        """Put the rows on the device and choose the sampler: the user's, else the loss's wish, else shuffling."""
        device, dtype = self._device(), net.dtype
        streamed = isinstance(rows.X, Source)
        flat = rows.y is None or rows.y.ndim == 1
        wish = next((t.component.sampler for t in terms.values() if t.component.sampler and flat), None)
        wish = wish or (rows.X.order if streamed else "shuffle")
        chosen = choose("sampler", wish if self.sampler is None else self.sampler)
        mixup = None if self.mixup is None else choose("mixup", self.mixup)
        if mixup is not None:
            check_mixup(mixup.component.role, net.criterion_.terms)
        weights = rows.mean_one_weights()
        tensors = {name: self._tensor(value, dtype, device) for name, value in rows.facts.items()}
        if weights is not None:
            tensors["sample_weight"] = torch.as_tensor(weights, dtype=dtype, device=device)
        on = chosen.component.role or "y"
        reading = READING_FACTS if isinstance(rows.X, FileRows) else frozenset()
        facts = self._facts_of(chosen.component, {*SAMPLER_FACTS, *reading, *tensors})
        mixed = () if mixup is None else self._facts_of(mixup.component, {*MIXUP_FACTS, *tensors})
        X = rows.X if streamed else as_tensor(rows.X, dtype, device)
        return Batches(
            X,
            None if rows.y is None else torch.as_tensor(rows.y, device=device),
            rows=tensors,
            sampler=chosen.build(),
            sampler_on=on,
            sampler_facts=tuple(f for f in facts if f not in ("batch_size", "rng")),
            epoch=net.epoch_,
            batch_size=self.batch_size,
            seed=seed,
            mixup=None if mixup is None else mixup.build(),
            mixup_facts=tuple(f for f in mixed if f != "rng"),
            dtype=dtype,
            device=device,
            drawn=None if len(rows.drawn) == rows.X.shape[0] else rows.drawn,
        )

    def _facts_of(self, component: Component, supplied: set[str]) -> tuple[str, ...]:
        """Return the facts that a component takes by keyword; a need that is not supplied is an error."""
        for need in (*component.data, *component.needs):
            if need not in supplied:
                raise MissingFactError(missing_fact(component.title, need, type(self).__name__))
        return tuple(f for f in (*component.needs, *component.wishes) if f in supplied)

    @staticmethod
    def _tensor(values: np.ndarray, dtype: torch.dtype, device: str) -> torch.Tensor:
        return as_tensor(values, dtype if values.dtype.kind == "f" else torch.int64, device)

    # -- training -----------------------------------------------------------------------------------------------------

    def _run(self, net: LossNet, batches: Batches, watch: Watch, *, epochs: int, seed: int) -> None:
        """Train with torch's global generators seeded for the while, and put back as they were."""
        with seeded(seed, self._device()):
            try:
                if hasattr(net.mode, "around_fit"):
                    net.mode.around_fit(partial(self._epochs, net, epochs, watch, batches), batches.X, batches.y)
                else:
                    self._epochs(net, epochs, watch, batches)
            finally:
                self._record(net)
        watch.restore_best(net)

    @staticmethod
    def _epochs(net: LossNet, epochs: int, watch: Watch, batches: Batches) -> None:
        net.partial_fit(batches, epochs=epochs, watcher=watch)

    def _record(self, net: LossNet) -> None:
        for name, value in self._state().items():
            setattr(self, name, value)

    def _state(self) -> dict[str, Any]:
        """Return the attributes that say how far the training has come."""
        history = [{k: v for k, v in row.items() if k != "batches"} for row in self.net_.history]
        finished = [row for row in history if "train_loss" in row]
        return {
            "net_": self.net_,
            "n_iter_": self.net_.epoch_,
            "history_": finished,
            "loss_curve_": [row["train_loss"] for row in finished],
        }

"""What the estimators that hold a net share: from parameters to a net and a finished fit."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from numbers import Integral, Real
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from sklearnloss.component import Component
from sklearnloss.estimators._binding import MIXUP_FACTS, READING_FACTS, SAMPLER_FACTS, Binding
from sklearnloss.estimators._data import as_rows, check_fit, check_X, open_data, open_X, some_rows
from sklearnloss.estimators._params import SpecParams
from sklearnloss.estimators._progress import Progress
from sklearnloss.estimators._rows import RowFacts, Rows, check_row_facts
from sklearnloss.estimators._saving import Saving
from sklearnloss.estimators._targets import order_of
from sklearnloss.estimators._watch import Watch, checked_callbacks
from sklearnloss.exceptions import TaskError
from sklearnloss.facts import FACTS, ROLES
from sklearnloss.spec import Choice, choose, choose_terms
from sklearnloss.training.backbone import ACTIVATIONS, Network, as_tensor, build_network, moments
from sklearnloss.training.batches import Batches
from sklearnloss.training.criterion import Criterion
from sklearnloss.training.heads import head_kind
from sklearnloss.training.mixing import check_mixup, is_within
from sklearnloss.training.net import HEAD_FACTS, LossNet
from sklearnloss.training.schedules import SCHEDULES, schedule
from sklearnloss.training.seeds import generator_of, seeded
from sklearnloss.training.sources import FileRows, Source

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method):  # type: ignore[no-untyped-def]
        """Return the method itself."""
        return method


__all__ = ["NetEstimator", "Output", "with_callbacks"]

# facts that count the rows of one fit; partial_fit sees other rows at each call
COUNTED = frozenset({"index", "n_samples", "y_train"})

Output = tuple[str, int]  # role and width of what the network gives


class NetEstimator(SpecParams, RowFacts, Binding, Saving, CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the estimators that hold a net."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "standardize": ["boolean"],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "loss_lr": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "lr_schedule": [StrOptions(set(SCHEDULES)), callable, None],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "scoring": [str, callable, None],
        "checkpoint": [str, PathLike, None],
        "head": [StrOptions({"auto"}), callable],
        "warm_start": ["boolean"],
        "device": [str],
        "precision": [StrOptions({"auto", "fp64", "fp32", "bf16"})],
        "compile": ["boolean", str],
        "memory_limit": [Interval(Integral, 1, None, closed="left"), str, None],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

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
        return self._row_facts_of(components)

    @staticmethod
    def _row_facts_of(components: Sequence[Component]) -> set[str]:
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
            self._rng = generator_of(self.random_state)
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

    # -- fit ----------------------------------------------------------------------------------------------------------

    net_: LossNet

    def _check_incremental(self) -> None:
        """Refuse what needs all rows at once.

        Raises
        ------
        ValueError, TaskError
            With what to leave off.
        """
        for name in self._parts():
            raise ValueError(f"partial_fit cannot hold rows out; leave {name} off")
        if self.checkpoint is not None:
            raise ValueError("checkpoint guards a fit of many epochs; between calls of partial_fit, use save and load")
        for component in (choice.component for choice in self._terms().values()):
            if counted := sorted({*component.facts, *component.fit_needs} & COUNTED):
                raise TaskError(
                    f"{component.title} names {counted[0]!r}, which counts the rows of one fit; partial_fit sees other "
                    "rows at each call, use fit"
                )

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        row_facts: Mapping[str, Any],
        *,
        epochs: int,
        resume: bool,
        same_net: bool = False,
        classes: Any = None,
    ) -> Self:
        context = self._init_callback_context(max_subtasks=epochs) if hasattr(self, "_skl_callbacks") else None
        self._terms()
        self._check_choices()
        rng = self._seeds(reset=not resume)
        given = X, y = open_data(self, X, y, names=getattr(self, "feature_names_in_", None) if resume else None)
        order = order_of(y)
        X, y = check_fit(self, X, y, reset=not resume)
        if context is not None:
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        codes = self._encode(y, resume=resume, classes=classes, order=order)
        terms = self._terms()
        facts = check_row_facts(row_facts, self._named_row_facts(), X.shape[0], type(self).__name__)
        weights = self._weights(X, y, sample_weight)
        rows = Rows(as_rows(X), codes, np.arange(X.shape[0]), weights, self._by_code(facts))
        progress = self._progress(rows, rng, epochs=epochs, resume=resume, **self._target_identity())
        with nullcontext() if progress is None else progress:
            held_out = self._hold_out(rows, rng)
            self._settle(rows, terms, resume=resume)
            output = self._output(terms, rows)
            if resume:
                self._go_on(rows, terms, output, rng, same_net=same_net)
            else:
                self._build(rows, terms, output, rng)
            batches = self._make_batches(rows, terms, self.net_, int(rng.integers(2**62)))
            score = None
            if self.early_stopping:
                score = self._scorer(given, held_out["early_stopping"])
            watch = Watch(self, epochs, X, y, context, score, progress)
            self._begin()
            self._run(self.net_, batches, watch, epochs=epochs, seed=int(rng.integers(2**62)))
            self._finish(given, y, rows, held_out)
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=self._state)
        return self

    # what differs between estimators

    def _check_choices(self) -> None:
        """Look up what is only needed at the end, so that a wrong name costs no training."""

    def _encode(self, y: Any, *, resume: bool, classes: Any = None, order: Any = None) -> np.ndarray | None:
        """Learn the targets, or see that they are those of before, and return them as numbers.

        ``order`` is that of the categories, where the targets that were given have one.
        """
        raise NotImplementedError

    def _by_code(self, facts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Bring row facts into the order of the codes."""
        return facts

    def _settle(self, rows: Rows, terms: Mapping[str, Choice], *, resume: bool) -> None:
        """Do what can only be done once it is known which rows are trained on."""

    def _target_identity(self) -> dict[str, Any]:
        """Return what tells targets apart that have the same codes."""
        return {}

    def _output(self, terms: Mapping[str, Choice], rows: Rows) -> Output:
        """Check that the terms fit the targets, and return what the network gives them."""
        raise NotImplementedError

    def _network(self, rows: Rows, output: Output, scaler: Any, seed: int) -> Network:
        """Make the network."""
        raise NotImplementedError

    def _built(
        self, rows: Rows, output: Output, scaler: Any, seed: int, *, n_classes: int = 0, embeds: bool = False
    ) -> Network:
        """Make the network that the parameters ask for."""
        return build_network(
            self.module,
            role=output[0],
            n_outputs=output[1],
            facts={"n_features": rows.X.shape[1], "n_classes": n_classes, "random_state": seed % 2**31},
            example=self._example(rows),
            scaler=scaler,
            hidden=self.hidden_layer_sizes,
            activation=self.activation,
            dropout=self.dropout,
            head=None if self.head == "auto" else self.head,
            embeds=embeds,
        )

    def _fit_facts(self, rows: Rows, network: Network, x_scale: np.ndarray | None, seed: int) -> dict[str, Any]:
        """Return the facts known before the first batch."""
        raise NotImplementedError

    def _views(self) -> tuple[Callable[..., torch.Tensor], ...]:
        """Return the views of a row, none or two."""
        return ()

    def _sampler(self, wish: str, rows: Rows) -> Choice:
        """Return the sampler: the user's, else what is wished for."""
        return choose("sampler", wish if self.sampler is None else self.sampler)

    def _parts(self) -> list[str]:
        """Return for what rows are held out."""
        return ["early_stopping"] if self.early_stopping else []

    def _begin(self) -> None:
        """Forget what an earlier fit ended with."""

    def _finish(self, given: tuple[Any, Any], y: Any, rows: Rows, held_out: dict[str, np.ndarray]) -> None:
        """Do what comes after the training."""

    # what they share

    def _weights(self, X: Any, y: Any, sample_weight: Any) -> np.ndarray | None:
        if sample_weight is None:
            return None
        weights: np.ndarray = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("sample_weight is zero for every row; there is nothing to learn from")
        return weights

    def _hold_out(self, rows: Rows, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Take disjoint rows for what needs some out of the training rows."""
        parts: dict[str, np.ndarray] = {}
        for name in self._parts():
            codes = rows.y[rows.train] if rows.y is not None and rows.y.ndim == 1 else None
            size = max(1, round(self.validation_fraction * rows.X.shape[0]))
            if codes is not None:  # every class on both sides, where there are rows enough
                counts = np.bincount(codes)
                enough = counts[counts > 0].min() >= 2 and min(size, len(codes) - size) >= (counts > 0).sum()
                codes = codes if enough else None
            if size >= len(rows.train):
                raise ValueError(f"{name} needs rows to hold out, but there are only {len(rows.train)}")
            rows.train, parts[name] = train_test_split(
                rows.train, test_size=size, stratify=codes, random_state=int(rng.integers(2**31))
            )
            rows.train.sort()
            parts[name].sort()
        return parts

    def _scorer(self, given: tuple[Any, Any], part: np.ndarray) -> Callable[[], float]:
        scorer = check_scoring(self, self.scoring)
        X, y = some_rows(given[0], part), None if given[1] is None else some_rows(given[1], part)
        return lambda: float(scorer(self, X, y))

    # -- building -----------------------------------------------------------------------------------------------------

    def _build(self, rows: Rows, terms: Mapping[str, Choice], output: Output, rng: np.random.Generator) -> None:
        """Make network, criterion and net."""
        seed = int(rng.integers(2**62))
        named = self._named_facts(terms)
        scaling = self.standardize and self.module is None
        scaler = moments(rows.X, rows.scaling_weights()) if scaling or "x_scale" in named else None
        with seeded(seed):
            network = self._network(rows, output, scaler if scaling else None, seed)
            self._role_and_width = output
            self._check_features(terms, network, output[0])
            facts = self._fit_facts(rows, network, None if scaler is None else scaler[1], seed)
            criterion = self._criterion(rows, terms, network, facts)
        self.net_ = self._make_net(network, criterion)

    def _check_features(self, terms: Mapping[str, Choice], network: Network, role: str) -> None:
        """See that losses on features find them."""
        if network.embeds:
            return
        look = [
            c
            for c in (choice.component for choice in terms.values())
            if "features" in c.facts or (c.role and ROLES[c.role].head in ("none", "hidden"))
        ]
        # one that asks for the head as well is told that there is none
        if network.complete and any(HEAD_FACTS.isdisjoint(c.needs) for c in look):
            raise TaskError(
                "the module is complete (it takes n_outputs), so a loss on features or embeddings has nothing to look "
                "at; give a backbone without n_outputs"
            )
        if head_kind(role) == "none" and network.head_from is not None:
            raise TaskError(f"{self._head_term()[1].component.title} predicts from the features; leave head out")

    def _go_on(
        self, rows: Rows, terms: Mapping[str, Choice], output: Output, rng: np.random.Generator, *, same_net: bool
    ) -> None:
        """Take the network on from where it is, with the parameters and the rows of now.

        A loss keeps its state if it is the same loss built from the same facts. With ``same_net`` the optimizer goes on
        too, and the fit facts stay those of the first call.
        """
        old = self.net_
        if output != self._role_and_width:
            title = next(c.component.title for c in terms.values() if c.component.role)
            raise TaskError(
                f"{title} wants {output[1]} {output[0]}, but the network was trained for {self._role_and_width[1]} "
                f"{self._role_and_width[0]}; set warm_start=False to begin anew"
            )
        seed = int(rng.integers(2**62))
        kept = self._kept_facts if same_net else {}
        wanted = "x_scale" in self._named_facts(terms) - kept.keys()
        x_scale = moments(rows.X, rows.scaling_weights())[1] if wanted else None
        with seeded(seed):
            criterion = self._criterion(
                rows, terms, old.module_, self._fit_facts(rows, old.module_, x_scale, seed) | kept
            )
        criterion.take_state(old.criterion_)
        same_parameters = {*map(id, criterion.parameters())} == {*map(id, old.criterion_.parameters())}
        if same_net and same_parameters:
            old.criterion_ = criterion.to(self._device())
        else:
            self.net_ = self._make_net(old.module_, criterion).go_on_from(old)

    def _criterion(self, rows: Rows, terms: Mapping[str, Choice], network: Any, facts: dict[str, Any]) -> Criterion:
        bound = self._bind(
            terms,
            rows=rows,
            fit_facts=facts,
            network=network,
            by_label=self._label_facts(rows, facts),
        )
        named = self._named_facts(terms)
        self._kept_facts = {n: value for n, value in facts.items() if n in named}
        return bound.to(network.dtype)

    def _example(self, rows: Rows) -> torch.Tensor:
        """Return a few rows, by which a module shows its width."""
        return as_tensor(rows.X[rows.train[:2]], self._dtype(rows.X))

    def _from_output(self, X: Any, finish: Callable[[torch.Tensor], np.ndarray]) -> np.ndarray:
        """Return what a function makes of the network's output, chunk by chunk."""
        check_is_fitted(self)
        return self.net_.map_output(as_rows(check_X(self, open_X(self, X))), finish)

    def _features(self, X: Any) -> np.ndarray:
        """Return what the head sees of rows, (n, h); of a complete module its output."""
        check_is_fitted(self)
        rows = as_rows(check_X(self, open_X(self, X)))
        return self.net_.map_output(rows, lambda seen: seen.flatten(1).numpy(), features=True)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_") and self.net_.epoch_ > 0

    # -- binding ------------------------------------------------------------------------------------------------------

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
        chosen = self._sampler(wish, rows)
        mixup = self._row_mixup()
        if mixup is not None:
            check_mixup(mixup, net.criterion_.terms)
            mixup = None if is_within(mixup) else mixup
        weights = rows.mean_one_weights()
        tensors = {name: self._tensor(value, dtype, device) for name, value in rows.facts.items()}
        if weights is not None:
            tensors["sample_weight"] = torch.as_tensor(weights, dtype=dtype, device=device)
        on = chosen.component.role or "y"
        reading = READING_FACTS if isinstance(rows.X, FileRows) else frozenset()
        supplied = {*SAMPLER_FACTS, *reading, *tensors} | ({"embeddings"} if net.module_.embeds else set())
        facts = self._facts_of(chosen.component, supplied)
        mining = net.criterion_.mining
        mixed = () if mixup is None else self._facts_of(mixup.component, {*MIXUP_FACTS, *tensors})
        X = rows.X if streamed else as_tensor(rows.X, dtype, device)
        return self._batches(
            rows,
            X,
            None if rows.y is None else self._tensor(rows.y, dtype, device),
            rows=tensors,
            sampler=chosen.build(),
            sampler_on=on,
            sampler_facts=tuple(f for f in facts if f not in ("batch_size", "rng")),
            sampler_refresh=chosen.all_params().get("refresh", 1),
            searcher=mining.miner if mining is not None and mining.searches else None,
            views=self._views(),
            epoch=net.epoch_,
            batch_size=self.batch_size,
            seed=seed,
            mixup=None if mixup is None else mixup.build(),
            mixup_facts=tuple(f for f in mixed if f != "rng"),
            dtype=dtype,
            device=device,
            drawn=None if len(rows.drawn) == rows.X.shape[0] else rows.drawn,
        )

    def _batches(self, data: Rows, *args: Any, **kwargs: Any) -> Batches:
        """Make the batches of these rows."""
        return Batches(*args, **kwargs)

    @staticmethod
    def _tensor(values: np.ndarray, dtype: torch.dtype, device: str) -> torch.Tensor:
        return as_tensor(values, dtype if values.dtype.kind == "f" else torch.int64, device)

    # -- training -----------------------------------------------------------------------------------------------------

    def _run(self, net: LossNet, batches: Batches, watch: Watch, *, epochs: int, seed: int) -> None:
        """Train with torch's global generators seeded for the while, and put back as they were."""
        with seeded(seed, self._device()):
            try:
                if hasattr(net.mode, "around_fit"):
                    net.mode.around_fit(partial(self._epochs, net, epochs, watch, batches), net, batches)
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

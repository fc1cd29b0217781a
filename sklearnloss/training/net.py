"""The loop: skorch's net with its own step and epoch; losses stay on the device, and NaN is found once an epoch."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearnloss.exceptions import NonFiniteLossError
from sklearnloss.training.backbone import Network, as_tensor
from sklearnloss.training.batches import Batch, Batches
from sklearnloss.training.criterion import Criterion
from sklearnloss.training.implicit import ImplicitHead
from sklearnloss.training.sources import row_chunks

__all__ = ["Closure", "LossNet", "Watcher"]

HEAD_FACTS = frozenset({"prototypes", "head_weight", "head_bias", "implicit_head"})


class Watcher(Protocol):
    """What an estimator does around each epoch."""

    def begin(self, net: "LossNet", batches: Batches) -> int:
        """Return how many epochs are done already, with net and batches as they were after them."""

    def before_epoch(self, net: "LossNet") -> None:
        """Prepare."""

    def after_epoch(self, net: "LossNet", row: dict[str, Any]) -> bool:
        """Look at the epoch's row of the history; return True to stop."""

    def end_epoch(self, net: "LossNet", batches: Batches, *, done: int, last: bool) -> None:
        """Keep what is needed to go on from here."""


class Closure:
    """What an optimiser calls to get the loss of a batch and its gradient; it may call it twice.

    Only the first call of a step moves the state of losses.
    """

    def __init__(self, net: "LossNet", batch: Batch) -> None:
        self.net, self.batch = net, batch
        self.first: Tensor | None = None
        self.parts: dict[str, Tensor] = {}
        self.output: Tensor | None = None  # of the head, at the last pass that `terms` made
        # a mixup within the network draws the same at every pass of a step
        self.draws = None if net.criterion_.mixing is None else batch["rng"].get_state()

    def __call__(self) -> Tensor:
        """Clear the gradients, go forward and backward, clip, and return the loss."""
        net = self.net
        for parameter in net.parameters_:  # what zero_grad does, without its profiler hooks
            parameter.grad = None
        if isinstance(net.module_.head, ImplicitHead):
            net.module_.head.forget()
        self._draw_again()
        with self._state_moves_once():
            output, facts = net.outputs(self.batch)
            parts = net.criterion_.split(output, facts)
            loss = net.criterion_.total(parts)
        loss.backward()
        if net.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(net.parameters_, net.max_grad_norm)
        if net.gradient_watchers:
            net.notify_gradients(self.batch)
        if self.first is None:
            self.first = loss.detach()
            self.parts = {name: value.detach() for name, value in parts.items()}
        return loss

    def terms(self) -> dict[str, Tensor]:
        """Go forward and return the terms apart, each with its ``coef``, for a mode that combines gradients itself."""
        net = self.net
        self._draw_again()
        with self._state_moves_once():
            self.output, facts = net.outputs(self.batch)
            parts = net.criterion_.split(self.output, facts)
        coefs = {term.name: term.coef for term in net.criterion_.terms}
        scaled = {name: coefs.get(name, 1.0) * value for name, value in parts.items()}
        if self.first is None:
            self.first = torch.stack([value.detach() for value in scaled.values()]).sum()
            self.parts = {name: value.detach() for name, value in parts.items()}
        return scaled

    def _draw_again(self) -> None:
        if self.draws is not None and self.first is not None:
            self.batch["rng"].set_state(self.draws)

    def _state_moves_once(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.first is None else _frozen(self.net.criterion_)


class _frozen(AbstractContextManager[None]):
    """Keep the state of losses where it is."""

    def __init__(self, criterion: Criterion) -> None:
        self.criterion = criterion

    def __enter__(self) -> None:
        self.criterion.eval()

    def __exit__(self, *error: object) -> None:
        self.criterion.train()


class LossNet(NeuralNet):  # type: ignore[misc]
    """A skorch net whose criterion is a planned sum of losses.

    Parameters
    ----------
    module : Network
        The network.
    criterion : Criterion
        The bound losses.
    optimizer : callable
        From parameter groups to a torch optimizer.
    lr, loss_lr, weight_decay : float
        Rate; factor of the rate for the parameters of losses and cosine heads; decay, which these do not have.
    max_epochs : int
        Epochs of a fit; the end of the schedule.
    lr_schedule : callable or None
        Factor of the rate as a function of progress.
    max_grad_norm : float or None
        Limit of the gradient's norm.
    autocast : bool
        Whether the module runs in bfloat16.
    mode : object or None
        A mode with any of ``batch``, ``step``, ``epoch``.
    **kwargs
        Of `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: Network,
        criterion: Criterion,
        *,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float = 1e-3,
        loss_lr: float = 1.0,
        weight_decay: float = 0.0,
        max_epochs: int = 100,
        lr_schedule: Callable[[float], float] | None = None,
        max_grad_norm: float | None = None,
        autocast: bool = False,
        mode: Any = None,
        **kwargs: Any,
    ) -> None:
        self.loss_lr, self.weight_decay = loss_lr, weight_decay
        self.lr_schedule, self.max_grad_norm = lr_schedule, max_grad_norm
        self.autocast, self.mode = autocast, mode
        super().__init__(
            module, criterion=criterion, optimizer=optimizer, lr=lr, max_epochs=max_epochs, train_split=None, **kwargs
        )

    history: Any  # a property of skorch's

    # -- set-up -------------------------------------------------------------------------------------------------------

    def get_default_callbacks(self) -> list[Any]:
        """Return none: history and printing are done without a call per batch."""
        return []

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> "LossNet":
        """Make the optimizer; parameters of losses and a cosine head form their own group without weight decay."""
        loss_params = [*self.criterion_.parameters(), *self.module_.loss_parameters()]
        apart = {id(p) for p in loss_params}
        groups = [
            {
                "params": [p for p in self.module_.parameters() if id(p) not in apart],
                "lr": self.lr,
                "weight_decay": self.weight_decay,
            }
        ]
        if loss_params:
            groups.append({"params": loss_params, "lr": self.lr * self.loss_lr, "weight_decay": 0.0})
        self.optimizer_ = self.optimizer([g for g in groups if g["params"]])
        return self

    def initialize(self) -> "LossNet":
        """Initialize module, criterion, optimizer and callbacks."""
        super().initialize()
        self.step_ = 0
        self.epoch_ = 0
        self.base_rates_ = [group["lr"] for group in self.optimizer_.param_groups]
        return self

    def go_on_from(self, other: "LossNet") -> "LossNet":
        """Count epochs and steps from where another net, on the same module, has come."""
        self.history, self.epoch_, self.step_ = other.history, other.epoch_, other.step_
        return self

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network."""
        return self.module_.dtype

    def all_parameters(self) -> list[nn.Parameter]:
        """Return every parameter that is trained."""
        return [p for group in self.optimizer_.param_groups for p in group["params"]]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("good_", "parameters_"):  # what only a running fit needs
            state.pop(name, None)
        return state

    # -- one batch ----------------------------------------------------------------------------------------------------

    def outputs(self, batch: Batch) -> tuple[Tensor, Batch]:
        """Return the head's output and the batch with the facts that only a pass gives."""
        facts = batch
        names = self.criterion_.names
        n, X = len(batch["X"]), batch["X"]
        companions = batch.get("companions")  # rows that a miner found for each row, in the same pass
        if companions is not None:
            X = torch.cat([X, companions.flatten(0, 1)])
        with self._autocast():
            if self.criterion_.mixing is not None:
                features, facts = self.criterion_.mixing(self.module_, batch)
                features, output = self.module_.seen(features)
                facts["features"] = features.float() if self.autocast else features
            elif "features" in names:
                features, output = self.module_(X, with_features=True)
                features = features.float() if self.autocast else features
                facts = {**facts, "features": features[:n]}
                if companions is not None:
                    facts["companions"], output = features[n:].unflatten(0, companions.shape[:2]), output[:n]
            else:
                output = self.module_(X)
        if not names.isdisjoint(HEAD_FACTS):
            facts = {**facts, **self.module_.head_facts}
        if "output" in names:
            facts = {**facts, "output": output.detach()}
        if "module" in names:
            facts = {**facts, "module": self.module_}
        if "epoch" in names or "step" in names:
            facts = {**facts, "epoch": self.epoch_, "step": self.step_}
        return (output.float() if self.autocast else output), facts

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(torch.device(self.device).type, torch.bfloat16) if self.autocast else nullcontext()

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Take one step of the optimizer; a mode may take it instead."""
        closure = Closure(self, batch)
        if hasattr(self.mode, "step"):
            self.mode.step(closure, self.optimizer_)
        else:
            self.optimizer_.step(closure)
        if isinstance(self.module_.head, ImplicitHead):
            self.module_.head.step(self.optimizer_.param_groups[-1]["lr"], self.weight_decay)  # the group of losses
        self.__dict__["step_"] += 1  # past skorch's __setattr__, which looks for modules at each step
        assert closure.first is not None, "the mode or optimizer never asked for the loss"
        return {"loss": closure.first, "parts": closure.parts}

    # -- one epoch ----------------------------------------------------------------------------------------------------

    def run_single_epoch(
        self, iterator: Batches, training: bool, prefix: str, step_fn: Callable[..., Any], **fit_params: Any
    ) -> None:
        """Take a step for each batch; look at the losses once, at the end."""
        self._set_training(training)
        losses: list[Tensor] = []
        parts: list[dict[str, Tensor]] = []
        sizes: list[int] = []
        batch_watchers = self._overriding("on_batch_begin", "on_batch_end")
        for batch in iterator:
            if hasattr(self.mode, "batch"):
                batch = self.mode.batch(batch["X"], batch) or batch
            if batch_watchers:
                self.notify("on_batch_begin", batch=(batch["X"], batch["y"]), training=training)
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"])
            parts.append(step["parts"])
            sizes.append(len(batch["index"]))
            if batch_watchers:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", sizes[-1])
                self.notify("on_batch_end", batch=(batch["X"], batch["y"]), training=training, **step)
        if not batch_watchers:
            self.history.new_batch()  # one for the epoch: skorch's Checkpoint asks for the last
        self.criterion_.parts = parts[-1]
        values = torch.stack(losses).double().cpu().numpy()
        if not np.isfinite(values).all() or not self._weights_finite():
            self._fail(iterator, values, parts)
        weights = np.asarray(sizes) / sum(sizes)
        self.history.record(f"{prefix}_loss", float(values @ weights))
        self.history.record(f"{prefix}_batch_count", len(sizes))
        if len(parts[0]) > 1:
            for name in parts[0]:
                column = torch.stack([p[name] for p in parts]).double().cpu().numpy()
                self.history.record(f"{prefix}_loss_{name}", float(column @ weights))

    def notify_gradients(self, batch: Batch) -> None:
        """Tell the callbacks that watch gradients."""
        named = [*self.module_.named_parameters(), *self.criterion_.named_parameters()]
        self.notify("on_grad_computed", named_parameters=named, batch=(batch["X"], batch["y"]), training=True)

    def _overriding(self, *hooks: str) -> list[Any]:
        """Return the callbacks that do something at one of these hooks."""
        return [
            callback
            for _, callback in self.callbacks_
            if any(getattr(type(callback), hook) is not getattr(Callback, hook) for hook in hooks)
        ]

    # -- the fit ------------------------------------------------------------------------------------------------------

    def partial_fit(  # type: ignore[no-untyped-def]
        self, X: Batches, y: None = None, classes: None = None, *, epochs=None, watcher=None, **fit_params: Any
    ) -> "LossNet":
        """Train for some epochs from where the net is.

        A ``KeyboardInterrupt`` leaves the weights of the last finished epoch and is raised again; one that a callback
        raises at the end of an epoch stops quietly, which is skorch's custom.
        """
        if not self.initialized_:
            self.initialize()
        self.parameters_ = self.all_parameters()
        self.gradient_watchers = bool(self._overriding("on_grad_computed"))
        self._remember()
        self.notify("on_train_begin", X=X.X, y=X.y)
        try:
            self.fit_loop(X, epochs=epochs, watcher=watcher)
        except BaseException:
            self._restore()
            raise
        finally:
            self._set_training(False)
            self.optimizer_.zero_grad(set_to_none=True)
        self.notify("on_train_end", X=X.X, y=X.y)
        return self

    def fit_loop(
        self,
        X: Batches,
        y: None = None,
        epochs: int | None = None,
        *,
        watcher: Watcher | None = None,
        **fit_params: Any,
    ) -> "LossNet":
        """Run the epochs."""
        total = self.max_epochs if epochs is None else epochs
        first = 0 if watcher is None else watcher.begin(self, X)
        if first:
            self._remember()
        for number in range(first, total):
            started = time.perf_counter()
            self._set_rates(number / max(1, total))
            if watcher is not None:
                watcher.before_epoch(self)
            self.notify("on_epoch_begin", dataset_train=X, dataset_valid=None)
            X.look_around(self.embed)
            self.run_single_epoch(X, training=True, prefix="train", step_fn=self.train_step)
            self.epoch_ += 1
            if hasattr(self.mode, "epoch"):
                self.mode.epoch(self)
            self._remember()
            self.history.record("dur", time.perf_counter() - started)
            self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
            stop = watcher is not None and watcher.after_epoch(self, self.history[-1])
            try:
                self.notify("on_epoch_end", dataset_train=X, dataset_valid=None)
            except KeyboardInterrupt:  # how skorch's callbacks stop a training
                stop = True
            if watcher is not None:
                watcher.end_epoch(self, X, done=number + 1, last=stop or number + 1 == total)
            if stop:
                break
        return self

    def _set_rates(self, progress: float) -> None:
        if self.lr_schedule is not None:
            factor = self.lr_schedule(progress)
            for group, rate in zip(self.optimizer_.param_groups, self.base_rates_, strict=True):
                group["lr"] = rate * factor

    # -- good weights -------------------------------------------------------------------------------------------------

    def state_tensors(self) -> list[Tensor]:
        """Return weights and buffers of module and criterion."""
        return [t.detach() for part in (self.module_, self.criterion_) for t in (*part.parameters(), *part.buffers())]

    def _remember(self) -> None:
        """Copy the weights, into the same memory each time."""
        current = self.state_tensors()
        good = getattr(self, "good_", None)
        if good is None or [g.shape for g in good] != [c.shape for c in current]:
            self.good_ = [t.clone() for t in current]
        else:
            for kept, now in zip(good, current, strict=True):
                kept.copy_(now)

    def _restore(self) -> None:
        for kept, now in zip(self.good_, self.state_tensors(), strict=True):
            now.copy_(kept)

    def _weights_finite(self) -> bool:
        # the sum of a tensor is finite unless an entry is not, and one pass finds it
        return bool(torch.stack([p.detach().sum() for p in self.parameters_]).isfinite().all())

    def _fail(self, batches: Batches, values: np.ndarray, parts: list[dict[str, Tensor]]) -> None:
        """Restore the last good weights and say where and probably why the numbers were lost."""
        bad = np.flatnonzero(~np.isfinite(values))
        number = int(bad[0]) if len(bad) else len(values) - 1
        named = {name: float(value) for name, value in parts[number].items()}
        wild = {name: value for name, value in named.items() if not np.isfinite(value)}
        self._restore()
        self.initialize_optimizer()  # its averages may not be finite either
        cause = self._cause(batches, number, values)
        what = (
            ", ".join(f"term {name!r} is {value}" for name, value in wild.items()) or "the weights are no longer finite"
        )
        raise NonFiniteLossError(
            f"epoch {self.epoch_ + 1}, batch {number + 1} of {len(values)}: {what}. {cause} "
            f"The weights of {'epoch ' + str(self.epoch_) if self.epoch_ else 'the start'} were kept."
        )

    def _cause(self, batches: Batches, number: int, values: np.ndarray) -> str:
        """Try the batch, and the one before, at the last good weights to see whose fault it is."""
        for tried in sorted({max(0, number - 1), number}):
            batch = batches.batch(batches.last_rows[tried].to(batches.device))
            if not bool(torch.isfinite(batch["X"]).all()):
                return "Likely cause: X holds values that are not finite in this precision; scale it."
            self.criterion_.eval()
            with torch.enable_grad():
                output, facts = self.outputs(batch)
                if not bool(torch.isfinite(output).all()):
                    big = float(batch["X"].abs().max())
                    return (
                        "Likely cause: the network's output is not finite even at the last good weights "
                        f"(largest input {big:.3g}); scale X, or lower lr."
                    )
                values_of = self.criterion_.split(output, facts)
                for term in self.criterion_.terms:
                    value = values_of[term.name]
                    if not bool(torch.isfinite(value)):
                        largest = float(output.detach().abs().max())
                        return (
                            f"Likely cause: {term.title} itself is {float(value.detach())} on this batch at finite "
                            f"outputs (largest {largest:.3g}); check its parameters and its facts."
                        )
                    gradient = torch.autograd.grad(value, output, retain_graph=True, allow_unused=True)[0]
                    if gradient is not None and not bool(torch.isfinite(gradient).all()):
                        return f"Likely cause: the gradient of {term.title} is not finite on batch {tried + 1}."
        rate = self.optimizer_.param_groups[0]["lr"]
        shown = ", ".join(f"{v:.3g}" for v in values[max(0, number - 3) : number + 1])
        return (
            f"Likely cause: divergence (the last losses were {shown}); lower lr (now {rate:g}), "
            "or set max_grad_norm, for example to 1."
        )

    # -- prediction ---------------------------------------------------------------------------------------------------

    def map_output(self, X: Any, finish: Callable[[Tensor], np.ndarray], *, features: bool = False) -> np.ndarray:
        """Return what a function makes of the head's output, chunk by chunk, so that only the result is held whole.

        Parameters
        ----------
        X : array or Source of shape (n, d)
            Rows.
        finish : callable
            From the output of some rows, on the CPU, to an array with as many.
        features : bool, default=False
            Whether it gets what the head sees instead.
        """
        whole: np.ndarray | None = None
        for rows, output in self._output_chunks(X, features):
            part = finish(output)
            if whole is None:
                whole = np.empty((X.shape[0], *part.shape[1:]), part.dtype)
            whole[rows] = part
        assert whole is not None, "X has at least one row"
        return whole

    def embed(self, X: Any) -> Tensor:
        """Return the network's output for all rows, on the CPU."""
        if not isinstance(X, Tensor):
            return torch.from_numpy(self.map_output(X, Tensor.numpy))
        self._set_training(False)
        with torch.no_grad(), self._autocast():
            return torch.cat([self.module_(part).float().cpu() for part in torch.split(X, 4096)])

    def _output_chunks(self, X: Any, features: bool) -> Iterator[tuple[slice, Tensor]]:
        dtype = self.dtype
        self._set_training(False)
        width = getattr(getattr(self.module_, "head", None), "out_features", 1)  # of very many classes
        for rows, part in row_chunks(X, width=width):
            with torch.inference_mode(), self._autocast():
                output = self.module_(as_tensor(part, dtype, self.device), with_features=features)
                output = output[0] if features else output
                output = (output.float() if self.autocast else output).cpu()
            yield rows, output

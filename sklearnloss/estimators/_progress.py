"""How a fit with a checkpoint goes on from the last epoch that was finished."""

from typing import Any

import numpy as np

from sklearnloss.estimators._fingerprint import Fingerprint
from sklearnloss.estimators._saving import fitted_state
from sklearnloss.exceptions import LoadError, SaveError
from sklearnloss.training.batches import Batches
from sklearnloss.training.checkpoints import Checkpoint, load_running, running_state
from sklearnloss.training.codec import Decoder, Encoder, Unstorable
from sklearnloss.training.net import LossNet

__all__ = ["Progress"]

REFUSED = (
    "checkpoint=None trains without one; a loss keeps its state in buffers, parameters and plain numbers, a mode or a "
    "callback may have state_dict and load_state_dict"
)


class Progress:
    """What one fit keeps in its checkpoint.

    The file is named by a hash of parameters, data and versions, so that a fit finds its own and no other's; one that
    runs at the same time on the same gets a second file.

    Parameters
    ----------
    estimator : NetEstimator
        The estimator, with a ``checkpoint``.
    data : mapping of str to array
        Whatever decides the result besides the parameters.
    rng : numpy.random.Generator
        The source of all seeds of this fit; wound back to where it stood if the fit goes on.
    resume : bool
        Whether the fit starts from the weights of an earlier one.
    """

    def __init__(self, estimator: Any, data: dict[str, Any], rng: np.random.Generator, *, resume: bool) -> None:
        self.estimator = estimator
        mark = Fingerprint()
        named = mark.add_parameters(estimator)
        for name, value in data.items():
            mark.add(name, value)
        if resume:
            encode = Encoder(estimator._records)
            mark.add_state(fitted_state(encode, estimator), encode.tensors)
        seeded = resume or estimator.random_state is not None
        mark.add("seed", rng.bit_generator.state if seeded else None)
        # a result that is known by names and a seed may be taken again; code of the user's is known only in part
        self.reusable = named and seeded and not hasattr(estimator, "_skl_callbacks")
        self.file = Checkpoint(estimator.checkpoint, f"{type(estimator).__name__}-{mark.name()}")
        self.start = dict(rng.bit_generator.state)
        if self.file.content:
            self.start = Decoder(self.file.tensors).decode(self.file.content["start"])
            rng.bit_generator.state = self.start

    def begin(self, watch: Any, net: LossNet, batches: Batches) -> int:
        """Return the number of epochs done, with everything as it was after them.

        Raises
        ------
        SaveError
            If a part of the fit keeps something that cannot be stored.
        """
        if hasattr(net.mode, "around_fit"):
            raise SaveError(
                f"mode {type(net.mode).__name__} wraps the whole fit, and what it does between its calls cannot be "
                "stored; leave checkpoint out"
            )
        encode = Encoder()
        try:
            self._state(encode, watch, net, batches, done=0, last=False)
        except Unstorable as left:
            raise SaveError(f"checkpoint: {left}, which cannot be stored; {REFUSED}") from left
        content = self.file.content
        if not content:
            return 0
        decode = Decoder(
            self.file.tensors,
            generators=content["generators"],
            device=self.estimator._device(),
            living=encode.generators,
        )
        try:
            load_running(content["running"], decode, net, batches, self.estimator._device())
            watch.best, watch.waited, watch.best_state = decode.decode(content["watch"])
            done: int = content["done"]
        except (LoadError, KeyError) as error:  # the net is half changed, so starting anew would not be the same fit
            raise LoadError(
                f"checkpoint {str(self.file.path)!r} is of a fit whose code has changed ({error}); remove it, and "
                "training starts anew"
            ) from error
        if self.estimator.verbose:
            print(f"checkpoint: goes on after epoch {done} ({self.file.path})", flush=True)
        return watch.epochs if content["last"] else done

    def end_epoch(self, watch: Any, net: LossNet, batches: Batches, *, done: int, last: bool) -> None:
        """Write the file."""
        encode = Encoder()
        try:
            content = self._state(encode, watch, net, batches, done=done, last=last)
        except Unstorable as left:
            raise SaveError(f"checkpoint: {left}, which cannot be stored; {REFUSED}") from left
        self.file.write({**content, "generators": encode.generator_states()}, encode.tensors)

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Let others have the file; that of a finished fit stays only where the same fit may take the result again."""
        self.file.release(remove=kind is None and not self.reusable)

    def _state(
        self, encode: Encoder, watch: Any, net: LossNet, batches: Batches, *, done: int, last: bool
    ) -> dict[str, Any]:
        kept = getattr(self.estimator, "_kept_facts", {})
        encode.encode(kept.get("generator"), "generator")  # first: losses may hold the same one
        return {
            "start": encode.encode(self.start, "start"),
            "done": done,
            "last": last,
            "watch": encode.encode((watch.best, watch.waited, watch.best_state), "watch"),
            "running": running_state(encode, net, batches, self.estimator._device()),
        }

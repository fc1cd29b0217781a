"""Checkpoints: the file of a running fit, and how a fit goes on from it."""

import itertools
import os
import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sklearnloss.exceptions import CheckpointWarning, LoadError, OutputError
from sklearnloss.files import Lock, make_folder
from sklearnloss.training.archive import read_archive, write_archive
from sklearnloss.training.batches import Batches
from sklearnloss.training.codec import Decoder, Encoder
from sklearnloss.training.net import LossNet
from sklearnloss.training.state import (
    load_net,
    load_object,
    net_state,
    object_state,
    random_states,
    set_random_states,
)

__all__ = ["Checkpoint", "load_running", "running_state"]


class Checkpoint:
    """The file of one fit in a folder, which no other fit touches until it is released.

    Parameters
    ----------
    folder : str or path
        Made if it is not there.
    name : str
        What all fits of this kind are called; one that runs at the same time gets ``name-2``, and so on.

    Attributes
    ----------
    path : Path
        The file.
    content, tensors : dict
        What it holds; empty if there is none, or if it is damaged, which is warned of.

    Raises
    ------
    OutputError
        If the folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str) -> None:
        place = make_folder(folder)
        for number in itertools.count(1):
            self.path = place / f"{name}{'' if number == 1 else f'-{number}'}.ckpt"
            try:
                self.lock = Lock(self.path.with_suffix(".lock"))
                break
            except BlockingIOError:
                continue
        self.content: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self.writable = True
        for half in place.glob(f".{self.path.name}.*.tmp"):  # what a killed process was writing
            half.unlink(missing_ok=True)
        self._read()

    def _read(self) -> None:
        try:
            content, tensors = read_archive(self.path)
            if content.get("kind") != "checkpoint":
                raise LoadError(f"{str(self.path)!r} is no checkpoint")
        except FileNotFoundError:
            return
        except (LoadError, OSError) as error:
            warnings.warn(f"{error}; training starts anew", CheckpointWarning, stacklevel=6)
            return
        self.content, self.tensors = content, tensors

    def write(self, content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Replace the file; if that fails it is warned of once, the last one stays, and training goes on."""
        try:
            write_archive(self.path, {"kind": "checkpoint", **content}, tensors)
        except OutputError as error:
            if self.writable:
                warnings.warn(
                    f"{error}; training goes on, and the checkpoint stays at an earlier epoch",
                    CheckpointWarning,
                    stacklevel=6,
                )
            self.writable = False
        else:
            self.writable = True

    def release(self, *, remove: bool) -> None:
        """Let other fits have the file, or remove it."""
        if remove:
            self.path.unlink(missing_ok=True)
        self.lock.release()


def running_state(encode: Encoder, net: LossNet, batches: Batches, device: str) -> dict[str, Any]:
    """Return the state of a fit between two epochs.

    Raises
    ------
    Unstorable
        If a part keeps something that cannot be stored.
    """
    callbacks = {name: object_state(encode, callback, f"callback {name}") for name, callback in net.callbacks_}
    return {
        "batches": {
            "rng": encode.encode(batches.rng, "batches.rng"),
            "torch_rng": encode.encode(batches.torch_rng, "batches.torch_rng"),
            "epoch": batches.epoch,
            "sampler": object_state(encode, batches.sampler, "sampler"),
            "mixup": object_state(encode, batches.mixup, "mixup"),
            "embeddings": encode.encode(batches.embeddings, "batches.embeddings"),
            "searcher": object_state(encode, batches.searcher, "miner"),
            "views": [object_state(encode, view, f"view.{number}") for number, view in enumerate(batches.views)],
        },
        "net": net_state(encode, net),
        "callbacks": callbacks,
        "random": encode.encode(random_states(device), "random"),
    }


def load_running(running: Mapping[str, Any], decode: Decoder, net: LossNet, batches: Batches, device: str) -> None:
    """Bring a fit that was set up in the same way to a state."""
    kept = running["batches"]
    batches.rng, batches.torch_rng = decode.decode(kept["rng"]), decode.decode(kept["torch_rng"])
    batches.epoch = kept["epoch"]
    load_object(batches.sampler, kept["sampler"], decode)
    load_object(batches.mixup, kept["mixup"], decode)
    batches.embeddings = decode.decode(kept["embeddings"])
    load_object(batches.searcher, kept["searcher"], decode)
    for view, state in zip(batches.views, kept["views"], strict=True):
        load_object(view, state, decode)
    load_net(net, running["net"], decode)
    for name, callback in net.callbacks_:
        load_object(callback, running["callbacks"][name], decode)
    set_random_states(decode.decode(running["random"]), device)
    decode.wind_generators()

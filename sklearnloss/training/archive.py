"""One file of tensors and JSON with a checksum over every byte: saved estimators and checkpoints.

The file is a safetensors file. Its metadata hold one entry, which stands at a fixed place: 64 hexadecimal digits of the
SHA-256 of all other bytes, then 16 of the file's length. The tensor ``json`` holds everything that is no tensor.
Nothing is read from a file before its checksum is found right, and nothing in it is ever run.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from sklearnloss.exceptions import LoadError
from sklearnloss.files import write_atomically

__all__ = ["FORMAT", "JSON", "pack", "read_archive", "unpack", "write_archive"]

FORMAT = 1  # of what the file holds; a reader refuses a higher one
JSON = "json"  # the name of the tensor
START = b'{"__metadata__":{"sklearnloss":"'
DIGEST = slice(8 + len(START), 8 + len(START) + 64)
LENGTH = slice(DIGEST.stop, DIGEST.stop + 16)


def pack(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a file.

    Parameters
    ----------
    content : mapping
        What JSON can hold; ``format`` is added.
    tensors : mapping of str to Tensor
        On the CPU, contiguous, none sharing memory with another; none called ``json``.

    Examples
    --------
    >>> content, tensors = unpack(pack({"kind": "note"}, {"x": torch.ones(2)}), "a note")
    >>> content["kind"], tensors["x"]
    ('note', tensor([1., 1.]))
    """
    text = json.dumps({"format": FORMAT, **content}, allow_nan=False, separators=(",", ":")).encode()
    every = {**tensors, JSON: torch.frombuffer(bytearray(text), dtype=torch.uint8)}
    raw = bytearray(safetensors.torch.save(every, metadata={"sklearnloss": "0" * 80}))
    assert raw[8 : DIGEST.start] == START, "safetensors writes its metadata first"
    raw[LENGTH] = f"{len(raw):016x}".encode()
    raw[DIGEST] = _digest(raw)
    return bytes(raw)


def unpack(raw: bytes, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return content and tensors of a file.

    Parameters
    ----------
    raw : bytes
        The file.
    name : str
        What messages call it.

    Raises
    ------
    LoadError
        If it is of another kind, cut, damaged, or of a newer format.
    """
    _check(raw, name)
    try:
        # torch's own memory is aligned; rounding in a product may depend on it
        tensors = {key: tensor.clone() for key, tensor in safetensors.torch.load(raw).items()}
        content = json.loads(bytes(tensors.pop(JSON).numpy()))
        found = content["format"]
    except Exception as error:  # a checksum can be forged, and a parser's errors are many
        raise LoadError(f"{name} cannot be read: {type(error).__name__}: {error}") from error
    if found != FORMAT:
        raise LoadError(
            f"{name} has the format {found}, and this version of sklearnloss reads {FORMAT}; install the version that "
            "wrote it, or a newer one"
        )
    return content, tensors


def write_archive(path: str | os.PathLike[str], content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OutputError
        If it could not be written; what stood there before is unchanged.
    """
    write_atomically(path, pack(content, tensors))


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return content and tensors of a file.

    Raises
    ------
    LoadError
        If it cannot be read back, with the reason.
    OSError
        If there is no such file, or it may not be read.
    """
    return unpack(Path(path).read_bytes(), repr(str(path)))


def _digest(raw: bytes | bytearray) -> bytes:
    view = memoryview(raw)
    whole = hashlib.sha256(view[: DIGEST.start])
    whole.update(view[DIGEST.stop :])
    return whole.hexdigest().encode()


def _check(raw: bytes, name: str) -> None:
    if raw[8 : DIGEST.start] != START[: max(0, len(raw) - 8)] or len(raw) < 8:
        raise LoadError(f"{name} is not a file that sklearnloss saved")
    if len(raw) < LENGTH.stop:
        raise LoadError(f"{name} is cut: only its first {len(raw)} bytes are there")
    try:
        length = int(raw[LENGTH], 16)
    except ValueError:
        raise LoadError(f"{name} is damaged: its length is not readable") from None
    if len(raw) < length:
        raise LoadError(f"{name} is cut: {len(raw)} of {length} bytes are there")
    if len(raw) > length:
        raise LoadError(f"{name} is damaged: it has {len(raw) - length} bytes more than were written")
    if raw[DIGEST] != _digest(raw):
        raise LoadError(f"{name} is damaged: its checksum is not that of its content")

"""A short name for what decides the result of a fit: parameters, data, versions, and the code of what is the user's."""

import functools
import hashlib
import json
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from sklearnloss.estimators._saving import components_of, versions
from sklearnloss.exceptions import DataError
from sklearnloss.training.codec import Encoder, Unstorable

__all__ = ["Fingerprint"]

# what changes what is printed or where it is written; the seed is in the generator
IRRELEVANT = frozenset({"verbose", "checkpoint", "random_state", "warm_start"})
LIBRARIES = ("sklearnloss", "torch", "sklearn", "skorch", "numpy", "builtins", "abc")  # covered by their version
OF_A_CLASS = frozenset({"__module__", "__doc__", "__dict__", "__weakref__", "__firstlineno__", "component"})
SCALARS = (bool, int, float, complex, str, bytes)


class Fingerprint:
    """A hash that is fed with whatever decides a result.

    Examples
    --------
    >>> one, other = Fingerprint(), Fingerprint()
    >>> one.add("X", np.ones(3))
    >>> other.add("X", np.ones(3))
    >>> one.name() == other.name()
    True
    """

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def name(self) -> str:
        """Return 24 hexadecimal digits."""
        return self.hash.hexdigest()[:24]

    def add(self, label: str, value: Any) -> None:
        """Feed an array, a CSR matrix, or what an `Encoder` knows.

        Raises
        ------
        DataError
            If the value is none of these.
        """
        if hasattr(value, "indptr"):
            for part in ("data", "indices", "indptr"):
                self.add(f"{label}.{part}", getattr(value, part))
            value = value.shape
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            self.hash.update(f"{label} {value.dtype} {value.shape}".encode())
            self.hash.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
            return
        encode = Encoder()
        try:
            words = encode.encode(value, label)
        except Unstorable as error:
            raise DataError(f"checkpoint needs rows in memory, as arrays or a CSR matrix; {error}") from error
        self.add_state(words, encode.tensors)

    def add_state(self, words: Any, tensors: dict[str, torch.Tensor]) -> None:
        """Feed JSON and tensors."""
        self.hash.update(json.dumps(words, sort_keys=True).encode())
        for name, tensor in tensors.items():
            self.hash.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            self.hash.update(_bytes(tensor))

    def add_object(self, value: Any) -> None:
        """Feed an object of the user's: its code, what it closes over, its data."""
        for part in _words_of(value, {}):
            self.hash.update(part.encode())

    def add_parameters(self, estimator: Any) -> bool:
        """Feed parameters, components and versions; say whether all of them are known by name and version."""
        encode = Encoder()
        params = {n: v for n, v in estimator.get_params(deep=False).items() if n not in IRRELEVANT}
        words = {n: encode.encode_parameter(n, v, estimator._spec_kinds.get(n)) for n, v in params.items()}
        records = list(components_of(estimator))
        self.add_state([type(estimator).__qualname__, words, records, versions()], encode.tensors)
        own = [_own(estimator, key) for key in encode.given]
        if type(estimator).__module__.partition(".")[0] not in LIBRARIES:
            own.append(type(estimator))
        for part in _words_of(own, {}):
            self.hash.update(part.encode())
        return not own and all(record["plugin"] != "local" for record in records)


def _own(estimator: Any, key: str) -> Any:
    """Return a parameter, or the part of it that a key such as ``loss__my_loss`` names."""
    value = estimator.get_params(deep=True).get(key, getattr(estimator, key.partition("__")[0]))
    return getattr(value, "spec", value)


def _words_of(value: Any, seen: dict[int, Any]) -> Iterator[str]:
    """Yield what is known of an object of the user's: its code, what it closes over, its data.

    What was met before is passed over, so that circles end; it is kept alive, since numbers of dead objects come again.
    """
    if value is None or isinstance(value, SCALARS):  # whether two equal ones are one object differs by process
        yield f"{type(value).__name__} {value!r}"
        return
    if id(value) in seen:
        yield "again"
        return
    seen[id(value)] = value
    if isinstance(value, functools.partial):
        yield "partial"
        yield from _words_of((value.func, value.args, value.keywords), seen)
    elif isinstance(value, types.MethodType):
        yield from _words_of((value.__func__, value.__self__), seen)
    elif isinstance(value, types.FunctionType):
        yield f"{value.__module__}.{value.__qualname__}"
        if _package(value) in LIBRARIES:
            return
        yield from _words_of_code(value.__code__)
        yield from _words_of((value.__defaults__, value.__kwdefaults__, _closed_over(value), _globals(value)), seen)
    elif isinstance(value, type):
        yield f"{value.__module__}.{value.__qualname__}"
        for cls in value.__mro__:
            if cls.__module__.partition(".")[0] not in LIBRARIES:
                own = {name: _unwrapped(m) for name, m in sorted(vars(cls).items()) if name not in OF_A_CLASS}
                yield from _words_of(own, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        yield f"{type(value).__name__} {len(value)}"
        for part in value if isinstance(value, list | tuple) else sorted(value, key=repr):
            yield from _words_of(part, seen)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield repr(key)
            yield from _words_of(part, seen)
    else:
        yield from _words_of_data(value, seen)


def _package(value: Any) -> str:
    return str(getattr(value, "__module__", None) or "").partition(".")[0]


def _globals(function: types.FunctionType) -> dict[str, Any]:
    """Return what a function takes from its module, but not from other packages."""
    found = {
        name: function.__globals__[name] for name in sorted(_names(function.__code__)) if name in function.__globals__
    }
    return {
        name: value
        for name, value in found.items()
        if not isinstance(value, types.ModuleType) and _package(value) in ("", _package(function))
    }


def _names(code: types.CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _unwrapped(member: Any) -> Any:
    """Return the functions behind a property, a static or a class method."""
    if isinstance(member, property):
        return [member.fget, member.fset, member.fdel]
    return getattr(member, "__func__", member)


def _closed_over(function: types.FunctionType) -> list[Any]:
    found = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # an empty cell
            found.append(cell.cell_contents)
    return found


def _words_of_data(value: Any, seen: dict[int, Any]) -> Iterator[str]:
    encode = Encoder()
    try:
        words = encode.encode(value, "")
    except Unstorable:
        yield from _words_of(type(value), seen)
        if isinstance(value, torch.nn.Module):
            yield from _words_of(dict(value.state_dict()), seen)
        if not hasattr(value, "__dict__"):  # a slice, a ufunc, a function of C
            yield repr(value)
        elif not isinstance(value, types.ModuleType):
            held = vars(value).items()
            given = {name: part for name, part in held if not name.endswith("_")}  # the others it has learned
            yield from _words_of(given, seen)
        return
    yield json.dumps(words)
    for tensor in encode.tensors.values():
        yield hashlib.sha256(_bytes(tensor)).hexdigest()


def _bytes(tensor: torch.Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _words_of_code(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _words_of_code(constant)
        else:  # a set prints in an order that changes from process to process
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)

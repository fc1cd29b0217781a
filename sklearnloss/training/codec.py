"""Values as JSON and tensors, and back: a closed list of types, so that reading runs nothing.

What JSON has is itself; anything else is an object of one entry, whose name is the type: ``{"tuple": [1, 2]}``.
"""

import dataclasses
import pathlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearnloss import registry
from sklearnloss.component import Component
from sklearnloss.exceptions import LoadError
from sklearnloss.spec import SPECS, Loss, Spec, Sum

__all__ = ["Decoder", "Encoder", "Given", "Unstorable"]

BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
LONGEST = 1 << 20  # bytes of an item of an array; a string that is longer says that the file was forged
NUMBERS = {np.dtype(name) for name in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")}


class Unstorable(Exception):
    """A value that is not on the list."""

    def __init__(self, path: str, value: Any) -> None:
        super().__init__(path, value)
        self.path, self.value = path, value

    def __str__(self) -> str:
        return f"{self.path} is {_described(self.value)}"


@dataclasses.dataclass(frozen=True)
class Given:
    """An object of the user's, which is not stored and must be handed back."""

    key: str
    about: str


class Encoder:
    """Collects tensors and generators while it turns values into JSON.

    Parameters
    ----------
    records : iterable of type
        Dataclasses that are stored by their fields.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Copies on the CPU, by the path of the value.
    generators : list of torch.Generator
        Each once, however often it was met.
    given : dict of str to Given
        What `encode_parameter` left out.

    Examples
    --------
    >>> Encoder().encode({"a": (1, float("inf"))}, "x")
    {'dict': [['a', {'tuple': [1, {'float': 'inf'}]}]]}
    """

    def __init__(self, records: Iterable[type] = ()) -> None:
        self.records = frozenset(records)
        self.tensors: dict[str, Tensor] = {}
        self.generators: list[torch.Generator] = []
        self.given: dict[str, Given] = {}

    def encode(self, value: Any, path: str) -> Any:
        """Return a value as JSON.

        Raises
        ------
        Unstorable
            With the path of what is not on the list.
        """
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if np.isfinite(value) else {"float": repr(value)}
        if kind is list:
            return self._each(value, path)
        encode = _ENCODERS.get(kind)
        if encode is not None:
            return encode(self, value, path)
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value), path)}
        if isinstance(value, Tensor) and kind in (Tensor, torch.nn.Parameter, torch.nn.Buffer):
            return {"tensor": self._tensor(value, path)}
        if isinstance(value, pathlib.PurePath):
            return {"path": str(value)}
        if kind in self.records:
            fields = {f.name: self.encode(getattr(value, f.name), f"{path}.{f.name}") for f in dataclasses.fields(kind)}
            return {"record": [kind.__name__, fields]}
        fitted = _registered("calibrator", kind)
        if fitted is not None:  # a scikit-learn estimator whose state is its attributes
            return {"fitted": [fitted.kind, fitted.full_name, self._pairs(vars(value), path)]}
        raise Unstorable(path, value)

    def encode_parameter(self, key: str, value: Any, kind: str | None = None) -> Any:
        """Return a parameter as JSON; what is not on the list is left out and noted in ``given``.

        Parameters
        ----------
        key : str
            Name of the parameter, as in ``set_params``.
        value : object
            Its value.
        kind : str or None
            Kind of component, if the parameter names one.
        """
        if kind is not None and type(value) is SPECS[kind]:
            return self._spec(key, value)
        if type(value) is Sum:
            return {"sum": [self._spec(f"{key}__{name}", term) for name, term in value.named().items()]}
        registered = None if kind is None else _registered(kind, value)
        if registered is not None:
            return {"component": [kind, registered.full_name]}
        try:
            return self.encode(value, key)
        except Unstorable:
            about = _described(value)
            self.given[key] = Given(key, about)
            return {"given": key}

    def generator_states(self) -> list[dict[str, Any]]:
        """Return where each generator stands."""
        return [
            {"device": g.device.type, "seed": g.initial_seed(), "state": self._tensor(g.get_state(), f"generator/{i}")}
            for i, g in enumerate(self.generators)
        ]

    def _spec(self, key: str, spec: Spec) -> dict[str, Any]:
        params = spec.get_params()
        inner = params.pop("spec")
        found = inner if isinstance(inner, str) else self.encode_parameter(key, inner, spec.kind)
        named = {name: self.encode_parameter(f"{key}__{name}", value) for name, value in params.items()}
        return {"spec": [spec.kind, found, named]}

    def _each(self, values: Iterable[Any], path: str) -> list[Any]:
        return [self.encode(value, f"{path}.{place}") for place, value in enumerate(values)]

    def _pairs(self, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        return {"dict": [[self.encode(k, f"{path} key"), self.encode(v, f"{path}.{k}")] for k, v in value.items()]}

    def _tensor(self, value: Tensor, path: str) -> str:
        if value.layout is not torch.strided or value.is_quantized:
            raise Unstorable(path, value)
        name, count = path, 1
        while name in self.tensors or name == "json":
            name, count = f"{path}~{count}", count + 1
        self.tensors[name] = value.detach().cpu().contiguous().clone()  # a view would bring its whole memory along
        return name

    def _array(self, value: np.ndarray, path: str) -> dict[str, Any]:
        kind = value.dtype.kind
        if value.dtype.newbyteorder("=") in NUMBERS:
            native = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")).reshape(value.shape)
            return {"dtype": value.dtype.str, "tensor": self._tensor(torch.from_numpy(native.copy()), path)}
        if kind in "US":
            flat = [v if kind == "U" else v.hex() for v in value.ravel().tolist()]
            return {"dtype": value.dtype.str, "shape": list(value.shape), "values": flat}
        if kind == "O":
            return {"dtype": "O", "shape": list(value.shape), "values": self._each(value.ravel().tolist(), path)}
        raise Unstorable(path, value)

    def _generator(self, value: torch.Generator, path: str) -> dict[str, Any]:
        places = [i for i, known in enumerate(self.generators) if known is value]
        if not places:
            self.generators.append(value)
            places = [len(self.generators) - 1]
        return {"generator": places[0]}

    def _numpy_generator(self, value: np.random.Generator, path: str) -> dict[str, Any]:
        state = dict(value.bit_generator.state)
        if state.get("bit_generator") not in BIT_GENERATORS:
            raise Unstorable(path, value)
        return {"rng": self.encode(state, path)}


_ENCODERS: dict[type, Callable[[Encoder, Any, str], Any]] = {
    tuple: lambda self, value, path: {"tuple": self._each(value, path)},
    set: lambda self, value, path: {"set": self._each(sorted(value, key=repr), path)},
    frozenset: lambda self, value, path: {"frozenset": self._each(sorted(value, key=repr), path)},
    dict: Encoder._pairs,
    OrderedDict: Encoder._pairs,
    range: lambda self, value, path: {"range": [value.start, value.stop, value.step]},
    bytes: lambda self, value, path: {"bytes": value.hex()},
    complex: lambda self, value, path: {"complex": self._each([value.real, value.imag], path)},
    np.ndarray: lambda self, value, path: {"array": self._array(value, path)},
    torch.dtype: lambda self, value, path: {"torch_dtype": str(value).removeprefix("torch.")},
    torch.Generator: Encoder._generator,
    np.random.Generator: Encoder._numpy_generator,
    np.random.RandomState: lambda self, value, path: {"random_state": self.encode(value.get_state(legacy=False), path)},
}  # fmt: skip


class Decoder:
    """Turns JSON back into values.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Those of the file.
    records : iterable of type
        Dataclasses that may be made.
    generators : sequence of dict
        Where each generator stands.
    given : mapping of str to object
        What the user handed back.
    names : mapping of (kind, name) to str
        Names of components that are written in full now.
    device : str
        Where generators live; one of another kind of device starts from its seed.
    living : sequence of torch.Generator
        Generators that are there already and are wound to where the first ones stood.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        records: Iterable[type] = (),
        generators: Iterable[Mapping[str, Any]] = (),
        given: Mapping[str, Any] | None = None,
        names: Mapping[tuple[str, str], str] | None = None,
        device: str = "cpu",
        living: Sequence[torch.Generator] = (),
    ) -> None:
        self.tensors, self.given, self.names = tensors, dict(given or {}), dict(names or {})
        self.records = {record.__name__: record for record in records}
        self.states = list(generators)
        self.generators = [*living, *(torch.Generator(device) for _ in self.states[len(living) :])]
        self.wind_generators()

    def wind_generators(self) -> None:
        """Set every generator to where it stood, whatever was drawn since."""
        for generator, stood in zip(self.generators, self.states, strict=True):
            if generator.device.type == stood["device"]:
                generator.set_state(self.tensors[stood["state"]])
            else:
                generator.manual_seed(stood["seed"])

    def decode(self, value: Any) -> Any:
        """Return the value behind JSON."""
        if isinstance(value, list):
            return [self.decode(part) for part in value]
        if not isinstance(value, dict):
            return value
        ((name, inner),) = value.items()
        return _DECODERS[name](self, inner)

    def _pairs(self, inner: Any) -> dict[Any, Any]:
        return {self.decode(key): self.decode(value) for key, value in inner}

    def _array(self, inner: Any) -> np.ndarray:
        dtype = np.dtype(inner["dtype"])
        if "tensor" in inner:
            stored = self.tensors[inner["tensor"]].numpy()
            if stored.dtype != dtype.newbyteorder("="):
                raise LoadError(f"an array of {dtype} is stored as {stored.dtype}")
            return stored.astype(dtype, copy=False)
        if dtype.itemsize * len(inner["values"]) > LONGEST + 64 * sum(map(len, map(str, inner["values"]))):
            raise LoadError(f"an array has {len(inner['values'])} items of {dtype.itemsize} bytes")
        if dtype.kind == "O":
            array = np.empty(len(inner["values"]), dtype=object)
            array[:] = self.decode(inner["values"])
        else:
            flat = [v if dtype.kind == "U" else bytes.fromhex(v) for v in inner["values"]]
            array = np.array(flat, dtype=dtype)
        return array.reshape(inner["shape"])

    def _record(self, inner: Any) -> Any:
        name, fields = inner
        return self.records[name](**{key: self.decode(value) for key, value in fields.items()})

    def _fitted(self, inner: Any) -> Any:
        kind, name, attributes = inner
        cls = registry.lookup(kind, name).obj
        made = cls.__new__(cls)
        vars(made).update(self.decode(attributes))
        return made

    def _numpy_generator(self, inner: Any) -> np.random.Generator:
        state = self.decode(inner)
        if state["bit_generator"] not in BIT_GENERATORS:
            raise LoadError(f"unknown generator {state['bit_generator']!r}")
        _check_places(state)
        bits = getattr(np.random, state["bit_generator"])(0)
        bits.state = state
        return np.random.Generator(bits)

    def _random_state(self, inner: Any) -> np.random.RandomState:
        made = np.random.RandomState(0)
        state = self.decode(inner)
        _check_places(state)
        made.set_state(state)
        return made

    def _spec(self, inner: Any) -> Spec:
        kind, found, params = inner
        spec = self.names.get((kind, found), found) if isinstance(found, str) else self.decode(found)
        return SPECS[kind](spec, **{name: self.decode(value) for name, value in params.items()})

    def _sum(self, inner: Any) -> Sum:
        terms = [self._spec(term["spec"]) for term in inner]
        assert all(isinstance(term, Loss) for term in terms)
        return Sum(terms)  # type: ignore[arg-type]


_DECODERS: dict[str, Callable[[Decoder, Any], Any]] = {
    "float": lambda self, inner: float(inner),
    "tuple": lambda self, inner: tuple(self.decode(inner)),
    "set": lambda self, inner: set(self.decode(inner)),
    "frozenset": lambda self, inner: frozenset(self.decode(inner)),
    "dict": Decoder._pairs,
    "range": lambda self, inner: range(*inner),
    "bytes": lambda self, inner: bytes.fromhex(inner),
    "complex": lambda self, inner: complex(*self.decode(inner)),
    "array": Decoder._array,
    "scalar": lambda self, inner: self._array(inner)[()],
    "tensor": lambda self, inner: self.tensors[inner],
    "path": lambda self, inner: pathlib.Path(inner),
    "torch_dtype": lambda self, inner: torch.empty(0, dtype=getattr(torch, inner)).dtype,
    "generator": lambda self, inner: self.generators[inner],
    "rng": Decoder._numpy_generator,
    "random_state": Decoder._random_state,
    "record": Decoder._record,
    "fitted": Decoder._fitted,
    "component": lambda self, inner: registry.lookup(*inner).obj,
    "spec": Decoder._spec,
    "sum": Decoder._sum,
    "given": lambda self, inner: self.given[inner],
}


def _check_places(state: Mapping[str, Any]) -> None:
    """Refuse a place beyond the end of a generator's memory, which numpy would read."""
    inner = state["state"]
    pos = inner.get("pos", 0) if isinstance(inner, dict) else 0
    if not (0 <= pos <= 624 and 0 <= state.get("buffer_pos", 0) <= 4):
        raise LoadError("a generator stands beyond its end")


def _registered(kind: str, value: Any) -> Component | None:
    """Return the component whose object this is, if a plugin carries it; names of one process do not count."""
    declared = getattr(value, "component", None)
    if not isinstance(declared, Component) or declared.kind != kind:
        return None
    known = (c for c in registry.components(kind) if c.obj is value and c.plugin != "local")
    return next(known, None)


def _described(value: Any) -> str:
    """Return what a value is, in words that its owner recognises."""
    if isinstance(value, type):
        return f"the class {value.__qualname__} of {value.__module__}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the function {value.__qualname__} of {value.__module__}"
    return f"an instance of {type(value).__qualname__} of {type(value).__module__}"

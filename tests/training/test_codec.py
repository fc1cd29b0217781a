"""Values as JSON and back."""

import json
import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearnloss import Loss, Reduction
from sklearnloss.losses.multiclass.ldr import ldr
from sklearnloss.training.codec import Decoder, Encoder, Unstorable


@dataclass(frozen=True)
class Point:
    x: float
    parts: tuple[np.ndarray, ...]


def there_and_back(value):
    encode = Encoder([Point])
    words = json.loads(json.dumps(encode.encode(value, "value"), allow_nan=False))
    return Decoder(encode.tensors, records=[Point], generators=encode.generator_states()).decode(words)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -(2**100), 0.1, -0.0, math.inf, -math.inf, "", "ä\n\x00\ud800", b"\x00\xff", 1 + 2j,
        [], [1, [2.5, None]], (), (1, ("a",)), {}, {"a": 1, 2: "b", None: [3], (1, 2): {"x": 1.0}}, {"tuple": 1},
        {1, 2}, frozenset("a"), range(1, 9, 3), Path("some/where"), torch.float32, np.float32(0.1), np.int8(-3),
        np.bool_(True), np.str_("word"), np.float64(math.inf),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_comes_back_with_its_type(value):
    again = there_and_back(value)
    assert type(again) is type(value)
    assert again == value
    assert repr(again) == repr(value)


def test_nan_comes_back():
    assert math.isnan(there_and_back(math.nan))


@pytest.mark.parametrize(
    "array",
    [
        *(np.arange(6).reshape(2, 3).astype(d) for d in "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 >i4 >f8".split()),
        np.array(3.5), np.empty((0, 4)), np.arange(12.0)[::-2], np.asfortranarray(np.eye(3)), np.array(["a", "bcd"]),
        np.array(["a"], dtype="U7"), np.array([b"xy", b"z"]), np.array([["a", None], [1, (2.5,)]], dtype=object),
        np.array([], dtype=object), np.array([math.nan, -0.0, math.inf]),
    ],
    ids=lambda a: f"{a.dtype.str}{a.shape}",
)  # fmt: skip
def test_an_array_comes_back_with_type_and_shape(array):
    again = there_and_back(array)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.int16, torch.float16, torch.bfloat16, torch.float64, torch.complex64]
)
def test_a_tensor_comes_back_and_does_not_share_memory(dtype):
    tensor = torch.arange(12).reshape(3, 4).to(dtype).T
    again = there_and_back(tensor)
    assert again.dtype is dtype
    assert torch.equal(again, tensor)
    again.zero_()
    assert tensor.any()


def test_a_row_of_a_large_tensor_is_stored_alone():
    encode = Encoder()
    encode.encode(torch.zeros(1000, 10)[3], "row")
    assert encode.tensors["row"].untyped_storage().nbytes() == 40


def test_generators_go_on_where_they_stood():
    torch_rng, numpy_rng, old = torch.Generator().manual_seed(3), np.random.default_rng(3), np.random.RandomState(3)
    torch.rand(5, generator=torch_rng), numpy_rng.random(5), old.normal()  # a normal leaves half a pair behind
    again = there_and_back([torch_rng, numpy_rng, old, torch_rng])
    assert again[0] is again[3]
    assert torch.equal(torch.rand(5, generator=again[0]), torch.rand(5, generator=torch_rng))
    np.testing.assert_array_equal(again[1].random(5), numpy_rng.random(5))
    np.testing.assert_array_equal(again[2].normal(size=5), old.normal(size=5))


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
def test_every_generator_of_numpy_comes_back(bits):
    rng = np.random.Generator(bits(1))
    rng.integers(10, dtype=np.int32)
    again = there_and_back(rng)
    assert type(again.bit_generator) is bits
    np.testing.assert_array_equal(again.random(5), rng.random(5))


def test_a_listed_dataclass_comes_back_by_its_fields():
    again = there_and_back(Point(1.5, (np.ones(2),)))
    assert type(again) is Point
    assert again.x == 1.5
    np.testing.assert_array_equal(again.parts[0], np.ones(2))


def test_an_ordered_dictionary_becomes_a_dictionary():
    assert there_and_back(OrderedDict(b=1, a=2)) == {"b": 1, "a": 2}


class Words(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        object(), deque(), Words("a"), lambda: 0, np.array(["2020-01-01"], dtype="M8[D]"), np.ma.array([1]),
        torch.nn.ReLU(), torch.eye(2).to_sparse(), np.longdouble(1), Point,
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_what_is_not_on_the_list_is_refused_with_its_path(value):
    with pytest.raises(Unstorable, match=r"^here\.1\.a is (an instance of|the function|the class) "):
        Encoder().encode([0, {"a": value}], "here")


def parameter(key, value, kind=None, **given):
    """Return a parameter that went there and back, and what had to be handed back."""
    encode = Encoder()
    words = json.loads(json.dumps(encode.encode_parameter(key, value, kind)))
    return Decoder(encode.tensors, given=given).decode(words), encode.given


def mine(logits, y):
    return logits.sum(1)


@pytest.mark.parametrize(
    "value",
    ["ldr", Loss("ldr", lam=0.5), Loss("core:ldr", coef=2.0), Loss("ldr") + 0.1 * Loss("focal"), None],
    ids=repr,
)
def test_specs_are_stored_by_name(value):
    again, given = parameter("loss", value, "loss")
    assert given == {}
    assert type(again) is type(value)
    assert again == value


def test_a_component_given_as_an_object_is_stored_by_name():
    again, given = parameter("loss", Loss(ldr, lam=2.0), "loss")
    assert given == {}
    assert again.spec is ldr
    assert parameter("loss", ldr, "loss")[0] is ldr


def test_code_is_left_out_by_its_place_and_the_rest_is_stored():
    again, given = parameter("loss", Loss(mine, coef=2.0) + Loss("ldr"), "loss", loss__mine=mine)
    assert {key: one.about for key, one in given.items()} == {"loss__mine": f"the function mine of {__name__}"}
    assert again == Loss(mine, coef=2.0) + Loss("ldr")
    _, given = parameter("reduction", Reduction("mean", weight=mine), "reduction", reduction__weight=mine)
    assert list(given) == ["reduction__weight"]
    again, given = parameter("callbacks", [mine, 1], None, callbacks=[mine, 1])
    assert (again, list(given)) == ([mine, 1], ["callbacks"])


def test_a_file_cannot_make_an_array_of_enormous_items():
    with pytest.raises(ValueError, match="items of 400000000 bytes"):
        Decoder({}).decode({"array": {"dtype": "<U100000000", "shape": [1], "values": ["a"]}})


def test_a_file_cannot_name_a_class_or_a_function():
    for words in ({"record": ["Point", {}]}, {"eval": "1"}, {"torch_dtype": "load"}, {"rng": {"dict": []}}):
        with pytest.raises((KeyError, TypeError)):
            Decoder({}).decode(words)

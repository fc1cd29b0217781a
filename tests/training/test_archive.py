"""The file of tensors and JSON."""

import hashlib
import json
import struct

import pytest
import safetensors.torch
import torch

from sklearnloss.exceptions import LoadError, OutputError
from sklearnloss.training.archive import FORMAT, pack, read_archive, unpack, write_archive

CONTENT, TENSORS = {"kind": "note", "text": "ä\n"}, {"x": torch.arange(6.0).reshape(2, 3), "y": torch.tensor(True)}


def sealed(header, data=b""):
    """Return a file with a right checksum and any header."""
    text = json.dumps(header, separators=(",", ":")).encode()
    raw = bytearray(struct.pack("<Q", len(text)) + text + data)
    start = 8 + len(b'{"__metadata__":{"sklearnloss":"')
    raw[start + 64 : start + 80] = f"{len(raw):016x}".encode()
    raw[start : start + 64] = hashlib.sha256(raw[:start] + raw[start + 64 :]).hexdigest().encode()
    return bytes(raw)


def test_content_and_tensors_come_back(tmp_path):
    write_archive(tmp_path / "a", CONTENT, TENSORS)
    content, tensors = read_archive(tmp_path / "a")
    assert content == {"format": FORMAT, **CONTENT}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[n], TENSORS[n]) for n in TENSORS)


def test_the_same_content_makes_the_same_bytes():
    assert pack(CONTENT, TENSORS) == pack(CONTENT, dict(reversed(TENSORS.items())))


def test_any_reader_of_safetensors_reads_the_tensors():
    found = safetensors.torch.load(pack(CONTENT, TENSORS))
    assert torch.equal(found["x"], TENSORS["x"])
    assert json.loads(bytes(found["json"].tolist())) == {"format": FORMAT, **CONTENT}


def test_the_checksum_covers_every_byte_but_its_own():
    raw = pack(CONTENT, TENSORS)
    start = 8 + len(b'{"__metadata__":{"sklearnloss":"')
    rest = hashlib.sha256(raw[:start] + raw[start + 64 :]).hexdigest()
    assert raw[start : start + 64].decode() == rest
    assert int(raw[start + 64 : start + 80], 16) == len(raw)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: b"", "is not a file that sklearnloss saved"),
        (lambda raw: b"PK\x03\x04" + raw, "is not a file that sklearnloss saved"),
        (lambda raw: safetensors.torch.save({"x": torch.ones(2)}), "is not a file that sklearnloss saved"),
        (lambda raw: raw[:60], "is cut: only its first 60 bytes are there"),
        (lambda raw: raw[:-1], r"is cut: (\d+) of (\d+) bytes are there"),
        (lambda raw: raw + b"\n", "is damaged: it has 1 bytes more than were written"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "is damaged: its checksum is not that of its content"),
        (lambda raw: b"\xff" * 8 + raw[8:], "is damaged: its checksum is not that of its content"),
        (lambda raw: raw[:110] + b"zz" + raw[112:], "is damaged: its length is not readable"),
    ],
)
def test_a_damaged_file_is_refused_with_the_reason(tmp_path, spoil, message):
    (tmp_path / "a").write_bytes(spoil(pack(CONTENT, TENSORS)))
    with pytest.raises(LoadError, match=rf"^'.*a' {message}$"):
        read_archive(tmp_path / "a")


def test_a_newer_format_is_refused_by_number():
    with pytest.raises(LoadError, match=r"^x has the format 7, and this version of sklearnloss reads 1; install the"):
        unpack(pack({"format": 7}, {}), "x")


HUGE = {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 1 << 62]}


@pytest.mark.parametrize(
    "header",
    [
        {"__metadata__": {"sklearnloss": "0" * 80}, "json": HUGE},
        {"__metadata__": {"sklearnloss": "0" * 80}, "json": {**HUGE, "data_offsets": [4, 0]}},
        {"__metadata__": {"sklearnloss": "0" * 80}, "json": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}},
        {"__metadata__": {"sklearnloss": "0" * 80}, "x": "y"},
        {"__metadata__": {"sklearnloss": "0" * 80}},
    ],
)
def test_a_forged_header_with_a_right_checksum_is_refused_and_allocates_nothing(header):
    with pytest.raises(LoadError, match=r"^x cannot be read: "):
        unpack(sealed(header, b"[]"), "x")


def test_json_nested_beyond_reason_is_refused():
    text = b"[" * 100_000
    tensor = {"dtype": "U8", "shape": [len(text)], "data_offsets": [0, len(text)]}
    with pytest.raises(LoadError, match=r"^x cannot be read: RecursionError"):
        unpack(sealed({"__metadata__": {"sklearnloss": "0" * 80}, "json": tensor}, text), "x")


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "a")
    with pytest.raises(OutputError):
        write_archive(tmp_path / "b" / "a", CONTENT, TENSORS)

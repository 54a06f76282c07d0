# SPDX-License-Identifier: MIT
"""Compares base/inflate.c with zlib and gzip on data of many kinds, levels and strategies."""
import gzip
import random
import subprocess
import zlib

import pytest

import base_driver

MIB = 1 << 20


def random_bytes(size, seed):
    return random.Random(seed).randbytes(size)


def text(size, seed):
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(1, 11))) for _ in range(3000)]
    out, length = [], 0
    while length < size:
        word = words[min(int(rng.paretovariate(0.6)), len(words)) - 1]
        out.append(word)
        length += len(word) + 1
    return " ".join(out).encode()[:size]


def mixed(size, seed):
    """Runs of every short period, noise and text in turn: all kinds of blocks and matches."""
    rng = random.Random(seed)
    out = bytearray()
    while len(out) < size:
        kind = rng.randrange(4)
        length = rng.randrange(1, 60000)
        if kind == 0:
            out += rng.randbytes(length)
        elif kind == 1:
            out += (rng.randbytes(rng.randint(1, 20)) * length)[:length]
        elif kind == 2:
            out += text(length, rng.random())
        elif out:
            at = max(0, len(out) - rng.randint(1, 40000))
            out += out[at:at + length]
    return bytes(out[:size])


def skewed(size, seed):
    """Each byte value rarer than the one before by the same factor: codes up to the longest."""
    rng = random.Random(seed)
    return bytes(min(int(rng.expovariate(0.35)), 255) for _ in range(size))


DATA = {
    "empty": b"",
    "one byte": b"x",
    "zeros": bytes(5 * MIB),
    "random": random_bytes(3 * MIB, 1),
    "text": text(4 * MIB, 2),
    "mixed": mixed(4 * MIB, 3),
    "skewed": skewed(MIB, 8),
    "a chunk exactly": mixed(64 * 1024, 4),
    "a byte over a chunk": mixed(64 * 1024 + 1, 5),
}


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    return base_driver.build(tmp_path_factory.mktemp("inflate"), "inflate_cli", "inflate", "crc32",
                             "errno")


def check(cli, packed, expected, kind="gzip"):
    for mode in ("sink", "flat"):
        status, out, err = base_driver.run(cli, kind, mode, len(expected), stdin=packed)
        assert status == 0, err
        assert out == expected, f"{mode}: output differs"


@pytest.mark.parametrize("name", DATA)
def test_gzip_levels(cli, name):
    for level in (1, 4, 6, 9) if len(DATA[name]) > MIB else range(10):
        check(cli, gzip.compress(DATA[name], level), DATA[name])


@pytest.mark.parametrize("strategy", [zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
@pytest.mark.parametrize("name", ["zeros", "random", "text", "mixed", "skewed"])
def test_strategies(cli, name, strategy):
    data = DATA[name][:MIB]
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, 8, strategy)
    check(cli, packer.compress(data) + packer.flush(), data, "raw")


@pytest.mark.parametrize("window_bits", [9, 11, 15])
@pytest.mark.parametrize("memory_level", [1, 9])
def test_windows_and_block_sizes(cli, window_bits, memory_level):
    data = DATA["mixed"][:MIB]
    packer = zlib.compressobj(9, zlib.DEFLATED, -window_bits, memory_level)
    check(cli, packer.compress(data) + packer.flush(), data, "raw")


def test_flush_points(cli):
    """Empty stored blocks between data, as a streaming compressor leaves them."""
    data = DATA["text"][:300000]
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = b""
    for at in range(0, len(data), 7001):
        packed += packer.compress(data[at:at + 7001])
        packed += packer.flush(zlib.Z_FULL_FLUSH if at % 2 else zlib.Z_SYNC_FLUSH)
    check(cli, packed + packer.flush(), data, "raw")


def test_gzip_program(cli, tmp_path):
    for level in ("-1", "-9"):
        (tmp_path / "a name").write_bytes(DATA["text"])
        packed = subprocess.run(["gzip", level, "-c", str(tmp_path / "a name")], check=True,
                                capture_output=True).stdout
        assert packed[3] & 8, "gzip stores the name"
        check(cli, packed, DATA["text"])


def test_several_members(cli):
    parts = [DATA["text"][:100000], b"", DATA["random"][:70000], DATA["zeros"][:MIB]]
    packed = b"".join(gzip.compress(p) + bytes(n * 100) for n, p in enumerate(parts))
    status, out, err = base_driver.run(cli, "gzip", "sink", 2 * MIB, stdin=packed)
    assert status == 0, err
    assert out == b"".join(parts)
    members = [tuple(map(int, line.split()[1:])) for line in err.splitlines()]
    assert members == [(len(gzip.compress(p)), len(p)) for p in parts]


@pytest.mark.parametrize("mode", ["sink", "flat"])
def test_limit(cli, mode):
    status, _, err = base_driver.run(cli, "gzip", mode, MIB - 1,
                                     stdin=gzip.compress(DATA["zeros"][:MIB]))
    assert status == 1
    assert err.startswith("error EFBIG")


def test_damage(cli):
    """Where zlib sees damage we see it, and the other way round."""
    rng = random.Random(6)
    good = gzip.compress(mixed(30000, 7), 9)
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            bad[rng.randrange(10, len(bad))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            del bad[rng.randrange(10, len(bad)):]
        unpacker = zlib.decompressobj(31)
        try:
            expected = unpacker.decompress(bytes(bad)) if bad != good else None
            accepted = unpacker.eof
        except zlib.error:
            accepted = False
        status, out, err = base_driver.run(cli, "gzip", "sink", 1 << 30, stdin=bytes(bad))
        if accepted and not unpacker.unused_data:
            assert status == 0, err
            assert out == expected
        elif not accepted:
            assert status == 1
            assert err.startswith("error ")

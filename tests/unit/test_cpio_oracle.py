# SPDX-License-Identifier: MIT
"""Compares base/cpio.c with the file tree that GNU cpio packed."""
import os
import pathlib
import shutil
import subprocess
import zlib

import pytest

import base_driver

pytestmark = pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
READERS = ["iter", 1, 3, 110, 512, 1 << 20]


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    return base_driver.build(tmp_path_factory.mktemp("cpio"), "cpio_cli", "cpio", "crc32", "errno")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Files of all lengths modulo 4, names of many lengths, links, a FIFO, a device where allowed."""
    root = tmp_path_factory.mktemp("tree")
    (root / "dir" / "sub").mkdir(parents=True)
    for size in (0, 1, 2, 3, 4, 5, 511, 512, 513, 70001):
        path = root / "dir" / f"file-{size}"
        path.write_bytes(bytes(i * 7 % 251 for i in range(size)))
        os.utime(path, (1_700_000_000, 1_700_000_000 + size))
    for length in (1, 2, 3, 4, 100, 255):
        (root / ("n" * length)).write_text(str(length))
    (root / "link").symlink_to("dir/file-5")
    (root / "hard").hardlink_to(root / "dir" / "file-513")
    (root / "suid").write_text("#!/bin/sh\n")
    (root / "suid").chmod(0o4755)
    os.mkfifo(root / "fifo")
    if os.geteuid() == 0:
        try:
            os.mknod(root / "null", 0o020666, os.makedev(1, 3))
        except PermissionError:
            pass
    return root


def pack(tree, form):
    names = [str(p.relative_to(tree)) for p in sorted(tree.rglob("*"))]
    return subprocess.run(["cpio", "--create", "--quiet", "--null", "--format", form], cwd=tree,
                          input="\0".join(names).encode() + b"\0", check=True,
                          capture_output=True).stdout


def expected_lines(tree, packed_names):
    """What cpio_cli should print for the tree; of hard links only the last carries the data."""
    for name in packed_names:
        path = tree / name
        st = path.lstat()
        if path.is_symlink():
            data = os.readlink(path).encode()
        elif path.is_file():
            data = path.read_bytes()
        else:
            data = b""
        linked = [n for n in packed_names if (tree / n).lstat().st_ino == st.st_ino]
        if st.st_nlink > 1 and path.is_file() and name != linked[-1]:
            data = b""
        rdev = (os.major(st.st_rdev), os.minor(st.st_rdev))
        yield (f"{st.st_mode:06o} {st.st_nlink} {st.st_uid} {st.st_gid} {int(st.st_mtime)} "
               f"{len(data)} {rdev[0]} {rdev[1]} {zlib.crc32(data):08x} {name}")


@pytest.mark.parametrize("form", ["newc", "crc"])
@pytest.mark.parametrize("reader", READERS)
def test_tree(cli, tree, form, reader):
    status, out, err = base_driver.run(cli, reader, stdin=pack(tree, form))
    assert status == 0, err
    lines = out.decode().splitlines()
    names = [line.split(" ", 9)[9] for line in lines]
    assert len(names) == len(list(tree.rglob("*")))
    assert lines == list(expected_lines(tree, names))


@pytest.mark.parametrize("reader", READERS)
def test_concatenated_archives(cli, tree, reader):
    one = base_driver.run(cli, reader, stdin=pack(tree, "newc"))[1]
    status, out, err = base_driver.run(
        cli, reader, stdin=pack(tree, "newc") + bytes(1000) + pack(tree, "crc") + bytes(24))
    assert status == 0, err
    assert out == one + one


@pytest.mark.parametrize("reader", ["iter", 64])
def test_damage_is_reported(cli, tree, reader):
    packed = pack(tree, "crc")
    damaged = bytearray(packed)
    # The last byte of a large file's data.
    at = packed.index(bytes(i * 7 % 251 for i in range(70001))) + 70000
    damaged[at] ^= 1
    status, _, err = base_driver.run(cli, reader, stdin=bytes(damaged))
    assert status == 1
    assert err.startswith("error EBADMSG")
    status, _, err = base_driver.run(cli, reader, stdin=packed[:at])
    assert status == 1
    assert err.startswith("error EIO")

# SPDX-License-Identifier: MIT
"""Compares the partitions service's parser with sfdisk, sgdisk and fdisk, on disks that those made."""
import json
import os
import random
import re
import shutil
import subprocess
import uuid

import pytest

import base_driver

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
ENVIRONMENT = dict(os.environ, PATH=PATH, LC_ALL="C.UTF-8")
MISSING = [tool for tool in ("sfdisk", "sgdisk", "fdisk") if not shutil.which(tool, path=PATH)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}; tools/deps does it")

MIB = 1 << 20
EXTENDED = ("5", "f", "85")


def tool(*command, script=""):
    done = subprocess.run([str(word) for word in command], input=script, capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=60)
    assert done.returncode == 0, f"{command}\n{script}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def cli():
    program = "build/host/services/block/partitions/host/partitions_cli"
    subprocess.run(["make", "-s", program], cwd=base_driver.ROOT, check=True, timeout=300)
    return base_driver.ROOT / program


@pytest.fixture
def image(tmp_path):
    """A path for a disk; make_disk() gives it a size."""
    return tmp_path / "disk"


def make_disk(image, size):
    with open(image, "wb") as file:
        file.truncate(size)


def table(cli, image, block=512):
    """What our parser finds: kind, remark, {number: (start, sectors, type, uuid, name)}."""
    status, out, err = base_driver.run(cli, image, block, stdin=b"")
    assert status == 0, err
    *entries, last = out.decode().split("\n")[:-1]
    kind, remark = last.split("\t")
    found = {}
    for line in entries:
        number, start, sectors, type_, uuid_, name = line.split("\t")
        if kind == "gpt":
            type_ = str(uuid.UUID(bytes_le=bytes.fromhex(type_))).upper()
            uuid_ = str(uuid.UUID(bytes_le=bytes.fromhex(uuid_))).upper()
        else:
            type_ = f"{int(type_[:2], 16):x}"
            uuid_ = f"0x{int.from_bytes(bytes.fromhex(uuid_[:8]), 'little'):08x}-{int(uuid_[8:10], 16):02x}"
        found[int(number)] = (int(start), int(sectors), type_, uuid_, name)
    assert len(found) == len(entries)
    return kind, remark, found


def expected(image):
    """The same as sfdisk sees it. Of an extended partition Linux shows the first two sectors."""
    seen = json.loads(tool("sfdisk", "--json", image))["partitiontable"]
    found = {}
    for entry in seen.get("partitions", []):
        number = int(entry["node"].removeprefix(str(image)))
        size, type_ = entry["size"], entry["type"]
        if seen["label"] == "dos":
            size = min(size, 2) if type_ in EXTENDED else size
            found[number] = (entry["start"], size, type_, f"{seen['id']}-{number:02x}", "")
        else:
            found[number] = (entry["start"], size, type_, entry["uuid"], entry.get("name", ""))
    return {"dos": "mbr", "gpt": "gpt"}[seen["label"]], found


def check(cli, image, remark=""):
    kind, said, found = table(cli, image)
    assert (kind, found) == expected(image)
    assert remark in said if remark else not said
    return found


# --- GPT ------------------------------------------------------------------------------------------

def gpt_script(rng):
    """A table with partitions anywhere, in any order, with names in several scripts."""
    starts = sorted(rng.sample(range(34, 100000), rng.randint(1, 40)))
    ends = starts[1:] + [130000]
    rows = []
    for number, (start, end) in zip(rng.sample(range(1, 129), len(starts)), zip(starts, ends)):
        name = "".join(rng.choices("abc äé€漢字𝄞", k=rng.randint(0, 9)))
        rows.append(f'disk{number} : start={start}, size={rng.randint(1, end - start)}, '
                    f'type={rng.choice("LSUH")}, name="{name.strip()}"')
    return "label: gpt\nfirst-lba: 34\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize("seed", range(8))
def test_gpt(cli, image, seed):
    make_disk(image, 64 * MIB)
    tool("sfdisk", "-q", image, script=gpt_script(random.Random(seed)))
    assert check(cli, image)


@pytest.mark.parametrize("first,length", [(512, 512), (512, 92), (1024, 16384), (1024, 1), (1024 + 127 * 128, 128)])
def test_gpt_damaged(cli, image, first, length):
    """The primary header or array is overwritten: everybody takes the backup."""
    make_disk(image, 64 * MIB)
    tool("sfdisk", "-q", image, script=gpt_script(random.Random(99)))
    before = check(cli, image)
    with open(image, "r+b") as file:
        file.seek(first)
        file.write(b"\xa5" * length)
    assert check(cli, image, remark="backup") == before


def test_gpt_backup_damaged(cli, image):
    make_disk(image, 64 * MIB)
    tool("sfdisk", "-q", image, script=gpt_script(random.Random(98)))
    before = check(cli, image)
    with open(image, "r+b") as file:
        file.seek(-20000, os.SEEK_END)
        file.write(bytes(20000))
    assert check(cli, image) == before


@pytest.mark.parametrize("entries", [4, 8, 56, 128, 132, 2048])
def test_sizes_of_the_gpt(cli, image, entries):
    make_disk(image, 64 * MIB)
    tool("sgdisk", "-S", entries, "-n", "1:8192:+1M", "-n", "4:0:+3M", "-c", "4:the fourth", image)
    found = check(cli, image)
    assert found[4][4] == "the fourth" and found[4][1] == 6144


def test_main_table_elsewhere(cli, image):
    make_disk(image, 64 * MIB)
    tool("sgdisk", "-j", 1000, "-n", "1:8192:+1M", "-n", "2:0:+3M", image)
    assert sorted(check(cli, image)) == [1, 2]


def test_grown_disk(cli, image):
    """The backup is where the disk's end was once."""
    make_disk(image, 32 * MIB)
    tool("sgdisk", "-n", "1:8192:+1M", image)
    os.truncate(image, 64 * MIB)
    assert sorted(check(cli, image)) == [1]


def test_hybrid_mbr(cli, image):
    """The GPT counts."""
    make_disk(image, 64 * MIB)
    tool("sgdisk", "-n", "1:8192:+1M", "-n", "2:0:+3M", "-n", "3:0:+3M", "-h", "1:2", image)
    kind, _, found = table(cli, image)
    assert kind == "gpt" and sorted(found) == [1, 2, 3]


def test_zapped(cli, image):
    make_disk(image, 64 * MIB)
    tool("sgdisk", "-n", "1:8192:+1M", image)
    tool("sgdisk", "-z", image)
    kind, remark, found = table(cli, image)
    assert (kind, found) == ("none", {}) and "no valid GPT" in remark
    tool("sgdisk", "-Z", image)
    assert table(cli, image) == ("none", "", {})


# --- MBR ------------------------------------------------------------------------------------------

def mbr_script(rng):
    """Up to three primary partitions, and mostly an extended one with logical ones."""
    rows, at = [], 2048
    extended = rng.randint(1, 4) if rng.random() < 0.8 else 0
    for number in range(1, 5):
        if number == extended:
            rows.append(f"disk{number} : start={at}, size=65536, type={rng.choice(EXTENDED)}")
            at += 65536
        elif rng.random() < 0.6:
            size = rng.randint(1, 4000)
            rows.append(f"disk{number} : start={at}, size={size}, type={rng.choice(['83', '82', '7', 'c', 'da'])}"
                        + rng.choice(["", ", bootable"]))
            at += size + rng.randint(0, 500)
    if not rows:
        return mbr_script(rng)
    text = f"label: dos\nlabel-id: 0x{rng.getrandbits(32):08x}\n" + "\n".join(rows) + "\n"
    if extended:
        base = int(re.search(rf"disk{extended} : start=(\d+)", text)[1])
        for number in range(5, 5 + rng.randint(0, 16)):
            size = rng.randint(1, 2000)
            text += f"disk{number} : start={base + rng.randint(1, 300)}, size={size}, type=83\n"
            base += size + 301
    return text


@pytest.mark.parametrize("seed", range(12))
def test_mbr(cli, image, seed):
    make_disk(image, 64 * MIB)
    tool("sfdisk", "-q", image, script=mbr_script(random.Random(seed)))
    assert check(cli, image)


def test_logical_partitions_deleted(cli, image):
    """Those behind a deleted one move up; the chain is no longer in order once one is put back."""
    make_disk(image, 64 * MIB)
    tool("sfdisk", "-q", image, script="label: dos\nsize=4M\ntype=5\nsize=2M\nsize=3M\nsize=4M\nsize=5M\n")
    before = check(cli, image)
    assert sorted(before) == [1, 2, 5, 6, 7, 8]
    tool("sfdisk", "-q", "--delete", image, 6)
    after = check(cli, image)
    assert [after[n][:2] for n in (6, 7)] == [before[n][:2] for n in (7, 8)]
    tool("sfdisk", "-q", "--append", image, script="size=1M\n")
    again = check(cli, image)
    assert again[8][0] < again[7][0]


def test_no_table(cli, image):
    make_disk(image, 4 * MIB)
    assert table(cli, image) == ("none", "", {})


@pytest.mark.skipif(not shutil.which("mkfs.fat", path=PATH), reason="mkfs.fat is not installed")
@pytest.mark.parametrize("bits", [12, 16, 32])
def test_a_file_system_is_no_table(cli, image, bits):
    make_disk(image, 64 * MIB)
    tool("mkfs.fat", "-F", bits, image)
    assert table(cli, image)[2] == {}


# --- larger blocks --------------------------------------------------------------------------------

def listing(image, block, *columns):
    """Rows of fdisk's list, by number."""
    text = tool("fdisk", "-b", block, "-l", "-o", "Device," + ",".join(columns), image)
    rows = re.findall(rf"^{re.escape(str(image))}(\d+) +(.*)$", text, re.M)
    return {int(number): row.split(None, len(columns) - 1) for number, row in rows}


@pytest.mark.parametrize("block", [1024, 2048, 4096])
def test_gpt_of_large_blocks(cli, image, block):
    make_disk(image, 64 * MIB)
    tool("fdisk", "-b", block, image,
         script="g\nn\n1\n\n+4M\nn\n7\n\n+8M\nn\n128\n\n\nx\nn\n7\nsieben €\nr\nw\n")
    kind, remark, found = table(cli, image, block)
    rows = listing(image, block, "Start", "Sectors", "Type-UUID", "UUID", "Name")
    assert (kind, remark, sorted(found)) == ("gpt", "", [1, 7, 128]) and sorted(rows) == [1, 7, 128]
    for number, (start, sectors, type_, uuid_, name) in found.items():
        row = rows[number] + [""] * (5 - len(rows[number]))
        assert row == [str(start * 512 // block), str(sectors * 512 // block), type_, uuid_, name]


@pytest.mark.parametrize("block", [1024, 2048, 4096])
def test_mbr_of_large_blocks(cli, image, block):
    make_disk(image, 64 * MIB)
    tool("fdisk", "-b", block, image,
         script="o\nn\np\n1\n\n+4M\nn\ne\n2\n\n\nn\n\n+2M\nn\n\n+3M\nn\n\n+4M\nw\n")
    kind, remark, found = table(cli, image, block)
    rows = listing(image, block, "Start", "Sectors", "Id")
    assert (kind, remark, sorted(found)) == ("mbr", "", [1, 2, 5, 6, 7]) and sorted(rows) == [1, 2, 5, 6, 7]
    for number, (start, sectors, type_, _, _) in found.items():
        size = "1" if number == 2 else rows[number][1]
        assert [str(start * 512 // block), str(sectors * 512 // block), type_] == [rows[number][0], size, rows[number][2]]

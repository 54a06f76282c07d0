# SPDX-License-Identifier: MIT
"""Disks: what programs read and write by /dev/vd* is what the image files hold, in every isolation class of the driver, and
while the driver is killed. QEMU's blklogwrites, which notes what reaches the device and in which order, judges fsync."""

import hashlib
import os
import re
import struct
from pathlib import Path

import pytest

from conftest import MachineConfig

MIB = 1 << 20
CLASSES = ["privileged", "lowered", "isolated"]
FOUR = MachineConfig(4)


def pattern(length: int, seed: int = 1) -> bytes:
    """Bytes that differ everywhere, the same for the same seed."""
    return b"".join(hashlib.sha256(struct.pack("<QQ", seed, i)).digest() for i in range(length // 32))


def drive(path: str, device: str = "", **options: str) -> list[str]:
    """QEMU's arguments for a disk with properties of its own."""
    identity = "drive-" + os.path.basename(path)
    settings = "".join(f",{key.replace('_', '-')}={value}" for key, value in options.items())
    return ["-drive", f"file={path},if=none,format=raw,id={identity}{settings}",
            "-device", f"virtio-blk-pci,drive={identity}{device}"]


@pytest.fixture(name="image")
def image_fixture(tmp_path: os.PathLike) -> str:
    """A disk image of 4 MiB of pattern."""
    path = tmp_path / "disk.img"
    path.write_bytes(pattern(4 * MIB))
    return str(path)


@pytest.mark.parametrize("isolation", CLASSES)
def test_reads_and_writes(boot, image, isolation):
    """By the page cache and past it, whole and in odd pieces; what fsync promised is in the file afterwards."""
    data = bytearray(pattern(4 * MIB))
    commands = [
        "blockdev --getsize64 /dev/vda; blockdev --getss /dev/vda; blockdev --getro /dev/vda",
        "md5sum </dev/vda",
        "dd if=/dev/vda iflag=direct bs=64k 2>/dev/null | md5sum",
        "dd if=/dev/vda iflag=direct bs=512 skip=77 count=3 2>/dev/null | md5sum",
        "dd if=/dev/vda bs=1 skip=1234567 count=4321 2>/dev/null | md5sum",
        # 5,000 odd bytes through the cache, 8 sectors past it, in the same page
        "head -c 5000 /dev/vda | dd of=/dev/vda bs=1 seek=100001 conv=notrunc,fsync 2>/dev/null",
        "dd if=/dev/vda of=/dev/vda iflag=direct oflag=direct bs=512 count=8 skip=4096 seek=200 conv=notrunc 2>/dev/null",
        "dd if=/dev/vda bs=4096 skip=24 count=3 2>/dev/null | md5sum",
        "dd if=/dev/vda bs=4096 skip=24 count=3 iflag=direct 2>/dev/null | md5sum",
        # the end: no byte behind it
        "dd if=/dev/zero of=/dev/vda bs=4096 seek=1023 count=2 conv=notrunc 2>&1 | grep -o 'No space left on device'",
        "dd if=/dev/vda bs=4096 skip=1024 2>/dev/null | wc -c",
        "dd if=/dev/vda iflag=direct bs=512 skip=1 2>/dev/null | wc -c",
        "mount -t proc p /proc 2>/dev/null; grep -c ' virtio_blk' /proc/interrupts",
    ]
    results = boot(commands, machine=MachineConfig(2), disks=[image], append=f"services={isolation}")
    data[100001:105001] = data[:5000]
    data[200 * 512:208 * 512] = data[4096 * 512:4104 * 512]
    data[1023 * 4096:] = bytes(4096)

    def md5(part: bytes) -> str:
        return hashlib.md5(part).hexdigest() + "  -\n"
    original = pattern(4 * MIB)
    assert results[0].text == f"{4 * MIB}\n512\n0\n"
    assert results[1].text == md5(original) == results[2].text
    assert results[3].text == md5(original[77 * 512:80 * 512])
    assert results[4].text == md5(original[1234567:1234567 + 4321])
    part = bytes(data[24 * 4096:27 * 4096])
    assert results[7].text == md5(part) == results[8].text
    assert results[9].text == "No space left on device\n"
    assert results[10].text == "0\n"
    assert results[11].text == f"{4 * MIB - 512}\n"
    assert int(results[12].text) >= 2, "one interrupt for each CPU's queue"
    with open(image, "rb") as file:
        assert file.read() == data


def test_kinds_of_disks(boot, tmp_path):
    """Several disks at once: blocks of 4 KiB, a serial number, one that cannot be written, one that is discarded."""
    paths = [str(tmp_path / f"{name}.img") for name in "abcd"]
    for n, path in enumerate(paths):
        with open(path, "wb") as file:
            file.write(pattern((n + 1) * MIB, n))
    arguments = (drive(paths[0], ",logical_block_size=4096,physical_block_size=4096") +
                 drive(paths[1], ",serial=SERIAL-0815") + drive(paths[2], readonly="on") +
                 drive(paths[3], discard="unmap", detect_zeroes="unmap"))
    before = os.stat(paths[3]).st_blocks
    results = boot([
        "for d in a b c d; do md5sum </dev/vd$d; blockdev --getsize64 /dev/vd$d; done",
        "blockdev --getss /dev/vda; cat /sys/block/vda/queue/physical_block_size",
        "/programs/direct_io /dev/vda 4096 && /programs/direct_io /dev/vdb 512",
        "dd if=/dev/vda iflag=direct bs=4096 count=1 2>/dev/null | md5sum",
        "blockdev --getro /dev/vdc; dd if=/dev/zero of=/dev/vdc count=1; echo $?",
        "blkdiscard -o 1048576 -l 2097152 /dev/vdd; echo $?; md5sum </dev/vdd",
        "blkdiscard /dev/vdc; echo $?",
        "cat /sys/block/vdb/serial",
    ], machine=MachineConfig(2), image="programs", qemu_args=arguments)
    sums = results[0].text.split("\n")
    for n in range(4):
        assert sums[2 * n].split()[0] == hashlib.md5(pattern((n + 1) * MIB, n)).hexdigest()
        assert sums[2 * n + 1] == str((n + 1) * MIB)
    assert results[1].text == "4096\n4096\n"
    assert (results[2].status, results[2].text) == (0, "")
    assert results[3].text.split()[0] == hashlib.md5(pattern(4096, 0)).hexdigest()
    assert results[4].text.startswith("1\n") and results[4].text.endswith("1\n")
    left = bytearray(pattern(4 * MIB, 3))
    left[MIB:3 * MIB] = bytes(2 * MIB)
    assert results[5].text == f"0\n{hashlib.md5(left).hexdigest()}  -\n"
    assert results[6].text.endswith("1\n")
    assert results[7].text == "SERIAL-0815"
    assert os.stat(paths[3]).st_blocks <= before - 2 * MIB // 512, "the host got the room back"


def log_entries(path: str) -> list[tuple[int, int, int, bytes]]:
    """What QEMU's blklogwrites noted: (sector, sectors, flags, data), as Linux's dm-log-writes writes it."""
    with open(path, "rb") as file:
        raw = file.read()
    magic, version, count, size = struct.unpack_from("<QQQI", raw)
    assert (magic, version) == (0x6a736677736872, 1)
    entries, at = [], size
    for _ in range(count):
        sector, sectors, flags, _ = struct.unpack_from("<QQQQ", raw, at)
        at += size
        data = b"" if flags & 4 else raw[at:at + sectors * size]
        at += len(data)
        entries.append((sector, sectors, flags, data))
    return entries


def fsync_kept_its_word(log: str, count: int) -> None:
    """Between the first write of a block and the first of the next one, which was made after fsync returned, the device must have
    been told to flush; and every block must have been written."""
    highest, flushed = 0, True
    for sector, _, flags, data in log_entries(log):
        if flags & 1:
            flushed = True
        if not data or flags & 4:
            continue
        number = struct.unpack_from("<Q", data)[0]
        assert sector == number * 8, "a block lies where it belongs"
        if number > highest:
            assert flushed, f"block {number} was written before block {highest} was flushed"
            assert number == highest + 1, "no block is left out"
            highest = number
        flushed = False
    assert highest == count


@pytest.mark.parametrize("isolation", CLASSES)
def test_fsync_reaches_the_device(boot, tmp_path, isolation):
    """fsync returns only when the device was told to flush, while the driver is killed all the time."""
    image, log = str(tmp_path / "disk.img"), str(tmp_path / "writes.log")
    for path in (image, log):
        with open(path, "wb") as file:
            file.truncate(8 * MIB if path == image else 0)
    arguments = ["-blockdev", f"driver=file,filename={image},node-name=image",
                 "-blockdev", f"driver=file,filename={log},node-name=log",
                 "-blockdev", "driver=blklogwrites,node-name=logged,file=image,log=log",
                 "-device", "virtio-blk-pci,drive=logged"]
    results = boot([
        "/programs/fsync_order /dev/vda 150 >/tmp/said 2>&1 & writer=$!; kills=0; "
        "while kill -0 $writer 2>/dev/null; do usleep 15000; echo kill virtio_blk 2>/dev/null >/proc/halyard/services && "
        "kills=$((kills + 1)); done; wait $writer; echo $?; cat /tmp/said; echo $kills; sync",
    ], machine=FOUR, image="programs", qemu_args=arguments, append=f"services={isolation}")
    status, said, kills = results[0].text.strip().split("\n")
    assert (status, said) == ("0", "150 blocks") and int(kills) >= 5
    fsync_kept_its_word(log, 150)


# ---- the device itself ----

def test_reaches_memory_only_while_it_is_driven(boot, image):
    """Bus mastering is on from the reset by the driver to the end of the driver's life, by its service's end of whatever kind."""
    command = ("f() { C=$(grep -l 0x1af4 /sys/bus/pci/devices/*/vendor); dd if=${C%vendor}config bs=1 skip=4 count=1 2>/dev/null | "
               "od -An -tx1; }; S=/proc/halyard/services; ")
    results = boot([command + "f; echo stop virtio_blk >$S; f; echo start virtio_blk >$S; f; echo kill virtio_blk >$S; "
                    "dd if=/dev/vda of=/dev/null count=1 2>/dev/null; f"], disks=[image])
    masters = [bool(int(value, 16) & 4) for value in results[0].text.split()]
    assert masters == [True, False, True, True]


# ---- random reads ----

def random_reads_image(path: Path, mib: int) -> str:
    """An image in which each page's first word is its number."""
    path.write_bytes(b"".join(number.to_bytes(8, "little") + bytes(4088) for number in range(mib * 256)))
    return str(path)


def test_random_reads(boot, tmp_path):
    """Every page that is read is the one that was asked for, in each class; what confining the driver costs is printed."""
    image = random_reads_image(tmp_path / "disk.img", 16)
    speeds = {}
    for isolation in CLASSES:
        result = boot(["/programs/random_reads /dev/vda 16 2000"], machine=FOUR, image="programs", disks=[image],
                      append=f"services={isolation}")[0]
        assert result.status == 0, result.text
        speeds[isolation] = {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", result.text, re.M)}
        assert len(speeds[isolation]) == 4
    for isolation in CLASSES:
        shares = (f"{name} {value / speeds['privileged'][name]:.2f}" for name, value in speeds[isolation].items())
        print(f"{isolation}, of the reads a second when privileged:", ", ".join(shares))


# ---- kills under load ----

def counts(text: str) -> dict[str, int]:
    """What may leak: pages by /proc/halyard/memory, objects by /proc/slabinfo, handles, connected interrupts."""
    found = {name: int(value) for name, value in re.findall(r"^(core|tables|services) (\d+)$", text, re.M)}
    row = re.search(r"^virtio_blk \S+ running \d+ (\d+) (\d+) .* (\d+)$", text, re.M)
    assert row, text
    found |= {"inside": int(row[1]), "handles": int(row[2]), "quarantined": int(row[3])}
    found["interrupts"] = len(re.findall(r"virtio_blk-\d", text))
    found["objects"] = sum(int(n) for n in re.findall(r"^kmalloc-\d+ +(\d+)", text, re.M))
    return found


# What may differ without a leak: stacks that this life has used, threads' stacks that are kept for the next thread.
SLACK = {"core": 64, "tables": 4, "services": 16, "objects": 16}
# In a fresh life.
COUNT = ("sync; echo kill virtio_blk >/proc/halyard/services; echo 3 >/proc/sys/vm/drop_caches; sleep 1; "
         "cat /proc/halyard/memory /proc/halyard/services /proc/interrupts /proc/slabinfo")


# A stray write of a privileged service ends the kernel: docs/containment.md.
@pytest.mark.parametrize("isolation,verbs,elevate", [
    ("privileged", "kill", "flat"), ("lowered", "kill", "flat"), ("lowered", "kill", "views"), ("lowered", "poke null", "flat"),
    ("isolated", "kill", "flat"), ("isolated", "kill", "views"), ("isolated", "poke null", "flat")])
def test_kills_under_load(boot, tmp_path, isolation, verbs, elevate):
    """Four threads write, read and sync while the driver ends at random moments; nothing is wrong, and nothing leaks.

    The figures of a long campaign (HALYARD_KILLS=500) are in docs/performance.md.
    """
    times = int(os.environ.get("HALYARD_KILLS", "30"))
    image = str(tmp_path / "disk.img")
    with open(image, "wb") as file:
        file.truncate(64 * MIB)

    def load(number: int, seed: int) -> str:
        return f"/programs/disk_load /dev/vda virtio_blk {number} {seed} '{verbs}'"
    results = boot([load(5, 1), COUNT, load(times, 2), COUNT, "md5sum </dev/vda"], machine=MachineConfig(4, elevate=elevate),
                   image="programs", disks=[image], append=f"services={isolation} service.virtio_blk.restarts=100000", timeout=120 + times)
    assert results[2].status == 0 and "every byte is right" in results[2].text, results[2].text
    before, after = counts(results[1].text), counts(results[3].text)
    for what, count in after.items():
        assert count <= before[what] + SLACK.get(what, 0), f"{what}: {before} {after}"
    with open(image, "rb") as file:
        assert results[4].text.split()[0] == hashlib.md5(file.read()).hexdigest()
    median = int(re.search(r"restart_us median (\d+)", results[2].text)[1])
    print(f"{isolation} {verbs} {elevate}: {results[2].text}")
    assert median < 50_000, "restarts take milliseconds; 5 are promised for a machine with nothing else to do"


def test_class_changes_under_load(boot, tmp_path):
    """The driver's class is changed while programs use its disk."""
    image = str(tmp_path / "disk.img")
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
    result = boot(["/programs/disk_load /dev/vda virtio_blk 24 3 isolated privileged lowered privileged"],
                  machine=FOUR, image="programs", disks=[image])[0]
    assert result.status == 0 and "every byte is right" in result.text, result.text


@pytest.mark.parametrize("cpus", [1, 4])
def test_load_without_kills(boot, tmp_path, cpus):
    """The same load while nothing ends: writes past the cache wait for those of the cache that are under way."""
    image = str(tmp_path / "disk.img")
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
    result = boot(["/programs/disk_load /dev/vda 4"], machine=MachineConfig(cpus), image="programs", disks=[image])[0]
    assert result.status == 0 and "every byte is right" in result.text, result.text


def test_more_than_memory(boot, tmp_path):
    """A disk larger than memory is read whole; what the cache holds makes room for files in memory."""
    image = str(tmp_path / "disk.img")
    with open(image, "wb") as file:
        file.truncate(300 * MIB)
    results = boot(["dd if=/dev/vda of=/dev/null bs=1M 2>&1 | tail -1; grep Buffers /proc/meminfo",
                    "dd if=/dev/zero of=/tmp/file bs=1M count=60 2>/dev/null; echo $?"], disks=[image], memory="160M")
    assert "300+0" in results[0].text
    assert int(re.search(r"Buffers: +(\d+) kB", results[0].text)[1]) > 60_000
    assert results[1].text == "0\n"

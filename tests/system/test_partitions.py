# SPDX-License-Identifier: MIT
"""Partitions of disks that sfdisk, fdisk and sgdisk made, as programs see them in /dev, /proc and /sys."""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import MachineConfig

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
MISSING = [tool for tool in ("sfdisk", "fdisk", "sgdisk", "mkfs.fat") if not shutil.which(tool, path=PATH)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}; tools/deps does it")

MIB = 1 << 20
SECTOR = 512
CLASSES = ["privileged", "lowered", "isolated"]
TWO = MachineConfig(2)
EXTENDED = ("5", "f", "85")


def tool(*command: object, script: str = "") -> str:
    """Runs a program of the host."""
    done = subprocess.run([str(word) for word in command], input=script, capture_output=True, text=True,
                          env=dict(os.environ, PATH=PATH, LC_ALL="C.UTF-8"), timeout=60, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Disk:
    """An image, and the partitions that its tools see: number → (start, size) in bytes."""
    path: Path
    block: int = SECTOR
    partitions: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Of the whole, in bytes."""
        return self.path.stat().st_size

    def digest(self, start: int, size: int) -> str:
        """Of a piece of the image."""
        with open(self.path, "rb") as file:
            file.seek(start)
            return hashlib.md5(file.read(size)).hexdigest()

    def look(self) -> "Disk":
        """Asks sfdisk, or fdisk for larger blocks, what partitions there are."""
        if self.block == SECTOR:
            table = json.loads(tool("sfdisk", "--json", self.path))["partitiontable"]
            rows = [(int(entry["node"].removeprefix(str(self.path))), entry["start"], entry["size"], entry["type"])
                    for entry in table["partitions"]]
        else:
            text = tool("fdisk", "-b", self.block, "-l", "-o", "Device,Start,Sectors,Type", self.path)
            found = re.findall(rf"^{re.escape(str(self.path))}(\d+) +(\d+) +(\d+) (.*)$", text, re.M)
            rows = [(int(number), int(start), int(size), "5" if kind == "Extended" else kind)
                    for number, start, size, kind in found]
        # Of an extended partition, Linux shows what a boot loader needs.
        self.partitions = {number: (start * self.block, max(2 * SECTOR, self.block) if kind in EXTENDED
                                    else size * self.block) for number, start, size, kind in rows}
        return self


def noise(path: Path, mib: int) -> Path:
    """An image of random bytes, with no table by accident."""
    data = bytearray(random.Random(path.name).randbytes(mib * MIB))
    data[:64 * 1024] = bytes(64 * 1024)
    data[-64 * 1024:] = bytes(64 * 1024)
    path.write_bytes(data)
    return path


GPT = "label: gpt\nfirst-lba: 34\nunit: sectors\n"
LOGICAL = ("label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=2047, type=83, bootable\n"
           "start=6144, size=8192, type=5\nstart=6200, size=1024, type=83\nstart=8000, size=999, type=82\n"
           "start=9216, size=4096, type=83\n")


@pytest.fixture(name="disks", scope="module")
def disks_fixture(tmp_path_factory: pytest.TempPathFactory) -> list[Disk]:
    """One of each kind; each has another size."""
    folder = tmp_path_factory.mktemp("disks")
    disks = [Disk(noise(folder / name, 8 + number)) for number, name in enumerate(
        ["gpt", "sgdisk", "logical", "damaged", "rubbish", "fat", "empty"])]
    gpt, made_by_sgdisk, logical, damaged, rubbish, fat, _ = disks
    tool("sfdisk", "-q", gpt.path, script=GPT + "start=34, size=1\nstart=2048, size=4096, name=Wurzel\nsize=+\n")
    tool("sgdisk", "-n", "2:4096:+1M", "-n", "15:0:+2M", "-n", "7:2048:4095", "-c", "15:last one", made_by_sgdisk.path)
    tool("sfdisk", "-q", logical.path, script=LOGICAL)
    tool("sfdisk", "-q", damaged.path, script=GPT + "start=3000, size=1001\nsize=5000\nsize=2048\n")
    with open(damaged.path, "r+b") as file: # the header and some of the array
        file.seek(SECTOR)
        file.write(b"\xaa" * 2000)
    for disk in disks[:4]:
        disk.look()
    data = bytearray(random.Random(1).randbytes(64 * 1024))
    data[446::16] = bytes(len(data[446::16])) # so that it could be a table
    data[510:512] = b"\x55\xaa"
    with open(rubbish.path, "r+b") as file:
        file.write(data)
    tool("mkfs.fat", fat.path)
    for name, script in (("gpt4k", "g\nn\n1\n\n+2M\nn\n3\n\n+3M\nw\n"),
                         ("mbr4k", "o\nn\np\n1\n\n+2M\nn\ne\n2\n\n\nn\n\n+1M\nn\n\n+1M\nw\n")):
        disk = Disk(noise(folder / name, 8 + len(disks)), 4096)
        tool("fdisk", "-b", 4096, disk.path, script=script)
        disks.append(disk.look())
    return disks


def qemu_arguments(disks: list[Disk]) -> list[str]:
    """The disks as virtio devices, the first one /dev/vda, with their blocks; nothing is written to them."""
    arguments = []
    for number, disk in enumerate(disks):
        arguments += ["-drive", f"file={disk.path},if=none,id=d{number},format=raw,snapshot=on", "-device",
                      f"virtio-blk-pci,drive=d{number},serial={disk.path.name},logical_block_size={disk.block},"
                      f"physical_block_size={disk.block}"]
    return arguments


def table_of(text: str) -> dict[str, int]:
    """/proc/partitions as name → blocks of 1 KiB."""
    return {name: int(blocks) for blocks, name in re.findall(r"^ +\d+ +\d+ +(\d+) (\w+)$", text, re.M)}


def expected_names(disks: list[Disk]) -> dict[str, tuple[Disk, int, int]]:
    """Name → (disk, start, size) of all devices that must exist."""
    names = {}
    for disk, letter in zip(disks, "abcdefghijklmnop"):
        names["vd" + letter] = (disk, 0, disk.size)
        names.update({f"vd{letter}{n}": (disk, *place) for n, place in disk.partitions.items()})
    return names


# /dev/NAME: its size, the sum of its bytes, and what sysfs says.
LOOK = """cd /sys/class/block; for d in *; do
    set -- $(md5sum /dev/$d); s=$d/start; [ -e $s ] || s=/dev/null
    p=$d/partition; [ -e $p ] || p=/dev/null; q=/sys/block/${d%%[0-9]*}/queue
    echo $d $(blockdev --getsize64 /dev/$d) $1 $(blockdev --getss /dev/$d) $(cat $d/size $d/ro $d/dev \
        $q/logical_block_size $q/physical_block_size $q/hw_sector_size $q/rotational $s $p)
done"""


@pytest.mark.parametrize("isolation", CLASSES)
def test_all_kinds_of_disks(boot, disks, isolation):
    """Names, numbers, sizes, places and contents."""
    names = expected_names(disks)
    assert len(names) == 9 + 3 + 3 + 5 + 3 + 2 + 4
    listing, look, files, numbers, serials, log = boot(
        [["cat", "/proc/partitions"], LOOK, "cd /dev; echo vd*; cd /sys/block; echo *", """cd /sys/dev/block; for d in *; do
         echo $d $(readlink $d) $(cat $d/dev); done""",
         "for d in /sys/block/*; do echo $(cat $d/serial); done", ["dmesg"]], machine=TWO,
        append=f"services={isolation}", qemu_args=qemu_arguments(disks))
    assert table_of(listing.text) == {name: size // 1024 for name, (_, _, size) in names.items()}
    seen = {line.split()[0]: line.split()[1:] for line in look.text.splitlines()}
    assert sorted(seen) == sorted(names)
    for name, (disk, start, size) in names.items():
        block, letter, number = str(disk.block), ord(name[2]) - ord("a"), name[3:]
        wanted = [str(size), disk.digest(start, size), block, str(size // SECTOR), "0",
                  f"254:{letter * 16 + int(number or 0)}", block, block, block, "0"]
        assert seen[name] == wanted + ([str(start // SECTOR), number] if number else []), name
    dev, block = files.text.split("\n")[:2]
    assert dev.split() == sorted(names) and block.split() == sorted(name for name in names if len(name) == 3)
    for line in numbers.text.splitlines():
        number, target, again = line.split()
        name = os.path.basename(target)
        assert number == again == seen[name][5]
        assert target == f"../../block/{name[:3]}/{name}".removesuffix(f"/{name[:3]}")
    assert len(numbers.text.splitlines()) == len(names)
    assert serials.text.splitlines() == [disk.path.name for disk in disks]
    assert "backup is used" in log.text, "the damaged GPT is not mentioned"


def test_diskstats(boot, disks):
    """What is read is counted once for the disk and once for its partition."""
    def row(name: str) -> str:
        return f"grep ' {name} ' /proc/diskstats"
    before, _, after, partition, other, same = boot([
        row("vda"), "dd if=/dev/vda2 of=/dev/null bs=4k 2>&1; dd if=/dev/zero of=/dev/vda2 bs=4k count=5 conv=fsync 2>&1",
        row("vda"), row("vda2"), row("vda1"), "cat /sys/block/vda/vda2/stat"],
        qemu_args=qemu_arguments(disks[:1]))
    size = disks[0].partitions[2][1] // SECTOR
    first, last, mine = ([int(n) for n in result.text.split()[3:]] for result in (before, after, partition))
    assert len(last) == 17
    assert last[2] - first[2] == mine[2] == size and last[6] - first[6] == mine[6] == 40
    assert 0 < mine[0] < size and 0 < mine[4] <= 5 and last[15] > first[15], "reads, writes, flushes"
    assert mine[8] == 0 and mine[9] <= mine[10] + 1 and last[9] >= mine[9], "in flight, busy, waited for"
    assert [int(n) for n in other.text.split()[3:]] == [0] * 17
    assert [int(n) for n in same.text.split()] == mine


# --- changing tables ------------------------------------------------------------------------------

SCAN = "blockdev --rereadpt /dev/vda; echo scan $?; cd /dev; echo vda*; echo $(sed 's/.* //' /proc/partitions)"


def test_new_tables(boot, tmp_path):
    """BLKRRPART finds what was written to the disk, even when it has not got there yet."""
    disk, tables = Disk(noise(tmp_path / "disk", 8)), Disk(noise(tmp_path / "tables", 8))
    tool("sfdisk", "-q", tables.path, script=LOGICAL)
    tables.look()
    tool("sfdisk", "-q", disk.path, script=GPT + "start=2048, size=4096\nsize=2048\n")
    copied, busy, gone, by_fdisk, left = boot([
        # The file is open all the time, so nothing but the ioctl writes.
        "exec 3<>/dev/vda; dd if=/dev/vdb bs=512 count=10240 of=/proc/self/fd/3 conv=notrunc 2>/dev/null; "
        f"{SCAN}; for n in '' 1 2 5 6 7; do md5sum /dev/vda$n; done",
        f"exec 4</dev/vda5; {SCAN}; exec 4<&-; {SCAN}",
        f"dd if=/dev/zero of=/dev/vda bs=512 count=1 2>/dev/null; {SCAN}; cat /dev/vda5; ls /sys/block/vda | grep vda",
        "printf 'o\\nn\\np\\n3\\n100\\n+1M\\nn\\np\\n1\\n5000\\n6000\\nw\\n' | fdisk /dev/vda >/dev/null; cd /dev; echo vda*; "
        "cat /sys/block/vda/vda1/start /sys/block/vda/vda3/size",
        ["cat", "/proc/partitions"]],
        qemu_args=qemu_arguments([disk, tables]))
    lines = copied.text.splitlines()
    assert lines[:3] == ["scan 0", "vda vda1 vda2 vda5 vda6 vda7",
                         "name vda vda1 vda2 vda5 vda6 vda7 vdb vdb1 vdb2 vdb5 vdb6 vdb7"]
    with open(tables.path, "rb") as file, open(disk.path, "rb") as under:
        data = file.read(10240 * SECTOR)
        under.seek(len(data))
        data += under.read()
    sums = [hashlib.md5(data).hexdigest()] + [hashlib.md5(data[start:start + size]).hexdigest()
                                              for _, (start, size) in sorted(tables.partitions.items())]
    assert [line.split()[0] for line in lines[3:]] == sums
    assert re.findall(r"^scan (\d)", busy.text, re.M) == ["1", "0"] and "busy" in busy.text
    assert "scan 0\nvda\nname vda vdb " in gone.text and gone.status == 1
    assert re.search("/dev/vda5'?: No such file", gone.text)
    assert by_fdisk.text == "vda vda1 vda3\n5000\n2048\n"
    assert table_of(left.text)["vda1"] == 500 and "vda2" not in left.text


def test_disk_and_partition_show_the_same(boot, tmp_path):
    """What was written to one of them is there when the other is opened."""
    disk = Disk(noise(tmp_path / "disk", 8))
    tool("sfdisk", "-q", disk.path, script=GPT + "start=2048, size=4096\n")
    result, = boot([
        "yes 1234567 | head -c 4096 >/tmp/x; md5sum /dev/vda1 >/dev/null; "
        "dd if=/tmp/x of=/dev/vda bs=512 seek=2048 conv=notrunc 2>/dev/null; head -c 4096 /dev/vda1 | cmp - /tmp/x && "
        "yes abcdefg | head -c 4096 >/tmp/y && dd if=/tmp/y of=/dev/vda1 bs=512 seek=8 2>/dev/null && "
        "dd if=/dev/vda bs=512 skip=2056 count=8 2>/dev/null | cmp - /tmp/y && echo same"],
        qemu_args=qemu_arguments([disk]))
    assert result.text == "same\n"


# --- what must not hurt ---------------------------------------------------------------------------

@pytest.mark.parametrize("isolation", CLASSES)
def test_parser_killed_while_it_scans(boot, tmp_path, isolation):
    """A scan works or fails, the disk stays, and in the end the partitions are there."""
    disk = Disk(noise(tmp_path / "disk", 8))
    tool("sfdisk", "-q", disk.path, script="label: dos\nstart=2048, size=100, type=83\nstart=3000, size=13000, type=5\n"
         + "".join(f"start={3100 + 200 * n}, size=101, type=83\n" for n in range(50)))
    disk.look()
    killed, table, services, log = boot(
        [["/programs/rescan", "/dev/vda", "partitions", "5"], ["cat", "/proc/partitions"],
         ["cat", "/proc/halyard/services"], ["dmesg"]], machine=MachineConfig(4), image="programs",
        append=f"service.partitions={isolation}", qemu_args=qemu_arguments([disk]))
    assert killed.status == 0, killed.text
    good, cut = map(int, re.search(r"^good (\d+) cut (\d+)", killed.text, re.M).groups())
    assert good >= 5
    assert cut >= 5 or isolation == "privileged", "it was never killed while it scanned"
    disk.partitions = {n: place for n, place in disk.partitions.items() if n < 16} # as many as there are minors
    assert table_of(table.text) == {name: size // 1024 for name, (_, _, size) in expected_names([disk]).items()}
    line = re.search(r"^partitions .*$", services.text, re.M)[0].split()
    assert line[9:11] == ["0", "0"] and int(line[11]) > 10, "refused, faults, restarts"
    assert "refused:" not in log.text


def test_tables_of_rubbish(boot, tmp_path):
    """Tables that lead anywhere, one after the other: no fault, and no partition beyond the disk."""
    rng = random.Random(7)
    disk, tables = Disk(noise(tmp_path / "disk", 4)), tmp_path / "tables"
    blocks = []
    for _ in range(64):
        table = bytearray(SECTOR)
        for entry in range(4):
            kind = rng.choice([5, 15, 0x83, 0x85, 0xee, 0])
            start, size = (rng.choice([0, 1, 7, 100, 8191, 8192, 1 << 31, 0xffffffff, rng.getrandbits(13)])
                           for _ in range(2))
            table[446 + 16 * entry:462 + 16 * entry] = bytes([rng.choice([0, 128]), 0, 0, 0, kind, 0, 0, 0]) + \
                start.to_bytes(4, "little") + size.to_bytes(4, "little")
        table[510:] = b"\x55\xaa"
        blocks.append(bytes(table))
    tables.write_bytes(b"".join(blocks))
    with open(disk.path, "r+b") as file: # any sector may be an extended record
        for at in range(0, 8192):
            file.seek(at * SECTOR)
            file.write(rng.choice(blocks))
    result, services = boot(["""
        for n in $(seq 0 63); do
            dd if=/dev/vdb of=/dev/vda bs=512 skip=$n count=1 2>/dev/null
            blockdev --rereadpt /dev/vda || exit 1
            for p in /sys/block/vda/vda*; do
                [ -e $p ] || continue
                [ $(($(cat $p/start) + $(cat $p/size))) -le 8192 ] || exit 2
                echo ${p##*/}
            done
        done""", ["cat", "/proc/halyard/services"]], qemu_args=qemu_arguments([disk, Disk(tables)]), timeout=200)
    assert result.status == 0, result.text
    assert len(set(result.text.split())) > 8, "nothing was found in them"
    line = re.search(r"^partitions .*$", services.text, re.M)[0].split()
    assert line[2] == "running" and line[9:12] == ["0", "0", "0"], "refused, faults, restarts"


# --- Debian's tools -------------------------------------------------------------------------------

def test_lsblk_and_sfdisk(boot, disks, tmp_path):
    """lsblk shows the tree, sfdisk makes one, and blkid and partx find their way through sysfs."""
    scratch = Disk(noise(tmp_path / "scratch", 4))
    names = expected_names([disks[0], disks[2], scratch])
    tree, topology, entry, made, after = boot([
        ["lsblk", "-b", "--json"], ["lsblk", "-b", "--json", "-o", "NAME,PKNAME,PHY-SEC,LOG-SEC,MODE,START", "/dev/vdb"],
        ["blkid", "-p", "-o", "export", "/dev/vda2"],
        "printf 'label: gpt\\nsize=1M, name=eins\\nsize=1M\\n' | sfdisk --quiet /dev/vdc && sfdisk --json /dev/vdc",
        ["lsblk", "-n", "-r", "-b", "-o", "NAME,SIZE", "/dev/vdc"]],
        image="disk-tools", qemu_args=qemu_arguments([disks[0], disks[2], scratch]))
    seen = json.loads(tree.text)["blockdevices"]
    assert [disk["name"] for disk in seen] == ["vda", "vdb", "vdc"]
    for device in seen + seen[0]["children"] + seen[1]["children"]:
        assert device["size"] == names[device["name"]][2]
        assert device["type"] == ("disk" if len(device["name"]) == 3 else "part")
    assert [part["name"] for disk in seen for part in disk.get("children", [])] == sorted(
        name for name in names if len(name) > 3)
    child = json.loads(topology.text)["blockdevices"][0]["children"][0]
    assert (child["pkname"], child["phy-sec"], child["log-sec"], child["start"]) == ("vdb", 512, 512, 2048)
    assert "PART_ENTRY_NAME=Wurzel" in entry.text and "PART_ENTRY_NUMBER=2" in entry.text
    assert made.status == 0, made.text
    parts = json.loads(made.text[made.text.index("{"):])["partitiontable"]["partitions"]
    assert [part["size"] for part in parts] == [2048, 2048] and parts[0]["name"] == "eins"
    assert after.text == f"vdc {scratch.size}\nvdc1 1048576\nvdc2 1048576\n"

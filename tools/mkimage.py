#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds what UEFI machines boot: a disk image (GPT with one EFI system partition) and an ISO.

Both hold the same FAT32 volume: our loader, its configuration, the kernel and the initramfs. Needs
mkfs.fat, mcopy and (for the ISO) xorriso, but no root. The same files always give the same bytes.
"""

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import uuid
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REMOVABLE_NAME = {"x86_64": "BOOTX64.EFI", "aarch64": "BOOTAA64.EFI"}
SECTOR = 512
MIB = 1 << 20
PARTITION_START = MIB // SECTOR
GPT_ENTRIES = 128
GPT_ENTRY_BYTES = 128
ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
# Names of things that need no secret: fixed, so that builds repeat.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "halyard.invalid")
VOLUME_ID = "48414c59"
TOOLS = {"mkfs.fat": "dosfstools", "mmd": "mtools", "mcopy": "mtools", "xorriso": "xorriso"}


class Failure(Exception):
    """Something the user must know; its text is the message."""


def run(*command: str) -> None:
    """Runs a tool quietly; its output is shown only when it fails."""
    # Debian keeps mkfs in /usr/sbin, which is not on every user's PATH.
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    tool = shutil.which(command[0], path=path)
    if not tool:
        raise Failure(f"{command[0]} is missing: install the package {TOOLS[command[0]]}")
    env = dict(os.environ, MTOOLS_SKIP_CHECK="1", MTOOLSRC="/dev/null", SOURCE_DATE_EPOCH="315532800",
               TZ="UTC")
    done = subprocess.run([tool, *command[1:]], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failure(f"{' '.join(command)} failed:\n{done.stdout}")


def fat_geometry(payload_bytes: int) -> tuple[int, int]:
    """(size of the volume in bytes, sectors a cluster) with room for files of so many bytes."""
    # FAT32 begins at 65,525 clusters: with the smallest clusters a volume of 34 MiB.
    cluster = 1 if payload_bytes < 256 * MIB else 8
    clusters = max(payload_bytes // (cluster * SECTOR) + 4096, 66000)
    size = clusters * (cluster * SECTOR + 8) + MIB  # two tables of 4 bytes a cluster, and reserved sectors
    return (size + MIB - 1) // MIB * MIB, cluster


def make_fat(path: str, files: dict[str, str]) -> None:
    """A FAT32 volume at `path` with `files`: path on the volume -> file on the host."""
    size, cluster = fat_geometry(sum(os.path.getsize(host) for host in files.values()))
    with open(path, "wb") as out:
        out.truncate(size)
    run("mkfs.fat", "-F", "32", "-s", str(cluster), "-S", str(SECTOR), "-i", VOLUME_ID, "-n",
        "HALYARD", "-h", str(PARTITION_START), "--invariant", path)
    folders: list[str] = []
    for name in files:
        parts = name.strip("/").split("/")[:-1]
        for i in range(len(parts)):
            folder = "::/" + "/".join(parts[:i + 1])
            if folder not in folders:
                folders.append(folder)
    run("mmd", "-i", path, *folders)
    for name, host in files.items():
        run("mcopy", "-i", path, host, "::" + name)


def copy_sparse(source, target, offset: int) -> None:
    """Copies a file into `target` at `offset`, leaving holes for zeros."""
    while chunk := source.read(256 * 1024):
        if chunk.count(0) != len(chunk):
            target.seek(offset)
            target.write(chunk)
        offset += len(chunk)


def gpt_header(at: int, other: int, entries_at: int, entries: bytes, last_lba: int) -> bytes:
    """A GPT header for sector `at`, whose twin is in sector `other` (UEFI 2.10, 5.3.2)."""
    first_usable = 2 + GPT_ENTRIES * GPT_ENTRY_BYTES // SECTOR
    last_usable = last_lba - first_usable + 1
    disk_guid = uuid.uuid5(NAMESPACE, "disk").bytes_le

    def pack(crc: int) -> bytes:
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, at, other,
                           first_usable, last_usable, disk_guid, entries_at, GPT_ENTRIES,
                           GPT_ENTRY_BYTES, zlib.crc32(entries))

    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")


def make_disk(path: str, fat: str) -> None:
    """A disk with a protective MBR, two GPTs and the volume `fat` as its only partition."""
    sectors = os.path.getsize(fat) // SECTOR
    last_lba = PARTITION_START + sectors + PARTITION_START - 1  # a MiB behind it for the backup
    entry = struct.pack("<16s16sQQQ72s", uuid.UUID(ESP_TYPE).bytes_le,
                        uuid.uuid5(NAMESPACE, "esp").bytes_le, PARTITION_START,
                        PARTITION_START + sectors - 1, 0, "EFI system".encode("utf-16-le"))
    entries = entry.ljust(GPT_ENTRIES * GPT_ENTRY_BYTES, b"\0")
    backup_entries_at = last_lba - len(entries) // SECTOR
    mbr_entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, last_lba)
    mbr = (bytes(446) + mbr_entry).ljust(510, b"\0") + b"\x55\xaa"
    with open(path, "wb") as out, open(fat, "rb") as volume:
        out.truncate((last_lba + 1) * SECTOR)
        out.write(mbr + gpt_header(1, last_lba, 2, entries, last_lba) + entries)
        copy_sparse(volume, out, PARTITION_START * SECTOR)
        out.seek(backup_entries_at * SECTOR)
        out.write(entries + gpt_header(last_lba, 1, backup_entries_at, entries, last_lba))


def make_iso(path: str, fat: str, folder: str) -> None:
    """An ISO whose El Torito boot image for EFI is the volume `fat`, as a partition of it, so that it
    also boots from a USB stick."""
    tree = os.path.join(folder, "iso")
    date = "1980010100000000"
    os.mkdir(tree)
    run("xorriso", "-as", "mkisofs", "-quiet", "-V", "HALYARD", "-o", path,
        f"--modification-date={date}", "--set_all_file_dates", date, "-partition_offset", "16",
        "-append_partition", "2", ESP_TYPE, fat, "-appended_part_as_gpt",
        "-e", "--interval:appended_partition_2:all::", "-no-emul-boot", tree)


def config_text(has_initrd: bool, cmdline: str) -> str:
    """The loader's /boot/halyard.conf."""
    if "\n" in cmdline or "\0" in cmdline or not cmdline.isascii():
        raise Failure("the command line must be one line of ASCII text")
    lines = ["# Read by Halyard's UEFI loader.", "kernel=/boot/halyard"]
    if has_initrd:
        lines.append("initrd=/boot/initrd")
    return "\n".join(lines + [f"cmdline={cmdline}", ""])


def build(args: argparse.Namespace) -> None:
    """Builds all that the arguments ask for."""
    if not os.path.exists(args.loader):
        raise Failure(f"{args.loader} is missing: `make image` builds it")
    # Beside the results: the volume may be larger than /tmp.
    with tempfile.TemporaryDirectory(prefix=".mkimage-", dir=os.path.dirname(
            os.path.abspath(args.output))) as folder:
        config = args.config
        if not config:
            config = os.path.join(folder, "halyard.conf")
            with open(config, "w", encoding="ascii") as out:
                out.write(config_text(args.initrd is not None, args.cmdline))
        files = {f"/EFI/BOOT/{REMOVABLE_NAME[args.arch]}": args.loader,
                 "/boot/halyard.conf": config, "/boot/halyard": args.kernel}
        if args.initrd:
            files["/boot/initrd"] = args.initrd
        fat = os.path.join(folder, "esp.fat")
        make_fat(fat, files)
        disk = os.path.join(folder, "disk")
        make_disk(disk, fat)
        if args.iso:
            iso = os.path.join(folder, "image.iso")
            make_iso(iso, fat, folder)
            os.replace(iso, args.iso)
        os.replace(disk, args.output)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True, help="the kernel's ELF file")
    parser.add_argument("--initrd", help="an initramfs, handed over as it is")
    parser.add_argument("--cmdline", default="", help="the kernel's command line")
    parser.add_argument("--config", help="a loader configuration instead of the one made from --cmdline")
    parser.add_argument("--arch", default="x86_64", choices=sorted(REMOVABLE_NAME))
    parser.add_argument("--loader", help="the UEFI loader (default: build/ARCH/boot/NAME.EFI)")
    parser.add_argument("-o", "--output", required=True, help="the disk image to write")
    parser.add_argument("--iso", help="an ISO to write as well")
    args = parser.parse_args()
    if not args.loader:
        args.loader = os.path.join(ROOT, "build", args.arch, "boot", REMOVABLE_NAME[args.arch])
    try:
        build(args)
    except (Failure, OSError) as error:
        print(f"mkimage: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

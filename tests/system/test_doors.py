# SPDX-License-Identifier: MIT
"""Whatever one boots it with: any initramfs that Linux takes works, and what cannot work is said in one sentence.

Boots as the README says, by `qemu -kernel`, so that each part of QEMU's command line can be varied.
"""

import gzip
import os
import re
import stat
import subprocess
from collections.abc import Callable

import pytest

from conftest import ARCH, CONSOLE, ROOT, MachineConfig, only_on, vm

import initrd as cpio

TIMEOUT_S = 30
SAYS_IT_ALL = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc
/bin/busybox mount -t proc proc /proc
echo args: $0 $*
echo "env: foo=$foo"
[ -e /second ] && echo "second: $(/bin/busybox cat /second)"
/bin/busybox stat -c 'hard: %h' /hard2
/bin/busybox cmp /hard1 /hard2 && echo hard links agree
/bin/busybox stat -c 'node: %F %t %T' /node
echo into null >/node
/bin/busybox readlink /link
echo "cpus: $(/bin/busybox grep -c ^processor /proc/cpuinfo)"
echo "MiB: $(( $(/bin/busybox sed -n 's/MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo) / 1024 ))"
[ -e /big ] && echo "big: $(/bin/busybox wc -c </big)"
/bin/busybox poweroff -f
"""


BOARD = vm.MACHINES[ARCH].board
BOARDS = {"x86_64": ["pc", "microvm", "q35,hpet=off", "q35,acpi=off", "q35,pit=off"],
          "aarch64": ["virt,gic-version=2", "virt,gic-version=3", "virt,gic-version=3,its=off", "virt,acpi=off", "virt,highmem=off",
                      "virt,virtualization=on", "virt,virtualization=on,gic-version=3"]}[ARCH]
MANY_CPUS = {"x86_64": BOARD, "aarch64": "virt,gic-version=3"}[ARCH] # GICv2 has eight at most
# QEMU itself gives up when kernel, archive and device tree do not fit in their places.
TOO_LITTLE = {"x86_64": ["5M", "8M", "16M", "24M"], "aarch64": ["8M", "16M", "24M"]}[ARCH]
FULL = {"x86_64": "64M", "aarch64": "72M"}[ARCH]
CPUS = {"x86_64": ["Skylake-Client", "EPYC", "max,-x2apic", "max,-avx", "max,-umip,-pcid,-pge,-xsaveopt,-rdrand,-rdseed"],
        "aarch64": ["cortex-a57", "cortex-a72", "neoverse-n1", "max,sve=off", "max,pauth=off"]}[ARCH]


def boot(kernel: str | None, image: bytes | str | None, tmp_path, append: str = "", cpu: str = "max",
         machine: str = BOARD, memory: str = "256M", cpus: int = 1, serial: tuple[str, ...] = ("stdio",),
         timeout: float = TIMEOUT_S) -> str:
    """All that the console shows until the machine is off."""
    command = [vm.MACHINES[ARCH].qemu, "-M", machine, "-nodefaults", "-cpu", cpu, "-accel", "tcg,thread=multi",
               "-m", memory, "-smp", str(cpus), "-display", "none", "-no-reboot",
               "-kernel", kernel or vm.Options(arch=ARCH).built_kernel("halyard"),
               "-append", f"console={CONSOLE} panic=-1 {append}".strip()]
    for port in serial:
        command += ["-serial", port]
    if isinstance(image, bytes):
        path = tmp_path / "initrd"
        path.write_bytes(image)
        image = str(path)
    if image is not None:
        command += ["-initrd", image]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode(errors="replace").replace("\r", "")


@pytest.fixture(name="door")
def door_fixture(kernel: str | None, tmp_path) -> Callable[..., str]:
    """door(image, append=..., ...) boots and returns the console's text."""
    return lambda image=None, *args, **options: boot(kernel, image, tmp_path, *args, **options)


@pytest.fixture(name="first", scope="module")
def first_fixture() -> bytes:
    """An archive with an /init that says what it finds, hard links, and a device node."""
    with open(vm.need(ARCH, os.path.join(ROOT, "build", ARCH, "busybox")), "rb") as file:
        busybox = file.read()
    hard = cpio.Entry(stat.S_IFREG | 0o644, b"same file\n")
    tree = {"bin/busybox": cpio.Entry(stat.S_IFREG | 0o755, busybox),
            "init": cpio.Entry(stat.S_IFREG | 0o755, SAYS_IT_ALL.encode()),
            "hard1": hard, "hard2": hard, "link": cpio.Entry(stat.S_IFLNK | 0o777, b"some/where"),
            "dev/console": cpio.Entry(stat.S_IFCHR | 0o600, device=(5, 1)),
            "node": cpio.Entry(stat.S_IFCHR | 0o666, device=(1, 3))}
    return cpio.archive(tree)


def complaint(text: str) -> str:
    """The one sentence of the panic."""
    said = re.findall(r"\] Kernel panic - not syncing: (.*)\n", text)
    assert len(said) == 1, text
    return said[0]


# --- what works ---

SECOND = cpio.overlay({"second": (0o644, b"came later\n")})
ARCHIVES = {
    "plain": lambda first: first + SECOND,
    "gzip": lambda first: gzip.compress(first + SECOND, 1),
    "plain+gzip": lambda first: first + gzip.compress(SECOND),
    "gzip+plain": lambda first: gzip.compress(first, 1) + SECOND,
    "gzip+gzip": lambda first: gzip.compress(first, 1) + gzip.compress(SECOND),
    "padded": lambda first: bytes(512) + first + bytes(-len(first) % 4096) + bytes(8192) + gzip.compress(SECOND) + bytes(4096),
    "gzip, padded": lambda first: gzip.compress(first, 1) + bytes(1024) + SECOND + bytes(3),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(door, first, name):
    text = door(ARCHIVES[name](first))
    assert "second: came later\n" in text, text
    assert "hard: 2\nhard links agree\nnode: character special file 1 3\nsome/where\n" in text, text


def test_big_archive(door, first):
    text = door(first + cpio.overlay({"big": (0o644, bytes(120 << 20))}), memory="512M")
    assert f"big: {120 << 20}\n" in text, text


@pytest.mark.parametrize("cpus", [1, 2, 4, 8, 32, 64])
def test_cpus(door, first, cpus):
    assert f"cpus: {cpus}\n" in door(first, cpus=cpus, memory="512M", machine=BOARD if cpus <= 8 else MANY_CPUS)


@pytest.mark.parametrize("memory", [48, 96, 2048, 4096, 8192])
def test_memory(door, first, memory):
    mib = int(re.search(r"^MiB: (\d+)$", door(first, memory=f"{memory}M"), re.M)[1])
    assert memory * 0.9 - 12 < mib <= memory


@pytest.mark.parametrize("machine", BOARDS)
def test_machines(door, first, machine):
    text = door(first, machine=machine)
    assert "args: /init\n" in text, text


@pytest.mark.parametrize("cpu", CPUS)
def test_cpu_models(door, first, cpu):
    assert "args: /init\n" in door(first, cpu=cpu)


def test_arguments_for_init(door, first):
    text = door(first, "quiet unknown foo=bar elevate=flat -- last console=x")
    assert "args: /init unknown last console=x\nenv: foo=bar\n" in text, text
    assert not re.search(r"^\[ +\d+\.\d+\] (?!.*power)", text, re.M), text


def test_rdinit_and_loglevel(door, first):
    assert "args: /other\n" in door(first + cpio.overlay({"other": (0o755, SAYS_IT_ALL.encode())}), "rdinit=/other loglevel=3")
    assert "args: /other\n" in door(first + cpio.overlay({"other": (0o755, SAYS_IT_ALL.encode())}), "rdinit=/none init=/other")


@pytest.mark.parametrize("append", ["console={},115200n8", "console=tty0 console={}", "console=nonsense console={}"])
def test_consoles(door, first, append):
    assert "args: /init\n" in door(first, append.format(CONSOLE))


def test_two_serial_ports_and_none(door, first):
    assert "args: /init\n" in door(first, serial=("stdio", "null"))
    assert door(first, serial=("none",)) == ""  # it ended, by power-off: nobody could hear more


# --- what cannot work ---

def test_no_initramfs(door):
    assert "the boot loader gave no initramfs" in complaint(door())


@pytest.mark.parametrize("damage,said", [
    (lambda first: first[:300000], "truncated"),
    (lambda first: gzip.compress(first)[:200000], "truncated"),
    (lambda first: b"not an archive", "neither a cpio archive nor gzip data"),
    (lambda first: bytes(4096), "No working init"),
    (lambda first: first[:40], "truncated"),
    (lambda first: gzip.compress(first)[:5], "truncated"),
    (lambda first: first[:110] + b"\xff" * 5000, "damaged"),
], ids=["truncated", "truncated gzip", "garbage", "zeroes", "stump", "stump of gzip", "overwritten"])
def test_damaged_initramfs(door, first, damage, said):
    assert said in complaint(door(damage(first)))


@pytest.mark.parametrize("mode,script,said", [
    (0o644, b"#!/bin/busybox sh\n", "EACCES"), (0o755, b"#!/no/such/interpreter\n", "ENOENT"), (0o755, b"\x7fELF", "ENOEXEC"),
    (0o755, b"", "ENOEXEC"), (0o755, b"#!/init\n", "ELOOP"),
], ids=["no right", "no interpreter", "stump of ELF", "empty", "loop"])
def test_init_that_cannot_run(door, first, mode, script, said):
    text = door(first + cpio.overlay({"init": (mode, script)}))
    assert said in complaint(text), text


def test_missing_init(door, first):
    assert complaint(door(first, "rdinit=/none init=/neither")).startswith("No working init: neither /none nor /neither")


def test_init_that_ends(door, first):
    assert "kill init" in complaint(door(first + cpio.overlay({"init": (0o755, b"#!/bin/busybox sh\nexit 3\n")})))


@pytest.mark.parametrize("memory", TOO_LITTLE)
def test_too_little_memory(door, memory):
    assert complaint(door(memory=memory)).startswith("Not enough memory")


def test_initramfs_too_big_for_memory(door, first):
    text = door(first + cpio.overlay({"big": (0o644, bytes(30 << 20))}), memory=FULL)
    assert "the root file system is full" in text or "out of memory" in text or "big: " in text, text


@only_on("x86_64", "every AArch64 CPU has what is needed")
@pytest.mark.parametrize("cpu,lacks", [
    ("max,-smap", "SMAP"), ("max,-smep", "SMEP"), ("max,-fsgsbase", "FSGSBASE"), ("qemu64", "XSAVE"), ("max,-syscall", "SYSCALL"),
    ("max,-apic", "a local APIC"), ("max,-tsc", "a TSC"), ("max,-fxsr", "FXSR"),
])
def test_missing_cpu_feature(door, cpu, lacks):
    assert complaint(door(cpu=cpu)).startswith(f"this CPU lacks {lacks}")


@only_on("x86_64", "QEMU hands no 64-bit image to a 32-bit CPU")
@pytest.mark.parametrize("cpu,said", [("qemu32", "no 64-bit mode"), ("max,-nx", "NX")])
def test_cpu_too_old_for_long_mode(kernel, tmp_path, cpu, said):
    with pytest.raises(subprocess.TimeoutExpired) as expired: # no way to power off, and nothing to do
        boot(kernel, None, tmp_path, cpu=cpu, timeout=1.5)
    assert re.fullmatch(rb"Halyard: this CPU .*%s.*\r\n" % said.encode(), expired.value.stdout.strip(b"\0").lstrip()), expired.value.stdout


@pytest.mark.parametrize("append,said", [
    ('foo="bar', "The command line has a quote without its partner"),
    ("elevate=sideways", "elevate=sideways is not one of views, flat, auto"),
    ("loglevel=much", "loglevel=much on the command line is not a number"),
])
def test_malformed_command_line(door, first, append, said):
    text = door(first, append)
    assert text.count(said) == 1 and "args: /init" in text, text


@pytest.mark.parametrize("append,image,said", [("rdinit=/none init=/neither", "initrd.cpio", "No working init")])
def test_complaint_through_uefi(console, append, image, said):
    text = console(f"panic=-1 {append}", machine=MachineConfig(1, "uefi"), image=image)
    assert said in text

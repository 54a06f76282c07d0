# SPDX-License-Identifier: MIT
"""The UEFI loader and the images: what it promises to a kernel, and what it says about bad files.

The probe kernel (boot/probe) judges the loader from the inside; here it is put into images, booted
by Debian's UEFI firmware for the CPU, and its report read.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import time

import pytest

from conftest import ARCH, ROOT, vm

BUILD = os.path.join(ROOT, "build", ARCH)
KERNEL = os.path.join(BUILD, "halyard")
INITRD = os.path.join(BUILD, "initrd.cpio")
PROBE = os.path.join(BUILD, "boot", "probe")
LOADER = os.path.join(BUILD, "boot", vm.MACHINES[ARCH].loader)
TIMEOUT_S = 60
CMDLINE = "console=ttyS0 probe=1 \"two words\" last"
# Board, the device by which the probe ends QEMU where the board cannot, framebuffers that the firmware
# knows, and an ELF machine of another CPU.
BOARD, DEBUG_EXIT, FRAMEBUFFERS, OTHER_CPU = {
    "x86_64": ("q35", ["-device", "isa-debug-exit,iobase=0xf4"], ["VGA", "bochs-display"], 183),
    "aarch64": ("virt", [], ["ramfb"], 62),
}[ARCH]
only_on_arm = pytest.mark.skipif(ARCH != "aarch64", reason="only AArch64 has this")
only_on_x86 = pytest.mark.skipif(ARCH != "x86_64", reason="only x86-64 has this")


def build_image(folder, *arguments: str, kernel: str = PROBE, iso: bool = False) -> str:
    """Runs mkimage.py; returns the disk image or the ISO."""
    disk, disc = str(folder / "disk.img"), str(folder / "disc.iso")
    command = [sys.executable, os.path.join(ROOT, "tools", "mkimage.py"), "--kernel", kernel,
               "--arch", ARCH, "--loader", vm.need(ARCH, LOADER), "-o", disk, *arguments]
    subprocess.run(command + (["--iso", disc] if iso else []), check=True, timeout=TIMEOUT_S)
    return disc if iso else disk


def boot(image: str, *options: str, until: str = "", board: str = BOARD) -> str:
    """Boots an image under the firmware and returns what came out of the serial port, without control
    sequences, until the guest ends QEMU or a line matches `until`."""
    media = ["-cdrom", image] if image.endswith(".iso") else ["-drive", f"format=raw,file={image}"]
    firmware = next(path for path in vm.FIRMWARE[ARCH].paths if os.path.exists(path))
    command = ["timeout", str(TIMEOUT_S), vm.MACHINES[ARCH].qemu, "-M", board, "-nodefaults", "-cpu",
               "max", "-display", "none", "-bios", firmware, "-serial", "stdio", "-no-reboot", "-m",
               "256", *DEBUG_EXIT, *options, *media]
    lines = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as qemu:
        for raw in qemu.stdout:
            line = re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", raw.decode(errors="replace")).strip()
            lines.append(line)
            if until and re.search(until, line):
                qemu.terminate()
                break
    return "\n".join(lines)


def judge(report: str) -> None:
    """Fails unless the probe ran to its end and all its checks held."""
    lines = report.splitlines()
    assert "probe: done" in lines, report
    assert sum(line.startswith("ok ") for line in lines) >= 40, report
    assert not [line for line in lines if line.startswith("FAIL")], report


def complaint(image: str) -> str:
    """What the loader says about a bad image; it must be one sentence."""
    report = boot(image, until="^Halyard loader: .*\\.$|probe: ")
    sentences = [line for line in report.splitlines() if line.startswith("Halyard loader:")]
    assert len(sentences) == 1 and sentences[0].endswith("."), report
    assert "probe: " not in report
    return sentences[0]


def probe_sum(data: bytes) -> int:
    """The probe's checksum of a module."""
    total = 0
    for byte in data:
        total = (total * 31 + byte) % (1 << 64)
    return total


@pytest.fixture(autouse=True)
def remove_images(tmp_path):
    """pytest keeps the folders of its last runs; tens of megabytes a test need not stay in them."""
    yield
    for pattern in ("*.img", "*.iso", "large"):
        for path in tmp_path.rglob(pattern):
            path.unlink()


@pytest.fixture(name="module")
def make_module(tmp_path):
    """An initramfs for the probe: bytes that no other file has, and not a whole number of pages."""
    path = tmp_path / "module"
    path.write_bytes(os.urandom(300_001))
    return path


@pytest.mark.parametrize("iso", [False, True], ids=["disk", "iso"])
def test_loader_keeps_the_protocol(tmp_path, module, iso):
    report = boot(build_image(tmp_path, "--initrd", str(module), "--cmdline", CMDLINE, iso=iso))
    judge(report)
    assert f"cmdline={CMDLINE}" in report.splitlines()
    assert f"module size={module.stat().st_size:#018x}" in report
    assert f"module sum={probe_sum(module.read_bytes()):#018x}" in report
    assert "framebuffer=none" in report
    assert "rsdp=none" not in report
    assert "dtb=none" in report
    assert abs(int(re.search("boot time=(0x[0-9a-f]+)", report)[1], 16) - time.time()) < 2 * TIMEOUT_S


@only_on_arm
def test_device_tree(tmp_path):
    """Firmware gives ACPI's tables or a device tree; the loader hands over what it gets."""
    report = boot(build_image(tmp_path), board="virt,acpi=off")
    judge(report)
    assert "rsdp=none" in report
    assert int(re.search("dtb size=(0x[0-9a-f]+)", report)[1], 16) > 1000


@only_on_arm
@pytest.mark.parametrize("gic", ["2", "3"])
def test_firmware_at_el2(tmp_path, gic):
    """The kernel is entered at EL1 all the same, and gets there what EL2 could keep: the registers of
    an interrupt controller that has some, and signed pointers."""
    report = boot(build_image(tmp_path), board=f"virt,virtualization=on,gic-version={gic}")
    judge(report)
    assert ("interrupt controller's registers" in report) == (gic == "3")
    if gic == "3":
        assert int(re.search("interrupt controller's registers=(0x[0-9a-f]+)", report)[1], 16) & 1
    assert int(re.search("signed pointer=(0x[0-9a-f]+)", report)[1], 16) not in (0, 0x1000)


@only_on_arm
@pytest.mark.parametrize("cpu", ["cortex-a57", "cortex-a72", "neoverse-n1"])
def test_older_cpus(tmp_path, cpu):
    judge(boot(build_image(tmp_path), "-cpu", cpu, board="virt,virtualization=on"))


def test_iso_boots_from_a_stick(tmp_path, module):
    iso = build_image(tmp_path, "--initrd", str(module), iso=True)
    stick = shutil.move(iso, tmp_path / "stick.img")
    judge(boot(str(stick)))


@pytest.mark.parametrize("device", FRAMEBUFFERS)
def test_framebuffer(tmp_path, device):
    report = boot(build_image(tmp_path), "-device", device)
    judge(report)
    assert "ok framebuffer keeps a pixel" in report


@pytest.mark.parametrize("cpu", ["max", pytest.param("max,pdpe1gb=off", marks=only_on_x86)])
def test_much_memory(tmp_path, cpu):
    report = boot(build_image(tmp_path), "-m", "6G", "-cpu", cpu, "-smp", "2")
    judge(report)
    assert int(re.search("usable=(0x[0-9a-f]+)", report)[1], 16) > 5 << 30


def test_no_module(tmp_path):
    report = boot(build_image(tmp_path))
    judge(report)
    assert "module size" not in report


def test_large_module(tmp_path):
    """Larger than the 32 MiB that an El Torito entry can express."""
    path = tmp_path / "large"
    with open(path, "wb") as out:
        out.truncate(70 << 20)
    report = boot(build_image(tmp_path, "--initrd", str(path), iso=True), "-m", "512")
    judge(report)
    assert f"module size={70 << 20:#018x}" in report


# ---- bad files: each is one readable sentence. The many ways in which a file can be malformed are
# ---- tried on the host (boot/host/loader_test.c); these show that the sentence reaches the console.

def probe_bytes() -> bytearray:
    """The probe kernel, to be spoiled."""
    with open(PROBE, "rb") as file:
        return bytearray(file.read())


def poke(data: bytearray, offset: int, layout: str, value: int) -> bytearray:
    """`data` with a little-endian field overwritten."""
    struct.pack_into("<" + layout, data, offset, value)
    return data


BAD_KERNELS = {
    "empty": (lambda d: b"", "is too short to be a kernel"),
    "cut short": (lambda d: d[:6000], "is damaged or cut short: a segment lies outside the file"),
    "other CPU": (lambda d: poke(d, 18, "H", OTHER_CPU), "is a program for another CPU"),
    "too large": (lambda d: poke(d, 64 + 2 * 56 + 40, "Q", 0x3f000000), "does not fit into memory"),
    "no requests": (lambda d: d.replace(struct.pack("<Q", 0x6a7b384944536bdc), bytes(8)),
                    "is no kernel for the Limine boot protocol, base revision 3"),
}


@pytest.mark.parametrize("name", BAD_KERNELS)
def test_bad_kernel(tmp_path, name):
    spoil, expected = BAD_KERNELS[name]
    kernel = tmp_path / "kernel"
    kernel.write_bytes(spoil(probe_bytes()))
    sentence = complaint(build_image(tmp_path, kernel=str(kernel)))
    assert sentence == f"Halyard loader: /boot/halyard {expected}."


BAD_CONFIGS = {
    "bad line": (b"# fine\n\nkernel\n", "line 3 of /boot/halyard.conf is not KEY=VALUE"),
    "kernel missing": (b"kernel=/boot/other\n", "/boot/other does not exist on the boot volume"),
    "initrd missing": (b"kernel=/boot/halyard\ninitrd=/boot/lost.cpio\n",
                       "/boot/lost.cpio does not exist on the boot volume"),
    "folder": (b"kernel=/boot\n", "/boot is a directory"),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_bad_config(tmp_path, name):
    text, expected = BAD_CONFIGS[name]
    config = tmp_path / "config"
    config.write_bytes(text)
    assert complaint(build_image(tmp_path, "--config", str(config))) == f"Halyard loader: {expected}."


def test_config_missing(tmp_path):
    """mkimage.py always writes one, so it is taken away afterwards."""
    image = build_image(tmp_path)
    subprocess.run(["mdel", "-i", f"{image}@@1M", "::/boot/halyard.conf"], check=True, timeout=60)
    assert complaint(image) == ("Halyard loader: /boot/halyard.conf does not exist on the boot "
                                "volume.")


def test_firmware_gets_the_machine_back(tmp_path):
    """After a complaint the loader returns, and the firmware goes on to its next boot option."""
    config = tmp_path / "config"
    config.write_bytes(b"")
    report = boot(build_image(tmp_path, "--config", str(config)), until="failed to start")
    assert "BdsDxe: failed to start" in report


def test_images_repeat(tmp_path, module):
    """The same files give the same bytes."""
    results = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        build_image(folder, "--initrd", str(module), iso=True)
        results.append([(folder / file).read_bytes() for file in ("disk.img", "disc.iso")])
    assert results[0] == results[1]


@pytest.mark.parametrize("image", ["esp.img", "halyard.iso"])
def test_kernel_boots(image):
    """What `make image` built brings up the kernel; its log says by which door it came."""
    report = boot(os.path.join(BUILD, image), "-snapshot", "-device", FRAMEBUFFERS[0],
                  until="entered by Limine")
    assert "entered by Limine" in report, report

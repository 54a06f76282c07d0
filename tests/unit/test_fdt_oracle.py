# SPDX-License-Identifier: MIT
"""Device trees: base/fdt.c against Debian's fdtget, on trees that dtc made and that QEMU gives its machines."""
import random
import shutil
import subprocess

import pytest

import base_driver

pytestmark = pytest.mark.skipif(not shutil.which("dtc") or not shutil.which("fdtget"),
                                reason="device-tree-compiler is not installed")

SOURCE = """
/dts-v1/;
/memreserve/ 0x10000000 0x4000;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    compatible = "one,two", "three";
    empty;
    odd = [01 02 03 04 05];
    memory@80000000 { device_type = "memory"; reg = <0 0x80000000 1 0>, <2 0 0 0x1000>; };
    soc {
        compatible = "simple-bus";
        #address-cells = <1>;
        #size-cells = <1>;
        ranges = <0 0 0xe0000000 0x100000>, <0x200000 8 0 0x1000>;
        label: serial@1000 { reg = <0x1000 0x100>; status = "disabled"; };
        inner@8000 {
            compatible = "simple-bus";
            #address-cells = <1>;
            #size-cells = <1>;
            ranges = <0x10 0x8010 0x90>;
            dev@20 { reg = <0x20 4 0x200 4>; };
        };
        far@200800 { reg = <0x200800 0x10>; ref = <&label>; };
        same { #address-cells = <1>; #size-cells = <1>; ranges; dev@40 { reg = <0x40 8>; }; };
        apart { #address-cells = <1>; #size-cells = <0>; chip@9 { reg = <9>; }; };
    };
};
"""
# What of its `reg`s the CPU sees; by hand, from the text above.
SOURCE_REGS = """\
/memory@80000000 80000000 100000000
/memory@80000000 200000000 1000
/soc/serial@1000 e0001000 100
/soc/inner@8000/dev@20 e0008020 4
/soc/far@200800 800000800 10
/soc/same/dev@40 e0000040 8
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    return base_driver.build(tmp_path_factory.mktemp("fdt"), "fdt_cli", "fdt", "fdt_machine", "string", "fmt", "errno")


def compiled(path, source):
    path.with_suffix(".dts").write_text(source)
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", path, path.with_suffix(".dts")], check=True)
    return path


def dumped(path, machine, *args):
    subprocess.run(["qemu-system-aarch64", "-machine", f"{machine},dumpdtb={path}", "-display", "none", *args],
                   check=True, timeout=60, capture_output=True)
    return path


def fdtget(path, *args):
    return subprocess.run(["fdtget", *args[:-1], path, *args[-1]], check=True, capture_output=True,
                          text=True).stdout.splitlines()


def expected_props(path):
    """Every property as fdtget reads it: {(node, property): bytes}."""
    pairs, todo = [], ["/"]
    while todo:
        node = todo.pop()
        pairs += [(node, name) for name in fdtget(path, "-p", [node])]
        todo += [node.rstrip("/") + "/" + child for child in fdtget(path, "-l", [node])]
    flat = [word for pair in pairs for word in pair]
    values = fdtget(path, "-t", "bx", flat)
    assert len(values) == len(pairs)
    return {pair: bytes(int(b, 16) for b in value.split()) for pair, value in zip(pairs, values)}


def our_props(cli, path):
    status, out, err = base_driver.run(cli, "props", stdin=path.read_bytes())
    assert status == 0, err
    found = {}
    for line in out.decode().splitlines():
        node, name, *value = line.split(" ")
        found[node or "/", name] = bytes(int(b, 16) for b in value)
    return found


def test_tree_of_dtc(cli, tmp_path):
    tree = compiled(tmp_path / "tree.dtb", SOURCE)
    assert our_props(cli, tree) == expected_props(tree)
    assert base_driver.run(cli, "regs", stdin=tree.read_bytes())[1].decode() == SOURCE_REGS


needs_qemu = pytest.mark.skipif(not shutil.which("qemu-system-aarch64"), reason="qemu-system-aarch64 is not installed")


@needs_qemu
@pytest.mark.parametrize("machine", ["virt,gic-version=2", "virt,gic-version=3", "virt,gic-version=3,virtualization=on",
                                     "virt,secure=on"])
def test_tree_of_qemu(cli, tmp_path, machine):
    tree = dumped(tmp_path / "qemu.dtb", machine, "-smp", "4", "-m", "512", "-cpu", "cortex-a72")
    ours = our_props(cli, tree)
    assert len(ours) > 100
    assert ours == expected_props(tree)
    regs = base_driver.run(cli, "regs", stdin=tree.read_bytes())[1].decode().splitlines()
    assert "/memory@40000000 40000000 20000000" in regs
    assert "/pl011@9000000 9000000 1000" in regs


# What QEMU's documentation and sources (hw/arm/virt.c) say of the machine.
VIRT = """\
timer 27 level
cpu 0
cpu 1
cpu 2
gicd 8000000 10000
{controller}\
console 9000000 1000
irq 33 clock 24000000
rtc 9010000 1000
pci 0 0 ff
ecam 4010000000 10000000
window 0 3eff0000 10000 io
window 10000000 10000000 2eff0000
window 8000000000 8000000000 8000000000 wide
{messages}"""
V2 = {"controller": "gicc 8010000 10000\nv2m 8020000 1000\n", "messages": "msi 0 10000 0 its 8\n"}  # none of the eight that there may be
V3 = {"controller": "gicc 0 0\ngicr 80a0000 f60000\nits 8080000 20000\n", "messages": "msi 0 10000 0 its 0\n"}


@needs_qemu
@pytest.mark.parametrize("machine, head, parts", [
    ("virt,gic-version=2", "gic 2\npsci hvc\n", V2),
    ("virt,gic-version=3", "gic 3\npsci hvc\n", V3),
    ("virt,gic-version=3,virtualization=on", "gic 3\npsci smc\n", V3),
])
def test_machine_of_qemu(cli, tmp_path, machine, head, parts):
    tree = dumped(tmp_path / "qemu.dtb", machine, "-smp", "3", "-m", "512", "-cpu", "cortex-a72")
    status, out, err = base_driver.run(cli, "machine", stdin=tree.read_bytes())
    assert status == 0, err
    assert out.decode() == head + VIRT.format(**parts)


@needs_qemu
def test_damaged_machine(cli, tmp_path):
    """What is left of a machine whose tree was damaged in its values; the sanitizers watch."""
    good = dumped(tmp_path / "qemu.dtb", "virt,gic-version=3", "-smp", "2", "-cpu", "cortex-a72").read_bytes()
    end = int.from_bytes(good[8:12], "big") + int.from_bytes(good[36:40], "big")
    rng = random.Random(2)
    read = 0
    for _ in range(150):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 12)):
            bad[rng.randrange(64, end)] = rng.choice([0, 1, 0xff, rng.randrange(256)])
        status, _, err = base_driver.run(cli, "machine", stdin=bytes(bad))
        assert status in (0, 1) and "Sanitizer" not in err, err
        read += not status
    assert read > 10


def test_damage(cli, tmp_path):
    """What is damaged is refused in words or read as what it then says; the sanitizers watch."""
    good = compiled(tmp_path / "tree.dtb", SOURCE).read_bytes()
    rng = random.Random(1)
    refused = 0
    for round_ in range(150):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(len(bad))] = rng.choice([0, 1, 0xff, rng.randrange(256)])
        if round_ % 3 == 0:
            del bad[rng.randrange(len(bad)):]
        status, _, err = base_driver.run(cli, "props", stdin=bytes(bad))
        assert status in (0, 1), err
        assert status == 0 or "Sanitizer" not in err, err
        refused += status
    assert refused > 50

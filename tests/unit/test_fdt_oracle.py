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
    return base_driver.build(tmp_path_factory.mktemp("fdt"), "fdt_cli", "fdt", "string")


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

# SPDX-License-Identifier: MIT
"""The tools' parts that need neither QEMU nor packages."""

import os
import stat
import subprocess
import sys

import pytest

import check
import initrd
import ksyms
import vm

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KERNEL_LIKE = ["clang-19", "--target=x86_64-unknown-none-elf", "-mcmodel=kernel", "-ffreestanding",
               "-c", "-x"]


# --- vm.py ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_scanner_finds_marks_however_they_are_cut(size):
    scanner = vm.Scanner("vm-12")
    line = b"boot vm-1\r\nvm-12 start 0\nvm-1vm-vm-12 exit 0 7\r\nrest vm-"
    text, marks = b"", []
    for at in range(0, len(line), size):
        for kind, data in scanner.feed(line[at:at + size]):
            if kind == "text":
                text += data
            else:
                marks.append((data, text))
    assert marks == [(b"start 0", b"boot vm-1\r\n"), (b"exit 0 7", b"boot vm-1\r\nvm-1vm-")]
    assert text + scanner.pending == b"boot vm-1\r\nvm-1vm-rest vm-"


def test_scanner_holds_back_only_what_may_be_a_mark():
    scanner = vm.Scanner("vm-12")
    assert list(scanner.feed(b"prompt$ ")) == [("text", b"prompt$ ")]
    assert list(scanner.feed(b"vm-")) == []
    assert list(scanner.feed(b"x")) == [("text", b"vm-x")]


def test_escape_keys():
    escape = vm.Escape()
    assert escape.filter(b"a\x01\x01b") == b"a\x01b"
    assert escape.filter(b"\x01") == b"" and not escape.quit
    assert escape.filter(b"xc") == b"" and escape.quit


@pytest.mark.parametrize("text,found", [(b"[ 1.0] Kernel panic - not syncing", True),
                                        (b"KERNEL PANIC: no init", True), (b"no Panic", False)])
def test_panic_words(text, found):
    assert bool(vm.PANIC.search(text)) == found


@pytest.mark.parametrize("command,output", [
    (["printf", "%s|", "a b", "", "it's", "$HOME"], b"a b||it's|$HOME|"),
    ("echo $((1 + 2)) 'x  y'", b"3 x  y\n"), ("cat", b"")])
def test_command_script_in_a_shell(command, output):
    done = subprocess.run(["sh", "-c", vm.command_script(command)], input=b"not for it",
                          stdout=subprocess.PIPE, check=True)
    assert done.stdout == output


# --- initrd.py --------------------------------------------------------------------------------------

def parse_newc(data):
    """name → (mode, uid, links, inode, data), by the format's description."""
    found, at = {}, 0
    while True:
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        assert data[at:at + 6] == b"070701"
        name = data[at + 110:at + 110 + fields[11] - 1].decode()
        body = (at + 110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], fields[2], fields[4], fields[0], data[body:body + fields[6]])
        at = (body + fields[6] + 3) & ~3


def test_archive_has_parents_links_and_nodes():
    shared = initrd.Entry(stat.S_IFREG | 0o755, b"program")
    tree = {"usr/bin/b": shared, "usr/bin/a": shared, "dev/null": initrd.Entry(
        stat.S_IFCHR | 0o666, device=(1, 3)), "home/u": initrd.Entry(stat.S_IFDIR | 0o700, uid=1000)}
    data = initrd.archive(tree)
    found = parse_newc(data)
    assert list(found) == ["dev", "dev/null", "home", "home/u", "usr", "usr/bin", "usr/bin/a",
                           "usr/bin/b"]
    first, last = found["usr/bin/a"], found["usr/bin/b"]
    assert first[2] == last[2] == 2 and first[3] == last[3]
    assert (first[4], last[4]) == (b"", b"program")
    assert found["home/u"][:2] == (stat.S_IFDIR | 0o700, 1000)
    assert data == initrd.archive(dict(reversed(tree.items()))) and len(data) % 512 == 0


@pytest.mark.parametrize("path,merged", [("./bin/sh", "usr/bin/sh"), ("lib64/ld.so", "usr/lib64/ld.so"),
                                         ("usr/sbin/x", "usr/bin/x"), ("/etc/passwd", "etc/passwd"),
                                         ("sbin", "usr/bin"), ("library/x", "library/x")])
def test_merged_usr(path, merged):
    assert initrd.merge_usr(path) == merged


def test_elf_needs_of_a_host_program():
    with open(os.path.realpath(sys.executable), "rb") as file:
        needed, interpreter = initrd.elf_needs(file.read())
    assert any(name.startswith("libc.so") for name in needed)
    assert interpreter and os.path.exists(interpreter)
    assert initrd.elf_needs(b"#!/bin/sh\n") == ([], None)


def test_applets_are_links_to_one_busybox():
    busybox = initrd.Entry(stat.S_IFREG | 0o755, b"\x7fELF...\0[\0[[\0cat\0ls\0sh\0Usage: none\0")
    tree = {"usr/bin/busybox": busybox, "usr/bin/ls": initrd.Entry(stat.S_IFREG, b"another ls")}
    initrd.add_applets(tree)
    assert sorted(tree) == [f"usr/bin/{name}" for name in ("[", "[[", "busybox", "cat", "ls", "sh")]
    assert tree["usr/bin/sh"] is busybox and tree["usr/bin/ls"].data == b"another ls"


# --- ksyms.py ---------------------------------------------------------------------------------------

def test_ksyms_of_a_linked_program(tmp_path):
    source = ("static void inner(void) {} void (*volatile p)(void) = inner;"
              "void _start(void); void _start(void) { p(); }")
    linked = str(tmp_path / "kernel")
    subprocess.run([*KERNEL_LIKE, "c", "-", "-o", linked + ".o"], input=source.encode(), check=True)
    subprocess.run(["ld.lld-19", "-Ttext=0xffffffff80001000", linked + ".o", "-o", linked], check=True)
    symbols, end = ksyms.functions(linked)
    assert [name for _, name in symbols] == ["inner", "_start"] and symbols[0][0] == 0xffffffff80001000
    assert symbols[1][0] < end < symbols[1][0] + 64
    table = str(tmp_path / "table.o")
    subprocess.run([*KERNEL_LIKE, "assembler", "-", "-o", table],
                   input=ksyms.assembly(symbols, end).encode(), check=True)
    done = subprocess.run(["llvm-objcopy-19", "--dump-section", f".ksyms={tmp_path}/raw", table],
                          check=False)
    raw = (tmp_path / "raw").read_bytes()
    assert done.returncode == 0 and raw[:8] == symbols[0][0].to_bytes(8, "little")
    assert raw.endswith(b"inner\0_start\0")


# --- check.py ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("path,kind,target", [
    ("core/mm/a.c", '"', "core/page.h"), ("core/mm/a.c", '"', "core/mm/a_priv.h"),
    ("core/a.c", '"', "core/mm/inside.h"), ("core/a.c", '"', "base/list.h"), ("linux/a.c", '"', "core/page.h"),
    ("linux/fs/a.c", '"', "abi/linux/stat.h"), ("core/a.c", "<", "arch/cpu.h"), ("core/a.c", "<", "stddef.h"),
    ("core/arch/x86_64/a.c", '"', "core/arch/x86_64/apic.h"), ("user/a.c", "<", "unistd.h"),
    ("base/host/main.c", "<", "stdio.h"), ("services/a.c", '"', "abi/gate/block.h"),
    ("tests/programs/a.c", "<", "stdio.h"), ("boot/a.c", '"', "abi/limine.h")])
def test_allowed_includes(path, kind, target):
    assert check.include_fault(path, kind, target) is None


@pytest.mark.parametrize("path,kind,target", [
    ("core/a.c", '"', "linux/fs.h"), ("core/a.c", '"', "page.h"), ("core/a.c", '"', "other/page.h"),
    ("core/a.c", '"', "core/mm/a_priv.h"), ("linux/a.c", '"', "core/mm/inside.h"), ("base/a.c", '"', "abi/x.h"),
    ("abi/a.h", '"', "base/list.h"), ("core/a.c", "<", "stdio.h"), ("core/a.c", "<", "linux_arch/x.h"),
    ("core/a.c", '"', "core/arch/x86_64/apic.h"), ("linux/a.c", '"', "services/ext4.h"),
    ("services/a.c", '"', "core/page.h"), ("user/a.c", '"', "base/list.h"), ("boot/a.c", '"', "core/page.h")])
def test_refused_includes(path, kind, target):
    assert check.include_fault(path, kind, target)


@pytest.mark.parametrize("text,rule", [
    ("int a;\n", "spdx"), ("// {spdx}\n#ifdef __x86_64__\n", "arch"),
    ("// {spdx}\n#if defined(X) && defined(__aarch64__)\n", "arch"),
    ('// {spdx}\nvoid f(void) {{ asm volatile ("cli"); }}\n', "arch"),
    ('// {spdx}\n#include "linux/fs.h"\n', "include"),
    ('// {spdx}\nvoid f(void) {{ asm volatile("" ::: "memory"); }}\n', None),
    ('// {spdx}\n#include "base/list.h"\n', None)])
def test_rules_for_lines(tmp_path, monkeypatch, text, rule):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check, "complaints", [])
    os.mkdir("core")
    with open("core/a.c", "w", encoding="utf-8") as file:
        file.write(text.format(spdx=check.SPDX))
    check.check_text("core/a.c")
    assert [line.split(":")[0] for line in check.complaints] == ([rule] if rule else [])

# SPDX-License-Identifier: MIT
"""The UEFI loader's parsers on the host under ASan and UBSan: boot/host/loader_test.c."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROBE = os.path.join(ROOT, "build", "x86_64", "boot", "probe")
SOURCES = ["boot/host/loader_test.c", "boot/elf.c", "boot/config.c", "boot/memmap.c", "boot/answer.c",
           "base/string.c"]


def test_loader_parsers(tmp_path):
    subprocess.run(["make", "ARCH=x86_64", PROBE.removeprefix(ROOT + "/")], cwd=ROOT, check=True, timeout=60)
    program = str(tmp_path / "loader_test")
    subprocess.run(["clang-19", "-D_GNU_SOURCE", "-std=c23", "-g", "-O1", "-I.", "-Wall", "-Wextra",
                    "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
                    *SOURCES, "-o", program], cwd=ROOT, check=True, timeout=60)
    done = subprocess.run([program, PROBE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "all passed" in done.stdout

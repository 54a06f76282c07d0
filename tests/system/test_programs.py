# SPDX-License-Identifier: MIT
"""The programs of tests/programs: each checks a part of the Linux ABI from the inside and says so by its exit status.

They pass on Linux too (`pytest --kernel vmlinuz`); those in arch/ and privilege/ use Halyard's own calls and are not among them.
"""

import glob
import os

import pytest

from conftest import ROOT, Batch, MachineConfig

MACHINES = [MachineConfig(1), MachineConfig(4), MachineConfig(2, elevate="views")]
NAMES = sorted(os.path.basename(path)[:-2] for path in glob.glob(os.path.join(ROOT, "tests/programs/*.c")))

batch = Batch("programs", machines=MACHINES, timeout=300)


def make_test(name: str):
    """One test function a program."""
    @batch.command([f"/programs/{name}"])
    def test(result):
        assert result.status == 0, result.text
        assert "FAIL" not in result.text
    return test


for program in NAMES:
    globals()[f"test_{program}"] = make_test(program)


def test_there_are_programs():
    if not NAMES:
        pytest.fail("tests/programs is empty")

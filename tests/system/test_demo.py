# SPDX-License-Identifier: MIT
"""`make demo` shows what it says."""

import os
import subprocess
import sys

from conftest import ROOT


def test_demo(kernel):
    """The copy survives the lowered driver's stray write, and the privileged one's ends the kernel."""
    command = [sys.executable, os.path.join(ROOT, "tools", "demo.py"), "--size", "8"]
    result = subprocess.run(command + (["--kernel", kernel] if kernel else []), capture_output=True, text=True, check=False)
    text = result.stdout
    assert result.returncode == 0, text + result.stderr
    first, second = text.split("2. The same driver")
    assert "service virtio_blk (lowered): page fault, write of" in first and "core: page tables" in first
    assert "service_poke" in first and "--- gate service.poke into virtio_blk ---" in first
    assert "seen from outside: the same" in first and "restarts of the driver: 1" in first
    assert "Kernel panic" in second

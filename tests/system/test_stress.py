# SPDX-License-Identifier: MIT
"""A minute of everything at once on four CPUs, with the lock checker on, and all memory given back."""

import re

from conftest import Batch, MachineConfig

SECONDS = 60

batch = Batch("programs", machines=[MachineConfig(4)], timeout=240)


@batch.command(f"""
count() {{ sleep 2; cat /proc/halyard/memory | grep -E '^(free|programs|tables) '; }}
/programs/stress 5 12 1 >/dev/null
count
/programs/stress {SECONDS} 12 42
echo "status $?"
count
""")
def test_stress_and_leaks(result):
    assert "status 0" in result.text, result.text
    counts = dict(re.findall(r"^(\w+) (\d+)$", result.text, re.M))
    for name in ("fork", "exec", "mmap", "signals", "pipe", "threads", "exit_with_threads", "files"):
        assert int(counts[name]) > 0, name
    # The first run has filled the caches; what it left is what the second one may leave.
    for kind, slack in (("programs", 64), ("tables", 64), ("free", 512)):
        before, after = (int(pages) for pages in re.findall(rf"^{kind} (\d+)$", result.text, re.M))
        gone = before - after if kind == "free" else after - before
        assert gone <= slack, f"{gone} pages of {kind} are gone"

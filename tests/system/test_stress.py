# SPDX-License-Identifier: MIT
"""A minute of everything at once on four CPUs, with the lock checker on, and all memory given back."""

import re

from conftest import Batch, MachineConfig

SECONDS = 60

batch = Batch("programs", machines=[MachineConfig(4)], timeout=240)


@batch.command(f"""
/programs/stress 1 8 1 >/dev/null
sleep 1; grep -E '^Mem(Free|Available)' /proc/meminfo
/programs/stress {SECONDS} 12 42
echo "status $?"
sleep 2; grep -E '^Mem(Free|Available)' /proc/meminfo
ps | wc -l
""")
def test_stress_and_leaks(result):
    assert "status 0" in result.text, result.text
    counts = dict(re.findall(r"^(\w+) (\d+)$", result.text, re.M))
    for name in ("fork", "exec", "mmap", "signals", "pipe", "threads", "exit_with_threads", "files"):
        assert int(counts[name]) > 0, name
    before, after = (int(kib) for kib in re.findall(r"MemFree:\s+(\d+)", result.text))
    assert before - after < 1024, f"{before - after} KiB are gone"

# SPDX-License-Identifier: MIT
"""`halyard.trace`: every system call and every fault of a program stands in the log."""

import re


def test_calls_and_faults_stand_in_the_log(boot):
    result, = boot(["/programs/signal_basics; dmesg"], image="programs", append="halyard.trace")
    assert "signal_basics: ok\n" in result.text
    assert re.search(r"\d+ \w+: call \d+ wait4 = \d+\n", result.text)
    assert re.search(r"\d+ \w+: call \d+ execve \(0x[0-9a-f]+, 0x", result.text)
    assert re.search(r"\d+ signal_basics: call \d+ exit_group \(0, ", result.text)
    assert re.search(r"\d+ signal_basics: exception \d+ at 0x8, ip 0x[0-9a-f]+, sp 0x[0-9a-f]+, error 0x", result.text)

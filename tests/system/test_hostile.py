# SPDX-License-Identifier: MIT
"""Programs that mean harm. They may hurt themselves; the kernel goes on, says nothing, and has all its memory."""

import re

import pytest

from conftest import ARCH, Batch, MachineConfig, initrd, vm

MACHINES = [MachineConfig(4, elevate="flat"), MachineConfig(4, elevate="views")]
LEAK_KIB = 1024

batch = Batch("programs", machines=MACHINES, timeout=120)


def check(result, marker: str) -> None:
    """The program came to its end in good order, and what it took was given back."""
    assert f"{marker}: ok\nstatus 0\n" in result.text, result.text
    assert not re.search(r"Oops|BUG|panic|wrong order", result.text), result.text
    free = [int(kib) for kib in re.findall(r"MemFree:\s+(\d+)", result.text)]
    if len(free) == 2:
        assert free[0] - free[1] < LEAK_KIB, f"{free[0] - free[1]} KiB are gone"


def program(line: str) -> str:
    """A line of shell that runs it between two looks at free memory."""
    look = "sleep 0.3; grep MemFree /proc/meminfo"
    return f'{look}; {line}; echo "status $?"; {look}; dmesg | grep -E "Oops|BUG|wrong order"'


@batch.command(program("/programs/hostile"))
def test_cpu_games_of_root(result):
    check(result, "hostile")


@batch.command(program("/programs/hostile 1000"))
def test_cpu_games_of_a_user(result):
    check(result, "hostile")


# The run before is there to fill what stays: slabs, the processes' tables. Later ones must find room in them.
@batch.command("/programs/hostile_calls 2 11 >/dev/null; " + program("/programs/hostile_calls 1 11"))
def test_calls_in_bad_faith(result):
    check(result, "hostile_calls")


@pytest.mark.parametrize("cpu", {"x86_64": ["max"], "aarch64": ["cortex-a57", "cortex-a72", "neoverse-n1", "max"]}[ARCH])
def test_nothing_of_the_kernels_half_is_reached(cpu):
    """Whatever the CPU has or lacks: neither core's memory nor that of services, before, after and while these run."""
    options = MachineConfig(2).options(initrd=initrd("programs"), cpu=cpu, append="service.null=lowered service.faulty=isolated")
    result, = vm.run_commands(options, ["/programs/kernel_half /dev/null_service /dev/faulty"])
    assert result.status == 0 and result.text.endswith("kernel_half: ok\n"), result.text

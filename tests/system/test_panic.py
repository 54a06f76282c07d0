# SPDX-License-Identifier: MIT
"""What the kernel says when it dies, provoked by `halyard.crash=KIND` (DEBUG=1 kernels only)."""

import re

import pytest

from conftest import ARCH, MachineConfig

REGISTERS = {"x86_64": [r"CR2: ffffb00000000123", r"RIP: [0-9a-f]{4}:[0-9a-f]{16} RSP: "],
             "aarch64": [r"FAR: ffffb00000000123", r"PC: [0-9a-f]{16} SP: "]}[ARCH]
TWO_CPUS = MachineConfig(2)
FRAME = r"\[<[0-9a-f]{16}>\] (?:%s)\+0x[0-9a-f]+/0x[0-9a-f]+"


def crash(console, kind: str, machine: MachineConfig = TWO_CPUS) -> str:
    return console(f"panic=-1 halyard.crash={kind}", machine=machine)


def frames(text: str, *names: str) -> None:
    """These functions stand in the text's backtrace in this order, perhaps with others between."""
    at = 0
    for name in names:
        found = re.search(FRAME % name, text[at:])
        assert found, f"no {name} behind {names[:names.index(name)]} in\n{text}"
        at += found.end()


@pytest.mark.parametrize("machine", [MachineConfig(1), MachineConfig(4)], ids=str)
def test_panic_names_every_cpus_calls(console, machine):
    text = crash(console, "panic", machine)
    assert "Kernel panic - not syncing: on purpose\n" in text
    frames(text, "panic", "panic_plainly", "crash_if_asked")
    for cpu in range(1, machine.cpus):
        assert f"CPU {cpu}:\n" in text
    assert "---[ end Kernel panic - not syncing: on purpose ]---" in text


def test_fault_shows_registers_and_where(console):
    text = crash(console, "fault")
    assert "Oops: page fault" in text
    for line in REGISTERS:
        assert re.search(line, text), line
    frames(text, "write_to_nowhere", "crash_if_asked")


def test_jump_into_nowhere_names_the_caller(console):
    text = crash(console, "jump")
    assert "[<ffffb00000000456>] (no symbol)" in text
    frames(text[text.index("(no symbol)"):], "boot_rest")


def test_fault_in_an_interrupt_shows_what_was_interrupted(console):
    text = crash(console, "interrupt")
    assert ", in an interrupt" in text
    frames(text, "write_to_nowhere", "timer_interrupt")
    frames(text[text.index("--- interrupted here ---"):], "sched_idle_loop|schedule|boot_rest|page_idle_clear")


def test_lock_checker_names_both_places(console):
    text = crash(console, "lock-order")
    assert re.search(r"wrong order: test_outer .* at crash_if_asked\+0x[0-9a-f]+, "
                     r"under test_inner taken at crash_if_asked\+0x", text)


def test_failed_assertion_quotes_it(console):
    assert "assertion failed: smp_ncpus == 0, core/log/crash_test.c:" in crash(console, "assert")


def test_panic_on_another_cpu_shows_the_first_one_too(console):
    text = crash(console, "other-cpu")
    assert "on purpose, on CPU " in text
    frames(text, "panic_there", "smp_handle_call")
    frames(text, "smp_call", "crash_if_asked")


def test_stack_overflow_is_named(console):
    text = crash(console, "stack")
    assert "Oops: kernel stack overflow" in text
    frames(text, "recurse", "recurse")


def test_fault_while_reporting_ends_all_the_same(console):
    text = crash(console, "reporting")
    assert "Kernel panic - not syncing: on purpose, with a broken console" in text
    assert "Kernel panic while reporting a panic: page fault" in text

# SPDX-License-Identifier: MIT
"""The tests inside the kernel (`halyard.ktest`), each as a test of its own here.

Their names are read from the sources, so a test that the kernel silently leaves out fails.
"""

import functools
import glob
import os
import re

import pytest

import vm
from conftest import ARCH, CPUS, ROOT, MachineConfig, initrd

TIMEOUT_S = 180
HOSTED_ONLY = re.compile(r"^#if __STDC_HOSTED__$.*?^#endif", re.M | re.S)
DEFINITION = re.compile(r"^KTEST\((\w+),\s*(\w+)\)", re.M)
LINE = re.compile(r"^(?:\[[^\]]*\] )?(ok|not ok) (\d+) (\S+)(?: # SKIP ?(.*))?$")


def names() -> list[str]:
    """suite.test of every KTEST that is built into the kernel."""
    found = []
    for folder in ("base", "core", "linux"):
        for path in glob.glob(os.path.join(ROOT, folder, "**", "*_test.c"), recursive=True):
            other_cpu = re.search(rf"/arch/(?!{ARCH}/)", path)
            inside = folder != "base" or os.path.dirname(path).endswith("/base")
            if inside and not other_cpu:
                with open(path, encoding="utf-8") as file:
                    text = HOSTED_ONLY.sub("", file.read())
                found += [".".join(match) for match in DEFINITION.findall(text)]
    return sorted(found)


class Report:
    """What one boot printed, as KTAP."""

    def __init__(self, console: str, failure: str | None):
        self.console, self.failure = console, failure
        self.plan: int | None = None
        self.results: dict[str, tuple[bool, str | None, str]] = {}
        notes: list[str] = []
        for line in console.replace("\r", "").split("\n"):
            if found := LINE.match(line):
                self.results[found[3]] = (found[1] == "ok", found[4], "\n".join(notes))
                notes = []
            elif found := re.search(r"^(?:\[[^\]]*\] )?1\.\.(\d+)$", line):
                self.plan = int(found[1])
            else:
                notes.append(line)

    def why_missing(self) -> str:
        """For a test without a result."""
        return f"did not run; {self.failure or 'the kernel powered off'}\n{self.console[-4096:]}"


@functools.cache
def report(machine: MachineConfig, kernel: str | None) -> Report:
    """Boots once for each machine."""
    options = machine.options(kernel=kernel, initrd=initrd("busybox"), timeout=TIMEOUT_S)
    try:
        return Report(vm.run_console(options, "panic=-1 halyard.ktest").decode(errors="replace"), None)
    except vm.VmError as error:
        return Report(error.console.decode(errors="replace"), str(error))


@pytest.mark.parametrize("machine", CPUS, ids=str)
@pytest.mark.parametrize("name", names())
def test_in_kernel(machine, name, kernel):
    results = report(machine, kernel).results
    assert name in results, report(machine, kernel).why_missing()
    passed, skipped, notes = results[name]
    if not passed:
        pytest.fail(f"{name}\n{notes}", pytrace=False)
    if skipped is not None:
        pytest.skip(skipped or "no reason given")


@pytest.mark.parametrize("machine", CPUS, ids=str)
def test_whole_plan_ran_and_nothing_else(machine, kernel):
    got = report(machine, kernel)
    assert got.failure is None, got.why_missing()
    assert got.plan == len(got.results)
    assert sorted(got.results) == names()

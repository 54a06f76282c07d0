# SPDX-License-Identifier: MIT
"""Fixtures for tests that boot the kernel.

A boot costs a second or more, so tests share them. A file makes a Batch and hangs commands on it;
each test gets the Result of its command, and all commands of the selected tests run in one boot
for each machine:

    batch = Batch("busybox", machines=CPUS)

    @batch.command("nproc")
    def test_nproc(machine, result):
        assert result.text == f"{machine.cpus}\\n"

What needs a boot of its own takes the fixture `boot`. `--kernel FILE` tries another kernel: what
holds on Linux and not on ours is our fault.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import vm  # noqa: E402  pylint: disable=wrong-import-position

# `ARCH=aarch64 pytest ...` tests the kernel of another CPU.
ARCH = os.environ.get("ARCH", "x86_64")
# The door that `qemu -kernel` leads to.
DIRECT = {"x86_64": "pvh", "aarch64": "image"}[ARCH]
CONSOLE = vm.MACHINES[ARCH].console
BOOT_TIMEOUT_S = 120.0
IMAGES = {"busybox": "initrd.cpio", "debian-tools": "debian-tools.cpio",
          "programs": "programs.cpio", "disk-tools": "disk-tools.cpio",
          "debug-tools": "debug-tools.cpio"}


@dataclass(frozen=True)
class MachineConfig:
    """A machine to boot: so many CPUs, by this door, with this way to elevate."""
    cpus: int = 1
    door: str = DIRECT
    elevate: str = "auto"

    def __str__(self) -> str:
        parts = [f"{self.cpus}cpu"] + [self.door] * (self.door != DIRECT)
        return "-".join(parts + [self.elevate] * (self.elevate != "auto"))

    def options(self, **changes: object) -> vm.Options:
        """For vm.py; `append` adds to the command line."""
        elevate = "" if self.elevate == "auto" else f"elevate={self.elevate} "
        changes["append"] = (elevate + str(changes.get("append", ""))).strip()
        changes.setdefault("timeout", BOOT_TIMEOUT_S)
        return vm.Options(arch=ARCH, cpus=self.cpus, uefi=self.door == "uefi", **changes)


ONE = [MachineConfig(1)]
CPUS = [MachineConfig(1), MachineConfig(2), MachineConfig(4)]
DOORS = [MachineConfig(2, DIRECT), MachineConfig(2, "uefi")]
BACKENDS = [MachineConfig(2, elevate="views"), MachineConfig(2, elevate="flat")]
EVERY = CPUS + DOORS[1:] + BACKENDS


def only_on(arch: str, reason: str) -> pytest.MarkDecorator:
    """Skips a test, or by `pytestmark` a file of them, on other CPUs."""
    return pytest.mark.skipif(ARCH != arch, reason=f"only on {arch}: {reason}")


def initrd(name: str) -> str:
    """The path of an image that `make test` has built."""
    return vm.need(ARCH, os.path.join(ROOT, "build", ARCH, IMAGES.get(name, name)))


class Batch:
    """Commands that share a boot on each machine."""

    def __init__(self, image: str = "busybox", machines: list[MachineConfig] | None = None,
                 append: str = "", timeout: float = BOOT_TIMEOUT_S, **changes: object):
        self.image = image
        self.changes = changes
        self.machines = machines or ONE
        self.append = append
        self.timeout = timeout
        self.commands: list[list[str] | str] = []
        self.selected: dict[MachineConfig, list[int]] = {}
        self.results: dict[MachineConfig, dict[int, vm.Result]] = {}
        self.errors: dict[MachineConfig, vm.VmError] = {}

    def command(self, command: list[str] | str) -> Callable[[Callable], Callable]:
        """Decorates a test: `result` will be what this command did."""
        def decorate(function: Callable) -> Callable:
            function.batch, function.batch_number = self, len(self.commands)
            self.commands.append(command)
            return function
        return decorate

    def boot(self, machine: MachineConfig, kernel: str | None) -> None:
        """Runs the selected commands on a machine."""
        numbers = self.selected[machine]
        options = machine.options(kernel=kernel, initrd=initrd(self.image), append=self.append,
                                  timeout=self.timeout, **self.changes)
        try:
            results = vm.run_commands(options, [self.commands[number] for number in numbers])
        except vm.VmError as error:
            results, self.errors[machine] = error.results, error
        self.results[machine] = dict(zip(numbers, results))

    def result(self, machine: MachineConfig, number: int, kernel: str | None) -> vm.Result:
        """What a command did; boots when this is the machine's first question."""
        if machine not in self.results:
            self.boot(machine, kernel)
        if number in self.results[machine]:
            return self.results[machine][number]
        error = self.errors[machine]
        at_fault = self.selected[machine].index(number) == len(self.results[machine])
        reason = "while it ran" if at_fault else "before it could run"
        console = error.console.decode(errors="replace") if at_fault else ""
        pytest.fail(f"{error}, {reason}: {self.commands[number]!r}\n{console}", pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options."""
    parser.addoption("--kernel", help="boot this kernel instead of ours")
    parser.addoption("--update-containment", action="store_true",
                     help="write docs/containment.md from what test_containment.py finds")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a batch's tests on each of its machines."""
    batch = getattr(metafunc.function, "batch", None)
    if batch is not None:
        if "machine" not in metafunc.fixturenames:
            metafunc.fixturenames.append("machine")
        metafunc.parametrize("machine", batch.machines, ids=str, scope="session")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tells each batch which of its commands are wanted."""
    for item in session.items:
        batch = getattr(getattr(item, "function", None), "batch", None)
        if batch is not None:
            numbers = batch.selected.setdefault(item.callspec.params["machine"], [])
            if item.function.batch_number not in numbers:
                numbers.append(item.function.batch_number)


@pytest.fixture(name="kernel", scope="session")
def kernel_fixture(request: pytest.FixtureRequest) -> str | None:
    """The kernel given by --kernel, else None: ours."""
    return request.config.getoption("--kernel")


@pytest.fixture(name="result")
def result_fixture(request: pytest.FixtureRequest, machine: MachineConfig,
                   kernel: str | None) -> vm.Result:
    """What the test's batch command did on `machine`."""
    function = request.function
    return function.batch.result(machine, function.batch_number, kernel)


@pytest.fixture(name="boot")
def boot_fixture(kernel: str | None) -> Callable[..., list[vm.Result]]:
    """boot(commands, machine=..., image=..., **vm options) runs commands in a boot of their own."""
    def boot(commands: list[list[str] | str], machine: MachineConfig = ONE[0], image: str = "busybox",
             **changes: object) -> list[vm.Result]:
        changes.setdefault("kernel", kernel)
        return vm.run_commands(machine.options(initrd=initrd(image), **changes), commands)
    return boot


@pytest.fixture(name="console")
def console_fixture(kernel: str | None) -> Callable[..., str]:
    """console(append, machine=..., **vm options) is all that the console shows until power-off."""
    def console(append: str, machine: MachineConfig = ONE[0], image: str = "busybox",
                **changes: object) -> str:
        changes.setdefault("kernel", kernel)
        options = machine.options(initrd=initrd(image), **changes)
        return vm.run_console(options, append).decode(errors="replace").replace("\r", "")
    return console

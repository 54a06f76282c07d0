# SPDX-License-Identifier: MIT
"""Elevation of programs, with both backends: who may, and that nothing a program prepares beforehand breaks it."""

import re

from conftest import Batch, MachineConfig, initrd

import vm

MACHINES = [MachineConfig(cpus, elevate=backend) for cpus in (1, 4) for backend in ("views", "flat")]
GRANT = "halyard.elevate=/programs/elevate"

granted = Batch("programs", machines=MACHINES, append=GRANT, timeout=200)
services = Batch("programs", machines=MACHINES, append="halyard.elevate=/programs/elevated_gate service.null=lowered "
                 "service.faulty=lowered")
ungranted = Batch("programs", machines=MACHINES[:2])


@granted.command("/programs/elevate")
def test_elevated_program(result):
    assert result.status == 0, result.text
    assert len(re.findall(r"^ok ", result.text, re.M)) >= 15


@granted.command("cp /programs/elevate /tmp/copy && /tmp/copy refused")
def test_a_copy_has_no_grant(result):
    assert (result.status, result.text) == (0, "ok refused\n")


@granted.command("cat /proc/halyard/privilege")
def test_backend_and_counts_are_reported(machine, result):
    assert machine.elevate in result.text
    assert re.search(r"elevations:?\s+[1-9]", result.text)


@granted.command("dmesg | grep elevate:")
def test_backend_is_logged(machine, result):
    assert f"backend {machine.elevate}" in result.text


@ungranted.command("/programs/elevate refused")
def test_no_grant_no_privilege(result):
    assert (result.status, result.text) == (0, "ok refused\n")


@services.command("/programs/elevated_gate")
def test_an_elevated_program_enters_a_service(result):
    """The service is not elevated with it, and finds its own view whenever it goes on after an interrupt."""
    assert (result.status, result.text) == (0, "elevated_gate: ok\n")


@services.command("/programs/faulty_case 83; /programs/faulty_case 83")
def test_a_service_forgets_to_lower(result):
    """Core lowers for it, and reaches the program's memory again, though the kernel's own root was loaded."""
    assert result.text.count("result 0\n") == 2 and "stuck" not in result.text, result.text


def test_elevate_and_lower_take_few_instructions(kernel):
    machine = MachineConfig(1, elevate="flat")
    options = machine.options(kernel=kernel, initrd=initrd("programs"), icount=True,
                              append="halyard.elevate=/programs/elevate_cost")
    result, = vm.run_commands(options, ["/programs/elevate_cost"])
    count = float(re.search(r"elevate\+lower ([\d.]+)", result.text)[1])
    assert 20 < count <= 45, result.text

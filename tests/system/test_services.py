# SPDX-License-Identifier: MIT
"""The lives of services: the command line, the commands of an administrator, restarts and giving up, threads that are killed
inside, and what gates cost."""

import os
import re

import pytest

from conftest import ARCH, Batch, MachineConfig, vm

FILE = "/proc/halyard/services"
CLASSES = ["privileged", "lowered", "isolated"]
# The most that a null call may take, in instructions; -icount makes it repeat to the digit.
PRIVILEGED_MORE = {"x86_64": 5, "aarch64": 9}[ARCH]  # than a direct call
LIMITS = {"privileged": 15.0, "lowered": 120.0, "isolated": 700.0}


def state(text: str, name: str) -> dict[str, str]:
    """A service's row in /proc/halyard/services."""
    headings, *rows = [line.split() for line in text.strip().split("\n")]
    return next(dict(zip(headings, row)) for row in rows if row[0] == name)


commands = Batch("busybox", machines=[MachineConfig(4)],
                 append="service.null=lowered service.faulty=lowered service.faulty.restarts=3 service.faulty.deadline_ms=300")


@commands.command(f"cat {FILE}; echo 0 >/dev/null_service && echo fine")
def test_state(result):
    """Services that were asked for run; others of the test folder do not."""
    table, _ = result.text.rsplit("\n", 2)[0], result.text.endswith("fine\n")
    assert result.text.endswith("fine\n")
    assert (state(table, "null")["state"], state(table, "null")["class"]) == ("running", "lowered")
    assert state(table, "storm")["state"] == "unused"


@commands.command(f"for c in isolated privileged lowered; do echo $c null >{FILE}; grep -o '^null [a-z]* [a-z]*' {FILE}; "
                  "echo 0 >/dev/null_service && echo fine; done")
def test_class_is_changed(result):
    """The class of a running service changes, and its device file goes on working."""
    assert result.text == "".join(f"null {c} running\nfine\n" for c in ("isolated", "privileged", "lowered"))


@commands.command(f"for c in 'kill nobody' 'dance null' 'kill' 'poke null' 'poke null nowhere' ' '; do echo \"$c\" 2>&1 >{FILE} | "
                  f"sed 's/.*: //'; done; su nobody -s /bin/sh -c 'echo kill null >{FILE}' 2>&1 | sed 's/.*: //'; "
                  f"chmod 666 {FILE} 2>/dev/null; grep -o '^null [a-z]* [a-z]*' {FILE}")
def test_bad_commands(result):
    """What cannot be done is refused with the reason, and changes nothing."""
    lines = result.text.split("\n")
    assert lines[0] == "No such file or directory"
    assert lines[1:5] == ["Invalid argument"] * 4
    assert lines[-3] in ("Permission denied", "Operation not permitted", "nonexistent directory")
    assert lines[-2] == "null lowered running"


@commands.command(f"echo stop null >{FILE}; grep -o '^null [a-z]* [a-z]*' {FILE}; echo 0 >/dev/null_service; echo kill null >{FILE}; "
                  f"echo start null >{FILE}; echo 0 >/dev/null_service && grep -o '^null [a-z]* [a-z]*' {FILE}; echo start null >{FILE} "
                  "&& echo again")
def test_stop_and_start(result):
    """A stopped service answers with errors until it is started."""
    lines = result.text.split("\n")
    assert lines[0] == "null lowered unused"
    assert "No such device" in lines[1] or "Input/output error" in lines[1]
    assert "busy" in lines[2]
    assert lines[3:5] == ["null lowered running", "again"]


@commands.command("echo 4 8000000000 >/dev/null_service & sleep 0.3; grep '^null' " + FILE + "; read up rest </proc/uptime; "
                  "kill -9 $!; wait $!; echo $?; read up2 rest </proc/uptime; echo $up $up2; grep '^null' " + FILE +
                  "; echo 0 >/dev/null_service && echo fine")
def test_a_thread_is_killed_inside(result):
    """A thread that sleeps in a service leaves it at once when it is killed; the service lives on."""
    # the shell may say "Killed" in between, or not
    before, *_, status, times, after, fine = result.text.strip().split("\n")
    assert before.split()[4] == "1" and after.split()[4] == "0", "it was inside, and is no more"
    assert status == "137" and fine == "fine"
    assert float(times.split()[1]) - float(times.split()[0]) < 2
    assert before.split()[10:12] == after.split()[10:12], "that is no fault and no restart"


@commands.command("echo 64 >/dev/faulty & sleep 0.1; kill -9 $!; wait $!; echo $?; sleep 0.5; grep '^faulty' " + FILE +
                  "; echo 0 >/dev/faulty; echo $?")
def test_a_thread_that_loops_inside_is_killed(result):
    """One that computes leaves at the deadline of its call, which ends the service's life."""
    row = next(line for line in result.text.split("\n") if line.startswith("faulty"))
    assert "\n137\n" in result.text and row.split()[2] == "running" and row.split()[10] == "1"


@commands.command("for i in 1 2 3 4 5; do echo 11 >/dev/faulty; sleep 0.2; done; grep '^faulty' " + FILE + "; echo 0 >/dev/faulty; "
                  f"echo $?; echo start faulty >{FILE}; echo 0 >/dev/faulty; grep -o '^faulty [a-z]* [a-z]*' {FILE}; "
                  "echo 0 >/dev/null_service && echo fine")
def test_giving_up(result):
    """After too many faults in a minute a service stays down; its calls fail, the others go on; an administrator starts it again."""
    assert "service faulty: failed more than 3 times in a minute; it stays down" in result.text
    rows = re.findall(r"^faulty \S+ (\S+)", result.text, re.M)
    assert rows == ["failed", "running"]
    assert result.text.endswith("fine\n")




def test_disk_service_stops(boot, tmp_path):
    """A disk whose service is stopped fails requests, also those that wait; when it is started all is as it was."""
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(1 << 20))
    results = boot(["md5sum </dev/vda; echo 3 >/proc/sys/vm/drop_caches",
                    f"(while dd if=/dev/vda iflag=direct of=/dev/null bs=4k count=64 2>/tmp/said; do :; done; cat /tmp/said) & "
                    f"sleep 0.2; echo stop virtio_blk >{FILE}; wait; grep -o '^virtio_blk [a-z]* [a-z]*' {FILE}",
                    "dd if=/dev/vda of=/dev/null bs=4k count=1", f"echo start virtio_blk >{FILE}; md5sum </dev/vda"],
                   machine=MachineConfig(4), disks=[str(image)])
    assert "Input/output error" in results[1].text and results[1].text.endswith("virtio_blk lowered unused\n")
    assert results[2].status != 0
    assert results[3].text == results[0].text


def test_command_line(boot):
    """What the command line says wrongly is told."""
    shown = boot(["dmesg"], append="services=wrong service.bogus=lowered service.null=maybe service.faulty=isolated "
                 "service.faulty.restarts=x")[0].text
    assert "services=wrong is not one of privileged, lowered, isolated; lowered is used" in shown
    assert "service.bogus: there is no such service" in shown
    assert "service.null=maybe is not one of privileged, lowered, isolated, off" in shown
    assert "service.faulty.restarts=x is not a number" in shown


def test_off(boot, tmp_path):
    """service.NAME=off: the service is not started, until somebody does."""
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    result = boot([f"ls /dev/vda; grep -o '^virtio_blk [a-z]* [a-z]*' {FILE}; echo start virtio_blk >{FILE}; "
                   "sleep 0.1; blockdev --getsize64 /dev/vda"], disks=[str(image)], append="service.virtio_blk=off")[0]
    assert "virtio_blk lowered unused\n1048576\n" in result.text and "No such file" in result.text


@pytest.mark.parametrize("isolation", CLASSES)
@pytest.mark.parametrize("elevate", ["flat", "views"])
def test_cost_of_a_gate(boot, kernel, isolation, elevate):
    """A null call into a service and back: a few instructions more than a direct call when privileged, at most 120 lowered."""
    release = kernel or vm.Options(arch=ARCH).built_kernel("halyard-release")
    text = boot(["/programs/gate_cost"], machine=MachineConfig(1, elevate=elevate), image="programs", kernel=release, icount=True,
                append=f"service.null={isolation}")[0].text
    cost = {name: float(value) for name, value in re.findall(r"^(.*) ([\d.]+)$", text, re.M)}
    print(isolation, elevate, cost)
    assert 3 < cost["direct call"] < 20
    limit = cost["direct call"] + PRIVILEGED_MORE if isolation == "privileged" else LIMITS[isolation]
    assert cost["gate down and back"] <= limit, text

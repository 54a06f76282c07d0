# SPDX-License-Identifier: MIT
"""services/example/ram_disk in each class: what is written is read again, and its deaths hurt nobody."""

import re

import pytest

from conftest import Batch, MachineConfig

CLASSES = ["privileged", "lowered", "isolated"]
FOUR = MachineConfig(4)
KILL_S = 6
FIELDS = ["name", "class", "state", "memory_kb", "inside", "handles", "calls_in", "calls_out", "elevations",
          "refused", "faults", "restarts"]

# A read that only the disk can answer comes back when the service is there again.
COUNT = "blockdev --flushbufs /dev/rama; head -c 1 /dev/rama >/dev/null; grep '^services ' /proc/halyard/memory"

batch = Batch("busybox")


def service(text: str) -> dict[str, str]:
    """The service's line of /proc/halyard/services."""
    return dict(zip(FIELDS, re.search(r"^ram_disk .*$", text, re.M)[0].split()))


def pages(text: str) -> list[int]:
    """The counts of service pages that the commands printed."""
    return [int(n) for n in re.findall(r"^services (\d+)$", text, re.M)]


@batch.command("grep ram_disk /proc/halyard/services; ls /dev/rama")
def test_runs_only_when_asked_for(result):
    assert service(result.text)["state"] == "unused"
    assert "No such file" in result.text


@pytest.mark.parametrize("isolation", CLASSES)
def test_contents(boot, isolation):
    checked, status, lost = boot([
        ["/programs/block_check", "/dev/rama"],
        ["cat", "/proc/halyard/services"],
        "yes 0123456 | dd of=/dev/rama bs=64k count=128 iflag=fullblock 2>/dev/null && "
        "blockdev --flushbufs /dev/rama && head -c 8 /dev/rama && "
        "echo kill ram_disk >/proc/halyard/services && blockdev --flushbufs /dev/rama && "
        "cmp -n 8388608 /dev/rama /dev/zero && blockdev --getsize64 /dev/rama",
    ], machine=FOUR, image="programs", append=f"service.ram_disk={isolation}")
    assert checked.status == 0, checked.text
    line = service(status.text)
    assert (line["class"], line["state"]) == (isolation, "running")
    assert (line["refused"], line["faults"], line["restarts"]) == ("0", "0", "0")
    assert (lost.status, lost.text) == (0, "0123456\n8388608\n")


@pytest.mark.parametrize("isolation", CLASSES)
def test_killed_while_working(boot, isolation):
    """No request fails or hangs, no page is torn or lost by the kernel, and no memory stays behind."""
    results = boot([
        ["/programs/block_check", "/dev/rama", "kill", "ram_disk", "1"],
        COUNT,
        ["/programs/block_check", "/dev/rama", "kill", "ram_disk", str(KILL_S)],
        COUNT,
        ["/programs/block_check", "/dev/rama"],
        ["cat", "/proc/halyard/services"],
        ["dmesg"],
    ], machine=FOUR, image="programs", append=f"service.ram_disk={isolation}", timeout=200)
    for result in results:
        assert result.status == 0, result.text
    line = service(results[5].text)
    assert (line["class"], line["state"]) == (isolation, "running")
    assert (line["refused"], line["faults"]) == ("0", "0")
    assert int(line["restarts"]) > 20
    before, after = pages(results[1].text + results[3].text)
    assert after - before < 64, f"{after - before} pages of services are gone"
    assert "refused:" not in results[6].text

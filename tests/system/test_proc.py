# SPDX-License-Identifier: MIT
"""What Debian's own tools make of /proc and /sys: busybox's in the default image, procps' in the other."""

import re

from conftest import CONSOLE, Batch, MachineConfig

MACHINES = [MachineConfig(1), MachineConfig(4)]
MEMORY_KIB = 512 * 1024

busybox = Batch("busybox", machines=MACHINES)
procps = Batch("debian-tools", machines=MACHINES)


def rows(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines()]


def memory_is_plausible(total: int, used: int, free: int) -> bool:
    """What QEMU gave, less what the kernel took before it counted; most of it unused."""
    return 0.9 * MEMORY_KIB < total <= MEMORY_KIB and 0 < used < total / 2 and total / 2 < free < total


@busybox.command("ps")
def test_busybox_ps(result):
    lines = rows(result.text)
    assert result.status == 0 and lines[0][:3] == ["PID", "USER", "COMMAND"]
    assert lines[1][:2] == ["1", "root"]
    assert any("ps" in line for line in lines[2:])


@busybox.command("top -b -n 1")
def test_busybox_top(result):
    assert result.status == 0
    assert re.match(r"Mem: \d+K used, \d+K free, \d+K shrd, \d+K buff, \d+K cached\n", result.text)
    assert re.search(r"^ +1 +0 root +S ", result.text, re.M)
    assert re.search(r"^ +\d+ +\d+ root +R .* top -b -n 1$", result.text, re.M)


@busybox.command("free")
def test_busybox_free(result):
    head, memory, swap = rows(result.text)
    assert head[:3] == ["total", "used", "free"] and memory[0] == "Mem:"
    assert memory_is_plausible(*map(int, memory[1:4]))
    assert swap == ["Swap:", "0", "0", "0"]


@busybox.command("mount")
def test_busybox_mount(result):
    mounts = {(line[2], line[4]) for line in rows(result.text)}
    assert {("/", "rootfs"), ("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "devtmpfs")} <= mounts


@busybox.command("uptime; cat /proc/uptime")
def test_busybox_uptime(result):
    first, second = result.text.splitlines()
    assert re.search(r"up 0 min,.*load average: 0\.\d\d, 0\.\d\d, 0\.\d\d$", first)
    assert 0 < float(second.split()[0]) < 120


@busybox.command("grep -c ^processor /proc/cpuinfo; nproc; cat /sys/devices/system/cpu/online")
def test_cpus(machine, result):
    count = str(machine.cpus)
    assert result.text.split() == [count, count, "0" if machine.cpus == 1 else f"0-{machine.cpus - 1}"]


@busybox.command("dmesg")
def test_dmesg(result):
    assert re.search(r"^\[ +0\.0\d+\] Halyard \d", result.text, re.M)


@busybox.command("(timeout 2 cat /proc/kmsg >/tmp/log) & sleep 0.5; echo marker >/dev/kmsg; sleep 0.5; "
                 "echo marker >/dev/kmsg; wait; grep -c marker /tmp/log")
def test_kmsg_waits(result):
    assert result.text == "2\n"


@busybox.command("sleep 60 & sleep 0.1; kill -STOP $!; sleep 0.1; cut -d' ' -f2,3 /proc/$!/stat; kill -9 $!; wait $!; ls /proc/$!")
def test_states(result):
    assert result.text.startswith("(sleep) T\n") and "No such file" in result.text


@busybox.command("cat /proc/halyard/privilege /proc/halyard/memory /proc/halyard/locks")
def test_halyard(result):
    values = dict(line.split(" ", 1) for line in result.text.splitlines())
    assert values["backend"] in ("views", "flat") and values["elevations"] == "0" and values["checker"] in ("on", "off")
    owners = ["free", "reserved", "core", "tables", "programs", "shared", "services"]
    # The processors give pages out while they are counted.
    assert abs(sum(int(values[owner]) for owner in owners) - int(values["total"])) < 600, values


@busybox.command("echo name >/proc/sys/kernel/hostname && hostname; "
                 "touch /proc/x; rm /proc/version; mkdir /sys/x; cat /proc/version")
def test_changes(result):
    lines = result.text.splitlines()
    assert lines[0] == "name"
    assert lines[-1].startswith("Linux version")
    assert len([line for line in lines if re.search("denied|not permitted|error|No such", line)]) == 3, lines


# ps knows the numbers of few terminals; of others it finds the name behind descriptor 2.
@procps.command(f"ps -eo pid,ppid,pgid,sess,tty,stat,nlwp,ni,pri,rss,vsz,etimes,comm 2>/dev/{CONSOLE}")
def test_procps_ps(result):
    lines = rows(result.text)
    assert result.status == 0
    init, own = lines[1], lines[-1]
    assert init[:2] == ["1", "0"] and own[-1] == "ps"
    assert own[4] == CONSOLE and own[5].startswith("R") and own[6:9] == ["1", "0", "19"]
    assert 1000 < int(own[9]) < int(own[10])


@procps.command(f"exec ps aux 2>/dev/{CONSOLE}")
def test_procps_ps_aux(result):
    assert re.search(r"^root +1 +\d+\.\d +\d\.\d +\d+ +\d+ \? +S[s ]", result.text, re.M)
    assert re.search(rf"^root +\d+ .* {CONSOLE} +R\+? .* ps aux$", result.text, re.M)


@procps.command("top -b -n 1 -w 120")
def test_procps_top(result):
    assert result.status == 0
    assert re.match(r"top - \d\d:\d\d:\d\d up .* load average: ", result.text)
    assert re.search(r"^Tasks: +\d+ total, +\d+ running, +\d+ sleeping, +0 stopped, +0 zombie$", result.text, re.M)
    shares = [float(share) for share in re.findall(r"\d+\.\d", re.search(r"^%Cpu.*$", result.text, re.M)[0])]
    assert 99 < sum(shares) < 101
    assert re.search(r"^ +1 root +20 +0 ", result.text, re.M)


@procps.command("free -k")
def test_procps_free(result):
    _, memory, swap = rows(result.text)
    assert memory_is_plausible(*map(int, memory[1:4]))
    assert swap == ["Swap:", "0", "0", "0"]


@procps.command("vmstat -n 1 2")
def test_procps_vmstat(result):
    lines = rows(result.text)
    assert lines[1][:6] == ["r", "b", "swpd", "free", "buff", "cache"]
    idle = int(lines[3][lines[1].index("id")])
    assert idle > 50, result.text


@procps.command("sleep 77 & sleep 0.1; pgrep -x sleep; pgrep -af '^sleep 77'; pkill -f '^sleep 77'; wait $!; echo $?")
def test_procps_pgrep(result):
    lines = result.text.splitlines()
    assert lines[1] == lines[0] + " sleep 77" and lines[-1] == "143"


@procps.command("w; uptime -p; pmap $$ | tail -1; pwdx $$; sysctl -n kernel.ostype kernel.hostname")
def test_procps_others(result):
    assert "load average" in result.text and "up " in result.text
    assert re.search(r"^ total +\d+K$", result.text, re.M)
    assert result.text.endswith("Linux\nhalyard\n") or "\nLinux\n" in result.text


@procps.command("for i in 1 2 3 4; do (while :; do sleep 0.01 & ps -e >/dev/null; cat /proc/[0-9]*/status >/dev/null 2>&1; "
                "ls -lR /proc/[0-9]*/fd /proc/[0-9]*/task >/dev/null 2>&1; wait; done) & done; sleep 3; kill $(jobs -p); echo alive")
def test_look_at_processes_that_come_and_go(result):
    assert result.text.splitlines()[-1] == "alive"

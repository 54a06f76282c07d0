# SPDX-License-Identifier: MIT
"""Terminals and random numbers by services: the serial port's, virtio_console, virtio_rng in each class, and what the kernel does
without them. The service `fake` (services/test/fake) does what no real driver should."""

import contextlib
import fcntl
import os
import re
import select
import shutil
import socket
import struct
import tempfile
import termios
import time
from collections.abc import Iterator

import pytest

import vm
from conftest import ARCH, Batch, MachineConfig, initrd, only_on

# The first serial port: its name, its device's number as /proc/PID/stat has it, and its driver.
PORT, PORT_NUMBER, DRIVER = {"x86_64": ("ttyS0", 1088, "serial_console"), "aarch64": ("ttyAMA0", 52288, "pl011")}[ARCH]
CLASSES = ["privileged", "lowered", "isolated"]
TIMEOUT_S = 40.0
PROMPT = b"halyard:~# "
KILLS = 20
# What may be lost at a death of the serial port's driver: its ring, and the write that it died in.
LOST_A_KILL = 4096 + 256
CHUNK = 1024  # what may come twice at a death of virtio_console

# kills NAME: kills a service so many times, each time when it runs again
KILL = ("runs() { grep -q \"^$1 [a-z]* running\" /proc/halyard/services; }; "
        "kills() { n=0; while [ $n -lt %d ]; do runs $1 && echo kill $1 >/proc/halyard/services && n=$((n + 1)); done; "
        "until runs $1; do :; done; } 2>/tmp/kills" % KILLS)


class Session:
    """A booted machine with a shell on the serial port and one on hvc0, from the host's side."""

    def __init__(self, kernel: str | None, append: str, ports: int = 1):
        self.folder = tempfile.mkdtemp(prefix="halyard-test-")
        # Whoever sleeps in a service that dies leaves it at once: were it at the end of the call's time, tests would fail.
        append += "".join(f" service.{name}.deadline_ms=600000" for name in (DRIVER, "virtio_console", "virtio_rng"))
        # Pipes with much room: QEMU drops a console's output that the host does not take at once.
        pipe = os.path.join(self.folder, "hvc0")
        for end in ("in", "out"):
            os.mkfifo(f"{pipe}.{end}")
        self.hvc = {end: os.open(f"{pipe}.{end}", os.O_RDWR | os.O_NONBLOCK) for end in ("in", "out")}
        fcntl.fcntl(self.hvc["out"], vm.F_SETPIPE_SZ, 1 << 20)
        arguments = ["-device", "virtio-serial-pci", "-chardev", f"pipe,id=hvc0,path={pipe}", "-device", "virtconsole,chardev=hvc0"]
        for n in range(1, ports):
            arguments += ["-serial", f"unix:{self.folder}/ttyS{n},server=on,wait=on"]
        self.guest = vm.Guest(MachineConfig(2).options(kernel=kernel, initrd=initrd("busybox"), append=append, rng=True,
                                                       timeout=240.0, qemu_args=arguments), "panic=-1 rdinit=/init TERM=dumb")
        self.seen = {PORT: b"", "hvc0": b""}
        # QEMU waits for all of them, in the order in which they stand on its command line.
        self.ports = {f"ttyS{n}": self.connect(f"ttyS{n}") for n in range(1, ports)}

    def connect(self, name: str) -> socket.socket:
        """To a socket that QEMU makes when it gets there."""
        until = time.monotonic() + TIMEOUT_S
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(TIMEOUT_S)
        while connected.connect_ex(os.path.join(self.folder, name)) != 0:
            assert time.monotonic() < until and self.guest.process.poll() is None, "QEMU makes no socket"
            time.sleep(0.01)
        return connected

    def close(self) -> None:
        """Ends the machine."""
        for connected in self.ports.values():
            connected.close()
        for end in self.hvc.values():
            os.close(end)
        self.guest.__exit__()
        shutil.rmtree(self.folder)

    def pump(self, until: float) -> bool:
        """Waits for output and notes it. False: there will be none."""
        data, more = self.guest.read(self.hvc["out"], until)
        with contextlib.suppress(BlockingIOError):
            while more or data is None:
                self.seen["hvc0"] += os.read(self.hvc["out"], 1 << 20)
        if data is None:
            return False
        self.seen[PORT] += data
        return True

    def expect(self, terminal: str, text: bytes) -> bytes:
        """What came up to `text`, with it; later calls begin behind it."""
        until = time.monotonic() + TIMEOUT_S
        while text not in self.seen[terminal]:
            alive = self.pump(until)
            if (not alive or time.monotonic() >= until) and text not in self.seen[terminal]:
                tails = "\n".join(f"{name}: {seen[-2000:]!r}" for name, seen in self.seen.items())
                pytest.fail(f"no {text!r} on {terminal}; {tails}")
        before, _, self.seen[terminal] = self.seen[terminal].partition(text)
        return before + text

    def type(self, terminal: str, keys: bytes) -> None:
        """Presses keys, reading what comes meanwhile."""
        while keys:
            if terminal == PORT:
                self.guest.write(keys[:4096])
            else:
                select.select([], [self.hvc["in"]], [], TIMEOUT_S)
                os.write(self.hvc["in"], keys[:4096])
            keys = keys[4096:]
            self.pump(time.monotonic())

    def untaken(self, terminal: str) -> int:
        """How many typed bytes the machine does not take, when it takes no more."""
        descriptor = self.guest.input if terminal == PORT else self.hvc["in"]
        number, since = -1, time.monotonic()
        while time.monotonic() < since + 0.2:
            now = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]
            if now != number:
                number, since = now, time.monotonic()
            self.pump(time.monotonic() + 0.02)
        return number

    def run(self, terminal: str, command: str) -> str:
        """What a shell command prints."""
        self.type(terminal, b"echo sta''rt; " + command.encode() + b"; echo en''d\n")
        self.expect(terminal, b"start\r\n")
        output = self.expect(terminal, b"end\r\n")[:-5]
        self.expect(terminal, PROMPT)
        return output.decode(errors="replace").replace("\r", "")


@pytest.fixture(name="session", scope="module", params=CLASSES)
def session_fixture(request: pytest.FixtureRequest, kernel: str | None) -> Iterator[Session]:
    """One machine for all tests of a class."""
    session = Session(kernel, f"services={request.param} loglevel=2")
    try:
        session.expect(PORT, PROMPT)
        session.run(PORT, KILL)
        session.type(PORT, b"setsid -c /bin/sh -l </dev/hvc0 >/dev/hvc0 2>&1 &\n")
        session.expect("hvc0", PROMPT)
        session.expect(PORT, PROMPT)
        session.run("hvc0", KILL)
        yield session
    finally:
        session.close()


def both(function):
    """Runs a test on each of the two terminals."""
    return pytest.mark.parametrize("terminal", [PORT, "hvc0"])(function)


def other(terminal: str) -> str:
    """The other terminal."""
    return "hvc0" if terminal == PORT else PORT


@both
def test_a_shell_on_its_terminal(session, terminal):
    assert session.run(terminal, "tty; cut -d' ' -f7 /proc/self/stat") == \
        {PORT: f"/dev/console\n{PORT_NUMBER}\n", "hvc0": "/dev/hvc0\n58624\n"}[terminal]


@both
def test_line_editing_and_echo(session, terminal):
    session.type(terminal, b"echo rea''dy; cat\n")
    session.expect(terminal, b"ready\r\n")
    session.type(terminal, b"onx\x7fe \ttwo three\x17four\n")
    session.expect(terminal, b"onx\b \be \ttwo three\b \b\b \b\b \b\b \b\b \bfour\r\none \ttwo four\r\n")
    session.type(terminal, b"\x04")
    session.expect(terminal, PROMPT)


@both
def test_job_control(session, terminal):
    session.type(terminal, b"sleep 1000\n")
    session.run(other(terminal), "until pidof sleep >/tmp/pid; do :; done")
    session.type(terminal, b"\x1a")
    session.expect(terminal, b"Stopped")
    session.expect(terminal, PROMPT)
    assert "Stopped" in session.run(terminal, "jobs")
    session.type(terminal, b"fg\n")
    session.expect(terminal, b"fg\r\nsleep 1000\r\n")
    session.run(other(terminal), "until grep -q '^State:.S' /proc/$(pidof sleep)/status; do :; done")
    session.type(terminal, b"\x03")
    session.expect(terminal, b"^C")
    session.expect(terminal, PROMPT)
    assert session.run(terminal, "jobs; pidof sleep") == ""


@both
def test_big_output(session, terminal):
    lines = session.run(terminal, "seq 1 30000 >/tmp/lines; cat /tmp/lines; dd if=/tmp/lines bs=7 2>/dev/null").split()
    assert lines == 2 * [str(n) for n in range(1, 30001)]


@both
def test_big_input(session, terminal):
    """Input that nobody reads yet waits in the device: none of it is lost."""
    data = b"".join(b"%05d\n" % n for n in range(10000))
    session.type(terminal, b"stty raw -echo; echo re''ady; until [ -e /tmp/go ]; do :; done; "
                           b"head -c %d >/tmp/in; stty sane; rm /tmp/go; cmp /tmp/in /tmp/wanted && echo sa''me\n" % len(data))
    session.run(other(terminal), "seq -w 10000 19999 | sed s/^1/0/ >/tmp/wanted")
    session.expect(terminal, b"ready")
    session.type(terminal, data[:32768])
    assert session.untaken(terminal) > 8192
    session.run(other(terminal), "touch /tmp/go")
    session.type(terminal, data[32768:])
    session.expect(terminal, b"same\r\n")
    session.expect(terminal, PROMPT)


def test_settings_survive_a_death(session):
    before = session.run("hvc0", f"stty -F /dev/{PORT} 9600 cs7 parenb cstopb; stty -F /dev/{PORT} -g; echo kill {DRIVER} "
                         f">/proc/halyard/services; until runs {DRIVER}; do :; done; stty -F /dev/{PORT} -g")
    first, second = before.split()
    assert first == second
    session.run("hvc0", f"stty -F /dev/{PORT} 115200 cs8 -parenb -cstopb")


COUNT = 20000


def counted() -> bytes:
    """How it looks on the terminal."""
    return b"begin\r\n" + b"".join(b"%d\r\n" % n for n in range(1, COUNT + 1))


def count_while_killed(session: Session, terminal: str, service: str) -> bytes:
    """What comes to a terminal on which a program counts, while its driver is killed again and again."""
    session.run(other(terminal), f"echo begin >/dev/{terminal}; seq 1 {COUNT} >/dev/{terminal} & kills {service}; wait; "
                f"echo finish >/dev/{terminal}")
    session.expect(terminal, b"begin\r\n")
    data = b"begin\r\n" + session.expect(terminal, b"finish\r\n")[:-8]
    restarts = session.run(other(terminal), f"grep '^{service} ' /proc/halyard/services | cut -d' ' -f12")
    assert int(restarts) >= KILLS
    return data


def test_serial_driver_is_killed_while_it_writes(session):
    """What arrives is in order, and no more is missing than the interface says."""
    data = count_while_killed(session, PORT, DRIVER)
    lines = data.split(b"\r\n")[1:-1]
    good = [int(line) for line in lines if re.fullmatch(rb"\d+", line) and int(line) <= COUNT]
    # Where something is missing the rest of a line may join another, and may look like a number.
    assert len(lines) - len(good) <= KILLS
    assert sum(1 for a, b in zip(good, good[1:]) if b <= a) <= KILLS
    assert len(counted()) - len(data) <= KILLS * LOST_A_KILL
    assert len(data) <= len(counted())
    assert session.run(PORT, "echo alive") == "alive\n"


def test_virtio_console_is_killed_while_it_writes(session):
    """Nothing is lost; the chunk that was under way may come again, from its beginning."""
    data, wanted = count_while_killed(session, "hvc0", "virtio_console"), counted()
    places, jumps = {0}, 0  # in what was written where the next byte may come from
    for i, byte in enumerate(data):
        going_on = {at + 1 for at in places if wanted[at:at + 1] == data[i:i + 1]}
        if not going_on:
            jumps += 1
            back = {at for end in places for at in range(max(end - CHUNK, 0), end)}
            going_on = {at + 1 for at in back if wanted[at] == byte}
            assert going_on, f"after {data[i - 60:i]!r} comes {data[i:i + 60]!r}"
        places = going_on
    assert len(wanted) in places and jumps <= KILLS
    assert session.run("hvc0", "echo alive") == "alive\n"


def test_killed_while_it_receives(session):
    """Typed characters may be lost with a driver; the line discipline and the shell are not."""
    session.type("hvc0", f"kills {DRIVER}; echo do''ne\n".encode())
    while b"done\r\n" not in session.seen["hvc0"]:
        session.type(PORT, b"#\n")
        assert session.pump(time.monotonic() + TIMEOUT_S)
    session.expect("hvc0", PROMPT)
    session.type(PORT, b"\x03\n\n")
    assert session.run(PORT, "echo alive") == "alive\n"


def test_hwrng(session):
    """As many bytes as were asked for, no two alike."""
    output = session.run(PORT, "cat /sys/class/misc/hw_random/rng_current; for i in 1 2 3 4; do head -c 32 /dev/hwrng | "
                         "hexdump -v -e '32/1 \"%02x\" \"\\n\"'; done; head -c 100001 /dev/hwrng | wc -c")
    name, *lines, length = output.split()
    assert name == "virtio_rng.0" and length == "100001"
    assert len(set(lines)) == 4 and all(re.fullmatch("[0-9a-f]{64}", line) for line in lines)
    words = {line[at:at + 8] for line in lines for at in range(0, 64, 8)}
    assert len(words) == 32


def test_virtio_rng_is_killed_while_it_is_read(session):
    output = session.run(PORT, "dd if=/dev/hwrng of=/tmp/random bs=512 count=400 iflag=fullblock 2>/dev/null & "
                         "kills virtio_rng; wait; wc -c </tmp/random; hexdump -v -e '16/1 \"%02x\" \"\\n\"' /tmp/random | sort | uniq -d")
    assert output.split()[-1] == "204800", output


def test_hwrng_without_its_service(session):
    output = session.run(PORT, "echo x >/dev/hwrng; echo stop virtio_rng >/proc/halyard/services; cat /dev/hwrng; "
                         "echo start virtio_rng >/proc/halyard/services; head -c 1 /dev/hwrng | wc -c")
    assert "Invalid argument" in output and "No such device" in output and output.endswith("1\n")


def test_window_size_by_ioctl(session):
    assert session.run("hvc0", "stty rows 31 cols 91; stty size") == "31 91\n"


# ---- one boot each ----

@pytest.mark.parametrize("isolation", CLASSES)
def test_everything_on_hvc0(kernel, isolation):
    """console=hvc0: the kernel's log, from its beginning, the first program's console, and what is said last."""
    session = Session(kernel, f"services={isolation} console=hvc0")
    try:
        log = session.expect("hvc0", PROMPT)
        assert re.search(rb"\] Halyard 0.1, entered by \w+\r\n", log) and b"] Run /init as init process\r\n" in log
        assert b"\r\nHalyard: this is Debian's busybox." in log
        session.type("hvc0", b"echo '<2>sp''oken' >/dev/kmsg; exit\n")
        while session.pump(time.monotonic() + TIMEOUT_S):
            pass
        assert re.search(rb"\r\n\[ +\d+\.\d+\] spoken\r\n", session.seen["hvc0"])
        assert session.seen["hvc0"].endswith(b"reboot: Power down\r\n")
    finally:
        session.close()


@only_on("x86_64", "QEMU's virt has one serial port")
@pytest.mark.parametrize("isolation", CLASSES)
def test_four_ports_on_two_lines(kernel, isolation):
    """ttyS0 and ttyS2 share an interrupt line, and ttyS1 and ttyS3."""
    session = Session(kernel, f"services={isolation} loglevel=2", 4)
    try:
        session.expect("ttyS0", PROMPT)
        session.run("ttyS0", KILL)
        session.run("ttyS0", "for n in 1 2 3; do stty raw -echo </dev/ttyS$n; done")
        for life in range(2):
            for here, there in ("ttyS2", "ttyS1"), ("ttyS1", "ttyS3"), ("ttyS3", "ttyS2"):
                data = b"".join(b"%04d\n" % n for n in range(2000))
                session.type("ttyS0", f"head -c {len(data)} </dev/{here} >/dev/{there}; echo en''d\n".encode())
                session.ports[here].sendall(data)
                got = b""
                while len(got) < len(data):
                    got += session.ports[there].recv(1 << 16)
                assert got == data
                session.expect("ttyS0", b"end\r\n")
                session.expect("ttyS0", PROMPT)
            if not life:
                session.run("ttyS0", "kills serial_console")
    finally:
        session.close()


def test_without_a_terminal_output_is_shown(console):
    text = console(f"panic=-1 rdinit=/init service.{DRIVER}=off")
    assert "Halyard: this is Debian's busybox." in text
    assert text.rstrip().endswith("reboot: Power down")


def test_panic_and_kernel_tests_without_a_terminal(console):
    text = console(f"panic=-1 halyard.ktest=log service.{DRIVER}=off")
    assert "ok 1 log" in text
    text = console(f"panic=-1 rdinit=/bin/false service.{DRIVER}=off")
    assert "Kernel panic - not syncing: Attempted to kill init!" in text


@only_on("x86_64", "the service that spoils ports knows 16550s")
def test_the_log_comes_through_a_spoiled_port(console):
    text = console("panic=-1 rdinit=/bin/false service.serial_console=off service.rude_uart=lowered")
    assert "was accepted" not in text
    assert "service rude_uart: not started: no device works" in text
    assert "Kernel panic - not syncing: Attempted to kill init!" in text
    assert "---[ end Kernel panic" in text


# ---- drivers that do not behave ----

fake = Batch("programs", machines=[MachineConfig(2)], append="service.fake=isolated service.fake.restarts=1000 loglevel=2", timeout=40)
# What all commands for the fake need: its faults so far; waiting until it runs; until a line stands so often in the log.
FAKE = ("ask() { echo $* >/dev/fake; }; faults() { grep ^fake /proc/halyard/services | cut -d' ' -f11; }; "
        "back() { until grep -q '^fake [a-z]* running' /proc/halyard/services; do :; done; }; "
        "logged() { until [ $(dmesg | grep -c \"$2\") = $1 ]; do :; done; }; "
        "fails() { f=$(faults); eval \"$1\"; until [ $(faults) != $f ]; do :; done; back; echo $(($(faults) - f)); }; ")
RESIZE, HOLD, SENT, AGAIN, SERIAL, TYPE, _, ENTROPY, UNASKED, CONSOLE, BAD_NAMES = range(11)
ECHOES, TAKES_TOO_MUCH, FAILS, LIES_DEAD, FULL_UP = range(5)
CONSTANT, BUSY, TOO_MUCH, REFUSES = range(4)
EIO, EINVAL = 5, 22


@fake.command(FAKE + f"stty size </dev/hvc7; setsid -c sh -c 'trap \"stty size >/tmp/size\" WINCH; echo >/tmp/up; "
              "until [ -s /tmp/size ]; do sleep 0.01; done' </dev/hvc7 >/dev/hvc7 2>&1 & "
              f"until [ -e /tmp/up ]; do :; done; ask {RESIZE} 132 50; wait; cat /tmp/size")
def test_resize_tells_the_foreground(result):
    assert result.text == "30 100\n50 132\n"


@fake.command(FAKE + f"ask {SENT}; ask {HOLD} 1; echo hello >/dev/hvc7; logged 1 'chunk of 7: hello'; echo more >/dev/hvc7; "
              "echo kill fake >/proc/halyard/services; logged 2 'chunk of 7: hello'; logged 1 'chunk of 6: more'; back; "
              f"echo third >/dev/hvc7; logged 1 'chunk of 7: third'; ask {SENT}")
def test_a_chunk_in_flight_is_sent_again(result):
    """And no other one; what waits behind it comes once."""
    assert result.text.count("Invalid argument") == 2 and len(result.text.splitlines()) == 2


@fake.command(FAKE + f"ask {AGAIN}; ask {UNASKED}; ask {BAD_NAMES}; echo $?")
def test_bad_registrations_and_answers_are_refused(result):
    assert result.text == "0\n"


@fake.command(FAKE + f"stty raw -echo </dev/ttyS3; for mode in {TAKES_TOO_MUCH} {FAILS} {LIES_DEAD}; do "
              f"fails \"ask {SERIAL} $mode; echo some >/dev/ttyS3\"; done; echo last >/dev/ttyS3; dd if=/dev/ttyS3 bs=5 count=3 2>/dev/null")
def test_a_bad_write_is_a_fault_of_the_service(result):
    """What was given to a write that said it had died counts as lost; what a liar took is still there for its successor."""
    assert result.text == "1\n1\n1\nsome\nsome\nlast\n"


@fake.command(FAKE + f"stty raw -echo </dev/ttyS3; ask {SERIAL} {FULL_UP}; seq 1 1000 >/dev/ttyS3 & seq 1 1000 >/tmp/wanted; "
              "echo kill fake >/proc/halyard/services; head -c 3893 </dev/ttyS3 | cmp - /tmp/wanted && wait $! && echo same")
def test_a_writer_waits_for_the_service(result):
    assert result.text == "same\n"


@fake.command(FAKE + f"stty raw -echo </dev/ttyS3; ask {TYPE} 100000; head -c 100000 </dev/ttyS3 | tr -d x | wc -c")
def test_input_stops_and_goes_on(result):
    assert result.text == "0\n"


@fake.command("/programs/fake_devices; dmesg | grep -c 'fake: break o[nf]'")
def test_system_calls(result):
    assert result.text == "fake_devices: ok\n2\n"


@fake.command(FAKE + f"for number in {EIO} {EINVAL}; do fails \"ask {CONSOLE} $number; echo $number >/dev/hvc7\"; "
              "logged 2 \"chunk of .: $number\"; done")
def test_a_bad_transmit_is_a_fault_of_the_service(result):
    assert result.text == "1\n1\n"


@fake.command(FAKE + "cat /sys/class/misc/hw_random/rng_current; head -c 1000 /dev/hwrng | tr -d '\\0' | wc -c; "
              f"for mode in {TOO_MUCH} {REFUSES}; do fails \"ask {ENTROPY} $mode; head -c 1000 /dev/hwrng | wc -c\"; done")
def test_bad_sources(result):
    assert result.text == "fake\n0\n1000\n1\n1000\n1\n"


stopped = Batch(append="quiet loglevel=3")


@stopped.command(f"echo stop {DRIVER} >/proc/halyard/services; echo visible; grep '^{DRIVER} ' /proc/halyard/services | cut -d' ' -f1-3; "
                 f"seq 1 2000; echo start {DRIVER} >/proc/halyard/services; echo again; tty </dev/console")
def test_output_is_shown_while_the_service_is_stopped(result):
    """The terminal gives it to the kernel's console."""
    numbers = "".join(f"{n}\n" for n in range(1, 2001))
    assert result.text.replace("\r", "") == f"visible\n{DRIVER} lowered unused\n{numbers}again\n/dev/console\n"

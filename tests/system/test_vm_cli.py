# SPDX-License-Identifier: MIT
"""./vm as a user sees it: output, status, time limits, signals, messages. Holds for any kernel."""

import os
import pty
import select
import signal
import socket
import subprocess
import time

import pytest

from conftest import ARCH, ROOT, Batch, CPUS, EVERY, initrd, vm

VM = os.path.join(ROOT, "vm")
TIMEOUT_S = 60

batch = Batch("busybox", machines=EVERY)
tools = Batch("debian-tools", machines=CPUS[:1])


@pytest.fixture(name="run_vm")
def run_vm_fixture(kernel):
    """run_vm(arguments...) runs ./vm and returns the finished process."""
    def run_vm(*arguments: str, **changes: object) -> subprocess.CompletedProcess:
        other = ["--kernel", kernel] if kernel else []
        changes.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([VM, *other, *arguments], capture_output=True, timeout=TIMEOUT_S,
                              check=False, **changes)
    return run_vm


# --- commands that share a boot --------------------------------------------------------------------

@batch.command("nproc")
def test_number_of_cpus(machine, result):
    assert (result.text, result.status) == (f"{machine.cpus}\n", 0)


@batch.command("false")
def test_status_false(result):
    assert (result.text, result.status) == ("", 1)


@batch.command(["sh", "-c", "echo out; echo err >&2; exit 7"])
def test_output_errors_and_status(result):
    assert (result.text, result.status) == ("out\nerr\n", 7)


@batch.command("kill -9 $$")
def test_killed_command_has_128_plus_signal(result):
    assert result.status == 128 + signal.SIGKILL


@batch.command(["no-such-command"])
def test_unknown_command(result):
    assert result.status == 127


@batch.command(["printf", "%s|", "a b", "", "$HOME", "it's", 'quo"ted', "back\\slash"])
def test_arguments_arrive_unchanged(result):
    assert result.text == "a b||$HOME|it's|quo\"ted|back\\slash|"


@batch.command(r"printf '\000\001\n\r\n\t\033\377no newline'")
def test_bytes_arrive_unchanged(result):
    assert result.output == b"\0\1\n\r\n\t\x1b\xffno newline"


@batch.command("cat")
def test_standard_input_is_empty(result):
    assert (result.text, result.status) == ("", 0)


@batch.command("cat /bin/busybox | md5sum; md5sum </bin/busybox")
def test_large_file_read_twice(result):
    first, second = result.text.splitlines()
    assert first == second and len(first.split()[0]) == 32


@batch.command("cat /bin/busybox")
def test_large_output_is_exact(result):
    with open(os.path.join(ROOT, "build", ARCH, "busybox"), "rb") as file:
        assert result.output == file.read()


@batch.command("echo 'Kernel panic - not at all'; sleep 1; echo end")
def test_words_of_a_panic_are_no_panic(result):
    assert result.text == "Kernel panic - not at all\nend\n"


@batch.command("hostname; cd /nowhere")
def test_hostname_and_shell_errors(result):
    assert result.text.startswith("halyard\n") and result.status != 0


@tools.command("ls --version | head -n 1; ps --version")
def test_the_images_own_programs_run(result):
    assert "GNU coreutils" in result.text and "procps" in result.text


# --- boots of their own ----------------------------------------------------------------------------

def test_command_line(run_vm):
    done = run_vm("--cpus", "2", "--", "sh", "-c", "nproc; exit 3")
    assert (done.stdout, done.returncode) == (b"2\n", 3), done.stderr


def test_append_reaches_the_kernel(run_vm):
    done = run_vm("--append", "first.word=1", "--append", "second.word", "--", "cat", "/proc/cmdline")
    assert b"first.word=1 second.word" in done.stdout


def test_timeout(run_vm):
    started = time.monotonic()
    done = run_vm("--timeout", "10", "--", "echo before; sleep 100")
    assert (done.stdout, done.returncode) == (b"before\n", 124), done.stderr
    assert time.monotonic() - started < 20


def test_panic_by_exit_of_init(run_vm, tmp_path):
    """An init that ends is the one panic that every kernel has."""
    image = tmp_path / "image.cpio"
    init = tmp_path / "init"
    init.write_text("#!/bin/busybox sh\nexit 3\n")
    subprocess.run(["python3", os.path.join(ROOT, "tools", "initrd.py"), "--arch", ARCH, "--package", "busybox-static",
                    "--init", str(init), "-o", str(image)], check=True)
    done = run_vm("--initrd", str(image), "--timeout", "30")
    assert done.returncode == 125, done.stdout
    assert b"panic" in done.stdout.lower()


def test_end_of_qemu_is_an_error(run_vm):
    done = run_vm("--qemu-arg=-no-such-option", "--", "true")
    assert done.returncode == 125
    assert b"no-such-option" in done.stderr


@pytest.mark.parametrize("arguments", [["--cpus", "0", "--", "true"], ["--arch", "vax"], ["--"],
                                       ["--no-such-option"]])
def test_usage_errors(run_vm, arguments):
    done = run_vm(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"usage: vm" in done.stderr


@pytest.mark.parametrize("option", ["--initrd", "--disk"])
def test_missing_files_are_named(run_vm, option):
    done = run_vm(option, "/no/such/file", "--", "true")
    assert done.returncode == 126
    assert b"/no/such/file" in done.stderr


@pytest.mark.skipif(not vm.MACHINES[ARCH].direct, reason="QEMU takes the ELF file of this CPU's kernel")
def test_the_wrong_file_of_the_kernel_is_refused(run_vm):
    done = run_vm("--kernel", vm.Options(arch=ARCH).built("halyard"), "--", "true")
    assert done.returncode == 126
    assert b"is an ELF file" in done.stderr and b"halyard.Image" in done.stderr


def test_console_and_random_numbers(kernel, tmp_path):
    """--hvc waits for somebody at the socket; --rng is a device."""
    path = str(tmp_path / "hvc")
    other = ["--kernel", kernel] if kernel else []
    command = "echo there >/dev/hvc0; head -n 1 </dev/hvc0; head -c 10 /dev/hwrng | wc -c"
    with subprocess.Popen([VM, *other, "--hvc", path, "--rng", "--", command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as process, socket.socket(socket.AF_UNIX) as hvc:
        until = time.monotonic() + TIMEOUT_S
        while hvc.connect_ex(path) != 0:
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.01)
        hvc.settimeout(TIMEOUT_S)
        assert hvc.recv(100) == b"there\r\n"
        hvc.sendall(b"here\n")
        assert process.stdout.read() == b"here\n10\n"


def test_missing_qemu_says_what_to_install(run_vm, tmp_path):
    os.symlink("/usr/bin/python3", tmp_path / "python3")
    os.symlink("/usr/bin/env", tmp_path / "env")
    done = run_vm("--", "true", env={"PATH": str(tmp_path), "ARCH": ARCH})
    assert done.returncode == 126
    assert vm.MACHINES[ARCH].package.encode() in done.stderr and b"apt-get install" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_our_qemu(kernel, number):
    """Also SIGKILL, which vm cannot handle."""
    other = ["--kernel", kernel] if kernel else []
    with subprocess.Popen([VM, *other, "--", "echo up; sleep 100"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        ready, _, _ = select.select([process.stdout], [], [], TIMEOUT_S)
        assert ready and process.stdout.readline() == b"up\n"
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        with open(children, encoding="ascii") as file:
            qemu = int(file.read())
        process.send_signal(number)
        status = process.wait(timeout=10)
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    until = time.monotonic() + 10
    while is_running(qemu):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether the process lives; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_piped_console(run_vm):
    done = run_vm(stdin=None, input=b"echo $((6*7))a; exit\n")
    assert done.returncode == 0
    assert b"42a" in done.stdout


class Terminal:
    """./vm on a pseudo-terminal."""

    def __init__(self, *arguments: str):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execv(VM, [VM, *arguments])
        self.seen = b""

    def expect(self, text: bytes) -> bytes:
        """What came up to `text`, with it."""
        until = time.monotonic() + TIMEOUT_S
        while text not in self.seen:
            ready, _, _ = select.select([self.descriptor], [], [], until - time.monotonic())
            assert ready, f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self.descriptor, 4096)
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, keys: bytes) -> None:
        """Presses keys."""
        os.write(self.descriptor, keys)

    def status(self) -> int:
        """vm's exit status; the keys for the end must have been pressed."""
        try:
            while os.read(self.descriptor, 4096):
                pass
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_interactive_console(kernel):
    """Line editing, ^C, job control, window size and the escape key, as at a real terminal."""
    other = ["--kernel", kernel] if kernel else []
    terminal = Terminal("--initrd", initrd("busybox"), *other)
    terminal.expect(b"halyard:~# ")
    terminal.type(b"stty size; echo $TERM | wc -l\r")
    terminal.expect(b"\n24 80\r\n1\r\n")
    terminal.type(b"sleep 100\r")
    time.sleep(1)
    terminal.type(b"\x1a")
    terminal.expect(b"Stopped")
    terminal.type(b"jobs | grep -c sleep; kill %1; cat\r")
    terminal.expect(b"\n1\r\n")
    time.sleep(1)
    terminal.type(b"\x03")
    terminal.expect(b"halyard:~# ")
    terminal.type(b"\x01?")
    terminal.expect(b"Ctrl-A X quits")
    terminal.type(b"\x01x")
    assert terminal.status() == 0


def test_exit_of_the_shell_powers_off(kernel):
    other = ["--kernel", kernel] if kernel else []
    terminal = Terminal("--initrd", initrd("busybox"), *other)
    terminal.expect(b"halyard:~# ")
    terminal.type(b"exit\r")
    assert terminal.status() == 0

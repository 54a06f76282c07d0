# SPDX-License-Identifier: MIT
"""Boots a kernel in QEMU: an interactive console, or commands whose output and status come back.

A command travels in a small cpio archive behind the initramfs, with a busybox and an init of its
own, so any initramfs will do. That init runs the command with the serial console as its terminal
and prints two lines around its output, marked with a random word:

    <nonce> start N
    ... what the command writes, byte for byte ...
    <nonce> exit N STATUS

Nothing here needs Halyard: any kernel that boots by `qemu -kernel` and takes an initramfs will do.
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import re
import secrets
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import initrd as cpio

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXIT_USAGE, EXIT_TIMEOUT, EXIT_PANIC, EXIT_CANNOT = 2, 124, 125, 126
PANIC = re.compile(rb"K(?:ernel panic|ERNEL PANIC)")
# Piped input is typed when the console has been silent for so long: what comes before a program has
# opened the terminal would be lost.
SILENCE_S = 0.5
# A panicking kernel may still print registers and backtraces; after this it is taken as hung.
PANIC_GRACE_S = 5.0
F_SETPIPE_SZ = 1031
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Machine:
    """What differs from one CPU architecture to the other."""
    qemu: str
    package: str
    board: str
    console: str
    loader: str
    direct: str # behind the kernel's name: what `-kernel` takes, where that is not the ELF file


MACHINES = {
    "x86_64": Machine("qemu-system-x86_64", "qemu-system-x86",
                      "q35", "ttyS0", "BOOTX64.EFI", ""),
    "aarch64": Machine("qemu-system-aarch64", "qemu-system-arm",
                       "virt", "ttyAMA0", "BOOTAA64.EFI", ".Image"),
}


@dataclass(frozen=True)
class Firmware:
    """UEFI for a CPU architecture: where it may lie, Debian's package, and a disk that it boots from: one
    that the kernel has no driver for, so that /dev/vda is the first of --disk."""
    paths: tuple[str, ...]
    package: str
    disk: tuple[str, ...]


FIRMWARE = {
    "x86_64": Firmware(("/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF_CODE.fd",
                        "/usr/share/qemu/OVMF.fd"), "ovmf", ("ide-hd",)),
    "aarch64": Firmware(("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",), "qemu-efi-aarch64",
                        ("virtio-scsi-pci", "scsi-hd")),
}


class VmError(Exception):
    """The guest could not do what was asked.

    `console` is the end of what it printed, `results` what ended before that.
    """
    status = EXIT_CANNOT

    def __init__(self, message: str, console: bytes = b""):
        super().__init__(message)
        self.console = console
        self.results: list["Result"] = []


class VmTimeout(VmError):
    """The time was up."""
    status = EXIT_TIMEOUT


class VmPanic(VmError):
    """The kernel panicked."""
    status = EXIT_PANIC


class VmEnded(VmError):
    """QEMU ended before the command did."""
    status = EXIT_PANIC


@dataclass
class Options:
    """How to boot. Without `kernel` and `initrd`, what `make` builds."""
    arch: str = os.environ.get("ARCH", "x86_64")
    cpu: str = "max"
    board: str = ""
    cpus: int = 1
    memory: str = "512M"
    kernel: str | None = None
    initrd: str | None = None
    disks: list[str] = field(default_factory=list)
    hvc: str | None = None
    rng: bool = False
    append: str = ""
    uefi: bool = False
    timeout: float | None = None
    verbose: bool = False
    icount: bool = False
    qemu_args: list[str] = field(default_factory=list)

    def built(self, name: str) -> str:
        """The path of something that `make` builds."""
        return os.path.join(ROOT, "build", self.arch, name)

    def built_kernel(self, name: str) -> str:
        """The path of a kernel that `make` builds, as it is booted."""
        return self.built(name) + ("" if self.uefi else MACHINES[self.arch].direct)


@dataclass
class Result:
    """What one command did."""
    command: list[str] | str
    status: int
    output: bytes

    @property
    def text(self) -> str:
        """The output as text."""
        return self.output.decode(errors="replace")


def note(message: str) -> None:
    """Says something to the user, apart from the guest's output."""
    print(f"vm: {message}", file=sys.stderr, flush=True)


# --- what is booted -------------------------------------------------------------------------------

def make(arch: str, *targets: str) -> None:
    """Builds something that is missing."""
    note(f"building {' '.join(targets)}")
    jobs = f"-j{os.cpu_count() or 1}"
    command = ["make", "-C", ROOT, jobs, f"ARCH={arch}", *targets]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise VmError(f"`make {' '.join(targets)}` failed; `tools/deps` installs what a build needs")


def need(arch: str, path: str) -> str:
    """`path`, which `make` builds, built if it is not there."""
    if not os.path.exists(path):
        make(arch, os.path.relpath(path, ROOT))
    return path


def check_qemu(machine: Machine) -> str:
    """QEMU's path, or an error that says what to install."""
    install = f"on Debian: apt-get install {machine.package}"
    path = shutil.which(machine.qemu)
    if path is None:
        raise VmError(f"{machine.qemu} is not installed; {install}")
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version (\d+)\.(\d+)", text)
    if version is None or (int(version[1]), int(version[2])) < (7, 2):
        raise VmError(f"{path} is older than 7.2: {text.splitlines()[:1]}; {install}")
    return path


INIT = """#!/.vm/busybox sh
B=/.vm/busybox
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
$B mkdir -p /dev /proc /sys /tmp /run
$B mount -t devtmpfs devtmpfs /dev 2>/.vm/log
$B mkdir -p /dev/pts /dev/shm
for m in proc:/proc sysfs:/sys devpts:/dev/pts tmpfs:/dev/shm tmpfs:/tmp tmpfs:/run; do
	$B mount -t ${m%%:*} ${m%%:*} ${m#*:} 2>/.vm/log
done
for l in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
	[ -e /dev/${l%%:*} ] || $B ln -s ${l#*:} /dev/${l%%:*} 2>/.vm/log
done
$B hostname halyard 2>/.vm/log
$B stty -opost -echo </dev/console 2>/.vm/log
# One session for all commands: the end of a session throws away what its terminal has not sent yet.
$B setsid -c $B sh /.vm/session </dev/console >/dev/console 2>&1
$B poweroff -f
"""

SESSION = """B=/.vm/busybox
cd /root 2>/.vm/log || cd /
for n in @NUMBERS@; do
	echo "@NONCE@ start $n"
	$B sh /.vm/$n
	echo "@NONCE@ exit $n $?" >/dev/console
done
@SYNC@
echo "@NONCE@ done" >/dev/console
$B poweroff -f
"""


def command_script(command: list[str] | str) -> bytes:
    """The guest's script for one command, run by the image's own shell where there is one.

    A list runs as it is, a string as a line of shell. Standard input is empty. The overlay's
    busybox prefers its own applets to the image's programs, so it may not look for the command.
    """
    if isinstance(command, str):
        words = ["-c", command]
    else:
        words = ["-c", 'exec "$@"', "sh", *command]
    line = shlex.join(words)
    return (f"exec </dev/null\n[ -x /bin/sh ] && exec /bin/sh {line}\n"
            f"exec /.vm/busybox sh {line}\n").encode()


def command_overlay(options: Options, commands: list[list[str] | str], nonce: str) -> bytes:
    """The archive that carries commands into the guest."""
    with open(need(options.arch, options.built("busybox")), "rb") as file:
        busybox = file.read()
    numbers = " ".join(str(n) for n in range(len(commands)))
    session = SESSION.replace("@NUMBERS@", numbers).replace("@NONCE@", nonce)
    session = session.replace("@SYNC@", "$B sync" if options.disks else ":")
    files = {".vm/busybox": (0o755, busybox), ".vm/init": (0o755, INIT.encode()),
             ".vm/session": (0o644, session.encode())}
    for number, command in enumerate(commands):
        files[f".vm/{number}"] = (0o644, command_script(command))
    return cpio.overlay(files)


def concatenated(first: str, second: bytes, path: str) -> str:
    """A file of the archive `first` and behind it, aligned, `second`."""
    shutil.copyfile(first, path)
    with open(path, "ab") as file:
        file.write(bytes(-file.tell() % 512) + second)
    return path


def disk_arguments(options: Options) -> list[str]:
    """QEMU's arguments for --disk."""
    arguments = []
    for number, path in enumerate(options.disks):
        try:
            with open(path, "rb") as file:
                form = "qcow2" if file.read(4) == b"QFI\xfb" else "raw"
        except OSError as error:
            raise VmError(f"--disk {path}: {error.strerror}") from error
        quoted = path.replace(",", ",,")
        arguments += ["-drive", f"file={quoted},if=none,id=disk{number},format={form}",
                      "-device", f"virtio-blk-pci,drive=disk{number}"]
    return arguments


def device_arguments(options: Options) -> list[str]:
    """QEMU's arguments for --hvc and --rng."""
    arguments = []
    if options.hvc is not None:
        quoted = options.hvc.replace(",", ",,")
        arguments += ["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=hvc0",
                      "-chardev", f"socket,id=hvc0,path={quoted},server=on,wait=on"]
    if options.rng:
        arguments += ["-device", "virtio-rng-pci"]
    return arguments


def boot_arguments(options: Options, kernel: str, initrd: str, append: str, folder: str) -> list[str]:
    """QEMU's arguments for what is booted, by -kernel or from a private UEFI disk image."""
    if not options.uefi:
        return ["-kernel", kernel, "-initrd", initrd, "-append", append]
    firmware = FIRMWARE[options.arch]
    code = next((path for path in firmware.paths if os.path.exists(path)), None)
    if code is None:
        raise VmError(f"no UEFI firmware; on Debian: apt-get install {firmware.package}")
    need(options.arch, options.built(f"boot/{MACHINES[options.arch].loader}"))
    image = os.path.join(folder, "esp.img")
    tool = os.path.join(ROOT, "tools", "mkimage.py")
    result = subprocess.run(
        [sys.executable, tool, "--arch", options.arch, "--kernel", kernel, "--initrd", initrd,
         "--cmdline", append, "-o", image], capture_output=True, text=True, check=False, cwd=ROOT)
    if result.returncode != 0:
        raise VmError(f"mkimage.py failed: {result.stderr.strip()}")
    return ["-bios", code, "-drive", f"file={image},if=none,id=esp,format=raw,snapshot=on",
            *(word for device in firmware.disk[:-1] for word in ("-device", device)),
            "-device", f"{firmware.disk[-1]},drive=esp,bootindex=0"]


# --- the guest ------------------------------------------------------------------------------------

def die_with_parent() -> None:
    """In the child: get SIGKILL when vm dies in a way that it cannot clean up after."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Guest:
    """A QEMU of ours and its serial line. Use as a context manager: leaving it kills the QEMU."""

    def __init__(self, options: Options, append: str, overlay: bytes = b""):
        machine = MACHINES[options.arch]
        qemu = check_qemu(machine)
        kernel = options.kernel or need(options.arch, options.built_kernel("halyard"))
        initrd = options.initrd or need(options.arch, options.built("initrd.cpio"))
        for path in (kernel, initrd):
            if not os.access(path, os.R_OK):
                raise VmError(f"cannot read {path}")
        if machine.direct and not options.uefi:
            with open(kernel, "rb") as file:
                if file.read(4) == b"\x7fELF":
                    raise VmError(f"{kernel} is an ELF file, which QEMU would start without telling it of the machine; "
                                  f"what it boots here is called {os.path.basename(kernel)}{machine.direct}")
        self.folder = tempfile.mkdtemp(prefix="halyard-vm-")
        try:
            if overlay:
                initrd = concatenated(initrd, overlay, os.path.join(self.folder, "initrd"))
            append = f"console={machine.console} {append} {options.append}".strip()
            # With -icount the guest's clock counts instructions: a figure repeats to the digit.
            speed = (["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"] if options.icount
                     else ["-accel", "tcg,thread=multi"])
            board = ",".join(filter(None, (machine.board, options.board)))
            command = [qemu, "-M", board, "-cpu", options.cpu, *speed, "-nodefaults", "-display", "none",
                       "-no-reboot", "-m", options.memory, "-smp", str(options.cpus),
                       "-chardev", "stdio,id=serial0,signal=off", "-serial", "chardev:serial0",
                       *boot_arguments(options, kernel, initrd, append, self.folder),
                       *disk_arguments(options), *device_arguments(options), *options.qemu_args]
            if options.verbose:
                note(shlex.join(command))
            # Its own process group keeps the terminal's ^C for the one who can clean up: us.
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, process_group=0, preexec_fn=die_with_parent)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.deadline = None if options.timeout is None else time.monotonic() + options.timeout
        self.output = self.process.stdout.fileno()
        self.input = self.process.stdin.fileno()
        # QEMU drops characters when the pipe stays full for long.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.output, F_SETPIPE_SZ, 1 << 20)
        os.set_blocking(self.output, False)
        os.set_blocking(self.input, False)

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def read(self, extra: int | None = None, until: float | None = None) -> tuple[bytes | None, bool]:
        """Waits for serial output, or for the file descriptor `extra`.

        Returns the bytes and whether `extra` is ready. The bytes are None when QEMU has ended, and
        empty when only `extra` is ready or the time `until` has come. Raises VmTimeout.
        """
        watched = [self.output] + ([extra] if extra is not None else [])
        ends = [end for end in (self.deadline, until) if end is not None]
        wait = max(0.0, min(ends) - time.monotonic()) if ends else None
        ready, _, _ = select.select(watched, [], [], wait)
        if self.output in ready:
            # A guest that speaks was loaded: nobody opens these files again, and none will be left
            # behind should we be killed.
            shutil.rmtree(self.folder, ignore_errors=True)
            return os.read(self.output, 1 << 16) or None, extra in ready
        if not ready and self.deadline is not None and time.monotonic() >= self.deadline:
            raise VmTimeout("the time is up")
        return b"", extra in ready

    def write(self, data: bytes) -> None:
        """Types on the serial line; waits for a guest that reads slowly. Nobody hears after the end."""
        while data and self.process.poll() is None:
            select.select([], [self.input], [], 1.0)
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                data = data[os.write(self.input, data):]

    def complaint(self) -> str:
        """After QEMU's end: what it said, or how it ended."""
        self.process.wait()
        said = self.process.stderr.read().decode(errors="replace").strip()
        if not said and self.process.returncode == 0:
            return "the machine was reset or powered off"
        return said or f"exit status {self.process.returncode}"


class Scanner:
    """Splits the serial line into what commands print and the marked lines around it."""

    def __init__(self, nonce: str):
        self.mark = nonce.encode()
        self.pending = b""

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Yields ("text", bytes) and ("mark", rest of the line). A cut mark waits for the rest."""
        self.pending += data
        while (at := self.pending.find(self.mark)) >= 0:
            end = self.pending.find(b"\n", at)
            if at:
                yield "text", self.pending[:at]
            if end < 0:
                self.pending = self.pending[at:]
                return
            yield "mark", self.pending[at + len(self.mark):end].strip()
            self.pending = self.pending[end + 1:]
        keep = next((n for n in range(min(len(self.mark) - 1, len(self.pending)), 0, -1)
                     if self.pending.endswith(self.mark[:n])), 0)
        end = len(self.pending) - keep
        text, self.pending = self.pending[:end], self.pending[end:]
        if text:
            yield "text", text


def run_commands(options: Options, commands: list[list[str] | str],
                 on_output: Callable[[bytes], None] = lambda data: None,
                 on_log: Callable[[bytes], None] = lambda data: None) -> list[Result]:
    """Runs commands one after the other in one boot.

    `on_output` gets what they print as it comes, `on_log` what the kernel prints outside of them.
    Raises a VmError when not all of them ended.
    """
    results: list[Result] = []
    try:
        collect_results(options, commands, results, on_output, on_log)
    except VmError as error:
        error.results = results
        raise
    return results


def collect_results(options: Options, commands: list[list[str] | str], results: list[Result],
                    on_output: Callable[[bytes], None], on_log: Callable[[bytes], None]) -> None:
    """Boots and adds to `results` as commands end."""
    nonce = "vm-" + secrets.token_hex(12)
    quiet = "" if options.verbose else "quiet loglevel=3 "
    append = f"{quiet}panic=-1 rdinit=/.vm/init"
    scanner = Scanner(nonce)
    running: bytearray | None = None
    console = bytearray()
    panic_end = None
    with Guest(options, append, command_overlay(options, commands, nonce)) as guest:
        while True:
            try:
                data, _ = guest.read(until=panic_end)
            except VmTimeout as error:
                error.console = bytes(console[-8192:])
                raise
            if data is None:
                if len(results) == len(commands):
                    return
                error = VmPanic("the kernel panicked") if panic_end else VmEnded(
                    f"QEMU ended before the command did: {guest.complaint()}")
                error.console = bytes(console[-8192:])
                raise error
            if panic_end is not None and time.monotonic() >= panic_end:
                raise VmPanic("the kernel panicked", bytes(console[-8192:]))
            console = console[-16384:] + data
            for kind, text in scanner.feed(data):
                if kind == "text":
                    if running is None:
                        on_log(text)
                    else:
                        running += text
                        on_output(text)
                elif text.startswith(b"start"):
                    running = bytearray()
                elif text.startswith(b"exit"):
                    _, number, status = text.split()
                    results.append(Result(commands[int(number)], int(status), bytes(running)))
                    # A command may well print these words; then it lives on to this mark.
                    running, panic_end = None, None
                elif text == b"done":
                    return
            if panic_end is None and PANIC.search(console, max(0, len(console) - len(data) - 16)):
                panic_end = time.monotonic() + PANIC_GRACE_S


def run_console(options: Options, append: str = "panic=-1 rdinit=/init") -> bytes:
    """Boots, types nothing, and returns all that the console shows until the machine goes off."""
    console = bytearray()
    with Guest(options, append) as guest:
        try:
            while (data := guest.read()[0]) is not None:
                console += data
        except VmTimeout as error:
            error.console = bytes(console)
            raise
        if guest.process.wait() != 0:
            raise VmEnded(f"QEMU ended: {guest.complaint()}", bytes(console))
    return bytes(console)


# --- the command line -------------------------------------------------------------------------------

@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """The host's terminal in raw mode."""
    saved = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)


class Escape:
    """The keys that vm keeps for itself: Ctrl-A, then X quits, Ctrl-A sends one, ? helps."""
    KEY = 0x01
    HELP = b"\r\nvm: Ctrl-A X quits, Ctrl-A Ctrl-A sends Ctrl-A\r\n"

    def __init__(self) -> None:
        self.pressed = False
        self.quit = False

    def filter(self, data: bytes) -> bytes:
        """The bytes that go to the guest."""
        out = bytearray()
        for byte in data:
            if self.pressed:
                self.pressed = False
                if byte in b"xX":
                    self.quit = True
                    break
                if byte == self.KEY:
                    out.append(byte)
                else:
                    os.write(sys.stderr.fileno(), self.HELP)
            elif byte == self.KEY:
                self.pressed = True
            else:
                out.append(byte)
        return bytes(out)


def emit(data: bytes) -> None:
    """Writes all of `data` to standard output at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def interact(options: Options) -> int:
    """The console. Piped input is typed in, with an end of file (^D) behind it."""
    terminal = sys.stdin.isatty()
    size = os.get_terminal_size(sys.stdin.fileno()) if terminal else os.terminal_size((80, 24))
    name = os.environ.get("TERM", "vt100") if terminal else "dumb"
    append = f"panic=-1 rdinit=/init TERM={name} LINES={size.lines} COLUMNS={size.columns}"
    escape = Escape()
    tail = b""
    panicked = False
    source: int | None = sys.stdin.fileno()
    silent_at = None
    line_start = True
    with Guest(options, append) as guest, contextlib.ExitStack() as stack:
        if terminal:
            note("Ctrl-A X quits")
            stack.enter_context(raw_terminal(source))
        while not escape.quit:
            listening = terminal or silent_at is not None and time.monotonic() >= silent_at
            data, typed = guest.read(source if listening else None, None if listening else silent_at)
            if data is None:
                break
            if data and not listening:
                silent_at = time.monotonic() + SILENCE_S
            emit(data)
            tail = (tail + data)[-4096:]
            panicked = panicked or PANIC.search(tail) is not None
            if typed:
                keys = os.read(source, 4096)
                if not keys:
                    source = None
                    guest.write(b"" if terminal else b"\x04" if line_start else b"\n\x04")
                elif terminal:
                    guest.write(escape.filter(keys))
                else:
                    guest.write(keys)
                    line_start = keys.endswith(b"\n")
        else:
            return 0
        complaint = guest.complaint()
        if guest.process.returncode != 0:
            raise VmEnded(f"QEMU ended: {complaint}")
    return EXIT_PANIC if panicked else 0


def parse(arguments: list[str]) -> tuple[Options, list[str]]:
    """The command line: options, and the command behind `--`."""
    command: list[str] = []
    bare = arguments[-1:] == ["--"]
    if "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(
        prog="vm", usage="vm [options] [-- COMMAND...]",
        description="Boot Halyard in QEMU. With a command, run that in the guest and pass its output "
                    "and exit status through; without one, be its console (Ctrl-A X quits).",
        epilog="A command of one word with spaces is a line of shell. Its standard input is empty, its "
               "output and errors come on standard output. Exit status: the command's; 124 when the "
               "time was up; 125 when the kernel panicked or QEMU ended; 126 when it could not start.")
    default = Options()
    parser.add_argument("--arch", default=default.arch, choices=MACHINES,
                        help="the CPU; default $ARCH, or else x86_64")
    parser.add_argument("--cpu", default=default.cpu, metavar="NAME",
                        help="the CPU to emulate, as QEMU's -cpu takes it; default max")
    parser.add_argument("--board", default=default.board, metavar="PROPERTIES",
                        help="properties of QEMU's machine (aarch64: gic-version=2, for instance)")
    parser.add_argument("--cpus", "-c", type=int, default=default.cpus, metavar="N", help="default 1")
    parser.add_argument("--memory", "-m", default=default.memory, metavar="M",
                        help="as QEMU takes it: megabytes, or with a suffix; default 512M")
    parser.add_argument("--kernel", "-k", metavar="F", help="another kernel, Linux for instance")
    parser.add_argument("--initrd", "-i", metavar="F", help="another initramfs")
    parser.add_argument("--disk", action="append", default=[], dest="disks", metavar="F",
                        help="a disk image (virtio-blk, raw or qcow2); may be repeated")
    parser.add_argument("--hvc", metavar="S",
                        help="a virtio console, /dev/hvc0 in the guest and the socket S here; the "
                             "machine starts when somebody has connected to S")
    parser.add_argument("--rng", action="store_true", help="a virtio random number generator")
    parser.add_argument("--append", "-a", action="append", default=[], metavar="S",
                        help="add to the kernel's command line")
    parser.add_argument("--uefi", action="store_true", help="boot by UEFI firmware and our own loader")
    parser.add_argument("--timeout", type=float, metavar="S", help="give up after S seconds")
    parser.add_argument("--verbose", "-v", action="store_true",
                        help="show QEMU's command line and, on standard error, the kernel's log")
    parser.add_argument("--icount", action="store_true",
                        help="let the guest's clock count instructions, 1 ns each; for measuring")
    parser.add_argument("--qemu-arg", action="append", default=[], dest="qemu_args", metavar="ARG",
                        help="an argument for QEMU as it is; may be repeated")
    found = vars(parser.parse_args(arguments))
    if bare:
        parser.error("no command behind --")
    found["append"] = " ".join(found["append"])
    if found["cpus"] < 1:
        parser.error("--cpus must be at least 1")
    return Options(**found), command


def run(options: Options, command: list[str]) -> int:
    """Runs one command with its output as it comes."""
    log = bytearray()

    def on_log(data: bytes) -> None:
        log.extend(data)
        if options.verbose:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()

    started = False

    def on_output(data: bytes) -> None:
        nonlocal started
        started = True
        emit(data)

    line: list[str] | str = command[0] if len(command) == 1 else command
    try:
        return run_commands(options, [line], on_output, on_log)[0].status
    except VmError as error:
        if error.console and not started and not options.verbose:
            sys.stderr.buffer.write(error.console.replace(b"\r", b"").rstrip() + b"\n")
            sys.stderr.buffer.flush()
        raise


def on_signal(number: int, _: object) -> None:
    """Leaves through the context managers, so that our QEMU ends with us."""
    raise SystemExit(128 + number)


def main(arguments: list[str]) -> int:
    """Returns vm's exit status."""
    options, command = parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        return run(options, command) if command else interact(options)
    except VmError as error:
        note(str(error))
        return error.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE

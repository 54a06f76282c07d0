# SPDX-License-Identifier: MIT
"""Tracing: the test programs about registers and privilege, and Debian's strace and gdb inside of the guest.

The programs of tests/programs that have to do with it run by test_programs.py.
"""

import re

from conftest import ARCH, CPUS, Batch, MachineConfig

MACHINES = [CPUS[0], CPUS[2]]
BACKENDS = [MachineConfig(2, elevate="views"), MachineConfig(2, elevate="flat")]
DEBUGGEE = "/programs/ptrace_debuggee"
SIGNAL = "-ex 'handle SIGUSR1 nostop noprint pass'"

programs = Batch("programs", machines=MACHINES)
elevating = Batch("programs", machines=BACKENDS, append="halyard.elevate=/programs/ptrace_elevate")
tools = Batch("debug-tools", machines=MACHINES, timeout=240)


def gdb(*commands: str, start: str = "") -> str:
    """A shell's line that runs gdb on the debuggee."""
    lines = " ".join(f"-ex '{command}'" for command in commands)
    return f"{start} HOME=/tmp gdb -nx -q -batch {SIGNAL} {lines} {DEBUGGEE} 2>&1 </dev/null"


@programs.command("/programs/ptrace_registers")
def test_registers(result):
    assert result.status == 0, result.text
    assert "FAIL" not in result.text


@programs.command("for i in 1 2 3 4 5; do /programs/ptrace_stops race || exit; "
                  "/programs/ptrace_stops attach_race || exit; done; grep -c Z /proc/[0-9]*/stat | grep -v :0; true")
def test_races_again_and_again(result):
    assert result.status == 0, result.text
    assert "FAIL" not in result.text
    assert result.text.count("race: ok\n") == 10


@elevating.command("/programs/ptrace_elevate")
def test_tracing_gives_no_privilege(result):
    assert (result.status, result.text) == (0, "ptrace_elevate: ok\n")


# --- strace -----------------------------------------------------------------------------------------

@tools.command(f"strace -f -o /tmp/log {DEBUGGEE} && cat /tmp/log")
def test_strace_follows_threads_and_children(result):
    text = result.text
    assert text.startswith("ptrace_debuggee: ok\n"), text
    assert 'openat(AT_FDCWD, "/no/such/file", O_RDONLY) = -1 ENOENT' in text
    assert "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_TKILL" in text
    assert re.search(r'execve\("/proc/self/exe", \["ptrace_debuggee", "child"\], .*(= 0|<unfinished)', text)
    assert text.count("+++ exited with 0 +++") == 4 and text.count("+++ exited with 4 +++") == 1
    assert re.search(r"wait4\(.*WEXITSTATUS\(s\) == 4", text) or "<... wait4 resumed>" in text
    assert len(set(re.findall(r"^(\d+) ", text, re.M))) == 5


@tools.command(f"strace -ff -o /tmp/each {DEBUGGEE} >/dev/null; ls /tmp/each.* | wc -l; tail -qn 1 /tmp/each.*")
def test_strace_writes_a_file_each(result):
    assert result.text.startswith("5\n")
    assert result.text.count("+++ exited with") == 5


@tools.command(f"strace -e trace=openat -e inject=openat:error=EACCES {DEBUGGEE} 2>&1; "
               "strace -e trace=getppid -e inject=getppid:retval=42 sh -c 'echo $PPID' 2>&1")
def test_strace_injects(result):
    assert "EACCES (Permission denied) (INJECTED)" in result.text
    assert "gives ENOENT (-1, errno 13)" in result.text
    assert re.search(r"^getppid\(\) += 42 \(INJECTED\)\n.*^42$", result.text, re.M | re.S)


@tools.command(f"strace -c -f {DEBUGGEE} 2>&1; strace --seccomp-bpf -f -e trace=execve true 2>&1")
def test_strace_counts(result):
    # glibc's threads came by clone before it had clone3 for a CPU
    assert re.search({"x86_64": r"\s3\s+clone3\n", "aarch64": r"\s[34]\s+clone3?\n"}[ARCH], result.text)
    # by a filter, which stops at the wanted call alone
    assert "unavailable" not in result.text
    assert re.search(r'execve\(".*/true", \["true"\], .*\) = 0\n\+\+\+ exited with 0 \+\+\+', result.text), result.text


@tools.command(f"{DEBUGGEE} loop & p=$!; (sleep 0.5; kill -STOP $p; sleep 0.2; kill -CONT $p; sleep 0.2; kill $p) & "
               "strace -f -p $p 2>&1")
def test_strace_attaches(result):
    assert "attached" in result.text
    assert "clock_nanosleep(" in result.text
    assert "--- stopped by SIGSTOP ---" in result.text
    assert "--- SIGCONT" in result.text
    assert "+++ killed by SIGTERM +++" in result.text


@tools.command(f"{DEBUGGEE} loop & p=$!; strace -o /tmp/log -p $p & s=$!; sleep 0.5; "
               "grep TracerPid /proc/$p/status; kill -INT $s; wait $s; grep TracerPid /proc/$p/status; "
               "sleep 0.1; cut -d' ' -f3 /proc/$p/stat; kill $p")
def test_strace_lets_go(result):
    first, second = re.findall(r"TracerPid:\t(\d+)", result.text)
    assert int(first) > 1 and second == "0"
    assert result.text.splitlines()[-1] in "SR"


# --- gdb --------------------------------------------------------------------------------------------

@tools.command(gdb("break add_one", "run", "bt", "print value", "stepi", "finish", "delete", "print add_one(40)",
                   "print counter", "continue"))
def test_gdb_breaks_steps_and_calls(result):
    text = result.text
    assert re.search(r"Breakpoint 1, add_one \(value=(value@entry=)?0\)", text), text
    assert re.search(r"#1 .* in main ", text)
    assert "$1 = 0" in text
    assert re.search(r"Value returned is \$2 = 1", text)
    assert "$3 = 41" in text and "$4 = 41" in text
    assert "ptrace_debuggee: ok" in text
    assert "exited normally]" in text


@tools.command(gdb("break main", "run", "watch counter", "continue", "continue", "delete", "continue"))
def test_gdb_watches(result):
    # the debug registers of AArch64 are not offered: gdb steps instead
    assert {"x86_64": "Hardware watchpoint", "aarch64": "Watchpoint"}[ARCH] + " 2: counter" in result.text, result.text
    assert result.text.count("Old value = ") == 2
    assert re.search(r"Old value = 1\s+New value = 2", result.text)
    assert "exited normally]" in result.text


@tools.command(gdb("break thread_body", "run", "info threads", "thread apply all bt 1", "continue", "continue",
                   "delete", "continue"))
def test_gdb_and_threads(result):
    assert result.text.count("hit Breakpoint 1, thread_body") == 3, result.text
    assert result.text.count("[New LWP") == 3
    assert re.search(r"^\* \d +LWP \d+ .*thread_body", result.text, re.M)
    assert "exited normally]" in result.text


@tools.command(gdb("set follow-fork-mode child", "break child_body", "run", "catch exec", "continue", "delete",
                   "continue"))
def test_gdb_follows_a_child(result):
    assert "hit Breakpoint 1, child_body ()" in result.text, result.text
    assert "(exec'd /programs/ptrace_debuggee)" in result.text
    assert "ptrace_debuggee: ok" in result.text  # the parent went on
    assert "exited with code 04]" in result.text


@tools.command(gdb("set detach-on-fork off", "set schedule-multiple on", "catch fork", "run", "info inferiors",
                   "continue", "info inferiors"))
def test_gdb_keeps_both(result):
    assert re.search(r"Catchpoint 1 \(forked process \d+\)", result.text), result.text
    assert "is executing new program" in result.text
    assert "exited with code 04]" in result.text or "ptrace_debuggee: ok" in result.text


WAIT4, NUMBER, RESULT = {"x86_64": (61, "$orig_rax", "$rax"), "aarch64": (260, "$x8", "$x0")}[ARCH]


@tools.command(gdb(f"catch syscall {WAIT4}", "run", f"print {NUMBER}", "continue", f"print {RESULT} > 0", "continue"))
def test_gdb_catches_calls(result):
    assert f"(call to syscall {WAIT4})" in result.text and f"$1 = {WAIT4}" in result.text, result.text
    assert f"(returned from syscall {WAIT4})" in result.text and "$2 = 1" in result.text
    assert "exited normally]" in result.text


@tools.command(gdb("attach '$p'", "bt", "break add_one", "continue", "print value", "delete", "print add_one(5)",
                   "print counter", "detach", start=f"{DEBUGGEE} loop & p=$!; sleep 0.3;") +
               "; sleep 0.3; grep TracerPid /proc/$p/status; cut -d' ' -f3 /proc/$p/stat; kill $p")
def test_gdb_attaches_and_lets_go(result):
    assert re.search(r"#\d+ .* in main ", result.text), result.text
    assert "$1 = 100" in result.text and "$2 = 6" in result.text
    assert "detached]" in result.text
    assert "TracerPid:\t0\n" in result.text
    assert result.text.splitlines()[-1] in "SR"

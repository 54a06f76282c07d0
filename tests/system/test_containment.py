# SPDX-License-Identifier: MIT
"""What becomes of a service that misbehaves, in each isolation class: each way of `faulty` (services/test/faulty) is a test.

Lowered and isolated, a fault must be reported with what it touched and a backtrace through the gate into the caller; the call
must return EIO; the service must be back, and checksums over core's and the calling program's data unchanged. Privileged, what
happens is recorded as it is. The outcomes make the table in docs/containment.md, which is compared with
what happened; `pytest tests/system/test_containment.py --update-containment` writes it.
"""

import os
import re
from dataclasses import dataclass

import pytest

import vm
from conftest import ARCH, ROOT, MachineConfig, initrd

DOCUMENT = os.path.join(ROOT, "docs", "containment.md" if ARCH == "x86_64" else f"containment-{ARCH}.md")
CLASSES = ["lowered", "isolated", "privileged"]
APPEND = "service.faulty={0} service.null=lowered service.partitions=off service.faulty.deadline_ms=200 service.faulty.restarts=1000"
DEADLINE, ELEVATION = "deadline of the call exceeded", "elevation from a place that is not recorded"
STRANGE = "gate call that the service did not import"


@dataclass(frozen=True)
class Case:
    """One way to misbehave: its number, what to call it, and what the report must say."""
    number: int
    title: str
    what: str | None = None      # in the report's first line; None: there is no fault
    owner: str = ""              # whom the address belongs to
    where: str = "test.run"      # the gate
    result: int = 0              # without a fault
    isolated_result: int = 0     # the same, where it is another
    isolated_fault: bool = True  # does `what` hold for isolated too?
    lowered_fault: bool = True
    differs: bool = False        # privileged, it breaks what entries rely on and so ends in another way each time

    def faults(self, isolation: str) -> bool:
        """Whether this class stops it by ending the service's life."""
        return self.what is not None and (self.isolated_fault if isolation == "isolated" else self.lowered_fault)


def write(number: int, title: str, owner: str, **more: object) -> Case:
    """A stray write."""
    return Case(number, title, "page fault, write of", owner, **more)


MEMORY = [
    write(1, "write to core's data", "core: data"),
    write(2, "write to core's code", "core: code"),
    write(3, "write into a page table", "core: page tables"),
    write(4, "write to a CPU's own data", "core: "),
    write(5, "write to another thread's kernel stack", "core: kernel stacks"),
    write(6, "write to a program's memory", "program memory"),
    write(7, "write to another service (which is lowered)", "service null", lowered_fault=False),
    write(8, "write to the gate stubs", "core: gate stubs"),
    write(9, "write to its own code", "service faulty: code"),
    write(10, "write to its own constants", "service faulty: image"),
    write(11, "write to address 8", "the null page"),
    Case(12, "write to an address that cannot exist", "general protection fault") if ARCH == "x86_64" else
    write(12, "write to an address that cannot exist", "no address at all"),
    write(13, "write to a page whose grant has ended", "service faulty: a grant that has ended"),
    write(14, "write to a page granted for reading", "service faulty: a grant"),
    Case(15, "read core's data", "page fault, read of", "core: data"),
    Case(16, "read a program's memory", "page fault, read of", "program memory"),
    Case(17, "read a program's memory by the program's own address", "page fault, read of", "program addresses"),
]
CONTROL = [
    Case(32, "jump to null", "page fault, execution of 0", "the null page"),
    Case(33, "execute its data", "page fault, execution of", "service faulty: image"),
    Case(34, "execute its stack", "page fault, execution of", "service faulty: stack"),
    Case(35, "jump into core", "page fault, execution of", "core: code"),
    Case(36, "jump into the calling program", "page fault, execution of", "program addresses"),
    Case(37, "overflow its stack", "page fault, write of", "service faulty: below a stack"),
    Case(38, "run with a stack pointer of 8", "page fault, write of", "the null page"),
    Case(39, "run with a stack pointer into core", "page fault, write of", "core: kernel stacks", differs=True),
    Case(40, "fail an assertion", "abort", "assertion failed: number == FAULT_NONE"),
    Case(41, "call abort", "abort", "as it was told"),
    Case(42, "return garbage", None, result=-5, isolated_result=-5),
    Case(43, "a thread of its own writes to null", "page fault, write of 0x8", "the null page", where="thread.main"),
    Case(44, "write to null after a call into core", "page fault, write of 0x8", "the null page"),
]
TIME = [
    Case(64, "loop for ever", DEADLINE, "it was computing"),
    Case(65, "call core for ever", DEADLINE, "it was computing"),
    Case(66, "sleep for ever", DEADLINE, "it was sleeping"),
    Case(67, "wait for ever", DEADLINE, "it was sleeping"),
]
PRIVILEGE = [
    Case(80, "elevate from a place that is not recorded", ELEVATION, differs=True),
    Case(81, "write to null while elevated", "page fault, write of 0x8", "the null page", isolated_fault=False,
         isolated_result=-1),
    Case(82, "loop for ever while elevated", DEADLINE, "it was computing", isolated_fault=False, isolated_result=-1),
    Case(83, "return without lowering", None, isolated_result=-1),
    Case(84, "make a system call of Linux's", "system call by a service", "number 1", differs=True),
    Case(85, "make a gate call that does not exist", STRANGE, "which does not exist", differs=True),
    Case(86, "make a gate call that it did not import", STRANGE, differs=True),
    Case(87, "return from the middle of a function", None, differs=True),
]
CALLS = [
    Case(100, "pass bad handles, buffers, lengths and functions to every call", None),
    Case(101, "free memory twice", None),
    Case(102, "close a handle twice", None),
    Case(103, "allocate memory until there is none", None),
    Case(104, "make handles until there are none", None),
    Case(105, "start threads until there are none", None),
]
GP, UNDEFINED = "general protection fault", "undefined instruction"
FORBIDDEN = UNDEFINED + "|forbidden system register"
X86 = [Case(128 + i, f"`{name}`", GP, differs=name in ("wrmsr", "swapgs")) for i, name in enumerate(
    ["cli", "hlt", "mov cr3", "wrmsr", "out", "lgdt", "lidt", "invlpg", "swapgs"])] + [
    Case(137, "`clac`", "invalid opcode"), Case(138, "`mov dr7`", GP),
    Case(144, "an undefined instruction", "invalid opcode"), Case(145, "a breakpoint", "breakpoint"),
    Case(146, "a software interrupt", GP), Case(147, "single-step itself", "debug exception"),
    Case(152, "divide by zero", "divide error"),
    # QEMU reads their frames as core would, which SMAP forbids
    Case(153, "a far return into ring 0", GP + "|page fault, read of"),
    Case(154, "an interrupt return into ring 0", GP + "|page fault, read of"),
]
AARCH64 = [Case(128 + i, f"`{name}`", FORBIDDEN, differs=name.startswith(("msr", "eret", "hvc"))) for i, name in enumerate(
    ["msr daifset", "msr ttbr0_el1", "msr sctlr_el1", "msr vbar_el1", "msr tpidr_el1", "msr mdscr_el1", "msr cntv_ctl_el0",
     "mrs esr_el1", "mrs pmccntr_el0", "tlbi vmalle1", "dc ivac", "ic iallu", "at s1e1r", "eret", "hvc", "smc"])] + [
    Case(144, "an undefined instruction", UNDEFINED), Case(145, "a breakpoint", "breakpoint"),
    Case(146, "a halt for a debugger", UNDEFINED),
    Case(147, "a system call with an immediate", "system call by a service", "number 64", differs=True),
    Case(148, "change the thread pointer and fault", "page fault, write of 0x8", "the null page"),
    Case(152, "an unaligned stack pointer", None),  # a fault, but not in QEMU, which does not check it
    Case(153, "a jump between instructions", "unaligned instruction address"),
    Case(154, "an unaligned exclusive access", "unaligned address", "service faulty: image"),
    Case(155, "enter debug state", UNDEFINED), Case(156, "`mrs daif`", FORBIDDEN), Case(157, "`msr spsel`", FORBIDDEN),
    Case(158, "clean a line of core's out of the cache", None),  # the same
    Case(159, "zero core's data by `dc zva`", "page fault, write of", "core: data"),
    Case(160, "wait for an interrupt for ever", DEADLINE, "it was computing"),
]
OWN = {"x86_64": ("Instructions of x86-64", X86), "aarch64": ("Instructions of AArch64", AARCH64)}[ARCH]
GROUPS = [("Memory", MEMORY), ("Control flow", CONTROL), ("Time", TIME), ("Privilege", PRIVILEGE), ("Calls into core", CALLS), OWN]
CASES = [case for _, cases in GROUPS for case in cases]
REGISTERS = {"x86_64": [(149, "the bases of FS and GS"), (150, "vector registers"), (151, "flags"), (155, "segment registers")],
             "aarch64": [(149, "the thread pointer"), (150, "vector registers"), (151, "flags and rounding")]}[ARCH]
# Lowered services are compiled without vector instructions; nothing stops one that has them.
CHANGED = {("x86_64", 150): ["vector registers"],
           ("aarch64", 150): ["vector registers"], ("aarch64", 151): ["rounding"]}
PROGRAM_COUNTER = {"x86_64": "RIP: ", "aarch64": "PC: "}[ARCH]

outcomes: dict[tuple[int, str], str] = {}


def run_all(isolation: str) -> dict[int, str]:
    """Every case in one boot: what the console showed."""
    machine = MachineConfig(4)
    options = machine.options(initrd=initrd("programs"), append=APPEND.format(isolation), timeout=300)
    commands = [["/programs/faulty_case", str(case.number)] for case in CASES]
    results = vm.run_commands(options, commands)
    return {case.number: result.text.replace("\r", "") for case, result in zip(CASES, results)}


@pytest.fixture(name="consoles", scope="module")
def consoles_fixture() -> dict[str, dict[int, str]]:
    """What the console showed in the classes where one boot does for all cases."""
    return {isolation: run_all(isolation) for isolation in CLASSES[:2]}


def describe(text: str) -> str:
    """An outcome in a few words, for the table."""
    changed = [part for part in ("core", "program", "services") if f"{part} changed" in text]
    panic = re.search(r"Kernel panic - not syncing: (.*)", text)
    fault = re.search(r"---\[ service faulty \(\w+\): ([^\]]*) \]---", text)
    result = re.search(r"^result (-?\d+)", text, re.M)
    if panic:
        return "the kernel panics"
    if "machine was reset" in text:
        return "the machine resets"
    if "stuck" in text:
        return "the call never returns"
    if changed:
        return "**" + ", ".join(changed).replace("services", "another service") + " changed**"
    if fault:
        return "stopped: " + re.sub(r"(, \w+) of .*", r"\1", fault[1])
    if result and int(result[1]) == -1:
        return "refused"
    if result and int(result[1]) < 0:
        return "an error is returned"
    return "nothing is harmed"


@pytest.mark.parametrize("isolation", CLASSES[:2])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.replace(" ", "_"))
def test_contained(case, isolation, consoles):
    text = consoles[isolation][case.number]
    outcomes[case.number, isolation] = describe(text)
    assert "core unchanged" in text and "program unchanged" in text, text
    assert re.search(r"^back \d+ us", text, re.M), text
    if isolation == "isolated" or case.number != 7:
        assert "services unchanged" in text, text
    if not case.faults(isolation):
        wanted = case.isolated_result if isolation == "isolated" else case.result
        assert f"result {wanted}\n" in text and "---[" not in text, text
        return
    assert "result -5\n" in text, text
    assert len(re.findall(rf"---\[ service faulty \({isolation}\): (?:{case.what})", text)) == 1, text
    assert case.owner in text and f"in {case.where}" in text and PROGRAM_COUNTER in text, text
    calls = text[text.index("Call trace:"):]
    assert f"--- gate {case.where} into faulty ---" in calls, text
    if case.where == "test.run":
        assert "Comm: faulty_case" in text and "test_ioctl" in calls and "sys_ioctl" in calls, text
    if case.number < 32 and case.number != 12:
        assert re.search(r"at 0x[0-9a-f]+ \((scribble|look)[\w.]*\+0x", text), text
        assert re.search(r"(scribble|look)[\w.]*\+0x[0-9a-f]+/0x[0-9a-f]+ \[faulty\]", calls), text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.replace(" ", "_"))
def test_privileged_is_recorded(case):
    machine = MachineConfig(2)
    options = machine.options(initrd=initrd("programs"), append=APPEND.format("privileged"), timeout=60)
    try:
        text = vm.run_commands(options, [["/programs/faulty_case", str(case.number), "faulty", "2"]])[0].text
    except vm.VmError as error:
        text = error.console.decode(errors="replace") + str(error)
        assert "Kernel panic" in text or "machine was reset" in text, f"neither an answer nor a panic: {text}"
    outcomes[case.number, "privileged"] = "differs from run to run" if case.differs else describe(text)


@pytest.fixture(name="registers", scope="module")
def registers_fixture() -> dict[tuple[int, str], str]:
    """What the program found in its registers."""
    texts = {}
    for isolation in CLASSES[:2]:
        options = MachineConfig(2).options(initrd=initrd("programs"), append=APPEND.format(isolation))
        results = vm.run_commands(options, [["/programs/service_registers", str(n)] for n, _ in REGISTERS])
        texts |= {(number, isolation): result.text for (number, _), result in zip(REGISTERS, results)}
    return texts


@pytest.mark.parametrize("isolation", CLASSES[:2])
@pytest.mark.parametrize("number,title", REGISTERS, ids=lambda value: str(value).replace(" ", "_"))
def test_registers_are_kept(number, title, isolation, registers):
    text = registers[number, isolation]
    changed = re.findall(r"^(.*) changed$", text, re.M)
    outcomes[number, isolation] = "**the program's register changed**" if changed else "nothing is harmed"
    assert "result 0" in text and text.count("kept") == 6 - len(changed), text
    assert changed == (CHANGED.get((ARCH, number), []) if isolation == "lowered" else []), (title, text)


@pytest.mark.parametrize("isolation", CLASSES[:2])
def test_interrupts_without_end(isolation):
    options = MachineConfig(2).options(initrd=initrd("programs"), qemu_args=["-device", "edu"],
                                       append=f"service.storm={isolation}", timeout=120)
    result, status = vm.run_commands(options, [["/programs/faulty_case", "1", "storm", "60"],
                                               ["cat", "/proc/halyard/services"]])
    outcomes[200, isolation] = "stopped: interrupts without end"
    assert f"service storm ({isolation}): interrupts without end" in result.text
    assert "result -5" in result.text and re.search(r"^back \d+ us", result.text, re.M), result.text
    assert "core unchanged" in result.text and re.search(rf"^storm {isolation} running", status.text, re.M)


HEAD = """\
<!-- Made by tests/system/test_containment.py --update-containment, from what happened in that run. -->
# What becomes of a service that misbehaves

Each row is something that the service `faulty` did when it was told to, in a system with four CPUs under QEMU; each cell is what happened,
as a test found it. *Stopped* means: the console shows at once who did what where, with a backtrace through the
gate into the calling program; the call returns EIO; the service is loaded anew and answers again; and checksums over
core's code, constants and chosen data, over a kernel stack, a page table and the calling program's memory are what they were.

In `lowered` and `isolated` no case changed core's or a program's memory. In `isolated` none changed another service. `privileged` is what a
monolithic kernel does.

"""


def table() -> str:
    """The document."""
    text = HEAD
    rows = [(title, [(case.number, case.title) for case in cases]) for title, cases in GROUPS]
    rows += [("Registers of the calling program, set to something else", REGISTERS),
             ("Interrupts", [(200, "raise the next interrupt from each")])]
    for title, cases in rows:
        text += f"## {title}\n\n| | privileged | lowered | isolated |\n|---|---|---|---|\n"
        for number, name in cases:
            cells = [outcomes.get((number, isolation), "not tried") for isolation in ("privileged", "lowered", "isolated")]
            text += f"| {name} | " + " | ".join(cells) + " |\n"
        text += "\n"
    return text.rstrip("\n") + "\n"


def test_document_is_what_happened(request):
    wanted = {(case.number, isolation) for case in CASES for isolation in CLASSES}
    if not wanted <= set(outcomes):
        pytest.skip("only some of the cases were run, so there is no whole table")
    assert not any("changed" in outcomes[case.number, isolation] for case in CASES for isolation in CLASSES[:2]
                   if (case.number, isolation) != (7, "lowered"))
    if request.config.getoption("--update-containment"):
        with open(DOCUMENT, "w", encoding="utf-8") as file:
            file.write(table())
    with open(DOCUMENT, encoding="utf-8") as file:
        assert file.read() == table(), "run pytest tests/system/test_containment.py --update-containment"

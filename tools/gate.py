#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes what connects core and services, from abi/gate/calls.def and the class interfaces beside it.

    gate.py --output DIR     writes calls.h, stubs.def, dispatch.c and interfaces.h into DIR
    gate.py --docs           writes docs/gate-calls.md
    gate.py --check          fails when docs/gate-calls.md is not what the table says
    gate.py --imports SO...  fails when a service imports what is not in the table

calls.h has the prototypes of the calls; stubs.def one row a call, for the page of stubs; dispatch.c the table of functions that
copy and check what an unprivileged service passes; interfaces.h, for the other direction, one inline function for each
function of a class interface.
"""

import argparse
import os
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ABI = ROOT / "abi" / "gate"
DOCS = ROOT / "docs" / "gate-calls.md"
REGISTERS = 6
ON_STACK_MAX = 512  # larger buffers are allocated
VALUE_TYPES = {"u8", "u16", "u32", "u64", "s32", "s64", "bool"}
KINDS = {"VAL": 1, "HANDLE": 1, "IN": 1, "OUT": 1, "IN_BYTES": 2, "OUT_BYTES": 2}


def fail(message: str) -> None:
    """Ends with a sentence."""
    sys.exit(f"gate.py: {message}")


@dataclass
class Argument:
    """One argument of a call: IN_BYTES(name, len, max) is a single one in two registers."""
    kind: str
    words: list[str]

    @property
    def name(self) -> str:
        """Its name in C."""
        return self.words[0] if self.kind.endswith("_BYTES") else self.words[1]

    @property
    def registers(self) -> int:
        """How many it takes."""
        return KINDS[self.kind]

    def parameters(self) -> list[str]:
        """As parameters of the C function."""
        match self.kind:
            case "VAL":
                return [f"{self.words[0]} {self.name}"]
            case "HANDLE":
                return [f"u64 {self.name}"]
            case "IN":
                return [f"const {self.words[0]} *{self.name}"]
            case "OUT":
                return [f"{self.words[0]} *{self.name}"]
            case "IN_BYTES":
                return [f"const void *{self.name}", f"u64 {self.words[1]}"]
            case _:
                return [f"void *{self.name}", f"u64 {self.words[1]}"]

    def described(self) -> str:
        """For the reference page."""
        match self.kind:
            case "VAL":
                return f"`{self.words[0]} {self.name}`"
            case "HANDLE":
                return f"`{self.name}`: handle ({self.words[0].lower()})"
            case "IN":
                return f"`const {self.words[0]} *{self.name}`"
            case "OUT":
                return f"`{self.words[0]} *{self.name}`: filled in"
            case "IN_BYTES":
                return f"`const void *{self.name}, u64 {self.words[1]}`: up to {self.words[2]} bytes"
            case _:
                return f"`void *{self.name}, u64 {self.words[1]}`: up to {self.words[2]} bytes, filled in"


@dataclass
class Call:
    """One entry of calls.def."""
    name: str
    importers: list[str]
    result: str
    arguments: list[Argument]
    does: str
    returns: str
    section: str

    def prototype(self) -> str:
        """The C declaration, without semicolon."""
        parameters = [p for a in self.arguments for p in a.parameters()]
        return f"{self.result} {self.name}({', '.join(parameters) or 'void'})"


@dataclass
class Operation:
    """One function of a class interface."""
    name: str
    result: str
    parameters: list[tuple[str, str]]  # type, name; the cookie left out


@dataclass
class Interface:
    """struct NAME_ops of abi/gate/NAME.h."""
    name: str
    operations: list[Operation]


def split_top(text: str) -> list[str]:
    """Splits at commas outside of parentheses and strings."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, c in enumerate(text):
        if c == '"':
            quoted = not quoted
        elif not quoted and c in "()":
            depth += 1 if c == "(" else -1
        elif not quoted and c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def parse_arguments(text: str, where: str) -> list[Argument]:
    """The list in parentheses."""
    arguments = []
    for part in split_top(text):
        found = re.fullmatch(r"(\w+)\((.*)\)", part, re.S)
        if not found or found[1] not in KINDS:
            fail(f"{where}: {part!r} is none of {', '.join(KINDS)}")
        words = [word.strip() for word in found[2].split(",")]
        if len(words) != (3 if found[1].endswith("_BYTES") else 2):
            fail(f"{where}: {part!r} has the wrong number of words")
        if found[1] == "VAL" and words[0] not in VALUE_TYPES:
            fail(f"{where}: {words[0]} is not one of {', '.join(sorted(VALUE_TYPES))}")
        arguments.append(Argument(found[1], words))
    if sum(a.registers for a in arguments) > REGISTERS:
        fail(f"{where}: more than {REGISTERS} registers")
    return arguments


def entries(text: str) -> Iterator[str]:
    """What stands between the outermost parentheses of each GATE_CALL(...)."""
    for found in re.finditer(r"^GATE_CALL\(", text, re.M):
        depth, quoted = 1, False
        for i in range(found.end(), len(text)):
            c = text[i]
            if c == '"':
                quoted = not quoted
            elif not quoted and c in "()":
                depth += 1 if c == "(" else -1
                if not depth:
                    yield text[found.end():i]
                    break
        else:
            fail(f"calls.def: {text[found.end():found.end() + 30]!r}: no closing parenthesis")


def parse_calls(text: str) -> list[Call]:
    """The entries of calls.def in their order, which is that of their numbers."""
    calls: list[Call] = []
    sections = re.split(r"^// ---- (.*) ----$", text, flags=re.M)
    for section, body in zip([""] + sections[1::2], sections[::2]):
        for entry in entries(re.sub(r"^//.*$", "", body, flags=re.M)):
            parts = split_top(entry)
            if len(parts) != 6:
                fail(f"calls.def: {parts[0]}: {len(parts)} parts instead of 6")
            name, importers, result, arguments, does, returns = parts
            if not arguments.startswith("("):
                fail(f"calls.def: {name}: the arguments stand in parentheses")
            if any(name == call.name for call in calls):
                fail(f"calls.def: {name} stands there twice")
            calls.append(Call(name, [i.strip() for i in importers.split("|")], result,
                              parse_arguments(arguments[1:-1], name), does.strip('"'), returns.strip('"'), section))
    return calls


def parse_interface(name: str, text: str) -> Interface | None:
    """The functions of struct NAME_ops in a header."""
    found = re.search(rf"^struct {name}_ops {{\n(.*?)^}};", text, re.M | re.S)
    if not found:
        return None
    body = re.sub(r"//.*$", "", found[1], flags=re.M)
    operations = []
    for op in re.finditer(r"(\w+) \(\*(\w+)\)\(([^)]*)\);", body):
        words = [p.strip().rsplit(" ", 1) for p in op[3].split(",")]
        if words[0] != ["u64", "cookie"] or any(t not in VALUE_TYPES for t, _ in words):
            fail(f"{name}.h: {op[2]}: the first parameter is u64 cookie, the others are numbers")
        if len(words) > REGISTERS:
            fail(f"{name}.h: {op[2]}: more than {REGISTERS} registers")
        operations.append(Operation(op[2], op[1], [(t, n) for t, n in words[1:]]))
    if len(operations) != body.count("(*"):
        fail(f"{name}.h: a function of struct {name}_ops was not understood")
    return Interface(name, operations)


def interfaces() -> list[Interface]:
    """Those of all headers."""
    found = (parse_interface(path.stem, path.read_text(encoding="utf-8"))
             for path in sorted(ABI.glob("*.h")))
    return [interface for interface in found if interface]


# --- what is written ------------------------------------------------------------------------------

BANNER = "// Made by tools/gate.py from abi/gate/.\n"


def abi_includes() -> str:
    """All headers of abi/gate/."""
    return "".join(f'#include "abi/gate/{path.name}"\n' for path in sorted(ABI.glob("*.h")))


def calls_header(calls: list[Call]) -> str:
    """Prototypes. Services take them as imports; core and linux/ define the functions."""
    text = BANNER + "#pragma once\n" + abi_includes()
    text += "#ifndef GATE_IMPORT\n#define GATE_IMPORT\n#endif\n"
    for call in calls:
        text += f"GATE_IMPORT {call.prototype()};\n"
    return text


def stubs(calls: list[Call]) -> str:
    """A row for each stub."""
    return BANNER + "".join(f"GATE_STUB({n}, {call.name})\n" for n, call in enumerate(calls))


def wrapper(number: int, call: Call) -> str:
    """The function that checks and copies what a service passes."""
    declarations, checks, after, values, frees = [], [], [], [], []
    register = 0
    for a in call.arguments:
        reg = f"a{register}"
        match a.kind:
            case "VAL":
                values.append(f"({a.words[0]}){reg}")
            case "HANDLE":
                checks.append(f"if (unlikely(!handle_owned(gate_caller(), {reg}, HANDLE_{a.words[0]})))\n"
                              f"\t\treturn gate_refuse({number}, {register}, -EBADF);")
                values.append(reg)
            case "IN":
                declarations.append(f"{a.words[0]} {a.name};")
                checks.append(f"if (unlikely(!service_copy_in(&{a.name}, {reg}, sizeof({a.name}))))\n"
                              f"\t\treturn gate_refuse({number}, {register}, -EFAULT);")
                values.append(f"&{a.name}")
            case "OUT":
                declarations.append(f"{a.words[0]} {a.name} = {{}};")
                values.append(f"&{a.name}")
                after.append(f"if (r >= 0 && unlikely(!service_copy_out({reg}, &{a.name}, sizeof({a.name}))))\n"
                             f"\t\treturn gate_refuse({number}, {register}, -EFAULT);")
            case "IN_BYTES" | "OUT_BYTES":
                length, limit = f"a{register + 1}", a.words[2]
                checks.append(f"if (unlikely({length} > {limit}))\n"
                              f"\t\treturn gate_refuse({number}, {register + 1}, -EINVAL);")
                declarations.append(f"u8 {a.name}_small[{limit} <= {ON_STACK_MAX} ? {limit} : 1];")
                declarations.append(f"u8 *{a.name} __cleanup(gate_bytes_free) = nullptr;")
                declarations.append(f"u8 *{a.name}_at = {a.name}_small;")
                allocate = (f"if ({limit} > {ON_STACK_MAX} && !({a.name}_at = {a.name} = kmalloc(max({length}, 1ull))))\n"
                            f"\t\treturn -ENOMEM;")
                checks.append(allocate)
                if a.kind == "IN_BYTES":
                    checks.append(f"if (unlikely(!service_copy_in({a.name}_at, {reg}, {length})))\n"
                                  f"\t\treturn gate_refuse({number}, {register}, -EFAULT);")
                else:
                    after.append(f"if (r > 0 && unlikely(!service_copy_out({reg}, {a.name}_at, min((u64)r, {length}))))\n"
                                 f"\t\treturn gate_refuse({number}, {register}, -EFAULT);")
                values += [f"{a.name}_at", length]
        register += a.registers
    unused = "".join(f"\t(void)a{n};\n" for n in range(register, REGISTERS))
    body = "".join(f"\t{line}\n" for line in declarations + checks)
    if call.importers != ["GATE_ANY"] and call.importers != ["GATE_DEVICE"]:
        body = f"\tif (!{call.name})\n\t\treturn -ENOSYS;\n" + body
    return (f"static long call_{call.name}(u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)\n{{\n"
            f"{unused}{body}\tlong r = {call.name}({', '.join(values)});\n"
            + "".join(f"\t{line}\n" for line in after)
            + f"\treturn r;\n}}\n\n")


def dispatch(calls: list[Call]) -> str:
    """The table of calls."""
    text = BANNER
    text += '#include "base/errno.h"\n#include "core/gate.h"\n#include "core/gate/gate_calls.h"\n#include "core/slab.h"\n'
    text += abi_includes()
    text += "// What linux/ implements is absent in a kernel built without it.\n"
    for call in calls:
        weak = "" if call.importers in (["GATE_ANY"], ["GATE_DEVICE"]) else "__weak "
        text += f"{weak}{call.prototype()};\n"
    text += "\n" + "".join(wrapper(n, call) for n, call in enumerate(calls))
    text += "const gate_function_t gate_functions[] = {\n"
    text += "".join(f"\tcall_{call.name},\n" for call in calls) + "};\n"
    text += "const struct gate_call gate_calls[] = {\n"
    for call in calls:
        text += f'\t{{"{call.name}", {" | ".join(call.importers)}, (const void *){call.name}}},\n'
    text += "};\n"
    text += f"const u32 gate_ncalls = {len(calls)};\n"
    text += f"static_assert({len(calls)} <= GATE_CALLS_MAX);\n"
    for interface in interfaces():
        names = "".join(f'"{op.name}", ' for op in interface.operations)
        text += (f"const struct gate_interface gate_{interface.name}_interface = {{\n"
                 f'\t"{interface.name}", {len(interface.operations)}, (const char *const[]){{{names}}}}};\n'
                 f"static_assert({len(interface.operations)} <= GATE_OPS_MAX && "
                 f"sizeof(struct {interface.name}_ops) == {len(interface.operations)} * 8);\n")
    return text


def interfaces_header() -> str:
    """Calls into services: direct when the service runs privileged, else by the gate."""
    text = BANNER + "#pragma once\n#include \"core/gate.h\"\n" + abi_includes()
    for interface in interfaces():
        text += f"\nextern const struct gate_interface gate_{interface.name}_interface;\n"
        for n, op in enumerate(interface.operations):
            parameters = "".join(f", {t} {name}" for t, name in op.parameters)
            types = "".join(f", {t}" for t, _ in op.parameters)
            names = [name for _, name in op.parameters]
            values = "".join(f", {name}" for name in names)
            padded = "".join(f", (u64){name}" for name in names) + ", 0" * (REGISTERS - 1 - len(names))
            text += (f"static inline {op.result} {interface.name}_gate_{op.name}(struct gate_port *p{parameters})\n{{\n"
                     f"\tif (p->direct)\n"
                     f"\t\treturn (({op.result} (*)(u64{types}))p->entry[{n}])(p->cookie{values});\n"
                     f"\treturn ({op.result})gate_call(p, {n}{padded});\n}}\n")
    return text


INTRODUCTION = """\
<!-- Made by tools/gate.py from abi/gate/calls.def. Change that file and run `tools/gate.py --docs`. -->
# Calls from services to core

What a service may ask for: its imports. [services.md](services.md) explains how to write a service.

Arguments are numbers, handles, and buffers in the service's own memory, which core copies before it looks at them. Every call may return
what stands with it, and moreover, when the service is not privileged, what the generated checks say: `-EBADF` for a handle that is not
alive, of another kind or another service's, `-EFAULT` for a buffer that does not lie wholly in the service's memory, `-EINVAL` for one that is too long.
Such a refusal is logged with the place of the call, for it is a bug of the service.

A call that the service did not import is refused as a fault. *importers* says which services may import it: those that drive devices, or have
that class interface.
"""


def reference(calls: list[Call]) -> str:
    """docs/gate-calls.md."""
    text, section = INTRODUCTION, None
    for call in calls:
        if call.section != section:
            section = call.section
            text += f"\n## {section[0].upper()}{section[1:]}\n"
        text += f"\n### `{call.prototype()}`\n\n{call.does}\n\n"
        importers = ", ".join(i.removeprefix("GATE_").lower() for i in call.importers)
        text += f"- returns: {call.returns}\n- importers: {importers}\n"
        for a in call.arguments:
            if a.kind != "VAL":
                text += f"- {a.described()}\n"
    return text


# --- imports of a service -------------------------------------------------------------------------

def undefined_symbols(path: str) -> list[str]:
    """What a shared object imports."""
    image = Path(path).read_bytes()
    shoff, = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, shoff + i * size) for i in range(count)]
    names = []
    for section in sections:
        if section[1] != 11:  # SHT_DYNSYM
            continue
        strings = sections[section[6]][4]
        for at in range(section[4] + 24, section[4] + section[5], 24):
            name, _, _, index = struct.unpack_from("<IBBH", image, at)
            if index == 0:
                start = strings + name
                names.append(image[start:image.index(b"\0", start)].decode())
    return names


def check_imports(paths: list[str], calls: list[Call]) -> None:
    """Every import of every service must be a call."""
    known = {call.name for call in calls}
    for path in paths:
        strange = sorted(set(undefined_symbols(path)) - known)
        if strange:
            fail(f"{os.path.basename(path)} uses {', '.join(strange)}, which core does not export (abi/gate/calls.def)")


def write(path: Path, text: str) -> None:
    """Writes a file, only when its content changes."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main() -> None:
    """As the first page says."""
    parser = argparse.ArgumentParser(description="Make what connects core and services.")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--imports", nargs="+", metavar="SO")
    options = parser.parse_args()
    calls = parse_calls((ABI / "calls.def").read_text(encoding="utf-8"))
    if options.output:
        write(options.output / "calls.h", calls_header(calls))
        write(options.output / "stubs.def", stubs(calls))
        write(options.output / "dispatch.c", dispatch(calls))
        write(options.output / "interfaces.h", interfaces_header())
    if options.docs:
        write(DOCS, reference(calls))
    if options.check and (not DOCS.exists() or DOCS.read_text(encoding="utf-8") != reference(calls)):
        fail("docs/gate-calls.md is not what abi/gate/calls.def says; run tools/gate.py --docs")
    if options.imports:
        check_imports(options.imports, calls)


if __name__ == "__main__":
    main()

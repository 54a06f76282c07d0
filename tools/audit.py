#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tells how much code runs with which privilege: `make audit`. `make check` runs it with --check.

Lines are those of code: no blank ones, no comments, no tests (*_test.c, *_test.h), of one CPU architecture. Bytes are those of
machine code in a RELEASE build: in the kernel by the linker's map, in services by their shared objects. Elevation sites are the
places in services that may raise themselves, as the linker recorded them. core/budget bounds some of the figures.
"""

import argparse
import json
import os
import re
import struct
import subprocess
import sys
from collections import Counter

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUDGET = os.path.join("core", "budget")
SOURCE = (".c", ".h", ".S", ".inc", ".def", ".ld")
MAP_LINE = re.compile(r"^ *[0-9a-f]+ +[0-9a-f]+ +([0-9a-f]+) +\d+ +(?:.*/)?obj/(\S+)\.o:\((\.text\S*)\)$")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", re.S)

# Who runs how. base/ is linked into whoever uses it; what is counted here is the kernel's.
AREAS = {
    "core": "always privileged", "base": "always privileged", "linux": "privileged by default", "services": "lowered by default",
}

# Who may have folders arch/<cpu>/.
CPU_AREAS = ("core", "linux", "services", "abi", "boot", "user")


def code_lines(path: str) -> int:
    """Lines of a file that hold code."""
    with open(path, encoding="utf-8") as file:
        text = file.read()

    def blank(match: re.Match) -> str:
        return match[0] if match[0][0] == '"' else "\n" * match[0].count("\n")
    return sum(1 for line in COMMENT.sub(blank, text).split("\n") if line.strip())


def sources(area: str, arch: str) -> list[str]:
    """The files of an area that are built for an architecture, or included by them."""
    found = []
    for folder, folders, files in os.walk(area):
        folders[:] = sorted(name for name in folders if not (os.path.basename(folder) == "arch" and name != arch) and name != "host")
        found += [os.path.join(folder, name) for name in sorted(files)
                  if name.endswith(SOURCE) and not re.search(r"_test\.[ch]$", name)]
    return found


def cpu_lines(area: str, cpu: str) -> int:
    """Lines of code of an area in folders arch/<cpu>/."""
    return sum(code_lines(path) for path in sources(area, cpu) if f"/arch/{cpu}/" in path)


def debug_only() -> set[str]:
    """Sources that mk/kernel.mk leaves out of RELEASE builds, but for tests."""
    with open(os.path.join("mk", "kernel.mk"), encoding="utf-8") as file:
        match = re.search(r"^DEBUG_ONLY *:=(.*)$", file.read(), re.M)
    return set(match[1].split()) if match else set()


def kernel_text(path: str) -> Counter:
    """Bytes of machine code in the kernel by area."""
    sizes: Counter = Counter()
    with open(path, encoding="utf-8") as file:
        for line in file:
            if match := MAP_LINE.match(line):
                area = match[2].split("/")[0]
                sizes[area if area in AREAS else "core"] += int(match[1], 16)  # dispatch.o is generated, and core's
    return sizes


def elf_sections(path: str) -> list[tuple[str, int, int, int, int]]:
    """Name, flags, address, offset and size of each section."""
    with open(path, "rb") as file:
        data = file.read()
    start, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    rows = [struct.unpack_from("<IIQQQQ", data, start + i * size) for i in range(count)]
    strings = rows[names][4]

    def name(at: int) -> str:
        return data[strings + at:data.index(b"\0", strings + at)].decode()
    return [(name(row[0]), row[2], row[3], row[4], row[5]) for row in rows]


def service_text(path: str) -> int:
    """Bytes of machine code in a shared object."""
    return sum(size for _, flags, _, _, size in elf_sections(path) if flags & 4)


def elevation_sites(path: str) -> list[str]:
    """FUNCTION FILE:LINE of every place in a shared object (with DWARF) that may elevate."""
    for name, _, address, _, size in elf_sections(path):
        if name != "elevate_sites":
            continue
        listed = subprocess.run(["llvm-readelf-19", "-r", path], capture_output=True, text=True, check=True).stdout
        sites = [int(addend, 16) for at, addend in re.findall(r"^([0-9a-f]+) .*RELATIVE\s+([0-9a-f]+)$", listed, re.M)
                 if address <= int(at, 16) < address + size]
        # Of functions inlined into one another the outermost is the one that elevates.
        told = subprocess.run(["llvm-symbolizer-19", "--obj=" + path, "--output-style=JSON", *map(hex, sites)], capture_output=True,
                              text=True, check=True).stdout
        frames = [site["Symbol"][-1] for site in json.loads(told)]
        return sorted(f"{frame['FunctionName']}, {os.path.relpath(frame['FileName'])}:{frame['Line']}" for frame in frames)
    return []


def services(out: str) -> list[str]:
    """folder/name of every service that was built."""
    return sorted(os.path.join(folder, name)[len(out) + 1:-len(".so")]
                  for folder, _, names in os.walk(out) for name in names if name.endswith(".so"))


class Audit:
    """All figures."""

    def __init__(self, arch: str):
        self.out = os.path.join("build", arch, "release")
        self.arch = arch
        left_out = debug_only()
        self.lines = {area: sum(code_lines(path) for path in sources(area, arch) if path not in left_out) for area in AREAS}
        self.debug_lines = sum(code_lines(path) for path in left_out)
        self.cpu_lines = {cpu: {area: cpu_lines(area, cpu) for area in CPU_AREAS} for cpu in sorted(os.listdir(os.path.join("core", "arch")))}
        self.built = os.path.exists(os.path.join(self.out, "halyard.map"))
        self.text = kernel_text(os.path.join(self.out, "halyard.map")) if self.built else Counter()
        self.services: dict[str, tuple[int, int, list[str]]] = {}
        for name in services(os.path.join(self.out, "services")) if self.built else []:
            stem = os.path.join(self.out, "services", name)
            lines = sum(code_lines(path) for path in sources(os.path.join("services", name), arch))
            self.services[name] = (lines, service_text(stem + ".so"), elevation_sites(stem + ".so.debug"))
        self.text["services"] = sum(text for _, text, _ in self.services.values())

    def show(self) -> None:
        """The tables."""
        print(f"{'':24} {'runs':22} {'lines':>8} {'bytes':>9}")
        for area, how in AREAS.items():
            print(f"{area + '/':24} {how:22} {self.lines[area]:8,} {self.text[area]:9,}")
        if self.debug_lines:
            print(f"{'  DEBUG builds alone':24} {'always privileged':22} {self.debug_lines:8,} {'-':>9}")
        print("\nLines in arch/<cpu>/, tests left out:")
        for cpu, lines in self.cpu_lines.items():
            print(f"{cpu:24} {'':22} {sum(lines.values()):8,}   " + ", ".join(f"{area}/ {n:,}" for area, n in lines.items() if n))
        print()
        print(f"{'service':24} {'':22} {'lines':>8} {'bytes':>9}  elevation sites")
        for name, (lines, text, sites) in self.services.items():
            print(f"{name:24} {'':22} {lines:8,} {text:9,}  {len(sites)}")
        print("\nElevation sites (function, place):")
        for name, (_, _, sites) in self.services.items():
            for site in sites:
                print(f"  {name}: {site}")
        total = self.text["core"] + self.text["base"] + self.text["linux"] + self.text["services"]
        print(f"\nOf {total:,} bytes of machine code {100 * (self.text['core'] + self.text['base']) / total:.0f} % always run privileged, "
              f"{100 * self.text['linux'] / total:.0f} % by default, {100 * self.text['services'] / total:.0f} % do not.")

    def figures(self) -> dict[str, int]:
        """What a budget may bound."""
        figures = {"core-lines": self.lines["core"]}
        if self.built:
            figures[f"core-bytes-{self.arch}"] = self.text["core"]
            figures["elevation-sites"] = sum(len(sites) for name, (_, _, sites) in self.services.items() if not name.startswith("test/"))
        return figures


def over_budget(audit: Audit) -> list[str]:
    """What is wrong, a sentence each."""
    wrong, figures = [], audit.figures()
    with open(BUDGET, encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    for name, limit in rows:
        if name in figures and figures[name] > int(limit):
            wrong.append(f"{name} is {figures[name]}, and {BUDGET} allows {limit}: move something out of there, or say in a commit of its "
                         "own why it must grow")
    known = {"core-lines", "elevation-sites"}
    wrong += [f"{BUDGET}: nothing is called {name}" for name, _ in rows if name not in known and not name.startswith("core-bytes-")]
    return wrong


def main() -> int:
    """Shows or checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="x86_64")
    parser.add_argument("--check", action="store_true", help="only say what is over the budget")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    audit = Audit(arguments.arch)
    if not arguments.check:
        audit.show()
    elif not audit.built:
        print("audit: no RELEASE build is there, so bytes and elevation sites were not looked at (make audit builds one)")
    wrong = over_budget(audit)
    for text in wrong:
        print(f"audit: {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

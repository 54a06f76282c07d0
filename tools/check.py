#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the sources against the rules of CONTRIBUTING.md; `make check` runs it.

Each complaint is one line: rule, file:line, what is wrong and what to do. What has passed and has
not changed since is remembered in build/check-<arch>.json.
"""

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Whom a folder may include besides itself. Of another folder only what lies directly in it is public.
MAY_INCLUDE = {
    "abi": [], "base": [], "boot": ["base", "abi"], "core": ["base", "abi"],
    "linux": ["core", "abi", "base"], "services": ["abi", "base"], "user": ["abi"],
    "tests": ["abi", "user", "base"],
}
# What runs in a hosted C environment and may include its headers.
HOSTED = re.compile(r"^user/|^tests/|/host/")
FREESTANDING = {"float.h", "iso646.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbit.h",
                "stdbool.h", "stdckdint.h", "stddef.h", "stdint.h", "stdnoreturn.h"}
# The hosted half of base/ borrows these few from the C library (BASE_LIBC in base/compiler.h).
BASE_LIBC = {"string.h", "stdio.h", "stdlib.h", "errno.h", "strings.h"}
# Who may reach an architecture's headers, and generated ones (gate/), by <...>.
ARCH_INCLUDES = {"arch": ("core", "linux"), "linux_arch": ("linux", "abi"), "boot_arch": ("boot",),
                 "service_arch": ("services",), "gate": ("core", "linux", "services")}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
ARCH_TEST = re.compile(r"^\s*#\s*(?:el)?if.*\b(__x86_64__|__amd64__|__i386__|__aarch64__|__arm__)\b")
ASSEMBLY = re.compile(r'\b(?:__asm__|asm)\b\s*(?:volatile|__volatile__|goto|inline|\s)*\(\s*"[^"]')
SPDX = "SPDX-License-Identifier: MIT"
SPDX_SUFFIXES = (".c", ".h", ".S", ".ld", ".def", ".py", ".sh", ".mk")

complaints: list[str] = []
lock = threading.Lock()


def complain(rule: str, path: str, line: int, text: str) -> None:
    """Notes a broken rule."""
    with lock:
        complaints.append(f"{rule}: {path}:{line}: {text}")


class Cache:
    """What passed, with the times of the files it depended on."""

    def __init__(self, path: str):
        self.path = path
        self.known: dict[str, dict[str, int]] = {}
        try:
            with open(path, encoding="utf-8") as file:
                self.known = json.load(file)
        except (OSError, ValueError):
            pass

    @staticmethod
    def time(path: str) -> int:
        """A file's modification time; 0 when there is none."""
        try:
            return os.stat(path).st_mtime_ns
        except OSError:
            return 0

    def passed(self, key: str) -> bool:
        """Whether the check called `key` passed with the files as they are now."""
        files = self.known.get(key)
        return files is not None and all(self.time(path) == at for path, at in files.items())

    def note(self, key: str, files: list[str]) -> None:
        """The check called `key` passed; it depended on `files`."""
        times = {path: self.time(path) for path in files}
        with lock:
            self.known[key] = times

    def save(self) -> None:
        """Writes the file."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.known, file)


def sources() -> list[str]:
    """The files of the tree, tracked or not, that git does not ignore; not the bytes that fuzzers are fed."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], check=True,
                             capture_output=True, text=True).stdout
    return sorted(path for path in set(listing.split("\0"))
                  if os.path.isfile(path) and not path.startswith("tests/fuzz/"))


def arch_of(path: str) -> str | None:
    """The CPU of a path like core/arch/x86_64/...; None for common code."""
    found = re.search(r"(?:^|/)arch/([^/]+)/", path)
    return found[1] if found else None


# --- includes -------------------------------------------------------------------------------------

def include_fault(path: str, kind: str, target: str) -> str | None:
    """Why the file may not include the target; None when it may."""
    top, hosted = path.split("/")[0], HOSTED.search(path)
    head = target.split("/")[0]
    if kind == "<":
        if "/" in target and head in ARCH_INCLUDES:
            if top not in ARCH_INCLUDES[head]:
                return f"<{head}/...> is for {' and '.join(ARCH_INCLUDES[head])}"
        elif not hosted and target not in FREESTANDING and not (top == "base" and target in BASE_LIBC):
            return "not a freestanding header; our own are included by their folder: \"base/list.h\""
        return None
    if head not in MAY_INCLUDE or "/" not in target:
        return "say the path from the repository's root: \"core/page.h\""
    owner = os.path.dirname(target)
    if target.endswith("_priv.h") and os.path.dirname(path) != owner:
        return f"private to {owner}/"
    if arch_of(target) and arch_of(target) != arch_of(path):
        return f"only {owner.split('/arch/')[0]}/arch/{arch_of(target)}/ may; common code says <arch/...>"
    allowed = MAY_INCLUDE.get(top, [])
    if head == top or (top == "abi" and target == "base/types.h"):
        return None
    if head not in allowed:
        return f"{top}/ may include {' and '.join(allowed) or 'nothing'} besides itself"
    if head in ("core", "base", "linux") and "/" in os.path.relpath(target, head):
        return f"private to {head}/: only headers directly in {head}/ are public"
    return None


def check_text(path: str) -> None:
    """The rules that one reads line by line."""
    top = path.split("/")[0]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = text.split("\n")
    script = lines[0].startswith("#!")
    if path.endswith(SPDX_SUFFIXES) or script or os.path.basename(path) == "Makefile":
        if SPDX not in (lines[1] if script and len(lines) > 1 else lines[0]):
            complain("spdx", path, 1, f"begin the file with a comment: {SPDX}")
    if top not in MAY_INCLUDE and top != "tests" or not path.endswith((".c", ".h", ".S", ".def")):
        return
    common = arch_of(path) is None and (top == "user" or not HOSTED.search(path))
    for number, line in enumerate(lines, 1):
        if found := INCLUDE.match(line):
            if fault := include_fault(path, found[1], found[2]):
                complain("include", path, number, f"{found[2]}: {fault}")
        if common and (found := ARCH_TEST.match(line)):
            complain("arch", path, number, f"tests {found[1]}; put it under {top}/arch/<cpu>/ "
                                           "behind a header")
    if common:
        for found in ASSEMBLY.finditer(text):
            complain("arch", path, text.count("\n", 0, found.start()) + 1,
                     f"assembly outside of {top}/arch/<cpu>/")
        if path.endswith(".S"):
            complain("arch", path, 1, f"assembly outside of {top}/arch/<cpu>/")


def check_python(path: str) -> None:
    """Whether Python can read it."""
    with open(path, "rb") as file:
        text = file.read()
    if path.endswith(".py") or text.startswith(b"#!/usr/bin/env python3"):
        try:
            compile(text, path, "exec")
        except SyntaxError as error:
            complain("python", path, error.lineno or 1, error.msg)


# --- tools ----------------------------------------------------------------------------------------

def check_format(paths: list[str], cache: Cache) -> None:
    """clang-format over some files at once."""
    result = subprocess.run(["clang-format-19", "--dry-run", "-Werror", "--ferror-limit=1", *paths],
                            capture_output=True, text=True, check=False)
    bad = set()
    for path, line in re.findall(r"^([^:\s]+):(\d+):\d+: error", result.stderr, re.M):
        if path not in bad:
            complain("format", path, int(line), "not as .clang-format wants it; run `make format`")
        bad.add(path)
    if result.returncode != 0 and not bad:
        complain("format", paths[0], 1, f"clang-format-19 failed: {result.stderr.strip()}")
        return
    for path in paths:
        if path not in bad:
            cache.note("format " + path, [path, ".clang-format"])


def check_header(path: str, arch: str, flags: list[str], cache: Cache) -> None:
    """Compiles a header alone, twice included."""
    if HOSTED.search(path):
        command = ["clang-19", "-std=gnu2x", "-I.", "-Iuser/include", f"-Iuser/arch/{arch}/include",
                   f"--target={arch}-linux-gnu"]
    else:
        command = ["clang-19", *flags, f"-Ibuild/{arch}/gen"]
    with tempfile.TemporaryDirectory() as folder:
        depends = os.path.join(folder, "depends") # which clang removes when it fails
        command += ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
                    "-Wno-unknown-warning-option", "-fsyntax-only", "-MD", "-MF",
                    depends, "-xc", "-"]
        source = f'#include "{path}"\n' * 2
        result = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            with open(depends, encoding="utf-8") as file:
                names = file.read().replace("\\\n", " ").split()[1:]
            cache.note("header " + path, [name for name in names if name != "-"] + ["tools/check.py"])
            return
    found = re.search(r"^(\S+?):(\d+):\d+: (?:fatal )?error: (.*)", result.stderr, re.M)
    where = f"{found[3]} ({found[1]}:{found[2]})" if found else result.stderr.strip()[:200]
    complain("header", path, int(found[2]) if found and found[1].endswith(path) else 1,
             f"does not compile alone: {where}; include what it uses")


def kernel_flags(arch: str) -> list[str]:
    """The flags of the kernel's build that decide how a header reads."""
    command = ["make", "-s", "--no-print-directory", f"ARCH={arch}", "print-header-flags"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.split()


def wanted(path: str, arch: str) -> bool:
    """Whether a header belongs to this CPU's build."""
    return arch_of(path) in (None, arch)


def main() -> int:
    """Runs all rules over all files."""
    parser = argparse.ArgumentParser(description="Check the sources.")
    parser.add_argument("--arch", default="x86_64")
    arch = parser.parse_args().arch
    os.chdir(ROOT)
    cache = Cache(os.path.join("build", f"check-{arch}.json"))
    files = sources()
    code = [path for path in files if path.endswith((".c", ".h"))]
    headers = [path for path in code if path.endswith(".h") and wanted(path, arch)
               and not cache.passed("header " + path)]
    unformatted = [path for path in code if not cache.passed("format " + path)]
    flags = kernel_flags(arch) if headers else []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs: list[concurrent.futures.Future] = []

        def start(function: Callable, *arguments: object) -> None:
            jobs.append(pool.submit(function, *arguments))

        for at in range(0, len(unformatted), 16):
            start(check_format, unformatted[at:at + 16], cache)
        for path in headers:
            start(check_header, path, arch, flags, cache)
        for path in files:
            try:
                check_text(path)
                check_python(path)
            except UnicodeDecodeError:
                complain("text", path, 1, "not UTF-8")
        for job in jobs:
            job.result()
    cache.save()
    for line in sorted(complaints):
        print(line)
    if complaints:
        print(f"check: {len(complaints)} complaints; CONTRIBUTING.md has the rules", file=sys.stderr)
        return 1
    print(f"check: {len(files)} files are as CONTRIBUTING.md wants them")
    return 0


if __name__ == "__main__":
    sys.exit(main())

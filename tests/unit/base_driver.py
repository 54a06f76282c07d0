# SPDX-License-Identifier: MIT
"""Builds the host drivers of base/ (base/host/*_cli.c) under ASan and UBSan, for the oracle tests."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def build(directory, name, *modules):
    """Compiles base/host/NAME.c with the given modules of base/; returns the program's path."""
    program = pathlib.Path(directory) / name
    sources = [f"base/host/{name}.c"] + [f"base/{m}.c" for m in modules]
    subprocess.run(
        [os.environ.get("HOSTCC", "clang-19"), "-std=c23", "-g", "-O1", "-Wall", "-Wextra",
         "-Werror", "-I.", *SANITIZE, *sources, "-o", str(program)],
        cwd=ROOT, check=True, timeout=300)
    return program


def run(program, *args, stdin):
    """Runs a driver; returns (exit status, stdout bytes, stderr text)."""
    done = subprocess.run([str(program), *map(str, args)], input=stdin, capture_output=True,
                          timeout=120)
    return done.returncode, done.stdout, done.stderr.decode()

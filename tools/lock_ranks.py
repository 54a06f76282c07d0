#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes docs/locks.md from core/lock_classes.def.

    lock_ranks.py                 writes docs/locks.md
    lock_ranks.py --check         fails when docs/locks.md is not what the classes say, or two ranks are equal
    lock_ranks.py --classes F --output G    other files
"""

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FIRST_SPINLOCK_RANK = 1000
LINE = re.compile(r'LOCK_CLASS\((\w+), *(\d+), *([01]), *"([^"]*)"\)')

INTRODUCTION = """\
<!-- Made by tools/lock_ranks.py from core/lock_classes.def. Change that file and run `tools/lock_ranks.py`. -->
# Lock ranks

Every lock belongs to a class, and every class has a rank. A lock may be taken only while all locks already held have a smaller
rank; the tables below are therefore the order in which locks nest, from the outermost to the innermost.

In `DEBUG=1` builds `core/sync/lockcheck.c` checks on every acquisition: the order, recursion, that no sleeping lock is taken under
a spinlock or in an interrupt, and for spinlocks the column *interrupts*. Classes marked **off** are also taken in interrupt
handlers: they are always taken with interrupts off. The others are never taken in a handler, nor under a lock marked **off**.
A violation panics and names both places. Two locks of one class may be held together only where the code says `_nested`, and
the comment there says what orders them.

A new lock needs a class: add a line with its one-line reason to `core/lock_classes.def`.
"""


class LockClass(NamedTuple):
    name: str
    rank: int
    irq: bool
    reason: str


def parse(text: str, source: str) -> list[LockClass]:
    """The classes by rank. Exits with a sentence when the file cannot be right."""
    classes = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("LOCK_CLASS("):
            continue
        match = LINE.match(line)
        if not match:
            sys.exit(f'{source}:{number}: not of the form LOCK_CLASS(name, rank, 0 or 1, "reason")')
        name, rank, irq, reason = match.groups()
        classes.append(LockClass(name, int(rank), irq == "1", reason))
    classes.sort(key=lambda c: c.rank)
    for one, two in zip(classes, classes[1:]):
        if one.rank == two.rank:
            sys.exit(f"{source}: {one.name} and {two.name} have the same rank {one.rank}")
    names = [c.name for c in classes]
    for name in names:
        if names.count(name) > 1:
            sys.exit(f"{source}: {name} is defined twice")
    for c in classes:
        if c.irq and c.rank < FIRST_SPINLOCK_RANK:
            sys.exit(f"{source}: {c.name} sleeps (rank below {FIRST_SPINLOCK_RANK}), so interrupts cannot take it")
    return classes


def table(classes: list[LockClass], with_interrupts: bool) -> str:
    if with_interrupts:
        rows = ["| rank | class | interrupts | guards |", "|---:|---|---|---|"]
        rows += [f"| {c.rank} | `{c.name}` | {'off' if c.irq else ''} | {c.reason} |" for c in classes]
    else:
        rows = ["| rank | class | guards |", "|---:|---|---|"]
        rows += [f"| {c.rank} | `{c.name}` | {c.reason} |" for c in classes]
    return "\n".join(rows) + "\n"


def document(classes: list[LockClass]) -> str:
    sleeping = [c for c in classes if c.rank < FIRST_SPINLOCK_RANK]
    spinning = [c for c in classes if c.rank >= FIRST_SPINLOCK_RANK]
    return "\n".join([INTRODUCTION,
                      "## Sleeping locks: mutexes and reader-writer locks\n", table(sleeping, False),
                      "## Spinlocks\n", table(spinning, True)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes docs/locks.md from core/lock_classes.def.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--classes", type=Path, default=ROOT / "core/lock_classes.def")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/locks.md")
    arguments = parser.parse_args()
    text = document(parse(arguments.classes.read_text(), str(arguments.classes)))
    if not arguments.check:
        arguments.output.write_text(text)
    elif not arguments.output.exists() or arguments.output.read_text() != text:
        sys.exit(f"{arguments.output} is out of date: run tools/lock_ranks.py")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Debian's inotifywait and ipcs, ipcrm, ipcmk, lsipc: what they make of the kernel's answers."""

from conftest import Batch, MachineConfig

batch = Batch("disk-tools", machines=[MachineConfig(4)], timeout=60)

WATCH = """mkdir -p /tmp/w/sub && cd /tmp && inotifywait -m -r -t 5 --format '%w%f %e' w >log 2>err & sleep 0.5
cd /tmp; i=0; while ! grep -q established err && [ $i -lt 40 ]; do sleep 0.1; i=$((i+1)); done
echo x >w/a; mv w/a w/sub/b; rm w/sub/b; mkdir w/new; sleep 0.5; rmdir w/new; rm -r w/sub; sleep 0.3; kill %1 2>/dev/null; cat log"""


@batch.command(["sh", "-c", WATCH])
def test_inotifywait(result):
    """A tree that is watched recursively, by Debian's inotify-tools."""
    lines = result.text.split("\n")
    wanted = ["w/a CREATE", "w/a OPEN", "w/a MODIFY", "w/a CLOSE_WRITE,CLOSE", "w/a MOVED_FROM", "w/sub/b MOVED_TO",
              "w/sub/b DELETE", "w/new CREATE,ISDIR", "w/new DELETE,ISDIR", "w/sub/ DELETE_SELF", "w/sub DELETE,ISDIR"]
    at = 0
    for line in wanted:
        assert line in lines[at:], f"{line!r} is missing after line {at} of\n{result.text}"
        at = lines.index(line, at) if not line.startswith("w/sub/ ") else at

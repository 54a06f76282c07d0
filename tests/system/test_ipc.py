# SPDX-License-Identifier: MIT
"""Debian's inotifywait and ipcs, ipcrm, ipcmk, lsipc: what they make of the kernel's answers."""

import re

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


IPCS = """ipcmk -M 10000 -p 0640; ipcmk -S 3; ipcmk -Q; ipcs -m -i 0; ipcs -s -i 0; ipcs -q -i 0; ipcs; ipcs -u; ipcs -l; lsipc
ipcrm -m 0 -s 0 -q 0; ipcs"""


@batch.command(["sh", "-c", IPCS])
def test_ipcs(result):
    """What util-linux makes of one of each kind, and that ipcrm removes them."""
    text = result.text
    for line in ("Shared memory id: 0", "Semaphore id: 0", "Message queue id: 0"):
        assert line in text
    assert re.search(r"^0x[0-9a-f]{8} 0 +root +640 +10000 +0 *$", text, re.M), text  # ipcs -m
    assert re.search(r"^0x[0-9a-f]{8} 0 +root +644 +3 *$", text, re.M), text  # ipcs -s
    assert re.search(r"^0x[0-9a-f]{8} 0 +root +644 +0 +0 *$", text, re.M), text  # ipcs -q
    assert re.search(r"^bytes=10000\s+lpid=0\s+cpid=\d+\s+nattch=0", text, re.M), text
    assert re.search(r"^nsems = 3", text, re.M), text
    assert "segments allocated 1\npages allocated 3\npages resident  0" in text  # ipcs -u
    assert "used arrays = 1\nallocated semaphores = 3" in text
    assert "allocated queues = 1\nused headers = 0\nused space = 0 bytes" in text
    assert "max number of segments = 4096" in text and "max semaphores per array = 32000" in text  # ipcs -l
    assert "max queues system wide = 32000" in text and "max size of message (bytes) = 8192" in text
    assert re.search(r"^SHMMNI\s+Shared memory segments\s+4096\s+1\s", text, re.M), text  # lsipc
    after = text[text.rindex("------ Message Queues"):]
    assert "root" not in after, after

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows what becomes of a disk driver that writes into a page table: `make demo`.

Boots twice, with the driver lowered and with the driver privileged. Each time a copy to the driver's disk runs; in the middle of it
the driver is told (/proc/halyard/services, `poke`) to write into a page table, and does. What the screen shows is what the machine
said; the comments between are this script's. Exit status: 0 when both went as they should.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import textwrap

import vm

MIB = 1 << 20
BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")

# The copy runs in the background, a megabyte at a time, past the page cache; the stray write comes at a quarter of it.
SCRIPT = """
size=@SIZE@
dd if=/dev/urandom of=/tmp/source bs=1M count=$size 2>/dev/null
echo "  $size MiB of random bytes, sha256 $(sha256sum </tmp/source | cut -c1-16)..., are copied to /dev/vda."
copy() {
	for i in $(seq 0 $((size - 1))); do
		dd if=/tmp/source of=/dev/vda bs=64k skip=$((i * 16)) seek=$((i * 16)) count=16 oflag=direct conv=notrunc 2>/tmp/error ||
			{ echo "  the copy failed:"; cat /tmp/error; exit 1; }
		echo $i >/tmp/copied
		[ $((i % 8)) = 7 ] && echo "  $((i + 1)) MiB copied"
	done
	sync
}
echo 0 >/tmp/copied
copy &
copier=$!
while [ $(cat /tmp/copied) -lt $((size / 4)) ]; do usleep 1000; done
echo
echo "  # echo poke virtio_blk page-table >/proc/halyard/services"
echo poke virtio_blk page-table >/proc/halyard/services
echo
wait $copier || exit 1
echo 3 >/proc/sys/vm/drop_caches
echo
echo "  The copy has ended. Read back from the disk:"
echo "  sha256 of the source  $(sha256sum </tmp/source | cut -c1-64)"
echo "  sha256 of /dev/vda    $(dd if=/dev/vda bs=1M count=$size 2>/dev/null | sha256sum | cut -c1-64)"
echo "  restarts of the driver: $(awk '$1 == "virtio_blk" {print $12 ", which took " $13 " us"}' /proc/halyard/services)"
"""


def say(text: str, style: str = "") -> None:
    """A paragraph of ours."""
    print(style + textwrap.fill(text, 100) + (PLAIN if style else ""), flush=True)


def show(data: bytes) -> None:
    """What the guest prints, as it comes."""
    sys.stdout.write(data.decode(errors="replace").replace("\r", ""))
    sys.stdout.flush()


def run(arguments: argparse.Namespace, isolation: str, image: str) -> tuple[vm.Result | None, str]:
    """One boot: the result, or None and the console when the kernel went down."""
    options = vm.Options(arch=arguments.arch, cpus=2, disks=[image], kernel=arguments.kernel, timeout=120,
                         append=f"service.virtio_blk={isolation}")
    try:
        results = vm.run_commands(options, [SCRIPT.replace("@SIZE@", str(arguments.size))], on_output=show, on_log=lambda data: None)
    except vm.VmPanic as error:
        return None, error.console.decode(errors="replace")
    return results[0], ""


def lowered(arguments: argparse.Namespace, image: str) -> bool:
    """The driver as it runs by default."""
    say("1. The disk driver runs lowered: in ring 3, with no right to touch the kernel's memory", BOLD)
    print()
    result, _ = run(arguments, "lowered", image)
    if result is None or result.status != 0:
        say("This did not go as it should: the copy was to survive.", BOLD)
        return False
    with open(image, "rb") as file:
        found = hashlib.sha256(file.read(arguments.size * MIB)).hexdigest()
    right = f"sha256 of the source  {found}" in result.text and f"sha256 of /dev/vda    {found}" in result.text
    print(f"  sha256 of the file that is the disk, seen from outside: {'the same' if right else found + ', WRONG'}\n")
    say("The write was stopped by the CPU at the instruction that made it, before it changed anything. The report above says which "
        "service, what it wanted to touch, and how the call came there. Core threw the driver's memory away, loaded it again and gave "
        "it the requests that it had not finished. The copy noticed nothing.")
    return right


def privileged(arguments: argparse.Namespace, image: str) -> bool:
    """The same binary with the kernel's own rights."""
    print()
    say("2. The same driver, the same write, but privileged, as drivers are in other kernels", BOLD)
    print()
    result, _ = run(arguments, "privileged", image)
    print()
    if result is None:
        say("The write went through: it destroyed the page table of the program that was running, and the kernel with it. Nobody "
            "can tell any more who did it: the trace shows the place that stumbled over it.")
        return True
    say("The write went through and this time the machine lives on, with a page table that has been damaged.")
    return result.status == 0


def main() -> int:
    """Both boots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="x86_64", choices=vm.MACHINES)
    parser.add_argument("--kernel", help="another kernel than the one built last")
    parser.add_argument("--size", type=int, default=32, metavar="MIB", help="how much to copy; default 32")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="halyard-demo-") as folder:
        image = os.path.join(folder, "disk.img")
        with open(image, "wb") as file:
            file.truncate((arguments.size + 1) * MIB)
        try:
            fine = lowered(arguments, image) and privileged(arguments, image)
        except vm.VmError as error:
            print(f"demo: {error}", file=sys.stderr)
            return error.status
    print()
    say("See docs/containment.md for everything else that a service can do wrong, and docs/services.md for how to write one.", DIM)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""What is written to a disk in one way is read in every other: tests/programs/services/block_check.c."""

import pytest

from conftest import MachineConfig


@pytest.mark.parametrize("block", [512, 4096])
def test_virtio_disk(boot, tmp_path, block):
    path = tmp_path / "disk"
    with open(path, "wb") as file:
        file.truncate(24 << 20)
    result, = boot([["/programs/block_check", "/dev/vda"]], machine=MachineConfig(4), image="programs", qemu_args=[
        "-drive", f"file={path},if=none,id=d,format=raw", "-device",
        f"virtio-blk-pci,drive=d,logical_block_size={block},physical_block_size={block}"])
    assert result.status == 0, result.text

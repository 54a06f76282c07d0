// SPDX-License-Identifier: MIT
// Flags of open(2) that differ between CPUs (AArch64).
#pragma once

enum {
	O_DIRECTORY = 040000,
	O_NOFOLLOW = 0100000,
	O_DIRECT = 0200000,
	O_LARGEFILE = 0400000,
};

// SPDX-License-Identifier: MIT
// Flags of open(2) that differ between CPUs (x86-64).
#pragma once

enum {
	O_DIRECT = 040000,
	O_LARGEFILE = 0100000,
	O_DIRECTORY = 0200000,
	O_NOFOLLOW = 0400000,
};

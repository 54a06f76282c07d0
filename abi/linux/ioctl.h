// SPDX-License-Identifier: MIT
// ioctl(2) requests that every descriptor understands.
#pragma once

enum {
	FIONREAD = 0x541b,
	FIONBIO = 0x5421,
	FIONCLEX = 0x5450,
	FIOCLEX = 0x5451,
	FIOASYNC = 0x5452,
	FIOQSIZE = 0x5460,
	FIGETBSZ = 2,
	FIBMAP = 1,
	FIFREEZE = (int)0xc0045877,
	FITHAW = (int)0xc0045878,
};

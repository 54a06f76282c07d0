// SPDX-License-Identifier: MIT
// crc32.h: the CRC-32 of gzip, Ethernet and GPT (polynomial 0x04c11db7, reflected).
#pragma once

#include "base/types.h"

// Continues a checksum over further bytes; start with crc = 0.
u32 crc32_update(u32 crc, const void *data, size_t len);

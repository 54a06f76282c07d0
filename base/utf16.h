// SPDX-License-Identifier: MIT
// utf16.h: UTF-16 names, as GPT, FAT and USB have them, to UTF-8.
#pragma once

#include "base/types.h"

// Converts up to `units` little-endian units, or up to a unit of 0, into a buffer of `size` bytes:
// always terminated if size > 0, cut between characters when it is too small. Half a surrogate pair
// becomes U+FFFD. Result: the text's length in bytes.
size_t utf16le_to_utf8(char *dst, size_t size, const void *src, size_t units);

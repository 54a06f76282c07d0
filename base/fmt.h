// SPDX-License-Identifier: MIT
// fmt.h: printf-style formatting.
//
// Conversions: d i u x X o c s p %. Flags: - 0 + space #. Width and precision, also `*`. Lengths:
// hh h l ll z t j. %p prints 0x and 16 digits. There is no floating point and no %n. An unknown
// conversion is printed as it stands.
#pragma once

#include <stdarg.h>

#include "base/types.h"

#if __STDC_HOSTED__
#include <stdio.h>
#endif

// Gets the output piece by piece, not NUL-terminated.
typedef void fmt_sink_fn(void *ctx, const char *text, size_t len);

// Formats into a sink. Result: the number of bytes produced. The only one that needs no buffer.
size_t fmt_vformat(fmt_sink_fn *sink, void *ctx, const char *format, va_list args) __printf(3, 0);
size_t fmt_format(fmt_sink_fn *sink, void *ctx, const char *format, ...) __printf(3, 4);

// As in C: write at most size - 1 bytes and a NUL; result is the length without the limit.
int BASE_LIBC(vsnprintf)(char *buf, size_t size, const char *format, va_list args) __printf(3, 0);
int BASE_LIBC(snprintf)(char *buf, size_t size, const char *format, ...) __printf(3, 4);

// The same; result is the number of bytes really in buf, without the NUL: safe to add up.
int vscnprintf(char *buf, size_t size, const char *format, va_list args) __printf(3, 0);
int scnprintf(char *buf, size_t size, const char *format, ...) __printf(3, 4);

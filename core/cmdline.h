// SPDX-License-Identifier: MIT
// The kernel's command line, parsed once. Privileged; immutable after boot.
#pragma once
#include "base/types.h"
const char *cmdline_text(void); // as given, for /proc/cmdline
const char *cmdline_value(
	const char *key); // last value of key=..., "" for a bare key, nullptr when absent
bool cmdline_has(const char *key);
u64 cmdline_u64(const char *key,
		u64 otherwise); // logs one sentence and uses otherwise when malformed
bool cmdline_next(const char *key, u32 *cursor,
		  const char **value); // every value of a key that may come several times
// Every key that begins with prefix: the rest of the key.
bool cmdline_next_behind(const char *prefix, u32 *cursor, const char **rest);
void cmdline_init(void); // logs malformed parts

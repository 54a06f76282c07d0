// SPDX-License-Identifier: MIT
// What the system calls itself. Private to linux/.
#pragma once
#include "base/types.h"

constexpr u32 UTS_LEN = 65; // bytes of one field, NUL included

extern const char uname_sysname[]; // "Linux": what programs ask for
extern const char uname_version[]; // "#1 SMP ..."
extern const char uname_compiler[];
const char *uname_release(void);

enum uts_name { UTS_HOSTNAME, UTS_DOMAINNAME, UTS_NAMES };
void uts_name_get(enum uts_name which, char out[UTS_LEN]);
void uts_name_set(enum uts_name which, const char *name, size_t len); // len < UTS_LEN

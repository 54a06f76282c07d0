// SPDX-License-Identifier: MIT
// The order of clone(2)'s last two parameters (x86-64).
#pragma once
#define CLONE_LAST_PARAMETERS u64 child_tid, u64 tls

// SPDX-License-Identifier: MIT
// The order of clone(2)'s last two parameters (AArch64).
#pragma once
#define CLONE_LAST_PARAMETERS u64 tls, u64 child_tid

// SPDX-License-Identifier: MIT
// Terminals, as the rest of linux/ sees them. Privileged.
#pragma once
#include "base/types.h"

struct session;

// The session's controlling terminal for /proc/PID/stat: its device number (dev_make) or 0; *pgrp:
// foreground group or 0.
u64 session_tty_info(struct session *s, u32 *pgrp);

// Before the machine goes off: what services have not sent yet of terminals' output and of the log
// goes out, as far as it does within a second. May sleep.
void terminals_drain(void);

// SPDX-License-Identifier: MIT
// What the common part of the Limine door and the architecture's tell each other. Privileged; boot
// CPU.
#pragma once
#include "base/types.h"

// ---- limine.c ----

// Where the architecture's entry code goes on: on the kernel's own stack, on the loader's tables.
[[noreturn]] void limine_start(void);
// For what makes it impossible to go on; `sentence` is English, with a full stop.
[[noreturn]] void limine_fatal(const char *sentence);

// ---- arch/<cpu>/boot_limine.c ----

// Says it on a serial port that needs no finding; nothing where there is none.
void limine_say(const char *text);
// bootinfo is filled. From here on physical memory is where phys_ptr() says, up to EARLY_MAP_END at
// least, and the image where it is linked. direct_map: where the loader has physical memory.
void limine_leave_loader(u64 direct_map);

// SPDX-License-Identifier: MIT
// What the common part of the probe kernel and the part that depends on the CPU tell each other.
#pragma once

#include <stddef.h>
#include <stdint.h>

/* ---- probe.c ---- */

extern uint64_t direct_map; /* offset; 0 before it is known */

void put(const char *s);
void put_number(const char *key, uint64_t n);
void check(const char *name, bool holds);
[[noreturn]] void stop(void);

/* Whether [p, ...) lies in memory that the loader calls its own. p: in the direct map. */
bool owned_by_loader(const volatile void *p);

/* Where the entry code of the architecture goes on, on the loader's stack. state is its own. */
[[noreturn]] void probe_main(const uint64_t *state);

/* ---- arch/<cpu>/test/ ---- */

/* The kernel's first instruction, and one that must not be. */
void probe_start(void);
void probe_wrong_entry(void);

extern uint64_t saved_sp; /* the stack pointer at entry */

/* Once, before all output. */
void arch_start(void);
void arch_put(char c);
[[noreturn]] void arch_power_off(void);

enum memory { MEMORY_WRITE_BACK, MEMORY_COMBINING, MEMORY_OTHER };

struct leaf {
	uint64_t phys;
	uint64_t left; /* bytes from here to the end of the page, or of what is not there */
	bool writable, executable, present;
	enum memory memory;
};

/* Walks the tables of the upper half, or of the lower if the protocol says something about it. */
struct leaf arch_walk(uint64_t virt);
uint64_t arch_root(void); /* physical */

/* Registers and tables as the protocol has them at entry. */
void arch_check_cpu(const uint64_t *state);
/* Interrupt controllers and such. */
void arch_check_devices(void);

/* Makes physical memory that the direct map of base revision 3 leaves out visible: one place at a
 * time, at least 2 MiB from phys. */
volatile void *arch_map(uint64_t phys);

// SPDX-License-Identifier: MIT
// What the loader needs of a CPU architecture; one folder of arch/ implements it.
#pragma once

#include <stdint.h>

#include "boot/loader.h"

/* Of the target: where the direct map begins, its e_machine, and the one relocation that a kernel
 * may contain. */
extern const uint64_t arch_hhdm;
extern const uint16_t arch_elf_machine;
extern const uint32_t arch_elf_relative;

/* Whether this machine, as the firmware left it, can enter a kernel at all. */
[[nodiscard]] reason arch_check(void);

/* Entries of page tables, which have four levels of 512 entries. What is not in use is 0. A table's
 * entry allows all that its pages' entries allow; of those the address is in arch_entry_address,
 * the size 1 << shift, up to what arch_largest_shift says, and rights are of enum map_rights. */
extern const uint64_t arch_entry_address;
unsigned arch_largest_shift(void);
uint64_t arch_entry_table(uint64_t table);
uint64_t arch_entry_page(uint64_t page, unsigned shift, unsigned rights);

/* space.c: a root table being filled; its pages come from a pool that the caller allocated, zeroed,
 * before. */
struct space {
	uint64_t *root;
	uint8_t *pool;
	uint64_t pool_pages, used_pages;
};

/* Allocate no memory and call no firmware. False: the pool is used up. */
[[nodiscard]] bool space_init(struct space *space, void *pool, uint64_t pool_pages);
[[nodiscard]] bool space_map(struct space *space, uint64_t virt, uint64_t phys, uint64_t len_bytes,
			     unsigned rights);

/* Memory into which code was written as data can be executed from now on, also by a CPU whose
 * caches are off. */
void arch_code_written(const void *start, uint64_t len_bytes);

/* Learns from the firmware's tables what arch_enter must silence. tables: the ACPI RSDP, or null.
 */
void arch_prepare(const void *tables);

/* Once boot services have ended: the CPU as the protocol wants it, then, on the kernel's tables and
 * stack, leftovers_clear(), then the kernel. */
[[noreturn]] void arch_enter(const struct space *space, uint64_t entry, uint64_t stack_top,
			     const struct leftovers *leftovers);

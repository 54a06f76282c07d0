// SPDX-License-Identifier: MIT
// boot_limine.c: what the Limine door needs of x86-64: a word on COM1. The loader's page tables
// serve until the kernel has its own. Privileged; boot CPU.
#include "core/boot/limine.h"
#include <arch/paging.h>

void limine_say(const char *text)
{
	for (; *text; text++) {
		u8 status = 0;

		/* Bounded: there may be no port there. */
		for (u32 tries = 0; tries < 100000 && !(status & 0x20); tries++)
			__asm__ volatile("inb %1, %0" : "=a"(status) : "Nd"((u16)0x3fd));
		__asm__ volatile("outb %0, %1" : : "a"(*text), "Nd"((u16)0x3f8));
	}
}

void limine_leave_loader(u64 direct_map)
{
	if (direct_map != DIRECT_MAP_BASE)
		limine_fatal(
			"the boot loader put the direct map of memory elsewhere than at 0xffff800000000000; switch its randomisation off.");
}

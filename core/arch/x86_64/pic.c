// SPDX-License-Identifier: MIT
// pic.c: silences the pair of 8259 interrupt controllers, which the I/O APIC replaces. Privileged.
#include "core/arch/x86_64/apic.h"

constexpr u16 PIC1 = 0x20;
constexpr u16 PIC2 = 0xa0;

// They are given vectors of their own first: a masked 8259 can still deliver a spurious interrupt,
// which must not look like a CPU exception. Both its spurious vectors (7 of each) lie among those
// of devices, where irq_dispatch drops strangers.
void pic_mask_all(void)
{
	outb(PIC1, 0x11); // ICW1: initialise, ICW4 follows
	outb(PIC2, 0x11);
	outb(PIC1 + 1, VECTOR_DEVICE_FIRST);
	outb(PIC2 + 1, VECTOR_DEVICE_FIRST + 8);
	outb(PIC1 + 1, 4); // ICW3: the second one hangs on line 2
	outb(PIC2 + 1, 2);
	outb(PIC1 + 1, 1); // ICW4: 8086 mode
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
}

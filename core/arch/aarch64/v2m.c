// SPDX-License-Identifier: MIT
// v2m.c: frames in front of a GICv2 in which a write raises a shared interrupt, so that devices can
// send messages (Server Base System Architecture, appendix on GICv2m). Privileged.
#include "base/bitmap.h"
#include "base/errno.h"
#include "core/arch/aarch64/gic.h"
#include "core/arch/aarch64/machine.h"
#include "core/arch/aarch64/mmio.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/slab.h"

enum v2m_reg : u32 { V2M_TYPER = 0x8, V2M_SETSPI = 0x40 };

static struct frame {
	u64 at;
	volatile u8 *registers;
	u32 first, n;	// numbers
} frames[MACHINE_V2MS]; // immutable after v2m_init
static u32 nframes;
static spinlock_t lock = SPINLOCK_INIT(LOCK_irq);
static BITMAP_DECLARE(used, GIC_SPI_END); // lock

static void frame_add(u32 i, u32 nspis)
{
	struct machine_range r = machine.v2m[i].registers;
	volatile u8 *p = r.len > V2M_SETSPI ? mmio_map(phys(r.base), r.len) : nullptr;

	if (!p)
		return;
	u32 typer = mmio_read32(p + V2M_TYPER), first = machine.v2m[i].first, n = machine.v2m[i].n;

	if (!first || !n) {
		first = typer >> 16 & 0x3ff;
		n = typer & 0x3ff;
	}
	if (first < GIC_SPI_FIRST || first + n > GIC_SPI_FIRST + nspis) {
		log_warn("v2m: the frame at %#llx has numbers that do not exist", r.base);
		return;
	}
	frames[nframes++] = (struct frame){r.base, p, first, n};
}

bool v2m_init(u32 nspis)
{
	for (u32 i = 0; i < machine.nv2ms; i++)
		frame_add(i, nspis);
	return nframes;
}

static const struct frame *frame_of(u32 intid)
{
	for (u32 i = 0; i < nframes; i++)
		if (intid >= frames[i].first && intid - frames[i].first < frames[i].n)
			return &frames[i];
	return nullptr;
}

bool v2m_owns(u32 intid)
{
	return frame_of(intid);
}

int v2m_alloc(struct msi_message *m)
{
	int err = -ENOSPC;
	irqflags_t flags = spin_lock_irqsave(&lock);

	for (u32 i = 0; i < nframes && err; i++) {
		for (u32 intid = frames[i].first; intid < frames[i].first + frames[i].n; intid++) {
			if (bitmap_test_and_set(used, intid))
				continue;
			*m = (struct msi_message){frames[i].at + V2M_SETSPI, intid, intid};
			err = 0;
			break;
		}
	}
	spin_unlock_irqrestore(&lock, flags);
	return err;
}

void v2m_free(u32 intid)
{
	irqflags_t flags = spin_lock_irqsave(&lock);

	bitmap_clear(used, intid);
	spin_unlock_irqrestore(&lock, flags);
}

void v2m_raise(u32 intid)
{
	mmio_write32(frame_of(intid)->registers + V2M_SETSPI, intid);
}

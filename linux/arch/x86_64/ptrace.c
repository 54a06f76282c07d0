// SPDX-License-Identifier: MIT
// Owns a tracee's registers on x86-64: how a tracer sees them, and what it may write.
//
// What is written is believed as little as a signal frame: selectors stay what they are, flags are
// masked, bases and breakpoints lie in the program's half, and what XRSTOR would refuse is refused.
// Nothing here can change the privilege of a thread.
#include <linux_arch/ptrace.h>
#include "base/string.h"
#include "core/mmu_space.h"
#include "core/panic.h"
#include "linux/task.h"
#include <arch/cpuid.h>
#include <arch/paging.h>
#include <linux_arch/signal.h>

constexpr u64 CS_SHOWN = 0x33, SS_SHOWN = 0x2b; // Linux's, as in signal frames
constexpr u32 FXSAVE_SIZE = 512, XSAVE_HEADER = 64, MXCSR_OFFSET = 24, SOFTWARE_OFFSET = 464;
constexpr u64 STATE_X87 = 1, STATE_SSE = 2;

u32 regset_size(u32 type)
{
	switch (type) {
	case REGSET_GENERAL:
		return sizeof(struct linux_user_regs);
	case REGSET_FLOAT:
		return FXSAVE_SIZE;
	case REGSET_X86_XSTATE:
		return fpu_state_size();
	}
	return 0;
}

int ptrace_request_translate(int request, u32 *type)
{
	*type = request == PTRACE_GETREGS || request == PTRACE_SETREGS ? REGSET_GENERAL
								       : REGSET_FLOAT;
	switch (request) {
	case PTRACE_GETREGS:
	case PTRACE_GETFPREGS:
		return PTRACE_GETREGSET;
	case PTRACE_SETREGS:
	case PTRACE_SETFPREGS:
		return PTRACE_SETREGSET;
	}
	return 0;
}

// ---- general registers ----

static void regs_read(struct task *t, struct linux_user_regs *r)
{
	const struct trap_frame *f = thread_user_frame(&t->thread);
	const struct arch_thread *a = &t->thread.arch;
	static_assert(offsetof(struct linux_user_regs, ss) == offsetof(struct trap_frame, ss));
	memcpy(r, f, sizeof(*f));
	r->rflags &= ~SIGNAL_FLAGS_HIDDEN;
	r->cs = CS_SHOWN;
	r->ss = SS_SHOWN;
	r->fs_base = a->fsbase;
	r->gs_base = a->gsbase;
	r->ds = a->ds;
	r->es = a->es;
	r->fs = a->fs;
	r->gs = a->gs;
}

// A selector may be cleared or stay; none is worth more.
static bool selector_ok(u64 new, u16 now)
{
	return !(u16) new || (u16) new == now;
}

static int regs_write(struct task *t, const struct linux_user_regs *r)
{
	struct trap_frame *f = thread_user_frame(&t->thread);
	struct arch_thread *a = &t->thread.arch;
	if ((f->cs & 3) != 3 || t->thread.elevated) // never traced; and never made so here
		return -EIO;
	if ((u16)r->cs != CS_SHOWN || (u16)r->ss != SS_SHOWN || !selector_ok(r->ds, a->ds) ||
	    !selector_ok(r->es, a->es) || !selector_ok(r->fs, a->fs) || !selector_ok(r->gs, a->gs))
		return -EIO;
	if (r->fs_base >= USER_TOP || r->gs_base >= USER_TOP)
		return -EIO;
	struct trap_frame keep = *f;
	memcpy(f, r, sizeof(*f));
	f->cs = keep.cs;
	f->ss = keep.ss;
	f->rflags = (keep.rflags & ~SIGNAL_FLAGS_RESTORED) | (r->rflags & SIGNAL_FLAGS_RESTORED);
	a->fsbase = r->fs_base;
	a->gsbase = r->gs_base;
	a->ds = (u16)r->ds;
	a->es = (u16)r->es;
	a->fs = (u16)r->fs;
	a->gs = (u16)r->gs;
	atomic_or(&t->thread.work, WORK_FULL_FRAME);
	return 0;
}

// ---- vector state ----

// XSAVE leaves out what is in its initial state; a tracer sees that state.
static void vector_read(struct task *t, u8 *out, u32 size)
{
	const u8 *area = fpu_state_area(&t->thread);
	u64 have;
	memcpy(&have, area + FXSAVE_SIZE, sizeof(have));
	memset(out, 0, size);
	if (have & STATE_X87) {
		memcpy(out, area, MXCSR_OFFSET);
		memcpy(out + 32, area + 32, 128);
	} else {
		u16 control = 0x37f;
		memcpy(out, &control, sizeof(control));
	}
	if (have & STATE_SSE)
		memcpy(out + 160, area + 160, 256);
	u32 mxcsr[2] = {0x1f80, fpu_mxcsr_mask()};
	if (have & ~STATE_X87)
		memcpy(mxcsr, area + MXCSR_OFFSET, sizeof(*mxcsr));
	memcpy(out + MXCSR_OFFSET, mxcsr, sizeof(mxcsr));
	if (size == FXSAVE_SIZE)
		return;
	for (u32 i = 2; i < 64; i++) {
		if (!(fpu_features() & have & 1ull << i))
			continue;
		struct cpuid_regs r = cpuid(0xd, i); // size, offset
		if (r.ebx <= size && r.eax <= size - r.ebx)
			memcpy(out + r.ebx, area + r.ebx, r.eax);
	}
	have &= fpu_features();
	memcpy(out + FXSAVE_SIZE, &have, sizeof(have));
	u64 features = fpu_features();
	memcpy(out + SOFTWARE_OFFSET, &features, sizeof(features));
}

static int vector_write(struct task *t, const u8 *in, bool legacy)
{
	u8 *area = fpu_state_area(&t->thread);
	u64 header[8];
	u32 mxcsr;
	memcpy(&mxcsr, in + MXCSR_OFFSET, sizeof(mxcsr));
	if (mxcsr & ~fpu_mxcsr_mask())
		return -EINVAL;
	if (legacy) {
		memcpy(header, area + FXSAVE_SIZE, sizeof(header));
		header[0] |= STATE_X87 | STATE_SSE;
	} else {
		memcpy(header, in + FXSAVE_SIZE, sizeof(header));
		if (header[0] & ~fpu_features())
			return -EINVAL;
		for (u32 i = 1; i < ARRAY_SIZE(header); i++)
			if (header[i])
				return -EINVAL;
		memcpy(area + FXSAVE_SIZE + XSAVE_HEADER, in + FXSAVE_SIZE + XSAVE_HEADER,
		       fpu_state_size() - FXSAVE_SIZE - XSAVE_HEADER);
	}
	memcpy(area, in, SOFTWARE_OFFSET);
	memcpy(area + FXSAVE_SIZE, header, sizeof(header));
	t->thread.arch.fpu_cpu = 0; // no CPU's registers are newer
	return 0;
}

void regset_read(struct task *t, u32 type, void *out)
{
	if (type == REGSET_GENERAL)
		regs_read(t, out);
	else
		vector_read(t, out, regset_size(type));
}

int regset_write(struct task *t, u32 type, const void *in)
{
	return type == REGSET_GENERAL ? regs_write(t, in)
				      : vector_write(t, in, type == REGSET_FLOAT);
}

// ---- debug registers ----

constexpr u64 DR6_SHOWN = 0xe00f, DR7_LOCAL = 0x55, DR7_ENABLES = 0xff, DR7_EXACT = 0x300;

// Breakpoint i of dr7: off, or of a kind and length that the CPU has, in the program's half.
static bool breakpoint_ok(const u64 *dr, u64 dr7, u32 i)
{
	u32 kind = dr7 >> (16 + 4 * i) & 3, len = (dr7 >> (18 + 4 * i) & 3);
	u64 bytes = len == 2 ? 8 : len + 1;
	if (!(dr7 >> 2 * i & 3))
		return true;
	if (kind == 2 || (!kind && len)) // I/O; instructions have no length
		return false;
	return dr[i] < USER_TOP && bytes <= USER_TOP - dr[i];
}

static int debug_write(struct task *t, u32 n, u64 value)
{
	struct arch_thread *a = &t->thread.arch;
	u64 dr[4], dr7 = a->debug[7];
	if (n == 4 || n == 5)
		return -EIO;
	memcpy(dr, a->debug, sizeof(dr));
	if (n == 6) {
		a->debug[6] = value & DR6_SHOWN;
		return 0;
	}
	if (n < 4) {
		if (value >= USER_TOP)
			return -EINVAL;
		dr[n] = value;
	} else {
		// Global enables are local ones; what is no breakpoint (GD above all) is left out.
		dr7 = value & (0xffff0000 | DR7_EXACT | DR7_LOCAL);
		dr7 |= value >> 1 & DR7_LOCAL;
	}
	for (u32 i = 0; i < 4; i++)
		if (!breakpoint_ok(dr, dr7, i))
			return -EINVAL;
	memcpy(a->debug, dr, sizeof(dr));
	a->debug[7] = dr7;
	a->uses_debug = dr7 & DR7_ENABLES; // loaded when the thread is switched to
	return 0;
}

// ---- the old way: one word of "struct user" ----

int user_area_read(struct task *t, u64 offset, u64 *out)
{
	struct linux_user_regs r;
	*out = 0;
	if (offset % sizeof(u64) || offset >= LINUX_USER_SIZE)
		return -EIO;
	if (offset < sizeof(r)) {
		regs_read(t, &r);
		memcpy(out, (u8 *)&r + offset, sizeof(*out));
	} else if (offset >= LINUX_USER_DEBUGREG) {
		u32 n = (u32)(offset - LINUX_USER_DEBUGREG) / sizeof(u64);
		*out = t->thread.arch.debug[n] & (n == 6 ? DR6_SHOWN : ~0ull);
	}
	return 0;
}

int user_area_write(struct task *t, u64 offset, u64 value)
{
	struct linux_user_regs r;
	if (offset % sizeof(u64) || offset >= LINUX_USER_SIZE)
		return -EIO;
	if (offset >= LINUX_USER_DEBUGREG)
		return debug_write(t, (u32)(offset - LINUX_USER_DEBUGREG) / sizeof(u64), value);
	if (offset >= sizeof(r))
		return -EIO;
	regs_read(t, &r);
	memcpy((u8 *)&r + offset, &value, sizeof(value));
	return regs_write(t, &r);
}

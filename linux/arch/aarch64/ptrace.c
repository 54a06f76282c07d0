// SPDX-License-Identifier: MIT
// Owns a tracee's registers on AArch64: how a tracer sees them, and what it may write.
//
// What is written is believed as little as a signal frame: of PSTATE only the flags of a program's.
// Nothing here can change the privilege of a thread. Hardware breakpoints are not offered.
#include <linux_arch/ptrace.h>
#include "base/string.h"
#include "core/preempt.h"
#include "linux/task.h"
#include <arch/paging.h>

u32 regset_size(u32 type)
{
	switch (type) {
	case REGSET_GENERAL:
		return sizeof(struct linux_user_regs);
	case REGSET_FLOAT:
		return sizeof(struct linux_user_fpsimd);
	case REGSET_ARM_TLS:
		return sizeof(u64);
	case REGSET_ARM_SYSTEM_CALL:
		return sizeof(s32);
	}
	return 0;
}

static void regs_read(struct task *t, struct linux_user_regs *r)
{
	const struct trap_frame *f = thread_user_frame(&t->thread);

	static_assert(sizeof(r->x) == sizeof(f->x));
	memcpy(r->x, f->x, sizeof(r->x));
	r->sp = f->sp;
	r->pc = f->pc;
	r->pstate = f->pstate & ~PSTATE_SS;
}

static int regs_write(struct task *t, const struct linux_user_regs *r)
{
	struct trap_frame *f = thread_user_frame(&t->thread);

	if ((f->pstate & PSTATE_MODE) != PSTATE_EL0 ||
	    t->thread.elevated) // never traced; and never made so here
		return -EIO;
	if (r->pstate & (PSTATE_MODE | PSTATE_AARCH32))
		return -EINVAL;
	// Of a call that was not made yet the first argument stands in two places.
	if (f->x[0] == f->orig_x0)
		f->orig_x0 = r->x[0];
	memcpy(f->x, r->x, sizeof(f->x));
	f->sp = r->sp;
	f->pc = r->pc;
	f->pstate = (f->pstate & ~PSTATE_USER) | (r->pstate & PSTATE_USER);
	atomic_or(&t->thread.work, WORK_FULL_FRAME);
	return 0;
}

static void vectors_read(struct task *t, struct linux_user_fpsimd *out)
{
	const struct fpu_state *s = fpu_state_area(&t->thread);

	static_assert(sizeof(out->v) == sizeof(s->v));
	*out = (struct linux_user_fpsimd){.fpsr = s->fpsr, .fpcr = s->fpcr};
	memcpy(out->v, s->v, sizeof(out->v));
}

static void vectors_write(struct task *t, const struct linux_user_fpsimd *in)
{
	struct fpu_state *s = fpu_state_area(&t->thread);

	memcpy(s->v, in->v, sizeof(s->v));
	s->fpsr = in->fpsr;
	s->fpcr = in->fpcr;
	t->thread.arch.fpu_cpu = 0; // no CPU's registers are newer
}

void regset_read(struct task *t, u32 type, void *out)
{
	const struct trap_frame *f = thread_user_frame(&t->thread);
	s32 number = (s32)f->number;

	switch (type) {
	case REGSET_GENERAL:
		regs_read(t, out);
		break;
	case REGSET_FLOAT:
		vectors_read(t, out);
		break;
	case REGSET_ARM_TLS:
		memcpy(out, &t->thread.arch.tls, sizeof(u64));
		break;
	case REGSET_ARM_SYSTEM_CALL:
		memcpy(out, &number, sizeof(number));
		break;
	}
}

int regset_write(struct task *t, u32 type, const void *in)
{
	s32 number;

	switch (type) {
	case REGSET_GENERAL:
		return regs_write(t, in);
	case REGSET_FLOAT:
		vectors_write(t, in);
		break;
	case REGSET_ARM_TLS:
		memcpy(&t->thread.arch.tls, in, sizeof(u64));
		break;
	case REGSET_ARM_SYSTEM_CALL:
		memcpy(&number, in, sizeof(number));
		thread_user_frame(&t->thread)->number = (u64)(s64)number;
		break;
	}
	return 0;
}

void ptrace_arch_settle(void)
{
	arch_tls_settle();
}

bool frame_step_set(struct trap_frame *f)
{
	bool set = f->pstate & PSTATE_SS;

	f->pstate |= PSTATE_SS;
	arch_step_set(true);
	return !set;
}

void frame_step_clear(struct trap_frame *f)
{
	f->pstate &= ~PSTATE_SS;
	arch_step_set(false);
}

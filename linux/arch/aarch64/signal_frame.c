// SPDX-License-Identifier: MIT
// Owns signal frames on AArch64: what a handler finds on its stack, and what rt_sigreturn believes
// of it.
//
// The frame is data of the program's from the moment it is written. On return everything is taken
// with suspicion: of PSTATE only condition flags and their like are restored, so that a thread that
// was elevated when the handler began goes on elevated, and no other becomes so; the records are
// read one by one, each within bounds, and one that this kernel does not write ends the program.
#include "abi/linux/arch/aarch64/sigframe.h"
#include "base/elf.h"
#include "base/string.h"
#include "core/preempt.h"
#include "core/uaccess.h"
#include "linux/syscalls.h"
#include "linux/task.h"
#include "linux/vm.h"
#include <arch/thread.h>
#include <linux_arch/signal.h>

constexpr u64 PSTATE_BTYPE = 3 << 10; // how a branch came here: belongs to the interrupted place

// What lies behind the context, in this order; without a fault the end is where esr stands.
struct records {
	struct linux_fpsimd_context fpsimd;
	struct linux_esr_context esr;
	struct linux_context_head end;
	u64 pad;
};
static_assert(sizeof(struct records) % 16 == 0);

// Above it, where a caller's frame record would lie, is one of the interrupted place, so that
// backtraces go on through the handler.
struct frame_record {
	u64 fp, lr;
};

constexpr u64 RECORDS_OFFSET = sizeof(struct linux_rt_sigframe);
constexpr u64 FRAME_SIZE = RECORDS_OFFSET + SIGCONTEXT_RECORDS;
static_assert(sizeof(struct records) <= SIGCONTEXT_RECORDS && FRAME_SIZE % 16 == 0);

u32 signal_frame_size(void)
{
	return FRAME_SIZE + sizeof(struct frame_record) + 16;
}

// Where the handler's frame goes: 0 when the stack has no room.
static u64 frame_place(const struct trap_frame *f, const struct task *t,
		       const struct linux_sigaction *a)
{
	u64 lowest, sp = altstack_choose(t, a, f->sp, &lowest) & ~15ull;
	u64 size = FRAME_SIZE + sizeof(struct frame_record);

	return sp >= size && sp - size >= lowest ? sp - size : 0;
}

// Handlers return there when their action names no place of its own.
static u64 restorer(struct task *t, const struct linux_sigaction *a)
{
	extern const u8 vdso_image[];

	if (a->flags & SA_RESTORER)
		return a->restorer;
	u64 vdso = task_space(t)->vdso;
	return vdso ? vdso + ((const struct elf64_ehdr *)vdso_image)->e_entry : 0;
}

static void records_fill(struct records *r, struct task *t)
{
	const struct fpu_state *s = fpu_state_area(&t->thread);

	*r = (struct records){.fpsimd.head = {FPSIMD_MAGIC, sizeof(r->fpsimd)}};
	preempt_disable(); // a switch would do no harm, but might tear
	fpu_state_save(&t->thread);
	static_assert(sizeof(r->fpsimd.vregs) == sizeof(s->v));
	memcpy(r->fpsimd.vregs, s->v, sizeof(s->v));
	r->fpsimd.fpsr = s->fpsr;
	r->fpsimd.fpcr = s->fpcr;
	preempt_enable();
	if (t->fault_error) {
		r->esr = (struct linux_esr_context){.head = {ESR_MAGIC, sizeof(r->esr)},
						    .esr = t->fault_error};
	}
}

static void context_fill(struct linux_ucontext *uc, const struct trap_frame *f,
			 const struct task *t, sigset_t mask)
{
	uc->stack = altstack_get(t, f->sp);
	uc->sigmask = mask;
	uc->mcontext.fault_address = t->fault_addr;
	static_assert(sizeof(uc->mcontext.regs) == sizeof(f->x));
	memcpy(uc->mcontext.regs, f->x, sizeof(f->x));
	uc->mcontext.sp = f->sp;
	uc->mcontext.pc = f->pc;
	uc->mcontext.pstate = f->pstate;
}

static int records_push(struct task *t, u64 at)
{
	struct records r;

	records_fill(&r, t);
	return copy_to_user(user_ptr(void, at), &r, sizeof(r));
}

int signal_frame_push(struct trap_frame *f, struct task *t, const struct linux_sigaction *a,
		      const struct siginfo *info, sigset_t mask)
{
	struct linux_rt_sigframe frame = {.info = *info};
	struct frame_record record = {.fp = f->x[29], .lr = f->x[30]};
	u64 at = frame_place(f, t, a), back = restorer(t, a);

	if (!at || !back)
		return -EFAULT;
	context_fill(&frame.uc, f, t, mask);
	if (copy_to_user(user_ptr(void, at), &frame, sizeof(frame)) ||
	    records_push(t, at + RECORDS_OFFSET) ||
	    copy_to_user(user_ptr(void, at + FRAME_SIZE), &record, sizeof(record)))
		return -EFAULT;
	altstack_disarm(t);
	f->x[0] = (u64)info->signo;
	f->x[1] = at + offsetof(struct linux_rt_sigframe, info);
	f->x[2] = at + offsetof(struct linux_rt_sigframe, uc);
	f->x[29] = at + FRAME_SIZE;
	f->x[30] = back;
	f->sp = at;
	f->pc = a->handler;
	f->pstate &= ~(PSTATE_SS | PSTATE_BTYPE);
	return 0;
}

static int fpsimd_pop(const struct linux_fpsimd_context __user *from)
{
	struct linux_fpsimd_context c;

	if (copy_from_user(&c, from, sizeof(c)))
		return -EFAULT;
	preempt_disable();
	struct fpu_state *s = fpu_state_area(current());
	memcpy(s->v, c.vregs, sizeof(s->v));
	s->fpsr = c.fpsr;
	s->fpcr = c.fpcr;
	fpu_state_load();
	preempt_enable();
	return 0;
}

// Goes over the records up to the end. There must be one of vector registers.
static int records_pop(u64 from)
{
	struct linux_context_head head;
	bool fpsimd = false;

	for (u64 at = 0; at <= SIGCONTEXT_RECORDS - sizeof(head); at += head.size) {
		if (copy_from_user(&head, user_ptr(void, from + at), sizeof(head)))
			return -EFAULT;
		if (!head.magic && !head.size)
			return fpsimd ? 0 : -EINVAL;
		if (head.size < sizeof(head) || head.size % 16 ||
		    head.size > SIGCONTEXT_RECORDS - at)
			return -EINVAL;
		if (head.magic == FPSIMD_MAGIC) {
			if (fpsimd || head.size != sizeof(struct linux_fpsimd_context) ||
			    fpsimd_pop(user_ptr(const struct linux_fpsimd_context, from + at)))
				return -EINVAL;
			fpsimd = true;
		} else if (head.magic != ESR_MAGIC) {
			return -EINVAL;
		}
	}
	return -EINVAL;
}

static void context_restore(struct trap_frame *f, const struct linux_sigcontext *c)
{
	memcpy(f->x, c->regs, sizeof(f->x));
	f->sp = c->sp;
	f->pc = c->pc;
	f->pstate = (f->pstate & ~PSTATE_USER) | (c->pstate & PSTATE_USER);
	f->number = ~0ull;
}

SYSCALL(rt_sigreturn, void)
{
	struct task *t = current_task();
	struct trap_frame *f = thread_user_frame(&t->thread);
	struct linux_ucontext uc;
	u64 at = f->sp;

	if (at % 16 ||
	    copy_from_user(&uc, user_ptr(void, at + offsetof(struct linux_rt_sigframe, uc)),
			   sizeof(uc)))
		goto bad;
	signal_set_blocked(uc.sigmask);
	context_restore(f, &uc.mcontext);
	atomic_or(&t->thread.work, WORK_FULL_FRAME);
	if (records_pop(at + RECORDS_OFFSET))
		goto bad;
	altstack_restore(t, f->sp, &uc.stack);
	return (long)f->x[0];
bad:
	signal_force(&(struct siginfo){.signo = SIGSEGV, .code = SI_KERNEL});
	return 0;
}

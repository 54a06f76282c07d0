// SPDX-License-Identifier: MIT
// Owns signal frames on x86-64: what a handler finds on its stack, and what rt_sigreturn believes
// of it.
//
// The frame is data of the program's from the moment it is written. On return everything is taken
// with suspicion: flags are masked, core clears what the CPU would refuse of vector state, and
// privilege never comes from the frame: CS, SS and IOPL stay as the thread has them, so a thread
// that was elevated when the handler began goes on elevated, and no other becomes so.
#include "abi/linux/arch/x86_64/sigframe.h"
#include "base/string.h"
#include "core/preempt.h"
#include "core/uaccess.h"
#include "linux/syscalls.h"
#include "linux/task.h"
#include <arch/thread.h>
#include <linux_arch/signal.h>

constexpr u64 RED_ZONE = 128;
constexpr u64 FPU_ALIGN = 64;
constexpr u32 FXSAVE_SIZE = 512;
constexpr u64 FLAGS_TF = 0x100, FLAGS_DF = 0x400, FLAGS_RF = 0x10000;
constexpr u32 SS_SELECTOR = 0x2b, CS_SELECTOR = 0x33;

static u32 fpu_frame_size(void)
{
	return fpu_state_size() + 4; // and magic2
}

u32 signal_frame_size(void)
{
	return (u32)align_up(sizeof(struct linux_rt_sigframe) + fpu_frame_size() + FPU_ALIGN + 16 +
				     RED_ZONE,
			     16);
}

// Where the handler's frame goes: 0 when the stack has no room.
static u64 frame_place(const struct trap_frame *f, const struct task *t,
		       const struct linux_sigaction *a, u64 *fpu)
{
	u64 lowest, sp = altstack_choose(t, a, f->rsp, &lowest);
	if (sp == f->rsp)
		sp -= RED_ZONE;
	*fpu = (sp - fpu_frame_size()) & ~(FPU_ALIGN - 1);
	// At the handler's first instruction the stack is as after a call: a multiple of 16,
	// plus 8.
	u64 frame = ((*fpu - sizeof(struct linux_rt_sigframe)) & ~15ull) - 8;
	if (frame > f->rsp && !lowest)
		return 0; // wrapped
	if (frame < lowest || (lowest && frame > sp))
		return 0;
	return frame;
}

// The thread's vector state goes straight between its area and the program, both ways, so nothing
// may switch threads in between: that would save the registers, in which the copy itself keeps
// data, over the area. With preemption off a missing page makes a copy fail; it is brought in, and
// the copy begins anew.
constexpr u32 COPY_TRIES = 8;

static int fpu_copy_out(struct thread *t, void __user *to)
{
	u32 size = fpu_state_size();

	for (u32 i = 0; i < COPY_TRIES; i++) {
		preempt_disable();
		fpu_state_save(t);
		size_t left = copy_to_user_partial(to, fpu_state_area(t), size);
		preempt_enable();
		if (likely(!left))
			return 0;
		if (clear_user_partial(to, size))
			break;
	}
	return -EFAULT;
}

// len: fpu_state_size(), or FXSAVE_SIZE.
static int fpu_copy_in(struct thread *t, const u8 __user *from, u32 len)
{
	for (u32 i = 0; i < COPY_TRIES; i++) {
		preempt_disable();
		size_t left = copy_from_user_partial(fpu_state_area(t), from, len);
		if (likely(!left))
			fpu_state_load(len == FXSAVE_SIZE);
		else
			fpu_state_rewrite();
		preempt_enable();
		if (likely(!left))
			return 0;
		u8 byte;
		for (u32 at = 0; at < len; at += 512)
			if (get_user(byte, from + at))
				return -EFAULT;
		if (get_user(byte, from + len - 1))
			return -EFAULT;
	}
	return -EFAULT;
}

static int fpu_push(struct thread *t, u64 to)
{
	u32 size = fpu_state_size();
	struct linux_fpx_sw_bytes *sw = (void *)((u8 *)fpu_state_area(t) + FP_SW_RESERVED_OFFSET);
	*sw = (struct linux_fpx_sw_bytes){
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = size + 4,
		.xfeatures = fpu_features(),
		.xstate_size = size,
	};
	if (fpu_copy_out(t, user_ptr(void, to)))
		return -EFAULT;
	return put_user(FP_XSTATE_MAGIC2, user_ptr(u32, to + size));
}

static void context_fill(struct linux_ucontext *uc, const struct trap_frame *f,
			 const struct task *t, u64 fpu, sigset_t mask)
{
	*uc = (struct linux_ucontext){
		.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
		.stack = altstack_get(t, f->rsp),
		.mcontext =
			{
				.r8 = f->r8,
				.r9 = f->r9,
				.r10 = f->r10,
				.r11 = f->r11,
				.r12 = f->r12,
				.r13 = f->r13,
				.r14 = f->r14,
				.r15 = f->r15,
				.rdi = f->rdi,
				.rsi = f->rsi,
				.rbp = f->rbp,
				.rbx = f->rbx,
				.rdx = f->rdx,
				.rax = f->rax,
				.rcx = f->rcx,
				.rsp = f->rsp,
				.rip = f->rip,
				.rflags = f->rflags & ~SIGNAL_FLAGS_HIDDEN,
				.cs = CS_SELECTOR,
				.ss = SS_SELECTOR,
				.trapno = t->fault_vector,
				.err = t->fault_error,
				.cr2 = t->fault_addr,
				.oldmask = mask,
				.fpstate = fpu,
			},
		.sigmask = mask,
	};
}

int signal_frame_push(struct trap_frame *f, struct task *t, const struct linux_sigaction *a,
		      const struct siginfo *info, sigset_t mask)
{
	struct linux_rt_sigframe frame;
	u64 fpu, at = frame_place(f, t, a, &fpu);
	if (!at || !(a->flags & SA_RESTORER))
		return -EFAULT;
	frame.restorer = a->restorer;
	context_fill(&frame.uc, f, t, fpu, mask);
	frame.info = *info;
	memset(frame.info_rest, 0, sizeof(frame.info_rest));
	if (fpu_push(&t->thread, fpu) || copy_to_user(user_ptr(void, at), &frame, sizeof(frame)))
		return -EFAULT;
	altstack_disarm(t);
	f->rdi = (u64)info->signo;
	f->rsi = at + offsetof(struct linux_rt_sigframe, info);
	f->rdx = at + offsetof(struct linux_rt_sigframe, uc);
	f->rax = 0;
	f->rip = a->handler;
	f->rsp = at;
	f->rflags &= ~(FLAGS_DF | FLAGS_RF | FLAGS_TF);
	return 0;
}

// The vector state of a frame: an XSAVE image if it says so in a way that makes sense, else the
// plain FXSAVE part.
static int fpu_pop(u64 from)
{
	u32 size = fpu_state_size(), magic1, magic2, xstate_size;
	if (!from) {
		fpu_state_reset();
		return 0;
	}
	if (get_user(magic1, user_ptr(u32, from + FP_SW_RESERVED_OFFSET +
						   offsetof(struct linux_fpx_sw_bytes, magic1))) ||
	    get_user(xstate_size,
		     user_ptr(u32, from + FP_SW_RESERVED_OFFSET +
					   offsetof(struct linux_fpx_sw_bytes, xstate_size))))
		return -EFAULT;
	bool extended = magic1 == FP_XSTATE_MAGIC1 && xstate_size == size &&
			!get_user(magic2, user_ptr(u32, from + size)) && magic2 == FP_XSTATE_MAGIC2;
	return fpu_copy_in(current(), user_ptr(const u8, from), extended ? size : FXSAVE_SIZE);
}

static void context_restore(struct trap_frame *f, const struct linux_sigcontext *c)
{
	f->r8 = c->r8;
	f->r9 = c->r9;
	f->r10 = c->r10;
	f->r11 = c->r11;
	f->r12 = c->r12;
	f->r13 = c->r13;
	f->r14 = c->r14;
	f->r15 = c->r15;
	f->rdi = c->rdi;
	f->rsi = c->rsi;
	f->rbp = c->rbp;
	f->rbx = c->rbx;
	f->rdx = c->rdx;
	f->rax = c->rax;
	f->rcx = c->rcx;
	f->rsp = c->rsp;
	f->rip = c->rip;
	f->rflags = (f->rflags & ~SIGNAL_FLAGS_RESTORED) | (c->rflags & SIGNAL_FLAGS_RESTORED);
	f->orig_rax = ~0ull;
}

SYSCALL(rt_sigreturn, void)
{
	struct task *t = current_task();
	struct trap_frame *f = thread_user_frame(&t->thread);
	struct linux_ucontext uc;
	// The handler's return popped the restorer's address.
	if (copy_from_user(&uc, user_ptr(void, f->rsp - 8 + offsetof(struct linux_rt_sigframe, uc)),
			   sizeof(uc)))
		goto bad;
	signal_set_blocked(uc.sigmask);
	context_restore(f, &uc.mcontext);
	atomic_or(&t->thread.work, WORK_FULL_FRAME);
	if (fpu_pop(uc.mcontext.fpstate))
		goto bad;
	altstack_restore(t, f->rsp, &uc.stack);
	return (long)f->rax;
bad:
	signal_force(&(struct siginfo){.signo = SIGSEGV, .code = SI_KERNEL});
	return 0;
}

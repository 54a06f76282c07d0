// SPDX-License-Identifier: MIT
// backtrace.c: what crash reports must know about this CPU: its registers and the frames that
// entry.S and gate.S build. Privileged.
#include "core/gate/service.h"
#include "core/log.h"
#include <arch/cpu.h>
#include <arch/frame.h>
#include <arch/gate.h>
#include <arch/uaccess.h>

extern const char trap_return[];    // entry.S: where trap_dispatch returns to
extern const char gate_up_called[]; // gate.S: where calls from services return to

bool arch_backtrace_trap(uintptr_t *ip, uintptr_t *fp, uintptr_t *link, bool *is_return,
			 enum frame_context *context)
{
	// X29 points at the saved X29 and X30, so that the chain of frames goes on through them.
	uintptr_t frame = *fp - offsetof(struct trap_frame, x[29]);
	const struct trap_frame *f = (const struct trap_frame *)frame;

	if (*ip == (uintptr_t)trap_return) {
		if (!arch_kernel_range_readable(frame, sizeof(*f)))
			return false;
		*context = frame_context(f) == FRAME_PROGRAM ? FRAME_PROGRAM : FRAME_KERNEL;
		*ip = f->pc;
		*link = frame_link(f);
		*is_return = false;
	} else if (*ip == (uintptr_t)gate_up_called) {
		// the stub has no frame: who called it is in X30
		if (!arch_kernel_range_readable(frame, sizeof(*f)))
			return false;
		*ip = f->x[30];
		*context = FRAME_SERVICE;
		*is_return = true;
	} else {
		return false;
	}
	*fp = f->x[29];
	return true;
}

bool arch_word_read(uintptr_t at, uintptr_t *out)
{
	if (at % sizeof(*out) || !arch_kernel_range_readable(at, sizeof(*out)))
		return false;
	user_access_begin(); // it may lie on a stack inside a service
	*out = *(const volatile uintptr_t *)at;
	user_access_end();
	return true;
}

void arch_frame_print(const struct trap_frame *f)
{
	arch_frame_print_short(LOG_ERR, f);
	log_err("ESR: %016llx FAR: %016llx TTBR0: %016llx", cpu_sysreg_read("esr_el1"),
		cpu_sysreg_read("far_el1"), cpu_sysreg_read("ttbr0_el1"));
}

void arch_frame_print_short(enum log_level level, const struct trap_frame *f)
{
	klog(level, "PC: %016llx SP: %016llx PSTATE: %08llx", f->pc, f->sp, f->pstate);
	for (u32 i = 0; i < 30; i += 3)
		klog(level, "X%02u: %016llx X%02u: %016llx X%02u: %016llx", i, f->x[i], i + 1,
		     f->x[i + 1], i + 2, f->x[i + 2]);
	klog(level, "X30: %016llx", f->x[30]);
}

// SPDX-License-Identifier: MIT
// backtrace.c: names of addresses, and the calls that lead to a place, through gates and services
// as well. Privileged. Any context; trusts nothing that it reads.
#include "core/gate/service.h"
#include "core/log.h"
#include "core/panic.h"
#include <arch/cpu.h>
#include <arch/gate.h>

#include "base/fmt.h"
#include "base/sort.h"
#include "base/string.h"
#include "base/symtab.h"

constexpr u32 FRAMES_MAX = 32;

extern const char __text_start[], __text_end[];

// tools/ksyms.py makes these; weak, for the first link is made without them.
extern const u64 ksyms_base __weak;
extern const u64 ksyms_count __weak;
extern const u32 ksyms_offsets[] __weak;
extern const u32 ksyms_name_offsets[] __weak;
extern const char ksyms_names[] __weak;

static bool in_text(uintptr_t addr)
{
	return addr >= (uintptr_t)__text_start && addr < (uintptr_t)__text_end;
}

static int compare_u32(const void *element, const void *key, void *)
{
	u32 a = *(const u32 *)element, b = *(const u32 *)key;

	return a < b ? -1 : a > b;
}

// Bytes from one symbol to the next.
static u64 symbol_size(u64 start)
{
	u32 offset = (u32)(start - ksyms_base);
	size_t next = sort_upper_bound(ksyms_offsets, ksyms_count, sizeof(ksyms_offsets[0]),
				       &offset, compare_u32, nullptr);

	return (next < ksyms_count ? ksyms_base + ksyms_offsets[next]
				   : (u64)(uintptr_t)__text_end) -
	       start;
}

static const char *lookup(uintptr_t addr, u64 *offset)
{
	struct symtab table;

	if (!&ksyms_count || !ksyms_count || !in_text(addr))
		return nullptr;
	table = (struct symtab){
		.base = ksyms_base,
		.count = ksyms_count,
		.offsets = ksyms_offsets,
		.name_offsets = ksyms_name_offsets,
		.names = ksyms_names,
		.end = (u64)(uintptr_t)__text_end,
	};
	table.names_len = ksyms_name_offsets[ksyms_count - 1];
	table.names_len += strlen(ksyms_names + table.names_len) + 1;
	return symtab_lookup(&table, addr, offset);
}

const char *symbol_name(uintptr_t addr, char *buf, size_t cap)
{
	u64 offset;
	const char *name = lookup(addr, &offset);

	if (name)
		scnprintf(buf, cap, "%s+0x%llx", name, offset);
	else
		scnprintf(buf, cap, "0x%lx", addr);
	return buf;
}

// A return address may be the first of the next function, when the call was the last instruction of
// one that does not return: the name is looked up one byte before it.
static void print_frame(enum log_level level, uintptr_t ip, bool is_return)
{
	u64 offset, size;
	const char *name = lookup(ip - is_return, &offset), *service = nullptr;

	if (name)
		klog(level, "  [<%016lx>] %s+0x%llx/0x%llx", ip, name, offset + is_return,
		     symbol_size(ip - is_return - offset));
	else if ((name = service_symbol_of(ip - is_return, &offset, &size, &service)))
		klog(level, "  [<%016lx>] %s+0x%llx/0x%llx [%s]", ip, name, offset + is_return,
		     size, service);
	else
		klog(level, "  [<%016lx>] (no symbol)%s%s", ip, service ? " in " : "",
		     service ?: "");
}

static bool is_code(uintptr_t ip)
{
	u64 offset, size;
	const char *service;

	return in_text(ip) || service_symbol_of(ip, &offset, &size, &service);
}

// One walk. Frames of a service are followed to its gate, from there those of its caller.
struct walk {
	enum log_level level;
	uintptr_t ip, fp;
	uintptr_t link; // where ip was interrupted: frame_link(), else 0
	bool is_return;
	const struct gate_stack *gate; // the innermost that was not passed yet
	bool in_service;
	u32 frames; // printed since the last gate
};

// Through the gate into the one who called the service; false: there is none.
static bool walk_gate(struct walk *w)
{
	const struct gate_stack *st = w->gate;

	if (!w->in_service || !st)
		return false;
	klog(w->level, "  --- gate %s.%s into %s ---", st->port->interface->name,
	     st->port->interface->op_names[st->op], st->service->name);
	arch_gate_caller(st, &w->ip, &w->fp);
	w->link = 0;
	w->gate = st->outer;
	w->in_service = false;
	w->is_return = true;
	w->frames = 0;
	return true;
}

// To the caller's frame; false: it cannot be found.
static bool walk_up(struct walk *w)
{
	enum frame_context context;
	uintptr_t next;

	w->link = 0;
	if (arch_backtrace_trap(&w->ip, &w->fp, &w->link, &w->is_return, &context)) {
		if (context == FRAME_PROGRAM)
			return false;
		klog(w->level, context == FRAME_SERVICE ? "  --- call from a service ---"
							: "  --- interrupted here ---");
		w->in_service = context == FRAME_SERVICE;
		w->frames = 0;
		return true;
	}
	if (!arch_word_read(w->fp, &next) || !arch_word_read(w->fp + sizeof(next), &w->ip) ||
	    next == w->fp)
		return false;
	w->is_return = true;
	w->fp = next;
	return true;
}

// Where the function that addr lies in begins; 0: nobody knows.
static uintptr_t function_of(uintptr_t addr)
{
	u64 offset, size;
	const char *service;

	if (lookup(addr, &offset) || service_symbol_of(addr, &offset, &size, &service))
		return addr - offset;
	return 0;
}

// An interrupted function may have no frame record at this moment: then its caller stands in no
// record, and in a register. Where it has one, the register holds the same, or what is left of a
// call of its own.
static void print_link(const struct walk *w)
{
	uintptr_t recorded;

	if (!w->link || !is_code(w->link - 1) || function_of(w->link - 1) == function_of(w->ip))
		return;
	if (!arch_word_read(w->fp + sizeof(recorded), &recorded) || recorded != w->link)
		print_frame(w->level, w->link, true);
}

static void walk(struct walk *w)
{
	klog(w->level, "Call trace:");
	for (;;) {
		bool more = w->ip != GATE_STUB_RETURNED && (!w->is_return || is_code(w->ip - 1));

		if (more && w->frames++ == FRAMES_MAX) {
			klog(w->level, "  (more frames)");
			more = false;
		}
		if (more)
			print_frame(w->level, w->ip, w->is_return);
		if (more)
			print_link(w);
		if (!(more && walk_up(w)) && !walk_gate(w))
			return;
	}
}

void backtrace_print(enum log_level level, uintptr_t ip, uintptr_t fp, uintptr_t link)
{
	const struct thread *t = current();
	struct walk w = {.level = level, .ip = ip, .fp = fp, .link = link};
	u64 offset, size;
	const char *service = nullptr;

	if (t && arch_kernel_range_readable((uintptr_t)t, sizeof(*t)))
		w.gate = t->gate;
	(void)service_symbol_of(ip, &offset, &size, &service);
	w.in_service = w.gate && service;
	walk(&w);
}

void backtrace_print_service(enum log_level level, uintptr_t ip, uintptr_t fp, uintptr_t link)
{
	struct walk w = {.level = level,
			 .ip = ip,
			 .fp = fp,
			 .link = link,
			 .gate = current()->gate,
			 .in_service = true};

	walk(&w);
}

void backtrace_here(void)
{
	backtrace_print(LOG_ERR, (uintptr_t)__builtin_return_address(0),
			*(const uintptr_t *)__builtin_frame_address(0), 0);
}

// SPDX-License-Identifier: MIT
// report.c: what the console shows when a service dies, and what any address belongs to.
#include "base/fmt.h"
#include "base/string.h"
#include "core/gate/gate_calls.h"
#include "core/log.h"
#include "core/mm/mm.h"
#include "core/smp.h"
#include <arch/cpu.h>
#include <arch/frame.h>
#include <arch/gate.h>

static const char *owner_name(enum page_owner o)
{
	static const char *const names[OWNER_COUNT] = {
		[OWNER_NONE] = "free memory",	       [OWNER_RESERVED] = "core: kernel image",
		[OWNER_CORE] = "core: kernel heap",    [OWNER_TABLE] = "core: page tables",
		[OWNER_PROGRAM] = "program memory",    [OWNER_SHARED] = "page cache",
		[OWNER_SERVICE] = "memory of services"};

	return o < OWNER_COUNT ? names[o] : "memory";
}

static const char *direct_map_describe(u64 addr)
{
	u64 at = addr - DIRECT_MAP_BASE;

	if (kernel_image_holds(phys(at)))
		return "core: kernel image";
	return at >> PAGE_SHIFT < page_array_len ? owner_name(phys_page(phys(at))->owner)
						 : "no memory";
}

static void image_describe(u64 addr, char *buf, size_t cap)
{
	extern char __text_end[], __rodata_end[], __percpu_start[], __percpu_end[];
	char symbol[64];

	if (addr < (u64)__text_end)
		scnprintf(buf, cap, "core: code, %s", symbol_name(addr, symbol, sizeof(symbol)));
	else if (addr < (u64)__rodata_end)
		scnprintf(buf, cap, "core: constants");
	else if (addr >= (u64)__percpu_start && addr < (u64)__percpu_end)
		scnprintf(buf, cap, "core: data of CPU 0");
	else
		scnprintf(buf, cap, "core: data");
}

static void service_describe(u64 addr, char *buf, size_t cap)
{
	static const char *const kinds[REGION_KINDS] = {
		"image",  "stack", "heap", "DMA memory", "shared with core", "device registers",
		"granted"};
	struct service *s = service_by_id((u32)((addr - SERVICE_BASE) >> 39));

	if (!s) {
		scnprintf(buf, cap, "a slot without a service");
		return;
	}
	if (!service_owns(s, addr, 1)) {
		scnprintf(buf, cap, "service %s: memory of an earlier life, or of none", s->name);
		return;
	}
	u64 offset = addr - s->window;

	spin_lock(&s->regions_lock);
	const struct service_region *r = service_region_find(s, addr);

	if (addr >= s->text_start && addr < s->text_end)
		scnprintf(buf, cap, "service %s: code", s->name);
	else if (r)
		scnprintf(buf, cap, "service %s: %s", s->name, kinds[r->kind]);
	else if (offset >= 1536 * MiB)
		scnprintf(buf, cap, "service %s: a grant that has ended, or none", s->name);
	else if (offset >= 64 * MiB && offset < 128 * MiB)
		scnprintf(buf, cap, "service %s: below a stack", s->name);
	else
		scnprintf(buf, cap, "service %s: nothing", s->name);
	spin_unlock(&s->regions_lock);
}

const char *address_describe(u64 addr, char *buf, size_t cap)
{
	extern char __kernel_start[], __kernel_end[];
	u64 slots_end = SERVICE_BASE + SERVICE_SLOTS * pt_span(PT_ROOT_LEVEL);

	if (addr < USER_MIN)
		scnprintf(buf, cap, "the null page");
	else if (addr < 1ull << 47)
		scnprintf(buf, cap, "program addresses, which services do not have");
	else if (addr < DIRECT_MAP_BASE)
		scnprintf(buf, cap, "no address at all");
	else if (addr < DIRECT_MAP_BASE + DIRECT_MAP_SIZE)
		scnprintf(buf, cap, "%s", direct_map_describe(addr));
	else if (addr >= KERNEL_MAP_BASE && addr < KERNEL_MAP_BASE + KERNEL_MAP_SIZE)
		scnprintf(buf, cap, "core: kernel stacks and device registers");
	else if (addr >= SERVICE_BASE && addr < slots_end)
		service_describe(addr, buf, cap);
	else if (addr >= GATE_STUBS_BASE && addr < GATE_STUBS_BASE + HUGE_SIZE)
		scnprintf(buf, cap, "core: gate stubs");
	else if (addr >= (u64)__kernel_start && addr < (u64)__kernel_end)
		image_describe(addr, buf, cap);
	else
		scnprintf(buf, cap, "nothing");
	return buf;
}

// On the console even when that is to be quiet.
constexpr enum log_level REPORT = LOG_CRIT;

void service_report(struct trap_frame *f, struct gate_stack *st, const char *what,
		    const char *detail)
{
	const struct service *s = st->service;
	const struct thread *t = current();
	u64 ip = frame_ip(f), offset, size;
	const char *holder = nullptr, *symbol = service_symbol_of(ip, &offset, &size, &holder);
	char where[96];

	if (symbol)
		scnprintf(where, sizeof(where), "%s+%#llx", symbol, offset);
	else
		address_describe(ip, where, sizeof(where));
	klog(REPORT, "---[ service %s (%s): %s ]---", s->name, isolation_name(s->isolation), what);
	if (*detail)
		klog(REPORT, "%s", detail);
	klog(REPORT, "at %#llx (%s)%s, in %s.%s", ip, where, t->elevated ? ", elevated" : "",
	     st->port->interface->name, st->port->interface->op_names[st->op]);
	klog(REPORT, "CPU: %u PID: %u Comm: %.16s, service's life %u", this_cpu_id(), t->id,
	     t->name, st->generation);
	arch_frame_print_short(REPORT, f);
	backtrace_print_service(REPORT, ip, frame_fp(f), frame_link(f));
	klog(REPORT, "---[ service %s will be restarted; the call returns an error ]---", s->name);
}

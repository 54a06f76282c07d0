// SPDX-License-Identifier: MIT
// Owns /proc/halyard: what no Linux has to tell.
#include "core/elevate.h"
#include "core/gate.h"
#include "core/lock.h"
#include "core/page.h"
#include "core/slab.h"
#include "core/version.h"
#include "linux/proc/proc.h"
#include "linux/service.h"
#include "linux/syscalls.h"

#if CONFIG_DEBUG
constexpr bool DEBUG_BUILD = true;
#else
constexpr bool DEBUG_BUILD = false;
#endif

// Calls that programs made and we lack, by number.
static int show_enosys(struct text *t, struct node *n)
{
	(void)n;
	for (u32 nr = 0; nr < syscall_table_size(); nr++) {
		u64 count = syscall_enosys_count(nr);
		if (count)
			text_printf(t, "%u %s %llu\n", nr, syscall_name(nr) ?: "?", count);
	}
	if (syscall_unknown_count())
		text_printf(t, "- unknown %llu\n", syscall_unknown_count());
	return 0;
}

static int show_syscalls(struct text *t, struct node *n)
{
	(void)n;
	for (u32 nr = 0; nr < syscall_table_size(); nr++)
		if (syscall_implemented(nr))
			text_printf(t, "%u %s\n", nr, syscall_name(nr));
	return 0;
}

static int show_privilege(struct text *t, struct node *n)
{
	struct elevate_counts c;
	(void)n;
	elevate_counts_read(&c);
	text_printf(t, "backend %s\nelevations %llu\nrefused %llu\n", elevate_backend_name(),
		    c.elevations, c.refused);
	return 0;
}

// Pages by owner. The lines add up to the total.
static int show_memory(struct text *t, struct node *n)
{
	static const char *const owners[OWNER_COUNT] = {
		[OWNER_NONE] = nullptr,	      [OWNER_RESERVED] = "reserved",
		[OWNER_CORE] = "core",	      [OWNER_TABLE] = "tables",
		[OWNER_PROGRAM] = "programs", [OWNER_SHARED] = "shared",
		[OWNER_SERVICE] = "services",
	};
	struct page_stats s;
	(void)n;
	page_stats_read(&s);
	text_printf(t, "total %llu\nfree %llu\n", s.total, s.free);
	for (u32 o = 0; o < OWNER_COUNT; o++)
		if (owners[o])
			text_printf(t, "%s %llu\n", owners[o], s.owned[o]);
	text_printf(t, "cleared %llu\nslab %llu\n", s.cleared, slab_pages_used());
	return 0;
}

static int show_locks(struct text *t, struct node *n)
{
	(void)n;
	text_printf(t, "checker %s\nclasses %u\n", DEBUG_BUILD ? "on" : "off",
		    (u32)LOCK_NCLASSES - 1);
	return 0;
}

// Sums over data of core's and over data of services that must not change, for tests.
static int show_sentinels(struct text *t, struct node *n)
{
	(void)n;
	text_printf(t, "%016llx\n%016llx\n", test_sentinels_sum(), services_sentinels_sum());
	return 0;
}

static int show_version(struct text *t, struct node *n)
{
	(void)n;
	text_printf(t, "%s %s\n", HALYARD_VERSION, DEBUG_BUILD ? "debug" : "release");
	return 0;
}

const struct entry proc_halyard_entries[] = {
	{"enosys", S_IFREG | 0444, .show = show_enosys},
	{"locks", S_IFREG | 0444, .show = show_locks},
	{"memory", S_IFREG | 0444, .show = show_memory},
	{"privilege", S_IFREG | 0444, .show = show_privilege},
	{"sentinels", S_IFREG | 0400, .show = show_sentinels},
	{"services", S_IFREG | 0644, .show = proc_show_services, .store = proc_store_services},
	{"syscalls", S_IFREG | 0444, .show = show_syscalls},
	{"version", S_IFREG | 0444, .show = show_version},
	{},
};

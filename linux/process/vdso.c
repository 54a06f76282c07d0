// SPDX-License-Identifier: MIT
// Owns the vDSO's pages and maps them into programs: the clock page, then the code.
#include "linux/process/vdso.h"
#include "base/string.h"
#include "core/panic.h"
#include "core/time.h"
#include "linux/vm.h"
#include <linux_arch/vdso.h>

extern const u8 vdso_image[], vdso_image_end[]; // whole pages

static struct vm_object *vdso_object; // immutable after boot: page 0 is the clock page

void vdso_init(void)
{
	u64 npages = (u64)(vdso_image_end - vdso_image) / PAGE_SIZE;
	struct page *clock = clock_page_get();
	((struct clock_page *)page_ptr(clock))->cpu_in_register = vdso_cpu_in_register();
	vdso_object = vm_object_create((npages + 1) * PAGE_SIZE);
	if (!vdso_object)
		panic("No memory for the vDSO.");
	page_get(clock);
	if (vm_object_insert(vdso_object, 0, clock))
		panic("No memory for the vDSO.");
	for (u64 i = 0; i < npages; i++) {
		struct page *p = page_alloc(0, OWNER_SHARED, 0);
		if (!p)
			panic("No memory for the vDSO.");
		memcpy(page_ptr(p), vdso_image + i * PAGE_SIZE, PAGE_SIZE);
		if (vm_object_insert(vdso_object, i + 1, p))
			panic("No memory for the vDSO.");
	}
}

int vdso_map(struct vm_space *s)
{
	u64 len = (u64)(vdso_image_end - vdso_image), at;
	// One search for both: the clock page's mapping first takes the whole range, the code then
	// replaces its upper part.
	struct vm_map_args a = {
		.len = PAGE_SIZE + len,
		.prot = PROT_READ,
		.max_prot = PROT_READ | PROT_EXEC,
		.flags = VM_SPECIAL,
		.object = vdso_object,
	};
	int r = vm_map(s, &a, &at);
	if (r)
		return r;
	a.addr = at + PAGE_SIZE;
	a.len = len;
	a.offset = PAGE_SIZE;
	a.prot = PROT_READ | PROT_EXEC;
	a.flags |= VM_FIXED;
	r = vm_map(s, &a, &at);
	if (!r)
		s->vdso = at;
	return r;
}

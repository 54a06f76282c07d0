// SPDX-License-Identifier: MIT
// Finds the kernel's requests in its loaded image and answers them.
#include "abi/limine.h"

#include "boot/arch.h"
#include "boot/loader.h"

static const char no_memory[] = "leaves no memory for the loader's answers";

/* Where a kernel that runs on the direct map finds what lies at p now. */
static void *to_kernel(const void *p)
{
	return (void *)(phys_of(p) + arch_hhdm);
}

/* Loader memory for answers, zeroed, 16-aligned; cut from chunks because most answers have a few
 * bytes. */
static void *answer_alloc(uint64_t len_bytes)
{
	static uint8_t *chunk;
	static uint64_t chunk_left;
	constexpr uint64_t chunk_bytes = 64 << 10;
	uint64_t need = align_up(len_bytes, 16);
	void *p;

	if (need >= chunk_bytes)
		return pages_alloc(need, PAGE_SIZE);
	if (need > chunk_left) {
		chunk = pages_alloc(chunk_bytes, PAGE_SIZE);
		chunk_left = chunk ? chunk_bytes : 0;
		if (!chunk)
			return nullptr;
	}
	p = chunk;
	chunk += need;
	chunk_left -= need;
	return p;
}

/* A copy of s where the kernel sees it, as the kernel sees it. */
static char *answer_string(const char *s)
{
	char *copy = answer_alloc(strlen(s) + 1);

	return copy ? to_kernel(memcpy(copy, s, strlen(s) + 1)) : nullptr;
}

/* Allocates a response and links it to the request; the variable `r` is the response. */
#define RESPOND(type)                       \
	type *r = answer_alloc(sizeof(*r)); \
	if (!r)                             \
		return no_memory;           \
	req->response = to_kernel(r)

static reason answer_loader(struct handover *, struct limine_request *req)
{
	RESPOND(struct limine_bootloader_info_response);
	r->name = answer_string("Halyard");
	r->version = answer_string("1");
	return r->name && r->version ? nullptr : no_memory;
}

static reason answer_cmdline(struct handover *h, struct limine_request *req)
{
	RESPOND(struct limine_executable_cmdline_response);
	r->cmdline = answer_string(h->config.cmdline);
	return r->cmdline ? nullptr : no_memory;
}

static reason answer_firmware(struct handover *, struct limine_request *req)
{
	RESPOND(struct limine_firmware_type_response);
	r->firmware_type = LIMINE_FIRMWARE_EFI64;
	return nullptr;
}

static reason answer_stack(struct handover *h, struct limine_request *req)
{
	uint64_t size = ((struct limine_stack_size_request *)req)->stack_size;
	RESPOND(struct limine_stack_size_response);
	if (size > 64ull << 20)
		return "asks for a stack of more than 64 MiB";
	if (h->stack_size < size)
		h->stack_size = size;
	return nullptr;
}

static reason answer_hhdm(struct handover *, struct limine_request *req)
{
	RESPOND(struct limine_hhdm_response);
	r->offset = arch_hhdm;
	return nullptr;
}

/* The place and width of the ones in a mask that the firmware gave. */
static void mask_describe(uint32_t mask, uint8_t *shift, uint8_t *size)
{
	*shift = mask ? (uint8_t)__builtin_ctz(mask) : 0;
	*size = (uint8_t)__builtin_popcount(mask);
}

static reason answer_framebuffer(struct handover *h, struct limine_request *req)
{
	struct limine_framebuffer *fb, **list;
	const struct efi_graphics_info *info;
	uint32_t red = 0xff0000, green = 0xff00, blue = 0xff, all = 0xffffffff;

	if (!h->graphics)
		return nullptr; /* no response says it */
	RESPOND(struct limine_framebuffer_response);
	fb = answer_alloc(sizeof(*fb));
	list = answer_alloc(sizeof(*list));
	if (!fb || !list)
		return no_memory;
	info = h->graphics->info;
	if (info->format == EFI_PIXEL_RGB) {
		red = 0xff;
		blue = 0xff0000;
	} else if (info->format == EFI_PIXEL_BIT_MASK) {
		red = info->red_mask;
		green = info->green_mask;
		blue = info->blue_mask;
		all = red | green | blue | info->reserved_mask;
	}
	/* UEFI 2.10, 12.9.2: a pixel of a bit mask has as many bytes as hold the highest bit set.
	 */
	fb->bpp = all ? (uint16_t)align_up(32 - (unsigned)__builtin_clz(all), 8) : 0;
	fb->address = (void *)(h->graphics->base + arch_hhdm);
	fb->width = info->width;
	fb->height = info->height;
	fb->pitch = (uint64_t)info->pixels_per_line * (fb->bpp / 8);
	fb->memory_model = limine_framebuffer_rgb;
	mask_describe(red, &fb->red_mask_shift, &fb->red_mask_size);
	mask_describe(green, &fb->green_mask_shift, &fb->green_mask_size);
	mask_describe(blue, &fb->blue_mask_shift, &fb->blue_mask_size);
	list[0] = to_kernel(fb);
	r->framebuffers = to_kernel(list);
	r->framebuffer_count = 1;
	return nullptr;
}

static reason answer_paging(struct handover *, struct limine_request *req)
{
	struct limine_paging_mode_request *paging = (struct limine_paging_mode_request *)req;

	if (req->revision >= 1 && paging->min_mode > 0)
		return "needs a paging mode that this loader does not set up";
	RESPOND(struct limine_paging_mode_response);
	r->mode = 0;
	return nullptr;
}

/* Only the place: the contents are known when the loader leaves. */
static reason answer_memmap(struct handover *h, struct limine_request *req)
{
	struct limine_memmap_entry *entries = answer_alloc(MEMMAP_MAX * sizeof(*entries));
	struct limine_memmap_entry **list = answer_alloc(MEMMAP_MAX * sizeof(*list));
	RESPOND(struct limine_memmap_response);
	if (!list || !entries)
		return no_memory;
	for (unsigned i = 0; i < MEMMAP_MAX; i++)
		list[i] = to_kernel(&entries[i]);
	h->memmap_entries = entries;
	h->memmap_response = r;
	r->entries = to_kernel(list);
	return nullptr;
}

static reason answer_entry(struct handover *h, struct limine_request *req)
{
	uint64_t entry = (uint64_t)((struct limine_entry_point_request *)req)->entry;
	RESPOND(struct limine_entry_point_response);
	if (entry)
		h->image.entry = entry;
	return nullptr;
}

static reason file_describe(const struct file *file, struct limine_file *out)
{
	out->address = to_kernel(file->data);
	out->size = file->size;
	out->path = answer_string(file->path);
	out->string = answer_string("");
	return out->path && out->string ? nullptr : no_memory;
}

static reason answer_executable_file(struct handover *h, struct limine_request *req)
{
	struct limine_file *file = answer_alloc(sizeof(*file));
	RESPOND(struct limine_executable_file_response);
	if (!file || file_describe(&h->kernel, file))
		return no_memory;
	file->string = answer_string(h->config.cmdline);
	r->executable_file = to_kernel(file);
	h->keep_kernel_file = true;
	return file->string ? nullptr : no_memory;
}

static reason answer_modules(struct handover *h, struct limine_request *req)
{
	unsigned count = h->config.nmodules;
	struct limine_file **list = answer_alloc((count + 1) * sizeof(*list));
	struct limine_file *files = answer_alloc((count + 1) * sizeof(*files));
	RESPOND(struct limine_module_response);
	if (!list || !files)
		return no_memory;
	for (unsigned i = 0; i < count; i++) {
		if (file_describe(&h->modules[i], &files[i]))
			return no_memory;
		list[i] = to_kernel(&files[i]);
	}
	r->module_count = count;
	r->modules = to_kernel(list);
	return nullptr;
}

static reason answer_rsdp(struct handover *h, struct limine_request *req)
{
	if (!h->rsdp)
		return nullptr;
	RESPOND(struct limine_rsdp_response);
	r->address = phys_of(h->rsdp);
	return nullptr;
}

static reason answer_efi(struct handover *, struct limine_request *req)
{
	RESPOND(struct limine_efi_system_table_response);
	r->address = phys_of(efi);
	return nullptr;
}

static reason answer_address(struct handover *h, struct limine_request *req)
{
	RESPOND(struct limine_executable_address_response);
	r->physical_base = phys_of(h->image.mem);
	r->virtual_base = h->image.virt;
	return nullptr;
}

static reason answer_time(struct handover *, struct limine_request *req)
{
	int64_t now;

	if (!firmware_time(&now))
		return nullptr;
	RESPOND(struct limine_boot_time_response);
	r->boot_time = now;
	return nullptr;
}

/* The firmware's copy need not lie in memory that the direct map covers. */
static reason answer_dtb(struct handover *, struct limine_request *req)
{
	static const struct efi_guid guid = EFI_DEVICE_TREE_GUID;
	const uint32_t *blob = firmware_table(&guid);
	void *copy;

	if (!blob || __builtin_bswap32(blob[0]) != 0xd00dfeed)
		return nullptr;
	RESPOND(struct limine_dtb_response);
	copy = pages_alloc(__builtin_bswap32(blob[1]), PAGE_SIZE);
	if (!copy)
		return no_memory;
	memcpy(copy, blob, __builtin_bswap32(blob[1]));
	r->dtb = to_kernel(copy);
	return nullptr;
}

static const struct answer {
	uint64_t id[4];
	uint64_t size; /* of the request */
	reason (*answer)(struct handover *h, struct limine_request *req);
} answers[] = {
	{LIMINE_BOOTLOADER_INFO_ID, sizeof(struct limine_request), answer_loader},
	{LIMINE_EXECUTABLE_CMDLINE_ID, sizeof(struct limine_request), answer_cmdline},
	{LIMINE_FIRMWARE_TYPE_ID, sizeof(struct limine_request), answer_firmware},
	{LIMINE_STACK_SIZE_ID, sizeof(struct limine_stack_size_request), answer_stack},
	{LIMINE_HHDM_ID, sizeof(struct limine_request), answer_hhdm},
	{LIMINE_FRAMEBUFFER_ID, sizeof(struct limine_request), answer_framebuffer},
	{LIMINE_PAGING_MODE_ID, sizeof(struct limine_paging_mode_request), answer_paging},
	{LIMINE_MEMMAP_ID, sizeof(struct limine_request), answer_memmap},
	{LIMINE_ENTRY_POINT_ID, sizeof(struct limine_entry_point_request), answer_entry},
	{LIMINE_EXECUTABLE_FILE_ID, sizeof(struct limine_request), answer_executable_file},
	{LIMINE_MODULE_ID, sizeof(struct limine_request), answer_modules},
	{LIMINE_RSDP_ID, sizeof(struct limine_request), answer_rsdp},
	{LIMINE_EFI_SYSTEM_TABLE_ID, sizeof(struct limine_request), answer_efi},
	{LIMINE_EXECUTABLE_ADDRESS_ID, sizeof(struct limine_request), answer_address},
	{LIMINE_BOOT_TIME_ID, sizeof(struct limine_request), answer_time},
	{LIMINE_DTB_ID, sizeof(struct limine_request), answer_dtb},
};

/* The first place in [at, end), on an 8-byte boundary, that holds these words; null when there is
 * none. */
static uint8_t *find_words(uint8_t *at, const uint8_t *end, const uint64_t *words, unsigned count)
{
	uint64_t len = count * sizeof(*words);

	for (; at < end && len <= (uint64_t)(end - at); at += sizeof(*words))
		if (*(const uint64_t *)at == words[0] && memcmp(at, words, len) == 0)
			return at;
	return nullptr;
}

static reason base_revision_answer(uint8_t *start, const uint8_t *end)
{
	static const uint64_t tag[] = LIMINE_BASE_REVISION(0);
	uint8_t *found = find_words(start, end, tag, 2);
	uint64_t *words = (uint64_t *)found;

	if (!found || end - found < (ptrdiff_t)sizeof(tag))
		return "is no kernel for the Limine boot protocol, base revision 3";
	if (words[2] < limine_base_revision)
		return "wants a base revision of the Limine boot protocol older than 3";
	/* A kernel that wants a newer one sees from the third word that it did not get it. */
	words[1] = limine_base_revision;
	if (words[2] == limine_base_revision)
		words[2] = 0;
	return nullptr;
}

reason requests_answer(struct handover *h)
{
	static const uint64_t start_mark[] = LIMINE_REQUESTS_START,
			      end_mark[] = LIMINE_REQUESTS_END;
	static const uint64_t common[] = {LIMINE_COMMON_MAGIC};
	uint8_t *start = h->image.mem;
	const uint8_t *end = start + h->image.len_bytes;
	uint8_t *mark = find_words(start, end, start_mark, 4);
	reason why;

	if (mark) {
		start = mark + sizeof(start_mark);
		mark = find_words(start, end, end_mark, 2);
		if (mark)
			end = mark;
	}
	why = base_revision_answer(start, end);
	if (why)
		return why;
	for (; (start = find_words(start, end, common, 2)); start += sizeof(uint64_t)) {
		for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
			const struct answer *a = &answers[i];

			if ((uint64_t)(end - start) < a->size ||
			    memcmp(start, a->id, sizeof(a->id)) != 0)
				continue;
			why = a->answer(h, (struct limine_request *)start);
			if (why)
				return why;
		}
	}
	return image_may_enter(&h->image, h->image.entry) ? nullptr
							  : "has an entry point outside its code";
}

void memmap_answer(struct handover *h, const struct memmap *map)
{
	if (!h->memmap_response)
		return;
	memcpy(h->memmap_entries, map->entries, map->count * sizeof(map->entries[0]));
	h->memmap_response->entry_count = map->count;
}

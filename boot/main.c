// SPDX-License-Identifier: MIT
// The UEFI loader: reads a kernel and its files, answers its requests, and hands the machine over.

/*
 * The loader is the UEFI door of Halyard, and of any kernel for the Limine boot protocol, base
 * revision 3. It lies on a volume as EFI/BOOT/BOOTX64.EFI, or BOOTAA64.EFI, and reads
 * /boot/halyard.conf from the same volume.
 *
 * It goes through three states.
 *  1. Under the firmware. Files are read, checked and laid out; requests are answered except for
 * the memory map. Whatever goes wrong is one sentence on the firmware's console, after which the
 * loader returns, and the firmware tries its next boot option.
 *  2. Leaving. The memory map is fetched; the kernel's page tables and the answer about memory are
 * made from it, with memory that was allocated before, and without a call of the firmware: so the
 * map stays true and its key valid. Then boot services end. Firmware may refuse because an event of
 * its own has changed the map: then all this happens again, and only the two calls are made that
 * are allowed in between. As the tables are made before the end, a lack of memory for them can
 * still be reported.
 *  3. Alone. Nothing is left that could fail: the architecture's arch_enter() sets the CPU up and
 * jumps.
 *
 * Memory of the loader, including what it runs on, is reported to the kernel as loader-reclaimable;
 * the kernel's image and the modules have their own type. Common code here serves all
 * architectures; arch.h says what they differ in.
 */

#include "boot/arch.h"
#include "boot/loader.h"

static constexpr char config_path[] = "/boot/halyard.conf";
constexpr uint64_t ERROR_PAUSE_US = 5'000'000;
constexpr uint64_t STACK_MIN = 64 << 10;

static bool fail(const char *subject, reason why)
{
	say("\nHalyard loader: %s %s.\n", subject, why);
	return false;
}

static bool load_files(efi_handle self, struct handover *h)
{
	struct efi_file *volume = volume_open(self);
	struct file config;
	reason why;

	if (!volume)
		return fail("the boot volume", "cannot be read");
	why = file_read(volume, config_path, &config);
	if (!why)
		why = config_parse((char *)config.data, config.size, &h->config);
	if (why && h->config.line) {
		say("\nHalyard loader: line %u of %s %s.\n", (uint64_t)h->config.line, config_path,
		    why);
		return false;
	}
	if (why)
		return fail(config_path, why);
	why = file_read(volume, h->config.kernel, &h->kernel);
	if (why)
		return fail(h->config.kernel, why);
	for (unsigned i = 0; i < h->config.nmodules; i++) {
		why = file_read(volume, h->config.modules[i], &h->modules[i]);
		if (why)
			return fail(h->config.modules[i], why);
	}
	volume->close(volume);
	return true;
}

static struct efi_graphics_mode *graphics_find(void)
{
	static const struct efi_guid guid = EFI_GRAPHICS_OUTPUT_GUID;
	struct efi_graphics_output *out;

	if (efi->boot->locate_protocol(&guid, nullptr, (void **)&out) || !out->mode ||
	    !out->mode->info || out->mode->info->format >= EFI_PIXEL_BLT_ONLY)
		return nullptr;
	return out->mode;
}

static const void *rsdp_find(void)
{
	static const struct efi_guid acpi2 = EFI_ACPI_20_TABLE_GUID, acpi1 = EFI_ACPI_10_TABLE_GUID;
	const void *rsdp = firmware_table(&acpi2);

	return rsdp ? rsdp : firmware_table(&acpi1);
}

/* What the firmware's map cannot know: which of the loader's pages are the kernel's, and where
 * pixels lie. */
static void memmap_refine(struct memmap *map, const struct handover *h)
{
	constexpr enum limine_memmap_type kept = LIMINE_MEMMAP_EXECUTABLE_AND_MODULES;

	memmap_paint(map, phys_of(h->image.mem), h->image.len_bytes, kept);
	for (unsigned i = 0; i < h->config.nmodules; i++)
		memmap_paint(map, phys_of(h->modules[i].data),
			     align_up(h->modules[i].size, PAGE_SIZE), kept);
	if (h->keep_kernel_file)
		memmap_paint(map, phys_of(h->kernel.data), align_up(h->kernel.size, PAGE_SIZE),
			     kept);
	if (h->graphics)
		memmap_paint(map, h->graphics->base, align_up(h->graphics->size, PAGE_SIZE),
			     LIMINE_MEMMAP_FRAMEBUFFER);
	/* So that a null pointer to physical memory stays one. */
	if (map->count && map->entries[0].base == 0 && map->entries[0].type == LIMINE_MEMMAP_USABLE)
		memmap_paint(map, 0, PAGE_SIZE, LIMINE_MEMMAP_RESERVED);
}

static bool is_direct_mapped(enum limine_memmap_type type)
{
	return type == LIMINE_MEMMAP_USABLE || type == LIMINE_MEMMAP_BOOTLOADER_RECLAIMABLE ||
	       type == LIMINE_MEMMAP_EXECUTABLE_AND_MODULES || type == LIMINE_MEMMAP_FRAMEBUFFER;
}

static bool map_direct(struct space *space, const struct memmap *map)
{
	for (unsigned i = 0; i < map->count;) {
		const struct limine_memmap_entry *e = &map->entries[i++];
		bool pixels = e->type == LIMINE_MEMMAP_FRAMEBUFFER;
		uint64_t end = e->base + e->length;

		if (!is_direct_mapped(e->type))
			continue;
		/* Neighbours in one run: the fewer edges, the larger the pages. */
		for (; i < map->count && map->entries[i].base == end &&
		       is_direct_mapped(map->entries[i].type) &&
		       (map->entries[i].type == LIMINE_MEMMAP_FRAMEBUFFER) == pixels;
		     i++)
			end += map->entries[i].length;
		/* Executable, as the protocol has it: kernels may run code there before they have
		 * tables of their own. */
		if (!space_map(space, arch_hhdm + e->base, e->base, end - e->base,
			       MAP_WRITE | (pixels ? MAP_WRITE_COMBINING : MAP_EXEC)))
			return false;
	}
	return true;
}

static bool map_image(struct space *space, const struct image *image)
{
	for (unsigned i = 0; i < image->nsegments; i++) {
		const struct segment *s = &image->segments[i];

		if (!space_map(space, s->virt, phys_of(image->mem) + (s->virt - image->virt),
			       s->len_bytes, s->rights))
			return false;
	}
	return true;
}

/* All memory that leaving takes, so that none need be allocated between the map and the end of boot
 * services. */
struct departure {
	struct memmap *map;
	uint8_t *efi_map;
	uint64_t efi_map_cap;
	void *pool;
	uint64_t pool_pages;
	struct space space;
	struct leftovers leftovers;
};

constexpr uint64_t POOL_START_PAGES = 256, POOL_MAX_PAGES = 64 << 10;
constexpr uint64_t EFI_MAP_BYTES = 256 << 10;

/* Makes the kernel's view of memory from the firmware's map. A null reason and *retry: the pool was
 * too small. */
static reason departure_prepare(struct departure *d, struct handover *h, uint64_t *key, bool *retry)
{
	uint64_t size = d->efi_map_cap, stride;
	uint32_t version;

	*retry = false;
	if (efi->boot->get_memory_map(&size, d->efi_map, key, &stride, &version) ||
	    stride < sizeof(struct efi_memory_descriptor))
		return "cannot be booted: the firmware gave no memory map";
	memmap_from_efi(d->map, d->efi_map, size, stride);
	memmap_refine(d->map, h);
	if (d->map->full)
		return "cannot be booted: the firmware's memory map has too many entries";
	memmap_answer(h, d->map);
	d->leftovers = (struct leftovers){d->map, d->efi_map, size, stride};
	*retry = !space_init(&d->space, d->pool, d->pool_pages) || !map_direct(&d->space, d->map) ||
		 !map_image(&d->space, &h->image);
	return nullptr;
}

static reason leave_firmware(efi_handle self, struct departure *d, struct handover *h)
{
	constexpr unsigned attempts_max = 8;
	bool exit_tried = false, retry;
	unsigned attempts = 0;

	d->map = pages_alloc(sizeof(*d->map), PAGE_SIZE);
	d->efi_map_cap = EFI_MAP_BYTES;
	d->efi_map = pages_alloc(d->efi_map_cap, PAGE_SIZE);
	d->pool_pages = POOL_START_PAGES;
	d->pool = pages_alloc(d->pool_pages * PAGE_SIZE, PAGE_SIZE);
	while (d->map && d->efi_map && d->pool) {
		uint64_t key;
		reason why = departure_prepare(d, h, &key, &retry);

		if (why)
			return why;
		if (retry) {
			/* After a failed exit the firmware may not be asked for memory any more. */
			if (exit_tried || d->pool_pages >= POOL_MAX_PAGES)
				break;
			efi->boot->free_pages(phys_of(d->pool), d->pool_pages);
			d->pool_pages *= 2;
			d->pool = pages_alloc(d->pool_pages * PAGE_SIZE, PAGE_SIZE);
			continue;
		}
		exit_tried = true;
		if (efi->boot->exit_boot_services(self, key) == EFI_SUCCESS)
			return nullptr;
		if (++attempts == attempts_max)
			return "cannot be booted: the firmware does not end its boot services";
	}
	return "cannot be booted: there is no memory left for page tables";
}

static bool boot(efi_handle self)
{
	static struct handover h = {.stack_size = STACK_MIN};
	static struct departure d;
	uint8_t *stack;
	reason why = arch_check();

	if (why)
		return fail("this machine", why);
	if (!load_files(self, &h))
		return false;
	h.graphics = graphics_find();
	h.rsdp = rsdp_find();
	why = elf_load(&h.kernel, &h.image);
	if (!why)
		why = requests_answer(&h);
	if (why)
		return fail(h.config.kernel, why);
	arch_code_written(h.image.mem, h.image.len_bytes);
	h.stack_size = align_up(h.stack_size, PAGE_SIZE);
	stack = pages_alloc(h.stack_size, PAGE_SIZE);
	if (!stack)
		return fail(h.config.kernel, "gets no stack: memory is used up");
	arch_prepare(h.rsdp);
	say("Halyard loader: starting %s (%u KiB, %u modules).\n", h.config.kernel,
	    h.kernel.size >> 10, (uint64_t)h.config.nmodules);
	why = leave_firmware(self, &d, &h);
	if (why)
		return fail(h.config.kernel, why);
	arch_enter(&d.space, h.image.entry, arch_hhdm + phys_of(stack) + h.stack_size,
		   &d.leftovers);
}

efi_status efi_main(efi_handle self, struct efi_system_table *table);

efi_status efi_main(efi_handle self, struct efi_system_table *table)
{
	firmware_init(table);
	boot(self);
	efi->boot->stall(ERROR_PAUSE_US);
	return EFI_LOAD_ERROR;
}

// SPDX-License-Identifier: MIT
// The loader's own interfaces: console, memory, files, configuration, ELF, memory map, the
// protocol's answers.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/limine.h"
#include "base/string.h"
#include "base/types.h"
#include "boot/efi.h"

/*
 * Functions that can fail for a reason that the user can mend return a `reason`: null for success,
 * else a sentence without a full stop, to be printed behind the name of the file that it is about.
 * Nothing is freed on failure: the firmware takes back all pages of an application that returns.
 */
typedef const char *reason;

/* ---- firmware.c: what the loader needs from UEFI ---- */

extern struct efi_system_table *efi; /* immutable after firmware_init */

void firmware_init(struct efi_system_table *table);

/* Prints on the firmware's console. Knows %s, %u (uint64_t) and %x (uint64_t), nothing else. */
void say(const char *format, ...);

/* Zeroed pages of loader memory, aligned to `align` (a power of two); null when there are none
 * left. */
[[nodiscard]] void *pages_alloc(uint64_t len_bytes, uint64_t align);

/* The firmware's table with this id, or null. */
void *firmware_table(const struct efi_guid *guid);

/* The date by the firmware's clock, in seconds since 1970. False: it has none that is set. */
[[nodiscard]] bool firmware_time(int64_t *unix_s);

constexpr uint64_t PAGE_SIZE = EFI_PAGE_SIZE;

/* Physical addresses are pointers here: UEFI maps memory one to one. */
static inline uint64_t phys_of(const void *p)
{
	return (uint64_t)p;
}

static inline void *at_phys(uint64_t phys)
{
	return (void *)phys;
}

/* ---- file.c: files of the volume that the loader came from ---- */

struct file {
	const char *path;
	uint8_t *data; /* page-aligned, followed by a zero byte at least */
	uint64_t size;
};

struct efi_file *volume_open(efi_handle image);

[[nodiscard]] reason file_read(struct efi_file *volume, const char *path, struct file *out);

/* ---- config.c ---- */

constexpr unsigned MODULES_MAX = 16;

struct config {
	const char *kernel;
	const char *cmdline; /* never null after config_parse */
	const char *modules[MODULES_MAX];
	unsigned nmodules;
	unsigned line; /* where parsing stopped, for messages */
};

/* Cuts text (zero-terminated, kept by the caller, changed) into its values, to which *out then
 * points. */
[[nodiscard]] reason config_parse(char *text, uint64_t len, struct config *out);

/* ---- elf.c ---- */

constexpr unsigned SEGMENTS_MAX = 16;

enum map_rights : unsigned {
	MAP_READ = 0,
	MAP_WRITE = 1,
	MAP_EXEC = 2,
	MAP_WRITE_COMBINING = 4,
};

struct segment {
	uint64_t virt, len_bytes; /* whole pages */
	unsigned rights;	  /* of enum map_rights */
};

struct image {
	uint64_t virt; /* of its first page */
	uint64_t len_bytes;
	uint64_t entry;
	uint8_t *mem; /* its loaded copy, contiguous */
	struct segment segments[SEGMENTS_MAX];
	unsigned nsegments;
};

/* Checks an untrusted file and lays it out in memory that it allocates. */
[[nodiscard]] reason elf_load(const struct file *file, struct image *out);

/* Whether the image may be entered at address virt. */
bool image_may_enter(const struct image *image, uint64_t virt);

/* ---- memmap.c ---- */

constexpr unsigned MEMMAP_MAX = 1024;

struct memmap {
	struct limine_memmap_entry entries[MEMMAP_MAX];
	unsigned count;
	bool full; /* something did not fit; the map must not be used */
};

/* Makes [base, base + len) be of this type, whatever it was. */
void memmap_paint(struct memmap *map, uint64_t base, uint64_t len_bytes,
		  enum limine_memmap_type type);

/* Takes over the firmware's map as it will be once the loader has left. */
void memmap_from_efi(struct memmap *map, const uint8_t *descriptors, uint64_t len_bytes,
		     uint64_t stride);

/* What the firmware leaves behind: its map, and what the kernel is told of the same memory. */
struct leftovers {
	const struct memmap *map;
	const uint8_t *descriptors;
	uint64_t len_bytes, stride;
};

/* Clears the usable memory that was the firmware's own. All pointers in l, and physical memory, are
 * `offset` above where they were: it runs on the kernel's tables. */
void leftovers_clear(const struct leftovers *l, uint64_t offset);

/* ---- answer.c: the requests of the kernel and our responses ---- */

struct handover {
	struct config config;
	struct file kernel;
	struct file modules[MODULES_MAX];
	struct image image;
	struct efi_graphics_mode *graphics; /* null: no framebuffer */
	const void *rsdp;		    /* null: no ACPI */
	uint64_t stack_size;   /* in: our default; out: what the kernel wants at least */
	bool keep_kernel_file; /* out: the kernel asked for it, so its memory stays the kernel's */
	struct limine_memmap_response *memmap_response; /* out: null if not asked for */
	struct limine_memmap_entry *memmap_entries;	/* out: room for MEMMAP_MAX */
};

/* Finds the requests in the loaded image and answers all but the memory map, whose contents
 * memmap_answer adds. */
[[nodiscard]] reason requests_answer(struct handover *h);

void memmap_answer(struct handover *h, const struct memmap *map);

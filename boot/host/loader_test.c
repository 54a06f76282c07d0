// SPDX-License-Identifier: MIT
// Tests on the host, under sanitizers, of the loader's parts that read what others wrote: ELF
// files, requests, configuration, memory maps.

/*
 * Argument: the probe kernel. Buffers have exactly their file's size, so that AddressSanitizer sees
 * every byte read beyond it. Random cases come from a fixed seed.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "boot/arch.h"
#include "boot/loader.h"

const uint64_t arch_hhdm = 0; /* so that pointers in answers can be followed */
const uint16_t arch_elf_machine = 62;
const uint32_t arch_elf_relative = 8;
struct efi_system_table *efi;

constexpr uint64_t MEMORY_LIMIT = 4 << 20; /* what the pretended machine has for one allocation */

static void *allocated[100000]; /* keeps everything reachable; freed at the end */
static unsigned nallocated;

void *pages_alloc(uint64_t len_bytes, uint64_t align)
{
	if (len_bytes > MEMORY_LIMIT)
		return nullptr;
	if (len_bytes == 0)
		len_bytes = 1;
	assert(nallocated < sizeof(allocated) / sizeof(allocated[0]));
	/* Small alignment for large ones: the loader only prefers 2 MiB. */
	void *p = aligned_alloc(align < PAGE_SIZE ? align : PAGE_SIZE,
				(len_bytes + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE);
	assert(p);
	memset(p, 0, len_bytes);
	return allocated[nallocated++] = p;
}

/* Frees one of the last allocations. */
static void pages_free(void *p)
{
	for (unsigned i = nallocated; i--;) {
		if (allocated[i] == p) {
			allocated[i] = allocated[--nallocated];
			free(p);
			return;
		}
	}
}

bool firmware_time(int64_t *unix_s)
{
	*unix_s = 1;
	return true;
}

void *firmware_table(const struct efi_guid *)
{
	return nullptr;
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint8_t *probe;
static uint64_t probe_size;

static void probe_read(const char *path)
{
	FILE *f = fopen(path, "rb");

	assert(f && !fseek(f, 0, SEEK_END));
	probe_size = (uint64_t)ftell(f);
	rewind(f);
	probe = malloc(probe_size);
	assert(probe && fread(probe, 1, probe_size, f) == probe_size);
	fclose(f);
}

/* ---- ELF ---- */

static void check_image(const struct image *image)
{
	uint64_t at = image->virt;

	assert(image->nsegments >= 1 && image->nsegments <= SEGMENTS_MAX);
	assert(image->virt >= 0xffffffff80000000 && image->virt + image->len_bytes > image->virt);
	for (unsigned i = 0; i < image->nsegments; i++) {
		const struct segment *s = &image->segments[i];

		assert(s->virt % PAGE_SIZE == 0 && s->len_bytes % PAGE_SIZE == 0 && s->len_bytes);
		assert(s->virt >= at);
		assert((s->rights & (MAP_WRITE | MAP_EXEC)) != (MAP_WRITE | MAP_EXEC));
		at = s->virt + s->len_bytes;
	}
	assert(at == image->virt + image->len_bytes);
	/* All of it can be read and written. */
	for (uint64_t i = 0; i < image->len_bytes; i += PAGE_SIZE)
		image->mem[i] = image->mem[i];
}

/* Loads and answers as the loader does; the answers' small memory is never freed in between. */
static reason load(const void *data, uint64_t size)
{
	struct handover h = {.config = {.cmdline = "a b"}, .stack_size = 65536};
	reason why;
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	h.kernel = (struct file){"/boot/kernel", copy, size};
	why = elf_load(&h.kernel, &h.image);
	if (!why) {
		check_image(&h.image);
		why = requests_answer(&h);
		if (!why)
			assert(image_may_enter(&h.image, h.image.entry));
	}
	pages_free(h.image.mem);
	free(copy);
	return why;
}

static void expect(const char *name, reason why, const char *sentence)
{
	if (why ? !sentence || !strstr(why, sentence) : sentence != nullptr) {
		fprintf(stderr, "%s: got \"%s\", expected \"%s\"\n", name, why ? why : "(success)",
			sentence ? sentence : "(success)");
		exit(1);
	}
}

constexpr unsigned HEADER_BYTES = 64, SEGMENT_BYTES = 56;

static const struct spoil {
	const char *name;
	unsigned offset, bytes;
	uint64_t value;
	const char *sentence;
} spoils[] = {
	{"nothing spoiled", 0, 0, 0, nullptr},
	{"magic", 1, 1, 'X', "is not a 64-bit ELF file"},
	{"32-bit", 4, 1, 1, "is not a 64-bit ELF file"},
	{"big-endian", 5, 1, 2, "is not a 64-bit ELF file"},
	{"other CPU", 18, 2, 183, "is a program for another CPU"},
	{"object file", 16, 2, 1, "is not an executable ELF file"},
	{"header size", 54, 2, 32, "program headers of an unknown size"},
	{"headers behind the file", 32, 8, ~0ull - 7, "program headers lie outside"},
	{"headers past its end", 56, 2, 65535, "program headers lie outside"},
	{"no headers", 56, 2, 0, "has nothing to load"},
	{"entry in data", 24, 8, 0, nullptr}, /* the entry point request wins */
	{"dynamic program", HEADER_BYTES, 4, 3, "dynamically linked program"},
	{"offset wraps", HEADER_BYTES + 8, 8, ~0ull - 15, "a segment lies outside the file"},
	{"file larger than memory", HEADER_BYTES + 40, 8, 1, "a segment lies outside the file"},
	{"file size wraps", HEADER_BYTES + 32, 8, ~0ull, "a segment lies outside the file"},
	{"memory wraps", HEADER_BYTES + 2 * SEGMENT_BYTES + 40, 8, ~0ull,
	 "past the end of the address"},
	{"2 GiB", HEADER_BYTES + 2 * SEGMENT_BYTES + 40, 8, 0x7f000000, "claims more than 1 GiB"},
	{"no memory", HEADER_BYTES + 2 * SEGMENT_BYTES + 40, 8, 0x3f000000,
	 "does not fit into memory"},
	{"write and execute", HEADER_BYTES + 4, 4, 7, "both writable and executable"},
	{"lower half", HEADER_BYTES + 16, 8, 0x200000, "claims more than 1 GiB"},
	{"overlap", HEADER_BYTES + SEGMENT_BYTES + 16, 8, 0xffffffff80200000, "share a page"},
	{"not ascending", HEADER_BYTES + SEGMENT_BYTES + 16, 8, 0xffffffff80100000, "share a page"},
};

static void test_spoiled(void)
{
	for (unsigned i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		uint8_t *copy = malloc(probe_size);

		memcpy(copy, probe, probe_size);
		memcpy(copy + spoils[i].offset, &spoils[i].value, spoils[i].bytes);
		expect(spoils[i].name, load(copy, probe_size), spoils[i].sentence);
		free(copy);
	}
}

static void test_truncated(void)
{
	uint64_t needed = 0; /* bytes of the file that segments use */

	for (unsigned i = 0; i < 3; i++) {
		uint64_t offset, size;

		memcpy(&offset, probe + HEADER_BYTES + i * SEGMENT_BYTES + 8, 8);
		memcpy(&size, probe + HEADER_BYTES + i * SEGMENT_BYTES + 32, 8);
		if (size && offset + size > needed)
			needed = offset + size;
	}
	for (uint64_t size = 0; size < needed; size += size < 300 ? 1 : 97) {
		expect("cut short", load(probe, size),
		       size < HEADER_BYTES ? "too short" : "damaged or cut short");
	}
}

/* Random words in headers and anywhere: never an access out of bounds, never a broken promise. */
static void test_random(void)
{
	static const uint64_t nasty[] = {0,
					 1,
					 7,
					 4095,
					 4096,
					 ~0ull,
					 ~0ull - 4095,
					 1ull << 63,
					 0x80000000,
					 0xffffffff80200000};
	unsigned accepted = 0;

	for (unsigned round = 0; round < 8000; round++) {
		uint8_t *copy = malloc(probe_size);

		memcpy(copy, probe, probe_size);
		for (unsigned n = random_next() % 4 + 1; n; n--) {
			uint64_t limit =
				random_next() % 8 ? HEADER_BYTES + 4 * SEGMENT_BYTES : probe_size;
			uint64_t value =
				random_next() % 2 ? nasty[random_next() % 10] : random_next();
			unsigned width = 1u << random_next() % 4;

			memcpy(copy + random_next() % (limit - 8), &value, width);
		}
		accepted += load(copy, probe_size) == nullptr;
		free(copy);
	}
	/* Otherwise the cases would say nothing about accepted files. */
	assert(accepted > 100);
}

static void test_requests(void)
{
	static const uint64_t tag[] = LIMINE_BASE_REVISION(3);
	uint8_t *copy = malloc(probe_size);
	uint64_t *words;

	memcpy(copy, probe, probe_size);
	words = memmem(copy, probe_size, tag, sizeof(tag));
	assert(words);
	words[2] = 2;
	expect("old revision", load(copy, probe_size), "older than 3");
	words[2] = 4;
	expect("newer revision", load(copy, probe_size), nullptr);
	words[0] = 0;
	expect("no revision", load(copy, probe_size), "is no kernel for the Limine");
	free(copy);
}

/* ---- a position-independent kernel, made by hand ---- */

struct by_hand {
	struct { /* file offset 0, linked at 0: read and execute */
		uint8_t ident[16];
		uint16_t type, machine;
		uint32_t version;
		uint64_t entry, phoff, shoff;
		uint32_t flags;
		uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
		struct {
			uint32_t type, flags;
			uint64_t offset, virt, phys, filesz, memsz, align;
		} ph[3];
		uint8_t pad[4096 - 64 - 3 * 56];
	} text;
	struct { /* file offset 0x1000, linked at 0x1000: read and write */
		uint64_t base_revision[3];
		uint64_t pointer; /* relocated */
		struct {
			int64_t tag;
			uint64_t value;
		} dynamic[4];
		struct {
			uint64_t offset, info;
			int64_t addend;
		} rela;
		uint8_t pad[4096 - 24 - 8 - 64 - 24 - 32];
		uint64_t last[4];
	} data;
};
static_assert(sizeof(struct by_hand) == 8192);

constexpr uint64_t DATA_AT = 4096;

static struct by_hand by_hand(void)
{
	constexpr uint64_t dynamic_at = DATA_AT + 32, rela_at = dynamic_at + 64;

	return (struct by_hand){
		.text = {.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
			 .type = 3,
			 .machine = 62,
			 .entry = 0x400,
			 .phoff = 64,
			 .phentsize = 56,
			 .phnum = 3,
			 .ph = {{1, 5, 0, 0, 0, 4096, 4096, 4096},
				{1, 6, DATA_AT, DATA_AT, 0, 4096, 4096, 4096},
				{2, 6, dynamic_at, dynamic_at, 0, 64, 64, 8}}},
		.data = {.base_revision = LIMINE_BASE_REVISION(3),
			 .dynamic = {{7, rela_at}, {8, 24}, {9, 24}, {0, 0}},
			 .rela = {DATA_AT + 24, 8, 0x1234}},
	};
}

static void test_position_independent(void)
{
	struct by_hand f = by_hand();
	struct image image;
	struct file file = {"/k", (uint8_t *)&f, sizeof(f)};

	expect("by hand", elf_load(&file, &image), nullptr);
	check_image(&image);
	assert(image.virt == 0xffffffff80000000 && image.entry == 0xffffffff80000400);
	uint64_t value;
	memcpy(&value, image.mem + DATA_AT + 24, 8);
	assert(value == 0xffffffff80001234);
	f.text.type = 2;
	expect("not movable", load(&f, sizeof(f)), "not linked into the top 2 GiB");

	static const struct {
		const char *name;
		unsigned offset;
		uint64_t value;
		const char *sentence;
	} cases[] = {
		{"place behind", offsetof(struct by_hand, data.rela.offset), 8192 - 4,
		 "a relocation that"},
		{"place far", offsetof(struct by_hand, data.rela.offset), ~0ull,
		 "a relocation that"},
		{"kind", offsetof(struct by_hand, data.rela.info), 1, "a relocation that"},
		{"none", offsetof(struct by_hand, data.rela.info), 0, nullptr},
		{"table behind", offsetof(struct by_hand, data.dynamic[0].value), 8192 - 16,
		 "table outside"},
		{"table wraps", offsetof(struct by_hand, data.dynamic[0].value), ~0ull - 7,
		 "table outside"},
		{"table size", offsetof(struct by_hand, data.dynamic[1].value), 1 << 20,
		 "table outside"},
		{"entry size", offsetof(struct by_hand, data.dynamic[2].value), 16,
		 "table outside"},
		{"relr", offsetof(struct by_hand, data.dynamic[2].tag), 36, "a form that"},
		{"dynamic behind", offsetof(struct by_hand, text.ph[2].virt), 8192 - 8,
		 "dynamic section outside"},
		{"dynamic size", offsetof(struct by_hand, text.ph[2].memsz), ~0ull,
		 "dynamic section outside"},
		{"entry in data", offsetof(struct by_hand, text.entry), DATA_AT,
		 "entry point outside its code"},
		{"entry far", offsetof(struct by_hand, text.entry), 1ull << 40,
		 "entry point outside its code"},
		{"last page", offsetof(struct by_hand, text.ph[1].virt), ~0ull - 4096,
		 "past the end of the address"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f = by_hand();
		memcpy((uint8_t *)&f + cases[i].offset, &cases[i].value, 8);
		expect(cases[i].name, load(&f, sizeof(f)), cases[i].sentence);
	}

	f = by_hand();
	f.text.ph[1].virt = 0x800;
	expect("shared page", load(&f, sizeof(f)), "share a page");
	f.text.ph[1].flags = 5;
	expect("shared page, same rights", load(&f, sizeof(f)), nullptr);
	f.text.ph[0].memsz = 8192;
	f.text.ph[1].virt = 0;
	expect("overlap, same rights", load(&f, sizeof(f)), "share a page");

	/* An id without room for the rest of its request. */
	f = by_hand();
	static const uint64_t id[4] = LIMINE_HHDM_ID;
	memcpy(f.data.last, id, sizeof(id));
	expect("request at the end", load(&f, sizeof(f)), nullptr);

	unsigned accepted = 0;
	for (unsigned round = 0; round < 20000; round++) {
		f = by_hand();
		for (unsigned n = random_next() % 3 + 1; n; n--) {
			uint64_t at = random_next() % 2
					      ? random_next() % (64 + 3 * 56 - 8)
					      : DATA_AT + random_next() % (32 + 64 + 24 - 8);
			uint64_t noise = random_next() >> random_next() % 64;

			memcpy((uint8_t *)&f + at, &noise, 1u << random_next() % 4);
		}
		reason why = load(&f, sizeof(f));

		accepted += why == nullptr;
	}
	assert(accepted > 100);
}

/* ---- configuration ---- */

static reason parse(const char *text, struct config *out)
{
	static char buf[4096];

	/* file_read() puts a zero behind every file. */
	memcpy(buf, text, strlen(text) + 1);
	return config_parse(buf, strlen(text), out);
}

static void test_config(void)
{
	struct config c;

	expect("whole",
	       parse("# c\r\n\n kernel=/k\r\ninitrd=/a\nmodule=/b\n cmdline= x=\"1 2\" y \n", &c),
	       nullptr);
	assert(!strcmp(c.kernel, "/k") && c.nmodules == 2 && !strcmp(c.modules[1], "/b"));
	assert(!strcmp(c.cmdline, " x=\"1 2\" y"));
	expect("no newline at the end", parse("kernel=/k", &c), nullptr);
	assert(!strcmp(c.cmdline, "") && c.nmodules == 0);
	expect("empty", parse("", &c), "no line kernel=");
	assert(c.line == 0);
	expect("no value", parse("\n\nkernel\n", &c), "is not KEY=VALUE");
	assert(c.line == 3);
	expect("unknown", parse("kernal=/k\n", &c), "has a key other than");
	expect("twice", parse("kernel=/k\nkernel=/k\n", &c), "twice");
	expect("relative", parse("initrd=a\n", &c), "does not begin with '/'");
	char many[1024] = "kernel=/k\n";
	for (unsigned i = 0; i <= MODULES_MAX; i++)
		strcat(many, "module=/m\n");
	expect("many", parse(many, &c), "too many modules");
	char binary[16] = "kernel=/k\n";
	expect("binary", config_parse(binary, sizeof(binary) - 1, &c), "is not a text file");
}

/* ---- memory map ---- */

/* Against a model that keeps a type for every page. */
static void test_memmap(void)
{
	constexpr unsigned PAGES = 256;
	static struct memmap map;
	static uint8_t model[PAGES]; /* type + 1; 0: nothing */

	for (unsigned round = 0; round < 2000; round++) {
		map = (struct memmap){};
		memset(model, 0, sizeof(model));
		for (unsigned n = 0; n < 40; n++) {
			unsigned start = (unsigned)(random_next() % PAGES);
			unsigned count =
				(unsigned)(random_next() % (PAGES - start + 1)) / (n / 8 + 1);
			unsigned type = (unsigned)(random_next() % 4);

			memmap_paint(&map, start * PAGE_SIZE, count * PAGE_SIZE,
				     (enum limine_memmap_type)type);
			memset(model + start, (int)type + 1, count);
		}
		uint64_t end = 0;
		for (unsigned i = 0; i < map.count; i++) {
			const struct limine_memmap_entry *e = &map.entries[i];

			assert(e->length && e->base >= end);
			assert(i == 0 || e->base > end || e->type != e[-1].type);
			for (uint64_t at = end; at < e->base; at += PAGE_SIZE)
				assert(model[at / PAGE_SIZE] == 0);
			end = e->base + e->length;
			for (uint64_t at = e->base; at < end; at += PAGE_SIZE)
				assert(model[at / PAGE_SIZE] == e->type + 1);
		}
		for (uint64_t at = end / PAGE_SIZE; at < PAGES; at++)
			assert(model[at] == 0);
	}
	map = (struct memmap){};
	memmap_paint(&map, ~0ull - 4095, 8192, LIMINE_MEMMAP_USABLE);
	assert(map.count == 0);
	for (unsigned i = 0; i <= MEMMAP_MAX; i++)
		memmap_paint(&map, i * 2 * PAGE_SIZE, PAGE_SIZE, LIMINE_MEMMAP_USABLE);
	assert(map.full);
}

static void test_memmap_from_efi(void)
{
	static struct memmap map;
	struct {
		struct efi_memory_descriptor d;
		uint64_t future; /* the firmware's stride may be larger than our structure */
	} efi_map[] = {
		{{EFI_RUNTIME_SERVICES_DATA, 0x5000, 0, 1, EFI_MEMORY_WB}, 0},
		{{EFI_BOOT_SERVICES_DATA, 0x2000, 0, 2, EFI_MEMORY_WB}, 0},
		{{EFI_CONVENTIONAL_MEMORY, 0x1000, 0, 1, EFI_MEMORY_WB}, 0},
		{{EFI_LOADER_DATA, 0x4000, 0, 1, EFI_MEMORY_WB}, 0},
		{{EFI_CONVENTIONAL_MEMORY, 0x5000, 0, 2, EFI_MEMORY_WB},
		 0},						 /* overlaps the first */
		{{EFI_CONVENTIONAL_MEMORY, 0x9000, 0, 1, 0}, 0}, /* cannot be cached */
	};

	memmap_from_efi(&map, (const uint8_t *)efi_map, sizeof(efi_map), sizeof(efi_map[0]));
	static const struct limine_memmap_entry expected[] = {
		{0x1000, 0x3000, LIMINE_MEMMAP_USABLE},
		{0x4000, 0x1000, LIMINE_MEMMAP_BOOTLOADER_RECLAIMABLE},
		{0x5000, 0x1000, LIMINE_MEMMAP_RESERVED},
		{0x6000, 0x1000, LIMINE_MEMMAP_USABLE},
		{0x9000, 0x1000, LIMINE_MEMMAP_RESERVED},
	};
	assert(map.count == 5 && !memcmp(map.entries, expected, sizeof(expected)));
}

/* "Physical" memory is a buffer; what is the kernel's, or nobody's, must stay. */
static void test_leftovers(void)
{
	static struct memmap map;
	uint8_t *mem = pages_alloc(8 * PAGE_SIZE, PAGE_SIZE);
	uint64_t base = phys_of(mem);
	struct efi_memory_descriptor efi_map[] = {
		{EFI_BOOT_SERVICES_CODE, base, 0, 2, EFI_MEMORY_WB},
		{EFI_CONVENTIONAL_MEMORY, base + 2 * PAGE_SIZE, 0, 1, EFI_MEMORY_WB},
		{EFI_BOOT_SERVICES_DATA, base + 3 * PAGE_SIZE, 0, 2, EFI_MEMORY_WB},
		{EFI_LOADER_DATA, base + 5 * PAGE_SIZE, 0, 1, EFI_MEMORY_WB},
		{EFI_BOOT_SERVICES_DATA, base + 6 * PAGE_SIZE, 0, 1, 0},
		{EFI_RUNTIME_SERVICES_DATA, base + 7 * PAGE_SIZE, 0, 1, EFI_MEMORY_WB},
	};
	static const bool cleared[8] = {true, false, false, true, true, false, false, false};

	memset(mem, 0xaa, 8 * PAGE_SIZE);
	memmap_from_efi(&map, (const uint8_t *)efi_map, sizeof(efi_map), sizeof(efi_map[0]));
	memmap_paint(&map, base + PAGE_SIZE, PAGE_SIZE, LIMINE_MEMMAP_EXECUTABLE_AND_MODULES);
	leftovers_clear(&(struct leftovers){&map, (const uint8_t *)efi_map, sizeof(efi_map),
					    sizeof(efi_map[0])},
			0);
	for (uint64_t i = 0; i < 8 * PAGE_SIZE; i++)
		assert(mem[i] == (cleared[i / PAGE_SIZE] ? 0 : 0xaa));
}

int main(int argc, char **argv)
{
	assert(argc == 2);
	probe_read(argv[1]);
	test_spoiled();
	test_truncated();
	test_requests();
	test_random();
	test_position_independent();
	test_config();
	test_memmap();
	test_memmap_from_efi();
	test_leftovers();
	while (nallocated)
		pages_free(allocated[0]);
	free(probe);
	puts("loader_test: all passed");
	return 0;
}

// SPDX-License-Identifier: MIT
// The Limine boot protocol, base revision 3: what a kernel asks of its loader and is told.
#pragma once

/*
 * A kernel that speaks this protocol is an ELF file linked into the top 2 GiB of the address space.
 * Somewhere in its loaded, writable image lie *requests*: structures that begin with a 256-bit id,
 * aligned to 8 bytes. The loader looks for them (between LIMINE_REQUESTS_START and
 * LIMINE_REQUESTS_END when the image has these markers, else in the whole image) and stores the
 * address of a *response* in each that it can serve. A request that it does not know keeps its null
 * response, so both sides can be extended without the other.
 *
 * Revisions. The base revision says how the machine looks at entry. The kernel names the one that
 * it wants in LIMINE_BASE_REVISION; a loader that knows it writes 0 over the third word, and every
 * loader that knows revision 3 writes the revision it really used into the second. Each request and
 * each response has its own revision besides, which only ever adds fields at the end.
 *
 * What base revision 3 promises, as far as this project uses it:
 *
 * Every pointer in a response is a virtual address in the direct map ("HHDM"). The exceptions are
 * noted: addresses of firmware tables (RSDP, EFI system table) are physical.
 *
 * The direct map covers the memory-map entries of the types usable, loader-reclaimable,
 * executable-and-modules and framebuffer, and nothing else. There is no identity map. Nothing below
 * 0x1000 is ever given as usable.
 *
 * The image is mapped at its link address with the rights of its program headers, in physically
 * contiguous memory. Memory is cached write-back, framebuffers write-combining.
 *
 * Responses, stack, GDT and page tables lie in loader-reclaimable memory: the kernel must have
 * copied what it needs and left them before it reuses that memory.
 *
 * The state of an x86-64 CPU at entry: long mode; CR0.WP and EFER.NXE set; IF, DF, VM clear; CS
 * 0x28 and the data segments 0x30 of a GDT of seven entries (null, 16-, 32- and 64-bit code and
 * data); no usable IDT; the PICs and the I/O APICs masked; PAT WB, WT, UC-, UC, WP, WC, -, -; RSP
 * at a stack of at least 64 KiB that holds a return address of zero; all other general registers
 * zero.
 *
 * The state of an AArch64 CPU at entry: EL1 with SP_EL0 (EL1t), little-endian, whatever the
 * firmware ran at; the MMU and the caches on (SCTLR_EL1.M, C, I), alignment checked for SP alone
 * (SA, SA0, not A), the other fields 0 or as reserved; pages of 4 KiB and halves of 48 bits (T0SZ
 * and T1SZ 16); TTBR1_EL1 has the address space described above, TTBR0_EL1 is the kernel's to use;
 * of MAIR_EL1 some entry is write-back memory and some entry what framebuffers have, and the others
 * may be changed; VBAR_EL1 is undefined; higher exception levels keep neither vector registers nor
 * counters and timers from EL1; SP at a stack of at least 64 KiB; X0 to X30 zero. Interrupt
 * controllers are as the firmware left them; our loader masks all interrupts in PSTATE.
 */

#include <stdint.h>

/* Markers and the base revision: arrays of 64-bit words. */
#define LIMINE_REQUESTS_START \
	{0xf6b8f4b39de7d1ae, 0xfab91a6940fcb9cf, 0x785c6ed015d3e316, 0x181e920a7852b9d9}
#define LIMINE_REQUESTS_END	{0xadc0e0531bb10d03, 0x9572709f31764c62}
#define LIMINE_BASE_REVISION(n) {0xf9562b2d5c95a6c8, 0x6a7b384944536bdc, (n)}

/* Ids of requests. The first two words are common to all. */
#define LIMINE_COMMON_MAGIC	     0xc7b1dd30df4c8b88, 0x0a82e883a194f07b
#define LIMINE_BOOTLOADER_INFO_ID    {LIMINE_COMMON_MAGIC, 0xf55038d8e2a1202f, 0x279426fcf5f59740}
#define LIMINE_EXECUTABLE_CMDLINE_ID {LIMINE_COMMON_MAGIC, 0x4b161536e598651e, 0xb390ad4a2f1f303a}
#define LIMINE_FIRMWARE_TYPE_ID	     {LIMINE_COMMON_MAGIC, 0x8c2f75d90bef28a8, 0x7045a4688eac00c3}
#define LIMINE_STACK_SIZE_ID	     {LIMINE_COMMON_MAGIC, 0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d}
#define LIMINE_HHDM_ID		     {LIMINE_COMMON_MAGIC, 0x48dcf1cb8ad2b852, 0x63984e959a98244b}
#define LIMINE_FRAMEBUFFER_ID	     {LIMINE_COMMON_MAGIC, 0x9d5827dcd881dd75, 0xa3148604f6fab11b}
#define LIMINE_PAGING_MODE_ID	     {LIMINE_COMMON_MAGIC, 0x95c1a0edab0944cb, 0xa4e5cb3842f7488a}
#define LIMINE_MEMMAP_ID	     {LIMINE_COMMON_MAGIC, 0x67cf3d9d378a806f, 0xe304acdfc50c3c62}
#define LIMINE_ENTRY_POINT_ID	     {LIMINE_COMMON_MAGIC, 0x13d86c035a1cd3e1, 0x2b0caa89d8f3026a}
#define LIMINE_EXECUTABLE_FILE_ID    {LIMINE_COMMON_MAGIC, 0xad97e90e83f1ed67, 0x31eb5d1c5ff23b69}
#define LIMINE_MODULE_ID	     {LIMINE_COMMON_MAGIC, 0x3e7e279702be32af, 0xca1c4f3bd1280cee}
#define LIMINE_RSDP_ID		     {LIMINE_COMMON_MAGIC, 0xc5e77b6b397e7b43, 0x27637845accdcf3c}
#define LIMINE_EFI_SYSTEM_TABLE_ID   {LIMINE_COMMON_MAGIC, 0x5ceba5163eaaf6d6, 0x0a6981610cf65fcc}
#define LIMINE_EXECUTABLE_ADDRESS_ID {LIMINE_COMMON_MAGIC, 0x71ba76863cc55f63, 0xb2644a48c516a487}
#define LIMINE_BOOT_TIME_ID	     {LIMINE_COMMON_MAGIC, 0x502746e184c088aa, 0xfbc5ec83e6327893}
#define LIMINE_DTB_ID		     {LIMINE_COMMON_MAGIC, 0xb40ddb48fb54bac7, 0x545081493f81ffb7}

constexpr unsigned limine_base_revision = 3;

/* What every request begins with, and all that most requests are. */
struct limine_request {
	uint64_t id[4];
	uint64_t revision;
	void *response; /* written by the loader; null when it does not know the request */
};

struct limine_uuid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};

enum limine_media_type : uint32_t {
	LIMINE_MEDIA_GENERIC = 0,
	LIMINE_MEDIA_OPTICAL = 1,
	LIMINE_MEDIA_TFTP = 2,
};

/* A file that the loader has read: the executable itself or a module. Identifiers that are not
 * known are zero. */
struct limine_file {
	uint64_t revision;
	void *address;
	uint64_t size;
	char *path;   /* on its volume, absolute */
	char *string; /* its command line, never null */
	enum limine_media_type media_type;
	uint32_t unused;
	uint32_t tftp_ip;
	uint32_t tftp_port;
	uint32_t partition_index;
	uint32_t mbr_disk_id;
	struct limine_uuid gpt_disk_uuid;
	struct limine_uuid gpt_part_uuid;
	struct limine_uuid part_uuid;
};
static_assert(sizeof(struct limine_file) == 112);

struct limine_bootloader_info_response {
	uint64_t revision;
	char *name;
	char *version;
};

struct limine_executable_cmdline_response {
	uint64_t revision;
	char *cmdline;
};

enum limine_firmware_type : uint64_t {
	LIMINE_FIRMWARE_X86BIOS = 0,
	LIMINE_FIRMWARE_EFI32 = 1,
	LIMINE_FIRMWARE_EFI64 = 2,
	LIMINE_FIRMWARE_SBI = 3,
};

struct limine_firmware_type_response {
	uint64_t revision;
	enum limine_firmware_type firmware_type;
};

struct limine_stack_size_request {
	struct limine_request req;
	uint64_t stack_size; /* bytes; the loader gives at least 64 KiB in any case */
};

struct limine_stack_size_response {
	uint64_t revision;
};

/* The direct map: virtual address = physical address + offset. */
struct limine_hhdm_response {
	uint64_t revision;
	uint64_t offset;
};

constexpr uint8_t limine_framebuffer_rgb = 1;

struct limine_framebuffer {
	void *address;
	uint64_t width, height; /* pixels */
	uint64_t pitch;		/* bytes a line */
	uint16_t bpp;		/* bits a pixel */
	uint8_t memory_model;	/* limine_framebuffer_rgb */
	uint8_t red_mask_size, red_mask_shift;
	uint8_t green_mask_size, green_mask_shift;
	uint8_t blue_mask_size, blue_mask_shift;
	uint8_t unused[7];
	uint64_t edid_size;
	void *edid;
	/* Only in responses of revision 1: */
	uint64_t mode_count;
	struct limine_video_mode **modes;
};
static_assert(sizeof(struct limine_framebuffer) == 80);

struct limine_framebuffer_response {
	uint64_t revision;
	uint64_t framebuffer_count;
	struct limine_framebuffer **framebuffers;
};

/* 0 is four-level paging, 1 five-level. Without this request a kernel gets four levels. */
struct limine_paging_mode_request {
	struct limine_request req;
	uint64_t mode;
	/* Only in requests of revision 1: */
	uint64_t max_mode;
	uint64_t min_mode;
};

struct limine_paging_mode_response {
	uint64_t revision;
	uint64_t mode;
};

enum limine_memmap_type : uint64_t {
	LIMINE_MEMMAP_USABLE = 0,
	LIMINE_MEMMAP_RESERVED = 1,
	LIMINE_MEMMAP_ACPI_RECLAIMABLE = 2,
	LIMINE_MEMMAP_ACPI_NVS = 3,
	LIMINE_MEMMAP_BAD_MEMORY = 4,
	LIMINE_MEMMAP_BOOTLOADER_RECLAIMABLE = 5,
	LIMINE_MEMMAP_EXECUTABLE_AND_MODULES = 6,
	LIMINE_MEMMAP_FRAMEBUFFER = 7,
};

struct limine_memmap_entry {
	uint64_t base;
	uint64_t length;
	enum limine_memmap_type type;
};

/* Sorted by base. Usable and loader-reclaimable entries are page-aligned and overlap nothing. */
struct limine_memmap_response {
	uint64_t revision;
	uint64_t entry_count;
	struct limine_memmap_entry **entries;
};

/* Enter at `entry` instead of the ELF header's entry point. */
struct limine_entry_point_request {
	struct limine_request req;
	void (*entry)(void);
};

struct limine_entry_point_response {
	uint64_t revision;
};

struct limine_executable_file_response {
	uint64_t revision;
	struct limine_file *executable_file;
};

/* Modules that the kernel itself wants, beyond those of the loader's configuration: requests of
 * revision 1. */
struct limine_module_request {
	struct limine_request req;
	uint64_t internal_module_count;
	struct limine_internal_module **internal_modules;
};

struct limine_module_response {
	uint64_t revision;
	uint64_t module_count;
	struct limine_file **modules;
};

struct limine_rsdp_response {
	uint64_t revision;
	uint64_t address; /* physical in base revision 3, in the direct map in all others */
};

struct limine_efi_system_table_response {
	uint64_t revision;
	uint64_t address; /* physical in base revision 3 */
};

struct limine_executable_address_response {
	uint64_t revision;
	uint64_t physical_base;
	uint64_t virtual_base;
};

struct limine_boot_time_response {
	uint64_t revision;
	int64_t boot_time; /* seconds since 1970, UTC */
};

struct limine_dtb_response {
	uint64_t revision;
	void *dtb;
};

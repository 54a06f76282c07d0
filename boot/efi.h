// SPDX-License-Identifier: MIT
// The part of the UEFI specification that the loader uses: structures, types and identifiers.
#pragma once

/*
 * Functions have the platform's UEFI calling convention, which is the compiler's default for the
 * loader's target. Members that the loader never calls are untyped: only their place in the table
 * matters.
 */

#include <stddef.h>
#include <stdint.h>

typedef uint64_t efi_status; /* 0, or an error with the top bit set */
typedef void *efi_handle;
typedef uint16_t efi_char; /* UCS-2, as u'x' and u"x" have it */
typedef void (*efi_unused)(void);

constexpr efi_status EFI_SUCCESS = 0;
constexpr efi_status EFI_ERROR_BIT = 1ull << 63;
constexpr efi_status EFI_LOAD_ERROR = EFI_ERROR_BIT | 1;
constexpr efi_status EFI_BUFFER_TOO_SMALL = EFI_ERROR_BIT | 5;
constexpr efi_status EFI_NOT_FOUND = EFI_ERROR_BIT | 14;

constexpr uint64_t EFI_PAGE_SIZE = 4096;

struct efi_guid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};

#define EFI_LOADED_IMAGE_GUID \
	{0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_SIMPLE_FILE_SYSTEM_GUID \
	{0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_FILE_INFO_GUID \
	{0x09576e92, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}}
#define EFI_GRAPHICS_OUTPUT_GUID \
	{0x9042a9de, 0x23dc, 0x4a38, {0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a}}
#define EFI_ACPI_20_TABLE_GUID \
	{0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}}
#define EFI_ACPI_10_TABLE_GUID \
	{0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}}
#define EFI_DEVICE_TREE_GUID \
	{0xb1b621d5, 0xf19c, 0x41a5, {0x83, 0x0b, 0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0}}

struct efi_table_header {
	uint64_t signature;
	uint32_t revision;
	uint32_t header_size;
	uint32_t crc32;
	uint32_t reserved;
};

/* UEFI 2.10, 12.4: simple text output. */
struct efi_text_output {
	efi_unused reset;
	efi_status (*output_string)(struct efi_text_output *self, const efi_char *text);
};

/* UEFI 2.10, 7.2: memory. */
enum efi_memory_type : uint32_t {
	EFI_RESERVED_MEMORY,
	EFI_LOADER_CODE,
	EFI_LOADER_DATA,
	EFI_BOOT_SERVICES_CODE,
	EFI_BOOT_SERVICES_DATA,
	EFI_RUNTIME_SERVICES_CODE,
	EFI_RUNTIME_SERVICES_DATA,
	EFI_CONVENTIONAL_MEMORY,
	EFI_UNUSABLE_MEMORY,
	EFI_ACPI_RECLAIM_MEMORY,
	EFI_ACPI_MEMORY_NVS,
};

enum efi_allocate_type : uint32_t {
	EFI_ALLOCATE_ANY_PAGES,
};

constexpr uint64_t EFI_MEMORY_WB = 1 << 3; /* attribute: can be cached write-back */

/* The map's stride is what get_memory_map says, not the size of this structure. */
struct efi_memory_descriptor {
	enum efi_memory_type type;
	uint64_t physical_start;
	uint64_t virtual_start;
	uint64_t number_of_pages;
	uint64_t attribute;
};
static_assert(sizeof(struct efi_memory_descriptor) == 40);

struct efi_boot_services {
	struct efi_table_header hdr;
	efi_unused raise_tpl, restore_tpl;
	efi_status (*allocate_pages)(enum efi_allocate_type how, enum efi_memory_type type,
				     uint64_t pages, uint64_t *address);
	efi_status (*free_pages)(uint64_t address, uint64_t pages);
	efi_status (*get_memory_map)(uint64_t *size, void *map, uint64_t *key, uint64_t *stride,
				     uint32_t *version);
	efi_unused allocate_pool, free_pool;
	efi_unused create_event, set_timer, wait_for_event, signal_event, close_event, check_event;
	efi_unused install_interface, reinstall_interface, uninstall_interface;
	efi_status (*handle_protocol)(efi_handle handle, const struct efi_guid *guid, void **out);
	efi_unused reserved, register_notify, locate_handle, locate_device_path;
	efi_unused install_configuration_table;
	efi_unused load_image, start_image, exit, unload_image;
	efi_status (*exit_boot_services)(efi_handle image, uint64_t key);
	efi_unused get_monotonic_count;
	efi_status (*stall)(uint64_t microseconds);
	efi_status (*set_watchdog_timer)(uint64_t seconds, uint64_t code, uint64_t data_size,
					 const efi_char *data);
	efi_unused connect_controller, disconnect_controller;
	efi_unused open_protocol, close_protocol, open_protocol_information;
	efi_unused protocols_per_handle, locate_handle_buffer;
	efi_status (*locate_protocol)(const struct efi_guid *guid, void *registration, void **out);
};
static_assert(offsetof(struct efi_boot_services, exit_boot_services) == 232);
static_assert(offsetof(struct efi_boot_services, locate_protocol) == 320);

/* UEFI 2.10, 8.3: time. */
constexpr int16_t EFI_UNSPECIFIED_TIMEZONE = 0x7ff;

struct efi_time {
	uint16_t year;
	uint8_t month, day, hour, minute, second, pad1;
	uint32_t nanosecond;
	int16_t time_zone; /* minutes: UTC = this time + time_zone */
	uint8_t daylight, pad2;
};
static_assert(sizeof(struct efi_time) == 16);

struct efi_runtime_services {
	struct efi_table_header hdr;
	efi_status (*get_time)(struct efi_time *time, void *capabilities);
};

struct efi_configuration_table {
	struct efi_guid guid;
	void *table;
};

struct efi_system_table {
	struct efi_table_header hdr;
	efi_char *vendor;
	uint32_t revision;
	efi_handle console_in_handle;
	void *con_in;
	efi_handle console_out_handle;
	struct efi_text_output *con_out;
	efi_handle standard_error_handle;
	void *std_err;
	struct efi_runtime_services *runtime;
	struct efi_boot_services *boot;
	uint64_t table_count;
	struct efi_configuration_table *tables;
};
static_assert(offsetof(struct efi_system_table, boot) == 96);

/* UEFI 2.10, 9.1. */
struct efi_loaded_image {
	uint32_t revision;
	efi_handle parent;
	struct efi_system_table *system_table;
	efi_handle device; /* the volume from which the image was read */
};

/* UEFI 2.10, 13.4 and 13.5. */
struct efi_file {
	uint64_t revision;
	efi_status (*open)(struct efi_file *self, struct efi_file **out, const efi_char *path,
			   uint64_t mode, uint64_t attributes);
	efi_status (*close)(struct efi_file *self);
	efi_unused delete;
	efi_status (*read)(struct efi_file *self, uint64_t *size, void *buffer);
	efi_unused write, get_position, set_position;
	efi_status (*get_info)(struct efi_file *self, const struct efi_guid *type, uint64_t *size,
			       void *buffer);
};

constexpr uint64_t EFI_FILE_MODE_READ = 1;
constexpr uint64_t EFI_FILE_DIRECTORY = 0x10;

struct efi_file_info {
	uint64_t size;
	uint64_t file_size;
	uint64_t physical_size;
	uint64_t times[6]; /* three of 16 bytes */
	uint64_t attribute;
	efi_char name[];
};
static_assert(offsetof(struct efi_file_info, name) == 80);

struct efi_simple_file_system {
	uint64_t revision;
	efi_status (*open_volume)(struct efi_simple_file_system *self, struct efi_file **root);
};

/* UEFI 2.10, 12.9. */
enum efi_pixel_format : uint32_t {
	EFI_PIXEL_RGB,
	EFI_PIXEL_BGR,
	EFI_PIXEL_BIT_MASK,
	EFI_PIXEL_BLT_ONLY,
};

struct efi_graphics_info {
	uint32_t version;
	uint32_t width, height;
	enum efi_pixel_format format;
	uint32_t red_mask, green_mask, blue_mask, reserved_mask;
	uint32_t pixels_per_line;
};

struct efi_graphics_mode {
	uint32_t max_mode;
	uint32_t mode;
	struct efi_graphics_info *info;
	uint64_t info_size;
	uint64_t base;
	uint64_t size;
};

struct efi_graphics_output {
	efi_unused query_mode, set_mode, blt;
	struct efi_graphics_mode *mode;
};

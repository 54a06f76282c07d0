// SPDX-License-Identifier: MIT
// acpi.h: the ACPI tables that a kernel reads at boot: layouts and bounded walks.
//
// Pure functions over bytes that the caller has mapped; nothing here follows a physical address.
// Fields are packed: read them by member access, which the compiler makes safe for any alignment.
#pragma once

#include "base/types.h"

// ACPI 6.5, 5.2.5.3
struct acpi_rsdp {
	char signature[8]; // "RSD PTR "
	u8 checksum;	   // over the first 20 bytes
	char oem_id[6];
	u8 revision; // 0: ACPI 1.0, and the fields from length on do not exist
	u32 rsdt_addr;
	u32 length;
	u64 xsdt_addr;
	u8 ext_checksum; // over length bytes
	u8 reserved[3];
} __packed;
static_assert(sizeof(struct acpi_rsdp) == 36);
#define ACPI_RSDP_V1_LEN 20

// ACPI 6.5, 5.2.6: the head of every other table.
struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	u32 creator_id;
	u32 creator_revision;
} __packed;
static_assert(sizeof(struct acpi_header) == 36);

// ACPI 6.5, 5.2.3.2: generic address.
struct acpi_gas {
	u8 space;
	u8 bit_width;
	u8 bit_offset;
	u8 access_size;
	u64 address;
} __packed;
static_assert(sizeof(struct acpi_gas) == 12);
enum acpi_space : u8 { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

// ACPI 6.5, 5.2.12
struct acpi_madt {
	struct acpi_header header; // "APIC"
	u32 lapic_addr;
	u32 flags; // bit 0: there is a pair of 8259s
} __packed;
static_assert(sizeof(struct acpi_madt) == 44);

enum acpi_madt_type : u8 {
	ACPI_MADT_LAPIC = 0,
	ACPI_MADT_IOAPIC = 1,
	ACPI_MADT_OVERRIDE = 2,
	ACPI_MADT_NMI_SOURCE = 3,
	ACPI_MADT_LAPIC_NMI = 4,
	ACPI_MADT_LAPIC_ADDR = 5,
	ACPI_MADT_X2APIC = 9,
	ACPI_MADT_X2APIC_NMI = 10,
	ACPI_MADT_GICC = 11,
	ACPI_MADT_GICD = 12,
	ACPI_MADT_GIC_MSI = 13,
	ACPI_MADT_GICR = 14,
	ACPI_MADT_GIC_ITS = 15,
};

// Flags of processor entries.
#define ACPI_MADT_ENABLED	 1u
#define ACPI_MADT_ONLINE_CAPABLE 2u

struct acpi_madt_entry {
	u8 type;
	u8 length;
} __packed;

struct acpi_madt_lapic {
	struct acpi_madt_entry head;
	u8 processor_uid;
	u8 apic_id;
	u32 flags;
} __packed;
static_assert(sizeof(struct acpi_madt_lapic) == 8);

struct acpi_madt_ioapic {
	struct acpi_madt_entry head;
	u8 ioapic_id;
	u8 reserved;
	u32 addr;
	u32 gsi_base;
} __packed;
static_assert(sizeof(struct acpi_madt_ioapic) == 12);

struct acpi_madt_override {
	struct acpi_madt_entry head;
	u8 bus; // 0: ISA
	u8 source;
	u32 gsi;
	u16 flags; // bits 0-1 polarity, 2-3 trigger: 0 as the bus, 1 high/edge, 3 low/level
} __packed;
static_assert(sizeof(struct acpi_madt_override) == 10);

struct acpi_madt_lapic_nmi {
	struct acpi_madt_entry head;
	u8 processor_uid; // 0xff: all
	u16 flags;
	u8 lint;
} __packed;
static_assert(sizeof(struct acpi_madt_lapic_nmi) == 6);

struct acpi_madt_lapic_addr {
	struct acpi_madt_entry head;
	u16 reserved;
	u64 addr;
} __packed;
static_assert(sizeof(struct acpi_madt_lapic_addr) == 12);

struct acpi_madt_x2apic {
	struct acpi_madt_entry head;
	u16 reserved;
	u32 x2apic_id;
	u32 flags;
	u32 processor_uid;
} __packed;
static_assert(sizeof(struct acpi_madt_x2apic) == 16);

struct acpi_madt_gicc {
	struct acpi_madt_entry head;
	u16 reserved;
	u32 cpu_interface;
	u32 processor_uid;
	u32 flags;
	u32 parking_version;
	u32 perf_gsi;
	u64 parked_addr;
	u64 gicc_addr;
	u64 gicv_addr;
	u64 gich_addr;
	u32 vgic_gsi;
	u64 gicr_addr;
	u64 mpidr;
	u8 efficiency_class;
	u8 reserved2;
	u16 spe_gsi;
} __packed;
static_assert(sizeof(struct acpi_madt_gicc) == 80);

struct acpi_madt_gicd {
	struct acpi_madt_entry head;
	u16 reserved;
	u32 gic_id;
	u64 addr;
	u32 vector_base;
	u8 version;
	u8 reserved2[3];
} __packed;
static_assert(sizeof(struct acpi_madt_gicd) == 24);

struct acpi_madt_gicr {
	struct acpi_madt_entry head;
	u16 reserved;
	u64 addr;
	u32 length;
} __packed;
static_assert(sizeof(struct acpi_madt_gicr) == 16);

// GICv2m
struct acpi_madt_gic_msi {
	struct acpi_madt_entry head;
	u16 reserved;
	u32 frame_id;
	u64 addr;
	u32 flags; // bit 0: the next two count, not what the frame's register says
	u16 spi_count;
	u16 spi_base;
} __packed;
static_assert(sizeof(struct acpi_madt_gic_msi) == 24);

struct acpi_madt_gic_its {
	struct acpi_madt_entry head;
	u16 reserved;
	u32 its_id;
	u64 addr;
	u32 reserved2;
} __packed;
static_assert(sizeof(struct acpi_madt_gic_its) == 20);

// ACPI 6.5, 5.2.25
struct acpi_gtdt {
	struct acpi_header header; // "GTDT"
	u64 counter_addr;
	u32 reserved;
	u32 secure_gsi;
	u32 secure_flags; // bit 0: edge, bit 1: active low, bit 2: always on
	u32 nonsecure_gsi;
	u32 nonsecure_flags;
	u32 virtual_gsi;
	u32 virtual_flags;
	u32 hypervisor_gsi;
	u32 hypervisor_flags;
} __packed;
static_assert(sizeof(struct acpi_gtdt) == 80);
#define ACPI_GTDT_EDGE 1u

// PCI Firmware Specification 3.3, 4.1.2
struct acpi_mcfg {
	struct acpi_header header; // "MCFG"
	u64 reserved;
} __packed;
static_assert(sizeof(struct acpi_mcfg) == 44);

struct acpi_mcfg_alloc {
	u64 base_addr; // of bus 0's configuration space
	u16 segment;
	u8 bus_start;
	u8 bus_end;
	u32 reserved;
} __packed;
static_assert(sizeof(struct acpi_mcfg_alloc) == 16);

// IA-PC HPET 1.0a, 3.2.4
struct acpi_hpet {
	struct acpi_header header; // "HPET"
	u32 block_id;
	struct acpi_gas base;
	u8 number;
	u16 min_tick;
	u8 page_protection;
} __packed;
static_assert(sizeof(struct acpi_hpet) == 56);

// ACPI 6.5, 5.2.9: older revisions are shorter; check with acpi_has.
struct acpi_fadt {
	struct acpi_header header; // "FACP"
	u32 firmware_ctrl;
	u32 dsdt;
	u8 reserved;
	u8 preferred_profile;
	u16 sci_int;
	u32 smi_cmd;
	u8 acpi_enable;
	u8 acpi_disable;
	u8 s4bios_req;
	u8 pstate_cnt;
	u32 pm1a_evt_blk;
	u32 pm1b_evt_blk;
	u32 pm1a_cnt_blk;
	u32 pm1b_cnt_blk;
	u32 pm2_cnt_blk;
	u32 pm_tmr_blk;
	u32 gpe0_blk;
	u32 gpe1_blk;
	u8 pm1_evt_len;
	u8 pm1_cnt_len;
	u8 pm2_cnt_len;
	u8 pm_tmr_len;
	u8 gpe0_blk_len;
	u8 gpe1_blk_len;
	u8 gpe1_base;
	u8 cst_cnt;
	u16 p_lvl2_lat;
	u16 p_lvl3_lat;
	u16 flush_size;
	u16 flush_stride;
	u8 duty_offset;
	u8 duty_width;
	u8 day_alarm;
	u8 month_alarm;
	u8 century;
	u16 iapc_boot_arch;
	u8 reserved2;
	u32 flags;
	struct acpi_gas reset_reg;
	u8 reset_value;
	u16 arm_boot_arch; // bit 0: PSCI, bit 1: PSCI by HVC
	u8 minor_revision;
	u64 x_firmware_ctrl;
	u64 x_dsdt;
	struct acpi_gas x_pm1a_evt_blk;
	struct acpi_gas x_pm1b_evt_blk;
	struct acpi_gas x_pm1a_cnt_blk;
	struct acpi_gas x_pm1b_cnt_blk;
	struct acpi_gas x_pm2_cnt_blk;
	struct acpi_gas x_pm_tmr_blk;
	struct acpi_gas x_gpe0_blk;
	struct acpi_gas x_gpe1_blk;
	struct acpi_gas sleep_control_reg;
	struct acpi_gas sleep_status_reg;
	u64 hypervisor_id;
} __packed;
static_assert(sizeof(struct acpi_fadt) == 276);
#define ACPI_FADT_RESET_SUPPORTED BIT(10)
#define ACPI_FADT_HW_REDUCED	  BIT(20)
#define ACPI_FADT_ARM_PSCI	  1u // arm_boot_arch
#define ACPI_FADT_ARM_PSCI_HVC	  2u

// Microsoft's Serial Port Console Redirection table, revision 2.
struct acpi_spcr {
	struct acpi_header header; // "SPCR"
	u8 interface_type;
	u8 reserved[3];
	struct acpi_gas base;
	u8 interrupt_type;
	u8 irq;
	u32 gsi;
	u8 baud;
	u8 parity;
	u8 stop_bits;
	u8 flow_control;
	u8 terminal_type;
	u8 language;
	u16 pci_device;
	u16 pci_vendor;
	u8 pci_bus;
	u8 pci_slot;
	u8 pci_function;
	u32 pci_flags;
	u8 pci_segment;
	u32 uart_clock_hz;
} __packed;
static_assert(sizeof(struct acpi_spcr) == 80);
enum {
	ACPI_SPCR_16550 = 0,
	ACPI_SPCR_16450 = 1,
	ACPI_SPCR_PL011 = 3,
	ACPI_SPCR_SBSA_32 = 0xd,
	ACPI_SPCR_SBSA = 0xe,
	ACPI_SPCR_16550_GAS = 0x12
};
#define ACPI_SPCR_IRQ_GIC BIT(3) // of interrupt_type

// Whether the bytes sum to 0.
bool acpi_checksum_ok(const void *bytes, size_t len);

// Whether `len` bytes hold a valid RSDP (signature, both checksums as its revision demands).
bool acpi_rsdp_ok(const void *bytes, size_t len);

// Searches a range (the BIOS area, EBDA) for one at 16-byte steps; its offset, or -ENOENT.
ssize_t acpi_rsdp_scan(const void *bytes, size_t len);

// Checks a table within `len` mapped bytes: signature (4 characters, nullptr for any), length at
// least min_len and within len, checksum. Returns the table, or nullptr.
const struct acpi_header *acpi_table_check(const void *bytes, size_t len, const char *signature,
					   size_t min_len);

// Number of table addresses in an RSDT or XSDT (checked by acpi_table_check), and the i-th of them.
size_t acpi_root_count(const struct acpi_header *root);
u64 acpi_root_entry(const struct acpi_header *root, size_t i);

// Whether the table is long enough to have the field.
#define acpi_has(table, field) \
	((table)->header.length >= offsetof(typeof(*(table)), field) + sizeof((table)->field))

// Walks the entries of a MADT (checked by acpi_table_check with sizeof(struct acpi_madt)). Start
// with *pos = 0; nullptr at the end or at the first malformed entry. An entry of a known type is at
// least as long as its struct (shorter ones are skipped); a GICC may be of the 76-byte ACPI 5.1
// form.
const struct acpi_madt_entry *acpi_madt_next(const struct acpi_madt *madt, size_t *pos);

// Number of allocations in an MCFG (checked), and the i-th.
size_t acpi_mcfg_count(const struct acpi_mcfg *mcfg);
const struct acpi_mcfg_alloc *acpi_mcfg_entry(const struct acpi_mcfg *mcfg, size_t i);

// Finds the object `\_S5_` in a DSDT or SSDT by its bytes, without an interpreter: the sleep types
// to write into PM1a/PM1b control for power off. 0 or -ENOENT.
[[nodiscard]] int acpi_find_s5(const struct acpi_header *dsdt, u8 *slp_typ_a, u8 *slp_typ_b);

// SPDX-License-Identifier: MIT
// acpi_test.c: tests of acpi.c on tables built here.
#include "base/acpi.h"
#include "base/errno.h"
#include "base/ktest.h"
#include "base/string.h"

static u8 sum_of(const void *bytes, size_t len)
{
	const u8 *p = bytes;
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return sum;
}

// Fills in signature, length and checksum.
static void seal(struct acpi_header *h, const char *signature, size_t len)
{
	memcpy(h->signature, signature, 4);
	h->length = (u32)len;
	h->checksum = 0;
	h->checksum = (u8)-sum_of(h, len);
}

static struct acpi_rsdp make_rsdp(u8 revision)
{
	struct acpi_rsdp r = {.revision = revision, .rsdt_addr = 0x1000, .length = sizeof(r)};

	memcpy(r.signature, "RSD PTR ", 8);
	r.checksum = (u8)-sum_of(&r, ACPI_RSDP_V1_LEN);
	r.ext_checksum = (u8)-sum_of(&r, sizeof(r));
	return r;
}

KTEST(acpi, rsdp)
{
	struct acpi_rsdp old = make_rsdp(0), new = make_rsdp(2);
	static u8 area[256];

	EXPECT_TRUE(acpi_rsdp_ok(&old, ACPI_RSDP_V1_LEN));
	EXPECT_FALSE(acpi_rsdp_ok(&old, ACPI_RSDP_V1_LEN - 1));
	EXPECT_TRUE(acpi_rsdp_ok(&new, sizeof(new)));
	EXPECT_FALSE(acpi_rsdp_ok(&new, ACPI_RSDP_V1_LEN));
	new.xsdt_addr = 1; // beyond the first checksum
	EXPECT_FALSE(acpi_rsdp_ok(&new, sizeof(new)));
	old.oem_id[0] = 1;
	EXPECT_FALSE(acpi_rsdp_ok(&old, ACPI_RSDP_V1_LEN));
	old = make_rsdp(0);
	EXPECT_EQ(acpi_rsdp_scan(area, sizeof(area)), -ENOENT);
	memcpy(area + 113, &old, ACPI_RSDP_V1_LEN);
	EXPECT_EQ(acpi_rsdp_scan(area, sizeof(area)), -ENOENT);
	memcpy(area + 160, &old, ACPI_RSDP_V1_LEN);
	EXPECT_EQ(acpi_rsdp_scan(area, sizeof(area)), 160);
}

KTEST(acpi, table_checks)
{
	struct {
		struct acpi_header header;
		u8 body[4];
	} __packed t = {.body = {1, 2, 3, 4}};

	seal(&t.header, "TEST", sizeof(t));
	EXPECT_NOT_NULL(acpi_table_check(&t, sizeof(t), "TEST", 0));
	EXPECT_NOT_NULL(acpi_table_check(&t, sizeof(t), nullptr, sizeof(t)));
	EXPECT_NULL(acpi_table_check(&t, sizeof(t), "APIC", 0));
	EXPECT_NULL(acpi_table_check(&t, sizeof(t), "TEST", sizeof(t) + 1));
	EXPECT_NULL(acpi_table_check(&t, sizeof(t) - 1, "TEST", 0));
	EXPECT_NULL(acpi_table_check(&t, 20, "TEST", 0));
	t.body[0] = 9;
	EXPECT_NULL(acpi_table_check(&t, sizeof(t), "TEST", 0));
	seal(&t.header, "TEST", 30); // shorter than its own header
	EXPECT_NULL(acpi_table_check(&t, sizeof(t), "TEST", 0));
}

KTEST(acpi, roots)
{
	struct {
		struct acpi_header header;
		u32 entries[3];
	} __packed rsdt = {.entries = {0x1000, 0x2000, 0xfffff000}};
	struct {
		struct acpi_header header;
		u64 entries[2];
	} __packed xsdt = {.entries = {0x1234567890, 0x2000}};

	seal(&rsdt.header, "RSDT", sizeof(rsdt));
	seal(&xsdt.header, "XSDT", sizeof(xsdt));
	EXPECT_EQ(acpi_root_count(&rsdt.header), 3);
	EXPECT_EQ(acpi_root_entry(&rsdt.header, 2), 0xfffff000);
	EXPECT_EQ(acpi_root_count(&xsdt.header), 2);
	EXPECT_EQ(acpi_root_entry(&xsdt.header, 0), 0x1234567890);
}

struct madt {
	struct acpi_madt table;
	u8 entries[80];
} __packed;

static struct madt make_madt(const u8 *entries, size_t len)
{
	struct madt m = {};

	memcpy(m.entries, entries, len);
	seal(&m.table.header, "APIC", sizeof(m.table) + len);
	return m;
}

KTEST(acpi, madt)
{
	static const u8 entries[] = {
		0,  8,	0, 3, 1, 0, 0,	  0,		     // CPU with APIC ID 3
		1,  12, 2, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0, // I/O APIC at GSI 24
		0,  4,	9, 9,				     // too short for a CPU: skipped
		99, 6,	1, 2, 3, 4,			     // unknown
		2,  10, 0, 9, 9, 0, 0,	  0,	15, 0,	     // IRQ 9 is low, level
	};
	struct madt m = make_madt(entries, sizeof(entries));
	size_t pos = 0;
	const struct acpi_madt_entry *e;

	ASSERT_NOT_NULL(acpi_table_check(&m, sizeof(m), "APIC", sizeof(struct acpi_madt)));
	e = acpi_madt_next(&m.table, &pos);
	ASSERT_NOT_NULL(e);
	ASSERT_EQ(e->type, ACPI_MADT_LAPIC);
	EXPECT_EQ(((const struct acpi_madt_lapic *)e)->apic_id, 3);
	e = acpi_madt_next(&m.table, &pos);
	ASSERT_NOT_NULL(e);
	ASSERT_EQ(e->type, ACPI_MADT_IOAPIC);
	EXPECT_EQ(((const struct acpi_madt_ioapic *)e)->addr, 0xfec00000);
	EXPECT_EQ(((const struct acpi_madt_ioapic *)e)->gsi_base, 24);
	e = acpi_madt_next(&m.table, &pos);
	ASSERT_NOT_NULL(e);
	EXPECT_EQ(e->type, 99);
	e = acpi_madt_next(&m.table, &pos);
	ASSERT_NOT_NULL(e);
	EXPECT_EQ(((const struct acpi_madt_override *)e)->flags, 15);
	EXPECT_NULL(acpi_madt_next(&m.table, &pos));
}

KTEST(acpi, madt_of_arm)
{
	static const u8 entries[] = {
		15, 20, 0,  0, 7, 0, 0, 0, 0, 0, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, // ITS 7
		15, 19, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    // too short: skipped
		13, 24, 0,  0, 0, 0, 0, 0, 0, 0, 2, 8, 0, 0, 0, 0, 1, 0, 0, 0,
		64, 0,	80, 0, // 64 SPIs from 80 on
	};
	struct madt m = make_madt(entries, sizeof(entries));
	size_t pos = 0;
	const struct acpi_madt_entry *e = acpi_madt_next(&m.table, &pos);

	ASSERT_NOT_NULL(e);
	ASSERT_EQ(e->type, ACPI_MADT_GIC_ITS);
	EXPECT_EQ(((const struct acpi_madt_gic_its *)e)->its_id, 7);
	EXPECT_EQ(((const struct acpi_madt_gic_its *)e)->addr, 0x8080000);
	e = acpi_madt_next(&m.table, &pos);
	ASSERT_NOT_NULL(e);
	ASSERT_EQ(e->type, ACPI_MADT_GIC_MSI);
	EXPECT_EQ(((const struct acpi_madt_gic_msi *)e)->addr, 0x8020000);
	EXPECT_EQ(((const struct acpi_madt_gic_msi *)e)->spi_count, 64);
	EXPECT_EQ(((const struct acpi_madt_gic_msi *)e)->spi_base, 80);
	EXPECT_NULL(acpi_madt_next(&m.table, &pos));
}

KTEST(acpi, malformed_madt)
{
	static const u8 zero_length[] = {0, 0, 0, 0, 0, 0, 0, 0};
	static const u8 too_long[] = {0, 9, 0, 0, 0, 0, 0, 0};
	struct madt m = make_madt(zero_length, sizeof(zero_length));
	size_t pos = 0;

	EXPECT_NULL(acpi_madt_next(&m.table, &pos));
	m = make_madt(too_long, sizeof(too_long));
	pos = 0;
	EXPECT_NULL(acpi_madt_next(&m.table, &pos));
	m = make_madt(too_long, 1);
	pos = 0;
	EXPECT_NULL(acpi_madt_next(&m.table, &pos));
}

KTEST(acpi, mcfg)
{
	struct {
		struct acpi_mcfg table;
		struct acpi_mcfg_alloc allocs[2];
		u8 rest[5]; // less than another one
	} __packed m = {.allocs = {{0xb0000000, 0, 0, 255, 0}, {0xc0000000, 1, 16, 31, 0}}};

	seal(&m.table.header, "MCFG", sizeof(m));
	ASSERT_EQ(acpi_mcfg_count(&m.table), 2);
	EXPECT_EQ(acpi_mcfg_entry(&m.table, 0)->base_addr, 0xb0000000);
	EXPECT_EQ(acpi_mcfg_entry(&m.table, 1)->segment, 1);
	EXPECT_EQ(acpi_mcfg_entry(&m.table, 1)->bus_end, 31);
}

KTEST(acpi, short_tables_lack_fields)
{
	struct acpi_fadt fadt = {};

	seal(&fadt.header, "FACP", 116);
	EXPECT_TRUE(acpi_has(&fadt, flags));
	EXPECT_FALSE(acpi_has(&fadt, reset_reg));
	seal(&fadt.header, "FACP", sizeof(fadt));
	EXPECT_TRUE(acpi_has(&fadt, hypervisor_id));
	static_assert(offsetof(struct acpi_fadt, reset_reg) == 116);
	static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140);
	static_assert(offsetof(struct acpi_fadt, sleep_control_reg) == 244);
}

static int find_s5(const char *aml, size_t len, u8 *a, u8 *b)
{
	struct {
		struct acpi_header header;
		u8 aml[64];
	} __packed t = {};

	memcpy(t.aml, aml, len);
	seal(&t.header, "DSDT", sizeof(t.header) + len);
	return acpi_find_s5(&t.header, a, b);
}

#define FIND_S5(aml) find_s5(aml, sizeof(aml) - 1, &a, &b)

KTEST(acpi, sleep_type_for_power_off)
{
	u8 a = 99, b = 99;

	// As QEMU's: Name (\_S5, Package (0x04) { Zero, Zero, Zero, Zero })
	EXPECT_EQ(FIND_S5("xx\x08_S5_\x12\x06\x04\x00\x00\x00\x00"), 0);
	EXPECT_EQ(a, 0);
	EXPECT_EQ(b, 0);
	EXPECT_EQ(FIND_S5("\x08\\_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00"), 0);
	EXPECT_EQ(a, 5);
	EXPECT_EQ(b, 6);
	// A reference to the name in other code is not its definition.
	EXPECT_EQ(FIND_S5("xx_S5_\x12\x06\x04\x01\x01\x00\x00"), -ENOENT);
	EXPECT_EQ(FIND_S5("\x08_S5_\x12"), -ENOENT);
	EXPECT_EQ(FIND_S5("\x08_S5_\x12\x06\x04\x0a"), -ENOENT);
	EXPECT_EQ(FIND_S5("\x08_S5_\x12\x06\x04\x0a\xff\x00\x00\x00"), -ENOENT);
	EXPECT_EQ(FIND_S5(""), -ENOENT);
	EXPECT_EQ(a, 5);
}

// SPDX-License-Identifier: MIT
// acpi.c: checks and walks of ACPI tables.
#include "base/acpi.h"

#include "base/bytes.h"
#include "base/errno.h"
#include "base/string.h"

bool acpi_checksum_ok(const void *bytes, size_t len)
{
	const u8 *p = bytes;
	u8 sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (u8)(sum + p[i]);
	return sum == 0;
}

bool acpi_rsdp_ok(const void *bytes, size_t len)
{
	const struct acpi_rsdp *rsdp = bytes;

	if (len < ACPI_RSDP_V1_LEN || memcmp(rsdp->signature, "RSD PTR ", 8) != 0 ||
	    !acpi_checksum_ok(rsdp, ACPI_RSDP_V1_LEN))
		return false;
	if (rsdp->revision == 0)
		return true;
	return len >= sizeof(*rsdp) && rsdp->length >= sizeof(*rsdp) && rsdp->length <= len &&
	       acpi_checksum_ok(rsdp, rsdp->length);
}

ssize_t acpi_rsdp_scan(const void *bytes, size_t len)
{
	for (size_t at = 0; at < len; at += 16)
		if (acpi_rsdp_ok((const u8 *)bytes + at, len - at))
			return (ssize_t)at;
	return -ENOENT;
}

const struct acpi_header *acpi_table_check(const void *bytes, size_t len, const char *signature,
					   size_t min_len)
{
	const struct acpi_header *header = bytes;

	if (len < sizeof(*header) || header->length < max(min_len, sizeof(*header)) ||
	    header->length > len)
		return nullptr;
	if (signature && memcmp(header->signature, signature, sizeof(header->signature)) != 0)
		return nullptr;
	return acpi_checksum_ok(header, header->length) ? header : nullptr;
}

// An XSDT has 64-bit entries, an RSDT 32-bit ones.
static size_t root_entry_size(const struct acpi_header *root)
{
	return root->signature[0] == 'X' ? 8 : 4;
}

size_t acpi_root_count(const struct acpi_header *root)
{
	return (root->length - sizeof(*root)) / root_entry_size(root);
}

u64 acpi_root_entry(const struct acpi_header *root, size_t i)
{
	const u8 *entry = (const u8 *)(root + 1) + i * root_entry_size(root);

	return root_entry_size(root) == 8 ? load_le64(entry) : load_le32(entry);
}

// The least length of an entry that we hand out as its struct.
static size_t madt_min_length(u8 type)
{
	switch (type) {
	case ACPI_MADT_LAPIC:
		return sizeof(struct acpi_madt_lapic);
	case ACPI_MADT_IOAPIC:
		return sizeof(struct acpi_madt_ioapic);
	case ACPI_MADT_OVERRIDE:
		return sizeof(struct acpi_madt_override);
	case ACPI_MADT_LAPIC_NMI:
		return sizeof(struct acpi_madt_lapic_nmi);
	case ACPI_MADT_LAPIC_ADDR:
		return sizeof(struct acpi_madt_lapic_addr);
	case ACPI_MADT_X2APIC:
		return sizeof(struct acpi_madt_x2apic);
	case ACPI_MADT_GICC:
		return offsetof(struct acpi_madt_gicc, efficiency_class);
	case ACPI_MADT_GICD:
		return sizeof(struct acpi_madt_gicd);
	case ACPI_MADT_GIC_MSI:
		return sizeof(struct acpi_madt_gic_msi);
	case ACPI_MADT_GIC_ITS:
		return sizeof(struct acpi_madt_gic_its);
	case ACPI_MADT_GICR:
		return sizeof(struct acpi_madt_gicr);
	default:
		return sizeof(struct acpi_madt_entry);
	}
}

const struct acpi_madt_entry *acpi_madt_next(const struct acpi_madt *madt, size_t *pos)
{
	const u8 *entries = (const u8 *)(madt + 1);
	size_t len = madt->header.length - sizeof(*madt);

	while (*pos + sizeof(struct acpi_madt_entry) <= len) {
		const struct acpi_madt_entry *entry = (const void *)(entries + *pos);

		if (entry->length < sizeof(*entry) || entry->length > len - *pos)
			return nullptr;
		*pos += entry->length;
		if (entry->length >= madt_min_length(entry->type))
			return entry;
	}
	return nullptr;
}

size_t acpi_mcfg_count(const struct acpi_mcfg *mcfg)
{
	return (mcfg->header.length - sizeof(*mcfg)) / sizeof(struct acpi_mcfg_alloc);
}

const struct acpi_mcfg_alloc *acpi_mcfg_entry(const struct acpi_mcfg *mcfg, size_t i)
{
	return (const struct acpi_mcfg_alloc *)(mcfg + 1) + i;
}

// AML (ACPI 6.5, 20.2): the encodings that _S5_ is made of.
enum {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE_PREFIX = 0x0a,
	AML_WORD_PREFIX = 0x0b,
	AML_DWORD_PREFIX = 0x0c,
	AML_PACKAGE = 0x12,
};

// Reads an integer object at *pos. False when there is none within len.
static bool aml_integer(const u8 *aml, size_t len, size_t *pos, u32 *value)
{
	if (*pos >= len)
		return false;
	u8 prefix = aml[(*pos)++];
	size_t bytes;

	switch (prefix) {
	case AML_ZERO:
	case AML_ONE:
		*value = prefix;
		return true;
	case AML_BYTE_PREFIX:
		bytes = 1;
		break;
	case AML_WORD_PREFIX:
		bytes = 2;
		break;
	case AML_DWORD_PREFIX:
		bytes = 4;
		break;
	default:
		return false;
	}
	if (len - *pos < bytes)
		return false;
	*value = 0;
	for (size_t i = 0; i < bytes; i++)
		*value |= (u32)aml[(*pos)++] << (8 * i);
	return true;
}

// Parses `Package (n) { a, b, ...}` at pos.
static bool parse_s5_package(const u8 *aml, size_t len, size_t pos, u8 *a, u8 *b)
{
	u32 typ_a, typ_b;

	if (pos + 1 >= len || aml[pos] != AML_PACKAGE)
		return false;
	pos++;
	pos += 1 + (aml[pos] >> 6); // PkgLength: its lead byte says how many follow
	if (pos >= len || aml[pos] < 2)
		return false;
	pos++; // NumElements
	if (!aml_integer(aml, len, &pos, &typ_a) || !aml_integer(aml, len, &pos, &typ_b))
		return false;
	if (typ_a > 7 || typ_b > 7)
		return false;
	*a = (u8)typ_a;
	*b = (u8)typ_b;
	return true;
}

int acpi_find_s5(const struct acpi_header *dsdt, u8 *slp_typ_a, u8 *slp_typ_b)
{
	const u8 *aml = (const u8 *)(dsdt + 1);
	size_t len = dsdt->length - sizeof(*dsdt);

	for (size_t i = 1; i + 4 < len; i++) {
		if (memcmp(aml + i, "_S5_", 4) != 0)
			continue;
		// NameOp, perhaps a root prefix, the name.
		bool named = aml[i - 1] == AML_NAME ||
			     (i >= 2 && aml[i - 1] == '\\' && aml[i - 2] == AML_NAME);

		if (named && parse_s5_package(aml, len, i + 4, slp_typ_a, slp_typ_b))
			return 0;
	}
	return -ENOENT;
}

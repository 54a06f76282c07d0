// SPDX-License-Identifier: MIT
// acpi.c: finds the ACPI tables and keeps them mapped. Privileged.
//
// Everything here is immutable after acpi_init(), which runs once on the boot CPU; the tables'
// bytes are checked by base/acpi.h before anybody sees them. Firmware that gives none, or bad ones,
// costs features, not the boot (acpi=off shows what is left).
#include "core/acpi.h"

#include "base/acpi.h"
#include "base/string.h"
#include "core/bootinfo.h"
#include "core/cmdline.h"
#include "core/log.h"
#include "core/page.h"
#include "core/slab.h"
#include <arch/cpu.h>
#include <arch/firmware.h>

constexpr u32 TABLES_MAX = 64;
constexpr u32 TABLE_LEN_MAX = 4 * MiB; // a DSDT of a big server is a few hundred KiB

static const struct acpi_header *tables[TABLES_MAX];
static u32 ntables;

const void *acpi_map(phys_t at, size_t len)
{
	const void *direct = phys_ptr(at);

	if (at.addr < DIRECT_MAP_SIZE && arch_kernel_range_readable((uintptr_t)direct, len))
		return direct;
	return (const void *)mmio_map(at, len);
}

// A table at a physical address, checked; nullptr when it is none.
static const struct acpi_header *table_map(u64 addr, const char *signature)
{
	const struct acpi_header *h = addr ? acpi_map(phys(addr), sizeof(*h)) : nullptr;

	if (!h || h->length < sizeof(*h) || h->length > TABLE_LEN_MAX)
		return nullptr;
	u32 len = h->length;

	h = acpi_map(phys(addr), len);
	return h ? acpi_table_check(h, len, signature, sizeof(*h)) : nullptr;
}

static void table_add(u64 addr, const char *signature)
{
	const struct acpi_header *h = table_map(addr, signature);

	if (!h) {
		log_warn("acpi: the table at %#llx is damaged and not used", addr);
		return;
	}
	if (ntables == TABLES_MAX) {
		log_warn("acpi: more than %u tables; the rest is not used", TABLES_MAX);
		return;
	}
	tables[ntables++] = h;
}

const void *acpi_table(const char signature[4], u32 nth, u32 *len)
{
	for (u32 i = 0; i < ntables; i++) {
		if (memcmp(tables[i]->signature, signature, 4) == 0 && nth-- == 0) {
			*len = tables[i]->length;
			return tables[i];
		}
	}
	*len = 0;
	return nullptr;
}

static const struct acpi_header *root_find(const struct acpi_rsdp *rsdp)
{
	const struct acpi_header *root = nullptr;

	if (rsdp->revision >= 2)
		root = table_map(rsdp->xsdt_addr, "XSDT");
	if (!root)
		root = table_map(rsdp->rsdt_addr, "RSDT");
	return root;
}

static const struct acpi_rsdp *rsdp_find(void)
{
	phys_t at = bootinfo.rsdp.addr ? bootinfo.rsdp : firmware_find_rsdp();
	const struct acpi_rsdp *rsdp = at.addr ? acpi_map(at, sizeof(*rsdp)) : nullptr;

	if (rsdp && acpi_rsdp_ok(rsdp, sizeof(*rsdp)))
		return rsdp;
	if (rsdp)
		log_warn("acpi: the RSDP at %#llx is damaged", at.addr);
	return nullptr;
}

void acpi_init(void)
{
	const char *option = cmdline_value("acpi");
	const struct acpi_rsdp *rsdp = option && strcmp(option, "off") == 0 ? nullptr : rsdp_find();
	const struct acpi_header *root = rsdp ? root_find(rsdp) : nullptr;

	if (!root) {
		log_notice("acpi: no tables"); // who misses them says what is missing
		return;
	}
	for (size_t i = 0; i < acpi_root_count(root); i++)
		table_add(acpi_root_entry(root, i), nullptr);

	// The DSDT hangs on the FADT; it is kept beside the others.
	u32 len;
	const struct acpi_fadt *fadt = acpi_table("FACP", 0, &len);

	if (fadt && acpi_has(fadt, dsdt)) {
		u64 dsdt = acpi_has(fadt, x_dsdt) && fadt->x_dsdt ? fadt->x_dsdt : fadt->dsdt;
		if (dsdt)
			table_add(dsdt, "DSDT");
	}
	log_info("acpi: %u tables by %.6s", ntables, root->oem_id);
}

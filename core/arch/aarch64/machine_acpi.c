// SPDX-License-Identifier: MIT
// machine_acpi.c: what ACPI's tables say of the machine. Privileged; boot CPU, after acpi_init().
//
// PCI is core/pci's business (MCFG); a real-time clock is described in AML only, which is not
// interpreted: the time is then the firmware's, or not known.
#include "base/acpi.h"
#include "core/acpi.h"
#include "core/arch/aarch64/gic.h"
#include "core/arch/aarch64/machine.h"
#include "core/log.h"
#include "core/page.h"

// ACPI says where things begin; how long they are is the architecture's.
constexpr u64 GICD_LEN = 64 * KiB, GICC_LEN = 8 * KiB, ITS_LEN = 128 * KiB, V2M_LEN = PAGE_SIZE,
	      PL011_LEN = PAGE_SIZE;

static void add_distributor(struct machine *m, const struct acpi_madt_gicd *d)
{
	m->gicd = (struct machine_range){d->addr, GICD_LEN};
	if (d->version)
		m->gic = d->version >= 3 ? GIC_V3 : GIC_V2;
}

static void add_cpu(struct machine *m, const struct acpi_madt_gicc *c)
{
	if (!(c->flags & ACPI_MADT_ENABLED))
		return;
	if (c->gicc_addr)
		m->gicc = (struct machine_range){c->gicc_addr, GICC_LEN};
	machine_cpu_add(m, c->mpidr, c->gicr_addr);
}

static void add_redistributors(struct machine *m, const struct acpi_madt_gicr *r)
{
	if (m->ngicrs < MACHINE_GICRS)
		m->gicrs[m->ngicrs++] = (struct machine_range){r->addr, r->length};
}

static void add_frame(struct machine *m, const struct acpi_madt_gic_msi *f)
{
	if (m->nv2ms == MACHINE_V2MS)
		return;
	m->v2m[m->nv2ms].registers = (struct machine_range){f->addr, V2M_LEN};
	if (f->flags & 1) {
		m->v2m[m->nv2ms].first = f->spi_base;
		m->v2m[m->nv2ms].n = f->spi_count;
	}
	m->nv2ms++;
}

static void add_its(struct machine *m, const struct acpi_madt_gic_its *i)
{
	if (m->nits < MACHINE_ITSES)
		m->its[m->nits++] = (struct machine_range){i->addr, ITS_LEN};
}

static void describe_controllers(struct machine *m, const struct acpi_madt *madt)
{
	const struct acpi_madt_entry *e;
	size_t pos = 0;

	while ((e = acpi_madt_next(madt, &pos))) {
		switch (e->type) {
		case ACPI_MADT_GICD:
			add_distributor(m, (const void *)e);
			break;
		case ACPI_MADT_GICC:
			add_cpu(m, (const void *)e);
			break;
		case ACPI_MADT_GICR:
			add_redistributors(m, (const void *)e);
			break;
		case ACPI_MADT_GIC_MSI:
			add_frame(m, (const void *)e);
			break;
		case ACPI_MADT_GIC_ITS:
			add_its(m, (const void *)e);
			break;
		default:
			break;
		}
	}
	// Old tables do not say which version it is.
	if (m->gicd.len && m->gic == GIC_NONE)
		m->gic = m->ngicrs || m->cpu_gicr[0] ? GIC_V3 : GIC_V2;
}

static void describe_timer(struct machine *m)
{
	u32 len;
	const struct acpi_gtdt *gtdt = acpi_table("GTDT", 0, &len);

	if (gtdt && acpi_has(gtdt, virtual_flags))
		m->timer = (struct machine_irq){gtdt->virtual_gsi,
						!(gtdt->virtual_flags & ACPI_GTDT_EDGE)};
}

static void describe_psci(struct machine *m)
{
	u32 len;
	const struct acpi_fadt *fadt = acpi_table("FACP", 0, &len);

	if (!fadt || !acpi_has(fadt, arm_boot_arch) || !(fadt->arm_boot_arch & ACPI_FADT_ARM_PSCI))
		return;
	m->psci = fadt->arm_boot_arch & ACPI_FADT_ARM_PSCI_HVC ? PSCI_HVC : PSCI_SMC;
}

// The console is the only port that is found without AML.
static void describe_uart(struct machine *m)
{
	u32 len;
	const struct acpi_spcr *spcr = acpi_table("SPCR", 0, &len);

	m->console = MACHINE_UARTS;
	if (!spcr || !acpi_has(spcr, baud) || spcr->base.space != ACPI_SPACE_MEMORY ||
	    !spcr->base.address)
		return;
	u8 type = spcr->interface_type;

	if (type != ACPI_SPCR_PL011 && type != ACPI_SPCR_SBSA && type != ACPI_SPCR_SBSA_32) {
		log_warn("machine: the console that firmware names is no PL011 (kind %u)", type);
		return;
	}
	m->console = m->nuarts;
	m->uarts[m->nuarts++] = (struct machine_uart){
		.registers = {spcr->base.address, PL011_LEN},
		.irq = {.intid = spcr->interrupt_type & ACPI_SPCR_IRQ_GIC ? spcr->gsi : 0,
			.level = true},
		.fixed = type != ACPI_SPCR_PL011,
	};
}

bool acpi_describe(struct machine *m)
{
	u32 len;
	const struct acpi_madt *madt = acpi_table("APIC", 0, &len);

	if (!madt)
		return false;
	describe_controllers(m, madt);
	describe_timer(m);
	describe_psci(m);
	describe_uart(m);
	return m->gic != GIC_NONE;
}

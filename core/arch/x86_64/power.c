// SPDX-License-Identifier: MIT
// power.c: turns the machine off and starts it again. Privileged.
//
// Both work from any context, after a panic too: they read tables that were mapped at boot, take no
// lock and wait for nothing without a bound. Power off is ACPI's state S5, whose numbers stand in
// AML; we find the package by its bytes instead of running an interpreter here. Restart tries, in
// order, what firmware names, the chipset's reset register, the keyboard controller, and a triple
// fault, which no machine survives.
#include "base/acpi.h"
#include "core/acpi.h"
#include "core/arch/x86_64/clock.h"
#include "core/arch/x86_64/x86.h"
#include "core/init.h"
#include "core/log.h"
#include "core/slab.h"

constexpr u16 PM1_SCI_ENABLED = 1 << 0;
constexpr u16 PM1_SLEEP_TYPE = 7 << 10;
constexpr u16 PM1_SLEEP = 1 << 13;
constexpr u8 SLEEP_CONTROL_ENABLE = 1 << 5; // hardware-reduced; type in bits 2-4
constexpr u16 RESET_CONTROL = 0xcf9;
constexpr u16 KEYBOARD_COMMAND = 0x64;
constexpr u64 SETTLE_NS = 300000000;

// What a register of ACPI's is, reduced to what can be done in a panic. Immutable after power_init.
struct power_reg {
	u16 port;		// 0: not in I/O space
	volatile u8 *registers; // nullptr: not in memory
};

static struct {
	bool s5; // the sleep types are known
	u8 s5_a, s5_b;
	bool reduced;
	u16 pm1a, pm1b, smi_command;
	u8 acpi_enable;
	struct power_reg sleep, reset;
	u8 reset_value;
} power;

static struct power_reg reg_from(const struct acpi_gas *gas)
{
	if (gas->address && gas->space == ACPI_SPACE_IO && gas->address <= 0xffff)
		return (struct power_reg){.port = (u16)gas->address};
	if (gas->address && gas->space == ACPI_SPACE_MEMORY)
		return (struct power_reg){.registers = mmio_map(phys(gas->address), 8)};
	return (struct power_reg){0};
}

static void reg_write8(const struct power_reg *r, u8 value)
{
	if (r->port)
		outb(r->port, value);
	else if (r->registers)
		mmio_write8(r->registers, value);
}

static u16 pm1_port(u32 old, const struct acpi_gas *extended)
{
	if (extended && extended->space == ACPI_SPACE_IO && extended->address &&
	    extended->address <= 0xffff)
		return (u16)extended->address;
	return old <= 0xffff ? (u16)old : 0;
}

static void s5_find(void)
{
	u32 len;
	const struct acpi_header *aml = acpi_table("DSDT", 0, &len);

	for (u32 n = 0; aml && !power.s5; n++) {
		power.s5 = acpi_find_s5(aml, &power.s5_a, &power.s5_b) == 0;
		aml = acpi_table("SSDT", n, &len);
	}
	if (!power.s5)
		log_warn("power: firmware describes no way to turn the machine off");
}

static void power_init(void)
{
	u32 len;
	const struct acpi_fadt *fadt = acpi_table("FACP", 0, &len);

	if (!fadt || !acpi_has(fadt, flags)) {
		log_warn("power: no FADT: the machine cannot be turned off");
		return;
	}
	power.reduced = fadt->flags & ACPI_FADT_HW_REDUCED;
	power.pm1a = pm1_port(fadt->pm1a_cnt_blk,
			      acpi_has(fadt, x_pm1a_cnt_blk) ? &fadt->x_pm1a_cnt_blk : nullptr);
	power.pm1b = pm1_port(fadt->pm1b_cnt_blk,
			      acpi_has(fadt, x_pm1b_cnt_blk) ? &fadt->x_pm1b_cnt_blk : nullptr);
	power.smi_command = fadt->smi_cmd <= 0xffff ? (u16)fadt->smi_cmd : 0;
	power.acpi_enable = fadt->acpi_enable;
	if (acpi_has(fadt, sleep_control_reg))
		power.sleep = reg_from(&fadt->sleep_control_reg);
	if ((fadt->flags & ACPI_FADT_RESET_SUPPORTED) && acpi_has(fadt, reset_value)) {
		power.reset = reg_from(&fadt->reset_reg);
		power.reset_value = fadt->reset_value;
	}
	s5_find();
}
INITCALL(2, power_init);

// Hands power management from firmware to us where that has not happened: PM1 may ignore writes
// before.
static void acpi_mode_enable(void)
{
	if (!power.smi_command || !power.acpi_enable || inw(power.pm1a) & PM1_SCI_ENABLED)
		return;
	outb(power.smi_command, power.acpi_enable);
	for (u32 i = 0; i < 300 && !(inw(power.pm1a) & PM1_SCI_ENABLED); i++)
		delay_ns(1000000);
}

static void pm1_sleep(u16 port, u8 type)
{
	if (port)
		outw(port,
		     (inw(port) & ~(PM1_SLEEP_TYPE | PM1_SLEEP)) | (u16)(type << 10) | PM1_SLEEP);
}

void power_off(void)
{
	if (power.s5 && (power.sleep.port || power.sleep.registers) &&
	    (power.reduced || !power.pm1a)) {
		reg_write8(&power.sleep, (u8)(power.s5_a << 2) | SLEEP_CONTROL_ENABLE);
	} else if (power.s5 && power.pm1a) {
		acpi_mode_enable();
		pm1_sleep(power.pm1a, power.s5_a);
		pm1_sleep(power.pm1b, power.s5_b);
	} else {
		log_err("power: this machine has no way to turn itself off");
		return;
	}
	delay_ns(SETTLE_NS);
	log_err("power: the machine did not turn off");
}

static void keyboard_reset(void)
{
	for (u32 i = 0; i < 1000 && inb(KEYBOARD_COMMAND) & 2; i++)
		delay_ns(10000);
	outb(KEYBOARD_COMMAND, 0xfe);
}

void power_restart(void)
{
	if (power.reset.port || power.reset.registers) {
		reg_write8(&power.reset, power.reset_value);
		delay_ns(SETTLE_NS / 4);
	}
	u8 control = inb(RESET_CONTROL) & ~0x06;

	outb(RESET_CONTROL, control | 0x02); // a hard reset is wanted
	outb(RESET_CONTROL, control | 0x06); // now
	delay_ns(SETTLE_NS / 4);
	keyboard_reset();
	delay_ns(SETTLE_NS / 4);

	static const struct {
		u16 limit;
		u64 base;
	} __packed no_idt = {0, 0};

	__asm__ volatile("cli; lidt %0; int3" ::"m"(no_idt));
}

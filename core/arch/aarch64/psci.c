// SPDX-License-Identifier: MIT
// psci.c: the firmware's calls for CPUs and power (Arm DEN0022, PSCI 0.2 and newer). Privileged.
//
// Firmware says by which instruction it is called: HVC where a hypervisor or QEMU itself answers,
// SMC where code at EL3 does. Both follow the SMC calling convention, by which a call changes no
// register but X0 to X17.
#include "base/errno.h"
#include "core/acpi.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/arch/aarch64/machine.h"
#include "core/log.h"

enum psci_function : u32 {
	PSCI_VERSION = 0x84000000,
	PSCI_SYSTEM_OFF = 0x84000008,
	PSCI_SYSTEM_RESET = 0x84000009,
	PSCI_CPU_ON = 0xc4000003,
};
// DEN0022, 5.2.2
enum psci_error : s32 {
	PSCI_INVALID_PARAMETERS = -2,
	PSCI_ALREADY_ON = -4,
	PSCI_ON_PENDING = -5,
	PSCI_INVALID_ADDRESS = -9,
};

#define PSCI_CALL(instruction)                                                                    \
	__asm__ volatile(instruction " #0"                                                        \
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                                 \
			 :                                                                        \
			 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", \
			   "x15", "x16", "x17", "memory")

static s64 psci_call(u32 function, u64 a, u64 b, u64 c)
{
	register u64 x0 __asm__("x0") = function;
	register u64 x1 __asm__("x1") = a;
	register u64 x2 __asm__("x2") = b;
	register u64 x3 __asm__("x3") = c;

	if (machine.psci == PSCI_HVC)
		PSCI_CALL("hvc");
	else
		PSCI_CALL("smc");
	return (s64)x0;
}

int psci_cpu_on(u64 mpidr, u64 entry, u64 context)
{
	if (machine.psci == PSCI_NONE)
		return -ENODEV;
	switch (psci_call(PSCI_CPU_ON, mpidr, entry, context)) {
	case 0:
		return 0;
	case PSCI_INVALID_PARAMETERS:
		return -ENODEV;
	case PSCI_INVALID_ADDRESS:
		return -EINVAL;
	case PSCI_ALREADY_ON:
	case PSCI_ON_PENDING:
		return -EBUSY;
	default:
		return -EIO;
	}
}

void machine_psci_check(void)
{
	if (machine.psci == PSCI_NONE) {
		log_warn("psci: firmware has none: one CPU, no power off, no restart");
		return;
	}
	u32 version = (u32)psci_call(PSCI_VERSION, 0, 0, 0);

	log_info("psci: %u.%u by %s", version >> 16, version & 0xffff,
		 machine.psci == PSCI_HVC ? "HVC" : "SMC");
}

static void system_call(u32 function, const char *what)
{
	if (machine.psci == PSCI_NONE) {
		log_err("power: this machine's firmware has no way to %s", what);
		return;
	}
	s64 error = psci_call(function, 0, 0, 0);

	log_err("power: firmware did not %s (%lld)", what, error);
}

void power_off(void)
{
	system_call(PSCI_SYSTEM_OFF, "turn it off");
}

void power_restart(void)
{
	system_call(PSCI_SYSTEM_RESET, "restart it");
}

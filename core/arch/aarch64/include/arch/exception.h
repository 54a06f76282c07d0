// SPDX-License-Identifier: MIT
// The CPU's exceptions by number (AArch64: exception classes, ESR_EL1.EC). Privileged. Callers:
// arch/ folders. struct exception has the class as its vector and ESR_EL1 as its error.
#pragma once
#include "base/types.h"

enum exception_vector : u32 {
	EC_UNKNOWN = 0x00, // undefined instructions
	EC_WFX = 0x01,
	EC_FP = 0x07, // vector registers are switched off
	EC_BTI = 0x0d,
	EC_ILLEGAL_STATE = 0x0e,
	EC_SVC64 = 0x15,
	EC_SYSREG = 0x18,
	EC_SVE = 0x19,
	EC_PAC = 0x1c,
	EC_SME = 0x1d,
	EC_IABORT_LOWER = 0x20,
	EC_IABORT_SAME = 0x21,
	EC_PC_ALIGN = 0x22,
	EC_DABORT_LOWER = 0x24,
	EC_DABORT_SAME = 0x25,
	EC_SP_ALIGN = 0x26,
	EC_FP_EXCEPTION = 0x2c,
	EC_SERROR = 0x2f,
	EC_BREAKPOINT_LOWER = 0x30,
	EC_BREAKPOINT_SAME = 0x31,
	EC_STEP_LOWER = 0x32,
	EC_STEP_SAME = 0x33,
	EC_WATCHPOINT_LOWER = 0x34,
	EC_WATCHPOINT_SAME = 0x35,
	EC_BRK = 0x3c,
};
// Of aborts: the low six bits of the syndrome say what the page walk found.
constexpr u64 ESR_WRITE = 1 << 6, ESR_CACHE_OPERATION = 1 << 8, ESR_FAR_INVALID = 1 << 10;
constexpr u64 ESR_STATUS = 0x3f;
static inline bool esr_is_translation(u64 esr)
{
	return (esr & 0x3c) == 0x04;
}
static inline bool esr_is_access_flag(u64 esr)
{
	return (esr & 0x3c) == 0x08;
}
static inline bool esr_is_permission(u64 esr)
{
	return (esr & 0x3c) == 0x0c;
}
static inline bool esr_is_alignment(u64 esr)
{
	return (esr & ESR_STATUS) == 0x21;
}

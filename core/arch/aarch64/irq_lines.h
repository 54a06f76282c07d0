// SPDX-License-Identifier: MIT
// irq_lines.h: what else irq.c knows of lines. Privileged.
#pragma once

#include "core/arch/aarch64/machine.h"

// That a line is triggered as firmware says; lines are level-triggered otherwise. Boot CPU, before
// handlers are added.
void irq_line_describe(const struct machine_irq *irq);
// For tests: the line's interrupt is pending, or not, whatever its device says.
void irq_line_raise(u32 line);
void irq_line_lower(u32 line);

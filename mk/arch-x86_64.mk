# SPDX-License-Identifier: MIT
# What clang and lld must know about the CPU: the kernel lies in the top 2 GiB and leaves the
# vector registers to programs.

ARCH_CFLAGS := --target=x86_64-unknown-none-elf -march=x86-64 -mno-red-zone -mgeneral-regs-only \
	-mcmodel=kernel -fcf-protection=none
ARCH_LDFLAGS := -m elf_x86_64

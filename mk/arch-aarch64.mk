# SPDX-License-Identifier: MIT
# What clang and lld must know about the CPU: the kernel lies in the top 2 GiB, leaves the vector
# registers to programs, and keeps X18 for itself (arch/percpu.h). It runs on any ARMv8.0.

ARCH_CFLAGS := --target=aarch64-unknown-none-elf -march=armv8-a -mno-outline-atomics -mgeneral-regs-only \
	-ffixed-x18 -mbranch-protection=none -DATOMIC_NEEDS_FENCE
ARCH_LDFLAGS := -m aarch64elf

# What `qemu -kernel` boots: the same kernel as a flat file, which begins with the header of arm64's
# Image format.
all: $(KERNEL).Image
$(OUT)/halyard.Image: $(OUT)/halyard
	$(Q)$(OBJCOPY) -O binary $< $@
$(KERNEL).Image: $(OUT)/halyard.Image FORCE
	@cmp -s $< $@ || { cp $< $@.tmp && mv $@.tmp $@; }

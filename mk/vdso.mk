# SPDX-License-Identifier: MIT
# The vDSO: a shared object for programs that travels inside the kernel image (linux/arch/*/vdso_image.S).

VDSO_DIR := linux/arch/$(ARCH)/vdso
VDSO := $(GEN)/vdso.so
VDSO_CFLAGS := --target=$(ARCH)-unknown-linux-gnu -std=c23 -O2 -fPIC -fvisibility=default -ffreestanding -nostdlibinc \
	-fno-stack-protector -fomit-frame-pointer -fasynchronous-unwind-tables -fno-builtin -mgeneral-regs-only -I. \
	-Icore/arch/$(ARCH)/include -Wall -Wextra -Werror

$(VDSO): $(VDSO_DIR)/vdso.c $(VDSO_DIR)/vdso.lds core/time.h core/arch/$(ARCH)/include/arch/timer.h abi/linux/time.h mk/vdso.mk
	@mkdir -p $(@D)
	$(say) VDSO $@
	$(Q)$(CC) $(VDSO_CFLAGS) -c $< -o $(GEN)/vdso.o
	$(Q)$(LD) -shared -soname=linux-vdso.so.1 --hash-style=both --build-id=none -z noseparate-code -z norelro \
		-z max-page-size=4096 --eh-frame-hdr --no-undefined -Bsymbolic -T $(VDSO_DIR)/vdso.lds $(GEN)/vdso.o -o $@.tmp
	$(Q)$(OBJCOPY) --strip-debug $@.tmp $@
	@rm -f $@.tmp

GENERATED += $(VDSO)
$(OUT)/obj/linux/arch/$(ARCH)/vdso_image.S.o: $(VDSO)

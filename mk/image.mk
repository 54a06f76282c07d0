# SPDX-License-Identifier: MIT
# Userlands from Debian's packages, and what UEFI machines boot.

INITRD_TOOL := $(PYTHON) tools/initrd.py --arch $(ARCH)
TOOLS_INITRD := $(BUILD)/debian-tools.cpio
PROGRAMS_INITRD := $(BUILD)/programs.cpio
DISKS_INITRD := $(BUILD)/disk-tools.cpio
DEBUG_INITRD := $(BUILD)/debug-tools.cpio

.PHONY: initrd image
initrd: $(INITRD) $(BUILD)/busybox
	@:

$(INITRD): tools/initrd.py user/init/init mk/image.mk
	@mkdir -p $(@D)
	$(say) INITRD $@
	$(Q)$(INITRD_TOOL) --package busybox-static --applets --init user/init/init -o $@

# The programs that the system tests run, dynamically linked as Debian ships them.
# Busybox with every test program in /programs.
$(PROGRAMS_INITRD): tools/initrd.py user/init/init mk/image.mk $(PROGRAMS)
	@mkdir -p $(@D)
	$(say) INITRD $@
	$(Q)$(INITRD_TOOL) --package busybox-static --applets --init user/init/init \
		$(foreach p,$(PROGRAMS),--file $(p):/programs/) -o $@

$(TOOLS_INITRD): tools/initrd.py user/init/init mk/image.mk
	@mkdir -p $(@D)
	$(say) INITRD $@
	$(Q)$(INITRD_TOOL) $(addprefix --package ,dash bash coreutils grep sed gawk findutils procps \
		ncurses-base busybox-static) --applets \
		--init user/init/init --link gawk:/bin/awk --link dash:/bin/sh -o $@

# lsblk and its kin, sfdisk; ipcs and its kin, inotifywait.
$(DISKS_INITRD): tools/initrd.py user/init/init mk/image.mk
	@mkdir -p $(@D)
	$(say) INITRD $@
	$(Q)$(INITRD_TOOL) $(addprefix --package ,dash util-linux fdisk inotify-tools busybox-static) --applets \
		--init user/init/init --link dash:/bin/sh -o $@

# strace and gdb, and something to look at.
$(DEBUG_INITRD): tools/initrd.py user/init/init mk/image.mk $(BUILD)/programs/ptrace_debuggee
	@mkdir -p $(@D)
	$(say) INITRD $@
	$(Q)$(INITRD_TOOL) $(addprefix --package ,strace gdb-minimal busybox-static) --applets \
		--file $(BUILD)/programs/ptrace_debuggee:/programs/ --init user/init/init -o $@

# ./vm runs commands by it, whatever the initramfs holds.
$(BUILD)/busybox: tools/initrd.py
	@mkdir -p $(@D)
	$(Q)$(INITRD_TOOL) --package busybox-static --extract /bin/busybox -o $@

# The UEFI loader: a program for the firmware, so a target, flags and a linker of its own. Pointers
# have 64 bits there and `long` has 32.
EFI_NAME := $(if $(filter aarch64,$(ARCH)),BOOTAA64.EFI,BOOTX64.EFI)
EFI_LOADER := $(BUILD)/boot/$(EFI_NAME)
EFI_SRCS := $(sort $(wildcard boot/*.c boot/arch/$(ARCH)/*.c boot/arch/$(ARCH)/*.S) \
	base/acpi.c base/civil_time.c base/string.c)
EFI_OBJS := $(addprefix $(BUILD)/boot/obj/,$(addsuffix .obj,$(EFI_SRCS)))
EFI_FLAGS := --target=$(ARCH)-unknown-windows -ffreestanding -nostdlibinc -I. \
	-ffile-prefix-map=$(CURDIR)/=
EFI_CFLAGS := -std=c23 -O2 -fno-stack-protector -fno-strict-aliasing -fshort-wchar \
	-mno-stack-arg-probe $(if $(filter x86_64,$(ARCH)),-mno-red-zone) -mgeneral-regs-only $(WARNINGS)

$(BUILD)/boot/obj/%.c.obj: %.c mk/image.mk
	@mkdir -p $(@D)
	$(say) EFICC $<
	$(Q)$(CC) $(EFI_FLAGS) $(EFI_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/boot/obj/%.S.obj: %.S mk/image.mk
	@mkdir -p $(@D)
	$(say) EFIAS $<
	$(Q)$(CC) $(EFI_FLAGS) -MMD -MP -c $< -o $@

$(EFI_LOADER): $(EFI_OBJS)
	$(say) EFILD $@
	$(Q)lld-link-19 /subsystem:efi_application /entry:efi_main /nodefaultlib /Brepro /out:$@ $^

# A kernel that checks from the inside what a loader did; tests/system/test_uefi_images.py boots it.
PROBE := $(BUILD)/boot/probe
PROBE_SRCS := boot/probe/probe.c boot/arch/$(ARCH)/test/probe.c
PROBE_OBJS := $(PROBE_SRCS:%=$(PROBE)-obj/%.o)
$(PROBE)-obj/%.c.o: %.c mk/image.mk
	@mkdir -p $(@D)
	$(say) PROBECC $<
	$(Q)$(CC) $(KERNEL_FLAGS) -std=c23 -O2 -fno-stack-protector $(WARNINGS) -MMD -MP -c $< -o $@

$(PROBE): $(PROBE_OBJS) boot/probe/probe.ld
	$(say) PROBE $@
	$(Q)$(LD) $(ARCH_LDFLAGS) -static -nostdlib -z max-page-size=4096 --build-id=none \
		-T boot/probe/probe.ld $(PROBE_OBJS) -o $@

-include $(EFI_OBJS:.obj=.d) $(PROBE_OBJS:.o=.d)

EFI_CONSOLE := $(if $(filter aarch64,$(ARCH)),ttyAMA0,ttyS0)
# The disk image and the ISO come from one run, which names the disk image as its result.
image: $(BUILD)/esp.img $(PROBE)
$(BUILD)/esp.img: $(KERNEL) $(INITRD) $(EFI_LOADER) tools/mkimage.py
	$(say) IMAGE $@
	$(Q)$(PYTHON) tools/mkimage.py --arch $(ARCH) --kernel $(KERNEL) --initrd $(INITRD) \
		--cmdline "console=$(EFI_CONSOLE) rdinit=/init" -o $@ --iso $(BUILD)/halyard.iso

# SPDX-License-Identifier: MIT
# Userlands from Debian's packages, and what UEFI machines boot.

INITRD_TOOL := $(PYTHON) tools/initrd.py --arch $(ARCH)
TOOLS_INITRD := $(BUILD)/debian-tools.cpio

.PHONY: initrd image
initrd: $(INITRD) $(BUILD)/busybox

$(INITRD): tools/initrd.py user/init/init mk/image.mk
	@mkdir -p $(@D)
	$(say) INITRD $@
	$(Q)$(INITRD_TOOL) --package busybox-static --applets --init user/init/init -o $@

# The programs that the system tests run, dynamically linked as Debian ships them.
$(TOOLS_INITRD): tools/initrd.py user/init/init mk/image.mk
	@mkdir -p $(@D)
	$(say) INITRD $@
	$(Q)$(INITRD_TOOL) $(addprefix --package ,dash bash coreutils grep sed gawk findutils procps \
		ncurses-base busybox-static) --applets \
		--init user/init/init --link gawk:/bin/awk --link dash:/bin/sh -o $@

# ./vm runs commands by it, whatever the initramfs holds.
$(BUILD)/busybox: tools/initrd.py
	@mkdir -p $(@D)
	$(Q)$(INITRD_TOOL) --package busybox-static --extract /bin/busybox -o $@

image: $(BUILD)/esp.img
$(BUILD)/esp.img: $(KERNEL) $(INITRD) tools/mkimage.py
	$(say) IMAGE $@
	$(Q)$(PYTHON) tools/mkimage.py --kernel $(KERNEL) --initrd $(INITRD) \
		--cmdline "console=ttyS0 rdinit=/init" -o $@ --iso $(BUILD)/halyard.iso

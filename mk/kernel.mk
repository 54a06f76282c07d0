# SPDX-License-Identifier: MIT
# The kernel: every .c and .S of base/, core/ and linux/, less the other CPUs' arch/ folders.
#
# A folder or a file may have flags of its own:
#   CFLAGS_core/mm := -O3
#   CFLAGS_core/mm/copy.c := -fno-sanitize=null

find_sources = $(shell find $(1) -path '*/arch/*' ! -path '*/arch/$(ARCH)' \
	! -path '*/arch/$(ARCH)/*' -prune -o -path '*/vdso' -prune -o \( -name '*.c' -o -name '*.S' \) -print)
# What RELEASE kernels do without, besides tests (tools/audit.py counts it apart).
DEBUG_ONLY := core/sync/lockcheck.c
KERNEL_SRCS := $(sort $(wildcard base/*.c) $(call find_sources,core linux))
ifneq ($(MODE),debug)
KERNEL_SRCS := $(filter-out %_test.c $(DEBUG_ONLY),$(KERNEL_SRCS))
endif
KERNEL_OBJS := $(addprefix $(OUT)/obj/,$(addsuffix .o,$(KERNEL_SRCS)))
KERNEL_LDS := core/arch/$(ARCH)/kernel.ld

INCLUDES := -I. -Icore/arch/$(ARCH)/include -Ilinux/arch/$(ARCH)/include -I$(GEN)
WARNINGS := -Wall -Wextra -Wvla -Wimplicit-fallthrough -Wmissing-prototypes \
	-Wframe-larger-than=2048
ifneq ($(WERROR),0)
WARNINGS += -Werror
endif

# The UBSan checks that need no runtime and have no false alarms in a kernel. Left out are
# `alignment` and `pointer-overflow`, which hardware tables and address arithmetic break by design,
# and `function`, which wants a type hash before functions written in assembly.
UBSAN := -fsanitize=signed-integer-overflow,integer-divide-by-zero,shift,bounds,null,bool,enum \
	-fsanitize=builtin,return,unreachable,vla-bound,returns-nonnull-attribute \
	-fsanitize-trap=all

KERNEL_FLAGS := $(ARCH_CFLAGS) -ffreestanding -nostdlibinc -fno-pic -g \
	-ffile-prefix-map=$(CURDIR)/= $(INCLUDES)
KERNEL_CFLAGS := -std=c23 -O2 -fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -fno-common -fdata-sections -ffunction-sections $(WARNINGS)
ifeq ($(MODE),debug)
KERNEL_FLAGS += -DCONFIG_DEBUG=1
KERNEL_CFLAGS += $(UBSAN)
endif
KERNEL_LDFLAGS := $(ARCH_LDFLAGS) -static -nostdlib --gc-sections -z noexecstack \
	-z max-page-size=4096 --build-id=none -T $(KERNEL_LDS)

own_flags = $(CFLAGS_$(patsubst %/,%,$(dir $<))) $(CFLAGS_$<)

# What a stamp file holds is compared on every run, so a changed flag rebuilds and a removed source
# relinks, though no file is newer.
stamp = mkdir -p $(@D); echo '$(strip $(1))' | cmp -s - $@ || echo '$(strip $(1))' >$@
$(OUT)/flags: FORCE
	@$(call stamp,$(CC) $(KERNEL_FLAGS) $(KERNEL_CFLAGS) $(foreach v,$(filter CFLAGS_%,$(.VARIABLES)),$v=$($v)))
$(OUT)/sources: FORCE
	@$(call stamp,$(LD) $(KERNEL_LDFLAGS) $(KERNEL_SRCS))

$(OUT)/obj/%.c.o: %.c $(OUT)/flags | $(GENERATED)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(KERNEL_FLAGS) $(KERNEL_CFLAGS) $(own_flags) -MMD -MP -MJ $@.json -c $< -o $@

$(OUT)/obj/%.S.o: %.S $(OUT)/flags | $(GENERATED)
	@mkdir -p $(@D)
	$(say) AS $<
	$(Q)$(CC) $(KERNEL_FLAGS) $(own_flags) -MMD -MP -MJ $@.json -c $< -o $@

.SECONDEXPANSION:
# Two links: the second one embeds the symbol table of the first. The table lies behind all code,
# so no function moves; ksyms.py --check makes sure of it.
$(OUT)/pass1.elf: $(KERNEL_OBJS) $$(GATE_OBJS) $(KERNEL_LDS) $(OUT)/sources tools/ksyms.py
	$(say) LD $@
	$(Q)$(PYTHON) tools/ksyms.py --empty >$(OUT)/ksyms0.S
	$(Q)$(CC) $(KERNEL_FLAGS) -c $(OUT)/ksyms0.S -o $(OUT)/ksyms0.o
	$(Q)$(LD) $(KERNEL_LDFLAGS) $(KERNEL_OBJS) $(GATE_OBJS) $(OUT)/ksyms0.o -o $@

$(OUT)/halyard.elf: $(OUT)/pass1.elf
	$(say) LD $@
	$(Q)$(PYTHON) tools/ksyms.py $< >$(OUT)/ksyms.S
	$(Q)$(CC) $(KERNEL_FLAGS) -c $(OUT)/ksyms.S -o $(OUT)/ksyms.o
	$(Q)$(LD) $(KERNEL_LDFLAGS) -Map=$(OUT)/halyard.map $(KERNEL_OBJS) $(GATE_OBJS) $(OUT)/ksyms.o -o $@
	$(Q)$(PYTHON) tools/ksyms.py --check $< $@

# What boots carries no DWARF, for the firmware reads it slowly; debuggers take halyard.elf.
$(OUT)/halyard: $(OUT)/halyard.elf
	$(Q)$(OBJCOPY) --strip-debug $< $@

$(KERNEL): $(OUT)/halyard FORCE
	@cmp -s $< $@ || { cp $< $@.tmp && mv $@.tmp $@ && echo "  KERNEL  $@ ($(MODE))"; }

$(BUILD)/compile_commands.json: $(OUT)/pass1.elf
	$(Q){ echo '['; cat $(addsuffix .json,$(KERNEL_OBJS)) | sed '$$ s/,$$//'; echo ']'; } >$@
	$(Q)ln -sf $@ compile_commands.json

-include $(KERNEL_OBJS:.o=.d)

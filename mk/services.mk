# SPDX-License-Identifier: MIT
# Services: a shared object for each folder services/<folder>/<name>/, of its own sources, services/lib/ and what they use of
# base/. They travel in the kernel's image (core/gate/service.c loads them), stripped of DWARF; the
# unstripped ones, for debuggers, lie in build/<arch>/<mode>/services/.

SERVICE_DIRS := $(sort $(patsubst %/,%,$(dir $(wildcard services/*/*/*.c))))
SERVICE_DIRS := $(filter-out services/arch/% services/lib/%,$(SERVICE_DIRS))
SERVICE_BASE := base/fmt.c base/string.c base/errno.c base/crc32.c base/utf16.c
SERVICE_OUT := $(OUT)/services
SERVICES := $(foreach d,$(SERVICE_DIRS),$(SERVICE_OUT)/$(d:services/%=%).so)

# The same flags as the kernel's but for position independence: the code runs in ring 0 or in ring 3,
# and an interrupt in ring 0 uses its stack, so no red zone.
SERVICE_CFLAGS := $(filter-out -mcmodel=kernel,$(ARCH_CFLAGS)) -ffreestanding -nostdlibinc -fPIC -fvisibility=hidden \
	-fno-plt -g -ffile-prefix-map=$(CURDIR)/= -I. -Iservices/arch/$(ARCH)/include -I$(GEN) \
	-std=c23 -O2 -fno-stack-protector -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -fno-common -fdata-sections -ffunction-sections $(WARNINGS)
ifeq ($(MODE),debug)
SERVICE_CFLAGS += -DCONFIG_DEBUG=1 $(UBSAN)
endif
SERVICE_LDFLAGS := $(ARCH_LDFLAGS) -shared -Bsymbolic -z now -z relro -z noexecstack -z separate-code \
	-z max-page-size=4096 -z nostart-stop-gc --hash-style=sysv --build-id=none --gc-sections --no-undefined-version

$(SERVICE_OUT)/flags: FORCE
	@$(call stamp,$(CC) $(SERVICE_CFLAGS) $(LD) $(SERVICE_LDFLAGS))

$(SERVICE_OUT)/obj/%.c.o: %.c $(SERVICE_OUT)/flags | $(GATE_GEN)
	@mkdir -p $(@D)
	$(say) SVCCC $<
	$(Q)$(CC) $(SERVICE_CFLAGS) -MMD -MP -MJ $@.json -c $< -o $@

service_objects = $(addprefix $(SERVICE_OUT)/obj/,$(addsuffix .o,$(filter-out %_test.c,$(wildcard $(1)/*.c $(1)/arch/$(ARCH)/*.c))))
SERVICE_LIB := $(call service_objects,services/lib) $(addprefix $(SERVICE_OUT)/obj/,$(addsuffix .o,$(SERVICE_BASE)))

define service_rule
$(SERVICE_OUT)/$(1:services/%=%).so.debug: $$(call service_objects,$(1)) $$(SERVICE_LIB) tools/gate.py
	@mkdir -p $$(@D)
	$$(say) SVCLD $$@
	$$(Q)$$(LD) $$(SERVICE_LDFLAGS) $$(filter %.o,$$^) -o $$@
	$$(Q)$$(PYTHON) tools/gate.py --imports $$@
endef
$(foreach d,$(SERVICE_DIRS),$(eval $(call service_rule,$(d))))

$(SERVICE_OUT)/%.so: $(SERVICE_OUT)/%.so.debug
	$(Q)$(OBJCOPY) --strip-debug $< $@

# The archive: a table of names and where the objects begin and end. Of each the pages that are not
# written are mapped as they lie here.
$(SERVICE_OUT)/archive.S: $(SERVICES) mk/services.mk
	$(say) ARCHIVE $@
	$(Q){ echo '	.section .rodata, "a"'; \
	$(foreach s,$(SERVICES),echo '	.balign 4096'; echo 's_$(notdir $(s:.so=)): .incbin "$(s)"'; echo 'e_$(notdir $(s:.so=)):'; \
		echo 'f_$(notdir $(s:.so=)): .asciz "$(notdir $(patsubst %/,%,$(dir $(s))))"'; \
		echo 'n_$(notdir $(s:.so=)): .asciz "$(notdir $(s:.so=))"';) \
	echo '	.section .data.rel.ro, "aw"'; echo '	.balign 8'; echo '	.globl services_archive, services_archived'; echo 'services_archive:'; \
	$(foreach s,$(SERVICES),echo '	.quad f_$(notdir $(s:.so=)), n_$(notdir $(s:.so=)), s_$(notdir $(s:.so=)), e_$(notdir $(s:.so=))';) \
	echo 'services_archived: .long $(words $(SERVICES))'; } >$@

$(SERVICE_OUT)/archive.o: $(SERVICE_OUT)/archive.S
	$(Q)$(CC) $(ARCH_CFLAGS) -c $< -o $@

# What of it is linked into the kernel.
GATE_OBJS := $(SERVICE_OUT)/archive.o $(OUT)/obj/dispatch.o
$(OUT)/obj/dispatch.o: $(GEN)/gate/dispatch.c $(OUT)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_FLAGS) $(KERNEL_CFLAGS) -MMD -MP -c $< -o $@

-include $(wildcard $(SERVICE_OUT)/obj/*/*.d $(SERVICE_OUT)/obj/*/*/*.d $(SERVICE_OUT)/obj/*/*/*/*.d) $(OUT)/obj/dispatch.d

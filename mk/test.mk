# SPDX-License-Identifier: MIT
# Tests: `make check` reads the sources, `make unit` runs on the host, tests/system boots the kernel.

HOST := build/host
PYTEST = $(if $(wildcard /usr/bin/pytest-3),/usr/bin/python3,$(PYTHON)) -m pytest \
	-p no:cacheprovider

host_objects = $(patsubst %.c,$(HOST)/%.o,$(1))
BASE_TESTS := $(HOST)/base_tests
BASE_OBJS := $(call host_objects,$(wildcard base/*.c) base/host/ktest_main.c)
HOST_CFLAGS := -std=c23 -g -O1 -fno-omit-frame-pointer -Wall -Wextra -Werror -I. \
	-DCONFIG_DEBUG=1 -fsanitize=address,undefined -fno-sanitize-recover=all

.PHONY: unit base-tests service-tests
check: $(GATE_GEN)
	$(Q)$(PYTHON) tools/check.py --arch $(ARCH)
	$(Q)$(PYTHON) tools/lock_ranks.py --check
	$(Q)$(PYTHON) tools/gate.py --check
	$(Q)$(PYTHON) tools/audit.py --arch $(ARCH) --check

docs/locks.md: core/lock_classes.def tools/lock_ranks.py
	$(Q)$(PYTHON) tools/lock_ranks.py

unit: base-tests service-tests
	$(Q)$(if $(wildcard tests/unit/test_*.py),$(PYTEST) -q tests/unit)

base-tests: $(BASE_TESTS)
	$(Q)timeout 120 $(BASE_TESTS)

$(BASE_TESTS): $(BASE_OBJS)
	$(say) HOSTLD $@
	$(Q)$(HOSTCC) -fsanitize=address,undefined $^ -o $@

$(HOST)/%.o: %.c mk/test.mk
	@mkdir -p $(@D)
	$(say) HOSTCC $<
	$(Q)$(HOSTCC) $(HOST_CFLAGS) -MMD -MP -c $< -o $@

-include $(BASE_OBJS:.o=.d)

# What services think, on the host. The logic of a service is those of its sources that include
# neither services/lib/ nor gates: what they need of core they are given as functions. With it are
# built, in build/host/<folder>/,
#   tests       of a folder's NAME_test.c files
#   fuzz        of host/fuzz.c, which `make fuzz-<service> SECONDS=600` runs; tests/fuzz/<service>/
#               keeps inputs that each `make unit` tries again
#   host/NAME   of any other host/NAME.c, a program that tests/unit/ compares with others
SERVICE_SRCS := $(wildcard services/*/*.c services/*/*/*.c)
SERVICE_LOGIC := $(if $(SERVICE_SRCS),$(shell grep -L -E '^.include ["<](services/lib|gate|service_arch)/' $(SERVICE_SRCS)))
SERVICE_LOGIC := $(filter-out %_test.c,$(SERVICE_LOGIC))
SERVICE_TESTED := $(sort $(patsubst %/,%,$(dir $(filter %_test.c,$(SERVICE_SRCS)))))
SERVICE_HOST := $(filter-out %/fuzz.c,$(wildcard services/*/*/host/*.c))
SERVICE_FUZZED := $(patsubst %/host/fuzz.c,%,$(wildcard services/*/*/host/fuzz.c))
logic_of = $(foreach f,$(SERVICE_LOGIC),$(if $(filter $(1)/,$(dir $(f))),$(f)))
BASE_LOGIC := $(filter-out %_test.c,$(wildcard base/*.c))

service-tests: $(SERVICE_TESTED:%=$(HOST)/%/tests) $(SERVICE_FUZZED:%=$(HOST)/%/fuzz)
	$(Q)set -e; $(foreach d,$(SERVICE_TESTED),timeout 120 $(HOST)/$(d)/tests;)
	$(Q)set -e; $(foreach d,$(SERVICE_FUZZED),$(call fuzz_again,$(d));)

# libFuzzer talks much; it is heard when something is wrong.
fuzz_again = timeout 120 $(HOST)/$(1)/fuzz -runs=0 tests/fuzz/$(notdir $(1)) >$(HOST)/$(1)/log 2>&1 || { cat $(HOST)/$(1)/log; exit 1; }

host_link = $(HOSTCC) -fsanitize=address,undefined $(filter %.o,$^) -o $@

define service_tests_rule
$(HOST)/$(1)/tests: $(call host_objects,$(call logic_of,$(1)) $(wildcard $(1)/*_test.c) $(BASE_LOGIC) base/host/ktest_main.c)
	$$(say) HOSTLD $$@
	$$(Q)$$(host_link)
endef
$(foreach d,$(SERVICE_TESTED),$(eval $(call service_tests_rule,$(d))))

define service_program_rule
$(HOST)/$(1:.c=): $(call host_objects,$(1) $(call logic_of,$(patsubst %/host/,%,$(dir $(1)))) $(BASE_LOGIC))
	$$(say) HOSTLD $$@
	$$(Q)$$(host_link)
endef
$(foreach f,$(SERVICE_HOST),$(eval $(call service_program_rule,$(f))))

define service_fuzz_rule
$(HOST)/$(1)/fuzz: $(1)/host/fuzz.c $(call logic_of,$(1)) $(BASE_LOGIC) $(wildcard $(1)/*.h)
	@mkdir -p $$(@D)
	$$(say) FUZZER $$@
	$$(Q)$$(HOSTCC) $$(HOST_CFLAGS) -O2 -fsanitize=fuzzer $$(filter %.c,$$^) -o $$@
.PHONY: fuzz-$(notdir $(1))
fuzz-$(notdir $(1)): $(HOST)/$(1)/fuzz
	$(Q)mkdir -p $$(<D)/corpus
	$(Q)$$< -max_total_time=$$(SECONDS) -timeout=10 -artifact_prefix=$$(<D)/ $$(<D)/corpus tests/fuzz/$(notdir $(1))
endef
SECONDS ?= 60
$(foreach d,$(SERVICE_FUZZED),$(eval $(call service_fuzz_rule,$(d))))

-include $(wildcard $(patsubst %.c,$(HOST)/%.d,$(SERVICE_LOGIC) $(SERVICE_HOST) $(filter %_test.c,$(SERVICE_SRCS))))

# One pytest runs the tools' unit tests and the system tests, so that its summary is the last line.
test: deps
	@$(MAKE) all initrd user $(TOOLS_INITRD) $(PROGRAMS_INITRD) $(DISKS_INITRD) $(DEBUG_INITRD) image
	@$(MAKE) RELEASE=1 KERNEL=$(BUILD)/halyard-release all
	@$(MAKE) check
	@$(MAKE) base-tests service-tests
	@ARCH=$(ARCH) $(PYTEST) -v --durations=40 tests/unit tests/system

.PHONY: print-header-flags
print-header-flags:
	@echo '$(KERNEL_FLAGS) -Iservices/arch/$(ARCH)/include -std=c23'

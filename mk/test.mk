# SPDX-License-Identifier: MIT
# Tests: `make check` reads the sources, `make unit` runs on the host, tests/system boots the kernel.

HOST := build/host
PYTEST = $(if $(wildcard /usr/bin/pytest-3),/usr/bin/python3,$(PYTHON)) -m pytest \
	-p no:cacheprovider

BASE_TESTS := $(HOST)/base_tests
BASE_OBJS := $(patsubst %.c,$(HOST)/%.o,$(wildcard base/*.c) base/host/ktest_main.c)
HOST_CFLAGS := -std=c23 -g -O1 -fno-omit-frame-pointer -Wall -Wextra -Werror -I. \
	-DCONFIG_DEBUG=1 -fsanitize=address,undefined -fno-sanitize-recover=all

.PHONY: unit base-tests
check: $(GATE_GEN)
	$(Q)$(PYTHON) tools/check.py --arch $(ARCH)
	$(Q)$(PYTHON) tools/lock_ranks.py --check
	$(Q)$(PYTHON) tools/gate.py --check
	$(Q)$(PYTHON) tools/audit.py --arch $(ARCH) --check

docs/locks.md: core/lock_classes.def tools/lock_ranks.py
	$(Q)$(PYTHON) tools/lock_ranks.py

unit: base-tests
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

# One pytest runs the tools' unit tests and the system tests, so that its summary is the last line.
test: deps
	@$(MAKE) all initrd user $(TOOLS_INITRD) $(PROGRAMS_INITRD) image
	@$(MAKE) RELEASE=1 KERNEL=$(BUILD)/halyard-release all
	@$(MAKE) check
	@$(MAKE) base-tests
	@$(PYTEST) -v tests/unit tests/system

.PHONY: print-header-flags
print-header-flags:
	@echo '$(KERNEL_FLAGS) -Iservices/arch/$(ARCH)/include -std=c23'

# SPDX-License-Identifier: MIT
# Builds Halyard. `make help` lists the targets; the rules themselves stand in mk/.
#
#   ARCH=x86_64    the CPU to build for: x86_64 or aarch64
#   DEBUG=1        assertions, lock checker, UBSan traps, in-kernel tests (the default)
#   RELEASE=1      none of those
#   V=1            show commands as they run
#   WERROR=0       let warnings pass
#
# Objects of the two modes lie apart, in build/<arch>/{debug,release}/; the kernel built last is
# always build/<arch>/halyard, so scripts need one path only.

ARCH ?= x86_64
DEBUG ?= 1
RELEASE ?= 0
V ?= 0
WERROR ?= 1

ifeq ($(RELEASE),1)
MODE := release
else ifeq ($(DEBUG),1)
MODE := debug
else
MODE := release
endif

CC := clang-19
LD := ld.lld-19
OBJCOPY := llvm-objcopy-19
CLANG_FORMAT := clang-format-19
HOSTCC := clang-19
# Programs are made by Debian's gcc, a cross compiler where the CPU is another one.
USERCC ?= $(if $(filter $(ARCH),$(shell uname -m)),gcc,$(ARCH)-linux-gnu-gcc)
PYTHON ?= python3

BUILD := build/$(ARCH)
OUT := $(BUILD)/$(MODE)
GEN := $(BUILD)/gen
KERNEL := $(BUILD)/halyard
INITRD := $(BUILD)/initrd.cpio

ifeq ($(V),1)
Q :=
say := @:
else
Q := @
say := @printf '  %-7s %s\n'
MAKEFLAGS += --no-print-directory
endif

MAKEFLAGS += --no-builtin-rules
# As many jobs as CPUs, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter -j% --jobs%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all FORCE help clean format check deps run demo audit test
all: $(KERNEL) $(BUILD)/compile_commands.json

ifeq ($(wildcard mk/arch-$(ARCH).mk),)
$(error ARCH=$(ARCH) is not one of: $(patsubst mk/arch-%.mk,%,$(wildcard mk/arch-*.mk)))
endif

include mk/arch-$(ARCH).mk
include mk/vdso.mk
include mk/gate.mk
include mk/kernel.mk
include mk/services.mk
include mk/user.mk
include mk/image.mk
include mk/test.mk

help:
	@echo 'make            build the kernel, $(KERNEL)'
	@echo 'make run        install what is missing, build, and boot to a shell'
	@echo 'make demo       the same, and show what becomes of a disk driver that goes astray'
	@echo 'make test       install what is missing, then check, unit and system tests'
	@echo 'make audit      how much code runs with which privilege, and where services elevate'
	@echo 'make check      include directions, formatting, headers that compile alone'
	@echo 'make unit       tests of base/ and of services on the host under ASan and UBSan, tests of the tools'
	@echo 'make fuzz-NAME  fuzz the logic of a service for SECONDS=60: $(notdir $(SERVICE_FUZZED))'
	@echo 'make initrd     the default userland, $(INITRD)'
	@echo 'make image      UEFI disk image and ISO'
	@echo 'make user       programs of user/ and tests/programs/'
	@echo 'make format     apply .clang-format'
	@echo 'make clean      remove build/$(ARCH) and build/host (the package cache stays)'
	@echo 'Variables: ARCH=x86_64 or aarch64  RELEASE=1  V=1  WERROR=0'

deps:
	@tools/deps $(ARCH)

run: deps
	@$(MAKE) all initrd
	@./vm --arch $(ARCH)

demo: deps
	@$(MAKE) all initrd
	@$(PYTHON) tools/demo.py --arch $(ARCH)

audit:
	@$(MAKE) RELEASE=1 KERNEL=$(BUILD)/halyard-release all
	@$(PYTHON) tools/audit.py --arch $(ARCH)

format:
	@git ls-files -z -co --exclude-standard '*.c' '*.h' | xargs -0r $(CLANG_FORMAT) -i

clean:
	rm -rf $(BUILD) build/host

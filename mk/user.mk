# SPDX-License-Identifier: MIT
# Programs that run on the kernel: those of user/ and the system tests' helpers in tests/programs/,
# one C file each, linked statically so that any initramfs can hold them.

USER_SRCS := $(wildcard user/*.c tests/programs/*.c tests/programs/services/*.c tests/programs/privilege/*.c \
	tests/programs/arch/$(ARCH)/*.c)
PROGRAMS := $(addprefix $(BUILD)/programs/,$(notdir $(USER_SRCS:.c=)))
USER_CFLAGS := -std=gnu2x -O2 -g -Wall -Wextra -Werror -pthread -static -I. -Iuser/include \
	-Iuser/arch/$(ARCH)/include -Itests/programs/arch/$(ARCH)/include

.PHONY: user
user: $(PROGRAMS)

USERFLAGS_x86_64_elevate := -mfsgsbase
USERFLAGS_x86_64_service_registers := -mfsgsbase
# what changes between sigsetjmp and a fault is volatile; the warning sees more than there is
USERFLAGS_x86_64_hostile := -mfsgsbase -Wno-clobbered

vpath %.c user tests/programs tests/programs/services tests/programs/privilege tests/programs/arch/$(ARCH)

# Flags of its own for one program: USERFLAGS_name := -fno-pie, or USERFLAGS_<arch>_name
$(BUILD)/programs/%: %.c mk/user.mk
	@mkdir -p $(@D)
	$(say) USERCC $@
	$(Q)$(USERCC) $(USER_CFLAGS) $(USERFLAGS_$*) $(USERFLAGS_$(ARCH)_$*) -MMD -MP -MF $@.dep $< $(USERLIBS_$*) -o $@
	$(Q)sed -i 's| $<||' $@.dep # it may move to another folder

-include $(PROGRAMS:=.dep)

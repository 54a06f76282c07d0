# SPDX-License-Identifier: MIT
# Stubs, dispatch and prototypes of the calls between core and services, from one table; who is built with them comes later.

GATE_GEN := $(addprefix $(GEN)/gate/,calls.h stubs.def dispatch.c interfaces.h)
GENERATED += $(GATE_GEN)
$(GATE_GEN) &: $(wildcard abi/gate/*) tools/gate.py
	$(say) GATE $(GEN)/gate
	$(Q)$(PYTHON) tools/gate.py --output $(GEN)/gate && touch $(GATE_GEN)

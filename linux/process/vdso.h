// SPDX-License-Identifier: MIT
// The vDSO: code and clock data that the kernel lends to every program. Private to linux/.
#pragma once
struct vm_space;
void vdso_init(void);
int vdso_map(struct vm_space *s); // sets s->vdso; 0 or -ENOMEM

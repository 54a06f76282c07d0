// SPDX-License-Identifier: MIT
// The bytes of the vDSO (mk/vdso.mk), in whole pages.
	.section .rodata.vdso, "a"
	.balign 4096
	.globl vdso_image, vdso_image_end
vdso_image:
	.incbin "vdso.so"
	.balign 4096
vdso_image_end:
	.section .note.GNU-stack, "", %progbits

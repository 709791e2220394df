/* SPDX-License-Identifier: BSD-2-Clause */
/* guest.c, linked and made flat, inside the VMM. */
	.section .rodata
	.globl kernel_image, kernel_image_end
	.balign 16
kernel_image:
	.incbin "kernel.bin"
kernel_image_end:
	.section .note.GNU-stack, "", @progbits

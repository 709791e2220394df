/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tiny guest can do.  It is copied to CODE_GPA and runs at HIGH + CODE_GPA, so
 * it only uses relative addresses.
 */
	.section .rodata
	.globl guest_start, guest_end, guest_wrmsr, guest_cpuid, guest_hypercall, guest_out
	.globl guest_spin, guest_entry, guest_poll, guest_loop_hypercall, guest_loop_out
guest_start:

guest_wrmsr:		/* rcx, rdx:rax */
	wrmsr
	out	%al, $0x77
guest_cpuid:
	cpuid
	out	%al, $0x77
guest_hypercall:
	out	%eax, $0x7e
	out	%al, $0x77
guest_out:		/* dx */
	out	%al, %dx
	out	%al, $0x77
guest_spin:		/* until rbx's target is not 0 */
	incq	8(%rbx)
	cmpq	$0, (%rbx)
	je	guest_spin
	out	%al, $0x77
guest_loop_hypercall:	/* rbp times */
	mov	%r14, %rax
	out	%eax, $0x7e
	dec	%rbp
	jnz	guest_loop_hypercall
	out	%al, $0x77
guest_loop_out:
	out	%al, %dx
	dec	%rbp
	jnz	guest_loop_out
	out	%al, $0x77

/*
 * A nested call: rdi token, rsi handler and context, rdx payload length, arguments in
 * rcx, r8-r12.  All registers are clobbered on purpose.
 */
guest_entry:
	cmp	$5, %esi
	jne	1f
	mov	%rdi, %rsi
	movabs	$0x1122334455667788, %rdi
	xor	%edx, %edx
	mov	$1, %eax
	out	%eax, $0x7e
	ud2
1:
	push	%rdi		/* the stack must be there */
	cmp	$2, %esi
	je	hang
	cmp	$4, %esi
	je	fail
	cmp	$6, %esi
	je	state
	cmp	$7, %esi
	je	liar
	xor	%edx, %edx
	lea	(%rcx,%r8), %rax
	add	%r9, %rax
	add	%r10, %rax
	add	%r11, %rax
	add	%r12, %rax
	xor	%r8, %rcx
	xor	%r9, %rcx
	xor	%r10, %rcx
	xor	%r11, %rcx
	xor	%r12, %rcx
	mov	%rax, %r8
	mov	%rcx, %r9
back:
	pop	%rsi
	movabs	$0x1122334455667788, %rdi
	mov	$0xdead, %ebx
	mov	%rbx, %rbp
	mov	%rbx, %r10
	mov	%rbx, %r11
	mov	%rbx, %r12
	mov	%rbx, %r13
	mov	%rbx, %r14
	mov	%rbx, %r15
	mov	$1, %eax
	out	%eax, $0x7e
	ud2
state:
	xor	%edx, %edx
	pushf
	pop	%r8
	mov	%gs:16, %r9
	jmp	back
liar:			/* somebody else's token first; what came of it is the result */
	lea	1(%rdi), %rsi
	movabs	$0x1122334455667788, %rdi
	mov	$1, %eax
	out	%eax, $0x7e
	xor	%edx, %edx
	mov	%rax, %r8
	jmp	back
hang:
	jmp	hang
fail:
	xor	%edx, %edx
	sub	%ecx, %edx
	jmp	back

/*
 * Stands in for the doorbell's interrupt: rbx is the call area.  Waits for a request in
 * slot 1, answers it with the sum of the first two arguments, and tells.
 */
guest_poll:
	mov	4096 + 32 + 80(%rbx), %rcx	/* token */
	cmp	64 + 32(%rbx), %rcx		/* answered already */
	je	guest_poll
	mov	4096 + 32 + 80 + 24(%rbx), %r8
	add	4096 + 32 + 80 + 32(%rbx), %r8
	mov	%r8, 64 + 32 + 16(%rbx)
	movl	$0, 64 + 32 + 8(%rbx)
	movl	$5, 64 + 32 + 12(%rbx)
	movl	$0x6c6c6568, 8192 + 4096(%rbx)	/* "hello" */
	movb	$0x6f, 8192 + 4096 + 4(%rbx)
	mov	%rcx, 64 + 32(%rbx)
	movabs	$0x1122334455667788, %rdi
	mov	$0, %esi
	mov	$2, %eax
	out	%eax, $0x7e
	out	%al, $0x77
guest_end:

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the VMM starts a nested call: on a stack of its own, interrupts off; the VMM has
 * saved the interrupted registers.  No code calls this, and it never returns.
 */
#include <linux/linkage.h>
#include <asm/ibt.h>

#include <symkit/compat.h>

#define PORT		0x7e	/* SYM_PORT; dispatch.c checks these */
#define HC_RETURN	1	/* SYM_HC_RETURN */

	.text
SYM_CODE_START(sym_nested_entry)
	UNWIND_HINT_END_OF_STACK
	ENDBR
	/* struct sym_nested from its end; 96 bytes keep the stack aligned to 16. */
	pushq	$0		/* value[1] */
	pushq	$0		/* value[0] */
	pushq	$0		/* reply_len, status */
	pushq	%r12		/* arg[5] */
	pushq	%r11
	pushq	%r10
	pushq	%r9
	pushq	%r8
	pushq	%rcx		/* arg[0] */
	pushq	%rdx		/* payload_len */
	pushq	%rsi		/* context, handler */
	pushq	%rdi		/* token */
	movq	%rsp, %rdi
	xorl	%ebp, %ebp
	call	sym_nested_run
	movq	sym_vmm(%rip), %rdi	/* the cookie */
	movq	(%rsp), %rsi
	movq	72(%rsp), %rdx
	movq	80(%rsp), %r8
	movq	88(%rsp), %r9
	movl	$HC_RETURN, %eax
	outl	%eax, $PORT
	/* The VMM did not accept the return, so there is nowhere to return to. */
	ud2
SYM_CODE_END(sym_nested_entry)

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Jumps to functions of the kernel by a return, which needs no ENDBR at the target, and from
 * the kernel's fault handler to ours.
 */
#include <linux/linkage.h>
#include <asm/ibt.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

#define PASS	0x40000000	/* SYMSWAP_PASS */

.macro GOTO name
	pushq	symswap_p_\name(%rip)
	UNWIND_HINT_FUNC
	RET
.endm

/* The arguments are unchanged, including those on the stack. */
.macro THROUGH name
SYM_FUNC_START(symswap_k_\name)
	GOTO \name
SYM_FUNC_END(symswap_k_\name)
.endm

	.text
THROUGH flush
THROUGH get_slot
THROUGH free_slot
THROUGH lru_add
THROUGH lru_del
THROUGH zswap_never
THROUGH lookup
THROUGH swap_count
THROUGH cached
THROUGH gup
THROUGH swapoff
THROUGH swapoff_ia32
THROUGH look_around
THROUGH hmm

/* ftrace redirects calls of do_swap_page(vmf) here. */
SYM_FUNC_START(symswap_h_fault)
	ENDBR
	pushq	%rdi
	call	symswap_fault
	popq	%rdi
	testl	$PASS, %eax
	jnz	1f
	RET
1:
	GOTO fault
SYM_FUNC_END(symswap_h_fault)

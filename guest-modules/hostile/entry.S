/* SPDX-License-Identifier: GPL-2.0 */
/* Where the VMM starts a nested call. */
#include <linux/linkage.h>
#include <asm/ibt.h>

#include <symkit/compat.h>

	.text
SYM_CODE_START(hostile_entry)
	UNWIND_HINT_END_OF_STACK
	ENDBR
	xorl	%ebp, %ebp
	call	hostile_run
	ud2
SYM_CODE_END(hostile_entry)

/* SPDX-License-Identifier: GPL-2.0 */
/* Where the VMM starts a nested call. */
#include <linux/linkage.h>
#include <linux/version.h>
#include <asm/ibt.h>
#include <asm/unwind_hints.h>

	.text
SYM_CODE_START(hostile_entry)
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	UNWIND_HINT_END_OF_STACK
#else
	UNWIND_HINT_EMPTY
#endif
	ENDBR
	xorl	%ebp, %ebp
	call	hostile_run
	ud2
SYM_CODE_END(hostile_entry)

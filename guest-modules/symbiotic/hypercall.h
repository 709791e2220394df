/* SPDX-License-Identifier: GPL-2.0 */
/* The instruction that calls the VMM. */
#ifndef SYMBIOTIC_HYPERCALL_H
#define SYMBIOTIC_HYPERCALL_H

#include <linux/types.h>

#include <symkit/kernel.h>

/*
 * The port is part of the instruction: DX has an argument.  Any handler may run during this
 * instruction, hence the memory clobber; registers are preserved.
 */
static __always_inline long sym_out(u64 cookie, u32 nr, u64 a, u64 b, u64 c)
{
	register u64 r8 asm("r8") = c;
	register u64 r9 asm("r9") = 0;
	register u64 r10 asm("r10") = 0;
	u64 rax = nr;

	asm volatile("outl %%eax, %[port]"
		     : "+a"(rax)
		     : "D"(cookie), "S"(a), "d"(b), "r"(r8), "r"(r9),
		       "r"(r10), [port] "N"(SYM_PORT)
		     : "memory");
	return rax;
}

#endif

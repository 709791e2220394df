// SPDX-License-Identifier: GPL-2.0
/* Handlers of nested calls that violate the rules. */
#include <linux/compiler.h>
#include <linux/string.h>
#include <asm/processor-flags.h>

#include "hostile.h"

u64 hostile_token;
u32 hostile_runs;
u32 hostile_waiting;

static notrace void hostile_return(u64 token, u64 cookie, u64 status_and_len)
{
	hostile_call(SYM_HC_RETURN, cookie, token, status_and_len, 42, 0);
}

/* All hypercalls, valid and not, while a call is open. */
static notrace void hostile_many_calls(void)
{
	u32 nr;

	for (nr = 0; nr < 8; nr++)
		if (nr != SYM_HC_RETURN)
			hostile_call(nr, HOSTILE_COOKIE, ~0ull, ~0ull, ~0ull, ~0ull);
	hostile_call(SYM_HC_CHANGED, HOSTILE_COOKIE, SYM_CHANGED_HANDLERS, 0, 0, 0);
	hostile_call(SYM_HC_COMPLETE, HOSTILE_COOKIE, 0, 0, 0, 0);
	hostile_call(SYM_HC_SERVICE, HOSTILE_COOKIE, 1, 2, 3, 4);
	hostile_call(SYM_HC_SERVICE + 99, HOSTILE_COOKIE, 1, 2, 3, 4);
	asm volatile("outb %%al, $0x99" : : "a"(0));
}

static notrace void hostile_string(void)
{
	const void *from = hostile.spy;
	u64 count = ~0ull;

	asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x99) : "memory");
}

static notrace void hostile_wait(void)
{
	u32 i;

	WRITE_ONCE(hostile_waiting, 1);
	for (i = 0; READ_ONCE(hostile_waiting) == 1 && i < 1u << 30; i++)
		cpu_relax();
}

/* Interrupts stay off, and the only way back is by the VMM. */
notrace void hostile_run(u64 token, u64 what, u64 len)
{
	WRITE_ONCE(hostile_token, token);
	WRITE_ONCE(hostile_runs, hostile_runs + 1);
	switch (READ_ONCE(hostile.mode)) {
	case MODE_HANG:
		for (;;)
			cpu_relax();
	case MODE_HALT:
		for (;;)
			asm volatile("hlt");
	case MODE_TOKEN:
		hostile_return(token ^ 1, HOSTILE_COOKIE, 0);
		hostile_return(0, HOSTILE_COOKIE, 0);
		hostile_return(token - 1, HOSTILE_COOKIE, 0);
		hostile_return(token, HOSTILE_COOKIE ^ 1, 0);
		break;
	case MODE_STATUS:
		hostile_return(token, HOSTILE_COOKIE, 0xffffffff00000007ull);
		break;
	case MODE_CALLS:
		hostile_many_calls();
		break;
	case MODE_COOKIE:
		hostile_wrmsr(SYM_MSR_COOKIE, HOSTILE_COOKIE);
		break;
	case MODE_LEAVE:
		hostile_wrmsr(SYM_MSR_COOKIE, 0);
		break;
	case MODE_AREA:
		hostile_wrmsr(SYM_MSR_CALL_AREA, 0);
		break;
	case MODE_STRING:
		hostile_string();
		break;
	case MODE_OTHER:
		hostile_wait();
		break;
	case MODE_FLAGS:
		asm volatile("pushfq; orq %0, (%%rsp); popfq"
			     :
			     : "i"(X86_EFLAGS_DF | X86_EFLAGS_AC | X86_EFLAGS_ID)
			     : "memory", "cc");
		break;
	case MODE_FAULT:
		return; /* to ud2 */
	}
	hostile_return(token, HOSTILE_COOKIE, 0);
}

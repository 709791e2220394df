// SPDX-License-Identifier: GPL-2.0
/* Hypercalls, returns and results that are not valid. */
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "hostile.h"

static void hostile_expect(long got, long wanted)
{
	if (got == wanted)
		hostile.refused++;
	else
		hostile.accepted++;
}

/* "mode N": what nested handlers do from now on. */
static long hostile_mode(u64 mode)
{
	if (mode >= MODES)
		return -EINVAL;
	WRITE_ONCE(hostile.mode, mode);
	return hostile_register();
}

/* Returns without a call: none was made, it is another CPU's, or it has returned. */
static long hostile_returns(u64 arg)
{
	int err = hostile_register();
	u64 last = READ_ONCE(hostile_token);

	hostile_expect(hostile_call(SYM_HC_RETURN, HOSTILE_COOKIE, 0, 0, 0, 0), -EINVAL);
	hostile_expect(hostile_call(SYM_HC_RETURN, HOSTILE_COOKIE, 1, 0, 0, 0), -EINVAL);
	hostile_expect(hostile_call(SYM_HC_RETURN, HOSTILE_COOKIE, last, 0, 0, 0), -EINVAL);
	hostile_expect(hostile_call(SYM_HC_RETURN, HOSTILE_COOKIE, last + 1, 0, 0, 0), -EINVAL);
	hostile_expect(hostile_call(SYM_HC_RETURN, HOSTILE_COOKIE,
				    (u64)hostile.generation << 32 | 1, 0, 0, 0),
		       -EINVAL);
	hostile_expect(hostile_call(SYM_HC_COMPLETE, HOSTILE_COOKIE, 1000, 0, 0, 0), -EINVAL);
	hostile_expect(hostile_call(SYM_HC_COMPLETE, HOSTILE_COOKIE, ~0ull, 0, 0, 0), -EINVAL);
	hostile_expect(hostile_call(SYM_HC_NOP, HOSTILE_COOKIE ^ 1, 0, 0, 0, 0), -EPERM);
	hostile_expect(hostile_call(SYM_HC_NOP, 0, 0, 0, 0, 0), -EPERM);
	hostile_expect(hostile_call(SYM_HC_RETURN, 0, last, 0, 0, 0), -EPERM);
	hostile_expect(hostile_call(99, HOSTILE_COOKIE, 0, 0, 0, 0), -ENOSYS);
	hostile_expect(hostile_call(~0u, HOSTILE_COOKIE, 0, 0, 0, 0), -ENOSYS);
	return err;
}

/* "wrong N": N hypercalls with a wrong cookie. */
static long hostile_wrong(u64 times)
{
	int err = hostile_register();

	while (times--)
		hostile_expect(hostile_call(SYM_HC_NOP, times, 0, 0, 0, 0), -EPERM);
	return err;
}

/* "calls N", "ports N": exits in which a service makes a call. */
static long hostile_services(u64 times)
{
	while (times--) {
		hostile_call(SYM_HC_SERVICE, HOSTILE_COOKIE, 1, 2, 3, 4);
		cond_resched();
	}
	return 0;
}

static long hostile_ports(u64 times)
{
	while (times--) {
		outb(0, 0x99);
		cond_resched();
	}
	return 0;
}

/* The same with interrupts off: a CPU that halts here never wakes up. */
static long hostile_ports_off(u64 times)
{
	unsigned long flags;

	while (times--) {
		local_irq_save(flags);
		outb(0, 0x99);
		local_irq_restore(flags);
	}
	return 0;
}

/* "other MS": return in place of the handler that runs on another CPU. */
static long hostile_other(u64 ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	long met = 0;

	while (time_before(jiffies, end)) {
		if (READ_ONCE(hostile_waiting) == 1) {
			hostile_expect(hostile_call(SYM_HC_RETURN, HOSTILE_COOKIE,
						    READ_ONCE(hostile_token), 0, 0, 0),
				       -EINVAL);
			WRITE_ONCE(hostile_waiting, 2);
			met++;
		}
		cond_resched();
	}
	return met;
}

static void hostile_post(struct sym_call_area *area, u32 lie)
{
	u32 i;

	for (i = 0; i < SYM_CALL_SLOTS; i++) {
		struct sym_call_result *result = &area->guest.result[i];
		u64 token = READ_ONCE(area->host.request[i].token);

		*result = (struct sym_call_result){
			.status = lie & 1 ? 7 : INT_MIN,
			.payload_len = ~0u,
			.value = { ~0ull, ~0ull },
		};
		if (lie % 5 == 1)
			token ^= 1;
		else if (lie % 5 == 2)
			token = get_random_u64();
		smp_store_release(&result->token, token);
	}
}

/* "post MS": wrong results, for all vCPUs, from this CPU. */
static long hostile_posts(u64 ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	int err = hostile_register();
	u32 lie = 0, i;

	while (time_before(jiffies, end)) {
		for (i = 0; i < HOSTILE_CPUS; i++) {
			hostile_post(hostile.cpu[i].area, lie++);
			hostile_call(SYM_HC_COMPLETE, HOSTILE_COOKIE, i, 0, 0, 0);
		}
		hostile_call(SYM_HC_COMPLETE, HOSTILE_COOKIE, 1000, 0, 0, 0);
		cond_resched();
	}
	return err;
}

/* "changes N": reports N changes. */
static long hostile_changes(u64 times)
{
	int err = hostile_register();

	while (times--) {
		hostile_ready();
		cond_resched();
	}
	return err;
}

/* "random MS": random MSRs of ours, hypercalls and arguments. */
static long hostile_random(u64 ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	int err = hostile_register();

	while (time_before(jiffies, end)) {
		u32 dice = get_random_u32();
		u64 gpa = (u64)(get_random_u32() & 0xfffff) << 12 | 1;
		void *own = hostile.cpu[dice % HOSTILE_CPUS].area;

		/* Areas that the VMM writes to must be our own memory. */
		if (dice % 3 == 0)
			hostile_wrmsr(dice % 16 == SYM_MSR_SPY_GUEST ? dice % 16 :
								       SYM_MSR_SPY_VCPU,
				      gpa);
		else if (dice % 3 == 1)
			hostile_wrmsr(SYM_MSR_SPY_GUEST + dice % 4, virt_to_phys(own) | 1);
		hostile_call(dice % 5, HOSTILE_COOKIE, get_random_u64() >> dice % 64,
			     get_random_u64(), get_random_u64(), get_random_u64());
		cond_resched();
	}
	return err;
}

static long hostile_gone(u64 arg)
{
	hostile_leave();
	return 0;
}

const struct hostile_command hostile_calls[] = {
	{ "mode", hostile_mode },	{ "returns", hostile_returns },
	{ "wrong", hostile_wrong },	{ "calls", hostile_services },
	{ "ports", hostile_ports },	{ "ports-off", hostile_ports_off },
	{ "other", hostile_other },	{ "posts", hostile_posts },
	{ "changes", hostile_changes }, { "random", hostile_random },
	{ "leave", hostile_gone },	{}
};

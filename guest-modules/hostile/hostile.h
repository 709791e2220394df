/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations shared by the files of symhostile.ko. */
#ifndef SYMHOSTILE_H
#define SYMHOSTILE_H

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/types.h>
#include <asm/msr.h>

#include <symkit/compat.h>
#include <symkit/kernel.h>

#define HOSTILE_CPUS   8
#define HOSTILE_COOKIE 0x600dc0ffee15bad5ull
#define HOSTILE_STACK  16384u

struct hostile_cpu {
	struct sym_spy_vcpu *page;
	struct sym_call_area *area;
	void *stack;
};

/* The registration, and how the VMM reacted to the attempts. */
struct hostile {
	u32 msr;
	u32 offered;
	u32 generation;
	u8 *spy;
	u8 *show;
	struct hostile_cpu cpu[HOSTILE_CPUS];
	u64 end_of_ram;
	u32 mode; /* what a nested handler does: enum hostile_mode */
	u32 refused, accepted;
};
extern struct hostile hostile;

/* register.c */
int hostile_wrmsr(u32 msr, u64 value);
void hostile_try(u32 msr, u64 value);
void hostile_setup(struct sym_call_area *area, unsigned int cpu);
void hostile_spy_page(void);
void hostile_vcpu_page(struct sym_spy_vcpu *page);
int hostile_register(void);
void hostile_leave(void);
long hostile_call(u32 nr, u64 cookie, u64 a, u64 b, u64 c, u64 d);
void hostile_ready(void);
int hostile_alloc(void);
void hostile_free(void);

/* A violation: @arg is the command's number.  Its result is shown. */
typedef long (*hostile_fn)(u64 arg);

struct hostile_command {
	const char *name;
	hostile_fn fn;
};

extern const struct hostile_command hostile_pages[], hostile_calls[];

/* nested.c */
enum hostile_mode {
	MODE_GOOD,
	MODE_HANG,
	MODE_HALT,
	MODE_TOKEN, /* a return with a wrong token first, and with a wrong cookie */
	MODE_STATUS, /* an invalid status and length */
	MODE_CALLS, /* hypercalls in the middle */
	MODE_COOKIE, /* a new registration in the middle */
	MODE_LEAVE, /* cookie 0 in the middle */
	MODE_AREA, /* unregisters the call area in the middle */
	MODE_STRING, /* an endless string instruction */
	MODE_OTHER, /* waits for another CPU to return in its place */
	MODE_FLAGS, /* returns with other flags */
	MODE_FAULT, /* an invalid instruction: the guest crashes */
	MODES,
};

extern u64 hostile_token; /* of the current nested call, or the last one */
extern u32 hostile_runs;
extern u32 hostile_waiting; /* MODE_OTHER: 1 while it does */

void hostile_entry(void);
void hostile_run(u64 token, u64 what, u64 len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine of one vCPU that runs a few instructions in 64-bit mode, with the symbiotic
 * interface: for tests and figures on any /dev/kvm.
 */
#ifndef TESTS_TINY_MACHINE_H
#define TESTS_TINY_MACHINE_H

#include "machine/vcpu.h"
#include "machine/vm.h"
#include "sym/host.h"

/* All of memory is seen at HIGH too, where a kernel would be. */
#define HIGH	   0xffff800000000000ull
#define CODE_GPA   0x10000ull
#define STACK_GPA  0x20000ull /* its end */
#define CALL_STACK 0x30000ull
#define SPY_GPA	   0x40000ull
#define SHOW_GPA   0x50000ull
#define TASK_GPA   0x51000ull
#define AREA_GPA   0x60000ull
#define COOKIE	   0x1122334455667788ull
#define DONE_PORT  0x77

/* Handlers of the guest (machine_guest.S). */
#define HANDLER_ADD   1 /* exit, kick, interrupt: sum of the arguments, and their xor */
#define HANDLER_HANG  2 /* exit, kick: never returns */
#define HANDLER_IRQ   3 /* interrupt only */
#define HANDLER_FAIL  4 /* exit, kick: -arg0 */
#define HANDLER_STATE 6 /* exit, kick: its flags, and the word at GS + 16 */
#define HANDLER_LIAR  7 /* exit: what a return with a wrong token gave */
#define HANDLER_NOP   5 /* exit, kick: nothing, in the fewest instructions */

/* Entry points of the guest's code. */
extern const char guest_start[], guest_end[];
extern const char guest_wrmsr[], guest_cpuid[], guest_hypercall[], guest_out[], guest_spin[],
	guest_entry[], guest_poll[], guest_loop_hypercall[], guest_loop_out[];

struct machine {
	struct vm vm;
	struct sym *sym;
	struct sym_event last; /* with its text copied */
	char text[200];
	unsigned int events;
	unsigned int ioctls; /* of the interface, beside KVM_RUN */
	bool done;
	uint64_t cr3; /* for the next machine_set() */
};

/* machine_create - with memory, guest code, and one vCPU; 0 or -1.  One at a time. */
int machine_create(struct machine *m);
void machine_destroy(struct machine *m);

/* machine_other_kernel - page tables that map the kernel's half elsewhere, from now on. */
void machine_other_kernel(struct machine *m);

/* machine_set - the vCPU at @entry in ring @ring with @regs (rip and rsp are set here). */
void machine_set(struct machine *m, const char *entry, int ring, struct kvm_regs *regs);
void machine_get(struct machine *m, struct kvm_regs *regs, struct kvm_sregs *sregs);

/* machine_run - until the guest writes to DONE_PORT; 0, or what stopped it before. */
int machine_run(struct machine *m);

/* machine_wrmsr - 0, or -1 when the guest took #GP. */
int machine_wrmsr(struct machine *m, uint32_t index, uint64_t value);

/* machine_hypercall - with @cookie; its result. */
int64_t machine_hypercall(struct machine *m, uint64_t cookie, uint32_t nr, uint64_t arg);

/* machine_register - all of it, as a guest module would. */
void machine_register(struct machine *m);

void *machine_mem(struct machine *m, uint64_t gpa);

#endif

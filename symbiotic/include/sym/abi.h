/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The guest-VMM interface, version 1: all that the two sides must agree on, for the
 * VMM, the guest's kernel modules, the tests and the fuzzers.  docs/abi.md explains it.
 *
 * A reader of memory that the other side writes copies it once, then checks the copy, then
 * uses it.  All numbers are little-endian; all text is NUL-terminated, or fills its field.
 */
#ifndef SYM_ABI_H
#define SYM_ABI_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>
#define SYM_ABI_ASSERT(what) static_assert(what)
#else
#include <linux/types.h>
#include <stddef.h>
#ifdef __cplusplus
#define SYM_ABI_ASSERT(what) static_assert(what, #what)
#else
#define SYM_ABI_ASSERT(what) _Static_assert(what, #what)
#endif
#endif

#define SYM_ABI_VERSION 1

/*
 * Discovery.  The signature is in EBX, ECX, EDX of a hypervisor leaf at 0x40000000 +
 * n * 0x100; EAX is the last leaf.  The leaf after it: EAX is the ABI version, EBX the
 * features offered, ECX the first MSR, EDX the hypercall port (15:0) and the
 * doorbell's GSI (31:16), an edge-triggered, active-high line of the IOAPIC.
 */
#define SYM_CPUID_SIGNATURE "SymbioticVMM"
#define SYM_CPUID_BASE	    0x40000200u /* where this implementation puts it */
#define SYM_CPUID_FEATURES  1 /* offset from the signature's leaf */

#define SYM_FEATURE_SPY	     (1u << 0) /* SymSpy pages, both ways */
#define SYM_FEATURE_CALL     (1u << 1) /* hypercalls; SymCall in exit and kick context */
#define SYM_FEATURE_DOORBELL (1u << 2) /* SymCall in interrupt and thread context */
#define SYM_FEATURE_MODULES  (1u << 3) /* SymMod: the VMM may install modules */
#define SYM_FEATURE_WINDOW   (1u << 4) /* SwapBypass: the VMM lends memory to swap to */

/*
 * MSRs, for registration.  A write that is not valid takes #GP and changes nothing;
 * so does any other MSR of the range.
 */
#define SYM_MSR_BASE 0x53594d00u /* where this implementation puts them */
#define SYM_NR_MSRS  16
/*
 * Write a cookie that is not 0: a guest module starts, all registrations of an earlier
 * one are dropped, and a new generation begins.  Write 0: the module leaves.
 * Read: the generation.
 */
#define SYM_MSR_COOKIE 0
/* Write: the features that the guest acknowledges.  Read: those that are granted. */
#define SYM_MSR_FEATURES 1
/* GPA | SYM_MSR_ENABLE of memory in one piece, all of it RAM; 0 unregisters it. */
#define SYM_MSR_SPY_GUEST 2 /* SYM_SPY_GUEST_SIZE bytes, guest to VMM */
#define SYM_MSR_SPY_HOST  3 /* a page, VMM to guest */
#define SYM_MSR_SPY_VCPU  4 /* a page for this vCPU, guest to VMM */
#define SYM_MSR_CALL_AREA 5 /* struct sym_call_area for this vCPU */
#define SYM_MSR_ENABLE	  1ull

/*
 * Hypercalls: outl to the port with the number in EAX and the cookie in RDI; arguments
 * in RSI, RDX, R8, R9, R10; RAX has the result or a negative errno.  -EPERM: the wrong
 * cookie; -ENOSYS: no such hypercall.
 */
#define SYM_PORT   0x7e
#define SYM_HC_NOP 0
/*
 * A SymCall handler that was nested in an exit has ended.  RSI: the token; RDX: status
 * (31:0) and length of the reply (63:32); R8, R9: the two results.  Does not return;
 * -EINVAL if there is no such call.
 */
#define SYM_HC_RETURN 1
/* Results of the vCPU number RSI are posted in its call area. */
#define SYM_HC_COMPLETE 2
/* The guest's page has changed; RSI: SYM_CHANGED_*. */
#define SYM_HC_CHANGED 3
#define SYM_HC_SERVICE 0x100u /* from here on: for services */

#define SYM_CHANGED_READY    (1u << 0) /* registration is complete */
#define SYM_CHANGED_HANDLERS (1u << 1)
#define SYM_CHANGED_MODULES  (1u << 2)

#define SYM_PAGE_SIZE 4096u

/*
 * SymSpy.  Each area has one writer.  It makes the sequence odd, writes, and makes it
 * even again; a reader that finds it odd, or changed at the end, tries again.  Items
 * follow the header, each at a multiple of 8; a reader skips types it does not know.
 */
#define SYM_SPY_MAGIC	   0x59505353u /* "SSPY" */
#define SYM_SPY_GUEST_SIZE 16384u

enum sym_spy_kind {
	SYM_SPY_GUEST = 1, /* guest to VMM, one for the guest */
	SYM_SPY_VCPU = 2, /* guest to VMM, one for each vCPU */
	SYM_SPY_HOST = 3, /* VMM to guest */
};

struct sym_spy_header {
	__u32 magic;
	__u16 version; /* SYM_ABI_VERSION */
	__u16 kind; /* enum sym_spy_kind */
	__u32 size; /* of the whole area */
	__u32 used; /* header and items */
	__u32 generation;
	__u32 sequence;
	__u64 reserved;
};
SYM_ABI_ASSERT(sizeof(struct sym_spy_header) == 32);

struct sym_item {
	__u16 type; /* SYM_ITEM_* */
	__u16 reserved;
	__u32 len; /* of the value, which follows */
};
SYM_ABI_ASSERT(sizeof(struct sym_item) == 8);
#define SYM_ITEM_ALIGN(len) (((len) + 7u) & ~7u)

/* Guest to VMM, for the whole guest. */
#define SYM_ITEM_KERNEL	      1
#define SYM_ITEM_ANCHORS      2
#define SYM_ITEM_MEMORY	      3
#define SYM_ITEM_MODULE	      4 /* one for each symbiotic module */
#define SYM_ITEM_HANDLER      5 /* one for each SymCall handler */
#define SYM_ITEM_VALUE	      6 /* one for each item that a module or program exports */
#define SYM_ITEM_WINDOW_STATE 7
/* Guest to VMM, for a vCPU. */
#define SYM_ITEM_TASK 16
/* VMM to guest. */
#define SYM_ITEM_VM	  32
#define SYM_ITEM_FEATURES 33
#define SYM_ITEM_PRESSURE 34
#define SYM_ITEM_SERVICE  35 /* one for each value that a service shows the guest */
#define SYM_ITEM_WINDOW	  36

struct sym_item_kernel {
	char release[64]; /* uname -r */
	char version[128];
	__u32 nr_cpus;
	__u32 reserved;
};
SYM_ABI_ASSERT(sizeof(struct sym_item_kernel) == 200);

/* Addresses for examining the guest from outside; 0: unknown to the guest. */
struct sym_item_anchors {
	__u64 vmcoreinfo_gpa; /* of the note */
	__u64 page_offset; /* GVA of GPA 0 in the kernel's linear map */
	__u64 page_array; /* GVA of the array of struct page (vmemmap) */
	__u64 phys_base; /* GPA = GVA - __START_KERNEL_map + phys_base, in the kernel image */
	__u64 cr3_user_bits; /* set in CR3 while the user's page tables are in use */
	__u64 reserved[3];
};
SYM_ABI_ASSERT(sizeof(struct sym_item_anchors) == 64);

struct sym_item_memory { /* bytes */
	__u64 total;
	__u64 free;
	__u64 available;
	__u64 cached;
	__u64 swap_total;
	__u64 swap_free;
	__u64 uptime_ms; /* of the guest, when this was written */
	__u64 reserved;
};
SYM_ABI_ASSERT(sizeof(struct sym_item_memory) == 64);

#define SYM_NAME_LEN 56

struct sym_item_module {
	char name[SYM_NAME_LEN];
	__u32 flags;
	__u32 reserved;
};
SYM_ABI_ASSERT(sizeof(struct sym_item_module) == 64);
#define SYM_MODULE_INSTALLED (1u << 0) /* by the VMM */

struct sym_item_handler {
	char name[SYM_NAME_LEN];
	__u32 number; /* identifies it in calls; not reused within a generation */
	__u32 contexts; /* SYM_CONTEXT_* it may be called in */
};
SYM_ABI_ASSERT(sizeof(struct sym_item_handler) == 64);

#define SYM_VALUE_MAX 64

struct sym_item_value { /* the value may be shorter, by the item's len */
	char name[32];
	char comm[16]; /* the program's, or the module's name */
	__u32 pid; /* 0: a module */
	__u32 reserved;
	__u8 value[SYM_VALUE_MAX];
};
SYM_ABI_ASSERT(offsetof(struct sym_item_value, value) == 56);

/*
 * SwapBypass.  The window is memory of the VMM at a GPA outside RAM; its page i is slot i
 * of a swap device in the guest.
 */
#define SYM_WINDOW_OFF	  0 /* nothing is swapped to it */
#define SYM_WINDOW_DEVICE 1 /* a synchronous swap device, and no more */
#define SYM_WINDOW_BYPASS 2 /* its pages are mapped where they were swapped out */

struct sym_item_window_state { /* how the guest uses it, in pages */
	__u32 level; /* the current SYM_WINDOW_* */
	__u32 reserved;
	char reason[96]; /* why it is not what the VMM wants; "" */
	__u64 slots; /* that the guest may use, within the limit */
	__u64 used; /* of these, in use */
	__u64 mapped; /* of those in use, mapped in a process now */
	__u64 held; /* kept out of use because of the limit */
	__u64 lent; /* written, and not given back since */
	__u64 maps; /* faults served by mapping, so far */
	__u64 restores; /* mappings taken back, so far */
	__u64 passed; /* faults left to the guest's kernel, so far */
	__u64 reads; /* through the device, so far */
	__u64 writes;
	__u64 processes; /* that may have pages mapped */
	__u64 idle; /* of those lent, of slots that are not in use */
	__u64 cold; /* of those mapped, not used for the last seconds, sampled */
};
SYM_ABI_ASSERT(sizeof(struct sym_item_window_state) == 208);

/* The only item of a vCPU's page, directly after the header. */
struct sym_item_task {
	__u32 pid; /* of the thread, in the guest's first namespace; 0: idle */
	__u32 tgid;
	char comm[16];
	__u64 task; /* GVA of its task_struct */
	__u64 root; /* GPA of its page table; 0: a kernel thread's */
	__u64 switches; /* context switches so far */
};
SYM_ABI_ASSERT(sizeof(struct sym_item_task) == 48);

struct sym_spy_vcpu {
	struct sym_spy_header head;
	struct sym_item item;
	struct sym_item_task task;
};
SYM_ABI_ASSERT(offsetof(struct sym_spy_vcpu, task) == 40);

struct sym_item_vm {
	char name[72];
	char uuid[40];
	__u32 reserved[2];
};
SYM_ABI_ASSERT(sizeof(struct sym_item_vm) == 120);

struct sym_item_features {
	__u32 granted; /* SYM_FEATURE_* */
	__u32 reserved;
};

struct sym_item_pressure { /* the host's, as in /proc/pressure: hundredths of a percent */
	__u32 memory_some_avg10;
	__u32 memory_full_avg10;
	__u32 cpu_some_avg10;
	__u32 io_some_avg10;
};

struct sym_item_service {
	char name[32];
	__u8 value[SYM_VALUE_MAX]; /* may be shorter, by the item's len */
};

struct sym_item_window {
	__u64 gpa; /* of the window */
	__u64 size; /* in bytes; the first page is the device's signature */
	__u64 limit; /* bytes of it that the guest may use */
	__u32 level; /* SYM_WINDOW_*: wanted */
	__u32 reserved;
};
SYM_ABI_ASSERT(sizeof(struct sym_item_window) == 32);

/*
 * SymCall.  A context says when and how a handler runs; a call names one, and both
 * sides check that the handler may be called in it.
 */
#define SYM_CONTEXT_EXIT      (1u << 0) /* nested in an exit of this vCPU's instruction */
#define SYM_CONTEXT_INTERRUPT (1u << 1) /* in the doorbell's interrupt */
#define SYM_CONTEXT_KICK      (1u << 2) /* nested at any point of the vCPU's execution */
#define SYM_CONTEXT_THREAD    (1u << 3) /* in a kernel thread: may sleep */
#define SYM_CONTEXT_ALL	      15u

#define SYM_CALL_MAGIC	 0x4c414353u /* "SCAL" */
#define SYM_CALL_ARGS	 6
#define SYM_CALL_RESULTS 2
#define SYM_CALL_PAYLOAD 4096u
#define SYM_CALL_SLOTS	 6 /* 0: nested calls; the others: interrupt and thread */
#define SYM_CALL_NESTED	 0

/* Written by the guest before it registers the area, and read once at that time. */
struct sym_call_setup {
	__u32 magic; /* SYM_CALL_MAGIC */
	__u16 version;
	__u16 reserved;
	__u32 size; /* sizeof(struct sym_call_area) */
	__u32 generation;
	/*
	 * A nested handler starts at @entry on @stack with GS at @gs_base, CR3 without
	 * @cr3_user_bits, interrupts off, flat kernel segments @cs and @ss.
	 */
	__u64 entry;
	__u64 stack;
	__u64 gs_base;
	__u64 cr3_user_bits;
	__u16 cs;
	__u16 ss;
	__u32 cpu; /* the guest's own number for it */
};
SYM_ABI_ASSERT(sizeof(struct sym_call_setup) == 56);

struct sym_call_result {
	__u64 token; /* of the request; written last */
	__s32 status; /* 0 or a negative errno */
	__u32 payload_len; /* of the reply in the slot's payload */
	__u64 value[SYM_CALL_RESULTS];
};
SYM_ABI_ASSERT(sizeof(struct sym_call_result) == 32);

struct sym_call_request {
	__u64 token; /* changes with each request; written last */
	__u32 handler;
	__u32 context;
	__u32 payload_len;
	__u32 reserved;
	__u64 arg[SYM_CALL_ARGS];
	__u64 pad;
};
SYM_ABI_ASSERT(sizeof(struct sym_call_request) == 80);

/* Each of the first two pages has one writer; request and reply share a slot's payload. */
struct sym_call_area {
	union {
		struct {
			struct sym_call_setup setup;
			__u64 pad;
			struct sym_call_result result[SYM_CALL_SLOTS];
		};
		__u8 page0[SYM_PAGE_SIZE];
	} guest;
	union {
		struct {
			__u32 magic; /* SYM_CALL_MAGIC */
			__u32 generation;
			__u32 vcpu; /* the VMM's number of this vCPU */
			__u32 reserved;
			__u64 aborted; /* the token of the last nested call that was abandoned */
			__u64 pad;
			struct sym_call_request request[SYM_CALL_SLOTS];
		};
		__u8 page1[SYM_PAGE_SIZE];
	} host;
	__u8 payload[SYM_CALL_SLOTS][SYM_CALL_PAYLOAD];
};
SYM_ABI_ASSERT(sizeof(struct sym_call_area) == 32768);
SYM_ABI_ASSERT(offsetof(struct sym_call_area, host.request) == 4096 + 32);
SYM_ABI_ASSERT(offsetof(struct sym_call_area, payload) == 8192);

/*
 * A nested call starts with RDI: its token; RSI: handler (31:0) and context (63:32);
 * RDX: length of the payload in slot SYM_CALL_NESTED; RCX, R8, R9, R10, R11, R12: the
 * six arguments.  It ends with SYM_HC_RETURN.
 */

/*
 * SymMod: the names of its handlers, all in thread context.  A transfer may be restarted at
 * any time; it is complete only when the checksum matches.
 *
 * need:    payload: name of a module; load it by the guest's own modprobe.
 * begin:   arg0: size; arg1: xxh64 of the whole, seed 0; payload: name of the module.
 *	    results: the number of bytes received already, in an earlier try.
 * data:    arg0: offset; payload: the bytes.
 * install: payload: parameters.  The reply is the output of the guest's loader, if it failed.
 * remove:  payload: name.  The reply as above.
 * load:    arg0: milliseconds that it may take, a minute at most; payload: name of a module,
 *	    then its parameters, separated by spaces.  Run the guest's own modprobe.  The reply
 *	    as above; -EIO: it failed; -ENOENT: no modprobe; -ETIMEDOUT: it was killed.
 *
 * Older symbiotic modules have no "load".
 */
#define SYM_MOD_NEED	"symmod.need"
#define SYM_MOD_BEGIN	"symmod.begin"
#define SYM_MOD_DATA	"symmod.data"
#define SYM_MOD_INSTALL "symmod.install"
#define SYM_MOD_REMOVE	"symmod.remove"
#define SYM_MOD_LOAD	"symmod.load"
#define SYM_MOD_MAX	(16u << 20) /* bytes of a module */

/*
 * SwapBypass: the names of the guest's handlers, all in thread context.
 *
 * set:     arg0: level; arg1: limit in bytes.  Applied as far as possible: results: the level
 *	    that was reached; the reply is why it is not the one wanted.
 * stat:    update the item SYM_ITEM_WINDOW_STATE now.
 * reclaim: arg0: number of pages; arg1: the number of the request, each greater than the
 *	    last.  The reply is an array of struct sym_window_run, the first result the
 *	    number of pages in it, fewer if there are no more.  Free ones are not written
 *	    until "reclaimed", or for 15 seconds; the others have been unmapped.  A guest
 *	    that does not swap to the window names all as free, unless arg2 has
 *	    SYM_WINDOW_RECLAIM_FREE: then it names only those that became free.
 *	    -EBUSY: the last request is not "reclaimed" yet.
 * reclaimed: the VMM has finished a request.  arg0: its number; arg1: how many of the runs
 *	    were dealt with, the free ones taken; those in use it may move out later.
 */
#define SYM_WINDOW_SET	     "symswap.set"
#define SYM_WINDOW_STAT	     "symswap.stat"
#define SYM_WINDOW_RECLAIM   "symswap.reclaim"
#define SYM_WINDOW_RECLAIMED "symswap.reclaimed"

#define SYM_WINDOW_RECLAIM_FREE (1u << 0) /* no pages in use */

struct sym_window_run {
	__u32 first; /* slot */
	__u16 count; /* of slots, at least 1 */
	__u16 flags; /* SYM_WINDOW_RUN_* */
};
#define SYM_WINDOW_RUN_FREE (1u << 0) /* the contents are not needed any more */
#define SYM_WINDOW_RUNS	    (SYM_CALL_PAYLOAD / sizeof(struct sym_window_run))
SYM_ABI_ASSERT(sizeof(struct sym_window_run) == 8);

/*
 * /dev/symbiotic in the guest, for its programs.  An item belongs to one open file of a
 * program, and is removed when that is closed.
 */
struct sym_dev_value {
	char name[32];
	__u32 len; /* at most SYM_VALUE_MAX; 0 with SET: an empty value */
	__u32 reserved;
	__u8 value[SYM_VALUE_MAX];
};
SYM_ABI_ASSERT(sizeof(struct sym_dev_value) == 104);

struct sym_dev_info {
	__u32 version; /* SYM_ABI_VERSION */
	__u32 features; /* granted */
	__u32 generation;
	__u32 reserved;
	struct sym_item_vm vm;
};
SYM_ABI_ASSERT(sizeof(struct sym_dev_info) == 136);

#ifdef _IOC_WRITE /* from linux/ioctl.h, for users of the device */
#define SYM_DEV_SET   _IOW('y', 1, struct sym_dev_value)
#define SYM_DEV_CLEAR _IOW('y', 2, struct sym_dev_value) /* by name */
#define SYM_DEV_INFO  _IOR('y', 3, struct sym_dev_info)
/* Read the value that a service shows as .name: fills in .value and .len; -ENOENT. */
#define SYM_DEV_GET _IOWR('y', 4, struct sym_dev_value)
#endif

#endif

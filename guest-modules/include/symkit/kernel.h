/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For guest kernel modules that use the symbiotic interface: the functions that symbiotic.ko
 * exports (all of it EXPORT_SYMBOL_GPL).
 */
#ifndef SYMKIT_KERNEL_H
#define SYMKIT_KERNEL_H

#include <linux/module.h>
#include <linux/types.h>

#include <sym/abi.h>

struct file;

/*
 * One call, as its handler gets it.  Arguments are copies; the payload may be memory that the
 * VMM can change at any time: copy it, check the copy, then use the copy.
 */
struct sym_upcall {
	u32 context; /* SYM_CONTEXT_*, one of the handler's */
	u32 payload_len; /* bytes at @payload */
	u64 arg[SYM_CALL_ARGS];
	void *payload; /* SYM_CALL_PAYLOAD bytes; the reply goes there as well */
	/* For the handler to set; initially zero. */
	u64 result[SYM_CALL_RESULTS];
	u32 reply_len;
};

/*
 * A handler returns 0 or a negative errno.  In exit and kick context it runs like an
 * NMI handler: interrupts off on a small stack of its own, no lock that anything else
 * takes, no sleep, no fault, no FPU, and in kick context RCU may not be watching.  In
 * interrupt context it is an ordinary hard-IRQ handler, with PREEMPT_RT too: its locks are
 * raw_spinlock_t, and it allocates nothing.  In thread context it may sleep.
 */
typedef int (*sym_handler_fn)(void *arg, struct sym_upcall *call);

/*
 * sym_handler_register - let the VMM call @fn under @name (at most 55 characters, by
 * convention "module.what") in @contexts (SYM_CONTEXT_*).  May sleep.
 * Returns a handle, or ERR_PTR: -EEXIST, -EINVAL, -ENOSPC.
 */
struct sym_handler *sym_handler_register_owner(const char *name, u32 contexts, sym_handler_fn fn,
					       void *arg, struct module *owner);
#define sym_handler_register(name, contexts, fn, arg)                                            \
	sym_handler_register_owner(name, contexts, fn, arg, THIS_MODULE)

/* sym_handler_unregister - allow no new calls, and wait for running ones.  May sleep. */
void sym_handler_unregister(struct sym_handler *handler);

/*
 * sym_hypercall - call the VMM: hypercall @nr with three arguments.  Any context but
 * NMI.  Returns the VMM's result, or -ENODEV if there is no VMM (any more).
 */
long sym_hypercall(u32 nr, u64 a, u64 b, u64 c);

/*
 * sym_value_set - show the VMM @len bytes (at most SYM_VALUE_MAX) under @name, as a value of
 * this module; sym_value_clear() removes it.  May sleep.
 */
int sym_value_set_owner(const char *name, const void *value, size_t len, struct module *owner);
#define sym_value_set(name, value, len) sym_value_set_owner(name, value, len, THIS_MODULE)
void sym_value_clear(const char *name);

/*
 * sym_host_value - copy the value that a service of the VMM shows under @name, at most @len
 * bytes.  Returns the length, -ENOENT, or -EAGAIN if no consistent copy could be made.  Any
 * context.
 */
int sym_host_value(const char *name, void *value, size_t len);

/*
 * sym_host_window - the memory that the VMM lends for SwapBypass.  Returns 0, -ENOENT or
 * -EAGAIN as above.
 * sym_window_show - show the VMM how it is used; NULL removes that.  May sleep.
 */
int sym_host_window(struct sym_item_window *window);
void sym_window_show(const struct sym_item_window_state *state);

/*
 * sym_helper_run - run one of the guest's own programs and wait until it has ended; @argv[0]
 * is a plain name, looked for in the system's program folders.  @input, or NULL, is its
 * standard input.  @text gets its output.  Returns 0, a negative errno if it could not be run,
 * or -EIO if it failed.  May sleep.
 */
int sym_helper_run(const char *const *argv, struct file *input, char *text, size_t size);

/* sym_features - SYM_FEATURE_* that both sides agreed on; 0 without a VMM. */
u32 sym_features(void);

#endif

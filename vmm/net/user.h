/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User-mode networking, as it runs in a process of its own: user_process.c starts it,
 * user_sandbox.c confines it, user.c does the work.
 */
#ifndef VMM_NET_USER_H
#define VMM_NET_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/err.h"

struct user_net;

/*
 * user_net_create - start libslirp, its forwarded ports listening, for the VMM at the
 * other end of @fd (non-blocking).  0 or -errno with @err set.
 */
int user_net_create(int fd, const struct net_config *config, struct user_net **out,
		    struct err *err);

/* user_net_run - serve until the VMM closes its end. */
void user_net_run(struct user_net *un);

/*
 * user_fragment_ok - may @frame, @len bytes from the guest at @now_ns (any monotonic
 * clock), be passed on?  True unless it is an IP fragment and there were too many lately:
 * libslirp keeps each for up to 30 seconds.
 */
struct fragment_limit {
	uint64_t tokens; /* bytes */
	uint64_t last_ns;
};
bool user_fragment_ok(struct fragment_limit *limit, const uint8_t *frame, size_t len,
		      uint64_t now_ns);

/*
 * user_sandbox_limits - give up core dumps, tracing, root, and more descriptors and memory
 * than needed.  user_sandbox_enter - give up all system calls and files that are not needed.
 * 0 or -errno with @err set.
 */
int user_sandbox_limits(struct err *err);
int user_sandbox_enter(struct err *err);

#define USER_NET_FILES 512 /* descriptors, including sockets of the guest's connections */

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User-mode networking in separate processes, one for each card that uses it: without
 * access to KVM, the disks or the VM's sockets, and with limits of their own, so that
 * neither the guest nor its network peers can exhaust what the VMM needs.  Each is
 * connected to its card by a socket that carries frames (frames.h).
 *
 * A process ends when its socket is closed, and with the VMM, killed or not.  If it ends
 * earlier, the card's link goes down.
 */
#ifndef VMM_NET_USER_PROCESS_H
#define VMM_NET_USER_PROCESS_H

#include "core/config.h"
#include "core/err.h"

struct net_processes;

/*
 * net_processes_start - start one for each NET_USER card of @config; @out is NULL if there
 * is none.  Only while the calling process has one thread.  net_user_create() (backend.h)
 * reports whether the process started properly.  0, or -errno with @err set; pass @out to
 * net_processes_stop() in either case.
 */
int net_processes_start(const struct vm_config *config, struct net_processes **out,
			struct err *err);

/*
 * net_processes_stop - end and reap them, after the cards are gone.  A process that does
 * not end within a second is killed.  @np may be NULL.
 */
void net_processes_stop(struct net_processes *np);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User-mode networking in processes of its own, one for each card that wants it: with no
 * access to KVM, the disks or the VM's sockets, and limits of its own, so that neither
 * the guest nor its network peers can use up what the VMM needs.  Each is connected to
 * its card by a socket that carries frames (frames.h).
 *
 * A process ends when its socket does, and with the VMM, however that ends.  When it ends
 * before, the card's link goes down.
 */
#ifndef VMM_NET_USER_PROCESS_H
#define VMM_NET_USER_PROCESS_H

#include "core/config.h"
#include "core/err.h"

struct net_processes;

/*
 * net_processes_start - one for each card of @config that is NET_USER; @out is NULL when
 * there is none.  Only while the calling process has one thread.  Whether they could do
 * what they should is told by net_user_create() (backend.h).  0, or -errno with @err set;
 * @out is to be given to net_processes_stop() in any case.
 */
int net_processes_start(const struct vm_config *config, struct net_processes **out,
			struct err *err);

/*
 * net_processes_stop - end and reap them, after the cards are gone.  A process that does
 * not end within a second is killed.  @np may be NULL.
 */
void net_processes_stop(struct net_processes *np);

#endif

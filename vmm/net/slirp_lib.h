/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libslirp, loaded by the network process only: with glib, which it needs, it would take a
 * quarter of the memory of the VMM, which never calls it.
 */
#ifndef VMM_NET_SLIRP_LIB_H
#define VMM_NET_SLIRP_LIB_H

#include <glib.h>
#include <slirp/libslirp.h>

#include "core/err.h"

/* Its functions, by name. */
struct slirp_lib {
	__typeof__(&slirp_new) slirp_new;
	__typeof__(&slirp_input) slirp_input;
	__typeof__(&slirp_pollfds_fill) slirp_pollfds_fill;
	__typeof__(&slirp_pollfds_poll) slirp_pollfds_poll;
	__typeof__(&slirp_add_hostfwd) slirp_add_hostfwd;
	__typeof__(&g_log_set_default_handler) g_log_set_default_handler;
};

/* slirp_lib_open - load it, for the life of the process.  0, or -ENOPKG with @err set. */
int slirp_lib_open(struct slirp_lib *lib, struct err *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a VM: a Unix stream socket that speaks JSON lines,
 * served in the loop's thread.  docs/control-protocol.md is the contract.
 */
#ifndef VMM_HOST_CONTROL_H
#define VMM_HOST_CONTROL_H

#include "core/err.h"

struct control;
struct vm;

/*
 * control_reserve - make the runtime folder (0700) and claim @name in it: the
 * socket is bound, so that a second VM of that name is refused at once.
 * Nobody is served yet.  -EEXIST when a live VM holds the name; a dead one's
 * socket is replaced.
 */
int control_reserve(const char *name, struct control **out, struct err *err);

/* control_start - serve @vm on its loop. */
int control_start(struct control *control, struct vm *vm, struct err *err);

/* control_path - of the socket, e.g. $XDG_RUNTIME_DIR/symkit/NAME.sock. */
const char *control_path(const struct control *control);

/* control_destroy - send what is queued, close, unlink the socket. */
void control_destroy(struct control *control);

#endif

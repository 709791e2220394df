/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a VM: a Unix stream socket that speaks JSON lines,
 * served in the loop's thread.  docs/control-protocol.md is the contract; the
 * methods are in the folders that they serve.
 */
#ifndef VMM_CONTROL_CONTROL_H
#define VMM_CONTROL_CONTROL_H

#include <jansson.h>
#include <stddef.h>

#include "core/err.h"

#define CONTROL_VERSION	 1
#define CONTROL_LINE_MAX (64 * 1024) /* a request with its newline */

struct control;
struct control_client;
struct control_later;
struct events;
struct loop;

/* One request, as its method gets it. */
struct control_call {
	void *arg; /* of its table */
	const json_t *params; /* an object, with the method's own parameters only */
	json_t *result; /* for the method to set; NULL: {} */
	struct err err; /* for the method to set when it fails */
	int fd; /* came with the request, or -1; closed unless the method sets it to -1 */

	struct control_client *client; /* for control.c */
	const json_t *id;
};

#define CONTROL_LATER 1

struct control_method {
	const char *name; /* NULL ends a table */
	const char *const *params; /* ended by NULL; NULL: none */
	/* 0, -errno or CONTROL_LATER; loop's thread, must not block */
	int (*fn)(struct control_call *call);
};

/* Methods that get the same @arg. */
struct control_table {
	const struct control_method *methods;
	void *arg;
};

#define CONTROL_MAX_TABLES 8

/*
 * control_defer - answer later: the method returns CONTROL_LATER after this.  Until the
 * answer no further request is taken from that client.  NULL: out of memory.
 * control_answer - send the answer: @result (taken over; NULL: {}), or the error in @err if
 * that is not NULL and has a code.  Loop's thread, not inside the method; the client may have
 * disconnected meanwhile, and the socket may be gone.  Frees @later.
 */
struct control_later *control_defer(struct control_call *call);
void control_answer(struct control_later *later, json_t *result, const struct err *err);

struct control_server {
	struct loop *loop;
	struct events *events;
	const struct control_table *tables; /* copied; beside "events" and "methods" */
	unsigned int nr_tables; /* CONTROL_MAX_TABLES at most */
};

/*
 * control_reserve - make the runtime folder (0700) and claim @name in it, so that a
 * second VM of that name is refused at once.  The socket exists and clients may
 * connect, but none is served yet.  -EEXIST when a live VM holds the name; the sockets
 * of a dead one are replaced.
 */
int control_reserve(const char *name, struct control **out, struct err *err);

/* control_serve - answer clients on the loop of @server (copied). */
int control_serve(struct control *control, const struct control_server *server, struct err *err);

/* control_path - of the socket, e.g. $XDG_RUNTIME_DIR/symkit/NAME.sock. */
const char *control_path(const struct control *control);

/* control_lock_fd - the descriptor that holds the lock on the VM's name. */
int control_lock_fd(const struct control *control);

/* control_runtime_path - NAME.@suffix in the runtime folder, for another socket of this VM. */
int control_runtime_path(const struct control *control, const char *suffix, char *buf,
			 size_t size, struct err *err);

/*
 * control_destroy - send what is queued (half a second at most), unlink the socket,
 * release the name, close the connections.  A client that sees the end of the stream
 * may rely on the name being free: call this after everything else that belongs to the
 * name is gone.
 */
void control_destroy(struct control *control);

#endif

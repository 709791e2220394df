// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's console: a socket for plain bytes, beside the control socket.
 */
#include <errno.h>
#include <fcntl.h>

#include "internal.h"

int sym_console_open(const char *name, const struct sym_open_opts *opts)
{
	struct sym_open_opts known = { .size = sizeof(known) };
	unsigned int timeout_ms;
	int fd, ret;

	sym__clear_error(NULL);
	ret = sym__opts(&known, opts);
	if (ret)
		return sym__fail(NULL, ret,
				 "sym_console_open: options that this library does not know");
	timeout_ms = known.timeout_ms ? known.timeout_ms : SYM_TIMEOUT_MS;
	fd = sym__connect(known.runtime, name, "console", sym__deadline(timeout_ms));
	if (fd >= 0) /* blocking; the caller may change that */
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

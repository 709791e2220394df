/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host side of the guest's console: between the serial port or the
 * virtio console on one side and, on the other, a terminal with an escape
 * key, a socket that replays recent output to new clients, or a file.
 */
#ifndef VMM_HOST_CONSOLE_H
#define VMM_HOST_CONSOLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"

struct console;
struct loop;

/* Bytes typed by the user, handed to the guest's device; returns how many it took. */
typedef size_t (*console_input_fn)(void *arg, const uint8_t *buf, size_t len);

/*
 * console_create - @spec is "stdio" (raw mode when stdin is a terminal, with the
 * escape Ctrl-A x: stop the guest at once, Ctrl-A h: help, Ctrl-A Ctrl-A: a Ctrl-A),
 * "socket" (only the socket), "file:PATH" (appended to; created with mode 0600; at
 * @file_max bytes, unless that is 0, truncated and started again with the latest output)
 * or "off".  A Unix socket at @socket_path serves up to 32 `symctl console` clients in
 * every case; each first gets the history (the last 64 KiB of output).  @quit(arg) is
 * called for Ctrl-A x.
 */
int console_create(struct loop *loop, const char *spec, uint64_t file_max,
		   const char *socket_path, void (*quit)(void *arg), void *arg,
		   struct console **out, struct err *err);

/* console_destroy - restore the terminal, flush, unlink the socket. */
void console_destroy(struct console *console);

/*
 * console_write - output from the guest.  Any thread (vCPUs call it); never
 * blocks on a slow reader: a socket client that falls 256 KiB behind is dropped,
 * a terminal that does loses some, and shows how much.
 */
void console_write(struct console *console, const uint8_t *buf, size_t len);

/*
 * console_set_input - set the receiver of input; NULL: none (input waits).  When this
 * returns the last receiver is not called any more, so hold no lock that it takes.
 */
void console_set_input(struct console *console, console_input_fn fn, void *arg);

/* console_kick - the device has room again; any thread, cheap when nothing waits. */
void console_kick(struct console *console);

/*
 * console_tail - copy the last @len bytes of output, NUL-terminated, into @buf
 * (of at least @len + 1 bytes); NULs among them become spaces.  Any thread.  Returns
 * the number copied.
 */
size_t console_tail(struct console *console, char *buf, size_t len);

#endif

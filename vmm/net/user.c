// SPDX-License-Identifier: BSD-2-Clause
/*
 * User-mode networking by libslirp: the guest is behind a NAT at 10.0.2.15, the host
 * is 10.0.2.2, DNS is 10.0.2.3; connections from outside come in through the forwarded
 * ports.  No privilege needed.
 *
 * It runs in a process of its own, in one thread.  Whatever the guest or a peer sends, the
 * process uses a bounded number of descriptors and amount of memory, and waits only in poll().
 */
#include "net/user.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/poll_set.h"
#include "net/frames.h"
#include "net/slirp_lib.h"

#define BUDGET	    64 /* frames from the guest in a row */
#define BACKLOG_MAX (1u << 20) /* bytes kept for a guest without receive buffers */
#define SEND_NOW    (64u << 10) /* pending bytes that are sent before libslirp returns */
#define GUEST_MAX   (NET_USER_MTU + 18) /* bytes of a frame from the guest, with a VLAN tag */
#define FILES_SPARE 64 /* descriptors that forwarded ports leave to others */
#define LINES_MAX   16 /* from libslirp on stderr */

/*
 * A fragment takes libslirp up to two packet buffers, each of the MTU's size, for up to 30
 * seconds: 8 MiB at once and 30 times 1 MiB are the most that fragments can take.
 */
#define FRAGMENT_COST  20480u
#define FRAGMENT_BURST (8ull << 20)
#define FRAGMENT_RATE  (1ull << 20) /* bytes a second */

#define ETH_HEADER 14

_Static_assert(FRAGMENT_COST >= 2 * (NET_USER_MTU + 512), "two buffers of libslirp");

struct user_net {
	int fd;
	struct slirp_lib lib;
	Slirp *slirp;
	struct poll_set set;
	struct frame_reader in;
	struct frame_writer out;
	struct fragment_limit fragments;
	bool listener[USER_NET_FILES]; /* by descriptor: of a forwarded TCP port */
	bool starved; /* clients of forwarded ports wait until descriptors are free */
};

static struct in_addr net_addr(uint8_t last)
{
	return (struct in_addr){ htonl(0x0a000200u | last) };
}

/* From the guest */

static bool is_fragment(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + ETH_HEADER;

	/* More fragments, or an offset (RFC 791). */
	return len >= ETH_HEADER + 20 && frame[12] == 0x08 && frame[13] == 0x00 &&
	       ((ip[6] & 0x3f) || ip[7]);
}

bool user_fragment_ok(struct fragment_limit *limit, const uint8_t *frame, size_t len,
		      uint64_t now)
{
	uint64_t earned;

	if (!is_fragment(frame, len))
		return true;
	/* After a long time only the limit matters. */
	earned = (now - limit->last_ns) / 1000 < 3600u * 1000000 ?
			 (now - limit->last_ns) / 1000 * FRAGMENT_RATE / 1000000 :
			 FRAGMENT_BURST;
	if (earned >= FRAGMENT_COST) {
		limit->tokens += earned;
		limit->last_ns = now;
	}
	if (limit->tokens > FRAGMENT_BURST)
		limit->tokens = FRAGMENT_BURST;
	if (limit->tokens < FRAGMENT_COST)
		return false;
	limit->tokens -= FRAGMENT_COST;
	return true;
}

/* False when the VMM is gone. */
static bool receive(struct user_net *un)
{
	bool all = false; /* everything that can be received now was */

	for (int i = 0; i < BUDGET; i++) {
		uint8_t *frame;
		ssize_t n = frame_reader_next(&un->in, &frame);

		if (n < 0)
			return false;
		if (!n && all)
			return true;
		if (!n) {
			n = frame_reader_fill(&un->in, un->fd);
			all = !frame_reader_full(&un->in);
			if (n == -EAGAIN)
				return true;
			if (n <= 0)
				return false;
			continue;
		}
		if (n <= GUEST_MAX && user_fragment_ok(&un->fragments, frame, n, clock_ns()))
			un->lib.slirp_input(un->slirp, frame, n);
		frame_reader_drop(&un->in);
	}
	return true;
}

/* To the guest.  libslirp expects the packet to be taken: without room it is lost. */

static ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
	struct user_net *un = opaque;
	struct iovec iov = { (void *)buf, len };

	frame_writer_add(&un->out, &iov, 1, 0, len);
	/* An error shows up again, and is handled, when the socket is polled. */
	if (frame_writer_pending(&un->out) >= SEND_NOW && frame_writer_flush(&un->out, un->fd))
		return len;
	return len;
}

/* The loop */

/* If the lowest free descriptor is a spare one, all below are in use. */
static bool files_short(const struct user_net *un)
{
	int fd = dup(un->fd);

	if (fd >= 0)
		close(fd);
	return fd < 0 || fd >= USER_NET_FILES - FILES_SPARE;
}

static bool is_listener(const struct user_net *un, int fd)
{
	return fd >= 0 && fd < USER_NET_FILES && un->listener[fd];
}

static int add_poll(int fd, int events, void *opaque)
{
	struct user_net *un = opaque;
	short e = 0;

	if (un->starved && is_listener(un, fd))
		return -1;
	if (events & SLIRP_POLL_IN)
		e |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		e |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		e |= POLLPRI;
	return poll_set_add(&un->set, fd, e);
}

static int get_revents(int place, void *opaque)
{
	struct user_net *un = opaque;
	short r = poll_set_revents(&un->set, place);
	int e = 0;

	/* poll() would report a client that cannot be accepted for ever: let it wait. */
	if (r && is_listener(un, un->set.fds[place].fd) && files_short(un)) {
		un->starved = true;
		return 0;
	}
	if (r & POLLIN)
		e |= SLIRP_POLL_IN;
	if (r & POLLOUT)
		e |= SLIRP_POLL_OUT;
	if (r & POLLPRI)
		e |= SLIRP_POLL_PRI;
	if (r & POLLERR)
		e |= SLIRP_POLL_ERR;
	if (r & POLLHUP)
		e |= SLIRP_POLL_HUP;
	return e;
}

/* Fill the poll set; our own socket is the first in it. */
static void fill(struct user_net *un)
{
	uint32_t timeout = UINT32_MAX;
	short events = POLLIN;

	un->set.nr = 0;
	if (frame_writer_pending(&un->out))
		events |= POLLOUT;
	poll_set_add(&un->set, un->fd, events);
	if (un->starved) {
		un->starved = files_short(un);
		timeout = 1000;
	}
	un->lib.slirp_pollfds_fill(un->slirp, &timeout, add_poll, un);
	if (frame_reader_pending(&un->in))
		timeout = 0;
	un->set.timeout_ms = timeout > INT32_MAX ? -1 : (int)timeout;
}

void user_net_run(struct user_net *un)
{
	for (;;) {
		short revents;

		fill(un);
		if (poll(un->set.fds, un->set.nr, un->set.timeout_ms) < 0)
			continue;
		revents = poll_set_revents(&un->set, 0);
		if ((revents & ~POLLOUT || frame_reader_pending(&un->in)) && !receive(un))
			return;
		un->lib.slirp_pollfds_poll(un->slirp, 0, get_revents, un);
		if (frame_writer_flush(&un->out, un->fd))
			return;
	}
}

/* libslirp's other callbacks */

static void on_guest_error(const char *msg, void *opaque)
{
	/* A malformed packet: only the guest is concerned. */
}

static int64_t on_clock(void *opaque)
{
	return clock_ns();
}

/* Timers serve router advertisements only, and IPv6 is off. */
static void *on_timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	return NULL;
}

static void on_timer_free(void *timer, void *opaque)
{
}

static void on_timer_mod(void *timer, int64_t expire, void *opaque)
{
}

static void on_poll_fd(int fd, void *opaque)
{
	/* The set is filled again before each wait. */
}

static void on_notify(void *opaque)
{
	/* Only called from this thread, which polls again anyway. */
}

static const SlirpCb callbacks = {
	.send_packet = on_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_poll_fd,
	.unregister_poll_fd = on_poll_fd,
	.notify = on_notify,
};

/* A guest can cause warnings: it must not flood the log. */
static void on_log(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer arg)
{
	static unsigned int lines;

	if (level & G_LOG_FLAG_FATAL || lines++ < LINES_MAX)
		fprintf(stderr, "symvmm-net: %.200s\n", message);
}

/* Start-up */

static int add_forwards(struct user_net *un, const struct net_config *config, struct err *err)
{
	for (unsigned int i = 0; i < config->nr_fwd; i++) {
		const struct net_fwd *f = &config->fwd[i];
		struct in_addr host = { htonl(f->host_ip) };

		if (un->lib.slirp_add_hostfwd(un->slirp, f->udp, host, f->host_port, net_addr(15),
					      f->guest_port))
			return err_errno(err, "--net user: forwarding %s port %u",
					 f->udp ? "udp" : "tcp", f->host_port);
	}
	/* No more are added later: libslirp's protocol helpers, which would, are off. */
	for (int fd = 0; fd < USER_NET_FILES; fd++) {
		int on = 0;
		socklen_t len = sizeof(on);

		un->listener[fd] = !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) && on;
	}
	return 0;
}

int user_net_create(int fd, const struct net_config *config, struct user_net **out,
		    struct err *err)
{
	struct user_net *un = calloc(1, sizeof(*un));
	SlirpConfig sc = {
		.version = 1,
		.in_enabled = true,
		.vnetwork = net_addr(0),
		.vnetmask = { htonl(0xffffff00u) },
		.vhost = net_addr(2),
		.vdhcp_start = net_addr(15),
		.vnameserver = net_addr(3),
		/* TCP ends here, so the path's MTU does not matter: fewer frames are better. */
		.if_mtu = NET_USER_MTU,
		.if_mru = NET_USER_MTU,
	};

	/* After an error the process exits and frees everything. */
	if (!un || frame_reader_init(&un->in) || frame_writer_init(&un->out, BACKLOG_MAX))
		return err_set(err, -ENOMEM, "network: out of memory");
	un->fd = fd;
	if (slirp_lib_open(&un->lib, err))
		return err->code; /* cppcheck-suppress memleak ; see above */
	un->lib.g_log_set_default_handler(on_log, NULL);
	un->slirp = un->lib.slirp_new(&sc, &callbacks, un);
	if (!un->slirp)
		return err_set(err, -EIO, "--net user: libslirp did not start");
	*out = un;
	return add_forwards(un, config, err);
}

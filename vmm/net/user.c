// SPDX-License-Identifier: BSD-2-Clause
/*
 * User-mode networking by libslirp: the guest sits behind a NAT at 10.0.2.15, the host
 * is 10.0.2.2, DNS 10.0.2.3; connections from outside come in through the forwarded
 * ports.  No privilege needed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/poll_set.h"
#include "net/backend.h"

#define BACKLOG_MAX (1u << 20) /* bytes kept for a guest without receive buffers */
#define FRAME_MAX   1600

struct frame {
	struct frame *next;
	size_t len;
	uint8_t data[];
};

struct user_net {
	struct net_backend be;
	Slirp *slirp;
	struct poll_set *set; /* during poll_fill and poll_done */
	struct frame *backlog, **backlog_end;
	size_t backlog_bytes;
};

static struct in_addr net_addr(uint8_t last)
{
	return (struct in_addr){ htonl(0x0a000200u | last) };
}

/* A frame for the guest.  libslirp expects it to be taken, so what finds no room waits. */
static ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
	struct user_net *un = opaque;
	struct frame *f;

	if (len > NET_FRAME_MAX - NET_HDR_LEN || un->backlog_bytes + len > BACKLOG_MAX)
		return len; /* lost, as on any wire */
	f = calloc(1, sizeof(*f) + NET_HDR_LEN + len);
	if (!f)
		return len;
	f->len = NET_HDR_LEN + len; /* the header: all zero, no offload */
	memcpy(f->data + NET_HDR_LEN, buf, len);
	if (!un->backlog && un->be.rx(un->be.rx_arg, f->data, f->len)) {
		free(f);
		return len;
	}
	*un->backlog_end = f;
	un->backlog_end = &f->next;
	un->backlog_bytes += f->len;
	return len;
}

static void user_rx_room(struct net_backend *be)
{
	struct user_net *un = (struct user_net *)be;
	struct frame *f;

	while ((f = un->backlog) && be->rx(be->rx_arg, f->data, f->len)) {
		un->backlog = f->next;
		un->backlog_bytes -= f->len;
		free(f);
	}
	if (!un->backlog)
		un->backlog_end = &un->backlog;
}

static void user_send(struct net_backend *be, const struct iovec *iov, unsigned int nr, size_t len)
{
	struct user_net *un = (struct user_net *)be;
	uint8_t frame[NET_HDR_LEN + FRAME_MAX];
	size_t at = 0;

	if (len > sizeof(frame))
		return; /* larger than the MTU */
	for (unsigned int i = 0; i < nr; i++) {
		memcpy(frame + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	slirp_input(un->slirp, frame + NET_HDR_LEN, len - NET_HDR_LEN);
}

static int add_poll(int fd, int events, void *opaque)
{
	struct user_net *un = opaque;
	short e = 0;

	if (events & SLIRP_POLL_IN)
		e |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		e |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		e |= POLLPRI;
	return poll_set_add(un->set, fd, e);
}

static int get_revents(int place, void *opaque)
{
	struct user_net *un = opaque;
	short r = poll_set_revents(un->set, place);
	int e = 0;

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

static void user_poll_fill(struct net_backend *be, struct poll_set *set)
{
	struct user_net *un = (struct user_net *)be;
	uint32_t timeout = set->timeout_ms < 0 ? UINT32_MAX : (uint32_t)set->timeout_ms;

	un->set = set;
	slirp_pollfds_fill(un->slirp, &timeout, add_poll, un);
	set->timeout_ms = timeout > INT32_MAX ? -1 : (int)timeout;
}

static void user_poll_done(struct net_backend *be, struct poll_set *set)
{
	struct user_net *un = (struct user_net *)be;

	un->set = set;
	slirp_pollfds_poll(un->slirp, 0, get_revents, un);
}

static void user_destroy(struct net_backend *be)
{
	struct user_net *un = (struct user_net *)be;
	struct frame *f;

	if (un->slirp)
		slirp_cleanup(un->slirp);
	while ((f = un->backlog)) {
		un->backlog = f->next;
		free(f);
	}
	free(un);
}

static const struct net_backend_ops user_ops = {
	.send = user_send,
	.rx_room = user_rx_room,
	.poll_fill = user_poll_fill,
	.poll_done = user_poll_done,
	.destroy = user_destroy,
};

/* libslirp's callbacks */

static void on_guest_error(const char *msg, void *opaque)
{
	/* The guest's own business: a malformed packet. */
}

static int64_t on_clock(void *opaque)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
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
	/* The set is made anew before each wait. */
}

static void on_notify(void *opaque)
{
	/* Only called from the card's own thread, which looks again by itself. */
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

static int add_forwards(struct user_net *un, const struct net_config *config, struct err *err)
{
	for (unsigned int i = 0; i < config->nr_fwd; i++) {
		const struct net_fwd *f = &config->fwd[i];
		struct in_addr host = { htonl(f->host_ip) };

		if (slirp_add_hostfwd(un->slirp, f->udp, host, f->host_port, net_addr(15),
				      f->guest_port))
			return err_errno(err, "--net user: forwarding %s port %u",
					 f->udp ? "udp" : "tcp", f->host_port);
	}
	return 0;
}

int net_user_create(const struct net_config *config, struct net_backend **out, struct err *err)
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
	};
	int ret;

	if (!un)
		return err_set(err, -ENOMEM, "network: out of memory");
	un->be.ops = &user_ops;
	un->backlog_end = &un->backlog;
	un->slirp = slirp_new(&sc, &callbacks, un);
	if (!un->slirp) {
		free(un);
		return err_set(err, -EIO, "--net user: libslirp did not start");
	}
	ret = add_forwards(un, config, err);
	if (ret)
		user_destroy(&un->be);
	else
		*out = &un->be;
	return ret;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network card's stream socket: frames as in frames.h, to and from a process of
 * our own (user_process.c) or a program that listens on a Unix socket (--net unix).
 *
 * The other end is not trusted: its data is bounded, and if it violates the format or
 * disconnects, the card's link goes down for good.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/poll_set.h"
#include "net/backend.h"
#include "net/frames.h"

#define BUDGET	  64 /* frames received in a row before the guest's are sent */
#define SEND_BUF  (256u << 10)
#define SEND_NOW  (32u << 10) /* pending bytes at which to send before the queue is empty */
#define CONNECT_S 2

struct stream {
	struct net_backend be;
	int fd; /* -1: the link is down */
	int place; /* in the poll set; -1: not in it */
	bool held; /* the guest had no room for the reader's current frame */
	uint8_t rx_flags; /* of the virtio header, VIRTIO_NET_HDR_F_* */
	struct frame_reader in;
	struct frame_writer out;
	char peer[128];
};

static void link_down(struct stream *s, const char *what, int error)
{
	char reason[256];

	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	s->held = false;
	snprintf(reason, sizeof(reason), "%s %s%s%s", s->peer, what, error ? ": " : "",
		 error ? strerror(error) : "");
	s->be.down(s->be.arg, reason);
}

/* Deliver frames until there are no more, or no room, or the budget is used up. */
static void receive(struct stream *s)
{
	bool all = false; /* everything that can be received now was */

	for (int i = 0; i < BUDGET && s->fd >= 0; i++) {
		uint8_t *frame;
		ssize_t n = frame_reader_next(&s->in, &frame);

		if (n < 0) {
			link_down(s, "sent a frame of an impossible length", 0);
			return;
		}
		if (!n && all)
			return;
		if (!n) {
			n = frame_reader_fill(&s->in, s->fd);
			all = !frame_reader_full(&s->in);
			if (!n)
				link_down(s, "closed the connection", 0);
			else if (n < 0 && n != -EAGAIN)
				link_down(s, "cannot be read from", -n);
			if (n <= 0)
				return;
			continue;
		}
		frame -= NET_HDR_LEN;
		memset(frame, 0, NET_HDR_LEN);
		((struct virtio_net_hdr *)frame)->flags = s->rx_flags;
		s->held = !s->be.rx(s->be.arg, frame, NET_HDR_LEN + n);
		if (s->held)
			return;
		frame_reader_drop(&s->in);
	}
}

static void flush(struct stream *s)
{
	int ret = s->fd >= 0 ? frame_writer_flush(&s->out, s->fd) : 0;

	if (ret == -EPIPE || ret == -ECONNRESET)
		link_down(s, "closed the connection", 0);
	else if (ret)
		link_down(s, "cannot be written to", -ret);
}

static void stream_send(struct net_backend *be, const struct iovec *iov, unsigned int nr,
			size_t len)
{
	struct stream *s = (struct stream *)be;

	if (s->fd < 0)
		return;
	/* A frame that does not fit is lost, as on any wire. */
	frame_writer_add(&s->out, iov, nr, NET_HDR_LEN, len - NET_HDR_LEN);
	if (frame_writer_pending(&s->out) >= SEND_NOW)
		flush(s);
}

static void stream_rx_room(struct net_backend *be)
{
	receive((struct stream *)be);
}

/* The network process has just computed its checksums: no need to verify (5.1.6.4.1). */
static void stream_set_offload(struct net_backend *be, uint64_t features)
{
	struct stream *s = (struct stream *)be;
	uint64_t offered = be->features & features;

	s->rx_flags = offered >> VIRTIO_NET_F_GUEST_CSUM & 1 ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
}

static void stream_poll_fill(struct net_backend *be, struct poll_set *set)
{
	struct stream *s = (struct stream *)be;
	short events = s->held ? 0 : POLLIN;

	flush(s);
	s->place = -1;
	if (s->fd < 0)
		return;
	if (frame_writer_pending(&s->out))
		events |= POLLOUT;
	/* With no events requested, poll() still reports a hang-up. */
	s->place = poll_set_add(set, s->fd, events);
	if (!s->held && frame_reader_pending(&s->in))
		set->timeout_ms = 0;
}

static void stream_poll_done(struct net_backend *be, struct poll_set *set)
{
	struct stream *s = (struct stream *)be;
	short revents = poll_set_revents(set, s->place);

	if (revents & POLLOUT)
		flush(s);
	if (s->held && revents & (POLLHUP | POLLERR | POLLNVAL))
		link_down(s, "closed the connection", 0);
	if (!s->held && (revents & ~POLLOUT || frame_reader_pending(&s->in)))
		receive(s);
}

static void stream_destroy(struct net_backend *be)
{
	struct stream *s = (struct stream *)be;

	if (s->fd >= 0)
		close(s->fd);
	frame_reader_free(&s->in);
	frame_writer_free(&s->out);
	free(s);
}

static const struct net_backend_ops stream_ops = {
	.send = stream_send,
	.rx_room = stream_rx_room,
	.set_offload = stream_set_offload,
	.poll_fill = stream_poll_fill,
	.poll_done = stream_poll_done,
	.destroy = stream_destroy,
};

int net_stream_create(int fd, const char *peer, struct net_backend **out, struct err *err)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s) {
		close(fd);
		return err_set(err, -ENOMEM, "network: out of memory");
	}
	s->be.ops = &stream_ops;
	s->fd = fd;
	s->place = -1;
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
	if (frame_reader_init(&s->in) || frame_writer_init(&s->out, SEND_BUF)) {
		stream_destroy(&s->be);
		/* cppcheck-suppress memleak ; it was freed */
		return err_set(err, -ENOMEM, "network: out of memory");
	}
	*out = &s->be;
	return 0;
}

/* A connected, non-blocking socket, or -errno. */
static int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = CONNECT_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), saved;

	if (fd < 0)
		return -errno;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) &&
	    !connect(fd, (struct sockaddr *)&sa, sizeof(sa)) && !fcntl(fd, F_SETFL, O_NONBLOCK))
		return fd;
	saved = errno;
	close(fd);
	return -saved;
}

int net_unix_create(const struct net_config *config, struct net_backend **out, struct err *err)
{
	int fd = connect_to(config->path);

	if (fd == -EAGAIN)
		return err_set(err, fd, "--net unix=%s: no program accepts connections there",
			       config->path);
	if (fd < 0) {
		errno = -fd;
		return err_errno(err, "--net unix=%s", config->path);
	}
	return net_stream_create(fd, config->path, out, err);
}

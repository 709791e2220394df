// SPDX-License-Identifier: BSD-2-Clause
/*
 * Connections of the vsock device: each joins a port pair of the guest's to a Unix
 * socket of the host's, with the credit scheme of virtio 1.2, 5.10.6.3, so that
 * the device never holds more than VSOCK_BUF bytes of a connection.
 *
 * The two directions end independently (5.10.6.5), and the end of a stream never overtakes its
 * data: what the guest has sent is delivered even if the guest has reset the connection since,
 * as Linux does eight seconds after closing one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/poll_set.h"
#include "virtio/vsock.h"

#define FIRST_HOST_PORT 0x40000000u

/* How long a connection may wait for each of these. */
#define ASK_NS	   (5 * NS_PER_S) /* the CONNECT line of a host program */
#define REQUEST_NS (2 * NS_PER_S) /* the guest's answer to a request, as in Linux */
#define LINGER_NS  (60 * NS_PER_S) /* a host program that reads what is left for it */

#define DISCARD_MAX 64 /* reads of data that the guest no longer receives */

static struct vsock_conn *find(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *c = &vs->conns[i];

		if (c->state > VSOCK_LINGERING && c->host_port == host_port &&
		    c->guest_port == guest_port)
			return c;
	}
	return NULL;
}

/* A free place, with @fd in it; NULL (and @fd closed) when there is none. */
static struct vsock_conn *conn_new(struct vsock *vs, int fd, enum vsock_state state)
{
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *c = &vs->conns[i];

		if (c->state != VSOCK_FREE)
			continue;
		*c = (struct vsock_conn){ .state = state, .fd = fd, .place = -1 };
		c->out = malloc(VSOCK_BUF);
		if (c->out)
			return c;
		c->state = VSOCK_FREE;
		c->fd = -1;
		break;
	}
	close(fd);
	return NULL;
}

static void conn_free(struct vsock_conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->out);
	*c = (struct vsock_conn){ .fd = -1, .place = -1 };
}

void vsock_conn_close_all(struct vsock *vs)
{
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++)
		if (vs->conns[i].state != VSOCK_FREE)
			conn_free(&vs->conns[i]);
}

void vsock_conn_orphan_all(struct vsock *vs)
{
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *c = &vs->conns[i];

		if (c->state == VSOCK_FREE)
			continue;
		if (c->out_pos == c->out_len || c->host_closed) {
			conn_free(c);
			continue;
		}
		if (c->state != VSOCK_LINGERING)
			c->deadline_ns = clock_ns() + LINGER_NS;
		c->state = VSOCK_LINGERING;
		c->owed = 0;
	}
}

bool vsock_conn_any(const struct vsock *vs)
{
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++)
		if (vs->conns[i].state != VSOCK_FREE)
			return true;
	return false;
}

static uint32_t shutdown_flags(const struct vsock_conn *c)
{
	return VIRTIO_VSOCK_SHUTDOWN_SEND | (c->host_closed ? VIRTIO_VSOCK_SHUTDOWN_RCV : 0);
}

/* Send a packet without payload; without room it is sent later, from poll_fill(). */
static bool control(struct vsock *vs, struct vsock_conn *c, uint16_t op)
{
	struct virtio_vsock_hdr hdr = {
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? shutdown_flags(c) : 0,
		.buf_alloc = VSOCK_BUF,
		.fwd_cnt = c->fwd,
	};

	/* Every packet carries credit: a credit update does not replace a packet that waits. */
	if (c->owed && c->owed != op && op == VIRTIO_VSOCK_OP_CREDIT_UPDATE)
		return false;
	c->told = c->fwd;
	if (vsock_rx(vs, &hdr, NULL, 0)) {
		c->owed = 0;
		return true;
	}
	c->owed = op;
	return false;
}

static bool send_reset(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	struct virtio_vsock_hdr hdr = {
		.src_port = host_port,
		.dst_port = guest_port,
		.op = VIRTIO_VSOCK_OP_RST,
	};

	return vsock_rx(vs, &hdr, NULL, 0);
}

/* Beyond VSOCK_OWED, the guest has to rely on its own timeouts. */
static void reset_port(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	if (!send_reset(vs, host_port, guest_port) && vs->nr_owed < VSOCK_OWED) {
		vs->owed[vs->nr_owed].host_port = host_port;
		vs->owed[vs->nr_owed++].guest_port = guest_port;
	}
}

static void send_owed(struct vsock *vs)
{
	unsigned int sent = 0;

	while (sent < vs->nr_owed &&
	       send_reset(vs, vs->owed[sent].host_port, vs->owed[sent].guest_port))
		sent++;
	vs->nr_owed -= sent;
	memmove(vs->owed, vs->owed + sent, vs->nr_owed * sizeof(vs->owed[0]));
}

/*
 * The guest has closed it.  What it has sent is still delivered; what the host has sent is
 * discarded, because closing a Unix socket with unread data would be an error for its peer.
 */
static void conn_end(struct vsock *vs, struct vsock_conn *c)
{
	for (int i = 0; i < DISCARD_MAX && recv(c->fd, vs->buf, sizeof(vs->buf), 0) > 0; i++)
		;
	if (c->out_pos == c->out_len || c->host_closed) {
		conn_free(c);
		return;
	}
	c->state = VSOCK_LINGERING;
	c->owed = 0;
	c->deadline_ns = clock_ns() + LINGER_NS;
}

static void conn_reset(struct vsock *vs, struct vsock_conn *c)
{
	if (c->state > VSOCK_LINGERING)
		reset_port(vs, c->host_port, c->guest_port);
	conn_free(c);
}

/* The guest connects to a port of the host's: PATH_port. */
static void guest_connects(struct vsock *vs, const struct virtio_vsock_hdr *hdr)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct vsock_conn *c = NULL;
	int fd;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s_%u", vs->path, hdr->dst_port);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0)
		c = conn_new(vs, fd, VSOCK_OPEN);
	if (!c) {
		reset_port(vs, hdr->dst_port, hdr->src_port);
		return;
	}
	c->host_port = hdr->dst_port;
	c->guest_port = hdr->src_port;
	c->guest_alloc = hdr->buf_alloc;
	c->guest_fwd = hdr->fwd_cnt;
	control(vs, c, VIRTIO_VSOCK_OP_RESPONSE);
}

/* The host has read all that the guest has sent; false if that ends the connection. */
static bool all_delivered(struct vsock *vs, struct vsock_conn *c)
{
	if (c->state == VSOCK_LINGERING) {
		conn_free(c);
		return false;
	}
	if (c->guest_eof && (c->host_eof || c->guest_deaf)) {
		reset_port(vs, c->host_port, c->guest_port); /* as Linux waits for */
		conn_end(vs, c);
		return false;
	}
	if (c->guest_eof)
		shutdown(c->fd, SHUT_WR);
	if (c->fwd - c->told >= VSOCK_BUF / 2)
		control(vs, c, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	return true;
}

/* Write pending data to the host; false if the connection no longer exists. */
static bool drain(struct vsock *vs, struct vsock_conn *c)
{
	while (c->out_pos < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos,
				 MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0 && errno != EPIPE) {
			conn_reset(vs, c);
			return false;
		}
		/* A host that reads no more may have written before: read that first. */
		if (n < 0) {
			c->host_closed = true;
			n = c->out_len - c->out_pos;
		}
		c->out_pos += n;
		c->fwd += n;
		if (c->state == VSOCK_LINGERING)
			c->deadline_ns = clock_ns() + LINGER_NS;
	}
	if (c->out_pos < c->out_len) {
		/* Send a credit update before the guest runs out. */
		if (c->state == VSOCK_OPEN && c->fwd - c->told >= VSOCK_BUF / 2)
			control(vs, c, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		return true;
	}
	c->out_pos = c->out_len = 0;
	return all_delivered(vs, c);
}

static void guest_sends(struct vsock *vs, struct vsock_conn *c, uint32_t len,
			const struct virtq_chain *chain)
{
	memmove(c->out, c->out + c->out_pos, c->out_len - c->out_pos);
	c->out_len -= c->out_pos;
	c->out_pos = 0;
	if (c->state != VSOCK_OPEN || len > VSOCK_BUF - c->out_len) {
		conn_reset(vs, c); /* it exceeded its credit */
		return;
	}
	chain_read(chain, sizeof(struct virtio_vsock_hdr), c->out + c->out_len, len);
	c->out_len += len;
	drain(vs, c);
}

static void guest_accepts(struct vsock *vs, struct vsock_conn *c)
{
	char line[24];
	int n = snprintf(line, sizeof(line), "OK %u\n", c->host_port);

	if (c->state != VSOCK_REQUESTED || send(c->fd, line, n, MSG_NOSIGNAL) != n) {
		conn_reset(vs, c);
		return;
	}
	c->state = VSOCK_OPEN;
	c->deadline_ns = 0;
}

void vsock_conn_packet(struct vsock *vs, const struct virtio_vsock_hdr *hdr,
		       const struct virtq_chain *chain)
{
	struct vsock_conn *c = find(vs, hdr->dst_port, hdr->src_port);

	if (hdr->src_cid != vs->cid || hdr->dst_cid != VSOCK_HOST_CID ||
	    hdr->type != VIRTIO_VSOCK_TYPE_STREAM || (!c && hdr->op != VIRTIO_VSOCK_OP_REQUEST)) {
		if (hdr->op != VIRTIO_VSOCK_OP_RST)
			reset_port(vs, hdr->dst_port, hdr->src_port);
		return;
	}
	if (!c) {
		guest_connects(vs, hdr);
		return;
	}
	c->guest_alloc = hdr->buf_alloc;
	c->guest_fwd = hdr->fwd_cnt;
	switch (hdr->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		guest_accepts(vs, c);
		break;
	case VIRTIO_VSOCK_OP_RW:
		guest_sends(vs, c, hdr->len, chain);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		control(vs, c, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		if (hdr->flags & VIRTIO_VSOCK_SHUTDOWN_SEND)
			c->guest_eof = true;
		if (hdr->flags & VIRTIO_VSOCK_SHUTDOWN_RCV)
			c->guest_deaf = true; /* nothing more is sent */
		drain(vs, c);
		break;
	case VIRTIO_VSOCK_OP_RST:
		c->guest_eof = c->guest_deaf = true;
		conn_end(vs, c);
		break;
	default: /* also a REQUEST for a connection that exists */
		conn_reset(vs, c);
		break;
	}
}

void vsock_conn_from_host(struct vsock *vs, int fd)
{
	struct vsock_conn *c = conn_new(vs, fd, VSOCK_ASKING);

	if (c)
		c->deadline_ns = clock_ns() + ASK_NS;
}

/* Read "CONNECT port\n" by single bytes, so that no data after it is consumed. */
static void read_line(struct vsock *vs, struct vsock_conn *c)
{
	int used = 0;
	ssize_t n;
	char byte;

	while ((n = recv(c->fd, &byte, 1, 0)) == 1) {
		if (byte != '\n') {
			if (c->line_len == sizeof(c->line) - 1)
				break;
			c->line[c->line_len++] = byte;
			continue;
		}
		if (sscanf(c->line, "CONNECT %u%n", &c->guest_port, &used) != 1 || c->line[used])
			break;
		c->host_port = FIRST_HOST_PORT + vs->next_port++ % FIRST_HOST_PORT;
		c->state = VSOCK_REQUESTED;
		c->deadline_ns = clock_ns() + REQUEST_NS;
		control(vs, c, VIRTIO_VSOCK_OP_REQUEST);
		return;
	}
	if (n < 0 && errno == EAGAIN)
		return; /* the rest comes later */
	conn_free(c);
}

static uint32_t credit(const struct vsock_conn *c)
{
	uint32_t in_flight = c->sent - c->guest_fwd;

	return in_flight < c->guest_alloc ? c->guest_alloc - in_flight : 0;
}

/* The host sends no more; if the guest does not either and all is delivered, close. */
static void host_ends(struct vsock *vs, struct vsock_conn *c)
{
	c->host_eof = true;
	control(vs, c, VIRTIO_VSOCK_OP_SHUTDOWN);
	if (c->guest_eof && c->out_pos == c->out_len)
		all_delivered(vs, c);
}

/* The host program has closed its socket: it reads no more. */
static void host_hangs_up(struct vsock *vs, struct vsock_conn *c)
{
	bool known = c->host_closed;

	c->host_closed = true;
	if (c->state == VSOCK_OPEN && c->host_eof && !known)
		control(vs, c, VIRTIO_VSOCK_OP_SHUTDOWN);
}

static void host_sends(struct vsock *vs, struct vsock_conn *c)
{
	uint32_t room = credit(c);
	struct virtio_vsock_hdr hdr = {
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.op = VIRTIO_VSOCK_OP_RW,
		.buf_alloc = VSOCK_BUF,
		.fwd_cnt = c->fwd,
	};
	ssize_t n;

	/* The driver's buffers are a page, less the header in some versions. */
	if (room > 3072)
		room = 3072;
	if (!room)
		return; /* called for POLLOUT or POLLHUP; reading 0 bytes would look like the end
			 */
	n = recv(c->fd, vs->buf, room, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return;
	if (!n) {
		host_ends(vs, c);
		return;
	}
	if (!vsock_rx(vs, &hdr, vs->buf, n))
		return; /* stays in the socket until there is room */
	c->told = c->fwd;
	c->sent += n;
	if (recv(c->fd, vs->buf, n, MSG_DONTWAIT) != n)
		conn_reset(vs, c);
}

/* The events that @c waits for at the host; -1: none, not even a hang-up. */
static int events_of(const struct vsock *vs, const struct vsock_conn *c)
{
	int events = 0;

	if (c->state == VSOCK_ASKING || (c->state == VSOCK_OPEN && !c->host_eof &&
					 !c->guest_deaf && !vs->rx_blocked && credit(c)))
		events |= POLLIN;
	if (c->out_pos < c->out_len)
		events |= POLLOUT;
	/* POLLHUP cannot be masked: do not wait when it is already known. */
	if (!events && (c->host_closed || c->state == VSOCK_REQUESTED || !c->host_eof))
		return -1;
	return events;
}

static void expire(struct vsock *vs, struct vsock_conn *c)
{
	if (c->state == VSOCK_REQUESTED)
		conn_reset(vs, c);
	else
		conn_free(c);
}

void vsock_conn_poll_fill(struct vsock *vs, struct poll_set *set)
{
	uint64_t now = clock_ns();

	send_owed(vs);
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *c = &vs->conns[i];
		int events;

		c->place = -1;
		if (c->state == VSOCK_FREE)
			continue;
		if (c->deadline_ns && now >= c->deadline_ns) {
			expire(vs, c);
			continue;
		}
		if (c->deadline_ns)
			poll_set_timeout(set, (c->deadline_ns - now) / NS_PER_MS + 1);
		if (c->owed && !control(vs, c, c->owed))
			continue; /* no room: the next notification wakes the thread */
		events = events_of(vs, c);
		if (events >= 0)
			c->place = poll_set_add(set, c->fd, events);
	}
}

void vsock_conn_poll_done(struct vsock *vs, struct poll_set *set)
{
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *c = &vs->conns[i];
		short r = poll_set_revents(set, c->place);

		if (!r || c->state == VSOCK_FREE)
			continue;
		c->place = -1;
		if (r & (POLLHUP | POLLERR))
			host_hangs_up(vs, c);
		if (c->out_pos < c->out_len && !drain(vs, c))
			continue;
		if (c->state == VSOCK_ASKING)
			read_line(vs, c);
		else if (c->state == VSOCK_OPEN && !c->host_eof)
			host_sends(vs, c);
	}
}

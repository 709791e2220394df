// SPDX-License-Identifier: BSD-2-Clause
/*
 * Connections of the vsock device: each joins a port pair of the guest's to a Unix
 * socket of the host's, with the credit scheme of virtio 1.2, 5.10.6.3, so that
 * neither side can make us hold more than VSOCK_BUF bytes of a connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/poll_set.h"
#include "virtio/vsock.h"

#define FIRST_HOST_PORT 0x40000000u
#define SHUTDOWN_BOTH	(VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

static struct vsock_conn *find(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *c = &vs->conns[i];

		if (c->state > VSOCK_ASKING && c->host_port == host_port &&
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

/* Send a packet without payload; what finds no room is owed and comes with poll_fill(). */
static bool control(struct vsock *vs, struct vsock_conn *c, uint16_t op)
{
	struct virtio_vsock_hdr hdr = {
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? SHUTDOWN_BOTH : 0,
		.buf_alloc = VSOCK_BUF,
		.fwd_cnt = c->fwd,
	};

	/* Credit is in every packet: a mere update does not take the place of what is owed. */
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

static void reset_port(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	struct virtio_vsock_hdr hdr = {
		.src_port = host_port, .dst_port = guest_port, .op = VIRTIO_VSOCK_OP_RST,
	};

	vsock_rx(vs, &hdr, NULL, 0);
}

static void conn_reset(struct vsock *vs, struct vsock_conn *c)
{
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

/* Give the host what it has not taken yet; false when the connection is gone. */
static bool drain(struct vsock *vs, struct vsock_conn *c)
{
	while (c->out_pos < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0 && errno != EPIPE) {
			conn_reset(vs, c);
			return false;
		}
		/* A host that reads no more may have written before: that is still to come. */
		if (n < 0)
			n = c->out_len - c->out_pos;
		c->out_pos += n;
		c->fwd += n;
	}
	if (c->out_pos == c->out_len) {
		c->out_pos = c->out_len = 0;
		if (c->guest_eof)
			shutdown(c->fd, SHUT_WR);
	}
	/* Tell the guest of its new credit before it runs dry. */
	if (c->fwd - c->told >= VSOCK_BUF / 2)
		control(vs, c, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	return true;
}

static void guest_sends(struct vsock *vs, struct vsock_conn *c, uint32_t len,
			const struct virtq_chain *chain)
{
	memmove(c->out, c->out + c->out_pos, c->out_len - c->out_pos);
	c->out_len -= c->out_pos;
	c->out_pos = 0;
	if (c->state != VSOCK_OPEN || len > VSOCK_BUF - c->out_len) {
		conn_reset(vs, c); /* more than it had credit for */
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

	if (c->state != VSOCK_REQUESTED || send(c->fd, line, n, MSG_NOSIGNAL) != n)
		conn_reset(vs, c);
	else
		c->state = VSOCK_OPEN;
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
			c->host_eof = true; /* nobody there to read: nothing more is sent */
		if (drain(vs, c) && c->guest_eof && c->host_eof && !c->out_len)
			conn_reset(vs, c);
		break;
	case VIRTIO_VSOCK_OP_RST:
		drain(vs, c);
		conn_free(c);
		break;
	default: /* also a REQUEST for a connection that exists */
		conn_reset(vs, c);
		break;
	}
}

void vsock_conn_from_host(struct vsock *vs, int fd)
{
	conn_new(vs, fd, VSOCK_ASKING);
}

/* "CONNECT port\n", byte for byte, so that nothing behind it is swallowed. */
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
		return; /* POLLOUT or POLLHUP brought us here; 0 bytes would look like an end */
	n = recv(c->fd, vs->buf, room, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return;
	if (!n) {
		c->host_eof = true;
		control(vs, c, VIRTIO_VSOCK_OP_SHUTDOWN);
		return;
	}
	if (!vsock_rx(vs, &hdr, vs->buf, n))
		return; /* stays in the socket until there is room */
	c->told = c->fwd;
	c->sent += n;
	if (recv(c->fd, vs->buf, n, MSG_DONTWAIT) != n)
		conn_reset(vs, c);
}

void vsock_conn_poll_fill(struct vsock *vs, struct poll_set *set)
{
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *c = &vs->conns[i];
		short events = 0;

		c->place = -1;
		if (c->state == VSOCK_FREE)
			continue;
		if (c->owed && !control(vs, c, c->owed))
			continue; /* no room for anything: the next kick wakes us */
		if (c->state == VSOCK_ASKING || 
		    (c->state == VSOCK_OPEN && !c->host_eof && !vs->rx_blocked && credit(c)))
			events |= POLLIN;
		if (c->out_pos < c->out_len)
			events |= POLLOUT;
		if (events)
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
		if (r & POLLOUT && !drain(vs, c))
			continue;
		if (c->state == VSOCK_ASKING)
			read_line(vs, c);
		else if (c->state == VSOCK_OPEN && !c->host_eof)
			host_sends(vs, c);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vsock.c (the device) and vsock_conn.c (its connections) share.
 */
#ifndef VMM_VIRTIO_VSOCK_H
#define VMM_VIRTIO_VSOCK_H

#include <linux/virtio_vsock.h>

#include "host/unix_socket.h"
#include "virtio/virtio.h"

#define VSOCK_HOST_CID	2
#define VSOCK_MAX_CONNS 128
#define VSOCK_PKT_MAX	65536
#define VSOCK_BUF	65536 /* bytes accepted from the guest before it must wait */
#define VSOCK_OWED	32 /* resets that wait for room in the guest's queue */

enum vsock_state {
	VSOCK_FREE,
	VSOCK_ASKING, /* a host program connected; its CONNECT line is not whole yet */
	VSOCK_LINGERING, /* the guest has closed it; the host has not read all of its data */
	VSOCK_REQUESTED, /* the guest was asked to accept */
	VSOCK_OPEN,
};

struct vsock_conn {
	enum vsock_state state;
	int fd;
	int place; /* in the poll set */
	uint32_t host_port, guest_port;
	bool host_eof; /* the host sends no more, and the guest knows */
	bool host_closed; /* and reads no more */
	bool guest_eof; /* the guest sends no more */
	bool guest_deaf; /* and receives no more */
	uint64_t deadline_ns; /* clock_ns(), of its present state; 0: none */
	/* A packet that waits for room in the guest's queue, VIRTIO_VSOCK_OP_*; 0: none. */
	uint16_t owed;
	uint32_t guest_alloc, guest_fwd; /* the guest's receive buffer (5.10.6.3) */
	uint32_t sent; /* bytes given to the guest */
	uint32_t fwd; /* bytes from the guest that the host has read */
	uint32_t told; /* the last value of fwd that was sent to the guest */
	char line[24]; /* the CONNECT line as it comes in */
	unsigned int line_len;
	uint32_t out_len, out_pos; /* what the host has not read yet */
	uint8_t *out;
};

struct vsock {
	struct virtio_device dev;
	uint32_t cid;
	int listen_place;
	bool rx_blocked; /* the guest has no receive buffers */
	uint32_t next_port; /* host ports for connections from the host */
	struct unix_listener listener;
	struct {
		uint32_t host_port, guest_port;
	} owed[VSOCK_OWED]; /* resets */
	unsigned int nr_owed;
	char path[100];
	struct virtq_chain chain, tx_chain;
	uint8_t buf[VSOCK_PKT_MAX];
	struct vsock_conn conns[VSOCK_MAX_CONNS];
};

bool vsock_rx(struct vsock *vs, struct virtio_vsock_hdr *hdr, const void *data, size_t len);

/* A packet of the guest's: @hdr is a copy, checked for length; @chain has the payload. */
void vsock_conn_packet(struct vsock *vs, const struct virtio_vsock_hdr *hdr,
		       const struct virtq_chain *chain);
/* A program of the host's connected to PATH. */
void vsock_conn_from_host(struct vsock *vs, int fd);
void vsock_conn_poll_fill(struct vsock *vs, struct poll_set *set);
void vsock_conn_poll_done(struct vsock *vs, struct poll_set *set);
void vsock_conn_close_all(struct vsock *vs);
/* The guest's driver has gone: deliver what it has sent, close the rest. */
void vsock_conn_orphan_all(struct vsock *vs);
bool vsock_conn_any(const struct vsock *vs);

#endif

// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-vsock (virtio 1.2, 5.10), streams only, without a kernel module on the host: a
 * guest that connects to port P of the host (CID 2) reaches the Unix socket PATH_P; a
 * host program connects to PATH, sends "CONNECT P\n", is answered "OK P\n" and is then
 * connected to port P of the guest.  Connections are in vsock_conn.c.
 *
 * Runs in the device's own thread.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/poll_set.h"
#include "devices/board.h"
#include "virtio/vsock.h"

#define RX    0
#define TX    1
#define EVENT 2

#define DELIVER_NS (500 * NS_PER_MS)

/* vsock_rx - one packet to the guest, @data its payload; false when there is no room. */
bool vsock_rx(struct vsock *vs, struct virtio_vsock_hdr *hdr, const void *data, size_t len)
{
	struct virtq *vq = &vs->dev.queues[RX];
	struct virtq_chain *c = &vs->chain;

	while (virtq_pop(vq, c) <= 0)
		if (!virtq_rearm(vq)) {
			vs->rx_blocked = true; /* until the next notification */
			return false;
		}
	if (c->in_len < sizeof(*hdr) + len) {
		virtio_broken(&vs->dev, "queue %u: a receive buffer of %zu bytes", RX, c->in_len);
		return false;
	}
	hdr->src_cid = VSOCK_HOST_CID;
	hdr->dst_cid = vs->cid;
	hdr->type = VIRTIO_VSOCK_TYPE_STREAM;
	hdr->len = len;
	chain_write(c, 0, hdr, sizeof(*hdr));
	chain_write(c, sizeof(*hdr), data, len);
	virtq_push(vq, c, sizeof(*hdr) + len);
	return true;
}

static void serve_tx(struct vsock *vs)
{
	struct virtq *vq = &vs->dev.queues[TX];
	struct virtq_chain *c = &vs->tx_chain;

	do {
		virtq_quiet(vq);
		while (virtq_pop(vq, c) > 0) {
			struct virtio_vsock_hdr hdr;

			if (chain_read(c, 0, &hdr, sizeof(hdr)) == sizeof(hdr) &&
			    hdr.len <= VSOCK_PKT_MAX && hdr.len <= c->out_len - sizeof(hdr))
				vsock_conn_packet(vs, &hdr, c);
			virtq_push(vq, c, 0);
		}
		virtq_flush(vq);
	} while (virtq_rearm(vq));
	virtq_flush(&vs->dev.queues[RX]);
}

static void vsock_notify(struct virtio_device *dev, unsigned int q)
{
	struct vsock *vs = (struct vsock *)dev;

	if (q == TX)
		serve_tx(vs);
	else if (q == RX)
		vs->rx_blocked = false; /* blocked connections continue in poll_fill() */
}

static void vsock_poll_fill(struct virtio_device *dev, struct poll_set *set)
{
	struct vsock *vs = (struct vsock *)dev;

	vsock_conn_poll_fill(vs, set);
	virtq_flush(&dev->queues[RX]);
	vs->listen_place = dev->queues[RX].live ? poll_set_add(set, vs->listener.fd, POLLIN) : -1;
}

static void vsock_poll_done(struct virtio_device *dev, struct poll_set *set)
{
	struct vsock *vs = (struct vsock *)dev;

	vsock_conn_poll_done(vs, set);
	if (poll_set_revents(set, vs->listen_place)) {
		int fd = unix_accept(&vs->listener);

		if (fd >= 0)
			vsock_conn_from_host(vs, fd);
	}
	virtq_flush(&dev->queues[RX]);
}

static void vsock_stop(struct virtio_device *dev)
{
	struct vsock *vs = (struct vsock *)dev;

	vsock_conn_orphan_all(vs);
	vs->nr_owed = 0;
	vs->rx_blocked = false;
}

static void vsock_config_read(struct virtio_device *dev, uint32_t off, uint8_t *data,
			      unsigned int len)
{
	struct virtio_vsock_config config = { .guest_cid = ((struct vsock *)dev)->cid };

	if (off < sizeof(config) && len <= sizeof(config) - off)
		memcpy(data, (uint8_t *)&config + off, len);
}

/* Slow host programs still get what the guest had sent before it ended. */
static void wait_delivered(struct vsock *vs)
{
	const struct timespec pause = { .tv_nsec = 10 * NS_PER_MS };
	uint64_t deadline = clock_ns() + DELIVER_NS;
	bool left = true;

	while (left && clock_ns() < deadline) {
		pthread_mutex_lock(&vs->dev.lock);
		left = vsock_conn_any(vs);
		pthread_mutex_unlock(&vs->dev.lock);
		if (left)
			nanosleep(&pause, NULL);
	}
}

static void vsock_destroy(struct virtio_device *dev)
{
	struct vsock *vs = (struct vsock *)dev;

	if (dev->has_thread)
		wait_delivered(vs);
	virtio_free_common(dev); /* ends the thread first */
	vsock_conn_close_all(vs);
	if (vs->listener.fd >= 0)
		unlink(vs->path);
	unix_unlisten(&vs->listener);
	free(vs);
}

static const struct virtio_ops vsock_ops = {
	.kind = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.pci_class = 0x078000,
	.nr_queues = 3,
	.config_read = vsock_config_read,
	.stop = vsock_stop,
	.notify = vsock_notify,
	.poll_fill = vsock_poll_fill,
	.poll_done = vsock_poll_done,
	.destroy = vsock_destroy,
	.thread = SECCOMP_VSOCK,
};

/* The modes of the path and its folder decide who may connect. */
static int listen_at(struct vsock *vs, const char *path, struct err *err)
{
	struct err why = { 0 };
	int ret;

	/* Room for "_" and a port number behind it. */
	if (strlen(path) + 12 > sizeof(((struct sockaddr_un *)0)->sun_path) ||
	    strlen(path) >= sizeof(vs->path))
		return err_set(err, -ENAMETOOLONG, "--vsock path=%s: too long", path);
	ret = unix_listen(&vs->listener, path, 1, &why);
	if (ret)
		return err_set(err, ret, "--vsock path=%s", why.msg);
	vs->listener.any_peer = true;
	strcpy(vs->path, path);
	return 0;
}

int virtio_vsock_create(struct board *board, uint32_t cid, const char *path, struct err *err)
{
	struct vsock *vs = calloc(1, sizeof(*vs));
	int ret;

	if (!vs)
		return err_set(err, -ENOMEM, "vsock: out of memory");
	vs->cid = cid;
	vs->listener = (struct unix_listener)UNIX_LISTENER_NONE;
	vs->listen_place = -1;
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++)
		vs->conns[i].fd = -1;
	ret = virtio_init(&vs->dev, board, &vsock_ops, 0, 0, err);
	if (!ret)
		ret = listen_at(vs, path, err);
	return virtio_attach(&vs->dev, ret, err);
}

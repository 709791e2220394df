// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-net (virtio 1.2, 5.1): one pair of queues.  The card's thread serves them and
 * waits for the backend's file descriptors too, see net/backend.h.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/config.h"
#include "devices/board.h"
#include "host/events.h"
#include "host/metrics.h"
#include "net/backend.h"
#include "virtio/virtio.h"

#define RX 0
#define TX 1

_Static_assert(sizeof(struct virtio_net_hdr_v1) == NET_HDR_LEN, "virtio 1.2, 5.1.6");

struct net {
	struct virtio_device dev;
	struct virtio_net_config config;
	struct net_backend *be;
	/* Two, because the backend may answer a frame while it is being sent. */
	struct virtq_chain rx_chain, tx_chain;
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
};

/*
 * A frame for the guest, over as many buffers as it takes when they may be merged.  The
 * used index moves only when the whole frame is there.  False when there are too few;
 * @more: were buffers added in the meantime?
 */
static bool deliver(struct net *net, const uint8_t *frame, size_t len, bool *more)
{
	struct virtq *vq = &net->dev.queues[RX];
	struct virtq_chain *c = &net->rx_chain;
	bool merge = net->dev.features >> VIRTIO_NET_F_MRG_RXBUF & 1;
	uint16_t used = vq->next_used, buffers = 0;
	uint8_t *hdr = NULL;
	size_t done = 0;

	if (!vq->live || net->dev.broken)
		return true; /* the driver is not ready: dropped */
	while (done < len) {
		size_t n;

		if (virtq_pop(vq, c) <= 0)
			break;
		n = chain_write(c, 0, frame + done, len - done);
		if (!n || (!buffers && c->iov[c->nr_out].iov_len < NET_HDR_LEN)) {
			virtio_broken(&net->dev, "queue %u: a receive buffer of %zu bytes", RX,
				      c->in_len);
			return true;
		}
		if (!buffers)
			hdr = c->iov[c->nr_out].iov_base;
		virtq_stage(vq, c, n, buffers++);
		done += n;
		if (!merge)
			break;
	}
	if (done < len && (merge || !buffers)) {
		bool never = buffers == vq->size; /* larger than the whole ring: dropped */

		/* Undo, and ask for a notification of buffers beyond those that were there. */
		*more = virtq_rearm(vq);
		while (buffers--)
			virtq_unpop(vq);
		return never;
	}
	if (hdr && done == len) {
		struct virtio_net_hdr_v1 v1;

		memcpy(&v1, frame, sizeof(v1));
		v1.num_buffers = buffers;
		memcpy(hdr, &v1, sizeof(v1));
		virtq_publish(vq, used + buffers);
		counter_add(&net->rx_packets, 1);
		counter_add(&net->rx_bytes, len - NET_HDR_LEN);
	} else {
		virtq_unpop(vq); /* too large for its one buffer: dropped */
	}
	return true;
}

/* Ask for notifications of new buffers only when there are none. */
static bool net_receive(void *arg, const uint8_t *frame, size_t len)
{
	struct net *net = arg;
	bool more;

	virtq_quiet(&net->dev.queues[RX]);
	do {
		if (deliver(net, frame, len, &more))
			return true;
	} while (more);
	return false;
}

static void serve_tx(struct net *net)
{
	struct virtq *vq = &net->dev.queues[TX];
	struct virtq_chain *c = &net->tx_chain;

	do {
		virtq_quiet(vq);
		while (virtq_pop(vq, c) > 0) {
			if (c->out_len > NET_HDR_LEN && c->out_len <= NET_FRAME_MAX) {
				net->be->ops->send(net->be, c->iov, c->nr_out, c->out_len);
				counter_add(&net->tx_packets, 1);
				counter_add(&net->tx_bytes, c->out_len - NET_HDR_LEN);
			}
			virtq_push(vq, c, 0);
		}
		virtq_flush(vq);
	} while (virtq_rearm(vq));
}

static void net_notify(struct virtio_device *dev, unsigned int q)
{
	struct net *net = (struct net *)dev;

	if (q == TX)
		serve_tx(net);
	else
		net->be->ops->rx_room(net->be);
}

static void net_poll_fill(struct virtio_device *dev, struct poll_set *set)
{
	struct net *net = (struct net *)dev;

	/* One interrupt for all frames since the last wait. */
	virtq_flush(&dev->queues[RX]);
	net->be->ops->poll_fill(net->be, set);
}

static void net_poll_done(struct virtio_device *dev, struct poll_set *set)
{
	struct net *net = (struct net *)dev;

	net->be->ops->poll_done(net->be, set);
}

static void net_start(struct virtio_device *dev)
{
	struct net *net = (struct net *)dev;

	if (net->be->ops->set_offload)
		net->be->ops->set_offload(net->be, dev->features);
}

/* The link goes down for the driver; the VM continues. */
static void net_down(void *arg, const char *reason)
{
	struct net *net = arg;

	net->config.status &= ~VIRTIO_NET_S_LINK_UP;
	virtio_config_changed(&net->dev);
	if (net->dev.board->events)
		events_emit(net->dev.board->events, "net_down",
			    json_pack("{s:s, s:o}", "device", net->dev.name, "reason",
				      events_text(reason)));
}

static void net_config_read(struct virtio_device *dev, uint32_t off, uint8_t *data,
			    unsigned int len)
{
	struct net *net = (struct net *)dev;

	if (off < sizeof(net->config) && len <= sizeof(net->config) - off)
		memcpy(data, (uint8_t *)&net->config + off, len);
}

static void net_destroy(struct virtio_device *dev)
{
	struct net *net = (struct net *)dev;

	virtio_free_common(dev); /* ends the thread first */
	if (net->be)
		net->be->ops->destroy(net->be);
	free(net);
}

static const struct virtio_ops net_ops = {
	.kind = "net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000,
	.nr_queues = 2,
	.config_read = net_config_read,
	.start = net_start,
	.notify = net_notify,
	.poll_fill = net_poll_fill,
	.poll_done = net_poll_done,
	.destroy = net_destroy,
	.thread = SECCOMP_NET,
};

/* The same name gives the same address at every start, so the guest knows its card. */
static void make_mac(uint8_t mac[6], const char *name, unsigned int index)
{
	uint64_t hash = XXH3_64bits_withSeed(name, strlen(name), index);

	memcpy(mac, &hash, 6);
	mac[0] = (mac[0] & 0xfc) | 0x02; /* unicast, locally administered */
}

static int add_metrics(struct net *net)
{
	struct metrics *m = net->dev.board->metrics;
	char rx[64], tx[64];
	int ret;

	snprintf(rx, sizeof(rx), "device=\"%s\",direction=\"rx\"", net->dev.name);
	snprintf(tx, sizeof(tx), "device=\"%s\",direction=\"tx\"", net->dev.name);
	ret = metrics_counter(m, "net_packets_total", "Network packets", rx, &net->rx_packets);
	if (!ret)
		ret = metrics_counter(m, "net_packets_total", "Network packets", tx,
				      &net->tx_packets);
	if (!ret)
		ret = metrics_counter(m, "net_bytes_total", "Network bytes", rx, &net->rx_bytes);
	if (!ret)
		ret = metrics_counter(m, "net_bytes_total", "Network bytes", tx, &net->tx_bytes);
	return ret;
}

static int create_backend(struct board *board, const struct net_config *config,
			  unsigned int index, struct net_backend **out, struct err *err)
{
	switch (config->kind) {
	case NET_USER:
		return net_user_create(board->net_processes, index, out, err);
	case NET_UNIX:
		return net_unix_create(config, out, err);
	default:
		return net_tap_create(config, out, err);
	}
}

int virtio_net_create(struct board *board, const struct net_config *config, unsigned int index,
		      struct err *err)
{
	static const uint8_t none[6];
	struct net *net = calloc(1, sizeof(*net));
	uint64_t features = 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_STATUS |
			    1ull << VIRTIO_NET_F_MRG_RXBUF;
	struct net_backend *be = NULL;
	int ret;

	if (!net)
		return err_set(err, -ENOMEM, "network: out of memory");
	ret = create_backend(board, config, index, &be, err);
	if (ret) {
		free(net);
		return ret;
	}
	features |= be->features;
	if (be->mtu) {
		features |= 1ull << VIRTIO_NET_F_MTU;
		net->config.mtu = be->mtu;
	}
	ret = virtio_init(&net->dev, board, &net_ops, index, features, err);
	net->be = be;
	be->rx = net_receive;
	be->down = net_down;
	be->arg = net;
	net->config.status = VIRTIO_NET_S_LINK_UP;
	net->config.max_virtqueue_pairs = 1;
	if (memcmp(config->mac, none, 6))
		memcpy(net->config.mac, config->mac, 6);
	else
		make_mac(net->config.mac, board->name, index);
	if (!ret)
		ret = add_metrics(net);
	return virtio_attach(&net->dev, ret, err);
}

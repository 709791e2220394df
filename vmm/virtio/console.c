// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-console (virtio 1.2, 5.3), one port: hvc0 in a Linux guest.  It takes the
 * serial port's place as the way to the host's console when --console-device virtio
 * was given.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "devices/board.h"
#include "host/console.h"
#include "host/metrics.h"
#include "virtio/virtio.h"

#define RX 0
#define TX 1

#define WRITE_MAX (1024 * 1024) /* bytes at once; Linux writes 32 KiB at most */

struct vcon {
	struct virtio_device dev;
	struct virtq_chain chain;
	uint64_t rx_bytes, tx_bytes;
};

/* From the console's user; in the loop's thread. */
static size_t vcon_input(void *arg, const uint8_t *buf, size_t len)
{
	struct vcon *con = arg;
	struct virtq *vq = &con->dev.queues[RX];
	size_t done = 0;

	pthread_mutex_lock(&con->dev.lock);
	do {
		while (done < len && virtq_pop(vq, &con->chain) > 0) {
			size_t n = chain_write(&con->chain, 0, buf + done, len - done);

			virtq_push(vq, &con->chain, n);
			done += n;
			if (!n)
				break;
		}
		virtq_flush(vq);
	} while (done < len && virtq_rearm(vq));
	counter_add(&con->rx_bytes, done);
	pthread_mutex_unlock(&con->dev.lock);
	return done;
}

static void serve_tx(struct vcon *con)
{
	struct virtq *vq = &con->dev.queues[TX];
	struct virtq_chain *c = &con->chain;

	do {
		virtq_quiet(vq);
		while (virtq_pop(vq, c) > 0) {
			if (c->out_len > WRITE_MAX) {
				virtio_broken(&con->dev, "queue %u: a write of %zu bytes", TX,
					      c->out_len);
				return;
			}
			for (unsigned int i = 0; i < c->nr_out; i++)
				console_write(con->dev.board->console, c->iov[i].iov_base,
					      c->iov[i].iov_len);
			counter_add(&con->tx_bytes, c->out_len);
			virtq_spend(vq, c->out_len);
			virtq_push(vq, c, 0);
		}
		virtq_flush(vq);
	} while (virtq_rearm(vq));
}

static void vcon_notify(struct virtio_device *dev, unsigned int q)
{
	struct vcon *con = (struct vcon *)dev;

	if (q == TX)
		serve_tx(con);
	else if (dev->board->console)
		console_kick(dev->board->console);
}

static void vcon_destroy(struct virtio_device *dev)
{
	if (dev->board->console)
		console_set_input(dev->board->console, NULL, NULL);
	virtio_free_common(dev);
	free(dev);
}

static const struct virtio_ops vcon_ops = {
	.kind = "console",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = 0x078000,
	.nr_queues = 2,
	.notify = vcon_notify,
	.destroy = vcon_destroy,
};

int virtio_console_create(struct board *board, struct err *err)
{
	struct vcon *con = calloc(1, sizeof(*con));
	int ret;

	if (!con)
		return err_set(err, -ENOMEM, "virtio console: out of memory");
	ret = virtio_init(&con->dev, board, &vcon_ops, 0, 0, err);
	if (!ret)
		ret = metrics_counter(board->metrics, "console_bytes_total",
				      "Bytes through the virtio console", "direction=\"in\"",
				      &con->rx_bytes);
	if (!ret)
		ret = metrics_counter(board->metrics, "console_bytes_total",
				      "Bytes through the virtio console", "direction=\"out\"",
				      &con->tx_bytes);
	ret = virtio_attach(&con->dev, ret, err);
	if (!ret)
		console_set_input(board->console, vcon_input, con);
	return ret;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a network card's frames go: a tap device (tap.c) or user-mode networking
 * (user.c).  Everything here runs in the card's thread with its lock held.
 */
#ifndef VMM_NET_BACKEND_H
#define VMM_NET_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/config.h"
#include "core/err.h"

#define NET_HDR_LEN   12		   /* struct virtio_net_hdr_v1 */
#define NET_FRAME_MAX (NET_HDR_LEN + 65550) /* with the largest segment a tap offers */

struct net_backend;
struct poll_set;

/*
 * A frame from outside, with the virtio header in front; false when the guest has no
 * room, and the backend keeps it (or drops it) and tries again on rx_room().
 */
typedef bool (*net_rx_fn)(void *arg, const uint8_t *frame, size_t len);

struct net_backend_ops {
	/* A frame from the guest: @iov starts with the virtio header. */
	void (*send)(struct net_backend *be, const struct iovec *iov, unsigned int nr, size_t len);
	/* The guest has receive buffers again. */
	void (*rx_room)(struct net_backend *be);
	/* The offloads (VIRTIO_NET_F_GUEST_*) the driver accepted; NULL: none possible. */
	void (*set_offload)(struct net_backend *be, uint64_t features);
	/* Add to the set what to wait for, before each poll; act on it after. */
	void (*poll_fill)(struct net_backend *be, struct poll_set *set);
	void (*poll_done)(struct net_backend *be, struct poll_set *set);
	void (*destroy)(struct net_backend *be);
};

struct net_backend {
	const struct net_backend_ops *ops;
	uint64_t features; /* VIRTIO_NET_F_* that it makes possible */
	net_rx_fn rx;
	void *rx_arg;
};

int net_tap_create(const struct net_config *config, struct net_backend **out, struct err *err);
int net_user_create(const struct net_config *config, struct net_backend **out, struct err *err);

#endif

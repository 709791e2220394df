/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a network card's frames go: a tap device (tap.c), or a stream socket (stream.c) to
 * a program of the user or to the process of user-mode networking (user_process.h).  A
 * backend runs in the card's thread with its lock held.
 */
#ifndef VMM_NET_BACKEND_H
#define VMM_NET_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/config.h"
#include "core/err.h"

#define NET_USER_MTU  9000 /* of user-mode networking; a packet takes libslirp a whole buffer */
#define NET_HDR_LEN   12 /* struct virtio_net_hdr_v1 */
#define NET_FRAME_MAX (NET_HDR_LEN + 65550) /* with the largest segment a tap offers */

struct net_backend;
struct net_processes;
struct poll_set;

/*
 * A frame for the guest, with the virtio header in front; false when the guest has no
 * room: the backend then keeps it (or drops it) and tries again on rx_room().
 */
typedef bool (*net_rx_fn)(void *arg, const uint8_t *frame, size_t len);

/*
 * The backend has failed for good: the card's link goes down.  Called at most once, from one
 * of the functions below.
 */
typedef void (*net_down_fn)(void *arg, const char *reason);

struct net_backend_ops {
	/* A frame from the guest: @iov starts with the virtio header. */
	void (*send)(struct net_backend *be, const struct iovec *iov, unsigned int nr,
		     size_t len);
	/* The guest has receive buffers again. */
	void (*rx_room)(struct net_backend *be);
	/* The offloads (VIRTIO_NET_F_GUEST_*) the driver accepted; NULL: none possible. */
	void (*set_offload)(struct net_backend *be, uint64_t features);
	/* Add descriptors to the set before each poll; handle their events after it. */
	void (*poll_fill)(struct net_backend *be, struct poll_set *set);
	void (*poll_done)(struct net_backend *be, struct poll_set *set);
	void (*destroy)(struct net_backend *be);
};

struct net_backend {
	const struct net_backend_ops *ops;
	uint64_t features; /* VIRTIO_NET_F_* that it supports */
	uint16_t mtu; /* the largest that it takes; 0: the default */
	net_rx_fn rx;
	net_down_fn down;
	void *arg; /* of both functions */
};

/*
 * net_*_create - create a backend; ops->destroy destroys it.  0 or -errno with @err set.
 * Called before the card's thread exists.
 */
int net_tap_create(const struct net_config *config, struct net_backend **out, struct err *err);

/* The backend for the process that was started for card @index. */
int net_user_create(struct net_processes *processes, unsigned int index, struct net_backend **out,
		    struct err *err);

/* Connects to the Unix socket config->path. */
int net_unix_create(const struct net_config *config, struct net_backend **out, struct err *err);

/* Frames over @fd, which it takes over, also on failure; @peer names the other end. */
int net_stream_create(int fd, const char *peer, struct net_backend **out, struct err *err);

#endif

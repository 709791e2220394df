// SPDX-License-Identifier: BSD-2-Clause
/*
 * A tap device: frames go to and from the host's network with their virtio header, so
 * that checksums and segmentation can be left to the guest, the host or the hardware.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/poll_set.h"
#include "net/backend.h"

#define BUDGET 64 /* frames received in a row before the guest's are sent */

struct tap {
	struct net_backend be;
	int fd;
	int place; /* in the poll set; -1: not waiting */
	size_t held; /* length of a frame the guest had no room for; 0: none */
	uint8_t frame[NET_FRAME_MAX];
};

static void tap_send(struct net_backend *be, const struct iovec *iov, unsigned int nr, size_t len)
{
	struct tap *tap = (struct tap *)be;
	ssize_t n = writev(tap->fd, iov, nr < 1024 ? nr : 1024);

	(void)n; /* a frame that cannot be sent is lost, as on any wire */
}

/* The device was deleted: poll() would report that again and again. */
static void tap_gone(struct tap *tap, int error)
{
	char reason[80];

	snprintf(reason, sizeof(reason), "the tap device: %s", strerror(error));
	close(tap->fd);
	tap->fd = -1;
	tap->be.down(tap->be.arg, reason);
}

/* Deliver frames until there are no more, or no room, or the budget is used up. */
static void tap_receive(struct tap *tap)
{
	for (int i = 0; i < BUDGET; i++) {
		if (!tap->held) {
			ssize_t n = read(tap->fd, tap->frame, sizeof(tap->frame));

			if (n < 0 && errno != EAGAIN && errno != EINTR)
				tap_gone(tap, errno);
			if (n <= NET_HDR_LEN)
				return;
			tap->held = n;
		}
		if (!tap->be.rx(tap->be.arg, tap->frame, tap->held))
			return;
		tap->held = 0;
	}
}

static void tap_rx_room(struct net_backend *be)
{
	struct tap *tap = (struct tap *)be;

	if (tap->fd >= 0)
		tap_receive(tap);
}

static void tap_set_offload(struct net_backend *be, uint64_t features)
{
	struct tap *tap = (struct tap *)be;
	unsigned int flags = 0;

	tap->held = 0;
	if (features >> VIRTIO_NET_F_GUEST_CSUM & 1) {
		flags = TUN_F_CSUM;
		if (features >> VIRTIO_NET_F_GUEST_TSO4 & 1)
			flags |= TUN_F_TSO4;
		if (features >> VIRTIO_NET_F_GUEST_TSO6 & 1)
			flags |= TUN_F_TSO6;
	}
	if (ioctl(tap->fd, TUNSETOFFLOAD, flags))
		return; /* it was tried before it was offered: cannot fail now */
}

static void tap_poll_fill(struct net_backend *be, struct poll_set *set)
{
	struct tap *tap = (struct tap *)be;

	tap->place = tap->held || tap->fd < 0 ? -1 : poll_set_add(set, tap->fd, POLLIN);
}

static void tap_poll_done(struct net_backend *be, struct poll_set *set)
{
	struct tap *tap = (struct tap *)be;

	if (poll_set_revents(set, tap->place))
		tap_receive(tap);
}

static void tap_destroy(struct net_backend *be)
{
	struct tap *tap = (struct tap *)be;

	if (tap->fd >= 0)
		close(tap->fd);
	free(tap);
}

static const struct net_backend_ops tap_ops = {
	.send = tap_send,
	.rx_room = tap_rx_room,
	.set_offload = tap_set_offload,
	.poll_fill = tap_poll_fill,
	.poll_done = tap_poll_done,
	.destroy = tap_destroy,
};

static int open_named(struct tap *tap, const char *ifname, struct err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	tap->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap->fd < 0)
		return err_errno(err, "--net tap=%s: /dev/net/tun", ifname);
	memcpy(ifr.ifr_name, ifname, strnlen(ifname, IFNAMSIZ - 1));
	if (ioctl(tap->fd, TUNSETIFF, &ifr))
		return err_errno(err, "--net tap=%s", ifname);
	return 0;
}

static int check_fd(struct tap *tap, int fd, struct err *err)
{
	struct ifreq ifr;

	if (ioctl(fd, TUNGETIFF, &ifr))
		return err_set(err, -EINVAL, "--net fd=%d: not an open tap device", fd);
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_VNET_HDR))
		return err_set(err, -EINVAL,
			       "--net fd=%d: must have been opened with IFF_TAP | IFF_VNET_HDR",
			       fd);
	tap->fd = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return err_errno(err, "--net fd=%d", fd);
	return 0;
}

int net_tap_create(const struct net_config *config, struct net_backend **out, struct err *err)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int hdr = NET_HDR_LEN, ret;

	if (!tap)
		return err_set(err, -ENOMEM, "network: out of memory");
	tap->be.ops = &tap_ops;
	tap->fd = -1;
	tap->place = -1;
	ret = config->fd >= 0 ? check_fd(tap, config->fd, err) :
				open_named(tap, config->ifname, err);
	if (!ret && ioctl(tap->fd, TUNSETVNETHDRSZ, &hdr))
		ret = err_errno(err, "--net: TUNSETVNETHDRSZ");
	if (ret) {
		tap_destroy(&tap->be);
		return ret;
	}
	if (!ioctl(tap->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
		tap->be.features = 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |
				   1ull << VIRTIO_NET_F_HOST_TSO6 |
				   1ull << VIRTIO_NET_F_GUEST_CSUM |
				   1ull << VIRTIO_NET_F_GUEST_TSO4 |
				   1ull << VIRTIO_NET_F_GUEST_TSO6;
	tap_set_offload(&tap->be, 0);
	*out = &tap->be;
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * What all virtio devices share: the life of a device from reset to DRIVER_OK and
 * back (virtio 1.2, 2.1 and 3.1), and how notifications reach it.
 */
#include "virtio/virtio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/loop.h"
#include "core/poll_set.h"
#include "devices/board.h"
#include "host/events.h"
#include "host/metrics.h"

int virtio_init(struct virtio_device *dev, struct board *board, const struct virtio_ops *ops,
		unsigned int index, uint64_t features, struct err *err)
{
	dev->ops = ops;
	dev->board = board;
	dev->mem = &board->mem;
	dev->offered = features | 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |
		       1ull << VIRTIO_RING_F_INDIRECT_DESC;
	dev->config_vector = VIRTIO_NO_VEC;
	dev->quit_fd = -1;
	snprintf(dev->name, sizeof(dev->name), "%s%u", ops->kind, index);
	pthread_mutex_init(&dev->lock, NULL);
	pthread_cond_init(&dev->idle, NULL);
	for (unsigned int i = 0; i < ops->nr_queues; i++)
		dev->queues[i].kick_fd = -1;
	for (unsigned int i = 0; i < ops->nr_queues; i++) {
		struct virtq *vq = &dev->queues[i];

		vq->dev = dev;
		vq->index = i;
		vq->max_size = VIRTQ_MAX_SIZE;
		vq->size = VIRTQ_MAX_SIZE;
		vq->vector = VIRTIO_NO_VEC;
		vq->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vq->kick_fd < 0)
			return err_errno(err, "%s: eventfd", dev->name);
	}
	return 0;
}

void virtio_hold(struct virtio_device *dev)
{
	dev->in_flight++;
}

void virtio_release(struct virtio_device *dev)
{
	dev->in_flight--;
	pthread_cond_broadcast(&dev->idle);
}

/* No new request starts after this; lock held. */
static void cancel_io(struct virtio_device *dev)
{
	__atomic_fetch_add(&dev->cancel, 1, __ATOMIC_SEQ_CST);
	if (dev->in_flight && dev->has_thread)
		eventfd_write(dev->queues[0].kick_fd, 1);
	while (dev->in_flight)
		pthread_cond_wait(&dev->idle, &dev->lock);
}

void virtio_free_common(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	cancel_io(dev);
	pthread_mutex_unlock(&dev->lock);
	if (dev->has_thread && !eventfd_write(dev->quit_fd, 1))
		pthread_join(dev->thread, NULL);
	if (dev->quit_fd >= 0)
		close(dev->quit_fd);
	for (unsigned int i = 0; i < dev->ops->nr_queues; i++)
		if (dev->queues[i].kick_fd >= 0)
			close(dev->queues[i].kick_fd);
	pthread_cond_destroy(&dev->idle);
	pthread_mutex_destroy(&dev->lock);
}

void virtio_io_begin(struct virtio_device *dev)
{
	virtio_hold(dev);
	pthread_mutex_unlock(&dev->lock);
}

bool virtio_io_end(struct virtio_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	virtio_release(dev);
	return !dev->cancel;
}

bool virtio_cancelled(const struct virtio_device *dev)
{
	return __atomic_load_n(&dev->cancel, __ATOMIC_SEQ_CST);
}

void virtio_broken(struct virtio_device *dev, const char *fmt, ...)
{
	char reason[256];
	va_list ap;

	if (dev->broken)
		return;
	dev->broken = true;
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	if (dev->board->events)
		events_emit_limited(
			dev->board->events, EVENTS_OF_GUEST, "device_broken", dev->name,
			json_pack("{s:s, s:s}", "device", dev->name, "reason", reason));
	dev->signal(dev, dev->config_vector);
}

void virtio_config_changed(struct virtio_device *dev)
{
	dev->generation++;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		dev->signal(dev, dev->config_vector);
}

void virtio_reset(struct virtio_device *dev)
{
	bool was_up;

	/* The device must not touch the driver's memory after a reset (2.4.1): wait for that. */
	cancel_io(dev);
	__atomic_fetch_sub(&dev->cancel, 1, __ATOMIC_SEQ_CST);
	was_up = dev->status & VIRTIO_CONFIG_S_DRIVER_OK;
	dev->status = 0;
	dev->features = 0;
	dev->broken = false;
	dev->offer_select = dev->accept_select = 0;
	dev->queue_select = 0;
	dev->config_vector = VIRTIO_NO_VEC;
	for (unsigned int i = 0; i < dev->ops->nr_queues; i++) {
		struct virtq *vq = &dev->queues[i];

		vq->live = vq->enabled = false;
		vq->desc_gpa = vq->avail_gpa = vq->used_gpa = 0;
		vq->size = vq->max_size;
		vq->vector = VIRTIO_NO_VEC;
	}
	if (was_up && dev->ops->stop)
		dev->ops->stop(dev);
}

static void driver_ok(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->ops->nr_queues; i++) {
		struct virtq *vq = &dev->queues[i];

		if (vq->enabled && virtq_live(vq)) {
			virtio_broken(dev,
				      "queue %u: size %u or its addresses 0x%llx 0x%llx 0x%llx "
				      "are not valid",
				      i, vq->size, (unsigned long long)vq->desc_gpa,
				      (unsigned long long)vq->avail_gpa,
				      (unsigned long long)vq->used_gpa);
			return;
		}
	}
	if (dev->ops->start)
		dev->ops->start(dev);
	/* Buffers may have been offered before. */
	for (unsigned int i = 0; i < dev->ops->nr_queues; i++)
		eventfd_write(dev->queues[i].kick_fd, 1);
}

void virtio_set_status(struct virtio_device *dev, uint8_t status)
{
	uint8_t set = status & ~dev->status;

	if (!status) {
		virtio_reset(dev);
		return;
	}
	if (dev->broken)
		return;
	if (set & VIRTIO_CONFIG_S_FEATURES_OK &&
	    (dev->features & ~dev->offered || !(dev->features >> VIRTIO_F_VERSION_1 & 1)))
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	/* Only a reset clears bits. */
	dev->status |= status & ~VIRTIO_CONFIG_S_NEEDS_RESET;
	if (set & VIRTIO_CONFIG_S_DRIVER_OK) {
		if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
			driver_ok(dev);
		else
			virtio_broken(dev, "DRIVER_OK without FEATURES_OK");
	}
}

void virtio_serve(struct virtio_device *dev, unsigned int q)
{
	pthread_mutex_lock(&dev->lock);
	virtq_turn(&dev->queues[q]);
	if (dev->queues[q].live && !dev->broken && !dev->cancel)
		dev->ops->notify(dev, q);
	pthread_mutex_unlock(&dev->lock);
}

static void on_kick(void *arg, uint32_t events)
{
	struct virtq *vq = arg;
	uint64_t count;

	if (read(vq->kick_fd, &count, sizeof(count)) < 0)
		return;
	counter_add(&vq->kicks, 1);
	virtio_serve(vq->dev, vq->index);
}

/* What the device's thread waits for: queues, the request to quit, and the device's own events.
 */
static void fill(struct virtio_device *dev, struct poll_set *set)
{
	set->nr = 0;
	set->timeout_ms = -1;
	poll_set_add(set, dev->quit_fd, POLLIN);
	for (unsigned int i = 0; i < dev->ops->nr_queues; i++)
		poll_set_add(set, dev->queues[i].kick_fd, POLLIN);
	if (dev->ops->poll_fill) {
		pthread_mutex_lock(&dev->lock);
		dev->ops->poll_fill(dev, set);
		pthread_mutex_unlock(&dev->lock);
	}
}

/* A device that may block, or has many events, serves its queues here, not in the loop. */
static void *device_thread(void *arg)
{
	struct virtio_device *dev = arg;
	struct poll_set set = { 0 };

	pthread_setname_np(pthread_self(), dev->name);
	for (;;) {
		fill(dev, &set);
		if (poll(set.fds, set.nr, set.timeout_ms) < 0)
			continue;
		if (poll_set_revents(&set, 0))
			break;
		seccomp_enter(dev->ops->thread);
		if (dev->ops->poll_done) {
			pthread_mutex_lock(&dev->lock);
			dev->ops->poll_done(dev, &set);
			pthread_mutex_unlock(&dev->lock);
		}
		for (unsigned int i = 0; i < dev->ops->nr_queues; i++)
			if (poll_set_revents(&set, 1 + i))
				on_kick(&dev->queues[i], 0);
	}
	free(set.fds);
	return NULL;
}

static int start_service(struct virtio_device *dev, struct err *err)
{
	int ret = 0;

	if (dev->ops->thread == SECCOMP_LOOP) {
		for (unsigned int i = 0; i < dev->ops->nr_queues && !ret; i++)
			ret = loop_add(dev->board->loop, dev->queues[i].kick_fd, EPOLLIN, on_kick,
				       &dev->queues[i], NULL);
		return ret ? err_set(err, ret, "%s: the event loop: %s", dev->name,
				     strerror(-ret)) :
			     0;
	}
	dev->quit_fd = eventfd(0, EFD_CLOEXEC);
	if (dev->quit_fd < 0)
		return err_errno(err, "%s: eventfd", dev->name);
	ret = pthread_create(&dev->thread, NULL, device_thread, dev);
	if (ret)
		return err_set(err, -ret, "%s: no thread: %s", dev->name, strerror(ret));
	dev->has_thread = true;
	return 0;
}

static int count_kicks(struct virtio_device *dev)
{
	int ret = 0;

	for (unsigned int i = 0; i < dev->ops->nr_queues && !ret; i++) {
		char labels[64];

		snprintf(labels, sizeof(labels), "device=\"%s\",queue=\"%u\"", dev->name, i);
		ret = metrics_counter(dev->board->metrics, "virtio_kicks_total",
				      "Notifications of the guest's driver", labels,
				      &dev->queues[i].kicks);
	}
	return ret;
}

int virtio_attach(struct virtio_device *dev, int ret, struct err *err)
{
	if (!ret)
		ret = virtio_pci_attach(dev, err);
	if (!ret)
		ret = count_kicks(dev);
	/* Without a loop, as in unit tests, the creator calls virtio_serve(). */
	if (!ret && dev->board->loop)
		ret = start_service(dev, err);
	if (ret && !dev->pci.bus) /* otherwise the bus destroys it */
		dev->ops->destroy(dev);
	return ret;
}

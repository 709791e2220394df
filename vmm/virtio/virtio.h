/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio 1.x devices: what a device is (this file), how it takes requests from its
 * rings (virtq.c) and how the guest finds it (virtio_pci.c).  To add a device, read
 * rng.c first.
 *
 * Threads: the guest's driver configures on vCPU threads, requests are served on the
 * device's I/O thread (the loop, or a thread of the disk's own).  device->lock covers
 * both; it is never held while a guest runs, nor while a disk moves data (virtio_io_begin()).
 */
#ifndef VMM_VIRTIO_VIRTIO_H
#define VMM_VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/memory.h"
#include "devices/pci.h"
#include "host/seccomp.h"

#define VIRTQ_MAX_SIZE 256
/* What a queue may take in a row before others get their turn. */
#define VIRTQ_BUDGET	   256 /* requests, and looks for them */
#define VIRTQ_BUDGET_BYTES (1024 * 1024)
#define VIRTIO_QUEUES	   4
#define VIRTIO_NO_VEC	   0xffff

struct poll_set;
struct board;
struct virtio_device;

/* A ring, its configuration frozen (and copied into pointers) when it is enabled. */
struct virtq {
	struct virtio_device *dev;
	unsigned int index;
	uint16_t max_size;
	/* As the driver set it; only changes while the queue is not live. */
	uint16_t size;
	uint16_t vector;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	bool enabled;
	/* Valid while live: inside guest RAM, so contents may change at any time. */
	bool live;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next_avail; /* index to take next */
	uint16_t next_used; /* index to return next */
	uint16_t signalled; /* next_used at the last interrupt decision */
	bool event_idx;
	unsigned int budget; /* what is left of its turn, in requests and looks for them */
	size_t budget_bytes; /* and in bytes, as far as the device counts them */
	int kick_fd; /* eventfd, KVM's ioeventfd: a notification of the driver */
	uint64_t kicks;
};

/* A request: buffers the device reads, then buffers it writes, as host pointers. */
struct virtq_chain {
	uint16_t head;
	unsigned int nr_out, nr_in;
	size_t out_len, in_len;
	struct iovec iov[VIRTQ_MAX_SIZE]; /* nr_out of them, then nr_in */
};

struct virtio_ops {
	const char *kind;
	uint16_t id; /* virtio 1.2, chapter 5 */
	uint32_t pci_class;
	unsigned int nr_queues;
	/* Below: device->lock held. */
	void (*config_read)(struct virtio_device *dev, uint32_t off, uint8_t *data,
			    unsigned int len);
	void (*config_write)(struct virtio_device *dev, uint32_t off, const uint8_t *data,
			     unsigned int len);
	/* The driver is ready: dev->features is what it accepted.  vCPU thread. */
	void (*start)(struct virtio_device *dev);
	/* The driver has reset the device; the rings are invalid.  vCPU thread, or between boots.
	 */
	void (*stop)(struct virtio_device *dev);
	/* Queue @q may have new buffers.  I/O thread. */
	void (*notify)(struct virtio_device *dev, unsigned int q);
	void (*destroy)(struct virtio_device *dev);
	/* Devices with a thread of their own: what else it waits for (may be NULL). */
	void (*poll_fill)(struct virtio_device *dev, struct poll_set *set);
	void (*poll_done)(struct virtio_device *dev, struct poll_set *set);
	/* Where notify runs: SECCOMP_LOOP, or a thread of the device's own, of that kind. */
	enum seccomp_thread thread;
};

struct virtio_device {
	struct pci_device pci;
	const struct virtio_ops *ops;
	char name[16]; /* "blk0" */
	struct board *board;
	struct guest_memory *mem;
	pthread_mutex_t lock;
	uint64_t offered;
	uint64_t features; /* accepted by the driver, a subset of offered */
	uint32_t offer_select, accept_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t status;
	uint8_t generation; /* of the device configuration */
	bool broken; /* the driver violated a rule; until reset */
	unsigned int in_flight; /* what a reset waits for, see virtio_io_begin() */
	unsigned int cancel; /* requests in flight are to be abandoned; read without the lock */
	pthread_cond_t idle; /* in_flight has decreased */
	bool notify_exit; /* no ioeventfd: doorbells exit, for services to see */
	struct virtq queues[VIRTIO_QUEUES];
	struct bus_region notify_region;
	pthread_t thread;
	bool has_thread;
	int quit_fd;
	/* How interrupts leave; msix_signal() in a VM, a stub under test. */
	void (*signal)(struct virtio_device *dev, uint16_t vector);
};

/*
 * virtio_init - fill in the common part: name @kind@index, no PCI yet.
 * @features: beside VERSION_1, EVENT_IDX and INDIRECT_DESC, which all have.
 */
int virtio_init(struct virtio_device *dev, struct board *board, const struct virtio_ops *ops,
		unsigned int index, uint64_t features, struct err *err);

/*
 * virtio_attach - put @dev on the PCI bus and its queues on the loop, if there is one.  @ret
 * is the result of creating it: an error is returned unchanged.  Owns @dev in any case.
 */
int virtio_attach(struct virtio_device *dev, int ret, struct err *err);

/* virtio_free_common - the counterpart of virtio_init(); from ops->destroy. */
void virtio_free_common(struct virtio_device *dev);

/*
 * virtio_broken - the driver violated a rule: DEVICE_NEEDS_RESET, an event with the
 * reason, and no more requests until it resets the device.  Lock held.
 */
void virtio_broken(struct virtio_device *dev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* virtio_config_changed - tell the driver that the device configuration changed. */
void virtio_config_changed(struct virtio_device *dev);

/* For the transport: status register, reset, driver ready.  Lock held. */
void virtio_set_status(struct virtio_device *dev, uint8_t status);
void virtio_reset(struct virtio_device *dev);

/* virtio_pci_attach - the PCI half of virtio_attach(). */
int virtio_pci_attach(struct virtio_device *dev, struct err *err);

/*
 * virtio_notify_at - the name of the device whose doorbells are at I/O port @port, or NULL.
 * Any thread.
 */
const char *virtio_notify_at(struct pci_bus *bus, uint64_t port);

/*
 * virtio_io_begin - release the lock while the data of the current request moves; the
 * chain's buffers stay valid.  virtio_io_end - take it again; false if the driver has reset
 * the device (or the VM ends): then the request and the rings are invalid, and the device's
 * notify must return.  virtio_cancelled - to be checked in between, at least once for each
 * MiB, because a reset waits.  The device's own thread.
 */
void virtio_io_begin(struct virtio_device *dev);
bool virtio_io_end(struct virtio_device *dev);
bool virtio_cancelled(const struct virtio_device *dev);

/*
 * virtio_hold, virtio_release - requests are in flight while the thread waits for events with
 * the lock released.  A reset, or the VM's end, wakes it so that poll_done cancels them, and then
 * waits for virtio_release(); requests that complete later are not returned.  Lock held.
 */
void virtio_hold(struct virtio_device *dev);
void virtio_release(struct virtio_device *dev);

/* Serve one notification; for the loop, the device's thread and the fuzzer. */
void virtio_serve(struct virtio_device *dev, unsigned int q);

/*
 * virtq_pop - take the next request.  Every descriptor is copied before it is
 * checked, a chain is at most as long as the queue, every buffer lies in RAM.
 * Returns 1, 0 when there is none, or -EINVAL after virtio_broken().  Lock held.
 */
int virtq_pop(struct virtq *vq, struct virtq_chain *chain);

/* virtq_more - is there another request to pop? */
bool virtq_more(const struct virtq *vq);

/* virtq_turn - begin a new turn, with a full budget. */
void virtq_turn(struct virtq *vq);

/* virtq_spend - @bytes were moved for the request popped last: they count as part of its turn. */
void virtq_spend(struct virtq *vq, size_t bytes);

/* virtq_push - return it, with @written bytes of its in-buffers filled. */
void virtq_push(struct virtq *vq, const struct virtq_chain *chain, uint32_t written);

/*
 * virtq_stage, virtq_publish - return several at once: the @nth is written behind the
 * used index, which then moves to @used for all of them.
 */
void virtq_stage(struct virtq *vq, const struct virtq_chain *chain, uint32_t written,
		 uint16_t nth);
void virtq_publish(struct virtq *vq, uint16_t used);

/* virtq_unpop - put the request popped last back, as if it had not been taken. */
void virtq_unpop(struct virtq *vq);

/* virtq_flush - interrupt the driver if it asked to be told of what was pushed. */
void virtq_flush(struct virtq *vq);

/*
 * virtq_rearm - enable notifications; true if a request has arrived in the meantime,
 * and the queue must be served once more.  Also false, after signalling its own kick_fd, when
 * the queue has used its budget: neither a driver nor a ring that overlaps itself may keep a
 * thread busy for ever.  virtq_quiet - disable notifications.
 */
bool virtq_rearm(struct virtq *vq);
void virtq_quiet(struct virtq *vq);

/* virtq_live - resolve the ring's addresses when the driver is ready; -EFAULT. */
int virtq_live(struct virtq *vq);

/* chain_read, chain_write - copy from the out-, to the in-buffers; bytes copied. */
size_t chain_read(const struct virtq_chain *chain, size_t offset, void *dst, size_t len);
size_t chain_write(const struct virtq_chain *chain, size_t offset, const void *src, size_t len);

/* The devices: each is created, attached and then belongs to the bus. */
struct disk_config;
struct net_config;
int virtio_blk_create(struct board *board, const struct disk_config *config, unsigned int index,
		      struct err *err);
int virtio_net_create(struct board *board, const struct net_config *config, unsigned int index,
		      struct err *err);
int virtio_rng_create(struct board *board, struct err *err);
int virtio_console_create(struct board *board, struct err *err);
int virtio_vsock_create(struct board *board, uint32_t cid, const char *path, struct err *err);

#endif

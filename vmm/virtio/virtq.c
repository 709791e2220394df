// SPDX-License-Identifier: BSD-2-Clause
/*
 * Split virtqueues, device side (virtio 1.2, 2.7).  The guest may change
 * the rings at any time: every index and descriptor is loaded once, then checked,
 * then used.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "virtio/virtio.h"

#define load16(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store16(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define barrier()     __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* The event words sit after the rings (2.7.7, 2.7.8). */
static uint16_t *used_event(struct virtq *vq)
{
	return &vq->avail->ring[vq->size];
}

static uint16_t *avail_event(struct virtq *vq)
{
	return (uint16_t *)&vq->used->ring[vq->size];
}

void virtq_turn(struct virtq *vq)
{
	vq->budget = VIRTQ_BUDGET;
	vq->budget_bytes = VIRTQ_BUDGET_BYTES;
}

int virtq_live(struct virtq *vq)
{
	const struct guest_memory *mem = vq->dev->mem;
	uint64_t n = vq->size;

	if (!n || n > vq->max_size || n & (n - 1) || vq->desc_gpa % 16 || vq->avail_gpa % 2 ||
	    vq->used_gpa % 4)
		return -EINVAL;
	vq->desc = gmem_map(mem, vq->desc_gpa, n * sizeof(*vq->desc));
	vq->avail = gmem_map(mem, vq->avail_gpa, sizeof(*vq->avail) + n * 2 + 2);
	vq->used = gmem_map(mem, vq->used_gpa,
			    sizeof(*vq->used) + n * sizeof(vq->used->ring[0]) + 2);
	if (!vq->desc || !vq->avail || !vq->used)
		return -EFAULT;
	vq->next_avail = 0;
	vq->next_used = 0;
	vq->signalled = 0;
	virtq_turn(vq);
	vq->event_idx = vq->dev->features >> VIRTIO_RING_F_EVENT_IDX & 1;
	vq->live = true;
	return 0;
}

/*
 * Copied once, so that what was checked is what is used: the compiler must not read it again.
 * The address may be unaligned: the guest chooses that of an indirect table.
 */
static void load_desc(struct vring_desc *d, const struct vring_desc *from)
{
	memcpy(d, from, sizeof(*d));
	asm volatile("" : : "r"(d) : "memory");
}

/* add_buffer - one descriptor's buffer to the chain; -EINVAL after virtio_broken(). */
static int add_buffer(struct virtq *vq, struct virtq_chain *c, const struct vring_desc *d)
{
	struct virtio_device *dev = vq->dev;
	void *host = gmem_map(dev->mem, d->addr, d->len);
	unsigned int n = c->nr_out + c->nr_in;

	if (!host) {
		virtio_broken(dev,
			      "queue %u: a buffer of %u bytes at guest address 0x%llx lies "
			      "outside RAM",
			      vq->index, d->len, (unsigned long long)d->addr);
		return -EINVAL;
	}
	if (n == VIRTQ_MAX_SIZE) {
		virtio_broken(dev, "queue %u: a chain of more than %u buffers", vq->index, n);
		return -EINVAL;
	}
	c->iov[n] = (struct iovec){ .iov_base = host, .iov_len = d->len };
	if (d->flags & VRING_DESC_F_WRITE) {
		c->nr_in++;
		c->in_len += d->len;
	} else if (c->nr_in) {
		virtio_broken(dev, "queue %u: a readable buffer after a writable one", vq->index);
		return -EINVAL;
	} else {
		c->nr_out++;
		c->out_len += d->len;
	}
	return 0;
}

/* walk - follow a chain through @table of @nr descriptors, from @next on. */
static int walk(struct virtq *vq, struct virtq_chain *c, const struct vring_desc *table,
		uint32_t nr, uint16_t next, bool indirect)
{
	struct virtio_device *dev = vq->dev;

	for (uint32_t steps = 0; steps < nr; steps++) {
		struct vring_desc d;
		int ret;

		if (next >= nr) {
			virtio_broken(dev, "queue %u: descriptor index %u, the table has %u",
				      vq->index, next, nr);
			return -EINVAL;
		}
		load_desc(&d, &table[next]);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			const struct vring_desc *inner = gmem_map(dev->mem, d.addr, d.len);
			uint32_t count = d.len / sizeof(d);

			if (indirect || d.flags & VRING_DESC_F_NEXT || !inner || !count ||
			    d.len % sizeof(d) || count > VIRTQ_MAX_SIZE) {
				virtio_broken(dev,
					      "queue %u: bad indirect table of %u bytes at "
					      "guest address 0x%llx",
					      vq->index, d.len, (unsigned long long)d.addr);
				return -EINVAL;
			}
			return walk(vq, c, inner, count, 0, true);
		}
		ret = add_buffer(vq, c, &d);
		if (ret)
			return ret;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		next = d.next;
	}
	virtio_broken(dev, "queue %u: a descriptor chain without end", vq->index);
	return -EINVAL;
}

static bool turn_over(const struct virtq *vq)
{
	return !vq->budget || !vq->budget_bytes;
}

void virtq_spend(struct virtq *vq, size_t bytes)
{
	vq->budget_bytes -= bytes < vq->budget_bytes ? bytes : vq->budget_bytes;
}

int virtq_pop(struct virtq *vq, struct virtq_chain *c)
{
	uint16_t idx;
	int ret;

	if (!vq->live || vq->dev->broken || vq->dev->cancel || turn_over(vq))
		return 0;
	idx = load16(&vq->avail->idx);
	if (idx == vq->next_avail)
		return 0;
	if ((uint16_t)(idx - vq->next_avail) > vq->size) {
		virtio_broken(vq->dev, "queue %u: %u new requests in a ring of %u", vq->index,
			      (uint16_t)(idx - vq->next_avail), vq->size);
		return -EINVAL;
	}
	c->head = load16(&vq->avail->ring[vq->next_avail % vq->size]);
	c->nr_out = c->nr_in = 0;
	c->out_len = c->in_len = 0;
	ret = walk(vq, c, vq->desc, vq->size, c->head, false);
	if (ret)
		return ret;
	vq->next_avail++;
	vq->budget--;
	return 1;
}

bool virtq_more(const struct virtq *vq)
{
	return load16(&vq->avail->idx) != vq->next_avail;
}

void virtq_unpop(struct virtq *vq)
{
	vq->next_avail--;
}

void virtq_push(struct virtq *vq, const struct virtq_chain *c, uint32_t written)
{
	virtq_stage(vq, c, written, 0);
	virtq_publish(vq, vq->next_used + 1);
}

void virtq_stage(struct virtq *vq, const struct virtq_chain *c, uint32_t written, uint16_t nth)
{
	struct vring_used_elem *e;

	if (!vq->live)
		return;
	e = &vq->used->ring[(uint16_t)(vq->next_used + nth) % vq->size];
	e->id = c->head;
	e->len = written;
}

void virtq_publish(struct virtq *vq, uint16_t used)
{
	if (!vq->live)
		return;
	vq->next_used = used;
	store16(&vq->used->idx, used);
}

void virtq_flush(struct virtq *vq)
{
	uint16_t was = vq->signalled;
	bool due;

	if (!vq->live || vq->next_used == was)
		return;
	barrier(); /* write the used index before reading the driver's event index (2.7.7.2) */
	if (vq->event_idx)
		due = vring_need_event(load16(used_event(vq)), vq->next_used, was);
	else
		due = !(load16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	vq->signalled = vq->next_used;
	if (due)
		vq->dev->signal(vq->dev, vq->vector);
}

bool virtq_rearm(struct virtq *vq)
{
	if (!vq->live || vq->dev->broken)
		return false;
	if (turn_over(vq) && !eventfd_write(vq->kick_fd, 1))
		return false; /* virtio_serve() goes on */
	if (vq->event_idx)
		store16(avail_event(vq), vq->next_avail);
	else
		store16(&vq->used->flags, 0);
	barrier(); /* write the event index before reading the available index again */
	if (load16(&vq->avail->idx) == vq->next_avail)
		return false;
	vq->budget -= !!vq->budget;
	return true;
}

void virtq_quiet(struct virtq *vq)
{
	if (vq->live && !vq->event_idx)
		store16(&vq->used->flags, VRING_USED_F_NO_NOTIFY);
}

static size_t copy(const struct iovec *iov, unsigned int nr, size_t offset, void *buf, size_t len,
		   bool to_guest)
{
	size_t done = 0;

	for (unsigned int i = 0; i < nr && done < len; i++) {
		size_t n = iov[i].iov_len;
		uint8_t *at = iov[i].iov_base;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		at += offset;
		n -= offset;
		offset = 0;
		if (n > len - done)
			n = len - done;
		if (to_guest)
			memcpy(at, (uint8_t *)buf + done, n);
		else
			memcpy((uint8_t *)buf + done, at, n);
		done += n;
	}
	return done;
}

size_t chain_read(const struct virtq_chain *c, size_t offset, void *dst, size_t len)
{
	return copy(c->iov, c->nr_out, offset, dst, len, false);
}

size_t chain_write(const struct virtq_chain *c, size_t offset, const void *src, size_t len)
{
	return copy(c->iov + c->nr_out, c->nr_in, offset, (void *)src, len, true);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest memory: one mapping, shown to KVM as one or two memslots.
 * Slots 0 and 1 are RAM; region i is slot 2 + i; the read-only pages follow.
 */
#include "core/memory.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "core/layout.h"

#define PAGE	  4096ull
#define HUGE_PAGE (2 * MiB)

#define SLOT_LOW    0
#define SLOT_HIGH   1
#define SLOT_REGION 2
#define SLOT_PAGE   (SLOT_REGION + MEM_MAX_REGIONS)

/*
 * Anonymous memory aligned to huge pages: most exits of a boot are first touches of RAM,
 * and a huge page handles 512 of them at once.  (Shared memory would get huge pages only
 * if the host's administrator has enabled them for it.)
 */
static uint8_t *map_ram(uint64_t size)
{
	uint8_t *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head = -(uintptr_t)p % HUGE_PAGE;

	if (p == MAP_FAILED)
		return NULL;
	if (head)
		munmap(p, head);
	munmap(p + head + size, HUGE_PAGE - head);
	return p + head;
}

int gmem_create(struct guest_memory *mem, uint64_t size, struct err *err)
{
	*mem = (struct guest_memory){ .vm_fd = -1, .size = size };
	pthread_rwlock_init(&mem->lock, NULL);
	mem->low_size = size < RAM_LOW_MAX ? size : RAM_LOW_MAX;
	mem->high_size = size - mem->low_size;
	mem->host = map_ram(size);
	if (!mem->host)
		return err_errno(err, "guest memory of %llu MiB", size / MiB);
	/* Keep guest memory out of core dumps. */
	madvise(mem->host, size, MADV_DONTDUMP);
	madvise(mem->host, size, MADV_HUGEPAGE);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, mem->host, size, "symvmm-ram");
	return 0;
}

void gmem_destroy(struct guest_memory *mem)
{
	if (mem->host)
		munmap(mem->host, mem->size);
	mem->host = NULL;
	pthread_rwlock_destroy(&mem->lock);
}

static int set_slot(int vm_fd, uint32_t slot, uint64_t gpa, uint64_t size, void *host,
		    uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

int gmem_bind(struct guest_memory *mem, int vm_fd, struct err *err)
{
	int ret;

	mem->vm_fd = vm_fd;
	ret = set_slot(vm_fd, SLOT_LOW, 0, mem->low_size, mem->host, 0);
	if (!ret && mem->high_size)
		ret = set_slot(vm_fd, SLOT_HIGH, RAM_HIGH_BASE, mem->high_size,
			       mem->host + mem->low_size, 0);
	for (int i = 0; !ret && i < MEM_MAX_REGIONS; i++) {
		const struct mem_region *r = &mem->regions[i];

		if (r->size)
			ret = set_slot(vm_fd, SLOT_REGION + i, r->gpa, r->size, r->host,
				       r->flags);
	}
	if (ret)
		return err_set(err, ret, "guest memory: KVM refused a memslot: %s",
			       strerror(-ret));
	for (unsigned int i = 0; i < mem->nr_pages; i++)
		set_slot(vm_fd, SLOT_PAGE + i, mem->pages[i].gpa, PAGE, mem->pages[i].host,
			 KVM_MEM_READONLY);
	return 0;
}

void gmem_show_page(struct guest_memory *mem, uint64_t gpa, uint8_t *host)
{
	if (mem->nr_pages < MEM_MAX_PAGES)
		mem->pages[mem->nr_pages++] = (struct mem_region){ .gpa = gpa, .host = host };
}

int gmem_discard(struct guest_memory *mem)
{
	return madvise(mem->host, mem->size, MADV_DONTNEED) ? -errno : 0;
}

uint64_t gmem_resident(const struct guest_memory *mem)
{
	unsigned char in[4096];
	uint64_t pages = 0;

	for (uint64_t at = 0; at < mem->size; at += sizeof(in) * PAGE) {
		uint64_t left = mem->size - at;
		size_t n = left < sizeof(in) * PAGE ? left / PAGE : sizeof(in);

		if (mincore(mem->host + at, n * PAGE, in))
			break;
		while (n--)
			pages += in[n] & 1;
	}
	return pages * PAGE;
}

static bool within(uint64_t gpa, uint64_t len, uint64_t base, uint64_t size)
{
	return gpa >= base && gpa - base < size && len <= size - (gpa - base);
}

void *gmem_map(const struct guest_memory *mem, uint64_t gpa, uint64_t len)
{
	if (within(gpa, len, 0, mem->low_size))
		return mem->host + gpa;
	if (within(gpa, len, RAM_HIGH_BASE, mem->high_size))
		return mem->host + mem->low_size + (gpa - RAM_HIGH_BASE);
	return NULL;
}

int gmem_read(const struct guest_memory *mem, uint64_t gpa, void *dst, size_t len)
{
	const void *src = gmem_map(mem, gpa, len);

	if (!src)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

int gmem_write(const struct guest_memory *mem, uint64_t gpa, const void *src, size_t len)
{
	void *dst = gmem_map(mem, gpa, len);

	if (!dst)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

static bool overlaps(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return alen && blen && a < b + blen && b < a + alen;
}

int gmem_region_add(struct guest_memory *mem, uint64_t gpa, uint64_t size, void *host,
		    uint32_t flags)
{
	int ret = 0, place = -1;

	if (!size || (gpa | size | (uintptr_t)host) % 4096 || gpa + size < gpa)
		return -EINVAL;
	/* RAM, and everything between it and 4 GiB: devices live there. */
	if (overlaps(gpa, size, 0, RAM_HIGH_BASE) ||
	    overlaps(gpa, size, RAM_HIGH_BASE, mem->high_size))
		return -EEXIST;
	pthread_rwlock_wrlock(&mem->lock);
	for (int i = 0; i < MEM_MAX_REGIONS && !ret; i++) {
		const struct mem_region *r = &mem->regions[i];

		if (!r->size && place < 0)
			place = i;
		if (overlaps(gpa, size, r->gpa, r->size))
			ret = -EEXIST;
	}
	if (!ret && place < 0)
		ret = -ENOSPC;
	if (!ret && mem->vm_fd >= 0)
		ret = set_slot(mem->vm_fd, SLOT_REGION + place, gpa, size, host, flags);
	if (!ret)
		mem->regions[place] = (struct mem_region){ gpa, size, host, flags };
	pthread_rwlock_unlock(&mem->lock);
	return ret;
}

uint64_t gmem_top(struct guest_memory *mem)
{
	uint64_t top = RAM_HIGH_BASE + mem->high_size;

	pthread_rwlock_rdlock(&mem->lock);
	for (int i = 0; i < MEM_MAX_REGIONS; i++) {
		const struct mem_region *r = &mem->regions[i];

		if (r->size && r->gpa + r->size > top)
			top = r->gpa + r->size;
	}
	pthread_rwlock_unlock(&mem->lock);
	return top;
}

int gmem_region_del(struct guest_memory *mem, uint64_t gpa)
{
	int ret = -ENOENT;

	pthread_rwlock_wrlock(&mem->lock);
	for (int i = 0; i < MEM_MAX_REGIONS; i++) {
		struct mem_region *r = &mem->regions[i];

		if (!r->size || r->gpa != gpa)
			continue;
		ret = 0;
		if (mem->vm_fd >= 0)
			ret = set_slot(mem->vm_fd, SLOT_REGION + i, gpa, 0, r->host, 0);
		if (!ret)
			r->size = 0;
		break;
	}
	pthread_rwlock_unlock(&mem->lock);
	return ret;
}

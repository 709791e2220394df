// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/symswap0: the window as a block device, for the guest to swap to.  A request is a
 * copy, made when it is submitted, without an exit.
 */
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/version.h>

#include "symswap.h"

#define SYMSWAP_SECTORS (PAGE_SIZE >> SECTOR_SHIFT) /* of a slot */

static struct gendisk *symswap_disk;

struct block_device *symswap_bdev(void)
{
	return symswap_disk->part0;
}

/* Within one page of memory, and one page of the window: @at in bytes. */
static int symswap_copy_one(struct page *page, unsigned int offset, unsigned int len, u64 at,
			    bool write)
{
	unsigned int slot = at >> PAGE_SHIFT;
	bool lent;

	/* The owner can write to the page until its mapping is removed. */
	symswap_restore_slot(slot);
	lent = !slot || test_bit(slot, symswap.lent);
	if (write) {
		if (slot && (symswap_being_taken() || (!lent && !symswap_may_fill())))
			return -ENOSPC;
		symswap_lend(slot);
		memcpy_from_page(symswap.base + at, page, offset, len);
		symswap_count(writes);
	} else if (lent) {
		memcpy_to_page(page, offset, symswap.base + at, len);
		symswap_count(reads);
	} else {
		/* Reading a page that is not lent would allocate it on the host. */
		memzero_page(page, offset, len);
	}
	return 0;
}

/* Within one page of memory, and any place of the window. */
static int symswap_copy(struct page *page, unsigned int offset, unsigned int len, u64 at,
			bool write)
{
	unsigned int n;
	int err = 0;

	for (; len && !err; offset += n, at += n, len -= n) {
		n = min_t(unsigned int, len, PAGE_SIZE - (at & ~PAGE_MASK));
		err = symswap_copy_one(page, offset, n, at, write);
	}
	return err;
}

static bool symswap_within(sector_t sector, unsigned int len)
{
	u64 size = (u64)symswap.slots << PAGE_SHIFT;

	return sector <= size >> SECTOR_SHIFT && len <= size - ((u64)sector << SECTOR_SHIFT);
}

static void symswap_submit(struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	struct bvec_iter iter;
	struct bio_vec vec;
	int err = 0;

	if (bio_op(bio) != REQ_OP_READ && bio_op(bio) != REQ_OP_WRITE) {
		bio->bi_status = BLK_STS_NOTSUPP;
		bio_endio(bio);
		return;
	}
	if (!symswap_within(sector, bio->bi_iter.bi_size)) {
		bio_io_error(bio);
		return;
	}
	bio_for_each_segment(vec, bio, iter) {
		err = symswap_copy(vec.bv_page, vec.bv_offset, vec.bv_len,
				   (u64)iter.bi_sector << SECTOR_SHIFT, op_is_write(bio_op(bio)));
		if (err)
			break;
	}
	bio->bi_status = errno_to_blk_status(err);
	bio_endio(bio);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
/* A page of swap without a bio; having this also marks the device as synchronous. */
static int symswap_rw_page(struct block_device *bdev, sector_t sector, struct page *page,
			   enum req_op op)
{
	int err;

	if (PageTransHuge(page))
		return -ENOTSUPP;
	if (!symswap_within(sector, PAGE_SIZE))
		return -EIO;
	err = symswap_copy(page, 0, PAGE_SIZE, (u64)sector << SECTOR_SHIFT, op_is_write(op));
	if (err)
		return err; /* the kernel tries again, with a bio */
	page_endio(page, op_is_write(op), 0);
	return 0;
}
#endif

static const struct block_device_operations symswap_operations = {
	.owner = THIS_MODULE,
	.submit_bio = symswap_submit,
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	.rw_page = symswap_rw_page,
#endif
};

static struct gendisk *symswap_alloc(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct queue_limits limits = {
		.logical_block_size = PAGE_SIZE,
		.physical_block_size = PAGE_SIZE,
		.features = BLK_FEAT_SYNCHRONOUS,
	};

	return blk_alloc_disk(&limits, NUMA_NO_NODE);
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	blk_queue_logical_block_size(disk->queue, PAGE_SIZE);
	blk_queue_physical_block_size(disk->queue, PAGE_SIZE);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, disk->queue);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, disk->queue);
	return disk;
#else
#error "the block layer of this kernel is not known to symswap"
#endif
}

int symswap_device_init(void)
{
	struct gendisk *disk = symswap_alloc();
	int err;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &symswap_operations;
	disk->flags |= GENHD_FL_NO_PART;
	strscpy(disk->disk_name, SYMSWAP_DISK, DISK_NAME_LEN);
	set_capacity(disk, symswap.slots * SYMSWAP_SECTORS);
	symswap_disk = disk;
	err = add_disk(disk);
	if (err)
		put_disk(disk);
	return err;
}

void symswap_device_exit(void)
{
	del_gendisk(symswap_disk);
	put_disk(symswap_disk);
}

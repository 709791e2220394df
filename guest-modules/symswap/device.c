// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/symswap0: the window as a block device, for the guest to swap to.  A request is a
 * copy, made when it is submitted, without an exit.
 */
#include <linux/blkdev.h>
#include <linux/highmem.h>

#include "kernel.h"
#include "symswap.h"

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

	/* The owner can write to the page until its mapping is removed. */
	symswap_restore_slot(slot);
	clear_bit(slot, symswap.out);
	if (write) {
		symswap_claim(slot);
		if (slot && !test_bit(slot, symswap.lent) && !symswap_may_fill()) {
			symswap_unneed(slot);
			return -ENOSPC;
		}
		symswap_lend(slot);
		if (unlikely(!symswap_area_cached()))
			symswap_area_strange_write();
		memcpy_from_page(symswap.base + at, page, offset, len);
		set_bit(slot, symswap.written);
		symswap_count(writes);
		return 0;
	}
	/* What was read may be changed, and be swapped out again as zeros without a write. */
	clear_bit(slot, symswap.written);
	symswap_settle_wait(slot);
	if (!slot || test_bit(slot, symswap.lent)) {
		memcpy_to_page(page, offset, symswap.base + at, len);
		symswap_count(reads);
	} else {
		/* Reading a page that is not lent would allocate it on the host. */
		memzero_page(page, offset, len);
	}
	return 0;
}

int symswap_copy(struct page *page, unsigned int offset, unsigned int len, u64 at, bool write)
{
	unsigned int n;
	int err = 0;

	for (; len && !err; offset += n, at += n, len -= n) {
		n = min_t(unsigned int, len, PAGE_SIZE - (at & ~PAGE_MASK));
		err = symswap_copy_one(page, offset, n, at, write);
	}
	return err;
}

bool symswap_within(sector_t sector, unsigned int len)
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

/*
 * The kernel has no use for the slot's contents any more.  It holds the lock under which slots
 * are allocated (of the device in 6.x up to 6.12, of the cluster in 7.x), so the slot is not in
 * use again before this returns.  May not sleep.
 */
static void symswap_slot_freed(struct block_device *bdev, unsigned long slot)
{
	if (slot >= symswap.slots)
		return;
	clear_bit(slot, symswap.written);
	symswap_unneed(slot);
}

static const struct block_device_operations symswap_operations = {
	SYMSWAP_OPERATIONS,
	.submit_bio = symswap_submit,
	.swap_slot_free_notify = symswap_slot_freed,
};

int symswap_device_init(void)
{
	struct gendisk *disk = symswap_alloc_disk();
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

// SPDX-License-Identifier: BSD-2-Clause
/*
 * A virtio disk with many requests in flight.  The test stands between the disk and io_uring
 * (wrapped by the linker): it can hold requests back, reorder and spoil them.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "virtio/blk_ring.h"

#define IMAGE_SIZE (2 * MiB)
#define SIZE	   256 /* of the queue */
#define MANY	   80 /* requests, more than are taken at a time */

#define HDR_GPA(i)    (DATA_GPA + (i)*16)
#define STATUS_GPA(i) (DATA_GPA + 0x800 + (i))
#define BUF_GPA(i)    (DATA_GPA + 0x1000 + (i)*512)
#define UNTOUCHED     0xee

int __wrap_io_uring_submit(struct io_uring *uring);
int __real_io_uring_submit(struct io_uring *uring);
int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *uring,
				      struct io_uring_params *params);
int __real_io_uring_queue_init_params(unsigned int entries, struct io_uring *uring,
				      struct io_uring_params *params);
unsigned int __wrap_io_uring_peek_batch_cqe(struct io_uring *uring, struct io_uring_cqe **cqe,
					    unsigned int nr);
unsigned int __real_io_uring_peek_batch_cqe(struct io_uring *uring, struct io_uring_cqe **cqe,
					    unsigned int nr);

static struct {
	bool refuse; /* there is no io_uring */
	unsigned int hold; /* nothing reaches the kernel, or comes back from it */
	unsigned int fail; /* so often it takes nothing */
	bool reverse; /* the last one first */
	void (*spoil)(struct io_uring_sqe *sqe);
	int result; /* of the next request, if not 0 */
	unsigned int submits;
} between;

static struct disk {
	struct guest *g;
	struct ring ring;
	struct disk_config config;
	char path[64];
	int fd;
	uint16_t heads[MANY];
} disk;

static bool held(void)
{
	return __atomic_load_n(&between.hold, __ATOMIC_SEQ_CST);
}

static void reverse(struct io_uring_sq *sq)
{
	for (unsigned int a = sq->sqe_head, b = sq->sqe_tail - 1; (int)(b - a) > 0; a++, b--) {
		struct io_uring_sqe *first = &sq->sqes[a & sq->ring_mask];
		struct io_uring_sqe *last = &sq->sqes[b & sq->ring_mask];
		struct io_uring_sqe sqe = *first;

		*first = *last;
		*last = sqe;
	}
}

int __wrap_io_uring_submit(struct io_uring *uring)
{
	struct io_uring_sq *sq = &uring->sq;

	if (held() || between.fail) {
		between.fail -= !!between.fail;
		usleep(1000);
		return -EAGAIN;
	}
	between.submits++;
	if (between.reverse)
		reverse(sq);
	if (between.spoil && sq->sqe_head != sq->sqe_tail) {
		between.spoil(&sq->sqes[sq->sqe_head & sq->ring_mask]);
		between.spoil = NULL;
	}
	return __real_io_uring_submit(uring);
}

int __wrap_io_uring_queue_init_params(unsigned int entries, struct io_uring *uring,
				      struct io_uring_params *params)
{
	return between.refuse ? -EPERM :
				__real_io_uring_queue_init_params(entries, uring, params);
}

unsigned int __wrap_io_uring_peek_batch_cqe(struct io_uring *uring, struct io_uring_cqe **cqe,
					    unsigned int nr)
{
	unsigned int n = __real_io_uring_peek_batch_cqe(uring, cqe, nr);

	if (n && between.result) {
		(*cqe)->res = between.result;
		between.result = 0;
	}
	return n;
}

/* Each sector of the image says which one it is. */
static void make_image(void)
{
	uint32_t sector[128];

	snprintf(disk.path, sizeof(disk.path), "%s/image", disk.g->dir);
	disk.fd = open(disk.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(disk.fd >= 0);
	for (uint32_t i = 0; i < IMAGE_SIZE / 512; i++) {
		for (unsigned int n = 0; n < 128; n++)
			sector[n] = i;
		assert_int_equal(write(disk.fd, sector, sizeof(sector)), sizeof(sector));
	}
	disk.config = (struct disk_config){ .path = disk.path, .io = DISK_IO_RING };
}

static void start(void)
{
	guest_find(disk.g, VIRTIO_ID_BLOCK);
	guest_start(disk.g, &disk.ring, BIT64(VIRTIO_BLK_F_FLUSH), SIZE);
	memset(guest_ptr(disk.g, DATA_GPA), UNTOUCHED, 0x1000 + MANY * 512);
}

static int create(void **state, bool thread, bool refuse)
{
	struct err err = { 0 };

	memset(&between, 0, sizeof(between));
	between.refuse = refuse;
	guest_setup(state);
	disk.g = *state;
	make_image();
	if (thread)
		disk.g->board.loop = disk.g->loop;
	if (virtio_blk_create(&disk.g->board, &disk.config, 0, &err))
		fail_msg("%s", err.msg);
	start();
	return 0;
}

/* Served in the test's own thread, to the end. */
static int setup(void **state)
{
	return create(state, false, false);
}

/* By a thread of the disk's own, as in a VM. */
static int setup_thread(void **state)
{
	return create(state, true, false);
}

static int setup_refused(void **state)
{
	return create(state, false, true);
}

static int teardown(void **state)
{
	close(disk.fd);
	unlink(disk.path);
	return guest_teardown(state);
}

static void offer(unsigned int i, uint32_t type, uint32_t sector)
{
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };

	memcpy(guest_ptr(disk.g, HDR_GPA(i)), &hdr, sizeof(hdr));
	memset(guest_ptr(disk.g, STATUS_GPA(i)), UNTOUCHED, 1);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA(i), 16);
	if (type == VIRTIO_BLK_T_IN)
		ring_in(&disk.ring, BUF_GPA(i), 512);
	else if (type == VIRTIO_BLK_T_OUT)
		ring_out(&disk.ring, BUF_GPA(i), 512);
	ring_in(&disk.ring, STATUS_GPA(i), 1);
	disk.heads[i] = ring_offer(&disk.ring);
}

static uint8_t status(unsigned int i)
{
	return *(uint8_t *)guest_ptr(disk.g, STATUS_GPA(i));
}

static void has_sector(unsigned int i, uint32_t sector)
{
	uint32_t *data = guest_ptr(disk.g, BUF_GPA(i));

	assert_int_equal(status(i), VIRTIO_BLK_S_OK);
	for (unsigned int n = 0; n < 128; n++)
		assert_int_equal(data[n], sector);
}

/* Each of the first @nr requests was given back once. */
static void all_used(unsigned int nr)
{
	assert_int_equal(disk.ring.used->idx, nr);
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int times = 0;

		for (unsigned int n = 0; n < nr; n++)
			times += disk.ring.used->ring[n].id == disk.heads[i];
		assert_int_equal(times, 1);
	}
}

static void until(bool (*happened)(void))
{
	for (int i = 0; i < 5000 && !happened(); i++)
		usleep(1000);
	assert_true(happened());
}

static unsigned int wanted;

static bool taken(void)
{
	bool yes;

	pthread_mutex_lock(&disk.g->dev->lock);
	yes = disk.g->dev->queues[0].next_avail == wanted;
	pthread_mutex_unlock(&disk.g->dev->lock);
	return yes;
}

static bool used(void)
{
	return __atomic_load_n(&disk.ring.used->idx, __ATOMIC_ACQUIRE) == wanted;
}

static void kick(void)
{
	eventfd_write(disk.g->dev->queues[0].kick_fd, 1);
}

static uint32_t sector_of(unsigned int i)
{
	return i * 37 % 4000;
}

static void test_out_of_order(void **state)
{
	unsigned int late = 0;

	between.reverse = true;
	for (unsigned int i = 0; i < 64; i++)
		offer(i, VIRTIO_BLK_T_IN, sector_of(i));
	guest_kick(*state, 0);
	all_used(64);
	for (unsigned int i = 0; i < 64; i++) {
		has_sector(i, sector_of(i));
		assert_int_equal(disk.ring.used->ring[i].len, 513);
		late += disk.ring.used->ring[i].id != disk.heads[i];
	}
	assert_true(late > 0);
	assert_true(disk.g->signals <= 4);
}

/* What is written while a flush and reads are in flight is what lies there afterwards. */
static void test_all_kinds_together(void **state)
{
	for (unsigned int i = 0; i < 60; i++) {
		uint32_t type = i % 3 == 0 ? VIRTIO_BLK_T_IN :
				i % 3 == 1 ? VIRTIO_BLK_T_OUT :
					     VIRTIO_BLK_T_FLUSH;

		memset(guest_ptr(*state, BUF_GPA(i)), i, 512);
		offer(i, type, sector_of(i));
	}
	guest_kick(*state, 0);
	all_used(60);
	for (unsigned int i = 0; i < 60; i++) {
		uint8_t want[512], is[512];

		assert_int_equal(status(i), VIRTIO_BLK_S_OK);
		if (i % 3 == 0)
			has_sector(i, sector_of(i));
		if (i % 3 != 1)
			continue;
		memset(want, i, sizeof(want));
		assert_int_equal(pread(disk.fd, is, 512, sector_of(i) * 512), 512);
		assert_memory_equal(is, want, 512);
	}
}

static void test_depth(void **state)
{
	between.hold = 1;
	for (unsigned int i = 0; i < MANY; i++)
		offer(i, VIRTIO_BLK_T_IN, sector_of(i));
	kick();
	wanted = BLK_DEPTH;
	until(taken);
	usleep(20000);
	assert_true(taken()); /* and no more */
	assert_int_equal(disk.ring.used->idx, 0);
	__atomic_store_n(&between.hold, 0, __ATOMIC_SEQ_CST);
	wanted = MANY;
	until(used);
	all_used(MANY);
	for (unsigned int i = 0; i < MANY; i++)
		has_sector(i, sector_of(i));
}

/* Eight MiB of one buffer of 128 KiB, more than may be in flight, and each in two steps. */
static void test_large(void **state)
{
	for (unsigned int i = 0; i < 12; i++) {
		struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN, .sector = i };

		memcpy(guest_ptr(disk.g, HDR_GPA(i)), &hdr, sizeof(hdr));
		ring_begin(&disk.ring);
		ring_out(&disk.ring, HDR_GPA(i), 16);
		for (int n = 0; n < 10; n++)
			ring_in(&disk.ring, BUF_GPA(0), 120 * KiB);
		ring_in(&disk.ring, STATUS_GPA(i), 1);
		disk.heads[i] = ring_offer(&disk.ring);
	}
	guest_kick(*state, 0);
	all_used(12);
	for (unsigned int i = 0; i < 12; i++) {
		assert_int_equal(status(i), VIRTIO_BLK_S_OK);
		assert_int_equal(disk.ring.used->ring[i].len, 10 * 120 * KiB + 1);
	}
}

static void *release_soon(void *arg)
{
	usleep(100000);
	__atomic_store_n(&between.hold, 0, __ATOMIC_SEQ_CST);
	return NULL;
}

static pthread_t hold_some(void)
{
	pthread_t thread;

	between.hold = 1;
	for (unsigned int i = 0; i < 8; i++)
		offer(i, VIRTIO_BLK_T_IN, sector_of(i));
	kick();
	wanted = 8;
	until(taken);
	assert_int_equal(pthread_create(&thread, NULL, release_soon, NULL), 0);
	return thread;
}

/* It waits for them, they are not given back, and the device works as before. */
static void test_reset(void **state)
{
	pthread_t thread = hold_some();

	guest_reg_write(*state, COMMON(device_status), 1, 0);
	assert_false(held());
	guest_remember(*state);
	pthread_join(thread, NULL);
	usleep(50000);
	guest_unchanged(*state);
	assert_int_equal(disk.ring.used->idx, 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(status(i), UNTOUCHED);
	start();
	for (unsigned int i = 0; i < MANY; i++)
		offer(i, VIRTIO_BLK_T_IN, i);
	kick();
	wanted = MANY;
	until(used);
	for (unsigned int i = 0; i < MANY; i++)
		has_sector(i, i);
}

/* So does the end of the VM. */
static int teardown_in_flight(void **state)
{
	pthread_t thread = hold_some();
	int ret = teardown(state);

	if (held())
		return -1;
	pthread_join(thread, NULL);
	return ret;
}

static void test_end(void **state)
{
}

static uint8_t read_one(void)
{
	offer(0, VIRTIO_BLK_T_IN, 5);
	guest_kick(disk.g, 0);
	ring_take(&disk.ring, disk.heads[0]);
	return status(0);
}

static void cut_short(struct io_uring_sqe *sqe)
{
	sqe->len = 1;
}

static void test_short_read(void **state)
{
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN, .sector = 9 };

	memcpy(guest_ptr(disk.g, HDR_GPA(0)), &hdr, sizeof(hdr));
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA(0), 16);
	ring_in(&disk.ring, BUF_GPA(0), 100);
	ring_in(&disk.ring, BUF_GPA(0) + 100, 412);
	ring_in(&disk.ring, STATUS_GPA(0), 1);
	ring_offer(&disk.ring);
	between.spoil = cut_short;
	guest_kick(*state, 0);
	has_sector(0, 9);
	assert_int_equal(between.submits, 2);
}

static void test_interrupted(void **state)
{
	between.result = -EINTR;
	assert_int_equal(read_one(), VIRTIO_BLK_S_OK);
	between.result = -EAGAIN;
	assert_int_equal(read_one(), VIRTIO_BLK_S_OK);
	has_sector(0, 5);
}

static void test_error(void **state)
{
	between.result = -EIO;
	assert_int_equal(read_one(), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_one(), VIRTIO_BLK_S_OK);
}

/* The kernel has no memory for requests at the moment. */
static void test_submit_fails(void **state)
{
	between.fail = 3;
	assert_int_equal(read_one(), VIRTIO_BLK_S_OK);
	assert_int_equal(between.fail, 0);
}

static void other_file(struct io_uring_sqe *sqe)
{
	sqe->fd = disk.fd;
	sqe->flags = 0;
}

static void other_operation(struct io_uring_sqe *sqe)
{
	sqe->opcode = IORING_OP_NOP;
}

static void other_flag(struct io_uring_sqe *sqe)
{
	sqe->flags |= IOSQE_ASYNC;
}

/* Whoever has taken over the thread can make the ring do nothing else. */
static void test_restricted(void **state)
{
	struct blk_ring *ring = blk_ring_create(disk.fd);

	between.spoil = other_file;
	assert_int_equal(read_one(), VIRTIO_BLK_S_IOERR);
	between.spoil = other_operation;
	assert_int_equal(read_one(), VIRTIO_BLK_S_IOERR);
	between.spoil = other_flag;
	assert_int_equal(read_one(), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_one(), VIRTIO_BLK_S_OK);
	assert_non_null(ring);
	assert_int_equal(io_uring_register(blk_ring_fd(ring), IORING_UNREGISTER_FILES, NULL, 0),
			 -EACCES);
	blk_ring_destroy(ring);
}

static void test_refused(void **state)
{
	for (unsigned int i = 0; i < MANY; i++)
		offer(i, VIRTIO_BLK_T_IN, sector_of(i));
	guest_kick(*state, 0);
	all_used(MANY);
	for (unsigned int i = 0; i < MANY; i++)
		has_sector(i, sector_of(i));
	assert_int_equal(between.submits, 0);
}

#define TEST(fn)   cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define THREAD(fn) cmocka_unit_test_setup_teardown(fn, setup_thread, teardown)

int main(void)
{
	const struct CMUnitTest without[] = {
		cmocka_unit_test_setup_teardown(test_refused, setup_refused, teardown),
	};
	const struct CMUnitTest tests[] = {
		TEST(test_out_of_order),
		TEST(test_all_kinds_together),
		THREAD(test_depth),
		TEST(test_large),
		THREAD(test_reset),
		cmocka_unit_test_setup_teardown(test_end, setup_thread, teardown_in_flight),
		TEST(test_short_read),
		TEST(test_interrupted),
		TEST(test_error),
		TEST(test_submit_fails),
		TEST(test_restricted),
	};
	struct blk_ring *ring = blk_ring_create(STDIN_FILENO);
	int ret = cmocka_run_group_tests(without, NULL, NULL);

	if (!ring) {
		printf("no io_uring here: not tested\n");
		return ret;
	}
	blk_ring_destroy(ring);
	return cmocka_run_group_tests(tests, NULL, NULL) || ret;
}

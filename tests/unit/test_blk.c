// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-blk against an image of 64 KiB, with io_uring and without.  The driver is the one of
 * guest.h.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio/blk_ring.h"
#include "virtio/disk.h"

#define IMAGE_SIZE (64 * KiB)
#define SECTORS	   (IMAGE_SIZE / 512)
#define CONFIG	   0x2000 /* of the device, in BAR 0 */

#define HDR_GPA	   DATA_GPA
#define BUF_GPA	   (DATA_GPA + 0x1000)
#define STATUS_GPA (DATA_GPA + 0x800)

#define FLUSH BIT64(VIRTIO_BLK_F_FLUSH)

/* What the device has not written. */
#define UNTOUCHED 0xee

struct disk {
	struct guest *g;
	struct ring ring;
	struct disk_config config;
	char path[64];
	int fd; /* the image, as the host sees it */
};

static struct disk disk;
static enum disk_io io;

static void image_write(off_t at, const void *data, size_t len)
{
	assert_int_equal(pwrite(disk.fd, data, len, at), len);
}

static void image_is(off_t at, const void *data, size_t len)
{
	char buf[4096];

	assert_int_equal(pread(disk.fd, buf, len, at), len);
	assert_memory_equal(buf, data, len);
}

static void make_image(void)
{
	snprintf(disk.path, sizeof(disk.path), "%s/image", disk.g->dir);
	disk.fd = open(disk.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(disk.fd >= 0);
	assert_int_equal(ftruncate(disk.fd, IMAGE_SIZE), 0);
	disk.config = (struct disk_config){ .path = disk.path, .io = io };
}

static int setup_image(void **state)
{
	guest_setup(state);
	disk.g = *state;
	make_image();
	return 0;
}

static void start(uint64_t features)
{
	struct err err = { 0 };

	if (virtio_blk_create(&disk.g->board, &disk.config, 3, &err))
		fail_msg("%s", err.msg);
	guest_find(disk.g, VIRTIO_ID_BLOCK);
	guest_start(disk.g, &disk.ring, features, 64);
}

static int setup(void **state)
{
	setup_image(state);
	start(FLUSH);
	return 0;
}

static int setup_readonly(void **state)
{
	setup_image(state);
	disk.config.readonly = true;
	start(FLUSH);
	return 0;
}

static int teardown(void **state)
{
	close(disk.fd);
	unlink(disk.path);
	return guest_teardown(state);
}

static void write_header(uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };

	memcpy(guest_ptr(disk.g, HDR_GPA), &hdr, sizeof(hdr));
	memset(guest_ptr(disk.g, STATUS_GPA), UNTOUCHED, 1);
}

static uint8_t status(void)
{
	return *(uint8_t *)guest_ptr(disk.g, STATUS_GPA);
}

static uint8_t *buf(void)
{
	return guest_ptr(disk.g, BUF_GPA);
}

/* A request as Linux makes it: header, data, status in a descriptor each. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t len, uint32_t *written)
{
	bool to_guest = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	uint32_t n;

	write_header(type, sector);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA, 16);
	if (len && to_guest)
		ring_in(&disk.ring, BUF_GPA, len);
	else if (len)
		ring_out(&disk.ring, BUF_GPA, len);
	ring_in(&disk.ring, STATUS_GPA, 1);
	ring_offer(&disk.ring);
	guest_kick(disk.g, 0);
	n = ring_take(&disk.ring, disk.ring.first % disk.ring.size);
	ring_idle(&disk.ring);
	if (written)
		*written = n;
	return status();
}

static void test_config_space(void **state)
{
	struct guest *g = *state;
	uint64_t capacity = guest_reg(g, CONFIG, 4) | guest_reg(g, CONFIG + 4, 4) << 32;

	assert_int_equal(capacity, SECTORS);
	assert_int_equal(guest_reg(g, CONFIG + offsetof(struct virtio_blk_config, blk_size), 4),
			 512);
	/* Behind its end: zeroes. */
	assert_int_equal(guest_reg(g, CONFIG + 0xf00, 4), 0);
}

static void test_read(void **state)
{
	uint32_t written;

	image_write(2 * 512, "on disk", 7);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 2, 1024, &written), VIRTIO_BLK_S_OK);
	assert_memory_equal(buf(), "on disk\0", 8);
	assert_int_equal(written, 1025);
}

static void test_write(void **state)
{
	uint32_t written;

	memset(buf(), 'w', 1024);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 4, 1024, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 1);
	image_is(4 * 512, buf(), 1024);
	image_is(4 * 512 - 1, "\0", 1);
	image_is(6 * 512, "\0", 1);
}

/* A driver that did not take FLUSH gets a write-through disk: the request works alike. */
static void test_write_through(void **state)
{
	start(0);
	memset(buf(), 'w', 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, NULL), VIRTIO_BLK_S_OK);
	image_is(0, buf(), 512);
}

static void test_last_sector(void **state)
{
	memset(buf(), 'l', 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, SECTORS - 1, 512, NULL), VIRTIO_BLK_S_OK);
	image_is(IMAGE_SIZE - 512, buf(), 512);
}

static void test_flush(void **state)
{
	uint32_t written;

	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 1);
}

static void test_get_id(void **state)
{
	uint32_t written;

	memset(buf(), UNTOUCHED, 32);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, &written), VIRTIO_BLK_S_OK);
	assert_memory_equal(buf(), "symvmm-3\0\0\0\0\0\0\0\0\0\0\0\0\xee", 21);
	assert_int_equal(written, 21);
}

/* All 20 characters of it, without a NUL. */
static void test_get_id_of_the_user(void **state)
{
	strcpy(disk.config.serial, "01234567890123456789");
	start(0);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, NULL), VIRTIO_BLK_S_OK);
	assert_memory_equal(buf(), "01234567890123456789", 20);
}

static void test_get_id_short_buffer(void **state)
{
	uint32_t written;

	memset(buf(), UNTOUCHED, 32);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 4, &written), VIRTIO_BLK_S_OK);
	assert_memory_equal(buf(), "symv\xee", 5);
	assert_int_equal(written, 5);
}

static uint8_t discard(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes seg = { sector, count, flags };

	memcpy(buf(), &seg, sizeof(seg));
	return request(type, 0, sizeof(seg), NULL);
}

static void fill_image(void)
{
	static char full[IMAGE_SIZE];

	memset(full, 'f', sizeof(full));
	image_write(0, full, sizeof(full));
}

static const char zeroes[4096];

static void test_write_zeroes(void **state)
{
	fill_image();
	assert_int_equal(discard(VIRTIO_BLK_T_WRITE_ZEROES, 3, 4, 0), VIRTIO_BLK_S_OK);
	image_is(3 * 512 - 1, "f", 1);
	image_is(3 * 512, zeroes, 4 * 512);
	image_is(7 * 512, "f", 1);
}

static void test_write_zeroes_may_unmap(void **state)
{
	fill_image();
	assert_int_equal(
		discard(VIRTIO_BLK_T_WRITE_ZEROES, 3, 4, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
		VIRTIO_BLK_S_OK);
	image_is(3 * 512 - 1, "f", 1);
	image_is(3 * 512, zeroes, 4 * 512);
	image_is(7 * 512, "f", 1);
}

static void test_discard(void **state)
{
	struct stat st;

	fill_image();
	assert_int_equal(discard(VIRTIO_BLK_T_DISCARD, 8, 8, 0), VIRTIO_BLK_S_OK);
	image_is(8 * 512 - 1, "f", 1);
	image_is(16 * 512, "f", 1);
	assert_int_equal(fstat(disk.fd, &st), 0);
	assert_int_equal(st.st_size, IMAGE_SIZE);
}

static void test_discard_two_segments(void **state)
{
	struct virtio_blk_discard_write_zeroes seg[2] = { { 1, 1, 0 }, { 5, 2, 0 } };

	fill_image();
	memcpy(buf(), seg, sizeof(seg));
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(seg), NULL),
			 VIRTIO_BLK_S_OK);
	image_is(512, zeroes, 512);
	image_is(2 * 512, "f", 1);
	image_is(5 * 512, zeroes, 1024);
}

static void test_discard_out_of_range(void **state)
{
	fill_image();
	assert_int_equal(discard(VIRTIO_BLK_T_DISCARD, SECTORS - 1, 2, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(discard(VIRTIO_BLK_T_DISCARD, UINT64_MAX, 2, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(discard(VIRTIO_BLK_T_WRITE_ZEROES, 0, UINT32_MAX, 0),
			 VIRTIO_BLK_S_IOERR);
	image_is(IMAGE_SIZE - 512, "f", 1);
	image_is(0, "f", 1);
}

static void test_discard_unknown_flags(void **state)
{
	fill_image();
	/* UNMAP is of write-zeroes only. */
	assert_int_equal(discard(VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(discard(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	image_is(0, "f", 1);
}

static void test_discard_too_many_segments(void **state)
{
	fill_image();
	for (int i = 0; i < 17; i++) {
		struct virtio_blk_discard_write_zeroes seg = { i, 1, 0 };

		memcpy(buf() + i * sizeof(seg), &seg, sizeof(seg));
	}
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 17 * 16, NULL),
			 VIRTIO_BLK_S_IOERR);
	image_is(0, "f", 1);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 16 * 16, NULL), VIRTIO_BLK_S_OK);
	image_is(0, zeroes, 512);
}

static void test_discard_half_a_segment(void **state)
{
	fill_image();
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 24, NULL), VIRTIO_BLK_S_IOERR);
	image_is(0, "f", 1);
}

/* How a request is cut into descriptors is the driver's choice (2.7.4.2). */
static void test_header_in_pieces(void **state)
{
	uint16_t head;

	write_header(VIRTIO_BLK_T_OUT, 1);
	memset(buf(), 'h', 512);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA, 1);
	ring_out(&disk.ring, HDR_GPA + 1, 10);
	ring_out(&disk.ring, HDR_GPA + 11, 0);
	ring_out(&disk.ring, HDR_GPA + 11, 5);
	ring_out(&disk.ring, BUF_GPA, 512);
	ring_in(&disk.ring, STATUS_GPA, 1);
	head = ring_offer(&disk.ring);
	guest_kick(*state, 0);
	ring_take(&disk.ring, head);
	assert_int_equal(status(), VIRTIO_BLK_S_OK);
	image_is(512, buf(), 512);
	image_is(1024, "\0", 1);
}

static void test_header_and_data_together(void **state)
{
	uint8_t *p = guest_ptr(*state, HDR_GPA);

	write_header(VIRTIO_BLK_T_OUT, 1);
	memset(p + 16, 't', 512);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA, 16 + 512);
	ring_in(&disk.ring, STATUS_GPA, 1);
	ring_offer(&disk.ring);
	guest_kick(*state, 0);
	assert_int_equal(status(), VIRTIO_BLK_S_OK);
	image_is(512, p + 16, 512);
}

static void test_status_behind_the_data(void **state)
{
	uint16_t head;

	image_write(0, "front", 5);
	image_write(511, "e", 1);
	write_header(VIRTIO_BLK_T_IN, 0);
	memset(buf(), UNTOUCHED, 600);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA, 16);
	ring_in(&disk.ring, BUF_GPA, 513);
	head = ring_offer(&disk.ring);
	guest_kick(*state, 0);
	assert_int_equal(ring_take(&disk.ring, head), 513);
	assert_memory_equal(buf(), "front", 5);
	assert_memory_equal(buf() + 511, "e\0\xee", 3); /* data, status, not ours */
}

static void test_status_before_an_empty_buffer(void **state)
{
	write_header(VIRTIO_BLK_T_IN, 0);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA, 16);
	ring_in(&disk.ring, BUF_GPA, 512);
	ring_in(&disk.ring, STATUS_GPA, 1);
	ring_in(&disk.ring, BUF_GPA, 0);
	ring_offer(&disk.ring);
	guest_kick(*state, 0);
	assert_int_equal(status(), VIRTIO_BLK_S_OK);
}

static void test_data_in_pieces(void **state)
{
	write_header(VIRTIO_BLK_T_IN, 0);
	image_write(0, "abcdefgh", 8);
	memset(buf(), UNTOUCHED, 1024);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA, 16);
	ring_in(&disk.ring, BUF_GPA, 3);
	ring_in(&disk.ring, BUF_GPA + 600, 0);
	ring_in(&disk.ring, BUF_GPA + 100, 509 - 100);
	ring_in(&disk.ring, BUF_GPA + 700, 100);
	ring_in(&disk.ring, STATUS_GPA, 1);
	ring_offer(&disk.ring);
	guest_kick(*state, 0);
	assert_int_equal(status(), VIRTIO_BLK_S_OK);
	assert_memory_equal(buf(), "abc\xee", 4);
	assert_memory_equal(buf() + 100, "defgh", 5);
	assert_memory_equal(buf() + 799, "\0\xee", 2);
}

static void test_no_status(void **state)
{
	struct guest *g = *state;

	write_header(VIRTIO_BLK_T_OUT, 0);
	memset(buf(), 'n', 512);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA, 16);
	ring_out(&disk.ring, BUF_GPA, 512);
	ring_offer(&disk.ring);
	guest_kick(g, 0);
	guest_is_broken(g, "without a status byte");
	image_is(0, "\0", 1);
	ring_idle(&disk.ring);
}

static void test_short_header(void **state)
{
	write_header(VIRTIO_BLK_T_FLUSH, 0);
	ring_begin(&disk.ring);
	ring_out(&disk.ring, HDR_GPA, 15);
	ring_in(&disk.ring, STATUS_GPA, 1);
	ring_offer(&disk.ring);
	guest_kick(*state, 0);
	assert_int_equal(status(), VIRTIO_BLK_S_IOERR);
}

static void test_unknown_type(void **state)
{
	uint32_t written;

	assert_int_equal(request(99, 0, 0, &written), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(written, 1);
}

static void test_out_of_range(void **state)
{
	static const uint64_t sectors[] = { SECTORS - 1, SECTORS, SECTORS + 1, UINT64_MAX / 512,
					    UINT64_MAX };
	uint32_t written;

	memset(buf(), UNTOUCHED, 1024);
	for (unsigned int i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, sectors[i], 1024, &written),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(written, 1);
		assert_int_equal(buf()[0], UNTOUCHED);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, sectors[i], 1024, NULL),
				 VIRTIO_BLK_S_IOERR);
	}
	image_is(IMAGE_SIZE - 512, zeroes, 512);
	assert_false(disk.g->dev->broken);
}

static void test_does_not_grow(void **state)
{
	struct stat st;

	request(VIRTIO_BLK_T_OUT, SECTORS - 1, 4096, NULL);
	assert_int_equal(fstat(disk.fd, &st), 0);
	assert_int_equal(st.st_size, IMAGE_SIZE);
}

static void test_odd_length(void **state)
{
	memset(buf(), 'o', 1024);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 511, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 513, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 100, NULL), VIRTIO_BLK_S_IOERR);
	image_is(0, "\0", 1);
	assert_int_equal(buf()[0], 'o');
}

static void test_image_shrinks(void **state)
{
	assert_int_equal(ftruncate(disk.fd, 512), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 1024, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, NULL), VIRTIO_BLK_S_OK);
}

static void test_readonly_reads(void **state)
{
	image_write(0, "r/o", 3);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, NULL), VIRTIO_BLK_S_OK);
	assert_memory_equal(buf(), "r/o", 3);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_OK);
}

static void test_readonly_refuses_writes(void **state)
{
	fill_image();
	memset(buf(), 'w', 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(discard(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(discard(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	image_is(0, "f", 1);
}

static void test_readonly_says_so(void **state)
{
	uint64_t offered = disk.g->dev->offered;

	assert_true(offered & BIT64(VIRTIO_BLK_F_RO));
	assert_false(offered & BIT64(VIRTIO_BLK_F_DISCARD));
	assert_false(offered & BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
}

static void test_one_interrupt_for_a_few(void **state)
{
	write_header(VIRTIO_BLK_T_IN, 0);
	for (int i = 0; i < 5; i++) {
		ring_begin(&disk.ring);
		ring_out(&disk.ring, HDR_GPA, 16);
		ring_in(&disk.ring, BUF_GPA, 512);
		ring_in(&disk.ring, STATUS_GPA, 1);
		ring_offer(&disk.ring);
	}
	guest_kick(*state, 0);
	assert_int_equal(disk.ring.used->idx, 5);
	assert_int_equal(disk.g->signals, 1);
}

static void test_create_fails_clean(void **state)
{
	struct err err = { 0 };

	assert_int_equal(flock(disk.fd, LOCK_EX), 0);
	assert_int_equal(virtio_blk_create(&disk.g->board, &disk.config, 0, &err), -EBUSY);
	assert_int_equal(guest_config(*state, 1, 0, 4), 0xffffffff);
}

#define TEST(fn)     cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define READONLY(fn) cmocka_unit_test_setup_teardown(fn, setup_readonly, teardown)
#define IMAGE(fn)    cmocka_unit_test_setup_teardown(fn, setup_image, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config_space),
		TEST(test_read),
		TEST(test_write),
		IMAGE(test_write_through),
		TEST(test_last_sector),
		TEST(test_flush),
		TEST(test_get_id),
		IMAGE(test_get_id_of_the_user),
		TEST(test_get_id_short_buffer),
		TEST(test_write_zeroes),
		TEST(test_write_zeroes_may_unmap),
		TEST(test_discard),
		TEST(test_discard_two_segments),
		TEST(test_discard_out_of_range),
		TEST(test_discard_unknown_flags),
		TEST(test_discard_too_many_segments),
		TEST(test_discard_half_a_segment),
		TEST(test_header_in_pieces),
		TEST(test_header_and_data_together),
		TEST(test_status_behind_the_data),
		TEST(test_status_before_an_empty_buffer),
		TEST(test_data_in_pieces),
		TEST(test_no_status),
		TEST(test_short_header),
		TEST(test_unknown_type),
		TEST(test_out_of_range),
		TEST(test_does_not_grow),
		TEST(test_odd_length),
		TEST(test_image_shrinks),
		READONLY(test_readonly_reads),
		READONLY(test_readonly_refuses_writes),
		READONLY(test_readonly_says_so),
		TEST(test_one_interrupt_for_a_few),
		IMAGE(test_create_fails_clean),
	};

	struct blk_ring *ring = blk_ring_create(STDIN_FILENO);
	int ret;

	io = DISK_IO_SYNC;
	ret = cmocka_run_group_tests_name("sync", tests, NULL, NULL);
	if (!ring) {
		printf("no io_uring here: not tested\n");
		return ret;
	}
	blk_ring_destroy(ring);
	io = DISK_IO_RING;
	return cmocka_run_group_tests_name("ring", tests, NULL, NULL) || ret;
}

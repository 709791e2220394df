// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guests that try to keep their VMM from its owner, each chosen by attack=NAME on the
 * command line.  Wants 512 MiB of RAM.  Says GO when it begins.
 */
#include "guest.h"

#define ID_BLOCK   2
#define ID_CONSOLE 3
#define ID_RNG	   4

#define BLK_F_FLUSH	   (1u << 9)
#define BLK_T_IN	   0
#define BLK_T_DISCARD	   11
#define BLK_T_WRITE_ZEROES 13

#define MIB	    (1ull << 20)
#define LARGE	    (256 * MIB) /* of one buffer */
#define HEADER_GPA  0x1f80000ull
#define SEGMENT_GPA (HEADER_GPA + 0x1000)
#define STATUS_GPA  (HEADER_GPA + 0x2000)
#define DATA_GPA    (64 * MIB)

#define PORT_RESET   0x602
#define MSR_FEATURES 0x53594d00u

/* 256 writes of 64 GiB in one kick. */
static void console_large(void)
{
	struct virtio dev;

	if (!virtio_find(ID_CONSOLE, &dev))
		return;
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		ring_desc(1)[i] = (struct desc){ DATA_GPA, LARGE,
						 i < QUEUE_SIZE - 1 ? DESC_NEXT : 0, i + 1 };
	virtio_start(&dev, 0, 2);
	print("GO\n");
	virtio_offer(&dev, 1);
}

/* Writes that are as large as may be, without end. */
static void console_many(void)
{
	struct virtio dev;

	if (!virtio_find(ID_CONSOLE, &dev))
		return;
	ring_desc(1)[0] = (struct desc){ DATA_GPA, MIB, 0, 0 };
	virtio_start(&dev, 0, 2);
	print("GO\n");
	for (;;)
		virtio_offer(&dev, 1);
}

static void disk_request(struct virtio *dev, uint32_t type)
{
	uint32_t *header = (uint32_t *)HEADER_GPA;

	header[0] = type;
	header[1] = header[2] = header[3] = 0;
	ring_desc(0)[0] = (struct desc){ HEADER_GPA, 16, DESC_NEXT, 1 };
	virtio_start(dev, BLK_F_FLUSH, 1);
	print("GO\n");
	virtio_offer(dev, 0);
}

/* 256 reads of 256 MiB. */
static void disk_read(void)
{
	struct virtio dev;

	if (!virtio_find(ID_BLOCK, &dev))
		return;
	ring_desc(0)[1] = (struct desc){ DATA_GPA, LARGE, DESC_NEXT | DESC_WRITE, 2 };
	ring_desc(0)[2] = (struct desc){ STATUS_GPA, 1, DESC_WRITE, 0 };
	disk_request(&dev, BLK_T_IN);
}

/* 256 times 16 segments of 2 GiB of zeroes. */
static void disk_zero(void)
{
	struct segment {
		uint64_t sector;
		uint32_t sectors, flags;
	} *segment = (struct segment *)SEGMENT_GPA;
	struct virtio dev;

	if (!virtio_find(ID_BLOCK, &dev))
		return;
	for (unsigned int i = 0; i < 16; i++)
		segment[i] = (struct segment){ 0, 1u << 22, 0 };
	ring_desc(0)[1] = (struct desc){ SEGMENT_GPA, 16 * sizeof(*segment), DESC_NEXT, 2 };
	ring_desc(0)[2] = (struct desc){ STATUS_GPA, 1, DESC_WRITE, 0 };
	disk_request(&dev, BLK_T_WRITE_ZEROES);
}

/* The same read, and then the driver leaves again and again. */
static void disk_reset(void)
{
	struct virtio dev;

	disk_read();
	if (!virtio_find(ID_BLOCK, &dev))
		return;
	for (;;) {
		virtio_start(&dev, BLK_F_FLUSH, 1);
		virtio_offer(&dev, 0);
	}
}

/* An event each time. */
static void break_device(void)
{
	struct virtio dev;

	if (!virtio_find(ID_RNG, &dev))
		return;
	print("GO\n");
	for (;;) {
		virtio_set_status(&dev, 0);
		virtio_set_status(&dev, 15); /* DRIVER_OK, but no feature was accepted */
	}
}

/* A new generation of the symbiotic module each time. */
static void registration(void)
{
	print("GO\n");
	for (uint64_t i = 1;; i++)
		wrmsr(MSR_FEATURES, i | 1);
}

static void doorbells(void)
{
	struct virtio dev;

	if (!virtio_find(ID_RNG, &dev))
		return;
	ring_desc(0)[0] = (struct desc){ DATA_GPA, LARGE, DESC_WRITE, 0 };
	virtio_start(&dev, 0, 1);
	print("GO\n");
	for (;;)
		virtio_offer(&dev, 0);
}

static void serial_port(void)
{
	print("GO\n");
	for (;;)
		print("all work and no play\n");
}

static void resets(void)
{
	print("GO\n");
	outb(PORT_RESET, 1);
}

/* A panic as Linux tells of it, with bytes that a terminal acts upon. */
static void panic_text(void)
{
	print("[    1.000000] Kernel panic - not syncing: \x1b]0;title\x07\x9b"
	      "31mred\n"
	      "[    1.000001] Kernel Offset: disabled\n");
	outb(PORT_RESET, 1);
}

static const struct {
	const char *name;
	void (*attack)(void);
} attacks[] = {
	{ "console-large", console_large }, { "console-many", console_many },
	{ "disk-read", disk_read },	    { "disk-zero", disk_zero },
	{ "disk-reset", disk_reset },	    { "break", break_device },
	{ "registration", registration },   { "doorbells", doorbells },
	{ "serial", serial_port },	    { "resets", resets },
	{ "panic-text", panic_text },
};

void guest_main(const char *cmdline)
{
	for (unsigned int i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (has_word(cmdline, attacks[i].name))
			attacks[i].attack();
}

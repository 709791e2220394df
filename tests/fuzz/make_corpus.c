// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes tests/fuzz/corpus/virtio: a few requests as a driver makes them, for each of
 * the devices, so that the fuzzer need not find out by itself what one looks like.
 *
 *   cc -Itests/fuzz -o make_corpus tests/fuzz/make_corpus.c
 *   ./make_corpus tests/fuzz/corpus/virtio
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <string.h>

#include "fuzz_input.h"

/* Queue q: 16 descriptors, then the two rings; data behind them. */
#define QUEUE	 0x200
#define SIZE_LOG 4
#define DESC(q)	 ((q)*QUEUE)
#define AVAIL(q) ((q)*QUEUE + 0x100)
#define USED(q)	 ((q)*QUEUE + 0x140)
#define DATA	 0x600
#define MEMORY	 0xa00
#define SCRATCH	 0x4000 /* behind what the file holds: buffers to be filled */

#define OUT 0
#define IN  VRING_DESC_F_WRITE

static const char *folder;
static struct fuzz_head head;
static struct fuzz_step steps[64];
static uint8_t memory[MEMORY];
static unsigned int next_desc[FUZZ_QUEUES];

static void begin(enum fuzz_device device, uint32_t features)
{
	memset(memory, 0, sizeof(memory));
	memset(next_desc, 0, sizeof(next_desc));
	head = (struct fuzz_head){ .device = device, .features = features };
	for (int q = 0; q < FUZZ_QUEUES; q++) {
		head.queue[q].size = SIZE_LOG;
		head.queue[q].desc = DESC(q);
		head.queue[q].avail = AVAIL(q);
		head.queue[q].used = USED(q);
	}
}

static void step(enum fuzz_op op, uint8_t a, uint16_t b)
{
	steps[head.steps++] = (struct fuzz_step){ op, a, b };
}

/* One descriptor; @more: the next one follows.  Returns its index. */
static unsigned int desc(unsigned int q, uint64_t addr, uint32_t len, uint16_t flags, int more)
{
	unsigned int i = next_desc[q]++;
	struct vring_desc d = { addr, len, flags | (more ? VRING_DESC_F_NEXT : 0), i + 1 };

	memcpy(memory + DESC(q) + i * sizeof(d), &d, sizeof(d));
	return i;
}

static void put(unsigned int at, const void *data, size_t len)
{
	memcpy(memory + at, data, len);
}

static int end(const char *name)
{
	char path[256];
	FILE *f;
	int bad;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	if (!f) {
		perror(path);
		return 1;
	}
	fwrite(&head, sizeof(head), 1, f);
	fwrite(steps, sizeof(steps[0]), head.steps, f);
	fwrite(memory, sizeof(memory), 1, f);
	bad = ferror(f);
	return fclose(f) || bad;
}

static void blk_request(uint32_t type, uint64_t sector, uint16_t data_flags, uint32_t len)
{
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
	unsigned int at = DATA + next_desc[0] * sizeof(hdr);
	unsigned int first = desc(0, at, sizeof(hdr), OUT, 1);

	put(at, &hdr, sizeof(hdr));
	if (len)
		desc(0, data_flags == IN ? SCRATCH : DATA + 0x200, len, data_flags, 1);
	desc(0, SCRATCH - 1, 1, IN, 0);
	step(FUZZ_KICK, 0, first);
}

static int blk(void)
{
	struct virtio_blk_discard_write_zeroes seg = { 8, 16, 0 };
	int bad;

	begin(FUZZ_BLK, ~0u);
	blk_request(VIRTIO_BLK_T_OUT, 2, OUT, 512);
	blk_request(VIRTIO_BLK_T_IN, 2, IN, 1024);
	blk_request(VIRTIO_BLK_T_FLUSH, 0, OUT, 0);
	blk_request(VIRTIO_BLK_T_GET_ID, 0, IN, 20);
	step(FUZZ_CONFIG, 0, 6);
	bad = end("blk-rw");

	begin(FUZZ_BLK, 0);
	put(DATA + 0x200, &seg, sizeof(seg));
	blk_request(VIRTIO_BLK_T_DISCARD, 0, OUT, sizeof(seg));
	blk_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, OUT, sizeof(seg));
	step(FUZZ_RESTART, 0, 0);
	return bad | end("blk-discard");
}

static int blk_indirect(void)
{
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN, .sector = 1 };
	struct vring_desc table[3] = {
		{ DATA, sizeof(hdr), VRING_DESC_F_NEXT, 1 },
		{ SCRATCH, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 },
		{ SCRATCH + 512, 1, VRING_DESC_F_WRITE, 0 },
	};

	begin(FUZZ_BLK, ~0u);
	put(DATA, &hdr, sizeof(hdr));
	put(DATA + 0x100, table, sizeof(table));
	step(FUZZ_KICK, 0, desc(0, DATA + 0x100, sizeof(table), VRING_DESC_F_INDIRECT, 0));
	return end("blk-indirect");
}

static int rng(void)
{
	begin(FUZZ_RNG, 0);
	step(FUZZ_PCI, 0x52, 0x8000); /* MSI-X on, wherever it is */
	step(FUZZ_MSIX, 7, 0);
	step(FUZZ_KICK, 0, desc(0, SCRATCH, 64, IN, 0));
	step(FUZZ_DOORBELL, 0, 0);
	return end("rng");
}

static int net(void)
{
	int bad;

	begin(FUZZ_NET, ~0u); /* merged buffers */
	memset(memory + DATA, 1, 100);
	for (int i = 0; i < 8; i++)
		step(FUZZ_OFFER, 0, desc(0, SCRATCH + 128 * i, 128, IN, 0));
	step(FUZZ_HOST, 7, 300);
	desc(1, DATA, 12, OUT, 1);
	desc(1, DATA + 12, 88, OUT, 0);
	step(FUZZ_KICK, 1, 0);
	step(FUZZ_POLL, 0, 0);
	step(FUZZ_HOST, 7, 2000); /* no room */
	step(FUZZ_OFFER, 0, 0);
	step(FUZZ_SERVE, 0, 0);
	bad = end("net-merge");

	begin(FUZZ_NET, 0);
	step(FUZZ_HOST, 7, 100);
	step(FUZZ_KICK, 0, desc(0, SCRATCH, 1526, IN, 0));
	step(FUZZ_HOST, 7, 60);
	step(FUZZ_POLL, 0, 0);
	return bad | end("net-plain");
}

static int console(void)
{
	begin(FUZZ_CONSOLE, ~0u);
	memcpy(memory + DATA, "hello\n", 6);
	step(FUZZ_KICK, 1, desc(1, DATA, 6, OUT, 0));
	step(FUZZ_HOST, 'x', 100);
	step(FUZZ_KICK, 0, desc(0, SCRATCH, 64, IN, 0));
	step(FUZZ_HOST, 'y', 10);
	return end("console");
}

/* A chain of all of RAM, and a ring full of the largest writes that are allowed. */
static int console_large(void)
{
	unsigned int first;
	int bad;

	begin(FUZZ_CONSOLE, 0);
	head.flags = FUZZ_LARGE;
	for (int i = 0; i < 3; i++)
		desc(1, 0, 128 << 20, OUT, 1);
	desc(1, 0, 128 << 20, OUT, 0);
	step(FUZZ_KICK, 1, 0);
	bad = end("console-large");

	begin(FUZZ_CONSOLE, 0);
	head.flags = FUZZ_LARGE;
	first = desc(1, 0, 1 << 20, OUT, 0);
	for (int i = 0; i < 1 << SIZE_LOG; i++)
		step(FUZZ_OFFER, 1, first);
	step(FUZZ_SERVE, 1, 0);
	step(FUZZ_SERVE, 1, 0);
	return bad | end("console-ring");
}

static void vsock_send(uint16_t op, uint32_t host_port, uint32_t guest_port, uint32_t len)
{
	struct virtio_vsock_hdr hdr = {
		.src_cid = 3,
		.dst_cid = 2,
		.src_port = guest_port,
		.dst_port = host_port,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? 3 : 0,
		.buf_alloc = 65536,
	};
	unsigned int at = DATA + 64 * next_desc[1];

	put(at, &hdr, sizeof(hdr));
	step(FUZZ_KICK, 1, desc(1, at, sizeof(hdr) + len, OUT, 0));
	step(FUZZ_POLL, 0, 0);
}

static void vsock_begin(void)
{
	begin(FUZZ_VSOCK, 0);
	for (int i = 0; i < 8; i++)
		step(FUZZ_OFFER, 0, desc(0, SCRATCH + 4096 * i, 4096, IN, 0));
}

/* What the programs of the host do, see host_vsock(). */
enum { CONNECT, ACCEPT, LINE, SEND, RECV, EOF_OUT, EOF_IN, CLOSE };

static int vsock(void)
{
	int bad;

	vsock_begin();
	vsock_send(VIRTIO_VSOCK_OP_REQUEST, 1, 1000, 0);
	step(FUZZ_HOST, ACCEPT, 0);
	vsock_send(VIRTIO_VSOCK_OP_RW, 1, 1000, 10);
	step(FUZZ_HOST, RECV, 100);
	step(FUZZ_HOST, SEND, 5000);
	step(FUZZ_POLL, 0, 0);
	vsock_send(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 1, 1000, 0);
	step(FUZZ_HOST, EOF_OUT, 0);
	step(FUZZ_POLL, 0, 0);
	vsock_send(VIRTIO_VSOCK_OP_SHUTDOWN, 1, 1000, 0);
	vsock_send(VIRTIO_VSOCK_OP_RST, 1, 1000, 0);
	bad = end("vsock-guest");

	vsock_begin();
	step(FUZZ_HOST, CONNECT, 0);
	step(FUZZ_POLL, 0, 0);
	step(FUZZ_HOST, LINE, 22);
	step(FUZZ_POLL, 0, 0);
	vsock_send(VIRTIO_VSOCK_OP_RESPONSE, 0x40000000, 22, 0);
	step(FUZZ_HOST, SEND, 100);
	step(FUZZ_POLL, 0, 0);
	vsock_send(VIRTIO_VSOCK_OP_RW, 0x40000000, 22, 20);
	step(FUZZ_HOST, CLOSE, 0);
	step(FUZZ_POLL, 0, 0);
	vsock_send(VIRTIO_VSOCK_OP_RW, 0x40000000, 22, 20);
	return bad | end("vsock-host");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make_corpus FOLDER\n");
		return 2;
	}
	folder = argv[1];
	return blk() | blk_indirect() | rng() | net() | console() | console_large() | vsock();
}

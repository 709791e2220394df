// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio devices and their PCI transport under libFuzzer, with guest memory as the
 * input (fuzz_input.h).  The machine is made once; each input drives one device,
 * in this thread only, and then everything is reset.
 *
 * Wrapped by the linker, so that nothing leaves the process and every run is alike:
 * net_user_create (a network that answers what it is sent), getrandom, console_write
 * and console_set_input.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/config.h"
#include "core/layout.h"
#include "core/poll_set.h"
#include "devices/board.h"
#include "devices/pci.h"
#include "fuzz_input.h"
#include "host/console.h"
#include "host/metrics.h"
#include "net/backend.h"
#include "virtio/virtio.h"
#include "virtio/vsock.h"

#define RAM	   (64 * KiB)
#define RAM_LARGE  (512 * MiB)
#define STEP_BYTES (4 * MiB) /* that a device may move for one step */
#define GUARD	   (4 * GiB) /* no buffer can be longer */
#define IMAGE_SIZE (64 * KiB)
#define PEERS	   4
#define CONFIG	   0x2000 /* of the device, in BAR 0 */

#define COMMON(name) offsetof(struct virtio_pci_common_cfg, name)

#define check(cond)                                                                              \
	do {                                                                                     \
		if (!(cond)) {                                                                   \
			fprintf(stderr, "failed: %s\n", #cond);                                  \
			abort();                                                                 \
		}                                                                                \
	} while (0)

static struct board board = { .name = "fuzz", .vm_fd = -1 };
static char dir[] = "/tmp/symkit-fuzz.XXXXXX";
static char image_path[32], vsock_path[40], listen_path[48];
static int image_fd, listen_fd;

static struct {
	struct virtio_device *dev;
	uint64_t regs, table, doorbells; /* where its BARs are */
} devices[FUZZ_DEVICES];

/* The input in hand. */
static struct fuzz_head head;
static struct virtio_device *dev;
static unsigned int slot;

static int peers[PEERS]; /* programs on the host's side of vsock */
static console_input_fn console_input;
static void *console_arg;
static volatile uint8_t sink; /* what was read is used */
static size_t step_bytes; /* of console output and image data in this step */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_net_user_create(struct net_processes *processes, unsigned int index,
			   struct net_backend **out, struct err *err);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);
void __wrap_console_write(struct console *console, const uint8_t *buf, size_t len);
void __wrap_console_set_input(struct console *console, console_input_fn fn, void *arg);

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	memset(buf, 0xa5, len);
	return len;
}

void __wrap_console_write(struct console *console, const uint8_t *buf, size_t len)
{
	step_bytes += len;
	check(step_bytes <= STEP_BYTES);
	for (size_t i = 0; i < len; i++)
		sink ^= buf[i];
}

void __wrap_console_set_input(struct console *console, console_input_fn fn, void *arg)
{
	console_input = fn;
	console_arg = arg;
}

/* The network: a frame whose first byte is odd comes back at once, as from a NAT. */
static struct {
	struct net_backend be;
	uint8_t held[NET_FRAME_MAX];
	size_t nr_held; /* the guest had no room for it */
} net;

static void net_deliver(const uint8_t *frame, size_t len)
{
	if (net.nr_held || net.be.rx(net.be.arg, frame, len))
		return;
	memcpy(net.held, frame, len);
	net.nr_held = len;
}

static void net_send(struct net_backend *be, const struct iovec *iov, unsigned int nr, size_t len)
{
	static uint8_t frame[NET_FRAME_MAX];
	size_t at = 0;

	check(len > NET_HDR_LEN && len <= sizeof(frame));
	for (unsigned int i = 0; i < nr; i++) {
		check(iov[i].iov_len <= len - at);
		memcpy(frame + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	check(at == len);
	if (frame[NET_HDR_LEN] & 1)
		net_deliver(frame, len);
}

static void net_rx_room(struct net_backend *be)
{
	if (net.nr_held && be->rx(be->arg, net.held, net.nr_held))
		net.nr_held = 0;
}

static void net_set_offload(struct net_backend *be, uint64_t features)
{
	net.nr_held = 0;
}

static void net_poll(struct net_backend *be, struct poll_set *set)
{
}

static void net_destroy(struct net_backend *be)
{
}

static const struct net_backend_ops net_ops = {
	.send = net_send,
	.rx_room = net_rx_room,
	.set_offload = net_set_offload,
	.poll_fill = net_poll,
	.poll_done = net_poll,
	.destroy = net_destroy,
};

int __wrap_net_user_create(struct net_processes *processes, unsigned int index,
			   struct net_backend **out, struct err *err)
{
	net.be.ops = &net_ops;
	net.be.features = 0x1fffff; /* whatever a backend may offer */
	*out = &net.be;
	return 0;
}

/* Set-up */

static void remove_files(void)
{
	unlink(listen_path);
	unlink(vsock_path);
	rmdir(dir);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	check(fd >= 0 && !bind(fd, (struct sockaddr *)&sa, sizeof(sa)) && !listen(fd, 128));
	return fd;
}

/* RAM between two walls: who runs past its end does not get far. */
static void wall_in(struct guest_memory *mem)
{
	uint8_t *p = mmap(NULL, GUARD + RAM_LARGE + GUARD, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	check(p != MAP_FAILED);
	munmap(mem->host, mem->size);
	mem->host = mmap(p + GUARD, RAM, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	check(mem->host == p + GUARD);
}

/* The rest of large RAM is part of the wall while RAM is small. */
static void set_ram(bool large)
{
	static bool is_large;
	uint8_t *rest = board.mem.host + RAM;

	if (is_large)
		check(!madvise(rest, RAM_LARGE - RAM, MADV_DONTNEED));
	if (large == is_large)
		return;
	check(!mprotect(rest, RAM_LARGE - RAM, large ? PROT_READ | PROT_WRITE : PROT_NONE));
	board.mem.size = board.mem.low_size = large ? RAM_LARGE : RAM;
	is_large = large;
}

static uint64_t access_reg(struct bus *bus, uint64_t addr, unsigned int len, uint64_t value,
			   bool is_write)
{
	uint8_t data[8];

	le_store(data, 8, value);
	bus_access(bus, addr, data, len, is_write);
	return le_load(data, len);
}

static uint64_t pci_config(unsigned int off, unsigned int len)
{
	return access_reg(&board.mmio, PCI_ECAM_BASE + (slot << 15) + off, len, 0, false);
}

static void pci_config_write(unsigned int off, unsigned int len, uint64_t value)
{
	access_reg(&board.mmio, PCI_ECAM_BASE + (slot << 15) + off, len, value, true);
}

static void find_devices(void)
{
	for (unsigned int i = 0; i < FUZZ_DEVICES; i++) {
		slot = i + 1;
		devices[i].regs = pci_config(PCI_BASE_ADDRESS_0, 4) & ~15u;
		devices[i].table = pci_config(PCI_BASE_ADDRESS_1, 4) & ~15u;
		devices[i].doorbells = pci_config(PCI_BASE_ADDRESS_2, 4) & ~3u;
		pci_config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		for (struct bus_region *r = board.mmio.regions; r; r = r->next)
			if (r->base == devices[i].regs)
				devices[i].dev = r->arg;
		check(devices[i].dev);
	}
	pci_bus_reset(board.pci);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct disk_config disk = { .path = image_path, .io = DISK_IO_RING };
	struct net_config card = { .kind = NET_USER, .fd = -1 };
	struct err err = { 0 };

	check(mkdtemp(dir));
	atexit(remove_files);
	snprintf(vsock_path, sizeof(vsock_path), "%s/v", dir);
	snprintf(listen_path, sizeof(listen_path), "%s_1", vsock_path);
	listen_fd = listen_at(listen_path);
	image_fd = memfd_create("image", 0);
	check(image_fd >= 0 && !ftruncate(image_fd, IMAGE_SIZE));
	snprintf(image_path, sizeof(image_path), "/proc/self/fd/%d", image_fd);
	bus_init(&board.pio);
	bus_init(&board.mmio);
	irq_init(&board.irq);
	check(!gmem_create(&board.mem, RAM, &err));
	wall_in(&board.mem);
	check(!metrics_create("test", &board.metrics));
	check(!pci_bus_create(&board, &board.pci, &err));
	/* In the order of enum fuzz_device; there is no loop, so nobody serves them but us. */
	check(!virtio_blk_create(&board, &disk, 0, &err));
	check(!virtio_rng_create(&board, &err));
	check(!virtio_net_create(&board, &card, 0, &err));
	check(net.be.ops); /* else the linker was not told to wrap */
	check(!virtio_console_create(&board, &err));
	check(!virtio_vsock_create(&board, 3, vsock_path, &err));
	find_devices();
	for (int i = 0; i < PEERS; i++)
		peers[i] = -1;
	return 0;
}

/* The driver */

static uint64_t reg_read(uint64_t off, unsigned int len)
{
	return access_reg(&board.mmio, devices[slot - 1].regs + off, len, 0, false);
}

static void reg_write(uint64_t off, unsigned int len, uint64_t value)
{
	access_reg(&board.mmio, devices[slot - 1].regs + off, len, value, true);
}

static void status_add(uint8_t bit)
{
	reg_write(COMMON(device_status), 1, reg_read(COMMON(device_status), 1) | bit);
}

static void set_up_queue(unsigned int q)
{
	uint16_t size = head.queue[q].size, desc = head.queue[q].desc;
	uint16_t avail = head.queue[q].avail, used = head.queue[q].used;

	if (!(head.flags & FUZZ_RAW)) {
		size = 1 << size % 9;
		desc &= ~15;
		avail &= ~1;
		used &= ~3;
	}
	head.queue[q].size = size;
	head.queue[q].avail = avail;
	reg_write(COMMON(queue_select), 2, q);
	reg_write(COMMON(queue_size), 2, size);
	reg_write(COMMON(queue_msix_vector), 2, 1 + q);
	reg_write(COMMON(queue_desc_lo), 4, desc);
	reg_write(COMMON(queue_avail_lo), 4, avail);
	reg_write(COMMON(queue_used_lo), 4, used);
	reg_write(COMMON(queue_enable), 2, 1);
}

static void set_up(void)
{
	reg_write(COMMON(device_status), 1, 0);
	status_add(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	reg_write(COMMON(guest_feature_select), 4, 0);
	reg_write(COMMON(guest_feature), 4, head.features & dev->offered);
	reg_write(COMMON(guest_feature_select), 4, 1);
	reg_write(COMMON(guest_feature), 4, 1); /* VERSION_1 */
	status_add(VIRTIO_CONFIG_S_FEATURES_OK);
	reg_write(COMMON(msix_config), 2, 0);
	for (unsigned int q = 0; q < dev->ops->nr_queues && q < FUZZ_QUEUES; q++)
		set_up_queue(q);
	status_add(VIRTIO_CONFIG_S_DRIVER_OK);
}

static void offer(unsigned int q, uint16_t index)
{
	uint64_t avail = head.queue[q].avail;
	uint16_t idx, size = head.queue[q].size;

	if (gmem_read(&board.mem, avail + 2, &idx, 2))
		return;
	gmem_write(&board.mem, avail + 4 + (size ? idx % size : 0) * 2, &index, 2);
	idx++;
	gmem_write(&board.mem, avail + 2, &idx, 2);
}

/* The host */

static void poll_round(void)
{
	static struct poll_set set;

	if (!dev->ops->poll_fill)
		return;
	set.nr = 0;
	set.timeout_ms = -1;
	pthread_mutex_lock(&dev->lock);
	dev->ops->poll_fill(dev, &set);
	pthread_mutex_unlock(&dev->lock);
	if (poll(set.fds, set.nr, 0) < 0)
		return;
	pthread_mutex_lock(&dev->lock);
	dev->ops->poll_done(dev, &set);
	pthread_mutex_unlock(&dev->lock);
}

static void host_net(uint8_t a, uint16_t b)
{
	static uint8_t frame[NET_FRAME_MAX];
	size_t len = NET_HDR_LEN + 1 + b;

	memset(frame + NET_HDR_LEN, a, len - NET_HDR_LEN);
	pthread_mutex_lock(&dev->lock);
	net_deliver(frame, len < sizeof(frame) ? len : sizeof(frame));
	pthread_mutex_unlock(&dev->lock);
}

static void host_console(uint8_t a, uint16_t b)
{
	static uint8_t text[4096];
	size_t len = b % sizeof(text);

	memset(text, a, len);
	check(console_input(console_arg, text, len) <= len);
}

static int connect_vsock(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, vsock_path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* One of a few programs on the host takes a step. */
static void host_vsock(uint8_t a, uint16_t b)
{
	static uint8_t buf[VSOCK_BUF];
	int *peer = &peers[a / 8 % PEERS];
	char line[24];
	int n = 0;

	switch (a % 8) {
	case 0:
	case 1:
		if (*peer >= 0)
			close(*peer);
		*peer = a % 8 ? accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) :
				connect_vsock();
		break;
	case 2:
		n = snprintf(line, sizeof(line), "CONNECT %u\n", b);
		n = send(*peer, line, n, MSG_NOSIGNAL);
		break;
	case 3:
		n = send(*peer, buf, b, MSG_NOSIGNAL);
		break;
	case 4:
		n = recv(*peer, buf, b, 0);
		break;
	case 5:
		shutdown(*peer, SHUT_WR);
		break;
	case 6:
		shutdown(*peer, SHUT_RD);
		break;
	case 7:
		if (*peer >= 0)
			close(*peer);
		*peer = -1;
		break;
	}
	sink ^= n;
}

static void drain(int fd)
{
	int conn;

	while ((conn = accept(fd, NULL, NULL)) >= 0)
		close(conn);
}

static void take_step(const struct fuzz_step *s)
{
	unsigned int q = s->a % dev->ops->nr_queues;

	step_bytes = 0;
	switch (s->op % FUZZ_OPS) {
	case FUZZ_KICK:
		offer(q, s->b);
		virtio_serve(dev, q);
		break;
	case FUZZ_OFFER:
		offer(q, s->b);
		break;
	case FUZZ_SERVE:
		virtio_serve(dev, q);
		break;
	case FUZZ_POLL:
		poll_round();
		break;
	case FUZZ_HOST:
		if (slot - 1 == FUZZ_NET)
			host_net(s->a, s->b);
		else if (slot - 1 == FUZZ_CONSOLE)
			host_console(s->a, s->b);
		else if (slot - 1 == FUZZ_VSOCK)
			host_vsock(s->a, s->b);
		break;
	case FUZZ_POKE:
		gmem_write(&board.mem, s->b, &s->a, 1);
		break;
	case FUZZ_COMMON:
		reg_write(s->a & 63, 1 << (s->a >> 6 & 3), s->b);
		sink ^= reg_read(s->a & 63, 1 << (s->a >> 6 & 3));
		break;
	case FUZZ_CONFIG:
		if (s->b & 1)
			reg_write(CONFIG + s->a, 1 << (s->b >> 1 & 3), s->b);
		else
			sink ^= reg_read(CONFIG + s->a, 1 << (s->b >> 1 & 3));
		break;
	case FUZZ_PCI:
		pci_config_write(s->a & ~1, 2, s->b);
		sink ^= pci_config(s->a & ~3, 4);
		break;
	case FUZZ_MSIX:
		access_reg(&board.mmio, devices[slot - 1].table + s->a * 4, 4, s->b, true);
		sink ^= access_reg(&board.mmio, devices[slot - 1].table + 2048, 8, 0, false);
		break;
	case FUZZ_DOORBELL:
		access_reg(&board.pio, devices[slot - 1].doorbells + s->a, 2, s->b, true);
		break;
	case FUZZ_RESTART:
		set_up();
		break;
	}
}

static void clean_up(void)
{
	for (int i = 0; i < PEERS; i++) {
		if (peers[i] >= 0)
			close(peers[i]);
		peers[i] = -1;
	}
	net.nr_held = 0;
	pci_bus_reset(board.pci);
	if (slot - 1 == FUZZ_VSOCK) {
		struct vsock *vs = (struct vsock *)dev;

		drain(listen_fd);
		drain(vs->listener.fd);
		vs->next_port = 0;
		vs->rx_blocked = false;
	}
	if (slot - 1 == FUZZ_BLK)
		check(!ftruncate(image_fd, 0) && !ftruncate(image_fd, IMAGE_SIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_step steps[256];
	size_t n;

	if (size < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	data += sizeof(head);
	size -= sizeof(head);
	n = head.steps * sizeof(steps[0]) < size ? head.steps : size / sizeof(steps[0]);
	memcpy(steps, data, n * sizeof(steps[0]));
	data += n * sizeof(steps[0]);
	size -= n * sizeof(steps[0]);
	set_ram(head.flags & FUZZ_LARGE);
	memset(board.mem.host, 0, RAM);
	memcpy(board.mem.host, data, size < RAM ? size : RAM);

	slot = head.device % FUZZ_DEVICES + 1;
	dev = devices[slot - 1].dev;
	pci_config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	set_up();
	for (size_t i = 0; i < n; i++)
		take_step(&steps[i]);
	clean_up();
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * 16550A UART.  Output is written at once, so the transmitter is always empty; input
 * waits in a FIFO, and the console is notified when there is room again.
 *
 * A driver clears the FIFO when it opens the port.  So that input typed before is not lost,
 * none is put there until the driver listens: by interrupt, or by polling.
 */
#include "devices/serial.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/layout.h"
#include "devices/board.h"
#include "host/console.h"
#include "host/metrics.h"

enum { REG_DATA, REG_IER, REG_IIR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR, REG_COUNT };

#define IER_RX	     0x01
#define IER_TX	     0x02
#define IIR_NONE     0x01
#define IIR_TX	     0x02
#define IIR_RX	     0x04
#define IIR_TIMEOUT  0x0c
#define IIR_FIFO     0xc0
#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define LCR_DLAB     0x80
#define MCR_LOOP     0x10
#define LSR_DR	     0x01
#define LSR_TX_IDLE  0x60
#define MSR_READY    0xb0 /* carrier, data set ready, clear to send */

#define RX_SIZE 64
#define POLLS	16 /* reads of the line status in a row: the driver polls for input */

struct serial {
	struct board *board;
	struct bus_region region;
	int irq_fd;
	pthread_mutex_t lock; /* for vCPUs and the loop */
	uint8_t ier, lcr, mcr, scr, fcr;
	uint8_t divisor[2];
	bool tx_pending; /* a "transmitter empty" interrupt is due */
	uint8_t rx[RX_SIZE];
	unsigned int rx_head, rx_count;
	unsigned int polls; /* reads of the line status since the last write */
	bool room; /* notify the console: it may send input again that did not fit */
	uint64_t rx_bytes, tx_bytes;
};

/* Edge-triggered: raise it again whenever there may be a new reason. */
static void update_irq(struct serial *s)
{
	bool due = (s->ier & IER_RX && s->rx_count) || (s->ier & IER_TX && s->tx_pending);

	if (due)
		eventfd_write(s->irq_fd, 1);
}

static void rx_push(struct serial *s, uint8_t byte)
{
	s->rx[(s->rx_head + s->rx_count++) % RX_SIZE] = byte;
}

static bool listens(const struct serial *s)
{
	return s->ier & IER_RX || s->polls >= POLLS;
}

/* There is room, or the driver listens: a console whose input was refused waits for this. */
static void note_room(struct serial *s)
{
	s->room |= listens(s) && s->rx_count < RX_SIZE;
}

static size_t serial_input(void *arg, const uint8_t *buf, size_t len)
{
	struct serial *s = arg;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	while (n < len && s->rx_count < RX_SIZE && listens(s))
		rx_push(s, buf[n++]);
	s->rx_bytes += n;
	if (n)
		update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

static uint8_t read_data(struct serial *s)
{
	uint8_t byte = 0;

	if (s->lcr & LCR_DLAB)
		return s->divisor[0];
	if (s->rx_count) {
		byte = s->rx[s->rx_head];
		s->rx_head = (s->rx_head + 1) % RX_SIZE;
		s->rx_count--;
		if (!s->rx_count)
			note_room(s);
		update_irq(s);
	}
	return byte;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t iir = IIR_NONE;

	if (s->ier & IER_RX && s->rx_count) {
		iir = s->fcr & FCR_ENABLE ? IIR_TIMEOUT : IIR_RX;
	} else if (s->ier & IER_TX && s->tx_pending) {
		iir = IIR_TX;
		s->tx_pending = false;
	}
	return iir | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct serial *s)
{
	if (s->polls < POLLS && ++s->polls == POLLS)
		note_room(s);
	return LSR_TX_IDLE | (s->rx_count ? LSR_DR : 0);
}

static uint8_t serial_read(struct serial *s, unsigned int reg)
{
	switch (reg) {
	case REG_DATA:
		return read_data(s);
	case REG_IER:
		return s->lcr & LCR_DLAB ? s->divisor[1] : s->ier;
	case REG_IIR:
		return read_iir(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return read_lsr(s);
	case REG_MSR:
		/* In loop-back, the modem lines are our own outputs. */
		if (s->mcr & MCR_LOOP)
			return (s->mcr & 1) << 5 | (s->mcr & 2) << 3 | (s->mcr & 0xc) << 4;
		return MSR_READY;
	default:
		return s->scr;
	}
}

/* serial_write - true when @value is a byte for the console. */
static bool serial_write(struct serial *s, unsigned int reg, uint8_t value)
{
	switch (reg) {
	case REG_DATA:
		if (s->lcr & LCR_DLAB) {
			s->divisor[0] = value;
			return false;
		}
		if (s->mcr & MCR_LOOP) {
			if (s->rx_count < RX_SIZE)
				rx_push(s, value);
			return false;
		}
		s->polls = 0;
		s->tx_pending = true;
		s->tx_bytes++;
		update_irq(s);
		return true;
	case REG_IER:
		if (s->lcr & LCR_DLAB) {
			s->divisor[1] = value;
			return false;
		}
		if (value & IER_TX & ~s->ier)
			s->tx_pending = true;
		s->ier = value & 0x0f;
		note_room(s);
		update_irq(s);
		break;
	case REG_IIR: /* FCR when written */
		s->fcr = value;
		if (value & FCR_CLEAR_RX)
			s->rx_count = 0;
		note_room(s);
		break;
	case REG_LCR:
		s->lcr = value;
		break;
	case REG_MCR:
		s->mcr = value & 0x1f;
		break;
	case REG_SCR:
		s->scr = value;
		break;
	}
	return false;
}

static void serial_access(void *arg, uint64_t offset, uint8_t *data, unsigned int len,
			  bool is_write)
{
	struct serial *s = arg;
	bool out = false, room;

	if (len != 1) {
		if (!is_write)
			memset(data, 0xff, len);
		return;
	}
	pthread_mutex_lock(&s->lock);
	if (is_write)
		out = serial_write(s, offset, data[0]);
	else
		data[0] = serial_read(s, offset);
	room = s->room;
	s->room = false;
	pthread_mutex_unlock(&s->lock);
	if (out)
		console_write(s->board->console, data, 1);
	if (room)
		console_kick(s->board->console);
}

int serial_create(struct board *board, struct serial **out, struct err *err)
{
	struct serial *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(err, -ENOMEM, "serial port: out of memory");
	s->board = board;
	s->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->irq_fd < 0) {
		err_errno(err, "serial port: eventfd");
		free(s);
		return err->code;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->region = (struct bus_region){ PORT_COM1, REG_COUNT, serial_access, s, NULL };
	bus_add(&board->pio, &s->region);
	console_set_input(board->console, serial_input, s);
	metrics_counter(board->metrics, "serial_bytes_total", "Bytes through the serial port",
			"direction=\"in\"", &s->rx_bytes);
	metrics_counter(board->metrics, "serial_bytes_total", "Bytes through the serial port",
			"direction=\"out\"", &s->tx_bytes);
	*out = s;
	return 0;
}

void serial_destroy(struct serial *s)
{
	if (!s)
		return;
	console_set_input(s->board->console, NULL, NULL);
	bus_del(&s->board->pio, &s->region);
	close(s->irq_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int serial_bind(struct serial *s, struct err *err)
{
	int ret = irq_attach(&s->board->irq, GSI_COM1, s->irq_fd);

	return ret ? err_set(err, ret, "KVM refused the serial port's interrupt") : 0;
}

void serial_reset(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	s->ier = s->lcr = s->mcr = s->scr = s->fcr = 0;
	s->tx_pending = false;
	s->room = false;
	s->polls = 0;
	s->rx_count = 0;
	pthread_mutex_unlock(&s->lock);
}

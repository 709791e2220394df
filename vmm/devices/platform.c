// SPDX-License-Identifier: BSD-2-Clause
/*
 * The board's registers.  A guest ends its boot by writing to them; the reason is
 * determined here: power-off, reset, or a reset that follows a kernel panic.
 */
#include "devices/platform.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/layout.h"
#include "devices/board.h"
#include "devices/panic_text.h"
#include "host/console.h"
#include "host/events.h"

#define SLEEP_EN      0x20
#define SLEEP_TYPE(v) ((v) >> 2 & 7)
#define SLEEP_TYPE_S5 5
#define RESET_VALUE   1
#define KBD_RESET     0xfe
#define KBD_COMMAND   4 /* port 0x64 */
#define EVENT_POWER   1

struct platform {
	struct board *board;
	struct bus_region acpi;
	struct bus_region kbd;
	int event_fd; /* raises GSI_GED */
	bool panic_driver; /* the guest's pvpanic driver is loaded */
	uint8_t events;
};

/* The reason of a panic that the console shows; false if it shows none. */
static bool console_shows_panic(struct board *board, bool as_its_end, char *reason, size_t len)
{
	char tail[16384 + 1];

	return board->console && console_tail(board->console, tail, sizeof(tail) - 1) &&
	       (!as_its_end || panic_text_is_end(tail)) && panic_text_reason(tail, reason, len);
}

void platform_panic_driver(struct board *board)
{
	__atomic_store_n(&board->platform->panic_driver, true, __ATOMIC_RELAXED);
}

void platform_panicked(struct board *board)
{
	char reason[128];

	board_stop(board, VM_STOP_PANIC, "kernel panic: %s",
		   console_shows_panic(board, false, reason, sizeof(reason)) ? reason :
									       "no reason given");
}

void platform_crash_kernel(struct board *board)
{
	char reason[128] = "no reason given";

	console_shows_panic(board, false, reason, sizeof(reason));
	events_emit_limited(board->events, EVENTS_OF_GUEST, "crash_kernel", NULL,
			    json_pack("{s:o}", "reason", events_text(reason)));
	/* The crash kernel starts without the driver. */
	__atomic_store_n(&board->platform->panic_driver, false, __ATOMIC_RELAXED);
}

/*
 * Before its pvpanic driver is loaded, a stock kernel cannot report a panic, but its last
 * console output before it resets the machine shows it.  Once the driver is loaded only the
 * driver's report counts, since any program can write text.
 */
static void guest_reset(struct platform *pf)
{
	bool driver = __atomic_load_n(&pf->panic_driver, __ATOMIC_RELAXED);
	char reason[128];

	if (!driver && console_shows_panic(pf->board, true, reason, sizeof(reason)))
		board_stop(pf->board, VM_STOP_PANIC, "kernel panic: %s", reason);
	else
		board_stop(pf->board, VM_STOP_RESET, "the guest requested a reset");
}

static void acpi_access(void *arg, uint64_t offset, uint8_t *data, unsigned int len,
			bool is_write)
{
	struct platform *pf = arg;

	if (!is_write) {
		memset(data, 0, len);
		if (offset == PORT_ACPI_EVENT - PORT_ACPI_BASE)
			data[0] = __atomic_exchange_n(&pf->events, 0, __ATOMIC_SEQ_CST);
		return;
	}
	switch (PORT_ACPI_BASE + offset) {
	case PORT_ACPI_SLEEP:
		if (data[0] & SLEEP_EN && SLEEP_TYPE(data[0]) == SLEEP_TYPE_S5)
			board_stop(pf->board, VM_STOP_POWEROFF, "the guest powered off");
		break;
	case PORT_ACPI_RESET:
		if (data[0] == RESET_VALUE)
			guest_reset(pf);
		break;
	}
}

static void kbd_access(void *arg, uint64_t offset, uint8_t *data, unsigned int len, bool is_write)
{
	struct platform *pf = arg;

	if (!is_write)
		memset(data, 0, len); /* status: output buffer empty, input buffer free */
	else if (offset == KBD_COMMAND && data[0] == KBD_RESET)
		guest_reset(pf);
}

int platform_create(struct board *board, struct platform **out, struct err *err)
{
	struct platform *pf = calloc(1, sizeof(*pf));

	if (!pf)
		return err_set(err, -ENOMEM, "platform: out of memory");
	pf->board = board;
	pf->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pf->event_fd < 0) {
		err_errno(err, "platform: eventfd");
		free(pf);
		return err->code;
	}
	pf->acpi = (struct bus_region){ PORT_ACPI_BASE, 4, acpi_access, pf, NULL };
	pf->kbd = (struct bus_region){ PORT_KBD, 5, kbd_access, pf, NULL };
	bus_add(&board->pio, &pf->acpi);
	bus_add(&board->pio, &pf->kbd);
	*out = pf;
	return 0;
}

void platform_destroy(struct platform *pf)
{
	if (!pf)
		return;
	bus_del(&pf->board->pio, &pf->acpi);
	bus_del(&pf->board->pio, &pf->kbd);
	close(pf->event_fd);
	free(pf);
}

int platform_bind(struct platform *pf, struct err *err)
{
	int ret = irq_attach(&pf->board->irq, GSI_GED, pf->event_fd);

	return ret ? err_set(err, ret, "KVM refused the interrupt of the power button") : 0;
}

void platform_reset(struct platform *pf)
{
	__atomic_store_n(&pf->events, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&pf->panic_driver, false, __ATOMIC_RELAXED);
}

int platform_power_button(struct platform *pf)
{
	__atomic_fetch_or(&pf->events, EVENT_POWER, __ATOMIC_SEQ_CST);
	return eventfd_write(pf->event_fd, 1) && errno != EAGAIN ? -errno : 0;
}

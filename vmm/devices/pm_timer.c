// SPDX-License-Identifier: BSD-2-Clause
#include "devices/pm_timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/layout.h"
#include "devices/board.h"

#define FREQUENCY 3579545ull /* Hz */

struct pm_timer {
	struct board *board;
	struct bus_region region;
};

static void pm_timer_access(void *arg, uint64_t offset, uint8_t *data, unsigned int len,
			    bool is_write)
{
	uint64_t ns = clock_ns();
	uint32_t ticks = ns / NS_PER_S * FREQUENCY + ns % NS_PER_S * FREQUENCY / NS_PER_S;

	if (is_write)
		return;
	memset(data, 0, len);
	ticks >>= offset * 8;
	memcpy(data, &ticks, len < sizeof(ticks) ? len : sizeof(ticks));
}

int pm_timer_create(struct board *board, struct pm_timer **out, struct err *err)
{
	struct pm_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return err_set(err, -ENOMEM, "power management timer: out of memory");
	timer->board = board;
	timer->region = (struct bus_region){ PORT_PM_TIMER, 4, pm_timer_access, timer, NULL };
	bus_add(&board->pio, &timer->region);
	*out = timer;
	return 0;
}

void pm_timer_destroy(struct pm_timer *timer)
{
	if (!timer)
		return;
	bus_del(&timer->board->pio, &timer->region);
	free(timer);
}

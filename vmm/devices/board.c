// SPDX-License-Identifier: BSD-2-Clause
#include "devices/board.h"

#include <stdarg.h>
#include <stdio.h>

void board_stop(struct board *board, enum vm_stop reason, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	board->stop(board, reason, text);
}

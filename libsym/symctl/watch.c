// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl events: print a VM's events.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

const struct ctl_option events_options[] = {
	{ "history", NULL, "first show the last 64 events", set_history },
	{ .name = NULL },
};

static void print_value(const char *key, const json_t *value)
{
	char *text = json_is_string(value) ? NULL :
					     json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	const char *string = json_string_value(value);
	bool quote = string && (!*string || strpbrk(string, " \t\"="));

	putchar(' ');
	ctl_print_text(stdout, key);
	printf("=%s", quote ? "\"" : "");
	ctl_print_text(stdout, text ? text : string ? string : "");
	printf("%s", quote ? "\"" : "");
	free(text);
}

static void print_event(const char *text)
{
	static const char *const counts[] = { "left_out", "dropped" };
	json_t *event = json_loads(text, 0, NULL), *data = json_object_get(event, "data");
	const char *name = json_string_value(json_object_get(event, "event")), *key;
	double when = json_number_value(json_object_get(event, "time"));
	time_t seconds = when;
	char stamp[32] = "";
	struct tm tm;
	json_t *value;

	if (localtime_r(&seconds, &tm))
		strftime(stamp, sizeof(stamp), "%F %T", &tm);
	printf("%s.%03d ", stamp, (int)((when - seconds) * 1000));
	ctl_print_text(stdout, name ? name : "?");
	json_object_foreach(data, key, value)
		print_value(key, value);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (json_object_get(event, counts[i]))
			print_value(counts[i], json_object_get(event, counts[i]));
	putchar('\n');
	json_decref(event);
}

/* Wait for more events of @conn; false when our output has no reader any more. */
static bool wait_for_more(struct sym_conn *conn)
{
	struct pollfd pfd[] = {
		{ .fd = sym_conn_fd(conn), .events = POLLIN },
		{ .fd = STDOUT_FILENO }, /* POLLERR: a pipe without a reader */
	};

	return poll(pfd, 2, -1) < 0 || !(pfd[1].revents & (POLLERR | POLLHUP));
}

int cmd_events(struct ctl *ctl)
{
	struct sym_events_opts opts = { .size = sizeof(opts), .history = ctl->history };
	struct sym_conn *conn = ctl_open(ctl);
	char *text;
	int ret;

	if (!conn)
		return 1;
	if (sym_events_subscribe(conn, &opts))
		return ctl_failed(ctl, conn);
	while (!(ret = sym_events_next(conn, 0, &text)) || ret == -ETIMEDOUT) {
		if (ret) {
			ret = 0;
			if (!wait_for_more(conn))
				break;
			continue;
		}
		if (ctl->json)
			printf("%s\n", text);
		else
			print_event(text);
		free(text);
		if (fflush(stdout))
			break;
	}
	if (ret == -EPIPE)
		ret = sym_vm_gone(conn);
	if (ret)
		return ctl_failed(ctl, conn);
	sym_close(conn);
	return 0;
}

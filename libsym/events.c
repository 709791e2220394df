// SPDX-License-Identifier: BSD-2-Clause
/*
 * The event stream: events arrive between answers, and are queued for sym_events_next().
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

static void drop_oldest(struct sym_conn *conn)
{
	struct event_record *event = conn->events;

	conn->events = event->next;
	if (!conn->events)
		conn->events_tail = &conn->events;
	conn->nr_events--;
	free(event->text);
	free(event);
}

void sym__keep_event(struct sym_conn *conn, const json_t *json)
{
	struct event_record *event = malloc(sizeof(*event));

	if (!event)
		return;
	event->next = NULL;
	event->text = json_dumps(json,
				 JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(16));
	if (!event->text) {
		free(event);
		return;
	}
	if (conn->nr_events == SYM_EVENTS_MAX)
		drop_oldest(conn);
	*conn->events_tail = event;
	conn->events_tail = &event->next;
	conn->nr_events++;
}

int sym_events_subscribe(struct sym_conn *conn, const struct sym_events_opts *opts)
{
	struct sym_events_opts known = { .size = sizeof(known) };
	int ret;

	sym__clear_error(conn);
	ret = sym__opts(&known, opts);
	if (ret)
		return sym__fail(conn, ret,
				 "sym_events_subscribe: options that this library does not know");
	ret = sym__call(conn, "events", json_pack("{s:b}", "history", known.history), NULL);
	if (!ret)
		conn->subscribed = true;
	return ret;
}

int sym_events_next(struct sym_conn *conn, unsigned int timeout_ms, char **text)
{
	int64_t deadline = sym__deadline(timeout_ms);
	struct event_record *event;
	bool first = true;
	json_t *line;
	int ret;

	sym__clear_error(conn);
	if (!conn->subscribed)
		return sym__fail(conn, -ENODATA, "not subscribed to the events");
	while (!conn->events) {
		ret = first ? 0 : sym__late(conn, deadline);
		first = false;
		if (!ret)
			ret = sym__receive(conn, deadline, &line);
		if (ret == -ETIMEDOUT)
			sym__fail(conn, ret, "VM '%s' sent no event in time", conn->name);
		if (ret)
			return ret;
		if (json_object_get(line, "event"))
			sym__keep_event(conn, line);
		json_decref(line);
	}
	event = conn->events;
	*text = event->text;
	event->text = NULL;
	drop_oldest(conn);
	return 0;
}

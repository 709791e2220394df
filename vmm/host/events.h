/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event stream of a VM: emitted by any thread, delivered in the loop's
 * thread to every subscriber, with a short history for new ones.
 */
#ifndef VMM_HOST_EVENTS_H
#define VMM_HOST_EVENTS_H

#include <jansson.h>

struct events;
struct loop;

typedef void (*event_fn)(void *arg, const json_t *event);

int events_create(struct loop *loop, struct events **out);
void events_destroy(struct events *ev);

/*
 * events_emit - queue {"event": @name, "time": seconds (wall clock), "data": @data}.
 * Takes over the reference to @data (may be NULL).  Any thread, never blocks;
 * past 256 undelivered events the oldest are dropped and counted in the next.
 */
void events_emit(struct events *ev, const char *name, json_t *data);

/*
 * events_emit_limited - as events_emit(), for what a guest can cause: @rate for each pair
 * of @name and @key (a device, a service; NULL: none).  Of the events beyond the rate only
 * the latest is kept; it is delivered as soon as the rate allows, with the number of those
 * dropped before it in "left_out".  So the last event of a kind always arrives.
 */
enum event_rate {
	EVENTS_OF_GUEST, /* 8 at once, then 1 a second */
	EVENTS_OF_SERVICE, /* 64 at once, then 16 a second */
};
void events_emit_limited(struct events *ev, enum event_rate rate, const char *name,
			 const char *key, json_t *data);

/* events_release - queue the events still held, before the last events.  Loop's thread. */
void events_release(struct events *ev);

/* events_make - the JSON of an event, to be sent by the caller; takes over @data. */
json_t *events_make(const char *name, json_t *data);

/*
 * events_text - a JSON string of @text, which may come from the guest or be a file's
 * name: if it is not UTF-8, every byte beyond ASCII becomes '?'.
 */
json_t *events_text(const char *text);

/* events_flush - deliver what is queued now; loop's thread, or after it ended. */
void events_flush(struct events *ev);

/*
 * events_subscribe - @history: first deliver up to the last 64 events.
 * Returns a number for events_unsubscribe(), or -errno.  Loop's thread.
 */
int events_subscribe(struct events *ev, int history, event_fn fn, void *arg);
void events_unsubscribe(struct events *ev, int id);

#endif

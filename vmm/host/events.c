// SPDX-License-Identifier: BSD-2-Clause
/*
 * The event stream.  An emitter only queues, under the lock; everything else
 * belongs to the loop's thread.  Subscribers may come and go inside a callback.
 */
#include "host/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/loop.h"

#define EVENTS_PENDING 256
#define EVENTS_HISTORY 64
#define EVENTS_SUBSCRIBERS 64

struct subscriber {
	event_fn fn; /* NULL: the place is free */
	void *arg;
};

struct events {
	int wakefd;
	struct loop_source *source;
	struct subscriber subscribers[EVENTS_SUBSCRIBERS];
	json_t *history[EVENTS_HISTORY];
	unsigned int nr_history; /* ever delivered */

	pthread_mutex_t lock; /* guards what follows */
	json_t *pending[EVENTS_PENDING];
	unsigned int first;
	unsigned int nr_pending;
	unsigned int dropped; /* since the last delivery */
};

static void on_wake(void *arg, uint32_t ready)
{
	struct events *ev = arg;
	uint64_t count;

	if (read(ev->wakefd, &count, sizeof(count)) > 0)
		events_flush(ev);
}

int events_create(struct loop *loop, struct events **out)
{
	struct events *ev = calloc(1, sizeof(*ev));
	int ret;

	if (!ev)
		return -ENOMEM;
	json_object_seed(0); /* opens a file: now, before the sandbox forbids it */
	pthread_mutex_init(&ev->lock, NULL);
	ev->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = ev->wakefd < 0 ? -errno :
	      loop_add(loop, ev->wakefd, EPOLLIN, on_wake, ev, &ev->source);
	if (ret) {
		events_destroy(ev);
		return ret;
	}
	*out = ev;
	return 0;
}

void events_destroy(struct events *ev)
{
	if (!ev)
		return;
	loop_del(ev->source);
	if (ev->wakefd >= 0)
		close(ev->wakefd);
	for (unsigned int i = 0; i < ev->nr_pending; i++)
		json_decref(ev->pending[(ev->first + i) % EVENTS_PENDING]);
	for (unsigned int i = 0; i < EVENTS_HISTORY; i++)
		json_decref(ev->history[i]);
	pthread_mutex_destroy(&ev->lock);
	free(ev);
}

json_t *events_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy = string ? NULL : strdup(text);

	if (copy) {
		for (char *p = copy; *p; p++)
			if (*p & 0x80)
				*p = '?';
		string = json_string(copy);
		free(copy);
	}
	return string;
}

static json_t *event_new(const char *name, json_t *data)
{
	struct timespec now;
	json_t *event;

	clock_gettime(CLOCK_REALTIME, &now);
	event = json_pack("{s:s, s:f}", "event", name, "time", now.tv_sec + now.tv_nsec / 1e9);
	if (!event)
		json_decref(data);
	else
		json_object_set_new(event, "data", data ? data : json_object());
	return event;
}

void events_emit(struct events *ev, const char *name, json_t *data)
{
	json_t *event = event_new(name, data), *oldest = NULL;
	uint64_t one = 1;

	pthread_mutex_lock(&ev->lock);
	if (!event) {
		ev->dropped++;
	} else {
		if (ev->nr_pending == EVENTS_PENDING) {
			oldest = ev->pending[ev->first];
			ev->first = (ev->first + 1) % EVENTS_PENDING;
			ev->nr_pending--;
			ev->dropped++;
		}
		ev->pending[(ev->first + ev->nr_pending++) % EVENTS_PENDING] = event;
	}
	pthread_mutex_unlock(&ev->lock);
	json_decref(oldest);
	if (write(ev->wakefd, &one, sizeof(one)) < 0)
		return; /* already pending */
}

static json_t *pending_take(struct events *ev)
{
	json_t *event = NULL;
	unsigned int dropped = 0;

	pthread_mutex_lock(&ev->lock);
	if (ev->nr_pending) {
		event = ev->pending[ev->first];
		ev->first = (ev->first + 1) % EVENTS_PENDING;
		ev->nr_pending--;
		dropped = ev->dropped;
		ev->dropped = 0;
	}
	pthread_mutex_unlock(&ev->lock);
	if (dropped)
		json_object_set_new(event, "dropped", json_integer(dropped));
	return event;
}

static void deliver(struct events *ev, json_t *event)
{
	json_t **place = &ev->history[ev->nr_history++ % EVENTS_HISTORY];

	json_decref(*place);
	*place = json_incref(event); /* a callback may subscribe, and ask for the history */
	for (unsigned int i = 0; i < EVENTS_SUBSCRIBERS; i++)
		if (ev->subscribers[i].fn)
			ev->subscribers[i].fn(ev->subscribers[i].arg, event);
	json_decref(event);
}

void events_flush(struct events *ev)
{
	unsigned int nr;
	json_t *event;

	pthread_mutex_lock(&ev->lock);
	nr = ev->nr_pending; /* what callbacks emit waits for its own turn */
	pthread_mutex_unlock(&ev->lock);
	while (nr-- && (event = pending_take(ev)))
		deliver(ev, event);
}

int events_subscribe(struct events *ev, int history, event_fn fn, void *arg)
{
	unsigned int end = ev->nr_history, i;
	unsigned int start = end > EVENTS_HISTORY ? end - EVENTS_HISTORY : 0;

	for (i = 0; i < EVENTS_SUBSCRIBERS && ev->subscribers[i].fn; i++)
		;
	if (i == EVENTS_SUBSCRIBERS)
		return -ENOSPC;
	ev->subscribers[i] = (struct subscriber){ .fn = fn, .arg = arg };
	for (; history && start != end && ev->subscribers[i].fn; start++)
		fn(arg, ev->history[start % EVENTS_HISTORY]);
	return i;
}

void events_unsubscribe(struct events *ev, int id)
{
	if (id >= 0 && id < EVENTS_SUBSCRIBERS)
		ev->subscribers[id].fn = NULL;
}

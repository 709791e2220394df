// SPDX-License-Identifier: BSD-2-Clause
/*
 * The control socket: who may connect, what a request must look like, and the
 * answers.  Nothing here knows what a VM is; the methods are in the folders that they serve.
 */
#include "control/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "control/control_client.h"
#include "core/loop.h"
#include "host/events.h"

#define DESTROY_DEADLINE_MS 500

static void answer(struct control_client *client, const json_t *id, const char *key,
		   json_t *value)
{
	control_client_send(client,
			    json_pack("{s:O, s:o}", "id", id ? id : json_null(), key, value));
}

static void answer_error(struct control_client *client, const json_t *id, int code,
			 const char *message)
{
	const char *name = strerrorname_np(-code);

	answer(client, id, "error",
	       json_pack("{s:s, s:i, s:o}", "code", name ? name : "EIO", "errno", -code,
			 "message", events_text(message)));
}

void control_line_too_long(struct control_client *client)
{
	struct err err = { 0 };

	err_set(&err, -EMSGSIZE, "the request is longer than %d bytes", CONTROL_LINE_MAX);
	answer_error(client, NULL, err.code, err.msg);
	control_client_write(client);
}

static const json_t *request_id(const json_t *request)
{
	const json_t *id = json_object_get(request, "id");

	return json_is_integer(id) || json_is_string(id) ? id : NULL;
}

static int check_request(const json_t *request, struct err *err)
{
	const json_t *params = json_object_get(request, "params");
	const char *key;
	json_t *value;

	if (!json_is_object(request))
		return err_set(err, -EINVAL, "a request must be a JSON object");
	json_object_foreach((json_t *)request, key, value)
		if (strcmp(key, "id") && strcmp(key, "method") && strcmp(key, "params"))
			return err_set(err, -EINVAL, "unknown field '%.64s' in the request", key);
	if (!request_id(request))
		return err_set(err, -EINVAL, "'id' must be an integer or a string");
	if (!json_is_string(json_object_get(request, "method")))
		return err_set(err, -EINVAL, "'method' must be a string");
	if (params && !json_is_object(params))
		return err_set(err, -EINVAL, "'params' must be an object");
	return 0;
}

static int check_params(const struct control_method *method, const json_t *params,
			struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)params, key, value) {
		const char *const *allowed = method->params;

		while (allowed && *allowed && strcmp(*allowed, key))
			allowed++;
		if (!allowed || !*allowed)
			return err_set(err, -EINVAL, "unknown parameter '%.64s' of method '%s'",
				       key, method->name);
	}
	return 0;
}

static void on_event(void *arg, const json_t *event)
{
	struct control_client *client = arg;
	const char *name = json_string_value(json_object_get(event, "event"));

	control_client_event(client, event, !strcmp(name, "stopped"));
	control_client_write(client);
	control_client_settle(client);
}

/* The answer comes first, so that no event of the history is mistaken for it. */
static int call_events(struct control_client *client, const json_t *id, const json_t *params,
		       struct err *err)
{
	const json_t *history = json_object_get(params, "history");
	struct events *events = client->control->events;
	int ret;

	if (history && !json_is_boolean(history))
		return err_set(err, -EINVAL, "parameter 'history' must be true or false");
	if (client->subscription >= 0)
		return err_set(err, -EALREADY,
			       "this connection is subscribed to the events already");
	answer(client, id, "result", json_object());
	ret = events_subscribe(events, json_is_true(history), on_event, client);
	if (ret < 0)
		client->dead = true; /* cannot happen: there is a place for every client */
	else
		client->subscription = ret;
	return 0;
}

static const struct control_method builtin[] = {
	{ .name = "events", .params = (const char *const[]){ "history", NULL } },
	{ .name = "methods" },
	{ .name = NULL },
};

static json_t *list_methods(const struct control *control)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < control->nr_tables; i++)
		for (const struct control_method *m = control->tables[i].methods; m->name; m++) {
			json_t *params = json_array();

			for (const char *const *p = m->params; p && *p; p++)
				json_array_append_new(params, json_string(*p));
			json_array_append_new(
				list, json_pack("{s:s, s:o}", "name", m->name, "params", params));
		}
	return json_pack("{s:o}", "methods", list);
}

/* NULL: no method has that name.  @arg gets the argument of its table. */
static const struct control_method *find_method(const struct control *control, const char *name,
						void **arg)
{
	for (unsigned int i = 0; i < control->nr_tables; i++)
		for (const struct control_method *m = control->tables[i].methods; m->name; m++)
			if (!strcmp(m->name, name)) {
				*arg = control->tables[i].arg;
				return m;
			}
	return NULL;
}

struct control_later *control_defer(struct control_call *call)
{
	struct control_later *later = calloc(1, sizeof(*later));

	if (later) {
		later->client = call->client;
		later->id = json_incref((json_t *)call->id);
		call->client->later = later;
	}
	return later;
}

void control_answer(struct control_later *later, json_t *result, const struct err *err)
{
	struct control_client *client = later->client;

	if (!client) {
		json_decref(result);
	} else {
		client->later = NULL;
		if (err && err->code) {
			answer_error(client, later->id, err->code, err->msg);
			json_decref(result);
		} else {
			answer(client, later->id, "result", result ? result : json_object());
		}
		control_client_resume(client);
	}
	json_decref(later->id);
	free(later);
}

/* A method takes @fd over by setting it to -1. */
static int call_method(struct control_client *client, const struct control_method *method,
		       void *arg, const json_t *id, const json_t *params, int *fd,
		       struct err *err)
{
	struct control *control = client->control;
	struct control_call call = {
		.arg = arg,
		.params = params,
		.fd = *fd,
		.client = client,
		.id = id,
	};
	int ret;

	if (method == &builtin[0])
		return call_events(client, id, params, err);
	if (method == &builtin[1]) {
		answer(client, id, "result", list_methods(control));
		return 0;
	}
	ret = method->fn(&call);
	*fd = call.fd;
	if (ret == CONTROL_LATER)
		return 0;
	if (ret) {
		json_decref(call.result);
		if (!call.err.code)
			err_set(&call.err, ret, "%s: %s", method->name, strerror(-ret));
		*err = call.err;
		return ret;
	}
	answer(client, id, "result", call.result ? call.result : json_object());
	return 0;
}

static int serve_request(struct control_client *client, const json_t *request, int *fd,
			 struct err *err)
{
	const struct control_method *method;
	json_t *none = json_object();
	const json_t *params;
	const char *name;
	void *arg = NULL;
	int ret;

	ret = check_request(request, err);
	if (ret)
		goto out;
	name = json_string_value(json_object_get(request, "method"));
	method = find_method(client->control, name, &arg);
	if (!method) {
		ret = err_set(err, -ENOSYS, "unknown method '%.64s'", name);
		goto out;
	}
	params = json_object_get(request, "params");
	if (!params)
		params = none;
	ret = check_params(method, params, err);
	if (!ret)
		ret = call_method(client, method, arg, request_id(request), params, fd, err);
out:
	json_decref(none);
	return ret;
}

void control_line(struct control_client *client, const char *line, size_t len)
{
	struct err err = { 0 };
	json_error_t json;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &json);
	bool too_many = client->too_many_fds;
	int fd = client->passed_fd;

	client->passed_fd = -1;
	client->too_many_fds = false;
	if (!request)
		err_set(&err, -EINVAL, "malformed JSON: %s", json.text);
	else if (too_many)
		err_set(&err, -EINVAL, "more than one file descriptor came with the request");
	else
		serve_request(client, request, &fd, &err);
	if (fd >= 0)
		close(fd);
	if (err.code)
		answer_error(client, request_id(request), err.code, err.msg);
	json_decref(request);
}

static void on_client(void *arg, uint32_t events)
{
	static const char busy[] = "{\"id\":null,\"error\":{\"code\":\"EBUSY\",\"errno\":16,"
				   "\"message\":\"too many clients\"}}\n";
	struct control *control = arg;
	int fd = unix_accept(&control->listener);

	if (fd < 0)
		return;
	if (control->nr_clients < CONTROL_CLIENTS) {
		control_client_new(control, fd);
		return;
	}
	if (write(fd, busy, sizeof(busy) - 1) < 0)
		log_warn("control socket: a client was refused and could not be sent the reason");
	close(fd);
}

int control_reserve(const char *name, struct control **out, struct err *err)
{
	struct control *control = calloc(1, sizeof(*control));
	int ret;

	if (!control)
		return err_set(err, -ENOMEM, "control socket: out of memory");
	control->listener = (struct unix_listener)UNIX_LISTENER_NONE;
	ret = runtime_claim(&control->name, name, err);
	if (!ret)
		ret = control_runtime_path(control, "sock", control->path, sizeof(control->path),
					   err);
	if (!ret)
		ret = unix_listen(&control->listener, control->path, UNIX_SPARES, err);
	if (ret) {
		control->path[0] = '\0';
		control_destroy(control);
		return ret;
	}
	*out = control;
	return 0;
}

int control_serve(struct control *control, const struct control_server *server, struct err *err)
{
	int ret;

	if (server->nr_tables > CONTROL_MAX_TABLES)
		return err_set(err, -E2BIG, "control socket: too many tables of methods");
	control->loop = server->loop;
	control->events = server->events;
	control->tables[0] = (struct control_table){ builtin, NULL };
	memcpy(control->tables + 1, server->tables, server->nr_tables * sizeof(*server->tables));
	control->nr_tables = 1 + server->nr_tables;
	ret = loop_add(server->loop, control->listener.fd, EPOLLIN, on_client, control,
		       &control->listen_source);
	return ret ? err_set(err, ret, "control socket: %s", strerror(-ret)) : 0;
}

int control_lock_fd(const struct control *control)
{
	return control->name.lock_fd;
}

const char *control_path(const struct control *control)
{
	return control->path;
}

int control_runtime_path(const struct control *control, const char *suffix, char *buf,
			 size_t size, struct err *err)
{
	int ret = runtime_path(&control->name, suffix, buf, size);

	return ret ? err_set(err, ret, "runtime folder %s: the path is too long for a socket",
			     control->name.folder) :
		     0;
}

static unsigned int still_queued(struct control *control, struct pollfd *pfd)
{
	unsigned int nr = 0;

	for (struct control_client *c = control->clients; c; c = c->next) {
		control_client_write(c);
		if (!c->dead && control_client_queued(c))
			pfd[nr++] = (struct pollfd){ .fd = c->fd, .events = POLLOUT };
	}
	return nr;
}

static int ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

static void flush_all(struct control *control)
{
	struct pollfd pfd[CONTROL_CLIENTS];
	struct timespec start;
	unsigned int nr;
	int left = DESTROY_DEADLINE_MS;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (left > 0 && (nr = still_queued(control, pfd))) {
		if (poll(pfd, nr, left) == 0)
			return;
		left = DESTROY_DEADLINE_MS - ms_since(&start);
	}
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	if (control->events)
		events_flush(control->events);
	flush_all(control);
	loop_del(control->listen_source);
	unix_unlisten(&control->listener);
	if (control->path[0])
		unlink(control->path);
	runtime_release(&control->name);
	while (control->clients)
		control_client_free(control->clients);
	free(control);
}

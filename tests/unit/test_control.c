// SPDX-License-Identifier: BSD-2-Clause
/*
 * control.c against a table of methods of the test's own: good and bad
 * requests, garbage, slow readers, events, and destroying it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"
#include "core/loop.h"
#include "host/events.h"

static char folder[64];
static int echoes;

static struct {
	struct loop *loop;
	struct events *events;
	struct control *control;
	pthread_t thread;
} server;

static int method_echo(struct control_call *call)
{
	echoes++;
	call->result = json_deep_copy(call->params);
	return 0;
}

static int method_fail(struct control_call *call)
{
	return -ENOENT;
}

static int method_explain(struct control_call *call)
{
	return err_set(&call->err, -EBUSY, "not \xff now");
}

static int method_big(struct control_call *call)
{
	static char text[32 * 1024];

	memset(text, 'x', sizeof(text) - 1);
	call->result = json_pack("{s:s}", "text", text);
	return 0;
}

static const struct control_method methods[] = {
	{ "echo", (const char *const[]){ "a", "b", NULL }, method_echo },
	{ "fail", NULL, method_fail },
	{ "explain", NULL, method_explain },
	{ "big", NULL, method_big },
	{ .name = NULL },
};

static const struct control_table table = { methods, NULL };

static void *serve(void *arg)
{
	loop_run(server.loop);
	return NULL;
}

static int setup(void **state)
{
	const struct control_server config = { .tables = &table, .nr_tables = 1 };
	struct control_server ours = config;
	struct err err = { 0 };

	echoes = 0;
	assert_int_equal(loop_create(&server.loop), 0);
	assert_int_equal(events_create(server.loop, &server.events), 0);
	assert_int_equal(control_reserve("test", &server.control, &err), 0);
	ours.loop = server.loop;
	ours.events = server.events;
	assert_int_equal(control_serve(server.control, &ours, &err), 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
	return 0;
}

static void stop_loop(void)
{
	loop_quit(server.loop);
	pthread_join(server.thread, NULL);
}

static int teardown(void **state)
{
	if (server.control)
		stop_loop();
	control_destroy(server.control);
	events_destroy(server.events);
	loop_destroy(server.loop);
	memset(&server, 0, sizeof(server));
	return 0;
}

static int client_raw(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = 10 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/test.sock", folder);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -errno;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

/* A line, malloc'ed; NULL at the end of the stream. */
static char *get_line(int fd)
{
	char *line = calloc(1, 128 * 1024);
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, line + len, 1);

		if (n <= 0 || len + 2 == 128 * 1024) {
			free(line);
			return NULL;
		}
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	return line;
}

static json_t *get_json(int fd)
{
	char *line = get_line(fd);
	json_t *json = line ? json_loads(line, 0, NULL) : NULL;

	free(line);
	return json;
}

static int client(void)
{
	int fd = client_raw();
	json_t *greeting;

	assert_true(fd >= 0);
	greeting = get_json(fd);
	assert_int_equal(json_integer_value(json_object_get(greeting, "symkit")), 1);
	assert_string_equal(json_string_value(json_object_get(greeting, "name")), "test");
	assert_true(json_is_string(json_object_get(greeting, "version")));
	json_decref(greeting);
	return fd;
}

static void put(int fd, const char *text)
{
	size_t len = strlen(text);

	if (len)
		assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

static void expect(int fd, const char *request, const char *answer)
{
	char *line;

	put(fd, request);
	line = get_line(fd);
	assert_non_null(line);
	assert_string_equal(line, answer);
	free(line);
}

static void expect_error(int fd, const char *request, const char *code, const char *naming)
{
	json_t *answer, *error;

	put(fd, request);
	answer = get_json(fd);
	error = json_object_get(answer, "error");
	assert_non_null(error);
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	assert_true(json_integer_value(json_object_get(error, "errno")) > 0);
	assert_non_null(strstr(json_string_value(json_object_get(error, "message")), naming));
	json_decref(answer);
}

static void test_requests(void **state)
{
	int fd = client();

	expect(fd, "{\"id\":1,\"method\":\"echo\",\"params\":{\"a\":[1,\"x\"]}}\n",
	       "{\"id\":1,\"result\":{\"a\":[1,\"x\"]}}");
	expect(fd, "{\"id\":\"s\",\"method\":\"echo\"}\r\n", "{\"id\":\"s\",\"result\":{}}");
	expect(fd, "{\"method\":\"fail\",\"id\":-3}\n",
	       "{\"id\":-3,\"error\":{\"code\":\"ENOENT\",\"errno\":2,"
	       "\"message\":\"fail: No such file or directory\"}}");
	expect(fd, "{\"method\":\"explain\",\"id\":4}\n",
	       "{\"id\":4,\"error\":{\"code\":\"EBUSY\",\"errno\":16,"
	       "\"message\":\"not ? now\"}}");
	close(fd);
}

static void test_methods(void **state)
{
	int fd = client();

	expect(fd, "{\"id\":1,\"method\":\"methods\"}\n",
	       "{\"id\":1,\"result\":{\"methods\":["
	       "{\"name\":\"events\",\"params\":[\"history\"]},"
	       "{\"name\":\"methods\",\"params\":[]},"
	       "{\"name\":\"echo\",\"params\":[\"a\",\"b\"]},"
	       "{\"name\":\"fail\",\"params\":[]},"
	       "{\"name\":\"explain\",\"params\":[]},"
	       "{\"name\":\"big\",\"params\":[]}]}}");
	close(fd);
}

/* Each is answered with an error that names it, and the connection continues. */
static void test_bad_requests(void **state)
{
	int fd = client();

	expect_error(fd, "{\"id\":1,\n", "EINVAL", "malformed JSON");
	expect_error(fd, "\n", "EINVAL", "malformed JSON");
	expect_error(fd, "\xff\xfe\n", "EINVAL", "malformed JSON");
	expect_error(fd, "{\"id\":1,\"id\":2,\"method\":\"echo\"}\n", "EINVAL", "duplicate");
	expect_error(fd, "[1]\n", "EINVAL", "object");
	expect_error(fd, "{\"id\":1,\"method\":\"echo\",\"extra\":1}\n", "EINVAL", "'extra'");
	expect_error(fd, "{\"method\":\"echo\"}\n", "EINVAL", "'id'");
	expect_error(fd, "{\"id\":{},\"method\":\"echo\"}\n", "EINVAL", "'id'");
	expect_error(fd, "{\"id\":1}\n", "EINVAL", "'method'");
	expect_error(fd, "{\"id\":1,\"method\":7}\n", "EINVAL", "'method'");
	expect_error(fd, "{\"id\":1,\"method\":\"echo\",\"params\":[]}\n", "EINVAL", "'params'");
	expect_error(fd, "{\"id\":1,\"method\":\"explode\"}\n", "ENOSYS", "'explode'");
	expect_error(fd, "{\"id\":1,\"method\":\"echo\",\"params\":{\"c\":1}}\n", "EINVAL",
		     "'c'");
	expect_error(fd, "{\"id\":1,\"method\":\"methods\",\"params\":{\"c\":1}}\n", "EINVAL",
		     "'c'");
	expect_error(fd, "{\"id\":1,\"method\":\"events\",\"params\":{\"history\":1}}\n",
		     "EINVAL", "'history'");
	assert_int_equal(echoes, 0);
	expect(fd, "{\"id\":2,\"method\":\"echo\"}\n", "{\"id\":2,\"result\":{}}");
	close(fd);
}

static void test_pieces_and_pipelines(void **state)
{
	int fd = client();

	put(fd, "{\"id\":1,\"meth");
	usleep(20000);
	expect(fd, "od\":\"echo\"}\n{\"id\":2,\"method\":\"echo\"}\n{\"id\":3,",
	       "{\"id\":1,\"result\":{}}");
	expect(fd, "\"method\":\"echo\"}\n", "{\"id\":2,\"result\":{}}");
	expect(fd, "", "{\"id\":3,\"result\":{}}");
	put(fd, "{\"id\":4,\"method\":\"echo\"}"); /* no newline at the end */
	shutdown(fd, SHUT_WR);
	expect(fd, "", "{\"id\":4,\"result\":{}}");
	assert_null(get_line(fd));
	close(fd);
}

static void test_long_line(void **state)
{
	char *line = malloc(CONTROL_LINE_MAX + 1);
	int fd = client(), n;

	/* The longest one that is allowed. */
	n = snprintf(line, CONTROL_LINE_MAX, "{\"id\":1,\"method\":\"fail\"");
	memset(line + n, ' ', CONTROL_LINE_MAX - n);
	line[CONTROL_LINE_MAX - 2] = '}';
	line[CONTROL_LINE_MAX - 1] = '\n';
	line[CONTROL_LINE_MAX] = '\0';
	expect_error(fd, line, "ENOENT", "fail");
	line[CONTROL_LINE_MAX - 2] = ' ';
	line[CONTROL_LINE_MAX - 1] = '}';
	expect_error(fd, line, "EMSGSIZE", "65536");
	assert_null(get_line(fd));
	close(fd);
	free(line);
}

/* A fixed generator, so that a failure repeats. */
static uint32_t next_random(uint32_t *seed)
{
	return *seed = *seed * 1664525 + 1013904223;
}

static void test_junk(void **state)
{
	static const char *const scraps[] = {
		"{\"id\":1,\"method\":\"echo\"}\n",
		"\n",
		"{",
		"\"",
		"{\"id\":",
		"\"params\":{\"a\":",
		"[[[[",
		"\\u0000",
		"\xf0\x9f",
		"1e999999",
	};
	uint32_t seed = 1;
	char buf[512];

	for (int round = 0; round < 60; round++) {
		int fd = client(), good;

		for (int i = 0; i < 40; i++) {
			size_t len = next_random(&seed) >> 23;

			if (next_random(&seed) & 0x10000) {
				const char *s = scraps[(next_random(&seed) >> 16) % 10];

				len = strlen(s);
				memcpy(buf, s, len);
			} else {
				for (size_t j = 0; j < len; j++)
					buf[j] = next_random(&seed) >> 24;
			}
			if (len && send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				break;
		}
		close(fd); /* often with answers unread */
		good = client();
		expect(good, "{\"id\":2,\"method\":\"echo\"}\n", "{\"id\":2,\"result\":{}}");
		close(good);
	}
}

/* A client that reads no answers is not read from: the server's memory is bounded. */
static void test_slow_reader(void **state)
{
	static const char request[] = "{\"id\":1,\"method\":\"big\"}\n";
	const ssize_t len = sizeof(request) - 1;
	int slow = client(), other = client(), sent = 0, got = 0;
	struct pollfd pfd = { .fd = slow, .events = POLLOUT };
	char *line;

	while (sent < 100000 && poll(&pfd, 1, 200) > 0) {
		if (send(slow, request, len, MSG_DONTWAIT) != len)
			break;
		sent++;
	}
	assert_true(sent < 100000);
	expect(other, "{\"id\":2,\"method\":\"echo\"}\n", "{\"id\":2,\"result\":{}}");
	shutdown(slow, SHUT_WR);
	while ((line = get_line(slow))) {
		got++;
		free(line);
	}
	assert_true(got >= sent);
	close(slow);
	close(other);
}

static void test_events(void **state)
{
	int fd = client();
	json_t *event, *n;

	events_emit(server.events, "early", NULL);
	expect(fd, "{\"id\":1,\"method\":\"echo\"}\n", "{\"id\":1,\"result\":{}}");
	expect(fd, "{\"id\":2,\"method\":\"events\",\"params\":{\"history\":true}}\n",
	       "{\"id\":2,\"result\":{}}");
	event = get_json(fd);
	assert_string_equal(json_string_value(json_object_get(event, "event")), "early");
	json_decref(event);
	expect_error(fd, "{\"id\":3,\"method\":\"events\"}\n", "EALREADY", "already");
	events_emit(server.events, "late", json_pack("{s:i}", "n", 5));
	event = get_json(fd);
	assert_string_equal(json_string_value(json_object_get(event, "event")), "late");
	n = json_object_get(json_object_get(event, "data"), "n");
	assert_int_equal(json_integer_value(n), 5);
	json_decref(event);
	close(fd);
	expect((fd = client()), "{\"id\":1,\"method\":\"echo\"}\n", "{\"id\":1,\"result\":{}}");
	close(fd);
}

/* Events that a client does not read must not accumulate, nor delay other clients. */
/* The rest of a line's event: its name, and what it counts. */
static json_int_t count_of(int fd, char *name, size_t size)
{
	json_t *event = get_json(fd);
	json_int_t count;

	assert_non_null(event);
	snprintf(name, size, "%s", json_string_value(json_object_get(event, "event")));
	count = json_integer_value(json_object_get(json_object_get(event, "data"), "count"));
	json_decref(event);
	return count;
}

/* A client that lags loses events, gets their number, the later ones, and always the last. */
static void test_slow_subscriber(void **state)
{
	static char text[8192];
	int slow = client(), good = client();
	json_int_t lost = 0, seen = 0;
	char name[32];

	memset(text, 'y', sizeof(text) - 1);
	expect(slow, "{\"id\":1,\"method\":\"events\"}\n", "{\"id\":1,\"result\":{}}");
	for (int i = 0; i < 400; i++) {
		events_emit(server.events, "flood", json_pack("{s:s}", "text", text));
		if (i % 50 == 49)
			expect(good, "{\"id\":2,\"method\":\"echo\"}\n",
			       "{\"id\":2,\"result\":{}}");
	}
	events_emit(server.events, "stopped", NULL);
	expect(good, "{\"id\":2,\"method\":\"echo\"}\n", "{\"id\":2,\"result\":{}}");
	do {
		json_int_t count = count_of(slow, name, sizeof(name));

		seen += !strcmp(name, "flood");
		if (!strcmp(name, "lost"))
			lost += count;
	} while (strcmp(name, "stopped"));
	assert_true(seen > 30 && seen < 400);
	while (seen + lost < 400) { /* the record comes when there is room */
		lost += count_of(slow, name, sizeof(name));
		assert_string_equal(name, "lost");
	}
	assert_int_equal(seen + lost, 400);
	events_emit(server.events, "later", NULL);
	count_of(slow, name, sizeof(name));
	assert_string_equal(name, "later");
	close(slow);
	close(good);
}

static void test_stopped_is_seen(void **state)
{
	int fd = client(), late;
	json_t *event;

	expect(fd, "{\"id\":1,\"method\":\"events\"}\n", "{\"id\":1,\"result\":{}}");
	stop_loop();
	late = client_raw(); /* connects, but never gets the greeting */
	events_emit(server.events, "stopped", NULL);
	control_destroy(server.control);
	server.control = NULL;
	event = get_json(fd);
	assert_string_equal(json_string_value(json_object_get(event, "event")), "stopped");
	json_decref(event);
	assert_null(get_line(fd));
	assert_null(get_line(late));
	close(late);
	close(fd);
	assert_true(client_raw() < 0);
}

static void test_too_many(void **state)
{
	json_t *line;
	int fds[33];

	for (int i = 0; i < 32; i++)
		fds[i] = client();
	fds[32] = client_raw();
	line = get_json(fds[32]);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(line, "error"), "code")),
		"EBUSY");
	json_decref(line);
	assert_null(get_line(fds[32]));
	for (int i = 0; i < 33; i++)
		close(fds[i]);
	for (int i = 0; i < 100; i++) { /* until the server has seen them go */
		int fd = client_raw();

		line = get_json(fd);
		close(fd);
		if (json_object_get(line, "symkit"))
			break;
		json_decref(line);
		line = NULL;
		usleep(10000);
	}
	assert_non_null(line);
	json_decref(line);
}

int main(void)
{
#define SERVED(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		SERVED(test_requests),	      SERVED(test_methods),
		SERVED(test_bad_requests),    SERVED(test_pieces_and_pipelines),
		SERVED(test_long_line),	      SERVED(test_junk),
		SERVED(test_slow_reader),     SERVED(test_events),
		SERVED(test_slow_subscriber), SERVED(test_stopped_is_seen),
		SERVED(test_too_many),
	};
	char template[] = "/tmp/symkit-test-XXXXXX";
	int ret;

	if (!mkdtemp(template))
		return 1;
	snprintf(folder, sizeof(folder), "%s/run", template);
	setenv("SYMKIT_RUNTIME", folder, 1);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	rmdir(template);
	return ret;
}

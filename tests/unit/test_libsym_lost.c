// SPDX-License-Identifier: BSD-2-Clause
/*
 * libsym and servers whose connection ends, or whose events never end: its report of the
 * VM's state must be true, and deadlines must hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <symkit/sym.h>

#define INFO  "{\"name\":\"vm\",\"uuid\":\"%s\",\"state\":\"running\"}"
#define EVENT "{\"event\":\"flood\",\"time\":1.0,\"data\":{}}\n"

static char folder[64];

/* A VMM that sends a greeting, answers "info", "events" and, as set, "stop" and "kill". */
static struct {
	int listener;
	int lock_fd; /* holds the VM's name; -1: the name is free */
	pthread_t thread;
	const char *_Atomic stop; /* the method that is not answered: the connection ends there */
	const char *_Atomic stopped; /* sent before it ends; NULL: nothing */
	const char *uuid;
	atomic_bool frees_name; /* there */
	atomic_bool floods; /* there, in place of ending */
	atomic_uint clients;
	pthread_t client[16];
} server;

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return; /* the client has disconnected */
}

static void end_of(int fd)
{
	while (server.floods)
		if (send(fd, EVENT, strlen(EVENT), MSG_NOSIGNAL) < 0)
			return;
	if (server.stopped)
		say(fd, server.stopped);
	if (server.frees_name) {
		close(server.lock_fd);
		server.lock_fd = -1;
	}
}

/* One request; false at the end. */
static bool answer(int fd)
{
	char request[512], text[512], result[128] = "{}";
	ssize_t n = recv(fd, request, sizeof(request) - 1, 0);
	json_t *json = n > 0 ? json_loadb(request, n, 0, NULL) : NULL;
	const char *method = json_string_value(json_object_get(json, "method"));
	bool go_on = false;

	if (method && !strcmp(method, server.stop)) {
		end_of(fd);
	} else if (method) {
		if (!strcmp(method, "info"))
			snprintf(result, sizeof(result), INFO, server.uuid);
		snprintf(text, sizeof(text), "{\"id\":%d,\"result\":%s}\n",
			 (int)json_integer_value(json_object_get(json, "id")), result);
		say(fd, text);
		go_on = true;
	}
	json_decref(json);
	return go_on;
}

static void *serve_client(void *arg)
{
	int fd = *(int *)arg;

	free(arg);
	say(fd, "{\"symkit\":1,\"name\":\"vm\"}\n");
	while (answer(fd))
		;
	close(fd);
	return NULL;
}

static void *serve(void *arg)
{
	int fd;

	while ((fd = accept(server.listener, NULL, NULL)) >= 0) {
		int *own = malloc(sizeof(*own));

		*own = fd;
		if (server.clients == 16 ||
		    pthread_create(&server.client[server.clients], NULL, serve_client, own))
			break;
		server.clients++;
	}
	return NULL;
}

static int setup(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[128];

	memset(&server, 0, sizeof(server));
	server.stop = "stop";
	server.uuid = "0-1";
	snprintf(path, sizeof(path), "%s/vm.lock", folder);
	server.lock_fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(server.lock_fd >= 0);
	assert_int_equal(flock(server.lock_fd, LOCK_EX), 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/vm.sock", folder);
	unlink(addr.sun_path);
	server.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(server.listener, 8), 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	while (server.clients)
		pthread_join(server.client[--server.clients], NULL);
	close(server.listener);
	if (server.lock_fd >= 0)
		close(server.lock_fd);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static int stop_it(bool force, char **event)
{
	struct sym_stop_opts opts = { .size = sizeof(opts), .timeout_ms = 500, .force = force };
	struct sym_conn *conn;
	int ret;

	assert_int_equal(sym_open("vm", NULL, &conn), 0);
	ret = sym_vm_stop(conn, &opts, event);
	sym_close(conn);
	return ret;
}

static void test_lost_is_not_stopped(void **state)
{
	char *event;

	assert_int_equal(stop_it(false, &event), -ECONNABORTED);
	assert_null(event);
}

static void test_gone_without_a_word(void **state)
{
	char *event;

	server.frees_name = true;
	assert_int_equal(stop_it(false, &event), 0);
	assert_null(event);
}

static void test_stopped_event_is_enough(void **state)
{
	char *event;

	server.stopped = "{\"event\":\"stopped\",\"time\":1.0,\"data\":{}}\n";
	assert_int_equal(stop_it(false, &event), 0);
	assert_non_null(event);
	free(event);
}

/* The connection is lost, so another one carries the "kill". */
static void test_force_after_lost(void **state)
{
	char *event;

	assert_int_equal(stop_it(true, &event), -ETIMEDOUT);
	assert_true(server.clients >= 3);
}

static void test_events_of_the_lost(void **state)
{
	struct sym_conn *conn;
	char *text;

	server.stop = "info";
	assert_int_equal(sym_open("vm", NULL, &conn), 0);
	assert_int_equal(sym_events_subscribe(conn, NULL), 0);
	assert_int_equal(sym_call_method(conn, "info", NULL, NULL), -EPIPE);
	assert_int_equal(sym_events_next(conn, 100, &text), -EPIPE);
	assert_int_equal(sym_vm_gone(conn), -ECONNABORTED);
	assert_non_null(strstr(sym_conn_error(conn), "is running"));
	close(server.lock_fd);
	server.lock_fd = -1;
	assert_int_equal(sym_vm_gone(conn), 0);
	sym_close(conn);
}

static void test_deadline_in_a_flood(void **state)
{
	struct sym_open_opts opts = { .size = sizeof(opts), .timeout_ms = 300 };
	struct sym_conn *conn;
	int64_t begin;
	char *event;

	server.floods = true;
	begin = now_ms();
	assert_int_equal(stop_it(false, &event), -ETIMEDOUT);
	server.stop = "info";
	assert_int_equal(sym_open("vm", &opts, &conn), 0);
	assert_int_equal(sym_call_method(conn, "info", NULL, NULL), -ETIMEDOUT);
	assert_true(now_ms() - begin < 15000);
	sym_close(conn);
}

int main(void)
{
#define SERVED(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		SERVED(test_lost_is_not_stopped),     SERVED(test_gone_without_a_word),
		SERVED(test_stopped_event_is_enough), SERVED(test_force_after_lost),
		SERVED(test_events_of_the_lost),      SERVED(test_deadline_in_a_flood),
	};
	char template[] = "/tmp/symkit-test-XXXXXX", path[128];
	int ret;

	if (!mkdtemp(template))
		return 1;
	snprintf(folder, sizeof(folder), "%s", template);
	setenv("SYMKIT_RUNTIME", folder, 1);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(path, sizeof(path), "%s/vm.lock", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/vm.sock", folder);
	unlink(path);
	rmdir(folder);
	return ret;
}

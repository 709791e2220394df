// SPDX-License-Identifier: BSD-2-Clause
/*
 * libsym against the VMM's own control socket with the methods of a fake VM, and against
 * servers that send wrong answers, are slow, or disconnect.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "control/control.h"
#include "core/loop.h"
#include "host/console.h"
#include "host/events.h"
#include <symkit/sym.h>

static char folder[64];

static struct {
	struct loop *loop;
	struct events *events;
	struct control *control;
	struct console *console;
	pthread_t thread;
	bool obedient; /* shuts down when asked to */
	bool paused;
	int stops;
	const char *reason;
} vm;

static int method_info(struct control_call *call)
{
	call->result = json_pack(
		"{s:s, s:s, s:s, s:i, s:i, s:I, s:s, s:n, s:s, s:[{}], s:[], s:i, s:f}", "name",
		"vm", "uuid", "0-1", "state", vm.paused ? "paused" : "running", "pid", 42, "cpus",
		2, "memory", (json_int_t)6 << 30, "kernel", "/boot/k", "initrd", "cmdline",
		"quiet", "disks", "nets", "boots", 3, "uptime_s", 1.5);
	return 0;
}

static int method_stop(struct control_call *call)
{
	vm.stops++;
	vm.reason = "poweroff";
	if (vm.obedient)
		loop_quit(vm.loop);
	return 0;
}

static int method_kill(struct control_call *call)
{
	vm.reason = "forced";
	loop_quit(vm.loop);
	return 0;
}

static int method_pause(struct control_call *call)
{
	if (vm.paused)
		return err_set(&call->err, -EALREADY, "the VM is paused already");
	vm.paused = true;
	return 0;
}

static int method_resume(struct control_call *call)
{
	vm.paused = false;
	return 0;
}

static int method_metrics(struct control_call *call)
{
	const char *format = json_string_value(json_object_get(call->params, "format"));

	if (!strcmp(format, "json"))
		call->result = json_pack("{s:[{s:i}]}", "metrics", "value", 1);
	else
		call->result = json_pack("{s:s}", "text", "metric 1\n");
	return 0;
}

static const char *const format_param[] = { "format", NULL };
static const struct control_method methods[] = {
	{ "info", NULL, method_info },
	{ "stop", NULL, method_stop },
	{ "kill", NULL, method_kill },
	{ "pause", NULL, method_pause },
	{ "resume", NULL, method_resume },
	{ "metrics", format_param, method_metrics },
	{ .name = NULL },
};

static const struct control_table table = { methods, NULL };

static void on_quit(void *arg)
{
}

/* As vm_run() ends: "stopped" first, the name and the connections last. */
static void *live(void *arg)
{
	loop_run(vm.loop);
	events_emit(vm.events, "stopped", json_pack("{s:s}", "reason", vm.reason));
	console_destroy(vm.console);
	control_destroy(vm.control);
	events_destroy(vm.events);
	loop_destroy(vm.loop);
	return NULL;
}

static int start(void **state)
{
	struct control_server server = { .tables = &table, .nr_tables = 1 };
	struct err err = { 0 };
	char path[128];

	memset(&vm, 0, sizeof(vm));
	vm.reason = "test";
	assert_int_equal(loop_create(&vm.loop), 0);
	assert_int_equal(events_create(vm.loop, &vm.events), 0);
	assert_int_equal(control_reserve("vm", &vm.control, &err), 0);
	assert_int_equal(control_runtime_path(vm.control, "console", path, sizeof(path), &err),
			 0);
	assert_int_equal(
		console_create(vm.loop, "socket", 0, path, on_quit, NULL, &vm.console, &err), 0);
	server.loop = vm.loop;
	server.events = vm.events;
	assert_int_equal(control_serve(vm.control, &server, &err), 0);
	assert_int_equal(pthread_create(&vm.thread, NULL, live, NULL), 0);
	return 0;
}

/* For VMs that the test itself did not stop. */
static int stop(void **state)
{
	loop_quit(vm.loop);
	pthread_join(vm.thread, NULL);
	return 0;
}

static int join(void **state)
{
	pthread_join(vm.thread, NULL);
	return 0;
}

static struct sym_conn *conn_open(void)
{
	struct sym_conn *conn = NULL;

	assert_int_equal(sym_open("vm", NULL, &conn), 0);
	assert_non_null(conn);
	assert_string_equal(sym_conn_error(conn), "");
	return conn;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static void test_calls(void **state)
{
	struct sym_conn *conn = conn_open();
	struct sym_info *info;
	char *text = NULL;

	assert_int_equal(sym_vm_info(conn, &info), 0);
	assert_int_equal(info->size, sizeof(*info));
	assert_string_equal(info->name, "vm");
	assert_string_equal(info->state, "running");
	assert_int_equal(info->pid, 42);
	assert_int_equal(info->cpus, 2);
	assert_true(info->memory == 6ull << 30);
	assert_string_equal(info->kernel, "/boot/k");
	assert_null(info->initrd);
	assert_int_equal(info->nr_disks, 1);
	assert_int_equal(info->nr_nets, 0);
	assert_int_equal(info->boots, 3);
	assert_true(info->uptime_s == 1.5);
	sym_info_free(info);

	assert_int_equal(sym_vm_pause(conn), 0);
	assert_int_equal(sym_vm_pause(conn), -EALREADY);
	assert_string_equal(sym_conn_error(conn), "the VM is paused already");
	assert_int_equal(sym_vm_resume(conn), 0);
	assert_string_equal(sym_conn_error(conn), "");

	assert_int_equal(sym_metrics(conn, SYM_METRICS_PROMETHEUS, &text), 0);
	assert_string_equal(text, "metric 1\n");
	free(text);
	assert_int_equal(sym_metrics(conn, SYM_METRICS_JSON, &text), 0);
	assert_string_equal(text, "[{\"value\":1}]");
	free(text);
	sym_close(conn);
}

static void test_raw_call(void **state)
{
	struct sym_conn *conn = conn_open();
	char *text = NULL;

	assert_int_equal(sym_call_method(conn, "metrics", "{\"format\":\"json\"}", &text), 0);
	assert_string_equal(text, "{\"metrics\":[{\"value\":1}]}");
	free(text);
	assert_int_equal(sym_call_method(conn, "pause", NULL, NULL), 0);
	assert_int_equal(sym_call_method(conn, "fly", NULL, NULL), -ENOSYS);
	assert_non_null(strstr(sym_conn_error(conn), "'fly'"));
	assert_int_equal(sym_call_method(conn, "info", "{\"x\":1}", NULL), -EINVAL);
	assert_non_null(strstr(sym_conn_error(conn), "'x'"));
	assert_int_equal(sym_call_method(conn, "info", "[", NULL), -EINVAL);
	assert_int_equal(sym_call_method(conn, "info", "[]", NULL), -EINVAL);
	assert_int_equal(sym_call_method(conn, "resume", NULL, NULL), 0);
	sym_close(conn);
}

static void test_list(void **state)
{
	char **names, path[96];
	size_t nr;
	FILE *f;

	snprintf(path, sizeof(path), "%s/dead.sock", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(sym_list(NULL, &names, &nr), 0);
	unlink(path);
	assert_int_equal(nr, 1);
	assert_string_equal(names[0], "vm");
	assert_null(names[1]);
	sym_list_free(names);

	struct sym_open_opts opts = { .size = sizeof(opts), .runtime = "/nowhere" };

	assert_int_equal(sym_list(&opts, &names, NULL), 0);
	assert_null(names[0]);
	sym_list_free(names);
	sym_list_free(NULL);
}

static void test_open_errors(void **state)
{
	struct {
		struct sym_open_opts opts;
		char later[16];
	} later = { .opts.size = sizeof(later) };
	struct sym_conn *conn;

	assert_int_equal(sym_open("nobody", NULL, &conn), -ENOENT);
	assert_non_null(strstr(sym_conn_error(NULL), "'nobody'"));
	assert_int_equal(sym_open("../vm", NULL, &conn), -EINVAL);
	assert_int_equal(sym_open("", NULL, &conn), -EINVAL);
	assert_int_equal(sym_open("vm", &later.opts, &conn), 0); /* a longer struct of zeroes */
	sym_close(conn);
	later.later[3] = 1;
	assert_int_equal(sym_open("vm", &later.opts, &conn), -EINVAL);
	later.opts.size = 0;
	assert_int_equal(sym_open("vm", &later.opts, &conn), -EINVAL);
	later.opts.size = sizeof(size_t); /* an older one */
	assert_int_equal(sym_open("vm", &later.opts, &conn), 0);
	sym_close(conn);
	sym_close(NULL);
}

static void test_events(void **state)
{
	struct sym_events_opts opts = { .size = sizeof(opts), .history = true };
	struct sym_conn *conn = conn_open();
	struct pollfd pfd = { .fd = sym_conn_fd(conn), .events = POLLIN };
	char *text;

	assert_int_equal(sym_events_next(conn, 0, &text), -ENODATA);
	events_emit(vm.events, "one", NULL);
	assert_int_equal(sym_vm_resume(conn), 0); /* by now it has been delivered */
	usleep(20000);
	assert_int_equal(sym_events_subscribe(conn, &opts), 0);
	assert_int_equal(sym_events_next(conn, 5000, &text), 0);
	assert_non_null(strstr(text, "\"one\""));
	free(text);
	assert_int_equal(sym_events_next(conn, 10, &text), -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		events_emit(vm.events, "two", json_pack("{s:i}", "i", i));
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	usleep(20000);
	assert_int_equal(sym_vm_resume(conn), 0); /* they come before its answer, and stay */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sym_events_next(conn, 0, &text), 0);
		free(text);
	}
	assert_int_equal(sym_events_next(conn, 0, &text), -ETIMEDOUT);
	sym_close(conn);
}

static void test_stop(void **state)
{
	struct sym_conn *conn = conn_open();
	char *event;

	vm.obedient = true;
	assert_int_equal(sym_vm_stop(conn, NULL, &event), 0);
	assert_non_null(strstr(event, "\"poweroff\""));
	free(event);
	assert_int_equal(vm.stops, 1);
	/* The name is free as soon as the call has returned. */
	struct control *again;
	struct err err = { 0 };

	assert_int_equal(control_reserve("vm", &again, &err), 0);
	control_destroy(again);
	assert_int_equal(sym_vm_resume(conn), -EPIPE);
	assert_non_null(strstr(sym_conn_error(conn), "has ended"));
	sym_close(conn);
}

static void test_stop_too_slow(void **state)
{
	struct sym_stop_opts opts = { .size = sizeof(opts), .timeout_ms = 100 };
	struct sym_conn *conn = conn_open();
	int64_t begin = now_ms();
	char *event;

	assert_int_equal(sym_vm_stop(conn, &opts, &event), -ETIMEDOUT);
	assert_null(event);
	assert_true(now_ms() - begin >= 100 && now_ms() - begin < 5000);
	assert_non_null(strstr(sym_conn_error(conn), "0.1 s"));
	opts.force = true;
	assert_int_equal(sym_vm_stop(conn, &opts, &event), 1);
	assert_non_null(strstr(event, "\"forced\""));
	free(event);
	assert_int_equal(vm.stops, 2);
	sym_close(conn);
}

static void test_kill(void **state)
{
	struct sym_conn *conn = conn_open();

	assert_int_equal(sym_vm_kill(conn, NULL), 0);
	assert_int_equal(vm.stops, 0);
	assert_true(sym_vm_kill(conn, NULL) < 0);
	sym_close(conn);
}

static void test_console(void **state)
{
	char buf[16] = "";
	int fd;

	console_write(vm.console, (const uint8_t *)"login: ", 7);
	fd = sym_console_open("vm", NULL);
	assert_true(fd >= 0);
	shutdown(fd, SHUT_WR);
	assert_int_equal(recv(fd, buf, 7, MSG_WAITALL), 7);
	assert_string_equal(buf, "login: ");
	assert_int_equal(read(fd, buf, sizeof(buf)), 0);
	close(fd);
	assert_int_equal(sym_console_open("nobody", NULL), -ENOENT);
}

/* A server of one client: sends @greeting, waits for a line, sends @answer, disconnects. */
struct liar {
	const char *greeting;
	const char *answer;
	bool dawdle; /* does not disconnect */
	int listener;
};

static void *lie(void *arg)
{
	struct liar *liar = arg;
	char buf[256];
	int fd = accept(liar->listener, NULL, NULL);

	if (send(fd, liar->greeting, strlen(liar->greeting), MSG_NOSIGNAL) >= 0 && liar->answer &&
	    recv(fd, buf, sizeof(buf), 0) > 0)
		send(fd, liar->answer, strlen(liar->answer), MSG_NOSIGNAL);
	if (liar->dawdle)
		while (recv(fd, buf, sizeof(buf), 0) > 0)
			;
	close(fd);
	return NULL;
}

static int meet(struct liar *liar, pthread_t *thread, struct sym_conn **conn)
{
	struct sym_open_opts opts = { .size = sizeof(opts), .timeout_ms = 200 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int ret;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/liar.sock", folder);
	unlink(addr.sun_path);
	liar->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(liar->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(liar->listener, 1), 0);
	assert_int_equal(pthread_create(thread, NULL, lie, liar), 0);
	ret = sym_open("liar", &opts, conn);
	unlink(addr.sun_path);
	return ret;
}

static int lied_greeting(const char *greeting, bool dawdle)
{
	struct liar liar = { .greeting = greeting, .dawdle = dawdle };
	struct sym_conn *conn;
	pthread_t thread;
	int ret = meet(&liar, &thread, &conn);

	pthread_join(thread, NULL);
	close(liar.listener);
	return ret;
}

static int lied_answer(const char *answer, bool dawdle)
{
	struct liar liar = { "{\"symkit\":1}\n", answer, dawdle, -1 };
	struct sym_conn *conn;
	pthread_t thread;
	char *text;
	int ret;

	assert_int_equal(meet(&liar, &thread, &conn), 0);
	ret = sym_call_method(conn, "info", NULL, &text);
	if (ret)
		assert_true(*sym_conn_error(conn));
	else
		free(text);
	sym_close(conn);
	pthread_join(thread, NULL);
	close(liar.listener);
	return ret;
}

static void test_bad_greetings(void **state)
{
	assert_int_equal(lied_greeting("", true), -ETIMEDOUT);
	assert_int_equal(lied_greeting("", false), -EPIPE);
	assert_int_equal(lied_greeting("junk\n", true), -EPROTO);
	assert_int_equal(lied_greeting("[1]\n", true), -EPROTO);
	assert_int_equal(lied_greeting("{}\n", true), -EPROTO);
	assert_int_equal(lied_greeting("{\"symkit\":2}\n", true), -EPROTO);
	assert_non_null(strstr(sym_conn_error(NULL), "version 2"));
	assert_int_equal(
		lied_greeting("{\"id\":null,\"error\":{\"errno\":16,\"message\":\"too many\"}}\n",
			      true),
		-EBUSY);
	assert_string_equal(sym_conn_error(NULL), "too many");
}

static void test_bad_answers(void **state)
{
	char *endless = malloc(5 << 20);

	assert_int_equal(lied_answer("{\"id\":1,\"result\":{}}\n", true), 0);
	assert_int_equal(lied_answer("{\"event\":\"x\"}\n{\"id\":1,\"result\":{}}\n", true), 0);
	assert_int_equal(lied_answer("{\"id\":9,\"result\":{}}\n", true), -ETIMEDOUT);
	assert_int_equal(lied_answer("{\"id\":1}\n", true), -EPROTO);
	assert_int_equal(lied_answer("junk\n", true), -EPROTO);
	assert_int_equal(lied_answer("{\"id\":1,\"result\":{}}", true), -ETIMEDOUT);
	assert_int_equal(lied_answer("{\"id\":1,\"result\":{}}", false), -EPIPE);
	assert_int_equal(lied_answer("{\"id\":1,\"error\":{}}\n", true), -EIO);
	assert_int_equal(lied_answer("{\"id\":1,\"error\":{\"errno\":-5}}\n", true), -EIO);
	assert_int_equal(lied_answer("{\"id\":1,\"error\":{\"errno\":99999999999}}\n", true),
			 -EIO);
	assert_int_equal(lied_answer("{\"id\":null,\"error\":{\"errno\":90}}\n", true),
			 -EMSGSIZE);
	memset(endless, ' ', 5 << 20);
	endless[(5 << 20) - 1] = '\0';
	assert_int_equal(lied_answer(endless, false), -EPROTO);
	free(endless);
}

int main(void)
{
#define ALIVE(fn)   cmocka_unit_test_setup_teardown(fn, start, stop)
#define STOPPED(fn) cmocka_unit_test_setup_teardown(fn, start, join)
	const struct CMUnitTest tests[] = {
		ALIVE(test_calls),
		ALIVE(test_raw_call),
		ALIVE(test_list),
		ALIVE(test_open_errors),
		ALIVE(test_events),
		STOPPED(test_stop),
		STOPPED(test_stop_too_slow),
		STOPPED(test_kill),
		ALIVE(test_console),
		cmocka_unit_test(test_bad_greetings),
		cmocka_unit_test(test_bad_answers),
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

// SPDX-License-Identifier: BSD-2-Clause
/*
 * parse.c: the values of settings, good ones and bad ones.  A bad one is refused as a
 * whole, with a message that names the option.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "core/layout.h"
#include "core/parse.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A refusal: -EINVAL, with a message that names the option. */
static void refused(int ret, const struct err *err, const char *value)
{
	if (ret != -EINVAL)
		fail_msg("\"%s\" gives %d", value, ret);
	assert_int_equal(err->code, -EINVAL);
	if (strncmp(err->msg, "--opt", 5))
		fail_msg("\"%s\" gives \"%s\"", value, err->msg);
}

/* Sizes */

static void test_size(void **state)
{
	static const struct {
		const char *s;
		uint64_t size;
	} good[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "4096", 4096 },
		{ "1K", KiB },
		{ "1k", KiB },
		{ "512M", 512 * MiB },
		{ "512m", 512 * MiB },
		{ "4G", 4 * GiB },
		{ "2T", 2048 * GiB },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", 16777215ull << 40 },
	};

	for (unsigned int i = 0; i < COUNT(good); i++) {
		struct err err = { 0 };
		uint64_t size = 42;

		assert_int_equal(parse_size(good[i].s, "--opt", &size, &err), 0);
		assert_int_equal(size, good[i].size);
	}
}

static void test_bad_size(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"M",
		"x",
		"1X",
		"1MB",
		"1 M",
		"1M ",
		"1 ",
		" 1",
		"-1",
		" -1",
		"+1",
		"0x10",
		"1.5G",
		"1,5G",
		"1K1",
		"1KK",
		"18446744073709551616",
		"16777216T",
		"99999999999999999999G",
	};

	for (unsigned int i = 0; i < COUNT(bad); i++) {
		struct err err = { 0 };
		uint64_t size = 42;

		refused(parse_size(bad[i], "--opt", &size, &err), &err, bad[i]);
		assert_int_equal(size, 42);
	}
}

/* Disks */

static void test_disk(void **state)
{
	struct disk_config d = { 0 };
	struct err err = { 0 };

	assert_int_equal(parse_disk("dir/a b.img", "--opt", &d, &err), 0);
	assert_string_equal(d.path, "dir/a b.img");
	assert_false(d.readonly);
	assert_false(d.raw);
	assert_string_equal(d.serial, "");
	free(d.path);
}

static void test_disk_with_everything(void **state)
{
	struct disk_config d = { 0 };
	struct err err = { 0 };

	assert_int_equal(
		parse_disk("a.img,serial=01234567890123456789,ro,format=raw", "--opt", &d, &err),
		0);
	assert_string_equal(d.path, "a.img");
	assert_true(d.readonly);
	assert_true(d.raw);
	assert_string_equal(d.serial, "01234567890123456789");
	free(d.path);
}

static void test_bad_disk(void **state)
{
	static const char *const bad[] = {
		"",
		",ro",
		"a,",
		"a,rw",
		"a,ro=on",
		"a,format",
		"a,format=qcow2",
		"a,serial",
		"a,serial=012345678901234567890",
		"a,,ro",
		"a,RO",
	};

	for (unsigned int i = 0; i < COUNT(bad); i++) {
		struct disk_config d = { 0 };
		struct err err = { 0 };

		refused(parse_disk(bad[i], "--opt", &d, &err), &err, bad[i]);
		free(d.path);
	}
}

/* Network cards */

static struct net_config net_good(const char *s)
{
	struct net_config n = { .fd = -1 };
	struct err err = { 0 };

	if (parse_net(s, "--opt", &n, &err))
		fail_msg("%s", err.msg);
	return n;
}

static void test_net_user(void **state)
{
	struct net_config n = net_good("user");

	assert_int_equal(n.kind, NET_USER);
	assert_int_equal(n.nr_fwd, 0);
	assert_memory_equal(n.mac, "\0\0\0\0\0\0", 6);
}

static void test_net_tap(void **state)
{
	struct net_config n = net_good("tap=tap0");

	assert_int_equal(n.kind, NET_TAP);
	assert_string_equal(n.ifname, "tap0");
	assert_int_equal(n.fd, -1);
}

static void test_net_fd(void **state)
{
	struct net_config n = net_good("fd=17");

	assert_int_equal(n.kind, NET_TAP);
	assert_int_equal(n.fd, 17);
}

static void test_net_mac(void **state)
{
	struct net_config n = net_good("tap=t,mac=52:54:00:aB:Cd:ef");

	assert_memory_equal(n.mac, "\x52\x54\x00\xab\xcd\xef", 6);
}

static void test_net_forward(void **state)
{
	struct net_config n = net_good("user,hostfwd=tcp:2222:22");

	assert_int_equal(n.nr_fwd, 1);
	assert_false(n.fwd[0].udp);
	assert_int_equal(n.fwd[0].host_ip, 0x7f000001);
	assert_int_equal(n.fwd[0].host_port, 2222);
	assert_int_equal(n.fwd[0].guest_port, 22);
}

static void test_net_forward_from_an_address(void **state)
{
	struct net_config n = net_good("user,hostfwd=udp:0.0.0.0:65535:1,mac=02:00:00:00:00:01,"
				       "hostfwd=tcp:192.0.2.1:80:8080");

	assert_int_equal(n.nr_fwd, 2);
	assert_true(n.fwd[0].udp);
	assert_int_equal(n.fwd[0].host_ip, 0);
	assert_int_equal(n.fwd[0].host_port, 65535);
	assert_int_equal(n.fwd[0].guest_port, 1);
	assert_int_equal(n.fwd[1].host_ip, 0xc0000201);
	assert_int_equal(n.fwd[1].guest_port, 8080);
}

static void test_net_unix(void **state)
{
	struct net_config n = net_good("unix=/run/passt.socket,mac=02:00:00:00:00:01");

	assert_int_equal(n.kind, NET_UNIX);
	assert_string_equal(n.path, "/run/passt.socket");
	assert_int_equal(n.mac[5], 1);
	free(n.path);
}

/* A path that a socket cannot have is refused, not cut. */
static void test_net_unix_path_too_long(void **state)
{
	struct net_config n = { .fd = -1 };
	struct err err = { 0 };
	char s[200];

	memset(s, 'x', sizeof(s));
	memcpy(s, "unix=", 5);
	s[5 + 107] = '\0';
	n = net_good(s);
	assert_int_equal(strlen(n.path), 107);
	free(n.path);
	n.path = NULL;
	memcpy(s + 5 + 107, "x", 2);
	refused(parse_net(s, "--opt", &n, &err), &err, "unix=");
}

static void test_bad_net(void **state)
{
	static const char *const bad[] = {
		"",
		"foo",
		"user=1",
		"tap",
		"tap=",
		"tap=a23456789012345x",
		"fd",
		"fd=",
		"fd=x",
		"fd=-1",
		"fd=1x",
		"fd=99999",
		"user,",
		"user,mac",
		"user,mac=",
		"user,mac=52:54:00:00:00",
		"user,mac=52:54:00:00:00:00:00",
		"user,mac=53:54:00:00:00:00", /* multicast */
		"user,mac=52:54:00:00:00:0g",
		"user,mac=52-54-00-00-00-00",
		"user,hostfwd",
		"user,hostfwd=",
		"user,hostfwd=tcp",
		"user,hostfwd=tcp:22",
		"user,hostfwd=sctp:1:2",
		"user,hostfwd=tcp:0:22",
		"user,hostfwd=tcp:22:0",
		"user,hostfwd=tcp:65536:22",
		"user,hostfwd=tcp:22:x",
		"user,hostfwd=tcp:a:1:2",
		"user,hostfwd=tcp:127.0.0.1:1:2:3",
		"user,hostfwd=tcp::1:2",
		"tap=t,hostfwd=tcp:1:2", /* the host has to configure that */
		"unix",
		"unix=",
		"unix=,mac=02:00:00:00:00:01",
	};

	for (unsigned int i = 0; i < COUNT(bad); i++) {
		struct net_config n = { .fd = -1 };
		struct err err = { 0 };

		refused(parse_net(bad[i], "--opt", &n, &err), &err, bad[i]);
	}
}

static void test_too_many_forwards(void **state)
{
	char s[1024] = "user";
	struct net_config n = { .fd = -1 };
	struct err err = { 0 };

	for (int i = 0; i < CONFIG_MAX_FWDS; i++)
		strcat(s, ",hostfwd=tcp:1000:10");
	assert_int_equal(net_good(s).nr_fwd, CONFIG_MAX_FWDS);
	strcat(s, ",hostfwd=tcp:1000:10");
	refused(parse_net(s, "--opt", &n, &err), &err, s);
}

/* vsock */

static void test_vsock(void **state)
{
	struct vm_config c = { 0 };
	struct err err = { 0 };

	assert_int_equal(parse_vsock("3", "--opt", &c, &err), 0);
	assert_int_equal(c.vsock_cid, 3);
	assert_null(c.vsock_path);
	assert_int_equal(parse_vsock("4294967294,path=/run/a=b", "--opt", &c, &err), 0);
	assert_int_equal(c.vsock_cid, 4294967294u);
	assert_string_equal(c.vsock_path, "/run/a=b");
	free(c.vsock_path);
}

static void test_bad_vsock(void **state)
{
	static const char *const bad[] = {
		"",	  "x",	     "3x",	   "-1",	 "0",
		"1",	  "2",	     "4294967295", "4294967299", "3,",
		"3,path", "3,path=", "3,cid=4",	   "3,path=a,b", ",path=a",
	};

	for (unsigned int i = 0; i < COUNT(bad); i++) {
		struct vm_config c = { 0 };
		struct err err = { 0 };

		refused(parse_vsock(bad[i], "--opt", &c, &err), &err, bad[i]);
		free(c.vsock_path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_bad_size),
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_disk_with_everything),
		cmocka_unit_test(test_bad_disk),
		cmocka_unit_test(test_net_user),
		cmocka_unit_test(test_net_tap),
		cmocka_unit_test(test_net_fd),
		cmocka_unit_test(test_net_mac),
		cmocka_unit_test(test_net_forward),
		cmocka_unit_test(test_net_forward_from_an_address),
		cmocka_unit_test(test_net_unix),
		cmocka_unit_test(test_net_unix_path_too_long),
		cmocka_unit_test(test_bad_net),
		cmocka_unit_test(test_too_many_forwards),
		cmocka_unit_test(test_vsock),
		cmocka_unit_test(test_bad_vsock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

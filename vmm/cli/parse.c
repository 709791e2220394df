// SPDX-License-Identifier: BSD-2-Clause
/*
 * The values of settings: disks, network cards, vsock.  A value is a word, followed by
 * comma-separated key=value parts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "cli/cli.h"
#include "core/layout.h"

/* Take the next comma-separated part of *@rest and split it at its first '='; false: none. */
static bool next_part(char **rest, char **key, char **value)
{
	char *part = strsep(rest, ",");

	if (!part)
		return false;
	*key = strsep(&part, "=");
	*value = part; /* NULL: no '=' */
	return true;
}

static int bad_part(const char *where, const char *key, const char *value, const char *known,
		    struct err *err)
{
	return err_set(err, -EINVAL, "%s: %s%s%s: expected %s", where, key, value ? "=" : "",
		       value ? value : "", known);
}

int parse_disk(const char *s, const char *where, struct disk_config *d, struct err *err)
{
	static const char known[] =
		"ro, format=raw, notify=exit or serial=TEXT (at most 20 characters)";
	char *copy = strdup(s), *rest = copy, *key, *value;
	int ret = 0;

	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	d->path = strdup(strsep(&rest, ","));
	if (!d->path || !*d->path)
		ret = err_set(err, -EINVAL, "%s %s: no file name", where, s);
	while (!ret && next_part(&rest, &key, &value)) {
		if (!strcmp(key, "ro") && !value)
			d->readonly = true;
		else if (!strcmp(key, "format") && value && !strcmp(value, "raw"))
			d->raw = true;
		else if (!strcmp(key, "notify") && value && !strcmp(value, "exit"))
			d->notify_exit = true;
		else if (!strcmp(key, "serial") && value && strlen(value) < sizeof(d->serial))
			strcpy(d->serial, value);
		else
			ret = bad_part(where, key, value, known, err);
	}
	free(copy);
	return ret;
}

static bool parse_port(const char *s, uint16_t *out)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (end == s || *end || !n || n > 65535)
		return false;
	*out = n;
	return true;
}

/* tcp|udp:[ADDR:]HOSTPORT:GUESTPORT */
static bool parse_fwd(char *s, struct net_fwd *f)
{
	char *proto = strsep(&s, ":"), *a = strsep(&s, ":"), *b = strsep(&s, ":"), *c = s;
	struct in_addr addr = { .s_addr = htonl(INADDR_LOOPBACK) };

	if (!b || (strcmp(proto, "tcp") && strcmp(proto, "udp")))
		return false;
	if (c && inet_pton(AF_INET, a, &addr) != 1)
		return false;
	f->udp = !strcmp(proto, "udp");
	f->host_ip = ntohl(addr.s_addr);
	return parse_port(c ? b : a, &f->host_port) && parse_port(c ? c : b, &f->guest_port);
}

static bool parse_mac(const char *s, uint8_t mac[6])
{
	int used = 0;

	return sscanf(s, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		      &mac[3], &mac[4], &mac[5], &used) == 6 &&
	       !s[used] && !(mac[0] & 1);
}

static bool parse_fd(const char *s, int *fd)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (end == s || *end || n < 0 || n > 65535)
		return false;
	*fd = n;
	return true;
}

static int set_path(struct net_config *n, const char *path, const char *where, struct err *err)
{
	size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (strlen(path) >= room)
		return err_set(err, -EINVAL,
			       "%s unix=%s: too long for the path of a socket (at most %zu "
			       "characters)",
			       where, path, room - 1);
	n->kind = NET_UNIX;
	free(n->path);
	n->path = strdup(path);
	return n->path ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int parse_net(const char *s, const char *where, struct net_config *n, struct err *err)
{
	static const char known[] = "user, tap=INTERFACE, fd=NUMBER or unix=SOCKET, then "
				    "mac=AA:BB:CC:DD:EE:FF (unicast) or, with "
				    "user, hostfwd=tcp|udp:[ADDRESS:]PORT:GUESTPORT";
	char *copy = strdup(s), *rest = copy, *key = "", *value = NULL;
	int ret = 0;

	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	next_part(&rest, &key, &value);
	if (!strcmp(key, "user") && !value)
		n->kind = NET_USER;
	else if (!strcmp(key, "fd") && value && parse_fd(value, &n->fd))
		n->kind = NET_TAP;
	else if (!strcmp(key, "tap") && value && *value && strlen(value) < IFNAMSIZ)
		n->kind = NET_TAP, strcpy(n->ifname, value);
	else if (!strcmp(key, "unix") && value && *value)
		ret = set_path(n, value, where, err);
	else
		ret = bad_part(where, key, value, known, err);
	while (!ret && next_part(&rest, &key, &value)) {
		if (!strcmp(key, "mac") && value && parse_mac(value, n->mac))
			continue;
		if (!strcmp(key, "hostfwd") && value && n->kind == NET_USER &&
		    n->nr_fwd < CONFIG_MAX_FWDS && parse_fwd(value, &n->fwd[n->nr_fwd])) {
			n->nr_fwd++;
			continue;
		}
		ret = err_set(err, -EINVAL, "%s %s: %s: expected %s", where, s, key, known);
	}
	free(copy);
	return ret;
}

int parse_vsock(const char *s, const char *where, struct vm_config *c, struct err *err)
{
	char *copy = strdup(s), *rest = copy, *key, *value, *end;
	unsigned long cid;
	int ret = 0;

	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	key = strsep(&rest, ",");
	cid = strtoul(key, &end, 10);
	if (end == key || *end || cid < 3 || cid >= UINT32_MAX)
		ret = err_set(err, -EINVAL, "%s %s: a context id of 3 or above", where, s);
	c->vsock_cid = cid;
	while (!ret && next_part(&rest, &key, &value)) {
		if (strcmp(key, "path") || !value || !*value) {
			ret = bad_part(where, key, value, "path=SOCKET", err);
			break;
		}
		free(c->vsock_path);
		c->vsock_path = strdup(value);
	}
	free(copy);
	return ret;
}

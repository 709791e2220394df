// SPDX-License-Identifier: BSD-2-Clause
/*
 * Inside the guest: SymSpy, upcalls, modules, and the services that use them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define DEADLINE_MS 1000
#define SERVICE_MS  60000 /* a verb may make upcalls */
#define INSTALL_MS  300000 /* a large module, into a guest that is busy */

int sym_spy(struct sym_conn *conn, char **json)
{
	json_t *result;
	int ret = sym__call(conn, "spy", NULL, &result);

	return ret ? ret : sym__dump(conn, result, json);
}

static json_t *upcall_params(const struct sym_upcall *call)
{
	json_t *params, *args = json_array();
	char number[24];

	for (int i = 0; i < SYM_UPCALL_ARGS; i++) {
		snprintf(number, sizeof(number), "0x%llx", (unsigned long long)call->args[i]);
		json_array_append_new(args, json_string(number));
	}
	params = json_pack("{s:s, s:o, s:I}", "handler", call->handler, "args", args, "vcpu",
			   (json_int_t)call->vcpu);
	if (call->payload)
		json_object_set_new(params, "payload", json_string(call->payload));
	if (call->context)
		json_object_set_new(params, "context", json_string(call->context));
	if (call->deadline_ms)
		json_object_set_new(params, "deadline_ms", json_integer(call->deadline_ms));
	return params;
}

int sym_upcall(struct sym_conn *conn, const struct sym_upcall *call, char **result)
{
	struct sym_upcall known = { .size = sizeof(known) };
	json_t *json, *params;
	int ret;

	sym__clear_error(conn);
	if (sym__opts(&known, call) || !known.handler)
		return sym__fail(conn, -EINVAL,
				 "sym_upcall: no handler is named, or options "
				 "that this library does not know");
	params = upcall_params(&known);
	if (!params || (known.payload && !json_object_get(params, "payload"))) {
		json_decref(params);
		return sym__fail(conn, -EINVAL, "sym_upcall: the text is not UTF-8");
	}
	ret = sym__call_long(conn, "call", params, -1,
			     known.deadline_ms ? known.deadline_ms : DEADLINE_MS,
			     result ? &json : NULL);
	return ret || !result ? ret : sym__dump(conn, json, result);
}

int sym_module_install(struct sym_conn *conn, int fd, const char *params)
{
	return sym__call_long(conn, "module_install",
			      json_pack("{s:s}", "params", params ? params : ""), fd, INSTALL_MS,
			      NULL);
}

int sym_module_load(struct sym_conn *conn, const char *name, const char *params)
{
	return sym__call_long(
		conn, "module_install",
		json_pack("{s:s, s:s}", "name", name, "params", params ? params : ""), -1,
		INSTALL_MS, NULL);
}

/* The array @key of @method's answer. */
static int get_array(struct sym_conn *conn, const char *method, const char *key, char **json)
{
	json_t *result, *list;
	int ret = sym__call(conn, method, NULL, &result);

	if (ret)
		return ret;
	list = json_incref(json_object_get(result, key));
	json_decref(result);
	if (!json_is_array(list)) {
		json_decref(list);
		return sym__fail(conn, -EPROTO, "VM '%s' sent no %s", conn->name, key);
	}
	return sym__dump(conn, list, json);
}

int sym_module_list(struct sym_conn *conn, char **json)
{
	return get_array(conn, "module_list", "modules", json);
}

int sym_module_remove(struct sym_conn *conn, const char *name)
{
	return sym__call_long(conn, "module_remove", json_pack("{s:s}", "name", name), -1,
			      INSTALL_MS, NULL);
}

int sym_services(struct sym_conn *conn, char **json)
{
	return get_array(conn, "services", "services", json);
}

int sym_service_call(struct sym_conn *conn, const char *service, const char *verb,
		     const char *const *args, char **text)
{
	json_t *list = json_array(), *result, *value;
	int ret;

	for (; args && *args; args++)
		json_array_append_new(list, json_string(*args));
	ret = sym__call_long(
		conn, "service",
		json_pack("{s:s, s:s, s:o}", "name", service, "verb", verb, "args", list), -1,
		SERVICE_MS, &result);
	if (ret)
		return ret;
	value = json_object_get(result, "text");
	if (text)
		*text = strdup(json_is_string(value) ? json_string_value(value) : "");
	json_decref(result);
	return text && !*text ? sym__fail(conn, -ENOMEM, "out of memory") : 0;
}

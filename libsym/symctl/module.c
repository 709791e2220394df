// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl module: find a module for the guest's kernel, and send it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "sym/symmod.h"

#define MAX_DEPTH 8 /* of dependencies within the repository */

static int set_modules(struct ctl *ctl, const char *arg)
{
	ctl->modules = arg;
	return 0;
}

const struct ctl_option module_options[] = {
	{ "modules", "DIR", "folder of guest modules, by kernel release", set_modules },
	{ .name = NULL },
};

struct install {
	struct ctl *ctl;
	struct sym_conn *conn;
	char release[64]; /* of the guest's kernel */
	json_t *present; /* names of the guest's symbiotic modules */
	json_t *done; /* names of those that were installed now */
	struct sym_err lacking; /* .code 0, or why the guest's own modprobe was used */
};

static int refused(struct install *in, const struct sym_err *err)
{
	return ctl_error("%s: %s", in->ctl->name, err->text);
}

/* Get the guest's kernel release and modules. */
static int look(struct install *in)
{
	json_t *spy, *module;
	char *text;
	size_t i;

	if (sym_spy(in->conn, &text))
		return ctl_error("%s: %s", in->ctl->name, sym_conn_error(in->conn));
	spy = json_loads(text, 0, NULL);
	free(text);
	if (!json_is_object(json_object_get(spy, "kernel"))) {
		json_decref(spy);
		return ctl_error("%s: the guest is not ready: no symbiotic module has registered "
				 "there (it can come with the initrd, or be on the guest's disk)",
				 in->ctl->name);
	}
	snprintf(in->release, sizeof(in->release), "%s",
		 ctl_string(json_object_get(spy, "kernel"), "release"));
	in->present = json_pack("[s]", "symbiotic");
	json_array_foreach(json_object_get(spy, "modules"), i, module)
		json_array_append(in->present, json_object_get(module, "name"));
	json_decref(spy);
	return 0;
}

static bool has(const json_t *names, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(names, i, entry)
		if (json_string_value(entry) && symmod_name_equal(json_string_value(entry), name))
			return true;
	return false;
}

static int install_fd(struct install *in, int fd, const char *path, const char *params,
		      int depth);

/* Dependencies outside the repository are left to the guest. */
static int install_depends(struct install *in, const struct symmod_image *image, int depth)
{
	int status = 0;

	for (unsigned int i = 0; i < image->nr_depends && !status; i++) {
		const char *name = image->depends[i];
		struct sym_err err = { 0 };
		char path[PATH_MAX];
		int fd;

		if (has(in->present, name) || has(in->done, name))
			continue;
		fd = symmod_find(in->ctl->modules, in->release, name, path, sizeof(path), &err);
		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return refused(in, &err);
		status = install_fd(in, fd, path, "", depth + 1);
		close(fd);
	}
	return status;
}

static int install_fd(struct install *in, int fd, const char *path, const char *params, int depth)
{
	struct symmod_image image;
	struct sym_err err = { 0 };
	int status;

	if (symmod_read(fd, path, &image, &err) || symmod_match(&image, in->release, &err)) {
		if (image.data)
			symmod_free(&image);
		return refused(in, &err);
	}
	status = depth > MAX_DEPTH ? ctl_error("%s: module %s: endless dependencies",
					       in->ctl->name, image.name) :
				     install_depends(in, &image, depth);
	symmod_free(&image);
	if (!status && sym_module_install(in->conn, fd, params))
		status = ctl_error("%s: %s", in->ctl->name, sym_conn_error(in->conn));
	if (!status)
		json_array_append_new(in->done, json_string(image.name));
	return status;
}

static int join_params(struct ctl *ctl, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (int i = 3; i < ctl->nr_args; i++) {
		len += snprintf(buf + len, size - len, "%s%s", i > 3 ? " " : "", ctl->args[i]);
		if (len >= size)
			return ctl_usage(ctl, "the parameters are too long");
	}
	return 0;
}

/* The host has no such module: the guest may have one, from its distribution or DKMS. */
static int load_own(struct install *in, const char *name, const char *params)
{
	int ret = sym_module_load(in->conn, name, params);

	if (!ret) {
		json_array_append_new(in->done, json_string(name));
		return 0;
	}
	/* An older guest or VM cannot do this. */
	if (ret == -ENOSYS || ret == -EINVAL)
		return refused(in, &in->lacking);
	return ctl_error("%s: %s; %s", in->ctl->name, in->lacking.text, sym_conn_error(in->conn));
}

static int install_word(struct install *in, const char *word, const char *params)
{
	struct sym_err err = { 0 };
	char path[PATH_MAX];
	int fd, status;

	if (symmod_is_file(word)) {
		fd = open(word, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			return ctl_error("%s: %s", word, strerror(errno));
		snprintf(path, sizeof(path), "%s", word);
	} else {
		fd = symmod_find(in->ctl->modules, in->release, word, path, sizeof(path), &err);
		if (fd == -ENOENT) {
			in->lacking = err;
			return load_own(in, word, params);
		}
		if (fd < 0)
			return refused(in, &err);
	}
	status = install_fd(in, fd, path, params, 0);
	close(fd);
	return status;
}

static int print_done(const struct install *in)
{
	const json_t *name;
	size_t i;

	if (in->ctl->json)
		return ctl_print_json(json_pack("{s:s, s:O, s:b}", "name", in->ctl->name,
						"installed", in->done, "by_guest",
						in->lacking.code));
	json_array_foreach(in->done, i, name) {
		printf("%s: %s is loaded", in->ctl->name, json_string_value(name));
		if (in->lacking.code)
			printf(" by the guest's own modprobe (%s)", in->lacking.text);
		putchar('\n');
	}
	return 0;
}

static int do_install(struct ctl *ctl, struct sym_conn *conn)
{
	struct install in = { .ctl = ctl, .conn = conn };
	char params[SYMMOD_MAX_PARAMS + 1];
	int status;

	if (ctl->nr_args < 3)
		return ctl_usage(ctl, "install: which module?");
	status = join_params(ctl, params, sizeof(params));
	if (!status)
		status = look(&in);
	in.done = json_array();
	if (!status)
		status = install_word(&in, ctl->args[2], params);
	/* After a failure, list the modules that were loaded before it, too. */
	if (!status)
		status = print_done(&in);
	else if (!ctl->json)
		print_done(&in);
	json_decref(in.done);
	json_decref(in.present);
	return status;
}

static int do_list(struct ctl *ctl, struct sym_conn *conn)
{
	const json_t *module;
	json_t *list;
	char *text;
	size_t i;

	if (ctl->nr_args > 2)
		return ctl_usage(ctl, "'%s' is one argument too many", ctl->args[2]);
	if (sym_module_list(conn, &text))
		return ctl_error("%s: %s", ctl->name, sym_conn_error(conn));
	list = json_loads(text, 0, NULL);
	free(text);
	if (ctl->json)
		return ctl_print_json(list);
	json_array_foreach(list, i, module) {
		ctl_print_text(stdout, ctl_string(module, "name"));
		puts(json_is_true(json_object_get(module, "installed")) ?
			     " (installed from here)" :
			     "");
	}
	json_decref(list);
	return 0;
}

static int do_remove(struct ctl *ctl, struct sym_conn *conn)
{
	if (ctl->nr_args != 3)
		return ctl_usage(ctl, "remove: one module");
	if (sym_module_remove(conn, ctl->args[2]))
		return ctl_error("%s: %s", ctl->name, sym_conn_error(conn));
	if (ctl->json)
		return ctl_print_json(
			json_pack("{s:s, s:s}", "name", ctl->name, "removed", ctl->args[2]));
	return 0;
}

int cmd_module(struct ctl *ctl)
{
	static const struct {
		const char *word;
		int (*run)(struct ctl *ctl, struct sym_conn *conn);
	} actions[] = {
		{ "install", do_install },
		{ "list", do_list },
		{ "remove", do_remove },
	};
	struct sym_conn *conn;
	int status;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].word, ctl->args[0]))
			continue;
		ctl->name = ctl->args[1];
		conn = ctl_open(ctl);
		if (!conn)
			return 1;
		status = actions[i].run(ctl, conn);
		sym_close(conn);
		return status;
	}
	return ctl_usage(ctl, "'%s': install, list or remove", ctl->args[0]);
}

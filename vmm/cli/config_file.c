// SPDX-License-Identifier: BSD-2-Clause
/*
 * The config file, read by libconfig: "key = value".  The keys are the options' names; an
 * option that may be repeated takes a list: disk = ("a.img", "b.img,ro").
 */
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static int apply(struct vm_config *config, const config_setting_t *s, const char *key,
		 const char *where, struct err *err)
{
	char number[24];
	const char *value;

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		value = config_setting_get_string(s);
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(number, sizeof(number), "%lld", config_setting_get_int64(s));
		value = number;
		break;
	case CONFIG_TYPE_BOOL:
		value = config_setting_get_bool(s) ? "on" : "off";
		break;
	default:
		return err_set(err, -EINVAL, "%s: expected a string, a number or true or false",
			       where);
	}
	return setting_apply(config, key, value, where, err);
}

static int apply_all(struct vm_config *config, const char *path, const config_setting_t *s,
		     struct err *err)
{
	const char *key = config_setting_name(s);
	int ret = 0, n = config_setting_length(s);
	char where[256];

	snprintf(where, sizeof(where), "%s:%u: %s", path, config_setting_source_line(s), key);
	if (!config_setting_is_list(s) && !config_setting_is_array(s))
		return apply(config, s, key, where, err);
	for (int i = 0; i < n && !ret; i++)
		ret = apply(config, config_setting_get_elem(s, i), key, where, err);
	return ret;
}

int config_file_read(struct vm_config *config, const char *path, struct err *err)
{
	const config_setting_t *root;
	FILE *f = fopen(path, "re");
	config_t file;
	int ret = 0, n;

	if (!f)
		return err_errno(err, "config file %s", path);
	config_init(&file);
	if (config_read(&file, f) != CONFIG_TRUE)
		ret = err_set(err, -EBADMSG, "config file %s:%d: %s", path,
			      config_error_line(&file), config_error_text(&file));
	fclose(f);
	root = config_root_setting(&file);
	n = ret ? 0 : config_setting_length(root);
	for (int i = 0; i < n && !ret; i++)
		ret = apply_all(config, path, config_setting_get_elem(root, i), err);
	/* An error in the file is not a usage error. */
	if (ret == -EINVAL)
		ret = err->code = -EBADMSG;
	config_destroy(&file);
	return ret;
}

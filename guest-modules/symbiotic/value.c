// SPDX-License-Identifier: GPL-2.0
/*
 * Values that kernel modules and programs show the VMM.  A value has an owner, a module
 * or an open file, and is removed with it.
 */
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "symbiotic.h"

#define SYM_VALUES_OF_FILE  8
#define SYM_VALUES_OF_USER  16 /* of all files of a user who is not root */
#define SYM_VALUES_OF_USERS 40 /* of all users who are not root */
#define SYM_VALUES_OF_FILES 48 /* the rest is for the kernel's own modules */

struct sym_value {
	const void *owner; /* NULL: free */
	bool user;
	kuid_t uid; /* of the process that made it */
	size_t len;
	struct sym_item_value item;
	struct sym_item_value *shown; /* in the current page */
};

static struct sym_value sym_values[SYM_MAX_VALUES];

/* Modules share one space of names; each open file has its own. */
static struct sym_value *sym_value_find(const void *owner, bool user, const char *name)
{
	struct sym_value *value;

	for (value = sym_values; value < sym_values + SYM_MAX_VALUES; value++)
		if (value->owner && value->user == user && (!user || value->owner == owner) &&
		    !strcmp(value->item.name, name))
			return value;
	return NULL;
}

/* Users cannot starve each other: each has a share, and some values are kept for root. */
static bool sym_value_may(const void *owner)
{
	int of_owner = 0, of_user = 0, of_users = 0, of_files = 0;
	kuid_t uid = current_uid();
	struct sym_value *value;

	for (value = sym_values; value < sym_values + SYM_MAX_VALUES; value++) {
		if (!value->owner || !value->user)
			continue;
		of_files++;
		of_owner += value->owner == owner;
		of_user += uid_eq(value->uid, uid);
		of_users += !uid_eq(value->uid, GLOBAL_ROOT_UID);
	}
	if (of_owner >= SYM_VALUES_OF_FILE || of_files >= SYM_VALUES_OF_FILES)
		return false;
	return uid_eq(uid, GLOBAL_ROOT_UID) ||
	       (of_user < SYM_VALUES_OF_USER && of_users < SYM_VALUES_OF_USERS);
}

static struct sym_value *sym_value_new(const void *owner, bool user)
{
	struct sym_value *value;

	if (user && !sym_value_may(owner))
		return NULL;
	for (value = sym_values; value < sym_values + SYM_MAX_VALUES; value++)
		if (!value->owner)
			return value;
	return NULL;
}

static void sym_value_name_owner(struct sym_value *value)
{
	const struct module *module = value->owner;

	if (value->user) {
		value->item.pid = task_tgid_nr(current);
		strscpy_pad(value->item.comm, current->group_leader->comm,
			    sizeof(value->item.comm));
	} else {
		value->item.pid = 0;
		strscpy_pad(value->item.comm, module->name, sizeof(value->item.comm));
	}
}

static int sym_value_put_locked(const void *owner, bool user, const char *name, const void *from,
				size_t len)
{
	struct sym_value *value = sym_value_find(owner, user, name);

	if (value && value->owner != owner)
		return -EEXIST;
	if (value && value->len == len) {
		memcpy(value->item.value, from, len);
		if (value->shown)
			sym_spy_copy_locked(value->shown->value, from, len);
		return 0;
	}
	if (!value) {
		value = sym_value_new(owner, user);
		if (!value)
			return -ENOSPC;
		value->owner = owner;
		value->user = user;
		value->uid = current_uid();
		strscpy_pad(value->item.name, name, sizeof(value->item.name));
		sym_value_name_owner(value);
	}
	value->len = len;
	memcpy(value->item.value, from, len);
	sym_spy_rebuild_locked();
	return 0;
}

int sym_value_put(const void *owner, bool user, const char *name, const void *from, size_t len)
{
	int ret;

	if (!owner || !name || !*name || len > SYM_VALUE_MAX ||
	    strlen(name) >= sizeof_field(struct sym_item_value, name))
		return -EINVAL;
	mutex_lock(&sym_lock);
	ret = sym_value_put_locked(owner, user, name, from, len);
	mutex_unlock(&sym_lock);
	return ret;
}

int sym_value_drop(const void *owner, bool user, const char *name)
{
	struct sym_value *value;

	mutex_lock(&sym_lock);
	value = sym_value_find(owner, user, name);
	if (value) {
		value->owner = NULL;
		sym_spy_rebuild_locked();
	}
	mutex_unlock(&sym_lock);
	return value ? 0 : -ENOENT;
}

void sym_values_forget(const void *owner)
{
	struct sym_value *value;
	bool any = false;

	mutex_lock(&sym_lock);
	for (value = sym_values; value < sym_values + SYM_MAX_VALUES; value++) {
		if (value->owner != owner)
			continue;
		value->owner = NULL;
		any = true;
	}
	if (any)
		sym_spy_rebuild_locked();
	mutex_unlock(&sym_lock);
}

void sym_values_show(void)
{
	const size_t head = offsetof(struct sym_item_value, value);
	struct sym_value *value;

	for (value = sym_values; value < sym_values + SYM_MAX_VALUES; value++) {
		value->shown = NULL;
		if (!value->owner)
			continue;
		value->shown = sym_spy_add(SYM_ITEM_VALUE, head + value->len);
		if (value->shown)
			memcpy(value->shown, &value->item, head + value->len);
	}
}

int sym_value_set_owner(const char *name, const void *value, size_t len, struct module *owner)
{
	return sym_value_put(owner, false, name, value, len);
}
EXPORT_SYMBOL_GPL(sym_value_set_owner);

void sym_value_clear(const char *name)
{
	sym_value_drop(NULL, false, name);
}
EXPORT_SYMBOL_GPL(sym_value_clear);

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libsym: talk to the virtual machines that symvmm runs for this user.
 *
 * Every function that can fail returns 0 or a negative errno, and leaves one line
 * for people behind, see sym_conn_error().  No call waits without a deadline.
 * Structs of options start with their size: zero the rest, set what you need, and a
 * later library knows what you could not know of; NULL stands for the defaults.
 * Text handed out by char ** is yours to free().  JSON is passed as text; its fields
 * are described with the protocol.  A connection serves one thread at a time.
 */
#ifndef SYMKIT_SYM_H
#define SYMKIT_SYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SYM_API __attribute__((visibility("default")))

#define SYM_NAME_MAX 64 /* characters in a VM's name, without the NUL */

struct sym_conn;

/* sym_version - the library's version, for example "0.1.0". */
SYM_API const char *sym_version(void);

/*
 * sym_conn_error - why the last call on @conn failed, "" if it succeeded; valid until
 * the next one.  With NULL: the same for the calling thread's last call without a
 * connection (sym_open(), sym_list(), sym_console_open()).
 */
SYM_API const char *sym_conn_error(const struct sym_conn *conn);

/* Finding and opening. */

struct sym_open_opts {
	size_t size; /* sizeof(struct sym_open_opts) */
	const char *runtime; /* runtime folder; NULL: the one symvmm uses by default */
	unsigned int timeout_ms; /* for opening and for each call; 0: 10,000 */
};

/*
 * sym_list - the names of the VMs that are alive, sorted, NULL-terminated.  @nr may be
 * NULL.  sym_list_free() accepts NULL.
 */
SYM_API int sym_list(const struct sym_open_opts *opts, char ***names, size_t *nr);
SYM_API void sym_list_free(char **names);

/*
 * sym_runtime_folder - copy the name of the folder in which sym_list() and sym_open() look to
 * @path, of @size bytes; -ENAMETOOLONG.
 */
SYM_API int sym_runtime_folder(const struct sym_open_opts *opts, char *path, size_t size);

/*
 * sym_open - connect to the VM called @name.  -ENOENT: no such VM; -EPROTO: it uses
 * another version of the protocol; -EPERM: the socket belongs to another user.
 */
SYM_API int sym_open(const char *name, const struct sym_open_opts *opts, struct sym_conn **conn);
SYM_API void sym_close(struct sym_conn *conn);

/* sym_conn_fd - readable when sym_events_next() may have an event; only for poll(). */
SYM_API int sym_conn_fd(const struct sym_conn *conn);

/*
 * sym_call_method - call a method by name: @params is the text of a JSON object, or
 * NULL; @result (may be NULL) gets the text of the answer's.  If the answer is an error,
 * its errno is returned, and sym_conn_error() has its message.  -ETIMEDOUT: no answer
 * yet (a late one is dropped); -EPIPE: the VM has ended.
 */
SYM_API int sym_call_method(struct sym_conn *conn, const char *method, const char *params,
			    char **result);

/* Describing a VM. */

struct sym_info {
	size_t size; /* of the part that the library filled in */
	const char *name;
	const char *uuid;
	const char *state; /* "starting", "running", "paused", "stopped" */
	pid_t pid;
	unsigned int cpus;
	uint64_t memory; /* bytes */
	const char *kernel;
	const char *initrd; /* NULL: none */
	const char *cmdline; /* the user's; NULL: none */
	unsigned int nr_disks;
	unsigned int nr_nets;
	unsigned int boots;
	double uptime_s;
};

SYM_API int sym_vm_info(struct sym_conn *conn, struct sym_info **info);
SYM_API void sym_info_free(struct sym_info *info);

/* Stopping and pausing it. */

struct sym_stop_opts {
	size_t size;
	unsigned int timeout_ms; /* for the guest to shut down; 0: 60,000 */
	bool force; /* if it does not, or cannot be asked, stop it by force */
};

/*
 * sym_vm_stop - press the power button and wait until the VM has ended: then its name,
 * its disks and its memory are free again.  -ETIMEDOUT: it has not shut down;
 * -ECONNABORTED: the connection was lost, but the VM runs.
 * Returns 1 if it had to be forced.  @event (may be NULL) gets the text of the
 * VM's "stopped" event, or NULL if there was none.
 */
SYM_API int sym_vm_stop(struct sym_conn *conn, const struct sym_stop_opts *opts, char **event);

/* sym_vm_kill - stop it by force, at once, and wait until it has ended. */
SYM_API int sym_vm_kill(struct sym_conn *conn, char **event);

/*
 * sym_vm_gone - after -EPIPE: has the VM ended?  0: yes, its name is free; -ECONNABORTED:
 * only the connection was lost, a VM of that name is running.
 */
SYM_API int sym_vm_gone(struct sym_conn *conn);

SYM_API int sym_vm_pause(struct sym_conn *conn);
SYM_API int sym_vm_resume(struct sym_conn *conn);

/* Events and metrics. */

struct sym_events_opts {
	size_t size;
	bool history; /* deliver up to 64 past events first */
};

SYM_API int sym_events_subscribe(struct sym_conn *conn, const struct sym_events_opts *opts);

/*
 * sym_events_next - the next event, as the text of a JSON object.  -ETIMEDOUT: none
 * within @timeout_ms; -EPIPE: the connection has ended, and there are no more (see
 * sym_vm_gone()); -ENODATA: not subscribed.  An event "lost" stands for events that this
 * client was too slow to read.  If more than 1024 events wait here, the oldest are dropped.
 */
SYM_API int sym_events_next(struct sym_conn *conn, unsigned int timeout_ms, char **event);

enum sym_metrics_format {
	SYM_METRICS_PROMETHEUS, /* text exposition format */
	SYM_METRICS_JSON, /* array of {name, labels, type, value} */
};

SYM_API int sym_metrics(struct sym_conn *conn, enum sym_metrics_format format, char **text);

/* Inside the guest: these calls need a guest with the module symbiotic. */

/*
 * sym_spy - everything that the guest shows, as the text of a JSON object: what each
 * vCPU runs, memory, symbiotic modules, handlers, exported values.
 */
SYM_API int sym_spy(struct sym_conn *conn, char **json);

#define SYM_UPCALL_ARGS 6

struct sym_upcall {
	size_t size; /* sizeof(struct sym_upcall) */
	const char *handler;
	uint64_t args[SYM_UPCALL_ARGS];
	const char *payload; /* NULL: none */
	unsigned int vcpu;
	const char *context; /* "interrupt", "thread", "kick"; NULL: as it was registered */
	unsigned int deadline_ms; /* 0: 1000; at most 60,000 */
};

/*
 * sym_upcall - run a handler inside the guest.  @result (may be NULL) gets the text of
 * {"results":["0x…","0x…"],"payload":"…"}.  -ENODEV: the guest is not ready; -ENOSYS: no
 * such handler; -EPERM: not in this context; -EBUSY; -ETIMEDOUT: it did not return in
 * time; others: the handler's own.
 */
SYM_API int sym_upcall(struct sym_conn *conn, const struct sym_upcall *call, char **result);

/*
 * sym_module_install - load the kernel module in the file @fd into the running guest,
 * with @params (may be NULL).  sym_module_load - have the guest's own modprobe load the
 * module @name, which the guest must have.  -ENOSYS: the guest's module symbiotic is too old
 * for that; -EIO: modprobe failed.  sym_module_list - the guest's symbiotic modules, as the
 * text of a JSON array of {"name","installed"}.
 */
SYM_API int sym_module_install(struct sym_conn *conn, int fd, const char *params);
SYM_API int sym_module_load(struct sym_conn *conn, const char *name, const char *params);
SYM_API int sym_module_list(struct sym_conn *conn, char **json);
SYM_API int sym_module_remove(struct sym_conn *conn, const char *name);

/*
 * sym_services - the services that the VM has loaded, as the text of a JSON array.
 * sym_service_call - run @verb of a service with @args (NULL-terminated; may be NULL);
 * @text (may be NULL) gets its output.
 */
SYM_API int sym_services(struct sym_conn *conn, char **json);
SYM_API int sym_service_call(struct sym_conn *conn, const char *service, const char *verb,
			     const char *const *args, char **text);

/*
 * sym_console_open - connect to the guest's console: a socket, or -errno.  Reading from
 * it returns the last 64 KiB of output, then new output; data written to it is the guest's
 * input.  After shutdown(fd, SHUT_WR) it ends with the output so far.
 */
SYM_API int sym_console_open(const char *name, const struct sym_open_opts *opts);

#ifdef __cplusplus
}
#endif

#endif

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Running a VM.  The machine (memory, devices, sockets) is built once; each boot of the
 * guest gets a KVM VM of its own, so that no state of the last boot survives a reset.
 * Everything here but vm_stop() runs in the loop's thread.
 */
#include "machine/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "boot/boot.h"
#include "control/control.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/kvm.h"
#include "core/layout.h"
#include "core/loop.h"
#include "devices/pci.h"
#include "devices/platform.h"
#include "devices/serial.h"
#include "host/cleanup.h"
#include "host/console.h"
#include "host/events.h"
#include "host/exit_deadline.h"
#include "host/metrics.h"
#include "host/seccomp.h"
#include "host/terminal.h"
#include "host/trim.h"
#include "host/user.h"
#include "machine/cpuid.h"
#include "machine/vcpu.h"
#include "net/user_process.h"
#include "sym/host.h"

#define DESTROY_DEADLINE_MS 5000

/* State that only vm_run() uses. */
struct vm_life {
	struct vm vm;
	struct boot_image image;
	struct control *control;
	struct kvm_cpuid2 *cpuid;
	int signal_fd;
	struct user_ids user; /* for --user */
	bool tsc_deadline;
	struct err err; /* of a reset that failed */
};

const char *vm_state_name(enum vm_state state)
{
	static const char *const names[] = { "starting", "running", "paused", "stopped" };

	return names[state];
}

const char *vm_stop_name(enum vm_stop stop)
{
	switch (stop) {
	case VM_STOP_POWEROFF:
		return "poweroff";
	case VM_STOP_PANIC:
		return "panic";
	case VM_STOP_TRIPLE_FAULT:
		return "triple_fault";
	case VM_STOP_FORCED:
		return "forced";
	case VM_STOP_RESET:
		return "reset";
	default:
		return "error";
	}
}

int vm_stop_status(enum vm_stop stop)
{
	return stop == VM_STOP_FORCED ? 0 : (int)stop;
}

void vm_kick_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i] && vm->vcpus[i]->has_thread)
			vcpu_kick(vm->vcpus[i]);
}

void vm_stop(struct vm *vm, enum vm_stop reason, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&vm->lock);
	/* The first reason counts, but a stop overrides a reset. */
	if (!vm->stopping || (vm->stop == VM_STOP_RESET && reason != VM_STOP_RESET)) {
		vm->stopping = true;
		vm->stop = reason;
		va_start(ap, fmt);
		vsnprintf(vm->stop_reason, sizeof(vm->stop_reason), fmt, ap);
		va_end(ap);
		__atomic_store_n(&vm->attention, 1, __ATOMIC_SEQ_CST);
		vm_kick_all(vm);
		pthread_cond_broadcast(&vm->cond);
		if (eventfd_write(vm->stop_fd, 1))
			abort(); /* an eventfd that was never written to */
	}
	pthread_mutex_unlock(&vm->lock);
}

/* For devices. */
static void on_board_stop(struct board *board, enum vm_stop reason, const char *text)
{
	vm_stop((struct vm *)((char *)board - offsetof(struct vm, board)), reason, "%s", text);
}

int vm_power_button(struct vm *vm)
{
	/* Only the doorbell wakes a guest that sleeps. */
	if (eventfd_write(vm->doorbell_fd, 1) && errno != EAGAIN)
		return -errno;
	return platform_power_button(vm->board.platform);
}

static int create_kvm_vm(struct vm *vm, struct err *err)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = KVM_IDENTITY_GPA;

	vm->board.vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->board.vm_fd < 0)
		return err_errno(err, "/dev/kvm: KVM_CREATE_VM");
	if (ioctl(vm->board.vm_fd, KVM_SET_TSS_ADDR, KVM_TSS_GPA))
		return err_errno(err, "/dev/kvm: KVM_SET_TSS_ADDR");
	if (ioctl(vm->board.vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity))
		return err_errno(err, "/dev/kvm: KVM_SET_IDENTITY_MAP_ADDR");
	kvm_limit(vm->board.vm_fd); /* before the first vCPU */
	if (ioctl(vm->board.vm_fd, KVM_CREATE_IRQCHIP, 0))
		return err_errno(err, "/dev/kvm: KVM_CREATE_IRQCHIP");
	if (ioctl(vm->board.vm_fd, KVM_CREATE_PIT2, &pit))
		return err_errno(err, "/dev/kvm: KVM_CREATE_PIT2");
	if (vm->shared.sym && sym_attach(vm->shared.sym, vm->board.vm_fd))
		return err_errno(err, "/dev/kvm: refused the symbiotic MSRs");
	return 0;
}

static int create_vcpus(struct vm_life *life, struct err *err)
{
	struct vm *vm = &life->vm;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		int ret;

		cpuid_for(life->cpuid, i, vm->nr_vcpus, life->tsc_deadline);
		if (vm->shared.sym && sym_cpuid(vm->shared.sym, life->cpuid, CPUID_MAX))
			return err_set(err, -E2BIG, "vCPU %u: no room in its CPUID", i);
		ret = vcpu_create(vm, i, life->cpuid, err);
		if (ret)
			return ret;
	}
	return 0;
}

/* Start every vCPU; none runs the guest before all of them exist. */
static int start_vcpus(struct vm *vm, struct err *err)
{
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	/* A stop requested during the reset still counts. */
	if (vm->stopping && vm->stop != VM_STOP_RESET) {
		pthread_mutex_unlock(&vm->lock);
		return -ECANCELED;
	}
	vm->stopping = false;
	/* A pause that was pending at the reset applies to the new boot. */
	vm->state = vm->pause.done ? VM_PAUSED : VM_RUNNING;
	vm->boots++;
	__atomic_store_n(&vm->attention, vm->state == VM_PAUSED, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < vm->nr_vcpus && !ret; i++)
		ret = vcpu_start(vm->vcpus[i], err);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/* boot - a fresh KVM VM with the guest at its first instruction. */
static int boot(struct vm_life *life, struct err *err)
{
	struct vm *vm = &life->vm;
	int ret;

	ret = create_kvm_vm(vm, err);
	if (!ret)
		ret = gmem_bind(&vm->board.mem, vm->board.vm_fd, err);
	if (!ret)
		ret = vm_connect(vm, err);
	if (!ret)
		ret = create_vcpus(life, err);
	if (!ret)
		ret = boot_load(&life->image, &vm->board.mem, vm->vcpus[0]->fd, err);
	if (!ret)
		ret = boot_start_state(&life->image, &vm->board.mem, vm->vcpus[0]->fd, err);
	return ret;
}

/* unboot - join the vCPUs and drop the KVM VM; the devices are as at power-on. */
static void unboot(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i])
			vcpu_destroy(vm->vcpus[i]);
	if (vm->board.pci)
		pci_bus_reset(vm->board.pci);
	if (vm->serial)
		serial_reset(vm->serial);
	if (vm->board.platform)
		platform_reset(vm->board.platform);
	irq_bind(&vm->board.irq, -1);
	vm->board.mem.vm_fd = -1;
	if (vm->board.vm_fd >= 0)
		close(vm->board.vm_fd);
	vm->board.vm_fd = -1;
}

static bool stop_is_reset(struct vm *vm)
{
	bool reset;

	pthread_mutex_lock(&vm->lock);
	reset = vm->stop == VM_STOP_RESET;
	pthread_mutex_unlock(&vm->lock);
	return reset;
}

static void reset(struct vm_life *life)
{
	struct vm *vm = &life->vm;

	events_emit_limited(vm->board.events, EVENTS_OF_GUEST, "reset", NULL,
			    json_pack("{s:o}", "reason", events_text(vm->stop_reason)));
	unboot(vm);
	vm_parts_reset(vm);
	gmem_discard(&vm->board.mem);
	if (boot(life, &life->err) || start_vcpus(vm, &life->err))
		/* Stop in place of the reset, unless a stop was requested already. */
		vm_stop(vm, VM_STOP_ERROR, "%s", life->err.msg);
}

static void on_stop(void *arg, uint32_t events)
{
	struct vm_life *life = arg;
	struct vm *vm = &life->vm;
	uint64_t count;

	if (read(vm->stop_fd, &count, sizeof(count)) < 0)
		return;
	if (stop_is_reset(vm)) {
		reset(life);
		return;
	}
	vm_pause_cancel(vm);
	loop_quit(vm->board.loop);
}

static void on_signal(void *arg, uint32_t events)
{
	struct vm_life *life = arg;
	struct signalfd_siginfo si;

	if (read(life->signal_fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGCONT)
		terminal_continue();
	else
		vm_stop(&life->vm, VM_STOP_FORCED, "signal %u (%s)", si.ssi_signo,
			strsignal(si.ssi_signo));
}

/* nohup and shells' background jobs start us with signals ignored: keep them so. */
static bool ignored(int sig)
{
	struct sigaction sa;

	return !sigaction(sig, NULL, &sa) && sa.sa_handler == SIG_IGN;
}

static int watch_signals(struct vm_life *life, struct err *err)
{
	static const int ends[] = { SIGINT, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCONT);
	for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!ignored(ends[i]))
			sigaddset(&set, ends[i]);
	/* Unblock all others that our parent may have blocked: vCPUs are kicked by a signal. */
	sigprocmask(SIG_SETMASK, &set, NULL);
	life->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (life->signal_fd < 0)
		return err_errno(err, "signalfd");
	if (loop_add(life->vm.board.loop, life->signal_fd, EPOLLIN, on_signal, life, NULL))
		return err_set(err, -ENOMEM, "event loop: out of memory");
	return vcpu_signal_init(err);
}

static int check_host(struct vm_life *life, struct err *err)
{
	struct vm *vm = &life->vm;
	double mips = 0;
	int ret;

	vm->kvm_fd = kvm_open(err);
	if (vm->kvm_fd < 0)
		return vm->kvm_fd;
	ret = kvm_check_needed(vm->kvm_fd, err);
	if (ret)
		return ret;
	ret = kvm_measure(vm->kvm_fd, &mips, err);
	if (ret == KVM_SPEED_INTERPRETED && !vm->config->interpreted_ok)
		return err_set(err, -ENOTSUP,
			       "/dev/kvm: interprets kernel code (%.1f million instructions a "
			       "second): a guest would appear to hang (see symvmm check; "
			       "--allow-interpreted runs it anyway)",
			       mips);
	if (ret < 0)
		return ret;
	ret = kvm_check(vm->kvm_fd, KVM_CAP_MAX_VCPUS);
	if (ret && vm->nr_vcpus > (unsigned int)ret)
		return err_set(err, -E2BIG, "--cpus %u: this host's KVM runs at most %d",
			       vm->nr_vcpus, ret);
	life->tsc_deadline = kvm_check(vm->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER);
	life->cpuid = cpuid_get(vm->kvm_fd, err);
	if (!life->cpuid)
		return err->code;
	vm->shared.phys_bits = cpuid_phys_bits(life->cpuid);
	return 0;
}

/* prepare - everything that can fail before the guest runs. */
static int prepare(struct vm_life *life, struct err *err)
{
	struct vm *vm = &life->vm;
	int ret;

	if (vm->config->user && user_find(vm->config->user, &life->user, err))
		return err->code;
	/* First, while there are no threads and hardly any files for the process to inherit. */
	ret = cleanup_start(vm->config->seccomp, err);
	if (!ret)
		ret = net_processes_start(vm->config, &vm->board.net_processes, err);
	if (!ret)
		ret = boot_open(&life->image, vm->config, err);
	if (!ret && vm->config->cmdline)
		cmdline_check(vm->config->cmdline);
	if (!ret && life->image.missing[0])
		log_warn("%s: build one there, install symkit-dkms in the guest, or start with "
			 "--symbiotic off",
			 life->image.missing);
	if (!ret)
		ret = control_reserve(vm->config->name, &life->control, err);
	if (!ret)
		ret = check_host(life, err);
	if (ret)
		return ret;
	vm->control = life->control;
	if (loop_create(&vm->board.loop) || events_create(vm->board.loop, &vm->board.events) ||
	    metrics_create(vm->config->name, &vm->board.metrics))
		return err_set(err, -ENOMEM, "event loop: out of memory or file descriptors");
	ret = watch_signals(life, err);
	if (!ret)
		ret = vm_pause_init(vm, err);
	if (!ret)
		ret = vm_build(vm, err);
	if (!ret)
		ret = vm_parts_create(vm, err);
	if (ret)
		return ret;
	vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stop_fd < 0 ||
	    loop_add(vm->board.loop, vm->stop_fd, EPOLLIN, on_stop, life, NULL))
		return err_errno(err, "eventfd");
	ret = boot(life, err);
	if (!ret)
		ret = vm_control_start(vm, err);
	if (!ret)
		ret = cleanup_seal(control_lock_fd(life->control), err);
	if (!ret && vm->config->user)
		ret = user_become(&life->user, err);
	if (!ret && vm->config->seccomp)
		ret = seccomp_install(vm->config, err);
	trim_memory();
	return ret;
}

static void announce_stop(struct vm *vm)
{
	events_release(vm->board.events);
	if (vm->stop == VM_STOP_PANIC)
		events_emit(vm->board.events, "panic",
			    json_pack("{s:o}", "reason", events_text(vm->stop_reason)));
	events_emit(vm->board.events, "stopped",
		    json_pack("{s:s, s:o}", "reason", vm_stop_name(vm->stop), "detail",
			      events_text(vm->stop_reason)));
	events_flush(vm->board.events);
}

static void destroy(struct vm_life *life)
{
	struct vm *vm = &life->vm;

	unboot(vm);
	exit_deadline_stage("its services and upcalls");
	vm_parts_destroy(vm);
	exit_deadline_stage("its devices");
	vm_unbuild(vm);
	exit_deadline_stage("its network processes");
	net_processes_stop(vm->board.net_processes);
	exit_deadline_stage("clients of its control socket");
	vm_pause_cancel(vm);
	control_destroy(life->control);
	cleanup_finish(); /* last: it frees the name */
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpus[i])
			free(vm->vcpus[i]->exits);
		free(vm->vcpus[i]);
	}
	events_destroy(vm->board.events);
	metrics_destroy(vm->board.metrics);
	loop_destroy(vm->board.loop);
	boot_close(&life->image);
	free(life->cpuid);
	if (vm->stop_fd >= 0)
		close(vm->stop_fd);
	if (vm->pause.parked_fd >= 0)
		close(vm->pause.parked_fd);
	if (life->signal_fd >= 0)
		close(life->signal_fd);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	pthread_cond_destroy(&vm->cond);
	pthread_mutex_destroy(&vm->lock);
}

/* halt - in any state: no vCPU enters the guest again. */
static void halt(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->state = VM_STOPPED;
	vm->stopping = true;
	__atomic_store_n(&vm->attention, 1, __ATOMIC_SEQ_CST);
	vm_kick_all(vm);
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
}

int vm_run(const struct vm_config *config, struct err *err)
{
	struct vm_life life = {
		.vm = { .config = config,
			.kvm_fd = -1,
			.stop_fd = -1,
			.doorbell_fd = -1,
			.board = { .name = config->name, .vm_fd = -1, .stop = on_board_stop },
			.pause.parked_fd = -1,
			.nr_vcpus = config->cpus },
		.image = { .kernel_fd = -1, .initrd_fd = -1 },
		.signal_fd = -1,
	};
	struct vm *vm = &life.vm;
	pthread_condattr_t attr;
	int ret;

	pthread_mutex_init(&vm->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->cond, &attr);
	pthread_condattr_destroy(&attr);
	irq_init(&vm->board.irq);
	vm->started_ns = clock_boot_ns();
	vm->shared.image = &life.image;
	ret = prepare(&life, err);
	if (!ret)
		ret = start_vcpus(vm, err);
	if (!ret) {
		events_emit(vm->board.events, "started", NULL);
		ret = loop_run(vm->board.loop);
		if (ret)
			vm_stop(vm, VM_STOP_ERROR, "event loop: %s", strerror(-ret));
		halt(vm);
		announce_stop(vm);
		ret = vm->stop;
		if (ret != VM_STOP_POWEROFF)
			err_set(err, 0, "%s: %s", config->name, vm->stop_reason);
	}
	exit_deadline_start(config->name, DESTROY_DEADLINE_MS, ret < 0 ? 1 : vm_stop_status(ret));
	halt(vm);
	destroy(&life);
	exit_deadline_stop();
	return ret;
}

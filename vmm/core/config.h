/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of a VM: filled from the config file and the command line
 * (cli/options.c, one table for both), read by everything else.
 */
#ifndef VMM_CORE_CONFIG_H
#define VMM_CORE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define VM_MAX_CPUS	    64
#define CONFIG_MAX_DISKS    16
#define CONFIG_MAX_NETS	    8
#define CONFIG_MAX_FWDS	    16
#define CONFIG_MAX_SERVICES 16

enum disk_io { DISK_IO_AUTO, DISK_IO_SYNC, DISK_IO_RING };

struct disk_config {
	char *path;
	bool readonly;
	bool notify_exit; /* its notifications exit to userspace, for hooks of services */
	bool raw; /* format=raw was given: no guessing from its contents */
	enum disk_io io; /* how its requests are made; the tests choose */
	char serial[21]; /* virtio-blk serial, at most 20 bytes */
};

enum net_kind { NET_USER, NET_TAP, NET_UNIX };

struct net_fwd {
	bool udp;
	uint32_t host_ip; /* IPv4, host byte order; default: loopback */
	uint16_t host_port;
	uint16_t guest_port;
};

struct net_config {
	enum net_kind kind;
	int fd; /* NET_TAP: an open tap, or -1 to open @ifname */
	char ifname[16];
	char *path; /* NET_UNIX: the socket to connect to */
	uint8_t mac[6]; /* all zero: made from the VM's name and the index */
	struct net_fwd fwd[CONFIG_MAX_FWDS];
	unsigned int nr_fwd;
};

struct vm_config {
	char *name;
	char *kernel;
	char *initrd;
	char *cmdline; /* the user's; boot/ adds to it */
	uint64_t memory; /* bytes */
	unsigned int cpus;
	struct disk_config disks[CONFIG_MAX_DISKS];
	unsigned int nr_disks;
	struct net_config nets[CONFIG_MAX_NETS];
	unsigned int nr_nets;
	bool rng;
	uint32_t vsock_cid; /* 0: none */
	char *vsock_path; /* NULL: NAME.vsock in the runtime folder */
	char *console; /* see host/console.h */
	uint64_t console_limit; /* bytes of a log file; 0: none */
	bool console_virtio; /* the console is virtio, not the serial port */
	bool symbiotic; /* offer the symbiotic interface */
	char *modules; /* folders of guest modules, separated by ':'; NULL: the default */
	char *initrd_modules; /* names, separated by ','; NULL: symbiotic, if there is one */
	char *services[CONFIG_MAX_SERVICES]; /* FILE[,ARGS] */
	unsigned int nr_services;
	uint64_t swapbypass; /* bytes of the window for SwapBypass; 0: none */
	uint64_t swapbypass_limit; /* bytes of it that the guest may use; 0: all */
	char *swapbypass_file; /* NULL: in memory */
	bool seccomp;
	char *user; /* to become, once all files are open; NULL: no change */
	bool interpreted_ok; /* run even if KVM interprets kernel code */
};

#endif

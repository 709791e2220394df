// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's command line: options that symvmm puts before the user's, and warnings about
 * options of Linux that do not work in this VM.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "boot/boot.h"

/*
 * The user can override each: reboot at once after a panic (the VMM reports it, and nobody
 * watches a screen), and do not wait for a keyboard controller.
 */
#define DEFAULTS "panic=-1 i8042.noaux i8042.nokbd"

static const struct {
	const char *key;
	const char *value; /* one of the values, separated by ',', after the '='; NULL: none */
	const char *problem;
} hopeless[] = {
	{ "pci", "nomsi",
	  "virtio devices interrupt by MSI-X only: the guest finds none of them" },
	{ "pci", "off", "all devices are PCI devices: the guest finds none of them" },
	{ "pci", "conf1", "there are no PCI ports: the guest finds no PCI device" },
	{ "pci", "conf2", "there are no PCI ports: the guest finds no PCI device" },
	{ "pci", "nommconf", "there are no PCI ports: the guest finds no PCI device" },
	{ "acpi", "off", "the PCI bus is found by ACPI only: the guest finds no PCI device" },
	{ "nolapic_timer", NULL, "the guest has no other timer: it does not boot" },
	{ "noapictimer", NULL, "the guest has no other timer: it does not boot" },
	{ "nolapic", NULL, "the guest has no other interrupt controller: it does not boot" },
	{ "disableapic", NULL, "the guest has no other interrupt controller: it does not boot" },
};

/* Is @word @key, or "@key=..." with @value in its list? */
static bool is_option(char *word, const char *key, const char *value)
{
	char *name = strsep(&word, "="), *item;

	if (strcmp(name, key))
		return false;
	if (!value)
		return !word;
	while ((item = strsep(&word, ",")))
		if (!strcmp(item, value))
			return true;
	return false;
}

void cmdline_check(const char *cmdline)
{
	for (unsigned int i = 0; i < sizeof(hopeless) / sizeof(hopeless[0]); i++) {
		char *copy = strdup(cmdline), *rest = copy, *word;

		while ((word = strsep(&rest, " ")))
			if (is_option(word, hopeless[i].key, hopeless[i].value)) {
				log_warn("--cmdline %s%s%s: %s", hopeless[i].key,
					 hopeless[i].value ? "=" : "",
					 hopeless[i].value ? hopeless[i].value : "",
					 hopeless[i].problem);
				break;
			}
		free(copy);
	}
}

char *cmdline_make(const struct boot_image *img, int vcpu_fd)
{
	const struct vm_config *config = img->config;
	const char *user = config->cmdline ? config->cmdline : "";
	char tsc[40] = "", *line;
	int khz = vcpu_fd < 0 ? 0 : ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	/* Without KVM's clock the guest has no legacy timer to measure it with. */
	if (khz > 0)
		snprintf(tsc, sizeof(tsc), " tsc_early_khz=%d", khz);
	if (asprintf(&line, "console=%s %s%s%s%s", config->console_virtio ? "hvc0" : "ttyS0",
		     DEFAULTS, tsc, *user ? " " : "", user) < 0)
		return NULL;
	return line;
}

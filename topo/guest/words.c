// SPDX-License-Identifier: BSD-2-Clause
// words.c - the QEMU command line of a guest
#include "topo/guest/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MEMORY_MB 128
/* x86's limit for the kernel command line. */
#define APPEND_MAX 2047

#define VIRTIO "virtio-net-pci"

/* Our word for a NIC, and QEMU's. */
static const struct {
	const char *name;
	const char *device;
} nics[] = {
	{"virtio", VIRTIO},
	{"e1000", "e1000"},
	{"e1000e", "e1000e"},
	{"vmxnet3", "vmxnet3"},
	{"rtl8139", "rtl8139"},
	{"pcnet", "pcnet"},
};

void words_add(struct words *words, const char *format, ...)
{
	va_list args;
	char **list;
	int n;

	if (words->failed)
		return;
	list = realloc(words->list, (words->count + 2) * sizeof(*list));
	if (list)
		words->list = list;
	va_start(args, format);
	n = list ? vasprintf(&list[words->count], format, args) : -1;
	va_end(args);
	if (n < 0) {
		words->failed = true;
		if (list)
			list[words->count] = NULL;
		return;
	}
	list[++words->count] = NULL;
}

void words_free(struct words *words)
{
	size_t i;

	for (i = 0; i < words->count; i++)
		free(words->list[i]);
	free(words->list);
	memset(words, 0, sizeof(*words));
}

const char *guest_qemu(void)
{
	const char *qemu = getenv("WEFT_GUEST_QEMU");

	return qemu && *qemu ? qemu : "qemu-system-x86_64";
}

/* A MAC that stays the same for the same name: QEMU's prefix and a hash (FNV-1a). */
static void default_mac(const char *name, char mac[18])
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	snprintf(mac, 18, "52:54:00:%02x:%02x:%02x", hash >> 16 & 0xff, hash >> 8 & 0xff,
		hash & 0xff);
}

/* Words as an operator pastes them: split at white space, a backslash at a line's end is white
 * space too. They are for KVM: under TCG QEMU 7.2 dies of a vhost-user NIC that has MSI-X. */
static int add_pasted(struct words *words, const char *text, bool kvm)
{
	bool no_msix = !kvm && strstr(text, "vhost-user");
	char *copy = strdup(text), *next = copy, *word;

	if (!copy)
		return -ENOMEM;
	while ((word = strsep(&next, " \t\r\n")))
		if (*word && strcmp(word, "\\"))
			words_add(words, "%s%s", word,
				no_msix && !strncmp(word, VIRTIO ",", strlen(VIRTIO ","))
					? ",vectors=0"
					: "");
	free(copy);
	return 0;
}

static int add_nic(
	struct guest *guest, const struct guest_spec *spec, bool kvm, struct words *words)
{
	const char *nic = spec->nic ? spec->nic : nics[0].name, *device = NULL;
	char mac[18];
	size_t i;

	if (spec->qemu_net)
		return add_pasted(words, spec->qemu_net, kvm);
	for (i = 0; i < sizeof(nics) / sizeof(nics[0]); i++)
		if (!strcmp(nic, nics[i].name))
			device = nics[i].device;
	if (!device)
		return guest_fail(guest, EINVAL,
			"unknown NIC '%s': virtio, e1000, e1000e, vmxnet3, rtl8139 or pcnet", nic);
	if (!spec->tap)
		return 0;
	default_mac(guest->name, mac);
	words_add(words, "-netdev");
	words_add(words, "tap,id=n0,ifname=%s,script=no,downscript=no", spec->tap);
	words_add(words, "-device");
	words_add(words, "%s,netdev=n0,mac=%s", device, spec->mac ? spec->mac : mac);
	return 0;
}

/* One weft.KEY=VALUE; a blank in the value would make it two words. */
static int add_parameter(struct guest *guest, char *append, const char *key, const char *value)
{
	size_t len = strlen(append);

	if (!value)
		return 0;
	if (!*value || strpbrk(value, " \t\n\"'"))
		return guest_fail(guest, EINVAL, "bad value for %s: '%s'", key, value);
	snprintf(append + len, APPEND_MAX + 1 - len, " weft.%s=%s", key, value);
	return 0;
}

static int kernel_words(struct guest *guest, const struct guest_spec *spec, char *append)
{
	char mtu[16];
	int err;

	/* A panic ends QEMU (with -no-reboot), so that nobody waits for a dead guest. */
	strcpy(append, "console=ttyS0 quiet panic=-1");
	snprintf(mtu, sizeof(mtu), "%u", spec->mtu);
	err = add_parameter(guest, append, "name", guest->name);
	if (!err)
		err = add_parameter(guest, append, "ip", spec->addresses);
	if (!err)
		err = add_parameter(guest, append, "gw", spec->gateways);
	if (!err)
		err = add_parameter(guest, append, "modules", spec->modules);
	if (!err)
		err = add_parameter(guest, append, "mtu", spec->mtu ? mtu : NULL);
	if (!err)
		err = add_parameter(guest, append, "nginx", spec->nginx ? "1" : NULL);
	if (err)
		return err;
	if (spec->append) {
		size_t len = strlen(append);

		snprintf(append + len, APPEND_MAX + 1 - len, " %s", spec->append);
	}
	if (strlen(append) == APPEND_MAX)
		return guest_fail(
			guest, E2BIG, "guest %s: kernel command line too long", guest->name);
	return 0;
}

/* Kernel and initrd; checked here because QEMU's own message does not say what to do. */
static int add_image(struct guest *guest, const char *image, struct words *words)
{
	static const char *const parts[][2] = {{"-kernel", "vmlinuz"}, {"-initrd", "initrd"}};
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", image, parts[i][1]);
		if (access(path, R_OK))
			return guest_fail(guest, errno,
				"no guest image: %s: %m (make one with "
				"topo/guest/build.sh)",
				path);
		words_add(words, "%s", parts[i][0]);
		words_add(words, "%s", path);
	}
	return 0;
}

static void add_sockets(struct guest *guest, struct words *words)
{
	words_add(words, "-chardev");
	words_add(words, "file,id=console,path=%s/console.log", guest->dir);
	words_add(words, "-serial");
	words_add(words, "chardev:console");
	words_add(words, "-qmp");
	words_add(words, "unix:%s/qmp.sock,server=on,wait=off", guest->dir);
	words_add(words, "-device");
	words_add(words, "virtio-serial-pci");
	words_add(words, "-chardev");
	words_add(words, "socket,id=agent,path=%s/agent.sock,server=on,wait=off", guest->dir);
	words_add(words, "-device");
	words_add(words, "virtserialport,chardev=agent,name=weft.agent");
}

int guest_words(
	struct guest *guest, const struct guest_spec *spec, const char *accel, struct words *words)
{
	char append[APPEND_MAX + 1];
	char *const *extra;
	int err;

	err = kernel_words(guest, spec, append);
	if (err)
		return err;
	words_add(words, "%s", guest_qemu());
	words_add(words, "-name");
	words_add(words, "%s", guest->name);
	words_add(words, "-M");
	words_add(words, "q35,accel=%s", accel);
	words_add(words, "-cpu");
	words_add(words, "%s", strcmp(accel, "kvm") ? "qemu64" : "host");
	words_add(words, "-m");
	words_add(words, "%u", spec->memory_mb ? spec->memory_mb : DEFAULT_MEMORY_MB);
	words_add(words, "-nodefaults");
	words_add(words, "-no-user-config");
	words_add(words, "-no-reboot");
	words_add(words, "-display");
	words_add(words, "none");
	err = add_image(guest, spec->image, words);
	if (err)
		return err;
	words_add(words, "-append");
	words_add(words, "%s", append);
	add_sockets(guest, words);
	err = add_nic(guest, spec, !strcmp(accel, "kvm"), words);
	for (extra = spec->extra; !err && extra && *extra; extra++)
		words_add(words, "%s", *extra);
	if (!err && words->failed)
		err = guest_fail(guest, ENOMEM, "out of memory");
	return err;
}

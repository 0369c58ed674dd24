// SPDX-License-Identifier: BSD-2-Clause
// The words that a hypervisor needs to open a port: what all types of NIC have, and the command.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "daemon/port.h"

enum { MEMORY_MAX_MB = 16 << 20 };

// Stable: from the uuid of this weftd and the port's name. 02 is locally administered.
void port_guest_mac(struct weftd *weftd, const struct object *object, char text[18])
{
	const char *given = spec_text(object->spec, "mac", NULL);
	char name[128];
	int length = snprintf(name, sizeof(name), "%s:%s", weftd->uuid, object->name);
	u64 hash = XXH64(name, (size_t)length, 0);
	if (given)
		snprintf(text, 18, "%s", given);
	else
		snprintf(text, 18, "02:%02x:%02x:%02x:%02x:%02x", (u8)(hash >> 32),
			(u8)(hash >> 24), (u8)(hash >> 16), (u8)(hash >> 8), (u8)hash);
}

static void print(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print(char **out, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	if (vasprintf(out, format, list) < 0)
		abort();
	va_end(list);
}

void port_guest(struct weftd *weftd, const struct object *object, struct port_guest *guest)
{
	long long queues = spec_number(object->spec, "queues", 1);
	u32 mtu = port_mtu(weftd, object->spec);
	bool digit = object->name[0] >= '0' && object->name[0] <= '9'; // QEMU wants a letter first
	char vectors[48] = "", driver[64] = "";
	snprintf(guest->id, sizeof(guest->id), "%s%s", digit ? "port-" : "", object->name);
	port_guest_mac(weftd, object, guest->mac);
	if (queues > 1) {
		snprintf(vectors, sizeof(vectors), ",mq=on,vectors=%lld", 2 * queues + 2);
		snprintf(driver, sizeof(driver), "  <driver queues='%lld'/>\n", queues);
	}
	print(&guest->device, "-device virtio-net-pci,netdev=%s,mac=%s%s,host_mtu=%u", guest->id,
		guest->mac, vectors, mtu);
	print(&guest->interface,
		"  <model type='virtio'/>\n"
		"%s"
		"  <mtu size='%u'/>\n"
		"</interface>\n",
		driver, mtu);
}

void port_guest_free(struct port_guest *guest)
{
	free(guest->device);
	free(guest->interface);
}

static char *words(struct request *request, const struct object *object, const char *form)
{
	const struct port_type *type = port_type_of(object->spec);
	long long memory_mb = spec_number(request->arguments, "memory_mb", 1024);
	bool qemu = strcmp(form, "qemu") == 0;
	if (qemu ? type->qemu != NULL : type->libvirt != NULL)
		return qemu ? type->qemu(request->weftd, object, (u32)memory_mb)
			    : type->libvirt(request->weftd, object);
	fail(&request->failure, -EINVAL, "bad_value",
		"port %s is of type %s, which %s does not open", object->name, type->name, form);
	fail_hint(&request->failure, "ports of type tap and vhost-user are for VMs");
	return NULL;
}

static int run_words(struct request *request)
{
	const char *name = spec_text(request->arguments, "name", "");
	const char *form = spec_text(request->arguments, "form", "");
	const struct object *object = object_find(request->weftd, &noun_port, name);
	if (!object)
		return fail(&request->failure, -ENOENT, "not_found", "there is no port %s", name);
	char *text = words(request, object, form);
	if (!text)
		return request->failure.code
			       ? request->failure.code
			       : fail(&request->failure, -ENOMEM, "no_memory", "out of memory");
	if (request->json) {
		text[strlen(text) - 1] = '\0'; // its line ends there
		request->result = json_pack("[{s:s, s:s}]", "name", name, form, text);
		free(text);
	} else {
		request->text = text;
	}
	return 0;
}

static const struct argument words_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "port", 0, 0,
		NULL, "the port"},
	{"form", NULL, ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, "qemu|libvirt",
		NULL, 0, 0, NULL, "whose words"},
	{"memory", "memory_mb", ARGUMENT_NUMBER, 0, NULL, NULL, 1, MEMORY_MAX_MB, "1024",
		"vhost-user: MiB of memory that the VM has, for QEMU"},
	{0},
};

const struct command port_commands[] = {
	{"port", "show", words_arguments, "Show what a hypervisor needs to open a port", NULL,
		run_words, NULL},
	{0},
};

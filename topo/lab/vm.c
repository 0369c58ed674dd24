// SPDX-License-Identifier: BSD-2-Clause
// vm.c - nodes of kind vm: a QEMU guest behind a tap or vhost-user port of a host
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/guest/guest.h"
#include "topo/lab/client.h"
#include "topo/lab/host.h"
#include "topo/lab/journal.h"
#include "topo/lab/netns.h"
#include "topo/lab/process.h"
#include "topo/lab/shipped.h"

enum { BOOT_MS = 120000, SLICE_MS = 500, LIST_MAX = 512, MEMORY_MB = 128 };

#define VHOST "vhost-user"

// Debian's cloud kernel knows few NICs and boots fastest.
static const struct {
	const char *nic;
	const char *kernel;
	const char *image; // shipped_cache
} nics[] = {
	{"virtio", "cloud", "guest"},
	{"vmxnet3", "cloud", "guest"},
	{"e1000", "generic", "guest-generic"},
	{"e1000e", "generic", "guest-generic"},
	{"rtl8139", "generic", "guest-generic"},
	{"pcnet", "generic", "guest-generic"},
};
enum { NICS = sizeof(nics) / sizeof(*nics) };

static size_t find_nic(const char *name)
{
	size_t i;

	for (i = 0; name && i < NICS && strcmp(name, nics[i].nic) != 0; i++)
		;
	return i;
}

static int read_nic(struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	int err = read_text(lab, field, value, to);

	if (!err && find_nic(value->text) == NICS)
		return lab_wrong(lab, value,
			"unknown NIC '%.32s', expected virtio, vmxnet3, e1000, e1000e, rtl8139 or "
			"pcnet",
			value->text);
	return err;
}

static int read_port_type(
	struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	int err = read_text(lab, field, value, to);

	if (!err && strcmp(value->text, "tap") != 0 && strcmp(value->text, VHOST) != 0)
		return lab_wrong(
			lab, value, "unknown type '%.32s', expected tap or " VHOST, value->text);
	return err;
}

static const struct field fields[] = {
	NODE_FIELDS,
	{"host", read_text, offsetof(struct node, host_name), .required = true},
	{"port", read_text, offsetof(struct node, port)},
	{"port_type", read_port_type, offsetof(struct node, port_type)},
	{"network", read_text, offsetof(struct node, network)},
	{"gateways", read_vias, offsetof(struct node, gateways)},
	{"mtu", read_number, offsetof(struct node, mtu), .min = 68, .max = 65535},
	{"nic", read_nic, offsetof(struct node, nic)},
	{"memory_mb", read_number, offsetof(struct node, memory_mb), .min = 96, .max = 65536},
	{"image", read_text, offsetof(struct node, image)},
	{"nginx", read_bool, offsetof(struct node, nginx)},
	{"append", read_text, offsetof(struct node, append)},
	{NULL},
};

static bool is_virtio(const struct node *node)
{
	return !node->nic || !strcmp(node->nic, "virtio");
}

// A lab whose engine is not the file's own runs all the same: on a tap.
static void follow_engine(struct lab *lab, struct node *node)
{
	if (!lab->engine || !node->port_type || !strcmp(lab->engine, "dpdk"))
		return;
	if (strcmp(node->port_type, VHOST) == 0)
		fprintf(stderr, "weftlab: the engine is %s: VM %s is behind a tap\n", lab->engine,
			node->name);
	node->port_type = NULL;
}

static int check(struct lab *lab, struct node *node)
{
	const char *type = tree_text(host_object(node->host, "ports", node->port), "type");

	if (type && node->port_type)
		return lab_wrong(lab, node->entry.at,
			"port %s of %s has its type among the objects: leave out `port_type`",
			node->port, node->host_name);
	follow_engine(lab, node);
	type = type ? type : node->port_type;
	if (type && strcmp(type, "tap") != 0 && strcmp(type, VHOST) != 0)
		return lab_wrong(lab, node->entry.at,
			"VM %s needs a port of type tap or " VHOST
			", and port %s of %s is of type %s",
			node->name, node->port, node->host_name, type);
	if (!type || strcmp(type, VHOST) != 0)
		return 0;
	if (strcmp(node_engine(lab, node->host), "dpdk") != 0)
		return lab_wrong(lab, node->entry.at,
			"VM %s is behind a port of type " VHOST
			": its host %s needs `engine: dpdk`",
			node->name, node->host_name);
	return is_virtio(node) ? 0
			       : lab_wrong(lab, node->entry.at,
					 "VM %s is behind a port of type " VHOST
					 ": its `nic` can only be virtio",
					 node->name);
}

static void image_path(const struct node *node, char path[PATH_MAX])
{
	if (node->image)
		snprintf(path, PATH_MAX, "%s", node->image);
	else
		shipped_cache(nics[find_nic(node->nic)].image, path);
}

// Makes the image if there is none yet.
static int make_image(struct lab *lab, struct node *node)
{
	const char *kernel = nics[find_nic(node->nic ? node->nic : "virtio")].kernel;
	char image[PATH_MAX], kernel_file[PATH_MAX + 16], script[PATH_MAX], cache[PATH_MAX];

	image_path(node, image);
	snprintf(kernel_file, sizeof(kernel_file), "%s/initrd", image);
	if (!access(kernel_file, R_OK))
		return 0;
	if (node->image)
		return lab_fail(lab, ENOENT,
			"%s: there is no guest image %s (topo/guest/build.sh makes one)",
			node->name, image);
	shipped_cache("guest-cache", cache);
	if (!shipped_path("guest/build.sh", script))
		return lab_fail(lab, ENOENT,
			"there is no guest image %s, and no guest/build.sh that makes one: set "
			"WEFT_TOPO to the folder topo of weft's sources",
			image);
	printf("making a guest image in %s\n", image);
	return process_run(lab, NULL,
		(char *[]){script, "-k", (char *)kernel, "-o", image, "-c", cache, NULL}, NULL);
}

// "a,b,c"; NULL: none.
static const char *join(const struct tree *list, char text[LIST_MAX])
{
	const struct tree *one = tree_item(list, NULL);
	size_t used = 0;

	for (; one && used < LIST_MAX; one = tree_item(list, one))
		used += (size_t)snprintf(
			text + used, LIST_MAX - used, "%s%s", used ? "," : "", one->text);
	return used ? text : NULL;
}

// The operator's words; for other NICs than virtio the device and address in them.
static int read_port(
	struct lab *lab, struct node *node, struct guest_spec *spec, char **words, json_t **port)
{
	char *name = (char *)node->port, *out = NULL, memory[16];
	int err;

	spec->nic = node->nic;
	if (is_virtio(node)) {
		snprintf(memory, sizeof(memory), "%u", spec->memory_mb);
		err = host_ctl(lab, node->host,
			(char *[]){"port", "show", name, "qemu", "memory", memory, NULL}, words);
		spec->qemu_net = *words;
		return err;
	}
	err = host_ctl(lab, node->host, (char *[]){"-j", "port", "show", name, NULL}, &out);
	if (err)
		return err;
	*port = json_loads(out, 0, NULL);
	free(out);
	spec->tap = json_string_value(json_object_get(json_array_get(*port, 0), "dev"));
	spec->mac = json_string_value(json_object_get(json_array_get(*port, 0), "mac"));
	return spec->tap ? 0 : lab_fail(lab, EIO, "%s: port %s has no device", node->name, name);
}

// QEMU is born in the host's namespace.
static int start_guest(struct lab *lab, struct node *node, const struct guest_spec *spec)
{
	char netns[NAME_MAX];
	struct guest guest;
	int home, err;

	if (guest_open(&guest, lab->dir, node->name))
		return lab_fail(lab, EINVAL, "%s", guest.why);
	node_netns(lab, node->host, netns);
	home = netns_enter(lab, netns);
	if (home < 0)
		return home;
	err = guest_start(&guest, spec);
	netns_leave(home);
	return err ? lab_fail(lab, -err, "%s", guest.why) : 0;
}

static int boot(struct lab *lab, struct node *node)
{
	const char *eth0;
	char image[PATH_MAX], addresses[LIST_MAX], gateways[LIST_MAX], *words = NULL;
	struct guest_spec spec = {
		.image = image,
		.memory_mb = node->memory_mb ? node->memory_mb : MEMORY_MB,
		.append = node->append,
		.mtu = node->mtu,
		.nginx = node->nginx,
	};
	json_t *port = NULL;
	int err;

	image_path(node, image);
	spec.addresses = join(node_places(node, NULL, &eth0), addresses); // it has no other
	spec.gateways = join(node->gateways, gateways);
	err = read_port(lab, node, &spec, &words, &port);
	if (!err)
		err = journal_add(lab, "guest", node->name);
	if (!err)
		err = start_guest(lab, node, &spec);
	json_decref(port);
	free(words);
	return err;
}

static int wait_for_agent(struct lab *lab, struct node *node)
{
	struct guest guest;
	int err = guest_open(&guest, lab->dir, node->name);

	// In slices, so that an interrupt is seen.
	for (int ms = 0; !err && ms < BOOT_MS; ms += SLICE_MS) {
		if (process_interrupted())
			return lab_fail(lab, EINTR, "interrupted");
		err = guest_wait(&guest, SLICE_MS);
		if (!err || !guest_pid(&guest))
			break;
		err = ms + SLICE_MS < BOOT_MS ? 0 : err;
	}
	return err ? lab_fail(lab, -err, "%s", guest.why) : 0;
}

static pid_t pid(const struct lab *lab, const struct node *node)
{
	struct guest guest;

	return guest_open(&guest, lab->dir, node->name) ? 0 : guest_pid(&guest);
}

int vm_stop(struct lab *lab, const char *name)
{
	struct guest guest;
	int err = guest_open(&guest, lab->dir, name);

	if (!err)
		err = guest_stop(&guest);
	return err && err != -ENOENT ? lab_fail(lab, -err, "%s", guest.why) : 0;
}

static int end(struct lab *lab, struct node *node, bool kill)
{
	return kill ? process_kill(lab, pid(lab, node)) : vm_stop(lab, node->name);
}

static int exec_in_guest(struct lab *lab, struct node *node, char **argv)
{
	char program[PATH_MAX];
	size_t count = 0;
	char **words;

	while (argv[count])
		count++;
	words = calloc(count + 6, sizeof(*words));
	process_beside("weft-guest", program);
	words[0] = program;
	words[1] = "--run-dir";
	words[2] = lab->dir;
	words[3] = "exec";
	words[4] = (char *)node->name;
	memcpy(words + 5, argv, count * sizeof(*words));
	execv(program, words);
	free(words);
	return lab_fail(lab, errno, "%s: %m", program);
}

const struct kind kind_vm = {
	.name = "vm",
	.fields = fields,
	.rank = 0,
	.check = check,
	.passes = {[PASS_DEVICES] = make_image, [PASS_BOOT] = boot, [PASS_BOOTED] = wait_for_agent},
	.pid = pid,
	.end = end,
	.exec = exec_in_guest,
	.makes_device = guest_makes_device,
};

// SPDX-License-Identifier: BSD-2-Clause
// host.c - nodes of kind host: a namespace with a weftd of its own, and its objects
#include "topo/lab/host.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "topo/lab/client.h"
#include "topo/lab/process.h"

enum { READY_MS = 30000, WORDS_MAX = 16 };

#define ENGINES "ebpf, dpdk or sim"

static bool is_engine(const char *text)
{
	return !strcmp(text, "ebpf") || !strcmp(text, "dpdk") || !strcmp(text, "sim");
}

// weftd itself says what is wrong with their values.
static const struct field dpdk_fields[] = {
	{"cores", read_text, offsetof(struct dpdk, cores)},
	{"memory_mb", read_number, offsetof(struct dpdk, memory_mb), .min = 1, .max = 1 << 20},
	{"pages", read_text, offsetof(struct dpdk, pages)},
	{"flow_slots", read_number, offsetof(struct dpdk, flow_slots), .min = 1, .max = 1 << 24},
	{NULL},
};

static int read_engine(
	struct lab *lab, const struct field *field, const struct tree *value, void *to)
{
	int err = read_text(lab, field, value, to);

	if (!err && !is_engine(value->text))
		return lab_wrong(
			lab, value, "unknown engine '%.32s', expected %s", value->text, ENGINES);
	return err;
}

static const struct field fields[] = {
	NETNS_FIELDS,
	{"engine", read_engine, offsetof(struct node, engine)},
	{"dpdk", read_map, offsetof(struct node, dpdk), .fields = dpdk_fields},
	{"objects", read_tree, offsetof(struct node, objects)},
	{"apply", read_text, offsetof(struct node, apply)},
	{NULL},
};

static int check(struct lab *lab, struct node *node)
{
	if (lab->engine && !is_engine(lab->engine))
		return lab_fail(
			lab, EINVAL, "unknown engine '%.32s', expected %s", lab->engine, ENGINES);
	if (node->objects && node->objects->type != TREE_MAP && !tree_is_null(node->objects))
		return lab_wrong(lab, node->objects,
			"expected objects here, such as `networks: [{name: blue}]`");
	return 0;
}

// What `network: N` of a guest stands for.
static json_t *guest_port(const struct node *guest)
{
	if (guest->kind == &kind_client)
		return json_pack("{s:s, s:s, s:s, s:s}", "name", guest->port, "type", "device",
			"dev", client_port_device(guest), "network", guest->network);
	return json_pack("{s:s, s:s, s:s}", "name", guest->port, "type",
		guest->port_type ? guest->port_type : "tap", "network", guest->network);
}

json_t *host_objects(const struct lab *lab, const struct node *host)
{
	json_t *objects = host->objects && host->objects->type == TREE_MAP
				  ? tree_json(host->objects)
				  : json_object();

	for_each_node (guest, lab) {
		if (guest->host != host || !guest->network)
			continue;
		if (!json_is_array(json_object_get(objects, "ports")))
			json_object_set_new(objects, "ports", json_array());
		json_array_append_new(json_object_get(objects, "ports"), guest_port(guest));
	}
	return objects;
}

void host_socket(const struct lab *lab, const struct node *host, char path[PATH_MAX])
{
	node_path(lab, host, "run/weftd.sock", path);
}

// Where weftd says that it is ready.
static int open_notify(struct lab *lab, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		abort(); // names are short (LAB_NAME_MAX)
	strcpy(address.sun_path, path);
	unlink(path); // of a weftd before this one
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	lab_fail(lab, errno, "%s: %m", path);
	if (fd >= 0)
		close(fd);
	return -EIO;
}

// Settings that have no option. JSON is YAML.
static int write_config(struct lab *lab, const struct node *node, const char *path)
{
	const struct dpdk *dpdk = &node->dpdk;
	json_t *config =
		json_pack("{s:{s:s*, s:s*}}", "dpdk", "cores", dpdk->cores, "pages", dpdk->pages);
	json_t *section = json_object_get(config, "dpdk");
	int err;

	if (dpdk->memory_mb)
		json_object_set_new(section, "memory_mb", json_integer(dpdk->memory_mb));
	if (dpdk->flow_slots)
		json_object_set_new(section, "flow_slots", json_integer(dpdk->flow_slots));
	err = json_dump_file(config, path, JSON_INDENT(2));
	json_decref(config);
	return err ? lab_fail(lab, EIO, "cannot write %s", path) : 0;
}

static int start(struct lab *lab, struct node *node)
{
	char program[PATH_MAX], state[PATH_MAX], run[PATH_MAX], bpf[PATH_MAX], notify[PATH_MAX];
	char env[PATH_MAX + 32], config[PATH_MAX];
	char *argv[] = {program, "--name", (char *)node->name, "--engine",
		(char *)node_engine(lab, node), "--state-dir", state, "--run-dir", run, "--bpf-dir",
		bpf, "--config", config, NULL};
	int ready, pidfd;

	process_beside("weftd", program);
	if (access(program, X_OK)) // installed
		process_beside("../sbin/weftd", program);
	node_path(lab, node, "state", state);
	node_path(lab, node, "run", run);
	node_path(lab, node, "notify", notify);
	node_path(lab, node, "weftd.yaml", config);
	if (write_config(lab, node, config))
		return -EIO;
	snprintf(bpf, sizeof(bpf), "%s/.bpf", lab->dir);
	snprintf(env, sizeof(env), "NOTIFY_SOCKET=%s", notify);
	ready = open_notify(lab, notify);
	if (ready < 0)
		return ready;
	pidfd = process_start(lab, node,
		&(struct daemon){
			.name = "weftd", .argv = argv, .env = (char *[]){env, NULL}, .out = -1});
	if (pidfd < 0) {
		close(ready);
		return pidfd;
	}
	node->waiting = (struct waiting){.ready = ready, .pidfd = pidfd};
	return 0;
}

int host_ctl(struct lab *lab, const struct node *host, char *const *words, char **out)
{
	char program[PATH_MAX], socket[PATH_MAX];
	char *argv[WORDS_MAX] = {program, "-s", socket};

	process_beside("weftctl", program);
	host_socket(lab, host, socket);
	for (size_t i = 0; words[i] && i < WORDS_MAX - 4; i++)
		argv[i + 3] = words[i];
	return process_run(lab, host, argv, out);
}

// The object that weftctl complains of: "h1: weftctl: ports: web1: ...".
static const struct tree *find_object(const struct node *node, const char *why)
{
	char list[32], name[LAB_NAME_MAX + 1];
	const struct tree *at = NULL;

	if (sscanf(why, "%*[^:]: weftctl: %31[^:]: %32[^:]:", list, name) == 2)
		at = host_object(node, list, name);
	return at ? at : node->objects;
}

// So that hosts know each other's probes, and a packet by the same identity.
static int give_probe_key(struct lab *lab, json_t *objects)
{
	json_t *host = json_object_get(objects, "host");
	uint64_t secret[2];

	if (!*lab->probe_key) {
		if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
			return lab_fail(lab, errno, "getrandom: %m");
		snprintf(lab->probe_key, sizeof(lab->probe_key), "%016" PRIx64 "%016" PRIx64,
			secret[0], secret[1]);
	}
	if (!host)
		json_object_set_new(objects, "host", host = json_object());
	if (!json_object_get(host, "probe_key"))
		json_object_set_new(host, "probe_key", json_string(lab->probe_key));
	return 0;
}

static int apply(struct lab *lab, struct node *node)
{
	json_t *objects = host_objects(lab, node);
	char path[PATH_MAX], why[LAB_WHY_LEN];
	int err = give_probe_key(lab, objects);

	node_path(lab, node, "objects.json", path);
	if (!err)
		err = json_dump_file(objects, path, JSON_INDENT(2))
			      ? lab_fail(lab, EIO, "cannot write %s", path)
			      : host_ctl(lab, node, (char *[]){"apply", path, NULL}, NULL);
	json_decref(objects);
	if (err == -EREMOTEIO && node->objects) {
		strcpy(why, lab->why);
		err = lab_wrong(lab, find_object(node, why), "%.900s", why);
	}
	return err;
}

static int wait_until_ready(struct lab *lab, struct node *node)
{
	int err = process_wait(node->waiting.ready, node->waiting.pidfd, READY_MS);

	close(node->waiting.ready);
	close(node->waiting.pidfd);
	if (err == -EINTR)
		return lab_fail(lab, EINTR, "interrupted");
	return err ? process_fail(
			     lab, node, "weftd", -err, err == -ETIMEDOUT ? "is not ready" : "ended")
		   : 0;
}

static pid_t pid(const struct lab *lab, const struct node *node)
{
	return process_pid(lab, node, "weftd");
}

static int end(struct lab *lab, struct node *node, bool kill)
{
	char pid_file[PATH_MAX];

	node_path(lab, node, "weftd.pid", pid_file);
	return process_end(lab, pid_file, kill ? SIGKILL : SIGTERM);
}

// "3 ports, 2 up"
static void notes(struct lab *lab, const struct node *node, char *text, size_t size)
{
	char *out = NULL;
	json_t *ports, *port;
	size_t i, up = 0;

	text[0] = 0;
	if (host_ctl(lab, node, (char *[]){"-j", "port", "show", NULL}, &out))
		return;
	ports = json_loads(out, 0, NULL);
	json_array_foreach (ports, i, port) {
		const char *state = json_string_value(json_object_get(port, "state"));

		up += state && !strcmp(state, "up");
	}
	snprintf(text, size, "ports: %zu of %zu up", up, json_array_size(ports));
	json_decref(ports);
	free(out);
}

const struct kind kind_host = {
	.name = "host",
	.fields = fields,
	.rank = 1,
	.netns = true,
	.check = check,
	.passes = {[PASS_START] = start, [PASS_READY] = wait_until_ready, [PASS_OBJECTS] = apply},
	.pid = pid,
	.end = end,
	.notes = notes,
};

// SPDX-License-Identifier: BSD-2-Clause
// Ports of type vhost-user: a VM's NIC through a socket and memory shared with QEMU.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/owner.h"
#include "daemon/port_types.h"

enum { SOCKET_MAX_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

static void vhost_path(struct weftd *weftd, const json_t *spec, char path[PORT_PATH_BYTES])
{
	const char *given = spec_text(spec, "socket", NULL);
	if (given)
		snprintf(path, PORT_PATH_BYTES, "%s", given);
	else
		snprintf(path, PORT_PATH_BYTES, "%s/vhost/%s.sock", weftd->settings.run_dir,
			spec_text(spec, "name", ""));
}

static bool is_client(const json_t *spec)
{
	return strcmp(spec_text(spec, "socket_mode", "server"), "client") == 0;
}

// The path stands in QEMU's words and in XML as it is.
static int check_socket(struct weftd *weftd, const char *path, struct failure *failure)
{
	size_t run_dir = strlen(weftd->settings.run_dir);
	if (strncmp(path, weftd->settings.run_dir, run_dir) == 0 &&
		strcmp(path + run_dir, "/weftd.sock") == 0)
		return fail(failure, -EEXIST, "in_use", "%s is weftd's own socket", path);
	if (*path != '/') {
		fail(failure, -EINVAL, "bad_value", "socket %s is no whole path", path);
		return fail_hint(failure, "give it from / on");
	}
	if (strpbrk(path, " ,'\"<>&")) {
		fail(failure, -EINVAL, "bad_value",
			"the socket's path %s has a character that hypervisors read as something "
			"else (a blank or , ' \" < > &)",
			path);
		return fail_hint(failure, "say `socket PATH` with another one");
	}
	if (strlen(path) <= SOCKET_MAX_BYTES)
		return 0;
	fail(failure, -EINVAL, "bad_value",
		"the socket's path %s is longer than the %d bytes that the kernel takes", path,
		SOCKET_MAX_BYTES);
	return fail_hint(failure,
		"say `socket PATH` with a shorter one, or start weftd with a shorter --run-dir");
}

static int vhost_check(
	struct weftd *weftd, const json_t *spec, const struct link *link, struct failure *failure)
{
	char path[PORT_PATH_BYTES];
	struct owner owner;
	(void)link;
	if (spec_number(spec, "queues", 1) > ENGINE_VHOST_QUEUES)
		return fail(failure, -EINVAL, "bad_value",
			"a vhost-user port has at most %d `queues` (pairs); a tap may have 256",
			ENGINE_VHOST_QUEUES);
	int error = owner_read(spec, &owner, failure);
	if (!error && is_client(spec) && (owner.user || owner.group)) {
		fail(failure, -EINVAL, "bad_value",
			"with mode client the socket is QEMU's: weft gives it no `owner` and no "
			"`group`");
		return fail_hint(failure, "leave them out, or leave out `mode client`");
	}
	vhost_path(weftd, spec, path);
	return error ? error : check_socket(weftd, path, failure);
}

// A directory of its own: a port may have any name, and weftd.sock is taken.
static int make_dir(const struct port *port, struct failure *failure)
{
	char path[PORT_PATH_BYTES];
	snprintf(path, sizeof(path), "%s/vhost", port->weftd->settings.run_dir);
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	return fail(failure, -errno, "no_directory", "cannot make the directory %s: %s", path,
		strerror(errno));
}

static int vhost_prepare(struct port *port, struct engine_port *attach, struct failure *failure)
{
	const json_t *spec = port->object->spec;
	attach->client = is_client(spec);
	attach->queues = (u32)spec_number(spec, "queues", 1);
	return attach->client || spec_text(spec, "socket", NULL) ? 0 : make_dir(port, failure);
}

// The socket itself, not what a link there leads to.
static int give(int fd, const struct owner *owner)
{
	char self[40];
	struct stat st;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	if (chmod(self, 0660) || // while it is weftd's
		fchownat(fd, "", owner->user ? owner->uid : (uid_t)-1,
			owner->group ? owner->gid : (gid_t)-1, AT_EMPTY_PATH))
		return -errno;
	return 0;
}

static int vhost_settle(
	const struct port *port, const struct engine_port *attach, struct failure *failure)
{
	struct owner owner;
	int error = owner_read(port->object->spec, &owner, failure);
	if (error || (!owner.user && !owner.group))
		return error;
	int fd = open(attach->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) // an engine without guests makes none
		return 0;
	error = fd < 0 ? -errno : give(fd, &owner);
	if (fd >= 0)
		close(fd);
	if (!error)
		return 0;
	return fail(failure, error, "device", "cannot give the socket %s to %s: %s", attach->path,
		owner.user ? owner.user : owner.group, strerror(-error));
}

static char *vhost_qemu(struct weftd *weftd, const struct object *object, u32 memory_mb)
{
	long long queues = spec_number(object->spec, "queues", 1);
	char path[PORT_PATH_BYTES], many[32] = "", *words = NULL;
	struct port_guest guest;
	vhost_path(weftd, object->spec, path);
	if (queues > 1)
		snprintf(many, sizeof(many), ",queues=%lld", queues);
	port_guest(weftd, object, &guest);
	if (asprintf(&words,
		    "-chardev socket,id=%s,path=%s,%s "
		    "-netdev type=vhost-user,id=%s,chardev=%s%s %s "
		    "-m %uM -object memory-backend-memfd,id=mem,size=%uM,share=on "
		    "-numa node,memdev=mem\n",
		    guest.id, path, is_client(object->spec) ? "server=on,wait=off" : "reconnect=1",
		    guest.id, guest.id, many, guest.device, memory_mb, memory_mb) < 0)
		words = NULL;
	port_guest_free(&guest);
	return words;
}

// Its mode is QEMU's.
static char *vhost_libvirt(struct weftd *weftd, const struct object *object)
{
	char path[PORT_PATH_BYTES], *words = NULL;
	bool client = is_client(object->spec);
	struct port_guest guest;
	vhost_path(weftd, object->spec, path);
	port_guest(weftd, object, &guest);
	if (asprintf(&words,
		    "<interface type='vhostuser'>\n"
		    "  <mac address='%s'/>\n"
		    "  <source type='unix' path='%s' mode='%s'%s\n"
		    "%s"
		    "<!-- and once in the domain: <memoryBacking><source type='memfd'/>"
		    "<access mode='shared'/></memoryBacking> -->\n",
		    guest.mac, path, client ? "server" : "client",
		    client ? "/>" : "><reconnect enabled='yes' timeout='1'/></source>",
		    guest.interface) < 0)
		words = NULL;
	port_guest_free(&guest);
	return words;
}

const struct port_type port_type_vhost_user = {
	.name = "vhost-user",
	.kind = ENGINE_PORT_VHOST_USER,
	.engine = "dpdk",
	.without = "dev host",
	.without_why = "it is a socket, and no device of this host",
	.check = vhost_check,
	.path = vhost_path,
	.prepare = vhost_prepare,
	.settle = vhost_settle,
	.follows_mtu = true,
	.carrier_state = "waiting",
	.carrier_why = "no VM is connected",
	.qemu = vhost_qemu,
	.libvirt = vhost_libvirt,
};

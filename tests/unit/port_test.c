// SPDX-License-Identifier: BSD-2-Clause
// Ports without a netdev: their words, what the engine is given, what becomes of its news.

#include "tests/unit/expect.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <weft/control.h>
#include "daemon/network.h"
#include "daemon/place.h"
#include "daemon/port.h"

static void shows(struct rig *rig, const char *line, const char *key, const char *wanted)
{
	json_t *shown = rig_result(rig, line);
	char *got = json_dumps(json_object_get(json_array_get(shown, 0), key), JSON_ENCODE_ANY);
	if (!got || strcmp(got, wanted) != 0)
		fail_msg("%s: %s is %s, wanted %s", line, key, got ? got : "absent", wanted);
	free(got);
	json_decref(shown);
}

// With the rig's run directory in place of the %s.
__attribute__((format(printf, 3, 0))) static void text_is(
	struct rig *rig, const char *line, const char *format)
{
	char wanted[1024];
	snprintf(wanted, sizeof(wanted), format, rig->weftd.settings.run_dir);
	rig_text_is(rig, line, wanted);
}

static void vhost_shows(void **state)
{
	struct rig *rig = *state;
	char socket[256];
	rig_do(rig, "network add blue mtu 1450");
	rig_do(rig, "port add web1 type vhost-user network blue mac 02:00:00:00:00:01 queues 2");
	snprintf(socket, sizeof(socket), "\"%s/vhost/web1.sock\"", rig->weftd.settings.run_dir);
	shows(rig, "port show web1", "socket", socket);
	shows(rig, "port show web1", "dev", "null");
	shows(rig, "port show web1", "mode", "\"access\"");
	shows(rig, "port show web1", "socket_mode", "\"server\"");
	shows(rig, "port show web1", "mtu", "1450");
	shows(rig, "port show web1", "carrier", "false");
	shows(rig, "port show web1", "queues", "2");
	shows(rig, "port show web1", "queues_used", "0");
	shows(rig, "port show web1", "mac", "\"02:00:00:00:00:01\"");
	shows(rig, "port show web1", "state", "\"waiting\"");
	shows(rig, "port show web1", "why", "\"the sim engine has no guests and no NICs\"");
	rig_do(rig, "port set web1 mac-limit 3");
	rig_do(rig, "port add nic type pci dev 0000:01:00.0 network blue");
	shows(rig, "port show nic", "dev", "\"0000:01:00.0\"");
	shows(rig, "port show nic", "socket", "null");
	shows(rig, "port show nic", "socket_mode", "null");
	shows(rig, "port show nic", "queues", "null");
	shows(rig, "port show nic", "mac", "null");
	shows(rig, "port show nic", "mtu", "null");
	shows(rig, "port show nic", "state", "\"down\"");
	shows(rig, "network show blue", "ports", "2");
	rig_do(rig, "port del web1");
	rig_do(rig, "port del nic");
	shows(rig, "network show blue", "ports", "0");
}

static void words(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "network add blue");
	rig_do(rig, "port add web1 type vhost-user network blue mac 02:00:00:00:00:01");
	rig_do(rig, "port add 2nd type vhost-user network blue mac 02:00:00:00:00:02 queues 4 "
		    "mode client socket /run/q.sock");
	text_is(rig, "port show web1 qemu",
		"-chardev socket,id=web1,path=%s/vhost/web1.sock,reconnect=1 "
		"-netdev type=vhost-user,id=web1,chardev=web1 "
		"-device virtio-net-pci,netdev=web1,mac=02:00:00:00:00:01,host_mtu=1500 "
		"-m 1024M -object memory-backend-memfd,id=mem,size=1024M,share=on "
		"-numa node,memdev=mem\n");
	rig_text_is(rig, "port show 2nd qemu memory 512",
		"-chardev socket,id=port-2nd,path=/run/q.sock,server=on,wait=off "
		"-netdev type=vhost-user,id=port-2nd,chardev=port-2nd,queues=4 "
		"-device virtio-net-pci,netdev=port-2nd,mac=02:00:00:00:00:02,mq=on,vectors=10,"
		"host_mtu=1500 -m 512M -object memory-backend-memfd,id=mem,size=512M,share=on "
		"-numa node,memdev=mem\n");
	text_is(rig, "port show web1 libvirt",
		"<interface type='vhostuser'>\n"
		"  <mac address='02:00:00:00:00:01'/>\n"
		"  <source type='unix' path='%s/vhost/web1.sock' mode='client'>"
		"<reconnect enabled='yes' timeout='1'/></source>\n"
		"  <model type='virtio'/>\n"
		"  <mtu size='1500'/>\n"
		"</interface>\n"
		"<!-- and once in the domain: <memoryBacking><source type='memfd'/>"
		"<access mode='shared'/></memoryBacking> -->\n");
	rig_text_is(rig, "port show 2nd libvirt",
		"<interface type='vhostuser'>\n"
		"  <mac address='02:00:00:00:00:02'/>\n"
		"  <source type='unix' path='/run/q.sock' mode='server'/>\n"
		"  <model type='virtio'/>\n"
		"  <driver queues='4'/>\n"
		"  <mtu size='1500'/>\n"
		"</interface>\n"
		"<!-- and once in the domain: <memoryBacking><source type='memfd'/>"
		"<access mode='shared'/></memoryBacking> -->\n");
}

static void refusals(void **state)
{
	static const char *const cases[][2] = {
		{"x type vhost-user network blue dev x", "type vhost-user has no `dev`"},
		{"x type vhost-user network blue host on", "type vhost-user has no `host`"},
		{"x type vhost-user network blue socket q.sock", "is no whole path"},
		{"x type vhost-user network blue socket /a,b", "a blank or ,"},
		{"x type vhost-user network blue mode client owner root", "the socket is QEMU's"},
		{"x type vhost-user network blue owner nobody-has-this-name", "no such user"},
		{"x type vhost-user network blue socket /run/taken", "/run/taken is port v1"},
		{"x type pci network blue", "type pci needs `dev`"},
		{"x type pci network blue dev eth0", "eth0 is no PCI address"},
		{"x type pci network blue dev 02:00.1", "0000:02:00.1 is port p1 already"},
		{"x type pci network blue dev 0000:03:00.0 queues 2", "type pci has no `queues`"},
		{"x type pci network blue dev 0000:03:00.0 host on", "type pci has no `host`"},
		{"x type pci dev 0000:03:00.0 underlay on network blue", "no network's"},
		{"x type pci dev 0000:03:00.0 underlay on trunk blue:5", "no network's"},
		{"x type pci dev 0000:03:00.0 underlay off", "needs `network` or `trunk`"},
		{"eleven-long type pci dev 0000:03:00.0 underlay on", "too long to be"},
		{"x type pci dev net_x,a\tb network blue", "a device name"},
		{"x type tap network blue underlay on", "for ports of type pci: the kernel has a"},
		{"x type device dev net_af_packet0,iface=eth0 network blue", "too long"},
		{"x type tap network blue mode client", "type tap has no `mode`"},
		{"x type tap network blue socket /x", "type tap has no `socket`"},
		{"x type tap network blue dev 0000:03:00.0", "0000:03:00.0 is a PCI address"},
		{"x type device network blue dev 03:00.0", "0000:03:00.0 is a PCI address"},
		{"x type device network blue queues 2", "type device has no `queues`"},
		{"x type tap network blue xdp on", "`xdp` is for ports of type device: a tap"},
		{"x type vhost-user network blue xdp off", "`xdp` is for ports of type device"},
	};
	struct rig *rig = *state;
	char line[512], longest[200];
	rig_do(rig, "network add blue");
	rig_do(rig, "port add v1 type vhost-user network blue socket /run/taken");
	rig_do(rig, "port add p1 type pci network blue dev 0000:02:00.1");
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		snprintf(line, sizeof(line), "port add %s", cases[i][0]);
		json_t *answer = rig_run(rig, false, line, NULL);
		if (!strstr(rig_error(answer, "message"), cases[i][1]))
			fail_msg("%s: said '%s'", line, rig_error(answer, "message"));
		json_decref(answer);
	}
	snprintf(line, sizeof(line), "port add x type vhost-user network blue socket %s/weftd.sock",
		rig->weftd.settings.run_dir);
	rig_refused(rig, line, WEFT_EXIT_REFUSED, "in_use", "weftd's own socket");
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[108] = '\0';
	snprintf(line, sizeof(line), "port add x type vhost-user network blue socket %s", longest);
	rig_refused(rig, line, WEFT_EXIT_REFUSED, "bad_value", "longer than the 107 bytes");
	rig_refused(rig, line, WEFT_EXIT_REFUSED, "bad_value", "a shorter --run-dir");
	longest[107] = '\0';
	snprintf(line, sizeof(line), "port add x type vhost-user network blue socket %s", longest);
	rig_do(rig, line);
	rig_refused(rig, "port set x mode client", WEFT_EXIT_WORDS, "bad_words", "mode");
	rig_refused(rig, "port show p1 qemu", WEFT_EXIT_REFUSED, "bad_value",
		"which qemu does not open");
	rig->ops.own_xdp = NULL;
	rig_refused(rig, "port add y type device network blue xdp off", WEFT_EXIT_REFUSED,
		"wrong_engine", "the sim engine has no XDP: leave `xdp` out");
	rig->ops.port_state = NULL;
	rig_refused(rig, "port add y type vhost-user network blue", WEFT_EXIT_REFUSED,
		"wrong_engine", "need the dpdk engine; this weftd runs sim");
}

// An engine with ports that have no netdev, as far as weftd sees it.
static struct {
	int event_fd;
	struct engine_port attached;
	char path[256];
	bool link_instead; // of a socket
	struct engine_port_state now;
	u32 changed; // port id
} fake;

static int fake_attach(struct engine *engine, const struct engine_port *port, const char **why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	(void)engine, (void)why;
	fake.attached = *port;
	snprintf(fake.path, sizeof(fake.path), "%s", port->path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", port->path);
	unlink(port->path);
	if (fake.link_instead)
		return symlink("/etc/passwd", port->path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int error = bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	close(fd);
	return error;
}

static int fake_state(struct engine *engine, u32 port_id, struct engine_port_state *out)
{
	(void)engine, (void)port_id;
	*out = fake.now;
	return 0;
}

static int fake_event_fd(struct engine *engine)
{
	(void)engine;
	return fake.event_fd;
}

static void fake_events(
	struct engine *engine, void (*changed)(u32 port_id, void *context), void *context)
{
	eventfd_t times;
	(void)engine;
	assert_int_equal(eventfd_read(fake.event_fd, &times), 0);
	changed(fake.changed, context);
}

static void use_fake(struct rig *rig)
{
	struct failure failure;
	memset(&fake, 0, sizeof(fake));
	fake.event_fd = eventfd(0, EFD_NONBLOCK);
	rig->ops.port_attach = fake_attach;
	rig->ops.port_state = fake_state;
	rig->ops.event_fd = fake_event_fd;
	rig->ops.events = fake_events;
	assert_int_equal(port_events_open(&rig->weftd, &failure), 0);
}

static void what_the_engine_gets(void **state)
{
	struct rig *rig = *state;
	char path[256];
	use_fake(rig);
	rig_do(rig, "network add blue");
	rig_do(rig, "port add v1 type vhost-user network blue queues 3");
	snprintf(path, sizeof(path), "%s/vhost/v1.sock", rig->weftd.settings.run_dir);
	assert_string_equal(fake.path, path);
	assert_int_equal(fake.attached.kind, ENGINE_PORT_VHOST_USER);
	assert_int_equal(fake.attached.id, 1);
	assert_int_equal(fake.attached.ifindex, 0);
	assert_int_equal(fake.attached.queues, 3);
	assert_false(fake.attached.client);
	snprintf(path, sizeof(path),
		"port add v2 type vhost-user network blue mode client socket %s/q", rig->dir);
	rig_do(rig, path);
	assert_true(fake.attached.client);
	assert_int_equal(fake.attached.queues, 1);
	close(fake.event_fd);
}

static void the_socket_gets_its_owner(void **state)
{
	struct rig *rig = *state;
	u32 uid = geteuid() ? geteuid() : 65534, gid = geteuid() ? getegid() : 65533;
	struct stat st;
	char line[256];
	use_fake(rig);
	rig_do(rig, "network add blue");
	rig_do(rig, "port add v1 type vhost-user network blue");
	assert_int_equal(stat(fake.path, &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	snprintf(line, sizeof(line), "port add v2 type vhost-user network blue owner %u group %u",
		uid, gid);
	rig_do(rig, line);
	assert_int_equal(stat(fake.path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(st.st_mode & 0777, 0660);
	fake.link_instead = true;
	snprintf(line, sizeof(line), "port add v3 type vhost-user network blue owner %u", uid);
	rig_refused(rig, line, WEFT_EXIT_REFUSED, "device", "cannot give the socket");
	assert_int_equal(stat("/etc/passwd", &st), 0);
	assert_int_equal(st.st_uid, 0);
	close(fake.event_fd);
}

static void bind_address(struct rig *rig, u32 port)
{
	struct weft_neighbour_key key = {.network = 1};
	struct weft_neighbour_row row = {.port = port};
	key.ip[15] = 9;
	assert_int_equal(engine_put(&rig->weftd, neighbour, &key, &row), 0);
	place_usage(&rig->weftd, port)->bindings = 1;
	network_usage(&rig->weftd, 1)->bindings = 1;
}

static u32 bindings(struct rig *rig)
{
	struct engine_table_status status;
	rig->ops.table_status(rig->weftd.engine, WEFT_TABLE_neighbour, &status);
	return status.used;
}

// `why` NULL: the guest is there.
static void turn(struct rig *rig, const char *why)
{
	fake.now = (struct engine_port_state){.carrier = !why, .queues = !why, .why = why};
	fake.changed = 1;
	assert_int_equal(eventfd_write(fake.event_fd, 1), 0);
	event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK);
}

static void guests_come_and_go(void **state)
{
	struct rig *rig = *state;
	use_fake(rig);
	rig_do(rig, "network add blue");
	rig_do(rig, "port add v1 type vhost-user network blue");
	turn(rig, NULL);
	shows(rig, "port show v1", "state", "\"up\"");
	shows(rig, "port show v1", "why", "null");
	shows(rig, "port show v1", "carrier", "true");
	shows(rig, "port show v1", "queues_used", "1");
	bind_address(rig, 1);
	turn(rig, NULL);
	assert_int_equal(bindings(rig), 1);
	turn(rig, "its driver is not loaded");
	assert_int_equal(bindings(rig), 0);
	shows(rig, "port show v1", "state", "\"waiting\"");
	shows(rig, "port show v1", "why", "\"its driver is not loaded\"");
	turn(rig, NULL);
	fake.changed = 77; // a port that weftd has deleted meanwhile
	assert_int_equal(eventfd_write(fake.event_fd, 1), 0);
	event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK);
	fake.now.mtu = 1400; // what the guest has taken
	shows(rig, "port show v1", "mtu", "1400");
	close(fake.event_fd);
}

// What the engine could not hand over it counts itself.
static void drops_are_the_engine_s(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "network add blue");
	rig_do(rig, "port add v1 type vhost-user network blue");
	struct weft_drop_row *row = rig->ops.table_at(
		rig->weftd.engine, WEFT_TABLE_drop, WEFT_DROPS_PER_PORT + WEFT_DROP_device_dropped);
	row->packets = 5;
	shows(rig, "port show v1", "tx_dropped", "5");
	shows(rig, "drops show port v1", "packets", "5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(vhost_shows, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(words, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(refusals, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(what_the_engine_gets, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_socket_gets_its_owner, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(guests_come_and_go, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(drops_are_the_engine_s, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

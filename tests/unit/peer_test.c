// SPDX-License-Identifier: BSD-2-Clause
// Peers: what they may be, the rows they become, the ids they share with ports; the MTU of
// networks.

#include "tests/unit/expect.h"

#include <errno.h>
#include <weft/control.h>
#include "daemon/address.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"
#include "daemon/underlay.h"

static struct object *peer(struct rig *rig, const char *name)
{
	return object_find(&rig->weftd, &noun_peer, name);
}

static struct weft_port_row port_row(struct rig *rig, u32 id)
{
	struct weft_index index = {id};
	struct weft_port_row row;
	assert_int_equal(engine_get(&rig->weftd, port, &index, &row), 0);
	return row;
}

static struct weft_network_row network_row(struct rig *rig, u32 id)
{
	struct weft_index index = {id};
	struct weft_network_row row;
	assert_int_equal(engine_get(&rig->weftd, network, &index, &row), 0);
	return row;
}

// The network of (port, tag); 0: no row.
static u32 tag_row(struct rig *rig, u32 port, u32 tag)
{
	struct weft_tag_key key = {port, tag};
	struct weft_tag_row row;
	return engine_get(&rig->weftd, tag, &key, &row) ? 0 : row.network;
}

static u32 vtep_row(struct rig *rig, const char *address)
{
	struct weft_ip ip = address_read(address);
	struct weft_vtep_key key;
	struct weft_vtep_row row;
	memcpy(key.address, ip.byte, sizeof(key.address));
	return engine_get(&rig->weftd, vtep, &key, &row) ? 0 : row.peer;
}

// The peers in a flood list: "2 3".
static void floods_to(struct rig *rig, u32 network, const char *wanted)
{
	struct weft_network_row list = network_row(rig, network);
	struct weft_member_key key = {network, list.member_epoch, 0};
	char got[128] = "";
	for (; key.index < list.member_count; key.index++) {
		struct weft_member_row row;
		size_t used = strlen(got);
		assert_int_equal(engine_get(&rig->weftd, member, &key, &row), 0);
		assert_int_equal(row.tag, WEFT_MEMBER_PEER);
		snprintf(got + used, sizeof(got) - used, "%s%u", used ? " " : "", row.port);
	}
	assert_string_equal(got, wanted);
}

static u32 rows_of(struct rig *rig, enum weft_table table)
{
	struct engine_table_status status;
	rig->weftd.engine_ops->table_status(rig->weftd.engine, table, &status);
	return status.used;
}

static void shows(struct rig *rig, const char *line, const char *key, const char *wanted)
{
	json_t *shown = rig_result(rig, line);
	const json_t *value = json_object_get(json_array_get(shown, 0), key);
	char *got = json_dumps(value, JSON_ENCODE_ANY);
	if (!got || strcmp(got, wanted) != 0)
		fail_msg("%s: %s is %s, wanted %s", line, key, got ? got : "absent", wanted);
	free(got);
	json_decref(shown);
}

static void rows_of_a_peer(void **state)
{
	struct rig *rig = *state;
	struct weft_ip address = address_read("192.0.2.2");
	rig_do(rig, "network add blue vni 100");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	struct weft_port_row row = port_row(rig, 1);
	assert_int_equal(row.flags, WEFT_PORT_PRESENT | WEFT_PORT_PEER);
	assert_int_equal(row.mac_limit, 65536);
	assert_int_not_equal(row.storm_meter, 0);
	assert_int_not_equal(row.error_meter, 0);
	assert_memory_equal(row.address, address.byte, sizeof(row.address));
	assert_int_equal(vtep_row(rig, "192.0.2.2"), 1);
	assert_int_equal(tag_row(rig, 0, 100), 1);
	floods_to(rig, 0, "1");
	floods_to(rig, 1, "");
	rig_do(rig, "peer set h2 address 192.0.2.3 storm-limit 0");
	assert_int_equal(vtep_row(rig, "192.0.2.2"), 0);
	assert_int_equal(vtep_row(rig, "192.0.2.3"), 1);
	assert_int_equal(port_row(rig, 1).storm_meter, 0);
	rig_do(rig, "peer del h2");
	assert_int_equal(vtep_row(rig, "192.0.2.3"), 0);
	assert_int_equal(port_row(rig, 1).flags, 0);
	floods_to(rig, 0, "");
	rig_do(rig, "network del blue");
	assert_int_equal(rows_of(rig, WEFT_TABLE_tag) + rows_of(rig, WEFT_TABLE_member), 0);
}

static void limited_peers(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "network add blue vni 100");
	rig_do(rig, "network add red vni 200");
	rig_do(rig, "network add local");
	rig_do(rig, "peer add h2 address 192.0.2.2 networks blue,local");
	assert_true(port_row(rig, 1).flags & WEFT_PORT_LIMITED);
	assert_int_equal(tag_row(rig, 1, 100), 1);
	assert_int_equal(tag_row(rig, 1, 200), 0);
	floods_to(rig, 0, "");
	floods_to(rig, 1, "1");
	floods_to(rig, 3, "");
	rig_do(rig, "peer set h2 networks +red -blue");
	assert_int_equal(tag_row(rig, 1, 100), 0);
	assert_int_equal(tag_row(rig, 1, 200), 2);
	floods_to(rig, 1, "");
	floods_to(rig, 2, "1");
	rig_do(rig, "peer set h2 networks none"); // every network
	assert_false(port_row(rig, 1).flags & WEFT_PORT_LIMITED);
	assert_int_equal(tag_row(rig, 1, 200), 0);
	floods_to(rig, 2, "");
	floods_to(rig, 0, "1");
	rig_do(rig, "peer set h2 networks blue");
	floods_to(rig, 0, "");
	floods_to(rig, 1, "1");
	rig_refused(rig, "network del blue", WEFT_EXIT_REFUSED, "in_use", "in use by peers: h2");
	rig_do(rig, "peer del h2");
	rig_do(rig, "network del blue");
	assert_int_equal(rows_of(rig, WEFT_TABLE_tag), 1); // of red
	assert_int_equal(rows_of(rig, WEFT_TABLE_member), 0);
}

static void vni_changes_live(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "network add blue vni 100");
	rig_do(rig, "peer add h2 address 192.0.2.2 networks blue");
	rig_do(rig, "peer add h3 address 192.0.2.3");
	rig_do(rig, "network set blue vni 101");
	assert_int_equal(tag_row(rig, 0, 100), 0);
	assert_int_equal(tag_row(rig, 0, 101), 1);
	assert_int_equal(tag_row(rig, 1, 100), 0);
	assert_int_equal(tag_row(rig, 1, 101), 1);
	assert_int_equal(network_row(rig, 1).vni, 101);
	floods_to(rig, 1, "1");
	rig_do(rig, "network set blue vni none");
	assert_int_equal(network_row(rig, 1).vni, 0);
	assert_int_equal(rows_of(rig, WEFT_TABLE_tag), 0);
	floods_to(rig, 1, "");
	floods_to(rig, 0, "2");
	rig_do(rig, "network set blue vni 7");
	assert_int_equal(tag_row(rig, 1, 7), 1);
	floods_to(rig, 1, "1");
}

static void ids_are_shared(void **state)
{
	struct rig *rig = *state;
	struct failure failure = {0};
	struct weftd *weftd = &rig->weftd;
	rig_do(rig, "network add blue");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	json_t *answer = rig_run(rig, false, "apply f",
		rig_files(
			"f", "ports: [{name: c1, type: device, dev: weft-none0, network: blue}]"));
	json_decref(answer); // stored; the device is not there
	assert_int_equal(peer(rig, "h2")->id, 1);
	assert_int_equal(object_find(weftd, &noun_port, "c1")->id, 2);
	assert_null(object_by_id(weftd, &noun_port, 1));
	assert_null(object_by_id(weftd, &noun_peer, 2));
	rig_do(rig, "peer add h3 address 192.0.2.3");
	assert_int_equal(peer(rig, "h3")->id, 3);
	rig_do(rig, "port del c1");
	rig_do(rig, "peer add h4 address 192.0.2.4");
	assert_int_equal(peer(rig, "h4")->id, 2);
	rig_stop(rig);
	assert_int_equal(rig_start(rig, &failure), 0);
	assert_int_equal(peer(rig, "h4")->id, 2);
	assert_int_equal(peer(rig, "h3")->id, 3);
	assert_int_equal(vtep_row(rig, "192.0.2.3"), 3);
	floods_to(rig, 0, "1 3 2"); // in the order of creation
}

static void ports_and_peers_share_the_table(void **state)
{
	struct rig *rig = *state;
	struct failure failure = {0};
	rig_stop(rig);
	rig->weftd.settings.capacity[WEFT_TABLE_port] = 5; // two of them are weft's own
	assert_int_equal(rig_start(rig, &failure), 0);
	rig_do(rig, "network add blue");
	rig_do(rig, "port add c1 type device dev weft-u1 network blue");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	rig_do(rig, "peer add h3 address 192.0.2.3");
	rig_refused(rig, "peer add h4 address 192.0.2.4", WEFT_EXIT_REFUSED, "table_full",
		"the port table is full (3 ports and peers)");
	rig_refused(rig, "port add c2 type device dev weft-u2 network blue", WEFT_EXIT_REFUSED,
		"table_full", "the port table is full (3 ports and peers)");
	rig_do(rig, "port del c1");
	rig_do(rig, "peer add h4 address 192.0.2.4");
	assert_int_equal(peer(rig, "h4")->id, 1);
}

// One file makes it all, in an order that works, and takes it away again.
static void whole_files(void **state)
{
	static const char file[] = "host: {address: 192.0.2.1, udp_port: 8472}\n"
				   "peers: [{name: h2, address: 192.0.2.2, networks: [blue]}]\n"
				   "fdb: [{mac: '02:00:00:00:00:01', network: blue, peer: h2}]\n"
				   "networks: [{name: blue, vni: 5, overlay: carrier}]\n";
	static const char nothing[] = "host:\npeers:\nfdb:\nnetworks:\n";
	struct rig *rig = *state;
	json_t *before, *after;
	json_decref(rig_run(rig, false, "apply f", rig_files("f", file)));
	shows(rig, "fdb show", "peer", "\"h2\"");
	assert_int_equal(tag_row(rig, 1, 5), 1);
	before = rig_result(rig, "export");
	json_decref(rig_run(rig, false, "apply f", rig_files("f", nothing)));
	assert_int_equal(object_count(&rig->weftd, &noun_peer), 0);
	assert_int_equal(object_count(&rig->weftd, &noun_network), 0);
	assert_int_equal(rows_of(rig, WEFT_TABLE_fdb) + rows_of(rig, WEFT_TABLE_vtep), 0);
	json_decref(rig_run(rig, false, "apply f", rig_files("f", file)));
	after = rig_result(rig, "export");
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}

static void refusals(void **state)
{
	struct rig *rig = *state;
	int no = WEFT_EXIT_REFUSED;
	rig_do(rig, "host set address 192.0.2.1");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	rig_refused(
		rig, "peer add h3 address 192.0.2.1", no, "bad_value", "this host's own address");
	rig_refused(
		rig, "peer add h3 address 192.0.2.2", no, "exists", "already peer h2's address");
	rig_refused(
		rig, "peer add h3 address 224.0.0.1", no, "bad_value", "not the address of a host");
	rig_refused(rig, "peer add h3 address 2001:db8::3", no, "bad_value",
		"peer h3 has an IPv6 address (2001:db8::3), but this host an IPv4 one (192.0.2.1)");
	rig_refused(
		rig, "peer add h3 address 192.0.2.3 networks x", no, "not_found", "no network x");
	rig_refused(rig, "peer set h2 address 192.0.2.1", no, "bad_value", "own address");
	rig_refused(rig, "host set address 192.0.2.2", no, "bad_value", "peer h2");
	rig_refused(rig, "host set address 2001:db8::1", no, "bad_value", "peer h2 has an IPv4");
	rig_refused(rig, "host set address 0.0.0.0", no, "bad_value", "not the address of a host");
	rig_refused(rig, "host set address fe80::1", no, "bad_value", "link-local");
	rig_refused(rig, "peer add h3 address 169.254.0.3", no, "bad_value", "link-local");
	rig_refused(rig, "peer add h3", WEFT_EXIT_WORDS, "bad_words", "address");
	rig_do(rig, "network add blue");
	rig_refused(rig, "fdb add 02:00:00:00:00:01 network blue peer h2", no, "bad_value",
		"network blue has no vni");
	rig_refused(rig, "fdb add 02:00:00:00:00:01 network blue", no, "bad_value",
		"needs `port` or `peer`");
	rig_do(rig, "network set blue vni 9");
	rig_do(rig, "fdb add 02:00:00:00:00:01 network blue peer h2");
	rig_refused(rig, "peer del h2", no, "in_use", "static fdb rows: 02:00:00:00:00:01 blue");
	rig_refused(rig, "network set blue vni none", no, "in_use", "behind peers");
	rig_do(rig, "network add red");
	rig_refused(rig, "peer set h2 networks red", no, "in_use", "static fdb rows");
	shows(rig, "fdb show", "peer", "\"h2\"");
	shows(rig, "fdb show", "port", "null");
}

static void states(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "peer add h2 address 192.0.2.2");
	shows(rig, "peer show h2", "state", "\"waiting\"");
	shows(rig, "peer show h2", "why", "\"set the host's address: `host set address A`\"");
	rig_do(rig, "host set address 192.0.2.1");
	shows(rig, "peer show h2", "state", "\"waiting\"");
	rig_do(rig, "network add blue vni 1");
	shows(rig, "network show blue", "peers", "1");
	shows(rig, "network show blue", "state", "\"up\"");
}

// The nexthops of a row are the underlay's: they stay while the address does.
static void nexthops_stay(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "peer add h2 address 192.0.2.2");
	struct weft_port_row *row =
		rig->weftd.engine_ops->table_at(rig->weftd.engine, WEFT_TABLE_port, 1);
	row->nexthops = 2;
	rig_do(rig, "peer set h2 mac-limit 5");
	assert_int_equal(port_row(rig, 1).mac_limit, 5);
	assert_int_equal(port_row(rig, 1).nexthops, 2);
	rig_do(rig, "peer set h2 address 192.0.2.9");
	assert_int_equal(port_row(rig, 1).nexthops, 0);
}

static bool fails;
static enum weft_table fails_at;
static int (*real_put)(struct engine *, enum weft_table, const void *, const void *);

static int failing_put(
	struct engine *engine, enum weft_table table, const void *key, const void *row)
{
	return fails && table == fails_at ? -ENOSPC : real_put(engine, table, key, row);
}

// Whatever table is full: the sentence says so, and all is as it was.
static void full_tables(void **state)
{
	static const enum weft_table tables[] = {
		WEFT_TABLE_tag, WEFT_TABLE_vtep, WEFT_TABLE_member, WEFT_TABLE_port};
	struct rig *rig = *state;
	real_put = rig->ops.table_put;
	rig->ops.table_put = failing_put;
	rig_do(rig, "network add blue vni 100");
	rig_do(rig, "network add red vni 200");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(tables); i++) {
		char said[64];
		fails_at = tables[i];
		snprintf(said, sizeof(said), "the %s table is full", table_infos[fails_at].name);
		fails = true;
		rig_refused(
			rig, "peer add h3 address 192.0.2.3 networks blue", 1, "table_full", said);
		fails = false;
		assert_null(peer(rig, "h3"));
		assert_int_equal(vtep_row(rig, "192.0.2.3"), 0);
		assert_int_equal(rows_of(rig, WEFT_TABLE_tag), 2);
		floods_to(rig, 1, "");
		floods_to(rig, 0, "1");
	}
	fails_at = WEFT_TABLE_tag;
	fails = true;
	rig_refused(rig, "network set blue vni 300", 1, "table_full", "tag table");
	fails = false;
	assert_int_equal(network_row(rig, 1).vni, 100);
	assert_int_equal(tag_row(rig, 0, 100), 1);
}

static bool underlay_make(void)
{
	return system("ip link add weft-u0 type veth peer name weft-u1 && ip link set weft-u0 up "
		      "&& "
		      "ip addr add 192.0.2.1/24 dev weft-u0 && "
		      "ip addr add 2001:db8::1/64 dev weft-u0 nodad && "
		      "ip link set weft-u1 up") == 0;
}

static void set_underlay_mtu(struct rig *rig, u32 mtu)
{
	char line[64];
	snprintf(line, sizeof(line), "ip link set weft-u0 mtu %u", mtu);
	assert_int_equal(system(line), 0);
	event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK); // netlink's news
	underlay_changed(&rig->weftd);
	underlay_update(&rig->weftd);
}

static void mtu_follows_the_underlay(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "network add blue vni 100");
	rig_do(rig, "network add local");
	rig_do(rig, "network add fixed vni 200 mtu 1400");
	rig_do(rig, "network add tags vni 300 inner-tags on");
	shows(rig, "network show blue", "mtu", "1500"); // no underlay is known
	rig_do(rig, "host set address 192.0.2.1");
	set_underlay_mtu(rig, 1500);
	shows(rig, "network show blue", "mtu", "1450");
	shows(rig, "network show local", "mtu", "1500");
	shows(rig, "network show fixed", "mtu", "1400");
	shows(rig, "network show tags", "mtu", "1446");
	assert_int_equal(network_row(rig, 1).mtu, 1450);
	rig_refused(rig, "network set blue mtu 1451", 1, "mtu", "the largest that works is 1450");
	rig_refused(rig, "network add green vni 4 mtu 1500", 1, "mtu", "the underlay carries 1500");
	rig_do(rig, "network set blue mtu 1450");
	rig_do(rig, "network set blue mtu none");
	rig_do(rig, "port add c1 type device dev weft-u1 network blue");
	shows(rig, "port show c1", "why", "null");
	set_underlay_mtu(rig, 9000);
	assert_int_equal(network_row(rig, 1).mtu, 8950);
	shows(rig, "port show c1", "why",
		"\"its network has mtu 8950, and weft-u1 only 1500: ip link set dev weft-u1 mtu "
		"8950\"");
	rig_do(rig, "port del c1");
	set_underlay_mtu(rig, 1300);
	assert_int_equal(network_row(rig, 1).mtu, 1250);
	assert_int_equal(network_row(rig, 3).mtu, 1250);
	shows(rig, "network show fixed", "why",
		"\"the underlay has shrunk: the mtu is 1250, not 1400\"");
	set_underlay_mtu(rig, 1500);
	shows(rig, "network show fixed", "why", "null");
	assert_int_equal(network_row(rig, 3).mtu, 1400);
	rig_do(rig, "host set address 2001:db8::1");
	set_underlay_mtu(rig, 1500);
	shows(rig, "network show blue", "mtu", "1430");
	rig_do(rig, "host set address none");
	shows(rig, "network show blue", "mtu", "1500");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_of_a_peer, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(limited_peers, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(vni_changes_live, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(ids_are_shared, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			ports_and_peers_share_the_table, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(whole_files, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(refusals, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(states, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(nexthops_stay, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(full_tables, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(mtu_follows_the_underlay, rig_setup, rig_teardown),
	};
	if (!rig_own_netns() || !underlay_make()) {
		puts("needs a network namespace of its own");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// The neighbour table: what is shown, flushed and swept, and the quotas that go down with it.

#include "tests/unit/expect.h"

#include "daemon/address.h"
#include "daemon/fdb.h"
#include "daemon/neighbour.h"
#include "daemon/network.h"
#include "daemon/peer.h"
#include "daemon/port.h"
#include "daemon/sweep.h"

enum { BLUE = 1, RED = 2, H2 = 1, H3 = 2 };
#define SECOND_NS 1000000000ull

static u64 *bindings(struct rig *rig, enum weft_table table, u32 index)
{
	struct weft_usage_row *row =
		rig->weftd.engine_ops->table_at(rig->weftd.engine, table, index);
	return &row->bindings;
}

// As the datapath does it.
static void bind_ip(struct rig *rig, u32 network, const char *text, u32 place, u64 age_ns)
{
	struct weft_ip ip = address_read(text);
	struct weft_neighbour_key key = {.network = network};
	struct weft_neighbour_row row = {
		.mac = {{2, 0, 0, 0, 0, (u8)place}}, .port = place, .seen_ns = clock_ns() - age_ns};
	memcpy(key.ip, ip.byte, sizeof(key.ip));
	assert_int_equal(engine_put(&rig->weftd, neighbour, &key, &row), 0);
	++*bindings(rig, WEFT_TABLE_port_usage, place);
	++*bindings(rig, WEFT_TABLE_network_usage, network);
}

static void holds(struct rig *rig, const char *line, const char *wanted)
{
	json_t *rows = rig_result(rig, line);
	char got[256] = "";
	size_t i;
	json_t *row;
	json_array_foreach (rows, i, row) {
		size_t used = strlen(got);
		snprintf(got + used, sizeof(got) - used, "%s%s %s %s", used ? ", " : "",
			spec_text(row, "network", "-"), spec_text(row, "ip", "-"),
			spec_text(row, "peer", spec_text(row, "port", "-")));
	}
	assert_string_equal(got, wanted);
	json_decref(rows);
}

static int two_networks(void **state)
{
	struct rig *rig;
	if (rig_setup(state))
		return -1;
	rig = *state;
	rig_do(rig, "network add blue vni 1 ageing 10s");
	rig_do(rig, "network add red vni 2 ageing 0");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	rig_do(rig, "peer add h3 address 192.0.2.3");
	bind_ip(rig, BLUE, "10.1.0.2", H2, 0);
	bind_ip(rig, BLUE, "fd00::2", H2, 0);
	bind_ip(rig, BLUE, "10.1.0.3", H3, 0);
	bind_ip(rig, RED, "10.1.0.2", H3, 0);
	return 0;
}

static void shown_and_flushed(void **state)
{
	struct rig *rig = *state;
	holds(rig, "neighbour",
		"blue 10.1.0.2 h2, blue 10.1.0.3 h3, blue fd00::2 h2, red 10.1.0.2 h3");
	holds(rig, "neighbour show network red", "red 10.1.0.2 h3");
	holds(rig, "neighbour show peer h2", "blue 10.1.0.2 h2, blue fd00::2 h2");
	rig_refused(rig, "neighbour show network green", 1, "not_found", "no network green");
	rig_refused(rig, "neighbour show port h2", 1, "not_found", "no port h2");
	rig_do(rig, "neighbour flush network blue peer h2");
	holds(rig, "neighbour", "blue 10.1.0.3 h3, red 10.1.0.2 h3");
	assert_int_equal(*bindings(rig, WEFT_TABLE_port_usage, H2), 0);
	assert_int_equal(*bindings(rig, WEFT_TABLE_network_usage, BLUE), 1);
	rig_do(rig, "neighbour flush");
	holds(rig, "neighbour", "");
	assert_int_equal(*bindings(rig, WEFT_TABLE_port_usage, H3), 0);
}

static void go_with_their_place(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "peer set h3 networks red");
	holds(rig, "neighbour", "blue 10.1.0.2 h2, blue fd00::2 h2, red 10.1.0.2 h3");
	rig_do(rig, "network set blue vni none");
	holds(rig, "neighbour", "red 10.1.0.2 h3");
	rig_do(rig, "network set blue vni 1");
	bind_ip(rig, BLUE, "10.1.0.2", H2, 0);
	rig_do(rig, "peer del h2");
	holds(rig, "neighbour", "red 10.1.0.2 h3");
	rig_do(rig, "network set red vni none");
	holds(rig, "neighbour", "");
	assert_int_equal(*bindings(rig, WEFT_TABLE_network_usage, BLUE), 0);
	assert_int_equal(*bindings(rig, WEFT_TABLE_network_usage, RED), 0);
}

static void swept(void **state)
{
	struct rig *rig = *state;
	bind_ip(rig, BLUE, "10.1.0.9", H2, 11 * SECOND_NS);
	bind_ip(rig, RED, "10.1.0.9", H2, 1000 * SECOND_NS); // red never ages
	bind_ip(rig, BLUE, "10.1.0.8", 77, 0);               // nobody has this id
	sweep_now(&rig->weftd);
	assert_int_equal(*bindings(rig, WEFT_TABLE_network_usage, BLUE), 3);
	assert_int_equal(*bindings(rig, WEFT_TABLE_network_usage, RED), 2);
	assert_int_equal(*bindings(rig, WEFT_TABLE_port_usage, 77), 0);
	*bindings(rig, WEFT_TABLE_port_usage, H2) += 4; // a count that drifted
	sweep_now(&rig->weftd);
	sweep_now(&rig->weftd);
	assert_int_equal(*bindings(rig, WEFT_TABLE_port_usage, H2), 3);
}

// A VM that ends takes its bindings with it: the next one may have its IP address.
static void go_with_the_carrier(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(system("ip link add weft-v0 type veth peer name weft-v1 && "
				"ip link set weft-v0 up && ip link set weft-v1 up"),
		0);
	rig_do(rig, "port add c1 type device dev weft-v0 network blue");
	u32 id = object_find(&rig->weftd, &noun_port, "c1")->id;
	event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK);
	bind_ip(rig, BLUE, "10.1.0.7", id, 0);
	holds(rig, "neighbour show port c1", "blue 10.1.0.7 c1");
	assert_int_equal(system("ip link set weft-v1 down"), 0);
	// The kernel tells of a carrier in its own time.
	for (int i = 0; i < 5000 && *bindings(rig, WEFT_TABLE_port_usage, id); i++) {
		usleep(1000);
		event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK);
	}
	holds(rig, "neighbour show port c1", "");
	assert_int_equal(*bindings(rig, WEFT_TABLE_port_usage, id), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shown_and_flushed, two_networks, rig_teardown),
		cmocka_unit_test_setup_teardown(go_with_their_place, two_networks, rig_teardown),
		cmocka_unit_test_setup_teardown(go_with_the_carrier, two_networks, rig_teardown),
		cmocka_unit_test_setup_teardown(swept, two_networks, rig_teardown),
	};
	if (!rig_own_netns()) {
		puts("needs a network namespace of its own");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

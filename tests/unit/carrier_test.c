// SPDX-License-Identifier: BSD-2-Clause
// An engine that writes and reads all outer headers itself: there is no carrier, and nobody steps
// in where weft cannot send.

#include "tests/unit/expect.h"

#include <errno.h>
#include <net/if.h>
#include "daemon/carrier.h"
#include "daemon/underlay.h"

static struct {
	struct engine_overlay overlay;
	u32 calls;
	bool fails;
} told;

static int fake_overlay_set(
	struct engine *engine, const struct engine_overlay *overlay, const char **why)
{
	(void)engine;
	told.overlay = *overlay;
	told.calls++;
	*why = "there is no room for a socket";
	return told.fails ? -ENOBUFS : 0;
}

static void shows(struct rig *rig, const char *line, const char *key, const char *wanted)
{
	json_t *shown = rig_result(rig, line);
	char *got = json_dumps(json_object_get(json_array_get(shown, 0), key), JSON_ENCODE_ANY);
	if (!got || strcmp(got, wanted) != 0)
		fail_msg("%s: %s is %s, wanted %s", line, key, got ? got : "absent", wanted);
	free(got);
	json_decref(shown);
}

static void run(const char *format, const char *word)
{
	char line[256];
	snprintf(line, sizeof(line), format, word);
	if (system(line) != 0)
		fail_msg("%s", line);
}

// Netlink's news, and what follows from them.
static void settle(struct rig *rig)
{
	event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK);
	underlay_changed(&rig->weftd);
	underlay_update(&rig->weftd);
	carrier_update(&rig->weftd);
}

static void start(struct rig *rig)
{
	struct failure failure;
	memset(&told, 0, sizeof(told));
	rig->ops.own_overlay = true;
	rig->ops.overlay_set = fake_overlay_set;
	assert_int_equal(carrier_open(&rig->weftd, &failure), 0);
	rig_do(rig, "host set address 192.0.2.1");
}

static bool is_own(struct rig *rig, u32 network)
{
	struct weft_index index = {network};
	struct weft_network_row row;
	assert_int_equal(engine_get(&rig->weftd, network, &index, &row), 0);
	return row.flags & WEFT_NETWORK_OWN;
}

static void no_carrier(void **state)
{
	struct rig *rig = *state;
	start(rig);
	run("ip link add weft-carrier type vxlan external dstport 4789 && "
	    "ip link set weft-carrier alias 'weft:%s:(carrier)' up",
		rig->weftd.uuid);
	event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK);
	rig_do(rig, "network add blue vni 5 overlay carrier");
	assert_int_equal(if_nametoindex("weft-carrier"), 0);
	rig_do(rig, "peer add h2 address 192.0.2.2");
	settle(rig);
	assert_int_equal(if_nametoindex("weft-carrier"), 0);
	assert_int_equal(told.overlay.carrier, 0);
	assert_int_equal(told.overlay.underlays, 1);
	assert_int_equal(told.overlay.underlay[0], if_nametoindex("weft-u0"));
	shows(rig, "host show", "carrier", "null");
	shows(rig, "host show", "why", "null");
	shows(rig, "host show", "underlay", "[\"weft-u0\"]");
	shows(rig, "network show blue", "state", "\"up\"");
	shows(rig, "network show blue", "why",
		"\"the sim engine has no carrier: weft encapsulates all itself\"");
	shows(rig, "network show blue", "overlay", "\"carrier\"");
	shows(rig, "network show blue", "mtu", "1450");
	assert_true(is_own(rig, 1));
	rig_do(rig, "network set blue vni none");
	settle(rig);
	assert_int_equal(told.overlay.underlays, 0);
}

static void peers_need_a_next_hop(void **state)
{
	struct rig *rig = *state;
	start(rig);
	rig_do(rig, "network add blue vni 5");
	rig_do(rig, "peer add h3 address 203.0.113.9");
	settle(rig);
	shows(rig, "peer show h3", "state", "\"down\"");
	shows(rig, "peer show h3", "why",
		"\"the way leads over lo, which is no plain Ethernet device: the sim engine "
		"cannot send there\"");
	rig->ops.own_overlay = false; // the carrier goes where the kernel goes
	shows(rig, "peer show h3", "state", "\"up\"");
	rig->ops.own_overlay = true;
	rig_do(rig, "peer add h2 address 192.0.2.3");
	settle(rig);
	shows(rig, "peer show h2", "state", "\"down\"");
	run("ip neigh replace 192.0.2.3 lladdr 02:00:00:00:00:03 dev weft-u0 nud %s", "permanent");
	settle(rig);
	shows(rig, "peer show h2", "state", "\"up\"");
	shows(rig, "peer show h2", "why", "null");
}

static void the_engine_refuses(void **state)
{
	static const char why[] =
		"\"the overlay cannot be attached: there is no room for a socket\"";
	struct rig *rig = *state;
	start(rig);
	told.fails = true;
	rig_do(rig, "network add blue vni 5");
	rig_do(rig, "peer add h2 address 192.0.2.3");
	settle(rig);
	shows(rig, "host show", "why", why);
	shows(rig, "peer show h2", "why", why);
	shows(rig, "network show blue", "state", "\"down\"");
	told.fails = false;
	told.calls = 0;
	carrier_update(&rig->weftd); // as the timer does
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.overlay.underlays, 1);
	shows(rig, "host show", "why", "null");
	shows(rig, "network show blue", "state", "\"up\"");
}

static void watched(struct rig *rig, u32 underlays, u32 watch)
{
	settle(rig);
	assert_int_equal(told.overlay.carrier, if_nametoindex("weft-carrier"));
	assert_int_equal(told.overlay.underlays, underlays);
	assert_int_equal(told.overlay.watch, watch);
}

static void who_times_sees_the_underlay(void **state)
{
	struct rig *rig = *state;
	start(rig);
	rig->ops.own_overlay = false;
	rig_do(rig, "network add blue vni 5 overlay carrier");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	watched(rig, 1, 1);
	rig_do(rig, "host set sample 0");
	watched(rig, 0, 0);
	rig_do(rig, "network set blue overlay own");
	watched(rig, 1, 0);
	rig_do(rig, "network set blue overlay carrier");
	watched(rig, 0, 0);
	rig_do(rig, "host set sample 1");
	watched(rig, 1, 1);
	assert_int_equal(carrier_remove(&rig->weftd, NULL), 0);
}

static bool underlay_make(void)
{
	return system("ip link add weft-u0 type veth peer name weft-u1 && ip link set weft-u0 up "
		      "&& ip addr add 192.0.2.1/24 dev weft-u0 && ip link set weft-u1 up && "
		      "ip link set lo up && "
		      "ip route add 203.0.113.0/24 dev lo") == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_carrier, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(peers_need_a_next_hop, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			who_times_sees_the_underlay, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_engine_refuses, rig_setup, rig_teardown),
	};
	if (!rig_own_netns() || !underlay_make()) {
		puts("needs a network namespace of its own");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

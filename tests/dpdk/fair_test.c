// SPDX-License-Identifier: BSD-2-Clause
// Ports of one worker: one whose every frame takes the slow path and floods, and one whose frames
// are hits. Both always have more; who gets how much of the worker?
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>
#include "tests/dpdk/worker_rig.h"

enum { HOSTILE = 3, MEMBERS = 12, BYTES = 62, MILLISECONDS = 300 };

static u64 taken[RIG_PORTS];

static u32 behave(struct rte_mbuf **out, u32 capacity)
{
	u8 bytes[BYTES];
	for (u32 i = 0; i < capacity; i++) {
		rig_frame(bytes, BYTES, 2, i);
		out[i] = rig_mbuf(bytes, BYTES);
	}
	taken[RIG_FROM] += capacity;
	return capacity;
}

static u32 attack(struct rte_mbuf **out, u32 capacity)
{
	static u32 station = 1 << 16;
	u8 bytes[BYTES];
	for (u32 i = 0; i < capacity; i++) {
		rig_frame(bytes, BYTES, station++, i);
		memcpy(bytes + 8, &station, 4); // from everybody, too
		out[i] = rig_mbuf(bytes, BYTES);
	}
	taken[HOSTILE] += capacity;
	return capacity;
}

static void world(void)
{
	struct weft_network_row network;
	u32 id = RIG_NETWORK;
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64}});
	assert_int_equal(shared_get(rig.engine, WEFT_TABLE_network, &id, &network), 0);
	network.member_count = MEMBERS;
	rig_put(WEFT_TABLE_network, &id, &network);
	for (u32 i = 0; i < MEMBERS; i++) {
		struct weft_member_key key = {.network = RIG_NETWORK, .index = i};
		struct weft_member_row row = {.port = 1 + i};
		rig_put(WEFT_TABLE_member, &key, &row);
		if (row.port > RIG_TO) {
			rig_port(row.port);
			rig_put_port(row.port, 0);
		}
	}
	rig_put_place(1, RIG_FROM);
	rig_put_place(2, RIG_TO);
}

// Frames per second of both ports.
static void measure(bool well, bool hostile, double rate[2])
{
	world();
	struct dpdk_worker *worker = rig.engine->workers[0];
	struct dpdk_poll_list *list = malloc(sizeof(*list) + 2 * sizeof(list->queue[0]));
	free(worker->list);
	list->count = 2;
	list->queue[0] = rig.engine->queues[RIG_FROM];
	list->queue[1] = rig.engine->queues[HOSTILE];
	worker->list = list;
	rig.source[RIG_FROM] = well ? behave : NULL;
	rig.source[HOSTILE] = hostile ? attack : NULL;
	memset(taken, 0, sizeof(taken));
	u64 from = rig_now_ns();
	assert_int_equal(engine_dpdk->commit(rig.engine), 0);
	usleep(MILLISECONDS * 1000);
	rate[0] = (double)taken[RIG_FROM] * 1e9 / (double)(rig_now_ns() - from);
	rate[1] = (double)taken[HOSTILE] * 1e9 / (double)(rig_now_ns() - from);
	rig_stop();
}

static void slow_frames_take_no_more_than_their_share(void **state)
{
	(void)state;
	double alone[2], hostile[2], both[2];
	measure(true, false, alone);
	measure(false, true, hostile);
	measure(true, true, both);
	printf("alone: %.2f, the hostile: %.2f; together: %.2f and %.2f million a second\n",
		alone[0] / 1e6, hostile[1] / 1e6, both[0] / 1e6, both[1] / 1e6);
	assert_true(both[1] > 0);
	// By turns of equal length it is ten to one, as a hit and a flood cost; it was one to one.
	assert_true(both[0] > both[1] * 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_frames_take_no_more_than_their_share),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// Services and backends: the rows they become, what they share, what is refused, what they leave.

#include "tests/unit/expect.h"

#include <errno.h>
#include "daemon/address.h"
#include "daemon/connection.h"
#include "daemon/fdb.h"
#include "daemon/network.h"
#include "daemon/object_change.h"
#include "daemon/port.h"
#include "daemon/service.h"

#define MAC1 "02:00:00:00:00:01"
#define MAC2 "02:00:00:00:00:02"

static struct weft_service_key key_of(u32 scope, const char *vip, u16 port, u8 protocol)
{
	struct weft_ip ip = address_read(vip);
	struct weft_service_key key = {.scope = scope, .port = port, .protocol = protocol};
	memcpy(key.address, ip.byte, sizeof(key.address));
	return key;
}

static bool service_row(
	struct rig *rig, const struct weft_service_key *key, struct weft_service_row *row)
{
	balancer_settle(&rig->weftd);
	return engine_get(&rig->weftd, service, key, row) == 0;
}

static struct weft_service_row web(struct rig *rig)
{
	struct weft_service_key key = key_of(1, "10.1.0.100", 80, 6);
	struct weft_service_row row;
	assert_true(service_row(rig, &key, &row));
	return row;
}

static struct weft_backend_row backend_row(struct rig *rig, u32 id)
{
	struct weft_index index = {id};
	struct weft_backend_row row;
	balancer_settle(&rig->weftd);
	assert_int_equal(engine_get(&rig->weftd, backend, &index, &row), 0);
	return row;
}

// How many slots of the ring are this backend's.
static u32 slots(struct rig *rig, const struct weft_service_row *row, u32 id)
{
	u32 count = 0;
	for (u32 i = 0; i < row->ring_size; i++) {
		struct weft_index index = {row->ring + i};
		struct weft_ring_row slot;
		assert_int_equal(engine_get(&rig->weftd, ring, &index, &slot), 0);
		count += slot.backend == id;
	}
	return count;
}

static u32 rows_now(struct rig *rig, enum weft_table table)
{
	struct engine_table_status status;
	balancer_settle(&rig->weftd);
	rig->weftd.engine_ops->table_status(rig->weftd.engine, table, &status);
	return status.used;
}

// Once what takes its time is over.
static u32 rows_of(struct rig *rig, enum weft_table table)
{
	balancer_settle(&rig->weftd);
	connections_settle(&rig->weftd);
	return rows_now(rig, table);
}

static u32 station(struct rig *rig, u32 service, const char *mac)
{
	struct weft_station_key key = {service, mac_read(mac), 0};
	struct weft_station_row row;
	return engine_get(&rig->weftd, station, &key, &row) ? 0 : row.backend;
}

static void make_web(struct rig *rig, const char *more)
{
	char line[256];
	rig_do(rig, "network add blue subnet 10.1.0.0/24 gateway 10.1.0.254");
	snprintf(line, sizeof(line),
		"service add web vip 10.1.0.100 port 80 proto tcp network blue mode nat "
		"table-size 1021 %s",
		more);
	rig_do(rig, line);
	rig_do(rig, "backend add web address 10.1.0.11 port 8080 weight 3 mac " MAC1);
	rig_do(rig, "backend add web address 10.1.0.12 port all mac " MAC2);
}

static void rows_of_a_service(void **state)
{
	struct rig *rig = *state;
	struct weft_service_key address = key_of(1, "10.1.0.100", 0, 0);
	struct weft_service_row row;
	struct weft_network_row network;
	struct weft_index blue = {1};

	make_web(rig, "seed 5 affinity source connection-limit 7 idle 90s");
	row = web(rig);
	assert_int_equal(row.id, 1);
	assert_int_equal(row.flags, WEFT_SERVICE_NAT | WEFT_SERVICE_AFFINITY);
	assert_int_equal(row.network, 1);
	assert_int_equal(row.ring_size, 1021);
	assert_int_equal(row.seed, 5);
	assert_int_equal(row.connection_limit, 7);
	assert_int_equal(row.rate_meter, 0);
	assert_int_equal(row.idle_ns, 90000000000);
	assert_in_range(slots(rig, &row, 1), 764, 768);
	assert_in_range(slots(rig, &row, 2), 253, 257);
	assert_true(service_row(rig, &address, &row));
	assert_int_equal(row.flags, WEFT_SERVICE_ADDRESS);
	assert_int_equal(engine_get(&rig->weftd, network, &blue, &network), 0);
	assert_true(network.flags & WEFT_NETWORK_SERVICES);
	assert_int_equal(network.connection_limit, 65536);
	assert_int_equal(backend_row(rig, 1).port, 8080);
	assert_int_equal(backend_row(rig, 2).port, 0);
	assert_int_equal(backend_row(rig, 2).service, 1);
	rig_do(rig, "service set web rate-limit 100");
	assert_int_not_equal(web(rig).rate_meter, 0);
	rig_do(rig, "service set web affinity none on-empty reject dead reset");
	assert_int_equal(
		web(rig).flags, WEFT_SERVICE_NAT | WEFT_SERVICE_REJECT | WEFT_SERVICE_RESET);
	rig_do(rig, "service set web on-empty drop dead keep");
	assert_int_equal(web(rig).flags, WEFT_SERVICE_NAT);
}

static void nobody_serves_without_backends(void **state)
{
	struct rig *rig = *state;

	make_web(rig, "");
	rig_do(rig, "backend set web address 10.1.0.11 port 8080 weight 0");
	assert_int_equal(web(rig).ring_size, 1021);
	struct weft_service_row row = web(rig);
	assert_int_equal(slots(rig, &row, 2), 1021);
	assert_int_equal(backend_row(rig, 1).flags, WEFT_BACKEND_PRESENT); // it is drained
	rig_do(rig, "backend set web address 10.1.0.12 port all weight 0");
	assert_int_equal(web(rig).ring_size, 0);
	rig_do(rig, "backend set web address 10.1.0.12 port all weight 4");
	assert_int_equal(web(rig).ring_size, 1021);
}

static void put_connection(struct rig *rig, u16 port, u32 service, u32 backend, u32 flags)
{
	struct weft_connection_key key = {.scope = 1, .src_port = port};
	struct weft_connection_row row = {
		.service = service, .network = 1, .flags = flags, .rewrite = {.backend = backend}};
	struct weft_service_usage_row *usage = rig->weftd.engine_ops->table_at(
		rig->weftd.engine, WEFT_TABLE_service_usage, service);
	assert_int_equal(engine_put(&rig->weftd, connection, &key, &row), 0);
	if (!(flags & WEFT_CONNECTION_REPLY)) {
		usage->connections++;
		network_usage(&rig->weftd, 1)->connections++;
	}
}

static void who_goes_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	struct weft_service_usage_row usage;
	struct weft_index one = {1};

	make_web(rig, "");
	put_connection(rig, 1, 1, 1, 0);
	put_connection(rig, 2, 1, 1, WEFT_CONNECTION_REPLY);
	put_connection(rig, 3, 1, 2, 0);
	rig_do(rig, "backend del web address 10.1.0.11 port 8080");
	assert_int_equal(backend_row(rig, 1).flags, 0);
	struct weft_service_row row = web(rig);
	assert_int_equal(slots(rig, &row, 1), 0);
	assert_int_equal(rows_of(rig, WEFT_TABLE_connection), 1);
	assert_int_equal(engine_get(&rig->weftd, service_usage, &one, &usage), 0);
	assert_int_equal(usage.connections, 1);
	assert_int_equal(network_usage(&rig->weftd, 1)->connections, 1);
	rig_refused(rig, "service del web", 1, "in_use", "10.1.0.12");
	rig_do(rig, "backend del web address 10.1.0.12 port all");
	rig_do(rig, "service del web");
	assert_int_equal(rows_of(rig, WEFT_TABLE_service), 0);
	assert_int_equal(rows_of(rig, WEFT_TABLE_connection), 0);
	struct weft_network_row network;
	assert_int_equal(engine_get(&rig->weftd, network, &one, &network), 0);
	assert_false(network.flags & WEFT_NETWORK_SERVICES);
}

static struct weft_connection_row connection_row(struct rig *rig, u16 port)
{
	struct weft_connection_key key = {.scope = 1, .src_port = port};
	struct weft_connection_row row;
	balancer_settle(&rig->weftd);
	assert_int_equal(engine_get(&rig->weftd, connection, &key, &row), 0);
	return row;
}

// With `dead reset` the client's direction of an open connection stays, without a backend: its next
// packet is answered.
static void who_goes_leaves_what_is_to_be_reset(void **state)
{
	struct rig *rig = *state;

	make_web(rig, "dead reset");
	put_connection(rig, 1, 1, 1, 0);
	put_connection(rig, 2, 1, 1, WEFT_CONNECTION_REPLY);
	put_connection(rig, 3, 1, 1, WEFT_CONNECTION_CLOSED);
	put_connection(rig, 4, 1, 2, 0);
	rig_do(rig, "backend del web address 10.1.0.11 port 8080");
	rig_do(rig, "backend add web address 10.1.0.13 port 1 mac " MAC1); // has the id
	assert_int_equal(rows_of(rig, WEFT_TABLE_connection), 2);
	assert_int_equal(connection_row(rig, 1).rewrite.backend, 0);
	assert_int_equal(connection_row(rig, 4).rewrite.backend, 2);
	assert_int_equal(network_usage(&rig->weftd, 1)->connections, 2);
	connections_forget_strays(&rig->weftd); // it is none
	assert_int_equal(rows_of(rig, WEFT_TABLE_connection), 2);
	rig_do(rig, "service set web dead keep");
	connections_forget_strays(&rig->weftd);
	assert_int_equal(rows_of(rig, WEFT_TABLE_connection), 1);
	assert_int_equal(network_usage(&rig->weftd, 1)->connections, 1);
}

// Rows speak of who is gone by its id: nobody else has it before they are gone, too.
static void an_id_waits_for_its_rows(void **state)
{
	struct rig *rig = *state;

	make_web(rig, "");
	put_connection(rig, 1, 1, 1, 0);
	balancer_settle(&rig->weftd);
	rig_do(rig, "backend del web address 10.1.0.11 port 8080"); // not settled
	rig_do(rig, "backend add web address 10.1.0.13 port 1 mac " MAC1);
	assert_int_equal(backend_row(rig, 3).port, 1);
	assert_int_equal(rows_of(rig, WEFT_TABLE_connection), 0);
	struct weft_service_row row = web(rig);
	assert_in_range(slots(rig, &row, 3), 510, 511);
	rig_do(rig, "backend add web address 10.1.0.14 port 4 mac " MAC1);
	assert_int_equal(backend_row(rig, 1).port, 4);
}

// In a large table the rows take their time, as they do here behind others.
static u32 limit_of(struct rig *rig, const char *network)
{
	struct weft_network_row row;
	struct weft_index index = {object_find(&rig->weftd, &noun_network, network)->id};
	balancer_settle(&rig->weftd);
	assert_int_equal(engine_get(&rig->weftd, network, &index, &row), 0);
	return row.connection_limit;
}

// A network that is flooded leaves the others their part of the table: 65,536 rows, two of a
// connection.
static void tenants_share_the_table(void **state)
{
	struct rig *rig = *state;

	make_web(rig, "");
	rig_do(rig, "network add red");
	rig_do(rig, "network add green connection-limit 5");
	rig_do(rig, "service add a vip 10.1.0.100 port 80 proto tcp network red mode nat");
	rig_do(rig, "service add b vip 10.1.0.101 port 80 proto tcp network red mode nat");
	assert_int_equal(limit_of(rig, "blue"), 16384);
	assert_int_equal(limit_of(rig, "red"), 16384);
	rig_do(rig, "service add c vip 10.1.0.100 port 80 proto tcp network green mode nat");
	assert_int_equal(limit_of(rig, "blue"), 10922);
	assert_int_equal(limit_of(rig, "green"), 5);
	rig_do(rig, "service del a");
	rig_do(rig, "service del b");
	rig_do(rig, "service del c");
	assert_int_equal(limit_of(rig, "blue"), 65536);
}

static void ids_wait_for_a_long_walk(void **state)
{
	const struct connection_filter others = {.service = 99};
	struct rig *rig = *state;

	make_web(rig, "");
	put_connection(rig, 1, 1, 1, 0);
	put_connection(rig, 2, 1, 2, 0);
	connections_forget(&rig->weftd, &others, NULL, NULL);
	rig_do(rig, "backend del web address 10.1.0.11 port 8080");
	rig_do(rig, "backend del web address 10.1.0.12 port all");
	rig_do(rig, "service del web");
	balancer_settle(&rig->weftd);
	rig_do(rig, "network del blue");
	rig_do(rig, "network add green");
	assert_int_equal(rows_now(rig, WEFT_TABLE_connection), 2);
	assert_null(object_by_id(&rig->weftd, &noun_network, 1));
	connections_settle(&rig->weftd);
	event_base_loop(rig->weftd.base, EVLOOP_NONBLOCK); // whose turn it was finds nothing to do
	assert_int_equal(rows_of(rig, WEFT_TABLE_connection), 0);
	rig_do(rig, "network add blue");
	assert_string_equal(object_by_id(&rig->weftd, &noun_network, 1)->name, "blue");
	rig_do(rig, "service add web vip 10.1.0.100 port 80 proto tcp network blue mode nat");
	assert_non_null(object_by_id(&rig->weftd, &noun_service, 1));
}

// Where there is no other id, who comes waits for the rows.
static void a_full_table_settles(void **state)
{
	const struct connection_filter others = {.service = 99};
	struct rig *rig = *state;
	struct failure failure = {0};

	rig_stop(rig);
	rig->weftd.settings.capacity[WEFT_TABLE_backend] = 7; // one is nobody's
	assert_int_equal(rig_start(rig, &failure), 0);
	make_web(rig, "");
	put_connection(rig, 1, 1, 1, 0);
	for (u32 i = 3; i < 7; i++) {
		char line[96];
		snprintf(line, sizeof(line), "backend add web address 10.1.0.2%u port 1 mac " MAC1,
			i);
		rig_do(rig, line);
	}
	rig_refused(rig, "backend add web address 10.1.0.30 port 1 mac " MAC1, 1, "table_full",
		"the backend table is full (6 backends)");
	connections_forget(&rig->weftd, &others, NULL, NULL);
	rig_do(rig, "backend del web address 10.1.0.11 port 8080");
	rig_do(rig, "backend add web address 10.1.0.30 port 30 mac " MAC1);
	assert_int_equal(backend_row(rig, 1).port, 30);
	assert_int_equal(rows_of(rig, WEFT_TABLE_connection), 0);
}

static void services_share_an_address(void **state)
{
	struct rig *rig = *state;
	struct weft_service_key address = key_of(1, "10.1.0.100", 0, 0);
	struct weft_service_row row;

	make_web(rig, "");
	rig_do(rig, "service add dns vip 10.1.0.100 port 53 proto udp network blue mode nat "
		    "table-size 251");
	rig_do(rig, "service add rest vip 10.1.0.100 port all proto tcp network blue mode nat "
		    "table-size 251");
	rig_refused(rig, "service add more vip 10.1.0.100 port 0 proto tcp network blue mode nat",
		1, "exists", "service rest");
	rig_refused(rig, "service who rest from 10.1.0.1:4000 to-port 80", 2, "bad_words",
		"port 80 is service web's");
	rig_refused(rig, "service who rest from 10.1.0.1:4000 to-port 81", 1, "no_backend",
		"nobody serves rest");
	assert_int_equal(rows_of(rig, WEFT_TABLE_service), 4);
	rig_do(rig, "service del dns");
	rig_do(rig, "service del rest");
	assert_true(service_row(rig, &address, &row));
	assert_int_equal(rows_of(rig, WEFT_TABLE_service), 2);
}

static void host_dsr_knows_stations(void **state)
{
	struct rig *rig = *state;

	make_web(rig, "");
	assert_int_equal(station(rig, 1, MAC1), 1);
	rig_do(rig, "service set web mode host-dsr");
	assert_int_equal(web(rig).flags, WEFT_SERVICE_HOST_DSR);
	rig_refused(rig, "backend add web address 10.1.0.11 port 81 mac " MAC1, 1, "exists",
		"10.1.0.11 is one already");
	rig_do(rig, "backend set web address 10.1.0.11 port 8080 mac 02:00:00:00:00:09");
	assert_int_equal(station(rig, 1, MAC1), 0);
	assert_int_equal(station(rig, 1, "02:00:00:00:00:09"), 1);
	assert_int_equal(backend_row(rig, 1).mac.byte[5], 9);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *line, *code, *sentence;
		int status;
	} lines[] = {
		{"service add a vip 10.1.0.254 port 80 proto tcp network blue mode nat",
			"bad_value", "the gateway of network blue", 1},
		{"service add a vip 10.1.0.11 port 80 proto tcp network blue mode nat", "bad_value",
			"a backend of service web", 1},
		{"service add a vip 10.1.0.9 port 80 proto tcp network red mode nat", "not_found",
			"no network red", 1},
		{"service add a vip 10.1.0.9 port 80 proto tcp network blue mode nat uplink up9",
			"not_found", "no port up9", 1},
		{"service add a vip 10.1.0.9 port 80 proto tcp network blue mode dsr uplink up9",
			"bad_value", "dsr cannot be reached by an uplink", 1},
		{"service add a vip fd00::9 port 80 proto tcp network blue mode nat uplink up9",
			"bad_value", "no IPv6 gateway", 1},
		{"service add a vip 10.1.0.9 port 80 proto tcp network blue mode nat table-size "
		 "252",
			"bad_words", "none of 251|509", 2},
		{"service add a vip 224.0.0.1 port 80 proto tcp network blue mode nat", "bad_value",
			"not an address that a service can have", 1},
		{"service add a vip 10.1.0.9 port every proto tcp network blue mode nat",
			"bad_value", "every", 2},
		{"backend add web address 10.1.0.100 port 80", "bad_value",
			"the address of service web", 1},
		{"backend add web address 10.1.0.254 port 80", "bad_value", "the gateway", 1},
		{"backend add web address 10.2.0.1 port 80", "bad_value", "not in 10.1.0.0/24", 1},
		{"backend add web address fd00::1 port 80", "bad_value", "one family", 1},
		{"backend add wob address 10.1.0.1 port 80", "not_found", "no service wob", 1},
		{"backend add web address 10.1.0.1 port 80 drain 5s", "bad_value", "weight 0", 1},
		{"backend add web address 10.1.0.1 port 80 mac 02:57:65:66:74:01", "bad_value",
			"weft's gateways", 1},
		{"network del blue", "in_use", "services: web", 1},
		{"network set blue gateway 10.1.0.100", "bad_value", "the address of service web",
			1},
		{"network set blue subnet 10.1.0.0/29 gateway 10.1.0.6", "in_use",
			"subnet 10.1.0.0/29 leaves out 10.1.0.11, a backend of service web", 1},
		{"network set blue gateway 10.1.0.11", "in_use",
			"gateway 10.1.0.11 is the address of a backend of service web", 1},
		{"backend add web address 10.1.0.0 port 80", "bad_value",
			"stands for all of 10.1.0.0/24", 1},
		{"backend add web address 10.1.0.255 port 80", "bad_value",
			"stands for all of 10.1.0.0/24", 1},
		{"backend add web address 10.1.0.11 port 8080", "exists",
			"`backend set web address 10.1.0.11 port 8080 ...` changes it", 1},
		{"backend set wob address 10.1.0.11 port 8080 weight 1", "not_found",
			"there is no service wob", 1},
		{"service add a vip 10.1.0.9 port 80 proto tcp network blue mode nat interval 1s "
		 "timeout 2s",
			"bad_words", "longer than the interval", 2},
	};
	struct rig *rig = *state;

	make_web(rig, "");
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(lines); i++)
		rig_refused(rig, lines[i].line, lines[i].status, lines[i].code, lines[i].sentence);
	assert_int_equal(rows_of(rig, WEFT_TABLE_service), 2);
}

static void a_ring_that_does_not_fit_is_refused(void **state)
{
	struct rig *rig = *state;
	char line[160];

	rig_do(rig, "network add blue");
	for (int i = 0; i < 7; i++) { // 917,497 of 1,048,576 rows
		snprintf(line, sizeof(line),
			"service add s%d vip 10.1.0.%d port 80 proto tcp network blue mode nat "
			"table-size 131071",
			i, i + 1);
		rig_do(rig, line);
	}
	rig_do(rig, "service set s0 table-size 65537"); // behind the others
	rig_do(rig, "service add small vip 10.1.0.99 port 80 proto tcp network blue mode nat");
	rig_refused(rig,
		"service add more vip 10.1.0.98 port 80 proto tcp network blue mode nat "
		"table-size 131071",
		1, "table_full", "131076 of its 1048576 rows are free");
	rig_refused(rig, "service set small table-size 131071", 1, "table_full", "capacity: {ring");
	rig_do(rig, "service del s3");
	rig_do(rig, "service set small table-size 131071");
}

static void a_deadline_is_remembered(void **state)
{
	struct rig *rig = *state;
	struct object *object;
	long long left;

	make_web(rig, "");
	rig_do(rig, "backend set web address 10.1.0.11 port 8080 weight 0 drain 60s");
	object = object_find(&rig->weftd, &noun_backend, "web 10.1.0.11 8080");
	assert_non_null(object);
	left = backend_drain_left(object->spec);
	assert_in_range(left, 58, 60);
	rig_do(rig, "backend set web address 10.1.0.11 port 8080 drain 10s");
	assert_in_range(backend_drain_left(object->spec), 8, 10);
	rig_do(rig, "backend set web address 10.1.0.11 port 8080 weight 1 drain none");
	assert_int_equal(backend_drain_left(object->spec), -1);
}

static void ids_stay_over_a_restart(void **state)
{
	struct rig *rig = *state;
	struct failure failure = {0};

	make_web(rig, "");
	rig_do(rig, "backend del web address 10.1.0.11 port 8080");
	rig_stop(rig);
	assert_int_equal(rig_start(rig, &failure), 0);
	assert_int_equal(backend_row(rig, 1).flags, 0);
	assert_int_equal(backend_row(rig, 2).flags, WEFT_BACKEND_PRESENT);
	struct weft_service_row row = web(rig);
	assert_int_equal(slots(rig, &row, 2), 1021);
}

// As a packet's way back asks, and as a new connection does.
static u32 blocks_of(struct rig *rig, u32 owner, u32 *own)
{
	struct weft_host_row host;
	struct weft_index index = {0};
	u32 count = 0;
	balancer_settle(&rig->weftd);
	assert_int_equal(engine_get(&rig->weftd, host, &index, &host), 0);
	*own = host.blocks;
	for (index.index = 0; index.index < WEFT_BLOCKS; index.index++) {
		struct weft_port_block_row row, of;
		assert_int_equal(engine_get(&rig->weftd, port_block, &index, &row), 0);
		struct weft_index at = {row.own};
		assert_int_equal(engine_get(&rig->weftd, port_block, &at, &of), 0);
		if (*own)
			assert_int_equal(of.owner, 0);
		assert_true((row.owner == WEFT_BLOCK_NONE) == (index.index < 4));
		count += row.owner == owner;
	}
	return count;
}

static void blocks_are_shared_by_hosts(void **state)
{
	struct rig *rig = *state;
	u32 own, mine, theirs;

	assert_int_equal(blocks_of(rig, 0, &own), 252);
	assert_int_equal(own, 252);
	rig_do(rig, "host set address 192.0.2.1");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	mine = blocks_of(rig, 0, &own);
	assert_int_equal(own, mine);
	theirs = blocks_of(rig, 1, &own);
	assert_int_equal(mine + theirs, 252);
	assert_in_range(theirs, 90, 160);
	// From the other host it looks the same.
	rig_do(rig, "peer del h2");
	rig_do(rig, "host set address 192.0.2.2");
	rig_do(rig, "peer add h1 address 192.0.2.1");
	assert_int_equal(blocks_of(rig, 0, &own), theirs);
	assert_int_equal(blocks_of(rig, 1, &own), mine);
	rig_do(rig, "peer add h3 address 192.0.2.3");
	assert_in_range(blocks_of(rig, 2, &own), 60, 110);
}

static u32 walked; // rows that the walk below has

// In parts of a thousand.
static int walk_many(struct engine *engine, enum weft_table table, u32 *cursor, engine_walk_fn *fn,
	void *context)
{
	struct weft_connection_key key = {.protocol = 6};
	struct weft_connection_row row = {.service = 1,
		.rewrite = {.backend = 1, .what = WEFT_REWRITE_DST},
		.idle_ns = UINT32_MAX};
	(void)engine;
	assert_int_equal(table, WEFT_TABLE_connection);
	row.seen_ns = clock_ns();
	int stopped = 0;
	for (u32 i = 0; i < 1000 && *cursor < walked && !stopped; i++, ++*cursor)
		stopped = fn(&key, &row, context);
	if (*cursor == walked)
		*cursor = 0;
	return stopped;
}

static size_t shown(struct rig *rig, const char *line)
{
	json_t *result = rig_result(rig, line);
	size_t count = json_array_size(result);
	json_decref(result);
	return count;
}

static void an_answer_holds_so_many_connections(void **state)
{
	struct rig *rig = *state;
	make_web(rig, "");
	balancer_settle(&rig->weftd);
	rig->ops.table_walk_part = walk_many;
	walked = 65536;
	assert_int_equal(shown(rig, "connection show"), 65536);
	walked = 65537;
	rig_refused(rig, "connection show", 1, "too_many", "there are more than 65536 connections");
	assert_int_equal(shown(rig, "connection show limit 3"), 3);
	assert_int_equal(shown(rig, "connection show service web limit 65536"), 65536);
	rig->ops.table_walk_part = engine_sim.table_walk_part;
}

#define service_test(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		service_test(rows_of_a_service),
		service_test(nobody_serves_without_backends),
		service_test(who_goes_leaves_nothing),
		service_test(who_goes_leaves_what_is_to_be_reset),
		service_test(an_id_waits_for_its_rows),
		service_test(ids_wait_for_a_long_walk),
		service_test(tenants_share_the_table),
		service_test(a_full_table_settles),
		service_test(services_share_an_address),
		service_test(host_dsr_knows_stations),
		service_test(what_cannot_be_is_refused),
		service_test(a_ring_that_does_not_fit_is_refused),
		service_test(a_deadline_is_remembered),
		service_test(ids_stay_over_a_restart),
		service_test(blocks_are_shared_by_hosts),
		service_test(an_answer_holds_so_many_connections),
	};
	if (!rig_own_netns()) {
		puts("needs a network namespace of its own");
		return 77;
	}
	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}

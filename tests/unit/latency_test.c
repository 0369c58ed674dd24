// SPDX-License-Identifier: BSD-2-Clause
// Histograms: buckets and quantiles; whose rows stay and go; who is sampled; filters of postcards.

#include "tests/unit/expect.h"

#include <math.h>
#include <pthread.h>
#include "daemon/filter.h"
#include "daemon/latency.h"
#include "datapath/card.h"
#include "datapath/packet_flat.h"
#include "datapath/table.h"

static const struct weft_latency_row no_latency;
static u32 cpu; // that counts
#undef OBSERVE_CPU
#define OBSERVE_CPU(tables) cpu
#undef OBSERVE_INSERT
#define OBSERVE_INSERT(tables, key) table_insert((tables)->latency, (key), &no_latency)
#include "datapath/pipeline/observe.h"
#include "datapath/pipeline/observe_guest.h"

// --- buckets

static u64 middle(u32 bucket)
{
	u64 from = weft_latency_from_ns(bucket), end = weft_latency_from_ns(bucket + 1);
	return from + (end - 1 - from) / 2;
}

static void check_value(u64 ns)
{
	u32 bucket = weft_latency_bucket(ns);
	assert_true(bucket < WEFT_LATENCY_BUCKETS);
	assert_true(weft_latency_from_ns(bucket) <= ns && ns < weft_latency_from_ns(bucket + 1));
	u64 off = middle(bucket) > ns ? middle(bucket) - ns : ns - middle(bucket);
	assert_true(off * 1000 <= ns * 16);
}

static void buckets_are_narrow(void **state)
{
	(void)state;
	for (u64 ns = 0; ns < 100000; ns++)
		check_value(ns);
	for (u32 i = 0; i < WEFT_LATENCY_BUCKETS; i++) { // both ends of each
		check_value(weft_latency_from_ns(i));
		check_value(weft_latency_from_ns(i + 1) - 1);
	}
	for (u64 ns = weft_latency_from_ns(WEFT_LATENCY_BUCKETS); ns < ~0ull / 3; ns *= 3)
		assert_int_equal(weft_latency_bucket(ns), WEFT_LATENCY_BUCKETS - 1);
	assert_true(weft_latency_from_ns(WEFT_LATENCY_BUCKETS - 1) > 60000000000ull);
}

static u64 numbers(u64 *seed) // of many sizes
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (*seed >> 30) >> (*seed >> 59);
}

static int by_size(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;
	return x < y ? -1 : x > y;
}

static void quantiles_agree_with_a_sorted_list(void **state)
{
	enum { VALUES = 10007 };
	static u64 list[VALUES];
	static struct weft_latency_row row;
	static const double quantiles[] = {0.001, 0.5, 0.9, 0.99, 0.999, 1};
	u64 seed = 42, sum = 0;
	(void)state;
	for (u32 i = 0; i < VALUES; i++) {
		list[i] = numbers(&seed) & 0xffffffff;
		sum += list[i];
		histogram_count(&row, list[i]);
	}
	qsort(list, VALUES, sizeof(*list), by_size);
	assert_int_equal(row.count, VALUES);
	assert_int_equal(row.sum_ns, sum);
	assert_int_equal(row.min_ns, list[0]);
	assert_int_equal(row.max_ns, list[VALUES - 1]);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(quantiles); i++) {
		u64 wanted = list[(u32)ceil(quantiles[i] * VALUES) - 1];
		u64 got = latency_quantile(&row, quantiles[i]);
		u64 off = got > wanted ? got - wanted : wanted - got;
		if (off * 1000 > wanted * 16)
			fail_msg("quantile %g: %llu, not %llu", quantiles[i],
				(unsigned long long)got, (unsigned long long)wanted);
	}
}

static void quantiles_of_few(void **state)
{
	struct weft_latency_row row = {0};
	(void)state;
	assert_int_equal(latency_quantile(&row, 0.5), 0);
	histogram_count(&row, 1000003); // one value is every quantile, exactly
	assert_int_equal(latency_quantile(&row, 0.5), 1000003);
	assert_int_equal(latency_quantile(&row, 0.999), 1000003);
	histogram_count(&row, 10);
	histogram_count(&row, 20);
	assert_int_equal(latency_quantile(&row, 0.5), 20);
}

// --- rows

static void add_row_of(
	struct rig *rig, u32 from, u32 to, enum weft_span span, u32 of_cpu, u32 ns, u32 count)
{
	struct weft_latency_key key = {.from = from, .to = to, .span = span, .cpu = of_cpu};
	struct weft_latency_row row = {0};
	for (u32 i = 0; i < count; i++)
		histogram_count(&row, ns);
	assert_int_equal(engine_put(&rig->weftd, latency, &key, &row), 0);
}

static void add_row(struct rig *rig, u32 from, u32 to, enum weft_span span)
{
	add_row_of(rig, from, to, span, 0, 500, 1);
}

// Sim observes nothing; that it had, is enough for the commands.
static u64 no_cards(struct engine *engine,
	void (*fn)(const struct weft_postcard *card, void *context), void *context)
{
	(void)engine, (void)fn, (void)context;
	return 0;
}

static int observing(void **state)
{
	struct rig *rig;
	int error = rig_setup(state);
	if (error)
		return error;
	rig = *state;
	rig->ops.cards = no_cards;
	rig_do(rig, "network add blue");
	rig_do(rig, "port add one type vhost-user network blue");
	rig_do(rig, "port add two type vhost-user network blue");
	return 0;
}

static void shows(struct rig *rig, const char *line, const char *wanted)
{
	char got[512] = "";
	json_t *rows = rig_result(rig, line);
	size_t i;
	json_t *row;
	json_array_foreach (rows, i, row) {
		const char *to = json_string_value(json_object_get(row, "to"));
		size_t used = strlen(got);
		snprintf(got + used, sizeof(got) - used, "%s>%s %s;",
			json_string_value(json_object_get(row, "from")), to ? to : "*",
			json_string_value(json_object_get(row, "hop")));
	}
	json_decref(rows);
	assert_string_equal(got, wanted);
}

static void rows_go_with_their_port(void **state)
{
	struct rig *rig = *state;
	add_row(rig, 1, 2, WEFT_SPAN_residence);
	add_row(rig, 2, 1, WEFT_SPAN_queue);
	add_row(rig, 1, 0, WEFT_SPAN_decide);
	add_row(rig, 2, 0, WEFT_SPAN_decide);
	shows(rig, "latency show", "one>* decide;one>two residence;two>* decide;two>one queue;");
	rig_do(rig, "port del one");
	rig_do(rig, "port add three type vhost-user network blue"); // has the id of `one` now
	shows(rig, "latency show", "two>* decide;");
}

static void reset_forgets_what_it_names(void **state)
{
	struct rig *rig = *state;
	add_row(rig, 1, 2, WEFT_SPAN_residence);
	add_row(rig, 2, 0, WEFT_SPAN_decide);
	rig_do(rig, "latency reset port one");
	shows(rig, "latency show", "two>* decide;");
	shows(rig, "latency show port one", "");
	add_row(rig, 1, 2, WEFT_SPAN_residence);
	rig_do(rig, "latency reset");
	shows(rig, "latency show", "");
	rig_refused(rig, "latency reset port nine", 1, "not_found", "nine");
}

static s64 number(struct rig *rig, const char *field)
{
	json_t *rows = rig_result(rig, "latency show");
	assert_int_equal(json_array_size(rows), 1);
	s64 value = json_integer_value(json_object_get(json_array_get(rows, 0), field));
	json_decref(rows);
	return value;
}

static void cpus_are_shown_as_one(void **state)
{
	struct rig *rig = *state;
	add_row_of(rig, 1, 2, WEFT_SPAN_decide, 5, 500, 98);
	add_row_of(rig, 1, 2, WEFT_SPAN_decide, 0, 20, 1);
	add_row_of(rig, 1, 2, WEFT_SPAN_decide, 3, 0, 0); // made, and not counted in yet
	add_row_of(rig, 1, 2, WEFT_SPAN_decide, 7, 100000, 2);
	assert_int_equal(number(rig, "count"), 101);
	assert_int_equal(number(rig, "sum_ns"), 98 * 500 + 20 + 200000);
	assert_int_equal(number(rig, "min_ns"), 20);
	assert_int_equal(number(rig, "max_ns"), 100000);
	assert_in_range(number(rig, "p50_ns"), 492, 508);
	assert_in_range(number(rig, "p99_ns"), 98400, 100000);
	json_t *forgotten = rig_result(rig, "latency reset");
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(forgotten, 0), "forgotten")), 1);
	json_decref(forgotten);
	shows(rig, "latency show", "");
}

static void cpus_count_apart(void **state)
{
	struct tables tables = {
		.latency = table_new(WEFT_TABLE_HASH, sizeof(struct weft_latency_key),
			sizeof(struct weft_latency_row), 8),
	};
	struct weft_latency_key key = {.from = 1, .to = 2, .span = WEFT_SPAN_queue};
	(void)state;
	for (cpu = 0; cpu < WEFT_LATENCY_CPUS + 1; cpu++)
		observe_span(&tables, 1, 2, WEFT_SPAN_queue, 100);
	cpu = 0;
	for (key.cpu = 0; key.cpu < WEFT_LATENCY_CPUS; key.cpu++) {
		const struct weft_latency_row *row = table_get(tables.latency, &key);
		assert_int_equal(row->count, key.cpu ? 1 : 2); // the ninth has the first's
	}
	table_free(tables.latency);
}

static void show_filters(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "network add red");
	rig_do(rig, "port add far type vhost-user network red");
	add_row(rig, 1, 2, WEFT_SPAN_residence);
	add_row(rig, 3, 3, WEFT_SPAN_decide);
	add_row(rig, 77, 2, WEFT_SPAN_decide); // of nobody
	shows(rig, "latency show network red", "far>far decide;");
	shows(rig, "latency show network blue", "one>two residence;");
	shows(rig, "latency show port two", "one>two residence;");
}

static void of_a_port_and_a_peer(void **state)
{
	struct rig *rig = *state;
	rig_do(rig, "host set address 192.0.2.1");
	rig_do(rig, "peer add far address 192.0.2.2");
	add_row(rig, 1, 3, WEFT_SPAN_residence);
	add_row(rig, 3, 1, WEFT_SPAN_queue);
	add_row(rig, 3, 2, WEFT_SPAN_queue);
	add_row(rig, 1, 2, WEFT_SPAN_decide);
	shows(rig, "latency show port one peer far", "far>one queue;one>far residence;");
	shows(rig, "latency show peer far", "far>one queue;far>two queue;one>far residence;");
	rig_do(rig, "latency reset port one peer far");
	shows(rig, "latency show", "far>two queue;one>two decide;");
	rig_refused(rig, "latency show port one peer near", 1, "not_found", "near");
}

static void engines_that_observe_nothing(void **state)
{
	struct rig *rig = *state;
	rig->ops.cards = NULL;
	rig_refused(rig, "latency show", 1, "wrong_engine", "sim");
	rig_refused(rig, "latency reset", 1, "wrong_engine", "sim");
}

// --- who is sampled

static u32 below_of(struct rig *rig, u32 port)
{
	struct weft_index index = {port};
	struct weft_port_row row;
	assert_int_equal(engine_get(&rig->weftd, port, &index, &row), 0);
	return row.sample_below;
}

static u32 below_of_host(struct rig *rig)
{
	struct weft_index zero = {0};
	struct weft_host_row row;
	assert_int_equal(engine_get(&rig->weftd, host, &zero, &row), 0);
	return row.sample_below;
}

static void a_port_s_word_beats_the_host_s(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(below_of(rig, 1), weft_sample_below(LATENCY_SAMPLE_DEFAULT));
	rig_do(rig, "host set sample 2");
	rig_do(rig, "port set two sample 1");
	assert_int_equal(below_of_host(rig), 0x7fffffff);
	assert_int_equal(below_of(rig, 1), 0x7fffffff);
	assert_int_equal(below_of(rig, 2), 0xffffffff);
	rig_do(rig, "port set one sample 0"); // of this one, none
	rig_do(rig, "host set sample 0");
	assert_int_equal(below_of(rig, 1), 0);
	assert_int_equal(below_of(rig, 2), 0xffffffff);
	assert_int_equal(below_of_host(rig), 0);
}

// --- the table is full

static void a_full_table_counts_what_it_loses(void **state)
{
	enum { ROOM = 3 };
	struct tables tables = {
		.latency = table_new(WEFT_TABLE_HASH, sizeof(struct weft_latency_key),
			sizeof(struct weft_latency_row), ROOM),
		.port_usage =
			table_new(WEFT_TABLE_ARRAY, sizeof(u32), sizeof(struct weft_usage_row), 2),
	};
	const struct weft_usage_row *usage = table_at(tables.port_usage, 1);
	(void)state;
	for (u32 to = 1; to <= ROOM; to++)
		observe_span(&tables, 1, to, WEFT_SPAN_decide, 100);
	observe_span(&tables, 1, 1, WEFT_SPAN_decide, 300); // has a row
	assert_int_equal(usage->samples_lost, 0);
	observe_span(&tables, 1, ROOM + 1, WEFT_SPAN_decide, 100);
	observe_span(&tables, 1, 1, WEFT_SPAN_queue, 100);
	observe_span(&tables, 99, 1, WEFT_SPAN_queue, 100); // of a port that is no more
	assert_int_equal(usage->samples_lost, 2);
	struct weft_latency_key key = {.from = 1, .to = 1, .span = WEFT_SPAN_decide};
	const struct weft_latency_row *row = table_get(tables.latency, &key);
	assert_int_equal(row->count, 2);
	assert_int_equal(row->sum_ns, 400);
	table_free(tables.latency);
	table_free(tables.port_usage);
}

// --- a guest's answers, by several CPUs

enum { ASKED_OF = 2, GUEST_ROUNDS = 300000 };

static u64 monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

static void *asks(void *tables)
{
	struct observation seen = {.asks = true, .question = {.protocol = WEFT_IP_UDP}};
	for (u32 i = 0; i < GUEST_ROUNDS; i++)
		guest_asked(tables, 1, ASKED_OF, &seen, monotonic_ns());
	return NULL;
}

static void *listens(void *tables)
{
	const struct weft_key answer = {
		.in_port = ASKED_OF, .protocol = WEFT_IP_UDP, .flags = WEFT_KEY_L4};
	const struct weft_layout layout = {0};
	const struct weft_verdict verdict = {0};
	const struct packet p = {0};
	for (u32 i = 0; i < GUEST_ROUNDS; i++) {
		struct observation seen = {.answering = true, .in_ns = monotonic_ns()};
		guest_listen(tables, &p, &answer, &layout, &verdict, &seen);
	}
	return NULL;
}

// Each question has one answer, however many CPUs see one.
static void guests_answer_once(void **state)
{
	struct tables tables = {
		.latency = table_new(WEFT_TABLE_HASH, sizeof(struct weft_latency_key),
			sizeof(struct weft_latency_row), 8),
		.guest = table_new(
			WEFT_TABLE_ARRAY, sizeof(u32), sizeof(struct weft_guest_row), ASKED_OF + 1),
	};
	const struct weft_latency_key key = {1, ASKED_OF, WEFT_SPAN_guest, 0};
	void *(*const work[])(void *) = {asks, listens, listens, listens};
	pthread_t threads[WEFT_ARRAY_SIZE(work)];
	(void)state;
	table_insert(tables.latency, &key, &no_latency); // it has one writer at a time
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(work); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work[i], &tables), 0);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(work); i++)
		pthread_join(threads[i], NULL);
	const struct weft_latency_row *row = table_get(tables.latency, &key);
	assert_true(row->count > 0);
	assert_true(row->max_ns < 10000000000ull);
	table_free(tables.latency);
	table_free(tables.guest);
}

// --- filters

static struct weft_postcard card_of(bool tagged)
{
	struct weft_postcard card = {.bytes = 60, .captured = 60, .tagged = tagged, .tci = 0x600a};
	u8 *ip = card.frame + 14;
	memset(card.frame, 2, 12);
	card.frame[12] = 8;
	ip[0] = 0x45;
	ip[3] = 46;
	ip[9] = WEFT_IP_UDP;
	ip[12] = ip[16] = 10;
	ip[15] = 1;
	ip[19] = 2;
	ip[23] = 53; // destination port
	ip[25] = 26;
	return card;
}

static bool passes(const char *text, const struct weft_postcard *card)
{
	struct filter *filter;
	struct failure failure = {0};
	assert_int_equal(filter_new(text, &filter, &failure), 0);
	bool passed = filter_passes(filter, card);
	filter_free(filter);
	return passed;
}

static void filters_see_the_frame(void **state)
{
	struct weft_postcard plain = card_of(false), tagged = card_of(true), cut = plain, inside;
	(void)state;
	assert_true(passes(NULL, &plain));
	assert_true(passes("udp port 53 and src host 10.0.0.1", &plain));
	assert_false(passes("tcp or port 54 or dst host 10.0.0.1", &plain));
	assert_false(passes("vlan", &plain));
	assert_true(passes("vlan 10 and udp dst port 53", &tagged));
	assert_false(passes("vlan 11", &tagged));
	assert_true(passes("vlan and ether[14:2] = 0x600a", &tagged)); // priority, too
	// behind a trunk as behind an access port
	assert_true(passes("udp port 53 and src host 10.0.0.1", &tagged));
	assert_false(passes("not udp", &tagged) || passes("not ip", &tagged));
	assert_true(passes("vlan and len = 64", &tagged));
	inside = tagged; // as dpdk has it
	u8 bytes[CARD_FRAME_BYTES];
	inside.captured = card_frame(&tagged, bytes);
	memcpy(inside.frame, bytes, inside.captured);
	inside.bytes += 4;
	inside.tagged = inside.tci = 0;
	assert_true(passes("udp port 53 and len = 60", &inside) && passes("vlan 10", &inside));
	assert_true(passes("len = 60", &tagged) && passes("len = 60", &plain));
	cut.captured = 10; // shorter than any header: nothing is read behind it
	cut.tagged = 1;
	assert_false(passes("ip", &cut));
	plain.bytes = 1400;
	assert_true(passes("greater 1400", &plain));
}

static void filters_that_are_none(void **state)
{
	struct filter *filter;
	struct failure failure = {0};
	(void)state;
	assert_int_equal(filter_new("nonsense", &filter, &failure), -EINVAL);
	assert_null(filter);
	assert_non_null(strstr(failure.message, "nonsense"));
	filter_free(filter);
}

// A name that is looked up holds everything else up.
static void filters_ask_no_resolver(void **state)
{
	static const char *const good[] = {"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"icmp[icmptype] == icmp-echo", "port domain or ssh", "ip proto \\tcp",
		"ether host aa:bb:cc:dd:ee:ff", "host fd00::2 or fe80::1",
		"net 10.0.0.0/8 or 10.1.0.0 mask 255.255.0.0",
		"ether[0] & 1 = 0 and ip[16] >= 0xe0", "icmp6 and ip6[40] == 135",
		"portrange 80-90", "ether proto 0x88cc", "udp[8:2] = 0x1234", "vlan 10 and arp"};
	static const char *const names[] = {"host nowhere.example.com", "src router",
		"net lan or host 10.0.0.1", "nowhere.example.com",
		"tcp port 80 and host web-1.local", "ether host printer", "host web-1"};
	struct filter *filter;
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(good); i++) {
		struct failure failure = {0};
		if (filter_new(good[i], &filter, &failure))
			fail_msg("%s: %s", good[i], failure.message);
		filter_free(filter);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(names); i++) {
		struct failure failure = {0};
		assert_int_equal(filter_new(names[i], &filter, &failure), -EINVAL);
		if (!strstr(failure.message, "names are not looked up"))
			fail_msg("%s: %s", names[i], failure.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_are_narrow),
		cmocka_unit_test(quantiles_agree_with_a_sorted_list),
		cmocka_unit_test(quantiles_of_few),
		cmocka_unit_test_setup_teardown(rows_go_with_their_port, observing, rig_teardown),
		cmocka_unit_test_setup_teardown(
			reset_forgets_what_it_names, observing, rig_teardown),
		cmocka_unit_test_setup_teardown(cpus_are_shown_as_one, observing, rig_teardown),
		cmocka_unit_test(cpus_count_apart),
		cmocka_unit_test_setup_teardown(show_filters, observing, rig_teardown),
		cmocka_unit_test_setup_teardown(of_a_port_and_a_peer, observing, rig_teardown),
		cmocka_unit_test_setup_teardown(
			engines_that_observe_nothing, observing, rig_teardown),
		cmocka_unit_test_setup_teardown(
			a_port_s_word_beats_the_host_s, observing, rig_teardown),
		cmocka_unit_test(a_full_table_counts_what_it_loses),
		cmocka_unit_test(guests_answer_once),
		cmocka_unit_test(filters_see_the_frame),
		cmocka_unit_test(filters_that_are_none),
		cmocka_unit_test(filters_ask_no_resolver),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

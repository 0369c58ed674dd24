// SPDX-License-Identifier: BSD-2-Clause
// vugen.c - two guests on one core: frames through a vhost-user switch, their rate and their
// latency

#include <getopt.h>

#include "tests/tools/histogram.h"
#include "ways.h"

#define TX_POOL     8191
#define RX_POOL     8191
#define GAP_NS      10000 /* longer between two looks: somebody took our core, which proves nothing */
#define WARM_UP_MS  200
#define SLICE_MS    10
#define RTT_LOST_MS 20

struct settings {
	const char *run;
	uint64_t size, flows, macs, both, back, seconds, rate, service;
};

static struct histogram histogram;
static double cycles_per_ns;

static void print_run(const struct settings *set)
{
	printf("{\"run\": \"%s\", \"size\": %u, \"flows\": %u, \"macs\": %u", set->run,
		(unsigned int)set->size, (unsigned int)set->flows, (unsigned int)set->macs);
}

/* --- rate: as fast as the rings take frames --- */

/* What our own part costs: the rounds in which every burst was full. */
struct own {
	struct histogram cycles; /* of one frame, sent and received */
	uint64_t idle, rounds;
};

static struct own own;

static void rate_for(struct way *ways, int n, uint64_t cycles)
{
	uint64_t begin = rte_rdtsc(), before = begin, now = begin;
	uint16_t sent, got;
	int i;

	while (now - begin < cycles) {
		for (i = 0, sent = 0, got = 0; i < n; i++) {
			sent += way_send(&ways[i]);
			got += way_receive(&ways[i]);
		}
		now = rte_rdtsc();
		if (sent == n * BURST && got == n * BURST)
			histogram_add(&own.cycles, (now - before) / got);
		own.idle += !sent && !got;
		own.rounds++;
		before = now;
	}
}

/* The rate of each slice: the median of them stands for a while in which nobody took a core. */
static void rate_slice(struct way *ways, int n)
{
	uint64_t before = ways[0].received + ways[1].received, begin = rte_rdtsc();

	rate_for(ways, n, cycles_of_ms(SLICE_MS));
	histogram_add(&histogram, (ways[0].received + ways[1].received - before) *
					  rte_get_tsc_hz() / (rte_rdtsc() - begin));
}

static void rate_print(const struct way *ways, int n, double mean_mpps)
{
	double mpps = (double)histogram_quantile(&histogram, 0.5) / 1e6;
	uint64_t sent = ways[0].sent + ways[1].sent;

	printf(", \"ways\": %d, \"mpps\": %.3f, \"ns_per_packet\": %.2f, \"mean_mpps\": %.3f", n,
		mpps, mpps > 0 ? 1e3 / mpps : 0, mean_mpps);
	printf(", \"sent\": %llu, \"lost\": %lld, \"own_ns\": %.1f, \"idle\": %.3f}\n",
		(unsigned long long)sent, (long long)(sent - ways[0].received - ways[1].received),
		(double)histogram_quantile(&own.cycles, 0.5) / cycles_per_ns,
		(double)own.idle / (double)own.rounds);
}

static void run_rate(const struct settings *set)
{
	struct way ways[PORTS] = {way_new(set->back), way_new(!set->back)};
	uint64_t received, begin, slices = set->seconds * 1000 / SLICE_MS;
	int n = set->both ? 2 : 1;
	double mean;

	rate_for(ways, n, cycles_of_ms(WARM_UP_MS));
	memset(&own, 0, sizeof(own));
	memset(&histogram, 0, sizeof(histogram));
	received = ways[0].received + ways[1].received;
	begin = rte_rdtsc();
	while (slices--)
		rate_slice(ways, n);
	mean = (double)(ways[0].received + ways[1].received - received) * cycles_per_ns * 1e3 /
	       (double)(rte_rdtsc() - begin);
	way_end(&ways[0]);
	way_end(&ways[1]);
	drain(ways);
	print_run(set);
	rate_print(ways, n, mean);
}

/* --- rtt: one frame there and back --- */

static void run_rtt(const struct settings *set)
{
	uint64_t end = rte_rdtsc() + set->seconds * rte_get_tsc_hz(), stamp, deadline, lost = 0;

	memset(&histogram, 0, sizeof(histogram));
	while ((stamp = rte_rdtsc()) < end) {
		deadline = stamp + cycles_of_ms(RTT_LOST_MS);
		if (send_one(0, stamp) && receive_one(1, stamp, deadline) && send_one(1, stamp) &&
			receive_one(0, stamp, deadline))
			histogram_add(&histogram, rte_rdtsc() - stamp);
		else
			lost++;
	}
	print_run(set);
	printf(", \"lost\": %llu, ", (unsigned long long)lost);
	histogram_print(&histogram, cycles_per_ns);
	puts("}");
}

/* --- latency: one way, at a rate; a frame's time counts from when it was due --- */

struct pace {
	uint64_t interval, due, before, gaps;
	bool spoilt; /* what waits in our ring waited for us */
};

static void latency_send(struct way *way, struct pace *pace, uint64_t now)
{
	uint64_t due = (now - pace->due) / pace->interval;
	uint16_t i, sent;

	if (!way->count && now >= pace->due && due) {
		way->first = 0;
		way->count =
			frames_take(way->frames, way->burst, (uint16_t)(due < BURST ? due : BURST));
		for (i = 0; i < way->count; i++)
			frame_stamp(way->frames, way->burst[i], pace->due += pace->interval);
	}
	if (!way->count)
		return;
	sent = rte_eth_tx_burst(way->from, 0, way->burst + way->first, way->count);
	way->first += sent;
	way->count -= sent;
	way->sent += sent;
}

static void latency_receive(struct way *way, struct pace *pace)
{
	struct rte_mbuf *burst[BURST];
	uint16_t got = rte_eth_rx_burst(way->to, 0, burst, BURST), i;
	uint64_t now = rte_rdtsc(), stamp;

	for (i = 0; i < got; i++)
		rte_prefetch0(rte_pktmbuf_mtod(burst[i], void *));
	for (i = 0; i < got; i++) {
		if (!frame_read(&frames[way->to], burst[i], &stamp))
			continue;
		way->received++;
		if (!pace->spoilt)
			histogram_add(&histogram, now > stamp ? now - stamp : 0);
	}
	if (got)
		rte_pktmbuf_free_bulk(burst, got);
	if (got < BURST)
		pace->spoilt = false;
}

static void latency_for(struct way *way, struct pace *pace, uint64_t cycles)
{
	uint64_t begin = rte_rdtsc(), now = begin, gap = (uint64_t)(GAP_NS * cycles_per_ns);

	pace->due = pace->before = begin;
	while (now - begin < cycles) {
		now = rte_rdtsc();
		if (now - pace->before > gap) {
			pace->gaps++;
			pace->spoilt = true;
			if (now - pace->due > pace->interval) /* no burst to make up for it */
				pace->due = now - pace->interval;
		}
		pace->before = now;
		latency_send(way, pace, now);
		latency_receive(way, pace);
	}
}

static void run_latency(const struct settings *set)
{
	struct way ways[PORTS] = {way_new(0), way_new(1)};
	struct pace pace = {.interval = rte_get_tsc_hz() / set->rate};

	if (set->rate > 1000)
		latency_for(&ways[0], &pace, cycles_of_ms(WARM_UP_MS));
	memset(&histogram, 0, sizeof(histogram));
	pace.gaps = 0;
	latency_for(&ways[0], &pace, set->seconds * rte_get_tsc_hz());
	way_end(&ways[0]);
	drain(ways);
	print_run(set);
	printf(", \"rate\": %llu, \"sent\": %llu, \"lost\": %lld, \"gaps\": %llu, ",
		(unsigned long long)set->rate, (unsigned long long)ways[0].sent,
		(long long)(ways[0].sent - ways[0].received), (unsigned long long)pace.gaps);
	histogram_print(&histogram, cycles_per_ns);
	puts("}");
}

/* --- idle: two guests that do nothing; the line comes when that begins --- */

static void run_idle(const struct settings *set)
{
	print_run(set);
	puts("}");
	fflush(stdout);
	sleep((unsigned int)set->seconds);
}

/* --- words --- */

static const struct run {
	const char *name;
	void (*run)(const struct settings *set);
} runs[] = {
	{"rate", run_rate},
	{"rtt", run_rtt},
	{"latency", run_latency},
	{"idle", run_idle},
};

static void usage(FILE *to)
{
	fputs("vugen [OPTIONS] SOCKET-A SOCKET-B RUN [SETTING=N]... [RUN [SETTING=N]...]...\n"
	      "  --cpu N          the core of both guests (1)\n"
	      "  --server         listen on the sockets instead of connecting to them\n"
	      "  --no-huge        memory without huge pages\n"
	      "  --queue-size N   of each virtqueue (256)\n"
	      "  --packed         packed virtqueues\n"
	      "  --vxlan MAC      B is a host, 10.255.0.102, with VXLAN (VNI 100) to the "
	      "switch's,\n"
	      "                   10.255.0.101 with this MAC\n"
	      "Runs; each prints a JSON line:\n"
	      "  rate             flat out from A to B, both=1: and back; back=1: from B to A\n"
	      "  rtt              one frame there and back, again and again\n"
	      "  latency          one way at rate=N frames a second\n"
	      "  idle             nothing; the line is printed at its start\n"
	      "Settings: size=64 flows=1 macs=1 (of A) seconds=2 rate=1000 both=0 back=0\n"
	      "          service=0 (1: A sends to 10.255.0.100 by the gateway's MAC)\n",
		to);
}

static bool parse_setting(struct settings *set, const char *word)
{
	const struct {
		const char *name;
		uint64_t *value, min, max;
	} table[] = {
		{"size=", &set->size, FRAME_SIZE_MIN, FRAME_SIZE_MAX},
		{"flows=", &set->flows, 1, 1 << 24},
		{"macs=", &set->macs, 1, 1 << 24},
		{"both=", &set->both, 0, 1},
		{"back=", &set->back, 0, 1},
		{"seconds=", &set->seconds, 1, 3600},
		{"rate=", &set->rate, 1, 100000000},
		{"service=", &set->service, 0, 1},
	};
	size_t i, len;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		len = strlen(table[i].name);
		if (strncmp(word, table[i].name, len))
			continue;
		*table[i].value = parse_number(table[i].name, word + len, table[i].max);
		return *table[i].value >= table[i].min;
	}
	return false;
}

static const struct run *find_run(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		if (!strcmp(runs[i].name, word))
			return &runs[i];
	return NULL;
}

/* The words are checked before the first run, then played. */
static void play(char **words, int n, bool check)
{
	const struct run *run;
	struct settings set;
	int i = 0;

	while (i < n) {
		run = find_run(words[i]);
		if (!run)
			errx(EXIT_BROKEN, "'%s': a run is rate, rtt, latency or idle", words[i]);
		set = (struct settings){words[i++], 64, 1, 1, 0, 0, 2, 1000, 0};
		for (; i < n && strchr(words[i], '='); i++)
			if (!parse_setting(&set, words[i]))
				errx(EXIT_BROKEN, "'%s': no such setting or value", words[i]);
		if (check)
			continue;
		teach((uint16_t)set.size, (uint32_t)set.flows, (uint32_t)set.macs, set.service);
		run->run(&set);
		fflush(stdout);
	}
}

static int options_parse(int argc, char **argv, struct start *start, char *device)
{
	static const struct option options[] = {{"cpu", required_argument, NULL, 'c'},
		{"server", no_argument, NULL, 's'}, {"no-huge", no_argument, NULL, 'n'},
		{"queue-size", required_argument, NULL, 'q'}, {"packed", no_argument, NULL, 'p'},
		{"vxlan", required_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {}};
	unsigned long long size = 256;
	int word, server = 0, packed = 0;

	while ((word = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
		switch (word) {
		case 'c':
			start->cpu = (unsigned int)parse_number("--cpu", optarg, 1023);
			break;
		case 's':
			server = 1;
			break;
		case 'n':
			start->no_huge = true;
			break;
		case 'q':
			size = parse_number("--queue-size", optarg, 1024);
			break;
		case 'p':
			packed = 1;
			break;
		case 'v':
			parse_mac(optarg, outer_end[0].mac);
			frames[1].outer = OUTER_BYTES;
			break;
		default:
			usage(word == 'h' ? stdout : stderr);
			exit(word == 'h' ? 0 : EXIT_BROKEN);
		}
	}
	snprintf(device, 128, "queues=1,queue_size=%llu,server=%d,packed_vq=%d", size, server,
		packed);
	return optind;
}

int main(int argc, char **argv)
{
	struct start start = {.name = "vugen", .cpu = 1};
	char device[128];
	int first = options_parse(argc, argv, &start, device), i;
	struct rte_mempool *pool;

	if (argc - first < PORTS + 1) {
		usage(stderr);
		return EXIT_BROKEN;
	}
	play(argv + first + PORTS, argc - first - PORTS, true);
	for (i = 0; i < PORTS; i++) {
		if (asprintf(&start.vdev[i], "net_virtio_user%d,mac=02:77:00:00:00:0%d,path=%s,%s",
			    i, i, argv[first + i], device) < 0)
			err(EXIT_BROKEN, "vdev");
	}
	start_eal(&start);
	cycles_per_ns = (double)rte_get_tsc_hz() / 1e9;
	pool = start_pool("received", RX_POOL);
	for (i = 0; i < PORTS; i++) {
		frames[i].pool = start_pool(i ? "sent-b" : "sent-a", TX_POOL);
		start_port((uint16_t)i, pool, 0);
	}
	play(argv + first + PORTS, argc - first - PORTS, false);
	for (i = 0; i < PORTS; i++) {
		rte_eth_dev_stop((uint16_t)i);
		rte_eth_dev_close((uint16_t)i);
	}
	rte_eal_cleanup();
	return 0;
}

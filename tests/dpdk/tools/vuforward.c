// SPDX-License-Identifier: BSD-2-Clause
// vuforward.c - the limit of a vhost-user switch: bursts from one port to the other, nothing looked
// at

#include <getopt.h>
#include <rte_cycles.h>

#include "tests/tools/histogram.h"
#include "start.h"

#define POOL_SIZE   8191
#define REPLAY_POOL 262143 /* net_pcap holds all frames that it replays */
#define SLICE_MS    10

static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
	(void)signal;
	ended = 1;
}

static uint64_t forward(uint16_t from, uint16_t to)
{
	struct rte_mbuf *burst[BURST];
	uint16_t got = rte_eth_rx_burst(from, 0, burst, BURST);
	uint16_t sent = got ? rte_eth_tx_burst(to, 0, burst, got) : 0;

	if (sent < got)
		rte_pktmbuf_free_bulk(burst + sent, got - sent);
	return sent;
}

/* What a frame costs in each slice; the median of them leaves out when somebody took the core. */
static uint64_t forward_slice(struct histogram *cost)
{
	uint64_t begin = rte_rdtsc(), slice = rte_get_tsc_hz() / 1000 * SLICE_MS, sent = 0, now;

	do {
		sent += forward(0, 1) + forward(1, 0);
		now = rte_rdtsc();
	} while (now - begin < slice);
	if (sent)
		histogram_add(cost, (now - begin) * 1000 / sent);
	return sent;
}

static void usage(FILE *to)
{
	fputs("vuforward [OPTIONS] SOCKET SOCKET: forward between two vhost-user sockets\n"
	      "  --cpu N         the core that polls (0)\n"
	      "  --client        connect to the sockets instead of listening\n"
	      "  --no-huge       memory without huge pages\n"
	      "  --vdev          SOCKETs are DPDK devices: net_null0,copy=0\n"
	      "  --seconds N     end by itself\n"
	      "At the end a JSON line says how many frames went and what each took.\n",
		to);
}

static char *port_device(char *word, int port, bool vdev, bool client)
{
	char *device;

	if (vdev)
		return word;
	if (asprintf(&device, "net_vhost%d,iface=%s,queues=1,client=%d", port, word, client) < 0)
		err(EXIT_BROKEN, "vdev");
	return device;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"cpu", required_argument, NULL, 'c'},
		{"client", no_argument, NULL, 'C'}, {"no-huge", no_argument, NULL, 'n'},
		{"vdev", no_argument, NULL, 'v'}, {"seconds", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'}, {}};
	static struct histogram cost;
	struct start start = {.name = "vuforward"};
	uint64_t sent = 0, slices = UINT64_MAX;
	bool client = false, vdev = false;
	struct rte_mempool *pool;
	int word, i;

	while ((word = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (word) {
		case 'c':
			start.cpu = (unsigned int)parse_number("--cpu", optarg, 1023);
			break;
		case 'C':
			client = true;
			break;
		case 'n':
			start.no_huge = true;
			break;
		case 'v':
			vdev = true;
			break;
		case 's':
			slices = parse_number("--seconds", optarg, 86400) * 1000 / SLICE_MS;
			break;
		default:
			usage(word == 'h' ? stdout : stderr);
			return word == 'h' ? 0 : EXIT_BROKEN;
		}
	}
	if (argc - optind != PORTS) {
		usage(stderr);
		return EXIT_BROKEN;
	}
	for (i = 0; i < PORTS; i++)
		start.vdev[i] = port_device(argv[optind + i], i, vdev, client);
	start_eal(&start);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	pool = start_pool("frames", vdev ? REPLAY_POOL : POOL_SIZE);
	for (i = 0; i < PORTS; i++)
		start_port((uint16_t)i, pool, 512);
	puts("ready");
	fflush(stdout);
	while (!ended && slices--)
		sent += forward_slice(&cost);
	printf("{\"forwarded\": %llu, \"ns_per_packet\": %.2f}\n", (unsigned long long)sent,
		(double)histogram_quantile(&cost, 0.5) * 1e6 / (double)rte_get_tsc_hz());
	for (i = 0; i < PORTS; i++) {
		rte_eth_dev_stop((uint16_t)i);
		rte_eth_dev_close((uint16_t)i);
	}
	rte_eal_cleanup();
	return 0;
}

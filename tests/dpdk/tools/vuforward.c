// SPDX-License-Identifier: BSD-2-Clause
// vuforward.c - the limit of a vhost-user switch: bursts from one port to the other, nothing looked
// at

#include <getopt.h>
#include <rte_cycles.h>

#include "start.h"

#define POOL_SIZE 8191

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
	struct start start = {.name = "vuforward"};
	uint64_t begin, sent = 0, limit = UINT64_MAX;
	bool client = false, vdev = false;
	struct rte_mempool *pool;
	double ns;
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
			limit = parse_number("--seconds", optarg, 86400);
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
	pool = start_pool("frames", POOL_SIZE);
	for (i = 0; i < PORTS; i++)
		start_port((uint16_t)i, pool, 512);
	puts("ready");
	fflush(stdout);
	begin = rte_rdtsc();
	limit = limit == UINT64_MAX ? limit : limit * rte_get_tsc_hz();
	while (!ended && rte_rdtsc() - begin < limit)
		sent += forward(0, 1) + forward(1, 0);
	ns = (double)(rte_rdtsc() - begin) * 1e9 / (double)rte_get_tsc_hz();
	printf("{\"forwarded\": %llu, \"ns_per_packet\": %.1f}\n", (unsigned long long)sent,
		sent ? ns / (double)sent : 0);
	for (i = 0; i < PORTS; i++) {
		rte_eth_dev_stop((uint16_t)i);
		rte_eth_dev_close((uint16_t)i);
	}
	rte_eal_cleanup();
	return 0;
}

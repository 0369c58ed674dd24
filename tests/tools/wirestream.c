// SPDX-License-Identifier: BSD-2-Clause
// wirestream.c - numbered frames over a wire: which are lost, doubled or early, delays and rate

#include <getopt.h>
#include <poll.h>

#include "wireend.h"

#define PACKETS_MAX 1000000

struct options {
	const char *netns[2], *dev[2];
	uint32_t count;
	unsigned long long spacing_us;
	uint32_t burst;
	size_t size;
	uint16_t segments, gso_size;
	double least_us, most_us;
	unsigned long long settle_ms;
};

static struct options opt = {.count = 1000,
	.spacing_us = 1000,
	.burst = 1,
	.size = 60,
	.segments = 1,
	.gso_size = 1000,
	.settle_ms = 200};
static int end_fd[2];

#define MAGIC 0x77656674u
struct stamp {
	uint32_t magic, serial;
	uint64_t sent_ns;
};

/* What arrived in one direction. */
struct way {
	uint8_t *copies;  /* by serial */
	uint32_t *serial; /* first copies in the order of their arrival */
	double *delay_us; /* theirs */
	uint32_t arrived, duplicates;
	uint64_t bytes, first_ns, last_ns, first_bytes;
};

static uint64_t realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void send_stamped(int from, uint32_t serial)
{
	static uint8_t frame[TAP_FRAME_MAX];
	struct stamp stamp = {.magic = MAGIC, .serial = serial};
	size_t len = opt.size, headers;
	struct virtio_net_hdr vnet = {};

	if (opt.segments > 1) {
		len = (size_t)opt.gso_size * opt.segments;
		headers = build_gso(&vnet, frame, from, false, false, len, opt.gso_size);
		len += headers;
	} else {
		headers = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr);
		put_udp_frame(frame, &hosts[from], &hosts[!from], len);
	}
	stamp.sent_ns = realtime_ns();
	memcpy(frame + headers, &stamp, sizeof(stamp));
	transmit(end_fd[from], &vnet, frame, len);
}

static void take(struct way *way, const struct arrival *got)
{
	size_t headers = opt.segments > 1 ? 54 : 42;
	struct stamp stamp;

	if (got->len < headers + sizeof(stamp))
		return;
	memcpy(&stamp, got->frame + headers, sizeof(stamp));
	if (stamp.magic != MAGIC || stamp.serial >= opt.count)
		return;
	if (!way->bytes) {
		way->first_ns = got->at_ns;
		way->first_bytes = got->len + (opt.segments - 1) * headers;
	}
	way->last_ns = got->at_ns;
	way->bytes += got->len + (opt.segments - 1) * headers;
	if (way->copies[stamp.serial]++) {
		way->duplicates++;
		return;
	}
	way->serial[way->arrived] = stamp.serial;
	way->delay_us[way->arrived++] = (double)(int64_t)(got->at_ns - stamp.sent_ns) / 1e3;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The largest distance between the sorted sample's distribution and the uniform one. */
static double ks_uniform(const double *sample, uint32_t n, double least, double most)
{
	double worst = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		double part = (sample[i] - least) / (most - least);
		double below, above;

		part = part < 0 ? 0 : part > 1 ? 1 : part;
		below = part - (double)i / n;
		above = (double)(i + 1) / n - part;
		worst = below > worst ? below : worst;
		worst = above > worst ? above : worst;
	}
	return worst;
}

#define FNV_START 0xcbf29ce484222325ull

/* FNV-1a over the serials: the same hash, the same packets. */
static void hash_if(uint64_t *hash, bool is, uint32_t serial)
{
	if (is)
		*hash = (*hash ^ serial) * 0x100000001b3ull;
}

static void print_fates(const struct way *way)
{
	uint64_t lost_hash = FNV_START, duplicate_hash = FNV_START, early_hash = FNV_START;
	uint32_t lost = 0, early = 0, serial, least_later = UINT32_MAX, i;

	for (serial = 0; serial < opt.count; serial++) {
		lost += !way->copies[serial];
		hash_if(&lost_hash, !way->copies[serial], serial);
		hash_if(&duplicate_hash, way->copies[serial] > 1, serial);
	}
	/* Early: it has overtaken somebody who came later. */
	for (i = way->arrived; i-- > 0;) {
		serial = way->serial[i];
		early += serial > least_later;
		hash_if(&early_hash, serial > least_later, serial);
		least_later = serial < least_later ? serial : least_later;
	}
	printf("\"sent\":%u,\"lost\":%u,\"duplicates\":%u,\"early\":%u,\"lost_hash\":\"%llx\","
	       "\"duplicate_hash\":\"%llx\",\"early_hash\":\"%llx\"",
		opt.count, lost, way->duplicates, early, (unsigned long long)lost_hash,
		(unsigned long long)duplicate_hash, (unsigned long long)early_hash);
}

static void print_times(const struct way *way)
{
	double *sample = way->delay_us, seconds = (double)(way->last_ns - way->first_ns) / 1e9;
	uint32_t n = way->arrived;

	if (!n)
		return;
	qsort(sample, n, sizeof(*sample), compare_double);
	printf(",\"arrived\":%u,\"bps\":%.0f,\"min_us\":%.0f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"max_"
	       "us\":%.0f",
		n, seconds > 0 ? (double)(way->bytes - way->first_bytes) * 8 / seconds : 0,
		sample[0], sample[n / 2], sample[n - 1 - n / 100], sample[n - 1]);
	if (opt.most_us > opt.least_us)
		printf(",\"ks\":%.4f", ks_uniform(sample, n, opt.least_us, opt.most_us));
}

static void print_way(const struct way *way, const char *name, const char *before)
{
	printf("%s\"%s\":{", before, name);
	print_fates(way);
	print_times(way);
	putchar('}');
}

static void drain(struct way way[2])
{
	static struct arrival got;
	int i;

	for (i = 0; i < 2; i++)
		while (receive(end_fd[!i], &got))
			take(&way[i], &got);
}

/* Both directions at once, a burst every spacing; then until nothing has come for a while. */
static void check_stream(void)
{
	struct pollfd pfd[2] = {
		{.fd = end_fd[0], .events = POLLIN}, {.fd = end_fd[1], .events = POLLIN}};
	uint64_t next = now_ns();
	struct way way[2] = {};
	uint32_t serial = 0, i;

	for (i = 0; i < 2; i++) {
		way[i].copies = calloc(opt.count, sizeof(*way[i].copies));
		way[i].serial = calloc(opt.count, sizeof(*way[i].serial));
		way[i].delay_us = calloc(opt.count, sizeof(*way[i].delay_us));
		if (!way[i].copies || !way[i].serial || !way[i].delay_us)
			err(EXIT_BROKEN, "calloc");
	}
	while (serial < opt.count) {
		uint64_t now = now_ns();
		struct timespec wait = {.tv_nsec = next > now ? (long)(next - now) : 0};

		ppoll(pfd, 2, &wait, NULL);
		drain(way);
		if (now_ns() < next)
			continue;
		next += opt.spacing_us * 1000;
		for (i = 0; i < opt.burst && serial < opt.count; i++, serial++) {
			send_stamped(0, serial);
			send_stamped(1, serial);
		}
	}
	while (poll(pfd, 2, (int)opt.settle_ms) > 0)
		drain(way);
	print_way(&way[0], "a_to_b", "{");
	print_way(&way[1], "b_to_a", ",");
	puts("}");
}

/* --- main --- */

static const char usage[] =
	"usage: wirestream --netns NAME --dev DEV --netns NAME --dev DEV [options]\n"
	"Numbered frames both ways: which are lost, doubled or early; delays and rate.\n"
	"  --count N --burst N --spacing US    N frames, in bursts, one burst every so often\n"
	"  --size N            frame length (60)\n"
	"  --segments N        superpackets of N segments with --gso-size bytes (1, 1000)\n"
	"  --least US --most US    are the delays uniform between them? (Kolmogorov-Smirnov)\n"
	"  --settle MS         the end is when nothing came for so long (200)\n"
	"One line of JSON on stdout.\n";

static void set_option(int c)
{
	static int netns, dev;

	switch (c) {
	case 'n':
		opt.netns[netns++ & 1] = optarg;
		break;
	case 'd':
		opt.dev[dev++ & 1] = optarg;
		break;
	case 'c':
		opt.count = (uint32_t)parse_number("--count", optarg, PACKETS_MAX);
		break;
	case 'b':
		opt.burst = (uint32_t)parse_number("--burst", optarg, PACKETS_MAX);
		break;
	case 's':
		opt.spacing_us = parse_number("--spacing", optarg, 999999);
		break;
	case 'z':
		opt.size = parse_number("--size", optarg, 9014);
		break;
	case 'g':
		opt.segments = (uint16_t)parse_number("--segments", optarg, 64);
		break;
	case 'G':
		opt.gso_size = (uint16_t)parse_number("--gso-size", optarg, 9000);
		break;
	case 'l':
		opt.least_us = (double)parse_number("--least", optarg, 60000000);
		break;
	case 'm':
		opt.most_us = (double)parse_number("--most", optarg, 60000000);
		break;
	case 'S':
		opt.settle_ms = parse_number("--settle", optarg, 60000);
		break;
	default:
		fputs(usage, stderr);
		exit(EXIT_BROKEN);
	}
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {{"netns", 1, NULL, 'n'}, {"dev", 1, NULL, 'd'},
		{"count", 1, NULL, 'c'}, {"burst", 1, NULL, 'b'}, {"spacing", 1, NULL, 's'},
		{"size", 1, NULL, 'z'}, {"segments", 1, NULL, 'g'}, {"gso-size", 1, NULL, 'G'},
		{"least", 1, NULL, 'l'}, {"most", 1, NULL, 'm'}, {"settle", 1, NULL, 'S'},
		{"help", 0, NULL, 'h'}, {}};
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		set_option(c);
	if (optind != argc || !opt.dev[0] || !opt.dev[1] || opt.size < 60 || !opt.segments ||
		!opt.gso_size || opt.gso_size * opt.segments > 64000)
		set_option('h');
	end_fd[0] = wire_end_open(opt.netns[0], opt.dev[0]);
	end_fd[1] = wire_end_open(opt.netns[1], opt.dev[1]);
	check_stream();
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// taptimes.c - two guests in one process that write down when they gave each frame to a tap and
// when they took it
//
// What a switch says of its own hops is held against this: a frame leaves its guest during write()
// and is taken during read(), so a true time lies between two of ours.

#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "capture.h"
#include "packet.h"
#include "tap.h"

#define MAGIC       0x77656674u
#define WARM_UP     0x80000000u /* serial numbers of frames that nobody writes down */
#define WARM_UP_NS  (10 * NS_PER_MSEC)
#define PAUSE_NS    (20 * NS_PER_MSEC)
#define LOST_NS     (200 * NS_PER_MSEC)
#define DEADLINE_NS (20 * NS_PER_SEC)
#define BURST       64
#define HEADERS_MAX 128
#define OTHER_TYPE  0x88b5 /* for experiments (IEEE 802) */

struct options {
	const char *tap[2];
	unsigned int offloads;
	uint32_t count;
	uint64_t interval_ns;
	uint64_t hold_ns;
	bool echo;
	bool ipv6, tcp, other;
	uint16_t vlan[2];
	uint16_t gso_size;
	uint32_t payload;
	const char *ready;
	const char *captured;
	bool two_ports;
	bool counts_only;
};

static struct options opt = {
	.offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
	.count = 1000,
	.interval_ns = 100000,
	.payload = 64,
};

static struct packet_end end[2] = {
	{.mac = {2, 0x77, 0, 0, 0, 0xa}, .host = 1, .port = 1024},
	{.mac = {2, 0x77, 0, 0, 0, 0xb}, .host = 2, .port = 9},
};
static int tap[2];

/* One way of one frame. 0: it did not come. */
struct times {
	uint64_t write_begin, write_end, read_begin, read_end;
};
static struct times *there, *back;
static atomic_uint received, warm[2];
static atomic_bool over, going;

/* --- frames --- */

struct made {
	struct tap_frame frame;
	size_t l4, serial_at, len;
};
static struct made made[2];

static void make_frame(int from)
{
	struct made *m = &made[from];
	uint8_t *data = m->frame.data, bare[HEADERS_MAX];
	uint8_t proto = opt.tcp ? IPPROTO_TCP : IPPROTO_UDP;
	size_t l3 = ETH_HLEN, l4, headers, i;
	uint32_t magic = MAGIC;
	uint16_t pseudo;

	headers = put_headers(bare, &end[from], &end[!from], opt.ipv6, proto, opt.payload);
	memcpy(data, bare, 2 * ETH_ALEN);
	if (opt.vlan[from]) {
		const uint16_t tag[2] = {htons(ETH_P_8021Q), htons(opt.vlan[from])};
		memcpy(data + 2 * ETH_ALEN, tag, sizeof(tag));
		l3 += sizeof(tag);
	}
	memcpy(data + l3 - 2, bare + 2 * ETH_ALEN, headers - 2 * ETH_ALEN);
	headers += l3 - ETH_HLEN;
	if (opt.other) {
		memcpy(data + l3 - 2, &(uint16_t){htons(OTHER_TYPE)}, 2);
		headers = l3;
	}
	l4 = l3 + (opt.ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
	for (i = 0; i < opt.payload; i++)
		data[headers + i] = (uint8_t)(i * 7);
	memcpy(data + headers, &magic, sizeof(magic));
	data[headers + 8] = (uint8_t)from; /* the answer is another packet than the question */
	m->l4 = l4;
	m->serial_at = headers + sizeof(magic);
	m->len = headers + opt.payload;
	if (opt.other)
		return;
	pseudo = htons((uint16_t)sum_pseudo(opt.ipv6, data + l3, proto, m->len - l4));
	m->frame.vnet.hdr = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)l4,
		.csum_offset =
			opt.tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check),
	};
	memcpy(data + l4 + m->frame.vnet.hdr.csum_offset, &pseudo, sizeof(pseudo));
	if (opt.gso_size && opt.payload > opt.gso_size) {
		m->frame.vnet.hdr.gso_type =
			opt.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		m->frame.vnet.hdr.gso_size = opt.gso_size;
		m->frame.vnet.hdr.hdr_len = (uint16_t)headers;
	}
}

static void give(int from, uint32_t serial, struct times *times)
{
	struct made *m = &made[from];

	memcpy(m->frame.data + m->serial_at, &serial, sizeof(serial));
	if (opt.two_ports) { /* the checksum is the kernel's to complete */
		uint16_t port = htons((uint16_t)(end[from].port + (serial & 1)));
		memcpy(m->frame.data + m->l4, &port, sizeof(port));
	}
	if (opt.tcp) { /* a stream goes on */
		uint32_t seq = htonl(1 + serial * opt.payload);
		memcpy(m->frame.data + m->serial_at - sizeof(struct tcphdr), &seq, sizeof(seq));
	}
	times->write_begin = now_ns();
	if (write(tap[from], &m->frame, TAP_HDR_LEN + m->len) != (ssize_t)(TAP_HDR_LEN + m->len))
		errx(EXIT_BROKEN, "tap %s does not take a frame", opt.tap[from]);
	times->write_end = now_ns();
}

/* The tag may have gone or come, a superpacket may be its first segment: look for our mark. */
static bool serial_of(const uint8_t *frame, ssize_t len, int at, uint32_t *serial)
{
	const uint32_t magic = MAGIC;
	const uint8_t *mark;

	if (len < HEADERS_MAX / 2 || memcmp(frame, end[at].mac, ETH_ALEN))
		return false;
	len -= (ssize_t)sizeof(*serial);
	mark = memmem(frame, len < HEADERS_MAX ? (size_t)len : HEADERS_MAX, &magic, sizeof(magic));
	if (mark)
		memcpy(serial, mark + sizeof(magic), sizeof(*serial));
	return mark;
}

/* True: one of the frames that are written down was taken. */
static bool take(int at, uint32_t *serial)
{
	static __thread struct tap_frame frame;
	uint64_t begin = now_ns();
	ssize_t len = read(tap[at], &frame, sizeof(frame));
	uint64_t done = now_ns();
	struct times *times = at ? there : back;

	if (len <= 0 || !serial_of(frame.data, len - (ssize_t)TAP_HDR_LEN, at, serial))
		return false;
	if (*serial & WARM_UP) {
		atomic_fetch_add(&warm[at], 1);
		return false;
	}
	if (*serial >= opt.count || times[*serial].read_end)
		return false;
	times[*serial].read_begin = begin;
	times[*serial].read_end = done;
	return true;
}

/* --- the guests --- */

/* Asleep: who measures needs the cores, too. */
static void until(uint64_t when)
{
	const struct timespec at = {(time_t)(when / NS_PER_SEC), (long)(when % NS_PER_SEC)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static void *guest_b(void *arg)
{
	struct pollfd pfd = {.fd = tap[1], .events = POLLIN};
	uint32_t serial;

	(void)arg;
	while (!atomic_load(&over)) {
		if (poll(&pfd, 1, 5) <= 0)
			continue;
		if (opt.hold_ns && atomic_load(&going) && atomic_load(&received) % 2)
			until(now_ns() + opt.hold_ns);
		if (!take(1, &serial))
			continue;
		if (opt.echo)
			give(1, serial, &back[serial]);
		atomic_fetch_add(&received, 1);
	}
	return NULL;
}

static void warm_up(const sigset_t *go)
{
	static const struct timespec between = {.tv_nsec = WARM_UP_NS};
	uint64_t deadline = now_ns() + DEADLINE_NS;
	uint32_t serial = WARM_UP;
	struct times ignored;
	bool told = false;

	for (;;) {
		give(0, serial, &ignored);
		give(1, serial++, &ignored);
		while (take(0, &(uint32_t){0}))
			;
		if (!told && atomic_load(&warm[0]) && atomic_load(&warm[1])) {
			told = true;
			if (!opt.ready)
				break;
			close(open(opt.ready, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		}
		if (sigtimedwait(go, NULL, &between) == SIGUSR1)
			break;
		if (now_ns() > deadline)
			errx(EXIT_UNMET, told ? "nobody says go" : "no frame gets through");
	}
	usleep(PAUSE_NS / 1000);
	while (take(0, &serial))
		;
}

static bool await_back(uint32_t wanted)
{
	struct pollfd pfd = {.fd = tap[0], .events = POLLIN};
	uint64_t deadline = now_ns() + LOST_NS;
	uint32_t serial;

	while (now_ns() < deadline)
		if (poll(&pfd, 1, 1) > 0 && take(0, &serial) && serial == wanted)
			return true;
	return false;
}

/* As fast as it goes: one thread for both, no other has to wake. */
static void both_guests(void)
{
	uint64_t last = now_ns();
	uint32_t sent = 0, serial, got = 0;

	while (got < opt.count && now_ns() - last < LOST_NS) {
		for (; sent < opt.count && sent < got + BURST; sent++)
			give(0, sent, &there[sent]);
		for (; take(1, &serial); got++)
			last = now_ns();
	}
	atomic_store(&received, got);
}

static void guest_a(void)
{
	uint64_t next = now_ns(), deadline;
	uint32_t i;

	for (i = 0; i < opt.count; i++) {
		until(next);
		give(0, i, &there[i]);
		if (opt.echo)
			await_back(i);
		next += opt.interval_ns;
		if (next < now_ns()) /* nothing is made up for: that would be a burst */
			next = now_ns();
	}
	deadline = now_ns() + LOST_NS;
	while (atomic_load(&received) < opt.count && now_ns() < deadline)
		usleep(1000);
}

/* --- libpcap, as a third who says when --- */

static pcap_t *capture[2];

/* When each frame to B passed tap `at`. */
static void captured(int at, uint64_t times[])
{
	uint64_t ahead = capture_ahead_ns(), deadline = now_ns() + LOST_NS;
	struct pcap_pkthdr *head;
	const u_char *frame;
	uint32_t serial, left = opt.count;

	while (left && now_ns() < deadline) {
		if (pcap_next_ex(capture[at], &head, &frame) != 1 ||
			!serial_of(frame, head->caplen, 1, &serial) || serial >= opt.count ||
			times[serial])
			continue;
		times[serial] = capture_ns(head, ahead);
		left--;
	}
	pcap_close(capture[at]);
}

static void write_captured(void)
{
	uint64_t *times = calloc(2 * (size_t)opt.count, sizeof(*times));
	FILE *out = fopen(opt.captured, "we");

	if (!times || !out)
		err(EXIT_BROKEN, "%s", opt.captured);
	captured(0, times);
	captured(1, times + opt.count);
	for (uint32_t i = 0; i < opt.count; i++)
		fprintf(out, "%u %llu %llu\n", i, (unsigned long long)times[i],
			(unsigned long long)times[opt.count + i]);
	fclose(out);
	free(times);
}

/* --- main --- */

static const char usage[] =
	"usage: taptimes --a TAP@NETNS --b TAP@NETNS [options]\n"
	"Frames from A to B; a line for each: its number, then four times in CLOCK_MONOTONIC ns: "
	"write()\n"
	"begins and ends, read() begins and ends; 0: it did not come. --echo: four more, of the "
	"answer.\n"
	"  --count N --interval-us N    (1000, 100); 0: as fast as it goes\n"
	"  --hold-us N      B waits so long before it reads every other one\n"
	"  --echo           B answers, A waits for it before the next\n"
	"  --type T         udp4, udp6, tcp4, tcp6, other: no IP (udp4)\n"
	"  --payload N      bytes (64)\n"
	"  --gso-size N     of TCP with more payload: superpackets\n"
	"  --vlan-a VID --vlan-b VID\n"
	"  --offload LIST   what both guests accept (csum,tso4,tso6)\n"
	"  --ready FILE     make it when frames get through, send more, begin at SIGUSR1\n"
	"  --two-ports      frames with odd numbers come from another port of L4\n"
	"  --captured FILE  a line for each: its number, when libpcap saw it on A's tap and on "
	"B's\n"
	"  --counts         only how many were sent and taken\n";

static void set_option(int c)
{
	switch (c) {
	case 'a':
	case 'b':
		opt.tap[c - 'a'] = optarg;
		break;
	case 'n':
		opt.count = (uint32_t)parse_number("--count", optarg, WARM_UP - 1);
		break;
	case 'i':
		opt.interval_ns = 1000 * parse_number("--interval-us", optarg, 10000000);
		break;
	case 'h':
		opt.hold_ns = 1000 * parse_number("--hold-us", optarg, 10000000);
		break;
	case 'e':
		opt.echo = true;
		break;
	case 'T':
		opt.other = !strcmp(optarg, "other");
		opt.tcp = optarg[0] == 't';
		opt.ipv6 = optarg[0] && optarg[strlen(optarg) - 1] == '6';
		break;
	case 'p':
		opt.payload = (uint32_t)parse_number("--payload", optarg, 65000);
		break;
	case 'g':
		opt.gso_size = (uint16_t)parse_number("--gso-size", optarg, 9000);
		break;
	case 'A':
	case 'B':
		opt.vlan[c - 'A'] = (uint16_t)parse_number("--vlan", optarg, 4094);
		break;
	case 'o':
		opt.offloads = parse_offloads(optarg);
		break;
	case 'r':
		opt.ready = optarg;
		break;
	case 'P':
		opt.two_ports = true;
		break;
	case 'C':
		opt.captured = optarg;
		break;
	case 'c':
		opt.counts_only = true;
		break;
	default:
		fputs(usage, stderr);
		exit(EXIT_BROKEN);
	}
}

static void print_times(const struct times *t)
{
	printf("\t%llu\t%llu\t%llu\t%llu", (unsigned long long)t->write_begin,
		(unsigned long long)t->write_end, (unsigned long long)t->read_begin,
		(unsigned long long)t->read_end);
}

static void print_all(void)
{
	uint32_t i;

	if (opt.counts_only) {
		printf("%u\t%u\n", opt.count, atomic_load(&received));
		return;
	}
	for (i = 0; i < opt.count; i++) {
		printf("%u", i);
		print_times(&there[i]);
		if (opt.echo)
			print_times(&back[i]);
		putchar('\n');
	}
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {{"a", 1, NULL, 'a'}, {"b", 1, NULL, 'b'},
		{"count", 1, NULL, 'n'}, {"interval-us", 1, NULL, 'i'}, {"hold-us", 1, NULL, 'h'},
		{"echo", 0, NULL, 'e'}, {"type", 1, NULL, 'T'}, {"payload", 1, NULL, 'p'},
		{"gso-size", 1, NULL, 'g'}, {"vlan-a", 1, NULL, 'A'}, {"vlan-b", 1, NULL, 'B'},
		{"offload", 1, NULL, 'o'}, {"ready", 1, NULL, 'r'}, {"two-ports", 0, NULL, 'P'},
		{"captured", 1, NULL, 'C'}, {"counts", 0, NULL, 'c'}, {"help", 0, NULL, '?'}, {}};
	pthread_t thread;
	sigset_t go;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		set_option(c);
	if (optind != argc || !opt.tap[0] || !opt.tap[1] || opt.payload < 32)
		set_option('?');
	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigprocmask(SIG_BLOCK, &go, NULL);
	there = calloc(opt.count + 1, sizeof(*there));
	back = calloc(opt.count + 1, sizeof(*back));
	if (!there || !back)
		err(EXIT_BROKEN, "calloc");
	make_frame(0);
	make_frame(1);
	tap[0] = tap_open_at(opt.tap[0], opt.offloads);
	tap[1] = tap_open_at(opt.tap[1], opt.offloads);
	for (c = 0; opt.captured && c < 2; c++)
		capture[c] = capture_open(opt.tap[c]);
	if (pthread_create(&thread, NULL, guest_b, NULL))
		errx(EXIT_BROKEN, "pthread_create");
	warm_up(&go);
	atomic_store(&going, true);
	if (opt.interval_ns)
		guest_a();
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	if (!opt.interval_ns)
		both_guests();
	print_all();
	if (opt.captured)
		write_captured();
	return atomic_load(&received) == opt.count ? 0 : EXIT_UNMET;
}

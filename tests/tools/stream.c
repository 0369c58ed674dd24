// SPDX-License-Identifier: BSD-2-Clause
// stream.c - TCP transfers checked by content hash, and numbered UDP datagrams that show every loss

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <xxhash.h>

#include "tool.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define BLOCK_BYTES   (256 * 1024)
#define DATAGRAM_MIN  16
#define DATAGRAMS_MAX (1u << 26)
#define SEQ_END       UINT64_MAX
#define END_REPEATS   20
#define END_PAUSE_US  20000

struct options {
	const char *netns;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	uint16_t port;
	uint64_t bytes, seed, pps, count;
	size_t size;
	unsigned int batch;
	int timeout_ms;
	char **command;
};

static struct options opt = {
	.port = 5001,
	.bytes = 100000000,
	.seed = 1,
	.pps = 10000,
	.count = 10000,
	.size = 64,
	.batch = 1,
	.timeout_ms = 10000,
};

/* --- sockets --- */

static void set_address(const char *text)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&opt.addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&opt.addr;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		opt.addr_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		opt.addr_len = sizeof(*v6);
	} else {
		errx(EXIT_BROKEN, "'%s' is not an IP address", text);
	}
}

/* The port is at the same place in both kinds of address. */
static void set_port(void)
{
	((struct sockaddr_in *)&opt.addr)->sin_port = htons(opt.port);
}

static void set_timeout(int sock)
{
	struct timeval tv = {
		.tv_sec = opt.timeout_ms / 1000, .tv_usec = opt.timeout_ms % 1000 * 1000};

	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
		setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)))
		err(EXIT_BROKEN, "timeout");
}

static int open_socket(int type)
{
	int old = netns_enter(opt.netns), on = 1;
	int sock;

	set_port();
	sock = socket(opt.addr.ss_family, type | SOCK_CLOEXEC, 0);
	if (sock < 0)
		err(EXIT_BROKEN, "socket");
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	set_timeout(sock);
	netns_leave(old);
	return sock;
}

static int bound_socket(int type)
{
	int sock;

	if (!opt.addr_len)
		set_address("::");
	sock = open_socket(type);
	if (bind(sock, (struct sockaddr *)&opt.addr, opt.addr_len))
		err(EXIT_BROKEN, "bind to port %u", opt.port);
	return sock;
}

static int connected_socket(int type)
{
	int sock;

	if (!opt.addr_len)
		errx(EXIT_BROKEN, "--to ADDRESS is missing");
	sock = open_socket(type);
	if (connect(sock, (struct sockaddr *)&opt.addr, opt.addr_len))
		err(EXIT_UNMET, "connect");
	return sock;
}

/* --- TCP --- */

/* splitmix64: fast, and no block repeats. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void print_transfer(const char *mode, uint64_t bytes, XXH3_state_t *hash, uint64_t start)
{
	double seconds = (double)(now_ns() - start) / 1e9;

	printf("{\"mode\":\"%s\",\"bytes\":%llu,\"xxh3\":\"%016llx\",\"seconds\":%.3f,"
	       "\"mbyte_per_s\":%.1f}\n",
		mode, (unsigned long long)bytes, (unsigned long long)XXH3_64bits_digest(hash),
		seconds, (double)bytes / 1e6 / seconds);
}

static XXH3_state_t *new_hash(void)
{
	XXH3_state_t *hash = XXH3_createState();

	if (!hash || XXH3_64bits_reset(hash) == XXH_ERROR)
		errx(EXIT_BROKEN, "no memory");
	return hash;
}

static int tcp_send(void)
{
	static uint64_t block[BLOCK_BYTES / sizeof(uint64_t)];
	int sock = connected_socket(SOCK_STREAM);
	uint64_t start = now_ns(), state = opt.seed, left = opt.bytes;
	XXH3_state_t *hash = new_hash();
	char ack;

	while (left) {
		size_t len = left < sizeof(block) ? left : sizeof(block), done = 0, i;

		for (i = 0; i < sizeof(block) / sizeof(block[0]); i++)
			block[i] = next_random(&state);
		XXH3_64bits_update(hash, block, len);
		while (done < len) {
			ssize_t n = send(sock, (char *)block + done, len - done, MSG_NOSIGNAL);

			if (n <= 0)
				err(EXIT_UNMET, "send, %llu bytes left", (unsigned long long)left);
			done += (size_t)n;
		}
		left -= len;
	}
	/* Done is when the other end has closed after reading all of it. */
	shutdown(sock, SHUT_WR);
	if (recv(sock, &ack, 1, 0) != 0)
		err(EXIT_UNMET, "the receiver did not finish");
	print_transfer("send", opt.bytes, hash, start);
	XXH3_freeState(hash);
	return 0;
}

static int tcp_recv(void)
{
	static char block[BLOCK_BYTES];
	int listener = bound_socket(SOCK_STREAM), sock;
	XXH3_state_t *hash = new_hash();
	uint64_t bytes = 0, start;
	pid_t command;
	ssize_t n;

	if (listen(listener, 1))
		err(EXIT_BROKEN, "listen");
	command = command_start(opt.command);
	sock = accept(listener, NULL, NULL);
	if (sock < 0)
		err(EXIT_UNMET, "nobody connects to port %u", opt.port);
	set_timeout(sock);
	start = now_ns();
	while ((n = recv(sock, block, sizeof(block), 0)) > 0) {
		XXH3_64bits_update(hash, block, (size_t)n);
		bytes += (uint64_t)n;
	}
	if (n < 0)
		err(EXIT_UNMET, "recv after %llu bytes", (unsigned long long)bytes);
	close(sock);
	print_transfer("recv", bytes, hash, start);
	XXH3_freeState(hash);
	command_finish(command);
	return 0;
}

/* --- UDP --- */

struct udp_state {
	uint8_t *seen; /* a bit per sequence number */
	uint64_t received, duplicate, reordered, corrupt, highest, expected;
	uint64_t last_ns, longest_gap_ns;
	uint32_t socket_drops;
	bool finished;
};

/* Sequence number, how many there will be, then bytes that depend on the sequence number. */
/* Whose datagrams they are: the last of one stream may come to the receiver of the next. The
 * receiver makes the number, and its command has it. 0: started by nobody. */
enum { STREAM_SHIFT = 40 };
static uint64_t stream_id;

static void datagram_fill(uint8_t *data, size_t len, uint64_t seq, uint64_t total)
{
	size_t i;

	total |= stream_id << STREAM_SHIFT;

	memcpy(data, &seq, sizeof(seq));
	memcpy(data + sizeof(seq), &total, sizeof(total));
	for (i = DATAGRAM_MIN; i < len; i++)
		data[i] = (uint8_t)(seq * 31 + i * 7);
}

static bool datagram_intact(const uint8_t *data, size_t len, uint64_t seq)
{
	size_t i;

	for (i = DATAGRAM_MIN; i < len; i++)
		if (data[i] != (uint8_t)(seq * 31 + i * 7))
			return false;
	return true;
}

/* Send batch datagrams in one go; with more than one they leave as a superpacket (UDP_SEGMENT). */
static void send_batch(int sock, uint8_t *buf, uint64_t seq, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		datagram_fill(buf + i * opt.size, opt.size, seq + i, opt.count);
	/* A refused send is a lost datagram: the receiver will count it. */
	while (send(sock, buf, n * opt.size, 0) < 0 && errno == EINTR)
		;
}

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static int udp_send(void)
{
	int sock = connected_socket(SOCK_DGRAM), size = (int)opt.size, i;
	const char *id = getenv("STREAM_ID");
	uint64_t start = now_ns(), seq;
	uint8_t *buf = malloc(opt.batch * opt.size);

	signal(SIGTERM, stop);
	stream_id = id ? strtoull(id, NULL, 10) : 0;
	if (!buf)
		err(EXIT_BROKEN, "malloc");
	if (opt.batch > 1 && setsockopt(sock, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)))
		err(EXIT_BROKEN, "UDP_SEGMENT");
	for (seq = 0; seq < opt.count && !stopped; seq += opt.batch) {
		uint64_t due = start + seq * NS_PER_SEC / opt.pps, now = now_ns();
		uint64_t left = opt.count - seq;

		if (due > now)
			usleep((useconds_t)((due - now) / 1000));
		send_batch(sock, buf, seq, left < opt.batch ? (unsigned int)left : opt.batch);
	}
	if (seq < opt.count)
		opt.count = seq;
	printf("{\"mode\":\"udp-send\",\"sent\":%llu,\"seconds\":%.3f}\n",
		(unsigned long long)opt.count, (double)(now_ns() - start) / 1e9);
	datagram_fill(buf, opt.size, SEQ_END, opt.count);
	for (i = 0; i < END_REPEATS && send(sock, buf, opt.size, 0) >= 0; i++)
		usleep(END_PAUSE_US);
	free(buf);
	return 0;
}

static void account(struct udp_state *st, const uint8_t *data, size_t len)
{
	uint64_t seq, total, now = now_ns();

	if (len < DATAGRAM_MIN)
		return;
	memcpy(&seq, data, sizeof(seq));
	memcpy(&total, data + sizeof(seq), sizeof(total));
	if (total >> STREAM_SHIFT != stream_id)
		return;
	st->expected = total & ((1ull << STREAM_SHIFT) - 1);
	if (seq == SEQ_END) {
		st->finished = true;
		return;
	}
	if (seq >= DATAGRAMS_MAX || !datagram_intact(data, len, seq)) {
		st->corrupt++;
		return;
	}
	if (st->last_ns && now - st->last_ns > st->longest_gap_ns)
		st->longest_gap_ns = now - st->last_ns;
	st->last_ns = now;
	if (st->seen[seq / 8] & (1u << seq % 8)) {
		st->duplicate++;
		return;
	}
	st->seen[seq / 8] |= (uint8_t)(1u << seq % 8);
	st->received++;
	if (seq < st->highest)
		st->reordered++;
	else
		st->highest = seq;
}

/* Read one datagram; false after the silence that --timeout allows. */
static bool receive(int sock, struct udp_state *st)
{
	static uint8_t buf[65536];
	struct iovec iov = {buf, sizeof(buf)};
	union {
		char space[CMSG_SPACE(sizeof(uint32_t))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;
	ssize_t len = recvmsg(sock, &msg, 0);

	if (len < 0) {
		if (errno == EINTR || errno == ECONNREFUSED)
			return true;
		return false;
	}
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SO_RXQ_OVFL)
			memcpy(&st->socket_drops, CMSG_DATA(cmsg), sizeof(st->socket_drops));
	account(st, buf, (size_t)len);
	return true;
}

static pid_t command;

static void pass_on(int number)
{
	if (command)
		kill(command, number);
}

static int udp_recv(void)
{
	int sock = bound_socket(SOCK_DGRAM), on = 1, buffer = 32 << 20;
	struct udp_state st = {.seen = calloc(1, DATAGRAMS_MAX / 8)};
	uint64_t lost;

	if (!st.seen)
		err(EXIT_BROKEN, "calloc");
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	setsockopt(sock, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	if (opt.command && *opt.command) {
		char text[16];

		stream_id = (uint64_t)getpid();
		snprintf(text, sizeof(text), "%d", getpid());
		setenv("STREAM_ID", text, 1);
	}
	command = command_start(opt.command);
	signal(SIGTERM, pass_on);
	while (!st.finished && receive(sock, &st))
		;
	lost = st.expected > st.received ? st.expected - st.received : 0;
	printf("{\"mode\":\"udp-recv\",\"finished\":%s,\"expected\":%llu,\"received\":%llu,"
	       "\"lost\":%llu,\"duplicate\":%llu,\"reordered\":%llu,\"corrupt\":%llu,"
	       "\"socket_drops\":%u,\"longest_gap_ns\":%llu}\n",
		st.finished ? "true" : "false", (unsigned long long)st.expected,
		(unsigned long long)st.received, (unsigned long long)lost,
		(unsigned long long)st.duplicate, (unsigned long long)st.reordered,
		(unsigned long long)st.corrupt, st.socket_drops,
		(unsigned long long)st.longest_gap_ns);
	free(st.seen);
	command_finish(command);
	return st.finished && !lost && !st.duplicate && !st.corrupt ? 0 : EXIT_UNMET;
}

/* --- main --- */

static const char usage[] =
	"usage: stream recv|send|udp-recv|udp-send [options] [-- COMMAND...]\n"
	"One line of JSON on stdout. The receivers run COMMAND once they listen.\n"
	"  --netns NAME     put the socket into this namespace\n"
	"  --to ADDRESS     where to send (receivers: where to listen, all addresses)\n"
	"  --port N         (5001)\n"
	"  --timeout MS     give up after this silence (10000)\n"
	"  send:     --bytes N (100000000) of pseudo-random data from --seed N (1)\n"
	"  udp-send: --count N (10000) datagrams of --size N bytes (64) at --pps N (10000);\n"
	"            --batch N datagrams in one superpacket (1); SIGTERM ends it early\n"
	"recv ends when the sender is done. udp-recv exits 1 unless each datagram came once, "
	"intact; it passes SIGTERM on to COMMAND.\n";

static void set_option(int c)
{
	switch (c) {
	case 'n':
		opt.netns = optarg;
		break;
	case 'a':
		set_address(optarg);
		break;
	case 'p':
		opt.port = (uint16_t)parse_number("--port", optarg, 65535);
		break;
	case 't':
		opt.timeout_ms = (int)parse_number("--timeout", optarg, 3600000);
		break;
	case 'b':
		opt.bytes = parse_number("--bytes", optarg, 1ull << 40);
		break;
	case 's':
		opt.seed = parse_number("--seed", optarg, UINT64_MAX);
		break;
	case 'c':
		opt.count = parse_number("--count", optarg, DATAGRAMS_MAX);
		break;
	case 'z':
		opt.size = parse_number("--size", optarg, 60000);
		break;
	case 'r':
		opt.pps = parse_number("--pps", optarg, 10000000);
		break;
	case 'k':
		opt.batch = (unsigned int)parse_number("--batch", optarg, 64);
		break;
	default:
		fputs(usage, stderr);
		exit(EXIT_BROKEN);
	}
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {{"netns", 1, NULL, 'n'}, {"to", 1, NULL, 'a'},
		{"port", 1, NULL, 'p'}, {"bytes", 1, NULL, 'b'}, {"timeout", 1, NULL, 't'},
		{"seed", 1, NULL, 's'}, {"count", 1, NULL, 'c'}, {"size", 1, NULL, 'z'},
		{"pps", 1, NULL, 'r'}, {"batch", 1, NULL, 'k'}, {"help", 0, NULL, 'h'}, {}};
	static const struct {
		const char *name;
		int (*run)(void);
	} modes[] = {{"recv", tcp_recv}, {"send", tcp_send}, {"udp-recv", udp_recv},
		{"udp-send", udp_send}};
	size_t i;
	int c;

	for (i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name))
			break;
	if (argc < 2 || i == sizeof(modes) / sizeof(modes[0]))
		set_option('h');
	argc--;
	argv++;
	while ((c = getopt_long(argc, argv, "+", longopts, NULL)) != -1)
		set_option(c);
	opt.command = argv + optind;
	if (opt.size < DATAGRAM_MIN || !opt.pps || !opt.batch || opt.size * opt.batch > 65000 ||
		(i % 2 && opt.command[0]))
		set_option('h');
	return modes[i].run();
}

// SPDX-License-Identifier: BSD-2-Clause
// serve.c - small HTTP and UDP servers that say who answers whom, and clients that count answers
#include <arpa/inet.h>
#include <getopt.h>
#include <poll.h>
#include <sys/socket.h>

#include "tool.h"

enum { CLIENTS_MAX = 512, NAMES_MAX = 16, TIMEOUT_MS = 2000 };

static const char usage[] =
	"Usage: serve answer --netns N --name X --port P [--status S] -- COMMAND   runs COMMAND "
	"once it listens\n"
	"       serve ask --netns N --to A --port P [--udp] [--count C] [--from PORT]\n"
	"       serve hold --netns N --to A --port P [--udp]   one connection: asks once per line "
	"of stdin\n";

static struct {
	const char *netns, *name;
	struct sockaddr_storage to;
	socklen_t to_len;
	uint16_t port, from;
	unsigned count, status;
	bool udp;
	char **command;
} opt = {.port = 80, .count = 1, .status = 200};

static int new_socket(int family, int type)
{
	int old = netns_enter(opt.netns), on = 1;
	struct timeval tv = {.tv_sec = TIMEOUT_MS / 1000};
	int sock = socket(family, type | SOCK_CLOEXEC, 0);

	if (sock < 0)
		err(EXIT_BROKEN, "socket");
	netns_leave(old);
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	return sock;
}

/* --- who answers --- */

static int listener(int type)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(opt.port)};
	int sock = new_socket(AF_INET6, type);

	if (bind(sock, (struct sockaddr *)&any, sizeof(any)) ||
		(type == SOCK_STREAM && listen(sock, CLIENTS_MAX)))
		err(EXIT_BROKEN, "port %u", opt.port);
	return sock;
}

/* "NAME ADDRESS", IPv4 as such. */
static int answer(char *out, size_t size, const struct sockaddr_in6 *peer)
{
	char text[INET6_ADDRSTRLEN];
	const char *from = inet_ntop(AF_INET6, &peer->sin6_addr, text, sizeof(text));

	if (strncmp(from, "::ffff:", 7) == 0)
		from += 7;
	return snprintf(out, size, "%s %s\n", opt.name, from);
}

static void answer_datagram(int sock)
{
	struct sockaddr_in6 peer;
	socklen_t length = sizeof(peer);
	char text[2048];

	if (recvfrom(sock, text, sizeof(text), 0, (struct sockaddr *)&peer, &length) < 0)
		return;
	int bytes = answer(text, sizeof(text), &peer);
	sendto(sock, text, (size_t)bytes, 0, (struct sockaddr *)&peer, length);
}

/* A request that comes in pieces is a request more: none of ours does. */
static bool answer_request(int sock)
{
	struct sockaddr_in6 peer;
	socklen_t length = sizeof(peer);
	char request[2048], body[128], text[512];

	if (recv(sock, request, sizeof(request), 0) <= 0 ||
		getpeername(sock, (struct sockaddr *)&peer, &length))
		return false;
	int bytes = answer(body, sizeof(body), &peer);
	bytes = snprintf(text, sizeof(text),
		"HTTP/1.1 %u X\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
		opt.status, bytes, body);
	return send(sock, text, (size_t)bytes, MSG_NOSIGNAL) == bytes;
}

static int run_answer(void)
{
	struct pollfd fds[2 + CLIENTS_MAX] = {
		{listener(SOCK_STREAM), POLLIN, 0}, {listener(SOCK_DGRAM), POLLIN, 0}};
	nfds_t count = 2;

	command_start(opt.command);
	while (poll(fds, count, -1) >= 0) {
		if (fds[1].revents)
			answer_datagram(fds[1].fd);
		for (nfds_t i = 2; i < count; i++) {
			if (!fds[i].revents || answer_request(fds[i].fd))
				continue;
			close(fds[i].fd);
			fds[i--] = fds[--count];
		}
		if (fds[0].revents && count < 2 + CLIENTS_MAX) {
			int client = accept4(fds[0].fd, NULL, NULL, SOCK_CLOEXEC);

			if (client >= 0)
				fds[count++] = (struct pollfd){client, POLLIN, 0};
		}
	}
	return EXIT_BROKEN;
}

/* --- who asks --- */

static int connected(void)
{
	int sock = new_socket(opt.to.ss_family, opt.udp ? SOCK_DGRAM : SOCK_STREAM);
	struct sockaddr_storage from = {.ss_family = opt.to.ss_family};
	int off = 0;

	if (opt.udp && !opt.from) /* with it the kernel gives one port to several sockets */
		setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off));
	((struct sockaddr_in *)&opt.to)->sin_port = htons(opt.port);
	((struct sockaddr_in *)&from)->sin_port = htons(opt.from);
	if (opt.from && bind(sock, (struct sockaddr *)&from, opt.to_len))
		err(EXIT_BROKEN, "port %u", opt.from);
	if (connect(sock, (struct sockaddr *)&opt.to, opt.to_len)) {
		close(sock);
		return -1;
	}
	return sock;
}

/* What came behind the empty line, without its end; NULL: nothing did. */
static const char *ask(int sock, char *text, size_t size)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	const char *body = text;
	ssize_t bytes;

	if (send(sock, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		return NULL;
	bytes = recv(sock, text, size - 1, 0);
	if (bytes <= 0)
		return NULL;
	text[bytes] = 0;
	if (!opt.udp) {
		body = strstr(text, "\r\n\r\n");
		if (!body)
			return NULL;
		body += 4;
	}
	text[strcspn(body, "\n") + (size_t)(body - text)] = 0;
	return body;
}

struct tally {
	char text[128];
	unsigned count;
};

static void tally(struct tally *tallies, const char *text)
{
	size_t i = 0;

	while (i < NAMES_MAX - 1 && tallies[i].count && strcmp(tallies[i].text, text) != 0)
		i++;
	snprintf(tallies[i].text, sizeof(tallies[i].text), "%s", text);
	tallies[i].count++;
}

/* {"NAME ADDRESS": answers, ..., "failed": n}. UDP sockets stay open meanwhile: else the kernel may
 * give one port twice. */
static int run_ask(void)
{
	struct tally tallies[NAMES_MAX] = {0};
	unsigned failed = 0;

	for (unsigned i = 0; i < opt.count; i++) {
		char text[2048];
		int sock = connected();
		const char *answered = sock < 0 ? NULL : ask(sock, text, sizeof(text));

		if (answered)
			tally(tallies, answered);
		else
			failed++;
		if (sock >= 0 && (!opt.udp || opt.from))
			close(sock);
	}
	printf("{");
	for (size_t i = 0; i < NAMES_MAX && tallies[i].count; i++)
		printf("\"%s\":%u,", tallies[i].text, tallies[i].count);
	printf("\"failed\":%u}\n", failed);
	return failed ? EXIT_UNMET : 0;
}

static int run_hold(void)
{
	int sock = connected();
	char line[128], text[2048];

	if (sock < 0)
		err(EXIT_UNMET, "connect");
	while (fgets(line, sizeof(line), stdin)) {
		errno = 0;
		const char *answered = ask(sock, text, sizeof(text));

		if (answered)
			printf("%s\n", answered);
		else
			printf("failed %s\n", errno ? strerrorname_np(errno) : "closed");
		fflush(stdout);
	}
	return 0;
}

static void set_to(const char *text)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&opt.to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&opt.to;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		opt.to_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		opt.to_len = sizeof(*v6);
	} else {
		errx(EXIT_BROKEN, "'%s' is not an IP address", text);
	}
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {{"netns", 1, NULL, 'n'}, {"name", 1, NULL, 'N'},
		{"to", 1, NULL, 't'}, {"port", 1, NULL, 'p'}, {"from", 1, NULL, 'f'},
		{"count", 1, NULL, 'c'}, {"udp", 0, NULL, 'u'}, {"status", 1, NULL, 's'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			opt.netns = optarg;
			break;
		case 'N':
			opt.name = optarg;
			break;
		case 't':
			set_to(optarg);
			break;
		case 'p':
			opt.port = (uint16_t)parse_number("--port", optarg, 65535);
			break;
		case 'f':
			opt.from = (uint16_t)parse_number("--from", optarg, 65535);
			break;
		case 'c':
			opt.count = (unsigned)parse_number("--count", optarg, 1000000);
			break;
		case 's':
			opt.status = (unsigned)parse_number("--status", optarg, 599);
			break;
		case 'u':
			opt.udp = true;
			break;
		default:
			errx(EXIT_BROKEN, "%s", usage);
		}
	}
	opt.command = argv + optind;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (argc > 1)
		read_options(argc - 1, argv + 1);
	if (strcmp(mode, "answer") == 0 && opt.name)
		return run_answer();
	if (strcmp(mode, "ask") == 0 && opt.to_len)
		return run_ask();
	if (strcmp(mode, "hold") == 0 && opt.to_len)
		return run_hold();
	errx(EXIT_BROKEN, "%s", usage);
}

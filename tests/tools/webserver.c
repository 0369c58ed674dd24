// SPDX-License-Identifier: BSD-2-Clause
// A service whose time is known: answers each HTTP request so many milliseconds after it has come,
// or later on a machine that is busy, and says how many nanoseconds it was, by the kernel's stamp.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

// As read(); *came_ns: when the last of it came to this host.
static ssize_t read_stamped(int client, char *to, size_t room, long long *came_ns)
{
	char control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec piece = {to, room};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct timespec stamp;
	ssize_t bytes = recvmsg(client, &message, 0);
	struct cmsghdr *found = bytes > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (found && found->cmsg_level == SOL_SOCKET && found->cmsg_type == SCM_TIMESTAMPNS) {
		memcpy(&stamp, CMSG_DATA(found), sizeof(stamp));
		*came_ns = stamp.tv_sec * 1000000000ll + stamp.tv_nsec;
	}
	return bytes;
}

static void serve(int client, long delay_ms)
{
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
	char request[4096];
	size_t length = 0;
	ssize_t bytes;
	long long came_ns = 0;

	do {
		bytes = read_stamped(
			client, request + length, sizeof(request) - 1 - length, &came_ns);
		length += bytes > 0 ? (size_t)bytes : 0;
		request[length] = '\0';
	} while (bytes > 0 && !strstr(request, "\r\n\r\n"));
	nanosleep(&(struct timespec){.tv_nsec = delay_ms * 1000000}, NULL);
	printf("%lld\n", now_ns() - came_ns);
	fflush(stdout);
	if (write(client, answer, sizeof(answer) - 1) < 0)
		perror("write");
	close(client);
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 here = {.sin6_family = AF_INET6};
	int listener = socket(AF_INET6, SOCK_STREAM, 0), on = 1, client;

	if (argc != 3) {
		fprintf(stderr, "usage: webserver PORT DELAY-MS\n");
		return 2;
	}
	here.sin6_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)); // of its clients, too
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 16)) {
		perror("webserver");
		return 1;
	}
	while ((client = accept(listener, NULL, NULL)) >= 0)
		serve(client, atol(argv[2]));
	perror("accept");
	return 1;
}

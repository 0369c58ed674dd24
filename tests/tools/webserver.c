// SPDX-License-Identifier: BSD-2-Clause
// A service whose time is known: answers each HTTP request so many milliseconds after it has come.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void serve(int client, long delay_ms)
{
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
	char request[4096];
	size_t length = 0;
	ssize_t bytes;

	do {
		bytes = read(client, request + length, sizeof(request) - 1 - length);
		length += bytes > 0 ? (size_t)bytes : 0;
		request[length] = '\0';
	} while (bytes > 0 && !strstr(request, "\r\n\r\n"));
	nanosleep(&(struct timespec){.tv_nsec = delay_ms * 1000000}, NULL);
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
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 16)) {
		perror("webserver");
		return 1;
	}
	while ((client = accept(listener, NULL, NULL)) >= 0)
		serve(client, atol(argv[2]));
	perror("accept");
	return 1;
}

// SPDX-License-Identifier: BSD-2-Clause
// The socket under bad clients: garbage, oversized and half-sent requests, slow ones, many at once.

#include "tests/unit/expect.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <weft/control.h>
#include "daemon/pending.h"

enum { DEADLINE_MS = 10000, MANY = 300 };

static const char GET_HOST[] = "GET /v1/host HTTP/1.1\r\nHost: x\r\n\r\n";

struct server {
	struct rig rig;
	pid_t pid;
};

// weftd in a process of its own: the test is the client.
static int server_setup(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	struct failure failure = {0};
	int ready[2];
	char byte;

	*state = server;
	if (rig_make(&server->rig) < 0 || pipe(ready) < 0)
		return -1;
	server->pid = fork();
	if (server->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		if (rig_start(&server->rig, &failure)) {
			print_error("%s\n", failure.message);
			_exit(1);
		}
		if (write(ready[1], "+", 1) != 1)
			_exit(1);
		event_base_dispatch(server->rig.weftd.base);
		rig_stop(&server->rig);
		free(server);
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return -1;
	close(ready[0]);
	return 0;
}

static int server_teardown(void **state)
{
	struct server *server = *state;

	if (server->pid > 0) {
		kill(server->pid, SIGKILL);
		waitpid(server->pid, NULL, 0);
	}
	rig_delete(server->rig.dir);
	free(server);
	return 0;
}

static int client_open(const struct server *server)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = DEADLINE_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/weftd.sock", server->rig.dir);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail_msg("connect: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

// Sends until weftd has enough of it.
static void client_send(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		bytes += sent;
		length -= (size_t)sent;
	}
}

// The HTTP status of the answer; 0: the connection was closed without one, -1: nothing came.
static int client_status(int fd)
{
	char answer[64] = "";
	ssize_t length = recv(fd, answer, 12, MSG_WAITALL);
	int status = 0;

	if (length < 0 && errno != ECONNRESET)
		return -1;
	if (length < 12 || sscanf(answer, "HTTP/1.1 %d", &status) != 1)
		return 0;
	return status;
}

static int ask(const struct server *server, const char *bytes, size_t length)
{
	int fd = client_open(server);
	int status;

	client_send(fd, bytes, length);
	status = client_status(fd);
	close(fd);
	return status;
}

// The proof that weftd goes on: an ordinary question is answered.
static void still_serves(const struct server *server)
{
	assert_int_equal(waitpid(server->pid, NULL, WNOHANG), 0);
	assert_int_equal(ask(server, GET_HOST, strlen(GET_HOST)), 200);
}

static int post(const struct server *server, const char *body)
{
	char *request = NULL;
	int status;

	if (asprintf(&request, "POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
		    strlen(body), body) < 0)
		abort();
	status = ask(server, request, strlen(request));
	free(request);
	return status;
}

static void statuses(void **state)
{
	const struct server *server = *state;

	assert_int_equal(post(server, "{\"words\":[\"network\",\"add\",\"blue\"]}"), 200);
	assert_int_equal(post(server, "{\"words\":[\"network\",\"add\",\"blue\"]}"), 409);
	assert_int_equal(post(server, "{\"words\":[\"network\",\"del\",\"red\"]}"), 404);
	assert_int_equal(post(server, "{\"words\":[\"netwrok\"]}"), 400);
	assert_int_equal(post(server, "{\"words\":[\"network\"]"), 400);
	assert_int_equal(post(server, "\"words\""), 400);
	assert_int_equal(post(server, "{\"words\":[\"\\u0000\"]}"), 400);
	assert_int_equal(post(server, "{\"words\":[\"\xff\"]}"), 400);
	assert_int_equal(post(server, ""), 400);
	still_serves(server);
}

static int get(const struct server *server, const char *path)
{
	char request[256];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	return ask(server, request, strlen(request));
}

static void paths(void **state)
{
	const struct server *server = *state;

	assert_int_equal(get(server, "/v1/commands"), 200);
	assert_int_equal(get(server, "/v1/network"), 200);
	assert_int_equal(get(server, "/v1/network/blue"), 404);
	assert_int_equal(get(server, "/v1/fdb"), 200);
	assert_int_equal(get(server, "/v1/nothing"), 404);
	assert_int_equal(get(server, "/v1/"), 404);
	assert_int_equal(get(server, "/v1/run"), 405);
	assert_int_equal(get(server, "/"), 404);
	assert_int_equal(get(server, "/metrics"), 200);
	assert_int_equal(get(server, "/v1/network/%ff%00%2e%2e"), 404);
	still_serves(server);
}

static void garbage(void **state)
{
	const struct server *server = *state;
	unsigned seed = 1;
	char bytes[4096];

	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)(rand_r(&seed) >> 4);
		bytes[sizeof(bytes) - 2] = '\r';
		bytes[sizeof(bytes) - 1] = '\n';
		assert_int_not_equal(ask(server, bytes, sizeof(bytes)), 200);
	}
	assert_int_not_equal(ask(server, "\r\n\r\n\r\n", 6), 200);
	assert_int_not_equal(ask(server, "GET\r\n\r\n", 7), 200);
	assert_int_not_equal(
		ask(server, "POST /v1/run HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 46), 200);
	still_serves(server);
}

static void oversized(void **state)
{
	static const char head[] =
		"POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n";
	const struct server *server = *state;
	size_t length = 64 << 10;
	char *big = malloc(length);
	int fd, status;

	memset(big, 'a', length);
	assert_int_equal(ask(server, head, strlen(head)), 413); // refused before it is sent
	fd = client_open(server);                               // a header without end
	client_send(fd, "GET / HTTP/1.1\r\nX: ", 19);
	client_send(fd, big, length);
	assert_int_equal(client_status(fd), 400);
	close(fd);
	fd = client_open(server); // a body without declared end
	client_send(fd, "POST /v1/run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 53);
	for (int i = 0; i < 400; i++) { // 25 MiB
		client_send(fd, "10000\r\n", 7);
		client_send(fd, big, length);
		client_send(fd, "\r\n", 2);
	}
	status = client_status(fd);
	assert_true(status == 413 || status == 0); // 0: closed while we still sent
	close(fd);
	free(big);
	still_serves(server);
}

// Clients that stop in the middle, and one that never reads: others are served meanwhile.
static void half_sent(void **state)
{
	static const char body[] =
		"POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"words\":";
	const struct server *server = *state;
	int line = client_open(server), rest = client_open(server), deaf = client_open(server);

	client_send(line, "GET /v1/ho", 10);
	client_send(rest, body, strlen(body));
	for (int i = 0; i < 100; i++) // answers of 30 kB each that nobody takes
		client_send(deaf, "GET /v1/commands HTTP/1.1\r\nHost: x\r\n\r\n", 39);
	still_serves(server);
	close(line);
	still_serves(server);
	close(rest);
	still_serves(server);
	close(deaf);
	still_serves(server);
}

// More clients than are taken at once: the last waits, is served when others go, and weftd sleeps
// meanwhile.
static void many_clients(void **state)
{
	const struct server *server = *state;
	int clients[MANY];
	int late, open = 0;
	struct pollfd answer;

	for (int i = 0; i < MANY; i++)
		clients[i] = client_open(server);
	late = client_open(server);
	client_send(late, GET_HOST, strlen(GET_HOST));
	answer = (struct pollfd){.fd = late, .events = POLLIN};
	// Those that are taken are served.
	client_send(clients[0], GET_HOST, strlen(GET_HOST));
	assert_int_equal(client_status(clients[0]), 200);
	for (int i = 1; i < 4;
		i++) { // each is a turn of the loop in which the late one would be served
		client_send(clients[i], GET_HOST, strlen(GET_HOST));
		assert_int_equal(client_status(clients[i]), 200);
	}
	assert_int_equal(poll(&answer, 1, 0), 0); // this one waits for a place
	for (int i = 0; i < MANY; i++)
		close(clients[i]);
	assert_int_equal(client_status(late), 200);
	close(late);
	for (int i = 0; i < MANY; i++)
		open += get(server, "/v1/host") == 200;
	assert_int_equal(open, MANY);
}

// A client of `watch`, whose answer has begun; its status.
static int watch_open(const struct server *server, const char *version, int *fd)
{
	static const char body[] = "{\"words\":[\"watch\",\"host\",\"interval\",\"1\"]}";
	char request[256];

	snprintf(request, sizeof(request),
		"POST /v1/run HTTP/%s\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", version,
		strlen(body), body);
	*fd = client_open(server);
	client_send(*fd, request, strlen(request));
	return client_status(*fd);
}

// The places of those who went are free, soon: weftd must see that they did.
static void expect_places(const struct server *server, int *clients, int count)
{
	for (int i = 0; i < count; i++) {
		int status = 0;

		for (int try = 0; try < 200 && status != 200; try++) {
			status = watch_open(server, "1.1", &clients[i]);
			if (status != 200) {
				close(clients[i]);
				usleep(10000);
			}
		}
		assert_int_equal(status, 200);
	}
}

// Streams: more than may be, clients that talk on and never read, all of them gone at once.
static void streams(void **state)
{
	const struct server *server = *state;
	int clients[PENDING_MAX], late;
	char *junk = calloc(1, 1 << 20);

	for (int round = 0; round < 3; round++) {
		expect_places(server, clients, PENDING_MAX);
		assert_int_equal(watch_open(server, "1.1", &late), 409);
		close(late);
		for (int i = 0; i < 4; i++) {
			const struct timeval moment = {.tv_usec = 20000};

			setsockopt(clients[i], SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof(moment));
			client_send(clients[i], GET_HOST, strlen(GET_HOST)); // is never answered
			client_send(clients[i], junk, 1 << 20);
		}
		still_serves(server);
		for (int i = 0; i < PENDING_MAX; i++)
			close(clients[i]);
	}
	free(junk);
	expect_places(server, clients, 1);
	close(clients[0]);
}

static char *rest_of(int fd)
{
	static char text[4096];
	size_t length = 0;
	ssize_t got;

	while ((got = recv(fd, text + length, sizeof(text) - 1 - length, 0)) > 0)
		length += (size_t)got;
	text[length] = 0;
	return text;
}

// weftd stops: each stream is told, and weftd ends in order.
static void streams_at_the_stop(void **state)
{
	struct server *server = *state;
	int new_client, old_client, status = -1;

	assert_int_equal(watch_open(server, "1.1", &new_client), 200);
	watch_open(server, "1.0", &old_client); // it gets no chunks
	assert_int_equal(post(server, "{\"words\":[\"host\",\"stop\"]}"), 200);
	assert_non_null(strstr(rest_of(new_client), "weftd was stopped"));
	assert_non_null(strstr(rest_of(old_client), "weftd was stopped"));
	close(new_client);
	close(old_client);
	assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
	assert_int_equal(status, 0);
	server->pid = 0;
}

static void socket_is_private(void **state)
{
	const struct server *server = *state;
	char *path = rig_path(&server->rig, "run/weftd.sock");
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(path);
	path = rig_path(&server->rig, "state");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	free(path);
}

// A weftd that was killed leaves its socket: the next one takes it over, a live one's is refused.
static void left_behind_socket(void **state)
{
	struct server *server = *state;
	struct rig next = {0};
	struct failure failure = {0};
	char *path = rig_path(&server->rig, "run/weftd.sock");

	strcpy(next.dir, server->rig.dir);
	assert_true(rig_start(&next, &failure) < 0);
	assert_string_equal(failure.code_name, "taken");
	rig_stop(&next);
	still_serves(server);
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
	assert_int_equal(access(path, F_OK), 0);
	if (rig_start(&next, &failure))
		fail_msg("%s", failure.message);
	rig_stop(&next);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
}

static void file_in_the_way(void **state)
{
	struct rig rig = {0};
	struct failure failure = {0};
	char *path;

	(void)state;
	assert_int_equal(rig_make(&rig), 0);
	path = rig_path(&rig, "run");
	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
	path = rig_path(&rig, "run/weftd.sock");
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true(rig_start(&rig, &failure) < 0);
	assert_non_null(strstr(failure.message, "is no socket"));
	assert_true(failure.hint[0]);
	rig_stop(&rig);
	assert_int_equal(access(path, F_OK), 0); // what is not weft's stays
	free(path);
	rig_delete(rig.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(statuses, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(paths, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(garbage, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(oversized, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(half_sent, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(many_clients, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(streams, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(streams_at_the_stop, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(socket_is_private, server_setup, server_teardown),
		cmocka_unit_test_setup_teardown(left_behind_socket, server_setup, server_teardown),
		cmocka_unit_test(file_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

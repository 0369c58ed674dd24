// SPDX-License-Identifier: BSD-2-Clause
// Real requests: programs that every client has, so that the way is a client's own.
#include "ctl/path/requests.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ctl/run.h"

enum { WORDS_MAX = 24, IN_VAIN_MOST = 3, NOT_SENT = 3, SILENT_MS = 2000 };

static void enter(const char *netns)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && setns(fd, CLONE_NEWNET) == 0) {
		close(fd);
		return;
	}
	fprintf(stderr, "weftctl: cannot enter the namespace %s: %s\n", netns, strerror(errno));
	_exit(NOT_SENT);
}

// "10.1.0.2:80", "[fd00::2]:80" -> the address.
static void address_of(const char *to, char *address, size_t size)
{
	bool brackets = *to == '[';

	snprintf(address, size, "%.*s", (int)strcspn(to + brackets, brackets ? "]" : ":"),
		to + brackets);
}

// `with` may lead through another shell: no word has anything that one expands, but the brackets
// of an IPv6 address, which most leave alone.
static int run(const struct requests_aim *aim)
{
	static const char times[] =

		"%{time_connect},%{time_starttransfer},%{time_total},%{local_port},%{http_code},";
	const char *words[WORDS_MAX];
	char count[16], url[128], address[64], *with = NULL;
	size_t n = 0;
	int status;
	pid_t pid;

	snprintf(count, sizeof(count), "%u", aim->count);
	snprintf(url, sizeof(url), "http://%s/", aim->to);
	address_of(aim->to, address, sizeof(address));
	if (aim->with && asprintf(&with, "%s \"$@\"", aim->with) < 0)
		abort();
	const char *const shell[] = {"sh", "-c", with, "sh"};
	const char *const curl[] = {"curl", "-q", "-s", "-S", "-g", "-o", "/dev/null", "--noproxy",
		address, "--max-time", "10", "-w", times, url};
	const char *const ping[] = {"ping", "-n", "-c", count, "-i", "0.02", "-W", "1", aim->to};

	for (size_t i = 0; with && i < sizeof(shell) / sizeof(*shell); i++)
		words[n++] = shell[i];
	for (size_t i = 0; aim->http && i < sizeof(curl) / sizeof(*curl); i++)
		words[n++] = curl[i];
	for (size_t i = 0; !aim->http && i < sizeof(ping) / sizeof(*ping); i++)
		words[n++] = ping[i];
	words[n] = NULL;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM); // of run_all
		execvp(words[0], (char *const *)words);
		fprintf(stderr, "weftctl: %s: %s\n", words[0], strerror(errno));
		_exit(EXIT_FAILURE);
	}
	free(with);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -ECHILD;
}

// A connection of its own for each request of HTTP. One that fails is one that fails; where nobody
// is there, none is waited for to the end.
static void run_all(const struct requests_aim *aim)
{
	unsigned times = aim->http ? aim->count : 1, in_vain = 0;

	if (aim->netns)
		enter(aim->netns);
	for (unsigned i = 0; i < times && in_vain < IN_VAIN_MOST; i++)
		in_vain = run(aim) ? in_vain + 1 : 0;
	_exit(in_vain ? EXIT_FAILURE : EXIT_SUCCESS);
}

void requests_begin(struct requests *requests)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		abort();
	fflush(stdout);
	requests->pid = fork();
	if (requests->pid < 0)
		abort();
	if (requests->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(ends[1], STDOUT_FILENO);
		if (!requests->aim.http) // one line of what ping complains of will do
			dup2(ends[1], STDERR_FILENO);
		run_all(&requests->aim);
	}
	close(ends[1]);
	requests->fd = ends[0];
	fcntl(requests->fd, F_SETFL, O_NONBLOCK); // hosts tell meanwhile
}

// Pings that nobody answers; where they come from may take its time to begin.
static bool in_vain(const struct requests *requests)
{
	return !requests->aim.http && requests->heard_ms &&
	       run_now_ms() - requests->heard_ms > SILENT_MS;
}

bool requests_read(struct requests *requests)
{
	char *larger = realloc(requests->text, requests->length + PIPE_BUF + 1);
	ssize_t bytes;

	if (!larger)
		abort();
	requests->text = larger;
	bytes = read(requests->fd, larger + requests->length, PIPE_BUF);
	larger[requests->length + (bytes > 0 ? (size_t)bytes : 0)] = '\0';
	if (bytes > 0) {
		if (!requests->heard_ms || strstr(larger + requests->length, "time="))
			requests->heard_ms = run_now_ms();
		requests->length += (size_t)bytes;
	}
	if (in_vain(requests))
		kill(requests->pid, SIGTERM);
	else if (bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR)))
		return true;
	close(requests->fd);
	requests->fd = -1;
	return false;
}

// --- what it says

// The first byte is counted from the connection: curl's own word for when it is ready to send
// (pretransfer) may come after the request has gone.
static void read_http(struct requests_seen *seen, const char *text, size_t most)
{
	double connect, first, total;
	unsigned port, answer;
	int used;

	while (seen->count < most && sscanf(text, "%lf,%lf,%lf,%u,%u,%n", &connect, &first, &total,
					     &port, &answer, &used) == 5) {
		text += used;
		if (!answer)
			continue;
		if (answer >= 400 && !seen->errors++)
			seen->error = answer;
		seen->numbers[seen->count] = port;
		seen->connect[seen->count] = connect * 1e9;
		seen->first[seen->count] = (first - connect) * 1e9;
		seen->total[seen->count++] = total * 1e9;
	}
}

static void read_pings(struct requests_seen *seen, const char *text, size_t most)
{
	unsigned number;
	double took_ms;

	// One that is unreachable has a number, too, and no time.
	for (; seen->count < most && (text = strstr(text, "seq=")); text++) {
		if (sscanf(text, "seq=%u ttl=%*u time=%lf", &number, &took_ms) != 2)
			continue;
		seen->numbers[seen->count] = number;
		seen->first[seen->count++] = took_ms * 1e6;
	}
}

// The first of what it complains of: "ping: ...".
static void say_complaint(const char *text)
{
	for (; text && *text; text = strchr(text, '\n'), text += text != NULL) {
		size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz");

		if (!word || strncmp(text + word, ": ", 2) != 0)
			continue;
		fprintf(stderr, "%.*s\n", (int)strcspn(text, "\n"), text);
		return;
	}
}

struct requests_seen requests_end(struct requests *requests)
{
	size_t most = requests->aim.count;
	struct requests_seen seen = {
		.connect = calloc(most + 1, sizeof(double)),
		.first = calloc(most + 1, sizeof(double)),
		.total = calloc(most + 1, sizeof(double)),
		.numbers = calloc(most + 1, sizeof(*seen.numbers)),
	};
	int status;

	if (!seen.numbers || !seen.connect || !seen.first || !seen.total)
		abort();
	if (requests->pid) {
		if (requests->fd >= 0) {
			seen.cut_short = true;
			kill(requests->pid, SIGTERM);
			close(requests->fd);
		}
		waitpid(requests->pid, &status, 0);
		seen.not_sent = WIFEXITED(status) && WEXITSTATUS(status) == NOT_SENT;
	}
	if (requests->text)
		(requests->aim.http ? read_http : read_pings)(&seen, requests->text, most);
	if (!requests->aim.http && !seen.count)
		say_complaint(requests->text);
	free(requests->text);
	requests->text = NULL;
	requests->pid = 0;
	return seen;
}

void requests_free(struct requests_seen *seen)
{
	free(seen->connect);
	free(seen->first);
	free(seen->total);
	free(seen->numbers);
}

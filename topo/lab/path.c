// SPDX-License-Identifier: BSD-2-Clause
// path.c - where the time of a request goes: sends real ones from a node, has every host trace
// them, and joins what the hosts saw with what the client saw
#include "topo/lab/path.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "topo/lab/commands.h"
#include "topo/lab/host.h"
#include "topo/lab/kind.h"
#include "topo/lab/process.h"

enum { COUNT_DEFAULT = 100, COUNT_MAX = 2000, READY_MS = 10000, GRACE_MS = 700, URL = 160 };

struct asked {
	struct lab lab;
	struct node *from;
	char *node;       // "LAB:NODE"
	char address[64]; // without brackets
	unsigned port;    // 0: ping
	unsigned count;
	bool json;
	const char *plot; // NULL: none
	char to[80];      // as traces name it
};

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

// "10.1.0.2", "10.1.0.2:80", "fd00::2", "[fd00::2]:80"
static bool read_target(struct asked *asked, const char *text)
{
	const char *colon = strrchr(text, ':'), *digits = NULL;
	bool v6 = text[0] == '[' || (colon && strchr(text, ':') != colon);
	size_t length = strlen(text);
	char *end;

	if (text[0] == '[') {
		const char *close = strchr(text, ']');

		if (!close)
			return false;
		digits = close[1] == ':' ? close + 2 : NULL;
		length = (size_t)(close - ++text);
	} else if (colon && !v6) {
		digits = colon + 1;
		length = (size_t)(colon - text);
	}
	if (!length || length >= sizeof(asked->address))
		return false;
	memcpy(asked->address, text, length);
	asked->port = digits ? (unsigned)strtoul(digits, &end, 10) : 0;
	if (digits && (*end || !asked->port || asked->port > 65535))
		return false;
	snprintf(asked->to, sizeof(asked->to),
		v6 && asked->port ? "[%s]:%u"
		: asked->port     ? "%s:%u"
				  : "%s",
		asked->address, asked->port);
	return true;
}

// --- the traces

struct tracing {
	pid_t pid;
	char file[32];
	int fd;
};

static void start_trace(struct tracing *tracing, const struct asked *asked)
{
	const char *words[TRACE_WORDS];
	size_t count = trace_argv(&asked->lab, true, words, TRACE_WORDS - 2);
	char filter[160];

	snprintf(filter, sizeof(filter),
		asked->port ? "tcp and host %s and port %u" : "(icmp or icmp6) and host %s",
		asked->address, asked->port);
	words[count++] = filter;
	words[count] = NULL;
	snprintf(tracing->file, sizeof(tracing->file), "/tmp/weftlab-path-XXXXXX");
	tracing->fd = mkostemp(tracing->file, O_CLOEXEC);
	if (tracing->fd < 0)
		abort();
	unlink(tracing->file);
	tracing->pid = fork();
	if (tracing->pid == 0) {
		dup2(tracing->fd, STDOUT_FILENO);
		execvp(words[0], (char *const *)words);
		_exit(127);
	}
}

static size_t each_line(int fd, void (*fn)(const json_t *line, void *context), void *context)
{
	char path[32], *line = NULL;
	size_t room = 0, count = 0;
	FILE *in;

	// Opened anew: the descriptor's place in the file is where weftctl writes.
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	in = fopen(path, "re");
	if (!in)
		abort();
	while (getline(&line, &room, in) > 0) {
		json_t *value = json_loads(line, 0, NULL);

		if (value)
			fn(value, context);
		json_decref(value);
		count++;
	}
	free(line);
	fclose(in);
	return count;
}

static void count_begun(const json_t *line, void *context)
{
	*(unsigned *)context += json_object_get(line, "state") != NULL;
}

static bool trace_ready(const struct tracing *tracing, const struct asked *asked)
{
	unsigned hosts = 0, begun;

	for_each_node (node, &asked->lab)
		hosts += node->kind == &kind_host;
	for (int waited = 0; waited < READY_MS; waited += 20) {
		begun = 0;
		each_line(tracing->fd, count_begun, &begun);
		if (begun == hosts)
			return true;
		if (waitpid(tracing->pid, NULL, WNOHANG) == tracing->pid)
			return false;
		pause_ms(20);
	}
	return false;
}

static void end_trace(struct tracing *tracing)
{
	kill(tracing->pid, SIGTERM);
	waitpid(tracing->pid, NULL, 0);
}

// --- the requests

static char *send_http(struct asked *asked)
{
	static char self[PATH_MAX];
	char *out = NULL, *command = NULL, url[URL];
	bool v6 = strchr(asked->address, ':');

	process_beside("weftlab", self);
	snprintf(url, sizeof(url), v6 ? "http://[%s]:%u/" : "http://%s:%u/", asked->address,
		asked->port);
	// A connection of its own for each; the shell is on every node that has curl.
	if (asprintf(&command,
		    "i=0; while [ $i -lt %u ]; do curl -s -g -o /dev/null --max-time 10 -w "
		    "'%%{time_connect} %%{time_pretransfer} %%{time_starttransfer} "
		    "%%{time_total}\\n' '%s' || exit 1; "
		    "i=$((i+1)); done",
		    asked->count, url) < 0)
		abort();
	char *shell[] = {self, "exec", asked->node, "sh", "-c", command, NULL};
	int err = process_run(&asked->lab, NULL, shell, &out);

	free(command);
	return err ? NULL : out;
}

static char *send_pings(struct asked *asked)
{
	static char self[PATH_MAX], count[16];
	char *argv[] = {self, "exec", asked->node, "ping", "-n", "-c", count, "-i", "0.02",
		asked->address, NULL};
	char *out = NULL;

	process_beside("weftlab", self);
	snprintf(count, sizeof(count), "%u", asked->count);
	return process_run(&asked->lab, NULL, argv, &out) ? NULL : out;
}

struct seen_by_client {
	double *connect, *first, *total; // nanoseconds
	size_t count;
};

static void read_http(struct seen_by_client *seen, char *out)
{
	for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n")) {
		double connect, ready, first, total;

		if (sscanf(line, "%lf %lf %lf %lf", &connect, &ready, &first, &total) != 4)
			continue;
		seen->connect[seen->count] = connect * 1e9;
		seen->first[seen->count] = (first - ready) * 1e9;
		seen->total[seen->count++] = total * 1e9;
	}
}

static void read_pings(struct seen_by_client *seen, char *out)
{
	for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n")) {
		const char *time = strstr(line, "time=");

		if (time)
			seen->first[seen->count++] = strtod(time + 5, NULL) * 1e6;
	}
}

// --- what comes of it

struct joined {
	struct walk *walk;
	const char *host; // with one alone, lines do not say whose they are
};

static void add_line(const json_t *line, void *context)
{
	const struct joined *joined = context;

	walk_add(joined->walk, line, joined->host);
}

static void add_step(
	struct path_result *path, const char *where, const char *what, double p50_ns, double p99_ns)
{
	struct walk_step *step = &path->steps[path->count++];

	*step = (struct walk_step){.p50_ns = p50_ns, .p99_ns = p99_ns};
	snprintf(step->host, sizeof(step->host), "%s", where);
	snprintf(step->what, sizeof(step->what), "%s", what);
}

static const struct walk_step *guest_step(const struct walk_way *way)
{
	for (size_t i = 0; i < way->count; i++)
		if (!strcmp(way->steps[i].what, "guest"))
			return &way->steps[i];
	return NULL;
}

// The guest's kernel answers a connection by itself: what a request takes longer is the service's.
static void split_guest(
	struct path_result *path, const struct walk_step *step, const struct walk_step *kernel)
{
	double p50 = kernel && kernel->p50_ns < step->p50_ns ? kernel->p50_ns : step->p50_ns;
	double p99 = kernel && kernel->p99_ns < step->p99_ns ? kernel->p99_ns : step->p99_ns;

	add_step(path, step->host, "guest", p50, p99);
	path->steps[path->count - 1].observed = true;
	if (!kernel)
		return;
	add_step(path, step->host, "service", step->p50_ns - p50, step->p99_ns - p99);
	path->steps[path->count - 1].observed = true;
}

static void make_path(struct path_result *path, const struct asked *asked,
	const struct walk_way *way, const struct walk_way *connect,
	const struct seen_by_client *seen)
{
	double own_p50, own_p99;

	path->steps = calloc(way->count + 4, sizeof(*path->steps));
	if (!path->steps)
		abort();
	snprintf(path->client, sizeof(path->client), "%s", asked->from->name);
	path->whole_p50_ns = walk_quantile(seen->first, seen->count, 0.5);
	path->whole_p99_ns = walk_quantile(seen->first, seen->count, 0.99);
	own_p50 = path->whole_p50_ns - way->p50_ns;
	own_p99 = path->whole_p99_ns - way->p99_ns;
	add_step(path, path->client, "client and its wire", own_p50, own_p99 > 0 ? own_p99 : 0);
	for (size_t i = 0; i < way->count; i++) {
		if (!strcmp(way->steps[i].what, "guest"))
			split_guest(path, &way->steps[i], guest_step(connect));
		else
			path->steps[path->count++] = way->steps[i];
	}
	snprintf(path->title, sizeof(path->title), "%s to %s: p50 of %zu requests, %.1f us",
		asked->from->name, asked->to, way->requests, path->whole_p50_ns / 1000);
}

static int draw(const struct path_result *path, const char *file)
{
	FILE *out = fopen(file, "we");

	if (!out) {
		fprintf(stderr, "weftlab: %s: %m\n", file);
		return REFUSED;
	}
	path_svg(out, path);
	if (fclose(out)) {
		fprintf(stderr, "weftlab: %s: %m\n", file);
		return REFUSED;
	}
	return DONE;
}

static void print(const struct asked *asked, const struct path_result *path)
{
	if (asked->json) {
		path_json(stdout, path);
		return;
	}
	if (path->total_p50_ns > 0)
		printf("connect p50 %.1f us, first byte p50 %.1f us, total p50 %.1f us (%zu "
		       "requests)\n",
			path->connect_p50_ns / 1000, path->whole_p50_ns / 1000,
			path->total_p50_ns / 1000, path->requests);
	path_table(stdout, path);
	if (path->others)
		printf("%zu more were seen at other points and are left out\n", path->others);
	puts("One machine, one clock: between the hosts of a lab there is no clock error.");
}

static int show(const struct asked *asked, const struct walk *walk, struct seen_by_client *seen)
{
	struct walk_way way = walk_way(walk, asked->to, false);
	struct walk_way connect = {0};
	struct path_result path = {.requests = way.requests, .others = way.others};
	int status = DONE;

	if (asked->port)
		connect = walk_way(walk, asked->to, true);
	if (!way.requests || !seen->count) {
		fprintf(stderr, "weftlab: no host saw a request to %s and its answer\n", asked->to);
		status = REFUSED;
	} else {
		make_path(&path, asked, &way, &connect, seen);
		path.connect_p50_ns = walk_quantile(seen->connect, seen->count, 0.5);
		path.total_p50_ns = walk_quantile(seen->total, seen->count, 0.5);
		print(asked, &path);
		if (asked->plot)
			status = draw(&path, asked->plot);
	}
	free(path.steps);
	walk_way_free(&way);
	walk_way_free(&connect);
	return status;
}

static const char *a_host(const struct lab *lab)
{
	for_each_node (node, lab)
		if (node->kind == &kind_host)
			return node->name;
	return "host";
}

static int measure(struct asked *asked)
{
	struct walk *walk = walk_new();
	struct tracing tracing = {0};
	struct seen_by_client seen = {
		.connect = calloc(COUNT_MAX + 1, sizeof(double)),
		.first = calloc(COUNT_MAX + 1, sizeof(double)),
		.total = calloc(COUNT_MAX + 1, sizeof(double)),
	};
	int status = REFUSED;
	char *out = NULL;

	start_trace(&tracing, asked);
	if (trace_ready(&tracing, asked)) {
		out = asked->port ? send_http(asked) : send_pings(asked);
		pause_ms(GRACE_MS); // the last packet's way
	} else {
		lab_fail(&asked->lab, ETIMEDOUT,
			"the hosts do not trace: does `weftlab status` say that "
			"they are up?");
	}
	end_trace(&tracing);
	if (!out) {
		refuse(&asked->lab);
	} else {
		(asked->port ? read_http : read_pings)(&seen, out);
		each_line(tracing.fd, add_line, &(struct joined){walk, a_host(&asked->lab)});
		status = show(asked, walk, &seen);
	}
	free(out);
	close(tracing.fd);
	free(seen.connect);
	free(seen.first);
	free(seen.total);
	walk_free(walk);
	return status;
}

static bool read_words(struct asked *asked, int argc, char **argv)
{
	asked->count = COUNT_DEFAULT;
	for (int i = 2; i < argc; i += 2) {
		if (!strcmp(argv[i], "-j")) {
			asked->json = true;
			i--;
			continue;
		}
		if (i + 1 == argc)
			return false;
		if (!strcmp(argv[i], "count"))
			asked->count = (unsigned)strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--plot"))
			asked->plot = argv[i + 1];
		else
			return false;
	}
	return asked->count && asked->count <= COUNT_MAX && read_target(asked, argv[1]);
}

int command_path(int argc, char **argv)
{
	struct asked asked = {0};
	int status;

	if (!read_words(&asked, argc, argv)) {
		fprintf(stderr,
			"usage: weftlab path [LAB:]NODE ADDRESS[:PORT] [count N] [--plot FILE]; N "
			"up to %d\n",
			COUNT_MAX);
		return WRONG_WORDS;
	}
	asked.node = strdup(argv[0]);
	if (running_node(&asked.lab, argv[0], &asked.from))
		return refuse(&asked.lab);
	status = measure(&asked);
	lab_free(&asked.lab);
	free(asked.node);
	return status;
}

// SPDX-License-Identifier: BSD-2-Clause
// weftd: options, signals, the event loop.

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <weft/log.h>
#include "daemon/command_table.h"
#include "daemon/instance.h"
#include "daemon/memory.h"
#include "daemon/settings.h"

LOG_MODULE(weftd);

static const char usage[] =
	"Usage: weftd [OPTION...]\n"
	"The daemon of weft, a virtual switch. It runs in the foreground; weftctl talks to it.\n"
	"\n"
	"  --name NAME          what this weftd is called (default: the host's name)\n"
	"  --engine ENGINE      ebpf, dpdk or sim (default ebpf)\n"
	"  --state-dir DIR      where the objects are kept (default /var/lib/weft)\n"
	"  --run-dir DIR        where the socket weftd.sock is made (default /run/weft)\n"
	"  --bpf-dir DIR        the bpffs that holds what outlives weftd (default /sys/fs/bpf)\n"
	"  --config FILE        settings in YAML; the command line goes before it\n"
	"  --log-level LEVEL    error, warn, info or debug (default info)\n"
	"  --check              print what memory the tables would take, and whether it is there\n"
	"  --man                print the manual page of weftctl, made from the command table\n"
	"  --help, --version\n"
	"\n"
	"SIGTERM and SIGINT stop weftd; with the ebpf engine forwarding goes on, with dpdk it "
	"ends\n"
	"until weftd is back, and guests connect again.\n";

static int fail_start(const struct failure *failure)
{
	fprintf(stderr, "weftd: %s%s%s\n", failure->message, failure->hint[0] ? "; " : "",
		failure->hint);
	return EXIT_FAILURE;
}

static int wrong_usage(void)
{
	fprintf(stderr, "weftd: `weftd --help` lists the options\n");
	return 2;
}

static int print_man(void)
{
	char *page = help_man();
	int err = fputs(page, stdout) < 0 || fflush(stdout) < 0;

	free(page);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void replace(char **text, const char *value)
{
	free(*text);
	*text = strdup(value);
}

enum { NAME, ENGINE, STATE_DIR, RUN_DIR, BPF_DIR, CONFIG, LOG_LEVEL, CHECK, MAN, HELP, VERSION };

static const struct option options[] = {
	{"name", required_argument, NULL, NAME},
	{"engine", required_argument, NULL, ENGINE},
	{"state-dir", required_argument, NULL, STATE_DIR},
	{"run-dir", required_argument, NULL, RUN_DIR},
	{"bpf-dir", required_argument, NULL, BPF_DIR},
	{"config", required_argument, NULL, CONFIG},
	{"log-level", required_argument, NULL, LOG_LEVEL},
	{"check", no_argument, NULL, CHECK},
	{"man", no_argument, NULL, MAN},
	{"help", no_argument, NULL, HELP},
	{"version", no_argument, NULL, VERSION},
	{0},
};

// Returns -1 to go on, else the exit status.
static int read_options(
	int argc, char **argv, struct settings *settings, char **config, bool *check)
{
	char **const texts[] = {&settings->name, &settings->engine, &settings->state_dir,
		&settings->run_dir, &settings->bpf_dir, config, &settings->log_level};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case CHECK:
			*check = true;
			break;
		case MAN:
			return print_man();
		case HELP:
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case VERSION:
			puts("weftd " WEFT_VERSION);
			return EXIT_SUCCESS;
		case '?':
			return wrong_usage();
		default:
			replace(texts[option], optarg);
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "weftd: '%s' is no option\n", argv[optind]);
	return wrong_usage();
}

static void stop_signal(evutil_socket_t number, short what, void *context)
{
	struct weftd *weftd = context;

	(void)what;
	log_info("stopping signal=%s", strsignal((int)number));
	event_base_loopbreak(weftd->base);
}

// What is needed at run time: by taps, netlink, tc and BPF; and by an engine with ports that are no
// netdevs, to give sockets to their users, to connect to QEMU's, and to pin memory for NICs.
static const struct {
	unsigned capability;
	bool without_netdev;
} needed[] = {
	{CAP_NET_ADMIN, false},
	{CAP_NET_RAW, false},
	{CAP_BPF, false},
	{CAP_PERFMON, false},
	{CAP_CHOWN, true},
	{CAP_DAC_OVERRIDE, true},
	{CAP_IPC_LOCK, true},
};

// As far as weftd has it.
static void drop_capabilities(const struct weftd *weftd)
{
	bool keep[WEFT_ARRAY_SIZE(needed)], without_netdev = weftd->engine_ops->port_state != NULL;
	capng_select_t set = CAPNG_SELECT_CAPS;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(needed); i++)
		keep[i] = (without_netdev || !needed[i].without_netdev) &&
			  capng_have_capability(CAPNG_PERMITTED, needed[i].capability);
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		set = CAPNG_SELECT_BOTH; // the bounding set, too
	capng_clear(set);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(needed); i++)
		if (keep[i])
			capng_update(
				CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, needed[i].capability);
	if (capng_apply(set) < 0)
		log_warn("cannot drop capabilities");
}

enum { WORKER_NICE = -10 };

static bool is_worker(const char *task)
{
	char path[64], name[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", task);
	file = fopen(path, "re");
	if (file && !fgets(name, sizeof(name), file))
		name[0] = '\0';
	if (file)
		fclose(file);
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, ENGINE_WORKER_NAME) == 0;
}

// All threads but the workers: a frame waits while a worker does, for others it is time enough. A
// thread has the nice value of the one that starts it, so workers need no capability for theirs.
static void yield_cores(int nice)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;

	while (tasks && (task = readdir(tasks)))
		if (task->d_name[0] != '.' && !is_worker(task->d_name))
			setpriority(PRIO_PROCESS, (id_t)strtoul(task->d_name, NULL, 10), nice);
	if (tasks)
		closedir(tasks);
}

// An engine with threads starts them with what weftd has then: they keep it. One without needs more
// of root at its start than later: to take over what an earlier weftd left in the kernel.
static int bring_up(struct weftd *weftd, struct failure *failure)
{
	int err = instance_open(weftd, failure);
	bool early = !err && weftd->engine_ops->port_state;

	int nice = getpriority(PRIO_PROCESS, 0);

	if (early) {
		if (nice > WORKER_NICE && setpriority(PRIO_PROCESS, 0, WORKER_NICE))
			log_warn("workers cannot go before others on their cores: frames may wait");
		drop_capabilities(weftd);
	}
	if (!err)
		err = instance_start(weftd, failure);
	if (early)
		yield_cores(nice);
	if (!err && !early)
		drop_capabilities(weftd);
	return err;
}

static int run(struct weftd *weftd)
{
	struct event *term, *interrupt;
	struct failure failure = {0};

	signal(SIGPIPE, SIG_IGN);
	term = evsignal_new(weftd->base, SIGTERM, stop_signal, weftd);
	interrupt = evsignal_new(weftd->base, SIGINT, stop_signal, weftd);
	if (!term || !interrupt || event_add(term, NULL) < 0 || event_add(interrupt, NULL) < 0)
		abort();
	if (bring_up(weftd, &failure) < 0) {
		event_free(term);
		event_free(interrupt);
		return fail_start(&failure);
	}
	sd_notifyf(0, "READY=1\nSTATUS=%s engine", weftd->engine_ops->name);
	event_base_dispatch(weftd->base);
	sd_notify(0, "STOPPING=1");
	instance_stop(weftd);
	log_info("stopped");
	event_free(term);
	event_free(interrupt);
	return EXIT_SUCCESS;
}

// The soft limit is low for the sake of programs that select(): weftd does not, and starts no
// others. A port may take several descriptors, a client and a check one each.
static void raise_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		log_warn("the limit of descriptors stays low: %s", strerror(errno));
}

// Nothing is opened, made or taken.
static int check_memory(struct weftd *weftd)
{
	struct failure failure = {0};

	if (instance_engine(weftd, &failure) < 0 || memory_print(weftd, stdout, &failure) < 0)
		return fail_start(&failure);
	return EXIT_SUCCESS;
}

static int start(struct weftd *weftd, const char *config, bool check)
{
	struct failure failure = {0};
	enum log_level level;

	if (config && settings_read(&weftd->settings, config, &failure) < 0)
		return fail_start(&failure);
	settings_default(&weftd->settings);
	if (log_level_parse(weftd->settings.log_level, &level) < 0) {
		fail(&failure, -EINVAL, "bad_value",
			"the log level '%s' is none of error, warn, info, debug",
			weftd->settings.log_level);
		return fail_start(&failure);
	}
	log_set_level(NULL, level);
	if (check)
		return check_memory(weftd);
	weftd->base = event_base_new();
	if (!weftd->base)
		abort();
	raise_descriptors();
	return run(weftd);
}

int main(int argc, char **argv)
{
	struct weftd weftd = {0};
	char *config = NULL;
	bool check = false;
	int status;

	umask(0022);
	status = read_options(argc, argv, &weftd.settings, &config, &check);
	if (status < 0)
		status = start(&weftd, config, check);
	if (weftd.base)
		event_base_free(weftd.base);
	settings_free(&weftd.settings);
	free(config);
	libevent_global_shutdown();
	return status;
}

// SPDX-License-Identifier: BSD-2-Clause
// main.c - weft-guest: the guest module as a command
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/guest/guest.h"

enum { DONE = 0, REFUSED = 1, WRONG_WORDS = 2, TIMED_OUT = 4, NO_CHANNEL = 125 };

static const char usage_text[] =
	"usage: weft-guest [--run-dir DIR] COMMAND ...\n"
	"  start NAME --image DIR [--tap IFNAME] [--nic "
	"virtio|e1000|e1000e|vmxnet3|rtl8139|pcnet]\n"
	"        [--mac MAC] [--qemu-net \"WORDS\"] [--netns NAME] [--memory MB] [--ip "
	"ADDRESS/LEN]...\n"
	"        [--gw ADDRESS]... [--mtu N] [--nginx] [--modules LIST] [--append \"KERNEL "
	"WORDS\"]\n"
	"        [--keep-fds] [-- QEMU WORDS...]\n"
	"  wait [--timeout SECONDS] NAME      until it is up (60 s)\n"
	"  exec [--timeout SECONDS] NAME CMD...  one word: a shell command line; several: run as "
	"they are\n"
	"  stop NAME | --all                  end it and remove its files\n"
	"  list                               name, pid (0: dead)\n"
	"  qmp NAME JSON                      one QMP command\n"
	"  console NAME                       print its console's log\n"
	"Run directory: --run-dir, else $WEFT_GUEST_DIR, else " GUEST_RUN_ROOT ".\n"
	"WEFT_GUEST_ACCEL=kvm|tcg and WEFT_GUEST_QEMU=PROGRAM override what is chosen.\n"
	"exec ends with the command's status, or 125 when the guest could not be reached.\n";

static int usage(void)
{
	fputs(usage_text, stderr);
	return WRONG_WORDS;
}

static int report(const struct guest *guest, int err, int status)
{
	fprintf(stderr, "weft-guest: %s\n", guest->why);
	return err == -ETIMEDOUT && status == REFUSED ? TIMED_OUT : status;
}

static bool parse_number(const char *text, unsigned int max, unsigned int *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || !value || value > max) {
		fprintf(stderr, "weft-guest: bad number '%s' (1 to %u)\n", text, max);
		return false;
	}
	*number = (unsigned int)value;
	return true;
}

/* Append to a comma separated list. */
static bool add_item(char *list, size_t size, const char *item)
{
	size_t len = strlen(list);

	return snprintf(list + len, size - len, "%s%s", len ? "," : "", item) < (int)(size - len);
}

enum start_option {
	OPT_IMAGE = 256,
	OPT_TAP,
	OPT_NIC,
	OPT_MAC,
	OPT_QEMU_NET,
	OPT_NETNS,
	OPT_MEMORY,
	OPT_IP,
	OPT_GW,
	OPT_MTU,
	OPT_NGINX,
	OPT_MODULES,
	OPT_APPEND,
	OPT_KEEP_FDS,
};

static const struct option start_options[] = {
	{"image", required_argument, NULL, OPT_IMAGE},
	{"tap", required_argument, NULL, OPT_TAP},
	{"nic", required_argument, NULL, OPT_NIC},
	{"mac", required_argument, NULL, OPT_MAC},
	{"qemu-net", required_argument, NULL, OPT_QEMU_NET},
	{"netns", required_argument, NULL, OPT_NETNS},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"ip", required_argument, NULL, OPT_IP},
	{"gw", required_argument, NULL, OPT_GW},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"nginx", no_argument, NULL, OPT_NGINX},
	{"modules", required_argument, NULL, OPT_MODULES},
	{"append", required_argument, NULL, OPT_APPEND},
	{"keep-fds", no_argument, NULL, OPT_KEEP_FDS},
	{0},
};

struct start_words {
	struct guest_spec spec;
	char image[PATH_MAX];
	char addresses[1024];
	char gateways[256];
};

static bool start_option(struct start_words *words, int option, const char *value)
{
	struct guest_spec *spec = &words->spec;

	switch (option) {
	case OPT_IMAGE:
		/* QEMU's words must hold whatever directory it is started in; absence is reported
		 * later. */
		spec->image = realpath(value, words->image) ? words->image : value;
		return true;
	case OPT_TAP:
		spec->tap = value;
		return true;
	case OPT_NIC:
		spec->nic = value;
		return true;
	case OPT_MAC:
		spec->mac = value;
		return true;
	case OPT_QEMU_NET:
		spec->qemu_net = value;
		return true;
	case OPT_NETNS:
		spec->netns = value;
		return true;
	case OPT_MEMORY:
		return parse_number(value, 1 << 20, &spec->memory_mb);
	case OPT_IP:
		spec->addresses = words->addresses;
		return add_item(words->addresses, sizeof(words->addresses), value);
	case OPT_GW:
		spec->gateways = words->gateways;
		return add_item(words->gateways, sizeof(words->gateways), value);
	case OPT_MTU:
		return parse_number(value, 65535, &spec->mtu);
	case OPT_NGINX:
		spec->nginx = true;
		return true;
	case OPT_MODULES:
		spec->modules = value;
		return true;
	case OPT_APPEND:
		spec->append = value;
		return true;
	case OPT_KEEP_FDS:
		spec->keep_fds = true;
		return true;
	}
	return false;
}

static int do_start(const char *root, int argc, char **argv)
{
	struct start_words words = {0};
	struct guest guest;
	int option, err;

	while ((option = getopt_long(argc, argv, "", start_options, NULL)) != -1)
		if (!start_option(&words, option, optarg))
			return usage();
	if (optind >= argc || !words.spec.image)
		return usage();
	words.spec.extra = argv + optind + 1;
	err = guest_open(&guest, root, argv[optind]);
	if (!err)
		err = guest_start(&guest, &words.spec);
	return err ? report(&guest, err, REFUSED) : DONE;
}

/* `[--timeout SECONDS] NAME`, then what follows; leaves optind behind the name. */
static bool parse_timed(int argc, char **argv, unsigned int *timeout_s, const char **name)
{
	static const struct option options[] = {{"timeout", required_argument, NULL, 't'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
		if (option != 't' || !parse_number(optarg, 86400, timeout_s))
			return false;
	*name = optind < argc ? argv[optind++] : NULL;
	return *name;
}

static int do_wait(const char *root, int argc, char **argv)
{
	unsigned int timeout_s = 60;
	struct guest guest;
	const char *name;
	int err;

	if (!parse_timed(argc, argv, &timeout_s, &name) || optind != argc)
		return usage();
	err = guest_open(&guest, root, name);
	if (!err)
		err = guest_wait(&guest, timeout_s * 1000);
	return err ? report(&guest, err, REFUSED) : DONE;
}

/* Words as one shell command line, each in single quotes. */
static char *quote_words(char **words)
{
	char *line = NULL, *p;
	size_t size;
	FILE *f = open_memstream(&line, &size);

	if (!f)
		return NULL;
	for (; *words; words++) {
		putc('\'', f);
		for (p = *words; *p; p++) {
			if (*p == '\'')
				fputs("'\\''", f);
			else
				putc(*p, f);
		}
		fputs(words[1] ? "' " : "'", f);
	}
	return fclose(f) ? NULL : line;
}

static int do_exec(const char *root, int argc, char **argv)
{
	struct guest_output output;
	unsigned int timeout_s = 60;
	struct guest guest;
	const char *name;
	char *line;
	int err, status;

	if (!parse_timed(argc, argv, &timeout_s, &name) || optind >= argc)
		return usage();
	line = optind + 1 == argc ? strdup(argv[optind]) : quote_words(argv + optind);
	if (!line)
		return NO_CHANNEL;
	err = guest_open(&guest, root, name);
	if (!err)
		err = guest_exec(&guest, line, timeout_s, &output);
	free(line);
	if (err)
		return report(&guest, err, NO_CHANNEL);
	fwrite(output.out, 1, output.out_len, stdout);
	fwrite(output.err, 1, output.err_len, stderr);
	status = output.status;
	guest_output_free(&output);
	return fflush(stdout) ? NO_CHANNEL : status;
}

static int stop_one(const char *root, const char *name)
{
	struct guest guest;
	int err = guest_open(&guest, root, name);

	if (!err)
		err = guest_stop(&guest);
	return err ? report(&guest, err, REFUSED) : DONE;
}

/* Call `each` for all guests; the worst result. */
static int for_all(const char *root, int (*each)(const char *root, const char *name))
{
	char **names;
	int err, status, worst = DONE;
	size_t i;

	err = guest_list(root, &names);
	if (err) {
		fprintf(stderr, "weft-guest: %s: %s\n", root, strerror(-err));
		return REFUSED;
	}
	for (i = 0; names[i]; i++) {
		status = each(root, names[i]);
		worst = status > worst ? status : worst;
		free(names[i]);
	}
	free(names);
	return worst;
}

static int do_stop(const char *root, int argc, char **argv)
{
	if (argc != 2)
		return usage();
	return strcmp(argv[1], "--all") ? stop_one(root, argv[1]) : for_all(root, stop_one);
}

static int list_one(const char *root, const char *name)
{
	struct guest guest;

	if (!guest_open(&guest, root, name))
		printf("%s %d\n", name, (int)guest_pid(&guest));
	return DONE;
}

static int do_list(const char *root, int argc, char **argv)
{
	(void)argv;
	return argc == 1 ? for_all(root, list_one) : usage();
}

static int do_qmp(const char *root, int argc, char **argv)
{
	json_t *command, *reply = NULL;
	json_error_t error;
	struct guest guest;
	int err;

	if (argc != 3)
		return usage();
	command = json_loads(argv[2], 0, &error);
	if (!command) {
		fprintf(stderr, "weft-guest: not JSON: %s\n", error.text);
		return WRONG_WORDS;
	}
	err = guest_open(&guest, root, argv[1]);
	if (!err)
		err = guest_qmp(&guest, command, &reply);
	json_decref(command);
	if (reply) {
		json_dumpf(reply, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(reply);
	}
	return err ? report(&guest, err, REFUSED) : DONE;
}

static int do_console(const char *root, int argc, char **argv)
{
	char path[PATH_MAX], buf[4096];
	struct guest guest;
	size_t n;
	FILE *f;

	if (argc != 2)
		return usage();
	if (guest_open(&guest, root, argv[1]))
		return report(&guest, 0, REFUSED);
	snprintf(path, sizeof(path), "%s/console.log", guest.dir);
	f = fopen(path, "re");
	if (!f) {
		fprintf(stderr, "weft-guest: no guest %s in %s\n", argv[1], root);
		return REFUSED;
	}
	while ((n = fread(buf, 1, sizeof(buf), f)))
		fwrite(buf, 1, n, stdout);
	fclose(f);
	return DONE;
}

static const struct {
	const char *name;
	int (*run)(const char *root, int argc, char **argv);
} commands[] = {
	{"start", do_start},
	{"wait", do_wait},
	{"exec", do_exec},
	{"stop", do_stop},
	{"list", do_list},
	{"qmp", do_qmp},
	{"console", do_console},
};

static int run_command(const char *root, int argc, char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(root, argc, argv);
	return usage();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"run-dir", required_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *root = getenv("WEFT_GUEST_DIR");
	char *absolute;
	int option, first, status;

	if (!root || !*root)
		root = GUEST_RUN_ROOT;
	while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage_text, stdout);
			return DONE;
		}
		if (option != 'r')
			return usage();
		root = optarg;
	}
	if (optind >= argc)
		return usage();
	/* A directory that is there may be named in any way. */
	absolute = realpath(root, NULL);
	first = optind;
	optind = 0; /* the command's own words are parsed anew */
	status = run_command(absolute ? absolute : root, argc - first, argv + first);
	free(absolute);
	return status;
}

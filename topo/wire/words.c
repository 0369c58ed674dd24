// SPDX-License-Identifier: BSD-2-Clause
// words.c - the command line of weft-wire: words, units and what is wrong with them
#include "topo/wire/wire.h"

#include <ctype.h>
#include <err.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char wire_usage[] =
	"usage: weft-wire A B [WORD VALUE]...\n"
	"Makes the network devices A and B, joined by a wire, and relays between them until "
	"SIGTERM.\n"
	"  A, B: NAME@NETNS or NAME@NETNS,mac=02:00:00:00:00:01; NETNS is a path, or a name in "
	"/run/netns\n"
	"  delay 10ms        every packet, one way (ns, us, ms, s)\n"
	"  jitter 2ms        uniform from -2ms to +2ms around the delay, at most the delay; in "
	"order\n"
	"  loss 1%           each packet for itself\n"
	"  duplicate 0.1%    a copy follows directly behind\n"
	"  reorder 0.5%      goes at once and overtakes those that wait; needs a delay\n"
	"  rate 100mbit      of frames as `ip -s link` counts them (bit, kbit, mbit, gbit)\n"
	"  queue 100ms       with a rate: longest wait for the line, beyond it packets are "
	"dropped\n"
	"  limit 16mib       memory for packets under way, per direction (kib, mib, gib)\n"
	"  mtu 1500          of both devices\n"
	"  seed 1            same seed, same fate of the n-th packet; 0 to 4294967295\n"
	"  ready-fd N        gets a line when the wire is ready (else stdout does)\n"
	"Both directions are alike and independent. Devices are up when it is ready, and gone when "
	"it\n"
	"ends, however it ends. SIGUSR1 prints counters as a line of JSON on stdout.\n"
	"Exit status: 0 ended by a signal, 1 could not, or a device vanished, 2 wrong words.\n";

enum word {
	DELAY,
	JITTER,
	LOSS,
	DUPLICATE,
	REORDER,
	RATE,
	QUEUE,
	LIMIT,
	MTU,
	SEED,
	READY_FD,
	WORDS
};

struct unit {
	const char *name;
	double factor;
};

static const struct unit times[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {}};
static const struct unit parts[] = {{"%", 0.01}, {}};
static const struct unit rates[] = {{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {}};
static const struct unit sizes[] = {{"kib", 0x1p10}, {"mib", 0x1p20}, {"gib", 0x1p30}, {}};
static const struct unit whole[] = {{"", 1}, {}};

/* Values in the base unit: nanoseconds, 0 to 1, bits per second, bytes. */
static const struct {
	const char *name;
	const struct unit *units;
	double least, most;
	const char *expected;
} words[WORDS] = {
	[DELAY] = {"delay", times, 0, 60e9, "a time up to 60s such as 10ms or 1.5us"},
	[JITTER] = {"jitter", times, 0, 60e9, "a time up to the delay such as 2ms"},
	[LOSS] = {"loss", parts, 0, 1, "0% to 100% such as 0.5%"},
	[DUPLICATE] = {"duplicate", parts, 0, 1, "0% to 100% such as 0.5%"},
	[REORDER] = {"reorder", parts, 0, 1, "0% to 100% such as 0.5%"},
	[RATE] = {"rate", rates, 1e3, 1e12, "1kbit to 1000gbit such as 100mbit"},
	[QUEUE] = {"queue", times, 0, 60e9, "a time up to 60s such as 100ms"},
	[LIMIT] = {"limit", sizes, 0x1p18, 0x1p33, "256kib to 8gib such as 16mib"},
	[MTU] = {"mtu", whole, 68, 65521, "a whole number from 68 to 65521"},
	[SEED] = {"seed", whole, 0, 4294967295, "a whole number from 0 to 4294967295"},
	[READY_FD] = {"ready-fd", whole, 0, INT_MAX, "the number of an open descriptor"},
};

#define wrong(...) errx(WIRE_WRONG_WORDS, __VA_ARGS__)

/* --- ends --- */

static void parse_mac(const char *text, struct end_spec *end)
{
	static const uint8_t zero[ETH_ALEN];
	uint8_t *mac = end->mac;
	int used = 0;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		    &mac[3], &mac[4], &mac[5], &used) != ETH_ALEN ||
		used != 17 || text[used] || mac[0] & 1 || !memcmp(mac, zero, ETH_ALEN))
		wrong("mac: expected a unicast address such as 02:00:00:00:00:01, not '%s'", text);
	end->has_mac = true;
}

static bool is_device_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (isspace((unsigned char)*c) || strchr("/:%", *c))
			return false;
	return c != name && c - name < IFNAMSIZ && strcmp(name, ".") && strcmp(name, "..");
}

/* NAME@NETNS[,mac=MAC] */
static void parse_end(const char *text, struct end_spec *end)
{
	char *copy = strdup(text), *netns = copy ? strchr(copy, '@') : NULL, *option;

	if (!netns || !netns[1])
		wrong("'%s': expected an end such as eth0@h1 or eth0@/run/netns/h1", text);
	*netns++ = 0;
	option = strchr(netns, ',');
	if (option) {
		*option++ = 0;
		if (strncmp(option, "mac=", 4))
			wrong("'%s': expected mac=ADDRESS, not '%s'", text, option);
		parse_mac(option + 4, end);
	}
	if (!is_device_name(copy))
		wrong("'%s': expected a device name of 1 to 15 characters without blanks, /, : or "
		      "%%, not '%s'",
			text, copy);
	strcpy(end->name, copy);
	if (snprintf(end->netns, sizeof(end->netns), "%s%s",
		    strchr(netns, '/') ? "" : "/run/netns/", netns) >= (int)sizeof(end->netns))
		wrong("'%s': the path of the namespace is too long", text);
	free(copy);
}

/* --- words and values --- */

static enum word find_word(const char *text)
{
	enum word word;

	for (word = 0; word < WORDS; word++)
		if (!strcmp(text, words[word].name))
			return word;
	wrong("unknown word '%s': expected delay, jitter, loss, duplicate, reorder, rate, queue, "
	      "limit, mtu, seed or ready-fd",
		text);
}

static double parse_value(enum word word, const char *text)
{
	const struct unit *unit = words[word].units;
	size_t digits = strspn(text, unit == whole ? "0123456789" : "0123456789.");
	char *end;
	double value = strtod(text, &end);

	while (unit->name && strcmp(text + digits, unit->name))
		unit++;
	if (unit->name) /* strtod also reads what we do not want: signs, exponents, hex */
		value *= unit->factor;
	if (!digits || !isdigit((unsigned char)text[0]) || end != text + digits || !unit->name ||
		value < words[word].least || value > words[word].most)
		wrong("%s: expected %s, not '%s'", words[word].name, words[word].expected, text);
	return value;
}

static void check(const struct wire_spec *spec, const bool *given)
{
	const struct impairment *impairment = &spec->impairment;

	if (!strcmp(spec->end[0].name, spec->end[1].name) &&
		!strcmp(spec->end[0].netns, spec->end[1].netns))
		wrong("both ends are %s in %s: expected two devices", spec->end[0].name,
			spec->end[0].netns);
	if (impairment->jitter_ns > impairment->delay_ns)
		wrong("jitter: expected at most the delay, because nothing arrives before it is "
		      "sent");
	if (impairment->reorder > 0 && !impairment->delay_ns)
		wrong("reorder: expected a delay too, because a packet overtakes those that wait");
	if (given[QUEUE] && !given[RATE])
		wrong("queue: expected a rate too, because nothing waits for a line without one");
	if (given[READY_FD] && fcntl(spec->ready_fd, F_GETFD) < 0)
		wrong("ready-fd: expected the number of an open descriptor, and %d is not open",
			spec->ready_fd);
}

void words_parse(char *const *argv, struct wire_spec *spec)
{
	double value[WORDS] = {
		[QUEUE] = 100e6, [LIMIT] = 0x1p24, [MTU] = 1500, [SEED] = 1, [READY_FD] = -1};
	bool given[WORDS] = {};

	if (!argv[0] || !argv[1])
		wrong("expected two ends such as eth0@h1 eth0@h2; weft-wire --help lists all "
		      "words");
	parse_end(argv[0], &spec->end[0]);
	parse_end(argv[1], &spec->end[1]);
	for (argv += 2; *argv; argv += 2) {
		enum word word = find_word(argv[0]);

		if (given[word])
			wrong("%s: expected once, but it is there twice", argv[0]);
		if (!argv[1])
			wrong("%s: expected %s, but nothing follows", argv[0],
				words[word].expected);
		given[word] = true;
		value[word] = parse_value(word, argv[1]);
	}
	spec->impairment = (struct impairment){.delay_ns = (uint64_t)value[DELAY],
		.jitter_ns = (uint64_t)value[JITTER],
		.loss = value[LOSS],
		.duplicate = value[DUPLICATE],
		.reorder = value[REORDER],
		.rate_bps = value[RATE],
		.queue_ns = (uint64_t)value[QUEUE],
		.seed = (uint64_t)value[SEED]};
	spec->limit_bytes = (uint64_t)value[LIMIT];
	spec->mtu = (int)value[MTU];
	spec->ready_fd = (int)value[READY_FD];
	check(spec, given);
}

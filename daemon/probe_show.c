// SPDX-License-Identifier: BSD-2-Clause
// What came of probes: delays each way, hop by hop, as quantiles, and how far they can be trusted.
//
// All times of the other end are by its clock. Where that is another machine's, the offset is that
// of the exchange with the shortest round trip (a minimum filter, as NTP's): there and then it is
// right within half of that; how far the clocks may have drifted apart around it comes on top. A
// delay below zero is this error showing, and stays as it is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/probe.h"

struct delays {            // of one probe; each only if it is known
	bool known, exact; // exact: the answer's entry was observed
	s64 forward, back; // by the clocks as they are
	s64 rtt;
};

static struct delays delays_of(const struct probe_one *one)
{
	struct delays d = {.known = one->back_ns && one->in_ns, .exact = one->late};
	if (!d.known)
		return d;
	d.forward = (s64)(one->there_ns - one->in_ns);
	d.back = (s64)(one->back_ns - one->back_sent_ns - (one->late ? one->back_late_ns : 0));
	d.rtt = d.forward + d.back;
	return d;
}

struct clock {
	bool known, one;
	s64 offset_ns, error_ns; // of the other end's
};

enum { DRIFT_PPM = 15 }; // RFC 5905's frequency tolerance (PHI)

// Over how long the offset is said to hold, from when it was measured.
static u64 farthest_ns(const struct probe_result *r, u64 from_ns)
{
	u64 farthest = 0;
	for (u32 i = 0; i < r->sent; i++) {
		u64 at = r->ones[i].in_ns, ns = at > from_ns ? at - from_ns : from_ns - at;
		if (r->ones[i].back_ns && at && ns > farthest)
			farthest = ns;
	}
	return farthest;
}

static struct clock clock_of(const struct probe_result *r, bool exact)
{
	struct clock clock = {.known = r->one_clock, .one = r->one_clock};
	s64 least = 0;
	u64 from_ns = 0;
	for (u32 i = 0; i < r->sent && !clock.one; i++) {
		struct delays d = delays_of(&r->ones[i]);
		if (!d.known || d.exact != exact || (clock.known && d.rtt >= least))
			continue;
		clock.known = true;
		from_ns = r->ones[i].in_ns;
		least = d.rtt;
		clock.offset_ns = (d.forward - d.back) / 2;
		clock.error_ns = (d.rtt + 1) / 2;
	}
	if (clock.known && !clock.one)
		clock.error_ns += (s64)(farthest_ns(r, from_ns) * DRIFT_PPM / 1000000);
	return clock;
}

// --- quantiles

struct series {
	s64 *values;
	u32 count;
};

static int by_value(const void *a, const void *b)
{
	s64 x = *(const s64 *)a, y = *(const s64 *)b;
	return x < y ? -1 : x > y;
}

static json_t *series_json(struct series *s)
{
	static const struct {
		const char *key;
		double quantile;
	} quantiles[] = {{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"p999_ns", 0.999}};
	if (!s->count)
		return json_null();
	qsort(s->values, s->count, sizeof(*s->values), by_value);
	json_t *json = json_pack(
		"{s:I, s:I}", "count", (json_int_t)s->count, "min_ns", (json_int_t)s->values[0]);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(quantiles); i++) {
		u32 rank = (u32)(quantiles[i].quantile * s->count);
		rank = rank < s->count ? rank : s->count - 1;
		json_object_set_new(
			json, quantiles[i].key, json_integer((json_int_t)s->values[rank]));
	}
	json_object_set_new(json, "max_ns", json_integer((json_int_t)s->values[s->count - 1]));
	return json;
}

// What is measured of each probe. False: it was not observed.
typedef bool part_fn(const struct probe_one *one, const struct clock *clock, s64 *ns);

static bool part_rtt(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	(void)clock;
	*ns = delays_of(one).rtt;
	return true;
}

static bool part_forward(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	*ns = delays_of(one).forward - clock->offset_ns;
	return clock->known;
}

static bool part_back(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	*ns = delays_of(one).back + clock->offset_ns;
	return clock->known;
}

static bool part_here(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	(void)clock;
	*ns = (s64)(one->out_ns - one->in_ns);
	return one->out_ns;
}

static bool part_there(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	(void)clock;
	*ns = (s64)one->there_in_ns;
	return one->there_in;
}

static bool part_link(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	s64 forward;
	bool known = part_forward(one, clock, &forward) && one->there_in && one->out_ns;
	*ns = forward - (s64)(one->out_ns - one->in_ns) - (s64)one->there_in_ns;
	return known;
}

static bool part_back_there(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	(void)clock;
	*ns = (s64)one->back_out_ns;
	return one->back_out;
}

static bool part_back_here(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	(void)clock;
	*ns = (s64)(one->back_ns - one->back_in_ns);
	return one->back_in_ns;
}

static bool part_back_link(const struct probe_one *one, const struct clock *clock, s64 *ns)
{
	s64 back;
	bool known = part_back(one, clock, &back) && one->back_out && one->back_in_ns;
	*ns = back - (s64)one->back_out_ns - (s64)(one->back_ns - one->back_in_ns);
	return known;
}

static const struct {
	const char *key, *says;
	part_fn *fn;
	bool hop; // between hosts only
} parts[] = {
	{"rtt", "round trip", part_rtt, false},
	{"forward", "there", part_forward, false},
	{"forward_here", "  on this host", part_here, true},
	{"forward_link", "  between the hosts", part_link, true},
	{"forward_there", "  on the other host", part_there, true},
	{"back", "back", part_back, false},
	{"back_there", "  on the other host", part_back_there, true},
	{"back_link", "  between the hosts", part_back_link, true},
	{"back_here", "  on this host", part_back_here, true},
};

// Where any is exact, the others (the last one, as a rule) are left out.
static bool any_exact(const struct probe_result *r)
{
	for (u32 i = 0; i < r->sent; i++)
		if (r->ones[i].late && delays_of(&r->ones[i]).known)
			return true;
	return false;
}

static void put_parts(json_t *shown, const struct probe_result *r, const struct clock *clock)
{
	struct series s = {.values = calloc(r->sent + 1, sizeof(*s.values))};
	bool exact = any_exact(r);
	for (size_t p = 0; p < WEFT_ARRAY_SIZE(parts) && s.values; p++) {
		if (parts[p].hop && r->one_host)
			continue;
		s.count = 0;
		for (u32 i = 0; i < r->sent; i++) {
			struct delays d = delays_of(&r->ones[i]);
			if (d.known && d.exact == exact &&
				parts[p].fn(&r->ones[i], clock, &s.values[s.count]))
				s.count++;
		}
		json_object_set_new(shown, parts[p].key, series_json(&s));
	}
	free(s.values);
}

// --- guests

static const struct {
	const char *key, *says;
	size_t at; // in struct probe_result
} guests[] = {
	{"guest_from", "guest A", offsetof(struct probe_result, guest_from)},
	{"guest_to", "guest B", offsetof(struct probe_result, guest_to)},
};

static json_t *share_json(const struct probe_share *share)
{
	struct series s = {.values = calloc(share->count + 1, sizeof(*s.values))};
	const char *why = share->why     ? share->why
			  : share->asked ? NULL
					 : "nobody answered, or too few probes";
	json_t *json = NULL;
	for (; s.values && s.count < share->count; s.count++)
		s.values[s.count] = share->ns[s.count];
	if (s.count)
		json = series_json(&s);
	else
		json = json_pack("{s:i, s:n, s:n, s:n, s:n, s:n, s:n}", "count", 0, "min_ns",
			"p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns");
	free(s.values);
	json_object_set_new(json, "asked", json_integer(share->asked));
	json_object_set_new(json, "lost", json_integer(share->asked - share->answered));
	json_object_set_new(json, "why", why ? json_string(why) : json_null());
	return json;
}

// --- lines

json_t *probe_show_one(const struct probe_result *r, u32 sequence)
{
	struct delays d = delays_of(&r->ones[sequence]);
	bool ways = d.known && r->one_clock;
	return json_pack("{s:I, s:o, s:o, s:o}", "sequence", (json_int_t)sequence, "rtt_ns",
		d.known ? json_integer(d.rtt) : json_null(), "forward_ns",
		ways ? json_integer(d.forward) : json_null(), "back_ns",
		ways ? json_integer(d.back) : json_null());
}

// The other end counts its answers: so it is known where a probe was lost, up to its last answer.
static void put_losses(json_t *shown, const struct probe_result *r)
{
	u32 lost = r->sent - r->received, forward = 0, back = 0;
	if (r->received) {
		forward = r->last_asked > r->last_count ? r->last_asked - r->last_count : 0;
		back = r->last_count + 1 > r->received ? r->last_count + 1 - r->received : 0;
	}
	forward = forward < lost ? forward : lost;
	back = back < lost - forward ? back : lost - forward;
	json_object_set_new(shown, "lost", json_integer(lost));
	json_object_set_new(shown, "lost_forward", json_integer(forward));
	json_object_set_new(shown, "lost_back", json_integer(back));
	json_object_set_new(shown, "lost_last", json_integer(lost - forward - back));
}

json_t *probe_show(const struct probe_result *r)
{
	struct clock clock = clock_of(r, any_exact(r));
	json_t *shown = json_pack("{s:n, s:I, s:I, s:I, s:I}", "sequence", "sent",
		(json_int_t)r->sent, "received", (json_int_t)r->received, "duplicates",
		(json_int_t)r->duplicates, "reordered", (json_int_t)r->reordered);
	put_losses(shown, r);
	json_object_set_new(
		shown, "reason", r->refused ? json_string(drop_name(r->reason)) : json_null());
	json_object_set_new(shown, "clock", json_string(clock.one ? "one" : "estimated"));
	json_object_set_new(shown, "clock_offset_ns",
		clock.known ? json_integer(clock.offset_ns) : json_null());
	json_object_set_new(
		shown, "clock_error_ns", clock.known ? json_integer(clock.error_ns) : json_null());
	if (r->service)
		json_object_update(shown, r->service);
	put_parts(shown, r, &clock);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(guests); i++)
		json_object_set_new(shown, guests[i].key,
			share_json((const void *)((const u8 *)r + guests[i].at)));
	return shown;
}

static double us(const json_t *object, const char *key)
{
	return (double)json_integer_value(json_object_get(object, key)) / 1000;
}

static void print_series(FILE *out, const char *says, const json_t *part)
{
	fprintf(out, "%-22s %9.1f %9.1f %9.1f %9.1f %9.1f", says, us(part, "min_ns"),
		us(part, "p50_ns"), us(part, "p90_ns"), us(part, "p99_ns"), us(part, "max_ns"));
}

static void print_parts(FILE *out, const json_t *shown)
{
	for (size_t p = 0; p < WEFT_ARRAY_SIZE(parts); p++) {
		const json_t *part = json_object_get(shown, parts[p].key);
		if (json_is_object(part))
			print_series(out, parts[p].says, part);
		else if (part)
			fprintf(out, "%-22s not observed", parts[p].says);
		fputs(part ? "\n" : "", out);
	}
}

static void print_guests(FILE *out, const json_t *shown)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(guests); i++) {
		const json_t *guest = json_object_get(shown, guests[i].key);
		const char *why = spec_text(guest, "why", NULL);
		long long asked = spec_number(guest, "asked", 0),
			  lost = spec_number(guest, "lost", 0);
		if (why) {
			fprintf(out, "%-22s not observed: %s\n", guests[i].says, why);
			continue;
		}
		if (spec_number(guest, "count", 0))
			print_series(out, guests[i].says, guest);
		else
			fprintf(out, "%-22s %9s %9s %9s %9s %9s", guests[i].says, "-", "-", "-",
				"-", "-");
		fprintf(out, lost ? "  %lld asked, %lld lost\n" : "\n", asked, lost);
	}
}

static void print_clock(FILE *out, const json_t *shown)
{
	if (!strcmp(spec_text(shown, "clock", ""), "one"))
		fprintf(out, "; one clock");
	else if (json_is_integer(json_object_get(shown, "clock_error_ns")))
		fprintf(out,
			"; two clocks: the other is %+.1f us off, within %.1f us; so is each "
			"way's delay",
			us(shown, "clock_offset_ns"), us(shown, "clock_error_ns"));
}

static void print_service(FILE *out, const json_t *shown)
{
	const char *service = spec_text(shown, "service", NULL);
	bool connection = strcmp(spec_text(shown, "by", ""), "connection") == 0;
	if (service)
		fprintf(out, "service %s: backend %s port %lld serves, by %s\n", service,
			spec_text(shown, "backend", ""), spec_number(shown, "backend_port", 0),
			connection ? "a connection that there is" : "the hash");
}

static void print_one(FILE *out, const json_t *line)
{
	fprintf(out, "%6lld  round trip %9.1f us", spec_number(line, "sequence", 0),
		us(line, "rtt_ns"));
	if (json_is_integer(json_object_get(line, "forward_ns")))
		fprintf(out, "  there %9.1f us  back %9.1f us", us(line, "forward_ns"),
			us(line, "back_ns"));
	fprintf(out, "\n");
}

static void print_sum(FILE *out, const json_t *line)
{
	bool received = spec_number(line, "received", 0);
	print_service(out, line);
	fprintf(out, "%lld probes, %lld lost (%lld there, %lld back", spec_number(line, "sent", 0),
		spec_number(line, "lost", 0), spec_number(line, "lost_forward", 0),
		spec_number(line, "lost_back", 0));
	if (spec_number(line, "lost_last", 0))
		fprintf(out, ", %lld since the last answer", spec_number(line, "lost_last", 0));
	fprintf(out, "), %lld twice, %lld out of order", spec_number(line, "duplicates", 0),
		spec_number(line, "reordered", 0));
	print_clock(out, line);
	fprintf(out, "\n");
	if (received)
		fprintf(out, "%-22s %9s %9s %9s %9s %9s\n", "us", "min", "p50", "p90", "p99",
			"max");
	if (received)
		print_parts(out, line);
	print_guests(out, line);
}

char *probe_text(const json_t *line)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		abort();
	if (json_is_integer(json_object_get(line, "sequence")))
		print_one(out, line);
	else
		print_sum(out, line);
	fclose(out);
	return text;
}

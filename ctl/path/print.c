// SPDX-License-Identifier: BSD-2-Clause
// The measured way of requests as a table, as bars in the terminal, and as JSON.
#include "ctl/path/print.h"

#include <math.h>
#include <string.h>
#include "ctl/path/dry.h"

enum { BAR = 56 };

double path_sum(const struct path_result *path)
{
	double sum = 0;

	for (size_t i = 0; i < path->count; i++)
		sum += path->steps[i].took.p50_ns > 0 ? path->steps[i].took.p50_ns : 0;
	return sum;
}

double path_part(const struct way_step *step, double sum)
{
	return sum > 0 && step->took.p50_ns > 0 ? step->took.p50_ns / sum : 0;
}

void path_title(const struct path_result *path, char *title, size_t size)
{
	snprintf(title, size, "%s to %s: %.1f \u00b5s at the median of %zu requests", path->from,
		path->to, path->whole.p50_ns / 1000, path->requests);
}

void path_clock(const struct path_result *path, char *text, size_t size)
{
	if (path->hosts < 2)
		*text = '\0';
	else if (path->clock.one)
		snprintf(text, size, "One machine, one clock: no clock error between the hosts.");
	else
		snprintf(text, size,
			"Clocks of several machines: each way between hosts is right within "
			"%.1f \u00b5s, their sum is exact.",
			(double)path->clock.error_ns / 1000);
}

bool path_clock_error(const struct way_step *step)
{
	return step->between && step->took.p50_ns < 0;
}

static void print_us(FILE *out, double ns)
{
	if (isnan(ns))
		fprintf(out, " %11s", "-");
	else
		fprintf(out, " %11.1f", ns / 1000);
}

static void print_row(
	FILE *out, int wide, const char *where, const char *what, const struct way_times *took)
{
	fprintf(out, "%-*s %-34s", wide, where, what);
	print_us(out, took->p50_ns);
	print_us(out, took->p99_ns);
}

static void print_whole(FILE *out, int wide, const struct path_result *path)
{
	if (path->total.p50_ns > 0) {
		print_row(out, wide, path->from, "connect", &path->connect);
		fputc('\n', out);
	}
	print_row(out, wide, path->from,
		path->client ? "first byte, as the client sees it" : "from first point to last",
		&path->whole);
	fputc('\n', out);
	if (path->total.p50_ns > 0) {
		print_row(out, wide, path->from, "total", &path->total);
		fputc('\n', out);
	}
}

void path_table(FILE *out, const struct path_result *path)
{
	double sum = path_sum(path);
	int wide = 14;
	char text[200];

	dry_print(out, path->dry);
	if (json_array_size(path->dry))
		fputc('\n', out);
	for (size_t i = 0; i < path->count; i++)
		if (path_letters(path->steps[i].host) > wide)
			wide = path_letters(path->steps[i].host);
	fprintf(out, "%-*s %-34s %11s %11s  %5s\n", wide, "WHERE", "WHAT", "P50_US", "P99_US",
		"PART");
	for (size_t i = 0; i < path->count; i++) {
		const struct way_step *step = &path->steps[i];

		print_row(out, wide, step->host, step->what, &step->took);
		if (path_clock_error(step))
			fputs("  clock error\n", out);
		else
			fprintf(out, "  %4.1f%%\n", path_part(step, sum) * 100);
	}
	print_whole(out, wide, path);
	fprintf(out, "%zu requests", path->requests);
	if (path->sent)
		fprintf(out, " of %zu", path->sent);
	if (path->others)
		fprintf(out, ", and %zu that were seen at other points", path->others);
	if (path->sent && path->requests + path->others > path->sent)
		fputs("; more than were sent: somebody else asks, too", out);
	if (path->left_out)
		fprintf(out, "; %llu packets were too many and are left out",
			(unsigned long long)path->left_out);
	if (path->again)
		fprintf(out, "; %llu packets came more than once, or alike, and are left out",
			(unsigned long long)path->again);
	if (path->lost)
		fprintf(out, "; %llu postcards were lost", (unsigned long long)path->lost);
	path_clock(path, text, sizeof(text));
	fprintf(out, "%s%s\n", *text ? ". " : "", text);
}

// --- bars

int path_letters(const char *text)
{
	int letters = 0;

	for (; *text; text++)
		letters += ((unsigned char)*text & 0xc0) != 0x80;
	return letters;
}

// In eighths of a letter.
static void print_bar(FILE *out, double from, double part)
{
	static const char *const ends[] = {
		"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
	int begin = (int)(from * BAR + 0.5), eighths = (int)(part * BAR * 8 + 0.5);

	fprintf(out, "%*s", begin < BAR ? begin : BAR - 1, "");
	eighths = eighths > 0 ? eighths : 1;
	for (; eighths >= 8; eighths -= 8)
		fputs("\u2588", out);
	fprintf(out, "%s\n", ends[eighths]);
}

void path_bars(FILE *out, const struct path_result *path)
{
	double sum = path_sum(path), at = 0;
	char label[360], title[240];
	int widest = 0;

	for (size_t i = 0; i < path->count; i++) {
		int letters =
			path_letters(path->steps[i].host) + 2 + path_letters(path->steps[i].what);

		widest = letters > widest ? letters : widest;
	}
	path_title(path, title, sizeof(title));
	fprintf(out, "\n%s\n%*s 0%*.1f \u00b5s\n", title, widest + 13, "", BAR - 4, sum / 1000);
	for (size_t i = 0; i < path->count; i++) {
		const struct way_step *step = &path->steps[i];
		double part = path_part(step, sum);

		snprintf(label, sizeof(label), "%s: %s", step->host, step->what);
		fprintf(out, "%s%*s %8.1f \u00b5s ", label, widest - path_letters(label), "",
			step->took.p50_ns / 1000);
		if (path_clock_error(step))
			fputs("clock error\n", out);
		else
			print_bar(out, at, part);
		at += part;
	}
}

// --- JSON

// What was not measured is null.
static void put_ns(json_t *object, const char *prefix, const char *key, bool known, double ns)
{
	char name[40];

	snprintf(name, sizeof(name), "%s%s_ns", prefix, key);
	json_object_set_new(
		object, name, known && !isnan(ns) ? json_integer((json_int_t)ns) : json_null());
}

static void put_times(json_t *object, const char *prefix, bool known, const struct way_times *took)
{
	put_ns(object, prefix, "p50", known, took->p50_ns);
	put_ns(object, prefix, "p99", known, took->p99_ns);
	put_ns(object, prefix, "mean", known, took->mean_ns);
}

static json_t *step_json(const struct way_step *step, double sum)
{
	json_t *object = json_pack("{s:s, s:s, s:b}", "where", step->host, "what", step->what,
		"observed", step->observed);

	put_times(object, "", true, &step->took);
	json_object_set_new(object, "part",
		path_clock_error(step) ? json_null() : json_real(path_part(step, sum)));
	return object;
}

void path_json(FILE *out, const struct path_result *path)
{
	bool http = path->total.p50_ns > 0;
	double sum = path_sum(path);
	json_t *steps = json_array();
	json_t *all = json_pack("{s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:o}", "client",
		path->from, "to", path->to, "requests", (json_int_t)path->requests,
		"seen_otherwise", (json_int_t)path->others, "clock",
		path->clock.one ? "one" : "several", "clock_error_ns",
		(json_int_t)path->clock.error_ns, "cards_lost", (json_int_t)path->lost,
		"packets_left_out", (json_int_t)path->left_out, "packets_seen_again",
		(json_int_t)path->again, "sent",
		path->sent ? json_integer((json_int_t)path->sent) : json_null());

	put_times(all, "", true, &path->whole);
	put_times(all, "connect_", http, &path->connect);
	put_times(all, "total_", http, &path->total);
	for (size_t i = 0; i < path->count; i++)
		json_array_append_new(steps, step_json(&path->steps[i], sum));
	json_object_set_new(all, "steps", steps);
	json_object_set(all, "dry", path->dry);
	json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
	fputc('\n', out);
	json_decref(all);
}

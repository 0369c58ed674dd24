// SPDX-License-Identifier: BSD-2-Clause
// path_print.c - the measured way of a request: as a table with bars, or as an SVG waterfall
#include <stdlib.h>
#include <string.h>

#include "topo/lab/path.h"

enum { BAR = 24, ROW = 22, LEFT = 330, WIDE = 520, TOP = 40 };

static double sum_of(const struct walk_step *steps, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += steps[i].p50_ns > 0 ? steps[i].p50_ns : 0;
	return sum;
}

static void print_time(FILE *out, double ns)
{
	fprintf(out, " %11.1f", ns / 1000);
}

// Each bar begins where the one before it ended.
static void print_bar(FILE *out, double from, double part)
{
	int begin = (int)(from * BAR + 0.5), end = (int)((from + part) * BAR + 0.5);

	for (int i = 0; i < begin && i < BAR; i++)
		fputs(" ", out);
	for (int i = begin; i < (end > begin ? end : begin + 1) && i <= BAR; i++)
		fputs("\u2588", out);
}

void path_table(FILE *out, const struct path_result *path)
{
	double sum = sum_of(path->steps, path->count), at = 0;

	fprintf(out, "%-12s %-30s %11s %11s  %5s\n", "WHERE", "WHAT", "P50_US", "P99_US", "PART");
	for (size_t i = 0; i < path->count; i++) {
		const struct walk_step *step = &path->steps[i];
		double part = sum > 0 && step->p50_ns > 0 ? step->p50_ns / sum : 0;

		fprintf(out, "%-12s %-30s", step->host, step->what);
		print_time(out, step->p50_ns);
		print_time(out, step->p99_ns);
		fprintf(out, "  %4.1f%%  ", part * 100);
		print_bar(out, at, part);
		fputs("\n", out);
		at += part;
	}
	fprintf(out, "%-12s %-30s", path->client, "first byte, as the client sees it");
	print_time(out, path->whole_p50_ns);
	print_time(out, path->whole_p99_ns);
	fputs("\n", out);
}

void path_json(FILE *out, const struct path_result *path)
{
	json_t *steps = json_array(), *all;

	for (size_t i = 0; i < path->count; i++) {
		const struct walk_step *step = &path->steps[i];

		json_array_append_new(
			steps, json_pack("{s:s, s:s, s:I, s:I, s:b}", "where", step->host, "what",
				       step->what, "p50_ns", (json_int_t)step->p50_ns, "p99_ns",
				       (json_int_t)step->p99_ns, "observed", step->observed));
	}
	all = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "client", path->client,
		"requests", (json_int_t)path->requests, "seen_otherwise", (json_int_t)path->others,
		"p50_ns", (json_int_t)path->whole_p50_ns, "p99_ns", (json_int_t)path->whole_p99_ns,
		"connect_p50_ns", (json_int_t)path->connect_p50_ns, "total_p50_ns",
		(json_int_t)path->total_p50_ns, "steps", steps);
	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else
			fputc(*text, out);
	}
}

static const char *colour(const struct walk_step *step)
{
	if (!strcmp(step->what, "guest") || !strcmp(step->what, "service"))
		return "#c44e52";
	if (!strncmp(step->what, "queue", 5))
		return "#dd8452";
	if (!strcmp(step->what, "underlay"))
		return "#8172b3";
	return step->observed ? "#4c72b0" : "#b0b0b0";
}

void path_svg(FILE *out, const struct path_result *path)
{
	double sum = sum_of(path->steps, path->count), at = 0;
	int height = TOP + ROW * (int)path->count + 20;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" "
		"height=\"100%%\" fill=\"white\"/>\n<text x=\"10\" y=\"22\" "
		"font-size=\"14\">",
		LEFT + WIDE + 20, height);
	put_text(out, path->title);
	fputs("</text>\n", out);
	for (size_t i = 0; i < path->count; i++) {
		const struct walk_step *step = &path->steps[i];
		double part = sum > 0 && step->p50_ns > 0 ? step->p50_ns / sum : 0;
		int y = TOP + ROW * (int)i;

		fprintf(out, "<text x=\"10\" y=\"%d\">", y + 14);
		put_text(out, step->host);
		fputs(": ", out);
		put_text(out, step->what);
		fprintf(out,
			"</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.1f us</text>"
			"<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
			LEFT - 10, y + 14, step->p50_ns / 1000, LEFT + at * WIDE, y + 3,
			part * WIDE > 1 ? part * WIDE : 1, ROW - 6, colour(step));
		at += part;
	}
	fputs("</svg>\n", out);
}

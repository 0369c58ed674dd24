// SPDX-License-Identifier: BSD-2-Clause
// The measured way of requests as a waterfall: an SVG of a row per step, from the client's request
// to its answer, over an axis of time.
#include <math.h>
#include <string.h>

#include "ctl/path/print.h"

enum { ROW = 24, MARGIN = 16, WIDE = 560, TOP = 104, LETTER = 7, TICKS = 6 };
enum { P50 = 90, P99 = 170, PART = 232, BARS = 272 }; // right ends of columns, behind the labels

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

// --- what kind of place the time goes to: a colour each

static const struct kind {
	const char *name, *colour;
} kinds[] = {
	{"client", "#7f7f7f"},
	{"switch", "#4c72b0"},
	{"underlay", "#8172b3"},
	{"queue", "#dd8452"},
	{"guest", "#c44e52"},
	{"service", "#937860"},
};
enum { CLIENT, SWITCH, UNDERLAY, QUEUE, GUEST, SERVICE, KINDS };

static int kind_of(const struct way_step *step)
{
	if (!step->observed)
		return CLIENT;
	if (way_is_guest(step))
		return GUEST;
	if (!strcmp(step->what, "service"))
		return SERVICE;
	if (!strncmp(step->what, "queue", 5))
		return QUEUE;
	return !strncmp(step->what, "underlay", 8) ? UNDERLAY : SWITCH;
}

static void put_legend(FILE *out, const struct path_result *path, int y)
{
	int x = MARGIN;

	for (int kind = 0; kind < KINDS; kind++) {
		bool there = false;

		for (size_t i = 0; i < path->count; i++)
			there |= kind_of(&path->steps[i]) == kind;
		if (!there)
			continue;
		fprintf(out,
			"<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" fill=\"%s\"/>"
			"<text x=\"%d\" y=\"%d\">%s</text>\n",
			x, y, kinds[kind].colour, x + 17, y + 11, kinds[kind].name);
		x += 34 + LETTER * (int)strlen(kinds[kind].name);
	}
}

// --- the axis

// 1, 2 or 5 times a power of ten, so that some TICKS of them make the whole.
static double tick_of(double whole)
{
	double power = pow(10, floor(log10(whole / TICKS))), steps = whole / TICKS / power;

	return power * (steps <= 1 ? 1 : steps <= 2 ? 2 : steps <= 5 ? 5 : 10);
}

static void put_axis(FILE *out, double whole_ns, int left, int bottom)
{
	bool ms = whole_ns >= 10e6;
	double unit = ms ? 1e6 : 1e3, tick = tick_of(whole_ns);

	for (double at = 0; at <= whole_ns * 1.0001; at += tick) {
		double x = left + at / whole_ns * WIDE;

		fprintf(out,
			"<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#dddddd\"/>"
			"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#555555\">%g%s"
			"</text>\n",
			x, TOP - 6, x, bottom, x, TOP - 12, at / unit,
			at > 0 ? ""
			: ms   ? " ms"
			       : " \u00b5s");
	}
}

static void put_cell(FILE *out, int x, int y, const char *colour, const char *format, double value)
{
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"%s\">", x, y, colour);
	if (isnan(value))
		fputs("-", out);
	else
		fprintf(out, format, value);
	fputs("</text>", out);
}

static void put_heads(FILE *out, int x)
{
	static const struct {
		int at;
		const char *text;
	} heads[] = {{P50, "p50, \u00b5s"}, {P99, "p99, \u00b5s"}, {PART, "part"}};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		fprintf(out,
			"<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#555555\">%s</text>\n",
			x + heads[i].at, TOP - 12, heads[i].text);
}

static void put_row(FILE *out, const struct way_step *step, int y, int x, double at, double part)
{
	fprintf(out, "<text x=\"%d\" y=\"%d\">", MARGIN, y + 16);
	put_text(out, step->host);
	fputs(": ", out);
	put_text(out, step->what);
	fputs("</text>", out);
	put_cell(out, x + P50, y + 16, "black", "%.1f", step->took.p50_ns / 1000);
	put_cell(out, x + P99, y + 16, "#555555", "%.1f", step->took.p99_ns / 1000);
	if (path_clock_error(step)) {
		put_cell(out, x + PART, y + 16, "#555555", "clock error", 0);
		return;
	}
	put_cell(out, x + PART, y + 16, "#555555", "%.1f %%", part * 100);
	fprintf(out, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
		x + BARS + at * WIDE, y + 4, part * WIDE > 1 ? part * WIDE : 1, ROW - 8,
		kinds[kind_of(step)].colour);
}

static void put_client(FILE *out, const struct path_result *path)
{
	if (path->total.p50_ns > 0)
		fprintf(out,
			"<text x=\"%d\" y=\"52\" fill=\"#555555\">the client's medians: connect "
			"%.1f \u00b5s, first byte %.1f \u00b5s, total %.1f \u00b5s</text>\n",
			MARGIN, path->connect.p50_ns / 1000, path->whole.p50_ns / 1000,
			path->total.p50_ns / 1000);
}

void path_svg(FILE *out, const struct path_result *path)
{
	double sum = path_sum(path), at = 0;
	int wide = 0, x, bottom = TOP + ROW * (int)path->count;
	char text[360];

	for (size_t i = 0; i < path->count; i++) {
		int label =
			path_letters(path->steps[i].host) + 2 + path_letters(path->steps[i].what);

		wide = label > wide ? label : wide;
	}
	x = MARGIN + wide * LETTER;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%%\" "
		"height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"28\" font-size=\"16\">",
		x + BARS + WIDE + 2 * MARGIN + 10, bottom + 64, MARGIN);
	path_title(path, text, sizeof(text));
	put_text(out, text);
	fputs("</text>\n", out);
	put_client(out, path);
	put_heads(out, x);
	if (sum > 0)
		put_axis(out, sum, x + BARS, bottom);
	for (size_t i = 0; i < path->count; i++) {
		double part = path_part(&path->steps[i], sum);

		put_row(out, &path->steps[i], TOP + ROW * (int)i, x, at, part);
		at += part;
	}
	put_legend(out, path, bottom + 12);
	path_clock(path, text, sizeof(text));
	fprintf(out, "<text x=\"%d\" y=\"%d\" fill=\"#555555\">", MARGIN, bottom + 50);
	put_text(out, text);
	fputs("</text>\n</svg>\n", out);
}

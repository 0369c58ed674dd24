// SPDX-License-Identifier: BSD-2-Clause
// svg.c - the topology as SVG: guests in the lowest row, above them what switches, then routers
#include <stdlib.h>
#include <string.h>

#include "topo/lab/graph.h"
#include "topo/lab/kind.h"

enum { CHAR = 7, LINE = 15, PAD = 10, GAP_X = 60, GAP_Y = 90, ROWS = 32, ARC = 45 };

struct box {
	const struct node *node;
	json_t *lines;
	unsigned row; // from the bottom
	double x, y, width, height, wish;
};

struct picture {
	struct box *boxes;
	size_t box_count;
	struct edge *edges;
	size_t edge_count;
	double width, height;
};

static struct box *box_of(const struct picture *picture, const struct node *node)
{
	size_t i;

	for (i = 0; picture->boxes[i].node != node; i++)
		;
	return &picture->boxes[i];
}

static bool is_underlay(const struct node *node)
{
	return node->kind == &kind_router || (node->kind == &kind_bridge && !node->vxlans);
}

// The underlay lies one row above its lowest neighbour that is no guest: leaves, then spines.
static void find_rows(struct picture *picture)
{
	for (unsigned row = 1; row < ROWS - 1; row++) {
		for (size_t i = 0; i < picture->edge_count; i++) {
			struct box *a = box_of(picture, picture->edges[i].from);
			struct box *b = box_of(picture, picture->edges[i].to);

			if (a->row == row && b->row > row + 1)
				b->row = row + 1;
			if (b->row == row && a->row > row + 1)
				a->row = row + 1;
		}
	}
	for (size_t i = 0; i < picture->box_count; i++)
		if (picture->boxes[i].row == ROWS)
			picture->boxes[i].row = 2; // it has none
}

static void measure(struct picture *picture, const struct lab *lab)
{
	for_each_node (node, lab) {
		struct box *box = &picture->boxes[picture->box_count++];
		size_t i, longest = 0;
		json_t *line;

		box->node = node;
		box->lines = graph_lines(lab, node);
		box->row = is_underlay(node) ? ROWS : node->kind->rank;
		json_array_foreach (box->lines, i, line)
			if (json_string_length(line) > longest)
				longest = json_string_length(line);
		box->width = (double)longest * CHAR + 2 * PAD;
		box->height = (double)json_array_size(box->lines) * LINE + 2 * PAD;
	}
}

static int by_wish(const void *a, const void *b)
{
	const struct box *const *one = a, *const *other = b;

	return ((*one)->wish > (*other)->wish) - ((*one)->wish < (*other)->wish);
}

// The mean place of neighbours in rows above, which stand already; without any, the file's order.
static void find_wishes(struct picture *picture, struct box **row, size_t count)
{
	for (size_t n = 0; n < count; n++) {
		double sum = 0;
		unsigned found = 0;

		for (size_t i = 0; i < picture->edge_count; i++) {
			const struct edge *edge = &picture->edges[i];
			const struct box *other;

			if (edge->from != row[n]->node && edge->to != row[n]->node)
				continue;
			other = box_of(picture, edge->from == row[n]->node ? edge->to : edge->from);
			if (other->row <= row[n]->row)
				continue;
			sum += other->x + other->width / 2;
			found++;
		}
		row[n]->wish = found ? sum / found : (double)n;
	}
	qsort(row, count, sizeof(*row), by_wish);
}

static double row_width(struct box **row, size_t count)
{
	double width = GAP_X;

	for (size_t n = 0; n < count; n++)
		width += row[n]->width + GAP_X;
	return width;
}

static size_t take_row(const struct picture *picture, unsigned number, struct box **row)
{
	size_t count = 0;

	for (size_t i = 0; i < picture->box_count; i++)
		if (picture->boxes[i].row == number)
			row[count++] = &picture->boxes[i];
	return count;
}

static void place(struct picture *picture)
{
	struct box **row = calloc(picture->box_count + 1, sizeof(*row));
	double y = ARC + 10;

	for (unsigned number = 0; number < ROWS; number++) {
		double width = row_width(row, take_row(picture, number, row));

		if (width > picture->width)
			picture->width = width;
	}
	for (unsigned number = ROWS; number--;) {
		size_t count = take_row(picture, number, row);
		double free_width = picture->width - row_width(row, count), height = 0, x;

		find_wishes(picture, row, count);
		x = GAP_X + free_width / (double)(count + 1);
		for (size_t n = 0; n < count; n++) {
			row[n]->x = x;
			row[n]->y = y;
			x += row[n]->width + GAP_X + free_width / (double)(count + 1);
			if (row[n]->height > height)
				height = row[n]->height;
		}
		y += count ? height + GAP_Y : 0;
	}
	picture->height = y - GAP_Y / 2.;
	free(row);
}

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

static void put_label(FILE *out, double x, double y, const char *text)
{
	fprintf(out, "<text class=\"label\" x=\"%.0f\" y=\"%.0f\">", x, y);
	put_escaped(out, text);
	fputs("</text>\n", out);
}

// Between boxes of one row: an arc above them.
static void draw_arc(FILE *out, const struct edge *edge, const struct box *a, const struct box *b)
{
	double x1 = a->x + a->width / 2, x2 = b->x + b->width / 2, y = a->y < b->y ? a->y : b->y;

	fprintf(out, "<path d=\"M%.0f %.0f C%.0f %.0f %.0f %.0f %.0f %.0f\"%s/>\n", x1, a->y, x1,
		y - ARC, x2, y - ARC, x2, b->y, edge->impaired ? " class=\"impaired\"" : "");
	put_label(out, x1, a->y - 8, edge->from_label);
	put_label(out, x2, b->y - 8, edge->to_label);
	put_label(out, (x1 + x2) / 2, y - ARC * .75 - 4, edge->label);
}

// From the lower edge of the upper box to the upper edge of the lower one.
static void draw_edge(FILE *out, const struct picture *picture, const struct edge *edge)
{
	const struct box *a = box_of(picture, edge->from), *b = box_of(picture, edge->to);
	const char *a_label = edge->from_label, *b_label = edge->to_label;
	double x1, y1, x2, y2;

	if (a->row == b->row) {
		draw_arc(out, edge, a, b);
		return;
	}
	if (a->y > b->y) {
		const struct box *swap = a;

		a = b, b = swap;
		a_label = edge->to_label, b_label = edge->from_label;
	}
	x1 = a->x + a->width / 2, x2 = b->x + b->width / 2;
	y1 = a->y + a->height, y2 = b->y;
	fprintf(out, "<line x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\"%s/>\n", x1, y1, x2, y2,
		edge->impaired ? " class=\"impaired\"" : "");
	put_label(out, x1 + (x2 - x1) * .15, y1 + (y2 - y1) * .15 + 4, a_label);
	put_label(out, x1 + (x2 - x1) * .85, y1 + (y2 - y1) * .85 + 4, b_label);
	put_label(out, (x1 + x2) / 2, (y1 + y2) / 2 + 4, edge->label);
}

static void draw_box(FILE *out, const struct box *box)
{
	json_t *line;
	size_t i;

	fprintf(out,
		"<rect class=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" "
		"rx=\"5\"/>\n",
		box->node->kind->name, box->x, box->y, box->width, box->height);
	json_array_foreach (box->lines, i, line) {
		fprintf(out, "<text%s x=\"%.0f\" y=\"%.0f\">", i ? "" : " class=\"title\"",
			box->x + PAD, box->y + PAD + LINE * ((double)i + .75));
		put_escaped(out, json_string_value(line));
		fputs("</text>\n", out);
	}
}

static const char style[] =
	"<style>\n"
	"text { font: 11px monospace; white-space: pre }\n"
	".title { font-weight: bold }\n"
	".label { font-size: 10px; text-anchor: middle; fill: #555; stroke: #fff; "
	"stroke-width: 3; paint-order: stroke }\n"
	"line, path { stroke: #888; stroke-width: 1.5; fill: none }\n"
	".impaired { stroke: #c60; stroke-dasharray: 6 3 }\n"
	"rect { fill: #f4f4f4; stroke: #666 }\n"
	".host { fill: #dcebfa } .vm { fill: #e3f3dc } .client { fill: #f2f2dc }\n"
	".router { fill: #f6e3d6 } .bridge, .ovs { fill: #eadff2 }\n"
	"</style>\n";

void graph_svg(const struct lab *lab, FILE *out)
{
	struct picture picture = {0};
	size_t count = 0;

	for_each_node (node, lab)
		count++;
	picture.boxes = calloc(count, sizeof(*picture.boxes));
	picture.edge_count = graph_edges(lab, &picture.edges);
	measure(&picture, lab);
	find_rows(&picture);
	place(&picture);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
		"width=\"%.0f\" height=\"%.0f\">\n%s<title>lab %s</title>\n"
		"<rect width=\"100%%\" height=\"100%%\" style=\"fill: #fff; stroke: none\"/>\n",
		picture.width, picture.height, picture.width, picture.height, style, lab->name);
	for (size_t i = 0; i < picture.edge_count; i++)
		draw_edge(out, &picture, &picture.edges[i]);
	for (size_t i = 0; i < picture.box_count; i++) {
		draw_box(out, &picture.boxes[i]);
		json_decref(picture.boxes[i].lines);
	}
	fputs("</svg>\n", out);
	free(picture.edges);
	free(picture.boxes);
}

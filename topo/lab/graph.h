// SPDX-License-Identifier: BSD-2-Clause
// graph.h - a lab as what pictures show: boxes with lines of text, and lines between them
#pragma once

#include "topo/lab/lab.h"

struct edge {
	const struct node *from, *to;
	char from_label[40], to_label[40]; // devices, ports
	char label[512];                   // impairments, MTU
	bool impaired;
};

// What a node is and holds, a string per line; the first is its title. The caller's.
json_t *graph_lines(const struct lab *lab, const struct node *node);
// Links, and guests at their hosts' ports. *edges is the caller's to free. Returns how many.
size_t graph_edges(const struct lab *lab, struct edge **edges);

void graph_text(const struct lab *lab, FILE *out);
void graph_dot(const struct lab *lab, FILE *out);
void graph_svg(const struct lab *lab, FILE *out); // svg.c

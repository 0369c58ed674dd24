// SPDX-License-Identifier: BSD-2-Clause
// The measured way of requests, for people, for programs and as a picture.
#pragma once

#include <stdio.h>

#include "ctl/path/result.h"

double path_sum(const struct path_result *path); // of what the bars show
double path_part(const struct way_step *step, double sum);
bool path_clock_error(const struct way_step *step); // a delay below zero: it stays so
int path_letters(const char *text);                 // of UTF-8
void path_title(const struct path_result *path, char *title, size_t size);
// Of the clocks, one sentence.
void path_clock(const struct path_result *path, char *text, size_t size);

void path_table(FILE *out, const struct path_result *path);
void path_bars(FILE *out, const struct path_result *path);
void path_json(FILE *out, const struct path_result *path);
void path_svg(FILE *out, const struct path_result *path);

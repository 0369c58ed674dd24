// SPDX-License-Identifier: BSD-2-Clause
// up.h - builds a lab, takes it down
#pragma once

#include "topo/lab/lab.h"

// Builds a loaded lab. What fails, or is interrupted, is taken down again before this returns.
int lab_up(struct lab *lab);
// Removes every trace of the lab of that name, whatever is left of it.
int lab_down(struct lab *lab, const char *name);
// lab_load of what lab_up saved. -ENOENT: no such lab.
int lab_reload(struct lab *lab, const char *name);

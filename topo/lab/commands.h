// SPDX-License-Identifier: BSD-2-Clause
// commands.h - weftlab's commands; each gives the program's exit status
#pragma once

#include "topo/lab/lab.h"

// As weftctl's: 0 done, 1 refused, 2 wrong words.
enum { DONE, REFUSED, WRONG_WORDS };

// Says why on standard error. Returns REFUSED.
int refuse(const struct lab *lab);

int command_status(int argc, char **argv);
int command_list(int argc, char **argv);
int command_exec(int argc, char **argv);
int command_graph(int argc, char **argv);

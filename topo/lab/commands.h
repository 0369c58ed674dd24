// SPDX-License-Identifier: BSD-2-Clause
// commands.h - weftlab's commands; each gives the program's exit status
#pragma once

#include "topo/lab/lab.h"

// The engine of all hosts of a lab that is built.
#define ENGINE_VARIABLE "WEFTLAB_ENGINE"

// As weftctl's: 0 done, 1 refused, 2 wrong words.
enum { DONE, REFUSED, WRONG_WORDS };

// Says why on standard error. Returns REFUSED.
int refuse(const struct lab *lab);

// [LAB:]NODE among the labs that run; changes the word. 0: the lab is loaded.
int running_node(struct lab *lab, char *word, struct node **node);

int command_restart(int argc, char **argv);
int command_status(int argc, char **argv);
int command_list(int argc, char **argv);
int command_exec(int argc, char **argv);
int command_graph(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_path(int argc, char **argv);

// weftctl's words to reach all hosts; a command's may follow. Sockets are malloc'ed.
enum { HOSTS_WORDS = 256 };
size_t hosts_argv(const struct lab *lab, bool json, const char **argv, size_t room);

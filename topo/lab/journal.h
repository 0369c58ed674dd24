// SPDX-License-Identifier: BSD-2-Clause
// journal.h - what a lab made, written down before it is made
#pragma once

#include "topo/lab/lab.h"

/*
 * LAB_ROOT/NAME/.journal has one JSON object per line: {"what": ..., "name": ...}. `what` is a word
 * of the list in journal.c, which says how it is undone. A line may stand for a thing that was
 * never made.
 */

// Makes LAB_ROOT/NAME and takes its lock. -EEXIST: the lab runs, or something of it is left.
int journal_new(struct lab *lab);
// Takes the lock of a lab that is there. -ENOENT: none; -EBUSY: somebody builds it or takes it
// down.
int journal_open(struct lab *lab);
// Durable against the death of this process when it returns 0.
int journal_add(struct lab *lab, const char *what, const char *name);
// Undoes all, last first, and removes the directory. Goes on after a failure and returns the first.
int journal_undo(struct lab *lab);
void journal_close(struct lab *lab);
// Is the lab complete? Says so: journal_add(lab, "up", "").
bool journal_is_up(const struct lab *lab);
// Does another process hold the lock now?
bool journal_is_busy(const struct lab *lab);

// Names of all labs that left a directory: an array of strings, the caller's.
json_t *journal_labs(void);

// SPDX-License-Identifier: BSD-2-Clause
// A refused request: a code for machines, a sentence for people, a hint with the next step.
#pragma once

struct failure {
	int code;           // -errno; 0: none
	int exit_status;    // enum weft_exit in weft/control.h
	char code_name[32]; // stable word for scripts: "exists", "not_found", "in_use",
			    // "bad_value", ...
	char message[512];  // one sentence, names the object
	char hint[512];     // what to do next; may be empty
};

// Fills *f (f may be NULL) and returns code, so that `return fail(...)` reads well. Of -EMFILE the
// sentence also says how many descriptors weftd may have, and what to do: no hint is better.
// The exit status is 1 (refused); fail_words is for wrong words (2).
int fail(struct failure *f, int code, const char *code_name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int fail_words(struct failure *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
// What an engine says of an error, where it says something (else why is NULL) that fits.
const char *fail_reason(int error, const char *why);
// Adds the next step to a failure that is already there; returns its code.
int fail_hint(struct failure *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

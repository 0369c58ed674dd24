// SPDX-License-Identifier: BSD-2-Clause
// internal.h - what the files of the guest module share
#pragma once

/* Included first: pidfd, setns and pipe2 are Linux only. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdint.h>

#include "topo/guest/guest.h"

/* Monotonic clock and deadlines on it. */
int64_t guest_now_ns(void);
int64_t guest_deadline_ns(unsigned int timeout_ms);
void guest_pause_ms(unsigned int ms);

/* Write the sentence and return -err. */
int guest_fail(struct guest *guest, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ROOT/NAME/FILE; `path` has room for GUEST_DIR_LEN + 16. */
#define GUEST_PATH_LEN (GUEST_DIR_LEN + 16)
void guest_path(const struct guest *guest, const char *file, char path[GUEST_PATH_LEN]);

/* -ESRCH with the end of QEMU's log, or of the console's, as the reason. */
int guest_died(struct guest *guest);

/* A growing list of words, ends with NULL. Adding to it after memory ran out does nothing; see
 * `failed`. */
struct words {
	char **list;
	size_t count;
	bool failed;
};
void words_add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
void words_free(struct words *words);

/* The QEMU command line. */
int guest_words(
	struct guest *guest, const struct guest_spec *spec, const char *accel, struct words *words);
const char *guest_qemu(void);

/* "kvm" or "tcg"; tries once per machine whether a guest boots under KVM. */
int guest_accel(struct guest *guest, const char *image, const char **accel);

/* End QEMU if it runs. */
int guest_end(struct guest *guest);

/* Run QEMU detached from the caller; writes the pid file. */
int guest_spawn(struct guest *guest, const struct guest_spec *spec, char **argv);

/* A unix stream socket that carries lines; every call takes a deadline and never blocks past it. */
struct chan {
	int fd;
	char *buf;
	size_t size;
	size_t len;  /* bytes in buf */
	size_t used; /* bytes of the line handed out last */
};
int chan_open(struct chan *chan, const char *path, int64_t deadline_ns);
int chan_send(struct chan *chan, const char *data, size_t len, int64_t deadline_ns);
/* The next line without its newline, good until the next call. -ETIMEDOUT, -EPIPE (the other end is
 * gone). */
int chan_line(struct chan *chan, char **line, int64_t deadline_ns);
void chan_close(struct chan *chan);

int guest_qmp_timed(struct guest *guest, json_t *command, unsigned int timeout_ms, json_t **reply);
/* Whether QEMU answers on its control socket. */
int guest_qmp_greeting(struct guest *guest, int64_t deadline_ns);

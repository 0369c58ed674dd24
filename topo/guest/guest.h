// SPDX-License-Identifier: BSD-2-Clause
// guest.h - real QEMU guests: start one, wait until it answers, run commands in it, stop it
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

#define GUEST_RUN_ROOT "/run/weft-guest"
#define GUEST_NAME_LEN 64
#define GUEST_WHY_LEN  512
/* A unix socket's path must fit 108 bytes, file name included. */
#define GUEST_DIR_LEN 96

/*
 * A guest is known by its name in a run root; all that belongs to it is in the directory ROOT/NAME:
 * pid, command (the QEMU words), console.log, qemu.log, qmp.sock, agent.sock. Any process may work
 * with a guest that another one started. Functions return 0 or -errno; then `why` holds a sentence.
 */
struct guest {
	char name[GUEST_NAME_LEN];
	char root[GUEST_DIR_LEN];
	char dir[GUEST_DIR_LEN];
	char why[GUEST_WHY_LEN];
};

/* Strings may be NULL (not wanted) except image. Lists are comma separated. */
struct guest_spec {
	const char *image;      /* directory with vmlinuz and initrd, see build.sh */
	unsigned int memory_mb; /* 0: 128 */
	const char *nic;        /* virtio (NULL), e1000, e1000e, vmxnet3, rtl8139, pcnet */
	const char *tap;        /* an existing tap device; NULL: no NIC */
	const char *mac;        /* NULL: made from the name */
	const char *qemu_net;   /* QEMU words instead of all NIC words, split at white space */
	const char *netns;      /* name in /run/netns or a path; NULL: the caller's namespace */
	const char *addresses;  /* 10.1.0.11/24,fd00::11/64 */
	const char *gateways;
	const char *modules; /* kernel modules to load at boot */
	const char *append;  /* further kernel words */
	unsigned int mtu;    /* 0: the NIC's own */
	bool nginx;
	bool keep_fds;      /* QEMU inherits the caller's descriptors (for fd=N words) */
	char *const *extra; /* further QEMU words, ends with NULL */
};

struct guest_output {
	int status; /* exit status; 137: killed, most likely because its time was up */
	char *out;  /* ends with a NUL that does not count */
	size_t out_len;
	char *err;
	size_t err_len;
};

/* Fill in `guest`; does no I/O. -EINVAL: bad name; -ENAMETOOLONG: sockets would not fit. */
int guest_open(struct guest *guest, const char *root, const char *name);

/*
 * Start QEMU; it outlives the caller. Returns when QEMU answers on its control socket, so that a
 * NIC it could not attach is an error here; also 0 after 5 s when QEMU itself waits for a device
 * (vhost-user without a switch). The files of a dead guest of that name are replaced; -EEXIST: it
 * runs. The first start on a machine may take 5 s longer: it tries whether a guest boots under KVM.
 */
int guest_start(struct guest *guest, const struct guest_spec *spec);

/* Until the guest's agent answers: the guest is up, its addresses are set, nginx listens. -ESRCH:
 * it died. */
int guest_wait(struct guest *guest, unsigned int timeout_ms);

/*
 * Run a shell command in the guest and wait for it; one at a time per guest, others queue. The
 * command's failure is not an error here. Free the output with guest_output_free().
 */
int guest_exec(struct guest *guest, const char *command, unsigned int timeout_s,
	struct guest_output *output);
void guest_output_free(struct guest_output *output);

/* One QMP command object; *reply is the answer, the caller's to decref, also with -EREMOTEIO
 * (refused). */
int guest_qmp(struct guest *guest, json_t *command, json_t **reply);

/* End QEMU (asked, then killed) and remove the guest's directory. -ENOENT: no such guest. */
int guest_stop(struct guest *guest);

/* The running QEMU's process id, 0 when it does not run. */
pid_t guest_pid(const struct guest *guest);

/* Names of all guests in a run root, running or dead; ends with NULL, free each and the array. */
int guest_list(const char *root, char ***names);

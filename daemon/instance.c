// SPDX-License-Identifier: BSD-2-Clause
// Start and stop of one weftd, in order.

#include "daemon/instance.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <weft/log.h>
#include "daemon/api.h"
#include "daemon/cards.h"
#include "daemon/carrier.h"
#include "daemon/check.h"
#include "daemon/connection.h"
#include "daemon/latency.h"
#include "daemon/latency_rest.h"
#include "daemon/link.h"
#include "daemon/memory.h"
#include "daemon/network.h"
#include "daemon/port.h"
#include "daemon/probe.h"
#include "daemon/question.h"
#include "daemon/service.h"
#include "daemon/store.h"
#include "daemon/sweep.h"
#include "daemon/underlay.h"

LOG_MODULE(weftd);

int instance_engine(struct weftd *weftd, struct failure *failure)
{
	const char *why = NULL;

	weftd->engine_ops = engine_find(weftd->settings.engine, &why);
	if (weftd->engine_ops)
		return 0;
	if (why)
		fail(failure, -ENOENT, "no_engine", "the engine %s cannot be loaded: %s",
			weftd->settings.engine, why);
	else
		fail(failure, -ENOENT, "no_engine", "there is no engine '%s'",
			weftd->settings.engine);
	return fail_hint(failure,
		"--engine ebpf and dpdk forward packets; --engine sim is for trying commands");
}

static int take_locks(struct weftd *weftd, struct failure *failure)
{
	weftd->run_lock = lock_take(weftd->settings.run_dir, 0755, "run", failure);
	if (weftd->run_lock < 0)
		return weftd->run_lock;
	weftd->state_lock = lock_take(weftd->settings.state_dir, 0700, "state", failure);
	return weftd->state_lock < 0 ? weftd->state_lock : 0;
}

static int open_store(struct weftd *weftd, struct failure *failure)
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/weft.db", weftd->settings.state_dir);
	err = store_open(&weftd->store, path, failure);
	if (!err)
		snprintf(weftd->uuid, sizeof(weftd->uuid), "%s", store_uuid(weftd->store));
	return err;
}

u32 engine_capacity(const struct weftd *weftd, enum weft_table table)
{
	struct engine_table_status status;
	weftd->engine_ops->table_status(weftd->engine, table, &status);
	return status.capacity;
}

static int start_engine(struct weftd *weftd, struct failure *failure)
{
	struct engine_config config;
	char pin_dir[PATH_MAX], keep_dir[PATH_MAX];
	const char *why = NULL;
	int err;

	memory_config(weftd, &config, pin_dir, keep_dir);
	err = memory_check(weftd, &config, failure);
	if (err)
		return err;
	err = weftd->engine_ops->start(&weftd->engine, &config, &why);
	if (!err && weftd->engine_ops != &engine_ebpf)
		engine_ebpf_leave(pin_dir);
	if (!err)
		return 0;
	weftd->engine = NULL;
	return fail(failure, err, "engine_failed", "the %s engine does not start: %s",
		weftd->engine_ops->name, fail_reason(err, why));
}

static int load(struct weftd *weftd, struct failure *failure)
{
	int err = objects_load(weftd, failure);

	if (err)
		return err;
	objects_apply_all(weftd);
	port_twins_sweep(weftd);
	balancer_settle(weftd);
	underlay_update(weftd);
	latency_follow(weftd);
	err = weftd->engine_ops->commit(weftd->engine);
	if (err)
		return fail(failure, err, "engine_failed", "the %s engine cannot take over: %s",
			weftd->engine_ops->name, strerror(-err));
	return 0;
}

int instance_open(struct weftd *weftd, struct failure *failure)
{
	struct timespec now;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &now);
	weftd->started_ns = (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec;
	weftd->run_lock = weftd->state_lock = -1;
	err = instance_engine(weftd, failure);
	if (!err)
		err = take_locks(weftd, failure);
	if (!err) // before anything is made; who connects now is answered when all is up
		err = api_open(weftd, failure);
	if (!err)
		err = open_store(weftd, failure);
	if (!err)
		err = links_open(weftd, failure);
	if (!err)
		err = underlay_open(weftd, failure);
	if (!err)
		err = checks_open(weftd);
	if (err)
		instance_stop(weftd);
	return err;
}

int instance_start(struct weftd *weftd, struct failure *failure)
{
	int err = start_engine(weftd, failure);

	if (!err)
		err = port_events_open(weftd, failure);
	if (!err)
		err = carrier_open(weftd, failure);
	if (!err)
		err = balancer_open(weftd);
	if (!err)
		err = question_open(weftd);
	if (!err)
		checks_start(weftd);
	if (!err)
		err = load(weftd, failure);
	if (!err && probe_open(weftd) < 0)
		log_warn("probes are neither sent nor answered");
	if (!err)
		err = connections_open(weftd, failure);
	if (!err)
		err = sweep_open(weftd, failure);
	if (err) {
		instance_stop(weftd);
		return err;
	}
	log_info("started name=%s engine=%s uuid=%s", weftd->settings.name, weftd->engine_ops->name,
		weftd->uuid);
	return 0;
}

void instance_stop(struct weftd *weftd)
{
	api_close(weftd);
	sweep_close(weftd);
	connections_close(weftd);
	checks_close(weftd);
	balancer_close(weftd);
	underlay_close(weftd);
	carrier_close(weftd);
	port_events_close(weftd);
	probe_close(weftd);
	cards_close(weftd);
	latency_rest_close(weftd);
	if (weftd->engine && weftd->purging)
		weftd->engine_ops->purge(weftd->engine);
	else if (weftd->engine)
		weftd->engine_ops->stop(weftd->engine);
	weftd->engine = NULL;
	if (weftd->links)
		links_close(weftd);
	weftd->links = NULL;
	objects_free(weftd);
	network_forget_common(weftd);
	if (weftd->purging)
		store_purge(weftd->store);
	store_close(weftd->store);
	weftd->store = NULL;
	// The lock files stay: to delete them would let two hold "the" lock.
	if (weftd->state_lock >= 0)
		close(weftd->state_lock);
	if (weftd->run_lock >= 0)
		close(weftd->run_lock);
	weftd->state_lock = weftd->run_lock = -1;
}

// SPDX-License-Identifier: BSD-2-Clause
// Health checks: when backends are checked, and what follows from it.
#include "daemon/check.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/fdb.h"
#include "daemon/place.h"
#include "daemon/service.h"

LOG_MODULE(check);

// Until a check that found no descriptor tries again (twice that at most), and one that found no
// row.
enum { AGAIN_MS = 50, RETRY_MS = 2000 };

struct check {
	struct checks *all;
	u32 backend;     // the object's id
	json_t *service; // its words; a reference
	struct check_row row;
	struct health health;
	u64 since_ns;
	char why[CHECK_WHY_BYTES];     // how the last check ended
	char trouble[CHECK_WHY_BYTES]; // why there is none; empty: there is
	bool asking;                   // an exchange is under way
	bool ran;                      // one was, with the row that it has
	struct event *timer;
};

struct checks {
	struct weftd *weftd;
	struct exchanges *exchanges; // NULL: nothing can be checked,
	const char *why;             // and why
	struct check_way *way;
	struct check **by_row; // by the id of the row that it has in the backend table
	u32 rows, service;     // of that table; the id that checks have in place of a service's
	u32 count, lowest;     // the lowest row that one has
};

// --- rows

static struct check *at_row(const struct checks *all, u32 row)
{
	return all && all->by_row && row < all->rows ? all->by_row[row] : NULL;
}

// From the end of the table: objects take theirs from its begin.
static bool take_row(struct check *check)
{
	struct checks *all = check->all;
	for (u32 row = all->rows - 1; row > 0; row--) {
		if (all->by_row[row] || object_by_id(all->weftd, &noun_backend, row) ||
			balancer_is_gone(all->weftd, row))
			continue;
		all->by_row[row] = check;
		check->row.backend = row;
		all->count++;
		if (row < all->lowest)
			all->lowest = row;
		return true;
	}
	return false;
}

static void give_row_back(struct check *check)
{
	struct checks *all = check->all;
	u32 row = check->row.backend;
	if (!row)
		return;
	check_row_clear(all->way, &check->row);
	check->ran = false;
	all->by_row[row] = NULL;
	all->count--;
	while (all->lowest < all->rows && !all->by_row[all->lowest])
		all->lowest++;
	if (!all->count)
		check_way_close(all->way);
}

u32 checks_count(const struct weftd *weftd)
{
	return weftd->checks ? weftd->checks->count : 0;
}

u32 checks_ring_rows(const struct weftd *weftd)
{
	const struct checks *all = weftd->checks;
	return all && all->count ? all->rows - all->lowest : 0;
}

bool check_is_service(const struct weftd *weftd, u32 service)
{
	return weftd->checks && service && service == weftd->checks->service;
}

bool check_is_live(const struct weftd *weftd, u32 backend)
{
	const struct check *check = at_row(weftd->checks, backend);
	return check && check->ran; // else what is there is an earlier one's
}

bool check_is_link(const struct weftd *weftd, const struct link *link)
{
	const struct checks *all = weftd->checks;
	return link && all && all->way && link == check_way_link(all->way);
}

// --- time

static void schedule(struct check *check, u64 ms)
{
	struct timeval pause = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
	event_add(check->timer, &pause);
}

static void stop(struct check *check)
{
	if (check->all->exchanges)
		exchange_cancel(check->all->exchanges, check);
	check->asking = false;
	event_del(check->timer);
}

static u32 chance(void)
{
	u32 number;
	evutil_secure_rng_get_bytes(&number, sizeof(number));
	return number;
}

static void ended(struct check *check, bool success, const char *why)
{
	struct weftd *weftd = check->all->weftd;
	struct object *object = object_by_id(weftd, &noun_backend, check->backend);
	struct object *service = object ? backend_service(weftd, object->spec) : NULL;
	bool was_known = check->health.known;
	check->asking = false;
	bool changed = health_count(
		&check->health, success, check_rise(check->service), check_fall(check->service));
	snprintf(check->why, sizeof(check->why), "%s", why);
	schedule(check, check_pause_ms(check_interval_ms(check->service), chance()));
	if (changed || was_known != check->health.known)
		check->since_ns = clock_ns();
	if (!changed || !service || !service->live)
		return;
	log_info("%s: %s service=%s backend=%s port=%lld",
		check->health.dead ? "unhealthy" : "healthy", why, service->name,
		spec_text(object->spec, "address", ""), spec_number(object->spec, "port", 0));
	balancer_changed(weftd, service);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct check *check = context;
	struct checks *all = check->all;
	struct object *object = object_by_id(all->weftd, &noun_backend, check->backend);
	(void)fd, (void)what;
	if (check->trouble[0]) {
		if (object)
			check_follow(all->weftd, object);
		return;
	}
	if (!weft_mac_known(&check->row.row.mac)) { // it cannot be asked yet
		schedule(check, check_pause_ms(check_interval_ms(check->service), chance()));
		return;
	}
	check->ran = true;
	check->asking = exchange_begin(all->exchanges, check, check->service, &check->row) == 0;
	if (!check->asking)
		schedule(check, AGAIN_MS + chance() % AGAIN_MS);
}

// --- backends come, change, go

static struct check *check_new(struct checks *all, u32 backend)
{
	struct check *check = calloc(1, sizeof(*check));
	if (!check)
		abort();
	check->all = all;
	check->backend = backend;
	check->since_ns = clock_ns();
	check->timer = evtimer_new(all->weftd->base, on_timer, check);
	if (!check->timer)
		abort();
	return check;
}

void check_forget(struct backend *backend)
{
	struct check *check = backend->check;
	if (!check)
		return;
	backend->check = NULL;
	stop(check);
	give_row_back(check);
	event_free(check->timer);
	json_decref(check->service);
	free(check);
}

static int set_rows(struct check *check, const struct backend *backend, const json_t *spec,
	struct failure *failure)
{
	struct checks *all = check->all;
	if (!all->way)
		return fail(failure, -EPERM, "not_checked", "%s", all->why);
	if (!all->weftd->engine_ops->send)
		return fail(failure, -ENOTSUP, "not_checked", "the %s engine carries no packets",
			all->weftd->engine_ops->name);
	if (object_by_id(all->weftd, &noun_service, all->service) ||
		place_at(all->weftd, check_way_port(all->way)))
		return fail(failure, -ENOSPC, "table_full",
			"the tables of ports or services have no row left for checks");
	if (!check->row.backend && !take_row(check))
		return fail(failure, -ENOSPC, "table_full",
			"the backend table has no row left for its check");
	int error = check_way_open(all->way, failure);
	if (error)
		return error;
	return check_row_set(all->way, &check->row, check->service, backend,
		check_port_of(check->service, spec), failure);
}

static void take_words(struct check *check, json_t *words)
{
	if (check->service == words)
		return;
	if (check->service && !json_equal(check->service, words))
		stop(check);
	json_incref(words);
	json_decref(check->service);
	check->service = words;
}

// Nobody knows of it what is not known: it counts as well.
static void give_up(
	struct check *check, struct object *service, const struct object *object, const char *why)
{
	char trouble[CHECK_WHY_BYTES];
	snprintf(trouble, sizeof(trouble), "%.150s", why);
	if (strcmp(trouble, check->trouble) != 0)
		log_warn("not checked: %s service=%s backend=%s", trouble, service->name,
			spec_text(object->spec, "address", ""));
	memcpy(check->trouble, trouble, sizeof(trouble));
	stop(check);
	if (check->health.dead)
		balancer_changed(check->all->weftd, service);
	check->health = (struct health){0};
}

void check_follow(struct weftd *weftd, struct object *object)
{
	struct backend *backend = object->live;
	struct checks *all = weftd->checks;
	struct object *service = backend_service(weftd, object->spec);
	struct failure failure = {0};
	if (!all || !service)
		return;
	if (!check_wanted(service->spec)) {
		check_forget(backend);
		return;
	}
	if (!backend->check)
		backend->check = check_new(all, object->id);
	struct check *check = backend->check;
	take_words(check, service->spec);
	int error = set_rows(check, backend, object->spec, &failure);
	if (error)
		give_up(check, service, object, failure.message);
	else
		check->trouble[0] = '\0';
	if (!check->asking && !event_pending(check->timer, EV_TIMEOUT, NULL))
		schedule(
			check, error ? RETRY_MS
				     : check_first_ms(check_interval_ms(check->service), chance()));
}

void check_yield(struct weftd *weftd, u32 row)
{
	struct check *check = at_row(weftd->checks, row);
	struct object *object = check ? object_by_id(weftd, &noun_backend, check->backend) : NULL;
	if (!object)
		return;
	stop(check);
	give_row_back(check);
	check_follow(weftd, object);
}

// --- what follows from it

bool check_dead(const struct backend *backend)
{
	return backend->check && backend->check->health.dead;
}

static bool any_alive(struct weftd *weftd, const struct object *service)
{
	struct object *object = backends_first(weftd, service);
	for (; object; object = backends_next(object)) {
		if (backend_could_serve(object) && !check_dead(object->live))
			return true;
	}
	return false;
}

void checks_settle(struct weftd *weftd, struct object *service)
{
	struct object *object = backends_first(weftd, service);
	bool keep = check_keeps_all(service->spec) && !any_alive(weftd, service);
	for (; object; object = backends_next(object)) {
		struct backend *backend = object->live;
		if (!backend)
			continue;
		bool out = check_dead(backend) && !keep;
		if (backend->out == out)
			continue;
		backend->out = out;
		backend_rows_set(weftd, object, NULL);
	}
}

static long long seconds_since(const struct check *check)
{
	return (long long)((clock_ns() - check->since_ns) / 1000000000);
}

void check_why(const struct backend *backend, char why[CHECK_WHY_BYTES])
{
	const struct check *check = backend->check;
	snprintf(why, CHECK_WHY_BYTES, "unhealthy for %lld s: %.100s", seconds_since(check),
		check->why);
}

// Not checked, in which case it counts as well; or how its last check ended.
void check_show(const struct backend *backend, json_t *shown)
{
	const struct check *check = backend ? backend->check : NULL;
	const char *health = !check                 ? NULL
			     : !check->health.known ? "unknown"
			     : check->health.dead   ? "unhealthy"
						    : "healthy";
	const char *why = !check ? NULL : check->trouble[0] ? check->trouble : check->why;
	json_object_set_new(shown, "health", health ? json_string(health) : json_null());
	json_object_set_new(shown, "health_why", why && *why ? json_string(why) : json_null());
	json_object_set_new(
		shown, "health_seconds", check ? json_integer(seconds_since(check)) : json_null());
}

// --- start and end

int checks_open(struct weftd *weftd)
{
	struct checks *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->weftd = weftd;
	all->exchanges = exchanges_new(weftd, ended, &all->why);
	weftd->checks = all;
	return 0;
}

void checks_start(struct weftd *weftd)
{
	struct checks *all = weftd->checks;
	all->rows = all->lowest = engine_capacity(weftd, WEFT_TABLE_backend);
	all->service = engine_capacity(weftd, WEFT_TABLE_service_usage) - 1;
	all->by_row = calloc(all->rows, sizeof(*all->by_row));
	if (!all->by_row)
		abort();
	if (all->exchanges)
		all->way = check_way_new(weftd, exchanges_space(all->exchanges));
	if (!all->why && !all->way)
		all->why = "a port has the name of the device of checks";
}

void checks_close(struct weftd *weftd)
{
	struct checks *all = weftd->checks;
	struct object *object = all ? object_first(weftd, &noun_backend) : NULL;
	if (!all)
		return;
	for (; object; object = object->hh.next) {
		if (object->live)
			check_forget(object->live);
	}
	check_way_free(all->way);
	exchanges_free(all->exchanges);
	free(all->by_row);
	free(all);
	weftd->checks = NULL;
}

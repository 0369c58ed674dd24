// SPDX-License-Identifier: BSD-2-Clause
// The carrier: when it is wanted, made, kept and deleted.
#include "daemon/carrier.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>
#include "daemon/drops.h"
#include "daemon/host.h"
#include "daemon/latency.h"
#include "daemon/network.h"
#include "daemon/underlay.h"

LOG_MODULE(carrier);

enum { RETRY_SECONDS = 1 };

struct carrier {
	struct link_watch watch; // first: the callback is given it
	struct weftd *weftd;
	struct event *retry;
	struct engine_overlay told;    // what the engine carries
	struct engine_overlay refused; // what it would not
	char note[320];                // and why
	u16 udp_port;                  // of the bound device
	bool busy;                     // the links' news are of our own making
	bool removed;                  // for good
	char *why;                     // owned
};

static bool wanted(const struct carrier *c)
{
	struct weft_ip address;
	return !c->removed && host_address(c->weftd, &address) && network_any_vni(c->weftd, false);
}

static int tell_engine(
	struct carrier *c, const struct engine_overlay *overlay, struct failure *failure)
{
	const struct engine_ops *ops = c->weftd->engine_ops;
	const char *why = NULL;
	if (memcmp(overlay, &c->told, sizeof(*overlay)) == 0)
		return 0;
	int error = ops->overlay_set(c->weftd->engine, overlay, &why);
	if (error) {
		memset(&c->told, 0xff, sizeof(c->told)); // unknown: whatever comes next is told
		return fail(failure, error, "engine_failed", "the overlay cannot be attached: %s",
			fail_reason(error, why));
	}
	c->told = *overlay;
	return 0;
}

static bool is_xdp(const struct weftd *weftd, u32 ifindex)
{
	const struct settings *settings = &weftd->settings;
	const char *xdp =
		weftd->engine_ops == &engine_ebpf ? settings->ebpf_xdp : settings->dpdk.xdp;
	const struct link *link = link_at(weftd->links, ifindex);
	if (!weftd->engine_ops->own_xdp || !link)
		return false;
	return xdp && strcmp(xdp, "auto") != 0 ? strcmp(xdp, "on") == 0 : link_is_hardware(link);
}

static void find_underlay(struct weftd *weftd, struct engine_overlay *overlay)
{
	overlay->underlays = underlay_devices(weftd, overlay->underlay, ENGINE_UNDERLAYS);
	for (u32 i = 0; i < overlay->underlays; i++)
		overlay->xdp[i] = is_xdp(weftd, overlay->underlay[i]);
}

// Without the underlay's devices everything goes by the carrier: slower, but it goes.
static int attach(struct carrier *c, u32 ifindex, struct failure *failure)
{
	struct engine_overlay overlay = {.carrier = ifindex}, least = overlay;
	overlay.watch = !network_any_vni(c->weftd, true);
	if (!overlay.watch || latency_sees_underlay(c->weftd))
		find_underlay(c->weftd, &overlay);
	if (!overlay.underlays)
		overlay.watch = 0;
	if (overlay.underlays && memcmp(&overlay, &c->refused, sizeof(overlay)) == 0)
		return tell_engine(c, &least, failure); // once is enough
	int error = tell_engine(c, &overlay, failure);
	if (!error)
		c->note[0] = '\0';
	if (!error || !overlay.underlays)
		return error;
	c->refused = overlay;
	snprintf(c->note, sizeof(c->note), "%s: %.280s",
		overlay.watch ? "P3 is not observed" : "the carrier takes all", failure->message);
	log_warn("%s", c->note);
	return tell_engine(c, &least, failure);
}

// Its counters go with it; the engine's row keeps them (drops.h).
static int delete (struct carrier *c, struct link *link, struct failure *failure)
{
	static const struct engine_overlay none;
	tell_engine(c, &none, NULL);
	drops_carrier_gone(c->weftd, link);
	link_bind(&c->watch, NULL);
	log_info("deleting dev=%s", link->name);
	return link_delete(c->weftd->links, link, failure);
}

static int without_carrier(struct carrier *c, struct failure *failure)
{
	struct engine_overlay overlay = {0};
	struct link *link = c->watch.link;
	if (!link)
		link = carrier_find(c->weftd);
	int error = link ? delete (c, link, failure) : 0;
	if (wanted(c))
		find_underlay(c->weftd, &overlay);
	return error ? error : tell_engine(c, &overlay, failure);
}

static struct link *take(struct carrier *c, u16 udp_port, struct failure *failure)
{
	struct link *link = c->watch.link;
	if (!link)
		link = carrier_find(c->weftd);
	if (link && link != c->watch.link && carrier_fits(c->weftd, link, udp_port))
		c->udp_port = udp_port;
	if (link && c->udp_port == udp_port)
		return link;
	if (link && delete (c, link, failure))
		return NULL;
	link = carrier_make(c->weftd, udp_port, failure);
	if (link)
		log_info("made dev=%s udp_port=%u", link->name, udp_port);
	c->udp_port = link ? udp_port : 0;
	return link;
}

// Up last, so that no frame comes in before the switch takes it.
static int bring(struct carrier *c, struct failure *failure)
{
	struct link_change up = {.flags = IFF_UP, .flags_mask = IFF_UP};
	u16 udp_port = host_udp_port(c->weftd);
	struct link *link = take(c, udp_port, failure);
	if (!link)
		return failure->code ? failure->code : -EIO;
	link_bind(&c->watch, link);
	int error = attach(c, link->ifindex, failure);
	if (!error)
		error = carrier_mark(c->weftd, link, failure);
	if (error || link->flags & IFF_UP)
		return error;
	error = link_set(c->weftd->links, link, &up, failure);
	if (!error)
		return 0;
	delete (c, link, NULL);
	c->udp_port = 0;
	if (error != -EADDRINUSE)
		return error;
	return fail(failure, error, "in_use",
		"UDP port %u is taken by another program (`ss -ulnp` names it); or another port on "
		"every host: `host set udp-port P`",
		udp_port);
}

static int drop(struct carrier *c, struct failure *failure)
{
	static const struct engine_overlay none;
	struct link *link = c->watch.link;
	if (!link)
		link = carrier_find(c->weftd);
	c->udp_port = 0;
	return link ? delete (c, link, failure) : tell_engine(c, &none, failure);
}

static void set_why(struct carrier *c, const char *why)
{
	struct timeval pause = {.tv_sec = RETRY_SECONDS};
	if (why && (!c->why || strcmp(why, c->why) != 0))
		log_warn("%s", why);
	free(c->why);
	c->why = why ? strdup(why) : NULL;
	if (why)
		event_add(c->retry, &pause);
	else
		event_del(c->retry);
}

void carrier_update(struct weftd *weftd)
{
	struct carrier *c = weftd->carrier;
	struct failure failure = {0};
	if (!c || c->busy)
		return;
	c->busy = true;
	int error = weftd->engine_ops->own_overlay ? without_carrier(c, &failure)
		    : wanted(c)                    ? bring(c, &failure)
						   : drop(c, &failure);
	c->busy = false;
	set_why(c, error ? failure.message : NULL);
}

int carrier_remove(struct weftd *weftd, struct failure *failure)
{
	struct carrier *c = weftd->carrier;
	if (!c)
		return 0;
	c->removed = c->busy = true;
	int error = drop(c, failure);
	c->busy = false;
	return error;
}

// While it cannot be made, the timer tries: a device that is made and deleted in vain is news, too.
static void changed(struct link_watch *watch, struct link *link)
{
	struct carrier *c = (struct carrier *)watch;
	(void)link;
	if (!c->why)
		carrier_update(c->weftd);
}

static void on_retry(evutil_socket_t fd, short what, void *context)
{
	struct carrier *c = context;
	(void)fd, (void)what;
	carrier_update(c->weftd);
}

int carrier_open(struct weftd *weftd, struct failure *failure)
{
	if (!weftd->engine_ops->overlay_set) // it needs none
		return 0;
	struct carrier *c = calloc(1, sizeof(*c));
	if (!c)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	c->weftd = weftd;
	c->watch.changed = changed;
	c->retry = evtimer_new(weftd->base, on_retry, c);
	if (!c->retry || link_watch_add(weftd->links, &c->watch, CARRIER_NAME)) {
		if (c->retry)
			event_free(c->retry);
		free(c);
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	}
	weftd->carrier = c;
	return 0;
}

void carrier_close(struct weftd *weftd)
{
	struct carrier *c = weftd->carrier;
	if (!c)
		return;
	link_watch_del(weftd->links, &c->watch);
	event_free(c->retry);
	free(c->why);
	free(c);
	weftd->carrier = NULL;
}

const char *carrier_note(struct weftd *weftd)
{
	return weftd->carrier && weftd->carrier->note[0] ? weftd->carrier->note : NULL;
}

const char *carrier_why(struct weftd *weftd)
{
	return weftd->carrier ? weftd->carrier->why : NULL;
}

json_t *carrier_name(struct weftd *weftd)
{
	const struct link *link = weftd->carrier ? weftd->carrier->watch.link : NULL;
	return link ? json_string(link->name) : json_null();
}

const struct link *carrier_link(struct weftd *weftd)
{
	return weftd->carrier ? weftd->carrier->watch.link : NULL;
}

bool carrier_is(const struct link_watch *watch)
{
	return watch->changed == changed;
}

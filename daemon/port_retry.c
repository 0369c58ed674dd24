// SPDX-License-Identifier: BSD-2-Clause
// Ports that the engine could not take are tried again, until it can: of a device that is busy or a
// directory that is not there nobody tells. A netdev's own changes come by netlink (port_link.c).
#include <stdlib.h>
#include "daemon/port.h"

enum { RETRY_SECONDS = 2 };

bool port_is_retried(const struct port *port)
{
	struct failure unheard;
	return !port->attached && !port_check_engine(port->weftd, port->type, &unheard) &&
	       (!port_has_netdev(port) || port->watch.link);
}

static void retry(struct port *port)
{
	struct failure failure = {0};
	if (port_has_netdev(port))
		port_link_changed(&port->watch, port->watch.link);
	else
		port_trouble(port, port_attach(port, &failure) ? failure.message : NULL);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct weftd *weftd = context;
	(void)fd, (void)what;
	for (struct object *o = object_first(weftd, &noun_port); o; o = o->hh.next)
		if (o->live && port_is_retried(o->live))
			retry(o->live);
}

void port_retry_soon(struct weftd *weftd)
{
	struct timeval pause = {.tv_sec = RETRY_SECONDS};
	if (!weftd->port_retry)
		weftd->port_retry = evtimer_new(weftd->base, on_timer, weftd);
	if (weftd->port_retry && !event_pending(weftd->port_retry, EV_TIMEOUT, NULL))
		event_add(weftd->port_retry, &pause);
}

void port_retry_close(struct weftd *weftd)
{
	if (weftd->port_retry)
		event_free(weftd->port_retry);
	weftd->port_retry = NULL;
}

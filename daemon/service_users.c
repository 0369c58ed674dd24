// SPDX-License-Identifier: BSD-2-Clause
// Whether a network or a port can be so, or go, for the services that use it.
#include <errno.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/service.h"

// Would it leave one of the service's backends out, or take its address?
static int check_backends(struct weftd *weftd, const struct object *service, const json_t *spec,
	struct failure *failure)
{
	const char *subnet = spec_text(spec, "subnet", NULL);
	struct object *backend = backends_first(weftd, service);
	for (; backend; backend = backends_next(backend)) {
		const char *text = spec_text(backend->spec, "address", "");
		struct weft_ip address = address_read(text);
		if (network_is_gateway(spec, &address)) {
			fail(failure, -EBUSY, "in_use",
				"gateway %s is the address of a backend of service %s", text,
				service->name);
			return fail_hint(failure, "delete the backend first, or give another");
		}
		if (!subnet || address_fits(&address, subnet))
			continue;
		fail(failure, -EBUSY, "in_use", "subnet %s leaves out %s, a backend of service %s",
			subnet, text, service->name);
		return fail_hint(failure, "delete the backend first, or give a wider subnet");
	}
	return 0;
}

static int check_gateway(const struct object *network, const json_t *spec,
	const struct object *service, struct failure *failure)
{
	struct weft_ip vip = service_vip(service->spec);
	const char *gateway = network_gateway(spec, address_v4(&vip));
	if (network_is_gateway(spec, &vip))
		return fail(failure, -EINVAL, "bad_value",
			"gateway %s is the address of service %s", gateway, service->name);
	if (!gateway && spec_list(service->spec, "uplink")) {
		fail(failure, -EBUSY, "in_use",
			"network %s cannot be without gateway: service %s is reached by uplinks",
			network->name, service->name);
		return fail_hint(failure, "`service set %s uplink none` first", service->name);
	}
	if (!gateway && check_wanted(service->spec)) {
		fail(failure, -EBUSY, "in_use",
			"network %s cannot be without gateway: the backends of service %s are "
			"checked from there",
			network->name, service->name);
		return fail_hint(failure, "`service set %s check none` first", service->name);
	}
	return 0;
}

int service_check_network(struct weftd *weftd, const struct object *network, const json_t *spec,
	struct failure *failure)
{
	struct object *service = network ? object_first(weftd, &noun_service) : NULL;
	struct names users = {0};
	int error = 0;
	for (; service && !error; service = service->hh.next) {
		if (!service_is_in(service->spec, network->name))
			continue;
		if (!spec)
			names_add(&users, service->name);
		else
			error = check_gateway(network, spec, service, failure);
		if (spec && !error)
			error = check_backends(weftd, service, spec, failure);
	}
	if (!users.count)
		return error;
	fail(failure, -EBUSY, "in_use", "network %s is in use by services: %s", network->name,
		names_text(&users));
	return fail_hint(failure, "delete them first: `service del NAME`");
}

int service_check_port(
	struct weftd *weftd, const struct object *port, const json_t *spec, struct failure *failure)
{
	struct object *service = port ? object_first(weftd, &noun_service) : NULL;
	const char *network =
		spec ? spec_text(spec, spec_list(spec, "tags") ? "native" : "network", NULL) : NULL;
	struct names users = {0};
	for (; service && (!spec || network); service = service->hh.next) {
		if (service_uses_port(service->spec, port->name))
			names_add(&users, service->name);
	}
	if (!users.count)
		return 0;
	fail(failure, -EBUSY, "in_use", "port %s is the uplink of services: %s%s%s", port->name,
		names_text(&users), spec ? "; its frames without a tag cannot be of network " : "",
		spec ? network : "");
	return fail_hint(failure, "`service set NAME uplink -%s` first", port->name);
}

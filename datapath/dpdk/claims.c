// SPDX-License-Identifier: BSD-2-Clause
// Tables -> claims: what of a device's frames must not reach the host's stack.
#include "datapath/dpdk/claims.h"

#include <string.h>
#include "datapath/dpdk/claim.h"

struct tags {
	u32 port;
	struct weft_claim *claim;
};

static int add_tag(const void *key, const void *row, void *context)
{
	const struct weft_tag_key *tag = key;
	struct tags *tags = context;
	(void)row;
	if (tag->port != tags->port || tag->tag >= 4096)
		return 0;
	tags->claim->flags |= WEFT_CLAIM_TAGGED;
	tags->claim->vid[tag->tag / 64] |= 1ull << (tag->tag % 64);
	return 0;
}

struct vips {
	const struct dpdk_port *port;
	bool any;
};

static int add_vip(const void *key, const void *row, void *context)
{
	const struct weft_service_key *service = key;
	struct vips *vips = context;
	(void)row;
	if (service->scope != (vips->port->id | WEFT_SCOPE_PORT) || service->protocol)
		return 0;
	vips->any = true;
	return claim_vip(vips->port->claim, (const struct weft_ip *)service->address, true);
}

static void claim_vips(struct engine *engine, struct dpdk_port *port, struct weft_claim *claim)
{
	struct vips vips = {port};
	const struct weft_port_row *row = table_get(engine->tables.port, &port->id);
	if (row->flags & WEFT_PORT_VIPS)
		shared_walk(engine, WEFT_TABLE_service, add_vip, &vips);
	if (vips.any)
		claim->flags |= WEFT_CLAIM_VIPS;
}

static void claim_port(struct engine *engine, u32 id, struct weft_claim *claim)
{
	struct tags tags = {id, claim};
	const struct weft_port_row *row = table_get(engine->tables.port, &id);
	if (!(row->flags & WEFT_PORT_HOST)) {
		claim->flags |= WEFT_CLAIM_ALL;
		return;
	}
	if (row->network)
		claim->flags |= WEFT_CLAIM_UNTAGGED;
	shared_walk(engine, WEFT_TABLE_tag, add_tag, &tags);
}

static void claim_underlay(struct engine *engine, struct weft_claim *claim)
{
	u32 zero = 0;
	const struct weft_host_row *host = table_get(engine->tables.host, &zero);
	if (!host->udp_port)
		return;
	claim->flags |= WEFT_CLAIM_UNDERLAY;
	claim->udp_port = (u16)host->udp_port;
	memcpy(&claim->host, host->address, sizeof(claim->host));
}

void claims_follow(struct engine *engine, struct dpdk_port *port)
{
	struct weft_claim claim = {0};
	if (!port || !port->claim)
		return;
	if (port->id) {
		claim_port(engine, port->id, &claim);
		claim_vips(engine, port, &claim);
	} else if (port->pass) {
		claim.flags |= WEFT_CLAIM_ALL;
	}
	if (port->underlay)
		claim_underlay(engine, &claim);
	claim_set(port->claim, &claim);
}

int claims_open(struct engine *engine, struct dpdk_port *port, const char **why)
{
	bool netdev = port->ifindex && port->driver != &dpdk_pci; // a twin is the kernel's
	int error = netdev ? claim_open(&port->claim, port->ifindex, false, why) : 0;
	if (!error)
		claims_follow(engine, port);
	return error;
}

void claims_close(struct dpdk_port *port)
{
	claim_close(port->claim);
	port->claim = NULL;
}

// One address has come or gone: without a walk, for there may be thousands.
static void follow_service(struct engine *engine, const struct weft_service_key *key, bool there)
{
	struct dpdk_port *port = NULL;
	if (key->scope & WEFT_SCOPE_PORT && !key->protocol)
		port = dpdk_port_at(engine, key->scope & ~WEFT_SCOPE_PORT);
	if (port && port->claim)
		claim_vip(port->claim, (const struct weft_ip *)key->address, there);
}

void claims_table(struct engine *engine, enum weft_table table, const void *key)
{
	if (table == WEFT_TABLE_service)
		follow_service(engine, key, table_get(engine->tables.service, key));
	if (table == WEFT_TABLE_port)
		claims_follow(engine, dpdk_port_at(engine, *(const u32 *)key));
	if (table == WEFT_TABLE_tag) // its first field is the port; 0: of peers
		claims_follow(engine, dpdk_port_at(engine, *(const u32 *)key));
	for (u32 slot = 0; table == WEFT_TABLE_host && slot < engine->slots; slot++) {
		struct dpdk_port *port = dpdk_port_at(engine, slot);
		if (port && port->underlay)
			claims_follow(engine, port);
	}
}

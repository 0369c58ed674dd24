// SPDX-License-Identifier: BSD-2-Clause
// Networks: L2 broadcast domains. The noun: words, apply, remove, show.
#include "daemon/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/carrier.h"
#include "daemon/connection.h"
#include "daemon/port.h"
#include "daemon/sweep.h"

static const struct argument network_arguments[] = {
	{"name", NULL, ARGUMENT_NAME, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_FIXED,
		NULL, "network", 0, 0, NULL, "the network"},
	{"vni", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 1, 16777215, NULL,
		"its VXLAN network identifier between hosts"},
	{"overlay", NULL, ARGUMENT_CHOICE, 0, "own|carrier", NULL, 0, 0, "own",
		"who encapsulates: own: weft where it can, carrier: the kernel's VXLAN device "
		"(ebpf engine only)"},
	{"subnet", NULL, ARGUMENT_PREFIX, 0, NULL, NULL, 0, 0, NULL,
		"the addresses of its machines"},
	{"gateway", NULL, ARGUMENT_ADDRESSES, 0, NULL, NULL, 0, 0, NULL,
		"addresses that weft answers for: one IPv4, one IPv6 or both"},
	{"mtu", NULL, ARGUMENT_NUMBER, 0, NULL, NULL, 68, 65521, NULL,
		"largest packet; taps are set to it; default: what the underlay carries, or 1500 "
		"without vni"},
	{"inner-tags", "inner_tags", ARGUMENT_BOOL, 0, NULL, NULL, 0, 0, "off",
		"VLAN tags of its machines are carried as they are"},
	{"suppress", "suppress_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 0, 86400, NULL,
		"ARP and ND questions are answered for a machine that was heard of so long ago at "
		"most, and not flooded; 0: always flooded; default: 5 with vni, 0 without"},
	{"ageing", "ageing_seconds", ARGUMENT_DURATION, 0, NULL, NULL, 0, 31536000, "300",
		"how long a silent address is remembered; 0: for ever"},
	{"mac-limit", "mac_limit", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1 << 24, "16384",
		"most learned addresses"},
	{"move-limit", "move_limit_per_second", ARGUMENT_NUMBER, 0, NULL, NULL, 0, 1000000, "100",
		"most moves of addresses between ports per second; 0: no limit"},
	{"connection-limit", "connection_limit", ARGUMENT_NUMBER, 0, NULL, NULL, 1, 1 << 24, NULL,
		"most connections of its services; default: its part of the table, which the "
		"networks that have services share"},
	{0},
};

static void network_forget(struct object *object)
{
	struct network *network = object->live;
	member_free(&network->members);
	free(network);
	object->live = NULL;
}

static int network_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure)
{
	bool first = !object->live;
	(void)old;
	if (first) {
		struct network *network = calloc(1, sizeof(*network));
		if (!network)
			return fail(failure, -ENOMEM, "no_memory", "out of memory");
		network->members.network = object->id;
		object->live = network;
	}
	int error = network_rows_set(weftd, object, failure);
	if (error && first) {
		network_rows_clear(weftd, object);
		network_forget(object);
	}
	sweep_soon(weftd); // it may age faster now
	carrier_update(weftd);
	return error;
}

static int network_remove(struct weftd *weftd, struct object *object, struct failure *failure)
{
	(void)failure;
	if (!object->live)
		return 0;
	network_rows_clear(weftd, object);
	network_forget(object);
	connections_hold_id(weftd, object);
	carrier_update(weftd);
	return 0;
}

static u32 count_members(const struct member_list *list, bool peers)
{
	u32 count = 0;
	for (u32 i = 0; list && i < list->count; i++)
		count += (list->rows[i].tag == WEFT_MEMBER_PEER) == peers;
	return count;
}

// Why it is less than its words say; empty: it is not. False: it is down.
static bool say_why(struct weftd *weftd, const struct object *object, char why[320])
{
	u32 given = (u32)spec_number(object->spec, "mtu", 0);
	u32 mtu = network_mtu(weftd, object->spec);
	const char *carrier = network_vni(object->spec) ? carrier_why(weftd) : NULL;
	why[0] = '\0';
	if (!object->live || carrier) {
		snprintf(why, 320, "%s",
			!object->live && object->trouble ? object->trouble
			: carrier                        ? carrier
							 : "");
		return false;
	}
	if (network_vni(object->spec) && network_wants_carrier(object->spec) &&
		weftd->engine_ops->own_overlay)
		snprintf(why, 320, "the %s engine has no carrier: weft encapsulates all itself",
			weftd->engine_ops->name);
	if (given > mtu)
		snprintf(why, 320, "the underlay has shrunk: the mtu is %u, not %u", mtu, given);
	return true;
}

static json_t *network_show(struct weftd *weftd, const struct object *object)
{
	const struct network *network = object->live;
	const struct member_list *members = network ? &network->members : NULL;
	const struct member_list *common =
		network && network->vni && weftd->common ? &weftd->common->members : NULL;
	struct weft_index index = {object->id};
	struct weft_usage_row usage = {0};
	char why[320];
	bool up = say_why(weftd, object, why);
	engine_get(weftd, network_usage, &index, &usage);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:s, "
			 "s:s?}",
		"id", (json_int_t)object->id, "suppress_seconds",
		(json_int_t)network_suppress_seconds(object->spec), "mtu",
		(json_int_t)network_mtu(weftd, object->spec), "ports",
		(json_int_t)count_members(members, false), "peers",
		(json_int_t)(count_members(members, true) + count_members(common, true)), "macs",
		(json_int_t)usage.macs, "moves", (json_int_t)usage.moves, "moves_refused",
		(json_int_t)usage.moves_refused, "learn_refused", (json_int_t)usage.learn_refused,
		"bindings", (json_int_t)usage.bindings, "bindings_refused",
		(json_int_t)usage.bindings_refused, "suppressed", (json_int_t)usage.suppressed,
		"connections", (json_int_t)usage.connections, "connection_limit",
		(json_int_t)network_connection_limit(weftd, object->spec), "connections_refused",
		(json_int_t)usage.connections_refused, "fragments_refused",
		(json_int_t)usage.fragments_refused, "state", up ? "up" : "down", "why",
		why[0] ? why : NULL);
}

const struct noun noun_network = {
	.name = "network",
	.plural = "networks",
	.help = "L2 broadcast domains: a hard wall around each",
	.arguments = network_arguments,
	.identity = "name",
	.columns = "name,vni,subnet,gateway,mtu,ports,peers,macs,state,why",
	.check = network_check,
	.apply = network_apply,
	.remove = network_remove,
	.forget = network_forget,
	.show = network_show,
};

// SPDX-License-Identifier: BSD-2-Clause
// Questions that weftd asks in a network: who has this IP address?
//
// By ARP from no address (RFC 5227: it tells nothing of the asker), and by ND from a link-local
// one: a guest that is just trying an IPv6 address takes a question from no address for another's
// claim.
#include "daemon/question.h"

#include <errno.h>
#include <string.h>
#include "daemon/address.h"
#include "daemon/probe.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { VID_MAX = 4094, MAC_LIMIT = 65536 };

u32 question_port(struct weftd *weftd)
{
	return engine_capacity(weftd, WEFT_TABLE_port) - 1;
}

int question_open(struct weftd *weftd)
{
	struct weft_index index = {question_port(weftd)};
	struct weft_port_row row = {
		.flags = WEFT_PORT_PRESENT | WEFT_PORT_TRUNK | WEFT_PORT_WEFTD,
		.mac_limit = MAC_LIMIT,
	};
	return engine_put(weftd, port, &index, &row);
}

// Of this weftd: hosts must not take each other for one that moves.
static struct weft_mac own_mac(struct weftd *weftd)
{
	u64 hash = XXH3_64bits(weftd->uuid, strlen(weftd->uuid));
	struct weft_mac mac;
	memcpy(&mac, &hash, sizeof(mac));
	mac.byte[0] = (u8)((mac.byte[0] & 0xf0) | 0x06); // not the gateway's 02
	return mac;
}

static int enter_network(struct weftd *weftd, u32 network)
{
	struct weft_tag_key key = {.port = question_port(weftd), .tag = network};
	struct weft_tag_row row = {network}, is;
	if (network > VID_MAX)
		return -ERANGE;
	if (engine_get(weftd, tag, &key, &is) == 0 && is.network == network)
		return 0;
	return engine_put(weftd, tag, &key, &row);
}

void question_forget_network(struct weftd *weftd, u32 network)
{
	struct weft_tag_key key = {.port = question_port(weftd), .tag = network};
	engine_del(weftd, tag, &key, NULL);
}

// The link-local address that the MAC gives (RFC 4291, appendix A).
static struct weft_ip own_ip(const struct weft_mac *mac)
{
	struct weft_ip ip = {.byte = {0xfe, 0x80, [11] = 0xff, [12] = 0xfe}};
	memcpy(&ip.byte[8], mac->byte, 3);
	memcpy(&ip.byte[13], &mac->byte[3], 3);
	ip.byte[8] ^= 2;
	return ip;
}

int question_ask(struct weftd *weftd, u32 network, const struct weft_ip *ip)
{
	u8 frame[PROBE_FRAME_MAX_BYTES];
	struct probe_way way = {.src = own_mac(weftd), .ip_dst = *ip, .tag = (u16)network};
	int error = weftd->engine_ops->send ? enter_network(weftd, network) : -ENOTSUP;
	if (error)
		return error;
	if (address_v4(ip)) {
		memset(&way.dst, 0xff, sizeof(way.dst));
		way.ip_src = address_read("0.0.0.0");
	} else { // RFC 4291 section 2.7.1: to those whose address ends like this
		way.dst = (struct weft_mac){
			{0x33, 0x33, 0xff, ip->byte[13], ip->byte[14], ip->byte[15]}};
		way.ip_src = own_ip(&way.src);
	}
	u32 length = probe_question_build(&way, frame);
	return weftd->engine_ops->send(
		weftd->engine, ENGINE_SEND_FROM, question_port(weftd), frame, length);
}

// SPDX-License-Identifier: BSD-2-Clause
// What a traced frame is, in words.
#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/connection.h"
#include "daemon/trace.h"
#include "datapath/card.h"

static void put_end_point(json_t *line, const char *key, const struct weft_ip *ip, u32 l4_port)
{
	char text[ADDRESS_TEXT_BYTES];
	address_text(ip, text);
	if (!l4_port)
		json_object_set_new(line, key, json_string(text));
	else
		json_object_set_new(line, key,
			json_sprintf(address_v4(ip) ? "%s:%u" : "[%s]:%u", text, l4_port));
}

static const char *protocol_of(const struct weft_key *key)
{
	switch (key->protocol) {
	case WEFT_IP_TCP:
		return "tcp";
	case WEFT_IP_UDP:
		return "udp";
	case WEFT_IP_ICMP:
	case WEFT_IP_ICMPV6:
		return "icmp";
	}
	return key->ethertype == WEFT_ETH_ARP ? "arp" : NULL;
}

// The flow as a translation of this host has it from here on, or had it up to here.
static void put_translated(struct weftd *weftd, const struct weft_postcard *card,
	const struct weft_key *key, json_t *line)
{
	struct weft_rewrite to;
	if (!connection_translates(weftd, card, key, &to))
		return;
	bool src = to.what & WEFT_REWRITE_SRC, dst = to.what & WEFT_REWRITE_DST;
	if (!src && !dst)
		return;
	put_end_point(
		line, "becomes_src", src ? &to.src : &key->ip_src, src ? to.src_port : key->l4_src);
	put_end_point(
		line, "becomes_dst", dst ? &to.dst : &key->ip_dst, dst ? to.dst_port : key->l4_dst);
}

// Of any frame, whatever is wrong with it.
static void put_ethernet(const struct weft_postcard *card, json_t *line)
{
	struct eth_header eth;
	struct vlan_header tag;
	char src[MAC_TEXT_BYTES], dst[MAC_TEXT_BYTES];
	u32 vlan = card->tagged ? card->tci & WEFT_VID_MASK : 0;
	if (card->captured < sizeof(eth))
		return;
	memcpy(&eth, card->frame, sizeof(eth));
	u16 type = weft_ntoh16(eth.type);
	if (!card->tagged && type == WEFT_ETH_8021Q &&
		card->captured >= sizeof(eth) + sizeof(tag)) {
		memcpy(&tag, card->frame + sizeof(eth), sizeof(tag));
		vlan = weft_ntoh16(tag.tci) & WEFT_VID_MASK;
		type = weft_ntoh16(tag.type);
	}
	mac_text(&eth.src, src);
	mac_text(&eth.dst, dst);
	json_object_set_new(line, "eth_src", json_string(src));
	json_object_set_new(line, "eth_dst", json_string(dst));
	json_object_set_new(line, "ethertype", json_sprintf("0x%04x", type));
	json_object_set_new(line, "vlan", vlan ? json_integer(vlan) : json_null());
}

void trace_frame(struct weftd *weftd, const struct weft_postcard *card, json_t *line)
{
	static const char letters[] = "FSRPAUEC";
	struct weft_key key;
	struct weft_layout layout;
	struct card_echo echo;
	u32 sequence;
	char flags[sizeof(letters)] = "";
	size_t length = 0;
	put_ethernet(card, line);
	if (!card_parse(card, &key, &layout))
		return;
	const char *protocol = protocol_of(&key);
	bool ports = protocol && key.flags & WEFT_KEY_L4 && strcmp(protocol, "icmp") != 0;
	if (key.ethertype == WEFT_ETH_IPV4 || key.ethertype == WEFT_ETH_IPV6 ||
		key.ethertype == WEFT_ETH_ARP) {
		put_end_point(line, "src", &key.ip_src, ports ? key.l4_src : 0);
		put_end_point(line, "dst", &key.ip_dst, ports ? key.l4_dst : 0);
	}
	if (ports)
		put_translated(weftd, card, &key, line);
	json_object_set_new(line, "proto", protocol ? json_string(protocol) : json_null());
	for (u32 i = 0; ports && i < 8; i++)
		if (key.tcp_flags >> i & 1)
			flags[length++] = letters[i];
	flags[length] = '\0';
	json_object_set_new(line, "flags", length ? json_string(flags) : json_null());
	json_object_set_new(line, "echo",
		card_echo(card, &echo) ? json_sprintf("%u.%u", echo.id, echo.sequence)
				       : json_null());
	json_object_set_new(line, "tcp_sequence",
		card_sequence(card, &sequence) ? json_integer(sequence) : json_null());
	if (card->bytes >= layout.header_bytes)
		json_object_set_new(line, "payload_bytes",
			json_integer((json_int_t)card->bytes - layout.header_bytes));
}

// SPDX-License-Identifier: BSD-2-Clause
// The pipeline over plain bytes: tags stand in the bytes, nothing beside them.
#pragma once

#include <weft/verdict.h>
#include <weft/wire.h>
#include "datapath/pipeline/balance.h"

struct packet {
	u8 *bytes;
	u32 length;
	u32 room; // bytes may grow to this
};

static _Thread_local struct { // of the packet in hand
	struct weft_key key;
	struct weft_layout layout;
	struct weft_verdict verdict;
	struct balance balance;
} flat __attribute__((unused));

weft_inline const void *packet_at(const struct packet *p, u32 offset, u32 bytes)
{
	if (offset + bytes > WEFT_PARSE_BYTES || offset + bytes > p->length)
		return NULL;
	return p->bytes + offset;
}

weft_inline bool packet_word(const struct packet *p, u32 at, u64 *word)
{
	if (at + sizeof(*word) > p->length)
		return false;
	__builtin_memcpy(word, p->bytes + at, sizeof(*word));
	return true;
}

weft_inline u32 packet_length(const struct packet *p)
{
	return p->length;
}

weft_inline bool packet_tag(const struct packet *p, u16 *tpid, u16 *tci)
{
	(void)p, (void)tpid, (void)tci;
	return false;
}

#define PARSE(line, in_port) parse((line)->packet, (in_port), (line)->key, (line)->layout)
#define DECIDE(line) \
	decide((line)->key, (line)->tables, (line)->now_ns, (line)->verdict, &flat.balance)
#define COMMIT(line) \
	commit((line)->tables, (line)->key, (line)->verdict, &flat.balance, (line)->now_ns)
#define BALANCE(line) ((void)(line), &flat.balance)
#define REWRITE(line, bytes) \
	packet_rewrite((line)->packet, (line)->tables, (line)->key, (line)->layout, \
		(line)->rewrite, (bytes))
#define PROBE(line)            probe_valid((line)->packet, (line)->tables, (line)->layout)
#define PROBE_JUDGE(line, own) probe_judge((line)->verdict, (own))
#define PROBE_ANSWER(line)     probe_answer((line)->tables, (line)->key->in_port)
// Nothing is observed of flat packets: they come from nowhere.
#define OBSERVE_NOW(line)           0
#define OBSERVE_RANDOM()            1u
#define OBSERVE_CPU(tables)         0u
#define OBSERVE_INSERT(tables, key) ((void)(key))

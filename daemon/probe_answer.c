// SPDX-License-Identifier: BSD-2-Clause
// What comes back to a session: answers, and what cards say of its probes.
#include "daemon/probe_parts.h"

static struct probe_one *one_of(struct probe_session *s, be32 sequence)
{
	u32 number = weft_ntoh32(sequence);
	return number < s->count && s->ones[number].sent_ns ? &s->ones[number] : NULL;
}

void probe_left(
	struct probe_session *s, const struct weft_probe *probe, const struct weft_postcard *card)
{
	struct probe_one *one = one_of(s, probe->sequence);
	if (!one)
		return;
	one->in_ns = card->in_ns;
	one->out_ns = card->out_ns;
	if (card->action != WEFT_ACTION_drop)
		return;
	one->reason = card->reason;
	s->result.refused++;
	s->result.reason = card->reason;
}

// What an answer says of the one before it.
static void take_last(struct probe_session *s, const struct weft_probe *answer)
{
	if (!(answer->seen & WEFT_PROBE_SEEN_LAST))
		return;
	u32 last = weft_ntoh32(answer->last);
	// Answers have numbers of their own: that of the question is known when it has come.
	for (u32 back = 0; back < s->highest; back++) {
		struct probe_one *one = &s->ones[s->highest - 1 - back];
		if (!one->back_ns || one->answers_number != last)
			continue;
		one->late = true;
		one->back_late_ns = weft_ntoh32(answer->last_late);
		one->back_out = answer->seen & WEFT_PROBE_SEEN_OUT;
		one->back_out_ns = weft_ntoh32(answer->last_out);
		return;
	}
}

static void count_order(struct probe_session *s, u32 number, const struct weft_probe *answer)
{
	struct probe_result *r = &s->result;
	if (number < s->highest) // RFC 4737: it comes behind one that was sent later
		r->reordered++;
	else
		s->highest = number + 1;
	u32 count = weft_ntoh32(answer->sequence);
	if (count > r->last_count || (count == r->last_count && number > r->last_asked)) {
		r->last_count = count;
		r->last_asked = number;
	}
}

static void share_add(struct probe_share *share, u32 asked, u32 answered, u32 ns, u32 room)
{
	if (ns && share->count < room)
		share->ns[share->count++] = ns;
	share->asked = asked;
	share->answered = answered;
}

void probe_guest_answered(struct probe_session *s)
{
	const struct probe_guest *guest = &s->guest;
	share_add(&s->result.guest_from, probe_guest_asked(guest), guest->answered, guest->last_ns,
		s->count);
	probe_session_look(s);
}

// B's guest, asked over there: each time is told until there is another.
static void take_guest(struct probe_session *s, const struct weft_probe *answer)
{
	struct probe_share *share = &s->result.guest_to;
	u32 asked = weft_ntoh32(answer->guest_asked);
	u32 answered = weft_ntoh32(answer->guest_answered);
	if (!(answer->seen & WEFT_PROBE_GUEST)) {
		if (!share->why && !share->asked)
			share->why = "the weftd there does not ask it";
		return;
	}
	if (asked >= share->asked)
		share_add(share, asked, answered,
			answered > share->answered ? weft_ntoh32(answer->guest_ns) : 0, s->count);
}

void probe_answered(
	struct probe_session *s, const struct weft_probe *answer, const struct weft_postcard *card)
{
	struct probe_one *one = one_of(s, answer->asked_sequence);
	u32 number = weft_ntoh32(answer->asked_sequence);
	if (!one)
		return;
	if (one->answers++) {
		s->result.duplicates++;
		return;
	}
	one->answers_number = weft_ntoh32(answer->sequence);
	one->there_ns = probe_time_get(answer->received);
	one->there_in = answer->seen & WEFT_PROBE_SEEN_IN;
	one->there_in_ns = weft_ntoh32(answer->in_ns);
	one->back_sent_ns = probe_time_get(answer->sent);
	one->back_in_ns = card->in_ns;
	one->back_ns = card->out_ns;
	s->result.received++;
	s->result.one_clock = answer->clock == weft_hton32(probe_clock());
	take_last(s, answer);
	take_guest(s, answer);
	count_order(s, number, answer);
	probe_session_shown(s, number);
}

// Both ends are here: what the other end would say later is known now.
void probe_answer_left(
	struct probe_session *s, const struct weft_probe *answer, const struct weft_postcard *card)
{
	struct probe_one *one = one_of(s, answer->asked_sequence);
	if (!one || !card->in_ns)
		return;
	one->late = true;
	one->back_late_ns = card->in_ns - probe_time_get(answer->sent);
}

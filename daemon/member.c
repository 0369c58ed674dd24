// SPDX-License-Identifier: BSD-2-Clause
// Flood lists: who is in a network: untagged members, tagged ones, peers. The member table.
//
// A flood reads the list while it changes: a member at the end comes and goes by the count alone;
// everything else is a new list under the other epoch.
#include "daemon/member.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int put_row(struct weftd *weftd, const struct member_list *list, u32 epoch, u32 index,
	const struct weft_member_row *row)
{
	struct weft_member_key key = {list->network, epoch, index};
	return engine_put(weftd, member, &key, row);
}

static void del_rows(
	struct weftd *weftd, const struct member_list *list, u32 epoch, u32 from, u32 to)
{
	for (; from < to; from++) {
		struct weft_member_key key = {list->network, epoch, from};
		engine_del(weftd, member, &key, NULL);
	}
}

// Epoch and count stand side by side and change in one store.
static void publish(struct weftd *weftd, struct member_list *list, u32 epoch, u32 count)
{
	struct weft_network_row *row =
		weftd->engine_ops->table_at(weftd->engine, WEFT_TABLE_network, list->network);
	_Static_assert(offsetof(struct weft_network_row, member_epoch) % 8 == 0 &&
			       offsetof(struct weft_network_row, member_count) ==
				       offsetof(struct weft_network_row, member_epoch) + 4,
		"epoch and count are one word");
	list->epoch = epoch;
	list->count = count;
	if (row)
		__atomic_store_n((u64 *)(void *)&row->member_epoch, (u64)count << 32 | epoch,
			__ATOMIC_RELEASE);
}

static u32 find(const struct member_list *list, u32 port, u16 tag)
{
	u32 i = 0;
	while (i < list->count && (list->rows[i].port != port || list->rows[i].tag != tag))
		i++;
	return i;
}

// The list in memory is the new one; the engine has the old one, of old_count rows.
static int rewrite(struct weftd *weftd, struct member_list *list, u32 old_count, u32 count)
{
	u32 epoch = !list->epoch, old_epoch = list->epoch;
	for (u32 i = 0; i < count; i++) {
		int error = put_row(weftd, list, epoch, i, &list->rows[i]);
		if (error) {
			del_rows(weftd, list, epoch, 0, i);
			return error;
		}
	}
	publish(weftd, list, epoch, count);
	del_rows(weftd, list, old_epoch, 0, old_count);
	return 0;
}

static int grow(struct member_list *list)
{
	if (list->count < list->room)
		return 0;
	u32 room = list->room ? 2 * list->room : 4;
	struct weft_member_row *rows = realloc(list->rows, room * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	list->rows = rows;
	list->room = room;
	return 0;
}

static void move_rows(struct member_list *list, u32 to, u32 from, u32 count)
{
	memmove(list->rows + to, list->rows + from, count * sizeof(*list->rows));
}

// The order of a list: an untagged copy is the cheapest, an encapsulated one the dearest.
static u32 rank(u16 tag)
{
	return tag == WEFT_MEMBER_PEER ? 2 : tag != 0;
}

int member_add(
	struct weftd *weftd, struct member_list *list, u32 port, u16 tag, struct failure *failure)
{
	struct weft_member_row row = {.port = port, .tag = tag};
	u32 at = 0;
	if (find(list, port, tag) < list->count)
		return 0;
	while (at < list->count && rank(list->rows[at].tag) <= rank(tag))
		at++;
	int error = grow(list);
	if (error)
		return fail(failure, error, "no_memory", "out of memory");
	move_rows(list, at + 1, at, list->count - at);
	list->rows[at] = row;
	if (at == list->count) {
		error = put_row(weftd, list, list->epoch, at, &row);
		if (!error)
			publish(weftd, list, list->epoch, list->count + 1);
	} else {
		error = rewrite(weftd, list, list->count, list->count + 1);
	}
	if (!error)
		return 0;
	move_rows(list, at, at + 1, list->count - at);
	fail(failure, error, "table_full", "the member table is full");
	fail_hint(failure, "start weftd with a larger member table");
	return error;
}

void member_del(struct weftd *weftd, struct member_list *list, u32 port, u16 tag)
{
	u32 at = find(list, port, tag), count = list->count;
	if (at == count)
		return;
	move_rows(list, at, at + 1, count - at - 1);
	if (at < count - 1 && rewrite(weftd, list, count, count - 1) == 0)
		return;
	// The last one; or the table has no room for a second list: shorten it where it is, and a
	// flood under way may miss a member once.
	publish(weftd, list, list->epoch, count - 1);
	for (u32 i = at; i < count - 1; i++)
		put_row(weftd, list, list->epoch, i, &list->rows[i]);
	del_rows(weftd, list, list->epoch, count - 1, count);
}

void member_free(struct member_list *list)
{
	free(list->rows);
	list->rows = NULL;
}

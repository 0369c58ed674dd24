// SPDX-License-Identifier: BSD-2-Clause
// Rows of one layout into rows of another: fields are matched by the names that BTF keeps.
//
// A field that only the new layout has is zero, one that only the old has is gone; an integer that
// changed its width is widened with zeros or cut (little endian).
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/log.h>

LOG_MODULE(ebpf);

enum { PATH_BYTES = 96, LEAVES = 256, NAMES_BYTES = 256 };

// An integer somewhere in a struct: "mac.byte.3".
struct leaf {
	char path[PATH_BYTES];
	u32 offset;
	u32 bytes;
};

struct layout {
	u32 count;
	struct leaf leaf[LEAVES];
};

struct copy {
	u32 from, to, bytes;
};

struct plan {
	u32 count;
	struct copy copy[LEAVES];
};

struct conversion {
	const char *table;
	const struct ebpf_map *from;
	const struct ebpf_map *to;
	struct plan key;
	struct plan row;
	u8 *new_key;
	u8 *new_slot;
	u32 copied;
	u32 lost;
};

static const struct btf_type *resolve(const struct btf *btf, u32 *id)
{
	int resolved = btf__resolve_type(btf, *id);
	if (resolved < 0)
		return NULL;
	*id = (u32)resolved;
	return btf__type_by_id(btf, *id);
}

static int flatten(
	struct layout *layout, const struct btf *btf, u32 id, const char *path, u32 offset);

static int flatten_members(struct layout *layout, const struct btf *btf,
	const struct btf_type *type, const char *path, u32 offset)
{
	const struct btf_member *member = btf_members(type);
	for (u32 i = 0; i < btf_vlen(type); i++, member++) {
		char inner[PATH_BYTES];
		u32 bit = btf_member_bit_offset(type, i);
		const char *name = btf__name_by_offset(btf, member->name_off);
		bool joined = *path && *name;
		int n = snprintf(inner, sizeof(inner), "%s%s%s", path, joined ? "." : "", name);
		if (n >= PATH_BYTES || btf_member_bitfield_size(type, i) || bit % 8)
			return -EINVAL;
		int error = flatten(layout, btf, member->type, inner, offset + bit / 8);
		if (error)
			return error;
	}
	return 0;
}

static int flatten_array(struct layout *layout, const struct btf *btf, const struct btf_type *type,
	const char *path, u32 offset)
{
	const struct btf_array *array = btf_array(type);
	long long bytes = btf__resolve_size(btf, array->type);
	if (bytes <= 0)
		return -EINVAL;
	for (u32 i = 0; i < array->nelems; i++) {
		char inner[PATH_BYTES];
		if (snprintf(inner, sizeof(inner), "%s.%u", path, i) >= PATH_BYTES)
			return -EINVAL;
		int error = flatten(layout, btf, array->type, inner, offset + i * (u32)bytes);
		if (error)
			return error;
	}
	return 0;
}

static int flatten(
	struct layout *layout, const struct btf *btf, u32 id, const char *path, u32 offset)
{
	const struct btf_type *type = resolve(btf, &id);
	if (!type)
		return -EINVAL;
	if (btf_is_composite(type))
		return flatten_members(layout, btf, type, path, offset);
	if (btf_is_array(type))
		return flatten_array(layout, btf, type, path, offset);
	if (!btf_is_int(type) && !btf_is_any_enum(type))
		return -EINVAL;
	if (layout->count == LEAVES)
		return -E2BIG;
	struct leaf *leaf = &layout->leaf[layout->count++];
	snprintf(leaf->path, sizeof(leaf->path), "%s", path);
	leaf->offset = offset;
	leaf->bytes = type->size;
	return 0;
}

static const struct leaf *layout_find(const struct layout *layout, const char *path)
{
	for (u32 i = 0; i < layout->count; i++)
		if (strcmp(layout->leaf[i].path, path) == 0)
			return &layout->leaf[i];
	return NULL;
}

static void names_add(char names[NAMES_BYTES], const char *sign, const char *path)
{
	size_t used = strlen(names);
	snprintf(names + used, NAMES_BYTES - used, " %s%s", sign, path);
}

// What differs goes into names: "+vtep -kind ~seen_ns". False: no field in common.
static bool plan_make(struct plan *plan, const struct layout *from, const struct layout *to,
	char names[NAMES_BYTES])
{
	plan->count = 0;
	for (u32 i = 0; i < to->count; i++) {
		const struct leaf *new = &to->leaf[i], *old = layout_find(from, new->path);
		if (!old) {
			names_add(names, "+", new->path);
			continue;
		}
		if (old->bytes != new->bytes)
			names_add(names, "~", new->path);
		plan->copy[plan->count++] = (struct copy){
			.from = old->offset,
			.to = new->offset,
			.bytes = old->bytes < new->bytes ? old->bytes : new->bytes,
		};
	}
	for (u32 i = 0; i < from->count; i++)
		if (!layout_find(to, from->leaf[i].path))
			names_add(names, "-", from->leaf[i].path);
	return plan->count > 0;
}

static void plan_run(const struct plan *plan, const u8 *from, u8 *to)
{
	for (u32 i = 0; i < plan->count; i++)
		memcpy(to + plan->copy[i].to, from + plan->copy[i].from, plan->copy[i].bytes);
}

static bool plan_prepare(struct conversion *c, char names[NAMES_BYTES])
{
	struct layout *layouts = calloc(4, sizeof(*layouts));
	struct btf *from = btf__load_from_kernel_by_id(c->from->btf_id);
	struct btf *to = btf__load_from_kernel_by_id(c->to->btf_id);
	bool good = layouts && from && to && !flatten(&layouts[0], from, c->from->btf_key, "", 0) &&
		    !flatten(&layouts[1], to, c->to->btf_key, "", 0) &&
		    !flatten(&layouts[2], from, c->from->btf_row, "", 0) &&
		    !flatten(&layouts[3], to, c->to->btf_row, "", 0) &&
		    plan_make(&c->key, &layouts[0], &layouts[1], names) &&
		    plan_make(&c->row, &layouts[2], &layouts[3], names);
	btf__free(from);
	btf__free(to);
	free(layouts);
	return good;
}

static int convert_row(const void *key, const void *slot, void *context)
{
	struct conversion *c = context;
	u32 old_stride = c->from->slot_bytes / c->from->copies;
	u32 new_stride = c->to->slot_bytes / c->to->copies;

	memset(c->new_key, 0, c->to->key_bytes);
	memset(c->new_slot, 0, c->to->slot_bytes);
	plan_run(&c->key, key, c->new_key);
	for (u32 i = 0; i < c->to->copies; i++)
		plan_run(&c->row, (const u8 *)slot + (size_t)i * old_stride,
			c->new_slot + (size_t)i * new_stride);
	if (bpf_map_update_elem(c->to->fd, c->new_key, c->new_slot, BPF_ANY))
		c->lost++;
	else
		c->copied++;
	return 0;
}

static bool convert_all(struct conversion *c)
{
	c->new_key = malloc(c->to->key_bytes);
	c->new_slot = malloc(c->to->slot_bytes);
	int error = -ENOMEM;
	if (c->new_key && c->new_slot)
		error = ebpf_map_walk(c->from, convert_row, c);
	free(c->new_key);
	free(c->new_slot);
	if (error)
		log_warn("table %s: conversion ended early: %s", c->table, strerror(-error));
	return !error;
}

bool ebpf_convert(const char *table, const struct ebpf_map *from, const struct ebpf_map *to)
{
	char names[NAMES_BYTES] = "";
	struct conversion *c = calloc(1, sizeof(*c));
	if (!c)
		return false;
	c->table = table;
	c->from = from;
	c->to = to;
	bool good = from->type == to->type && from->copies == to->copies && from->btf_id &&
		    to->btf_id && plan_prepare(c, names);
	if (!good)
		log_warn(
			"table %s: the earlier layout cannot be converted; it starts empty", table);
	else if (convert_all(c))
		log_info("table %s: converted %u rows, %u did not fit, capacity %u -> %u, fields%s",
			table, c->copied, c->lost, from->capacity, to->capacity,
			*names ? names : " unchanged");
	free(c);
	return good;
}

// SPDX-License-Identifier: BSD-2-Clause
// One change of one object: checked, stored, applied, and taken back when it cannot be applied.
#pragma once

#include "daemon/object.h"

// spec is borrowed, and completed. After a failure everything is as before.
int object_add(struct weftd *weftd, const struct noun *noun, json_t *spec, struct object **out,
	struct failure *failure);
int object_set(struct weftd *weftd, struct object *object, json_t *spec, struct failure *failure);
int object_del(struct weftd *weftd, struct object *object, struct failure *failure);

// The steps, for those who change many at once.
int object_check_add(
	struct weftd *weftd, const struct noun *noun, const json_t *spec, struct failure *failure);
int object_store(struct weftd *weftd, const struct object *object, struct failure *failure);
// Applies and remembers what went wrong.
int object_apply(
	struct weftd *weftd, struct object *object, const json_t *old, struct failure *failure);

// Everything `show` says of one object. New reference.
json_t *object_show(struct weftd *weftd, const struct object *object);

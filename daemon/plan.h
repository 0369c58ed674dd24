// SPDX-License-Identifier: BSD-2-Clause
// Many changes at once: from a document to an ordered list of changes that has been checked.
#pragma once

#include "daemon/object.h"

enum change_kind { CHANGE_ADD, CHANGE_SET, CHANGE_DEL };

struct change {
	enum change_kind kind;
	const struct noun *noun;
	struct object *object; // add: made when the change is tried
	char *name;            // owned
	json_t *before;        // NULL at add; owned
	json_t *after;         // NULL at del; owned
	bool tried;            // the model has it
};

struct plan {
	struct weftd *weftd;
	struct change *changes;
	struct change **order; // as they can be made, one after the other
	size_t count, room, ordered;
};

// What makes the model equal to the document, for the nouns that it names. Changes nothing.
int plan_make(struct plan *plan, const json_t *document, struct failure *failure);
// Makes the changes in the model, each checked, in an order in which each is possible.
int plan_try(struct plan *plan, struct failure *failure);
// Takes them out of the model again. Nothing else has been touched.
void plan_undo(struct plan *plan);
void plan_free(struct plan *plan);

const char *change_word(const struct change *change); // "add"

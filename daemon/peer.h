// SPDX-License-Identifier: BSD-2-Clause
// Peers: remote VTEPs. In the engine a peer is a port whose tags are VNIs and whose way out is an
// encapsulation; it shares the ports' ids.
//
//   peer.c       the noun: words, check, apply, remove, show
//   peer_rows.c  its rows in the engine
#pragma once

#include <weft/types.h>
#include "daemon/weftd.h"

extern const struct noun noun_peer;

// One network of a limited peer.
struct peer_place {
	u32 network;
	u32 vni;
};

struct peer { // object->live: as the engine has it
	struct weft_ip address;
	bool common; // in the flood list of every network with a VNI
	struct peer_place *places;
	u32 place_count;
};

// Can any host of the overlay have this address?
int peer_check_vtep(const char *address, struct failure *failure);
// Can a host have this address while the peer has that one?
int peer_check_address(
	const char *name, const char *address, const struct weft_ip *host, struct failure *failure);

bool peer_spec_uses(const json_t *spec, const char *network); // named, or not limited at all
bool peer_in(struct weftd *weftd, const struct object *object, u32 network);
// The network's VNI has changed: so have the rows of the peers that name it.
int peers_follow(struct weftd *weftd, const struct object *network, struct failure *failure);

struct peer_state {
	const char *state;
	char why[320]; // empty: none
};
struct peer_state peer_state(struct weftd *weftd, const struct object *object);

// Rows <- spec. After an error some are of the old spec and some of the new one: apply again.
int peer_rows_set(struct weftd *weftd, struct object *object, struct failure *failure);
void peer_rows_clear(struct weftd *weftd, struct object *object);

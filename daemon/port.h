// SPDX-License-Identifier: BSD-2-Clause
// Ports: where machines and wires meet their networks.
//
//   port.c        the noun: words, apply, remove
//   port_check.c  what the words name, and whether they can be
//   port_link.c   the port and its device: find, make, mark, attach, follow, give back
//   port_rows.c   the port's rows in the engine: networks, tags, floods, limits
//   port_show.c   what show says
//   port_types.h  list 3b: the types, one file each
#pragma once

#include "daemon/link.h"
#include "daemon/weftd.h"

extern const struct noun noun_port;

struct port;

struct port_type {
	const char *name;
	const char *engine; // the only engine that has this type; NULL: every one
	// Are the words right for this type? link: the device, at add and if it is there already.
	int (*check)(const json_t *spec, const struct link *link, struct failure *failure);
	// Makes the device; it lives as long as the descriptor until keep. NULL: it must be there.
	int (*create)(const struct port *port, int *fd, struct failure *failure);
	int (*keep)(int fd, struct failure *failure); // closes fd, error or not
	// Is this existing device one? NULL: any Ethernet device.
	int (*accept)(const struct port *port, const struct link *link, struct failure *failure);
	bool follows_mtu;          // the device gets its network's mtu; else it must have it
	bool no_queue;             // no queueing discipline: the device has a queue of its own
	bool promiscuous;          // a filter in the device would keep frames from the switch
	bool host_if_addressed;    // `host` is on by default when the device has an address
	const char *carrier_state; // without carrier: "waiting" or "down",
	const char *carrier_why;   // and what that means
	// What a hypervisor needs to know (malloc). NULL: the type does not concern one.
	char *(*qemu)(struct weftd *weftd, const struct object *object);
	char *(*libvirt)(struct weftd *weftd, const struct object *object);
};

// One network of a port, and the tag it has there. 0: untagged.
struct port_place {
	u32 network;
	u32 tag;
};

struct port {                    // object->live
	struct link_watch watch; // first: the callback is given it
	struct weftd *weftd;
	struct object *object;
	const struct port_type *type;
	u32 attached;  // ifindex that the engine has; 0: none
	bool created;  // weft made the device
	bool bring_up; // it is new to weft: up once it is attached
	bool carrier;  // as the device had it last
	char *why;     // why it is not attached; owned
	// As the engine has them:
	struct weft_port_row row;
	struct port_place *places;
	u32 place_count;
};

// port.c
const struct port_type *port_type_find(const char *name);
void port_refresh(struct weftd *weftd, u32 id); // its network's mtu has changed

// port_check.c
int port_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure);
const char *port_dev(const json_t *spec); // recorded name of its device
bool port_spec_uses(const json_t *spec, const char *network);
u32 port_mtu(struct weftd *weftd, const json_t *spec); // largest of its networks
// May a port that does not follow the mtu be in a network of this one?
int port_check_mtu(struct weftd *weftd, const json_t *spec, const char *network, u32 mtu,
	struct failure *failure);

// port_link.c
// Finds or (create) makes the device and binds it. -ENODEV: there is none.
int port_link_take(struct port *port, bool create, struct failure *failure);
int port_link_attach(struct port *port, struct failure *failure); // once its rows are in
int port_link_release(struct port *port, struct failure *failure);
void port_link_changed(struct link_watch *watch, struct link *link);

// port_rows.c
bool port_tag_read(const char *text, char network[64], u32 *tag); // "blue:10"
// Rows <- spec. After an error some are of the old spec and some of the new one: apply again.
int port_rows_set(struct port *port, struct failure *failure);
void port_rows_clear(struct port *port);

// port_show.c
json_t *port_show(struct weftd *weftd, const struct object *object);
struct port_state {
	const char *state;
	char why[320]; // empty: none
};
struct port_state port_state(const struct object *object);
void port_guest_mac(struct weftd *weftd, const struct object *object, char text[18]);
int port_run_words(struct request *request); // `port show NAME qemu|libvirt`

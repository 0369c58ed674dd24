// SPDX-License-Identifier: BSD-2-Clause
// Ports: where machines and wires meet their networks.
//
//   port.c        the noun: words, apply, remove
//   port_check.c  what the words name, and whether they can be
//   port_attach.c the port and the engine: attach, detach, what the engine says of it
//   port_link.c   the port and its netdev: find, make, mark, follow, give back
//   port_direct.c a veth's other end, which takes frames at once
//   port_twin.c   a pci port that is underlay: the netdev by which the kernel has it
//   port_rows.c   the port's rows in the engine: networks, tags, floods, limits
//   port_show.c   what show says
//   port_words.c  what a hypervisor needs to hear
//   port_types.h  list 3b: the types, one file each
#pragma once

#include "daemon/link.h"
#include "daemon/weftd.h"

extern const struct noun noun_port;

struct port;

enum { PORT_PATH_BYTES = 512 };

struct port_type {
	const char *name;
	enum engine_port_kind kind; // ENGINE_PORT_NETDEV: the port has a netdev
	const char *engine;         // has this kind, and others may not; NULL: every one has it
	const char *without;        // words of ports that this type does not have: "dev host"
	const char *without_why;
	// Are the words right for this type? link: the netdev, at add and if it is there already.
	int (*check)(struct weftd *weftd, const json_t *spec, const struct link *link,
		struct failure *failure);

	// Without a netdev: where the engine finds its other end. A path stands for one port only.
	void (*path)(struct weftd *weftd, const json_t *spec, char path[PORT_PATH_BYTES]);
	// Before the engine gets it: what else it must know. NULL: nothing.
	int (*prepare)(struct port *port, struct engine_port *attach, struct failure *failure);
	// And once it has it. NULL: nothing.
	int (*settle)(
		const struct port *port, const struct engine_port *attach, struct failure *failure);

	// With one.
	// Makes the device; it lives as long as the descriptor until keep. NULL: it must be there.
	int (*create)(const struct port *port, int *fd, struct failure *failure);
	int (*keep)(int fd, struct failure *failure); // closes fd, error or not
	// Is this existing device one? NULL: any Ethernet device.
	int (*accept)(const struct port *port, const struct link *link, struct failure *failure);
	bool follows_mtu;          // the device gets its network's mtu; else it must have it
	bool no_queue;             // no queueing discipline: the device has a queue of its own
	bool xdp;                  // AF_XDP may take the device
	bool promiscuous;          // a filter in the device would keep frames from the switch
	bool host_if_addressed;    // `host` is on by default when the device has an address
	const char *carrier_state; // without carrier: "waiting" or "down",
	const char *carrier_why;   // and what that means, where the engine does not say

	// What a hypervisor needs to know (malloc). NULL: the type does not concern one.
	// memory_mb: of the VM, where the words must say it.
	char *(*qemu)(struct weftd *weftd, const struct object *object, u32 memory_mb);
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
	bool attached;          // the engine has it,
	u32 ifindex;            // with this netdev, or twin; 0: without one
	struct port_twin *twin; // NULL: it has none
	bool xdp;               // by AF_XDP, if its driver can
	struct weft_mac direct; // frames for it go to a veth's other end at once; zero: none do,
	const char *direct_why; // and why, though it was asked for; static
	bool created;           // weft made the device
	bool bring_up;          // it is new to weft: up once it is attached
	bool carrier;           // as it was last
	char *why;              // why it is not attached; owned
	// As the engine has them:
	struct weft_port_row row;
	struct port_place *places;
	u32 place_count;
};

// port.c
const struct port_type *port_type_of(const json_t *spec); // NULL: there is no such type
bool port_has_netdev(const struct port *port);
bool port_there(const struct port *port);       // it has its device
void port_refresh(struct weftd *weftd, u32 id); // its network's mtu has changed

// port_check.c
int port_check(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure);
// A word that was given to another engine stays, and says nothing.
bool port_word_stays(const struct object *old, const json_t *spec, const char *word);
const char *port_dev(const json_t *spec); // recorded name of its device; NULL: it has none
// Has this weftd's engine ports of the type?
int port_check_engine(struct weftd *weftd, const struct port_type *type, struct failure *failure);
bool port_spec_uses(const json_t *spec, const char *network);
u32 port_mtu(struct weftd *weftd, const json_t *spec); // largest of its networks
// May a port that does not follow the mtu be in a network of this one?
int port_check_mtu(struct weftd *weftd, const json_t *spec, const char *network, u32 mtu,
	struct failure *failure);

// port_attach.c
// Once its rows are in, and its netdev is bound, if it is to have one.
int port_attach(struct port *port, struct failure *failure);
void port_detach(struct port *port);
// Its other end, as its netdev or the engine has it. -ENODEV: nobody has.
int port_now(const struct port *port, struct engine_port_state *now);
bool port_xdp(const struct port *port); // is AF_XDP to take its netdev, if the driver can?
// What has taken it: "xdp", "packet"; NULL: the engine has one way only. *why: as in engine.h.
const char *port_driver(const struct port *port, const char **why);
void port_follow_carrier(struct port *port); // it may have come or gone
// What becomes of ports without a netdev comes from the engine.
int port_events_open(struct weftd *weftd, struct failure *failure);
void port_events_close(struct weftd *weftd);

// port_retry.c: what could not be attached is tried again.
void port_retry_soon(struct weftd *weftd);
void port_retry_close(struct weftd *weftd);
bool port_is_retried(const struct port *port);

// port_link.c
// Finds or (create) makes the device and binds it. -ENODEV: there is none.
int port_link_take(struct port *port, bool create, struct failure *failure);
int port_link_attach(struct port *port, struct failure *failure); // once its rows are in
int port_link_release(struct port *port, struct failure *failure);
void port_link_changed(struct link_watch *watch, struct link *link);
void port_trouble(struct port *port, const char *why); // why it is not attached; NULL: it is

// port_direct.c
// *mac: which frames are to go directly now; zero: none. Returns why not, though it was asked for:
// static; NULL: it was not, or nobody is there.
const char *port_direct_look(const struct port *port, struct weft_mac *mac);
int port_check_direct(
	struct weftd *weftd, const struct object *old, const json_t *spec, struct failure *failure);

// port_twin.c. The twin is a veth: the operator gives it addresses, and its other end, the wire, is
// the engine's. It outlives weftd and is found again by its mark.
#define PORT_TWIN_PREFIX "weft-"
bool port_twin_wanted(const json_t *spec);
// Finds or makes it, and tells the engine's part of it.
int port_twin_take(struct port *port, struct engine_port *attach, struct failure *failure);
void port_twin_follow(struct port *port); // the NIC has changed: carrier, MAC, MTU
int port_twin_release(struct port *port, struct failure *failure); // deletes it
void port_twin_forget(struct port *port);                          // weftd ends: it stays
const struct link *port_twin(const struct port *port);             // NULL: it has none
enum port_twin_end { PORT_TWIN, PORT_WIRE, PORT_TWIN_ENDS };
bool port_twin_is(const struct link_watch *watch, enum port_twin_end end); // NULL: no
bool port_twin_any(const struct link_watch *watch);
void port_twins_down(struct weftd *weftd);  // nobody carries their frames from now
void port_twins_sweep(struct weftd *weftd); // at start: those that no port has

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

// port_words.c
struct port_guest {      // the words that every type of NIC has
	char id[80];     // in QEMU
	char mac[18];    // given, or made from the port's name
	char *device;    // QEMU's -device
	char *interface; // libvirt's lines behind the source
};
// Aborts without memory.
void port_guest(struct weftd *weftd, const struct object *object, struct port_guest *guest);
void port_guest_free(struct port_guest *guest);
void port_guest_mac(struct weftd *weftd, const struct object *object, char text[18]);
extern const struct command port_commands[]; // `port show NAME qemu|libvirt`

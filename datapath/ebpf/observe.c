// SPDX-License-Identifier: BSD-2-Clause
// Observation: the program that sees a tap's reader take a frame, and the ring of postcards.
//
// The program's link is pinned like those of devices: readers are observed without weftd.
#include "datapath/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft/log.h>

#include "weft_taken.skel.h"
#include "weft_tc.skel.h"

LOG_MODULE(ebpf);

struct ebpf_cards {
	u32 left; // that are taken now
	void (*fn)(const struct weft_postcard *card, void *context);
	void *context;
};

static int take_card(void *context, void *data, size_t bytes)
{
	struct ebpf_cards *cards = ((struct engine *)context)->cards;
	if (cards && bytes >= sizeof(struct weft_postcard))
		cards->fn(data, cards->context);
	return cards && --cards->left == 0 ? -EAGAIN : 0; // this one is taken all the same
}

static int load(struct engine *engine)
{
	if (engine->taken)
		return 0;
	struct weft_taken_bpf *taken = weft_taken_bpf__open();
	int error = taken ? ebpf_share_maps(engine, taken->obj) : -errno;
	if (!error)
		error = weft_taken_bpf__load(taken);
	if (error)
		weft_taken_bpf__destroy(taken);
	else
		engine->taken = taken;
	return error;
}

static int attach(struct engine *engine)
{
	char path[EBPF_PATH_BYTES];
	int error = load(engine);
	struct bpf_link *link = error ? NULL : bpf_program__attach(engine->taken->progs.weft_taken);
	if (!error && !link)
		error = -errno;
	if (!error) {
		ebpf_pin_path(path, engine, "observe", "taken");
		error = ebpf_pin_replace(bpf_link__fd(link), path);
	}
	bpf_link__destroy(link); // the pin holds it
	return error;
}

static void detach(struct engine *engine)
{
	char path[EBPF_PATH_BYTES];
	ebpf_pin_path(path, engine, "observe", "taken");
	if (unlink(path) && errno != ENOENT)
		log_warn("%s stays: %m", path);
}

int ebpf_observe(struct engine *engine, bool taps)
{
	if (engine->observes == (taps ? EBPF_OBSERVE_TAPS : EBPF_OBSERVE_NOTHING))
		return 0;
	int error = taps ? attach(engine) : 0;
	if (error)
		return error;
	if (!taps)
		detach(engine);
	engine->observes = taps ? EBPF_OBSERVE_TAPS : EBPF_OBSERVE_NOTHING;
	return 0;
}

static struct weft_observed_row observed(struct engine *engine)
{
	u32 zero = 0;
	struct weft_observed_row row = {0};
	bpf_map_lookup_elem(bpf_map__fd(engine->program->maps.weft_observed), &zero, &row);
	return row;
}

u64 ebpf_flights(struct engine *engine)
{
	return observed(engine).flights;
}

void ebpf_observe_purge(struct engine *engine)
{
	detach(engine);
}

int ebpf_card_fd(struct engine *engine)
{
	if (!engine->ring)
		engine->ring = ring_buffer__new(
			bpf_map__fd(engine->program->maps.weft_postcards), take_card, engine, NULL);
	return engine->ring ? ring_buffer__epoll_fd(engine->ring) : -errno;
}

u64 ebpf_cards(struct engine *engine, void (*fn)(const struct weft_postcard *card, void *context),
	void *context)
{
	struct ebpf_cards cards = {ENGINE_CARDS_AT_ONCE, fn, context};
	engine->cards = &cards;
	if (engine->ring)
		ring_buffer__consume(engine->ring);
	engine->cards = NULL;
	return observed(engine).cards_lost;
}

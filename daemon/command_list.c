// SPDX-License-Identifier: BSD-2-Clause
// List 4: every command. A noun has the verbs add, set, del and show; the groups hold the others.

#include "daemon/command_table.h"

extern const struct noun noun_host, noun_network, noun_port, noun_peer, noun_fdb;
extern const struct noun noun_service, noun_backend;
extern const struct command host_commands[], port_commands[], fdb_commands[], drops_commands[];
extern const struct command cpu_commands[], latency_commands[], trace_commands[];
extern const struct command explain_commands[], path_commands[], path_measure_commands[],
	path_points_commands[], probe_commands[];
extern const struct command neighbour_commands[], connection_commands[], who_commands[];
extern const struct command log_commands[], apply_commands[], watch_commands[];

// In dependency order: an object may refer to those of earlier nouns.
const struct noun *const nouns[] = {
	&noun_host,
	&noun_network,
	&noun_port,
	&noun_peer,
	&noun_fdb,
	&noun_service,
	&noun_backend,
	NULL,
};

const struct command *const command_groups[] = {
	host_commands,
	port_commands,
	fdb_commands,
	neighbour_commands,
	who_commands,
	connection_commands,
	drops_commands,
	explain_commands,
	path_commands,
	path_measure_commands,
	path_points_commands,
	cpu_commands,
	latency_commands,
	trace_commands,
	probe_commands,
	log_commands,
	apply_commands,
	watch_commands,
	NULL,
};

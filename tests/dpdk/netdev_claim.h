// SPDX-License-Identifier: BSD-2-Clause
// Claims: what the namespace's own stack still gets of a device's frames.
#pragma once

#include "tests/dpdk/netdev_rig.h"

enum { VXLAN_PORT = 4789 };

// A guest on a tap, the host's address on it, and a socket of the host.
struct host {
	int guest;
	int socket;
	u32 ifindex;
	u8 mac[6];
	struct claim *claim;
};

static int host_socket(u16 port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
	return fd;
}

static void host_open(struct host *host, bool clsact)
{
	const char *why = "";
	struct ifreq request = {.ifr_name = "hst"};
	host->guest = guest_open("hst", OFFLOADS_ALL);
	host->ifindex = if_nametoindex("hst");
	host->socket = host_socket(5001);
	run("/sbin/ip addr add 10.0.0.1/24 dev hst; /sbin/ip neigh add 10.0.0.2 lladdr "
	    "02:00:00:00:00:aa dev "
	    "hst");
	assert_int_equal(ioctl(host->socket, SIOCGIFHWADDR, &request), 0);
	memcpy(host->mac, request.ifr_hwaddr.sa_data, 6);
	host->claim = NULL;
	assert_int_equal(claim_open(&host->claim, host->ifindex, clsact, &why), 0);
}

static void host_close(struct host *host)
{
	claim_close(host->claim);
	close(host->socket);
	close(host->guest);
}

// A datagram to the host, of a size that tells it apart.
static void host_tell(struct host *host, u16 tpid, u16 vid, u16 port, u32 size)
{
	struct shape shape = {tpid, false, UDP, size, false, 0};
	build(&sent, &shape);
	memcpy(sent.bytes, host->mac, 6);
	if (tpid)
		put16(sent.bytes + 14, vid);
	u8 *udp = sent.bytes + shape_l2(&shape) + 20;
	put16(udp + 2, port);
	put16(udp + 6, 0);
	assert_true(guest_write(host->guest, &sent));
}

// What the host's socket got first.
static int host_heard(int socket)
{
	char bytes[2048];
	assert_true(readable(socket, DEADLINE_MS));
	return (int)recv(socket, bytes, sizeof(bytes), 0);
}

static u64 statistic(const char *name)
{
	char path[128];
	unsigned long long value = 0;
	snprintf(path, sizeof(path), "/sbin/ip -s -s -j link show dev hst | jq .[0].stats64.%s",
		name);
	FILE *pipe = popen(path, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%llu", &value), 1);
	pclose(pipe);
	return value;
}

static void set_claim(struct host *host, const struct weft_claim *what)
{
	assert_int_equal(claim_set(host->claim, what), 0);
}

static void test_claims_all(void **state)
{
	(void)state;
	for (int clsact = 0; clsact < 2; clsact++) {
		struct host host;
		host_open(&host, clsact);
		host_tell(&host, 0, 0, 5001, 10); // nothing is claimed yet
		assert_int_equal(host_heard(host.socket), 10);
		u64 before = statistic("rx.packets"), drops = statistic("rx.dropped");
		set_claim(&host, &(struct weft_claim){.flags = WEFT_CLAIM_ALL});
		host_tell(&host, 0, 0, 5001, 11);
		host_tell(&host, TAG, 7, 5001, 12);
		set_claim(&host, &(struct weft_claim){0});
		host_tell(&host, 0, 0, 5001, 13);
		assert_int_equal(host_heard(host.socket), 13);
		assert_int_equal(statistic("rx.packets"), before + 3);
		assert_int_equal(statistic("rx.dropped"), drops);
		set_claim(&host, &(struct weft_claim){.flags = WEFT_CLAIM_ALL});
		claim_close(host.claim);
		host.claim = NULL;
		host_tell(&host, 0, 0, 5001, 14);
		assert_int_equal(host_heard(host.socket), 14);
		host_close(&host);
	}
}

// The host's stack is a bridge here: what comes out of it was not claimed.
static void assert_next_is(struct dpdk_port *bridge, u32 size)
{
	struct rte_mbuf *frame = port_read(bridge);
	bool tagged = rte_pktmbuf_mtod(frame, u8 *)[12] != 8;
	assert_int_equal(frame->pkt_len, (tagged ? 46 : 42) + size);
	rte_pktmbuf_free(frame);
}

static void test_claims_networks(void **state)
{
	struct host host;
	struct dpdk_port bridge;
	struct weft_claim what = {.flags = WEFT_CLAIM_TAGGED};
	(void)state;
	host_open(&host, false);
	run("/sbin/ip link add name sw type bridge && /sbin/ip link set dev sw up && /sbin/ip link "
	    "set dev hst "
	    "master sw");
	port_open(&bridge, "sw");
	memset(host.mac, 0xff, 6);

	what.vid[6 / 64] |= 1ull << 6;
	set_claim(&host, &what);
	host_tell(&host, TAG, 6, 5001, 19);
	host_tell(&host, TAG, 5, 5001, 20);
	assert_next_is(&bridge, 20);
	host_tell(&host, 0, 0, 5001, 21);
	assert_next_is(&bridge, 21);

	what.vid[5 / 64] |= 1ull << 5;
	what.vid[4095 / 64] |= 1ull << 63;
	set_claim(&host, &what);
	host_tell(&host, TAG, 5, 5001, 22);
	host_tell(&host, TAG, 4095, 5001, 23);
	host_tell(&host, TAG, 0xa000, 5001, 24); // priority-tagged: untagged
	assert_next_is(&bridge, 24);
	host_tell(&host, STAG, 5, 5001, 25);
	assert_next_is(&bridge, 25);

	what.flags |= WEFT_CLAIM_UNTAGGED;
	what.vid[5 / 64] = 0;
	set_claim(&host, &what);
	host_tell(&host, 0, 0, 5001, 26);
	host_tell(&host, TAG, 0, 5001, 27);
	host_tell(&host, TAG, 5, 5001, 28);
	assert_next_is(&bridge, 28);
	dpdk_netdev.close(&bridge);
	run("/sbin/ip link del dev sw");
	host_close(&host);
}

static const struct weft_claim underlay = {.flags = WEFT_CLAIM_UNDERLAY,
	.udp_port = VXLAN_PORT,
	.host.byte = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}};
static const struct weft_claim underlay6 = {
	.flags = WEFT_CLAIM_UNDERLAY, .udp_port = VXLAN_PORT, .host.byte = {0xfd, [15] = 1}};

static void assert_answers_arp(struct host *host)
{
	static const u8 request[] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, MARK, 10, 0, 0, 2, 0, 0,
		0, 0, 0, 0, 10, 0, 0, 1};
	build(&sent, &(struct shape){0, false, UDP, 18, false, 0});
	put16(sent.bytes + 12, WEFT_ETH_ARP);
	memcpy(sent.bytes + 14, request, sizeof(request));
	assert_true(guest_write(host->guest, &sent));
	struct iovec vector[] = {{&got.vnet, sizeof(got.vnet)}, {got.bytes, sizeof(got.bytes)}};
	do {
		assert_true(readable(host->guest, DEADLINE_MS));
		assert_true(readv(host->guest, vector, 2) > 0);
	} while (got.bytes[12] != 8 || got.bytes[13] != 6 || got.bytes[21] != 2);
}

// The guest is another host here. It hears port-unreachable for what nobody claims.
static void test_claims_underlay(void **state)
{
	struct host host;
	(void)state;
	host_open(&host, false);
	int vxlan = host_socket(VXLAN_PORT);
	set_claim(&host, &underlay);
	host_tell(&host, 0, 0, VXLAN_PORT, 30);
	host_tell(&host, TAG, 0xa000, VXLAN_PORT, 29); // priority-tagged
	host_tell(&host, 0, 0, 5001, 31);
	assert_int_equal(host_heard(host.socket), 31);
	set_claim(&host, &(struct weft_claim){0});
	host_tell(&host, 0, 0, VXLAN_PORT, 32);
	assert_int_equal(host_heard(vxlan), 32); // and not 30 or 29
	close(vxlan);

	set_claim(&host, &underlay);
	host_tell(&host, 0, 0, VXLAN_PORT, 33);
	host_tell(&host, 0, 0, 5002, 34); // nobody listens
	do {
		struct iovec vector[] = {
			{&got.vnet, sizeof(got.vnet)}, {got.bytes, sizeof(got.bytes)}};
		assert_true(readable(host.guest, DEADLINE_MS));
		assert_true(readv(host.guest, vector, 2) > 0);
	} while (got.bytes[12] != 8 || got.bytes[13] != 0 || got.bytes[23] != WEFT_IP_ICMP);
	assert_int_equal(got.bytes[34], 3); // unreachable: the datagram in it is that to 5002
	assert_int_equal(
		got.bytes[14 + 20 + 8 + 20 + 2] << 8 | got.bytes[14 + 20 + 8 + 20 + 3], 5002);
	assert_answers_arp(&host);
	host_close(&host);
}

// What the test runs as a process of its own: claims everything until it is killed.
static int hold_claim(const char *name, bool clsact)
{
	struct claim *claim;
	const char *why;
	struct weft_claim all = {.flags = WEFT_CLAIM_ALL};
	if (claim_open(&claim, if_nametoindex(name), clsact, &why) || claim_set(claim, &all))
		return 1;
	(void)!write(STDOUT_FILENO, "!", 1);
	pause();
	return 0;
}

static void test_claims_nothing_after_death(void **state)
{
	(void)state;
	for (int clsact = 0; clsact < 2; clsact++) {
		struct host host;
		int pipes[2];
		char byte;
		host_open(&host, false);
		claim_close(host.claim);
		host.claim = NULL;
		assert_int_equal(pipe(pipes), 0);
		pid_t child = fork();
		if (child == 0) {
			dup2(pipes[1], STDOUT_FILENO);
			execl("/proc/self/exe", "netdev_test", "--hold-claim", "hst",
				clsact ? "clsact" : NULL, NULL);
			_exit(1);
		}
		close(pipes[1]);
		assert_int_equal(read(pipes[0], &byte, 1), 1);
		close(pipes[0]);
		host_tell(&host, 0, 0, 5001, 40);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		// The kernel lets go of what it held a moment later.
		for (int i = 0; i < 500 && !readable(host.socket, 10); i++)
			host_tell(&host, 0, 0, 5001, 41);
		assert_int_equal(host_heard(host.socket), 41);
		const char *why;
		assert_int_equal(claim_open(&host.claim, host.ifindex, clsact, &why), 0);
		host_close(&host);
	}
}

static void test_underlay_gets_vxlan_only(void **state)
{
	struct host host;
	struct dpdk_port port;
	(void)state;
	host_open(&host, false);
	port_open_as(&port, "hst", true);
	host_tell(&host, 0, 0, VXLAN_PORT, 50); // before anything is claimed
	set_claim(&host, &underlay);
	host_tell(&host, 0, 0, 5001, 51);
	put16(sent.bytes + 14 + 20 + 2, VXLAN_PORT);
	sent.bytes[14 + 19] ^= 1; // for another host
	assert_true(guest_write(host.guest, &sent));
	host_tell(&host, TAG, 5, VXLAN_PORT, 52);
	for (u8 off = 1; off <= 4; off += 3) { // for a group, and for another station
		host.mac[0] ^= off;
		host_tell(&host, 0, 0, VXLAN_PORT, 55);
		host.mac[0] ^= off;
	}
	host_tell(&host, 0, 0, VXLAN_PORT, 53);
	struct rte_mbuf *frame = port_read(&port);
	assert_int_equal(frame->pkt_len, 42 + 53);
	assert_int_equal(frame->packet_type, 0); // nobody has looked at its checksum
	rte_pktmbuf_free(frame);
	host_tell(&host, TAG, 0xa000, VXLAN_PORT, 56);
	frame = port_read(&port);
	assert_int_equal(frame->pkt_len, 46 + 56);
	const struct virtio_net_hdr valid = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	assert_true(vnet_read(&valid, 0, true, frame)); // a NIC has looked
	assert_int_equal(frame->packet_type, DPDK_SUM_KNOWN);
	rte_pktmbuf_free(frame);
	build(&sent, &(struct shape){0, false, UDP, 57, true, 0}); // left to be done
	memcpy(sent.bytes, host.mac, 6);
	put16(sent.bytes + 14 + 20 + 2, VXLAN_PORT);
	assert_true(guest_write(host.guest, &sent));
	frame = port_read(&port);
	assert_int_equal(frame->packet_type, DPDK_SUM_KNOWN);
	rte_pktmbuf_free(frame);
	set_claim(&host, &underlay6);
	host_tell(&host, 0, 0, VXLAN_PORT, 54);
	for (u32 last = 2; last > 0; last--) { // to fd00::2, then to the host
		build(&sent, &(struct shape){0, true, UDP, 60 - last, false, 0});
		memcpy(sent.bytes, host.mac, 6);
		sent.bytes[14 + 39] = (u8)last;
		put16(sent.bytes + 14 + 40 + 2, VXLAN_PORT);
		assert_true(guest_write(host.guest, &sent));
	}
	frame = port_read(&port);
	assert_int_equal(frame->pkt_len, 62 + 59);
	rte_pktmbuf_free(frame);
	dpdk_netdev.close(&port);
	host_close(&host);
}

// SPDX-License-Identifier: BSD-2-Clause
// Offloads: what the receiving side of a device takes unfinished (checksums, superpackets).
#include "daemon/offload.h"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FEATURE_BLOCKS = 8 }; // of 32; kernel 6.18 has 64 features

// Names of netdev features, by number: the kernel's numbers differ between versions.
static struct ethtool_gstrings *feature_names;

static int ethtool(int fd, const char *device, void *data)
{
	struct ifreq request = {.ifr_data = data};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	return ioctl(fd, SIOCETHTOOL, &request);
}

static void read_names(int fd, const char *device)
{
	union {
		struct ethtool_sset_info info;
		u8 room[sizeof(struct ethtool_sset_info) + sizeof(u32)]; // info.data[1]
	} set = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES}};
	if (ethtool(fd, device, &set) || !set.info.sset_mask)
		return;
	u32 count = set.info.data[0];
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + count * ETH_GSTRING_LEN);
	if (!names)
		return;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = count;
	if (ethtool(fd, device, names))
		free(names);
	else
		feature_names = names;
}

static u32 offload_bit(const char *feature)
{
	static const struct {
		const char *feature;
		u32 bit;
	} known[] = {
		{"tx-checksum-ip-generic", OFFLOAD_checksum},
		{"tx-checksum-ipv4", OFFLOAD_checksum}, // NICs that know the protocols
		{"tx-tcp-segmentation", OFFLOAD_tso4},
		{"tx-tcp6-segmentation", OFFLOAD_tso6},
		{"tx-udp-segmentation", OFFLOAD_uso},
		{"tx-vlan-hw-insert", OFFLOAD_tag},
		{"tx-gre-segmentation", OFFLOAD_tunnel},
		{"tx-gre-csum-segmentation", OFFLOAD_tunnel},
		{"tx-ipxip4-segmentation", OFFLOAD_tunnel},
		{"tx-ipxip6-segmentation", OFFLOAD_tunnel},
		{"tx-udp_tnl-segmentation", OFFLOAD_tunnel},
		{"tx-udp_tnl-csum-segmentation", OFFLOAD_tunnel},
		{"tx-sctp-segmentation", OFFLOAD_tunnel},
	};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(known); i++) {
		if (strncmp(known[i].feature, feature, ETH_GSTRING_LEN) == 0)
			return known[i].bit;
	}
	return 0;
}

// Any socket; the names of features are known then, or there are none. -1: no socket.
static int offload_open(const char *device)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !feature_names)
		read_names(fd, device);
	return fd;
}

static u32 feature_count(void)
{
	u32 count = feature_names ? feature_names->len : 0;
	return count < 32 * FEATURE_BLOCKS ? count : 32 * FEATURE_BLOCKS;
}

static u32 feature_offload(u32 feature)
{
	return offload_bit((const char *)feature_names->data + feature * ETH_GSTRING_LEN);
}

u32 offload_get(const char *device)
{
	union {
		struct ethtool_gfeatures head;
		u8 room[sizeof(struct ethtool_gfeatures) +
			FEATURE_BLOCKS * sizeof(struct ethtool_get_features_block)];
	} features = {.head = {.cmd = ETHTOOL_GFEATURES, .size = FEATURE_BLOCKS}};
	u32 offloads = 0;
	int fd = offload_open(device);
	if (fd < 0)
		return 0;
	if (!ethtool(fd, device, &features))
		for (u32 i = 0; i < feature_count(); i++)
			if (features.head.features[i / 32].active & WEFT_BIT(i % 32))
				offloads |= feature_offload(i);
	close(fd);
	return offloads;
}

void offload_off(const char *device, u32 offloads)
{
	union {
		struct ethtool_sfeatures head;
		u8 room[sizeof(struct ethtool_sfeatures) +
			FEATURE_BLOCKS * sizeof(struct ethtool_set_features_block)];
	} features = {.head = {.cmd = ETHTOOL_SFEATURES}};
	int fd = offload_open(device);
	if (fd < 0)
		return;
	for (u32 i = 0; i < feature_count(); i++)
		if (feature_offload(i) & offloads)
			features.head.features[i / 32].valid |= WEFT_BIT(i % 32);
	features.head.size = (feature_count() + 31) / 32; // not more than the kernel has
	ethtool(fd, device, &features);
	close(fd);
}

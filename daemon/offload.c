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
	};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(known); i++) {
		if (strncmp(known[i].feature, feature, ETH_GSTRING_LEN) == 0)
			return known[i].bit;
	}
	return 0;
}

u32 offload_get(const char *device)
{
	union {
		struct ethtool_gfeatures head;
		u8 room[sizeof(struct ethtool_gfeatures) +
			FEATURE_BLOCKS * sizeof(struct ethtool_get_features_block)];
	} features = {.head = {.cmd = ETHTOOL_GFEATURES, .size = FEATURE_BLOCKS}};
	u32 offloads = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	if (!feature_names)
		read_names(fd, device);
	if (feature_names && ethtool(fd, device, &features) == 0) {
		for (u32 i = 0; i < feature_names->len && i < 32 * FEATURE_BLOCKS; i++) {
			if (features.head.features[i / 32].active & WEFT_BIT(i % 32))
				offloads |= offload_bit(
					(const char *)feature_names->data + i * ETH_GSTRING_LEN);
		}
	}
	close(fd);
	return offloads;
}

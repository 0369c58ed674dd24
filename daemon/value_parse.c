// SPDX-License-Identifier: BSD-2-Clause
// The kinds of arguments that name things of a network: devices, addresses, prefixes, tags.

#include "daemon/value_parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VIRTUAL_BYTES = 256 }; // of a device of DPDK's

// Digits only, so that " 1", "+1" and "0x1" are wrong words and not surprises.
bool value_digits(const char *text, long long *number, const char **end)
{
	const char *first = text + (*text == '-');

	if (!isdigit((unsigned char)*first))
		return false;
	errno = 0;
	*number = strtoll(text, (char **)end, 10);
	return errno == 0;
}

// "0000:01:00.0", or without the domain; *out is the long form. false: something else.
static bool pci_address(const char *text, char out[16])
{
	unsigned domain = 0, bus, device, function;
	char end;

	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text) || !strchr(text, ':') ||
		strlen(text) > 12)
		return false;
	if (sscanf(text, "%4x:%2x:%2x.%1x%c", &domain, &bus, &device, &function, &end) != 4) {
		domain = 0;
		if (sscanf(text, "%2x:%2x.%1x%c", &bus, &device, &function, &end) != 3)
			return false;
	}
	snprintf(out, 16, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, device & 0xff,
		function & 0xf);
	return device < 32 && function < 8;
}

// A virtual device of DPDK's with its arguments: "net_memif0,role=client".
static bool virtual_device(const char *text)
{
	size_t length = strlen(text), printed = 0;
	while (text[printed] > ' ' && text[printed] < 127)
		printed++;
	return strncmp(text, "net_", 4) == 0 && printed == length && length < VIRTUAL_BYTES;
}

// As the kernel's dev_valid_name(), less what would not print. A PCI address is never such a name.
json_t *value_parse_device(
	const struct argument *argument, const char *text, struct failure *failure)
{
	size_t length = strlen(text);
	char address[16];
	bool ok = length > 0 && length < IFNAMSIZ && strcmp(text, ".") != 0 &&
		  strcmp(text, "..") != 0;

	for (size_t i = 0; ok && i < length; i++)
		ok = text[i] > ' ' && text[i] < 127 && !strchr("/:%", text[i]);
	if (pci_address(text, address))
		return json_string(address);
	if (!ok && !virtual_device(text))
		return value_bad(argument, text, failure,
			"a device name (up to 15 characters, no blanks / : %) or a PCI address");
	return json_string(text);
}

json_t *value_parse_any_mac(
	const struct argument *argument, const char *text, struct failure *failure)
{
	char canonical[18];
	size_t i;

	if (strlen(text) != sizeof(canonical) - 1)
		return value_bad(
			argument, text, failure, "a MAC address, such as 02:00:00:00:00:01");
	for (i = 0; i < sizeof(canonical) - 1; i++) {
		bool colon = i % 3 == 2;

		if (colon ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
			return value_bad(argument, text, failure,
				"a MAC address, such as 02:00:00:00:00:01");
		canonical[i] = (char)tolower((unsigned char)text[i]);
	}
	canonical[i] = 0;
	return json_string(canonical);
}

json_t *value_parse_mac(const struct argument *argument, const char *text, struct failure *failure)
{
	json_t *mac = value_parse_any_mac(argument, text, failure);
	const char *wants = NULL;

	if (!mac)
		return NULL;
	if (strtoul(text, NULL, 16) & 1)
		wants = "a unicast MAC address (its first byte is odd)";
	else if (strcmp(text, "00:00:00:00:00:00") == 0)
		wants = "an address that a machine can have";
	if (!wants)
		return mac;
	json_decref(mac);
	return value_bad(argument, text, failure, wants);
}

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

json_t *value_parse_address(
	const struct argument *argument, const char *text, struct failure *failure)
{
	unsigned char address[16];
	char canonical[INET6_ADDRSTRLEN];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, address) != 1)
		return value_bad(argument, text, failure, "an IPv4 or IPv6 address");
	// Equal addresses have equal texts: one of IPv4 that is mapped to IPv6 is one of IPv4.
	if (family == AF_INET6 && memcmp(address, mapped, sizeof(mapped)) == 0)
		return json_string(
			inet_ntop(AF_INET, address + sizeof(mapped), canonical, sizeof(canonical)));
	return json_string(inet_ntop(family, address, canonical, sizeof(canonical)));
}

json_t *value_parse_prefix(
	const struct argument *argument, const char *text, struct failure *failure)
{
	char canonical[INET6_ADDRSTRLEN + 4];
	char address_text[INET6_ADDRSTRLEN];
	unsigned char address[16] = {0};
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	long long bits = family == AF_INET6 ? 128 : 32;
	const char *slash = strchr(text, '/');
	const char *end = "?";
	bool host_bits = false;
	long long length;

	if (!slash || (size_t)(slash - text) >= sizeof(address_text))
		return value_bad(argument, text, failure, "a prefix, such as 10.1.0.0/24");
	memcpy(address_text, text, (size_t)(slash - text));
	address_text[slash - text] = 0;
	if (inet_pton(family, address_text, address) != 1 ||
		!value_digits(slash + 1, &length, &end) || *end || length < 0 || length > bits)
		return value_bad(argument, text, failure, "a prefix, such as 10.1.0.0/24");
	for (long long bit = length; bit < bits; bit++) {
		unsigned char mask = (unsigned char)(0x80 >> (bit % 8));

		host_bits |= address[bit / 8] & mask;
		address[bit / 8] &= (unsigned char)~mask;
	}
	inet_ntop(family, address, address_text, sizeof(address_text));
	snprintf(canonical, sizeof(canonical), "%s/%lld", address_text, length);
	if (!host_bits)
		return json_string(canonical);
	value_bad(argument, text, failure, "a prefix: it has bits beyond its length");
	fail_hint(failure, "%s is the prefix that holds this address", canonical);
	return NULL;
}

json_t *value_parse_tag(const struct argument *argument, const char *text, struct failure *failure)
{
	const char *colon = strchr(text, ':');
	char name[VALUE_NAME_BYTES + 1];
	const char *end = "?";
	long long vid;

	if (colon && (size_t)(colon - text) < sizeof(name)) {
		memcpy(name, text, (size_t)(colon - text));
		name[colon - text] = 0;
		if (name_valid(name) && value_digits(colon + 1, &vid, &end) && *end == 0 &&
			vid >= 1 && vid <= 4094)
			return json_sprintf("%s:%lld", name, vid);
	}
	return value_bad(
		argument, text, failure, "NETWORK:VID with a VID from 1 to 4094, such as blue:10");
}

// SPDX-License-Identifier: BSD-2-Clause
// The words of health checks: what they say, and whether they can be. Words that another kind of
// check has stand there until it is chosen.
#include <errno.h>
#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/check.h"
#include "daemon/service.h"

enum { INTERVAL_SECONDS = 2, TIMEOUT_SECONDS = 1, RISE = 2, FALL = 3, PAYLOAD_BYTES = 255 };

static const char *kind_of(const json_t *service)
{
	return spec_text(service, "check", "none");
}

bool check_wanted(const json_t *service)
{
	return strcmp(kind_of(service), "none") != 0;
}

u8 check_protocol(const json_t *service)
{
	return strcmp(kind_of(service), "udp") == 0 ? WEFT_IP_UDP : WEFT_IP_TCP;
}

u64 check_interval_ms(const json_t *service)
{
	return (u64)spec_number(service, "interval_seconds", INTERVAL_SECONDS) * 1000;
}

u32 check_timeout_ms(const json_t *service)
{
	return (u32)spec_number(service, "timeout_seconds", TIMEOUT_SECONDS) * 1000;
}

u32 check_rise(const json_t *service)
{
	return (u32)spec_number(service, "rise", RISE);
}

u32 check_fall(const json_t *service)
{
	return (u32)spec_number(service, "fall", FALL);
}

bool check_keeps_all(const json_t *service)
{
	return strcmp(spec_text(service, "on_empty", "keep"), "keep") == 0;
}

u16 check_port_of(const json_t *service, const json_t *backend)
{
	long long port = spec_number(service, "check_port", 0);
	if (!port)
		port = spec_number(backend, "port", 0);
	return (u16)(port ? port : spec_number(service, "port", 0));
}

static int check_payload(const json_t *service, const char *word, struct failure *failure)
{
	u8 bytes[PAYLOAD_BYTES];
	const char *text = spec_text(service, word, "");
	if (check_payload_read(text, bytes, sizeof(bytes)) >= 0)
		return 0;
	return fail_words(
		failure, "%s: behind 0x stand pairs of hexadecimal digits: %s", word, text);
}

static int check_http(const json_t *service, struct failure *failure)
{
	const char *path = spec_text(service, "path", "/");
	const char *host = spec_text(service, "host", "h");
	const char *status = spec_text(service, "status", "200-399");
	u32 first, last;
	if (path[0] != '/' || strchr(path, ' '))
		return fail_words(failure, "path: %s does not begin with / or has a space", path);
	if (!host[0] || strchr(host, ' '))
		return fail_words(failure, "host: '%s' is not the name of a host", host);
	if (!check_status_read(status, &first, &last))
		return fail_words(failure,
			"status: %s is neither a status nor a range of them: 200, 200-399", status);
	return 0;
}

int check_words(const json_t *service, bool gateway, struct failure *failure)
{
	const char *network = spec_text(service, "network", "");
	struct weft_ip vip = address_read(spec_text(service, "vip", ""));
	const char *family = address_v4(&vip) ? "IPv4" : "IPv6";
	int error = check_http(service, failure);
	if (!error)
		error = check_payload(service, "send", failure);
	if (!error)
		error = check_payload(service, "expect", failure);
	if (!error && check_timeout_ms(service) > check_interval_ms(service))
		return fail_words(failure, "timeout: %u s is longer than the interval, %u s",
			check_timeout_ms(service) / 1000, (u32)(check_interval_ms(service) / 1000));
	if (error || !check_wanted(service))
		return error;
	if (strcmp(kind_of(service), "udp") == 0 && !spec_text(service, "send", NULL))
		return fail_words(
			failure, "check udp: say what is sent: `send TEXT` or `send 0xHEX`");
	if (gateway)
		return 0;
	fail(failure, -EINVAL, "bad_value",
		"network %s has no %s gateway: backends could not answer a check", network, family);
	return fail_hint(failure, "`network set %s gateway A` gives it one", network);
}

int check_backend_words(const json_t *service, const json_t *backend, struct failure *failure)
{
	if (!check_wanted(service) || check_port_of(service, backend))
		return 0;
	fail(failure, -EINVAL, "bad_value",
		"service %s and its backend %s have all ports: the check must know one",
		spec_text(service, "name", ""), spec_text(backend, "address", ""));
	return fail_hint(failure, "`service set %s check-port P` says which",
		spec_text(service, "name", ""));
}

// SPDX-License-Identifier: MIT
/*
 * Places: "host:port", "[v6]:port", ":port", "unix:/path"; an origin may be a
 * host alone, which is then port 443. A name is not resolved here: it must
 * only look like one. One thread at a time.
 */
#include "config_build.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_PORT 443

/* RFC 1035 section 2.3.4, as text; numeric addresses are shorter */
#define HOST_LEN_MAX 253

static int bad(const char *text, const char *what, char *why, size_t why_len)
{
	(void)snprintf(why, why_len, "\"%.200s\" %s", text, what);
	return -1;
}

static bool parse_port(const char *text, enum config_role role, uint16_t *out)
{
	unsigned long port = 0;
	size_t i;

	for (i = 0; text[i]; i++) {
		if (!isdigit((unsigned char)text[i]) || i == 5)
			return false;
		port = port * 10 + (unsigned long)(text[i] - '0');
	}
	/* 0: to listen, any that is free */
	if (!i || port > UINT16_MAX || (!port && role != CONFIG_TO_LISTEN))
		return false;
	*out = (uint16_t)port;
	return true;
}

static bool name_is_plain(const char *host, size_t len)
{
	size_t i;

	if (!len || len > HOST_LEN_MAX || host[0] == '-' || host[0] == '.')
		return false;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)host[i]) &&
		    !strchr("-._", host[i]))
			return false;
	return true;
}

/* "fe80::1%eth0" too */
static bool address_is_v6(const char *host, size_t len)
{
	const char *scope = memchr(host, '%', len);
	size_t addr_len = scope ? (size_t)(scope - host) : len;
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (addr_len >= sizeof(text))
		return false;
	memcpy(text, host, addr_len);
	text[addr_len] = '\0';
	if (inet_pton(AF_INET6, text, &addr) != 1)
		return false;
	return !scope || name_is_plain(scope + 1, len - addr_len - 1);
}

static int parse_unix(struct config_build *build, const char *text,
		      struct config_place *out, char *why, size_t why_len)
{
	const char *path = text + strlen("unix:");

	if (!*path)
		return bad(text, "has no path after unix:", why, why_len);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return bad(text, "is too long for a unix socket (107 bytes)",
			   why, why_len);
	out->path = config_string(build, path, strlen(path));
	return 0;
}

static int parse_tcp(struct config_build *build, const char *text,
		     enum config_role role, struct config_place *out, char *why,
		     size_t why_len)
{
	static const char *const shapes[] = {
		[CONFIG_TO_LISTEN] = "is no place to listen: host:port, "
				     "[v6]:port, :port or unix:/path",
		[CONFIG_TO_CONNECT] = "is no place to connect to: host:port, "
				      "[v6]:port, host or unix:/path",
	};
	static const char *const ports[] = {
		[CONFIG_TO_LISTEN] = "has no port of 0 to 65535 after the "
				     "colon",
		[CONFIG_TO_CONNECT] = "has no port of 1 to 65535 after the "
				      "colon",
	};
	const char *host = text, *end, *port;
	bool v6 = *text == '[';

	if (v6) {
		host++;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return bad(text, shapes[role], why, why_len);
		port = end[1] ? end + 2 : NULL;
		if (!address_is_v6(host, (size_t)(end - host)))
			return bad(text, "has no IPv6 address in its brackets",
				   why, why_len);
	} else {
		end = host + strcspn(host, ":");
		port = *end ? end + 1 : NULL;
		if (port && strchr(port, ':'))
			return bad(text, "has more than one colon; an IPv6 "
				   "address stands in brackets, as [::1]:443",
				   why, why_len);
	}
	if (port && !parse_port(port, role, &out->port))
		return bad(text, ports[role], why, why_len);
	if (!port && role == CONFIG_TO_LISTEN)
		return bad(text, shapes[role], why, why_len);
	if (!port)
		out->port = DEFAULT_PORT;
	if (end == host && !v6 && role == CONFIG_TO_LISTEN)
		return 0;
	if (!v6 && !name_is_plain(host, (size_t)(end - host)))
		return bad(text, shapes[role], why, why_len);
	out->host = config_string(build, host, (size_t)(end - host));
	return 0;
}

int config_place_parse(struct config_build *build, const char *text,
		       enum config_role role, struct config_place *out,
		       char *why, size_t why_len)
{
	struct config_place place = { 0 };
	int err;

	if (!strncmp(text, "unix:", 5))
		err = parse_unix(build, text, &place, why, why_len);
	else
		err = parse_tcp(build, text, role, &place, why, why_len);
	if (err)
		return err;
	place.text = config_string(build, text, strlen(text));
	*out = place;
	return 0;
}

bool config_place_same(const struct config_place *a,
		       const struct config_place *b)
{
	if (!a->path != !b->path || a->port != b->port ||
	    !a->host != !b->host)
		return false;
	if (a->path && strcmp(a->path, b->path))
		return false;
	return !a->host || !strcasecmp(a->host, b->host);
}

// SPDX-License-Identifier: MIT
/*
 * Parsing of opened control records. Everything here comes from the peer:
 * lengths are checked before they are used, a message that grows over its
 * limit ends the connection, and control records are counted against time, so
 * that a peer cannot keep us busy with messages that carry no data.
 */
#include "record.h"

#include <ktlsclient.h>

#include <errno.h>
#include <string.h>

#include "limit.h"
#include "mem.h"
#include "util.h"

int record_alert(const uint8_t *p, size_t len, bool tls13, bool *fatal,
		 uint8_t *desc)
{
	if (len != 2 || p[0] < 1 || p[0] > 2)
		return -KTC_E_RECORD;
	*desc = p[1];
	if (p[1] == ALERT_CLOSE_NOTIFY || p[1] == ALERT_USER_CANCELED)
		*fatal = false;
	else
		*fatal = tls13 || p[0] == 2;
	return 0;
}

void record_hs_fini(struct record_hs *hs)
{
	/* a ticket is worth as much as the session it stands for */
	mem_free_secret(hs->buf, hs->room);
	memset(hs, 0, sizeof(*hs));
}

static size_t message_len(const uint8_t *p)
{
	return RECORD_MESSAGE_HEAD +
	       ((size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
}

static int hs_append(struct record_hs *hs, const uint8_t *p, size_t len)
{
	uint32_t room = hs->room ? hs->room : 1024;
	uint8_t *buf;

	if (hs->len + len > LIMIT_HS_MESSAGE)
		return -KTC_E_RECORD;
	while (room < hs->len + len)
		room *= 2;
	if (room != hs->room) {
		buf = mem_zalloc(room);
		if (!buf)
			return -ENOMEM;
		if (hs->len)
			memcpy(buf, hs->buf, hs->len);
		mem_free_secret(hs->buf, hs->room);
		hs->buf = buf;
		hs->room = room;
	}
	memcpy(hs->buf + hs->len, p, len);
	hs->len += len;
	return 0;
}

/* How many bytes of p complete the message that hs has begun. */
static size_t hs_wants(const struct record_hs *hs)
{
	if (hs->len < RECORD_MESSAGE_HEAD)
		return RECORD_MESSAGE_HEAD - hs->len;
	return message_len(hs->buf) - hs->len;
}

int record_hs_feed(struct record_hs *hs, const uint8_t *p, size_t len,
		   record_hs_fn fn, void *arg)
{
	size_t n;
	int err;

	if (!len)
		return -KTC_E_RECORD; /* RFC 8446 5.1: no empty fragments */

	/* first the one that an earlier record began */
	while (hs->len && len) {
		n = MIN(hs_wants(hs), len);
		err = hs_append(hs, p, n);
		if (err)
			return err;
		p += n;
		len -= n;
		if (hs->len < RECORD_MESSAGE_HEAD || hs_wants(hs))
			continue;
		err = fn(arg, hs->buf, hs->len, !len);
		hs->len = 0;
		if (err)
			return err;
	}
	while (len >= RECORD_MESSAGE_HEAD && message_len(p) <= len) {
		n = message_len(p);
		err = fn(arg, p, n, n == len);
		if (err)
			return err;
		p += n;
		len -= n;
	}
	if (!len) {
		if (!hs->len)
			record_hs_fini(hs);
		return 0;
	}
	if (len >= RECORD_MESSAGE_HEAD && message_len(p) > LIMIT_HS_MESSAGE)
		return -KTC_E_RECORD;
	return hs_append(hs, p, len);
}

bool record_rate_take(struct record_rate *rate, uint64_t now_us)
{
	uint32_t now_ms = now_us / 1000;
	uint32_t passed = now_ms - rate->last_ms;
	uint64_t back = (uint64_t)passed * LIMIT_CONTROL_PER_S / 1000;

	if (back) {
		rate->used -= MIN(back, (uint64_t)rate->used);
		rate->last_ms = now_ms;
	}
	if (rate->used >= LIMIT_CONTROL_BURST)
		return false;
	rate->used++;
	return true;
}

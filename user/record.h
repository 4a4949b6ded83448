/* SPDX-License-Identifier: MIT */
/*
 * What a record that is not data means, once the kernel has opened it: alerts,
 * and handshake messages that may be split over records or share one.
 */
#ifndef KTC_RECORD_H
#define KTC_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_alert_code {
	ALERT_CLOSE_NOTIFY = 0,
	ALERT_UNEXPECTED_MESSAGE = 10,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_DECODE_ERROR = 50,
	ALERT_INTERNAL_ERROR = 80,
	ALERT_USER_CANCELED = 90,
	ALERT_NO_RENEGOTIATION = 100,
};

enum record_message {
	MESSAGE_HELLO_REQUEST = 0,	/* TLS 1.2 */
	MESSAGE_NEW_SESSION_TICKET = 4,
	MESSAGE_KEY_UPDATE = 24,
};

#define RECORD_MESSAGE_HEAD 4

/*
 * An alert record: 0 and *fatal, *desc; -KTC_E_RECORD if it is not exactly one
 * alert. In TLS 1.3 the level has no meaning: all but close_notify and
 * user_canceled are fatal (RFC 8446 section 6).
 */
int record_alert(const uint8_t *p, size_t len, bool tls13, bool *fatal,
		 uint8_t *desc);

/* A handshake message in the making. Zeroed is empty. */
struct record_hs {
	uint8_t *buf;		/* what came of a message that is not whole */
	uint32_t len;
	uint32_t room;
};

void record_hs_fini(struct record_hs *hs);

/*
 * Called for each whole message, header included; last: it ends the record.
 * Anything but 0 stops and is returned.
 */
typedef int (*record_hs_fn)(void *arg, const uint8_t *msg, size_t len,
			    bool last);

/*
 * One handshake record. -KTC_E_RECORD for an empty one or a message over the
 * limit, -ENOMEM, or what fn returned.
 */
int record_hs_feed(struct record_hs *hs, const uint8_t *p, size_t len,
		   record_hs_fn fn, void *arg);

/* Control records by rate: a bucket that fills with time. Zeroed is full. */
struct record_rate {
	uint32_t used;
	uint32_t last_ms;
};

bool record_rate_take(struct record_rate *rate, uint64_t now_us);

#endif /* KTC_RECORD_H */

// SPDX-License-Identifier: MIT
/*
 * The form in which sessions travel. It knows no inventory and no file. What
 * stays true, in any thread:
 *
 * - Nothing of an export is believed before its tag has been checked, and a
 *   list is given when all of it has been read.
 * - Plaintext is wiped on every way out. OpenSSL's error queue is left as it
 *   was.
 *
 * An export, with numbers in big-endian order:
 *
 *	 0   8  magic
 *	 8   4  version
 *	12   4  the flags it was made with, KTC_EXPORT_*
 *	16   8  when it was made: seconds of the wall clock
 *	24   4  how many sessions
 *	28  32  digest of the client's configuration
 *	60  32  salt
 *	92      the sessions, encrypted; the newest is the last, as it is when
 *		they are put in one by one. Each:
 *			 0  32  identity
 *			32   1  flags; 1: single use
 *			33   8  end of its life: seconds of the wall clock
 *			41   4  how many bytes follow
 *			45      DER, of i2d_SSL_SESSION(3)
 *	    16  tag
 *
 * The tag is over the first 92 bytes too. A newer version may have another
 * form from byte 12 on.
 */
#include "seal.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <string.h>

#include "aead.h"
#include "config.h"
#include "limit.h"
#include "mem.h"
#include "sys.h"
#include "ticket.h"
#include "util.h"

/*
 * Raised with every change of the form, and with every change of what goes
 * into an identity (origin.c): under the identities of before no connection
 * would find its sessions.
 */
#define SEAL_VERSION 1u
#define MAGIC_LEN 8u
#define VERSION_END (MAGIC_LEN + 4u)
#define DIGEST_OFF 28u
#define SALT_OFF 60u
#define HEAD_LEN (SALT_OFF + AEAD_SALT_LEN)

#define ENTRY_LEN (ORIGIN_SUM_LEN + 1u + 8u + 4u)
#define ENTRY_SINGLE_USE 1u

_Static_assert(KTC_EXPORT_KEY_LEN == AEAD_KEY_LEN, "the caller's key fits");

static const uint8_t magic[MAGIC_LEN] = "ktcseal";

struct head {
	uint64_t made_s;
	uint32_t flags;
	uint32_t nr;
};

/* --------------------------------------------------------------- bytes -- */

static void put_bytes(uint8_t **at, const void *p, size_t len)
{
	memcpy(*at, p, len);
	*at += len;
}

static void put_u32(uint8_t **at, uint32_t value)
{
	int shift;

	for (shift = 24; shift >= 0; shift -= 8)
		*(*at)++ = (uint8_t)(value >> shift);
}

static void put_u64(uint8_t **at, uint64_t value)
{
	put_u32(at, (uint32_t)(value >> 32));
	put_u32(at, (uint32_t)value);
}

static uint32_t u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static uint64_t u64_at(const uint8_t *p)
{
	return (uint64_t)u32_at(p) << 32 | u32_at(p + 4);
}

struct reader {
	const uint8_t *p;
	size_t left;
};

/* The next len bytes, or NULL where there are not as many. */
static const uint8_t *get(struct reader *reader, size_t len)
{
	const uint8_t *p = reader->p;

	if (len > reader->left)
		return NULL;
	reader->p += len;
	reader->left -= len;
	return p;
}

/* ---------------------------------------------------------------- pack -- */

/*
 * What is left out has no DER: a session that OpenSSL has spoilt, for its mark
 * would be lost on the way, one that cannot be encoded, and one too large.
 */
static void item_encode(struct seal_item *item)
{
	const SSL_SESSION *session = item->ticket->session;
	uint8_t *der = NULL;
	int len;

	if (!SSL_SESSION_is_resumable(session))
		return;
	len = i2d_SSL_SESSION(session, &der);
	if (len <= 0)
		return;
	if ((size_t)len > LIMIT_SEALED_SESSION) {
		OPENSSL_clear_free(der, (size_t)len);
		return;
	}
	item->der = der;
	item->der_len = (size_t)len;
}

static void item_wipe(struct seal_item *item)
{
	OPENSSL_clear_free(item->der, item->der_len);
	item->der = NULL;
}

/* The bytes and, in head, the number of those that go: the newest that fit. */
static size_t list_encode(struct seal_list *list, struct head *head)
{
	size_t i, len = HEAD_LEN + AEAD_TAG_LEN;
	struct seal_item *item;

	for (i = 0; i < list->nr; i++) {
		item = &list->items[i];
		item_encode(item);
		if (!item->der)
			continue;
		if (len + ENTRY_LEN + item->der_len > LIMIT_SEALED_BYTES) {
			item_wipe(item);
			continue;
		}
		len += ENTRY_LEN + item->der_len;
		head->nr++;
	}
	return len;
}

/* Ends a pack: what was encoded is in the bytes, or nothing is. */
static void list_wipe(struct seal_list *list, bool packed)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		list->items[i].packed = packed && list->items[i].der;
		item_wipe(&list->items[i]);
	}
}

static void write_head(uint8_t **at, const struct head *head,
		       const struct config *config,
		       const uint8_t salt[AEAD_SALT_LEN])
{
	put_bytes(at, magic, MAGIC_LEN);
	put_u32(at, SEAL_VERSION);
	put_u32(at, head->flags);
	put_u64(at, head->made_s);
	put_u32(at, head->nr);
	put_bytes(at, config->digest, sizeof(config->digest));
	put_bytes(at, salt, AEAD_SALT_LEN);
}

static void write_items(uint8_t **at, const struct seal_list *list)
{
	const struct seal_item *item;
	size_t i;

	for (i = list->nr; i-- > 0;) {
		item = &list->items[i];
		if (!item->der)
			continue;
		put_bytes(at, item->id, ORIGIN_SUM_LEN);
		*(*at)++ = item->ticket->single_use ? ENTRY_SINGLE_USE : 0;
		put_u64(at, item->ticket->expires_s);
		put_u32(at, (uint32_t)item->der_len);
		put_bytes(at, item->der, item->der_len);
	}
}

/* How an export is sealed; head has the salt. */
static struct aead sealing(const uint8_t key[KTC_EXPORT_KEY_LEN],
			   const uint8_t head[HEAD_LEN])
{
	return (struct aead){
		.key = key,
		.salt = head + SALT_OFF,
		.purpose = "ktlsclient export 1",
		.head = head,
		.head_len = HEAD_LEN,
	};
}

/* In one allocation, encrypted where it lies. */
static int list_seal(const struct config *config,
		     const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
		     struct seal_list *list, struct sealed *out)
{
	struct head head = { .made_s = sys->time_s(), .flags = flags };
	size_t len = list_encode(list, &head);
	uint8_t salt[AEAD_SALT_LEN], *bytes, *at;
	struct aead aead;
	int err;

	if (RAND_bytes(salt, sizeof(salt)) != 1)
		return -KTC_E_OPENSSL;
	bytes = mem_zalloc(len);
	if (!bytes)
		return -ENOMEM;
	at = bytes;
	write_head(&at, &head, config, salt);
	write_items(&at, list);
	aead = sealing(key, bytes);
	err = aead_seal(&aead, bytes + HEAD_LEN, len - HEAD_LEN - AEAD_TAG_LEN,
			at);
	if (err) {
		mem_free_secret(bytes, len);
		return err;
	}
	out->bytes = bytes;
	out->len = len;
	return (int)head.nr;
}

int seal_pack(const struct config *config,
	      const uint8_t key[KTC_EXPORT_KEY_LEN], uint32_t flags,
	      struct seal_list *list, struct sealed *out)
{
	int ret;

	ERR_set_mark();
	ret = list_seal(config, key, flags, list, out);
	ERR_pop_to_mark();
	list_wipe(list, ret >= 0);
	return ret;
}

/* -------------------------------------------------------------- unpack -- */

static int check_form(const uint8_t *bytes, size_t len)
{
	if (len < VERSION_END || memcmp(bytes, magic, MAGIC_LEN) != 0)
		return -KTC_E_SEAL;
	if (u32_at(bytes + MAGIC_LEN) != SEAL_VERSION)
		return -KTC_E_SEAL_VERSION;
	if (len < HEAD_LEN + AEAD_TAG_LEN || len > LIMIT_SEALED_BYTES)
		return -KTC_E_SEAL;
	return 0;
}

/*
 * The session's own time goes back as well: OpenSSL takes one that is to come
 * for one long ago, and would not offer it.
 */
static void set_back(SSL_SESSION *session, uint64_t by_s)
{
	uint64_t made_s = (uint64_t)SSL_SESSION_get_time(session);

	/* the result is of no use to anybody */
	(void)SSL_SESSION_set_time(session, (long)(made_s - by_s));
}

/*
 * The end of its life by our clock. One that is behind the exporter's would
 * make a life longer: then it counts from now, with what was left of it.
 */
static uint64_t expiry(uint64_t expires_s, uint64_t made_s, uint64_t now_s)
{
	uint64_t from_s = MAX(made_s, now_s);

	if (expires_s <= from_s)
		return 0;
	return now_s + MIN(expires_s - from_s, (uint64_t)LIMIT_TICKET_LIFE_S);
}

/*
 * OpenSSL raises the cause first and then what it was found in. Where the
 * caller has left errors of its own, the cause is behind them and out of
 * sight, and the last one has to do.
 */
static int decode(const uint8_t *der, size_t len, SSL_SESSION **out)
{
	bool others = ERR_peek_error();
	const uint8_t *p = der;
	SSL_SESSION *session = d2i_SSL_SESSION(NULL, &p, (long)len);
	unsigned long cause;

	if (!session) {
		cause = others ? ERR_peek_last_error() : ERR_peek_error();
		return ERR_GET_REASON(cause) == ERR_R_MALLOC_FAILURE ?
		       -ENOMEM : -KTC_E_SEAL;
	}
	if (p != der + len) {
		SSL_SESSION_free(session);
		return -KTC_E_SEAL;
	}
	*out = session;
	return 0;
}

static int make_ticket(const uint8_t *der, size_t len, uint64_t back_s,
		       uint64_t expires_s, struct ticket **out)
{
	SSL_SESSION *session;
	int err;

	err = decode(der, len, &session);
	if (err)
		return err;
	if (back_s)
		set_back(session, back_s);
	err = ticket_restore(session, expires_s, out);
	if (!err)
		return 0;
	SSL_SESSION_free(session);
	return err == -KTC_E_UNSUPPORTED ? -KTC_E_SEAL : err;
}

static int read_item(struct reader *reader, const struct head *head,
		     uint64_t now_s, struct seal_item *item)
{
	const uint8_t *p = get(reader, ENTRY_LEN), *der;
	struct ticket *ticket;
	uint64_t expires_s;
	uint32_t len;
	int err;

	if (!p)
		return -KTC_E_SEAL;
	expires_s = expiry(u64_at(p + ORIGIN_SUM_LEN + 1), head->made_s, now_s);
	len = u32_at(p + ORIGIN_SUM_LEN + 9);
	der = len <= LIMIT_SEALED_SESSION ? get(reader, len) : NULL;
	if (!der)
		return -KTC_E_SEAL;
	err = make_ticket(der, len, head->made_s - MIN(head->made_s, now_s),
			  expires_s, &ticket);
	if (err)
		return err;
	if (p[ORIGIN_SUM_LEN] != (ticket->single_use ? ENTRY_SINGLE_USE : 0)) {
		ticket_put(ticket);
		return -KTC_E_SEAL;
	}
	item->ticket = ticket;
	memcpy(item->id, p, ORIGIN_SUM_LEN);
	return origin_id_place(item->id);
}

static int read_items(struct reader *reader, const struct head *head,
		      struct seal_list *list)
{
	uint64_t now_s = sys->time_s();
	size_t i;
	int err;

	if (head->nr > reader->left / ENTRY_LEN)
		return -KTC_E_SEAL;
	list->items = mem_zalloc(head->nr * sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	list->nr = head->nr;
	for (i = 0; i < list->nr; i++) {
		err = read_item(reader, head, now_s, &list->items[i]);
		if (err)
			return err;
	}
	return reader->left ? -KTC_E_SEAL : 0;
}

/* Authenticates before it says anything but the version. */
static int open_sealed(const struct config *config,
		       const uint8_t key[KTC_EXPORT_KEY_LEN],
		       const struct sealed *sealed, uint8_t *plain,
		       struct head *head)
{
	size_t len = sealed->len - HEAD_LEN - AEAD_TAG_LEN;
	const uint8_t *bytes = sealed->bytes;
	const struct aead aead = sealing(key, bytes);
	int err;

	err = aead_open(&aead, plain, bytes + HEAD_LEN, len,
			bytes + HEAD_LEN + len);
	if (err)
		return err;
	head->flags = u32_at(bytes + VERSION_END);
	head->made_s = u64_at(bytes + VERSION_END + 4);
	head->nr = u32_at(bytes + VERSION_END + 12);
	if (head->flags & ~SEAL_FLAGS)
		return -KTC_E_SEAL_VERSION;
	if (memcmp(bytes + DIGEST_OFF, config->digest, sizeof(config->digest)))
		return -KTC_E_SEAL_CONFIG;
	return 0;
}

void seal_list_drop(struct seal_list *list)
{
	while (list->nr)
		ticket_put(list->items[--list->nr].ticket);
	mem_free(list->items);
}

int seal_unpack(const struct config *config,
		const uint8_t key[KTC_EXPORT_KEY_LEN],
		const struct sealed *sealed, struct seal_list *out)
{
	struct seal_list list = { 0 };
	struct reader reader;
	struct head head;
	uint8_t *plain;
	size_t len;
	int err;

	err = check_form(sealed->bytes, sealed->len);
	if (err)
		return err;
	len = sealed->len - HEAD_LEN - AEAD_TAG_LEN;
	plain = mem_zalloc(len);
	if (!plain)
		return -ENOMEM;
	ERR_set_mark();
	err = open_sealed(config, key, sealed, plain, &head);
	reader = (struct reader){ .p = plain, .left = len };
	if (!err)
		err = read_items(&reader, &head, &list);
	ERR_pop_to_mark();
	mem_free_secret(plain, len);
	if (err)
		seal_list_drop(&list);
	else
		*out = list;
	return err;
}

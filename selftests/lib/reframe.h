/* SPDX-License-Identifier: MIT */
/*
 * Re-framing of what an OpenSSL server writes: its records are opened, and
 * sealed anew with sequence numbers of our own. So a test can cut a handshake
 * message over records, put two into one, or slip in records that OpenSSL
 * would never write, and the client still sees one unbroken sequence.
 */
#ifndef SELFTESTS_REFRAME_H
#define SELFTESTS_REFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "bytes.h"

#define RECORD_HEADER_LEN	5
#define RECORD_TAG_LEN		16
/* Header, a plaintext well beyond the limit, content type, nonce, tag. */
#define RECORD_BUF_LEN		(16640 + 64)

#define RECORD_CCS		20
#define RECORD_ALERT		21
#define RECORD_HANDSHAKE	22
#define RECORD_DATA		23

#define MSG_NEW_SESSION_TICKET	4
#define MSG_KEY_UPDATE		24

/**
 * struct record_keys - one direction's keys at one time
 * @cipher: the AEAD
 * @md: the suite's hash
 * @ctx: scratch context
 * @version: TLS1_2_VERSION or TLS1_3_VERSION
 * @explicit_nonce: TLS 1.2 AES-GCM: 8 bytes of the nonce are in the record
 * @secret: TLS 1.3: the application traffic secret
 * @secret_len: its bytes
 * @key: the AEAD key
 * @iv: TLS 1.3 and ChaCha20: mixed with @seq; else the 4 bytes of salt
 * @seq: sequence number of the next record
 * @nonce: explicit nonce of the next record sealed
 */
struct record_keys {
	const EVP_CIPHER *cipher;
	const EVP_MD *md;
	EVP_CIPHER_CTX *ctx;
	int version;
	bool explicit_nonce;
	uint8_t secret[EVP_MAX_MD_SIZE];
	size_t secret_len;
	uint8_t key[EVP_MAX_KEY_LENGTH];
	uint8_t iv[12];
	uint64_t seq;
	uint64_t nonce;
};

/**
 * struct reframe - a server's outgoing records
 * @in: keys as OpenSSL has them
 * @out: keys as the client sees them
 * @armed: the keys are known
 * @started: OpenSSL has written a record under them
 * @diverged: @in and @out differ: every record is sealed anew
 * @open_all: open every record, not only those that may be a KeyUpdate;
 *	needed when records are padded
 * @capture: if not NULL, handshake messages go here in place of the client
 */
struct reframe {
	struct record_keys in;
	struct record_keys out;
	bool armed;
	bool started;
	bool diverged;
	bool open_all;
	struct bytes *capture;
};

/**
 * reframe_arm_tls13() - keys from a TLS 1.3 server application traffic secret
 * @rs: zeroed
 * @cipher: the suite
 * @secret: SERVER_TRAFFIC_SECRET_0
 * @len: its bytes
 *
 * Return: 0; -ENOTSUP for another suite than the three; -EIO.
 */
int reframe_arm_tls13(struct reframe *rs, const SSL_CIPHER *cipher,
		      const uint8_t *secret, size_t len);

/**
 * reframe_arm_tls12() - keys from a TLS 1.2 server's master secret
 * @rs: zeroed
 * @ssl: a server that has written its ChangeCipherSpec
 *
 * Return: as reframe_arm_tls13().
 */
int reframe_arm_tls12(struct reframe *rs, SSL *ssl);

void reframe_fini(struct reframe *rs);

/**
 * reframe_feed() - pass on one record OpenSSL wrote
 * @rs: armed or not
 * @rec: the record, header included
 * @len: its bytes
 * @out: receives what goes to the client
 *
 * Records of the handshake, which do not open under the application keys,
 * pass as they are.
 *
 * Return: 0; -ENOMEM; -EBADMSG when an application record does not open.
 */
int reframe_feed(struct reframe *rs, const uint8_t *rec, size_t len,
		 struct bytes *out);

/**
 * reframe_send() - seal a record of our own
 * @rs: armed
 * @type: content type
 * @data: content
 * @len: its bytes
 * @out: receives the record
 *
 * A KeyUpdate needs reframe_next_keys() behind it.
 *
 * Return: 0; -ENOMEM; -EIO.
 */
int reframe_send(struct reframe *rs, uint8_t type, const void *data, size_t len,
		 struct bytes *out);

/**
 * reframe_next_keys() - the client's side has seen a KeyUpdate of ours
 * @rs: armed, TLS 1.3
 *
 * OpenSSL knows nothing of it and goes on with its keys.
 *
 * Return: 0 or -EIO.
 */
int reframe_next_keys(struct reframe *rs);

#endif /* SELFTESTS_REFRAME_H */

/* SPDX-License-Identifier: MIT */
/*
 * libktlsclient: a TLS client whose records are the kernel's work.
 *
 * OpenSSL does the handshake and the resumption; the negotiated keys go to
 * kernel TLS; io_uring moves the records. Three objects:
 *
 *   struct ktc_client  what threads share: configuration, trust, sessions.
 *                      Immutable after ktc_client_new(); any thread.
 *   struct ktc_loop    one thread's ring and its connections.
 *   struct ktc_conn    one connection; belongs to its loop.
 *
 * The style is completion: a call starts something, ktc_loop_events() tells
 * how it went. Errors are one int: 0 or a count, or negative, -errno or
 * -KTC_E_*. A function that fails changes nothing unless it says so.
 */
#ifndef KTLSCLIENT_H
#define KTLSCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <ktlsclient_version.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KTC_API __attribute__((visibility("default")))

struct ktc_client;
struct ktc_loop;
struct ktc_conn;

/* ------------------------------------------------------------- errors -- */

/**
 * enum ktc_error - error codes of the library's own, returned negative
 *
 * They start above the kernel's largest errno (4095), so that one int holds
 * either. ktc_strerror() has a sentence for each.
 */
enum ktc_error {
	KTC_E_BASE = 4096,

	/* usage */
	KTC_E_OPTION = KTC_E_BASE,	/* an option's value makes no sense */
	KTC_E_CONFIG_FILE,		/* CA, CRL, cert or key file unusable */
	KTC_E_STATE,			/* not possible in this state */
	KTC_E_POLICY,			/* the configuration forbids it */

	/* reaching the peer */
	KTC_E_RESOLVE,			/* the name has no usable address */
	KTC_E_CONNECT_TIMEOUT,
	KTC_E_HANDSHAKE_TIMEOUT,
	KTC_E_IDLE_TIMEOUT,
	KTC_E_CLOSE_TIMEOUT,
	KTC_E_BUDGET,			/* no full handshake allowed in time */

	/* the peer's identity */
	KTC_E_VERIFY,			/* chain not trusted, other reasons */
	KTC_E_VERIFY_HOST,		/* certificate is for another name */
	KTC_E_VERIFY_EXPIRED,		/* certificate not valid at this time */
	KTC_E_VERIFY_CA,		/* issuer unknown */
	KTC_E_VERIFY_REVOKED,		/* on a CRL */

	/* the protocol */
	KTC_E_HANDSHAKE,		/* TLS handshake failed */
	KTC_E_ALERT,			/* the peer sent a fatal alert */
	KTC_E_RECORD,			/* record malformed or too large */
	KTC_E_DECRYPT,			/* record failed authentication */
	KTC_E_UNEXPECTED,		/* message not allowed here */
	KTC_E_TRUNCATED,		/* end of file without close_notify */
	KTC_E_FLOOD,			/* too many control records */
	KTC_E_KEY_UPDATE,		/* kernel cannot follow a KeyUpdate */
	KTC_E_KEY_LIMIT,		/* AEAD record limit reached */

	/* what is carried over: exported sessions, detached connections */
	KTC_E_SEAL,			/* another key, or not as sealed */
	KTC_E_SEAL_VERSION,		/* of a version that is not ours */
	KTC_E_SEAL_CONFIG,		/* of a client configured otherwise */
	KTC_E_ADOPT,			/* no state of this connection's */

	/* the system */
	KTC_E_HANDOVER,			/* kernel took TLS_TX, refused TLS_RX */
	KTC_E_UNSUPPORTED,		/* not possible on this kernel */
	KTC_E_OPENSSL,			/* OpenSSL failed inside */
	KTC_E_INTERNAL,			/* a bug of ours */
	KTC_E_CANCELED,			/* the caller aborted */

	KTC_E_END
};

/**
 * enum ktc_class - what callers branch on
 * @KTC_CLASS_NONE: no error
 * @KTC_CLASS_AGAIN: try again later; nothing was lost (queue full, no memory
 *	for now)
 * @KTC_CLASS_CLOSED: the connection ended in an orderly way, or was aborted
 *	by the caller
 * @KTC_CLASS_NETWORK: the peer was not reached, or the network broke
 * @KTC_CLASS_TIMEOUT: a deadline passed
 * @KTC_CLASS_PEER: the peer is not who it should be, or refused us
 * @KTC_CLASS_PROTOCOL: what the peer sent is not TLS as agreed
 * @KTC_CLASS_UNSUPPORTED: this kernel, OpenSSL or policy cannot do it
 * @KTC_CLASS_USAGE: the caller's mistake
 * @KTC_CLASS_SYSTEM: the system refused (memory, descriptors, permissions)
 * @KTC_CLASS_INTERNAL: a bug of the library
 */
enum ktc_class {
	KTC_CLASS_NONE,
	KTC_CLASS_AGAIN,
	KTC_CLASS_CLOSED,
	KTC_CLASS_NETWORK,
	KTC_CLASS_TIMEOUT,
	KTC_CLASS_PEER,
	KTC_CLASS_PROTOCOL,
	KTC_CLASS_UNSUPPORTED,
	KTC_CLASS_USAGE,
	KTC_CLASS_SYSTEM,
	KTC_CLASS_INTERNAL,
};

/**
 * enum ktc_reason - why a connection is not offloaded, not resumed, or not
 * relayed by the kernel module
 *
 * KTC_WHY_NOTHING means there is nothing to explain: it is.
 */
enum ktc_reason {
	KTC_WHY_NOTHING = 0,

	/* not offloaded */
	KTC_WHY_POLICY,			/* plane policy is never */
	KTC_WHY_NOT_YET,		/* auto: too few bytes so far */
	KTC_WHY_NO_KTLS,		/* kernel has no kTLS (tls.ko) */
	KTC_WHY_NO_SUITE,		/* kernel lacks the cipher */
	KTC_WHY_ULP_REFUSED,		/* TCP_ULP refused, see os_errno */
	KTC_WHY_PEER_FIN,		/* the peer's FIN came before TCP_ULP */
	KTC_WHY_NOT_TCP,		/* unix socket: no kTLS there */
	KTC_WHY_TX_REFUSED,		/* TLS_TX refused, nothing changed */

	/* not resumed */
	KTC_WHY_NO_SESSION,		/* the inventory had none */
	KTC_WHY_EXPIRED,		/* it had only expired ones */
	KTC_WHY_TAKEN,			/* all are with other connections */
	KTC_WHY_DECLINED,		/* the server chose a full handshake */
	KTC_WHY_RESUME_OFF,		/* resumption is switched off */

	/* not relayed by the kernel module */
	KTC_WHY_RELAY_LOOP,		/* KTC_RELAY_LOOP was asked for */
	KTC_WHY_USER_PLANE,		/* the records are OpenSSL's */
	KTC_WHY_NO_MODULE,		/* no /dev/ktlsclient that we know */
	KTC_WHY_MODULE_BUSY,		/* relays_max, memory or descriptors */
	KTC_WHY_MODULE_REFUSED,		/* it refused these sockets */
	KTC_WHY_HALF_CLOSED,		/* a side had ended before */
	KTC_WHY_REKEYING,		/* left it for a KeyUpdate; for now */

	KTC_WHY_NR
};

/**
 * ktc_strerror() - one sentence for an error code
 * @err: what a function returned, 0 or negative (-errno or -KTC_E_*)
 *
 * Context: any thread.
 * Return: a static string, never NULL.
 */
KTC_API const char *ktc_strerror(int err);

/**
 * ktc_error_name() - an error code's name, for logs and metrics
 * @err: what a function returned, 0 or negative
 *
 * Context: any thread.
 * Return: a static string like "KTC_E_VERIFY_HOST" or "ECONNRESET", never
 * NULL.
 */
KTC_API const char *ktc_error_name(int err);

/**
 * ktc_error_class() - what kind of error this is
 * @err: what a function returned, 0 or negative
 *
 * Context: any thread.
 */
KTC_API enum ktc_class ktc_error_class(int err);

/**
 * ktc_class_name() - an error class in one lower-case word
 * @class_: a class
 *
 * Context: any thread.
 * Return: a static string, never NULL.
 */
KTC_API const char *ktc_class_name(enum ktc_class class_);

/**
 * ktc_reason_str() - one sentence for a reason code
 * @why: a reason
 *
 * Context: any thread.
 * Return: a static string, never NULL.
 */
KTC_API const char *ktc_reason_str(enum ktc_reason why);

/**
 * ktc_version() - the library's version at run time
 *
 * Context: any thread.
 * Return: a static string like "0.1.0".
 */
KTC_API const char *ktc_version(void);

/* ------------------------------------------------------------- client -- */

/**
 * enum ktc_policy - which plane carries a connection's records
 * @KTC_POLICY_DEFAULT: as the client says; for a client, KTC_POLICY_AUTO
 * @KTC_POLICY_AUTO: the user plane first, the kernel plane once the
 *	connection has carried enough bytes, or when sendfile or detach asks
 * @KTC_POLICY_ALWAYS: the kernel plane from the first record on, where the
 *	kernel can; where not, the user plane, with a reason
 * @KTC_POLICY_NEVER: the user plane
 */
enum ktc_policy {
	KTC_POLICY_DEFAULT,
	KTC_POLICY_AUTO,
	KTC_POLICY_ALWAYS,
	KTC_POLICY_NEVER,
};

/* ktc_client_opts.flags */
#define KTC_CLIENT_INSECURE_NO_VERIFY	(1U << 0) /* any certificate will do */
#define KTC_CLIENT_NO_RESUME		(1U << 1) /* keep, offer no session */
#define KTC_CLIENT_KEYLOG_ENV		(1U << 2) /* honour SSLKEYLOGFILE */
#define KTC_CLIENT_CRL_CHECK_ALL	(1U << 3) /* CRLs for the whole chain */
#define KTC_CLIENT_FASTOPEN		(1U << 4) /* TCP Fast Open, if it can */

#define KTC_TLS1_2 0x0303
#define KTC_TLS1_3 0x0304

/**
 * typedef ktc_keylog_fn - receives key log lines (NSS key log format)
 * @arg: ktc_client_opts.keylog_arg
 * @line: one line without newline; borrowed, holds secrets
 *
 * Called from any thread that runs a loop with connections of the client.
 */
typedef void (*ktc_keylog_fn)(void *arg, const char *line);

/**
 * struct ktc_client_opts - a client's configuration
 * @size: sizeof(struct ktc_client_opts); bytes the library does not know
 *	must be zero
 * @flags: KTC_CLIENT_*
 * @policy: the plane, unless a connection says otherwise
 * @ca_file: PEM file of trust anchors; with @ca_dir NULL too: the system's
 * @ca_dir: directory of hashed trust anchors
 * @crl_file: PEM file of revocation lists; checks the leaf certificate, or
 *	the whole chain with KTC_CLIENT_CRL_CHECK_ALL
 * @cert_file: PEM chain to present when the server asks for a certificate
 * @key_file: PEM private key for @cert_file; required with it
 * @alpn: protocols to offer, comma-separated, best first, e.g.
 *	"h2,http/1.1"; NULL offers none
 * @tls12_ciphers: TLS 1.2 suites, OpenSSL names, colon-separated; NULL: AEAD
 *	suites the kernel knows, AES-128-GCM first
 * @tls13_suites: the same for TLS 1.3
 * @groups: key exchange groups, colon-separated; NULL: "X25519:P-256"
 * @version_min: KTC_TLS1_2 or KTC_TLS1_3; 0: KTC_TLS1_2
 * @version_max: 0: KTC_TLS1_3
 * @auto_bytes: bytes, both directions together and those that wait to be sent
 *	with them, at which @policy auto moves a connection to the kernel
 *	plane; 0: 262144
 * @connect_timeout_ms: the wait for the budget, name resolution and TCP,
 *	together; 0: 10000
 * @handshake_timeout_ms: the TLS handshake and the handover; 0: 10000
 * @idle_timeout_ms: longest time without a byte either way; 0: no limit
 * @close_timeout_ms: how long ktc_conn_close() may take; 0: 5000
 * @send_queue_max: bytes that may wait in one connection's send queue; 0:
 *	1048576
 * @sessions_max: sessions kept, of all identities; 0: 10000
 * @tickets_per_identity: TLS 1.3 tickets kept for one identity at most; how
 *	many it is follows the connections that were under way at once, from
 *	4 up; 0: 256
 * @keylog: receives key log lines; NULL: nobody
 * @keylog_arg: passed to @keylog
 * @sessions_bytes_max: memory for the sessions and what holds them, in bytes;
 *	0: 64 MiB
 * @full_per_s: full handshakes that may begin in a second with one identity;
 *	0: any number. A connection over it waits before it connects, takes a
 *	session if one comes meanwhile, and ends in -KTC_E_BUDGET at the
 *	connect deadline.
 * @full_at_once: the same for full handshakes under way; 0: any number
 * @keepalive_ms: TCP connections that the library makes are probed when idle
 *	for so long, in whole seconds, rounded up; the server that answers no
 *	probe for as long again ends it with -ETIMEDOUT; 0: not probed
 *
 * KTC_CLIENT_FASTOPEN (RFC 7413) saves a round trip where the kernel has the
 * server's cookie: the ClientHello goes with the SYN. It is a hint, and used
 * for the only address of a server, or the last one, since the connect ends
 * before it is known that the server is there.
 *
 * Everything is copied by ktc_client_new(); files are read there, once.
 */
struct ktc_client_opts {
	size_t size;
	uint32_t flags;
	enum ktc_policy policy;
	const char *ca_file;
	const char *ca_dir;
	const char *crl_file;
	const char *cert_file;
	const char *key_file;
	const char *alpn;
	const char *tls12_ciphers;
	const char *tls13_suites;
	const char *groups;
	uint16_t version_min;
	uint16_t version_max;
	uint32_t reserved0;
	uint64_t auto_bytes;
	uint32_t connect_timeout_ms;
	uint32_t handshake_timeout_ms;
	uint32_t idle_timeout_ms;
	uint32_t close_timeout_ms;
	uint32_t send_queue_max;
	uint32_t sessions_max;
	uint32_t tickets_per_identity;
	uint32_t reserved1;
	ktc_keylog_fn keylog;
	void *keylog_arg;
	uint64_t sessions_bytes_max;
	uint32_t full_per_s;
	uint32_t full_at_once;
	uint32_t keepalive_ms;
	uint32_t reserved2;
};

/**
 * ktc_client_new() - check a configuration and make a client of it
 * @opts: the configuration, or NULL for all defaults
 * @out: receives the client, with one reference; written on success only
 *
 * Reads the files named, builds the TLS context and an empty session
 * inventory.
 *
 * Context: any thread; may block on files.
 * Return: 0; -KTC_E_OPTION for a value that makes no sense;
 * -KTC_E_CONFIG_FILE when a file cannot be read or parsed; -ENOMEM;
 * -KTC_E_OPENSSL. ktc_client_check() says which option it was.
 */
KTC_API int ktc_client_new(const struct ktc_client_opts *opts,
			   struct ktc_client **out);

/**
 * ktc_client_check() - say in words what is wrong with a configuration
 * @opts: the configuration
 * @why: receives a sentence naming the option, NUL-terminated
 * @why_len: bytes at @why; 200 are enough for the whole sentence
 *
 * Does what ktc_client_new() does and throws the client away.
 *
 * Context: any thread; may block on files.
 * Return: as ktc_client_new().
 */
KTC_API int ktc_client_check(const struct ktc_client_opts *opts, char *why,
			     size_t why_len);

/**
 * ktc_client_get() - take another reference
 * @client: a client
 *
 * Context: any thread.
 * Return: @client.
 */
KTC_API struct ktc_client *ktc_client_get(struct ktc_client *client);

/**
 * ktc_client_put() - drop a reference; the last one frees the client
 * @client: a client, or NULL
 *
 * A connection holds a reference of its own until it is released.
 *
 * Context: any thread.
 */
KTC_API void ktc_client_put(struct ktc_client *client);

/**
 * struct ktc_client_stats - what a client has done so far
 * @size: sizeof(struct ktc_client_stats), set by the caller
 *
 * Counters only grow, except @sessions, @identities and @session_bytes, which
 * are levels. Each is exact; together they are no snapshot. A miss is a
 * connection that had no session to offer, by reason.
 */
struct ktc_client_stats {
	size_t size;
	uint64_t handshakes_full;	/* completed, not resumed */
	uint64_t handshakes_resumed;	/* completed, resumed */
	uint64_t handshakes_failed;	/* ended before OPEN */
	uint64_t offloaded;		/* connections on the kernel plane */
	uint64_t offload_refused;	/* wanted, ended on the user plane */
	uint64_t sessions;		/* in the inventory now */
	uint64_t takes;			/* sessions asked for */
	uint64_t hits;			/* and found */
	uint64_t misses_none;		/* none for this identity */
	uint64_t misses_expired;	/* only expired ones */
	uint64_t gives;			/* tickets received and kept */
	uint64_t putbacks;		/* returned unspent */
	uint64_t spent;			/* TLS 1.3 tickets sent to a server */
	uint64_t evictions;		/* dropped for room */
	uint64_t misses_taken;		/* all with other connections */
	uint64_t misses_policy;		/* resumption off: not asked for */
	uint64_t expired;		/* dropped when their time was over */
	uint64_t exports;		/* TLS 1.3 tickets exported */
	uint64_t identities;		/* known now */
	uint64_t session_bytes;		/* set aside for sessions now */
	uint64_t full_begun;		/* let go by the budget */
	uint64_t full_waits;		/* times the budget said to wait */
	uint64_t adopted;		/* connections, by ktc_conn_adopt() */
};

/**
 * ktc_client_stats() - read a client's counters
 * @client: a client
 * @out: @out->size set; receives as many fields as that covers
 *
 * Context: any thread; stops nobody.
 * Return: 0, or -KTC_E_OPTION when @out->size is impossible.
 */
KTC_API int ktc_client_stats(const struct ktc_client *client,
			     struct ktc_client_stats *out);

/**
 * ktc_client_shards() - how many shards the session inventory has
 * @client: a client
 *
 * Context: any thread.
 * Return: 1 or more; constant for a client.
 */
KTC_API unsigned int ktc_client_shards(const struct ktc_client *client);

/**
 * ktc_client_shard_stats() - read the counters of one shard
 * @client: a client
 * @shard: which, from 0
 * @out: @out->size set; the inventory's fields as in ktc_client_stats(), of
 *	this shard alone; those of handshakes and offload are 0
 *
 * Context: any thread; stops nobody.
 * Return: 0, or -KTC_E_OPTION when @out->size or @shard is impossible.
 */
KTC_API int ktc_client_shard_stats(const struct ktc_client *client,
				   unsigned int shard,
				   struct ktc_client_stats *out);

/* ------------------------------------------------- sessions that move -- */

#define KTC_EXPORT_KEY_LEN 32

/* flags of the exports */
#define KTC_EXPORT_CLIENT_CERT	(1U << 0) /* with a client certificate too */

/**
 * ktc_client_export() - take the sessions out, sealed
 * @client: a client
 * @key: AES-256 key of KTC_EXPORT_KEY_LEN bytes; borrowed
 * @flags: KTC_EXPORT_*
 * @out: receives the sealed sessions; the caller's, for ktc_export_free();
 *	written on success only
 * @len: receives their length in bytes; written on success only
 *
 * TLS 1.3 tickets leave this client, for they are used once; TLS 1.2 sessions
 * stay as well. What is sealed is for ktc_client_import() of a client with
 * the same configuration, in this process or another one, on this machine or
 * another one with the right time. A client that has a certificate to present
 * needs KTC_EXPORT_CLIENT_CERT: whoever has its sessions and the key can act
 * in its name. Connections may go on meanwhile.
 *
 * A session that cannot be resumed any more or is larger than 128 KiB stays,
 * and an export is 1 GiB at most: beyond that the oldest stay. On failure
 * every session is put back, as far as there is room for it.
 *
 * Sealing is AES-256-GCM (NIST SP 800-38D) under a key of its own, derived
 * from @key and a random salt (RFC 5869).
 *
 * Context: any thread.
 * Return: how many sessions; -KTC_E_POLICY without KTC_EXPORT_CLIENT_CERT where
 * it is needed; -KTC_E_OPTION; -ENOMEM; -KTC_E_OPENSSL.
 */
KTC_API int ktc_client_export(struct ktc_client *client,
			      const uint8_t key[KTC_EXPORT_KEY_LEN],
			      uint32_t flags, void **out, size_t *len);

/**
 * ktc_export_free() - free what ktc_client_export() gave
 * @sealed: the sealed sessions, or NULL
 * @len: their length
 *
 * Context: any thread.
 */
KTC_API void ktc_export_free(void *sealed, size_t len);

/**
 * ktc_client_import() - put exported sessions in
 * @client: a client
 * @key: what they were sealed with; borrowed
 * @sealed: what ktc_client_export() gave; borrowed
 * @len: its length in bytes
 *
 * All is checked before the first session is put in. Import one export once:
 * a second time would use tickets twice. Sessions whose time is over are left
 * out, those beyond this client's limits push out older ones.
 *
 * Context: any thread.
 * Return: how many sessions were put in; -KTC_E_SEAL when the key is another
 * one or anything was changed or is missing; -KTC_E_SEAL_VERSION;
 * -KTC_E_SEAL_CONFIG; -KTC_E_POLICY when the client has KTC_CLIENT_NO_RESUME;
 * -KTC_E_OPTION; -ENOMEM; -KTC_E_OPENSSL.
 */
KTC_API int ktc_client_import(struct ktc_client *client,
			      const uint8_t key[KTC_EXPORT_KEY_LEN],
			      const void *sealed, size_t len);

/**
 * ktc_client_export_file() - ktc_client_export() into a file
 * @client: a client
 * @key: AES-256 key of KTC_EXPORT_KEY_LEN bytes; borrowed
 * @flags: KTC_EXPORT_*
 * @path: the file; there is always the old one or the new one, whole: it is
 *	written beside it, synchronised and renamed, mode 0600
 *
 * A crash in the middle may leave "<name>.<hex>" beside the file, of 16
 * hexadecimal digits; it may be removed. Keep the file out of backups: one that
 * is restored after its import would use tickets twice.
 *
 * Context: any thread; blocks on the disk.
 * Return: as ktc_client_export(), or -errno of the file; then every session
 * is put back, as far as there is room, and the old file is as it was.
 */
KTC_API int ktc_client_export_file(struct ktc_client *client,
				   const uint8_t key[KTC_EXPORT_KEY_LEN],
				   uint32_t flags, const char *path);

/**
 * ktc_client_import_file() - ktc_client_import() from a file
 * @client: a client
 * @key: what they were sealed with; borrowed
 * @path: the file; it is removed once it has been checked and before the
 *	first ticket can be used, so that no later start uses one again
 *
 * Context: any thread; blocks on the disk.
 * Return: as ktc_client_import(), or -errno of the file, -ENOENT above all;
 * a file that is refused stays.
 */
KTC_API int ktc_client_import_file(struct ktc_client *client,
				   const uint8_t key[KTC_EXPORT_KEY_LEN],
				   const char *path);

/* --------------------------------------------------------------- loop -- */

/**
 * struct ktc_loop_opts - a loop's configuration
 * @size: sizeof(struct ktc_loop_opts)
 * @ring: the caller's own ring, a liburing struct io_uring *, to be a guest
 *	in, with entries of the usual size (no IORING_SETUP_SQE128, CQE32);
 *	NULL: the loop makes one of its own
 * @mark: with @ring: the upper 16 bits of user_data by which the library's
 *	completions are known; 0: KTC_LOOP_MARK. User-space pointers never
 *	have it on common hardware.
 * @buf_group: with @ring: the provided-buffer group id to use; ids are the
 *	ring's, so it must be free
 * @entries: submission queue entries of the loop's own ring, 8 at least (a
 *	caller's ring must have as many); 0: 256
 * @buffers: receive buffers of 16424 bytes, shared by all connections,
 *	a power of two up to 32768; 0: 256
 * @conns_max: connections at once; 0: 65536
 */
struct ktc_loop_opts {
	size_t size;
	void *ring;
	uint16_t mark;
	uint16_t buf_group;
	uint32_t entries;
	uint32_t buffers;
	uint32_t conns_max;
};

#define KTC_LOOP_MARK 0x4b54

/**
 * ktc_loop_new() - make a loop
 * @opts: configuration, or NULL for all defaults
 * @out: receives the loop; written on success only
 *
 * The loop belongs to the thread that first uses it after this call, and to
 * that thread only.
 *
 * Context: any thread.
 * Return: 0; -KTC_E_OPTION; -ENOMEM; -EMFILE; -EPERM or -ENOSYS where
 * io_uring is forbidden or absent; -KTC_E_UNSUPPORTED where the kernel's
 * io_uring lacks provided-buffer rings (Linux < 5.19).
 */
KTC_API int ktc_loop_new(const struct ktc_loop_opts *opts,
			 struct ktc_loop **out);

/**
 * ktc_loop_free() - end a loop
 * @loop: a loop, or NULL
 *
 * Connections that are left are aborted; their CLOSED events are not
 * delivered, their pointers and all borrowed DATA are invalid afterwards.
 * Waits until the kernel has let go of every buffer. A guest leaves the
 * caller's ring as it found it; completions of others that it meets while
 * it waits stay in the ring.
 *
 * Context: the loop's thread.
 */
KTC_API void ktc_loop_free(struct ktc_loop *loop);

/**
 * ktc_loop_fd() - a descriptor that is readable when there is work
 * @loop: a loop
 *
 * For a host with an epoll loop of its own: when the descriptor is readable,
 * call ktc_loop_events() with a timeout of 0 until it returns 0. Deadlines
 * make it readable too. Call ktc_loop_events() once before every wait, for it
 * also submits. The first wait can end with EINTR.
 *
 * Context: the loop's thread.
 * Return: the descriptor, which belongs to the loop (for a guest the ring's
 * own); or -EMFILE, -ENFILE, -ENOMEM.
 */
KTC_API int ktc_loop_fd(struct ktc_loop *loop);

/**
 * ktc_loop_handle_cqe() - give a completion from the caller's ring
 * @loop: a guest loop
 * @user_data: the completion's user_data
 * @res: its res
 * @flags: its flags
 *
 * The caller marks the completion seen, before or after. Events that follow
 * are taken with ktc_loop_events() and a timeout of 0. New submissions are put
 * into the ring and submitted by the caller's next io_uring_submit(), or by
 * ktc_loop_events().
 *
 * Context: the loop's thread.
 * Return: 1 if the completion was the library's, else 0.
 */
KTC_API int ktc_loop_handle_cqe(struct ktc_loop *loop, uint64_t user_data,
				int32_t res, uint32_t flags);

/**
 * ktc_loop_wake() - make a waiting ktc_loop_events() return
 * @loop: a loop
 *
 * Context: any thread; async-signal-safe.
 * Return: 0 or -errno.
 */
KTC_API int ktc_loop_wake(struct ktc_loop *loop);

/**
 * enum ktc_event_type - what happened
 * @KTC_EV_OPEN: the handshake is done and verified; data may flow
 * @KTC_EV_DATA: bytes came; borrowed until ktc_event_release()
 * @KTC_EV_SENT: a send or sendfile of the caller's ended; the buffer is the
 *	caller's again
 * @KTC_EV_TICKET: the server sent a session; it is in the inventory
 * @KTC_EV_REKEYED: one direction has new keys
 * @KTC_EV_EOF: the peer's close_notify: no more DATA comes
 * @KTC_EV_RELAYED: ktc_relay() is over; the plain socket is the caller's again
 * @KTC_EV_DETACHED: last event after ktc_conn_detach(), in place of CLOSED
 * @KTC_EV_CLOSED: last event of a connection, with the error or 0
 * @KTC_EV_STAYED: ktc_conn_detach() of a relayed connection came to nothing,
 *	@err says why; the relay goes on
 */
enum ktc_event_type {
	KTC_EV_OPEN = 1,
	KTC_EV_DATA,
	KTC_EV_SENT,
	KTC_EV_TICKET,
	KTC_EV_REKEYED,
	KTC_EV_EOF,
	KTC_EV_RELAYED,
	KTC_EV_DETACHED,
	KTC_EV_CLOSED,
	KTC_EV_STAYED,
};

/**
 * enum ktc_relay_end - why a relay is over
 * @KTC_END_NONE: no event of a relay
 * @KTC_END_DONE: both sides ended in order; ktc_conn_close() is what is left
 * @KTC_END_STOPPED: by the caller: ktc_conn_close(), or ktc_conn_abort()
 *	with -KTC_E_CANCELED; CLOSED follows. Or ktc_conn_detach(); DETACHED
 *	follows.
 * @KTC_END_TRUNCATED: the server's stream ended without close_notify; CLOSED
 *	with -KTC_E_TRUNCATED follows. The plain socket was not shut down.
 * @KTC_END_TLS: the connection failed; CLOSED with the same error follows
 * @KTC_END_PLAIN: the plain socket failed; the connection waits for
 *	ktc_conn_close() or ktc_conn_abort()
 */
enum ktc_relay_end {
	KTC_END_NONE,
	KTC_END_DONE,
	KTC_END_STOPPED,
	KTC_END_TRUNCATED,
	KTC_END_TLS,
	KTC_END_PLAIN,
};

/**
 * enum ktc_lane - who moves a relay's bytes
 * @KTC_LANE_NONE: nobody: no relay
 * @KTC_LANE_LOOP: the loop, by way of its receive buffers
 * @KTC_LANE_MODULE: the kernel module, without user space
 */
enum ktc_lane {
	KTC_LANE_NONE,
	KTC_LANE_LOOP,
	KTC_LANE_MODULE,
};

/**
 * struct ktc_event - one event
 * @type: what happened
 * @err: CLOSED, RELAYED: 0 or the error; STAYED: the error; SENT: 0, or why
 *	it was not sent
 * @conn: the connection; valid until the release of its last event
 * @user: what ktc_conn_opts.user or ktc_conn_set_user() set
 * @data: DATA: the bytes; DETACHED: the state for ktc_conn_adopt(), which
 *	holds secrets; both borrowed
 * @len: DATA, DETACHED: how many; SENT: how many of the caller's bytes were
 *	accepted by the kernel, short only with @err
 * @tag: SENT: what the call was given
 * @dir: REKEYED: 0 receiving, 1 sending
 * @fd: DETACHED: the socket, the caller's from now on; RELAYED: the plain one
 * @priv: the library's
 * @end: RELAYED: why it is over
 * @moved_by: RELAYED: KTC_LANE_MODULE if the module moved any of the bytes
 * @relayed: RELAYED: bytes that came out at the other side: [KTC_RX] of the
 *	server's at the plain socket, [KTC_TX] of the plain socket's in records
 */
struct ktc_event {
	enum ktc_event_type type;
	int err;
	struct ktc_conn *conn;
	void *user;
	const uint8_t *data;
	size_t len;
	uint64_t tag;
	int dir;
	int fd;
	uint64_t priv;
	enum ktc_relay_end end;
	enum ktc_lane moved_by;
	uint64_t relayed[2];
};

/**
 * ktc_loop_events() - submit, wait, and take events
 * @loop: a loop
 * @ev: receives up to @max events
 * @max: room at @ev, at least 1
 * @timeout_ms: longest wait for the first event; 0 does not wait, -1 has no
 *	limit. A guest loop never waits.
 *
 * Each event must be given to ktc_event_release() when its DATA has been
 * used, or its CLOSED been seen; for the others that is allowed and does
 * nothing.
 *
 * Context: the loop's thread.
 * Return: how many events; 0 after the timeout or ktc_loop_wake(); -errno
 * when the ring itself fails.
 */
KTC_API int ktc_loop_events(struct ktc_loop *loop, struct ktc_event *ev,
			    unsigned int max, int timeout_ms);

/**
 * ktc_event_release() - give back what an event lent
 * @loop: the loop it came from
 * @ev: the event; its DATA is invalid afterwards, and after CLOSED or
 *	DETACHED the connection is gone, the state of DETACHED wiped
 *
 * Holding many DATA events starves the loop's connections of buffers; they
 * go on when buffers come back.
 *
 * Context: the loop's thread.
 */
KTC_API void ktc_event_release(struct ktc_loop *loop, struct ktc_event *ev);

/* --------------------------------------------------------- connection -- */

/* ktc_conn_opts.flags */
#define KTC_CONN_NO_RESUME	(1U << 0) /* offer no session */
#define KTC_CONN_NO_TICKETS	(1U << 1) /* keep no session it brings */
#define KTC_CONN_RECV_PAUSED	(1U << 2) /* start with receiving paused */

/**
 * struct ktc_conn_opts - one connection
 * @size: sizeof(struct ktc_conn_opts)
 * @flags: KTC_CONN_*
 * @policy: the plane; KTC_POLICY_DEFAULT: the client's
 * @host: name or numeric address to connect to; or NULL
 * @port: port for @host
 * @addr: address to connect to (IPv4, IPv6 or unix); or NULL
 * @addr_len: bytes at @addr
 * @fd: a connected stream socket, or -1. After success it belongs to the
 *	library, which clears O_NONBLOCK; after failure it is still the
 *	caller's.
 * @server_name: name for SNI and verification; NULL: @host. Required with
 *	@addr and @fd unless verification is off.
 * @alpn: as in struct ktc_client_opts; NULL: the client's; "": none
 * @scope: which server this is, for the session inventory: sessions are
 *	never shared between scopes. NULL: host and port, the address, or the
 *	unix path; with @fd the peer's address.
 * @user: handed back in each event
 * @preamble: bytes for the server that go before the TLS handshake, in the
 *	clear, as a PROXY protocol header does; copied; NULL: none
 * @preamble_len: bytes at @preamble, 4096 at most
 *
 * Exactly one of @host, @addr and @fd says where to. An @fd of 0 in a zeroed
 * struct with @host or @addr set is taken as -1.
 */
struct ktc_conn_opts {
	size_t size;
	uint32_t flags;
	enum ktc_policy policy;
	const char *host;
	uint16_t port;
	uint16_t reserved0;
	socklen_t addr_len;
	const struct sockaddr *addr;
	int fd;
	uint32_t reserved1;
	const char *server_name;
	const char *alpn;
	const char *scope;
	void *user;
	const void *preamble;
	size_t preamble_len;
};

/**
 * ktc_connect() - start a connection
 * @loop: the loop it will belong to
 * @client: whose configuration and sessions it uses; a reference is taken
 * @opts: where to and how; copied
 * @out: receives the connection, or NULL if not wanted; written on success
 *	only
 *
 * OPEN or CLOSED follows as an event, within the deadlines. A loop keeps a
 * name's addresses for a second.
 *
 * Context: the loop's thread.
 * Return: 0; -KTC_E_OPTION; -ENOMEM; -EMFILE; -EAGAIN when the loop is full.
 */
KTC_API int ktc_connect(struct ktc_loop *loop, struct ktc_client *client,
			const struct ktc_conn_opts *opts,
			struct ktc_conn **out);

/**
 * ktc_conn_send() - send bytes
 * @conn: an open connection
 * @buf: the bytes; they belong to the library until the SENT event
 * @len: how many, 1 or more
 * @tag: returned in the SENT event
 *
 * Sends of one connection keep their order. Every call that returns 0 is
 * followed by exactly one SENT, before CLOSED at the latest.
 *
 * Context: the loop's thread.
 * Return: 0; -EAGAIN when the send queue is full (SENT tells of room; a send
 * into an empty queue is always taken); -KTC_E_STATE when not open or
 * closing; -KTC_E_OPTION; -ENOMEM.
 */
KTC_API int ktc_conn_send(struct ktc_conn *conn, const void *buf, size_t len,
			  uint64_t tag);

/**
 * ktc_conn_sendfile() - send part of a file
 * @conn: an open connection
 * @fd: a regular file; must stay open until SENT
 * @offset: first byte
 * @len: bytes to send; the file must hold them, else SENT carries -ENODATA
 *	and the connection is closed
 * @tag: returned in the SENT event
 *
 * On the kernel plane the pages go from the page cache to the record layer
 * without passing through user space; policy auto moves the connection there
 * first. On the user plane the file is read and sealed.
 *
 * Context: the loop's thread.
 * Return: as ktc_conn_send().
 */
KTC_API int ktc_conn_sendfile(struct ktc_conn *conn, int fd, uint64_t offset,
			      uint64_t len, uint64_t tag);

/**
 * ktc_conn_recv_pause() - stop receiving
 * @conn: a connection
 *
 * DATA already received may still come. The peer is held back by TCP.
 *
 * Context: the loop's thread.
 * Return: 0, or -KTC_E_STATE after the connection ended.
 */
KTC_API int ktc_conn_recv_pause(struct ktc_conn *conn);

/**
 * ktc_conn_recv_resume() - receive again
 * @conn: a connection
 *
 * Context: the loop's thread.
 * Return: 0, or -KTC_E_STATE after the connection ended.
 */
KTC_API int ktc_conn_recv_resume(struct ktc_conn *conn);

/**
 * ktc_conn_offload() - move to the kernel plane now
 * @conn: an open connection with policy auto or always
 *
 * The move happens at the next record boundary; nothing is lost or repeated.
 * ktc_conn_info() tells whether it happened, or why not.
 *
 * Context: the loop's thread.
 * Return: 0 when started or already there; -KTC_E_POLICY when the policy is
 * never; -KTC_E_STATE.
 */
KTC_API int ktc_conn_offload(struct ktc_conn *conn);

/**
 * ktc_conn_rekey() - send a KeyUpdate (RFC 8446 section 4.6.3)
 * @conn: an open TLS 1.3 connection
 * @request_peer: ask the peer to update its keys too
 *
 * It goes out when the send under way has ended, before those still queued.
 * REKEYED follows.
 *
 * Context: the loop's thread.
 * Return: 0; -KTC_E_UNSUPPORTED for TLS 1.2, or on the kernel plane of a
 * kernel that cannot re-key (before Linux 6.14); -KTC_E_STATE; -ENOMEM.
 */
KTC_API int ktc_conn_rekey(struct ktc_conn *conn, bool request_peer);

/**
 * ktc_conn_close() - close in order
 * @conn: a connection
 *
 * What was queued is sent first, then close_notify; when the kernel has sent
 * every byte, and the peer has answered or the close deadline has passed,
 * CLOSED follows. Before OPEN it is the same as ktc_conn_abort().
 *
 * Context: the loop's thread.
 * Return: 0, also when already closing; -KTC_E_STATE after CLOSED.
 */
KTC_API int ktc_conn_close(struct ktc_conn *conn);

/**
 * ktc_conn_abort() - close at once
 * @conn: a connection
 *
 * Queued sends are dropped (SENT with -KTC_E_CANCELED), no close_notify goes
 * out; CLOSED with -KTC_E_CANCELED follows.
 *
 * Context: the loop's thread.
 */
KTC_API void ktc_conn_abort(struct ktc_conn *conn);

/* A detached connection's state is no longer, in any version of it. */
#define KTC_STATE_LEN_MAX 1024

/**
 * ktc_conn_detach() - take the socket out, with its keys in the kernel
 * @conn: an open connection; policy auto or always
 *
 * Moves to the kernel plane if it is not there, waits for queued sends, stops
 * receiving. DATA already received is delivered first, then DETACHED with the
 * descriptor: read() and write() on it are TLS application data from then
 * on. A control record (ticket, alert) makes read() fail with EIO until it is
 * taken with recvmsg(). Nobody sends close_notify any more but the caller.
 *
 * DETACHED also has, in @data and @len, the state with which ktc_conn_adopt()
 * makes a connection of the descriptor again, here or in a process that was
 * given both. It holds the traffic secrets: the library's copy is wiped by
 * ktc_event_release(), the caller wipes his own.
 *
 * A relayed connection leaves its relay first. It receives no more from either
 * side and passes on what it holds; then come RELAYED (KTC_END_STOPPED, 0) and
 * DETACHED, one behind the other, and whoever has both sockets can adopt and
 * relay on: no byte is lost or repeated. Until then it may be called off:
 * STAYED tells why, and the relay goes on as before, for another try:
 * -KTC_E_CLOSE_TIMEOUT when a side did not take what was held for it within
 * close_timeout_ms, -KTC_E_UNSUPPORTED when the kernel plane is refused,
 * -KTC_E_STATE when the server ended its half meanwhile, -ENOMEM. (The plain
 * side's end is carried.) A relay that ends by itself meanwhile says so in
 * RELAYED, and no DETACHED comes.
 *
 * Context: the loop's thread.
 * Return: 0 when started; -KTC_E_POLICY; -KTC_E_STATE, also when the server of
 * a relay has ended its half; -KTC_E_UNSUPPORTED when it is relayed and known
 * to be refused the kernel plane. Without a relay: when the kernel plane is
 * refused the connection ends in CLOSED with -KTC_E_UNSUPPORTED.
 */
KTC_API int ktc_conn_detach(struct ktc_conn *conn);

/**
 * ktc_conn_adopt() - go on with a connection that was detached
 * @loop: the loop it will belong to
 * @client: its limits and policy, which must allow the connection; a
 *	reference is taken
 * @fd: a descriptor of the detached socket, with its keys in the kernel. After
 *	success it belongs to the library, which clears O_NONBLOCK; after
 *	failure it is still the caller's.
 * @state: what the DETACHED event had; borrowed, secret: the caller wipes it
 * @len: bytes at @state
 * @opts: NULL, or @size, @flags, @policy and @user; all else not set
 * @out: receives the connection, or NULL if not wanted; written on success
 *	only
 *
 * In the same process or another one; once for each DETACHED. The connection
 * is open, on the kernel plane, when this returns, and takes every call; OPEN
 * comes as its first event, EOF behind it if the server's close_notify came
 * before. ktc_conn_info() goes on where it was.
 *
 * @state may come from anywhere: it is checked against itself and the keys in
 * the kernel. Who the server is was checked when the connection was made, and
 * is not again: let no client adopt what another would not have connected to.
 * No ticket that comes is kept.
 *
 * Context: the loop's thread.
 * Return: 0; -KTC_E_ADOPT when @state is not one, or not @fd's; -errno of @fd,
 * as -EBADF, -ENOTSOCK, -ENOTCONN; -KTC_E_POLICY when the policy is never, the
 * client does not allow the TLS version, or verifies and the connection was
 * not verified; -KTC_E_OPTION; -ENOMEM; -EAGAIN when the loop is full;
 * -KTC_E_OPENSSL.
 */
KTC_API int ktc_conn_adopt(struct ktc_loop *loop, struct ktc_client *client,
			   int fd, const void *state, size_t len,
			   const struct ktc_conn_opts *opts,
			   struct ktc_conn **out);

/* flags of ktc_relay() */
#define KTC_RELAY_LOOP	(1U << 0) /* never by the kernel module */

/**
 * ktc_relay() - move bytes between a connection and a plain socket
 * @conn: an open connection
 * @fd: a connected stream socket, TCP or unix; borrowed until RELAYED: nobody
 *	else reads, writes or closes it. O_NONBLOCK is cleared until then.
 * @flags: KTC_RELAY_*
 *
 * From success on everything is moved both ways, until both sides have ended
 * or one fails; then comes RELAYED, always before CLOSED. DATA that
 * ktc_loop_events() has returned is the caller's to pass on, before the call;
 * DATA and EOF that it has not returned yet are moved. Sends queued before go
 * first. Receiving that was paused goes on.
 *
 * The server's close_notify becomes shutdown(SHUT_WR) of @fd, the end of @fd's
 * stream a close_notify, each when all before it has passed; the other
 * direction goes on. What is held on the way is bounded: who sends faster than
 * the other side takes is held back by its TCP. Tickets reach the inventory as
 * ever, TICKET and REKEYED are told; the idle timeout counts relayed bytes.
 *
 * On the kernel plane the kernel module takes over where it is loaded: the
 * bytes then pass user space no more. ktc_conn_info() has the lane, and why it
 * is not the module's.
 *
 * ktc_conn_close() stops a relay in order: nothing more is received, what is
 * held is passed on, RELAYED, then the connection closes; all of it within the
 * close deadline. After ktc_relay() the connection takes only close, abort,
 * offload, detach and questions.
 *
 * Context: the loop's thread.
 * Return: 0; -KTC_E_OPTION for @flags, or when @fd is not such a socket;
 * -errno of @fd, as -EBADF, -ENOTSOCK, -ENOTCONN; -KTC_E_STATE when not open,
 * closing, or relayed before; -ENOMEM. After failure nothing is changed.
 */
KTC_API int ktc_relay(struct ktc_conn *conn, int fd, uint32_t flags);

/**
 * ktc_conn_set_user() - change what events hand back
 * @conn: a connection
 * @user: anything
 *
 * Context: the loop's thread. Events already queued carry the old value.
 */
KTC_API void ktc_conn_set_user(struct ktc_conn *conn, void *user);

/**
 * enum ktc_plane - who makes the records
 * @KTC_PLANE_NONE: not open yet
 * @KTC_PLANE_USER: OpenSSL
 * @KTC_PLANE_KERNEL: kernel TLS
 */
enum ktc_plane {
	KTC_PLANE_NONE,
	KTC_PLANE_USER,
	KTC_PLANE_KERNEL,
};

#define KTC_RX 0
#define KTC_TX 1

/**
 * struct ktc_conn_info - what is known of a connection
 * @size: sizeof(struct ktc_conn_info), set by the caller
 * @version: KTC_TLS1_2 or KTC_TLS1_3; 0 before OPEN
 * @verified: the certificate chain and the name were checked, now or when
 *	the resumed session was made
 * @resumed: the handshake was resumed
 * @why_not_resumed: if not
 * @plane: KTC_RX and KTC_TX
 * @why_not_kernel: if not KTC_PLANE_KERNEL, by direction
 * @offload_errno: the kernel's errno behind @why_not_kernel, or 0
 * @verify_result: OpenSSL's X509_V_* code; 0 is good
 * @cipher: OpenSSL's suite name; "" before OPEN
 * @alpn: the protocol agreed; "" if none
 * @records: on both planes since OPEN, by direction
 * @bytes: application bytes since OPEN, by direction
 * @rekeys: key changes, by direction
 * @tickets: sessions received
 * @connect_us: from ktc_connect() to the TCP connection, name included; to
 *	the server's first bytes, if the ClientHello went with the SYN
 * @handshake_us: from there to OPEN
 * @addr: the peer's address
 * @addr_len: bytes of it
 * @state: the state's name
 * @relay: who moves its bytes between ktc_relay() and RELAYED
 * @why_not_module: if not KTC_LANE_MODULE, while there is a relay; when it is
 *	over, why the module had no part in it
 */
struct ktc_conn_info {
	size_t size;
	uint16_t version;
	bool verified;
	bool resumed;
	enum ktc_reason why_not_resumed;
	enum ktc_plane plane[2];
	enum ktc_reason why_not_kernel[2];
	int offload_errno;
	long verify_result;
	char cipher[48];
	char alpn[32];
	uint64_t records[2];
	uint64_t bytes[2];
	uint32_t rekeys[2];
	uint32_t tickets;
	uint32_t reserved0;
	uint64_t connect_us;
	uint64_t handshake_us;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	uint32_t reserved1;
	const char *state;
	enum ktc_lane relay;
	enum ktc_reason why_not_module;
};

/**
 * ktc_conn_info() - ask what is known of a connection
 * @conn: a connection, until its last event is released
 * @out: @out->size set; receives as many fields as that covers
 *
 * Context: the loop's thread.
 * Return: 0, or -KTC_E_OPTION when @out->size is impossible.
 */
KTC_API int ktc_conn_info(const struct ktc_conn *conn,
			  struct ktc_conn_info *out);

/**
 * ktc_conn_relayed() - how far a relay is
 * @conn: a connection, between ktc_relay() and RELAYED
 * @relayed: receives the bytes that have come out at the other side so far,
 *	as RELAYED has them in the end; written on success only
 *
 * Never less than before. It costs no system call, or one when the kernel
 * module moves the bytes.
 *
 * Context: the loop's thread.
 * Return: 0; -KTC_E_STATE without a relay; -KTC_E_OPTION; -errno of the
 * kernel module's.
 */
KTC_API int ktc_conn_relayed(const struct ktc_conn *conn, uint64_t relayed[2]);

/**
 * struct ktc_conn_error - the first error of a connection
 * @size: sizeof(struct ktc_conn_error), set by the caller
 * @err: 0, -errno or -KTC_E_*
 * @class_: its class
 * @alert: TLS alert, received or sent; -1 if none
 * @alert_sent: @alert is one we sent
 * @os_errno: the kernel's errno behind it, positive; 0 if none
 * @verify_result: OpenSSL's X509_V_* code if that was it
 * @state: name of the state it happened in
 * @text: a sentence, with OpenSSL's reason where there is one
 */
struct ktc_conn_error {
	size_t size;
	int err;
	enum ktc_class class_;
	int alert;
	bool alert_sent;
	int os_errno;
	long verify_result;
	const char *state;
	char text[192];
};

/**
 * ktc_conn_error() - ask what went wrong
 * @conn: a connection, until its last event is released
 * @out: @out->size set; receives as many fields as that covers
 *
 * Context: the loop's thread.
 * Return: 0, or -KTC_E_OPTION when @out->size is impossible.
 */
KTC_API int ktc_conn_error(const struct ktc_conn *conn,
			   struct ktc_conn_error *out);

/* --------------------------------------------------------------- probe -- */

/**
 * struct ktc_caps - what this kernel can do, found by trying
 * @size: sizeof(struct ktc_caps), set by the caller
 * @ktls: TCP_ULP "tls" is there
 * @rekey: keys of a kTLS socket can be set again (KeyUpdate)
 * @ring_sockopt: io_uring can set socket options in a linked chain, safely
 *	(not so before Linux 6.7, and again from 6.10 until that was mended)
 * @suites: bit 0 AES-128-GCM, 1 AES-256-GCM, 2 ChaCha20-Poly1305,
 *	3 AES-128-CCM; for TLS 1.3 in bits 0-7 and TLS 1.2 in bits 8-15
 * @ktls_errno: why not @ktls, positive, or 0
 */
struct ktc_caps {
	size_t size;
	bool ktls;
	bool rekey;
	bool ring_sockopt;
	uint8_t reserved0;
	uint32_t suites;
	int ktls_errno;
	uint32_t reserved1;
};

/**
 * ktc_probe() - find out what this kernel can do
 * @out: @out->size set; receives as many fields as that covers
 *
 * Tries on sockets over loopback of its own, once per process; later calls
 * return the same.
 *
 * Context: any thread.
 * Return: 0, -KTC_E_OPTION when @out->size is impossible, or -errno when not
 * even a loopback socket can be made.
 */
KTC_API int ktc_probe(struct ktc_caps *out);

#ifdef __cplusplus
}
#endif

#endif /* KTLSCLIENT_H */

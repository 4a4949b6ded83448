/* SPDX-License-Identifier: MIT */
/*
 * The table of limits: everything that a peer, a file or a caller could make
 * grow has its number here, and every default that a caller may change.
 */
#ifndef KTC_LIMIT_H
#define KTC_LIMIT_H

/* TLS records (RFC 8446 section 5) */
#define LIMIT_RECORD_PLAIN	16384u	/* bytes of content in a record */
/* with protection: TLS 1.3; records of 1.2's AEAD suites are smaller */
#define LIMIT_RECORD_CIPHER	(16384u + 256u)
/* A buffer that takes one full record with its kernel headers, exactly: */
#define LIMIT_RECV_BUFFER	(16384u + 16u + 24u)

/* what a peer may send */
#define LIMIT_HS_MESSAGE	65536u	/* a post-handshake message, bytes */
#define LIMIT_CONTROL_BURST	64u	/* control records at once ... */
#define LIMIT_CONTROL_PER_S	16u	/* ... and per second after that */
#define LIMIT_TICKETS_PER_CONN	16u	/* tickets kept of one connection */
#define LIMIT_HANDSHAKE_BYTES	(256u * 1024u) /* from the server, until done */

/*
 * Kernel plane: receives between two looks at the kernel's record number; at
 * 16384 records in each that is 2^20, well within every AEAD limit.
 */
#define LIMIT_COUNT_RECEIVES	64u

/* names and addresses */
#define LIMIT_PREAMBLE		4096u	/* before the handshake, bytes */
#define LIMIT_NAME		253u	/* a DNS name, characters */
#define LIMIT_SCOPE		512u
#define LIMIT_ALPN_WIRE		255u	/* the ALPN list in wire form */
#define LIMIT_ADDRESSES		16u	/* addresses of a name that are tried */
#define LIMIT_LOOKUPS		16u	/* name look-ups at once, per loop */
#define LIMIT_NAMES_KEPT	16u	/* answers a loop keeps, how long */
#define LIMIT_NAME_FRESH_MS	1000u
/* CA, CRL, key files, in bytes; all files of ca_dir together */
#define LIMIT_FILE		(16u << 20)
#define LIMIT_CA_DIR_FILES	16384u
#define LIMIT_LIST		4096u	/* a list of suites or groups */

/* connecting (RFC 8305 section 5) */
#define LIMIT_ATTEMPT_DELAY_MS	250u	/* before the next address is tried */
#define LIMIT_KEEPALIVE_MS	(32767u * 1000u) /* the kernel's own limit */
#define LIMIT_KEEPALIVE_PROBES	4u	/* unanswered: the server is gone */

/* tickets */
#define LIMIT_TICKET_LIFE_S	(7u * 24u * 3600u) /* RFC 8446 4.6.1 */
#define LIMIT_TICKET_MARGIN_S	2u	/* not offered so short before expiry */
/* how long an offloaded connection keeps its SSL for tickets */
#define LIMIT_TICKET_WAIT_MS	3000u

/* the inventory */
#define LIMIT_DEPTH_START	4u	/* an identity's tickets at first */
#define LIMIT_DEPTH_DECAY_S	10u	/* then a peak of demand counts half */
#define LIMIT_TICKET_BYTES	16384u	/* a session larger is not kept */
#define LIMIT_IDENTITY_SHARE	4u	/* one part of so many of a shard */
#define LIMIT_REMEMBER_S	60u	/* an identity without a ticket */
#define LIMIT_SHARDS		16u
#define LIMIT_SHARD_SESSIONS	512u	/* a shard has a share of as many */
#define LIMIT_SHARD_BYTES	(64u << 10) /* and of as much memory */
#define LIMIT_STRIPES		8u	/* groups of threads that do not meet */
/* how often a connection that waits for the budget looks again */
#define LIMIT_BUDGET_POLL_MS	10u
#define LIMIT_BUDGET_WAIT_MS	160u	/* ... less often when it waits long */
#define LIMIT_BUDGET_DEBT_MS	3000u	/* by handshakes nobody asked for */
/* an export's size; a session in it */
#define LIMIT_SEALED_BYTES	(1u << 30)
#define LIMIT_SEALED_SESSION	(128u * 1024u)

/* closing: how often the kernel's send queue is looked at */
#define LIMIT_DRAIN_POLL_MS	2u
/* Fewer bytes than any TCP send buffer holds (tcp_wmem's initial 16 KB) */
#define LIMIT_NEVER_WAITS	8192u

/* sending */
#define LIMIT_USER_BATCH	(128u * 1024u)	/* plaintext sealed at once */
#define LIMIT_SPARE_BUFFERS	8u	/* for sealed batches, kept by a loop */
#define LIMIT_FILE_CHUNK	(64u * 1024u)	/* a file's piece in a pipe */

/* a relay: pieces that wait in one direction, a receive buffer each */
#define LIMIT_RELAY_PIECES	16u
#define LIMIT_RELAY_GATHER	16u	/* of these in one send */

/* the kernel module: how often it is looked for, and how long kept open */
#define LIMIT_MODULE_LOOK_MS	1000u
#define LIMIT_MODULE_IDLE_MS	1000u
/* how long a relay keeps still for it; it tells of so many bytes each */
#define LIMIT_MODULE_QUIET_MS	100u
#define LIMIT_MODULE_PROGRESS	(4u << 20)
/* after STOP: its END is waited for no longer by one that leaves its relay */
#define LIMIT_MODULE_STOP_MS	1000u

/* loops */
#define LIMIT_LOOP_CONNS	(1u << 20)
#define LIMIT_LOOP_ROUNDS	16u	/* of a call, once its time is over */
#define LIMIT_LOOP_BUFFERS	32768u
#define LIMIT_LOOP_ENTRIES	32768u
#define LIMIT_RING_ENTRIES_MIN	8u

/* defaults of struct ktc_client_opts and struct ktc_loop_opts */
#define DEFAULT_AUTO_BYTES	262144u
#define DEFAULT_CONNECT_MS	10000u
#define DEFAULT_HANDSHAKE_MS	10000u
#define DEFAULT_CLOSE_MS	5000u
#define DEFAULT_SEND_QUEUE	1048576u
#define DEFAULT_SESSIONS	10000u
#define DEFAULT_SESSION_BYTES	(64u << 20)
#define DEFAULT_TICKETS		256u
#define DEFAULT_LOOP_ENTRIES	256u
#define DEFAULT_LOOP_BUFFERS	256u
#define DEFAULT_LOOP_CONNS	65536u
#define LIMIT_TICKETS_PER_IDENTITY 1024u
#define LIMIT_SESSIONS		(1u << 24)
#define LIMIT_SESSION_BYTES_MIN	(64ull << 10)	/* one identity, some tickets */
#define LIMIT_SESSION_BYTES	(1ull << 40)
#define LIMIT_FULL_PER_S	100000u
#define LIMIT_FULL_AT_ONCE	(1u << 20)	/* the connections of a loop */

#endif /* KTC_LIMIT_H */

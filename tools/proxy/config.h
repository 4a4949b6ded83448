/* SPDX-License-Identifier: MIT */
/*
 * What ktc-proxy is told to do, by its command line or a file: read once,
 * checked whole, then constant. A SIGHUP makes a new one; who serves a
 * connection keeps the one it began with. Strings belong to the config.
 */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

#include <ktlsclient.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* enough for any sentence about what is wrong, with file and line */
#define CONFIG_WHY_LEN 512

#define CONFIG_LISTENERS_MAX 64
#define CONFIG_ORIGINS_MAX   32 /* of one listener */
#define CONFIG_THREADS_MAX   256

/* the PROXY protocol's header before a connection's bytes */
enum config_proxy { CONFIG_PROXY_NONE, CONFIG_PROXY_V1, CONFIG_PROXY_V2 };

enum config_level { CONFIG_ERROR, CONFIG_WARN, CONFIG_INFO, CONFIG_DEBUG };

/**
 * struct config_place - where to listen or connect
 * @text: as the user wrote it, for logs and metrics
 * @host: name or numeric address; NULL: every address, or a unix socket
 * @path: unix socket; NULL: TCP
 * @port: TCP; 0, to listen: any that is free
 */
struct config_place {
	const char *text;
	const char *host;
	const char *path;
	uint16_t port;
};

/**
 * struct config_listener - plaintext in, TLS out
 * @name: section of the file, or the place's text
 * @line: where the file has it; 0: the command line
 * @listen: where clients come in
 * @listen_mode: permissions of a unix socket
 * @origins: where they are taken to: the one with the fewest connections
 * @nr_origins: 1 or more
 * @ca: PEM trust anchors; with @ca_dir NULL too: the system's
 * @ca_dir: directory of hashed trust anchors
 * @crl: PEM revocation lists
 * @cert: PEM client certificate chain
 * @key: its key
 * @sni: name for SNI and verification; NULL: the origin's host
 * @alpn: protocols to offer, comma-separated; NULL: none
 * @tls12_ciphers: OpenSSL names; NULL: the library's choice
 * @tls13_suites: the same for TLS 1.3
 * @groups: key exchange groups
 * @tls_min: KTC_TLS1_2 or KTC_TLS1_3
 * @tls_max: the same
 * @insecure: no verification; said by name only
 * @plane: enum ktc_policy
 * @auto_bytes: bytes before plane auto moves to the kernel
 * @relay_module: let the kernel module relay where it is loaded
 * @tickets: file that keeps the sessions over a restart; NULL: none
 * @tickets_key: file of the 32 bytes it is sealed with
 * @sessions_max: sessions kept
 * @full_per_s: full handshakes a second and origin; 0: any number
 * @full_at_once: at a time
 * @warm: handshaken connections kept ready for each origin
 * @warm_idle_ms: longest life of one nobody took
 * @proxy_in: clients send a PROXY protocol header, v1 or v2
 * @proxy_out: what the origin is sent
 * @clients_max: at once
 * @origin_max: connections to one origin at once; 0: no limit
 * @connect_ms: name, TCP and budget
 * @handshake_ms: TLS
 * @header_ms: for the PROXY protocol header of a client
 * @idle_ms: longest time without a byte either way; 0: no limit
 * @lifetime_ms: longest life of a connection; 0: no limit
 * @close_ms: for an orderly end
 * @retry_ms: first back-off from an origin that failed; doubles up to
 * @retry_max_ms: this
 * @keepalive_ms: idle time before TCP probes, both sides; 0: none
 * @fastopen: TCP Fast Open, both sides
 */
struct config_listener {
	const char *name;
	unsigned int line;
	struct config_place listen;
	uint32_t listen_mode;
	struct config_place origins[CONFIG_ORIGINS_MAX];
	unsigned int nr_origins;

	const char *ca;
	const char *ca_dir;
	const char *crl;
	const char *cert;
	const char *key;
	const char *sni;
	const char *alpn;
	const char *tls12_ciphers;
	const char *tls13_suites;
	const char *groups;
	uint16_t tls_min;
	uint16_t tls_max;
	bool insecure;
	int plane;
	uint64_t auto_bytes;
	bool relay_module;

	const char *tickets;
	const char *tickets_key;
	uint64_t sessions_max;
	uint64_t full_per_s;
	uint64_t full_at_once;
	uint64_t warm;
	uint64_t warm_idle_ms;

	bool proxy_in;
	int proxy_out; /* enum config_proxy */

	uint64_t clients_max;
	uint64_t origin_max;
	uint64_t connect_ms;
	uint64_t handshake_ms;
	uint64_t header_ms;
	uint64_t idle_ms;
	uint64_t lifetime_ms;
	uint64_t close_ms;
	uint64_t retry_ms;
	uint64_t retry_max_ms;
	uint64_t keepalive_ms;
	bool fastopen;
};

/**
 * struct config - the whole of it
 * @file: it was read from; NULL: the command line alone
 * @threads: loops; 0: one for each CPU
 * @buffers: receive buffers of a loop
 * @clients_max: at once, all listeners together
 * @drain_ms: how long SIGTERM, a reload or an upgrade waits for connections
 * @user: to run as, once all is open; NULL: as started
 * @group: the same; NULL: that of @user
 * @control: unix socket for --status and for a successor; NULL: none
 * @metrics: place of the Prometheus text; text NULL: none
 * @log_level: least important level that is told
 * @check: only say whether it is right
 * @status: ask the proxy behind @control, print a table
 * @takeover: unix socket of the process to succeed; NULL: none
 * @listeners: what is served
 * @nr_listeners: 1 or more, but with @status
 */
struct config {
	const char *file;
	uint64_t threads;
	uint64_t buffers;
	uint64_t clients_max;
	uint64_t drain_ms;
	const char *user;
	const char *group;
	const char *control;
	struct config_place metrics;
	int log_level; /* enum config_level */
	bool check;
	bool status;
	const char *takeover;
	struct config_listener listeners[CONFIG_LISTENERS_MAX];
	unsigned int nr_listeners;
};

/* what config_read() returns beside 0 and an error */
#define CONFIG_HELP (-2) /* --help or --version was answered on stdout */

/**
 * config_read() - command line, then the file it names, then the checks
 * @argc: main()'s
 * @argv: main()'s; the config keeps no pointer into it
 * @out: receives the config; written on success only
 * @why: receives a sentence on failure, with file and line where there is one
 * @why_len: bytes at @why; CONFIG_WHY_LEN is enough
 *
 * Checks all that can be checked without opening a socket: files are there and
 * are what they should be (by ktc_client_check()), names and numbers make
 * sense, no two listeners share a place, verification off was said by name.
 * With --check, all problems are told on stderr if there are several; @why
 * then says how many.
 *
 * Context: one thread at a time.
 * Return: 0, CONFIG_HELP, -EINVAL with @why written, -ENOMEM.
 */
int config_read(int argc, char **argv, struct config **out, char *why,
		size_t why_len);

/* frees a config, or NULL */
void config_free(struct config *config);

/**
 * config_tickets_key() - read the file of @tickets_key
 * @path: 32 bytes, or 64 hexadecimal digits
 * @key: receives the key, which the caller wipes; written on success only
 * @why: receives a sentence on failure
 * @why_len: bytes at @why
 *
 * Return: 0, -EINVAL or -errno of the file.
 */
int config_tickets_key(const char *path, uint8_t key[KTC_EXPORT_KEY_LEN],
		       char *why, size_t why_len);

/* What a listener asks of its client; borrows the listener's strings. */
void config_client_opts(const struct config_listener *listener,
			struct ktc_client_opts *opts);

#endif /* PROXY_CONFIG_H */

// SPDX-License-Identifier: MIT
/*
 * A client's options: checked once, completed with defaults, copied. What
 * comes out is never changed again and may be read by any thread.
 *
 * The lists of suites and groups are only looked at for being printable
 * here; whether OpenSSL knows the names is found when the TLS context is
 * made. Files are read to the end, for their contents are part of the digest
 * by which sessions of differently configured clients are kept apart.
 */
#include "config.h"

#include <openssl/x509.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "limit.h"
#include "mem.h"
#include "sys.h"
#include "util.h"

#define CLIENT_FLAGS \
	(KTC_CLIENT_INSECURE_NO_VERIFY | KTC_CLIENT_NO_RESUME | \
	 KTC_CLIENT_KEYLOG_ENV | KTC_CLIENT_CRL_CHECK_ALL | \
	 KTC_CLIENT_FASTOPEN)

/* Those that decide whom we trust. */
#define VERIFY_FLAGS \
	(KTC_CLIENT_INSECURE_NO_VERIFY | KTC_CLIENT_CRL_CHECK_ALL)

/*
 * The first release's struct. A size below it is a mistake such as sizeof
 * of a pointer, which must not silently become "all defaults".
 */
#define CLIENT_OPTS_MIN \
	(offsetof(struct ktc_client_opts, keylog_arg) + sizeof(void *))

/* How far beyond a struct we are ready to look for non-zero bytes. */
#define OPTS_EXTRA_MAX 4096u

#define DEFAULT_TLS13_SUITES \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
	"TLS_CHACHA20_POLY1305_SHA256"
#define DEFAULT_TLS12_CIPHERS \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define DEFAULT_GROUPS "X25519:P-256"

/* The fields of the digest; numbers are never used again for another. */
enum {
	FIELD_FLAGS = 1,
	FIELD_VERSION_MIN,
	FIELD_VERSION_MAX,
	FIELD_TLS12_CIPHERS,
	FIELD_TLS13_SUITES,
	FIELD_GROUPS,
	FIELD_SYSTEM_STORE,
	FIELD_CA_FILE,
	FIELD_CA_DIR_NAME,
	FIELD_CA_DIR_CONTENT,
	FIELD_CRL_FILE,
	FIELD_CERT_FILE,
	FIELD_UNREADABLE,
};

/* Where the sentence goes. */
struct why {
	char *text;
	size_t len;
};

static int complain(const struct why *why, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(const struct why *why, int err, const char *fmt, ...)
{
	va_list args;

	if (why->text && why->len) {
		va_start(args, fmt);
		(void)vsnprintf(why->text, why->len, fmt, args); /* may cut */
		va_end(args);
	}
	return err;
}

static int complain_memory(const struct why *why)
{
	return complain(why, -ENOMEM, "There is no memory for the options");
}

int config_copy_opts(void *dst, size_t dst_size, size_t min_size,
		     const void *src)
{
	const uint8_t *bytes = src;
	size_t size, i;

	if (!src) {
		memset(dst, 0, dst_size);
		memcpy(dst, &dst_size, sizeof(dst_size));
		return 0;
	}
	memcpy(&size, src, sizeof(size));
	if (size < min_size || size > dst_size + OPTS_EXTRA_MAX)
		return -KTC_E_OPTION;
	for (i = dst_size; i < size; i++)
		if (bytes[i])
			return -KTC_E_OPTION;
	memset(dst, 0, dst_size);
	memcpy(dst, src, MIN(size, dst_size));
	memcpy(dst, &dst_size, sizeof(dst_size));
	return 0;
}

int config_copy_out(void *out, size_t min_size, const void *src,
		    size_t src_size)
{
	size_t size;

	memcpy(&size, out, sizeof(size));
	if (size < min_size || size > src_size + OPTS_EXTRA_MAX)
		return -KTC_E_OPTION;
	if (size > src_size)
		memset((uint8_t *)out + src_size, 0, size - src_size);
	memcpy(out, src, MIN(size, src_size));
	memcpy(out, &size, sizeof(size));
	return 0;
}

int config_alpn(const char *list, uint8_t **out, size_t *len)
{
	uint8_t wire[LIMIT_ALPN_WIRE];
	size_t at = 0, used = 0, name;
	uint8_t *copy;

	if (!list || !*list) {
		*out = NULL;
		*len = 0;
		return 0;
	}
	/* used: the place of the name's length; at: of its next character */
	for (at = used + 1;; list++) {
		if (*list && *list != ',') {
			if (*list < '!' || *list > '~' || at >= sizeof(wire))
				return -KTC_E_OPTION;
			wire[at++] = (uint8_t)*list;
			continue;
		}
		name = at - used - 1;
		if (!name)
			return -KTC_E_OPTION;
		wire[used] = (uint8_t)name;
		used = at++;
		if (!*list)
			break;
	}
	copy = mem_dup(wire, used);
	if (!copy)
		return -ENOMEM;
	*out = copy;
	*len = used;
	return 0;
}

static int check_numbers(const struct ktc_client_opts *opts,
			 const struct why *why)
{
	uint16_t min = opts->version_min ? opts->version_min : KTC_TLS1_2;
	uint16_t max = opts->version_max ? opts->version_max : KTC_TLS1_3;

	if (opts->flags & ~CLIENT_FLAGS)
		return complain(why, -KTC_E_OPTION,
				"flags: bits 0x%x are not known",
				opts->flags & ~CLIENT_FLAGS);
	if ((unsigned int)opts->policy > KTC_POLICY_NEVER)
		return complain(why, -KTC_E_OPTION,
				"policy: %d is no enum ktc_policy",
				(int)opts->policy);
	if (opts->reserved0 || opts->reserved1 || opts->reserved2)
		return complain(why, -KTC_E_OPTION,
				"reserved0, reserved1, reserved2: must be "
				"zero");
	if (min != KTC_TLS1_2 && min != KTC_TLS1_3)
		return complain(why, -KTC_E_OPTION,
				"version_min: 0x%04x is neither KTC_TLS1_2 nor "
				"KTC_TLS1_3", min);
	if (max != KTC_TLS1_2 && max != KTC_TLS1_3)
		return complain(why, -KTC_E_OPTION,
				"version_max: 0x%04x is neither KTC_TLS1_2 nor "
				"KTC_TLS1_3", max);
	if (min > max)
		return complain(why, -KTC_E_OPTION,
				"version_min: above version_max");
	if (opts->sessions_max > LIMIT_SESSIONS)
		return complain(why, -KTC_E_OPTION,
				"sessions_max: %u is above %u",
				opts->sessions_max, LIMIT_SESSIONS);
	if (opts->tickets_per_identity > LIMIT_TICKETS_PER_IDENTITY)
		return complain(why, -KTC_E_OPTION,
				"tickets_per_identity: %u is above %u",
				opts->tickets_per_identity,
				LIMIT_TICKETS_PER_IDENTITY);
	if (opts->keepalive_ms > LIMIT_KEEPALIVE_MS)
		return complain(why, -KTC_E_OPTION,
				"keepalive_ms: %u is above %u",
				opts->keepalive_ms, LIMIT_KEEPALIVE_MS);
	return 0;
}

/* What stands in the struct since there is a budget. */
static int check_budget(const struct ktc_client_opts *opts,
			const struct why *why)
{
	if (opts->sessions_bytes_max &&
	    (opts->sessions_bytes_max < LIMIT_SESSION_BYTES_MIN ||
	     opts->sessions_bytes_max > LIMIT_SESSION_BYTES))
		return complain(why, -KTC_E_OPTION,
				"sessions_bytes_max: %" PRIu64 " is not "
				"between %llu and %llu",
				opts->sessions_bytes_max,
				LIMIT_SESSION_BYTES_MIN, LIMIT_SESSION_BYTES);
	if (opts->full_per_s > LIMIT_FULL_PER_S)
		return complain(why, -KTC_E_OPTION,
				"full_per_s: %u is above %u",
				opts->full_per_s, LIMIT_FULL_PER_S);
	if (opts->full_at_once > LIMIT_FULL_AT_ONCE)
		return complain(why, -KTC_E_OPTION,
				"full_at_once: %u is above %u",
				opts->full_at_once, LIMIT_FULL_AT_ONCE);
	return 0;
}

static int check_path(const char *option, const char *path,
		      const struct why *why)
{
	if (path && !*path)
		return complain(why, -KTC_E_OPTION,
				"%s: is empty; leave it NULL for none", option);
	return 0;
}

static int check_list(const char *option, const char *list,
		      const struct why *why)
{
	size_t i;

	if (!list)
		return 0;
	if (!*list)
		return complain(why, -KTC_E_OPTION,
				"%s: is empty; leave it NULL for the default",
				option);
	for (i = 0; list[i]; i++) {
		if (i == LIMIT_LIST)
			return complain(why, -KTC_E_OPTION,
					"%s: longer than %u characters", option,
					LIMIT_LIST);
		if (list[i] < ' ' || list[i] > '~')
			return complain(why, -KTC_E_OPTION,
					"%s: character %zu is not printable",
					option, i + 1);
	}
	return 0;
}

static int check_strings(const struct ktc_client_opts *opts,
			 const struct why *why)
{
	const struct {
		const char *option, *value;
		int (*check)(const char *option, const char *value,
			     const struct why *why);
	} strings[] = {
		{ "ca_file", opts->ca_file, check_path },
		{ "ca_dir", opts->ca_dir, check_path },
		{ "crl_file", opts->crl_file, check_path },
		{ "cert_file", opts->cert_file, check_path },
		{ "key_file", opts->key_file, check_path },
		{ "tls12_ciphers", opts->tls12_ciphers, check_list },
		{ "tls13_suites", opts->tls13_suites, check_list },
		{ "groups", opts->groups, check_list },
	};
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		err = strings[i].check(strings[i].option, strings[i].value,
				       why);
		if (err)
			return err;
	}
	if (opts->cert_file && !opts->key_file)
		return complain(why, -KTC_E_OPTION,
				"key_file: is missing for cert_file");
	if (opts->key_file && !opts->cert_file)
		return complain(why, -KTC_E_OPTION,
				"cert_file: is missing for key_file");
	if ((opts->flags & KTC_CLIENT_CRL_CHECK_ALL) && !opts->crl_file)
		return complain(why, -KTC_E_OPTION,
				"crl_file: is missing for "
				"KTC_CLIENT_CRL_CHECK_ALL");
	return 0;
}

static int complain_file(const struct why *why, const char *option,
			 const char *path, int number)
{
	const char *text = strerrordesc_np(number);

	/* A shortage is no fault of the file. */
	return complain(why,
			number == ENOMEM || number == EMFILE ||
			number == ENFILE ? -number : -KTC_E_CONFIG_FILE,
			"%s: cannot read %s: %s", option, path,
			text ? text : "unknown error");
}

/*
 * Reads a regular file of up to max bytes. dir_fd and name are openat()'s,
 * path is for the sentence. The contents may hold a private key: free them
 * with mem_free_secret().
 */
static int read_file(int dir_fd, const char *name, const char *option,
		     const char *path, size_t max, const struct why *why,
		     uint8_t **out, size_t *out_len)
{
	size_t len = 0, size;
	uint8_t *data = NULL;
	struct stat st;
	ssize_t got;
	int fd, err;

	/* O_NONBLOCK: a FIFO must not hold us up before we see it is one */
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return complain_file(why, option, path, errno);
	if (fstat(fd, &st) < 0) {
		err = complain_file(why, option, path, errno);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = complain(why, -KTC_E_CONFIG_FILE,
			       "%s: %s is not a regular file", option, path);
		goto out;
	}
	if ((uint64_t)st.st_size > max)
		goto out_large;
	size = (size_t)st.st_size + 1;	/* one more shows growth */
	data = mem_zalloc(size);
	if (!data) {
		err = complain_memory(why);
		goto out;
	}
	while (len < size) {
		got = read(fd, data + len, size - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err = complain_file(why, option, path, errno);
			goto out_free;
		}
		if (!got)
			break;
		len += (size_t)got;
	}
	if (len == size) {
		err = complain(why, -KTC_E_CONFIG_FILE,
			       "%s: %s grew while it was read", option, path);
		goto out_free;
	}
	*out = data;
	*out_len = len;
	err = 0;
	goto out;

out_large:
	err = complain(why, -KTC_E_CONFIG_FILE,
		       "%s: %s is larger than %zu bytes", option, path, max);
	goto out;
out_free:
	mem_free_secret(data, size);
out:
	(void)close(fd);	/* only read from */
	return err;
}

/* A file that is not given is an absent field. */
static int hash_file(struct digest *digest, uint32_t field,
		     const char *option, const char *path,
		     const struct why *why)
{
	uint8_t *data = NULL;
	size_t len = 0;
	int err;

	if (path) {
		err = read_file(AT_FDCWD, path, option, path, LIMIT_FILE, why,
				&data, &len);
		if (err)
			return err;
	}
	digest_field(digest, field, data, len);
	mem_free_secret(data, len);
	return 0;
}

/* The key decides nothing that its certificate does not: it is only read. */
static int check_key(const char *path, const struct why *why)
{
	uint8_t *data = NULL;
	size_t len = 0;
	int err;

	if (!path)
		return 0;
	err = read_file(AT_FDCWD, path, "key_file", path, LIMIT_FILE, why,
			&data, &len);
	if (!err)
		mem_free_secret(data, len);
	return err;
}

static int hash_dir_entry(struct digest *digest, int dir_fd, const char *dir,
			  const char *name, size_t *room,
			  const struct why *why)
{
	char path[LIMIT_LIST];
	uint8_t *data = NULL;
	struct stat st;
	size_t len = 0;
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);	/* to read */
	/* What vanished or points nowhere is no anchor, nor is a folder. */
	if (fstatat(dir_fd, name, &st, 0) < 0)
		return errno == ENOENT || errno == ELOOP ?
		       0 : complain_file(why, "ca_dir", path, errno);
	if (!S_ISREG(st.st_mode))
		return 0;
	err = read_file(dir_fd, name, "ca_dir", path, *room, why, &data, &len);
	if (err)
		return err;
	*room -= len;
	digest_field(digest, FIELD_CA_DIR_NAME, name, strlen(name));
	digest_field(digest, FIELD_CA_DIR_CONTENT, data, len);
	mem_free_secret(data, len);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *dir, const char *path, char **names,
		      unsigned int *count, const struct why *why)
{
	struct dirent *entry;

	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? complain_file(why, "ca_dir", path, errno)
				     : 0;
		if (*count == LIMIT_CA_DIR_FILES)
			return complain(why, -KTC_E_CONFIG_FILE,
					"ca_dir: %s has more than %u entries",
					path, LIMIT_CA_DIR_FILES);
		names[*count] = mem_strdup(entry->d_name);
		if (!names[*count])
			return complain_memory(why);
		++*count;
	}
}

static int hash_dir(struct digest *digest, const char *path,
		    const struct why *why)
{
	unsigned int count = 0, i;
	size_t room = LIMIT_FILE;
	char **names;
	DIR *dir;
	int err;

	if (!path)
		return 0;
	names = mem_zalloc(LIMIT_CA_DIR_FILES * sizeof(*names));
	if (!names)
		return complain_memory(why);
	dir = opendir(path);
	if (!dir) {
		err = complain_file(why, "ca_dir", path, errno);
		goto out_names;
	}
	err = read_names(dir, path, names, &count, why);
	/* By bytes, so that neither locale nor order on disk matters. */
	qsort(names, count, sizeof(*names), compare_names);
	for (i = 0; i < count && !err; i++)
		err = hash_dir_entry(digest, dirfd(dir), path, names[i], &room,
				     why);
	(void)closedir(dir);	/* only read from */
out_names:
	for (i = 0; i < count; i++)
		mem_free(names[i]);
	mem_free(names);
	return err;
}

static void hash_text(struct digest *digest, uint32_t field, const char *text)
{
	digest_field(digest, field, text, strlen(text));
}

static int hash_dirs(struct digest *digest, const char *dirs)
{
	const struct why nobody = { NULL, 0 };
	char dir[LIMIT_LIST];
	int err = 0;

	while (*dirs && !err) {
		size_t len = strcspn(dirs, ":");

		if (len >= sizeof(dir))
			return -KTC_E_CONFIG_FILE;
		memcpy(dir, dirs, len);
		dir[len] = '\0';
		if (!access(dir, F_OK))
			err = hash_dir(digest, dir, &nobody);
		dirs += len + (dirs[len] == ':');
	}
	return err;
}

/*
 * What OpenSSL will read by itself, as far as it is there. A system's store
 * that cannot be read to its end is no reason to refuse; but nobody can say
 * then that another client's is the same.
 */
static void hash_system_store(struct digest *digest)
{
	const char *file = secure_getenv(X509_get_default_cert_file_env());
	const char *dirs = secure_getenv(X509_get_default_cert_dir_env());
	const struct why nobody = { NULL, 0 };
	int err = 0;

	file = file ? file : X509_get_default_cert_file();
	if (!access(file, F_OK))
		err = hash_file(digest, FIELD_CA_FILE, "", file, &nobody);
	if (!err)
		err = hash_dirs(digest, dirs ? dirs :
					X509_get_default_cert_dir());
	if (err)
		digest_number(digest, FIELD_UNREADABLE, sys->now_us());
}

static int hash_config(struct config *config, const struct why *why)
{
	bool system = !config->ca_file && !config->ca_dir;
	struct digest digest;
	int err, sum_err;

	digest_init(&digest);
	digest_number(&digest, FIELD_FLAGS, config->flags & VERIFY_FLAGS);
	digest_number(&digest, FIELD_VERSION_MIN, config->version_min);
	digest_number(&digest, FIELD_VERSION_MAX, config->version_max);
	hash_text(&digest, FIELD_TLS12_CIPHERS, config->tls12_ciphers);
	hash_text(&digest, FIELD_TLS13_SUITES, config->tls13_suites);
	hash_text(&digest, FIELD_GROUPS, config->groups);
	digest_number(&digest, FIELD_SYSTEM_STORE, system);
	if (system && !(config->flags & KTC_CLIENT_INSECURE_NO_VERIFY))
		hash_system_store(&digest);
	err = hash_file(&digest, FIELD_CA_FILE, "ca_file", config->ca_file,
			why);
	if (!err)
		err = hash_dir(&digest, config->ca_dir, why);
	if (!err)
		err = hash_file(&digest, FIELD_CRL_FILE, "crl_file",
				config->crl_file, why);
	if (!err)
		err = hash_file(&digest, FIELD_CERT_FILE, "cert_file",
				config->cert_file, why);
	sum_err = digest_fini(&digest, err ? NULL : config->digest);
	if (!err && sum_err)
		err = complain(why, sum_err, "OpenSSL cannot do SHA-256");
	return err;
}

static int copy_strings(struct config *config,
			const struct ktc_client_opts *opts)
{
	const struct {
		char **to;
		const char *from;
		const char *or_default;
	} strings[] = {
		{ &config->ca_file, opts->ca_file, NULL },
		{ &config->ca_dir, opts->ca_dir, NULL },
		{ &config->crl_file, opts->crl_file, NULL },
		{ &config->cert_file, opts->cert_file, NULL },
		{ &config->key_file, opts->key_file, NULL },
		{ &config->tls12_ciphers, opts->tls12_ciphers,
		  DEFAULT_TLS12_CIPHERS },
		{ &config->tls13_suites, opts->tls13_suites,
		  DEFAULT_TLS13_SUITES },
		{ &config->groups, opts->groups, DEFAULT_GROUPS },
	};
	const char *from;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		from = strings[i].from ? strings[i].from
				       : strings[i].or_default;
		*strings[i].to = mem_strdup(from);
		if (from && !*strings[i].to)
			return -ENOMEM;
	}
	return 0;
}

static void copy_numbers(struct config *config,
			 const struct ktc_client_opts *opts)
{
	config->flags = opts->flags;
	config->policy = opts->policy == KTC_POLICY_DEFAULT ?
			 KTC_POLICY_AUTO : opts->policy;
	config->version_min = opts->version_min ?: KTC_TLS1_2;
	config->version_max = opts->version_max ?: KTC_TLS1_3;
	config->auto_bytes = opts->auto_bytes ?: DEFAULT_AUTO_BYTES;
	config->connect_timeout_ms =
		opts->connect_timeout_ms ?: DEFAULT_CONNECT_MS;
	config->handshake_timeout_ms =
		opts->handshake_timeout_ms ?: DEFAULT_HANDSHAKE_MS;
	config->idle_timeout_ms = opts->idle_timeout_ms;
	config->close_timeout_ms = opts->close_timeout_ms ?: DEFAULT_CLOSE_MS;
	config->send_queue_max = opts->send_queue_max ?: DEFAULT_SEND_QUEUE;
	config->sessions_max = opts->sessions_max ?: DEFAULT_SESSIONS;
	config->tickets_per_identity =
		opts->tickets_per_identity ?: DEFAULT_TICKETS;
	config->sessions_bytes_max =
		opts->sessions_bytes_max ?: DEFAULT_SESSION_BYTES;
	config->full_per_s = opts->full_per_s;
	config->full_at_once = opts->full_at_once;
	config->keepalive_ms = opts->keepalive_ms;
	config->keylog = opts->keylog;
	config->keylog_arg = opts->keylog_arg;
}

int config_init(struct config *config, const struct ktc_client_opts *opts,
		char *why_text, size_t why_len)
{
	const struct why why = { why_text, why_len };
	struct ktc_client_opts full;
	struct config made = { 0 };
	int err;

	err = config_copy_opts(&full, sizeof(full), CLIENT_OPTS_MIN, opts);
	if (err)
		return complain(&why, err, "size: is wrong, or a field that "
				"this version does not know is not zero");
	err = check_numbers(&full, &why);
	if (!err)
		err = check_budget(&full, &why);
	if (!err)
		err = check_strings(&full, &why);
	if (err)
		return err;

	copy_numbers(&made, &full);
	err = copy_strings(&made, &full);
	if (!err)
		err = config_alpn(full.alpn, &made.alpn, &made.alpn_len);
	if (err == -KTC_E_OPTION)
		(void)complain(&why, err, "alpn: not a comma-separated list of "
			       "printable names, %u bytes at most",
			       LIMIT_ALPN_WIRE);
	else if (err)
		(void)complain_memory(&why);
	if (err)
		goto out_fini;
	err = hash_config(&made, &why);
	if (!err)
		err = check_key(made.key_file, &why);
	if (err)
		goto out_fini;
	*config = made;
	return 0;

out_fini:
	config_fini(&made);
	return err;
}

void config_fini(struct config *config)
{
	mem_free(config->ca_file);
	mem_free(config->ca_dir);
	mem_free(config->crl_file);
	mem_free(config->cert_file);
	mem_free(config->key_file);
	mem_free(config->tls12_ciphers);
	mem_free(config->tls13_suites);
	mem_free(config->groups);
	mem_free(config->alpn);
	memset(config, 0, sizeof(*config));
}

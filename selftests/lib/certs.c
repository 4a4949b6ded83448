// SPDX-License-Identifier: MIT
/*
 * Makes the test certificates with OpenSSL. Each file is written under a
 * temporary name and renamed, the revocation list last, all under a lock on
 * the folder: whoever finds the complete set may use it.
 *
 * Dates are fixed, so that a set stays good on a machine or a virtual machine
 * whose clock is wrong by years.
 */
#include "certs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define CERT_FROM	"20200101000000Z"
#define CERT_UNTIL	"20491231235959Z"
#define CERT_OLD_FROM	"20010101000000Z"
#define CERT_OLD_UNTIL	"20020101000000Z"
#define CRL_FILE	"crl.pem"

#define NAMES_SERVER \
	"DNS:localhost,DNS:origin.test,IP:127.0.0.1,IP:::1"

enum issuer {
	ISSUER_SELF,		/* a CA: signs itself */
	ISSUER_CA,
	ISSUER_UNKNOWN_CA,
};

struct cert_spec {
	const char *name;	/* file name without suffix */
	const char *common_name;
	const char *alt_names;	/* NULL: no extension */
	const char *usage;	/* extended key usage; NULL: none */
	enum issuer issuer;
	long serial;
	bool expired;
};

enum { SPEC_CA, SPEC_UNKNOWN_CA, SPEC_REVOKED };

static const struct cert_spec specs[] = {
	[SPEC_CA] = { .name = "ca", .common_name = "Test CA", .serial = 1 },
	[SPEC_UNKNOWN_CA] = { .name = "unknown-ca",
		.common_name = "Unknown CA", .serial = 2 },
	[SPEC_REVOKED] = { .name = "revoked", .common_name = "revoked",
		.alt_names = NAMES_SERVER, .usage = "serverAuth",
		.issuer = ISSUER_CA, .serial = 3 },
	{ .name = "server", .common_name = "localhost",
		.alt_names = NAMES_SERVER, .usage = "serverAuth",
		.issuer = ISSUER_CA, .serial = 4 },
	{ .name = "other", .common_name = "other.test",
		.alt_names = "DNS:other.test", .usage = "serverAuth",
		.issuer = ISSUER_CA, .serial = 5 },
	{ .name = "expired", .common_name = "localhost",
		.alt_names = NAMES_SERVER, .usage = "serverAuth",
		.issuer = ISSUER_CA, .serial = 6, .expired = true },
	{ .name = "unknown", .common_name = "localhost",
		.alt_names = NAMES_SERVER, .usage = "serverAuth",
		.issuer = ISSUER_UNKNOWN_CA, .serial = 7 },
	{ .name = "client", .common_name = "client", .usage = "clientAuth",
		.issuer = ISSUER_CA, .serial = 8 },
};

struct identity {
	X509 *cert;
	EVP_PKEY *key;
};

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!ext)
		return -EIO;
	ok = X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return ok ? 0 : -EIO;
}

static int add_extensions(const struct cert_spec *spec, X509 *cert,
			  X509 *issuer)
{
	bool is_ca = spec->issuer == ISSUER_SELF;
	int err;

	err = add_extension(cert, issuer, NID_basic_constraints,
			    is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (!err)
		err = add_extension(cert, issuer, NID_key_usage,
				    is_ca ? "critical,keyCertSign,cRLSign" :
					    "critical,digitalSignature");
	if (!err)
		err = add_extension(cert, issuer, NID_subject_key_identifier,
				    "hash");
	if (!err)
		err = add_extension(cert, issuer,
				    NID_authority_key_identifier, "keyid");
	if (!err && spec->usage)
		err = add_extension(cert, issuer, NID_ext_key_usage,
				    spec->usage);
	if (!err && spec->alt_names)
		err = add_extension(cert, issuer, NID_subject_alt_name,
				    spec->alt_names);
	return err;
}

/* Fills @id; what it made of it is the caller's to free, on failure too. */
static int make_identity(const struct cert_spec *spec,
			 const struct identity *ca, struct identity *id)
{
	const char *from = spec->expired ? CERT_OLD_FROM : CERT_FROM;
	const char *until = spec->expired ? CERT_OLD_UNTIL : CERT_UNTIL;
	const struct identity *issuer = ca ? ca : id;
	X509_NAME *name;
	int err;

	id->key = EVP_EC_gen("P-256");
	id->cert = X509_new();
	if (!id->key || !id->cert)
		return -EIO;

	name = X509_get_subject_name(id->cert);
	if (!X509_set_version(id->cert, X509_VERSION_3) ||
	    !ASN1_INTEGER_set(X509_get_serialNumber(id->cert), spec->serial) ||
	    !ASN1_TIME_set_string(X509_getm_notBefore(id->cert), from) ||
	    !ASN1_TIME_set_string(X509_getm_notAfter(id->cert), until) ||
	    !X509_set_pubkey(id->cert, id->key) ||
	    !X509_NAME_add_entry_by_txt(
		    name, "CN", MBSTRING_ASC,
		    (const unsigned char *)spec->common_name, -1, -1, 0) ||
	    !X509_set_issuer_name(id->cert,
				  X509_get_subject_name(issuer->cert)))
		return -EIO;

	err = add_extensions(spec, id->cert, issuer->cert);
	if (err)
		return err;
	return X509_sign(id->cert, issuer->key, EVP_sha256()) > 0 ? 0 : -EIO;
}

static X509_CRL *make_crl(const struct identity *ca, const X509 *revoked)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME *time = ASN1_TIME_new();
	X509_CRL *crl = X509_CRL_new();
	bool ok = false;

	if (!entry || !time || !crl)
		goto out;
	if (!X509_CRL_set_version(crl, X509_CRL_VERSION_2) ||
	    !X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert)) ||
	    !ASN1_TIME_set_string(time, CERT_FROM) ||
	    !X509_CRL_set1_lastUpdate(crl, time) ||
	    !X509_REVOKED_set_serialNumber(
		    entry, (ASN1_INTEGER *)X509_get0_serialNumber(revoked)) ||
	    !X509_REVOKED_set_revocationDate(entry, time) ||
	    !ASN1_TIME_set_string(time, CERT_UNTIL) ||
	    !X509_CRL_set1_nextUpdate(crl, time) ||
	    !X509_CRL_add0_revoked(crl, entry))
		goto out;
	entry = NULL;	/* the list owns it now */
	ok = X509_CRL_sort(crl) &&
	     X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0;
out:
	X509_REVOKED_free(entry);
	ASN1_TIME_free(time);
	if (!ok) {
		X509_CRL_free(crl);
		crl = NULL;
	}
	return crl;
}

typedef int (*pem_write_fn)(FILE *file, const void *obj);

static int write_cert(FILE *file, const void *obj)
{
	return PEM_write_X509(file, obj);
}

static int write_crl(FILE *file, const void *obj)
{
	return PEM_write_X509_CRL(file, obj);
}

static int write_key(FILE *file, const void *obj)
{
	return PEM_write_PrivateKey(file, obj, NULL, NULL, 0, NULL, NULL);
}

static int write_pem(int dir, const char *name, const char *suffix,
		     pem_write_fn write_fn, const void *obj)
{
	mode_t mode = write_fn == write_key ? 0600 : 0644;
	char path[64], tmp[80];
	FILE *file;
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s%s", name, suffix);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	ok = write_fn(file, obj);
	if (fclose(file) || !ok)
		return -EIO;
	return renameat(dir, tmp, dir, path) ? -errno : 0;
}

static int write_all(int dir, const struct identity *ids, const X509_CRL *crl)
{
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(specs); i++) {
		err = write_pem(dir, specs[i].name, ".key", write_key,
				ids[i].key);
		if (!err)
			err = write_pem(dir, specs[i].name, ".pem", write_cert,
					ids[i].cert);
	}
	if (!err)
		err = write_pem(dir, CRL_FILE, "", write_crl, crl);
	return err;
}

static int make_all(int dir)
{
	struct identity ids[ARRAY_SIZE(specs)] = { 0 };
	const struct identity *ca;
	X509_CRL *crl = NULL;
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(specs); i++) {
		switch (specs[i].issuer) {
		case ISSUER_CA:
			ca = &ids[SPEC_CA];
			break;
		case ISSUER_UNKNOWN_CA:
			ca = &ids[SPEC_UNKNOWN_CA];
			break;
		default:
			ca = NULL;
			break;
		}
		err = make_identity(&specs[i], ca, &ids[i]);
	}
	if (!err) {
		crl = make_crl(&ids[SPEC_CA], ids[SPEC_REVOKED].cert);
		err = crl ? write_all(dir, ids, crl) : -EIO;
	}
	if (err == -EIO)
		ERR_print_errors_fp(stderr);

	X509_CRL_free(crl);
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		X509_free(ids[i].cert);
		EVP_PKEY_free(ids[i].key);
	}
	return err;
}

int certs_make(const char *dir)
{
	int err, fd;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX)) {
		err = -errno;
		goto out_close;
	}
	/* Written last, so it vouches for the others. */
	err = faccessat(fd, CRL_FILE, R_OK, 0) ? make_all(fd) : 0;
out_close:
	close(fd);
	return err;
}

/*
 * The set that all programs of one build share: "certs" beside the program's
 * folder. Keys and signatures are dear on an emulated CPU, copies are not.
 */
static int open_shared(void)
{
	char path[CERTS_DIR_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 16);
	int err, fd;

	if (len < 0)
		return -errno;
	path[len] = '\0';
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(path, '/');

		if (!slash)
			return -ENOENT;
		*slash = '\0';
	}
	strcat(path, "/certs");
	err = certs_make(path);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int copy_file(int from, int to, const char *name, const char *suffix)
{
	char path[64], buf[16384];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s%s", name, suffix);
	fd = openat(from, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, buf, sizeof(buf));
	close(fd);
	if (len <= 0 || len == sizeof(buf))
		return -EIO;
	fd = openat(to, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, buf, len) != len) {
		close(fd);
		return -EIO;
	}
	return close(fd) ? -errno : 0;
}

static int copy_all(int from, const char *dir)
{
	int to = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (to < 0)
		return -errno;
	for (size_t i = 0; !err && i < ARRAY_SIZE(specs); i++) {
		err = copy_file(from, to, specs[i].name, ".key");
		if (!err)
			err = copy_file(from, to, specs[i].name, ".pem");
	}
	if (!err)
		err = copy_file(from, to, CRL_FILE, "");
	close(to);
	return err;
}

int certs_make_temp(char dir[CERTS_DIR_MAX])
{
	const char *parent = getenv("TMPDIR");
	int err, n, shared;

	n = snprintf(dir, CERTS_DIR_MAX, "%s/certs.XXXXXX",
		     parent ? parent : "/tmp");
	if (n >= CERTS_DIR_MAX)
		return -ENAMETOOLONG;
	if (!mkdtemp(dir))
		return -errno;
	shared = open_shared();
	if (shared >= 0) {
		err = copy_all(shared, dir);
		close(shared);
	} else {
		err = certs_make(dir); /* a build folder that is read-only */
	}
	if (err)
		certs_remove(dir);
	return err;
}

void certs_remove(const char *dir)
{
	char path[CERTS_DIR_MAX + 64];

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		snprintf(path, sizeof(path), "%s/%s.key", dir, specs[i].name);
		unlink(path);
		snprintf(path, sizeof(path), "%s/%s.pem", dir, specs[i].name);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/" CRL_FILE, dir);
	unlink(path);
	rmdir(dir);
}

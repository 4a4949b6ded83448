/* SPDX-License-Identifier: MIT */
/*
 * Test certificates, made when they are needed: ECDSA P-256, valid from 2020
 * to 2049 unless said otherwise, no file of them in the repository.
 *
 *	ca.pem			the trust anchor of all but "unknown"
 *	crl.pem			its revocation list; names "revoked"
 *	server.pem .key		localhost, origin.test, 127.0.0.1, ::1
 *	other.pem .key		other.test
 *	expired.pem .key	names of "server", valid until 2002
 *	unknown.pem .key	names of "server", another CA
 *	unknown-ca.pem		that CA
 *	revoked.pem .key	names of "server", on the list
 *	client.pem .key		a client, common name "client"
 */
#ifndef SELFTESTS_CERTS_H
#define SELFTESTS_CERTS_H

/**
 * certs_make() - see that a folder has the test certificates
 * @dir: the folder; made if it is not there (its parent must be)
 *
 * A complete set that is there already is left alone. Processes may call it
 * for one folder at the same time.
 *
 * Return: 0; -errno; -EIO when OpenSSL failed, with its reason on stderr.
 */
int certs_make(const char *dir);

#define CERTS_DIR_MAX 256

/**
 * certs_make_temp() - the same in a new folder under $TMPDIR or /tmp
 * @dir: receives its name
 *
 * Return: as certs_make().
 */
int certs_make_temp(char dir[CERTS_DIR_MAX]);

/**
 * certs_remove() - remove the test certificates, and the folder if empty then
 * @dir: a folder certs_make() has filled
 */
void certs_remove(const char *dir);

#endif /* SELFTESTS_CERTS_H */

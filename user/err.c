// SPDX-License-Identifier: MIT
/*
 * The table of errors: for each code its name, the class that callers branch
 * on, and a sentence for people. Our codes are in a table of their own; an
 * errno's words come from libc. All strings are constant, so every function
 * may be called from any thread.
 */
#include "err.h"

#include <errno.h>
#include <string.h>

#include "util.h"

struct err_entry {
	const char *name;
	enum ktc_class class_;
	const char *text;
};

#define ERR(code, class, sentence) \
	[KTC_E_##code - KTC_E_BASE] = { \
		"KTC_E_" #code, KTC_CLASS_##class, sentence \
	}

static const struct err_entry own[] = {
	ERR(OPTION, USAGE, "An option's value makes no sense; "
	    "ktc_client_check() names a client's option"),
	ERR(CONFIG_FILE, USAGE, "A CA, CRL, certificate or key file cannot be "
	    "read or parsed; ktc_client_check() names it"),
	ERR(STATE, USAGE, "The connection's state does not allow this call"),
	ERR(POLICY, UNSUPPORTED, "The client's configuration forbids this: its "
	    "plane policy, resumption switched off, or a certificate and no "
	    "KTC_EXPORT_CLIENT_CERT"),

	ERR(RESOLVE, NETWORK, "The server's name has no usable address; check "
	    "the name and the resolver"),
	ERR(CONNECT_TIMEOUT, TIMEOUT, "The server was not reached within the "
	    "connect timeout"),
	ERR(HANDSHAKE_TIMEOUT, TIMEOUT, "The TLS handshake did not end within "
	    "its timeout"),
	ERR(IDLE_TIMEOUT, TIMEOUT, "No byte passed either way within the idle "
	    "timeout"),
	ERR(CLOSE_TIMEOUT, TIMEOUT, "The connection could not be closed in "
	    "order within the close timeout; sent bytes may be lost"),
	ERR(BUDGET, TIMEOUT, "The budget for full handshakes let none begin "
	    "within the connect timeout; see full_per_s and full_at_once"),

	ERR(VERIFY, PEER, "The server's certificate chain is not trusted"),
	ERR(VERIFY_HOST, PEER, "The server's certificate is for another name"),
	ERR(VERIFY_EXPIRED, PEER, "A certificate of the server's chain has "
	    "expired or is not valid yet; check the clock too"),
	ERR(VERIFY_CA, PEER, "The issuer of the server's certificate is "
	    "unknown; check ca_file and ca_dir"),
	ERR(VERIFY_REVOKED, PEER, "A certificate of the server's chain has "
	    "been revoked"),

	ERR(HANDSHAKE, PROTOCOL, "The TLS handshake failed; the two sides may "
	    "have no version, suite or group in common"),
	ERR(ALERT, PEER, "The server ended the connection with a fatal alert; "
	    "ktc_conn_error() has its number"),
	ERR(RECORD, PROTOCOL, "The server sent a TLS record that is malformed "
	    "or too large"),
	ERR(DECRYPT, PROTOCOL, "A TLS record failed authentication; it was "
	    "damaged or forged on its way"),
	ERR(UNEXPECTED, PROTOCOL, "The server sent a TLS message that is not "
	    "allowed at this point"),
	ERR(TRUNCATED, PROTOCOL, "The server's stream ended without "
	    "close_notify; the data may be incomplete"),
	ERR(FLOOD, PROTOCOL, "The server sent too many records without data"),
	ERR(KEY_UPDATE, UNSUPPORTED, "The server changed its keys, and this "
	    "kernel cannot; connect again, or use policy never"),
	ERR(KEY_LIMIT, CLOSED, "The keys have protected as many records as "
	    "they may; connect again"),

	ERR(SEAL, USAGE, "The exported sessions were sealed with another key, "
	    "or are not whole"),
	ERR(SEAL_VERSION, USAGE, "The exported sessions are of a version that "
	    "this library does not read"),
	ERR(SEAL_CONFIG, USAGE, "The exported sessions are of a client that "
	    "was configured otherwise"),
	ERR(ADOPT, USAGE, "The state is not whole, of a version that this "
	    "library does not read, or not of this socket's connection"),

	ERR(HANDOVER, SYSTEM, "The kernel took the sending keys and refused "
	    "the receiving ones"),
	ERR(UNSUPPORTED, UNSUPPORTED, "This kernel or this connection cannot "
	    "do it; ktc_probe() tells what the kernel can do"),
	ERR(OPENSSL, SYSTEM, "OpenSSL failed inside"),
	ERR(INTERNAL, INTERNAL, "A bug in libktlsclient; please report it"),
	ERR(CANCELED, CLOSED, "The caller aborted the connection"),
};

_Static_assert(ARRAY_SIZE(own) == KTC_E_END - KTC_E_BASE,
	       "each code of enum ktc_error has a row");

static const char *const class_names[] = {
	[KTC_CLASS_NONE] = "none",
	[KTC_CLASS_AGAIN] = "again",
	[KTC_CLASS_CLOSED] = "closed",
	[KTC_CLASS_NETWORK] = "network",
	[KTC_CLASS_TIMEOUT] = "timeout",
	[KTC_CLASS_PEER] = "peer",
	[KTC_CLASS_PROTOCOL] = "protocol",
	[KTC_CLASS_UNSUPPORTED] = "unsupported",
	[KTC_CLASS_USAGE] = "usage",
	[KTC_CLASS_SYSTEM] = "system",
	[KTC_CLASS_INTERNAL] = "internal",
};

_Static_assert(ARRAY_SIZE(class_names) == KTC_CLASS_INTERNAL + 1,
	       "each class has a name");

static const char *const reason_texts[] = {
	[KTC_WHY_NOTHING] = "There is nothing to explain",

	[KTC_WHY_POLICY] = "Not offloaded: the policy is never",
	[KTC_WHY_NOT_YET] = "Not offloaded: too few bytes so far for policy "
			    "auto",
	[KTC_WHY_NO_KTLS] = "Not offloaded: this kernel has no kernel TLS; "
			    "load the tls module",
	[KTC_WHY_NO_SUITE] = "Not offloaded: this kernel lacks the cipher; "
			     "load its crypto module",
	[KTC_WHY_ULP_REFUSED] = "Not offloaded: the kernel refused TLS on "
				"this socket",
	[KTC_WHY_PEER_FIN] = "Not offloaded: the server had closed its side "
			     "before the handover",
	[KTC_WHY_NOT_TCP] = "Not offloaded: kernel TLS needs a TCP socket",
	[KTC_WHY_TX_REFUSED] = "Not offloaded: the kernel refused the sending "
			       "keys",

	[KTC_WHY_NO_SESSION] = "Not resumed: no session is kept for this "
			       "server",
	[KTC_WHY_EXPIRED] = "Not resumed: the sessions kept for this server "
			    "have expired",
	[KTC_WHY_TAKEN] = "Not resumed: other connections have all the "
			  "sessions kept for this server",
	[KTC_WHY_DECLINED] = "Not resumed: the server chose a full handshake",
	[KTC_WHY_RESUME_OFF] = "Not resumed: resumption is switched off",

	[KTC_WHY_RELAY_LOOP] = "Not by the module: the caller asked for the "
			       "loop",
	[KTC_WHY_USER_PLANE] = "Not by the module: the connection is not on "
			       "the kernel plane",
	[KTC_WHY_NO_MODULE] = "Not by the module: load ktlsclient.ko",
	[KTC_WHY_MODULE_BUSY] = "Not by the module: it has as many relays as "
				"it may, or no memory for another",
	[KTC_WHY_MODULE_REFUSED] = "Not by the module: it refused the sockets",
	[KTC_WHY_HALF_CLOSED] = "Not by the module: one side had ended before",
	[KTC_WHY_REKEYING] = "Not by the module for now: the keys are being "
			     "changed",
};

_Static_assert(ARRAY_SIZE(reason_texts) == KTC_WHY_NR,
	       "each reason has a sentence");

static const struct err_entry *find_own(int err)
{
	if (err > -KTC_E_BASE || err <= -KTC_E_END)
		return NULL;
	return &own[-err - KTC_E_BASE];
}

/*
 * Linux keeps errno below 4096, so what is negative, not ours and not beyond
 * our codes is one. A positive number is a count: success.
 */
static bool is_errno(int err)
{
	return err < 0 && err > -KTC_E_BASE;
}

const char *err_text(int err)
{
	const struct err_entry *entry = find_own(err);
	const char *text;

	if (err >= 0)
		return "Success";
	if (entry)
		return entry->text;
	text = is_errno(err) ? strerrordesc_np(-err) : NULL;
	return text ? text : "An error code that nobody knows";
}

const char *err_name(int err)
{
	const struct err_entry *entry = find_own(err);
	const char *name;

	if (err >= 0)
		return "OK";
	if (entry)
		return entry->name;
	name = is_errno(err) ? strerrorname_np(-err) : NULL;
	return name ? name : "UNKNOWN";
}

static enum ktc_class errno_class(int number)
{
	switch (number) {
	case EAGAIN:
	case EINTR:
	case ENOBUFS:
	case ENOMEM:
		return KTC_CLASS_AGAIN;
	case ECANCELED:
		return KTC_CLASS_CLOSED;
	case EADDRNOTAVAIL:
	case ECONNABORTED:
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENETRESET:
	case ENETUNREACH:
	case ENOTCONN:
	case EPIPE:
	case ETIMEDOUT:	/* TCP gave up; no deadline of ours */
		return KTC_CLASS_NETWORK;
	case EBADMSG:	/* kernel TLS: a record that fails authentication */
	case EMSGSIZE:	/* kernel TLS: a record that is too large */
	case EPROTO:
		return KTC_CLASS_PROTOCOL;
	case EAFNOSUPPORT:
	case ENOPROTOOPT:
	case ENOSYS:
	case EOPNOTSUPP:
	case EPROTONOSUPPORT:
		return KTC_CLASS_UNSUPPORTED;
	case EBADF:
	case EFAULT:
	case ENODATA:	/* a file shorter than sendfile was told */
	case ENOTSOCK:
		return KTC_CLASS_USAGE;
	default:
		return KTC_CLASS_SYSTEM;
	}
}

enum ktc_class err_class(int err)
{
	const struct err_entry *entry = find_own(err);

	if (err >= 0)
		return KTC_CLASS_NONE;
	if (entry)
		return entry->class_;
	return is_errno(err) ? errno_class(-err) : KTC_CLASS_INTERNAL;
}

const char *err_class_name(enum ktc_class class_)
{
	if ((unsigned int)class_ >= ARRAY_SIZE(class_names))
		return "unknown";
	return class_names[class_];
}

const char *err_reason_text(enum ktc_reason why)
{
	if ((unsigned int)why >= ARRAY_SIZE(reason_texts))
		return "A reason that nobody knows";
	return reason_texts[why];
}

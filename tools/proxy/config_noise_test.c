// SPDX-License-Identifier: MIT
/*
 * Places and config files with mistakes in them that nobody thought of: they
 * are refused with a sentence, or mean something that can be written down and
 * read again.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config_build.h"
#include "ktap.h"
#include "noise.h"

#define PLACE_ROUNDS 200000
#define FILE_ROUNDS 500
#define BAD_FILE_ROUNDS 10000
#define PLACE_ROOM 400
#define FILE_ROOM 2048
#define SEED(text) { (text), sizeof(text) - 1 }

static struct noise noise;

/* ---------------------------------------------------------------- places -- */

#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct noise_seed places[] = {
	SEED("127.0.0.1:8080"),	  SEED(":80"),	   SEED("[::1]:443"),
	SEED("[fe80::1%eth0]:1"), SEED("[::1]"),   SEED("localhost:65535"),
	SEED("unix:/run/socket"), SEED("a.b-c_d"), SEED("127.0.0.1:0"),
	/* a name of the longest kind, a path of more than that */
	SEED(LONG "." LONG "." LONG "." LONG ":1"),
	SEED("unix:/" LONG LONG),
};

/* What it means, in words of our own: it means that again. */
static void means_the_same(struct config_build *build, enum config_role role,
			   const struct config_place *place)
{
	char text[PLACE_ROOM + 16], why[CONFIG_WHY_LEN];
	struct config_place again;

	/* a host of that name can be told without its port only */
	if (place->host && !strcmp(place->host, "unix"))
		return;
	if (place->path)
		(void)snprintf(text, sizeof(text), "unix:%s", place->path);
	else if (!place->host)
		(void)snprintf(text, sizeof(text), ":%u", place->port);
	else
		(void)snprintf(text, sizeof(text),
			       strchr(place->host, ':') ? "[%s]:%u" : "%s:%u",
			       place->host, place->port);
	CHECK(!config_place_parse(build, text, role, &again, why, sizeof(why)));
	if (!ktap_failed)
		CHECK(config_place_same(place, &again));
}

static void check_place(struct config_build *build, const char *text)
{
	enum config_role role = noise_below(&noise, 2) ? CONFIG_TO_LISTEN :
							 CONFIG_TO_CONNECT;
	/* memory of just these sizes: see any sanitizer */
	char *copy = strdup(text), *why = malloc(CONFIG_WHY_LEN);
	struct config_place place, before;
	int err;

	if (!copy || !why)
		abort();
	memset(&place, 0x5a, sizeof(place));
	memset(&before, 0x5a, sizeof(before));
	*why = '\0';
	err = config_place_parse(build, copy, role, &place, why,
				 CONFIG_WHY_LEN);
	free(copy);
	if (err) {
		CHECK(*why && memchr(why, 0, CONFIG_WHY_LEN));
		CHECK(place.text == before.text && place.host == before.host);
		CHECK(place.path == before.path && place.port == before.port);
	} else {
		CHECK_STR(text, place.text);
		CHECK(!place.path || !place.host);
		CHECK(place.host || place.path || role == CONFIG_TO_LISTEN);
		CHECK(place.path || place.port || role == CONFIG_TO_LISTEN);
		means_the_same(build, role, &place);
	}
	free(why);
}

static void places_are_refused_or_mean_something(void)
{
	struct config_build *build = NULL;
	uint8_t text[PLACE_ROOM + 1];
	unsigned int round;

	noise.seeds = places;
	noise.nr_seeds = sizeof(places) / sizeof(places[0]);
	noise_tell(&noise);
	for (round = 0; round < PLACE_ROUNDS && !ktap_failed; round++) {
		if (!build)
			build = calloc(1, sizeof(*build));
		if (!build)
			abort();
		text[noise_make(&noise, text, PLACE_ROOM)] = '\0';
		check_place(build, (const char *)text);
		if (ktap_failed)
			printf("# round %u: <%s>\n", round, (char *)text);
		if (round % 1000)
			continue;
		config_free(&build->config);
		build = NULL;
	}
	if (build)
		config_free(&build->config);
}

/* ----------------------------------------------------------------- files -- */

#define FILES(first)                                                         \
	SEED("[global]\n" first "threads = 2\nmetrics = :9100\n"             \
	     "insecure-no-verify = on\n[listener web]\nlisten = :8080\n"     \
	     "to = a.example\n"),                                           \
	SEED("[global]\n" first "insecure-no-verify = on\nlog-level = warn\n" \
	     "clients-total = 5\n[listener a]\nlisten = unix:/run/a\n"       \
	     "to = a:1, [::1]:2\nwarm = 4\nplane = always\nidle = 5m\n"      \
	     "[listener b]\nlisten = :2 ; words\nto = b\nproxy-out = v2\n"), \
	SEED("# words\n[global]\n" first "insecure-no-verify = on\n\n"       \
	     "[listener x]\nlisten=127.0.0.1:0\nto=x\nalpn=h2\n"            \
	     "alpn=http/1.1\nretry = 1s\nauto-bytes = 64k\norigin-max = 7\r\n")

static const struct noise_seed files[] = { FILES("") };
/* no listener of theirs is worth the milliseconds of a TLS context */
static const struct noise_seed bad_files[] = {
	FILES("ca = /nonexistent\n"),
};

static int read_file(int fd, const uint8_t *bytes, size_t len,
		     struct config **out, char *why)
{
	char name[] = "ktc-proxy", option[] = "--config", path[32];
	char *argv[] = { name, option, path, NULL };

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (ftruncate(fd, 0) || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
	*out = NULL;
	*why = '\0';
	return config_read(3, argv, out, why, CONFIG_WHY_LEN);
}

static void check_config(const struct config *config)
{
	const struct config_listener *listener;
	unsigned int i;

	CHECK(config->nr_listeners >= 1 &&
	      config->nr_listeners <= CONFIG_LISTENERS_MAX);
	for (i = 0; i < config->nr_listeners; i++) {
		listener = &config->listeners[i];
		CHECK(listener->name && *listener->name);
		CHECK(listener->listen.text);
		CHECK(listener->nr_origins >= 1 &&
		      listener->nr_origins <= CONFIG_ORIGINS_MAX);
	}
}

static void check_file(int fd, const uint8_t *bytes, size_t len)
{
	char why[CONFIG_WHY_LEN];
	struct config *config;
	int err;

	err = read_file(fd, bytes, len, &config, why);
	CHECK(!err || err == -EINVAL);
	CHECK(!err == !!config);
	CHECK(!err == !*why);
	if (config)
		check_config(config);
	config_free(config);
}

static void read_files(const struct noise_seed *seeds, size_t nr,
		       unsigned int rounds)
{
	int fd = memfd_create("noise", MFD_CLOEXEC);
	uint8_t bytes[FILE_ROOM];
	unsigned int round;
	size_t len;

	CHECK(fd >= 0);
	noise.seeds = seeds;
	noise.nr_seeds = nr;
	noise_tell(&noise);
	for (round = 0; round < rounds && !ktap_failed; round++) {
		len = noise_make(&noise, bytes, sizeof(bytes));
		check_file(fd, bytes, len);
		if (ktap_failed)
			printf("# round %u: <%.*s>\n", round, (int)len,
			       (const char *)bytes);
	}
	(void)close(fd); /* memory */
}

static void files_are_refused_or_can_be_served(void)
{
	read_files(files, sizeof(files) / sizeof(files[0]), FILE_ROUNDS);
}

static void all_that_is_wrong_is_told(void)
{
	read_files(bad_files, sizeof(bad_files) / sizeof(bad_files[0]),
		   BAD_FILE_ROUNDS);
}

static const struct ktap_test tests[] = {
	KTAP_TEST(places_are_refused_or_mean_something),
	KTAP_TEST(files_are_refused_or_can_be_served),
	KTAP_TEST(all_that_is_wrong_is_told),
};

int main(int argc, char **argv)
{
	/* the system's trust store takes longer to read than all of a file */
	if (setenv("SSL_CERT_FILE", "/nonexistent", 1) ||
	    setenv("SSL_CERT_DIR", "/nonexistent", 1))
		return 1;
	noise.state = noise_seed(argc, argv);
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}

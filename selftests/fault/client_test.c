// SPDX-License-Identifier: GPL-2.0-only
/* Description: making a client and a loop, with every call failing in turn. */
#include "sweep.h"

#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "kselftest_harness.h"

static struct {
	char crl[CERTS_DIR_MAX + 16];
	char cert[CERTS_DIR_MAX + 16];
	char key[CERTS_DIR_MAX + 16];
	char why[200];
} files;

FIXTURE(client)
{
	struct sweep s;
};

FIXTURE_SETUP(client)
{
	ASSERT_EQ(0, sweep_init(&self->s, 0, KTC_POLICY_DEFAULT));
	(void)snprintf(files.crl, sizeof(files.crl), "%s/crl.pem",
		       self->s.dir);
	(void)snprintf(files.cert, sizeof(files.cert), "%s/client.pem",
		       self->s.dir);
	(void)snprintf(files.key, sizeof(files.key), "%s/client.key",
		       self->s.dir);
}

FIXTURE_TEARDOWN(client)
{
	sweep_fini(&self->s);
}

static bool make_client(struct sweep *s)
{
	sweep_arm(s);
	return sweep_call(s, ktc_client_new(&s->client_opts, &s->d.client));
}

TEST_F(client, with_everything_a_client_can_have)
{
	self->s.client_opts.crl_file = files.crl;
	self->s.client_opts.cert_file = files.cert;
	self->s.client_opts.key_file = files.key;
	self->s.client_opts.alpn = "h2,http/1.1";
	self->s.calls_min = 10;
	SWEEP(&self->s, make_client);
}

TEST_F(client, with_a_folder_of_anchors)
{
	self->s.client_opts.ca_file = NULL;
	self->s.client_opts.ca_dir = self->s.dir;
	self->s.calls_min = 10;
	SWEEP(&self->s, make_client);
}

TEST_F(client, with_the_defaults)
{
	/* reading the system's anchors is hundreds of calls, all alike */
	ASSERT_EQ(0, setenv("SSL_CERT_DIR", "/nonexistent", 1));
	self->s.client_opts.ca_file = NULL;
	self->s.calls_min = 5;
	SWEEP(&self->s, make_client);
}

static bool check_client(struct sweep *s)
{
	int err;

	sweep_arm(s);
	files.why[0] = '\0';
	err = ktc_client_check(&s->client_opts, files.why, sizeof(files.why));
	if (err && err != -ENOMEM)
		return sweep_wrong(s, "%s", files.why);
	return sweep_call(s, err);
}

TEST_F(client, checked_only)
{
	self->s.client_opts.crl_file = files.crl;
	self->s.client_opts.cert_file = files.cert;
	self->s.client_opts.key_file = files.key;
	SWEEP(&self->s, check_client);
}

static bool make_loop(struct sweep *s)
{
	sweep_arm(s);
	return sweep_call(s, ktc_loop_new(&s->loop_opts, &s->d.loop));
}

TEST_F(client, a_loop_with_a_ring_of_its_own)
{
	self->s.calls_min = 5;
	SWEEP(&self->s, make_loop);
}

static bool make_guest(struct sweep *s)
{
	struct io_uring ring;
	bool made;

	if (io_uring_queue_init(64, &ring, 0))
		return sweep_wrong(s, "no ring");
	s->loop_opts.ring = &ring;
	sweep_arm(s);
	made = sweep_call(s, ktc_loop_new(&s->loop_opts, &s->d.loop));
	ktc_loop_free(s->d.loop);
	s->d.loop = NULL;
	io_uring_queue_exit(&ring);
	return made;
}

TEST_F(client, a_loop_that_is_a_guest)
{
	self->s.calls_min = 4;
	SWEEP(&self->s, make_guest);
}

static bool make_both(struct sweep *s)
{
	struct ktc_event ev;

	sweep_arm(s);
	if (!sweep_setup(s))
		return false;
	/* enabled, with a wake armed, and nothing to tell */
	return sweep_call(s, ktc_loop_events(s->d.loop, &ev, 1, 0));
}

TEST_F(client, a_loop_that_has_run)
{
	SWEEP(&self->s, make_both);
}

TEST_HARNESS_MAIN

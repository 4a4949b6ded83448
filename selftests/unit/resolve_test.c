// SPDX-License-Identifier: GPL-2.0-only
/*
 * Description: look-ups off the loop's thread. The name service is a fake
 * that answers when the test lets it.
 */
#include "resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ktlsclient.h>

#include "sys.h"

#include "kselftest_harness.h"

#define WAIT_MS 10000

static struct sys_ops fake;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* under lock */
static bool held;		/* look-ups wait */
static int inside, inside_max;	/* look-ups at once */
static int started, threads_left = 1000000;
static int live;		/* allocations */
static const char *addresses;	/* what is answered: comma-separated */
static int answer_err;
static struct addrinfo hints_seen;
static char name_seen[300], service_seen[16];

static uint64_t now_us = 1000000;

static uint64_t fake_now_us(void)
{
	return now_us;
}

static void *counting_alloc(size_t size)
{
	__atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
	return sys_real.alloc(size);
}

static void counting_free(void *p)
{
	pthread_mutex_lock(&lock);
	__atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	sys_real.free(p);
}

static struct addrinfo *one_info(const char *text, const char *service)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct addrinfo *info = NULL;

	return getaddrinfo(text, service, &hints, &info) ? NULL : info;
}

static int fake_lookup(const char *name, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out)
{
	struct addrinfo **tail = out;
	char *list, *text, *save;
	int err;

	pthread_mutex_lock(&lock);
	inside++;
	started++;
	inside_max = inside > inside_max ? inside : inside_max;
	hints_seen = *hints;
	(void)snprintf(name_seen, sizeof(name_seen), "%s", name);
	(void)snprintf(service_seen, sizeof(service_seen), "%s", service);
	pthread_cond_broadcast(&changed);
	while (held)
		pthread_cond_wait(&changed, &lock);
	inside--;
	err = answer_err;
	list = strdup(addresses ? addresses : "");
	pthread_mutex_unlock(&lock);
	*out = NULL;
	if (list && !err)
		for (text = strtok_r(list, ",", &save); text;
		     text = strtok_r(NULL, ",", &save)) {
			*tail = one_info(text, service);
			if (*tail)
				tail = &(*tail)->ai_next;
		}
	free(list);
	return err;
}

static void fake_lookup_free(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		list->ai_next = NULL;
		freeaddrinfo(list);
		list = next;
	}
}

static int fake_thread(void *(*fn)(void *), void *arg)
{
	if (!threads_left)
		return -EAGAIN;
	threads_left--;
	return sys_real.thread(fn, arg);
}

static void hold(bool on)
{
	pthread_mutex_lock(&lock);
	held = on;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* Waits until *what has a value; the harness bounds it. */
static void wait_for(const int *what, int value)
{
	pthread_mutex_lock(&lock);
	while (__atomic_load_n(what, __ATOMIC_RELAXED) != value)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

FIXTURE(res)
{
	struct resolver *res;
	int event_fd;
	struct resolve_list list;
	uint64_t token;
	int err;
};

FIXTURE_SETUP(res)
{
	fake = sys_real;
	fake.lookup = fake_lookup;
	fake.lookup_free = fake_lookup_free;
	fake.thread = fake_thread;
	fake.now_us = fake_now_us;
	fake.alloc = counting_alloc;
	fake.free = counting_free;
	sys = &fake;
	addresses = "192.0.2.1";
	self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->event_fd);
	ASSERT_EQ(0, resolver_new(self->event_fd, &self->res));
}

FIXTURE_TEARDOWN(res)
{
	resolver_free(self->res);
	hold(false);
	wait_for(&live, 0);	/* what threads held has gone too */
}

/* The next ended look-up; waits for it. */
static bool next(int event_fd, struct resolver *res, uint64_t *token, int *err,
		 struct resolve_list *list)
{
	struct pollfd pfd = { .fd = event_fd, .events = POLLIN };
	uint64_t ended;

	while (!resolver_next(res, token, err, list)) {
		if (poll(&pfd, 1, WAIT_MS) != 1)
			return false;
		if (read(event_fd, &ended, sizeof(ended)) != sizeof(ended))
			return false;
	}
	return true;
}

#define NEXT() \
	next(self->event_fd, self->res, &self->token, &self->err, &self->list)

static const char *text_at(const struct resolve_list *list, unsigned int i)
{
	static char text[64];
	const struct sockaddr_storage *addr = &list->at[i].addr;

	if (i >= list->count)
		return "none";
	if (getnameinfo((const struct sockaddr *)addr, list->at[i].len, text,
			sizeof(text), NULL, 0, NI_NUMERICHOST))
		return "bad";
	return text;
}

TEST_F(res, a_numeric_address_is_answered_at_once)
{
	struct sockaddr_in6 *in6 = (void *)&self->list.at[0].addr;
	struct sockaddr_in *in = (void *)&self->list.at[0].addr;

	ASSERT_EQ(1, resolver_start(self->res, "192.0.2.9", 443, 1,
				    &self->list));
	EXPECT_EQ(1, self->list.count);
	EXPECT_STREQ("192.0.2.9", text_at(&self->list, 0));
	EXPECT_EQ(sizeof(*in), self->list.at[0].len);
	EXPECT_EQ(htons(443), in->sin_port);
	ASSERT_EQ(1, resolver_start(self->res, "2001:db8::1", 443, 1,
				    &self->list));
	EXPECT_STREQ("2001:db8::1", text_at(&self->list, 0));
	EXPECT_EQ(htons(443), in6->sin6_port);
	EXPECT_EQ(0, started);
	EXPECT_FALSE(resolver_next(self->res, &self->token, &self->err,
				   &self->list));
}

TEST_F(res, a_name_is_answered_later_with_its_token)
{
	struct sockaddr_in *in = (void *)&self->list.at[0].addr;

	ASSERT_EQ(0, resolver_start(self->res, "x.test", 8443, 77,
				    &self->list));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(77, self->token);
	EXPECT_EQ(0, self->err);
	EXPECT_EQ(1, self->list.count);
	EXPECT_STREQ("192.0.2.1", text_at(&self->list, 0));
	EXPECT_EQ(htons(8443), in->sin_port);
	EXPECT_STREQ("x.test", name_seen);
	EXPECT_STREQ("8443", service_seen);
	EXPECT_EQ(SOCK_STREAM, hints_seen.ai_socktype);
	EXPECT_EQ(AF_UNSPEC, hints_seen.ai_family);
}

TEST_F(res, an_answer_is_kept_for_a_moment)
{
	struct sockaddr_in *in = (void *)&self->list.at[0].addr;
	struct resolve_list now = { 0 };

	ASSERT_EQ(0, resolver_start(self->res, "x.test", 443, 1, &now));
	/* nothing is kept before it is there */
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 443, 2, &now));
	ASSERT_TRUE(NEXT());
	ASSERT_TRUE(NEXT());
	addresses = "192.0.2.2";
	now_us += LIMIT_NAME_FRESH_MS * 1000 - 1;
	ASSERT_EQ(1, resolver_start(self->res, "x.test", 443, 3, &now));
	EXPECT_EQ(1, now.count);
	EXPECT_STREQ("192.0.2.1", text_at(&now, 0));
	/* another port and another name are another question */
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 444, 4, &now));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(htons(444), in->sin_port);
	ASSERT_EQ(0, resolver_start(self->res, "y.test", 443, 5, &now));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(4, started);
	now_us++;
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 443, 6, &now));
	ASSERT_TRUE(NEXT());
	EXPECT_STREQ("192.0.2.2", text_at(&self->list, 0));
	EXPECT_EQ(5, started);
}

TEST_F(res, an_answer_can_be_forgotten)
{
	struct resolve_list now;

	ASSERT_EQ(0, resolver_start(self->res, "x.test", 443, 1, &now));
	ASSERT_TRUE(NEXT());
	resolver_forget(self->res, "x.test", 444);
	resolver_forget(self->res, "y.test", 443);
	ASSERT_EQ(1, resolver_start(self->res, "x.test", 443, 2, &now));
	resolver_forget(self->res, "x.test", 443);
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 443, 3, &now));
	ASSERT_TRUE(NEXT());
	resolver_forget(NULL, "x.test", 443);
}

TEST_F(res, a_failure_is_not_kept)
{
	struct resolve_list now = { 0 };

	answer_err = EAI_NONAME;
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 443, 1, &now));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(-KTC_E_RESOLVE, self->err);
	answer_err = 0;
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 443, 2, &now));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(0, self->err);
}

TEST_F(res, no_more_answers_are_kept_than_the_limit)
{
	struct resolve_list now;
	char name[32];
	unsigned int i;

	for (i = 0; i < 5 * LIMIT_NAMES_KEPT; i++) {
		snprintf(name, sizeof(name), "x%u.test", i);
		ASSERT_EQ(0, resolver_start(self->res, name, 443, i, &now));
		ASSERT_TRUE(NEXT());
	}
	EXPECT_EQ(1, resolver_start(self->res, name, 443, 1, &now));
	EXPECT_EQ(0, resolver_start(self->res, "x1.test", 443, 2, &now));
	ASSERT_TRUE(NEXT());
	EXPECT_GE(LIMIT_NAMES_KEPT + 2, (unsigned int)live);
}

TEST_F(res, families_alternate_from_the_first_ones)
{
	addresses = "2001:db8::1,2001:db8::2,2001:db8::3,192.0.2.1,192.0.2.2";
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 1, &self->list));
	ASSERT_TRUE(NEXT());
	ASSERT_EQ(5, self->list.count);
	EXPECT_STREQ("2001:db8::1", text_at(&self->list, 0));
	EXPECT_STREQ("192.0.2.1", text_at(&self->list, 1));
	EXPECT_STREQ("2001:db8::2", text_at(&self->list, 2));
	EXPECT_STREQ("192.0.2.2", text_at(&self->list, 3));
	EXPECT_STREQ("2001:db8::3", text_at(&self->list, 4));

	addresses = "192.0.2.1,192.0.2.2,2001:db8::1";
	ASSERT_EQ(0, resolver_start(self->res, "y.test", 1, 1, &self->list));
	ASSERT_TRUE(NEXT());
	ASSERT_EQ(3, self->list.count);
	EXPECT_STREQ("192.0.2.1", text_at(&self->list, 0));
	EXPECT_STREQ("2001:db8::1", text_at(&self->list, 1));
	EXPECT_STREQ("192.0.2.2", text_at(&self->list, 2));
}

TEST_F(res, no_more_addresses_than_the_limit_and_both_families_among_them)
{
	char text[2000] = "";
	size_t used = 0;
	int i;

	for (i = 1; i < 40; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "192.0.2.%d,", i);
	(void)snprintf(text + used, sizeof(text) - used, "2001:db8::1");
	addresses = text;
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 1, &self->list));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(LIMIT_ADDRESSES, self->list.count);
	EXPECT_STREQ("2001:db8::1", text_at(&self->list, 1));
}

TEST_F(res, a_failed_look_up_says_so)
{
	answer_err = EAI_NONAME;
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 5, &self->list));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(-KTC_E_RESOLVE, self->err);
	EXPECT_EQ(5, self->token);
	answer_err = EAI_MEMORY;
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 6, &self->list));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(-ENOMEM, self->err);
	answer_err = 0;
	addresses = "";
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 7, &self->list));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(-KTC_E_RESOLVE, self->err);
}

TEST_F(res, a_name_of_impossible_length_is_refused)
{
	char name[LIMIT_NAME + 3];

	EXPECT_EQ(-KTC_E_RESOLVE, resolver_start(self->res, "", 1, 1,
						 &self->list));
	memset(name, 'a', sizeof(name));
	name[LIMIT_NAME + 2] = '\0';
	EXPECT_EQ(-KTC_E_RESOLVE, resolver_start(self->res, name, 1, 1,
						 &self->list));
}

TEST_F(res, look_ups_beyond_the_limit_wait_their_turn)
{
	const int all = LIMIT_LOOKUPS + 10;
	bool seen[LIMIT_LOOKUPS + 10] = { false };
	int i;

	hold(true);
	for (i = 0; i < all; i++)
		ASSERT_EQ(0, resolver_start(self->res, "x.test", 1,
					    (uint64_t)i, &self->list));
	wait_for(&inside, LIMIT_LOOKUPS);
	hold(false);
	for (i = 0; i < all; i++) {
		ASSERT_TRUE(NEXT());
		ASSERT_GT(all, self->token);
		EXPECT_FALSE(seen[self->token]);
		seen[self->token] = true;
	}
	EXPECT_EQ(LIMIT_LOOKUPS, inside_max);
	EXPECT_FALSE(resolver_next(self->res, &self->token, &self->err,
				   &self->list));
}

TEST_F(res, without_any_thread_it_is_eagain)
{
	threads_left = 0;
	EXPECT_EQ(-EAGAIN, resolver_start(self->res, "x.test", 1, 1,
					  &self->list));
	threads_left = 1;
	EXPECT_EQ(0, resolver_start(self->res, "x.test", 1, 2, &self->list));
	ASSERT_TRUE(NEXT());
	EXPECT_EQ(2, self->token);
}

TEST_F(res, with_one_thread_all_are_answered)
{
	int i;

	hold(true);
	threads_left = 1;
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 1,
					    &self->list));
	hold(false);
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(NEXT());
	EXPECT_EQ(1, inside_max);
}

TEST_F(res, freeing_waits_for_no_look_up)
{
	hold(true);
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 1, &self->list));
	ASSERT_EQ(0, resolver_start(self->res, "y.test", 1, 2, &self->list));
	wait_for(&inside, 2);
	resolver_free(self->res);	/* they still stand in there */
	EXPECT_EQ(2, inside);
	EXPECT_LT(0, live);
	self->res = NULL;
	/* the teardown lets them go, and sees that nothing is left */
}

TEST_F(res, freeing_drops_what_waits_and_what_is_done)
{
	int i;

	ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 1, &self->list));
	wait_for(&started, 1);
	hold(true);
	for (i = 0; i < (int)LIMIT_LOOKUPS + 5; i++)
		ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 1,
					    &self->list));
}

TEST_F(res, the_event_descriptor_is_its_own)
{
	int other;

	hold(true);
	ASSERT_EQ(0, resolver_start(self->res, "x.test", 1, 1, &self->list));
	wait_for(&inside, 1);
	other = fcntl(self->event_fd, F_DUPFD_CLOEXEC, 0);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, close(self->event_fd));	/* only lent */
	self->event_fd = other;
	hold(false);
	EXPECT_TRUE(NEXT());
}

TEST(localhost_is_found_by_the_real_system)
{
	struct resolve_list list;
	struct resolver *res;
	uint64_t token;
	int fd, err;

	fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, resolver_new(fd, &res));
	ASSERT_EQ(0, resolver_start(res, "localhost", 443, 3, &list));
	ASSERT_TRUE(next(fd, res, &token, &err, &list));
	EXPECT_EQ(0, err);
	EXPECT_LE(1, list.count);
	resolver_free(res);
	resolver_free(NULL);
}

TEST_HARNESS_MAIN

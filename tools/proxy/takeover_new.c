// SPDX-License-Identifier: MIT
/*
 * The one that succeeds. It trusts the other no further than it must: the
 * other is of our own user, or root; what comes is checked for its form, and
 * connections by the library.
 */
#include "takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "log.h"
#include "parcel.h"
#include "service.h"
#include "wire.h"

/* for each step of the other's */
#define PATIENCE_S 10

struct takeover_new {
	int fd;
};

static int log_failed(const char *step, int err)
{
	log_event(CONFIG_ERROR, "takeover_failed", LOG_S("step", step),
		  LOG_S("error", ktc_error_name(err)),
		  LOG_S("why", ktc_strerror(err)));
	return err;
}

/* ----------------------------------------------------------------- begin -- */

static void gift_fini(struct listen_gift *gift)
{
	unsigned int i;

	for (i = 0; i < gift->nr; i++)
		(void)close(gift->fds[i]); /* the other one has it */
	free(gift->fds);
	free(gift->text);
	*gift = (struct listen_gift){ 0 };
}

void takeover_gifts_fini(struct takeover_gifts *gifts)
{
	unsigned int i;

	for (i = 0; i < gifts->nr_places; i++)
		gift_fini(&gifts->places[i]);
	gift_fini(&gifts->metrics);
	gift_fini(&gifts->control);
	gifts->nr_places = 0;
}

/* The message's descriptors join the gift's. */
static int gift_add(struct listen_gift *gift, struct wire_message *message)
{
	unsigned int i, nr = gift->nr + message->nr_fds;
	int *fds;

	if (!message->nr_fds || nr > CONFIG_THREADS_MAX)
		return -EPROTO;
	if (!gift->text) {
		if (!message->len || memchr(message->data, 0, message->len))
			return -EPROTO;
		gift->text = strndup((const char *)message->data,
				     message->len);
	}
	fds = reallocarray(gift->fds, nr, sizeof(*fds));
	if (!gift->text || !fds) {
		gift->fds = fds ? fds : gift->fds;
		return -ENOMEM;
	}
	gift->fds = fds;
	for (i = 0; i < message->nr_fds; i++) {
		fds[gift->nr++] = message->fds[i];
		message->fds[i] = -1;
	}
	return 0;
}

/* A place comes in several messages, one behind the other. */
static int place_add(struct takeover_gifts *gifts, struct wire_message *message)
{
	struct listen_gift *last;

	if (gifts->nr_places && message->len) {
		last = &gifts->places[gifts->nr_places - 1];
		if (last->text && strlen(last->text) == message->len &&
		    !memcmp(last->text, message->data, message->len))
			return gift_add(last, message);
	}
	if (gifts->nr_places == CONFIG_LISTENERS_MAX)
		return -EPROTO;
	return gift_add(&gifts->places[gifts->nr_places++], message);
}

static int take_gift(struct takeover_gifts *gifts, struct wire_message *message)
{
	switch (message->type) {
	case WIRE_PLACE:
		return place_add(gifts, message);
	case WIRE_METRICS:
		return gift_add(&gifts->metrics, message);
	case WIRE_CONTROL:
		return gift_add(&gifts->control, message);
	default:
		return -EPROTO;
	}
}

static int recv_gifts(int fd, struct takeover_gifts *gifts)
{
	struct wire_message message;
	bool over = false;
	int err = 0;

	while (!err && !over) {
		err = wire_recv(fd, &message);
		if (err)
			break;
		over = message.type == WIRE_PLACES;
		if (!over)
			err = take_gift(gifts, &message);
		wire_message_fini(&message);
	}
	return err;
}

int takeover_new_begin(const char *path, struct takeover_gifts *gifts,
		       struct takeover_new **out)
{
	struct takeover_new *new = calloc(1, sizeof(*new));
	int err;

	if (!new)
		return -ENOMEM;
	new->fd = ask(path, "takeover\n", PATIENCE_S);
	if (new->fd < 0) {
		err = new->fd;
		free(new);
		return log_failed("connect", err);
	}
	err = recv_gifts(new->fd, gifts);
	if (err) {
		takeover_new_end(new);
		return log_failed("places", err);
	}
	*out = new;
	return 0;
}

/* -------------------------------------------------------------- sessions -- */

static int take_sessions(struct generation *generation, const uint8_t *key,
			 const struct wire_message *message)
{
	const uint8_t *end = memchr(message->data, 0, message->len);
	const char *name = (const char *)message->data;
	struct service *service;
	unsigned int i;
	size_t used;
	int n;

	if (!end)
		return -EPROTO;
	used = (size_t)(end - message->data) + 1;
	for (i = 0; i < generation->nr; i++) {
		service = generation->services[i];
		if (strcmp(service->listener->name, name))
			continue;
		/* another configuration: then there will be full handshakes */
		n = ktc_client_import(service->client, key,
				      message->data + used,
				      message->len - used);
		log_event(CONFIG_INFO, "sessions_taken_over",
			  LOG_S("listener", service->listener->name),
			  LOG_I("sessions", n < 0 ? 0 : n),
			  LOG_S("error", n < 0 ? ktc_error_name(n) : ""));
	}
	return 0;
}

static int recv_sessions(int fd, struct generation *generation)
{
	uint8_t key[KTC_EXPORT_KEY_LEN] = { 0 };
	struct wire_message message;
	bool over = false;
	int err = 0;

	while (!err && !over) {
		err = wire_recv(fd, &message);
		if (err)
			break;
		if (message.type == WIRE_COMMIT)
			over = true;
		else if (message.type == WIRE_KEY &&
			 message.len == sizeof(key))
			memcpy(key, message.data, sizeof(key));
		else if (message.type == WIRE_SESSIONS && message.len)
			err = take_sessions(generation, key, &message);
		else
			err = -EPROTO;
		wire_message_fini(&message);
	}
	explicit_bzero(key, sizeof(key));
	return err;
}

int takeover_new_ready(struct takeover_new *new, struct generation *generation)
{
	int err = wire_send(new->fd, WIRE_READY, 0, NULL, 0, NULL, 0);

	if (!err)
		err = recv_sessions(new->fd, generation);
	return err ? log_failed("sessions", err) : 0;
}

int takeover_new_serving(struct takeover_new *new)
{
	int err = wire_send(new->fd, WIRE_SERVING, 0, NULL, 0, NULL, 0);

	return err ? log_failed("serving", err) : 0;
}

/* ----------------------------------------------------------- connections -- */

int takeover_new_fd(const struct takeover_new *new)
{
	return new ? new->fd : -1;
}

static int unpack(struct wire_message *message, struct parcel **out)
{
	struct parcel *parcel;

	if (message->type != WIRE_CONN || message->nr_fds != 2)
		return -EPROTO;
	parcel = parcel_new();
	if (!parcel)
		return -ENOMEM;
	if (parcel_unpack(parcel, message->data, message->len)) {
		parcel_free(parcel);
		return -EPROTO;
	}
	parcel->id = message->id;
	parcel->client_fd = message->fds[0];
	parcel->tls_fd = message->fds[1];
	message->fds[0] = -1;
	message->fds[1] = -1;
	*out = parcel;
	return 0;
}

int takeover_new_read(struct takeover_new *new, struct parcel **out)
{
	struct wire_message message;
	int err;

	*out = NULL;
	err = wire_recv(new->fd, &message);
	if (err)
		return err;
	if (message.type == WIRE_OVER)
		err = -EPIPE;
	else
		err = unpack(&message, out);
	wire_message_fini(&message);
	return err;
}

void takeover_new_answer(struct takeover_new *new, const struct parcel *parcel,
			 bool adopted)
{
	/* one that is gone sees to its own: the read tells us */
	(void)wire_send(new->fd, adopted ? WIRE_ADOPTED : WIRE_REFUSED,
			parcel->id, NULL, 0, NULL, 0);
}

void takeover_new_end(struct takeover_new *new)
{
	if (!new)
		return;
	(void)close(new->fd); /* all is said */
	free(new);
}

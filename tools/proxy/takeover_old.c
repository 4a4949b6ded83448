// SPDX-License-Identifier: MIT
/*
 * The one that is succeeded. What it sends stays its own until the other has
 * answered: a connection that the other refuses, untouched, is gone on with
 * here. One that had no answer when the other died may have been read from,
 * and is cut off: bytes could be missing from it.
 */
#include "takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_fd.h"
#include "control.h"
#include "log.h"
#include "parcel.h"
#include "proxy.h"
#include "service.h"
#include "wire.h"

/* connections that are on their way at once: within any socket's buffer */
#define WINDOW 32

struct takeover_old {
	int fd;
	struct parcel *queue;		/* not sent yet, oldest first */
	struct parcel **queue_end;
	struct parcel *sent;		/* without an answer yet */
	unsigned int nr_sent;
	uint32_t next_id;
	int err;			/* sending failed */
};

/* ----------------------------------------------------------------- begin -- */

static int send_text(int fd, enum wire_type type, const char *text,
		     const int *fds, unsigned int nr)
{
	return wire_send(fd, type, 0, text, strlen(text), fds, nr);
}

static int send_place(int fd, const struct place *place)
{
	unsigned int i, n;
	int err = 0;

	for (i = 0; i < place->nr && !err; i += n) {
		n = place->nr - i;
		if (n > WIRE_FDS_MAX)
			n = WIRE_FDS_MAX;
		err = send_text(fd, WIRE_PLACE, place->text, &place->fds[i], n);
	}
	return err;
}

static int send_places(struct proxy *proxy, int fd)
{
	const struct config *config = proxy->generation->config;
	int control = control_fd(proxy->control);
	unsigned int i;
	int err = 0;

	for (i = 0; i < proxy->generation->nr && !err; i++)
		err = send_place(fd, proxy->generation->services[i]->place);
	if (!err && proxy->metrics_fd >= 0)
		err = send_text(fd, WIRE_METRICS, config->metrics.text,
				&proxy->metrics_fd, 1);
	if (!err)
		err = send_text(fd, WIRE_CONTROL, control_path(proxy->control),
				&control, 1);
	if (!err)
		err = wire_send(fd, WIRE_PLACES, 0, NULL, 0, NULL, 0);
	return err;
}

static int await(int fd, enum wire_type type)
{
	struct wire_message message;
	int err = wire_recv(fd, &message);

	if (err)
		return err;
	if (message.type != type)
		err = -EPROTO;
	wire_message_fini(&message);
	return err;
}

/* The sessions of one listener. Those that do not go are no reason to stop. */
static int send_sessions(int fd, const uint8_t key[KTC_EXPORT_KEY_LEN],
			 struct service *service)
{
	const char *name = service->listener->name;
	size_t name_len = strlen(name) + 1;
	size_t len;
	uint8_t *text;
	void *sealed;
	int n, err = 0;

	n = ktc_client_export(service->client, key, KTC_EXPORT_CLIENT_CERT,
			      &sealed, &len);
	if (n < 0)
		return 0;
	text = malloc(name_len + len);
	if (text && name_len + len <= WIRE_SESSIONS_LEN_MAX) {
		memcpy(text, name, name_len);
		memcpy(text + name_len, sealed, len);
		err = wire_send(fd, WIRE_SESSIONS, 0, text, name_len + len,
				NULL, 0);
	}
	free(text);
	ktc_export_free(sealed, len);
	return err;
}

static int send_all_sessions(struct proxy *proxy, int fd)
{
	uint8_t key[KTC_EXPORT_KEY_LEN];
	unsigned int i;
	int err = 0;

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -EAGAIN;
	err = wire_send(fd, WIRE_KEY, 0, key, sizeof(key), NULL, 0);
	for (i = 0; i < proxy->generation->nr && !err; i++)
		err = send_sessions(fd, key, proxy->generation->services[i]);
	explicit_bzero(key, sizeof(key));
	return err;
}

int takeover_old_begin(struct proxy *proxy, int fd, struct takeover_old **out)
{
	struct takeover_old *old = calloc(1, sizeof(*old));
	int err = old ? 0 : -ENOMEM;

	if (!err)
		err = send_places(proxy, fd);
	if (!err)
		err = await(fd, WIRE_READY);
	if (!err)
		err = send_all_sessions(proxy, fd);
	if (!err)
		err = wire_send(fd, WIRE_COMMIT, 0, NULL, 0, NULL, 0);
	if (!err)
		err = await(fd, WIRE_SERVING);
	if (err) {
		log_event(CONFIG_WARN, "takeover_failed",
			  LOG_S("error", ktc_error_name(err)),
			  LOG_S("why", "the successor did not get as far as "
				       "serving; this process goes on"));
		(void)close(fd); /* it sees that it is not wanted */
		free(old);
		return err;
	}
	old->fd = fd;
	old->queue_end = &old->queue;
	*out = old;
	return 0;
}

int takeover_old_fd(const struct takeover_old *old)
{
	return old ? old->fd : -1;
}

/* ----------------------------------------------------------- connections -- */

static int send_parcel(int fd, const struct parcel *parcel)
{
	const int fds[] = { parcel->client_fd, parcel->tls_fd };
	uint8_t buf[PARCEL_LEN_MAX];
	size_t len = parcel_pack(parcel, buf);
	int err;

	err = wire_send(fd, WIRE_CONN, parcel->id, buf, len, fds, 2);
	explicit_bzero(buf, sizeof(buf));
	return err;
}

/* As many as may be on their way. */
static void send_queue(struct takeover_old *old)
{
	struct parcel *parcel;

	while (!old->err && old->nr_sent < WINDOW && (parcel = old->queue)) {
		old->queue = parcel->next;
		if (!old->queue)
			old->queue_end = &old->queue;
		parcel->id = old->next_id++;
		parcel->next = old->sent;
		old->sent = parcel;
		old->nr_sent++;
		old->err = send_parcel(old->fd, parcel);
	}
}

void takeover_old_give(struct takeover_old *old, struct parcel *parcel)
{
	parcel->next = NULL;
	*old->queue_end = parcel;
	old->queue_end = &parcel->next;
	send_queue(old);
}

static struct parcel *take_sent(struct takeover_old *old, uint32_t id)
{
	struct parcel **p, *parcel;

	for (p = &old->sent; (parcel = *p); p = &parcel->next) {
		if (parcel->id != id)
			continue;
		*p = parcel->next;
		old->nr_sent--;
		return parcel;
	}
	return NULL;
}

int takeover_old_read(struct takeover_old *old, struct parcel **back)
{
	struct wire_message message;
	struct parcel *parcel;
	int err = old->err ? old->err : wire_recv(old->fd, &message);

	if (err)
		return err;
	parcel = take_sent(old, message.id);
	if (!parcel || (message.type != WIRE_ADOPTED &&
			message.type != WIRE_REFUSED)) {
		err = -EPROTO;
	} else if (message.type == WIRE_REFUSED) {
		parcel->returned = true;
		parcel->next = *back;
		*back = parcel;
		parcel = NULL;
	}
	parcel_free(parcel);
	wire_message_fini(&message);
	if (!err)
		send_queue(old);
	return err;
}

bool takeover_old_is_idle(const struct takeover_old *old)
{
	return !old->queue && !old->sent;
}

unsigned int takeover_old_end(struct takeover_old *old, struct parcel **back)
{
	unsigned int lost = 0;
	struct parcel *parcel;

	if (!old)
		return 0;
	/* it may be gone, or sees the end of the stream */
	(void)wire_send(old->fd, WIRE_OVER, 0, NULL, 0, NULL, 0);
	(void)close(old->fd); /* all is said */
	while ((parcel = old->queue)) {
		old->queue = parcel->next;
		parcel->returned = true;
		parcel->next = *back;
		*back = parcel;
	}
	while ((parcel = old->sent)) {
		old->sent = parcel->next;
		client_fd_reset(parcel->client_fd);
		parcel_free(parcel);
		lost++;
	}
	free(old);
	return lost;
}

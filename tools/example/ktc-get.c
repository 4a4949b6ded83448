// SPDX-License-Identifier: MIT
/* ktc-get HOST PORT CA-FILE: one HTTPS request, a small use of the API. */
#include <ktlsclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct ktc_client_opts how = { .size = sizeof(how) };
	struct ktc_conn_opts where = { .size = sizeof(where) };
	struct ktc_client *client = NULL;
	struct ktc_loop *loop = NULL;
	struct ktc_event ev = { 0 };
	char req[300];
	int err, type = 0;

	if (argc != 4)
		return 2;
	how.policy = KTC_POLICY_ALWAYS;
	how.ca_file = argv[3];
	where.host = argv[1];
	where.port = strtoul(argv[2], NULL, 10);
	snprintf(req, sizeof(req),
		 "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", where.host);
	err = ktc_client_new(&how, &client);
	if (!err)
		err = ktc_loop_new(NULL, &loop);
	if (!err)
		err = ktc_connect(loop, client, &where, NULL);
	while (err >= 0 && type != KTC_EV_CLOSED) {
		err = ktc_loop_events(loop, &ev, 1, -1);
		type = err == 1 ? ev.type : 0;
		if (type == KTC_EV_OPEN)
			err = ktc_conn_send(ev.conn, req, strlen(req), 0);
		else if (type == KTC_EV_DATA)
			fwrite(ev.data, 1, ev.len, stdout);
		else if (type == KTC_EV_EOF)
			err = ktc_conn_close(ev.conn);
		else if (type == KTC_EV_CLOSED)
			err = ev.err;
		ktc_event_release(loop, &ev);
	}
	if (err < 0)
		fprintf(stderr, "ktc-get: %s\n", ktc_strerror(err));
	ktc_loop_free(loop);
	ktc_client_put(client);
	return err < 0;
}

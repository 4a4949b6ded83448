/* SPDX-License-Identifier: MIT */
/* ktc-get HOST PORT CA-FILE: one HTTPS request, the smallest use of the API. */
#include <ktlsclient.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct ktc_client_opts client_opts = { .size = sizeof(client_opts) };
	struct ktc_conn_opts opts = { .size = sizeof(opts) };
	struct ktc_conn_error error = { .size = sizeof(error) };
	struct ktc_client *client = NULL;
	struct ktc_loop *loop = NULL;
	struct ktc_event ev = { 0 };
	char request[512];
	int err;

	if (argc != 4)
		return 2;
	client_opts.ca_file = argv[3];
	client_opts.policy = KTC_POLICY_ALWAYS;
	opts.host = argv[1];
	opts.port = atoi(argv[2]);
	snprintf(request, sizeof(request),
		 "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
		 argv[1]);

	err = ktc_client_new(&client_opts, &client);
	if (!err)
		err = ktc_loop_new(NULL, &loop);
	if (!err)
		err = ktc_connect(loop, client, &opts, NULL);
	while (!err && ktc_loop_events(loop, &ev, 1, -1) == 1) {
		if (ev.type == KTC_EV_OPEN)
			err = ktc_conn_send(ev.conn, request, strlen(request), 0);
		else if (ev.type == KTC_EV_DATA)
			fwrite(ev.data, 1, ev.len, stdout);
		else if (ev.type == KTC_EV_EOF)
			ktc_conn_close(ev.conn);
		else if (ev.type == KTC_EV_CLOSED)
			break;
		ktc_event_release(loop, &ev);
	}
	if (ev.type == KTC_EV_CLOSED && ev.err) {
		err = ev.err;
		ktc_conn_error(ev.conn, &error);
	}
	if (err)
		fprintf(stderr, "ktc-get: %s\n",
			error.err ? error.text : ktc_strerror(err));
	ktc_loop_free(loop);
	ktc_client_put(client);
	return err ? 1 : 0;
}

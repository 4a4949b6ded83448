// SPDX-License-Identifier: MIT
/*
 * Unit test of what is seen from outside: the exact Prometheus text of known
 * numbers, the table and the JSON, HTTP in memory and over loopback, with
 * clients that are slow, wrong or many.
 */
#include "admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin_http.h"
#include "ktap.h"

/* longer than anything here takes, shorter than the test's own limit */
#define WAIT_MS 20000

static struct admin_listener fake;
static struct admin_origin origins[2];
static unsigned int nr_fakes = 1;
static unsigned int asked, done;
static bool draining, broken;

static unsigned int fake_listeners(void *arg)
{
	(void)arg;
	return nr_fakes;
}

static int fake_listener(void *arg, unsigned int i, struct admin_listener *out)
{
	(void)arg;
	if (broken && i)
		return -ENOMEM;
	*out = fake;
	asked++;
	return 0;
}

static void fake_done(void *arg)
{
	(void)arg;
	done++;
}

static bool fake_draining(void *arg)
{
	(void)arg;
	return draining;
}

static const struct admin_ops ops = {
	.listeners = fake_listeners,
	.listener = fake_listener,
	.done = fake_done,
	.draining = fake_draining,
	.started_s = 1700000000,
	.threads = 3,
};

static void fake_reset(void)
{
	struct stats_listener *sum = &fake.sum;

	memset(&fake, 0, sizeof(fake));
	fake.name = "a\"b\\c\n";
	fake.listen = ":8080";
	fake.origins = origins;
	fake.nr_origins = 2;
	origins[0] = (struct admin_origin){ "one:443", 7, false, 0, 0 };
	origins[1] = (struct admin_origin){ "two:443", 0, true, 1250, 12 };
	stats_add(&sum->accepted, 1001);
	stats_add(&sum->clients, 7);
	stats_add(&sum->ended[STATS_END_IDLE], 5);
	stats_add(&sum->errors[KTC_CLASS_PEER], 4);
	stats_add(&sum->full, 20);
	stats_add(&sum->resumed, 980);
	stats_add(&sum->not_resumed[KTC_WHY_DECLINED], 2);
	stats_add(&sum->plane[KTC_PLANE_USER], 3);
	stats_add(&sum->plane[KTC_PLANE_KERNEL], 990);
	stats_add(&sum->not_kernel[KTC_WHY_NO_KTLS], 3);
	stats_add(&sum->lane[KTC_LANE_LOOP], 993);
	stats_add(&sum->not_module[KTC_WHY_NO_MODULE], 990);
	stats_add(&sum->bytes[KTC_RX], 12345678901);
	stats_add(&sum->bytes[KTC_TX], 999);
	stats_record(&sum->handshake_us, 100);
	stats_record(&sum->handshake_us, 700);
	stats_record(&sum->handshake_us, 20000000);
	fake.client.sessions = 44;
	fake.client.misses_taken = 8;
	nr_fakes = 1;
	draining = false;
	broken = false;
	asked = 0;
	done = 0;
}

#define NAME "a\\\"b\\\\c\\n"
#define L    "{listener=\"" NAME "\""

static void metrics_are_exactly_this(void)
{
	static const char *const lines[] = {
		"# HELP ktc_proxy_start_time_seconds When the process "
		"started, Unix time.\n"
		"# TYPE ktc_proxy_start_time_seconds gauge\n"
		"ktc_proxy_start_time_seconds 1700000000\n",
		"\nktc_proxy_threads 3\n",
		"\nktc_proxy_draining 0\n",
		"# TYPE ktc_proxy_clients_accepted_total counter\n"
		"ktc_proxy_clients_accepted_total" L "} 1001\n",
		"# TYPE ktc_proxy_clients gauge\nktc_proxy_clients" L "} 7\n",
		"\nktc_proxy_clients_ended_total" L ",reason=\"done\"} 0\n",
		"\nktc_proxy_clients_ended_total" L ",reason=\"idle\"} 5\n",
		"\nktc_proxy_upstream_errors_total" L ",class=\"peer\"} 4\n",
		"\nktc_proxy_upstream_errors_total" L ",class=\"network\"} "
		"0\n",
		"# TYPE ktc_proxy_handshakes_total counter\n"
		"ktc_proxy_handshakes_total" L ",kind=\"full\"} 20\n"
		"ktc_proxy_handshakes_total" L ",kind=\"resumed\"} 980\n",
		"\nktc_proxy_not_resumed_total" L ",reason=\"declined\"} 2\n",
		"# TYPE ktc_proxy_planes_total counter\n"
		"ktc_proxy_planes_total" L ",plane=\"user\"} 3\n"
		"ktc_proxy_planes_total" L ",plane=\"kernel\"} 990\n",
		"\nktc_proxy_not_kernel_total" L ",reason=\"no_ktls\"} 3\n",
		"\nktc_proxy_lanes_total" L ",lane=\"module\"} 0\n",
		"\nktc_proxy_not_module_total" L ",reason=\"no_module\"} "
		"990\n",
		"\nktc_proxy_bytes_total" L ",direction=\"to_client\"} "
		"12345678901\n"
		"ktc_proxy_bytes_total" L ",direction=\"to_origin\"} 999\n",
		"\nktc_proxy_sessions" L "} 44\n",
		"\nktc_proxy_session_misses_total" L ",reason=\"taken\"} 8\n",
		"# TYPE ktc_proxy_handshake_seconds histogram\n"
		"ktc_proxy_handshake_seconds_bucket" L ",le=\"0.0001\"} 1\n"
		"ktc_proxy_handshake_seconds_bucket" L ",le=\"0.00025\"} 1\n"
		"ktc_proxy_handshake_seconds_bucket" L ",le=\"0.0005\"} 1\n"
		"ktc_proxy_handshake_seconds_bucket" L ",le=\"0.001\"} 2\n",
		"\nktc_proxy_handshake_seconds_bucket" L ",le=\"10\"} 2\n"
		"ktc_proxy_handshake_seconds_bucket" L ",le=\"+Inf\"} 3\n"
		"ktc_proxy_handshake_seconds_sum" L "} 20.0008\n"
		"ktc_proxy_handshake_seconds_count" L "} 3\n",
		"\nktc_proxy_connect_seconds_sum" L "} 0\n"
		"ktc_proxy_connect_seconds_count" L "} 0\n",
		"\nktc_proxy_origin_connections" L ",origin=\"one:443\"} 7\n"
		"ktc_proxy_origin_connections" L ",origin=\"two:443\"} 0\n",
		"\nktc_proxy_origin_failing" L ",origin=\"two:443\"} 1\n",
		"\nktc_proxy_origin_retry_seconds" L ",origin=\"two:443\"} "
		"1.25\n",
		"\nktc_proxy_origin_failures_total" L ",origin=\"two:443\"} "
		"12\n",
	};
	char *text = NULL;
	size_t len, i;

	fake_reset();
	CHECK(admin_metrics(&ops, &text, &len) == 0);
	if (!text)
		return;
	CHECK(strlen(text) == len);
	CHECK(asked == 1 && done == 1);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (strstr(text, lines[i]))
			continue;
		printf("# not there: %s", lines[i]);
		ktap_failed = true;
	}
	/* of reasons, those of other questions only when they are counted */
	CHECK(!strstr(text, "not_resumed_total" L ",reason=\"no_ktls\""));
	free(text);
}

/* "name{...} value" or "# HELP name ..." or "# TYPE name ..." */
static bool line_is_right(const char *line, const char *family, size_t len)
{
	size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
	const char *rest = line + name;

	if (strncmp(line, family, len))
		return false;
	if (*rest == '{') {
		bool quoted = false;

		for (; *rest && (quoted || *rest != '}'); rest++) {
			if (*rest == '\\')
				rest++;
			else if (*rest == '"')
				quoted = !quoted;
		}
		if (*rest != '}')
			return false;
		rest++;
	}
	if (*rest++ != ' ')
		return false;
	return *rest && !rest[strspn(rest, "0123456789.")];
}

static void every_line_is_of_the_format(void)
{
	char *text = NULL, *line, *save = NULL;
	char family[96] = "", help[96] = "";
	size_t len;

	fake_reset();
	nr_fakes = 3;
	CHECK(admin_metrics(&ops, &text, &len) == 0);
	if (!text)
		return;
	CHECK(text[len - 1] == '\n');
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "# HELP %95s ", help) == 1) {
			family[0] = '\0';
		} else if (sscanf(line, "# TYPE %95s ", family) == 1) {
			CHECK_STR(help, family);
		} else if (!line_is_right(line, family, strlen(family))) {
			printf("# %s\n", line);
			ktap_failed = true;
		}
	}
	free(text);
}

static void a_view_that_fails_is_ended(void)
{
	char *text = NULL;
	size_t len = 5;

	fake_reset();
	nr_fakes = 3;
	broken = true;
	CHECK(admin_metrics(&ops, &text, &len) == -ENOMEM);
	CHECK(!text && len == 5 && done == 1);
	nr_fakes = 0;
	CHECK(admin_metrics(&ops, &text, &len) == 0);
	CHECK(text && strstr(text, "\nktc_proxy_threads 3\n"));
	free(text);
}

static void the_table_shows_listeners_and_origins(void)
{
	char *text = NULL;
	size_t len;

	fake_reset();
	fake.name = "web";
	draining = true;
	CHECK(admin_table(&ops, &text, &len) == 0);
	if (!text)
		return;
	CHECK(!strncmp(text, "ktc-proxy ", 10));
	CHECK(strstr(text, ", 3 threads, draining\n"));
	CHECK(strstr(text,
		     "\nLISTENER        CLIENTS   CAME  WARM   FULL RESUMED "
		     "KERNEL ERRORS     IN    OUT\n"
		     "web                   7   1001     0     20     980    "
		     "990      4  12.3G    999\n"
		     "  on :8080\n"
		     "  -> one:443: 7 open, 0 failed\n"
		     "  -> two:443: 0 open, 12 failed; left alone for 1250 "
		     "ms\n"));
	free(text);
}

static void large_numbers_are_short(void)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {
		{ 9999, "   9999 " },
		{ 10000, "  10.0k " },
		{ 99999, "  99.9k " },
		{ 100000, "   100k " },
		{ 999999, "   999k " },
		{ 1000000, "   1.0M " },
		{ UINT64_MAX, "  18.4E " },
	};
	char *text = NULL;
	size_t len, i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_reset();
		stats_add(&fake.sum.bytes[KTC_RX],
			  cases[i].n - stats_get(&fake.sum.bytes[KTC_RX]));
		CHECK(admin_table(&ops, &text, &len) == 0);
		CHECK(text && strstr(text, cases[i].text));
		free(text);
		text = NULL;
	}
}

static void the_json_has_the_numbers(void)
{
	static const char *const parts[] = {
		"\"threads\": 3,\n", "\"draining\": false,\n",
		"\"name\": \"a\\\"b\\\\c\\n\",\n", "\"accepted\": 1001,\n",
		"\"ended\": {\n        \"idle\": 5\n      },\n",
		"\"resumed\": 980,\n", "\"kernel_plane\": 990,\n",
		"\"bytes_to_client\": 12345678901,\n",
		"\"origin\": \"two:443\",\n", "\"failing\": true,\n",
		"\"retry_in_ms\": 1250,\n",
	};
	char *text = NULL;
	size_t len, i;

	fake_reset();
	CHECK(admin_status(&ops, &text, &len) == 0);
	if (!text)
		return;
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		CHECK(strstr(text, parts[i]));
	free(text);
}

/* ------------------------------------------------------ HTTP in memory -- */

static int parse(const char *text, size_t len, struct http_request *request)
{
	char *copy = ktap_copy(text, len);
	int status = http_parse(copy, len, request);

	free(copy);
	return status;
}

#define HOST "Host: x\r\n\r\n"

static void requests_are_taken_or_refused(void)
{
	static const struct {
		const char *text;
		int status;
		const char *path;
		bool head;
	} cases[] = {
		{ "GET /metrics HTTP/1.1\r\n" HOST, 200, "/metrics", false },
		{ "GET /metrics?a=b HTTP/1.1\r\n" HOST, 200, "/metrics",
		  false },
		{ "HEAD /healthz HTTP/1.1\r\nA: b\r\nhost:x\r\n\r\nmore", 200,
		  "/healthz", true },
		{ "GET / HTTP/1.0\r\n\r\n", 200, "/", false },
		{ "GET / HTTP/1.1\r\n\r\n", 400, NULL, false },
		{ "GET / HTTP/1.1\r\nHost: x\r\n" HOST, 400, NULL, false },
		{ "POST /metrics HTTP/1.1\r\n" HOST, 405, NULL, false },
		{ "get /metrics HTTP/1.1\r\n" HOST, 405, NULL, false },
		{ "GET /metrics HTTP/2.0\r\n" HOST, 505, NULL, false },
		{ "GET /metrics\r\n\r\n", 400, NULL, false },
		{ "GET  /metrics HTTP/1.1\r\n" HOST, 400, NULL, false },
		{ "GET /metrics HTTP/1.1 \r\n" HOST, 400, NULL, false },
		{ "GET metrics HTTP/1.1\r\n" HOST, 400, NULL, false },
		{ "GET http://x/metrics HTTP/1.1\r\n" HOST, 400, NULL, false },
		{ "G@T / HTTP/1.1\r\n" HOST, 400, NULL, false },
		{ " GET / HTTP/1.1\r\n" HOST, 400, NULL, false },
		{ "\r\nGET / HTTP/1.1\r\n" HOST, 400, NULL, false },
		{ "\r\n\r\n", 400, NULL, false },
		{ "GET / HTTP/1.1\nHost: x\n\n", 400, NULL, false },
		{ "GET / HTTP/1.1\r\nA : b\r\n" HOST, 400, NULL, false },
		{ "GET / HTTP/1.1\r\nA: b\r\n c\r\n" HOST, 400, NULL, false },
		{ "GET / HTTP/1.1\r\nAb\r\n" HOST, 400, NULL, false },
		{ "GET / HTTP/1.1\r\n: b\r\n" HOST, 400, NULL, false },
		{ "GET / HTTP/1.1\rHost: x\r\n\r\n", 400, NULL, false },
		{ "\026\003\001", 400, NULL, false },
		{ "GET / HTTP/1.1\r\nA: \177\r\n" HOST, 400, NULL, false },
		{ "GET / HTTP/1.1\r\nHost: x\r\n", 0, NULL, false },
		{ "", 0, NULL, false },
	};
	struct http_request request;
	char text[128];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = parse(cases[i].text, strlen(cases[i].text),
				   &request);

		if (status != cases[i].status) {
			printf("# case %zu: %d\n", i, status);
			ktap_failed = true;
		}
		if (status != 200 || !cases[i].path)
			continue;
		CHECK_STR(cases[i].path, request.path);
		CHECK(request.head == cases[i].head);
	}
	CHECK(parse("GET / HTTP/1.1\r\nA: \0\r\n" HOST, 33, &request) == 400);
	/* longer than any path of ours */
	(void)snprintf(text, sizeof(text), "GET /%063d HTTP/1.0\r\n\r\n", 1);
	CHECK(parse(text, strlen(text), &request) == 200);
	CHECK_STR("", request.path);
}

static void a_request_may_come_in_pieces_but_not_for_ever(void)
{
	static const char text[] = "GET /metrics HTTP/1.1\r\n" HOST;
	static char much[HTTP_REQUEST_MAX];
	struct http_request request;
	size_t i;

	for (i = 0; i < sizeof(text) - 1; i++)
		CHECK(parse(text, i, &request) == 0);
	memset(much, 'a', sizeof(much));
	memcpy(much, "GET / HTTP/1.1\r\nA: ", 19);
	CHECK(parse(much, sizeof(much) - 1, &request) == 0);
	CHECK(parse(much, sizeof(much), &request) == 431);
}

/* --------------------------------------------------- HTTP over loopback -- */

static struct admin *admin;
static struct sockaddr_in server;

static void server_start(void)
{
	socklen_t len = sizeof(server);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	server = (struct sockaddr_in){ .sin_family = AF_INET };
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&server, sizeof(server)) ||
	    listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&server, &len) ||
	    admin_start(fd, &ops, &admin))
		abort();
}

static int client_open(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)))
		abort();
	return fd;
}

static void client_say(int fd, const char *text)
{
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) ==
	      (ssize_t)strlen(text));
}

/* up to the end; NULL if that does not come */
static const char *client_hear(int fd)
{
	static char answer[256 * 1024];
	struct pollfd wait = { fd, POLLIN, 0 };
	size_t len = 0;
	ssize_t n;

	for (;;) {
		if (poll(&wait, 1, WAIT_MS) != 1)
			return "(silence)";
		n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
		if (n < 0)
			return "(reset)";
		if (!n)
			break;
		len += (size_t)n;
	}
	answer[len] = '\0';
	return answer;
}

static const char *ask(const char *text)
{
	int fd = client_open();
	const char *answer;

	client_say(fd, text);
	answer = client_hear(fd);
	(void)close(fd);
	return answer;
}

#define GET(path) "GET " path " HTTP/1.1\r\n" HOST

static void paths_have_their_answers(void)
{
	const char *answer, *body, *length;

	fake_reset();
	server_start();
	answer = ask(GET("/metrics"));
	CHECK(!strncmp(answer, "HTTP/1.1 200 OK\r\n", 17));
	CHECK(strstr(answer, "\r\nConnection: close\r\n"));
	CHECK(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; "
			     "charset=utf-8\r\n"));
	body = strstr(answer, "\r\n\r\n");
	length = strstr(answer, "\r\nContent-Length: ");
	CHECK(body && strlen(body + 4) > 1000);
	CHECK(body && length &&
	      strtoul(length + 18, NULL, 10) == strlen(body + 4));
	CHECK(body && strstr(body, "\nktc_proxy_clients" L "} 7\n"));
	answer = ask("HEAD /metrics HTTP/1.1\r\n" HOST);
	CHECK(!strncmp(answer, "HTTP/1.1 200 OK\r\n", 17));
	body = strstr(answer, "\r\n\r\n");
	CHECK(body && !body[4]);
	CHECK(strstr(ask(GET("/healthz")), "200 OK"));
	draining = true;
	CHECK(!strncmp(ask(GET("/healthz")),
		       "HTTP/1.1 503 Service Unavailable\r\n", 34));
	CHECK(!strncmp(ask(GET("/")), "HTTP/1.1 404 Not Found\r\n", 24));
	answer = ask("POST /metrics HTTP/1.1\r\n" HOST);
	CHECK(!strncmp(answer, "HTTP/1.1 405 Method Not Allowed\r\n", 33));
	CHECK(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
	answer = ask("nonsense\r\n\r\n");
	CHECK(!strncmp(answer, "HTTP/1.1 400 Bad Request\r\n", 26));
	nr_fakes = 2;
	broken = true;
	CHECK(!strncmp(ask(GET("/metrics")),
		       "HTTP/1.1 500 Internal Server Error\r\n", 36));
	admin_stop(admin);
}

static void one_request_is_answered_the_rest_is_not(void)
{
	const char *answer;

	fake_reset();
	server_start();
	answer = ask(GET("/healthz") GET("/healthz") GET("/healthz"));
	CHECK(!strncmp(answer, "HTTP/1.1 200 OK\r\n", 17));
	CHECK(!strstr(answer + 1, "HTTP/1.1"));
	admin_stop(admin);
}

static void a_long_header_is_refused_whole(void)
{
	static char text[16384];

	fake_reset();
	server_start();
	(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nA: %015000d", 1);
	CHECK(!strncmp(ask(text), "HTTP/1.1 431 ", 13));
	admin_stop(admin);
}

static void slow_clients_do_not_keep_others_out(void)
{
	int slow[40];
	size_t i;

	fake_reset();
	server_start();
	for (i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
		slow[i] = client_open();
		client_say(slow[i], "GET /hea");
	}
	CHECK(strstr(ask(GET("/healthz")), "200 OK"));
	/* who is still there goes on; who came first had to go */
	client_say(slow[39], "lthz HTTP/1.1\r\n" HOST);
	CHECK(strstr(client_hear(slow[39]), "200 OK"));
	CHECK(!strstr(client_hear(slow[0]), "HTTP"));
	for (i = 0; i < sizeof(slow) / sizeof(slow[0]); i++)
		(void)close(slow[i]);
	admin_stop(admin);
}

static void a_client_that_says_nothing_is_ended(void)
{
	int fd;

	fake_reset();
	server_start();
	fd = client_open();
	CHECK_STR("", client_hear(fd));
	(void)close(fd);
	admin_stop(admin);
}

static void a_client_that_reads_nothing_holds_up_nobody(void)
{
	int small = 1024, fd, i;

	fake_reset();
	nr_fakes = 64;
	server_start();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	CHECK(!connect(fd, (struct sockaddr *)&server, sizeof(server)));
	client_say(fd, GET("/metrics"));
	for (i = 0; i < 5; i++)
		CHECK(strstr(ask(GET("/healthz")), "200 OK"));
	(void)close(fd);
	admin_stop(admin);
}

static void a_stop_ends_those_who_wait(void)
{
	int fd;

	fake_reset();
	server_start();
	fd = client_open();
	client_say(fd, "GET");
	admin_stop(admin);
	CHECK(!strstr(client_hear(fd), "HTTP"));
	(void)close(fd);
	/* without a socket there is a thread, and nothing for it to do */
	CHECK(admin_start(-1, &ops, &admin) == 0);
	admin_stop(admin);
	admin_stop(NULL);
}

/* -------------------------------------------------------------- --status -- */

static char control[sizeof("/tmp/admin_test.XXXXXX/c")];

/* what a proxy would say */
struct control_answer {
	const char *text; /* NULL: as much as is taken */
	int fd;
};

static int control_listen(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, control, sizeof(control));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fd, 1))
		abort();
	return fd;
}

static void *control_serve(void *arg)
{
	const struct control_answer *answer = arg;
	char line[16] = "", fill[65536];
	int client = accept4(answer->fd, NULL, NULL, SOCK_CLOEXEC);
	ssize_t n = recv(client, line, sizeof(line) - 1, 0);

	if (n != 6 || strcmp(line, "table\n"))
		abort();
	memset(fill, 'x', sizeof(fill));
	if (answer->text)
		(void)send(client, answer->text, strlen(answer->text),
			   MSG_NOSIGNAL);
	else
		while (send(client, fill, sizeof(fill), MSG_NOSIGNAL) > 0)
			;
	(void)close(client);
	(void)close(answer->fd);
	return NULL;
}

/* what --status says on stdout, and its exit status */
static int status_of(const char *text, bool serve, char *said, size_t size)
{
	struct control_answer answer = { .text = text };
	char path[] = "/tmp/admin_test.XXXXXX/out";
	int out, null, saved[2], rc;
	pthread_t thread;
	ssize_t n;

	(void)unlink(control);
	memcpy(path, control, sizeof(control) - 2);
	out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	(void)fflush(stdout);
	saved[0] = dup(STDOUT_FILENO);
	saved[1] = dup(STDERR_FILENO);
	if (out < 0 || null < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		abort();
	if (serve)
		answer.fd = control_listen();
	if (serve && pthread_create(&thread, NULL, control_serve, &answer))
		abort();
	rc = admin_status_print(control);
	if (serve)
		(void)pthread_join(thread, NULL);
	(void)fflush(stdout);
	(void)dup2(saved[0], STDOUT_FILENO);
	(void)dup2(saved[1], STDERR_FILENO);
	n = pread(out, said, size - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	(void)close(out);
	(void)close(null);
	(void)close(saved[0]);
	(void)close(saved[1]);
	(void)unlink(path);
	return rc;
}

static void status_prints_what_the_proxy_says(void)
{
	char dir[] = "/tmp/admin_test.XXXXXX";
	static char said[4096];

	if (!mkdtemp(dir))
		abort();
	(void)snprintf(control, sizeof(control), "%s/c", dir);
	CHECK(status_of("a table\n", true, said, sizeof(said)) == 0);
	CHECK_STR("a table\n", said);
	CHECK(status_of("", true, said, sizeof(said)) == 1);
	CHECK_STR("", said);
	CHECK(status_of(NULL, true, said, sizeof(said)) == 1);
	CHECK(status_of(NULL, false, said, sizeof(said)) == 1);
	CHECK_STR("", said);
	(void)unlink(control);
	CHECK(!rmdir(dir));
}

static const struct ktap_test tests[] = {
	KTAP_TEST(metrics_are_exactly_this),
	KTAP_TEST(every_line_is_of_the_format),
	KTAP_TEST(a_view_that_fails_is_ended),
	KTAP_TEST(the_table_shows_listeners_and_origins),
	KTAP_TEST(large_numbers_are_short),
	KTAP_TEST(the_json_has_the_numbers),
	KTAP_TEST(requests_are_taken_or_refused),
	KTAP_TEST(a_request_may_come_in_pieces_but_not_for_ever),
	KTAP_TEST(paths_have_their_answers),
	KTAP_TEST(one_request_is_answered_the_rest_is_not),
	KTAP_TEST(a_long_header_is_refused_whole),
	KTAP_TEST(slow_clients_do_not_keep_others_out),
	KTAP_TEST(a_client_that_says_nothing_is_ended),
	KTAP_TEST(a_client_that_reads_nothing_holds_up_nobody),
	KTAP_TEST(a_stop_ends_those_who_wait),
	KTAP_TEST(status_prints_what_the_proxy_says),
};

int main(void)
{
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}

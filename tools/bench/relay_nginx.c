// SPDX-License-Identifier: MIT
/*
 * nginx as the relay: its stream module with proxy_ssl, one worker, records
 * by OpenSSL in user space, and the server's certificate verified, as the
 * library does it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ktlsclient.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay_under.h"

#define CONF_NAME "nginx.conf"
#define LOG_NAME  "nginx.log"

static void path_of(char *path, size_t len, const char *dir, const char *name)
{
	(void)snprintf(path, len, "%s/%s", dir, name);
}

static int write_conf(const struct relay_setup *s, const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	if (s->nginx_module)
		fprintf(file, "load_module %s;\n", s->nginx_module);
	/* root's workers would be "nobody", who cannot read a private folder */
	if (!geteuid())
		fputs("user root;\n", file);
	fprintf(file,
		"daemon off;\n"
		"worker_processes 1;\n"
		"pid %s/nginx.pid;\n"
		"error_log %s/" LOG_NAME " notice;\n"
		"events {\n"
		"	worker_connections 64;\n"
		"}\n"
		"stream {\n"
		"	server {\n"
		"		listen %s;\n"
		"		proxy_pass 127.0.0.1:%u;\n"
		"		proxy_ssl on;\n"
		"		proxy_ssl_protocols %s;\n"
		"		proxy_ssl_verify on;\n"
		"		proxy_ssl_trusted_certificate %s;\n"
		"		proxy_ssl_server_name on;\n"
		"		proxy_ssl_name " RELAY_TLS_NAME ";\n"
		"	}\n"
		"}\n",
		s->dir, s->dir, s->plain, ntohs(s->origin.sin_port),
		s->version == KTC_TLS1_2 ? "TLSv1.2" : "TLSv1.3", s->ca_file);
	if (ferror(file)) {
		(void)fclose(file); /* it has failed already */
		return -EIO;
	}
	return fclose(file) ? -errno : 0;
}

int relay_nginx(const struct relay_setup *s)
{
	char conf[512], log[512];
	int fd;

	path_of(conf, sizeof(conf), s->dir, CONF_NAME);
	path_of(log, sizeof(log), s->dir, LOG_NAME);
	if (write_conf(s, conf))
		return 1;
	/* what it says before it has read where to */
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
	    dup2(fd, STDERR_FILENO) < 0)
		return 1;
	(void)execlp(s->nginx, s->nginx, "-p", s->dir, "-e", log, "-c", conf,
		     (char *)NULL);
	fprintf(stderr, "[emerg] %s: %s\n", s->nginx, strerror(errno));
	return 127;
}

void relay_nginx_why(const char *dir, char *text, size_t len)
{
	char path[512], line[256];
	const char *at;
	FILE *file;

	text[0] = '\0';
	path_of(path, sizeof(path), dir, LOG_NAME);
	file = fopen(path, "re");
	if (!file)
		return;
	while (!text[0] && fgets(line, sizeof(line), file)) {
		at = strstr(line, "[emerg]");
		if (!at)
			at = strstr(line, "[error]");
		if (!at)
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(text, len, "%s", at);
	}
	(void)fclose(file); /* read only */
}

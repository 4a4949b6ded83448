#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ktc-bench against openssl s_server: tickets and session ids, resumption by
# the server's own counters, a client certificate that is demanded, and
# servers that are not who they should be. s_server serves one connection
# after another.

set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# status_page [S_CLIENT OPTION]...: what the server says of itself, by way of
# a client that is not ours, into dir/page.
status_page()
{
	printf 'GET / HTTP/1.0\r\n\r\n' |
		timeout "$client_limit_s" openssl s_client -quiet \
			-connect "127.0.0.1:$server_port" -CAfile "$ca" "$@" \
			>"$dir/page" 2>"$dir/s_client.log" || true
	has_line 'server accepts that finished' "$dir/page" || {
		cat "$dir/s_client.log" "$server_log" >&2
		fail "no status page"
	}
}

page_count()
{
	sed -n "s/^ *\([0-9]*\) $1.*/\1/p" "$dir/page"
}

# expect_counters HANDSHAKES RESUMED: on the page just fetched; fetching it
# took a handshake too.
expect_counters()
{
	expect "handshakes by the server" $(($1 + 1)) \
		"$(page_count 'server accepts that finished')"
	expect "resumed by the server" "$2" "$(page_count 'session cache hits')"
}

test_resumed()
{
	policy=$1
	shift
	start_s_server "$@"
	client connect -n 10 --plane "$policy" "localhost:$server_port" ||
		fail "ktc-bench"
	expect "full in the warm-up" 1 "$(json warmup.full)"
	expect "resumed by the client" 10 "$(json measured.resumed)"
	expect "verified" 10 "$(json measured.verified)"
	status_page
	expect_counters 11 10
}

test_not_resumed_when_switched_off()
{
	start_s_server "$@"
	client connect -n 10 --resume off "localhost:$server_port" ||
		fail "ktc-bench"
	expect "full by the client" 10 "$(json measured.full)"
	status_page
	expect_counters 11 0
}

with_client_cert()
{
	"$@" --cert "$dir/certs/client.pem" --key "$dir/certs/client.key"
}

demand_certificate()
{
	start_s_server -Verify 1 -verify_return_error -CAfile "$ca" "$@"
}

# Resumed connections carry the certificate of the first: the server still
# knows it.
test_client_certificate()
{
	policy=$1
	shift
	demand_certificate "$@"
	with_client_cert client connect -n 5 --plane "$policy" \
		"localhost:$server_port" || fail "ktc-bench"
	expect "resumed by the client" 5 "$(json measured.resumed)"
	status_page -cert "$dir/certs/client.pem" \
		-key "$dir/certs/client.key"
	has_line '^depth=0 CN = client' "$server_log" ||
		fail "the server saw no certificate"
	expect_counters 6 5
}

# refused WHERE CLASS WORD ARGUMENT...: the run fails as a whole, the first
# error of the section is of that class and names that.
refused()
{
	where=$1 class=$2 word=$3
	shift 3
	if client connect -n 1 "$@" "localhost:$server_port" 2>/dev/null; then
		fail "connected"
	fi
	expect "done" 0 "$(json measured.done)"
	expect "class" "$class" "$(json "$where.errors.class")"
	json "$where.errors.first" | grep -q "$word" ||
		fail "not $word: $(json "$where.errors.first")"
}

# TLS 1.3: the client is done before the server has looked for a certificate,
# so the alert comes on an open connection, on whichever plane it is.
test_missing_client_certificate_is_refused()
{
	policy=$1
	shift
	demand_certificate "$@"
	refused warmup peer KTC_E_ALERT --plane "$policy"
	has_line 'did not return a certificate' "$server_log" ||
		fail "the server has no such complaint"
}

# The server gets an alert that says why (RFC 8446 section 6.2).
test_unknown_ca_is_refused()
{
	start_s_server "$@"
	ca=$dir/certs/unknown-ca.pem
	refused warmup peer KTC_E_VERIFY_CA
	await has_line 'alert unknown ca' "$server_log" ||
		fail "the server got no alert"
}

test_wrong_host_is_refused()
{
	start_s_server "$@"
	refused warmup peer KTC_E_VERIFY_HOST --sni other.test
	await has_line 'alert bad certificate' "$server_log" ||
		fail "the server got no alert"
}

test_expired_certificate_is_refused()
{
	start_s_server -cert "$dir/certs/expired.pem" \
		-key "$dir/certs/expired.key" "$@"
	refused warmup peer KTC_E_VERIFY_EXPIRED
}

make_scratch
run_tests \
	test_resumed:never:-tls1_3 test_resumed:always:-tls1_3 \
	test_resumed:never:-tls1_2 test_resumed:always:-tls1_2 \
	test_resumed:always:-tls1_2:-no_ticket \
	test_resumed:always:-tls1_3:-no_ticket \
	test_not_resumed_when_switched_off:-tls1_2 \
	test_not_resumed_when_switched_off:-tls1_3 \
	test_client_certificate:never:-tls1_2 \
	test_client_certificate:always:-tls1_2 \
	test_client_certificate:never:-tls1_3 \
	test_client_certificate:always:-tls1_3 \
	test_missing_client_certificate_is_refused:never:-tls1_2 \
	test_missing_client_certificate_is_refused:never:-tls1_3 \
	test_missing_client_certificate_is_refused:always:-tls1_3 \
	test_unknown_ca_is_refused:-tls1_2 test_unknown_ca_is_refused:-tls1_3 \
	test_wrong_host_is_refused:-tls1_2 test_wrong_host_is_refused:-tls1_3 \
	test_expired_certificate_is_refused

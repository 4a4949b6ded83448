#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ktc-proxy and origins that are not who they should be, that die and come
# back, that change their keys: no client gets a byte from the wrong one, what
# can go on goes on, and why something did not is told and counted. In a guest,
# on the kernel plane, what reaches the proxy after the handshake: tickets, data
# and ends. Verification, reload and what comes before any record are for the
# native run.

# Arguments that may be left out; what in_background sets by name.
# shellcheck disable=SC2119,SC2120,SC2154
set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
make_scratch
# shellcheck source=selftests/e2e/proxy-lib.sh
. "$e2e/proxy-lib.sh"

# --- verification -----------------------------------------------------------

test_wrong_name_is_refused()
{
	need_native
	need_metrics
	start_bytes
	proxy_options="--sni other.test --threads 1"
	start_proxy --to "127.0.0.1:$tls_port"
	refused peer KTC_E_VERIFY_HOST
	expect "bytes that reached the origin" 0 "$(grep -c \
		'^done [1-9]\|^reset [1-9]' "$dir/plain.out" || true)"
}

test_unknown_issuer_is_refused()
{
	need_native
	need_metrics
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" \
		--ca "$dir/certs/unknown-ca.pem"
	refused peer KTC_E_VERIFY_CA
}

test_expired_certificate_is_refused()
{
	need_native
	need_metrics
	start_plain --cert "$dir/certs/expired.pem" \
		--key "$dir/certs/expired.key"
	start_proxy --to "127.0.0.1:$plain_port"
	refused peer KTC_E_VERIFY_EXPIRED
}

# Only by its whole name, and then it is said at the start.
test_verification_is_switched_off_by_name()
{
	need_native
	start_bytes
	for word in --insecure --insecure-no --no-verify; do
		if timeout 20 "$proxy" --listen 127.0.0.1:1 $word \
			--to "127.0.0.1:$tls_port" --check \
			>"$dir/check" 2>&1; then
			fail "$word was taken"
		fi
	done
	start_proxy --to "127.0.0.1:$tls_port" --insecure-no-verify
	has_line '"verification_off"' "$proxy_log" || fail "not told"
	busy echo -n 2 -b 1k --half-close || fail "not served"
}

# --- origins that come and go -----------------------------------------------

test_s_server()
{
	[ "$1" = -tls1_3 ] || need_native
	need_no_module
	need_metrics
	start_s_server "$1"
	start_proxy --to "127.0.0.1:$server_port" --plane "$some_plane"
	busy get --path / -n 1 --client-closes || fail "ktc-load"
	busy get --path / -n 10 --client-closes || fail "ktc-load"
	expect_metric 10 handshakes_total 'kind="resumed"'
}

start_haproxy()
{
	command -v haproxy >/dev/null || skip "no haproxy here"
	tls_port=$(free_port)
	cat "$dir/certs/server.pem" "$dir/certs/server.key" >"$dir/both.pem"
	cat >"$dir/haproxy.conf" <<-END_OF_CONF
	global
		nbthread 1
		maxconn 1000
	defaults
		mode tcp
		timeout connect 10s
		timeout client 1m
		timeout server 1m
	listen origin
		bind 127.0.0.1:$tls_port ssl crt $dir/both.pem
		server plain 127.0.0.1:$plain_port
	END_OF_CONF
	in_background haproxy haproxy -db -f "$dir/haproxy.conf"
	await is_listening "$tls_port" || {
		cat "$dir/haproxy.err" >&2
		fail "haproxy does not start"
	}
}

test_haproxy_as_origin()
{
	need_metrics
	start_plain
	start_haproxy
	start_proxy --to "127.0.0.1:$tls_port" --plane auto
	busy echo -n 1 -b 1k --half-close || fail "ktc-load"
	busy echo -c 4 -n 16 -b 1M --half-close || fail "ktc-load"
	expect "complete" 16 "$(json "done")"
	expect_metric 17 clients_ended_total 'reason="done"'
	if [ "$(metric handshakes_total 'kind="resumed"')" -lt 13 ]; then
		fail "haproxy's tickets were not used"
	fi
}

# nginx as TLS server in front of what can compare bytes.
test_nginx_as_origin()
{
	need_metrics
	start_plain
	start_tls
	start_proxy --to "127.0.0.1:$tls_port" --plane auto
	busy echo -c 4 -n 16 -b 1M || fail "ktc-load"
	expect "complete" 16 "$(json "done")"
	expect_metric 0 clients
	[ ! -e /proc/net/tls_stat ] ||
		expect_metric 16 planes_total 'plane="kernel"'
	expect_metric $((16 << 20)) bytes_total 'direction="to_client"'
}

# Nobody there: the client is told at once, and served when somebody is.
test_origin_that_is_not_there_yet()
{
	need_native
	need_metrics
	late_port=$(free_port)
	start_proxy --to "127.0.0.1:$late_port" --retry 50ms --retry-max 100ms
	busy echo -n 3 -b 10 --fail-ok || fail "ktc-load"
	expect "served" 0 "$(json "done")"
	expect "left hanging" 0 "$(json failures.timeout)"
	expect_metric 3 clients_ended_total 'reason="no_origin"'
	has_line '"origin_failed".*"network"' "$proxy_log" || fail "not told"
	in_background plain "$load" serve "127.0.0.1:$late_port" \
		--cert "$dir/certs/server.pem" --key "$dir/certs/server.key"
	await_s 20 is_served || fail "not served when it was there"
	expect_metric 0 origin_failing
}

is_served()
{
	"$load" echo "127.0.0.1:$proxy_port" -b 10 --half-close \
		>/dev/null 2>&1
}

# Of two origins one is dead: no client notices.
test_dead_origin_among_two()
{
	need_native
	need_metrics
	start_bytes
	dead_port=$(free_port)
	start_proxy --to "127.0.0.1:$dead_port" --to "127.0.0.1:$tls_port" \
		--retry 100ms
	busy echo -c 4 -n 40 -b 10k --half-close || fail "ktc-load"
	expect "served" 40 "$(json "done")"
}

# Killed and started again under load. Those it had are told, none hangs, and
# then all is as before; its ticket key is new, so that all begin with full
# handshakes, of which there are no more at a time than allowed.
test_origin_restarts_under_load()
{
	need_metrics
	start_origin --tls any
	start_proxy --to "127.0.0.1:$origin_port" --full-at-once 4 \
		--retry 20ms --retry-max 50ms --plane "$some_plane"
	busy get -c 16 -n 64 || fail "before"
	in_background storm "$load" get "127.0.0.1:$proxy_port" -c 32 -d 60s \
		--retry 5ms --timeout 20s --fail-ok
	await_s 20 metric_is_over 100 handshakes_total || fail "no load"
	full=$(metric handshakes_total 'kind="full"')
	port=$origin_port
	"$e2e/origin.sh" stop "$dir/origin" || fail "origin does not stop"
	await_s 20 metric_is_over 0 clients_ended_total 'reason="no_origin"' ||
		fail "nobody was told"
	"$e2e/origin.sh" start "$dir/origin" "$port" --tls any \
		--cert "$dir/certs/server.pem" --key "$dir/certs/server.key" ||
		fail "origin does not start"
	await_s 20 is_answered || fail "not served after the restart"
	kill -TERM "$storm_pid"
	expect_ended storm 0
	cp "$dir/storm.out" "$dir/json"
	expect "left hanging" 0 "$(json failures.timeout)"
	expect "wrong" 0 "$(json failures.wrong)"
	after=200
	[ "${KTC_TEST_LANE-}" != vm ] || after=80
	busy get -c 16 -n $after || fail "after"
	expect "served after the restart" $after "$(json "done")"
	full=$(($(metric handshakes_total 'kind="full"') - full))
	say "$full full handshakes after the restart"
	[ "$full" -le 64 ] || fail "$full full handshakes after the restart"
	expect_metric 0 clients
}

is_answered()
{
	"$load" get "127.0.0.1:$proxy_port" >/dev/null 2>&1
}

metric_is_over()
{
	[ "$(metric "$2" "${3-}")" -gt "$1" ]
}

# nginx reads its configuration again: new ticket keys, no downtime. Sessions
# are declined, and no client notices.
# Forty handshakes in a row, none of them full.
is_resumed_again()
{
	full=$(metric handshakes_total 'kind="full"')
	now=$(metric handshakes_total)
	await_s 10 metric_is_over $((now + 40)) handshakes_total &&
		[ "$(metric handshakes_total 'kind="full"')" = "$full" ]
}

test_new_ticket_keys()
{
	[ "$1" = 1.3 ] || need_native
	need_no_module
	need_metrics
	start_origin --tls "$1"
	start_proxy --to "127.0.0.1:$origin_port" --plane "$some_plane"
	busy get -c 4 -n 40 || fail "before"
	in_background flow "$load" get "127.0.0.1:$proxy_port" -c 4 -d 60s
	await_s 20 metric_is_over 80 handshakes_total || fail "no load"
	new_keys "$dir/origin/nginx.pid" "$dir/origin/error.log"
	now=$(metric handshakes_total)
	await_s 20 metric_is_over $((now + 80)) handshakes_total || fail "no load"
	await_s 20 is_resumed_again || fail "full handshakes for good"
	kill -TERM "$flow_pid"
	expect_ended flow 0
	cp "$dir/flow.out" "$dir/json"
	expect "clients that noticed" 0 "$(json failed)"
	if [ "$(metric not_resumed_total 'reason="declined"')" -lt 1 ]; then
		fail "no session was declined"
	fi
}

# make_short_cert SECONDS: server-short.pem, over so soon
make_short_cert()
{
	end=$(date -u -d "@$(($(date +%s) + $1))" +%y%m%d%H%M%SZ)
	cat >"$dir/ca.conf" <<-END_OF_CONF
	[ca]
	default_ca = it
	[it]
	database = $dir/ca.index
	serial = $dir/ca.serial
	new_certs_dir = $dir
	default_md = sha256
	policy = any
	x509_extensions = leaf
	[any]
	commonName = supplied
	[leaf]
	subjectAltName = DNS:localhost
	END_OF_CONF
	: >"$dir/ca.index"
	echo 1000 >"$dir/ca.serial"
	# shellcheck disable=SC2015 # either may fail
	openssl req -new -key "$dir/certs/server.key" -subj /CN=localhost \
		-out "$dir/short.csr" 2>"$dir/ca.log" &&
		openssl ca -batch -config "$dir/ca.conf" \
			-cert "$dir/certs/ca.pem" -keyfile "$dir/certs/ca.key" \
			-in "$dir/short.csr" -out "$dir/certs/short.pem" \
			-startdate 200101000000Z -enddate "$end" -notext \
			2>>"$dir/ca.log" || {
		cat "$dir/ca.log" >&2
		fail "no certificate that ends soon"
	}
	cp "$dir/certs/server.key" "$dir/certs/short.key"
}

cert_is_over()
{
	! openssl x509 -in "$dir/certs/short.pem" -noout -checkend 0 \
		>/dev/null 2>&1
}

# Good at first, over in between: full handshakes are refused from then on.
test_certificate_expires_in_between()
{
	need_native
	need_metrics
	command -v openssl >/dev/null || skip "no openssl here"
	make_short_cert 4
	start_plain --cert "$dir/certs/short.pem" --key "$dir/certs/short.key"
	start_proxy --to "127.0.0.1:$plain_port"
	busy echo -n 2 -b 10 --half-close || fail "not served while it is good"
	await_s 60 cert_is_over || fail "the certificate does not end"
	# a server that knows no session makes every handshake a full one
	kill -KILL "$plain_pid"
	wait "$plain_pid" 2>/dev/null || true
	in_background plain "$load" serve "127.0.0.1:$plain_port" \
		--cert "$dir/certs/short.pem" --key "$dir/certs/short.key"
	await has_line '^listening ' "$dir/plain.out" || fail "no server"
	refused peer KTC_E_VERIFY_EXPIRED
}

# --- reload -----------------------------------------------------------------

# write_config PORT ORIGIN-PORT [LINE]
write_config()
{
	cat >"$dir/proxy.ini" <<-END_OF_CONF
	[global]
	threads = 1

	[listener one]
	listen = 127.0.0.1:$1
	to = 127.0.0.1:$2
	ca = $ca
	sni = localhost
	${3-}
	END_OF_CONF
}

test_sighup_takes_a_good_file_and_no_bad_one()
{
	need_native
	need_metrics
	start_bytes
	proxy_port=$(free_port)
	write_config "$proxy_port" "$tls_port"
	start_proxy_file
	hold 8
	# bad: told with file and line, nothing changes
	write_config "$proxy_port" "$tls_port" "no-such-key = 1"
	kill -HUP "$proxy_pid"
	await has_line '"reload_refused".*proxy.ini' "$proxy_log" ||
		fail "a bad file was not told"
	busy echo -n 4 -b 10k --half-close || fail "after a bad file"
	# good: a second listener is there, old connections go on
	first_port=$proxy_port
	second_port=$(free_port)
	write_config "$proxy_port" "$tls_port" "[listener two]
	listen = 127.0.0.1:$second_port
	to = 127.0.0.1:$tls_port
	ca = $ca
	sni = localhost"
	kill -HUP "$proxy_pid"
	await has_line '"event": "reloaded"' "$proxy_log" || {
		cat "$proxy_log" >&2
		fail "no reload"
	}
	proxy_port=$second_port
	busy echo -n 4 -b 10k --half-close || fail "the new listener"
	proxy_port=$first_port
	busy echo -n 4 -b 10k --half-close || fail "the old listener"
	release
	expect "connections that went on" 8 "$(json "done")"
}

start_proxy_file()
{
	metrics_port=$(free_port)
	in_background proxy "$proxy" --config "$dir/proxy.ini" \
		--metrics "127.0.0.1:$metrics_port"
	await is_started || true
	has_line '"event": "started"' "$proxy_log" || {
		cat "$proxy_log" >&2
		fail "the proxy does not start"
	}
}

run_tests \
	test_wrong_name_is_refused test_unknown_issuer_is_refused \
	test_expired_certificate_is_refused \
	test_verification_is_switched_off_by_name \
	test_s_server:-tls1_2 test_s_server:-tls1_3 \
	test_haproxy_as_origin test_nginx_as_origin \
	test_origin_that_is_not_there_yet test_dead_origin_among_two \
	test_origin_restarts_under_load \
	test_new_ticket_keys:1.2 test_new_ticket_keys:1.3 \
	test_certificate_expires_in_between \
	test_sighup_takes_a_good_file_and_no_bad_one

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ktc-proxy between clients and servers that people run: every byte arrives,
# both ways, on each record plane, whoever ends first and however; who is slow
# or silent holds up nobody; what it counts is what happened. Natively on the
# user plane, where there is no kernel TLS; in a guest what the kernel plane can
# do differently, and with the module what that can.

# Arguments that may be left out; what in_background sets by name.
# shellcheck disable=SC2119,SC2120,SC2154
set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
make_scratch
# shellcheck source=selftests/e2e/proxy-lib.sh
. "$e2e/proxy-lib.sh"

# Both ways at once, with half-close; the numbers agree.
test_every_byte_comes_back()
{
	need_plane "$1"
	[ "$1" = always ] || need_no_module
	count=16
	[ "${KTC_TEST_LANE-}" != vm ] || count=8
	need_metrics
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --plane "$1" --auto-bytes 64k \
		--tls-max "$2"
	busy echo -c 8 -n $count -b 1M --half-close || fail "ktc-load"
	expect "complete" $count "$(json "done")"
	expect_metric $count clients_accepted_total
	expect_metric 0 clients
	expect_metric $count clients_ended_total 'reason="done"'
	expect_metric $((count << 20)) bytes_total 'direction="to_client"'
	expect_metric $((count << 20)) bytes_total 'direction="to_origin"'
	case $1 in
	never) expect_metric $count planes_total 'plane="user"' ;;
	*) expect_metric $count planes_total 'plane="kernel"' ;;
	esac
	if [ "$1" = always ] && [ -n "${KTC_TEST_MODULE-}" ]; then
		expect_metric $count lanes_total 'lane="module"'
	else
		expect_metric $count lanes_total
	fi
	# what is in the way at last, and not when the relay began
	case $1 in
	never) expect_metric $count not_module_total 'reason="user_plane"' ;;
	*) expect_metric 0 not_module_total 'reason="user_plane"' ;;
	esac
	expect_metric $count handshakes_total
	expect_metric 0 upstream_errors_total
	expect_metric 0 upstream_connections
}

# Those who look see bytes while they move, and each of them once.
test_bytes_are_counted_meanwhile()
{
	need_plane "$1"
	need_metrics
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --plane "$1" --threads 2
	hold 8
	expect_metric 800 bytes_total 'direction="to_client"'
	expect_metric 800 bytes_total 'direction="to_origin"'
	expect_metric 800 bytes_total 'direction="to_client"'
	release
	expect_metric 8 clients_ended_total 'reason="done"'
	expect_metric 1600 bytes_total 'direction="to_client"'
	expect_metric 1600 bytes_total 'direction="to_origin"'
}

# status_of KEY: of the one listener
status_of()
{
	"$proxy" --status --control "$dir/control" |
		sed -n "s/^  $1 //p"
}

# log_port EVENT
log_port()
{
	sed -n "s/.*\"event\": \"$1\".*\"port\": \"\([0-9]*\)\".*/\1/p" \
		"$proxy_log"
}

# The kernel chooses; all threads have the same one, and everybody is told.
test_any_port()
{
	need_metrics
	start_bytes
	start_proxy --listen "$1:0" --metrics 127.0.0.1:0 --threads 3 \
		--to "127.0.0.1:$tls_port" --control "$dir/control"
	proxy_port=$(log_port listening)
	metrics_port=$(log_port metrics)
	[ "${proxy_port:-0}" != 0 ] || fail "the log has no port"
	expect "sockets that listen there" 3 "$(grep -c \
		"$(printf ':%04X 00000000:0000 0A' "$proxy_port")" \
		/proc/net/tcp)"
	expect "place by --status" "$1:$proxy_port" "$(status_of on)"
	busy echo -c 8 -n 60 -b 1k --half-close || fail "ktc-load"
	expect "complete" 60 "$(json "done")"
	expect_metric 60 clients_accepted_total
	kill -HUP "$proxy_pid"
	await has_line '"event": "reloaded"' "$proxy_log" || fail "no reload"
	expect "place after a reload" "$1:$proxy_port" "$(status_of on)"
	busy echo -c 8 -n 8 -b 1k --half-close || fail "after a reload"
}

# A file by curl, compared by its checksum.
test_download_by_curl()
{
	need_plane "$1"
	[ "$1" = always ] || need_no_module
	need_metrics
	start_origin --tls any
	dd if=/dev/urandom of="$dir/origin/www/big" bs=64k count=64 \
		2>/dev/null || fail "no file"
	start_proxy --to "127.0.0.1:$origin_port" --plane "$1"
	curl -s -m 60 -o "$dir/file" "http://127.0.0.1:$proxy_port/big" ||
		fail "curl"
	expect "checksum" \
		"$(sha256sum <"$dir/origin/www/big")" \
		"$(sha256sum <"$dir/file")"
	plane=kernel
	[ "$1" != never ] || plane=user
	expect_metric 1 planes_total "plane=\"$plane\""
}

# An origin that ends first still gets what the client sends after that.
test_origin_half_closes()
{
	need_plane "$1"
	start_bytes --what source -b 300k
	start_proxy --to "127.0.0.1:$tls_port" --plane "$1"
	busy echo -c 4 -n 4 -b 200k --down 300k --wait-eof --half-close ||
		fail "ktc-load"
	expect "complete" 4 "$(json "done")"
	await plain_has 4 'done 204800 307200' || {
		cat "$dir/plain.out" >&2
		fail "the server did not get all after its own end"
	}
}

plain_has()
{
	[ "$(grep -c "^$2" "$dir/plain.out")" = "$1" ]
}

test_resets_of_clients_are_theirs_alone()
{
	need_plane "$1"
	need_metrics
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --plane "$1"
	in_background other "$load" echo "127.0.0.1:$proxy_port" -c 4 -n 4 \
		-b 2M --half-close
	busy echo -c 4 -n 12 -b 1M --reset-after 100k || fail "ktc-load"
	expect "reset" 12 "$(json was_reset)"
	expect_ended other 0
	expect_metric 16 clients_accepted_total
	expect_metric 0 clients
	expect_metric 4 clients_ended_total 'reason="done"'
	expect_metric 12 clients_ended_total 'reason="client"'
	expect_metric 0 upstream_connections
}

# The origin vanishes in the middle: the client is not told a clean end.
test_origin_that_vanishes_is_no_clean_end()
{
	need_no_module
	start_bytes --what reset
	start_proxy --to "127.0.0.1:$tls_port"
	busy echo -c 2 -n 6 -b 100k --half-close --fail-ok || fail "ktc-load"
	expect "complete" 0 "$(json "done")"
	expect "told" 6 $(($(json failures.reset) + $(json failures.eof)))
}

# More than sockets hold; emulation is slow.
more=32M
[ "${KTC_TEST_LANE-}" != vm ] || more=8M

# A client that reads nothing stops its own connection, and no other.
test_client_that_never_reads()
{
	need_plane "$1"
	start_bytes --what source -b "$more"
	start_proxy --to "127.0.0.1:$tls_port" --plane "$1"
	in_background stuck "$load" echo "127.0.0.1:$proxy_port" -c 4 -n 4 \
		-b 0 --down "$more" --no-read
	busy echo -c 2 -n 2 -b 0 --down "$more" --wait-eof || fail "ktc-load"
	expect "complete" 2 "$(json "done")"
	kill -0 "$stuck_pid" 2>/dev/null || fail "the stuck ones were ended"
	expect "memory is bounded" yes "$(awk '$1 == "VmRSS:" {
		print $2 < 100000 ? "yes" : $2 " kB" }' \
		"/proc/$proxy_pid/status")"
}

# An origin that reads nothing.
test_origin_that_never_reads()
{
	start_bytes --what mute
	start_proxy --to "127.0.0.1:$tls_port"
	in_background stuck "$load" echo "127.0.0.1:$proxy_port" -c 4 -n 4 \
		-b 64M --timeout 2s --fail-ok
	expect_ended stuck 0
	cp "$dir/stuck.out" "$dir/json"
	expect "stopped" 4 "$(json failures.timeout)"
	expect "less than all was taken" yes "$(awk -v n="$(json sent_bytes)" \
		'BEGIN { print n < 4 * 67108864 ? "yes" : n }')"
	expect "memory is bounded" yes "$(awk '$1 == "VmRSS:" {
		print $2 < 100000 ? "yes" : $2 " kB" }' \
		"/proc/$proxy_pid/status")"
}

# No PROXY header in time, half of one, or nonsense: cut. With one: served.
test_clients_without_header_are_cut()
{
	need_native
	need_metrics
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --proxy-in \
		--header-timeout 300ms
	printf 'PROXY TCP4 192.0.2.1 192.0.2.2 1 ' >"$dir/half"
	printf 'GET / HTTP/1.0\r\n\r\n' >"$dir/nonsense"
	printf 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n' >"$dir/good"
	: >"$dir/silent"
	for prefix in silent half nonsense; do
		busy echo -c 4 -n 4 --prefix "$dir/$prefix" -b 0 --down 1 \
			--fail-ok || fail "ktc-load"
		expect "served with $prefix" 0 "$(json "done")"
		expect "cut with $prefix" 4 \
			$(($(json failures.eof) + $(json failures.reset)))
	done
	expect_metric 12 clients_ended_total 'reason="header"'
	expect_metric 0 upstream_connects_total
	busy echo -c 4 -n 4 --prefix "$dir/good" -b 10k --half-close ||
		fail "with a header"
	expect "served with a header" 4 "$(json "done")"
}

# nginx that wants a PROXY header before the handshake, and says what it had.
start_header_origin()
{
	tls_port=$(free_port)
	cat >"$dir/tls.conf" <<-END_OF_CONF
	pid $dir/tls.pid;
	error_log $dir/tls.log;
	events { }
	http {
		access_log off;
		client_body_temp_path $dir/body;
		proxy_temp_path $dir/proxy;
		fastcgi_temp_path $dir/fastcgi;
		uwsgi_temp_path $dir/uwsgi;
		scgi_temp_path $dir/scgi;
		server {
			listen 127.0.0.1:$tls_port ssl proxy_protocol;
			ssl_certificate $dir/certs/server.pem;
			ssl_certificate_key $dir/certs/server.key;
			location / {
				return 200 "\$proxy_protocol_addr\n";
			}
		}
	}
	END_OF_CONF
	run_nginx || fail "nginx does not start"
}

# told FILE: what the origin says to a client that sends that
told()
{
	busybox nc 127.0.0.1 "$proxy_port" <"$1" | tail -n 1
}

# Our client's own address, or the one that its header has.
test_origin_is_told_the_client()
{
	need_native
	command -v nginx >/dev/null || skip "no nginx here"
	command -v busybox >/dev/null || skip "no busybox here"
	start_header_origin
	printf 'GET / HTTP/1.0\r\n\r\n' >"$dir/without"
	printf 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n' >"$dir/with"
	cat "$dir/without" >>"$dir/with"
	start_proxy --to "127.0.0.1:$tls_port" --proxy-out "$1"
	expect "its own address" 127.0.0.1 "$(told "$dir/without")"
	stop_proxy
	start_proxy --to "127.0.0.1:$tls_port" --proxy-out "$1" --proxy-in
	expect "its header's address" 192.0.2.1 "$(told "$dir/with")"
}

test_unix_socket()
{
	need_native
	command -v curl >/dev/null || skip "no curl here"
	start_origin --tls any
	start_proxy --listen "unix:$dir/socket" --listen-mode 0600 \
		--to "127.0.0.1:$origin_port"
	expect "answer" ok "$(curl -s -m 10 --unix-socket "$dir/socket" \
		http://localhost/)"
	expect "mode" 600 "$(stat -c %a "$dir/socket")"
}

# All threads accept at one socket, and all leave it at once: none may be held
# up there by a flag that another one has taken back.
test_threads_share_a_unix_socket()
{
	need_native
	start_bytes
	round=0
	while [ "$round" -lt 10 ]; do
		round=$((round + 1))
		start_proxy --listen "unix:$dir/socket" --threads 6 \
			--to "127.0.0.1:$tls_port"
		"$load" echo "unix:$dir/socket" -c 6 -n 12 -b 1k >"$dir/json" ||
			fail "clients"
		expect "served" 12 "$(json "done")"
		stop_proxy
	done
}

# Its own count, and the origin's log. TLS 1.2 has its tickets from handshakes,
# 1.3 from records after them.
test_connections_are_resumed()
{
	[ "$1" = 1.3 ] || need_native
	need_metrics
	start_origin --tls "$1"
	start_proxy --to "127.0.0.1:$origin_port" --plane "$some_plane"
	busy get -n 1 || fail "ktc-load"
	busy get -c 1 -n 40 || fail "ktc-load"
	expect "resumed by nginx's log" 40 "$(log_count 41 reused r)"
	expect_metric 40 handshakes_total 'kind="resumed"'
	expect_metric 1 handshakes_total 'kind="full"'
	expect_metric 1 not_resumed_total 'reason="no_session"'
}

# The origin takes connections and says nothing. A client that gives up is
# noticed meanwhile, if it has left no bytes that may be its last word; one that
# has only ended its stream is served when the origin speaks again.
test_clients_that_leave_before_there_is_a_connection()
{
	need_metrics
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --listen "unix:$dir/socket" \
		--handshake-timeout 100s
	kill -STOP "$plain_pid"
	in_background patient "$load" echo "unix:$dir/socket" -c 3 -n 3 \
		-b 1k --half-close --timeout 60s
	in_background leaving "$load" echo "unix:$dir/socket" -c 4 -n 4 \
		--down 1k --wait-eof --timeout 60s
	await_s 20 metric_is 7 upstream_connections || fail "no connections"
	kill -KILL "$leaving_pid"
	expect_metric 4 clients_ended_total 'reason="client"'
	expect_metric 3 upstream_connections
	kill -CONT "$plain_pid"
	expect_ended patient 0
	cp "$dir/patient.out" "$dir/json"
	expect "served" 3 "$(json "done")"
	expect_metric 3 clients_ended_total 'reason="done"'
}

# SIGTERM: no new clients, those there are served to their end.
test_sigterm_drains()
{
	need_plane "$1"
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --plane "$1"
	mkfifo "$dir/go"
	"$load" echo "127.0.0.1:$proxy_port" -c 20 -n 20 -b 50k --hold \
		<"$dir/go" >"$dir/held.out" 2>"$dir/held.err" &
	held_pid=$!
	more_pids="$more_pids $held_pid"
	exec 4>"$dir/go"
	rm "$dir/go"
	await has_line '^held 20' "$dir/held.out" || fail "not held"
	kill -TERM "$proxy_pid"
	await has_line '"event": "draining"' "$proxy_log" || fail "no drain"
	await no_listener || fail "it still listens"
	kill -0 "$proxy_pid" || fail "it did not wait for its clients"
	exec 4>&-
	expect_ended held 0
	sed 1d "$dir/held.out" >"$dir/json"
	expect "served to their end" 20 "$(json "done")"
	await proxy_has_ended || fail "it does not end"
	expect_ended proxy 0
}

no_listener()
{
	! is_listening "$proxy_port"
}

# Not for ever: --drain is the limit, and the exit status says that it was met.
test_drain_has_a_limit()
{
	need_native
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --drain 200ms
	in_background stuck "$load" echo "127.0.0.1:$proxy_port" -c 4 -n 4 \
		-d 60s --fail-ok
	await_s 20 metric_is 4 clients || fail "no clients"
	kill -TERM "$proxy_pid"
	await proxy_has_ended || fail "it does not end"
	expect_ended proxy 1
}

run_tests \
	test_every_byte_comes_back:never:1.3 \
	test_every_byte_comes_back:never:1.2 \
	test_every_byte_comes_back:auto:1.3 \
	test_every_byte_comes_back:always:1.3 \
	test_every_byte_comes_back:always:1.2 \
	test_bytes_are_counted_meanwhile:never \
	test_bytes_are_counted_meanwhile:always \
	test_any_port:127.0.0.1 \
	test_download_by_curl:never test_download_by_curl:auto \
	test_download_by_curl:always \
	test_origin_half_closes:never test_origin_half_closes:always \
	test_resets_of_clients_are_theirs_alone:never \
	test_resets_of_clients_are_theirs_alone:always \
	test_origin_that_vanishes_is_no_clean_end \
	test_client_that_never_reads:never test_client_that_never_reads:always \
	test_origin_that_never_reads \
	test_clients_without_header_are_cut \
	test_origin_is_told_the_client:v1 test_origin_is_told_the_client:v2 \
	test_unix_socket test_threads_share_a_unix_socket \
	test_connections_are_resumed:1.2 test_connections_are_resumed:1.3 \
	test_clients_that_leave_before_there_is_a_connection \
	test_sigterm_drains:never test_sigterm_drains:always \
	test_drain_has_a_limit

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# An upgrade of ktc-proxy: a new process succeeds the old one by its control
# socket while connections are busy. On the kernel plane they move and go on,
# every byte compared; on the user plane the old process serves them to their
# end. Nobody is refused in between, and tickets come along.

# Arguments that may be left out; what in_background sets by name.
# shellcheck disable=SC2119,SC2120,SC2154
set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
make_scratch
# shellcheck source=selftests/e2e/proxy-lib.sh
. "$e2e/proxy-lib.sh"

# A new process with the settings of the old one. Sets next_pid, and
# next_metrics, of a place of its own.
succeed()
{
	next_metrics=$(free_port)
	# shellcheck disable=SC2086 # words
	in_background next "$proxy" $proxy_options --ca "$ca" \
		--control "$dir/control" --takeover "$dir/control" \
		--metrics "127.0.0.1:$next_metrics" \
		--listen "127.0.0.1:$proxy_port" --to "127.0.0.1:$tls_port" \
		$patience "$@"
	await_s 20 has_line '"event": "started"' "$dir/next.err" || {
		cat "$dir/next.err" "$proxy_log" >&2
		fail "the successor does not start"
	}
}

# hundreds of handshakes at once take their time under emulation
patience="--handshake-timeout 100s --connect-timeout 100s --drain 100s \
	--close-timeout 90s"

start_first()
{
	start_bytes
	# shellcheck disable=SC2086 # words
	start_proxy --to "127.0.0.1:$tls_port" --control "$dir/control" \
		$patience "$@"
}

# keep_busy COUNT: that many connections, each sending and comparing all the
# time
keep_busy()
{
	in_background flow "$load" echo "127.0.0.1:$proxy_port" -c "$1" \
		-d 280s --half-close --timeout 250s
	await_s 120 metric_is "$1" upstream_connections || fail "no clients"
	bytes_move || fail "no bytes"
}

bytes_move()
{
	before=$(metric bytes_total)
	await_s 30 metric_is_over $((before + 8000000)) bytes_total
}

# stop_busy COUNT: they end in order, and each had all its bytes
stop_busy()
{
	kill -TERM "$flow_pid"
	expect_ended flow 0
	cp "$dir/flow.out" "$dir/json"
	expect "connections complete" "$1" "$(json "done")"
	expect "connections with wrong bytes" 0 "$(json failures.wrong)"
	expect "bytes that came back" "$(json sent_bytes)" \
		"$(json got_bytes)"
	say "$1 connections, $(json got_bytes) bytes compared"
}

# COUNT busy connections across an upgrade on the kernel plane.
test_busy_connections_move()
{
	# the module's guest runs beside another one, on two CPUs
	[ -z "${KTC_TEST_MODULE-}" ] || set -- 50
	need_ktls
	need_metrics
	start_first --plane always
	keep_busy "$1"
	succeed --plane always
	await_s 150 proxy_has_ended || {
		cat "$proxy_log" "$dir/next.err" >&2
		fail "the old one does not end"
	}
	metrics_port=$next_metrics
	say "$(metric adopted_total) of $1 connections moved"
	cat "$dir/next.err" >&2
	expect_ended proxy 0
	expect_metric "$1" adopted_total
	expect_metric "$1" clients
	bytes_move || fail "no more bytes moved"
	stop_busy "$1"
	expect_metric 0 clients
}

# On the user plane they stay with the old process, which serves them to their
# end; new ones are the new process's.
test_user_plane_drains()
{
	need_native
	need_metrics
	start_first --plane never
	keep_busy 8
	succeed --plane never
	busy echo -c 4 -n 20 -b 10k --half-close --timeout 10s || {
		cat "$proxy_log" "$dir/next.err" >&2
		fail "a new client"
	}
	# the old one's last accept may have given it some
	metrics_port=$next_metrics
	metric_is_over 0 clients_accepted_total || fail "the new one got none"
	kill -0 "$proxy_pid" 2>/dev/null || fail "the old one left its clients"
	stop_busy 8
	await_s 20 proxy_has_ended || fail "the old one does not end"
	expect_ended proxy 0
}

# Clients come all the time: none is refused, none waits for long.
test_nobody_is_refused_meanwhile()
{
	need_metrics
	start_first --plane "$1"
	in_background storm "$load" echo "127.0.0.1:$proxy_port" -c 8 \
		-d 280s -b 4k --half-close
	await_s 20 metric_is_over 50 clients_accepted_total || fail "no load"
	succeed --plane "$1"
	metrics_port=$next_metrics
	await_s 20 metric_is_over 50 clients_accepted_total || fail "no load"
	kill -TERM "$storm_pid"
	expect_ended storm 0
	cp "$dir/storm.out" "$dir/json"
	expect "refused or cut" 0 "$(json failed)"
	expect "full handshakes of the successor" yes "$(metric \
		handshakes_total 'kind="full"' |
		awk '{ print $1 <= 8 ? "yes" : $1 }')"
}

# One that comes alone, when the old one stops to accept and the new one has
# begun: nobody comes behind it, whose coming would wake a worker for both. The
# old one is busy, so that stopping takes it a while.
test_none_waits_in_vain()
{
	need_native
	need_metrics
	for round in $(seq "$1"); do
		start_first --plane never
		keep_busy 8
		in_background alone "$load" echo "127.0.0.1:$proxy_port" -c 1 \
			-d 280s -b 1k --half-close --timeout 5s
		await_s 20 metric_is_over 12 clients_accepted_total ||
			fail "no load"
		succeed --plane never
		metrics_port=$next_metrics
		await_s 20 metric_is_over 4 clients_accepted_total || true
		kill -TERM "$alone_pid"
		expect_ended alone 0
		cp "$dir/alone.out" "$dir/json"
		expect "waited in vain, round $round" 0 "$(json failed)"
		stop_busy 8
		await_s 20 proxy_has_ended || fail "the old one does not end"
		stop_proxy next
	done
}

# restart OPTION...: what a supervisor does that does not wait for the old one
restart()
{
	# shellcheck disable=SC2086 # words
	in_background next "$proxy" $proxy_options --ca "$ca" \
		--control "$dir/control" --metrics "127.0.0.1:$metrics_port" \
		--to "127.0.0.1:$tls_port" $patience "$@"
	await_s 20 restart_is_known || fail "neither started nor ended"
}

restart_is_known()
{
	has_line '"event": "started"' "$dir/next.err" || has_ended next
}

# The old one has clients to serve yet, but no more use for its places: TCP
# and unix sockets, metrics, the control socket; nor for its sessions.
test_restart_while_the_old_one_drains()
{
	need_native
	need_metrics
	case $1 in
	tcp) place=127.0.0.1:$(free_port) ;;
	unix) place=unix:$dir/place ;;
	esac
	head -c 32 /dev/urandom >"$dir/key"
	chmod 600 "$dir/key"
	start_first --listen "$place" --plane never \
		--tickets "$dir/sessions" --key-file "$dir/key"
	proxy_port=${place#*:}
	[ "$1" = tcp ] || proxy_port=
	in_background flow "$load" echo "$place" -c 4 -d 280s --half-close
	await_s 20 metric_is 4 upstream_connections || fail "no clients"
	kill -TERM "$proxy_pid"
	await has_line '"event": "draining"' "$proxy_log" || fail "no drain"
	restart --listen "$place" --tickets "$dir/sessions" \
		--key-file "$dir/key"
	has_line '"event": "started"' "$dir/next.err" || {
		cat "$dir/next.err" "$proxy_log" >&2
		fail "no start beside one that drains"
	}
	"$load" echo "$place" -n 4 -b 10k --half-close >"$dir/json" ||
		fail "a new client"
	expect_metric 4 clients_accepted_total
	has_line '"event": "tickets_loaded".*"sessions": [1-9]' \
		"$dir/next.err" || fail "its sessions stayed with the old one"
	"$proxy" --status --control "$dir/control" >"$dir/status" ||
		fail "no status"
	kill -0 "$proxy_pid" 2>/dev/null || fail "the old one left its clients"
	stop_busy 4
	await_s 20 proxy_has_ended || fail "the old one does not end"
	expect_ended proxy 0
	"$proxy" --status --control "$dir/control" >"$dir/status" ||
		fail "the old one took the control socket along"
	stop_proxy next
}

# One that serves keeps its places.
test_no_start_beside_one_that_serves()
{
	need_metrics
	start_first --plane never
	restart --listen "127.0.0.1:$(free_port)"
	await has_ended next || fail "it starts beside one that serves"
	expect_ended next 1
	await has_line '"event": "predecessor_serves"' "$dir/next.err" || {
		cat "$dir/next.err" >&2
		fail "the log does not say why"
	}
	"$proxy" --status --control "$dir/control" >"$dir/status" ||
		fail "no status"
	expect_metric 0 clients
	stop_proxy
}

metric_is_over()
{
	[ "$(metric "$2" "${3-}")" -gt "$1" ]
}

# A successor that cannot start: the old one serves on.
test_successor_that_fails()
{
	need_metrics
	start_first --plane never
	keep_busy 4
	rc=0
	# shellcheck disable=SC2086 # words
	timeout 30 "$proxy" $proxy_options --ca "$ca" \
		--takeover "$dir/control" --metrics 192.0.2.1:1 \
		--listen "127.0.0.1:$proxy_port" --to "127.0.0.1:$tls_port" \
		>/dev/null 2>"$dir/next.err" || rc=$?
	[ "$rc" != 0 ] || fail "it should have failed"
	busy echo -c 2 -n 4 -b 10k --half-close || fail "a new client"
	stop_busy 4
	stop_proxy
}

many=200
run_tests \
	test_user_plane_drains \
	test_nobody_is_refused_meanwhile:never \
	test_nobody_is_refused_meanwhile:always \
	test_none_waits_in_vain:4 \
	test_successor_that_fails \
	test_restart_while_the_old_one_drains:tcp \
	test_restart_while_the_old_one_drains:unix \
	test_no_start_beside_one_that_serves \
	test_busy_connections_move:$many

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ktc-proxy with many connections: idle ones by the thousand, more than there
# are file descriptors for, a storm. Run natively, by "make check-proxy".

# Arguments that may be left out; what in_background sets by name.
# shellcheck disable=SC2119,SC2120,SC2154
set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC3045 # not POSIX, but dash and busybox have it
ulimit -n "$(ulimit -H -n)"
make_scratch
# shellcheck source=selftests/e2e/proxy-lib.sh
. "$e2e/proxy-lib.sh"

test_many_idle_connections()
{
	need_metrics
	many=10000
	# shellcheck disable=SC3045 # as above
	room=$((($(ulimit -n) - 200) / 2))
	if [ "$room" -lt "$many" ]; then
		say "$many need $((many * 2 + 200)) descriptors: $room instead"
		many=$room
	fi
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --clients-max 20000
	hold "$many"
	expect "held" "held $many" "$(head -n 1 "$dir/held.out")"
	expect_metric "$many" clients
	say "$many idle: $(awk '$1 == "VmRSS:" { print $2, $3 }' \
		"/proc/$proxy_pid/status")"
	# another client is served among them
	busy echo -n 1 -b 10k --half-close || fail "one more"
	release
	expect "served at the end" "$many" "$(json "done")"
	await_s 60 metric_is 0 clients || fail "$(metric clients) are left"
	expect_metric 0 upstream_connections
}

# Fewer descriptors than clients: those there are go on, the others wait or are
# refused, and when there is room all is as before.
test_descriptors_run_out()
{
	need_metrics
	start_bytes
	# shellcheck disable=SC3045 # as above
	hard=$(ulimit -n)
	# shellcheck disable=SC3045 # as above
	ulimit -n 200
	start_proxy --to "127.0.0.1:$tls_port"
	# shellcheck disable=SC3045 # as above
	ulimit -n "$hard" 2>/dev/null || true
	in_background flow "$load" echo "127.0.0.1:$proxy_port" -c 20 -d 60s \
		--half-close
	await_s 20 metric_is 20 clients || fail "no clients"
	in_background flood "$load" echo "127.0.0.1:$proxy_port" -c 300 \
		-n 300 -b 1k --hold --timeout 3s --fail-ok
	expect_ended flood 0
	sed '/^held/d' "$dir/flood.out" >"$dir/json"
	say "of 300: $(json "done") served"
	[ "$(json "done")" -ge 20 ] || fail "hardly any was served"
	await_s 20 metric_is 20 clients ||
		fail "$(metric clients) clients are left of 20"
	busy echo -c 4 -n 40 -b 10k --half-close || fail "it did not recover"
	kill -TERM "$flow_pid"
	expect_ended flow 0
	cp "$dir/flow.out" "$dir/json"
	expect "connections that went on" 20 "$(json "done")"
}

# The limit that was asked for.
test_no_more_clients_than_allowed()
{
	need_metrics
	start_bytes
	start_proxy --to "127.0.0.1:$tls_port" --clients-max 50
	hold 50
	expect_metric 50 clients
	in_background more "$load" echo "127.0.0.1:$proxy_port" -c 10 -n 10 \
		-b 10 --timeout 1s --fail-ok
	expect_ended more 0
	expect "most clients at once" 50 "$(metric clients)"
	release
	expect "served" 50 "$(json "done")"
	await_s 20 metric_is 0 clients || fail "clients are left"
	busy echo -c 4 -n 40 -b 10k --half-close || fail "it did not recover"
}

# Hundreds at once, ten thousand in all, the origin killed and back in between.
test_storm()
{
	need_metrics
	start_origin --tls any
	start_proxy --to "127.0.0.1:$origin_port" --full-at-once 16 \
		--retry 20ms --retry-max 100ms --threads 2
	busy get -c 200 -n 2000 || fail "before"
	in_background storm "$load" get "127.0.0.1:$proxy_port" -c 200 \
		-d 120s --retry 10ms --timeout 30s --fail-ok
	port=$origin_port
	for again in 1 2 3; do
		now=$(metric handshakes_total)
		await_s 30 metric_is_over $((now + 500)) handshakes_total ||
			fail "no load, round $again"
		"$e2e/origin.sh" stop "$dir/origin" || fail "origin"
		full=$(metric handshakes_total 'kind="full"')
		"$e2e/origin.sh" start "$dir/origin" "$port" --tls any \
			--cert "$dir/certs/server.pem" \
			--key "$dir/certs/server.key" || fail "origin"
		now=$(metric handshakes_total)
		await_s 30 metric_is_over $((now + 1000)) handshakes_total ||
			fail "it did not recover, round $again"
		full=$(($(metric handshakes_total 'kind="full"') - full))
		say "round $again: $full full handshakes after the restart"
		[ "$full" -le 500 ] || fail "$full full handshakes"
	done
	kill -TERM "$storm_pid"
	expect_ended storm 0
	cp "$dir/storm.out" "$dir/json"
	say "storm: $(json "done") served, $(json failed) told of the end"
	expect "left hanging" 0 "$(json failures.timeout)"
	expect "wrong" 0 "$(json failures.wrong)"
	busy get -c 32 -n 500 || fail "after"
	expect "served after" 500 "$(json "done")"
	expect_metric 0 clients
}

metric_is_over()
{
	[ "$(metric "$2" "${3-}")" -gt "$1" ]
}

run_tests test_many_idle_connections test_descriptors_run_out \
	test_no_more_clients_than_allowed test_storm

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ktc-proxy between pairs of programs that people run, for seconds each: wrk,
# h2load with cleartext HTTP/2, redis with TLS on the server's side only. Run
# natively, by "make check-proxy".

# Arguments that may be left out; what in_background sets by name.
# shellcheck disable=SC2119,SC2120,SC2154
set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
make_scratch
# shellcheck source=selftests/e2e/proxy-lib.sh
. "$e2e/proxy-lib.sh"

test_wrk()
{
	command -v wrk >/dev/null || skip "no wrk here"
	need_metrics
	start_origin --tls any
	start_proxy --to "127.0.0.1:$origin_port" --threads 2
	# each request on a connection of its own
	timeout 60 wrk -t 2 -c 32 -d 3s -H 'Connection: close' \
		"http://127.0.0.1:$proxy_port/" >"$dir/wrk" 2>&1 || {
		cat "$dir/wrk" >&2
		fail "wrk"
	}
	! has_line 'Socket errors\|Non-2xx' "$dir/wrk" || {
		cat "$dir/wrk" >&2
		fail "wrk saw errors"
	}
	done_by_wrk=$(sed -n 's/ *\([0-9]*\) requests in.*/\1/p' "$dir/wrk")
	[ "$done_by_wrk" -ge 100 ] || fail "only $done_by_wrk requests"
	expect_metric 0 clients
	# what wrk gives up at its end is no answer, but was a client
	full=$(metric handshakes_total 'kind="full"')
	resumed=$(metric handshakes_total 'kind="resumed"')
	say "$done_by_wrk requests, $full full handshakes, $resumed resumed"
	[ $((full + resumed)) -ge "$done_by_wrk" ] ||
		fail "fewer handshakes than requests"
	[ "$full" -le 64 ] || fail "too many full handshakes"
}

test_wrk_with_long_connections()
{
	command -v wrk >/dev/null || skip "no wrk here"
	need_metrics
	start_origin --tls any
	start_proxy --to "127.0.0.1:$origin_port" --threads 2
	timeout 60 wrk -t 2 -c 32 -d 3s "http://127.0.0.1:$proxy_port/" \
		>"$dir/wrk" 2>&1 || fail "wrk"
	! has_line 'Socket errors\|Non-2xx' "$dir/wrk" || {
		cat "$dir/wrk" >&2
		fail "wrk saw errors"
	}
	expect_metric 0 clients
	[ "$(metric clients_accepted_total)" -le 34 ] ||
		fail "connections were lost"
}

# HTTP/2 in cleartext in, ALPN h2 to the origin out.
test_h2load()
{
	command -v h2load >/dev/null || skip "no h2load here"
	need_metrics
	tls_port=$(free_port)
	mkdir -p "$dir/h2"
	cat >"$dir/tls.conf" <<-END_OF_CONF
	$([ "$(id -u)" != 0 ] || echo "user root;")
	worker_processes 1;
	pid $dir/tls.pid;
	error_log $dir/tls.log warn;
	events {
		worker_connections 1000;
	}
	http {
		access_log $dir/tls.access;
		client_body_temp_path $dir/h2/body;
		proxy_temp_path $dir/h2/proxy;
		fastcgi_temp_path $dir/h2/fastcgi;
		scgi_temp_path $dir/h2/scgi;
		uwsgi_temp_path $dir/h2/uwsgi;
		server {
			listen 127.0.0.1:$tls_port ssl http2;
			ssl_certificate $dir/certs/server.pem;
			ssl_certificate_key $dir/certs/server.key;
			location / {
				return 200 "ok\n";
			}
		}
	}
	END_OF_CONF
	run_nginx || fail "nginx does not start"
	start_proxy --to "127.0.0.1:$tls_port" --alpn h2
	timeout 60 h2load -n 4000 -c 16 -m 8 "http://127.0.0.1:$proxy_port/" \
		>"$dir/h2load" 2>&1 || fail "h2load"
	has_line '4000 succeeded, 0 failed, 0 errored' "$dir/h2load" || {
		cat "$dir/h2load" >&2
		fail "not all succeeded"
	}
	has_line 'Application protocol: h2c' "$dir/h2load" || fail "no HTTP/2"
	expect_metric 16 clients_accepted_total
}

test_redis()
{
	for program in redis-server redis-cli; do
		command -v $program >/dev/null || skip "no $program here"
	done
	tls_port=$(free_port)
	in_background redis redis-server --port 0 --tls-port "$tls_port" \
		--tls-cert-file "$dir/certs/server.pem" \
		--tls-key-file "$dir/certs/server.key" \
		--tls-ca-cert-file "$ca" --tls-auth-clients no \
		--bind 127.0.0.1 --save '' --appendonly no --dir "$dir"
	await is_listening "$tls_port" || {
		! has_line "Bad directive\|TLS support" "$dir/redis.out" ||
			skip "redis has no TLS here"
		cat "$dir/redis.out" >&2
		fail "redis does not start"
	}
	start_proxy --to "127.0.0.1:$tls_port"
	dd if=/dev/urandom bs=64k count=16 2>/dev/null | od -An -tx1 |
		tr -d ' \n' >"$dir/value"
	redis-cli -p "$proxy_port" -x set key <"$dir/value" >"$dir/answer"
	expect "answer" OK "$(cat "$dir/answer")"
	redis-cli -p "$proxy_port" get key | tr -d '\n' >"$dir/back"
	expect "checksum" "$(sha256sum <"$dir/value")" \
		"$(sha256sum <"$dir/back")"
	timeout 60 redis-benchmark -p "$proxy_port" -c 20 -n 5000 -q \
		-t set,get,lrange_100 -d 2000 >"$dir/bench" 2>&1 || {
		cat "$dir/bench" >&2
		fail "redis-benchmark"
	}
	! has_line 'rror' "$dir/bench" || fail "redis-benchmark saw errors"
}

run_tests test_wrk test_wrk_with_long_connections test_h2load test_redis

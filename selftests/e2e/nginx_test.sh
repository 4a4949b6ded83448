#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ktc-bench against nginx: full and resumed handshakes, resumption as nginx's
# own log has it, tickets that are used once, bodies both ways, each on both
# record planes. Without kernel TLS the plane "always" is tested for saying
# so.

set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

has_ktls()
{
	[ -e /proc/net/tls_stat ]
}

target()
{
	echo "localhost:$origin_port"
}

# Handshakes by nginx's log: HANDSHAKES VERSION FULL RESUMED.
expect_log()
{
	expect "exchanges of TLSv$2" "$1" \
		"$(log_count "$1" version "TLSv$2" status 200)"
	expect "full by nginx's log" "$3" "$(log_count "$1" reused .)"
	expect "resumed by nginx's log" "$4" "$(log_count "$1" reused r)"
}

# expect_plane SECTION WANT NEVER-OR-ALWAYS
expect_plane()
{
	plane=user
	if [ "$3" != never ] && has_ktls; then
		plane=kernel
	fi
	expect "receiving on the $plane plane" "$2" \
		"$(json "$1.planes.rx.$plane")"
	expect "sending on the $plane plane" "$2" "$(json "$1.planes.tx.$plane")"
}

# Without resumption every handshake is full, on both sides' word.
test_full_handshakes()
{
	tls=$1 policy=$2
	start_origin --tls any
	client connect -c 4 -n 20 --resume off --tls "$tls" --plane "$policy" \
		"$(target)" || fail "ktc-bench"
	expect "connections done" 20 "$(json measured.done)"
	expect "full by the client" 20 "$(json measured.full)"
	expect "verified" 20 "$(json measured.verified)"
	expect "tickets sent" 0 "$(json client.spent)"
	expect_log 24 "$tls" 24 0
	expect_plane measured 20 "$policy"
}

# After a first connection for each of the four at once, all are resumed.
test_resumed_handshakes()
{
	tls=$1 policy=$2
	start_origin --tls any
	client connect -c 4 -n 40 --tls "$tls" --plane "$policy" "$(target)" ||
		fail "ktc-bench"
	expect "full in the warm-up" 4 "$(json warmup.full)"
	expect "resumed by the client" 40 "$(json measured.resumed)"
	expect "verified" 40 "$(json measured.verified)"
	expect_log 44 "$tls" 4 40
	expect_plane measured 40 "$policy"
}

# A server that gives session ids and keeps no sessions: full handshakes, and
# the reason is counted.
test_declined_sessions_are_said()
{
	start_origin --tls 1.2 --tickets off --session-cache none
	client connect -c 1 -n 5 --tls 1.2 "$(target)" || fail "ktc-bench"
	expect "full by the client" 5 "$(json measured.full)"
	expect "reason counted" 5 "$(json measured.not_resumed.count)"
	json measured.not_resumed.text | grep -q 'server chose' ||
		fail "the reason is not the server's choice"
	expect_log 6 1.2 6 0
}

# TLS 1.2 without tickets: the session id, kept by the server.
test_session_ids_resume()
{
	start_origin --tls 1.2 --tickets off --session-cache shared
	client connect -c 2 -n 10 --tls 1.2 "$(target)" || fail "ktc-bench"
	expect_log 12 1.2 2 10
}

ask_with_session()
{
	printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
		timeout "$client_limit_s" openssl s_client -CAfile "$ca" \
			-connect "127.0.0.1:$origin_port" -tls1_3 -ign_eof \
			"$@" >"$dir/s_client.log" 2>&1 || fail "s_client"
}

# The server takes a ticket once and no more. That it does so is shown with a
# client that offers one twice; that all of ours were taken then means that
# each was sent once.
test_tickets_are_used_once()
{
	start_origin --tls 1.3 --single-use
	ask_with_session -sess_out "$dir/session"
	ask_with_session -sess_in "$dir/session"
	ask_with_session -sess_in "$dir/session"
	expect "full, then resumed, then refused" ". r ." \
		"$(log_has 3 && awk '{ print $3 }' "$access_log" | xargs)"
	client connect -c 8 -n 100 --tls 1.3 "$(target)" || fail "ktc-bench"
	expect "resumed by nginx's log" 101 "$(log_count 111 reused r)"
	expect "tickets spent" 100 "$(json client.spent)"
}

# Both directions of every connection are counted by the kernel, and none of
# their records failed.
test_kernel_counts_every_connection()
{
	tls=$1
	need_ktls
	start_origin --tls any
	tx=$(tls_stat TlsTxSw) rx=$(tls_stat TlsRxSw)
	bad=$(tls_stat TlsDecryptError)
	client connect -c 4 -n 20 --tls "$tls" --plane always "$(target)" ||
		fail "ktc-bench"
	probed=$(probe_sockets)
	expect "sockets sending by kTLS" $((24 + probed)) \
		$(($(tls_stat TlsTxSw) - tx))
	expect "sockets receiving by kTLS" $((24 + probed)) \
		$(($(tls_stat TlsRxSw) - rx))
	expect "records that failed" "$bad" "$(tls_stat TlsDecryptError)"
	# A socket's counts as open until the kernel has freed it.
	expect "sockets left" "0 0" \
		"$(await no_ktls_socket; echo "$(tls_stat TlsCurrTxSw)" \
			"$(tls_stat TlsCurrRxSw)")"
}

no_ktls_socket()
{
	[ "$(tls_stat TlsCurrTxSw)$(tls_stat TlsCurrRxSw)" = 00 ]
}

# Policy auto: from OpenSSL to the kernel within a transfer, no byte lost.
test_auto_moves_a_transfer_to_the_kernel()
{
	need_ktls
	start_origin --tls any
	client stream --plane auto --auto-bytes 1M -b 8M "$(target)" ||
		fail "ktc-bench"
	expect "bytes" 8388608 "$(json measured.bytes)"
	expect "complete" 1 "$(json measured.transfers)"
	expect_plane measured 1 auto
}

# Where the kernel plane is asked for and is not there, the report says why.
test_missing_kernel_tls_is_said()
{
	! has_ktls || skip "this kernel has kernel TLS"
	start_origin --tls any
	client connect -n 4 --plane always "$(target)" || fail "ktc-bench"
	expect_plane measured 4 always
	expect "reason counted" 4 "$(json measured.planes.rx.not_kernel.count)"
	json measured.planes.rx.not_kernel.text | grep -q 'tls module' ||
		fail "the reason does not name the module"
}

# Every byte of a body comes, in each of four connections.
test_download()
{
	tls=$1 policy=$2
	start_origin --tls any --big 1G
	client stream -c 4 -b 16M --tls "$tls" --plane "$policy" "$(target)" ||
		fail "ktc-bench"
	expect "bytes" 16777216 "$(json measured.bytes)"
	expect "complete" 4 "$(json measured.transfers)"
	expect "bodies by nginx's log" 4 "$(log_count 4 uri /big \
		status 206 version "TLSv$tls")"
	# What nginx sent is the bodies and less than a kilobyte of header
	# each.
	expect "MiB by nginx's log" 16 $(($(log_bytes 4) >> 20))
	expect_plane measured 4 "$policy"
}

# nginx answers a GET behind each PUT, which it reads after all of its body.
test_upload()
{
	tls=$1 policy=$2
	shift 2
	start_origin --tls any
	client stream --dir up -c 4 -b 16M --tls "$tls" --plane "$policy" "$@" \
		"$(target)" || fail "ktc-bench"
	expect "bytes" 16777216 "$(json measured.bytes)"
	expect "complete" 4 "$(json measured.transfers)"
	expect "bodies by nginx's log" 4 "$(log_count 8 method PUT \
		status 204 version "TLSv$tls")"
	expect "requests behind them" 4 "$(log_count 8 method GET \
		status 200)"
	expect_plane measured 4 "$policy"
}

test_upload_by_sendfile()
{
	dd if=/dev/urandom of="$dir/body" bs=64k count=16 2>/dev/null ||
		fail "no file to send"
	test_upload "$1" "$2" --sendfile "$dir/body"
}

make_scratch
run_tests \
	test_full_handshakes:1.2:never test_full_handshakes:1.2:always \
	test_full_handshakes:1.3:never test_full_handshakes:1.3:always \
	test_resumed_handshakes:1.2:never test_resumed_handshakes:1.2:always \
	test_resumed_handshakes:1.3:never test_resumed_handshakes:1.3:always \
	test_declined_sessions_are_said test_session_ids_resume \
	test_tickets_are_used_once \
	test_kernel_counts_every_connection:1.2 \
	test_kernel_counts_every_connection:1.3 \
	test_missing_kernel_tls_is_said \
	test_auto_moves_a_transfer_to_the_kernel \
	test_download:1.2:never test_download:1.2:always \
	test_download:1.3:never test_download:1.3:always \
	test_upload:1.2:never test_upload:1.2:always \
	test_upload:1.3:never test_upload:1.3:always \
	test_upload_by_sendfile:1.3:never test_upload_by_sendfile:1.3:always

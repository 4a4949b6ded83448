#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo-guest.sh FULL RESUMED ONCE BYTES: the demo's part inside the guest, see
# demo.sh. FULL, RESUMED and ONCE are connections: without resumption, with it,
# and against a server that takes a ticket once. Runs ktc-bench against nginx,
# with and without resumption, on both record planes, and holds what ktc-bench
# says against what the server and the kernel say. Prints one table and one
# line for each claim; exits with 1 if a claim does not hold.

set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Of the guest's clock: far more than any run here takes.
client_limit_s=300

full_count=$1 resumed_count=$2 once_count=$3 stream_bytes=$4
at_once=8

claims_failed=0
measured=0 verified=0 failed=0

# claim TEXT CONDITION...: a test(1) expression decides.
claim()
{
	claim_text=$1
	shift
	if [ "$@" ]; then
		echo "PASS  $claim_text"
	else
		echo "FAIL  $claim_text"
		claims_failed=$((claims_failed + 1))
	fi >>"$dir/claims"
}

phase=0
progress()
{
	phase=$((phase + 1))
	printf '  %2d/11  %s ...\n' "$phase" "$1"
}

# calc EXPRESSION: with two decimals
calc()
{
	awk "BEGIN { printf \"%.2f\", $1 }"
}

# Which counters the kernel has depends on its version; these are on all.
read_counters()
{
	tx=$(tls_stat TlsTxSw) rx=$(tls_stat TlsRxSw)
}

# What a run has cost: the kernel's counts since read_counters, less those of
# ktc-bench's own probe, and the client's CPU time.
read_results()
{
	client_us=$(($(json cpu_user_us) + $(json cpu_system_us)))
	probed=$(probe_sockets)
	offloaded_tx=$(($(tls_stat TlsTxSw) - tx - probed))
	offloaded_rx=$(($(tls_stat TlsRxSw) - rx - probed))
}

# row MODE TLS PLANE CONNECTIONS RESUMED RX/TX RATE CLIENT RATIO
row()
{
	printf '%-19s %-3s %-6s %5s %8s %10s %11s %11s  %s\n' "$@"
}

# plane_of POLICY: sets plane and, for one connection, wanted.
plane_of()
{
	case $1 in
	always) plane=kernel wanted=1 ;;
	*) plane=user wanted=0 ;;
	esac
}

# inventory_line MODE TLS PLANE COUNTER...
inventory_line()
{
	printf '%-19s %-3s %-6s' "$1" "$2" "$3"
	shift 3
	printf ' %5s' "$@"
	echo
}

# inventory_row MODE TLS PLANE: the client's own counters of a run, its warm-up
# included, held against each other and against the server.
inventory_row()
{
	inventory=
	for counter in takes hits misses_none misses_taken misses_expired \
		gives spent putbacks evictions expired sessions; do
		value=$(json client.$counter)
		eval "inv_$counter=\$value"
		inventory="$inventory $value"
	done
	# shellcheck disable=SC2086 # a list of words
	inventory_line "$1" "$2" "$3" $inventory >>"$dir/inventory"
	# of all connections, the warm-up's too
	resumed=$(tail -n +$((lines + 1)) "$access_log" |
		awk '$3 == "r" { n++ } END { print n + 0 }')
	# shellcheck disable=SC2154 # set by the eval above
	claim "$1, TLS $2, $3 plane: $inv_hits of $inv_takes sessions found, \
$resumed resumed by nginx's log" "$inv_takes/$inv_hits" = "$made/$resumed"
	[ "$2" = 1.3 ] || return 0
	# shellcheck disable=SC2154 # as above
	claim "$1, TLS $2, $3 plane: $inv_gives tickets came, $inv_spent \
spent, $inv_evictions evicted, $inv_expired expired, $inv_sessions left" \
		"$inv_gives" -eq $((inv_spent + inv_evictions + \
		inv_expired + inv_sessions))
}

# connect MODE TLS COUNT RESUME POLICY: one row and its claims.
connect()
{
	mode=$1 tls=$2 count=$3 resume=$4
	plane_of "$5"
	what="$mode, TLS $tls, $plane plane"
	progress "$what, $count connections, $at_once at once"
	lines=$(wc -l <"$access_log")
	read_counters
	client connect -c $at_once -n "$count" --warmup $at_once \
		--tls "$tls" --plane "$5" --resume "$resume" \
		"localhost:$origin_port" || die "ktc-bench failed"
	read_results
	made=$((at_once + $(json measured.done)))
	# The warm-up has ended before the measurement begins: its lines are
	# the first.
	await log_has $((lines + made)) || die "nginx logged too little"
	tail -n +$((lines + 1 + at_once)) "$access_log" >"$dir/phase.log"
	logged=$(grep -c "^TLSv$tls " "$dir/phase.log" || true)
	reused=$(awk '$3 == "r" { n++ } END { print n + 0 }' "$dir/phase.log")
	rate=$(json connections_per_s)
	if [ "$resume" = off ]; then
		full_rate=$rate
	fi
	row "$mode" "$tls" "$plane" "$logged" \
		"$(calc "100 * $reused / $logged") %" \
		"$offloaded_rx/$offloaded_tx" "$(calc "$rate")/G" \
		"$(calc "$client_us / 1e3 / $count") M" \
		"$(calc "$rate / $full_rate") x full" >>"$dir/table"
	case "$resume" in
	off)
		claim "$what: $((logged - reused)) of $logged full by \
nginx's log" "$reused" -eq 0
		;;
	on)
		claim "$what: $reused of $logged resumed by nginx's \
log (99.9 % wanted)" $((reused * 1000)) -ge $((logged * 999))
		;;
	esac
	if [ "$resume" = on ]; then
		inventory_row "$mode" "$tls" "$plane"
	fi
	measured=$((measured + logged))
	verified=$((verified + $(json measured.verified)))
	failed=$((failed + $(json measured.failed)))
	claim "$what: kernel counts $offloaded_rx receiving, \
$offloaded_tx sending sockets for $made connections" \
		"$offloaded_rx/$offloaded_tx" = \
		"$((wanted * made))/$((wanted * made))"
}

# stream DIR POLICY
stream()
{
	way=$1 policy=$2
	plane_of "$policy"
	progress "stream $way, TLS 1.3, $plane plane, $stream_bytes"
	lines=$(wc -l <"$access_log")
	read_counters
	client stream --dir "$way" -b "$stream_bytes" --tls 1.3 \
		--plane "$policy" "localhost:$origin_port" ||
		die "ktc-bench failed"
	read_results
	rate=$(json bytes_per_s)
	if [ "$plane" = user ]; then
		user_rate=$rate
	fi
	bytes=$(json measured.bytes)
	row "stream $way" 1.3 "$plane" 1 - "$offloaded_rx/$offloaded_tx" \
		"$(calc "$rate / 1e6") MB/G" \
		"$(calc "1e3 * $client_us / $bytes") /byte" \
		"$(calc "$rate / $user_rate") x user" >>"$dir/table"
	claim "stream $way, $plane plane: $bytes bytes, complete; kernel counts \
$offloaded_rx receiving, $offloaded_tx sending sockets for 1 connection" \
		"$(json measured.transfers)/$offloaded_rx/$offloaded_tx" = \
		"1/$wanted/$wanted"
}

# OpenSSL in this server takes a ticket once (anti-replay). That it does is
# shown with a client that offers one twice. So if all of ours are resumed,
# each was offered once.
single_use()
{
	stop_origin
	start_origin --tls 1.3 --single-use
	for offer in -sess_out -sess_in -sess_in; do
		printf 'GET / HTTP/1.0\r\n\r\n' |
			openssl s_client -connect "127.0.0.1:$origin_port" \
			-CAfile "$ca" -ign_eof $offer "$dir/session" \
			>/dev/null 2>&1 || die "s_client failed"
	done
	await log_has 3 || die "nginx logged too little"
	# shellcheck disable=SC2046 # three words
	set -- $(awk '{ print $3 }' "$access_log")
	claim "single-use server: openssl s_client's ticket is taken once, \
then refused" "$*" = ". r ."
	connect "resumed, single-use" 1.3 "$once_count" on always
	claim "single-use server: $(json client.spent) tickets were sent by \
ktc-bench, $reused resumed: none twice" "$(json client.spent)" -eq "$reused"
}

make_scratch
[ -e /proc/net/tls_stat ] || die "this kernel has no kernel TLS"
start_origin --tls any --big 1G
echo "$(uname -sr), $(openssl version | cut -d ' ' -f 1,2)," \
	"$(nginx -v 2>&1 | sed 's/.*: //')," \
	"one emulated CPU"

bad=$(tls_stat TlsDecryptError)
for tls in 1.2 1.3; do
	connect "full handshakes" "$tls" "$full_count" off always
	connect "resumed" "$tls" "$resumed_count" on always
	connect "resumed" "$tls" "$full_count" on never
done
for way in down up; do
	stream "$way" never
	stream "$way" always
done
single_use
claim "$verified of $measured measured connections verified, $failed failed" \
	"$verified/$failed" = "$measured/0"
claim "no record failed to decrypt in the kernel (TlsDecryptError)" \
	"$(tls_stat TlsDecryptError)" -eq "$bad"

echo
row mode TLS plane conns resumed "kTLS rx/tx" rate client ratio
cat "$dir/table"
echo
cat <<'END'
G: 10^9 instructions, user and kernel together; the guest's one CPU is emulated
and its clock counts them. That is how much work there is. It is not time: a
real CPU takes more cycles for some instructions than for others.
conns, resumed: by nginx's access log, without the warm-up (one full handshake
for each of the 8 connections at once). kTLS rx/tx: the kernel's TlsRxSw and
TlsTxSw, warm-up included, less the sockets ktc-bench probes the kernel with.
rate: the guest as a whole, nginx included. client: ktc-bench, with what the
kernel does for it: million instructions a connection, instructions a byte.

The session inventory, by its own counters:
END
inventory_line mode TLS plane takes found none taken old given spent back \
	evict old left
cat "$dir/inventory"
cat <<'END'
takes: sessions asked for; found, or why not: nothing known of the identity, all
its tickets with other connections, their time over. given: sessions that came;
spent: TLS 1.3 tickets that went out in a ClientHello; put back: unused. Dropped:
evicted for room, or old. left: in the inventory at the end.

END
cat "$dir/claims"
[ "$claims_failed" -eq 0 ] || {
	echo "demo: $claims_failed of $(wc -l <"$dir/claims") claims FAILED"
	exit 1
}
echo "demo: all $(wc -l <"$dir/claims") claims hold"

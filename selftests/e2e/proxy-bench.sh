#!/bin/sh
# SPDX-License-Identifier: MIT
#
# proxy-bench.sh: what TLS origination costs, side by side: nginx, haproxy,
# stunnel and ktc-proxy in turn, each for itself on one CPU, the load and the
# origin on another. Medians over the rounds go to standard output as a table
# and to a file as JSON, progress to standard error. Exit status 0 when all was
# measured.

set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

usage()
{
	cat <<-END
	usage: selftests/e2e/proxy-bench.sh [option]...

	  --rounds N      each proxy in turn, N times (5)
	  --peers LIST    of nginx haproxy stunnel ours ours-PLANE
	                  ours-PLANE-module (the first four)
	  --parts LIST    of conn12 conn13 paced bulk idle (all)
	  --count N       connections of a measurement (4000)
	  --at-once N     of them at a time (32)
	  --bulk BYTES    one way (512M)
	  --idle N        idle connections (5000)
	  --rate N        paced: connections a second (500)
	  --json FILE     (build/bench-proxy.json)
	END
}

rounds=5
peers="nginx haproxy stunnel ours"
parts="conn13 conn12 paced bulk idle"
count=4000
at_once=32
bulk=512M
streams=4
idle=5000
rate=500
paced_s=4
json_file=$build/bench-proxy.json
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		usage
		exit 0
		;;
	esac
	[ $# -ge 2 ] || die "$1: no such option, or no value"
	case $1 in
	--rounds) rounds=$2 ;;
	--peers) peers=$2 ;;
	--parts) parts=$2 ;;
	--count) count=$2 ;;
	--at-once) at_once=$2 ;;
	--bulk) bulk=$2 ;;
	--idle) idle=$2 ;;
	--rate) rate=$2 ;;
	--json) json_file=$2 ;;
	*) die "$1: no such option" ;;
	esac
	shift 2
done

load=$build/ktc-load
[ -x "$load" ] || die "no $load, run make"
PATH=$PATH:/usr/sbin:/sbin
# shellcheck disable=SC3045 # not POSIX, but dash and busybox have it
ulimit -n "$(ulimit -H -n)"
# shellcheck disable=SC3045 # the same
nofile=$(ulimit -n)
[ "$nofile" != unlimited ] && [ "$nofile" -le 65536 ] || nofile=65536

# One CPU for the proxy, one for all else, where there are two.
on_proxy_cpu=
on_load_cpu=
if [ "$(grep -c '^processor' /proc/cpuinfo)" -ge 2 ]; then
	on_proxy_cpu="taskset -c 1"
	on_load_cpu="taskset -c 0"
fi

make_scratch
# shellcheck source=selftests/e2e/proxy-peers.sh
. "$e2e/proxy-peers.sh"
trap 'peer_stop; stop_origins; cleanup' EXIT

# The origin pins the version: all proxies offer both.
start_origins()
{
	for version in 1.2 1.3; do
		port=$(free_port)
		$on_load_cpu "$e2e/origin.sh" start "$dir/origin-$version" \
			"$port" --tls "$version" --big "$bulk" \
			--cert "$dir/certs/server.pem" \
			--key "$dir/certs/server.key" || die "no origin"
		eval "origin_port_$(echo $version | tr -d .)=$port"
	done
}

stop_origins()
{
	for version in 1.2 1.3; do
		"$e2e/origin.sh" stop "$dir/origin-$version" 2>/dev/null || true
	done
}

origin_of()
{
	eval "echo \$origin_port_$(echo "$1" | tr -d .)"
}

# fact NAME VALUE: of the peer, part and round that is on
fact()
{
	echo "$round $peer $1 $2" >>"$dir/facts"
}

# load ARGUMENT...: ktc-load with its JSON in dir/json
run_load()
{
	# shellcheck disable=SC2086 # words, or nothing
	timeout 300 $on_load_cpu "$load" "$@" >"$dir/json" \
		2>"$dir/load.log" </dev/null || {
		cat "$dir/load.log" "$dir/json" "$dir/peer/log" >&2 \
			2>/dev/null || true
		miss "ktc-load $* failed"
	}
}

# What could not be measured is missing in the table, and the rest goes on.
missing=0
miss()
{
	echo "bench-proxy: $peer: $*" >&2
	exit 9
}

log_lines()
{
	wc -l <"$dir/origin-$1/access.log"
}

# resumed VERSION COUNT: percent of the last COUNT exchanges, by nginx's log
resumed()
{
	tail -n "$2" "$dir/origin-$1/access.log" | awk '
		$3 == "r" { n++ }
		END { printf "%.2f\n", 100 * n / NR }'
}

# all_of SCALE RATE FACT: with one CPU, which is never idle while this goes on,
# the time of one is what everybody's work on it takes: the client's and the
# origin's, who are the same for all, and that of kernel threads
all_of()
{
	[ -z "$on_proxy_cpu" ] || return 0
	fact "$3" "$(awk "BEGIN { print $1 / $(json "$2") }")"
}

# conn VERSION: connections as fast as they go
conn()
{
	access_log=$dir/origin-$1/access.log
	before=$(log_lines "$1")
	warmup=$((at_once * 4))
	run_load get "127.0.0.1:$peer_port" -c "$at_once" -n "$count" \
		--warmup $warmup --cpu-of "$peer_pids"
	await log_has $((before + warmup + count)) || miss "origin logged less"
	tag=$(echo "$1" | tr -d .)
	fact "per_s_$tag" "$(json connections_per_s)"
	fact "cpu_us_$tag" "$(json cpu_us_per_connection)"
	fact "resumed_$tag" "$(resumed "$1" "$count")"
	all_of 1e6 connections_per_s "all_us_$tag"
}

# A connection every so often, whether the last is over or not.
paced()
{
	run_load get "127.0.0.1:$peer_port" -c 1000 --rate "$rate" \
		-d "${paced_s}s" --warmup 32 --cpu-of "$peer_pids"
	fact p50_us "$(json latency_us.p50)"
	fact p99_us "$(json latency_us.p99)"
}

bulk()
{
	run_load get "127.0.0.1:$peer_port" -c $streams -n $streams \
		--path /big --cpu-of "$peer_pids"
	fact down_s_gb "$(json cpu_s_per_gb)"
	fact down_mb_s "$(json bytes_per_s)"
	all_of 1e9 bytes_per_s all_down_s_gb
	run_load get "127.0.0.1:$peer_port" -c $streams -n $streams \
		--up "$bulk" --cpu-of "$peer_pids"
	fact up_s_gb "$(json cpu_s_per_gb)"
	fact up_mb_s "$(json bytes_per_s)"
	all_of 1e9 bytes_per_s all_up_s_gb
}

is_held()
{
	has_line '^held ' "$dir/json" || ! kill -0 "$hold_pid" 2>/dev/null
}

# Paced, for how fast they come is not the question here.
idle()
{
	pss=$(peer_pss_kb)
	mkfifo "$dir/fifo"
	$on_load_cpu "$load" get "127.0.0.1:$peer_port" -c "$idle" -n "$idle" \
		--hold --timeout 120s <"$dir/fifo" >"$dir/json" &
	hold_pid=$!
	exec 3>"$dir/fifo"
	rm "$dir/fifo"
	idle_tries=0
	until is_held || [ "$idle_tries" -ge 600 ]; do
		idle_tries=$((idle_tries + 1))
		sleep 0.1
	done
	has_line "^held $idle$" "$dir/json" || {
		cat "$dir/json" >&2
		miss "not all $idle were held"
	}
	held=$(peer_pss_kb)
	exec 3>&-
	wait "$hold_pid" || {
		cat "$dir/json" >&2
		miss "not all $idle lived"
	}
	fact idle_mb "$(awk "BEGIN { print $held / 1024 }")"
	fact idle_kb_each "$(awk "BEGIN { print ($held - $pss) / $idle }")"
}

has_part()
{
	case " $parts " in
	*" $1 "*) return 0 ;;
	*) return 1 ;;
	esac
}

started_s=$(date +%s)
progress()
{
	echo "bench-proxy: $(($(date +%s) - started_s)) s, round $round of" \
		"$rounds: $peer, $*" >&2
}

# part NAME VERSION COMMAND...
part()
{
	has_part "$1" || return 0
	progress "$1"
	peer_start "$peer" "$(origin_of "$2")"
	shift 2
	# a shell of its own: it may end in the middle
	part_rc=0
	(trap - EXIT; "$@") || part_rc=$?
	[ "$part_rc" = 0 ] || missing=$((missing + 1))
	peer_stop
}

here=
for peer in $peers; do
	if [ -n "$(peer_version "$peer")" ]; then
		here="$here $peer"
	else
		echo "bench-proxy: no $peer here: left out" >&2
	fi
done
peers=${here# }
[ -n "$peers" ] || die "nothing to measure"

start_origins
for round in $(seq "$rounds"); do
	for peer in $peers; do
		part conn13 1.3 conn 1.3
		part conn12 1.2 conn 1.2
		part paced 1.3 paced
		part bulk 1.3 bulk
		part idle 1.3 idle
	done
done

{
	echo "machine $(uname -sr), $(sed -n 's/^model name.*: //p' \
		/proc/cpuinfo | head -n 1)"
	echo "openssl $(openssl version | cut -d ' ' -f 1,2)"
	echo "origin nginx, ECDSA P-256, tickets, TLS 1.2 or 1.3 as said"
	echo "load $count connections, $at_once at once, 1 KB request," \
		"the origin closes; paced: $rate/s for $paced_s s; bulk:" \
		"$streams of $bulk each way; idle: $idle; $rounds rounds"
	for peer in $peers; do
		echo "version_$peer $(peer_version "$peer")"
		peer_command "$peer" PORT ORIGIN
		echo "settings_$peer $(case $peer in
			ours*) echo "$command" ;;
			*) cat "$dir/peer/conf" ;;
			esac | tr -s '\t\n' '  ' | sed "s|$dir|DIR|g")"
	done
} >"$dir/about"
awk -v json="$json_file.new" -v peers="$peers" \
	-f "$e2e/proxy-report.awk" "$dir/about" "$dir/facts"
mv "$json_file.new" "$json_file"
echo "bench-proxy: $(($(date +%s) - started_s)) s, JSON in $json_file" >&2
[ "$missing" = 0 ] || die "$missing parts could not be measured"

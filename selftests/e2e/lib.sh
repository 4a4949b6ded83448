# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# What the scripts of this folder share: running tests as KTAP, a scratch
# folder with certificates, servers on free ports, and reading what servers,
# ktc-bench and the kernel wrote. Sourced by a script that has set "set -eu".
# Plain POSIX sh and the tools of busybox. Everything started here has ended
# when the script ends.

e2e=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$e2e/../.." && pwd)
build=$top/build
bench=$build/ktc-bench

# Longest run of one client; a guest under emulation is slow.
client_limit_s=${client_limit_s:-100}

say()
{
	echo "${0##*/}: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# --- scratch ----------------------------------------------------------------

dir=
server_pid=
origin_port=

cleanup()
{
	stop_more
	stop_s_server
	stop_origin
	[ -z "$dir" ] || rm -rf "$dir"
}

# Sets dir, a folder that goes when the script ends, with dir/certs in it.
make_scratch()
{
	[ -x "$bench" ] || die "no $bench, run make"
	dir=$(mktemp -d)
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	"$build/mkcerts" "$dir/certs"
	ca=$dir/certs/ca.pem
}

# The condition, tried for at most ten seconds.
await()
{
	await_tries=500
	until "$@"; do
		await_tries=$((await_tries - 1))
		[ "$await_tries" -gt 0 ] || return 1
		sleep 0.02
	done
}

is_listening()
{
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		awk -v p=":$(printf '%04X' "$1")" '
			$4 == "0A" && substr($2, length($2) - 4) == p {
				found = 1
			}
			END { exit !found }'
}

# One that nobody listens on, of those no client is given.
free_port()
{
	free_tries=0
	while :; do
		free_tries=$((free_tries + 1))
		[ "$free_tries" -lt 100 ] || die "no free port"
		free=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
		is_listening "$free" || break
	done
	echo "$free"
}

# What a script starts beside these, it stops here.
stop_more()
{
	:
}

# --- servers ----------------------------------------------------------------

# start_origin OPTION...: nginx, see origin.sh. It cannot be given port 0, so
# ports are tried until one is free. Sets origin_port and access_log.
start_origin()
{
	origin_tries=0
	while :; do
		origin_port=$(awk -v s="$$$origin_tries" '
			BEGIN { srand(s); print 20000 + int(rand() * 12000) }')
		rm -f "$dir/origin.log"
		if "$e2e/origin.sh" start "$dir/origin" "$origin_port" \
			--cert "$dir/certs/server.pem" \
			--key "$dir/certs/server.key" "$@" \
			2>"$dir/origin.log"; then
			break
		fi
		origin_tries=$((origin_tries + 1))
		if [ "$origin_tries" -ge 20 ] ||
			! grep -q -e 'is taken' -e 'in use' "$dir/origin.log"
		then
			cat "$dir/origin.log" >&2
			origin_port=
			die "no origin"
		fi
	done
	access_log=$dir/origin/access.log
}

stop_origin()
{
	[ -n "$origin_port" ] || return 0
	origin_port=
	"$e2e/origin.sh" stop "$dir/origin" || true
}

# The log has as many lines as exchanges were made; nginx writes one after it
# has sent the response, so the client may be ahead of it.
log_has()
{
	[ "$(wc -l <"$access_log")" -ge "$1" ]
}

# log_count LINES [FIELD VALUE]...: the lines of the access log whose fields
# have these values, once the log has that many lines in all. The fields are
# those of tools/bench/nginx.conf.in.
log_count()
{
	await log_has "$1" || die "$access_log: fewer than $1 lines"
	shift
	awk -v want="$*" '
		BEGIN {
			split("version cipher reused id name method uri " \
			      "status bytes", fields, " ")
			for (i in fields) at[fields[i]] = i
			n = split(want, w, " ")
		}
		{
			for (i = 1; i < n; i += 2)
				if ($at[w[i]] != w[i + 1]) next
			count++
		}
		END { print count + 0 }' "$access_log"
}

# log_bytes LINES: what nginx sent in all, headers included, once the log has
# that many lines.
log_bytes()
{
	await log_has "$1" || die "$access_log: fewer than $1 lines"
	awk '{ sum += $9 } END { printf "%d\n", sum }' "$access_log"
}

has_line()
{
	grep -q -e "$1" "$2" 2>/dev/null
}

# start_s_server OPTION...: openssl s_server with its status page at any path.
# Sets server_port and server_log.
start_s_server()
{
	server_log=$dir/s_server.log
	: >"$server_log"
	openssl s_server -accept 127.0.0.1:0 -cert "$dir/certs/server.pem" \
		-key "$dir/certs/server.key" -www "$@" \
		</dev/null >"$server_log" 2>&1 &
	server_pid=$!
	await has_line '^ACCEPT ' "$server_log" || {
		cat "$server_log" >&2
		die "s_server does not start"
	}
	# shellcheck disable=SC2034 # for the scripts
	server_port=$(sed -n 's/^ACCEPT .*://p' "$server_log")
}

stop_s_server()
{
	[ -n "$server_pid" ] || return 0
	kill "$server_pid" 2>/dev/null || true
	wait "$server_pid" 2>/dev/null || true
	server_pid=
}

# --- reading ----------------------------------------------------------------

# client ARGUMENT...: ktc-bench with its JSON in dir/json, in time.
client()
{
	client_command=$1
	shift
	timeout "$client_limit_s" "$bench" "$client_command" --json --ca "$ca" \
		"$@" >"$dir/json" 2>"$dir/client.log" || {
		client_rc=$?
		cat "$dir/client.log" >&2
		return "$client_rc"
	}
}

# json PATH: the value at measured.opened, planes.rx.kernel and the like in
# dir/json; nothing if there is none. Array elements have the path of the
# array. The writer puts one value on a line, indented by depth.
json()
{
	awk -v want="$1" '
		{
			match($0, /^ */)
			depth = RLENGTH / 2
			line = substr($0, RLENGTH + 1)
		}
		line !~ /^"[^"]*": / { key[depth] = ""; next }
		{
			at = index(line, ": ")
			key[depth] = substr(line, 2, at - 3)
			value = substr(line, at + 2)
			sub(/,$/, "", value)
			gsub(/^"|"$/, "", value)
			path = ""
			for (i = 1; i <= depth; i++)
				if (key[i] != "")
					path = path (path ? "." : "") key[i]
			if (path == want) { print value; exit }
		}' "$dir/json"
}

# tls_stat NAME: a counter of the kernel, see Documentation/networking/tls.rst.
tls_stat()
{
	awk -v name="$1" '$1 == name { n = $2 } END { print n + 0 }' \
		/proc/net/tls_stat
}

# ktc-bench asks ktc_probe() once a run, which sets keys in both directions on
# one socket of its own for each suite the kernel has.
probe_sockets()
{
	awk -v bits="$(json machine.ktls_suites)" 'BEGIN {
		for (; bits > 0; bits = int(bits / 2)) n += bits % 2
		print n + 0
	}'
}

# --- KTAP -------------------------------------------------------------------

fail()
{
	say "$*"
	exit 1
}

skip()
{
	echo "$*" >"$dir/skip"
	exit 4
}

need_ktls()
{
	[ -e /proc/net/tls_stat ] || skip "this kernel has no kernel TLS"
}

# expect WHAT WANT GOT
expect()
{
	[ "$2" = "$3" ] || fail "$1: expected $2, got $3"
}

# run_tests FUNCTION[:ARGUMENT]...: each, or those whose names have
# KTC_TEST_ONLY in them, in a shell of its own, with which the
# servers it started end. A test is named like its function, with its
# arguments behind it.
run_tests()
{
	for test_spec; do
		shift
		case $test_spec in
		*"${KTC_TEST_ONLY-}"*) set -- "$@" "$test_spec" ;;
		esac
	done
	echo "KTAP version 1"
	echo "1..$#"
	tests_run=0
	tests_failed=0
	for test_spec; do
		tests_run=$((tests_run + 1))
		test_rc=0
		test_args=$(echo "$test_spec" | tr : ' ')
		test_name=$(echo "${test_spec#test_}" |
			sed 's/:-*/_/g; s/[.-]/_/g')
		rm -f "$dir/skip"
		# The shell ignores -e below "||", so a test says "|| fail".
		# shellcheck disable=SC2086 # a list of words
		(trap 'stop_more; stop_s_server; stop_origin' EXIT
			$test_args) </dev/null >&2 || test_rc=$?
		case $test_rc in
		0) echo "ok $tests_run $test_name" ;;
		4) echo "ok $tests_run $test_name # SKIP $(cat "$dir/skip")" ;;
		*)
			echo "not ok $tests_run $test_name"
			tests_failed=$((tests_failed + 1))
			;;
		esac
	done
	[ "$tests_failed" -eq 0 ]
}

# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# What the tests of ktc-proxy share: the proxy and TLS servers on free ports,
# clients that compare every byte, the proxy's numbers and log. Sourced after
# lib.sh; POSIX sh and the tools of busybox. Everything has ended when a test
# ends.

load=$build/ktc-load
proxy=$build/ktc-proxy
PATH=$PATH:/usr/sbin:/sbin
# who is waited for in the background has no limit of its own
more_pids=

[ -x "$load" ] || die "no $load, run make"
[ -x "$proxy" ] || die "no $proxy, run make"

stop_more()
{
	for pid in $more_pids; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	more_pids=
	if [ -s "$dir/tls.pid" ]; then
		kill -TERM "$(cat "$dir/tls.pid")" 2>/dev/null || true
		await tls_is_gone || true
	fi
	rm -f "$dir/tls.pid"
}

tls_is_gone()
{
	[ ! -e "$dir/tls.pid" ] ||
		! kill -0 "$(cat "$dir/tls.pid" 2>/dev/null)" 2>/dev/null
}

# in_background NAME COMMAND...: its output is in dir/NAME.out and .err, its
# process in NAME_pid
in_background()
{
	background=$1
	shift
	: >"$dir/$background.out"
	: >"$dir/$background.err"
	"$@" >"$dir/$background.out" 2>"$dir/$background.err" </dev/null &
	eval "${background}_pid=$!"
	more_pids="$more_pids $!"
}

# expect_ended NAME STATUS: it ends so, by itself
expect_ended()
{
	eval "ended_pid=\$${1}_pid"
	ended_rc=0
	wait "$ended_pid" || ended_rc=$?
	[ "$ended_rc" = "$2" ] || {
		cat "$dir/$1.err" "$dir/$1.out" >&2
		fail "$1: expected exit status $2, got $ended_rc"
	}
}

# await_s SECONDS CONDITION...: for conditions that take time themselves
await_s()
{
	await_end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$await_end" ] || return 1
		sleep 0.02
	done
}

# --- the proxy --------------------------------------------------------------

proxy_log=$dir/proxy.err
proxy_options="--sni localhost --threads 1"

is_started()
{
	has_line '"event": "started"' "$proxy_log" ||
		! kill -0 "$proxy_pid" 2>/dev/null
}

# start_proxy OPTION...: on a free port, verified against the tests' issuer if
# the options do not say otherwise. Sets proxy_port, proxy_pid, metrics_port.
start_proxy()
{
	metrics_port=$(free_port)
	case " $* " in
	*" --ca "* | *" --insecure-no-verify "*) ;;
	*) set -- --ca "$ca" "$@" ;;
	esac
	case " $* " in
	*" --listen "* | *" --config "*) ;;
	*)
		proxy_port=$(free_port)
		set -- --listen "127.0.0.1:$proxy_port" "$@"
		;;
	esac
	case " $* " in
	*" --config "*) proxy_more= ;;
	*) proxy_more=$proxy_options ;;
	esac
	case " $* " in
	*" --config "*)
		shift 2
		;;
	esac
	# shellcheck disable=SC2086 # words
	in_background proxy "$proxy" $proxy_more \
		--metrics "127.0.0.1:$metrics_port" "$@"
	await is_started || true
	has_line '"event": "started"' "$proxy_log" || {
		cat "$proxy_log" >&2
		fail "the proxy does not start"
	}
}

# has_ended NAME: of in_background
has_ended()
{
	eval "! kill -0 \"\$${1}_pid\" 2>/dev/null"
}

proxy_has_ended()
{
	has_ended proxy
}

# stop_proxy [NAME]: SIGTERM, and it ends by itself with status 0
stop_proxy()
{
	stopped=${1-proxy}
	eval "kill -TERM \"\$${stopped}_pid\""
	await has_ended "$stopped" || fail "$stopped does not end"
	expect_ended "$stopped" 0
}

# get_url URL: the page, or nothing
get_url()
{
	curl -s -m 10 "$1" || true
}

# metric NAME [LABEL]: of all listeners, those lines with that label
metric()
{
	get_url "http://127.0.0.1:$metrics_port/metrics" >"$dir/metrics"
	awk -v name="ktc_proxy_$1" -v label="${2-}" '
		{
			at = index($1, "{")
			key = at ? substr($1, 1, at - 1) : $1
		}
		key == name && (label == "" || index($1, label)) { sum += $NF }
		END { printf "%d\n", sum }' "$dir/metrics"
}

metric_is()
{
	[ "$(metric "$2" "${3-}")" = "$1" ]
}

# expect_metric WANT NAME [LABEL]: now or soon, for the proxy counts a
# connection's end after its client has seen it
expect_metric()
{
	await_s 20 metric_is "$@" ||
		fail "metric $2 ${3-}: expected $1, got $(metric "$2" "${3-}")"
}

need_metrics()
{
	command -v curl >/dev/null || skip "no curl here"
}

# --- where a test runs ------------------------------------------------------

# A guest is emulated and has no time for what it cannot show better: a test in
# which no record plane matters is for the native run, one in which the module
# does not matter for the guest without it.
need_native()
{
	[ "${KTC_TEST_LANE-}" != vm ] ||
		skip "no kernel plane matters: the native run shows it"
}

need_no_module()
{
	[ -z "${KTC_TEST_MODULE-}" ] || skip "the run without the module shows it"
}

# need_plane never|auto|always
need_plane()
{
	case $1 in
	never) need_native ;;
	*) need_ktls ;;
	esac
}

# What tests that leave the plane open say: the kernel's in a guest
some_plane=auto
[ "${KTC_TEST_LANE-}" != vm ] || some_plane=always

# --- servers that speak TLS -------------------------------------------------

# start_bytes OPTION...: ktc-load serve over TLS, which ends each direction as
# TLS wants it. Sets tls_port.
start_bytes()
{
	start_plain --cert "$dir/certs/server.pem" \
		--key "$dir/certs/server.key" "$@"
	tls_port=$plain_port
}

# start_plain OPTION...: ktc-load serve. Sets plain_port.
start_plain()
{
	in_background plain "$load" serve 127.0.0.1:0 "$@"
	await has_line '^listening ' "$dir/plain.out" ||
		fail "ktc-load serve does not start"
	plain_port=$(sed -n 's/^listening //p' "$dir/plain.out")
}

# tls_conf PORT PLAIN-PORT CERT-NAME
tls_conf()
{
	for module in /usr/lib/nginx/modules/ngx_stream_module.so; do
		[ ! -e "$module" ] || echo "load_module $module;"
	done
	[ "$(id -u)" != 0 ] || echo "user root;"
	cat <<-END_OF_CONF
	worker_processes 1;
	pid $dir/tls.pid;
	error_log $dir/tls.log warn;
	events {
		worker_connections ${tls_connections:-4000};
	}
	stream {
		log_format tls '\$ssl_protocol \$ssl_session_reused \$status';
		access_log $dir/tls.access tls;
		server {
			listen 127.0.0.1:$1 ssl backlog=4096;
			ssl_certificate $dir/certs/$3.pem;
			ssl_certificate_key $dir/certs/$3.key;
			ssl_protocols TLSv1.2 TLSv1.3;
			ssl_session_tickets on;
			proxy_pass 127.0.0.1:$2;
			proxy_half_close on;
		}
	}
	END_OF_CONF
}

# run_nginx: with dir/tls.conf, until it listens at tls_port
run_nginx()
{
	nginx -p "$dir" -e "$dir/tls.log" -c "$dir/tls.conf" </dev/null \
		>"$dir/tls.start" 2>&1 || {
		cat "$dir/tls.start" "$dir/tls.log" >&2
		return 1
	}
	await is_listening "$tls_port" || fail "nginx does not listen"
}

# start_tls [CERT-NAME]: nginx in front of ktc-load serve. Sets tls_port.
start_tls()
{
	tls_port=$(free_port)
	tls_conf "$tls_port" "$plain_port" "${1-server}" >"$dir/tls.conf"
	: >"$dir/tls.access"
	run_nginx || {
		if has_line 'ssl_certificate\|unknown directive' \
			"$dir/tls.start"; then
			skip "nginx has no stream module with TLS here"
		fi
		fail "nginx does not start"
	}
}

# new_keys FILE-OF-PID: nginx makes new ticket keys when it reads its
# configuration again; old workers are gone or going when the new ones are there
new_keys()
{
	new_keys_log=$2
	new_keys_n=$(grep -c 'reconfiguring' "$2" || true)
	kill -HUP "$(cat "$1")"
	await has_reconfigured || fail "nginx does not read its configuration"
}

has_reconfigured()
{
	[ "$(grep -c 'gracefully shutting down\|exit$' "$new_keys_log")" -gt \
		"$new_keys_n" ]
}

# --- clients ----------------------------------------------------------------

# busy get|echo ARGUMENT...: ktc-load against the proxy, JSON in dir/json
busy()
{
	busy_command=$1
	shift
	timeout "$client_limit_s" "$load" "$busy_command" \
		"127.0.0.1:$proxy_port" "$@" >"$dir/json" 2>"$dir/busy.err" \
		</dev/null || {
		busy_rc=$?
		cat "$dir/busy.err" "$dir/json" >&2
		return "$busy_rc"
	}
}

# hold COUNT: opens and holds them; release ends them after another exchange
hold()
{
	mkfifo "$dir/go"
	: >"$dir/held.err"
	"$load" echo "127.0.0.1:$proxy_port" -c "$1" -n "$1" -b 100 --hold \
		--timeout 60s <"$dir/go" >"$dir/held.out" 2>"$dir/held.err" &
	held_pid=$!
	more_pids="$more_pids $held_pid"
	exec 4>"$dir/go"
	rm "$dir/go"
	await_s 120 has_line '^held ' "$dir/held.out" || fail "not held"
}

release()
{
	exec 4>&-
	expect_ended held "${1-0}"
	sed 1d "$dir/held.out" >"$dir/json"
}

# refused CLASS WORD: a client gets nothing and is told the end; the log says
# why, and the failure is counted in its class
refused()
{
	busy echo -b 10 --fail-ok || fail "ktc-load"
	expect "clients that got their bytes" 0 "$(json "done")"
	await has_line "$2" "$proxy_log" || {
		cat "$proxy_log" >&2
		fail "the log does not say $2"
	}
	if [ "$(metric upstream_errors_total "class=\"$1\"")" -lt 1 ]; then
		fail "no error of class $1 counted"
	fi
}

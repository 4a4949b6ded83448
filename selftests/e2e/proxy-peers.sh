# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# The proxies that proxy-bench.sh holds against each other: how each is
# configured, started and stopped. All verify chain and name, all resume, all
# have one thread. Ours is "ours", "ours-PLANE" or "ours-PLANE-module": with the
# kernel module, whose file is in KTC_BENCH_MODULE, inserted for as long as it
# runs. Sourced after lib.sh; POSIX sh and the tools of busybox.

peer_pids=
peer_port=
peer_module=

# peer_version NAME: one line, or nothing when it is not here
peer_version()
{
	case $1 in
	nginx) nginx -v 2>&1 | sed 's/.*: //' ;;
	haproxy) haproxy -v 2>/dev/null | sed -n '1s/ [0-9/]* - .*//p' ;;
	stunnel) stunnel -version 2>&1 | sed -n 's/ on .*//; /^stunnel/p' ;;
	ours*-module)
		[ -z "${KTC_BENCH_MODULE-}" ] ||
			"$build/ktc-proxy" --version 2>/dev/null
		;;
	ours*) "$build/ktc-proxy" --version 2>/dev/null ;;
	esac
}

nginx_module()
{
	for module in /usr/lib/nginx/modules/ngx_stream_module.so; do
		[ ! -e "$module" ] || echo "load_module $module;"
	done
}

# The buffer is what nginx moves at a time. Its default, 16k, is what one record
# fills; 64k costs it less for each byte.
nginx_conf()
{
	cat <<-END
	$(nginx_module)
	$([ "$(id -u)" != 0 ] || echo 'user root;')
	daemon off;
	worker_processes 1;
	worker_rlimit_nofile $nofile;
	pid $dir/peer/nginx.pid;
	error_log $dir/peer/log warn;
	events {
		worker_connections $((nofile - 100));
	}
	stream {
		server {
			listen 127.0.0.1:$1 backlog=4096;
			proxy_pass 127.0.0.1:$2;
			proxy_buffer_size ${nginx_buffer:-64k};
			proxy_ssl on;
			proxy_ssl_protocols TLSv1.2 TLSv1.3;
			proxy_ssl_verify on;
			proxy_ssl_trusted_certificate $ca;
			proxy_ssl_server_name on;
			proxy_ssl_name localhost;
			proxy_ssl_session_reuse on;
		}
	}
	END
}

haproxy_conf()
{
	cat <<-END
	global
		nbthread 1
		maxconn $((nofile / 2 - 100))
	defaults
		mode tcp
		timeout connect 10s
		timeout client 5m
		timeout server 5m
	listen proxy
		bind 127.0.0.1:$1 backlog 4096
		server origin 127.0.0.1:$2 ssl verify required ca-file $ca sni str(localhost) verifyhost localhost
	END
}

stunnel_conf()
{
	cat <<-END
	foreground = yes
	pid =
	debug = err
	output = $dir/peer/log
	[proxy]
	client = yes
	accept = 127.0.0.1:$1
	connect = 127.0.0.1:$2
	CAfile = $ca
	verifyChain = yes
	checkHost = localhost
	sni = localhost
	sessionCacheSize = 1000
	END
}

# what "ours" is given beside the places
ours_options="--ca $dir/certs/ca.pem --sni localhost --threads 1
	--log-level warn"

# peer_command NAME PORT ORIGIN-PORT: writes its configuration, sets command
peer_command()
{
	case $1 in
	nginx)
		nginx_conf "$2" "$3" >"$dir/peer/conf"
		command="nginx -p $dir/peer -e $dir/peer/log -c $dir/peer/conf"
		;;
	haproxy)
		haproxy_conf "$2" "$3" >"$dir/peer/conf"
		command="haproxy -db -f $dir/peer/conf"
		;;
	stunnel)
		stunnel_conf "$2" "$3" >"$dir/peer/conf"
		command="stunnel $dir/peer/conf"
		;;
	ours*)
		plane=${1#ours}
		plane=${plane#-}
		plane=${plane%-module}
		command="${KTC_PROXY:-$build/ktc-proxy} --listen 127.0.0.1:$2
			--to 127.0.0.1:$3 $ours_options
			--plane ${plane:-never}"
		;;
	*)
		die "no such proxy: $1"
		;;
	esac
}

is_serving()
{
	"$load" get "127.0.0.1:$1" >/dev/null 2>&1
}

# children PID: and their children
children()
{
	for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
		echo "$child"
		children "$child"
	done
}

# peer_start NAME ORIGIN-PORT: returns when a request has got through. Sets
# peer_port and peer_pids, the latter with commas between them.
peer_start()
{
	mkdir -p "$dir/peer"
	peer_port=$(free_port)
	peer_command "$1" "$peer_port" "$2"
	case $1 in
	*-module)
		insmod "$KTC_BENCH_MODULE" || die "$KTC_BENCH_MODULE: refused"
		peer_module=ktlsclient
		;;
	esac
	# shellcheck disable=SC2086 # words
	$on_proxy_cpu $command >"$dir/peer/out" 2>&1 </dev/null &
	peer_pid=$!
	await is_serving "$peer_port" || {
		cat "$dir/peer/out" "$dir/peer/log" >&2 2>/dev/null || true
		die "$1 does not serve"
	}
	peer_pids=$(echo "$peer_pid" $(children "$peer_pid") | tr ' ' ,)
}

peer_stop()
{
	[ -n "$peer_pids" ] || return 0
	peer_pids=
	kill -TERM "$peer_pid" 2>/dev/null || true
	# who drains may take its time: this is no test of that
	peer_tries=0
	while kill -0 "$peer_pid" 2>/dev/null && [ "$peer_tries" -lt 100 ]; do
		peer_tries=$((peer_tries + 1))
		sleep 0.02
	done
	for pid in $(children "$peer_pid") "$peer_pid"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	wait "$peer_pid" 2>/dev/null || true
	[ -z "$peer_module" ] || await rmmod "$peer_module" 2>/dev/null ||
		die "$peer_module is still in use"
	peer_module=
}

# PSS in kB of all its processes
peer_pss_kb()
{
	for pid in $(echo "$peer_pids" | tr , ' '); do
		cat "/proc/$pid/smaps_rollup"
	done | awk '$1 == "Pss:" { kb += $2 } END { print kb + 0 }'
}

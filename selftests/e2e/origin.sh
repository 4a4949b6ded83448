#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Starts and stops nginx as a TLS origin on loopback. Plain POSIX sh and the
# tools of busybox, so that it runs in a small VM guest too. When "start"
# returns 0 the origin accepts connections; when "stop" returns 0 it is gone
# and its access log is complete.

set -eu

usage()
{
	cat <<'END'
Usage: origin.sh start DIR [PORT] --cert FILE --key FILE [OPTION]...
       origin.sh stop DIR

DIR receives nginx.conf, access.log, error.log, nginx.pid and www/.
PORT is 8443 if not given.

  --cert FILE            certificate chain, PEM
  --key FILE             its private key, PEM
  --big SIZE             size of /big, as truncate -s takes it (default 1G)
  --workers 1|2          worker processes (default 1)
  --tls 1.2|1.3|any      versions offered (default any)
  --tickets on|off       session tickets (default on)
  --session-cache off|none|shared
                         server-side sessions (default none)
  --single-use           a TLS 1.3 ticket resumes once: OpenSSL's anti-replay,
                         which keeps sessions in the one worker's memory
  --unix PATH            listen on a unix socket too
  --address ADDRESS      listen there (default 127.0.0.1)
  --template FILE        nginx.conf.in to use
END
}

die()
{
	echo "origin.sh: $*" >&2
	exit 1
}

# The condition, tried for at most ten seconds. nginx daemonizes: there is no
# child to wait for.
await()
{
	await_tries=500
	until "$@"; do
		await_tries=$((await_tries - 1))
		[ "$await_tries" -gt 0 ] || return 1
		sleep 0.02
	done
}

# A pid file may outlive its process, and the number be another's by now. Who
# has ended and was not yet waited for does not count: that is init's business.
is_nginx()
{
	case $(cat "/proc/$1/stat" 2>/dev/null) in
	"$1 (nginx) "[!ZX]*) return 0 ;;
	*) return 1 ;;
	esac
}

is_gone()
{
	! is_nginx "$1"
}

has_pid()
{
	[ -s "$dir/nginx.pid" ] && is_nginx "$(cat "$dir/nginx.pid")"
}

# The kernel's list of listening sockets: state 0A, local address ends in the
# port. It needs no client program in the guest.
is_listening()
{
	hex=$(printf '%04X' "$port")
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		awk -v p=":$hex" '
			$4 == "0A" && substr($2, length($2) - 4) == p {
				found = 1
			}
			END { exit !found }'
}

absolute()
{
	case $1 in
	/*) echo "$1" ;;
	*) echo "$(pwd)/$1" ;;
	esac
}

check_word()
{
	case $2 in
	*[!A-Za-z0-9_./:@%+-]*)
		die "$1: \"$2\" has characters nginx.conf would misread" ;;
	esac
}

start()
{
	[ -n "$cert" ] || die "start: --cert is missing"
	[ -n "$key" ] || die "start: --key is missing"
	[ -r "$cert" ] || die "--cert: cannot read $cert"
	[ -r "$key" ] || die "--key: cannot read $key"
	[ -r "$template" ] || die "--template: cannot read $template"
	case $port in
	'' | *[!0-9]*) die "PORT: \"$port\" is not a number" ;;
	esac
	case $workers in
	1 | 2) ;;
	*) die "--workers: \"$workers\" is not 1 or 2" ;;
	esac
	case $tls in
	1.2) protocols="TLSv1.2" ;;
	1.3) protocols="TLSv1.3" ;;
	any) protocols="TLSv1.2 TLSv1.3" ;;
	*) die "--tls: \"$tls\" is none of 1.2, 1.3, any" ;;
	esac
	case $tickets in
	on | off) ;;
	*) die "--tickets: \"$tickets\" is none of on, off" ;;
	esac
	case $cache in
	off | none) ;;
	shared) cache="shared:origin:8m" ;;
	*) die "--session-cache: \"$cache\" is none of off, none, shared" ;;
	esac
	# OpenSSL guards against replay only where early data is allowed.
	if [ -n "$single_use" ]; then
		[ "$workers" = 1 ] || die "--single-use: needs --workers 1"
		cache="builtin:65536; ssl_early_data on"
		cache="$cache; ssl_conf_command Options AntiReplay"
	fi

	PATH=$PATH:/usr/sbin:/sbin
	command -v nginx >/dev/null || die "no nginx here"

	mkdir -p "$dir/www" "$dir/tmp"
	dir=$(cd "$dir" && pwd)
	cert=$(absolute "$cert")
	key=$(absolute "$key")
	for word in "$dir" "$cert" "$key" "$unix" "$address"; do
		check_word "start" "$word"
	done
	if has_pid; then
		die "$dir: an origin runs there already"
	fi
	if is_listening; then
		die "port $port is taken"
	fi
	rm -f "$dir/nginx.pid" "$dir/access.log" "$dir/error.log"
	rm -f "$dir/www/big"
	truncate -s "$big" "$dir/www/big"

	# Started as root, nginx gives its workers to "nobody", who cannot
	# read a private DIR and may not exist in a small guest.
	user_line=
	if [ "$(id -u)" = 0 ]; then
		for file in /etc/passwd /etc/group; do
			grep -q '^root:' "$file" 2>/dev/null ||
				die "nginx needs root in $file"
		done
		user_line="user root;"
	fi
	listen="listen $address:$port ssl backlog=4096;"
	if [ -n "$unix" ]; then
		rm -f "$unix"
		listen="$listen listen unix:$unix ssl;"
	fi
	# shellcheck disable=SC3045 # not POSIX, but dash and busybox have it
	nofile=$(ulimit -H -n)
	[ "$nofile" != unlimited ] || nofile=65536
	[ "$nofile" -le 65536 ] || nofile=65536

	sed -e "s|@DIR@|$dir|g" -e "s|@CERT@|$cert|" -e "s|@KEY@|$key|" \
		-e "s|@USER_LINE@|$user_line|" -e "s|@WORKERS@|$workers|" \
		-e "s|@PROTOCOLS@|$protocols|" -e "s|@TICKETS@|$tickets|" \
		-e "s|@CACHE@|$cache|" -e "s|@LISTEN@|$listen|" \
		-e "s|@NOFILE@|$nofile|" \
		-e "s|@CONNECTIONS@|$((nofile / 2))|" \
		"$template" >"$dir/nginx.conf"

	# It returns once its sockets listen; the daemon writes the pid file a
	# little later.
	nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" \
		</dev/null >"$dir/start.log" 2>&1 || {
		cat "$dir/start.log" "$dir/error.log" >&2 2>/dev/null || true
		die "nginx does not start"
	}
	await has_pid || die "nginx wrote no pid file, see $dir/error.log"
	await is_listening || die "nothing listens on port $port"
}

stop()
{
	[ -d "$dir" ] || die "$dir: no such directory"
	[ -s "$dir/nginx.pid" ] || die "$dir: no origin runs there"
	pid=$(cat "$dir/nginx.pid")
	if is_nginx "$pid"; then
		kill -TERM "$pid" 2>/dev/null || true
		await is_gone "$pid" || die "nginx $pid does not end"
	fi
	rm -f "$dir/nginx.pid"
}

command=
dir=
port=
cert=
key=
big=1G
workers=1
tls=any
tickets=on
cache=none
single_use=
unix=
address=127.0.0.1
template=$(dirname "$0")/../../tools/bench/nginx.conf.in

while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		usage
		exit 0
		;;
	--single-use)
		single_use=1
		shift
		;;
	--*)
		[ $# -ge 2 ] || die "$1: needs a value"
		case $1 in
		--cert) cert=$2 ;;
		--key) key=$2 ;;
		--big) big=$2 ;;
		--workers) workers=$2 ;;
		--tls) tls=$2 ;;
		--tickets) tickets=$2 ;;
		--session-cache) cache=$2 ;;
		--unix) unix=$2 ;;
		--address) address=$2 ;;
		--template) template=$2 ;;
		*) die "$1: no such option" ;;
		esac
		shift 2
		;;
	*)
		if [ -z "$command" ]; then
			command=$1
		elif [ -z "$dir" ]; then
			dir=$1
		elif [ -z "$port" ]; then
			port=$1
		else
			die "$1: one operand too many"
		fi
		shift
		;;
	esac
done
[ -n "$port" ] || port=8443

case $command in
start | stop)
	[ -n "$dir" ] || die "$command: DIR is missing"
	"$command"
	;;
*)
	usage >&2
	exit 2
	;;
esac

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# proxy-bench-vm.sh [OPTION]...: proxy-bench.sh in a guest whose clock counts
# instructions: a microsecond of CPU there is a thousand of them, user and
# kernel together, and repeats on a busy machine too. With kernel TLS, so that
# ktc-proxy is measured on each plane, and with the kernel module if it has
# been built for that kernel. BENCH_KERNEL says which (6.1, 6.12, 7.3). It is
# how much work there is; a real CPU takes more cycles for some instructions
# than for others, and the guest's has no AVX. What the module moves is a kernel
# thread's work, not ktc-proxy's: see what all took.

set -eu
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin

kernel=${BENCH_KERNEL:-6.1}
limit_s=3600

for program in build/ktc-proxy build/ktc-load build/mkcerts; do
	[ -x "$program" ] || {
		echo "proxy-bench-vm: no $program, run make" >&2
		exit 2
	}
done
start=$(date +%s)
selftests/vm/kernels fetch "$kernel" </dev/null >&2
release=$(cat "$(selftests/vm/kernels path "$kernel")/release")
module=build/kmod/$release/kmod/ktlsclient.ko
peers="nginx haproxy stunnel ours-never ours-auto ours-always"
if [ -e "$module" ]; then
	peers="$peers ours-auto-module ours-always-module"
else
	echo "proxy-bench-vm: no $module (make kmod): not measured" >&2
	module=
fi
more=
for program in haproxy stunnel; do
	! command -v $program >/dev/null || more="$more --bin $program"
done
# haproxy needs it, and other kernels cannot have it: see selftests/vm/run
[ "$kernel" != 6.1 ] || more="$more --cx16"
status=0
# shellcheck disable=SC2086 # words
selftests/vm/run --icount --kernel "$kernel" --timeout "$limit_s" \
	--with nginx,openssl $more --mem 2048 ${module:+--file "$module"} \
	--file build/ktc-bench --file build/ktc-load --file build/ktc-proxy \
	--file build/mkcerts --file selftests/e2e \
	--file tools/bench/nginx.conf.in --out build/bench-proxy-vm \
	-- env KTC_BENCH_MODULE="$module" \
	selftests/e2e/proxy-bench.sh --rounds 1 --count 200 --at-once 8 \
	--bulk 4M --parts "conn13 conn12 bulk" --json /out/bench-proxy.json \
	--peers "$peers" "$@" || status=$?
echo "proxy-bench-vm: Linux $release, $(($(date +%s) - start)) s," \
	"JSON in build/bench-proxy-vm" >&2
exit "$status"

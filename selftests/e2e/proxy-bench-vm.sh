#!/bin/sh
# SPDX-License-Identifier: MIT
#
# proxy-bench-vm.sh [OPTION]...: proxy-bench.sh in a guest whose clock counts
# instructions: a microsecond of CPU there is a thousand of them, user and
# kernel together, and repeats on a busy machine too. With kernel TLS, so that
# ktc-proxy is measured on each plane, and with the kernel module if it has
# been built for that kernel. BENCH_KERNEL says which (6.1, 6.12, 7.3). It is
# how much work there is; a real CPU takes more cycles for some instructions
# than for others, and the guest's has no AES of its own.

set -eu
cd "$(dirname "$0")/../.."

kernel=${BENCH_KERNEL:-6.1}
limit_s=1800

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
if [ -e "$module" ]; then
	module="--module $module"
else
	echo "proxy-bench-vm: no $module (make kmod): not measured" >&2
	module=
fi
status=0
# shellcheck disable=SC2086 # words
selftests/vm/run --icount --kernel "$kernel" --timeout "$limit_s" $module \
	--with nginx,openssl --mem 2048 \
	--file build/ktc-bench --file build/ktc-load --file build/ktc-proxy \
	--file build/mkcerts --file selftests/e2e \
	--file tools/bench/nginx.conf.in --out build/bench-proxy-vm \
	-- selftests/e2e/proxy-bench.sh --rounds 1 --count 200 --at-once 8 \
	--bulk 4M --parts "conn13 conn12 bulk" --json /out/bench-proxy.json \
	--peers "nginx ours-never ours-auto ours-always" "$@" || status=$?
echo "proxy-bench-vm: Linux $release, $(($(date +%s) - start)) s," \
	"JSON in build/bench-proxy-vm" >&2
exit "$status"

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh [FULL RESUMED ONCE BYTES]: the demo, run by "make demo" after the
# build: boots a Debian kernel under qemu and runs demo-guest.sh in it.
# DEMO_KERNEL says which (6.1, 6.12, 7.3). The guest's clock counts
# instructions, so that its figures repeat, on a busy machine too. Exit status:
# 0 when every claim holds.

set -eu
cd "$(dirname "$0")/../.."

kernel=${DEMO_KERNEL:-6.1}
limit_s=900
[ $# -eq 4 ] || set -- 100 1500 300 32M

for program in build/ktc-bench build/mkcerts; do
	[ -x "$program" ] || {
		echo "demo: no $program, run make" >&2
		exit 2
	}
done

start=$(date +%s)
selftests/vm/kernels fetch "$kernel" </dev/null >&2
echo "demo: Debian's Linux $kernel under qemu, nginx as TLS server in it"
status=0
selftests/vm/run --kernel "$kernel" --icount --timeout "$limit_s" \
	--with nginx,openssl --file build/ktc-bench --file build/mkcerts \
	--file selftests/e2e --file tools/bench/nginx.conf.in \
	-- selftests/e2e/demo-guest.sh "$@" || status=$?
echo "demo: $(($(date +%s) - start)) s"
exit "$status"

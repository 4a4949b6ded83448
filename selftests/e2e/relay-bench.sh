#!/bin/sh
# SPDX-License-Identifier: MIT
#
# relay-bench.sh [ARGUMENT]...: what a relay costs, in instructions. Boots a
# Debian kernel under qemu whose clock counts them, with the kernel module if
# it has been built for that kernel, and runs ktc-bench relay in it with the
# arguments. RELAY_KERNEL says which (6.1, 6.12, 7.3). Results go to standard
# output, progress to standard error. With RELAY_PROFILE the run is sampled,
# and of the tasks whose name begins so (relay; kworker for the module) it is
# told where their instructions went. Exit status: 0 when every relay moved
# every byte, in the way that it was asked for.

set -eu
cd "$(dirname "$0")/../.."

kernel=${RELAY_KERNEL:-6.1}
limit_s=1800

[ -x build/ktc-bench ] || {
	echo "relay-bench: no build/ktc-bench, run make" >&2
	exit 2
}

start=$(date +%s)
selftests/vm/kernels fetch "$kernel" </dev/null >&2
release=$(cat "$(selftests/vm/kernels path "$kernel")/release")
module=build/kmod/$release/kmod/ktlsclient.ko
if [ ! -e "$module" ]; then
	echo "relay-bench: no $module (make kmod): not measured" >&2
	module=-
fi
echo "relay-bench: Linux $release under qemu" >&2
run="selftests/vm/run --icount"
[ -z "${RELAY_PROFILE-}" ] || run="selftests/vm/profile --task $RELAY_PROFILE"
status=0
# shellcheck disable=SC2086 # words
$run --kernel "$kernel" --timeout "$limit_s" \
	--with nginx --file build/ktc-bench --file selftests/e2e \
	-- selftests/e2e/relay-bench-guest.sh "$module" --live \
	-b 4M -n 1500 -r 2 "$@" ||
	status=$?
echo "relay-bench: $(($(date +%s) - start)) s" >&2
exit "$status"

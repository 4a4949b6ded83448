#!/bin/sh
# SPDX-License-Identifier: MIT
#
# relay-bench-guest.sh MODULE|- ARGUMENT...: the part of relay-bench.sh inside
# the guest: loads the module, if there is one, and runs ktc-bench relay with
# the arguments. Nothing else runs here.

set -eu
cd "$(dirname "$0")/../.."

module=$1
shift
[ "$module" = - ] || insmod "$module"
exec build/ktc-bench relay --alone "$@"

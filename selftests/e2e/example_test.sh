#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a reader of README.md does: installs the library, takes the example,
# compiles it by pkg-config alone, and runs it. The first C block of README.md
# is the example. Where there is no compiler (a guest), only the program that
# make has built is run.

set -eu
# shellcheck source=selftests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

example=$top/tools/example/ktc-get.c
root=

need_compiler()
{
	for tool in make pkg-config; do
		command -v "$tool" >/dev/null || skip "no $tool here"
	done
}

# Sets root, an installation of the library of this build. The make that may
# run this test has variables for its own children only.
install_library()
{
	root=$dir/root
	unset MAKEFLAGS MFLAGS MAKELEVEL
	make -s -C "$top" install DESTDIR="$root" PREFIX=/usr >"$dir/make.log" \
		2>&1 || {
		cat "$dir/make.log" >&2
		fail "make install"
	}
	export PKG_CONFIG_PATH="$root/usr/lib/pkgconfig"
	export PKG_CONFIG_SYSROOT_DIR="$root"
	export LD_LIBRARY_PATH="$root/usr/lib"
}

# flags PKG-CONFIG-OPTION...
flags()
{
	pkg-config "$@" libktlsclient || fail "pkg-config"
}

test_readme_has_the_example()
{
	[ -r "$top/README.md" ] || skip "no sources here"
	awk '/^```c$/ && !seen { seen = inside = 1; next }
		/^```/ { inside = 0 }
		inside' "$top/README.md" | cmp - "$example" ||
		fail "README.md's first C block is not tools/example/ktc-get.c"
}

# ktc-get PROGRAM: nginx's answer comes out, nothing else is said.
expect_answer()
{
	timeout "$client_limit_s" "$1" localhost "$origin_port" "$ca" \
		>"$dir/answer" 2>"$dir/errors" || {
		cat "$dir/errors" >&2
		fail "ktc-get failed"
	}
	[ ! -s "$dir/errors" ] || fail "ktc-get said: $(cat "$dir/errors")"
	has_line '^HTTP/1.1 200 OK' "$dir/answer" || fail "no answer"
	expect "body" ok "$(tail -n 1 "$dir/answer")"
}

test_built_example_runs()
{
	start_origin --tls any
	expect_answer "$build/ktc-get"
	expect "requests by nginx's log" 1 "$(log_count 1 status 200)"
}

# A program of the installation that cannot reach its server says why.
test_example_says_what_is_wrong()
{
	start_origin --tls any
	if "$build/ktc-get" localhost "$origin_port" \
		"$dir/certs/unknown-ca.pem" >"$dir/answer" 2>"$dir/errors"; then
		fail "an unknown issuer was accepted"
	fi
	has_line 'issuer' "$dir/errors" || fail "no reason given"
	[ ! -s "$dir/answer" ] || fail "an answer came"
}

test_example_compiles_against_the_installed_library()
{
	need_compiler
	install_library
	# shellcheck disable=SC2046 # lists of words
	"${CC:-gcc}" -std=gnu11 -Wall -Wextra -Werror $(flags --cflags) \
		-o "$dir/ktc-get" "$example" $(flags --libs) ||
		fail "does not compile"
	start_origin --tls any
	expect_answer "$dir/ktc-get"
}

test_example_compiles_against_the_static_library()
{
	need_compiler
	install_library
	rm "$root"/usr/lib/libktlsclient.so*
	# shellcheck disable=SC2046 # lists of words
	"${CC:-gcc}" -std=gnu11 -Wall -Wextra -Werror $(flags --cflags) \
		-o "$dir/ktc-get" "$example" $(flags --static --libs) ||
		fail "does not compile"
	start_origin --tls any
	expect_answer "$dir/ktc-get"
}

# The header alone, in both languages, as strictly as they can be asked.
test_installed_header_compiles()
{
	need_compiler
	install_library
	echo '#include <ktlsclient.h>' >"$dir/alone.c"
	cp "$dir/alone.c" "$dir/alone.cc"
	for std in c99 gnu11; do
		# shellcheck disable=SC2046 # a list of words
		"${CC:-gcc}" "-std=$std" -Wall -Wextra -Wpedantic -Werror \
			$(flags --cflags) -fsyntax-only "$dir/alone.c" ||
			fail "not as $std"
	done
	command -v g++ >/dev/null || return 0
	# shellcheck disable=SC2046 # a list of words
	g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror $(flags --cflags) \
		-fsyntax-only "$dir/alone.cc" || fail "not as C++"
}

# A C++ program calls the library by its C names.
test_installed_library_links_from_cxx()
{
	need_compiler
	command -v g++ >/dev/null || skip "no g++ here"
	install_library
	cat >"$dir/version.cc" <<-'END'
	#include <ktlsclient.h>
	#include <cstdio>

	int main()
	{
		std::puts(ktc_version());
	}
	END
	# shellcheck disable=SC2046 # lists of words
	g++ -Wall -Wextra -Werror $(flags --cflags) -o "$dir/version" \
		"$dir/version.cc" $(flags --libs) || fail "does not link"
	expect "version" "$(flags --modversion)" "$("$dir/version")"
}

# What make install put there, make uninstall takes away.
test_uninstall_leaves_no_file()
{
	need_compiler
	install_library
	[ -e "$root/usr/lib/libktlsclient.so" ] || fail "not installed"
	make -s -C "$top" uninstall DESTDIR="$root" PREFIX=/usr \
		>"$dir/make.log" 2>&1 || fail "make uninstall"
	expect "files left" "" "$(find "$root" ! -type d)"
}

make_scratch
run_tests \
	test_readme_has_the_example \
	test_built_example_runs test_example_says_what_is_wrong \
	test_example_compiles_against_the_installed_library \
	test_example_compiles_against_the_static_library \
	test_installed_header_compiles \
	test_installed_library_links_from_cxx \
	test_uninstall_leaves_no_file

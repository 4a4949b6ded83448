// SPDX-License-Identifier: MIT
/*
 * Linked into the test programs of the AddressSanitizer build. The harness
 * runs each test in a child that ends in _exit(), where the sanitizer's own
 * search for leaks never comes by. Here it does, and a leak fails the test
 * that left it. The linker sends calls of _exit() here (--wrap).
 */
#include <sanitizer/lsan_interface.h>

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void __wrap__exit(int status)
{
	/* Only what passed: a test that was cut short leaves things behind. */
	if (!status && __lsan_do_recoverable_leak_check())
		status = 1;
	__real__exit(status);
}

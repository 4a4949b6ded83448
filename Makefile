# SPDX-License-Identifier: MIT
#
# Builds the library, its tools, its tests and the kernel module, all under
# build/. "make help" lists the targets. GNU make and nothing before it: no
# generated makefiles, no configure step.

VERSION := 0.1.0
SOVERSION := 0

# Where objects go; a variant with other flags gets a directory of its own.
O ?= build

# What a user may set: CC CFLAGS CPPFLAGS LDFLAGS PREFIX LIBDIR DESTDIR KDIR.
ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/libktlsclient
# systemd looks for units in /usr/local/lib too
UNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=
KERNEL ?= 6.1
KERNELS := 6.1 7.3
# The kernels the module is for, or the one that KERNEL= names.
KMOD_KERNELS := $(if $(filter command environment,$(firstword \
	$(origin KERNEL))),$(KERNEL),6.1 6.12 7.3)

# SAN=address,undefined or thread: set by the check-*san targets.
SAN ?=

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules --no-print-directory
SAY := @$(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,echo)

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror
# clang: a cmsghdr in a union with its bytes, as cmsg(3) has it
WARN += $(if $(findstring clang,$(CC)),-Wno-gnu-variable-sized-type-not-at-end)
ifeq ($(SAN),)
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
HARDEN_LD := -Wl,-z,relro -Wl,-z,now
TIMEOUT_S := 60
else
# FORTIFY's checked calls hide the plain ones from the sanitizers.
HARDEN := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
HARDEN_LD := -fsanitize=$(SAN)
ifneq ($(findstring undefined,$(SAN)),)
# liburcu's inline reader is not aligned as its own type asks; its calls are
# not instrumented.
HARDEN += -DRCU_BY_CALL
endif
TIMEOUT_S := 180
endif

BASE_CFLAGS := -std=gnu11 $(WARN) -fvisibility=hidden -fPIC -pthread $(HARDEN)
# Thread-local words (liburcu's reader, our stripe) without a call for each
# use; they are few, so that a program may still load the library late.
BASE_CFLAGS += -ftls-model=initial-exec
BASE_CPPFLAGS := -D_GNU_SOURCE -Iinclude -I$(O)/include -MMD -MP
ALL_CFLAGS = $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(HARDEN_LD) -pthread $(LDFLAGS)
LIBS := -luring -lurcu-bp -lssl -lcrypto -lpthread

# The harness is the kernel's, fetched once and shared by all variants.
HARNESS := build/kselftest
HARNESS_H := $(HARNESS)/kselftest_harness.h
INC_TEST := -iquote user -iquote selftests/lib -isystem $(HARNESS)
INC_TOOL := -iquote tools/common

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))
not_test = $(filter-out %_test.c,$(1))

# --- what there is: a new file needs no new line here ---------------------

LIB_SRC := $(wildcard user/*.c)
TEST_LIB_SRC := $(filter-out %/mkcerts.c,\
	$(call not_test,$(wildcard selftests/lib/*.c)))
COMMON_SRC := $(call not_test,$(wildcard tools/common/*.c))
TOOL_DIRS := $(patsubst tools/%/,%,\
	$(sort $(dir $(wildcard tools/bench/*.c tools/load/*.c tools/proxy/*.c \
	tools/doctor/*.c))))
EXAMPLES := $(patsubst tools/example/%.c,$(O)/%,$(wildcard tools/example/*.c))
TOOLS := $(addprefix $(O)/ktc-,$(TOOL_DIRS)) $(EXAMPLES)

test_progs = $(patsubst selftests/%.c,$(O)/%,\
	$(wildcard selftests/$(1)/*_test.c))
UNIT_TESTS := $(call test_progs,unit)
FAULT_TESTS := $(call test_progs,fault)
KERNEL_TESTS := $(call test_progs,kernel)
TORTURE_TESTS := $(call test_progs,torture)
LIB_TESTS := $(call test_progs,lib)
# Of the kernel module: in build/module/, for modules are built in build/kmod/.
KMOD_TESTS := $(patsubst selftests/kmod/%.c,$(O)/module/%,\
	$(wildcard selftests/kmod/*_test.c))
TOOL_TESTS := $(patsubst tools/%.c,$(O)/%,$(wildcard tools/*/*_test.c))
SELF_TESTS := $(UNIT_TESTS) $(FAULT_TESTS) $(KERNEL_TESTS) $(TORTURE_TESTS) \
	$(LIB_TESTS) $(KMOD_TESTS)
PROXY_TESTS := $(wildcard selftests/e2e/proxy_test.sh \
	selftests/e2e/proxy_*_test.sh selftests/e2e/proxy_*_long.sh)
E2E_TESTS := $(filter-out $(PROXY_TESTS),$(wildcard selftests/e2e/*_test.sh))
MKCERTS := $(patsubst selftests/lib/%.c,$(O)/%,\
	$(wildcard selftests/lib/mkcerts.c))

VERSION_H := $(O)/include/ktlsclient_version.h
SO := $(O)/libktlsclient.so.$(SOVERSION)
LIB_A := $(O)/libktlsclient.a
# The same objects with their internal names, which the tests call.
LIB_INT_A := $(O)/libktlsclient-internal.a
TEST_LIB_A := $(O)/libselftest.a
COMMON_A := $(O)/libcommon.a
PC := $(O)/libktlsclient.pc

.PHONY: all lib tools tests help
all: lib tools tests
lib: $(SO) $(O)/libktlsclient.so $(LIB_A) $(PC)
tools: $(TOOLS)
tests: $(SELF_TESTS) $(TOOL_TESTS) $(MKCERTS)

# --- objects ---------------------------------------------------------------

# Objects depend on the flags they were made with, so that CC=clang after gcc
# rebuilds them. The file is touched only when its content changes.
FLAGS := $(O)/.flags
.PHONY: force
$(FLAGS): force
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(VERSION_H): include/ktlsclient_version.h.in Makefile
	@mkdir -p $(@D)
	@v='$(VERSION)'; IFS=.; set -- $$v; \
	sed "s/@MAJOR@/$$1/g;s/@MINOR@/$$2/g;s/@PATCH@/$$3/g" $< >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
	@touch $@

$(O)/obj/selftests/%.o: INC := $(INC_TEST)
$(O)/obj/tools/%.o: INC := $(INC_TOOL) -isystem $(HARNESS)
# The stores that "ktc-bench cache" compares: see there.
$(O)/obj/tools/bench/cache%.o: INC += -iquote user

$(O)/obj/%.o: %.c $(VERSION_H) $(FLAGS)
	@mkdir -p $(@D)
	$(SAY) '  CC      $<'
	@$(CC) $(ALL_CFLAGS) $(INC) -c $< -o $@

$(call obj,$(wildcard selftests/*/*.c)) \
$(call obj,$(wildcard tools/*/*_test.c)): | $(HARNESS_H)

$(HARNESS_H):
	selftests/vm/kernels harness

# --- libraries -------------------------------------------------------------

define archive
	@mkdir -p $(@D)
	$(SAY) '  AR      $@'
	@rm -f $@
	@ar rcsD $@ $(filter %.o,$^)
endef

$(LIB_INT_A): $(call obj,$(LIB_SRC))
	$(archive)
$(TEST_LIB_A): $(call obj,$(TEST_LIB_SRC))
	$(archive)
$(COMMON_A): $(call obj,$(COMMON_SRC))
	$(archive)

# One object whose hidden names have become local: a program linked statically
# meets ktc_* and nothing else.
$(O)/obj/libktlsclient.o: $(call obj,$(LIB_SRC))
	@$(LD) -r -o $@ $^
	@objcopy --localize-hidden $@
$(LIB_A): $(O)/obj/libktlsclient.o
	$(archive)

# It is not unloaded by dlclose(): liburcu's thread may still have to call it.
$(SO): $(call obj,$(LIB_SRC)) user/libktlsclient.map
	$(SAY) '  LD      $@'
	@$(CC) -shared -o $@ $(filter %.o,$^) $(ALL_LDFLAGS) \
		-Wl,-soname,$(@F) -Wl,--version-script=user/libktlsclient.map \
		-Wl,-z,nodelete \
		$(if $(SAN),,-Wl,-z,defs) $(LIBS)
$(O)/libktlsclient.so: $(SO)
	@ln -sf $(<F) $@

PC_SED := s,@PREFIX@,$(PREFIX),;s,@LIBDIR@,$(LIBDIR),;
PC_SED += s,@INCLUDEDIR@,$(INCLUDEDIR),;s,@VERSION@,$(VERSION),
$(PC): user/libktlsclient.pc.in force
	@sed '$(PC_SED)' $< >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# --- programs --------------------------------------------------------------

define link
	@mkdir -p $(@D)
	$(SAY) '  LD      $@'
	@$(CC) -o $@ $(filter %.o %.a,$^) $(ALL_LDFLAGS) -pie $(LIBS) -lm
endef

# Leaks are looked for in each test's process: see the file.
ifneq ($(findstring address,$(SAN)),)
LEAKCHECK := $(O)/obj/tools/dev/leakcheck.o
$(SELF_TESTS): private LDFLAGS += -Wl,--wrap=_exit
endif

$(filter-out $(KMOD_TESTS),$(SELF_TESTS)): $(O)/%: $(O)/obj/selftests/%.o \
		$(TEST_LIB_A) $(LIB_INT_A) $(LEAKCHECK)
	$(link)
$(KMOD_TESTS): $(O)/module/%: $(O)/obj/selftests/kmod/%.o $(TEST_LIB_A) \
		$(LIB_INT_A) $(LEAKCHECK)
	$(link)
$(MKCERTS): $(O)/obj/selftests/lib/mkcerts.o $(TEST_LIB_A)
	$(link)

# A tool is all of its folder; a test of it is that without main.c. Tools have
# the public archive. Only ktc-bench has internal names: its command "cache"
# measures the session inventory, whose take and give are not public; through
# the public interface it would measure handshakes.
tool_archive = $(if $(filter bench,$(1)),$(LIB_INT_A),$(LIB_A))
tool_obj = $(call obj,$(call not_test,$(wildcard tools/$(1)/*.c)))
define tool
$(O)/ktc-$(1): $(call tool_obj,$(1)) $(COMMON_A) $(call tool_archive,$(1))
	$$(link)
$(filter $(O)/$(1)/%,$(TOOL_TESTS)): $(O)/%: $(O)/obj/tools/%.o \
		$(filter-out %/main.o,$(call tool_obj,$(1))) \
		$(COMMON_A) $(call tool_archive,$(1))
	$$(link)
endef
$(foreach d,$(TOOL_DIRS),$(eval $(call tool,$(d))))

# Its config file is libinih's to read.
$(O)/ktc-proxy $(filter $(O)/proxy/%,$(TOOL_TESTS)): LIBS += -linih

$(filter $(O)/common/%,$(TOOL_TESTS)): $(O)/%: $(O)/obj/tools/%.o $(COMMON_A)
	$(link)
$(EXAMPLES): $(O)/%: $(O)/obj/tools/example/%.o $(LIB_A)
	$(link)

# --- tests -----------------------------------------------------------------

# Each prints KTAP and ends in one line "N passed, N failed, N skipped".
# Building comes in a make of its own, so that set-up is over before it.
.PHONY: setup check check-native check-native-run check-vm check-kmod \
	check-debug-kernel check-upstream check-proxy kmods check-asan \
	check-ubsan check-tsan check-san-run torture demo bench-relay \
	bench-proxy bench-proxy-vm style layers

RUN_TESTS := tools/dev/run-tests
SUM := tools/dev/ktap-sum
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
SECONDS ?= 60

NATIVE_TESTS = $(UNIT_TESTS) $(FAULT_TESTS) $(LIB_TESTS) $(TOOL_TESTS) \
	$(KERNEL_TESTS) $(E2E_TESTS)
# Of ktc-proxy there is time for these, and in guests for what they show there,
# on one kernel, with the module: the rest is check-proxy's.
PROXY_SHORT = $(addprefix selftests/e2e/,proxy_test.sh proxy_origin_test.sh)
PROXY_GUEST = $(PROXY_SHORT) selftests/e2e/proxy_takeover_test.sh
PROXY_KERNEL := 6.1
GUEST_TESTS = $(KERNEL_TESTS) $(E2E_TESTS) \
	$(if $(filter $(PROXY_KERNEL),$(1)),$(PROXY_SHORT))
run-native = $(RUN_TESTS) -t $(TIMEOUT_S) $(NATIVE_TESTS) $(TORTURE_SHORT); \
	$(RUN_TESTS) -t 300 $(PROXY_SHORT)
# by another name: make -n runs the lines that name make itself
make-native = $(MAKE) check-native-run

# A few seconds of each, which is what there is time for.
TORTURE_SHORT = $(foreach t,$(TORTURE_TESTS),'$(t) 5')

setup:
	@tools/dev/setup all

check:
	@tools/dev/setup check
	@$(MAKE) $(JOBS) all
	@$(MAKE) kmod KERNEL=$(CHECK_KMOD_KERNEL) >&2
	@{ tools/dev/at-once '$(call run-kmod-tests,$(CHECK_KMOD_KERNEL))' \
	'$(make-native)' \
	$(foreach k,$(KERNELS),'tools/dev/vm-tests -k $(k) \
	$(KERNEL_TESTS) $(E2E_TESTS)'); } | $(SUM)

check-native:
	@$(MAKE) $(JOBS) all
	@$(MAKE) check-native-run | $(SUM)
check-native-run:
	@$(run-native)

check-vm:
	@tools/dev/setup check
	@$(MAKE) $(JOBS) all
	@tools/dev/vm-tests -k $(KERNEL) $(call GUEST_TESTS,$(KERNEL)) | $(SUM)

# Minutes for each kernel: "make check" has time for one, check-kmod for all.
CHECK_KMOD_KERNEL := 6.1

# With the module loaded: its own tests, and of the others those of what it does
# for the library and ktc-proxy, which run without it too.
WITH_MODULE_TESTS = $(KMOD_TESTS) $(filter $(addprefix $(O)/kernel/,\
	leave_test move_test relay_test unload_test),$(KERNEL_TESTS)) \
	$(if $(filter $(PROXY_KERNEL),$(1)),$(PROXY_SHORT))
module = build/kmod/$(1)/kmod/ktlsclient.ko
run-kmod-tests = tools/dev/vm-tests -k $(1) -m $(call module,$(1)) \
	$(call WITH_MODULE_TESTS,$(1))

kmods:
	@$(foreach k,$(KMOD_KERNELS),$(MAKE) kmod KERNEL=$(k) >&2 &&) true

check-kmod:
	@tools/dev/setup check
	@$(MAKE) $(JOBS) all
	@$(MAKE) kmods
	@export KTC_RELAY_MB=$${KTC_RELAY_MB:-64}; tools/dev/at-once \
	$(foreach k,$(KMOD_KERNELS),'$(call run-kmod-tests,$(k))') | $(SUM)

# First that the kernel tells, then that it has nothing to tell. Those of the
# library are left out: they judge by time, and this kernel is slow; so is, of
# the last part, the one that takes the module away from under the others.
run-failslab = selftests/vm/run --uml-debug --timeout 1200 \
	--module $(call module,uml-debug) -- env KTC_TEST_LANE=vm \
	selftests/vm/failslab ktlsclient $(filter-out %/module_test,$(KMOD_TESTS))

check-debug-kernel:
	@tools/dev/setup all
	@$(MAKE) $(JOBS) all
	@$(MAKE) kmod KERNEL=uml-debug >&2
	@{ $(RUN_TESTS) -t 600 selftests/vm/planted/check; \
	tools/dev/vm-tests -k uml-debug -m $(call module,uml-debug) \
	$(KMOD_TESTS); \
	$(RUN_TESTS) -t 1260 -n uml-debug-failslab '$(run-failslab)'; } | $(SUM)

check-upstream:
	@tools/dev/setup all
	@$(MAKE) kmod KERNEL=uml >&2
	@$(RUN_TESTS) -t 900 selftests/vm/upstream | $(SUM)

# Here, and beside each other in two guests, with the module and without it.
check-proxy:
	@tools/dev/setup check
	@tools/dev/setup proxy
	@$(MAKE) $(JOBS) lib tools $(MKCERTS)
	@$(MAKE) kmod KERNEL=$(PROXY_KERNEL) >&2
	@{ $(RUN_TESTS) -t 600 $(PROXY_TESTS); tools/dev/at-once \
	'tools/dev/vm-tests -k $(PROXY_KERNEL) $(PROXY_GUEST)' \
	'tools/dev/vm-tests -k $(PROXY_KERNEL) \
	-m $(call module,$(PROXY_KERNEL)) $(PROXY_GUEST)'; } | $(SUM)

check-asan check-ubsan check-tsan: check-%:
	@$(MAKE) O=build/$* SAN=$(san-$*) check-san-run

# Both at once: half the time of one after the other.
san-asan := address,undefined
san-ubsan := undefined
san-tsan := thread
SAN_TESTS = $(UNIT_TESTS) $(FAULT_TESTS) $(LIB_TESTS) $(TOOL_TESTS) \
	$(KERNEL_TESTS)

check-san-run:
	@$(MAKE) $(JOBS) tests
	@$(RUN_TESTS) -t $(TIMEOUT_S) $(SAN_TESTS) $(TORTURE_SHORT) | $(SUM)

torture-run = $(RUN_TESTS) -t $$(($(SECONDS) * 3 + 60)) \
	$(foreach t,$(TORTURE_TESTS),'$(t) $(SECONDS)')
torture:
	@$(MAKE) $(JOBS) tests
	@$(torture-run) | $(SUM)

demo:
	@tools/dev/setup demo
	@$(MAKE) $(JOBS) all
	@selftests/e2e/demo.sh

bench-relay:
	@tools/dev/setup demo
	@$(MAKE) $(JOBS) all
	@RELAY_KERNEL=$(KERNEL) selftests/e2e/relay-bench.sh

bench-proxy:
	@tools/dev/setup proxy
	@$(MAKE) $(JOBS) lib tools $(MKCERTS)
	@selftests/e2e/proxy-bench.sh $(PROXY_BENCH)

bench-proxy-vm:
	@tools/dev/setup proxy
	@$(MAKE) $(JOBS) lib tools $(MKCERTS)
	@BENCH_KERNEL=$(KERNEL) selftests/e2e/proxy-bench-vm.sh $(PROXY_BENCH)

style:
	@tools/dev/setup style
	@$(MAKE) -s $(VERSION_H) $(HARNESS_H)
	@tools/dev/style | $(SUM)

layers:
	@tools/dev/layers

# --- kernel module ---------------------------------------------------------

# Built from copies, so that kbuild's output stays out of the source tree and
# every kernel has a directory of its own; dkms takes the copy as it is. With
# KERNEL= it is built for the kernel that the VM of that name runs: fetched
# headers, 7.3 with Debian 13's compiler; build/kmod/KERNEL leads to it.
.PHONY: kmod kmod-kernel uml check-uml
KDIR ?= $(firstword $(wildcard /lib/modules/$(shell uname -r)/build \
	/lib/modules/*/build /usr/src/linux-headers-*-cloud-amd64))
KMOD_SRC := Kbuild $(wildcard kmod/Kbuild kmod/*.c kmod/*.h) \
	$(wildcard include/uapi/linux/*.h)
KMOD_TREE = tools/dev/kmod-tree '$(VERSION)' $(VERSION_H) '$(KMOD_OUT)' \
	$(KMOD_SRC) kmod/dkms.conf

ifneq ($(filter command environment,$(firstword $(origin KERNEL))),)
KREL = $(if $(filter uml%,$(KERNEL)),$(KERNEL),$(shell \
	cat build/kernels/$(KERNEL)/release))
KMOD_OUT ?= build/kmod/$(KREL)

# All of a recipe is expanded before it runs: what is fetched comes before it.
kmod: $(VERSION_H) | kmod-kernel
	@$(KMOD_TREE)
	@tools/dev/kmod-make $(KERNEL) '$(KMOD_OUT)' $(KMOD_FLAGS)
	@[ '$(KMOD_OUT)' != 'build/kmod/$(KREL)' ] || \
	[ '$(KREL)' = $(KERNEL) ] || ln -sfn '$(KREL)' build/kmod/$(KERNEL)
	$(SAY) '  KMOD    $(KMOD_OUT)/kmod/ktlsclient.ko'
kmod-kernel:
	@tools/dev/kmod-kernel $(KERNEL)
else
KREL = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h)
KMOD_OUT ?= build/kmod/$(KREL)

kmod: $(VERSION_H)
	@test -n '$(KDIR)' || { \
	echo 'no kernel headers: make setup, KERNEL=... or KDIR=...' >&2; \
	exit 1; }
	@$(KMOD_TREE)
	@$(MAKE) -C $(KDIR) M=$(abspath $(KMOD_OUT)) $(KMOD_FLAGS) modules
	$(SAY) '  KMOD    $(KMOD_OUT)/kmod/ktlsclient.ko'
endif

check-uml: uml
	@$(MAKE) $(JOBS) all
	@{ $(foreach t,$(KERNEL_TESTS),$(RUN_TESTS) -t 120 -n uml-$(notdir $(t)) \
	'selftests/vm/run --uml -- $(t)';) } | $(SUM)

uml:
	@tools/dev/setup all
	selftests/vm/uml-build

# --- installation ----------------------------------------------------------

.PHONY: install uninstall clean
MAN3 := $(wildcard user/man/*.3)
MAN4 := $(wildcard kmod/*.4)
UAPI := $(wildcard include/uapi/linux/*.h)
MAN7 := $(wildcard user/man/*.7)
MAN1 := $(wildcard tools/man/*.1)
SO_FULL := libktlsclient.so.$(VERSION)
INSTALL_TOOLS := $(filter %/ktc-bench %/ktc-proxy %/ktc-doctor,$(TOOLS))
PROXY_UNIT := $(O)/ktc-proxy.service
PROXY_CONF := tools/proxy/ktc-proxy.conf

$(PROXY_UNIT): tools/proxy/ktc-proxy.service.in force
	@mkdir -p $(@D)
	@sed 's,@BINDIR@,$(BINDIR),' $< >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

install: lib tools $(PROXY_UNIT)
	install -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(BINDIR) $(DESTDIR)$(INCLUDEDIR)/linux \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOCDIR) \
		$(addprefix $(DESTDIR)$(MANDIR)/man,1 3 4 7)
	install -m 644 include/ktlsclient.h $(VERSION_H) \
		$(DESTDIR)$(INCLUDEDIR)
	install -m 644 $(UAPI) $(DESTDIR)$(INCLUDEDIR)/linux
	install -m 755 $(SO) $(DESTDIR)$(LIBDIR)/$(SO_FULL)
	ln -sf $(SO_FULL) $(DESTDIR)$(LIBDIR)/$(notdir $(SO))
	ln -sf $(notdir $(SO)) $(DESTDIR)$(LIBDIR)/libktlsclient.so
	install -m 644 $(LIB_A) $(DESTDIR)$(LIBDIR)
	install -m 644 $(PC) $(DESTDIR)$(LIBDIR)/pkgconfig
	$(if $(INSTALL_TOOLS),install -m 755 $(INSTALL_TOOLS) \
		$(DESTDIR)$(BINDIR))
	install -m 644 $(PROXY_UNIT) $(DESTDIR)$(UNITDIR)
	install -m 644 $(PROXY_CONF) $(DESTDIR)$(DOCDIR)
	$(if $(MAN1),install -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1)
	$(if $(MAN3),install -m 644 $(MAN3) $(DESTDIR)$(MANDIR)/man3)
	$(if $(MAN4),install -m 644 $(MAN4) $(DESTDIR)$(MANDIR)/man4)
	$(if $(MAN7),install -m 644 $(MAN7) $(DESTDIR)$(MANDIR)/man7)

uninstall:
	rm -f $(DESTDIR)$(INCLUDEDIR)/ktlsclient.h \
		$(DESTDIR)$(INCLUDEDIR)/ktlsclient_version.h \
		$(addprefix $(DESTDIR)$(INCLUDEDIR)/linux/,$(notdir $(UAPI))) \
		$(addprefix $(DESTDIR)$(LIBDIR)/,$(SO_FULL) $(notdir $(SO)) \
		libktlsclient.so libktlsclient.a pkgconfig/libktlsclient.pc) \
		$(addprefix $(DESTDIR)$(BINDIR)/,$(notdir $(INSTALL_TOOLS))) \
		$(DESTDIR)$(UNITDIR)/$(notdir $(PROXY_UNIT)) \
		$(DESTDIR)$(DOCDIR)/$(notdir $(PROXY_CONF)) \
		$(addprefix $(DESTDIR)$(MANDIR)/man1/,$(notdir $(MAN1))) \
		$(addprefix $(DESTDIR)$(MANDIR)/man3/,$(notdir $(MAN3))) \
		$(addprefix $(DESTDIR)$(MANDIR)/man4/,$(notdir $(MAN4))) \
		$(addprefix $(DESTDIR)$(MANDIR)/man7/,$(notdir $(MAN7)))

# Leaves what was fetched (kernels, harness): that is not ours to rebuild.
clean:
	rm -rf $(O)/obj $(O)/include $(FLAGS) \
		$(O)/unit $(O)/fault $(O)/kernel $(O)/torture $(O)/lib $(O)/module \
		$(O)/common $(O)/bench $(O)/proxy $(O)/load $(PROXY_UNIT) \
		$(O)/mkcerts $(O)/asan $(O)/ubsan $(O)/tsan \
		$(O)/clang $(O)/style $(O)/kmod $(O)/ktc-* \
		$(O)/*.a $(O)/*.so* $(O)/*.pc

#: all                the library, the tools and the test programs (default)
#: lib tools tests    each of these alone
#: install uninstall  PREFIX=/usr/local DESTDIR= LIBDIR= MANDIR= UNITDIR=
#: kmod               the kernel module; KDIR=<headers of the kernel>, or
#:                    KERNEL=6.1, 6.12, 7.3, uml or uml-debug: see VMs
#: demo               a TLS server in a VM, and what the library does with it
#: bench-relay        what a relay costs, in a VM; KERNEL=, after make kmod
#: bench-proxy        ktc-proxy beside nginx, haproxy and stunnel; options in
#:                    PROXY_BENCH="--rounds 5 ..."
#: bench-proxy-vm     the same in instructions, with kernel TLS, in a VM;
#:                    KERNEL=, after make kmod
#: check              all tests, here and in VMs (kernels 6.1 and 7.3; those of
#:                    the module on 6.1)
#: check-native       only those that need no VM
#: check-vm           only those in a VM; KERNEL=6.1, 6.12 or 7.3
#: check-kmod         the module's tests in VMs; KERNEL=6.1, or all three
#: check-debug-kernel the same on a kernel that looks for faults (User Mode
#:                    Linux with KASAN, lockdep and others; built once)
#: check-upstream     the kernel's test of kTLS, with and without the module
#: check-proxy        ktc-proxy with real clients and servers, the long ones
#:                    too, here and in VMs
#: check-asan         unit and fault tests under AddressSanitizer and
#:                    UndefinedBehaviorSanitizer
#: check-ubsan        the same under the latter alone
#: check-tsan         the same under ThreadSanitizer
#: torture            many threads at once; SECONDS=60 for each program
#: style              layers, lone headers, checkpatch, linters, manual pages
#: layers             only who may include whom
#: setup              installs the packages all of the above need (root)
#: uml                builds a User Mode Linux kernel for quick runs
#: check-uml          kernel tests on it
#: clean              removes what was built, keeps what was fetched
#:
#: Variables: CC=gcc|clang O=build CFLAGS CPPFLAGS LDFLAGS
help:
	@sed -n 's/^#: \?//p' Makefile

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

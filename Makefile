# SPDX-License-Identifier: BSD-2-Clause
# Weft: one file, sources by wildcard. `make help` lists the targets.

BUILD     ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
BPF_CLANG ?= clang-14
PREFIX    ?= /usr/local
VERSION   := 0.1.0
V         ?= # V=1 shows the commands
Q         := $(if $(V),,@)
say        = $(if $(V),,@echo '  $(1)	$@')

PACKAGES_BUILD := gcc make clang-14 clang-19 llvm-14 bpftool libbpf-dev libelf-dev zlib1g-dev \
	libevent-dev libnl-3-dev libnl-route-3-dev libjansson-dev libyaml-dev libsqlite3-dev \
	libcurl4-openssl-dev uthash-dev libxxhash-dev libcap-ng-dev libsystemd-dev \
	libpcap-dev libdpdk-dev pkg-config
PACKAGES_RUN   := iproute2 iputils-ping qemu-system-x86 cpio kmod
PACKAGES_TEST  := libcmocka-dev iperf3 tcpdump ethtool jq curl procps shellcheck \
	clang-format-14 libclang-rt-14-dev libxml2-utils gnuplot-nox bash-completion openvswitch-switch \
	openvswitch-switch-dpdk nginx-light wrk hping3 python3-scapy nftables
PACKAGES_DEB   := libbpf1 libelf1 zlib1g libevent-2.1-7 libnl-3-200 libnl-route-3-200 libjansson4 \
	libyaml-0-2 libsqlite3-0 libcurl4 libcap-ng0 libsystemd0 libpcap0.8
comma := ,
empty :=
PACKAGES       := $(PACKAGES_BUILD) $(PACKAGES_RUN) $(PACKAGES_TEST)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wno-missing-field-initializers
CPPFLAGS += -D_GNU_SOURCE -DWEFT_VERSION='"$(VERSION)"' -Iinclude -I. -I$(BUILD)/bpf \
	-isystem /usr/include/libnl3
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(WARNINGS) $(CFLAGS) $(SANITIZE)
LIBS     := -lbpf -lelf -lz -levent -lnl-route-3 -lnl-3 -ljansson -lyaml -lsqlite3 -lcap-ng -lsystemd \
	-lpcap -lm

BPF_PROGRAMS := $(wildcard ebpf/*.bpf.c)
SKELETONS    := $(BPF_PROGRAMS:ebpf/%.bpf.c=$(BUILD)/bpf/%.skel.h) $(BUILD)/bpf/replay.skel.h
BPF_DEPS     := $(wildcard ebpf/*.h include/weft/*.h datapath/pipeline/*.h)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
DATAPATH := $(call objects,$(wildcard datapath/*.c datapath/ebpf/*.c))
DAEMON   := $(call objects,$(filter-out daemon/main.c,$(wildcard daemon/*.c)))
DPDK     := $(call objects,$(wildcard datapath/dpdk/*.c))
GUEST    := $(call objects,$(wildcard topo/guest/*.c))
WIRE     := $(call objects,$(wildcard topo/wire/*.c))
LAB      := $(call objects,$(wildcard topo/lab/*.c))

PROGRAMS := $(BUILD)/weftd $(BUILD)/weftctl $(BUILD)/weft-guest $(BUILD)/weft-wire $(BUILD)/weftlab
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*_test.c))
SYSTEM_C := $(patsubst tests/system/%.c,$(BUILD)/tests/system/%,$(wildcard tests/system/*_test.c))
TOOLS    := $(patsubst tests/tools/%.c,$(BUILD)/tests/%,$(wildcard tests/tools/*.c))
DPDK_TOOLS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/dpdk/tools/*.c))
DPDK_C   := $(patsubst tests/dpdk/%.c,$(BUILD)/tests/dpdk/%,$(wildcard tests/dpdk/*_test.c))
DPDK_BENCH := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/dpdk/*_bench.c))
BUSY     := $(BUILD)/tests/busy
PACKETS  := $(BUILD)/tests/packets
FUZZERS  := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all module dpdk-tests dpdk-programs deps test unit packets dpdk system system-dpdk vm fuzz bench lint format asan cover docs install deb demo \
	help clean tests unit-programs packets-program fuzz-programs

all: $(PROGRAMS) module ## build weftd, weftctl, weftlab and what labs need into build/

## Packages: installed by name; anything that is compiled waits for them.
$(BUILD)/.packages: Makefile
	@mkdir -p $(@D)
	@tests/packages.sh $(PACKAGES)
	@touch $@

deps: $(BUILD)/.packages ## install the Debian packages that weft needs

bpf_compile = $(Q)$(BPF_CLANG) -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror $(BPF_CPPFLAGS) -Iinclude -I. \
		-I/usr/include/$(shell uname -m)-linux-gnu -c $< -o $@
bpf_skeleton = $(Q)PATH=$$PATH:/usr/sbin bpftool gen skeleton $< name $(subst .,_,$*)_bpf > $@

$(BUILD)/bpf/%.bpf.o: ebpf/%.bpf.c $(BPF_DEPS) | $(BUILD)/.packages
	@mkdir -p $(@D)
	$(call say,BPF)
	$(bpf_compile)

$(BUILD)/bpf/replay.bpf.o: tests/packets/bpf/replay.bpf.c tests/packets/bpf/replay.h $(BPF_DEPS) | $(BUILD)/.packages
	@mkdir -p $(@D)
	$(call say,BPF)
	$(bpf_compile)

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(bpf_skeleton)

$(BUILD)/obj/%.o: %.c | $(BUILD)/.packages $(SKELETONS)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/weftd: $(call objects,daemon/main.c) $(DAEMON) $(DATAPATH)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -rdynamic $(LDFLAGS) $^ $(LIBS) -o $@

## The dpdk engine: a module, built where libdpdk is installed. It takes tables and logging from the program
## that opens it. DPDK's flags are asked for when they are used: make itself may have just installed it.
module: | $(BUILD)/.packages $(SKELETONS)
	@if pkg-config --exists libdpdk; then $(MAKE) --no-print-directory $(BUILD)/weft-dpdk.so; \
	else echo 'no libdpdk: weft-dpdk.so is not built, weftd has no dpdk engine'; fi

# What they share with the programs is there first: two makes must not write one object.
dpdk-tests: module $(DATAPATH) $(call objects,daemon/log.c) | $(BUILD)/.packages
	@! pkg-config --exists libdpdk || $(MAKE) --no-print-directory $(DPDK_TOOLS) $(DPDK_C) $(BUSY)/weft-dpdk.so

# For sanitizers: what system tests use is not among them.
dpdk-programs: $(DATAPATH) $(call objects,daemon/log.c) | $(BUILD)/.packages
	@! pkg-config --exists libdpdk || $(MAKE) --no-print-directory $(DPDK_C)

DPDK_CFLAGS = $(subst -I,-isystem ,$(shell pkg-config --cflags libdpdk))
DPDK_LIBS   = $(shell pkg-config --libs libdpdk) -Wl,--push-state,--no-as-needed -lrte_mempool_ring -Wl,--pop-state -lcap-ng

$(BUILD)/obj/datapath/dpdk/%.o $(BUILD)/obj/tests/dpdk/%.o: CPPFLAGS += $(DPDK_CFLAGS) -DALLOW_EXPERIMENTAL_API -fPIC

$(BUILD)/weft-dpdk.so: $(DPDK)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -shared $(LDFLAGS) $^ $(DPDK_LIBS) -o $@

$(BUILD)/tests/dpdk/%: $(BUILD)/obj/tests/dpdk/%.o $(DPDK) $(call objects,daemon/log.c) $(DATAPATH)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(DPDK_LIBS) $(LIBS) -lcmocka -o $@

$(BUILD)/tests/dpdk/tools/%: $(BUILD)/obj/tests/dpdk/tools/%.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(DPDK_LIBS) -o $@

## For tests alone: both engines with a stage more, which is busy (tests/busy). The rest is what `make` builds.
$(BUSY)/%.bpf.o: tests/busy/%.bpf.c ebpf/%.bpf.c $(wildcard tests/busy/*.h) $(BPF_DEPS) | $(BUILD)/.packages
	@mkdir -p $(@D)
	$(call say,BPF)
	$(bpf_compile)

$(BUSY)/%.skel.h: $(BUSY)/%.bpf.o
	$(bpf_skeleton)

$(BUILD)/obj/busy/load.o: datapath/ebpf/load.c $(BUSY)/weft_tc.skel.h | $(BUILD)/.packages $(SKELETONS)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -I$(BUSY) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUSY)/weftd: $(call objects,daemon/main.c) $(DAEMON) $(filter-out %/ebpf/load.o,$(DATAPATH)) $(BUILD)/obj/busy/load.o
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -rdynamic $(LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/obj/tests/busy/%.o: CPPFLAGS += $(DPDK_CFLAGS) -DALLOW_EXPERIMENTAL_API -fPIC
$(BUSY)/weft-dpdk.so: $(filter-out %/dpdk/burst.o,$(DPDK)) $(call objects,tests/busy/burst.c)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -shared $(LDFLAGS) $^ $(DPDK_LIBS) -o $@

$(BUILD)/weftctl: $(call objects,$(wildcard ctl/*.c ctl/path/*.c))
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -lcurl -ljansson -lm -o $@

$(BUILD)/weft-guest: $(GUEST)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -ljansson -o $@

$(BUILD)/weft-wire: $(WIRE)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -lm -o $@

$(BUILD)/weftlab: $(LAB) $(filter-out %/main.o,$(GUEST)) $(call objects,daemon/near.c daemon/target.c)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -lnl-route-3 -lnl-3 -lyaml -ljansson -o $@

$(BUILD)/tests/taptimes: TOOL_LIBS := -lpcap
$(BUILD)/tests/%: $(BUILD)/obj/tests/tools/%.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ -lbpf -lxxhash -lpthread $(TOOL_LIBS) -o $@

$(BUILD)/tests/unit/path_test: $(call objects,ctl/path/walk.c ctl/path/way.c ctl/path/result.c)
$(BUILD)/tests/unit/trace_packet_test: $(call objects,ctl/trace_packet.c ctl/words.c)
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(DAEMON) $(DATAPATH)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBS) -lcmocka -o $@

$(BUILD)/tests/system/%: $(BUILD)/obj/tests/system/%.o $(DAEMON) $(DATAPATH)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBS) -lcmocka -o $@

$(PACKETS): $(call objects,$(wildcard tests/packets/*.c)) $(call objects,daemon/log.c) $(DATAPATH)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -rdynamic $(LDFLAGS) $^ $(LIBS) -lcmocka -o $@

## libFuzzer wants the whole program built by clang with its own flags, in a tree of its own.
WORLD := $(call objects,$(addprefix tests/packets/,world.c services_world.c frame.c tunnel.c))
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(WORLD) $(DAEMON) $(DATAPATH)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -fsanitize=fuzzer $^ $(LIBS) -lcmocka -o $@

tests: all $(UNIT) $(SYSTEM_C) $(TOOLS) $(PACKETS) $(BUSY)/weftd dpdk-tests ## build every test

test: tests ## run every suite (root)
	@BUILD=$(BUILD) tests/run.sh lint unit packets system system-dpdk vm dpdk packets-clang-19 asan fuzz

unit: $(UNIT) ## unit tests: no root, no network
	@BUILD=$(BUILD) tests/run.sh unit

packets: $(PACKETS) ## golden packets through every engine (what needs root is named as skipped)
	@BUILD=$(BUILD) tests/run.sh packets

system: tests ## namespaces, taps, real weftd and weftctl (root)
	@BUILD=$(BUILD) tests/run.sh system

dpdk: tests ## the dpdk engine's drivers and offloads (root)
	@BUILD=$(BUILD) tests/run.sh dpdk

system-dpdk: tests ## what of `system` concerns an engine, with dpdk (root)
	@BUILD=$(BUILD) tests/run.sh system-dpdk

vm: tests ## QEMU guests (root)
	@BUILD=$(BUILD) tests/run.sh vm

fuzz: ## a short run of each libFuzzer target
	@BUILD=$(BUILD) tests/run.sh fuzz

asan: ## unit, packets and dpdk (root) under ASan and UBSan, built by clang
	@BUILD=$(BUILD) tests/run.sh asan

bench: tests ## benchmarks: table, JSON and plot in build/bench (root)
	@! pkg-config --exists libdpdk || $(MAKE) --no-print-directory $(DPDK_BENCH)
	@BUILD=$(BUILD) tests/bench/run.sh

unit-programs: $(UNIT)
packets-program: $(PACKETS)
fuzz-programs: $(FUZZERS)

lint: | $(BUILD)/.packages ## format, headers, include rules, shell scripts
	@BUILD=$(BUILD) tests/lint.sh

format: ## clang-format every C file
	clang-format-14 -i $$(git ls-files '*.c' '*.h')

cover: ## line coverage of unit and packets (gcov) into build/cover
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/cover CFLAGS="-O0 -g --coverage" unit packets
	@cd $(BUILD)/cover && gcov -r -s $(CURDIR) $$(find obj -name '*.gcda') | \
		awk '/^File/{f=$$2} /^Lines/{print f, $$2}' | sort -u | tee summary.txt

docs: $(BUILD)/weftd ## man pages from the command table
	$(BUILD)/weftd --man > docs/weftctl.8

install: all ## install below PREFIX (default /usr/local)
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/sbin $(BUILD)/weftd
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(addprefix $(BUILD)/,weftctl weftlab weft-wire weft-guest)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/weft/topo/labs topo/labs/*.yaml
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/share/weft/topo/guest topo/guest/build.sh topo/guest/init topo/guest/agent
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/weft/topo/guest topo/guest/nginx.conf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 docs/weftctl.8
	install -D -m 644 ctl/weftctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weftctl
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local|$(PREFIX)|' daemon/weftd.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/weftd.service

DEB := $(BUILD)/weft_$(VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb
deb: all ## a Debian package in build/
	@rm -rf $(BUILD)/deb
	@$(MAKE) --no-print-directory install DESTDIR=$(BUILD)/deb PREFIX=/usr
	@mkdir -p $(BUILD)/deb/DEBIAN
	@printf '%s\n' 'Package: weft' 'Version: $(VERSION)' 'Section: net' 'Priority: optional' \
		'Architecture: $(shell dpkg --print-architecture 2>/dev/null)' \
		'Maintainer: the Weft authors <weft@localhost>' \
		'Depends: $(subst $(empty) ,$(comma) ,$(strip $(PACKAGES_DEB)))' \
		'Suggests: qemu-system-x86, openvswitch-switch' \
		'Description: virtual switch and network virtualization for hosts that run VMs' \
		> $(BUILD)/deb/DEBIAN/control
	@dpkg-deb --root-owner-group --build $(BUILD)/deb $(DEB)

demo: all ## the main job with real VMs: pages, a balancer, where their time goes (root; KEEP=1 leaves it running)
	@BUILD=$(BUILD) KEEP=$(KEEP) topo/demo.sh

clean: ## remove build/
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | sort | expand -t 12

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

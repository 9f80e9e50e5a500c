#!/usr/bin/env bats
# Lazy layers become ordinary ones behind their readers, whatever happens to the worker; and starts are recorded.
load lib.bash
load lazy.bash

setup_file() {
	lazy_setup_file gzip estargz zstd-chunked
	lazy_tools || return 0
	lazy_expect files/large files/text
}
teardown_file() { scratch_remove; }
setup() {
	lazy_setup
	need_engine fanotify
}
teardown() { lazy_remove; }

@test "what is mounted becomes whole under its readers, and nothing stays behind" {
	for format in estargz zstd-chunked; do
		orlop pull -q --lazy "$REGISTRY/lazy:$format"
		tree=$(orlop mount --lazy "$REGISTRY/lazy:$format")
		cmp "$tree/files/large" "$WORK/expected/files/large"
		lazy_wait
		cmp "$tree/files/text" "$WORK/expected/files/text" || { cat "$ORLOP_RUN"/*/lazy/log; return 1; }
		orlop umount "$tree"
	done
	orlop check
	for _ in $(seq 100); do [ -z "$(lazy_processes)" ] && break; sleep 0.1; done
	[ -z "$(lazy_processes)" ]
	[ -z "$(ls "$ORLOP_ROOT/lazy")" ]
	[ -z "$(ls "$ORLOP_ROOT/ingest")" ]
	# As any other: what is listed is what an eager pull lists.
	ORLOP_ROOT=$WORK/eager ORLOP_RUN=$WORK/eager-run orlop pull -q "$REGISTRY/lazy:estargz"
	digest() { jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] | endswith(":estargz")).digest' "$1/index.json"; }
	[ "$(digest "$ORLOP_ROOT")" = "$(digest "$WORK/eager")" ]
}

@test "a worker that is killed again and again gets there" {
	link_start --rate 4000000
	orlop pull -q --lazy "$LINK/lazy:estargz"
	tree=$(orlop mount --lazy "$LINK/lazy:estargz")
	for _ in $(seq 5); do
		for pid in $(lazy_processes); do grep -qsa lazy-worker "/proc/$pid/cmdline" && kill -9 "$pid"; done
		sleep 0.2
	done
	cmp "$tree/files/large" "$WORK/expected/files/large"
	lazy_wait
	orlop umount "$tree"
	orlop check
}

@test "an image that is removed while it is filled leaves nothing" {
	link_start --rate 200000
	orlop pull -q --lazy "$LINK/lazy:estargz"
	sleep 1
	orlop rmi "$LINK/lazy:estargz"
	for _ in $(seq 200); do [ -z "$(lazy_processes)" ] && break; sleep 0.1; done
	[ -z "$(lazy_processes)" ]
	orlop gc
	[ -z "$(ls "$ORLOP_ROOT/lazy" "$ORLOP_ROOT/ingest" | grep -v :)" ]
}

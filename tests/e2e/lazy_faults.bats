#!/usr/bin/env bats
# What happens to readers of lazy layers when something else fails: they wait, go on, or get EIO, and never see a byte that is wrong.
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
	LARGE=$(sha256sum < "$WORK/expected/files/large")
	WRONG=$(place_in_blob estargz 1 "$WORK/expected/files/large" 700000)
}
teardown() {
	[ -z "${RUN:-}" ] || orlop rm -f sailor || true
	lazy_remove
}

# lazy_mount ENGINE [OPTION...]: nothing comes but what is read: sets TREE.
lazy_mount() {
	local engine=$1
	shift
	need_engine "$engine"
	[ -n "${LINK:-}" ] || link_start
	IMAGE=$LINK/lazy:${FORMAT:-estargz}
	orlop pull -q --lazy --lazy-engine "$engine" --no-fill "$@" "$IMAGE"
	TREE=$(orlop mount --lazy "$IMAGE")
}
large() { sha256sum < "$TREE/files/large"; }
right() {
	check large
	[ "$status" -eq 0 ]
	[ "$output" = "$LARGE" ]
}
# Nothing of the file is there that is not as it should be: what could be read of it is its beginning.
fails_with_eio() {
	check bash -c "timeout 40 cat '$TREE/files/large' > '$WORK/got'"
	[ "$status" -eq 1 ]
	[[ "$output" == *"Input/output error"* ]]
	cmp -n "$(stat -c %s "$WORK/got")" "$WORK/got" "$WORK/expected/files/large"
	[ "$(stat -c %s "$WORK/got")" -lt "$(stat -c %s "$WORK/expected/files/large")" ]
}
# reader: reads it all in the background, into $WORK/read.
reader() {
	large > "$WORK/read" 2>&1 3>&- &
	READER=$!
}
reader_waits() {
	kill -0 "$READER"
	[ ! -s "$WORK/read" ]
}
reader_is_right() {
	wait "$READER"
	[ "$(cat "$WORK/read")" = "$LARGE" ]
}
tidy() {
	orlop umount "$TREE"
	orlop check
	no_mounts_left
}

waits_for_registry() {
	lazy_mount "$1" --lazy-timeout 30
	link_tell down=refuse
	reader
	sleep 2
	reader_waits
	link_tell down=no
	reader_is_right
	tidy
}
@test "registry away for a while: readers wait and go on, fanotify" { waits_for_registry fanotify; }
@test "registry away for a while: readers wait and go on, fuse" { waits_for_registry fuse; }

gives_up() {
	lazy_mount "$1" --lazy-timeout 2
	link_tell down="$2"
	fails_with_eio
	link_tell down=no
	right
	tidy
}
@test "registry away for too long: EIO, and right again when it is back, fanotify" { gives_up fanotify refuse; }
@test "registry that says nothing for too long: EIO, and right again when it is back, fuse" { gives_up fuse hang; }
@test "registry that answers 503 for too long: EIO, and right again when it is back" { gives_up fanotify error; }

@test "a wrong chunk from the only registry: EIO, and a line that names image, layer and chunk" {
	link_start
	lazy_mount fanotify --lazy-timeout 3
	link_tell "corrupt=$WRONG"
	fails_with_eio
	check lazy_log
	[[ "$output" == *"$IMAGE"* ]]
	grep "$(orlop inspect --format '{{index .RootFS.Layers 1}}' "$IMAGE")" <<< "$output" | grep -E 'chunk [0-9]+ \(bytes [0-9]+ to [0-9]+ of the blob\) is wrong'
	link_tell corrupt=no
	right
	tidy
}
@test "a chunk that is wrong once is fetched again" {
	link_start
	lazy_mount fanotify
	link_tell "corrupt=$WRONG:1"
	right
	[ "$(link_tell | jq .corrupted)" -ge 1 ]
	tidy
}
@test "a wrong chunk from a mirror is fetched from the registry" {
	need_engine fanotify
	link_start
	mkdir -p "$ORLOP_HOSTS_DIR/$REGISTRY"
	printf 'server = "http://%s"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$REGISTRY" "$LINK" > "$ORLOP_HOSTS_DIR/$REGISTRY/hosts.toml"
	orlop pull -q --lazy --no-fill "$REGISTRY/lazy:estargz"
	TREE=$(orlop mount --lazy "$REGISTRY/lazy:estargz")
	link_tell "corrupt=$WRONG"
	right
	[ "$(link_tell | jq .corrupted)" -ge 1 ]
	tidy
}
@test "signed URLs that expire, and a 401, are asked for anew" {
	link_start
	link_tell sign=1
	lazy_mount fanotify
	cat "$TREE/files/text" | cmp - "$WORK/expected/files/text"
	link_tell expire=1 unauthorized=1
	right
	grep -q ' own ' "$WORK/link.log"
	tidy
}

# survives ROLE ENGINE: a container reads while what serves it is killed every 200 ms.
survives() {
	need_engine "$2"
	link_start --rate 1500000
	coproc KILLER { exec "$TESTS/lazy-kill" "$ORLOP_RUN" "$1" "$(kill_every)"; }
	check timeout 60 "$ORLOP" run --rm --lazy --lazy-engine "$2" "$LINK/lazy:estargz" sh -c 'sha256sum /files/text /files/large; echo done'
	[ "$status" -eq 0 ] || { lazy_log; false; }
	[[ "$output" == *"${LARGE%% *}"* ]]
	[[ "$output" == *"$(sha256sum < "$WORK/expected/files/text" | cut -c 1-64)"* ]]
	exec {KILLER[1]}>&-
	read -r killed <&"${KILLER[0]}"
	echo "$killed were killed"
	[ "$killed" -ge 2 ]
	lazy_wait
	orlop check
	no_lazy_processes
}
@test "workers killed every 200 ms: the container goes on, fanotify" { survives worker fanotify; }
@test "workers killed every 200 ms: the container goes on, fuse" { survives worker fuse; }

# The holder alone; the worker starts another that adopts.
holder_killed() {
	link_start --rate 1000000
	lazy_mount "$1"
	reader
	sleep 0.3
	[ "$("$TESTS/lazy-kill" "$ORLOP_RUN" holder)" -eq 1 ]
	reader_is_right
	cmp "$TREE/files/text" "$WORK/expected/files/text"
	check orlop ps
	[[ "$output" != *zeros* ]]
	tidy
}
@test "the holder killed: readers wait and go on, fanotify" { holder_killed fanotify; }
@test "the holder killed: readers wait and go on, fuse" { holder_killed fuse; }

@test "the program replaced: the next worker is the new one" {
	mkdir "$WORK/bin"
	cp "$ORLOP" "$WORK/bin/orlop"
	ORLOP=$WORK/bin/orlop
	link_start --rate 2000000
	lazy_mount fanotify
	reader
	cp "$ORLOP" "$WORK/bin/new"
	mv "$WORK/bin/new" "$ORLOP"
	[ "$("$TESTS/lazy-kill" "$ORLOP_RUN" worker)" -eq 1 ]
	reader_is_right
	cmp "$TREE/files/text" "$WORK/expected/files/text"
	[ "$(readlink "/proc/$(held_pid worker)/exe")" = "$ORLOP" ]
	tidy
}

@test "holder and worker killed: the next command names the containers that may have read zeros" {
	need_engine fanotify
	link_start
	orlop pull -q --lazy --lazy-engine fanotify --no-fill "$LINK/lazy:estargz"
	"$ORLOP" run --rm --lazy --name sailor "$LINK/lazy:estargz" sh -c 'echo up; sleep 100' > "$WORK/run.out" 2>&1 3>&- &
	RUN=$!
	for _ in $(seq 100); do [ -s "$WORK/run.out" ] && break; sleep 0.1; done
	[ "$("$TESTS/lazy-kill" "$ORLOP_RUN" both)" -eq 2 ]
	check orlop ps
	[ "$status" -eq 0 ]
	[[ "$output" == *"container sailor of $LINK/lazy:estargz may have read zeros"* ]]
	check orlop ps # it is said once
	[[ "$output" != *"zeros"* ]]
	orlop rm -f sailor
	wait "$RUN" || true
	RUN=
	# A new container of it reads what is right.
	check orlop run --rm --lazy "$LINK/lazy:estargz" sh -c 'sha256sum /files/large'
	[ "$status" -eq 0 ]
	[[ "$output" == *"${LARGE%% *}"* ]]
	orlop check
}

@test "SIGTERM does not end the holder while something needs it" {
	lazy_mount fanotify
	kill "$(held_pid holder)"
	right
	tidy
	no_lazy_processes
}

@test "the machine starts anew: what was fetched is found, and mounts come back on demand" {
	link_start
	lazy_mount fanotify
	right
	"$TESTS/lazy-kill" "$ORLOP_RUN" both >/dev/null
	unmount_below "$WORK"
	rm -rf --one-file-system "$ORLOP_RUN"
	"$TESTS/e2e/change-boot" "$ORLOP_ROOT"
	link_tell reset=1 "corrupt=$WRONG" # what is fetched again of the large file is counted, and would be wrong
	TREE=$(orlop mount --lazy "$IMAGE")
	right
	[ "$(link_tell | jq .corrupted)" -eq 0 ]
	cmp "$TREE/files/text" "$WORK/expected/files/text"
	tidy
}

@test "disk full: EIO and why, and right again when there is room" {
	truncate -s 64M "$WORK/small.ext4"
	mkfs.ext4 -q -F "$WORK/small.ext4"
	mkdir "$WORK/small"
	mount -o loop "$WORK/small.ext4" "$WORK/small"
	export ORLOP_ROOT=$WORK/small/root
	link_start
	lazy_mount fanotify --lazy-timeout 2
	dd if=/dev/zero of="$WORK/small/filler" bs=1M status=none || true
	dd if=/dev/zero of="$WORK/small/filler2" bs=4k status=none || true
	fails_with_eio
	check lazy_log
	[[ "$output" == *"No space left"* ]]
	rm "$WORK/small/filler" "$WORK/small/filler2"
	right
	orlop umount "$TREE"
	orlop check
	no_lazy_processes
	umount "$WORK/small"
	no_mounts_left
}

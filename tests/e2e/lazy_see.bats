#!/usr/bin/env bats
# Seeing lazy layers, waiting for them, and what commands that need a whole image make of one that is not.
load lib.bash
load lazy.bash

setup_file() {
	scratch_make
	tools_are_there || return 0
	registry_start
	lazy_image gzip
	lazy_image estargz
}
teardown_file() { scratch_remove; }
tools_are_there() { command -v docker-registry >/dev/null && command -v skopeo >/dev/null && command -v python3 >/dev/null; }
setup() {
	need_root
	need_driver erofs
	need docker-registry skopeo jq python3
	store "-$BATS_TEST_NUMBER"
	export ORLOP_HOSTS_DIR=$WORK/hosts-$BATS_TEST_NUMBER # not what this machine has configured
	mkdir -p "$ORLOP_HOSTS_DIR"
}
teardown() { lazy_remove; }

lazies() { orlop ps --lazy -q | wc -l; }

@test "ps --lazy: every layer that is not whole, as a table, by template and as JSON" {
	orlop pull -q --lazy --no-fill "$REGISTRY/lazy:estargz"
	[ "$(lazies)" -eq 3 ]
	check orlop ps --lazy
	[[ "${lines[0]}" == LAYER*IMAGE*FORMAT*STATE*PRESENT* ]]
	[[ "${lines[1]}" == *"$REGISTRY/lazy:estargz"*estargz*idle*" of "* ]]
	check orlop ps --lazy --format '{{.Format}} {{.Waiting}}'
	[ "${lines[0]}" = "estargz 0" ]
	check orlop ps --lazy --json
	[ "$(jq length <<< "$output")" -eq 3 ]
	jq -e 'all(.[]; .Present + .Missing == .Size and (.Bytes | has("demand") and has("background")) and .State == "idle")' <<< "$output"
}
@test "ps --lazy: reads are counted by why bytes came, and a mount shows the engine" {
	orlop pull -q --lazy --no-fill "$REGISTRY/lazy:estargz"
	dir=$(orlop mount "$REGISTRY/lazy:estargz")
	find "$dir" -type f -size +0 -print0 | xargs -0 cat > /dev/null
	orlop ps --lazy --json > "$WORK/rows"
	jq -e 'any(.[]; .Misses > 0) and any(.[]; .Bytes.demand > 0) and any(.[]; .PayloadPresent > 0) and all(.[]; .Engine | test("fanotify|fuse"))' "$WORK/rows"
	orlop umount "$dir"
}
@test "pull --lazy --wait: back when every layer is whole, and nothing is left" {
	check orlop pull --lazy --wait "$REGISTRY/lazy:estargz"
	[ "$status" -eq 0 ]
	[ "$(lazies)" -eq 0 ]
	check orlop check
	[ "$status" -eq 0 ]
}
@test "pull --lazy --wait: also of what was pulled with --no-fill, while it is mounted" {
	orlop pull -q --lazy --no-fill "$REGISTRY/lazy:estargz"
	dir=$(orlop mount "$REGISTRY/lazy:estargz")
	cat "$dir"/etc/* > /dev/null 2>&1 || true
	orlop pull -q --lazy --wait "$REGISTRY/lazy:estargz"
	[ "$(lazies)" -eq 0 ]
	orlop umount "$dir"
}
@test "save, export and push of an image that is not whole complete it first" {
	incomplete() { orlop pull -q --lazy --no-fill "$REGISTRY/lazy:estargz"; [ "$(lazies)" -eq 3 ]; }
	incomplete
	orlop save -o "$WORK/saved.tar" "$REGISTRY/lazy:estargz"
	[ "$(lazies)" -eq 0 ]
	[ "$(skopeo inspect --format '{{len .Layers}}' "docker-archive:$WORK/saved.tar")" -eq 4 ]
	orlop rmi "$REGISTRY/lazy:estargz"
	incomplete
	orlop export -o "$WORK/tree.tar" "$REGISTRY/lazy:estargz"
	[ "$(lazies)" -eq 0 ]
	tar -tf "$WORK/tree.tar" > /dev/null
	orlop rmi "$REGISTRY/lazy:estargz"
	incomplete
	orlop push "$REGISTRY/lazy:estargz" "$REGISTRY/lazy-copy:1"
	[ "$(lazies)" -eq 0 ]
	skopeo inspect --tls-verify=false "docker://$REGISTRY/lazy-copy:1" > /dev/null
}
@test "rmi of an image that is not whole: its folder, its bytes and its processes go" {
	orlop pull -q --lazy --lazy-rate 64k "$REGISTRY/lazy:estargz"
	orlop rmi "$REGISTRY/lazy:estargz"
	[ "$(lazies)" -eq 0 ]
	[ -z "$(ls "$ORLOP_ROOT/lazy")" ]
	check orlop check
	[ "$status" -eq 0 ]
	no_lazy_processes
}

#!/usr/bin/env bats
# Tables of contents that lie about a layer, of each format, bound by digests as a hostile author binds them: the layer is pulled whole, or what
# is read of it is right or EIO. What no table can be caught at before the layer is whole (docs/architecture.md) is caught then.
load lib.bash
load lazy.bash

setup_file() {
	lazy_setup_file gzip
	lazy_tools || return 0
	store -index
	"$ORLOP" index create -q --min-layer-size 64k --span-size 256k "$REGISTRY/lazy:gzip" >/dev/null
	"$ORLOP" index push -q "$REGISTRY/lazy:gzip" "$REGISTRY/lazy:soci" >/dev/null
	store_remove
	[ "$(id -u)" = 0 ] || return 0 # its layer 1 has devices
	lazy_expect
}
teardown_file() { scratch_remove; }
setup() { lazy_setup; }
teardown() { lazy_remove; }

# true_or_eio TREE: reads each file of layer 1 and prints how many were right and how many were refused; 1 if anything else was seen.
true_or_eio() {
	python3 - "$1" "$WORK/expected" <<-'PY'
	import errno, os, stat, sys
	tree, expected = sys.argv[1:]
	right = refused = 0
	for folder, _, names in os.walk(expected):
	    for name in names:
	        path = os.path.join(folder, name)
	        if "/gone/" in path or name in ("removed", "000") or not stat.S_ISREG(os.lstat(path).st_mode): continue
	        whole = open(path, "rb").read()
	        at = 0
	        try:
	            with open(tree + path[len(expected):], "rb", buffering=0) as file:
	                for at in range(0, len(whole), 4096):
	                    got = os.pread(file.fileno(), 4096, at)
	                    if got != whole[at:at + 4096]: sys.exit(f"{path}: other bytes at {at}")
	            right += 1
	        except OSError as error:
	            if error.errno != errno.EIO: raise
	            refused += 1
	print(f"right {right} refused {refused}")
	PY
}
harmed() {
	[ -d "$WORK/harmed-$1-$2" ] || "$REPO/fixtures/make-lazy" "$1" "$WORK/harmed-$1-$2" --harm "$2"
	"$TESTS/push-layout" "$WORK/harmed-$1-$2" "$REGISTRY/harmed:$1-$2"
	IMAGE=$REGISTRY/harmed:$1-$2
}
# Mounts IMAGE, of which nothing comes but what is read.
lazy_mount() {
	orlop pull -q --lazy --no-fill --lazy-engine "${1:-fanotify}" --lazy-timeout 3 "$IMAGE" >/dev/null
	TREE=$(orlop mount --lazy "$IMAGE")
}
# As a whole pull has it, mounted anew.
whole_tree_is_right() {
	orlop umount "$TREE"
	orlop pull -q "$IMAGE" >/dev/null
	[ "$(lazy_rows)" -eq 0 ]
	TREE=$(orlop mount "$IMAGE")
	check true_or_eio "$TREE"
	[[ "$output" == "right "*" refused 0" ]]
	orlop umount "$TREE"
	orlop check
}

# refuses FORMAT HARM: some of it is refused, none of it is wrong.
refuses() {
	harmed "$1" "$2"
	lazy_mount "${3:-fanotify}"
	[ "$(lazy_rows)" -gt 0 ]
	check true_or_eio "$TREE"
	[ "$status" -eq 0 ]
	[[ "$output" != *"refused 0" ]]
}
@test "digests of chunks that are others' are EIO, and a whole pull is right" {
	need_engine fanotify
	for format in estargz estargz-47 zstd-chunked zstd-old zstd-stargz; do
		refuses $format chunk-digest
		whole_tree_is_right
		lazy_remove
	done
}
@test "digests of chunks that are others' are EIO by fuse" { need_engine fuse; refuses estargz chunk-digest fuse; }
@test "chunks that have each other's place are EIO, and a whole pull is right" {
	need_engine fanotify
	for format in estargz zstd-chunked zstd-old zstd-stargz; do
		refuses $format chunk-swap
		whole_tree_is_right
		lazy_remove
	done
}
@test "chunks with other bytes than table and layer say are EIO, and the layer never becomes whole" {
	need_engine fanotify
	for format in estargz zstd-chunked zstd-old zstd-stargz; do
		refuses $format chunk-bytes
		orlop umount "$TREE"
		check orlop pull -q "$IMAGE"
		[ "$status" -ne 0 ]
		[ "$(lazy_rows)" -gt 0 ]
		lazy_remove
	done
}
@test "hard links that go round are no layer" {
	need_engine fanotify
	for format in estargz zstd-chunked zstd-old zstd-stargz; do
		harmed $format cycle
		check orlop pull --lazy --no-fill "$IMAGE"
		[[ "$output" == *"is pulled whole"* ]]
		lazy_remove
	done
}
@test "what no format may say is refused in all of them" {
	for format in zstd-old zstd-stargz; do
		for harm in chunk-outside chunk-overlap size footer version truncated toc-digest unbound bomb toc-bytes; do
			[ "$format-$harm" != zstd-stargz-toc-digest ] || continue # one of two annotations
			harmed $format $harm
			check orlop pull --lazy --no-fill "$IMAGE"
			[ "$status" -eq 0 ]
			[[ "$output" == *"2 of 4 layers are lazy"* ]]
			lazy_remove
		done
	done
}

@test "a table of another mode is found out: readers get EIO, the log says so once, and reads are not logged one by one" {
	need_engine fanotify
	harmed estargz mode
	lazy_mount
	check true_or_eio "$TREE"
	[[ "$output" == *"refused 0" ]]
	check timeout 60 "$ORLOP" pull -q "$IMAGE"
	check lazy_log
	[ "$(grep -c "is not what its table of contents says" <<< "$output")" -eq 1 ]
	[[ "$output" == *"has another mode in the layer"* ]]
	# Nobody who goes on reading fills the log.
	python3 - "$TREE" <<-'PY'
	import os, sys
	file = os.open(sys.argv[1] + "/files/many/001", os.O_RDONLY)
	for _ in range(1000):
	    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
	    try: os.pread(file, 4096, 0)
	    except OSError: pass
	PY
	lazy_log | tail -n 20
	[ "$(lazy_log | grep -c "a read of bytes")" -le 20 ]
	orlop umount "$TREE"
	TREE=$(orlop mount "$IMAGE")
	check true_or_eio "$TREE"
	[[ "$output" == "right "*" refused 0" ]]
	orlop umount "$TREE"
}

# soci HARM: layer 1 of IMAGE has a ztoc with this harm.
soci() {
	"$TESTS/e2e/harm-index" "$REGISTRY/lazy:soci" "soci-$1" ztoc 1 "$1"
	IMAGE=$REGISTRY/lazy:soci-$1
}
@test "checkpoints that lie about where inflating begins are EIO, and a whole pull is right" {
	need_engine fanotify
	for harm in in bits out digest; do
		echo "harm: $harm"
		soci $harm
		lazy_mount
		check true_or_eio "$TREE"
		[ "$status" -eq 0 ]
		[[ "$output" != *"refused 0" ]]
		whole_tree_is_right
		lazy_remove
	done
}
@test "a ztoc that contradicts itself is refused" {
	for harm in outside back count sizes cut; do
		echo "harm: $harm"
		soci $harm
		check orlop pull --lazy --no-fill "$IMAGE"
		[ "$status" -eq 0 ]
		[[ "$output" == *"warning: layer "*" is pulled whole: "* ]]
		[[ "$output" == *"2 of 4 layers are lazy"* ]]
		lazy_remove
	done
}
@test "a window that lies is found out when the layer is whole, and readers get EIO" {
	need_engine fanotify
	soci window
	lazy_mount
	cat "$TREE/files/text" > /dev/null
	cat "$TREE"/files/many/* > /dev/null || true
	orlop pull -q "$IMAGE" || true
	check lazy_log
	[[ "$output" == *"is not what its table of contents says"* ]]
	orlop umount "$TREE"
	TREE=$(orlop mount "$IMAGE")
	check true_or_eio "$TREE"
	[[ "$output" == "right "*" refused 0" ]]
	orlop umount "$TREE"
}

@test "a ztoc that takes the gzip header to be short counts where it is" {
	need_engine fanotify
	soci implied
	lazy_mount
	check true_or_eio "$TREE"
	[[ "$output" == "right "*" refused 0" ]]
	lazy_remove
	lazy_image gzip-named
	orlop index create -q --min-layer-size 64k --span-size 256k "$REGISTRY/lazy:gzip-named"
	orlop index push -q "$REGISTRY/lazy:gzip-named" "$REGISTRY/lazy:soci-named"
	"$TESTS/e2e/harm-index" "$REGISTRY/lazy:soci-named" soci-named-implied ztoc 1 implied
	IMAGE=$REGISTRY/lazy:soci-named-implied
	check orlop pull --lazy --no-fill "$IMAGE"
	[ "$status" -eq 0 ]
	[[ "$output" == *"is pulled whole: its gzip header is longer"* ]]
	[[ "$output" == *"2 of 4 layers are lazy"* ]]
	lazy_remove
	IMAGE=$REGISTRY/lazy:soci-named
	lazy_mount
	check true_or_eio "$TREE"
	[[ "$output" == "right "*" refused 0" ]]
}

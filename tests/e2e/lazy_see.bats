#!/usr/bin/env bats
# Seeing lazy layers, waiting for them, and what commands that need a whole image make of one that is not.
load lib.bash
load lazy.bash

setup_file() { lazy_setup_file gzip estargz; }
teardown_file() { scratch_remove; }
setup() { lazy_setup; }
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
	no_lazy_processes # who just found it whole may still keep it
	incomplete
	orlop export -o "$WORK/tree.tar" "$REGISTRY/lazy:estargz"
	[ "$(lazies)" -eq 0 ]
	tar -tf "$WORK/tree.tar" > /dev/null
	orlop rmi "$REGISTRY/lazy:estargz"
	no_lazy_processes # who just found it whole may still keep it
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

@test "images, history, inspect, df and check of an image that is not whole tell of all of it" {
	local size
	orlop pull -q "$REGISTRY/lazy:estargz"
	size=$(orlop images --json | jq '.[0].Size')
	orlop rmi "$REGISTRY/lazy:estargz"
	orlop pull -q --lazy --no-fill "$REGISTRY/lazy:estargz"
	echo "$size whole, $(orlop images --json | jq '.[0].Size') lazy"
	# As much as the whole image, but for an eStargz table's padding.
	[ "$(orlop images --json | jq ".[0].Size | (. - $size) | fabs < 20000")" = true ]
	[ "$(orlop inspect --format '{{.Size}}' "$REGISTRY/lazy:estargz")" = "$(orlop images --json | jq '.[0].Size')" ]
	orlop history "$REGISTRY/lazy:estargz"
	# On disk is what came: indexes, tables, and the ends of blobs.
	orlop df --json > "$WORK/df"
	[ "$(jq '.[] | select(.Type == "Layers").OnDisk' "$WORK/df")" -lt 1000000 ]
	check orlop check
	[ "$status" -eq 0 ]
	[[ "$output" == *"3 layers are not whole yet"*"no faults found"* ]]
	[ "$(orlop check --json 2>/dev/null | jq .count)" = 0 ]
	orlop gc
	[ "$(lazies)" -eq 3 ]
}
# Each thing beside a lazy layer, one bit of it wrong.
@test "a damaged lazy layer is found, and made whole" {
	local damaged
	"$ORLOP" index create -q --min-layer-size 64k "$REGISTRY/lazy:gzip" >/dev/null
	"$ORLOP" index push -q "$REGISTRY/lazy:gzip" "$REGISTRY/lazy:indexed" >/dev/null
	for what in seek window index.erofs; do
		orlop pull -q --lazy --no-fill "$REGISTRY/lazy:indexed"
		layer=$(orlop inspect --format '{{index .RootFS.Layers 1}}' "$REGISTRY/lazy:indexed")
		damaged=$ORLOP_ROOT/lazy/${layer#sha256:}/$what
		[ -e "$damaged" ] || damaged=$ORLOP_ROOT/layers/${layer#sha256:}/$what
		"$TESTS/e2e/harm-store" flip "$damaged"
		check orlop check
		[ "$status" -eq 1 ]
		[[ "$output" == *"layer $layer: "* ]]
		[[ "$output" == *"1 fault found"* ]]
		check orlop check --repair
		[ "$status" -eq 0 ]
		[[ "$output" == *"mended: layer $layer: fetched again"* ]]
		[ "$(lazies)" -eq 2 ]
		check orlop run --rm "$REGISTRY/lazy:indexed" sh -c "busybox sha256sum /files/text || sha256sum /files/text"
		[ "$status" -eq 0 ]
		[[ "$output" == *"$(tar -xzO -f "$WORK/lazy-gzip/blobs/sha256/$(layer_digest gzip 1 | cut -d: -f2)" files/text | sha256sum | cut -c 1-64)"* ]]
		orlop check
		orlop rmi "$REGISTRY/lazy:indexed"
		orlop gc
	done
}
@test "bytes that were fetched and then damaged are fetched again" {
	local blob tree
	orlop pull -q --lazy --no-fill "$REGISTRY/lazy:estargz"
	tree=$(orlop mount --lazy "$REGISTRY/lazy:estargz")
	head -c 1000000 "$tree/files/large" > /dev/null
	orlop umount "$tree"
	no_lazy_processes
	blob=$(layer_digest estargz 1)
	python3 - "$ORLOP_ROOT/ingest/${blob/:/-}/data" <<-'PY'
	import sys
	with open(sys.argv[1], "r+b") as file:
	    for at in range(0, 2000000, 50000):
	        file.seek(at); byte = file.read(1); file.seek(at); file.write(bytes([byte[0] ^ 4]))
	PY
	tree=$(orlop mount --lazy "$REGISTRY/lazy:estargz")
	[ "$(sha256sum < "$tree/files/large")" = "$(tar -xzO -f "$WORK/lazy-gzip/blobs/sha256/$(layer_digest gzip 1 | cut -d: -f2)" files/large | sha256sum)" ]
	orlop umount "$tree"
	orlop check
}

#!/usr/bin/env bats
# orlop's own indexes from one machine to the next: tables of contents that are pulled lazily, and profiles of starts that are recorded here
# and fetched there.
load lib.bash
load lazy.bash

setup_file() { lazy_setup_file gzip estargz; }
teardown_file() { scratch_remove; }
setup() { lazy_setup -one; }
teardown() {
	for each in one two whole; do machine $each; lazy_remove; done
}

# Another machine: a store and a run folder of its own.
machine() { store "-$BATS_TEST_NUMBER-$1"; }
# index_image TAG: lazy:TAG is lazy:gzip with an index that was made without storing the image.
index_image() {
	orlop index create -q --min-layer-size 64k --span-size 256k "$REGISTRY/lazy:gzip" >/dev/null
	orlop index push -q "$REGISTRY/lazy:gzip" "$REGISTRY/lazy:$1" >/dev/null
}
start() { orlop run --rm --lazy "$@" sh -c 'head -c 300000 /files/large | sha256sum; sha256sum /files/text' 2>/dev/null; }
# What the SOCI index of lazy:TAG lists, by media type.
listed() {
	local index
	index=$(skopeo inspect --tls-verify=false --raw "docker://$REGISTRY/lazy:$1" | jq -r '.manifests[] | select(.artifactType != null).digest')
	skopeo inspect --tls-verify=false --raw "docker://$REGISTRY/lazy@$index" | jq -c '.layers | map(.mediaType) | group_by(.) | map([.[0], length])'
}
# Bytes that starting lazy:TAG on a new machine took, by cause: demand and prefetch.
bytes_of_start() {
	machine two
	lazy_remove
	link_start --rtt 20 --rate 1000000
	orlop pull -q --lazy --lazy-rate 200k "$LINK/lazy:$1" > /dev/null
	local now last=-1 same=0
	for _ in $(seq 150); do # what starts need comes first: until there is so much of it, and no more comes for a second
		now=$(orlop ps --lazy --json | jq 'map(.Bytes.prefetch) | add // 0')
		[ "$now" = "$last" ] && same=$((same + 1)) || same=0
		last=$now
		[ "$now" -lt "${2:-0}" ] || [ "$same" -lt $((${2:-0} > 0 ? 10 : 0)) ] || break
		sleep 0.1
	done
	start "$LINK/lazy:$1" > "$WORK/said"
	# (layers that have become whole meanwhile are not listed)
	echo "$(orlop ps --lazy --json | jq 'map(.Bytes.demand) | add // 0') ${last:-0}"
	lazy_remove
}

tree_is_whole() {
	need_engine "$1"
	index_image "trees-$1"
	machine whole
	orlop pull -q "$REGISTRY/lazy:gzip"
	whole=$(orlop mount "$REGISTRY/lazy:gzip")
	machine two
	link_start --rtt 10 --rate 3000000
	orlop pull -q --lazy --lazy-engine "$1" "$LINK/lazy:trees-$1"
	[ "$(lazy_rows)" -gt 0 ]
	tree=$(orlop mount --lazy "$LINK/lazy:trees-$1")
	check "$TESTS/lazy-reader" "$whole" "$tree" --processes 3
	[ "$status" -eq 0 ]
	lazy_wait
	check "$TESTS/compare-tree" "$whole" "$tree"
	[ "$status" -eq 0 ]
	orlop umount "$tree"
	orlop check
	machine whole
	orlop umount "$whole"
}
@test "by an index of orlop's the lazy tree is the whole one, fanotify" { tree_is_whole fanotify; }
@test "by an index of orlop's the lazy tree is the whole one, fuse" { tree_is_whole fuse; }

@test "a start that is recorded on one machine is fetched first on the next: SOCI" {
	index_image recorded
	read -r demand prefetch <<< "$(bytes_of_start recorded)"
	[ "$prefetch" -eq 0 ]
	[ "$demand" -gt 0 ]
	cp "$WORK/said" "$WORK/first"
	machine one
	start --record "$REGISTRY/lazy:recorded" > /dev/null
	orlop index push -q "$REGISTRY/lazy:recorded"
	# The tables of contents are those that were there.
	[ "$(listed recorded)" = '[["application/octet-stream",3],["application/vnd.orlop.start-profile.v1+json",1]]' ]
	read -r demand_then prefetch <<< "$(bytes_of_start recorded 1)"
	echo "demand: $demand bytes without the profile, $demand_then with it; prefetch $prefetch"
	[ "$prefetch" -gt 0 ]
	[ "$demand_then" -lt "$demand" ]
	cmp "$WORK/said" "$WORK/first"
}

@test "a start that is recorded is published without tables of contents where layers bring them: eStargz" {
	start --record "$REGISTRY/lazy:estargz" > /dev/null
	orlop index push -q "$REGISTRY/lazy:estargz" "$REGISTRY/lazy:estargz-recorded"
	[ "$(listed estargz-recorded)" = '[["application/vnd.orlop.start-profile.v1+json",1]]' ]
	read -r demand prefetch <<< "$(bytes_of_start estargz)"
	read -r demand_then prefetch_then <<< "$(bytes_of_start estargz-recorded $((prefetch + 1)))"
	echo "demand: $demand bytes without the profile, $demand_then with it; prefetch $prefetch and $prefetch_then"
	[ "$prefetch_then" -gt "$prefetch" ]
	[ "$demand_then" -lt "$demand" ]
}

published() { "$TESTS/e2e/harm-index" "$REGISTRY/lazy:estargz-profile" bad profile "$1"; }
@test "a profile that is of no use is a warning, and the image is lazy all the same" {
	start --record "$REGISTRY/lazy:estargz" > /dev/null
	orlop index push -q "$REGISTRY/lazy:estargz" "$REGISTRY/lazy:estargz-profile"
	for bad in '{' '{"version": 2, "ranges": []}' '{"version": 1, "ranges": [["sha256:00", 0, 1]]}'; do
		published "$bad"
		machine two
		check orlop pull --lazy --no-fill "$REGISTRY/lazy:bad"
		[ "$status" -eq 0 ]
		[[ "$output" == *"the profile of the image's start cannot be used: start profile"* ]]
		[[ "$output" == *"3 of 4 layers are lazy"* ]]
		orlop check
		lazy_remove
	done
	# Places that are in no blob of it are passed over.
	published '{"version": 1, "ranges": [["'"$(layer_digest estargz 1)"'", 100000000, 200000000], ["sha256:'"$(printf '0%.0s' $(seq 64))"'", 0, 5]]}'
	check orlop pull --lazy --wait "$REGISTRY/lazy:bad"
	[ "$status" -eq 0 ]
	[[ "$output" != *"cannot be used"* ]]
	orlop check
}

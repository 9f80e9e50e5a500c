#!/usr/bin/env bats
# A store that looks after itself: df, prune, pin, rmi's manners, and what it does with many images.

bats_require_minimum_version 1.5.0

setup_file() {
	. "$BATS_TEST_DIRNAME/lib.bash"
	scratch_make
}
teardown_file() { . "$BATS_TEST_DIRNAME/lib.bash"; scratch_remove; }
setup() {
	. "$BATS_TEST_DIRNAME/lib.bash"
	store "$BATS_TEST_NUMBER"
	export ORLOP_DRIVER=dir
}
teardown() { store_remove; }

many() { "${MANY_IMAGES:?names the generator}" "$1"; }
names() { orlop images --format '{{.Repository}}:{{.Tag}}' | sort; }
field() { orlop df --json | jq -r ".[] | select(.Type == \"$1\") | .$2"; }

@test "libcurl is loaded when a registry is asked, and missed only then" {
	mkdir "$WORK/lib"
	echo "not a library" > "$WORK/lib/libcurl.so.4"
	run -0 readelf -d "$ORLOP"
	[[ "$output" != *libcurl* && "$output" != *libarchive* ]]
	LD_LIBRARY_PATH=$WORK/lib run -0 orlop images
	LD_LIBRARY_PATH=$WORK/lib run -1 orlop pull 127.0.0.1:1/app:1
	[[ "$output" == *"cannot load"*libcurl.so.4* ]]
	[[ "$output" == *"package is libcurl4"* ]]
}

@test "df counts what is there, once where it is shared" {
	many 3
	[ "$(field Images TotalCount)" = 3 ]
	[ "$(field Layers TotalCount)" = 6 ]
	# Four layers of 2048 bytes each; three of them shared.
	[ "$(field Images Size)" = $((3 * 4 * 2048)) ]
	[ "$(field Layers Size)" = $((6 * 2048)) ]
	[ "$(field Images Reclaimable)" = "$(field Images OnDisk)" ]
	[ "$(field Layers Reclaimable)" = 0 ]
	run -0 orlop df
	[[ "${lines[0]}" =~ ^TYPE\ +TOTAL\ +ACTIVE\ +SIZE\ +ON\ DISK\ +SHARED\ +RECLAIMABLE$ ]]
	[[ "${lines[1]}" == "Images "*"(100%)" ]]
	run -0 orlop system df -v --json
	[ "$(jq -r 'length' <<< "$output")" = 3 ]
	[ "$(jq -r '.[0].SharedSize' <<< "$output")" = 6144 ]
	[ "$(jq -r '.[0].UniqueSize' <<< "$output")" = 2048 ]
	run -0 orlop df --format '{{.Type}} {{.TotalCount}}'
	[ "${lines[0]}" = "Images 3" ]
	# What is protected is not reclaimable; what nothing needs is gc's.
	orlop pin bench.example/app-0:0
	[ "$(field Images Reclaimable)" -lt "$(field Images OnDisk)" ]
}

@test "prune asks, keeps what is pinned, and takes what lost its name" {
	many 4
	run -1 orlop prune < /dev/null
	[[ "$output" == *"no terminal to ask"* ]]
	[[ "$output" == *"--force"* ]]
	run -0 "$TESTS/e2e/pty-run" --type "n\n" --after "[y/N]" "$ORLOP" prune
	[[ "$output" == *"WARNING! This will remove all dangling images."*"[y/N]"* ]]
	run -0 orlop image prune -f
	[ "$output" = "Total reclaimed space: 0B" ]
	orlop untag bench.example/app-0:0
	orlop pin bench.example/app-0:1
	run -0 orlop prune --force
	[[ "$output" == *"Deleted: sha256:"* ]]
	[ "$(names)" = "bench.example/app-0:1
bench.example/app-0:2
bench.example/app-0:3" ]
	run -0 --separate-stderr orlop prune --all --force --filter until=2024-01-01T00:00:03Z
	[[ "$output" == *"Untagged: bench.example/app-0:2"* ]]
	[[ "$output" != *"app-0:3"* ]]
	[[ "$stderr" == *"bench.example/app-0:1 stays: it is pinned"* ]]
	run -1 orlop prune -f --filter nonsense=1
	[[ "$output" == *"invalid filter 'nonsense'"* ]]
	run -0 orlop system prune -af
	[ "$(names)" = "bench.example/app-0:1" ]
	run -0 orlop unpin bench.example/app-0:1
	run -0 orlop prune -af
	[ -z "$(names)" ]
	[ -z "$(find "$ORLOP_ROOT/blobs" "$ORLOP_ROOT/layers" -mindepth 2)" ]
	run -0 orlop check
}

@test "prune leaves what was imported unless that is said" {
	mkdir "$WORK/tree"
	echo text > "$WORK/tree/file"
	tar -C "$WORK/tree" -cf "$WORK/tree.tar" .
	orlop import "$WORK/tree.tar" own:1
	run -0 --separate-stderr orlop prune -af
	[[ "$stderr" == *"own:1 stays: it was loaded or imported"* ]]
	[ "$(orlop images -q --filter imported=true | wc -l)" = 1 ]
	[ "$(field Images Reclaimable)" = 0 ]
	run -0 orlop prune -af --imported
	[[ "$output" == *"Untagged: own:1"* ]]
	[ -z "$(names)" ]
}

@test "a pinned image is removed by force only, and shows its pin" {
	many 2
	orlop tag bench.example/app-0:0 other:1
	run -0 orlop pin other:1
	[ "$output" = other:1 ]
	# All its names share it.
	[ "$(orlop images --filter pinned=true --format '{{.Tag}}' | wc -l)" = 2 ]
	[ "$(orlop inspect --format '{{.Pinned}}' bench.example/app-0:0)" = true ]
	[ "$(orlop images --json | jq -r '[.[] | select(.Pinned)] | length')" = 2 ]
	run -0 orlop rmi other:1 # one name of two
	run -1 orlop rmi bench.example/app-0:0
	[[ "$output" == *"it is pinned"* ]]
	[[ "$output" == *"orlop unpin"* ]]
	run -0 orlop rmi -f bench.example/app-0:0
	run -1 orlop pin bench.example/app-0:0
	[[ "$output" == *"No such image: bench.example/app-0:0"* ]]
}

@test "rmi takes all, ignores what is not there, and goes on after a failure" {
	many 3
	run -1 orlop rmi nothing:1 bench.example/app-0:0
	[[ "$output" == *"No such image: nothing:1"* ]]
	[[ "$output" == *"Untagged: bench.example/app-0:0"* ]]
	run -0 orlop rmi --ignore nothing:1
	[ -z "$output" ]
	run -1 orlop rmi
	run -1 orlop rmi --all bench.example/app-0:1
	orlop pin bench.example/app-0:1
	run -1 orlop rmi --all
	[ "$(names)" = "bench.example/app-0:1" ]
	run -0 orlop rmi --all --force
	[ -z "$(names)" ]
}

@test "images are found by a prefix, listed from their rows, and filtered" {
	many 30
	local id
	id=$(orlop images -q bench.example/app-2:5)
	[ "$(orlop inspect --format '{{index .RepoTags 0}}' "$id")" = bench.example/app-2:5 ]
	[ "$(orlop inspect --format '{{.Id}}' "sha256:$id")" = "$(orlop inspect --format '{{.Id}}' bench.example/app-2:5)" ]
	# A layer's digest is no image's.
	run -1 orlop inspect "$(orlop inspect --format '{{index .RootFS.Layers 0}}' "$id")"
	[[ "$output" == *"No such object"* ]]
	# A row without a summary is read from its documents, and says the same.
	orlop images --json > "$WORK/quick.json"
	python3 - "$ORLOP_ROOT/orlop.db" <<-'PY'
	import sqlite3, sys
	def row_sum(table, *values):
	    total = 0xcbf29ce484222325
	    def add(data):
	        nonlocal total
	        for byte in data:
	            total = ((total ^ byte) * 0x100000001b3) & (2**64 - 1)
	    add(table.encode() + b"\0")
	    for value in values:
	        if value is None:
	            add(b"n")
	        elif isinstance(value, int):
	            add(b"i" + value.to_bytes(8, "little", signed=True))
	        else:
	            add(b"t" + len(value.encode()).to_bytes(8, "little") + value.encode())
	    return total - 2**64 if total >= 2**63 else total
	db = sqlite3.connect(sys.argv[1])
	db.create_function("orlop_row_sum", -1, row_sum, deterministic=True)
	db.execute("UPDATE names SET summary = ''")
	db.commit()
	PY
	orlop images --json > "$WORK/slow.json"
	cmp "$WORK/quick.json" "$WORK/slow.json"
	[ "$(orlop images -q --filter until=2024-01-01T00:00:10Z | wc -l)" = 10 ]
	[ "$(orlop images -q --filter containers=true | wc -l)" = 0 ]
	[ "$(orlop images -q --filter imported=false --filter 'reference=bench.example/app-1' | wc -l)" = 10 ]
	run -1 orlop images --filter pinned=maybe
	[[ "$output" == *"it is true or false"* ]]
}

@test "index.json of many images is what skopeo sees after each command" {
	need skopeo
	many 300
	[ "$(stat -c %s "$ORLOP_ROOT/index.json")" -gt 65536 ]
	orlop tag bench.example/app-0:0 new:1
	skopeo inspect --raw "oci:$ORLOP_ROOT:docker.io/library/new:1" > /dev/null
	orlop rmi new:1
	run ! skopeo inspect --raw "oci:$ORLOP_ROOT:docker.io/library/new:1"
	run -0 orlop rmi --all --force
	[ "$(jq '.manifests | length' "$ORLOP_ROOT/index.json")" = 0 ]
	run -0 orlop check
}

@test "gc, rmi, tag and lists go on beside each other, and nothing is lost" {
	many 40
	local jobs=() i
	for i in 1 2 3; do orlop gc > /dev/null || touch "$WORK/failed-gc"; done & jobs+=($!)
	for i in $(seq 20); do orlop images > /dev/null || touch "$WORK/failed-list"; done & jobs+=($!)
	for i in 0 1 2 3 4 5 6 7 8 9; do orlop rmi "bench.example/app-0:$i" > /dev/null || touch "$WORK/failed-rmi"; done & jobs+=($!)
	for i in 0 1 2 3 4 5 6 7 8 9; do orlop tag "bench.example/app-1:$i" "kept:$i" > /dev/null || touch "$WORK/failed-tag"; done & jobs+=($!)
	wait "${jobs[@]}"
	run ! ls "$WORK"/failed-*
	[ "$(names | wc -l)" = 40 ]
	orlop gc
	run -0 orlop check
	[ "$(field Layers TotalCount)" = 33 ]
	[ "$(jq '.manifests | length' "$ORLOP_ROOT/index.json")" = 40 ]
}

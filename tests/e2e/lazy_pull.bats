#!/usr/bin/env bats
# Pulling lazily: what is fetched of each format, what is said of layers that cannot be lazy, and what an ordinary pull makes of it.
load lib.bash
load lazy.bash

setup_file() { lazy_setup_file gzip; }
teardown_file() { scratch_remove; }
setup() {
	lazy_setup
	LOGGED=$(wc -l < "$WORK/registry.log")
}
teardown() { lazy_remove; }

# Requests of this test, one a line: METHOD PATH STATUS BYTES.
requests() {
	tail -n +$((LOGGED + 1)) "$WORK/registry.log" |
		sed -n 's/.*"\(GET\|HEAD\) \(\/v2\/[^ ]*\) HTTP[^"]*" \([0-9]*\) \([0-9]*\).*/\1 \2 \3 \4/p'
}
# Bytes that came of layer N of lazy:FORMAT.
bytes_of() { requests | awk -v blob="$(layer_digest "$1" "$2")" 'index($2, blob) { sum += $4 } END { print sum + 0 }'; }
requests_of() { requests | grep -c "$(layer_digest "$1" "$2")" || true; }
pull() { check orlop pull --lazy --no-fill "$@"; }
# Layers that are lazy; a chain over one has a row too.
lazy_layers() {
	python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1], timeout=60).execute("SELECT count(DISTINCT diff_id) FROM layers WHERE driver = '"'lazy'"'").fetchone()[0])' \
		"$ORLOP_ROOT/orlop.db"
}
# The layers' indexes by DiffID, as "DIFFID SHA256".
indexes() { (cd "$ORLOP_ROOT/layers" && sha256sum ./*/index.erofs | awk '{ print $2, $1 }' | sort); }

is_lazy() {
	lazy_image "$1"
	LOGGED=$(wc -l < "$WORK/registry.log") # pushing asked as well
	pull "$REGISTRY/lazy:$1"
	requests
	[ "$status" -eq 0 ]
	[[ "$output" == *"3 of 4 layers are lazy: 5."*"MB come when they are read"* ]]
	[[ "$output" == *"is pulled whole: it is not larger than"* ]]
	[ "$(lazy_layers)" -eq 3 ]
	for layer in 0 1 2; do
		[ "$(requests_of "$1" $layer)" -eq 1 ]
		[ "$(bytes_of "$1" $layer)" -le 66000 ]
	done
	check orlop images --format '{{.Repository}}:{{.Tag}}'
	[ "$output" = "$REGISTRY/lazy:$1" ]
}
@test "eStargz: one request a layer" { is_lazy estargz; }
@test "tables of contents are asked for while the config is on its way, and not again" {
	local config data
	lazy_image estargz
	config=$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/lazy:estargz" | jq -r .config.digest)
	data=$WORK/registry/docker/registry/v2/blobs/sha256/${config:7:2}/${config:7}/data
	mv "$data" "$WORK/config"
	LOGGED=$(wc -l < "$WORK/registry.log")
	pull --retry 0 "$REGISTRY/lazy:estargz"
	mv "$WORK/config" "$data"
	[ "$status" -ne 0 ]
	[[ "$output" == *config* ]]
	orlop check
	pull "$REGISTRY/lazy:estargz"
	[ "$status" -eq 0 ]
	requests
	for layer in 0 1 2; do [ "$(requests_of estargz $layer)" -eq 1 ]; done
}
@test "eStargz with the older footer: one request a layer" { is_lazy estargz-47; }
@test "eStargz with its tables elsewhere: one request a layer, and one more for its table" {
	local tag
	"$REPO/fixtures/make-lazy" estargz-ext "$WORK/lazy-estargz-ext"
	for tag in "" -esgztoc; do
		skopeo copy -q --preserve-digests --dest-tls-verify=false "oci:$WORK/lazy-estargz-ext:latest$tag" \
			"docker://$REGISTRY/lazy:estargz-ext$tag"
	done
	touch "$WORK/lazy-estargz-ext.pushed"
	is_lazy estargz-ext
	# The image that has the tables is asked for once, not for each layer.
	[ "$(requests | grep -c 'manifests/estargz-ext-esgztoc')" -le 2 ]
}
@test "zstd:chunked: one request a layer" { is_lazy zstd-chunked; }
@test "zstd:chunked as older containers wrote it: one request a layer" { is_lazy zstd-old; }
@test "zstd:chunked as stargz-snapshotter writes it: one request a layer" { is_lazy zstd-stargz; }

@test "SOCI, as orlop writes it: one request for the index, and one for each table" {
	orlop pull -q "$REGISTRY/lazy:gzip"
	orlop index create --min-layer-size 64k "$REGISTRY/lazy:gzip"
	orlop index push "$REGISTRY/lazy:gzip" "$REGISTRY/lazy:soci"
	lazy_remove
	LOGGED=$(wc -l < "$WORK/registry.log")
	pull "$REGISTRY/lazy:soci"
	requests
	[[ "$output" == *"3 of 4 layers are lazy"* ]]
	[ "$(requests | wc -l)" -eq 8 ] # index, manifest, config; index of tables, three tables; the small layer
	for layer in 0 1 2; do [ "$(requests_of gzip $layer)" -eq 0 ]; done
}

@test "SOCI of version 1 is believed by those who say so" {
	need_go
	lazy_image go-soci-v1
	pull "$REGISTRY/lazy:go-soci-v1"
	[[ "$output" == *"cannot be lazy: none of its layers"* ]]
	lazy_remove
	pull --lazy-unbound "$REGISTRY/lazy:go-soci-v1"
	[[ "$output" == *"3 of 4 layers are lazy"* ]]
}

@test "what came with the table is not fetched again" {
	lazy_image estargz
	LOGGED=$(wc -l < "$WORK/registry.log") # pushing asked as well
	pull "$REGISTRY/lazy:estargz"
	orlop pull "$REGISTRY/lazy:estargz"
	[ "$(lazy_rows)" -eq 0 ]
	for layer in 0 1 2 3; do
		[ "$(bytes_of estargz $layer)" -eq "$(jq ".layers[$layer].size" <(skopeo inspect --tls-verify=false --raw "docker://$REGISTRY/lazy:estargz"))" ]
	done
	orlop check
}

@test "where there is a tar-split the indexes are those of a whole pull" {
	lazy_image zstd-chunked
	pull "$REGISTRY/lazy:zstd-chunked"
	indexes > "$WORK/lazy-indexes"
	store "-$BATS_TEST_NUMBER-whole"
	orlop pull -q "$REGISTRY/lazy:gzip"
	indexes > "$WORK/whole-indexes"
	store_remove
	store "-$BATS_TEST_NUMBER"
	diff "$WORK/lazy-indexes" "$WORK/whole-indexes"
}

@test "the second lazy pull asks one HEAD" {
	lazy_image estargz
	pull "$REGISTRY/lazy:estargz"
	LOGGED=$(wc -l < "$WORK/registry.log")
	pull "$REGISTRY/lazy:estargz"
	[[ "$output" == *"Image is up to date"* ]]
	[[ "$output" == *"3 of 4 layers are lazy"* ]]
	[ "$(requests | wc -l)" -eq 1 ]
}

@test "an ordinary pull makes a lazy image whole, and skopeo reads it then" {
	lazy_image estargz
	pull "$REGISTRY/lazy:estargz"
	# What is not here yet cannot be copied, and the store is a layout all the same.
	check skopeo copy -q "oci:$ORLOP_ROOT:$REGISTRY/lazy:estargz" "oci:$WORK/copied:latest"
	[ "$status" -ne 0 ]
	skopeo inspect "oci:$ORLOP_ROOT:$REGISTRY/lazy:estargz" >/dev/null
	check orlop pull "$REGISTRY/lazy:estargz"
	[ "$status" -eq 0 ]
	[ "$(lazy_rows)" -eq 0 ]
	skopeo copy -q "oci:$ORLOP_ROOT:$REGISTRY/lazy:estargz" "oci:$WORK/copied:latest"
	orlop check
	check orlop pull --lazy "$REGISTRY/lazy:estargz"
	[[ "$output" == *"Image is up to date"* ]]
	[[ "$output" != *"are lazy"* ]]
}

@test "an ordinary pull fills what is mounted and was not to be filled" {
	local tree expected
	expected=$(tar -xzO -f "$WORK/lazy-gzip/blobs/sha256/$(layer_digest gzip 1 | cut -d: -f2)" files/large | sha256sum)
	for format in estargz zstd-chunked; do
		lazy_image $format
		tree=$(orlop mount --lazy --no-fill "$REGISTRY/lazy:$format" 2>/dev/null)
		head -c 100 "$tree/files/large" > /dev/null
		check timeout 60 "$ORLOP" pull "$REGISTRY/lazy:$format"
		[ "$status" -eq 0 ]
		[ "$(sha256sum < "$tree/files/large")" = "$expected" ]
		[ "$(lazy_rows)" -eq 0 ]
		orlop umount "$tree"
		orlop check
		lazy_remove
	done
}

@test "an image without tables of contents is pulled whole, in one line" {
	pull "$REGISTRY/lazy:gzip"
	[ "$status" -eq 0 ]
	[ "$(grep -c "cannot be lazy: none of its layers has a table of contents bound to its manifest" <<< "$output")" -eq 1 ]
	[[ "$output" != *"is pulled whole"* ]]
	[ "$(lazy_rows)" -eq 0 ]
	orlop check
}

# harmed FORMAT HARM WORDS: layer 1 is pulled whole, the others are lazy.
harmed() {
	"$REPO/fixtures/make-lazy" "$1" "$WORK/harmed-$1-$2" --harm "$2"
	"$TESTS/push-layout" "$WORK/harmed-$1-$2" "$REGISTRY/harmed:$1-$2"
	pull "$REGISTRY/harmed:$1-$2"
	[ "$status" -eq 0 ]
	[[ "$output" == *"is pulled whole: "*"$3"* ]]
	[[ "$output" == *"2 of 4 layers are lazy"* ]]
	lazy_remove
}
@test "a table that nothing binds, or that is another, is not believed" {
	for format in estargz zstd-chunked; do
		harmed $format unbound "no table of contents that its manifest binds"
		harmed $format toc-digest "the table of contents"
	done
	# An eStargz' table is part of its tar: such a blob has no good bytes at all.
	harmed zstd-chunked toc-bytes "the table of contents"
}
@test "a table that lies is not believed" {
	for format in estargz zstd-chunked; do
		for harm in chunk-outside chunk-overlap size footer version truncated; do harmed $format $harm ""; done
	done
	harmed zstd-chunked tar-split ""
}
@test "a table that leads out of the layer is not believed" {
	harmed estargz dotdot ""
	harmed zstd-old dotdot ""
}
@test "a table that would fill the memory is not believed" {
	harmed estargz bomb "the table of contents: more than"
	harmed zstd-chunked bomb "not 1 to"
}

@test "a name that JSON cannot carry: that layer is pulled whole, or lazily with its tar-split" {
	for format in estargz zstd-chunked; do
		"$REPO/fixtures/make-lazy" $format "$WORK/bytes-$format" --image bytes
		"$TESTS/push-layout" "$WORK/bytes-$format" "$REGISTRY/bytes:$format"
	done
	pull "$REGISTRY/bytes:estargz"
	[[ "$output" == *"is pulled whole: "*"name"* ]]
	[[ "$output" == *"2 of 3 layers are lazy"* ]]
	pull "$REGISTRY/bytes:zstd-chunked"
	[[ "$output" == *"3 of 3 layers are lazy"* ]]
}

@test "what others link to is pulled whole" {
	"$REPO/fixtures/make-lazy" estargz "$WORK/across" --image across
	"$TESTS/push-layout" "$WORK/across" "$REGISTRY/across:latest"
	pull "$REGISTRY/across"
	[ "$status" -eq 0 ]
	[[ "$output" == *"is pulled whole"* ]]
	[ "$(lazy_rows)" -ge 1 ]
	tree=$(orlop mount "$REGISTRY/across")
	[ "$tree/files/large" -ef "$tree/linked/large" ] || cmp "$tree/files/large" "$tree/linked/large"
	orlop umount "$tree"
}

@test "the driver dir knows nothing of lazy layers, and says so" {
	lazy_image estargz
	check orlop --driver dir pull --lazy "$REGISTRY/lazy:estargz"
	[ "$status" -eq 0 ]
	[[ "$output" == *"is pulled whole: it takes the driver erofs, and here dir is used"* ]]
	[ "$(lazy_rows)" -eq 0 ]
	orlop --driver dir check
}

@test "what cannot be meant is refused" {
	for words in "--no-fill" "--lazy-rate 1m" "--lazy-engine fuse" "--lazy --lazy-timeout 0" "--lazy --lazy-rate 0" "--lazy --lazy-rate x" \
		"--lazy --lazy-engine none" "--lazy --keep-blobs"; do
		check orlop pull $words "$REGISTRY/lazy:gzip"
		[ "$status" -ne 0 ]
	done
	[ "$(requests | wc -l)" -eq 0 ]
}

@test "ORLOP_LAZY stands for --lazy, and gives way" {
	lazy_image estargz
	ORLOP_LAZY=1 check orlop pull --lazy=false "$REGISTRY/lazy:estargz"
	[ "$(lazy_rows)" -eq 0 ]
	lazy_remove
	ORLOP_LAZY=1 check orlop pull --no-fill "$REGISTRY/lazy:estargz"
	[ "$(lazy_layers)" -eq 3 ]
}

@test "programs are told how much is lazy" {
	lazy_image estargz
	orlop pull --lazy --no-fill --progress=json "$REGISTRY/lazy:estargz" > "$WORK/json"
	[ "$(jq -s 'map(select(.event == "layer" and .state == "lazy")) | length' "$WORK/json")" -eq 3 ]
	[ "$(jq -c 'select(.event == "done") | [.lazy_layers, .eager_layers]' "$WORK/json")" = "[3,1]" ]
}

@test "credentials that were typed are kept only until the next boot" {
	lazy_image estargz
	pull --creds ann:s3cret "$REGISTRY/lazy:estargz"
	[ "$status" -eq 0 ]
	not grep -rq s3cret "$ORLOP_ROOT/lazy"
	grep -rlq s3cret "$ORLOP_RUN"
}

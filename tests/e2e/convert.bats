#!/usr/bin/env bats
# convert: what others make of the lazy images that orlop writes. (That they are lazy: lazy.bats.)
load lib.bash

setup_file() {
	scratch_make
	command -v docker-registry > /dev/null && registry_start
	mkdir -p "$REPO/build/go"
}
teardown_file() { scratch_remove; }
setup() {
	need_root
	need_driver
	need skopeo jq docker-registry
	store "-$BATS_TEST_NUMBER"
	cd "$WORK"
}
teardown() { store_remove; rm -rf "$WORK"/out* "$WORK"/back* "$WORK"/tree*; }

in_store() { image_make "$1" && orlop load -q -i "$WORK/$1" -t "localhost/$1" > /dev/null; }
# A program of tests/go, or a skip.
go_tool() {
	local said
	if ! said=$("$TESTS/go/build" "$REPO/build/go" "$1" 2>&1); then
		[[ "$said" == *SKIP* ]] && skip "$said"
		echo "$said"
		return 1
	fi
}
# The annotation of each layer of the image of a layout: "digest value".
layers() { # LAYOUT ANNOTATION
	local m
	m=$(jq -r '.manifests[0].digest' "$1/index.json")
	jq -r --arg a "$2" '.layers[] | "\(.digest) \(.annotations[$a] // "")"' "$1/blobs/${m/:/\/}"
}
# The tree of an image as every layer's tar gives it, with the lazy formats' own files left out.
tree_of() {
	orlop export "$1" | tar -x -C "$2"
	rm -f "$2"/.no.prefetch.landmark "$2"/.prefetch.landmark "$2"/stargz.index.json
}

@test "eStargz: stargz-snapshotter's library opens it, and verifies every chunk" {
	need go
	in_store many
	orlop convert --estargz localhost/many localhost/many:esgz
	orlop save --format oci-dir -o out localhost/many:esgz
	go_tool check-estargz
	local n=0 digest toc diff
	while read -r digest toc; do
		diff=$(orlop inspect --format "{{index .RootFS.Layers $n}}" localhost/many:esgz)
		"$REPO/build/go/check-estargz" "out/blobs/${digest/:/\/}" "$toc" "$diff"
		n=$((n + 1))
	done < <(layers out containerd.io/snapshot/stargz/toc.digest)
	[ "$n" -gt 1 ]
}

@test "zstd:chunked: containers/storage pulls it by pieces, and comes to the same DiffIDs" {
	need go
	in_store many
	orlop convert --zstd-chunked localhost/many localhost/many:zc
	[ "$(orlop inspect --format '{{.Id}}' localhost/many)" = "$(orlop inspect --format '{{.Id}}' localhost/many:zc)" ]
	orlop save --format oci-dir -o out localhost/many:zc
	(cd "$TESTS/go/storage" && timeout 240 go build -mod=readonly -tags exclude_graphdriver_btrfs -o "$REPO/build/go/check-zstd-chunked" ./check-zstd-chunked) \
		> "$REPO/build/go/log" 2>&1 || {
		[ -s "$REPO/build/go/log" ] || skip "no answer from Go in 240 s"
		grep -qE 'proxy|dial tcp|lookup .*: |no such host|connection refused|i/o timeout|C compiler' "$REPO/build/go/log" &&
			skip "no modules of Go: $(head -n 1 "$REPO/build/go/log")"
		cat "$REPO/build/go/log"
		return 1
	}
	mkdir out.store
	check "$REPO/build/go/check-zstd-chunked" out out.store
	umount "$WORK/out.store/root/overlay" 2> /dev/null || true
	[ "$status" = 0 ]
	[[ "$output" == *"fetched by ranges"* ]]
	not grep -q 'without a table' <<< "$output"
}

@test "pushed, it is pulled whole by everybody, with the same files" {
	need umoci
	in_store many
	mkdir tree.want && tree_of localhost/many tree.want
	for format in estargz zstd-chunked; do
		made=$(orlop convert -q --$format localhost/many "$REGISTRY/many:$format")
		orlop push -q --plain-http "$REGISTRY/many:$format"
		skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/many:$format" "oci:$WORK/back-$format:latest"
		# What was pushed is what was made, byte for byte.
		[ "sha256:$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/many:$format" | sha256sum | cut -d' ' -f1)" = "$made" ]
		orlop rmi -f "$REGISTRY/many:$format" > /dev/null
		orlop pull -q --plain-http "$REGISTRY/many:$format" > /dev/null
		mkdir "tree.$format" && tree_of "$REGISTRY/many:$format" "tree.$format"
		diff -r --no-dereference tree.want "tree.$format"
		orlop check > /dev/null
	done
}

@test "podman pulls both" {
	need podman
	in_store busybox
	local podman=(podman --root "$WORK/out.podman" --runroot "$WORK/out.podman-run" --storage-driver vfs)
	for format in estargz zstd-chunked; do
		orlop convert --$format localhost/busybox "$REGISTRY/busybox:$format"
		orlop push -q --plain-http "$REGISTRY/busybox:$format"
		"${podman[@]}" pull -q --tls-verify=false "$REGISTRY/busybox:$format"
		[ "$("${podman[@]}" image inspect --format '{{.Id}}' "$REGISTRY/busybox:$format")" = \
			"$(orlop inspect --format '{{.Id}}' "$REGISTRY/busybox:$format" | cut -d: -f2)" ]
	done
}

@test "the same image gives the same digest, whatever was there before" {
	in_store odd
	for format in estargz zstd-chunked; do
		first=$(orlop convert --$format localhost/odd localhost/odd:1 2> /dev/null)
		orlop rmi localhost/odd:1 > /dev/null
		[ "$(orlop convert --$format localhost/odd localhost/odd:2 2> /dev/null)" = "$first" ]
		orlop check > /dev/null
	done
}

@test "several platforms become an index; one is chosen; a layer without a table is told of" {
	in_store multiarch
	in_store odd
	orlop convert --estargz --all-platforms localhost/multiarch localhost/multiarch:all
	orlop save --format oci-dir -o out localhost/multiarch:all
	skopeo inspect --raw oci:out | jq -e '[.manifests[].platform.architecture] | sort == ["amd64", "arm64"]'
	orlop convert --estargz --platform linux/arm64 localhost/multiarch localhost/multiarch:arm
	orlop save --format oci-dir -o out1 localhost/multiarch:arm
	skopeo inspect --raw oci:out1 | jq -e '.layers | length > 0'
	skopeo inspect --config oci:out1 | jq -e '.architecture == "arm64"'
	check orlop convert --estargz --platform linux/riscv64 localhost/multiarch localhost/x
	[ "$status" -ne 0 ]
	check orlop convert --json --zstd-chunked localhost/odd localhost/odd:zc
	[[ "$output" == *"cannot be pulled lazily: a name that is not UTF-8: srv/names/"* ]]
	[[ "$output" == *"cannot be pulled lazily: a sparse file: "* ]]
	tail -n 1 <<< "$output" | jq -e '.layers > .lazyLayers'
}

@test "what comes first, options, and what is refused" {
	in_store busybox
	printf '# at the start\n/bin/sh\nno/such\n' > out.first
	check orlop convert --estargz --prefetch out.first localhost/busybox localhost/busybox:first
	[ "$status" = 0 ]
	[[ "$output" == *"no layer has no/such, which was to come first"* ]]
	orlop export -o out.tar localhost/busybox:first
	tar -tf out.tar > out.names
	grep -qx '\(\./\)\?.prefetch.landmark' out.names
	for words in "localhost/busybox x" "--estargz --zstd-chunked localhost/busybox x" "--estargz localhost/none x" \
		"--zstd-chunked --prefetch out.first localhost/busybox x" "--estargz localhost/busybox UPPER" \
		"--estargz --estargz-compression-level 10 localhost/busybox x" "--estargz localhost/busybox"; do
		check orlop convert $words
		[ "$status" -ne 0 ]
	done
	check orlop convert --estargz localhost/none x
	[[ "$output" == *"hint: "*"orlop pull"* ]]
	orlop image convert --zstdchunked --oci localhost/busybox localhost/busybox:zc
}

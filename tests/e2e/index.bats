#!/usr/bin/env bats
# Indexes of orlop's own: made of images in a registry and in the store, published, and read by others.
load lib.bash

setup_file() {
	scratch_make
	command -v docker-registry >/dev/null && command -v skopeo >/dev/null || return 0
	export HOME=$WORK/home
	mkdir -p "$HOME"
	registry_start
	image_push odd latest zstd
	image_push busybox docker
	image_push multiarch latest
}
teardown_file() { scratch_remove; }
setup() {
	need docker-registry skopeo jq
	store "-$BATS_TEST_NUMBER"
}
teardown() {
	[ ! -e "$WORK/shape.pid" ] || { kill "$(cat "$WORK/shape.pid")"; rm "$WORK/shape.pid"; }
	store_remove
}

raw() { skopeo inspect --tls-verify=false --raw "docker://$REGISTRY/$1"; }
blobs() { find "$ORLOP_ROOT/blobs" -type f | wc -l; }

@test "an image in a registry is indexed without being stored, and published with its index" {
	orlop index create -q --min-layer-size 1 "$REGISTRY/odd" > "$WORK/digest"
	[[ "$(cat "$WORK/digest")" == sha256:* ]]
	[ -z "$(ls "$ORLOP_ROOT/layers")" ]
	[ -z "$(orlop images -q)" ]
	# It stays until it is pushed.
	orlop gc
	check orlop index ls
	[[ "$output" == *"$REGISTRY/odd"* ]]
	orlop index push -q "$REGISTRY/odd" "$REGISTRY/odd:indexed"
	[ "$(orlop index ls --json | jq length)" = 0 ]
	orlop gc
	[ "$(blobs)" = 0 ]
	orlop check

	# An index with the image first, then SOCI's, each naming the other.
	raw odd:indexed > "$WORK/index"
	[ "$(jq -r '.manifests | length' "$WORK/index")" = 2 ]
	[ "$(jq -r '.manifests[1].digest' "$WORK/index")" = "$(cat "$WORK/digest")" ]
	[ "$(jq -r '.manifests[1].artifactType' "$WORK/index")" = application/vnd.amazon.soci.index.v2+json ]
	[ "$(jq -r '.manifests[1].platform.architecture' "$WORK/index")" = "$(jq -r '.manifests[0].platform.architecture' "$WORK/index")" ]
	[ "$(jq -r '.manifests[1].annotations["com.amazon.soci.image-manifest-digest"]' "$WORK/index")" = "$(jq -r '.manifests[0].digest' "$WORK/index")" ]
	raw "odd@$(jq -r '.manifests[0].digest' "$WORK/index")" > "$WORK/manifest"
	[ "$(jq -r '.annotations["com.amazon.soci.index-digest"]' "$WORK/manifest")" = "$(cat "$WORK/digest")" ]
	# The same config and the same layers: the image is the same to all who do not know of indexes.
	[ "$(jq -c '[.config.digest, (.layers | map(.digest))]' "$WORK/manifest")" = "$(raw odd | jq -c '[.config.digest, (.layers | map(.digest))]')" ]
	skopeo copy -q --all --src-tls-verify=false "docker://$REGISTRY/odd:indexed" "oci:$WORK/all:1"
	skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/odd:indexed" "oci:$WORK/one:1"
	need_root
	orlop pull -q "$REGISTRY/odd:indexed"
	orlop pull -q "$REGISTRY/odd"
	[ "$(orlop images -q | sort -u | wc -l)" = 1 ]
}

@test "podman pulls an image with its index" {
	need podman
	need_root
	orlop index create -q --min-layer-size 1 "$REGISTRY/busybox:docker"
	orlop index push -q "$REGISTRY/busybox:docker" "$REGISTRY/busybox:for-podman"
	podman --root "$WORK/podman" --runroot "$WORK/podman-run" --storage-driver vfs pull -q --tls-verify=false "$REGISTRY/busybox:for-podman"
}

@test "the index of an image in the store goes with the image" {
	need_root
	orlop pull -q "$REGISTRY/odd"
	before=$(blobs)
	orlop index create --json --min-layer-size 1 "$REGISTRY/odd" 2>/dev/null > "$WORK/first"
	[ "$(jq -r .InStore "$WORK/first")" = true ]
	[ "$(blobs)" -gt "$before" ]
	orlop gc
	# A second one finds the ztocs of the first.
	orlop index create --json --min-layer-size 1 "$REGISTRY/odd" 2>/dev/null > "$WORK/second"
	[ "$(jq -c '[.Layers[] | select(.Ztoc != "") | .Existed] | unique' "$WORK/second")" = '[true]' ]
	[ "$(jq -r .Index "$WORK/first")" = "$(jq -r .Index "$WORK/second")" ]
	orlop index push -q "$REGISTRY/odd" "$REGISTRY/odd:from-store"
	[ "$(raw odd:from-store | jq -r '.manifests[1].digest')" = "$(jq -r .Index "$WORK/first")" ]
	orlop check
	orlop rmi "$REGISTRY/odd" >/dev/null
	orlop gc
	[ "$(blobs)" = 0 ]
}

@test "of an image for several platforms one is indexed, and the others stay as they are" {
	orlop index create -q --min-layer-size 1 --platform linux/amd64 "$REGISTRY/multiarch"
	orlop index push -q "$REGISTRY/multiarch" "$REGISTRY/multiarch:indexed"
	raw multiarch > "$WORK/before"
	raw multiarch:indexed > "$WORK/after"
	[ "$(jq '.manifests | length' "$WORK/after")" = "$(($(jq '.manifests | length' "$WORK/before") + 1))" ]
	[ "$(jq -c '[.manifests[] | select(.platform.architecture != "amd64")] | map(.digest)' "$WORK/before")" = \
		"$(jq -c '[.manifests[] | select(.platform.architecture != "amd64")] | map(.digest)' "$WORK/after")" ]
	# Once more: the SOCI index is replaced, not added to.
	orlop index create -q --min-layer-size 1 --platform linux/amd64 "$REGISTRY/multiarch:indexed"
	orlop index push -q "$REGISTRY/multiarch:indexed"
	[ "$(raw multiarch:indexed | jq '.manifests | length')" = "$(jq '.manifests | length' "$WORK/after")" ]
}

@test "what cannot be indexed is said" {
	local words
	while IFS='|' read -r words want; do
		echo "- $words"
		# shellcheck disable=SC2086
		check orlop index $words
		[ "$status" -ne 0 ]
		[[ "$output" == *"$want"* ]]
	done <<-ROWS
	create $REGISTRY/odd|no layer of it can be indexed, or is large enough
	create --min-layer-size 1 $REGISTRY/odd:zstd|compressed with zstd
	create --min-layer-size 1 $REGISTRY/none|not found
	create --span-size 1k $REGISTRY/odd|at least 64k
	create|an image is missing
	push $REGISTRY/odd|no index was made of it
	push $REGISTRY/odd $REGISTRY/odd@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1|has a digest
	rm $REGISTRY/odd|no index is kept
	make $REGISTRY/odd|unknown command
	ROWS
}

@test "rm removes an index that was kept for a push" {
	orlop index create -q --min-layer-size 1 "$REGISTRY/odd"
	orlop index rm "$REGISTRY/odd"
	[ "$(blobs)" = 0 ]
	check orlop index push "$REGISTRY/odd"
	[ "$status" -ne 0 ]
}

# A layer of 24 MiB that compresses to half of it.
big_image() {
	mkdir "$WORK/big"
	for i in 1 2 3 4; do
		head -c 3M /dev/urandom > "$WORK/big/random-$i"
		head -c 3M /dev/zero > "$WORK/big/zeros-$i"
	done
	tar -C "$WORK/big" -c . | orlop import -q - "$REGISTRY/big" >/dev/null
	orlop push -q "$REGISTRY/big"
	orlop rmi "$REGISTRY/big" >/dev/null
	orlop gc
}

@test "a pull over a slow link keeps the table of contents of a large layer" {
	need_root
	need python3
	big_image
	mkfifo "$WORK/shape.in"
	sleep 600 > "$WORK/shape.in" 3>&- &
	echo $! > "$WORK/shape.pid"
	"$TESTS/shape" "$REGISTRY" --rtt 20 --rate 700000 < "$WORK/shape.in" > "$WORK/shape.out" 3>&- &
	for _ in $(seq 100); do grep -q '^link' "$WORK/shape.out" && break; sleep 0.1; done
	link=$(sed -n 's/^link //p' "$WORK/shape.out")
	ORLOP_TRACE=snapshot orlop pull -q "$link/big"
	orlop index create --json "$link/big" 2>/dev/null > "$WORK/made"
	[ "$(jq -r '.Layers[0].Existed' "$WORK/made")" = true ]
	# It is what another machine makes of the layer, in one pass.
	orlop index create --json --span-size 4m "$link/big" 2>/dev/null > "$WORK/again"
	[ "$(jq -r '.Layers[0].Existed' "$WORK/again")" = false ]
	[ "$(jq -r '.Layers[0].Ztoc' "$WORK/again")" = "$(jq -r '.Layers[0].Ztoc' "$WORK/made")" ]
	orlop check
}

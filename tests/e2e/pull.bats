#!/usr/bin/env bats
# Pulling from a real registry, with what docker's users expect to see.
load lib.bash

setup_file() {
	scratch_make
	command -v docker-registry skopeo >/dev/null || return 0
	registry_start
	image_push busybox latest zstd docker
	image_push odd latest
	image_push multiarch latest
	image_push many latest
}
teardown_file() { scratch_remove; }
setup() {
	need_root
	need_driver
	need docker-registry skopeo jq
	store "-$BATS_TEST_NUMBER"
}
teardown() { store_remove; }

@test "a pull lists the image under skopeo's id" {
	check orlop pull "$REGISTRY/busybox"
	[ "$status" -eq 0 ]
	[[ "$output" == *"Digest: sha256:"* ]]
	check orlop images --no-trunc --format '{{.Repository}} {{.Tag}} {{.ID}}'
	[ "$output" = "$REGISTRY/busybox latest $(config_digest busybox:latest)" ]
	orlop check
}

@test "quiet prints the reference alone" {
	check orlop pull -q "$REGISTRY/busybox:latest"
	[ "$status" -eq 0 ]
	[ "$output" = "$REGISTRY/busybox:latest" ]
}

@test "the second pull asks one HEAD and fetches nothing" {
	orlop pull -q "$REGISTRY/busybox"
	before=$(wc -l < "$WORK/registry.log")
	check orlop pull "$REGISTRY/busybox"
	[ "$status" -eq 0 ]
	[[ "$output" == *"up to date"* ]]
	requests=$(tail -n +$((before + 1)) "$WORK/registry.log" | grep -c '"\(GET\|HEAD\) /v2/')
	[ "$requests" -eq 1 ]
}

@test "gzip, zstd and docker tags share config and layers" {
	orlop pull -q "$REGISTRY/busybox:latest"
	orlop pull -q "$REGISTRY/busybox:zstd"
	orlop pull -q "$REGISTRY/busybox:docker"
	check orlop images -q
	[ "$(printf '%s\n' "$output" | sort -u | wc -l)" -eq 1 ]
	[ "$(find "$ORLOP_ROOT/layers" -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ]
	orlop check
}

@test "a platform is chosen, and both can live side by side" {
	orlop pull -q --platform linux/arm64 "$REGISTRY/multiarch"
	check orlop inspect --format '{{.Architecture}}' "$REGISTRY/multiarch"
	[ "$output" = arm64 ]
	orlop pull -q --all-platforms "$REGISTRY/multiarch"
	check orlop images -a --format '{{.ID}}'
	[ "${#lines[@]}" -eq 2 ]
	check orlop pull --platform linux/s390x "$REGISTRY/multiarch"
	[ "$status" -eq 1 ]
	[[ "$output" == *"linux/arm64"* ]]
}

@test "an image pulled by digest has no tag" {
	digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/busybox:latest")
	orlop pull -q "$REGISTRY/busybox@$digest"
	check orlop images --digests --format '{{.Tag}} {{.Digest}}'
	[ "$output" = "<none> $digest" ]
	check orlop inspect --format '{{index .RepoDigests 0}}' "${digest#sha256:}"
	[ "$output" = "$REGISTRY/busybox@$digest" ]
}

@test "what is pulled with --pin is pinned, and a later pull leaves it so" {
	orlop pull -q --pin "$REGISTRY/busybox"
	orlop pull -q "$REGISTRY/busybox"
	check orlop images --filter pinned=true --format '{{.Repository}}'
	[ "$output" = "$REGISTRY/busybox" ]
}

@test "what is not there is named, and nothing is kept" {
	check orlop pull "$REGISTRY/nothing:here"
	[ "$status" -eq 1 ]
	[[ "$output" == *"nothing"* ]]
	check orlop pull "127.0.0.1:1/nobody/home"
	[ "$status" -eq 1 ]
	check orlop pull "Upper/Case"
	[ "$status" -eq 1 ]
	check orlop images -q
	[ -z "$output" ]
}

@test "a removed image leaves nothing on disk" {
	orlop pull -q "$REGISTRY/many"
	[ "$(find "$ORLOP_ROOT/layers" -mindepth 1 -maxdepth 1 | wc -l)" -eq 41 ]
	check orlop rmi "$REGISTRY/many"
	[ "$status" -eq 0 ]
	[[ "$output" == *"Untagged: $REGISTRY/many:latest"* ]]
	[ -z "$(find "$ORLOP_ROOT/blobs" "$ORLOP_ROOT/layers" "$ORLOP_ROOT/chains" -type f)" ]
	orlop check
}

@test "names come and go, the image with its last one" {
	orlop pull -q "$REGISTRY/busybox"
	orlop tag "$REGISTRY/busybox" other:1
	orlop rmi "$REGISTRY/busybox"
	check orlop images --format '{{.Repository}}:{{.Tag}}'
	[ "$output" = other:1 ]
	orlop untag other:1
	check orlop images --format '{{.Repository}}:{{.Tag}}'
	[ "$output" = "<none>:<none>" ]
	orlop rmi "$(orlop images -q)"
	check orlop images -q
	[ -z "$output" ]
}

@test "progress is lines in a pipe and JSON on request" {
	check orlop pull --progress=json "$REGISTRY/odd"
	[ "$status" -eq 0 ]
	orlop rmi "$REGISTRY/odd"
	orlop pull --progress=json "$REGISTRY/odd" >"$WORK/progress"
	[ -s "$WORK/progress" ]
	jq -e . < "$WORK/progress" >/dev/null
}

@test "skopeo and umoci open the store in place" {
	need umoci
	orlop pull -q "$REGISTRY/odd"
	check skopeo inspect "oci:$ORLOP_ROOT:$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$ORLOP_ROOT/index.json")"
	[ "$status" -eq 0 ]
	check skopeo copy "oci:$ORLOP_ROOT:$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$ORLOP_ROOT/index.json")" "dir:$WORK/copied"
	[ "$status" -eq 0 ]
	[ "$(jq -r .config.digest "$WORK/copied/manifest.json")" = "$(config_digest odd:latest)" ]
}

#!/usr/bin/env bats
# Archives in: what other tools write, recipes for what none here writes, and damaged ones.
load lib.bash

setup_file() {
	scratch_make
	for name in busybox odd multiarch plain many; do image_make "$name"; done
}
teardown_file() { scratch_remove; }
setup() {
	need_root
	need_driver
	need jq
	store "-$BATS_TEST_NUMBER"
}
teardown() { store_remove; }

# archive KIND IMAGE [NAME...]: from a recipe, to stdout
archive() { local kind=$1 image=$2; shift 2; "$REPO/fixtures/make-archive" "$kind" "$WORK/$image" "$@"; }
layout_manifest() { jq -r '.manifests[0].digest' "$WORK/$1/index.json"; }
layout_blob() { cat "$WORK/$1/blobs/${2/://}"; }
# The image ID that an image of a layout has: its config's digest.
layout_id() { layout_blob "$1" "$(layout_manifest "$1")" | jq -r .config.digest; }
layout_diff_ids() { layout_blob "$1" "$(layout_id "$1")" | jq -rc .rootfs.diff_ids; }

# is_loaded NAME IMAGE: it is listed as the layout's image, with its DiffIDs, and nothing is wrong.
is_loaded() {
	[ "$(orlop images --no-trunc --format '{{.ID}}' "$1")" = "$(layout_id "$2")" ]
	[ "$(orlop inspect --format '{{json .RootFS.Layers}}' "$1")" = "$(layout_diff_ids "$2")" ]
	orlop check
}
has_digest() { [ "$(orlop inspect "$1" | jq -r '.[0].Descriptor.digest // empty')" = "$2" ] || [ "$(orlop images --digests --format '{{.Digest}}' "$1")" = "$2" ]; }

# is_refused WORDS: the last command failed with one line that has them, nothing is listed, and nothing is left.
is_refused() {
	[ "$status" -eq 1 ]
	[ "$(grep -c '^orlop: ' <<< "$output")" -eq 1 ]
	[[ "$output" == *"$1"* ]]
	[ -z "$(orlop images -aq)" ]
	[ -z "$(find "$ORLOP_ROOT/blobs" "$ORLOP_ROOT/layers" "$ORLOP_ROOT/ingest" -mindepth 2 -type f)" ]
	orlop check
}

@test "every layout of docker's, and what others make of it" {
	for kind in docker first hardlinks gzip-inside combined containerd oci; do
		archive $kind odd app:1.4 > "$WORK/$kind.tar"
		check orlop load --progress=none -i "$WORK/$kind.tar"
		[ "$status" -eq 0 ]
		[ "$output" = "Loaded image: app:1.4" ]
		is_loaded app:1.4 odd
		orlop rmi app:1.4
		[ -z "$(find "$ORLOP_ROOT/blobs" "$ORLOP_ROOT/layers" -mindepth 2 -type f)" ]
	done
}

@test "docker's oldest layout, which has no config" {
	archive old odd app:1.4 lib/app:2 | orlop load --progress=none > "$WORK/said"
	[ "$(sort "$WORK/said")" = $'Loaded image: app:1.4\nLoaded image: lib/app:2' ]
	[ "$(orlop inspect --format '{{json .RootFS.Layers}}' app:1.4)" = "$(layout_diff_ids odd)" ]
	[ "$(orlop inspect --format '{{.Architecture}} {{json .Config.Cmd}}' app:1.4)" = 'amd64 ["sh"]' ]
	[ "$(orlop images -q --no-trunc | sort -u | wc -l)" -eq 1 ]
	orlop check
}

@test "the same archive gives the same digest, whatever the store had" {
	archive docker odd app:1.4 > "$WORK/same.tar"
	orlop load -q -i "$WORK/same.tar"
	before=$(orlop images --digests --format '{{.Digest}}')
	orlop rmi app:1.4
	orlop load -q -i "$WORK/odd" -t other:1
	orlop load -q -i "$WORK/same.tar"
	[ "$(orlop images --digests --format '{{.Digest}}' app:1.4)" = "$before" ]
	orlop check
}

@test "skopeo's archives: compressed layers and digests stay" {
	need skopeo
	skopeo copy -q "oci:$WORK/odd:latest" "docker-archive:$WORK/sk.tar:example.org/a/odd:1"
	orlop load -q -i "$WORK/sk.tar"
	is_loaded example.org/a/odd:1 odd
	for layer in $(layout_blob odd "$(layout_manifest odd)" | jq -r '.layers[].digest'); do
		not test -e "$ORLOP_ROOT/blobs/${layer/://}" # a docker-archive has tars
	done
	skopeo copy -q --all "oci:$WORK/multiarch:latest" "oci-archive:$WORK/sk-oci.tar:example.org/multi:2"
	orlop load -q < "$WORK/sk-oci.tar"
	[ "$(orlop images --digests --format '{{.Digest}}' example.org/multi:2)" = "$(layout_manifest multiarch)" ]
	skopeo copy -q "oci:$WORK/odd:latest" "oci-archive:$WORK/sk-odd.tar:example.org/a/odd:3"
	orlop load -q < "$WORK/sk-odd.tar"
	[ "$(orlop images --digests --format '{{.Digest}}' example.org/a/odd:3)" = "$(layout_manifest odd)" ]
	for layer in $(layout_blob odd "$(layout_manifest odd)" | jq -r '.layers[].digest'); do
		test -e "$ORLOP_ROOT/blobs/${layer/://}"
	done
	orlop check
}

@test "podman's archives of both formats" {
	need podman skopeo
	podman() { command podman --root "$WORK/podman" --runroot "$WORK/podman-run" --storage-driver vfs "$@"; }
	skopeo copy -q "oci:$WORK/busybox:latest" "docker-archive:$WORK/pm-in.tar:localhost/pm:1"
	podman load -q -i "$WORK/pm-in.tar"
	podman save -q --format docker-archive -o "$WORK/pm-docker.tar" localhost/pm:1
	podman save -q --format oci-archive -o "$WORK/pm-oci.tar" localhost/pm:1
	id=$(podman image inspect --format '{{.Id}}' localhost/pm:1)
	orlop load -q -i "$WORK/pm-docker.tar"
	[ "$(orlop images --no-trunc --format '{{.ID}}' localhost/pm:1)" = "sha256:$id" ]
	orlop rmi localhost/pm:1
	orlop load -q -i "$WORK/pm-oci.tar"
	# A config of docker's becomes one of OCI's there.
	manifest=$(tar -xOf "$WORK/pm-oci.tar" index.json | jq -r '.manifests[0].digest')
	[ "$(orlop images --digests --format '{{.Digest}}' localhost/pm:1)" = "$manifest" ]
	[ "$(orlop images --no-trunc --format '{{.ID}}' localhost/pm:1)" = "$(tar -xOf "$WORK/pm-oci.tar" "blobs/sha256/${manifest#sha256:}" | jq -r .config.digest)" ]
	[ "$(orlop inspect --format '{{json .RootFS.Layers}}' localhost/pm:1)" = "$(layout_diff_ids busybox)" ]
	orlop check
}

@test "a folder, as umoci and skopeo leave it" {
	need umoci
	cp -a "$WORK/odd" "$WORK/folder"
	umoci tag --image "$WORK/folder:latest" other
	check orlop load -i "$WORK/folder"
	[ "$status" -eq 0 ]
	[[ "$output" == *"Loaded image ID: $(layout_id odd)"* ]]
	[[ "$output" == *'calls an image only "other"'* ]]
	orlop rmi "$(orlop images -q)"
	orlop load -q -i "$WORK/folder" -t named:1
	is_loaded named:1 odd
	[ "$(orlop images --digests --format '{{.Digest}}' named:1)" = "$(layout_manifest odd)" ]
	diff -r "$WORK/odd/blobs" "$WORK/folder/blobs"
	mkdir "$WORK/extracted"
	archive docker odd app:1.4 | tar -xC "$WORK/extracted"
	orlop load -q "$WORK/extracted"
	is_loaded app:1.4 odd
}

@test "wrapped in gzip, zstd, xz and bzip2" {
	need zstd xz bzip2
	archive docker odd app:1.4 > "$WORK/wrap.tar"
	gzip -k "$WORK/wrap.tar"
	zstd -q "$WORK/wrap.tar"
	xz -k -T1 -1 "$WORK/wrap.tar"
	bzip2 -k -1 "$WORK/wrap.tar"
	for end in gz zst xz bz2; do
		orlop load -q < "$WORK/wrap.tar.$end"
		is_loaded app:1.4 odd
		orlop rmi app:1.4
		head -c -100 "$WORK/wrap.tar.$end" > "$WORK/wrap.cut"
		check orlop load -q -i "$WORK/wrap.cut"
		is_refused "damaged"
		(cat "$WORK/wrap.tar.$end"; echo more) > "$WORK/wrap.more"
		check orlop load -q -i "$WORK/wrap.more"
		[ "$status" -eq 1 ]
		[ -z "$(orlop images -q)" ]
	done
}

@test "several images in one archive, with several names" {
	need skopeo
	skopeo copy -q "oci:$WORK/odd:latest" "oci:$WORK/both:example.org/odd:1"
	skopeo copy -q "oci:$WORK/busybox:latest" "oci:$WORK/both:example.org/busybox:1"
	tar -cC "$WORK/both" . > "$WORK/both.tar"
	check orlop load --progress=none -i "$WORK/both.tar"
	[ "$output" = $'Loaded image: example.org/odd:1\nLoaded image: example.org/busybox:1' ]
	is_loaded example.org/odd:1 odd
	is_loaded example.org/busybox:1 busybox
	check orlop load -i "$WORK/both.tar" -t which:1
	[ "$status" -eq 1 ]
	archive combined odd app:1 app:2 other/app:3 | orlop load -q
	[ "$(orlop images -q app:1 ; orlop images -q app:2; orlop images -q other/app:3)" = "$(for _ in 1 2 3; do orlop images -q example.org/odd:1; done)" ]
}

@test "the nameless get a name by -t" {
	archive docker odd > "$WORK/nameless.tar"
	check orlop load --progress=none -i "$WORK/nameless.tar"
	[ "$output" = "Loaded image ID: $(layout_id odd)" ]
	check orlop image load --progress=none -i "$WORK/nameless.tar" --tag mine
	[ "$output" = "Loaded image: mine:latest" ]
	is_loaded mine odd
	check orlop load -i "$WORK/nameless.tar" -t Upper/Case
	[ "$status" -eq 1 ]
	orlop load -q -i "$WORK/nameless.tar" -t pinned:1 --pin
}

@test "platforms: all that are whole, or those that are asked for" {
	orlop load -q -i "$WORK/multiarch" -t multi:1
	[ "$(orlop images -a --format '{{.ID}}' | wc -l)" -eq 2 ]
	orlop rmi multi:1
	orlop load -q -i "$WORK/multiarch" -t multi:1 --platform linux/arm64
	[ "$(orlop inspect --format '{{.Architecture}}' multi:1)" = arm64 ]
	orlop rmi multi:1
	check orlop load -q -i "$WORK/multiarch" -t multi:1 --platform linux/s390x
	is_refused "linux/arm64"
	# Docker leaves out what it does not have: another platform and the attestation.
	archive containerd multiarch multi:2 | orlop load -q
	[ "$(orlop images --digests --format '{{.Digest}}' multi:2)" = "$(layout_manifest multiarch)" ]
	orlop check
}

@test "of the host's platform nothing may be absent" {
	cp -a "$WORK/multiarch" "$WORK/lacking"
	manifest=$(layout_blob multiarch "$(layout_manifest multiarch)" | jq -r '.manifests[] | select(.platform.architecture == "amd64").digest')
	layer=$(layout_blob multiarch "$manifest" | jq -r '.layers[0].digest')
	[ "$(uname -m)" = x86_64 ] || skip "the recipe's first platform is not this machine's"
	rm "$WORK/lacking/blobs/${layer/://}"
	tar -cC "$WORK/lacking" . > "$WORK/lacking.tar"
	for input in "$WORK/lacking" "$WORK/lacking.tar"; do
		check orlop load -q -i "$input" -t lacking:1
		is_refused "blobs/sha256/${layer#sha256:}"
	done
}

@test "an archive of what changed needs its base" {
	archive delta odd app:2 > "$WORK/delta.tar"
	check orlop load -q -i "$WORK/delta.tar"
	is_refused "layer 1 of 7"
	[[ "$output" == *"hint: "*"load that one first"* ]]
	orlop load -q -i "$WORK/busybox" -t base:1
	orlop load -q -i "$WORK/delta.tar"
	is_loaded app:2 odd
}

@test "what is damaged is named, and nothing is kept of it" {
	while read -r kind words; do
		echo "$kind"
		archive "$kind" odd app:1.4 > "$WORK/damaged.tar" || true
		check orlop load -q -i "$WORK/damaged.tar"
		is_refused "$words"
	done <<-END
	absent-layer  layer 7 of 7
	absent-config its config
	no-manifest   holds no images
	diff-id       but the config says
	digest        blobs/sha256/
	size          the manifest says
	count         7 layers
	cycle         in a circle
	outside       /etc/passwd
	dotdot        ../x
	absolute      /x
	twice         manifest.json: is twice
	trailing      damaged
	not-json      manifest.json
	END
	check orlop load -q -i /dev/null
	is_refused "nothing in it"
	check orlop load -q -i "$REPO/fixtures/make-archive"
	is_refused "no archive"
	archive docker odd app:1.4 | head -c 1000000 > "$WORK/cut.tar"
	check orlop load -q -i "$WORK/cut.tar"
	is_refused "damaged"
	check orlop load -q -i "$WORK/not-there"
	[ "$status" -eq 1 ]
}

@test "a hundred thousand members too many are refused early" {
	archive many odd app:1.4 > "$WORK/many.tar"
	check orlop load -q -i "$WORK/many.tar"
	is_refused "more than 131072 files"
}

@test "a failed load does not take what was there" {
	orlop load -q -i "$WORK/odd" -t kept:1
	archive digest odd app:1.4 > "$WORK/wrong.tar"
	cp "$WORK/wrong.tar" "$WORK/wrong2.tar"
	orlop load -q -i "$WORK/wrong2.tar" # the store's own bytes are sound, so the archive's are not needed
	orlop rmi app:1.4
	archive diff-id odd app:1.4 > "$WORK/wrong.tar"
	check orlop load -q -i "$WORK/wrong.tar"
	[ "$status" -eq 1 ]
	is_loaded kept:1 odd
}

@test "what came from an archive runs, and is on disk when that is said" {
	archive docker odd app:1.4 | orlop load -q
	[ "$(orlop run --rm app:1.4 cat /srv/wh/recreated)" = again ]
	[ "$(python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT (SELECT count(*) FROM blobs WHERE state != 0) + (SELECT count(*) FROM layers WHERE state != 0)").fetchone()[0])' "$ORLOP_ROOT/orlop.db")" = 0 ]
}

@test "progress is JSON on request, and quiet says only what was loaded" {
	archive docker odd app:1.4 > "$WORK/progress.tar"
	orlop load --progress=json -i "$WORK/progress.tar" > "$WORK/progress"
	jq -e . < "$WORK/progress" > /dev/null
	[ "$(jq -r 'select(.event == "done").ref' < "$WORK/progress")" = docker.io/library/app:1.4 ]
	[ "$(jq -r 'select(.event == "layer" and .state == "complete").digest' < "$WORK/progress" | wc -l)" -ge 6 ]
	check orlop load -q -i "$WORK/progress.tar"
	[ "$output" = "Loaded image: app:1.4" ]
}

@test "interrupted, nothing stays" {
	archive docker odd app:1.4 | head -c 100000 > "$WORK/begin.tar"
	mkfifo "$WORK/slow"
	"$ORLOP" load -q < "$WORK/slow" 3>&- &
	pid=$!
	echo $pid > "$WORK/slow.pid"
	exec 5> "$WORK/slow"
	cat "$WORK/begin.tar" >&5
	sleep 0.5
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	exec 5>&-
	[ "$status" -eq 130 ]
	[ -z "$(orlop images -q)" ]
	[ -z "$(find "$ORLOP_ROOT/blobs" "$ORLOP_ROOT/layers" "$ORLOP_ROOT/ingest" -mindepth 2 -type f)" ]
}

@test "little memory is enough" {
	head -c 300000000 /dev/urandom > "$WORK/noise"
	python3 - "$WORK" <<-'END'
	import hashlib, io, json, sys, tarfile
	work = sys.argv[1]
	with tarfile.open(work + "/noise.layer", "w") as tar:
	    tar.add(work + "/noise", "noise")
	data = open(work + "/noise.layer", "rb").read()
	config = json.dumps({"os": "linux", "architecture": "amd64",
	                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest()]}}).encode()
	with tarfile.open(work + "/large.tar", "w") as tar:
	    for name, content in ("layer.tar", data), ("c.json", config), ("manifest.json", json.dumps(
	            [{"Config": "c.json", "RepoTags": ["large:1"], "Layers": ["layer.tar"]}]).encode()):
	        info = tarfile.TarInfo(name)
	        info.size = len(content)
	        tar.addfile(info, io.BytesIO(content))
	END
	rm "$WORK/noise" "$WORK/noise.layer"
	python3 - "$ORLOP" "$WORK/large.tar" <<-'END'
	import os, resource, subprocess, sys
	cat = subprocess.Popen(["cat", sys.argv[2]], stdout=subprocess.PIPE)
	limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (262144 << 10, 262144 << 10))
	limit = limit if "asan" not in sys.argv[1] and "tsan" not in sys.argv[1] else None
	load = subprocess.run([sys.argv[1], "load", "-q"], stdin=cat.stdout, preexec_fn=limit)
	peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
	sys.exit(load.returncode or (peak >= 64 and limit and f"{peak} MiB resident"))
	END
	rm "$WORK/large.tar"
	[ "$(orlop images -q large:1 | wc -l)" -eq 1 ]
}

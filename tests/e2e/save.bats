#!/usr/bin/env bats
# save, export and import: what the established tools read of it, and write for it.
load lib.bash

setup_file() { scratch_make; }
teardown_file() { scratch_remove; }
setup() {
	need_root
	need_driver
	need skopeo jq python3
	store "-$BATS_TEST_NUMBER"
	cd "$WORK"
}
teardown() { store_remove; rm -rf "$WORK"/out* "$WORK"/back* "$WORK"/tree*; }

# in_store NAME: the recipe's image as localhost/NAME:latest, compressed layers kept.
in_store() { image_make "$1" && orlop load -q -i "$WORK/$1" -t "localhost/$1" > /dev/null; }
# What an image is: ID and DiffIDs.
ours() { orlop inspect --format '{{.Id}} {{json .RootFS.Layers}}' "$1"; }
theirs() { # skopeo's name
	skopeo inspect --raw --config "$1" > "$WORK/config"
	echo "sha256:$(sha256sum < "$WORK/config" | cut -d' ' -f1) $(jq -c .rootfs.diff_ids "$WORK/config")"
}
raw_digest() { skopeo inspect --raw "$1" | sha256sum | cut -d' ' -f1; }

@test "one archive: docker's files and an OCI layout; the same bytes each time" {
	in_store odd
	orlop save -o out.tar localhost/odd
	orlop save localhost/odd | cmp - out.tar
	[ "$(theirs docker-archive:out.tar)" = "$(theirs "oci:$WORK/odd:latest")" ]
	[ "$(theirs oci-archive:out.tar:latest)" = "$(theirs "oci:$WORK/odd:latest")" ]
	tar -xOf out.tar manifest.json | jq -e '.[0].RepoTags == ["localhost/odd:latest"]'
	tar -xOf out.tar repositories | jq -e '."localhost/odd".latest | length == 64'
	# Layers are plain tars under their DiffIDs.
	for layer in $(tar -xOf out.tar manifest.json | jq -r '.[0].Layers[]'); do
		[ "blobs/sha256/$(tar -xOf out.tar "$layer" | sha256sum | cut -d' ' -f1)" = "$layer" ]
	done
	not grep -qz . <(tar --numeric-owner --full-time -tvf out.tar | grep -v ' 0/0 .* 1970-01-01 00:00:00 ')
}

@test "OCI formats keep compressed layers, digests, and an index of several platforms" {
	in_store multiarch
	orlop save --format oci-archive -o out.tar localhost/multiarch
	orlop save --format oci-dir -o out localhost/multiarch
	for layout in oci-archive:out.tar:latest oci:out:latest; do
		[ "$(raw_digest $layout)" = "$(raw_digest "oci:$WORK/multiarch:latest")" ]
		for arch in amd64 arm64; do
			rm -rf back
			skopeo copy -q --override-arch $arch --preserve-digests $layout oci:back:latest
			[ "$(jq -r '.manifests[0].digest' back/index.json)" = \
				"$(skopeo inspect --raw $layout | jq -r --arg a $arch '.manifests[] | select(.platform.architecture == $a) | .digest')" ]
		done
	done
}

@test "one platform: its manifest, without the index" {
	in_store multiarch
	orlop save --platform linux/arm64 --format oci-dir -o out localhost/multiarch
	jq -e '.manifests[0].mediaType == "application/vnd.oci.image.manifest.v1+json"' out/index.json
	skopeo inspect --config oci:out:latest | jq -e '.architecture == "arm64"'
	check orlop save --platform linux/riscv64 -o out.tar localhost/multiarch
	[ "$status" -ne 0 ]
	[[ "$output" == *"platform linux/riscv64 of this image is not in the store"* ]]
	[ ! -e out.tar ]
}

@test "a layout is added to, an image keeps its place in it" {
	need umoci
	in_store busybox
	in_store many
	orlop save --format oci-dir -o out localhost/busybox
	orlop save --format oci-dir -o out localhost/many
	orlop save --format oci-dir -o out localhost/many
	[ "$(umoci ls --layout out | sort | paste -sd' ')" = "latest localhost/many:latest" ]
	[ "$(theirs oci:out:latest)" = "$(ours localhost/busybox)" ]
	[ "$(theirs oci:out:localhost/many:latest)" = "$(ours localhost/many)" ]
	umoci unpack --image out:latest tree
	mkdir out.other; touch out.other/file
	check orlop save --format oci-dir -o out.other localhost/many
	[ "$status" -ne 0 ]
	[[ "$output" == *"is not empty, and no OCI layout"* ]]
}

@test "several images, several names; what they share is there once" {
	in_store busybox
	in_store many
	orlop tag localhost/busybox app:1.2
	orlop save -o out.tar localhost/many app:1.2 localhost/busybox app:1.2
	tar -xOf out.tar manifest.json | jq -e 'map(.RepoTags) | flatten | sort == ["app:1.2", "localhost/busybox:latest", "localhost/many:latest"]'
	tar -xOf out.tar manifest.json | jq -e 'length == 2'
	[ "$(tar -tf out.tar | sort | uniq -d)" = "" ]
	orlop save localhost/busybox app:1.2 localhost/many | cmp - out.tar
}

@test "the difference to another image; load says what is missing" {
	in_store busybox
	in_store many
	orlop save -o out.tar localhost/many
	orlop save --since localhost/busybox -o out.delta localhost/many
	[ "$(stat -c %s out.delta)" -lt "$(($(stat -c %s out.tar) - 1500000))" ]
	before=$(ours localhost/many)
	store "-$BATS_TEST_NUMBER-b"
	check orlop load -i out.delta
	[ "$status" -ne 0 ]
	in_store busybox
	orlop load -i out.delta
	[ "$(ours localhost/many)" = "$before" ]
	store_remove
	store "-$BATS_TEST_NUMBER"
}

@test "what is damaged is refused by name, and no file appears" {
	in_store busybox
	layer=$(orlop inspect --format '{{index .RootFS.Layers 0}}' localhost/busybox)
	blob=$ORLOP_ROOT/blobs/sha256/${layer#*:}
	[ -e "$blob" ] || blob=$ORLOP_ROOT/blobs/sha256/$(skopeo inspect --raw "oci:$WORK/busybox:latest" | jq -r '.layers[0].digest' | cut -d: -f2)
	printf X | dd of="$blob" bs=1 seek=30000 conv=notrunc status=none
	check orlop save -o out.tar localhost/busybox
	[ "$status" -ne 0 ]
	[[ "$output" == *"layer 1 of 1 of localhost/busybox:latest"* ]]
	[ ! -e out.tar ]
	[ -z "$(find "$WORK" -maxdepth 1 -name '.tmp-*')" ]
}

@test "a terminal gets no archive" {
	in_store busybox
	check script -qec "'$ORLOP' save localhost/busybox" /dev/null
	[[ "$output" == *"cowardly refusing to save to a terminal. Use the -o flag or redirect"* ]]
	check script -qec "'$ORLOP' export localhost/busybox" /dev/null
	[[ "$output" == *"cowardly refusing"* ]]
}

@test "docker save, load, save, docker load" {
	need docker
	[ -x /usr/sbin/dockerd ] || skip "no dockerd on this machine"
	image_make busybox
	mkdir -p docker
	/usr/sbin/dockerd --iptables=false --ip6tables=false --bridge=none --data-root "$WORK/docker/root" --exec-root "$WORK/docker/exec" \
		--pidfile "$WORK/docker/pid" -H "unix://$WORK/docker/sock" > docker.log 2>&1 3>&- &
	echo $! > dockerd.pid
	docker() { command docker -H "unix://$WORK/docker/sock" "$@"; }
	for _ in $(seq 100); do docker version > /dev/null 2>&1 && break; sleep 0.2; done
	skopeo copy -q "oci:$WORK/busybox:latest" docker-archive:out.tar:localhost/trip:latest
	docker load -q -i out.tar
	docker save localhost/trip:latest | orlop load
	[ "$(ours localhost/trip)" = "$(theirs "oci:$WORK/busybox:latest")" ]
	docker rmi -f localhost/trip:latest
	orlop save localhost/trip | docker load
	[ "$(docker inspect --format '{{.Id}} {{json .RootFS.Layers}}' localhost/trip:latest)" = "$(ours localhost/trip)" ]
	kill "$(cat dockerd.pid)"
	wait "$(cat dockerd.pid)" || true
	rm dockerd.pid
}

@test "podman loads what was saved, and saves what is loaded" {
	need podman
	in_store many
	podman() { command podman --root "$WORK/podman" --runroot "$WORK/podman-run" --storage-driver vfs "$@"; }
	for format in docker-archive oci-archive; do
		rm -rf out.tar
		orlop save --format $format -o out.tar localhost/many
		podman rmi -af
		podman load -q -i out.tar
		[ "$(podman inspect --format 'sha256:{{.Id}} {{json .RootFS.Layers}}' localhost/many:latest)" = "$(ours localhost/many)" ]
		rm -f out.tar
		podman save -q --format $format -o out.tar localhost/many:latest
		before=$(ours localhost/many)
		orlop rmi -f localhost/many > /dev/null
		orlop load -q -i out.tar
		[ "$(ours localhost/many)" = "$before" ]
	done
	podman rmi -af
}

# ---------------------------------------------------------------------------------------------------------------- export

# exported NAME: as a tar in out.tar, unpacked in tree; compared with what is mounted.
exported() {
	local tree
	orlop export -o out.tar "$1"
	orlop export "$1" | cmp - out.tar
	mkdir tree
	tar --xattrs --xattrs-include='*' --numeric-owner -xpf out.tar -C tree
	tree=$(orlop mount "$1")
	"$TESTS/compare-tree" "$tree" tree
	orlop umount "$tree"
	no_mounts_left
}

@test "an image as one tar: hard links, xattrs, devices, holes, strange names" {
	in_store odd
	exported localhost/odd
	# A hole stays one.
	[ "$(tar -tvf out.tar | awk '{ s += $3 } END { print s }')" -gt "$(stat -c %s out.tar)" ]
	orlop import -q out.tar again
	orlop export again | cmp - out.tar
	[ "$(orlop run --rm again cat /etc/passwd)" = "$(tar -xOf out.tar etc/passwd)" ]
}

@test "an image as an EROFS disk" {
	in_store odd
	orlop export --format erofs -o out.erofs localhost/odd
	orlop export --format erofs localhost/odd | cmp - out.erofs
	orlop export -o out.tar localhost/odd
	mkdir tree back
	tar --xattrs --xattrs-include='*' --numeric-owner -xpf out.tar -C tree
	fsck=$(command -v fsck.erofs || true)
	[ -z "$fsck" ] || "$fsck" out.erofs
	mount -t erofs -o loop,ro out.erofs back || skip "this kernel mounts no EROFS disk"
	"$TESTS/compare-tree" tree back
	umount back
	# Holes take no room.
	[ "$(stat -c %s out.erofs)" -lt $((20 << 20)) ]
}

@test "a container with what it wrote, while it runs and after" {
	in_store busybox
	orlop run -u 0 --name box localhost/busybox sh -c 'rm /etc/passwd; mkdir /new; echo hi > /new/f; ln /new/f /hard; echo ready; sleep 3' > out.said 3>&- &
	for _ in $(seq 100); do grep -q ready out.said && break; sleep 0.1; done
	orlop export box | tar -tf - > out.running
	wait $!
	orlop export -o out.tar box
	tar -tf out.tar | diff - out.running
	not grep -q '^etc/passwd$' out.running
	[ "$(tar -xOf out.tar hard)" = hi ]
	tar -tvf out.tar | grep -q 'new/f link to hard'
	(cd "$ORLOP_ROOT"/containers/*/upper && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")')
	check orlop export -o out.tar box
	[ "$status" -eq 0 ]
	[[ "$output" == *"note: sock is left out: a socket"* ]]
	orlop rm box
	no_mounts_left
}

@test "lines of JSON keep out of the archive on stdout" {
	in_store odd
	for command in save export; do
		orlop $command --progress=json localhost/odd 2> out.json | tar -t > /dev/null
		jq -es 'map(.event) | index("progress") != null' out.json
		orlop $command --progress=json -o out.tar localhost/odd | jq -es 'map(.event) | index("progress") != null'
	done
}

@test "export names what there is not" {
	check orlop export -o out.tar nothing
	[ "$status" -ne 0 ]
	[[ "$output" == *"No such container or image: nothing"* ]]
	[ ! -e out.tar ]
}

# ---------------------------------------------------------------------------------------------------------------- import

@test "a tar becomes an image, however it is compressed" {
	mkdir -p tree/bin
	cp "$(command -v busybox || echo /bin/busybox)" tree/bin/busybox 2>/dev/null || skip "no busybox on this machine"
	ln -s busybox tree/bin/sh
	tar --sort=name --mtime=@0 --owner=0 --group=0 -C tree -cf out.tar .
	gzip -kn out.tar; xz -k out.tar; bzip2 -k out.tar; zstd -q out.tar
	export SOURCE_DATE_EPOCH=1000
	for f in out.tar out.tar.gz out.tar.xz out.tar.bz2 out.tar.zst; do
		orlop import -m words -c 'CMD echo "$A" in $(pwd)' -c 'ENV A="x y"' -c 'WORKDIR /bin' $f "back:${f##*.}" >> out.ids
	done
	[ "$(sort -u out.ids | wc -l)" = 1 ]
	[ "$(orlop import -m words -c 'CMD echo "$A" in $(pwd)' -c 'ENV A="x y"' -c 'WORKDIR /bin' - < out.tar.gz)" = "$(head -n 1 out.ids)" ]
	[ "$(orlop run --rm back:xz)" = "x y in /bin" ]
	orlop inspect back:gz | jq -e '.[0].Created == "1970-01-01T00:16:40Z" and .[0].Comment == "words"'
	orlop import --progress=json out.tar back:json | tail -n 1 | jq -e '.event == "done" and .ref == "docker.io/library/back:json" and (.id | length) == 71'
	# What it came from is gone: check finds all of it on disk, and a push or save has the compressed bytes.
	rm out.tar*
	orlop check
	orlop save --format oci-dir -o out.layout back:gz
	[ "$(jq -r '.layers[0].mediaType' "out.layout/blobs/sha256/$(jq -r '.manifests[0].digest' out.layout/index.json | cut -d: -f2)")" = application/vnd.oci.image.layer.v1.tar+gzip ]
}

@test "what cannot be imported leaves nothing" {
	printf 'no tar at all, but long enough for a header %0600d' 0 > out.bad
	head -c 700 /dev/zero > out.short
	: > out.empty
	for f in out.bad out.empty; do
		check orlop import $f
		[ "$status" -ne 0 ]
	done
	check orlop import -c 'FROM x' out.short
	[[ "$output" == *"FROM is not a valid change command"* ]]
	check orlop import https://example.com/x.tar
	[[ "$output" == *"orlop imports files, not URLs"* ]]
	[ -z "$(orlop images -q)" ]
	[ -z "$(find "$ORLOP_ROOT/blobs" -type f)" ]
}

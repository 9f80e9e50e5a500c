#!/usr/bin/env bats
# What orlop mounts of an image equals what umoci unpacks of it, for both drivers.
load lib.bash

setup_file() {
	scratch_make
	tools_are_there || return 0
	registry_start
	image_push busybox latest zstd docker
	image_push odd latest zstd docker
	image_push many latest
	image_push multiarch latest
	image_push plain latest
}
teardown_file() { scratch_remove; }
tools_are_there() { command -v docker-registry >/dev/null && command -v skopeo >/dev/null && command -v umoci >/dev/null; }
setup() {
	need_root
	need_driver
	need docker-registry skopeo umoci jq python3
	store "-$BATS_TEST_NUMBER"
}
teardown() { store_remove; }

# compare LAYOUT TAG [FLAG...]: pulls NAME:TAG, mounts it, compares it with umoci's tree of the layout, unmounts it.
compare() {
	local name=$1 tag=$2 tree
	shift 2
	orlop pull -q "$@" "$REGISTRY/$name:$tag"
	tree=$(orlop mount "$@" "$REGISTRY/$name:$tag")
	check "$TESTS/e2e/compare-image" "$WORK/$name:latest" "$tree" --oracle "$WORK/oracle-$name${*//[^a-z0-9]/-}" "$@"
	[ "$status" -eq 0 ]
	[ -z "$(find "$tree" -name '.wh.*')" ]
	find "$tree" -print0 | xargs -0 stat -- >/dev/null
	orlop umount "$tree"
	[ ! -e "$tree" ]
	no_mounts_left
}

diff_ids() { orlop inspect --format '{{json .RootFS.Layers}}' "$1"; }

@test "busybox: gzip, zstd and docker's types are one tree" {
	for tag in latest zstd docker; do compare busybox "$tag"; done
	[ "$(diff_ids "$REGISTRY/busybox:zstd")" = "$(diff_ids "$REGISTRY/busybox:latest")" ]
	orlop check
}

@test "odd: whiteouts, links across layers, strange names and numbers" { compare odd latest; orlop check; }
@test "odd from zstd layers" {
	compare odd zstd
	skopeo inspect --config "oci:$WORK/odd:latest" | jq -c .rootfs.diff_ids > "$WORK/ids"
	[ "$(diff_ids "$REGISTRY/odd:zstd")" = "$(cat "$WORK/ids")" ]
}
@test "odd with docker's types" { compare odd docker; }
@test "layers that are not compressed" { compare plain latest; orlop check; skopeo inspect "oci:$ORLOP_ROOT" >/dev/null; }
@test "41 layers" { compare many latest; orlop check; }
@test "each platform of an index" {
	compare multiarch latest --platform linux/amd64
	compare multiarch latest --platform linux/arm64
}

@test "sparse files stay sparse and empty xattrs are kept" {
	orlop pull -q "$REGISTRY/odd"
	tree=$(orlop mount "$REGISTRY/odd")
	[ "$(stat -c %s "$tree/srv/sparse/holes")" -eq $((8 << 20)) ]
	cmp -n 4096 <(head -c 4096 /dev/zero | tr '\0' b) <(tail -c +$(((1 << 20) + 1)) "$tree/srv/sparse/holes")
	[ "$(stat -c %s "$tree/srv/sparse/only-hole")" -eq $((1 << 20)) ]
	# On disk there is no more than the data.
	[ "$(du -s --block-size=1M "$ORLOP_ROOT" | cut -f1)" -le 12 ]
	python3 - "$tree" <<-'PY'
	import os, sys
	path = sys.argv[1] + "/srv/attrs/commented"
	assert os.getxattr(path, "user.empty") == b"", os.listxattr(path)
	assert os.getxattr(path, "user.comment") == b"a comment"
	assert os.getxattr(path, "trusted.kept") == b"root only"
	fd = os.open(sys.argv[1] + "/srv/sparse/holes", os.O_RDONLY)
	data, at = [], 0
	while at < 7 << 20:
	    at = os.lseek(fd, at, os.SEEK_DATA)
	    end = os.lseek(fd, at, os.SEEK_HOLE)
	    data.append((at, end - at))
	    at = end
	assert sum(size for _, size in data) <= 65536, data
	PY
	orlop umount "$tree"
}
@test "an image may be mounted twice, and a mount without --rw is read-only" {
	orlop pull -q "$REGISTRY/odd"
	mkdir "$WORK/one" "$WORK/two"
	orlop mount "$REGISTRY/odd" "$WORK/one"
	orlop mount --rw "$REGISTRY/odd" "$WORK/two"
	run touch "$WORK/one/new"
	[ "$status" -ne 0 ]
	echo changed > "$WORK/two/srv/linked"
	mkdir "$WORK/two/new"
	rm -r "$WORK/two/srv/names"
	[ "$(cat "$WORK/one/srv/linked")" = "the target of links" ]
	[ -d "$WORK/one/srv/names" ]
	check orlop mount
	[ "${#lines[@]}" -eq 3 ]
	orlop mount --json | jq -e 'map(.Mode) | sort == ["ro", "rw"]'
	# What is mounted is not removed.
	run orlop rmi "$REGISTRY/odd"
	orlop gc
	[ "$(cat "$WORK/one/srv/linked")" = "the target of links" ]
	orlop umount "$WORK/one"
	[ "$(cat "$WORK/two/srv/linked")" = changed ]
	orlop umount "$WORK/two"
	no_mounts_left
	[ -z "$(ls "$WORK/one" "$WORK/two" -A | grep -v :)" ]
	rmdir "$WORK/one" "$WORK/two"
	run orlop umount "$WORK/one"
	[ "$status" -eq 1 ]
}

layer_mounts() { awk -v run="$ORLOP_RUN/" 'index($5, run) == 1 && $5 ~ "/(layers|chains)/"' /proc/self/mountinfo | wc -l; }

@test "images that share layers share one mount of each" {
	orlop pull -q "$REGISTRY/odd"
	orlop pull -q "$REGISTRY/busybox"
	a=$(orlop mount "$REGISTRY/odd")
	before=$(layer_mounts)
	b=$(orlop mount "$REGISTRY/busybox")
	after=$(layer_mounts)
	[ "$before" -eq "$after" ]
	[ "${ORLOP_DRIVER:-}" = dir ] || [ "$before" -gt 0 ]
	orlop umount "$a"
	cat "$b/bin/busybox" >/dev/null
	orlop umount "$b"
	no_mounts_left
}

@test "layers of both drivers make one image" {
	need_driver erofs
	other=$([ "${ORLOP_DRIVER:-}" = dir ] && echo erofs || echo dir)
	ORLOP_DRIVER=$other orlop pull -q "$REGISTRY/busybox"
	compare odd latest
	orlop check
	[ -n "$(find "$ORLOP_ROOT/layers" -name fs -maxdepth 2)" ]
	[ -n "$(find "$ORLOP_ROOT/layers" -name index.erofs -maxdepth 2)" ]
}

#!/usr/bin/env bats
# Other tools on what orlop keeps and shows: crun and runc on bundles, podman on mounts, skopeo and umoci on the store itself.
load lib.bash

setup_file() {
	scratch_make
	command -v docker-registry >/dev/null && command -v skopeo >/dev/null && [ -e /bin/busybox ] || return 0
	registry_start
	image_push busybox latest
	image_push odd latest
	image_push multiarch latest
}
teardown_file() { scratch_remove; }
setup() {
	need_root
	need_driver
	need docker-registry skopeo jq unshare
	store "-$BATS_TEST_NUMBER"
	IMAGE=$REGISTRY/busybox
	orlop pull -q "$IMAGE"
	cd "$WORK"
}
teardown() {
	store_remove
	rm -rf --one-file-system "$WORK/bundle" "$WORK/dir" "$WORK"/podman* "$WORK"/rt-*
}

# As crun and podman need it: they refuse a hybrid cgroup host, so its v2 part is hidden.
plain_cgroups() {
	unshare --mount sh -c 'if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec "$@"' sh "$@"
}
# each_runtime TEST...: the words with the runtime's name behind them, for each that is here.
each_runtime() {
	local runtime
	for runtime in crun runc; do
		if command -v $runtime >/dev/null; then "$@" $runtime; else echo "# no $runtime here" >&3; fi
	done
}
runtime_run() { plain_cgroups "$1" --root "$WORK/rt-$1" run --bundle "$2" "orlop-e2e-$$-$BATS_TEST_NUMBER"; }

bundle_runs() {
	orlop bundle -e "A=b c" -w /tmp --hostname probe -u 0 --tmpfs /scratch -v "$WORK/tmp:/host:ro" --read-only "$IMAGE" bundle \
		sh -c 'id -u; pwd; hostname; echo "$A"; touch /new 2>/dev/null || echo read-only; touch /scratch/x && ls /scratch; touch /host/x 2>/dev/null || echo host-ro; exit 8'
	check runtime_run "$1" "$WORK/bundle"
	[ "$status" -eq 8 ]
	[ "${lines[*]}" = "0 /tmp probe b c read-only x host-ro" ]
	orlop umount bundle
	rm -r bundle
	no_mounts_left
}
@test "crun and runc run a bundle as it is" { each_runtime bundle_runs; }

bundle_maps() {
	local how
	chmod 0755 "$WORK" # runc comes to the root file system as the namespace's root
	for how in "--idmap 0:100000:65536" "--uidmap 0:100000:65536 --gidmap 0:200000:1000 --gidmap 1000:300000:64536"; do
		# shellcheck disable=SC2086
		orlop bundle $how -u 0 "$IMAGE" bundle sh -c 'id -u; id -g; cat /proc/self/uid_map | tr -s " "; stat -c %u:%g / /bin/busybox; echo in > /made; mkdir /dir; rm /etc/group; exit 9'
		jq -e '.linux.namespaces | any(.type == "user")' bundle/config.json
		jq -e '.linux.uidMappings == [{containerID: 0, hostID: 100000, size: 65536}]' bundle/config.json
		[ "$(stat -c %u bundle/rootfs/bin/busybox)" = 100000 ]
		check runtime_run "$1" "$WORK/bundle"
		[ "$status" -eq 9 ]
		[ "${lines[*]}" = "0 0  0 100000 65536 0:0 0:0" ]
		[ "$(cat bundle/rootfs/made)" = in ]
		[ "$(stat -c %u bundle/rootfs/made bundle/rootfs/dir | sort -u)" = 100000 ]
		case $how in *gidmap*) [ "$(stat -c %g bundle/rootfs/made)" = 200000 ] ;; esac
		[ "$(stat -c %u:%g "$ORLOP_ROOT"/containers/*/upper/made)" = 0:0 ]
		[ ! -e bundle/rootfs/etc/group ]
		orlop umount bundle
		rm -r bundle
	done
	no_mounts_left
}
@test "crun and runc run a bundle in a user namespace" { each_runtime bundle_maps; }

@test "what a bundle's user namespace lacks is refused by name" {
	check orlop bundle --idmap 0:100000:10 "$IMAGE" bundle true # the image's user is 1000
	[ "$status" -eq 1 ]
	[[ "$output" == *"no place for user 1000"* ]]
	check orlop bundle --idmap 0:100000:10 --uidmap 0:1:1 "$IMAGE" bundle true
	[[ "$output" == *"leave --uidmap"* ]]
	check orlop bundle --gidmap 0:1:1 "$IMAGE" bundle true
	[[ "$output" == *"--gidmap needs --uidmap"* ]]
	check orlop bundle --uidmap 0:1:x "$IMAGE" bundle true
	[[ "$output" == *"--uidmap: id map"* ]]
	[ -z "$(orlop mounts -q)" ]
	[ -z "$(ls "$ORLOP_ROOT/containers")" ]
	no_mounts_left
}

# flags | what config.json then says. Each option of `run` that shapes a bundle stands here once at least.
flags() { cat <<-'FLAGS'
	--cap-add NET_ADMIN | .process.capabilities.bounding | index("CAP_NET_ADMIN") != null
	--cap-drop CHOWN | .process.capabilities.bounding | index("CAP_CHOWN") == null
	--cap-drop ALL | .process.capabilities.bounding == []
	--cpu-shares 512 | .linux.resources.cpu.shares == 512
	-c 256 | .linux.resources.cpu.shares == 256
	--cpus 1.5 | .linux.resources.cpu.quota == 150000 and .linux.resources.cpu.period == 100000
	--entrypoint /bin/busybox | .process.args == ["/bin/busybox", "true"]
	-e A=1 --env B=2 | .process.env | index("A=1") != null and index("B=2") != null
	--env-file WORK/env | .process.env | index("FROM=file") != null
	--group-add 17 | .process.user.additionalGids | index(17) != null
	--hostname probe | .hostname == "probe"
	-h other | .hostname == "other"
	--init | .process.args[0:2] == ["/dev/init", "--"] and any(.mounts[]; .destination == "/dev/init")
	-i | .process.terminal == false
	--interactive | .process.terminal == false
	-t | .process.terminal == true
	--tty | .process.terminal == true
	-m 64m | .linux.resources.memory == {"limit": 67108864, "swap": 134217728}
	--memory 64m --memory-swap -1 | .linux.resources.memory == {"limit": 67108864, "swap": -1}
	--memory 64m --memory-swap 65m | .linux.resources.memory.swap == 68157440
	--mount type=bind,src=WORK/tmp,dst=/mnt,readonly | any(.mounts[]; .destination == "/mnt" and .type == "bind" and (.options | index("ro") != null))
	--mount type=tmpfs,dst=/mnt | any(.mounts[]; .destination == "/mnt" and .type == "tmpfs")
	-v WORK/tmp:/mnt | any(.mounts[]; .destination == "/mnt" and (.source | endswith("/tmp")))
	--volume WORK/tmp:/mnt:ro | any(.mounts[]; .destination == "/mnt" and (.options | index("ro") != null))
	--tmpfs /mnt:size=1m | any(.mounts[]; .destination == "/mnt" and (.options | index("size=1m") != null))
	--shm-size 1m | any(.mounts[]; .destination == "/dev/shm" and (.options | index("size=1048576") != null))
	--network none | any(.linux.namespaces[]; .type == "network")
	--network host | all(.linux.namespaces[]; .type != "network")
	--net host | all(.linux.namespaces[]; .type != "network")
	--pids-limit 77 | .linux.resources.pids.limit == 77
	--platform linux/amd64 | .process.args == ["true"]
	--pull never | .process.args == ["true"]
	--privileged | .linux.seccomp == null and .linux.maskedPaths == null and .linux.resources.devices[0].allow
	--read-only | .root.readonly
	--security-opt no-new-privileges | .process.noNewPrivileges
	--security-opt seccomp=unconfined | .linux.seccomp == null
	--ulimit nofile=64:128 | .process.rlimits == [{"type": "RLIMIT_NOFILE", "hard": 128, "soft": 64}]
	-u 12:34 | .process.user.uid == 12 and .process.user.gid == 34
	--user 0 | .process.user.uid == 0
	-w /tmp | .process.cwd == "/tmp"
	--workdir /etc | .process.cwd == "/etc"
	--idmap 0:5:65536 | .linux.gidMappings == [{"containerID": 0, "hostID": 5, "size": 65536}]
	--uidmap 0:5:65536 --gidmap 0:6:65536 | .linux.gidMappings[0].hostID == 6
	--env X=1 | .root == {"path": "rootfs", "readonly": false} and .linux.seccomp != null and .process.noNewPrivileges == false
	FLAGS
}

@test "every option of run that shapes a bundle does so in config.json" {
	local line options wanted missing=0
	echo FROM=file > "$WORK/env"
	while read -r line; do
		options=${line%% | *} wanted=${line#* | }
		# shellcheck disable=SC2086
		orlop bundle ${options//WORK/$WORK} "$IMAGE" bundle true
		jq -e "$wanted" bundle/config.json >/dev/null || { echo "$options: not $wanted"; jq . bundle/config.json; false; }
		orlop umount bundle
		rm -r bundle
	done < <(flags)
	# And none was forgotten here: what run has beside them is about the container, not the bundle.
	orlop pull --help | grep -o -- '--[a-z-]*[a-z]' | sort -u > "$WORK/pull-options"
	for option in $(orlop run --help | grep -o -- '--[a-z-]*[a-z]' | sort -u); do
		case $option in --name | --rm | --cidfile | --runtime | --record) continue ;; esac # run's own
		orlop bundle --help | grep -q -- "$option\b" || { echo "bundle has no $option"; missing=1; }
		grep -qx -- "$option" "$WORK/pull-options" || flags | grep -q -- "$option " || { echo "$option is not tried"; missing=1; }
	done
	[ "$missing" -eq 0 ]
	no_mounts_left
}

@test "skopeo and umoci open the store in place" {
	need umoci
	orlop pull -q "$REGISTRY/odd"
	for name in busybox odd; do
		skopeo copy -q "oci:$ORLOP_ROOT:$REGISTRY/$name:latest" "dir:$WORK/dir"
		# The same image: its config is byte for byte what the registry has.
		[ "$(jq -r .config.digest "$WORK/dir/manifest.json")" = "$(config_digest "$name:latest")" ]
		umoci unpack --image "$ORLOP_ROOT:$REGISTRY/$name:latest" "$WORK/bundle"
		tree=$(orlop mount "$REGISTRY/$name")
		check "$TESTS/e2e/compare-image" "$WORK/$name:latest" "$tree" --oracle "$WORK/bundle/rootfs"
		[ "$status" -eq 0 ]
		orlop umount "$tree"
		rm -rf "$WORK/bundle" "$WORK/dir"
	done
	# An image of several platforms, of which one is here.
	orlop pull -q --platform linux/arm64 "$REGISTRY/multiarch"
	umoci unpack --image "$ORLOP_ROOT:$REGISTRY/multiarch:latest" "$WORK/bundle"
	[ -e "$WORK/bundle/rootfs/bin/sh" ]
	orlop pull -q --all-platforms "$REGISTRY/multiarch"
	umoci ls --layout "$ORLOP_ROOT" | grep -qx "$REGISTRY/odd:latest"
	for arch in amd64 arm64; do
		skopeo --override-os linux --override-arch $arch copy -q "oci:$ORLOP_ROOT:$REGISTRY/multiarch:latest" "dir:$WORK/dir"
		[ "$(skopeo --override-os linux --override-arch $arch inspect --config "oci:$ORLOP_ROOT:$REGISTRY/multiarch:latest" | jq -r .architecture)" = $arch ]
		rm -r "$WORK/dir"
	done
	skopeo copy -q --all "oci:$ORLOP_ROOT:$REGISTRY/multiarch:latest" "oci:$WORK/dir:all"
	[ "$(jq '.manifests | length' "$WORK/dir/index.json")" -eq 1 ]
}

# podman_run ARGS...: with storage of its own. Its root lacks CAP_SYS_RESOURCE in some machines, hence the limits.
podman_run() {
	plain_cgroups podman --root "$WORK/podman" --runroot "$WORK/podman-run" --cgroup-manager=cgroupfs --events-backend=none \
		run --rm --cgroups=disabled --network=none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 "$@"
}

@test "podman runs on a writable mount" {
	need podman
	mkdir dir
	orlop mount --rw "$IMAGE" dir
	check podman_run --user 0 --rootfs "$WORK/dir" sh -c 'id -u; echo written > /new; rm /etc/group; exit 6'
	[ "$status" -eq 6 ]
	[ "${lines[0]}" = 0 ]
	[ "$(cat dir/new)" = written ]
	[ ! -e dir/etc/group ]
	orlop umount dir
	# What podman's container wrote is there the next time.
	orlop mount --rw "$IMAGE" dir
	check podman_run --rootfs "$WORK/dir" cat /new
	[ "$output" = written ]
	orlop umount --rm dir
	unmount_below "$WORK/podman"
	no_mounts_left
}

@test "podman runs over a read-only mount" {
	need podman
	tree=$(orlop mount "$IMAGE")
	check podman_run --user 0 --rootfs "$tree:O" sh -c 'echo written > /new; cat /new; rm /etc/group; exit 7'
	[ "$status" -eq 7 ]
	[ "${lines[0]}" = written ]
	[ ! -e "$tree/new" ]
	[ -e "$tree/etc/group" ]
	check podman_run --rootfs "$tree:O" cat /new
	[ "$status" -ne 0 ]
	orlop umount "$tree"
	unmount_below "$WORK/podman"
	no_mounts_left
}

#!/usr/bin/env bats
# Images made visible for others: counted, kept over crashes and reboots, cleaned up, with other owners.
load lib.bash

setup_file() {
	scratch_make
	command -v docker-registry >/dev/null && command -v skopeo >/dev/null && [ -e /bin/busybox ] || return 0
	registry_start
	image_push busybox latest
	image_push odd latest
}
teardown_file() { scratch_remove; }
setup() {
	need_root
	need_driver
	need docker-registry skopeo jq
	store "-$BATS_TEST_NUMBER"
	IMAGE=$REGISTRY/busybox
	DIR=$WORK/dir
	mkdir -p "$DIR"
	orlop pull -q "$IMAGE"
}
teardown() {
	rm -f "$WORK"/stop
	store_remove
	rm -rf --one-file-system "$DIR" "$WORK/bundle"
}
mounts() { orlop mounts --format "$1" "${@:2}"; }
# The machine starts anew: nothing is mounted, the run folder is empty, rows are of another boot.
reboot() {
	# A syncing child would go on in the new boot.
	for _ in $(seq 100); do fuser -s "$ORLOP_ROOT/orlop.db" 2>/dev/null || break; sleep 0.1; done
	unmount_below "$WORK"
	rm -rf --one-file-system "$ORLOP_RUN"
	"$TESTS/e2e/change-boot" "$ORLOP_ROOT"
}

@test "the same mount is counted, and ends with its last umount" {
	path=$(orlop mount "$IMAGE")
	[ "$(orlop mount "$IMAGE")" = "$path" ]
	[ "$(orlop mount "$IMAGE" "$path")" = "$path" ]
	[ "$(mounts '{{.Target}} {{.Users}} {{.State}} {{.Mode}}')" = "$path 3 mounted ro" ]
	[ "$(grep -c " $path " /proc/self/mountinfo)" -eq 1 ]
	check orlop umount "$path"
	[[ "$output" == *"stays for 2 other users" ]]
	orlop umount "$IMAGE"
	[ -e "$path/bin/busybox" ]
	orlop umount "$path"
	[ ! -e "$path" ]
	check orlop umount "$path"
	[ "$status" -eq 1 ]
	[[ "$output" == *"is not a mount of orlop's"* ]]
	[ -z "$(orlop mounts -q)" ]
	no_mounts_left
}

@test "mounts that come and go at once are counted" {
	local path pids=() i
	path=$(orlop mount "$IMAGE")
	for i in $(seq 8); do
		orlop mount "$IMAGE" >/dev/null 3>&- &
		pids+=($!)
		orlop gc >/dev/null 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[ "$(mounts '{{.Users}} {{.State}}')" = "9 mounted" ]
	pids=()
	for i in $(seq 9); do
		orlop umount "$path" >/dev/null 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[ -z "$(orlop mounts -q)" ]
	no_mounts_left
}

@test "umount --force and --all end it for everybody" {
	orlop mount "$IMAGE" "$DIR"
	orlop mount "$IMAGE" "$DIR"
	orlop umount -f "$DIR"
	no_mounts_left
	orlop mount "$IMAGE" "$DIR"
	orlop mount "$IMAGE"
	mkdir "$DIR-2"
	orlop mount --rw "$IMAGE" "$DIR-2"
	orlop umount --all --rm
	no_mounts_left
	[ -z "$(orlop mounts -q)" ]
	[ -z "$(ls "$ORLOP_ROOT/containers")" ]
	check orlop umount
	[ "$status" -eq 125 ] || [ "$status" -eq 1 ]
	check orlop umount --all "$DIR"
	[ "$status" -ne 0 ]
	rmdir "$DIR-2"
}

@test "mounts lists them, for people and programs" {
	path=$(orlop mount "$IMAGE")
	orlop mount --rw "$IMAGE" "$DIR"
	[ "$(orlop mounts -q | sort)" = "$(printf '%s\n' "$path" "$DIR" | sort)" ]
	check orlop mounts
	[ "${#lines[@]}" -eq 3 ]
	[[ "${lines[0]}" == TARGET*IMAGE*MODE*USERS*STATE* ]]
	orlop mounts --json | jq -e 'length == 2 and all(.State == "mounted" and .Users == 1 and (.MountID | length) == 64)'
	orlop mounts --format json | jq -e '.Target' >/dev/null
	[ "$(orlop mount -q | sort)" = "$(orlop mounts -q | sort)" ]
	orlop umount "$path" "$DIR"
}

@test "what is no folder is said to be none" {
	touch "$WORK/file"
	check orlop mount "$IMAGE" "$WORK/file"
	[ "$output" = "orlop: $WORK/file is a file, not a folder" ]
	[ "$(orlop mounts -q)" = "" ]
}

@test "a folder shows one thing at a time" {
	orlop pull -q "$REGISTRY/odd"
	orlop mount "$IMAGE" "$DIR"
	for other in "--rw $IMAGE" "$REGISTRY/odd" "--idmap 0:100000:65536 $IMAGE"; do
		# shellcheck disable=SC2086
		check orlop mount $other "$DIR"
		[ "$status" -eq 1 ]
		[[ "$output" == *"is mounted at $DIR already, read-only"* ]]
	done
	mount -t tmpfs over "$DIR"
	[ "$(mounts '{{.State}}')" = hidden ]
	check orlop umount "$DIR"
	[ "$status" -eq 1 ]
	[[ "$output" == *"something else is mounted over"* ]]
	umount "$DIR"
	orlop umount "$DIR"
	no_mounts_left
}

@test "what is written survives umount, until --rm" {
	orlop mount --rw "$IMAGE" "$DIR"
	echo kept > "$DIR/new"
	rm "$DIR/bin/sh"
	orlop umount "$DIR"
	[ -z "$(ls -A "$DIR")" ]
	[ "$(mounts '{{.State}} {{.Users}}')" = "unmounted 0" ]
	check orlop umount "$DIR"
	[ "$status" -eq 1 ]
	[[ "$output" == *"--rm removes it"* ]]
	check orlop mount "$IMAGE" "$DIR"
	[ "$status" -eq 1 ]
	[[ "$output" == *"what was written at $DIR belongs to another mount"* ]]
	check orlop rmi "$IMAGE"
	[ "$status" -eq 1 ]
	[[ "$output" == *"what was written over it is kept for $DIR"* ]]
	orlop gc
	orlop mount --rw "$IMAGE" "$DIR"
	[ "$(cat "$DIR/new")" = kept ]
	[ ! -e "$DIR/bin/sh" ]
	orlop umount --rm "$DIR"
	[ -z "$(orlop mounts -q)" ]
	# Where nothing was written there is nothing to keep.
	orlop mount --rw "$IMAGE" "$DIR"
	orlop umount "$DIR"
	[ -z "$(orlop mounts -q)" ]
	[ -z "$(ls "$ORLOP_ROOT/containers")" ]
	no_mounts_left
}

@test "after a reboot mounts says so, mount brings it back, gc cleans" {
	path=$(orlop mount "$IMAGE")
	mkdir "$DIR-2" "$DIR-3"
	orlop mount "$IMAGE" "$DIR-2"
	orlop mount --rw "$IMAGE" "$DIR"
	orlop mount --rw "$IMAGE" "$DIR-3"
	echo written > "$DIR/new"
	reboot
	[ "$(mounts '{{.State}}' | sort -u)" = gone ]
	[ "$(orlop mount "$IMAGE")" = "$path" ]
	[ -x "$path/bin/busybox" ]
	orlop mount --rw "$IMAGE" "$DIR"
	[ "$(cat "$DIR/new")" = written ]
	[ "$(mounts '{{.State}}' | sort | uniq -c | tr -s ' ' | tr '\n' ,)" = " 2 gone, 2 mounted," ]
	orlop gc
	[ "$(orlop mounts -q | sort)" = "$(printf '%s\n' "$path" "$DIR" | sort)" ]
	[ "$(ls "$ORLOP_ROOT/containers" | wc -l)" -eq 2 ]
	reboot
	# What was written is nobody's to forget.
	orlop gc
	[ "$(mounts '{{.Target}} {{.State}}')" = "$DIR gone" ]
	orlop umount --rm "$DIR"
	[ -z "$(orlop mounts -q)$(ls "$ORLOP_ROOT/containers")" ]
	rmdir "$DIR-2" "$DIR-3"
	orlop rmi "$IMAGE"
	orlop check
	no_mounts_left
}

@test "a mount that somebody else took away is gone, and can be mounted again" {
	orlop mount "$IMAGE" "$DIR"
	orlop mount "$IMAGE" "$DIR"
	umount "$DIR"
	[ "$(mounts '{{.State}}')" = gone ]
	orlop mount "$IMAGE" "$DIR"
	[ "$(mounts '{{.State}} {{.Users}}')" = "mounted 1" ]
	umount "$DIR"
	orlop umount "$DIR"
	[ -z "$(orlop mounts -q)" ]
	no_mounts_left
}

@test "gc unmounts layers that nobody uses any more" {
	orlop mount "$IMAGE" "$DIR"
	umount "$DIR"
	mkdir -p "$(echo "$ORLOP_RUN"/*)/mounts/of-a-mount-that-was-killed"
	orlop gc
	[ -z "$(ls "$ORLOP_RUN"/*/mounts)" ]
	[ -z "$(orlop mounts -q)" ]
	[ -z "$(ls "$ORLOP_RUN"/*/layers)" ]
	no_mounts_left
}

@test "rmi names the mount that needs the image" {
	orlop mount "$IMAGE" "$DIR"
	check orlop rmi "$IMAGE"
	[ "$status" -eq 1 ]
	[[ "${lines[0]}" == *"unable to remove $IMAGE: it is mounted at $DIR" ]]
	[[ "${lines[1]}" == *"orlop umount $DIR"* ]]
	# Forced, the name goes; what is mounted stays until it is not.
	orlop rmi -f "$IMAGE"
	orlop gc
	"$DIR/bin/busybox" true
	[ -z "$(orlop images -q)" ]
	orlop umount "$DIR"
	orlop gc
	[ -z "$(find "$ORLOP_ROOT/blobs" "$ORLOP_ROOT/layers" -type f)" ]
}

@test "a mount of another mount namespace is left alone" {
	need unshare
	mkfifo "$WORK/go"
	unshare --mount sh -c '"$0" mount "$1" "$2" && echo up > "$3/up" && read -r line < "$3/go" && cat "$2/etc/passwd" > "$3/read"' \
		"$ORLOP" "$IMAGE" "$DIR" "$WORK" 3>&- &
	other=$!
	for _ in $(seq 100); do [ -e "$WORK/up" ] && break; sleep 0.1; done
	[ "$(mounts '{{.State}}')" = elsewhere ]
	check orlop mount "$IMAGE" "$DIR"
	[ "$status" -eq 1 ]
	[[ "$output" == *"another mount namespace"* ]]
	check orlop umount "$DIR"
	[ "$status" -eq 1 ]
	orlop gc
	echo > "$WORK/go"
	wait "$other"
	[ -s "$WORK/read" ]
	orlop umount --force "$DIR"
	[ -z "$(orlop mounts -q)" ]
	rm "$WORK/go" "$WORK/up" "$WORK/read"
}

@test "--idmap shows owners as a user namespace has them" {
	need setpriv
	orlop mount --rw --idmap 0:100000:65536:0:200000:65536 "$IMAGE" "$DIR"
	[ "$(stat -c %u:%g "$DIR" "$DIR/bin/busybox" | sort -u)" = 100000:200000 ]
	chmod 0755 "$WORK"
	(cd "$DIR" && setpriv --reuid 100000 --regid 200000 --clear-groups -- sh -c 'echo in > new && mkdir d && rm bin/sh')
	check orlop mount --rw --idmap 0:100000:65536:0:200000:65536 "$IMAGE" "$DIR"
	[ "$status" -eq 0 ]
	[ "$(mounts '{{.IDMap}} {{.Users}}')" = "0:100000:65536:0:200000:65536 2" ]
	orlop umount -f "$DIR"
	# On the disk the ids are the container's: another map, or none, goes on.
	orlop mount --rw --idmap 0:300000:10 "$IMAGE" "$DIR"
	[ "$(stat -c %u:%g "$DIR/new" "$DIR/d" | sort -u)" = 300000:300000 ]
	orlop umount "$DIR"
	orlop mount --rw "$IMAGE" "$DIR"
	[ "$(stat -c %u:%g "$DIR/new" "$DIR/d" | sort -u)" = 0:0 ]
	orlop umount --rm "$DIR"
	a=$(orlop mount --idmap 0:100000:65536 "$IMAGE")
	b=$(orlop mount "$IMAGE")
	[ "$a" != "$b" ]
	[ "$(stat -c %u "$a/bin" "$b/bin" | tr '\n' ' ')" = "100000 0 " ]
	orlop umount "$a" "$b"
	no_mounts_left
}

@test "an id map that makes no sense is refused" {
	for map in "" 0 0:1 0:1:0 0:1:4294967295 1:100000:65536 0:1:1:x 0:0:10,5:100:1 ,; do
		check orlop mount --idmap "$map" "$IMAGE" "$DIR"
		[ "$status" -ne 0 ]
		[ "${#lines[@]}" -le 2 ]
	done
	check orlop mount --idmap nobody-has-this-name "$IMAGE" "$DIR"
	[ "$status" -eq 1 ]
	[[ "$output" == *"/etc/sub"* ]]
	[ -z "$(orlop mounts -q)" ]
	no_mounts_left
}

# with_subids COMMAND...: where /etc/subuid and /etc/subgid are $WORK/subuid and $WORK/subgid, if the machine has such files.
with_subids() {
	unshare --mount sh -c 'mount --bind "$0/subuid" /etc/subuid && mount --bind "$0/subgid" /etc/subgid && exec "$@"' "$WORK" "$@"
}

@test "--idmap takes a user's ranges" {
	need unshare
	[ -f /etc/subuid ] && [ -f /etc/subgid ] || skip "no /etc/subuid and /etc/subgid here"
	printf '%s\n' containers:500000:1000 mapped:600000:10 mapped:700000:20 > "$WORK/subuid"
	printf '%s\n' containers:800000:1000 mapped:900000:30 > "$WORK/subgid"
	with_subids sh -c '"$0" mount --idmap auto "$1" "$2"; stat -c %u:%g "$2/bin"; "$0" umount "$2"' "$ORLOP" "$IMAGE" "$DIR" > "$WORK/said"
	[ "$(tail -n 1 "$WORK/said")" = 500000:800000 ]
	with_subids sh -c '"$0" mount --idmap mapped "$1" "$2"; "$0" mounts --format "{{.IDMap}}"; "$0" umount "$2"' "$ORLOP" "$IMAGE" "$DIR" > "$WORK/said"
	[ "$(tail -n 1 "$WORK/said")" = 0:600000:10,10:700000:20:0:900000:30 ]
	check with_subids "$ORLOP" mount --idmap somebody "$IMAGE" "$DIR"
	[ "$status" -eq 1 ]
	[[ "${lines[0]}" == *"/etc/subuid has no range for somebody" ]]
}

@test "where there are no idmapped mounts, that is said" {
	need unshare
	check unshare --user --map-root-user --mount "$ORLOP" --root "$WORK/inside" --run-root "$WORK/inside-run" --driver dir pull -q --plain-http "$IMAGE"
	[ "$status" -eq 0 ] || skip "no user namespaces here: $output"
	check unshare --user --map-root-user --mount "$ORLOP" --root "$WORK/inside" --run-root "$WORK/inside-run" mount --idmap 0:0:1 "$IMAGE"
	[ "$status" -eq 1 ]
	[[ "${lines[0]}" == *"no idmapped mount"* ]]
	[[ "${lines[1]}" == *"it takes root, Linux 5.19"* || "${lines[1]}" == *"--idmap takes root, Linux 5.19"* ]]
	check unshare --user --map-root-user --mount "$ORLOP" --root "$WORK/inside" --run-root "$WORK/inside-run" mounts -q
	[ -z "$output" ]
	rm -rf "$WORK/inside" "$WORK/inside-run"
}

@test "a driver that cannot work here is refused with the reason" {
	need unshare
	unshare --user --map-root-user true || skip "no user namespaces here"
	check unshare --user --map-root-user "$ORLOP" --root "$WORK/inside" --run-root "$WORK/inside-run" --driver erofs pull -q "$IMAGE"
	[ "$status" -eq 1 ]
	[[ "$output" == *"driver erofs cannot be used here: EROFS cannot be mounted in a user namespace"* ]]
	[ -z "$(ls "$WORK/inside/layers")" ] # before any is fetched
	check env ORLOP_DRIVER=zfs "$ORLOP" --root "$WORK/zfs" --run-root "$WORK/zfs-run" pull -q "$IMAGE"
	[ "$status" -ne 0 ]
	[[ "$output" == *"there is no layer driver \"zfs\""* ]]
	rm -rf "$WORK/inside" "$WORK/inside-run" "$WORK/zfs" "$WORK/zfs-run"
}

# Killed at random moments of a mount or umount, over and over.
@test "killed at any moment a mount reads right or is cleaned up" {
	mkdir "$DIR-rw"
	RANDOM=${ORLOP_SEED:-$$}
	echo "seed ${ORLOP_SEED:-$$}"
	for round in $(seq 60); do
		case $((round % 4)) in
		0) set -- mount "$IMAGE" "$DIR" ;;
		1) set -- mount --rw "$IMAGE" "$DIR-rw" ;;
		2) set -- umount "$DIR" ;;
		3) set -- umount --force "$DIR-rw" ;;
		esac
		"$ORLOP" "$@" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.0$(printf %03d $((RANDOM % 400)))"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		# Nothing of orlop runs now. What is mounted is whole.
		for dir in "$DIR" "$DIR-rw"; do
			not mountpoint -q "$dir" || cmp "$dir/bin/busybox" /bin/busybox
		done
		if [ $((round % 10)) -eq 0 ] && mountpoint -q "$DIR-rw"; then
			echo "$round" > "$DIR-rw/written"
			last=$round
		fi
	done
	orlop gc
	[ "$(mounts '{{.State}}' | grep -vc -e '^mounted$' -e '^unmounted$' -e '^gone$')" -eq 0 ]
	orlop mount --rw "$IMAGE" "$DIR-rw"
	[ -z "${last:-}" ] || [ "$(cat "$DIR-rw/written")" = "$last" ]
	orlop umount --all --force --rm
	orlop gc
	check orlop check
	[ "$status" -eq 0 ]
	[ -z "$(orlop mounts -q)" ]
	no_mounts_left
	rmdir "$DIR-rw"
}

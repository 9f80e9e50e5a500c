#!/usr/bin/env bats
# Running containers: what docker's users type, and what they then see.
load lib.bash

setup_file() {
	scratch_make
	tools_are_there || return 0
	registry_start
	image_push busybox latest
	image_make volumes
	image_push volumes latest
	store
	if [ "$(id -u)" = 0 ]; then
		orlop pull -q "$REGISTRY/busybox"
		orlop pull -q "$REGISTRY/volumes"
	fi
}
teardown_file() { scratch_remove; }
tools_are_there() { command -v docker-registry >/dev/null && command -v skopeo >/dev/null && [ -e /bin/busybox ]; }
setup() {
	need_root
	need_driver
	need docker-registry skopeo jq
	store
	IMAGE=$REGISTRY/busybox
}
# Nothing that a failed test left may disturb the next.
teardown() {
	local id
	for id in $(orlop ps -aq); do orlop rm -f "$id" >/dev/null; done
	unmount_below "$WORK"
}

run_it() { orlop run --rm "$@"; }
# What a container leaves: rows, folders, mounts.
nothing_left() {
	[ -z "$(orlop ps -aq)" ]
	[ -z "$(ls -A "$ORLOP_ROOT/containers")" ]
	no_mounts_left
}
# Waits until a file is there and not empty.
wait_file() { for _ in $(seq 100); do [ -s "$1" ] && return; sleep 0.1; done; echo "$1 did not come"; return 1; }
one_line_and_hint() { # of $output, $1 in the first line
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[0]}" == "orlop: "*"$1"* ]]
	[[ "${lines[1]}" == "hint: "* || "${lines[1]}" == *"hint: "* ]]
}

@test "the program's exit status is orlop's, and --rm leaves nothing" {
	check run_it "$IMAGE" true
	[ "$status" -eq 0 ]
	check run_it "$IMAGE" sh -c 'exit 3'
	[ "$status" -eq 3 ]
	check run_it --init "$IMAGE" sh -c 'kill -9 $$'
	[ "$status" -eq 137 ]
	nothing_left
}

@test "125 is orlop's own failure, 126 no program, 127 none there" {
	check run_it --memory lots "$IMAGE" true
	[ "$status" -eq 125 ]
	check run_it --no-such-flag "$IMAGE" true
	[ "$status" -eq 125 ]
	check run_it --pull never nobody/nothing true
	[ "$status" -eq 125 ]
	check run_it "$IMAGE" /etc/passwd
	[ "$status" -eq 126 ]
	check run_it "$IMAGE" no-such-program
	[ "$status" -eq 127 ]
	nothing_left
}

@test "the image's user, folder, environment and hostname" {
	check run_it "$IMAGE" id -u
	[ "$output" = 1000 ]
	check run_it "$IMAGE" pwd
	[ "$output" = /home/user ]
	check run_it --hostname somewhere "$IMAGE" sh -c 'hostname; echo $HOSTNAME; echo $HOME'
	[ "$output" = $'somewhere\nsomewhere\n/home/user' ]
	check run_it -e A=b -e PATH=/bin --env-file <(printf 'A=x\nC=d e\n') "$IMAGE" sh -c 'echo $A-$C-$PATH'
	[ "$output" = "b-d e-/bin" ]
	FROM_HOST=yes check run_it -e FROM_HOST "$IMAGE" sh -c 'echo $FROM_HOST'
	[ "$output" = yes ]
	check run_it -w /made/on/the/way "$IMAGE" pwd
	[ "$output" = /made/on/the/way ]
	check run_it -u user:extra "$IMAGE" id
	[[ "$output" == "uid=1000(user) gid=2000(extra)"* ]]
	check run_it -u 12:34 "$IMAGE" sh -c 'id -u; id -g'
	[ "$output" = $'12\n34' ]
	check run_it -u nobody-here "$IMAGE" true
	[ "$status" -ne 0 ]
	check run_it --entrypoint /bin/echo "$IMAGE" hello
	[ "$output" = hello ]
}

@test "a read-only root, tmpfs and folders of the host" {
	mkdir -p "$WORK/host"
	echo from-host > "$WORK/host/file"
	check run_it -u 0 --read-only "$IMAGE" touch /new
	[ "$status" -ne 0 ]
	[[ "$output" == *"Read-only file system"* ]]
	check run_it -u 0 --read-only --tmpfs /t "$IMAGE" sh -c 'touch /t/new && stat -f -c %T /t'
	[ "$output" = tmpfs ]
	check run_it -u 0 -v "$WORK/host:/data" "$IMAGE" sh -c 'cat /data/file; echo written > /data/new'
	[ "$output" = from-host ]
	[ "$(cat "$WORK/host/new")" = written ]
	check run_it -u 0 -v "$WORK/host:/data:ro" "$IMAGE" touch /data/more
	[ "$status" -ne 0 ]
	check run_it -u 0 --mount "type=bind,src=$WORK/host,dst=/data,readonly" --mount type=tmpfs,dst=/m,tmpfs-size=1m "$IMAGE" \
		sh -c 'cat /data/file; df -k /m | tail -n 1 | { read -r _ size _; echo $size; }; touch /data/x'
	[ "$status" -ne 0 ]
	[ "${lines[0]}" = from-host ]
	[ "${lines[1]}" = 1024 ]
	nothing_left
}

@test "what is not there yet is refused by name, with a hint" {
	check run_it -v cache:/data "$IMAGE" true
	[ "$status" -eq 125 ]
	one_line_and_hint "named volumes"
	check run_it -p 80:80 "$IMAGE" true
	[ "$status" -eq 125 ]
	one_line_and_hint publish
	[[ "$output" == *"--network host"* ]]
	check run_it --network=bridge "$IMAGE" true
	[ "$status" -eq 125 ]
	one_line_and_hint bridge
	[[ "$output" == *"--network host"* ]]
	check run_it --ulimit nofile=1:999999999 "$IMAGE" true
	[ "$status" -eq 125 ]
	[[ "$output" == *nofile* ]]
	check run_it -d "$IMAGE" true
	[ "$status" -eq 125 ]
	nothing_left
}

@test "no network but loopback, or the host's" {
	check run_it -u 0 "$IMAGE" sh -c 'ls /sys/class/net; ping -c 1 -w 2 127.0.0.1 >/dev/null && echo up'
	[ "$output" = $'lo\nup' ]
	check run_it --network host "$IMAGE" sh -c 'cat /proc/net/dev | wc -l'
	[ "$output" -eq "$(wc -l < /proc/net/dev)" ]
}

@test "capabilities, init and limits" {
	check run_it -u 0 --cap-drop ALL "$IMAGE" grep CapEff /proc/self/status
	[[ "$output" == *0000000000000000 ]]
	check run_it -u 0 --cap-drop CHOWN "$IMAGE" chown 5 /etc/passwd
	[ "$status" -ne 0 ]
	check run_it --init "$IMAGE" sh -c 'head -n 1 /proc/1/status; echo $$'
	[[ "${lines[0]}" != *sh ]]
	[ "${lines[1]}" -gt 1 ]
	check run_it --ulimit nofile=100:200 "$IMAGE" sh -c 'ulimit -n; ulimit -Hn'
	[ "$output" = $'100\n200' ]
	check run_it --shm-size 1m "$IMAGE" sh -c 'df -k /dev/shm | tail -n 1 | { read -r _ size _; echo $size; }'
	[ "$output" = 1024 ]
}

@test "--memory is enforced where cgroups allow" {
	check run_it --memory 16m "$IMAGE" true
	[[ "$output" != *"cgroup"* ]] || skip "no memory limits here: $output"
	check run_it --memory 16m -u 0 "$IMAGE" sh -c 'dd if=/dev/zero of=/dev/null bs=64M count=1'
	[ "$status" -eq 137 ]
	check run_it --pids-limit 5 "$IMAGE" sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'
	[ "$status" -ne 0 ] || [[ "$output" == *fork* ]]
}

@test "stdin: at its end, given, or none" {
	check run_it -i "$IMAGE" cat < /dev/null
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	check bash -c 'printf "one\ntwo\n" | "$ORLOP" run --rm -i "$0" wc -l' "$IMAGE"
	[ "$output" -eq 2 ]
	check bash -c 'printf "one\n" | "$ORLOP" run --rm "$0" wc -c' "$IMAGE"
	[ "$output" -eq 0 ]
	check bash -c '"$ORLOP" run --rm "$0" sh -c "yes | head -c 1000000" | head -c 10' "$IMAGE"
	nothing_left
}

@test "SIGTERM to orlop ends the container, as with docker run" {
	"$ORLOP" run --rm -v "$WORK:/host" -u 0 "$IMAGE" sh -c 'trap "exit 7" TERM; echo up > /host/up; while :; do sleep 0.1; done' 3>&- &
	pid=$!
	wait_file "$WORK/up"
	kill -TERM "$pid"
	rc=0; wait "$pid" || rc=$?
	[ "$rc" -eq 7 ]
	rm -f "$WORK/up"
	# A program that has no handler, behind an init.
	"$ORLOP" run --rm --init -v "$WORK:/host" -u 0 "$IMAGE" sh -c 'echo up > /host/up; exec sleep 100' 3>&- &
	pid=$!
	wait_file "$WORK/up"
	kill -TERM "$pid"
	rc=0; wait "$pid" || rc=$?
	[ "$rc" -eq 143 ]
	rm -f "$WORK/up"
	nothing_left
}

@test "a terminal: its size, a resize, Ctrl-C" {
	need python3
	check "$TESTS/e2e/pty-run" --size 30x90 "$ORLOP" run --rm -it "$IMAGE" stty size
	[ "$status" -eq 0 ]
	[[ "$output" == *"30 90"* ]]
	check "$TESTS/e2e/pty-run" --size 30x90 --resize 41x123 --type 'stty size; echo $TERM; exit 5\r' "$ORLOP" run --rm -it "$IMAGE" sh -c 'echo ready; exec sh'
	[ "$status" -eq 5 ]
	[[ "$output" == *"41 123"* ]]
	[[ "$output" == *"xterm"* ]]
	check "$TESTS/e2e/pty-run" --type '\x03' "$ORLOP" run --rm -it "$IMAGE" sh -c 'trap "exit 9" INT; echo ready; while :; do sleep 0.1; done'
	[ "$status" -eq 9 ]
	check "$TESTS/e2e/pty-run" "$ORLOP" run --rm "$IMAGE" true
	[[ "$output" == *"no network"* ]]
	check bash -c '"$ORLOP" run --rm -t "$0" test -t 1 </dev/null' "$IMAGE"
	[ "$status" -eq 0 ]
	check bash -c 'echo x | "$ORLOP" run --rm -it "$0" cat' "$IMAGE"
	[ "$status" -eq 1 ]
	one_line_and_hint "the input device is not a TTY"
	nothing_left
}

@test "without --rm a container stays: ps, inspect, rmi, rm" {
	check orlop run --name kept --cidfile "$WORK/cid" "$IMAGE" sh -c 'exit 4'
	[ "$status" -eq 4 ]
	check orlop ps -q
	[ -z "$output" ]
	check orlop ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.Status}}'
	[[ "$output" == "$(cat "$WORK/cid") kept Exited (4)"* ]]
	check orlop run --name kept "$IMAGE" true
	[ "$status" -eq 125 ]
	one_line_and_hint kept
	check orlop run --rm --cidfile "$WORK/cid" "$IMAGE" true
	[ "$status" -eq 125 ]
	check orlop inspect kept
	jq -e '.[0].State.ExitCode == 4 and .[0].Name == "/kept" and .[0].State.Status == "exited"' <<< "$output"
	check orlop rmi "$IMAGE"
	[ "$status" -eq 1 ]
	[[ "$output" == *kept* || "$output" == *container* ]]
	check orlop rm kept
	[ "$output" = kept ]
	check orlop rm kept
	[ "$status" -eq 1 ]
	rm -f "$WORK/cid"
	nothing_left
}

@test "rmi -f takes the name of an image that a container still has" {
	orlop tag "$IMAGE" gone:1
	orlop run --name holder gone:1 true
	orlop rmi -f gone:1
	check orlop inspect holder
	[ "$status" -eq 0 ]
	orlop gc
	orlop check
	orlop rm holder
	orlop images -q | grep -q .
}

@test "rm refuses a container that runs, rm -f ends it" {
	"$ORLOP" run --name busy -v "$WORK:/host" -u 0 "$IMAGE" sh -c 'echo up > /host/up; exec sleep 100' 3>&- &
	pid=$!
	wait_file "$WORK/up"
	[[ "$(orlop ps --format '{{.Names}} {{.Status}}')" == "busy Up"* ]]
	check orlop rm busy
	[ "$status" -eq 1 ]
	one_line_and_hint running
	check orlop rm -f busy
	[ "$status" -eq 0 ]
	rc=0; wait "$pid" || rc=$?
	[ "$rc" -eq 137 ]
	rm -f "$WORK/up"
	nothing_left
}

@test "killed with orlop, a container shows as exited, and rm and gc clean up" {
	mark=1000000$$ # in nobody else's command line
	"$ORLOP" run --name victim -v "$WORK:/host" -u 0 "$IMAGE" sh -c "echo up > /host/up; exec sleep $mark" 3>&- &
	pid=$!
	wait_file "$WORK/up"
	kill -9 "$pid"
	wait "$pid" || true
	for _ in $(seq 50); do orlop ps -a --format '{{.Status}}' | grep -q ^Exited && break; sleep 0.1; done
	check orlop ps -a --format '{{.Names}} {{.Status}}'
	[[ "$output" == "victim Exited (255)"* ]]
	check orlop ps -q
	[ -z "$output" ]
	# Nothing of it runs any more.
	for _ in $(seq 50); do grep -zqsx "$mark" /proc/[0-9]*/cmdline || break; sleep 0.1; done
	not grep -zqsx "$mark" /proc/[0-9]*/cmdline
	orlop gc
	orlop rm victim
	orlop gc
	rm -f "$WORK/up"
	nothing_left
	orlop run --rm --name victim "$IMAGE" true
}

@test "several containers of one image share its layer mounts" {
	pids=()
	for i in 1 2 3; do
		"$ORLOP" run --rm -v "$WORK:/host" -u 0 "$IMAGE" sh -c "echo up > /host/up$i; while [ -e /host/up$i ]; do sleep 0.1; done" 3>&- &
		pids+=($!)
	done
	for i in 1 2 3; do wait_file "$WORK/up$i"; done
	[ "$(orlop ps -q | wc -l)" -eq 3 ]
	[ "$(awk -v run="$ORLOP_RUN/" 'index($5, run) == 1 && $5 ~ "/(layers|chains)/"' /proc/self/mountinfo | wc -l)" -le 1 ]
	rm -f "$WORK"/up?
	for pid in "${pids[@]}"; do wait "$pid"; done
	nothing_left
}

# crun alone makes /dev/core.
@test "crun and runc print what orlop's own launcher prints" {
	local said=()
	for runtime in "" crun runc; do
		[ -z "$runtime" ] || command -v $runtime >/dev/null || { echo "# no $runtime here" >&3; continue; }
		check run_it ${runtime:+--runtime "$runtime"} -u 0 --hostname probe -e A=b "$IMAGE" \
			sh -c 'id; env | sort; pwd; hostname; cat /etc/hostname; grep -E "Cap|NoNew|Seccomp:" /proc/self/status; ls /dev | grep -vx core; mount | grep -c .; exit 6'
		[ "$status" -eq 6 ]
		said+=("$output")
	done
	for one in "${said[@]}"; do [ "$one" = "${said[0]}" ]; done
	check run_it --runtime no-such-runtime "$IMAGE" true
	[ "$status" -eq 125 ]
	nothing_left
}

# As crun needs it: it refuses a hybrid cgroup host, so its v2 part is hidden.
runtime_run() {
	local runtime=$1 bundle=$2 id=$3
	unshare --mount sh -c 'if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
		exec "$0" --root "$1" run --bundle "$2" "$3"' "$runtime" "$WORK/rt-$runtime" "$bundle" "$id"
}

@test "a bundle runs under crun and runc" {
	need unshare
	for runtime in crun runc; do
		command -v $runtime >/dev/null || { echo "# no $runtime here" >&3; continue; }
		orlop bundle "$IMAGE" "$WORK/bundle-$runtime" sh -c 'id -u; cat /etc/hostname; exit 8'
		jq -e .ociVersion "$WORK/bundle-$runtime/config.json"
		check runtime_run $runtime "$WORK/bundle-$runtime" "orlop-e2e-$$"
		[ "$status" -eq 8 ]
		[ "${lines[0]}" = 1000 ]
		check orlop bundle "$IMAGE" "$WORK/bundle-$runtime"
		[ "$status" -eq 1 ]
		orlop umount "$WORK/bundle-$runtime"
	done
	nothing_left
}

@test "VOLUME paths of an image stay in the container's own layer" {
	check run_it "$REGISTRY/volumes" sh -c 'cat /data/seed; echo more > /data/more; cat /data/more; grep -c " /data " /proc/mounts'
	[ "${lines[0]}" = seed ]
	[ "${lines[1]}" = more ]
	[ "${lines[2]}" = 0 ]
	check run_it "$REGISTRY/volumes" ls /data
	[ "$output" = seed ]
	nothing_left
}

@test "--pull never, missing and always" {
	store -pull
	check orlop run --rm --pull never "$IMAGE" true
	[ "$status" -eq 125 ]
	check orlop run --rm "$IMAGE" echo pulled
	[ "$status" -eq 0 ]
	[[ "$output" == *"Unable to find image"* ]]
	[[ "$output" == *pulled ]]
	before=$(grep -c '"HEAD /v2/busybox' "$WORK/registry.log")
	orlop run --rm "$IMAGE" true
	[ "$(grep -c '"HEAD /v2/busybox' "$WORK/registry.log")" -eq "$before" ]
	orlop run --rm --pull always "$IMAGE" true
	[ "$(grep -c '"HEAD /v2/busybox' "$WORK/registry.log")" -gt "$before" ]
	store_remove
}

@test "the image cannot reach orlop's own executable" {
	check run_it -u 0 "$IMAGE" sh -c 'for p in /proc/[0-9]*; do readlink $p/exe; done | grep -c orlop'
	[ "$output" = 0 ]
	check run_it -u 0 --entrypoint /proc/self/exe "$IMAGE" version
	[[ "$output" != *orlop\ 0* ]]
}

#!/usr/bin/env bats
# The face of the program: help, completions, manual pages, outputs for programs, errors; and what `orlop check` finds.
load lib.bash

setup_file() {
	scratch_make
	tools_are_there || return 0
	registry_start
	image_push busybox latest
	image_push odd latest
	store
	[ "$(id -u)" != 0 ] || orlop pull -q "$REGISTRY/odd"
}
teardown_file() { scratch_remove; }
tools_are_there() { command -v docker-registry >/dev/null && command -v skopeo >/dev/null && [ -e /bin/busybox ]; }
setup() {
	need docker-registry skopeo jq
	need_root
	store
	IMAGE=$REGISTRY/odd
}

commands() { orlop help | sed -n '/^Global options/q; s/^  \([a-z]*\)  .*/\1/p'; }

@test "each command's help has a usage line, a summary and an example" {
	[ "$(commands | wc -l)" -ge 20 ]
	for command in $(commands) completion man; do
		run orlop help "$command"
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == "Usage:  orlop $command"* ]]
		[[ "$output" == *"Examples:"*$'\n'"  orlop $command"* ]]
		[ "$output" = "$(orlop "$command" --help)" ]
	done
	run orlop
	[[ "$output" == *"Usage:"* ]]
}

@test "completion scripts are sound, and complete" {
	orlop completion bash > "$WORK/orlop.bash"
	bash -n "$WORK/orlop.bash"
	check bash -c '. "$0"; COMP_WORDS=(orlop pu); COMP_CWORD=1; _orlop orlop pu orlop; echo "${COMPREPLY[@]}"' "$WORK/orlop.bash"
	[[ "$output" == pull* ]]
	check bash -c '. "$0"; COMP_WORDS=(orlop run --netw); COMP_CWORD=2; _orlop orlop --netw run; echo "${COMPREPLY[@]}"' "$WORK/orlop.bash"
	[[ "$output" == "--network"* ]]
	for shell in zsh fish; do
		orlop completion $shell > "$WORK/orlop.$shell"
		[ -s "$WORK/orlop.$shell" ]
		if command -v $shell >/dev/null; then $shell -n "$WORK/orlop.$shell"; else echo "# no $shell here" >&3; fi
	done
	check orlop completion tcsh
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 2 ]
}

@test "manual pages render without a complaint" {
	need groff
	mkdir "$WORK/man"
	orlop man "$WORK/man"
	for command in $(commands); do [ -s "$WORK/man/orlop-$command.1" ]; done
	for page in "$WORK/man"/*.1; do
		run groff -man -Tutf8 -ww "$page"
		[ "$status" -eq 0 ]
		[[ "$output" != *"warning:"* && "$output" != *"error:"* ]] || { grep -E "warning:|error:" <<< "$output"; false; }
		grep -Eq '^\.SH (EXAMPLES|COMMANDS)' "$page"
	done
}

@test "what is for programs is JSON" {
	orlop run --name kept "$IMAGE" true
	orlop mount "$IMAGE" >/dev/null
	for command in images "images -a" "ps -a" mount "history $IMAGE"; do
		orlop $command --json | jq -e 'type == "array" and length > 0' >/dev/null
		orlop $command --format json | jq -es 'length > 0 and (.[0] | type) == "object"' >/dev/null
		[ -n "$(orlop $command --format '{{json .}}' | head -n 1)" ]
	done
	orlop inspect "$IMAGE" kept | jq -e 'length == 2 and .[0].Architecture == "amd64" and (.[0].Id | startswith("sha256:"))
		and .[0].Os == "linux" and (.[0].RootFS.Layers | length) == 7 and .[0].Size > 2000000' >/dev/null
	orlop inspect "$IMAGE" | jq -e --arg image "$IMAGE:latest" '.[0].RepoTags == [$image] and (.[0].RepoDigests | length) == 1
		and .[0].Config.WorkingDir == "/" and .[0].Created == "2025-01-01T00:00:00Z"' >/dev/null
	orlop info --json | jq -e '.Images == 1 and .Containers == 1 and .Driver != ""' >/dev/null
	orlop check --json | jq -e '.count == 0 and .faults == []' >/dev/null
	orlop version --format '{{.Version}}' | grep -Eq '^[0-9]+\.[0-9]+\.[0-9]+$'
	orlop rm kept
	orlop umount "$IMAGE"
}

@test "a closed stdout is an error, and nothing is written into the store's files" {
	local err="$WORK/closed"
	orlop images >&- 2> "$err" && false
	grep -q '^orlop: cannot write the output: Bad file descriptor$' "$err"
	orlop save "$IMAGE" >&- 2> "$err" && false
	grep -q 'standard output: write: Bad file descriptor$' "$err"
	orlop images <&- >&- 2>&- && false
	orlop check
}

@test "columns and templates as docker has them" {
	check orlop images
	[[ "${lines[0]}" =~ ^REPOSITORY\ +TAG\ +IMAGE\ ID\ +CREATED\ +SIZE$ ]]
	[[ "${lines[1]}" =~ ^"$IMAGE"\ +latest\ +[0-9a-f]{12}\ +.*\ ago\ +[0-9.]+MB$ ]]
	check orlop ps -a
	[[ "$output" =~ ^CONTAINER\ ID\ +IMAGE\ +COMMAND\ +CREATED\ +STATUS\ +PORTS\ +NAMES$ ]]
	check orlop images --format 'table {{.Repository}}\t{{.Tag}}'
	[[ "${lines[0]}" =~ ^REPOSITORY\ +TAG$ ]]
	check orlop inspect --format '{{range .Config.Env}}{{println .}}{{end}}{{if .Config.User}}u{{else}}no user{{end}} {{join .Config.Cmd "-"}} {{index .RepoTags 0}}' "$IMAGE"
	[[ "${lines[0]}" == PATH=* ]]
	[ "${lines[1]}" = "no user sh $IMAGE:latest" ]
	check orlop images --format '{{.NoSuchColumn}}'
	[ "$status" -eq 1 ]
	[[ "$output" == *NoSuchColumn* ]]
	check orlop inspect --format '{{printf "%s" .Id}}' "$IMAGE"
	[ "$status" -eq 1 ]
	[[ "$output" == *printf* ]]
	[ "$(orlop images -q)" = "$(orlop images --format '{{.ID}}')" ]
	check orlop images --filter "reference=*/odd"
	[ "${#lines[@]}" -eq 2 ]
	[ -z "$(orlop images -q --filter reference=no/such)" ]
}

@test "a short digest is a name, as long as it is unique" {
	id=$(orlop images -q)
	[ "$(orlop inspect --format '{{.Id}}' "${id:0:6}")" = "$(orlop images -q --no-trunc)" ]
	check orlop inspect 00000000
	[ "$status" -eq 1 ]
}

@test "errors are one line and a hint; their status is docker's" {
	check orlop no-such-command
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 2 ]
	check orlop imags
	[[ "$output" == *images* ]]
	check orlop images --no-such-flag
	[ "$status" -eq 125 ]
	[[ "${lines[0]}" == "orlop: unknown flag: --no-such-flag" ]]
	[[ "${lines[1]}" == "hint: "* ]]
	check orlop pull
	[ "$status" -eq 1 ]
	for line in "inspect nothing-here" "rmi nothing-here" "rm nothing-here" "umount /nothing/here" "mount nothing-here" "history nothing-here" "tag nothing-here a:b"; do
		check orlop $line
		[ "$status" -eq 1 ]
		[ "${#lines[@]}" -le 3 ]
		[[ "$output" == *"nothing"* ]]
	done
	check orlop --root /proc/nothing images
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -le 2 ]
	check orlop --driver zfs images
	[ "$status" -eq 125 ]
	[[ "$output" == *erofs* ]]
}

@test "no colours with NO_COLOR, nor in a pipe" {
	need python3
	check "$TESTS/e2e/pty-run" "$ORLOP" images --no-such-flag
	[[ "$output" != *$'\e['* ]]
	check env -u NO_COLOR "$ORLOP" images --no-such-flag
	[[ "$output" != *$'\e['* ]]
}

@test "two stores live side by side" {
	digest=$(orlop images -q)
	store -second
	[ -z "$(orlop images -q)" ]
	orlop pull -q "$REGISTRY/busybox"
	[ "$(orlop images -q | wc -l)" -eq 1 ]
	[ "$(orlop images -q)" != "$digest" ]
	tree=$(orlop mount "$REGISTRY/busybox")
	[ "$(orlop --root "$WORK/store" --run-root "$WORK/run" images -q)" = "$digest" ]
	other=$(orlop --root "$WORK/store" --run-root "$WORK/run" mount "$IMAGE")
	orlop umount "$tree"
	orlop rmi "$REGISTRY/busybox"
	orlop gc
	[ -d "$other/srv" ]
	orlop --root "$WORK/store" --run-root "$WORK/run" umount "$other"
	no_mounts_left
	store_remove
	store
	orlop check
}

@test "stores may share a run root" {
	export ORLOP_ROOT=$WORK/store-third
	orlop pull -q "$IMAGE"
	tree=$(orlop mount "$IMAGE")
	other=$(orlop --root "$WORK/store" mount "$IMAGE")
	[ "$tree" != "$other" ]
	orlop umount "$tree"
	orlop --root "$WORK/store" umount "$other"
	rm -rf --one-file-system "$WORK/store-third"
}

# flip FILE: one bit in the middle is another.
flip() { python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDWR); at = os.fstat(fd).st_size // 2
os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1]), at)' "$1"; }

# The store whose bits are flipped, pulled with driver $1.
damaged_store() {
	store -damaged
	export ORLOP_DRIVER=$1
	orlop pull -q --durable "$IMAGE"
	orlop check
}

# check_names NAME: one fault, that of NAME; after a new pull none.
check_names() {
	check orlop check
	[ "$status" -eq 1 ]
	[[ "$output" == *"$1"* ]]
	[[ "$output" == *"1 fault found"* ]]
	orlop check --json | jq -e '.count == 1' >/dev/null || [ $? -eq 1 ]
	check orlop mount "$IMAGE"
	[ "$status" -eq 1 ]
	orlop pull -q "$IMAGE"
	check orlop check
	[ "$status" -eq 0 ]
	orlop umount "$(orlop mount "$IMAGE")"
}

@test "check finds one bit in a tar, an index, a config; a pull mends it" {
	need python3
	need_driver erofs
	damaged_store erofs
	layer=$(orlop inspect --format '{{index .RootFS.Layers 1}}' "$IMAGE")
	flip "$ORLOP_ROOT/blobs/sha256/${layer#*:}"
	check_names "$layer"
	flip "$ORLOP_ROOT/layers/${layer#*:}/index.erofs"
	check_names "$layer"
	config=$(orlop images -q --no-trunc)
	flip "$ORLOP_ROOT/blobs/sha256/${config#*:}"
	check_names "$config"
	store_remove
}

@test "check finds one bit in an extracted file and in a kept blob; a pull mends it" {
	need python3
	damaged_store dir
	layer=$(orlop inspect --format '{{index .RootFS.Layers 0}}' "$IMAGE")
	flip "$ORLOP_ROOT/layers/${layer#*:}/fs/bin/busybox"
	check_names "${layer#*:}"
	chmod 0700 "$ORLOP_ROOT/layers/${layer#*:}/fs/etc/group"
	check_names "${layer#*:}"
	blob=$(skopeo inspect --tls-verify=false --raw "docker://$IMAGE:latest" | jq -r '.layers[0].digest')
	flip "$ORLOP_ROOT/blobs/sha256/${blob#*:}"
	check orlop check
	[ "$status" -eq 1 ]
	[[ "$output" == *"$blob"* ]]
	orlop pull -q "$IMAGE"
	orlop check
	store_remove
}

@test "check names a file that is gone" {
	damaged_store dir
	config=$(orlop images -q --no-trunc)
	rm "$ORLOP_ROOT/blobs/sha256/${config#*:}"
	check orlop check --quick
	[ "$status" -eq 1 ]
	[[ "$output" == *"$config"* ]]
	store_remove
}

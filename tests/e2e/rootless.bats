#!/usr/bin/env bats
# orlop for an ordinary user: one made for this, with ranges of subordinate ids, and another without any. Root makes both, looks at
# what they could not see, and removes them.
load lib.bash

setup_file() {
	scratch_make
	chmod 755 "$WORK"
	tools_are_there || return 0
	registry_start
	for name in busybox odd many hostile; do image_make "$name"; image_push "$name" latest; done
	# Where everybody can get at them; the tree may lie where only root can.
	install -m 755 "$ORLOP" "$WORK/orlop"
	install -m 755 "$TESTS/e2e/list-tree" "$WORK/list-tree"
	make_user ranged
	make_user single -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0
	# What root makes of the same images.
	store -root
	for name in busybox odd many; do
		orlop pull -q "$REGISTRY/$name"
		tree=$(orlop mount "$REGISTRY/$name")
		for last in 0 65536; do "$WORK/list-tree" "$tree" --as-user $last > "$WORK/$name.$last"; done
		orlop umount "$tree"
	done
}
teardown_file() {
	local who
	for who in ranged single; do remove_user $who; done
	scratch_remove
}
tools_are_there() {
	[ "$(id -u)" = 0 ] && command -v docker-registry skopeo useradd userdel setpriv newuidmap newgidmap >/dev/null &&
		[ -e /bin/busybox ] && unshare -U true
}
setup() {
	need_root
	need docker-registry skopeo jq python3 setpriv useradd newuidmap newgidmap
	unshare -U true 2>/dev/null || skip "no user namespaces here"
	can_enter || skip "ordinary users cannot enter user namespaces here: $(as ranged "$WORK/orlop" info --format '{{.RootlessIds}}')"
}
teardown() {
	local who
	for who in ranged single; do end_all $who; done
}

# make_user ROLE [USERADD-OPTIONS]: an account of a name nobody has, and its folders.
make_user() {
	local role=$1 name
	shift
	for _ in $(seq 20); do
		name=orlop-$role-$RANDOM
		useradd -M -d "$WORK/$role" -s /bin/sh "$@" "$name" 2>>"$WORK/useradd.log" && break
		sleep 0.2 # another one may hold the lock of /etc/passwd
		name=
	done
	[ -n "$name" ] || { cat "$WORK/useradd.log" >&2; return 1; }
	echo "$name" > "$WORK/$role.user"
	mkdir "$WORK/$role" "$WORK/$role/run"
	chmod 700 "$WORK/$role" "$WORK/$role/run"
	chown -R "$name:" "$WORK/$role"
}
remove_user() {
	local name
	[ -e "$WORK/$1.user" ] || return 0
	name=$(cat "$WORK/$1.user")
	end_all "$1"
	for _ in $(seq 50); do userdel "$name" 2>/dev/null && break; sleep 0.2; done
	not id "$name" >/dev/null 2>&1
	rm "$WORK/$1.user"
}
# Ends what still runs as the account, or as one of its subordinate ids: by process, never by name.
end_all() {
	local name uid pid
	[ -e "$WORK/$1.user" ] || return 0
	name=$(cat "$WORK/$1.user")
	uid=$(id -u "$name")
	for pid in $(ps -o pid= -U "$uid"); do kill -9 "$pid" 2>/dev/null || true; done
}

# as ROLE COMMAND...: as that user, with nothing of root's but the words.
as() {
	local role=$1 name
	shift
	name=$(cat "$WORK/$role.user")
	(cd "$WORK/$role" && exec setpriv --reuid "$name" --regid "$name" --init-groups --inh-caps=-all --reset-env \
		env HOME="$WORK/$role" XDG_RUNTIME_DIR="$WORK/$role/run" XDG_DATA_HOME="$WORK/$role/data" NO_COLOR=1 \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@")
}
can_enter() { as ranged "$WORK/orlop" unshare true 2>/dev/null; }
user() { local role=$1; shift; as "$role" "$WORK/orlop" "$@"; }
has() { user "$1" pull -q "$REGISTRY/$2" >/dev/null; }
store_of() { echo "$WORK/$1/data/orlop"; }

# Prints the image's tree as the user's namespace shows it.
tree_of() { as "$1" "$WORK/orlop" unshare sh -ec 'd=$("$0" mount "$1"); "$2" "$d"; "$0" umount "$d" >/dev/null' "$WORK/orlop" "$REGISTRY/$2" "$WORK/list-tree"; }

@test "a pull brings the tree that root has, as far as the user's ids go" {
	for name in busybox odd many; do
		has ranged $name
		tree_of ranged $name > "$WORK/ranged.tree"
		diff "$WORK/$name.65536" "$WORK/ranged.tree"
		has single $name
		tree_of single $name > "$WORK/single.tree"
		diff "$WORK/$name.0" "$WORK/single.tree"
	done
	user ranged check
	user single check
}

@test "what a tree had to do without is said once a pull" {
	for role in ranged single; do
		user $role rmi -f "$REGISTRY/odd" >/dev/null 2>&1 || true
		user $role gc
		check user $role pull "$REGISTRY/odd"
		[ "$status" -eq 0 ]
		[ "$(grep -c "no ids for" <<< "$output")" -eq 1 ]
		[ "$(grep -c "^note: 2 device nodes of the image cannot be made" <<< "$output")" -eq 1 ]
		check user $role pull "$REGISTRY/odd"
		[[ "$output" != *note:* ]]
	done
}

@test "check names what is wrong in a user's tree, and takes nothing else for it" {
	local role tree
	for role in ranged single; do
		has $role odd
		user $role check
		tree=$(user $role unshare find "$(store_of $role)/layers" "$(store_of $role)/chains" -path '*/srv/dev/null')
		tree=${tree%/srv/dev/null}
		for damage in 'chmod 600 srv/times/far' 'touch srv/times/epoch' 'echo x > srv/dev/null' 'setfattr -n user.more srv/attrs' \
			'rm srv/ids/large' 'echo y >> srv/times/fraction'; do
			command -v setfattr >/dev/null || [[ "$damage" != setfattr* ]] || continue
			as $role "$WORK/orlop" unshare sh -ec "cd '$tree'; $damage"
			check user $role check
			[ "$status" -eq 1 ]
			path=srv/${damage##*srv/}
			[[ "$output" == *"layer entry \"${path%/*}"* ]]
			remove_and_pull $role odd
			user $role check
			tree=$(user $role unshare find "$(store_of $role)/layers" "$(store_of $role)/chains" -path '*/srv/dev/null')
			tree=${tree%/srv/dev/null}
		done
	done
	as ranged "$WORK/orlop" unshare sh -ec "chown 7 '$tree/srv/ids/large'" && return 1 # it is single's
	tree=$(user ranged unshare find "$(store_of ranged)/layers" "$(store_of ranged)/chains" -path '*/srv/modes/4755')
	as ranged "$WORK/orlop" unshare chown 7:7 "$tree"
	check user ranged check
	[[ "$output" == *srv/modes/4755*owner* ]]
	remove_and_pull ranged odd
}
remove_and_pull() {
	user "$1" rmi -f "$REGISTRY/$2" >/dev/null
	user "$1" gc >/dev/null
	has "$1" "$2"
}

@test "the store is the user's alone, and says for which ids it was made" {
	has ranged busybox
	[ "$(stat -c %a "$(store_of ranged)")" = 700 ]
	uid=$(id -u "$(cat "$WORK/ranged.user")")
	grep -qx "0 $uid 1" "$(store_of ranged)/idmap"
	# Nobody else gets at what an image would have run as somebody.
	check as single ls "$(store_of ranged)/layers"
	[ "$status" -ne 0 ]
	# Another mapping would give the files to others: as if the ranges had moved.
	cp "$(store_of ranged)/idmap" "$WORK/idmap"
	sed -i 's/^1 [0-9]*/1 7000000/' "$(store_of ranged)/idmap"
	check user ranged check
	[ "$status" -eq 1 ]
	[[ "$output" == *"belong to other user ids"* ]]
	[[ "$output" == *"/etc/subuid"* ]]
	cp "$WORK/idmap" "$(store_of ranged)/idmap"
	user ranged check
	# Root would write what the user then could not remove.
	check "$WORK/orlop" --root "$(store_of ranged)" --run-root "$WORK/run-x" check
	[ "$status" -eq 1 ]
	[[ "$output" == *"an ordinary user's"* ]]
}

@test "without XDG_RUNTIME_DIR there is a folder in /tmp, unless somebody else was there first" {
	local uid
	uid=$(id -u "$(cat "$WORK/ranged.user")")
	check as ranged env -u XDG_RUNTIME_DIR "$WORK/orlop" info --format '{{.RunDir}}'
	[[ "$output" == "/tmp/orlop-$uid/"* ]]
	[ "$(stat -c %a "/tmp/orlop-$uid")" = 700 ]
	rm -r "/tmp/orlop-$uid"
	as single mkdir "/tmp/orlop-$uid"
	for command in images info "pull $REGISTRY/busybox"; do
		check as ranged env -u XDG_RUNTIME_DIR "$WORK/orlop" $command
		[ "$status" -eq 1 ]
		[[ "$output" == *"belongs to somebody else"* ]]
	done
	rmdir "/tmp/orlop-$uid"
}

@test "a mapping may grow: who is given ranges later keeps the store" {
	has single busybox
	name=$(cat "$WORK/single.user")
	cp "$(store_of single)/idmap" "$WORK/idmap"
	usermod --add-subuids 900000000-900065535 --add-subgids 900000000-900065535 "$name"
	user single check
	has single odd
	check user single run --rm -u 1000 "$REGISTRY/busybox" id -u
	# And they are missed when they go again.
	usermod --del-subuids 900000000-900065535 --del-subgids 900000000-900065535 "$name"
	check user single check
	[ "$status" -eq 1 ]
	[[ "$output" == *"belong to other user ids"* ]]
	as single "$WORK/orlop" images -q
	# A store that cannot be entered is removed with the ids it was made with.
	usermod --add-subuids 900000000-900065535 --add-subgids 900000000-900065535 "$name"
	user single unshare rm -rf "$(store_of single)"
	usermod --del-subuids 900000000-900065535 --del-subgids 900000000-900065535 "$name"
}

@test "commands that read rows stay outside: images, inspect, history, tag, ps" {
	has ranged busybox
	check user ranged images -q
	[ -n "$output" ]
	user ranged inspect --format '{{.Id}}' "$REGISTRY/busybox"
	user ranged history "$REGISTRY/busybox"
	user ranged tag "$REGISTRY/busybox" again:1
	user ranged untag again:1
	user ranged ps -a
	for words in "images" "inspect $REGISTRY/busybox" "ps"; do
		as ranged strace -f -o "$WORK/ranged/trace" "$WORK/orlop" $words >/dev/null || skip "no strace here"
		not grep -q CLONE_NEWUSER "$WORK/ranged/trace"
	done
}

@test "run: statuses, users, what is written, signals" {
	has ranged busybox
	I=$REGISTRY/busybox
	check user ranged run --rm "$I" sh -c 'exit 3'
	[ "$status" -eq 3 ]
	check user ranged run --rm "$I" no-such-program
	[ "$status" -eq 127 ]
	check user ranged run --rm --init "$I" sh -c 'kill -9 $$'
	[ "$status" -eq 137 ]
	check user ranged run --rm "$I" id -u
	[ "$output" = 1000 ]
	check user ranged run --rm -u 0 "$I" sh -ec 'touch /f; chown 65536:65536 /f; stat -c %u:%g /f; id -u'
	[ "$output" = $'65536:65536\n0' ]
	check user ranged run --rm -u 70000 "$I" true
	[ "$status" -eq 125 ]
	[[ "$output" == *"user 70000 of the container has no place"* ]]
	# Nothing of it stays, whoever's files they were.
	[ -z "$(user ranged ps -aq)" ]
	[ -z "$(ls -A "$(store_of ranged)/containers")" ]
	# stdin, and a signal from outside.
	[ "$(echo words | user ranged run --rm -i "$I" cat)" = words ]
	user ranged run --rm --name sleeper "$I" sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done' > "$WORK/out" 3>&- &
	pid=$!
	for _ in $(seq 100); do grep -q up "$WORK/out" && break; sleep 0.1; done
	user ranged inspect --format '{{.State.Status}}' sleeper | grep -qx running
	user ranged ps --format '{{.Names}}' | grep -qx sleeper
	kill -TERM "$(user ranged inspect --format '{{.State.Pid}}' sleeper)"
	status=0; wait "$pid" || status=$?
	[ "$status" -eq 9 ]
}

@test "run with one id alone: root in the container is the user" {
	has single busybox
	check user single run --rm -u 0 "$REGISTRY/busybox" sh -c 'id -u; cat /proc/self/uid_map | tr -s " "; touch /f && stat -c %u /f'
	[ "$output" = $'0\n 0 '"$(id -u "$(cat "$WORK/single.user")")"$' 1\n0' ]
	check user single run --rm -u 1000 "$REGISTRY/busybox" true
	[ "$status" -eq 125 ]
	[[ "$output" == *"has no place in this user namespace"*"/etc/subuid"* ]]
	check user single run --rm -u 0 --group-add 7 "$REGISTRY/busybox" true
	[ "$status" -eq 125 ]
	[[ "$output" == *"--group-add"* ]]
}

@test "a container that stays is there again: rm and the files of others" {
	has ranged busybox
	user ranged run --name kept -u 0 "$REGISTRY/busybox" sh -c 'mkdir /d; touch /d/f; chown -R 5:5 /d; chmod 700 /d'
	user ranged ps -a --format '{{.Names}} {{.Status}}' | grep -q '^kept Exited (0)'
	[ -n "$(find "$(store_of ranged)/containers" -name f)" ]
	user ranged rm kept
	[ -z "$(ls -A "$(store_of ranged)/containers")" ]
}

@test "limits without a cgroup are named in a warning, and only where they were asked for" {
	has ranged busybox
	check user ranged run --rm --network none "$REGISTRY/busybox" true
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	check user ranged run --rm --network none --memory 64m --pids-limit 9 "$REGISTRY/busybox" true
	[ "$status" -eq 0 ]
	[[ "$output" == "warning: --memory, --pids-limit: "* ]]
}

@test "in a container that hides parts of /proc, orlop says why there is none to be had" {
	has ranged busybox
	export -f as
	check unshare -m bash -c 'mount -t tmpfs none /proc/fs && as ranged "$WORK/orlop" run --rm --network none "$1/busybox" true' sh "$REGISTRY"
	[ "$status" -eq 125 ]
	[[ "$output" == *"/proc: cannot mount a proc"*"hides parts of its own"* ]]
}

@test "networks: none has a loopback, host is the host's" {
	has ranged busybox
	check user ranged run --rm --network none "$REGISTRY/busybox" sh -c 'ls /sys/class/net; cat /proc/sys/net/ipv4/ping_group_range'
	[ "${lines[0]}" = lo ]
	[ "$(tr -s '\t' ' ' <<< "${lines[1]}")" = "0 65536" ]
	check user ranged run --rm --network host "$REGISTRY/busybox" ls /sys/class/net
	[ "$output" = "$(ls /sys/class/net)" ]
}

@test "devices, /proc and /sys: what must not be open is not" {
	has ranged busybox
	check user ranged run --rm -u 0 --network none "$REGISTRY/busybox" sh -c '
		echo x > /dev/null && head -c 1 /dev/zero | od -An -tx1
		echo 1 > /proc/sys/kernel/sysrq && echo sysrq
		echo c > /proc/sysrq-trigger && echo trigger
		mknod /tmp/disk b 8 0 && echo disk
		cat /proc/kcore && echo kcore
		mkdir /sys/x && echo sys
		true' 2>&1
	[ "$status" -eq 0 ]
	[[ "$output" == *" 00"* ]]
	for word in sysrq trigger disk kcore sys; do not grep -qx $word <<< "$output"; done
}

@test "a mount is for orlop unshare, and says so outside" {
	has ranged busybox
	for words in "mount $REGISTRY/busybox" "mount --rw $REGISTRY/busybox $WORK/ranged/m" "bundle $REGISTRY/busybox $WORK/ranged/b"; do
		check user ranged $words
		[ "$status" -eq 1 ]
		[[ "$output" == *"hint: "*"orlop unshare"* ]]
	done
	user ranged mount
	check as ranged "$WORK/orlop" unshare sh -ec '
		mkdir m
		"$0" mount --rw "$1" m
		echo new > m/etc/new
		rm -r m/bin
		ls m/bin 2>/dev/null || echo gone
		"$0" mount --format "{{.Target}} {{.Mode}}"
		"$0" umount --rm m
		ls -A m
		rmdir m' "$WORK/orlop" "$REGISTRY/busybox"
	[ "$status" -eq 0 ]
	[[ "$output" == *gone*"$WORK/ranged/m rw"* ]]
	# One that nobody ended is gone with its namespace; its row goes at umount.
	as ranged "$WORK/orlop" unshare "$WORK/orlop" mount "$REGISTRY/busybox" > "$WORK/path"
	user ranged umount --force "$(cat "$WORK/path")"
	[ -z "$(user ranged mount -q)" ]
	[ -z "$(ls -A "$(store_of ranged)/containers")" ]
}

@test "unshare: the command's status, a shell, root needs none" {
	check user ranged unshare sh -c 'exit 7'
	[ "$status" -eq 7 ]
	check user ranged unshare /no/such/program
	[ "$status" -eq 127 ]
	check user ranged unshare /etc/passwd
	[ "$status" -eq 126 ]
	[ "$(as ranged env SHELL=/bin/sh "$WORK/orlop" unshare <<< 'id -u')" = 0 ]
	[ "$(user ranged unshare "$WORK/orlop" info --format '{{.StoreRoot}}')" = "$(store_of ranged)" ]
	check orlop unshare true
	[ "$status" -eq 125 ]
	[[ "$output" == *"root needs no user namespace"* ]]
}

@test "a bundle made inside is run by crun and runc, and orlop run starts them itself" {
	local tool
	has ranged busybox
	for tool in crun runc; do
		command -v $tool >/dev/null || { echo "# no $tool here" >&3; continue; }
		check user ranged run --rm --network none --runtime $tool "$REGISTRY/busybox" sh -c 'id -u; exit 4'
		[ "$status" -eq 4 ]
		[ "$output" = 1000 ]
		check as ranged "$WORK/orlop" unshare sh -ec '
			# crun 1.8 cannot do with both versions of cgroups
			[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified
			"$0" bundle --network none "$1" b sh -c "id -u; exit 6"
			status=0
			"$2" --root "$XDG_RUNTIME_DIR/$2" run -b b "orlop-rootless-$$" || status=$?
			"$0" umount b
			rm -r b
			exit $status' "$WORK/orlop" "$REGISTRY/busybox" $tool
		[ "$status" -eq 6 ]
		[[ "$output" == *1000* ]]
	done
}

@test "info says that it is rootless, with which ids, and why not erofs" {
	check user ranged info
	[[ "$output" == *"Driver: dir"*"EROFS cannot be mounted in a user namespace"* ]]
	[[ "$output" == *"Rootless: true"*"/etc/subuid"*"1-65536 are "* ]]
	check user single info
	[[ "$output" == *"Rootless: true"*"only the user's own id: /etc/subuid has no range"* ]]
	check orlop info --format '{{.Rootless}}'
	[ "$output" = false ]
}

@test "without newuidmap there is the user's own id, and info says why" {
	mkdir -p "$WORK/bin"
	ln -sf /bin/busybox "$WORK/bin/env"
	check as ranged env PATH="$WORK/bin" "$WORK/orlop" --root "$WORK/ranged/other" info --format '{{.RootlessIds}}'
	[ "$status" -eq 0 ]
	[[ "$output" == *"only the user's own id: newuidmap: "* ]]
	# A store with ranges is not touched under another mapping.
	has ranged busybox
	check as ranged env PATH="$WORK/bin" "$WORK/orlop" gc
	[ "$status" -eq 1 ]
	[[ "$output" == *"belong to other user ids"* ]]
}

@test "where user namespaces are kept from users, orlop says by which setting" {
	# A user of a namespace in which there may be no more of them.
	no_more() {
		as ranged "$WORK/orlop" unshare sh -ec 'echo 0 > /proc/sys/user/max_user_namespaces
			mkdir -p others; chmod 777 others
			exec setpriv --reuid 1000 --regid 1000 --clear-groups "$@"' sh "$@"
	}
	as ranged chmod 711 .
	check no_more "$WORK/orlop" --root "$WORK/ranged/others/store" --run-root "$WORK/ranged/others/run" pull "$REGISTRY/busybox"
	[ "$status" -eq 1 ]
	[[ "$output" == "orlop: cannot enter a user namespace"*"hint: "*user.max_user_namespaces* ]]
	check no_more "$WORK/orlop" --root "$WORK/ranged/others/store" --run-root "$WORK/ranged/others/run" info
	[ "$status" -eq 0 ]
	[[ "$output" == *"Rootless Ids: cannot enter a user namespace"* ]]
	as ranged chmod 700 .
	user ranged unshare rm -r others
}

@test "what an image could do to the host stays in the user's namespace" {
	local host=$WORK/ranged/host uid
	uid=$(id -u "$(cat "$WORK/ranged.user")")
	has ranged hostile
	user ranged check
	[ ! -e /orlop-escaped ]
	[ ! -e /var/tmp/orlop-escaped ]
	[ -z "$(find "$WORK" -xdev -name orlop-escaped -not -path "$(store_of ranged)/*")" ]
	# Root of the container is no more than the user, whatever it gets at.
	mkdir "$host"
	chmod 777 "$host"
	check user ranged run --rm --network none -u 0 -v "$host:/host" -v /etc:/etc-of-host:ro "$REGISTRY/hostile" sh -c '
		id -u; touch /host/by-root; cat /etc-of-host/shadow /srv/shadow; cp /bin/busybox /host/shell; chmod 4755 /host/shell
		cat /srv/disk /srv/memory; cat /srv/root/orlop-escaped
		cat /srv/forged/there; ls /srv/forged/whiteout; ls /srv/forged | grep passwd'
	[[ "$output" != *"root:"* ]]
	[ "${lines[0]}" = 0 ]
	[[ "$output" == *there* ]]
	not grep -q passwd <<< "$output"
	[ "$(stat -c %u "$host/by-root")" -eq "$uid" ]
	[ "$(stat -c %u "$host/shell")" -eq "$uid" ]
	# And on disk nobody else gets to run it.
	[ -n "$(find "$(store_of ranged)/layers" "$(store_of ranged)/chains" -path '*/srv/setuid/sh' -perm -4000)" ]
	check as single find "$(store_of ranged)/layers" "$(store_of ranged)/chains"
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[ -z "$(find "$(store_of ranged)" -type b)" ]
}

@test "a pull that is killed goes on where it was" {
	image_make big
	fake_start slow slow --layout "$WORK/big"
	user ranged pull -q --plain-http "$FAKE/app" 3>&- &
	pid=$!
	sleep 1
	end_all ranged
	wait "$pid" || true
	user ranged pull -q --plain-http "$FAKE/app"
	user ranged check
	user ranged run --rm --network none "$FAKE/app" stat -c %s /noise
	fake_stop slow
}

@test "rmi and gc leave nothing, whoever the files belong to" {
	local other=$WORK/ranged/emptied
	user ranged --root "$other" pull -q "$REGISTRY/odd"
	[ -n "$(find "$other/layers" "$other/chains" -uid +99999)" ]
	user ranged --root "$other" rmi "$REGISTRY/odd"
	user ranged --root "$other" gc
	check ls -A "$other/layers" "$other/chains" "$other/blobs/sha256" "$other/ingest"
	[ "$(grep -c -v -e : -e '^$' <<< "$output")" -eq 0 ]
	user ranged --root "$other" check
	as ranged rm -r "$other"
}

@test "login writes the user's own file, which a pull inside the namespace reads" {
	fake_start locked basic
	check user ranged pull "$FAKE/app"
	[ "$status" -eq 1 ]
	as ranged sh -c 'echo s3cret:with:colons | "$0" login -u ann --password-stdin "$1"' "$WORK/orlop" "$FAKE"
	[ "$(find "$WORK/ranged/run/containers" "$WORK/ranged/.docker" -name '*.json' -user "$(cat "$WORK/ranged.user")" -perm 600 2>/dev/null | wc -l)" -eq 1 ]
	user ranged pull -q "$FAKE/app"
	user ranged logout "$FAKE"
	fake_stop locked
}

@test "save and load: an archive is what it is for root" {
	local other=$WORK/ranged/loaded
	has ranged odd
	(umask 077; user ranged save -o "$WORK/ranged/odd.tar" "$REGISTRY/odd")
	user ranged save "$REGISTRY/odd" | cmp - "$WORK/ranged/odd.tar"
	user ranged --root "$other" load -q -i "$WORK/ranged/odd.tar"
	[ "$(user ranged --root "$other" inspect --format '{{.Id}}' "$REGISTRY/odd")" = "$(user ranged inspect --format '{{.Id}}' "$REGISTRY/odd")" ]
	user ranged --root "$other" check
	as ranged "$WORK/orlop" --root "$other" unshare true
	user ranged --root "$other" run --rm --network none "$REGISTRY/odd" cat /srv/linked-across-layers
	user ranged unshare rm -r "$other"
	user single load -i "$WORK/ranged/odd.tar" && return 1 # not this user's to read
	as single "$WORK/orlop" load < "$WORK/ranged/odd.tar"
	user single check
}

@test "import, push and copy" {
	has ranged busybox
	as ranged sh -ec '"$0" unshare sh -ec "d=\$(\"\$0\" mount \"\$1\"); tar -C \"\$d\" -cf - ." "$0" "$1" > root.tar' "$WORK/orlop" "$REGISTRY/busybox"
	user ranged import -q --change 'USER 1000' --change 'CMD ["id", "-u"]' "$WORK/ranged/root.tar" imported:1
	check user ranged run --rm --network none imported:1
	[ "$output" = 1000 ]
	user ranged check
	user ranged push -q imported:1 "$REGISTRY/imported:1"
	user single pull -q "$REGISTRY/imported:1"
	[ "$(user single inspect --format '{{.Id}}' "$REGISTRY/imported:1")" = "$(user ranged inspect --format '{{.Id}}' imported:1)" ]
	user ranged copy -q "docker://$REGISTRY/imported:1" "oci:$WORK/ranged/layout"
	[ "$(as ranged skopeo inspect --raw "oci:$WORK/ranged/layout" | jq -r .config.digest)" = "$(config_digest imported:1)" ]
	user ranged pin imported:1
	user ranged unpin imported:1
	as ranged rm -r layout root.tar
}

@test "export writes what the user's tree has: all of root's but devices and ids without a place" {
	# The lists of both tars, without what is told above to differ.
	list() { tar -tv --numeric-owner --full-time --quoting-style=escape | grep -v -e ' srv/dev/' -e ' srv/ids/large'; }
	has ranged odd
	store -root
	orlop export "$REGISTRY/odd" | list > "$WORK/export.root"
	user ranged export "$REGISTRY/odd" | list > "$WORK/export.ranged"
	[ "$(wc -l < "$WORK/export.root")" -gt 80 ]
	diff "$WORK/export.root" "$WORK/export.ranged"
	[ "$(user ranged export "$REGISTRY/odd" | tar -tv --numeric-owner srv/dev/null srv/ids/large | awk '{ print $1, $2, $3 }')" = $'-rw-rw-rw- 0/0 0\n-rw-r--r-- 0/0 1' ]
	user ranged export --format erofs -o "$WORK/ranged/odd.erofs" "$REGISTRY/odd"
	as ranged rm odd.erofs
}

@test "inside the namespace the user's own registry configuration counts, not root's" {
	local dir=$WORK/ranged/.config/containerd/certs.d/mirrored.example
	as ranged mkdir -p "$dir" "$WORK/ranged/.config/containers"
	as ranged sh -ec 'printf "server = \"http://%s\"\n" "$1" > "$0/hosts.toml"' "$dir" "$REGISTRY"
	user ranged pull -q mirrored.example/busybox
	as ranged rm -r "$dir"
	as ranged sh -ec 'printf "[aliases]\n\"shortly\" = \"%s/busybox\"\n" "$1" > "$0"' "$WORK/ranged/.config/containers/registries.conf" "$REGISTRY"
	user ranged pull -q shortly
	as ranged rm -r .config
}

@test "the suite of the layer drivers passes in the namespace" {
	local suite
	suite=$(dirname "$ORLOP")/tests/suite_driver
	[ -x "$suite" ] || skip "no suite_driver beside $ORLOP"
	install -m 755 "$suite" "$WORK/suite_driver"
	as ranged mkdir suite
	check as ranged env TMPDIR="$WORK/ranged/suite" "$WORK/orlop" unshare "$WORK/suite_driver"
	[ "$status" -eq 0 ]
	grep '^# skip' <<< "$output" | sort -u >&3
	user ranged unshare rm -r suite
}

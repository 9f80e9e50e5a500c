# What the end-to-end tests share: a scratch folder on a real file system, a registry, images, orlop with a store of its own.
# ORLOP names the program; ORLOP_DRIVER, if set, the driver that the whole run is forced to.

: "${ORLOP:?names the program to test}"
TESTS=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
REPO=$(cd "$TESTS/.." && pwd)
export LC_ALL=C.UTF-8 NO_COLOR=1

# Everything of one file of tests lies here; /tmp may be a tmpfs, which has no EROFS mounts.
scratch_make() { WORK=$(mktemp -d /var/tmp/orlop-e2e.XXXXXX); export WORK; mkdir "$WORK/tmp"; export TMPDIR=$WORK/tmp; }

# Takes down what is still mounted below a folder.
unmount_below() {
	local mount
	awk -v below="$1/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r mount; do umount -l "$(printf '%b' "$mount")"; done
}

# Ends what was started (its pid in $WORK/NAME.pid), takes down what is still mounted, removes it all.
scratch_remove() {
	local pid
	for pid in "$WORK"/*.pid; do
		[ -e "$pid" ] || continue
		kill "$(cat "$pid")" 2>/dev/null || true
		wait "$(cat "$pid")" 2>/dev/null || true # a child of ours would stay a zombie, and look alive
		for _ in $(seq 50); do kill -0 "$(cat "$pid")" 2>/dev/null || break; sleep 0.1; done
	done
	unmount_below "$WORK"
	# The syncing child of a last command may still hold the store.
	for _ in $(seq 50); do rm -rf --one-file-system "$WORK" 2>/dev/null && break; sleep 0.1; done
}

store() { export ORLOP_ROOT=$WORK/store${1:-} ORLOP_RUN=$WORK/run${1:-}; }
# The store of one test, with what a failed test left mounted. The syncing child of a last command may still be writing to it.
store_remove() {
	unmount_below "$WORK"
	for _ in $(seq 50); do rm -rf --one-file-system "$ORLOP_ROOT" "$ORLOP_RUN" 2>/dev/null && return; sleep 0.1; done
}
orlop() { "$ORLOP" "$@"; }

need_root() { [ "$(id -u)" = 0 ] || skip "not root: nothing can be mounted or run"; }
# The driver that is asked for: not every kernel has erofs.
need_driver() {
	[ "$(id -u)" = 0 ] && [ "${1:-${ORLOP_DRIVER:-}}" = erofs ] || return 0
	local found
	found=$("$ORLOP" --root "$WORK/probe" --run-root "$WORK/probe-run" --driver erofs info --format '{{.Driver}}: {{.DriverReason}}')
	rm -rf --one-file-system "$WORK/probe" "$WORK/probe-run"
	[[ "$found" == erofs:* ]] || skip "no erofs driver here, $found"
}
need() { local t; for t in "$@"; do command -v "$t" >/dev/null || skip "no $t on this machine"; done; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# registry_start [YAML-LINES]: Debian's docker-registry on a free loopback port: sets REGISTRY, logs accesses to $WORK/registry.log.
registry_start() {
	local port
	port=$(free_port)
	export REGISTRY=127.0.0.1:$port
	cat > "$WORK/registry.yml" <<-YML
	version: 0.1
	log: { level: info, accesslog: { disabled: false } }
	storage: { filesystem: { rootdirectory: $WORK/registry }, delete: { enabled: true } }
	http: { addr: "$REGISTRY"${2:-} }
	${1:-}
	YML
	docker-registry serve "$WORK/registry.yml" > "$WORK/registry.log" 2>&1 3>&- &
	echo $! > "$WORK/registry.pid"
	for _ in $(seq 100); do
		(exec 5<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
		sleep 0.1
	done
	cat "$WORK/registry.log" >&2
	return 1
}

# image_make NAME: the layout $WORK/NAME, from the recipes.
image_make() { [ -d "$WORK/$1" ] || "$REPO/fixtures/make-image" "$1" "$WORK/$1"; }

# image_push NAME TAG...: latest (as it is), zstd, docker.
image_push() {
	local name=$1 tag; shift
	image_make "$name"
	for tag in "$@"; do
		case $tag in
		latest) skopeo copy -q --all --preserve-digests --dest-tls-verify=false "oci:$WORK/$name:latest" "docker://$REGISTRY/$name:latest" ;;
		zstd)
			skopeo copy -q --all --dest-compress-format zstd "oci:$WORK/$name:latest" "oci:$WORK/$name-zstd:latest"
			skopeo copy -q --all --preserve-digests --dest-tls-verify=false "oci:$WORK/$name-zstd:latest" "docker://$REGISTRY/$name:zstd" ;;
		docker) skopeo copy -q --all --format v2s2 --dest-tls-verify=false "oci:$WORK/$name:latest" "docker://$REGISTRY/$name:docker" ;;
		esac
	done
}

# The config digest of an image in the registry, as skopeo sees it.
config_digest() { skopeo inspect --tls-verify=false --raw "docker://$REGISTRY/$1" | jq -r .config.digest; }

# Nothing of ours may be mounted any more.
no_mounts_left() { ! grep -q " $WORK/" /proc/self/mountinfo; }

# Holds where a command fails. ("! command" does not end a test.)
not() { if "$@"; then return 1; fi; }

# Runs and shows what was said, so that a failure explains itself: sets status, output and lines (without empty ones) as bats' run does.
check() {
	status=0
	output=$("$@" 2>&1) || status=$?
	mapfile -t lines < <(grep -v '^$' <<< "$output")
	printf '%s\n' "$output"
}

# fake_start NAME SCENARIO [ARG...]: tests/fake_registry on free ports, until the scratch folder is removed: sets FAKE (its address), logs to
# $WORK/NAME.log, and says what it serves in $WORK/NAME.said.
fake_start() {
	local name=$1 scenario=$2
	shift 2
	[ -e "$WORK/$name.in" ] || mkfifo "$WORK/$name.in"
	rm -f "$WORK/$name.log" "$WORK/$name.said"
	# It ends when its stdin does, which is when this sleeper is killed.
	sleep 1000 > "$WORK/$name.in" 3>&- &
	echo $! > "$WORK/$name.pid"
	"$TESTS/fake_registry" "$REPO/fixtures/registry/$scenario.txt" --log "$WORK/$name.log" "$@" \
		< "$WORK/$name.in" > "$WORK/$name.said" 2>"$WORK/$name.err" 3>&- &
	for _ in $(seq 200); do
		grep -q '^ready' "$WORK/$name.said" 2>/dev/null && break
		sleep 0.05
	done
	FAKE=$(sed -n 's/^main //p' "$WORK/$name.said")
	export FAKE
	[ -n "$FAKE" ] || { cat "$WORK/$name.err" >&2; return 1; }
}
fake_stop() {
	[ -e "$WORK/$1.pid" ] || return 0
	kill "$(cat "$WORK/$1.pid")"
	rm "$WORK/$1.pid"
}

# A CA, a server's certificate for 127.0.0.1, localhost and registry.test, a client's: in $WORK/tls.
certificates() {
	mkdir "$WORK/tls" "$WORK/tls/certs.d"
	(
		cd "$WORK/tls"
		openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test-ca -keyout ca.key -out ca.crt
		for name in server client; do
			openssl req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
			openssl x509 -req -days 30 -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt \
				-extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test")
		done
		cp ca.crt certs.d/ca.crt
	) >"$WORK/tls/log" 2>&1
}

# What the tests of lazy pulls share, beside lib.bash: images of all formats, a slow link, and what they ask of the holder.

# Each engine, or only the one that ORLOP_LAZY_ENGINES names.
ENGINES=${ORLOP_LAZY_ENGINES:-fanotify fuse}

# The engine works here, else the test is skipped.
need_engine() {
	case $1 in
	fanotify) python3 -c 'import os, sys; sys.exit(tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) < (6, 14))' ||
		skip "no pre-content events before Linux 6.14" ;;
	fuse) [ -c /dev/fuse ] || skip "no /dev/fuse here" ;;
	esac
}

# What serves the images; a test that lacks it is skipped by lazy_setup.
lazy_tools() { command -v docker-registry >/dev/null && command -v skopeo >/dev/null && command -v python3 >/dev/null; }

# lazy_setup_file [FORMAT...]: what a file of tests begins with: a registry that has the image "lazy" in these formats.
lazy_setup_file() {
	local format
	scratch_make
	lazy_tools || return 0
	registry_start
	for format in "$@"; do lazy_image "$format"; done
}

# lazy_setup [SUFFIX]: what a test begins with: a store of its own.
lazy_setup() {
	need_root
	need_driver erofs
	need docker-registry skopeo jq python3
	export ORLOP_HOSTS_DIR=$WORK/hosts-$BATS_TEST_NUMBER # not what this machine has configured
	mkdir -p "$ORLOP_HOSTS_DIR"
	store "-$BATS_TEST_NUMBER${1:-}"
}

# lazy_expect [FILE...]: what must be read, into $WORK/expected: layer 1 of lazy:gzip, or these files of it, as tar has them.
lazy_expect() {
	mkdir "$WORK/expected"
	tar -xzf "$WORK/lazy-gzip/blobs/sha256/$(layer_digest gzip 1 | cut -d: -f2)" -C "$WORK/expected" "$@"
}

# Programs of tests/go, built once for all builds of the program: sets GO_TOOLS, or skips.
need_go() {
	GO_TOOLS=$REPO/build/go
	check "$TESTS/go/build" "$GO_TOOLS" "$@"
	[ "$status" -ne 77 ] || skip "$output"
	[ "$status" -eq 0 ]
}

# lazy_image FORMAT [MAKE-LAZY'S OPTIONS]: pushes the image "lazy" as lazy:FORMAT; its layers as the format has them.
#   estargz zstd-chunked zstd-old zstd-stargz …   by fixtures/make-lazy
#   go-zstd-chunked go-soci                       of its gzip layers, by the libraries of podman and soci-snapshotter (need_go)
#   skopeo-zstd-old                               by skopeo
lazy_image() {
	local format=$1 layout=$WORK/lazy-$1 from=$WORK/lazy-gzip
	shift
	[ ! -e "$layout.pushed" ] || return 0
	[ "$format" = gzip ] || [ -d "$from" ] || "$REPO/fixtures/make-lazy" gzip "$from"
	case $format in
	go-zstd-chunked) "$GO_TOOLS/make-zstd-chunked" "$from" "$layout" ;;
	go-soci) "$GO_TOOLS/make-soci" -min 65536 -span 262144 "$from" "$layout" >/dev/null ;;
	go-soci-v1) "$GO_TOOLS/make-soci" -v1 -min 65536 -span 262144 "$from" "$layout" >/dev/null ;;
	skopeo-zstd-old)
		skopeo copy -q --dest-compress-format zstd:chunked "oci:$from:latest" "oci:$layout:latest"
		"$TESTS/right-diff-ids" "$layout" ;;
	*) [ -d "$layout" ] || "$REPO/fixtures/make-lazy" "$format" "$layout" "$@" ;;
	esac
	"$TESTS/push-layout" "$layout" "$REGISTRY/lazy:$format"
	touch "$layout.pushed"
}

# The digest of layer N, from 0, of lazy:FORMAT.
layer_digest() { skopeo inspect --tls-verify=false --raw "docker://$REGISTRY/lazy:$1" | jq -r ".layers[$2].digest"; }

# place_in_blob FORMAT N FILE OFFSET: where in layer N, from 0, of lazy:FORMAT ten bytes of a file are that does not compress, and so stands in
# the blob as it is: DIGEST:BEGIN-END.
place_in_blob() {
	local digest
	digest=$(layer_digest "$1" "$2")
	python3 - "$WORK/lazy-$1/blobs/${digest/://}" "$3" "$4" <<-PY
	import sys
	blob, file, at = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read(), int(sys.argv[3])
	begin = blob.index(file[at:at + 64])
	print(f"$digest:{begin}-{begin + 10}")
	PY
}

# link_start [OPTIONS OF tests/shape]: a link to the registry: sets LINK and CONTROL; logs to $WORK/link.log.
link_start() {
	rm -f "$WORK/link.in" "$WORK/link.said"
	mkfifo "$WORK/link.in"
	sleep 1000 > "$WORK/link.in" 3>&- & # it ends when this sleeper is killed
	echo $! > "$WORK/link.pid"
	"$TESTS/shape" "${FAR:-$REGISTRY}" --log "$WORK/link.log" "$@" < "$WORK/link.in" > "$WORK/link.said" 2>"$WORK/link.err" 3>&- &
	for _ in $(seq 200); do grep -q '^control' "$WORK/link.said" 2>/dev/null && break; sleep 0.05; done
	LINK=$(sed -n 's/^link //p' "$WORK/link.said")
	CONTROL=$(sed -n 's/^control //p' "$WORK/link.said")
	export LINK CONTROL
	[ -n "$CONTROL" ] || { cat "$WORK/link.err" >&2; return 1; }
}
link_tell() { "$TESTS/shape" tell "$CONTROL" "$@"; }

# What there is of lazy layers: rows, folders, processes.
lazy_rows() {
	python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1], timeout=60).execute("SELECT count(*) FROM layers WHERE driver = '"'lazy'"'").fetchone()[0])' \
		"$ORLOP_ROOT/orlop.db"
}
# Waits until all layers are whole.
lazy_wait() {
	for _ in $(seq "${1:-300}"); do [ "$(lazy_rows)" = 0 ] && return; sleep 0.1; done
	echo "$(lazy_rows) layers are still lazy"
	lazy_log
	return 1
}
lazy_log() { cat "$ORLOP_RUN"/*/lazy/log 2>/dev/null || true; }
held_pid() { sed -n "s/^$1 \([0-9]*\).*/\1/p" "$ORLOP_RUN"/*/lazy/held 2>/dev/null; }
# The processes that serve this run dir, by what they were called with, so that none is overlooked.
lazy_processes() {
	local each # one grep for all of them: tests ask often, and a machine has hundreds
	grep -lsaE 'lazy-(holder|worker)' /proc/[0-9]*/cmdline | while read -r each; do
		each=${each%/cmdline}
		grep -qsazxF "ORLOP_RUN=$ORLOP_RUN" "$each/environ" && echo "${each#/proc/}"
	done
	return 0
}
# They end by themselves when nothing needs them.
no_lazy_processes() {
	for _ in $(seq 100); do [ -z "$(lazy_processes)" ] && return; sleep 0.1; done
	echo "still there:"
	for each in $(lazy_processes); do tr '\0' ' ' < "/proc/$each/cmdline"; echo; done
	lazy_log
	return 1
}
# After a test, however it went: unmounted first, as a mount that nobody serves would hang its readers.
lazy_remove() {
	local pid
	[ ! -e "$WORK/link.pid" ] || { kill "$(cat "$WORK/link.pid")" 2>/dev/null || true; rm -f "$WORK/link.pid"; }
	unmount_below "$WORK"
	# Stopped first: a worker that sees its holder die starts another, and a holder another worker.
	for _ in $(seq 20); do
		[ -n "$(lazy_processes)" ] || break
		for pid in $(lazy_processes); do kill -STOP "$pid" 2>/dev/null || true; done
		for pid in $(lazy_processes); do kill -9 "$pid" 2>/dev/null || true; done
		sleep 0.05
	done
	store_remove
}

# Every how many milliseconds a worker is killed: 200, and more where the program takes long to start (sanitizers, a busy machine): one
# that dies before it has begun gets nothing done.
kill_every() {
	local began=${EPOCHREALTIME/./} _
	for _ in 1 2 3 4; do "$ORLOP" version > /dev/null; done
	echo $((200 + 3 * (${EPOCHREALTIME/./} - began) / 1000))
}

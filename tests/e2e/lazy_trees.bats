#!/usr/bin/env bats
# A lazily mounted tree equals the eagerly mounted one at every moment: read in random order by several processes while the rest arrives, with
# the worker killed every 200 ms, and when it is complete. For each format and both engines; over real images: tests/e2e/lazy-trees.
load lib.bash
load lazy.bash

setup_file() { lazy_setup_file; }
teardown_file() { scratch_remove; }
setup() { lazy_setup; }
teardown() {
	lazy_remove
	store "-whole"
	lazy_remove
}

# What the format's table of contents cannot carry (docs/differences.md).
exceptions() {
	case $1 in
	estargz*) echo --whole-seconds-in-b --empty-xattrs-only-in-a ;;
	*zstd-old | zstd-stargz) echo --empty-xattrs-only-in-a ;;
	esac
}

# same FORMAT ENGINE [kill]: pulls eagerly and lazily, and compares from the first moment to the last.
same() {
	local format=$1 engine=$2 whole tree flags every
	every=$(kill_every) # measured before anything is to be killed
	read -ra flags <<< "$(exceptions "$format")"
	need_engine "$engine"
	lazy_image "$format"
	# (who is killed must get on between two kills, on a busy machine too)
	if [ "${3:-}" = kill ]; then
		link_start --rate 20000000
		flags+=(--share 0.5)
	else
		link_start --rtt 10 --rate 3000000
	fi
	store -whole
	orlop pull -q "$REGISTRY/lazy:$format"
	whole=$(orlop mount "$REGISTRY/lazy:$format")
	store "-$BATS_TEST_NUMBER"
	orlop pull -q --lazy --lazy-engine "$engine" "$LINK/lazy:$format"
	[ "$(lazy_rows)" -gt 0 ] # it is no eager pull that is tested
	tree=$(orlop mount --lazy "$LINK/lazy:$format")
	if [ "${3:-}" = kill ]; then
		coproc KILLER { exec "$TESTS/lazy-kill" "$ORLOP_RUN" worker "$every"; }
	fi
	check "$TESTS/lazy-reader" "$whole" "$tree" --processes 3 "${flags[@]}"
	[ "$status" -eq 0 ]
	if [ "${3:-}" = kill ]; then
		exec {KILLER[1]}>&-
		read -r killed <&"${KILLER[0]}"
		echo "$killed workers were killed"
		[ "$killed" -gt 0 ]
	fi
	lazy_wait
	read -ra flags <<< "$(exceptions "$format")"
	check "$TESTS/compare-tree" "$whole" "$tree" "${flags[@]}"
	[ "$status" -eq 0 ]
	orlop check
	orlop umount "$tree"
	# As it is mounted from now on it is an ordinary layer: nothing is passed over.
	tree=$(orlop mount "$LINK/lazy:$format")
	check "$TESTS/compare-tree" "$whole" "$tree"
	[ "$status" -eq 0 ]
	orlop umount "$tree"
	no_lazy_processes
	store -whole
	orlop umount "$whole"
	no_mounts_left
}

@test "estargz, fanotify" { same estargz fanotify; }
@test "estargz, fuse" { same estargz fuse; }
@test "estargz, fanotify, workers killed" { same estargz fanotify kill; }
@test "estargz, fuse, workers killed" { same estargz fuse kill; }
@test "zstd:chunked with tar-split, fanotify, workers killed" { same zstd-chunked fanotify kill; }
@test "zstd:chunked with tar-split, fuse" { same zstd-chunked fuse; }
@test "zstd:chunked without tar-split, fanotify" { same zstd-old fanotify; }
@test "zstd:chunked without tar-split, fuse, workers killed" { same zstd-old fuse kill; }
@test "zstd:chunked by podman's library, fanotify" { need_go make-zstd-chunked; same go-zstd-chunked fanotify; }
@test "zstd:chunked by skopeo, fanotify" { same skopeo-zstd-old fanotify; }
@test "SOCI by soci-snapshotter's library, fanotify, workers killed" { need_go make-soci; same go-soci fanotify kill; }
@test "SOCI by soci-snapshotter's library, fuse" { need_go make-soci; same go-soci fuse; }

#!/usr/bin/env bats
# Pulls that are killed, interrupted, or run beside others: the store stays sound, and nothing is fetched twice.
load lib.bash

setup_file() {
	scratch_make
	tools_are_there || return 0
	image_make big
	image_make odd
	fake_start slow slow --layout "$WORK/big"
}
teardown_file() { scratch_remove; }
tools_are_there() { command -v python3 >/dev/null && [ -e /bin/busybox ]; }
setup() {
	need_root
	need_driver
	need python3 jq
	store "-$BATS_TEST_NUMBER"
	IMAGE=$FAKE/app
}
teardown() { store_remove; }

# Bytes of blobs that the registry has sent, by digest: "DIGEST BYTES" lines. It says so a little after the client has them.
sent() { sleep 0.5; awk '$2 == "GET" && $3 ~ "/blobs/" { n = split($3, p, "/"); split($6, b, "="); sum[p[n]] += b[2] } END { for (d in sum) print d, sum[d] }' "$WORK/slow.log" | sort; }
sizes() { awk '$1 == "layer" || $1 == "config" { print $2, $3 }' "$WORK/slow.said" | sort; }

@test "killed at twenty moments, the store is sound and the pull resumes" {
	check timeout 500 "$TESTS/e2e/interrupt-pulls" "$IMAGE" "$WORK/slow.log" 20 "${ORLOP_SEED:-$RANDOM}"
	[ "$status" -eq 0 ]
	tree=$(orlop mount "$IMAGE")
	store -undisturbed
	orlop pull -q "$IMAGE"
	other=$(orlop mount "$IMAGE")
	check "$TESTS/compare-tree" "$tree" "$other"
	[ "$status" -eq 0 ]
	orlop umount "$other"
	store_remove
	store "-$BATS_TEST_NUMBER"
	orlop umount "$tree"
	no_mounts_left
}

@test "two pulls at once fetch each layer once" {
	: > "$WORK/slow.log"
	orlop pull -q "$IMAGE" 3>&- &
	first=$!
	orlop pull -q "$IMAGE" 3>&- &
	second=$!
	wait "$first"
	wait "$second"
	diff <(sent | grep -vf <(sed -n 's/^config \([^ ]*\).*/\1/p' "$WORK/slow.said")) \
		<(sizes | grep -vf <(sed -n 's/^config \([^ ]*\).*/\1/p' "$WORK/slow.said"))
	[ "$(orlop images -q | wc -l)" -eq 1 ]
	orlop check
}

@test "a pull takes no harm from rmi and gc beside it" {
	fake_start plain plain --layout "$WORK/odd"
	other=$FAKE/app
	orlop pull -q "$IMAGE" 3>&- &
	pull=$!
	rounds=0
	while kill -0 "$pull" 2>/dev/null && [ $rounds -lt 200 ]; do
		orlop pull -q "$other"
		orlop rmi "$other" >/dev/null
		orlop gc >/dev/null
		rounds=$((rounds + 1))
	done
	wait "$pull"
	echo "$rounds rounds"
	[ $rounds -gt 1 ]
	orlop check
	tree=$(orlop mount "$IMAGE")
	[ "$(stat -c %s "$tree/noise")" -eq $((48 << 20)) ]
	orlop umount "$tree"
	fake_stop plain
}

@test "an image is not there before all of it is" {
	orlop pull -q "$IMAGE" 3>&- &
	pull=$!
	sleep 0.5
	check orlop images -q
	[ -z "$output" ] || not kill -0 "$pull" 2>/dev/null
	wait "$pull"
	[ "$(orlop images -q | wc -l)" -eq 1 ]
}

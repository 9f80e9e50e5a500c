#!/usr/bin/env bats
# One flipped bit in each kind of file of the store: run refuses it, check names it, --repair mends just that.
load lib.bash

setup_file() {
	scratch_make
	command -v docker-registry skopeo >/dev/null || return 0
	registry_start
	image_push busybox latest
	image_push odd latest
	image_push multiarch latest
}
teardown_file() { scratch_remove; }
setup() {
	need_root
	need_driver
	need docker-registry skopeo jq python3
	store "-$BATS_TEST_NUMBER"
	BUSYBOX=$REGISTRY/busybox:latest
	DRIVER=$(orlop info --format '{{.Driver}}')
}
teardown() { store_remove; }

harm() { python3 "$TESTS/e2e/harm-store" "$@"; }
requests() { grep -c "\"GET /v2/[^ ]*$1" "$WORK/registry.log" || true; }
blob_file() { echo "$ORLOP_ROOT/blobs/sha256/${1#sha256:}"; }
manifest() { skopeo inspect --tls-verify=false --raw "docker://$BUSYBOX"; }
diff_id() { skopeo inspect --tls-verify=false --config "docker://$BUSYBOX" | jq -r '.rootfs.diff_ids[0]'; }
settled() { orlop sync; }
run_busybox() { orlop run --rm "$BUSYBOX" echo it runs; }

# refused FILE NAMED [BY-RUN]: with a bit of FILE turned, and as after an unclean boot, nothing runs, and what is wrong is named: by
# run perhaps as what cannot be proved because of it.
refused() {
	harm boot "$ORLOP_ROOT"
	harm flip "$1"
	check run_busybox
	[ "$status" -ne 0 ]
	[[ "$output" == *"${3:-$2}"* ]]
	[[ "$output" != *"it runs"* ]]
	check orlop check
	[ "$status" -eq 1 ]
	[[ "$output" == *"$2"* ]]
}

# mended DIGEST REQUESTS SAYS: --repair asks the registry so often for the digest, and for no other blob; then all is well.
mended() {
	local before all
	before=$(requests "$1") all=$(requests blobs)
	check orlop check --repair --plain-http
	[ "$status" -eq 0 ]
	[[ "$output" == *"$3"* ]]
	[ $(($(requests "$1") - before)) -eq "$2" ]
	[[ "$1" == *manifests* ]] || [ $(($(requests blobs) - all)) -eq "$2" ]
	orlop check
	check run_busybox
	[[ "$output" == *"it runs"* ]]
}

@test "the config: refused, named, fetched by itself" {
	orlop pull -q --durable "$BUSYBOX"
	settled
	digest=$(manifest | jq -r .config.digest)
	refused "$(blob_file "$digest")" "$digest"
	mended "blobs/$digest" 1 "mended: blob $digest: fetched again from $REGISTRY/busybox"
}

@test "the manifest: refused, named, fetched by itself" {
	orlop pull -q --durable "$BUSYBOX"
	settled
	digest=sha256:$(manifest | sha256sum | cut -d' ' -f1)
	refused "$(blob_file "$digest")" "$digest"
	mended "manifests/$digest" 1 "mended: blob $digest: fetched again from $REGISTRY/busybox"
}

@test "what the layer was made of: refused, named, fetched by itself" {
	orlop pull -q --durable "$BUSYBOX"
	settled
	layer=$(manifest | jq -r '.layers[0].digest')
	kept=$layer
	[ "$DRIVER" = dir ] || kept=$(diff_id)
	refused "$(blob_file "$kept")" "$kept" "$(diff_id)"
	mended "blobs/$layer" 1 "mended: blob $kept: fetched again from $REGISTRY/busybox"
}

@test "an index: refused, named, written anew from its tar without a request" {
	[ "$DRIVER" = erofs ] || skip "a tree has no index"
	orlop pull -q --durable "$BUSYBOX"
	settled
	digest=$(diff_id)
	before=$(sha256sum < "$ORLOP_ROOT/layers/${digest#sha256:}/index.erofs")
	refused "$ORLOP_ROOT/layers/${digest#sha256:}/index.erofs" "$digest"
	mended blobs/ 0 "mended: layer $digest: its index was written anew from its tar"
	[ "$before" = "$(sha256sum < "$ORLOP_ROOT/layers/${digest#sha256:}/index.erofs")" ]
}

@test "a tree: named, extracted anew from the kept layer without a request" {
	[ "$DRIVER" = dir ] || skip "an index has no tree"
	orlop pull -q --durable "$BUSYBOX"
	settled
	digest=$(diff_id)
	refused "$ORLOP_ROOT/layers/${digest#sha256:}/fs/etc/passwd" "$digest"
	mended blobs/ 0 "mended: layer $digest: made again from its compressed layer"
}

@test "a kept compressed layer: named, fetched by itself" {
	[ "$DRIVER" = erofs ] || skip "it is what the tree was made of"
	orlop pull -q --durable --keep-blobs "$BUSYBOX"
	settled
	layer=$(manifest | jq -r '.layers[0].digest')
	harm boot "$ORLOP_ROOT"
	harm flip "$(blob_file "$layer")"
	check orlop check
	[ "$status" -eq 1 ]
	[[ "$output" == *"$layer"* ]]
	mended "blobs/$layer" 1 "mended: blob $layer: fetched again from $REGISTRY/busybox"
}

@test "a tar whose compressed layer is kept is made again from that" {
	[ "$DRIVER" = erofs ] || skip "there is no tar"
	orlop pull -q --durable --keep-blobs "$BUSYBOX"
	settled
	digest=$(diff_id)
	refused "$(blob_file "$digest")" "${digest#sha256:}"
	mended blobs/ 0 "mended: blob $digest: made again from its compressed layer"
}

@test "chains, and the manifest that index.json lists, are made anew" {
	orlop pull -q --durable "$REGISTRY/odd"
	settled
	if [ "$DRIVER" = erofs ]; then file=index.erofs; else file=fs; fi
	chains=$(ls "$ORLOP_ROOT/chains")
	[ -n "$chains" ]
	for chain in $chains; do
		[ "$DRIVER" = erofs ] && harm flip "$ORLOP_ROOT/chains/$chain/$file" || rm -r "$ORLOP_ROOT/chains/$chain/$file"
	done
	listed=$(jq -r '.manifests[0].digest' "$ORLOP_ROOT/index.json")
	harm flip "$(blob_file "$listed")"
	check orlop check --json
	[ "$status" -eq 1 ]
	[ "$(jq -r '[.faults[] | select(.kind == "chain")] | length' <<< "$output")" -eq "$(wc -w <<< "$chains")" ]
	[ "$(jq -r '.faults[] | select(.kind == "blob") | .path' <<< "$output")" = "blobs/sha256/${listed#sha256:}" ]
	before=$(requests blobs)
	check orlop check --repair --plain-http
	[ "$status" -eq 0 ]
	for chain in $chains; do [[ "$output" == *"mended: chain sha256:$chain: completed anew"* ]]; done
	[[ "$output" == *"mended: blob $listed: "* ]]
	[ "$(requests blobs)" -eq "$before" ]
	orlop check
	orlop run --rm "$REGISTRY/odd" true
	skopeo inspect "oci:$ORLOP_ROOT:$REGISTRY/odd:latest" > /dev/null
}

@test "what came from no registry: what to load is said, and the status is 1" {
	orlop pull -q --durable "$BUSYBOX"
	settled
	python3 - "$ORLOP_ROOT" "$TESTS/e2e/harm-store" <<-'PY'
	import sys; argv = sys.argv; sys.argv = ["harm-store", "dump", argv[1]]
	exec(open(argv[2]).read())
	db = open_db(argv[1], True)
	db.execute("UPDATE layers SET origin = ''")
	db.execute("UPDATE names SET repo = '', imported = 1")
	PY
	digest=$(diff_id)
	if [ "$DRIVER" = erofs ]; then kept=$digest; else kept=$(manifest | jq -r '.layers[0].digest'); fi
	harm flip "$(blob_file "$kept")"
	check orlop check --repair --plain-http
	[ "$status" -eq 1 ]
	[[ "$output" == *"load the archive it came from again: $BUSYBOX, layer $digest"* ]]
	[[ "$output" == *"left"* ]]
}

@test "one bit of each table's row: named, turned back, and everything reads as before" {
	orlop pull -q --durable "$REGISTRY/odd"
	orlop run --name stopped "$REGISTRY/odd" true
	orlop mount "$REGISTRY/odd" > /dev/null
	settled
	before=$(harm dump "$ORLOP_ROOT")
	for row in "store value" "blobs digest" "blobs state" "edges child" "layers tar_bytes" "layers origin" "names root" \
		"names media_type" "containers name" "containers pid" "mounts target" "uses key" "names sum" "blobs sum"; do
		# shellcheck disable=SC2086
		harm row "$ORLOP_ROOT" $row
		check orlop check
		[ "$status" -ne 0 ]
		[[ "$output" == *"row of ${row% *} for "* ]]
		check orlop check --repair
		[[ "$output" == *"mended: row of ${row% *} for "*"one bit was wrong and is right again"* ]]
		[ "$status" -eq 0 ]
		[ "$(harm dump "$ORLOP_ROOT")" = "$before" ]
	done
	orlop umount "$REGISTRY/odd"
	orlop rm stopped
}

@test "a damaged row hides no other, and lists warn of it" {
	orlop pull -q --durable "$REGISTRY/odd"
	orlop pull -q --durable "$BUSYBOX"
	harm row "$ORLOP_ROOT" names media_type
	orlop images -q > "$WORK/listed" 2> "$WORK/said"
	[ "$(wc -l < "$WORK/listed")" -eq 1 ]
	[[ "$(cat "$WORK/said")" == *"damaged rows of the database were left out; run \`orlop check --repair\`"* ]]
	orlop check --repair
	orlop images -q > "$WORK/listed" 2> "$WORK/said"
	[ "$(wc -l < "$WORK/listed")" -eq 2 ]
	[ ! -s "$WORK/said" ]
}

@test "a check that is interrupted goes on where it was, with --restart it does not" {
	orlop pull -q --durable "$BUSYBOX"
	settled
	ORLOP_FAULT=store.check.task:error:3 check orlop check
	[ "$status" -eq 1 ]
	# What was looked at before, the largest first, is not looked at again: a bit turned there since is not seen, until all begins anew.
	# shellcheck disable=SC2012
	largest=$(ls -S "$ORLOP_ROOT/blobs/sha256" | head -n 1)
	harm flip "$ORLOP_ROOT/blobs/sha256/$largest"
	orlop check
	check orlop check
	[ "$status" -eq 1 ]
	[[ "$output" == *"$largest"* ]]
	orlop check --repair --plain-http
	orlop check --restart
}

@test "rows beyond one bit are made again from the files" {
	orlop pull -q --durable "$REGISTRY/odd"
	orlop tag "$REGISTRY/odd" second:1
	orlop pull -q --durable "$BUSYBOX"
	settled
	before=$(orlop images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}' | sort)
	for table in names blobs edges layers; do
		harm ruin "$ORLOP_ROOT" "$table"
		check orlop check
		[ "$status" -eq 1 ]
		[[ "$output" == *"row of $table for "* ]]
		check orlop check --repair --plain-http
		[ "$status" -eq 0 ]
		[ "$(orlop images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}' | sort)" = "$before" ]
		orlop gc
		orlop check
		orlop run --rm "$REGISTRY/odd" true
		run_busybox
	done
}

@test "a database that is lost, or beyond reading, is made again: images, layers, names" {
	for harm in missing garbage page; do
		store "-$BATS_TEST_NUMBER-$harm"
		orlop pull -q --durable "$REGISTRY/odd"
		orlop pull -q --durable --platform linux/arm64 "$REGISTRY/multiarch"
		orlop run --name stopped "$REGISTRY/odd" true
		settled
		before=$(orlop images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}' | sort)
		case $harm in
		missing) rm "$ORLOP_ROOT"/orlop.db* ;;
		garbage) head -c 40000 /dev/urandom > "$ORLOP_ROOT/orlop.db"; rm -f "$ORLOP_ROOT"/orlop.db-* ;;
		page) harm page "$ORLOP_ROOT" blobs ;;
		esac
		check orlop check
		[ "$status" -ne 0 ]
		[[ "$output" == *"orlop check --repair"* ]]
		fetched=$(requests blobs)
		check orlop check --repair --plain-http
		[ "$status" -eq 0 ]
		[ "$(requests blobs)" -eq "$fetched" ]
		[ "$(orlop images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}' | sort)" = "$before" ]
		# Nothing that they need is taken for garbage.
		orlop gc
		orlop check
		orlop run --rm "$REGISTRY/odd" true
		# Rows that prove themselves are kept, whatever became of others.
		[ "$harm" != page ] || [ "$(orlop ps -a --format '{{.Names}}')" = stopped ]
		store_remove
	done
}

@test "index.json is written anew" {
	orlop pull -q --durable "$BUSYBOX"
	settled
	before=$(cat "$ORLOP_ROOT/index.json")
	harm flip "$ORLOP_ROOT/index.json"
	check orlop check --repair
	[ "$status" -eq 0 ]
	[[ "$output" == *"mended: index.json: written anew"* ]]
	[ "$(cat "$ORLOP_ROOT/index.json")" = "$before" ]
}

@test "what nothing needs goes" {
	orlop pull -q --durable "$BUSYBOX"
	settled
	digest=$(manifest | jq -r .config.digest)
	python3 - "$ORLOP_ROOT" "$TESTS/e2e/harm-store" <<-'PY'
	import sys; argv = sys.argv; sys.argv = ["harm-store", "dump", argv[1]]
	exec(open(argv[2]).read())
	db = open_db(argv[1], True)
	db.execute("DELETE FROM names")
	PY
	harm flip "$(blob_file "$digest")"
	check orlop check --repair
	[ "$status" -eq 0 ]
	[[ "$output" == *"mended: blob $digest: removed: nothing needs it"* ]]
}

@test "a repair that is killed is done by the next one" {
	for fault in store.rescue.made store.rescue.aside store.readopt.commit store.layer.commit store.edges.commit store.rebuilt; do
		store "-$BATS_TEST_NUMBER-$fault"
		orlop pull -q --durable "$REGISTRY/odd"
		settled
		before=$(orlop images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}' | sort)
		rm "$ORLOP_ROOT"/orlop.db*
		ORLOP_FAULT=$fault:kill check orlop check --repair --plain-http
		[ "$status" -ne 0 ]
		check orlop check --repair --plain-http
		[ "$status" -eq 0 ]
		[ "$(orlop images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}' | sort)" = "$before" ]
		orlop gc
		orlop check
		orlop run --rm "$REGISTRY/odd" true
		store_remove
	done
}

#!/usr/bin/env bats
# The way back: push, and copies between registries, layouts, archives and the store, held against skopeo.
load lib.bash

setup_file() {
	scratch_make
	command -v docker-registry >/dev/null && command -v skopeo >/dev/null || return 0
	export HOME=$WORK/home
	mkdir -p "$HOME"
	registry_start
	export FROM=$REGISTRY
	image_push busybox latest docker
	image_push odd latest zstd
	image_push multiarch latest
	second_registry
}
teardown_file() { scratch_remove; }
setup() {
	need docker-registry skopeo jq
	need_root
	store "-$BATS_TEST_NUMBER"
	unset REGISTRY_AUTH_FILE DOCKER_CONFIG DOCKER_AUTH_CONFIG
}
teardown() { fake_stop fake; store_remove; }

# Another registry, empty: TO.
second_registry() {
	local port
	port=$(free_port)
	export TO=127.0.0.1:$port
	cat > "$WORK/second.yml" <<-YML
	version: 0.1
	log: { level: info, accesslog: { disabled: false } }
	storage: { filesystem: { rootdirectory: $WORK/second }, delete: { enabled: true } }
	http: { addr: "$TO" }
	YML
	docker-registry serve "$WORK/second.yml" > "$WORK/second.log" 2>&1 3>&- &
	echo $! > "$WORK/second.pid"
	for _ in $(seq 100); do (exec 5<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return; sleep 0.1; done
	return 1
}

# What a place has: the digest of its root, and (of one manifest) its config's digest.
root_of() { skopeo inspect --tls-verify=false --raw "$1" | sha256sum | cut -d' ' -f1; }
image_id() { skopeo inspect --tls-verify=false --raw "$1" | jq -r .config.digest; }
same_root() { [ "$(root_of "$1")" = "$(root_of "$2")" ]; }
diff_ids() { skopeo inspect --tls-verify=false --config "$1" | jq -c .rootfs.diff_ids; }
# How many bytes the second registry was sent of blobs: PATCH and PUT of uploads.
uploads() { grep -cE '"PATCH /v2/'"$1"'/blobs/uploads|"PUT /v2/'"$1"'/blobs/uploads' "$WORK/second.log" || true; }

@test "a push keeps the digest: another repository, another registry, every kind of manifest" {
	for image in busybox:latest busybox:docker odd:latest odd:zstd; do
		echo "- $image"
		orlop pull -q "$FROM/$image"
		check orlop push "$FROM/$image" "$FROM/pushed/$image"
		[ "$status" -eq 0 ]
		[[ "$output" == *"The push refers to repository [$FROM/pushed/${image%:*}]"* ]]
		[[ "$output" == *": Mounted from ${image%:*}"* || "$output" == *": Layer already exists"* ]]
		[[ "$output" == *"${image#*:}: digest: sha256:$(root_of "docker://$FROM/$image") size: "* ]]
		same_root "docker://$FROM/$image" "docker://$FROM/pushed/$image"
		check orlop push "$FROM/$image" "$TO/pushed/$image"
		[ "$status" -eq 0 ]
		[[ "$output" == *": Pushed"* ]] || [ "$image" != busybox:latest ]
		same_root "docker://$FROM/$image" "docker://$TO/pushed/$image"
		# What is there is left alone.
		check orlop push "$FROM/$image" "$TO/pushed/$image"
		[[ "$output" == *": Layer already exists"* ]]
		[[ "$output" != *": Pushed"* ]]
	done
}

@test "what is pushed is what podman's tools and orlop pull again" {
	orlop pull -q "$FROM/odd"
	orlop push -q "$FROM/odd" "$TO/again:1"
	skopeo copy -q --src-tls-verify=false "docker://$TO/again:1" "oci:$WORK/again:1"
	orlop rmi "$FROM/odd" >/dev/null
	orlop gc >/dev/null
	orlop pull -q "$TO/again:1"
	orlop check
}

@test "-q, --digestfile, --progress=json, --all-tags" {
	orlop pull -q "$FROM/busybox"
	check orlop push -q --digestfile "$WORK/digest" "$FROM/busybox" "$TO/flags:a"
	[ "$status" -eq 0 ]
	[ "$output" = "$TO/flags:a" ]
	[ "$(cat "$WORK/digest")" = "sha256:$(root_of "docker://$TO/flags:a")" ]
	orlop push --progress=json "$FROM/busybox" "$TO/flags:b" > "$WORK/lines"
	jq -se '.[-1].event == "done" and .[-1].existing > 0 and .[-1].sent == 0 and .[-1].changed == false' "$WORK/lines"
	jq -se 'any(.[]; .event == "layer" and .state == "exists")' "$WORK/lines"
	for tag in x y z; do orlop tag "$FROM/busybox" "$TO/tagged:$tag"; done
	check orlop push -a "$TO/tagged"
	[ "$status" -eq 0 ]
	[ "$(skopeo list-tags --tls-verify=false "docker://$TO/tagged" | jq -c '.Tags | sort')" = '["x","y","z"]' ]
	check orlop push -a "$TO/tagged:x"
	[ "$status" -eq 1 ]
	[[ "$output" == *"tag can't be used with --all-tags/-a"* ]]
	check orlop push -a "$TO/nothing"
	[ "$status" -eq 1 ]
}

@test "of an index: one platform goes alone, all go together, a choice is a choice" {
	root=$(root_of "docker://$FROM/multiarch")
	orlop pull -q --platform linux/arm64 "$FROM/multiarch"
	check orlop push "$FROM/multiarch" "$TO/multi:one"
	[ "$status" -eq 0 ]
	[[ "$output" == *"only one is in the store"* ]]
	[ "$(skopeo inspect --tls-verify=false --override-arch arm64 "docker://$TO/multi:one" | jq -r .Architecture)" = arm64 ]
	[ "$(root_of "docker://$TO/multi:one")" != "$root" ]
	orlop pull -q --all-platforms "$FROM/multiarch"
	orlop push "$FROM/multiarch" "$TO/multi:all"
	[ "$(root_of "docker://$TO/multi:all")" = "$root" ]
	orlop push --platform linux/amd64 "$FROM/multiarch" "$TO/multi:amd64"
	[ "$(skopeo inspect --tls-verify=false "docker://$TO/multi:amd64" | jq -r .Architecture)" = amd64 ]
	check orlop push --platform linux/s390x "$FROM/multiarch" "$TO/multi:none"
	[ "$status" -eq 1 ]
}

# An image whose registry is gone.
orphan() {
	play_own 'layer etc/a 3000 1 bin/b 200000 2\nlayer usr/x 70000 3\n'
	orlop pull -q "$FAKE/app"
	orlop tag "$FAKE/app" "$TO/orphan:1"
	fake_stop fake
}
play_own() {
	local REPO=$WORK
	mkdir -p "$WORK/fixtures/registry"
	printf "$1" > "$WORK/fixtures/registry/own.txt"
	fake_start fake own
}

@test "a layer whose bytes are gone: refused with a hint, made anew where that is wanted, always the same" {
	[ "${ORLOP_DRIVER:-}" != dir ] || skip "the dir driver keeps the compressed layers"
	[[ "$(orlop info --format '{{.Driver}}')" == erofs ]] || skip "the dir driver keeps the compressed layers"
	orphan
	id=$(orlop inspect --format '{{.Id}}' "$TO/orphan:1")
	check orlop push --retry 0 "$TO/orphan:1"
	[ "$status" -eq 1 ]
	[[ "$output" == *"cannot push $TO/orphan:1: layer "* ]]
	[[ "$output" == *"hint: --recompress makes it anew"* ]]
	not skopeo inspect --tls-verify=false "docker://$TO/orphan:1"
	check orlop push --retry 0 --recompress "$TO/orphan:1"
	[ "$status" -eq 0 ]
	[[ "$output" == *"1: digest: sha256:$(root_of "docker://$TO/orphan:1") size: "* ]]
	[ "$(image_id "docker://$TO/orphan:1")" = "$id" ]
	first=$(root_of "docker://$TO/orphan:1")
	orlop push -q --retry 0 --recompress "$TO/orphan:1" "$TO/orphan-again:1"
	[ "$(root_of "docker://$TO/orphan-again:1")" = "$first" ]
	# What was made is sound.
	skopeo copy -q --src-tls-verify=false "docker://$TO/orphan:1" "oci:$WORK/orphan:1"
	store -other
	orlop pull -q "$TO/orphan:1"
	[ "$(orlop inspect --format '{{.Id}}' "$TO/orphan:1")" = "$id" ]
	orlop check
}

@test "credentials: none, wrong, right; nobody else sees them" {
	need htpasswd
	play_own 'layer etc/a 3000 1\nauth basic ann s3cret\n'
	orlop pull -q "$FROM/busybox"
	check orlop push "$FROM/busybox" "$FAKE/private"
	[ "$status" -eq 1 ]
	[[ "$output" == *"push access denied for private"* || "$output" == *"denied"* ]]
	[[ "$output" == *"hint: orlop login $FAKE"* ]]
	check orlop push --creds ann:wrong "$FROM/busybox" "$FAKE/private"
	[ "$status" -eq 1 ]
	not grep -q s3cret <<< "$output"
	ORLOP_TRACE=all orlop push --creds ann:s3cret "$FROM/busybox" "$FAKE/private" > "$WORK/trace" 2>&1
	not grep -q s3cret "$WORK/trace"
	same_private=$(curl -s -u ann:s3cret "http://$FAKE/v2/private/manifests/latest" | sha256sum | cut -d' ' -f1)
	[ "$same_private" = "$(root_of "docker://$FROM/busybox")" ]
	# The source's registry was asked without them.
	not grep -q 'auth=basic' <(grep -v '^main' "$WORK/fake.log")
}

@test "a real registry with htpasswd" {
	need htpasswd
	htpasswd -Bbn ann s3cret > "$WORK/htpasswd"
	(
		export WORK=$WORK/locked
		mkdir -p "$WORK"
		registry_start "auth: { htpasswd: { realm: orlop, path: $(dirname "$WORK")/htpasswd } }"
		cp "$WORK/registry.pid" "$(dirname "$WORK")/locked.pid"
		echo "$REGISTRY" > "$(dirname "$WORK")/locked.address"
	)
	LOCKED=$(cat "$WORK/locked.address")
	orlop pull -q "$FROM/odd"
	check orlop push "$FROM/odd" "$LOCKED/odd"
	[ "$status" -eq 1 ]
	export DOCKER_CONFIG=$WORK/docker-$BATS_TEST_NUMBER
	echo s3cret | orlop login -u ann --password-stdin "$LOCKED"
	orlop push -q "$FROM/odd" "$LOCKED/odd"
	orlop copy -q "docker://$LOCKED/odd" "docker://$LOCKED/deeper/odd:2"
	orlop logout "$LOCKED"
	check orlop copy -q "docker://$LOCKED/odd" "oci:$WORK/stolen:1"
	[ "$status" -eq 1 ]
	orlop copy -q --src-creds ann:s3cret "docker://$LOCKED/deeper/odd:2" "oci:$WORK/mine:1"
	same_root "docker://$FROM/odd" "oci:$WORK/mine:1"
	orlop copy -q --dest-creds ann:s3cret "oci:$WORK/mine:1" "docker://$LOCKED/odd:3"
}

@test "a push that was killed is pushed again, and sends only what is missing" {
	printf 'layer a/a 3000 1\nlayer a/b 3000000 2\nlayer a/c 3000000 3\non POST * no-mount\non PUT /v2/to/blobs/* skip=2 hold 5\n' > "$WORK/kill.txt"
	play_own "$(sed 's/$/\\n/' "$WORK/kill.txt" | tr -d '\n')"
	orlop pull -q --keep-blobs "$FAKE/app"
	"$ORLOP" push -q "$FAKE/app" "$FAKE/to:1" 3>&- &
	pid=$!
	for _ in $(seq 100); do
		[ "$(grep -c 'PUT /v2/to/blobs.*status=201' "$WORK/fake.log")" -lt 2 ] || break
		sleep 0.05
	done
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	not grep -q 'PUT /v2/to/manifests' "$WORK/fake.log"
	sleep 6 # what was held is done, and may arrive yet
	before=$(grep -c 'PUT /v2/to/blobs.*status=201' "$WORK/fake.log")
	[ "$before" -ge 2 ]
	orlop push -q "$FAKE/app" "$FAKE/to:1"
	[ "$(grep -c 'PUT /v2/to/blobs.*status=201' "$WORK/fake.log")" -le 4 ]
	[ "$(curl -s "http://$FAKE/v2/to/manifests/1" | sha256sum | cut -d' ' -f1)" = "$(awk '$1 == "manifest" { print substr($2, 8) }' "$WORK/fake.said")" ]
	orlop check
}

@test "registry to registry: nothing moves within one, bytes pass through between two, the store stays empty" {
	orlop copy -q "docker://$FROM/multiarch" "docker://$TO/through/multiarch:1"
	same_root "docker://$FROM/multiarch" "docker://$TO/through/multiarch:1"
	before=$(uploads within)
	check orlop copy "docker://$TO/through/multiarch:1" "docker://$TO/within/multiarch:1"
	[ "$status" -eq 0 ]
	[[ "$output" == *"Mounted from through/multiarch"* ]]
	[ "$(uploads within)" -eq "$before" ]
	same_root "docker://$FROM/multiarch" "docker://$TO/within/multiarch:1"
	orlop copy -q --platform linux/arm64 "docker://$FROM/multiarch" "docker://$TO/through/arm:1"
	[ "$(skopeo inspect --tls-verify=false --override-arch arm64 "docker://$TO/through/arm:1" | jq -r .Architecture)" = arm64 ]
	[ -z "$(orlop images -q)" ]
	[ -z "$(ls "$ORLOP_ROOT/ingest")" ]
	[ -z "$(find "$ORLOP_ROOT/blobs" -type f)" ]
}

@test "every format there and back: the same digests as skopeo's" {
	for image in busybox odd multiarch; do
		echo "- $image"
		from=docker://$FROM/$image
		orlop copy -q "$from" "oci:$WORK/l/$image:v1"
		same_root "$from" "oci:$WORK/l/$image:v1"
		orlop copy -q "oci:$WORK/l/$image:v1" "oci-archive:$WORK/$image.tar:v2"
		same_root "$from" "oci-archive:$WORK/$image.tar:v2"
		orlop copy -q "oci-archive:$WORK/$image.tar:v2" "docker://$TO/back/$image:1"
		same_root "$from" "docker://$TO/back/$image:1"
		# What skopeo made.
		skopeo copy -q --all --src-tls-verify=false "$from" "oci:$WORK/s-$image:v1"
		skopeo copy -q --all --src-tls-verify=false "$from" "oci-archive:$WORK/s-$image.tar:v1"
		orlop copy -q "oci:$WORK/s-$image:v1" "docker://$TO/skopeo/$image:1"
		same_root "$from" "docker://$TO/skopeo/$image:1"
		orlop copy -q "oci-archive:$WORK/s-$image.tar:v1" "oci:$WORK/t/$image:v1"
		same_root "$from" "oci:$WORK/t/$image:v1"
		# Into the store, and out of it.
		orlop copy -q "oci:$WORK/s-$image:v1" "stored-$image:1"
		orlop copy -q "stored-$image:1" "docker://$TO/stored/$image:1"
		same_root "$from" "docker://$TO/stored/$image:1"
	done
	orlop check
}

@test "a layout may hold several images; a name means one of them" {
	orlop copy -q "docker://$FROM/busybox" "oci:$WORK/several:a"
	orlop copy -q "docker://$FROM/odd" "oci:$WORK/several:b"
	same_root "docker://$FROM/busybox" "oci:$WORK/several:a"
	same_root "docker://$FROM/odd" "oci:$WORK/several:b"
	check orlop copy "oci:$WORK/several" "docker://$TO/several:1"
	[ "$status" -eq 1 ]
	[[ "$output" == *"has several images"* && "$output" == *"it has a, b"* ]]
	check orlop copy "oci:$WORK/several:c" "docker://$TO/several:1"
	[ "$status" -eq 1 ]
	[[ "$output" == *"has no such image"* ]]
	orlop copy -q "docker://$FROM/odd" "oci:$WORK/several:a"
	same_root "docker://$FROM/odd" "oci:$WORK/several:a"
	[ "$(jq '.manifests | length' "$WORK/several/index.json")" -eq 2 ]
}

@test "docker-archive: image ID and DiffIDs, and compressed layers in a registry" {
	from=docker://$FROM/odd
	orlop copy -q "$from" "docker-archive:$WORK/d.tar:name/odd:1"
	[ "$(image_id "docker-archive:$WORK/d.tar")" = "$(image_id "$from")" ]
	[ "$(diff_ids "docker-archive:$WORK/d.tar")" = "$(diff_ids "$from")" ]
	[ "$(tar xOf "$WORK/d.tar" manifest.json | jq -r '.[0].RepoTags[0]')" = name/odd:1 ]
	[ -z "$(orlop images -q)" ]
	skopeo copy -q --src-tls-verify=false "$from" "docker-archive:$WORK/sd.tar:name/odd:2"
	for archive in d sd; do
		check orlop copy "docker-archive:$WORK/$archive.tar" "docker://$TO/archive/$archive:1"
		[ "$status" -eq 0 ]
		[[ "$output" == *"sha256:$(root_of "docker://$TO/archive/$archive:1")"* ]]
		[ "$(image_id "docker://$TO/archive/$archive:1")" = "$(image_id "$from")" ]
		skopeo inspect --tls-verify=false --raw "docker://$TO/archive/$archive:1" |
			jq -e 'all(.layers[]; .mediaType | endswith("tar+gzip"))'
		skopeo copy -q --src-tls-verify=false "docker://$TO/archive/$archive:1" "oci:$WORK/unpacked-$archive:1"
	done
	# The same tars give the same bytes.
	same_root "docker://$TO/archive/d:1" "docker://$TO/archive/sd:1"
	orlop copy -q "docker-archive:$WORK/sd.tar" "from-archive:1"
	[ "$(orlop images --format '{{.Repository}}:{{.Tag}}')" = from-archive:1 ]
}

@test "a layout with one bit wrong goes nowhere" {
	skopeo copy -q --src-tls-verify=false "docker://$FROM/busybox" "oci:$WORK/wrong:1"
	layer=$(skopeo inspect --raw "oci:$WORK/wrong:1" | jq -r '.layers[0].digest')
	file=$WORK/wrong/blobs/sha256/${layer#*:}
	printf X | dd of="$file" bs=1 seek=1000 conv=notrunc status=none
	for target in "docker://$TO/wrong:1" "oci:$WORK/wrong-copy:1" "oci-archive:$WORK/wrong.tar:1"; do
		check orlop copy "oci:$WORK/wrong:1" "$target"
		[ "$status" -eq 1 ]
		[[ "$output" == *"layer ${layer:7:12}"* ]]
	done
	not skopeo inspect --tls-verify=false "docker://$TO/wrong:1"
	[ ! -e "$WORK/wrong.tar" ]
	rm "$file"
	check orlop copy "oci:$WORK/wrong:1" "docker://$TO/wrong:1"
	[ "$status" -eq 1 ]
}

@test "names that mean nothing are refused before anything is done" {
	for words in "busybox: docker://$TO/x" "dir:/tmp/x docker://$TO/x" "docker-daemon:x:1 docker://$TO/x" "oci: docker://$TO/x" \
		"oci:/tmp/x: docker://$TO/x" "docker:// docker://$TO/x" "docker://UPPER docker://$TO/x" "nosuch docker://$TO/x"; do
		# shellcheck disable=SC2086 # two words
		check orlop copy $words
		[ "$status" -eq 1 ]
		[[ "${lines[0]}" == "orlop: "* ]]
		[ "${#lines[@]}" -le 2 ]
	done
	check orlop push nosuch "$TO/x"
	[[ "$output" == *"cannot push nosuch: No such image: nosuch"* ]]
}

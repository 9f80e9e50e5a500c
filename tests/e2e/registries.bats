#!/usr/bin/env bats
# Registries of every temper: pulls succeed where they can, and refuse in one clear line where they must. The scenarios are
# fixtures/registry/*.txt, played by tests/fake_registry.
load lib.bash

setup_file() {
	scratch_make
	tools_are_there || return 0
	certificates
	export HOME=$WORK/home
	mkdir -p "$HOME"
}
teardown_file() { scratch_remove; }
tools_are_there() { command -v python3 >/dev/null && command -v openssl >/dev/null; }
setup() {
	need python3 openssl jq
	need_root # a store without root has no erofs; the registry's side needs none
	store "-$BATS_TEST_NUMBER"
	unset REGISTRY_AUTH_FILE DOCKER_CONFIG DOCKER_AUTH_CONFIG
}
teardown() { fake_stop fake; store_remove; }

# play SCENARIO [ARG...]: the registry of this test; IMAGE is what it has.
play() { fake_stop fake; fake_start fake "$@"; IMAGE=$FAKE/app; }

pulls() {
	check orlop pull -q "$@" "$IMAGE"
	[ "$status" -eq 0 ]
	[ "$output" = "$IMAGE:latest" ]
	orlop check
}

# refuses WORDS [FLAG...]: exit status 1, one line with the words, perhaps a hint, nothing kept.
refuses() {
	local words=$1
	shift
	check timeout 60 "$ORLOP" pull --progress=none "$@" "$IMAGE"
	[ "$status" -eq 1 ]
	[[ "${lines[0]}" == "orlop: cannot pull $IMAGE"*"$words"* ]]
	[ "${#lines[@]}" -le 2 ]
	[ "${#lines[@]}" -eq 1 ] || [[ "${lines[1]}" == *"hint: "* ]]
	[ -z "$(orlop images -q)" ]
	orlop check
}

@test "well-behaved, and with bodies that are cut, ranges that are ignored, addresses that expire" {
	for scenario in plain cut cut-no-range redirect-expiring unsatisfied head-refused no-digest wrong-type; do
		echo "- $scenario"
		play $scenario
		pulls
		orlop rmi "$IMAGE" >/dev/null
		orlop gc >/dev/null
	done
}

@test "bodies cut after a random number of bytes, four times over" {
	for _ in 1 2 3 4; do
		play cut
		pulls
		grep -q 'range=bytes=' "$WORK/fake.log"
		orlop rmi "$IMAGE" >/dev/null
	done
}

@test "what was cut goes on where it stopped" {
	play cut
	pulls
	# No byte of a blob was asked for twice: a request begins where the one before it ended.
	python3 - "$WORK/fake.log" <<-'PY'
	import re, sys
	at = {}
	for line in open(sys.argv[1]):
	    m = re.match(r"\S+ GET \S+/blobs/(\S+) range=(\S+) status=\d+ bytes=(\d+)", line)
	    if m:
	        first = re.match(r"bytes=(\d+)", m[2])
	        first = int(first[1]) if first else 0
	        assert first == at.get(m[1], 0), line
	        at[m[1]] = first + int(m[3])
	assert at
	PY
}

@test "429 and 503 with Retry-After are waited for" {
	for scenario in throttle throttle-date burst; do
		echo "- $scenario"
		play $scenario
		pulls
		orlop rmi "$IMAGE" >/dev/null
	done
	play throttle
	began=$SECONDS
	pulls
	[ $((SECONDS - began)) -ge 2 ]
}

@test "token servers: anonymous, GET, POST, tokens that do not last" {
	for scenario in bearer-anonymous bearer-narrow bearer-worn bearer-short bearer-post bearer; do
		echo "- $scenario"
		play $scenario
		case $scenario in
		bearer | bearer-post) pulls --creds ann:s3cret ;;
		*) pulls ;;
		esac
		orlop rmi "$IMAGE" >/dev/null
	done
}

@test "TLS: a CA of one's own, none, and a client's certificate" {
	play plain --tls "$WORK/tls/server.crt" "$WORK/tls/server.key"
	refuses certificate --retry 0
	pulls --tls-verify=false
	orlop rmi "$IMAGE"
	pulls --cert-dir "$WORK/tls/certs.d"
	orlop rmi "$IMAGE"
	play plain --tls "$WORK/tls/server.crt" "$WORK/tls/server.key" --client-ca "$WORK/tls/ca.crt"
	refuses "" --cert-dir "$WORK/tls/certs.d" --retry 0
	cp "$WORK/tls/client.crt" "$WORK/tls/certs.d/client.cert"
	cp "$WORK/tls/client.key" "$WORK/tls/certs.d/client.key"
	pulls --cert-dir "$WORK/tls/certs.d"
}

@test "TLS and Basic: refused without, let in with credentials of each kind" {
	rm -f "$WORK"/tls/certs.d/client.*
	play basic --tls "$WORK/tls/server.crt" "$WORK/tls/server.key"
	refuses "" --cert-dir "$WORK/tls/certs.d" --retry 0
	[[ "$output" == *login* ]]
	refuses "" --cert-dir "$WORK/tls/certs.d" --creds ann:wrong
	pulls --cert-dir "$WORK/tls/certs.d" --creds ann:s3cret:with:colons
	orlop rmi "$IMAGE"
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$FAKE" "$(printf 'ann:s3cret:with:colons' | base64)" > "$WORK/auth.json"
	pulls --cert-dir "$WORK/tls/certs.d" --authfile "$WORK/auth.json"
	orlop rmi "$IMAGE"
	REGISTRY_AUTH_FILE=$WORK/auth.json pulls --cert-dir "$WORK/tls/certs.d"
	orlop rmi "$IMAGE"
	DOCKER_AUTH_CONFIG=$(cat "$WORK/auth.json") pulls --cert-dir "$WORK/tls/certs.d"
}

@test "a wrong digest is never kept: manifest, config, layer" {
	play wrong-manifest
	refuses ""
	play wrong-digest
	refuses ""
	# One blob alone, the config or a layer.
	play plain
	for what in config layer; do
		digest=$(awk -v what=$what '$1 == what { print $2; exit }' "$WORK/fake.said")
		printf 'layer etc/a 3000 1 bin/b 200000 2\nlayer usr/x 70000 3\non GET */blobs/%s corrupt\n' "$digest" > "$WORK/one-bit.txt"
		fake_stop fake
		fake_play "$WORK/one-bit.txt"
		refuses "$digest"
	done
	[ -z "$(find "$ORLOP_ROOT/blobs" -name "${digest#*:}")" ]
}
# A scenario that is not among the fixtures.
fake_play() {
	local REPO=$WORK
	mkdir -p "$WORK/fixtures/registry"
	cp "$1" "$WORK/fixtures/registry/own.txt"
	fake_start fake own
	IMAGE=$FAKE/app
}

@test "what cannot be pulled is refused in one line" {
	for scenario in denied schema1 huge-manifest huge-headers not-a-registry larger-blob larger-blob-said redirect-nowhere redirect-for-ever; do
		echo "- $scenario"
		play $scenario
		refuses ""
	done
	play denied
	refuses "away"
	[[ "$output" != *$'\e'* ]]
	play schema1
	refuses "schema 1"
}

@test "what fails for ever is given up after --retry" {
	for scenario in down throttle-ever throttle-long cut-at-once; do
		echo "- $scenario"
		play $scenario
		refuses "" --retry 1
	done
	play throttle-ever
	refuses "rate limit" --retry 0
	play down
	refuses "disk on fire" --retry 0
}

@test "a registry that is not there, and one that speaks TLS where none is expected" {
	IMAGE=127.0.0.1:1/app
	refuses "" --retry 0
	play plain --tls "$WORK/tls/server.crt" "$WORK/tls/server.key"
	refuses "" --plain-http --retry 0
}

@test "login keeps credentials as docker does, logout forgets them" {
	play basic
	export DOCKER_CONFIG=$WORK/docker-$BATS_TEST_NUMBER
	mkdir -p "$DOCKER_CONFIG"
	echo '{"psFormat":"table","auths":{"other.example":{"auth":"eDp5"}},"unknown":{"kept":[1,2]}}' > "$DOCKER_CONFIG/config.json"
	check bash -c 'printf %s wrong | "$ORLOP" login -u ann --password-stdin "$0"' "$FAKE"
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -le 2 ]
	[ "$(jq -r ".auths | keys | length" "$DOCKER_CONFIG/config.json")" -eq 1 ]
	check bash -c 'echo s3cret:with:colons | "$ORLOP" login -u ann --password-stdin "$0"' "$FAKE"
	[ "$status" -eq 0 ]
	[[ "$output" == *"Login Succeeded"* ]]
	[ "$(stat -c %a "$DOCKER_CONFIG/config.json")" = 600 ]
	jq -e --arg host "$FAKE" '.psFormat == "table" and .unknown.kept == [1,2] and .auths["other.example"].auth == "eDp5"
		and (.auths[$host].auth | @base64d) == "ann:s3cret:with:colons"' "$DOCKER_CONFIG/config.json"
	pulls
	check orlop logout "$FAKE"
	[ "$status" -eq 0 ]
	jq -e --arg host "$FAKE" '.auths | has($host) | not' "$DOCKER_CONFIG/config.json"
	jq -e '.auths["other.example"].auth == "eDp5" and .unknown.kept == [1,2]' "$DOCKER_CONFIG/config.json"
	# To an authfile, made for the purpose.
	check bash -c 'echo s3cret:with:colons | REGISTRY_AUTH_FILE=$1 "$ORLOP" login -u ann --password-stdin "$0"' "$FAKE" "$WORK/made-auth.json"
	[ "$status" -eq 0 ]
	[ "$(stat -c %a "$WORK/made-auth.json")" = 600 ]
	check orlop login --password-stdin "$FAKE"
	[ "$status" -eq 1 ]
	check bash -c '"$ORLOP" login "$0" </dev/null' "$FAKE"
	[ "$status" -eq 1 ]
}

@test "secrets are in no output, no trace and no process list" {
	local secrets=(s3cret "$(printf 'ann:s3cret:with:colons' | base64)" "$(printf 'ann:s3cret' | base64 | head -c 12)")
	play basic
	# The process list is read while the pull and its helpers run.
	export DOCKER_CONFIG=$WORK/docker-$BATS_TEST_NUMBER
	(
		printf 's3cret:with:colons' | ORLOP_TRACE=all "$ORLOP" login -u ann --password-stdin "$FAKE"
		ORLOP_TRACE=all "$ORLOP" pull "$IMAGE"
		ORLOP_TRACE=all "$ORLOP" --debug info
		"$ORLOP" rmi "$IMAGE"
		ORLOP_TRACE=all "$ORLOP" pull --creds ann:s3cret:with:colons "$IMAGE"
		ORLOP_TRACE=all "$ORLOP" pull --creds ann:s3cret:with:wrong "$FAKE/app:other"
	) > "$WORK/secret.out" 2>&1 3>&- || true
	grep -q "app:latest" "$WORK/secret.out"
	[ "$(wc -l < "$WORK/secret.out")" -gt 20 ]
	for secret in "${secrets[@]}"; do not grep -F "$secret" "$WORK/secret.out"; done
	play bearer
	ORLOP_TRACE=all "$ORLOP" pull --creds ann:s3cret "$IMAGE" > "$WORK/secret.out" 2>&1
	not grep -E 's3cret|token-[0-9]' "$WORK/secret.out"
}

@test "credentials given as a flag leave the process list" {
	fake_play <(printf 'layer etc/a 3000 1\nauth basic ann s3cret\non GET */blobs/* hold 2\n')
	"$ORLOP" pull -q --creds ann:s3cret "$IMAGE" 3>&- &
	pid=$!
	seen=
	for _ in $(seq 30); do
		sleep 0.05
		tr '\0' ' ' < "/proc/$pid/cmdline" > "$WORK/cmdline" 2>/dev/null || break
		grep -q s3cret "$WORK/cmdline" || { [ ! -s "$WORK/cmdline" ] || seen=clean; }
	done
	wait "$pid"
	[ "$seen" = clean ]
	grep -q 'auth=basic' "$WORK/fake.log"
}

@test "a real registry with TLS and htpasswd" {
	need docker-registry htpasswd skopeo
	htpasswd -Bbn ann s3cret > "$WORK/htpasswd"
	registry_start "auth: { htpasswd: { realm: orlop, path: $WORK/htpasswd } }" ", tls: { certificate: $WORK/tls/server.crt, key: $WORK/tls/server.key }"
	image_make busybox
	skopeo copy -q --dest-tls-verify=false --dest-creds ann:s3cret "oci:$WORK/busybox:latest" "docker://$REGISTRY/busybox:latest"
	IMAGE=$REGISTRY/busybox
	refuses "" --cert-dir "$WORK/tls/certs.d" --retry 0
	export DOCKER_CONFIG=$WORK/docker-$BATS_TEST_NUMBER
	echo s3cret | orlop login -u ann --password-stdin --cert-dir "$WORK/tls/certs.d" "$REGISTRY"
	pulls --cert-dir "$WORK/tls/certs.d"
	orlop logout "$REGISTRY"
	orlop rmi "$IMAGE"
	refuses "" --cert-dir "$WORK/tls/certs.d" --retry 0
}

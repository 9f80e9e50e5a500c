#!/usr/bin/env bats
# Configuration that others already have: hosts.toml, registries.conf, short names, proxies, credential helpers. The registry
# itself is Debian's docker-registry; mirrors are another one, tests/fake_registry, or nobody at all.
load lib.bash

setup_file() {
	scratch_make
	tools_are_there || return 0
	certificates
	export HOME=$WORK/home
	mkdir -p "$HOME"
	registry_start
	image_push busybox latest
}
teardown_file() { scratch_remove; }
tools_are_there() { command -v python3 >/dev/null && command -v openssl >/dev/null && command -v docker-registry >/dev/null && command -v skopeo >/dev/null; }
setup() {
	need python3 openssl jq docker-registry skopeo
	need_root
	store "-$BATS_TEST_NUMBER"
	unset REGISTRY_AUTH_FILE DOCKER_CONFIG DOCKER_AUTH_CONFIG http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY
	# What this machine has configured is not what is tested.
	export ORLOP_HOSTS_DIR=$WORK/hosts-$BATS_TEST_NUMBER CONTAINERS_REGISTRIES_CONF=$WORK/registries-$BATS_TEST_NUMBER.conf
	export CONTAINERS_REGISTRIES_CONF_DIR=$WORK/none
	mkdir -p "$ORLOP_HOSTS_DIR"
	: > "$CONTAINERS_REGISTRIES_CONF"
}
teardown() {
	local name
	for name in fake good lying proxy dead; do fake_stop $name; done
	store_remove
}

# hosts NAME: the hosts.toml of a registry, from stdin.
hosts() { mkdir -p "$ORLOP_HOSTS_DIR/$1"; cat > "$ORLOP_HOSTS_DIR/$1/hosts.toml"; }
conf() { cat > "$CONTAINERS_REGISTRIES_CONF"; }

# dead_start: a port (in DEAD) that takes connections and drops them at once; each is a line in $WORK/dead.log.
dead_start() {
	: > "$WORK/dead.log"
	rm -f "$WORK/dead.said"
	python3 - "$WORK/dead.log" > "$WORK/dead.said" 3>&- <<-'PY' &
	import socket, struct, sys
	server = socket.create_server(("127.0.0.1", 0))
	print(f"127.0.0.1:{server.getsockname()[1]}", flush=True)
	while True:
	    peer, _ = server.accept()
	    with open(sys.argv[1], "a") as log:
	        log.write("connection\n")
	    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
	    peer.close()
	PY
	echo $! > "$WORK/dead.pid"
	for _ in $(seq 100); do [ -s "$WORK/dead.said" ] && break; sleep 0.05; done
	DEAD=$(cat "$WORK/dead.said")
}

# proxy_start NAME=ADDRESS...: sets PROXY; logs to $WORK/proxy.log.
proxy_start() {
	rm -f "$WORK/proxy.log" "$WORK/proxy.said"
	[ -e "$WORK/proxy.in" ] || mkfifo "$WORK/proxy.in"
	sleep 1000 > "$WORK/proxy.in" 3>&- &
	echo $! > "$WORK/proxy.pid"
	"$TESTS/proxy" "$WORK/proxy.log" "$@" < "$WORK/proxy.in" > "$WORK/proxy.said" 3>&- &
	for _ in $(seq 100); do [ -s "$WORK/proxy.said" ] && break; sleep 0.05; done
	PROXY=http://$(cat "$WORK/proxy.said")
}

# A registry of the layout on the fake one, by a scenario's text on stdin: layout_play NAME.
layout_play() {
	mkdir -p "$WORK/fixtures/registry"
	cat > "$WORK/fixtures/registry/$1.txt"
	fake_stop "$1"
	REPO=$WORK fake_start "$1" "$1" --layout "$WORK/busybox"
}

@test "mirrors that are dead, that lie, that lag and that work, before a registry that is real" {
	image_make busybox
	dead_start
	layout_play lying <<< 'on GET /v2/*/blobs/* corrupt'
	lying=$FAKE
	hosts "$REGISTRY" <<-TOML
	[host."http://$DEAD"]
	[host."http://$lying"]
	TOML
	# The fake one knows the repository by the name "app" only.
	skopeo copy -q --all --preserve-digests --dest-tls-verify=false "oci:$WORK/busybox:latest" "docker://$REGISTRY/app:latest"
	check orlop pull --progress=plain "$REGISTRY/app"
	[ "$status" -eq 0 ]
	[[ "$output" == *"$DEAD does not answer and is not asked any more"* ]]
	[[ "$output" == *"$lying sends what was not asked for and is not asked any more"* ]]
	# Once for TLS or not, and never again: not once a blob.
	[ "$(wc -l < "$WORK/dead.log")" -eq 1 ]
	orlop check
	orlop rmi "$REGISTRY/app"
	orlop gc > /dev/null

	# One that lags: the tag is taken from it, what it lacks from the registry.
	layout_play lying <<< 'on GET /v2/app/blobs/* status 404'
	hosts "$REGISTRY" <<-TOML
	[host."http://$FAKE"]
	TOML
	check orlop pull --progress=plain "$REGISTRY/app"
	[ "$status" -eq 0 ]
	[[ "$output" != *"not asked any more"* ]]
	grep -q "manifests/latest .*status=200" "$WORK/lying.log"
	grep -q "blobs/.*status=404 .*ns=$REGISTRY" "$WORK/lying.log"
	orlop check
	orlop rmi "$REGISTRY/app"
	orlop gc > /dev/null

	# One that works is all that is asked.
	layout_play good < /dev/null
	hosts "$REGISTRY" <<-TOML
	server = "http://$DEAD"
	[host."http://$FAKE"]
	TOML
	: > "$WORK/dead.log"
	check orlop pull -q "$REGISTRY/app"
	[ "$output" = "$REGISTRY/app:latest" ]
	[ ! -s "$WORK/dead.log" ]
	orlop check
}

@test "all fail: one line names each endpoint and why" {
	dead_start
	layout_play good < /dev/null
	hosts "$REGISTRY" <<-TOML
	[host."http://$DEAD"]
	[host."http://$FAKE"]
	TOML
	check orlop pull --progress=none --retry 0 "$REGISTRY/nothing/here:1"
	[ "$status" -eq 1 ]
	mapfile -t errors < <(grep '^orlop: ' <<< "$output")
	[ "${#errors[@]}" -eq 1 ]
	for host in "$DEAD" "$FAKE" "$REGISTRY"; do [[ "${errors[0]}" == *"$host: "* ]]; done
	[[ "${errors[0]}" == *"not found"* ]]
}

@test "registries.conf: rewritten, mirrored, by digest only, blocked" {
	layout_play good < /dev/null
	conf <<-TOML
	[[registry]]
	prefix = "example.test/team"
	location = "$REGISTRY"
	mirror-by-digest-only = true
	[[registry.mirror]]
	location = "$FAKE"
	[[registry]]
	location = "blocked.test"
	blocked = true
	TOML
	skopeo copy -q --all --preserve-digests --dest-tls-verify=false "oci:$WORK/busybox:latest" "docker://$REGISTRY/app:latest"
	check orlop pull -q example.test/team/app
	[ "$output" = "example.test/team/app:latest" ]
	[ ! -s "$WORK/good.log" ] # a tag is the registry's own
	digest=$(orlop inspect --format '{{index .RepoDigests 0}}' example.test/team/app)
	orlop rmi example.test/team/app
	orlop gc > /dev/null
	orlop pull -q "$digest"
	grep -q "manifests/sha256" "$WORK/good.log"
	not grep -q "ns=" "$WORK/good.log"

	check orlop pull blocked.test/app
	[ "$status" -ne 0 ]
	[[ "$output" == *"registry blocked.test is blocked in $CONTAINERS_REGISTRIES_CONF, line 7"* ]]

	# hosts.toml decides alone, and what is wrong in either is said with its line.
	hosts example.test <<-TOML
	server = "http://$FAKE"
	TOML
	check orlop pull -q example.test/app
	[ "$output" = "example.test/app:latest" ]
	echo 'server = 5' | hosts example.test
	check orlop pull --progress=none example.test/app
	[[ "${lines[0]}" == *"$ORLOP_HOSTS_DIR/example.test/hosts.toml: line 1: server is an integer"* ]]
	printf '[registries.search]\nregistries = []\n' | conf
	check orlop pull --progress=none other.test/app
	[[ "${lines[0]}" == *"$CONTAINERS_REGISTRIES_CONF: line 1: this is the version 1 format"* ]]
	[[ "${lines[1]}" == *"hint: "*"containers-registries.conf"* ]]
}

@test "short names: aliases, and search where it is asked for" {
	layout_play good < /dev/null
	conf <<-TOML
	unqualified-search-registries = ["$REGISTRY/nowhere", "$FAKE", "$REGISTRY"]
	[aliases]
	"box" = "$REGISTRY/busybox"
	TOML
	check orlop pull -q box
	[ "$output" = "$REGISTRY/busybox:latest" ]
	orlop inspect box > /dev/null # by the name it was pulled by
	check orlop pull -q --short-names=search app
	[ "$output" = "$FAKE/app:latest" ]
	check orlop pull --short-names=search not/here
	[ "$status" -ne 0 ]
	[[ "${lines[*]}" == *"$REGISTRY/nowhere/not/here"*"$FAKE/not/here"*"$REGISTRY/not/here"* ]]
	# Without it docker.io is asked, by a mirror here.
	hosts docker.io <<-TOML
	server = "http://$REGISTRY"
	TOML
	check orlop pull app
	[ "$status" -ne 0 ]
	[[ "$output" == *"app:latest not found"* ]]
	skopeo copy -q --all --preserve-digests --dest-tls-verify=false "oci:$WORK/busybox:latest" "docker://$REGISTRY/library/app:latest"
	check orlop pull -q app
	[ "$output" = "docker.io/library/app:latest" ]
}

@test "TLS: certificates from hosts.toml, a folder of certificates, insecure" {
	: > "$WORK/fixtures/registry/good.txt"
	REPO=$WORK fake_start good good --layout "$WORK/busybox" --tls "$WORK/tls/server.crt" "$WORK/tls/server.key" --client-ca "$WORK/tls/ca.crt"
	check orlop pull --retry 0 "$FAKE/app"
	[ "$status" -ne 0 ]
	cp "$WORK/tls/ca.crt" "$WORK/tls/client.crt" "$WORK/tls/client.key" "$ORLOP_HOSTS_DIR"
	hosts mirrored.test <<-TOML
	[host."https://$FAKE"]
	ca = "../ca.crt"
	client = [["../client.crt", "../client.key"]]
	TOML
	orlop pull -q mirrored.test/app
	# The pair in one file, and nothing verified.
	cat "$WORK/tls/client.crt" "$WORK/tls/client.key" > "$ORLOP_HOSTS_DIR/both.pem"
	hosts mirrored2.test <<-TOML
	server = "https://$FAKE"
	client = "$ORLOP_HOSTS_DIR/both.pem"
	skip_verify = true
	TOML
	orlop pull -q mirrored2.test/app
	# Docker's kind of folder where there is no hosts.toml.
	mkdir -p "$ORLOP_HOSTS_DIR/$FAKE"
	cp "$WORK/tls/ca.crt" "$ORLOP_HOSTS_DIR/$FAKE/ca.crt"
	cp "$WORK/tls/client.crt" "$ORLOP_HOSTS_DIR/$FAKE/client.cert"
	cp "$WORK/tls/client.key" "$ORLOP_HOSTS_DIR/$FAKE/client.key"
	orlop pull -q "$FAKE/app"
	orlop auth explain --json "$FAKE/app" | jq -e --arg dir "$ORLOP_HOSTS_DIR/$FAKE" '.References[0].Endpoints[0].TLS | .OwnCAs and .Source == $dir'
	rm -r "${ORLOP_HOSTS_DIR:?}/$FAKE"

	REPO=$WORK fake_start fake good --layout "$WORK/busybox" --tls "$WORK/tls/server.crt" "$WORK/tls/server.key"
	check orlop pull --retry 0 "$FAKE/app"
	[ "$status" -ne 0 ]
	printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$FAKE" | conf
	orlop pull -q "$FAKE/app"
	check orlop pull --retry 0 --registries-conf /dev/null "$FAKE/app"
	[ "$status" -ne 0 ]
}

@test "a mirror gets its own credentials, and never the registry's" {
	layout_play good <<-'END'
	auth basic mia mirr0r
	END
	hosts "$REGISTRY" <<-TOML
	[host."http://$FAKE"]
	[host."http://$FAKE".header]
	X-Team = "blue"
	TOML
	skopeo copy -q --all --preserve-digests --dest-tls-verify=false "oci:$WORK/busybox:latest" "docker://$REGISTRY/app:latest"
	check orlop pull --progress=plain --creds ann:s3cret "$REGISTRY/app"
	[ "$status" -eq 0 ]
	[[ "$output" == *"$FAKE does not let us in and is not asked any more"* ]]
	not grep -q "auth=basic" "$WORK/good.log"
	orlop rmi "$REGISTRY/app"
	orlop gc > /dev/null
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$FAKE" "$(printf 'mia:mirr0r' | base64)" > "$WORK/auth.json"
	check orlop pull --progress=plain --authfile "$WORK/auth.json" "$REGISTRY/app"
	[ "$status" -eq 0 ]
	[[ "$output" != *"not asked any more"* ]]
	grep -q "blobs/.*status=200.*auth=basic" "$WORK/good.log"

	check orlop auth explain --authfile "$WORK/auth.json" "$REGISTRY/app"
	[ "$status" -eq 0 ]
	[[ "$output" == *"$REGISTRY/hosts.toml"*"1. http://$FAKE/v2/app (mirror)"*"ns=$REGISTRY"*"password of mia, from $WORK/auth.json"*"X-Team"*"2. https://$REGISTRY/v2/app"*"anonymous"* ]]
	[[ "$output" != *mirr0r* && "$output" != *blue* ]]
	check orlop auth explain --json --authfile "$WORK/auth.json" "$REGISTRY/app"
	[[ "$output" != *mirr0r* && "$output" != *blue* ]]
	jq -e '.References[0].Endpoints | .[0].Credentials.User == "mia" and .[0].Mirror and (.[1].Mirror | not)' <<< "$output"
}

@test "proxies are for the registry and for its token server, and not for what no_proxy names" {
	layout_play good <<-'END'
	auth bearer ann s3cret anonymous
	on * /v2/* header WWW-Authenticate: Bearer realm="http://auth.test/token",service="fake",scope="repository:app:pull"
	END
	auth=$(sed -n 's/^auth //p' "$WORK/good.said")
	proxy_start "registry.test=$FAKE" "auth.test=$auth"
	http_proxy=$PROXY orlop pull -q --plain-http registry.test/app
	grep -q "GET registry.test:80" "$WORK/proxy.log"
	grep -q "GET auth.test:80" "$WORK/proxy.log"
	# The token server alone is excepted, and its name exists for the proxy only.
	check env "http_proxy=$PROXY" no_proxy=auth.test "$ORLOP" pull --retry 0 --plain-http registry.test/app:latest
	[ "$status" -ne 0 ]
	[[ "$output" == *auth.test* ]]
	before=$(wc -l < "$WORK/proxy.log")
	check env "http_proxy=$PROXY" NO_PROXY=.test "$ORLOP" pull --retry 0 --plain-http registry.test/app:latest
	[ "$status" -ne 0 ]
	[ "$(wc -l < "$WORK/proxy.log")" -eq "$before" ]
	https_proxy=http://ann:s3cret@proxy.test:3128 no_proxy=a,10.0.0.0/8 check orlop auth explain registry.test/app
	[[ "$output" == *"http://proxy.test:3128 (https_proxy)"* && "$output" != *s3cret* ]]
	https_proxy=$PROXY no_proxy=.test check orlop auth explain registry.test/app
	[[ "$output" == *"none (no_proxy)"* ]]
	fake_stop proxy

	# TLS goes through CONNECT; hosts.toml names a proxy, whatever the environment says.
	fake_stop good
	: > "$WORK/fixtures/registry/good.txt"
	REPO=$WORK fake_start good good --layout "$WORK/busybox" --tls "$WORK/tls/server.crt" "$WORK/tls/server.key"
	proxy_start "registry.test:443=$FAKE"
	HTTPS_PROXY=$PROXY orlop pull -q --cert-dir "$WORK/tls/certs.d" registry.test/app
	grep -q "CONNECT registry.test:443" "$WORK/proxy.log"
	hosts other.test <<-TOML
	server = "https://registry.test"
	ca = "$WORK/tls/ca.crt"
	proxy = "$PROXY"
	TOML
	: > "$WORK/proxy.log"
	no_proxy='*' orlop pull -q other.test/app
	grep -q "CONNECT registry.test:443" "$WORK/proxy.log"
}

@test "a credential helper that hangs is given up after its time" {
	mkdir -p "$WORK/bin" "$WORK/docker"
	printf '#!/bin/sh\nexec sleep 300\n' > "$WORK/bin/docker-credential-hangs"
	chmod +x "$WORK/bin/docker-credential-hangs"
	printf '{"credsStore":"hangs"}' > "$WORK/docker/config.json"
	began=$SECONDS
	DOCKER_CONFIG=$WORK/docker PATH=$WORK/bin:$PATH check orlop auth explain "$REGISTRY/busybox"
	[ "$status" -eq 0 ]
	[[ "$output" == *"docker-credential-hangs get: does not end in time: going on without its credentials"* ]]
	[ $((SECONDS - began)) -ge 29 ]
	[ $((SECONDS - began)) -lt 60 ]
}

@test "credential-helpers of registries.conf are asked before the files, or in their place" {
	mkdir -p "$WORK/bin"
	cat > "$WORK/bin/docker-credential-fixed" <<-'SH'
	#!/bin/sh
	cat > /dev/null
	echo '{"ServerURL":"x","Username":"helped","Secret":"h1dden"}'
	SH
	chmod +x "$WORK/bin/docker-credential-fixed"
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$REGISTRY" "$(printf 'filed:x' | base64)" > "$WORK/auth2.json"
	export REGISTRY_AUTH_FILE=$WORK/auth2.json PATH=$WORK/bin:$PATH
	user() { orlop auth explain --json "$REGISTRY/busybox" | jq -r '.References[0].Endpoints[0].Credentials.User'; }
	[ "$(user)" = filed ]
	echo 'credential-helpers = ["fixed"]' | conf
	[ "$(user)" = helped ]
	echo 'credential-helpers = ["containers-auth.json", "fixed"]' | conf
	[ "$(user)" = filed ]
}

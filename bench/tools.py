"""The tools that bench measures. To add one, add an entry.

  pull     from nothing to ready to be mounted: fetch, verify, unpack
  run      print a word in a throw-away container of the image that is there
  load     from a docker-archive on standard input to ready to be mounted
  daemons  (command, readiness check), started before the first measurement, counted with the command
  files    name -> text, written into {w} before the daemons start
  needs    programs without which it is left out, aloud
  version  prints versions

Placeholders: {reg} {ref} (= reg/image:tag) {image} {tag} {w} (the tool's own folder) {id} (a fresh name) {cmd} (the words to run) {orlop}.
"""

CONTAINERD_TOML = """version = 2
root = "{w}/root"
state = "{w}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{w}/sock"
"""

# A current containerd with its EROFS snapshotter, tuned for speed as its documentation allows.
CONTAINERD2_TOML = """version = 4
root = "{w}/root"
state = "{w}/state"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
[plugins."io.containerd.server.v1.grpc"]
  address = "{w}/sock"
[plugins."io.containerd.server.v1.ttrpc"]
  address = "{w}/sock.ttrpc"
[plugins."io.containerd.service.v1.diff-service"]
  default = ["erofs", "walking"]
[plugins."io.containerd.differ.v1.erofs"]
  mkfs_options = ["-T0", "--mkfs-time", "--sort=none"]
[plugins."io.containerd.transfer.v1.local"]
  max_concurrent_downloads = 4
  concurrent_layer_fetch_buffer = 8388608
  max_concurrent_unpacks = 2
  [[plugins."io.containerd.transfer.v1.local".unpack_config]]
    platform = "linux/amd64"
    snapshotter = "erofs"
    differ = "erofs"
"""

GOBIN = "${{CONTAINERD2:-$HOME/go/bin}}"
CTR = "/usr/bin/ctr -a {w}/sock "
CTR2 = GOBIN + "/ctr -a {w}/sock "
# crun refuses a host with both cgroup hierarchies: where there are both, the second is hidden from it.
ONE_CGROUP = ("unshare --mount sh -c '! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified; exec \"$@\"' sh ")
PODMAN = ("podman --root {w}/root --runroot {w}/run --storage-driver overlay --cgroup-manager=cgroupfs --events-backend=file "
          "--tmpdir {w}/libpod ")
DOCKER = "/usr/bin/docker -H unix://{w}/sock "


def orlop(driver):
    base = "ORLOP_ROOT={w}/root ORLOP_RUN={w}/run ORLOP_DRIVER=" + driver + " {orlop} "
    return dict(pull=base + "pull -q {ref}", run=base + "run --rm {ref} {cmd}", version="{orlop} version",
                load="ulimit -v 262144; " + base + "load -q")


TOOLS = {
    "orlop": orlop("erofs"),
    "orlop-dir": orlop("dir"),
    "containerd2-erofs": dict(
        files={"containerd.toml": CONTAINERD2_TOML},
        daemons=[("sh -c 'PATH=" + GOBIN + ":$PATH exec containerd -c {w}/containerd.toml'", CTR2 + "version")],
        pull=CTR2 + "images pull --plain-http --snapshotter erofs {ref}",
        run=CTR2 + "run --rm --snapshotter erofs {ref} {id} {cmd}",
        load=CTR2 + "images import --snapshotter erofs -",
        needs=[GOBIN + "/containerd", "mkfs.erofs", "runc"],
        version=GOBIN + "/containerd --version; mkfs.erofs -V 2>&1 | head -1"),
    "containerd": dict(
        files={"containerd.toml": CONTAINERD_TOML},
        # (its own shim, not one that a current containerd put on the PATH)
        daemons=[("env PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/bin/containerd -c {w}/containerd.toml", CTR + "version")],
        pull=CTR + "images pull --plain-http --snapshotter overlayfs {ref}",
        run=CTR + "run --rm --snapshotter overlayfs {ref} {id} {cmd}",
        load=CTR + "images import --snapshotter overlayfs -",
        needs=["/usr/bin/containerd", "runc"], version="/usr/bin/containerd --version"),
    "podman": dict(
        pull=PODMAN + "pull -q --tls-verify=false {ref}",
        run=ONE_CGROUP + PODMAN + "run --rm --network=none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 {ref} {cmd}",
        load=PODMAN + "load -q", needs=["podman", "crun"], version="podman --version"),
    "docker": dict(
        daemons=[("dockerd --iptables=false --ip6tables=false --bridge=none --data-root {w}/root --exec-root {w}/exec --pidfile {w}/pid "
                  "-H unix://{w}/sock --insecure-registry {reg}", DOCKER + "version")],
        pull=DOCKER + "pull -q {ref}", run=DOCKER + "run --rm --network=none {ref} {cmd}",
        load=DOCKER + "load -q", needs=["dockerd", "/usr/bin/docker"], version="dockerd --version"),
    "skopeo+umoci": dict(
        pull="skopeo copy -q --src-tls-verify=false docker://{ref} oci:{w}/layout:{tag} && umoci unpack --image {w}/layout:{tag} {w}/bundle",
        needs=["skopeo", "umoci"], version="skopeo --version; umoci --version"),
}

# ---- lazy pulls: bench/lazy.py --------------------------------------------
#   tag     which of an image's tags it takes
#   run     the container's start, from nothing, or after "pull" where there is one
#   eager   "pull" brings all of the image
#   wait    returns when all of the image is here
#   beside  whose time for all of the image it is held against: the same blobs, pulled eagerly
#   mount   shows the image at {tree}
#   record  done once for each image, without the slow link: pushes it as {ref} with what a start reads
STARGZ_TOML = CONTAINERD_TOML + """[proxy_plugins.stargz]
  type = "snapshot"
  address = "{w}/stargz.sock"
"""
ORLOP = "ORLOP_ROOT={w}/root ORLOP_RUN={w}/run ORLOP_DRIVER=erofs ORLOP_HOSTS_DIR={w}/hosts {orlop} "
# Told, as the others are, that the registry speaks plain HTTP.
PLAIN = {"hosts/{reg}/hosts.toml": 'server = "http://{reg}"\n'}


def eager(tag):
    return dict(tag=tag, files=PLAIN, eager=True, pull=ORLOP + "pull -q {ref}", run=ORLOP + "run --rm {ref} {cmd}", mount=ORLOP + "mount {ref} {{tree}}",
                umount=ORLOP + "umount {{tree}}")


def lazy(tag, beside):
    return dict(tag=tag, files=PLAIN, beside=beside, run=ORLOP + "run --lazy --rm {ref} {cmd}", wait=ORLOP + "pull -q {ref}")


def recorded(tag, beside):
    plain = "{reg}/{image}:" + tag
    return lazy(tag + "-recorded", beside) | dict(record=ORLOP + f"run --rm --lazy --no-fill --record {plain} {{{{cmd}}}} && "
                                                  + ORLOP + f"index push {plain} {{ref}}")


STARGZ = dict(
    tag="estargz",
    files={"containerd.toml": STARGZ_TOML,
           "stargz.toml": '[[resolver.host."{reg}".mirrors]]\nhost = "{reg}"\ninsecure = true\n'},
    daemons=[("${{ORLOP_BENCH_STARGZ:-containerd-stargz-grpc}} -address {w}/stargz.sock -root {w}/stargz -config {w}/stargz.toml",
              "test -S {w}/stargz.sock"),
             ("env PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/bin/containerd -c {w}/containerd.toml", CTR + "version")],
    pull="ctr-remote -a {w}/sock images rpull --plain-http {ref}",
    run=CTR + "run --rm --snapshotter stargz {ref} {id} {cmd}",
    # (ctr images mount would unpack it)
    mount="top=$(" + CTR + "snapshots --snapshotter stargz ls | awk 'NR > 1 {{ key[$1]; parent[$2] }} END {{ for (k in key) if (!(k in parent)) print k }}') && "
          + CTR + "snapshots --snapshotter stargz view bench $top >&2 && $(" + CTR + "snapshots --snapshotter stargz mounts {{tree}} bench)",
    umount="umount {{tree}}",
    needs=["${{ORLOP_BENCH_STARGZ:-containerd-stargz-grpc}}", "ctr-remote", "/usr/bin/containerd", "/usr/bin/ctr", "runc"])

LAZY = {
    "orlop": eager("latest"),
    "orlop estargz": eager("estargz"),
    "orlop zstd": eager("zstd-chunked"),
    "lazy estargz": lazy("estargz", "orlop estargz"),
    "lazy zstd-chunked": lazy("zstd-chunked", "orlop zstd"),
    "lazy zstd-old": lazy("zstd-old", "orlop zstd"),
    "lazy soci": lazy("soci", "orlop"),
    "recorded estargz": recorded("estargz", "orlop estargz"),
    "recorded zstd-chunked": recorded("zstd-chunked", "orlop zstd"),
    "recorded soci": recorded("soci", "orlop"),
    "stargz": STARGZ,
}
READ = {
    "eager": eager("estargz"),
    "complete": eager("estargz") | dict(pull=ORLOP + "pull -q --lazy {ref} && " + ORLOP + "pull -q {ref}"),
    "filling": eager("estargz") | dict(pull=ORLOP + "pull -q --lazy --no-fill {ref}"),
    "stargz": STARGZ,
}

#!/bin/sh
# compare-tree sees every kind of difference, and none where there is none.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/compare-tree.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

make_tree() {
	mkdir -p "$1/dir/sub"
	echo hello > "$1/file"
	ln "$1/file" "$1/hard"
	echo hello > "$1/other"
	ln -s file "$1/link"
	mkfifo "$1/pipe"
	printf 'x' > "$1/dir/sub/deep"
	truncate -s 1M "$1/sparse"
	echo end >> "$1/sparse"
	if setfattr -n user.empty "$1/file" 2>/dev/null; then setfattr -n user.a -v 1 "$1/dir"; fi
	find "$1" -exec touch -h -d '2025-01-02 03:04:05.678901234' {} +
}

# expect STATUS WORDS CHANGE [OPTION...]: what compare-tree says of a tree and a changed one.
expect() {
	status=$1 words=$2 change=$3
	shift 3
	rm -rf "$work/a" "$work/b"
	make_tree "$work/a"
	make_tree "$work/b"
	(cd "$work/b" && eval "$change")
	got=0
	"$here/compare-tree" "$work/a" "$work/b" "$@" > "$work/said" 2>&1 || got=$?
	if [ "$got" != "$status" ] || ! grep -q "$words" "$work/said"; then
		echo "$change: status $got, not $status; \"$words\" expected in:"
		cat "$work/said"
		failed=1
	fi
}

keep="touch -h -d '2025-01-02 03:04:05.678901234'"
printf '.\ndir\n' > "$work/dirs"

expect 0 'paths are the same' :
expect 0 'paths are the same' : --blocks
expect 1 'file: content differs at byte 4' "printf 'hellO\n' > file; $keep file"
expect 1 'file: size 6 / 7' "printf 'hello!\n' > file; $keep file"
expect 1 'other: only in A' "rm other; $keep ."
expect 1 'new: only in B' "echo > new; $keep ."
expect 1 'dir: mode 0755 / 0700' 'chmod 755 ../a/dir; chmod 700 dir'
expect 1 'file: time ' "touch -d '2025-01-02 03:04:05.678901235' file"
expect 1 'dir: time ' 'touch dir'
expect 0 'paths are the same' 'touch dir .' --ignore-dir-times-of "$work/dirs"
expect 1 'dir/sub: time ' 'touch dir/sub' --ignore-dir-times-of "$work/dirs"
expect 1 'link: points to file / other' "ln -sf other link; $keep link ."
expect 1 'pipe: fifo / file' "rm pipe; echo > pipe; $keep pipe ."
expect 1 'file: 2 links / 1' "rm hard; cp -p file hard; $keep ."
expect 1 'one file with: file hard / file other' "rm hard; mv other x; cp -p x hard; rm x; ln file other; $keep ."
expect 1 'sparse: data in 4 KiB blocks' "cp --sparse=never -p sparse x; mv x sparse; $keep sparse ." --blocks
expect 2 'is no directory' 'cd ..; rm -rf b'
if getfattr -n user.empty "$work/a/file" > /dev/null 2>&1; then
	expect 1 'file: xattr user.empty: ' 'setfattr -x user.empty file'
	expect 1 'dir: xattr user.a: 31 / 32' 'setfattr -n user.a -v 2 dir'
	expect 1 'dir: xattr user.b: none / ' 'setfattr -n user.b dir'
	expect 0 'paths are the same' 'setfattr -n user.b dir' --empty-xattrs-only-in-b
else
	echo "# skip: xattrs: no user.* on $work"
fi
if [ "$(id -u)" = 0 ]; then
	expect 1 'file: owner 0:0 / 1:2' 'chown 1:2 file'
	expect 1 'node: device 1:3 / 1:5' "mknod ../a/node c 1 3; mknod node c 1 5; $keep ../a/node node ../a ."
else
	echo "# skip: owners and devices: not root"
fi
exit $failed

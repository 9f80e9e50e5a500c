#!/usr/bin/env bats
# make install puts the program, its manual pages and completions in place.
load lib.bash

setup_file() { scratch_make; }
teardown_file() { scratch_remove; }

@test "make install fills a DESTDIR" {
	need make
	# The program under test, not another one built here and now.
	check make -s -C "$REPO" -o "$ORLOP" install PROGRAM="$ORLOP" DESTDIR="$WORK/dest" PREFIX=/usr
	[ "$status" -eq 0 ]
	cmp "$ORLOP" "$WORK/dest/usr/bin/orlop"
	[ "$(stat -c %a "$WORK/dest/usr/bin/orlop")" = 755 ]
	[ -s "$WORK/dest/usr/share/man/man1/orlop.1" ]
	[ -s "$WORK/dest/usr/share/man/man1/orlop-run.1" ]
	[ -s "$WORK/dest/usr/share/zsh/site-functions/_orlop" ]
	[ -s "$WORK/dest/usr/share/fish/vendor_completions.d/orlop.fish" ]
	bash -n "$WORK/dest/usr/share/bash-completion/completions/orlop"
	"$WORK/dest/usr/bin/orlop" version
}

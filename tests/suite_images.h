#pragma once

/* Images as recipes (tests/layer_recipe.h), and the trees they mean. */
struct image {
	const char *name;
	const char *layers[8]; /* bottom first */
	const char *tree;
};

static const struct image images[] = {
	{ "all_types_of_files",
		{ ". d 0751 1:2 1000\n"
		  "dir d 1777 0:0 1001.5\n"
		  "dir/empty f 0644 0:0 1002 -\n"
		  "dir/file f 4755 1000:1000 1003.000000001 hello\n"
		  "dir/large f 0600 0:0 1004 {a*300000}\n"
		  "dir/link l 0777 0:0 1005 ../some/where\n"
		  "dir/hard h 0644 0:0 1003 dir/file\n"
		  "dev d 0755 0:0 1006\n"
		  "dev/null c 0666 0:0 1007 1:3\n"
		  "dev/sda b 0660 0:6 1008 8:0\n"
		  "dev/pipe p 0600 0:0 1009\n"
		  "ids f 2755 70000:4000000000 1010 ids\n" },
		". d 0751 1:2 1000\n"
		"dir d 1777 0:0 1001.500000000\n"
		"dir/empty f 0644 0:0 1002 -\n"
		"dir/file f 4755 1000:1000 1003.000000001 hello\n"
		"dir/large f 0600 0:0 1004 {a*300000}\n"
		"dir/link l 0777 0:0 1005 ../some/where\n"
		"dir/hard h - - - dir/file\n"
		"dev d 0755 0:0 1006\n"
		"dev/null c 0666 0:0 1007 1:3\n"
		"dev/sda b 0660 0:6 1008 8:0\n"
		"dev/pipe p 0600 0:0 1009\n"
		"ids f 2755 70000:4000000000 1010 ids\n" },
	{ "xattrs_and_their_empty_values",
		{ ". d 0755 0:0 1 - user.root=yes\n"
		  "f f 0644 0:0 1 x user.a=1 user.empty= user.bytes=0x00ff0a\n"
		  "d d 0755 0:0 1 - trusted.t=2 user.d=3\n"
		  "ping f 0755 0:0 1 x "
		  "security.capability=0x0100000200200000000000000000000000000000\n" },
		". d 0755 0:0 1 - user.root=yes\n"
		"f f 0644 0:0 1 x user.a=1 user.bytes=0x00ff0a user.empty=\n"
		"d d 0755 0:0 1 - trusted.t=2 user.d=3\n"
		"ping f 0755 0:0 1 x "
		"security.capability=0x0100000200200000000000000000000000000000\n" },
	{ "whiteouts_hide_what_is_below_and_only_that",
		{ ". d 0755 0:0 1\n"
		  "a d 0755 0:0 1\n"
		  "a/gone f 0644 0:0 1 x\n"
		  "a/kept f 0644 0:0 1 x\n"
		  "a/tree d 0755 0:0 1\n"
		  "a/tree/deep f 0644 0:0 1 x\n"
		  "a/again f 0644 0:0 1 old\n",
			"a d 0755 0:0 2\n"
			"a/gone w 0 0:0 0\n"
			"a/tree w 0 0:0 0\n"
			"a/never-was w 0 0:0 0\n"
			"a/again w 0 0:0 0\n"
			"a/again f 0600 0:0 2 new\n" },
		". d 0755 0:0 1\n"
		"a d 0755 0:0 2\n"
		"a/kept f 0644 0:0 1 x\n"
		"a/again f 0600 0:0 2 new\n" },
	{ "a_whiteout_after_its_sibling_in_the_tar_spares_it",
		{ ". d 0755 0:0 1\n"
		  "d d 0755 0:0 1\n"
		  "d/old f 0644 0:0 1 x\n",
			"d d 0755 0:0 2\n"
			"d/new f 0600 0:0 2 new\n"
			"d w 0 0:0 0\n" },
		". d 0755 0:0 1\n"
		"d d 0755 0:0 2\n"
		"d/new f 0600 0:0 2 new\n" },
	{ "an_opaque_directory_hides_all_below_it",
		{ ". d 0755 0:0 1\n"
		  "o d 0755 0:0 1\n"
		  "o/a f 0644 0:0 1 x\n"
		  "o/sub d 0755 0:0 1\n"
		  "o/sub/b f 0644 0:0 1 x\n",
			"o d 0700 0:0 2\n"
			"o/c f 0644 0:0 2 c\n"
			"o o 0 0:0 0\n" },
		". d 0755 0:0 1\n"
		"o d 0700 0:0 2\n"
		"o/c f 0644 0:0 2 c\n" },
	{ "an_opaque_root_cuts_the_stack_but_keeps_its_attributes",
		{ ". d 0711 3:4 1\n"
		  "a f 0644 0:0 1 x\n",
			". o 0 0:0 0\n"
			"b f 0644 0:0 2 b\n",
			"c f 0644 0:0 3 c\n" },
		". d 0711 3:4 1\n"
		"b f 0644 0:0 2 b\n"
		"c f 0644 0:0 3 c\n" },
	{ "one_type_replaces_another",
		{ ". d 0755 0:0 1\n"
		  "dir-to-file d 0755 0:0 1\n"
		  "dir-to-file/in f 0644 0:0 1 x\n"
		  "dir-to-link d 0755 0:0 1\n"
		  "dir-to-link/in f 0644 0:0 1 x\n"
		  "file-to-dir f 0644 0:0 1 x\n"
		  "link-to-dir l 0777 0:0 1 file-to-dir\n"
		  "file-to-device f 0644 0:0 1 x\n",
			"dir-to-file f 0644 0:0 2 now\n"
			"dir-to-link l 0777 0:0 2 elsewhere\n"
			"file-to-dir d 0755 0:0 2\n"
			"file-to-dir/in f 0644 0:0 2 y\n"
			"link-to-dir d 0755 0:0 2\n"
			"file-to-device c 0600 0:0 2 5:1\n" },
		". d 0755 0:0 1\n"
		"dir-to-file f 0644 0:0 2 now\n"
		"dir-to-link l 0777 0:0 2 elsewhere\n"
		"file-to-dir d 0755 0:0 2\n"
		"file-to-dir/in f 0644 0:0 2 y\n"
		"link-to-dir d 0755 0:0 2\n"
		"file-to-device c 0600 0:0 2 5:1\n" },
	{ "parents_that_are_not_listed_keep_what_is_below",
		{ ". d 0755 0:0 1\n"
		  "p d 0700 7:8 1.25 - user.p=1\n"
		  "p/q d 0710 9:10 2\n"
		  "p/q/old f 0644 0:0 3 x\n",
			"p/q/new f 0644 0:0 4 y\n"
			"p/q/old w 0 0:0 0\n",
			"p/more f 0644 0:0 5 z\n" },
		". d 0755 0:0 1\n"
		"p d 0700 7:8 1.250000000 - user.p=1\n"
		"p/q d 0710 9:10 2\n"
		"p/q/new f 0644 0:0 4 y\n"
		"p/more f 0644 0:0 5 z\n" },
	{ "parents_that_nobody_lists_are_plain", { "x/y/z f 0644 0:0 4 z\n" },
		". d 0755 0:0 ?\n"
		"x d 0755 0:0 ?\n"
		"x/y d 0755 0:0 ?\n"
		"x/y/z f 0644 0:0 4 z\n" },
	{ "a_hard_link_reaches_into_a_lower_layer",
		{ ". d 0755 0:0 1\n"
		  "bin d 0755 0:0 1\n"
		  "bin/tool f 0755 0:0 7 {t*5000} user.x=1\n"
		  "bin/sym l 0777 0:0 1 tool\n",
			"bin d 0755 0:0 2\n"
			"bin/other h 0755 0:0 7 bin/tool\n"
			"bin/third h 0755 0:0 7 bin/other\n" },
		". d 0755 0:0 1\n"
		"bin d 0755 0:0 2\n"
		"bin/tool h - - - bin/other\n"
		"bin/other f 0755 0:0 7 {t*5000} user.x=1\n"
		"bin/third h - - - bin/other\n"
		"bin/sym l 0777 0:0 1 tool\n" },
	{ "sparse_files_show_their_holes_as_zeros",
		{ ". d 0755 0:0 1\n"
		  "sparse f 0644 0:0 1 @sparse\n"
		  "after f 0644 0:0 1 x\n" },
		". d 0755 0:0 1\n"
		"sparse f 0644 0:0 1 @sparse\n"
		"after f 0644 0:0 1 x\n" },
	{ "names_of_any_length",
		{ ". d 0755 0:0 1\n"
		  "{n*255} f 0644 0:0 1 x\n"
		  "{d*200} d 0755 0:0 1\n"
		  "{d*200}/{e*200} d 0755 0:0 1\n"
		  "{d*200}/{e*200}/{f*200} f 0644 0:0 1 y\n"
		  "l l 0777 0:0 1 {t*3000}\n"
		  "h h 0644 0:0 1 {d*200}/{e*200}/{f*200}\n"
		  "\xc3\xa9\x7f\\ f 0644 0:0 1 z\n" },
		". d 0755 0:0 1\n"
		"{n*255} f 0644 0:0 1 x\n"
		"{d*200} d 0755 0:0 1\n"
		"{d*200}/{e*200} d 0755 0:0 1\n"
		"{d*200}/{e*200}/{f*200} f 0644 0:0 1 y\n"
		"l l 0777 0:0 1 {t*3000}\n"
		"h h - - - {d*200}/{e*200}/{f*200}\n"
		"\xc3\xa9\x7f\\ f 0644 0:0 1 z\n" },
	{ "of_two_entries_of_one_path_the_last_wins",
		{ ". d 0755 0:0 1\n"
		  "f f 0644 0:0 1 first\n"
		  "d d 0755 0:0 1\n"
		  "d/in f 0644 0:0 1 x\n"
		  "f f 0600 0:0 2 second\n"
		  "d d 0700 0:0 2\n" },
		". d 0755 0:0 1\n"
		"f f 0600 0:0 2 second\n"
		"d d 0700 0:0 2\n"
		"d/in f 0644 0:0 1 x\n" },
	{ "an_empty_layer_changes_nothing",
		{ ". d 0755 0:0 1\n"
		  "f f 0644 0:0 1 x\n",
			"", "g f 0644 0:0 2 y\n" },
		". d 0755 0:0 1\n"
		"f f 0644 0:0 1 x\n"
		"g f 0644 0:0 2 y\n" },
	{ "no_layers_are_an_empty_root", { NULL }, ". d 0755 0:0 ?\n" },
	{ "the_topmost_root_that_is_listed_counts",
		{ ". d 0700 1:1 1 - user.r=old\n"
		  "a f 0644 0:0 1 x\n",
			". d 0711 2:2 2 - user.r=new\n", "b f 0644 0:0 3 y\n" },
		". d 0711 2:2 2 - user.r=new\n"
		"a f 0644 0:0 1 x\n"
		"b f 0644 0:0 3 y\n" },
};

/* What an ordinary user with the ids 0 to 65536 has of some of them: no device nodes, nobody above,
 * no trusted xattrs. */
static const struct {
	const char *name, *tree;
} users_trees[] = {
	{ "all_types_of_files", ". d 0751 1:2 1000\n"
				"dir d 1777 0:0 1001.500000000\n"
				"dir/empty f 0644 0:0 1002 -\n"
				"dir/file f 4755 1000:1000 1003.000000001 hello\n"
				"dir/large f 0600 0:0 1004 {a*300000}\n"
				"dir/link l 0777 0:0 1005 ../some/where\n"
				"dir/hard h - - - dir/file\n"
				"dev d 0755 0:0 1006\n"
				"dev/null f 0666 0:0 1007 -\n"
				"dev/sda f 0660 0:6 1008 -\n"
				"dev/pipe p 0600 0:0 1009\n"
				"ids f 2755 0:0 1010 ids\n" },
	{ "xattrs_and_their_empty_values",
		". d 0755 0:0 1 - user.root=yes\n"
		"f f 0644 0:0 1 x user.a=1 user.bytes=0x00ff0a user.empty=\n"
		"d d 0755 0:0 1 - user.d=3\n"
		"ping f 0755 0:0 1 x "
		"security.capability=0x0100000200200000000000000000000000000000\n" },
	{ "one_type_replaces_another", ". d 0755 0:0 1\n"
				       "dir-to-file f 0644 0:0 2 now\n"
				       "dir-to-link l 0777 0:0 2 elsewhere\n"
				       "file-to-dir d 0755 0:0 2\n"
				       "file-to-dir/in f 0644 0:0 2 y\n"
				       "link-to-dir d 0755 0:0 2\n"
				       "file-to-device f 0600 0:0 2 -\n" },
};

#include <string.h>

#include "fetch/registries_conf.h"
#include "fetch/short_name.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "alpine", "docker.io/library/alpine:3",
		"a.b.example.com:5000/team/app", "localhost/x" };
	ol_registries_conf *conf = ol_registries_conf_new();

	if (size <= (size_t)1 << 16) {
		(void)ol_registries_conf_add(conf, ol_view_from(data, size), "one", NULL);
		(void)ol_registries_conf_add(conf, ol_view_from(data, size), "two", NULL);
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		ol_name_choices choices = { 0 };
		const ol_registry_rule *rule;

		if (ol_name_resolve(conf, names[i], true, &choices, NULL) < 0)
			continue;
		if (choices.count == 0)
			__builtin_trap();
		rule = ol_registries_conf_find(conf, &choices.refs[0]);
		if (rule) {
			ol_auto_str ol_str name = OL_STR(4096);

			ol_registry_rule_rewrite(rule, rule->location, &choices.refs[0], &name);
		}
		ol_name_choices_done(&choices);
	}
	ol_registries_conf_free(conf);
	return 0;
}

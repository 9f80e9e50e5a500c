#include "image/explain.h"

#include "fetch/explain.h"
#include "image/session_priv.h"

int ol_explain(ol_session *session, const char *name, ol_json **out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *object = ol_json_object();
	ol_json *list = ol_json_array();
	ol_name_choices choices = { 0 };
	ol_registry *registry = NULL;
	int rc = ol_session_names(session, name, &choices, err);

	ol_json_set_text(object, "Name", name);
	ol_json_set(object, "References", list);
	if (rc == OL_OK) {
		ol_json_set_bool(object, "Short", choices.is_short);
		ol_json_set_text(object, "Rule", choices.rule);
		rc = ol_session_registry(session, &registry, err);
	}
	for (size_t i = 0; rc == OL_OK && i < choices.count; i++) {
		ol_json *reference = NULL;

		rc = ol_registry_explain(registry, &choices.refs[i], &reference, err);
		if (rc == OL_OK)
			ol_json_push(list, reference);
	}
	ol_name_choices_done(&choices);
	if (rc == OL_OK)
		*out = ol_steal(&object);
	return rc;
}

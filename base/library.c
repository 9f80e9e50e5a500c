#include "base/library.h"

#include <dlfcn.h>

int ol_library_load(const char *soname, const char *package, const ol_library_symbol *symbols,
	size_t count, ol_error *err)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
	const char *missing = NULL;

	for (size_t i = 0; library && i < count && !missing; i++)
		if (!dlsym(library, symbols[i].name))
			missing = symbols[i].name;
	if (!library || missing) {
		if (missing)
			(void)ol_fail(
				err, OL_EUNSUPPORTED, "%s has no function %s", soname, missing);
		else /* NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps one text a thread */
			(void)ol_fail(err, OL_EUNSUPPORTED, "cannot load %s", dlerror());
		if (library)
			(void)dlclose(library);
		return ol_hint(err, OL_EUNSUPPORTED, "install what has it: Debian's package is %s",
			package);
	}
	for (size_t i = 0; i < count; i++)
		*symbols[i].at = dlsym(library, symbols[i].name);
	return OL_OK;
}

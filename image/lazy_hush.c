#include "image/lazy_hush_priv.h"

/* Each line puts the time when all may be said again a second later, which may be so far away. */
static bool may_say(const ol_lazy_hush *hush, uint64_t now_ms)
{
	return hush->full_at <= now_ms + (uint64_t)(OL_LAZY_HUSH_BURST - 1) * OL_LAZY_HUSH_MS;
}

static uint64_t say(ol_lazy_hush *hush, uint64_t now_ms)
{
	const uint64_t left_out = hush->left_out;

	hush->full_at = (hush->full_at > now_ms ? hush->full_at : now_ms) + OL_LAZY_HUSH_MS;
	hush->left_out = 0;
	return left_out;
}

bool ol_lazy_hush_pass(ol_lazy_hush *hush, uint64_t now_ms, uint64_t *left_out)
{
	if (!may_say(hush, now_ms)) {
		hush->left_out++;
		return false;
	}
	*left_out = say(hush, now_ms);
	return true;
}

uint64_t ol_lazy_hush_rest(ol_lazy_hush *hush, uint64_t now_ms)
{
	return hush->left_out && may_say(hush, now_ms) ? say(hush, now_ms) : 0;
}

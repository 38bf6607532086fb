/*
 * The dashboard's files.
 */
#include "admin/server.h"

#include <stdlib.h>
#include <string.h>

#include "admin/assets.h"

/* Everything from here, nothing inline: what a target or a client could have
 * smuggled into a text stays text. */
static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

void
admin_handle_page(struct admin_request *request)
{
	const struct asset *asset = NULL;
	char *copy;

	for (size_t i = 0; i < assets_count; i++)
		if (strcmp(assets[i].path, request->path) == 0)
			asset = &assets[i];
	if (asset == NULL) {
		admin_answer_error(request, MHD_HTTP_NOT_FOUND, "NotFound",
		    "the dashboard has no %s", request->path);
		return;
	}
	request->policy = page_policy;
	copy = malloc(asset->n);
	if (copy != NULL)
		memcpy(copy, asset->bytes, asset->n);
	admin_answer_text(
	    request, MHD_HTTP_OK, asset->content_type, copy, asset->n);
}

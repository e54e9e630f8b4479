/* group_draft.h - groups that are still being put together: for the files of keys/ and their tests.
 *
 * A draft obeys every rule of keys/group.h but one: it may have no members yet. Only `pbft group new`, `add` and `show`
 * deal in drafts; everything else reads with group_read, which refuses them.
 */
#ifndef PBFT_KEYS_GROUP_DRAFT_H
#define PBFT_KEYS_GROUP_DRAFT_H

#include "keys/group.h"

#include <jansson.h>

/* group_read, group_parse and group_seal, with member_count 0 allowed. */
MUST_USE struct err group_draft_read(const char *path, struct group **out);
MUST_USE struct err group_draft_parse(const char *name, struct bytes text, struct group **out);
MUST_USE struct err group_draft_seal(struct group *g);
/* As group_write, for a file that must not exist yet. Errors: ERR_CONFIG when it does, ERR_IO. */
MUST_USE struct err group_draft_create(const char *path, const struct group *g);

/* The rules of a group's names: 1 to cap - 1 bytes of UTF-8 without control characters, NUL within cap bytes.
 * Errors: ERR_CONFIG; the text does not say which name. */
MUST_USE struct err group_draft_name_check(const char *text, size_t cap);

/* The group as JSON, a new reference; g has passed group_draft_seal. Without addresses it is the content of the
 * canonical form, with them that of the file. */
json_t *group_draft_json(const struct group *g, bool with_addresses);
/* The canonical form: keys sorted, no white space, no addresses. NUL-terminated, freed by the caller. */
char *group_draft_canonical(const struct group *g);

#endif

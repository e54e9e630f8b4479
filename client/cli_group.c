/* cli_group.c - members' keys from the group file, for checks of signatures. */
#include "client/cli_group.h"

#include "client/cli_common.h"

#include <stdlib.h>

struct err cli_group_open(const char *home, const char *path, struct cli_group *out)
{
    struct cli_path in_home;
    *out = (struct cli_group){.group = NULL};
    if (path == NULL) ERR_TRY(cli_home_path(home, &in_home, "group.json"));
    ERR_TRY(group_read(path != NULL ? path : in_home.text, &out->group));
    const struct group *g = out->group;
    out->keys = mem_alloc(sizeof *out->keys * g->member_count);
    for (uint32_t i = 0; i < g->member_count; i++)
        out->keys[i] = g->members[i].signing_key;
    out->wire = (struct wire_group){.id = g->id, .quorum = quorum_of(g->member_count), .members = out->keys};
    return err_none();
}

void cli_group_close(struct cli_group *g)
{
    free(g->keys);
    group_free(g->group);
    *g = (struct cli_group){.group = NULL};
}

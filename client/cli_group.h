/* cli_group.h - the group file as the commands need it that check signatures offline. */
#ifndef PBFT_CLIENT_CLI_GROUP_H
#define PBFT_CLIENT_CLI_GROUP_H

#include "keys/group.h"
#include "wire/certificate.h"

struct cli_group {
    struct group *group;
    struct public_key *keys; /* the members' */
    struct wire_group wire;
};

/* Reads the file at path; NULL: HOME/group.json. Errors as group_read. Freed by cli_group_close, after a failure too. */
MUST_USE struct err cli_group_open(const char *home, const char *path, struct cli_group *out);
void cli_group_close(struct cli_group *g);

#endif

/* key_cli.h - `pbft key` and `pbft group`: making keys, and putting a group file together.
 *
 * These verbs work on files only; none talks to a replica, none prints a secret.
 */
#ifndef PBFT_KEYS_KEY_CLI_H
#define PBFT_KEYS_KEY_CLI_H

#include <stdbool.h>

/* argv[0] is the verb ("new"); json: stdout gets JSON instead of a table. sign_start has succeeded. argv is put in
 * another order. Both return the exit code: 0, 1 no, 2 wrong words, 4 a file or key that cannot be used. */
int key_cli_main(int argc, char **argv, bool json);
int group_cli_main(int argc, char **argv, bool json);

#endif

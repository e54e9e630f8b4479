/* map_private.h - what the memory store needs of a map beyond map.h. Not for the other rooms. */
#ifndef PBFT_LEDGER_MAP_PRIVATE_H
#define PBFT_LEDGER_MAP_PRIVATE_H

#include "ledger/map.h"

/* The last item; false when the map is empty. Borrowed until the next change of the map. */
MUST_USE bool map_last(const struct map *m, struct map_item *out);

#endif

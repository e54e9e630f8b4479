/* lmdb_pages.c - walks over the pages of an LMDB 0.9 data file, with pread and never through a map.
 *
 * A page, numbers in the byte order of the machine (meta pages: lmdb_file.c):
 *
 *     offset  bytes  field
 *          0      8  page number
 *         10      2  flags: 1 branch, 2 leaf, 4 first of a run of overflow pages
 *         12      2  end of the list of nodes      } in an overflow page
 *         14      2  beginning of the nodes        } 4 bytes: pages of the run
 *         16     2n  branch, leaf: where each of n nodes begins, in the order of their keys
 *
 * Nodes stand at the end of the page, without gaps, each at an even offset:
 *
 *     offset  bytes  field
 *          0      4  leaf: bytes of the value      } branch: page number of the child,
 *          4      2  leaf: 1 the value is in a run } 6 bytes
 *                    of pages, 2 it is a table     }
 *          6      2  bytes of the key
 *          8      k  key; of the first node of a branch it means nothing
 *        8+k      v  leaf: value, or the page number (8) of its run
 *
 * A table, in the meta page (at 40 the free pages, at 88 the table of tables) or as the value of its name there:
 *
 *     offset  bytes  field
 *          4      2  flags: 8 keys are numbers (the free pages only)
 *          6      2  depth: 1 when the root is a leaf
 *          8     32  count of branch pages, leaf pages, overflow pages, items
 *         40      8  page number of the root, all bits set when the table is empty
 *
 * An item of the free pages: under the number of a transaction a count and so many page numbers, descending.
 *
 * A table is walked depth first; `seen` has a bit for each page, and a page that is reached twice is a fault, so the
 * walk ends. Keys ascend through the whole table: each is compared with the one before it, and with the key that the
 * branch above names as the lowest of the page. It does not repair, and stops at the first fault.
 */
#include "ledger/lmdb_pages.h"

#include "base/check.h"
#include "ledger/kv_store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_HEADER_BYTES 16u
#define PAGE_BRANCH 0x01u
#define PAGE_LEAF 0x02u
#define PAGE_OVERFLOW 0x04u
#define NODE_HEADER_BYTES 8u
#define NODE_RUN 0x01u
#define NODE_TABLE 0x02u
#define TABLE_BYTES 48u
#define TABLE_NUMBERED 0x08u
#define META_BYTES 152u
#define META_FREE 40u
#define META_TABLES 88u
#define META_LAST_PAGE 136u
#define META_TRANSACTION 144u
#define FIRST_PAGE 2u /* behind the meta pages */
#define NO_PAGE UINT64_MAX
#define DEPTH_MAX 32u /* LMDB's own */
#define NUMBERS_AT_ONCE 512u

enum table_kind { TABLE_OF_TABLES, TABLE_OF_ITEMS, TABLE_OF_FREE_PAGES };

struct table {
    const char *name; /* NULL: it is not there */
    enum table_kind kind;
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t items;
    uint64_t root;
};

struct node {
    uint16_t flags; /* of a leaf */
    struct bytes key;
    const uint8_t *value; /* in the page; of a run: its page number */
    uint32_t value_bytes;
    uint64_t page;   /* branch: the child; leaf: the first page of the run */
    uint32_t length; /* what it takes of the page */
};

struct frame {
    uint64_t page;
    uint32_t node_count;
    uint32_t next;
};

struct walk {
    const struct lmdb_pages *in;
    uint64_t last_page;
    uint8_t *seen;    /* a bit for each page */
    uint8_t *content; /* a page for each frame */
    struct table table_of_tables;
    struct table free_pages;
    struct table tables[KV_TABLES_MAX];
    /* of the table that is walked */
    const struct table *table;
    struct table counted;
    uint32_t levels; /* that are read */
    uint64_t left;   /* pages that may still be read */
    struct frame frames[DEPTH_MAX];
    uint32_t depth;
    bool low_known; /* the next key must be above `low`, or equal when it is that of a branch */
    bool low_inclusive;
    uint8_t low[KV_KEY_BYTES_MAX];
    size_t low_len;
};

static uint16_t u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static struct err fault(const struct walk *w, uint64_t page, const char *what)
{
    return err_make(ERR_CORRUPT, "store %s: page %" PRIu64 " (%s) is damaged: %s", w->in->dir, page, w->table->name,
                    what);
}

/* ---- pages ---- */

static struct err read_at(const struct lmdb_pages *in, uint64_t at, void *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        const ssize_t got = pread(in->fd, (uint8_t *)out + done, len - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return err_system(errno, "store %s: cannot read at byte %" PRIu64, in->dir, at);
        if (got == 0) return err_make(ERR_CORRUPT, "store %s: the data file was cut", in->dir);
        done += (size_t)got;
    }
    return err_none();
}

static bool in_file(const struct walk *w, uint64_t page, uint64_t count)
{
    return page >= FIRST_PAGE && page <= w->last_page && count <= w->last_page - page + 1;
}

/* False when one of the pages, which are in the file, has been reached before. */
static bool reach(struct walk *w, uint64_t page, uint64_t count)
{
    for (uint64_t p = page; p < page + count; p++) {
        const uint8_t bit = (uint8_t)(1u << p % 8u);
        if ((w->seen[p / 8u] & bit) != 0) return false;
        w->seen[p / 8u] |= bit;
    }
    return true;
}

/* Takes one page of the budget; false when there is none left. */
static bool may_read(struct walk *w)
{
    if (w->left == 0) return false;
    w->left--;
    return true;
}

static const char *node_read(const uint8_t *page, uint32_t page_bytes, uint32_t index, bool leaf, struct node *out)
{
    const uint32_t at = u16(page + PAGE_HEADER_BYTES + (size_t)2 * index);
    if (at < u16(page + 14) || at % 2 != 0 || at > page_bytes - NODE_HEADER_BYTES)
        return "a node lies outside of the page's nodes";
    const uint8_t *n = page + at;
    const uint32_t room = page_bytes - at - NODE_HEADER_BYTES;
    const uint32_t key_len = u16(n + 6);
    if (key_len > KV_KEY_BYTES_MAX || key_len > room) return "a key is longer than it can be";
    *out = (struct node){.key = bytes_of(n + NODE_HEADER_BYTES, key_len)};
    uint32_t value_len = 0;
    if (leaf) {
        out->flags = u16(n + 4);
        out->value = n + NODE_HEADER_BYTES + key_len;
        out->value_bytes = u32(n);
        value_len = (out->flags & NODE_RUN) != 0 ? 8 : out->value_bytes;
        if (value_len > room - key_len) return "a value reaches out of the page";
        if ((out->flags & NODE_RUN) != 0) out->page = u64(out->value);
    } else {
        out->page = u32(n) | (uint64_t)u16(n + 4) << 32;
    }
    out->length = NODE_HEADER_BYTES + key_len + value_len;
    out->length += out->length % 2;
    return NULL;
}

/* The header of a branch or leaf, and that its nodes fill what is theirs. */
static const char *page_fault(const struct walk *w, const uint8_t *page, uint64_t number, bool leaf)
{
    const uint32_t page_bytes = w->in->page_bytes;
    const uint32_t list_end = u16(page + 12);
    const uint32_t nodes = u16(page + 14);
    if (u64(page) != number) return "it has the number of another page";
    if (u16(page + 10) != (leaf ? PAGE_LEAF : PAGE_BRANCH)) return leaf ? "it is no leaf" : "it is no branch";
    if (list_end < PAGE_HEADER_BYTES || list_end % 2 != 0 || list_end > nodes || nodes > page_bytes)
        return "the bounds of its nodes are none";
    const uint32_t count = (list_end - PAGE_HEADER_BYTES) / 2;
    const uint32_t count_min = leaf || w->table->kind == TABLE_OF_FREE_PAGES ? 1 : 2;
    if (count < count_min) return "it has too few nodes";
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct node n;
        const char *what = node_read(page, page_bytes, i, leaf, &n);
        if (what != NULL) return what;
        sum += n.length;
    }
    return sum == page_bytes - nodes ? NULL : "its nodes overlap or leave gaps";
}

/* Reads a page of the tree, checks it, and makes it the walk's deepest frame. */
static struct err enter(struct walk *w, uint64_t above, uint64_t number)
{
    const bool leaf = w->depth + 1 == w->table->depth;
    uint8_t *page = w->content + (size_t)w->depth * w->in->page_bytes;
    if (!in_file(w, number, 1)) return fault(w, above, "it names a page that there is not");
    if (!reach(w, number, 1)) return fault(w, above, "it names a page that is also used elsewhere");
    ERR_TRY(read_at(w->in, number * w->in->page_bytes, page, w->in->page_bytes));
    const char *what = page_fault(w, page, number, leaf);
    if (what != NULL) return fault(w, number, what);
    if (leaf)
        w->counted.leaf_pages++;
    else
        w->counted.branch_pages++;
    w->frames[w->depth++] =
        (struct frame){.page = number, .node_count = ((uint32_t)u16(page + 12) - PAGE_HEADER_BYTES) / 2};
    return err_none();
}

/* ---- keys ---- */

/* That the key may stand behind what was seen before it; it becomes the next one's bound. */
static const char *key_fault(struct walk *w, struct bytes key, bool leaf)
{
    const bool numbered = w->table->kind == TABLE_OF_FREE_PAGES;
    const struct bytes low = bytes_of(w->low, w->low_len);
    if (key.len == 0 || (numbered && key.len != 8)) return "a key has a length that it cannot have";
    if (w->low_known) {
        int order = bytes_compare(low, key);
        if (numbered) order = u64(low.data) < u64(key.data) ? -1 : u64(low.data) > u64(key.data);
        if (order > 0 || (order == 0 && !(leaf && w->low_inclusive))) return "its keys are not in order";
    }
    memcpy(w->low, key.data, key.len);
    w->low_len = key.len;
    w->low_known = true;
    w->low_inclusive = !leaf;
    return NULL;
}

/* ---- values ---- */

static struct err check_run(struct walk *w, uint64_t page, const struct node *n)
{
    uint8_t header[PAGE_HEADER_BYTES];
    const uint64_t needed = (PAGE_HEADER_BYTES - 1 + (uint64_t)n->value_bytes) / w->in->page_bytes + 1;
    if (!in_file(w, n->page, needed)) return fault(w, page, "a value lies in pages that there are not");
    if (!may_read(w)) return err_none();
    ERR_TRY(read_at(w->in, n->page * w->in->page_bytes, header, sizeof header));
    const uint64_t count = u32(header + 12);
    if (u64(header) != n->page || u16(header + 10) != PAGE_OVERFLOW || count < needed)
        return fault(w, n->page, "it does not begin the value that it should");
    if (!in_file(w, n->page, count)) return fault(w, n->page, "its value lies in pages that there are not");
    if (!reach(w, n->page, count)) return fault(w, n->page, "its value lies in pages that are also used elsewhere");
    w->counted.overflow_pages += count;
    return err_none();
}

static struct err check_free_page(struct walk *w, uint64_t page, uint64_t number, uint64_t before)
{
    if (!in_file(w, number, 1) || number >= before) return fault(w, page, "its list of free pages is none");
    if (!reach(w, number, 1)) return fault(w, page, "it lists a page as free that is in use, or free twice");
    return err_none();
}

/* A list of free pages, which begins at byte `at` of the file. */
static struct err check_free_list(struct walk *w, uint64_t page, const struct node *n, uint64_t at)
{
    uint8_t numbers[NUMBERS_AT_ONCE * 8u];
    uint64_t count;
    uint64_t before = NO_PAGE;
    if (u64(n->key.data) > w->in->transaction) return fault(w, page, "it is of a transaction that has not been");
    if (n->value_bytes < 8 || n->value_bytes % 8 != 0) return fault(w, page, "its list of free pages is none");
    ERR_TRY(read_at(w->in, at, &count, sizeof count));
    if (count > n->value_bytes / 8 - 1) return fault(w, page, "its list of free pages is none");
    for (uint64_t done = 0; done < count;) {
        const uint64_t some = count - done < NUMBERS_AT_ONCE ? count - done : NUMBERS_AT_ONCE;
        if (!may_read(w)) return err_none();
        ERR_TRY(read_at(w->in, at + 8 + done * 8, numbers, some * 8));
        for (uint64_t i = 0; i < some; i++) {
            const uint64_t number = u64(numbers + i * 8);
            ERR_TRY(check_free_page(w, page, number, before));
            before = number;
        }
        done += some;
    }
    return err_none();
}

static void table_read(const uint8_t *at, const char *name, enum table_kind kind, struct table *out)
{
    *out = (struct table){.name = name,
                          .kind = kind,
                          .flags = u16(at + 4),
                          .depth = u16(at + 6),
                          .branch_pages = u64(at + 8),
                          .leaf_pages = u64(at + 16),
                          .overflow_pages = u64(at + 24),
                          .items = u64(at + 32),
                          .root = u64(at + 40)};
}

static struct err check_table_item(struct walk *w, uint64_t page, const struct node *n)
{
    if (n->flags != NODE_TABLE || n->value_bytes != TABLE_BYTES) return fault(w, page, "an item of it is no table");
    for (uint32_t i = 0; i < w->in->table_count; i++) {
        const char *name = w->in->table_names[i];
        if (!bytes_equal(n->key, bytes_of_text(name))) continue;
        table_read(n->value, name, TABLE_OF_ITEMS, &w->tables[i]);
        return err_none();
    }
    return fault(w, page, "a table of it has an unknown name");
}

static struct err check_item(struct walk *w, const struct frame *f, const struct node *n)
{
    const uint32_t page_bytes = w->in->page_bytes;
    const uint8_t *page = w->content + (size_t)(w->depth - 1) * page_bytes;
    w->counted.items++;
    if (w->table->kind == TABLE_OF_TABLES) return check_table_item(w, f->page, n);
    if ((n->flags & ~NODE_RUN) != 0) return fault(w, f->page, "an item of it has flags that there are not");
    if ((n->flags & NODE_RUN) != 0) ERR_TRY(check_run(w, f->page, n));
    if (w->table->kind != TABLE_OF_FREE_PAGES) return err_none();
    const uint64_t at = (n->flags & NODE_RUN) != 0 ? n->page * page_bytes + PAGE_HEADER_BYTES
                                                   : f->page * page_bytes + (uint64_t)(n->value - page);
    return check_free_list(w, f->page, n, at);
}

/* ---- the walk ---- */

/* One node of the deepest frame. */
static struct err step(struct walk *w)
{
    struct frame *f = &w->frames[w->depth - 1];
    const bool leaf = w->depth == w->table->depth;
    struct node n;
    if (f->next == f->node_count) {
        w->depth--;
        return err_none();
    }
    const uint32_t index = f->next++;
    const char *what =
        node_read(w->content + (size_t)(w->depth - 1) * w->in->page_bytes, w->in->page_bytes, index, leaf, &n);
    if (what == NULL && (leaf || index > 0)) what = key_fault(w, n.key, leaf);
    if (what != NULL) return fault(w, f->page, what);
    if (leaf) return check_item(w, f, &n);
    if (!in_file(w, n.page, 1)) return fault(w, f->page, "it names a page that there is not");
    if (w->depth == w->levels || !may_read(w)) return err_none();
    return enter(w, f->page, n.page);
}

/* The levels of a table whose pages together are within the budget, as far as its record can be believed. */
static uint32_t levels_within(const struct table *t, uint32_t pages_max)
{
    if (pages_max == 0) return t->depth;
    if (t->branch_pages > pages_max) return 1;
    if (t->leaf_pages > pages_max - t->branch_pages && t->depth > 1) return t->depth - 1u;
    return t->depth;
}

/* `place`: the page that the record of the table stands in. */
static struct err walk_table(struct walk *w, const struct table *t, uint64_t place)
{
    const bool empty = t->root == NO_PAGE;
    w->table = t;
    w->counted = (struct table){.branch_pages = 0};
    w->left = w->in->pages_max == 0 ? UINT64_MAX : w->in->pages_max;
    w->levels = levels_within(t, w->in->pages_max);
    w->depth = 0;
    w->low_known = false;
    if (t->flags != (t->kind == TABLE_OF_FREE_PAGES ? TABLE_NUMBERED : 0))
        return fault(w, place, "the record of the table has other flags");
    if (empty ? t->depth != 0 : t->depth == 0 || t->depth > DEPTH_MAX)
        return fault(w, place, "the record of the table has a depth that it cannot have");
    if (!empty) ERR_TRY(enter(w, place, t->root));
    while (w->depth > 0 && w->left > 0)
        ERR_TRY(step(w));
    if (w->left == 0 || w->levels < t->depth) return err_none();
    const struct table *c = &w->counted;
    if (c->branch_pages != t->branch_pages || c->leaf_pages != t->leaf_pages ||
        c->overflow_pages != t->overflow_pages || c->items != t->items)
        return fault(w, place, "the record of the table counts other pages or items than there are");
    return err_none();
}

static struct err walk_all(struct walk *w, const uint8_t *meta)
{
    const uint64_t place = w->in->transaction % 2;
    table_read(meta + META_TABLES, "the table of tables", TABLE_OF_TABLES, &w->table_of_tables);
    table_read(meta + META_FREE, "the list of free pages", TABLE_OF_FREE_PAGES, &w->free_pages);
    ERR_TRY(walk_table(w, &w->table_of_tables, place));
    for (uint32_t i = 0; i < w->in->table_count; i++)
        if (w->tables[i].name != NULL) ERR_TRY(walk_table(w, &w->tables[i], w->table_of_tables.root));
    return walk_table(w, &w->free_pages, place);
}

struct err lmdb_pages_check(const struct lmdb_pages *in, bool *stale)
{
    uint8_t meta[META_BYTES];
    const off_t file_bytes = lseek(in->fd, 0, SEEK_END);
    struct walk w = {.in = in};
    CHECK_OP(in->table_count, <=, KV_TABLES_MAX);
    if (file_bytes < 0) return err_system(errno, "store %s: cannot find the end of the data file", in->dir);
    ERR_TRY(read_at(in, in->transaction % 2 * in->page_bytes, meta, sizeof meta));
    *stale = u64(meta + META_TRANSACTION) != in->transaction;
    if (*stale) return err_none();
    w.last_page = u64(meta + META_LAST_PAGE);
    if (w.last_page < 1 || w.last_page >= (uint64_t)file_bytes / in->page_bytes)
        return err_make(ERR_CORRUPT, "store %s: the data file was cut, or its meta page is damaged", in->dir);
    w.seen = mem_zero(w.last_page / 8 + 1, 1);
    w.content = mem_alloc((size_t)DEPTH_MAX * in->page_bytes);
    const struct err e = walk_all(&w, meta);
    free(w.seen);
    free(w.content);
    return e;
}

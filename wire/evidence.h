/* evidence.h - proof that a member broke the rules, for anybody who has the group file (design.md section 11).
 *
 *   kind           two signed messages of one member, one epoch ...
 *   PRE-PREPARE    ... and view and sequence: other digests. Without the batch, which the signature does not cover
 *   PREPARE        the same
 *   COMMIT         the same
 *   CHECKPOINT     ... and sequence: another header hash or state root
 *   VIEW-CHANGE    ... and view: any difference, as long as neither low watermark is L or more above the other
 *   CERTIFICATE    one VIEW-CHANGE only: the certificate at the place named in it fails its check (rule 4)
 *
 * A replica that keeps the rules never signs such messages, whatever it crashed through: what it says is durable or abstained from
 * before (design.md section 7). That of VIEW-CHANGEs is narrower than the rule for one that was fenced: it may have forgotten a
 * VIEW-CHANGE that nobody has shown to it, and say another for that view once C + 2L is stable, which is then at least L higher.
 * A statement said again, with another signature even, contradicts nothing (rule 28).
 *
 * The record is a few hundred bytes; with VIEW-CHANGEs at most 2 EVIDENCE_MESSAGE_BYTES_MAX. */
#ifndef PBFT_WIRE_EVIDENCE_H
#define PBFT_WIRE_EVIDENCE_H

#include "wire/certificate.h"
#include "wire/constants.h"

#define EVIDENCE_FORMAT 1u
#define EVIDENCE_BYTES_MAX (2u * EVIDENCE_MESSAGE_BYTES_MAX + 256u) /* of an encoded record */
#define EVIDENCE_PROOF WINDOW_BATCHES /* the place of the certificate of h */

/* What a record proves. */
struct evidence {
    enum evidence_kind kind;
    uint32_t member;
    uint64_t view;            /* CHECKPOINT: 0, it has none */
    uint64_t seq;             /* VIEW-CHANGE: 0, it has none; CERTIFICATE: of the certificate */
    uint64_t low[2];          /* VIEW-CHANGE: the low watermarks */
    uint64_t certificate_view; /* CERTIFICATE: of a prepared one */
    bool proof;               /* CERTIFICATE: it is the one of h */
    bool same_header;         /* CHECKPOINT: the digests are of the state, for the headers are one */
    struct digest digests[2]; /* votes: of the batches; CHECKPOINT: header hashes or state roots; VIEW-CHANGE: what is signed;
                               * CERTIFICATE: only [0], what it claims */
    const char *fault;        /* CERTIFICATE: what is wrong with it, a static sentence */
};

/* Two decoded messages say what one member that keeps the rules cannot have said both. Their signatures are not looked at. */
bool evidence_contradict(const struct wire_message *a, const struct wire_message *b);

/* Makes a record of encoded messages; b.data is NULL beside a certificate. A batch that travels beside a PRE-PREPARE must be left
 * out. The same two messages give the same record in either order. The caller owns it. */
struct blob *evidence_make(const struct digest *group_id, struct bytes a, struct bytes b, uint32_t certificate);

/* The one check, before a record is kept and whenever it is shown: decodes it, verifies both signatures, and that they contradict
 * each other; or that the certificate fails. NULL and *out, or a static sentence: it proves nothing. */
MUST_USE const char *evidence_check(const struct wire_group *g, struct signature_checker checker, struct bytes record,
                                    struct evidence *out);

const char *evidence_kind_name(enum evidence_kind kind); /* "PRE-PREPARE" ... "CERTIFICATE" */
/* What the member did, to follow its name: "signed two different PREPAREs for view 3, ...", without a full stop. */
void evidence_text(const struct evidence *e, struct buffer *out);

#endif

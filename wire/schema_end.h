/* schema_end.h - forgets the macros of one pass over wire/schema.def, ready for the next. No include guard: it is
 * included once per pass. */
#undef RECORD
#undef MESSAGE
#undef UINT
#undef DIGEST
#undef KEY
#undef SIGNATURE
#undef BYTES
#undef OBJECT
#undef LIST
#undef BYTES_LIST
#undef DIGEST_LIST
#undef END_RECORD
#undef END_MESSAGE

// libyaml's event parser as flat structures: its own events are unions. Decisions are made in Swift, not here.
#ifndef COUNTERSIGN_CYAML_H
#define COUNTERSIGN_CYAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

typedef enum {
    CYAML_STREAM_END,
    CYAML_DOCUMENT_START,
    CYAML_DOCUMENT_END,
    CYAML_ALIAS,
    CYAML_SCALAR,
    CYAML_SEQUENCE_START,
    CYAML_SEQUENCE_END,
    CYAML_MAPPING_START,
    CYAML_MAPPING_END,
} cyaml_kind;

/// One event. The pointers are good until the next call of `cyaml_next` or `cyaml_free`.
typedef struct {
    cyaml_kind kind;
    /// The anchor that this node sets or, for an alias, refers to.
    const char *_Nullable anchor;
    const char *_Nullable tag;
    /// A scalar's text: UTF-8, which may have NUL bytes inside.
    const uint8_t *_Nullable value;
    size_t length;
    /// Whether a scalar is neither quoted nor in a block.
    bool is_plain;
    /// Counted from 1.
    size_t line;
    size_t column;
} cyaml_event;

typedef struct cyaml_parser cyaml_parser;

/// A parser of UTF-8 that must outlive it.
cyaml_parser *_Nullable cyaml_new(const uint8_t *_Nullable bytes, size_t length);
/// Reads the next event. Returns false when the text is not YAML: see `cyaml_problem`.
bool cyaml_next(cyaml_parser *parser, cyaml_event *event);
/// What is wrong, in libyaml's words, and where, counted from 1. NULL when memory ran out.
const char *_Nullable cyaml_problem(const cyaml_parser *parser, size_t *line, size_t *column);
void cyaml_free(cyaml_parser *parser);

#pragma clang assume_nonnull end

#endif

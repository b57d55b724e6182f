#include "CYAML.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct cyaml_parser {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
};

cyaml_parser *cyaml_new(const uint8_t *bytes, size_t length) {
    cyaml_parser *parser = calloc(1, sizeof *parser);
    if (!parser) return NULL;
    if (!yaml_parser_initialize(&parser->parser)) {
        free(parser);
        return NULL;
    }
    // Said, not guessed: a text that looks like UTF-16 to libyaml is not what Kubernetes reads.
    yaml_parser_set_encoding(&parser->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser->parser, length > 0 ? bytes : (const uint8_t *)"", length);
    return parser;
}

bool cyaml_next(cyaml_parser *parser, cyaml_event *event) {
    yaml_event_t *raw = &parser->event;
    for (;;) {
        if (parser->has_event) yaml_event_delete(raw);
        parser->has_event = yaml_parser_parse(&parser->parser, raw) != 0;
        if (!parser->has_event) return false;
        if (raw->type != YAML_STREAM_START_EVENT) break;
    }
    memset(event, 0, sizeof *event);
    event->line = raw->start_mark.line + 1;
    event->column = raw->start_mark.column + 1;
    switch (raw->type) {
    case YAML_DOCUMENT_START_EVENT: event->kind = CYAML_DOCUMENT_START; break;
    case YAML_DOCUMENT_END_EVENT: event->kind = CYAML_DOCUMENT_END; break;
    case YAML_ALIAS_EVENT:
        event->kind = CYAML_ALIAS;
        event->anchor = (const char *)raw->data.alias.anchor;
        break;
    case YAML_SCALAR_EVENT:
        event->kind = CYAML_SCALAR;
        event->anchor = (const char *)raw->data.scalar.anchor;
        event->tag = (const char *)raw->data.scalar.tag;
        event->value = raw->data.scalar.value;
        event->length = raw->data.scalar.length;
        event->is_plain = raw->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        break;
    case YAML_SEQUENCE_START_EVENT:
        event->kind = CYAML_SEQUENCE_START;
        event->anchor = (const char *)raw->data.sequence_start.anchor;
        event->tag = (const char *)raw->data.sequence_start.tag;
        break;
    case YAML_SEQUENCE_END_EVENT: event->kind = CYAML_SEQUENCE_END; break;
    case YAML_MAPPING_START_EVENT:
        event->kind = CYAML_MAPPING_START;
        event->anchor = (const char *)raw->data.mapping_start.anchor;
        event->tag = (const char *)raw->data.mapping_start.tag;
        break;
    case YAML_MAPPING_END_EVENT: event->kind = CYAML_MAPPING_END; break;
    default: event->kind = CYAML_STREAM_END; break;
    }
    return true;
}

const char *cyaml_problem(const cyaml_parser *parser, size_t *line, size_t *column) {
    *line = parser->parser.problem_mark.line + 1;
    *column = parser->parser.problem_mark.column + 1;
    return parser->parser.error == YAML_MEMORY_ERROR ? NULL : parser->parser.problem;
}

void cyaml_free(cyaml_parser *parser) {
    if (parser->has_event) yaml_event_delete(&parser->event);
    yaml_parser_delete(&parser->parser);
    free(parser);
}

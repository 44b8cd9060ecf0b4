#include "arguments.h"

#include <string.h>

// JSON that is being read.
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static void skip_white_space(struct reader *reader) {
    while (reader->at < reader->end && memchr(" \t\n\r", *reader->at, 4) != NULL) {
        reader->at++;
    }
}

// Whether `byte` comes next, white space aside; reads it if so.
static bool take(struct reader *reader, uint8_t byte) {
    skip_white_space(reader);
    bool next = reader->at < reader->end && *reader->at == byte;
    reader->at += next;
    return next;
}

// The four hexadecimal digits of a `\u`; no such number when they are not there.
static uint32_t read_unit(struct reader *reader) {
    if (reader->end - reader->at < 4) {
        return UINT32_MAX;
    }
    uint32_t unit = 0;
    for (int digit = 0; digit < 4; digit++) {
        uint8_t byte = *reader->at++;
        if (byte >= '0' && byte <= '9') {
            unit = unit << 4 | (uint32_t)(byte - '0');
        } else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') {
            unit = unit << 4 | (uint32_t)((byte | 0x20) - 'a' + 10);
        } else {
            return UINT32_MAX;
        }
    }
    return unit;
}

// What follows `\u`: a character, or the two halves of one.
static bool read_character(struct reader *reader, struct buffer *text) {
    uint32_t character = read_unit(reader);
    if (character >= 0xD800 && character < 0xDC00) {
        if (reader->end - reader->at < 2 || reader->at[0] != '\\' || reader->at[1] != 'u') {
            return false;
        }
        reader->at += 2;
        uint32_t second = read_unit(reader);
        if (second < 0xDC00 || second > 0xDFFF) {
            return false;
        }
        character = 0x10000 + ((character - 0xD800) << 10) + (second - 0xDC00);
    } else if (character > 0xFFFF || (character >= 0xDC00 && character < 0xE000)) {
        return false;
    }
    buffer_append_character(text, character);
    return true;
}

static bool read_escape(struct reader *reader, struct buffer *text) {
    static const char names[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (reader->at == reader->end) {
        return false;
    }
    uint8_t name = *reader->at++;
    if (name == 'u') {
        return read_character(reader, text);
    }
    const char *found = memchr(names, name, sizeof names - 1);
    if (found == NULL) {
        return false;
    }
    buffer_append(text, &meanings[found - names], 1);
    return true;
}

static bool read_string(struct reader *reader, struct buffer *text) {
    text->length = 0;
    if (!take(reader, '"')) {
        return false;
    }
    while (reader->at < reader->end) {
        uint8_t byte = *reader->at++;
        if (byte == '"') {
            return true;
        }
        if (byte != '\\') {
            buffer_append(text, &byte, 1);
        } else if (!read_escape(reader, text)) {
            return false;
        }
    }
    return false;
}

// A whole number of up to nine digits: the schema allows four.
static bool read_number(struct reader *reader, size_t *number) {
    skip_white_space(reader);
    const uint8_t *begin = reader->at;
    *number = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' && reader->at - begin < 9) {
        *number = *number * 10 + (size_t)(*reader->at++ - '0');
    }
    bool goes_on = reader->at < reader->end && memchr("0123456789.eE", *reader->at, 13) != NULL;
    return reader->at > begin && !goes_on;
}

static bool is(const struct buffer *text, const char *other) {
    return text->length == strlen(other) && memcmp(text->bytes, other, text->length) == 0;
}

const char *arguments_read(struct arguments *arguments, const uint8_t *json, size_t length) {
    struct reader reader = {.at = json, .end = json + length};
    *arguments = (struct arguments){.top = 10};
    buffer_append_text(&arguments->directory, "source");
    if (!take(&reader, '{')) {
        return "expected a JSON object";
    }
    bool has_path = false;
    bool ended = take(&reader, '}');
    while (!ended) {
        struct buffer name = {0};
        if (!read_string(&reader, &name) || !take(&reader, ':')) {
            return "expected a name and a value";
        }
        if (is(&name, "directory")) {
            if (!read_string(&reader, &arguments->directory)) {
                return "directory is not a string";
            }
        } else if (is(&name, "path")) {
            has_path = read_string(&reader, &arguments->path);
            if (!has_path) {
                return "path is not a string";
            }
        } else if (is(&name, "top")) {
            if (!read_number(&reader, &arguments->top)) {
                return "top is not a whole number";
            }
        } else {
            return "expected nothing but directory, path and top";
        }
        ended = take(&reader, '}');
        if (!ended && !take(&reader, ',')) {
            return "expected the end of the object";
        }
    }
    return has_path ? NULL : "path is missing";
}

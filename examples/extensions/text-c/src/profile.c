#include "profile.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "words.h"

// Shortest word that counts as a term, in characters: shorter ones are mostly articles.
#define TERM_CHARACTERS_MIN 3

// The first room of the table, in terms; a power of two.
#define TABLE_CAPACITY_FIRST 1024

// Terms by their words: open addressing, at most half full. A free place has no word.
struct table {
    struct term *places;
    size_t capacity;
    size_t length;
};

static uint64_t hash_of(const uint8_t *word, size_t length) {
    // FNV-1a.
    uint64_t hash = 0xCBF29CE484222325;
    for (size_t place = 0; place < length; place++) {
        hash = (hash ^ word[place]) * 0x100000001B3;
    }
    return hash;
}

// The place of a word: the one it has, or a free one.
static struct term *place_of(struct table *table, const uint8_t *word, size_t length) {
    size_t index = (size_t)hash_of(word, length) & (table->capacity - 1);
    for (;;) {
        struct term *place = &table->places[index];
        if (place->word == NULL || (place->length == length && memcmp(place->word, word, length) == 0)) {
            return place;
        }
        index = (index + 1) & (table->capacity - 1);
    }
}

static void make_table(struct table *table, size_t capacity) {
    table->places = allocate(capacity * sizeof(struct term));
    memset(table->places, 0, capacity * sizeof(struct term));
    table->capacity = capacity;
}

static void grow(struct table *table) {
    struct table larger = {.length = table->length};
    make_table(&larger, table->capacity * 2);
    for (size_t index = 0; index < table->capacity; index++) {
        const struct term *term = &table->places[index];
        if (term->word != NULL) {
            *place_of(&larger, term->word, term->length) = *term;
        }
    }
    free(table->places);
    *table = larger;
}

static void count_term(struct table *table, struct buffer *lower, const uint8_t *word, size_t length) {
    lower->length = 0;
    append_lower_case(lower, word, length);
    struct term *term = place_of(table, lower->bytes, lower->length);
    if (term->word == NULL) {
        uint8_t *kept = allocate(lower->length);
        memcpy(kept, lower->bytes, lower->length);
        *term = (struct term){.word = kept, .length = lower->length};
        table->length++;
    }
    term->count++;
    if (table->length * 2 > table->capacity) {
        grow(table);
    }
}

// Most frequent first, then by bytes, which is the order of the characters too.
static int compare(const void *left_term, const void *right_term) {
    const struct term *left = left_term;
    const struct term *right = right_term;
    if (left->count != right->count) {
        return left->count > right->count ? -1 : 1;
    }
    size_t shorter = left->length < right->length ? left->length : right->length;
    int order = memcmp(left->word, right->word, shorter);
    if (order != 0) {
        return order;
    }
    return (left->length > right->length) - (left->length < right->length);
}

// The terms of the table one behind the other, sorted. Uses the table up.
static struct term *sorted(struct table *table) {
    size_t kept = 0;
    for (size_t index = 0; index < table->capacity; index++) {
        if (table->places[index].word != NULL) {
            table->places[kept++] = table->places[index];
        }
    }
    qsort(table->places, kept, sizeof(struct term), compare);
    return table->places;
}

struct profile profile_of(const uint8_t *text, size_t length, size_t top) {
    struct profile profile = {.bytes = length};
    struct table table = {0};
    make_table(&table, TABLE_CAPACITY_FIRST);
    struct buffer lower = {0};
    bool after_white_space = true;
    size_t term_begin = 0;
    size_t term_characters = 0;
    size_t place = 0;
    while (place < length) {
        size_t begin = place;
        uint32_t character = utf8_next(text, &place);
        profile.lines += character == '\n';
        bool white_space = is_white_space(character);
        profile.words += after_white_space && !white_space;
        after_white_space = white_space;
        if (is_of_word(character)) {
            term_begin = term_characters == 0 ? begin : term_begin;
            term_characters++;
            if (place < length) {
                continue;
            }
            begin = place;
        }
        if (term_characters >= TERM_CHARACTERS_MIN) {
            count_term(&table, &lower, text + term_begin, begin - term_begin);
        }
        term_characters = 0;
    }
    if (length > 0 && text[length - 1] != '\n') {
        profile.lines++;
    }
    profile.terms = sorted(&table);
    profile.terms_length = table.length < top ? table.length : top;
    return profile;
}

// Appends a JSON string, with the shortest escapes there are.
static void append_string(struct buffer *json, const uint8_t *text, size_t length) {
    static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    buffer_append_text(json, "\"");
    for (size_t place = 0; place < length; place++) {
        uint8_t byte = text[place];
        const char *escape = NULL;
        for (size_t pair = 0; pair + 1 < sizeof escapes; pair += 2) {
            if ((uint8_t)escapes[pair] == byte) {
                escape = &escapes[pair + 1];
            }
        }
        if (escape != NULL) {
            buffer_append_text(json, "\\");
            buffer_append(json, escape, 1);
        } else if (byte < 0x20) {
            buffer_append_text(json, byte < 0x10 ? "\\u000" : "\\u001");
            buffer_append(json, &"0123456789abcdef"[byte & 0xF], 1);
        } else {
            buffer_append(json, &byte, 1);
        }
    }
    buffer_append_text(json, "\"");
}

static void append_count(struct buffer *json, const char *name, uint64_t count) {
    buffer_append_text(json, name);
    buffer_append_number(json, count);
}

void append_profile(struct buffer *json, const struct profile *profile, const uint8_t *path, size_t path_length) {
    buffer_append_text(json, "{\n  \"path\": ");
    append_string(json, path, path_length);
    append_count(json, ",\n  \"lines\": ", profile->lines);
    append_count(json, ",\n  \"words\": ", profile->words);
    append_count(json, ",\n  \"bytes\": ", profile->bytes);
    buffer_append_text(json, ",\n  \"terms\": [");
    for (size_t index = 0; index < profile->terms_length; index++) {
        const struct term *term = &profile->terms[index];
        buffer_append_text(json, index > 0 ? ",\n    {\n      \"term\": " : "\n    {\n      \"term\": ");
        append_string(json, term->word, term->length);
        append_count(json, ",\n      \"count\": ", term->count);
        buffer_append_text(json, "\n    }");
    }
    buffer_append_text(json, profile->terms_length > 0 ? "\n  ]\n}\n" : "]\n}\n");
}

// The counting itself: knows nothing of the host.

#ifndef PROFILE_H
#define PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

// A word in lower case and how often it occurs.
struct term {
    const uint8_t *word;
    size_t length;
    uint64_t count;
};

// What a text consists of.
struct profile {
    // Lines, a last one without newline included.
    uint64_t lines;
    // Runs of characters that are not white space.
    uint64_t words;
    uint64_t bytes;
    // The most frequent terms, most frequent first, equals in the order of their bytes.
    struct term *terms;
    size_t terms_length;
};

// Counts a text, which is UTF-8, keeping the `top` most frequent terms.
struct profile profile_of(const uint8_t *text, size_t length, size_t top);

// Appends the profile of the file at `path` as indented JSON with a last newline.
void append_profile(struct buffer *json, const struct profile *profile, const uint8_t *path, size_t path_length);

#endif

// Characters of words, as the Unicode standard has them.

#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

// White_Space of Unicode.
bool is_white_space(uint32_t character);

// Alphabetic or numeric.
bool is_of_word(uint32_t character);

// Appends the word (UTF-8, all of it characters of words) in lower case.
void append_lower_case(struct buffer *buffer, const uint8_t *word, size_t length);

#endif

#include "words.h"

#include "unicode.h"
#include "utf8.h"

// Greek capital sigma, and what becomes of it inside and at the end of a word.
#define SIGMA 0x3A3
#define SIGMA_INSIDE 0x3C3
#define SIGMA_FINAL 0x3C2

// The one letter that becomes two characters: I with a dot.
#define CAPITAL_I_WITH_DOT 0x130
#define COMBINING_DOT 0x307

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

bool is_white_space(uint32_t character) {
    switch (character) {
    case 0x20:
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
        return true;
    default:
        return (character >= 0x09 && character <= 0x0D) || (character >= 0x2000 && character <= 0x200A);
    }
}

// The range that holds the character; NULL when none does.
static const struct word_range *range_of(uint32_t character) {
    size_t begin = 0;
    size_t end = LENGTH(word_ranges);
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (word_ranges[middle].last < character) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin < LENGTH(word_ranges) && word_ranges[begin].first <= character ? &word_ranges[begin] : NULL;
}

bool is_of_word(uint32_t character) {
    return range_of(character) != NULL;
}

static enum word_case case_of(uint32_t character) {
    const struct word_range *range = range_of(character);
    return range == NULL ? UNCASED : range->word_case;
}

static uint32_t lower_case_of(uint32_t character) {
    size_t begin = 0;
    size_t end = LENGTH(lower_ranges);
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (lower_ranges[middle].last < character) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    if (begin == LENGTH(lower_ranges) || lower_ranges[begin].first > character) {
        return character;
    }
    const struct lower_range *range = &lower_ranges[begin];
    bool changes = (character - range->first) % range->step == 0;
    return changes ? (uint32_t)((int32_t)character + range->distance) : character;
}

// Whether the sigma between `begin` and `end` is the last letter of the word: one with case comes before it, none behind
// it, whatever marks lie between.
static bool is_final(const uint8_t *word, size_t length, size_t begin, size_t end) {
    enum word_case before = IGNORED;
    while (begin > 0 && before == IGNORED) {
        before = case_of(utf8_before(word, &begin));
    }
    enum word_case behind = IGNORED;
    while (end < length && behind == IGNORED) {
        behind = case_of(utf8_next(word, &end));
    }
    return before == CASED && behind != CASED;
}

void append_lower_case(struct buffer *buffer, const uint8_t *word, size_t length) {
    size_t place = 0;
    while (place < length) {
        size_t begin = place;
        uint32_t character = utf8_next(word, &place);
        if (character == SIGMA) {
            bool final = is_final(word, length, begin, place);
            buffer_append_character(buffer, final ? SIGMA_FINAL : SIGMA_INSIDE);
        } else if (character == CAPITAL_I_WITH_DOT) {
            buffer_append_character(buffer, 'i');
            buffer_append_character(buffer, COMBINING_DOT);
        } else {
            buffer_append_character(buffer, lower_case_of(character));
        }
    }
}

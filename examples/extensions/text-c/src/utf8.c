#include "utf8.h"

static bool continues(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

// Bytes of the character that begins with `first`; 0 when none does.
static size_t length_by(uint8_t first) {
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first < 0xE0) {
        return 2;
    }
    if (first >= 0xE0 && first < 0xF0) {
        return 3;
    }
    return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

// Whether `second` may follow `first`: it decides about characters written longer than needed, surrogates, and numbers
// above the last character.
static bool may_follow(uint8_t first, uint8_t second) {
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second < 0xC0;
    case 0xED:
        return second >= 0x80 && second < 0xA0;
    case 0xF0:
        return second >= 0x90 && second < 0xC0;
    case 0xF4:
        return second >= 0x80 && second < 0x90;
    default:
        return continues(second);
    }
}

bool utf8_check(const uint8_t *bytes, size_t length, struct utf8_fault *fault) {
    size_t place = 0;
    while (place < length) {
        size_t needed = length_by(bytes[place]);
        size_t good = 1;
        while (good < needed && place + good < length &&
               (good == 1 ? may_follow(bytes[place], bytes[place + 1]) : continues(bytes[place + good]))) {
            good++;
        }
        if (needed == 0 || good < needed) {
            fault->index = place;
            fault->length = needed > 0 && place + good == length ? 0 : good;
            return false;
        }
        place += needed;
    }
    return true;
}

uint32_t utf8_next(const uint8_t *bytes, size_t *place) {
    uint8_t first = bytes[*place];
    size_t length = length_by(first);
    uint32_t character = length == 1 ? first : first & (0x7F >> length);
    for (size_t more = 1; more < length; more++) {
        character = character << 6 | (bytes[*place + more] & 0x3F);
    }
    *place += length;
    return character;
}

uint32_t utf8_before(const uint8_t *bytes, size_t *place) {
    do {
        --*place;
    } while (continues(bytes[*place]));
    size_t begin = *place;
    return utf8_next(bytes, &begin);
}

// Reading UTF-8.

#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes that are no UTF-8.
struct utf8_fault {
    // Bytes before it, all of them good.
    size_t index;
    // Its length in bytes, 1 to 3; 0 when the text ends within a character.
    size_t length;
};

// Whether all of it is UTF-8; fills in `fault` where it is not.
bool utf8_check(const uint8_t *bytes, size_t length, struct utf8_fault *fault);

// The character at `*place`, and moves `*place` behind it. The bytes have been checked.
uint32_t utf8_next(const uint8_t *bytes, size_t *place);

// The character that ends before `*place`, and moves `*place` to its beginning.
uint32_t utf8_before(const uint8_t *bytes, size_t *place);

#endif

#include "buffer.h"

#include <stdlib.h>
#include <string.h>

// The first room a buffer gets, in bytes: enough for most of them.
#define CAPACITY_FIRST 256

void *allocate(size_t size) {
    void *room = malloc(size > 0 ? size : 1);
    if (room == NULL) {
        __builtin_trap();
    }
    return room;
}

void buffer_reserve(struct buffer *buffer, size_t more) {
    size_t needed;
    if (__builtin_add_overflow(buffer->length, more, &needed)) {
        __builtin_trap();
    }
    if (needed <= buffer->capacity) {
        return;
    }
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : CAPACITY_FIRST;
    while (capacity < needed) {
        if (__builtin_mul_overflow(capacity, (size_t)2, &capacity)) {
            __builtin_trap();
        }
    }
    buffer->bytes = realloc(buffer->bytes, capacity);
    if (buffer->bytes == NULL) {
        __builtin_trap();
    }
    buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length) {
    if (length > 0) {
        buffer_reserve(buffer, length);
        memcpy(buffer->bytes + buffer->length, bytes, length);
        buffer->length += length;
    }
}

void buffer_append_text(struct buffer *buffer, const char *text) {
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_number(struct buffer *buffer, uint64_t number) {
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buffer_append(buffer, digits + first, sizeof digits - first);
}

void buffer_append_character(struct buffer *buffer, uint32_t character) {
    uint8_t bytes[4];
    size_t length;
    if (character < 0x80) {
        bytes[0] = (uint8_t)character;
        length = 1;
    } else if (character < 0x800) {
        bytes[0] = (uint8_t)(0xC0 | character >> 6);
        length = 2;
    } else if (character < 0x10000) {
        bytes[0] = (uint8_t)(0xE0 | character >> 12);
        length = 3;
    } else {
        bytes[0] = (uint8_t)(0xF0 | character >> 18);
        length = 4;
    }
    for (size_t place = 1; place < length; place++) {
        bytes[place] = (uint8_t)(0x80 | (character >> 6 * (length - 1 - place) & 0x3F));
    }
    buffer_append(buffer, bytes, length);
}

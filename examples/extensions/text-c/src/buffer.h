// Bytes that grow. Nothing is ever freed: an instance lives for one call, and its memory goes with it.

#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
};

// Room for `size` bytes. There is always some: without it the guest traps, which ends the run with an error of its own.
void *allocate(size_t size);

// Makes room for `more` bytes behind those that are there.
void buffer_reserve(struct buffer *buffer, size_t more);

// Appends bytes, the text of a C string, a number in decimal digits, one character in UTF-8.
void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_number(struct buffer *buffer, uint64_t number);
void buffer_append_character(struct buffer *buffer, uint32_t character);

#endif

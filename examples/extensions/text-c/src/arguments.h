// The arguments of a run: where the file is, and how many terms to keep.

#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct arguments {
    // Name of a granted directory.
    struct buffer directory;
    // The file, relative to that directory.
    struct buffer path;
    size_t top;
};

// Reads a JSON object that the host has checked against the schema of the metadata. Says what is wrong with one that is not
// so after all; NULL when nothing is.
const char *arguments_read(struct arguments *arguments, const uint8_t *json, size_t length);

#endif

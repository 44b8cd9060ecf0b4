// `@examples/text-c`: profiles a text file of a granted directory. A complete model extension, in C.
//
// `text.h` is made from the WIT of the world by `wit-bindgen c --sync all`: host calls that are `async` in the contract are
// made one at a time here, and come back when they are done. To have several under way, leave `--sync` out.

#include <string.h>

#include "arguments.h"
#include "buffer.h"
#include "profile.h"
#include "text.h"
#include "utf8.h"

// Largest file that is read into the guest's memory: 16 MiB, of the 256 MiB a guest has.
#define TEXT_BYTES_MAX (16 * 1024 * 1024)

// Most bytes of one call across the boundary, as `peat:host/blobs` sets it: 1 MiB.
#define CHUNK_BYTES_MAX (1024 * 1024)

typedef peat_host_errors_error_t error_t;
typedef exports_peat_model_methods_failure_t failure_t;

static text_string_t string_of(const struct buffer *buffer) {
    return (text_string_t){.ptr = buffer->bytes, .len = buffer->length};
}

static struct buffer text_of(const char *text) {
    struct buffer buffer = {0};
    buffer_append_text(&buffer, text);
    return buffer;
}

static bool contains(const text_string_t *text, const text_string_t *part) {
    for (size_t place = 0; place + part->len <= text->len; place++) {
        if (memcmp(text->ptr + place, part->ptr, part->len) == 0) {
            return true;
        }
    }
    return false;
}

// The run fails with what went wrong and, unless that names it, what it is about. Worth another try or not.
static bool fail(failure_t *failure, text_string_t subject, text_string_t message, bool transient) {
    struct buffer text = {0};
    if (!contains(&message, &subject)) {
        buffer_append(&text, subject.ptr, subject.len);
        buffer_append_text(&text, ": ");
    }
    buffer_append(&text, message.ptr, message.len);
    *failure = (failure_t){.message = string_of(&text), .transient = transient};
    return false;
}

// The run fails with an error of the host.
static bool fail_with(failure_t *failure, const error_t *error) {
    uint8_t kind = error->kind.tag;
    bool transient = kind == PEAT_HOST_ERRORS_ERROR_KIND_UNAVAILABLE || kind == PEAT_HOST_ERRORS_ERROR_KIND_CONFLICT ||
                     kind == PEAT_HOST_ERRORS_ERROR_KIND_HELD;
    return fail(failure, error->subject, error->message, transient);
}

// All bytes of the file into `text`.
static bool read_file(const struct arguments *arguments, struct buffer *text, failure_t *failure) {
    text_string_t directory = string_of(&arguments->directory);
    text_string_t path = string_of(&arguments->path);
    error_t error;
    peat_host_files_own_folder_t folder;
    if (!peat_host_files_open(&directory, &folder, &error)) {
        return fail_with(failure, &error);
    }
    peat_host_files_own_blob_t file;
    if (!peat_host_files_method_folder_read(peat_host_files_borrow_folder(folder), &path, &file, &error)) {
        return fail_with(failure, &error);
    }
    peat_host_blobs_borrow_blob_t blob = peat_host_blobs_borrow_blob(file);
    uint64_t size = peat_host_blobs_method_blob_size(blob);
    struct buffer message = {0};
    if (size > TEXT_BYTES_MAX) {
        buffer_append_text(&message, "it has ");
        buffer_append_number(&message, size);
        buffer_append_text(&message, " bytes, more than the ");
        buffer_append_number(&message, TEXT_BYTES_MAX);
        buffer_append_text(&message, " that this extension reads");
        return fail(failure, path, string_of(&message), false);
    }
    buffer_reserve(text, (size_t)size);
    while (text->length < size) {
        text_list_u8_t chunk;
        if (!peat_host_blobs_method_blob_read(blob, text->length, CHUNK_BYTES_MAX, &chunk, &error)) {
            return fail_with(failure, &error);
        }
        if (chunk.len == 0) {
            buffer_append_text(&message, "it ended after ");
            buffer_append_number(&message, text->length);
            buffer_append_text(&message, " bytes");
            return fail(failure, path, string_of(&message), false);
        }
        buffer_append(text, chunk.ptr, chunk.len);
        text_list_u8_free(&chunk);
    }
    return true;
}

static bool check_text(const struct arguments *arguments, const struct buffer *text, failure_t *failure) {
    struct utf8_fault fault;
    if (utf8_check(text->bytes, text->length, &fault)) {
        return true;
    }
    struct buffer message = {0};
    buffer_append(&message, arguments->path.bytes, arguments->path.length);
    buffer_append_text(&message, " is not UTF-8 text: ");
    if (fault.length == 0) {
        buffer_append_text(&message, "incomplete utf-8 byte sequence");
    } else {
        buffer_append_text(&message, "invalid utf-8 sequence of ");
        buffer_append_number(&message, fault.length);
        buffer_append_text(&message, " bytes");
    }
    buffer_append_text(&message, " from index ");
    buffer_append_number(&message, fault.index);
    return fail(failure, string_of(&arguments->path), string_of(&message), false);
}

// A handle to these bytes, which may be more than go through one call.
static bool content_of(const struct buffer *buffer, peat_host_data_own_blob_t *content, error_t *error) {
    if (buffer->length <= CHUNK_BYTES_MAX) {
        text_list_u8_t bytes = {.ptr = buffer->bytes, .len = buffer->length};
        return peat_host_blobs_static_blob_of_bytes(&bytes, content, error);
    }
    peat_host_blobs_borrow_writer_t writer = peat_host_blobs_borrow_writer(peat_host_blobs_constructor_writer());
    for (size_t place = 0; place < buffer->length; place += CHUNK_BYTES_MAX) {
        size_t left = buffer->length - place;
        text_list_u8_t chunk = {.ptr = buffer->bytes + place, .len = left < CHUNK_BYTES_MAX ? left : CHUNK_BYTES_MAX};
        if (!peat_host_blobs_method_writer_write(writer, &chunk, error)) {
            return false;
        }
    }
    return peat_host_blobs_method_writer_finish(writer, content, error);
}

static bool write_json(const char *name, const struct buffer *json, failure_t *failure) {
    error_t error;
    peat_host_data_own_blob_t content;
    if (!content_of(json, &content, &error)) {
        return fail_with(failure, &error);
    }
    struct buffer name_text = text_of(name);
    struct buffer content_type = text_of("application/json");
    text_string_t item = string_of(&name_text);
    // The default lifetime, no tags.
    peat_host_data_attributes_t attributes = {.content_type = string_of(&content_type)};
    if (!peat_host_data_write(&item, peat_host_blobs_borrow_blob(content), &attributes, &error)) {
        return fail_with(failure, &error);
    }
    return true;
}

static bool run_profile(const text_string_t *json, exports_peat_model_methods_outcome_t *outcome, failure_t *failure) {
    struct arguments arguments;
    const char *wrong = arguments_read(&arguments, json->ptr, json->len);
    if (wrong != NULL) {
        struct buffer subject = text_of("arguments");
        struct buffer message = text_of(wrong);
        return fail(failure, string_of(&subject), string_of(&message), false);
    }
    struct buffer text = {0};
    if (!read_file(&arguments, &text, failure) || !check_text(&arguments, &text, failure)) {
        return false;
    }
    struct profile profile = profile_of(text.bytes, text.length, arguments.top);
    struct buffer written = {0};
    append_profile(&written, &profile, arguments.path.bytes, arguments.path.length);
    if (!write_json("profile", &written, failure)) {
        return false;
    }
    struct buffer summary = {0};
    buffer_append(&summary, arguments.path.bytes, arguments.path.length);
    buffer_append_text(&summary, ": ");
    buffer_append_number(&summary, profile.lines);
    buffer_append_text(&summary, " lines, ");
    buffer_append_number(&summary, profile.words);
    buffer_append_text(&summary, " words, ");
    buffer_append_number(&summary, profile.bytes);
    buffer_append_text(&summary, " bytes");
    outcome->summary = string_of(&summary);
    return true;
}

// What the world exports. The bindings free what is answered, and whatever else was allocated goes with the instance.
bool exports_peat_model_methods_run(exports_peat_model_methods_invocation_t *invocation,
                                    exports_peat_model_methods_outcome_t *outcome, failure_t *failure) {
    static const char method[] = "profile";
    if (invocation->method.len == sizeof method - 1 && memcmp(invocation->method.ptr, method, sizeof method - 1) == 0) {
        return run_profile(&invocation->arguments, outcome, failure);
    }
    struct buffer message = text_of("there is no such method");
    return fail(failure, invocation->method, string_of(&message), false);
}

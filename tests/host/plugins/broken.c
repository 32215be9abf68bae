/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin in C that is wrong in one way, chosen with -DWRONG_…, or right without any. */
#include <fieldpost/plugin.h>
#include <math.h>
#include <stdlib.h>

#ifndef TYPE
#define TYPE "plain"
#endif

__attribute__((unused)) static fp_status open_it(const fp_host* host, void** ret) {
  (void)host;
  static int instance;
  *ret = &instance;
  return FP_OK;
}
static void close_it(void* instance) { (void)instance; }

static const fp_option options[] = {
    {.size = sizeof(fp_option),
     .type = FP_OPT_INTEGER,
#ifdef WRONG_NAME
     .name = "Not-A-Name",
#else
     .name = "address",
#endif
#ifdef WRONG_FALLBACK
     .fallback = "300",
#else
     .fallback = "3",
#endif
#ifdef WRONG_UTF8
     .help = "\xff\xfe",
#endif
#ifdef WRONG_RANGE
     .min = NAN,
#else
     .min = 1,
#endif
     .max = 247},
#ifdef WRONG_ROW_SIZE
    {.size = 4, .type = FP_OPT_TEXT, .name = "second"},
#else
    {.size = sizeof(fp_option), .type = FP_OPT_TEXT, .name = "second"},
#endif
#ifdef WRONG_TWICE
    {.size = sizeof(fp_option), .type = FP_OPT_TEXT, .name = "second"},
#endif
};

static const fp_attribute attributes[] = {
    {.size = sizeof(fp_attribute), .type = FP_NUMBER, .name = "level"},
#ifdef WRONG_PLACEHOLDER
    {.size = sizeof(fp_attribute), .type = FP_NUMBER, .name = "<attribute>"},
#endif
};

static const fp_plugin plugin = {
#ifdef WRONG_MAJOR
    .abi_major = 2,
    .abi_minor = 0,
#elif defined(WRONG_MINOR)
    .abi_major = FP_ABI_MAJOR,
    .abi_minor = FP_ABI_MINOR + 1,
#else
    .abi_major = FP_ABI_MAJOR,
    .abi_minor = FP_ABI_MINOR,
#endif
#ifdef WRONG_SIZE
    .size = 16,
#else
    .size = sizeof(fp_plugin),
#endif
    .type = TYPE,
    .version = "1",
#ifndef WRONG_NULL
    .summary = "A plugin in C.",
#endif
    .options = options,
#ifdef WRONG_ENDLESS
    .n_options = (size_t)-1,
#else
    .n_options = sizeof options / sizeof options[0],
#endif
    .attributes = attributes,
    .n_attributes = sizeof attributes / sizeof attributes[0],
#ifndef WRONG_OPEN
    .open = open_it,
#endif
    .close = close_it,
};

#ifdef WRONG_SYMBOL
FP_EXPORT const fp_plugin* other_symbol(void);
FP_EXPORT const fp_plugin* other_symbol(void) { return &plugin; }
#else
const fp_plugin* fp_plugin_get(void) {
#ifdef WRONG_CRASH
  abort();
#endif
#ifdef WRONG_DESCRIPTOR
  return NULL;
#endif
  return &plugin;
}
#endif

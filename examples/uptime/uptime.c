/* SPDX-License-Identifier: Apache-2.0
 *
 * Says how long the machine has been up. A plugin in plain C: the whole ABI, without the wrapper.
 */
#include <fieldpost/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Uptime {
  const fp_host* host;
} Uptime;

static fp_str str(const char* text) {
  fp_str s = {text, strlen(text)};
  return s;
}

static fp_status open_uptime(const fp_host* host, void** ret) {
  Uptime* self = malloc(sizeof *self);
  if (self == NULL) {
    host->error(host->ctx, str("out of memory"));
    return FP_E_IO;
  }
  self->host = host;
  *ret = self;
  return FP_OK;
}

static fp_status poll_uptime(void* instance, uint32_t unit) {
  const fp_host* host = ((Uptime*)instance)->host;
  char text[64] = "";
  FILE* file = fopen("/proc/uptime", "re");
  (void)unit; /* there is one */
  if (file != NULL) {
    if (fgets(text, sizeof text, file) == NULL) text[0] = '\0';
    (void)fclose(file);
  }
  char* end = text;
  double seconds = strtod(text, &end);
  if (end == text) {
    host->error(host->ctx, str("cannot read a number from /proc/uptime"));
    return FP_E_IO;
  }
  fp_reading reading = {0};
  reading.size = sizeof reading;
  reading.attribute = 0; /* the first of attributes[] */
  reading.quality = FP_GOOD;
  reading.value.type = FP_NUMBER;
  reading.value.number = seconds;
  return host->emit(host->ctx, 0, &reading, 1) == FP_OK ? FP_OK : FP_E_INTERNAL;
}

static void close_uptime(void* instance) { free(instance); }

static const fp_attribute attributes[] = {
    {sizeof(fp_attribute), FP_NUMBER, "uptime", "s", "Time since the machine was started."},
};

static const fp_plugin plugin = {
    .abi_major = FP_ABI_MAJOR,
    .abi_minor = FP_ABI_MINOR,
    .size = sizeof(fp_plugin),
    .type = "uptime",
    .version = "1.0.0",
    .summary = "Says how long the machine has been up.",
    .attributes = attributes,
    .n_attributes = 1,
    .open = open_uptime,
    .poll = poll_uptime,
    .close = close_uptime,
};

const fp_plugin* fp_plugin_get(void) { return &plugin; }

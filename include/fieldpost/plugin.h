/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin ABI. This file is the whole contract; it is C99 and depends on nothing.
 *
 * A plugin is a shared object <type>.so that exports fp_plugin_get(). A host process loads exactly
 * one, for exactly one instance, and calls it from one thread, never concurrently and never from a
 * signal handler. Any call may block: a plugin that blocks past the instance's `deadline` is
 * killed with its process, and nobody else notices.
 *
 * Words. An instance owns one bus and serves one or more units, the devices on that bus. A unit
 * has attributes, which readings belong to, and commands, which drive its outputs.
 *
 * Order of calls: declare, open, then any of poll / on_event / command, then close. For a check of
 * a configuration declare alone is called: it must not touch a device.
 *
 * Strings are UTF-8. An fp_str carries its length and is not terminated; a const char* is
 * terminated. Pointers passed to a call are valid until that call returns; copy what you keep.
 * Tables of the descriptor live as long as the plugin is loaded.
 *
 * Versions. MAJOR changes when anything here is removed or altered, MINOR when something is added
 * at the end of a struct. A host loads a plugin if the majors are equal and the plugin's minor is
 * not newer than the host's; it reads only the first `size` bytes of a plugin's struct. While
 * MAJOR is 0 a minor may alter things too, which would be said here; older plugins then do not
 * load.
 *   0.1  first form
 *   0.2  fp_host.keep, fp_host.kept, fp_host.deadline_ns, FP_E_UNCERTAIN; plugins of 0.1 load
 *   0.3  fp_host.remark; plugins of 0.1 and 0.2 load
 */
#ifndef FIELDPOST_PLUGIN_H
#define FIELDPOST_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FP_ABI_MAJOR 0u
#define FP_ABI_MINOR 3u
#define FP_EXPORT __attribute__((visibility("default")))

/* What a call ended with. The text that goes with a failure is given with fp_host.error. */
typedef int32_t fp_status;
#define FP_OK 0
#define FP_E_INVALID (-1)     /* the request makes no sense; repeating it will not help */
#define FP_E_IO (-2)          /* the device did not answer, or answered garbage; will be retried */
#define FP_E_UNSUPPORTED (-3) /* there is no such thing */
#define FP_E_INTERNAL (-4)    /* a bug in the plugin; the host process is replaced */
#define FP_E_UNCERTAIN (-5)   /* of a command: the device may have done it or not; else FP_E_IO */

typedef struct fp_str {
  const char* data;
  size_t len;
} fp_str;

/* Types of values, which are also the data types of attributes. */
#define FP_NUMBER 1u
#define FP_BOOLEAN 2u
#define FP_STRING 3u

typedef struct fp_value {
  uint32_t type;    /* FP_NUMBER, FP_BOOLEAN or FP_STRING: which of the following counts */
  uint32_t boolean; /* 0 or 1 */
  double number;    /* finite */
  fp_str text;      /* at most 65,536 bytes */
} fp_value;

/* ---- Tables: what a plugin can be told, and what it has. ------------------------------------ */

#define FP_OPT_TEXT 1u
#define FP_OPT_INTEGER 2u   /* arrives as FP_NUMBER, a whole one */
#define FP_OPT_NUMBER 3u
#define FP_OPT_BOOLEAN 4u
#define FP_OPT_DURATION 5u  /* written "250ms", "5s", "1h"; arrives as FP_NUMBER, in seconds */
#define FP_OPT_CHOICE 6u    /* one of `choices`; arrives as FP_STRING */
#define FP_OPT_ATTRIBUTE 7u /* names an attribute: ^[0-9a-zA-Z_-]{1,255}$; arrives as FP_STRING */
#define FP_OPT_COMMAND 8u   /* names a command: 1..255 bytes; arrives as FP_STRING */

#define FP_OPT_REQUIRED 1u  /* flag: must be given */
#define FP_OPT_EXCLUSIVE 2u /* flag: no two instances may have the same value: a serial port, a
                             * server. What follows '?' does not count, nor does it matter by which
                             * of its names a device file is called. */

/* One option, or one argument of a command. The gateway checks values against it before the
 * plugin sees them, and makes error messages, help, example file and manual from it. In a table,
 * rows are options[0].size bytes apart. */
typedef struct fp_option {
  uint32_t size;  /* sizeof(fp_option) */
  uint32_t type;  /* FP_OPT_... */
  uint32_t flags; /* FP_OPT_REQUIRED, FP_OPT_EXCLUSIVE */
  uint32_t reserved;
  const char* name;     /* [a-z][a-z0-9_]* */
  const char* unit;     /* of measure: "V", "degC"; "" if there is none */
  const char* fallback; /* as it would be written; NULL: absent unless given */
  const char* help;     /* one sentence */
  const char* choices;  /* FP_OPT_CHOICE: "tcp|rtu"; else NULL */
  double min, max;      /* inclusive, for integer, number and duration (seconds); 0, 0: no limit */
} fp_option;

#define FP_TABLE_UNITS 1u /* flag: each row is a unit; all other tables may repeat inside it */

/* Rows that repeat: [[plugin.<name>]], and inside a unit [[plugin.<units>.<name>]]. */
typedef struct fp_table {
  uint32_t size;  /* sizeof(fp_table) */
  uint32_t flags; /* FP_TABLE_UNITS or 0; at most one table of a plugin has it */
  const char* name;
  const char* help;
  const fp_option* options;
  size_t n_options;
} fp_table;

typedef struct fp_attribute {
  uint32_t size;    /* sizeof(fp_attribute) */
  uint32_t type;    /* FP_NUMBER, FP_BOOLEAN or FP_STRING */
  const char* name; /* ^[0-9a-zA-Z_-]{1,255}$, unique within its device */
  const char* unit; /* of measure, "" if there is none */
  const char* help; /* one sentence, may be "" */
} fp_attribute;

#define FP_COMMAND_IDEMPOTENT 1u /* flag: running it twice is as good as once */

typedef struct fp_command {
  uint32_t size;         /* sizeof(fp_command) */
  uint32_t flags;        /* FP_COMMAND_IDEMPOTENT or 0 */
  const char* name;      /* 1..255 bytes, unique within its device */
  const char* help;      /* one sentence */
  const fp_option* args; /* at most 16 */
  size_t n_args;
  const char* output;   /* what it drives; commands of one output run one at a time, in order */
  const char* readback; /* the attribute that shows the effect, or NULL */
} fp_command;

/* ---- What the host offers. ------------------------------------------------------------------- */

/* A part of the instance's configuration: 0 is its options, others are rows. */
typedef uint32_t fp_section;

#define FP_GOOD 0u
#define FP_STALE 1u        /* an old value, not confirmed since */
#define FP_COMM_ERROR 2u   /* the device did not give it */
#define FP_OUT_OF_RANGE 3u /* the device says, or the limits say, that it cannot be */
#define FP_STUCK 4u        /* it does not change although it should */

#define FP_MAX_KEPT 256u /* keys that one instance may keep */

typedef struct fp_reading {
  uint32_t size;      /* sizeof(fp_reading) */
  uint32_t attribute; /* as declare_attribute returned it */
  uint32_t quality;   /* FP_GOOD, ...; of a value that is not good only the quality is used */
  uint32_t reserved;
  fp_value value; /* of the attribute's type. Never a 0 in place of an error. */
  fp_str detail;  /* why it is not good: "exception 2: illegal data address"; else {NULL, 0} */
} fp_reading;

/* Valid from declare until close has returned. `ctx` is the first argument of every function. */
typedef struct fp_host {
  uint32_t size; /* sizeof(fp_host) of the host; what lies beyond it is not there */
  uint32_t n_units; /* at least 1 */
  void* ctx;

  /* Configuration. A unit's section is 0 when the configuration has no rows for units. */
  fp_section (*unit)(void* ctx, uint32_t unit);
  uint32_t (*n_rows)(void* ctx, fp_section section, const char* table);
  fp_section (*row)(void* ctx, fp_section section, const char* table, uint32_t index);
  /* Stores the checked value, or the fallback. FP_E_UNSUPPORTED: not given and no fallback.
   * The text it points to is valid until close. */
  fp_status (*get)(void* ctx, fp_section section, const char* option, fp_value* ret);

  /* From declare: what the unit has. `section` is the row that asks for it (else the unit's own
   * section); a message about it points there. Return the index by which readings and calls name
   * it, counted from 0 in the order of declaration, or FP_E_INVALID (the host has reported why).
   * Allowed again in open, where the same must be declared in the same order. */
  int32_t (*declare_attribute)(void* ctx, uint32_t unit, fp_section section,
                               const fp_attribute* attribute);
  int32_t (*declare_command)(void* ctx, uint32_t unit, fp_section section,
                             const fp_command* command);
  /* From declare: the configuration cannot work, although each value alone is fine. Shown to the
   * user with file, line and column. `option` may be NULL. */
  void (*problem)(void* ctx, fp_section section, const char* option, fp_str message);

  /* Takes a sample: readings of one instant. `boottime_ns` is CLOCK_BOOTTIME, or 0 for now.
   * A good reading whose value or time cannot be sent (not finite, text over 64 KiB or not UTF-8,
   * not of the declared type; negative, in the future) is taken as FP_OUT_OF_RANGE, with a detail.
   * FP_E_INVALID: another field is out of bounds; the message is in the log, nothing was taken. */
  fp_status (*emit)(void* ctx, int64_t boottime_ns, const fp_reading* readings, size_t n);
  /* Says in a sentence why the running call is about to fail. */
  void (*error)(void* ctx, fp_str message);
  /* `priority` is one of syslog(3)'s: 3 error, 4 warning, 5 notice, 6 info, 7 debug. */
  void (*log)(void* ctx, int32_t priority, fp_str message);

  /* Whole numbers that outlive the process, such as totals: a kill of the plugin, of the agent and
   * an upgrade cost at most what came in the last second, a power cut outbox.persist_interval;
   * of what was emitted after keep() only a power cut can take anything back. They belong to the
   * instance, by its name and type. Cheap: nothing is written by the call itself.
   *
   * keep, from open to close: FP_E_INVALID, and a line in the log, if the key is not of the form
   * ^[0-9a-zA-Z_-]{1,255}$ or this process has kept FP_MAX_KEPT others. Keys of earlier processes
   * that this one does not keep stay until there is no room for them. */
  fp_status (*keep)(void* ctx, const char* key, int64_t value);
  /* What was kept last; from open on. FP_E_UNSUPPORTED: nothing. */
  fp_status (*kept)(void* ctx, const char* key, int64_t* ret_value);

  /* What any call may take, the instance's `deadline`: after that the process is killed. Time-outs
   * that together may exceed it are a problem to report in declare. */
  int64_t deadline_ns;

  /* What is to be known of an attribute although its readings are good: "lower bound". Shown with
   * it in the status and, with uplink.meta, sent along; it stands until another takes its place, an
   * empty one takes it back, or the process ends. From open to close; at most 400 bytes, more are
   * cut off. FP_E_INVALID, and a line in the log: the attribute was not declared. */
  fp_status (*remark)(void* ctx, uint32_t attribute, fp_str text);
} fp_host;

/* ---- What the plugin offers. ----------------------------------------------------------------- */

/* What the instance's process must be able to do beyond threads and ordinary files: flags. What is
 * not declared fails with EPERM, from the loading of the plugin on. In declare nothing can be
 * written, and no flag counts. */
#define FP_NEEDS_DEVICES 1u /* opens device files */
#define FP_NEEDS_NETWORK 2u /* opens sockets: AF_INET, AF_INET6, AF_UNIX */
#define FP_NEEDS_EXEC 4u    /* starts programs or processes, and signals them */

/* One command to run. */
typedef struct fp_call {
  uint32_t size;    /* sizeof(fp_call) of the host */
  uint32_t command; /* as declare_command returned it */
  const fp_value* args; /* in the order of the command's table; type 0: not given, no fallback */
  size_t n_args;
} fp_call;

typedef struct fp_plugin {
  uint32_t abi_major; /* FP_ABI_MAJOR */
  uint32_t abi_minor; /* FP_ABI_MINOR */
  uint32_t size;      /* sizeof(fp_plugin) */
  uint32_t needs;     /* FP_NEEDS_... */
  const char* type;   /* must equal the file's name without .so */
  const char* version; /* the plugin's own, shown to people */
  const char* summary; /* one sentence: what it reads or drives */
  const fp_option* options;
  size_t n_options;
  const fp_table* tables;
  size_t n_tables;
  /* Declared for every unit when `declare` is NULL; shown in help in any case, so a name in angle
   * brackets ("<attribute>") may stand for one that a row chooses. */
  const fp_attribute* attributes;
  size_t n_attributes;
  const fp_command* commands;
  size_t n_commands;

  /* Says what this configuration has and what is wrong with it. A pure function of the
   * configuration. May be NULL. FP_E_INVALID when it has reported a problem. */
  fp_status (*declare)(const fp_host* host);
  /* Opens the bus. On FP_OK stores the instance; on failure stores nothing. FP_E_IO is tried
   * again later. A device that may be absent for a while is better looked for in poll. */
  fp_status (*open)(const fp_host* host, void** ret_instance);
  /* Reads one unit; called every interval for each. FP_OK: the unit answered, even if some of its
   * attributes are not good. FP_E_IO: it did not; it is probed with growing pauses, while other
   * units keep their rate. NULL if the plugin lives from events alone. */
  fp_status (*poll)(void* instance, uint32_t unit);
  /* A descriptor that is readable when on_event should be called, or -1. Asked after open and
   * after every call, so it may change. May be NULL. */
  int (*event_fd)(void* instance);
  fp_status (*on_event)(void* instance);
  /* Runs a command to its end. On FP_OK *ret_readback is what the device says now; leave its type
   * 0 if that cannot be known. May be NULL. */
  fp_status (*command)(void* instance, const fp_call* call, fp_value* ret_readback);
  /* Releases everything. NULL as instance is allowed and does nothing. */
  void (*close)(void* instance);
} fp_plugin;

FP_EXPORT const fp_plugin* fp_plugin_get(void);

#ifdef __cplusplus
}
#endif

#endif /* FIELDPOST_PLUGIN_H */

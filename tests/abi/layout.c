/* SPDX-License-Identifier: Apache-2.0
 *
 * The layout that plugins in the field were built against. Compiled as strict C99, for this machine
 * and for a 32-bit one (armhf, by its compiler's front end alone). If it does not compile, undo the
 * change or raise FP_ABI_MAJOR; what is appended to a struct changes its size only and raises
 * FP_ABI_MINOR.
 */
#include <fieldpost/plugin.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define CHECK(condition) typedef char JOIN(check_, __LINE__)[(condition) ? 1 : -1]

/* Numbers for 64 bit, and for 32 bit with 8-byte aligned doubles (ARM). */
#if UINTPTR_MAX > 0xFFFFFFFFu
#define PICK(wide, narrow) (wide)
#elif defined(__arm__)
#define PICK(wide, narrow) (narrow)
#endif

#ifdef PICK
#define LAYOUT_SIZE(type, wide, narrow) CHECK(sizeof(type) == PICK(wide, narrow));
#define LAYOUT_AT(type, member, wide, narrow) CHECK(offsetof(type, member) == PICK(wide, narrow));
/* clang-format off */
LAYOUT_SIZE(fp_str, 16, 8)
LAYOUT_AT(fp_str, data, 0, 0)
LAYOUT_AT(fp_str, len, 8, 4)

LAYOUT_SIZE(fp_value, 32, 24)
LAYOUT_AT(fp_value, type, 0, 0)
LAYOUT_AT(fp_value, boolean, 4, 4)
LAYOUT_AT(fp_value, number, 8, 8)
LAYOUT_AT(fp_value, text, 16, 16)

LAYOUT_SIZE(fp_option, 72, 56)
LAYOUT_AT(fp_option, size, 0, 0)
LAYOUT_AT(fp_option, type, 4, 4)
LAYOUT_AT(fp_option, flags, 8, 8)
LAYOUT_AT(fp_option, reserved, 12, 12)
LAYOUT_AT(fp_option, name, 16, 16)
LAYOUT_AT(fp_option, unit, 24, 20)
LAYOUT_AT(fp_option, fallback, 32, 24)
LAYOUT_AT(fp_option, help, 40, 28)
LAYOUT_AT(fp_option, choices, 48, 32)
LAYOUT_AT(fp_option, min, 56, 40)
LAYOUT_AT(fp_option, max, 64, 48)

LAYOUT_SIZE(fp_table, 40, 24)
LAYOUT_AT(fp_table, size, 0, 0)
LAYOUT_AT(fp_table, flags, 4, 4)
LAYOUT_AT(fp_table, name, 8, 8)
LAYOUT_AT(fp_table, help, 16, 12)
LAYOUT_AT(fp_table, options, 24, 16)
LAYOUT_AT(fp_table, n_options, 32, 20)

LAYOUT_SIZE(fp_attribute, 32, 20)
LAYOUT_AT(fp_attribute, size, 0, 0)
LAYOUT_AT(fp_attribute, type, 4, 4)
LAYOUT_AT(fp_attribute, name, 8, 8)
LAYOUT_AT(fp_attribute, unit, 16, 12)
LAYOUT_AT(fp_attribute, help, 24, 16)

LAYOUT_SIZE(fp_command, 56, 32)
LAYOUT_AT(fp_command, size, 0, 0)
LAYOUT_AT(fp_command, flags, 4, 4)
LAYOUT_AT(fp_command, name, 8, 8)
LAYOUT_AT(fp_command, help, 16, 12)
LAYOUT_AT(fp_command, args, 24, 16)
LAYOUT_AT(fp_command, n_args, 32, 20)
LAYOUT_AT(fp_command, output, 40, 24)
LAYOUT_AT(fp_command, readback, 48, 28)

LAYOUT_SIZE(fp_reading, 64, 48)
LAYOUT_AT(fp_reading, size, 0, 0)
LAYOUT_AT(fp_reading, attribute, 4, 4)
LAYOUT_AT(fp_reading, quality, 8, 8)
LAYOUT_AT(fp_reading, reserved, 12, 12)
LAYOUT_AT(fp_reading, value, 16, 16)
LAYOUT_AT(fp_reading, detail, 48, 40)

LAYOUT_SIZE(fp_host, 128, 80)
LAYOUT_AT(fp_host, size, 0, 0)
LAYOUT_AT(fp_host, n_units, 4, 4)
LAYOUT_AT(fp_host, ctx, 8, 8)
LAYOUT_AT(fp_host, unit, 16, 12)
LAYOUT_AT(fp_host, n_rows, 24, 16)
LAYOUT_AT(fp_host, row, 32, 20)
LAYOUT_AT(fp_host, get, 40, 24)
LAYOUT_AT(fp_host, declare_attribute, 48, 28)
LAYOUT_AT(fp_host, declare_command, 56, 32)
LAYOUT_AT(fp_host, problem, 64, 36)
LAYOUT_AT(fp_host, emit, 72, 40)
LAYOUT_AT(fp_host, error, 80, 44)
LAYOUT_AT(fp_host, log, 88, 48)
LAYOUT_AT(fp_host, keep, 96, 52)
LAYOUT_AT(fp_host, kept, 104, 56)
LAYOUT_AT(fp_host, deadline_ns, 112, 64)
LAYOUT_AT(fp_host, remark, 120, 72)

LAYOUT_SIZE(fp_call, 24, 16)
LAYOUT_AT(fp_call, size, 0, 0)
LAYOUT_AT(fp_call, command, 4, 4)
LAYOUT_AT(fp_call, args, 8, 8)
LAYOUT_AT(fp_call, n_args, 16, 12)

LAYOUT_SIZE(fp_plugin, 160, 88)
LAYOUT_AT(fp_plugin, abi_major, 0, 0)
LAYOUT_AT(fp_plugin, abi_minor, 4, 4)
LAYOUT_AT(fp_plugin, size, 8, 8)
LAYOUT_AT(fp_plugin, needs, 12, 12)
LAYOUT_AT(fp_plugin, type, 16, 16)
LAYOUT_AT(fp_plugin, version, 24, 20)
LAYOUT_AT(fp_plugin, summary, 32, 24)
LAYOUT_AT(fp_plugin, options, 40, 28)
LAYOUT_AT(fp_plugin, n_options, 48, 32)
LAYOUT_AT(fp_plugin, tables, 56, 36)
LAYOUT_AT(fp_plugin, n_tables, 64, 40)
LAYOUT_AT(fp_plugin, attributes, 72, 44)
LAYOUT_AT(fp_plugin, n_attributes, 80, 48)
LAYOUT_AT(fp_plugin, commands, 88, 52)
LAYOUT_AT(fp_plugin, n_commands, 96, 56)
LAYOUT_AT(fp_plugin, declare, 104, 60)
LAYOUT_AT(fp_plugin, open, 112, 64)
LAYOUT_AT(fp_plugin, poll, 120, 68)
LAYOUT_AT(fp_plugin, event_fd, 128, 72)
LAYOUT_AT(fp_plugin, on_event, 136, 76)
LAYOUT_AT(fp_plugin, command, 144, 80)
LAYOUT_AT(fp_plugin, close, 152, 84)
/* clang-format on */
#endif

/* Values that are stored, sent or compiled into plugins. */
CHECK(FP_OK == 0 && FP_E_INVALID == -1 && FP_E_IO == -2);
CHECK(FP_E_UNSUPPORTED == -3 && FP_E_INTERNAL == -4 && FP_E_UNCERTAIN == -5);
CHECK(FP_NUMBER == 1 && FP_BOOLEAN == 2 && FP_STRING == 3);
CHECK(FP_OPT_TEXT == 1 && FP_OPT_INTEGER == 2 && FP_OPT_NUMBER == 3 && FP_OPT_BOOLEAN == 4);
CHECK(FP_OPT_DURATION == 5 && FP_OPT_CHOICE == 6 && FP_OPT_ATTRIBUTE == 7 && FP_OPT_COMMAND == 8);
CHECK(FP_OPT_REQUIRED == 1 && FP_OPT_EXCLUSIVE == 2);
CHECK(FP_TABLE_UNITS == 1 && FP_COMMAND_IDEMPOTENT == 1);
CHECK(FP_GOOD == 0 && FP_STALE == 1 && FP_COMM_ERROR == 2 && FP_OUT_OF_RANGE == 3 && FP_STUCK == 4);
CHECK(FP_NEEDS_DEVICES == 1 && FP_NEEDS_NETWORK == 2 && FP_NEEDS_EXEC == 4);
CHECK(sizeof(fp_status) == 4 && sizeof(fp_section) == 4);

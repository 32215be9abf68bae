// SPDX-License-Identifier: Apache-2.0
#pragma once

extern "C" {
__attribute__((weak)) void __asan_init();
__attribute__((weak)) void __tsan_init();
}

namespace fieldpost::test {

// Whether the program runs with AddressSanitizer or ThreadSanitizer, which reserve terabytes of
// addresses and keep for a while what is freed: what memory is used says nothing then. Asked of the
// linker, as the tests' own files are compiled without.
inline bool is_sanitized() { return __asan_init != nullptr || __tsan_init != nullptr; }

// How often a loop turns that allocates in each turn: with a sanitizer that takes ten times as long
// and more, and what it is to find shows in few of them.
inline int turns(int wanted) { return is_sanitized() ? wanted / 10 : wanted; }

}  // namespace fieldpost::test

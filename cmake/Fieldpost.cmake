# A few verbs, so that every other CMakeLists.txt reads as a list of facts.

option(FIELDPOST_WERROR "Warnings are errors (CI and development; never for packagers)" OFF)
set(FIELDPOST_SANITIZE "" CACHE STRING "for -fsanitize=: 'address,undefined', 'thread' or empty")
set(FIELDPOST_ABI 0) # FP_ABI_MAJOR of include/fieldpost/plugin.h; part of the plugin directory

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/libexec)

add_library(fieldpost_flags INTERFACE)
target_compile_options(fieldpost_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wno-missing-field-initializers # designated initialisers: what is not named has its default
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<BOOL:${FIELDPOST_WERROR}>:-Werror>)
# On 32 bits the C library refuses files beyond 2 GB and inode numbers beyond 2^32, which an overlay
# root has under a 64 bit kernel, unless it is told so. Not _TIME_BITS: libgpiod 1's structures have
# the time of the system's.
target_compile_definitions(fieldpost_flags INTERFACE
  $<$<EQUAL:${CMAKE_SIZEOF_VOID_P},4>:_FILE_OFFSET_BITS=64>)
# Of the product, every file is instrumented. What tests are made of is not: compiling that costs
# three times as much as without and finds faults of tests, and as it is, a compiler cache has their
# objects from another build. ThreadSanitizer must see every access, so there it is all.
add_library(fieldpost_sanitizer INTERFACE)
if(FIELDPOST_SANITIZE) # its comma would end the argument of a generator expression
  target_compile_options(fieldpost_sanitizer INTERFACE -fsanitize=${FIELDPOST_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=all
    # A third of the time that compiling takes, for what ends in a fault anyway (null), or cannot
    # be on the processors that run the tests (alignment).
    -fno-sanitize=vptr,null,alignment,object-size,pointer-overflow
    -Wno-maybe-uninitialized) # which errs with sanitizers, as GCC's manual says
  target_link_options(fieldpost_flags INTERFACE -fsanitize=${FIELDPOST_SANITIZE})
endif()
if(FIELDPOST_SANITIZE MATCHES thread)
  target_link_libraries(fieldpost_flags INTERFACE fieldpost_sanitizer)
endif()
target_include_directories(fieldpost_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)

# fieldpost_library(<layer> [LINKS <layer>...] [SOURCES <file>...] [LIBS <target>...]): the folder
# src/<layer>, built as the static library fieldpost_<layer>.
function(fieldpost_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINKS;SOURCES;LIBS")
  list(TRANSFORM arg_LINKS PREPEND fieldpost_)
  add_library(fieldpost_${name} STATIC ${arg_SOURCES})
  target_include_directories(fieldpost_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(fieldpost_${name} PUBLIC fieldpost_flags ${arg_LINKS} ${arg_LIBS}
    PRIVATE fieldpost_sanitizer)
endfunction()

# fieldpost_program(<target> NAME <file> DIR <bin|libexec> [LINKS <layer>...] [LIBS <target>...]
# SOURCES <file>...): a program at build/<preset>/<DIR>/<NAME>, installed in the same folder.
function(fieldpost_program target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "NAME;DIR" "LINKS;SOURCES;LIBS")
  list(TRANSFORM arg_LINKS PREPEND fieldpost_)
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE fieldpost_flags fieldpost_sanitizer ${arg_LINKS} ${arg_LIBS})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${arg_NAME}
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${arg_DIR})
  if(arg_DIR STREQUAL libexec)
    install(TARGETS ${target} DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/fieldpost)
  else()
    install(TARGETS ${target} DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()

# fieldpost_plugin(<type> SOURCES <file>... [LIBS <target>...]): build/<preset>/plugins/<type>.so,
# which sees the SDK and nothing of src/. The same objects are linked into its unit test.
function(fieldpost_plugin type)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  add_library(fp_${type}_objects OBJECT ${arg_SOURCES})
  set_target_properties(fp_${type}_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(fp_${type}_objects PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(fp_${type}_objects PUBLIC fieldpost_flags ${arg_LIBS} PRIVATE fieldpost_sanitizer)
  add_library(fp_${type} MODULE)
  target_link_libraries(fp_${type} PRIVATE fp_${type}_objects)
  target_link_options(fp_${type} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/plugin.map)
  set_target_properties(fp_${type} PROPERTIES PREFIX "" OUTPUT_NAME ${type}
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/plugins)
  install(TARGETS fp_${type} DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/fieldpost/plugins-${FIELDPOST_ABI})
endfunction()

# fieldpost_test(<name> [LINKS <layer>...] [SOURCES <file>...] [LIBS <target>...] [TIMEOUT <s>]
# [LABELS <label>...] [SERIAL]): a GoogleTest program; each TEST in it runs as a ctest of its own,
# SERIAL alone on the machine, for peers that answer against the clock.
function(fieldpost_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "LINKS;SOURCES;LIBS;LABELS")
  list(TRANSFORM arg_LINKS PREPEND fieldpost_)
  if(NOT arg_SOURCES)
    set(arg_SOURCES ${name}.cpp)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE fieldpost_flags ${arg_LINKS} ${arg_LIBS} GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  if(NOT arg_LABELS)
    set(arg_LABELS default) # an empty value would be taken for a missing one
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}" RUN_SERIAL ${arg_SERIAL}
    # One variable each way: a list of two would come apart inside gtest_discover_tests.
    ENVIRONMENT "FIELDPOST_BUILD_DIR=${PROJECT_BINARY_DIR}"
    ENVIRONMENT_MODIFICATION "FIELDPOST_SOURCE_DIR=set:${PROJECT_SOURCE_DIR}")
endfunction()
if(BUILD_TESTING)
  include(GoogleTest)
endif()

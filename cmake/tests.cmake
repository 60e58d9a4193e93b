# SPDX-License-Identifier: Apache-2.0
# Tests under CTest. CMake finds them by their names; see tests/README.md.

# What a sanitizer finds ends the test, with the place it was found at.
set(SKALD_TEST_ENVIRONMENT
    "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp"
    "SKALD_SOURCE_DIR=${PROJECT_SOURCE_DIR}")

# skald_ctest(NAME SECONDS COMMAND...) adds one test. Exit 77 counts as skipped, and CTest says so.
function(skald_ctest name seconds)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds} SKIP_RETURN_CODE 77
                                          ENVIRONMENT "${SKALD_TEST_ENVIRONMENT}")
endfunction()

# skald_test(FILE LIBRARY...) makes one cmocka program, named after its file, and its test.
function(skald_test file)
  if(NOT SKALD_TESTS)
    return()
  endif()
  get_filename_component(name ${file} NAME_WE)
  add_executable(${name} ${file})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE SKALD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARGN} PkgConfig::CMOCKA)
  skald_ctest(${name} 900 ${name}) # it takes seconds: the limit is for one that hangs
endfunction()

# skald_test_folders(FOLDER...) makes the tests of tests/FOLDER, which see every floor. The other .c
# files in such a folder help: each test may use those of its own folder and of the others.
function(skald_test_folders)
  if(NOT SKALD_TESTS)
    return()
  endif()
  set(all_helpers)
  foreach(folder ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/*.c)
    set(tests_${folder} ${sources})
    list(FILTER sources EXCLUDE REGEX "_test\\.c$")
    list(FILTER tests_${folder} INCLUDE REGEX "_test\\.c$")
    if(sources AND tests_${folder})
      set(helpers tests_${folder}_helpers)
      add_library(${helpers} STATIC ${sources})
      target_include_directories(${helpers} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
      target_compile_definitions(${helpers} PRIVATE SKALD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
      target_link_libraries(${helpers} PUBLIC ski_system PkgConfig::CMOCKA)
      list(APPEND all_helpers ${helpers})
    endif()
  endforeach()
  foreach(folder ${ARGN})
    foreach(test ${tests_${folder}})
      skald_test(${test} ${all_helpers} ski_system)
    endforeach()
  endforeach()
endfunction()

# skald_fuzz(FILE) makes a fuzzer in the fuzz preset. Elsewhere it makes a test that runs the same
# function over the corpus kept in git: fuzz_NAME.c has its corpus in fuzz/corpus/NAME.
function(skald_fuzz file)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" corpus ${name})
  set(corpus ${PROJECT_SOURCE_DIR}/fuzz/corpus/${corpus})
  if(SKALD_FUZZ)
    add_executable(${name} ${file})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name} ${file} ${PROJECT_SOURCE_DIR}/fuzz/replay.c)
    skald_ctest(${name} 900 ${name} ${corpus})
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${name} PRIVATE ski_system)
  add_dependencies(fuzzers ${name})
endfunction()

# skald_script(FILE SECONDS ARGUMENT...) makes a test of a shell script that runs the programs.
function(skald_script file seconds)
  get_filename_component(name ${file} NAME_WE)
  get_filename_component(folder ${file} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  skald_ctest(${folder}_${name} ${seconds} bash ${file} ${ARGN})
  set(programs)
  if(TARGET skald)
    list(APPEND programs "SKALD=$<TARGET_FILE:skald>")
  endif()
  if(TARGET skald-bench)
    list(APPEND programs "SKALD_BENCH=$<TARGET_FILE:skald-bench>")
  endif()
  set_property(TEST ${folder}_${name} APPEND PROPERTY ENVIRONMENT ${programs})
endfunction()

# SPDX-License-Identifier: Apache-2.0
# The programs. They see include/ only, and reach the floors through libskald alone.

# skald_program(NAME FOLDER LIBRARY...) makes a program of every .c in FOLDER but tests, which are
# linked with all of it but main.c. An empty folder makes nothing.
function(skald_program name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.c$")
  list(FILTER tests INCLUDE REGEX "_test\\.c$")
  if(NOT sources)
    message(STATUS "${folder}/ has no sources: ${name} is left out")
    return()
  endif()
  set(main ${sources})
  list(FILTER main INCLUDE REGEX "/main\\.c$")
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  add_executable(${name} ${main})
  if(sources)
    add_library(${folder}_parts STATIC ${sources})
    target_link_libraries(${folder}_parts PUBLIC skald_static ${ARGN})
    target_link_libraries(${name} PRIVATE ${folder}_parts)
  endif()
  target_link_libraries(${name} PRIVATE skald_static ${ARGN})
  # Memory is freed on other threads than it was taken on; glibc is slow at that. A sanitizer brings
  # its own allocator.
  if(JEMALLOC_FOUND AND CMAKE_BUILD_TYPE STREQUAL "Release")
    target_link_libraries(${name} PRIVATE PkgConfig::JEMALLOC)
  endif()
  foreach(test ${tests})
    skald_test(${test} ${folder}_parts)
  endforeach()
endfunction()

skald_program(skald server PkgConfig::CURL PkgConfig::JANSSON PkgConfig::LIBUV)
if(TARGET skald)
  install(TARGETS skald COMPONENT program)
endif()

# The peers that are measured beside us are linked when they are there; others run from bench/peers.
set(peers)
set(definitions SKALD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
foreach(peer SQLITE3 HIREDIS LMDB ROCKSDB)
  if(${peer}_FOUND)
    list(APPEND peers PkgConfig::${peer})
    list(APPEND definitions SKALD_HAVE_${peer}=1)
  endif()
endforeach()
skald_program(skald-bench bench PkgConfig::CURL PkgConfig::JANSSON PkgConfig::LIBUV ${peers})
foreach(target skald-bench bench_parts)
  if(TARGET ${target})
    target_compile_definitions(${target} PRIVATE ${definitions})
  endif()
endforeach()

# What make build makes: everything that is installed or measured, no tests.
add_custom_target(product DEPENDS skald_shared skald_static)
foreach(program skald skald-bench)
  if(TARGET ${program})
    add_dependencies(product ${program})
  endif()
endforeach()

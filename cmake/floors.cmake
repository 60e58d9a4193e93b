# SPDX-License-Identifier: Apache-2.0
# The floors of the library. The folder is the list: nothing is named here that a glob can find.

# skald_floor(NAME BELOW LOWER LINKS LIBRARY...) makes one static library of src/NAME (every .c and
# .cc below it but tests) that sees the floors below it and no others, and one CTest test of each
# *_test.c in it. scripts/check-layers checks what the compiler cannot.
function(skald_floor name)
  cmake_parse_arguments(floor "" "BELOW" "LINKS" ${ARGN})
  set(folder ${PROJECT_SOURCE_DIR}/src/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.c ${folder}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.c$")
  list(FILTER tests INCLUDE REGEX "_test\\.c$")
  if(NOT sources) # not built yet: an empty floor still carries those below it
    set(sources ${PROJECT_BINARY_DIR}/empty.c)
    file(CONFIGURE OUTPUT ${sources} CONTENT "typedef int ski_empty;\n")
  endif()
  add_library(ski_${name} STATIC ${sources})
  target_include_directories(ski_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
                                         PRIVATE ${PROJECT_SOURCE_DIR}/src)
  if(floor_BELOW)
    target_link_libraries(ski_${name} PUBLIC ski_${floor_BELOW})
  endif()
  target_link_libraries(ski_${name} PUBLIC ${floor_LINKS} Threads::Threads)
  set_property(GLOBAL APPEND PROPERTY SKALD_FLOORS ski_${name})
  set_property(GLOBAL APPEND PROPERTY SKALD_PARTS ${floor_LINKS})
  foreach(test ${tests})
    skald_test(${test} ski_${name})
  endforeach()
endfunction()

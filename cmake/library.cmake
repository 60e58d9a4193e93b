# SPDX-License-Identifier: Apache-2.0
# libskald: all floors in one archive and one shared library, and how others find it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(floors GLOBAL PROPERTY SKALD_FLOORS)
get_property(parts GLOBAL PROPERTY SKALD_PARTS)
list(REMOVE_DUPLICATES parts)
list(REMOVE_ITEM parts llhttp) # compiled in: nobody has it as a library
set(objects)
foreach(floor ${floors} llhttp)
  list(APPEND objects $<TARGET_OBJECTS:${floor}>)
endforeach()

# The archive brings no C++ into a C program's link line but the one library it needs.
add_library(skald_static STATIC ${objects})
target_link_libraries(skald_static PRIVATE ${parts} Threads::Threads stdc++)

# Only what a public header declares is exported, also of templates and of llhttp. The options
# structs may grow with a minor version, so the soname carries it.
add_library(skald_shared SHARED ${objects})
target_link_libraries(skald_shared PRIVATE ${parts} Threads::Threads)
target_link_options(skald_shared PRIVATE
                    -Wl,--version-script,${PROJECT_SOURCE_DIR}/cmake/exports.map)
set_target_properties(skald_shared PROPERTIES
                      VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
                      LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)

foreach(library skald_static skald_shared)
  set_target_properties(${library} PROPERTIES OUTPUT_NAME skald LINKER_LANGUAGE CXX)
  target_include_directories(${library} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                               $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
set_target_properties(skald_shared PROPERTIES EXPORT_NAME skald)

# The prefix is chosen when it is installed, so the files find it from where they lie.
file(RELATIVE_PATH SKALD_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/cmake/skald.pc.in ${PROJECT_BINARY_DIR}/skald.pc @ONLY)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/skald)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/skaldConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/skaldConfig.cmake
                              INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/skaldConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)

install(TARGETS skald_shared EXPORT skaldShared)
install(TARGETS skald_static EXPORT skaldStatic)
install(EXPORT skaldShared NAMESPACE skald:: DESTINATION ${config_dir})
install(EXPORT skaldStatic NAMESPACE skald:: DESTINATION ${config_dir})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/skald DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/skald.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_BINARY_DIR}/skaldConfig.cmake ${PROJECT_BINARY_DIR}/skaldConfigVersion.cmake
        DESTINATION ${config_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE
        DESTINATION ${CMAKE_INSTALL_DOCDIR})

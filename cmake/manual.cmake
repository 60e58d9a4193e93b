# SPDX-License-Identifier: Apache-2.0
# The manual page and the completion of shells, made by the program from the tables of its verbs, so
# that they cannot tell of an option that is not there. Run as a script with -DSKALD, -DPROSE, -DOUTPUT
# it writes them.
if(OUTPUT)
  foreach(shell bash zsh fish)
    execute_process(COMMAND ${SKALD} completion ${shell} OUTPUT_FILE ${OUTPUT}/skald.${shell}
                    COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
  execute_process(COMMAND ${SKALD} help --mdoc OUTPUT_VARIABLE VERBS OUTPUT_STRIP_TRAILING_WHITESPACE
                  COMMAND_ERROR_IS_FATAL ANY)
  set(ENV{LC_ALL} C)
  string(TIMESTAMP DATE "%B %d, %Y" UTC) # of SOURCE_DATE_EPOCH, if that is set
  string(REPLACE " 0" " " DATE "${DATE}")
  configure_file(${PROSE} ${OUTPUT}/skald.1 @ONLY)
  execute_process(COMMAND gzip -9 -n -c ${OUTPUT}/skald.1 OUTPUT_FILE ${OUTPUT}/skald.1.gz
                  COMMAND_ERROR_IS_FATAL ANY)
  return()
endif()

if(NOT TARGET skald)
  return()
endif()
set(manual ${PROJECT_BINARY_DIR}/manual)
file(MAKE_DIRECTORY ${manual})
set(files ${manual}/skald.1.gz ${manual}/skald.bash ${manual}/skald.zsh ${manual}/skald.fish)
add_custom_command(
  OUTPUT ${files}
  COMMAND ${CMAKE_COMMAND} -DSKALD=$<TARGET_FILE:skald> -DPROSE=${PROJECT_SOURCE_DIR}/deploy/man/skald.1.in
          -DOUTPUT=${manual} -P ${PROJECT_SOURCE_DIR}/cmake/manual.cmake
  DEPENDS skald ${PROJECT_SOURCE_DIR}/deploy/man/skald.1.in ${PROJECT_SOURCE_DIR}/cmake/manual.cmake
  COMMENT "The manual page and the completion of shells"
  VERBATIM)
add_custom_target(manual ALL DEPENDS ${files})
add_dependencies(product manual)

install(FILES ${manual}/skald.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
install(FILES ${manual}/skald.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME skald COMPONENT program)
install(FILES ${manual}/skald.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
        COMPONENT program)
# zsh looks below /usr/local where others put theirs; Debian has a folder for packages.
install(FILES ${manual}/skald.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions
        RENAME _skald COMPONENT Unspecified)

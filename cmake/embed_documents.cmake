# SPDX-License-Identifier: Apache-2.0
# skald_embed_documents(TARGET FOLDER) compiles the files of a folder into a library as they are; C finds
# them by name (src/api/api_documents.h). Run as a script with -DOUTPUT and -DFOLDER it writes the C.
if(OUTPUT)
  file(GLOB files ${FOLDER}/*.json ${FOLDER}/*.css ${FOLDER}/*.js)
  list(SORT files)
  set(text "// Made by cmake/embed_documents.cmake.\n#include \"api/api_documents.h\"\n\n")
  set(table "const ski_document ski_documents[] = {\n")
  set(index 0)
  foreach(file ${files})
    get_filename_component(name ${file} NAME)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
    string(APPEND text "static const char document_${index}[] = {\n${bytes}\n};\n")
    string(APPEND table "    {\"${name}\", {document_${index}, sizeof document_${index}}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  file(WRITE ${OUTPUT} "${text}\n${table}    {0},\n};\n")
  return()
endif()

function(skald_embed_documents target folder)
  set(source ${PROJECT_SOURCE_DIR}/${folder})
  set(output ${PROJECT_BINARY_DIR}/documents.c)
  file(GLOB files CONFIGURE_DEPENDS ${source}/*.json ${source}/*.css ${source}/*.js)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DFOLDER=${source}
            -P ${PROJECT_SOURCE_DIR}/cmake/embed_documents.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed_documents.cmake
    VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()

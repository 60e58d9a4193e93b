# SPDX-License-Identifier: Apache-2.0
# Run as a script: cmake -DOUTPUT=file.c -DFOLDER=folder -DICONS=folder [-DBUILD=web -DWORK=folder -DNODE=node]
# -P embed.cmake writes the page as C arrays: index.html of FOLDER, and the files beside it or in its
# assets/. With BUILD, the page's sources are first copied to WORK, where npm's packages are, and built
# there: nothing is written into the sources.
if(BUILD)
  file(REMOVE_RECURSE ${WORK}/src ${WORK}/public ${WORK}/dist)
  file(COPY ${BUILD}/src ${BUILD}/public ${BUILD}/index.html ${BUILD}/vite.config.js DESTINATION ${WORK})
  execute_process(COMMAND ${NODE} node_modules/vite/bin/vite.js build --logLevel warn
                  WORKING_DIRECTORY ${WORK} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "The page in ${BUILD} was not built; vite said why.")
  endif()
endif()
file(GLOB files ${FOLDER}/*.html ${FOLDER}/*.css ${FOLDER}/assets/*.js ${FOLDER}/assets/*.css ${ICONS}/*.svg)
list(SORT files)
set(types_html "text/html; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_svg "image/svg+xml")
set(made "built by vite")
if(NOT BUILD)
  set(made "SKALD_PAGE_PLAIN: without npm") # tests/browser/page.sh looks for it
endif()
set(text "// Made from web/ by cmake/embed.cmake; ${made}.\n#include \"api/api_assets.h\"\n\n")
set(table "const ski_asset ski_assets[] = {\n")
set(index 0)
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  string(REGEX MATCH "[a-z]+$" ending ${file})
  # Vite puts a hash of the content into the name: such a file never changes.
  set(hashed "false")
  if(name MATCHES "-[A-Za-z0-9_-]+\\.(js|css)$")
    set(hashed "true")
  endif()
  string(APPEND text "static const unsigned char asset_${index}[] = {\n${bytes}\n};\n")
  string(APPEND table "    {\"${name}\", \"${types_${ending}}\", asset_${index}, sizeof asset_${index}, ${hashed}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT} "${text}\n${table}    {0},\n};\n")

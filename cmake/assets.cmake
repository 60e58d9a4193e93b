# SPDX-License-Identifier: Apache-2.0
# skald_embed(TARGET FOLDER) builds the page in FOLDER by npm and compiles it into a library.
#
# What the lock file names is fetched once for each build folder, into it, when CMake runs; from then on
# no build asks the network. Where there is no npm, or nothing to fetch from, the plain page in
# FOLDER/plain takes the page's place, and CMake says so; the next run of CMake tries again.
option(SKALD_PAGE "build the page by npm, if it is there" ON)

# skald_npm_ci(FOLDER WORK RET_READY) copies the two package files of FOLDER to WORK and fetches what they
# name, unless that was done before. RET_READY: an empty text, or why it could not be done.
function(skald_npm_ci folder work ret_problem)
  find_program(SKALD_NODE NAMES node nodejs)
  find_program(SKALD_NPM npm)
  set(${ret_problem} "there is no npm" PARENT_SCOPE)
  if(NOT SKALD_NODE OR NOT SKALD_NPM)
    return()
  endif()
  execute_process(COMMAND ${SKALD_NODE} --version OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE
                  ERROR_QUIET)
  string(REGEX REPLACE "^v" "" version "${version}")
  if(version VERSION_LESS 18)
    set(${ret_problem} "node is ${version}, and 18 is the least" PARENT_SCOPE)
    return()
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/package-lock.json)
  file(SHA256 ${folder}/package-lock.json lock)
  set(done ${work}/node_modules/.skald-${lock})
  if(NOT EXISTS ${done})
    file(COPY ${folder}/package.json ${folder}/package-lock.json DESTINATION ${work})
    execute_process(
      COMMAND ${SKALD_NPM} ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error
              --fetch-retries=1 --fetch-retry-mintimeout=500 --fetch-timeout=20000
      WORKING_DIRECTORY ${work} TIMEOUT 180 RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE said)
    if(NOT status EQUAL 0)
      string(REGEX MATCH "npm [^\n]*(E[A-Z]+|network|ENOTFOUND)[^\n]*" why "${said}")
      set(${ret_problem} "npm ci failed (${why})" PARENT_SCOPE)
      return()
    endif()
    file(TOUCH ${done})
  endif()
  set(${ret_problem} "" PARENT_SCOPE)
endfunction()

function(skald_embed target folder)
  set(source ${PROJECT_SOURCE_DIR}/${folder})
  set(work ${PROJECT_BINARY_DIR}/page)
  set(output ${PROJECT_BINARY_DIR}/assets.c)
  set(problem "SKALD_PAGE is off")
  if(SKALD_PAGE)
    skald_npm_ci(${source} ${work} problem)
  endif()
  if(problem)
    message(STATUS "The page is NOT built: ${problem}. The server gets a plain one; the API is whole.")
    set(how -DFOLDER=${source}/plain)
  else()
    set(how -DFOLDER=${work}/dist -DBUILD=${source} -DWORK=${work} -DNODE=${SKALD_NODE})
  endif()
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${source}/src/* ${source}/public/* ${source}/plain/*)
  # How it was built is among what the output depends on: a page that can be built replaces a plain one.
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/page-how.txt CONTENT "${how}\n")
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DICONS=${source}/public/assets ${how}
            -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${source}/index.html ${source}/vite.config.js ${source}/package-lock.json
            ${PROJECT_BINARY_DIR}/page-how.txt ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "The page"
    VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()

# SPDX-License-Identifier: Apache-2.0
# The libraries of others, all from Debian's packages: scripts/setup installs them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# The library's. skaldConfig.cmake and skald.pc name the same ones.
find_package(simdjson REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(SSL REQUIRED IMPORTED_TARGET libssl)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(FYAML REQUIRED IMPORTED_TARGET libfyaml)
pkg_check_modules(SQLITE3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)

# The programs'.
pkg_check_modules(JEMALLOC QUIET IMPORTED_TARGET jemalloc)

# The tests' and the benchmark's: what is not there is left out.
pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
pkg_check_modules(HIREDIS QUIET IMPORTED_TARGET hiredis)
pkg_check_modules(LMDB QUIET IMPORTED_TARGET lmdb)
pkg_check_modules(ROCKSDB QUIET IMPORTED_TARGET rocksdb)

# llhttp comes as C sources (package node-llhttp); strict mode is chosen when it is compiled.
add_library(llhttp STATIC /usr/share/llhttp/api.c /usr/share/llhttp/http.c /usr/share/llhttp/llhttp.c)
target_include_directories(llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(llhttp PRIVATE -w)

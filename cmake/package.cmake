# SPDX-License-Identifier: Apache-2.0
# The Debian package: what `make install` puts below a prefix of the program (component "program"), and
# what only a package may put into the system (component "debian", which no other install touches).
# scripts/fresh-package proves it; deploy/debian/README.md says what is in it.
set(deploy ${PROJECT_SOURCE_DIR}/deploy)
set(package ${PROJECT_BINARY_DIR}/debian)

# Who answers for the package is who builds it; nobody else can promise to. The variables are those of Debian's own
# tools. The address without them is one that by RFC 2606 is nobody's.
if(DEFINED ENV{DEBEMAIL} AND NOT "$ENV{DEBEMAIL}" STREQUAL "")
  set(packager "$ENV{DEBFULLNAME}")
  if("${packager}" STREQUAL "")
    set(packager "$ENV{DEBEMAIL}")
  endif()
  set(packager "${packager} <$ENV{DEBEMAIL}>")
else()
  set(packager "A local build of skald <nobody@skald.invalid>")
endif()
set(SKALD_PACKAGER "${packager}" CACHE STRING "who answers for the Debian package: Name <address>")

# gzip_file(NAME) makes NAME.gz in the build as Debian wants it: the same bytes each time.
function(gzip_file source name)
  execute_process(COMMAND gzip -9 -n -c ${source} OUTPUT_FILE ${package}/${name}.gz COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(MAKE_DIRECTORY ${package})
file(READ ${deploy}/systemd/skald.service unit)
string(REPLACE "/usr/local/bin/" "/usr/bin/" unit "${unit}")
file(CONFIGURE OUTPUT ${package}/skald.service CONTENT "${unit}" @ONLY)
string(TIMESTAMP SKALD_PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(${deploy}/debian/changelog.in ${package}/changelog @ONLY)
gzip_file(${package}/changelog changelog)
gzip_file(${PROJECT_SOURCE_DIR}/NOTICE NOTICE)

set(for_package COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${package}/skald.service DESTINATION /lib/systemd/system ${for_package})
install(FILES ${deploy}/debian/skald.yaml DESTINATION /etc/skald ${for_package})
install(FILES ${PROJECT_BINARY_DIR}/manual/skald.zsh DESTINATION share/zsh/vendor-completions RENAME _skald ${for_package})
install(FILES ${deploy}/debian/copyright ${package}/changelog.gz ${package}/NOTICE.gz DESTINATION share/doc/skald ${for_package})
install(FILES ${deploy}/skald.yaml DESTINATION share/doc/skald/examples ${for_package})
install(DIRECTORY ${deploy}/monitoring DESTINATION share/doc/skald/examples ${for_package})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION share/doc/skald/docs ${for_package}
        FILES_MATCHING PATTERN "*.md" PATTERN "internals" EXCLUDE)

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL program debian)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_PACKAGE_NAME skald)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${SKALD_PACKAGER}")
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "event store, event bus and HTTP API in one program")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "skald remembers what has happened and tells it. Events are appended once,
durably, to one ordered log; everyone who wants them has a named cursor on
that log, goes on where it left off after a crash, and never holds up the one
who publishes. No database, no broker and no configuration are needed.

The package has the server with its page, the command line, and a service
that answers on this machine until it is told otherwise.")
# procps has the kill that the unit reloads by.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, procps")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${deploy}/debian/conffiles ${deploy}/debian/postinst
    ${deploy}/debian/prerm ${deploy}/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)

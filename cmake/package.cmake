# Manual pages, completion and the bill of materials, made from the built programs; the .deb (`cpack` in the build folder).
set(generated ${CMAKE_BINARY_DIR}/generated)
add_custom_command(
  OUTPUT ${generated}/man/wmlab.1 ${generated}/wmlab.spdx.json
  COMMAND ${CMAKE_SOURCE_DIR}/cmake/manual.sh ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${generated} ${PROJECT_VERSION}
  COMMAND ${CMAKE_SOURCE_DIR}/cmake/sbom.sh ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${PROJECT_VERSION} > ${generated}/wmlab.spdx.json
  DEPENDS wmlab server_sim client_sim encoder_sim ${CMAKE_SOURCE_DIR}/cmake/manual.sh ${CMAKE_SOURCE_DIR}/cmake/sbom.sh
  COMMENT "manual pages, completion, bill of materials" VERBATIM)
add_custom_target(manual ALL DEPENDS ${generated}/man/wmlab.1 ${generated}/wmlab.spdx.json)
install(DIRECTORY ${generated}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${generated}/bash/wmlab DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${generated}/zsh/_wmlab DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${generated}/fish/wmlab.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${generated}/wmlab.spdx.json DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME wmlab)
set(CPACK_PACKAGE_CONTACT "The wmlab authors <wmlab@wmlab.example>")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "iptables, patch, tinyproxy-bin")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "wireshark-common, tshark")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "test lab for the ports of Windows Media Services 4.1 (KB189416)
 Runs protocol-accurate servers, players and encoders through a firewall and says
 which streams work, where the others stop, which rule stops them and what rule
 would let them through.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${CMAKE_SOURCE_DIR}/cmake/deb/postinst;${CMAKE_SOURCE_DIR}/cmake/deb/prerm")
include(CPack)

# cmake --install: four programs, the scenarios and the documentation.
install(TARGETS wmlab server_sim client_sim encoder_sim RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY scenarios/ DESTINATION ${CMAKE_INSTALL_DATADIR}/wmlab/scenarios)
install(FILES cmake/apparmor/wmlab DESTINATION ${CMAKE_INSTALL_DATADIR}/wmlab/apparmor)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

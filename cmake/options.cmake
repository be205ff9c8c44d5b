# Build options shared by every target.
option(WMLAB_TESTS "build the tests" ON)
option(WMLAB_FUZZ "build the libFuzzer targets (clang)" OFF)
set(WMLAB_SANITIZE "" CACHE STRING "sanitizers, comma separated: address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# Most of a compilation is the headers of Asio and the standard library: several sources are compiled together. File-local
# names are therefore different within a folder.
set(CMAKE_UNITY_BUILD ON CACHE BOOL "compile several sources of a folder together")
set(CMAKE_UNITY_BUILD_BATCH_SIZE 6 CACHE STRING "how many")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(wmlab_warnings INTERFACE)
option(WMLAB_WERROR "warnings are errors" ON)  # off for packages: other compilers and -O3 warn of other things
target_compile_options(wmlab_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${WMLAB_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees uninitialised members in every std::variant and std::optional it inlines at -O2; the sanitizers look for real ones.
  target_compile_options(wmlab_warnings INTERFACE -Wno-maybe-uninitialized)
  # Optimising, it inlines one half only of the pair by which Asio allocates a coroutine's frame.
  target_compile_options(wmlab_warnings INTERFACE -Wno-mismatched-new-delete)
  # Meant for headers; g++ takes a source that is compiled together with others for one.
  target_compile_options(wmlab_warnings INTERFACE $<$<BOOL:${CMAKE_UNITY_BUILD}>:-Wno-subobject-linkage>)
endif()

include_directories(${CMAKE_SOURCE_DIR})
# Asio is compiled once (common/net/asio_src.cpp), not in every file that awaits.
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)

if(WMLAB_SANITIZE)
  # vptr opens a pipe to see whether memory may be read: with all descriptors in use, as some tests have it, it accuses good objects.
  # Null pointers crash under the address sanitizer anyway; these three are a third of the time to compile, and the fuzz targets have them.
  add_compile_options(-fsanitize=${WMLAB_SANITIZE} -fno-sanitize=vptr,null,alignment,object-size -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WMLAB_SANITIZE})
endif()
if(WMLAB_FUZZ)
  # clang 14 cannot compile coroutines with the function sanitizer ("Cannot represent a difference across sections").
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=function -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()

// What is most likely behind a line that yaml-cpp does not understand, in plain words. Internal to the loader. Pure.
#pragma once
#include <string_view>

#include "common/scenario/yaml_tree.hpp"

namespace wmlab::scenario::yaml {

// `error` is yaml-cpp's own; it stays where nothing better is known.
YamlError in_plain_words(std::string_view text, YamlError error);

// "zone:inside", a key without the blank behind its colon: "zone: inside". Empty: it is none.
std::string with_blank(std::string_view key);

}  // namespace wmlab::scenario::yaml

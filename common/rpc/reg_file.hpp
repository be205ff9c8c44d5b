// Registry export files: REGEDIT4 (ANSI) and "Windows Registry Editor Version 5.00" (UTF-16LE, ASCII and UTF-8
// accepted).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/rpc/ndr.hpp"

namespace wmlab::rpc {

struct RegValue {
    enum class Type { sz, multi_sz, expand_sz, binary, dword, other, deleted };
    std::string name;  // empty: the key's default value
    Type type = Type::sz;
    std::vector<std::string> strings;  // one for sz and expand_sz, any number for multi_sz
    std::uint32_t number = 0;          // dword
    Octets data;                       // as written, for all hex forms
    unsigned line = 0;
    bool operator==(const RegValue&) const = default;
};

struct RegKey {
    std::string path;      // as written: HKEY_LOCAL_MACHINE\... or Samba's HKLM\...
    bool deleted = false;  // [-path]
    std::vector<RegValue> values;
    unsigned line = 0;
    bool operator==(const RegKey&) const = default;
};

struct RegFile {
    unsigned version = 5;  // 4 or 5; decides how wide the characters of hex(7) are
    std::vector<RegKey> keys;
    bool operator==(const RegFile&) const = default;
};

struct RegProblem {
    unsigned line = 0;  // from 1
    std::string what;
    std::string text() const;  // "line 4: hex(7) has 7 octets, which are no whole UTF-16 characters"
    bool operator==(const RegProblem&) const = default;
};

struct RegRead {
    RegFile file;
    std::vector<RegProblem> problems;  // empty: all of the file was understood; at most 100
    bool ok() const { return problems.empty(); }
};

RegRead read_reg(std::string_view octets);
std::string write_reg(const RegFile& file);  // CR LF; version 5 as UTF-16LE with its byte order mark

}  // namespace wmlab::rpc

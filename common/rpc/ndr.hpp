// NDR32 (C706 chapter 14): scalars aligned to their size from the start of the stub, integers in the sender's byte
// order. What a count claims must be there before anything is allocated for it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"
#include "common/bytes/writer.hpp"
#include "common/rpc/identifiers.hpp"

namespace wmlab::rpc {

using bytes::Bytes;
using bytes::Parsed;
using Octets = std::vector<std::byte>;

enum class ByteOrder { little, big };

class NdrReader {
public:
    explicit NdrReader(Bytes stub, ByteOrder order = ByteOrder::little) : in_{stub}, order_{order} {}

    std::uint8_t u8(std::string_view field) { return in_.u8(field); }
    std::uint16_t u16(std::string_view field);
    std::uint32_t u32(std::string_view field);
    std::uint64_t u64(std::string_view field);
    Guid guid(std::string_view field);
    SyntaxId syntax(std::string_view field);  // p_syntax_id_t: UUID and u32 version
    Bytes raw(std::size_t size, std::string_view field) { return in_.raw(size, field); }
    bool pointer(std::string_view field) { return u32(field) != 0; }  // any non-zero referent id is "present"
    // max_count of a conformant array; fails when so many elements cannot be in what is left.
    std::size_t conformance(std::size_t element_size, std::string_view field);
    // [string] wchar_t*: max_count, offset, actual_count, characters with their NUL.
    std::u16string wide_string(std::string_view field);
    Guid context_handle(std::string_view field);  // its UUID; nil is the NULL handle

    void align(std::size_t multiple);
    void check(bool holds, std::string_view problem) { in_.check(holds, problem); }
    void seek(std::size_t offset, std::string_view field) { in_.seek(offset, field); }
    std::size_t offset() const { return in_.offset(); }
    std::size_t left() const { return in_.left(); }
    bool failed() const { return in_.failed(); }
    const std::optional<bytes::ParseError>& error() const { return in_.error(); }
    ByteOrder order() const { return order_; }
    Bytes rest() const { return in_.rest(); }

    template <class Message>
    Parsed<Message> finish(Message message) const {
        return in_.finish(std::move(message));
    }

private:
    bytes::Reader in_;
    ByteOrder order_;
};

class NdrWriter {
public:
    explicit NdrWriter(ByteOrder order = ByteOrder::little) : order_{order} {}

    void u8(std::uint8_t value) { out_.u8(value); }
    void u16(std::uint16_t value);
    void u32(std::uint32_t value);
    void u64(std::uint64_t value);
    void guid(const Guid& value);
    void syntax(const SyntaxId& value);
    void raw(Bytes octets) { out_.raw(octets); }
    void zeros(std::size_t count) { out_.zeros(count); }
    void align(std::size_t multiple) { out_.align(multiple); }
    void referent();  // the next referent id: 0x00020000, 0x00020004, ... as Windows counts them
    void pointer(bool present) { present ? referent() : u32(0); }
    void count(std::size_t value) { u32(static_cast<std::uint32_t>(value)); }
    void wide_string(std::u16string_view text);
    void context_handle(const Guid& uuid);
    void patch_u16(std::size_t offset, std::uint16_t value);

    std::size_t size() const { return out_.size(); }
    const Octets& bytes() const { return out_.bytes(); }
    Octets take() { return out_.take(); }
    ByteOrder order() const { return order_; }

private:
    bytes::Writer out_;
    ByteOrder order_;
    std::uint32_t next_referent_ = 0x00020000;
};

}  // namespace wmlab::rpc

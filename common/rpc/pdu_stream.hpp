// From a TCP stream to whole PDUs, and from the fragments of one call to its stub. Both are bounded.
#pragma once
#include <cstdint>
#include <optional>

#include "common/rpc/pdu.hpp"

namespace wmlab::rpc {

// Cuts a byte stream into PDUs by frag_length.
class PduStream {
public:
    void append(Bytes received);
    // The next whole PDU; nothing while bytes are missing; an error when what comes next can be no PDU: from then on
    // the stream is lost. The bytes stay valid until the next append().
    std::optional<Parsed<Bytes>> next();
    bool partial() const { return at_ < buffer_.size(); }  // a PDU has begun and is not whole

private:
    Octets buffer_;
    std::size_t at_ = 0;
};

// The stub of one call from its fragments (C706 12.6.2).
class FragmentedStub {
public:
    static constexpr std::size_t stub_max = 1 << 20;
    enum class Progress { more, whole, out_of_order, too_large };

    // Starts a new call on FIRST_FRAG. Fragments of another call, or without a beginning, are out of order.
    Progress add(std::uint8_t pfc_flags, std::uint32_t call_id, const Octets& part);
    bool started() const { return call_id_.has_value(); }
    void drop();    // the call was cancelled or orphaned
    Octets take();  // of a whole call

private:
    std::optional<std::uint32_t> call_id_;
    Octets stub_;
};

}  // namespace wmlab::rpc

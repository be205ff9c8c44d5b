#include "common/rpc/pdu_stream.hpp"

#include <algorithm>

namespace wmlab::rpc {

void PduStream::append(Bytes received) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ = 0;
    buffer_.insert(buffer_.end(), received.begin(), received.end());
}

std::optional<Parsed<Bytes>> PduStream::next() {
    const auto left = Bytes{buffer_}.subspan(at_);
    if (left.empty()) return {};
    // A stranger (HTTP, SMB) is told from a slow peer by the first octet: do not wait for 16 of them.
    if (left[0] != std::byte{5}) return Parsed<Bytes>{bytes::ParseError{0, "rpc_vers", "is not 5"}};
    if (left.size() < PduHeader::size) return {};
    const auto header = PduHeader::parse(left);
    if (!header) return Parsed<Bytes>{header.error()};
    if (left.size() < header->frag_length) return {};
    at_ += header->frag_length;
    return Parsed<Bytes>{left.first(header->frag_length)};
}

FragmentedStub::Progress FragmentedStub::add(std::uint8_t pfc_flags, std::uint32_t call_id, const Octets& part) {
    if (pfc_flags & pfc::FIRST_FRAG) {
        if (call_id_) return Progress::out_of_order;
        call_id_ = call_id;
        stub_.clear();
    } else if (call_id_ != call_id) {
        return Progress::out_of_order;
    }
    if (part.size() > stub_max - stub_.size()) return Progress::too_large;
    stub_.insert(stub_.end(), part.begin(), part.end());
    return pfc_flags & pfc::LAST_FRAG ? Progress::whole : Progress::more;
}

void FragmentedStub::drop() {
    call_id_.reset();
    stub_.clear();
}

Octets FragmentedStub::take() {
    call_id_.reset();
    return std::move(stub_);
}

}  // namespace wmlab::rpc

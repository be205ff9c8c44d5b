#include "lab/host/batches.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>
#include <string_view>

namespace wmlab::lab {
namespace {

constexpr std::size_t head_size = NLMSG_HDRLEN + sizeof(nfgenmsg);
constexpr unsigned attribute_chain_id = 11;  // newer than some kernels' headers

nlmsghdr header_of(std::span<const std::byte> message) {
    nlmsghdr header;
    std::memcpy(&header, message.data(), sizeof header);
    return header;
}

// An attribute's value; empty: the message has none of that type.
std::string_view attribute(std::span<const std::byte> message, unsigned type) {
    auto rest = message.subspan(head_size);
    while (rest.size() >= NLA_HDRLEN) {
        nlattr attribute;
        std::memcpy(&attribute, rest.data(), sizeof attribute);
        if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > rest.size()) return {};
        if ((attribute.nla_type & NLA_TYPE_MASK) == type)
            return {reinterpret_cast<const char*>(rest.data()) + NLA_HDRLEN,
                    static_cast<std::size_t>(attribute.nla_len) - NLA_HDRLEN};
        rest = rest.subspan(std::min<std::size_t>(NLA_ALIGN(attribute.nla_len), rest.size()));
    }
    return {};
}

}  // namespace

std::vector<std::vector<std::byte>> cut_batch(std::span<const std::byte> batch, std::size_t size_max) {
    std::vector<std::span<const std::byte>> messages;
    for (auto rest = batch; !rest.empty();) {
        if (rest.size() < head_size) return {};
        const std::size_t length = header_of(rest).nlmsg_len;
        if (length < head_size || length > rest.size()) return {};
        messages.push_back(rest.first(length));
        rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(length), rest.size()));
    }
    if (messages.size() < 3 || header_of(messages.front()).nlmsg_type != NFNL_MSG_BATCH_BEGIN ||
        header_of(messages.back()).nlmsg_type != NFNL_MSG_BATCH_END)
        return {};

    // Without the generation it was made for, which the first part ends.
    std::vector<std::byte> begin(messages.front().begin(), messages.front().begin() + head_size);
    auto header = header_of(begin);
    header.nlmsg_len = head_size;
    std::memcpy(begin.data(), &header, sizeof header);

    std::vector<std::vector<std::byte>> parts;
    std::vector<std::byte> part = begin, pending;  // pending: since the last place to cut at
    const auto append = [](std::vector<std::byte>& to, std::span<const std::byte> message) {
        to.insert(to.end(), message.begin(), message.end());
        to.resize(NLMSG_ALIGN(to.size()));
    };
    const auto end = messages.back();
    bool nameless = false;  // a set that belongs to a rule to come
    for (std::size_t i = 1; i + 1 < messages.size(); ++i) {
        const auto message = messages[i];
        const auto type = header_of(message).nlmsg_type & 0xFF;
        if (type == NFT_MSG_NEWCHAIN && !attribute(message, attribute_chain_id).empty()) return {};
        if (type == NFT_MSG_NEWSET && attribute(message, NFTA_SET_NAME).starts_with("__")) nameless = true;
        if (type == NFT_MSG_NEWRULE) nameless = false;
        append(pending, message);
        if (nameless) continue;
        if (part.size() + pending.size() + end.size() > size_max && part.size() > begin.size()) {
            append(part, end);
            parts.push_back(std::move(part));
            part = begin;
        }
        append(part, pending);
        pending.clear();
        if (part.size() + end.size() > size_max) return {};
    }
    append(part, pending);
    append(part, end);
    if (part.size() > size_max) return {};
    parts.push_back(std::move(part));
    return parts;
}

}  // namespace wmlab::lab

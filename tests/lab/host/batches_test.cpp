#include "lab/host/batches.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>
#include <string_view>

#include "tests/catch.hpp"

using wmlab::lab::cut_batch;

namespace {

using Bytes = std::vector<std::byte>;

void add_message(Bytes& to, unsigned type, std::size_t payload, std::string_view name = {}, unsigned name_type = 2) {
    Bytes message(NLMSG_HDRLEN + sizeof(nfgenmsg) + (name.empty() ? 0 : NLA_ALIGN(NLA_HDRLEN + name.size() + 1)) +
                  payload);
    nlmsghdr header{};
    header.nlmsg_len = static_cast<std::uint32_t>(message.size()), header.nlmsg_type = static_cast<std::uint16_t>(type);
    std::memcpy(message.data(), &header, sizeof header);
    if (!name.empty()) {
        nlattr attribute{static_cast<std::uint16_t>(NLA_HDRLEN + name.size() + 1),
                         static_cast<std::uint16_t>(name_type)};
        std::memcpy(message.data() + NLMSG_HDRLEN + sizeof(nfgenmsg), &attribute, sizeof attribute);
        std::memcpy(message.data() + NLMSG_HDRLEN + sizeof(nfgenmsg) + NLA_HDRLEN, name.data(), name.size());
    }
    to.insert(to.end(), message.begin(), message.end());
}

std::string types_of(const Bytes& batch) {
    std::string text;
    for (std::size_t at = 0; at < batch.size();) {
        nlmsghdr header;
        std::memcpy(&header, batch.data() + at, sizeof header);
        text += (text.empty() ? "" : " ") + std::to_string(header.nlmsg_type & 0xFF);
        at += NLMSG_ALIGN(header.nlmsg_len);
    }
    return text;
}

constexpr unsigned nft = NFNL_SUBSYS_NFTABLES << 8;

}  // namespace

TEST_CASE("a batch is cut after rules, never between a rule and its nameless set", "[firewall]") {
    Bytes batch;
    add_message(batch, NFNL_MSG_BATCH_BEGIN, 8);
    add_message(batch, nft | NFT_MSG_NEWTABLE, 16);
    for (int i = 0; i < 3; ++i) {
        add_message(batch, nft | NFT_MSG_NEWSET, 16, "__set0");
        add_message(batch, nft | NFT_MSG_NEWSETELEM, 100);
        add_message(batch, nft | NFT_MSG_NEWRULE, 100);
    }
    add_message(batch, NFNL_MSG_BATCH_END, 0);
    const auto parts = cut_batch(batch, 400);
    REQUIRE(parts.size() == 3);
    CHECK(types_of(parts[0]) == "16 0 9 12 6 17");
    CHECK(types_of(parts[1]) == "16 9 12 6 17");
    CHECK(types_of(parts[2]) == "16 9 12 6 17");
    for (const auto& part : parts) CHECK(part.size() <= 400);
    CHECK(cut_batch(batch, 200).empty());
    CHECK(cut_batch(std::span{batch}.first(batch.size() - 1), 400).empty());
    CHECK(cut_batch({}, 400).empty());
}

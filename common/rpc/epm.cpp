#include "common/rpc/epm.hpp"

#include <algorithm>

namespace wmlab::rpc {
namespace {

constexpr std::size_t annotation_max = 64;  // with its NUL

// RPC_IF_ID: unlike p_syntax_id_t its versions are two 16-bit integers.
SyntaxId read_if_id(NdrReader& in) {
    SyntaxId id;
    id.uuid = in.guid("if_id");
    id.major = in.u16("vers_major");
    id.minor = in.u16("vers_minor");
    return id;
}

void write_if_id(NdrWriter& out, const SyntaxId& id) {
    out.guid(id.uuid);
    out.u16(id.major);
    out.u16(id.minor);
}

}  // namespace

Parsed<ept_map::In> ept_map::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    In call;
    const auto object = in.u32("object");
    if (object != 0) call.object = in.guid("object");
    const auto map_tower = in.u32("map_tower");
    if (map_tower != 0) call.map_tower = read_twr(in);
    call.last_referent = std::max(object, map_tower);
    call.entry_handle = in.context_handle("entry_handle");
    call.max_towers = in.u32("max_towers");
    return in.finish(std::move(call));
}

bool ept_map::In::operator==(const In& other) const {
    return object == other.object && map_tower == other.map_tower && entry_handle == other.entry_handle &&
           max_towers == other.max_towers;
}

Octets ept_map::In::serialise(ByteOrder order) const {
    NdrWriter out{order};
    out.u32(object ? 1 : 0);
    if (object) out.guid(*object);
    out.u32(map_tower ? 2 : 0);
    if (map_tower) write_twr(out, *map_tower);
    out.context_handle(entry_handle);
    out.u32(max_towers);
    return out.take();
}

Parsed<ept_map::Out> ept_map::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    answer.entry_handle = in.context_handle("entry_handle");
    const std::size_t num_towers = in.u32("num_towers");
    answer.max_towers = in.u32("max_count");
    in.u32("offset");
    const auto count = in.conformance(4, "actual_count");
    in.check(count == num_towers, "differs from num_towers");
    std::vector<bool> present;
    for (std::size_t i = 0; i < count && !in.failed(); ++i) present.push_back(in.pointer("tower"));
    for (std::size_t i = 0; i < present.size() && !in.failed(); ++i) {
        if (present[i]) answer.towers.push_back(read_twr(in));
    }
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets ept_map::Out::serialise() const {
    NdrWriter out;
    out.context_handle(entry_handle);
    out.count(towers.size());
    out.u32(max_towers);
    out.u32(0);
    out.count(towers.size());
    for (std::size_t i = 0; i < towers.size(); ++i) out.u32(first_referent + static_cast<std::uint32_t>(i));
    for (const auto& tower : towers) write_twr(out, tower);
    out.u32(status);
    return out.take();
}

Parsed<ept_lookup::In> ept_lookup::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    In call;
    const auto inquiry = in.u32("inquiry_type");
    in.check(inquiry <= 3, "is above 3");
    call.inquiry_type = static_cast<Inquiry>(inquiry);
    if (in.pointer("object")) call.object = in.guid("object");
    if (in.pointer("interface_id")) call.interface = read_if_id(in);
    call.vers_option = static_cast<Versions>(in.u32("vers_option"));
    call.entry_handle = in.context_handle("entry_handle");
    call.max_ents = in.u32("max_ents");
    return in.finish(std::move(call));
}

Octets ept_lookup::In::serialise(ByteOrder order) const {
    NdrWriter out{order};
    out.u32(static_cast<std::uint32_t>(inquiry_type));
    out.u32(object ? 1 : 0);
    if (object) out.guid(*object);
    out.u32(interface ? 2 : 0);
    if (interface) write_if_id(out, *interface);
    out.u32(static_cast<std::uint32_t>(vers_option));
    out.context_handle(entry_handle);
    out.u32(max_ents);
    return out.take();
}

Parsed<ept_lookup::Out> ept_lookup::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    answer.entry_handle = in.context_handle("entry_handle");
    const std::size_t num_ents = in.u32("num_ents");
    answer.max_ents = in.u32("max_count");
    in.u32("offset");
    const auto count = in.conformance(28, "actual_count");  // an entry with an empty annotation
    in.check(count == num_ents, "differs from num_ents");
    std::vector<bool> with_tower;
    for (std::size_t i = 0; i < count && !in.failed(); ++i) {
        Entry entry;
        entry.object = in.guid("object");
        with_tower.push_back(in.pointer("tower"));
        in.u32("annotation_offset");
        const std::size_t length = in.u32("annotation_length");
        in.check(length <= annotation_max, "is above 64");
        for (const auto octet : in.raw(in.failed() ? 0 : length, "annotation")) {
            if (octet == std::byte{0} || entry.annotation.size() == annotation_max - 1) break;
            entry.annotation.push_back(static_cast<char>(octet));
        }
        answer.entries.push_back(std::move(entry));
    }
    for (std::size_t i = 0; i < with_tower.size() && !in.failed(); ++i) {
        if (with_tower[i]) answer.entries[i].tower = read_twr(in);
    }
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets ept_lookup::Out::serialise() const {
    NdrWriter out;
    out.context_handle(entry_handle);
    out.count(entries.size());
    out.u32(max_ents);
    out.u32(0);
    out.count(entries.size());
    for (const auto& entry : entries) {
        out.guid(entry.object);
        out.pointer(entry.tower.has_value());
        const auto characters = std::min(entry.annotation.size(), annotation_max - 1);
        out.u32(0);
        out.count(characters + 1);
        for (std::size_t i = 0; i < characters; ++i) out.u8(static_cast<std::uint8_t>(entry.annotation[i]));
        out.u8(0);
    }
    for (const auto& entry : entries) {
        if (entry.tower) {
            out.align(4);
            write_twr(out, *entry.tower);
        }
    }
    out.u32(status);
    return out.take();
}

Parsed<ept_lookup_handle_free::In> ept_lookup_handle_free::In::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    return in.finish(In{in.context_handle("entry_handle")});
}

Octets ept_lookup_handle_free::In::serialise(ByteOrder order) const {
    NdrWriter out{order};
    out.context_handle(entry_handle);
    return out.take();
}

Parsed<ept_lookup_handle_free::Out> ept_lookup_handle_free::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    answer.entry_handle = in.context_handle("entry_handle");
    answer.status = in.u32("status");
    return in.finish(answer);
}

Octets ept_lookup_handle_free::Out::serialise() const {
    NdrWriter out;
    out.context_handle(entry_handle);
    out.u32(status);
    return out.take();
}

Parsed<rpc__mgmt_inq_if_ids::Out> rpc__mgmt_inq_if_ids::Out::parse(Bytes stub, ByteOrder order) {
    NdrReader in{stub, order};
    Out answer;
    if (in.pointer("if_id_vector")) {
        const auto claimed = in.conformance(4, "max_count");
        const std::size_t count = in.u32("count");
        in.check(count <= claimed, "is above the array's size");
        std::vector<bool> present;
        for (std::size_t i = 0; i < count && !in.failed(); ++i) present.push_back(in.pointer("if_id"));
        for (std::size_t i = 0; i < present.size() && !in.failed(); ++i) {
            if (present[i]) answer.if_ids.push_back(read_if_id(in));
        }
    }
    answer.status = in.u32("status");
    return in.finish(std::move(answer));
}

Octets rpc__mgmt_inq_if_ids::Out::serialise() const {
    NdrWriter out;
    out.referent();
    out.count(if_ids.size());
    out.count(if_ids.size());
    for (std::size_t i = 0; i < if_ids.size(); ++i) out.referent();
    for (const auto& id : if_ids) write_if_id(out, id);
    out.u32(status);
    return out.take();
}

Octets rpc__mgmt_inq_stats::Out::serialise(std::uint32_t count) const {
    NdrWriter out;
    const auto given = std::min<std::size_t>(count, statistics.size());
    out.count(given);
    out.count(given);
    for (std::size_t i = 0; i < given; ++i) out.u32(statistics[i]);
    out.u32(0);
    return out.take();
}

}  // namespace wmlab::rpc

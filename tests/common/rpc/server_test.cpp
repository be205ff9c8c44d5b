// One TCP connection to the server: what strangers, old and broken clients get (reference: what Samba and Windows
// answer).
#include "common/bytes/hex.hpp"
#include "tests/catch.hpp"
#include "tests/common/rpc/memory_net.hpp"

using namespace wmlab;
using namespace wmlab::rpc;
using namespace std::chrono_literals;

namespace {

Octets hex(std::string_view text) { return bytes::from_hex(text).value(); }

Octets bind_to(const SyntaxId& interface, std::vector<SyntaxId> transfers = {syntax::NDR}, std::size_t contexts = 1,
               ByteOrder order = ByteOrder::little) {
    Bind bind;
    for (std::size_t i = 0; i < contexts; ++i)
        bind.elements.push_back({static_cast<std::uint16_t>(i), interface, transfers});
    Pdu pdu{{}, bind, {}};
    pdu.header.PTYPE = PduType::bind;
    pdu.header.order = order;
    pdu.header.call_id = 1;
    return pdu.serialise();
}

Octets call(std::uint16_t opnum, Octets stub, std::uint16_t context = 0, std::optional<Guid> object = {},
            ByteOrder order = ByteOrder::little) {
    return request_pdus({0, context, opnum, object, std::move(stub)}, 2, 5840, order);
}

struct Server {
    Machine machine;
    ServerConnection connection;
    explicit Server(std::uint16_t port = mapper_port, MachineOptions options = tests::machine_options())
        : machine{std::move(options)}, connection{machine, port} {
        machine.activate(guid::CLSID_SimWMStation, {interface::ISimWMStation.uuid}, {}, {});
    }
    ServerOutput receive(const Octets& octets, TimePoint now = {}) { return connection.receive(octets, now); }
    Pdu answer(const Octets& octets) {
        const auto output = receive(octets);
        const auto pdu = Pdu::parse(output.send);
        REQUIRE(pdu.has_value());
        return *pdu;
    }
    std::uint32_t fault(const Octets& octets) {
        const auto pdu = answer(octets);
        REQUIRE(std::holds_alternative<Fault>(pdu.body));
        return std::get<Fault>(pdu.body).status;
    }
};

Octets orpc_stub(std::uint32_t flags = 0, std::uint16_t major = 5) {
    NdrWriter out;
    OrpcThis{{major, 6}, flags, Guid::named("test")}.write(out);
    return out.take();
}

}  // namespace

TEST_CASE("rpc server: what is no DCE/RPC gets bind_nak and the connection ends", "[rpc]") {
    struct Row {
        std::string name, bytes;
    };
    const auto row = GENERATE(values<Row>({
        {"an SMB negotiation, as nmap sends", "000000a4ff534d4272000000000801400000000000000000"},
        {"HTTP", "474554202f20485454502f312e300d0a"},
        {"a frag_length below 16", "05000b03100000000f0000000000000a"},
        {"a version 5.2", "05020b03100000004800000001000000"},
        {"an unknown byte order", "05000b03200000004800000001000000"},
        {"an authentication longer than the PDU", "05000b0310000000180040000a000000"},
        {"one octet that is not 5", "47"},
    }));
    DYNAMIC_SECTION(row.name) {
        Server server;
        const auto output = server.receive(hex(row.bytes));
        // Exactly what nmap's signature wants: 24 octets, reason 4, and no 0x0A where it does not look for one.
        CHECK(bytes::hex(output.send) ==
              "05000d03100000001800000000000000"
              "0400010500000000");
        CHECK(output.close);
        CHECK(output.notes.front().what == Note::What::malformed);
        CHECK(server.receive(bind_to(interface::epm)).send.empty());
    }
}

TEST_CASE("rpc server: presentation contexts are accepted or refused one by one", "[rpc]") {
    const SyntaxId features{Guid::from_text("6CB71C2C-9812-4540-0300-000000000000").value(), 1, 0};
    Bind bind;
    bind.elements = {{0, interface::epm, {syntax::NDR}},
                     {1, interface::epm, {syntax::NDR64}},
                     {2, interface::epm, {features}},
                     {3, {Guid::named("nobody"), 1, 0}, {syntax::NDR}},
                     {4, interface::epm, {syntax::NDR64, syntax::NDR}},
                     {5, {interface::epm.uuid, 4, 0}, {syntax::NDR}},
                     {6, interface::IRemUnknown, {syntax::NDR}},
                     {7, interface::epm, {}}};
    Pdu pdu{{}, bind, {}};
    pdu.header.PTYPE = PduType::bind;
    Server server;
    const auto ack = std::get<BindAck>(server.answer(pdu.serialise()).body);
    std::vector<std::string> results;
    for (const auto& result : ack.results) results.push_back(text(result));
    CHECK(results == std::vector<std::string>{"acceptance",
                                              "provider_rejection: proposed_transfer_syntaxes_not_supported",
                                              "negotiate_ack", "provider_rejection: abstract_syntax_not_supported",
                                              "acceptance", "provider_rejection: abstract_syntax_not_supported",
                                              "provider_rejection: abstract_syntax_not_supported",
                                              "provider_rejection: proposed_transfer_syntaxes_not_supported"});
    CHECK(ack.sec_addr == "135");
    CHECK(ack.assoc_group_id != 0);
    CHECK(ack.results[0].transfer_syntax == syntax::NDR);
    CHECK(ack.results[2].transfer_syntax == SyntaxId{});

    SECTION("the reference's octets for NDR32, NDR64 and features") {
        bind.elements.resize(3);
        Server again;
        const auto octets = again.receive(Pdu{pdu.header, bind, {}}.serialise()).send;
        const std::string nothing(40, '0'), ndr = "045d888aeb1cc9119fe808002b10486002000000";
        CHECK(bytes::hex(octets).substr(64) == "0300000000000000" + ndr + "02000200" + nothing + "03000000" + nothing);
    }
    SECTION("fragments are never larger than the client takes") {
        bind.max_recv_frag = 1000;
        bind.max_xmit_frag = 4280;
        Server again;
        const auto small = std::get<BindAck>(again.answer(Pdu{pdu.header, bind, {}}.serialise()).body);
        CHECK(small.max_xmit_frag == 1000);
        CHECK(small.max_recv_frag == 4280);
    }
}

TEST_CASE("rpc server: refusals that end the connection", "[rpc]") {
    struct Row {
        std::string name;
        Octets octets;
        std::uint16_t reason;
    };
    auto authenticated = Pdu::parse(bind_to(interface::epm)).value();
    authenticated.auth = AuthTrailer{10, 2, 0, 7, Octets(32)};
    auto orphan_alter = Pdu::parse(bind_to(interface::epm)).value();
    orphan_alter.header.PTYPE = PduType::alter_context;
    auto truncated = bind_to(interface::epm);
    truncated.resize(60);
    truncated[8] = std::byte{60};
    const auto row = GENERATE_COPY(values<Row>({
        {"NTLM", authenticated.serialise(), 8},
        {"200 contexts", bind_to(interface::epm, {syntax::NDR}, 200), 2},
        {"alter_context before bind", orphan_alter.serialise(), 0},
        {"a bind cut short", truncated, 0},
    }));
    DYNAMIC_SECTION(row.name) {
        Server server;
        const auto output = server.receive(row.octets);
        const auto nak = Pdu::parse(output.send);
        REQUIRE(nak.has_value());
        CHECK(output.send.size() == 24);
        CHECK(static_cast<std::uint16_t>(std::get<BindNak>(nak->body).reason) == row.reason);
        CHECK(output.close);
    }
}

TEST_CASE("rpc server: faults", "[rpc]") {
    Server server;
    CHECK(server.fault(call(ept_map::opnum, {})) == status::nca_invalid_pres_context_id);  // before any bind
    server.receive(bind_to(interface::epm));
    CHECK(server.fault(call(99, {})) == status::nca_op_rng_error);
    CHECK(server.fault(call(0, {})) == status::nca_op_rng_error);  // ept_insert
    CHECK(server.fault(call(ept_map::opnum, Octets(20, std::byte{1}))) == status::RPC_X_BAD_STUB_DATA);
    CHECK(server.fault(call(ept_map::opnum, {}, 7)) == status::nca_invalid_pres_context_id);
    CHECK(bytes::hex(server.receive(call(99, {})).send) ==
          "0500032310000000200000000200000020000000000000000200011c00000000");
    CHECK(std::holds_alternative<Response>(server.answer(call(ept_lookup::opnum, ept_lookup::In{}.serialise())).body));

    Octets answer{std::byte{0}};
    Pdu stray{{}, Response{0, 0, 0, answer}, {}};
    stray.header.PTYPE = PduType::response;
    const auto output = server.receive(stray.serialise());
    CHECK(std::get<Fault>(Pdu::parse(output.send)->body).status == status::nca_proto_error);
    CHECK(output.close);
}

TEST_CASE("rpc server: object calls that must not reach an object", "[rpc]") {
    Server server{3001};
    const auto& process = server.machine.processes().front();
    const auto ipid = process.objects.front().interfaces.front().ipid;
    server.receive(bind_to(interface::ISimWMStation));
    CHECK(server.fault(call(3, orpc_stub())) == status::RPC_E_DISCONNECTED);  // no object UUID
    CHECK(server.fault(call(3, orpc_stub(), 0, Guid::named("stale"))) == status::RPC_E_DISCONNECTED);
    CHECK(server.fault(call(3, orpc_stub(), 0, process.ipid_rem_unknown)) == status::RPC_E_DISCONNECTED);
    CHECK(server.fault(call(3, orpc_stub(1), 0, ipid)) == status::RPC_E_INVALID_HEADER);
    CHECK(server.fault(call(3, orpc_stub(0, 6), 0, ipid)) == status::RPC_E_VERSION_MISMATCH);
    CHECK(server.fault(call(3, Octets(31), 0, ipid)) == status::RPC_X_BAD_STUB_DATA);
    CHECK(server.fault(call(2, orpc_stub(), 0, ipid)) == status::nca_op_rng_error);
    const auto good = server.answer(call(3, orpc_stub(), 0, ipid));
    CHECK(bytes::hex(std::get<Response>(good.body).stub) == "000000000000000000000000");
}

TEST_CASE("rpc server: big-endian callers are served", "[rpc]") {
    Server server;
    CHECK(std::get<BindAck>(server.answer(bind_to(interface::epm, {syntax::NDR}, 1, ByteOrder::big)).body)
              .results[0]
              .result == ContextVerdict::acceptance);
    ept_map::In in;
    in.map_tower = Tower{interface::SimWMProcess};
    const auto little = server.answer(call(ept_map::opnum, in.serialise()));
    const auto big = server.answer(call(ept_map::opnum, in.serialise(ByteOrder::big), 0, {}, ByteOrder::big));
    CHECK(std::get<Response>(big.body).stub == std::get<Response>(little.body).stub);
    const auto out = ept_map::Out::parse(std::get<Response>(big.body).stub, ByteOrder::little);
    REQUIRE(out->towers.size() == 1);
    CHECK(out->towers[0].port == 3001);
    CHECK(address_text(out->towers[0].address) == "10.66.1.10");
}

TEST_CASE("rpc server: fragments", "[rpc]") {
    Server server;
    server.receive(bind_to(interface::epm));
    Request part{0, 0, ept_lookup::opnum, {}, Octets(40)};
    const auto fragment = [&](std::uint8_t flags, std::uint32_t id, Octets stub) {
        part.stub = std::move(stub);
        Pdu pdu{{}, part, {}};
        pdu.header.pfc_flags = flags;
        pdu.header.call_id = id;
        return pdu.serialise();
    };
    SECTION("a middle without a beginning ends the connection") {
        CHECK(server.receive(fragment(0, 5, Octets(8))).close);
    }
    SECTION("a second beginning ends the connection") {
        CHECK_FALSE(server.receive(fragment(pfc::FIRST_FRAG, 5, Octets(8))).close);
        CHECK(server.receive(fragment(pfc::FIRST_FRAG, 6, Octets(8))).close);
    }
    SECTION("fragments that never end stop at 1 MiB") {
        server.receive(fragment(pfc::FIRST_FRAG, 5, Octets(5000)));
        std::size_t sent = 5000;
        bool closed = false;
        while (!closed && sent < 3 << 20) {
            closed = server.receive(fragment(0, 5, Octets(5000))).close;
            sent += 5000;
        }
        CHECK(closed);
        CHECK(sent <= (1 << 20) + 5000);
    }
    SECTION("empty fragments for ever run into the deadline") {
        server.receive(fragment(pfc::FIRST_FRAG, 5, {}), TimePoint{1s});
        for (int i = 0; i < 100; ++i) server.receive(fragment(0, 5, {}), TimePoint{2s});
        CHECK(server.connection.deadline() == TimePoint{31s});
    }
    SECTION("an orphaned call is forgotten") {
        server.receive(fragment(pfc::FIRST_FRAG, 5, Octets(8)));
        Pdu orphaned{{}, OtherBody{}, {}};
        orphaned.header.PTYPE = PduType::orphaned;
        CHECK_FALSE(server.receive(orphaned.serialise()).close);
        CHECK_FALSE(server.connection.deadline().has_value());
        CHECK(std::holds_alternative<Response>(
            server.answer(call(ept_lookup::opnum, ept_lookup::In{}.serialise())).body));
    }
}

TEST_CASE("rpc server: a peer that stops in the middle of a PDU has half a minute", "[rpc]") {
    Server server;
    const auto octets = bind_to(interface::epm);
    CHECK_FALSE(server.connection.deadline().has_value());
    server.receive(Octets{octets.begin(), octets.begin() + 20}, TimePoint{5s});
    CHECK(server.connection.deadline() == TimePoint{35s});
    server.receive(Octets{octets.begin() + 20, octets.end()}, TimePoint{6s});
    CHECK_FALSE(server.connection.deadline().has_value());
}

TEST_CASE("rpc server: a flood of small requests is answered in parts", "[rpc]") {
    auto options = tests::machine_options("2000-3000");
    Server server{mapper_port, options};
    for (int i = 0; i < 300; ++i)
        server.machine.activate(guid::CLSID_SimWMAdministrator, {interface::ISimWMStation.uuid}, {}, {});
    Octets flood = bind_to(interface::epm);
    const auto one = call(ept_lookup::opnum, ept_lookup::In{}.serialise());
    for (int i = 0; i < 100; ++i) flood.insert(flood.end(), one.begin(), one.end());
    auto output = server.receive(flood);
    std::size_t parts = 1, most = output.send.size();
    while (output.more) {
        output = server.receive({});
        most = std::max(most, output.send.size());
        ++parts;
    }
    CHECK(parts > 10);
    CHECK(most < 512 * 1024);
    CHECK(server.machine.statistics.calls_out == 100);
}

TEST_CASE("rpc server: lookups in pages end as every known client wants", "[rpc]") {
    Machine machine{tests::machine_options()};
    machine.activate(guid::CLSID_SimWMStation, {interface::ISimWMStation.uuid}, {}, {});
    const auto total = machine.endpoint_map().size();
    ept_lookup::In in;
    in.max_ents = 1;  // rpcclient
    std::size_t entries = 0;
    for (;;) {
        const auto out = machine.lookup(in);
        if (out.status != 0) {
            CHECK(out.status == status::ept_s_not_registered);
            CHECK(out.entry_handle == Guid{});
            CHECK(out.entries.empty());
            break;
        }
        REQUIRE(out.entries.size() == 1);
        CHECK(out.entry_handle != Guid{});
        in.entry_handle = out.entry_handle;
        REQUIRE(++entries <= total);
    }
    CHECK(entries == total);
    for (std::size_t i = 0; i < 1000; ++i) machine.lookup({{}, {}, {}, {}, {}, 1});  // handles nobody frees are bounded
    in.entry_handle = Guid::named("made up");
    CHECK(machine.lookup(in).status == status::ept_s_not_registered);
}

// --- departures of docs/protocols/dcom.md: a test for each

TEST_CASE("departure MS-RPCE 2.2.1.2: the endpoint map cannot be changed or asked for objects from outside", "[rpc]") {
    Server server;
    server.receive(bind_to(interface::epm));
    for (const auto opnum : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{5}})  // ept_insert, ept_delete, ept_inq_object
        CHECK(server.fault(call(opnum, {})) == status::nca_op_rng_error);
}

TEST_CASE("departure MS-RPCE 3.3.1.5.2: a bind that asks for security is refused, trailers of requests are taken off", "[rpc]") {
    auto bind = Pdu::parse(bind_to(interface::epm)).value();
    bind.auth = AuthTrailer{10, 2, 0, 7, Octets(32)};
    Server refuses;
    CHECK(static_cast<std::uint16_t>(std::get<BindNak>(refuses.answer(bind.serialise()).body).reason) == 8);
    Server serves;
    serves.receive(bind_to(interface::epm));
    auto request = Pdu::parse(call(ept_lookup::opnum, ept_lookup::In{}.serialise())).value();
    request.auth = AuthTrailer{10, 2, 0, 7, Octets(16)};
    CHECK(std::holds_alternative<Response>(serves.answer(request.serialise()).body));
}

TEST_CASE("departure MS-DCOM 2.2.11: a minor version above our own is served", "[rpc]") {
    Server server{3001};
    const auto ipid = server.machine.processes().front().objects.front().interfaces.front().ipid;
    server.receive(bind_to(interface::ISimWMStation));
    for (const auto minor : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{7}, std::uint16_t{99}}) {
        NdrWriter stub;
        OrpcThis{{5, minor}, 0, Guid::named("test")}.write(stub);
        CHECK(std::holds_alternative<Response>(server.answer(call(3, stub.take(), 0, ipid)).body));
    }
}

TEST_CASE("departure MS-DCOM 3.1.2.5.2.3.2: RemoteGetClassObject gives the object itself", "[rpc]") {
    Server server;
    server.receive(bind_to(interface::IRemoteSCMActivator));
    RemoteCreateInstance::In in;
    in.orpcthis = {{5, 6}, 0, Guid::named("test")};
    in.clsid = guid::CLSID_SimWMAdministrator;
    in.iids = {interface::ISimWMStation.uuid};
    auto stub = in.serialise();
    constexpr std::ptrdiff_t orpcthis = 32, pUnkOuter = 4;  // which this one does not have
    stub.erase(stub.begin() + orpcthis, stub.begin() + orpcthis + pUnkOuter);
    const auto answer = server.answer(call(RemoteCreateInstance::opnum_class_object, stub));
    REQUIRE(std::holds_alternative<Response>(answer.body));
    const auto out = RemoteCreateInstance::Out::parse(std::get<Response>(answer.body).stub, ByteOrder::little);
    REQUIRE(out.has_value());
    CHECK(out->status == 0);
    REQUIRE(out->activated);
    CHECK(out->activated->iids == in.iids);
    REQUIRE(out->activated->interfaces.size() == 1);
    CHECK(out->activated->interfaces.front());
}

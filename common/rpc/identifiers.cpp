#include "common/rpc/identifiers.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace wmlab::rpc {
namespace {

Guid id(std::string_view text) { return *Guid::from_text(text); }

// IIDs and CLSIDs of COM's own share all but the first field.
Guid com(std::string_view first) { return id(std::string{first} + "-0000-0000-C000-000000000046"); }

// Invented: the KB article's number, a counter, and "WIMSM1" in ASCII.
Guid sim(std::string_view second) { return id("0189416A-" + std::string{second} + "-4000-8000-57494D534D31"); }

}  // namespace

namespace interface {
const SyntaxId epm{id("E1AF8308-5D1F-11C9-91A4-08002B14A0FA"), 3, 0};
const SyntaxId mgmt{id("AFA8BD80-7D8A-11C9-BEF4-08002B102989"), 1, 0};
const SyntaxId conv{id("333A2276-0000-0000-0D00-00809C000000"), 3, 0};
const SyntaxId IObjectExporter{id("99FCFEC4-5260-101B-BBCB-00AA0021347A"), 0, 0};
const SyntaxId IActivation{id("4D9F4AB8-7D1C-11CF-861E-0020AF6E7C57"), 0, 0};
const SyntaxId IRemoteSCMActivator{com("000001A0"), 0, 0};
const SyntaxId IRemUnknown{com("00000131"), 0, 0};
const SyntaxId IRemUnknown2{com("00000143"), 0, 0};
const SyntaxId IUnknown{com("00000000"), 0, 0};
const SyntaxId ISimWMStation{sim("0002"), 0, 0};
const SyntaxId SimWMProcess{sim("0010"), 1, 0};
}  // namespace interface

namespace syntax {
const SyntaxId NDR{id("8A885D04-1CEB-11C9-9FE8-08002B104860"), 2, 0};
const SyntaxId NDR64{id("71710533-BEBA-4937-8319-B5DBEF9CCC36"), 1, 0};

bool is_feature_negotiation(const SyntaxId& transfer_syntax) {
    static const Guid fixed = id("6CB71C2C-9812-4540-0000-000000000000");
    return transfer_syntax.major == 1 && transfer_syntax.minor == 0 &&
           std::equal(fixed.octets.begin(), fixed.octets.begin() + 8, transfer_syntax.uuid.octets.begin());
}
}  // namespace syntax

namespace guid {
const Guid CLSID_SimWMStation = sim("0001");
const Guid CLSID_SimWMService = sim("0003");
const Guid CLSID_SimWMAdministrator = sim("0004");
const Guid IID_IActivationPropertiesIn = com("000001A2");
const Guid IID_IActivationPropertiesOut = com("000001A3");
const Guid CLSID_ActivationPropertiesIn = com("00000338");
const Guid CLSID_ActivationPropertiesOut = com("00000339");
const Guid CLSID_InstantiationInfo = com("000001AB");
const Guid CLSID_ActivationContextInfo = com("000001A5");
const Guid CLSID_ServerLocationInfo = com("000001A4");
const Guid CLSID_ScmRequestInfo = com("000001AA");
const Guid CLSID_ScmReplyInfo = com("000001B6");
}  // namespace guid

namespace {

struct InterfaceNames {
    const SyntaxId& interface;
    std::string_view name;
    std::uint16_t first_operation;
    std::array<std::string_view, 7> operations;
};

const std::array<InterfaceNames, 11>& interfaces() {
    static const std::array<InterfaceNames, 11> table{{
        {interface::epm,
         "epm",
         0,
         {"ept_insert", "ept_delete", "ept_lookup", "ept_map", "ept_lookup_handle_free", "ept_inq_object",
          "ept_mgmt_delete"}},
        {interface::mgmt,
         "mgmt",
         0,
         {"rpc__mgmt_inq_if_ids", "rpc__mgmt_inq_stats", "rpc__mgmt_is_server_listening",
          "rpc__mgmt_stop_server_listening", "rpc__mgmt_inq_princ_name"}},
        {interface::conv, "conv", 0, {"conv_who_are_you", "conv_who_are_you2", "conv_are_you_there"}},
        {interface::IObjectExporter,
         "IObjectExporter",
         0,
         {"ResolveOxid", "SimplePing", "ComplexPing", "ServerAlive", "ResolveOxid2", "ServerAlive2"}},
        {interface::IActivation, "IActivation", 0, {"RemoteActivation"}},
        {interface::IRemoteSCMActivator, "IRemoteSCMActivator", 3, {"RemoteGetClassObject", "RemoteCreateInstance"}},
        {interface::IRemUnknown, "IRemUnknown", 3, {"RemQueryInterface", "RemAddRef", "RemRelease"}},
        {interface::IRemUnknown2,
         "IRemUnknown2",
         3,
         {"RemQueryInterface", "RemAddRef", "RemRelease", "RemQueryInterface2"}},
        {interface::IUnknown, "IUnknown", 0, {"QueryInterface", "AddRef", "Release"}},
        {interface::ISimWMStation, "ISimWMStation", 3, {"QueryState", "RegisterAlias", "UnregisterAlias"}},
        {interface::SimWMProcess, "SimWMProcess", 0, {"ProcessAlive"}},
    }};
    return table;
}

const InterfaceNames* find(const Guid& uuid) {
    const auto& table = interfaces();
    const auto found =
        std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.interface.uuid == uuid; });
    return found == table.end() ? nullptr : &*found;
}

struct StatusName {
    std::uint32_t value;
    std::string_view name;
};
constexpr std::array<StatusName, 24> status_names{{
    {status::nca_op_rng_error, "nca_op_rng_error"},
    {status::nca_unk_if, "nca_unk_if"},
    {status::nca_wrong_boot_time, "nca_wrong_boot_time"},
    {status::nca_proto_error, "nca_proto_error"},
    {status::nca_out_args_too_big, "nca_out_args_too_big"},
    {status::nca_server_too_busy, "nca_server_too_busy"},
    {status::nca_invalid_pres_context_id, "nca_invalid_pres_context_id"},
    {status::nca_fault_cancel, "nca_fault_cancel"},
    {status::RPC_X_BAD_STUB_DATA, "RPC_X_BAD_STUB_DATA"},
    {status::ERROR_ACCESS_DENIED, "ERROR_ACCESS_DENIED"},
    {status::ept_s_not_registered, "ept_s_not_registered"},
    {status::OR_INVALID_OXID, "OR_INVALID_OXID"},
    {status::OR_INVALID_OID, "OR_INVALID_OID"},
    {status::OR_INVALID_SET, "OR_INVALID_SET"},
    {status::REGDB_E_CLASSNOTREG, "REGDB_E_CLASSNOTREG"},
    {status::E_NOINTERFACE, "E_NOINTERFACE"},
    {status::E_INVALIDARG, "E_INVALIDARG"},
    {status::CO_E_OBJNOTREG, "CO_E_OBJNOTREG"},
    {status::RPC_E_VERSION_MISMATCH, "RPC_E_VERSION_MISMATCH"},
    {status::RPC_E_DISCONNECTED, "RPC_E_DISCONNECTED"},
    {status::RPC_E_INVALID_HEADER, "RPC_E_INVALID_HEADER"},
    {status::RPC_S_SERVER_UNAVAILABLE, "RPC_S_SERVER_UNAVAILABLE"},
    {status::RPC_S_OUT_OF_RESOURCES, "RPC_S_OUT_OF_RESOURCES"},
    {status::RPC_S_CALL_FAILED, "RPC_S_CALL_FAILED"},
}};

}  // namespace

std::string status_text(std::uint32_t value) {
    std::array<char, 16> digits{};
    std::snprintf(digits.data(), digits.size(), "0x%08X", value);
    std::string text = digits.data();
    const auto known = std::find_if(status_names.begin(), status_names.end(),
                                    [&](const StatusName& row) { return row.value == value; });
    if (known != status_names.end()) text += " " + std::string{known->name};
    return text;
}

std::string interface_name(const Guid& uuid) {
    const auto* known = find(uuid);
    return known ? std::string{known->name} : uuid.text();
}

std::string operation_name(const Guid& interface_uuid, std::uint16_t operation) {
    if (const auto* known = find(interface_uuid); known && operation >= known->first_operation) {
        const auto index = std::size_t{operation} - known->first_operation;
        if (index < known->operations.size() && !known->operations[index].empty())
            return std::string{known->operations[index]};
    }
    return interface_name(interface_uuid) + " operation " + std::to_string(operation);
}

}  // namespace wmlab::rpc

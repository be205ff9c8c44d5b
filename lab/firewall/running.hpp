// The rules of a firewall that is not the lab's own, as they run: read, never changed. Which of their lines is which
// line of the file that the user says they come from.
#pragma once
#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lab/host/namespaces.hpp"
#include "lab/rules/source.hpp"

namespace wmlab::lab {

// What a firewall prints about itself. Texts, so that they can be sent.
struct RunningRules {
    std::string listing;                          // `nft list ruleset`
    std::string stateless;                        // `nft --stateless list ruleset`
    std::string iptables;                         // `iptables-nft-save`; empty: nothing of iptables'
    bool legacy = false;                          // rules of iptables-legacy too, which nobody can trace
    std::map<std::string, std::string> settings;  // /proc/sys/net/... by "ipv4/ip_forward"

    boost::json::object to_json() const;
    static RunningRules from(const boost::json::object& json);
};

RunningRules read_running(const Namespace& firewall);  // SetupFailed: may not list the rules

// Names of the "files" that lines of running rules are lines of.
inline constexpr std::string_view nft_listing_name = "gateway/nft-list-ruleset",
                                  iptables_listing_name = "gateway/iptables-save";

// Every rule's place in what the firewall printed.
rules::Source source_of(const RunningRules& running);

// The tables of a listing ("inet filter"), each as the sorted texts of its parts: the order of chains means nothing.
std::map<std::string, std::vector<std::string>> tables_of(std::string_view listing);

// The file's places for every table whose rules run as the file has them; the running listing's for the others.
struct Matched {
    rules::Source source;
    std::vector<std::string> same, other;  // tables of the file
    std::string first_difference;          // of the first in `other`, for people
};
// `file_listing`: `nft --stateless list ruleset` where only the file was loaded.
Matched match_running(const RunningRules& running, const rules::Source& file, std::string_view file_listing);

// Sources as JSON, between the machine that has the file and the one that has the rules.
boost::json::object to_json(const rules::Source& source);
rules::Source source_from(const boost::json::object& json);

}  // namespace wmlab::lab

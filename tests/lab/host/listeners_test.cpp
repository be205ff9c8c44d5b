#include "lab/host/listeners.hpp"

#include "lab/network/network.hpp"
#include "tests/catch.hpp"
#include "tests/lab/in_lab.hpp"
#include "tests/lab/sockets.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;

TEST_CASE("who listens on a host's port is found, with the program's name and number", "[lab]") {
    struct Row {
        std::string name;
        int type;
        bool listen;
        scenario::Protocol asked;
        std::uint16_t port;
        std::string found;
    };
    using scenario::Protocol;
    const auto row = GENERATE(values<Row>({
        {"a TCP listener", SOCK_STREAM, true, Protocol::tcp, 80, "10.10.0.10 lab_tests (pid 1)"},
        {"a TCP socket that does not listen", SOCK_STREAM, false, Protocol::tcp, 80, "nobody"},
        {"a UDP socket", SOCK_DGRAM, false, Protocol::udp, 80, "10.10.0.10 lab_tests (pid 1)"},
        {"another protocol", SOCK_DGRAM, false, Protocol::tcp, 80, "nobody"},
        {"another port", SOCK_STREAM, true, Protocol::tcp, 81, "nobody"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto outcome = in_lab(As::user, [&](const Inside&) {
            const Network network{two_zones()};
            Socket socket{network.host("media"), row.type};
            socket.bind("10.10.0.10", 80);
            if (row.listen) socket.listen();
            if (find_listener(network.host("second"), row.asked, row.port)) return std::string{"on another host"};
            const auto found = find_listener(network.host("media"), row.asked, row.port);
            return found ? found->address.text() + " " + holder(*found) : std::string{"nobody"};
        });
        CHECK(outcome.text == row.found);
    }
}

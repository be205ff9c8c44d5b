// Stream aliases: the encoder is a DCOM client of the server, tells it where its MSBD listener is, and keeps the object
// reference as long as the stream is to be had. Flows of type `encoder-alias`, and `encoder_sim --alias`.
#pragma once
#include "common/serving/server.hpp"

namespace wmlab::encoder_sim {

std::unique_ptr<serving::Service> make_alias(serving::Server& server);  // null: no alias is to be registered

}  // namespace wmlab::encoder_sim

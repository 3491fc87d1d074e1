#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "grove/base/text.hpp"
#include "grove/network/messaging/clients/nats/codec.hpp"
#include "grove/network/messaging/clients/nats/jetstream.hpp"
#include "grove/network/messaging/clients/nats/nkey.hpp"

using namespace grove;

namespace {

/// All frames of the input, as text, however it is cut up.
std::string frames(std::string_view input, std::size_t piece) {
  nats::Decoder decoder({.line = 4096, .message = 1 << 16});
  std::string seen;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    decoder.feed(as_bytes(input.substr(at, piece)));
    for (nats::Frame f = decoder.next(); f.kind != nats::Frame::Kind::need_input; f = decoder.next()) {
      // A line over the limit shows earlier or later, by how it is cut; that it does is the same.
      if (f.kind == nats::Frame::Kind::broken) return seen + "broken";
      for (const std::string_view part : {f.subject, f.reply, f.headers, f.payload}) seen += std::string(part) + '|';
      seen += std::to_string(f.sid) + ':' + std::to_string(static_cast<int>(f.kind)) + '\n';
      const nats::HeaderBlock headers(f.headers);
      const auto fields = headers.fields();
      for (const nats::Header& h : fields)
        if (!headers.find(h.name)) std::abort();
      (void)headers.status();
      (void)headers.description();
      if (f.kind != nats::Frame::Kind::message) continue;
      (void)nats::delivery(nats::Message(f));
      // What we may send on comes back as it was.
      if (!nats::valid_subject(f.subject) || (!f.reply.empty() && !nats::valid_subject(f.reply))) continue;
      nats::Encoder encoder;
      bool sendable = true;
      for (const nats::Header& h : fields) sendable = sendable && nats::valid_header(h);
      if (!sendable) continue;
      encoder.publish(f.subject, f.reply, fields, as_bytes(f.payload));
      std::string wire(encoder.buffer().view());
      // PUB subject … -> MSG subject sid …
      const std::size_t at_subject = wire.find(' ') + 1;
      wire.insert(at_subject + f.subject.size(), " 7");
      wire.replace(0, at_subject, fields.empty() ? "MSG " : "HMSG ");
      nats::Decoder again;
      again.feed(as_bytes(wire));
      const nats::Frame back = again.next();
      if (back.kind != nats::Frame::Kind::message || back.subject != f.subject || back.reply != f.reply ||
          back.payload != f.payload || back.sid != 7)
        std::abort();
      nats::Buffer unsent;
      nats::Encoder::unsent_publishes(encoder.buffer().view(), 1, &unsent);
      if (unsent.view() != encoder.buffer().view()) std::abort();
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string whole = frames(input, std::max<std::size_t>(size, 1));
  if (size < 4096 && frames(input, 1) != whole) std::abort();
  (void)nats::KeyPair::from_seed(input);
  (void)nats::from_base64(input);
  return 0;
}

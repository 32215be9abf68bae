// SPDX-License-Identifier: Apache-2.0
//
// Stands in for plugin-host and says what no plugin-host would say. Called as it: fake-host run
// FOLDER/KIND.so, where KIND chooses the nonsense, socket as descriptor 3.
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "model/message.hpp"

namespace fieldpost {
namespace {

constexpr int kSocket = 3;
using Bytes = std::vector<std::byte>;

void put(const Bytes& bytes) { (void)::send(kSocket, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

// The frames of a message; `sequence` goes on from call to call.
void say(const message::Any& message) {
  static uint64_t sequence = 0;
  std::vector<Bytes> frames;
  (void)message::encode(message, sequence, frames);
  for (const Bytes& frame : frames) put(frame);
}

Bytes frame_of(const message::Any& message) {
  uint64_t sequence = 2;  // after Declared and Ready
  std::vector<Bytes> frames;
  (void)message::encode(message, sequence, frames);
  return frames.front();
}

Declaration one_number() {
  Declaration declaration;
  declaration.attributes.push_back({{"counter", DataType::Number, "", ""}, 0, 0});
  return declaration;
}

message::Samples one_reading(Value value, uint32_t attribute = 0) {
  return {{Sample{BootClock::now(), {Reading{attribute, Quality::Good, std::move(value), ""}}}}};
}

Bytes nonsense(const std::string& kind) {
  const Bytes good = frame_of(one_reading(1.0));
  if (kind == "truncated") return {good.begin(), good.end() - 3};
  if (kind == "oversized") return Bytes(140'000, std::byte{0x20});
  if (kind == "empty") return {};
  Bytes bad = good;
  if (kind == "version") bad[2] = std::byte{9};
  if (kind == "random") {
    std::minstd_rand random(std::random_device{}());
    bad.resize(random() % 4096);
    for (std::byte& b : bad) b = static_cast<std::byte>(random());
  }
  return bad;
}

int main_of(const std::string& kind) {
  if (kind == "mute") {
    for (;;) ::pause();
  }
  if (kind == "leaves") return 7;
  if (kind == "early") say(one_reading(1.0));
  say(message::Declared{kind == "elsewhere"
                            ? Declaration{{{{"a", DataType::Number, "", ""}, 99, 0}}, {}}
                            : one_number()});
  say(message::Ready{});
  if (kind == "stranger") say(one_reading(1.0, 4711));
  if (kind == "other-type") say(one_reading(std::string("text")));
  if (kind == "unit") say(message::UnitState{77, true, ""});
  if (kind == "outcome") say(message::Outcome{4711, {}, {}, ""});
  if (kind == "backwards") say(message::Ping{});
  if (kind == "hang-up") ::close(kSocket);
  if (kind == "chatter") {
    const std::string line(1'000, 'x');
    for (;;) (void)!::write(STDERR_FILENO, (line + "\n").data(), line.size() + 1);
  }
  if (kind == "flood") {
    for (;;) say(message::Pong{});
  }
  if (kind == "truncated" || kind == "oversized" || kind == "empty" || kind == "version" ||
      kind == "random") {
    for (;;) put(nonsense(kind));
  }
  for (;;) ::pause();
}

}  // namespace
}  // namespace fieldpost

int main(int argc, char** argv) {
  const int buffer = 1 << 20;
  (void)::setsockopt(3, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  const std::string path = argc == 3 ? argv[2] : "";
  const std::string file = path.substr(path.rfind('/') + 1);
  return fieldpost::main_of(file.substr(0, file.rfind('.')));
}
